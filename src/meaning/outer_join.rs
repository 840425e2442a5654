//! Outer joins become inner ones where a filter above drops the rows that they add.

use std::sync::Arc;

use datafusion::{
    common::{Column, DFSchema, Result, tree_node::Transformed},
    logical_expr::{BinaryExpr, Expr, Filter, Join, JoinType, LogicalPlan, Operator, expr::InList},
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};

/// Replaces the engine's `eliminate_outer_join` (DataFusion 55.2), which loses rows: it follows
/// functions that it takes for strict into predicates that accept NULL, such as
/// `WHERE COALESCE(b.f, a.f)`. Here only comparisons of plain columns count.
#[derive(Debug)]
pub struct NarrowOuterJoin;

impl OptimizerRule for NarrowOuterJoin {
    fn name(&self) -> &str {
        "weir_narrow_outer_join"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let LogicalPlan::Join(join) = filter.input.as_ref() else {
            return Ok(Transformed::no(plan));
        };
        let rejects = |side: &LogicalPlan| rejects_nulls(&filter.predicate, side.schema());
        let narrowed = match join.join_type {
            JoinType::Left if rejects(&join.right) => JoinType::Inner,
            JoinType::Right if rejects(&join.left) => JoinType::Inner,
            JoinType::Full => match (rejects(&join.left), rejects(&join.right)) {
                (true, true) => JoinType::Inner,
                (true, false) => JoinType::Left,
                (false, true) => JoinType::Right,
                (false, false) => return Ok(Transformed::no(plan)),
            },
            _ => return Ok(Transformed::no(plan)),
        };
        // The schema stays: a column that is no longer NULL may still be called nullable.
        let join = LogicalPlan::Join(Join { join_type: narrowed, ..join.clone() });
        let filter = Filter::try_new(filter.predicate.clone(), Arc::new(join))?;
        Ok(Transformed::yes(LogicalPlan::Filter(filter)))
    }
}

/// Whether the predicate is false or NULL on every row whose columns of `side` are all NULL.
fn rejects_nulls(predicate: &Expr, side: &DFSchema) -> bool {
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => rejects_nulls(left, side) || rejects_nulls(right, side),
            Operator::Or => rejects_nulls(left, side) && rejects_nulls(right, side),
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq => is_null(left, side) || is_null(right, side),
            _ => false,
        },
        Expr::IsNotNull(operand)
        | Expr::IsTrue(operand)
        | Expr::IsFalse(operand)
        | Expr::IsNotUnknown(operand) => is_null(operand, side),
        // A list without members is false, and true if negated, whatever is looked for.
        Expr::InList(InList { expr, list, .. }) => !list.is_empty() && is_null(expr, side),
        Expr::Like(like) => is_null(&like.expr, side),
        // `NOT b.is_paid`, and the column by itself.
        Expr::Not(operand) => is_null(operand, side),
        Expr::Column(column) => has(side, column),
        _ => false,
    }
}

/// Whether the value is NULL on such a row.
fn is_null(expression: &Expr, side: &DFSchema) -> bool {
    match expression {
        Expr::Column(column) => has(side, column),
        Expr::Cast(cast) => is_null(&cast.expr, side),
        Expr::Negative(operand) => is_null(operand, side),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.is_numerical_operators() => {
            is_null(left, side) || is_null(right, side)
        }
        _ => false,
    }
}

fn has(side: &DFSchema, column: &Column) -> bool {
    side.has_column(column)
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::datatypes::{DataType, Field, Schema},
        common::DFSchema,
        logical_expr::{Expr, cast, lit},
        prelude::{coalesce, col},
    };

    use super::rejects_nulls;

    #[test]
    fn only_predicates_that_a_null_fails_narrow_a_join() {
        let schema = Schema::new(vec![
            Field::new("x", DataType::Int64, true),
            Field::new("f", DataType::Boolean, true),
        ]);
        let side = DFSchema::try_from_qualified_schema("b", &schema).unwrap();
        let cases: Vec<(Expr, bool)> = vec![
            (col("b.x").eq(lit(1)), true),
            (lit(1).not_eq(col("b.x")), true),
            (col("b.x").gt(col("a.x")), true),
            (cast(col("b.x"), DataType::Int32).lt(lit(1)), true),
            ((col("b.x") + col("a.x")).lt(lit(1)), true),
            (col("b.x").is_not_null(), true),
            (col("b.f"), true),
            (col("b.f").is_true(), true),
            (Expr::Not(Box::new(col("b.f"))), true),
            (col("b.x").in_list(vec![lit(1)], true), true),
            (col("b.x").eq(lit(1)).and(col("a.x").is_null()), true),
            (col("b.x").eq(lit(1)).or(col("b.x").gt(lit(5))), true),
            (col("b.x").eq(lit(1)).or(col("a.x").is_null()), false),
            (col("a.x").eq(lit(1)), false),
            (col("b.x").is_null(), false),
            (col("b.f").is_not_true(), false),
            (col("b.f").is_unknown(), false),
            (Expr::Not(Box::new(col("b.x").is_not_null())), false),
            (coalesce(vec![col("b.f"), col("a.f")]), false),
            (coalesce(vec![col("b.x"), lit(1)]).eq(lit(1)), false),
            (lit(1).in_list(vec![col("b.x")], false), false),
            (col("b.x").in_list(vec![], true), false),
        ];
        for (predicate, expected) in cases {
            assert_eq!(rejects_nulls(&predicate, &side), expected, "{predicate}");
        }
    }
}
