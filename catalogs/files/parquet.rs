//! Reads Parquet through DataFusion, from footers that are read once and from which everything is
//! removed that would let a filter skip rows that it matches.

use std::{
    collections::HashSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use datafusion::{
    datasource::{
        listing::PartitionedFile,
        physical_plan::{
            ParquetFileReaderFactory,
            parquet::{Int96Coercer, ParquetFileMetrics},
        },
    },
    parquet::{
        DecodeResult,
        arrow::{
            ARROW_SCHEMA_META_KEY, arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader,
            encode_arrow_schema, parquet_to_arrow_schema,
        },
        basic::{LogicalType, Type as PhysicalType},
        errors::ParquetError,
        file::{
            metadata::{
                ColumnChunkMetaData, FileMetaData, KeyValue, PageIndexPolicy, ParquetMetaData,
                ParquetMetaDataBuilder, ParquetMetaDataPushDecoder,
            },
            statistics::Statistics,
        },
    },
    physical_plan::metrics::ExecutionPlanMetricsSet,
};
use futures::{FutureExt, future::BoxFuture};
use object_store::{ObjectMeta, ObjectStore};

use super::{
    estimates::{self, ColumnFacts},
    store::{fetch_ranges, malformed},
    types::{ColumnType, plain},
};
use crate::{Result, SourceError};

/// The first read of a file: most footers fit.
const FOOTER_BYTES: u64 = 64 << 10;
/// Footers kept in memory for one catalog; others are read again by each query.
const MAX_FOOTER_BYTES: usize = 256 << 20;
/// Timestamps of 96 bits reach beyond what nanoseconds in 64 bits hold; microseconds do not.
pub(super) const INT96_UNIT: &str = "us";
const DOUBLE_INTEGERS: u64 = 1 << 53;

/// What the footer of a Parquet file has told.
#[derive(Debug)]
pub(super) struct ParquetFacts {
    pub columns: Vec<(String, ColumnType)>,
    pub rows: u64,
    /// One for each column, or none at all.
    pub estimates: Vec<ColumnFacts>,
    footer: Option<(Arc<ParquetMetaData>, Reserved)>,
}

/// Memory that footers take up, given back when they are dropped.
#[derive(Debug)]
struct Reserved {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Reserved {
    fn try_new(bytes: usize, total: &Arc<AtomicUsize>) -> Option<Self> {
        let reserved = Self { bytes, total: Arc::clone(total) };
        let before = total.fetch_add(bytes, Ordering::Relaxed);
        (before + bytes <= MAX_FOOTER_BYTES).then_some(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

pub(super) async fn inspect(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    footer_bytes: &Arc<AtomicUsize>,
) -> Result<ParquetFacts> {
    let footer = read_footer(store, file).await?;
    let (columns, schema) = columns(&footer).map_err(|why| malformed(file, why))?;
    let group_rows: i64 = footer.row_groups().iter().map(|group| group.num_rows()).sum();
    let rows = u64::try_from(group_rows).map_err(|_| malformed(file, "a row count is negative"))?;
    let footer = Reserved::try_new(footer.memory_size(), footer_bytes)
        .map(|reserved| (Arc::clone(&footer), reserved));
    // They take less memory than the footer, and are kept only with it.
    let estimates =
        footer.as_ref().map_or_else(Vec::new, |(footer, _)| estimates::of_footer(footer, &schema));
    Ok(ParquetFacts { columns, rows, estimates, footer })
}

/// Reads and decodes a footer; decoding runs off the executor, as wide files take their time.
async fn read_footer(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
) -> Result<Arc<ParquetMetaData>> {
    let invalid = |error: ParquetError| malformed(file, &error).with_source(error);
    let mut decoder = ParquetMetaDataPushDecoder::try_new(file.size)
        .map_err(invalid)?
        .with_page_index_policy(PageIndexPolicy::Skip);
    let last = file.size.saturating_sub(FOOTER_BYTES)..file.size;
    let mut wanted = Vec::from([last]);
    let mut tail = None;
    loop {
        let bytes = fetch_ranges(store, file, &wanted).await?;
        if tail.is_none() {
            tail = bytes.first().cloned();
            check_tail(tail.as_deref().unwrap_or_default(), file.size)
                .map_err(|why| malformed(file, why))?;
        }
        decoder.push_ranges(wanted, bytes).map_err(invalid)?;
        let task = tokio::task::spawn_blocking(move || {
            let decoded = decoder.try_decode().map(|result| match result {
                DecodeResult::Data(footer) => Ok(sound(footer)),
                DecodeResult::NeedsData(ranges) => Err(ranges),
                DecodeResult::Finished => Err(Vec::new()),
            });
            (decoder, decoded)
        });
        let decoded;
        // A footer made of arbitrary bytes may make the decoder panic; the file is to blame.
        (decoder, decoded) = task
            .await
            .map_err(|error| malformed(file, "its footer is invalid").with_source(error))?;
        match decoded.map_err(invalid)? {
            Ok(footer) => return Ok(Arc::new(footer)),
            Err(ranges) if ranges.is_empty() => return Err(malformed(file, "it has no footer")),
            Err(ranges) => wanted = ranges,
        }
    }
}

/// The last bytes are the footer's length and `PAR1`. The decoder trusts the length.
fn check_tail(tail: &[u8], size: u64) -> Result<(), &'static str> {
    let Some((_, &[a, b, c, d, b'P', b'A', b'R', magic])) = tail.split_last_chunk::<8>() else {
        return Err("it is not a Parquet file");
    };
    match magic {
        b'1' if u64::from(u32::from_le_bytes([a, b, c, d])) + 12 <= size => Ok(()),
        b'1' => Err("its footer is longer than the file"),
        b'E' => Err("it is encrypted"),
        _ => Err("it is not a Parquet file"),
    }
}

/// Removes the statistics and filters of columns for which they are no proof, and the wish to be
/// decoded as views: a table's text is plain, and would be cast.
fn sound(footer: ParquetMetaData) -> ParquetMetaData {
    let footer = without_views(footer);
    let mut builder = footer.into_builder();
    let groups = builder
        .take_row_groups()
        .into_iter()
        .map(|mut group| {
            // The builder can't fail: it gets back as many columns as it has.
            let columns = group.columns().iter().map(|column| {
                if is_sound(column) { column.clone() } else { without_proofs(column) }
            });
            let columns = columns.collect();
            let original = group.clone();
            group = group.into_builder().set_column_metadata(columns).build().unwrap_or(original);
            group
        })
        .collect();
    builder.set_row_groups(groups).build()
}

fn without_views(footer: ParquetMetaData) -> ParquetMetaData {
    let file = footer.file_metadata();
    let (descriptor, pairs) = (file.schema_descr_ptr(), file.key_value_metadata());
    let plain = |field: &FieldRef| match field.data_type() {
        DataType::Utf8View => Some(Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8))),
        DataType::BinaryView => {
            Some(Arc::new(field.as_ref().clone().with_data_type(DataType::Binary)))
        }
        _ => None,
    };
    let Ok(schema) = parquet_to_arrow_schema(&descriptor, pairs) else { return footer };
    if !schema.fields().iter().any(|field| plain(field).is_some()) {
        return footer;
    }
    let fields: Vec<FieldRef> =
        schema.fields().iter().map(|field| plain(field).unwrap_or_else(|| field.clone())).collect();
    let encoded = encode_arrow_schema(&Schema::new(fields));
    let pairs = pairs.into_iter().flatten().map(|pair| match pair.key == ARROW_SCHEMA_META_KEY {
        true => KeyValue::new(pair.key.clone(), encoded.clone()),
        false => pair.clone(),
    });
    let pairs = pairs.collect();
    let told = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(pairs),
        descriptor,
        file.column_orders().cloned(),
    );
    ParquetMetaDataBuilder::new(told).set_row_groups(footer.row_groups().to_vec()).build()
}

/// Floats: minimum and maximum leave out NaN, which is the greatest value, and a Bloom filter tells
/// 0.0 from -0.0, which are equal. Timestamps of 96 bits have no order in the format. Old writers
/// ordered text as signed bytes.
fn is_sound(column: &ColumnChunkMetaData) -> bool {
    let is_float = matches!(column.column_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE)
        || matches!(column.column_descr().logical_type_ref(), Some(LogicalType::Float16));
    !is_float
        && column.column_type() != PhysicalType::INT96
        && !column.statistics().is_some_and(Statistics::is_min_max_deprecated)
}

fn without_proofs(column: &ColumnChunkMetaData) -> ColumnChunkMetaData {
    column
        .clone()
        .into_builder()
        .clear_statistics()
        .set_bloom_filter_offset(None)
        .set_bloom_filter_length(None)
        .set_column_index_offset(None)
        .set_column_index_length(None)
        .build()
        .unwrap_or_else(|_| column.clone())
}

/// The columns, and their schema as the decoder of values sees it.
fn columns(footer: &ParquetMetaData) -> Result<(Vec<(String, ColumnType)>, Schema), ParquetError> {
    let file = footer.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
    let schema = Int96Coercer::new(file.schema_descr(), &schema, &TimeUnit::Microsecond)
        .coerce()
        .unwrap_or(schema);
    let small = small_integers(footer);
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let data_type = plain(field.data_type());
            let is_narrow = data_type.primitive_width().is_some_and(|width| width < 8);
            let fits_double = !data_type.is_integer() || is_narrow || small.contains(field.name());
            (field.name().clone(), ColumnType { data_type, fits_double })
        })
        .collect();
    Ok((columns, schema))
}

