//! A source that goes away is an error, never a short answer, and comes back by itself.

use std::time::{Duration, Instant};

use futures::TryStreamExt;

use crate::harness::{
    Connection, World,
    clients::told,
    code,
    fault::{Fault, FaultyProxy},
};

/// Each way in which a source can break off: how, and after how many bytes of what it sends. What
/// breaks before a statement has begun may be tried again unseen, and then all rows come.
const FAULTS: &[(&str, Fault, usize)] = &[
    ("endless", Fault::Close, 300_001),
    ("endless", Fault::Reset, 300_001),
    ("endless", Fault::Garbage, 300_001),
    ("endless", Fault::Stall, 300_001),
    ("large", Fault::Close, 0),
    ("large", Fault::Close, 300_001),
    ("large", Fault::Reset, 0),
    ("large", Fault::Reset, 300_001),
    ("large", Fault::Garbage, 0),
    ("large", Fault::Garbage, 300_001),
    ("large", Fault::Stall, 0),
    ("large", Fault::Stall, 300_001),
];

#[tokio::test]
async fn a_source_killed_in_the_middle_is_an_error() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    let direct = world.cluster.connect("shop").await;
    let rows = admin.client.query_raw("SELECT * FROM sales.endless", &[] as &[i32]).await.unwrap();
    let mut rows = Box::pin(rows);
    for _ in 0..1000 {
        assert!(rows.try_next().await.unwrap().is_some());
    }
    let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                  WHERE application_name LIKE 'weir %' AND state = 'active'";
    let count: i64 = direct.query_one(killed, &[]).await.unwrap().get(0);
    assert!(count > 0);
    let error = loop {
        match rows.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the answer ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(code(&error), "HV00N", "{}", told(&error));
    drop(rows);
    assert_eq!(admin.value("SELECT count(*) FROM sales.customers").await, "5");
}

#[tokio::test]
async fn a_source_that_is_down_is_named_and_comes_back() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    assert_eq!(admin.value("SELECT count(*) FROM sales.customers").await, "5");
    world.cluster.stop();
    let started = Instant::now();
    let error =
        admin.client.simple_query("SELECT count(*) FROM sales.customers").await.unwrap_err();
    assert_eq!(code(&error), "HV00N", "{}", told(&error));
    assert!(told(&error).contains("sales"), "{}", told(&error));
    assert!(started.elapsed() < Duration::from_secs(35), "{:?}", started.elapsed());
    // The other catalogs go on.
    assert_eq!(admin.value("SELECT count(*) FROM lake.regions").await, "3");
    world.cluster.launch();
    let started = Instant::now();
    while admin.rows("SELECT count(*) FROM sales.customers").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "the source is not found again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A table that was dropped or altered since the snapshot is an error that says so.
#[tokio::test]
async fn a_changed_table_is_an_error() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    let direct = world.cluster.connect("shop").await;
    direct.batch_execute("ALTER TABLE edges ALTER COLUMN i TYPE text").await.unwrap();
    let refused = admin.refusal("SELECT i FROM sales.edges").await;
    assert!(refused.starts_with("HV"), "{refused}");
    admin.rows("REFRESH CATALOG sales").await.unwrap();
    assert_eq!(admin.value("SELECT max(i) FROM sales.edges").await, "9");
    direct.batch_execute("DROP TABLE edges").await.unwrap();
    let refused = admin.refusal("SELECT i FROM sales.edges").await;
    assert!(refused.starts_with("HV") || refused == "42P01", "{refused}");
    admin.rows("REFRESH CATALOG sales").await.unwrap();
    assert_eq!(admin.refusal("SELECT i FROM sales.edges").await, "42P01");
}

/// Whatever breaks, and wherever: an error that says to try again, and the catalog works again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_breaks_off_is_an_error() {
    let proxy = FaultyProxy::start().await;
    let world = World::start_with(|weir| {
        let url = format!("postgres://owner@127.0.0.1:{}/shop", proxy.port);
        let source = format!("source = \"postgres\"\nurl = \"{url}\"\nquery_timeout = \"3s\"\n");
        weir.catalog("far", &source)
    });
    let direct = world.cluster.connect("shop").await;
    direct
        .batch_execute(
            "CREATE TABLE large AS SELECT i AS id, repeat('x', 900) AS pad \
             FROM generate_series(1, 40000) i; ANALYZE large",
        )
        .await
        .unwrap();
    proxy.lead_to(world.cluster.port);
    let admin = world.weir.connect("admin").await;
    // It could not be reached when weir started, and is found by itself.
    let started = Instant::now();
    while admin.rows("SELECT count(*) FROM far.large").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "the source is not found");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (table, fault, after) in FAULTS {
        let case = format!("{table}, {fault:?} at {after}");
        proxy.arm(*fault, *after);
        let started = Instant::now();
        match read(&admin, &format!("SELECT * FROM far.{table}")).await {
            Ok(rows) => assert!(*after == 0 && rows == 40_000, "{case}: complete, {rows} rows"),
            Err(error) => {
                let told = told(&error);
                assert_eq!(code(&error), "HV00N", "{case}: {told}");
                assert!(told.contains("ry again"), "{case}: {told}");
            }
        }
        assert!(!proxy.is_armed(), "{case}: did not happen");
        assert!(started.elapsed() < Duration::from_secs(60), "{case}: {:?}", started.elapsed());
        assert_eq!(admin.value("SELECT count(*) FROM far.customers").await, "5", "{case}");
    }
    // Nothing is left of them, at the source either.
    let busy = "SELECT count(*) FROM pg_stat_activity \
                WHERE application_name = 'weir far' AND state = 'active'";
    let started = Instant::now();
    loop {
        let busy: i64 = direct.query_one(busy, &[]).await.unwrap().get(0);
        if busy == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{busy} statements still run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads to the end.
async fn read(connection: &Connection, sql: &str) -> Result<usize, tokio_postgres::Error> {
    let mut rows = Box::pin(connection.client.query_raw(sql, &[] as &[i32]).await?);
    let mut count = 0;
    while rows.try_next().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Nobody has to say REFRESH: a query that meets a change makes the catalog look again.
#[tokio::test]
async fn a_changed_table_is_read_again_by_itself() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    let direct = world.cluster.connect("shop").await;
    for (change, sql) in [
        ("ALTER TABLE edges ALTER COLUMN i TYPE text", "SELECT max(i) FROM sales.edges"),
        (
            "ALTER TABLE edges ADD COLUMN new int; ALTER TABLE edges DROP COLUMN f",
            "SELECT * FROM sales.edges",
        ),
    ] {
        direct.batch_execute(change).await.unwrap();
        let refused = admin.refusal(sql).await;
        assert!(refused.starts_with("HV"), "{refused}");
        let started = Instant::now();
        while let Err(error) = admin.rows(sql).await {
            assert!(code(&error).starts_with("HV"), "{}", told(&error));
            assert!(started.elapsed() < Duration::from_secs(20), "{}", told(&error));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
