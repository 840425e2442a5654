//! Writes scalar values as PostgreSQL's send functions do. A field is its length and its bytes.

use arrow::datatypes::i256;

use super::digits::Limbs;
use crate::{
    error::{Error, ErrorKind, Result},
    protocol::pgwire::calendar::{
        EPOCH_DAYS, EPOCH_MICROS, Interval, check_date, check_time, check_timestamp,
    },
};

pub const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// A field of `N` bytes; length and bytes go out together.
fn fixed<const N: usize, const LEN: usize>(bytes: [u8; N], out: &mut Vec<u8>) {
    const { assert!(LEN == N + 4) };
    let mut field = [0; LEN];
    field[..4].copy_from_slice(&(N as i32).to_be_bytes());
    field[4..].copy_from_slice(&bytes);
    out.extend_from_slice(&field);
}

pub fn boolean(value: bool, out: &mut Vec<u8>) {
    fixed::<1, 5>([u8::from(value)], out);
}

pub fn int2(value: i16, out: &mut Vec<u8>) {
    fixed::<2, 6>(value.to_be_bytes(), out);
}

pub fn int4(value: i32, out: &mut Vec<u8>) {
    fixed::<4, 8>(value.to_be_bytes(), out);
}

pub fn int8(value: i64, out: &mut Vec<u8>) {
    fixed::<8, 12>(value.to_be_bytes(), out);
}

pub fn oid(value: u32, out: &mut Vec<u8>) {
    fixed::<4, 8>(value.to_be_bytes(), out);
}

pub fn float4(value: f32, out: &mut Vec<u8>) {
    fixed::<4, 8>(value.to_be_bytes(), out);
}

pub fn float8(value: f64, out: &mut Vec<u8>) {
    fixed::<8, 12>(value.to_be_bytes(), out);
}

pub fn date(days: i64, out: &mut Vec<u8>) -> Result<()> {
    // PostgreSQL's range fits an i32 from either epoch.
    int4((check_date(days)? - EPOCH_DAYS) as i32, out);
    Ok(())
}

pub fn time(micros: i64, out: &mut Vec<u8>) -> Result<()> {
    int8(check_time(micros)?, out);
    Ok(())
}

pub fn timestamp(micros: i64, out: &mut Vec<u8>) -> Result<()> {
    int8(check_timestamp(micros)? - EPOCH_MICROS, out);
    Ok(())
}

pub fn interval(value: Interval, out: &mut Vec<u8>) {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&value.micros.to_be_bytes());
    bytes[8..12].copy_from_slice(&value.days.to_be_bytes());
    bytes[12..].copy_from_slice(&value.months.to_be_bytes());
    fixed::<16, 20>(bytes, out);
}

pub fn bytes(value: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&length(value.len())?);
    out.extend_from_slice(value);
    Ok(())
}

/// Version 1 of the format is the text.
pub fn jsonb(value: &str, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&length(value.len() + 1)?);
    out.push(1);
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

pub fn uuid(value: [u8; 16], out: &mut Vec<u8>) {
    fixed::<16, 20>(value, out);
}

/// `"char"`: one byte; of an empty string, the zero byte.
pub fn char(value: &str, out: &mut Vec<u8>) -> Result<()> {
    match value.as_bytes() {
        [] => fixed::<1, 5>([0], out),
        [byte] => fixed::<1, 5>([*byte], out),
        _ => {
            return Err(Error::new(ErrorKind::InvalidText, "value too long for type \"char\""));
        }
    }
    Ok(())
}

/// A length on the wire.
pub fn length(bytes: usize) -> Result<[u8; 4]> {
    match i32::try_from(bytes) {
        Ok(length) => Ok(length.to_be_bytes()),
        Err(_) => Err(too_large(bytes)),
    }
}

pub fn too_large(bytes: usize) -> Error {
    Error::new(ErrorKind::ProgramLimitExceeded, format!("row of {bytes} bytes is too large"))
        .with_detail("A row has at most 1 GB.")
}

pub fn decimal128(value: i128, scale: i8, trim: bool, out: &mut Vec<u8>) {
    numeric(value < 0, Limbs::of_u128(value.unsigned_abs()), scale, trim, out);
}

pub fn decimal256(value: i256, scale: i8, trim: bool, out: &mut Vec<u8>) {
    numeric(value.is_negative(), Limbs::of_i256(value), scale, trim, out);
}

