//! What runs at the sources and what runs here.
//!
//! Each scan takes its projection and the filters that its source's rules allow
//! (`weir_catalogs::sql`); [`fold`] moves whatever else a source answers alike. The corrections of
//! the engine's own faults (`meaning`) come first, because a plan must be right before it may be
//! moved.
//!
//! Invariant: the answer with pushdown equals the answer without it.

mod dynamic_filters;
pub mod estimate;
mod fold;
mod join_order;
#[cfg(test)]
mod testing;

pub use fold::{Behind, conditions, fold};

use std::sync::Arc;

use datafusion::{
    common::Result,
    execution::SessionState,
    logical_expr::LogicalPlan,
    optimizer::{Optimizer, OptimizerRule, optimize_projections::OptimizeProjections},
    physical_optimizer::{PhysicalOptimizerRule, optimizer::PhysicalOptimizer},
};

/// The optimizer's rules, in the order in which they run.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    /// From here on every filter stands where it belongs, and no column has been cut off yet.
    const BEFORE_JOIN_ORDER: &str = "push_down_filter";
    let mut rules = crate::meaning::optimizer_rules();
    let place = rules.iter().position(|rule| rule.name() == BEFORE_JOIN_ORDER);
    rules.insert(place.map_or(rules.len(), |place| place + 1), Arc::new(join_order::JoinOrder));
    rules
}

/// The rules for operators, in the order in which they run.
pub fn physical_optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    /// Moves a filter over an outer join to the side that has columns of the same names: rows that it
    /// drops come back filled up with NULL. Filters stand where they belong before plans are physical.
    const WRONG: &str = "FilterPushdown";
    const DYNAMIC: &str = "FilterPushdown(Post)";
    let mut rules = PhysicalOptimizer::new().rules;
    rules.retain(|rule| rule.name() != WRONG);
    for rule in rules.iter_mut().filter(|rule| rule.name() == DYNAMIC) {
        *rule = Arc::new(dynamic_filters::DynamicFilters);
    }
    rules.push(Arc::new(crate::meaning::Agreement));
    rules
}

/// Drops the columns of remote statements that nothing above them needs.
pub fn prune(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]).optimize(
        plan,
        state,
        |_, _| {},
    )
}
