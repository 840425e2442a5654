//! What is sent to a source, and that the answer does not depend on it.

use crate::harness::{Connection, World, clients::told, world};

/// Words that the statement at PostgreSQL must hold, and words that it must not.
struct Sent {
    sql: &'static str,
    has: &'static [&'static str],
    lacks: &'static [&'static str],
}

const SENT: &[Sent] = &[
    Sent {
        sql: "SELECT name FROM sales.customers",
        has: &["\"name\""],
        lacks: &["email", "ssn", "credit"],
    },
    Sent {
        sql: "SELECT name FROM sales.customers WHERE id = 3",
        has: &["WHERE", "\"id\"", "3"],
        lacks: &["ssn"],
    },
    Sent {
        sql: "SELECT id FROM sales.edges WHERE n > 20.25 AND t IN ('EU', 'US')",
        has: &["WHERE", "20.25", "'EU'", "'US'"],
        lacks: &["tz", "\"u\""],
    },
    Sent { sql: "SELECT id FROM sales.numbers LIMIT 7", has: &["LIMIT 7"], lacks: &["label"] },
    Sent {
        sql: "SELECT id FROM sales.edges WHERE ts >= TIMESTAMP '2024-02-29 00:00:00'",
        has: &["WHERE", "2024-02-29"],
        lacks: &["tz", "\"u\""],
    },
    Sent {
        sql: "SELECT id FROM sales.edges WHERE t < 'b'",
        has: &["COLLATE pg_catalog.\"C\""],
        lacks: &[],
    },
    // Functions that the source may compute otherwise stay here.
    Sent {
        sql: "SELECT id FROM sales.customers WHERE upper(name) = 'ADA'",
        has: &["\"name\""],
        lacks: &["upper", "UPPER", "LIMIT"],
    },
    Sent {
        sql: "SELECT id FROM sales.customers WHERE length(name) > 3 LIMIT 2",
        has: &["\"name\""],
        lacks: &["LIMIT 2", "length"],
    },
];

#[tokio::test]
async fn the_source_is_asked_for_what_is_needed() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    for Sent { sql, has, lacks } in SENT {
        let mark = world.cluster.mark();
        admin.rows(sql).await.unwrap();
        let statements = world.cluster.statements_since(mark).join("\n");
        let plan = admin.lines(&format!("EXPLAIN {sql}")).await;
        for text in [&statements, &plan] {
            assert!(has.iter().all(|word| text.contains(word)), "{sql}: {has:?} in\n{text}");
        }
        for word in *lacks {
            assert!(!statements.contains(word), "{sql}: {word} in\n{statements}");
        }
        assert!(statements.contains("principal=admin"), "{statements}");
        admin.rows("SET weir.pushdown = off").await.unwrap();
        let mark = world.cluster.mark();
        admin.rows(sql).await.unwrap();
        let statements = world.cluster.statements_since(mark).join("\n");
        for word in ["WHERE", "LIMIT"] {
            assert!(!statements.contains(word), "pushdown is off: {sql}\n{statements}");
        }
        admin.rows("RESET weir.pushdown").await.unwrap();
    }
}

/// A name in a comment can't end it.
#[tokio::test]
async fn constants_arrive_as_they_are() {
    let world = world();
    let admin = world.weir.connect("admin").await;
    for text in [
        "it's",
        "\\",
        "\\'",
        "'",
        "''",
        "'; DROP TABLE customers; --",
        "/*",
        "*/",
        "$1",
        "$$",
        "%",
        "_",
        "\u{1F600}",
        "\u{7f}",
        "a\"b",
        "\n",
        "\r",
        "\t",
        " ",
        "E'x'",
        "U&'x'",
        "\u{feff}",
        "\\x41",
        "{}",
        "?",
    ] {
        let quoted = text.replace('\'', "''");
        let sql = format!("SELECT count(*) FROM sales.edges WHERE t = '{quoted}'");
        let found = admin.value(&sql).await;
        let direct = world.cluster.connect("shop").await;
        let sql = "SELECT count(*)::text FROM edges WHERE t = $1";
        let expected: String = direct.query_one(sql, &[&text]).await.unwrap().get(0);
        assert_eq!(found, expected, "{text:?}");
    }
}

