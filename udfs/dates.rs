//! Functions of dates, times and intervals.

use datafusion::{
    arrow::datatypes::DataType,
    common::{exec_err, not_impl_err, plan_err},
    error::Result,
};

use crate::{
    calendar::{
        self, Clock, DAY, EPOCH_JULIAN, HOUR, MINUTE, SECOND, Zone, add_months, civil, shown_year,
    },
    interval::{self, Interval},
    patterns,
    rows::{Answer, Entry, Form, Kind, Returns, Row, Value, digits, entry, form, nullable, stable},
};

use Kind::{Bool, Date, Float8, Instant, Int4, Numeric, Text, Time, Timestamp};

const SPAN: Kind = Kind::Interval;

pub static ENTRIES: &[Entry] = &[
    stable(
        "extract",
        &[
            exact(&[Text, Instant]),
            exact(&[Text, Timestamp]),
            exact(&[Text, Date]),
            exact(&[Text, Time]),
            exact(&[Text, SPAN]),
        ],
    ),
    stable(
        "date_part",
        &[
            form(&[Text, Timestamp], Float8, date_part),
            form(&[Text, Instant], Float8, date_part),
            form(&[Text, Date], Float8, date_part),
            form(&[Text, Time], Float8, date_part),
            form(&[Text, SPAN], Float8, date_part),
        ],
    ),
    stable(
        "date_trunc",
        &[
            form(&[Text, Instant], Instant, truncate_instant),
            form(&[Text, Timestamp], Timestamp, truncate_timestamp),
            form(&[Text, SPAN], SPAN, truncate_interval),
            form(&[Text, Instant, Text], Instant, truncate_instant),
        ],
    ),
    entry(
        "date_bin",
        &[
            form(&[SPAN, Timestamp, Timestamp], Timestamp, bin),
            form(&[SPAN, Instant, Instant], Instant, bin),
        ],
    ),
    stable(
        "age",
        &[
            form(&[Timestamp, Timestamp], SPAN, age),
            form(&[Instant, Instant], SPAN, age),
            // From midnight of today, which is put before it.
            form(&[Timestamp], SPAN, age),
            form(&[Instant], SPAN, age),
        ],
    ),
    entry("make_date", &[form(&[Int4, Int4, Int4], Date, make_date)]),
    entry("make_time", &[form(&[Int4, Int4, Float8], Time, make_time)]),
    entry(
        "make_timestamp",
        &[form(&[Int4, Int4, Int4, Int4, Int4, Float8], Timestamp, make_timestamp)],
    ),
    stable(
        "make_timestamptz",
        &[
            form(&[Int4, Int4, Int4, Int4, Int4, Float8], Instant, make_instant),
            form(&[Int4, Int4, Int4, Int4, Int4, Float8, Text], Instant, make_instant),
        ],
    ),
    entry(
        "make_interval",
        &[form(&[Int4, Int4, Int4, Int4, Int4, Int4, Float8], SPAN, make_interval)],
    ),
    entry(
        "justify_days",
        &[form(&[SPAN], SPAN, |row| row.interval(0)?.justify_days().map(Answer::Interval))],
    ),
    entry(
        "justify_hours",
        &[form(&[SPAN], SPAN, |row| row.interval(0)?.justify_hours().map(Answer::Interval))],
    ),
    entry(
        "justify_interval",
        &[form(&[SPAN], SPAN, |row| row.interval(0)?.justify().map(Answer::Interval))],
    ),
    entry(
        "isfinite",
        &[
            form(&[Date], Bool, |_| Ok(Answer::Bool(true))),
            form(&[Timestamp], Bool, |_| Ok(Answer::Bool(true))),
            form(&[Instant], Bool, |_| Ok(Answer::Bool(true))),
            form(&[SPAN], Bool, |_| Ok(Answer::Bool(true))),
        ],
    ),
    entry(
        "timezone",
        &[
            form(&[Text, Instant], Timestamp, |row| {
                Zone::named(row.text(0)?)?.local(row.moment(1)?).map(Answer::Moment)
            }),
            form(&[Text, Timestamp], Instant, |row| {
                Zone::named(row.text(0)?)?.instant(row.moment(1)?).map(Answer::Moment)
            }),
        ],
    ),
    entry(
        "weir_interval_multiply",
        &[form(&[SPAN, Float8], SPAN, |row| {
            row.interval(0)?.times(row.float(1)?).map(Answer::Interval)
        })],
    ),
    entry(
        "weir_interval_divide",
        &[form(&[SPAN, Float8], SPAN, |row| {
            row.interval(0)?.over(row.float(1)?).map(Answer::Interval)
        })],
    ),
    entry(
        "weir_interval_add",
        &[form(&[SPAN, SPAN], SPAN, |row| {
            row.interval(0)?.plus(row.interval(1)?).map(Answer::Interval)
        })],
    ),
    entry(
        "weir_interval_negate",
        &[form(&[SPAN], SPAN, |row| row.interval(0)?.negated().map(Answer::Interval))],
    ),
    entry(
        "weir_interval_order",
        &[digits(&[SPAN], 38, 0, |row| Ok(Answer::Decimal(row.interval(0)?.order())))],
    ),
    entry(
        "weir_interval_from_text",
        &[form(&[Text], SPAN, |row| interval::read(row.text(0)?).map(Answer::Interval))],
    ),
    entry(
        "weir_subtract_moments",
        &[
            form(&[Timestamp, Timestamp], SPAN, subtract),
            form(&[Instant, Instant], SPAN, subtract),
            form(&[Time, Time], SPAN, |row| {
                let micros = row.moment(0)? - row.moment(1)?;
                Ok(Answer::Interval(Interval { micros, ..Interval::default() }))
            }),
        ],
    ),
    stable(
        "weir_add_interval",
        &[
            form(&[Timestamp, SPAN], Timestamp, add_to_timestamp),
            form(&[Instant, SPAN], Instant, add_to_instant),
            form(&[Time, SPAN], Time, |row| {
                let time = row.moment(0)? + row.interval(1)?.micros % DAY;
                Ok(Answer::Moment(time.rem_euclid(DAY)))
            }),
        ],
    ),
    entry(
        "weir_add_days",
        &[form(&[Date, Int4], Date, |row| Ok(Answer::Moment(row.moment(0)? + row.int(1)?)))],
    ),
    entry(
        "weir_subtract_days",
        &[form(&[Date, Date], Int4, |row| Ok(Answer::Int(row.moment(0)? - row.moment(1)?)))],
    ),
    entry(
        "weir_time_interval",
        &[form(&[Time], SPAN, |row| {
            Ok(Answer::Interval(Interval { micros: row.moment(0)?, ..Interval::default() }))
        })],
    ),
    nullable("overlaps", &[form(&[Timestamp, Timestamp, Timestamp, Timestamp], Bool, overlaps)]),
    stable(
        "to_char",
        &[
            form(&[Timestamp, Text], Text, patterns::write_timestamp),
            form(&[Instant, Text], Text, patterns::write_timestamp),
            form(&[SPAN, Text], Text, patterns::write_interval),
            form(&[Kind::Int4, Text], Text, crate::number_patterns::write_integer),
            form(&[Kind::Int8, Text], Text, crate::number_patterns::write_integer),
            form(&[Numeric, Text], Text, crate::number_patterns::write_numeric),
            form(&[Float8, Text], Text, crate::number_patterns::write_float),
        ],
    ),
    entry("to_date", &[form(&[Text, Text], Date, patterns::read_date)]),
    stable(
        "to_timestamp",
        &[
            form(&[Float8], Instant, |row| {
                let seconds = row.float(0)?;
                let micros = (seconds * 1e6).round_ties_even();
                if seconds.is_nan() || micros.abs() >= 9.2e18 {
                    return exec_err!("timestamp out of range: \"{seconds}\"");
                }
                Ok(Answer::Moment(micros as i64))
            }),
            form(&[Text, Text], Instant, patterns::read_timestamp),
        ],
    ),
];

