//! Writes scalar values as PostgreSQL's output functions print them.

use std::io::Write;

use arrow::datatypes::i256;

use super::digits::{self, Digits};
use crate::{
    error::Result,
    protocol::pgwire::calendar::{
        Interval, MICROS_PER_DAY, MICROS_PER_SECOND, SECONDS_PER_DAY, Zone, check_date, check_time,
        check_timestamp, civil_from_days, write_offset,
    },
};

pub fn boolean(value: bool, out: &mut Vec<u8>) {
    out.push(if value { b't' } else { b'f' });
}

pub fn integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(value.unsigned_abs(), out);
}

fn unsigned(value: u64, out: &mut Vec<u8>) {
    let mut buffer = [0; 20];
    let start = digits::write_u64(value, &mut buffer);
    out.extend_from_slice(&buffer[start..]);
}

/// `\x0aff`
pub fn bytea(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    hex(bytes, out);
}

/// `b5d5aa49-…`: the bytes of a UUID.
pub fn uuid(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hex(&[*byte], out);
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    );
}

pub fn decimal128(value: i128, scale: i8, trim: bool, out: &mut Vec<u8>) {
    if let Ok(small) = u64::try_from(value.unsigned_abs()) {
        let mut buffer = [0; 20];
        let start = digits::write_u64(small, &mut buffer);
        return decimal(value < 0, &buffer[start..], scale, trim, out);
    }
    let digits = Digits::of_u128(value.unsigned_abs());
    decimal(value < 0, digits.as_slice(), scale, trim, out);
}

pub fn decimal256(value: i256, scale: i8, trim: bool, out: &mut Vec<u8>) {
    decimal(value.is_negative(), Digits::of_i256(value).as_slice(), scale, trim, out);
}

fn decimal(negative: bool, digits: &[u8], scale: i8, trim: bool, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    };
    let whole = digits.len().saturating_sub(scale);
    let (integral, fraction) = digits.split_at(whole);
    out.extend_from_slice(if integral.is_empty() { b"0" } else { integral });
    if scale == 0 {
        return;
    }
    let point = out.len();
    out.push(b'.');
    out.resize(out.len() + scale - fraction.len(), b'0');
    out.extend_from_slice(fraction);
    if trim {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.len() == point + 1 {
            out.pop();
        }
    }
}

pub fn date(days: i64, out: &mut Vec<u8>) -> Result<()> {
    let mut buffer = Buffer::default();
    let era = buffer.date(check_date(days)?);
    buffer.era(era);
    out.extend_from_slice(buffer.as_slice());
    Ok(())
}

pub fn time(micros: i64, out: &mut Vec<u8>) -> Result<()> {
    let mut buffer = Buffer::default();
    buffer.time(check_time(micros)?);
    out.extend_from_slice(buffer.as_slice());
    Ok(())
}

pub fn timestamp(micros: i64, out: &mut Vec<u8>) -> Result<()> {
    let mut buffer = Buffer::default();
    let era = buffer.timestamp(check_timestamp(micros)?);
    buffer.era(era);
    out.extend_from_slice(buffer.as_slice());
    Ok(())
}

pub fn timestamptz(micros: i64, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
    let offset = zone.offset_at(check_timestamp(micros)?.div_euclid(MICROS_PER_SECOND));
    let mut buffer = Buffer::default();
    let local = i128::from(micros) + i128::from(offset) * i128::from(MICROS_PER_SECOND);
    let era = buffer.civil_time(
        local.div_euclid(i128::from(MICROS_PER_DAY)) as i64,
        local.rem_euclid(i128::from(MICROS_PER_DAY)) as i64,
    );
    if offset == 0 {
        buffer.push_slice(b"+00");
    } else {
        write_offset(offset, |part| buffer.push_slice(part.as_bytes()));
    }
    buffer.era(era);
    out.extend_from_slice(buffer.as_slice());
    Ok(())
}

