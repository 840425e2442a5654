use std::sync::{Arc, Mutex, PoisonError};

use datafusion::{
    catalog::TableProvider, common::TableReference, logical_expr::ScalarUDF, sql::sqlparser::ast,
};
use weir_catalogs::{
    Catalog, CatalogName, ForeignKey, Key, TableDefinition, sql::PushdownMode, sql::RemoteTable,
};

use super::{
    Settings,
    pg_catalog::{
        ParameterTypes, PgCatalog, Shown, ShownForeignKey, ShownSchema, ShownTable, output_name,
    },
};
use crate::{
    auth::Principal,
    engine::{Engine, Names},
    error::{Error, ErrorKind, Result},
    policy::{Access, ColumnAccess, Grant, ObjectPath, OpenTable, Policy, PolicyTable},
};

/// The tree of names that a client connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// `weir`: every catalog's default schema under the catalog's name, its others as
    /// `catalog.schema`.
    All,
    /// One catalog, with its own schemas.
    One(CatalogName),
}

const ALL: &str = "weir";
const SYSTEM_SCHEMAS: &[&str] = &["pg_catalog", "information_schema"];

impl Database {
    /// A catalog of which the principal sees nothing does not exist (3D000).
    pub fn parse(name: &str, engine: &Engine, principal: &Principal) -> Result<Self> {
        if name.is_empty() || name == ALL {
            return Ok(Self::All);
        }
        match engine.catalog(name) {
            Some(catalog) if shows_anything(engine, principal, catalog) => {
                Ok(Self::One(catalog.name().clone()))
            }
            _ => Err(Error::new(
                ErrorKind::InvalidCatalog,
                format!("database \"{name}\" does not exist"),
            )
            .with_hint("The database weir shows every catalog at once.")),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::All => ALL,
            Self::One(name) => name.as_str(),
        }
    }

    pub fn default_search_path(&self, engine: &Engine) -> String {
        match self {
            Self::All => {
                engine.catalogs.keys().map(CatalogName::as_str).collect::<Vec<_>>().join(", ")
            }
            Self::One(name) => engine
                .catalog(name.as_str())
                .map_or_else(String::new, |catalog| catalog.source().default_schema().to_owned()),
        }
    }
}

/// What one principal sees of the catalogs, under the names of one database.
#[derive(Debug)]
pub struct Visible {
    engine: Arc<Engine>,
    principal: Arc<Principal>,
    database: Database,
    /// Of the session, whatever it sees.
    functions: Vec<Arc<ScalarUDF>>,
    /// The last that was built.
    system: Mutex<Option<Arc<System>>>,
}

/// The system catalogs, with what they were built from.
#[derive(Debug)]
struct System {
    version: u64,
    search_path: Vec<String>,
    catalog: PgCatalog,
    functions: Vec<Arc<ScalarUDF>>,
}

