use std::{any::Any, fmt, sync::Arc};

use arrow::error::ArrowError;
use datafusion::{
    common::{Statistics, tree_node::TreeNodeRecursion},
    config::ConfigOptions,
    datasource::source::{DataSource, OpenArgs},
    error::{DataFusionError, Result as EngineResult},
    execution::TaskContext,
    physical_expr::{
        EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr,
        expressions::DynamicFilterPhysicalExpr,
    },
    physical_plan::{
        DisplayFormatType, Partitioning, SendableRecordBatchStream, SortOrderPushdownResult,
        execution_plan::SchedulingType, filter_pushdown::FilterPushdownPropagation,
        metrics::ExecutionPlanMetricsSet, projection::ProjectionExprs,
        stream::RecordBatchStreamAdapter,
    },
};
use futures::TryStreamExt;

use super::{sieve, table::ReadableTable};
use crate::{SourceError, SourceErrorKind};

/// A scan of DataFusion's whose errors say what was read, and are a source's errors: its decoders
/// know neither the file nor the table. It also drops the rows that operators above have told it
/// are of no use, which the inner scan only does for whole pages.
#[derive(Debug)]
pub(super) struct NamedScan {
    inner: Arc<dyn DataSource>,
    table: Arc<ReadableTable>,
    /// `file "a.parquet"` or `table "s.t"`.
    what: Arc<str>,
    /// What is checked above, over the columns of the scan.
    first: Option<Arc<dyn PhysicalExpr>>,
    /// What operators above have told, over the columns of the scan.
    filters: Vec<Arc<dyn PhysicalExpr>>,
}

impl NamedScan {
    /// `first`: a filter over the columns of the scan that stays above it.
    pub(super) fn new(
        inner: Arc<dyn DataSource>,
        table: Arc<ReadableTable>,
        what: Arc<str>,
        first: Option<Arc<dyn PhysicalExpr>>,
    ) -> Self {
        Self { inner, table, what, first, filters: Vec::new() }
    }

    pub(super) fn inner(&self) -> &dyn DataSource {
        self.inner.as_ref()
    }

    pub(super) fn table(&self) -> &Arc<ReadableTable> {
        &self.table
    }

    fn around(&self, inner: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        Arc::new(self.with(inner, self.first.clone(), self.filters.clone()))
    }

    fn with(
        &self,
        inner: Arc<dyn DataSource>,
        first: Option<Arc<dyn PhysicalExpr>>,
        filters: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Self {
        let (table, what) = (Arc::clone(&self.table), Arc::clone(&self.what));
        Self { inner, table, what, first, filters }
    }

    fn named(&self, stream: SendableRecordBatchStream, rows: usize) -> SendableRecordBatchStream {
        let what = Arc::clone(&self.what);
        let schema = stream.schema();
        let stream = stream.map_err(move |error| named_error(&what, error));
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema, stream));
        // Rows that count for a limit are not looked at.
        if self.filters.is_empty() || self.inner.fetch().is_some() {
            return stream;
        }
        sieve::sieve(stream, self.first.clone(), self.filters.clone(), rows)
    }
}

/// Errors of ours and of the engine's limits pass; those of decoders become ours.
fn named_error(what: &str, error: DataFusionError) -> DataFusionError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner.is::<SourceError>() {
            return error;
        }
        cause = inner.source();
    }
    // Other errors of Arrow are those of expressions, which the scan evaluates too.
    let is_damage = match error.find_root() {
        DataFusionError::ParquetError(_) => true,
        DataFusionError::ArrowError(error, _) => matches!(**error, ArrowError::ParquetError(_)),
        _ => false,
    };
    if !is_damage {
        return error;
    }
    let message = format!("{what} can't be read: its data is damaged");
    SourceError::new(SourceErrorKind::Rejected, message).with_source(error).into()
}

impl DataSource for NamedScan {
    fn open(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        let rows = context.session_config().batch_size();
        Ok(self.named(self.inner.open(partition, context)?, rows))
    }

    fn open_with_args(&self, args: OpenArgs) -> EngineResult<SendableRecordBatchStream> {
        let rows = args.context.session_config().batch_size();
        Ok(self.named(self.inner.open_with_args(args)?, rows))
    }

    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as(format, f)
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        min_size: usize,
        ordering: Option<LexOrdering>,
    ) -> EngineResult<Option<Arc<dyn DataSource>>> {
        let inner = self.inner.repartitioned(target_partitions, min_size, ordering)?;
        Ok(inner.map(|inner| self.around(inner)))
    }

    fn output_partitioning(&self) -> Partitioning {
        self.inner.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.inner.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.inner.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> EngineResult<Arc<Statistics>> {
        self.inner.partition_statistics(partition)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        self.inner.with_fetch(limit).map(|inner| self.around(inner))
    }

    fn fetch(&self) -> Option<usize> {
        self.inner.fetch()
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> EngineResult<Option<Arc<dyn DataSource>>> {
        let Some(inner) = self.inner.try_swapping_with_projection(projection)? else {
            return Ok(None);
        };
        // The columns are others now.
        Ok(Some(Arc::new(self.with(inner, None, Vec::new()))))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> EngineResult<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let dynamic = filters.iter().filter(|filter| filter.is::<DynamicFilterPhysicalExpr>());
        let known = self.filters.iter().chain(dynamic).cloned().collect();
        let mut result = self.inner.try_pushdown_filters(filters, config)?;
        if let Some(inner) = result.updated_node.take() {
            result.updated_node = Some(Arc::new(self.with(inner, self.first.clone(), known)));
        }
        Ok(result)
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> EngineResult<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        Ok(self.inner.try_pushdown_sort(order)?.map(|inner| self.around(inner)))
    }

    fn with_preserve_order(&self, preserve_order: bool) -> Option<Arc<dyn DataSource>> {
        self.inner.with_preserve_order(preserve_order).map(|inner| self.around(inner))
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        self.inner.apply_expressions(visit)
    }

    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn DataSource>> {
        self.inner.with_new_state(state).map(|inner| self.around(inner))
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        self.inner.create_sibling_state(config)
    }
}
