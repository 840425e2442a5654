//! Reads text files, CSV and NDJSON. The whole file is read once to learn its columns; on the way
//! the places are noted where records start, so that later parts of it can be read side by side,
//! line ends inside quotes or not.

use std::{ops::Range, sync::Arc};

use arrow::array::ArrayRef;
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use object_store::{ObjectMeta, ObjectStore};

use super::{
    catalog::FileOptions,
    csv::CsvScanner,
    layout::Format,
    ndjson::NdjsonScanner,
    store::{malformed, open},
    value::{ColumnBuilder, Kind, Value},
};
use crate::{Result, SourceError, SourceErrorKind};

/// A part of a file that one task reads.
const PIECE_BYTES: u64 = 8 << 20;
/// The longest record; one that is longer is an error and not an endless buffer.
const MAX_RECORD_BYTES: usize = 16 << 20;
/// The most columns of one file.
const MAX_COLUMNS: usize = 10_000;

/// What a whole reading of a text file has told.
#[derive(Debug)]
pub(super) struct TextFacts {
    scanner: Scanner,
    pub columns: Vec<(String, Kind)>,
    pub pieces: Vec<Piece>,
    pub rows: u64,
}

/// Consecutive records of a file.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub range: Range<u64>,
    pub rows: u64,
}

/// Reads the whole file.
pub(super) async fn inspect(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    format: Format,
    options: &FileOptions,
) -> Result<TextFacts> {
    let is_tsv = file.location.as_ref().to_ascii_lowercase().ends_with(".tsv");
    let delimiter = if is_tsv { Some(b'\t') } else { options.csv_delimiter };
    let mut inspection = Inspection::new(format, delimiter);
    let mut chunks = open(store, file, 0..file.size).await?;
    loop {
        let chunk = chunks.next().await.transpose()?;
        let at_end = chunk.is_none();
        // Parsing a chunk takes milliseconds: too long for the tasks that serve connections.
        let task = tokio::task::spawn_blocking(move || {
            let outcome = inspection.feed(chunk.as_deref());
            (inspection, outcome)
        });
        let outcome;
        (inspection, outcome) = task.await.map_err(|error| {
            SourceError::new(SourceErrorKind::Internal, "a file task ended early")
                .with_source(error)
        })?;
        outcome.map_err(|why| malformed(file, why))?;
        if at_end {
            return inspection.finish().map_err(|why| malformed(file, why));
        }
    }
}

/// The wanted columns of a piece, by position in the file, in batches.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    facts: &TextFacts,
    piece: &Piece,
    wanted: Vec<(usize, Kind)>,
    batch_rows: usize,
) -> Result<BoxStream<'static, Result<(Vec<ArrayRef>, usize)>>> {
    let mut records = Records::new(facts.scanner.clone(), piece.range.start);
    records.keep_blank = facts.columns.len() == 1;
    let batches = Batches {
        chunks: open(store, file, piece.range.clone()).await?,
        records,
        builders: wanted.iter().map(|(_, kind)| kind.builder()).collect(),
        wanted: wanted.into_iter().map(|(index, _)| index).collect(),
        column_count: facts.columns.len(),
        batch_rows,
        rows_left: piece.rows,
        file: file.clone(),
    };
    Ok(stream::try_unfold(batches, |mut batches| async move {
        Ok(batches.next().await?.map(|batch| (batch, batches)))
    })
    .boxed())
}

struct Batches {
    chunks: BoxStream<'static, Result<Bytes>>,
    records: Records,
    builders: Vec<ColumnBuilder>,
    wanted: Vec<usize>,
    column_count: usize,
    batch_rows: usize,
    rows_left: u64,
    file: ObjectMeta,
}

impl Batches {
    async fn next(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let mut rows = 0;
        while rows < self.batch_rows {
            if self.append_row()? {
                rows += 1;
                continue;
            }
            if self.records.at_end {
                break;
            }
            match self.chunks.next().await.transpose()? {
                Some(chunk) => self.records.feed(&chunk),
                None => self.records.at_end = true,
            }
        }
        self.rows_left = self.rows_left.checked_sub(rows as u64).ok_or_else(|| self.changed())?;
        if rows == 0 {
            return if self.rows_left == 0 { Ok(None) } else { Err(self.changed()) };
        }
        Ok(Some((self.builders.iter_mut().map(ColumnBuilder::finish).collect(), rows)))
    }

