//! PostgreSQL's types in Arrow. The table in README.md says the same in words.
//!
//! Invariant: a type either has one Arrow type that holds its values, or is read as the text that
//! PostgreSQL prints; no value changes on the way.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use tokio_postgres::types::Type;

use super::{dialect::form, options::NumericAs};
use crate::sql::{Collation, Compare};

/// Digits after the point of `numeric` columns that declare none: what PostgreSQL's own division
/// and averages give for ordinary values.
pub(super) const BARE_NUMERIC: DataType = DataType::Decimal256(76, 20);

/// A column's type as the catalog of PostgreSQL describes it, domains resolved.
#[derive(Debug, Clone)]
pub(super) struct RemoteType {
    pub oid: u32,
    pub modifier: i32,
    /// `pg_type.typtype`: base, composite, enum, pseudo, range, multirange.
    pub kind: char,
    /// The element of a true array.
    pub element: Option<(u32, char)>,
    /// `None`: the type has no collation, or its text is not kept as UTF-8.
    pub collation: Option<Collation>,
}

/// How a column is read and compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mapping {
    pub data_type: DataType,
    pub form: Option<&'static str>,
    pub compare: Compare,
    pub has_null_test: bool,
}

/// `None`: the type has no values that a table could hold.
pub(super) fn map(remote: &RemoteType, numeric: NumericAs) -> Option<Mapping> {
    if let Some((data_type, compare)) = scalar(remote, numeric) {
        return Some(Mapping { data_type, form: None, compare, has_null_test: true });
    }
    let text = |form, compare| Mapping {
        data_type: DataType::Utf8,
        form: Some(form),
        compare,
        has_null_test: true,
    };
    if let Some((element, kind)) = remote.element {
        let element = RemoteType { oid: element, kind, element: None, ..remote.clone() };
        return Some(match (scalar(&element, numeric), kind) {
            (Some((data_type, _)), _) => Mapping {
                data_type: list(data_type),
                form: None,
                compare: Compare::Never,
                has_null_test: true,
            },
            (None, 'e') => Mapping {
                data_type: list(DataType::Utf8),
                form: Some(form::TEXT_ARRAY),
                compare: Compare::Never,
                has_null_test: true,
            },
            // The cast of a whole array prints it as psql does.
            (None, _) => text(form::TEXT, Compare::Never),
        });
    }
    match remote.kind {
        'p' => None,
        'e' => Some(text(form::TEXT, Compare::Label)),
        // `row IS NULL` holds for a row of NULLs as well.
        'c' => Some(Mapping { has_null_test: false, ..text(form::TEXT, Compare::Never) }),
        _ if remote.oid == Type::INET.oid() => Some(text(form::INET, Compare::Never)),
        _ => Some(text(form::TEXT, Compare::Never)),
    }
}

/// The types that are read as they are.
fn scalar(remote: &RemoteType, numeric: NumericAs) -> Option<(DataType, Compare)> {
    let text = remote.collation.map_or(Compare::Never, Compare::Text);
    Some(match Type::from_oid(remote.oid)? {
        Type::BOOL => (DataType::Boolean, Compare::Native),
        Type::INT2 => (DataType::Int16, Compare::Native),
        Type::INT4 => (DataType::Int32, Compare::Native),
        Type::INT8 => (DataType::Int64, Compare::Native),
        Type::OID => (DataType::Int64, Compare::Never),
        Type::FLOAT4 => (DataType::Float32, Compare::Native),
        Type::FLOAT8 => (DataType::Float64, Compare::Native),
        Type::NUMERIC => (numeric_type(remote.modifier, numeric)?, Compare::Native),
        Type::TEXT | Type::VARCHAR | Type::NAME => (DataType::Utf8, text),
        Type::BPCHAR => match remote.collation {
            Some(collation) => (DataType::Utf8, Compare::PaddedText(collation)),
            None => (DataType::Utf8, Compare::Never),
        },
        Type::JSON | Type::JSONB => (DataType::Utf8, Compare::Never),
        Type::UUID => (DataType::Utf8, Compare::Uuid),
        Type::BYTEA => (DataType::Binary, Compare::Never),
        Type::DATE => (DataType::Date32, Compare::Native),
        // DataFusion's own times are nanoseconds, and compare with no other unit.
        Type::TIME => (DataType::Time64(TimeUnit::Nanosecond), Compare::Native),
        Type::TIMESTAMP => (DataType::Timestamp(TimeUnit::Microsecond, None), Compare::Native),
        Type::TIMESTAMPTZ => {
            let zone = Some(Arc::from("UTC"));
            (DataType::Timestamp(TimeUnit::Microsecond, zone), Compare::Native)
        }
        // A month is not a number of days: intervals compare differently here.
        Type::INTERVAL => (DataType::Interval(IntervalUnit::MonthDayNano), Compare::Never),
        _ => return None,
    })
}

pub(super) fn list(element: DataType) -> DataType {
    DataType::new_list(element, true)
}

/// `None`: read as text.
fn numeric_type(modifier: i32, numeric: NumericAs) -> Option<DataType> {
    let Some((precision, scale)) = precision_and_scale(modifier) else {
        return match numeric {
            NumericAs::Decimal => Some(BARE_NUMERIC),
            NumericAs::Text => None,
        };
    };
    // numeric(3, 5) holds 0.00123 and numeric(3, -2) holds 12300.
    let digits = precision.max(scale).max(precision - scale).min(76);
    let (digits, scale) = (u8::try_from(digits).ok()?, i8::try_from(scale.max(0)).ok()?);
    match (digits, scale) {
        (_, 77..) => None,
        (..=38, _) => Some(DataType::Decimal128(digits, scale)),
        _ => Some(DataType::Decimal256(digits, scale)),
    }
}

fn precision_and_scale(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    // Eleven bits, signed since PostgreSQL 15.
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    Some((packed >> 16, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn every_numeric_has_a_type_that_holds_it() {
        for (precision, scale, expected) in [
            (12, 2, Some(DataType::Decimal128(12, 2))),
            (38, 0, Some(DataType::Decimal128(38, 0))),
            (39, 0, Some(DataType::Decimal256(39, 0))),
            (76, 76, Some(DataType::Decimal256(76, 76))),
            (3, 5, Some(DataType::Decimal128(5, 5))),
            (3, -2, Some(DataType::Decimal128(5, 0))),
            (1000, 2, Some(DataType::Decimal256(76, 2))),
            (1000, 77, None),
            (5, -1000, Some(DataType::Decimal256(76, 0))),
        ] {
            let found = numeric_type(modifier(precision, scale), NumericAs::Decimal);
            assert_eq!(found, expected, "numeric({precision}, {scale})");
        }
        assert_eq!(numeric_type(-1, NumericAs::Decimal), Some(BARE_NUMERIC));
        assert_eq!(numeric_type(-1, NumericAs::Text), None);
    }
}
