//! A folder of this machine as a catalog: a folder is a schema, a file or a folder of files is a
//! table.
//!
//! Invariant: nothing outside the root is ever opened, whatever links and names the root holds, and
//! nothing is ever written.

mod options;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::{options::LocalOptions, store::ConfinedStore};
use crate::{CatalogName, Options, Result, Source, SourceKind, files::FileCatalog};

pub const KIND: SourceKind = SourceKind { name: "local", options: options::OPTIONS, open };

fn open(name: &CatalogName, options: Options) -> Result<Arc<dyn Source>> {
    let options = LocalOptions::read(&options)?;
    let store = ConfinedStore::new(options.root, options.max_files);
    Ok(Arc::new(FileCatalog::new(name, Arc::new(store), options.files)?))
}
