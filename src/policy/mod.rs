//! Decides what a principal may read, and writes that decision into the plan.
//!
//! Invariants: [`Policy::access`] does no IO. Only [`authorize`] makes an [`AuthorizedPlan`], and
//! the engine plans nothing else; only [`verify`] makes a [`VerifiedPlan`] of that, and the engine runs
//! nothing else. Nothing is allowed by default. A table that may not be read does
//! not exist for its principal.

mod authorize;
mod barrier;
mod casbin;
mod expression;
mod fault;
mod functions;
mod index;
mod lint;
mod mask;
mod planner;
mod rules;
mod store;
mod story;
mod table;
#[cfg(test)]
mod tests;
mod verify;

use std::{fmt, net::IpAddr, sync::Arc};

pub use authorize::{AuthorizedPlan, Granted, authorize, authorize_copy, authorize_explain};
pub use casbin::{CasbinPolicy, MODEL};
pub use fault::physical_rules as faulty_rules;
pub use lint::{Known, KnownTable, Warning, lint};
pub use mask::{Mask, MaskKeys};
pub use store::{PolicyState, PolicyStore};
pub use story::{tell, why_denied};
pub use table::{OpenTable, PolicyTable};
pub use verify::{VerifiedPlan, verify};

use crate::{auth::Principal, telemetry::Door};

/// A table's place in the tree that policies speak of, whatever database or alias it was found
/// through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectPath {
    pub catalog: Arc<str>,
    pub schema: Arc<str>,
    pub table: Arc<str>,
}

impl ObjectPath {
    /// The path as policies write it. A dot inside a name would read as a deeper path, so it
    /// becomes U+2024, which no rule matches by accident.
    fn object(&self) -> String {
        format!("{}.{}.{}", plain(&self.catalog), plain(&self.schema), plain(&self.table))
    }

    fn column(&self, name: &str) -> String {
        format!("{}.{}", self.object(), plain(name))
    }
}

fn plain(name: &str) -> String {
    name.replace('.', "\u{2024}")
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}

/// What a policy can be asked about one principal. Pure: a table of cases tests it.
pub trait Policy: fmt::Debug + Send + Sync {
    /// May `principal` read the table with these columns, and what of it?
    fn access(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> Access;

    /// May `principal` see how a query over this table runs: its remote SQL and its estimates?
    fn may_explain(&self, principal: &Principal, table: &ObjectPath) -> bool;

    /// May `principal` copy rows of this table, with these columns, out by COPY? Free where no rule
    /// speaks of it.
    fn may_copy(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> bool;

    /// May values of a column be sent to a model? Not by default.
    fn may_leave(&self, principal: &Principal, table: &ObjectPath, column: &str) -> bool;

    /// May `principal` call a function? Free where no rule speaks of it, but for those that send
    /// something to a model.
    fn may_execute(&self, principal: &Principal, function: &str) -> bool;

    /// May `principal` come in by this door, from there? Free where no rule speaks of the door.
    fn may_connect(&self, principal: &Principal, door: Door, peer: IpAddr) -> bool;

    /// May `principal` have a catalog's metadata read again? Free where no rule says who
    /// administers it.
    fn may_refresh(&self, principal: &Principal, catalog: &str) -> bool;

    /// May `principal` do this to the server: `monitor`, `cancel`?
    fn may_administer(&self, principal: &Principal, action: &str) -> bool;
}

#[derive(Debug, Clone, PartialEq)]
pub enum Access {
    Denied,
    Granted(Grant),
}

/// The part of a table that a principal sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Rows for which this is true; `None`: every row.
    pub row_filter: Option<RowFilter>,
    /// One for each column asked about, in that order.
    pub columns: Vec<ColumnAccess>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ColumnAccess {
    Visible,
    Hidden,
    Masked(Mask),
}

/// A predicate over a table's columns, attributes of the principal already bound as literals.
#[derive(Debug, Clone, PartialEq)]
pub enum RowFilter {
    /// No row at all.
    Nothing,
    /// SQL over the row, checked and planned against the table when a query is authorized.
    Sql(Box<datafusion::sql::sqlparser::ast::Expr>),
}
