//! Rows of system tables turned into Arrow batches.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder,
        Int32Builder, Int64Builder, ListBuilder, StringBuilder, new_null_array,
    },
    datatypes::{
        DataType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
        UInt32Type,
    },
    record_batch::RecordBatch,
};

use super::relations::Relation;
use crate::error::{Error, Result};

/// One cell, on its way into a column or out of a function's argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    /// Text that the column's own type reads: a cell of a static file.
    Raw(&'a str),
}

macro_rules! value_from {
    ($($from:ty => $make:expr;)*) => {$(
        impl<'a> From<$from> for Value<'a> {
            fn from(value: $from) -> Self {
                ($make)(value)
            }
        }
    )*};
}

value_from! {
    bool => Value::Bool;
    i64 => Value::Int;
    f64 => Value::Float;
    &'a str => |text| Value::Text(Cow::Borrowed(text));
    Cow<'a, str> => Value::Text;
    String => |text| Value::Text(Cow::Owned(text));
    Vec<i64> => Value::Ints;
    Vec<String> => Value::Texts;
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// Builds a relation's batch from rows that give the columns in `names`. Columns that are not
/// named are NULL, or where PostgreSQL has NOT NULL: false, 0 or empty.
pub fn build<'a, R: AsRef<[Value<'a>]>>(
    relation: &Relation,
    names: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> Result<RecordBatch> {
    let mut given = names
        .iter()
        .map(|name| {
            let index = relation.arrow.index_of(name).map_err(Error::internal)?;
            Ok((index, Column::new(relation.arrow.field(index).data_type())?))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut count = 0;
    for row in rows {
        for ((_, column), value) in given.iter_mut().zip(row.as_ref()) {
            column.push(value)?;
        }
        count += 1;
    }
    let mut arrays = vec![None; relation.columns.len()];
    for (index, column) in given {
        arrays[index] = Some(column.finish());
    }
    let arrays = arrays
        .into_iter()
        .zip(relation.arrow.fields())
        .map(|(array, field)| match array {
            Some(array) => Ok(array),
            None if field.is_nullable() => Ok(new_null_array(field.data_type(), count)),
            None => Column::new(field.data_type())?.zeros(count),
        })
        .collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new_with_options(
        relation.arrow.clone(),
        arrays,
        &arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(count)),
    )
    .map_err(Error::internal)
}

/// One array of a system type.
pub fn array<'a>(
    data_type: &DataType,
    values: impl IntoIterator<Item = Result<Value<'a>>>,
) -> Result<ArrayRef> {
    let mut column = Column::new(data_type)?;
    for value in values {
        column.push(&value?)?;
    }
    Ok(column.finish())
}

/// Reads a function's arguments row by row.
pub fn value(array: &dyn Array, row: usize) -> Value<'_> {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Value::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::Int(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Value::Int(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Value::Int(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Value::from(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Value::from(array.as_string_view().value(row)),
        _ => Value::Null,
    }
}

/// Whether [`value`] reads arrays of this type.
pub fn is_readable(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Null | T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16
    ) || matches!(data_type, T::UInt32 | T::Float64 | T::Utf8 | T::LargeUtf8 | T::Utf8View)
}

