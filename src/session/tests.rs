//! Whole statements through a session, over files and a policy written here.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, path::Path, time::Duration};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use tempfile::TempDir;
use weir_catalogs::{Catalog, CatalogName, OptionValue, Options, local};

use super::*;
use crate::{
    admission::MemoryLimits,
    auth::{RoleName, TenantName, UserName},
    engine::{ComplexityLimits, EngineLimits},
    policy::{MaskKeys, PolicyStore},
};

const POLICY: &str = "
p, role:admin, *, *, select, , allow
p, role:admin, *, *, explain_remote, , allow
p, role:analyst, *, shop, select, , allow
p, role:analyst, *, shop.public.secret, select, , deny
p, role:analyst, *, shop.public.staff.salary, select, , deny
p, role:analyst, *, shop.public.staff.email, mask, \"partial(1, 3)\", allow
p, role:analyst, *, shop.public.staff.note, mask, null, allow
p, role:analyst, *, shop.public.orders, filter, \"region IN (current_attr_list('regions'))\", allow
p, role:analyst, *, shop.public.items, explain_remote, , allow
p, role:admin, *, shop.public.orders, filter, true, allow
p, role:masked, *, shop.public.staff, select, , allow
p, role:masked, *, shop.public.staff.email, mask, hmac, allow
p, role:masked, *, shop.public.staff.name, mask, \"left(name, 1) || '.'\", allow
p, role:masked, *, shop.public.staff.salary, mask, CASE WHEN id = 1 THEN 0 ELSE 200 END, allow
p, role:masked, *, shop.public.staff.note, mask, upper(nosuch), allow
p, role:public, *, shop.public.staff.email, copy, , deny
p, role:analyst, *, fn.repeat, execute, , deny
p, role:admin, *, fn.*, execute, , allow
p, role:admin, *, fn.repeat, execute, , allow
";

const FILES: &[(&str, &str)] = &[
    (
        "orders.csv",
        "id,region,amount,note\n1,EU,10,7\n2,US,20,TOP-SECRET-1\n3,EU,30,8\n4,US,0,TOP-SECRET-2\n",
    ),
    (
        "staff.csv",
        "id,name,email,salary,note\n1,Ann,ann@example.com,100,a\n2,Bob,bob@example.com,200,b\n",
    ),
    ("secret.csv", "id,word\n1,hush\n"),
    ("items.csv", "order_id,sku,price\n1,x,1.5\n1,y,2.5\n3,z,3.5\n"),
];

struct World {
    engine: Arc<Engine>,
    _files: TempDir,
    policy: TempDir,
}

impl World {
    async fn new() -> Self {
        let files = TempDir::new().unwrap();
        for (name, text) in FILES {
            std::fs::write(files.path().join(name), text).unwrap();
        }
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let model = write("model.conf", crate::policy::MODEL);
        let rules = write("policy.csv", POLICY);
        let policy =
            Arc::new(PolicyStore::open(&model, &rules, MaskKeys::passing()).await.unwrap());
        let catalog = Arc::new(open_local(files.path()));
        catalog.refresh().await.unwrap();
        let catalogs = BTreeMap::from([(catalog.name().clone(), catalog)]);
        let engine = Arc::new(Engine::new(catalogs, policy, limits()).unwrap());
        Self { engine, _files: files, policy: folder }
    }

    /// Writes another policy, and waits until it holds.
    async fn rule(&self, text: &str) {
        std::fs::write(self.policy.path().join("policy.csv"), text).unwrap();
        while !self.engine.policy.reload_if_changed().await.unwrap() {}
    }

    fn session(&self, role: &str) -> Session {
        let principal = Principal {
            name: UserName::parse("tester").unwrap(),
            roles: vec![RoleName::parse(role).unwrap()],
            tenant: TenantName::parse("acme").unwrap(),
            attributes: BTreeMap::from([("regions".into(), vec!["EU".into()])]),
        };
        let options = SessionOptions {
            principal,
            door: Door::Postgres,
            database: "weir".into(),
            settings: Vec::new(),
            max_statement_timeout: Duration::from_secs(30),
        };
        Session::open(Arc::clone(&self.engine), Metrics::new(), options).unwrap()
    }

