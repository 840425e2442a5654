//! Values to text and back, as PostgreSQL writes and reads them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BinaryBuilder, Float64Builder, StringBuilder},
        datatypes::{
            DataType, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit,
            Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
        },
    },
    common::{exec_err, internal_err, not_impl_err},
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use crate::{
    calendar::{DAY, civil},
    vector::{arrays, result},
};

/// The text of a value of those types whose text the engine writes otherwise ([`has_own_text`]).
pub fn text() -> Arc<ScalarUDF> {
    conversion(Conversion::Text)
}

/// Double precision from text; what does not fit is an error, and not infinity.
pub fn float_from_text() -> Arc<ScalarUDF> {
    conversion(Conversion::Float)
}

/// Bytes from text: `\x00ff`, or bytes with `\001` for those that can't be written.
pub fn bytes_from_text() -> Arc<ScalarUDF> {
    conversion(Conversion::Bytes)
}

/// Whether [`text`] writes the type.
pub fn has_own_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Float32
            | DataType::Float64
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Interval(IntervalUnit::MonthDayNano)
            | DataType::Time64(_)
            | DataType::Binary
    )
}

fn conversion(conversion: Conversion) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Convert {
        conversion,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

/// `varchar(text, n)` and `bpchar(text, n)`: a cast to a type with a length cuts.
pub fn shorteners() -> [Arc<ScalarUDF>; 2] {
    [false, true].map(|is_padded| {
        let types = vec![DataType::Utf8, DataType::Int64];
        Arc::new(ScalarUDF::from(Shorten {
            is_padded,
            signature: Signature::exact(types, Volatility::Immutable),
        }))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shorten {
    /// Blanks at the end of a char(n) mean nothing, and are not kept.
    is_padded: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Shorten {
    fn name(&self) -> &str {
        if self.is_padded { "bpchar" } else { "varchar" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (arrays, is_constant) = arrays(&args)?;
        let [texts, lengths] = arrays.as_slice() else {
            return internal_err!("{} takes a text and a length", self.name());
        };
        let lengths = crate::vector::primitive::<datafusion::arrow::datatypes::Int64Type>(lengths)?;
        let mut builder = StringBuilder::new();
        for (text, length) in strings(texts)?.iter().zip(lengths.iter()) {
            let (Some(text), Some(length)) = (text, length) else {
                builder.append_null();
                continue;
            };
            let length = usize::try_from(length).unwrap_or(0);
            let end = text.char_indices().nth(length).map_or(text.len(), |(index, _)| index);
            let kept = text.get(..end).unwrap_or(text);
            builder.append_value(if self.is_padded { kept.trim_end_matches(' ') } else { kept });
        }
        result(Arc::new(builder.finish()), is_constant)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Conversion {
    Text,
    Float,
    Bytes,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Convert {
    conversion: Conversion,
    signature: Signature,
}

impl ScalarUDFImpl for Convert {
    fn name(&self) -> &str {
        match self.conversion {
            Conversion::Text => "weir_text",
            Conversion::Float => "weir_float_from_text",
            Conversion::Bytes => "weir_bytes_from_text",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.conversion {
            Conversion::Text => DataType::Utf8,
            Conversion::Float => DataType::Float64,
            Conversion::Bytes => DataType::Binary,
        })
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (arrays, is_constant) = arrays(&args)?;
        let [array] = arrays.as_slice() else { return internal_err!("expected one argument") };
        let converted: ArrayRef = match self.conversion {
            Conversion::Text => write(array)?,
            Conversion::Float => {
                let mut builder = Float64Builder::with_capacity(array.len());
                for text in strings(array)?.iter() {
                    builder.append_option(text.map(read_float).transpose()?);
                }
                Arc::new(builder.finish())
            }
            Conversion::Bytes => {
                let mut builder = BinaryBuilder::new();
                for text in strings(array)?.iter() {
                    builder.append_option(text.map(read_bytes).transpose()?);
                }
                Arc::new(builder.finish())
            }
        };
        result(converted, is_constant)
    }
}

fn strings(array: &ArrayRef) -> Result<&datafusion::arrow::array::StringArray> {
    match array.as_string_opt::<i32>() {
        Some(strings) => Ok(strings),
        None => internal_err!("expected text, got {}", array.data_type()),
    }
}

fn write(array: &ArrayRef) -> Result<ArrayRef> {
    let mut builder = StringBuilder::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        builder.append_value(match array.data_type() {
            DataType::Float32 => {
                let value = array.as_primitive::<Float32Type>().value(row);
                float_text(f64::from(value), &format!("{value:e}"), 6)
            }
            DataType::Float64 => {
                let value = array.as_primitive::<Float64Type>().value(row);
                float_text(value, &format!("{value:e}"), 15)
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
                let zone = match zone.as_deref() {
                    None => "",
                    Some("UTC" | "Etc/UTC" | "GMT" | "Z" | "+00" | "+00:00") => "+00",
                    Some(zone) => {
                        return not_impl_err!("text of a timestamp in time zone \"{zone}\"");
                    }
                };
                moment_text(value, zone)
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                clock_text(array.as_primitive::<Time64MicrosecondType>().value(row))
            }
            DataType::Time64(TimeUnit::Nanosecond) => {
                clock_text(array.as_primitive::<Time64NanosecondType>().value(row) / 1000)
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                interval_text(value.months, value.days, value.nanoseconds / 1000)
            }
            DataType::Binary => {
                let bytes = array.as_binary::<i32>().value(row);
                bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
            }
            other => return internal_err!("weir_text does not write {other}"),
        });
    }
    Ok(Arc::new(builder.finish()))
}

/// `shortest` is the value in scientific notation, with the fewest digits that mean it. Beyond
/// `digits` before the point, PostgreSQL keeps that notation.
fn float_text(value: f64, shortest: &str, digits: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let written = mantissa.replace('.', "");
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if exponent < 0 {
        return format!("{sign}0.{}{written}", zeros(-exponent - 1));
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    match written.split_at_checked(whole) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
        None => {
            let missing = exponent + 1 - i32::try_from(written.len()).unwrap_or(0);
            format!("{sign}{written}{}", zeros(missing))
        }
    }
}

fn moment_text(microseconds: i64, zone: &str) -> String {
    let (year, month, day) = civil(microseconds.div_euclid(DAY));
    let time = clock_text(microseconds.rem_euclid(DAY));
    match year > 0 {
        true => format!("{year:04}-{month:02}-{day:02} {time}{zone}"),
        false => format!("{:04}-{month:02}-{day:02} {time}{zone} BC", 1 - year),
    }
}

fn clock_text(microseconds: i64) -> String {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 {
        return clock;
    }
    format!("{clock}.{}", format!("{fraction:06}").trim_end_matches('0'))
}

/// The style `postgres` of `EncodeInterval`.
fn interval_text(months: i32, days: i32, microseconds: i64) -> String {
    let mut text = String::new();
    let mut was_negative = false;
    for (count, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count == 0 {
            continue;
        }
        let space = if text.is_empty() { "" } else { " " };
        let sign = if was_negative && count > 0 { "+" } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        text.push_str(&format!("{space}{sign}{count} {unit}{plural}"));
        was_negative = count < 0;
    }
    if text.is_empty() || microseconds != 0 {
        let space = if text.is_empty() { "" } else { " " };
        let sign = match (microseconds < 0, was_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let clock = clock_text(i64::try_from(microseconds.unsigned_abs()).unwrap_or(i64::MAX));
        text.push_str(&format!("{space}{sign}{clock}"));
    }
    text
}

fn read_float(text: &str) -> Result<f64> {
    let trimmed = text.trim_matches(|it: char| it.is_ascii_whitespace());
    let Ok(value) = trimmed.parse::<f64>() else {
        return exec_err!("invalid input syntax for type double precision: \"{text}\"");
    };
    let mantissa = trimmed.split(['e', 'E']).next().unwrap_or_default();
    let is_written_infinite = !mantissa.contains(|it: char| it.is_ascii_digit());
    let is_written_zero = !mantissa.contains(|it: char| ('1'..='9').contains(&it));
    if (value.is_infinite() && !is_written_infinite) || (value == 0.0 && !is_written_zero) {
        return exec_err!("\"{text}\" is out of range for type double precision");
    }
    Ok(value)
}

fn read_bytes(text: &str) -> Result<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else { return read_escaped(text) };
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut high: Option<u8> = None;
    for character in digits.chars() {
        // Blanks may stand between bytes.
        if high.is_none() && character.is_ascii_whitespace() {
            continue;
        }
        let Some(digit) = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else {
            return exec_err!("invalid hexadecimal digit: \"{character}\"");
        };
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if high.is_some() {
        return exec_err!("invalid hexadecimal data: odd number of digits");
    }
    Ok(bytes)
}

fn read_escaped(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            (b'\\', _) => return exec_err!("invalid input syntax for type bytea"),
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{float_text, interval_text, moment_text, read_bytes, read_float};

    #[test]
    fn values_are_written_as_in_postgresql() {
        let floats: &[(f64, &str)] = &[
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (123_456.5, "123456.5"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-0.0, "-0"),
            (-1.5e300, "-1.5e+300"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in floats {
            assert_eq!(float_text(*value, &format!("{value:e}"), 15), *expected);
        }
        let moments: &[(i64, &str)] = &[
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59.999999"),
            (1_709_210_096_500_000, "2024-02-29 12:34:56.5"),
            (-62_135_596_800_000_001, "0001-12-31 23:59:59.999999 BC"),
        ];
        for (value, expected) in moments {
            assert_eq!(moment_text(*value, ""), *expected);
        }
        let intervals: &[((i32, i32, i64), &str)] = &[
            ((0, 0, 0), "00:00:00"),
            ((14, 3, 14_706_789_000), "1 year 2 mons 3 days 04:05:06.789"),
            ((-1, 1, 0), "-1 mons +1 day"),
            ((0, -1, 1), "-1 days +00:00:00.000001"),
        ];
        for ((months, days, microseconds), expected) in intervals {
            assert_eq!(interval_text(*months, *days, *microseconds), *expected);
        }
    }

    #[test]
    fn text_is_read_as_in_postgresql() {
        assert_eq!(read_float(" 1.5 ").unwrap(), 1.5);
        assert!(read_float("-Infinity").unwrap().is_infinite());
        for bad in ["1e400", "1e-400", "", "x"] {
            assert!(read_float(bad).is_err(), "{bad}");
        }
        let bytes: &[(&str, &[u8])] =
            &[("\\x00Ff", &[0, 255]), ("a\\\\b\\001", b"a\\b\x01"), ("é", "é".as_bytes())];
        for (text, expected) in bytes {
            assert_eq!(read_bytes(text).unwrap(), *expected, "{text}");
        }
        for bad in ["\\xzz", "\\x0", "\\z"] {
            assert!(read_bytes(bad).is_err(), "{bad}");
        }
    }
}