/// `IntervalStyle = postgres`: EncodeInterval in PostgreSQL's datetime.c.
pub fn interval(value: Interval, out: &mut Vec<u8>) {
    let start = out.len();
    // After a negative part, a positive one carries a sign.
    let mut after_negative = false;
    for (amount, unit) in
        [(value.months / 12, "year"), (value.months % 12, "mon"), (value.days, "day")]
    {
        if amount == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if after_negative && amount > 0 {
            out.push(b'+');
        }
        integer(i64::from(amount), out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if amount != 1 {
            out.push(b's');
        }
        after_negative = amount < 0;
    }
    if value.micros == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    if value.micros < 0 {
        out.push(b'-');
    } else if after_negative {
        out.push(b'+');
    }
    let micros = value.micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    let hours = seconds / 3_600;
    let mut buffer = Buffer::default();
    if hours < 100 {
        buffer.pair(hours as u32);
    } else {
        unsigned(hours, out);
    }
    buffer.push(b':');
    buffer.pair((seconds / 60 % 60) as u32);
    buffer.push(b':');
    buffer.pair((seconds % 60) as u32);
    buffer.fraction((micros % 1_000_000) as u32);
    out.extend_from_slice(buffer.as_slice());
}

pub fn float8(value: f64, out: &mut Vec<u8>) {
    if special_float(value, out) {
        return;
    }
    // Most floats in tables are whole numbers.
    let whole = value as i64;
    if value.abs() < 1e15 && whole as f64 == value && (whole != 0 || value.is_sign_positive()) {
        integer(whole, out);
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value);
    if (1e-4..1e15).contains(&value.abs()) {
        return plain_float(shortest, out);
    }
    let boundary = |digits: &[u8], exponent| is_boundary(digits, exponent, f64::MANTISSA_DIGITS);
    float(shortest, 15, boundary, |places| format!("{value:.places$e}"), out);
}

pub fn float4(value: f32, out: &mut Vec<u8>) {
    if special_float(f64::from(value), out) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value);
    if (1e-4..1e6).contains(&value.abs()) {
        return plain_float(shortest, out);
    }
    let boundary = |digits: &[u8], exponent| is_boundary(digits, exponent, f32::MANTISSA_DIGITS);
    float(shortest, 6, boundary, |places| format!("{value:.places$e}"), out);
}

fn special_float(value: f64, out: &mut Vec<u8>) -> bool {
    if value.is_finite() {
        return false;
    }
    out.extend_from_slice(match value {
        _ if value.is_nan() => b"NaN",
        _ if value > 0.0 => b"Infinity".as_slice(),
        _ => b"-Infinity",
    });
    true
}

/// In this range Ryu writes what PostgreSQL does, but `1` as `1.0`.
fn plain_float(shortest: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(shortest.strip_suffix(".0").unwrap_or(shortest).as_bytes());
}

/// Lays the shortest digits out as PostgreSQL does: plain from 1e-4 up to `10^plain_digits`, else
/// as `1.5e+20`.
fn float(
    shortest: &str,
    plain_digits: i32,
    is_boundary: impl Fn(&[u8], i32) -> bool,
    rounded: impl Fn(usize) -> String,
    out: &mut Vec<u8>,
) {
    let (unsigned, negative) = match shortest.strip_prefix('-') {
        Some(unsigned) => (unsigned, true),
        None => (shortest, false),
    };
    if negative {
        out.push(b'-');
    }
    let (mut digits, mut exponent) = scientific(unsigned);
    // Ryu accepts the two ends of the interval that rounds to the value when its last bit is
    // even; PostgreSQL's copy never does (d2s.c, STRICTLY_SHORTEST), and prints more digits.
    if exponent >= plain_digits && is_boundary(digits.as_slice(), exponent) {
        let longer = (digits.as_slice().len()..17).map(&rounded).find_map(|text| {
            let (digits, exponent) = scientific(text.trim_start_matches('-'));
            (!is_boundary(digits.as_slice(), exponent)).then_some((digits, exponent))
        });
        if let Some(longer) = longer {
            (digits, exponent) = longer;
        }
    }
    let digits = digits.as_slice();

    if !(-4..plain_digits).contains(&exponent) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        // Writing into a Vec can't fail.
        let _ = write!(out, "e{exponent:+03}");
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        let (integral, fraction) = digits.split_at(whole.min(digits.len()));
        out.extend_from_slice(integral);
        out.resize(out.len() + whole - integral.len(), b'0');
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    }
}

