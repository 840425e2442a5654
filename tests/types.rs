//! Every type of PostgreSQL at its edges, as weir returns it and as PostgreSQL itself does: in text,
//! and bit for bit in binary.

use tokio_postgres::types::{FromSql, Type};

use crate::harness::{World, clients::told, code, rows};

/// How a type's values come back.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// The same type, text and bytes.
    Same,
    /// The text that PostgreSQL prints, as type text: binary holds that text too.
    AsText,
    /// An array whose members are text.
    Members,
    /// The same value, written otherwise; why.
    Otherwise(fn(&str) -> String, &'static str),
}

struct Case {
    name: &'static str,
    shape: Shape,
    /// Literals; NULL is always tried.
    values: &'static [&'static str],
    /// Values that are an error which names the column; each with a reason in the source's README.
    refused: &'static [&'static str],
}

const fn case(name: &'static str, shape: Shape, values: &'static [&'static str]) -> Case {
    Case { name, shape, values, refused: &[] }
}

const fn refusing(
    name: &'static str,
    shape: Shape,
    values: &'static [&'static str],
    refused: &'static [&'static str],
) -> Case {
    Case { name, shape, values, refused }
}

use Shape::{AsText, Members, Otherwise, Same};

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("boolean", Same, &["true", "false"]),
    case("smallint", Same, &["-32768", "-1", "0", "32767"]),
    case("integer", Same, &["-2147483648", "-1", "0", "2147483647"]),
    case("bigint", Same, &["-9223372036854775808", "-1", "0", "9223372036854775807"]),
    case("oid", Same, &["0", "4294967295"]),
    case("real", Same, &["0", "-0", "1.5", "3.4028235e38", "1e-45", "-1e-37", "NaN", "Infinity", "-Infinity", "0.1", "16777217"]),
    case("double precision", Same, &["0", "-0", "0.1", "1.7976931348623157e308", "5e-324", "NaN", "Infinity", "-Infinity", "1e15", "1e16", "123456789012345678"]),
    refusing("numeric(10,2)", Same, &["0", "-0.01", "99999999.99", "-99999999.99", "1.5"], &["NaN"]),
    case("numeric(38,0)", Same, &["99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "1"]),
    case("numeric(38,38)", Same, &["0.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001"]),
    case("numeric(76,10)", Same, &["999999999999999999999999999999999999999999999999999999999999999999.9999999999", "-1.5", "0"]),
    refusing("numeric", Otherwise(short_digits, "numeric without a scale has no zeros at its end"), &["0", "1.5", "-12345678901234567890.12345678901234567890", "99999999999999999999999999999999999999999999999999999999"], &["NaN", "Infinity", "1e60", "0.000000000000000000001"]),
    case("text", Same, &["", "a", "é😀", "a b", "'\"\\", "tab\tline\n", "null", "NULL"]),
    case("varchar(20)", Same, &["", "a", "é😀"]),
    case("character(4)", Otherwise(trimmed, "the blanks at the end mean nothing to PostgreSQL either"), &["a", "", "é", "abcd"]),
    case("name", Same, &["a", "pg_class"]),
    case("bytea", Same, &["\\x", "\\x00", "\\xdeadbeef", "\\x5c27"]),
    refusing("date", Same, &["0001-01-01", "1582-10-15", "1969-12-31", "1970-01-01", "2000-01-01", "9999-12-31", "4713-01-01 BC", "5874897-12-31"], &["infinity", "-infinity"]),
    refusing("time", Same, &["00:00:00", "23:59:59.999999", "12:34:56.5"], &["24:00:00"]),
    refusing("timestamp", Same, &["0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00", "2024-02-29 12:00:00.5", "9999-12-31 23:59:59.999999", "4713-01-01 00:00:00 BC", "290000-01-01 00:00:00"], &["infinity", "-infinity"]),
    refusing("timestamptz", Same, &["0001-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00", "2024-02-29 12:00:00+05:30", "9999-12-31 23:59:59.999999+00"], &["infinity", "-infinity"]),
    case("timetz", AsText, &["00:00:00+00", "23:59:59.999999-08", "12:00:00+05:30"]),
    case("interval", Same, &["0", "1 year 2 months 3 days 04:05:06.789", "-1 month", "-1 day", "-00:00:00.000001", "100 years", "1 month -1 day", "178000000 years"]),
    case("uuid", Same, &["00000000-0000-0000-0000-000000000000", "FFFFFFFF-ffff-FFFF-ffff-FFFFFFFFFFFF"]),
    case("json", Same, &["{}", "{\"a\": [1, null, \"é\"]}", " 1 ", "null"]),
    case("jsonb", Same, &["{}", "{\"a\":[1,null,\"é\"]}", "\"x\"", "1e400"]),
    case("integer[]", Same, &["{}", "{1,2,NULL}", "{-2147483648}"]),
    case("bigint[]", Same, &["{}", "{9223372036854775807,NULL}"]),
    case("text[]", Same, &["{}", "{a,\"b c\",NULL,\"NULL\",\"\",\"\\\"\",\"{}\"}"]),
    case("boolean[]", Same, &["{t,f,NULL}"]),
    case("double precision[]", Same, &["{NaN,Infinity,-0,0.1}"]),
    case("date[]", Same, &["{1969-12-31,NULL}"]),
    case("timestamp[]", Same, &["{\"1969-12-31 23:59:59.999999\"}"]),
    case("numeric(10,2)[]", Same, &["{1.50,-0.01,NULL}"]),
    case("inet", AsText, &["127.0.0.1", "::1", "10.0.0.0/8"]),
    case("cidr", AsText, &["10.0.0.0/8", "::/0"]),
    case("macaddr", AsText, &["08:00:2b:01:02:03"]),
    case("macaddr8", AsText, &["08:00:2b:01:02:03:04:05"]),
    case("bit(4)", AsText, &["1010", "0000"]),
    case("varbit", AsText, &["", "1", "101010101"]),
    case("money", AsText, &["0", "-1.5", "92233720368547758.07"]),
    case("xml", Same, &["<a>é</a>", "text"]),
    case("tsvector", AsText, &["a fat cat", ""]),
    case("tsquery", AsText, &["a & b", "a | !b"]),
    case("point", AsText, &["(1,2)", "(0.1,-Infinity)"]),
    case("line", AsText, &["{1,2,3}"]),
    case("lseg", AsText, &["[(0,0),(1,1)]"]),
    case("box", AsText, &["(1,1),(0,0)"]),
    case("path", AsText, &["[(0,0),(1,1)]", "((0,0),(1,1))"]),
    case("polygon", AsText, &["((0,0),(1,1),(2,0))"]),
    case("circle", AsText, &["<(0,0),1>"]),
    case("int4range", AsText, &["[1,10)", "empty", "(,5)"]),
    case("numrange", AsText, &["[1.5,2.5]"]),
    case("tstzrange", AsText, &["[2024-01-01 00:00+00,)"]),
    case("int4multirange", AsText, &["{[1,2),[5,6)}", "{}"]),
    case("pg_lsn", AsText, &["16/B374D848"]),
    case("\"char\"", Same, &["a"]),
    case("jsonpath", AsText, &["$.a[*]"]),
    case("regclass", AsText, &["pg_class"]),
    case("types.mood", AsText, &["sad", "ok", "happy"]),
    case("types.positive", Same, &["1", "2147483647"]),
    case("types.pair", AsText, &["(1,a)", "(,\"b c\")"]),
    case("uuid[]", Same, &["{00000000-0000-0000-0000-000000000000,NULL}"]),
    case("inet[]", AsText, &["{127.0.0.1,NULL}"]),
    case("types.mood[]", Members, &["{sad,NULL}"]),
    case("integer[][]", Same, &[]),
];

const TYPES: &str = "
    CREATE SCHEMA types;
    CREATE TYPE types.mood AS ENUM ('sad', 'ok', 'happy');
    CREATE DOMAIN types.positive AS integer CHECK (VALUE > 0);
    CREATE TYPE types.pair AS (a integer, b text);";

#[tokio::test]
async fn every_type_comes_back_as_postgresql_returns_it() {
    let world = World::start();
    let direct = world.cluster.connect("shop").await;
    direct.batch_execute(TYPES).await.unwrap();
    for (index, Case { name, values, refused, .. }) in CASES.iter().enumerate() {
        for (table, values) in [("good", values), ("bad", refused)] {
            let table = format!("types.{table}{index}");
            let mut script = format!("CREATE TABLE {table} (id integer PRIMARY KEY, v {name});");
            for (row, value) in values.iter().enumerate() {
                let value = value.replace('\'', "''");
                script += &format!("INSERT INTO {table} VALUES ({}, '{value}');", row + 1);
            }
            script += &format!("INSERT INTO {table} VALUES (0, NULL);");
            direct.batch_execute(&script).await.unwrap_or_else(|e| panic!("{name}: {}", told(&e)));
        }
    }
    let weir = world.weir.connect_to("admin", "sales").await;
    weir.rows("REFRESH CATALOG sales").await.unwrap();
    let mut wrong = Vec::new();
    for (index, case) in CASES.iter().enumerate() {
        let sql = format!("SELECT v FROM types.good{index} ORDER BY id");
        for found in
            [text(&weir, &direct, case, &sql).await, binary(&weir, &direct, case, &sql).await]
        {
            wrong.extend(
                found.err().map(|story| format!("{} ({:?}): {story}", case.name, case.shape)),
            );
        }
        for (row, value) in case.refused.iter().enumerate() {
            let sql = format!("SELECT v FROM types.bad{index} WHERE id = {}", row + 1);
            match weir.client.simple_query(&sql).await {
                Ok(messages) => {
                    wrong.push(format!("{}: {value} gave {:?}", case.name, rows(&messages)))
                }
                Err(error) if code(&error) != "HV004" || !told(&error).contains(".v\"") => {
                    wrong.push(format!("{}: {value}: {}", case.name, told(&error)));
                }
                Err(_) => {}
            }
            // The other columns of the row are fine.
            let sql = format!("SELECT id FROM types.bad{index} WHERE id = {}", row + 1);
            assert_eq!(weir.value(&sql).await, (row + 1).to_string());
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

async fn text(
    weir: &tokio_postgres::Client,
    direct: &tokio_postgres::Client,
    case: &Case,
    sql: &str,
) -> Result<(), String> {
    let expected = rows(&direct.simple_query(sql).await.unwrap()).concat();
    let found = weir.simple_query(sql).await.map_err(|error| told(&error))?;
    let found = rows(&found).concat();
    let expected = match case.shape {
        Otherwise(write, _why) => expected.iter().map(|value| write(value)).collect(),
        Same | AsText | Members => expected,
    };
    if found == expected {
        return Ok(());
    }
    Err(format!("text {found:?}, expected {expected:?}"))
}

async fn binary(
    weir: &tokio_postgres::Client,
    direct: &tokio_postgres::Client,
    case: &Case,
    sql: &str,
) -> Result<(), String> {
    let (expected_type, expected) = raw(direct, sql).await?;
    let (found_type, found) = raw(weir, sql).await?;
    let printed = rows(&direct.simple_query(sql).await.unwrap()).concat();
    let as_text = || {
        let bytes = |text: String| (text != "NULL").then(|| text.into_bytes());
        printed.iter().cloned().map(bytes).collect::<Vec<_>>()
    };
    let (expected_type, expected) = match case.shape {
        Same => (expected_type, expected),
        AsText => (Type::TEXT, as_text()),
        // Its text was compared; binary holds the same value.
        Members | Otherwise(..) => return Ok(()),
    };
    if found_type != expected_type {
        return Err(format!("type {found_type}, expected {expected_type}"));
    }
    if found == expected {
        return Ok(());
    }
    Err(format!("binary {found:02x?}, expected {expected:02x?}"))
}

type Raw = Vec<Option<Vec<u8>>>;

async fn raw(client: &tokio_postgres::Client, sql: &str) -> Result<(Type, Raw), String> {
    let statement = client.prepare(sql).await.map_err(|error| told(&error))?;
    let rows = client.query(&statement, &[]).await.map_err(|error| told(&error))?;
    let values = rows.iter().map(|row| row.get::<_, Option<Bytes>>(0).map(|bytes| bytes.0));
    Ok((statement.columns()[0].type_().clone(), values.collect()))
}

/// Any value, as it travelled.
struct Bytes(Vec<u8>);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn short_digits(text: &str) -> String {
    if !text.contains('.') {
        return text.to_owned();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches(' ').to_owned()
}

/// Values of the engine itself, without any source.
#[tokio::test]
async fn constants_come_back_as_postgresql_returns_them() {
    let world = crate::harness::world();
    let (weir, direct) = (world.weir.connect("admin").await, world.cluster.connect("shop").await);
    let mut wrong = Vec::new();
    for sql in [
        "SELECT 1",
        "SELECT 1::smallint",
        "SELECT 3000000000",
        "SELECT 1.50::numeric(10,2)",
        "SELECT 'a'",
        "SELECT true",
        "SELECT NULL::integer",
        "SELECT DATE '1969-12-31'",
        "SELECT TIMESTAMP '1969-12-31 23:59:59.5'",
        "SELECT INTERVAL '1 month 2 days'",
        "SELECT 0.1::double precision",
        "SELECT 1e300::double precision",
        "SELECT 'NaN'::double precision",
        "SELECT 1::real / 3",
        "SELECT '\\x00ff'::bytea",
        "SELECT ARRAY[1,2,NULL]",
        "SELECT count(*) FROM (VALUES (1), (2)) v(x)",
        "SELECT sum(x) FROM (VALUES (1::bigint), (2)) v(x)",
        "SELECT 7 / 2",
        "SELECT -7 / 2",
        "SELECT -7 % 3",
        "SELECT 1 = 1",
        "SELECT 'a' || 'b'",
        "SELECT upper('é')",
        "SELECT length('é😀')",
        "SELECT substr('hello', 2, 3)",
        "SELECT coalesce(NULL, 2)",
        "SELECT round(2.5::numeric)",
        "SELECT 2.5::double precision::integer",
        "SELECT 3.5::double precision::integer",
        "SELECT 2.5::numeric::integer",
        "SELECT '  12 '::integer",
        "SELECT extract(year FROM DATE '2024-02-29')",
        "SELECT DATE '2024-01-31' + 1",
        "SELECT DATE '2024-03-01' - DATE '2024-02-01'",
        "SELECT TIMESTAMP '2024-01-31' + INTERVAL '1 month'",
        "SELECT date_trunc('month', TIMESTAMP '2024-02-29 12:00')",
        "SELECT 1 IS DISTINCT FROM NULL",
        "SELECT 'abc' LIKE 'a%'",
        "SELECT 'abc' ~ '^a'",
        "SELECT CASE WHEN NULL THEN 1 ELSE 2 END",
        "SELECT greatest(1, NULL, 3)",
        "SELECT nullif(1, 1)",
        "SELECT 2147483647 + 1",
        "SELECT 9223372036854775807 + 1",
        "SELECT 10 ^ 2",
        "SELECT ln(0)",
        "SELECT sqrt(-1)",
        "SELECT 1.0 / 3",
        "SELECT avg(x) FROM (VALUES (1), (2)) v(x)",
        "SELECT 1/0",
        "SELECT 1.0/0",
        "SELECT 1::double precision / 0",
        "SELECT '2024-02-30'::date",
        "SELECT chr(233)",
        "SELECT trim('  a ')",
        "SELECT position('b' IN 'abc')",
        "SELECT repeat('ab', 3)",
        "SELECT to_char(DATE '2024-02-29', 'YYYY')",
        "SELECT string_agg(x, ',' ORDER BY x) FROM (VALUES ('b'), ('a')) v(x)",
        "SELECT 'a' < 'B'",
        "SELECT NULL AND false",
        "SELECT true AND 1 IS NOT DISTINCT FROM 1",
        "SELECT x IS NOT DISTINCT FROM 1 AND x > 0 FROM (VALUES (1)) v(x)",
        // Where DataFusion 55.2 answers otherwise; `meaning` says how.
        "SELECT 2147483647::integer + 1::integer",
        "SELECT 32767::smallint * 2::smallint",
        "SELECT -((-9223372036854775808)::bigint)",
        "SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) v(x)",
        "SELECT avg(x)::bigint FROM (VALUES (9223372036854775807), (9223372036854775805)) v(x)",
        "SELECT 1e308::double precision * 10",
        "SELECT 1e-308::double precision / 1e300::double precision",
        "SELECT '1e400'::double precision",
        "SELECT log(-1)",
        "SELECT power(0, -1)",
        "SELECT power(-1, 0.5)",
        "SELECT round(2.5::double precision)",
        "SELECT -2 ^ 2",
        "SELECT 1 IS DISTINCT FROM 2 AND false",
        "SELECT NOT 1 IS DISTINCT FROM 1 OR false",
        "SELECT 'a%c' LIKE 'a!%c' ESCAPE '!'",
        "SELECT 'abcd' LIKE 'abc!' ESCAPE '!'",
        "SELECT 'abcdef'::varchar(3)",
        "SELECT 'ab '::char(5) = 'ab'",
        "SELECT DATE '9999-12-31'::timestamp",
        "SELECT TIMESTAMP '9999-12-31 23:59:59'",
        "SELECT TIMESTAMP '2024-01-01 00:00:00+05'",
        "SELECT TIMESTAMP '2024-02-29 12:34:56.5'::text",
        "SELECT DATE '2024-02-29' - INTERVAL '90 minutes'",
        "SELECT DATE '2024-01-31' + INTERVAL '1 month'",
        "SELECT INTERVAL '1 day 2 hours'::text",
        "SELECT 1e15::double precision::text",
        "SELECT extract(second FROM TIMESTAMP '2024-02-29 10:20:30.5')",
        "SELECT to_hex((-1)::integer)",
        "SELECT 3 = ANY (ARRAY[1, NULL])",
        "SELECT (ARRAY[1, 2, 3])[-1]",
        "SELECT (1, NULL) = (1, 2)",
        "SELECT string_agg(x::text, ',' ORDER BY x, y) FROM (VALUES (0::double precision, 2), ('-0', 1)) v(x, y)",
        "SELECT NOT (x + 0 IN (1, 2, 3, 4) AND x + 0 IN (5, 6, 7, 8)) FROM (VALUES (NULL::integer)) v(x)",
        "SELECT count(*) FROM (VALUES (1), (NULL)) v(x) WHERE x NOT IN (SELECT 2) OR x = 5",
        "SELECT count(*) FROM (VALUES (1)) v(x) WHERE NULL::integer NOT IN (SELECT 2)",
        "SELECT count(*) FROM (VALUES (1)) v(x) WHERE NOT EXISTS (SELECT max(y) FROM (VALUES (2)) w(y) WHERE y = x)",
    ] {
        let expected = outcome(&direct, sql).await;
        let found = outcome(&weir, sql).await;
        let known = DIFFERENT.iter().find(|(known, ..)| *known == sql);
        let expected = known.map_or(expected, |(_, answer, _)| (*answer).to_owned());
        if found != expected {
            wrong.push(format!("{sql}: {found}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Where the answer is not PostgreSQL's: the query, the answer, why. Whoever mends one deletes its line.
#[rustfmt::skip]
const DIFFERENT: &[(&str, &str, &str)] = &[
    // The same value in another type.
    ("SELECT avg(x) FROM (VALUES (1), (2)) v(x)", "1.50000000000000000000", "numeric has a fixed scale, zeros fill it"),
    // Errors with another code, and errors where PostgreSQL answers.
    ("SELECT '2024-02-30'::date", "22P02", "the engine has one error for every text that does not parse"),
];

async fn outcome(client: &tokio_postgres::Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(messages) => rows(&messages).concat().join(","),
        Err(error) => code(&error),
    }
}

/// What would be answered wrongly is refused, with the form named.
#[tokio::test]
async fn forms_without_a_right_answer_are_refused() {
    let world = crate::harness::world();
    let weir = world.weir.connect("admin").await;
    for sql in [
        "SELECT 1 EXCEPT ALL SELECT 1",
        "SELECT 1 INTERSECT ALL SELECT 1",
        "SELECT X'1F'",
        "SELECT 'abc' SIMILAR TO 'a' || '%'",
        "SELECT 'abab' ~ '(ab)\\1'",
        "SELECT regexp_replace('abc', 'a|ab', 'x')",
        "SELECT ARRAY[1, 2]::text",
        "SELECT 1 FROM (VALUES (1)) v(x) TABLESAMPLE SYSTEM (0)",
    ] {
        assert_eq!(outcome(&weir, sql).await, "0A000", "{sql}");
    }
}

/// Drivers send what Describe asks for: asyncpg refuses an int where a text is announced.
#[tokio::test]
async fn parameters_have_the_types_that_postgresql_gives_them() {
    let world = crate::harness::world();
    let weir = world.weir.connect_to("admin", "sales").await;
    let direct = world.cluster.connect("shop").await;
    let mut wrong = Vec::new();
    for sql in [
        "SELECT id FROM customers WHERE id = $1",
        "SELECT id FROM customers WHERE credit > $1 AND name = $2",
        "SELECT id FROM customers WHERE since BETWEEN $1 AND $2",
        "SELECT id FROM edges WHERE ts < $1 OR tz < $2 OR ok = $3 OR f = $4",
        "SELECT id FROM customers WHERE id IN ($1, $2)",
        "SELECT id FROM customers WHERE id = ANY($1::int[])",
        "SELECT id FROM customers WHERE name LIKE $1",
        "SELECT $1::bigint",
        "SELECT $1::bigint + 1",
        "SELECT CAST($1 AS date)",
        "SELECT $1",
        "SELECT id FROM customers ORDER BY id LIMIT $1 OFFSET $2",
    ] {
        let mut found = Vec::new();
        for client in [&*weir, &direct] {
            let types = client.prepare(sql).await.map(|statement| {
                statement.params().iter().map(Type::to_string).collect::<Vec<_>>().join(",")
            });
            found.push(types.unwrap_or_else(|error| told(&error)));
        }
        let known = PARAMETERS_DIFFERENT.iter().find(|(known, _)| *known == sql);
        let expected = known.map_or(found[1].as_str(), |(_, types)| types);
        if found[0] != expected {
            wrong.push(format!("{sql}: {}, expected {expected}", found[0]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Where the types are not PostgreSQL's. Whoever mends one deletes its line.
const PARAMETERS_DIFFERENT: &[(&str, &str)] = &[];
