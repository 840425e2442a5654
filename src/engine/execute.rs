//! An authorized plan to a stream of rows.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    common::ParamValues,
    execution::{
        FunctionRegistry, SessionState, SessionStateBuilder, TaskContext,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::LogicalPlan,
    physical_optimizer::PhysicalOptimizerRule,
    prelude::SessionConfig,
    scalar::ScalarValue,
};
use futures::{FutureExt, Stream, StreamExt};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;
use weir_catalogs::{
    QueryLabel,
    sql::{JoinKeys, PushdownMode},
};

use super::{AuthorizedPlan, Engine, EngineLimits, Planned};
use crate::policy::{PolicyTable, VerifiedPlan, verify};
use crate::{
    admission::{ParkedQuery, QueryMemory, QuerySlot, QuerySlots},
    audit::{QueryRecord, Running},
    error::{Error, ErrorKind, Result},
};

/// Batches that may wait between the query and its reader: enough to keep both busy.
const BUFFERED_BATCHES: usize = 2;

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// What one execution of one statement needs to know of its session.
#[derive(Debug, Clone)]
pub struct QueryContext {
    pub label: QueryLabel,
    pub cancel: CancellationToken,
    /// For the whole stream, or up to where it is parked, from now; `None`: as long as it takes.
    pub timeout: Option<Duration>,
    pub pushdown: PushdownMode,
    /// An IANA name or an offset, as SET TIME ZONE took it.
    pub time_zone: String,
}

/// The part of the engine's state that no session changes.
pub(super) fn base_state(limits: &EngineLimits) -> Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.worker_threads.max(1))
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .set_bool("datafusion.execution.parquet.enable_page_index", true);
    JoinKeys::configure(config.options_mut());
    let disk = DiskManagerBuilder::default().with_max_temp_directory_size(limits.spill_size);
    let disk = disk.with_mode(match &limits.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::Disabled,
    });
    let runtime = RuntimeEnvBuilder::new()
        .with_disk_manager_builder(disk)
        // A list of files that is remembered is a list that is wrong.
        .with_object_list_cache_limit(0)
        .build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_analyzer_rules(crate::meaning::analyzer_rules())
        .with_optimizer_rules(crate::federation::optimizer_rules())
        .with_physical_optimizer_rules(physical_optimizer_rules())
        .build();
    let planners = crate::meaning::expression_planners(state.expr_planners().to_vec());
    let mut state =
        SessionStateBuilder::new_from_existing(state).with_expr_planners(planners).build();
    for function in crate::meaning::functions() {
        // With its other names, by which the engine's own would come back.
        state.deregister_udf(function.name())?;
        state.register_udf(function)?;
    }
    Ok(state)
}

fn physical_optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = crate::federation::physical_optimizer_rules();
    rules.push(Arc::new(JoinKeys));
    rules.push(Arc::new(super::interrupt::YieldInJoins));
    rules.extend(crate::policy::faulty_rules());
    rules
}

impl Engine {
    /// The state for one query: its label, its mode, its own memory.
    pub fn query_state(&self, context: &QueryContext) -> Result<SessionState> {
        let mut config = self
            .state
            .config()
            .clone()
            .with_extension(Arc::new(context.label.clone()))
            .with_extension(Arc::new(context.pushdown));
        config.options_mut().execution.time_zone = Some(context.time_zone.clone());
        let memory = Arc::new(QueryMemory::new(Arc::clone(&self.memory)));
        let runtime = RuntimeEnvBuilder::from_runtime_env(self.state.runtime_env())
            .with_memory_pool(memory)
            .build_arc()?;
        let mut state = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_config(config)
            .with_runtime_env(runtime)
            .build();
        // What now() answers.
        state.mark_start_execution();
        Ok(state)
    }

    /// Puts values in the place of `$1`, `$2`, … as literals of the types that were planned.
    pub fn bind(&self, planned: &Planned, values: Vec<ScalarValue>) -> Result<LogicalPlan> {
        if values.len() != planned.parameters.len() {
            return Err(Error::new(
                ErrorKind::ProtocolViolation,
                format!(
                    "the statement has {} parameters, but {} values were bound",
                    planned.parameters.len(),
                    values.len()
                ),
            ));
        }
        if values.is_empty() {
            return Ok(planned.plan.clone());
        }
        let values = values.into_iter().map(Into::into).collect();
        let bound = planned.plan.clone().replace_params_with_values(&ParamValues::List(values))?;
        Ok(bound.recompute_schema()?)
    }

