//! How Oracle writes SQL.
//!
//! Invariant: the session says `NLS_COMP = BINARY` and `NLS_SORT = BINARY`; texts are written in ASCII
//! only, which every character set of a database holds.

use std::fmt::Write;

use super::{LABEL_BYTES, clock, digits, fits, midnight, whole};
use crate::sql::{Aggregate, Arithmetic, CastType, Dialect, DialectLimits, Literal, Pattern, sign};

/// A server of version 12.2 or later, which need not know booleans.
#[derive(Debug, Clone, Copy)]
pub struct Oracle;

/// Its calendar is the Julian one before October 1582.
const YEARS: std::ops::RangeInclusive<i32> = 1583..=9999;

const MAX_IDENTIFIER_BYTES: usize = 128;

/// A longer constant is refused there.
const MAX_TEXT_BYTES: usize = 4_000;

impl Dialect for Oracle {
    fn limits(&self) -> DialectLimits {
        DialectLimits { in_list: 1_000, statement_bytes: (256 << 10) - LABEL_BYTES }
    }

    /// No name can hold a quote.
    fn identifier(&self, out: &mut String, name: &str) -> Option<()> {
        if name.is_empty() || name.len() > MAX_IDENTIFIER_BYTES || name.contains(['\0', '"']) {
            return None;
        }
        write!(out, "\"{name}\"").ok()
    }

    fn literal(&self, out: &mut String, literal: &Literal) -> Option<()> {
        match literal {
            Literal::Boolean(_) | Literal::Uuid(_) | Literal::Time(_) => None,
            Literal::Integer { value, bits, is_signed } => {
                fits(*value, *bits, *is_signed).then_some(())?;
                write!(out, "CAST({value} AS NUMBER)").ok()
            }
            Literal::Float32(value) => float(out, (*value).into(), "FLOAT"),
            Literal::Float64(value) => float(out, *value, "DOUBLE"),
            Literal::Decimal(text) => {
                let (precision, _) = digits(text)?;
                (precision <= 38).then_some(())?;
                write!(out, "CAST({text} AS NUMBER)").ok()
            }
            Literal::Text(text) => {
                out.push_str("CAST(");
                quoted(out, text)?;
                write!(out, " AS VARCHAR2({} BYTE))", text.len()).ok()
            }
            // A bare constant is of type CHAR.
            Literal::PaddedText(text) => quoted(out, text),
            Literal::Date(days) => {
                let date = clock(midnight(*days)?, YEARS)?;
                write!(out, "DATE '{}'", date.format("%Y-%m-%d")).ok()
            }
            Literal::Timestamp(micros) => {
                let clock = clock(*micros, YEARS)?.format("%Y-%m-%d %H:%M:%S%.6f");
                write!(out, "TIMESTAMP '{clock}'").ok()
            }
            Literal::Instant(micros) => {
                let clock = clock(*micros, YEARS)?.format("%Y-%m-%d %H:%M:%S%.6f");
                write!(out, "TIMESTAMP '{clock} +00:00'").ok()
            }
        }
    }

    fn read_as(&self, out: &mut String, operand: &str, form: &str) -> Option<()> {
        match form {
            // A timestamp with a zone, as the wall clock of UTC.
            "utc" => write!(out, "SYS_EXTRACT_UTC({operand})").ok(),
            _ => None,
        }
    }

    /// `NLSSORT` makes RAW of one side, and the other is still a text.
    fn bytewise(&self, _: &mut String, _: &str) -> Option<()> {
        None
    }

    fn like(&self, out: &mut String, operand: &str, pattern: &Pattern) -> Option<()> {
        let pattern = pattern.as_str();
        if pattern.contains(['_', '\\']) {
            return None;
        }
        write!(out, "{operand} LIKE ").ok()?;
        quoted(out, pattern)?;
        out.push_str(" ESCAPE '\\'");
        Some(())
    }

    fn cast(&self, out: &mut String, operand: &str, to: CastType) -> Option<()> {
        let type_name = match to {
            CastType::Integer(16) => "NUMBER(5)",
            CastType::Integer(32) => "NUMBER(10)",
            CastType::Integer(64) => "NUMBER(19)",
            CastType::Integer(_) => return None,
            CastType::Decimal => "NUMBER",
        };
        write!(out, "CAST({operand} AS {type_name})").ok()
    }

    /// No type holds it.
    fn truth_as_value(&self, _: &mut String, _: &str) -> Option<()> {
        None
    }

    fn value_as_truth(&self, _: &mut String, _: &str) -> Option<()> {
        None
    }

    /// Of NUMBER, which holds every digit of the 38 that a decimal has here.
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
            Aggregate::Count => "COUNT",
            Aggregate::Sum => "SUM",
            Aggregate::Min => "MIN",
            Aggregate::Max => "MAX",
        };
        write!(out, "{name}({operand})").ok()
    }

    fn limits_parts_of_unions(&self) -> bool {
        false
    }

    /// A part beyond the end is NULL there, and empty here.
    fn substring(&self, _: &mut String, _: &str, _: u32, _: u32) -> Option<()> {
        None
    }

    fn no_columns(&self, out: &mut String) {
        out.push_str(" NULL");
    }

    fn limit(
        &self,
        out: &mut String,
        limit: Option<u64>,
        offset: Option<u64>,
        _: bool,
    ) -> Option<()> {
        if let Some(offset) = offset {
            write!(out, " OFFSET {} ROWS", i64::try_from(offset).ok()?).ok()?;
        }
        if let Some(limit) = limit {
            write!(out, " FETCH NEXT {} ROWS ONLY", i64::try_from(limit).ok()?).ok()?;
        }
        Some(())
    }
}

fn float(out: &mut String, value: f64, type_name: &str) -> Option<()> {
    if value.is_nan() {
        write!(out, "BINARY_{type_name}_NAN").ok()
    } else if value.is_infinite() {
        let sign = if value < 0.0 { "-" } else { "" };
        write!(out, "{sign}BINARY_{type_name}_INFINITY").ok()
    } else {
        write!(out, "CAST({} AS BINARY_{type_name})", whole(value)?).ok()
    }
}

/// An empty text is NULL there.
fn quoted(out: &mut String, text: &str) -> Option<()> {
    if text.is_empty() || text.len() > MAX_TEXT_BYTES || !text.is_ascii() || text.contains('\0') {
        return None;
    }
    write!(out, "'{}'", text.replace('\'', "''")).ok()
}
