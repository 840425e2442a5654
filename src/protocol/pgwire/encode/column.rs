//! A column of a batch, bound once: its Arrow array in the few shapes that PostgreSQL's types need.
//!
//! Rare widths and units are widened when the column is bound, so that writing a value is a match
//! and a write.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray,
        LargeBinaryArray, LargeStringArray, OffsetSizeTrait, PrimitiveArray, RunArray, StringArray,
        StringViewArray, UInt64Array, UnionArray,
    },
    buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    compute::take,
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
        Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
        DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type,
        Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
        IntervalUnit, IntervalYearMonthType, RunEndIndexType, Time32MillisecondType,
        Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
    },
};

use super::{
    binary,
    nested::{self, List, Map, Ranges, Record, Union},
    text,
};
use crate::{
    error::{Error, ErrorKind, Result},
    protocol::pgwire::{
        calendar::{
            Interval, MICROS_PER_DAY, MICROS_PER_SECOND, SECONDS_PER_DAY, Zone, out_of_range,
            round_nanos,
        },
        types::{Kind, PgColumn},
    },
};

pub struct Column {
    nulls: Option<NullBuffer>,
    pub values: Values,
}

pub enum Values {
    Null,
    Bool(BooleanBuffer),
    Int2(ScalarBuffer<i16>),
    Int4(ScalarBuffer<i32>),
    Int8(ScalarBuffer<i64>),
    Oid(ScalarBuffer<u32>),
    Float4(ScalarBuffer<f32>),
    Float8(ScalarBuffer<f64>),
    Decimal128 {
        values: ScalarBuffer<i128>,
        scale: i8,
        trim: bool,
    },
    Decimal256 {
        values: ScalarBuffer<i256>,
        scale: i8,
        trim: bool,
    },
    Text(Strings),
    Char(Strings),
    Jsonb(Strings),
    Uuid(Strings),
    UuidBytes(FixedSizeBinaryArray),
    Bytea(Bytes),
    /// Days since 1970.
    Date(ScalarBuffer<i32>),
    /// Microseconds, since midnight or since 1970.
    Time(ScalarBuffer<i64>),
    Timestamp(ScalarBuffer<i64>),
    TimestampTz(ScalarBuffer<i64>),
    Interval(Vec<Interval>),
    List(List),
    Record(Record),
    Map(Map),
    Union(Union),
}

pub enum Strings {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
}

impl Strings {
    /// PostgreSQL has no text with a zero byte, and its clients would read the text up to there.
    fn value(&self, row: usize) -> Result<&str> {
        let value = match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
        };
        if value.as_bytes().contains(&0) {
            return Err(Error::new(
                ErrorKind::InvalidEncoding,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            ));
        }
        Ok(value)
    }
}

pub enum Bytes {
    Small(BinaryArray),
    Large(LargeBinaryArray),
    View(BinaryViewArray),
    Fixed(FixedSizeBinaryArray),
}

impl Bytes {
    fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
            Self::Fixed(array) => array.value(row),
        }
    }
}

impl Column {
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the text of a value that is not null.
    pub fn text(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        match &self.values {
            Values::Null => {}
            Values::Bool(values) => text::boolean(values.value(row), out),
            Values::Int2(values) => text::integer(i64::from(values[row]), out),
            Values::Int4(values) => text::integer(i64::from(values[row]), out),
            Values::Int8(values) => text::integer(values[row], out),
            Values::Oid(values) => text::integer(i64::from(values[row]), out),
            Values::Float4(values) => text::float4(values[row], out),
            Values::Float8(values) => text::float8(values[row], out),
            Values::Decimal128 { values, scale, trim } => {
                text::decimal128(values[row], *scale, *trim, out);
            }
            Values::Decimal256 { values, scale, trim } => {
                text::decimal256(values[row], *scale, *trim, out);
            }
            Values::Text(values)
            | Values::Char(values)
            | Values::Jsonb(values)
            | Values::Uuid(values) => out.extend_from_slice(values.value(row)?.as_bytes()),
            Values::UuidBytes(values) => text::uuid(values.value(row), out),
            Values::Bytea(values) => text::bytea(values.value(row), out),
            Values::Date(values) => text::date(i64::from(values[row]), out)?,
            Values::Time(values) => text::time(values[row], out)?,
            Values::Timestamp(values) => text::timestamp(values[row], out)?,
            Values::TimestampTz(values) => text::timestamptz(values[row], zone, out)?,
            Values::Interval(values) => text::interval(values[row], out),
            Values::List(list) => list.text(row, zone, out)?,
            Values::Record(record) => record.text(row, zone, out)?,
            Values::Map(map) => map.text(row, zone, out)?,
            Values::Union(union) => union.text(row, zone, out)?,
        }
        Ok(())
    }

