//! One remote statement in a physical plan.

use std::{any::Any, collections::HashSet, fmt, sync::Arc, time::Instant};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    common::{
        Result as DataFusionResult, Statistics, config::ConfigOptions, internal_err,
        stats::Precision, tree_node::TreeNodeRecursion,
    },
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{EquivalenceProperties, PhysicalExpr, expressions::DynamicFilterPhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, EmptyRecordBatchStream, ExecutionPlan, Partitioning,
        PlanProperties, StatisticsArgs, apply_expression_roots,
        execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions},
        filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation},
        metrics::{
            BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time,
        },
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{Stream, StreamExt, TryStreamExt};

use super::{
    RemoteQuery, RemoteSplit, RemoteSql, Sql,
    ir::{From, Output, Query, Scalar},
    keys::{self, Keys},
    pushdown::RemoteValue,
    render::render,
    split::{SharedRead, SplitPlan, SplitRows},
    statistics,
};
use crate::{CatalogName, QueryLabel, SourceError, SourceErrorKind, TableStatistics};

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
    split: Option<Split>,
    join_keys: Option<JoinKeyFilters>,
    notes: Vec<String>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// Filters whose values are found while the query runs.
#[derive(Debug, Clone)]
struct JoinKeyFilters {
    /// What the columns of the answer are, in terms of the query's FROM.
    values: Arc<[RemoteValue]>,
    filters: Vec<Arc<DynamicFilterPhysicalExpr>>,
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
            split: None,
            join_keys: None,
            notes: Vec::new(),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// Allows that a LIMIT above is sent along. No filter above may be left when it is.
    pub(super) fn with_limit_pushdown(self, takes_limit: bool) -> Self {
        Self { takes_limit, ..self }
    }

    /// Reads the table by several connections, if it has pages enough and the source can. At most
    /// `partitions` of them: more would wait for somebody to take their rows.
    pub fn with_split_read(mut self, table: &TableStatistics, partitions: usize) -> Self {
        let streams = match (self.remote.split_read(), table.pages) {
            (Some(reader), Some(pages)) if self.query.is_plain() && self.is_most_of(table) => {
                reader.streams(pages).min(partitions)
            }
            _ => 1,
        };
        if streams > 1 {
            let pages = table.pages.unwrap_or_default();
            self.split = Some(Split { pages, streams, plan: Arc::default() });
            self.properties = properties(&self.schema, streams);
        }
        self
    }

    /// Whether a statement that reads all pages is no worse than one that may use an index.
    fn is_most_of(&self, table: &TableStatistics) -> bool {
        /// Of the rows, a tenth: about where PostgreSQL itself prefers to read a table whole.
        const PART: usize = 10;
        let all = table.rows.and_then(|rows| usize::try_from(rows).ok());
        match (self.estimates.num_rows.get_value(), all) {
            (Some(rows), Some(all)) => rows.saturating_mul(PART) >= all,
            _ => false,
        }
    }

    /// Lets the keys of joins limit the statement. `values` are what the columns of the answer are, in
    /// their order and in terms of the query's FROM.
    pub fn with_join_keys(mut self, values: Vec<RemoteValue>) -> Self {
        self.join_keys = Some(JoinKeyFilters { values: values.into(), filters: Vec::new() });
        self
    }

    pub(super) fn has_filters(&self) -> bool {
        self.join_keys.as_ref().is_some_and(|keys| !keys.filters.is_empty())
    }

    /// Keeps the filters with these ids.
    pub(super) fn with_filters_of(&self, ids: &HashSet<u64>) -> Self {
        let mut exec = self.fresh();
        if let Some(keys) = &mut exec.join_keys {
            keys.filters
                .retain(|filter| filter.expression_id().is_some_and(|id| ids.contains(&id)));
        }
        exec
    }

    /// The same, not yet executed.
    fn fresh(&self) -> Self {
        let split = self.split.as_ref().map(|split| Split { plan: Arc::default(), ..*split });
        Self { split, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }
    }

