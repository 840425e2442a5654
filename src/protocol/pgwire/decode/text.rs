//! Parameters in text format, as PostgreSQL's input functions read them.

use datafusion::common::ScalarValue;

use super::{
    Datum, Format, Numeric, Result, Zone, datetime, invalid_text, not_supported, number, oid,
};
use crate::{
    error::{Error, ErrorKind},
    protocol::pgwire::encode::parse_uuid,
};

pub fn decode(oid: u32, text: &str, zone: &Zone) -> Result<Datum> {
    let value = match oid {
        oid::BOOL => ScalarValue::Boolean(Some(boolean(text)?)),
        oid::INT2 => ScalarValue::Int16(Some(number::integer(oid, text)?)),
        oid::INT4 => ScalarValue::Int32(Some(number::integer(oid, text)?)),
        oid::INT8 => ScalarValue::Int64(Some(number::integer(oid, text)?)),
        oid::OID | oid::XID | oid::CID => ScalarValue::Int64(Some(object_id(oid, text)?)),
        oid::FLOAT4 => ScalarValue::Float32(Some(number::float(oid, text)?)),
        oid::FLOAT8 => ScalarValue::Float64(Some(number::float(oid, text)?)),
        oid::NUMERIC => return Ok(Datum::Numeric(Numeric::parse(text)?)),
        oid::JSON | oid::JSONB => json(oid, text)?,
        oid::UUID => uuid(text)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytea(text)?)),
        oid::DATE => ScalarValue::Date32(Some(datetime::date(text)?)),
        oid::TIME => ScalarValue::Time64Microsecond(Some(datetime::time(text)?)),
        oid::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(datetime::timestamp(text)?), None),
        oid::TIMESTAMPTZ => {
            let instant = datetime::timestamptz(text, zone)?;
            ScalarValue::TimestampMicrosecond(Some(instant), Some("UTC".into()))
        }
        oid::INTERVAL => datetime::interval_scalar(datetime::interval(text)?)?,
        oid::CHAR => ScalarValue::Utf8(Some(text.chars().take(1).collect())),
        // The elements of these are not read: nobody sends one.
        oid::RECORD | oid::INT2VECTOR | oid::OIDVECTOR => {
            return Err(not_supported(oid, Format::Text));
        }
        // Types that are text to the engine, and the many that weir does not know: inet, money.
        _ => ScalarValue::Utf8(Some(text.to_string())),
    };
    Ok(value.into())
}

/// isspace in the C locale.
pub fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// parse_bool: any unique beginning of the words.
fn boolean(text: &str) -> Result<bool> {
    let word = text.trim_matches(is_space).to_ascii_lowercase();
    let begins = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_text(oid::BOOL, text))
    }
}

/// An unsigned number of four bytes; negative ones count down from its end, as in oidin.
fn object_id(oid: u32, text: &str) -> Result<i64> {
    let number: i64 = number::integer(oid, text)?;
    if let Ok(unsigned) = u32::try_from(number) {
        return Ok(i64::from(unsigned));
    }
    match i32::try_from(number) {
        Ok(signed) => Ok(i64::from(signed as u32)),
        Err(_) => Err(Error::new(
            ErrorKind::NumericOutOfRange,
            format!("value \"{text}\" is out of range for type oid"),
        )),
    }
}

/// Valid JSON, as it was written.
pub fn json(oid: u32, text: &str) -> Result<ScalarValue> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(ScalarValue::Utf8(Some(text.to_string()))),
        Err(error) => {
            let name = super::type_name(oid);
            let message = format!("invalid input syntax for type {name}");
            Err(Error::new(ErrorKind::InvalidText, message).with_detail(format!("{error}.")))
        }
    }
}

fn uuid(text: &str) -> Result<ScalarValue> {
    let bytes = parse_uuid(text).map_err(|_| invalid_text(oid::UUID, text))?;
    Ok(uuid_scalar(bytes))
}

/// A UUID is text to the engine, in the one spelling that sources use.
pub fn uuid_scalar(bytes: [u8; 16]) -> ScalarValue {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    ScalarValue::Utf8(Some(parts.join("-")))
}

/// `\x0aff`, or text with `\\` and `\377`.
fn bytea(text: &str) -> Result<Vec<u8>> {
    let invalid = |message: &str| Error::new(ErrorKind::InvalidText, message);
    let Some(hex) = text.strip_prefix("\\x") else { return escaped_bytea(text) };
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    let mut rest = hex.chars().peekable();
    while let Some(high) = rest.next() {
        if matches!(high, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let digit = |letter: char| {
            letter
                .to_digit(16)
                .ok_or_else(|| invalid(&format!("invalid hexadecimal digit: \"{letter}\"")))
        };
        let high = digit(high)?;
        let low =
            rest.next().ok_or_else(|| invalid("invalid hexadecimal data: odd number of digits"))?;
        bytes.push((high * 16 + digit(low)?) as u8);
    }
    Ok(bytes)
}

fn escaped_bytea(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', tail @ ..] => {
                bytes.push(b'\\');
                tail
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                tail
            }
            [b'\\', ..] => return Err(invalid_text(oid::BYTEA, text)),
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
}