/// Takes `1.5`, `0.0001`, `1e23` or `1.5e-7` apart into significant digits without trailing zeros
/// and the exponent of the first of them. Zero is `0` with exponent 0.
fn scientific(text: &str) -> (Digits, i32) {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0),
    };
    let mut digits = Digits::default();
    let (mut before_point, mut leading_zeros, mut is_fraction) = (0, 0, false);
    for byte in mantissa.bytes() {
        match byte {
            b'.' => is_fraction = true,
            _ => before_point += i32::from(!is_fraction),
        }
        match byte {
            b'.' => {}
            b'0' if digits.as_slice().is_empty() => leading_zeros += 1,
            digit => digits.push(digit),
        }
    }
    digits.trim_zeros();
    if digits.as_slice().is_empty() {
        digits.push(b'0');
        return (digits, 0);
    }
    (digits, before_point - 1 - leading_zeros + exponent)
}

/// Whether the decimal number lies exactly between two neighbouring floats: it is an integer
/// whose binary digits are one too many.
fn is_boundary(digits: &[u8], exponent: i32, mantissa_digits: u32) -> bool {
    let tens = exponent - (digits.len() as i32 - 1);
    // Beyond 10^23 the odd part of a power of ten alone is longer than 54 bits.
    if !(0..=23).contains(&tens) {
        return false;
    }
    let number = digits.iter().fold(0_u128, |number, digit| number * 10 + u128::from(digit - b'0'));
    // 10^n and 5^n differ by a power of two, which is free.
    let odd = number * 5_u128.pow(tens.unsigned_abs());
    odd != 0 && 128 - odd.leading_zeros() - odd.trailing_zeros() == mantissa_digits + 1
}

/// A date and time on the stack, so that the output grows once.
struct Buffer {
    bytes: [u8; 48],
    len: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: [0; 48], len: 0 }
    }
}

impl Buffer {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_slice(&mut self, slice: &[u8]) {
        self.bytes[self.len..self.len + slice.len()].copy_from_slice(slice);
        self.len += slice.len();
    }

    fn pair(&mut self, value: u32) {
        self.push_slice(digits::pair(value));
    }

    /// `2024-02-29`, and whether it is before Christ.
    fn date(&mut self, days: i64) -> bool {
        let (year, month, day) = civil_from_days(days);
        let (year, before_christ) = if year > 0 { (year, false) } else { (1 - year, true) };
        if year < 10_000 {
            self.pair(year as u32 / 100);
            self.pair(year as u32 % 100);
        } else {
            let mut buffer = [0; 20];
            let start = digits::write_u64(year.unsigned_abs(), &mut buffer);
            self.push_slice(&buffer[start..]);
        }
        self.push(b'-');
        self.pair(month);
        self.push(b'-');
        self.pair(day);
        before_christ
    }

    fn era(&mut self, before_christ: bool) {
        if before_christ {
            self.push_slice(b" BC");
        }
    }

    /// `04:05:06.789`
    fn time(&mut self, micros: i64) {
        let seconds = (micros / MICROS_PER_SECOND) as u32;
        self.pair(seconds / 3_600);
        self.push(b':');
        self.pair(seconds / 60 % 60);
        self.push(b':');
        self.pair(seconds % 60);
        self.fraction((micros % MICROS_PER_SECOND) as u32);
    }

    fn fraction(&mut self, micros: u32) {
        if micros == 0 {
            return;
        }
        self.push(b'.');
        self.pair(micros / 10_000);
        self.pair(micros / 100 % 100);
        self.pair(micros % 100);
        while self.bytes[self.len - 1] == b'0' {
            self.len -= 1;
        }
    }

    fn timestamp(&mut self, micros: i64) -> bool {
        let seconds = micros.div_euclid(MICROS_PER_SECOND);
        self.civil_time(
            seconds.div_euclid(SECONDS_PER_DAY),
            seconds.rem_euclid(SECONDS_PER_DAY) * MICROS_PER_SECOND
                + micros.rem_euclid(MICROS_PER_SECOND),
        )
    }

