//! The calendar that PostgreSQL's dates and times live in: its range, its epoch, its zones.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use chrono::{DateTime, Offset, TimeZone};

use crate::error::{Error, ErrorKind, Result};

pub(super) const SECONDS_PER_DAY: i64 = 86_400;
pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

/// PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
pub(super) const EPOCH_DAYS: i64 = 10_957;
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS * MICROS_PER_DAY;

/// The days PostgreSQL can hold, counted from 1970: 4714-11-24 BC to 5874897-12-31.
const MIN_DAY: i64 = -2_440_588;
const END_DAY: i64 = 2_145_042_906;
/// The first microsecond of a timestamp. The last, in the year 294276, is beyond Arrow's i64.
const MIN_MICROS: i64 = MIN_DAY * MICROS_PER_DAY;

/// What PostgreSQL answers to a date or time that it can't hold.
pub(super) fn out_of_range(what: &str) -> Error {
    Error::new(ErrorKind::NumericOutOfRange, format!("{what} out of range"))
}

pub(super) fn check_date(days: i64) -> Result<i64> {
    if (MIN_DAY..END_DAY).contains(&days) { Ok(days) } else { Err(out_of_range("date")) }
}

pub(super) fn check_timestamp(micros: i64) -> Result<i64> {
    if micros >= MIN_MICROS { Ok(micros) } else { Err(out_of_range("timestamp")) }
}

/// PostgreSQL has `24:00:00`.
pub(super) fn check_time(micros: i64) -> Result<i64> {
    if (0..=MICROS_PER_DAY).contains(&micros) { Ok(micros) } else { Err(out_of_range("time")) }
}

/// Rounds as PostgreSQL rounds the fraction of an input: to the nearest, ties to even.
pub(super) fn round_nanos(nanos: i64) -> i64 {
    let (micros, rest) = (nanos.div_euclid(1_000), nanos.rem_euclid(1_000));
    micros + i64::from(rest > 500 || (rest == 500 && micros % 2 != 0))
}

