//! Dates, times and intervals in text: ISO 8601, what PostgreSQL prints, and what drivers send.
//!
//! Forms whose meaning hangs on DateStyle (`1/2/2024`) or on the clock (`now`) are refused.

use datafusion::{arrow::datatypes::IntervalMonthDayNano, common::ScalarValue};

use super::{Error, ErrorKind, Result, Zone, out_of_range, text::is_space};
use crate::protocol::pgwire::calendar::{
    Interval, MICROS_PER_DAY, MICROS_PER_SECOND, check_date, check_timestamp, days_from_civil,
    days_in_month,
};

const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;

pub fn date(text: &str) -> Result<i32> {
    let moment = moment(text, "date")?;
    i32::try_from(check_date(moment.days)?).map_err(|_| out_of_range("date"))
}

/// Also of a timestamp, whose date is ignored; a zone is ignored too.
pub fn time(text: &str) -> Result<i64> {
    let invalid = || invalid("time", text);
    let mut scanner = Scanner(text.trim_matches(is_space));
    let is_clock = scanner.0.starts_with(['T', 't'])
        || scanner.0.find([':', '-']).is_some_and(|at| scanner.0[at..].starts_with(':'))
        || matches!(scanner.0.len(), 4 | 6) && !scanner.0.contains('-');
    if !is_clock {
        return Ok(moment(text, "time")?.micros);
    }
    scanner.eat_any(['T', 't']);
    let clock = scanner.clock().ok_or_else(invalid)?;
    let suffix = scanner.suffix().ok_or_else(invalid)?;
    if suffix.before_christ {
        return Err(invalid());
    }
    clock.micros(suffix.half).ok_or_else(|| field_out_of_range(text))
}

/// A zone in the text is ignored, as PostgreSQL does.
pub fn timestamp(text: &str) -> Result<i64> {
    moment(text, "timestamp")?.local()
}

/// A text without a zone is in the session's.
pub fn timestamptz(text: &str, zone: &Zone) -> Result<i64> {
    let moment = moment(text, "timestamp with time zone")?;
    let local = moment.local()?;
    let zone = moment.zone.as_ref().unwrap_or(zone);
    let offset = zone.offset_at_local(local.div_euclid(MICROS_PER_SECOND));
    let instant = local.checked_sub(i64::from(offset) * MICROS_PER_SECOND);
    check_timestamp(instant.ok_or_else(|| out_of_range("timestamp"))?)
}