    /// False if the next record is not yet there.
    fn append_row(&mut self) -> Result<bool> {
        let file = &self.file;
        let Some(record) = self.records.next().map_err(|why| malformed(file, why))? else {
            return Ok(false);
        };
        record.check_width(self.column_count).map_err(|why| malformed(file, why))?;
        for (builder, &index) in self.builders.iter_mut().zip(&self.wanted) {
            if builder.append(&record.value(index)).is_err() {
                return Err(self.changed());
            }
        }
        Ok(true)
    }

    /// The same bytes have been read before, by the same rules: what does not fit is new.
    fn changed(&self) -> SourceError {
        SourceError::new(
            SourceErrorKind::Stale,
            format!("file \"{}\" changed while it was in use", self.file.location),
        )
    }
}

/// Learns the columns of a file.
#[derive(Debug)]
struct Inspection {
    records: Records,
    /// `None` until the header has been read.
    names: Option<Vec<String>>,
    fixed_delimiter: Option<u8>,
    kinds: Vec<Kind>,
    pieces: Vec<Piece>,
    rows: u64,
    checked_start: bool,
}

impl Inspection {
    fn new(format: Format, fixed_delimiter: Option<u8>) -> Self {
        let (scanner, names) = match format {
            Format::Ndjson => (Scanner::Ndjson(NdjsonScanner::default()), Some(Vec::new())),
            Format::Arrow | Format::Csv | Format::Parquet => {
                (Scanner::Csv(CsvScanner::new(fixed_delimiter.unwrap_or(b','))), None)
            }
        };
        Self {
            records: Records::new(scanner, 0),
            names,
            fixed_delimiter,
            kinds: Vec::new(),
            pieces: Vec::new(),
            rows: 0,
            checked_start: false,
        }
    }

    /// Takes the next bytes; `None`: there are no more.
    fn feed(&mut self, chunk: Option<&[u8]>) -> Result<(), String> {
        match chunk {
            Some(chunk) => self.records.feed(chunk),
            None => self.records.at_end = true,
        }
        if !self.checked_start {
            if self.records.rest().len() < 3 && !self.records.at_end {
                return Ok(());
            }
            self.checked_start = true;
            self.records.skip_byte_order_mark()?;
        }
        if self.names.is_none() && !self.take_header()? {
            return Ok(());
        }
        loop {
            let rows = self.rows;
            let next = self.records.next().map_err(|why| row_error(rows, why))?;
            let Some(record) = next else {
                return Ok(());
            };
            let width = record.width();
            if width > MAX_COLUMNS {
                return Err(format!("it has more than {MAX_COLUMNS} columns"));
            }
            if matches!(record.scanner, Scanner::Ndjson(_)) {
                self.kinds.resize(width, Kind::Empty);
            } else {
                record.check_width(self.kinds.len()).map_err(|why| row_error(rows, why))?;
            }
            for (index, kind) in self.kinds.iter_mut().enumerate() {
                if *kind != Kind::Text {
                    *kind = kind.or(Kind::of(&record.value(index)));
                }
            }
            let range = record.range;
            self.rows += 1;
            match self.pieces.last_mut() {
                Some(piece) if range.end - piece.range.start <= PIECE_BYTES => {
                    piece.range.end = range.end;
                    piece.rows += 1;
                }
                _ => self.pieces.push(Piece { range, rows: 1 }),
            }
        }
    }

    /// False if the header is not yet there.
    fn take_header(&mut self) -> Result<bool, String> {
        let candidates = match self.fixed_delimiter {
            Some(delimiter) => vec![delimiter],
            None => vec![b',', b';', b'\t', b'|'],
        };
        for &delimiter in &candidates {
            let mut scanner = CsvScanner::new(delimiter);
            match scanner.take(self.records.rest(), self.records.at_end) {
                Ok(Some(_)) if scanner.field_count() > 1 => {
                    self.records.scanner = Scanner::Csv(scanner);
                    break;
                }
                Ok(None) if !self.records.at_end => {
                    self.records.check_length()?;
                    return Ok(false);
                }
                // One column, or quotes that make no sense: another delimiter may do better.
                Ok(_) | Err(_) => {}
            }
        }
        if self.records.rest().is_empty() {
            return Ok(false);
        }
        self.records.keep_blank = true;
        let Some(header) = self.records.next()? else {
            return Ok(false);
        };
        let Scanner::Csv(scanner) = header.scanner else {
            return Ok(false);
        };
        let names = scanner.names(header.text);
        let delimiter = scanner.delimiter();
        if names.len() > MAX_COLUMNS {
            return Err(format!("it has more than {MAX_COLUMNS} columns"));
        }
        self.kinds = vec![Kind::Empty; names.len()];
        // An empty line is a NULL when there is one column, and nothing when there are more.
        self.records.keep_blank = names.len() == 1;
        self.records.scanner = Scanner::Csv(CsvScanner::new(delimiter));
        self.names = Some(names);
        Ok(true)
    }

