//! Builds the proxy out of its parts, and takes it down again.
//!
//! Invariants: a start either gives every listener or nothing. Each task has an owner that joins
//! it, and each wait of the end has a bound.

mod catalogs;
pub mod check;
mod doors;
pub mod explain;
mod known;
mod state;
#[cfg(test)]
mod tests;
pub mod users;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use weir_catalogs::{Catalog, CatalogName};

pub use doors::AddressSource;
pub use state::StateLock;

use crate::{
    admission::MemoryLimits,
    auth::{Authenticator, TokenLimits, UserStore},
    config::{Config, LimitsConfig},
    engine::{ComplexityLimits, Engine, EngineLimits},
    error::{Error, Result},
    policy::{PolicyState, PolicyStore, lint},
    protocol::http::{CatalogState, Vitals},
    session::Sessions,
    telemetry::Metrics,
};
use doors::{Doors, Parts};

/// How often the files of the policy are looked at.
const POLICY_RECHECK: Duration = Duration::from_millis(250);
/// How long cancelled statements may take to end, and then the operator's door.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The running proxy: its doors and what keeps its catalogs and its policy fresh.
#[derive(Debug)]
pub struct Proxy {
    addresses: Addresses,
    condition: Arc<Condition>,
    sessions: Sessions,
    /// The doors for queries, by name.
    doors: JoinSet<(&'static str, Result<()>)>,
    /// Apart from the others: it says that weir drains while they do.
    operator_doors: JoinSet<()>,
    keepers: JoinSet<()>,
    closing: CancellationToken,
    operator_closing: CancellationToken,
    drain_timeout: Duration,
    /// Given back last.
    _lock: StateLock,
}

/// Where the doors listen, with the ports that the system chose for port 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub postgres: Vec<SocketAddr>,
    pub flight: Vec<SocketAddr>,
    pub http: Vec<SocketAddr>,
}

/// How the proxy is, for the operator's door.
#[derive(Debug)]
struct Condition {
    engine: Arc<Engine>,
    is_draining: AtomicBool,
}

impl Proxy {
    /// Starts everything that the configuration asks for. A catalog that can't be reached does not
    /// stop the start; a taken port, a bad certificate or a bad policy does.
    pub async fn start(config: Config) -> Result<Self> {
        let lock = StateLock::acquire(&config.state.dir)?;
        Self::start_locked(config, lock, AddressSource::File).await
    }

    /// [`Proxy::start`] for a caller that has prepared the state folder, and holds its lock.
    pub async fn start_locked(
        config: Config,
        lock: StateLock,
        address_source: AddressSource,
    ) -> Result<Self> {
        let users = UserStore::open(&config.state.dir)?;
        let keys = state::mask_keys(&config)?;
        let policy = PolicyStore::open(&config.policy.model, &config.policy.policy, keys).await?;
        let policy = Arc::new(policy);
        let opened = catalogs::open(&config.catalogs, config.catalog_refresh)?;
        let doors = Doors::bind(&config, address_source).await?;
        let addresses = doors.addresses()?;
        if let Some(folder) = &config.limits.spill_dir {
            state::create_private_folder(folder)?;
        }
        let named: BTreeMap<CatalogName, Arc<Catalog>> = opened
            .iter()
            .map(|kept| (kept.catalog.name().clone(), Arc::clone(&kept.catalog)))
            .collect();
        let limits = engine_limits(&config.limits);
        let engine = Arc::new(Engine::new(named, Arc::clone(&policy), limits)?);
        let condition = Arc::new(Condition {
            engine: Arc::clone(&engine),
            is_draining: AtomicBool::new(false),
        });

        let mut keepers = JoinSet::new();
        for mut kept in catalogs::refresh_first(opened).await {
            keepers.spawn(async move { kept.keep_fresh().await });
        }
        let authenticator = Arc::new(Authenticator::new(users, TokenLimits::default()));
        warn_of_lines(&engine, authenticator.users());
        keepers.spawn(keep_policy_fresh(Arc::clone(&engine), Arc::clone(&authenticator)));

        let sessions = Sessions::default();
        let closing = CancellationToken::new();
        let operator_closing = CancellationToken::new();
        let parts = Parts {
            engine,
            metrics: Metrics::new(),
            sessions: sessions.clone(),
            authenticator,
            vitals: Arc::clone(&condition) as Arc<dyn Vitals>,
        };
        let (query_doors, operator_doors) =
            doors.open(&config.limits, &parts, &closing, &operator_closing);
        Ok(Self {
            addresses,
            condition,
            sessions,
            doors: query_doors,
            operator_doors,
            keepers,
            closing,
            operator_closing,
            drain_timeout: config.limits.drain_timeout,
            _lock: lock,
        })
    }

    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Each catalog and whether it can be read.
    pub fn catalogs(&self) -> Vec<CatalogState> {
        self.condition.catalogs()
    }

