//! Values that the engine computes otherwise than PostgreSQL, once every type is known.

use std::sync::Arc;

use super::patterns::{self, Purpose};
use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{
        DFSchema, Result, ScalarValue,
        config::ConfigOptions,
        not_impl_err, plan_err,
        tree_node::{Transformed, TreeNode},
    },
    functions_nested,
    logical_expr::{
        BinaryExpr, Case, Cast, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder,
        Operator, ScalarUDF, Subquery, binary_expr, cast,
        expr::{InSubquery, ScalarFunction},
        expr_rewriter::NamePreserver,
        lit, when,
    },
    optimizer::{Analyzer, AnalyzerRule},
};
use weir_udfs::{Arithmetic, arithmetic, is_arithmetic, is_checked_type};

/// The engine's own rules (they settle the types), and ours after them.
pub fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.push(Arc::new(CheckValues));
    rules
}

#[derive(Debug)]
struct CheckValues;

impl AnalyzerRule for CheckValues {
    fn name(&self) -> &str {
        "weir_check_values"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(check_node)?.data)
    }
}

/// One month and 30 days are equal in PostgreSQL, and two values to the engine.
fn refuse_groups_of_intervals(node: &LogicalPlan) -> Result<()> {
    let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
    let is_found = match node {
        LogicalPlan::Aggregate(aggregate) => {
            let schema = aggregate.input.schema();
            let is_key = |key: &Expr| key.get_type(schema).is_ok_and(|it| is_interval(&it));
            aggregate.group_expr.iter().any(is_key)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            input.schema().fields().iter().any(|field| is_interval(field.data_type()))
        }
        _ => false,
    };
    if is_found { not_impl_err!("grouping by an interval is not supported") } else { Ok(()) }
}

fn check_node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    refuse_groups_of_intervals(&node)?;
    let schema = super::input_schema(&node);
    let names = NamePreserver::new(&node);
    let is_sort = matches!(node, LogicalPlan::Sort(_));
    node.map_expressions(|expression| {
        let name = names.save(&expression);
        let checked = expression.transform_up(|expression| check(expression, &schema))?;
        // The expressions of a Sort are its keys.
        let checked = match is_sort {
            true => checked.transform_data(|key| Ok(float_key(key, &schema)))?,
            false => checked,
        };
        Ok(checked.update_data(|expression| name.restore(expression)))
    })
}

fn check(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            check_operator(*left, op, *right, schema)
        }
        // A literal's sign was read with it, so that the smallest integer is one.
        Expr::Negative(operand) if is_checked(&operand, schema) => {
            Ok(Transformed::yes(arithmetic(Arithmetic::Negate).call(vec![*operand])))
        }
        Expr::Cast(Cast { expr, field }) => {
            let target = field.data_type().clone();
            let source = expr.get_type(schema)?;
            match converted(&expr, &source, &target)? {
                Some(converted) => Ok(Transformed::yes(converted)),
                None => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
            }
        }
        Expr::WindowFunction(mut window) => {
            if let ("nth_value", [_, index, ..]) =
                (window.fun.name(), window.params.args.as_slice())
                && !is_positive(index)
            {
                return plan_err!("argument of nth_value must be greater than zero");
            }
            let mut is_changed = false;
            let mut keyed = |key: &mut Expr| {
                let found = float_key(std::mem::take(key), schema);
                is_changed |= found.transformed;
                *key = found.data;
            };
            window.params.partition_by.iter_mut().for_each(&mut keyed);
            window.params.order_by.iter_mut().for_each(|sort| keyed(&mut sort.expr));
            Ok(Transformed::new_transformed(Expr::WindowFunction(window), is_changed))
        }
        Expr::AggregateFunction(aggregate)
            if matches!(aggregate.func.name(), "min" | "max")
                && aggregate
                    .params
                    .args
                    .iter()
                    .any(|it| matches!(it.get_type(schema), Ok(DataType::Interval(_)))) =>
        {
            not_impl_err!("{} of intervals is not supported", aggregate.func.name())
        }
        Expr::AggregateFunction(mut aggregate) => {
            let mut is_changed = false;
            for sort in &mut aggregate.params.order_by {
                let found = float_key(std::mem::take(&mut sort.expr), schema);
                is_changed |= found.transformed;
                sort.expr = found.data;
            }
            Ok(Transformed::new_transformed(Expr::AggregateFunction(aggregate), is_changed))
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated })
            if expr.get_type(schema)?.is_floating() =>
        {
            // The join that it becomes compares bits.
            let expr = float_key(*expr, schema).data;
            let member = subquery.subquery.schema().columns().into_iter().next();
            let Some(member) = member else {
                return plan_err!("subquery has no columns");
            };
            let name = member.name.clone();
            let member = weir_udfs::float_key().call(vec![Expr::Column(member)]).alias(name);
            let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
                .project(vec![member])?
                .build()?;
            let subquery = Subquery { subquery: Arc::new(plan), ..subquery };
            let expression = InSubquery::new(Box::new(expr), subquery, negated);
            Ok(Transformed::yes(Expr::InSubquery(expression)))
        }
        Expr::Case(Case { expr: Some(base), when_then_expr, else_expr })
            if base.get_type(schema)?.is_floating() =>
        {
            let when_then_expr = when_then_expr
                .into_iter()
                .map(|(when, then)| (Box::new(base.as_ref().clone().eq(*when)), then))
                .collect();
            Ok(Transformed::yes(Expr::Case(Case { expr: None, when_then_expr, else_expr })))
        }
        Expr::ScalarFunction(function) => check_function(function, schema),
        other => Ok(Transformed::no(other)),
    }
}

