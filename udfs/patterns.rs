//! The patterns of to_char, to_date and to_timestamp over moments, as `formatting.c` reads them.

use std::fmt::Write as _;

use datafusion::{
    common::{exec_err, not_impl_err},
    error::{DataFusionError, Result},
};

use crate::{
    calendar::{self, Clock, DAY, EPOCH_JULIAN, HOUR, MINUTE, SECOND},
    rows::{Answer, Row, Value},
};

/// What a pattern may name. A word is found before those that it begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Era { dots: bool, lower: bool },
    Half { dots: bool, lower: bool },
    Century,
    DayName(Case),
    DayAbbreviation(Case),
    DayOfYear,
    Day,
    DayOfWeek,
    Fraction(u32),
    Fixed,
    Hour24,
    Hour12,
    IsoDayOfYear,
    IsoDayOfWeek,
    IsoWeek,
    IsoYear(u32),
    Julian,
    Minute,
    MonthNumber,
    MonthName(Case),
    MonthAbbreviation(Case),
    Offset,
    Quarter,
    Roman { lower: bool },
    SecondsOfDay,
    Second,
    OffsetHours,
    OffsetMinutes,
    Zone { lower: bool },
    WeekOfYear,
    WeekOfMonth,
    YearWithComma,
    Year(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Title,
    Lower,
}

use Case::{Lower, Title, Upper};

