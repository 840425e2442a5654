//! Connections from the socket to the first call that proves who it is from.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tonic::transport::server::Connected;

use super::FlightDoor;
use crate::{
    error::{Error, ErrorKind, Result},
    protocol::tls::{ServerTls, Transport},
    telemetry::{ConnectionGuard, Door},
};

/// Sockets that may be open without having logged in.
const MAX_LOGINS: usize = 256;

/// From the connection's start to its first authenticated call.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts clients, and does the TLS handshakes of several at the same time.
pub(super) struct Connections {
    listener: TcpListener,
    door: Arc<FlightDoor>,
    logins: Arc<Semaphore>,
    handshakes: JoinSet<Option<Connection>>,
}

impl Connections {
    pub(super) fn new(listener: TcpListener, door: Arc<FlightDoor>) -> Self {
        let logins = Arc::new(Semaphore::new(MAX_LOGINS));
        Self { listener, door, logins, handshakes: JoinSet::new() }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |mut this| async move {
            let connection = this.next().await;
            Some((Ok(connection), this))
        })
    }

    async fn next(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(handshake) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = handshake {
                        return connection;
                    }
                }
                Some((stream, address, login)) = accept(&self.listener, &self.logins) => {
                    if self.door.allowed_ips.allows(address.ip()) {
                        let peer = Peer::new(address.ip(), Arc::clone(&self.door));
                        let tls = self.door.tls.clone();
                        self.handshakes.spawn(open(stream, tls, peer, login));
                    }
                }
                // Nothing could be accepted, and no handshake is under way.
                else => {}
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    logins: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let login = Arc::clone(logins).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, login)),
        Err(error) => {
            // Out of descriptors, most likely: a moment later there may be some.
            tracing::warn!(%error, "can't accept a connection");
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn open(
    stream: TcpStream,
    tls: Option<ServerTls>,
    peer: Peer,
    login: OwnedSemaphorePermit,
) -> Option<Connection> {
    // Small frames (the end of a result) must not wait for the next.
    let _ = stream.set_nodelay(true);
    let mut transport = Transport::Plain(stream);
    if let Some(tls) = tls {
        match timeout(LOGIN_TIMEOUT, transport.accept_tls(&tls)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::info!(peer = %peer.address(), %error, "a client failed at TLS");
                return None;
            }
            Err(_) => return None,
        }
    }
    let login = Login { deadline: Box::pin(sleep(LOGIN_TIMEOUT)), _permit: login };
    Some(Connection { transport, peer, login: Some(login) })
}

/// The other end of a connection, as each of its calls sees it.
#[derive(Debug, Clone)]
pub(super) struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: IpAddr,
    door: Arc<FlightDoor>,
    place: Mutex<Option<Place>>,
}

/// One of the connections that may be open, counted.
struct Place {
    _permit: OwnedSemaphorePermit,
    _guard: ConnectionGuard,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl Peer {
    fn new(address: IpAddr, door: Arc<FlightDoor>) -> Self {
        Self(Arc::new(Inner { address, door, place: Mutex::default() }))
    }

    pub(super) fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Takes one of the places for connections (53300), at the first call that is authenticated:
    /// before a call there is nothing to answer, and without a login nothing to take up a place.
    pub(super) fn take_place(&self) -> Result<()> {
        let mut place = self.0.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_some() {
            return Ok(());
        }
        let permit = Arc::clone(&self.0.door.slots).try_acquire_owned().map_err(no_place)?;
        let guard = self.0.door.metrics.connection_opened(Door::Flight);
        *place = Some(Place { _permit: permit, _guard: guard });
        Ok(())
    }

    fn has_place(&self) -> bool {
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

fn no_place(error: TryAcquireError) -> Error {
    match error {
        TryAcquireError::NoPermits => {
            Error::new(ErrorKind::TooManyConnections, "sorry, too many clients already")
                .with_hint("Close another connection, or raise limits.max_connections.")
        }
        TryAcquireError::Closed => {
            Error::new(ErrorKind::ShuttingDown, "the server is shutting down")
        }
    }
}

/// A client's bytes. It ends when its time to log in is over.
pub(super) struct Connection {
    transport: Transport,
    peer: Peer,
    login: Option<Login>,
}

struct Login {
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn poll_login(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(login) = &mut self.login else { return Ok(()) };
        if self.peer.has_place() {
            self.login = None;
            return Ok(());
        }
        match login.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_login(context)?;
        Pin::new(&mut self.transport).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_login(context)?;
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}
