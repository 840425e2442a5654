//! Decodes the binary form of COPY straight into Arrow builders.
//!
//! Invariant: every value arrives whole or the query fails, naming the column. The stream counts as
//! complete only with its trailer.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
        Decimal256Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
        Int64Builder, IntervalMonthDayNanoBuilder, ListArray, NullBufferBuilder,
        OffsetBufferBuilder, RecordBatch, RecordBatchOptions, StringBuilder,
        Time64NanosecondBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{
        DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, SchemaRef, TimeUnit, i256,
    },
};
use tokio_postgres::types::{Kind, Type};

use super::types::BARE_NUMERIC;
use crate::{Result, SourceError, SourceErrorKind};

const MAX_BATCH_ROWS: usize = 8192;
/// Wide rows make shorter batches.
const MAX_BATCH_BYTES: usize = 8 << 20;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const DAYS_FROM_1970_TO_2000: i32 = 10_957;
const MICROS_FROM_1970_TO_2000: i64 = 946_684_800_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Collects rows until a batch is worth handing over.
pub(super) struct Decoder {
    relation: Arc<str>,
    schema: SchemaRef,
    types: Vec<Type>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    /// The beginning of a row whose rest is still to come.
    partial: Vec<u8>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Rows,
    Complete,
}

impl Decoder {
    /// `types` are what the statement really returns; anything but what the snapshot promised is
    /// [`SourceErrorKind::Stale`].
    pub fn new(relation: Arc<str>, schema: SchemaRef, types: &[&Type]) -> Result<Self> {
        if types.len() != schema.fields().len() {
            let message = format!("table \"{relation}\" returns another number of columns");
            return Err(stale(message));
        }
        let mut columns = Vec::with_capacity(types.len());
        for (field, remote) in schema.fields().iter().zip(types) {
            let column = Column::new(remote, field.data_type()).ok_or_else(|| {
                stale(format!(
                    "column \"{relation}.{}\" has changed its type to {remote}",
                    field.name()
                ))
            })?;
            columns.push(column);
        }
        let types = types.iter().map(|remote| (*remote).clone()).collect();
        let (partial, stage) = (Vec::new(), Stage::Header);
        Ok(Self { relation, schema, types, columns, rows: 0, bytes: 0, partial, stage })
    }

    pub fn is_full(&self) -> bool {
        self.rows >= MAX_BATCH_ROWS || self.bytes >= MAX_BATCH_BYTES
    }

    /// Takes the next piece of the stream, which may end anywhere.
    pub fn feed(&mut self, piece: &[u8]) -> Result<()> {
        if self.partial.is_empty() {
            let used = self.consume(piece)?;
            self.partial.extend_from_slice(&piece[used..]);
            return Ok(());
        }
        self.partial.extend_from_slice(piece);
        let partial = std::mem::take(&mut self.partial);
        let used = self.consume(&partial)?;
        self.partial = partial;
        self.partial.drain(..used);
        Ok(())
    }

    /// To be called at the end of the stream: without a trailer it was cut.
    pub fn check_complete(&self) -> Result<()> {
        if self.stage == Stage::Complete && self.partial.is_empty() {
            return Ok(());
        }
        let message = format!("the rows of \"{}\" ended too early", self.relation);
        Err(SourceError::new(SourceErrorKind::Unavailable, message)
            .with_hint("Try again: the connection broke."))
    }

    /// The same columns come in one more stream: the rows so far stay.
    pub fn start_next_stream(&mut self) -> Result<()> {
        self.check_complete()?;
        self.stage = Stage::Header;
        Ok(())
    }

