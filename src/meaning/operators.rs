//! Operators over types for which the engine has none, or another meaning; planned before the engine
//! looks for one.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, IntervalUnit, TimeUnit},
    common::{DFSchema, Result, ScalarValue, not_impl_err},
    logical_expr::{
        Expr, ExprSchemable, Operator, binary_expr, cast, lit,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};
use weir_udfs::row_function;

use super::patterns::{self, Purpose};

/// Plans expressions before the engine's own planners.
#[derive(Debug)]
pub struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        binary: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, mut left, mut right } = binary;
        let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema))
        else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        // A constant text is of the type of its neighbour.
        let left_type = match known(&left, &left_type, &right_type, &op) {
            Some(typed) => {
                left = typed;
                left.get_type(schema)?
            }
            None => left_type,
        };
        let right_type = match known(&right, &right_type, &left_type, &op) {
            Some(typed) => {
                right = typed;
                right.get_type(schema)?
            }
            None => right_type,
        };
        match planned(&op, &left, &left_type, &right, &right_type)? {
            Some(expression) => Ok(PlannerResult::Planned(expression)),
            None => Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        }
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(row_function("extract")?.call(args)))
    }

    /// `substring(x FROM 'pattern')`.
    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let [text, Expr::Literal(ScalarValue::Utf8(Some(pattern)), _)] = args.as_slice() else {
            return Ok(PlannerResult::Original(args));
        };
        let pattern = patterns::translate(pattern, Purpose::Find)?;
        let found =
            datafusion::functions::regex::regexp_match().call(vec![text.clone(), lit(pattern)]);
        let first = datafusion::functions_nested::expr_fn::array_element(found, lit(1i64));
        Ok(PlannerResult::Planned(first))
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

/// A constant text beside a value of another type, as a constant of that type.
fn known(
    expression: &Expr,
    data_type: &DataType,
    other: &DataType,
    op: &BinaryOperator,
) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expression else { return None };
    if !data_type.is_string() {
        return None;
    }
    let is_logical = matches!(op, BinaryOperator::And | BinaryOperator::Or);
    match other {
        DataType::Boolean if is_comparison(op) || is_logical => {
            Some(cast(expression.clone(), DataType::Boolean))
        }
        DataType::Interval(_) | DataType::Timestamp(TimeUnit::Microsecond, Some(_))
            if is_comparison(op) =>
        {
            Some(cast(expression.clone(), other.clone()))
        }
        DataType::Decimal128(..) if is_arithmetic(op) => decimal(text),
        other if other.is_numeric() && is_arithmetic(op) => {
            Some(cast(expression.clone(), other.clone()))
        }
        _ => None,
    }
}

/// A numeric with the digits that are written.
pub fn decimal(text: &str) -> Option<Expr> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let joined = format!("{whole}{fraction}");
    let is_plain = !joined.is_empty() && joined.bytes().all(|it| it.is_ascii_digit());
    if !is_plain || joined.len() > 38 {
        return None;
    }
    let value = joined.parse::<i128>().ok()? * sign;
    let scale = i8::try_from(fraction.len()).ok()?;
    let precision = u8::try_from(joined.len()).ok()?.max(1);
    Some(Expr::Literal(ScalarValue::Decimal128(Some(value), precision, scale), None))
}

const SPAN: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn call(name: &str, arguments: Vec<Expr>) -> Result<Option<Expr>> {
    Ok(Some(row_function(name)?.call(arguments)))
}

