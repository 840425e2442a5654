//! The rows of `information_schema`.

use arrow::record_batch::RecordBatch;

use super::{
    Shown,
    functions::referential_action,
    objects::{INFORMATION_SCHEMA_OID, OWNER, Objects, Reference, TableKey},
    relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation},
    rows::{Value, build},
    types,
};
use crate::error::Result;

const TYPES_WITH_TEXT_LENGTH: [i64; 2] = [1042, 1043];

/// The views that can have rows; all others are empty.
pub fn has_rows(name: &str) -> bool {
    matches!(
        name,
        "applicable_roles"
            | "character_sets"
            | "collations"
            | "column_privileges"
            | "columns"
            | "constraint_column_usage"
            | "constraint_table_usage"
            | "enabled_roles"
            | "information_schema_catalog_name"
            | "key_column_usage"
            | "referential_constraints"
            | "role_table_grants"
            | "schemata"
            | "table_constraints"
            | "table_privileges"
            | "tables"
            | "views"
    )
}

/// Makes the rows of one view.
pub fn batch(relation: &Relation, shown: &Shown, objects: &Objects) -> Result<RecordBatch> {
    let view = View { relation, shown, objects, database: &shown.database };
    match relation.name {
        "applicable_roles" => view.applicable_roles(),
        "character_sets" => view.character_sets(),
        "collations" => view.collations(),
        "column_privileges" => view.column_privileges(),
        "columns" => view.columns(),
        "constraint_column_usage" => view.constraint_column_usage(),
        "constraint_table_usage" => view.constraint_table_usage(),
        "enabled_roles" => view.enabled_roles(),
        "information_schema_catalog_name" => {
            build(relation, &["catalog_name"], [[shown.database.as_str().into()]])
        }
        "key_column_usage" => view.key_column_usage(),
        "referential_constraints" => view.referential_constraints(),
        "role_table_grants" | "table_privileges" => view.table_privileges(),
        "schemata" => view.schemata(),
        "table_constraints" => view.table_constraints(),
        "tables" => view.tables(),
        "views" => view.views(),
        _ => Ok(RecordBatch::new_empty(relation.arrow.clone())),
    }
}

/// A relation that has columns: one of the system's or one of the session's.
struct Entry<'a> {
    schema: &'a str,
    name: &'a str,
    kind: &'static str,
    is_system: bool,
    columns: &'a arrow::datatypes::Fields,
}

struct View<'a> {
    relation: &'a Relation,
    shown: &'a Shown,
    objects: &'a Objects,
    database: &'a str,
}