    /// The rows so far, if there are any.
    pub fn take_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let arrays = self.columns.iter_mut().map(Column::finish).collect::<Vec<_>>();
        if self.is_full() {
            self.make_room();
        }
        let has_null =
            |(array, field): (&ArrayRef, &FieldRef)| !field.is_nullable() && array.null_count() > 0;
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if let Some(index) = arrays.iter().zip(self.schema.fields()).position(has_null) {
            let name = self.schema.field(index).name();
            let message = format!("column \"{}.{name}\" may be NULL now", self.relation);
            return Err(stale(message));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| {
                let message = format!("rows of \"{}\" make no batch", self.relation);
                SourceError::new(SourceErrorKind::Internal, message).with_source(error)
            })?;
        Ok(Some(batch))
    }

    /// A builder that has given its rows away has no room left, and would double it again and again.
    fn make_room(&mut self) {
        let kinds = self.types.iter().zip(self.schema.fields());
        for (column, (remote, field)) in self.columns.iter_mut().zip(kinds) {
            if let Some(roomy) = Column::new(remote, field.data_type()) {
                *column = roomy;
            }
        }
    }

    /// Reads whole rows and answers how many bytes they took.
    fn consume(&mut self, data: &[u8]) -> Result<usize> {
        let mut used = 0;
        if self.stage == Stage::Header {
            match header_length(data) {
                Ok(Some(length)) => used = length,
                Ok(None) => return Ok(0),
                Err(story) => return Err(self.protocol(story)),
            }
            self.stage = Stage::Rows;
        }
        while self.stage == Stage::Rows {
            let Some(row) = row_length(&data[used..]).map_err(|story| self.protocol(story))? else {
                return Ok(used);
            };
            match row {
                Row::Trailer => {
                    self.stage = Stage::Complete;
                    used += 2;
                }
                Row::Fields { count, length } => {
                    if count != self.columns.len() {
                        return Err(self.protocol("a row has another number of fields"));
                    }
                    self.append(&data[used + 2..used + length])?;
                    used += length;
                }
            }
        }
        if used < data.len() {
            return Err(self.protocol("rows after the trailer"));
        }
        Ok(used)
    }

    /// Appends one row, whose lengths have been checked.
    fn append(&mut self, mut fields: &[u8]) -> Result<()> {
        self.bytes += fields.len();
        for (index, column) in self.columns.iter_mut().enumerate() {
            let Some((length, rest)) = fields.split_first_chunk::<4>() else { break };
            let taken = match usize::try_from(i32::from_be_bytes(*length)) {
                Err(_) => {
                    column.append_null();
                    fields = rest;
                    Ok(())
                }
                Ok(length) => {
                    let (value, rest) = rest.split_at(length.min(rest.len()));
                    fields = rest;
                    column.append(value)
                }
            };
            if let Err(misfit) = taken {
                return Err(misfit.at(&self.relation, self.schema.field(index)));
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn protocol(&self, story: &'static str) -> SourceError {
        let message = format!("the rows of \"{}\" can't be decoded", self.relation);
        SourceError::new(SourceErrorKind::Internal, message).with_source(story)
    }
}

fn stale(message: String) -> SourceError {
    SourceError::new(SourceErrorKind::Stale, message)
        .with_hint("Run REFRESH CATALOG, then try again.")
}

enum Row {
    Trailer,
    Fields { count: usize, length: usize },
}

/// `None`: the header is not all there.
fn header_length(data: &[u8]) -> Result<Option<usize>, &'static str> {
    if !data.starts_with(&SIGNATURE[..SIGNATURE.len().min(data.len())]) {
        return Err("no signature of binary COPY");
    }
    let Some((_, extension)) = data.get(11..19).and_then(|rest| rest.split_last_chunk::<4>())
    else {
        return Ok(None);
    };
    let length = 19 + u32::from_be_bytes(*extension) as usize;
    Ok((data.len() >= length).then_some(length))
}

/// `None`: the row is not all there.
fn row_length(data: &[u8]) -> Result<Option<Row>, &'static str> {
    let Some((count, _)) = data.split_first_chunk::<2>() else { return Ok(None) };
    let count = match i16::from_be_bytes(*count) {
        -1 => return Ok(Some(Row::Trailer)),
        count => usize::try_from(count).map_err(|_| "a negative number of fields")?,
    };
    let mut length = 2;
    for _ in 0..count {
        let Some(field) = data.get(length..).and_then(|rest| rest.first_chunk::<4>()) else {
            return Ok(None);
        };
        length += 4 + match i32::from_be_bytes(*field) {
            -1 => 0,
            bytes => usize::try_from(bytes).map_err(|_| "a negative length")?,
        };
    }
    Ok((data.len() >= length).then_some(Row::Fields { count, length }))
}

/// Why a value does not fit its column.
#[derive(Debug)]
struct Misfit {
    reason: &'static str,
    hint: Option<&'static str>,
}

impl Misfit {
    const fn new(reason: &'static str) -> Self {
        Self { reason, hint: None }
    }