const fn exact(takes: &'static [Kind]) -> Form {
    Form { takes, is_variadic: false, returns: Returns::Field(extracted), body: extract }
}

/// A unit of time, under each of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Zone,
    ZoneHour,
    ZoneMinute,
}

impl Unit {
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds"
            | "microsecon" => Self::Microsecond,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds"
            | "millisecon" => Self::Millisecond,
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "mon" | "mons" | "month" | "months" => Self::Month,
            "qtr" | "quarter" => Self::Quarter,
            "y" | "yr" | "yrs" | "year" | "years" => Self::Year,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "c" | "cent" | "century" | "centuries" => Self::Century,
            "mil" | "mils" | "millennium" | "millennia" => Self::Millennium,
            "dow" => Self::DayOfWeek,
            "isodow" => Self::IsoDayOfWeek,
            "doy" => Self::DayOfYear,
            "isoyear" => Self::IsoYear,
            "j" | "jd" | "julian" => Self::Julian,
            "epoch" => Self::Epoch,
            "timezone" => Self::Zone,
            "timezone_h" | "timezone_hour" => Self::ZoneHour,
            "timezone_m" | "timezone_minute" => Self::ZoneMinute,
            _ => return exec_err!("unit \"{name}\" not recognized"),
        })
    }
}

