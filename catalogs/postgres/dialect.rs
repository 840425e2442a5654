//! How PostgreSQL writes names and constants.
//!
//! Invariant: a constant reads the same whatever `standard_conforming_strings` says, and carries
//! its type, so that no operator is chosen by guessing.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDateTime};

use crate::sql::{
    Aggregate, Arithmetic, CastType, Dialect, DialectLimits, Literal, Pages, Pattern, sign,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Postgres;

/// The forms in which columns are read, apart from their own: words of [`Dialect::read_as`].
pub(super) mod form {
    /// By the cast to text.
    pub const TEXT: &str = "text";
    /// An array of words.
    pub const TEXT_ARRAY: &str = "text[]";
    /// As it is printed: the cast to text would add `/32`.
    pub const INET: &str = "inet";
}

/// PostgreSQL cuts longer names, and might then find another column.
const MAX_IDENTIFIER_BYTES: usize = 63;

impl Dialect for Postgres {
    fn limits(&self) -> DialectLimits {
        DialectLimits { in_list: 50_000, statement_bytes: 4 << 20 }
    }

    fn identifier(&self, out: &mut String, name: &str) -> Option<()> {
        if name.is_empty() || name.len() > MAX_IDENTIFIER_BYTES || name.contains('\0') {
            return None;
        }
        out.push('"');
        out.push_str(&name.replace('"', "\"\""));
        out.push('"');
        Some(())
    }

    fn literal(&self, out: &mut String, literal: &Literal) -> Option<()> {
        match literal {
            Literal::Boolean(value) => {
                out.push_str(if *value { "true" } else { "false" });
                Some(())
            }
            Literal::Integer { value, bits: 16, is_signed: true } => typed(out, value, "int2"),
            Literal::Integer { value, bits: 32, is_signed: true } => typed(out, value, "int4"),
            Literal::Integer { value, bits: 64, is_signed: true } => typed(out, value, "int8"),
            Literal::Integer { .. } => None,
            Literal::Float32(value) => {
                typed(out, float((*value).into(), || format!("{value:e}")), "float4")
            }
            Literal::Float64(value) => typed(out, float(*value, || format!("{value:e}")), "float8"),
            Literal::Decimal(digits) => {
                let is_decimal =
                    digits.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
                is_decimal.then_some(())?;
                typed(out, digits, "numeric")
            }
            Literal::Text(text) => quoted(out, text, "text"),
            Literal::PaddedText(text) => quoted(out, text, "bpchar"),
            Literal::Uuid(text) => quoted(out, text, "uuid"),
            Literal::Date(days) => {
                let micros = i64::from(*days).checked_mul(86_400_000_000)?;
                typed(out, clock(micros)?.format("%Y-%m-%d"), "date")
            }
            Literal::Time(micros) => {
                if !(0..86_400_000_000).contains(micros) {
                    return None;
                }
                typed(out, clock(*micros)?.format("%H:%M:%S%.6f"), "time")
            }
            Literal::Timestamp(micros) => {
                typed(out, clock(*micros)?.format("%Y-%m-%d %H:%M:%S%.6f"), "timestamp")
            }
            Literal::Instant(micros) => {
                typed(out, clock(*micros)?.format("%Y-%m-%d %H:%M:%S%.6f+00"), "timestamptz")
            }
        }
    }

    fn read_as(&self, out: &mut String, operand: &str, form: &str) -> Option<()> {
        match form {
            form::TEXT => write!(out, "({operand})::pg_catalog.text").ok(),
            form::TEXT_ARRAY => write!(out, "({operand})::pg_catalog.text[]").ok(),
            form::INET => write!(out, "pg_catalog.textin(pg_catalog.inet_out({operand}))").ok(),
            _ => None,
        }
    }

    fn bytewise(&self, out: &mut String, operand: &str) -> Option<()> {
        write!(out, "({operand}) COLLATE pg_catalog.\"C\"").ok()
    }

    fn like(&self, out: &mut String, operand: &str, pattern: &Pattern) -> Option<()> {
        // Without a backslash, the default escape has nothing to do.
        let pattern = pattern.as_str();
        if pattern.contains(['_', '\\']) {
            return None;
        }
        out.push_str(operand);
        out.push_str(" LIKE ");
        quoted(out, pattern, "text")
    }

    fn substring(&self, out: &mut String, operand: &str, start: u32, length: u32) -> Option<()> {
        write!(out, "pg_catalog.substr(({operand})::pg_catalog.text, {start}, {length})").ok()
    }

    fn pages(&self, out: &mut String, Pages { from, to }: Pages) -> Option<()> {
        // Offsets in a page begin with 1: (n,0) is before every row of page n.
        let bound = |page: u64| {
            let page = u32::try_from(page).ok()?;
            Some(format!("'({page},0)'::pg_catalog.tid"))
        };
        match (from, to) {
            (None, None) => out.push_str("true"),
            (Some(from), None) => write!(out, "ctid >= {}", bound(from)?).ok()?,
            (None, Some(to)) => write!(out, "ctid < {}", bound(to)?).ok()?,
            (Some(from), Some(to)) => {
                write!(out, "ctid >= {} AND ctid < {}", bound(from)?, bound(to)?).ok()?;
            }
        }
        Some(())
    }

    fn cast(&self, out: &mut String, operand: &str, to: CastType) -> Option<()> {
        let type_name = match to {
            CastType::Integer(16) => "int2",
            CastType::Integer(32) => "int4",
            CastType::Integer(64) => "int8",
            CastType::Integer(_) => return None,
            CastType::Decimal => "numeric",
        };
        write!(out, "({operand})::pg_catalog.{type_name}").ok()
    }

    fn truth_as_value(&self, out: &mut String, truth: &str) -> Option<()> {
        out.push_str(truth);
        Some(())
    }

    fn value_as_truth(&self, out: &mut String, value: &str) -> Option<()> {
        out.push_str(value);
        Some(())
    }

    fn arithmetic(
        &self,
        out: &mut String,
        operator: Arithmetic,
        left: &str,
        right: &str,
    ) -> Option<()> {
        write!(out, "({left} {} {right})", sign(operator)).ok()
    }

    fn aggregate(&self, out: &mut String, function: Aggregate, operand: &str) -> Option<()> {
        let name = match function {
            Aggregate::Count => "count",
            Aggregate::Sum => "sum",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
        };
        write!(out, "{name}({operand})").ok()
    }

    fn limits_parts_of_unions(&self) -> bool {
        true
    }

    fn no_columns(&self, _: &mut String) {}

    fn limit(
        &self,
        out: &mut String,
        limit: Option<u64>,
        offset: Option<u64>,
        _: bool,
    ) -> Option<()> {
        let fits = |count: &u64| i64::try_from(*count).is_ok();
        if let Some(limit) = limit.filter(fits) {
            write!(out, " LIMIT {limit}").ok()?;
        }
        if let Some(offset) = offset {
            write!(out, " OFFSET {}", i64::try_from(offset).ok()?).ok()?;
        }
        Some(())
    }
}

/// Text that can hold neither quotes nor backslashes.
fn typed(out: &mut String, plain: impl std::fmt::Display, type_name: &str) -> Option<()> {
    write!(out, "'{plain}'::pg_catalog.{type_name}").ok()
}

/// Any text. A backslash means itself or an escape by a setting of the session, unless `E` says
/// that it is an escape.
fn quoted(out: &mut String, text: &str, type_name: &str) -> Option<()> {
    if text.contains('\0') {
        return None;
    }
    if text.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    write!(out, "'::pg_catalog.{type_name}").ok()
}

fn float(value: f64, digits: impl Fn() -> String) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        digits()
    }
}

