//! Connections to one PostgreSQL server: the pool, the settings of a session, cancelling, errors.
//!
//! Invariants: no more than `pool_size` connections exist; every wait ends; a connection whose
//! statement did not run to its end is cancelled and closed, never used again.

use std::{error::Error as _, fmt, io, time::Duration};

use deadpool::{
    Runtime,
    managed::{self, Metrics, Object, Pool, PoolError, RecycleError, TimeoutType, Timeouts},
};
use tokio::{runtime::Handle, sync::Notify, task::JoinHandle, time::timeout};
use tokio_postgres::{Config, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use super::{
    options::PostgresOptions,
    tls::{connector, ssl_mode},
};
use crate::{CatalogName, Result, SourceError, SourceErrorKind};

/// A fourth of the places stays free for other queries when one query reads by several connections.
const SPARE_FRACTION: usize = 4;

/// What a server that is well may need to say that it has ended a statement.
const SILENCE: Duration = Duration::from_secs(5);

/// How long the end of a statement may take that nobody waits for.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// The pool of one catalog.
pub(super) struct Client {
    pool: Pool<Manager>,
    catalog: CatalogName,
    pool_size: usize,
    connect_timeout: Duration,
    query_timeout: Duration,
    changed: Notify,
}

impl Client {
    /// Connects to nothing yet. Sockets will live on the runtime that this is called on, whichever
    /// runtime polls the queries.
    pub fn new(catalog: &CatalogName, options: &PostgresOptions) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|error| {
            let message = format!("catalog \"{catalog}\" was opened outside of a runtime");
            SourceError::new(SourceErrorKind::Internal, message).with_source(error)
        })?;
        let manager = Manager {
            config: session(catalog, options),
            tls: connector(catalog, options)?,
            runtime,
            catalog: catalog.clone(),
            connect_timeout: options.connect_timeout,
        };
        let pool = Pool::builder(manager)
            .max_size(options.pool_size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(options.connect_timeout),
                create: Some(options.connect_timeout),
                recycle: Some(options.connect_timeout),
            })
            .build()
            .map_err(|error| {
                let message = format!("catalog \"{catalog}\" can't make its pool");
                SourceError::new(SourceErrorKind::Internal, message).with_source(error.to_string())
            })?;
        Ok(Self {
            pool,
            catalog: catalog.clone(),
            pool_size: options.pool_size,
            connect_timeout: options.connect_timeout,
            query_timeout: options.query_timeout,
            changed: Notify::new(),
        })
    }

    /// Waits for the server. It ends each statement after `query_timeout` by itself, so a silence
    /// that is longer is not the statement's.
    pub async fn answer<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        let limit = self.query_timeout.saturating_add(SILENCE);
        timeout(limit, answer).await.map_err(|_| unanswered(&self.catalog, limit))
    }

    /// Remembers an error that a new discovery may end.
    pub fn note(&self, error: &SourceError) {
        if error.kind == SourceErrorKind::Stale {
            self.changed.notify_one();
        }
    }

    /// Ends when a table is not as it was discovered.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits for a free connection, or makes one.
    pub async fn lease(&self) -> Result<Lease> {
        let connection = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(TimeoutType::Wait) => {
                let message = format!(
                    "all {} connections of catalog \"{}\" are in use",
                    self.pool_size, self.catalog
                );
                SourceError::new(SourceErrorKind::Unavailable, message)
                    .with_hint("Try again later, or raise pool_size.")
            }
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                unanswered(&self.catalog, self.connect_timeout)
            }
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                let message = format!("the pool of catalog \"{}\" is closed", self.catalog);
                SourceError::new(SourceErrorKind::Internal, message)
            }
        })?;
        Ok(self.leased(connection))
    }

    /// A connection more for a query that has one; only if enough others stay free, and without
    /// waiting for a place.
    pub async fn lease_spare(&self) -> Option<Lease> {
        let status = self.pool.status();
        let free = status.max_size.saturating_sub(status.size.saturating_sub(status.available));
        if status.waiting > 0 || free <= self.pool_size.div_ceil(SPARE_FRACTION) {
            return None;
        }
        let limits = Timeouts { wait: Some(Duration::ZERO), ..self.pool.timeouts() };
        let connection = self.pool.timeout_get(&limits).await.ok()?;
        Some(self.leased(connection))
    }

    fn leased(&self, connection: Object<Manager>) -> Lease {
        let manager = self.pool.manager();
        Lease {
            connection: Some(connection),
            is_busy: false,
            tls: manager.tls.clone(),
            runtime: manager.runtime.clone(),
        }
    }

    /// What a statement's error means, in our terms. The server's own text stays in `source`.
    pub fn statement_error(&self, error: tokio_postgres::Error) -> SourceError {
        let catalog = &self.catalog;
        let (kind, message, hint) = match error.code() {
            None => return connection_error(catalog, error),
            Some(code) => match (kind_of(code), code) {
                (kind @ SourceErrorKind::Timeout, _) => {
                    let seconds = self.query_timeout.as_secs_f64();
                    let message = format!(
                        "the statement at catalog \"{catalog}\" was cancelled there, or took \
                         longer than {seconds} seconds"
                    );
                    (kind, message, Some("Ask for fewer rows, or raise query_timeout."))
                }
                (kind @ SourceErrorKind::PermissionDenied, _) => {
                    let message = format!("catalog \"{catalog}\" denies permission");
                    (kind, message, Some("The catalog's own user needs SELECT there."))
                }
                (kind @ SourceErrorKind::Stale, _) => {
                    let message = format!("catalog \"{catalog}\" has changed its tables");
                    (kind, message, Some("Run REFRESH CATALOG, then try again."))
                }
                (SourceErrorKind::Rejected, code) => {
                    let code = code.code();
                    let message = format!("catalog \"{catalog}\" refused the statement ({code})");
                    (SourceErrorKind::Rejected, message, None)
                }
                _ => return connection_error(catalog, error),
            },
        };
        let ours = SourceError::new(kind, message).with_source(error);
        match hint {
            Some(hint) => ours.with_hint(hint),
            None => ours,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

/// A connection for one statement or a few. Dropped while busy, it cancels what runs.
pub(super) struct Lease {
    connection: Option<Object<Manager>>,
    is_busy: bool,
    tls: MakeRustlsConnect,
    runtime: Handle,
}

impl Lease {
    /// For statements. From here until [`Lease::release`] the connection counts as busy.
    pub fn client(&mut self) -> Result<&tokio_postgres::Client> {
        self.is_busy = true;
        match &self.connection {
            Some(connection) => Ok(&connection.client),
            None => Err(SourceError::new(
                SourceErrorKind::Internal,
                "a connection was used after its end",
            )),
        }
    }

    /// The server has ended the statement by itself, with an error.
    pub fn set_idle(&mut self) {
        self.is_busy = false;
    }

    /// Ends the transaction and gives the connection back, without making anybody wait for it.
    pub fn release(mut self) {
        self.is_busy = false;
        let Some(connection) = self.connection.take() else { return };
        self.runtime.spawn(async move {
            let end = connection.client.batch_execute("COMMIT");
            if !matches!(timeout(CLEAN_UP_TIMEOUT, end).await, Ok(Ok(()))) {
                drop(Object::take(connection));
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !self.is_busy {
            drop(Object::take(connection));
            return;
        }
        let tls = self.tls.clone();
        // The place in the pool is taken until the server has been told.
        self.runtime.spawn(async move {
            let cancel = connection.client.cancel_token();
            match timeout(CLEAN_UP_TIMEOUT, cancel.cancel_query(tls)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "cancel did not reach the source"),
                Err(_) => debug!("cancel did not reach the source in time"),
            }
            drop(Object::take(connection));
        });
    }
}

pub(super) struct Manager {
    config: Config,
    tls: MakeRustlsConnect,
    runtime: Handle,
    catalog: CatalogName,
    connect_timeout: Duration,
}

/// A session and the task that reads its socket; the socket closes with it.
pub(super) struct Connection {
    client: tokio_postgres::Client,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = SourceError;

    async fn create(&self) -> Result<Connection> {
        let (config, tls, limit) = (self.config.clone(), self.tls.clone(), self.connect_timeout);
        let runtime = self.runtime.clone();
        let connecting = self.runtime.spawn(async move {
            let connected = timeout(limit, config.connect(tls)).await;
            connected.map(|connected| {
                connected.map(|(client, connection)| {
                    let task = runtime.spawn(async move {
                        if let Err(error) = connection.await {
                            debug!(%error, "connection to a source ended");
                        }
                    });
                    Connection { client, task }
                })
            })
        });
        match connecting.await {
            Ok(Ok(Ok(connection))) => Ok(connection),
            Ok(Ok(Err(error))) => Err(connection_error(&self.catalog, error)),
            Ok(Err(_)) => Err(unanswered(&self.catalog, limit)),
            Err(error) => {
                let message = format!("catalog \"{}\" can't connect now", self.catalog);
                Err(SourceError::new(SourceErrorKind::Unavailable, message).with_source(error))
            }
        }
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        _metrics: &Metrics,
    ) -> managed::RecycleResult<SourceError> {
        if connection.client.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        Ok(())
    }
}

/// The settings that every session starts with, sent along with the first message.
fn session(catalog: &CatalogName, options: &PostgresOptions) -> Config {
    let milliseconds = options.query_timeout.as_millis().clamp(1, i32::MAX as u128);
    let settings = [
        ("default_transaction_read_only", "on"),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO"),
        ("IntervalStyle", "postgres"),
        ("extra_float_digits", "1"),
        ("bytea_output", "hex"),
        ("standard_conforming_strings", "on"),
        // Every name that we write has its schema.
        ("search_path", ""),
        ("statement_timeout", &milliseconds.to_string()),
    ]
    .map(|(name, value)| format!("-c {name}={value}"));
    let mut config = options.config.clone();
    config
        .options(settings.join(" "))
        .application_name(format!("weir {catalog}"))
        .ssl_mode(ssl_mode(options.tls))
        .connect_timeout(options.connect_timeout)
        // A network that fell silent is noticed within two minutes.
        .keepalives_idle(Duration::from_secs(60))
        .keepalives_interval(Duration::from_secs(15))
        .keepalives_retries(4);
    config
}

fn kind_of(code: &SqlState) -> SourceErrorKind {
    match code.code() {
        "42501" => SourceErrorKind::PermissionDenied,
        "57014" => SourceErrorKind::Timeout,
        // No such table, column, schema, function or operator; another type.
        "42P01" | "42703" | "3F000" | "42883" | "42804" => SourceErrorKind::Stale,
        "3D000" => SourceErrorKind::InvalidOption,
        code if code.starts_with("28") => SourceErrorKind::AuthenticationFailed,
        code if code.starts_with("08") || code.starts_with("57P") || code == "53300" => {
            SourceErrorKind::Unavailable
        }
        _ => SourceErrorKind::Rejected,
    }
}

/// An error before there was a session, or of the socket.
fn connection_error(catalog: &CatalogName, error: tokio_postgres::Error) -> SourceError {
    let text = error.to_string();
    let kind = match error.code() {
        Some(code) => kind_of(code),
        // The driver has no other way to say that it was asked for a password and has none.
        None if text.starts_with("invalid configuration") => SourceErrorKind::AuthenticationFailed,
        None if text.starts_with("authentication error") => SourceErrorKind::AuthenticationFailed,
        None => SourceErrorKind::Unavailable,
    };
    let (message, hint) = match kind {
        SourceErrorKind::AuthenticationFailed => (
            format!("catalog \"{catalog}\" does not accept the credentials"),
            "Check the user in url, and password.",
        ),
        SourceErrorKind::InvalidOption => (
            format!("catalog \"{catalog}\" names a database that does not exist"),
            "Check the database in url.",
        ),
        SourceErrorKind::Unavailable if is_untrusted(&error) => (
            format!("the certificate of catalog \"{catalog}\" can't be trusted"),
            "Set tls_ca to the authority that signed it, and name the host as it does.",
        ),
        SourceErrorKind::Unavailable => {
            (format!("catalog \"{catalog}\" can't be reached"), "Try again later.")
        }
        SourceErrorKind::PermissionDenied
        | SourceErrorKind::Rejected
        | SourceErrorKind::UnsupportedType
        | SourceErrorKind::InvalidValue
        | SourceErrorKind::Stale
        | SourceErrorKind::Timeout
        | SourceErrorKind::Internal => {
            (format!("catalog \"{catalog}\" refused the connection"), "Check the url.")
        }
    };
    SourceError::new(kind, message).with_hint(hint).with_source(error)
}

fn is_untrusted(error: &tokio_postgres::Error) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

fn unanswered(catalog: &CatalogName, limit: Duration) -> SourceError {
    let message =
        format!("catalog \"{catalog}\" did not answer within {} seconds", limit.as_secs_f64());
    SourceError::new(SourceErrorKind::Unavailable, message).with_hint("Try again later.")
}
