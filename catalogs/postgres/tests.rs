//! Against a real PostgreSQL: what goes in comes out, pushdown changes no answer, nothing leaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "a source is tried without the proxy around it")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::array::{AsArray, RecordBatch};
use datafusion::{
    error::DataFusionError,
    execution::TaskContext,
    logical_expr::{col, lit},
    physical_plan::execute_stream,
    prelude::{SessionConfig, SessionContext},
};
use futures::StreamExt;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};

use super::{
    dialect::{self, tests::short_texts},
    testing::{Cluster, Weir, lines, run_sql},
};
use crate::{
    OptionValue, QueryLabel, SourceError, SourceErrorKind, TableKind, field,
    sql::{Dialect, Literal, PushdownMode},
};

fn text(value: &str) -> OptionValue {
    OptionValue::Text(value.to_owned())
}

fn source_error(error: &DataFusionError) -> &SourceError {
    match error.find_root() {
        DataFusionError::External(error) => error.downcast_ref().expect("an error of a source"),
        other => panic!("not an error of a source: {other}"),
    }
}

async fn fails(context: &SessionContext, sql: &str) -> (SourceErrorKind, String) {
    let error = run_sql(context, sql).await.expect_err(sql);
    let error = source_error(&error);
    (error.kind, error.message.clone())
}

