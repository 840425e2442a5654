//! What policy hides stays hidden, in answers, errors, plans and at the source.

mod attacks;

use crate::harness::{World, clients::told, world};

/// Each of these answers, or is refused; none may hold a canary, and the process goes on.
const ATTACKS: &[&str] = &[
    "SELECT * FROM sales.customers",
    "SELECT c FROM sales.customers c",
    "SELECT to_json(c) FROM sales.customers c",
    "SELECT row(c.*) FROM sales.customers c",
    "SELECT email || '' FROM sales.customers",
    "SELECT upper(email), lower(email), length(email) FROM sales.customers",
    "SELECT string_agg(email, ',') FROM sales.customers",
    "SELECT array_agg(email) FROM sales.customers",
    "SELECT min(email), max(email) FROM sales.customers",
    "SELECT CAST(email AS integer) FROM sales.customers",
    "SELECT id FROM sales.customers WHERE CAST(email AS integer) > 0",
    "SELECT id FROM sales.customers WHERE email > 'ada@' ORDER BY email",
    "SELECT * FROM sales.orders WHERE CAST(note AS integer) > 0",
    "SELECT * FROM sales.orders WHERE CAST(note AS date) > DATE '2000-01-01'",
    "SELECT 10 / (id - 13) FROM sales.orders",
    "SELECT * FROM sales.orders WHERE 1 / (CASE WHEN note LIKE 'CAN%' THEN 0 ELSE 1 END) = 1",
    "SELECT * FROM sales.orders o JOIN sales.customers c ON CAST(o.note AS integer) = c.id",
    "SELECT * FROM sales.orders WHERE note IN (SELECT note FROM sales.orders)",
    "SELECT note FROM sales.orders UNION SELECT email FROM sales.customers",
    "SELECT max(note), min(note) FROM sales.orders",
    "SELECT DISTINCT note FROM sales.orders ORDER BY note DESC LIMIT 1",
    "SELECT first_value(note) OVER (ORDER BY id DESC) FROM sales.orders",
    "SELECT * FROM sales.orders WHERE id = 13 OR 1 = 1",
    "SELECT * FROM sales.orders WHERE true OR region IS NULL",
    "SELECT * FROM sales.secrets",
    "SELECT value FROM sales.public.secrets",
    "SELECT * FROM sales.customers, LATERAL (SELECT * FROM sales.secrets) s",
    "WITH s AS (SELECT * FROM sales.secrets) SELECT * FROM s",
    "SELECT ssn FROM sales.customers",
    "SELECT * FROM sales.customers ORDER BY ssn",
    "SELECT count(*) FROM sales.customers GROUP BY ssn",
    "SELECT count(*) FROM sales.customers NATURAL JOIN (SELECT 'CAN' || 'ARY-ssn-1' AS ssn) x",
    "SELECT id FROM sales.customers c WHERE ssn LIKE '%'",
    "EXPLAIN SELECT * FROM sales.orders",
    "EXPLAIN VERBOSE SELECT * FROM sales.customers WHERE email = 'x'",
    "EXPLAIN ANALYZE SELECT * FROM sales.orders",
    "COPY sales.orders TO STDOUT",
    "COPY (SELECT * FROM sales.customers) TO STDOUT (FORMAT CSV)",
    "SELECT * FROM pg_catalog.pg_stats",
    "SELECT * FROM information_schema.columns",
    "SELECT obj_description(c.oid) FROM pg_catalog.pg_class c",
    "SELECT 'sales.secrets'::regclass",
    "SELECT query FROM system.runtime.queries",
    "SELECT current_setting('is_superuser')",
];

#[tokio::test]
async fn no_attack_shows_a_canary() {
    let world = world();
    let analyst = world.weir.connect("analyst").await;
    for pushdown in ["auto", "off", "always"] {
        analyst.rows(&format!("SET weir.pushdown = {pushdown}")).await.unwrap();
        for sql in ATTACKS {
            let seen = match sql.strip_prefix("COPY") {
                Some(_) => copied(&analyst, sql).await,
                None => match analyst.client.simple_query(sql).await {
                    Ok(messages) => format!("{messages:?}"),
                    Err(error) => told(&error),
                },
            };
            assert!(!seen.contains("CANARY"), "pushdown {pushdown}: {sql}: {seen}");
            let alive = analyst.value("SELECT 1").await;
            assert_eq!(alive, "1", "{sql}");
        }
    }
}

async fn copied(client: &tokio_postgres::Client, sql: &str) -> String {
    use futures::TryStreamExt;
    match client.copy_out(sql).await {
        Ok(stream) => {
            let parts: Result<Vec<_>, _> = stream.try_collect().await;
            match parts {
                Ok(parts) => String::from_utf8_lossy(&parts.concat()).into_owned(),
                Err(error) => told(&error),
            }
        }
        Err(error) => told(&error),
    }
}

