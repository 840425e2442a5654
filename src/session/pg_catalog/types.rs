//! PostgreSQL's built-in types: their rows in `pg_type`, their names, and which of them a column of
//! ours has.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use arrow::datatypes::{DataType, Field, IntervalUnit};
use weir_catalogs::field;

pub const TEXT: i64 = 25;
const BPCHAR: i64 = 1042;
const VARCHAR: i64 = 1043;
const TIME: i64 = 1083;
const TIMESTAMP: i64 = 1114;
const TIMESTAMPTZ: i64 = 1184;
const INTERVAL: i64 = 1186;
const TIMETZ: i64 = 1266;
const BIT: i64 = 1560;
const VARBIT: i64 = 1562;
const NUMERIC: i64 = 1700;

/// What `pg_attribute` repeats of `pg_type`.
#[derive(Debug)]
pub struct Type {
    pub oid: i64,
    pub name: &'static str,
    pub length: i64,
    pub is_by_value: bool,
    pub align: &'static str,
    pub storage: &'static str,
    pub collation: i64,
    /// The type of an array's elements; 0 for other types.
    pub element: i64,
    pub array: i64,
    /// As `format_type` prints it without a modifier.
    pub shown: &'static str,
}

struct Types {
    by_oid: HashMap<i64, Type>,
    by_name: HashMap<&'static str, i64>,
    by_shown: HashMap<&'static str, i64>,
}

/// The columns of `static/pg_type.tsv`; the last is `format_type`'s answer.
pub const STATIC_COLUMNS: &[&str] = &[
    "oid",
    "typname",
    "typlen",
    "typbyval",
    "typtype",
    "typcategory",
    "typispreferred",
    "typdelim",
    "typsubscript",
    "typelem",
    "typarray",
    "typinput",
    "typoutput",
    "typreceive",
    "typsend",
    "typmodin",
    "typmodout",
    "typanalyze",
    "typalign",
    "typstorage",
    "typcollation",
];

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut types =
        Types { by_oid: HashMap::new(), by_name: HashMap::new(), by_shown: HashMap::new() };
    for line in include_str!("static/pg_type.tsv").lines() {
        let cells = line.split('\t').collect::<Vec<_>>();
        let text = |name| {
            let position = STATIC_COLUMNS.iter().position(|column| *column == name);
            position.and_then(|position| cells.get(position)).copied().unwrap_or_default()
        };
        let number = |name| text(name).parse().unwrap_or_default();
        let shown = cells.get(STATIC_COLUMNS.len()).copied().unwrap_or_default();
        let is_array = text("typcategory") == "A" && text("typlen") == "-1";
        let row = Type {
            oid: number("oid"),
            name: text("typname"),
            length: number("typlen"),
            is_by_value: text("typbyval") == "t",
            align: text("typalign"),
            storage: text("typstorage"),
            collation: number("typcollation"),
            element: if is_array { number("typelem") } else { 0 },
            array: number("typarray"),
            shown,
        };
        types.by_name.insert(row.name, row.oid);
        types.by_shown.entry(shown).or_insert(row.oid);
        types.by_oid.insert(row.oid, row);
    }
    types
});

pub fn by_oid(oid: i64) -> Option<&'static Type> {
    TYPES.by_oid.get(&oid)
}

/// Finds a type by any of its names: `int4`, `integer`, `character varying(80)`, `text[]`.
pub fn by_any_name(name: &str) -> Option<&'static Type> {
    parse(name).and_then(|(oid, _)| by_oid(oid))
}

/// How `format_type` shows a type that `pg_type` calls `type_name`.
pub fn shown_name(type_name: &str) -> String {
    TYPES
        .by_name
        .get(type_name)
        .and_then(|oid| by_oid(*oid))
        .map_or_else(|| type_name.to_owned(), |row| row.shown.to_owned())
}

/// The type's oid and modifier for a column: what `pg_attribute` says of it. A type that
/// PostgreSQL does not have built in is text, as on the wire.
pub fn of(field: &Field) -> (i64, i64) {
    if let Some(parsed) = field::pg_type(field).and_then(parse) {
        return parsed;
    }
    let name = match field.data_type() {
        DataType::Boolean => "bool",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "int2",
        DataType::Int32 | DataType::UInt16 => "int4",
        DataType::Int64 | DataType::UInt32 => "int8",
        DataType::UInt64 => return (NUMERIC, numeric_modifier(20, 0)),
        DataType::Float16 | DataType::Float32 => "float4",
        DataType::Float64 => "float8",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            return (NUMERIC, numeric_modifier(i64::from(*precision), i64::from(*scale)));
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "bytea",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Duration(_)
        | DataType::Interval(
            IntervalUnit::DayTime | IntervalUnit::MonthDayNano | IntervalUnit::YearMonth,
        ) => "interval",
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            let (element, modifier) = of(item);
            return match by_oid(element) {
                // PostgreSQL has one array type for every number of dimensions.
                Some(row) if row.element != 0 => (element, modifier),
                Some(row) if row.array != 0 => (row.array, modifier),
                Some(_) | None => (TEXT, -1),
            };
        }
        DataType::Dictionary(_, value) => {
            return of(&Field::new("", value.as_ref().clone(), true));
        }
        DataType::RunEndEncoded(_, values) => return of(values),
        DataType::Null
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Struct(_)
        | DataType::Union(_, _)
        | DataType::Map(_, _) => "text",
    };
    (TYPES.by_name.get(name).copied().unwrap_or(TEXT), -1)
}

