//! Timestamps with and without a time zone, which are equal to the engine.

use std::{collections::HashSet, sync::Arc};

use datafusion::{
    common::{
        Result, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, LogicalPlan},
    optimizer::{OptimizerConfig, OptimizerRule},
};

/// The engine's rule computes what stands in two places once, and takes a constant for another of the
/// other type. A plan that has such a pair stays as it is.
#[derive(Debug)]
pub(super) struct ShareExpressions(pub Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for ShareExpressions {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if has_twins(&plan)? { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

/// Whether a constant with a zone and one without have the same number.
fn has_twins(plan: &LogicalPlan) -> Result<bool> {
    let (mut with_zone, mut without) = (HashSet::new(), HashSet::new());
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Literal(value, _) = part
                    && let Some((number, has_zone)) = timestamp(value)
                {
                    if has_zone {
                        with_zone.insert(number)
                    } else {
                        without.insert(number)
                    };
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(!with_zone.is_disjoint(&without))
}

fn timestamp(value: &ScalarValue) -> Option<(Option<i64>, bool)> {
    match value {
        ScalarValue::TimestampSecond(number, zone)
        | ScalarValue::TimestampMillisecond(number, zone)
        | ScalarValue::TimestampMicrosecond(number, zone)
        | ScalarValue::TimestampNanosecond(number, zone) => Some((*number, zone.is_some())),
        _ => None,
    }
}