/// numeric_send: the count of digits to base 10000, the weight of the first, the sign, the scale
/// for display, and the digits without zeros at either end.
fn numeric(negative: bool, mut limbs: Limbs, scale: i8, trim: bool, out: &mut Vec<u8>) {
    const BASE: u64 = 10_000;
    // Widen the fraction to whole groups of four digits.
    let fraction_groups = (i32::from(scale) + 3).div_euclid(4);
    let padding = (4 * fraction_groups - i32::from(scale)) as u32;

    let mut groups = [0_u16; 24];
    let mut count = 0;
    // Values below 2^64 / 1000 need no wide division.
    if let Some(mut value) = limbs.as_u64().and_then(|value| value.checked_mul(10_u64.pow(padding)))
    {
        while value > 0 {
            groups[count] = (value % BASE) as u16;
            value /= BASE;
            count += 1;
        }
    } else {
        limbs.multiply(10_u64.pow(padding));
        loop {
            let last = limbs.as_u64();
            let mut chunk = last.unwrap_or_else(|| limbs.divide(BASE.pow(4)));
            let end = count + 4;
            while chunk > 0 || (last.is_none() && count < end) {
                groups[count] = (chunk % BASE) as u16;
                chunk /= BASE;
                count += 1;
            }
            if last.is_some() {
                break;
            }
        }
    }
    let zeros = groups[..count].iter().take_while(|group| **group == 0).count();
    let digits = &groups[zeros..count];

    let mut display_scale = i32::from(scale.max(0));
    if trim {
        let lowest = digits.first().copied().unwrap_or(0);
        let decimal_zeros = (1..4).take_while(|n| lowest % 10_u16.pow(*n) == 0).count();
        // Where the last digit that is not zero stands, to the right of the point.
        let last = 4 * (fraction_groups - zeros as i32) - decimal_zeros as i32;
        display_scale = if digits.is_empty() { 0 } else { last.max(0) };
    }
    let weight = if digits.is_empty() { 0 } else { count as i32 - fraction_groups - 1 };
    let sign = if negative { 0x4000_u16 } else { 0 };

    let mut field = [0; 12];
    field[..4].copy_from_slice(&(8 + 2 * digits.len() as i32).to_be_bytes());
    field[4..6].copy_from_slice(&(digits.len() as u16).to_be_bytes());
    field[6..8].copy_from_slice(&(weight as i16).to_be_bytes());
    field[8..10].copy_from_slice(&sign.to_be_bytes());
    field[10..].copy_from_slice(&(display_scale as u16).to_be_bytes());
    out.extend_from_slice(&field);
    for digit in digits.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// digits, weight, display scale
    fn parts(value: i128, scale: i8, trim: bool) -> (Vec<u16>, i16, u16) {
        let mut out = Vec::new();
        decimal128(value, scale, trim, &mut out);
        assert_eq!(
            usize::try_from(u32::from_be_bytes(out[..4].try_into().unwrap())),
            Ok(out.len() - 4)
        );
        let mut wide = Vec::new();
        decimal256(i256::from_i128(value), scale, trim, &mut wide);
        assert_eq!(out, wide);
        let words: Vec<u16> =
            out[4..].chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]])).collect();
        assert_eq!(usize::from(words[0]), words.len() - 4);
        assert_eq!(words[2], if value < 0 { 0x4000 } else { 0 });
        (words[4..].to_vec(), words[1] as i16, words[3])
    }

    #[test]
    fn numerics_are_sent_to_base_ten_thousand() {
        for (value, scale, expected) in [
            (0, 2, (vec![], 0, 2)),
            (1, 0, (vec![1], 0, 0)),
            (-12_345_678, 2, (vec![12, 3456, 7800], 1, 2)),
            (1, 5, (vec![1000], -2, 5)),
            (10_000, 0, (vec![1], 1, 0)),
            (10_000_000, 3, (vec![1], 1, 3)),
            (12, -3, (vec![1, 2000], 1, 0)),
            (12, -4, (vec![12], 1, 0)),
        ] {
            assert_eq!(parts(value, scale, false), expected, "{value} {scale}");
        }
        for (value, scale, expected) in [
            (150, 2, (vec![1, 5000], 0, 1)),
            (100, 2, (vec![1], 0, 0)),
            (0, 9, (vec![], 0, 0)),
            (1_200_000, 10, (vec![1, 2000], -1, 5)),
            (120_000, 0, (vec![12], 1, 0)),
        ] {
            assert_eq!(parts(value, scale, true), expected, "{value} {scale}");
        }
    }

    #[test]
    fn a_char_of_two_bytes_is_refused() {
        assert!(char("é", &mut Vec::new()).is_err());
    }
}