/// Predicates over the table of values at which engines disagree. PostgreSQL itself is the judge.
const PREDICATES: &[&str] = &[
    "i = 0",
    "i <> 0",
    "i > 0",
    "i >= 1",
    "i < 0",
    "i <= -1",
    "i IN (1, 7, 8)",
    "i NOT IN (1, 7)",
    "i BETWEEN -1 AND 8",
    "i IS NULL",
    "i IS NOT NULL",
    "NOT (i > 0)",
    "i > 2147483646",
    "b = 4294967296",
    "b < -4294967296",
    "b >= 9223372036854775807",
    "b <> 1",
    "i = b",
    "i < b",
    "f = 0",
    "f <> 0",
    "f < 0",
    "f > 0",
    "f >= 0",
    "f <= 0",
    "f IN (0, 0.1)",
    "f > 1e307",
    "f = 'NaN'::float8",
    "f <> 'NaN'::float8",
    "f < 'NaN'::float8",
    "f > 'Infinity'::float8",
    "f = '-Infinity'::float8",
    "f < 1e-300",
    "f = 0.1",
    "n = 0",
    "n < 0",
    "n > 0",
    "n = 0.1",
    "n = 0.10000",
    "n >= 9999999999999999.9999",
    "n <> 1.5",
    "n IN (1.5, -1.5)",
    "n BETWEEN -0.0001 AND 0.0001",
    "n = 10",
    "t = 'a'",
    "t = 'a '",
    "t <> 'a'",
    "t < 'a'",
    "t > 'B'",
    "t >= '_'",
    "t = ''",
    "t > ''",
    "t IN ('a', 'A')",
    "t NOT IN ('a', 'A')",
    "t LIKE 'a%'",
    "t LIKE '%a'",
    "t LIKE '%s \\\\ %'",
    "t NOT LIKE 'a%'",
    "t LIKE ''",
    "t LIKE '%%'",
    "t LIKE '_'",
    "t > 'é'",
    "t = '😀'",
    "t BETWEEN 'A' AND 'a'",
    "t IS NULL",
    "d = DATE '1970-01-01'",
    "d < DATE '1970-01-01'",
    "d > DATE '2262-04-11'",
    "d <> DATE '2000-01-01'",
    "d BETWEEN DATE '0001-01-01' AND DATE '1582-10-15'",
    "d IS NULL",
    "d <= DATE '9999-12-31'",
    "ts = TIMESTAMP '1969-12-31 23:59:59.999999'",
    "ts < TIMESTAMP '1970-01-01'",
    "ts > TIMESTAMP '2262-04-11 00:00:00'",
    "ts >= TIMESTAMP '9999-12-31 23:59:59.999999'",
    "ts <> TIMESTAMP '2000-01-01 00:00:00'",
    "tz = TIMESTAMPTZ '2024-02-29 06:30:00+00'",
    "tz < TIMESTAMPTZ '1970-01-01 00:00:00+00'",
    "ok",
    "NOT ok",
    "ok IS NULL",
    "ok IS TRUE",
    "ok IS NOT TRUE",
    "ok IS NOT FALSE",
    "ok = true",
    "ok <> true",
    "u = '123e4567-e89b-12d3-a456-426614174000'",
    "u IS NULL",
    "i > 0 OR t = 'a'",
    "i > 0 AND (t = 'a' OR f < 0)",
    "NOT (i > 0 OR n < 0)",
    "NOT (i > 0 AND n < 0)",
    "(i > 0) = ok",
    "i = 1 OR NULL",
    "i / 2 + 1 > 2 OR b < 0",
    "COALESCE(i, 5) = 5",
    "i % 2 = 1",
    "length(t) = 1",
    "upper(t) = 'A'",
    "t || 'x' = 'ax'",
    "n + 1 > 2",
    "f + 1 > 2",
    "abs(n) > 2",
];

