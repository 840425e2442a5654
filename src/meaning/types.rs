//! Types as PostgreSQL resolves them, where the engine's own coercion changes answers.
//!
//! The engine brings a float and a decimal together as Decimal(30,15): digits are lost, and an
//! infinity is an overflow. PostgreSQL compares and computes them as double precision ("Operator
//! Type Resolution"). Literals such as `1.5` are decimals here as there, so the pair is common.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{
        DFSchema, ExprSchema, Result, ScalarValue, not_impl_err, plan_err,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Between, BinaryExpr, Case, Cast, Expr, ExprSchemable, LogicalPlan, Operator, TryCast,
        Union, cast,
        expr::InList,
        expr_rewriter::{NamePreserver, coerce_plan_expr_for_schema},
        type_coercion::binary::comparison_coercion,
    },
};

use super::{aggregates, functions, rounding, subqueries, unions};

/// Gives every expression the type that PostgreSQL gives it. Runs before the engine's coercion.
pub fn correct(plan: LogicalPlan) -> Result<LogicalPlan> {
    // What stands above a change reads other types.
    let mut is_any_changed = false;
    let corrected = plan.transform_up_with_subqueries(|node| {
        let schema = super::input_schema(&node);
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expression| {
            if matches!(expression, Expr::GroupingSet(_)) {
                return check_grouping_set(expression, &schema);
            }
            let name = names.save(&expression);
            let corrected =
                expression.transform_up(|expression| correct_one(expression, &schema))?;
            Ok(corrected.update_data(|expression| name.restore(expression)))
        })?;
        let node =
            node.transform_data(subqueries::correct_filter)?.transform_data(meet_branches)?;
        is_any_changed |= node.transformed;
        let node = match is_any_changed {
            true => Transformed::yes(node.data.recompute_schema()?),
            false => node,
        };
        let node = node.transform_data(aggregates::split)?.transform_data(unions::agree)?;
        is_any_changed |= node.transformed;
        Ok(node)
    })?;
    Ok(corrected.data)
}

/// The keys of a grouping set keep their names, by which the columns above find them: what would be
/// another expression is refused. A constant's cast has the name of the constant.
fn check_grouping_set(keys: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let corrected = keys.clone().transform_up(|expression| match expression {
        Expr::Cast(constant) if super::integers::folded(&constant).is_some() => {
            Ok(Transformed::no(Expr::Cast(constant)))
        }
        expression => correct_one(expression, schema),
    })?;
    if corrected.data.schema_name().to_string() != keys.schema_name().to_string() {
        return not_impl_err!("{} in GROUPING SETS is not supported", keys.schema_name());
    }
    Ok(Transformed::no(keys))
}

/// The branches of a UNION have one type from the start, so that it is the type that clients are told.
fn meet_branches(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Union(Union { inputs, schema }) = node else {
        return Ok(Transformed::no(node));
    };
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut differ = false;
    for (index, (qualifier, field)) in schema.iter().enumerate() {
        let mut common = DataType::Null;
        for input in &inputs {
            let data_type = input.schema().field(index).data_type().clone();
            if data_type == common || data_type.is_null() {
                continue;
            }
            common = match common {
                DataType::Null => data_type,
                known if known.is_numeric() && data_type.is_numeric() => {
                    if [&known, &data_type].contains(&&DataType::Float64) {
                        DataType::Float64
                    } else if known.is_floating() || data_type.is_floating() {
                        DataType::Float32
                    } else {
                        comparison_coercion(&known, &data_type).unwrap_or(known)
                    }
                }
                DataType::Date32 if data_type == MOMENT => MOMENT,
                MOMENT if data_type == DataType::Date32 => MOMENT,
                known if known.is_string() && data_type.is_string() => DataType::Utf8,
                known if std::mem::discriminant(&known) == std::mem::discriminant(&data_type) => {
                    known
                }
                known => {
                    return plan_err!(
                        "Cannot infer common type: UNION types {known} and {data_type} cannot be matched"
                    );
                }
            };
        }
        differ |= inputs.iter().any(|input| *input.schema().field(index).data_type() != common);
        let field = field.as_ref().clone().with_data_type(common).with_nullable(true);
        fields.push((qualifier.cloned(), Arc::new(field)));
    }
    if !differ {
        return Ok(Transformed::no(LogicalPlan::Union(Union { inputs, schema })));
    }
    let common = DFSchema::new_with_metadata(fields, schema.inner().metadata().clone())?;
    let inputs = inputs
        .into_iter()
        .map(|input| {
            let input = Arc::unwrap_or_clone(input);
            coerce_plan_expr_for_schema(input, &common).map(Arc::new)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union { inputs, schema: Arc::new(common) })))
}