    /// Rows as `a|b;c|d`, or `SQLSTATE message`.
    async fn run(&self, role: &str, sql: &str) -> String {
        match run(&self.session(role), sql).await {
            Ok(rows) => rows,
            Err(error) => format!("{} {}", error.kind.sqlstate(), error.message),
        }
    }
}

fn open_local(root: &Path) -> Catalog {
    let name = CatalogName::parse("shop").unwrap();
    let mut options = Options::default();
    options.set("root", OptionValue::Path(root.to_owned()));
    options.set("max_files", OptionValue::Integer(1000));
    let source = (local::KIND.open)(&name, options).unwrap();
    Catalog::new(name, source)
}

fn limits() -> EngineLimits {
    EngineLimits {
        complexity: ComplexityLimits {
            text: 1 << 24,
            tokens: 50_000,
            depth: 200,
            nodes: 20_000,
            relations: 500,
        },
        planning_timeout: Duration::from_secs(20),
        max_concurrent_queries: 4,
        max_queued_queries: 4,
        max_open_cursors: 4,
        queue_timeout: Duration::from_secs(5),
        memory: MemoryLimits { process: 1 << 30, query: 1 << 28 },
        spill_dir: None,
        spill_size: 1 << 30,
        worker_threads: 2,
    }
}

async fn run(session: &Session, sql: &str) -> Result<String> {
    let mut shown = Vec::new();
    for statement in session.parse(sql).await? {
        let prepared = session.prepare(statement, Vec::new()).await?;
        match session.execute(&prepared, Vec::new()).await? {
            Answer::Rows(Rows::Stream(mut rows)) | Answer::Copy(_, mut rows) => {
                while let Some(batch) = rows.next_batch().await? {
                    shown.extend(lines(&batch));
                }
            }
            Answer::Rows(Rows::Batch(batch, _)) => shown.extend(lines(&batch)),
            Answer::Done(tag) => shown.push(tag.to_owned()),
            other => panic!("{other:?}"),
        }
    }
    Ok(shown.join(";"))
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}

