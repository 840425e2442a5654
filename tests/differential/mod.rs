//! The differential tests: the same query, asked of weir in every mode and of PostgreSQL itself,
//! has one answer.
//!
//! The modes are `SET weir.pushdown = auto`, `off` and `always` over PostgreSQL, Parquet files with
//! the same rows, and a mix of both in one query. Pushdown can't be judged by its absence alone,
//! because the engine has faults of its own: the oracle is PostgreSQL with the same rows, under the
//! collations and types that weir declares (`tables`).
//!
//! The queries: `corpus/*.sql` by hand, and `generate` by the thousand; a failing one is made small
//! (`shrink`). What is known to differ, or to be refused, is in `known`.
//!
//! `worlds` asks the same questions of somebody from whom a policy hides a part.
//!
//!     cargo test --test integration differential
//!     tests/differential.sh --queries 100000 --seed 7
//!     tests/differential.sh --policy --queries 100000 --seed 7
//!     tests/differential.sh --sql "SELECT max(f) FROM m_edge"

mod answer;
mod corpus;
mod generate;
mod judge;
mod known;
mod shrink;
pub mod tables;
mod worlds;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_postgres::Client;

use self::{
    answer::{Answer, ask},
    corpus::Known,
    judge::{Verdict, is_of_data, judge},
    known::REFUSALS,
};
use crate::harness::{ADMIN, Cluster, Connection, User, Weir, WeirBuilder, tests_folder};

/// Of each of these seeds, [`QUERIES`] are asked.
const SEEDS: &[u64] = &[1, 2, 3, 4];
const QUERIES: u64 = 500;

/// An answer that takes longer is told of, in case that nothing else is.
const SLOW: Duration = Duration::from_secs(20);

/// Queries that run at one time.
const WORKERS: usize = 4;

/// Failing queries that are made small: with wrong rows, and for each error. The rest are listed as
/// they are.
const SHRUNK: usize = 20;
const SHRUNK_ERRORS: usize = 2;

/// Of a hundred answers, at most so many may be refusals, and so many queries invalid or slow.
const MAX_REFUSED_PERCENT: usize = 8;
const MAX_VOID_PERCENT: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Auto,
    Off,
    Always,
    Files,
    Mixed,
}

const MODES: &[Mode] = &[Mode::Auto, Mode::Off, Mode::Always, Mode::Files, Mode::Mixed];

/// Who asks, and what of the tables is there for them.
struct View {
    user: User,
    policy: String,
    /// Takes away from the oracle's tables what the policy hides.
    copy: &'static str,
}

impl View {
    fn whole() -> Self {
        let policy = "p, role:admin, *, *, select, , allow\n\
                      p, role:admin, *, *, explain_remote, , allow\n";
        Self { user: ADMIN, policy: policy.to_owned(), copy: "" }
    }
}

/// PostgreSQL with the tables, and a weir before it and before copies of them.
struct Machine {
    weir: Weir,
    cluster: Cluster,
    tables: Vec<String>,
    user: User,
}

impl Machine {
    async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    async fn start_with(change: impl FnOnce(WeirBuilder) -> WeirBuilder) -> Self {
        Self::start_for(View::whole(), change).await
    }

    async fn start_for(view: View, change: impl FnOnce(WeirBuilder) -> WeirBuilder) -> Self {
        let cluster = Cluster::start();
        cluster.load("postgres", &tests_folder("differential/tables.sql"));
        let source = cluster.connect("machine").await;
        let builder = WeirBuilder::new();
        let root = builder.folder().join("lake");
        fs::create_dir(&root).unwrap();
        tables::write_files(&source, &root).await;
        tables::make_oracle(&source).await;
        source.batch_execute(view.copy).await.unwrap();
        let tables = tables::names(&source).await;
        let builder = catalogs(change(builder), cluster.port, "machine", &root);
        let weir = builder.policy(&view.policy).user(view.user).start();
        Self { weir, cluster, tables, user: view.user }
    }

