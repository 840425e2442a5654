//! How SQL Server writes T-SQL.

use std::fmt::Write;

use super::{LABEL_BYTES, MICROS_PER_DAY, clock, digits, fits, is_uuid, midnight, whole};
use crate::sql::{Aggregate, Arithmetic, CastType, Dialect, DialectLimits, Literal, Pattern};

/// A server of version 2016 or later.
#[derive(Debug, Clone, Copy)]
pub struct SqlServer;

const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// Longer names are refused there.
const MAX_IDENTIFIER_UNITS: usize = 128;

/// A longer pattern is refused there.
const MAX_PATTERN_UNITS: usize = 4_000;

impl Dialect for SqlServer {
    fn limits(&self) -> DialectLimits {
        DialectLimits { in_list: 2_000, statement_bytes: (256 << 10) - LABEL_BYTES }
    }

    fn identifier(&self, out: &mut String, name: &str) -> Option<()> {
        let units = name.encode_utf16().count();
        if units == 0 || units > MAX_IDENTIFIER_UNITS || name.contains('\0') {
            return None;
        }
        out.push('[');
        out.push_str(&name.replace(']', "]]"));
        out.push(']');
        Some(())
    }

    fn literal(&self, out: &mut String, literal: &Literal) -> Option<()> {
        match literal {
            Literal::Boolean(value) => write!(out, "CAST({} AS bit)", u8::from(*value)).ok(),
            Literal::Integer { value, bits, is_signed } => {
                fits(*value, *bits, *is_signed).then_some(())?;
                let type_name = match (bits, is_signed) {
                    (8, false) => "tinyint",
                    (16, true) => "smallint",
                    (32, true) => "int",
                    (64, true) => "bigint",
                    _ => return None,
                };
                write!(out, "CAST({value} AS {type_name})").ok()
            }
            Literal::Float32(value) => {
                let value = whole((*value).into())?;
                write!(out, "CAST({value} AS real)").ok()
            }
            Literal::Float64(value) => write!(out, "CAST({} AS float(53))", whole(*value)?).ok(),
            Literal::Decimal(text) => {
                let (precision, scale) = digits(text)?;
                (precision <= 38).then_some(())?;
                write!(out, "CAST('{text}' AS decimal({precision}, {scale}))").ok()
            }
            Literal::Text(text) | Literal::PaddedText(text) => quoted(out, text),
            Literal::Uuid(text) => {
                is_uuid(text).then_some(())?;
                write!(out, "CAST('{text}' AS uniqueidentifier)").ok()
            }
            Literal::Date(days) => {
                let date = clock(midnight(*days)?, YEARS)?;
                write!(out, "CAST('{}' AS date)", date.format("%Y-%m-%d")).ok()
            }
            Literal::Time(micros) => {
                (0..MICROS_PER_DAY).contains(micros).then_some(())?;
                let time = clock(*micros, YEARS)?.format("%H:%M:%S%.6f");
                write!(out, "CAST('{time}' AS time(6))").ok()
            }
            Literal::Timestamp(micros) => {
                let clock = clock(*micros, YEARS)?.format("%Y-%m-%dT%H:%M:%S%.6f");
                write!(out, "CAST('{clock}' AS datetime2(6))").ok()
            }
            Literal::Instant(micros) => {
                let clock = clock(*micros, YEARS)?.format("%Y-%m-%dT%H:%M:%S%.6f");
                write!(out, "CAST('{clock}+00:00' AS datetimeoffset(6))").ok()
            }
        }
    }

    fn read_as(&self, out: &mut String, operand: &str, form: &str) -> Option<()> {
        match form {
            // Without its length the type cuts at 30 characters.
            "text" => write!(out, "CAST({operand} AS nvarchar(max))").ok(),
            // Its own letters are capitals.
            "uuid" => write!(out, "LOWER(CAST({operand} AS char(36)))").ok(),
            // Drivers make a float of it.
            "money" => write!(out, "CAST({operand} AS decimal(19, 4))").ok(),
            _ => None,
        }
    }

    /// No collation is: the binary ones order UTF-16 and ignore trailing blanks too.
    fn bytewise(&self, _: &mut String, _: &str) -> Option<()> {
        None
    }