#[tokio::test]
async fn a_principal_sees_what_the_policy_grants_and_nothing_else() {
    let world = World::new().await;
    let missing = "42P01 relation \"shop.secret\" does not exist";
    for (role, sql, expected) in [
        ("admin", "SELECT count(*) FROM shop.orders", "4"),
        ("analyst", "SELECT count(*), sum(amount) FROM shop.orders", "2|40"),
        ("analyst", "SELECT id FROM shop.orders WHERE 1 = 1 OR region = 'US' ORDER BY id", "1;3"),
        ("analyst", "SELECT id FROM shop.orders WHERE CAST(note AS int) > 0 ORDER BY id", "1;3"),
        ("analyst", "SELECT count(*) FROM shop.orders WHERE 10 / amount >= 0", "2"),
        (
            "analyst",
            "SELECT o.id FROM shop.orders o JOIN shop.items i ON o.id = i.order_id AND CAST(o.note AS int) > 0 ORDER BY 1",
            "1;1;3",
        ),
        (
            "analyst",
            "WITH x AS (SELECT * FROM shop.orders) SELECT count(*) FROM (SELECT * FROM x UNION ALL SELECT * FROM shop.orders)",
            "4",
        ),
        ("analyst", "SELECT (SELECT max(amount) FROM shop.orders)", "30"),
        (
            "analyst",
            "SELECT count(*) FROM shop.items WHERE EXISTS (SELECT 1 FROM shop.orders WHERE note LIKE 'TOP%')",
            "0",
        ),
        ("analyst", "SELECT id FROM shop.orders ORDER BY amount DESC LIMIT 1", "3"),
        (
            "analyst",
            "SELECT min(region), max(region), count(DISTINCT region) FROM shop.orders",
            "EU|EU|1",
        ),
        (
            "analyst",
            "SELECT * FROM shop.staff ORDER BY id",
            "1|Ann|a***com|NULL;2|Bob|b***com|NULL",
        ),
        ("analyst", "SELECT count(*) FROM shop.staff WHERE email = 'ann@example.com'", "0"),
        ("analyst", "SELECT id FROM shop.staff WHERE email LIKE 'a%'", "1"),
        ("analyst", "SELECT count(*) FROM shop.staff WHERE note IS NOT NULL", "0"),
        ("analyst", "SELECT salary FROM shop.staff", "42703 column \"salary\" does not exist"),
        (
            "analyst",
            "SELECT id FROM shop.staff WHERE salary > 1",
            "42703 column \"salary\" does not exist",
        ),
        ("analyst", "SELECT * FROM shop.secret", missing),
        ("nobody", "SELECT * FROM shop.orders", "42P01 relation \"shop.orders\" does not exist"),
        (
            "analyst",
            "SELECT * FROM shop.public.secret",
            "42P01 relation \"shop.public.secret\" does not exist",
        ),
        ("analyst", "SELECT * FROM shop.nothing", "42P01 relation \"shop.nothing\" does not exist"),
        ("analyst", "SELECT count(*) FROM pg_class WHERE relname = 'secret'", "0"),
        (
            "analyst",
            "SELECT count(*) FROM information_schema.columns WHERE column_name = 'salary'",
            "0",
        ),
        (
            "analyst",
            "SELECT count(*) FROM information_schema.columns WHERE column_name = 'email'",
            "1",
        ),
        (
            "analyst",
            "EXPLAIN SELECT * FROM shop.orders",
            "42501 permission denied to explain a query over table \"shop.public.orders\"",
        ),
        (
            "analyst",
            "EXPLAIN ANALYZE SELECT 1 FROM shop.items WHERE EXISTS (SELECT 1 FROM shop.orders)",
            "42501 permission denied to explain a query over table \"shop.public.orders\"",
        ),
    ] {
        assert_eq!(world.run(role, sql).await, expected, "{role}: {sql}");
    }
}

