//! Intervals: read, compared, multiplied, and made regular, as `timestamp.c` and `datetime.c` do.

use datafusion::{common::exec_err, error::Result};

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};

/// Months, days and microseconds stay apart: a month is no number of days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// The parts of an interval that extract and to_char name.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub microsecond: i64,
}

fn out_of_range<T>() -> Result<T> {
    exec_err!("interval out of range")
}

impl Interval {
    pub fn new(months: i64, days: i64, micros: i64) -> Result<Self> {
        match (i32::try_from(months), i32::try_from(days)) {
            (Ok(months), Ok(days)) => Ok(Self { months, days, micros }),
            _ => out_of_range(),
        }
    }

    pub fn parts(self) -> Parts {
        Parts {
            year: i64::from(self.months / 12),
            month: i64::from(self.months % 12),
            day: self.days.into(),
            hour: self.micros / HOUR,
            minute: self.micros / MINUTE % 60,
            second: self.micros / SECOND % 60,
            microsecond: self.micros % SECOND,
        }
    }

    /// What intervals are compared by: a month is 30 days, a day is 24 hours.
    pub fn order(self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * i128::from(DAY) + i128::from(self.micros)
    }

    /// `interval_mul`.
    pub fn times(self, factor: f64) -> Result<Self> {
        self.scaled(|part| part * factor)
    }

    /// `interval_div`.
    pub fn over(self, divisor: f64) -> Result<Self> {
        if divisor == 0.0 {
            return exec_err!("division by zero");
        }
        self.scaled(|part| part / divisor)
    }

    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<Self> {
        const SECONDS_OF_DAY: f64 = 86_400.0;
        let exact = |value: f64| (value * 1e6).round_ties_even() / 1e6;
        let (months, days) = (scale(self.months.into()), scale(self.days.into()));
        let mut whole_days = integer(days)?;
        let whole_months = integer(months)?;
        let month_days = exact((months - f64::from(whole_months)) * 30.0);
        let mut seconds = exact(
            (days - f64::from(whole_days) + month_days - month_days.trunc()) * SECONDS_OF_DAY,
        );
        if seconds.abs() >= SECONDS_OF_DAY {
            whole_days += (seconds / SECONDS_OF_DAY) as i32;
            seconds -= (seconds / SECONDS_OF_DAY).trunc() * SECONDS_OF_DAY;
        }
        let Some(days) = whole_days.checked_add(month_days as i32) else { return out_of_range() };
        let micros = (scale(self.micros as f64) + seconds * 1e6).round_ties_even();
        if micros.is_nan() || micros.abs() >= 9.2e18 {
            return out_of_range();
        }
        Ok(Self { months: whole_months, days, micros: micros as i64 })
    }

    pub fn plus(self, other: Self) -> Result<Self> {
        let months = self.months.checked_add(other.months);
        let days = self.days.checked_add(other.days);
        match (months, days, self.micros.checked_add(other.micros)) {
            (Some(months), Some(days), Some(micros)) => Ok(Self { months, days, micros }),
            _ => out_of_range(),
        }
    }

    pub fn negated(self) -> Result<Self> {
        match (self.months.checked_neg(), self.days.checked_neg(), self.micros.checked_neg()) {
            (Some(months), Some(days), Some(micros)) => Ok(Self { months, days, micros }),
            _ => out_of_range(),
        }
    }

    pub fn justify_days(self) -> Result<Self> {
        let (mut months, mut days) = (i64::from(self.months), i64::from(self.days));
        months += days / 30;
        days %= 30;
        if months > 0 && days < 0 {
            (months, days) = (months - 1, days + 30);
        } else if months < 0 && days > 0 {
            (months, days) = (months + 1, days - 30);
        }
        Self::new(months, days, self.micros)
    }

    pub fn justify_hours(self) -> Result<Self> {
        let (mut days, mut micros) = (i64::from(self.days), self.micros);
        days += micros / DAY;
        micros %= DAY;
        if days > 0 && micros < 0 {
            (days, micros) = (days - 1, micros + DAY);
        } else if days < 0 && micros > 0 {
            (days, micros) = (days + 1, micros - DAY);
        }
        Self::new(self.months.into(), days, micros)
    }

