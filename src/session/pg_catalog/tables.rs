//! The rows of `pg_catalog`: built-in ones from static files, the session's own from [`Objects`].

use std::borrow::Cow;

use arrow::record_batch::RecordBatch;
use weir_catalogs::field;

use super::{
    Shown,
    objects::{FUNCTION_COLUMNS, OWNER, OWNER_OID, Objects, PG_CATALOG_OID},
    relations::{PG_CATALOG, Relation},
    rows::{Value, build, build_static},
    types,
};
use crate::error::{Error, Result};

const PG_CLASS_OID: i64 = 1259;
const BTREE: i64 = 403;
const HEAP: i64 = 2;
const UTF8: i64 = 6;
/// The default tablespace.
const TABLESPACE: i64 = 1663;
const PAGE_BYTES: u64 = 8192;

/// The tables of `pg_catalog` that can have rows. All others are empty, always: PostgreSQL's own
/// bookkeeping, and kinds of objects that do not exist here.
pub fn has_rows(name: &str) -> bool {
    STATIC.iter().any(|(table, ..)| *table == name)
        || matches!(
            name,
            "pg_attribute"
                | "pg_auth_members"
                | "pg_class"
                | "pg_constraint"
                | "pg_database"
                | "pg_description"
                | "pg_index"
                | "pg_indexes"
                | "pg_matviews"
                | "pg_namespace"
                | "pg_proc"
                | "pg_roles"
                | "pg_settings"
                | "pg_stat_all_tables"
                | "pg_stat_user_tables"
                | "pg_tables"
                | "pg_type"
                | "pg_user"
                | "pg_views"
        )
}

type Static = (&'static str, &'static [&'static str], &'static str);

/// Tables whose rows are the same for everybody: their columns and the file.
const STATIC: &[Static] = &[
    ("pg_am", &["oid", "amname", "amhandler", "amtype"], include_str!("static/pg_am.tsv")),
    (
        "pg_cast",
        &["oid", "castsource", "casttarget", "castfunc", "castcontext", "castmethod"],
        include_str!("static/pg_cast.tsv"),
    ),
    (
        "pg_collation",
        &[
            "oid",
            "collname",
            "collnamespace",
            "collowner",
            "collprovider",
            "collisdeterministic",
            "collencoding",
            "collcollate",
            "collctype",
        ],
        include_str!("static/pg_collation.tsv"),
    ),
    (
        "pg_language",
        &[
            "oid",
            "lanname",
            "lanowner",
            "lanispl",
            "lanpltrusted",
            "lanplcallfoid",
            "laninline",
            "lanvalidator",
        ],
        include_str!("static/pg_language.tsv"),
    ),
    (
        "pg_opclass",
        &[
            "oid",
            "opcmethod",
            "opcname",
            "opcnamespace",
            "opcowner",
            "opcfamily",
            "opcintype",
            "opcdefault",
            "opckeytype",
        ],
        include_str!("static/pg_opclass.tsv"),
    ),
    (
        "pg_operator",
        &[
            "oid",
            "oprname",
            "oprkind",
            "oprcanmerge",
            "oprcanhash",
            "oprleft",
            "oprright",
            "oprresult",
            "oprcom",
            "oprnegate",
            "oprcode",
        ],
        include_str!("static/pg_operator.tsv"),
    ),
    (
        "pg_range",
        &[
            "rngtypid",
            "rngsubtype",
            "rngmultitypid",
            "rngcollation",
            "rngsubopc",
            "rngcanonical",
            "rngsubdiff",
        ],
        include_str!("static/pg_range.tsv"),
    ),
    (
        "pg_get_keywords()",
        &["word", "catcode", "barelabel", "catdesc", "baredesc"],
        include_str!("static/keywords.tsv"),
    ),
    ("pg_tablespace", &["oid", "spcname", "spcowner"], include_str!("static/pg_tablespace.tsv")),
    (
        "pg_ts_config",
        &["oid", "cfgname", "cfgnamespace", "cfgowner", "cfgparser"],
        include_str!("static/pg_ts_config.tsv"),
    ),
];

/// The value of a setting that is the same for every session, as SHOW prints it.
pub fn fixed_setting(name: &str) -> Option<String> {
    let lines = include_str!("static/pg_settings.tsv").lines();
    let mut rows = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    let row = rows.find(|row| row.first().is_some_and(|known| known.eq_ignore_ascii_case(name)))?;
    let (value, unit) = (*row.get(1)?, *row.get(2)?);
    Some(match (value.parse::<i64>(), unit) {
        (Ok(number), "kB") if number % 1024 == 0 => format!("{}MB", number / 1024),
        (Ok(number), "8kB") if number % (1 << 17) == 0 => format!("{}GB", number >> 17),
        (Ok(number), "kB") => format!("{number}kB"),
        _ => value.to_owned(),
    })
}

/// Makes the rows of one table.
pub fn batch(relation: &Relation, shown: &Shown, objects: &Objects) -> Result<RecordBatch> {
    if let Some((_, columns, text)) = STATIC.iter().find(|(table, ..)| *table == relation.name) {
        let constants: &[_] = match relation.name {
            "pg_operator" => {
                &[("oprnamespace", Value::Int(PG_CATALOG_OID)), ("oprowner", Value::Int(OWNER_OID))]
            }
            _ => &[],
        };
        return build_static(relation, columns, text, constants);
    }
    let source = Source { relation, shown, objects };
    match relation.name {
        "pg_attribute" => source.attributes(),
        "pg_auth_members" => source.memberships(),
        "pg_class" => source.classes(),
        "pg_constraint" => source.constraints(),
        "pg_database" => source.databases(),
        "pg_description" => source.descriptions(),
        "pg_index" => source.indexes(),
        "pg_indexes" => source.index_view(),
        "pg_matviews" => source.view_view("m"),
        "pg_namespace" => source.namespaces(),
        "pg_proc" => source.functions(),
        "pg_roles" => source.roles(),
        "pg_settings" => source.settings(),
        "pg_stat_all_tables" | "pg_stat_user_tables" => source.table_statistics(),
        "pg_tables" => source.table_view(),
        "pg_type" => source.types(),
        "pg_user" => source.users(),
        "pg_views" => source.view_view("v"),
        name if has_rows(name) => Err(Error::internal(format!("nobody makes rows of {name}"))),
        _ => Ok(RecordBatch::new_empty(relation.arrow.clone())),
    }
}

struct Source<'a> {
    relation: &'a Relation,
    shown: &'a Shown,
    objects: &'a Objects,
}

