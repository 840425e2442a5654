//! Types as PostgreSQL resolves them, where the engine's own coercion changes answers.
//!
//! The engine brings a float and a decimal together as Decimal(30,15): digits are lost, and an
//! infinity is an overflow. PostgreSQL compares and computes them as double precision ("Operator
//! Type Resolution"). Literals such as `1.5` are decimals here as there, so the pair is common.

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        DFSchema, Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Between, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, TryCast, cast, expr::InList,
        expr_rewriter::NamePreserver, utils::merge_schema,
    },
};

use super::subqueries;

/// Casts decimals to double precision where they meet floats. Runs before the engine's coercion.
pub fn correct(plan: LogicalPlan) -> Result<LogicalPlan> {
    let corrected = plan.transform_up_with_subqueries(|node| {
        let mut schema = merge_schema(&node.inputs());
        if let LogicalPlan::TableScan(scan) = &node {
            schema = DFSchema::clone(&scan.projected_schema);
        }
        let names = NamePreserver::new(&node);
        let mut is_changed = false;
        let node = node.map_expressions(|expression| {
            let name = names.save(&expression);
            let corrected =
                expression.transform_up(|expression| correct_one(expression, &schema))?;
            is_changed |= corrected.transformed;
            Ok(corrected.update_data(|expression| name.restore(expression)))
        })?;
        let node = node.transform_data(subqueries::correct_filter)?;
        if is_changed { Ok(Transformed::yes(node.data.recompute_schema()?)) } else { Ok(node) }
    })?;
    Ok(corrected.data)
}

fn correct_one(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if op.is_numerical_operators() || is_comparison(op) =>
        {
            let [left, right] = meet([*left, *right], schema)?;
            let is_changed = left.transformed || right.transformed;
            let binary = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
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
            let mut parts = meet_all(parts, schema)?;
            let is_changed = parts.iter().any(|part| part.transformed);
            let expr = Box::new(parts.remove(0).data);
            let list = parts.into_iter().map(|part| part.data).collect();
            let in_list = InList::new(expr, list, negated);
            Ok(Transformed::new_transformed(Expr::InList(in_list), is_changed))
        }
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => {
            let rounded = round(*expr, schema)?;
            Ok(rounded.update_data(|expr| Expr::Cast(Cast { expr: Box::new(expr), field })))
        }
        Expr::TryCast(TryCast { expr, field }) if field.data_type().is_integer() => {
            let rounded = round(*expr, schema)?;
            Ok(rounded.update_data(|expr| Expr::TryCast(TryCast { expr: Box::new(expr), field })))
        }
        other => Ok(Transformed::no(other)),
    }
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
    use datafusion::logical_expr::Operator;
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
    let parts = meet_all(parts.into(), schema)?;
    parts
        .try_into()
        .map_err(|_| datafusion::error::DataFusionError::Internal("an operand was lost".to_owned()))
}

/// Where one part is a float, decimals become double precision.
fn meet_all(parts: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Transformed<Expr>>> {
    let types: Vec<Option<DataType>> =
        parts.iter().map(|part| part.get_type(schema).ok()).collect();
    let has_float = types.iter().flatten().any(DataType::is_floating);
    Ok(parts
        .into_iter()
        .zip(types)
        .map(|(part, data_type)| match data_type {
            Some(data_type) if has_float && data_type.is_decimal() => {
                Transformed::yes(cast(part, DataType::Float64))
            }
            _ => Transformed::no(part),
        })
        .collect())
}