    fn civil_time(&mut self, days: i64, micros: i64) -> bool {
        let before_christ = self.date(days);
        self.push(b' ');
        self.time(micros);
        before_christ
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_printed_like_postgres() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00001, "1e-05"),
            (123_456.5, "123456.5"),
            (1e14, "100000000000000"),
            (999_999_999_999_999.9, "999999999999999.9"),
            (1e15, "1e+15"),
            (1_234_567_890_123_456.0, "1.234567890123456e+15"),
            (1e20, "1e+20"),
            (-1.5e300, "-1.5e+300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            // Ryu alone prints 1e+23, which lies between two floats.
            (1e23, "9.999999999999999e+22"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(written(|out| float8(value, out)), text);
        }
        for (value, text) in [
            (100_000.0_f32, "100000"),
            (1e6, "1e+06"),
            (0.1, "0.1"),
            (16_777_216.0, "1.6777216e+07"),
            (f32::MIN_POSITIVE, "1.1754944e-38"),
        ] {
            assert_eq!(written(|out| float4(value, out)), text);
        }
    }

    #[test]
    fn intervals_are_printed_like_postgres() {
        for (months, days, micros, text) in [
            (0, 0, 0, "00:00:00"),
            (14, 3, 14_706_789_000, "1 year 2 mons 3 days 04:05:06.789"),
            (0, -1, 0, "-1 days"),
            (-1, 1, 0, "-1 mons +1 day"),
            (-14, 0, 1, "-1 years -2 mons +00:00:00.000001"),
            (0, 1, -1_000_000, "1 day -00:00:01"),
            (0, 0, 360_000_000_000, "100:00:00"),
            (0, 0, i64::MIN, "-2562047788:00:54.775808"),
            (i32::MIN, i32::MIN, 0, "-178956970 years -8 mons -2147483648 days"),
        ] {
            let value = Interval { months, days, micros };
            assert_eq!(written(|out| interval(value, out)), text);
        }
    }

    #[test]
    fn times_are_printed_like_postgres() {
        let day = |year, month, date| {
            crate::protocol::pgwire::calendar::days_from_civil(year, month, date)
        };
        for (days, text) in [
            (day(2024, 2, 29), "2024-02-29"),
            (day(1, 1, 1), "0001-01-01"),
            (day(0, 12, 31), "0001-12-31 BC"),
            (day(10_000, 1, 1), "10000-01-01"),
            (day(-4713, 11, 24), "4714-11-24 BC"),
        ] {
            assert_eq!(written(|out| date(days, out).unwrap()), text);
        }
        assert!(date(i64::from(i32::MIN), &mut Vec::new()).is_err());
        assert!(timestamp(i64::MIN, &mut Vec::new()).is_err());
        assert!(time(-1, &mut Vec::new()).is_err());
        assert_eq!(written(|out| time(MICROS_PER_DAY, out).unwrap()), "24:00:00");
        let instant = day(2024, 7, 1) * MICROS_PER_DAY + 10_500_000;
        for (zone, text) in [
            ("UTC", "2024-07-01 00:00:10.5+00"),
            ("America/New_York", "2024-06-30 20:00:10.5-04"),
            ("Asia/Kolkata", "2024-07-01 05:30:10.5+05:30"),
            ("-1.25", "2024-06-30 22:45:10.5-01:15"),
        ] {
            let zone = Zone::parse(zone).unwrap();
            assert_eq!(written(|out| timestamptz(instant, &zone, out).unwrap()), text);
        }
        let ancient = day(-43, 3, 15) * MICROS_PER_DAY;
        assert_eq!(
            written(|out| timestamptz(ancient, &Zone::Utc, out).unwrap()),
            "0044-03-15 00:00:00+00 BC"
        );
    }

    #[test]
    fn decimals_keep_their_scale() {
        for (value, scale, trim, text) in [
            (0, 0, false, "0"),
            (0, 2, false, "0.00"),
            (-5, 2, false, "-0.05"),
            (150, 2, false, "1.50"),
            (150, 2, true, "1.5"),
            (100, 2, true, "1"),
            (100, 0, true, "100"),
            (12, -3, false, "12000"),
            (0, -3, false, "0"),
            (i128::MAX, 38, false, "1.70141183460469231731687303715884105727"),
            (i128::MIN, 0, false, "-170141183460469231731687303715884105728"),
        ] {
            assert_eq!(written(|out| decimal128(value, scale, trim, out)), text);
            let wide = i256::from_i128(value);
            assert_eq!(written(|out| decimal256(wide, scale, trim, out)), text);
        }
        assert_eq!(
            written(|out| decimal256(i256::MIN, 0, false, out)),
            "-57896044618658097711785492504343953926634992332820282019728792003956564819968"
        );
    }
}