    /// Waits for a place, then runs. Dropping the stream stops the query, here and at its sources.
    pub async fn run(
        &self,
        plan: AuthorizedPlan,
        state: SessionState,
        context: &QueryContext,
        record: QueryRecord<Running>,
    ) -> Result<RowStream> {
        let mut deadline = Deadline::new(context);
        let slot = deadline.hold(self.slots.admit()).await?;
        let schema = Arc::clone(plan.plan().schema().inner());
        let task_context = Arc::new(TaskContext::from(&state));
        let prepare = physical_plan(plan, state);
        self.start(schema, slot, deadline, record, move |sender| async move {
            let plan = prepare.await?;
            send_all(plan, task_context, &sender).await
        })
    }

    /// As [`Engine::run`], for the text that describes the plan.
    pub async fn run_explain(
        &self,
        options: super::ExplainOptions,
        plan: AuthorizedPlan,
        state: SessionState,
        context: &QueryContext,
        record: QueryRecord<Running>,
    ) -> Result<RowStream> {
        let mut deadline = Deadline::new(context);
        let slot = deadline.hold(self.slots.admit()).await?;
        let task_context = Arc::new(TaskContext::from(&state));
        let logical = plan.plan().clone();
        let prepare = physical_plan(plan, state);
        self.start(options.schema(), slot, deadline, record, move |sender| async move {
            let plan = prepare.await?;
            let started = std::time::Instant::now();
            if options.analyze {
                let mut rows = plan.execute(task_context)?;
                while let Some(batch) = rows.next().await {
                    batch?;
                }
            }
            let text = super::explain::lines(&options, &logical, plan.plan(), started.elapsed())?;
            let _ = sender.send(Item::Batch(text)).await;
            Ok(())
        })
    }

    fn start<F, W>(
        &self,
        schema: SchemaRef,
        slot: QuerySlot,
        deadline: Deadline,
        record: QueryRecord<Running>,
        work: F,
    ) -> Result<RowStream>
    where
        F: FnOnce(mpsc::Sender<Item>) -> W + Send + 'static,
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(BUFFERED_BATCHES);
        let mut tasks = JoinSet::new();
        tasks.spawn_on(
            async move {
                let last = match work(sender.clone()).await {
                    Ok(()) => Item::End,
                    Err(error) => Item::Error(Box::new(error)),
                };
                let _ = sender.send(last).await;
            },
            self.cpu.handle(),
        );
        Ok(RowStream {
            schema,
            receiver,
            tasks,
            deadline,
            record,
            watches: Watches::default(),
            place: Some(Place::Running(slot)),
            slots: Arc::clone(&self.slots),
            is_finished: false,
        })
    }
}

/// Optimizes, chooses operators, and looks whether the outcome is under its policy. Where files are listed, this does IO, so it is not under the
/// planning timeout but under the statement's.
async fn physical_plan(plan: AuthorizedPlan, state: SessionState) -> Result<VerifiedPlan> {
    let pushdown =
        state.config().get_extension::<PushdownMode>().map_or_else(Default::default, |mode| *mode);
    let granted = Arc::clone(plan.granted());
    let plan = state.optimize(plan.plan())?;
    let plan = crate::federation::fold(plan, pushdown, PolicyTable::behind)?;
    let plan = crate::federation::prune(plan, &state)?;
    let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
    verify(plan, &granted)
}

/// One query's output on its way from the query threads to its reader. A channel that closes
/// without [`Item::End`] is a failure: a part is never taken for the whole.
enum Item {
    Batch(RecordBatch),
    End,
    Error(Box<Error>),
}

async fn send_all(
    plan: VerifiedPlan,
    context: Arc<TaskContext>,
    sender: &mpsc::Sender<Item>,
) -> Result<()> {
    let mut rows = plan.execute(context)?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 && sender.send(Item::Batch(batch)).await.is_err() {
            // Nobody reads any more.
            return Ok(());
        }
    }
    Ok(())
}

/// The rows of one query. Dropping it cancels the query.
#[derive(Debug)]
pub struct RowStream {
    schema: SchemaRef,
    receiver: mpsc::Receiver<Item>,
    tasks: JoinSet<()>,
    deadline: Deadline,
    record: QueryRecord<Running>,
    watches: Watches,
    /// `None` once it has ended.
    place: Option<Place>,
    slots: Arc<QuerySlots>,
    is_finished: bool,
}