impl Visible {
    pub fn new(
        engine: Arc<Engine>,
        principal: Arc<Principal>,
        database: Database,
        functions: Vec<Arc<ScalarUDF>>,
    ) -> Self {
        Self { engine, principal, database, functions, system: Mutex::new(None) }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Changes with the policy and with every refresh of a catalog.
    pub fn version(&self) -> u64 {
        let snapshots: u64 =
            self.engine.catalogs.values().map(|catalog| catalog.snapshot().version).sum();
        snapshots.wrapping_mul(1 << 20).wrapping_add(self.engine.policy.version())
    }

    /// The catalog, if the principal sees anything of it.
    pub fn catalog(&self, name: &str) -> Option<&Arc<Catalog>> {
        self.engine
            .catalog(name)
            .filter(|catalog| shows_anything(&self.engine, &self.principal, catalog))
    }

    /// Catalogs of which the principal sees anything.
    pub fn catalogs(&self) -> impl Iterator<Item = &Arc<Catalog>> {
        let is_visible =
            |catalog: &&Arc<Catalog>| shows_anything(&self.engine, &self.principal, catalog);
        self.engine.catalogs.values().filter(is_visible)
    }

    /// The tables of a catalog that the principal sees, each with what it sees of it.
    pub fn tables(&self, catalog: &Catalog) -> Vec<(Arc<TableDefinition>, Grant)> {
        let snapshot = catalog.snapshot();
        snapshot
            .tables()
            .filter_map(|definition| {
                let access = access(&self.engine, &self.principal, catalog.name(), definition);
                match access {
                    Access::Granted(grant) => Some((Arc::clone(definition), grant)),
                    Access::Denied => None,
                }
            })
            .collect()
    }

    /// The names as they are looked up under these settings.
    pub fn at(self: &Arc<Self>, settings: &Settings) -> NamesAt {
        let search_path = settings.search_path();
        let system = self.system(search_path);
        NamesAt { visible: Arc::clone(self), pushdown: settings.pushdown(), system }
    }

    /// Built anew only when a catalog, the policy or the search path changed.
    fn system(&self, search_path: Vec<String>) -> Arc<System> {
        let version = self.version();
        let mut cached = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(system) = cached.as_ref()
            && system.version == version
            && system.search_path == search_path
        {
            return Arc::clone(system);
        }
        let catalog = PgCatalog::new(Arc::new(self.shown(version, &search_path)));
        let mut functions = catalog.functions();
        functions.extend(self.functions.iter().cloned());
        let system = Arc::new(System { version, search_path, catalog, functions });
        *cached = Some(Arc::clone(&system));
        system
    }

    fn shown(&self, version: u64, search_path: &[String]) -> Shown {
        let catalogs: Vec<&Arc<Catalog>> = self.catalogs().collect();
        let mut databases = vec![ALL.to_owned()];
        databases.extend(catalogs.iter().map(|catalog| catalog.name().to_string()));
        let mut schemas = Vec::new();
        for catalog in catalogs {
            if matches!(&self.database, Database::One(name) if name != catalog.name()) {
                continue;
            }
            for (definition, grant) in self.tables(catalog) {
                let name = self.schema_name(catalog, &definition.schema);
                let table = shown_table(catalog, definition, grant);
                match schemas.iter_mut().find(|schema: &&mut ShownSchema| schema.name == name) {
                    Some(schema) => schema.tables.push(table),
                    None => schemas.push(ShownSchema { name, tables: vec![table] }),
                }
            }
        }
        Shown {
            database: self.database.name().to_owned(),
            databases,
            user: self.principal.name.to_string(),
            roles: self.principal.roles.iter().map(ToString::to_string).collect(),
            search_path: search_path.to_vec(),
            schemas,
            version,
        }
    }

    /// The name that a catalog's schema has in this database.
    pub fn schema_name(&self, catalog: &Catalog, schema: &str) -> String {
        match &self.database {
            Database::One(_) => schema.to_owned(),
            Database::All if schema == catalog.source().default_schema() => {
                catalog.name().to_string()
            }
            Database::All => format!("{}.{schema}", catalog.name()),
        }
    }

    /// The catalog and its own schema behind a schema name of this database.
    fn place(&self, schema: &str) -> Option<(&Arc<Catalog>, String)> {
        match &self.database {
            Database::One(name) => {
                self.engine.catalog(name.as_str()).map(|catalog| (catalog, schema.to_owned()))
            }
            Database::All => {
                let (catalog, rest) = match schema.split_once('.') {
                    Some((catalog, rest)) => (catalog, Some(rest)),
                    None => (schema, None),
                };
                let catalog = self.engine.catalog(catalog)?;
                let schema = rest.unwrap_or(catalog.source().default_schema()).to_owned();
                Some((catalog, schema))
            }
        }
    }
}

/// [`Visible`] under the settings of one statement.
pub struct NamesAt {
    visible: Arc<Visible>,
    pushdown: PushdownMode,
    system: Arc<System>,
}

impl NamesAt {
    fn in_schema(&self, schema: &str, table: &str) -> Option<Arc<dyn TableProvider>> {
        if SYSTEM_SCHEMAS.contains(&schema) {
            return self.system_table(schema, table);
        }
        let (catalog, schema) = self.visible.place(schema)?;
        self.in_catalog(catalog, &schema, table)
    }

    fn system_table(&self, schema: &str, table: &str) -> Option<Arc<dyn TableProvider>> {
        let table = self.system.catalog.table(schema, table)?;
        Some(Arc::new(OpenTable::new(table)))
    }

    fn in_catalog(
        &self,
        catalog: &Catalog,
        schema: &str,
        table: &str,
    ) -> Option<Arc<dyn TableProvider>> {
        let snapshot = catalog.snapshot();
        let definition = snapshot.table(schema, table)?;
        let (engine, principal) = (&self.visible.engine, &self.visible.principal);
        let Access::Granted(grant) = access(engine, principal, catalog.name(), definition) else {
            return None;
        };
        let provider = catalog.open(definition);
        let provider = match provider.downcast_ref::<RemoteTable>() {
            Some(remote) => Arc::new(remote.with_pushdown(self.pushdown)),
            None => provider,
        };
        Some(Arc::new(PolicyTable::new(path(catalog.name(), definition), provider, grant)))
    }

    fn find(&self, reference: &TableReference) -> Option<Arc<dyn TableProvider>> {
        match reference {
            TableReference::Bare { table } => self
                .system_table("pg_catalog", table)
                .or_else(|| self.system.search_path.iter().find_map(|s| self.in_schema(s, table))),
            TableReference::Partial { schema, table } => self.in_schema(schema, table),
            TableReference::Full { catalog, schema, table } => {
                if catalog.as_ref() == self.visible.database.name() {
                    return self.in_schema(schema, table);
                }
                let catalog = self.visible.engine.catalog(catalog)?;
                self.in_catalog(catalog, schema, table)
            }
        }
    }
}

impl Names for NamesAt {
    fn table(&self, reference: &TableReference) -> Result<Arc<dyn TableProvider>> {
        self.find(reference).ok_or_else(|| {
            Error::new(
                ErrorKind::UndefinedTable,
                format!("relation \"{reference}\" does not exist"),
            )
        })
    }

    fn functions(&self) -> &[Arc<ScalarUDF>] {
        &self.system.functions
    }

