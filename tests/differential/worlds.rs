//! Random queries of somebody from whom a policy hides rows, columns and values.
//!
//! Two worlds: two sets of tables that differ only in what is hidden (`worlds.sql`), and two weirs
//! before them. Whatever is asked, both answer alike, byte by byte: rows, errors and plans.
//!
//! A copy: what PostgreSQL answers over tables that hold only the permitted rows, the visible columns
//! and the masks, weir answers under the policy.
//!
//!     tests/differential.sh --policy --queries 100000 --seed 7

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio_postgres::SimpleQueryMessage;

use super::{
    Known, MODES, Machine, Mode, Question, View, WORKERS, catalogs, connections,
    generate::{Manner, query_in},
    mix, number, run, shrink, tables, two_modes, variable,
};
use crate::harness::{
    Cluster, Connection, User, Weir, WeirBuilder, clients::told, rows, tests_folder,
};

/// Queries of each test, of one seed.
const QUERIES: u64 = 1000;
const SEED: u64 = 5;

/// Attempts to find a deliberate hole.
const ATTEMPTS: u64 = 300;

const ANALYST: User =
    User { name: "analyst", password: "pw-of-worlds-27be", role: "analyst", attributes: &[] };

/// Of both catalogs; `@` is the catalog.
const RULES: &[&str] = &[
    "@.public, select, , allow",
    "@.public, explain_remote, , allow",
    // A filter over a hidden column, and a restriction over a visible one.
    "@.public.m_edge, filter, i2 >= 0 OR i2 IS NULL, allow",
    "@.public.m_edge, restrict, k <> 9, allow",
    "@.public.m_edge.i2, select, , deny",
    "@.public.m_edge.x, select, , deny",
    "@.public.m_edge.tm, select, , deny",
    "@.public.m_edge.t, mask, null, allow",
    "@.public.m_edge.nt, mask, null, allow",
    "@.public.m_edge.ti, mask, const(masked), allow",
    "@.public.m_edge.v, mask, \"partial(1, 1)\", allow",
    "@.public.m_twin, restrict, k <= 3, allow",
    "@.public.m_twin.w, select, , deny",
    "@.public.m_twin.n, mask, null, allow",
    "@.public.m_twin.tc, mask, \"partial(0, 1)\", allow",
    // A column alone.
    "@.public.m_big.ti, select, , deny",
    // Values alone.
    "@.public.m_dim.u, select, , deny",
    "@.public.m_dim.ti, mask, \"partial(1, 0)\", allow",
];

const HIDDEN: &[(&str, &str)] = &[
    ("m_edge", "i2"),
    ("m_edge", "x"),
    ("m_edge", "tm"),
    ("m_twin", "w"),
    ("m_big", "ti"),
    ("m_dim", "u"),
];

/// The same rules once more, as changes of a copy.
const COPY: &str = "
SET search_path = oracle;
DELETE FROM m_edge WHERE ((i2 >= 0 OR i2 IS NULL) AND (k <> 9)) IS NOT TRUE;
UPDATE m_edge SET t = NULL, nt = NULL, ti = 'masked', v = CASE
    WHEN v IS NULL THEN NULL
    WHEN char_length(v) > 4 THEN left(v, 1) || '***' || right(v, 1)
    ELSE '***' END;
ALTER TABLE m_edge DROP COLUMN i2, DROP COLUMN x, DROP COLUMN tm;
DELETE FROM m_twin WHERE (k <= 3) IS NOT TRUE;
UPDATE m_twin SET n = NULL, tc = CASE
    WHEN tc IS NULL THEN NULL
    WHEN char_length(tc) > 3 THEN '***' || right(tc, 1)
    ELSE '***' END;
ALTER TABLE m_twin DROP COLUMN w;
ALTER TABLE m_big DROP COLUMN ti;
UPDATE m_dim SET ti = CASE
    WHEN ti IS NULL THEN NULL
    WHEN char_length(ti) > 3 THEN left(ti, 1) || '***'
    ELSE '***' END;
