//! The last look at a plan: physical, and as every rule of the engine has left it.
//!
//! Invariant: what a leaf reads is asked of the leaf itself, so that no rule can lose the answer. A
//! leaf that is not known, or a table that is not read as its grant demands, fails the query.

use std::sync::Arc;

use datafusion::{
    datasource::{memory::MemorySourceConfig, source::DataSourceExec},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{
        ExecutionPlan, coalesce_partitions::CoalescePartitionsExec, coop::CooperativeExec,
        empty::EmptyExec, execute_stream, filter::FilterExec, memory::LazyMemoryExec,
        placeholder_row::PlaceholderRowExec, projection::ProjectionExec,
        repartition::RepartitionExec, work_table::WorkTableExec,
    },
};
use weir_catalogs::{
    files::{self, FileRead},
    sql::{From, RemoteExec, RemoteTable, TableName, TableRead, tables_read},
};

use super::{ColumnAccess, Granted, PolicyTable, barrier::PolicyBarrierExec};
use crate::error::{Error, Result};

/// A plan in which every table is read under its policy. Only [`verify`] makes one, and nothing else
/// is executed.
#[derive(Debug)]
pub struct VerifiedPlan {
    plan: Arc<dyn ExecutionPlan>,
}

impl VerifiedPlan {
    pub fn plan(&self) -> &dyn ExecutionPlan {
        self.plan.as_ref()
    }

    pub fn execute(&self, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(execute_stream(Arc::clone(&self.plan), context)?)
    }
}

/// Looks at every leaf of a plan, with what its query was granted. Call it once no rule is left that
/// could change the plan.
pub fn verify(plan: Arc<dyn ExecutionPlan>, granted: &Granted) -> Result<VerifiedPlan> {
    let story = |why: String| Error::internal(format!("a plan is not under its policy: {why}"));
    known_tables(granted).and_then(|()| look(&plan, granted)).map_err(story)?;
    Ok(VerifiedPlan { plan })
}

type Verdict = Result<(), String>;

/// Tables of a kind whose leaves [`look`] can't tell apart would pass as rows in memory.
fn known_tables(granted: &Granted) -> Verdict {
    let is_known = |table: &PolicyTable| {
        table.inner().is::<RemoteTable>() || files::is_table(table.inner().as_ref())
    };
    match granted.each().find(|table| !is_known(table)) {
        None => Ok(()),
        Some(table) => Err(format!("{} is a table of an unknown kind", table.path())),
    }
}

fn look(plan: &Arc<dyn ExecutionPlan>, granted: &Granted) -> Verdict {
    if let Some(barrier) = plan.downcast_ref::<PolicyBarrierExec>() {
        return behind_barrier(barrier, granted);
    }
    let children = plan.children();
    if children.is_empty() {
        return leaf(plan.as_ref(), granted);
    }
    children.into_iter().try_for_each(|child| look(child, granted))
}

/// The barrier must be the one that the grant of the only table below it demands.
fn behind_barrier(barrier: &PolicyBarrierExec, granted: &Granted) -> Verdict {
    let guard = barrier.guard();
    if !barrier.is_tight().map_err(|error| error.to_string())? {
        return Err(format!("something is computed below the barrier of {}", guard.path));
    }
    let leaf = only_leaf(barrier.input())?;
    let is_read = |table: &PolicyTable| match leaf.downcast_ref::<RemoteExec>() {
        Some(remote) => {
            matches!(&remote.query().from, From::Table(name) if is_at(table, remote, name))
        }
        None => FileRead::of(leaf).is_some_and(|read| read.is_of(table.inner().as_ref())),
    };
    demanded(granted, leaf, is_read, |table| {
        if table.path() == &guard.path && table.grant() == &guard.grant {
            return Ok(());
        }
        Err(format!("{} is behind the barrier of {}", table.path(), guard.path))
    })
}

/// What is below a barrier: one scan, and nodes that neither join nor look elsewhere.
fn only_leaf(plan: &Arc<dyn ExecutionPlan>) -> Result<&dyn ExecutionPlan, String> {
    let passes = plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<FilterExec>()
        || plan.is::<ProjectionExec>();
    match plan.children()[..] {
        [] => Ok(plan.as_ref()),
        [child] if passes => only_leaf(child),
        _ => Err(format!("{} is below a barrier", plan.name())),
    }
}