    fn finish(self) -> Result<TextFacts, String> {
        let names = match (&self.records.scanner, self.names) {
            (Scanner::Ndjson(scanner), _) => scanner.names().to_vec(),
            (Scanner::Csv(_), names) => names.unwrap_or_default(),
        };
        let scanner = match self.records.scanner {
            Scanner::Csv(scanner) => Scanner::Csv(scanner),
            Scanner::Ndjson(_) => Scanner::Ndjson(NdjsonScanner::with_names(names.clone())),
        };
        let columns = names.into_iter().zip(self.kinds).collect();
        Ok(TextFacts { scanner, columns, pieces: self.pieces, rows: self.rows })
    }
}

fn row_error(rows_before: u64, why: String) -> String {
    format!("record {}: {why}", rows_before + 1)
}

#[derive(Debug, Clone)]
enum Scanner {
    Csv(CsvScanner),
    Ndjson(NdjsonScanner),
}

/// Turns chunks of bytes into records.
#[derive(Debug)]
struct Records {
    scanner: Scanner,
    buffer: Vec<u8>,
    position: usize,
    /// Where in the file the buffer starts.
    offset: u64,
    at_end: bool,
    keep_blank: bool,
}

struct Record<'a> {
    scanner: &'a Scanner,
    text: &'a str,
    range: Range<u64>,
}

impl Records {
    fn new(scanner: Scanner, offset: u64) -> Self {
        Self { scanner, buffer: Vec::new(), position: 0, offset, at_end: false, keep_blank: false }
    }

    fn feed(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.position);
        self.offset += self.position as u64;
        self.position = 0;
        self.buffer.extend_from_slice(chunk);
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.position..]
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), String> {
        let rest = self.rest();
        if rest.starts_with(&[0xEF, 0xBB, 0xBF]) {
            self.position += 3;
        } else if rest.starts_with(&[0xFF, 0xFE]) || rest.starts_with(&[0xFE, 0xFF]) {
            return Err("it is written in UTF-16, and only UTF-8 is read".to_owned());
        }
        Ok(())
    }

    /// The next record; `None` until more bytes, or the end, are there.
    fn next(&mut self) -> Result<Option<Record<'_>>, String> {
        loop {
            let rest = &self.buffer[self.position..];
            if rest.is_empty() {
                return Ok(None);
            }
            let taken = match &mut self.scanner {
                Scanner::Csv(scanner) => scanner.take(rest, self.at_end)?,
                Scanner::Ndjson(_) => NdjsonScanner::line(rest, self.at_end),
            };
            let Some(length) = taken else {
                self.check_length()?;
                return Ok(None);
            };
            let start = self.position;
            self.position += length;
            let is_blank = match &self.scanner {
                Scanner::Csv(_) => matches!(rest[0], b'\n' | b'\r') && !self.keep_blank,
                Scanner::Ndjson(_) => rest[..length].trim_ascii().is_empty(),
            };
            if is_blank {
                continue;
            }
            let text = std::str::from_utf8(&self.buffer[start..self.position])
                .map_err(|_| "it is not UTF-8".to_owned())?;
            if let Scanner::Ndjson(scanner) = &mut self.scanner {
                scanner.take(text)?;
            }
            let range = self.offset + start as u64..self.offset + self.position as u64;
            return Ok(Some(Record { scanner: &self.scanner, text, range }));
        }
    }

    fn check_length(&self) -> Result<(), String> {
        if self.rest().len() > MAX_RECORD_BYTES {
            return Err(format!(
                "a record is longer than {} MiB: is a quote not closed?",
                MAX_RECORD_BYTES >> 20
            ));
        }
        Ok(())
    }
}

impl Record<'_> {
    fn value(&self, index: usize) -> Value<'_> {
        match self.scanner {
            Scanner::Csv(scanner) => scanner.value(self.text, index),
            Scanner::Ndjson(scanner) => scanner.value(self.text, index),
        }
    }

    fn width(&self) -> usize {
        match self.scanner {
            Scanner::Csv(scanner) => scanner.field_count(),
            Scanner::Ndjson(scanner) => scanner.names().len(),
        }
    }

    fn check_width(&self, columns: usize) -> Result<(), String> {
        let width = self.width();
        if width == columns {
            return Ok(());
        }
        Err(format!("it has {width} fields where the header has {columns}"))
    }
}
