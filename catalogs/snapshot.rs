use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use datafusion::catalog::TableProvider;

use crate::{CatalogName, Result, Source, TableDefinition};

/// A source's metadata at one moment. Planning reads it and nothing else.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Schema, then table. An empty schema is listed too when the source has it.
    pub schemas: BTreeMap<String, BTreeMap<String, Arc<TableDefinition>>>,
    pub taken_at: SystemTime,
    /// Grows with every refresh of any catalog: caches use it as a key.
    pub version: u64,
}

impl Snapshot {
    fn new(tables: Vec<TableDefinition>) -> Self {
        static VERSION: AtomicU64 = AtomicU64::new(1);
        let mut schemas: BTreeMap<String, BTreeMap<String, Arc<TableDefinition>>> = BTreeMap::new();
        for table in tables {
            schemas
                .entry(table.schema.clone())
                .or_default()
                .insert(table.name.clone(), Arc::new(table));
        }
        Self {
            schemas,
            taken_at: SystemTime::now(),
            version: VERSION.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub fn table(&self, schema: &str, name: &str) -> Option<&Arc<TableDefinition>> {
        self.schemas.get(schema)?.get(name)
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDefinition>> {
        self.schemas.values().flat_map(BTreeMap::values)
    }
}

/// One configured source with its latest snapshot.
#[derive(Debug)]
pub struct Catalog {
    name: CatalogName,
    source: Arc<dyn Source>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// What the last refresh said, if it failed.
    failure: RwLock<Option<String>>,
    refreshing: tokio::sync::Mutex<()>,
}

impl Catalog {
    /// Starts with an empty snapshot: call [`Catalog::refresh`].
    pub fn new(name: CatalogName, source: Arc<dyn Source>) -> Self {
        Self {
            name,
            source,
            snapshot: RwLock::new(Arc::new(Snapshot::new(Vec::new()))),
            failure: RwLock::new(Some("not read yet".to_owned())),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    pub fn name(&self) -> &CatalogName {
        &self.name
    }

    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        read(&self.snapshot).clone()
    }

    /// Why the last refresh failed; `None` when it succeeded.
    pub fn failure(&self) -> Option<String> {
        read(&self.failure).clone()
    }

    /// Reads the source's metadata again. On an error the old snapshot stays.
    pub async fn refresh(&self) -> Result<()> {
        let _one_at_a_time = self.refreshing.lock().await;
        match self.source.discover().await {
            Ok(tables) => {
                *write(&self.snapshot) = Arc::new(Snapshot::new(tables));
                *write(&self.failure) = None;
                Ok(())
            }
            Err(error) => {
                *write(&self.failure) = Some(error.message.clone());
                Err(error)
            }
        }
    }

    /// Opens a table of the snapshot. No IO.
    pub fn open(&self, definition: &Arc<TableDefinition>) -> Arc<dyn TableProvider> {
        self.source.table(definition)
    }
}

/// A lock is poisoned only if a panic passed while it was held; the value is still whole.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