/// The type of a field of a value of a type.
fn extracted(field: &str, source: &DataType) -> Result<DataType> {
    let Ok(unit) = Unit::parse(field) else {
        return plan_err!("unit \"{field}\" not recognized for type {source}");
    };
    let is_date = matches!(source, DataType::Date32);
    Ok(match unit {
        Unit::Second => DataType::Decimal128(8, 6),
        Unit::Millisecond => DataType::Decimal128(8, 3),
        Unit::Epoch if !is_date => DataType::Decimal128(20, 6),
        Unit::Julian if !is_date => DataType::Decimal128(30, 20),
        _ => DataType::Decimal128(14, 0),
    })
}

/// A field as a number of millionths, exact; a Julian day with a fraction apart.
enum Field {
    Millionths(i128),
    Julian { day: i64, time: i64 },
}

fn whole(value: i64) -> Result<Field> {
    Ok(Field::Millionths(i128::from(value) * 1_000_000))
}

fn extract(row: &mut Row<'_>) -> Result<Answer> {
    let field = field(row, false)?;
    let scale = row.scale;
    Ok(Answer::Decimal(match field {
        Field::Julian { day, time } => {
            let unit = 10i128.pow(u32::from(scale.unsigned_abs()));
            let (time, length) = (i128::from(time) * unit, i128::from(DAY));
            i128::from(day) * unit + (2 * time + length) / (2 * length)
        }
        Field::Millionths(value) => match scale {
            6 => value,
            3 => value / 1000,
            _ => value / 1_000_000,
        },
    }))
}

fn date_part(row: &mut Row<'_>) -> Result<Answer> {
    Ok(Answer::Float(match field(row, true)? {
        Field::Julian { day, time } => day as f64 + time as f64 / DAY as f64,
        Field::Millionths(value) => value as f64 / 1e6,
    }))
}

fn unsupported<T>(field: &str, type_name: &str) -> Result<T> {
    not_impl_err!("unit \"{field}\" not supported for type {type_name}")
}

