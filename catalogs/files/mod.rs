//! What all file sources share: which files make which table, what their columns are, and how their
//! rows are read. A source adds a [`FileStore`]: where the bytes come from.
//!
//! Invariant: a query reads exactly the files, in exactly the versions, that the snapshot describes.
//! A file that has changed since is an error of kind `Stale`, and a file that can't be read makes
//! its table unreadable: no file is ever left out silently.

mod arrow_file;
mod catalog;
mod csv;
mod estimates;
mod facts;
mod layout;
mod named_scan;
mod ndjson;
mod parquet;
mod read;
mod scan;
mod sieve;
mod store;
mod table;
mod text;
mod types;
mod value;

pub use catalog::{FileCatalog, FileOptions};
pub use read::{FileRead, is_table};
pub use store::{FileStore, Listed};
