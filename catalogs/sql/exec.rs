//! One remote statement in a physical plan.

use std::{fmt, sync::Arc, time::Instant};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    common::{
        Result as DataFusionResult, Statistics, internal_err, stats::Precision,
        tree_node::TreeNodeRecursion,
    },
    error::DataFusionError,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs,
        execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions},
        metrics::{
            BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time,
        },
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{Stream, StreamExt, TryStreamExt};

use super::{
    RemoteQuery, RemoteSplit, RemoteSql, Sql,
    ir::Query,
    render::render,
    split::{SharedRead, SplitPlan},
    statistics,
};
use crate::{QueryLabel, SourceError, SourceErrorKind};

/// Runs a [`Query`] at its source. `EXPLAIN` shows the statement, `EXPLAIN ANALYZE` what came back.
#[derive(Debug, Clone)]
pub struct RemoteExec {
    remote: Arc<dyn RemoteSql>,
    relation: Arc<str>,
    query: Query,
    sql: Sql,
    schema: SchemaRef,
    estimates: Arc<Statistics>,
    takes_limit: bool,
    notes: Vec<String>,
    split: Option<Split>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// How a large table is read.
#[derive(Debug, Clone)]
struct Split {
    pages: u64,
    streams: usize,
    plan: Arc<SplitPlan>,
}

impl RemoteExec {
    /// `schema` is what the query's columns decode to. Fails when the dialect can't write the
    /// query; filters that it can't write were refused before.
    pub fn new(
        remote: Arc<dyn RemoteSql>,
        relation: Arc<str>,
        query: Query,
        schema: SchemaRef,
        estimates: Statistics,
    ) -> DataFusionResult<Self> {
        let Some(sql) = render(remote.dialect(), &query) else {
            let message = format!("no statement for \"{relation}\" can be written");
            let hint = "Names with a NUL character and very long statements are refused.";
            return Err(SourceError::new(SourceErrorKind::Rejected, message)
                .with_hint(hint)
                .into());
        };
        let properties = properties(&schema, 1);
        Ok(Self {
            remote,
            relation,
            query,
            sql,
            schema,
            estimates: Arc::new(estimates),
            takes_limit: false,
            notes: Vec::new(),
            split: None,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// Allows that a LIMIT above is sent along. No filter above may be left when it is.
    pub(super) fn with_limit_pushdown(self, takes_limit: bool) -> Self {
        Self { takes_limit, ..self }
    }

    /// Says in EXPLAIN why nodes above run here.
    pub(super) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// Reads the table by several connections, if it has pages enough and the source can. At most
    /// `partitions` of them: more would wait for somebody to take their rows.
    pub(super) fn with_split_read(mut self, pages: u64, partitions: usize) -> Self {
        let streams = match self.remote.split_read() {
            Some(reader) if self.query.is_plain() => reader.streams(pages).min(partitions),
            Some(_) | None => 1,
        };
        if streams > 1 {
            self.split = Some(Split { pages, streams, plan: Arc::default() });
            self.properties = properties(&self.schema, streams);
        }
        self
    }

    /// The statement, without the label of a query.
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The rows of the one statement.
    fn whole(
        &self,
        label: Option<Arc<QueryLabel>>,
    ) -> impl Stream<Item = DataFusionResult<RecordBatch>> + Send + 'static {
        let sql = match label {
            Some(label) => self.sql.labelled(&label),
            None => self.sql.clone(),
        };
        let (schema, relation) = (self.schema.clone(), self.relation.clone());
        let (remote, query) = (self.remote.clone(), RemoteQuery { sql, schema, relation });
        futures::stream::once(async move { remote.query(query).await })
            .map_err(DataFusionError::from)
            .try_flatten()
    }

    fn parts(&self, split: &Split, label: Option<Arc<QueryLabel>>) -> SharedRead {
        let split = RemoteSplit {
            query: self.query.clone(),
            label,
            schema: self.schema.clone(),
            relation: self.relation.clone(),
            pages: split.pages,
            streams: split.streams,
        };
        SharedRead::new(self.remote.clone(), split)
    }

    fn estimated_rows(&self) -> String {
        match self.estimates.num_rows {
            Precision::Exact(rows) | Precision::Inexact(rows) => rows.to_string(),
            Precision::Absent => "unknown".to_owned(),
        }
    }
}

/// What one partition takes of a shared read.
fn rows_of(read: Arc<SharedRead>) -> impl Stream<Item = DataFusionResult<RecordBatch>> + Send {
    futures::stream::try_unfold(read, |read| async move {
        Ok(read.next().await?.map(|batch| (batch, read)))
    })
}

fn properties(schema: &SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema.clone()),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

impl DisplayAs for RemoteExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (catalog, rows, sql) = (self.remote.catalog(), self.estimated_rows(), &self.sql);
        let (between, start) = match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => (", ", "RemoteExec: "),
            DisplayFormatType::TreeRender => ("\n", ""),
        };
        write!(f, "{start}catalog={catalog}{between}estimated_rows={rows}")?;
        if let Some(Split { streams, .. }) = self.split {
            write!(f, "{between}streams={streams}")?;
        }
        write!(f, "{between}sql={sql}")?;
        self.notes.iter().try_for_each(|note| write!(f, "{between}not pushed: {note}"))
    }
}