fn field(row: &Row<'_>, dates_have_clocks: bool) -> Result<Field> {
    let name = row.text(0)?;
    let unit = Unit::parse(name)?;
    match row.values.get(1) {
        Some(Value::Interval(value)) => of_interval(name, unit, *value),
        Some(Value::Time(time)) => of_time(name, unit, *time),
        Some(Value::Date(date)) if !dates_have_clocks => {
            use Unit::{
                Hour, Microsecond, Millisecond, Minute, Second, Zone, ZoneHour, ZoneMinute,
            };
            match unit {
                Microsecond | Millisecond | Second | Minute | Hour | Zone | ZoneHour
                | ZoneMinute => unsupported(name, "date"),
                Unit::Julian => whole(date + EPOCH_JULIAN),
                Unit::Epoch => whole(date * 86_400),
                _ => of_clock(name, unit, &Clock::at(date * DAY)),
            }
        }
        Some(Value::Date(date)) => of_clock(name, unit, &Clock::at(date * DAY)),
        Some(Value::Instant(instant)) => {
            let local = row.session.local(*instant)?;
            let offset = (local - instant) / SECOND;
            match unit {
                Unit::Epoch => Ok(Field::Millionths((*instant).into())),
                Unit::Zone => whole(offset),
                Unit::ZoneHour => whole(offset / 3600),
                Unit::ZoneMinute => whole(offset / 60 % 60),
                _ => of_clock(name, unit, &Clock::at(local)),
            }
        }
        _ => of_clock(name, unit, &Clock::at(row.moment(1)?)),
    }
}

fn of_clock(name: &str, unit: Unit, clock: &Clock) -> Result<Field> {
    let Clock { date, year, month, day, hour, minute, second, microsecond } = *clock;
    let micros = second * SECOND + microsecond;
    let time = hour * HOUR + minute * MINUTE + micros;
    match unit {
        Unit::Microsecond => whole(micros),
        Unit::Millisecond => Ok(Field::Millionths(i128::from(micros) * 1000)),
        Unit::Second => Ok(Field::Millionths(micros.into())),
        Unit::Minute => whole(minute),
        Unit::Hour => whole(hour),
        Unit::Day => whole(day),
        Unit::Week => whole(calendar::iso_week(date).1),
        Unit::Month => whole(month),
        Unit::Quarter => whole((month - 1) / 3 + 1),
        Unit::Year => whole(shown_year(year)),
        Unit::Decade if year >= 0 => whole(year / 10),
        Unit::Decade => whole(-((8 - (year - 1)) / 10)),
        Unit::Century if year > 0 => whole((year + 99) / 100),
        Unit::Century => whole(-((99 - (year - 1)) / 100)),
        Unit::Millennium if year > 0 => whole((year + 999) / 1000),
        Unit::Millennium => whole(-((999 - (year - 1)) / 1000)),
        Unit::DayOfWeek => whole(calendar::day_of_week(date)),
        Unit::IsoDayOfWeek => whole(calendar::iso_day_of_week(date)),
        Unit::DayOfYear => whole(calendar::day_of_year(date)),
        Unit::IsoYear => whole(shown_year(calendar::iso_week(date).0)),
        Unit::Julian => Ok(Field::Julian { day: date + EPOCH_JULIAN, time }),
        Unit::Epoch => Ok(Field::Millionths(i128::from(date) * i128::from(DAY) + i128::from(time))),
        Unit::Zone | Unit::ZoneHour | Unit::ZoneMinute => {
            unsupported(name, "timestamp without time zone")
        }
    }
}

fn of_time(name: &str, unit: Unit, time: i64) -> Result<Field> {
    let clock = Clock::time(time);
    match unit {
        Unit::Microsecond | Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour => {
            of_clock(name, unit, &clock)
        }
        Unit::Epoch => Ok(Field::Millionths(time.into())),
        _ => unsupported(name, "time without time zone"),
    }
}

fn of_interval(name: &str, unit: Unit, value: Interval) -> Result<Field> {
    let parts = value.parts();
    let micros = parts.second * SECOND + parts.microsecond;
    match unit {
        Unit::Microsecond => whole(micros),
        Unit::Millisecond => Ok(Field::Millionths(i128::from(micros) * 1000)),
        Unit::Second => Ok(Field::Millionths(micros.into())),
        Unit::Minute => whole(parts.minute),
        Unit::Hour => whole(parts.hour),
        Unit::Day => whole(parts.day),
        Unit::Month => whole(parts.month),
        Unit::Quarter => whole(parts.month / 3 + 1),
        Unit::Year => whole(parts.year),
        Unit::Decade => whole(parts.year / 10),
        Unit::Century => whole(parts.year / 100),
        Unit::Millennium => whole(parts.year / 1000),
        Unit::Epoch => {
            // A year has 365.25 days here.
            let seconds = i128::from(parts.year) * 31_557_600
                + i128::from(parts.month) * 2_592_000
                + i128::from(parts.day) * 86_400;
            Ok(Field::Millionths(seconds * 1_000_000 + i128::from(value.micros)))
        }
        _ => unsupported(name, "interval"),
    }
}

