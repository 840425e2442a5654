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
use futures::{StreamExt, TryStreamExt};

use super::{RemoteQuery, RemoteSql, Sql, ir::Query, render::render, statistics};
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
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
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
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            remote,
            relation,
            query,
            sql,
            schema,
            estimates: Arc::new(estimates),
            takes_limit: false,
            notes: Vec::new(),
            properties: Arc::new(properties),
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

    /// The statement, without the label of a query.
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    fn estimated_rows(&self) -> String {
        match self.estimates.num_rows {
            Precision::Exact(rows) | Precision::Inexact(rows) => rows.to_string(),
            Precision::Absent => "unknown".to_owned(),
        }
    }
}

impl DisplayAs for RemoteExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (catalog, rows, sql) = (self.remote.catalog(), self.estimated_rows(), &self.sql);
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "RemoteExec: catalog={catalog}, estimated_rows={rows}, sql={sql}")?;
                self.notes.iter().try_for_each(|note| write!(f, "; not pushed: {note}"))
            }
            DisplayFormatType::TreeRender => {
                write!(f, "catalog={catalog}\nestimated_rows={rows}\nsql={sql}")
            }
        }
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
        if partition != 0 {
            return internal_err!("a remote statement has no partition {partition}");
        }
        let sql = match context.session_config().get_extension::<QueryLabel>() {
            Some(label) => self.sql.labelled(&label),
            None => self.sql.clone(),
        };
        let remote = self.remote.clone();
        let query =
            RemoteQuery { sql, schema: self.schema.clone(), relation: self.relation.clone() };
        let mut tally = Tally::new(&self.metrics, partition);
        let batches = futures::stream::once(async move { remote.query(query).await })
            .map_err(DataFusionError::from)
            .try_flatten()
            .map(move |batch| batch.inspect(|batch| tally.add(batch)));
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
        match args.partition() {
            None | Some(0) => Ok(self.estimates.clone()),
            Some(_) => Ok(statistics::unknown(&self.schema)),
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
