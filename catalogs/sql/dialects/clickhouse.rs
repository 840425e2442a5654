//! How ClickHouse writes SQL.
//!
//! Invariant: the session says `join_use_nulls = 1`, `aggregate_functions_null_for_empty = 1`,
//! `prefer_column_name_to_alias = 1` and `session_timezone = 'UTC'`; without them the same text
//! means something else.

use std::fmt::Write;

use super::{LABEL_BYTES, clock, digits, fits, is_uuid, midnight};
use crate::sql::{Aggregate, Arithmetic, CastType, Dialect, DialectLimits, Literal, Pattern};

/// A server of version 25 or later.
#[derive(Debug, Clone, Copy)]
pub struct ClickHouse;

/// Types clamp what is beyond their years without a word: these are in all that have days and
/// microseconds.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2261;

impl Dialect for ClickHouse {
    /// A list of constants counts four nodes for each against `max_ast_elements`, 50,000.
    fn limits(&self) -> DialectLimits {
        DialectLimits { in_list: 4_000, statement_bytes: (256 << 10) - LABEL_BYTES }
    }

    /// A point in a name could be read as a path.
    fn identifier(&self, out: &mut String, name: &str) -> Option<()> {
        if name.is_empty() || name.contains(['\0', '.']) {
            return None;
        }
        quoted(out, name, '"')
    }

    fn literal(&self, out: &mut String, literal: &Literal) -> Option<()> {
        match literal {
            Literal::Boolean(value) => {
                out.push_str(if *value { "true" } else { "false" });
                Some(())
            }
            Literal::Integer { value, bits, is_signed } => {
                fits(*value, *bits, *is_signed).then_some(())?;
                let sign = if *is_signed { "" } else { "U" };
                write!(out, "CAST('{value}', '{sign}Int{bits}')").ok()
            }
            // A NaN is neither equal nor greater there, so that `> 1.0` would lose rows.
            Literal::Float32(_) | Literal::Float64(_) => None,
            Literal::Decimal(text) => {
                let (precision, scale) = digits(text)?;
                let width = match precision {
                    0..=38 => 38,
                    39..=76 => 76,
                    _ => return None,
                };
                write!(out, "CAST('{text}', 'Decimal({width}, {scale})')").ok()
            }
            Literal::Text(text) => {
                (!text.contains('\0')).then_some(())?;
                quoted(out, text, '\'')
            }
            // FixedString is filled with NULs, which do count.
            Literal::PaddedText(_) | Literal::Time(_) => None,
            Literal::Uuid(text) => {
                is_uuid(text).then_some(())?;
                write!(out, "CAST('{text}', 'UUID')").ok()
            }
            Literal::Date(days) => {
                let date = clock(midnight(*days)?, YEARS)?;
                write!(out, "CAST('{}', 'Date32')", date.format("%Y-%m-%d")).ok()
            }
            Literal::Timestamp(micros) | Literal::Instant(micros) => {
                let clock = clock(*micros, YEARS)?.format("%Y-%m-%d %H:%M:%S%.6f");
                write!(out, "toDateTime64('{clock}', 6, 'UTC')").ok()
            }
        }
    }

    fn read_as(&self, out: &mut String, operand: &str, form: &str) -> Option<()> {
        match form {
            // Enumerations, addresses, UUIDs and wide integers come without their words otherwise.
            "text" => write!(out, "toString({operand})").ok(),
            // DateTime comes as a number otherwise.
            "datetime64" => write!(out, "toDateTime64({operand}, 0, 'UTC')").ok(),
            _ => None,
        }
    }

    /// It knows no other order.
    fn bytewise(&self, out: &mut String, operand: &str) -> Option<()> {
        out.push_str(operand);
        Some(())
    }

    fn like(&self, out: &mut String, operand: &str, pattern: &Pattern) -> Option<()> {
        let pattern = pattern.as_str();
        if pattern.contains(['_', '\\', '\0']) {
            return None;
        }
        write!(out, "{operand} LIKE ").ok()?;
        quoted(out, pattern, '\'')
    }

    /// A plain CAST wraps around, and this one takes no NULL unless its type has one.
    fn cast(&self, out: &mut String, operand: &str, to: CastType) -> Option<()> {
        match to {
            CastType::Integer(bits @ (8 | 16 | 32 | 64)) => {
                write!(out, "accurateCast({operand}, 'Nullable(Int{bits})')").ok()
            }
            CastType::Integer(_) | CastType::Decimal => None,
        }
    }

    fn truth_as_value(&self, out: &mut String, truth: &str) -> Option<()> {
        write!(out, "({truth})").ok()
    }

    fn value_as_truth(&self, out: &mut String, value: &str) -> Option<()> {
        out.push_str(value);
        Some(())
    }

    /// Decimals keep the width of the wider operand and fail beyond it.
    fn arithmetic(&self, _: &mut String, _: Arithmetic, _: &str, _: &str) -> Option<()> {
        None
    }

    fn aggregate(&self, out: &mut String, function: Aggregate, operand: &str) -> Option<()> {
        let name = match function {
            Aggregate::Count => "count",
            // Of integers it wraps around without a word.
            Aggregate::Sum => return None,
            Aggregate::Min => "min",
            Aggregate::Max => "max",
        };
        write!(out, "{name}({operand})").ok()
    }

    fn limits_parts_of_unions(&self) -> bool {
        true
    }

    /// Its other functions count bytes.
    fn substring(&self, out: &mut String, operand: &str, start: u32, length: u32) -> Option<()> {
        (start > 0).then_some(())?;
        write!(out, "substringUTF8({operand}, {start}, {length})").ok()
    }

    fn no_columns(&self, out: &mut String) {
        out.push_str(" 1");
    }

    fn limit(
        &self,
        out: &mut String,
        limit: Option<u64>,
        offset: Option<u64>,
        _: bool,
    ) -> Option<()> {
        if let Some(limit) = limit {
            write!(out, " LIMIT {}", i64::try_from(limit).ok()?).ok()?;
        }
        if let Some(offset) = offset {
            write!(out, " OFFSET {}", i64::try_from(offset).ok()?).ok()?;
        }
        Some(())
    }
}

/// Names and texts alike: a backslash escapes itself and the quote.
fn quoted(out: &mut String, text: &str, quote: char) -> Option<()> {
    out.push(quote);
    for character in text.chars() {
        if character == quote || character == '\\' {
            out.push('\\');
        }
        out.push(character);
    }
    out.push(quote);
    Some(())
}
