//! What runs at the sources and what runs here.
//!
//! Today each scan takes its projection, the filters that its source's rules allow, and a limit
//! (`weir_catalogs::sql`); folding larger fragments comes here. So do the corrections of the
//! engine's own faults, because a plan must be right before it may be moved.
//!
//! Invariant: the answer with pushdown equals the answer without it.

pub mod estimate;

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};

/// The engine's optimizer rules without those that change answers.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    /// `a RIGHT JOIN b ON … WHERE COALESCE(b.f, a.f)` loses rows: the join is narrowed although the
    /// predicate is true for NULLs of one side.
    const WRONG: &[&str] = &["eliminate_outer_join"];
    Optimizer::new().rules.into_iter().filter(|rule| !WRONG.contains(&rule.name())).collect()
}