fn truncate_instant(row: &mut Row<'_>) -> Result<Answer> {
    let name = row.text(0)?;
    let unit = Unit::parse(name)?;
    let zone = match row.values.get(2) {
        Some(Value::Text(zone)) => Zone::named(zone)?,
        _ => row.session.clone(),
    };
    let instant = row.moment(1)?;
    let local = zone.local(instant)?;
    let cut = truncate(name, unit, local)?;
    use Unit::{Hour, Microsecond, Millisecond, Minute, Second};
    Ok(Answer::Moment(match unit {
        Microsecond | Millisecond | Second | Minute | Hour => cut - (local - instant),
        _ => zone.instant(cut)?,
    }))
}

fn truncate_timestamp(row: &mut Row<'_>) -> Result<Answer> {
    let name = row.text(0)?;
    truncate(name, Unit::parse(name)?, row.moment(1)?).map(Answer::Moment)
}

fn truncate(name: &str, unit: Unit, local: i64) -> Result<i64> {
    let date = local.div_euclid(DAY);
    let (year, month, _) = civil(date);
    let first_of = |year: i64| calendar::days(year, 1, 1) * DAY;
    let floor = |length: i64| local - local.rem_euclid(length);
    Ok(match unit {
        Unit::Microsecond => local,
        Unit::Millisecond => floor(1000),
        Unit::Second => floor(SECOND),
        Unit::Minute => floor(MINUTE),
        Unit::Hour => floor(HOUR),
        Unit::Day => date * DAY,
        Unit::Week => (date - calendar::iso_day_of_week(date) + 1) * DAY,
        Unit::Month => calendar::days(year, month, 1) * DAY,
        Unit::Quarter => calendar::days(year, (month - 1) / 3 * 3 + 1, 1) * DAY,
        Unit::Year => first_of(year),
        Unit::Decade if year > 0 => first_of(year / 10 * 10),
        Unit::Decade => first_of(-((8 - (year - 1)) / 10) * 10),
        Unit::Century if year > 0 => first_of((year + 99) / 100 * 100 - 99),
        Unit::Century => first_of(-((99 - (year - 1)) / 100) * 100 + 1),
        Unit::Millennium if year > 0 => first_of((year + 999) / 1000 * 1000 - 999),
        Unit::Millennium => first_of(-((999 - (year - 1)) / 1000) * 1000 + 1),
        _ => return unsupported(name, "timestamp"),
    })
}

fn truncate_interval(row: &mut Row<'_>) -> Result<Answer> {
    let name = row.text(0)?;
    let unit = Unit::parse(name)?;
    let value = row.interval(1)?;
    let (months, days, micros) = (value.months, value.days, value.micros);
    let year = months / 12;
    let floor = |length: i64| micros / length * length;
    let (months, days, micros) = match unit {
        Unit::Millennium => (year / 1000 * 12_000, 0, 0),
        Unit::Century => (year / 100 * 1200, 0, 0),
        Unit::Decade => (year / 10 * 120, 0, 0),
        Unit::Year => (year * 12, 0, 0),
        Unit::Quarter => (year * 12 + months % 12 / 3 * 3, 0, 0),
        Unit::Month => (months, 0, 0),
        Unit::Day => (months, days, 0),
        Unit::Hour => (months, days, floor(HOUR)),
        Unit::Minute => (months, days, floor(MINUTE)),
        Unit::Second => (months, days, floor(SECOND)),
        Unit::Millisecond => (months, days, floor(1000)),
        Unit::Microsecond => (months, days, micros),
        _ => return unsupported(name, "interval"),
    };
    Ok(Answer::Interval(Interval { months, days, micros }))
}