fn planned(
    op: &BinaryOperator,
    left: &Expr,
    left_type: &DataType,
    right: &Expr,
    right_type: &DataType,
) -> Result<Option<Expr>> {
    use BinaryOperator as Op;
    use DataType::{Date32, Time64, Timestamp};
    let (l, r) = (|| left.clone(), || right.clone());
    let negated =
        |span: Expr| -> Result<Expr> { Ok(row_function("weir_interval_negate")?.call(vec![span])) };
    let time_span =
        |time: Expr| -> Result<Expr> { Ok(row_function("weir_time_interval")?.call(vec![time])) };
    let is_instant = |data_type: &DataType| matches!(data_type, Timestamp(_, Some(_)));
    match (op, left_type, right_type) {
        (Op::StringConcat, DataType::List(_), DataType::Null) => Ok(Some(l())),
        (Op::StringConcat, DataType::Null, DataType::List(_)) => Ok(Some(r())),
        (Op::PGBitwiseShiftLeft, DataType::Int16, _) => {
            not_impl_err!("shifting a smallint to the left is not supported")
        }
        (op, &SPAN, &SPAN) if is_comparison(op) => {
            let order = |span: Expr| -> Result<Expr> {
                Ok(row_function("weir_interval_order")?.call(vec![span]))
            };
            let op = match op {
                Op::Eq => Operator::Eq,
                Op::NotEq => Operator::NotEq,
                Op::Lt => Operator::Lt,
                Op::LtEq => Operator::LtEq,
                Op::Gt => Operator::Gt,
                _ => Operator::GtEq,
            };
            Ok(Some(binary_expr(order(l())?, op, order(r())?)))
        }
        (Op::Multiply, &SPAN, other) if other.is_numeric() => {
            call("weir_interval_multiply", vec![l(), r()])
        }
        (Op::Multiply, other, &SPAN) if other.is_numeric() => {
            call("weir_interval_multiply", vec![r(), l()])
        }
        (Op::Divide, &SPAN, other) if other.is_numeric() => {
            call("weir_interval_divide", vec![l(), r()])
        }
        (Op::Plus, Time64(_), &SPAN) => call("weir_add_interval", vec![l(), r()]),
        (Op::Plus, &SPAN, Time64(_)) => call("weir_add_interval", vec![r(), l()]),
        (Op::Minus, Time64(_), &SPAN) => call("weir_add_interval", vec![l(), negated(r())?]),
        (Op::Minus, Time64(_), Time64(_)) => call("weir_subtract_moments", vec![l(), r()]),
        (Op::Plus, other, &SPAN) if is_instant(other) => call("weir_add_interval", vec![l(), r()]),
        (Op::Plus, &SPAN, other) if is_instant(other) => call("weir_add_interval", vec![r(), l()]),
        (Op::Minus, other, &SPAN) if is_instant(other) => {
            call("weir_add_interval", vec![l(), negated(r())?])
        }
        (Op::Plus, Date32, Time64(_)) => {
            call("weir_add_interval", vec![cast(l(), MOMENT), time_span(r())?])
        }
        (Op::Plus, Time64(_), Date32) => {
            call("weir_add_interval", vec![cast(r(), MOMENT), time_span(l())?])
        }
        (Op::Plus, Timestamp(..), Time64(_)) => {
            call("weir_add_interval", vec![l(), time_span(r())?])
        }
        (Op::Minus, Timestamp(..), Time64(_)) => {
            call("weir_add_interval", vec![l(), negated(time_span(r())?)?])
        }
        (Op::Minus, Timestamp(..), Timestamp(..) | Date32) | (Op::Minus, Date32, Timestamp(..)) => {
            call("weir_subtract_moments", vec![l(), r()])
        }
        // A day and an interval are a moment.
        (Op::Plus, Date32, &SPAN) => Ok(Some(binary_expr(cast(l(), MOMENT), Operator::Plus, r()))),
        (Op::Plus, &SPAN, Date32) => Ok(Some(binary_expr(l(), Operator::Plus, cast(r(), MOMENT)))),
        (Op::Minus, Date32, &SPAN) => {
            Ok(Some(binary_expr(cast(l(), MOMENT), Operator::Minus, r())))
        }
        (Op::Minus, Date32, Date32) => call("weir_subtract_days", vec![l(), r()]),
        (Op::Minus, &SPAN, &SPAN) => call("weir_interval_add", vec![l(), negated(r())?]),
        (Op::Plus, &SPAN, &SPAN) => call("weir_interval_add", vec![l(), r()]),
        _ => Ok(None),
    }
}

/// The planners of expressions, ours first.
pub fn expression_planners(engine: Vec<Arc<dyn ExprPlanner>>) -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Operators)];
    planners.extend(engine);
    planners
}