/// Columns of 64-bit integers that the footer proves to lie within ±2^53.
fn small_integers(footer: &ParquetMetaData) -> HashSet<String> {
    let is_small = |column: &ColumnChunkMetaData| match column.statistics() {
        Some(Statistics::Int64(range)) => {
            let within = |value: Option<&i64>| {
                value.is_some_and(|value| value.unsigned_abs() <= DOUBLE_INTEGERS)
            };
            within(range.min_opt()) && within(range.max_opt())
        }
        _ => false,
    };
    let descriptor = footer.file_metadata().schema_descr();
    (0..descriptor.num_columns())
        .filter(|&index| {
            descriptor.column(index).path().parts().len() == 1
                && footer
                    .row_groups()
                    .iter()
                    .all(|group| group.num_rows() == 0 || is_small(group.column(index)))
        })
        .map(|index| descriptor.column(index).name().to_owned())
        .collect()
}

/// The columns of a table's files as DataFusion's reader is told of them.
pub(super) fn file_schema(columns: &[(String, ColumnType)]) -> SchemaRef {
    let fields =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type.clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Opens files in exactly the version that was inspected.
#[derive(Debug)]
pub(super) struct VersionedReaders {
    pub store: Arc<dyn ObjectStore>,
}

impl ParquetFileReaderFactory for VersionedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let metrics =
            ParquetFileMetrics::new(partition, file.object_meta.location.as_ref(), metrics);
        let facts = file.extension::<FactsOfFile>().map(|facts| Arc::clone(&facts.0));
        let store = Arc::clone(&self.store);
        Ok(Box::new(VersionedReader { store, file: file.object_meta, facts, metrics }))
    }
}

/// Carries the facts of a file through the plan.
#[derive(Debug)]
pub(super) struct FactsOfFile(pub Arc<super::facts::Facts>);

struct VersionedReader {
    store: Arc<dyn ObjectStore>,
    file: ObjectMeta,
    facts: Option<Arc<super::facts::Facts>>,
    metrics: ParquetFileMetrics,
}

impl AsyncFileReader for VersionedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let mut bytes = self.get_byte_ranges(vec![range]).await?;
            bytes.pop().ok_or_else(|| ParquetError::General("no bytes".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let length: u64 =
                ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
            self.metrics.bytes_scanned.add(usize::try_from(length).unwrap_or(usize::MAX));
            fetch_ranges(&self.store, &self.file, &ranges).await.map_err(external)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            if let Some(super::facts::Facts::Parquet(facts)) = self.facts.as_deref()
                && let Some((footer, _)) = &facts.footer
            {
                return Ok(Arc::clone(footer));
            }
            read_footer(&self.store, &self.file).await.map_err(external)
        }
        .boxed()
    }
}

fn external(error: SourceError) -> ParquetError {
    ParquetError::External(Box::new(error))
}
