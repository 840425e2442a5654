//! A source that goes away is an error, never a short answer, and comes back by itself.

use std::time::{Duration, Instant};

use futures::TryStreamExt;

use crate::harness::{World, clients::told, code};

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
