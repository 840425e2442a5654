use std::{collections::HashMap, fmt, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, SchemaRef},
};
use datafusion::{
    common::{Statistics, stats::Precision, tree_node::TreeNodeRecursion},
    error::{DataFusionError, Result as EngineResult},
    execution::TaskContext,
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
        ReplaceChildrenOptions, SendableRecordBatchStream, StatisticsArgs,
        execution_plan::{Boundedness, EmissionType},
        metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::ObjectStore;

use super::{
    arrow_file,
    facts::Facts,
    layout::Format,
    store::malformed,
    table::{Columns, ReadableTable, TableFile},
    text::{self, Piece},
};
use crate::{Result, SourceError};

type Parts = BoxStream<'static, Result<(Vec<ArrayRef>, usize)>>;

/// Reads text and Arrow files: parts of them side by side, each file's columns placed by name.
#[derive(Debug)]
pub(super) struct FileScanExec {
    table: Arc<ReadableTable>,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    projection: Vec<usize>,
    partitions: Vec<Vec<Task>>,
    file_count: usize,
    /// No partition needs more rows than this.
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// A file, or a part of it.
#[derive(Debug, Clone)]
struct Task {
    file: usize,
    piece: Piece,
}

impl FileScanExec {
    pub(super) fn try_new(
        table: Arc<ReadableTable>,
        store: Arc<dyn ObjectStore>,
        schema: SchemaRef,
        projection: Vec<usize>,
        files: Vec<usize>,
        limit: Option<usize>,
        target_partitions: usize,
    ) -> EngineResult<Self> {
        let file_count = files.len();
        let partitions = partitions(&table, &files, target_partitions);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self {
            table,
            store,
            schema,
            projection,
            partitions,
            file_count,
            limit,
            properties,
            metrics,
        })
    }

    pub(super) fn table(&self) -> &Arc<ReadableTable> {
        &self.table
    }
}

/// Deals the parts of all files out to partitions of about the same size, in order.
fn partitions(table: &ReadableTable, files: &[usize], target: usize) -> Vec<Vec<Task>> {
    let tasks: Vec<Task> = files
        .iter()
        .flat_map(|&file| {
            let pieces = match &*table.files[file].facts {
                Facts::Text(facts) => facts.pieces.clone(),
                Facts::Arrow(_) | Facts::Parquet(_) => {
                    let TableFile { meta, facts, .. } = &table.files[file];
                    vec![Piece { range: 0..meta.size, rows: facts.rows() }]
                }
            };
            pieces.into_iter().map(move |piece| Task { file, piece })
        })
        .collect();
    let size = |task: &Task| task.piece.range.end - task.piece.range.start;
    let total: u64 = tasks.iter().map(size).sum();
    let count = target.clamp(1, tasks.len().max(1));
    let share = total / count as u64 + 1;
    let mut partitions = vec![Vec::new(); count];
    let mut before = 0;
    for task in tasks {
        let index = usize::try_from(before / share).unwrap_or(0).min(count - 1);
        before += size(&task);
        partitions[index].push(task);
    }
    partitions
}

impl DisplayAs for FileScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.table.format {
            Format::Arrow => "arrow",
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
            Format::Parquet => "parquet",
        };
        let columns: Vec<_> =
            self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(
            f,
            "FileScanExec: table={}, format={format}, files={} of {}, columns=[{}]",
            self.table.name,
            self.file_count,
            self.table.files.len(),
            columns.join(", ")
        )?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for FileScanExec {
    fn name(&self) -> &str {
        "FileScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    #[allow(deprecated, reason = "the trait still requires it")]
    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> EngineResult<Arc<Statistics>> {
        let partitions = match args.partition() {
            Some(partition) => std::slice::from_ref(&self.partitions[partition]),
            None => &self.partitions,
        };
        let tasks = || partitions.iter().flatten();
        let rows: u64 = tasks().map(|task| task.piece.rows).sum();
        let bytes: u64 = tasks().map(|task| task.piece.range.end - task.piece.range.start).sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        if let (Ok(rows), Ok(bytes)) = (usize::try_from(rows), usize::try_from(bytes)) {
            statistics.num_rows = match self.limit {
                None => Precision::Exact(rows),
                Some(limit) => Precision::Inexact(rows.min(limit)),
            };
            statistics.total_byte_size = Precision::Inexact(bytes);
        }
        Ok(Arc::new(statistics))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        let batch_rows = context.session_config().batch_size();
        let reader = Reader {
            table: Arc::clone(&self.table),
            store: Arc::clone(&self.store),
            schema: Arc::clone(&self.schema),
            projection: self.projection.clone(),
            batch_rows: self.limit.map_or(batch_rows, |limit| limit.clamp(1, batch_rows)),
        };
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes_scanned", partition);
        let limit = self.limit.unwrap_or(usize::MAX);
        let batches = stream::iter(self.partitions[partition].clone())
            .then(move |task| {
                let reader = reader.clone();
                let length = task.piece.range.end - task.piece.range.start;
                bytes.add(usize::try_from(length).unwrap_or(usize::MAX));
                async move { reader.read(task).await }
            })
            .try_flatten()
            .inspect_ok(move |batch| rows.add(batch.num_rows()))
            .map_err(DataFusionError::from);
        let batches = take_rows(batches.boxed(), limit);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

fn take_rows(
    batches: BoxStream<'static, EngineResult<RecordBatch>>,
    limit: usize,
) -> BoxStream<'static, EngineResult<RecordBatch>> {
    stream::try_unfold((batches, limit), |(mut batches, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(batch) = batches.next().await.transpose()? else {
            return Ok(None);
        };
        let batch = batch.slice(0, batch.num_rows().min(left));
        let left = left - batch.num_rows();
        Ok(Some((batch, (batches, left))))
    })
    .boxed()
}

#[derive(Clone)]
struct Reader {
    table: Arc<ReadableTable>,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    projection: Vec<usize>,
    batch_rows: usize,
}

/// Where a column of the result comes from in one file.
#[derive(Clone)]
enum Origin {
    /// The nth column that is read.
    Read(usize),
    Missing,
    Partition(usize),
}

impl Reader {
    async fn read(self, task: Task) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let file = &self.table.files[task.file];
        let (origins, parts) = match (&*file.facts, &self.table.columns) {
            (Facts::Text(facts), Columns::Text(columns)) => {
                let names = facts.columns.iter().map(|(name, _)| name.as_str());
                let (origins, wanted) = self.origins(names, columns.iter().map(|(name, _)| name));
                let wanted =
                    wanted.into_iter().map(|(index, column)| (index, columns[column].1)).collect();
                let (store, meta) = (&self.store, &file.meta);
                let parts: Parts =
                    text::read(store, meta, facts, &task.piece, wanted, self.batch_rows).await?;
                (origins, parts)
            }
            (Facts::Arrow(facts), Columns::Typed(columns)) => {
                let names = facts.columns.iter().map(|(name, _)| name.as_str());
                let (origins, wanted) = self.origins(names, columns.iter().map(|(name, _)| name));
                let wanted = wanted.into_iter().map(|(index, _)| index).collect();
                (origins, arrow_file::read(&self.store, &file.meta, facts, wanted).await?)
            }
            _ => return Err(malformed(&file.meta, "it is not of its table's format")),
        };
        let batches = parts.and_then(move |(columns, rows)| {
            let batch = self.batch(&task, &origins, &columns, rows);
            async move { batch }
        });
        Ok(batches.boxed())
    }

    /// For each projected column its origin, and the columns to read: position in the file, and in
    /// the table.
    fn origins<'a>(
        &self,
        file_names: impl Iterator<Item = &'a str>,
        table_names: impl Iterator<Item = &'a String>,
    ) -> (Vec<Origin>, Vec<(usize, usize)>) {
        let positions: HashMap<&str, usize> =
            file_names.enumerate().map(|(index, name)| (name, index)).collect();
        let table_names: Vec<&String> = table_names.collect();
        let mut wanted = Vec::new();
        let origins = self
            .projection
            .iter()
            .map(|&column| match table_names.get(column) {
                None => Origin::Partition(column - table_names.len()),
                Some(name) => match positions.get(name.as_str()) {
                    None => Origin::Missing,
                    Some(&index) => {
                        wanted.push((index, column));
                        Origin::Read(wanted.len() - 1)
                    }
                },
            })
            .collect();
        (origins, wanted)
    }

    fn batch(
        &self,
        task: &Task,
        origins: &[Origin],
        read: &[ArrayRef],
        rows: usize,
    ) -> Result<RecordBatch> {
        let file = &self.table.files[task.file];
        let columns = origins
            .iter()
            .zip(self.schema.fields())
            .map(|(origin, field)| match origin {
                Origin::Read(index) => widen(file, &read[*index], field.data_type()),
                Origin::Missing => Ok(new_null_array(field.data_type(), rows)),
                Origin::Partition(index) => file.partition_values[*index]
                    .to_array_of_size(rows)
                    .map_err(|error| malformed(&file.meta, error)),
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| malformed(&file.meta, error))
    }
}

/// Casts to the type that all files share. A value that does not fit is an error, never NULL.
fn widen(
    file: &TableFile,
    column: &ArrayRef,
    data_type: &DataType,
) -> Result<ArrayRef, SourceError> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, data_type, &options).map_err(|error| malformed(&file.meta, error))
}
