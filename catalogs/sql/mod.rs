//! What all SQL sources share: from a DataFusion scan to the text of one remote statement.
//!
//! A scan becomes a small query of our own ([`Query`]), which a [`Dialect`] renders. Invariant: only
//! [`render`] makes [`Sql`], and a source runs nothing else on behalf of a query; what the renderer
//! or the pushdown rules do not know is not pushed, so that an answer never depends on pushdown.

pub mod dialects;
mod exec;
mod fault;
mod fragment;
mod ir;
mod keys;
mod pushdown;
mod read;
mod render;
mod split;
mod statistics;
mod table;

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;

use crate::{Capabilities, CatalogName, Result, TableDefinition};

pub use exec::RemoteExec;
pub use fragment::FragmentTable;
pub use ir::{
    Aggregate, Arithmetic, CastType, Comparison, From, JoinKind, Literal, OrderBy, Output, Pattern,
    Query, Scalar, TableName,
};
pub use keys::{JoinKeys, widens};
pub use pushdown::{
    Collation, Compare, Inputs, Precision, Pushed, Refusal, RemoteColumn, RemoteColumns,
    RemoteValue, TableInputs, push, push_value,
};
pub use read::{TableRead, tables_read};
pub use render::{Dialect, DialectLimits, Pages, Sql, render, rendered_bytes, sign};
pub use split::{RemoteSplit, SplitRead, SplitRows, SplitTasks};
pub use table::{PushdownMode, RemoteTable};

/// A source that answers SQL. [`RemoteTable`] makes a table provider of it.
#[async_trait]
pub trait RemoteSql: fmt::Debug + Send + Sync {
    fn catalog(&self) -> &CatalogName;

    fn dialect(&self) -> &dyn Dialect;

    fn capabilities(&self) -> Capabilities;

    /// Lists every table. Each definition's handle is an `Arc<RemoteColumns>`.
    async fn discover(&self) -> Result<Vec<TableDefinition>>;

    /// Runs one statement. Dropping the stream cancels it at the source; a stream that was cut
    /// ends in an error, never in a short result.
    async fn query(&self, query: RemoteQuery) -> Result<SendableRecordBatchStream>;

    /// How large tables are read by several connections, if the source can do that.
    fn split_read(&self) -> Option<&dyn SplitRead> {
        None
    }
}

/// One statement, and what its answer must look like.
#[derive(Debug, Clone)]
pub struct RemoteQuery {
    pub sql: Sql,
    /// The columns of the answer, in order. A value that does not fit is an error.
    pub schema: SchemaRef,
    /// What errors name: `catalog.schema.table`, before the column.
    pub relation: Arc<str>,
}