impl Source<'_> {
    fn classes(&self) -> Result<RecordBatch> {
        let names = [
            "oid",
            "relname",
            "relnamespace",
            "relowner",
            "relam",
            "relfilenode",
            "relpages",
            "reltuples",
            "relhasindex",
            "relpersistence",
            "relkind",
            "relnatts",
            "relispopulated",
            "relreplident",
            "relhastriggers",
        ];
        let row = |class: Class<'_>| {
            [
                class.oid.into(),
                Value::Text(Cow::Owned(class.name.to_owned())),
                class.namespace.into(),
                OWNER_OID.into(),
                class.access_method.into(),
                0.into(),
                class.bytes.map_or(0, pages).into(),
                class.rows.map_or(-1.0, approximate).into(),
                class.has_index.into(),
                "p".into(),
                class.kind.into(),
                count(class.columns).into(),
                true.into(),
                if matches!(class.kind, "i" | "v") { "n" } else { "d" }.into(),
                class.has_triggers.into(),
            ]
        };
        // PostgreSQL keeps foreign keys by triggers, on both sides: psql asks for those of tables
        // that have some.
        let refers = self.objects.references.iter();
        let refers = refers.flat_map(|reference| [reference.table, reference.referenced_table]);
        let refers = refers.collect::<std::collections::HashSet<_>>();
        let system = Relation::all().map(|relation| {
            row(Class {
                oid: relation.oid,
                name: relation.name,
                namespace: self.objects.schema_oid(relation.schema).unwrap_or_default(),
                access_method: if relation.kind == "r" { HEAP } else { 0 },
                kind: relation.kind,
                columns: relation.columns.len(),
                has_index: false,
                has_triggers: false,
                rows: None,
                bytes: None,
            })
        });
        let tables = self.objects.tables.iter().enumerate().map(|(position, table)| {
            let definition = table.shown(self.shown);
            let kind = table.kind(self.shown);
            row(Class {
                oid: table.oid,
                name: &definition.name,
                namespace: self.objects.schemas[table.schema].oid,
                access_method: if matches!(kind, "r" | "m") { HEAP } else { 0 },
                kind,
                columns: definition.columns.fields().len(),
                has_index: !definition.keys.is_empty(),
                has_triggers: refers.contains(&position),
                rows: definition.rows,
                bytes: definition.bytes,
            })
        });
        let indexes = self.objects.keys.iter().map(|key| {
            let table = &self.objects.tables[key.table];
            let definition = key.shown(self.objects, self.shown);
            row(Class {
                oid: key.index_oid,
                name: &definition.name,
                namespace: self.objects.schemas[table.schema].oid,
                access_method: BTREE,
                kind: "i",
                columns: definition.columns.len(),
                has_index: false,
                has_triggers: false,
                rows: table.shown(self.shown).rows,
                bytes: None,
            })
        });
        build(self.relation, &names, system.chain(tables).chain(indexes))
    }

    fn attributes(&self) -> Result<RecordBatch> {
        let names = [
            "attrelid",
            "attname",
            "atttypid",
            "attstattarget",
            "attlen",
            "attnum",
            "attndims",
            "attcacheoff",
            "atttypmod",
            "attbyval",
            "attalign",
            "attstorage",
            "attnotnull",
            "attislocal",
            "attcollation",
        ];
        let system = Relation::all().flat_map(|relation| {
            relation.columns.iter().zip(relation.arrow.fields()).enumerate().map(
                move |(position, (column, field))| {
                    let kind = types::of(field);
                    attribute(relation.oid, position, column.name, kind, column.is_not_null)
                },
            )
        });
        let tables = self.objects.tables.iter().flat_map(|table| {
            let fields = table.shown(self.shown).columns.fields().iter().enumerate();
            fields.map(move |(position, field)| {
                let kind = types::of(field);
                attribute(table.oid, position, field.name(), kind, !field.is_nullable())
            })
        });
        let indexes = self.objects.keys.iter().flat_map(|key| {
            let fields = self.objects.tables[key.table].shown(self.shown).columns.fields();
            let columns = &key.shown(self.objects, self.shown).columns;
            let columns = columns.iter().filter_map(|column| fields.get(*column)).enumerate();
            columns.map(move |(position, field)| {
                attribute(key.index_oid, position, field.name(), types::of(field), false)
            })
        });
        build(self.relation, &names, system.chain(tables).chain(indexes))
    }

    fn namespaces(&self) -> Result<RecordBatch> {
        let rows = self
            .objects
            .schemas
            .iter()
            .map(|schema| [schema.oid.into(), schema.name.as_str().into(), OWNER_OID.into()]);
        build(self.relation, &["oid", "nspname", "nspowner"], rows)
    }

    fn databases(&self) -> Result<RecordBatch> {
        let names = [
            "oid",
            "datname",
            "datdba",
            "encoding",
            "datlocprovider",
            "datallowconn",
            "datconnlimit",
            "dattablespace",
            "datcollate",
            "datctype",
        ];
        let rows = self.objects.databases.iter().map(|database| {
            [
                database.oid.into(),
                database.name.as_str().into(),
                OWNER_OID.into(),
                UTF8.into(),
                "c".into(),
                true.into(),
                Value::Int(-1),
                TABLESPACE.into(),
                "C".into(),
                "C".into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn roles(&self) -> Result<RecordBatch> {
        let names = [
            "oid",
            "rolname",
            "rolsuper",
            "rolinherit",
            "rolcreaterole",
            "rolcreatedb",
            "rolcanlogin",
            "rolreplication",
            "rolconnlimit",
            "rolpassword",
            "rolbypassrls",
        ];
        let rows = self.objects.roles.iter().map(|role| {
            [
                role.oid.into(),
                role.name.as_str().into(),
                false.into(),
                true.into(),
                false.into(),
                false.into(),
                (role.name == self.shown.user).into(),
                false.into(),
                Value::Int(-1),
                "********".into(),
                false.into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn users(&self) -> Result<RecordBatch> {
        let user = &self.shown.user;
        let names =
            ["usename", "usesysid", "usecreatedb", "usesuper", "userepl", "usebypassrls", "passwd"];
        let row = [
            user.as_str().into(),
            self.objects.role_oid(user).into(),
            false.into(),
            false.into(),
            false.into(),
            false.into(),
            "********".into(),
        ];
        build(self.relation, &names, [row])
    }

    fn memberships(&self) -> Result<RecordBatch> {
        let member = self.objects.role_oid(&self.shown.user);
        let roles = self.shown.roles.iter().filter(|role| **role != self.shown.user);
        let rows = roles
            .filter_map(|role| self.objects.role_oid(role))
            .map(|role| [role.into(), member.into(), OWNER_OID.into(), false.into()]);
        build(self.relation, &["roleid", "member", "grantor", "admin_option"], rows)
    }

    fn indexes(&self) -> Result<RecordBatch> {
        let names = [
            "indexrelid",
            "indrelid",
            "indnatts",
            "indnkeyatts",
            "indisunique",
            "indisprimary",
            "indimmediate",
            "indisvalid",
            "indisready",
            "indislive",
            "indkey",
            "indcollation",
            "indclass",
            "indoption",
        ];
        let rows = self.objects.keys.iter().map(|key| {
            let table = &self.objects.tables[key.table];
            let definition = key.shown(self.objects, self.shown);
            let length = definition.columns.len();
            let fields = table.shown(self.shown).columns.fields();
            let collations = definition.columns.iter().filter_map(|column| {
                types::by_oid(types::of(fields.get(*column)?).0).map(|row| row.collation)
            });
            [
                key.index_oid.into(),
                table.oid.into(),
                count(length).into(),
                count(length).into(),
                true.into(),
                definition.is_primary.into(),
                true.into(),
                true.into(),
                true.into(),
                true.into(),
                positions(&definition.columns).into(),
                collations.collect::<Vec<_>>().into(),
                vec![0; length].into(),
                vec![0; length].into(),
            ]
        });
        build(self.relation, &names, rows)
    }

    fn constraints(&self) -> Result<RecordBatch> {
        let names = [
            "oid",
            "conname",
            "connamespace",
            "contype",
            "convalidated",
            "conrelid",
            "conindid",
            "confupdtype",
            "confdeltype",
            "confmatchtype",
            "conislocal",
            "connoinherit",
            "conkey",
            "confrelid",
            "confkey",
        ];
        let keys = self.objects.keys.iter().map(|key| {
            let table = &self.objects.tables[key.table];
            let definition = key.shown(self.objects, self.shown);
            [
                key.constraint_oid.into(),
                definition.name.as_str().into(),
                self.objects.schemas[table.schema].oid.into(),
                if definition.is_primary { "p" } else { "u" }.into(),
                true.into(),
                table.oid.into(),
                key.index_oid.into(),
                " ".into(),
                " ".into(),
                " ".into(),
                true.into(),
                true.into(),
                positions(&definition.columns).into(),
                0.into(),
                Value::Null,
            ]
        });
        let references = self.objects.references.iter().map(|reference| {
            let table = &self.objects.tables[reference.table];
            let definition = reference.shown(self.objects, self.shown);
            let index = reference.referenced_key.map(|key| self.objects.keys[key].index_oid);
            [
                reference.constraint_oid.into(),
                definition.name.as_str().into(),
                self.objects.schemas[table.schema].oid.into(),
                "f".into(),
                true.into(),
                table.oid.into(),
                index.unwrap_or(0).into(),
                definition.on_update.to_string().into(),
                definition.on_delete.to_string().into(),
                definition.match_type.to_string().into(),
                true.into(),
                true.into(),
                positions(&definition.columns).into(),
                self.objects.tables[reference.referenced_table].oid.into(),
                positions(&reference.referenced_columns).into(),
            ]
        });
        build(self.relation, &names, keys.chain(references))
    }

    fn descriptions(&self) -> Result<RecordBatch> {
        let names = ["objoid", "classoid", "objsubid", "description"];
        let system = include_str!("static/pg_description.tsv").lines().map(|line| {
            let mut cells = line.split('\t').map(Value::Raw);
            [(); 4].map(|()| cells.next().unwrap_or(Value::Null))
        });
        let tables = self.objects.tables.iter().flat_map(|table| {
            let definition = table.shown(self.shown);
            let own = definition.comment.as_deref().map(|comment| (0, comment));
            let fields = definition.columns.fields().iter().enumerate();
            let columns = fields.filter_map(|(position, field)| {
                field::comment(field).map(|comment| (count(position + 1), comment))
            });
            own.into_iter().chain(columns).map(move |(position, comment)| {
                [table.oid.into(), PG_CLASS_OID.into(), position.into(), comment.into()]
            })
        });
        build(self.relation, &names, system.chain(tables))
    }

    fn types(&self) -> Result<RecordBatch> {
        build_static(
            self.relation,
            types::STATIC_COLUMNS,
            include_str!("static/pg_type.tsv"),
            &[
                ("typnamespace", Value::Int(PG_CATALOG_OID)),
                ("typowner", Value::Int(OWNER_OID)),
                ("typisdefined", Value::Bool(true)),
                ("typtypmod", Value::Int(-1)),
            ],
        )
    }

    fn functions(&self) -> Result<RecordBatch> {
        let names = [
            FUNCTION_COLUMNS,
            &["pronamespace", "proowner", "procost", "prorows", "pronargs", "prosrc"],
        ]
        .concat();
        let rows = include_str!("static/pg_proc.tsv").lines().map(|line| {
            let mut row = line.split('\t').map(Value::Raw).collect::<Vec<_>>();
            let cell = |position| match row.get(position) {
                Some(Value::Raw(text)) => *text,
                _ => "",
            };
            let (name, returns_set, arguments) = (cell(1), cell(7) == "t", cell(11));
            let arguments = arguments.split(' ').filter(|argument| !argument.is_empty()).count();
            row.extend([
                PG_CATALOG_OID.into(),
                OWNER_OID.into(),
                1.0.into(),
                if returns_set { 1000.0 } else { 0.0 }.into(),
                count(arguments).into(),
                name.into(),
            ]);
            row
        });
        build(self.relation, &names, rows)
    }

    /// What drivers and tools look up. A session's own settings are SHOW's business.
    fn settings(&self) -> Result<RecordBatch> {
        let names = [
            "name",
            "setting",
            "unit",
            "category",
            "short_desc",
            "context",
            "vartype",
            "source",
            "boot_val",
            "reset_val",
            "pending_restart",
        ];
        let row = |cells: &[Value<'static>]| {
            let cell = |position: usize| cells.get(position).cloned().unwrap_or(Value::Null);
            [
                cell(0),
                cell(1),
                cell(2),
                cell(3),
                cell(4),
                cell(5),
                cell(6),
                "default".into(),
                cell(7),
                cell(1),
                false.into(),
            ]
        };
        let lines = include_str!("static/pg_settings.tsv").lines();
        let fixed = lines.map(|line| row(&line.split('\t').map(Value::Raw).collect::<Vec<_>>()));
        let version = super::SERVER_VERSION;
        let own = [("server_version", version), ("server_version_num", super::SERVER_VERSION_NUM)]
            .map(|(name, value)| {
                let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
                row(&[
                    text(name),
                    text(value),
                    Value::Null,
                    text("Preset Options"),
                    text("Shows the server version."),
                    text("internal"),
                    text("string"),
                    text(value),
                ])
            });
        build(self.relation, &names, fixed.chain(own))
    }

    fn table_view(&self) -> Result<RecordBatch> {
        let names = ["schemaname", "tablename", "tableowner", "hasindexes"];
        let system = Relation::all().filter(|relation| relation.kind == "r").map(|relation| {
            [relation.schema.into(), relation.name.into(), OWNER.into(), false.into()]
        });
        let tables = self.objects.tables.iter();
        let tables = tables.filter(|table| matches!(table.kind(self.shown), "r" | "p"));
        let tables = tables.map(|table| {
            let definition = table.shown(self.shown);
            [
                self.objects.schemas[table.schema].name.as_str().into(),
                definition.name.as_str().into(),
                OWNER.into(),
                (!definition.keys.is_empty()).into(),
            ]
        });
        let hasnt = ["hasrules", "hastriggers", "rowsecurity"];
        let names = [&names[..], &hasnt].concat();
        let rows = system.chain(tables).map(|row| {
            let mut row = Vec::from(row);
            row.extend([false.into(), false.into(), false.into()]);
            row
        });
        build(self.relation, &names, rows)
    }

    /// `pg_views` and `pg_matviews`. Definitions stay at the source.
    fn view_view(&self, kind: &'static str) -> Result<RecordBatch> {
        let (name, owner) =
            if kind == "v" { ("viewname", "viewowner") } else { ("matviewname", "matviewowner") };
        let system = Relation::all()
            .filter(|relation| relation.kind == kind)
            .map(|relation| [relation.schema.into(), relation.name.into(), OWNER.into()]);
        let tables = self.objects.tables.iter().filter(|table| table.kind(self.shown) == kind);
        let tables = tables.map(|table| {
            [
                self.objects.schemas[table.schema].name.as_str().into(),
                table.shown(self.shown).name.as_str().into(),
                OWNER.into(),
            ]
        });
        build(self.relation, &["schemaname", name, owner], system.chain(tables))
    }

    fn index_view(&self) -> Result<RecordBatch> {
        let rows = self.objects.keys.iter().map(|key| {
            let table = &self.objects.tables[key.table];
            [
                self.objects.schemas[table.schema].name.as_str().into(),
                table.shown(self.shown).name.as_str().into(),
                key.shown(self.objects, self.shown).name.as_str().into(),
                super::functions::index_definition(self.shown, self.objects, key).into(),
            ]
        });
        build(self.relation, &["schemaname", "tablename", "indexname", "indexdef"], rows)
    }

    fn table_statistics(&self) -> Result<RecordBatch> {
        let tables = self.objects.tables.iter();
        let rows = tables.filter(|table| table.kind(self.shown) != "v").map(|table| {
            let definition = table.shown(self.shown);
            [
                table.oid.into(),
                self.objects.schemas[table.schema].name.as_str().into(),
                definition.name.as_str().into(),
                definition.rows.and_then(|rows| i64::try_from(rows).ok()).into(),
            ]
        });
        build(self.relation, &["relid", "schemaname", "relname", "n_live_tup"], rows)
    }
}

struct Class<'a> {
    oid: i64,
    name: &'a str,
    namespace: i64,
    access_method: i64,
    kind: &'static str,
    columns: usize,
    has_index: bool,
    has_triggers: bool,
    rows: Option<u64>,
    bytes: Option<u64>,
}

fn attribute<'a>(
    relation: i64,
    position: usize,
    name: &'a str,
    (type_oid, modifier): (i64, i64),
    is_not_null: bool,
) -> [Value<'a>; 15] {
    let row = types::by_oid(type_oid);
    let is_array = row.is_some_and(|row| row.element != 0);
    [
        relation.into(),
        name.into(),
        type_oid.into(),
        Value::Int(-1),
        row.map_or(-1, |row| row.length).into(),
        count(position + 1).into(),
        i64::from(is_array).into(),
        Value::Int(-1),
        modifier.into(),
        row.is_some_and(|row| row.is_by_value).into(),
        row.map_or("i", |row| row.align).into(),
        row.map_or("x", |row| row.storage).into(),
        is_not_null.into(),
        true.into(),
        row.map_or(0, |row| row.collation).into(),
    ]
}

/// Whether a relation has no rows for anybody.
pub fn is_always_empty(relation: &Relation) -> bool {
    relation.schema == PG_CATALOG && !has_rows(relation.name)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn positions(columns: &[usize]) -> Vec<i64> {
    columns.iter().map(|column| count(column + 1)).collect()
}

fn pages(bytes: u64) -> i64 {
    i64::from(i32::try_from(bytes.div_ceil(PAGE_BYTES)).unwrap_or(i32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "reltuples is an estimate")]
fn approximate(rows: u64) -> f64 {
    rows as f64
}