/// `format_type(oid, modifier)`.
pub fn format_type(oid: i64, modifier: Option<i64>) -> Cow<'static, str> {
    let Some(row) = by_oid(oid) else {
        return Cow::Borrowed(if oid == 0 { "-" } else { "???" });
    };
    if row.element != 0 && row.shown.ends_with("[]") {
        return Cow::Owned(format!("{}[]", format_type(row.element, modifier)));
    }
    let Some(modifier) = modifier else { return Cow::Borrowed(row.shown) };
    if modifier < 0 {
        return Cow::Borrowed(if oid == BPCHAR { "bpchar" } else { row.shown });
    }
    match oid {
        BPCHAR | VARCHAR => Cow::Owned(format!("{}({})", row.shown, modifier - 4)),
        BIT | VARBIT => Cow::Owned(format!("{}({modifier})", row.shown)),
        NUMERIC => {
            let (precision, scale) = ((modifier - 4) >> 16, (modifier - 4) & 0x7ff);
            Cow::Owned(format!("numeric({precision},{})", (scale ^ 1024) - 1024))
        }
        TIME | TIMETZ | TIMESTAMP | TIMESTAMPTZ => match row.shown.split_once(' ') {
            Some((name, zone)) => Cow::Owned(format!("{name}({modifier}) {zone}")),
            None => Cow::Borrowed(row.shown),
        },
        INTERVAL if modifier & 0xffff != 0xffff => {
            Cow::Owned(format!("interval({})", modifier & 0xffff))
        }
        _ => Cow::Borrowed(row.shown),
    }
}

/// Reads a type's name as `format_type` prints it.
fn parse(name: &str) -> Option<(i64, i64)> {
    if let Some(element) = name.strip_suffix("[]") {
        let (oid, modifier) = parse(element)?;
        let row = by_oid(oid)?;
        return Some((if row.element != 0 { oid } else { row.array }, modifier));
    }
    let (base, arguments) = match (name.find('('), name.find(')')) {
        (Some(open), Some(close)) if open < close => {
            let base = format!("{}{}", &name[..open], &name[close + 1..]);
            let arguments = name[open + 1..close]
                .split(',')
                .map(|argument| argument.trim().parse().ok())
                .collect::<Option<Vec<i64>>>()?;
            (Cow::Owned(base), arguments)
        }
        _ => (Cow::Borrowed(name), Vec::new()),
    };
    let base = base.trim();
    let oid = *TYPES.by_shown.get(base).or_else(|| TYPES.by_name.get(base))?;
    let modifier = match (oid, arguments.as_slice()) {
        (BPCHAR | VARCHAR, [length]) => length + 4,
        (NUMERIC, [precision]) => numeric_modifier(*precision, 0),
        (NUMERIC, [precision, scale]) => numeric_modifier(*precision, *scale),
        (INTERVAL, [precision]) => (0x7fff << 16) | precision,
        (TIME | TIMETZ | TIMESTAMP | TIMESTAMPTZ | BIT | VARBIT, [precision]) => *precision,
        _ => -1,
    };
    Some((oid, modifier))
}

fn numeric_modifier(precision: i64, scale: i64) -> i64 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_survive_a_round_trip() {
        for name in [
            "character varying(80)",
            "character(4)",
            "numeric(12,2)",
            "numeric(5,-2)",
            "numeric",
            "timestamp(3) without time zone",
            "timestamp with time zone",
            "integer[]",
            "numeric(10,2)[]",
            "interval(3)",
            "interval",
            "\"char\"",
            "name",
            "jsonb",
            "uuid",
            "bit(3)",
            "time(6) with time zone",
            "oidvector",
        ] {
            let parsed = parse(name).map(|(oid, modifier)| format_type(oid, Some(modifier)));
            assert_eq!(parsed.as_deref(), Some(name));
        }
        assert_eq!(format_type(1700, Some(655_366)), "numeric(10,2)");
        assert_eq!(format_type(1042, Some(-1)), "bpchar");
        assert_eq!(format_type(1042, None), "character");
        assert_eq!(parse("sales.status_t"), None);
    }

    #[test]
    fn arrow_types_without_a_name_get_one() {
        for (arrow, shown) in [
            (DataType::Int8, "smallint"),
            (DataType::UInt32, "bigint"),
            (DataType::UInt64, "numeric(20,0)"),
            (DataType::Decimal128(10, 2), "numeric(10,2)"),
            (DataType::Utf8View, "text"),
            (DataType::new_list(DataType::new_list(DataType::Int32, true), true), "integer[]"),
        ] {
            let (oid, modifier) = of(&Field::new("c", arrow, true));
            assert_eq!(format_type(oid, Some(modifier)), shown);
        }
    }
}
