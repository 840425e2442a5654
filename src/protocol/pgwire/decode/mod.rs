//! Reads the parameters of Bind: an OID, a format and bytes become a typed value.
//!
//! Invariant: a value is read exactly or refused. No bytes, however wrong, panic or are read past
//! their end, and nothing is rounded to fit what the engine expects.

mod array;
mod binary;
mod datetime;
mod number;
mod text;

use datafusion::{
    arrow::datatypes::{DataType, Field, TimeUnit},
    common::ScalarValue,
};

use self::number::Numeric;
use super::{
    calendar::{MICROS_PER_SECOND, Zone, out_of_range},
    encode::{Format, parse_uuid},
    types::{PgColumn, arrow_type, element_of, oid, type_name},
};
use crate::error::{Error, ErrorKind, Result};

/// One parameter as Parse and Bind bring it.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// What Parse declared or, if it left the type open, what ParameterDescription answered.
    /// With 0 (or `unknown`) it is the one of the Arrow type, which can't tell a `uuid` or a
    /// `jsonb` from text.
    pub oid: u32,
    pub format: Format,
    /// `None`: NULL.
    pub bytes: Option<&'a [u8]>,
}

/// Reads a parameter. A type that the client leaves open is the one that the statement expects.
///
/// The value has the expected type where it fits it exactly. Otherwise it keeps the type that
/// the client sent: `1.005` for a `numeric(12,2)` stays a decimal with three digits, so that
/// comparing it is as exact as in PostgreSQL.
pub fn decode_parameter(
    parameter: Parameter<'_>,
    expected: &DataType,
    zone: &Zone,
) -> Result<ScalarValue> {
    let oid = match parameter.oid {
        0 | oid::UNKNOWN => PgColumn::of(&Field::new("", expected.clone(), true)).oid,
        declared => declared,
    };
    let Some(bytes) = parameter.bytes else { return null(oid, expected) };
    let value = match element_of(oid) {
        Some(element) => array::decode(oid, element, parameter.format, bytes, zone)?,
        None => Datum::decode(oid, parameter.format, bytes, zone)?.into_scalar(),
    };
    if let (oid::UUID, DataType::FixedSizeBinary(16), Some(Some(text))) =
        (oid, expected, value.try_as_str())
    {
        return Ok(ScalarValue::FixedSizeBinary(16, Some(parse_uuid(text)?.to_vec())));
    }
    Ok(fit(value, expected, zone))
}

fn null(oid: u32, expected: &DataType) -> Result<ScalarValue> {
    let data_type = match expected {
        DataType::Null => arrow_type(oid).unwrap_or(DataType::Null),
        expected => expected.clone(),
    };
    ScalarValue::try_new_null(&data_type).map_err(Error::internal)
}

/// A value that is not an array. Decimals wait for the scale of their neighbours.
#[derive(Debug, Clone, PartialEq)]
enum Datum {
    Scalar(ScalarValue),
    Numeric(Numeric),
}

impl Datum {
    fn decode(oid: u32, format: Format, bytes: &[u8], zone: &Zone) -> Result<Self> {
        match format {
            Format::Text => text::decode(oid, utf8(bytes)?, zone),
            Format::Binary => binary::decode(oid, bytes),
        }
    }

    fn into_scalar(self) -> ScalarValue {
        match self {
            Self::Scalar(value) => value,
            Self::Numeric(value) => value.to_scalar(value.precision(), value.scale),
        }
    }
}

impl From<ScalarValue> for Datum {
    fn from(value: ScalarValue) -> Self {
        Self::Scalar(value)
    }
}