/// Nothing in the text tells a hidden name from one that never was.
#[tokio::test]
async fn a_hidden_table_or_column_reads_as_a_missing_one() {
    let world = world();
    let analyst = world.weir.connect("analyst").await;
    for (template, hidden, missing) in [
        ("SELECT * FROM sales.@", "secrets", "zecrets"),
        ("SELECT * FROM sales.public.@", "secrets", "zecrets"),
        ("SELECT count(*) FROM sales.customers c JOIN sales.@ s ON true", "secrets", "zecrets"),
        ("SELECT * FROM \"sales.crm\".@", "tickets", "zickets"),
        ("SELECT @ FROM sales.customers", "ssn", "zsn"),
        ("SELECT c.@ FROM sales.customers c", "ssn", "zsn"),
        ("SELECT id FROM sales.customers WHERE @ = 'x'", "ssn", "zsn"),
    ] {
        let mut answers = Vec::new();
        for name in [hidden, missing] {
            let sql = template.replace('@', name);
            let error = analyst.client.simple_query(&sql).await.unwrap_err();
            let mut parts = told(&error).replace(name, "@");
            let position = error.as_db_error().and_then(|error| error.position().cloned());
            parts.push_str(&format!("{position:?}"));
            answers.push(parts);
        }
        assert_eq!(answers[0], answers[1], "{template}");
    }
    assert_eq!(analyst.refusal("REFRESH CATALOG nosuch").await, "3D000");
    let stranger = world.weir.connect("stranger").await;
    assert_eq!(stranger.refusal("REFRESH CATALOG sales").await, "3D000");
}

/// A database of which a user may see nothing does not exist.
#[tokio::test]
async fn a_hidden_catalog_is_no_database() {
    let world = world();
    let weir = &world.weir;
    for database in ["sales", "nosuch"] {
        let opened =
            crate::harness::Connection::open(weir.postgres, weir.user("stranger"), database).await;
        assert_eq!(crate::harness::code(&opened.err().unwrap()), "3D000", "{database}");
    }
}

