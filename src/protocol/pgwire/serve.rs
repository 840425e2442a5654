use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Handshake, StartupContext, connection::Connection, handshake};
use crate::{
    engine::Engine,
    session::Sessions,
    telemetry::{Door, Metrics},
};

/// What a Postgres listener needs.
#[derive(Debug)]
pub struct PostgresDoor {
    pub engine: Arc<Engine>,
    pub metrics: Metrics,
    pub sessions: Sessions,
    pub startup: StartupContext,
    /// A session may ask for less by SET statement_timeout.
    pub max_statement_timeout: Duration,
    /// Ends a session that has sent nothing for this long.
    pub idle_timeout: Option<Duration>,
    /// Closes a cursor that nobody has fetched from for this long.
    pub cursor_idle_timeout: Option<Duration>,
}

/// Sockets that may be open beyond the sessions: those in login, and those that cancel.
const MAX_LOGINS: usize = 256;

/// Accepts connections until `shutdown`; then tells each idle session (57P01), and returns when the
/// last one is gone. Whoever calls it bounds that wait.
pub async fn serve(listener: TcpListener, door: Arc<PostgresDoor>, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let logins = Arc::new(Semaphore::new(MAX_LOGINS));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &logins) => accepted,
        };
        let Some((stream, login)) = accepted else { continue };
        let (door, shutdown) = (Arc::clone(&door), shutdown.clone());
        connections.spawn(async move {
            let handshake = handshake(stream, &door.startup).await;
            drop(login);
            match handshake {
                Ok(Handshake::Session(login)) => {
                    let _open = door.metrics.connection_opened(Door::Postgres);
                    Connection::run(&door, *login, shutdown).await;
                }
                Ok(Handshake::Cancel(request)) => {
                    door.sessions.cancel(request.process, &request.secret);
                }
                Ok(Handshake::Left) => {}
                Err(error) => tracing::info!(%error, "a client was refused"),
            }
        });
    }
    // Late clients are refused at once, in place of waiting in the backlog.
    drop(listener);
    door.startup.slots.close();
    connections.close();
    connections.wait().await;
}

async fn accept(
    listener: &TcpListener,
    logins: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let login = Arc::clone(logins).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, login)),
        Err(error) => {
            // Out of descriptors, most likely: a moment later there may be some.
            tracing::warn!(%error, "can't accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
