//! Days, clocks and time zones, as PostgreSQL counts them.

use datafusion::{
    arrow::{
        array::timezone::Tz, datatypes::TimestampMicrosecondType,
        temporal_conversions::as_datetime, temporal_conversions::as_datetime_with_timezone,
    },
    common::{exec_err, not_impl_err},
    error::Result,
};

pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// 1970-01-01 as a Julian day.
pub const EPOCH_JULIAN: i64 = 2_440_588;

/// The proleptic Gregorian date, days after 1970-01-01; the year before 1 is 0.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here.
    let march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days after 1970-01-01 of a date that exists.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

pub fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 31,
    }
}

/// The same day some months later, or the last one of that month.
pub fn add_months(date: i64, months: i64) -> i64 {
    let (year, month, day) = civil(date);
    let count = year * 12 + month - 1 + months;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    days(year, month, day.min(month_length(year, month)))
}

/// Sunday is 0.
pub fn day_of_week(date: i64) -> i64 {
    (date + 4).rem_euclid(7)
}

/// Monday is 1, Sunday 7.
pub fn iso_day_of_week(date: i64) -> i64 {
    (date + 3).rem_euclid(7) + 1
}

pub fn day_of_year(date: i64) -> i64 {
    date - days(civil(date).0, 1, 1) + 1
}

/// The year that a date's week belongs to, and the week's number.
pub fn iso_week(date: i64) -> (i64, i64) {
    let thursday = date - iso_day_of_week(date) + 4;
    let year = civil(thursday).0;
    (year, (thursday - days(year, 1, 1)) / 7 + 1)
}

/// The Monday of a week of a year.
pub fn iso_week_start(year: i64, week: i64) -> i64 {
    let fourth = days(year, 1, 4);
    fourth - (iso_day_of_week(fourth) - 1) + (week - 1) * 7
}

/// Years are not zero for people: 1 BC comes before 1.
pub fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// A moment on a clock, and the parts of it that people name.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub date: i64,
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub microsecond: i64,
}

impl Clock {
    /// From microseconds since 1970 on this clock.
    pub fn at(local: i64) -> Self {
        let date = local.div_euclid(DAY);
        let (year, month, day) = civil(date);
        Self { date, year, month, day, ..Self::time(local.rem_euclid(DAY)) }
    }

    /// From microseconds since midnight.
    pub fn time(time: i64) -> Self {
        Self {
            date: 0,
            year: 0,
            month: 0,
            day: 0,
            hour: time / HOUR,
            minute: time / MINUTE % 60,
            second: time / SECOND % 60,
            microsecond: time % SECOND,
        }
    }
}

/// The rules of a time zone.
#[derive(Debug, Clone)]
pub struct Zone {
    tz: Tz,
    is_utc: bool,
}

impl Zone {
    /// The zone of a session.
    pub fn of_session(name: Option<&str>) -> Result<Self> {
        Self::parse(name.unwrap_or("UTC"))
    }

    /// An IANA name, or an offset as the engine writes it.
    pub fn parse(name: &str) -> Result<Self> {
        let is_utc = matches!(
            name.to_ascii_lowercase().as_str(),
            "utc" | "etc/utc" | "gmt" | "z" | "zulu" | "+00" | "+00:00"
        );
        let known = if is_utc { "+00:00" } else { name };
        match known.parse::<Tz>() {
            Ok(tz) => Ok(Self { tz, is_utc }),
            Err(_) => exec_err!("time zone \"{name}\" not recognized"),
        }
    }

    /// A zone that a query names. An offset counts the other way round in POSIX, so none is taken.
    pub fn named(name: &str) -> Result<Self> {
        if name.starts_with(['+', '-']) || name.starts_with(|it: char| it.is_ascii_digit()) {
            return not_impl_err!("time zone \"{name}\" is not supported: use a name");
        }
        Self::parse(name)
    }

    pub fn is_utc(&self) -> bool {
        self.is_utc
    }

    /// What a clock in this zone shows at an instant.
    pub fn local(&self, instant: i64) -> Result<i64> {
        if self.is_utc {
            return Ok(instant);
        }
        match as_datetime_with_timezone::<TimestampMicrosecondType>(instant, self.tz) {
            Some(moment) => Ok(moment.naive_local().and_utc().timestamp_micros()),
            None => exec_err!("timestamp out of range"),
        }
    }

    /// The instant at which a clock shows a time. An hour that is skipped counts on from the one
    /// before; of one that comes twice, the second is meant.
    pub fn instant(&self, local: i64) -> Result<i64> {
        if self.is_utc {
            return Ok(local);
        }
        let find = |local: i64| {
            let naive = as_datetime::<TimestampMicrosecondType>(local)?;
            let found = naive.and_local_timezone(self.tz).latest()?;
            Some(found.timestamp_micros())
        };
        let before = || find(local - 3 * HOUR).map(|instant| instant + 3 * HOUR);
        match find(local).or_else(before) {
            Some(instant) => Ok(instant),
            None => exec_err!("timestamp out of range"),
        }
    }
}
