//! Which PostgreSQL type an Arrow column is shown as, and which Arrow type a parameter has.
//!
//! Invariant: a type is announced only when both its text and its binary form can be written from
//! the Arrow values. Everything else that is text in Arrow is announced as `text`.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use weir_catalogs::field;

/// The OIDs of PostgreSQL's built-in types that weir speaks (`pg_type.dat`).
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT2VECTOR: u32 = 22;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const XID: u32 = 28;
    pub const CID: u32 = 29;
    pub const OIDVECTOR: u32 = 30;
    pub const JSON: u32 = 114;
    pub const XML: u32 = 142;
    pub const PG_NODE_TREE: u32 = 194;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const ACLITEM: u32 = 1033;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const RECORD: u32 = 2249;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}

/// OID, OID of its array type (0: none), `typlen`.
const TYPES: &[(u32, u32, i16)] = &[
    (oid::BOOL, 1000, 1),
    (oid::BYTEA, 1001, -1),
    (oid::CHAR, 1002, 1),
    (oid::NAME, 1003, 64),
    (oid::INT8, 1016, 8),
    (oid::INT2, 1005, 2),
    (oid::INT2VECTOR, 1006, -1),
    (oid::INT4, 1007, 4),
    (oid::TEXT, 1009, -1),
    (oid::OID, 1028, 4),
    (oid::XID, 1011, 4),
    (oid::CID, 1012, 4),
    (oid::OIDVECTOR, 1013, -1),
    (oid::JSON, 199, -1),
    (oid::XML, 143, -1),
    (oid::PG_NODE_TREE, 0, -1),
    (oid::FLOAT4, 1021, 4),
    (oid::FLOAT8, 1022, 8),
    (oid::UNKNOWN, 0, -2),
    (oid::ACLITEM, 1034, 12),
    (oid::BPCHAR, 1014, -1),
    (oid::VARCHAR, 1015, -1),
    (oid::DATE, 1182, 4),
    (oid::TIME, 1183, 8),
    (oid::TIMESTAMP, 1115, 8),
    (oid::TIMESTAMPTZ, 1185, 8),
    (oid::INTERVAL, 1187, 16),
    (oid::NUMERIC, 1231, -1),
    (oid::RECORD, 2287, -1),
    (oid::UUID, 2951, 16),
    (oid::JSONB, 3807, -1),
];

/// `typlen` of a type: its bytes, -1 when it varies, -2 for a C string. Unknown types vary.
pub fn type_size(oid: u32) -> i16 {
    TYPES.iter().find(|entry| entry.0 == oid).map_or(-1, |entry| entry.2)
}

/// The array type over an element type.
pub fn array_of(element: u32) -> Option<u32> {
    TYPES.iter().find(|entry| entry.0 == element).map(|entry| entry.1).filter(|array| *array != 0)
}

/// The element type of an array type.
pub fn element_of(array: u32) -> Option<u32> {
    TYPES.iter().find(|entry| entry.1 == array && array != 0).map(|entry| entry.0)
}

/// The Arrow type that a parameter of this PostgreSQL type has, or `None` for a type that weir
/// can't receive. `numeric` carries its own scale in every value; its type here is what
/// DataFusion gives a bare `DECIMAL`.
pub fn arrow_type(oid: u32) -> Option<DataType> {
    Some(match oid {
        oid::BOOL => DataType::Boolean,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 | oid::OID | oid::XID | oid::CID => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => DataType::Decimal128(38, 10),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::CHAR | oid::UNKNOWN => {
            DataType::Utf8
        }
        oid::JSON | oid::JSONB | oid::XML | oid::UUID => DataType::Utf8,
        oid::BYTEA => DataType::Binary,
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        oid::INTERVAL => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
        _ => {
            let element = arrow_type(element_of(oid)?)?;
            DataType::List(Field::new_list_field(element, true).into())
        }
    })
}

/// A result column as RowDescription announces it and as the encoder writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct PgColumn {
    pub oid: u32,
    /// -1: none.
    pub typmod: i32,
    /// `typlen`.
    pub size: i16,
    pub(super) kind: Kind,
}

/// How values of a column are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    /// Four unsigned bytes: `oid`, `xid`, `cid`.
    Oid,
    Float4,
    Float8,
    /// `trim`: a bare `numeric`, whose declared scale means nothing.
    Numeric {
        trim: bool,
    },
    /// Text and binary are the string itself: `text`, `varchar`, `bpchar`, `name`, `json`, `xml`.
    Text,
    /// PostgreSQL's internal one-byte `"char"`.
    Char,
    Jsonb,
    Uuid,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    /// The element's column is the innermost one: PostgreSQL has one array type for all depths.
    Array(Box<PgColumn>),
    /// `int2vector`, `oidvector`: an array that is printed with blanks and counts from 0.
    Vector(Box<PgColumn>),
    Record(Vec<PgColumn>),
    /// A map is shown as a `json` object.
    Map(Box<PgColumn>, Box<PgColumn>),
    /// A union is shown as the text of the value it holds.
    Union(Vec<(i8, PgColumn)>),
}

