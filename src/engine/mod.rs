//! SQL text to rows: classify, gate, plan, authorize, execute; in this order and once each.
//!
//! Invariants: planning does no IO. [`Engine::run`] takes an [`AuthorizedPlan`], and only
//! [`policy::authorize`](crate::policy::authorize) makes one. Nothing that a statement does ends
//! the process.

mod execute;
mod explain;
mod gate;
mod interrupt;
mod plan;
mod statement;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use datafusion::execution::SessionState;
use tokio::sync::Semaphore;
use weir_catalogs::{Catalog, CatalogName};

pub(crate) use execute::text_schema;
pub use execute::{QueryContext, RowStream};
pub use explain::{ExplainFormat, ExplainOptions};
pub use gate::ComplexityLimits;
pub use plan::{Names, Planned};
pub use statement::{
    CopyFormat, CopyOptions, Cursor, Discard, Execute, Fetch, ForceQuote, Motion, Prepare, Setting,
    Statement, Transaction, parse,
};

use crate::{
    admission::{MemoryLimits, ProcessMemory, QuerySlots},
    error::{Error, ErrorKind, Result},
    policy::{AuthorizedPlan, PolicyStore},
};

/// Bounds of the engine, from the section `limits` of the configuration.
#[derive(Debug, Clone)]
pub struct EngineLimits {
    pub complexity: ComplexityLimits,
    pub planning_timeout: Duration,
    pub max_concurrent_queries: usize,
    pub max_queued_queries: usize,
    /// Queries that wait for their client and hold no place among those that run.
    pub max_open_cursors: usize,
    pub queue_timeout: Duration,
    pub memory: MemoryLimits,
    /// Where sorts and aggregates spill; `None`: they fail (53200) in its place.
    pub spill_dir: Option<std::path::PathBuf>,
    /// Bytes on disk for all queries together.
    pub spill_size: u64,
    pub worker_threads: usize,
}

/// What all sessions share.
#[derive(Debug)]
pub struct Engine {
    pub catalogs: BTreeMap<CatalogName, Arc<Catalog>>,
    pub policy: Arc<PolicyStore>,
    pub memory: Arc<ProcessMemory>,
    slots: Arc<QuerySlots>,
    /// Queries run here, so that a heavy one never delays a connect or a cancel.
    cpu: CpuRuntime,
    planners: Arc<Semaphore>,
    limits: EngineLimits,
    state: SessionState,
}

impl Engine {
    pub fn new(
        catalogs: BTreeMap<CatalogName, Arc<Catalog>>,
        policy: Arc<PolicyStore>,
        limits: EngineLimits,
    ) -> Result<Self> {
        let cpu = CpuRuntime::new(limits.worker_threads)?;
        let state = execute::base_state(&limits)?;
        Ok(Self {
            catalogs,
            policy,
            memory: Arc::new(ProcessMemory::new(limits.memory)),
            slots: Arc::new(QuerySlots::new(
                limits.max_concurrent_queries,
                limits.max_queued_queries,
                limits.max_open_cursors,
                limits.queue_timeout,
            )),
            cpu,
            planners: Arc::new(Semaphore::new(limits.worker_threads.max(1) * 4)),
            limits,
            state,
        })
    }

    pub fn catalog(&self, name: &str) -> Option<&Arc<Catalog>> {
        self.catalogs.iter().find(|(known, _)| known.as_str() == name).map(|(_, catalog)| catalog)
    }

    /// Classifies each statement of `sql`, on a thread whose stack bears what the gate lets
    /// through.
    pub async fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        let sql = sql.to_owned();
        let limits = self.limits.complexity;
        self.on_big_stack(move || statement::parse(&sql, &limits)).await
    }

    /// Runs what may recurse deeply, under the planning timeout. A computation that does not end
    /// keeps its place, so that a hundred of them can't take every thread.
    async fn on_big_stack<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let deadline = tokio::time::Instant::now() + self.limits.planning_timeout;
        let too_long = || {
            Error::new(ErrorKind::ProgramLimitExceeded, "planning the statement takes too long")
                .with_hint(format!(
                    "Planning may take {} s (limits.planning_timeout). Make the statement smaller.",
                    self.limits.planning_timeout.as_secs_f64()
                ))
        };
        let permit = Arc::clone(&self.planners).acquire_owned();
        let permit = tokio::time::timeout_at(deadline, permit)
            .await
            .map_err(|_| too_long())?
            .map_err(Error::internal)?;
        let task = self.cpu.handle().spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match tokio::time::timeout_at(deadline, task).await {
            Ok(Ok(result)) => result,
            // A panic in the planner ends the statement, never the process.
            Ok(Err(panic)) => Err(Error::internal(panic)),
            Err(_) => Err(too_long()),
        }
    }
}

/// Threads for queries, apart from those that serve sockets.
#[derive(Debug)]
struct CpuRuntime(Option<tokio::runtime::Runtime>);

/// The stack of every thread that touches a statement: expressions of the gate's largest depth recurse
/// in planning, in evaluation, in being copied and dropped. Only the pages that are touched cost
/// memory.
pub const STACK_BYTES: usize = 256 << 20;

/// A query uses `worker_threads` at once. There are more threads, so that one deep in a computation
/// that does not yield leaves some to its neighbours.
const THREADS_PER_WORKER: usize = 4;

impl CpuRuntime {
    fn new(worker_threads: usize) -> Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(worker_threads.max(1) * THREADS_PER_WORKER)
            .thread_name("weir-query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| {
                Error::new(ErrorKind::Config, "can't start the threads for queries")
                    .with_source(error)
            })
    }

    fn handle(&self) -> &tokio::runtime::Handle {
        match &self.0 {
            Some(runtime) => runtime.handle(),
            None => unreachable!("the runtime is taken only in drop"),
        }
    }
}

impl Drop for CpuRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting is not allowed inside an asynchronous task, where the last owner may end.
            runtime.shutdown_background();
        }
    }
}