    /// Appends a binary field: its length and its bytes, or the length -1 for NULL.
    pub fn binary(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        if self.is_null(row) {
            out.extend_from_slice(&binary::NULL);
            return Ok(());
        }
        match &self.values {
            Values::Null => out.extend_from_slice(&binary::NULL),
            Values::Bool(values) => binary::boolean(values.value(row), out),
            Values::Int2(values) => binary::int2(values[row], out),
            Values::Int4(values) => binary::int4(values[row], out),
            Values::Int8(values) => binary::int8(values[row], out),
            Values::Oid(values) => binary::oid(values[row], out),
            Values::Float4(values) => binary::float4(values[row], out),
            Values::Float8(values) => binary::float8(values[row], out),
            Values::Decimal128 { values, scale, trim } => {
                binary::decimal128(values[row], *scale, *trim, out);
            }
            Values::Decimal256 { values, scale, trim } => {
                binary::decimal256(values[row], *scale, *trim, out);
            }
            Values::Text(values) => binary::bytes(values.value(row)?.as_bytes(), out)?,
            Values::Char(values) => binary::char(values.value(row)?, out)?,
            Values::Jsonb(values) => binary::jsonb(values.value(row)?, out)?,
            Values::Uuid(values) => binary::uuid(parse_uuid(values.value(row)?)?, out),
            Values::UuidBytes(values) => binary::bytes(values.value(row), out)?,
            Values::Bytea(values) => binary::bytes(values.value(row), out)?,
            Values::Date(values) => binary::date(i64::from(values[row]), out)?,
            Values::Time(values) => binary::time(values[row], out)?,
            Values::Timestamp(values) | Values::TimestampTz(values) => {
                binary::timestamp(values[row], out)?;
            }
            Values::Interval(values) => binary::interval(values[row], out),
            Values::List(list) => nested::sized(out, |out| list.binary(row, zone, out))?,
            Values::Record(record) => nested::sized(out, |out| record.binary(row, zone, out))?,
            Values::Map(_) | Values::Union(_) => {
                nested::sized(out, |out| self.text(row, zone, out))?;
            }
        }
        Ok(())
    }

    /// Binds an array as the column that was described.
    pub fn bind(column: &PgColumn, array: &ArrayRef) -> Result<Self> {
        if let Some(plain) = expand(array)? {
            return Self::bind(column, &plain);
        }
        Ok(Self { nulls: array.logical_nulls(), values: bind(column, array)? })
    }
}

/// The bytes of a UUID in any of the forms that PostgreSQL reads.
pub fn parse_uuid(value: &str) -> Result<[u8; 16]> {
    let invalid = || Error::new(ErrorKind::InvalidText, "invalid input syntax for type uuid");
    let inner = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(value);
    let mut bytes = [0; 16];
    let mut rest = inner.as_bytes();
    for (index, byte) in bytes.iter_mut().enumerate() {
        let [high, low, tail @ ..] = rest else { return Err(invalid()) };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(invalid);
        *byte = (digit(*high)? * 16 + digit(*low)?) as u8;
        rest = match tail {
            // A hyphen may follow every four digits, except the last.
            [b'-', tail @ ..] if index % 2 == 1 && index < 15 => tail,
            tail => tail,
        };
    }
    if rest.is_empty() { Ok(bytes) } else { Err(invalid()) }
}

/// Dictionaries and runs as the plain arrays that they stand for.
fn expand(array: &ArrayRef) -> Result<Option<ArrayRef>> {
    fn run<R: RunEndIndexType>(array: &RunArray<R>) -> Result<ArrayRef> {
        let rows = 0..array.len();
        let physical: UInt64Array = rows.map(|row| array.get_physical_index(row) as u64).collect();
        take(array.values(), &physical, None).map_err(Error::internal)
    }
    Ok(Some(match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            take(dictionary.values(), dictionary.keys(), None).map_err(Error::internal)?
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => run(array.as_run::<Int16Type>())?,
            DataType::Int32 => run(array.as_run::<Int32Type>())?,
            _ => run(array.as_run::<Int64Type>())?,
        },
        _ => return Ok(None),
    }))
}

