//! What runs at the sources and what runs here.
//!
//! Today each scan takes its projection, the filters that its source's rules allow, and a limit
//! (`weir_catalogs::sql`); folding larger fragments comes here. The corrections of
//! the engine's own faults (`meaning`) come first, because a plan must be right before it may be moved.
//!
//! Invariant: the answer with pushdown equals the answer without it.

use std::sync::Arc;

use datafusion::optimizer::OptimizerRule;

/// The optimizer's rules, in the order in which they run.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    crate::meaning::optimizer_rules()
}
