//! Conditions without a column, above aggregates.

use std::sync::Arc;

use datafusion::{
    common::{Result, ScalarValue, tree_node::Transformed},
    logical_expr::{
        EmptyRelation, Expr, Filter, LogicalPlan,
        utils::{conjunction, split_conjunction_owned},
    },
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};

/// The engine's rule moves every condition below an aggregate that names its keys alone, and so one
/// that names nothing: `HAVING false` without GROUP BY then has a row, because an aggregate over no
/// rows has one.
#[derive(Debug)]
pub(super) struct PushDownFilter(pub Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for PushDownFilter {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) if is_constant_over_aggregate(&filter) => decide(filter),
            plan => self.0.rewrite(plan, config),
        }
    }
}

fn is_constant(condition: &Expr) -> bool {
    !condition.any_column_refs()
}

fn is_constant_over_aggregate(filter: &Filter) -> bool {
    matches!(filter.input.as_ref(), LogicalPlan::Aggregate(_))
        && split_conjunction_owned(filter.predicate.clone()).iter().any(is_constant)
}

/// A false condition leaves no row, a true one all; what is not known yet stays where it is.
fn decide(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let (mut kept, mut is_changed) = (Vec::new(), false);
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        match condition {
            Expr::Literal(ScalarValue::Boolean(Some(true)), _) => is_changed = true,
            Expr::Literal(value, _) if value.is_null() || value == ScalarValue::from(false) => {
                let schema = Arc::clone(filter.input.schema());
                let empty = EmptyRelation { produce_one_row: false, schema };
                return Ok(Transformed::yes(LogicalPlan::EmptyRelation(empty)));
            }
            condition => kept.push(condition),
        }
    }
    if !is_changed {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let plan = match conjunction(kept) {
        Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?),
        None => Arc::unwrap_or_clone(filter.input),
    };
    Ok(Transformed::yes(plan))
}