    pub fn justify(self) -> Result<Self> {
        let mut micros = self.micros;
        let mut days = i64::from(self.days) + micros / DAY;
        micros %= DAY;
        let mut months = i64::from(self.months) + days / 30;
        days %= 30;
        if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
            (months, days) = (months - 1, days + 30);
        } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
            (months, days) = (months + 1, days - 30);
        }
        if days > 0 && micros < 0 {
            (days, micros) = (days - 1, micros + DAY);
        } else if days < 0 && micros > 0 {
            (days, micros) = (days + 1, micros - DAY);
        }
        Self::new(months, days, micros)
    }
}

fn integer(value: f64) -> Result<i32> {
    match value.is_finite() && value.abs() < 2_147_483_648.0 {
        true => Ok(value as i32),
        false => out_of_range(),
    }
}

/// What is summed up while an interval is read.
#[derive(Default)]
struct Sum {
    months: f64,
    days: f64,
    micros: f64,
}

impl Sum {
    /// A number of a unit; what is left of months becomes days, and of days time.
    fn add(&mut self, value: f64, unit: &str) -> Option<()> {
        match unit {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds"
            | "microsecon" => self.micros += value,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds"
            | "millisecon" => self.micros += value * 1e3,
            "s" | "sec" | "secs" | "second" | "seconds" => self.micros += value * 1e6,
            "m" | "min" | "mins" | "minute" | "minutes" => self.micros += value * 6e7,
            "h" | "hr" | "hrs" | "hour" | "hours" => self.micros += value * 3.6e9,
            "d" | "day" | "days" => self.days(value),
            "w" | "week" | "weeks" => self.days(value * 7.0),
            "mon" | "mons" | "month" | "months" => {
                self.months += value.trunc();
                self.days(value.fract() * 30.0);
            }
            "y" | "yr" | "yrs" | "year" | "years" => self.years(value),
            "dec" | "decs" | "decade" | "decades" => self.years(value * 10.0),
            "c" | "cent" | "century" | "centuries" => self.years(value * 100.0),
            "mil" | "mils" | "millennium" | "millennia" => self.years(value * 1000.0),
            _ => return None,
        }
        Some(())
    }

    fn years(&mut self, value: f64) {
        self.months += value.trunc() * 12.0 + (value.fract() * 12.0).round_ties_even();
    }

    fn days(&mut self, value: f64) {
        // A fraction of a decimal is not one of a binary number.
        let fraction = (value.fract() * DAY as f64).round_ties_even();
        self.days += value.trunc();
        self.micros += fraction;
    }

    fn finish(self, sign: f64) -> Option<Interval> {
        let small = |value: f64| (value.abs() < 2_147_483_648.0).then_some((value * sign) as i32);
        let micros = (self.micros * sign).round_ties_even();
        if micros.abs() >= 9.2e18 {
            return None;
        }
        Some(Interval {
            months: small(self.months)?,
            days: small(self.days)?,
            micros: micros as i64,
        })
    }
}

/// Reads an interval in the styles of PostgreSQL, of the SQL standard, or of ISO 8601.
pub fn read(text: &str) -> Result<Interval> {
    let trimmed = text.trim();
    let lower = trimmed.to_ascii_lowercase();
    let found = match lower.strip_prefix('p') {
        Some(iso) => read_iso(iso),
        None => read_words(&lower, None),
    };
    match found {
        Some(interval) => Ok(interval),
        None => exec_err!("invalid input syntax for type interval: \"{text}\""),
    }
}

/// Reads the text of `INTERVAL '1' DAY`: a bare number is of that unit.
pub fn read_with_unit(text: &str, unit: &str) -> Result<Interval> {
    match read_words(&text.trim().to_ascii_lowercase(), Some(unit)) {
        Some(interval) => Ok(interval),
        None => exec_err!("invalid input syntax for type interval: \"{text}\""),
    }
}