    fn rewrite(&self, statement: &mut ast::Statement) -> Result<ParameterTypes> {
        if let ast::Statement::Query(query) = statement {
            name_outputs(&mut query.body);
        }
        self.system.catalog.rewrite(statement)
    }
}

/// Names the columns of a result as PostgreSQL does. DataFusion refuses a repeated name, so repeats
/// are numbered behind a U+0001 ([`super::pg_catalog::shown_name`] takes it off again).
fn name_outputs(body: &mut ast::SetExpr) {
    match body {
        ast::SetExpr::Select(select) => name_items(&mut select.projection),
        ast::SetExpr::Query(query) => name_outputs(&mut query.body),
        // The first branch names the columns.
        ast::SetExpr::SetOperation { left, .. } => name_outputs(left),
        _ => {}
    }
}

fn name_items(items: &mut [ast::SelectItem]) {
    let mut seen: Vec<String> = Vec::new();
    for item in items {
        match item {
            ast::SelectItem::UnnamedExpr(expression) => {
                let name = output_name(expression);
                let is_column = matches!(
                    expression,
                    ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)
                );
                let repeats = seen.iter().filter(|known| **known == name).count();
                seen.push(name.clone());
                if is_column && repeats == 0 {
                    continue;
                }
                let name = if repeats == 0 { name } else { format!("{name}\u{1}{repeats}") };
                let expr = expression.clone();
                *item = ast::SelectItem::ExprWithAlias {
                    expr,
                    alias: ast::Ident::with_quote('"', name),
                };
            }
            ast::SelectItem::ExprWithAlias { alias, .. } => {
                let name = match alias.quote_style {
                    Some(_) => alias.value.clone(),
                    None => alias.value.to_lowercase(),
                };
                let repeats = seen.iter().filter(|known| **known == name).count();
                seen.push(name.clone());
                if repeats > 0 {
                    *alias = ast::Ident::with_quote('"', format!("{name}\u{1}{repeats}"));
                }
            }
            _ => {}
        }
    }
}

fn path(catalog: &CatalogName, definition: &TableDefinition) -> ObjectPath {
    ObjectPath {
        catalog: catalog.as_str().into(),
        schema: definition.schema.as_str().into(),
        table: definition.name.as_str().into(),
    }
}

fn access(
    engine: &Engine,
    principal: &Principal,
    catalog: &CatalogName,
    definition: &TableDefinition,
) -> Access {
    let columns: Vec<&str> =
        definition.columns.fields().iter().map(|field| field.name().as_str()).collect();
    engine.policy.access(principal, &path(catalog, definition), &columns)
}

fn shows_anything(engine: &Engine, principal: &Principal, catalog: &Catalog) -> bool {
    catalog
        .snapshot()
        .tables()
        .any(|definition| access(engine, principal, catalog.name(), definition) != Access::Denied)
}

fn shown_table(catalog: &Catalog, definition: Arc<TableDefinition>, grant: Grant) -> ShownTable {
    let visible: Vec<usize> = (0..definition.columns.fields().len())
        .filter(|index| grant.columns.get(*index) != Some(&ColumnAccess::Hidden))
        .collect();
    let is_restricted = grant.row_filter.is_some();
    let is_whole =
        !is_restricted && grant.columns.iter().all(|access| *access == ColumnAccess::Visible);
    let columns = match definition.columns.project(&visible) {
        Ok(columns) => Arc::new(columns),
        Err(_) => Arc::new(datafusion::arrow::datatypes::Schema::empty()),
    };
    ShownTable {
        name: definition.name.clone(),
        key: path(catalog.name(), &definition).to_string(),
        kind: definition.kind,
        columns,
        comment: definition.comment.clone(),
        keys: definition.keys.iter().filter_map(|key| shown_key(key, &visible)).collect(),
        foreign_keys: definition
            .foreign_keys
            .iter()
            .filter_map(|key| shown_foreign_key(catalog, key, &visible))
            .collect(),
        // How many rows there are is a hint on those that are hidden.
        rows: definition.statistics.rows.filter(|_| !is_restricted),
        // How much room they take, on values too.
        bytes: definition.statistics.bytes.filter(|_| is_whole),
    }
}

/// A key by the positions of the visible columns, if none of its own is hidden.
fn shown_key(key: &Key, visible: &[usize]) -> Option<Key> {
    Some(Key { columns: shown_columns(&key.columns, visible)?, ..key.clone() })
}

fn shown_foreign_key(
    catalog: &Catalog,
    key: &ForeignKey,
    visible: &[usize],
) -> Option<ShownForeignKey> {
    let columns = shown_columns(&key.columns, visible)?;
    let referenced = ObjectPath {
        catalog: catalog.name().as_str().into(),
        schema: key.schema.as_str().into(),
        table: key.table.as_str().into(),
    };
    let key = ForeignKey { columns, ..key.clone() };
    Some(ShownForeignKey { key, referenced: referenced.to_string() })
}

fn shown_columns(columns: &[usize], visible: &[usize]) -> Option<Vec<usize>> {
    columns.iter().map(|column| visible.iter().position(|index| index == column)).collect()
}
