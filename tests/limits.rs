//! Each bound is reached, its error is the one that is promised, and a neighbour is unharmed.

use std::time::{Duration, Instant};

use crate::harness::{Connection, World, clients::told, code, world};

const SLOW: &str = "SELECT count(nap) FROM sales.naps";

/// Waits until PostgreSQL runs this many statements of weir.
async fn until_busy(world: &World, count: i64, limit: Duration) {
    const BUSY: &str = "SELECT count(*) FROM pg_stat_activity \
                        WHERE application_name LIKE 'weir %' AND state = 'active'";
    let direct = world.cluster.connect("shop").await;
    let started = Instant::now();
    loop {
        let busy: i64 = direct.query_one(BUSY, &[]).await.unwrap().get(0);
        if busy == count {
            return;
        }
        assert!(started.elapsed() < limit, "{busy} statements run at the source, not {count}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_connection_too_many_is_refused() {
    let world = World::start_with(|weir| weir.limit("max_connections", "3"));
    let weir = &world.weir;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(weir.connect("admin").await);
    }
    let refused = Connection::open(weir.postgres, weir.user("admin"), "weir").await;
    assert_eq!(code(&refused.err().unwrap()), "53300");
    assert_eq!(open[0].value("SELECT 1").await, "1");
    drop(open.pop());
    let started = Instant::now();
    while Connection::open(weir.postgres, weir.user("admin"), "weir").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(5), "the place is not free again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn queries_wait_in_a_queue_that_is_bounded() {
    let world = World::start_with(|weir| {
        weir.limit("max_concurrent_queries", "1")
            .limit("max_queued_queries", "1")
            .limit("queue_timeout", "\"3s\"")
    });
    let (first, second, third) = (
        world.weir.connect("admin").await,
        world.weir.connect("admin").await,
        world.weir.connect("admin").await,
    );
    let running = tokio::spawn(async move { first.refusal(SLOW).await });
    until_busy(&world, 1, Duration::from_secs(5)).await;
    let started = Instant::now();
    let queued = tokio::spawn(async move {
        let refused = second.refusal("SELECT count(*) FROM sales.customers").await;
        (refused, started.elapsed(), second)
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The queue is full: at once.
    let asked = Instant::now();
    assert_eq!(third.refusal("SELECT count(*) FROM sales.customers").await, "53400");
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    // The queue is slow: after its timeout.
    let (refused, waited, second) = queued.await.unwrap();
    assert_eq!(refused, "53400");
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(6), "{waited:?}");
    running.abort();
    let _ = running.await;
    until_busy(&world, 0, Duration::from_secs(5)).await;
    assert_eq!(second.value("SELECT count(*) FROM sales.customers").await, "5");
}

#[tokio::test]
async fn a_statement_ends_at_its_timeout() {
    let world = world();
    let admin = world.weir.connect("admin").await;
    admin.rows("SET statement_timeout = '400ms'").await.unwrap();
    let started = Instant::now();
    assert_eq!(admin.refusal(SLOW).await, "57014");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(admin.value("SELECT 1").await, "1");
    // Also one that computes here.
    let started = Instant::now();
    let cross =
        "SELECT count(*) FROM sales.numbers a, sales.numbers b WHERE a.bucket + b.bucket = -1";
    let refused = admin.refusal(cross).await;
    assert!(refused == "57014" || refused == "53200", "{refused}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(admin.value("SELECT 1").await, "1");
}

#[tokio::test]
async fn the_configured_timeout_can_only_be_lowered() {
    let world = World::start_with(|weir| weir.limit("query_timeout", "\"1s\""));
    let admin = world.weir.connect("admin").await;
    admin.rows("SET statement_timeout = '1h'").await.unwrap();
    let started = Instant::now();
    assert_eq!(admin.refusal(SLOW).await, "57014");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_does_not_fit_into_memory_spills_or_is_refused() {
    let world = World::start_with(|weir| {
        weir.limit("memory", "\"128MiB\"").limit("query_memory", "\"32MiB\"")
    });
    let admin = world.weir.connect("admin").await;
    // 2 million rows with labels are well above 32 MiB; the sort goes to disk and is right.
    let sorted = "SELECT label FROM (SELECT label, row_number() OVER (ORDER BY label DESC) AS place \
                  FROM sales.numbers) x WHERE place IN (1, 1000000, 2000000) ORDER BY place";
    let expected = "SELECT label FROM (SELECT label, row_number() OVER (ORDER BY label COLLATE \"C\" DESC) \
                    AS place FROM numbers) x WHERE place IN (1, 1000000, 2000000) ORDER BY place";
    let direct = world.cluster.connect("shop").await;
    let expected = crate::harness::rows(&direct.simple_query(expected).await.unwrap());
    let found = admin.rows(sorted).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(found, expected);
    let neighbour = world.weir.connect("admin").await;
    // A join holds one side: it can't spill.
    let join =
        "SELECT count(*) FROM sales.numbers a JOIN sales.numbers b ON a.label = b.label || ''";
    assert_eq!(admin.refusal(join).await, "53200");
    assert_eq!(admin.value("SELECT count(*) FROM sales.customers").await, "5");
    assert_eq!(neighbour.value("SELECT count(*) FROM sales.customers").await, "5");
}

/// Statements that overflow a stack or a planner elsewhere: each answers or is refused.
#[tokio::test]
async fn no_statement_is_too_complex_for_the_process() {
    // Long enough to learn what happens to a statement that is planned to its end.
    let world = World::start_with(|weir| weir.limit("planning_timeout", "\"30s\""));
    let mut admin = world.weir.connect("admin").await;
    let neighbour = world.weir.connect("admin").await;
    let chain = |item: &str, by: &str, count: usize| vec![item; count].join(by);
    let wrap = |open: &str, core: &str, close: &str, count: usize| {
        format!("{}{core}{}", open.repeat(count), close.repeat(count))
    };
    let bomb = (1..30).fold("WITH c0 AS (SELECT 1 AS x)".to_owned(), |sql, level| {
        let below = level - 1;
        sql + &format!(", c{level} AS (SELECT a.x FROM c{below} a, c{below} b)")
    });
    let statements = [
        ("a sum of 1,000", format!("SELECT {}", chain("1", "+", 1000)), "1000"),
        ("a sum of 100,000", format!("SELECT {}", chain("1", "+", 100_000)), "54"),
        ("200 casts", format!("SELECT 1{}", "::bigint".repeat(200)), "1"),
        ("10,000 casts", format!("SELECT 1{}", "::bigint".repeat(10_000)), "54"),
        ("150 parentheses", format!("SELECT {}", wrap("(", "1", ")", 150)), "1"),
        ("100,000 parentheses", format!("SELECT {}", wrap("(", "1", ")", 100_000)), "54"),
        ("100,000 open parentheses", format!("SELECT {}", "(".repeat(100_000)), "54"),
        (
            "1,000 ORs",
            format!("SELECT count(*) FROM sales.edges WHERE {}", chain("i = 1", " OR ", 1000)),
            "1",
        ),
        ("100,000 ORs", format!("SELECT 1 WHERE {}", chain("1 = 1", " OR ", 100_000)), "54"),
        ("1,000 NOTs", format!("SELECT {} true", "NOT ".repeat(1000)), "t"),
        ("100,000 minus signs", format!("SELECT {}1", "- ".repeat(100_000)), "54"),
        (
            "nested CASE",
            format!("SELECT {}", wrap("CASE WHEN true THEN ", "1", " END", 5000)),
            "54",
        ),
        ("nested subqueries", format!("SELECT {}", wrap("(SELECT ", "1", ")", 5000)), "54"),
        (
            "nested FROM",
            format!("SELECT * FROM {}", wrap("(SELECT * FROM ", "(SELECT 1) q", ") q", 5000)),
            "54",
        ),
        ("a bomb of CTEs", format!("{bomb} SELECT count(*) FROM c29"), "54"),
        ("500 UNIONs", chain("SELECT 1", " UNION ALL ", 500), "1"),
        ("3,000 UNIONs", chain("SELECT 1", " UNION ALL ", 3000), "54"),
        ("100,000 in a list", format!("SELECT 1 WHERE 1 IN ({})", chain("1", ",", 100_000)), "54"),
        ("10,000 columns", format!("SELECT {}", chain("1", ",", 60_000)), "54"),
        ("a text of 17 MB", format!("SELECT '{}'", "x".repeat(17 << 20)), "08P01"),
        ("functions in functions", format!("SELECT {}", wrap("abs(", "1", ")", 5000)), "54"),
        ("arrays in arrays", format!("SELECT {}", wrap("ARRAY[", "1", "]", 5000)), "54"),
        ("a quoted name of 1 MB", format!("SELECT 1 AS \"{}\"", "x".repeat(1 << 20)), ""),
    ];
    let mut wrong = Vec::new();
    for (what, sql, expected) in &statements {
        let started = Instant::now();
        let found = match admin.rows(sql).await {
            Ok(rows) => rows.concat().join("").chars().take(40).collect(),
            Err(error) => code(&error),
        };
        let took = started.elapsed();
        // A message that is too long ends its session.
        if admin.is_closed() {
            admin = world.weir.connect("admin").await;
        }
        if !found.starts_with(expected) || took > Duration::from_secs(60) {
            wrong.push(format!("{what}: {found} after {took:?}, expected {expected}"));
        }
        assert!(neighbour.rows("SELECT 1").await.is_ok(), "{what} ended the process; {wrong:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_cancel_request_reaches_the_source() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    let token = admin.client.cancel_token();
    let running = tokio::spawn(async move {
        let refused = admin.refusal(SLOW).await;
        (refused, admin)
    });
    until_busy(&world, 1, Duration::from_secs(5)).await;
    let asked = Instant::now();
    token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    until_busy(&world, 0, Duration::from_secs(1)).await;
    let (refused, admin) = running.await.unwrap();
    assert_eq!(refused, "57014");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(admin.value("SELECT count(*) FROM sales.customers").await, "5");
}

#[tokio::test]
async fn a_killed_client_frees_the_source() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    let running = tokio::spawn(async move {
        let _ = admin.rows(SLOW).await;
    });
    until_busy(&world, 1, Duration::from_secs(5)).await;
    running.abort();
    until_busy(&world, 0, Duration::from_secs(2)).await;
    // A client that stops reading a long answer is killed too.
    let admin = world.weir.connect("admin").await;
    let rows = admin.client.query_raw("SELECT * FROM sales.endless", &[] as &[i32]).await.unwrap();
    until_busy(&world, 1, Duration::from_secs(5)).await;
    drop(rows);
    drop(admin);
    until_busy(&world, 0, Duration::from_secs(2)).await;
}
