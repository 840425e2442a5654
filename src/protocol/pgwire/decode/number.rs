//! Numbers: `numeric` in both formats, floats and integers in text.

use datafusion::{arrow::datatypes::i256, common::ScalarValue};

use super::{Error, ErrorKind, Result, invalid_text, oid, type_name};

/// The digits that an Arrow decimal can hold.
const MAX_DIGITS: usize = 76;

/// A decimal number with its own scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numeric {
    unscaled: i256,
    pub scale: i8,
}

impl Numeric {
    /// From decimal digits (ASCII), of which `scale` stand after the point. A negative scale
    /// stands for zeros before it.
    pub fn new(negative: bool, digits: &[u8], scale: i64) -> Result<Self> {
        let start = digits.iter().take_while(|digit| **digit == b'0').count();
        let mut digits = digits[start..].to_vec();
        let mut scale = scale;
        if digits.is_empty() {
            scale = scale.clamp(0, MAX_DIGITS as i64);
        }
        if scale < 0 {
            let zeros = usize::try_from(-scale).map_err(|_| too_wide())?;
            if digits.len().saturating_add(zeros) > MAX_DIGITS {
                return Err(too_wide());
            }
            digits.resize(digits.len() + zeros, b'0');
            scale = 0;
        }
        // Zeros at the end say nothing that a comparison could see.
        while scale > MAX_DIGITS as i64 || digits.len() > MAX_DIGITS {
            if scale == 0 || digits.pop() != Some(b'0') {
                return Err(too_wide());
            }
            scale -= 1;
        }
        let mut unscaled = i256::ZERO;
        for digit in &digits {
            let ten = i256::from_i128(10);
            let digit = i256::from_i128(i128::from(digit - b'0'));
            unscaled = unscaled.wrapping_mul(ten).wrapping_add(digit);
        }
        if negative {
            unscaled = unscaled.wrapping_neg();
        }
        Ok(Self { unscaled, scale: scale as i8 })
    }

    /// The least precision that holds the value at its scale; Arrow wants it positive and not
    /// below the scale.
    pub fn precision(&self) -> u8 {
        let digits = self.unscaled.wrapping_abs().checked_ilog10().map_or(1, |log| log + 1);
        (digits as u8).max(self.scale as u8)
    }

    /// Digits before the point.
    pub fn whole_digits(&self) -> u8 {
        self.precision() - self.scale as u8
    }

    /// The value at a scale that is not below its own, and a precision that is enough for it.
    pub fn to_scalar(self, precision: u8, scale: i8) -> ScalarValue {
        let factor = i256::from_i128(10).wrapping_pow((scale - self.scale) as u32);
        let unscaled = self.unscaled.wrapping_mul(factor);
        match unscaled.to_i128() {
            Some(value) if precision <= 38 => {
                ScalarValue::Decimal128(Some(value), precision, scale)
            }
            _ => ScalarValue::Decimal256(Some(unscaled), precision.max(39), scale),
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || invalid_text(oid::NUMERIC, text);
        let trimmed = text.trim_matches(super::text::is_space);
        let (negative, unsigned) = split_sign(trimmed);
        if ["nan", "inf", "infinity"].contains(&unsigned.to_ascii_lowercase().as_str()) {
            return Err(not_finite());
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent).ok_or_else(invalid)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return Err(invalid());
        }
        let digits = [whole.as_bytes(), fraction.as_bytes()].concat();
        Self::new(negative, &digits, fraction.len() as i64 - exponent)
    }

    /// numeric_recv: count, weight, sign and scale, then digits to base 10000.
    pub fn receive(bytes: &[u8]) -> Result<Self> {
        let mut words = bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        let invalid = |what: &str| {
            Error::new(
                ErrorKind::ProtocolViolation,
                format!("invalid {what} in external \"numeric\" value"),
            )
        };
        let [count, weight, sign, scale] = [words.next(), words.next(), words.next(), words.next()];
        let (Some(count), Some(weight), Some(sign), Some(scale)) = (count, weight, sign, scale)
        else {
            return Err(invalid("length"));
        };
        if bytes.len() != 8 + 2 * usize::from(count) {
            return Err(invalid("length"));
        }
        let negative = match sign {
            0 => false,
            0x4000 => true,
            0xc000 | 0xd000 | 0xf000 => return Err(not_finite()),
            _ => return Err(invalid("sign")),
        };
        if scale & !0x3fff != 0 {
            return Err(invalid("scale"));
        }
        let mut digits = Vec::with_capacity(4 * usize::from(count));
        for word in words {
            if word >= 10_000 {
                return Err(invalid("digit"));
            }
            digits.extend_from_slice(format!("{word:04}").as_bytes());
        }
        // What the digits have after the point, made to be what the scale says: PostgreSQL pads,
        // and truncates.
        let after_point = 4 * (i64::from(count) - 1 - i64::from(weight as i16));
        let scale = i64::from(scale);
        if after_point > scale {
            let surplus = usize::try_from(after_point - scale).unwrap_or(usize::MAX);
            digits.truncate(digits.len().saturating_sub(surplus));
        } else if !digits.is_empty() {
            let zeros = usize::try_from(scale - after_point).map_err(|_| too_wide())?;
            digits.resize(digits.len().saturating_add(zeros), b'0');
        }
        Self::new(negative, &digits, scale)
    }
}

fn too_wide() -> Error {
    Error::new(ErrorKind::NumericOutOfRange, "value overflows numeric format")
        .with_detail(format!("A number has at most {MAX_DIGITS} digits."))
}

fn not_finite() -> Error {
    Error::new(ErrorKind::NotSupported, "numeric parameters can't be NaN or infinite")
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// An exponent, held to a size at which every number is zero or too wide.
fn parse_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = digits.parse::<i64>().unwrap_or(i64::MAX).min(1_000_000);
    Some(if negative { -exponent } else { exponent })
}

/// An integer in text; the caller checks its range.
pub fn integer<T: TryFrom<i128>>(oid: u32, text: &str) -> Result<T> {
    let trimmed = text.trim_matches(super::text::is_space);
    let (negative, digits) = split_sign(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid_text(oid, text));
    }
    let out_of_range = || {
        Error::new(
            ErrorKind::NumericOutOfRange,
            format!("value \"{text}\" is out of range for type {}", type_name(oid)),
        )
    };
    let magnitude: i128 = digits.parse().map_err(|_| out_of_range())?;
    T::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| out_of_range())
}

/// A float in text. Neither overflow nor underflow passes silently.
pub fn float<T: std::str::FromStr + Into<f64> + Copy>(oid: u32, text: &str) -> Result<T> {
    let trimmed = text.trim_matches(super::text::is_space);
    let value: T = trimmed.parse().map_err(|_| invalid_text(oid, text))?;
    let (_, unsigned) = split_sign(trimmed);
    let is_number = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let has_digit = mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let wide: f64 = value.into();
    if (is_number && wide.is_infinite()) || (wide == 0.0 && has_digit) {
        return Err(Error::new(
            ErrorKind::NumericOutOfRange,
            format!("\"{text}\" is out of range for type {}", type_name(oid)),
        ));
    }
    Ok(value)
}
