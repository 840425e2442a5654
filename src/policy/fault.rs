//! Deliberate holes, one of which a test may open, to see that it finds them.
//!
//! Invariant: nothing of this is in a release build, which names none.

use std::sync::Arc;

use datafusion::{
    catalog::{Session, TableProvider},
    common::{
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    error::Result,
    physical_expr::{PhysicalExpr, expressions::Column},
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{ExecutionPlan, projection::ProjectionExec},
};

use super::barrier::PolicyBarrierExec;

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A query's own filters are computed below the policy's.
    OpenBarrier,
    /// A masked column shows its value.
    LostMask,
    /// Statistics of hidden rows and values reach the planner.
    HiddenStatistics,
    /// A rule of the engine takes the barriers away.
    LostBarrier,
    /// What is sent to a source lacks the policy's filter.
    LostFilter,
    /// Hidden columns are read, and cut off afterwards.
    HiddenColumns,
}

/// Whether the variable `WEIR_TEST_FAULT` of the environment names this fault.
pub(super) fn is_on(fault: Fault) -> bool {
    named() == Some(fault)
}

/// Whether it names a hole in the barrier, which nothing may then go round.
pub(super) fn is_in_barrier() -> bool {
    named().is_some_and(|fault| fault != Fault::LostFilter)
}

/// The rule of [`Fault::LostBarrier`].
pub fn physical_rules() -> Option<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    is_on(Fault::LostBarrier).then(|| Arc::new(Unwrap) as _)
}

/// A scan of [`Fault::HiddenColumns`].
pub(super) async fn with_hidden_columns(
    state: &dyn Session,
    table: &Arc<dyn TableProvider>,
    shown: &[usize],
) -> Result<Arc<dyn ExecutionPlan>> {
    let scan = table.scan(state, None, &[], None).await?;
    let schema = scan.schema();
    let columns = shown.iter().map(|index| raw(schema.field(*index).name(), *index));
    Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), scan)?))
}

fn raw(name: &str, index: usize) -> (Arc<dyn PhysicalExpr>, String) {
    (Arc::new(Column::new(name, index)), name.to_owned())
}

#[derive(Debug)]
struct Unwrap;

impl PhysicalOptimizerRule for Unwrap {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(barrier) = plan.downcast_ref::<PolicyBarrierExec>() else {
                return Ok(Transformed::no(plan));
            };
            let below = barrier.input().schema();
            let columns = plan
                .schema()
                .fields()
                .iter()
                .map(|field| Ok(raw(field.name(), below.index_of(field.name())?)))
                .collect::<Result<Vec<_>>>()?;
            let input = Arc::clone(barrier.input());
            Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(columns, input)?)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "unwrap_barriers"
    }

    fn schema_check(&self) -> bool {
        false
    }
}

#[cfg(debug_assertions)]
fn named() -> Option<Fault> {
    static NAMED: std::sync::OnceLock<Option<Fault>> = std::sync::OnceLock::new();
    *NAMED.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "no setting: it exists for tests alone")]
        let name = std::env::var("WEIR_TEST_FAULT").ok()?;
        [
            Fault::OpenBarrier,
            Fault::LostMask,
            Fault::HiddenStatistics,
            Fault::LostBarrier,
            Fault::LostFilter,
            Fault::HiddenColumns,
        ]
        .into_iter()
        .find(|fault| format!("{fault:?}") == name)
    })
}

#[cfg(not(debug_assertions))]
const fn named() -> Option<Fault> {
    None
}