    /// Says in EXPLAIN why nodes above run here.
    pub(super) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// The statement, without the label of a query.
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Whose statement it is.
    pub fn catalog(&self) -> &CatalogName {
        self.remote.catalog()
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The read of one execution, for all its partitions.
    fn read(&self, label: Option<Arc<QueryLabel>>, tally: &Tally) -> Read {
        let Self { remote, relation, query, sql, schema, estimates, join_keys, split, .. } =
            self.clone();
        Read {
            estimates,
            remote,
            relation,
            query,
            sql,
            schema,
            label,
            join_keys: join_keys.filter(|keys| !keys.filters.is_empty()),
            split,
            keys: tally.keys.clone(),
            streams: tally.streams.clone(),
        }
    }

    fn estimated_rows(&self) -> String {
        match self.estimates.num_rows {
            Precision::Exact(rows) | Precision::Inexact(rows) => rows.to_string(),
            Precision::Absent => "unknown".to_owned(),
        }
    }
}

/// What one execution needs, on whichever task it runs.
struct Read {
    remote: Arc<dyn RemoteSql>,
    relation: Arc<str>,
    query: Query,
    sql: Sql,
    schema: SchemaRef,
    estimates: Arc<Statistics>,
    label: Option<Arc<QueryLabel>>,
    join_keys: Option<JoinKeyFilters>,
    split: Option<Split>,
    keys: Count,
    streams: Count,
}

impl Read {
    /// By one statement.
    async fn whole(mut self) -> DataFusionResult<SendableRecordBatchStream> {
        match self.wait_for_keys().await? {
            Wanted::Nothing => Ok(Box::pin(EmptyRecordBatchStream::new(self.schema))),
            Wanted::Some | Wanted::Most | Wanted::Everything => self.ask().await,
        }
    }

    /// By several connections, unless keys are looked up: an index may find those.
    async fn parts(mut self, rows: SplitRows) -> DataFusionResult<()> {
        let remote = self.remote.clone();
        match (self.wait_for_keys().await?, remote.split_read(), &self.split) {
            (Wanted::Nothing, _, _) => Ok(()),
            (Wanted::Everything | Wanted::Most, Some(reader), Some(split)) => {
                let split = RemoteSplit {
                    query: self.query,
                    label: self.label,
                    schema: self.schema,
                    relation: self.relation,
                    pages: split.pages,
                    streams: split.streams,
                };
                Ok(reader.read(Arc::new(split), rows).await?)
            }
            _ => {
                rows.add_stream();
                let mut batches = self.request().await?;
                while let Some(batch) = batches.next().await {
                    rows.send(batch?).await;
                }
                Ok(())
            }
        }
    }

    /// Puts the keys of joins into the statement. A statement that would become too long stays.
    async fn wait_for_keys(&mut self) -> DataFusionResult<Wanted> {
        let Some(JoinKeyFilters { values, filters }) = self.join_keys.take() else {
            return Ok(Wanted::Everything);
        };
        let dialect = self.remote.dialect();
        let mut query = self.query.clone();
        let Some(values) = enclose(&mut query, &values) else { return Ok(Wanted::Everything) };
        match keys::wait(&filters, &self.schema, &values, &self.estimates, dialect).await? {
            Keys::Nothing => Ok(Wanted::Nothing),
            Keys::Everything => Ok(Wanted::Everything),
            Keys::Some { predicate, count, part } => {
                // A range that nearly every row is in costs the source more than it saves.
                if count == 0 && part > USELESS {
                    return Ok(Wanted::Everything);
                }
                let is_plain = query.is_plain();
                query.and(predicate);
                let Some(sql) = render(dialect, &query) else { return Ok(Wanted::Everything) };
                self.keys.add(count);
                (self.query, self.sql) = (query, sql);
                let is_most = is_plain && part > MOST && count <= SHORT_LIST;
                Ok(if is_most { Wanted::Most } else { Wanted::Some })
            }
        }
    }

    async fn ask(self) -> DataFusionResult<SendableRecordBatchStream> {
        self.streams.add(1);
        self.request().await
    }

