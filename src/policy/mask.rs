use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::ScalarValue,
    error::{DataFusionError, Result},
    logical_expr::{Expr, ExprSchemable, cast, col, lit},
    prelude::{concat, left, repeat, right},
};

/// What a masked column shows in the place of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// NULL, for every type.
    Null,
    /// The same text for every row; text columns only, NULL elsewhere.
    Constant(Arc<str>),
    /// The first and last characters of text, stars between; NULL for other types.
    Partial { first: u8, last: u8 },
}

impl Mask {
    /// Reads `null`, `const(text)` or `partial(first, last)`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "null" {
            return Ok(Self::Null);
        }
        if let Some(value) = arguments(text, "const") {
            return Ok(Self::Constant(value.into()));
        }
        if let Some(numbers) = arguments(text, "partial") {
            let mut numbers = numbers.split(',').map(|number| number.trim().parse::<u8>());
            if let (Some(Ok(first)), Some(Ok(last)), None) =
                (numbers.next(), numbers.next(), numbers.next())
            {
                return Ok(Self::Partial { first, last });
            }
            return Err(format!("bad mask {text:?}, expected partial(first, last)"));
        }
        Err(format!("unknown mask {text:?}, expected null, const(text) or partial(first, last)"))
    }

    /// Of two masks that apply to one column, the one that shows less.
    pub fn stronger(self, other: Self) -> Self {
        match (&self, &other) {
            _ if self == other => self,
            (Self::Constant(_), Self::Partial { .. }) => self,
            (Self::Partial { .. }, Self::Constant(_)) => other,
            (
                Self::Partial { first, last },
                Self::Partial { first: other_first, last: other_last },
            ) => Self::Partial { first: *first.min(other_first), last: *last.min(other_last) },
            (Self::Null, _) | (_, Self::Null) | (Self::Constant(_), Self::Constant(_)) => {
                Self::Null
            }
        }
    }

    /// The expression that shows `column` masked, in the column's own type.
    pub fn expression(&self, column: &str, data_type: &DataType) -> Result<Expr> {
        let is_text =
            matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let raw = || col(datafusion::common::Column::from_name(column));
        let shown = match self {
            Self::Constant(text) if is_text => lit(text.as_ref()),
            Self::Partial { first, last } if is_text => partial(raw(), *first, *last),
            Self::Null | Self::Constant(_) | Self::Partial { .. } => {
                return Ok(lit(ScalarValue::try_from(data_type)?));
            }
        };
        Ok(cast(shown, data_type.clone()))
    }
}

/// Values too short to keep anything secret are stars alone; the number of stars is fixed, so that
/// the length of the value does not show.
fn partial(raw: Expr, first: u8, last: u8) -> Expr {
    let kept = i64::from(first) + i64::from(last);
    let length = datafusion::prelude::character_length(raw.clone());
    let shown = concat(vec![
        left(raw.clone(), lit(i64::from(first))),
        lit("***"),
        right(raw.clone(), lit(i64::from(last))),
    ]);
    let stars = repeat(lit("*"), lit(3_i64));
    Expr::Case(datafusion::logical_expr::expr::Case {
        expr: None,
        when_then_expr: vec![
            (Box::new(raw.clone().is_null()), Box::new(lit(ScalarValue::Utf8(None)))),
            (Box::new(cast(length, DataType::Int64).gt(lit(kept + 2))), Box::new(shown)),
        ],
        else_expr: Some(Box::new(stars)),
    })
}

fn arguments<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

/// The mask must not change the column's type: a client has seen it in Describe.
pub(super) fn check_type(
    expression: &Expr,
    expected: &DataType,
    schema: &datafusion::common::DFSchema,
) -> Result<()> {
    let found = expression.get_type(schema)?;
    if found == *expected {
        return Ok(());
    }
    Err(DataFusionError::Internal(format!("mask of type {found} on a column of type {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_masks_the_stronger_wins() {
        let parse = |text| Mask::parse(text).unwrap();
        for (a, b, expected) in [
            ("null", "partial(1, 4)", "null"),
            ("const(x)", "partial(1, 4)", "const(x)"),
            ("const(x)", "const(x)", "const(x)"),
            ("const(x)", "const(y)", "null"),
            ("partial(1, 4)", "partial(2, 0)", "partial(1, 0)"),
        ] {
            assert_eq!(parse(a).stronger(parse(b)), parse(expected), "{a} {b}");
            assert_eq!(parse(b).stronger(parse(a)), parse(expected), "{b} {a}");
        }
    }
}