    /// Waits until a door can't go on, and says why; while all is well, it waits for ever.
    pub async fn failure(&mut self) -> Error {
        if let Some(ended) = self.doors.join_next().await {
            match ended {
                Ok((_, Err(error))) => return error,
                Ok((door, Ok(()))) => {
                    return Error::internal(format!("the {door} door has closed by itself"));
                }
                Err(panic) => return Error::internal(panic),
            }
        }
        std::future::pending().await
    }

    /// Takes no more connections, tells idle sessions, and waits for the statements that run: up to
    /// `limits.drain_timeout`, then they are cancelled.
    pub async fn shutdown(mut self) {
        self.condition.is_draining.store(true, Ordering::Release);
        tracing::info!(sessions = self.sessions.count(), "shutting down");
        self.closing.cancel();
        if timeout(self.drain_timeout, joined(&mut self.doors)).await.is_err() {
            tracing::warn!(
                sessions = self.sessions.count(),
                "statements still run after limits.drain_timeout, and are cancelled"
            );
            self.sessions.cancel_all();
            if timeout(LAST_WORDS, joined(&mut self.doors)).await.is_err() {
                self.doors.shutdown().await;
            }
            // The sources hear of it from tasks of their own, which end with this process.
            sleep(LAST_WORDS).await;
        }
        self.keepers.shutdown().await;
        self.operator_closing.cancel();
        if timeout(LAST_WORDS, joined(&mut self.operator_doors)).await.is_err() {
            self.operator_doors.shutdown().await;
        }
        tracing::info!("shut down");
    }
}

impl Vitals for Condition {
    fn catalogs(&self) -> Vec<CatalogState> {
        let state = |catalog: &Arc<Catalog>| {
            let failure = catalog.failure();
            CatalogState {
                name: catalog.name().to_string(),
                is_up: failure.is_none(),
                tables: catalog.snapshot().tables().count(),
                failure,
            }
        };
        self.engine.catalogs.values().map(state).collect()
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    fn memory_reserved_bytes(&self) -> u64 {
        self.engine.memory.reserved() as u64
    }

    fn policy(&self) -> PolicyState {
        self.engine.policy.state()
    }
}

async fn joined<T: 'static>(tasks: &mut JoinSet<T>) {
    while tasks.join_next().await.is_some() {}
}

/// Looks at the policy's files for as long as weir runs. A policy with a mistake is reported once,
/// and the one before it stays in force.
async fn keep_policy_fresh(engine: Arc<Engine>, authenticator: Arc<Authenticator>) {
    let policy = &engine.policy;
    loop {
        sleep(POLICY_RECHECK).await;
        let runtime = tokio::runtime::Handle::current();
        let store = Arc::clone(policy);
        // Thousands of rules take a while to compile: not on a thread that serves sockets.
        let reload = move || runtime.block_on(store.reload_if_changed());
        match tokio::task::spawn_blocking(reload).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => {
                tracing::info!(version = policy.version(), "policy reloaded");
                let (engine, authenticator) = (Arc::clone(&engine), Arc::clone(&authenticator));
                let warn = move || warn_of_lines(&engine, authenticator.users());
                if let Err(panic) = tokio::task::spawn_blocking(warn).await {
                    tracing::error!(%panic, "could not look for doubtful lines of the policy");
                }
            }
            Ok(Err(error)) => {
                tracing::error!("{error}; the policy before stays in force");
                for line in error.detail.iter().flat_map(|detail| detail.lines()) {
                    tracing::error!("policy: {line}");
                }
            }
            Err(panic) => tracing::error!(%panic, "could not reload the policy"),
        }
    }
}

/// Logs the lines of the policy that can't be what was meant.
fn warn_of_lines(engine: &Engine, users: &UserStore) {
    let known = known::known(engine.catalogs.values().map(Arc::as_ref), Some(users));
    for warning in lint(&engine.policy.current(), &known) {
        tracing::warn!("policy: {warning}");
    }
}

fn engine_limits(limits: &LimitsConfig) -> EngineLimits {
    EngineLimits {
        complexity: ComplexityLimits {
            text: limits.max_query_text,
            tokens: limits.max_tokens,
            depth: limits.max_depth,
            nodes: limits.max_nodes,
            relations: limits.max_relations,
        },
        planning_timeout: limits.planning_timeout,
        max_concurrent_queries: limits.max_concurrent_queries,
        max_queued_queries: limits.max_queued_queries,
        max_open_cursors: limits.max_open_cursors,
        queue_timeout: limits.queue_timeout,
        memory: MemoryLimits { process: limits.memory, query: limits.query_memory_bytes() },
        spill_dir: limits.spill_dir.clone(),
        spill_size: limits.spill_size as u64,
        worker_threads: limits.worker_threads,
    }
}
