//! `round` of a decimal: in the engine its type hangs on the value of the second argument, and changes
//! when an optimizer learns that value, after everything else was made to fit.

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, Result, ScalarValue, tree_node::Transformed},
    logical_expr::{Cast, Expr, ExprSchemable, cast, expr::ScalarFunction},
};

/// Makes the number of digits known from the start, or else keeps the digits that are there.
pub(super) fn correct(
    mut function: ScalarFunction,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let is_decimal =
        |operand: &Expr| operand.get_type(schema).is_ok_and(|data_type| data_type.is_decimal());
    let is_other = !function.args.first().is_some_and(is_decimal);
    let [_, digits] = function.args.as_mut_slice() else {
        return Ok(Transformed::no(Expr::ScalarFunction(function)));
    };
    if is_other || matches!(digits, Expr::Literal(ScalarValue::Int32(_), _)) {
        return Ok(Transformed::no(Expr::ScalarFunction(function)));
    }
    if let Some(known) = constant(digits) {
        *digits = Expr::Literal(ScalarValue::Int32(known), None);
        return Ok(Transformed::yes(Expr::ScalarFunction(function)));
    }
    *digits = cast(std::mem::take(digits), DataType::Int32);
    let data_type = Expr::ScalarFunction(function.clone()).get_type(schema)?;
    Ok(Transformed::yes(weir_udfs::round_to(data_type).call(function.args)))
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
