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