impl<'a> View<'a> {
    fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let (shown, objects) = (self.shown, self.objects);
        let system = Relation::all().map(|relation| Entry {
            schema: relation.schema,
            name: relation.name,
            kind: relation.kind,
            is_system: true,
            columns: relation.arrow.fields(),
        });
        let tables = objects.tables.iter().map(move |table| {
            let definition = table.shown(shown);
            Entry {
                schema: &objects.schemas[table.schema].name,
                name: &definition.name,
                kind: table.kind(shown),
                is_system: false,
                columns: definition.columns.fields(),
            }
        });
        // As in PostgreSQL, materialized views are not part of the standard's views.
        system.chain(tables).filter(|entry| entry.kind != "m")
    }

    fn schemata(&self) -> Result<RecordBatch> {
        let rows = self
            .objects
            .schemas
            .iter()
            .map(|schema| [self.database.into(), schema.name.as_str().into(), OWNER.into()]);
        build(self.relation, &["catalog_name", "schema_name", "schema_owner"], rows)
    }

    fn tables(&self) -> Result<RecordBatch> {
        let names = [
            "table_catalog",
            "table_schema",
            "table_name",
            "table_type",
            "is_insertable_into",
            "is_typed",
        ];
        let rows = self.entries().map(|entry| {
            [
                self.database.into(),
                entry.schema.into(),
                entry.name.into(),
                if entry.kind == "v" { "VIEW" } else { "BASE TABLE" }.into(),
                "NO".into(),
                "NO".into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn views(&self) -> Result<RecordBatch> {
        let names = [
            "table_catalog",
            "table_schema",
            "table_name",
            "check_option",
            "is_updatable",
            "is_insertable_into",
            "is_trigger_updatable",
            "is_trigger_deletable",
            "is_trigger_insertable_into",
        ];
        let rows = self.entries().filter(|entry| entry.kind == "v").map(|entry| {
            let no = || Value::from("NO");
            [
                self.database.into(),
                entry.schema.into(),
                entry.name.into(),
                "NONE".into(),
                no(),
                no(),
                no(),
                no(),
                no(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn columns(&self) -> Result<RecordBatch> {
        let names = [
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "is_nullable",
            "data_type",
            "character_maximum_length",
            "character_octet_length",
            "numeric_precision",
            "numeric_precision_radix",
            "numeric_scale",
            "datetime_precision",
            "udt_catalog",
            "udt_schema",
            "udt_name",
            "dtd_identifier",
            "is_self_referencing",
            "is_identity",
            "identity_cycle",
            "is_generated",
            "is_updatable",
        ];
        let database = self.database;
        let rows = self.entries().flat_map(|entry| {
            let (schema, table) = (entry.schema, entry.name);
            entry.columns.iter().enumerate().map(move |(position, field)| {
                let facets = Facets::of(types::of(field));
                let ordinal = i64::try_from(position + 1).unwrap_or(i64::MAX);
                [
                    database.into(),
                    schema.into(),
                    table.into(),
                    field.name().as_str().into(),
                    ordinal.into(),
                    if field.is_nullable() { "YES" } else { "NO" }.into(),
                    facets.data_type.into(),
                    facets.character_length.into(),
                    facets.octet_length.into(),
                    facets.precision.into(),
                    facets.radix.into(),
                    facets.scale.into(),
                    facets.datetime_precision.into(),
                    database.into(),
                    PG_CATALOG.into(),
                    facets.type_name.into(),
                    ordinal.to_string().into(),
                    "NO".into(),
                    "NO".into(),
                    "NO".into(),
                    "NEVER".into(),
                    "NO".into(),
                ]
            })
        });
        build(self.relation, &names, rows)
    }

    fn table_constraints(&self) -> Result<RecordBatch> {
        let names = [
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
            "enforced",
        ];
        let keys = self.objects.keys.iter().map(|key| {
            let is_primary = key.shown(self.objects, self.shown).is_primary;
            (self.key_names(key), if is_primary { "PRIMARY KEY" } else { "UNIQUE" })
        });
        let references = self.objects.references.iter();
        let references =
            references.map(|reference| (self.reference_names(reference), "FOREIGN KEY"));
        let rows = keys.chain(references).map(|((schema, table, name), kind)| {
            [
                self.database.into(),
                schema.into(),
                name.into(),
                self.database.into(),
                schema.into(),
                table.into(),
                kind.into(),
                "NO".into(),
                "NO".into(),
                "YES".into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn key_column_usage(&self) -> Result<RecordBatch> {
        let names = [
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "position_in_unique_constraint",
        ];
        let keys = self.objects.keys.iter().flat_map(|key| {
            let (schema, table, name) = self.key_names(key);
            self.key_columns(key).enumerate().map(move |(position, column)| {
                [
                    self.database.into(),
                    schema.into(),
                    name.into(),
                    self.database.into(),
                    schema.into(),
                    table.into(),
                    column.into(),
                    ordinal(position),
                    Value::Null,
                ]
            })
        });
        let references = self.objects.references.iter().flat_map(|reference| {
            let (schema, table, name) = self.reference_names(reference);
            let columns = &reference.shown(self.objects, self.shown).columns;
            let fields = self.objects.tables[reference.table].shown(self.shown).columns.fields();
            let pairs = columns.iter().zip(&reference.referenced_columns).enumerate();
            pairs.filter_map(move |(position, (column, referenced))| {
                let key = reference.referenced_key.map(|key| &self.objects.keys[key]);
                let key = key.map(|key| &key.shown(self.objects, self.shown).columns);
                let unique = key.and_then(|key| key.iter().position(|own| own == referenced));
                Some([
                    self.database.into(),
                    schema.into(),
                    name.into(),
                    self.database.into(),
                    schema.into(),
                    table.into(),
                    fields.get(*column)?.name().as_str().into(),
                    ordinal(position),
                    unique.map_or(Value::Null, ordinal),
                ])
            })
        });
        build(self.relation, &names, keys.chain(references))
    }

    fn referential_constraints(&self) -> Result<RecordBatch> {
        let names = [
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "unique_constraint_catalog",
            "unique_constraint_schema",
            "unique_constraint_name",
            "match_option",
            "update_rule",
            "delete_rule",
        ];
        let rows = self.objects.references.iter().map(|reference| {
            let (schema, _, name) = self.reference_names(reference);
            let definition = reference.shown(self.objects, self.shown);
            let unique = reference.referenced_key.map(|key| &self.objects.keys[key]);
            let unique = unique.map(|key| self.key_names(key));
            [
                self.database.into(),
                schema.into(),
                name.into(),
                unique.map(|_| self.database).into(),
                unique.map(|(schema, ..)| schema).into(),
                unique.map(|(.., name)| name).into(),
                if definition.match_type == 'f' { "FULL" } else { "NONE" }.into(),
                referential_action(definition.on_update).into(),
                referential_action(definition.on_delete).into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn constraint_column_usage(&self) -> Result<RecordBatch> {
        let names = [
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
        ];
        let keys = self.objects.keys.iter().flat_map(|key| {
            let (schema, table, name) = self.key_names(key);
            self.key_columns(key).map(move |column| (schema, table, column, schema, name))
        });
        let references = self.objects.references.iter().flat_map(|reference| {
            let (schema, _, name) = self.reference_names(reference);
            let referenced = &self.objects.tables[reference.referenced_table];
            let of = self.objects.schemas[referenced.schema].name.as_str();
            let definition = referenced.shown(self.shown);
            let columns = reference.referenced_columns.iter();
            let fields = columns.filter_map(|column| definition.columns.fields().get(*column));
            let table = definition.name.as_str();
            fields.map(move |field| (of, table, field.name().as_str(), schema, name))
        });
        let rows = keys.chain(references).map(|(of, table, column, schema, name)| {
            [
                self.database.into(),
                of.into(),
                table.into(),
                column.into(),
                self.database.into(),
                schema.into(),
                name.into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn constraint_table_usage(&self) -> Result<RecordBatch> {
        let names = [
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
        ];
        let keys = self.objects.keys.iter().map(|key| {
            let (schema, table, name) = self.key_names(key);
            (schema, table, schema, name)
        });
        let references = self.objects.references.iter().map(|reference| {
            let (schema, _, name) = self.reference_names(reference);
            let referenced = &self.objects.tables[reference.referenced_table];
            let of = self.objects.schemas[referenced.schema].name.as_str();
            (of, referenced.shown(self.shown).name.as_str(), schema, name)
        });
        let rows = keys.chain(references).map(|(of, table, schema, name)| {
            let database = self.database;
            [database.into(), of.into(), table.into(), database.into(), schema.into(), name.into()]
        });
        build(self.relation, &names, rows)
    }

    fn table_privileges(&self) -> Result<RecordBatch> {
        let names = [
            "grantor",
            "grantee",
            "table_catalog",
            "table_schema",
            "table_name",
            "privilege_type",
            "is_grantable",
            "with_hierarchy",
        ];
        let rows = self.entries().map(|entry| {
            let grantee = if entry.is_system { "PUBLIC" } else { &self.shown.user };
            [
                OWNER.into(),
                grantee.into(),
                self.database.into(),
                entry.schema.into(),
                entry.name.into(),
                "SELECT".into(),
                "NO".into(),
                "YES".into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn column_privileges(&self) -> Result<RecordBatch> {
        let names = [
            "grantor",
            "grantee",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "privilege_type",
            "is_grantable",
        ];
        let rows = self.entries().filter(|entry| !entry.is_system).flat_map(|entry| {
            entry.columns.iter().map(move |field| {
                [
                    OWNER.into(),
                    self.shown.user.as_str().into(),
                    self.database.into(),
                    entry.schema.into(),
                    entry.name.into(),
                    field.name().as_str().into(),
                    "SELECT".into(),
                    "NO".into(),
                ]
            })
        });
        build(self.relation, &names, rows)
    }

    fn enabled_roles(&self) -> Result<RecordBatch> {
        let mine =
            self.objects.roles.iter().filter(|role| {
                role.name == self.shown.user || self.shown.roles.contains(&role.name)
            });
        build(self.relation, &["role_name"], mine.map(|role| [role.name.as_str().into()]))
    }

    fn applicable_roles(&self) -> Result<RecordBatch> {
        let roles = self.shown.roles.iter().filter(|role| **role != self.shown.user);
        let rows =
            roles.map(|role| [self.shown.user.as_str().into(), role.as_str().into(), "NO".into()]);
        build(self.relation, &["grantee", "role_name", "is_grantable"], rows)
    }

    fn character_sets(&self) -> Result<RecordBatch> {
        let names = [
            "character_set_name",
            "character_repertoire",
            "form_of_use",
            "default_collate_catalog",
            "default_collate_schema",
            "default_collate_name",
        ];
        let row = [
            "UTF8".into(),
            "UCS".into(),
            "UTF8".into(),
            self.database.into(),
            PG_CATALOG.into(),
            "C".into(),
        ];
        build(self.relation, &names, [row])
    }

    fn collations(&self) -> Result<RecordBatch> {
        let names = ["collation_catalog", "collation_schema", "collation_name", "pad_attribute"];
        let rows = ["default", "C", "POSIX", "ucs_basic"]
            .map(|name| [self.database.into(), PG_CATALOG.into(), name.into(), "NO PAD".into()]);
        build(self.relation, &names, rows)
    }

    /// Schema, table and name of a key.
    fn key_names(&self, key: &TableKey) -> (&'a str, &'a str, &'a str) {
        let (shown, objects) = (self.shown, self.objects);
        let table = &objects.tables[key.table];
        let schema = &objects.schemas[table.schema];
        debug_assert_ne!(schema.oid, INFORMATION_SCHEMA_OID, "{INFORMATION_SCHEMA} has no keys");
        (&schema.name, &table.shown(shown).name, &key.shown(objects, shown).name)
    }

    fn reference_names(&self, reference: &Reference) -> (&'a str, &'a str, &'a str) {
        let (shown, objects) = (self.shown, self.objects);
        let table = &objects.tables[reference.table];
        let schema = &objects.schemas[table.schema];
        (&schema.name, &table.shown(shown).name, &reference.shown(objects, shown).name)
    }

    fn key_columns(&self, key: &TableKey) -> impl Iterator<Item = &'a str> + use<'a> {
        let (shown, objects) = (self.shown, self.objects);
        let fields = objects.tables[key.table].shown(shown).columns.fields();
        let columns = key.shown(objects, shown).columns.iter();
        columns.filter_map(|column| fields.get(*column).map(|field| field.name().as_str()))
    }
}

fn ordinal(position: usize) -> Value<'static> {
    i64::try_from(position + 1).unwrap_or(i64::MAX).into()
}

/// What `information_schema.columns` says of a type.
#[derive(Default)]
pub struct Facets {
    data_type: &'static str,
    type_name: &'static str,
    pub character_length: Option<i64>,
    octet_length: Option<i64>,
    pub precision: Option<i64>,
    radix: Option<i64>,
    pub scale: Option<i64>,
    pub datetime_precision: Option<i64>,
}

impl Facets {
    pub fn of((oid, modifier): (i64, i64)) -> Self {
        let Some(row) = types::by_oid(oid) else { return Self::default() };
        let is_array = row.element != 0 && row.shown.ends_with("[]");
        let plain = Self {
            data_type: if is_array { "ARRAY" } else { row.shown },
            type_name: row.name,
            ..Self::default()
        };
        let number = |precision, radix, scale| Self {
            precision: Some(precision),
            radix: Some(radix),
            scale,
            ..Self { data_type: plain.data_type, type_name: plain.type_name, ..Self::default() }
        };
        match row.name {
            "int2" => number(16, 2, Some(0)),
            "int4" => number(32, 2, Some(0)),
            "int8" => number(64, 2, Some(0)),
            "float4" => number(24, 2, None),
            "float8" => number(53, 2, None),
            "numeric" if modifier >= 0 => {
                let scale = ((modifier - 4) & 0x7ff) ^ 1024;
                number((modifier - 4) >> 16, 10, Some(scale - 1024))
            }
            "numeric" => Self { radix: Some(10), ..plain },
            "date" => Self { datetime_precision: Some(0), ..plain },
            "time" | "timetz" | "timestamp" | "timestamptz" => {
                let precision = if modifier < 0 { 6 } else { modifier };
                Self { datetime_precision: Some(precision), ..plain }
            }
            "interval" => Self { datetime_precision: Some(6), ..plain },
            "text" => Self { octet_length: Some(1 << 30), ..plain },
            _ if TYPES_WITH_TEXT_LENGTH.contains(&oid) => Self {
                character_length: (modifier >= 4).then_some(modifier - 4),
                octet_length: Some(if modifier >= 4 { (modifier - 4) * 4 } else { 1 << 30 }),
                ..plain
            },
            _ => plain,
        }
    }
}
