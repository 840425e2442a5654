//! What a value of a text file is: one set of parsers, used both to choose a column's type and to
//! read it, so that what was chosen always reads.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, TimeUnit},
};
use chrono::{NaiveDate, NaiveTime};

/// Digits that a double keeps whatever they are; more make the column text.
const DOUBLE_DIGITS: usize = 17;
/// Integers up to here have a double of their own.
const DOUBLE_INTEGERS: u64 = 1 << 53;

/// One value as the file writes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    /// Quoted and empty: `''` in a text column and NULL in others, as PostgreSQL's COPY does for
    /// the one, and as every export that quotes all its fields needs for the others.
    Empty,
    /// Its text decides its type.
    Bare(Cow<'a, str>),
    /// Text, whatever it looks like.
    Text(Cow<'a, str>),
}

/// What all values of a column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No value yet.
    Empty,
    Boolean,
    /// Within ±2^53: could still join doubles.
    SmallInteger,
    Integer,
    Double,
    Date,
    Timestamp,
    TimestampWithZone,
    Text,
}

impl Kind {
    pub(super) fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Null | Value::Empty => Self::Empty,
            Value::Text(_) => Self::Text,
            Value::Bare(text) => Self::of_text(text),
        }
    }

    pub(super) fn of_text(text: &str) -> Self {
        let Some(first) = text.bytes().next() else {
            return Self::Empty;
        };
        match first {
            b'0'..=b'9' | b'-' | b'.' => {
                if let Some(integer) = parse_integer(text) {
                    let is_small = integer.unsigned_abs() <= DOUBLE_INTEGERS;
                    return if is_small { Self::SmallInteger } else { Self::Integer };
                }
                if text.as_bytes().get(4) != Some(&b'-') {
                    return if parse_double(text).is_some() { Self::Double } else { Self::Text };
                }
                if parse_date(text).is_some() {
                    return Self::Date;
                }
                match parse_timestamp(text) {
                    Some(Moment { has_zone: true, .. }) => Self::TimestampWithZone,
                    Some(Moment { has_zone: false, .. }) => Self::Timestamp,
                    None => Self::Text,
                }
            }
            b't' | b'T' | b'f' | b'F' if parse_boolean(text).is_some() => Self::Boolean,
            b'N' | b'n' | b'I' | b'i' if parse_double(text).is_some() => Self::Double,
            _ => Self::Text,
        }
    }

    /// The narrowest kind that holds both without changing a value.
    pub(super) fn or(self, other: Self) -> Self {
        use Kind::{Date, Double, Empty, Integer, SmallInteger, Text, Timestamp};
        match (self, other) {
            (a, b) if a == b => a,
            (Empty, a) | (a, Empty) => a,
            (SmallInteger, Integer) | (Integer, SmallInteger) => Integer,
            (SmallInteger, Double) | (Double, SmallInteger) => Double,
            (Date, Timestamp) | (Timestamp, Date) => Timestamp,
            _ => Text,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInteger | Self::Integer => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampWithZone => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            Self::Empty | Self::Text => DataType::Utf8,
        }
    }

    pub(super) fn builder(self) -> ColumnBuilder {
        match self {
            Self::Boolean => ColumnBuilder::Boolean(BooleanBuilder::new()),
            Self::SmallInteger | Self::Integer => ColumnBuilder::Integer(Int64Builder::new()),
            Self::Double => ColumnBuilder::Double(Float64Builder::new()),
            Self::Date => ColumnBuilder::Date(Date32Builder::new()),
            Self::Timestamp => ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::new(), false),
            Self::TimestampWithZone => ColumnBuilder::Timestamp(
                TimestampMicrosecondBuilder::new().with_timezone("UTC"),
                true,
            ),
            Self::Empty | Self::Text => ColumnBuilder::Text(StringBuilder::new()),
        }
    }
}

/// Collects the values of one column of a batch.
#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    /// And whether its values have a zone.
    Timestamp(TimestampMicrosecondBuilder, bool),
    Text(StringBuilder),
}

