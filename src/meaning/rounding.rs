//! `round` of a decimal, whose type is that of its second argument's value in the engine: it changes
//! when an optimizer learns the value, after everything else was made to fit.

use datafusion::{
    arrow::datatypes::DataType,
    common::{Result, ScalarValue, not_impl_err, tree_node::Transformed},
    logical_expr::{Cast, Expr, expr::ScalarFunction},
};

/// Makes the number of digits known from the start.
pub(super) fn correct(function: ScalarFunction, operand: &DataType) -> Result<Transformed<Expr>> {
    let ScalarFunction { func, mut args } = function;
    let is_known = match args.get(1) {
        Some(digits) if operand.is_decimal() => match constant(digits) {
            Some(known) => {
                let is_known = matches!(digits, Expr::Literal(ScalarValue::Int32(_), _));
                args[1] = Expr::Literal(ScalarValue::Int32(known), None);
                is_known
            }
            None => {
                return not_impl_err!("{} to a number of digits that is no constant", func.name());
            }
        },
        Some(_) | None => true,
    };
    let call = Expr::ScalarFunction(ScalarFunction { func, args });
    Ok(Transformed::new_transformed(call, !is_known))
}

/// An integer constant, with its sign and its casts.
fn constant(digits: &Expr) -> Option<Option<i32>> {
    match digits {
        Expr::Literal(value, _) if value.data_type().is_integer() => {
            match value.cast_to(&DataType::Int32).ok()? {
                ScalarValue::Int32(known) => Some(known),
                _ => None,
            }
        }
        Expr::Negative(digits) => Some(match constant(digits)? {
            Some(known) => Some(known.checked_neg()?),
            None => None,
        }),
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => constant(expr),
        _ => None,
    }
}