fn correct_one(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if op.is_numerical_operators() || is_comparison(op) =>
        {
            // Numbers of one type, as in a long chain, stay what they are.
            let plain = plain_type(&right, schema);
            if plain.is_some() && plain == plain_type(&left, schema) {
                let binary = BinaryExpr::new(left, op, right);
                return Ok(Transformed::no(Expr::BinaryExpr(binary)));
            }
            let [left, right] = meet([*left, *right], schema)?;
            let is_changed = left.transformed || right.transformed;
            let (left, right) = (left.data, right.data);
            let types = (left.get_type(schema).ok(), right.get_type(schema).ok());
            let is_sum = op.is_numerical_operators();
            let (left, right, is_changed) = match types {
                (Some(left_type), Some(right_type))
                    if op == Operator::Divide
                        && is_exact(&left_type)
                        && is_exact(&right_type)
                        && (left_type.is_decimal() || right_type.is_decimal()) =>
                {
                    let quotient = weir_udfs::quotient().call(vec![left, right]);
                    return Ok(Transformed::yes(quotient));
                }
                (Some(DataType::Float32), Some(other)) if other.is_integer() && is_sum => {
                    (cast(left, DataType::Float64), right, true)
                }
                (Some(other), Some(DataType::Float32)) if other.is_integer() && is_sum => {
                    (left, cast(right, DataType::Float64), true)
                }
                // A day and an interval are a moment.
                (Some(DataType::Date32), Some(DataType::Interval(_))) => {
                    (cast(left, MOMENT), right, true)
                }
                (Some(DataType::Interval(_)), Some(DataType::Date32)) => {
                    (left, cast(right, MOMENT), true)
                }
                _ => (left, right, is_changed),
            };
            let binary = BinaryExpr::new(Box::new(left), op, Box::new(right));
            Ok(Transformed::new_transformed(Expr::BinaryExpr(binary), is_changed))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let [expr, low, high] = meet([*expr, *low, *high], schema)?;
            let is_changed = expr.transformed || low.transformed || high.transformed;
            let between =
                Between::new(Box::new(expr.data), negated, Box::new(low.data), Box::new(high.data));
            Ok(Transformed::new_transformed(Expr::Between(between), is_changed))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let mut parts = vec![*expr];
            parts.extend(list);
            let mut parts = meet_all(parts, schema);
            let is_changed = parts.iter().any(|part| part.transformed);
            let expr = Box::new(parts.remove(0).data);
            let list = parts.into_iter().map(|part| part.data).collect();
            let in_list = InList::new(expr, list, negated);
            Ok(Transformed::new_transformed(Expr::InList(in_list), is_changed))
        }
        Expr::Cast(ref constant) if super::integers::folded(constant).is_some() => {
            let folded = super::integers::folded(constant).unwrap_or(expression);
            Ok(Transformed::yes(folded))
        }
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => {
            let rounded = round(*expr, schema)?;
            Ok(rounded.update_data(|expr| Expr::Cast(Cast { expr: Box::new(expr), field })))
        }
        Expr::TryCast(TryCast { expr, field }) if field.data_type().is_integer() => {
            let rounded = round(*expr, schema)?;
            Ok(rounded.update_data(|expr| Expr::TryCast(TryCast { expr: Box::new(expr), field })))
        }
        Expr::Cast(Cast { expr, field }) => match field.data_type() {
            // PostgreSQL counts microseconds; in the engine's nanoseconds, time ends in 2262.
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                let moment = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                Ok(Transformed::yes(cast(*expr, moment)))
            }
            // NUMERIC without digits keeps those that are there.
            DataType::Decimal128(38, 10) => match expr.get_type(schema) {
                Ok(DataType::Utf8) => match expr.as_ref() {
                    Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
                        match super::operators::decimal(text) {
                            Some(constant) => Ok(Transformed::yes(constant)),
                            None => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
                        }
                    }
                    _ => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
                },
                Ok(data_type) if data_type.is_decimal() => Ok(Transformed::yes(*expr)),
                Ok(data_type) if data_type.is_integer() => {
                    Ok(Transformed::yes(cast(*expr, DataType::Decimal128(20, 0))))
                }
                _ => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
            },
            _ => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
        },
        Expr::Case(case) => Ok(meet_results(case, schema)),
        Expr::ScalarFunction(function) if function.func.name() == "round" => {
            rounding::correct(function, schema)
        }
        Expr::ScalarFunction(ref function) => match (function.func.name(), function.args.len()) {
            ("now" | "to_timestamp", _) => match expression.get_type(schema) {
                Ok(DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
                    let moment = DataType::Timestamp(TimeUnit::Microsecond, zone);
                    Ok(Transformed::yes(cast(expression, moment)))
                }
                _ => Ok(Transformed::no(expression)),
            },
            _ => functions::correct(expression, schema),
        },
        mut other @ (Expr::AggregateFunction(_) | Expr::WindowFunction(_)) => {
            let is_changed = aggregates::widen_sum(&mut other, schema)?;
            Ok(Transformed::new_transformed(other, is_changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The type of a chain of operators over columns and constants of one type, found without asking
/// the engine, which finds it anew, down to the leaves, at every level.
fn plain_type(expression: &Expr, schema: &DFSchema) -> Option<DataType> {
    let data_type = match expression {
        Expr::Literal(value, _) => value.data_type(),
        Expr::Column(column) => schema.field_from_column(column).ok()?.data_type().clone(),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.is_numerical_operators() => {
            let right = plain_type(right, schema)?;
            return plain_type(left, schema).filter(|left| *left == right);
        }
        _ => return None,
    };
    weir_udfs::is_checked_type(&data_type).then_some(data_type)
}

/// What PostgreSQL calls a timestamp.
const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn is_exact(data_type: &DataType) -> bool {
    data_type.is_decimal()
        || matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

/// The results of CASE have one type from the start, so that it is the type that clients are told.
fn meet_results(mut case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let results = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let mut common: Option<DataType> = None;
    let mut differ = false;
    for result in results() {
        let Ok(data_type) = result.get_type(schema) else {
            return Transformed::no(Expr::Case(case));
        };
        if data_type.is_null() {
            continue;
        }
        let met = match common {
            None => Some(data_type),
            Some(known) if known == data_type => Some(known),
            Some(DataType::Date32) if data_type == MOMENT => {
                differ = true;
                Some(MOMENT)
            }
            Some(MOMENT) if data_type == DataType::Date32 => {
                differ = true;
                Some(MOMENT)
            }
            Some(known) if known.is_numeric() && data_type.is_numeric() => {
                differ = true;
                match known.is_floating() || data_type.is_floating() {
                    true => Some(DataType::Float64),
                    false => comparison_coercion(&known, &data_type),
                }
            }
            Some(_) => None,
        };
        let Some(met) = met else { return Transformed::no(Expr::Case(case)) };
        common = Some(met);
    }
    let (true, Some(common)) = (differ, common) else { return Transformed::no(Expr::Case(case)) };
    for (_, then) in &mut case.when_then_expr {
        **then = cast(std::mem::take(&mut **then), common.clone());
    }
    if let Some(other) = &mut case.else_expr {
        **other = cast(std::mem::take(&mut **other), common);
    }
    Transformed::yes(Expr::Case(case))
}

/// A cast to an integer rounds in PostgreSQL and cuts in the engine.
fn round(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let rounded = match expression.get_type(schema) {
        Ok(data_type) if data_type.is_decimal() => {
            datafusion::functions::math::round().call(vec![expression])
        }
        Ok(data_type) if data_type.is_floating() => {
            weir_udfs::rint().call(vec![cast(expression, DataType::Float64)])
        }
        _ => return Ok(Transformed::no(expression)),
    };
    Ok(Transformed::yes(rounded))
}

fn is_comparison(op: datafusion::logical_expr::Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn meet<const N: usize>(parts: [Expr; N], schema: &DFSchema) -> Result<[Transformed<Expr>; N]> {
    let parts = meet_all(parts.into(), schema);
    parts
        .try_into()
        .map_err(|_| datafusion::error::DataFusionError::Internal("an operand was lost".to_owned()))
}

/// Where one part is a float, other numbers become double precision; where one is a timestamp, days
/// become timestamps.
pub(super) fn meet_all(parts: Vec<Expr>, schema: &DFSchema) -> Vec<Transformed<Expr>> {
    let types: Vec<Option<DataType>> =
        parts.iter().map(|part| part.get_type(schema).ok()).collect();
    let has_float = types.iter().flatten().any(DataType::is_floating);
    let has_real = types.contains(&Some(DataType::Float32));
    // Two reals stay reals; a real and another number are two double precisions.
    let is_mixed = has_real
        && parts.iter().zip(&types).any(|(part, data_type)| match data_type {
            Some(DataType::Float64 | DataType::Decimal128(..) | DataType::Decimal256(..)) => true,
            Some(DataType::Int32 | DataType::Int64) => !is_exact_real(part),
            _ => false,
        });
    let has_moment = types.iter().flatten().any(|it| matches!(it, DataType::Timestamp(_, None)));
    parts
        .into_iter()
        .zip(types)
        .map(|(part, data_type)| match data_type {
            Some(data_type) if has_float && data_type.is_decimal() => {
                Transformed::yes(cast(part, DataType::Float64))
            }
            Some(DataType::Float32 | DataType::Int16 | DataType::Int32 | DataType::Int64)
                if is_mixed =>
            {
                Transformed::yes(cast(part, DataType::Float64))
            }
            Some(DataType::Date32) if has_moment => Transformed::yes(cast(part, MOMENT)),
            _ => Transformed::no(part),
        })
        .collect()
}

/// A small constant is the same number in either type, so that sources may compare it.
fn is_exact_real(expression: &Expr) -> bool {
    let bound = 1i64 << f32::MANTISSA_DIGITS;
    matches!(expression, Expr::Literal(ScalarValue::Int64(Some(value)), _)
        if (-bound..=bound).contains(value))
}