/// A leaf that no barrier is above.
fn leaf(leaf: &dyn ExecutionPlan, granted: &Granted) -> Verdict {
    if reads_nothing(leaf) {
        return Ok(());
    }
    if let Some(remote) = leaf.downcast_ref::<RemoteExec>() {
        let Some(reads) = tables_read(remote.query()) else {
            return Err(format!("a statement can't be looked through: {}", remote.sql()));
        };
        return reads.iter().try_for_each(|read| {
            let is_read = |table: &PolicyTable| is_at(table, remote, read.table);
            demanded(granted, leaf, is_read, |table| in_statement(table, read))
        });
    }
    let Some(read) = FileRead::of(leaf) else {
        return Err(format!("{} is a leaf that nobody knows", leaf.name()));
    };
    let is_read = |table: &PolicyTable| read.is_of(table.inner().as_ref());
    demanded(granted, leaf, is_read, |table| {
        if !table.is_unrestricted() {
            return Err(format!("{} is read without its barrier", table.path()));
        }
        let hidden = concealed(table).find(|(_, name)| read.columns().contains(*name));
        match hidden {
            None => Ok(()),
            Some((_, name)) => Err(format!("hidden column {name} of {} is read", table.path())),
        }
    })
}

/// Leaves that hold no rows of a catalog: constants, series, and the system's own tables, which show
/// what their principal sees. The tables of catalogs are never in memory ([`known_tables`]).
fn reads_nothing(leaf: &dyn ExecutionPlan) -> bool {
    let is_memory = |scan: &DataSourceExec| scan.data_source().is::<MemorySourceConfig>();
    leaf.is::<EmptyExec>()
        || leaf.is::<PlaceholderRowExec>()
        || leaf.is::<WorkTableExec>()
        || leaf.is::<LazyMemoryExec>()
        || leaf.downcast_ref::<DataSourceExec>().is_some_and(is_memory)
}

/// Holds a leaf against every grant of the table that it reads. There is one at least.
fn demanded(
    granted: &Granted,
    leaf: &dyn ExecutionPlan,
    is_read: impl Fn(&PolicyTable) -> bool,
    holds: impl Fn(&PolicyTable) -> Verdict,
) -> Verdict {
    let mut is_granted = false;
    for table in granted.each().filter(|table| is_read(table)) {
        holds(table)?;
        is_granted = true;
    }
    match is_granted {
        true => Ok(()),
        false => Err(format!("{} reads a table that nobody granted", leaf.name())),
    }
}

fn is_at(table: &PolicyTable, remote: &RemoteExec, name: &TableName) -> bool {
    let Some(known) = table.inner().downcast_ref::<RemoteTable>() else { return false };
    known.remote().catalog() == remote.catalog() && known.name() == *name
}

/// The row filter must be on the very level that reads the table, and that level must name nothing
/// else that the grant does not show.
fn in_statement(table: &PolicyTable, read: &TableRead<'_>) -> Verdict {
    let path = table.path();
    let Some(remote) = table.inner().downcast_ref::<RemoteTable>() else {
        return Err(format!("{path} is at no source"));
    };
    let filter = table.planned_filter().map_err(|error| error.to_string())?;
    let conditions = match &filter {
        None => Some(Vec::new()),
        Some(filter) => crate::federation::conditions(remote, filter),
    };
    let Some(names) = conditions.and_then(|conditions| read.names_besides(&conditions)) else {
        return Err(format!("a statement reads {path} without its row filter"));
    };
    for (index, name) in concealed(table) {
        let Some(column) = remote.inputs().columns.columns.get(index) else {
            return Err(format!("column {name} of {path} is unknown at its source"));
        };
        if names.contains(column.name.as_str()) {
            return Err(format!("a statement names column {name} of {path}"));
        }
    }
    Ok(())
}

/// The columns whose values the grant does not show, with their positions.
fn concealed(table: &PolicyTable) -> impl Iterator<Item = (usize, &String)> {
    let accesses = table.grant().columns.iter().map(Some).chain(std::iter::repeat(None));
    let fields = table.source_columns().fields().iter().map(|field| field.name());
    let named = fields.enumerate().zip(accesses);
    // What the policy was not asked about is not shown.
    named
        .filter(|(_, access)| !matches!(access, Some(ColumnAccess::Visible)))
        .map(|(column, _)| column)
}