fn bind(column: &PgColumn, array: &ArrayRef) -> Result<Values> {
    Ok(match (&column.kind, array.data_type()) {
        (_, DataType::Null) => Values::Null,
        (Kind::Bool, DataType::Boolean) => {
            let array: &BooleanArray = array.as_boolean();
            Values::Bool(array.values().clone())
        }
        (Kind::Int2, DataType::Int16) => Values::Int2(buffer::<Int16Type>(array)),
        (Kind::Int2, DataType::Int8) => Values::Int2(widen::<Int8Type, _>(array)),
        (Kind::Int2, DataType::UInt8) => Values::Int2(widen::<UInt8Type, _>(array)),
        (Kind::Int4, DataType::Int32) => Values::Int4(buffer::<Int32Type>(array)),
        (Kind::Int4, DataType::UInt16) => Values::Int4(widen::<UInt16Type, _>(array)),
        (Kind::Int8, DataType::Int64) => Values::Int8(buffer::<Int64Type>(array)),
        (Kind::Int8, DataType::UInt32) => Values::Int8(widen::<UInt32Type, _>(array)),
        (Kind::Oid, DataType::UInt32) => Values::Oid(buffer::<UInt32Type>(array)),
        (Kind::Oid, DataType::Int64) => {
            Values::Oid(convert::<Int64Type, UInt32Type>(array, |value| {
                u32::try_from(value).map_err(|_| out_of_range("oid"))
            })?)
        }
        (Kind::Float4, DataType::Float32) => Values::Float4(buffer::<Float32Type>(array)),
        (Kind::Float4, DataType::Float16) => Values::Float4(widen::<Float16Type, _>(array)),
        (Kind::Float8, DataType::Float64) => Values::Float8(buffer::<Float64Type>(array)),
        (Kind::Numeric { trim }, data_type) => bind_numeric(column, array, data_type, *trim)?,
        (Kind::Text, _) => Values::Text(strings(column, array)?),
        (Kind::Char, _) => Values::Char(strings(column, array)?),
        (Kind::Jsonb, _) => Values::Jsonb(strings(column, array)?),
        (Kind::Uuid, DataType::FixedSizeBinary(16)) => {
            Values::UuidBytes(array.as_fixed_size_binary().clone())
        }
        (Kind::Uuid, _) => Values::Uuid(strings(column, array)?),
        (Kind::Bytea, data_type) => Values::Bytea(match data_type {
            DataType::Binary => Bytes::Small(array.as_binary().clone()),
            DataType::LargeBinary => Bytes::Large(array.as_binary().clone()),
            DataType::BinaryView => Bytes::View(array.as_binary_view().clone()),
            DataType::FixedSizeBinary(_) => Bytes::Fixed(array.as_fixed_size_binary().clone()),
            _ => return Err(mismatch(column, array)),
        }),
        (Kind::Date, DataType::Date32) => Values::Date(buffer::<Date32Type>(array)),
        (Kind::Date, DataType::Date64) => {
            Values::Date(convert::<Date64Type, Date32Type>(array, |millis| {
                i32::try_from(millis.div_euclid(SECONDS_PER_DAY * 1_000))
                    .map_err(|_| out_of_range("date"))
            })?)
        }
        (Kind::Time, data_type) => Values::Time(match data_type {
            DataType::Time32(TimeUnit::Second) => {
                scale_up::<Time32SecondType>(array, MICROS_PER_SECOND, "time")?
            }
            DataType::Time32(_) => scale_up::<Time32MillisecondType>(array, 1_000, "time")?,
            DataType::Time64(TimeUnit::Microsecond) => buffer::<Time64MicrosecondType>(array),
            DataType::Time64(_) => {
                convert::<Time64NanosecondType, Time64MicrosecondType>(array, |nanos| {
                    Ok(round_nanos(nanos))
                })?
            }
            _ => return Err(mismatch(column, array)),
        }),
        (Kind::Timestamp, DataType::Timestamp(unit, None)) => {
            Values::Timestamp(timestamps(array, *unit)?)
        }
        (Kind::TimestampTz, DataType::Timestamp(unit, Some(_))) => {
            Values::TimestampTz(timestamps(array, *unit)?)
        }
        (Kind::Interval, data_type) => Values::Interval(intervals(column, array, data_type)?),
        (Kind::Array(element), _) => Values::List(bind_list(column, element, array, false)?),
        (Kind::Vector(element), _) => Values::List(bind_list(column, element, array, true)?),
        (Kind::Record(fields), DataType::Struct(_)) => {
            let array = array.as_struct();
            let bound: Result<Vec<_>> = fields
                .iter()
                .zip(array.columns())
                .map(|(field, array)| Ok((field.oid, Column::bind(field, array)?)))
                .collect();
            Values::Record(Record { fields: bound? })
        }
        (Kind::Map(key, value), DataType::Map(..)) => {
            let map = array.as_map();
            Values::Map(Map {
                ranges: offsets(map.offsets()),
                keys: Box::new(Column::bind(key, map.keys())?),
                values: Box::new(Column::bind(value, map.values())?),
            })
        }
        (Kind::Union(members), DataType::Union(..)) => {
            let union: &UnionArray = array.as_union();
            let bound: Result<Vec<_>> = members
                .iter()
                .map(|(id, member)| Ok((*id, Column::bind(member, union.child(*id))?)))
                .collect();
            Values::Union(Union { array: union.clone(), members: bound? })
        }
        _ => return Err(mismatch(column, array)),
    })
}