impl ExecutionPlan for RemoteExec {
    fn name(&self) -> &str {
        Self::static_name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if !children.is_empty() {
            return internal_err!("a remote statement has no children");
        }
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if !children.is_empty() {
            return internal_err!("a remote statement has no children");
        }
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let partitions = self.properties.partitioning.partition_count();
        if partition >= partitions {
            return internal_err!("a remote statement has no partition {partition}");
        }
        let label = context.session_config().get_extension::<QueryLabel>();
        let mut tally = Tally::new(&self.metrics, partition);
        let batches = match &self.split {
            None => self.whole(label).boxed(),
            Some(split) => {
                match split.plan.join(partition, partitions, || self.parts(split, label)) {
                    Some(read) => rows_of(read).boxed(),
                    None => futures::stream::empty().boxed(),
                }
            }
        };
        let batches = batches.map(move |batch| batch.inspect(|batch| tally.add(batch)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DataFusionResult<Arc<Statistics>> {
        match (args.partition(), &self.split) {
            (None, _) | (Some(0), None) => Ok(self.estimates.clone()),
            (Some(_), _) => Ok(statistics::unknown(&self.schema)),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let limit = limit.filter(|_| self.takes_limit)? as u64;
        let mut query = self.query.clone();
        query.limit = Some(query.limit.map_or(limit, |own| own.min(limit)));
        let rows = usize::try_from(query.limit?).ok();
        let estimates = self.estimates.as_ref().clone().with_fetch(rows, 0, 1).ok()?;
        let (remote, relation) = (self.remote.clone(), self.relation.clone());
        let exec = Self::new(remote, relation, query, self.schema.clone(), estimates).ok()?;
        Some(Arc::new(exec.with_limit_pushdown(true).with_notes(self.notes.clone())))
    }

    fn fetch(&self) -> Option<usize> {
        self.query.limit.and_then(|limit| usize::try_from(limit).ok())
    }
}

/// Counts what came back, until the stream ends or is dropped.
struct Tally {
    baseline: BaselineMetrics,
    bytes: Count,
    elapsed: Time,
    started: Instant,
}

impl Tally {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            bytes: MetricBuilder::new(metrics).counter("remote_bytes", partition),
            elapsed: MetricBuilder::new(metrics).subset_time("remote_time", partition),
            started: Instant::now(),
        }
    }

    fn add(&mut self, batch: &RecordBatch) {
        self.baseline.record_output(batch.num_rows());
        let bytes = batch.columns().iter().map(|column| column.get_array_memory_size());
        self.bytes.add(bytes.sum());
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.elapsed.add_elapsed(self.started);
    }
}