fn read_words(text: &str, unit: Option<&str>) -> Option<Interval> {
    let (text, sign) = match text.strip_suffix("ago") {
        Some(rest) if rest.ends_with(' ') => (rest, -1.0),
        _ => (text, 1.0),
    };
    let mut tokens = split(text.trim_start_matches('@')).into_iter().peekable();
    let mut sum = Sum::default();
    let mut is_empty = true;
    while let Some(token) = tokens.next() {
        is_empty = false;
        let digits = token.trim_start_matches(['+', '-']);
        let is_signed = token.len() - digits.len();
        if is_signed > 1 || !digits.starts_with(|it: char| it.is_ascii_digit() || it == '.') {
            return None;
        }
        let factor = if token.starts_with('-') { -1.0 } else { 1.0 };
        if digits.contains(':') {
            sum.micros += factor * clock(digits)?;
        } else if let Some((years, months)) = digits.split_once('-') {
            let (years, months) = (count(years)?, count(months)?);
            if months >= 12.0 {
                return None;
            }
            sum.months += factor * (years * 12.0 + months);
        } else {
            let value = factor * digits.parse::<f64>().ok()?;
            let named =
                tokens.next_if(|next| next.starts_with(|it: char| it.is_ascii_alphabetic()));
            match (named, unit) {
                (Some(named), _) => sum.add(value, &named)?,
                (None, Some(unit)) => sum.add(value, unit)?,
                // A day before a clock needs no name.
                (None, None) if tokens.peek().is_some_and(|next| next.contains(':')) => {
                    sum.days(value);
                }
                (None, None) if tokens.peek().is_none() => sum.add(value, "second")?,
                (None, None) => return None,
            }
        }
    }
    if is_empty { None } else { sum.finish(sign) }
}

/// Numbers and words, which may touch: `1h 30m`.
fn split(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut token = String::new();
        let mut was_letter = false;
        for character in word.chars() {
            let is_letter = character.is_ascii_alphabetic();
            if !token.is_empty() && is_letter != was_letter {
                tokens.push(std::mem::take(&mut token));
            }
            token.push(character);
            was_letter = is_letter;
        }
        tokens.push(token);
    }
    tokens
}

fn count(text: &str) -> Option<f64> {
    let is_plain = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

/// `hours:minutes[:seconds]`, or `minutes:seconds.fraction`.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    let below_60 = |text: &str| count(text).filter(|value| *value < 60.0);
    let seconds = |text: &str| {
        let whole = text.split('.').next()?;
        below_60(whole)?;
        text.parse::<f64>().ok()
    };
    match parts.as_slice() {
        [minutes, rest] if rest.contains('.') => Some(count(minutes)? * 6e7 + seconds(rest)? * 1e6),
        [hours, minutes] => Some(count(hours)? * 3.6e9 + below_60(minutes)? * 6e7),
        [hours, minutes, rest] => {
            Some(count(hours)? * 3.6e9 + below_60(minutes)? * 6e7 + seconds(rest)? * 1e6)
        }
        _ => None,
    }
}

fn read_iso(text: &str) -> Option<Interval> {
    let (date, time) = match text.split_once('t') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut sum = Sum::default();
    let units: [(&str, &[(char, &str)]); 2] = [
        (date, &[('y', "year"), ('m', "month"), ('w', "week"), ('d', "day")]),
        (time.unwrap_or(""), &[('h', "hour"), ('m', "minute"), ('s', "second")]),
    ];
    if date.is_empty() && time.is_none_or(str::is_empty) {
        return None;
    }
    for (text, units) in units {
        let mut number = String::new();
        for character in text.chars() {
            if character.is_ascii_digit() || matches!(character, '.' | '-' | '+') {
                number.push(character);
                continue;
            }
            let (_, unit) = units.iter().find(|(letter, _)| *letter == character)?;
            sum.add(number.parse().ok()?, unit)?;
            number.clear();
        }
        if !number.is_empty() {
            return None;
        }
    }
    sum.finish(1.0)
}

#[cfg(test)]
mod tests {
    use super::{Interval, read};

    /// A text, and its months, days and microseconds.
    type Case = (&'static str, Option<(i32, i32, i64)>);

    #[test]
    fn intervals_are_read_as_in_postgresql() {
        let cases: &[Case] = &[
            ("1 year 2 mons 3 days 04:05:06.789", Some((14, 3, 14_706_789_000))),
            ("1-2", Some((14, 0, 0))),
            ("1.5 months", Some((1, 15, 0))),
            ("1.5 days", Some((0, 1, 43_200_000_000))),
            ("1h 30m", Some((0, 0, 5_400_000_000))),
            ("1 day ago", Some((0, -1, 0))),
            ("-1 day +02:00", Some((0, -1, 7_200_000_000))),
            ("p1y2m3dt4h5m6s", Some((14, 3, 14_706_000_000))),
            ("P1W", Some((0, 7, 0))),
            ("@ 1 minute", Some((0, 0, 60_000_000))),
            ("90", Some((0, 0, 90_000_000))),
            ("1 2:03", Some((0, 1, 7_380_000_000))),
            ("", None),
            ("day", None),
            ("1 fortnight", None),
            ("1 2", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(months, days, micros)| Interval { months, days, micros });
            assert_eq!(read(text).ok(), expected, "{text}");
        }
    }
}