impl PgColumn {
    /// Describes a column: by the type's name at its source where that fits the Arrow type, which
    /// it need not after a cast, otherwise by the Arrow type alone.
    pub fn of(field: &Field) -> Self {
        describe(field.data_type(), field::pg_type(field))
    }

    fn new(oid: u32, kind: Kind) -> Self {
        Self { oid, typmod: -1, size: type_size(oid), kind }
    }

    fn with_typmod(mut self, typmod: i32) -> Self {
        self.typmod = typmod;
        self
    }

    /// What to call the type in messages.
    pub(super) fn type_name(&self) -> &'static str {
        type_name(self.oid)
    }
}

/// The SQL name of a type, for messages.
pub(super) fn type_name(oid: u32) -> &'static str {
    match oid {
        oid::BOOL => "boolean",
        oid::BYTEA => "bytea",
        oid::CHAR => "\"char\"",
        oid::NAME => "name",
        oid::INT8 => "bigint",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::TEXT | oid::UNKNOWN => "text",
        oid::OID => "oid",
        oid::XID => "xid",
        oid::CID => "cid",
        oid::JSON => "json",
        oid::JSONB => "jsonb",
        oid::XML => "xml",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::BPCHAR => "character",
        oid::VARCHAR => "character varying",
        oid::DATE => "date",
        oid::TIME => "time",
        oid::TIMESTAMP => "timestamp",
        oid::TIMESTAMPTZ => "timestamp with time zone",
        oid::INTERVAL => "interval",
        oid::NUMERIC => "numeric",
        oid::RECORD => "record",
        oid::UUID => "uuid",
        _ if element_of(oid).is_some() => "array",
        _ => "value",
    }
}

