//! A portal's rows on their way to the client.

use std::ops::Range;

use arrow::{
    array::RecordBatch,
    datatypes::{FieldRef, SchemaRef},
};
use datafusion::execution::memory_pool::MemoryReservation;

use super::{
    CopyEncoder, CopyFormat, CsvOptions, Encoder, Format, TextOptions, Zone, travel::Position,
};
use crate::{
    engine::{self, RowStream},
    error::{Error, ErrorKind, Result},
    session::{Rows, Session, pg_catalog::shown_name},
};

/// Bytes that are encoded before they are written: enough for the socket, little to hold.
pub const CHUNK_BYTES: usize = 128 * 1024;

/// Rows that are encoded between two looks at the size: few enough that wide rows stay bounded.
const CHUNK_ROWS: usize = 256;

/// A result that is being sent, perhaps in several parts (Execute with a row limit, FETCH).
#[derive(Debug)]
pub struct RowSender {
    source: RowSource,
    writer: Writer,
    /// The batch that is being sent, and its rows that are still to be sent.
    current: Option<(RecordBatch, Range<usize>)>,
    /// The source has no more.
    is_exhausted: bool,
    /// Of a cursor that can scroll.
    kept: Option<Kept>,
    pub position: Position,
    tag: &'static str,
}

#[derive(Debug)]
enum RowSource {
    Stream(Box<RowStream>),
    Batch(Option<RecordBatch>),
}

#[derive(Debug)]
enum Writer {
    Rows(Encoder),
    Copy(CopyEncoder),
}

/// The rows that a cursor has passed, to go back to.
#[derive(Debug)]
struct Kept {
    batches: Vec<RecordBatch>,
    /// The number of the first row of each, from 0.
    starts: Vec<usize>,
    rows: usize,
    /// The row that comes next.
    next: usize,
    memory: MemoryReservation,
}

impl Kept {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.memory.try_grow(batch.get_array_memory_size()).map_err(|error| {
            Error::from(error).with_hint(
                "A cursor with SCROLL keeps its rows, within limits.query_memory. Declare it \
                 without SCROLL, or ask for fewer rows.",
            )
        })?;
        self.starts.push(self.rows);
        self.rows += batch.num_rows();
        self.batches.push(batch);
        Ok(())
    }

    /// The batch with a row, and the row's place in it.
    fn at(&self, row: usize) -> Option<(&RecordBatch, usize)> {
        let index = self.starts.partition_point(|start| *start <= row).checked_sub(1)?;
        let batch = self.batches.get(index)?;
        let place = row - self.starts[index];
        (place < batch.num_rows()).then_some((batch, place))
    }
}

impl RowSender {
    pub fn rows(rows: Rows, schema: &SchemaRef, formats: &[Format], zone: Zone) -> Result<Self> {
        let (source, tag) = match rows {
            Rows::Stream(stream) => (RowSource::Stream(Box::new(stream)), "SELECT"),
            Rows::Batch(batch, tag) => (RowSource::Batch(Some(batch)), tag),
        };
        Ok(Self::new(source, Writer::Rows(Encoder::new(schema, formats, zone)?), tag))
    }

    pub fn copy(stream: RowStream, options: &engine::CopyOptions, zone: Zone) -> Result<Self> {
        let format = copy_format(options, stream.schema())?;
        let writer = Writer::Copy(CopyEncoder::new(stream.schema(), format, zone)?);
        Ok(Self::new(RowSource::Stream(Box::new(stream)), writer, "COPY"))
    }

    fn new(source: RowSource, writer: Writer, tag: &'static str) -> Self {
        let position = Position::default();
        Self { source, writer, current: None, is_exhausted: false, kept: None, position, tag }
    }

    /// Keeps the rows that it passes, as far as they fit into `memory`.
    pub fn scrolling(mut self, memory: MemoryReservation) -> Self {
        let (batches, starts) = (Vec::new(), Vec::new());
        self.kept = Some(Kept { batches, starts, rows: 0, next: 0, memory });
        self
    }

    pub fn can_scroll(&self) -> bool {
        self.kept.is_some()
    }

    /// The rows from here on go out so.
    pub fn write_with(&mut self, encoder: Encoder) {
        self.writer = Writer::Rows(encoder);
    }

    /// The formats of CopyOutResponse; none for rows.
    pub fn copy_formats(&self) -> Option<Vec<i16>> {
        match &self.writer {
            Writer::Rows(_) => None,
            Writer::Copy(copy) => Some(copy.columns().map(|(_, _, f)| f.code()).collect()),
        }
    }

    pub fn header(&self, out: &mut Vec<u8>) -> Result<()> {
        match &self.writer {
            Writer::Rows(_) => Ok(()),
            Writer::Copy(copy) => copy.header(out),
        }
    }

    pub fn trailer(&self, out: &mut Vec<u8>) -> Result<()> {
        match &self.writer {
            Writer::Rows(_) => Ok(()),
            Writer::Copy(copy) => copy.trailer(out),
        }
    }

    /// `SELECT 3`, `COPY 3`, `SHOW`.
    pub fn tag(&self, rows: u64) -> String {
        match self.tag {
            "SELECT" | "COPY" => format!("{} {rows}", self.tag),
            tag => tag.to_owned(),
        }
    }

    /// Is no row left ahead?
    pub fn is_finished(&self) -> bool {
        let is_at_last = self.kept.as_ref().is_none_or(|kept| kept.next >= kept.rows);
        self.is_exhausted && self.current.is_none() && is_at_last
    }

