//! Sources: remote systems and files seen as SQL catalogs. One folder for each source.
//!
//! Invariant: a source folder uses [`sql`] or [`files`], never another source and never the proxy.

mod error;
mod options;
mod snapshot;
mod source;

pub mod field;
pub mod files;
pub mod local;
pub mod postgres;
pub mod sql;

pub use error::{Result, SourceError, SourceErrorKind};
pub use options::{OptionKind, OptionSpec, OptionValue, Options};
pub use snapshot::{Catalog, Snapshot};
pub use source::{
    Capabilities, CatalogName, ColumnStatistics, ForeignKey, Key, QueryLabel, Source, SourceKind,
    TableDefinition, TableKind, TableStatistics,
};

/// Every source that this build knows. A new source adds one line here.
pub const SOURCES: &[SourceKind] = &[local::KIND, postgres::KIND];