fn mismatch(column: &PgColumn, array: &ArrayRef) -> Error {
    Error::internal(format!(
        "a column described as {} (oid {}) arrived as {}",
        column.type_name(),
        column.oid,
        array.data_type()
    ))
}

fn buffer<T: ArrowPrimitiveType>(array: &ArrayRef) -> ScalarBuffer<T::Native> {
    array.as_primitive::<T>().values().clone()
}

fn widen<T, N>(array: &ArrayRef) -> ScalarBuffer<N>
where
    T: ArrowPrimitiveType,
    N: From<T::Native> + arrow::datatypes::ArrowNativeType,
{
    array.as_primitive::<T>().values().iter().map(|value| N::from(*value)).collect()
}

/// Converts the values that are not null.
fn convert<T: ArrowPrimitiveType, U: ArrowPrimitiveType>(
    array: &ArrayRef,
    convert: impl Fn(T::Native) -> Result<U::Native>,
) -> Result<ScalarBuffer<U::Native>> {
    let converted: PrimitiveArray<U> = array.as_primitive::<T>().try_unary(convert)?;
    Ok(converted.values().clone())
}

/// Coarse units as microseconds.
fn scale_up<T>(array: &ArrayRef, micros: i64, what: &str) -> Result<ScalarBuffer<i64>>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    convert::<T, Int64Type>(array, |value| {
        let value: i64 = value.into();
        value.checked_mul(micros).ok_or_else(|| out_of_range(what))
    })
}

fn timestamps(array: &ArrayRef, unit: TimeUnit) -> Result<ScalarBuffer<i64>> {
    match unit {
        TimeUnit::Second => scale_up::<TimestampSecondType>(array, MICROS_PER_SECOND, "timestamp"),
        TimeUnit::Millisecond => scale_up::<TimestampMillisecondType>(array, 1_000, "timestamp"),
        TimeUnit::Microsecond => Ok(buffer::<TimestampMicrosecondType>(array)),
        TimeUnit::Nanosecond => {
            convert::<TimestampNanosecondType, Int64Type>(array, |nanos| Ok(round_nanos(nanos)))
        }
    }
}

fn bind_numeric(
    column: &PgColumn,
    array: &ArrayRef,
    data_type: &DataType,
    trim: bool,
) -> Result<Values> {
    Ok(match data_type {
        DataType::UInt64 => {
            Values::Decimal128 { values: widen::<UInt64Type, _>(array), scale: 0, trim }
        }
        DataType::Decimal32(_, scale) => {
            Values::Decimal128 { values: widen::<Decimal32Type, _>(array), scale: *scale, trim }
        }
        DataType::Decimal64(_, scale) => {
            Values::Decimal128 { values: widen::<Decimal64Type, _>(array), scale: *scale, trim }
        }
        DataType::Decimal128(_, scale) => {
            Values::Decimal128 { values: buffer::<Decimal128Type>(array), scale: *scale, trim }
        }
        DataType::Decimal256(_, scale) => {
            Values::Decimal256 { values: buffer::<Decimal256Type>(array), scale: *scale, trim }
        }
        _ => return Err(mismatch(column, array)),
    })
}