fn describe(data_type: &DataType, declared: Option<&str>) -> PgColumn {
    let name = declared.map(TypeName::parse).unwrap_or_default();
    match data_type {
        DataType::Null => PgColumn::new(oid::TEXT, Kind::Text),
        DataType::Boolean => PgColumn::new(oid::BOOL, Kind::Bool),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgColumn::new(oid::INT2, Kind::Int2),
        DataType::Int32 | DataType::UInt16 => PgColumn::new(oid::INT4, Kind::Int4),
        DataType::Int64 | DataType::UInt32 => describe_int8(&name),
        DataType::UInt64 => numeric(20, 0),
        DataType::Float16 | DataType::Float32 => PgColumn::new(oid::FLOAT4, Kind::Float4),
        DataType::Float64 => PgColumn::new(oid::FLOAT8, Kind::Float8),
        DataType::Decimal256(..) if name.base == "numeric" && name.modifiers.is_empty() => {
            PgColumn::new(oid::NUMERIC, Kind::Numeric { trim: true })
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => numeric(*precision, *scale),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => describe_text(&name),
        DataType::FixedSizeBinary(16) if name.base == "uuid" => {
            PgColumn::new(oid::UUID, Kind::Uuid)
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => PgColumn::new(oid::BYTEA, Kind::Bytea),
        DataType::Date32 | DataType::Date64 => PgColumn::new(oid::DATE, Kind::Date),
        DataType::Time32(_) | DataType::Time64(_) => {
            PgColumn::new(oid::TIME, Kind::Time).with_typmod(name.typmod("time without time zone"))
        }
        DataType::Timestamp(_, None) => PgColumn::new(oid::TIMESTAMP, Kind::Timestamp)
            .with_typmod(name.typmod("timestamp without time zone")),
        DataType::Timestamp(_, Some(_)) => PgColumn::new(oid::TIMESTAMPTZ, Kind::TimestampTz)
            .with_typmod(name.typmod("timestamp with time zone")),
        DataType::Interval(_) | DataType::Duration(_) => {
            PgColumn::new(oid::INTERVAL, Kind::Interval)
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => describe_list(item, declared),
        DataType::Dictionary(_, value) => describe(value, declared),
        DataType::RunEndEncoded(_, values) => {
            describe(values.data_type(), declared.or_else(|| field::pg_type(values)))
        }
        DataType::Struct(fields) => {
            PgColumn::new(oid::RECORD, Kind::Record(describe_fields(fields)))
        }
        DataType::Map(entries, _) => describe_map(entries),
        DataType::Union(fields, _) => {
            let members = fields.iter().map(|(id, field)| (id, PgColumn::of(field))).collect();
            PgColumn::new(oid::TEXT, Kind::Union(members))
        }
    }
}

fn describe_int8(name: &TypeName<'_>) -> PgColumn {
    match name.base.as_ref() {
        "oid" => PgColumn::new(oid::OID, Kind::Oid),
        "xid" => PgColumn::new(oid::XID, Kind::Oid),
        "cid" => PgColumn::new(oid::CID, Kind::Oid),
        _ => PgColumn::new(oid::INT8, Kind::Int8),
    }
}

fn numeric(precision: u8, scale: i8) -> PgColumn {
    // make_numeric_typmod: eleven bits of scale, since version 15 in two's complement.
    let typmod = ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4;
    PgColumn::new(oid::NUMERIC, Kind::Numeric { trim: false }).with_typmod(typmod)
}

fn describe_text(name: &TypeName<'_>) -> PgColumn {
    let length = match name.modifiers.as_slice() {
        [length] => length.saturating_add(4),
        _ => -1,
    };
    match name.base.as_ref() {
        "character varying" | "varchar" => {
            PgColumn::new(oid::VARCHAR, Kind::Text).with_typmod(length)
        }
        // Without a length, `character` is character(1) in SQL; format_type says bpchar.
        "character" | "char" | "bpchar" => {
            PgColumn::new(oid::BPCHAR, Kind::Text).with_typmod(length)
        }
        "name" => PgColumn::new(oid::NAME, Kind::Text),
        "\"char\"" => PgColumn::new(oid::CHAR, Kind::Char),
        "json" => PgColumn::new(oid::JSON, Kind::Text),
        "jsonb" => PgColumn::new(oid::JSONB, Kind::Jsonb),
        "uuid" => PgColumn::new(oid::UUID, Kind::Uuid),
        "xml" => PgColumn::new(oid::XML, Kind::Text),
        "pg_node_tree" => PgColumn::new(oid::PG_NODE_TREE, Kind::Text),
        "aclitem" => PgColumn::new(oid::ACLITEM, Kind::Text),
        _ => PgColumn::new(oid::TEXT, Kind::Text),
    }
}

fn describe_list(item: &Field, declared: Option<&str>) -> PgColumn {
    let vector = match (declared, item.data_type()) {
        (Some("int2vector"), DataType::Int16) => Some((oid::INT2VECTOR, None)),
        (Some("oidvector"), DataType::Int64 | DataType::UInt32) => {
            Some((oid::OIDVECTOR, Some("oid")))
        }
        _ => None,
    };
    if let Some((oid, element)) = vector {
        return PgColumn::new(oid, Kind::Vector(Box::new(describe(item.data_type(), element))));
    }

    let element_name = declared.and_then(|name| name.strip_suffix("[]"));
    // An array of arrays has the type of the array: `integer[][]` is `integer[]`.
    let element_name = if is_list(item.data_type()) { declared } else { element_name };
    let mut element = describe(item.data_type(), element_name.or_else(|| field::pg_type(item)));
    if let Kind::Array(inner) = element.kind {
        element = *inner;
    }
    match array_of(element.oid) {
        Some(array) => {
            PgColumn::new(array, Kind::Array(Box::new(element.clone()))).with_typmod(element.typmod)
        }
        // pg_node_tree[] does not exist: its elements are text.
        None => describe_list(&Field::new_list_field(DataType::Utf8, true), None),
    }
}

fn is_list(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_list(value),
        DataType::RunEndEncoded(_, values) => is_list(values.data_type()),
        other => other.is_list(),
    }
}

fn describe_fields(fields: &Fields) -> Vec<PgColumn> {
    fields.iter().map(|field| PgColumn::of(field)).collect()
}

fn describe_map(entries: &Field) -> PgColumn {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => {
            let (key, value) = (PgColumn::of(&fields[0]), PgColumn::of(&fields[1]));
            PgColumn::new(oid::JSON, Kind::Map(Box::new(key), Box::new(value)))
        }
        // Arrow forbids any other map; the encoder refuses it.
        _ => PgColumn::new(oid::JSON, Kind::Text),
    }
}

/// A name as `format_type` prints it, taken apart: `timestamp(3) without time zone` is
/// `timestamp without time zone` and `[3]`.
#[derive(Debug, Default, PartialEq)]
struct TypeName<'a> {
    base: std::borrow::Cow<'a, str>,
    modifiers: Vec<i32>,
}

impl<'a> TypeName<'a> {
    fn parse(name: &'a str) -> Self {
        let plain = || Self { base: name.into(), modifiers: Vec::new() };
        let Some((before, rest)) = name.split_once('(') else { return plain() };
        let Some((arguments, after)) = rest.split_once(')') else { return plain() };
        let modifiers: Result<Vec<i32>, _> =
            arguments.split(',').map(|number| number.trim().parse()).collect();
        match modifiers {
            Ok(modifiers) => Self { base: format!("{before}{after}").into(), modifiers },
            Err(_) => plain(),
        }
    }