    async fn runner(self: &Arc<Self>) -> Runner {
        let oracle = self.cluster.connect("machine").await;
        oracle
            .batch_execute("SET search_path = oracle; SET statement_timeout = '10s'")
            .await
            .unwrap();
        let modes = connections(&self.weir, self.user.name).await;
        Runner { machine: self.clone(), oracle, modes }
    }
}

/// A database with the tables, and the folder of their files.
fn catalogs(builder: WeirBuilder, port: u16, database: &str, root: &Path) -> WeirBuilder {
    let catalog = format!(
        "source = \"postgres\"\nurl = \"postgres://owner@127.0.0.1:{port}/{database}\"\n\
         schemas = [\"public\"]\n"
    );
    builder
        .catalog("pg", &catalog)
        .catalog("lake", &format!("source = \"local\"\nroot = \"{}\"\n", root.display()))
        .limit("planning_timeout", "\"120s\"")
}

async fn connections(weir: &Weir, user: &str) -> Vec<(Mode, Connection)> {
    let mut modes = Vec::new();
    for mode in MODES {
        let database = match mode {
            Mode::Auto | Mode::Off | Mode::Always => "pg",
            Mode::Files => "lake",
            Mode::Mixed => "weir",
        };
        let connection = weir.connect_to(user, database).await;
        let pushdown = match mode {
            Mode::Auto | Mode::Files | Mode::Mixed => "auto",
            Mode::Off => "off",
            Mode::Always => "always",
        };
        connection.rows(&format!("SET weir.pushdown = {pushdown}")).await.unwrap();
        connection.rows("SET statement_timeout = '60s'").await.unwrap();
        modes.push((*mode, connection));
    }
    modes
}

/// One connection to everybody who is asked.
struct Runner {
    machine: Arc<Machine>,
    oracle: Client,
    modes: Vec<(Mode, Connection)>,
}

impl Runner {
    fn connection(&self, mode: Mode) -> &Connection {
        let found = self.modes.iter().find(|(known, _)| *known == mode);
        &found.unwrap_or_else(|| panic!("no {mode:?}")).1
    }

    async fn ask(&self, mode: Mode, sql: &str) -> Answer {
        match mode {
            Mode::Mixed => ask(self.connection(mode), &mix(sql, &self.machine.tables)).await,
            Mode::Auto | Mode::Off | Mode::Always | Mode::Files => {
                ask(self.connection(mode), sql).await
            }
        }
    }

    /// The verdict of each mode; one when the query shows nothing.
    async fn judge(&self, sql: &str, modes: &[Mode]) -> Vec<(Mode, Verdict)> {
        let expected = ask(&self.oracle, sql).await;
        let mut verdicts = Vec::new();
        for mode in modes {
            if let Answer::Error(code, _) = &expected
                && !is_of_data(code)
            {
                return vec![(*mode, judge(sql, &expected, &expected))];
            }
            let asked = Instant::now();
            let found = self.ask(*mode, sql).await;
            if asked.elapsed() > SLOW {
                eprintln!("{mode:?} took {:?}: {sql}", asked.elapsed());
            }
            verdicts.push((*mode, judge(sql, &expected, &found)));
        }
        verdicts
    }

    async fn judge_in(&self, mode: Mode, sql: &str) -> Verdict {
        let expected = ask(&self.oracle, sql).await;
        if matches!(&expected, Answer::Error(code, _) if !is_of_data(code)) {
            return judge(sql, &expected, &expected);
        }
        judge(sql, &expected, &self.ask(mode, sql).await)
    }

    async fn shrink(&self, mode: Mode, sql: &str, verdict: &Verdict) -> String {
        let kind = verdict.kind();
        shrink::shrink(sql, async |sql: &str| self.judge_in(mode, sql).await.kind() == kind).await
    }

