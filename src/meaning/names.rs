//! Filters that are moved by the names of columns.

use std::{collections::HashSet, sync::Arc};

use datafusion::{
    common::{
        Result,
        config::ConfigOptions,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    physical_expr::expressions::Column,
    physical_optimizer::{PhysicalOptimizerRule, optimizer::PhysicalOptimizer},
    physical_plan::{
        ExecutionPlan,
        aggregates::AggregateExec,
        union::{InterleaveExec, UnionExec},
    },
};

/// The engine's rules for operators, those that change answers replaced.
pub fn physical_optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    /// Moves a filter over an outer join to the side that has columns of the same names: rows that it
    /// drops come back filled up with NULL. Filters stand where they belong before plans are physical.
    const WRONG: &str = "FilterPushdown";
    let mut rules = PhysicalOptimizer::new().rules;
    rules.retain(|rule| rule.name() != WRONG);
    for rule in &mut rules {
        if rule.name().starts_with(WRONG) {
            *rule = Arc::new(ByTrueNames(Arc::clone(rule)));
        }
    }
    rules
}

/// Lets joins, sorts and aggregates tell scans which rows are of use, unless that would reach the wrong
/// column: on its way down, the engine looks for a filter's columns by their names.
#[derive(Debug)]
struct ByTrueNames(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for ByTrueNames {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut are_true = true;
        plan.apply(|node| {
            are_true = has_true_names(node);
            Ok(if are_true { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        if are_true { self.0.optimize(plan, config) } else { Ok(plan) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether a column that keeps its name through a node is the same column, and has its name for itself.
fn has_true_names(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut seen = HashSet::new();
    if !schema.fields().iter().all(|field| seen.insert(field.name())) {
        return false;
    }
    if node.is::<UnionExec>() || node.is::<InterleaveExec>() {
        return node.children().into_iter().all(|child| {
            let child = child.schema();
            let names = child.fields().iter().map(|field| field.name());
            names.eq(schema.fields().iter().map(|field| field.name()))
        });
    }
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return true };
    let input = aggregate.input().schema();
    let is_true = |(key, name): &(_, String)| {
        let key: &Arc<dyn datafusion::physical_expr::PhysicalExpr> = key;
        let is_itself = key.downcast_ref::<Column>().is_some_and(|column| column.name() == name);
        is_itself || input.column_with_name(name).is_none()
    };
    aggregate.group_expr().expr().iter().all(is_true)
}
