//! The Arrow Flight SQL door: GetFlightInfo prepares, DoGet executes.
//!
//! Invariants: every call shows who it is from and is answered for that principal alone, a ticket
//! included. What a client carries between two calls is signed and expires. Policy is asked when
//! rows are fetched, never only when they were promised. A result that breaks off ends with an
//! error status.

mod caller;
mod command;
mod connection;
mod keys;
mod metadata;
mod parameters;
mod rows;
mod service;
mod sql_info;
mod status;
#[cfg(test)]
mod tests;
mod ticket;

use std::{sync::Arc, time::Duration};

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use self::{connection::Connections, service::Service};
use crate::{
    auth::Authenticator,
    config::AllowList,
    engine::Engine,
    error::{Error, Result},
    protocol::tls::ServerTls,
    telemetry::Metrics,
};

/// What a Flight listener needs.
#[derive(Debug)]
pub struct FlightDoor {
    pub engine: Arc<Engine>,
    pub metrics: Metrics,
    pub authenticator: Arc<Authenticator>,
    /// One permit for each connection, shared with the other doors.
    pub slots: Arc<Semaphore>,
    pub allowed_ips: AllowList,
    /// Loaded with ALPN `h2`.
    pub tls: Option<ServerTls>,
    pub max_statement_timeout: Duration,
}

/// Of a message that a client sends; SQL text has the same bound.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Of all headers of one call together.
const MAX_HEADER_BYTES: u32 = 64 << 10;

/// Results that one connection may fetch at the same time.
const MAX_STREAMS: u32 = 128;

/// Calls of one connection that are being prepared at the same time; others wait.
const MAX_CALLS: usize = 16;

/// A client that does not answer a ping within the timeout is gone, and so are its queries.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Beyond the statement's own timeout, so that its error comes first.
const CALL_GRACE: Duration = Duration::from_secs(15);

/// Serves until `shutdown`, then until the open calls have their answers. Whoever calls it bounds
/// that wait: dropping the future ends what still runs (57P01).
pub async fn serve(
    listener: TcpListener,
    door: Arc<FlightDoor>,
    shutdown: CancellationToken,
) -> Result<()> {
    let stop = CancellationToken::new();
    let _stop_what_still_runs = stop.clone().drop_guard();
    let service = FlightServiceServer::new(Service::new(Arc::clone(&door), stop))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder()
        .concurrency_limit_per_connection(MAX_CALLS)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .timeout(door.max_statement_timeout.saturating_add(CALL_GRACE))
        .add_service(service)
        .serve_with_incoming_shutdown(
            Connections::new(listener, door).into_stream(),
            shutdown.cancelled_owned(),
        )
        .await
        .map_err(Error::internal)
}
