//! What runs at the sources and what runs here.
//!
//! Today each scan takes its projection, the filters that its source's rules allow, and a limit
//! (`weir_catalogs::sql`); folding larger fragments comes here. So do the corrections of the
//! engine's own faults, because a plan must be right before it may be moved.
//!
//! Invariant: the answer with pushdown equals the answer without it.

pub mod estimate;
mod join_order;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};

/// The engine's optimizer rules without those that change answers, and our own.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    /// `a RIGHT JOIN b ON … WHERE COALESCE(b.f, a.f)` loses rows: the join is narrowed although the
    /// predicate is true for NULLs of one side.
    const WRONG: &[&str] = &["eliminate_outer_join"];
    /// From here on every filter stands where it belongs, and no column has been cut off yet.
    const BEFORE_JOIN_ORDER: &str = "push_down_filter";
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| !WRONG.contains(&rule.name()));
    let place = rules.iter().position(|rule| rule.name() == BEFORE_JOIN_ORDER);
    rules.insert(place.map_or(rules.len(), |place| place + 1), Arc::new(join_order::JoinOrder));
    rules
}
