//! Writes batches for `COPY … TO STDOUT`: text, CSV and binary, one CopyData message a row.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use arrow::{array::RecordBatch, datatypes::Schema};

use super::{Format, Output, column::Column, for_each_row, in_column, message, outputs};
use crate::{
    error::Result,
    protocol::pgwire::{calendar::Zone, types::PgColumn},
};

/// The options of `COPY … WITH (FORMAT …)`, checked by whoever read the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyFormat {
    Text(TextOptions),
    Csv(CsvOptions),
    Binary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextOptions {
    pub header: bool,
    pub delimiter: u8,
    pub null: String,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { header: false, delimiter: b'\t', null: "\\N".to_string() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    pub header: bool,
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub escape: u8,
    /// The positions of the columns of FORCE_QUOTE.
    pub force_quote: Vec<usize>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: false,
            delimiter: b',',
            null: String::new(),
            quote: b'"',
            escape: b'"',
            force_quote: Vec::new(),
        }
    }
}

/// Before the first row of a binary copy: the signature, no flags, no header extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Writes the rows of a result as CopyData messages.
#[derive(Debug)]
pub struct CopyEncoder {
    outputs: Vec<Output>,
    format: CopyFormat,
    zone: Zone,
    is_signed: AtomicBool,
}

impl CopyEncoder {
    pub fn new(schema: &Schema, format: CopyFormat, zone: Zone) -> Result<Self> {
        let field_format = match format {
            CopyFormat::Text(_) | CopyFormat::Csv(_) => Format::Text,
            CopyFormat::Binary => Format::Binary,
        };
        let outputs = outputs(schema, |_| field_format)?;
        Ok(Self { outputs, format, zone, is_signed: AtomicBool::new(false) })
    }

    /// What CopyOutResponse says: the format of the whole, and of each column.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, &PgColumn, Format)> {
        self.outputs.iter().map(|output| (output.name.as_str(), &output.column, output.format))
    }

    /// Appends what comes before the first row, if anything does.
    pub fn header(&self, out: &mut Vec<u8>) -> Result<()> {
        match &self.format {
            CopyFormat::Text(options) if options.header => message(b'd', out, |out| {
                let names = self.outputs.iter().map(|output| output.name.as_bytes());
                line(names, options.delimiter, out, |name, start, out| {
                    out.extend_from_slice(name);
                    escape_text(out, start, options.delimiter);
                    Ok(())
                })
            }),
            CopyFormat::Csv(options) if options.header => message(b'd', out, |out| {
                let names = self.outputs.iter().map(|output| output.name.as_bytes());
                line(names, options.delimiter, out, |name, start, out| {
                    out.extend_from_slice(name);
                    quote_csv(out, start, options, false, self.outputs.len() == 1);
                    Ok(())
                })
            }),
            CopyFormat::Text(_) | CopyFormat::Csv(_) | CopyFormat::Binary => Ok(()),
        }
    }

    /// PostgreSQL's signature shares a message with what follows it, and clients read it so.
    fn sign(&self, out: &mut Vec<u8>) {
        if !self.is_signed.swap(true, Ordering::Relaxed) {
            out.extend_from_slice(SIGNATURE);
        }
    }

    /// Appends one CopyData for each row of the range. After an error the output ends with the
    /// last row that was written whole.
    pub fn encode_rows(
        &self,
        batch: &RecordBatch,
        rows: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        for_each_row(&self.outputs, batch, rows, out, |columns, row, out| {
            message(b'd', out, |out| match &self.format {
                CopyFormat::Text(options) => self.text_row(options, columns, row, out),
                CopyFormat::Csv(options) => self.csv_row(options, columns, row, out),
                CopyFormat::Binary => self.binary_row(columns, row, out),
            })
        })
    }

    /// Appends what comes after the last row, before CopyDone.
    pub fn trailer(&self, out: &mut Vec<u8>) -> Result<()> {
        match self.format {
            CopyFormat::Binary => message(b'd', out, |out| {
                self.sign(out);
                out.extend_from_slice(&(-1_i16).to_be_bytes());
                Ok(())
            }),
            CopyFormat::Text(_) | CopyFormat::Csv(_) => Ok(()),
        }
    }

    fn text_row(
        &self,
        options: &TextOptions,
        columns: &[Column],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let fields = self.outputs.iter().zip(columns);
        line(fields, options.delimiter, out, |(output, column), start, out| {
            if column.is_null(row) {
                out.extend_from_slice(options.null.as_bytes());
                return Ok(());
            }
            column.text(row, &self.zone, out).map_err(|error| in_column(error, &output.name))?;
            escape_text(out, start, options.delimiter);
            Ok(())
        })
    }

    fn csv_row(
        &self,
        options: &CsvOptions,
        columns: &[Column],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let is_single = columns.len() == 1;
        let fields = self.outputs.iter().zip(columns).enumerate();
        line(fields, options.delimiter, out, |(index, (output, column)), start, out| {
            if column.is_null(row) {
                out.extend_from_slice(options.null.as_bytes());
                return Ok(());
            }
            column.text(row, &self.zone, out).map_err(|error| in_column(error, &output.name))?;
            let force = options.force_quote.contains(&index);
            quote_csv(out, start, options, force, is_single);
            Ok(())
        })
    }

    fn binary_row(&self, columns: &[Column], row: usize, out: &mut Vec<u8>) -> Result<()> {
        self.sign(out);
        // Checked by `outputs`.
        out.extend_from_slice(&(columns.len() as i16).to_be_bytes());
        for (output, column) in self.outputs.iter().zip(columns) {
            column.binary(row, &self.zone, out).map_err(|error| in_column(error, &output.name))?;
        }
        Ok(())
    }
}