ALTER TABLE m_dim DROP COLUMN u;
ANALYZE;
RESET search_path;
";

/// Asked once each, whatever the seed.
const WRITTEN: &[&str] = &[
    // The engine refuses its own plan.
    "SELECT string_agg(t2.tc, ',' ORDER BY t2.ti) FROM m_twin t1 JOIN m_edge t2 ON t1.k = t2.k",
    "SELECT min(t2.tz) OVER (PARTITION BY t2.ti ORDER BY t2.k) FROM m_twin t1 JOIN m_edge t2 ON t1.k = t2.id",
    "SELECT ti FROM m_big",
    "SELECT count(*), count(DISTINCT k), max(n) FROM m_big",
    "SELECT count(*) FROM m_big a JOIN m_dim b ON a.k = b.k JOIN m_one c ON c.k = a.k",
    "SELECT * FROM m_edge",
    "SELECT * FROM m_twin",
    "SELECT * FROM m_dim",
    "SELECT count(*), min(id), max(id), min(k), max(i4), min(ti), max(v) FROM m_edge",
    "SELECT count(*), min(ti), max(ti), count(ti) FROM m_dim",
    "SELECT i2 FROM m_edge",
    "SELECT id FROM m_edge WHERE i2 < 0",
    "SELECT u FROM m_dim",
    "SELECT 10 / (k - 3) FROM m_edge WHERE k <> 3",
    "SELECT CAST(t AS integer) FROM m_edge",
    "SELECT CAST(v AS integer) FROM m_edge",
    "SELECT id FROM m_dim WHERE CAST(ti AS date) > DATE '2000-01-01'",
    "SELECT sum(i4) FROM m_edge",
    "SELECT a.id FROM m_edge a JOIN m_dim b ON a.k = b.k JOIN m_twin c ON c.k = b.k JOIN m_big d ON d.k = c.k",
    "SELECT * FROM pg_catalog.pg_class WHERE relname LIKE 'm_%' ORDER BY oid",
    "SELECT attname, atttypid, attnum FROM pg_catalog.pg_attribute ORDER BY attrelid, attnum",
    "SELECT * FROM pg_catalog.pg_stats",
    "SELECT * FROM pg_catalog.pg_statistic",
    "SELECT * FROM pg_catalog.pg_stat_user_tables",
    "SELECT * FROM pg_catalog.pg_index",
    "SELECT * FROM pg_catalog.pg_constraint",
    "SELECT * FROM information_schema.columns",
    "SELECT pg_relation_size(oid), pg_total_relation_size(oid) FROM pg_catalog.pg_class WHERE relname LIKE 'm_%'",
];

fn policy() -> String {
    let mut policy = String::new();
    for catalog in ["pg", "lake"] {
        for rule in RULES {
            writeln!(policy, "p, role:analyst, *, {}", rule.replace('@', catalog)).unwrap();
        }
    }
    policy
}

/// Two sets of tables, as databases and as files.
struct Ground {
    cluster: Cluster,
    files: tempfile::TempDir,
    tables: Vec<String>,
}

const DATABASES: [&str; 2] = ["machine", "other"];

impl Ground {
    async fn prepare() -> Self {
        let cluster = Cluster::start();
        cluster.load("postgres", &tests_folder("differential/tables.sql"));
        let owner = cluster.connect("postgres").await;
        owner.batch_execute("CREATE DATABASE other TEMPLATE machine").await.unwrap();
        cluster.load("other", &tests_folder("differential/worlds.sql"));
        let files = tempfile::Builder::new().prefix("weir-worlds").tempdir().unwrap();
        let mut names = Vec::new();
        for database in DATABASES {
            let source = cluster.connect(database).await;
            let root = files.path().join(database);
            fs::create_dir(&root).unwrap();
            tables::write_files(&source, &root).await;
            names = tables::names(&source).await;
        }
        Self { cluster, files, tables: names }
    }
}

/// Two weirs of which the analyst must not be able to tell one from the other.
struct Worlds<'a> {
    weirs: [Weir; 2],
    ground: &'a Ground,
}