    async fn request(self) -> DataFusionResult<SendableRecordBatchStream> {
        let sql = match self.label {
            Some(label) => self.sql.labelled(&label),
            None => self.sql,
        };
        let query = RemoteQuery { sql, schema: self.schema, relation: self.relation };
        Ok(self.remote.query(query).await?)
    }
}

/// Makes a query take one more condition, and answers what its columns are then: a group and a LIMIT
/// are made before the condition. `None`: its columns can't be told apart.
fn enclose(query: &mut Query, values: &[RemoteValue]) -> Option<Vec<RemoteValue>> {
    if query.is_open() {
        return Some(values.to_vec());
    }
    let mut seen = HashSet::new();
    if !query.columns.iter().all(|column| seen.insert(&column.name)) {
        return None;
    }
    let columns: Vec<_> = query.columns.iter().map(|column| column.name.clone()).collect();
    let values = values.iter().zip(&columns).map(|(value, name)| value.named(name)).collect();
    let columns = columns.into_iter();
    let columns = columns.map(|name| Output { value: Scalar::Column(name.clone()), name });
    let inner = From::Level(Box::new(query.clone()));
    *query = Query { columns: columns.collect(), ..Query::all_of(inner) };
    Some(values)
}

enum Wanted {
    Nothing,
    /// The rows with the keys that are in the statement now.
    Some,
    /// The same, and they are so many that all pages are read.
    Most,
    Everything,
}

/// Parts of the rows, as far as the range of the keys tells.
const MOST: f64 = 0.1;
const USELESS: f64 = 0.95;
/// Keys that every statement of a read in parts may repeat.
const SHORT_LIST: usize = 1000;

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
        if self.has_filters() {
            write!(f, "{between}join_keys=true")?;
        }
        write!(f, "{between}sql={sql}")?;
        self.notes.iter().try_for_each(|note| write!(f, "; not pushed: {note}"))
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
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        // A join completes only the filters that it finds here.
        let filters = self.join_keys.iter().flat_map(|keys| &keys.filters);
        apply_expression_roots(filters.map(|filter| filter.clone() as Arc<dyn PhysicalExpr>), visit)
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let mut exec = self.fresh();
        let (FilterPushdownPhase::Post, Some(keys)) = (phase, &mut exec.join_keys) else {
            return Ok(FilterPushdownPropagation::all_unsupported(result));
        };
        let filters = result.parent_filters.iter().map(|parent| parent.filter.clone());
        let filters = filters.filter_map(|filter| {
            Arc::downcast::<DynamicFilterPhysicalExpr>(filter as Arc<dyn Any + Send + Sync>).ok()
        });
        keys.filters.extend(filters);
        // A superset comes back: the join still has to look at every row.
        let answer = FilterPushdownPropagation::all_unsupported(result);
        Ok(if exec.has_filters() { answer.with_updated_node(Arc::new(exec)) } else { answer })
    }

    fn reset_state(self: Arc<Self>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.fresh()))
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
        let read = self.read(label, &tally);
        let batches = match &self.split {
            None => {
                tally.time();
                futures::stream::once(read.whole()).try_flatten().boxed()
            }
            Some(Split { streams, plan, .. }) => {
                let start = || {
                    tally.time();
                    SharedRead::new(*streams, read.streams.clone(), |rows| read.parts(rows))
                };
                match plan.join(partition, partitions, start) {
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
        let limit = limit.filter(|_| self.takes_limit && !self.has_filters())? as u64;
        let mut query = self.query.clone();
        query.limit = Some(query.limit.map_or(limit, |own| own.min(limit)));
        let rows = usize::try_from(query.limit?).ok();
        let estimates = self.estimates.as_ref().clone().with_fetch(rows, 0, 1).ok()?;
        let (remote, relation) = (self.remote.clone(), self.relation.clone());
        let mut exec = Self::new(remote, relation, query, self.schema.clone(), estimates).ok()?;
        exec.join_keys.clone_from(&self.join_keys);
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
    /// Values of join keys in the statement.
    keys: Count,
    /// Connections that read.
    streams: Count,
    /// Of a read, whichever of its partitions began it: from the call to the first rows, and to the
    /// end.
    times: Option<(Time, Time)>,
    has_rows: bool,
    metrics: ExecutionPlanMetricsSet,
    partition: usize,
    started: Instant,
}

impl Tally {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            bytes: counter("remote_bytes"),
            keys: counter("join_keys"),
            streams: counter("streams"),
            times: None,
            has_rows: false,
            metrics: metrics.clone(),
            partition,
            started: Instant::now(),
        }
    }

    /// This stream begins the read.
    fn time(&mut self) {
        let time = |name| MetricBuilder::new(&self.metrics).subset_time(name, self.partition);
        self.times = Some((time("remote_first_row_time"), time("remote_time")));
    }

    fn add(&mut self, batch: &RecordBatch) {
        self.baseline.record_output(batch.num_rows());
        let bytes = batch.columns().iter().map(|column| column.get_array_memory_size());
        self.bytes.add(bytes.sum());
        if let Some((first, _)) = self.times.as_ref().filter(|_| !self.has_rows) {
            first.add_elapsed(self.started);
        }
        self.has_rows = true;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some((_, total)) = &self.times {
            total.add_elapsed(self.started);
        }
    }
}
