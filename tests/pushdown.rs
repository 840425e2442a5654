//! What is sent to a source. That the answer does not depend on it, `differential` shows.

use crate::harness::{World, world};

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

/// A join of files with large tables, a list of keys that the tables' source is asked for, and the number
/// of rows.
const KEYS: &[(&str, &[i32], usize)] = &[
    // Two columns of one name.
    (
        "SELECT n.label, e.id, n.id FROM lake.web.events e JOIN sales.numbers n ON n.id = e.id",
        &[1, 2, 3, 4, 5],
        5,
    ),
    // Compared as wider integers.
    (
        "SELECT n.label FROM sales.numbers n JOIN lake.web.events e ON e.customer_id = n.id",
        &[1, 2, 9],
        4,
    ),
    (
        "SELECT e.id, n.label FROM lake.web.events e
         LEFT JOIN sales.numbers n ON n.id = e.id + 6 AND n.bucket = e.customer_id",
        &[7, 8, 9, 10, 11],
        5,
    ),
    (
        "SELECT a.label, b.label FROM lake.web.events e JOIN sales.numbers a ON a.id = e.id
         JOIN lake.web.events f ON f.id = a.id JOIN sales.numbers b ON b.id = f.customer_id",
        &[1, 2, 9],
        4,
    ),
    (
        "SELECT e.kind, s.many FROM lake.web.events e
         JOIN (SELECT id, count(label) AS many FROM sales.numbers GROUP BY id) s ON s.id = e.id",
        &[1, 2, 3, 4, 5],
        5,
    ),
    (
        "SELECT n.label FROM lake.web.events e
         JOIN (SELECT id, label FROM sales.numbers
               UNION ALL SELECT bucket, label FROM sales.numbers WHERE id < 10) n ON e.id = n.id",
        &[1, 2, 3, 4, 5],
        10,
    ),
    (
        "SELECT id, label FROM sales.numbers WHERE id IN (SELECT customer_id FROM lake.web.events)",
        &[1, 2, 9],
        3,
    ),
];

#[tokio::test]
async fn the_source_is_asked_for_the_keys_of_a_join() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    for (sql, keys, rows) in KEYS {
        let mark = world.cluster.mark();
        assert_eq!(admin.rows(sql).await.unwrap().len(), *rows, "{sql}");
        let statements = world.cluster.statements_since(mark).join("\n");
        let is_asked = statements.split(" IN (").skip(1).any(|list| numbers(list) == *keys);
        assert!(is_asked, "{sql}: {keys:?} in\n{statements}");
    }
}

/// Of a list such as `'2'::pg_catalog.int4, '1'::pg_catalog.int4)`, in order.
fn numbers(list: &str) -> Vec<i32> {
    let items = list.split(')').next().unwrap_or_default().split(", ");
    let number = |item: &str| item.split('\'').nth(1)?.parse().ok();
    let mut numbers: Vec<i32> = items.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
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
