//! A portal's rows on their way to the client.

use std::ops::Range;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::{CopyEncoder, CopyFormat, CsvOptions, Encoder, Format, TextOptions, Zone};
use crate::{
    engine::{self, RowStream},
    error::{Error, ErrorKind, Result},
    session::Rows,
};

/// Bytes that are encoded before they are written: enough for the socket, little to hold.
pub const CHUNK_BYTES: usize = 128 * 1024;

/// Rows that are encoded between two looks at the size: few enough that wide rows stay bounded.
const CHUNK_ROWS: usize = 256;

/// A result that is being sent, perhaps in several parts (Execute with a row limit).
#[derive(Debug)]
pub struct RowSender {
    source: RowSource,
    writer: Writer,
    /// The batch that is being sent, and its rows that are still to be sent.
    current: Option<(RecordBatch, Range<usize>)>,
    is_finished: bool,
    tag: &'static str,
}

#[derive(Debug)]
enum RowSource {
    Stream(RowStream),
    Batch(Option<RecordBatch>),
}

#[derive(Debug)]
enum Writer {
    Rows(Encoder),
    Copy(CopyEncoder),
}

impl RowSender {
    pub fn rows(rows: Rows, schema: &SchemaRef, formats: &[Format], zone: Zone) -> Result<Self> {
        let (source, tag) = match rows {
            Rows::Stream(stream) => (RowSource::Stream(stream), "SELECT"),
            Rows::Batch(batch, tag) => (RowSource::Batch(Some(batch)), tag),
        };
        let writer = Writer::Rows(Encoder::new(schema, formats, zone)?);
        Ok(Self { source, writer, current: None, is_finished: false, tag })
    }

    pub fn copy(stream: RowStream, options: &engine::CopyOptions, zone: Zone) -> Result<Self> {
        let format = copy_format(options)?;
        let writer = Writer::Copy(CopyEncoder::new(stream.schema(), format, zone)?);
        let source = RowSource::Stream(stream);
        Ok(Self { source, writer, current: None, is_finished: false, tag: "COPY" })
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
    pub fn tag(&self, rows: usize) -> String {
        match self.tag {
            "SELECT" | "COPY" => format!("{} {rows}", self.tag),
            tag => tag.to_owned(),
        }
    }

    /// Has every row been sent?
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Are the rows that are still to be sent granted as they were? (See [`RowStream::look`].)
    pub fn look(&mut self) -> Result<()> {
        match &mut self.source {
            RowSource::Stream(stream) => stream.look(),
            RowSource::Batch(_) => Ok(()),
        }
    }

    /// Waits until there are rows to encode, or none any more. Safe to cancel.
    pub async fn fill(&mut self) -> Result<()> {
        if self.current.is_some() || self.is_finished {
            return Ok(());
        }
        let next = match &mut self.source {
            RowSource::Stream(stream) => stream.next_batch().await?,
            RowSource::Batch(batch) => batch.take(),
        };
        match next {
            Some(batch) => {
                let rows = 0..batch.num_rows();
                self.current = Some((batch, rows));
            }
            None => self.is_finished = true,
        }
        Ok(())
    }

    /// Appends rows of the current batch until `out` is a chunk or `max_rows` are written; the
    /// number of rows.
    pub fn encode(&mut self, max_rows: usize, out: &mut Vec<u8>) -> Result<usize> {
        let Some((batch, rows)) = &mut self.current else { return Ok(0) };
        let mut sent = 0;
        while rows.start < rows.end && sent < max_rows && out.len() < CHUNK_BYTES {
            let end = rows.end.min(rows.start + CHUNK_ROWS.min(max_rows - sent));
            let part = rows.start..end;
            sent += part.len();
            match &self.writer {
                Writer::Rows(encoder) => encoder.encode_rows(batch, part, out)?,
                Writer::Copy(encoder) => encoder.encode_rows(batch, part, out)?,
            }
            rows.start = end;
        }
        if rows.start == rows.end {
            self.current = None;
        }
        Ok(sent)
    }

    /// Waits for `work` (a write to a slow client) no longer than the statement may take.
    pub async fn hold<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match &mut self.source {
            RowSource::Stream(stream) => stream.hold(work).await,
            RowSource::Batch(_) => work.await,
        }
    }
}

fn copy_format(options: &engine::CopyOptions) -> Result<CopyFormat> {
    let byte = |character: Option<char>, default: u8| match character {
        None => Ok(default),
        Some(character) if character.is_ascii() && !"\r\n".contains(character) => {
            Ok(character as u8)
        }
        Some(character) => Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("COPY needs a single one-byte character, found {character:?}"),
        )),
    };
    match options.format {
        engine::CopyFormat::Binary => Ok(CopyFormat::Binary),
        engine::CopyFormat::Text => {
            let default = TextOptions::default();
            Ok(CopyFormat::Text(TextOptions {
                header: options.has_header,
                delimiter: byte(options.delimiter, default.delimiter)?,
                null: options.null.clone().unwrap_or(default.null),
            }))
        }
        engine::CopyFormat::Csv => {
            let default = CsvOptions::default();
            let quote = byte(options.quote, default.quote)?;
            Ok(CopyFormat::Csv(CsvOptions {
                header: options.has_header,
                delimiter: byte(options.delimiter, default.delimiter)?,
                null: options.null.clone().unwrap_or(default.null),
                quote,
                escape: byte(options.escape, quote)?,
                force_quote: Vec::new(),
            }))
        }
    }
}