/// A prepared statement is judged when it runs, by the policy of that moment.
#[tokio::test]
async fn a_revoked_right_ends_prepared_statements() {
    let world = crate::harness::World::start();
    let analyst = world.weir.connect("analyst").await;
    let statement = analyst.client.prepare("SELECT count(*) FROM sales.customers").await.unwrap();
    let count: i64 = analyst.client.query_one(&statement, &[]).await.unwrap().get(0);
    assert_eq!(count, 5);
    let path = world.weir.folder().join("policy/policy.csv");
    let policy = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        policy.clone() + "p, role:analyst, *, sales.public.customers, select, , deny\n",
    )
    .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    loop {
        match analyst.client.query_one(&statement, &[]).await {
            Err(error) => {
                assert_eq!(crate::harness::code(&error), "42P01");
                break;
            }
            Ok(_) => assert!(std::time::Instant::now() < deadline, "the right is still there"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // A policy with a mistake leaves the last good one in force.
    std::fs::write(&path, policy + "p, role:analyst, *, sales, select, , permit\n").unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(analyst.refusal("SELECT * FROM sales.customers").await, "42P01");
    let admin = world.weir.connect("admin").await;
    assert_eq!(admin.value("SELECT count(*) FROM sales.customers").await, "5");
}

/// Before its login nobody learns who exists.
#[tokio::test]
async fn a_wrong_login_says_nothing_of_the_user() {
    use crate::harness::{Connection, User};
    let world = world();
    let mut answers = Vec::new();
    for name in ["admin", "nobody_of_that_name"] {
        let user = User { name, password: "wrong", role: "", attributes: &[] };
        let error = Connection::open(world.weir.postgres, user, "weir").await.err().unwrap();
        answers.push(told(&error).replace(name, "@"));
    }
    assert!(answers[0].starts_with("28P01"), "{}", answers[0]);
    assert_eq!(answers[0], answers[1]);
    for database in ["nosuch", "sales"] {
        let user = User { name: "nobody_of_that_name", password: "x", role: "", attributes: &[] };
        let error = Connection::open(world.weir.postgres, user, database).await.err().unwrap();
        assert!(told(&error).starts_with("28P01"), "{}", told(&error));
    }
}

/// What a join finds on its other side may narrow the statement for a table, but never from below a
/// row filter or a mask: how long it takes would tell of hidden rows.
#[tokio::test]
async fn keys_of_a_join_go_beside_the_policy() {
    let world = crate::harness::World::start();
    let (admin, analyst) = (world.weir.connect("admin").await, world.weir.connect("analyst").await);
    let customers = "SELECT c.name FROM lake.regions r JOIN sales.customers c ON c.region = r.code";
    let orders = "SELECT o.id FROM lake.regions r JOIN sales.orders o ON o.region = r.code";
    for (who, connection, sql, has_keys) in [
        // No policy stands over these rows.
        ("admin", &admin, customers, true),
        // A filter that lets everything pass.
        ("admin", &admin, orders, true),
        // A mask on another column.
        (
            "analyst",
            &analyst,
            "SELECT c.name, c.email FROM lake.regions r JOIN sales.customers c ON c.region = r.code",
            false,
        ),
        // They go beside the policy's own filter, into one statement.
        ("analyst", &analyst, orders, true),
    ] {
        let mark = world.cluster.mark();
        let rows = connection.rows(sql).await.unwrap();
        assert!(!rows.is_empty(), "{who}: {sql}");
        let statements = world.cluster.statements_since(mark).join("\n");
        // Africa is in the file only.
        assert_eq!(statements.contains("'AF'"), has_keys, "{who}: {sql}\n{statements}");
        let all = connection.rows("SET weir.pushdown = off").await;
        all.unwrap();
        assert_eq!(connection.rows(sql).await.unwrap().len(), rows.len(), "{who}: {sql}");
        connection.rows("RESET weir.pushdown").await.unwrap();
    }
    let plan = admin.lines(&format!("EXPLAIN ANALYZE {customers}")).await;
    assert!(plan.contains("join_keys=3"), "{plan}");
}

/// The source does what it would do had the user written the filter; nothing that can fail, and no
/// masked value, is computed there.
#[tokio::test]
async fn a_row_filter_is_part_of_the_statement() {
    let world = crate::harness::World::start();
    let analyst = world.weir.connect("analyst").await;
    for (sql, present, absent) in [
        (
            "SELECT region, count(*), sum(amount) FROM sales.orders GROUP BY region",
            &["'EU'", "GROUP BY", "sum("][..],
            "",
        ),
        (
            "SELECT c.name, o.amount FROM sales.orders o JOIN sales.customers c ON c.id = o.customer_id",
            &["'EU'", "INNER JOIN"],
            "",
        ),
        (
            "SELECT id FROM sales.orders WHERE amount > 1 ORDER BY id LIMIT 2",
            &["'EU'", "LIMIT 2"],
            "",
        ),
        ("SELECT id FROM sales.orders WHERE 10 / (quantity + 100) >= 0", &["'EU'"], "'100'"),
        ("SELECT email, count(*) FROM sales.customers GROUP BY email", &["\"email\""], "GROUP BY"),
    ] {
        let mark = world.cluster.mark();
        let rows = analyst.rows(sql).await.unwrap();
        assert!(!rows.is_empty(), "{sql}");
        let statements = world.cluster.statements_since(mark).join("\n");
        for part in present {
            assert!(statements.contains(part), "{sql}: {part} in\n{statements}");
        }
        assert!(absent.is_empty() || !statements.contains(absent), "{sql}:\n{statements}");
        analyst.rows("SET weir.pushdown = off").await.unwrap();
        assert_eq!(analyst.rows(sql).await.unwrap().len(), rows.len(), "{sql}");
        analyst.rows("RESET weir.pushdown").await.unwrap();
    }
}

/// The holes of `src/policy/fault.rs` that other rules could tear into a plan: the last look at it finds
/// each, whatever is done with the rows.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_lost_its_policy_is_not_run() {
    const RULES: &str = "\
p, role:public, *, *, explain_remote, , allow
p, role:analyst, *, lake.public.regions, filter, code <> 'AF', allow
p, role:stranger, *, lake.public.regions.code, select, , allow
p, role:stranger, *, lake.public.regions, filter, true, allow
p, role:stranger, *, sales.public.customers.id, select, , allow
";
    let (filtered, masked) = ("SELECT id FROM sales.orders", "SELECT email FROM sales.customers");
    let (hidden, file) = ("SELECT id FROM sales.customers", "SELECT code FROM lake.regions");
    for (fault, who, refused, answered) in [
        (
            "LostBarrier",
            "analyst",
            &[(masked, "auto"), (filtered, "off"), (file, "auto")][..],
            filtered,
        ),
        ("LostFilter", "analyst", &[(filtered, "auto"), (filtered, "always")], masked),
        ("HiddenColumns", "stranger", &[(hidden, "off"), (hidden, "off")], hidden),
    ] {
        let world = World::start_with(|weir| weir.policy(RULES).variable("WEIR_TEST_FAULT", fault));
        let connection = world.weir.connect(who).await;
        for (sql, pushdown) in refused {
            connection.rows(&format!("SET weir.pushdown = {pushdown}")).await.unwrap();
            let nested = format!(
                "SELECT (SELECT string_agg(c::text, ',') FROM ({sql}) x(c)), y FROM (VALUES (1)) v(y)"
            );
            for sql in [(*sql).to_owned(), format!("EXPLAIN ANALYZE {sql}"), nested] {
                assert_eq!(connection.refusal(&sql).await, "XX000", "{fault}: {sql}");
            }
            let told = copied(&connection, &format!("COPY ({sql}) TO STDOUT")).await;
            assert!(told.starts_with("XX000"), "{fault}: {sql}: {told}");
        }
        connection.rows("RESET weir.pushdown").await.unwrap();
        for sql in [answered, "SELECT relname FROM pg_class", "SELECT * FROM generate_series(1, 3)"]
        {
            assert!(!connection.rows(sql).await.unwrap().is_empty(), "{fault}: {sql}");
        }
        let log = world.weir.log();
        assert!(log.contains("a plan is not under its policy"), "{fault}: {log}");
    }
}