/// PostgreSQL's interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// The civil date of a day counted from 1970: year (0 is 1 BC), month, day.
/// Howard Hinnant, "chrono-compatible low-level date algorithms".
pub(super) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097) as u32;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = i64::from(year_of_era) + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil_from_days`], for a month from 1 to 12.
pub(super) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A session's `TimeZone`.
#[derive(Debug, Clone, Default)]
pub enum Zone {
    #[default]
    Utc,
    /// Seconds east of Greenwich.
    Fixed(i32),
    /// A zone of the IANA database, under its canonical spelling.
    Named(Tz, Arc<str>),
}

/// Transitions are tabulated up to 2100, and rules repeat with the calendar from here on.
const LAST_TABULATED_YEAR: i64 = 2087;
/// Before it, every zone keeps its local mean time.
const FIRST_TABULATED_YEAR: i64 = 1800;

impl Zone {
    /// Reads the value of `SET TimeZone`: a zone's name or hours east of Greenwich. POSIX rules
    /// (`CET-1CEST`) are refused.
    pub fn parse(name: &str) -> Result<Self> {
        let name = name.trim();
        if let Ok(hours) = name.parse::<f64>() {
            // The limit is PostgreSQL's: a week.
            return match hours.abs() {
                0.0..=168.0 => Ok(Self::Fixed((hours * 3_600.0).round() as i32)),
                _ => Err(Self::unknown(name)),
            };
        }
        if ["utc", "z", "zulu", "etc/utc", "gmt"].contains(&name.to_ascii_lowercase().as_str()) {
            return Ok(Self::Utc);
        }
        // `Tz` would also read `+02:00`, as east; to PostgreSQL it is POSIX, and west.
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(Self::unknown(name));
        }
        // PostgreSQL ignores case; the table does not.
        [name.to_string(), name.to_ascii_uppercase(), title_case(name)]
            .iter()
            .find_map(|name| Some(Self::Named(name.parse().ok()?, name.as_str().into())))
            .ok_or_else(|| Self::unknown(name))
    }

    fn unknown(name: &str) -> Error {
        Error::new(
            ErrorKind::InvalidParameter,
            format!("invalid value for parameter \"TimeZone\": \"{name}\""),
        )
    }

    /// As `SHOW TimeZone` prints it.
    pub fn name(&self) -> String {
        match self {
            Self::Utc => "UTC".to_string(),
            Self::Fixed(seconds) => {
                let mut offset = String::new();
                write_offset(*seconds, |part| offset.push_str(part));
                let mut posix = String::new();
                write_offset(-*seconds, |part| posix.push_str(part));
                format!("<{offset}>{posix}")
            }
            Self::Named(_, name) => name.to_string(),
        }
    }

    /// Seconds east of Greenwich at an instant.
    pub(super) fn offset_at(&self, utc_seconds: i64) -> i32 {
        match self {
            Self::Utc => 0,
            Self::Fixed(seconds) => *seconds,
            Self::Named(zone, _) => DateTime::from_timestamp(tabulated(utc_seconds), 0)
                .map(|instant| zone.offset_from_utc_datetime(&instant.naive_utc()))
                .map_or(0, |offset| offset.fix().local_minus_utc()),
        }
    }

    /// Seconds east of Greenwich at a local time. In the gap and in the doubled hour of a
    /// transition it is the smaller offset, as PostgreSQL's DetermineTimeZoneOffset decides.
    pub(super) fn offset_at_local(&self, local_seconds: i64) -> i32 {
        let before = self.offset_at(local_seconds.saturating_sub(SECONDS_PER_DAY));
        let after = self.offset_at(local_seconds.saturating_add(SECONDS_PER_DAY));
        let fits = |offset: i32| self.offset_at(local_seconds - i64::from(offset)) == offset;
        match (fits(before), fits(after)) {
            (true, false) => before,
            (false, true) => after,
            _ => before.min(after),
        }
    }
}

/// The instant itself, or one in a tabulated year of the same shape: the rules of a zone know
/// only the month, the day of the month and the day of the week.
fn tabulated(seconds: i64) -> i64 {
    let (year, ..) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    if year < FIRST_TABULATED_YEAR {
        return days_from_civil(FIRST_TABULATED_YEAR, 1, 1) * SECONDS_PER_DAY;
    }
    if year <= LAST_TABULATED_YEAR {
        return seconds;
    }
    let shape = |year| (days_from_civil(year, 1, 1).rem_euclid(7), is_leap(year));
    let twin = (LAST_TABULATED_YEAR - 27..=LAST_TABULATED_YEAR)
        .find(|candidate| shape(*candidate) == shape(year))
        .unwrap_or(LAST_TABULATED_YEAR);
    seconds - (days_from_civil(year, 1, 1) - days_from_civil(twin, 1, 1)) * SECONDS_PER_DAY
}

/// `america/new_york` is `America/New_York`.
fn title_case(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|letter| {
            let cased =
                if start { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
            start = !letter.is_ascii_alphanumeric();
            cased
        })
        .collect()
}

/// PostgreSQL's EncodeTimezone: `+00`, `+05:30`, `-04:56:02`.
pub(super) fn write_offset(seconds: i32, mut write: impl FnMut(&str)) {
    let (hours, minutes, rest) =
        (seconds.abs() / 3_600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    write(if seconds < 0 { "-" } else { "+" });
    write(&format!("{hours:02}"));
    if minutes != 0 || rest != 0 {
        write(&format!(":{minutes:02}"));
    }
    if rest != 0 {
        write(&format!(":{rest:02}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn civil_dates_and_days_are_inverse() {
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(MIN_DAY), (-4713, 11, 24));
        assert_eq!(civil_from_days(END_DAY - 1), (5_874_897, 12, 31));
        for day in (MIN_DAY..END_DAY).step_by(104_729) {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }

    #[test]
    fn nanoseconds_round_half_to_even() {
        for (nanos, micros) in [(499, 0), (500, 0), (501, 1), (1_500, 2), (2_500, 2), (-500, 0)] {
            assert_eq!(round_nanos(nanos), micros, "{nanos}");
        }
    }

    #[test]
    fn zones_are_read_like_set_timezone() {
        for (text, name) in [
            ("UTC", "UTC"),
            ("etc/utc", "UTC"),
            ("3", "<+03>-03"),
            ("-5.5", "<-05:30>+05:30"),
            ("europe/moscow", "Europe/Moscow"),
            ("America/New_York", "America/New_York"),
            ("cet", "CET"),
        ] {
            assert_eq!(Zone::parse(text).unwrap().name(), name);
        }
        for refused in ["", "Mars/Olympus", "+02:00", "NaN", "1e9", "CET-1CEST"] {
            let error = Zone::parse(refused).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidParameter, "{refused}");
        }
    }

    #[test]
    fn local_times_in_a_transition_take_the_smaller_offset() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let at = |month, day, hour: i64, minute: i64| {
            let days = days_from_civil(2024, month, day);
            berlin.offset_at_local(days * SECONDS_PER_DAY + hour * 3_600 + minute * 60)
        };
        assert_eq!(at(3, 31, 1, 59), 3_600);
        assert_eq!(at(3, 31, 2, 30), 3_600); // does not exist
        assert_eq!(at(3, 31, 3, 0), 7_200);
        assert_eq!(at(10, 27, 1, 59), 7_200);
        assert_eq!(at(10, 27, 2, 30), 3_600); // exists twice
        assert_eq!(at(10, 27, 3, 0), 3_600);
    }
}