    const fn with_hint(reason: &'static str, hint: &'static str) -> Self {
        Self { reason, hint: Some(hint) }
    }

    fn at(self, relation: &str, field: &Field) -> SourceError {
        let remote = crate::field::pg_type(field).unwrap_or("unknown");
        let message =
            format!("a value of column \"{relation}.{}\" ({remote}) {}", field.name(), self.reason);
        let error = SourceError::new(SourceErrorKind::InvalidValue, message);
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

const WRONG_LENGTH: Misfit = Misfit::new("has another length than its type");
const INFINITE: Misfit = Misfit::with_hint(
    "is infinite, or too far from now",
    "Leave such rows out with a filter at the source, or cast the column to text in a view.",
);
const WIDE_NUMERIC: Misfit = Misfit::with_hint(
    "does not fit: it is too large, or has more than 20 digits after the point",
    "Set numeric = \"text\" for this catalog.",
);
const WIDE_DECIMAL: Misfit = Misfit::with_hint(
    "does not fit its precision",
    "Cast the column to text in a view at the source.",
);
const NUMERIC_NAN: Misfit =
    Misfit::with_hint("is NaN or infinite", "Set numeric = \"text\" for this catalog.");
const DECIMAL_NAN: Misfit = Misfit::with_hint(
    "is NaN or infinite",
    "Leave such rows out in a view at the source, or drop the precision of the column and set \
     numeric = \"text\" for this catalog.",
);
const CUT_ARRAY: Misfit = Misfit::new("is an array that ends too early");
const NOT_UTF8: Misfit = Misfit::with_hint(
    "is not valid UTF-8",
    "The database keeps bytes without an encoding (SQL_ASCII): cast the column to bytea.",
);

/// One column under construction.
enum Column {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Oid(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128 {
        builder: Decimal128Builder,
        scale: i32,
        limit: i128,
    },
    Decimal256 {
        builder: Decimal256Builder,
        scale: i32,
        limit: i256,
        is_bare: bool,
    },
    Text(StringBuilder),
    /// CHAR(n), whose trailing blanks mean nothing.
    PaddedText(StringBuilder),
    Jsonb(StringBuilder),
    Uuid(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64NanosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    List(Box<List>),
}

struct List {
    element_oid: u32,
    field: FieldRef,
    offsets: OffsetBufferBuilder<i32>,
    nulls: NullBufferBuilder,
    elements: Column,
}

impl Column {
    /// `None`: this remote type is not read into this Arrow type.
    fn new(remote: &Type, data_type: &DataType) -> Option<Self> {
        const ROWS: usize = MAX_BATCH_ROWS;
        if let (Kind::Array(element), DataType::List(field)) = (remote.kind(), data_type) {
            return Some(Self::List(Box::new(List {
                element_oid: element.oid(),
                field: field.clone(),
                offsets: OffsetBufferBuilder::new(ROWS),
                nulls: NullBufferBuilder::new(ROWS),
                elements: Self::new(element, field.data_type())?,
            })));
        }
        let text = || StringBuilder::with_capacity(ROWS, ROWS * 16);
        Some(match (remote, data_type) {
            (&Type::BOOL, DataType::Boolean) => Self::Boolean(BooleanBuilder::with_capacity(ROWS)),
            (&Type::INT2, DataType::Int16) => Self::Int16(Int16Builder::with_capacity(ROWS)),
            (&Type::INT4, DataType::Int32) => Self::Int32(Int32Builder::with_capacity(ROWS)),
            (&Type::INT8, DataType::Int64) => Self::Int64(Int64Builder::with_capacity(ROWS)),
            (&Type::OID, DataType::Int64) => Self::Oid(Int64Builder::with_capacity(ROWS)),
            (&Type::FLOAT4, DataType::Float32) => {
                Self::Float32(Float32Builder::with_capacity(ROWS))
            }
            (&Type::FLOAT8, DataType::Float64) => {
                Self::Float64(Float64Builder::with_capacity(ROWS))
            }
            (&Type::NUMERIC, DataType::Decimal128(precision, scale)) => Self::Decimal128 {
                builder: Decimal128Builder::with_capacity(ROWS).with_data_type(data_type.clone()),
                scale: i32::from(*scale),
                limit: 10_i128.checked_pow(u32::from(*precision))?,
            },
            (&Type::NUMERIC, DataType::Decimal256(precision, scale)) => Self::Decimal256 {
                builder: Decimal256Builder::with_capacity(ROWS).with_data_type(data_type.clone()),
                scale: i32::from(*scale),
                limit: i256::from_i128(10).checked_pow(u32::from(*precision))?,
                is_bare: *data_type == BARE_NUMERIC,
            },
            (&Type::TEXT | &Type::VARCHAR | &Type::NAME | &Type::JSON, DataType::Utf8) => {
                Self::Text(text())
            }
            (&Type::BPCHAR, DataType::Utf8) => Self::PaddedText(text()),
            (&Type::JSONB, DataType::Utf8) => Self::Jsonb(text()),
            (&Type::UUID, DataType::Utf8) => Self::Uuid(text()),
            (&Type::BYTEA, DataType::Binary) => {
                Self::Bytes(BinaryBuilder::with_capacity(ROWS, ROWS * 16))
            }
            (&Type::DATE, DataType::Date32) => Self::Date(Date32Builder::with_capacity(ROWS)),
            (&Type::TIME, DataType::Time64(TimeUnit::Nanosecond)) => {
                Self::Time(Time64NanosecondBuilder::with_capacity(ROWS))
            }
            (&Type::TIMESTAMP, DataType::Timestamp(TimeUnit::Microsecond, None))
            | (&Type::TIMESTAMPTZ, DataType::Timestamp(TimeUnit::Microsecond, Some(_))) => {
                let builder = TimestampMicrosecondBuilder::with_capacity(ROWS);
                Self::Timestamp(builder.with_data_type(data_type.clone()))
            }
            (&Type::INTERVAL, DataType::Interval(IntervalUnit::MonthDayNano)) => {
                Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(ROWS))
            }
            _ => return None,
        })
    }

    #[inline]
    fn append(&mut self, value: &[u8]) -> Result<(), Misfit> {
        match self {
            Self::Int32(builder) => builder.append_value(i32::from_be_bytes(fixed(value)?)),
            Self::Int64(builder) => builder.append_value(i64::from_be_bytes(fixed(value)?)),
            Self::Text(builder) => builder.append_value(utf8(value)?),
            Self::Decimal128 { builder, scale, limit } => {
                builder.append_value(decimal128(value, *scale, *limit)?);
            }
            Self::Float64(builder) => {
                let value = f64::from_be_bytes(fixed(value)?);
                // All NaN are one in PostgreSQL; Arrow would tell them apart by their bits.
                builder.append_value(if value.is_nan() { f64::NAN } else { value });
            }
            Self::Timestamp(builder) => builder.append_value(timestamp(value)?),
            Self::Date(builder) => builder.append_value(date(value)?),
            Self::Boolean(builder) => builder.append_value(fixed::<1>(value)? != [0]),
            Self::Int16(builder) => builder.append_value(i16::from_be_bytes(fixed(value)?)),
            Self::Oid(builder) => builder.append_value(u32::from_be_bytes(fixed(value)?).into()),
            Self::Float32(builder) => {
                let value = f32::from_be_bytes(fixed(value)?);
                builder.append_value(if value.is_nan() { f32::NAN } else { value });
            }
            Self::Decimal256 { builder, scale, limit, is_bare } => {
                builder.append_value(decimal256(value, *scale, *limit, *is_bare)?);
            }
            Self::PaddedText(builder) => {
                builder.append_value(utf8(value)?.trim_end_matches(' '));
            }
            Self::Jsonb(builder) => match value.split_first() {
                Some((1, text)) => builder.append_value(utf8(text)?),
                _ => return Err(Misfit::new("has an unknown version of jsonb")),
            },
            Self::Uuid(builder) => {
                let mut text = [0; 36];
                builder.append_value(uuid(fixed(value)?, &mut text)?);
            }
            Self::Bytes(builder) => builder.append_value(value),
            Self::Time(builder) => builder.append_value(time(value)?),
            Self::Interval(builder) => builder.append_value(interval(value)?),
            Self::List(list) => list.append(value)?,
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) | Self::Oid(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal128 { builder, .. } => builder.append_null(),
            Self::Decimal256 { builder, .. } => builder.append_null(),
            Self::Text(builder)
            | Self::PaddedText(builder)
            | Self::Jsonb(builder)
            | Self::Uuid(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Interval(builder) => builder.append_null(),
            Self::List(list) => {
                list.offsets.push_length(0);
                list.nulls.append_null();
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) | Self::Oid(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal128 { builder, .. } => Arc::new(builder.finish()),
            Self::Decimal256 { builder, .. } => Arc::new(builder.finish()),
            Self::Text(builder)
            | Self::PaddedText(builder)
            | Self::Jsonb(builder)
            | Self::Uuid(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Interval(builder) => Arc::new(builder.finish()),
            Self::List(list) => Arc::new(list.finish()),
        }
    }
}

impl List {
    /// `i32 dimensions, i32 has_null, u32 element type`, then `i32 size, i32 first index` for each
    /// dimension, then the elements as in a row.
    fn append(&mut self, value: &[u8]) -> Result<(), Misfit> {
        let mut rest = value;
        let (dimensions, _has_null, element) =
            (word(&mut rest)?, word(&mut rest)?, word(&mut rest)?);
        if element as u32 != self.element_oid {
            return Err(Misfit::new("is an array of another type"));
        }
        let size = match dimensions {
            0 => 0,
            1 => {
                let (size, first) = (word(&mut rest)?, word(&mut rest)?);
                if first != 1 {
                    return Err(Misfit::new("is an array that does not begin at index 1"));
                }
                usize::try_from(size).map_err(|_| CUT_ARRAY)?
            }
            _ => return Err(Misfit::new("is an array of more than one dimension")),
        };
        for _ in 0..size {
            match usize::try_from(word(&mut rest)?) {
                Err(_) => self.elements.append_null(),
                Ok(length) => {
                    let (element, after) = rest.split_at_checked(length).ok_or(CUT_ARRAY)?;
                    rest = after;
                    self.elements.append(element)?;
                }
            }
        }
        self.offsets.push_length(size);
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> ListArray {
        let offsets = std::mem::replace(&mut self.offsets, OffsetBufferBuilder::new(0)).finish();
        ListArray::new(self.field.clone(), offsets, self.elements.finish(), self.nulls.finish())
    }
}

fn word(rest: &mut &[u8]) -> Result<i32, Misfit> {
    let (word, after) = rest.split_first_chunk::<4>().ok_or(CUT_ARRAY)?;
    *rest = after;
    Ok(i32::from_be_bytes(*word))
}

#[inline]
fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], Misfit> {
    value.try_into().map_err(|_| WRONG_LENGTH)
}

#[inline]
fn utf8(value: &[u8]) -> Result<&str, Misfit> {
    std::str::from_utf8(value).map_err(|_| NOT_UTF8)
}

fn uuid(bytes: [u8; 16], text: &mut [u8; 36]) -> Result<&str, Misfit> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut at = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text[at] = b'-';
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    utf8(text)
}

fn date(value: &[u8]) -> Result<i32, Misfit> {
    match i32::from_be_bytes(fixed(value)?) {
        i32::MIN | i32::MAX => Err(INFINITE),
        days => days.checked_add(DAYS_FROM_1970_TO_2000).ok_or(INFINITE),
    }
}

fn timestamp(value: &[u8]) -> Result<i64, Misfit> {
    match i64::from_be_bytes(fixed(value)?) {
        i64::MIN | i64::MAX => Err(INFINITE),
        micros => micros.checked_add(MICROS_FROM_1970_TO_2000).ok_or(INFINITE),
    }
}

fn time(value: &[u8]) -> Result<i64, Misfit> {
    let micros = i64::from_be_bytes(fixed(value)?);
    if !(0..MICROS_PER_DAY).contains(&micros) {
        return Err(Misfit::with_hint(
            "is 24:00:00, which is no time of a day here",
            "Cast the column to text in a view at the source.",
        ));
    }
    Ok(micros * 1000)
}

fn interval(value: &[u8]) -> Result<IntervalMonthDayNano, Misfit> {
    const TOO_LONG: Misfit = Misfit::with_hint(
        "is infinite, or its time is longer than 292 years",
        "Cast the column to text in a view at the source.",
    );
    let value: [u8; 16] = fixed(value)?;
    let (micros, rest) = value.split_first_chunk::<8>().ok_or(WRONG_LENGTH)?;
    let (days, months) = rest.split_first_chunk::<4>().ok_or(WRONG_LENGTH)?;
    let (days, months) = (i32::from_be_bytes(*days), i32::from_be_bytes(fixed(months)?));
    let nanos = i64::from_be_bytes(*micros).checked_mul(1000).ok_or(TOO_LONG)?;
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

fn decimal128(value: &[u8], scale: i32, limit: i128) -> Result<i128, Misfit> {
    let numeric = Numeric::parse(value)?.ok_or(DECIMAL_NAN)?;
    let magnitude = numeric.scaled::<i128>(scale).filter(|value| *value < limit);
    let magnitude = magnitude.ok_or(WIDE_DECIMAL)?;
    Ok(if numeric.is_negative { -magnitude } else { magnitude })
}

fn decimal256(value: &[u8], scale: i32, limit: i256, is_bare: bool) -> Result<i256, Misfit> {
    let (nan, wide) =
        if is_bare { (NUMERIC_NAN, WIDE_NUMERIC) } else { (DECIMAL_NAN, WIDE_DECIMAL) };
    let numeric = Numeric::parse(value)?.ok_or(nan)?;
    let magnitude = numeric.scaled::<i256>(scale).filter(|value| *value < limit).ok_or(wide)?;
    if numeric.is_negative { magnitude.checked_neg().ok_or(WIDE_DECIMAL) } else { Ok(magnitude) }
}

/// Digits to the base of 10,000; the first counts 10,000 to the power of `weight`.
struct Numeric<'a> {
    digits: &'a [[u8; 2]],
    weight: i32,
    is_negative: bool,
}

impl<'a> Numeric<'a> {
    /// `None`: NaN or infinity.
    #[inline]
    fn parse(value: &'a [u8]) -> Result<Option<Self>, Misfit> {
        let (header, digits) = value.split_first_chunk::<8>().ok_or(WRONG_LENGTH)?;
        let [n0, n1, w0, w1, s0, s1, _, _] = *header;
        let is_negative = match u16::from_be_bytes([s0, s1]) {
            0x0000 => false,
            0x4000 => true,
            _ => return Ok(None),
        };
        let (digits, rest) = digits.as_chunks::<2>();
        if digits.len() != usize::from(u16::from_be_bytes([n0, n1])) || !rest.is_empty() {
            return Err(WRONG_LENGTH);
        }
        let weight = i32::from(i16::from_be_bytes([w0, w1]));
        Ok(Some(Self { digits, weight, is_negative }))
    }

    /// The magnitude times ten to the power of `scale`; `None` when it overflows or is no integer.
    #[inline]
    fn scaled<T: Wide>(&self, scale: i32) -> Option<T> {
        const POWERS: [u16; 5] = [1, 10, 100, 1000, 10_000];
        let mut value = T::ZERO;
        // What one unit of the current digit counts, as a power of ten.
        let mut exponent = self.weight * 4 + scale;
        let mut last = exponent;
        for digit in self.digits {
            let digit = u16::from_be_bytes(*digit);
            if exponent >= 0 {
                value = value.times_plus(10_000, digit)?;
            } else if exponent > -4 {
                // The point of the result is inside of this digit.
                let below = POWERS[exponent.unsigned_abs() as usize];
                if digit % below != 0 {
                    return None;
                }
                value = value.times_plus(10_000 / below, digit / below)?;
            } else if digit != 0 {
                return None;
            }
            last = exponent;
            exponent -= 4;
        }
        if self.digits.is_empty() {
            return Some(value);
        }
        // Trailing zeros are not sent.
        let mut zeros = last.max(0);
        while zeros >= 4 {
            value = value.times_plus(10_000, 0)?;
            zeros -= 4;
        }
        value.times_plus(POWERS[zeros as usize], 0)
    }
}

trait Wide: Sized {
    const ZERO: Self;
    fn times_plus(self, factor: u16, summand: u16) -> Option<Self>;
}

impl Wide for i128 {
    const ZERO: Self = 0;

    #[inline]
    fn times_plus(self, factor: u16, summand: u16) -> Option<Self> {
        self.checked_mul(factor.into())?.checked_add(summand.into())
    }
}

impl Wide for i256 {
    const ZERO: Self = i256::ZERO;

    #[inline]
    fn times_plus(self, factor: u16, summand: u16) -> Option<Self> {
        self.checked_mul(i256::from(i64::from(factor)))?.checked_add(i256::from(i64::from(summand)))
    }
}
