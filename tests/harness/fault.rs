//! A network between weir and its source that fails on demand.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both ends see that the connection was closed.
    Close,
    /// As when a machine loses power behind a router that says so.
    Reset,
    /// The connection stays, and nothing comes any more.
    Stall,
    /// Bytes that are no message.
    Garbage,
}

/// A proxy for one port of this machine. The first connection over which so many bytes have come
/// from the server after [`FaultyProxy::arm`] meets the fault.
pub struct FaultyProxy {
    pub port: u16,
    server: Arc<Mutex<Option<u16>>>,
    armed: Arc<Mutex<Option<(Fault, usize)>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FaultyProxy {
    /// Connections are closed until there is a server.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (server, armed) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let proxy = Self { port, server: Arc::clone(&server), armed: Arc::clone(&armed) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(server) = *lock(&server) else { continue };
                tokio::spawn(forward(client, server, Arc::clone(&armed)));
            }
        });
        proxy
    }

    pub fn lead_to(&self, server: u16) {
        *lock(&self.server) = Some(server);
    }

    pub fn arm(&self, fault: Fault, after: usize) {
        *lock(&self.armed) = Some((fault, after));
    }

    pub fn is_armed(&self) -> bool {
        lock(&self.armed).is_some()
    }
}

async fn forward(client: TcpStream, server: u16, armed: Arc<Mutex<Option<(Fault, usize)>>>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let mut requests = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    });
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
        let fault = {
            let mut armed = lock(&armed);
            passed = if armed.is_some() { passed + count } else { 0 };
            armed.take_if(|(_, after)| passed > *after)
        };
        match fault {
            None => {
                if to_client.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
            Some((Fault::Close, _)) => break,
            Some((Fault::Reset, _)) => {
                to_client.as_ref().set_zero_linger().unwrap();
                break;
            }
            Some((Fault::Garbage, _)) => {
                let _ = to_client.write_all(&[0xff; 1024]).await;
            }
            // The server is heard no more, and its client waits until it gives up.
            Some((Fault::Stall, _)) => {
                let _ = tokio::time::timeout(Duration::from_secs(600), &mut requests).await;
                break;
            }
        }
    }
    requests.abort();
}