    /// What a human needs to see of a failure.
    async fn story(&self, mode: Mode, sql: &str) -> String {
        let mut story = String::new();
        let shown = |answer: &Answer| match answer {
            Answer::Error(_, told) => told.replace('\n', " "),
            Answer::Rows(rows) => {
                let row = |row: &Vec<answer::Value>| {
                    row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                };
                let few: Vec<_> = rows.rows.iter().take(8).map(row).collect();
                format!("{} rows: {}", rows.rows.len(), few.join(" | "))
            }
        };
        writeln!(story, "  PostgreSQL: {}", shown(&ask(&self.oracle, sql).await)).unwrap();
        writeln!(story, "  weir {mode:?}: {}", shown(&self.ask(mode, sql).await)).unwrap();
        let explained = match mode {
            Mode::Mixed => mix(sql, &self.machine.tables),
            Mode::Auto | Mode::Off | Mode::Always | Mode::Files => sql.to_owned(),
        };
        let plan = self.connection(mode).rows(&format!("EXPLAIN {explained}")).await;
        for line in plan.unwrap_or_default().concat().join("\n").lines() {
            writeln!(story, "    {line}").unwrap();
        }
        story
    }
}

/// Names half of the tables as those of PostgreSQL, the other half as files.
fn mix(sql: &str, tables: &[String]) -> String {
    let mut mixed = String::new();
    let mut count = sql.len();
    let mut is_quoted = false;
    let mut before = String::new();
    let mut word = String::new();
    for character in sql.chars().chain([' ']) {
        if character == '_' || character.is_alphanumeric() {
            word.push(character);
            continue;
        }
        let opens = ["FROM", "JOIN", ","].contains(&before.to_uppercase().as_str());
        if !is_quoted && opens && character != '.' && tables.contains(&word) {
            count += 1;
            mixed.push_str(if count.is_multiple_of(2) { "pg.public." } else { "lake.public." });
        }
        mixed.push_str(&word);
        mixed.push(character);
        if !word.is_empty() {
            before = std::mem::take(&mut word);
        }
        if !character.is_whitespace() {
            before = character.to_string();
        }
        is_quoted ^= character == '\'';
    }
    mixed.pop();
    mixed
}

#[test]
fn tables_are_mixed() {
    let tables = ["part".to_owned(), "m_a".to_owned()];
    for (sql, expected) in [
        ("SELECT part FROM m_a", "SELECT part FROM lake.public.m_a"),
        (
            "SELECT m_a.x, 'FROM m_a' FROM m_a JOIN part p ON true, m_a b",
            "SELECT m_a.x, 'FROM m_a' FROM lake.public.m_a JOIN pg.public.part p ON true, lake.public.m_a b",
        ),
    ] {
        let names = |sql: &str| sql.replace("lake.public.", "@").replace("pg.public.", "@");
        assert_eq!(names(&mix(sql, &tables)), names(expected));
        let count = |sql: &str, name| sql.matches(name).count();
        let (files, remote) =
            (count(&mix(sql, &tables), "lake."), count(&mix(sql, &tables), "pg."));
        assert!(files.abs_diff(remote) <= 1, "{sql}");
    }
}

/// What came of many queries.
#[derive(Default)]
struct Tally {
    /// What a mark of the corpus says.
    known: usize,
    queries: usize,
    answers: usize,
    void: BTreeMap<String, usize>,
    both_fail: usize,
    /// By their place among those that are known: how many, and the shortest query of them.
    refused: BTreeMap<usize, (usize, String)>,
    failures: Vec<Failure>,
}

struct Failure {
    name: String,
    mode: Mode,
    sql: String,
    small: String,
    verdict: Verdict,
    story: String,
}

impl Tally {
    fn text(&self) -> String {
        let mut text = format!(
            "{} queries, {} answers compared; {} errors of the data on both sides; \
             {} known by their marks; {} differences\n",
            self.queries,
            self.answers,
            self.both_fail,
            self.known,
            self.failures.len()
        );
        for (place, (count, sql)) in &self.refused {
            let known = &REFUSALS[*place];
            writeln!(text, "refused {count}: {} {} ({})", known.code, known.told, known.reason)
                .unwrap();
            writeln!(text, "  such as {sql}").unwrap();
        }
        for (story, count) in &self.void {
            writeln!(text, "void {count}: {story}").unwrap();
        }
        text
    }

