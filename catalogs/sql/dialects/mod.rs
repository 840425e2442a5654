//! How sources that are no PostgreSQL write SQL: names, constants, and what else differs.
//!
//! Invariant: a constant carries its type, so that no conversion is chosen by guessing and none is
//! taken for the number of a column; what is not known to mean the same is not written.

mod clickhouse;
mod oracle;
mod sqlserver;

use chrono::{DateTime, Datelike, NaiveDateTime};

pub use clickhouse::ClickHouse;
pub use oracle::Oracle;
pub use sqlserver::SqlServer;

/// Bytes kept free for the comment that says who asks.
const LABEL_BYTES: usize = 1 << 10;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The moment, if its year is one that the source knows in the same calendar.
fn clock(micros: i64, years: std::ops::RangeInclusive<i32>) -> Option<NaiveDateTime> {
    let clock = DateTime::from_timestamp_micros(micros)?.naive_utc();
    years.contains(&clock.year()).then_some(clock)
}

fn midnight(days: i32) -> Option<i64> {
    i64::from(days).checked_mul(MICROS_PER_DAY)
}

/// Whether the value is one of a type of so many bits.
fn fits(value: i128, bits: u8, is_signed: bool) -> bool {
    match (bits, is_signed) {
        (8 | 16 | 32 | 64, true) => {
            let limit = 1_i128 << (bits - 1);
            (-limit..limit).contains(&value)
        }
        (8 | 16 | 32 | 64, false) => (0..1_i128 << bits).contains(&value),
        _ => false,
    }
}

/// Precision and scale of digits with an optional sign and point; `None` for any other text.
fn digits(text: &str) -> Option<(usize, usize)> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let scale = if unsigned.contains('.') { fraction.len() } else { 0 };
    Some((whole.trim_start_matches('0').len().max(1) + scale, scale))
}

/// A float that every reader of digits reads alike: how others are rounded is nowhere promised.
fn whole(value: f64) -> Option<i64> {
    let is_exact = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    is_exact.then_some(value as i64)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests;