/// The value is not of the column's type.
#[derive(Debug, PartialEq)]
pub(super) struct Misfit;

impl ColumnBuilder {
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), Misfit> {
        let text = match value {
            Value::Null => None,
            Value::Empty if matches!(self, Self::Text(_)) => Some(""),
            Value::Empty => None,
            Value::Bare(text) | Value::Text(text) => Some(text.as_ref()),
        };
        fn parsed<T>(
            text: Option<&str>,
            parse: impl Fn(&str) -> Option<T>,
        ) -> Result<Option<T>, Misfit> {
            text.map(|text| parse(text).ok_or(Misfit)).transpose()
        }
        match self {
            Self::Boolean(builder) => builder.append_option(parsed(text, parse_boolean)?),
            Self::Integer(builder) => builder.append_option(parsed(text, parse_integer)?),
            Self::Double(builder) => builder.append_option(parsed(text, parse_double)?),
            Self::Date(builder) => builder.append_option(parsed(text, parse_date)?),
            Self::Timestamp(builder, with_zone) => {
                let moment = parsed(text, |text| {
                    parse_timestamp(text)
                        .or_else(|| midnight(text))
                        .filter(|moment| moment.has_zone == *with_zone)
                })?;
                builder.append_option(moment.map(|moment| moment.microseconds));
            }
            Self::Text(builder) => builder.append_option(text),
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder, _) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

fn parse_boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Only the one way to write each integer: `007`, `+1` and `-0` are text, and stay as they are.
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_canonical = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if is_canonical { text.parse().ok() } else { None }
}

/// A double, unless it would lose digits, leading zeros or its size.
fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let is = |word: &str| unsigned.eq_ignore_ascii_case(word);
        return match text.starts_with('-') {
            false if is("nan") => Some(f64::NAN),
            false if is("inf") || is("infinity") => Some(f64::INFINITY),
            true if is("inf") || is("infinity") => Some(f64::NEG_INFINITY),
            _ => None,
        };
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (mantissa, ""),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    let digits = whole.bytes().chain(fraction.bytes()).skip_while(|&byte| byte == b'0').count();
    // An integer that no longer fits is text: a double would round it.
    if digits > DOUBLE_DIGITS || (fraction.is_empty() && exponent.is_none() && digits > 15) {
        let fits = fraction.is_empty()
            && exponent.is_none()
            && parse_integer(text).is_some_and(|integer| integer.unsigned_abs() <= DOUBLE_INTEGERS);
        if !fits {
            return None;
        }
    }
    let value: f64 = text.parse().ok()?;
    (value.is_finite() && (value != 0.0 || digits == 0)).then_some(value)
}

/// Days since 1970 of `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let date = naive_date(text.as_bytes())?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// PostgreSQL has no year 0, so neither have we.
fn naive_date(text: &[u8]) -> Option<NaiveDate> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        number(&[*m1, *m2])?,
        number(&[*d1, *d2])?,
    )?;
    (year > 0).then_some(date)
}

struct Moment {
    microseconds: i64,
    has_zone: bool,
}

fn midnight(text: &str) -> Option<Moment> {
    let microseconds = i64::from(parse_date(text)?) * 86_400_000_000;
    Some(Moment { microseconds, has_zone: false })
}