fn invalid(type_name: &str, text: &str) -> Error {
    Error::new(
        ErrorKind::InvalidDatetime,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

fn field_out_of_range(text: &str) -> Error {
    Error::new(
        ErrorKind::InvalidDatetime,
        format!("date/time field value out of range: \"{text}\""),
    )
}

/// A date with a time of day, and the zone if the text names one.
struct Moment {
    days: i64,
    micros: i64,
    zone: Option<Zone>,
}

impl Moment {
    fn local(&self) -> Result<i64> {
        let local = self.days.checked_mul(MICROS_PER_DAY);
        let local = local.and_then(|micros| micros.checked_add(self.micros));
        check_timestamp(local.ok_or_else(|| out_of_range("timestamp"))?)
    }
}

/// Reads `2024-02-29`, then perhaps a time, a zone and an era.
fn moment(text: &str, type_name: &str) -> Result<Moment> {
    let invalid = || invalid(type_name, text);
    let trimmed = text.trim_matches(is_space);
    match trimmed.to_ascii_lowercase().as_str() {
        "epoch" => return Ok(Moment { days: 0, micros: 0, zone: Some(Zone::Utc) }),
        // PostgreSQL's infinities have no Arrow value.
        "infinity" | "-infinity" => return Err(out_of_range(type_name)),
        _ => {}
    }
    let mut scanner = Scanner(trimmed);
    let (year, month, day) = scanner.date().ok_or_else(invalid)?;
    let is_marked = scanner.eat_any(['T', 't']);
    scanner.skip_spaces();
    let clock = match scanner.0.starts_with(|first: char| first.is_ascii_digit()) {
        true => scanner.clock().ok_or_else(invalid)?,
        false if is_marked => return Err(invalid()),
        false => Clock::default(),
    };
    let suffix = scanner.suffix().ok_or_else(invalid)?;

    if year == 0 || !(1..=12).contains(&month) {
        return Err(field_out_of_range(text));
    }
    let year = if suffix.before_christ { 1 - year } else { year };
    if day == 0 || day > days_in_month(year, month) {
        return Err(field_out_of_range(text));
    }
    Ok(Moment {
        days: days_from_civil(year, month, day),
        micros: clock.micros(suffix.half).ok_or_else(|| field_out_of_range(text))?,
        zone: suffix.zone,
    })
}

/// A time of day as it was written.
#[derive(Default)]
struct Clock {
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Clock {
    /// Microseconds since midnight. `24:00:00` and a leap second are times to PostgreSQL.
    fn micros(&self, half: Option<Half>) -> Option<i64> {
        let hours = match (half, self.hours) {
            (None, hours) => hours,
            (_, 13..) => return None,
            (Some(Half::Morning), 12) => 0,
            (Some(Half::Afternoon), hours @ ..=11) => hours + 12,
            (_, hours) => hours,
        };
        let rest =
            self.minutes * MICROS_PER_MINUTE + self.seconds * MICROS_PER_SECOND + self.micros;
        let is_valid = self.minutes < 60 && self.seconds <= 60 && (hours < 24 || rest == 0);
        (hours <= 24 && is_valid).then_some(hours * MICROS_PER_HOUR + rest)
    }
}

#[derive(Clone, Copy)]
enum Half {
    Morning,
    Afternoon,
}

/// What may follow a time, in any order.
#[derive(Default)]
struct Suffix {
    half: Option<Half>,
    zone: Option<Zone>,
    before_christ: bool,
}

/// Takes text apart from the front. `None` is text that does not belong there.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|letter| !accept(letter)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn digits(&mut self) -> &'a str {
        self.take_while(|letter| letter.is_ascii_digit())
    }

    /// A number of at most `width` digits.
    fn number(&mut self, width: usize) -> Option<i64> {
        let digits = self.digits();
        (digits.len() <= width).then(|| digits.parse().ok()).flatten()
    }

    fn eat(&mut self, letter: char) -> bool {
        self.eat_any([letter])
    }

    fn eat_any<const N: usize>(&mut self, letters: [char; N]) -> bool {
        match self.0.strip_prefix(letters) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn skip_spaces(&mut self) {
        self.take_while(is_space);
    }

    /// `2024-2-29` or `20240229`. A year has three digits at least: `12-02-03` depends on
    /// DateStyle.
    fn date(&mut self) -> Option<(i64, u32, u32)> {
        let year = self.digits();
        if !self.0.starts_with('-') {
            let (year, rest) = (year.len() == 8).then(|| year.split_at(4))?;
            let (month, day) = rest.split_at(2);
            return Some((year.parse().ok()?, month.parse().ok()?, day.parse().ok()?));
        }
        if !(3..=7).contains(&year.len()) {
            return None;
        }
        self.eat('-');
        let month = self.number(2)?;
        if !self.eat('-') {
            return None;
        }
        let day = self.number(2)?;
        Some((year.parse().ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?))
    }

    /// `10:11`, `10:11:12.5`, `101112`
    fn clock(&mut self) -> Option<Clock> {
        let first = self.digits();
        let mut clock = Clock::default();
        if !self.eat(':') {
            let number = |from: usize| first.get(from..from + 2)?.parse().ok();
            match first.len() {
                4 => (clock.hours, clock.minutes) = (number(0)?, number(2)?),
                6 => {
                    (clock.hours, clock.minutes) = (number(0)?, number(2)?);
                    clock.seconds = number(4)?;
                    clock.micros = self.fraction()?;
                }
                _ => return None,
            }
            return Some(clock);
        }
        clock.hours = (first.len() <= 2).then(|| first.parse().ok()).flatten()?;
        clock.minutes = self.number(2)?;
        if self.eat(':') {
            clock.seconds = self.number(2)?;
            clock.micros = self.fraction()?;
        }
        Some(clock)
    }

    /// The microseconds of `.789`, if there is one.
    fn fraction(&mut self) -> Option<i64> {
        if !self.eat('.') {
            return Some(0);
        }
        fraction_micros(self.digits())
    }

    fn suffix(&mut self) -> Option<Suffix> {
        let mut suffix = Suffix::default();
        loop {
            self.skip_spaces();
            if self.0.is_empty() {
                return Some(suffix);
            }
            if self.0.starts_with(['+', '-']) {
                let offset = self.offset()?;
                suffix.zone.replace(Zone::Fixed(offset)).is_none().then_some(())?;
                continue;
            }
            let word = self.take_while(|letter| {
                letter.is_ascii_alphanumeric() || matches!(letter, '/' | '_' | '-' | '+')
            });
            match word.to_ascii_lowercase().as_str() {
                "" => return None,
                "am" => suffix.half = Some(Half::Morning),
                "pm" => suffix.half = Some(Half::Afternoon),
                "ad" => suffix.before_christ = false,
                "bc" => suffix.before_christ = true,
                _ => suffix.zone = Some(Zone::parse(word).ok()?),
            }
        }
    }

    /// `+02`, `-0530`, `+05:30:15`: seconds east of Greenwich, less than 16 hours.
    fn offset(&mut self) -> Option<i32> {
        let is_west = self.0.starts_with('-');
        self.eat_any(['+', '-']);
        let digits = self.digits();
        let (hours, minutes) = match digits.len() {
            1 | 2 => (digits, ""),
            3 | 4 => digits.split_at(digits.len() - 2),
            _ => return None,
        };
        let hours: i32 = hours.parse().ok()?;
        let (mut minutes, mut seconds) = (minutes.parse().unwrap_or(0), 0);
        if digits.len() <= 2 && self.eat(':') {
            minutes = self.number(2)? as i32;
            if self.eat(':') {
                seconds = self.number(2)? as i32;
            }
        }
        let total = hours * 3_600 + minutes * 60 + seconds;
        let is_valid = hours < 16 && minutes < 60 && seconds < 60;
        is_valid.then_some(if is_west { -total } else { total })
    }
}

/// Decimal digits after the point of a second, rounded half to even.
fn fraction_micros(digits: &str) -> Option<i64> {
    let (kept, rest) = digits.split_at_checked(6).unwrap_or((digits, ""));
    let micros = format!("{kept:0<6}").parse::<i64>().ok()?;
    let half = rest.strip_prefix('5').map(|rest| rest.bytes().all(|digit| digit == b'0'));
    let is_up = match (half, rest.bytes().next()) {
        (Some(true), _) => micros % 2 != 0,
        (_, first) => first.is_some_and(|digit| digit >= b'5'),
    };
    Some(micros + i64::from(is_up))
}

/// An interval as the engine's, whose time is in nanoseconds and so within 292 years.
pub fn interval_scalar(value: Interval) -> Result<ScalarValue> {
    let nanos = value.micros.checked_mul(1_000).ok_or_else(|| out_of_range("interval"))?;
    let value = IntervalMonthDayNano::new(value.months, value.days, nanos);
    Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
}

/// `1 year 2 mons 3 days 04:05:06.789`, `1-2 3 4:05:06`, `P1Y2M3DT4H5M6S`, `@ 1 hour ago`
pub fn interval(text: &str) -> Result<Interval> {
    let trimmed = text.trim_matches(is_space);
    let sum = match trimmed.strip_prefix('P') {
        Some(iso) => iso_interval(iso),
        None => verbose_interval(trimmed),
    };
    let sum = sum.ok_or_else(|| invalid("interval", text))?;
    sum.total().ok_or_else(|| out_of_range("interval"))
}

/// The parts of an interval as they add up; `None` once something overflowed.
struct Sum(Option<(i64, i64, i64)>);

impl Sum {
    fn total(&self) -> Option<Interval> {
        let (months, days, micros) = self.0?;
        Some(Interval {
            months: i32::try_from(months).ok()?,
            days: i32::try_from(days).ok()?,
            micros,
        })
    }

    fn add(&mut self, months: Option<i64>, days: Option<i64>, micros: Option<i64>) {
        self.0 = self.0.and_then(|sum| {
            Some((
                sum.0.checked_add(months?)?,
                sum.1.checked_add(days?)?,
                sum.2.checked_add(micros?)?,
            ))
        });
    }

    /// A count of units. Fractions spill into the smaller fields as PostgreSQL's
    /// AdjustFract… functions do.
    fn add_units(&mut self, count: Count, unit: Unit) {
        let (whole, fraction) = (count.whole, count.fraction);
        match unit {
            Unit::Micros(scale) => {
                let fraction = fraction_of(fraction, scale);
                let whole = whole.checked_mul(scale);
                self.add(Some(0), Some(0), whole.and_then(|whole| whole.checked_add(fraction)));
            }
            Unit::Days(scale) => {
                let days = fraction * scale as f64;
                let micros = fraction_of(days.fract(), MICROS_PER_DAY);
                let whole = whole.checked_mul(scale);
                let days = whole.and_then(|whole| whole.checked_add(days.trunc() as i64));
                self.add(Some(0), days, Some(micros));
            }
            Unit::Months(1) => {
                let days = fraction * 30.0;
                let micros = fraction_of(days.fract(), MICROS_PER_DAY);
                self.add(Some(whole), Some(days.trunc() as i64), Some(micros));
            }
            Unit::Months(scale) => {
                let months = (fraction * scale as f64).round_ties_even() as i64;
                let whole = whole.checked_mul(scale);
                self.add(whole.and_then(|whole| whole.checked_add(months)), Some(0), Some(0));
            }
        }
    }

    fn negate(&mut self) {
        self.0 = self.0.and_then(|(months, days, micros)| {
            Some((months.checked_neg()?, days.checked_neg()?, micros.checked_neg()?))
        });
    }
}

/// AdjustFractMicroseconds: truncated, then rounded by what is left.
fn fraction_of(fraction: f64, scale: i64) -> i64 {
    let micros = fraction * scale as f64;
    let rest = micros.fract();
    micros.trunc() as i64 + i64::from(rest > 0.5) - i64::from(rest < -0.5)
}

#[derive(Clone, Copy)]
struct Count {
    whole: i64,
    fraction: f64,
}

#[derive(Clone, Copy)]
enum Unit {
    Months(i64),
    Days(i64),
    Micros(i64),
}

impl Unit {
    /// PostgreSQL's deltatktbl.
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "mil" | "mils" | "millennia" | "millennium" => Self::Months(12_000),
            "c" | "cent" | "century" | "centuries" => Self::Months(1_200),
            "dec" | "decs" | "decade" | "decades" => Self::Months(120),
            "y" | "yr" | "yrs" | "year" | "years" => Self::Months(12),
            "mon" | "mons" | "month" | "months" => Self::Months(1),
            "w" | "week" | "weeks" => Self::Days(7),
            "d" | "day" | "days" => Self::Days(1),
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Micros(MICROS_PER_HOUR),
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Micros(MICROS_PER_MINUTE),
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Micros(MICROS_PER_SECOND),
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" | "millisecond"
            | "milliseconds" => Self::Micros(1_000),
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" | "microsecond"
            | "microseconds" => Self::Micros(1),
            _ => return None,
        })
    }
}