    /// The one modifier of a time type, if this is the name of it.
    fn typmod(&self, base: &str) -> i32 {
        match self.modifiers.as_slice() {
            [digits] if self.base == base => *digits,
            _ => -1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn column(data_type: DataType, declared: &str) -> PgColumn {
        let field = Field::new("c", data_type, true);
        if declared.is_empty() {
            return PgColumn::of(&field);
        }
        let metadata = HashMap::from([(field::PG_TYPE.to_string(), declared.to_string())]);
        PgColumn::of(&field.with_metadata(metadata))
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Field::new_list_field(item, true).into())
    }

    #[test]
    fn columns_are_announced_as_postgres_would() {
        use DataType::*;
        let utc = || Some("UTC".into());
        let dictionary = || Dictionary(Box::new(Int8), Box::new(Utf8));
        for (data_type, declared, expected) in [
            (Boolean, "", (16, -1, 1)),
            (UInt8, "", (21, -1, 2)),
            (UInt16, "", (23, -1, 4)),
            (UInt32, "", (20, -1, 8)),
            (UInt64, "", (1700, (20 << 16) + 4, -1)),
            (Int64, "oid", (26, -1, 4)),
            (Int32, "oid", (23, -1, 4)),
            (Float16, "", (700, -1, 4)),
            (Decimal128(12, 2), "numeric(12,2)", (1700, 786_438, -1)),
            (Decimal128(12, 2), "numeric(5,1)", (1700, 786_438, -1)),
            (Decimal128(3, -2), "", (1700, ((3 << 16) | 0x7fe) + 4, -1)),
            (Decimal256(76, 20), "numeric", (1700, -1, -1)),
            (Decimal256(76, 20), "", (1700, (76 << 16) + 20 + 4, -1)),
            (Utf8, "", (25, -1, -1)),
            (Utf8View, "character varying(80)", (1043, 84, -1)),
            (Utf8, "character varying", (1043, -1, -1)),
            (LargeUtf8, "character(4)", (1042, 8, -1)),
            (Utf8, "jsonb", (3802, -1, -1)),
            (Utf8, "uuid", (2950, -1, 16)),
            (Utf8, "\"char\"", (18, -1, 1)),
            (Utf8, "name", (19, -1, 64)),
            (Utf8, "inet", (25, -1, -1)),
            (Utf8, "numeric", (25, -1, -1)),
            (Utf8, "mood", (25, -1, -1)),
            (Int32, "uuid", (23, -1, 4)),
            (FixedSizeBinary(16), "uuid", (2950, -1, 16)),
            (FixedSizeBinary(16), "", (17, -1, -1)),
            (Timestamp(TimeUnit::Second, None), "", (1114, -1, 8)),
            (
                Timestamp(TimeUnit::Microsecond, None),
                "timestamp(3) without time zone",
                (1114, 3, 8),
            ),
            (
                Timestamp(TimeUnit::Microsecond, utc()),
                "timestamp(3) without time zone",
                (1184, -1, 8),
            ),
            (Timestamp(TimeUnit::Microsecond, utc()), "timestamp(0) with time zone", (1184, 0, 8)),
            (Duration(TimeUnit::Second), "", (1186, -1, 16)),
            (list(Int32), "", (1007, -1, -1)),
            (list(list(Int32)), "integer[]", (1007, -1, -1)),
            (list(Utf8), "character varying(80)[]", (1015, 84, -1)),
            (list(Decimal128(12, 2)), "numeric(12,2)[]", (1231, 786_438, -1)),
            (list(Int16), "int2vector", (22, -1, -1)),
            (list(Int64), "oidvector", (30, -1, -1)),
            (list(Utf8), "pg_node_tree[]", (1009, -1, -1)),
            (list(Struct(Fields::empty())), "", (2287, -1, -1)),
            (Struct(Fields::empty()), "", (2249, -1, -1)),
            (dictionary(), "character varying(3)", (1043, 7, -1)),
            (Null, "", (25, -1, -1)),
        ] {
            let column = column(data_type.clone(), declared);
            assert_eq!(
                (column.oid, column.typmod, column.size),
                expected,
                "{data_type} declared as {declared:?}"
            );
        }
    }

    #[test]
    fn parameter_types_describe_as_themselves() {
        for (oid, array, _) in TYPES {
            for oid in [oid, array] {
                let Some(data_type) = arrow_type(*oid) else { continue };
                let back = column(data_type.clone(), "").oid;
                assert!(
                    back == *oid || arrow_type(back).as_ref() == Some(&data_type),
                    "{oid} is {data_type} is {back}"
                );
            }
        }
    }
}
