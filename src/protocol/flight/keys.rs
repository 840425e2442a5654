//! Keys, as Flight SQL lists them.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int32Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use arrow_flight::sql::CommandGetPrimaryKeys;

use crate::{
    error::Result,
    policy::{ColumnAccess, Grant},
};
use weir_catalogs::{Key, TableDefinition};

pub(super) fn primary_key_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

pub(super) fn foreign_key_schema() -> SchemaRef {
    let rule = |name| Field::new(name, DataType::UInt8, false);
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        rule("update_rule"),
        rule("delete_rule"),
    ]))
}

fn text(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, is_nullable)
}

/// Collects the primary keys of the tables that were asked for.
pub(super) struct PrimaryKeys {
    asked: CommandGetPrimaryKeys,
    /// Catalog, schema, table, column, key, position from 1.
    rows: Vec<([String; 5], i32)>,
}

impl PrimaryKeys {
    pub(super) fn new(asked: CommandGetPrimaryKeys) -> Self {
        Self { asked, rows: Vec::new() }
    }

    /// A key of which a column is hidden is not shown: nor would its part be a key.
    pub(super) fn append(&mut self, catalog: &str, table: &TableDefinition, grant: &Grant) {
        let is_asked = self.asked.table == table.name
            && self.asked.catalog.as_deref().is_none_or(|asked| asked == catalog)
            && self.asked.db_schema.as_deref().is_none_or(|asked| asked == table.schema);
        let Some(key) = table.keys.iter().find(|key| key.is_primary) else { return };
        if !is_asked || !is_shown(key, grant) {
            return;
        }
        for (sequence, column) in (1..).zip(&key.columns) {
            let column = table.columns.field(*column).name();
            let names = [catalog, &table.schema, &table.name, column, &key.name];
            self.rows.push((names.map(str::to_owned), sequence));
        }
    }

    pub(super) fn build(mut self) -> Result<RecordBatch> {
        self.rows.sort_by(|(a, n), (b, m)| (&a[..3], &a[4], n).cmp(&(&b[..3], &b[4], m)));
        let names = |index: usize| {
            let values = self.rows.iter().map(|(names, _)| names[index].as_str());
            Arc::new(StringArray::from_iter_values(values)) as ArrayRef
        };
        let sequence = Int32Array::from_iter_values(self.rows.iter().map(|(_, n)| *n));
        let mut columns: Vec<ArrayRef> = (0..5).map(names).collect();
        columns.push(Arc::new(sequence));
        Ok(RecordBatch::try_new(primary_key_schema(), columns)?)
    }
}

fn is_shown(key: &Key, grant: &Grant) -> bool {
    key.columns.iter().all(|column| {
        grant.columns.get(*column).is_some_and(|access| *access != ColumnAccess::Hidden)
    })
}
