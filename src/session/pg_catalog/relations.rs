//! The column lists of every table and view that PostgreSQL 15 has in `pg_catalog` and
//! `information_schema`, as Arrow schemas.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use weir_catalogs::field::PG_TYPE;

use super::types;

pub const PG_CATALOG: &str = "pg_catalog";
pub const INFORMATION_SCHEMA: &str = "information_schema";
const FUNCTION: &str = "f";

/// One system table or view.
#[derive(Debug)]
pub struct Relation {
    pub schema: &'static str,
    pub name: &'static str,
    /// `r` or `v`, or `f` for a function that is read as a table.
    pub kind: &'static str,
    pub oid: i64,
    pub columns: Vec<RelationColumn>,
    pub arrow: SchemaRef,
}

#[derive(Debug)]
pub struct RelationColumn {
    pub name: &'static str,
    /// As in `pg_type.typname`: `oid`, `_text`, `int2vector`.
    pub type_name: &'static str,
    pub is_not_null: bool,
}

impl Relation {
    pub fn find(schema: &str, name: &str) -> Option<&'static Self> {
        RELATIONS.get(schema)?.get(name)
    }

    pub fn find_oid(oid: i64) -> Option<&'static Self> {
        static BY_OID: LazyLock<HashMap<i64, &'static Relation>> =
            LazyLock::new(|| Relation::all().map(|relation| (relation.oid, relation)).collect());
        BY_OID.get(&oid).copied()
    }

    /// Every table and view.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        let all = RELATIONS.values().flat_map(BTreeMap::values);
        all.filter(|relation| relation.kind != FUNCTION)
    }

    /// A function without arguments that is read as a table.
    pub fn of_function(name: &str) -> Option<&'static Self> {
        Self::find(PG_CATALOG, &format!("{name}()"))
    }

    pub fn names(schema: &str) -> Vec<String> {
        let of_schema = Self::all().filter(|relation| relation.schema == schema);
        of_schema.map(|relation| relation.name.to_owned()).collect()
    }

    pub fn column(&self, name: &str) -> Option<&RelationColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Columns that are unique together and never NULL, where we know such.
    pub fn key(&self) -> Option<&'static [&'static str]> {
        match (self.schema, self.name) {
            (PG_CATALOG, "pg_attribute") => Some(&["attrelid", "attnum"]),
            (PG_CATALOG, "pg_index") => Some(&["indexrelid"]),
            (PG_CATALOG, _) if self.kind == "r" && self.column("oid").is_some() => Some(&["oid"]),
            (PG_CATALOG, "pg_roles") => Some(&["oid"]),
            _ => None,
        }
    }
}

static RELATIONS: LazyLock<BTreeMap<&'static str, BTreeMap<&'static str, Relation>>> =
    LazyLock::new(|| {
        let mut relations: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for line in include_str!("static/relations.tsv").lines() {
            let mut parts = line.split('\t');
            let mut next = || parts.next().unwrap_or_default();
            let (schema, name, kind, oid) = (next(), next(), next(), next());
            let columns = next().split(',').map(column).collect::<Vec<_>>();
            let fields = columns.iter().map(arrow_field).collect::<Vec<_>>();
            let relation = Relation {
                schema,
                name,
                kind,
                oid: oid.parse().unwrap_or_default(),
                columns,
                arrow: Arc::new(Schema::new(fields)),
            };
            relations.entry(schema).or_default().insert(name, relation);
        }
        relations
    });

fn column(text: &'static str) -> RelationColumn {
    let mut parts = text.split(':');
    RelationColumn {
        name: parts.next().unwrap_or_default(),
        type_name: parts.next().unwrap_or_default(),
        is_not_null: parts.next().is_some(),
    }
}

fn arrow_field(column: &RelationColumn) -> Field {
    let (data_type, shown) = arrow_type(column.type_name);
    Field::new(column.name, data_type, !column.is_not_null)
        .with_metadata(HashMap::from([(PG_TYPE.to_owned(), shown)]))
}

/// The Arrow type of a system column, and the type that the doors announce. Types that no door
/// encodes (addresses, log positions) are shown as text.
fn arrow_type(type_name: &str) -> (DataType, String) {
    let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let data_type = match type_name {
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" | "oid" | "xid" | "regproc" | "regtype" | "regclass" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "interval" => DataType::Interval(IntervalUnit::MonthDayNano),
        "int2vector" | "_int2" => list(DataType::Int16),
        "oidvector" | "_oid" | "_regtype" | "_int8" => list(DataType::Int64),
        "_float4" => list(DataType::Float32),
        "_float8" => list(DataType::Float64),
        "_text" | "_name" | "_char" | "_aclitem" | "_pg_statistic" => list(DataType::Utf8),
        _ => DataType::Utf8,
    };
    let shown = match (type_name, &data_type) {
        ("yes_or_no", _) => "character varying(3)".to_owned(),
        ("name" | "char" | "varchar" | "bpchar" | "pg_node_tree", _) => {
            types::shown_name(type_name)
        }
        (_, DataType::Utf8) => "text".to_owned(),
        ("_pg_statistic", _) => "text[]".to_owned(),
        ("_regtype", _) => "oid[]".to_owned(),
        _ => types::shown_name(type_name),
    };
    (data_type, shown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn columns_are_those_of_postgresql() {
        let class = Relation::find(PG_CATALOG, "pg_class").unwrap();
        assert_eq!((class.oid, class.columns.len()), (1259, 33));
        assert_eq!(class.arrow.field(0).metadata()[PG_TYPE], "oid");
        let shown = |schema, table, column: &str| {
            let arrow = &Relation::find(schema, table).unwrap().arrow;
            let field = arrow.field_with_name(column).unwrap();
            (field.data_type().to_string(), field.metadata()[PG_TYPE].clone())
        };
        for (table, column, arrow, pg) in [
            ("pg_class", "relname", "Utf8", "name"),
            ("pg_class", "relkind", "Utf8", "\"char\""),
            ("pg_class", "relacl", "List(Utf8)", "aclitem[]"),
            ("pg_class", "relfrozenxid", "Int64", "xid"),
            ("pg_index", "indkey", "List(Int16)", "int2vector"),
            ("pg_constraint", "conkey", "List(Int16)", "smallint[]"),
            ("pg_type", "typinput", "Int64", "regproc"),
            ("pg_attrdef", "adbin", "Utf8", "pg_node_tree"),
        ] {
            assert_eq!(shown(PG_CATALOG, table, column), (arrow.to_owned(), pg.to_owned()));
        }
        assert_eq!(shown(INFORMATION_SCHEMA, "columns", "table_name").1, "name");
        assert_eq!(shown(INFORMATION_SCHEMA, "columns", "ordinal_position").1, "integer");
    }
}