fn check_operator(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    if is_match(op) {
        let right = pattern(right, Purpose::Test)?;
        return Ok(right.update_data(|right| binary_expr(left, op, right)));
    }
    match checked_operator(op) {
        Some(operator) if is_checked(&left, schema) && is_checked(&right, schema) => {
            Ok(Transformed::yes(arithmetic(operator).call(vec![left, right])))
        }
        _ => Ok(Transformed::no(binary_expr(left, op, right))),
    }
}

const fn is_match(op: Operator) -> bool {
    matches!(
        op,
        Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch
    )
}

/// A constant pattern in the engine's words.
fn pattern(expression: Expr, purpose: Purpose) -> Result<Transformed<Expr>> {
    match &expression {
        Expr::Literal(value, metadata) => match value.try_as_str().flatten() {
            // One that was translated begins so.
            Some(text) if !text.starts_with("(?s)") => {
                let text = patterns::translate(text, purpose)?;
                let translated = Expr::Literal(ScalarValue::Utf8(Some(text)), metadata.clone());
                Ok(Transformed::yes(translated))
            }
            _ => Ok(Transformed::no(expression)),
        },
        Expr::Cast(Cast { expr, field }) if field.data_type().is_string() => {
            pattern(expr.as_ref().clone(), purpose)
        }
        _ => not_impl_err!("a regular expression that is no constant is not supported"),
    }
}

fn check_function(mut function: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let name = function.func.name().to_owned();
    match (name.as_str(), function.args.as_mut_slice()) {
        // Ties go to the even neighbour, as everywhere in IEEE 754; the engine takes them away from
        // zero.
        ("round", [operand]) => match operand.get_type(schema)? {
            DataType::Float64 => {
                Ok(Transformed::yes(weir_udfs::rint().call(vec![std::mem::take(operand)])))
            }
            DataType::Float32 => {
                let operand = cast(std::mem::take(operand), DataType::Float64);
                let rounded = weir_udfs::rint().call(vec![operand]);
                Ok(Transformed::yes(cast(rounded, DataType::Float32)))
            }
            _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
        },
        ("nullif", [left, right]) if left.get_type(schema)?.is_floating() => {
            let (left, right) = (std::mem::take(left), std::mem::take(right));
            let null = Expr::Literal(ScalarValue::try_from(&left.get_type(schema)?)?, None);
            let case = when(left.clone().eq(right), null).otherwise(left)?;
            Ok(Transformed::yes(case))
        }
        ("regexp_replace" | "regexp_match" | "regexp_count" | "regexp_instr", [_, regex, ..]) => {
            let found = pattern(std::mem::take(regex), Purpose::Find)?;
            let is_changed = found.transformed;
            *regex = found.data;
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), is_changed))
        }
        ("array_to_string", [array, ..]) if matches!(array.get_type(schema)?, DataType::List(member) if *member.data_type() == DataType::Boolean) =>
        {
            not_impl_err!("array_to_string of booleans is not supported")
        }
        ("regexp_like", [_, regex, ..]) => {
            let found = pattern(std::mem::take(regex), Purpose::Test)?;
            let is_changed = found.transformed;
            *regex = found.data;
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), is_changed))
        }
        // An index below one counts from the end in the engine.
        ("array_element", [_, index]) if !is_positive(index) => {
            let inner = std::mem::take(index);
            *index = when(inner.clone().gt_eq(lit(1i64)), inner).end()?;
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        ("array_slice", [_, bounds @ ..]) if !bounds.iter().all(is_positive) => {
            not_impl_err!("array slices need constant bounds of at least 1")
        }
        // The engine takes the first one only.
        ("array_remove", [_, member]) if !is_null(member) => {
            function.func = functions_nested::remove::array_remove_all_udf();
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        ("array_replace", [_, member, _]) if !is_null(member) => {
            function.func = functions_nested::replace::array_replace_all_udf();
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        ("array_remove" | "array_replace", _) => {
            not_impl_err!("{name} of NULL is not supported")
        }
        _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
    }
}

fn is_positive(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => *value >= 1,
        Expr::Literal(ScalarValue::Int32(Some(value)), _) => *value >= 1,
        Expr::Cast(Cast { expr, .. }) => is_positive(expr),
        _ => false,
    }
}

fn is_null(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(Cast { expr, .. }) => is_null(expr),
        _ => false,
    }
}

