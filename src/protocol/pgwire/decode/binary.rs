//! Parameters in binary format, as PostgreSQL's receive functions read them.

use datafusion::common::ScalarValue;

use super::{
    Datum, Format, Numeric, Result, datetime, not_supported, oid, out_of_range, text, utf8,
};
use crate::{
    error::{Error, ErrorKind},
    protocol::pgwire::calendar::{
        EPOCH_DAYS, EPOCH_MICROS, Interval, check_date, check_time, check_timestamp,
    },
};

pub fn decode(oid: u32, bytes: &[u8]) -> Result<Datum> {
    let value = match oid {
        oid::BOOL => ScalarValue::Boolean(Some(exactly::<1>(bytes)? != [0])),
        oid::INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(exactly(bytes)?))),
        oid::INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(exactly(bytes)?))),
        oid::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(exactly(bytes)?))),
        oid::OID | oid::XID | oid::CID => {
            ScalarValue::Int64(Some(i64::from(u32::from_be_bytes(exactly(bytes)?))))
        }
        oid::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(exactly(bytes)?))),
        oid::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(exactly(bytes)?))),
        oid::NUMERIC => return Ok(Datum::Numeric(Numeric::receive(bytes)?)),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::XML | oid::UNKNOWN => {
            ScalarValue::Utf8(Some(utf8(bytes)?.to_string()))
        }
        oid::CHAR => char(exactly(bytes)?)?,
        oid::JSON => text::json(oid, utf8(bytes)?)?,
        oid::JSONB => jsonb(bytes)?,
        oid::UUID => text::uuid_scalar(exactly(bytes)?),
        oid::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        oid::DATE => ScalarValue::Date32(Some(date(i32::from_be_bytes(exactly(bytes)?))?)),
        oid::TIME => {
            let micros = check_time(i64::from_be_bytes(exactly(bytes)?))?;
            ScalarValue::Time64Microsecond(Some(micros))
        }
        oid::TIMESTAMP => {
            let micros = timestamp(i64::from_be_bytes(exactly(bytes)?))?;
            ScalarValue::TimestampMicrosecond(Some(micros), None)
        }
        oid::TIMESTAMPTZ => {
            let micros = timestamp(i64::from_be_bytes(exactly(bytes)?))?;
            ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
        }
        oid::INTERVAL => interval(exactly(bytes)?)?,
        _ => return Err(not_supported(oid, Format::Binary)),
    };
    Ok(value.into())
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| {
        let message = match bytes.len() < N {
            true => "insufficient data left in message",
            false => "incorrect binary data format in bind parameter",
        };
        Error::new(ErrorKind::ProtocolViolation, message)
    })
}

/// The zero byte is the empty `"char"`; others than ASCII have no place in UTF-8.
fn char(byte: [u8; 1]) -> Result<ScalarValue> {
    match byte {
        [0] => Ok(ScalarValue::Utf8(Some(String::new()))),
        byte => Ok(ScalarValue::Utf8(Some(utf8(&byte)?.to_string()))),
    }
}

fn jsonb(bytes: &[u8]) -> Result<ScalarValue> {
    match bytes {
        [1, json @ ..] => text::json(oid::JSONB, utf8(json)?),
        [] => exactly::<1>(bytes).map(|_| ScalarValue::Null),
        [version, ..] => Err(Error::new(
            ErrorKind::ProtocolViolation,
            format!("unsupported jsonb version number {version}"),
        )),
    }
}

/// Infinite dates and timestamps have no Arrow value; they are out of its range.
fn date(days: i32) -> Result<i32> {
    let days = check_date(i64::from(days) + EPOCH_DAYS)?;
    i32::try_from(days).map_err(|_| out_of_range("date"))
}

fn timestamp(micros: i64) -> Result<i64> {
    let unix = match micros {
        i64::MIN | i64::MAX => None,
        micros => micros.checked_add(EPOCH_MICROS),
    };
    check_timestamp(unix.ok_or_else(|| out_of_range("timestamp"))?)
}

fn interval(bytes: [u8; 16]) -> Result<ScalarValue> {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let [i, j, k, l, m, n, o, p] = rest;
    datetime::interval_scalar(Interval {
        micros: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        days: i32::from_be_bytes([i, j, k, l]),
        months: i32::from_be_bytes([m, n, o, p]),
    })
}
