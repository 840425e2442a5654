//! Timestamps as text.

const SECOND: i64 = 1_000_000;

/// Reads `2024-02-29 12:34[:56[.789]][+05[:30]]`: microseconds since 1970 on the clock that is
/// written, and those that the clock is ahead of UTC, if that is written too.
pub fn read(text: &str) -> Option<(i64, Option<i64>)> {
    let text = text.trim_matches(|it: char| it.is_ascii_whitespace());
    let (date, rest) = match text.split_once([' ', 'T']) {
        Some((date, rest)) => (date, rest.trim_start()),
        None => (text, ""),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() < 4 {
        return None;
    }
    let days = days(number(year)?, number(month)?, number(day)?)?;
    let (clock, zone) = match rest.find(['+', '-', 'Z', 'z']) {
        Some(index) => rest.split_at_checked(index)?,
        None => (rest, ""),
    };
    let time = if clock.is_empty() { 0 } else { time(clock.trim_end())? };
    let local = days.checked_mul(86_400 * SECOND)?.checked_add(time)?;
    let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
    Some((local, offset))
}

fn number(text: &str) -> Option<i64> {
    let is_plain =
        !text.is_empty() && text.len() <= 6 && text.bytes().all(|it| it.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        1..=12 => 31,
        _ => return None,
    };
    if year < 1 || day < 1 || day > length {
        return None;
    }
    // Years begin in March here.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
            - 719_468,
    )
}

fn time(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let (second, fraction) = match parts.next() {
        None => (0, 0),
        Some(second) => match second.split_once('.') {
            None => (number(second)?, 0),
            Some((second, fraction)) => (number(second)?, microseconds(fraction)?),
        },
    };
    let is_midnight = hour == 24 && minute == 0 && second == 0 && fraction == 0;
    if parts.next().is_some() || (hour > 23 && !is_midnight) || minute > 59 || second > 59 {
        return None;
    }
    Some((hour * 3600 + minute * 60 + second) * SECOND + fraction)
}

/// Rounds what comes after the sixth digit.
fn microseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{fraction:0<7}");
    let (kept, rest) = padded.split_at_checked(6)?;
    Some(number(kept)? + i64::from(rest.as_bytes().first()? >= &b'5'))
}

fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let mut parts = digits.split(':');
    let hours = parts.next()?;
    if hours.len() > 2 {
        return None;
    }
    let minutes = parts.next().map_or(Some(0), number)?;
    let hours = number(hours)?;
    if parts.next().is_some() || hours > 15 || minutes > 59 {
        return None;
    }
    Some(sign * (hours * 3600 + minutes * 60) * SECOND)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn timestamps_are_read_as_in_postgresql() {
        const MINUTE: i64 = 60_000_000;
        #[allow(clippy::type_complexity, reason = "a table of cases")]
        let cases: &[(&str, Option<(i64, Option<i64>)>)] = &[
            ("1970-01-01", Some((0, None))),
            (" 1970-01-01T00:01 ", Some((MINUTE, None))),
            ("1970-01-01 00:00:00.1234567", Some((123_457, None))),
            ("1969-12-31 24:00:00", Some((0, None))),
            ("1970-01-01 00:01:00+05:30", Some((MINUTE, Some(330 * MINUTE)))),
            ("1970-01-01 00:01:00 -08", Some((MINUTE, Some(-480 * MINUTE)))),
            ("1970-01-01 00:00Z", Some((0, Some(0)))),
            ("9999-12-31 23:59:59.999999", Some((253_402_300_799_999_999, None))),
            ("0001-01-01", Some((-62_135_596_800_000_000, None))),
            ("2024-02-30", None),
            ("1970-01-01 25:00:00", None),
            ("1970-01-01 00:00:00 Europe/Berlin", None),
            ("yesterday", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), *expected, "{text}");
        }
    }
}