#[tokio::test]
async fn masks_show_what_they_say_and_hide_the_rest() {
    let world = World::new().await;
    for (sql, expected) in [
        ("SELECT name FROM shop.staff ORDER BY id", "A.;B."),
        // Its mask is computed of a column that is not asked for.
        ("SELECT sum(salary), min(salary) FROM shop.staff", "200|0"),
        ("SELECT length(email) FROM shop.staff", "32;32"),
        ("SELECT count(*) FROM shop.staff WHERE email LIKE '%@%'", "0"),
        ("SELECT count(*) FROM shop.staff a JOIN shop.staff b ON a.email = b.email", "2"),
        ("SELECT count(*) FROM shop.staff WHERE name = 'Ann'", "0"),
        (
            "SELECT count(*) FROM shop.staff WHERE name = 'A.' AND 1 / salary > 0",
            "22012 division by zero",
        ),
        // A mask that does not fit its table shows nothing, and refuses only what needs it.
        (
            "SELECT note FROM shop.staff",
            "42501 the policy for table \"shop.public.staff\" can't be applied",
        ),
    ] {
        assert_eq!(world.run("masked", sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn copy_and_functions_are_by_rule_where_there_is_one() {
    let world = World::new().await;
    let no_copy = "42501 permission denied to copy rows of table \"shop.public.staff\"";
    for (role, sql, expected) in [
        ("analyst", "COPY shop.items TO STDOUT", "1|x|1.5;1|y|2.5;3|z|3.5"),
        ("analyst", "COPY (SELECT id FROM shop.staff ORDER BY id) TO STDOUT", "1;2"),
        ("analyst", "COPY shop.staff TO STDOUT", no_copy),
        ("analyst", "COPY (SELECT upper(email) FROM shop.staff) TO STDOUT", no_copy),
        (
            "analyst",
            "COPY (SELECT 1 WHERE 'x' IN (SELECT email FROM shop.staff)) TO STDOUT",
            no_copy,
        ),
        ("analyst", "SELECT repeat('x', 2)", "42501 permission denied for function repeat"),
        (
            "analyst",
            "SELECT 1 FROM shop.items WHERE repeat(sku, 2) = 'xx'",
            "42501 permission denied for function repeat",
        ),
        ("analyst", "SELECT upper('x')", "X"),
        ("admin", "SELECT repeat('x', 2)", "xx"),
    ] {
        assert_eq!(world.run(role, sql).await, expected, "{role}: {sql}");
    }
}

#[tokio::test]
async fn rows_end_when_what_granted_them_is_gone() {
    let world = World::new().await;
    let session = world.session("analyst");
    let sql = "SELECT i.sku FROM shop.items i, generate_series(1, 100000000) g";
    let statement = session.parse(sql).await.unwrap().pop().unwrap();
    let prepared = session.prepare(statement, Vec::new()).await.unwrap();
    let answer = session.execute(&prepared, Vec::new()).await.unwrap();
    let Answer::Rows(Rows::Stream(mut rows)) = answer else { panic!("{answer:?}") };
    assert!(rows.next_batch().await.unwrap().is_some());
    // About another table.
    world.rule(&format!("{POLICY}p, role:analyst, *, shop.public.orders, select, , deny\n")).await;
    assert!(rows.next_batch().await.unwrap().is_some());
    rows.look().unwrap();
    world
        .rule(&format!("{POLICY}p, role:analyst, *, shop.public.items.sku, mask, null, allow\n"))
        .await;
    assert_eq!(rows.look().unwrap_err().kind, ErrorKind::PermissionDenied);
    assert!(rows.next_batch().await.unwrap().is_none());

    let answer = session.execute(&prepared, Vec::new()).await.unwrap();
    let Answer::Rows(Rows::Stream(mut rows)) = answer else { panic!("{answer:?}") };
    assert!(rows.next_batch().await.unwrap().is_some());
    world.rule(POLICY).await;
    let error = rows.next_batch().await.unwrap_err();
    assert_eq!(error.message, "the policy changed while rows were being read");
}

#[tokio::test]
async fn a_review_runs_nothing_and_shows_the_plan() {
    let world = World::new().await;
    let session = world.session("analyst");
    let review = session.review("SELECT o.id, 1 / 0 FROM orders o, orders p").await.unwrap();
    let tables: Vec<String> = review.tables.iter().map(|(table, _)| table.to_string()).collect();
    assert_eq!(tables, ["shop.public.orders"]);
    assert_eq!(review.tables[0].1, ["id", "region", "amount", "note"]);
    assert!(review.plan.iter().any(|line| line.contains("PolicyBarrierExec")), "{review:?}");
    for sql in ["SELECT 1; SELECT 2", "SET a = 1", "SELECT * FROM secret", "COPY orders TO STDOUT"]
    {
        assert!(session.review(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn statements_answer_as_postgresql_does() {
    let world = World::new().await;
    for (sql, expected) in [
        ("SELECT 0.1 + 0.2", "0.3"),
        ("SELECT now() > '2024-01-01'::timestamptz, now() = now()", "true|true"),
        (
            "SELECT cast(1.5 AS int), cast(2.5 AS int), -1.5::int8, 2.5::float8::int, 3.5::float8::int",
            "2|3|-2|2|4",
        ),
        ("EXPLAIN SELECT 1", "ProjectionExec: expr=[1 as ?column?];  PlaceholderRowExec"),
        ("SELECT count(*) FROM shop.items WHERE price = 1.5", "1"),
        (
            "SELECT count(*) FROM shop.items WHERE price < 'infinity'::float8 AND price IN (1.5, 2.5)",
            "2",
        ),
        ("SHOW weir.pushdown", "auto"),
        ("SET weir.pushdown = off; SHOW weir.pushdown", "SET;off"),
        ("SET statement_timeout = '5s'; SHOW statement_timeout", "SET;5s"),
        ("SET nonsense = 1", "42704 unrecognized configuration parameter \"nonsense\""),
        ("SET server_version = '9'", "22023 parameter \"server_version\" cannot be changed"),
        ("SHOW search_path", "shop"),
        ("SELECT count(*) FROM orders", "4"),
        ("SELECT current_database()", "weir"),
        ("SELECT nope FROM orders", "42703 column \"nope\" does not exist"),
        ("SELECT nope()", "42883 invalid function 'nope'"),
        (
            "SELEC 1",
            "42601 syntax error: expected: an SQL statement, found: SELEC at Line: 1, Column: 1",
        ),
        ("SELECT 1/0", "22012 division by zero"),
        ("CREATE TABLE t AS SELECT 1", "25006 cannot execute CREATE in a read-only transaction"),
        ("SELECT 1; DROP TABLE orders", "25006 cannot execute DROP in a read-only transaction"),
        (
            "EXPLAIN ANALYZE DELETE FROM orders",
            "25006 cannot execute DELETE in a read-only transaction",
        ),
        (
            "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
            "25006 cannot execute DELETE in a read-only transaction",
        ),
        (
            "SELECT * INTO t FROM orders",
            "25006 cannot execute SELECT INTO in a read-only transaction",
        ),
        (
            "COPY orders TO '/tmp/x'",
            "25006 cannot execute COPY TO a file or program in a read-only transaction",
        ),
        ("COPY orders FROM STDIN", "25006 cannot execute COPY FROM in a read-only transaction"),
        (
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "25006 cannot execute CREATE in a read-only transaction",
        ),
        ("REFRESH CATALOG shop", "REFRESH CATALOG"),
        ("REFRESH CATALOG nothing", "3D000 catalog \"nothing\" does not exist"),
    ] {
        assert_eq!(world.run("admin", sql).await, expected, "{sql}");
    }
}

#[test]
fn no_shape_of_statement_ends_the_process() {
    // As the proxy's own threads are.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(crate::engine::STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(try_every_shape()).await.unwrap() });
}

async fn try_every_shape() {
    let world = World::new().await;
    let chain = |operand: &str, count: usize| vec![operand; count].join(" + ");
    let or = (0..1000).map(|n| format!("id = {n}")).collect::<Vec<_>>().join(" OR ");
    let bomb = {
        let levels: Vec<String> = (1..12)
            .map(|n| format!("t{n} AS (SELECT a.id FROM t{} a, t{} b)", n - 1, n - 1))
            .collect();
        format!(
            "WITH t0 AS (SELECT id FROM orders), {} SELECT count(*) FROM t11",
            levels.join(", ")
        )
    };
    for (sql, expected) in [
        (format!("SELECT {}", chain("1", 1000)), "1000"),
        (format!("SELECT {}", chain("1", 5000)), "54000"),
        (format!("SELECT {}", chain("1", 100_000)), "54000"),
        (format!("SELECT count(*) FROM orders WHERE {or}"), "4"),
        (format!("SELECT 1{}", "::int".repeat(200)), "1"),
        (format!("SELECT {}1{}", "(".repeat(150), ")".repeat(150)), "1"),
        (format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)), "54000"),
        // The parser reports its recursion limit as a syntax error here.
        (format!("SELECT {}true", "NOT ".repeat(10_000)), "42601"),
        (format!("SELECT '{}'", "x".repeat(17 << 20)), "54000"),
        (bomb, "54000"),
        (format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(3000)), "54000"),
        ("SELECT 1".to_owned(), "1"),
    ] {
        let answer = world.run("admin", &sql).await;
        let shown: String = sql.chars().take(60).collect();
        assert!(answer.starts_with(expected), "{shown}: {answer}");
    }
}
