//! One table read by several connections, for all partitions of a plan.
//!
//! Every row goes to whichever partition asks next, so it does not matter how many partitions are
//! read, how far, or in which order. Invariant: a partition ends without an error only after all
//! rows of the table were handed over; the last stream that is dropped ends the read.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use datafusion::{
    common::{Result as DataFusionResult, runtime::SpawnedTask},
    error::DataFusionError,
    physical_plan::metrics::Count,
};
use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};

use super::{
    ir::Query,
    render::{Dialect, Pages, Sql, render_part},
};
use crate::{QueryLabel, Result, SourceError, SourceErrorKind};

/// Batches that wait between the connections and the partitions, for each connection.
const BATCHES_PER_STREAM: usize = 2;

/// Reads runs of a table's pages by several connections, all as of one moment.
#[async_trait]
pub trait SplitRead: Send + Sync {
    /// How many connections are worth it for a table of so many pages.
    fn streams(&self, pages: u64) -> usize;

    /// Hands every row to `rows`, once. Dropping the future cancels everything at the source.
    async fn read(&self, split: Arc<RemoteSplit>, rows: SplitRows) -> Result<()>;
}

/// A statement over one table, which is to be run in parts.
#[derive(Debug)]
pub struct RemoteSplit {
    pub query: Query,
    pub label: Option<Arc<QueryLabel>>,
    /// The columns of the answer, in order. A value that does not fit is an error.
    pub schema: SchemaRef,
    /// What errors name: `catalog.schema.table`, before the column.
    pub relation: Arc<str>,
    /// Of the table, as it was counted last.
    pub pages: u64,
    /// The most connections to use.
    pub streams: usize,
}

impl RemoteSplit {
    /// The statement for some pages, or for all.
    pub fn statement(&self, dialect: &dyn Dialect, pages: Option<Pages>) -> Option<Sql> {
        let sql = render_part(dialect, &self.query, pages)?;
        Some(match &self.label {
            Some(label) => sql.labelled(label),
            None => sql,
        })
    }
}

/// Where the rows of all connections go.
#[derive(Debug, Clone)]
pub struct SplitRows(Arc<Queue>);

impl SplitRows {
    /// One more connection takes part.
    pub fn add_stream(&self) {
        self.0.streams.add(1);
    }

    /// Waits until there is room.
    pub async fn send(&self, batch: RecordBatch) {
        if let Ok(room) = self.0.room.acquire().await {
            room.forget();
        }
        lock(&self.0.batches).push_back(batch);
        self.0.news.notify_waiters();
    }
}

/// Whoever asks first gets the next batch. A channel would reserve it for a partition that may not
/// be asked again before another one has ended.
#[derive(Debug)]
struct Queue {
    batches: Mutex<VecDeque<RecordBatch>>,
    room: Semaphore,
    news: Notify,
    /// Connections that read.
    streams: Count,
    /// How the read ended; what is in the queue is still to be taken.
    outcome: OnceLock<Result<(), Arc<DataFusionError>>>,
}

impl Queue {
    fn end(&self, outcome: DataFusionResult<()>) {
        let _ = self.outcome.set(outcome.map_err(Arc::new));
        self.news.notify_waiters();
    }

    async fn next(&self) -> DataFusionResult<Option<RecordBatch>> {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // From here on no news is missed.
            news.as_mut().enable();
            let outcome = self.outcome.get();
            if let Some(Err(error)) = outcome {
                // Every partition tells of it: nobody knows which of them is still read.
                return Err(DataFusionError::Shared(error.clone()));
            }
            if let Some(batch) = lock(&self.batches).pop_front() {
                self.room.add_permits(1);
                return Ok(Some(batch));
            }
            if outcome.is_some() {
                return Ok(None);
            }
            news.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the queue also when the read panics.
struct Ending(Arc<Queue>);

impl Drop for Ending {
    fn drop(&mut self) {
        let message = "a read ended without an answer";
        self.0.end(Err(SourceError::new(SourceErrorKind::Internal, message).into()));
    }
}

/// Tasks of one read, on the runtime that polls it. They end with this value.
#[derive(Debug)]
pub struct SplitTasks<T>(JoinSet<Result<T>>);

impl<T: Send + 'static> SplitTasks<T> {
    #[expect(clippy::new_without_default, reason = "nothing wants tasks without spawning them")]
    pub fn new() -> Self {
        Self(JoinSet::new())
    }

    pub fn spawn(&mut self, work: impl Future<Output = Result<T>> + Send + 'static) {
        self.0.spawn(work);
    }

    /// What the next one to end has made; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<T>> {
        let joined = self.0.join_next().await?;
        Some(joined.unwrap_or_else(|error| {
            let message = "a read ended without an answer";
            Err(SourceError::new(SourceErrorKind::Internal, message).with_source(error))
        }))
    }
}

/// One read that goes on, shared by the streams of its partitions.
pub(super) struct SharedRead {
    queue: Arc<Queue>,
    /// Waits for the first partition that is polled.
    work: Mutex<Option<BoxFuture<'static, DataFusionResult<()>>>>,
    task: OnceLock<SpawnedTask<()>>,
}

impl SharedRead {
    /// The work hands over every row, once. Nothing is asked before somebody polls.
    pub fn new<F>(streams: usize, used: Count, work: impl FnOnce(SplitRows) -> F) -> Self
    where
        F: Future<Output = DataFusionResult<()>> + Send + 'static,
    {
        let queue = Arc::new(Queue {
            batches: Mutex::default(),
            room: Semaphore::new(streams.max(1) * BATCHES_PER_STREAM),
            news: Notify::new(),
            streams: used,
            outcome: OnceLock::new(),
        });
        let work = work(SplitRows(queue.clone())).boxed();
        Self { queue, work: Mutex::new(Some(work)), task: OnceLock::new() }
    }

    /// Some rows that no other partition gets; `None` only after the last row of the table.
    pub async fn next(&self) -> DataFusionResult<Option<RecordBatch>> {
        let work = lock(&self.work).take();
        if let Some(work) = work {
            let ending = Ending(self.queue.clone());
            self.task.get_or_init(|| {
                SpawnedTask::spawn(async move {
                    let outcome = work.await;
                    ending.0.end(outcome);
                })
            });
        }
        self.queue.next().await
    }
}

/// Which partitions of a plan belong to which read: each execution of the plan is one read.
#[derive(Default)]
pub(super) struct SplitPlan(Mutex<Option<Round>>);

struct Round {
    taken: Vec<bool>,
    /// Gone when every stream was dropped: then nothing is left for the other partitions.
    read: Weak<SharedRead>,
}

impl SplitPlan {
    /// The read that a partition takes part in; `None` when it was over before.
    pub fn join(
        &self,
        partition: usize,
        partitions: usize,
        start: impl FnOnce() -> SharedRead,
    ) -> Option<Arc<SharedRead>> {
        let mut round = lock(&self.0);
        if let Some(Round { taken, read }) = round.as_mut()
            && let Some(is_taken @ false) = taken.get_mut(partition)
        {
            *is_taken = true;
            return read.upgrade();
        }
        // The plan runs again from the beginning.
        let read = Arc::new(start());
        let mut taken = vec![false; partitions];
        if let Some(is_taken) = taken.get_mut(partition) {
            *is_taken = true;
        }
        *round = Some(Round { taken, read: Arc::downgrade(&read) });
        Some(read)
    }
}

impl fmt::Debug for SplitPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SplitPlan")
    }
}