/// Where a query is counted.
#[derive(Debug)]
enum Place {
    Running(#[allow(dead_code, reason = "held for its Drop")] QuerySlot),
    Parked(#[allow(dead_code, reason = "held for its Drop")] ParkedQuery),
}

/// What must hold for the next rows to be handed out.
#[derive(Default)]
struct Watches(Vec<Box<dyn Fn() -> Result<()> + Send + Sync>>);

impl std::fmt::Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watches").field(&self.0.len()).finish()
    }
}

impl RowStream {
    /// Asks `watch` before each batch. Its error ends the stream: what was granted when the query
    /// began may be revoked before its last row.
    pub fn watched(mut self, watch: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        self.watches.0.push(Box::new(watch));
        self
    }

    /// Asks what each batch asks, for rows that came with an earlier one.
    pub fn look(&mut self) -> Result<()> {
        let outcome = self.watches.0.iter().try_for_each(|watch| watch());
        if let Err(error) = &outcome {
            self.is_finished = true;
            self.place = None;
            self.tasks.abort_all();
            self.record.fail(error.kind);
        }
        outcome
    }

    /// Waits for its client: the query makes room for others, and goes no further than the few
    /// batches that it may hold ready.
    pub fn park(&mut self) {
        self.deadline = Deadline::never();
        if matches!(self.place, Some(Place::Running(_)))
            && let Some(parked) = self.slots.park()
        {
            self.place = Some(Place::Parked(parked));
        }
    }

    /// Goes on after [`RowStream::park`], with the cancel and the timeout of this context.
    pub async fn resume(&mut self, context: &QueryContext) -> Result<()> {
        self.deadline = Deadline::new(context);
        if matches!(self.place, Some(Place::Parked(_))) {
            let slot = self.deadline.hold(self.slots.admit()).await?;
            self.place = Some(Place::Running(slot));
        }
        Ok(())
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch; `None` only after every row has come.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        std::future::poll_fn(|context| self.poll_batch(context)).await
    }

    /// Waits for `work` no longer than the statement may take.
    pub async fn hold<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.deadline.hold(work).await
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        if self.is_finished {
            return Poll::Ready(Ok(None));
        }
        let outcome = match self.deadline.poll(context) {
            Poll::Ready(error) => Err(error),
            Poll::Pending => match self.receiver.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Item::Batch(batch))) => {
                    self.look()?;
                    self.record.add_rows(batch.num_rows());
                    return Poll::Ready(Ok(Some(batch)));
                }
                Poll::Ready(Some(Item::End)) => Ok(None),
                Poll::Ready(Some(Item::Error(error))) => Err(*error),
                Poll::Ready(None) => Err(self.story_of_the_panic()),
            },
        };
        self.is_finished = true;
        self.place = None;
        self.tasks.abort_all();
        match &outcome {
            Ok(_) => self.record.finish(),
            Err(error) => self.record.fail(error.kind),
        }
        Poll::Ready(outcome)
    }

    fn story_of_the_panic(&mut self) -> Error {
        match self.tasks.join_next().now_or_never() {
            Some(Some(Err(panic))) => Error::internal(panic),
            _ => Error::internal("the query's task ended without an answer"),
        }
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_batch(context).map(Result::transpose)
    }
}

/// The end of a statement's time: by its timeout, or by a cancel request.
struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    cancelled: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Deadline {
    fn new(context: &QueryContext) -> Self {
        Self {
            sleep: context
                .timeout
                .map(|timeout| Box::pin(tokio::time::sleep_until(Instant::now() + timeout))),
            cancelled: Box::pin(context.cancel.clone().cancelled_owned()),
        }
    }

    /// Of a stream that nobody reads at the moment.
    fn never() -> Self {
        Self { sleep: None, cancelled: Box::pin(std::future::pending()) }
    }

    /// Ready with the error when the time is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        if self.cancelled.as_mut().poll(context).is_ready() {
            return Poll::Ready(Error::new(
                ErrorKind::Cancelled,
                "canceling statement due to user request",
            ));
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        sleep.as_mut().poll(context).map(|()| {
            Error::new(ErrorKind::Cancelled, "canceling statement due to statement timeout")
                .with_hint("SET statement_timeout changes it, up to limits.query_timeout.")
        })
    }

    async fn hold<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| match self.poll(context) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => work.as_mut().poll(context),
        })
        .await
    }
}

impl std::fmt::Debug for Deadline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deadline").field("has_timeout", &self.sleep.is_some()).finish()
    }
}

/// One column of text, for answers that no source gives: SHOW, EXPLAIN.
pub(crate) fn text_schema(name: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, true)]))
}