impl Scanner<'_> {
    /// A sign, and whether it is negative.
    fn sign(&mut self) -> bool {
        let is_negative = self.0.starts_with('-');
        self.eat_any(['+', '-']);
        is_negative
    }

    /// Digits with perhaps a fraction, under a sign that was read before.
    fn count(&mut self, is_negative: bool) -> Option<Count> {
        let digits = self.digits();
        let fraction = if self.eat('.') { self.digits() } else { "" };
        if digits.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole = if digits.is_empty() { 0 } else { digits.parse::<i64>().ok()? };
        let fraction = format!("0.{fraction}0").parse::<f64>().ok()?;
        let sign = if is_negative { -1 } else { 1 };
        Some(Count { whole: whole * sign, fraction: fraction * sign as f64 })
    }
}

fn verbose_interval(text: &str) -> Option<Sum> {
    let mut sum = Sum(Some((0, 0, 0)));
    let mut scanner = Scanner(text);
    scanner.eat('@');
    let mut is_empty = true;
    loop {
        scanner.skip_spaces();
        if scanner.0.is_empty() {
            return (!is_empty).then_some(sum);
        }
        if scanner.0.eq_ignore_ascii_case("ago") && !is_empty {
            sum.negate();
            return Some(sum);
        }
        is_empty = false;
        let is_negative = scanner.sign();
        let sign = if is_negative { -1 } else { 1 };

        let token_end = scanner.0.find(is_space).unwrap_or(scanner.0.len());
        let token = &scanner.0[..token_end];
        if token.contains(':') {
            let micros = clock_interval(token)?;
            sum.add(Some(0), Some(0), micros.checked_mul(sign));
            scanner.0 = &scanner.0[token_end..];
            continue;
        }
        // Years and months: `1-2`.
        if let Some((years, months)) = token.split_once('-') {
            let number = |part: &str| {
                let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then(|| part.parse::<i64>().ok()).flatten()
            };
            let (years, months) = (number(years)?, number(months)?);
            if months >= 12 {
                return None;
            }
            let total = years.checked_mul(12).and_then(|years| years.checked_add(months));
            sum.add(total.and_then(|total| total.checked_mul(sign)), Some(0), Some(0));
            scanner.0 = &scanner.0[token_end..];
            continue;
        }
        let count = scanner.count(is_negative)?;
        scanner.skip_spaces();
        let word = scanner.take_while(|letter| letter.is_ascii_alphabetic());
        let unit = match word {
            // Days before a time, seconds at the end.
            "" if scanner.0.is_empty() => Unit::Micros(MICROS_PER_SECOND),
            "" if scanner.0.split(is_space).next().is_some_and(|next| next.contains(':')) => {
                Unit::Days(1)
            }
            word => Unit::parse(word)?,
        };
        sum.add_units(count, unit);
    }
}

