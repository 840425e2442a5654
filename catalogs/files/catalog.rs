use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use datafusion::{catalog::TableProvider, datasource::object_store::ObjectStoreUrl};

use super::{
    facts::FactsCache,
    layout,
    store::FileStore,
    table::{self, FileTable},
};
use crate::{
    Capabilities, CatalogName, Result, Source, SourceError, SourceErrorKind, TableDefinition,
};

/// The schema of files that lie in no folder.
const DEFAULT_SCHEMA: &str = "public";

/// What may be set for any source of files.
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// Between the fields of CSV files; `None`: a comma, or what the header of a file uses.
    pub csv_delimiter: Option<u8>,
}

/// A catalog made of files.
pub struct FileCatalog {
    name: CatalogName,
    store: Arc<dyn FileStore>,
    options: FileOptions,
    facts: FactsCache,
    url: ObjectStoreUrl,
}

impl FileCatalog {
    pub fn new(
        name: &CatalogName,
        store: Arc<dyn FileStore>,
        options: FileOptions,
    ) -> Result<Self> {
        // A name of its own for each store, so that two never meet in a session.
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let url =
            ObjectStoreUrl::parse(format!("weir-files://{name}-{number}")).map_err(|error| {
                SourceError::new(SourceErrorKind::Internal, "the catalog has no URL")
                    .with_source(error)
            })?;
        Ok(Self { name: name.clone(), store, options, facts: FactsCache::default(), url })
    }
}

impl fmt::Debug for FileCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCatalog").field("name", &self.name).field("store", &self.store).finish()
    }
}

#[async_trait]
impl Source for FileCatalog {
    /// Filters skip parts of files and limits end reading early; nothing is computed elsewhere.
    fn capabilities(&self) -> Capabilities {
        Capabilities { filter: true, limit: true, cancel: true, ..Capabilities::default() }
    }

    async fn discover(&self) -> Result<Vec<TableDefinition>> {
        let listed = self.store.list().await?;
        let tables = layout::tables(&listed, DEFAULT_SCHEMA);
        let files = tables
            .iter()
            .filter_map(|table| table.contents.as_ref().ok())
            .flat_map(|contents| {
                contents.files.iter().map(|file| (file.meta.clone(), contents.format))
            })
            .collect();
        let facts = self.facts.inspect(&self.store.objects(), files, &self.options).await;
        Ok(tables.iter().map(|table| table::define(table, &facts)).collect())
    }

    fn table(&self, definition: &Arc<TableDefinition>) -> Arc<dyn TableProvider> {
        Arc::new(FileTable::new(Arc::clone(definition), Arc::clone(&self.store), self.url.clone()))
    }

    async fn check(&self) -> Result<String> {
        let tables = self.discover().await?;
        let unreadable: Vec<_> =
            tables.iter().filter_map(|table| Some((table, table::problem(table)?))).collect();
        let place = self.store.describe();
        match unreadable.first() {
            None => Ok(format!("{place}, {} tables", tables.len())),
            Some((table, why)) => Err(SourceError::new(
                SourceErrorKind::Rejected,
                format!(
                    "{place}: {} of {} tables can't be read, the first is \"{}.{}\": {why}",
                    unreadable.len(),
                    tables.len(),
                    table.schema,
                    table.name
                ),
            )),
        }
    }

    fn default_schema(&self) -> &str {
        DEFAULT_SCHEMA
    }
}