/// The years that have four digits and no era.
fn clock(micros: i64) -> Option<NaiveDateTime> {
    let clock = DateTime::from_timestamp_micros(micros)?.naive_utc();
    (1..=9999).contains(&clock.year()).then_some(clock)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn literal(literal: &Literal) -> Option<String> {
        let mut out = String::new();
        Postgres.literal(&mut out, literal).map(|()| out)
    }

    /// Every text of up to four characters of the alphabet that breaks out of careless quotes.
    pub fn short_texts() -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut start = 0;
        for _ in 0..4 {
            let end = texts.len();
            for index in start..end {
                for character in ['\'', '\\', '"', '[', ']', 'a'] {
                    texts.push(format!("{}{character}", texts[index]));
                }
            }
            start = end;
        }
        texts
    }

    /// Reads a quoted constant as PostgreSQL's lexer does, under both settings of
    /// `standard_conforming_strings`; answers what it means and what follows it.
    fn lex(sql: &str, conforming: bool) -> (String, &str) {
        let (escapes, body) = match sql.strip_prefix("E'") {
            Some(body) => (true, body),
            None => (!conforming, sql.strip_prefix('\'').unwrap()),
        };
        let mut meaning = String::new();
        let mut rest = body.char_indices();
        while let Some((index, character)) = rest.next() {
            match character {
                '\\' if escapes => meaning.push(rest.next().unwrap().1),
                '\'' if body[index + 1..].starts_with('\'') => {
                    rest.next();
                    meaning.push('\'');
                }
                '\'' => return (meaning, &body[index + 1..]),
                other => meaning.push(other),
            }
        }
        unreachable!("the constant does not end: {sql}")
    }

    #[test]
    fn a_constant_means_its_text_under_either_setting() {
        for text in short_texts() {
            let sql = literal(&Literal::Text(text.clone())).unwrap();
            for conforming in [true, false] {
                assert_eq!(lex(&sql, conforming), (text.clone(), "::pg_catalog.text"), "{sql}");
            }
        }
    }

    #[test]
    fn a_name_means_its_text() {
        for text in short_texts().iter().filter(|text| !text.is_empty()) {
            let mut out = String::new();
            Postgres.identifier(&mut out, text).unwrap();
            let inner = out.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
            assert!(!inner.replace("\"\"", "\u{1}").contains('"'), "{out}");
            assert_eq!(inner.replace("\"\"", "\""), *text);
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_said() {
        for refused in [
            Literal::Text("a\0b".to_owned()),
            Literal::Integer { value: 1, bits: 8, is_signed: true },
            Literal::Integer { value: 1, bits: 32, is_signed: false },
            Literal::Decimal("1'".to_owned()),
            Literal::Date(i32::MAX),
            Literal::Date(-800_000),
            Literal::Time(86_400_000_000),
            Literal::Timestamp(i64::MAX),
            Literal::Instant(i64::MIN),
        ] {
            assert_eq!(literal(&refused), None, "{refused:?}");
        }
        for name in ["", "a\0", &"x".repeat(64)] {
            assert_eq!(Postgres.identifier(&mut String::new(), name), None, "{name:?}");
        }
    }

    #[test]
    fn constants_carry_their_type() {
        let integer = |value, bits| Literal::Integer { value, bits, is_signed: true };
        for (constant, sql) in [
            (Literal::Boolean(true), "true"),
            (integer(-32768, 16), "'-32768'::pg_catalog.int2"),
            (integer(7, 64), "'7'::pg_catalog.int8"),
            (Literal::Float32(0.1), "'1e-1'::pg_catalog.float4"),
            (Literal::Float64(-1.5e300), "'-1.5e300'::pg_catalog.float8"),
            (Literal::Float64(f64::NAN), "'NaN'::pg_catalog.float8"),
            (Literal::Float32(f32::NEG_INFINITY), "'-Infinity'::pg_catalog.float4"),
            (Literal::Decimal("-0.10".into()), "'-0.10'::pg_catalog.numeric"),
            (Literal::Text(r"it's \".into()), r"E'it''s \\'::pg_catalog.text"),
            (Literal::PaddedText("a ".into()), "'a '::pg_catalog.bpchar"),
            (Literal::Date(-1), "'1969-12-31'::pg_catalog.date"),
            (Literal::Date(-719_162), "'0001-01-01'::pg_catalog.date"),
            (Literal::Time(1), "'00:00:00.000001'::pg_catalog.time"),
            (Literal::Timestamp(-1), "'1969-12-31 23:59:59.999999'::pg_catalog.timestamp"),
            (Literal::Instant(0), "'1970-01-01 00:00:00.000000+00'::pg_catalog.timestamptz"),
        ] {
            assert_eq!(literal(&constant).as_deref(), Some(sql));
        }
    }
}