/// Writes fields with a delimiter between them and a line feed behind them.
fn line<T>(
    fields: impl Iterator<Item = T>,
    delimiter: u8,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, usize, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        let start = out.len();
        write(field, start, out)?;
    }
    out.push(b'\n');
    Ok(())
}

/// CopyAttributeOutText: a backslash before what would end the field or the line.
fn escape_text(out: &mut Vec<u8>, start: usize, delimiter: u8) {
    let letter = |byte: u8| match byte {
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x0b => Some(b'v'),
        b'\\' => Some(b'\\'),
        byte if byte == delimiter => Some(byte),
        _ => None,
    };
    // Quicker than `letter`, and true for every byte that it answers.
    let is_suspect = |byte: &u8| *byte < b' ' || *byte == b'\\' || *byte == delimiter;
    if !out[start..].iter().any(is_suspect) {
        return;
    }
    for byte in out.split_off(start) {
        match letter(byte) {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.push(byte),
        }
    }
}

/// CopyAttributeOutCSV: quotes around what would not read back as it is.
fn quote_csv(out: &mut Vec<u8>, start: usize, options: &CsvOptions, force: bool, is_single: bool) {
    let field = &out[start..];
    let special = |byte: &u8| {
        *byte == options.delimiter || *byte == options.quote || matches!(byte, b'\n' | b'\r')
    };
    let quoted = force
        || field == options.null.as_bytes()
        // Alone on its line it would end the data.
        || (is_single && field == b"\\.")
        || field.iter().any(special);
    if !quoted {
        return;
    }
    let plain = out.split_off(start);
    out.push(options.quote);
    for byte in plain {
        if byte == options.quote || byte == options.escape {
            out.push(options.escape);
        }
        out.push(byte);
    }
    out.push(options.quote);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_empty_binary_copy_is_a_signature_and_a_trailer() {
        let encoder = CopyEncoder::new(&Schema::empty(), CopyFormat::Binary, Zone::Utc).unwrap();
        let mut out = Vec::new();
        encoder.header(&mut out).unwrap();
        encoder.trailer(&mut out).unwrap();
        assert_eq!(out, b"d\0\0\0\x19PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
    }
}