fn bin(row: &mut Row<'_>) -> Result<Answer> {
    let stride = row.interval(0)?;
    if stride.months != 0 {
        return not_impl_err!(
            "timestamps cannot be binned into intervals containing months or years"
        );
    }
    let stride = i64::from(stride.days) * DAY + stride.micros;
    if stride <= 0 {
        return exec_err!("stride must be greater than zero");
    }
    let (moment, origin) = (row.moment(1)?, row.moment(2)?);
    match moment.checked_sub(origin) {
        Some(distance) => Ok(Answer::Moment(moment - distance.rem_euclid(stride))),
        None => exec_err!("timestamp out of range"),
    }
}

/// The difference in years, months and days, as people count it.
fn age(row: &mut Row<'_>) -> Result<Answer> {
    let (left, right) = (row.local(0)?, row.local(1)?);
    let is_negative = left < right;
    let (a, b) = (Clock::at(left), Clock::at(right));
    let sign = if is_negative { -1 } else { 1 };
    let time = |clock: &Clock| {
        clock.hour * HOUR + clock.minute * MINUTE + clock.second * SECOND + clock.microsecond
    };
    let mut micros = sign * (time(&a) - time(&b));
    let mut days = sign * (a.day - b.day);
    let mut months = sign * ((a.year - b.year) * 12 + a.month - b.month);
    if micros < 0 {
        (micros, days) = (micros + DAY, days - 1);
    }
    let earlier = if is_negative { &a } else { &b };
    while days < 0 {
        days += calendar::month_length(earlier.year, earlier.month);
        months -= 1;
    }
    Interval::new(sign * months, sign * days, sign * micros).map(Answer::Interval)
}

fn subtract(row: &mut Row<'_>) -> Result<Answer> {
    match row.moment(0)?.checked_sub(row.moment(1)?) {
        // Whole days are told as such.
        Some(micros) => {
            Interval { months: 0, days: 0, micros }.justify_hours().map(Answer::Interval)
        }
        None => exec_err!("interval out of range"),
    }
}

fn later(local: i64, span: Interval) -> Result<i64> {
    let date = local.div_euclid(DAY);
    let moved = match span.months {
        0 => date,
        months => add_months(date, months.into()),
    };
    let moved = moved + i64::from(span.days);
    match moved.checked_mul(DAY).and_then(|it| it.checked_add(local.rem_euclid(DAY))) {
        Some(moved) => Ok(moved),
        None => exec_err!("timestamp out of range"),
    }
}

fn add_micros(moment: i64, span: Interval) -> Result<Answer> {
    match moment.checked_add(span.micros) {
        Some(moment) => Ok(Answer::Moment(moment)),
        None => exec_err!("timestamp out of range"),
    }
}

fn add_to_timestamp(row: &mut Row<'_>) -> Result<Answer> {
    let span = row.interval(1)?;
    add_micros(later(row.moment(0)?, span)?, span)
}

fn add_to_instant(row: &mut Row<'_>) -> Result<Answer> {
    let (instant, span) = (row.moment(0)?, row.interval(1)?);
    // Months and days are those of the session's clock, hours are not.
    let moved = match (span.months, span.days) {
        (0, 0) => instant,
        _ => row.session.instant(later(row.session.local(instant)?, span)?)?,
    };
    add_micros(moved, span)
}

fn check_date(year: i64, month: i64, day: i64) -> Result<i64> {
    if year == 0 || !(1..=12).contains(&month) {
        return exec_err!("date field value out of range: {year}-{month:02}-{day:02}");
    }
    // There is no year zero: 1 BC is written -1.
    let counted = if year < 0 { year + 1 } else { year };
    if !(-4712..=5_874_897).contains(&counted)
        || day < 1
        || day > calendar::month_length(counted, month)
    {
        return exec_err!("date field value out of range: {year}-{month:02}-{day:02}");
    }
    Ok(calendar::days(counted, month, day))
}