impl<'a> Worlds<'a> {
    fn open(ground: &'a Ground, change: impl Fn(WeirBuilder) -> WeirBuilder) -> Self {
        let weirs = DATABASES.map(|database| {
            let root = ground.files.path().join(database);
            let builder = catalogs(WeirBuilder::new(), ground.cluster.port, database, &root)
                // Which of several rows fails first is a matter of chance otherwise.
                .limit("worker_threads", "1")
                .policy(&policy())
                .user(ANALYST);
            change(builder).start()
        });
        Self { weirs, ground }
    }

    async fn observer(&self) -> Observer<'_> {
        let [one, two] = &self.weirs;
        let connections =
            [connections(one, ANALYST.name).await, connections(two, ANALYST.name).await];
        Observer { worlds: self, connections }
    }
}

/// What a client hears: the columns or the error, and the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heard {
    head: String,
    rows: Vec<String>,
}

/// What comes of asking both.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Observed {
    Same {
        is_error: bool,
    },
    /// Plans that differ from one time to the next, and do so in each world.
    Varied,
    /// The same rows in another order, of which the query says nothing.
    Reordered,
    /// A statement took too long.
    Void,
    Different(String),
}

/// Somebody who asks both worlds.
struct Observer<'a> {
    worlds: &'a Worlds<'a>,
    connections: [Vec<(Mode, Connection)>; 2],
}

impl Observer<'_> {
    async fn hear(&self, world: usize, mode: Mode, sql: &str) -> Heard {
        let found = self.connections[world].iter().find(|(known, _)| *known == mode);
        let connection = &found.unwrap().1;
        let sql = match mode {
            Mode::Mixed => mix(sql, &self.worlds.ground.tables),
            Mode::Auto | Mode::Off | Mode::Always | Mode::Files => sql.to_owned(),
        };
        // The folders of the files have two names.
        let root = self.worlds.ground.files.path().join(DATABASES[world]);
        let root = root.to_str().unwrap().trim_start_matches('/');
        match connection.client.simple_query(&sql).await {
            Ok(messages) => {
                let mut head = String::new();
                for message in &messages {
                    match message {
                        SimpleQueryMessage::RowDescription(columns) => {
                            let names: Vec<_> =
                                columns.iter().map(|column| column.name()).collect();
                            writeln!(head, "{names:?}").unwrap();
                        }
                        SimpleQueryMessage::CommandComplete(count) => {
                            writeln!(head, "{count} rows").unwrap();
                        }
                        _ => {}
                    }
                }
                let rows = rows(&messages);
                let rows = rows.iter().map(|row| row.join("|").replace(root, "@")).collect();
                Heard { head, rows }
            }
            Err(error) => {
                let position = error.as_db_error().and_then(|error| error.position().cloned());
                Heard { head: format!("{} at {position:?}", told(&error)), rows: Vec::new() }
            }
        }
    }

    async fn observe(&self, mode: Mode, sql: &str) -> Observed {
        let (one, two) = (self.hear(0, mode, sql).await, self.hear(1, mode, sql).await);
        if one == two {
            return Observed::Same { is_error: !one.head.starts_with('[') };
        }
        if [&one, &two].iter().any(|heard| heard.head.starts_with("57014")) {
            return Observed::Void;
        }
        let sorted = |heard: &Heard| {
            let mut rows = heard.rows.clone();
            rows.sort();
            (heard.head.clone(), rows)
        };
        if !sql.starts_with("EXPLAIN") && sorted(&one) == sorted(&two) {
            return Observed::Reordered;
        }
        if sql.starts_with("EXPLAIN") && self.varies(mode, sql, &one, &two).await {
            return Observed::Varied;
        }
        let place = one.rows.iter().zip(&two.rows).position(|(one, two)| one != two);
        let place = place.unwrap_or(one.rows.len().min(two.rows.len()));
        let shown = |heard: &Heard| {
            format!(
                "{} {:?}",
                heard.head.trim_end(),
                heard.rows.get(place).map_or("", String::as_str)
            )
        };
        Observed::Different(format!("\n    {}\n    {}", shown(&one), shown(&two)))
    }

    /// Whether the planner is of two minds: each world shows both plans, sooner or later.
    async fn varies(&self, mode: Mode, sql: &str, one: &Heard, two: &Heard) -> bool {
        let mut is_shown = [false, false];
        for _ in 0..TRIES {
            is_shown[0] |= self.hear(0, mode, sql).await == *two;
            is_shown[1] |= self.hear(1, mode, sql).await == *one;
            if is_shown == [true, true] {
                return true;
            }
        }
        false
    }

    async fn shrink(&self, mode: Mode, sql: &str) -> String {
        let (explain, query) = match sql.strip_prefix("EXPLAIN ") {
            Some(query) => ("EXPLAIN ", query),
            None => ("", sql),
        };
        let is_different = async |sql: &str| {
            let observed = self.observe(mode, &format!("{explain}{sql}")).await;
            matches!(observed, Observed::Different(_))
        };
        explain.to_owned() + &shrink::shrink(query, is_different).await
    }
}

