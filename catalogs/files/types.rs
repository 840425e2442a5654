//! The type of a column whose files disagree: the narrowest that holds the values of all of them
//! unchanged, or none.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::scalar::ScalarValue;

use super::value::{parse_date, parse_integer};

/// A column of one file, or of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColumnType {
    pub data_type: DataType,
    /// All its integers lie within ±2^53, so that a double holds each.
    pub fits_double: bool,
}

impl ColumnType {
    pub(super) fn or(&self, other: &Self) -> Option<Self> {
        let fits_double = self.fits_double && other.fits_double;
        let data_type = match (self, other) {
            (a, b) if a.data_type == b.data_type => a.data_type.clone(),
            (a, b) if a.data_type == DataType::Null => b.data_type.clone(),
            (a, b) if b.data_type == DataType::Null => a.data_type.clone(),
            (a, b) if a.data_type.is_floating() || b.data_type.is_floating() => {
                let is_exact =
                    |side: &Self| side.data_type.is_floating() || (is_integer(side) && fits_double);
                (is_exact(a) && is_exact(b)).then_some(DataType::Float64)?
            }
            (a, b) if is_integer(a) && is_integer(b) => {
                // An unsigned integer of 64 bits has no signed type of its own.
                let wide = |side: &Self| side.data_type == DataType::UInt64;
                if wide(a) || wide(b) {
                    return None;
                }
                DataType::Int64
            }
            (a, b) => wider_decimal(&a.data_type, &b.data_type)?,
        };
        Some(Self { data_type, fits_double })
    }
}

fn is_integer(column: &ColumnType) -> bool {
    column.data_type.is_integer()
}

fn wider_decimal(a: &DataType, b: &DataType) -> Option<DataType> {
    let (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) = (a, b) else {
        return None;
    };
    let whole = (i16::from(*p1) - i16::from(*s1)).max(i16::from(*p2) - i16::from(*s2));
    let scale = *s1.max(s2);
    let precision = u8::try_from(whole + i16::from(scale)).ok()?;
    (precision <= DECIMAL128_MAX_PRECISION).then_some(DataType::Decimal128(precision, scale))
}

/// One spelling for types that differ only in how Arrow lays them out.
pub(super) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => plain(value),
        other => other.clone(),
    }
}

/// The values of a partition column, typed. `01` to `09` are how folders spell months and days, so
/// two digits are a number; more leading zeros, as in a post code, are text.
pub(super) fn partition_values(values: &[Option<&str>]) -> (DataType, Vec<ScalarValue>) {
    fn typed<T>(
        values: &[Option<&str>],
        parse: impl Fn(&str) -> Option<T>,
        scalar: impl Fn(Option<T>) -> ScalarValue,
    ) -> Option<Vec<ScalarValue>> {
        values
            .iter()
            .map(|value| match value {
                None => Some(scalar(None)),
                Some(text) => parse(text).map(|value| scalar(Some(value))),
            })
            .collect()
    }
    let integer = |text: &str| match text.as_bytes() {
        [b'0', digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
        _ => parse_integer(text),
    };
    if values.iter().any(Option::is_some) {
        if let Some(integers) = typed(values, integer, ScalarValue::Int64) {
            return (DataType::Int64, integers);
        }
        if let Some(dates) = typed(values, parse_date, ScalarValue::Date32) {
            return (DataType::Date32, dates);
        }
    }
    let text = values.iter().map(|value| ScalarValue::Utf8(value.map(str::to_owned))).collect();
    (DataType::Utf8, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn column(data_type: DataType, fits_double: bool) -> ColumnType {
        ColumnType { data_type, fits_double }
    }

    #[test]
    fn types_widen_only_without_loss() {
        use DataType::*;
        let cases = [
            (column(Int32, true), column(Int64, false), Some(Int64)),
            (column(UInt32, true), column(Int8, true), Some(Int64)),
            (column(UInt64, false), column(Int64, false), None),
            (column(Int32, true), column(Float64, true), Some(Float64)),
            (column(Int64, true), column(Float32, true), Some(Float64)),
            (column(Int64, false), column(Float64, true), None),
            (column(Null, true), column(Utf8, true), Some(Utf8)),
            (column(Utf8, true), column(Int64, true), None),
            (
                column(Decimal128(10, 2), true),
                column(Decimal128(12, 0), true),
                Some(Decimal128(14, 2)),
            ),
            (column(Decimal128(38, 0), true), column(Decimal128(10, 2), true), None),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.or(&b).map(|both| both.data_type), expected, "{a:?} {b:?}");
            assert_eq!(b.or(&a).map(|both| both.data_type), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn partition_values_are_typed_together() {
        let cases: &[(&[Option<&str>], DataType)] = &[
            (&[Some("2024"), Some("2025"), None], DataType::Int64),
            (&[Some("01"), Some("12")], DataType::Int64),
            (&[Some("00501"), Some("10001")], DataType::Utf8),
            (&[Some("2024-01-02"), None], DataType::Date32),
            (&[Some("2024-01-02"), Some("x")], DataType::Utf8),
            (&[None], DataType::Utf8),
        ];
        for (values, expected) in cases {
            assert_eq!(partition_values(values).0, *expected, "{values:?}");
        }
    }
}