    fn failures(&self) -> String {
        let mut text = String::new();
        for failure in &self.failures {
            let Failure { name, mode, sql, small, verdict, story } = failure;
            writeln!(text, "-- {name}, {mode:?}: {verdict:?}\n{small};").unwrap();
            if !story.is_empty() {
                writeln!(text, "{story}  made of: {sql}\n").unwrap();
            }
        }
        text
    }

    fn check(&self) {
        assert!(self.failures.is_empty(), "{}{}", self.text(), self.failures());
        let refused: usize = self.refused.values().map(|(count, _)| count).sum();
        assert!(refused * 100 <= self.answers * MAX_REFUSED_PERCENT, "{}", self.text());
        let void: usize = self.void.values().sum();
        assert!(void * 100 <= self.queries * MAX_VOID_PERCENT, "{}", self.text());
    }
}

/// What is asked, and of whom.
struct Question {
    name: String,
    sql: String,
    modes: Vec<Mode>,
    known: Known,
}

/// Asks every question, several at a time.
async fn run(machine: &Arc<Machine>, question: impl Fn(u64) -> Question, count: u64) -> Tally {
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    let started = Instant::now();
    let mut runners = Vec::new();
    for _ in 0..WORKERS {
        runners.push(machine.runner().await);
    }
    let workers = runners.iter().map(async |runner| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            if number > 0 && number.is_multiple_of(500) {
                let found = tally.lock().unwrap().failures.len();
                eprintln!("{number} of {count}, {found} differences, {:?}", started.elapsed());
            }
            let question = question(number);
            let verdicts = runner.judge(&question.sql, &question.modes).await;
            record(runner, &tally, &question, verdicts).await;
        }
    });
    futures::future::join_all(workers).await;
    let mut tally = tally.into_inner().unwrap();
    tally.failures.sort_by(|a, b| (a.small.len(), &a.small).cmp(&(b.small.len(), &b.small)));
    eprintln!("{}in {:?}", tally.text(), started.elapsed());
    if let Some(path) = variable("REPORT") {
        fs::write(&path, format!("{}\n{}", tally.text(), tally.failures())).unwrap();
        eprintln!("the report is in {path}");
    }
    tally
}

async fn record(
    runner: &Runner,
    tally: &Mutex<Tally>,
    question: &Question,
    mut verdicts: Vec<(Mode, Verdict)>,
) {
    let Question { name, sql, known, .. } = question;
    expect(known, &mut verdicts);
    let mut failed = None;
    let is_shrunk = {
        let mut tally = tally.lock().unwrap();
        tally.queries += 1;
        for (mode, verdict) in verdicts {
            tally.answers += 1;
            match verdict {
                Verdict::Same => {}
                Verdict::BothFail => tally.both_fail += 1,
                Verdict::Refused(place) => {
                    let (count, shortest) = tally.refused.entry(place).or_default();
                    *count += 1;
                    if shortest.is_empty() || sql.len() < shortest.len() {
                        shortest.clone_from(sql);
                    }
                }
                Verdict::Void(story) => *tally.void.entry(story).or_default() += 1,
                Verdict::Known => tally.known += 1,
                Verdict::Different(_) => failed = failed.or(Some((mode, verdict))),
            }
        }
        let kind = failed.as_ref().map(|(_, verdict)| verdict.kind());
        let alike = tally.failures.iter().filter(|other| Some(other.verdict.kind()) == kind);
        let has_rows = kind.as_ref().is_some_and(|kind| kind.starts_with("rows"));
        alike.count() < if has_rows { SHRUNK } else { SHRUNK_ERRORS }
    };
    let Some((mode, verdict)) = failed else { return };
    let (name, sql) = (name.clone(), sql.clone());
    let mut failure =
        Failure { name, mode, small: sql.clone(), sql, verdict, story: String::new() };
    if is_shrunk && *known == Known::Same {
        failure.small = runner.shrink(mode, &failure.sql, &failure.verdict).await;
        failure.story = runner.story(mode, &failure.small).await;
    }
    eprintln!("{}, {mode:?}: {}\n  {:?}", failure.name, failure.small, failure.verdict);
    tally.lock().unwrap().failures.push(failure);
}