/// Text as PostgreSQL accepts it: UTF-8 without a zero byte.
fn utf8(bytes: &[u8]) -> Result<&str> {
    let invalid = |bytes: &[u8]| {
        let shown: Vec<String> = bytes.iter().take(4).map(|byte| format!("0x{byte:02x}")).collect();
        Error::new(
            ErrorKind::InvalidEncoding,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    if bytes.contains(&0) {
        return Err(invalid(&[0]));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let from = error.valid_up_to();
        let length = error.error_len().unwrap_or(bytes.len() - from);
        invalid(&bytes[from..from + length])
    })
}

/// PostgreSQL's answer to text that is not of the type.
fn invalid_text(oid: u32, text: &str) -> Error {
    Error::new(
        ErrorKind::InvalidText,
        format!("invalid input syntax for type {}: \"{text}\"", type_name(oid)),
    )
}

fn not_supported(oid: u32, format: Format) -> Error {
    let format = match format {
        Format::Text => "text",
        Format::Binary => "binary",
    };
    Error::new(
        ErrorKind::NotSupported,
        format!("parameters of type {oid} in {format} format are not supported"),
    )
}

/// Gives the value the expected type if that changes nothing.
fn fit(value: ScalarValue, expected: &DataType, zone: &Zone) -> ScalarValue {
    let actual = value.data_type();
    if actual == *expected {
        return value;
    }
    if let Some(value) = between_zones(&value, expected, zone) {
        return value;
    }
    if !is_widening(&actual, expected) {
        return value;
    }
    let Ok(cast) = value.cast_to(expected) else { return value };
    match cast.cast_to(&actual) {
        // -0.0 equals 0.0 to a cast, but not to its reader.
        Ok(back) if back == value && !cast.is_null() => cast,
        _ => value,
    }
}

/// Whether a cast between the types keeps the meaning of every value that survives a round trip.
fn is_widening(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let is_text = |data_type: &DataType| matches!(data_type, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let is_bytes = |data_type: &DataType| {
        matches!(data_type, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_))
    };
    match (from, to) {
        (T::Dictionary(_, from), to) => is_widening(from, to),
        (from, T::Dictionary(_, to)) => from == to.as_ref() || is_widening(from, to),
        (from, to) if from.is_integer() => to.is_numeric(),
        (from, to) if from.is_decimal() => to.is_decimal() || to.is_integer(),
        (from, to) if from.is_floating() => to.is_floating() || to.is_integer(),
        (from, to) if is_text(from) => is_text(to),
        (from, to) if is_bytes(from) => is_bytes(to),
        (T::Date32, T::Date64 | T::Timestamp(_, None)) => true,
        (T::Timestamp(_, None), T::Timestamp(_, None) | T::Date32 | T::Date64) => true,
        (T::Timestamp(_, Some(_)), T::Timestamp(_, Some(_))) => true,
        (T::Time64(_), T::Time32(_) | T::Time64(_)) => true,
        (T::Interval(_), T::Interval(_)) => true,
        (T::List(from), T::List(to) | T::LargeList(to)) => {
            from.data_type() == to.data_type() || is_widening(from.data_type(), to.data_type())
        }
        _ => false,
    }
}

/// `date` and `timestamp` become `timestamptz`, and back, in the session's zone.
fn between_zones(value: &ScalarValue, expected: &DataType, zone: &Zone) -> Option<ScalarValue> {
    let local = match (value, expected) {
        (
            ScalarValue::TimestampMicrosecond(Some(micros), Some(_)),
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ) => {
            let offset = zone.offset_at(micros.div_euclid(MICROS_PER_SECOND));
            let local = micros.checked_add(i64::from(offset) * MICROS_PER_SECOND)?;
            return Some(ScalarValue::TimestampMicrosecond(Some(local), None));
        }
        (ScalarValue::TimestampMicrosecond(Some(micros), None), _) => *micros,
        (ScalarValue::Date32(Some(days)), _) => {
            i64::from(*days).checked_mul(super::calendar::MICROS_PER_DAY)?
        }
        _ => return None,
    };
    let DataType::Timestamp(unit, Some(name)) = expected else { return None };
    let offset = zone.offset_at_local(local.div_euclid(MICROS_PER_SECOND));
    let instant = local.checked_sub(i64::from(offset) * MICROS_PER_SECOND)?;
    let instant = ScalarValue::TimestampMicrosecond(Some(instant), Some(name.clone()));
    Some(match unit {
        TimeUnit::Microsecond => instant,
        _ => fit(instant, expected, zone),
    })
}

#[cfg(test)]
mod tests;
