use std::sync::Arc;

use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    datasource::{cte_worktable::CteWorkTable, provider_as_source, source_as_provider},
    error::{DataFusionError, Result as DataFusionResult},
    execution::context::SQLOptions,
    logical_expr::{Expr, LogicalPlan, TableScan},
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
///     weir::policy::AuthorizedPlan { plan, granted: Default::default() }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct AuthorizedPlan {
    plan: LogicalPlan,
    granted: Arc<Granted>,
}

impl AuthorizedPlan {
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// What this plan was allowed to read: its tables are held against it before they are read, and the
    /// policy is asked again while their rows are on their way.
    pub fn granted(&self) -> &Arc<Granted> {
        &self.granted
    }
}

/// The grants of one plan, for each occurrence of a table.
#[derive(Debug, Default)]
pub struct Granted {
    tables: Vec<Arc<PolicyTable>>,
}

impl Granted {
    /// Each occurrence of a table, with all columns that it has at its source.
    pub fn tables(&self) -> impl Iterator<Item = (&ObjectPath, Vec<&str>)> {
        self.tables.iter().map(|table| (table.path(), columns(table)))
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &PolicyTable> {
        self.tables.iter().map(AsRef::as_ref)
    }

    /// Would the same be granted now?
    pub fn still_holds(&self, policy: &dyn Policy, principal: &Principal) -> bool {
        self.each().all(|table| match policy.access(principal, table.path(), &columns(table)) {
            Access::Granted(current) => current == *table.grant(),
            Access::Denied => false,
        })
    }
}

fn columns(table: &PolicyTable) -> Vec<&str> {
    table.source_columns().fields().iter().map(|field| field.name().as_str()).collect()
}

/// Visits every table under a policy, wherever in a plan it is read.
fn each_scan(
    plan: &LogicalPlan,
    mut visit: impl FnMut(&PolicyTable, &TableScan),
) -> DataFusionResult<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = source_as_provider(&scan.source)?.downcast_ref::<PolicyTable>()
        {
            visit(table, scan);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The first table of which something holds.
fn first_scan(
    plan: &LogicalPlan,
    mut holds: impl FnMut(&PolicyTable, &TableScan) -> bool,
) -> DataFusionResult<Option<ObjectPath>> {
    let mut found = None;
    each_scan(plan, |table, scan| {
        if found.is_none() && holds(table, scan) {
            found = Some(table.path().clone());
        }
    })?;
    Ok(found)
}

/// Asks the policy anew for every occurrence of a table in `plan`, and puts what the principal may
/// see in its place. Runs at every execute: what was allowed at prepare may be revoked since.
pub fn authorize(
    policy: &dyn Policy,
    principal: &Principal,
    plan: LogicalPlan,
) -> Result<AuthorizedPlan> {
    refuse_writes(&plan)?;
    refuse_functions(policy, principal, &plan)?;
    let mut granted = Granted::default();
    let plan = plan
        .transform_down_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => authorize_scan(policy, principal, scan, &mut granted),
            node => Ok(Transformed::no(node)),
        })?
        .data;
    Ok(AuthorizedPlan { plan, granted: Arc::new(granted) })
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

/// Functions are free, but for those that rules speak of.
fn refuse_functions(policy: &dyn Policy, principal: &Principal, plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let name = match expression {
                    Expr::ScalarFunction(function) => function.func.name(),
                    Expr::AggregateFunction(function) => function.func.name(),
                    Expr::WindowFunction(function) => function.fun.name(),
                    Expr::HigherOrderFunction(function) => function.func.name(),
                    _ => return Ok(TreeNodeRecursion::Continue),
                };
                if policy.may_execute(principal, name) {
                    return Ok(TreeNodeRecursion::Continue);
                }
                refused = Some(name.to_owned());
                Ok(TreeNodeRecursion::Stop)
            })
        })
    })?;
    match refused {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("permission denied for function {name}"),
        )),
    }
}

fn authorize_scan(
    policy: &dyn Policy,
    principal: &Principal,
    mut scan: TableScan,
    granted: &mut Granted,
) -> DataFusionResult<Transformed<LogicalPlan>> {
    let provider = source_as_provider(&scan.source)?;
    if provider.is::<OpenTable>() || provider.is::<CteWorkTable>() {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    }
    let Some(table) = provider.downcast_ref::<PolicyTable>() else {
        // Fails closed: a table that no policy can speak of.
        return Err(DataFusionError::Internal(format!("{} is under no policy", scan.table_name)));
    };
    let Access::Granted(grant) = policy.access(principal, table.path(), &columns(table)) else {
        return Err(missing(table.path()));
    };
    let current = PolicyTable::new(table.path().clone(), Arc::clone(table.inner()), grant);
    if datafusion::catalog::TableProvider::schema(&current) != scan.source.schema() {
        // A column was hidden or masked since the statement was prepared.
        return Err(missing(table.path()));
    }
    let current = Arc::new(current);
    granted.tables.push(Arc::clone(&current));
    scan.source = provider_as_source(current);
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

/// How a query runs tells of rows and values (estimates, filters, remote SQL), so seeing it is a
/// permission on each table.
pub fn authorize_explain(
    policy: &dyn Policy,
    principal: &Principal,
    plan: &AuthorizedPlan,
) -> Result<()> {
    let refused = first_scan(&plan.plan, |table, _| !policy.may_explain(principal, table.path()))?;
    match refused {
        None => Ok(()),
        Some(table) => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("permission denied to explain a query over table \"{table}\""),
        )
        .with_hint("Ask for the action explain_remote on this table.")),
    }
}

/// COPY takes rows out of the house. `optimized` is the plan of an [`AuthorizedPlan`] once its scans
/// hold only the columns that are used.
pub fn authorize_copy(
    policy: &dyn Policy,
    principal: &Principal,
    optimized: &LogicalPlan,
) -> Result<()> {
    let refused = first_scan(optimized, |table, scan| {
        let schema = datafusion::catalog::TableProvider::schema(table);
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let columns: Vec<&str> = match &scan.projection {
            None => names.collect(),
            Some(used) => {
                let is_used = |(index, _): &(usize, &str)| used.contains(index);
                names.enumerate().filter(is_used).map(|(_, name)| name).collect()
            }
        };
        !policy.may_copy(principal, table.path(), &columns)
    })?;
    match refused {
        None => Ok(()),
        Some(table) => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("permission denied to copy rows of table \"{table}\""),
        )
        .with_hint("A SELECT may show them; COPY is an action of its own.")),
    }
}

/// The same text as for a table that never existed.
fn missing(table: &ObjectPath) -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(
        ErrorKind::UndefinedTable,
        format!("relation \"{table}\" does not exist"),
    )))
}
