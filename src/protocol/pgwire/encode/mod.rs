//! Writes Arrow batches as the bytes that PostgreSQL sends: DataRow and CopyData messages.
//!
//! Invariant: whole messages only. A value that PostgreSQL's types can't hold is an error, never
//! other bytes, and leaves the output as it was before that row.

mod binary;
mod column;
mod copy;
mod digits;
mod nested;
mod text;

use std::ops::Range;

use arrow::{array::RecordBatch, datatypes::Schema};

pub(super) use column::parse_uuid;
pub use copy::{CopyEncoder, CopyFormat, CsvOptions, TextOptions};

use self::column::Column;
use super::{calendar::Zone, types::PgColumn};
use crate::error::{Error, ErrorKind, Result};

/// PostgreSQL's MaxAllocSize: no message and no value is larger.
const MAX_ROW_BYTES: usize = 0x3fff_ffff;

/// PostgreSQL's MaxTupleAttributeNumber.
const MAX_COLUMNS: usize = 1_664;

/// The format of a value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

impl Format {
    /// The format code of Bind and RowDescription.
    pub fn from_code(code: i16) -> Result<Self> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            _ => Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("unsupported format code: {code}"),
            )),
        }
    }

    pub fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }

    /// The format of each column: Bind sends none (text), one for all, or one each.
    pub fn for_columns(formats: &[Self], columns: usize) -> Result<Vec<Self>> {
        match formats {
            [] => Ok(vec![Self::Text; columns]),
            [one] => Ok(vec![*one; columns]),
            each if each.len() == columns => Ok(each.to_vec()),
            other => Err(Error::new(
                ErrorKind::ProtocolViolation,
                format!(
                    "bind message has {} result formats but query has {columns} columns",
                    other.len()
                ),
            )),
        }
    }
}

/// A result column: its name, what it is announced as, and the format that the client wants.
#[derive(Debug, Clone)]
struct Output {
    name: String,
    column: PgColumn,
    format: Format,
}

/// Writes the rows of a result as DataRow messages.
#[derive(Debug, Clone)]
pub struct Encoder {
    outputs: Vec<Output>,
    zone: Zone,
}

impl Encoder {
    /// `zone` is the session's, in which the text of `timestamptz` is written.
    pub fn new(schema: &Schema, formats: &[Format], zone: Zone) -> Result<Self> {
        let formats = Format::for_columns(formats, schema.fields().len())?;
        Ok(Self { outputs: outputs(schema, |index| formats[index])?, zone })
    }

    /// What RowDescription says: name, type and format of each column.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, &PgColumn, Format)> {
        self.outputs.iter().map(|output| (output.name.as_str(), &output.column, output.format))
    }

    /// Appends one DataRow for each row of the range. After an error the output ends with the
    /// last row that was written whole.
    pub fn encode_rows(
        &self,
        batch: &RecordBatch,
        rows: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        // Checked by `outputs`.
        let count = (self.outputs.len() as i16).to_be_bytes();
        for_each_row(&self.outputs, batch, rows, out, |columns, row, out| {
            message(b'D', out, |out| {
                out.extend_from_slice(&count);
                for (output, column) in self.outputs.iter().zip(columns) {
                    self.field(output.format, column, row, out)
                        .map_err(|error| in_column(error, &output.name))?;
                }
                Ok(())
            })
        })
    }

    fn field(&self, format: Format, column: &Column, row: usize, out: &mut Vec<u8>) -> Result<()> {
        match format {
            Format::Binary => column.binary(row, &self.zone, out),
            Format::Text if column.is_null(row) => {
                out.extend_from_slice(&binary::NULL);
                Ok(())
            }
            Format::Text => nested::sized(out, |out| column.text(row, &self.zone, out)),
        }
    }
}

fn outputs(schema: &Schema, format: impl Fn(usize) -> Format) -> Result<Vec<Output>> {
    if schema.fields().len() > MAX_COLUMNS {
        return Err(Error::new(
            ErrorKind::ProgramLimitExceeded,
            format!("target lists can have at most {MAX_COLUMNS} entries"),
        ));
    }
    let outputs = schema.fields().iter().enumerate().map(|(index, field)| Output {
        name: field.name().clone(),
        column: PgColumn::of(field),
        format: format(index),
    });
    Ok(outputs.collect())
}