#[rustfmt::skip]
const WORDS: &[(&str, Word)] = &[
    ("A.D.", Word::Era { dots: true, lower: false }), ("B.C.", Word::Era { dots: true, lower: false }),
    ("a.d.", Word::Era { dots: true, lower: true }), ("b.c.", Word::Era { dots: true, lower: true }),
    ("AD", Word::Era { dots: false, lower: false }), ("BC", Word::Era { dots: false, lower: false }),
    ("ad", Word::Era { dots: false, lower: true }), ("bc", Word::Era { dots: false, lower: true }),
    ("A.M.", Word::Half { dots: true, lower: false }), ("P.M.", Word::Half { dots: true, lower: false }),
    ("a.m.", Word::Half { dots: true, lower: true }), ("p.m.", Word::Half { dots: true, lower: true }),
    ("AM", Word::Half { dots: false, lower: false }), ("PM", Word::Half { dots: false, lower: false }),
    ("am", Word::Half { dots: false, lower: true }), ("pm", Word::Half { dots: false, lower: true }),
    ("CC", Word::Century), ("DAY", Word::DayName(Upper)), ("Day", Word::DayName(Title)), ("day", Word::DayName(Lower)),
    ("DDD", Word::DayOfYear), ("DD", Word::Day), ("DY", Word::DayAbbreviation(Upper)),
    ("Dy", Word::DayAbbreviation(Title)), ("dy", Word::DayAbbreviation(Lower)), ("D", Word::DayOfWeek),
    ("FF1", Word::Fraction(1)), ("FF2", Word::Fraction(2)), ("FF3", Word::Fraction(3)),
    ("FF4", Word::Fraction(4)), ("FF5", Word::Fraction(5)), ("FF6", Word::Fraction(6)), ("FX", Word::Fixed),
    ("HH24", Word::Hour24), ("HH12", Word::Hour12), ("HH", Word::Hour12),
    ("IDDD", Word::IsoDayOfYear), ("ID", Word::IsoDayOfWeek), ("IW", Word::IsoWeek),
    ("IYYY", Word::IsoYear(4)), ("IYY", Word::IsoYear(3)), ("IY", Word::IsoYear(2)), ("I", Word::IsoYear(1)),
    ("J", Word::Julian), ("MI", Word::Minute), ("MM", Word::MonthNumber),
    ("MONTH", Word::MonthName(Upper)), ("Month", Word::MonthName(Title)), ("month", Word::MonthName(Lower)),
    ("MON", Word::MonthAbbreviation(Upper)), ("Mon", Word::MonthAbbreviation(Title)), ("mon", Word::MonthAbbreviation(Lower)),
    ("MS", Word::Fraction(3)), ("OF", Word::Offset), ("Q", Word::Quarter),
    ("RM", Word::Roman { lower: false }), ("rm", Word::Roman { lower: true }),
    ("SSSSS", Word::SecondsOfDay), ("SSSS", Word::SecondsOfDay), ("SS", Word::Second),
    ("TZH", Word::OffsetHours), ("TZM", Word::OffsetMinutes),
    ("TZ", Word::Zone { lower: false }), ("tz", Word::Zone { lower: true }),
    ("US", Word::Fraction(6)), ("WW", Word::WeekOfYear), ("W", Word::WeekOfMonth),
    ("Y,YYY", Word::YearWithComma), ("YYYY", Word::Year(4)), ("YYY", Word::Year(3)), ("YY", Word::Year(2)), ("Y", Word::Year(1)),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A part of a pattern.
#[derive(Debug, Clone, Copy)]
enum Node {
    Word {
        word: Word,
        length: usize,
        /// FM: without padding.
        is_bare: bool,
        ordinal: Option<Case>,
    },
    Character(char),
    /// A blank or a sign, which input may have or not.
    Separator(char),
}

fn starting_word(text: &str) -> Option<(&'static str, Word)> {
    let exact = |wanted: &str| {
        WORDS
            .iter()
            .filter(|(word, _)| wanted.starts_with(word))
            .max_by_key(|(word, _)| word.len())
            .copied()
    };
    exact(text).or_else(|| {
        // Words that have no letter case of their own are written in small letters too.
        let head: String = text.chars().take(6).collect();
        let length = head.bytes().take_while(|it| !it.is_ascii_uppercase()).count();
        let head = head.get(..length)?.to_ascii_uppercase();
        exact(&head).filter(|(_, word)| {
            !matches!(
                word,
                Word::DayName(_)
                    | Word::DayAbbreviation(_)
                    | Word::MonthName(_)
                    | Word::MonthAbbreviation(_)
                    | Word::Era { .. }
                    | Word::Half { .. }
                    | Word::Roman { .. }
                    | Word::Zone { .. }
            )
        })
    })
}

fn parse(pattern: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let (mut at, mut is_bare) = (rest, false);
        while let Some(after) = ["FM", "fm", "TM", "tm"].iter().find_map(|it| at.strip_prefix(it)) {
            (at, is_bare) = (after, true);
        }
        if let Some((name, word)) = starting_word(at) {
            rest = at.get(name.len()..).unwrap_or_default();
            let mut ordinal = None;
            for (suffix, case) in [("TH", Some(Upper)), ("th", Some(Lower)), ("SP", None)] {
                if let Some(after) = rest.strip_prefix(suffix) {
                    (rest, ordinal) = (after, case);
                    break;
                }
            }
            nodes.push(Node::Word { word, length: name.len(), is_bare, ordinal });
            continue;
        }
        if is_bare && at.len() < rest.len() {
            // A prefix without a word means nothing.
            rest = at;
            continue;
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
        match first {
            '"' => {
                while let Some(character) = rest.chars().next() {
                    rest = rest.get(character.len_utf8()..).unwrap_or_default();
                    match (character, rest.chars().next()) {
                        ('"', _) => break,
                        ('\\', Some(next)) => {
                            rest = rest.get(next.len_utf8()..).unwrap_or_default();
                            nodes.push(Node::Character(next));
                        }
                        _ => nodes.push(Node::Character(character)),
                    }
                }
            }
            '\\' if rest.starts_with('"') => {
                rest = rest.get(1..).unwrap_or_default();
                nodes.push(Node::Character('"'));
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => {
                nodes.push(Node::Separator(other));
            }
            other => nodes.push(Node::Character(other)),
        }
    }
    nodes
}

/// What is written: a clock, or the parts of an interval.
struct Shown {
    clock: Clock,
    is_interval: bool,
    /// Seconds that the clock is ahead of UTC, and the zone's name.
    offset: i64,
    zone: Option<&'static str>,
}

pub fn write_timestamp(row: &mut Row<'_>) -> Result<Answer> {
    let (offset, zone) = match row.values.first() {
        Some(Value::Instant(instant)) => {
            let offset = (row.session.local(*instant)? - instant) / SECOND;
            (offset, if row.session.is_utc() { Some("UTC") } else { None })
        }
        _ => (0, Some("")),
    };
    let clock = Clock::at(row.local(0)?);
    write(row, &Shown { clock, is_interval: false, offset, zone })
}

pub fn write_interval(row: &mut Row<'_>) -> Result<Answer> {
    let parts = row.interval(0)?.parts();
    let clock = Clock {
        date: 0,
        year: parts.year,
        month: parts.month,
        day: parts.day,
        hour: parts.hour,
        minute: parts.minute,
        second: parts.second,
        microsecond: parts.microsecond,
    };
    write(row, &Shown { clock, is_interval: true, offset: 0, zone: Some("") })
}

fn write(row: &mut Row<'_>, shown: &Shown) -> Result<Answer> {
    let Some(Value::Text(pattern)) = row.values.get(1).copied() else { return Ok(Answer::Null) };
    if pattern.is_empty() {
        return Ok(Answer::Null);
    }
    for node in parse(pattern) {
        match node {
            Node::Character(character) | Node::Separator(character) => row.text.push(character),
            Node::Word { word, is_bare, ordinal, .. } => {
                let start = row.text.len();
                let written = write_word(row.text, word, is_bare, shown)?;
                if let (Some(case), Written::Number) = (ordinal, written) {
                    let digits = row.text.get(start..).unwrap_or_default();
                    let suffix = ordinal_suffix(digits);
                    match case {
                        Upper => row.text.push_str(&suffix.to_ascii_uppercase()),
                        Title | Lower => row.text.push_str(suffix),
                    }
                }
            }
        }
    }
    Ok(Answer::Written)
}

/// `st`, `nd`, `rd` or `th`.
pub fn ordinal_suffix(digits: &str) -> &'static str {
    let mut last = digits.bytes().rev();
    let (ones, tens) = (last.next(), last.next());
    match (tens, ones) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

enum Written {
    Number,
    Other,
}

fn name(text: &mut String, name: &str, case: Case, width: usize) {
    let name = match case {
        Upper => name.to_ascii_uppercase(),
        Title => name.to_owned(),
        Lower => name.to_ascii_lowercase(),
    };
    let _ = write!(text, "{name:<width$}");
}

/// Padded with zeros; a sign widens it.
fn number(text: &mut String, value: i64, width: usize, is_bare: bool) -> Written {
    let width = match (is_bare, value < 0) {
        (true, _) => 0,
        (false, true) => width + 1,
        (false, false) => width,
    };
    let _ = write!(text, "{value:0width$}");
    Written::Number
}

/// Padded with zeros; a sign takes the place of one.
fn flat(text: &mut String, value: i64, width: usize) -> Written {
    let _ = write!(text, "{value:0width$}");
    Written::Number
}

fn abbreviated(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

fn write_word(text: &mut String, word: Word, is_bare: bool, shown: &Shown) -> Result<Written> {
    let Shown { clock, is_interval, offset, zone } = shown;
    let Clock { date, year, month, day, hour, minute, second, microsecond } = *clock;
    let only_for_moments = || -> Result<()> {
        match is_interval {
            true => Err(DataFusionError::Execution(
                "invalid format specification for an interval value: invalid input syntax".into(),
            )),
            false => Ok(()),
        }
    };
    let years = |year: i64| {
        if *is_interval {
            year
        } else if year <= 0 {
            1 - year
        } else {
            year
        }
    };
    let day_of_year = || match is_interval {
        true => (year * 12 + month) * 30 + day,
        false => calendar::day_of_year(date),
    };
    let pad = |width: usize| if is_bare { 0 } else { width };
    let index = |value: i64| usize::try_from(value).unwrap_or(0);
    Ok(match word {
        Word::Fixed => Written::Other,
        Word::Half { dots, lower } => {
            let is_later = hour.rem_euclid(24) >= 12;
            text.push_str(match (dots, lower, is_later) {
                (true, false, true) => "P.M.",
                (true, false, false) => "A.M.",
                (true, true, true) => "p.m.",
                (true, true, false) => "a.m.",
                (false, false, true) => "PM",
                (false, false, false) => "AM",
                (false, true, true) => "pm",
                (false, true, false) => "am",
            });
            Written::Other
        }
        Word::Hour12 => {
            let shown = if hour % 12 == 0 { 12 } else { hour % 12 };
            number(text, shown, 2, is_bare)
        }
        Word::Hour24 => number(text, hour, 2, is_bare),
        Word::Minute => number(text, minute, 2, is_bare),
        Word::Second => number(text, second, 2, is_bare),
        Word::Fraction(count) => {
            let value = microsecond / 10i64.pow(6 - count);
            number(text, value, index(count.into()), false)
        }
        Word::SecondsOfDay => number(text, hour * 3600 + minute * 60 + second, 0, true),
        Word::Zone { lower } => {
            only_for_moments()?;
            let Some(zone) = zone else {
                return not_impl_err!("the pattern TZ is supported in UTC only");
            };
            match lower {
                true => text.push_str(&zone.to_ascii_lowercase()),
                false => text.push_str(zone),
            }
            Written::Other
        }
        Word::OffsetHours => {
            only_for_moments()?;
            let sign = if *offset < 0 { '-' } else { '+' };
            let _ = write!(text, "{sign}{:02}", offset.abs() / 3600);
            Written::Other
        }
        Word::OffsetMinutes => {
            only_for_moments()?;
            let _ = write!(text, "{:02}", offset.abs() / 60 % 60);
            Written::Other
        }
        Word::Offset => {
            only_for_moments()?;
            let sign = if *offset < 0 { '-' } else { '+' };
            let width = pad(2);
            let _ = write!(text, "{sign}{:0width$}", offset.abs() / 3600);
            if offset.abs() / 60 % 60 != 0 {
                let _ = write!(text, ":{:02}", offset.abs() / 60 % 60);
            }
            Written::Other
        }
        Word::Era { dots, lower } => {
            only_for_moments()?;
            text.push_str(match (dots, lower, year <= 0) {
                (true, false, true) => "B.C.",
                (true, false, false) => "A.D.",
                (true, true, true) => "b.c.",
                (true, true, false) => "a.d.",
                (false, false, true) => "BC",
                (false, false, false) => "AD",
                (false, true, true) => "bc",
                (false, true, false) => "ad",
            });
            Written::Other
        }
        Word::MonthName(case) => {
            only_for_moments()?;
            name(text, MONTHS[index(month - 1) % 12], case, pad(9));
            Written::Other
        }
        Word::MonthAbbreviation(case) => {
            only_for_moments()?;
            name(text, abbreviated(MONTHS[index(month - 1) % 12]), case, 0);
            Written::Other
        }
        Word::MonthNumber => number(text, month, 2, is_bare),
        Word::DayName(case) => {
            only_for_moments()?;
            name(text, WEEKDAYS[index(calendar::day_of_week(date)) % 7], case, pad(9));
            Written::Other
        }
        Word::DayAbbreviation(case) => {
            only_for_moments()?;
            name(text, abbreviated(WEEKDAYS[index(calendar::day_of_week(date)) % 7]), case, 0);
            Written::Other
        }
        Word::DayOfYear => flat(text, day_of_year(), pad(3)),
        Word::IsoDayOfYear => {
            only_for_moments()?;
            let first = calendar::iso_week_start(calendar::iso_week(date).0, 1);
            number(text, date - first + 1, 3, is_bare)
        }
        Word::Day => flat(text, day, pad(2)),
        Word::DayOfWeek => {
            only_for_moments()?;
            number(text, calendar::day_of_week(date) + 1, 0, true)
        }
        Word::IsoDayOfWeek => {
            only_for_moments()?;
            number(text, calendar::iso_day_of_week(date), 0, true)
        }
        Word::WeekOfYear => flat(text, (day_of_year() - 1) / 7 + 1, pad(2)),
        Word::IsoWeek => {
            only_for_moments()?;
            number(text, calendar::iso_week(date).1, 2, is_bare)
        }
        Word::Quarter => match (*is_interval, month) {
            (true, 0) => Written::Other,
            _ => number(text, (month - 1) / 3 + 1, 0, true),
        },
        Word::Century => {
            let century = match (*is_interval, year > 0) {
                (true, _) => year / 100,
                (false, true) => (year - 1) / 100 + 1,
                (false, false) => year / 100 - 1,
            };
            match (-99..=99).contains(&century) {
                true => number(text, century, 2, is_bare),
                false => number(text, century, 0, true),
            }
        }
        Word::YearWithComma => {
            let year = years(year);
            let _ = write!(text, "{},{:03}", year / 1000, year % 1000);
            Written::Number
        }
        Word::Year(width) => {
            number(text, years(year) % 10i64.pow(9.min(part(width))), index(width.into()), is_bare)
        }
        Word::IsoYear(width) => {
            let year = match is_interval {
                true => year,
                false => years(calendar::iso_week(date).0),
            };
            number(text, year % 10i64.pow(9.min(part(width))), index(width.into()), is_bare)
        }
        Word::Roman { lower } => {
            if *is_interval {
                return not_impl_err!("the pattern RM of an interval is not supported");
            }
            let roman = ROMAN[index(month - 1) % 12];
            let case = if lower { Lower } else { Upper };
            name(text, roman, case, pad(4));
            Written::Other
        }
        Word::WeekOfMonth => number(text, (day - 1) / 7 + 1, 0, true),
        Word::Julian => {
            let julian = match is_interval {
                true => julian(year, month, day),
                false => date + EPOCH_JULIAN,
            };
            number(text, julian, 0, true)
        }
    })
}

/// The digits of a year that are kept; four stand for all of them.
const fn part(width: u32) -> u32 {
    if width == 4 { 9 } else { width }
}

/// `date2j`, which takes any month.
fn julian(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) =
        if month > 2 { (year + 4800, month + 1) } else { (year + 4799, month + 13) };
    let century = year / 100;
    year * 365 - 32_167 + year / 4 - century + century / 4 + 7834 * month / 256 + day
}

/// What was read, each part under its name.
#[derive(Debug, Default)]
struct Read {
    year: Option<i64>,
    is_iso: bool,
    is_gregorian: bool,
    is_before_christ: bool,
    month: i64,
    day: i64,
    day_of_year: i64,
    iso_day_of_week: i64,
    week: i64,
    iso_week: i64,
    julian: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    seconds_of_day: i64,
    is_twelve_hours: bool,
    is_afternoon: bool,
    offset: Option<(i64, i64)>,
}

pub fn read_date(row: &mut Row<'_>) -> Result<Answer> {
    let read = scan(row.text(0)?, row.text(1)?)?;
    read.date().map(Answer::Moment)
}

pub fn read_timestamp(row: &mut Row<'_>) -> Result<Answer> {
    let read = scan(row.text(0)?, row.text(1)?)?;
    let local = read.date()? * DAY + read.time()?;
    Ok(Answer::Moment(match read.offset {
        Some((hours, minutes)) => local - hours * HOUR - minutes * MINUTE,
        None => row.session.instant(local)?,
    }))
}

fn invalid<T>(text: &str, what: &str) -> Result<T> {
    exec_err!("invalid value \"{text}\" for \"{what}\": parsing timestamp failed")
}

impl Read {
    fn date(&self) -> Result<i64> {
        let out_of_range =
            || exec_err!("date/time field value out of range: parsing timestamp failed");
        if self.is_iso && self.is_gregorian {
            return exec_err!("invalid combination of date conventions: parsing timestamp failed");
        }
        if self.julian != 0 {
            return Ok(self.julian - EPOCH_JULIAN);
        }
        let year = match (self.year, self.is_before_christ) {
            (None, _) => 0,
            (Some(year), true) if year > 0 => 1 - year,
            (Some(year), _) if year < 0 => year + 1,
            (Some(year), _) => year,
        };
        if self.is_iso {
            if self.iso_week > 53 || self.iso_day_of_week > 7 || self.day_of_year > 371 {
                return out_of_range();
            }
            let first = calendar::iso_week_start(year, 1);
            return Ok(match (self.iso_week, self.day_of_year) {
                (0, 0) => calendar::days(year, 1, 1),
                (0, day) => first + day - 1,
                (week, _) => first + (week - 1) * 7 + (self.iso_day_of_week - 1).max(0),
            });
        }
        let mut day_of_year = self.day_of_year;
        if self.week != 0 {
            day_of_year = (self.week - 1) * 7 + 1;
        }
        if day_of_year != 0 && self.month <= 1 && self.day <= 1 {
            if self.year.is_none() {
                return exec_err!(
                    "cannot calculate day of year without year information: parsing timestamp failed"
                );
            }
            let length = if calendar::is_leap(year) { 366 } else { 365 };
            if !(1..=length).contains(&day_of_year) {
                return out_of_range();
            }
            return Ok(calendar::days(year, 1, 1) + day_of_year - 1);
        }
        let month = if self.month == 0 { 1 } else { self.month };
        let day = if self.day == 0 { 1 } else { self.day };
        if !(1..=12).contains(&month)
            || !(1..=calendar::month_length(year, month)).contains(&day)
            || year > 294_276
        {
            return out_of_range();
        }
        Ok(calendar::days(year, month, day))
    }

    fn time(&self) -> Result<i64> {
        if self.seconds_of_day != 0 {
            return Ok(self.seconds_of_day * SECOND + self.micros);
        }
        let mut hour = self.hour;
        if self.is_twelve_hours {
            if !(1..=12).contains(&hour) {
                return exec_err!(
                    "hour \"{hour}\" is invalid for the 12-hour clock: parsing timestamp failed"
                );
            }
            hour = hour % 12 + if self.is_afternoon { 12 } else { 0 };
        }
        if !(0..24).contains(&hour)
            || !(0..60).contains(&self.minute)
            || !(0..60).contains(&self.second)
        {
            return exec_err!("date/time field value out of range: parsing timestamp failed");
        }
        Ok(hour * HOUR + self.minute * MINUTE + self.second * SECOND + self.micros)
    }
}

/// Reads a text along a pattern.
fn scan(text: &str, pattern: &str) -> Result<Read> {
    let nodes = parse(pattern);
    let mut read = Read::default();
    let mut rest = text;
    // Blanks of the text that the pattern does not have.
    let mut extra = 0usize;
    for (index, node) in nodes.iter().enumerate() {
        if rest.is_empty() {
            break;
        }
        if index == 0 || matches!(node, Node::Word { .. }) {
            let trimmed = rest.trim_start_matches(|it: char| it.is_ascii_whitespace());
            extra += rest.len() - trimmed.len();
            rest = trimmed;
        }
        match *node {
            Node::Separator(_) => {
                extra = extra.saturating_sub(1);
                let is_matched = rest.starts_with(|it: char| {
                    it.is_ascii_whitespace() || (it.is_ascii() && !it.is_ascii_alphanumeric())
                });
                if is_matched {
                    rest = rest.get(1..).unwrap_or_default();
                    extra += 1;
                }
            }
            Node::Character(_) => {
                if extra > 0 {
                    extra -= 1;
                } else if let Some(first) = rest.chars().next() {
                    rest = rest.get(first.len_utf8()..).unwrap_or_default();
                }
            }
            Node::Word { word, length, is_bare, ordinal } => {
                let is_open = is_bare || ordinal.is_some() || ends_a_number(nodes.get(index + 1));
                rest = read_word(&mut read, word, length, is_open, rest)?;
                if ordinal.is_some() {
                    rest = rest.get(2..).unwrap_or_default();
                }
                extra = 0;
            }
        }
    }
    Ok(read)
}

/// Whether what follows is no digit, so that a number may be of any length.
fn ends_a_number(next: Option<&Node>) -> bool {
    match next {
        None => true,
        Some(Node::Character(character) | Node::Separator(character)) => {
            !character.is_ascii_digit()
        }
        Some(Node::Word { word, .. }) => matches!(
            word,
            Word::Era { .. }
                | Word::Half { .. }
                | Word::DayName(_)
                | Word::DayAbbreviation(_)
                | Word::MonthName(_)
                | Word::MonthAbbreviation(_)
                | Word::Roman { .. }
                | Word::Offset
                | Word::OffsetHours
                | Word::Zone { .. }
                | Word::Fixed
        ),
    }
}

/// A number at the start of a text, how many characters it has, and what is behind it.
fn integer<'a>(
    text: &'a str,
    width: usize,
    is_open: bool,
    what: &str,
) -> Result<(i64, usize, &'a str)> {
    let signed = text.starts_with(['-', '+']);
    let digits = text.get(usize::from(signed)..).unwrap_or_default();
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let available = count + usize::from(signed);
    let taken = if is_open { available } else { available.min(width) };
    if count == 0 || taken == usize::from(signed) {
        return invalid(text, what);
    }
    if !is_open && text.len() < width {
        return exec_err!(
            "source string too short for \"{what}\" formatting field: parsing timestamp failed"
        );
    }
    let (number, rest) = text.split_at_checked(taken).unwrap_or((text, ""));
    match number.parse::<i64>() {
        Ok(value) if value.abs() <= i64::from(i32::MAX) => Ok((value, taken, rest)),
        _ => invalid(text, what),
    }
}

/// One of several names at the start of a text, and what is behind it.
fn one_of<'a>(text: &'a str, names: &[&str], what: &str) -> Result<(i64, &'a str)> {
    let found = names.iter().position(|name| {
        text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
    });
    match found {
        Some(index) => {
            let rest = text.get(names[index].len()..).unwrap_or_default();
            Ok((i64::try_from(index).unwrap_or(0), rest))
        }
        None => invalid(text, what),
    }
}