/// Turns what is written of a query into the expected, and its absence into a failure.
fn expect(known: &Known, verdicts: &mut [(Mode, Verdict)]) {
    let is_expected = |verdict: &Verdict| match (known, verdict) {
        (Known::Same, _) => false,
        (Known::Refused(code), Verdict::Different(story)) => story.starts_with(code),
        (Known::Refused(code), Verdict::Refused(place)) => REFUSALS[*place].code == code,
        (Known::Different, Verdict::Different(_)) => true,
        (Known::Refused(_) | Known::Different, _) => false,
    };
    let mut is_met = *known == Known::Same;
    for (_, verdict) in &mut *verdicts {
        if is_expected(verdict) {
            *verdict = Verdict::Known;
            is_met = true;
        }
    }
    if let (false, Some((_, verdict))) = (is_met, verdicts.first_mut()) {
        *verdict = Verdict::Different(format!("mended, delete the mark {known:?}: {verdict:?}"));
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(format!("WEIR_DIFFERENTIAL_{name}")).ok()
}

fn number(name: &str) -> Option<u64> {
    variable(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

/// Random queries. Each is asked in two modes, so that it does not take too long;
/// `tests/differential.sh` asks for another number, in every mode, or for a query of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_queries() {
    let machine = Arc::new(Machine::start().await);
    if let Some(sql) = variable("SQL") {
        let runner = machine.runner().await;
        for (mode, verdict) in runner.judge(&sql, MODES).await {
            eprintln!("{mode:?}: {verdict:?}\n{}", runner.story(mode, &sql).await);
        }
        return;
    }
    let (seed, first) = (number("SEED"), number("FIRST").unwrap_or(0));
    let count = number("QUERIES").unwrap_or(QUERIES * SEEDS.len() as u64);
    let question = |place: u64| {
        let (seed, number, modes) = match seed {
            Some(seed) => (seed, first + place, MODES.to_vec()),
            None => {
                let seed = SEEDS[usize::try_from(place / QUERIES).unwrap() % SEEDS.len()];
                (seed, place % QUERIES, two_modes(place))
            }
        };
        let name = format!("seed {seed}, query {number}");
        Question { name, sql: generate::query(seed, number), modes, known: Known::Same }
    };
    run(&machine, question, count).await.check();
}

/// One that pushes to PostgreSQL, and one of the others.
fn two_modes(place: u64) -> Vec<Mode> {
    let pushing = if place.is_multiple_of(2) { Mode::Auto } else { Mode::Always };
    let other = match place % 3 {
        0 => Mode::Off,
        1 => Mode::Files,
        _ => Mode::Mixed,
    };
    vec![pushing, other]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn written_queries() {
    ask_written("corpus").await;
}

async fn ask_written(folder: &str) {
    let machine = Arc::new(Machine::start().await);
    let written = corpus::read(folder);
    let question = |place: u64| {
        let written = written[usize::try_from(place).unwrap()].clone();
        let corpus::Written { name, sql, known } = written;
        Question { name, sql, modes: MODES.to_vec(), known }
    };
    let tally = run(&machine, question, written.len() as u64).await;
    assert!(tally.void.is_empty(), "{}", tally.text());
    tally.check();
}

/// Over tables of thousands of rows, where statistics and the order of joins matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpch_queries() {
    assert_eq!(corpus::read("tpch").len(), 22);
    ask_written("tpch").await;
}

/// The rules of pushdown that `catalogs/sql/fault.rs` can break, one at a time: the random queries
/// find each.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliberate_faults_are_found() {
    let sound = Arc::new(Machine::start().await).runner().await;
    for fault in ["Collation", "CaseInsensitive", "LostBranch"] {
        let change = |builder: WeirBuilder| builder.variable("WEIR_TEST_FAULT", fault);
        let machine = Arc::new(Machine::start_with(change).await);
        let runner = machine.runner().await;
        let mut found = None;
        for number in 0..QUERIES {
            let sql = generate::query(SEEDS[0], number);
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
