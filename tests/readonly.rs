//! What writes is refused before anything reaches a source.

use crate::harness::world;

const WRITES: &[&str] = &[
    "INSERT INTO sales.customers (id, name) VALUES (6, 'Eve')",
    "UPDATE sales.customers SET name = 'Eve'",
    "DELETE FROM sales.customers",
    "DELETE FROM sales.customers USING sales.orders",
    "TRUNCATE sales.customers",
    "DROP TABLE sales.customers",
    "CREATE TABLE sales.t AS SELECT * FROM sales.customers",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "SELECT * INTO sales.t FROM sales.customers",
    "WITH gone AS (DELETE FROM sales.customers RETURNING id) SELECT * FROM gone",
    "SELECT * FROM (WITH gone AS (DELETE FROM sales.customers RETURNING id) SELECT * FROM gone) x",
    "COPY sales.customers FROM STDIN",
    "COPY sales.customers TO '/tmp/weir-copy'",
    "COPY (DELETE FROM sales.customers RETURNING id) TO STDOUT",
    "EXPLAIN ANALYZE DELETE FROM sales.customers",
    "GRANT ALL ON sales.customers TO reader",
    "/* a comment */ -- and another\n DELETE FROM sales.customers",
    "dElEtE fRoM sales.customers",
    "((DELETE FROM sales.customers))",
];

#[tokio::test]
async fn writes_never_reach_a_source() {
    let world = world();
    let admin = world.weir.connect("admin").await;
    let before = table(&world.cluster).await;
    let mark = world.cluster.mark();
    for sql in WRITES {
        let simple = admin.refusal(sql).await;
        let extended = match admin.client.query(*sql, &[]).await {
            Ok(_) => panic!("{sql}: no error"),
            Err(error) => crate::harness::code(&error),
        };
        // What the grammar does not know is refused as such.
        assert!(
            simple == "25006" || (simple == "42601" && sql.starts_with("((")),
            "{sql}: {simple}"
        );
        assert_eq!(simple, extended, "{sql}");
    }
    for statement in world.cluster.statements_since(mark) {
        let upper = statement.to_uppercase();
        for word in ["INSERT", "UPDATE ", "DELETE", "TRUNCATE", "DROP", "CREATE", "GRANT", "INTO"] {
            assert!(!upper.contains(word), "{word} reached the source: {statement}");
        }
    }
    assert_eq!(table(&world.cluster).await, before);
    assert!(!std::path::Path::new("/tmp/weir-copy").exists());
}

/// One message may hold several statements; the one that writes is refused, and ends the message.
#[tokio::test]
async fn a_write_among_other_statements_is_refused() {
    let world = world();
    let admin = world.weir.connect("admin").await;
    let before = table(&world.cluster).await;
    for sql in [
        "SELECT 1; DELETE FROM sales.customers",
        "DELETE FROM sales.customers; SELECT 1",
        "BEGIN; DELETE FROM sales.customers; COMMIT",
        "SELECT 1; COMMIT; DROP TABLE sales.customers",
        "SET transaction_read_only = off; DELETE FROM sales.customers",
    ] {
        assert_eq!(admin.refusal(sql).await, "25006", "{sql}");
        admin.rows("ROLLBACK").await.unwrap();
    }
    assert_eq!(table(&world.cluster).await, before);
}

/// The sessions at the source are read-only too: a second lock behind ours.
#[tokio::test]
async fn sessions_at_the_source_are_read_only() {
    let world = world();
    let admin = world.weir.connect("admin").await;
    let mark = world.cluster.log().len();
    admin.rows("SELECT count(*) FROM sales.customers WHERE id > 1").await.unwrap();
    let log = world.cluster.log();
    assert!(log[mark..].contains("READ ONLY"), "{}", &log[mark..]);
}

async fn table(cluster: &crate::harness::Cluster) -> String {
    let client = cluster.connect("shop").await;
    let sql = "SELECT string_agg(c::text, '|' ORDER BY id) FROM customers c";
    client.query_one(sql, &[]).await.unwrap().get(0)
}