    /// Are the rows that are still to be sent granted as they were? (See [`RowStream::look`].)
    pub fn look(&mut self) -> Result<()> {
        match &mut self.source {
            RowSource::Stream(stream) => stream.look(),
            RowSource::Batch(_) => Ok(()),
        }
    }

    /// Waits for the client to ask for more (see [`RowStream::park`]).
    pub fn park(&mut self) {
        if let RowSource::Stream(stream) = &mut self.source {
            stream.park();
        }
    }

    /// Goes on after [`RowSender::park`].
    pub async fn resume(&mut self, session: &Session) -> Result<()> {
        // Rows may wait here that came before the policy changed.
        self.look()?;
        match &mut self.source {
            RowSource::Stream(stream) if !self.is_exhausted => session.resume(stream).await,
            RowSource::Stream(_) | RowSource::Batch(_) => Ok(()),
        }
    }

    /// Waits until there are rows to encode, or none any more. Safe to cancel.
    pub async fn fill(&mut self) -> Result<()> {
        if self.current.is_some() {
            return Ok(());
        }
        if let Some(kept) = &self.kept
            && let Some((batch, place)) = kept.at(kept.next)
        {
            self.current = Some((batch.clone(), place..batch.num_rows()));
            return Ok(());
        }
        if self.is_exhausted {
            return Ok(());
        }
        let next = match &mut self.source {
            RowSource::Stream(stream) => stream.next_batch().await?,
            RowSource::Batch(batch) => batch.take(),
        };
        let Some(batch) = next else {
            self.is_exhausted = true;
            return Ok(());
        };
        if let Some(kept) = &mut self.kept {
            kept.push(batch.clone())?;
        }
        let rows = 0..batch.num_rows();
        self.current = Some((batch, rows));
        Ok(())
    }

    /// Appends rows of the current batch until `out` is a chunk or `max_rows` are passed; the
    /// number of rows. Without `shows` they are passed over.
    pub fn encode(&mut self, max_rows: usize, shows: bool, out: &mut Vec<u8>) -> Result<usize> {
        let Some((batch, rows)) = &mut self.current else { return Ok(0) };
        let mut sent = 0;
        while rows.start < rows.end && sent < max_rows && out.len() < CHUNK_BYTES {
            let most = if shows { CHUNK_ROWS } else { usize::MAX };
            let part =
                rows.start..rows.end.min(rows.start.saturating_add(most.min(max_rows - sent)));
            sent += part.len();
            rows.start = part.end;
            if shows {
                match &self.writer {
                    Writer::Rows(encoder) => encoder.encode_rows(batch, part, out)?,
                    Writer::Copy(encoder) => encoder.encode_rows(batch, part, out)?,
                }
            }
        }
        if rows.start == rows.end {
            self.current = None;
        }
        if let Some(kept) = &mut self.kept {
            kept.next += sent;
        }
        Ok(sent)
    }

    /// Appends one row that was passed, by its number from 0.
    pub fn encode_kept(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        match (self.kept.as_ref().and_then(|kept| kept.at(row)), &self.writer) {
            (Some((batch, place)), Writer::Rows(encoder)) => {
                encoder.encode_rows(batch, place..place + 1, out)
            }
            _ => Err(Error::internal("a row that is not kept")),
        }
    }

    /// Stands so that the row of this number, from 0, comes next.
    pub fn seek(&mut self, row: usize) {
        if let Some(kept) = &mut self.kept {
            kept.next = row;
            self.current = None;
        }
    }

    /// Waits for `work` (a write to a slow client) no longer than the statement may take.
    pub async fn hold<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match &mut self.source {
            RowSource::Stream(stream) => stream.hold(work).await,
            RowSource::Batch(_) => work.await,
        }
    }
}

/// The options were checked where they were read; their columns are known only here.
fn copy_format(options: &engine::CopyOptions, schema: &SchemaRef) -> Result<CopyFormat> {
    let byte = |text: &Option<String>, default: u8| match text {
        None => default,
        Some(text) => text.bytes().next().unwrap_or(default),
    };
    match options.format {
        engine::CopyFormat::Binary => Ok(CopyFormat::Binary),
        engine::CopyFormat::Text => {
            let default = TextOptions::default();
            Ok(CopyFormat::Text(TextOptions {
                header: options.has_header,
                delimiter: byte(&options.delimiter, default.delimiter),
                null: options.null.clone().unwrap_or(default.null),
            }))
        }
        engine::CopyFormat::Csv => {
            let default = CsvOptions::default();
            let quote = byte(&options.quote, default.quote);
            Ok(CopyFormat::Csv(CsvOptions {
                header: options.has_header,
                delimiter: byte(&options.delimiter, default.delimiter),
                null: options.null.clone().unwrap_or(default.null),
                quote,
                escape: byte(&options.escape, quote),
                force_quote: forced(&options.force_quote, schema)?,
            }))
        }
    }
}

fn forced(force: &engine::ForceQuote, schema: &SchemaRef) -> Result<Vec<usize>> {
    let names = match force {
        engine::ForceQuote::All => return Ok((0..schema.fields().len()).collect()),
        engine::ForceQuote::Columns(names) => names,
    };
    let place = |name: &String| {
        let shown = |field: &FieldRef| shown_name(field.name()) == name;
        schema.fields().iter().position(shown).ok_or_else(|| {
            let message = format!("FORCE_QUOTE column \"{name}\" not referenced by COPY");
            Error::new(ErrorKind::InvalidColumnReference, message)
        })
    };
    names.iter().map(place).collect()
}