/// Whole answers, for which the order and the columns count too.
const SHAPES: &[&str] = &[
    "SELECT count(*), count(i), min(i), max(i), sum(i) FROM @",
    "SELECT min(n), max(n), sum(n) FROM @",
    "SELECT min(t), max(t) FROM @",
    "SELECT min(d), max(ts), min(tz) FROM @",
    "SELECT i, count(*) FROM @ GROUP BY i ORDER BY i",
    "SELECT ok, count(*), sum(b / 2) FROM @ GROUP BY ok ORDER BY ok NULLS FIRST",
    "SELECT id, t FROM @ WHERE t IS NOT NULL ORDER BY t COLLATE \"C\", id",
    "SELECT id FROM @ ORDER BY i DESC, id LIMIT 4",
    "SELECT id FROM @ ORDER BY i, id LIMIT 3 OFFSET 2",
    "SELECT id FROM @ ORDER BY n NULLS FIRST, id LIMIT 5",
    "SELECT DISTINCT i FROM @ WHERE i > 0 ORDER BY i",
    "SELECT a.id, b.id FROM @ a JOIN @ b ON a.i = b.i ORDER BY 1, 2",
    "SELECT a.id, b.id FROM @ a LEFT JOIN @ b ON a.i = b.i AND b.id > 5 ORDER BY 1, 2",
    "SELECT a.id FROM @ a WHERE a.i IN (SELECT b.i FROM @ b WHERE b.id > 6) ORDER BY 1",
    "SELECT a.id FROM @ a WHERE a.i NOT IN (SELECT b.i FROM @ b WHERE b.id = 1)",
    "SELECT a.id FROM @ a WHERE NOT EXISTS (SELECT 1 FROM @ b WHERE b.i = a.i AND b.id <> a.id) ORDER BY 1",
    "SELECT id, CASE WHEN f > 0 THEN 'up' WHEN f < 0 THEN 'down' ELSE 'flat' END FROM @ ORDER BY id",
    "SELECT id FROM @ WHERE id > 3 UNION ALL SELECT id FROM @ WHERE id < 3 ORDER BY id",
    "SELECT count(DISTINCT i), count(DISTINCT t) FROM @",
    "SELECT max(f) FROM @ WHERE f <> 'NaN'::float8",
    "SELECT id, i, b, f, n, d, ts, ok, u FROM @ ORDER BY id",
];

/// Rule zero: on, off and always answer as PostgreSQL does.
#[tokio::test]
async fn answers_do_not_depend_on_pushdown() {
    let world = world();
    let admin = world.weir.connect("admin").await;
    let direct = world.cluster.connect("shop").await;
    let mut queries: Vec<String> = PREDICATES
        .iter()
        .map(|predicate| format!("SELECT id FROM @ WHERE {predicate} ORDER BY id"))
        .collect();
    queries.extend(SHAPES.iter().map(|sql| (*sql).to_owned()));
    let mut wrong = Vec::new();
    for query in &queries {
        let expected = crate::harness::rows(
            &direct
                .simple_query(&query.replace('@', "edges"))
                .await
                .unwrap_or_else(|error| panic!("PostgreSQL refuses {query}: {error:?}")),
        );
        for pushdown in ["auto", "off", "always"] {
            admin.rows(&format!("SET weir.pushdown = {pushdown}")).await.unwrap();
            let found = answer(&admin, &query.replace('@', "sales.edges")).await;
            if found != Ok(expected.clone()) {
                wrong.push(format!(
                    "{pushdown}: {query}\n  PostgreSQL {expected:?}\n  weir {found:?}"
                ));
            }
        }
    }
    // A refusal is a good answer, a wrong row is not; each refusal is known.
    wrong.retain(|found| {
        !REFUSED.iter().any(|(known, code, _)| {
            found.contains(known) && found.contains(&format!("Err(\"{code}"))
        })
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), queries.len(), wrong.join("\n"));
}

/// Queries that are refused with an error, where PostgreSQL answers; with the reason.
const REFUSED: &[(&str, &str, &str)] = &[
    ("f > 1e307", "0A000", "the engine reads 1e307 as a decimal, which it can't hold"),
    (
        "ts >= TIMESTAMP '9999-12-31",
        "22P02",
        "a constant timestamp is in nanoseconds, until the year 2262",
    ),
    ("f < 1e-300", "0A000", "the engine reads 1e-300 as a decimal, which it can't hold"),
];

async fn answer(client: &Connection, sql: &str) -> Result<Vec<Vec<String>>, String> {
    client.rows(sql).await.map_err(|error| told(&error))
}

/// EXPLAIN shows the source's SQL to those who may see it only.
#[tokio::test]
async fn remote_sql_is_shown_by_permission() {
    let world = world();
    let sql = "EXPLAIN SELECT id FROM sales.customers WHERE id > 3";
    let shown = world.weir.connect("admin").await.lines(sql).await;
    assert!(shown.contains("\"id\" > 3") || shown.contains("\"id\" > '3'"), "{shown}");
    let analyst = world.weir.connect("analyst").await;
    match analyst.rows(sql).await {
        Ok(rows) => {
            let text = rows.concat().join("\n");
            assert!(!text.contains("SELECT"), "{text}");
        }
        Err(error) => assert_eq!(crate::harness::code(&error), "42501"),
    }
}