#[derive(Default)]
struct Observations {
    counts: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

/// The query of a place, in the modes of that place: one of them, so that it does not take too long,
/// where nobody asks for a seed.
fn question(place: u64) -> (String, Vec<Mode>) {
    let written = WRITTEN.len() as u64;
    if place < written {
        return (WRITTEN[usize::try_from(place).unwrap()].to_owned(), MODES.to_vec());
    }
    let manner = Manner { hidden: HIDDEN, is_daring: true };
    let (seed, first) = (number("SEED"), number("FIRST").unwrap_or(0));
    let modes = match seed {
        Some(_) => two_modes(place),
        None => vec![MODES[usize::try_from(place).unwrap() % MODES.len()]],
    };
    (query_in(manner, seed.unwrap_or(SEED), first + place - written), modes)
}

/// Plans are asked for so often, to see whether they vary by themselves.
const TRIES: usize = 30;

/// How many small stories of differences are told.
const TOLD: usize = 10;

async fn watch(worlds: &Worlds<'_>, count: u64) -> Observations {
    let (next, seen) = (AtomicU64::new(0), Mutex::new(Observations::default()));
    let mut observers = Vec::new();
    for _ in 0..WORKERS {
        observers.push(worlds.observer().await);
    }
    let started = Instant::now();
    let workers = observers.iter().map(async |observer| {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return;
            }
            let (sql, modes) = question(place);
            for mode in modes {
                // The plan of half of them.
                let explained = format!("EXPLAIN {sql}");
                let asked =
                    if place.is_multiple_of(2) { vec![&sql, &explained] } else { vec![&sql] };
                for sql in asked {
                    let observed = observer.observe(mode, sql).await;
                    let kind = match &observed {
                        Observed::Same { is_error: false } => "answers",
                        Observed::Same { is_error: true } => "errors",
                        Observed::Varied => "varied",
                        Observed::Reordered => "reordered",
                        Observed::Void => "void",
                        Observed::Different(_) => "different",
                    };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        *seen.counts.entry(kind).or_default() += 1;
                        seen.differences.len()
                    };
                    let Observed::Different(story) = observed else { continue };
                    let small = match number < TOLD {
                        true => observer.shrink(mode, sql).await,
                        false => sql.clone(),
                    };
                    eprintln!("{place} {mode:?}: {small}{story}");
                    let difference = format!("-- {place} {mode:?}\n{small}{story}");
                    seen.lock().unwrap().differences.push(difference);
                }
            }
        }
    });
    futures::future::join_all(workers).await;
    let seen = seen.into_inner().unwrap();
    eprintln!("two worlds, {count} queries: {:?} in {:?}", seen.counts, started.elapsed());
    if let Some(path) = variable("REPORT") {
        let path = format!("{path}.worlds");
        fs::write(&path, seen.differences.join("\n\n")).unwrap();
        eprintln!("the report is in {path}");
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_queries_see_one_world() {
    let ground = Ground::prepare().await;
    let worlds = Worlds::open(&ground, |builder| builder);
    if let Some(sql) = variable("SQL") {
        let observer = worlds.observer().await;
        for mode in MODES {
            eprintln!("{mode:?}: {:?}", observer.observe(*mode, &sql).await);
            eprintln!(
                "{:?}\n{:?}",
                observer.hear(0, *mode, &sql).await,
                observer.hear(1, *mode, &sql).await
            );
        }
        return;
    }
    let count = WRITTEN.len() as u64 + number("QUERIES").unwrap_or(QUERIES);
    let Observations { counts, differences } = watch(&worlds, count).await;
    assert!(differences.is_empty(), "{counts:?}\n{}", differences.join("\n\n"));
    let count = |kind| counts.get(kind).copied().unwrap_or_default();
    // Most are answered; some fail for a value that may be seen.
    assert!(count("answers") > 2 * count("errors") && count("errors") > 0, "{counts:?}");
    assert!(50 * count("void") <= count("answers"), "{counts:?}");
    assert!(10 * (count("reordered") + count("varied")) <= count("answers"), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_queries_see_a_copy() {
    let machine = Arc::new(Machine::start_for(view(), |builder| builder).await);
    let (seed, first) = (number("SEED"), number("FIRST").unwrap_or(0));
    let question = |place: u64| {
        let (seed, number, modes) = match seed {
            Some(seed) => (seed, first + place, MODES.to_vec()),
            None => (SEED, place, two_modes(place)),
        };
        let name = format!("seed {seed}, query {number}");
        Question { name, sql: permitted(seed, number), modes, known: Known::Same }
    };
    run(&machine, question, number("QUERIES").unwrap_or(QUERIES)).await.check();
}

fn view() -> View {
    View { user: ANALYST, policy: policy(), copy: COPY }
}

/// A query that names nothing hidden.
fn permitted(seed: u64, number: u64) -> String {
    query_in(Manner { hidden: HIDDEN, is_daring: false }, seed, number)
}

/// The holes that `src/policy/fault.rs` can open, one at a time: the two worlds differ.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_worlds_show_deliberate_holes() {
    let ground = Ground::prepare().await;
    for fault in ["OpenBarrier", "LostMask", "HiddenStatistics"] {
        let worlds =
            Worlds::open(&ground, |builder| builder.variable("WEIR_TEST_FAULT", fault).leaky());
        let observer = worlds.observer().await;
        let mut found = None;
        let written = WRITTEN.len() as u64;
        for place in written..written + ATTEMPTS {
            let (sql, _) = question(place);
            for sql in [sql.clone(), format!("EXPLAIN {sql}")] {
                if let Observed::Different(story) = observer.observe(Mode::Auto, &sql).await {
                    found = found.or(Some(format!("{place}: {sql}{story}")));
                }
            }
            if found.is_some() {
                break;
            }
        }
        assert!(found.is_some(), "{fault} is not found");
        eprintln!("{fault} is found by query {}", found.unwrap_or_default());
    }
}

/// So does the copy, of rows and values.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_shows_deliberate_holes() {
    use super::Verdict;
    let sound = Arc::new(Machine::start_for(view(), |builder| builder).await).runner().await;
    for fault in ["OpenBarrier", "LostMask"] {
        let change = |builder: WeirBuilder| builder.variable("WEIR_TEST_FAULT", fault).leaky();
        let runner = Arc::new(Machine::start_for(view(), change).await).runner().await;
        let mut found = None;
        for number in 0..ATTEMPTS {
            let sql = permitted(SEED, number);
            if let Verdict::Different(story) = runner.judge_in(Mode::Auto, &sql).await
                && sound.judge_in(Mode::Auto, &sql).await == Verdict::Same
            {
                found = Some(format!("{number}: {story}"));
                break;
            }
        }
        assert!(found.is_some(), "{fault} is not found");
        eprintln!("{fault} is found by query {}", found.unwrap_or_default());
    }
}
