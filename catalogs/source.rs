use std::{any::Any, fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::TableProvider,
    common::{ColumnStatistics as EngineStatistics, Statistics, stats::Precision},
    scalar::ScalarValue,
};

use crate::{OptionSpec, Options, Result};

/// A remote system or a folder of files that can be queried as a catalog.
///
/// Sources know nothing of principals: what a principal may see is decided above them.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// What may be pushed down; the conformance suite checks each claim both ways.
    fn capabilities(&self) -> Capabilities;

    /// Lists every table with its columns, in a few round trips.
    async fn discover(&self) -> Result<Vec<TableDefinition>>;

    /// Opens one discovered table. No IO: planning must not wait on a network.
    fn table(&self, definition: &Arc<TableDefinition>) -> Arc<dyn TableProvider>;

    /// Connects, and says in one line what it found (`PostgreSQL 15.8, TLS`).
    async fn check(&self) -> Result<String>;

    /// The schema whose tables need no schema name, such as `public` or `dbo`.
    /// Ends when a table turned out to be other than [`Source::discover`] found it. A source that
    /// does not notice never ends it.
    async fn changed(&self) {
        std::future::pending().await
    }

    fn default_schema(&self) -> &str;
}

/// The name of a configured catalog: the stem of its file in `config/catalogs/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CatalogName(Arc<str>);

impl CatalogName {
    /// Accepts `[a-z_][a-z0-9_]*` of at most 63 bytes, so that no client needs to quote it, and
    /// refuses names that mean something else in SQL.
    pub fn parse(name: &str) -> Result<Self, String> {
        const RESERVED: &[&str] = &["weir", "system", "pg_catalog", "information_schema", "public"];
        let mut characters = name.chars();
        let starts_well = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
        let goes_on_well =
            characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !starts_well || !goes_on_well || name.len() > 63 {
            return Err(format!(
                "catalog name \"{name}\" must be lower-case letters, digits and _, \
                 must not start with a digit, and have at most 63 bytes"
            ));
        }
        if RESERVED.contains(&name) {
            return Err(format!("catalog name \"{name}\" is reserved"));
        }
        Ok(Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CatalogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub filter: bool,
    pub limit: bool,
    pub sort: bool,
    pub aggregate: bool,
    pub join: bool,
    pub cancel: bool,
}

/// One table, as a snapshot remembers it.
#[derive(Debug, Clone)]
pub struct TableDefinition {
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    /// Fields carry the metadata keys of [`crate::field`].
    pub columns: SchemaRef,
    pub comment: Option<String>,
    pub keys: Vec<Key>,
    pub foreign_keys: Vec<ForeignKey>,
    pub statistics: TableStatistics,
    /// What only the source understands: an oid, a list of files.
    pub handle: Option<Arc<dyn Any + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Table,
    PartitionedTable,
    ForeignTable,
    View,
    MaterializedView,
    Files,
}

/// Columns (by position) whose values are those of another table's columns (by name). It is shown,
/// and never relied on: a source may not enforce it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<usize>,
    pub schema: String,
    pub table: String,
    pub referenced: Vec<String>,
    /// As PostgreSQL abbreviates them in `pg_constraint`: `a` for NO ACTION, `c` for CASCADE …
    pub on_update: char,
    pub on_delete: char,
    /// `s` for SIMPLE, `f` for FULL.
    pub match_type: char,
}

/// Columns (by position) that are unique together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub columns: Vec<usize>,
    pub is_primary: bool,
}

/// Estimates; never used where a wrong number would change an answer.
#[derive(Debug, Clone, Default)]
pub struct TableStatistics {
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// Pages on disk, when the source can read the table by runs of them.
    pub pages: Option<u64>,
    /// One for each column, or empty when nothing is known.
    pub columns: Vec<ColumnStatistics>,
}

impl TableStatistics {
    /// As the engine's planner takes them: all of it [`Precision::Inexact`].
    pub(crate) fn estimates(&self, columns: usize) -> Statistics {
        let inexact = |count: Option<u64>| {
            count
                .and_then(|count| usize::try_from(count).ok())
                .map_or(Precision::Absent, Precision::Inexact)
        };
        let bound = |value: &Option<ScalarValue>| {
            value.clone().map_or(Precision::Absent, Precision::Inexact)
        };
        let column = |index: usize| {
            let Some(column) = self.columns.get(index) else {
                return EngineStatistics::new_unknown();
            };
            let nulls = column.null_fraction.zip(self.rows);
            let distinct = column.distinct_count;
            EngineStatistics {
                null_count: inexact(nulls.map(|(part, rows)| (part * rows as f64).round() as u64)),
                distinct_count: inexact(distinct.map(|n| self.rows.map_or(n, |rows| n.min(rows)))),
                min_value: bound(&column.min),
                max_value: bound(&column.max),
                ..EngineStatistics::new_unknown()
            }
        };
        Statistics {
            num_rows: inexact(self.rows),
            total_byte_size: inexact(self.bytes),
            column_statistics: (0..columns).map(column).collect(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct ColumnStatistics {
    /// From 0 to 1.
    pub null_fraction: Option<f64>,
    pub distinct_count: Option<u64>,
    /// Mean width in bytes.
    pub width: Option<u64>,
    pub min: Option<ScalarValue>,
    pub max: Option<ScalarValue>,
}

/// A kind of source, as `source = "postgres"` names it in a catalog file.
#[derive(Clone, Copy)]
pub struct SourceKind {
    pub name: &'static str,
    pub options: &'static [OptionSpec],
    pub open: fn(&CatalogName, Options) -> Result<Arc<dyn Source>>,
}

/// Who asks, for the comment in front of remote statements. An extension of the session's
/// configuration: sources print it and never interpret it.
#[derive(Debug, Clone, Default)]
pub struct QueryLabel {
    pub query_id: String,
    pub principal: String,
}