/// Binds the columns of the range once, and writes row by row.
fn for_each_row(
    outputs: &[Output],
    batch: &RecordBatch,
    rows: Range<usize>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&[Column], usize, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    if rows.start > rows.end || rows.end > batch.num_rows() || batch.num_columns() != outputs.len()
    {
        return Err(Error::internal(format!(
            "rows {rows:?} of {} columns from a batch of {} rows and {} columns",
            outputs.len(),
            batch.num_rows(),
            batch.num_columns(),
        )));
    }
    let slice = batch.slice(rows.start, rows.len());
    let columns: Result<Vec<Column>> = outputs
        .iter()
        .zip(slice.columns())
        .map(|(output, array)| {
            Column::bind(&output.column, array).map_err(|error| in_column(error, &output.name))
        })
        .collect();
    let columns = columns?;
    for row in 0..slice.num_rows() {
        let start = out.len();
        if let Err(error) = write(&columns, row, out) {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

/// Writes one message: its tag, the length of the rest, the rest.
fn message(
    tag: u8,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out)?;
    let length = out.len() - start;
    if length > MAX_ROW_BYTES {
        return Err(binary::too_large(length));
    }
    out[start..start + 4].copy_from_slice(&(length as i32).to_be_bytes());
    Ok(())
}

fn in_column(error: Error, name: &str) -> Error {
    match error.detail {
        Some(_) => error,
        None => error.with_detail(format!("The value is in column \"{name}\".")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::{
        array::{
            Array, ArrayRef, Date32Array, DictionaryArray, Int32Array, Int32Builder, ListArray,
            MapBuilder, NullArray, StringArray, StringBuilder, UnionArray,
        },
        datatypes::{Field, Int8Type, Int32Type, UnionFields},
    };

    use super::*;

    fn batch(array: ArrayRef) -> RecordBatch {
        let field = Field::new("x", array.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
    }

    fn encode(array: ArrayRef, format: Format) -> Result<Vec<Option<String>>> {
        let batch = batch(array);
        let encoder = Encoder::new(&batch.schema(), &[format], Zone::Utc)?;
        let mut values = Vec::new();
        for row in 0..batch.num_rows() {
            let mut out = Vec::new();
            encoder.encode_rows(&batch, row..row + 1, &mut out)?;
            let is_null = out[7..11] == binary::NULL;
            values.push((!is_null).then(|| String::from_utf8(out[11..].to_vec()).unwrap()));
        }
        Ok(values)
    }

    fn texts(array: ArrayRef) -> Vec<Option<String>> {
        encode(array, Format::Text).unwrap()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_string())).collect()
    }

    #[test]
    fn dictionaries_nulls_and_unions_show_their_values() {
        let dictionary: DictionaryArray<Int8Type> =
            vec![Some("a"), None, Some("b")].into_iter().collect();
        let expected = vec![Some("a".to_string()), None, Some("b".to_string())];
        assert_eq!(texts(Arc::new(dictionary.clone())), expected);
        assert_eq!(encode(Arc::new(dictionary), Format::Binary).unwrap(), expected);
        assert_eq!(texts(Arc::new(NullArray::new(2))), [None, None]);

        let members = [
            Field::new("n", arrow::datatypes::DataType::Int32, true),
            Field::new("s", arrow::datatypes::DataType::Utf8, true),
        ];
        let fields = UnionFields::try_new(vec![0, 1], members).unwrap();
        let children: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![Some(7), None])),
            Arc::new(StringArray::from(vec!["x"])),
        ];
        let union =
            UnionArray::try_new(fields, vec![1, 0, 0].into(), Some(vec![0, 0, 1].into()), children)
                .unwrap();
        assert_eq!(texts(Arc::new(union)), [Some("x".to_string()), Some("7".to_string()), None]);
    }

    #[test]
    fn maps_are_json_objects() {
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("a\"\n");
        map.values().append_value(1);
        map.keys().append_value("b");
        map.values().append_null();
        map.append(true).unwrap();
        map.append(true).unwrap();
        let map: ArrayRef = Arc::new(map.finish());
        let expected = some(&["{\"a\\\"\\n\": 1, \"b\": null}", "{}"]);
        assert_eq!(texts(Arc::clone(&map)), expected);
        assert_eq!(encode(map, Format::Binary).unwrap(), expected);
    }

    #[test]
    fn values_that_postgres_cannot_hold_are_errors() {
        let ragged = |rows: Vec<Vec<i32>>| -> ArrayRef {
            let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(
                rows.iter().map(|row| Some(row.iter().map(|item| Some(*item)))),
            );
            let field = Field::new_list_field(inner.data_type().clone(), true);
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([inner.len()]);
            Arc::new(ListArray::new(field.into(), offsets, Arc::new(inner), None))
        };
        assert_eq!(texts(ragged(vec![vec![1, 2], vec![3, 4]])), some(&["{{1,2},{3,4}}"]));
        assert_eq!(texts(ragged(vec![vec![], vec![]])), some(&["{}"]));
        for (array, sqlstate) in [
            (ragged(vec![vec![1], vec![2, 3]]), "0A000"),
            (Arc::new(StringArray::from(vec!["a\0b"])), "22021"),
            (Arc::new(Date32Array::from(vec![i32::MIN])), "22003"),
        ] {
            for format in [Format::Text, Format::Binary] {
                let error = encode(Arc::clone(&array), format).unwrap_err();
                assert_eq!(error.kind.sqlstate(), sqlstate);
                assert!(error.detail.is_some());
            }
        }
    }

    #[test]
    fn an_error_leaves_the_rows_before_it() {
        let batch = batch(Arc::new(StringArray::from(vec!["a", "b\0", "c"])));
        let encoder = Encoder::new(&batch.schema(), &[], Zone::Utc).unwrap();
        let mut out = Vec::new();
        assert!(encoder.encode_rows(&batch, 0..3, &mut out).is_err());
        assert_eq!(out, b"D\0\0\0\x0b\0\x01\0\0\0\x01a");
        let past_the_end = encoder.encode_rows(&batch, 2..4, &mut out).unwrap_err();
        assert_eq!(past_the_end.kind, ErrorKind::Internal);
    }

    #[test]
    fn formats_are_none_one_or_one_each() {
        use Format::{Binary, Text};
        assert_eq!(Format::for_columns(&[], 2).unwrap(), [Text, Text]);
        assert_eq!(Format::for_columns(&[Binary], 2).unwrap(), [Binary, Binary]);
        assert_eq!(Format::for_columns(&[Binary, Text], 2).unwrap(), [Binary, Text]);
        let error = Format::for_columns(&[Binary, Text], 3).unwrap_err();
        assert_eq!(error.kind, ErrorKind::ProtocolViolation);
    }
}
