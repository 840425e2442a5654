//! Aggregates whose results have another type in PostgreSQL.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{Column, DFSchema, Result, tree_node::Transformed},
    functions_aggregate::{count::count_udaf, sum::sum_udaf},
    logical_expr::{
        Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, Window, WindowFunctionDefinition,
        cast, expr::AggregateFunction,
    },
};

/// `avg` of exact numbers becomes `sum / count`, and row numbers become bigints: both by a projection
/// above, which gives the results their old names.
///
/// The engine's avg is a double precision for integers, so that the average of bigints is off by
/// more than one, and cut after four digits for decimals. Its `row_number` and kin are unsigned.
pub fn split(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Aggregate(aggregate) => split_aggregate(aggregate),
        LogicalPlan::Window(window) => split_window(window),
        other => Ok(Transformed::no(other)),
    }
}

fn split_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let input = aggregate.input.schema();
    if !aggregate.aggr_expr.iter().any(|expression| exact_average(expression, input)) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let mut parts = Parts::default();
    let results: Vec<Reading> = aggregate
        .aggr_expr
        .iter()
        .map(|expression| match exact_average(expression, input) {
            true => parts.average(expression, input),
            false => Ok(Reading::Column(parts.add(expression.clone()))),
        })
        .collect::<Result<_>>()?;
    let old = Arc::clone(&aggregate.schema);
    let split = Aggregate::try_new(aggregate.input, aggregate.group_expr, parts.expressions)?;
    project(LogicalPlan::Aggregate(split), &old, groups, results)
}

fn split_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let input = window.input.schema();
    let is_split = |expression: &Expr| exact_average(expression, input);
    let is_unsigned = |expression: &Expr| {
        expression.get_type(input).is_ok_and(|data_type| data_type == DataType::UInt64)
    };
    if !window.window_expr.iter().any(|it| is_split(it) || is_unsigned(it)) {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let inputs = input.fields().len();
    let mut parts = Parts::default();
    let results: Vec<Reading> = window
        .window_expr
        .iter()
        .map(|expression| match (is_split(expression), is_unsigned(expression)) {
            (true, _) => parts.average(expression, input),
            (_, true) => Ok(Reading::Signed(parts.add(expression.clone()))),
            _ => Ok(Reading::Column(parts.add(expression.clone()))),
        })
        .collect::<Result<_>>()?;
    let old = Arc::clone(&window.schema);
    let split = Window::try_new(parts.expressions, window.input)?;
    project(LogicalPlan::Window(split), &old, inputs, results)
}

/// How a result is read from the columns of the node that was split, counted from its first result.
enum Reading {
    Column(usize),
    /// As a bigint.
    Signed(usize),
    Quotient(usize, usize),
}

/// The expressions of the new node, each once.
#[derive(Default)]
struct Parts {
    expressions: Vec<Expr>,
}

impl Parts {
    fn add(&mut self, expression: Expr) -> usize {
        if let Some(index) = self.expressions.iter().position(|known| *known == expression) {
            return index;
        }
        self.expressions.push(expression);
        self.expressions.len() - 1
    }

    fn average(&mut self, expression: &Expr, input: &DFSchema) -> Result<Reading> {
        let [mut sum, mut count] = [expression.clone(), expression.clone()];
        for (part, function) in [(&mut sum, sum_udaf()), (&mut count, count_udaf())] {
            match bare_mut(part) {
                Expr::AggregateFunction(AggregateFunction { func, params }) => {
                    *func = function;
                    params.order_by.clear();
                }
                Expr::WindowFunction(window) => {
                    window.fun = WindowFunctionDefinition::AggregateUDF(function);
                }
                _ => {}
            }
        }
        let mut sum = bare(&sum).clone();
        widen_sum(&mut sum, input)?;
        Ok(Reading::Quotient(self.add(sum), self.add(bare(&count).clone())))
    }
}