fn read_word<'a>(
    read: &mut Read,
    word: Word,
    width: usize,
    is_open: bool,
    text: &'a str,
) -> Result<&'a str> {
    let number = |what: &str| integer(text, width, is_open, what);
    let abbreviations: Vec<&str> = MONTHS.iter().map(|name| abbreviated(name)).collect();
    let gregorian = |read: &mut Read| read.is_gregorian = true;
    Ok(match word {
        Word::Fixed => return not_impl_err!("the pattern FX is not supported for reading"),
        Word::Half { dots, .. } => {
            let names: &[&str] = if dots { &["a.m.", "p.m."] } else { &["am", "pm"] };
            let (half, rest) = one_of(text, names, "AM")?;
            read.is_afternoon = half == 1;
            read.is_twelve_hours = true;
            rest
        }
        Word::Era { dots, .. } => {
            let names: &[&str] = if dots { &["b.c.", "a.d."] } else { &["bc", "ad"] };
            let (era, rest) = one_of(text, names, "BC")?;
            read.is_before_christ = era == 0;
            rest
        }
        Word::Hour12 => {
            let (value, _, rest) = number("HH")?;
            (read.hour, read.is_twelve_hours) = (value, true);
            rest
        }
        Word::Hour24 => {
            let (value, _, rest) = number("HH24")?;
            read.hour = value;
            rest
        }
        Word::Minute => {
            let (value, _, rest) = number("MI")?;
            read.minute = value;
            rest
        }
        Word::Second => {
            let (value, _, rest) = number("SS")?;
            read.second = value;
            rest
        }
        Word::Fraction(count) => {
            // `25` is a quarter of a second.
            let digits = usize::try_from(count).unwrap_or(6);
            let (value, taken, rest) = integer(text, digits, false, "MS").or_else(|error| {
                if text.len() < digits { integer(text, digits, true, "MS") } else { Err(error) }
            })?;
            let power = u32::try_from(6usize.saturating_sub(taken)).unwrap_or(0);
            read.micros = value * 10i64.pow(power);
            rest
        }
        Word::SecondsOfDay => {
            let (value, _, rest) = number("SSSS")?;
            read.seconds_of_day = value;
            rest
        }
        Word::MonthName(_) => {
            gregorian(read);
            let (month, rest) = one_of(text, &MONTHS, "Month")?;
            read.month = month + 1;
            rest
        }
        Word::MonthAbbreviation(_) => {
            gregorian(read);
            let (month, rest) = one_of(text, &abbreviations, "Mon")?;
            read.month = month + 1;
            rest
        }
        Word::MonthNumber => {
            gregorian(read);
            let (value, _, rest) = number("MM")?;
            if value < 1 {
                return exec_err!("date/time field value out of range: parsing timestamp failed");
            }
            read.month = value;
            rest
        }
        Word::DayName(_) => one_of(text, &WEEKDAYS, "Day")?.1,
        Word::DayAbbreviation(_) => {
            let names: Vec<&str> = WEEKDAYS.iter().map(|name| abbreviated(name)).collect();
            one_of(text, &names, "Dy")?.1
        }
        Word::DayOfYear => {
            gregorian(read);
            let (value, _, rest) = number("DDD")?;
            read.day_of_year = value;
            rest
        }
        Word::IsoDayOfYear => {
            read.is_iso = true;
            let (value, _, rest) = integer(text, 3, is_open, "IDDD")?;
            read.day_of_year = value;
            rest
        }
        Word::Day => {
            gregorian(read);
            let (value, _, rest) = number("DD")?;
            if value < 1 {
                return exec_err!("date/time field value out of range: parsing timestamp failed");
            }
            read.day = value;
            rest
        }
        Word::DayOfWeek => {
            gregorian(read);
            number("D")?.2
        }
        Word::IsoDayOfWeek => {
            read.is_iso = true;
            let (value, _, rest) = integer(text, 1, is_open, "ID")?;
            read.iso_day_of_week = value;
            rest
        }
        Word::WeekOfYear => {
            gregorian(read);
            let (value, _, rest) = number("WW")?;
            read.week = value;
            rest
        }
        Word::IsoWeek => {
            read.is_iso = true;
            let (value, _, rest) = number("IW")?;
            read.iso_week = value;
            rest
        }
        Word::Quarter => number("Q")?.2,
        Word::Year(digits) => {
            gregorian(read);
            let (value, taken, rest) = number("YYYY")?;
            read.year = Some(if digits < 4 && taken < 4 { near_2020(value) } else { value });
            rest
        }
        Word::IsoYear(digits) => {
            read.is_iso = true;
            let width = usize::try_from(digits).unwrap_or(4);
            let (value, taken, rest) = integer(text, width, is_open, "IYYY")?;
            read.year = Some(if digits < 4 && taken < 4 { near_2020(value) } else { value });
            rest
        }
        Word::Julian => {
            let (value, _, rest) = integer(text, 7, true, "J")?;
            read.julian = value;
            rest
        }
        Word::OffsetHours => {
            let (value, _, rest) = integer(text, 3, is_open, "TZH")?;
            read.offset = Some((value, 0));
            rest
        }
        Word::OffsetMinutes => {
            let (value, _, rest) = integer(text, 2, is_open, "TZM")?;
            let hours = read.offset.map_or(0, |(hours, _)| hours);
            read.offset = Some((hours, if hours < 0 { -value } else { value }));
            rest
        }
        Word::Century
        | Word::YearWithComma
        | Word::WeekOfMonth
        | Word::Roman { .. }
        | Word::Offset
        | Word::Zone { .. } => {
            return not_impl_err!("a part of this pattern is not supported for reading");
        }
    })
}

/// `adjust_partial_year_to_2020`.
const fn near_2020(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}