fn strings(column: &PgColumn, array: &ArrayRef) -> Result<Strings> {
    Ok(match array.data_type() {
        DataType::Utf8 => Strings::Small(array.as_string().clone()),
        DataType::LargeUtf8 => Strings::Large(array.as_string().clone()),
        DataType::Utf8View => Strings::View(array.as_string_view().clone()),
        _ => return Err(mismatch(column, array)),
    })
}

fn intervals(column: &PgColumn, array: &ArrayRef, data_type: &DataType) -> Result<Vec<Interval>> {
    Ok(match data_type {
        DataType::Interval(IntervalUnit::MonthDayNano) => array
            .as_primitive::<IntervalMonthDayNanoType>()
            .values()
            .iter()
            .map(|value| Interval {
                months: value.months,
                days: value.days,
                micros: round_nanos(value.nanoseconds),
            })
            .collect(),
        DataType::Interval(IntervalUnit::YearMonth) => array
            .as_primitive::<IntervalYearMonthType>()
            .values()
            .iter()
            .map(|months| Interval { months: *months, ..Interval::default() })
            .collect(),
        DataType::Interval(IntervalUnit::DayTime) => array
            .as_primitive::<IntervalDayTimeType>()
            .values()
            .iter()
            .map(|value| Interval {
                months: 0,
                days: value.days,
                micros: i64::from(value.milliseconds) * 1_000,
            })
            .collect(),
        DataType::Duration(TimeUnit::Second) => {
            durations::<DurationSecondType>(array, SECONDS_PER_DAY, |rest| {
                rest * MICROS_PER_SECOND
            })?
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            durations::<DurationMillisecondType>(array, SECONDS_PER_DAY * 1_000, |rest| {
                rest * 1_000
            })?
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            durations::<DurationMicrosecondType>(array, MICROS_PER_DAY, |rest| rest)?
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            durations::<DurationNanosecondType>(array, MICROS_PER_DAY * 1_000, round_nanos)?
        }
        _ => return Err(mismatch(column, array)),
    })
}

/// A duration comes from subtracting timestamps, where PostgreSQL counts days of 24 hours.
fn durations<T: ArrowPrimitiveType<Native = i64>>(
    array: &ArrayRef,
    per_day: i64,
    micros: impl Fn(i64) -> i64,
) -> Result<Vec<Interval>> {
    array
        .as_primitive::<T>()
        .iter()
        .map(|value| {
            let value = value.unwrap_or_default();
            let days = i32::try_from(value / per_day).map_err(|_| out_of_range("interval"))?;
            Ok(Interval { months: 0, days, micros: micros(value % per_day) })
        })
        .collect()
}

fn bind_list(
    column: &PgColumn,
    element: &PgColumn,
    array: &ArrayRef,
    is_vector: bool,
) -> Result<List> {
    let (ranges, values) = match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (offsets(list.offsets()), list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            (offsets(list.offsets()), list.values())
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            (views(list.value_offsets(), list.value_sizes()), list.values())
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            (views(list.value_offsets(), list.value_sizes()), list.values())
        }
        DataType::FixedSizeList(_, size) => {
            (Ranges::Fixed(*size as usize), array.as_fixed_size_list().values())
        }
        _ => return Err(mismatch(column, array)),
    };
    let values = match expand(values)? {
        Some(values) => values,
        None => values.clone(),
    };
    let items = if values.data_type().is_list() {
        Column::bind(column, &values)?
    } else {
        Column::bind(element, &values)?
    };
    Ok(List { ranges, items: Box::new(items), element: element.oid, is_vector })
}

fn offsets<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> Ranges {
    Ranges::Offsets(offsets.iter().map(|offset| offset.as_usize()).collect())
}

fn views<O: OffsetSizeTrait>(offsets: &[O], sizes: &[O]) -> Ranges {
    let ranges = offsets.iter().zip(sizes);
    Ranges::Views(ranges.map(|(offset, size)| (offset.as_usize(), size.as_usize())).collect())
}
