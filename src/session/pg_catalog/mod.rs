//! What a session sees of itself: `pg_catalog` and `information_schema` as PostgreSQL 15 has them,
//! filled with what the principal may see; the functions that read them; and a pass over a parsed
//! statement that makes PostgreSQL's catalog queries plannable.
//!
//! Invariant: everything is made from [`Shown`]; what is not in it cannot be found, counted or told
//! from what does not exist.

mod arrays;
mod casts;
mod functions;
mod information_schema;
mod lateral;
mod objects;
mod output;
mod relations;
mod rewrite;
mod rows;
mod scope;
mod subqueries;
mod tables;
#[cfg(test)]
mod tests;
mod types;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use arrow::{
    datatypes::{Field, SchemaRef},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    datasource::memory::MemorySourceConfig,
    error::DataFusionError,
    logical_expr::{Expr, ScalarUDF, TableType},
    physical_plan::ExecutionPlan,
    sql::sqlparser::ast::Statement,
};
use weir_catalogs::{ForeignKey, Key, TableKind};

use self::{
    objects::Objects,
    relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation},
};
use crate::error::Result;

/// The PostgreSQL that we answer as.
pub const SERVER_VERSION: &str = "15.8";
const SERVER_VERSION_NUM: &str = "150008";

/// Everything that a principal may see in one database.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    pub database: String,
    pub databases: Vec<String>,
    pub user: String,
    pub roles: Vec<String>,
    pub search_path: Vec<String>,
    pub schemas: Vec<ShownSchema>,
    pub version: u64,
}

#[derive(Debug, Clone)]
pub struct ShownSchema {
    /// As shown in this database: `sales`, `sales.other`, `public`.
    pub name: String,
    pub tables: Vec<ShownTable>,
}

#[derive(Debug, Clone)]
pub struct ShownTable {
    pub name: String,
    /// `catalog.schema.table`. The oid derives from it, and is the same in every session.
    pub key: String,
    pub kind: TableKind,
    /// The visible columns, with the metadata of [`weir_catalogs::field`].
    pub columns: SchemaRef,
    pub comment: Option<String>,
    /// Positions in `columns`; a key with a hidden column is left out.
    pub keys: Vec<Key>,
    pub foreign_keys: Vec<ShownForeignKey>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
}

/// A foreign key of visible columns. It exists once what it refers to is visible too.
#[derive(Debug, Clone)]
pub struct ShownForeignKey {
    /// With positions in the visible columns.
    pub key: ForeignKey,
    /// `catalog.schema.table`
    pub referenced: String,
}

/// The system catalogs of one session. Cheap to make: rows are built when first read.
#[derive(Clone)]
pub struct PgCatalog {
    state: Arc<State>,
}

struct State {
    shown: Arc<Shown>,
    objects: OnceLock<Objects>,
    batches: HashMap<(&'static str, &'static str), OnceLock<RecordBatch>>,
}

impl PgCatalog {
    pub fn new(shown: Arc<Shown>) -> Self {
        let cells =
            Relation::all().map(|relation| ((relation.schema, relation.name), OnceLock::new()));
        Self {
            state: Arc::new(State { shown, objects: OnceLock::new(), batches: cells.collect() }),
        }
    }

    pub fn shown(&self) -> &Arc<Shown> {
        &self.state.shown
    }

    /// A table or view of `pg_catalog` or `information_schema`.
    pub fn table(&self, schema: &str, name: &str) -> Option<Arc<dyn TableProvider>> {
        let relation = Relation::find(schema, name)?;
        Some(Arc::new(SystemTable { relation, catalog: self.clone() }))
    }

    pub fn table_names(&self, schema: &str) -> Vec<String> {
        Relation::names(schema)
    }

    /// The functions of this session: register them all in its context.
    pub fn functions(&self) -> Vec<Arc<ScalarUDF>> {
        let mut functions = functions::all(self);
        functions.extend(arrays::all());
        functions
    }

    /// Turns the forms of PostgreSQL's catalog queries into ones that DataFusion plans, with the
    /// same meaning. Other queries are left as they are. Answers what types parameters are cast to.
    pub fn rewrite(&self, statement: &mut Statement) -> Result<ParameterTypes> {
        rewrite::rewrite(self, statement)
    }

    /// How PostgreSQL prints a value of one of the `reg…` types, of which our columns hold the oid
    /// (`PG_TYPE` says `regproc`, `regclass`, `regtype` …). `None`: print the number.
    pub fn reg_name(&self, type_name: &str, oid: i64) -> Option<String> {
        functions::reg_name(&self.state.shown, self.objects(), type_name, oid)
    }

    fn objects(&self) -> &Objects {
        self.state.objects.get_or_init(|| Objects::new(&self.state.shown))
    }

    fn batch(&self, relation: &'static Relation) -> Result<RecordBatch> {
        let make = || match relation.schema {
            INFORMATION_SCHEMA => {
                information_schema::batch(relation, &self.state.shown, self.objects())
            }
            _ => tables::batch(relation, &self.state.shown, self.objects()),
        };
        let Some(cell) = self.state.batches.get(&(relation.schema, relation.name)) else {
            return make();
        };
        if let Some(batch) = cell.get() {
            return Ok(batch.clone());
        }
        let batch = make()?;
        Ok(cell.get_or_init(|| batch).clone())
    }
}

impl fmt::Debug for PgCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgCatalog").field("version", &self.state.shown.version).finish()
    }
}

/// The type oid and modifier that `pg_attribute` gives for a column; doors announce the same.
pub fn pg_type_of(field: &Field) -> (i64, i64) {
    types::of(field)
}

/// The name of a column as a client sees it. PostgreSQL lets names repeat in a result and
/// DataFusion does not: [`PgCatalog::rewrite`] numbers repeated ones behind a U+0001.
pub fn shown_name(column: &str) -> &str {
    column.split('\u{1}').next().unwrap_or(column)
}

/// The name that PostgreSQL gives to an output column without an alias.
pub use rewrite::output_name;

pub use rewrite::ParameterTypes;
pub use tables::fixed_setting;

#[derive(Debug)]
struct SystemTable {
    relation: &'static Relation,
    catalog: PgCatalog,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.relation.arrow.clone()
    }

    fn table_type(&self) -> TableType {
        if self.relation.kind == "r" { TableType::Base } else { TableType::View }
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let batch = self
            .catalog
            .batch(self.relation)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let exec =
            MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?;
        Ok(exec)
    }
}