/// `4:05`, `4:05:06.789`, and `05:06.789` as minutes and seconds.
fn clock_interval(token: &str) -> Option<i64> {
    let mut scanner = Scanner(token);
    let first = scanner.number(18)?;
    scanner.eat(':').then_some(())?;
    let second = scanner.number(2)?;
    let (hours, minutes, seconds) = if scanner.eat(':') {
        (first, second, scanner.number(2)?)
    } else if scanner.0.starts_with('.') {
        (0, first, second)
    } else {
        (first, second, 0)
    };
    let micros = scanner.fraction()?;
    if minutes >= 60 || seconds > 60 || !scanner.0.is_empty() {
        return None;
    }
    let rest = minutes * MICROS_PER_MINUTE + seconds * MICROS_PER_SECOND + micros;
    // Too many hours are as good as invalid.
    hours.checked_mul(MICROS_PER_HOUR)?.checked_add(rest)
}

/// ISO 8601 with designators; each number has its own sign.
fn iso_interval(text: &str) -> Option<Sum> {
    let mut sum = Sum(Some((0, 0, 0)));
    let mut scanner = Scanner(text);
    let mut in_time = false;
    if text.is_empty() || text.ends_with('T') {
        return None;
    }
    while !scanner.0.is_empty() {
        if scanner.eat('T') {
            if in_time {
                return None;
            }
            in_time = true;
            continue;
        }
        let is_negative = scanner.sign();
        let count = scanner.count(is_negative)?;
        let designator = scanner.0.chars().next()?;
        scanner.eat(designator);
        let unit = match (designator, in_time) {
            ('Y', false) => Unit::Months(12),
            ('M', false) => Unit::Months(1),
            ('W', false) => Unit::Days(7),
            ('D', false) => Unit::Days(1),
            ('H', true) => Unit::Micros(MICROS_PER_HOUR),
            ('M', true) => Unit::Micros(MICROS_PER_MINUTE),
            ('S', true) => Unit::Micros(MICROS_PER_SECOND),
            _ => return None,
        };
        sum.add_units(count, unit);
    }
    Some(sum)
}
