use std::sync::Arc;

use datafusion::{
    common::tree_node::{Transformed, TreeNodeRecursion},
    datasource::{cte_worktable::CteWorkTable, provider_as_source, source_as_provider},
    error::{DataFusionError, Result as DataFusionResult},
    execution::context::SQLOptions,
    logical_expr::{LogicalPlan, TableScan},
};

use super::{Access, ObjectPath, OpenTable, Policy, PolicyTable};
use crate::{
    auth::Principal,
    error::{Error, ErrorKind, Result},
};

/// A plan that went through [`authorize`]. Nothing else makes one, and the engine executes nothing
/// else.
///
/// ```compile_fail
/// fn forge(plan: datafusion::logical_expr::LogicalPlan) -> weir::policy::AuthorizedPlan {
///     weir::policy::AuthorizedPlan { plan }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct AuthorizedPlan {
    plan: LogicalPlan,
}

impl AuthorizedPlan {
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }
}

/// Asks the policy anew for every occurrence of a table in `plan`, and puts what the principal may
/// see in its place. Runs at every execute: what was allowed at prepare may be revoked since.
pub fn authorize(
    policy: &dyn Policy,
    principal: &Principal,
    plan: LogicalPlan,
) -> Result<AuthorizedPlan> {
    refuse_writes(&plan)?;
    let plan = plan
        .transform_down_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => authorize_scan(policy, principal, scan),
            node => Ok(Transformed::no(node)),
        })?
        .data;
    Ok(AuthorizedPlan { plan })
}

/// The statement was classified before it was planned; this is the second look, at the plan.
fn refuse_writes(plan: &LogicalPlan) -> Result<()> {
    let reads_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads_only.verify_plan(plan).map_err(|error| {
        Error::new(ErrorKind::ReadOnly, "cannot execute this statement in a read-only session")
            .with_source(error)
    })
}

fn authorize_scan(
    policy: &dyn Policy,
    principal: &Principal,
    mut scan: TableScan,
) -> DataFusionResult<Transformed<LogicalPlan>> {
    let provider = source_as_provider(&scan.source)?;
    if provider.is::<OpenTable>() || provider.is::<CteWorkTable>() {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    }
    let Some(table) = provider.downcast_ref::<PolicyTable>() else {
        // Fails closed: a table that no policy can speak of.
        return Err(DataFusionError::Internal(format!("{} is under no policy", scan.table_name)));
    };
    let schema = table.inner().schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let Access::Granted(grant) = policy.access(principal, table.path(), &columns) else {
        return Err(missing(table.path()));
    };
    let current = PolicyTable::new(table.path().clone(), Arc::clone(table.inner()), grant);
    if datafusion::catalog::TableProvider::schema(&current) != scan.source.schema() {
        // A column was hidden or masked since the statement was prepared.
        return Err(missing(table.path()));
    }
    scan.source = provider_as_source(Arc::new(current));
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

/// How a query runs tells of rows and values (estimates, filters, remote SQL), so seeing it is a
/// permission on each table.
pub fn authorize_explain(
    policy: &dyn Policy,
    principal: &Principal,
    plan: &AuthorizedPlan,
) -> Result<()> {
    let mut refused: Option<ObjectPath> = None;
    plan.plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = source_as_provider(&scan.source)?.downcast_ref::<PolicyTable>()
            && !policy.may_explain(principal, table.path())
        {
            refused = Some(table.path().clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match refused {
        None => Ok(()),
        Some(table) => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("permission denied to explain a query over table \"{table}\""),
        )
        .with_hint("Ask for the action explain_remote on this table.")),
    }
}

/// The same text as for a table that never existed.
fn missing(table: &ObjectPath) -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(
        ErrorKind::UndefinedTable,
        format!("relation \"{table}\" does not exist"),
    )))
}
