//! Reads Arrow IPC files (Feather version 2), one record batch at a time.

use std::{ops::Range, slice, sync::Arc};

use arrow::{
    array::ArrayRef,
    buffer::Buffer,
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
    ipc::{
        Block, MetadataVersion,
        convert::fb_to_schema,
        reader::{FileDecoder, read_footer_length},
        root_as_footer, root_as_message,
    },
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use object_store::{ObjectMeta, ObjectStore};

use super::{
    store::{fetch_ranges, malformed},
    types::{ColumnType, plain},
};
use crate::Result;

const TRAILER_BYTES: u64 = 10;
/// Batches in one file.
const MAX_BLOCKS: usize = 1_000_000;

/// What the footer of an Arrow file has told.
#[derive(Debug)]
pub(super) struct ArrowFacts {
    pub columns: Vec<(String, ColumnType)>,
    pub rows: u64,
    schema: SchemaRef,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

pub(super) async fn inspect(store: &Arc<dyn ObjectStore>, file: &ObjectMeta) -> Result<ArrowFacts> {
    let invalid = |error: ArrowError| malformed(file, &error).with_source(error);
    if file.size < TRAILER_BYTES + 8 {
        return Err(malformed(file, "it is too short to be an Arrow file"));
    }
    let ranges = [0..6, file.size - TRAILER_BYTES..file.size];
    let ends = fetch_ranges(store, file, &ranges).await?;
    let (Some(head), Some(trailer)) = (ends.first(), ends.get(1)) else {
        return Err(malformed(file, "it is too short to be an Arrow file"));
    };
    if head.as_ref() != b"ARROW1" {
        let why = match head.get(..4) {
            Some(b"FEA1") => "it is a Feather file of version 1, and only version 2 is read",
            Some(b"\xFF\xFF\xFF\xFF") => "it is an Arrow stream, and only Arrow files are read",
            _ => "it is not an Arrow file",
        };
        return Err(malformed(file, why));
    }
    let trailer: [u8; 10] =
        trailer.as_ref().try_into().map_err(|_| malformed(file, "it ends too early"))?;
    let footer_bytes = read_footer_length(trailer).map_err(invalid)? as u64;
    let footer_end = file.size - TRAILER_BYTES;
    let footer_start = footer_end
        .checked_sub(footer_bytes)
        .ok_or_else(|| malformed(file, "its footer is longer than the file"))?;
    let mut footer =
        fetch_ranges(store, file, slice::from_ref(&(footer_start..footer_end))).await?;
    let footer = footer.pop().unwrap_or_default();
    let footer = root_as_footer(&footer)
        .map_err(|error| malformed(file, format!("its footer is invalid: {error}")))?;
    let schema = footer.schema().ok_or_else(|| malformed(file, "it has no schema"))?;
    let schema = Arc::new(fb_to_schema(schema));
    let dictionaries: Vec<Block> =
        footer.dictionaries().iter().flatten().map(ToOwned::to_owned).collect();
    let batches: Vec<Block> =
        footer.recordBatches().iter().flatten().map(ToOwned::to_owned).collect();
    if dictionaries.len() + batches.len() > MAX_BLOCKS {
        return Err(malformed(file, "it has too many batches"));
    }
    for block in dictionaries.iter().chain(&batches) {
        block_range(block, footer_start)
            .ok_or_else(|| malformed(file, "a batch lies outside the file"))?;
    }
    let rows = count_rows(store, file, &batches).await?;
    let columns = columns(&schema);
    Ok(ArrowFacts { columns, rows, schema, version: footer.version(), dictionaries, batches })
}

fn columns(schema: &Schema) -> Vec<(String, ColumnType)> {
    let column = |data_type: &arrow::datatypes::DataType| {
        let data_type = plain(data_type);
        let is_narrow = data_type.primitive_width().is_some_and(|width| width < 8);
        ColumnType { fits_double: !data_type.is_integer() || is_narrow, data_type }
    };
    schema.fields().iter().map(|field| (field.name().clone(), column(field.data_type()))).collect()
}

/// The bytes of a block, message and body, if they lie within the file.
fn block_range(block: &Block, file_end: u64) -> Option<Range<u64>> {
    let start = u64::try_from(block.offset()).ok()?;
    let message = u64::try_from(block.metaDataLength()).ok().filter(|&length| length >= 8)?;
    let end = start.checked_add(message)?.checked_add(u64::try_from(block.bodyLength()).ok()?)?;
    (end <= file_end).then_some(start..end)
}

/// Each batch says how many rows it holds, in front of them.
async fn count_rows(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    batches: &[Block],
) -> Result<u64> {
    let ranges: Vec<_> = batches
        .iter()
        .filter_map(|block| {
            let range = block_range(block, file.size)?;
            Some(range.start..range.start + u64::try_from(block.metaDataLength()).ok()?)
        })
        .collect();
    let messages = fetch_ranges(store, file, &ranges).await?;
    let mut rows = 0;
    for message in messages {
        let start = if message.starts_with(&[0xFF; 4]) { 8 } else { 4 };
        let length = message
            .get(start..)
            .and_then(|bytes| root_as_message(bytes).ok())
            .and_then(|message| message.header_as_record_batch().map(|batch| batch.length()))
            .and_then(|length| u64::try_from(length).ok())
            .ok_or_else(|| malformed(file, "a batch has no length"))?;
        rows += length;
    }
    Ok(rows)
}

/// The wanted columns, by position in the file, batch by batch.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    facts: &ArrowFacts,
    wanted: Vec<usize>,
) -> Result<BoxStream<'static, Result<(Vec<ArrayRef>, usize)>>> {
    let mut decoder = FileDecoder::new(Arc::clone(&facts.schema), facts.version);
    for block in &facts.dictionaries {
        let bytes = fetch_block(store, file, block).await?;
        decoder.read_dictionary(block, &bytes).map_err(|error| malformed(file, error))?;
    }
    let store = Arc::clone(store);
    let file = file.clone();
    let blocks = facts.batches.clone().into_iter();
    let batches = stream::try_unfold((decoder, blocks), move |(decoder, mut blocks)| {
        let (store, file, wanted) = (Arc::clone(&store), file.clone(), wanted.clone());
        async move {
            let Some(block) = blocks.next() else {
                return Ok(None);
            };
            let bytes = fetch_block(&store, &file, &block).await?;
            let batch = decoder
                .read_record_batch(&block, &bytes)
                .map_err(|error| malformed(&file, error))?
                .ok_or_else(|| malformed(&file, "a batch is missing"))?;
            let columns = wanted.iter().map(|&index| Arc::clone(batch.column(index))).collect();
            Ok(Some(((columns, batch.num_rows()), (decoder, blocks))))
        }
    });
    Ok(batches.boxed())
}

async fn fetch_block(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    block: &Block,
) -> Result<Buffer> {
    let range = block_range(block, file.size)
        .ok_or_else(|| malformed(file, "a batch lies outside the file"))?;
    let mut bytes = fetch_ranges(store, file, slice::from_ref(&range)).await?;
    Ok(Buffer::from(bytes.pop().unwrap_or_default()))
}
