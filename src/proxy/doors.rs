//! Binds every address before any door opens, then opens all of them.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::Addresses;
use crate::{
    auth::Authenticator,
    config::{AllowList, Config, HttpListener, LimitsConfig, TlsConfig},
    engine::Engine,
    error::{Error, ErrorKind, Result},
    protocol::{
        flight::{self, FlightDoor},
        http::{self, HttpState, Vitals},
        pgwire::{self, FrameLimits, PostgresDoor, StartupContext},
        tls::{ServerTls, TlsFiles},
    },
    session::Sessions,
    telemetry::Metrics,
};

/// Who chose the addresses, so that a hint names what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSource {
    File,
    CommandLine,
}

/// Bound addresses, where nobody is served yet.
pub struct Doors {
    postgres: Vec<(TcpListener, QueryListener)>,
    flight: Vec<(TcpListener, QueryListener)>,
    http: Vec<(TcpListener, HttpListener)>,
}

struct QueryListener {
    tls: Option<ServerTls>,
    requires_tls: bool,
    allowed_ips: AllowList,
}

/// What the doors share.
pub struct Parts {
    pub engine: Arc<Engine>,
    pub metrics: Metrics,
    pub sessions: Sessions,
    pub authenticator: Arc<Authenticator>,
    pub vitals: Arc<dyn Vitals>,
}

type QueryDoors = JoinSet<(&'static str, Result<()>)>;

impl Doors {
    /// Reads the certificates, then binds all addresses; on an error none stays bound.
    pub async fn bind(config: &Config, source: AddressSource) -> Result<Self> {
        let mut postgres = Vec::new();
        for door in &config.postgres {
            let listener = QueryListener {
                tls: load_tls(door.tls.as_ref(), &["postgresql"])?,
                requires_tls: door.requires_tls,
                allowed_ips: door.allowed_ips.clone(),
            };
            postgres.push((door.address, listener));
        }
        let mut flight = Vec::new();
        for door in &config.flight {
            let listener = QueryListener {
                tls: load_tls(door.tls.as_ref(), &["h2"])?,
                requires_tls: door.tls.is_some(),
                allowed_ips: door.allowed_ips.clone(),
            };
            flight.push((door.address, listener));
        }
        let http = config.http.iter().map(|door| (door.address, door.clone())).collect();
        Ok(Self {
            postgres: bind_all(postgres, "postgres", source).await?,
            flight: bind_all(flight, "flight", source).await?,
            http: bind_all(http, "http", source).await?,
        })
    }

    pub fn addresses(&self) -> Result<Addresses> {
        Ok(Addresses {
            postgres: addresses_of(&self.postgres)?,
            flight: addresses_of(&self.flight)?,
            http: addresses_of(&self.http)?,
        })
    }

    /// Serves until the tokens are cancelled: `closing` for queries, `operator_closing` for HTTP.
    pub fn open(
        self,
        limits: &LimitsConfig,
        parts: &Parts,
        closing: &CancellationToken,
        operator_closing: &CancellationToken,
    ) -> (QueryDoors, JoinSet<()>) {
        let slots = Arc::new(Semaphore::new(limits.max_connections));
        let mut query_doors = JoinSet::new();
        for (listener, config) in self.postgres {
            announce("postgres", &listener);
            let door = Arc::new(parts.postgres_door(config, limits, &slots));
            let closing = closing.clone();
            query_doors.spawn(async move {
                pgwire::serve(listener, door, closing).await;
                ("postgres", Ok(()))
            });
        }
        for (listener, config) in self.flight {
            announce("flight", &listener);
            let door = Arc::new(parts.flight_door(config, limits, &slots));
            let closing = closing.clone();
            query_doors
                .spawn(async move { ("flight", flight::serve(listener, door, closing).await) });
        }
        let mut operator_doors = JoinSet::new();
        for (listener, config) in self.http {
            announce("http", &listener);
            let state = HttpState {
                metrics: parts.metrics.clone(),
                vitals: Arc::clone(&parts.vitals),
                allowed_ips: config.allowed_ips,
            };
            operator_doors.spawn(http::serve(listener, state, operator_closing.clone()));
        }
        (query_doors, operator_doors)
    }
}

impl Parts {
    fn postgres_door(
        &self,
        listener: QueryListener,
        limits: &LimitsConfig,
        slots: &Arc<Semaphore>,
    ) -> PostgresDoor {
        PostgresDoor {
            engine: Arc::clone(&self.engine),
            metrics: self.metrics.clone(),
            sessions: self.sessions.clone(),
            startup: StartupContext {
                authenticator: Arc::clone(&self.authenticator),
                slots: Arc::clone(slots),
                allowed_ips: listener.allowed_ips,
                tls: listener.tls,
                requires_tls: listener.requires_tls,
                login_timeout: limits.startup_timeout,
                limits: FrameLimits { statement_bytes: limits.max_query_text },
            },
            max_statement_timeout: limits.query_timeout,
            idle_timeout: limits.idle_timeout,
            cursor_idle_timeout: limits.cursor_idle_timeout,
        }
    }

    fn flight_door(
        &self,
        listener: QueryListener,
        limits: &LimitsConfig,
        slots: &Arc<Semaphore>,
    ) -> FlightDoor {
        FlightDoor {
            engine: Arc::clone(&self.engine),
            metrics: self.metrics.clone(),
            authenticator: Arc::clone(&self.authenticator),
            slots: Arc::clone(slots),
            allowed_ips: listener.allowed_ips,
            tls: listener.tls,
            max_statement_timeout: limits.query_timeout,
        }
    }
}

/// Reads a door's certificates, if it has any.
pub fn load_tls(config: Option<&TlsConfig>, protocols: &[&str]) -> Result<Option<ServerTls>> {
    let Some(TlsConfig { cert, key, client_ca }) = config else { return Ok(None) };
    let files =
        TlsFiles { certificate: cert.clone(), key: key.clone(), client_ca: client_ca.clone() };
    ServerTls::load(&files, protocols).map(Some)
}

async fn bind_all<T>(
    doors: Vec<(SocketAddr, T)>,
    section: &str,
    source: AddressSource,
) -> Result<Vec<(TcpListener, T)>> {
    let mut bound = Vec::new();
    for (address, door) in doors {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| cannot_listen(address, section, source, error))?;
        bound.push((listener, door));
    }
    Ok(bound)
}

fn cannot_listen(
    address: SocketAddr,
    section: &str,
    source: AddressSource,
    error: io::Error,
) -> Error {
    let (key, place) = match source {
        AddressSource::File => (format!("{section}.listen"), " in the configuration"),
        AddressSource::CommandLine => (format!("--{section}-listen"), ""),
    };
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there, perhaps another weir".into(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        io::ErrorKind::PermissionDenied => "the system does not let us have this port".into(),
        _ => error.to_string(),
    };
    Error::new(ErrorKind::Config, format!("can't listen on {address} ({key}): {why}"))
        .with_hint(format!("Change {key}{place}; port 0 is any free port."))
        .with_source(error)
}

fn addresses_of<T>(doors: &[(TcpListener, T)]) -> Result<Vec<SocketAddr>> {
    doors.iter().map(|(listener, _)| listener.local_addr().map_err(Error::internal)).collect()
}

fn announce(door: &str, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(door, %address, "listening");
    }
}