fn check_time(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let is_midnight = hour == 24 && minute == 0 && second == 0.0;
    let is_time =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    if !is_time && !is_midnight {
        return exec_err!("time field value out of range: {hour}:{minute:02}:{second:02}");
    }
    Ok(hour * HOUR + minute * MINUTE + (second * 1e6).round_ties_even() as i64)
}

fn make_date(row: &mut Row<'_>) -> Result<Answer> {
    check_date(row.int(0)?, row.int(1)?, row.int(2)?).map(Answer::Moment)
}

fn make_time(row: &mut Row<'_>) -> Result<Answer> {
    check_time(row.int(0)?, row.int(1)?, row.float(2)?).map(Answer::Moment)
}

fn local_of(row: &Row<'_>) -> Result<i64> {
    let date = check_date(row.int(0)?, row.int(1)?, row.int(2)?)?;
    let time = check_time(row.int(3)?, row.int(4)?, row.float(5)?)?;
    match date.checked_mul(DAY) {
        Some(midnight) => Ok(midnight + time),
        None => exec_err!("timestamp out of range"),
    }
}

fn make_timestamp(row: &mut Row<'_>) -> Result<Answer> {
    local_of(row).map(Answer::Moment)
}

fn make_instant(row: &mut Row<'_>) -> Result<Answer> {
    let local = local_of(row)?;
    let zone = match row.values.get(6) {
        Some(Value::Text(zone)) => Zone::named(zone)?,
        _ => row.session.clone(),
    };
    zone.instant(local).map(Answer::Moment)
}

fn make_interval(row: &mut Row<'_>) -> Result<Answer> {
    let seconds = row.float(6)?;
    let micros = (seconds * 1e6).round_ties_even();
    if !micros.is_finite() || micros.abs() >= 9e18 {
        return exec_err!("interval out of range");
    }
    let time = row.int(4)? * HOUR + row.int(5)? * MINUTE;
    let months = row.int(0)? * 12 + row.int(1)?;
    let days = row.int(2)? * 7 + row.int(3)?;
    match time.checked_add(micros as i64) {
        Some(micros) => Interval::new(months, days, micros).map(Answer::Interval),
        None => exec_err!("interval out of range"),
    }
}

/// `overlaps_timestamp`: the periods are half open, and a NULL end may not matter.
fn overlaps(row: &mut Row<'_>) -> Result<Answer> {
    let moment = |index: usize| match row.values.get(index) {
        Some(Value::Timestamp(value) | Value::Instant(value)) => Some(*value),
        _ => None,
    };
    // The start is there, and not after the end.
    let period = |start: Option<i64>, end: Option<i64>| match (start, end) {
        (None, None) => None,
        (Some(only), None) | (None, Some(only)) => Some((only, None)),
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
    };
    let (Some((start, end)), Some((other_start, other_end))) =
        (period(moment(0), moment(1)), period(moment(2), moment(3)))
    else {
        return Ok(Answer::Null);
    };
    let unsure = |is_known: bool| if is_known { Answer::Bool(true) } else { Answer::Null };
    Ok(match start.cmp(&other_start) {
        std::cmp::Ordering::Greater => match other_end {
            None => Answer::Null,
            Some(other_end) if start < other_end => Answer::Bool(true),
            Some(_) => match end {
                None => Answer::Null,
                Some(_) => Answer::Bool(false),
            },
        },
        std::cmp::Ordering::Less => match end {
            None => Answer::Null,
            Some(end) if other_start < end => Answer::Bool(true),
            Some(_) => match other_end {
                None => Answer::Null,
                Some(_) => Answer::Bool(false),
            },
        },
        std::cmp::Ordering::Equal => unsure(end.is_some() && other_end.is_some()),
    })
}
