use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

use crate::config::AllowList;

/// What clients that have not logged in may take up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// At one time; more wait in the system's queue.
    pub(super) connections: usize,
    /// From a connection's start to the last byte of its answer.
    pub(super) deadline: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 32, deadline: Duration::from_secs(10) }
    }
}

/// Takes a few connections at a time, from those who may connect, and gives each a deadline.
pub(super) struct BoundedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
    deadline: Duration,
    allowed_ips: AllowList,
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener, bounds: Bounds, allowed_ips: AllowList) -> Self {
        let Bounds { connections, deadline } = bounds;
        Self { listener, places: Arc::new(Semaphore::new(connections)), deadline, allowed_ips }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                // The semaphore is never closed.
                return std::future::pending().await;
            };
            // Axum's accept: it rests after an error, such as too many open files.
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if self.allowed_ips.allows(peer.ip()) {
                let deadline = Box::pin(sleep(self.deadline));
                return (BoundedStream { stream, deadline, _place: place }, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that holds a place, and ends when its time is over.
pub(super) struct BoundedStream {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl BoundedStream {
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_deadline(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_deadline(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_deadline(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_deadline(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