/// A static file's rows, plus columns that have one value in every row.
pub fn build_static(
    relation: &Relation,
    names: &[&str],
    text: &'static str,
    constants: &[(&str, Value<'static>)],
) -> Result<RecordBatch> {
    let all = names.iter().copied().chain(constants.iter().map(|(name, _)| *name));
    let rows = text.lines().map(|line| {
        let cells = line.split('\t').take(names.len()).map(Value::Raw);
        cells.chain(constants.iter().map(|(_, value)| value.clone())).collect::<Vec<_>>()
    });
    build(relation, &all.collect::<Vec<_>>(), rows)
}

enum Column {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Int16s(ListBuilder<Int16Builder>),
    Int64s(ListBuilder<Int64Builder>),
    Texts(ListBuilder<StringBuilder>),
}

impl Column {
    fn new(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::List(item) => match item.data_type() {
                DataType::Int16 => Self::Int16s(ListBuilder::new(Int16Builder::new())),
                DataType::Int64 => Self::Int64s(ListBuilder::new(Int64Builder::new())),
                DataType::Utf8 => Self::Texts(ListBuilder::new(StringBuilder::new())),
                other => return Err(unexpected(other)),
            },
            other => return Err(unexpected(other)),
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a system column's values fit its type")]
    fn push(&mut self, value: &Value<'_>) -> Result<()> {
        if let Value::Raw(text) = value {
            return self.push_raw(text);
        }
        match (&mut *self, value) {
            (_, Value::Null) => self.push_null(),
            (Self::Bool(builder), Value::Bool(value)) => builder.append_value(*value),
            (Self::Int16(builder), Value::Int(value)) => builder.append_value(*value as i16),
            (Self::Int32(builder), Value::Int(value)) => builder.append_value(*value as i32),
            (Self::Int64(builder), Value::Int(value)) => builder.append_value(*value),
            (Self::Float32(builder), Value::Float(value)) => builder.append_value(*value as f32),
            (Self::Float64(builder), Value::Float(value)) => builder.append_value(*value),
            (Self::Text(builder), Value::Text(value)) => builder.append_value(value),
            (Self::Int16s(builder), Value::Ints(values)) => {
                builder.append_value(values.iter().map(|value| Some(*value as i16)));
            }
            (Self::Int64s(builder), Value::Ints(values)) => {
                builder.append_value(values.iter().copied().map(Some));
            }
            (Self::Texts(builder), Value::Texts(values)) => {
                builder.append_value(values.iter().map(Some));
            }
            (_, value) => return Err(Error::internal(format!("system column got {value:?}"))),
        }
        Ok(())
    }

    fn push_raw(&mut self, text: &str) -> Result<()> {
        if text == "\\N" {
            self.push_null();
            return Ok(());
        }
        let number = || {
            text.parse::<i64>()
                .map_err(|_| Error::internal(format!("static number \"{text}\" is none")))
        };
        let value = match self {
            Self::Bool(_) => Value::Bool(text == "t"),
            Self::Int16(_) | Self::Int32(_) | Self::Int64(_) => Value::Int(number()?),
            Self::Text(_) => Value::Text(Cow::Owned(unescape(text))),
            Self::Int16s(_) | Self::Int64s(_) => {
                Value::Ints(text.split(' ').filter_map(|item| item.parse().ok()).collect())
            }
            Self::Float32(_) | Self::Float64(_) | Self::Texts(_) => {
                return Err(Error::internal("static files hold no floats and no text arrays"));
            }
        };
        self.push(&value)
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Int16s(builder) => builder.append_null(),
            Self::Int64s(builder) => builder.append_null(),
            Self::Texts(builder) => builder.append_null(),
        }
    }

    fn zeros(mut self, count: usize) -> Result<ArrayRef> {
        let zero = match self {
            Self::Bool(_) => Value::Bool(false),
            Self::Int16(_) | Self::Int32(_) | Self::Int64(_) => Value::Int(0),
            Self::Float32(_) | Self::Float64(_) => Value::Float(0.0),
            Self::Text(_) => Value::Text(Cow::Borrowed("")),
            Self::Int16s(_) | Self::Int64s(_) => Value::Ints(Vec::new()),
            Self::Texts(_) => Value::Texts(Vec::new()),
        };
        for _ in 0..count {
            self.push(&zero)?;
        }
        Ok(self.finish())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Int16(mut builder) => Arc::new(builder.finish()),
            Self::Int32(mut builder) => Arc::new(builder.finish()),
            Self::Int64(mut builder) => Arc::new(builder.finish()),
            Self::Float32(mut builder) => Arc::new(builder.finish()),
            Self::Float64(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Int16s(mut builder) => Arc::new(builder.finish()),
            Self::Int64s(mut builder) => Arc::new(builder.finish()),
            Self::Texts(mut builder) => Arc::new(builder.finish()),
        }
    }
}

fn unexpected(data_type: &DataType) -> Error {
    Error::internal(format!("no rows are made for a system column of type {data_type}"))
}

/// Undoes the escapes of COPY's text format.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => plain.push('\n'),
                Some('t') => plain.push('\t'),
                Some('r') => plain.push('\r'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            (other, false) => plain.push(other),
        }
    }
    plain
}