    /// As nvarchar, whose trailing blanks count and whose conversion loses nothing; but for a
    /// pattern that ends otherwise than in `%` nobody has checked.
    fn like(&self, out: &mut String, operand: &str, pattern: &Pattern) -> Option<()> {
        let pattern = pattern.as_str();
        if pattern.contains(['_', '\\', '[', ']', '^'])
            || !pattern.ends_with('%')
            || pattern.encode_utf16().count() > MAX_PATTERN_UNITS
        {
            return None;
        }
        write!(out, "CAST({operand} AS nvarchar(max)) COLLATE Latin1_General_100_BIN2 LIKE ")
            .ok()?;
        quoted(out, pattern)
    }

    /// A decimal of any digits does not exist.
    fn cast(&self, out: &mut String, operand: &str, to: CastType) -> Option<()> {
        let type_name = match to {
            CastType::Integer(16) => "smallint",
            CastType::Integer(32) => "int",
            CastType::Integer(64) => "bigint",
            CastType::Integer(_) | CastType::Decimal => return None,
        };
        write!(out, "CAST({operand} AS {type_name})").ok()
    }

    fn truth_as_value(&self, out: &mut String, truth: &str) -> Option<()> {
        write!(out, "CAST(CASE WHEN {truth} THEN 1 WHEN NOT ({truth}) THEN 0 END AS bit)").ok()
    }

    fn value_as_truth(&self, out: &mut String, value: &str) -> Option<()> {
        write!(out, "{value} = 1").ok()
    }

    /// Decimals are rounded where their digits do not fit, without a word.
    fn arithmetic(&self, _: &mut String, _: Arithmetic, _: &str, _: &str) -> Option<()> {
        None
    }

    fn aggregate(&self, out: &mut String, function: Aggregate, operand: &str) -> Option<()> {
        let name = match function {
            Aggregate::Count => "COUNT_BIG",
            // Of integers it has their type, and fails beyond it.
            Aggregate::Sum => return None,
            Aggregate::Min => "MIN",
            Aggregate::Max => "MAX",
        };
        write!(out, "{name}({operand})").ok()
    }

    fn limits_parts_of_unions(&self) -> bool {
        false
    }

    /// Lengths count UTF-16 units there.
    fn substring(&self, _: &mut String, _: &str, _: u32, _: u32) -> Option<()> {
        None
    }

    /// The columns of a level need a name.
    fn no_columns(&self, out: &mut String) {
        out.push_str(" 1 AS [one]");
    }

    /// NULLs are lowest; elsewhere they are put by a key of their own.
    fn order_key(
        &self,
        out: &mut String,
        operand: &str,
        is_descending: bool,
        nulls_first: bool,
    ) -> Option<()> {
        if nulls_first == is_descending {
            let (null, value) = if nulls_first { (0, 1) } else { (1, 0) };
            write!(out, "CASE WHEN {operand} IS NULL THEN {null} ELSE {value} END, ").ok()?;
        }
        write!(out, "{operand} {}", if is_descending { "DESC" } else { "ASC" }).ok()
    }

    /// A part of ORDER BY. An order without it is refused in a level, and FETCH wants a row.
    fn limit(
        &self,
        out: &mut String,
        limit: Option<u64>,
        offset: Option<u64>,
        is_ordered: bool,
    ) -> Option<()> {
        if limit.is_none() && offset.is_none() && !is_ordered {
            return Some(());
        }
        if !is_ordered {
            out.push_str(" ORDER BY (SELECT NULL)");
        }
        write!(out, " OFFSET {} ROWS", i64::try_from(offset.unwrap_or(0)).ok()?).ok()?;
        match limit {
            None => Some(()),
            Some(0) => None,
            Some(limit) => write!(out, " FETCH NEXT {} ROWS ONLY", i64::try_from(limit).ok()?).ok(),
        }
    }
}

/// A backslash before the end of a line takes both away, even in a text.
fn quoted(out: &mut String, text: &str) -> Option<()> {
    if ["\0", "\\\n", "\\\r"].iter().any(|lost| text.contains(lost)) {
        return None;
    }
    write!(out, "N'{}'", text.replace('\'', "''")).ok()
}