fn project(
    plan: LogicalPlan,
    old: &DFSchema,
    kept: usize,
    results: Vec<Reading>,
) -> Result<Transformed<LogicalPlan>> {
    let column = |index: usize| Expr::Column(Column::from(plan.schema().qualified_field(index)));
    let mut expressions: Vec<Expr> = (0..kept).map(column).collect();
    for (index, result) in results.into_iter().enumerate() {
        let value = match result {
            Reading::Column(part) => column(kept + part),
            Reading::Signed(part) => cast(column(kept + part), DataType::Int64),
            Reading::Quotient(sum, count) => {
                let (sum, count) = (column(kept + sum), column(kept + count));
                // A sum over no rows is NULL, and so is its quotient.
                let count = datafusion::functions::core::nullif()
                    .call(vec![count, datafusion::logical_expr::lit(0i64)]);
                weir_udfs::quotient().call(vec![sum, count])
            }
        };
        let (qualifier, field) = old.qualified_field(kept + index);
        expressions.push(value.alias_qualified(qualifier.cloned(), field.name()));
    }
    let projection = Projection::try_new(expressions, Arc::new(plan))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

fn exact_average(expression: &Expr, input: &DFSchema) -> bool {
    let (name, arguments) = match bare(expression) {
        Expr::AggregateFunction(function) => (function.func.name(), &function.params.args),
        Expr::WindowFunction(function) => match &function.fun {
            WindowFunctionDefinition::AggregateUDF(function_) => {
                (function_.name(), &function.params.args)
            }
            WindowFunctionDefinition::WindowUDF(_) => return false,
        },
        _ => return false,
    };
    let [argument] = arguments.as_slice() else { return false };
    name == "avg"
        && argument.get_type(input).is_ok_and(|data_type| {
            matches!(
                data_type,
                DataType::Int16
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::Decimal128(..)
                    | DataType::Decimal256(..)
            )
        })
}

fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

fn bare_mut(expression: &mut Expr) -> &mut Expr {
    match expression {
        Expr::Alias(alias) => bare_mut(&mut alias.expr),
        other => other,
    }
}

/// Makes a `sum` unable to wrap: PostgreSQL's sum of bigints is a numeric, and the engine adds decimals
/// of 38 digits without a look at the sign.
pub fn widen_sum(expression: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let (function, arguments, is_distinct) = match expression {
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            (func, &mut params.args, params.distinct)
        }
        Expr::WindowFunction(window) => match &mut window.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                (function, &mut window.params.args, window.params.distinct)
            }
            WindowFunctionDefinition::WindowUDF(_) => return Ok(false),
        },
        _ => return Ok(false),
    };
    let [argument] = arguments.as_mut_slice() else { return Ok(false) };
    if function.name() != "sum" || *function == weir_udfs::wide_sum() {
        return Ok(false);
    }
    let wide = match argument.get_type(schema) {
        Ok(DataType::Int64) if !is_integer_constant(argument, schema) => {
            DataType::Decimal128(19, 0)
        }
        Ok(DataType::Decimal128(precision, scale)) if precision > 28 => {
            if !is_distinct {
                *function = weir_udfs::wide_sum();
                return Ok(true);
            }
            DataType::Decimal256(precision, scale)
        }
        _ => return Ok(false),
    };
    *argument = cast(std::mem::take(argument), wide);
    Ok(true)
}

/// Whether PostgreSQL would call it an integer, of which the sum is a bigint: `CASE … THEN 1 ELSE 0`.
/// The engine reads every constant as a bigint.
fn is_integer_constant(expression: &Expr, schema: &DFSchema) -> bool {
    use datafusion::scalar::ScalarValue;
    match expression {
        Expr::Literal(ScalarValue::Int64(value), _) => {
            value.is_none_or(|value| i32::try_from(value).is_ok())
        }
        Expr::Literal(ScalarValue::Null, _) => true,
        Expr::Negative(operand) => is_integer_constant(operand, schema),
        Expr::Case(case) => {
            case.when_then_expr.iter().all(|(_, then)| is_integer_constant(then, schema))
                && case.else_expr.iter().all(|other| is_integer_constant(other, schema))
        }
        Expr::ScalarFunction(function) if function.func.name() == "coalesce" => {
            function.args.iter().all(|argument| is_integer_constant(argument, schema))
        }
        other => matches!(other.get_type(schema), Ok(DataType::Int16 | DataType::Int32)),
    }
}