/// `YYYY-MM-DD[T ]HH:MM[:SS[.ffffff]][Z|±HH[[:]MM]]`; finer than a microsecond is text.
fn parse_timestamp(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let date = naive_date(bytes.get(..10)?)?;
    let (b'T' | b' ', rest) = bytes.get(10..)?.split_first()? else {
        return None;
    };
    let [h1, h2, b':', m1, m2, rest @ ..] = rest else {
        return None;
    };
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (number(&[*s1, *s2])?, rest),
        rest => (0, rest),
    };
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 6 {
                return None;
            }
            let scale = 10_u32.pow(u32::try_from(6 - digits).ok()?);
            (number(&rest[..digits])? * scale, &rest[digits..])
        }
        rest => (0, rest),
    };
    let time = NaiveTime::from_hms_micro_opt(
        number(&[*h1, *h2])?,
        number(&[*m1, *m2])?,
        second,
        fraction,
    )?;
    let offset_minutes = match rest {
        [] => None,
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, rest @ ..] => {
            let minutes = match rest {
                [] => 0,
                [m1, m2] | [b':', m1, m2] => number(&[*m1, *m2])?,
                _ => return None,
            };
            let total = i64::from(number(&[*h1, *h2])? * 60 + minutes);
            if minutes > 59 || total > 16 * 60 {
                return None;
            }
            Some(if *sign == b'-' { -total } else { total })
        }
        _ => return None,
    };
    let local = date.and_time(time).and_utc().timestamp_micros();
    Some(Moment {
        microseconds: local - offset_minutes.unwrap_or(0) * 60_000_000,
        has_zone: offset_minutes.is_some(),
    })
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn texts_have_the_kind_that_keeps_them() {
        use Kind::*;
        let cases = [
            ("", Empty),
            ("0", SmallInteger),
            ("-17", SmallInteger),
            ("9007199254740993", Integer),
            ("9223372036854775807", Integer),
            ("9223372036854775808", Text),
            ("007", Text),
            ("00501", Text),
            ("+5", Text),
            ("-0", Double),
            ("1.5", Double),
            (".5", Double),
            ("1.", Text),
            ("00.5", Text),
            ("1e3", Double),
            ("1e400", Text),
            ("1e-400", Text),
            ("0.30000000000000004", Double),
            ("0.123456789012345678", Text),
            ("NaN", Double),
            ("-Infinity", Double),
            ("Nancy", Text),
            ("true", Boolean),
            ("FALSE", Boolean),
            ("t", Text),
            ("2024-02-29", Date),
            ("2023-02-29", Text),
            ("0000-01-01", Text),
            ("2024-1-2", Text),
            ("2024-01-02 03:04", Timestamp),
            ("2024-01-02T03:04:05.123456", Timestamp),
            ("2024-01-02T03:04:05.1234567", Text),
            ("2024-01-02 24:00:00", Text),
            ("2024-01-02T03:04:05Z", TimestampWithZone),
            ("2024-01-02T03:04:05+05:30", TimestampWithZone),
            ("1,234.50", Text),
            (" 1", Text),
            ("-", Text),
            ("n/a", Text),
        ];
        for (text, expected) in cases {
            assert_eq!(Kind::of_text(text), expected, "{text:?}");
        }
    }

    #[test]
    fn kinds_meet_without_losing_a_value() {
        use Kind::*;
        let cases = [
            (Empty, Date, Date),
            (SmallInteger, Integer, Integer),
            (SmallInteger, Double, Double),
            (Integer, Double, Text),
            (Date, Timestamp, Timestamp),
            (Timestamp, TimestampWithZone, Text),
            (Boolean, SmallInteger, Text),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.or(b), expected, "{a:?} {b:?}");
            assert_eq!(b.or(a), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn moments_are_exact() {
        let cases = [
            ("1969-12-31 23:59:59.999999", -1),
            ("1970-01-01T00:00:00.5", 500_000),
            ("1970-01-01T01:00+01:00", 0),
            ("1970-01-01 00:00:00-0130", 5_400_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timestamp(text).unwrap().microseconds, expected, "{text}");
        }
    }

    #[test]
    fn quoted_emptiness_is_text_or_null() {
        let mut text = Kind::Text.builder();
        let mut integer = Kind::Integer.builder();
        for builder in [&mut text, &mut integer] {
            builder.append(&Value::Empty).unwrap();
            builder.append(&Value::Null).unwrap();
        }
        assert_eq!(text.finish().null_count(), 1);
        assert_eq!(integer.finish().null_count(), 2);
    }
}
