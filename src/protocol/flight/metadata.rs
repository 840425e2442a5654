//! Catalogs, schemas, tables and what else drivers ask before they query.
//!
//! Invariant: [`Visible`] is the only place that names come from, so what a principal may not see
//! is not here.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::{
    error::FlightError,
    sql::{
        CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetSqlInfo,
        CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    },
};
use datafusion::catalog::TableProvider;
use weir_catalogs::{Catalog, TableDefinition, TableKind};

use super::{
    keys::{PrimaryKeys, foreign_key_schema, primary_key_schema},
    sql_info::{sql_info, type_info},
};
use crate::{
    error::{Error, Result},
    policy::{Grant, ObjectPath, PolicyTable},
    session::{Database, Visible},
};

/// A question on names.
#[derive(Debug, Clone)]
pub(super) enum Metadata {
    Catalogs,
    Schemas(CommandGetDbSchemas),
    Tables(CommandGetTables),
    TableTypes,
    SqlInfo(CommandGetSqlInfo),
    TypeInfo(CommandGetXdbcTypeInfo),
    PrimaryKeys(CommandGetPrimaryKeys),
    ForeignKeys,
}

impl Metadata {
    /// Of the answer.
    pub(super) fn schema(&self) -> Result<SchemaRef> {
        let schema = match self {
            Self::Catalogs => CommandGetCatalogs {}.into_builder().schema(),
            Self::Schemas(filter) => filter.clone().into_builder().schema(),
            Self::Tables(filter) => filter.clone().into_builder().schema(),
            Self::TableTypes => CommandGetTableTypes {}.into_builder().schema(),
            Self::SqlInfo(_) => sql_info()?.schema(),
            Self::TypeInfo(_) => type_info()?.schema(),
            Self::PrimaryKeys(_) => primary_key_schema(),
            Self::ForeignKeys => foreign_key_schema(),
        };
        Ok(schema)
    }

    pub(super) fn answer(self, names: &Visible) -> Result<RecordBatch> {
        match self {
            Self::Catalogs => {
                let mut builder = CommandGetCatalogs {}.into_builder();
                catalogs(names).for_each(|catalog| builder.append(catalog.name().as_str()));
                builder.build().map_err(broken)
            }
            Self::Schemas(filter) => schemas(filter, names),
            Self::Tables(filter) => tables(filter, names),
            Self::TableTypes => {
                let mut builder = CommandGetTableTypes {}.into_builder();
                TABLE_TYPES.iter().for_each(|name| builder.append(name));
                builder.build().map_err(broken)
            }
            Self::SqlInfo(filter) => filter.into_builder(&sql_info()?).build().map_err(broken),
            Self::TypeInfo(filter) => filter.into_builder(&type_info()?).build().map_err(broken),
            Self::PrimaryKeys(asked) => {
                let mut keys = PrimaryKeys::new(asked);
                for catalog in catalogs(names) {
                    for (table, grant) in names.tables(catalog) {
                        keys.append(catalog.name().as_str(), &table, &grant);
                    }
                }
                keys.build()
            }
            Self::ForeignKeys => Ok(RecordBatch::new_empty(foreign_key_schema())),
        }
    }
}

/// The catalogs of the database that the call is for.
fn catalogs(names: &Visible) -> impl Iterator<Item = &std::sync::Arc<Catalog>> {
    names.catalogs().filter(|catalog| match names.database() {
        Database::All => true,
        Database::One(name) => name == catalog.name(),
    })
}

fn schemas(filter: CommandGetDbSchemas, names: &Visible) -> Result<RecordBatch> {
    let mut builder = filter.into_builder();
    for catalog in catalogs(names) {
        // A schema of which every table is hidden is hidden itself.
        let mut schemas: Vec<String> =
            names.tables(catalog).into_iter().map(|(table, _)| table.schema.clone()).collect();
        schemas.sort();
        schemas.dedup();
        schemas.iter().for_each(|schema| builder.append(catalog.name().as_str(), schema));
    }
    builder.build().map_err(broken)
}

fn tables(filter: CommandGetTables, names: &Visible) -> Result<RecordBatch> {
    let includes_schema = filter.include_schema;
    let mut builder = filter.into_builder();
    let no_columns = arrow::datatypes::Schema::empty();
    for catalog in catalogs(names) {
        for (table, grant) in names.tables(catalog) {
            let shown = includes_schema.then(|| columns(catalog, &table, grant));
            let columns = shown.as_deref().unwrap_or(&no_columns);
            let kind = table_type(table.kind);
            builder
                .append(catalog.name().as_str(), &table.schema, &table.name, kind, columns)
                .map_err(broken)?;
        }
    }
    builder.build().map_err(broken)
}

/// The columns as a query of this principal would find them: hidden ones cut, masked ones nullable.
fn columns(catalog: &Catalog, table: &std::sync::Arc<TableDefinition>, grant: Grant) -> SchemaRef {
    let path = ObjectPath {
        catalog: catalog.name().as_str().into(),
        schema: table.schema.as_str().into(),
        table: table.name.as_str().into(),
    };
    super::rows::sent_schema(&PolicyTable::new(path, catalog.open(table), grant).schema())
}

const TABLE_TYPES: &[&str] = &["FOREIGN TABLE", "MATERIALIZED VIEW", "TABLE", "VIEW"];

fn table_type(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Table | TableKind::PartitionedTable | TableKind::Files => "TABLE",
        TableKind::ForeignTable => "FOREIGN TABLE",
        TableKind::View => "VIEW",
        TableKind::MaterializedView => "MATERIALIZED VIEW",
    }
}

fn broken(error: FlightError) -> Error {
    Error::internal(error)
}