/// A cast whose values the engine finds otherwise.
fn converted(expr: &Expr, source: &DataType, target: &DataType) -> Result<Option<Expr>> {
    let own = |function: Arc<ScalarUDF>| Some(function.call(vec![expr.clone()]));
    Ok(match (source, target) {
        (DataType::Utf8, DataType::Float64) => own(weir_udfs::float_from_text()),
        (DataType::Utf8, DataType::Float32) => {
            own(weir_udfs::float_from_text()).map(|value| weir_udfs::narrow().call(vec![value]))
        }
        // The engine divides the digits by a power of ten; both must be exact for a right result.
        (
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale),
            DataType::Float64,
        ) if *precision > 15 || !(0..=22).contains(scale) => {
            let text = cast(expr.clone(), DataType::Utf8);
            Some(weir_udfs::float_from_text().call(vec![text]))
        }
        (DataType::Float64, DataType::Float32) => own(weir_udfs::narrow()),
        // A numeric keeps the digits of a float that are sure.
        (
            DataType::Float64 | DataType::Float32,
            DataType::Decimal128(..) | DataType::Decimal256(..),
        ) if !is_null(expr) => {
            let digits = if *source == DataType::Float64 { 15i32 } else { 6 };
            let wide = cast(expr.clone(), DataType::Float64);
            let text = weir_udfs::row_function("weir_numeric_text")?.call(vec![wide, lit(digits)]);
            Some(cast(text, target.clone()))
        }
        (DataType::Utf8, DataType::Binary) => own(weir_udfs::bytes_from_text()),
        (DataType::Utf8, DataType::Interval(_)) => {
            own(weir_udfs::row_function("weir_interval_from_text")?)
        }
        (DataType::Time64(_), DataType::Interval(_)) => {
            own(weir_udfs::row_function("weir_time_interval")?)
        }
        (DataType::List(_), DataType::Utf8) if !is_null(expr) => {
            return not_impl_err!("the text of an array is not written here");
        }
        (DataType::List(from), DataType::List(to))
            if to.data_type().is_integer()
                && (from.data_type().is_floating() || from.data_type().is_decimal()) =>
        {
            return not_impl_err!("an array of fractions is not rounded here");
        }
        (source, DataType::Utf8) if weir_udfs::has_own_text(source) => own(weir_udfs::text()),
        (DataType::Utf8, DataType::List(_)) if !is_null(expr) => {
            return not_impl_err!("text is not read as an array here");
        }
        (DataType::Utf8, DataType::Timestamp(TimeUnit::Microsecond, zone)) => match expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => moment(text, zone.as_ref()),
            _ => None,
        },
        _ => None,
    })
}

/// The literal that a text means, if it is written as ISO 8601 does; the engine reads what is not.
fn moment(text: &str, zone: Option<&Arc<str>>) -> Option<Expr> {
    let (local, offset) = super::moment::read(text)?;
    let literal = |value: i64, zone: Option<&Arc<str>>| {
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(value), zone.cloned()), None)
    };
    match (zone, offset) {
        // A timestamp without time zone does not look at the offset.
        (None, _) => Some(literal(local, None)),
        (Some(_), Some(offset)) => Some(literal(local.checked_sub(offset)?, zone)),
        (Some(_), None) => {
            let target = DataType::Timestamp(TimeUnit::Microsecond, zone.cloned());
            Some(cast(literal(local, None), target))
        }
    }
}

/// PostgreSQL has one zero and one NaN; the engine sorts and joins by bits.
fn float_key(key: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_key = |it: &Expr| matches!(it, Expr::ScalarFunction(function) if function.func.name() == "weir_float_key");
    match key.get_type(schema) {
        Ok(data_type)
            if matches!(data_type, DataType::Float32 | DataType::Float64) && !is_key(&key) =>
        {
            Transformed::yes(weir_udfs::float_key().call(vec![key]))
        }
        // A month is 30 days.
        Ok(DataType::Interval(_)) => match weir_udfs::row_function("weir_interval_order") {
            Ok(order) => Transformed::yes(order.call(vec![key])),
            Err(_) => Transformed::no(key),
        },
        _ => Transformed::no(key),
    }
}

const fn checked_operator(operator: Operator) -> Option<Arithmetic> {
    match operator {
        Operator::Plus => Some(Arithmetic::Add),
        Operator::Minus => Some(Arithmetic::Subtract),
        Operator::Multiply => Some(Arithmetic::Multiply),
        Operator::Divide => Some(Arithmetic::Divide),
        Operator::Modulo => Some(Arithmetic::Remainder),
        _ => None,
    }
}

/// Long chains make this be asked at every level, so that it must not walk down: the engine writes
/// out a function's name, with all its arguments, to find its type.
fn is_checked(expression: &Expr, schema: &DFSchema) -> bool {
    match expression {
        Expr::ScalarFunction(function) if is_arithmetic(function.func.name()) => true,
        // What is arithmetic and of these types was replaced before.
        Expr::BinaryExpr(_) => false,
        other => other.get_type(schema).is_ok_and(|data_type| is_checked_type(&data_type)),
    }
}