/// A type as declared and as listed; values in SQL, and what weir shows for them.
type TypeCase = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const TYPES: &[TypeCase] = &[
    ("boolean", "boolean", &[("true", "true"), ("false", "false"), ("NULL", "")]),
    ("int2", "smallint", &[("-32768", "-32768"), ("32767", "32767")]),
    ("int4", "integer", &[("-2147483648", "-2147483648"), ("2147483647", "2147483647")]),
    (
        "int8",
        "bigint",
        &[
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775807", "9223372036854775807"),
        ],
    ),
    ("oid", "oid", &[("4294967295", "4294967295"), ("0", "0")]),
    (
        "float4",
        "real",
        &[("'NaN'", "NaN"), ("'-Infinity'", "-inf"), ("1.1", "1.1"), ("'-0'", "-0.0")],
    ),
    (
        "float8",
        "double precision",
        &[
            ("'NaN'", "NaN"),
            ("'Infinity'::float8 - 'Infinity'::float8", "NaN"),
            ("'Infinity'", "inf"),
            ("'1.7976931348623157e308'", "1.7976931348623157e308"),
            ("'5e-324'", "5e-324"),
            ("0.1", "0.1"),
        ],
    ),
    (
        "numeric(12,2)",
        "numeric(12,2)",
        &[
            ("-9999999999.99", "-9999999999.99"),
            ("0.01", "0.01"),
            ("10000", "10000.00"),
            ("0", "0.00"),
        ],
    ),
    (
        "numeric(38,2)",
        "numeric(38,2)",
        &[
            ("999999999999999999999999999999999999.99", "999999999999999999999999999999999999.99"),
            (
                "-999999999999999999999999999999999999.99",
                "-999999999999999999999999999999999999.99",
            ),
            ("100000000000000000000000000000000000", "100000000000000000000000000000000000.00"),
        ],
    ),
    (
        "numeric(76,10)",
        "numeric(76,10)",
        &[
            (
                "123456789012345678901234567890123456789012345678901234567890123456.0123456789",
                "123456789012345678901234567890123456789012345678901234567890123456.0123456789",
            ),
            ("-0.0000000001", "-0.0000000001"),
        ],
    ),
    ("numeric(3,5)", "numeric(3,5)", &[("0.00123", "0.00123")]),
    ("numeric(3,-2)", "numeric(3,-2)", &[("12345", "12300"), ("99900", "99900")]),
    (
        "numeric",
        "numeric",
        &[
            ("1.5", "1.50000000000000000000"),
            ("-12345678901234567890", "-12345678901234567890.00000000000000000000"),
            ("0.00000000000000000001", "0.00000000000000000001"),
            (
                "1e55",
                "10000000000000000000000000000000000000000000000000000000.00000000000000000000",
            ),
        ],
    ),
    ("text", "text", &[("''", ""), ("'é€😀'", "é€😀"), (r"'a\b'", r"a\b")]),
    ("varchar(3)", "character varying(3)", &[("'ab '", "ab"), ("'abc'", "abc")]),
    ("char(3)", "character(3)", &[("'a'", "a"), ("'abc'", "abc")]),
    ("name", "name", &[("'pg'", "pg")]),
    (r#""char""#, r#""char""#, &[("'x'", "x"), ("''", "")]),
    ("bytea", "bytea", &[(r"'\x00ff'", "00ff"), (r"'\x'", "")]),
    (
        "date",
        "date",
        &[
            ("'1969-12-31'", "1969-12-31"),
            ("'0001-01-01'", "0001-01-01"),
            ("'9999-12-31'", "9999-12-31"),
            ("'4713-01-01 BC'", "-4712-01-01"),
        ],
    ),
    (
        "time",
        "time without time zone",
        &[("'00:00'", "00:00:00"), ("'23:59:59.999999'", "23:59:59.999999")],
    ),
    (
        "timestamp",
        "timestamp without time zone",
        &[
            ("'1969-12-31 23:59:59.999999'", "1969-12-31T23:59:59.999999"),
            ("'0001-01-01'", "0001-01-01T00:00:00"),
            ("'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999"),
        ],
    ),
    (
        "timestamp(0)",
        "timestamp(0) without time zone",
        &[("'2024-02-29 12:00:00.4'", "2024-02-29T12:00:00")],
    ),
    (
        "timestamptz",
        "timestamp with time zone",
        &[("'2024-03-31 02:30:00+02'", "2024-03-31T00:30:00Z")],
    ),
    (
        "interval",
        "interval",
        &[
            (
                "'1 year 2 mons 3 days 04:05:06.000007'",
                "14 mons 3 days 4 hours 5 mins 6.000007000 secs",
            ),
            ("'-1 day'", "-1 days"),
        ],
    ),
    (
        "uuid",
        "uuid",
        &[("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")],
    ),
    ("json", "json", &[(r#"'{"b": 1,  "a": null}'"#, r#"{"b": 1,  "a": null}"#)]),
    ("jsonb", "jsonb", &[(r#"'{"b": 1,  "a": [1.50]}'"#, r#"{"a": [1.50], "b": 1}"#)]),
    ("mood", "public.mood", &[("'sad'", "sad"), ("'it''s'", "it's")]),
    ("short_text", "public.short_text", &[("'abc'", "abc")]),
    ("price", "public.price", &[("1.25", "1.25")]),
    ("int4[]", "integer[]", &[("'{1,NULL,3}'", "[1, , 3]"), ("'{}'", "[]"), ("NULL", "")]),
    ("text[]", "text[]", &[(r#"'{"a,b",NULL,""}'"#, "[a,b, , ]")]),
    ("numeric(5,1)[]", "numeric(5,1)[]", &[("'{1.5,-2}'", "[1.5, -2.0]")]),
    (
        "uuid[]",
        "uuid[]",
        &[("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", "[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]")],
    ),
    ("mood[]", "public.mood[]", &[("'{sad,NULL}'", "[sad, ]")]),
    ("inet", "inet", &[("'10.0.0.1'", "10.0.0.1"), ("'::1/64'", "::1/64"), ("NULL", "")]),
    ("inet[]", "inet[]", &[("'{10.0.0.1}'", "{10.0.0.1}")]),
    ("cidr", "cidr", &[("'10.0.0.0/8'", "10.0.0.0/8")]),
    ("macaddr", "macaddr", &[("'08002b:010203'", "08:00:2b:01:02:03")]),
    ("bit(3)", "bit(3)", &[("B'101'", "101")]),
    ("varbit", "bit varying", &[("B'1'", "1")]),
    ("point", "point", &[("'(1,2)'", "(1,2)")]),
    ("int4range", "int4range", &[("'[1,5)'", "[1,5)"), ("'empty'", "empty")]),
    ("nummultirange", "nummultirange", &[("'{[1,2]}'", "{[1,2]}")]),
    ("tsvector", "tsvector", &[("'a b'", "'a' 'b'")]),
    ("tsquery", "tsquery", &[("'a & b'", "'a' & 'b'")]),
    ("xml", "xml", &[("'<a/>'", "<a/>")]),
    ("money", "money", &[("1.5", "$1.50")]),
    ("timetz", "time with time zone", &[("'24:00:00+02'", "24:00:00+02")]),
    ("pg_lsn", "pg_lsn", &[("'0/1'", "0/1")]),
    ("jsonpath", "jsonpath", &[("'$.a'", r#"$."a""#)]),
    ("pair", "public.pair", &[("'(1,)'", "(1,)")]),
    ("regclass", "regclass", &[("'pg_class'", "pg_class")]),
    ("xid", "xid", &[("'7'", "7")]),
    ("tid", "tid", &[("'(1,2)'", "(1,2)")]),
    ("txid_snapshot", "txid_snapshot", &[("'1:2:'", "1:2:")]),
    ("int2vector", "int2vector", &[("'1 2'", "1 2")]),
];

const PREPARE: &str = r"
CREATE TYPE mood AS ENUM ('sad', 'it''s', 'happy');
CREATE DOMAIN short_text AS varchar(3);
CREATE DOMAIN price AS numeric(6,2);
CREATE TYPE pair AS (a int, b text);
SET lc_monetary = 'C';
";

#[tokio::test]
async fn every_type_arrives_as_it_was_written() {
    let cluster = Cluster::start_with(&["lc_monetary=C"]);
    let admin = cluster.admin().await;
    admin.batch_execute(PREPARE).await.unwrap();
    for (index, (declared, _, values)) in TYPES.iter().enumerate() {
        let rows: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(row, (value, _))| format!("({row}, ({value})::{declared})"))
            .collect();
        let sql = format!(
            "CREATE TABLE t{index} (id int, v {declared}); INSERT INTO t{index} VALUES {}",
            rows.join(", ")
        );
        admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    let weir = Weir::open(&cluster, &[]);
    let tables = weir.tables().await;
    let context = weir.session(PushdownMode::Auto).await;
    for (index, (declared, pg_type, values)) in TYPES.iter().enumerate() {
        let table = tables.iter().find(|table| table.name == format!("t{index}")).unwrap();
        let found = field::pg_type(table.columns.field(1));
        assert_eq!(found, Some(*pg_type), "{declared}");
        let batches = run_sql(&context, &format!("SELECT v FROM t{index} ORDER BY id")).await;
        let batches = batches.unwrap_or_else(|error| panic!("{declared}: {error:?}"));
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(batch.num_rows(), values.len(), "{declared}");
        for (row, (value, shown)) in values.iter().enumerate() {
            let cell = arrow::util::display::array_value_to_string(batch.column(0), row).unwrap();
            assert_eq!(cell.trim_end(), *shown, "{value}::{declared}");
            assert_eq!(batch.column(0).is_null(row), *value == "NULL", "{value}::{declared}");
        }
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_an_error_that_names_its_column() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    let misfits = [
        ("date", "'infinity'"),
        ("date", "'-infinity'"),
        ("timestamp", "'infinity'"),
        ("timestamptz", "'-infinity'"),
        ("timestamp", "'294276-12-31'"),
        ("time", "'24:00'"),
        ("numeric(5,2)", "'NaN'"),
        ("numeric", "'NaN'"),
        ("numeric", "'Infinity'"),
        ("numeric", "1e56"),
        ("numeric", "0.000000000000000000001"),
        ("numeric(200,2)", "1e90"),
        ("interval", "'300 years 4000000 hours'"),
        ("int[]", "'{{1},{2}}'"),
        ("int[]", "'[0:1]={1,2}'"),
        ("date[]", "'{infinity}'"),
    ];
    for (index, (declared, value)) in misfits.iter().enumerate() {
        let sql = format!("CREATE TABLE m{index} AS SELECT 1 AS ok, ({value})::{declared} AS bad");
        admin.batch_execute(&sql).await.unwrap();
    }
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    for (index, misfit) in misfits.iter().enumerate() {
        let (kind, message) = fails(&context, &format!("SELECT bad FROM m{index}")).await;
        assert_eq!(kind, SourceErrorKind::InvalidValue, "{misfit:?}: {message}");
        assert!(message.contains(&format!("sales.public.m{index}.bad")), "{message}");
        let count = run_sql(&context, &format!("SELECT count(*), max(ok) FROM m{index}")).await;
        assert_eq!(lines(&count.unwrap()), ["1        | 1"], "{misfit:?}");
    }
    let as_text = Weir::open(&cluster, &[("numeric", text("text"))]);
    let context = as_text.session(PushdownMode::Auto).await;
    for (index, shown) in [(7, "NaN"), (8, "Infinity"), (10, "0.000000000000000000001")] {
        let batches = run_sql(&context, &format!("SELECT bad FROM m{index}")).await.unwrap();
        assert_eq!(lines(&batches), [shown]);
    }
}

#[tokio::test]
async fn constants_mean_the_same_at_the_server() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    let write = |literal: &Literal| {
        let mut out = String::new();
        dialect::Postgres.literal(&mut out, literal).unwrap();
        out
    };
    let mut texts = short_texts();
    texts.extend(["é€😀", "\u{1}\n\t\r", "$$", "--", "/*", "%_", "\u{2028}"].map(str::to_owned));
    for setting in ["on", "off"] {
        let set = format!("SET standard_conforming_strings = {setting}");
        admin.batch_execute(&set).await.unwrap();
        for chunk in texts.chunks(500) {
            let values: Vec<_> = chunk
                .iter()
                .map(|text| format!("({})", write(&Literal::Text(text.clone()))))
                .collect();
            let rows = admin.query(&format!("VALUES {}", values.join(", ")), &[]).await.unwrap();
            let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            assert_eq!(found, chunk, "standard_conforming_strings = {setting}");
        }
    }
    for value in [0.1, -0.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, 1.0 / 3.0, f64::INFINITY] {
        let sql = format!("SELECT {}", write(&Literal::Float64(value)));
        let found: f64 = admin.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(found.to_bits(), value.to_bits());
    }
    for value in [0.1_f32, f32::MAX, f32::MIN_POSITIVE, 16_777_217.0] {
        let sql = format!("SELECT {}", write(&Literal::Float32(value)));
        let found: f32 = admin.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(found.to_bits(), value.to_bits());
    }
}

/// Any characters but NUL, those more often that careless quoting stumbles over.
fn random_texts(seed: u64, count: usize) -> Vec<String> {
    const ODD: &[char] =
        &['\'', '"', '\\', '\\', '$', ';', '-', '/', '*', '\n', '\r', ' ', '\u{301}'];
    let mut state = seed;
    // SplitMix64 (Steele, Lea, Flood 2014).
    let mut random = move |below: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    };
    let mut character = move || {
        let range = match random(8) {
            0..3 => return ODD[usize::try_from(random(ODD.len() as u64)).unwrap()],
            3..5 => 1..0x80,
            5 => 0x80..0x800,
            6 => 0x800..0x1_0000,
            _ => 0x1_0000..0x11_0000,
        };
        let code = range.start + random(range.end - range.start);
        // In the place of half of a surrogate pair.
        u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
    };
    (0..count).map(|number| (0..number % 40).map(|_| character()).collect()).collect()
}

#[tokio::test]
async fn any_text_is_a_constant_and_a_name() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    for (seed, setting) in [(1, "on"), (2, "off")] {
        let set = format!("SET standard_conforming_strings = {setting}");
        admin.batch_execute(&set).await.unwrap();
        for texts in random_texts(seed, 20_000).chunks(400) {
            let (mut sql, mut names) = ("SELECT 1".to_owned(), vec!["?column?"]);
            for text in texts {
                sql.push_str(", ");
                dialect::Postgres.literal(&mut sql, &Literal::Text(text.clone())).unwrap();
                let mut name = String::new();
                if dialect::Postgres.identifier(&mut name, text).is_some() {
                    sql.push_str(" AS ");
                    sql.push_str(&name);
                    names.push(text);
                } else {
                    assert!(text.is_empty() || text.len() > 63, "{text:?}");
                    names.push("text");
                }
            }
            let row = admin.query_one(&sql, &[]).await.unwrap();
            let found: Vec<&str> = row.columns().iter().map(|column| column.name()).collect();
            assert_eq!(found, names, "seed {seed}");
            let values: Vec<String> = (1..row.len()).map(|index| row.get(index)).collect();
            assert_eq!(values, texts, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn any_name_of_a_column_can_be_read() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    let names: Vec<_> =
        short_texts().into_iter().filter(|name| !name.is_empty()).take(1500).collect();
    let create = "DO $do$ DECLARE list text; BEGIN
        SELECT string_agg(format('%I bool', n), ', ' ORDER BY o) INTO list
            FROM unnest(string_to_array(current_setting('weir.names'), ' ')) WITH ORDINALITY u(n, o);
        EXECUTE format('CREATE TABLE %I (%s)', 'a\"b\\''c', list);
        EXECUTE format('INSERT INTO %I DEFAULT VALUES', 'a\"b\\''c');
    END $do$";
    admin.execute("SELECT set_config('weir.names', $1, false)", &[&names.join(" ")]).await.unwrap();
    admin.batch_execute(create).await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let table = weir.table("a\"b\\'c").await;
    let found: Vec<_> = table.columns.fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(found, names);
    let context = SessionContext::new();
    context.register_table("t", weir.source.table(&table)).unwrap();
    let batches = run_sql(&context, "SELECT * FROM t").await.unwrap();
    assert_eq!((batches[0].num_columns(), batches[0].num_rows()), (1500, 1));
}

const CORPUS: &str = r#"
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION german (provider = icu, locale = 'de');
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE edge (
    id int PRIMARY KEY, i2 smallint, i4 int, i8 bigint, f4 real, f8 float8, n numeric(12,2),
    bare numeric, t text, de text COLLATE german, nc text COLLATE nocase, c text COLLATE "C",
    ch char(4), vc varchar(10), b boolean, d date, ts timestamp, tz timestamptz, tm time, u uuid,
    m mood, j jsonb, a int[]);
INSERT INTO edge VALUES
 (1, -32768, -2147483648, -9223372036854775808, '-Infinity', '-Infinity', -9999999999.99, -1e30,
  '', '', '', '', '', '', false, '0001-01-01', '0001-01-01', '0001-01-01 00:00+00', '00:00',
  '00000000-0000-0000-0000-000000000000', 'sad', '1', '{}'),
 (2, 0, 0, 0, 0, 0, 0, 0, 'A', 'A', 'A', 'A', 'A', 'A', true, '1970-01-01', '1970-01-01',
  '1970-01-01 00:00+00', '12:00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ok', 'null', '{1}'),
 (3, 1, 1, 1, '-0', '-0', 0.01, 0.01, 'a', 'a', 'a', 'a', 'a', 'a', true, '1969-12-31',
  '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00', '23:59:59.999999',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 'happy', '{}', '{NULL}'),
 (4, 32767, 2147483647, 9223372036854775807, 'NaN', 'NaN', 9999999999.99, 1e30, 'a ', 'ä', 'ä', '_',
  'a b', 'a ', NULL, '9999-12-31', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00',
  '00:00:00.000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'ok', '[]', '{1,2}'),
 (5, 7, 7, 7, 'Infinity', 'Infinity', 7.5, 7.5, 'it''s \ a%b_c', 'Z', 'AbC', 'abc', 'abc', 'abc',
  false, '2024-02-29', '2024-02-29 12:00', '2024-02-29 12:00+02', '01:02:03',
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A13', 'sad', '"x"', NULL),
 (6, -1, -1, -1, 1.5, 1.5, -0.01, 1.5, 'é', 'é', 'É', 'é', 'é', '😀', NULL, '2262-04-12',
  '2262-04-12', '2262-04-12 00:00+00', '12:00', NULL, NULL, NULL, NULL),
 (7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (8, 2, 2, 2, 5e-45, 5e-324, 1, 1.00000000000000000001, '😀', '_', '_', '😀', 'A', 'B', true,
  '2000-01-01', '2000-01-01', '2000-01-01 00:00+00', '12:00',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'happy', '2', '{2}');
ANALYZE edge;
"#;

/// Predicates, and whether the whole of each must be answered at the source (`=`), at least be
/// narrowed there (`~`), or must stay local (`-`).
const PREDICATES: &[(char, &str)] = &[
    ('=', "i2 = 7::smallint"),
    ('=', "i4 = 7"),
    ('=', "i4 <> 7"),
    ('=', "7 < i4"),
    ('=', "i4 BETWEEN -1 AND 2"),
    ('=', "i4 NOT BETWEEN -1 AND 2"),
    ('=', "i4 IN (1, 2, 7, 9)"),
    ('=', "i4 NOT IN (1, 2, 7, 9)"),
    ('=', "i8 >= 9223372036854775807"),
    ('=', "i8 <= -9223372036854775807"),
    ('=', "i4 IS NULL"),
    ('=', "i4 IS NOT NULL"),
    ('=', "i2 + 1 = 8"),
    ('=', "i4 = i8"),
    ('-', "i8 % 2 = 1"),
    ('-', "abs(f8) = 1.5"),
    ('=', "f8 = 1.5"),
    ('=', "f8 > 1.5"),
    ('=', "f8 < 1.5"),
    ('=', "f8 <> 1.5"),
    ('=', "f8 = 'NaN'::double"),
    ('=', "f8 < 'NaN'::double"),
    ('=', "f8 >= 'NaN'::double"),
    ('=', "f8 = 'Infinity'::double"),
    ('=', "f8 > '-Infinity'::double"),
    ('=', "f8 > 4e-324"),
    ('~', "f8 = 0.0"),
    ('-', "f8 <> 0.0"),
    ('-', "f8 < 0.0"),
    ('-', "f8 > 0.0"),
    ('~', "f8 >= 0.0"),
    ('~', "f8 <= 0.0"),
    ('-', "NOT (f8 >= 0.0)"),
    ('~', "f8 IN (0.0, 1.5)"),
    ('~', "f8 NOT IN (0.0, 1.5)"),
    ('-', "f8 NOT IN (0.0, 1.5, 2.5, 3.5)"),
    ('~', "f8 IN (0.0, 1.5, 2.5, 3.5)"),
    ('=', "f8 NOT IN (1.0, 1.5, 2.5, 3.5)"),
    ('=', "f4 = 1.5::real"),
    ('=', "f4 > 1.5::real"),
    ('~', "f4 = 0::real"),
    ('=', "n = 7.50::decimal(12,2)"),
    ('=', "n > 0.01::decimal(12,2)"),
    ('=', "n <= 9999999999.99::decimal(12,2)"),
    ('=', "n IN (1::decimal(12,2), 7.5::decimal(12,2))"),
    ('=', "t = 'a'"),
    ('=', "t = 'a '"),
    ('=', "t = ''"),
    ('=', r"t = 'it''s \ a%b_c'"),
    ('=', "t <> 'a'"),
    ('=', "t < 'a'"),
    ('=', "t > 'A' AND t <= 'é'"),
    ('=', "t IN ('a', 'A', '😀')"),
    ('=', "t NOT IN ('a', 'A')"),
    ('=', "t LIKE 'it%'"),
    ('=', "t LIKE '%s%'"),
    ('=', "t NOT LIKE '%a%'"),
    ('=', "t LIKE '%''%'"),
    ('-', r"t LIKE '%\%b%'"),
    ('-', r"t LIKE '%b\_c'"),
    ('-', "t LIKE '_'"),
    ('=', "t LIKE 'a%b'"),
    ('-', "t ILIKE 'A%'"),
    ('-', "upper(t) = 'A'"),
    ('=', "t ~ 'a'"),
    ('=', "t ~ '^a'"),
    ('-', "t ~ 'a.'"),
    ('=', "de < 'b'"),
    ('=', "de > 'Z'"),
    ('=', "de = 'ä'"),
    ('~', "nc = 'a'"),
    ('~', "nc IN ('a', 'abc')"),
    ('-', "nc <> 'a'"),
    ('-', "nc NOT IN ('a', 'abc')"),
    ('-', "nc NOT IN ('a', 'b', 'c', 'abc')"),
    ('~', "nc IN ('a', 'b', 'c', 'abc')"),
    ('-', "NOT (nc = 'a')"),
    ('=', "nc < 'a'"),
    ('-', "nc LIKE 'a%'"),
    ('=', "nc IS NULL"),
    ('=', "c < 'a'"),
    ('=', "c >= '_'"),
    ('=', "vc = 'a '"),
    ('=', "vc > 'B'"),
    ('=', "ch = 'a'"),
    ('~', "ch = 'a   '"),
    ('=', "ch IN ('A', 'abc')"),
    ('=', "ch <> 'a'"),
    ('=', "ch < 'b'"),
    ('-', "ch LIKE 'a%'"),
    ('=', "b"),
    ('=', "NOT b"),
    ('=', "b = false"),
    ('=', "b IS NULL"),
    ('=', "d = DATE '1969-12-31'"),
    ('=', "d < DATE '1970-01-01'"),
    ('=', "d BETWEEN DATE '1970-01-01' AND DATE '2262-04-12'"),
    ('=', "d > DATE '9999-01-01'"),
    ('=', "ts = TIMESTAMP '2024-02-29 12:00:00'"),
    ('=', "ts >= TIMESTAMP '1970-01-01 00:00:00' AND ts < TIMESTAMP '2024-02-29 12:00:00.000001'"),
    ('=', "tm = TIME '12:00:00'"),
    ('=', "tm > TIME '12:00:00'"),
    ('=', "u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    ('-', "u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"),
    ('-', "u = '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"),
    ('=', "u > 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    ('=', "u <> 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    ('=', "m = 'sad'"),
    ('=', "m = 'unknown'"),
    ('=', "m <> 'sad'"),
    ('=', "m IN ('sad', 'it''s')"),
    ('=', "m NOT IN ('sad', 'it''s', 'a', 'b')"),
    ('-', "i4 NOT IN (1, 2, 7, 9, NULL)"),
    ('-', "m < 'ok'"),
    ('-', "j = '1'"),
    ('=', "j IS NULL"),
    ('=', "a IS NULL"),
    ('=', "i4 = 7 OR t = 'a'"),
    ('=', "NOT (i4 = 7 OR t = 'a')"),
    ('=', "NOT (i4 > 0 AND b)"),
    ('-', "i4 = 7 OR upper(t) = 'A'"),
    ('~', "(i4 > 0 AND upper(t) = 'A') OR i4 < -5"),
    ('~', "NOT ((i4 > 0 AND upper(t) = 'A') OR i4 < -5)"),
    ('=', "(i4 IS NULL OR i4 < 0) AND (t IS NULL OR t > '')"),
];

async fn plan_text(context: &SessionContext, sql: &str) -> String {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string()
}

#[tokio::test]
async fn pushdown_changes_no_answer_and_pushes_what_it_should() {
    let cluster = Cluster::start();
    cluster.admin().await.batch_execute(CORPUS).await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let on = weir.session(PushdownMode::Auto).await;
    let off = weir.session(PushdownMode::Off).await;
    let mut wrong = Vec::new();
    for (claim, predicate) in PREDICATES {
        for sql in [
            format!("SELECT * FROM edge WHERE {predicate}"),
            format!("SELECT count(*) FROM edge WHERE {predicate}"),
        ] {
            let expected = run_sql(&off, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            let found = run_sql(&on, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            assert_eq!(lines(&found), lines(&expected), "{sql}");
        }
        let sql = format!("SELECT id FROM edge WHERE {predicate}");
        assert!(!plan_text(&off, &sql).await.contains("WHERE"), "{predicate}");
        let plan = plan_text(&on, &sql).await;
        let (is_pushed, is_local) = (plan.contains(" WHERE "), plan.contains("FilterExec"));
        let expected = match claim {
            '=' => (true, false),
            '~' => (true, true),
            _ => (false, true),
        };
        if (is_pushed, is_local) != expected {
            wrong.push(format!("{claim} {predicate}\n{plan}"));
        }
    }
    assert!(wrong.is_empty(), "{} claims are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // Bare numeric is read only where its values fit.
    let sql = "SELECT id FROM edge WHERE bare > 1.5 AND id <> 8";
    assert_eq!(lines(&run_sql(&on, sql).await.unwrap()), lines(&run_sql(&off, sql).await.unwrap()));
}

#[tokio::test]
async fn postgres_itself_agrees_with_what_is_pushed_exactly() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(CORPUS).await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let on = weir.session(PushdownMode::Auto).await;
    // Where a collation decides, PostgreSQL means something else by the same words, and so for the
    // order of an enumeration and the zeros of a double.
    let differs = [
        "de ", "nc", "ch ", "m <", "m IN", "m NOT IN", "unknown", "u = 'A", "u = '{", "0.0",
        "0::real", "j =", "LIKE", "~", "t <", "t >", "vc >", "c ",
    ];
    let same = |sql: &str| sql.replace("::double", "::float8");
    for (_, predicate) in PREDICATES {
        if differs.iter().any(|word| predicate.contains(word)) {
            continue;
        }
        let sql = format!("SELECT id FROM edge WHERE {predicate}");
        let mut expected: Vec<String> = admin
            .query(&same(&sql), &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .iter()
            .map(|row| row.get::<_, i32>(0).to_string())
            .collect();
        expected.sort();
        assert_eq!(lines(&run_sql(&on, &sql).await.unwrap()), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_limit_goes_along_only_when_no_row_is_dropped_later() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin
        .batch_execute(
            "CREATE TABLE n AS SELECT i, i::text t FROM generate_series(1, 1000) i; ANALYZE n",
        )
        .await
        .unwrap();
    let weir = Weir::open(&cluster, &[]);
    let on = weir.session(PushdownMode::Auto).await;
    for (sql, is_pushed, rows) in [
        ("SELECT i FROM n LIMIT 5", true, 5),
        ("SELECT i FROM n LIMIT 5 OFFSET 3", true, 5),
        ("SELECT i FROM n WHERE i > 990 LIMIT 20", true, 10),
        ("SELECT i FROM n WHERE i % 2 = 0 LIMIT 5", false, 5),
        ("SELECT i FROM n WHERE i > 10 AND upper(t) = '500' LIMIT 5", false, 1),
        ("SELECT i FROM n ORDER BY i LIMIT 5", false, 5),
    ] {
        let plan = plan_text(&on, sql).await;
        assert_eq!(plan.contains(" LIMIT "), is_pushed, "{plan}");
        let batches = run_sql(&on, sql).await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows, "{sql}");
    }
    let off = weir.session(PushdownMode::Off).await;
    assert!(!plan_text(&off, "SELECT i FROM n LIMIT 5").await.contains(" LIMIT "));
    let plan = plan_text(&on, "SELECT i FROM n").await;
    assert!(
        plan.contains(
            r#"RemoteExec: catalog=sales, estimated_rows=1000, sql=SELECT "i" FROM "public"."n""#
        ),
        "{plan}"
    );
}

/// The optimizer may rewrite a filter after the table has taken it.
#[tokio::test]
async fn a_filter_that_came_in_disguise_is_still_applied() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    let create = "CREATE TABLE n AS SELECT i, i::text t FROM generate_series(1, 9) i";
    admin.batch_execute(create).await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    let table = weir.source.table(&weir.table("n").await);
    for (filters, rows) in [
        (vec![lit(true)], 5),
        (vec![lit(false)], 0),
        (vec![col("i").gt(lit(7)), lit(true)], 2),
        (vec![col("i").gt(lit(7)), (col("i") % lit(2)).eq(lit(0))], 1),
        (vec![(col("i") % lit(2)).eq(lit(0))], 4),
    ] {
        let limit = (rows == 5).then_some(5);
        let plan = table.scan(&context.state(), Some(&vec![1]), &filters, limit).await.unwrap();
        assert_eq!(plan.schema().fields().len(), 1);
        let batches = datafusion::physical_plan::collect(plan, context.task_ctx()).await.unwrap();
        let found = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        // A limit that did not go along is applied above the scan.
        assert_eq!(limit.map_or(found, |limit| found.min(limit)), rows, "{filters:?}");
    }
}

#[tokio::test]
async fn discovery_sees_what_the_user_may_read() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin
        .batch_execute(
            r#"
            CREATE SCHEMA "Shop"; CREATE SCHEMA closed; CREATE SCHEMA other;
            CREATE TABLE "Shop".orders (id int PRIMARY KEY, code text NOT NULL UNIQUE, secret text,
                gone int, cost numeric, UNIQUE (id, code) INCLUDE (cost));
            ALTER TABLE "Shop".orders DROP COLUMN gone;
            COMMENT ON TABLE "Shop".orders IS 'what was sold';
            COMMENT ON COLUMN "Shop".orders.code IS 'of the receipt';
            INSERT INTO "Shop".orders SELECT i, i::text, 'x', 1 FROM generate_series(1, 100) i;
            CREATE VIEW "Shop".orders_view AS SELECT * FROM "Shop".orders;
            CREATE MATERIALIZED VIEW "Shop".orders_mv AS SELECT id FROM "Shop".orders;
            CREATE TABLE "Shop".sales (day date NOT NULL, x int) PARTITION BY RANGE (day);
            CREATE TABLE "Shop".sales_2024 PARTITION OF "Shop".sales
                FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
            INSERT INTO "Shop".sales SELECT '2024-05-05', i FROM generate_series(1, 10) i;
            CREATE TABLE "Shop".parent (a int); CREATE TABLE "Shop".child () INHERITS ("Shop".parent);
            ALTER TABLE ONLY "Shop".parent ALTER a SET NOT NULL;
            CREATE TABLE "Shop".hidden (a int);
            CREATE TABLE "Shop".nothing ();
            CREATE TABLE closed.t (a int); CREATE TABLE other.t (a int);
            CREATE ROLE reader LOGIN;
            GRANT USAGE ON SCHEMA "Shop", other TO reader;
            GRANT SELECT ON ALL TABLES IN SCHEMA "Shop", closed, other TO reader;
            REVOKE SELECT ON "Shop".hidden, "Shop".orders FROM reader;
            GRANT SELECT (id, code, cost) ON "Shop".orders TO reader;
            ANALYZE;
            "#,
        )
        .await
        .unwrap();
    let url = text(&format!("postgres://reader@127.0.0.1:{}/postgres", cluster.port));
    let weir = Weir::open(
        &cluster,
        &[("url", url), ("exclude", OptionValue::List(vec!["other.t".into()]))],
    );
    let mut found: Vec<_> = weir
        .tables()
        .await
        .iter()
        .map(|table| (format!("{}.{}", table.schema, table.name), table.kind))
        .collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    let expected = [
        ("child", TableKind::Table),
        ("nothing", TableKind::Table),
        ("orders", TableKind::Table),
        ("orders_mv", TableKind::MaterializedView),
        ("orders_view", TableKind::View),
        ("parent", TableKind::Table),
        ("sales", TableKind::PartitionedTable),
        ("sales_2024", TableKind::Table),
    ];
    assert_eq!(found, expected.map(|(name, kind)| (format!("Shop.{name}"), kind)));

    let orders = weir.table("orders").await;
    assert_eq!(orders.comment.as_deref(), Some("what was sold"));
    assert_eq!(field::comment(orders.columns.field(1)), Some("of the receipt"));
    let nullable: Vec<_> =
        orders.columns.fields().iter().map(|field| field.is_nullable()).collect();
    assert_eq!(nullable, [false, false, true, true]);
    let keys: Vec<_> =
        orders.keys.iter().map(|key| (key.columns.clone(), key.is_primary)).collect();
    assert_eq!(keys, [(vec![0], true), (vec![1], false), (vec![0, 1], false)]);
    assert_eq!(orders.statistics.rows, Some(100));
    assert_eq!(weir.table("sales").await.statistics.rows, Some(10));
    assert!(weir.table("parent").await.columns.field(0).is_nullable());
    assert!(weir.table("orders_view").await.columns.field(0).is_nullable());

    let context = weir.session(PushdownMode::Auto).await;
    let count = run_sql(&context, "SELECT count(*), max(id), min(code) FROM orders").await.unwrap();
    assert_eq!(lines(&count), ["100      | 100            | 1"]);
    for sql in [
        "SELECT secret FROM orders",
        "SELECT * FROM orders",
        "SELECT id FROM orders WHERE secret IS NULL",
    ] {
        let (kind, message) = fails(&context, sql).await;
        assert_eq!(kind, SourceErrorKind::UnsupportedType);
        assert!(message.contains("\"sales.Shop.orders.secret\" of type text"), "{message}");
    }
    let none = run_sql(&context, "SELECT count(*) FROM nothing").await.unwrap();
    assert_eq!(lines(&none), ["0"]);

    let schemas = OptionValue::List(vec!["other".into()]);
    let url = text(&format!("postgres://reader@127.0.0.1:{}/postgres", cluster.port));
    let other = Weir::open(&cluster, &[("url", url), ("schemas", schemas)]).tables().await;
    assert_eq!(other.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["t"]);
}

#[tokio::test]
async fn a_changed_table_is_stale_and_never_misread() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin
        .batch_execute("CREATE TABLE t (a int NOT NULL, b int); INSERT INTO t VALUES (1, 2)")
        .await
        .unwrap();
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    for change in [
        "ALTER TABLE t ALTER a DROP NOT NULL; UPDATE t SET a = NULL",
        "ALTER TABLE t ALTER a TYPE float4",
        "ALTER TABLE t ALTER a TYPE text",
        "ALTER TABLE t DROP a",
        "DROP TABLE t",
    ] {
        admin.batch_execute(change).await.unwrap();
        let (kind, message) = fails(&context, "SELECT a FROM t").await;
        assert_eq!(kind, SourceErrorKind::Stale, "{change}: {message}");
        weir.source.changed().await;
    }
}

async fn stream(
    context: &SessionContext,
    sql: &str,
) -> datafusion::execution::SendableRecordBatchStream {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    execute_stream(plan, Arc::new(TaskContext::from(context))).unwrap()
}

const BIG: &str = "CREATE VIEW big AS SELECT i, repeat('x', 200) t \
                   FROM (SELECT generate_series(1, 1000000000) i) s";

#[tokio::test]
async fn a_dropped_stream_is_cancelled_and_the_pool_recovers() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(BIG).await.unwrap();
    admin.batch_execute("CREATE VIEW slow AS SELECT pg_sleep(600)::text s").await.unwrap();
    let weir = Weir::open(&cluster, &[("pool_size", OptionValue::Integer(1))]);
    let context = weir.session(PushdownMode::Auto).await;
    for _ in 0..3 {
        let mut rows = stream(&context, "SELECT i, t FROM big").await;
        assert!(rows.next().await.unwrap().unwrap().num_rows() > 0);
        drop(rows);
        assert!(cluster.is_quiet_within(Duration::from_secs(1)).await);
        // While the statement has not answered yet, too.
        let mut rows = stream(&context, "SELECT s FROM slow").await;
        assert!(tokio::time::timeout(Duration::from_millis(200), rows.next()).await.is_err());
        drop(rows);
        assert!(cluster.is_quiet_within(Duration::from_secs(1)).await);
        let batches = run_sql(&context, "SELECT i FROM big LIMIT 1").await.unwrap();
        assert_eq!(lines(&batches), ["1"]);
    }
}

#[tokio::test]
async fn a_pool_is_bounded_and_waits_only_so_long() {
    let cluster = Cluster::start();
    cluster.admin().await.batch_execute(BIG).await.unwrap();
    let options = [
        ("pool_size", OptionValue::Integer(1)),
        ("connect_timeout", OptionValue::Duration(Duration::from_millis(500))),
        ("query_timeout", OptionValue::Duration(Duration::from_secs(3))),
    ];
    let weir = Weir::open(&cluster, &options);
    let context = weir.session(PushdownMode::Auto).await;
    let mut rows = stream(&context, "SELECT i, t FROM big").await;
    rows.next().await.unwrap().unwrap();
    let started = Instant::now();
    let (kind, message) = fails(&context, "SELECT i FROM big LIMIT 1").await;
    assert_eq!(kind, SourceErrorKind::Unavailable);
    assert!(message.contains("all 1 connections"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(2));
    // The statement itself has its own limit.
    let error = loop {
        match rows.next().await.expect("the view has no end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(source_error(&error).kind, SourceErrorKind::Timeout);
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Forwards one server; closes everything when told to, without a word.
async fn cuttable_proxy(server: u16) -> (u16, tokio::sync::watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (cut, is_cut) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut is_cut = is_cut.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    _ = is_cut.wait_for(|cut| *cut) => {}
                }
            });
        }
    });
    (port, cut)
}

#[tokio::test]
async fn a_cut_connection_is_an_error_and_never_a_short_answer() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(BIG).await.unwrap();
    let (port, cut) = cuttable_proxy(cluster.port).await;
    let url = text(&format!("postgres://owner@127.0.0.1:{port}/postgres"));
    let weir = Weir::open(&cluster, &[("url", url)]);
    let context = weir.session(PushdownMode::Auto).await;
    let mut rows = stream(&context, "SELECT i, t FROM big").await;
    rows.next().await.unwrap().unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'weir%'";
    admin.batch_execute(kill).await.unwrap();
    assert_eq!(last_error(&mut rows).await, SourceErrorKind::Unavailable);

    let mut rows = stream(&context, "SELECT i, t FROM big").await;
    rows.next().await.unwrap().unwrap();
    cut.send(true).unwrap();
    assert_eq!(last_error(&mut rows).await, SourceErrorKind::Unavailable);
    let (kind, _) = fails(&context, "SELECT i FROM big LIMIT 1").await;
    assert_eq!(kind, SourceErrorKind::Unavailable);
}

async fn last_error(
    rows: &mut datafusion::execution::SendableRecordBatchStream,
) -> SourceErrorKind {
    loop {
        match rows.next().await.expect("a stream that was cut ends in an error") {
            Ok(_) => {}
            Err(error) => return source_error(&error).kind,
        }
    }
}

#[tokio::test]
async fn idle_connections_survive_a_restart_of_the_server() {
    let cluster = Cluster::start();
    cluster.admin().await.batch_execute("CREATE TABLE t AS SELECT 1 AS a").await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    run_sql(&context, "SELECT a FROM t").await.unwrap();
    cluster.restart();
    assert_eq!(lines(&run_sql(&context, "SELECT a FROM t").await.unwrap()), ["1"]);
}

#[tokio::test]
async fn sessions_are_read_only_labelled_and_in_utc() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin
        .batch_execute(
            "CREATE VIEW settings AS SELECT name, current_setting(name) AS value FROM unnest(ARRAY[
                'default_transaction_read_only', 'transaction_read_only', 'TimeZone', 'search_path',
                'statement_timeout', 'standard_conforming_strings', 'application_name',
                'client_encoding']) name;
             CREATE VIEW statement AS SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid();
             CREATE TABLE log (a int);
             CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'INSERT INTO public.log VALUES (1) RETURNING 1';
             CREATE VIEW writes AS SELECT f() AS a;",
        )
        .await
        .unwrap();
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    let settings =
        run_sql(&context, "SELECT name || '=' || value AS s FROM settings").await.unwrap();
    assert_eq!(
        lines(&settings),
        [
            "TimeZone=UTC",
            "application_name=weir sales",
            "client_encoding=UTF8",
            "default_transaction_read_only=on",
            "search_path=",
            "standard_conforming_strings=on",
            "statement_timeout=5min",
            "transaction_read_only=on",
        ]
    );
    let (kind, message) = fails(&context, "SELECT a FROM writes").await;
    assert_eq!(kind, SourceErrorKind::Rejected);
    assert!(message.contains("25006") && !message.contains("INSERT"), "{message}");

    let label = QueryLabel { query_id: "q7".into(), principal: "user:eve*/;--".into() };
    let config = SessionConfig::new().with_extension(Arc::new(label));
    let context = SessionContext::new_with_config(config);
    let table = weir.table("statement").await;
    context.register_table("statement", weir.source.table(&table)).unwrap();
    let batches = run_sql(&context, "SELECT query FROM statement").await.unwrap();
    let shown = batches[0].column(0).as_string::<i32>().value(0).to_owned();
    assert_eq!(
        shown,
        "COPY (/* weir query=q7 principal=user:eve???-- */ SELECT \"query\" FROM \
         \"public\".\"statement\") TO STDOUT (FORMAT BINARY)"
    );
}

#[tokio::test]
async fn explain_analyze_counts_what_came_back() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin
        .batch_execute("CREATE TABLE n AS SELECT i FROM generate_series(1, 20000) i")
        .await
        .unwrap();
    admin.batch_execute(LARGE).await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    for (table, rows, streams) in [("n", 20_000, 1), ("large", 40_000, 2)] {
        let sql = format!("SELECT * FROM {table}");
        let plan = context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
        datafusion::physical_plan::collect(plan.clone(), context.task_ctx()).await.unwrap();
        let metrics = plan.metrics().or_else(|| plan.children()[0].metrics()).unwrap();
        let metric = |name| metrics.sum_by_name(name).unwrap().as_usize();
        assert_eq!(metrics.output_rows(), Some(rows));
        assert_eq!(metric("streams"), streams);
        assert_eq!(metric("join_keys"), 0);
        assert!(metric("remote_bytes") >= rows * 4);
        let (first, all) = (metric("remote_first_row_time"), metric("remote_time"));
        assert!(first > 0 && all >= first, "{first} {all}");
    }
}

#[tokio::test]
async fn credentials_and_addresses_fail_with_their_own_kinds() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin
        .batch_execute("SET password_encryption = 'scram-sha-256'; CREATE ROLE reader LOGIN PASSWORD 'hunter2'")
        .await
        .unwrap();
    cluster.write(
        "pg_hba.conf",
        "host all owner 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    );
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let port = cluster.port;
    let secret = |value: &str| OptionValue::Secret(SecretString::from(value.to_owned()));
    let at = |user: &str, port: u16, database: &str| {
        text(&format!("postgres://{user}@127.0.0.1:{port}/{database}"))
    };
    let right = Weir::open(
        &cluster,
        &[("url", at("reader", port, "postgres")), ("password", secret("hunter2"))],
    );
    assert!(right.source.check().await.unwrap().starts_with("PostgreSQL 1"));
    let in_url = Weir::open(&cluster, &[("url", at("reader:hunter2", port, "postgres"))]);
    in_url.source.check().await.unwrap();
    assert!(!format!("{:?}", in_url.source).contains("hunter2"));
    for (url, password, kind) in [
        (at("reader", port, "postgres"), Some("wrong"), SourceErrorKind::AuthenticationFailed),
        (at("reader", port, "postgres"), None, SourceErrorKind::AuthenticationFailed),
        (at("nobody", port, "postgres"), Some("x"), SourceErrorKind::AuthenticationFailed),
        (at("owner", port, "none"), None, SourceErrorKind::InvalidOption),
        (at("owner", 1, "postgres"), None, SourceErrorKind::Unavailable),
    ] {
        let mut options = vec![("url", url.clone())];
        options.extend(password.map(|password| ("password", secret(password))));
        let error = Weir::open(&cluster, &options).source.check().await.unwrap_err();
        assert_eq!(error.kind, kind, "{url:?} {error:?}");
    }
    // A listener that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = at("owner", silent.local_addr().unwrap().port(), "postgres");
    let limit = OptionValue::Duration(Duration::from_millis(300));
    let weir = Weir::open(&cluster, &[("url", url), ("connect_timeout", limit)]);
    let started = Instant::now();
    assert_eq!(weir.source.check().await.unwrap_err().kind, SourceErrorKind::Unavailable);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn tls_is_verified_and_never_given_up_silently() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let cluster = Cluster::start();
    let plain_port = cluster.port;
    cluster.write("server.crt", &key.cert.pem());
    cluster.write("server.key", &key.signing_key.serialize_pem());
    let authority = cluster.folder().join("data").join("server.crt");
    let at = |host: &str| text(&format!("postgres://owner@{host}:{plain_port}/postgres"));
    let check = async |host: &str, tls: &str, with_authority: bool| {
        let mut options = vec![("url", at(host)), ("tls", text(tls))];
        if with_authority {
            options.push(("tls_ca", OptionValue::Path(authority.clone())));
        }
        Weir::open(&cluster, &options).source.check().await
    };
    // Without TLS at the server.
    assert!(check("localhost", "prefer", false).await.unwrap().ends_with("no TLS"));
    assert!(check("localhost", "disable", false).await.unwrap().ends_with("no TLS"));
    for mode in ["require", "verify-full"] {
        let error = check("localhost", mode, true).await.unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Unavailable, "{mode}");
    }
    let admin = cluster.admin().await;
    admin.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    while !check("localhost", "prefer", false).await.unwrap().ends_with(", TLS") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(check("localhost", "require", false).await.unwrap().ends_with(", TLS"));
    assert!(check("localhost", "verify-full", true).await.unwrap().ends_with(", TLS"));
    assert!(check("localhost", "disable", false).await.unwrap().ends_with("no TLS"));
    // An unknown authority, another name, and `prefer` with an authority: never plaintext instead.
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(cluster.folder().join("other.crt"), other.cert.pem()).unwrap();
    for (host, tls, authority) in [
        ("localhost", "verify-full", "other.crt"),
        ("127.0.0.1", "verify-full", "data/server.crt"),
        ("localhost", "prefer", "other.crt"),
        ("localhost", "require", "other.crt"),
    ] {
        let authority = OptionValue::Path(cluster.folder().join(authority));
        let options = [("url", at(host)), ("tls", text(tls)), ("tls_ca", authority)];
        let error = Weir::open(&cluster, &options).source.check().await.unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Unavailable, "{host} {tls}");
        assert!(error.message.contains("certificate"), "{error:?}");
    }
    // The cancel of a dropped stream goes over TLS as well.
    admin.batch_execute(BIG).await.unwrap();
    let options = [("url", at("localhost")), ("tls", text("require"))];
    let weir = Weir::open(&cluster, &options);
    let context = weir.session(PushdownMode::Auto).await;
    let mut rows = stream(&context, "SELECT i, t FROM big").await;
    rows.next().await.unwrap().unwrap();
    drop(rows);
    assert!(cluster.is_quiet_within(Duration::from_secs(1)).await);
}

/// A server that answers everything well but stops after half of the rows must not be believed.
#[tokio::test]
async fn copy_without_a_trailer_is_not_complete() {
    use tokio_postgres::types::Type;
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new(
        "a",
        arrow::datatypes::DataType::Int32,
        true,
    )]));
    let mut whole = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for value in 0..100_i32 {
        whole.extend(1_i16.to_be_bytes());
        whole.extend(4_i32.to_be_bytes());
        whole.extend(value.to_be_bytes());
    }
    whole.extend((-1_i16).to_be_bytes());
    // Any way of cutting the stream into pieces gives the same rows.
    for size in [1, 2, 3, 7, 10, 19, 21, 64, whole.len()] {
        let mut decoder =
            super::decode::Decoder::new("t".into(), schema.clone(), &[&Type::INT4]).unwrap();
        for piece in whole.chunks(size) {
            assert!(decoder.check_complete().is_err());
            decoder.feed(piece).unwrap();
        }
        decoder.check_complete().unwrap();
        let batch = decoder.take_batch().unwrap().unwrap();
        let column = batch.column(0).as_primitive::<arrow::datatypes::Int32Type>();
        assert_eq!(column.values().to_vec(), (0..100).collect::<Vec<_>>());
    }
    for end in 0..whole.len() {
        let mut decoder =
            super::decode::Decoder::new("t".into(), schema.clone(), &[&Type::INT4]).unwrap();
        decoder.feed(&whole[..end]).unwrap();
        assert!(decoder.check_complete().is_err());
    }
}

#[tokio::test]
async fn a_server_of_another_encoding_compares_no_text() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin
        .batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        .await
        .unwrap();
    let latin = cluster.connect("owner", "latin").await;
    latin
        .batch_execute("CREATE TABLE t AS SELECT * FROM (VALUES ('é'), ('a')) v(a)")
        .await
        .unwrap();
    let url = text(&format!("postgres://owner@127.0.0.1:{}/latin", cluster.port));
    let weir = Weir::open(&cluster, &[("url", url)]);
    let context = weir.session(PushdownMode::Auto).await;
    for (sql, rows) in [
        ("SELECT a FROM t WHERE a = 'é'", vec!["é"]),
        ("SELECT a FROM t WHERE a = '😀'", vec![]),
        ("SELECT a FROM t WHERE a > 'b'", vec!["é"]),
    ] {
        assert!(!plan_text(&context, sql).await.contains("WHERE"), "{sql}");
        assert_eq!(lines(&run_sql(&context, sql).await.unwrap()), rows, "{sql}");
    }
}

/// Enough pages for two connections, eight rows on each.
const LARGE: &str = "\
CREATE TABLE large (id int PRIMARY KEY, version int NOT NULL, pad text NOT NULL);
INSERT INTO large SELECT i, 0, repeat('x', 900) FROM generate_series(1, 40000) i;
ANALYZE large";

/// The statements that read the table by pages, one for each that runs now.
const PAGE_READS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE application_name LIKE 'weir %' AND query LIKE 'COPY%ctid%' AND state = 'active'";

async fn partitions(
    context: &SessionContext,
    sql: &str,
) -> Vec<datafusion::execution::SendableRecordBatchStream> {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    datafusion::physical_plan::execute_stream_partitioned(plan, context.task_ctx()).unwrap()
}

fn ids(batches: &[RecordBatch]) -> Vec<i32> {
    let ids = |batch: &RecordBatch| {
        batch.column(0).as_primitive::<arrow::datatypes::Int32Type>().values().to_vec()
    };
    let mut ids: Vec<_> = batches.iter().flat_map(ids).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_table_is_read_by_several_connections() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(LARGE).await.unwrap();
    admin
        .batch_execute(
            "CREATE VIEW seen AS SELECT * FROM large;
             CREATE TABLE child () INHERITS (large);
             CREATE TABLE alone AS SELECT * FROM large; ANALYZE alone;
             INSERT INTO alone SELECT i, 0, repeat('y', 900) FROM generate_series(40001, 50000) i",
        )
        .await
        .unwrap();
    let weir = Weir::open(&cluster, &[]);
    let on = weir.session(PushdownMode::Auto).await;
    let off = weir.session(PushdownMode::Off).await;
    for (sql, is_split) in [
        ("SELECT id FROM alone", true),
        ("SELECT id, pad FROM alone WHERE id > 0", true),
        ("SELECT count(*) FROM alone", true),
        ("SELECT id FROM alone WHERE id = 7", false),
        ("SELECT id FROM alone LIMIT 7", false),
        ("SELECT id FROM seen", false),
        ("SELECT id FROM large", false),
    ] {
        let plan = plan_text(&on, sql).await;
        assert_eq!(plan.contains("streams=2"), is_split, "{plan}");
        assert!(!plan_text(&off, sql).await.contains("streams"), "{sql}");
    }
    // Also the rows on pages that came after the table was counted.
    let all: Vec<i32> = (1..=50_000).collect();
    let expected = run_sql(&off, "SELECT id, left(pad, 2) FROM alone ORDER BY id").await.unwrap();
    let found = run_sql(&on, "SELECT id, left(pad, 2) FROM alone ORDER BY id").await.unwrap();
    assert_eq!(ids(&found), all);
    assert!(lines(&found) == lines(&expected));
    // One plan can run again.
    let plan = on.sql("SELECT id FROM alone").await.unwrap().create_physical_plan().await.unwrap();
    for _ in 0..2 {
        let rows = datafusion::physical_plan::collect(plan.clone(), on.task_ctx()).await.unwrap();
        assert_eq!(ids(&rows), all);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_read_sees_one_moment() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(LARGE).await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let stop = stop.clone();
        async move {
            let mut version = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                version += 1;
                // All rows move to other pages: the pages are full.
                let update = format!(
                    "UPDATE large SET version = {version} WHERE id % 4 <> 0; \
                     UPDATE large SET version = {version} WHERE id % 4 = 0"
                );
                admin.batch_execute(&update).await.unwrap();
                if version % 2 == 0 {
                    admin.batch_execute("VACUUM large").await.unwrap();
                }
            }
            version
        }
    });
    let all: Vec<i32> = (1..=40_000).collect();
    for _ in 0..6 {
        let rows = run_sql(&context, "SELECT id, version FROM large").await.unwrap();
        assert!(ids(&rows) == all, "a row came twice or not at all: {}", ids(&rows).len());
        let mut versions: Vec<i32> = rows
            .iter()
            .flat_map(|batch| {
                let versions = batch.column(1).as_primitive::<arrow::datatypes::Int32Type>();
                versions.values().to_vec()
            })
            .collect();
        versions.sort_unstable();
        versions.dedup();
        assert!(versions.len() == 1, "rows of several transactions: {versions:?}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(writer.await.unwrap() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_partition_can_be_read_alone_and_left_alone() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(LARGE).await.unwrap();
    let weir = Weir::open(&cluster, &[("pool_size", OptionValue::Integer(4))]);
    let context = weir.session(PushdownMode::Auto).await;
    let sql = "SELECT id, pad FROM large";
    for only in [0, 1] {
        let mut partitions = partitions(&context, sql).await;
        assert_eq!(partitions.len(), 2);
        let mut rows = Vec::new();
        while let Some(batch) = partitions[only].next().await {
            rows.push(batch.unwrap());
        }
        assert_eq!(ids(&rows).len(), 40_000);
        assert!(partitions[1 - only].next().await.is_none());
    }
    for _ in 0..5 {
        // One is polled and then left while the other one goes on.
        let mut partitions = partitions(&context, sql).await;
        let waker = futures::task::noop_waker();
        let mut nobody = std::task::Context::from_waker(&waker);
        let _ = partitions[0].poll_next_unpin(&mut nobody);
        let mut rows = 0;
        while let Some(batch) = partitions[1].next().await {
            rows += batch.unwrap().num_rows();
        }
        assert!(rows > 0);
    }
    for _ in 0..5 {
        let mut partitions = partitions(&context, sql).await;
        partitions[1].next().await.unwrap().unwrap();
        drop(partitions);
        assert!(cluster.is_quiet_within(Duration::from_secs(1)).await);
    }
    // Nobody reads: nothing is asked.
    drop(partitions(&context, sql).await);
    assert_eq!(run_sql(&context, "SELECT id FROM large LIMIT 1").await.unwrap()[0].num_rows(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_read_takes_only_what_others_do_not_need() {
    let cluster = Cluster::start_with(&["log_statement=all"]);
    let admin = cluster.admin().await;
    admin.batch_execute(LARGE).await.unwrap();
    let imports = || {
        let log = std::fs::read_to_string(cluster.folder().join("log")).unwrap();
        log.matches("SET TRANSACTION SNAPSHOT").count()
    };
    for (options, more) in [
        (vec![("pool_size", 1)], 0),
        (vec![("pool_size", 2)], 0),
        (vec![("pool_size", 3)], 1),
        (vec![("pool_size", 8), ("max_parallel_reads", 1)], 0),
    ] {
        let options: Vec<_> =
            options.into_iter().map(|(name, n)| (name, OptionValue::Integer(n))).collect();
        let weir = Weir::open(&cluster, &options);
        let context = weir.session(PushdownMode::Auto).await;
        let before = imports();
        assert_eq!(ids(&run_sql(&context, "SELECT id FROM large").await.unwrap()).len(), 40_000);
        assert_eq!(imports() - before, more, "{options:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_one_connection_ends_a_split_read() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(LARGE).await.unwrap();
    let weir = Weir::open(&cluster, &[]);
    let context = weir.session(PushdownMode::Auto).await;
    let mut partitions = partitions(&context, "SELECT id, pad FROM large").await;
    partitions[0].next().await.unwrap().unwrap();
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM ({}) s",
        PAGE_READS.replace("count(*)", "pid") + " ORDER BY backend_start DESC LIMIT 1"
    );
    admin.batch_execute(&kill).await.unwrap();
    for partition in &mut partitions {
        assert_eq!(last_error(partition).await, SourceErrorKind::Unavailable);
    }
    drop(partitions);
    assert!(cluster.is_quiet_within(Duration::from_secs(1)).await);
    // A value that can't be decoded, far behind.
    admin
        .batch_execute(
            "ALTER TABLE large ADD d date; UPDATE large SET d = 'infinity' WHERE id = 39000; \
             ANALYZE large",
        )
        .await
        .unwrap();
    let context = weir.session(PushdownMode::Auto).await;
    let (kind, message) = fails(&context, "SELECT d FROM large").await;
    assert_eq!(kind, SourceErrorKind::InvalidValue, "{message}");
    // Another column type than the plan expects.
    admin.batch_execute("ALTER TABLE large ALTER version TYPE text").await.unwrap();
    let (kind, message) = fails(&context, "SELECT version FROM large").await;
    assert_eq!(kind, SourceErrorKind::Stale, "{message}");
}

/// Values of join keys that went into statements, in all of a plan.
fn listed_keys(plan: &Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> usize {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("join_keys"));
    let below = plan.children().into_iter().map(listed_keys).sum::<usize>();
    own.map_or(0, |keys| keys.as_usize()) + below
}

/// The answer, the keys, and the rows that the statements returned.
async fn run_joined(context: &SessionContext, sql: &str) -> (Vec<String>, usize) {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let running = datafusion::physical_plan::collect(plan.clone(), context.task_ctx());
    let batches = tokio::time::timeout(Duration::from_secs(60), running).await;
    let batches = batches.unwrap_or_else(|_| panic!("{sql} hangs"));
    let rows = batches.unwrap_or_else(|error| panic!("{sql}: {error}"));
    (if rows.is_empty() { Vec::new() } else { lines(&rows) }, listed_keys(&plan))
}

/// Lists, one list for each partition, and only ranges.
fn join_configs() -> [(&'static str, SessionConfig); 3] {
    let config = || {
        let mut config = SessionConfig::new().with_target_partitions(2);
        crate::sql::JoinKeys::configure(config.options_mut());
        config
    };
    let (lists, mut partitioned, mut ranges) = (config(), config(), config());
    partitioned.options_mut().optimizer.hash_join_single_partition_threshold = 0;
    partitioned.options_mut().optimizer.hash_join_single_partition_threshold_rows = 0;
    ranges.options_mut().optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
    [("lists", lists), ("partitioned", partitioned), ("ranges", ranges)]
}

/// Joins, and whether a list of keys reaches the source (`+`).
const JOINS: &[(char, &str)] = &[
    ('+', "SELECT b.id, s.v FROM big b JOIN small s ON b.id = s.k"),
    ('+', "SELECT b.id FROM big b WHERE b.id IN (SELECT k FROM small)"),
    ('+', "SELECT s.v, b.id FROM small s LEFT JOIN big b ON b.id = s.k"),
    ('+', "SELECT s.v FROM small s WHERE NOT EXISTS (SELECT 1 FROM big b WHERE b.id = s.k)"),
    ('+', "SELECT b.id FROM big b JOIN small s ON b.id = s.k AND b.t = s.v"),
    ('+', "SELECT b.id FROM big b JOIN small s ON b.id = s.k WHERE b.t LIKE '%1%'"),
    ('+', "SELECT b.id FROM big b JOIN small s ON b.id = s.k AND b.id % 2 = 0"),
    (
        '+',
        "SELECT b.n, count(*) FROM big b JOIN small s ON b.n IS NOT DISTINCT FROM s.k GROUP BY b.n",
    ),
    (
        '+',
        "SELECT x.id, x.c FROM (SELECT id, count(*) c FROM big GROUP BY id) x JOIN small s ON x.id = s.k",
    ),
    (
        '+',
        "SELECT x.i FROM (SELECT id AS i FROM big UNION ALL SELECT n FROM big) x JOIN small s ON x.i = s.k",
    ),
    ('+', "SELECT a.id FROM big a JOIN big b ON a.id = b.id JOIN small s ON b.id = s.k"),
    ('.', "SELECT count(*) FROM big b WHERE b.n NOT IN (SELECT k FROM small WHERE k IS NOT NULL)"),
    ('.', "SELECT count(*) FROM big b WHERE b.n NOT IN (SELECT k FROM small)"),
    ('.', "SELECT count(*) FROM small s WHERE s.k NOT IN (SELECT n FROM big)"),
    ('.', "SELECT count(*) FROM small s WHERE s.k NOT IN (SELECT n FROM big WHERE n IS NOT NULL)"),
    ('.', "SELECT b.id, s.v FROM big b LEFT JOIN small s ON b.id = s.k WHERE b.id < 30"),
    (
        '.',
        "SELECT b.id, s.v FROM big b FULL JOIN small s ON b.id = s.k WHERE b.id < 30 OR b.id IS NULL",
    ),
    // What a join can use of a limited table is not what the table's limit can skip.
    ('.', "SELECT count(*) FROM (SELECT id FROM big LIMIT 10) x JOIN big b ON x.id = b.id"),
    (
        '.',
        "SELECT x.id FROM (SELECT id FROM big ORDER BY id LIMIT 10) x JOIN small s ON x.id = s.k",
    ),
    (
        '.',
        "SELECT x.id FROM (SELECT id, row_number() OVER (ORDER BY id) r FROM big) x JOIN small s ON x.r = s.k",
    ),
    ('.', "SELECT b.id FROM big b JOIN small s ON b.id = s.k ORDER BY b.id LIMIT 2"),
    ('.', "SELECT b.id FROM big b JOIN (SELECT k FROM small WHERE k < 0) s ON b.id = s.k"),
    ('.', "SELECT max(b.id) FROM big b JOIN small s ON b.id + 1 = s.k"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_join_change_no_answer() {
    let cluster = Cluster::start();
    let admin = cluster.admin().await;
    admin.batch_execute(CORPUS).await.unwrap();
    admin
        .batch_execute(
            "CREATE TABLE big AS SELECT i AS id, nullif(i % 100, 7) AS n, 'v' || i AS t, repeat('x', 900) pad
               FROM generate_series(1, 20000) i;
             CREATE TABLE small AS SELECT * FROM (VALUES (5, 'v5'), (12, 'v12'), (12, 'v12'), (13, NULL),
               (19999, 'v19999'), (-1, 'none'), (NULL, 'v7')) s(k, v);
             ANALYZE big; ANALYZE small",
        )
        .await
        .unwrap();
    let weir = Weir::open(&cluster, &[]);
    let off = weir.session(PushdownMode::Off).await;
    // Every type against itself, with every odd value that it has.
    let columns = [
        "i2", "i4", "i8", "f4", "f8", "n", "t", "de", "nc", "c", "ch", "vc", "b", "d", "ts", "tz",
        "tm", "u", "m", "j",
    ];
    let by_type = columns.map(|c| {
        (
            if c == "j" { '.' } else { '+' },
            format!("SELECT x.id, y.id FROM edge x JOIN edge y ON x.{c} = y.{c}"),
        )
    });
    let joins = JOINS.iter().map(|(claim, sql)| (*claim, (*sql).to_owned())).chain(by_type);
    let joins: Vec<_> = joins.collect();
    for (name, config) in join_configs() {
        let on = weir.session_with(PushdownMode::Auto, config).await;
        for (claim, sql) in &joins {
            let (expected, none) = run_joined(&off, sql).await;
            assert_eq!(none, 0, "{sql}");
            let (found, keys) = run_joined(&on, sql).await;
            assert_eq!(found, expected, "{name}: {sql}");
            assert!(*claim != '+' || keys > 0 || name == "ranges", "{name}: no keys for {sql}");
            assert!(name != "ranges" || keys == 0, "{name}: keys for {sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_is_asked_for_the_keys_of_a_join() {
    let cluster = Cluster::start_with(&["log_statement=all"]);
    let admin = cluster.admin().await;
    admin
        .batch_execute(
            "CREATE TABLE big AS SELECT i AS id, 'v' || i AS t FROM generate_series(1, 100000) i;
             CREATE TABLE small AS SELECT i * 7 AS k FROM generate_series(1, 20) i;
             CREATE TABLE many AS SELECT i AS k FROM generate_series(50001, 75000) i;
             CREATE VIEW broken AS SELECT 1 / (k - 7) AS k FROM small;
             ANALYZE",
        )
        .await
        .unwrap();
    let weir = Weir::open(&cluster, &[("pool_size", OptionValue::Integer(1))]);
    let context = weir.session(PushdownMode::Auto).await;
    let log = || std::fs::read_to_string(cluster.folder().join("log")).unwrap();
    let asked = |since: usize| {
        let log = log();
        let reads = log[since..]
            .lines()
            .filter(|line| line.contains("execute") && line.contains("\"big\""));
        reads.map(str::to_owned).collect::<Vec<_>>()
    };
    // Both sides come over the only connection that there is.
    for (sql, rows, has) in [
        ("SELECT b.id FROM big b JOIN small s ON b.id = s.k", 20, "IN ('7'::pg_catalog.int4, '14'"),
        (
            "SELECT b.id FROM big b JOIN many m ON b.id = m.k",
            25_000,
            "(\"id\" >= '50001'::pg_catalog.int4) AND (\"id\" <= '75000'",
        ),
        (
            "SELECT b.id FROM big b JOIN small s ON b.id = s.k WHERE b.t <> 'v7'",
            19,
            "'v7'::pg_catalog.text) AND (\"id\" IN (",
        ),
        ("SELECT b.id FROM big b JOIN small s ON b.id = s.k LIMIT 3", 3, "IN ("),
    ] {
        let start = log().len();
        let batches = run_sql(&context, sql).await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows, "{sql}");
        let asked = asked(start);
        assert!(asked.len() == 1 && asked[0].contains(has), "{sql}: {asked:?}");
    }
    // Nothing on the small side: the big one is not read.
    let start = log().len();
    let none = "SELECT b.id FROM big b JOIN (SELECT k FROM small WHERE k < 0) s ON b.id = s.k";
    for (_, config) in join_configs() {
        let context = weir.session_with(PushdownMode::Auto, config).await;
        assert!(run_sql(&context, none).await.unwrap().iter().all(|batch| batch.num_rows() == 0));
    }
    assert!(asked(start).is_empty(), "{:?}", asked(start));
    // The small side fails, or nobody waits for it.
    let sql = "SELECT b.id FROM big b JOIN broken s ON b.id = s.k";
    assert_eq!(fails(&context, sql).await.0, SourceErrorKind::Rejected);
    for _ in 0..3 {
        let mut rows = stream(&context, "SELECT b.id FROM big b JOIN small s ON b.id = s.k").await;
        let waker = futures::task::noop_waker();
        let _ = rows.poll_next_unpin(&mut std::task::Context::from_waker(&waker));
    }
    assert!(cluster.is_quiet_within(Duration::from_secs(1)).await);
    let off = weir.session(PushdownMode::Off).await;
    let start = log().len();
    let off = stream(&off, "SELECT b.id FROM big b JOIN small s ON b.id = s.k").await;
    assert_eq!(
        off.map(|batch| batch.unwrap().num_rows()).collect::<Vec<_>>().await.iter().sum::<usize>(),
        20
    );
    assert!(asked(start).iter().all(|statement| !statement.contains("WHERE")));
}
