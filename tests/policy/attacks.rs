//! The attacks of `attacks.jsonl`, at every door, over tables in PostgreSQL and over files with the
//! same rows.
//!
//! Each value that a user may not see holds a canary. Taps before the doors hear every byte of an
//! answer; after the attacks the logs of weir and of PostgreSQL, the metrics and everything that weir
//! wrote are searched as well. No canary, ever: not for a case that `needs` what weir does not know
//! yet either. Such a case is tried, and when what it expects comes true its mark must go.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use arrow_flight::{error::FlightError, sql::client::FlightSqlServiceClient};
use futures::TryStreamExt;
use serde::Deserialize;
use tokio_postgres::{
    SimpleQueryMessage,
    types::{ToSql, Type},
};
use tonic::{Status, transport::Channel};

use crate::{
    differential::tables,
    harness::{
        Cluster, Connection, User, Weir, WeirBuilder, clients::told, code, feed, files, repository,
        rows, slt, tap::Tap, tests_folder, weir,
    },
};

/// What weir does not know yet. Whoever teaches it deletes the word here, and then its cases must pass.
const MISSING: &[&str] = &[
    "API keys",
    "ai",
    "audit log",
    "bombs of every format",
    "compiled table",
    "damaged record batches",
    "fair queue",
    "oracle",
    "rate limits",
    "sqlserver",
    "users of certificates",
    "views",
];

/// Whose canaries somebody may see, by their kind. Nobody else may see any.
const MAY_SEE: &[(&str, &[&str])] = &[
    ("mia", &["us"]),
    ("root", &["us", "ssn", "staff"]),
    ("fred", &["email", "phone", "ssn"]),
    ("eve", &["globex"]),
];

const PASSWORD: &str = "pw-of-everybody-5d1c";

const fn user(name: &'static str, attributes: &'static [(&'static str, &'static str)]) -> User {
    // What a user is, the policy says; every user needs some role.
    User { name, password: PASSWORD, role: "member", attributes }
}

const EU: &[(&str, &str)] = &[("regions", "EU")];

/// Each with its tenant.
const USERS: &[(&str, User)] = &[
    ("acme", user("alice", EU)),
    ("acme", user("mia", EU)),
    ("acme", user("bob", &[])),
    ("acme", user("fred", &[])),
    ("acme", user("root", &[])),
    ("globex", user("eve", EU)),
    ("acme", user("nofilter", EU)),
    ("acme", user("regionless", &[])),
    ("acme", user("hostile", &[("regions", "EU') OR ('1'='1")])),
    ("acme", user("chatbot", &[])),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    about: String,
    /// Who asks.
    #[serde(default, rename = "as")]
    user: String,
    /// `postgres`, `flight`; none is both.
    #[serde(default)]
    doors: Vec<String>,
    /// `postgres`, `files`; none is both.
    #[serde(default)]
    places: Vec<String>,
    /// A word of [`MISSING`], or one that was there once.
    needs: Option<String>,
    /// Tests of the suite that try the rest of this attack, or all of it.
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    ask: Vec<Ask>,
}

/// What is tried, and what must come of each. An answer is right when its rows are, a refusal when
/// its code is among those named. Where nothing is named, either is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[serde(rename = "as")]
    user: Option<String>,
    #[serde(default)]
    sql: Vec<String>,
    /// Parameters, as texts.
    #[serde(default)]
    values: Vec<String>,
    /// Names that try to log in.
    #[serde(default)]
    login: Vec<String>,
    /// Lines of a policy, each of which must be refused.
    #[serde(default)]
    policy: Vec<String>,
    /// In any order.
    rows: Option<Vec<Vec<String>>>,
    count: Option<usize>,
    /// SQLSTATEs between bars.
    code: Option<String>,
    columns: Option<Vec<String>>,
    /// Words that no answer and no refusal holds.
    #[serde(default)]
    lacks: Vec<String>,
    /// A hidden name and one that never was: what is told differs in the name alone.
    missing: Option<[String; 2]>,
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(tests_folder("policy/attacks.jsonl")).unwrap();
    let case = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(case).collect()
}

/// Each line of the policy; `#needs X:` stands before a line for later, `#until X:` before its
/// forerunner.
fn policy() -> String {
    let text = fs::read_to_string(tests_folder("policy/attacks.csv")).unwrap();
    let line = |line: &str| match marked(line) {
        Some((mark, word, rule)) => {
            ((mark == "needs") != MISSING.contains(&word)).then(|| rule.to_owned())
        }
        None => Some(line.to_owned()),
    };
    text.lines().filter_map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn marked(line: &str) -> Option<(&str, &str, &str)> {
    let (mark, rule) = line.strip_prefix('#')?.split_once(": ")?;
    let (mark, word) = mark.split_once(' ')?;
    ["needs", "until"].contains(&mark).then_some((mark, word, rule))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Postgres,
    Files,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Door {
    Simple,
    Extended,
    Flight,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Files => "files",
        }
    }
}

impl Door {
    fn name(self) -> &'static str {
        match self {
            Self::Simple | Self::Extended => "postgres",
            Self::Flight => "flight",
        }
    }
}

/// The shop in one place, and a weir before it.
struct Shop {
    // Before the cluster, so that it ends first.
    weir: Weir,
    cluster: Cluster,
    place: Place,
    /// Where PostgreSQL's log ended when the shop was ready.
    mark: usize,
    _files: tempfile::TempDir,
}

impl Shop {
    async fn open(place: Place, change: impl FnOnce(WeirBuilder) -> WeirBuilder) -> Self {
        let cluster = Cluster::start();
        cluster.load("postgres", &tests_folder("policy/attacks.sql"));
        let folder = tempfile::Builder::new().prefix("weir-shop").tempdir().unwrap();
        let mut builder = WeirBuilder::new();
        for (name, database) in [("shop", "acme_shop"), ("hr", "acme_hr")] {
            let catalog = match place {
                Place::Postgres => format!(
                    "source = \"postgres\"\nurl = \"postgres://owner@127.0.0.1:{}/{database}\"\n",
                    cluster.port
                ),
                Place::Files => {
                    let root = folder.path().join(name);
                    write_files(&cluster, name, database, &root).await;
                    format!("source = \"local\"\nroot = \"{}\"\n", root.display())
                }
            };
            builder = builder.catalog(name, &catalog);
        }
        for (tenant, user) in USERS {
            builder = builder.user_of(tenant, *user);
        }
        let weir = change(builder.policy(&policy())).start();
        let mark = cluster.mark();
        Self { weir, cluster, place, mark, _files: folder }
    }

    /// What everybody but the one who asked can read: logs, metrics, files.
    fn left_behind(&self) -> Vec<String> {
        let mut found = Vec::new();
        // A statement names its principal; a join of rows that this one sees puts their keys into it.
        for line in self.cluster.log()[self.mark..].lines() {
            let asked = line.split_once("principal=").map_or("", |(_, rest)| rest);
            let user = asked.split(' ').next().unwrap_or_default();
            // What an attacker guesses is asked of the rows that this one sees.
            let guess = "= 'CANARY-us-1'";
            let kind = forbidden(user, line.replace(guess, "").as_bytes());
            let kind = kind.filter(|kind| kind != "hushed");
            found.extend(kind.map(|kind| format!("{kind} is in PostgreSQL's log: {line}")));
        }
        let mut look = |place: &str, bytes: &[u8]| {
            found.extend(canaries(bytes).iter().map(|canary| format!("{canary} is in {place}")));
        };
        let metrics = metrics(&self.weir);
        look("the metrics", metrics.as_bytes());
        for path in files(self.weir.folder()) {
            // Some are gone by now.
            look(&path.display().to_string(), &fs::read(&path).unwrap_or_default());
        }
        for name in ["orders", "customers", "globex", "alice"] {
            if metrics.contains(name) {
                found.push(format!("{name} is in the metrics"));
            }
        }
        found
    }
}

async fn write_files(cluster: &Cluster, name: &str, database: &str, root: &std::path::Path) {
    let schema = match name {
        "hr" => "dbo",
        _ => "public",
    };
    let (source, folder) = (cluster.connect(database).await, root.join(schema));
    fs::create_dir_all(&folder).unwrap();
    tables::write_schema(&source, schema, &folder).await;
}

fn metrics(weir: &Weir) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", weir.http)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What holds no value of a permitted row, whoever reads it.
fn canaries(bytes: &[u8]) -> BTreeSet<String> {
    kinds(bytes).into_iter().filter(|kind| kind != "hushed").collect()
}

/// The kinds of the canaries in `bytes`, however they are written.
fn kinds(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let mut found = BTreeSet::new();
    for (at, word) in text.match_indices("canary-") {
        let kind = text[at + word.len()..].chars().take_while(char::is_ascii_lowercase);
        found.insert(kind.collect());
    }
    if text.contains("hushed-") {
        found.insert("hushed".to_owned());
    }
    found
}

/// A canary that `user` may not see.
fn forbidden(user: &str, bytes: &[u8]) -> Option<String> {
    let seen = MAY_SEE.iter().find(|(name, _)| *name == user).map_or(&[][..], |(_, seen)| seen);
    kinds(bytes).into_iter().find(|kind| !seen.contains(&kind.as_str()))
}

#[derive(Debug)]
enum Outcome {
    Answer { columns: Vec<String>, rows: Vec<Vec<String>> },
    Refusal { code: String, told: String },
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Self::Answer { columns, rows } => format!("{columns:?} {rows:?}"),
            Self::Refusal { told, .. } => told.clone(),
        }
    }

    fn of_postgres(error: &tokio_postgres::Error) -> Self {
        let position = error.as_db_error().and_then(|error| error.position().cloned());
        Self::Refusal { code: code(error), told: format!("{} at {position:?}", told(error)) }
    }

    fn of_flight(error: FlightError) -> Self {
        let mut status = Status::from(error);
        status.metadata_mut().remove("date");
        let code = status.metadata().get("sqlstate").and_then(|code| code.to_str().ok());
        Self::Refusal {
            code: code.unwrap_or("none").to_owned(),
            told: format!("{:?} {} {:?}", status.code(), status.message(), status.metadata()),
        }
    }
}

/// Somebody at a door, with a tap on the wire.
struct Client {
    tap: Tap,
    door: Door,
    way: Way,
}

enum Way {
    Postgres(Connection),
    Flight(FlightSqlServiceClient<Channel>),
}

impl Client {
    async fn open(shop: &Shop, door: Door, name: &str) -> Self {
        let user = shop.weir.user(name);
        let tap = Tap::start(match door {
            Door::Simple | Door::Extended => shop.weir.postgres,
            Door::Flight => shop.weir.flight,
        })
        .await;
        let way = match door {
            Door::Simple | Door::Extended => {
                let opened = Connection::open(tap.port, user, "weir").await;
                Way::Postgres(opened.unwrap_or_else(|error| panic!("{name}: {}", told(&error))))
            }
            Door::Flight => {
                let address = format!("http://127.0.0.1:{}", tap.port);
                let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
                let mut client = FlightSqlServiceClient::new(channel);
                client.handshake(user.name, user.password).await.unwrap();
                Way::Flight(client)
            }
        };
        Self { tap, door, way }
    }

    /// Whether it is as good as new: without what an attack has set.
    async fn renew(&self) -> bool {
        let Way::Postgres(connection) = &self.way else { return true };
        // Whatever is sent to the source is sent in one of the two.
        let pushdown = if self.door == Door::Simple { "auto" } else { "always" };
        let set = format!("SET weir.pushdown = {pushdown}");
        connection.rows("DISCARD ALL").await.is_ok() && connection.rows(&set).await.is_ok()
    }

    async fn ask(&mut self, sql: &str, values: &[String]) -> Outcome {
        match (&mut self.way, self.door) {
            (Way::Postgres(connection), _) if sql.starts_with("COPY") => {
                copy(connection, sql).await
            }
            (Way::Postgres(connection), Door::Simple) if values.is_empty() => {
                simple(connection, sql).await
            }
            (Way::Postgres(connection), _) => extended(connection, sql, values).await,
            (Way::Flight(client), _) => match flight(client, sql).await {
                Ok(answer) => answer,
                Err(error) => Outcome::of_flight(error),
            },
        }
    }
}

async fn simple(connection: &Connection, sql: &str) -> Outcome {
    match connection.client.simple_query(sql).await {
        Ok(messages) => {
            let described = messages.iter().find_map(|message| match message {
                SimpleQueryMessage::RowDescription(columns) => Some(columns),
                _ => None,
            });
            let columns = described.iter().flat_map(|columns| columns.iter());
            let columns = columns.map(|column| column.name().to_owned()).collect();
            Outcome::Answer { columns, rows: rows(&messages) }
        }
        Err(error) => Outcome::of_postgres(&error),
    }
}

async fn extended(connection: &Connection, sql: &str, values: &[String]) -> Outcome {
    let types = vec![Type::TEXT; values.len()];
    let statement = match connection.client.prepare_typed(sql, &types).await {
        Ok(statement) => statement,
        Err(error) => return Outcome::of_postgres(&error),
    };
    let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    let columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    match connection.client.query(&statement, &values).await {
        Ok(rows) => Outcome::Answer { columns, rows: rows.iter().map(slt::any_text).collect() },
        Err(error) => Outcome::of_postgres(&error),
    }
}

async fn copy(connection: &Connection, sql: &str) -> Outcome {
    let copied = async { connection.client.copy_out(sql).await?.try_collect::<Vec<_>>().await };
    match copied.await {
        Ok(parts) => {
            let text = String::from_utf8_lossy(&parts.concat()).into_owned();
            let rows = text.lines().map(|line| vec![line.to_owned()]).collect();
            Outcome::Answer { columns: Vec::new(), rows }
        }
        Err(error) => Outcome::of_postgres(&error),
    }
}

async fn flight(
    client: &mut FlightSqlServiceClient<Channel>,
    sql: &str,
) -> Result<Outcome, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    let schema = info.clone().try_decode_schema()?;
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let batches: Vec<RecordBatch> = client.do_get(ticket).await?.try_collect().await?;
    Ok(Outcome::Answer { columns, rows: batches.iter().flat_map(shown).collect() })
}

fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect())
        .collect()
}

impl Ask {
    /// What is wrong with an outcome.
    fn fault(&self, outcome: &Outcome) -> Option<String> {
        let text = outcome.text();
        if let Some(word) = self.lacks.iter().find(|word| text.contains(word.as_str())) {
            return Some(format!("holds {word}: {text}"));
        }
        let expects_rows = self.rows.is_some() || self.count.is_some() || self.columns.is_some();
        match outcome {
            Outcome::Refusal { code, .. } => {
                let is_right = match &self.code {
                    Some(codes) => codes.split('|').any(|known| known == code),
                    None => !expects_rows,
                };
                (!is_right).then(|| format!("is refused: {text}"))
            }
            Outcome::Answer { .. } if self.code.is_some() && !expects_rows => {
                Some(format!("is answered: {text}"))
            }
            Outcome::Answer { columns, rows } => {
                let sorted = |rows: &[Vec<String>]| {
                    let mut rows = rows.to_vec();
                    rows.sort();
                    rows
                };
                let is_right = self.columns.as_ref().is_none_or(|expected| expected == columns)
                    && self.count.is_none_or(|count| count == rows.len())
                    && self.rows.as_ref().is_none_or(|other| sorted(other) == sorted(rows));
                (!is_right).then(|| format!("answers {text}"))
            }
        }
    }
}

/// What came of a case: faults, and canaries that were heard.
#[derive(Default)]
struct Report {
    faults: Vec<String>,
    leaks: Vec<String>,
}

type Clients = BTreeMap<(Door, String), Client>;

/// Tries one case at one door.
async fn attack(shop: &Shop, clients: &mut Clients, case: &Case, door: Door) -> Report {
    let mut report = Report::default();
    let mut renewed = BTreeSet::new();
    for ask in &case.ask {
        let user = ask.user.as_deref().unwrap_or(&case.user);
        for sql in &ask.sql {
            let key = (door, user.to_owned());
            if renewed.insert(user) {
                let is_renewed = match clients.get(&key) {
                    Some(client) => client.renew().await,
                    None => false,
                };
                if !is_renewed {
                    let client = Client::open(shop, door, user).await;
                    assert!(client.renew().await, "{user} at {door:?}");
                    clients.insert(key.clone(), client);
                }
            }
            let client = clients.get_mut(&key).unwrap();
            let outcome = client.ask(sql, &ask.values).await;
            let place = format!("{} {} {door:?} {user}: {sql}", case.id, shop.place.name());
            let fault = match ask.fault(&outcome) {
                None => told_apart(client, ask, sql, &outcome).await,
                fault => fault,
            };
            report.faults.extend(fault.map(|fault| format!("{place}\n    {fault}")));
            // A ticket of Flight holds the statement.
            let heard = client.tap.take();
            let heard = String::from_utf8_lossy(&heard).replace(sql, "").into_bytes();
            for heard in [heard, outcome.text().into_bytes()] {
                if let Some(kind) = forbidden(user, &heard) {
                    report.leaks.push(format!("{place}\n    shows a canary, {kind}"));
                    break;
                }
            }
        }
        for name in &ask.login {
            let fault = login(shop, door, name, ask).await;
            report.faults.extend(fault.map(|fault| format!("{}: {fault}", case.id)));
        }
    }
    report
}

/// Whether a hidden name reads otherwise than one that never was.
async fn told_apart(client: &mut Client, ask: &Ask, sql: &str, hidden: &Outcome) -> Option<String> {
    let [name, never] = ask.missing.as_ref()?;
    let other = client.ask(&sql.replace(name, never), &ask.values).await;
    let (hidden, other) = (hidden.text().replace(name, "@"), other.text().replace(never, "@"));
    (hidden != other)
        .then(|| format!("a hidden name\n    {hidden}\n    a missing one\n    {other}"))
}

async fn login(shop: &Shop, door: Door, name: &str, ask: &Ask) -> Option<String> {
    let outcome = match door {
        Door::Simple | Door::Extended => {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(shop.weir.postgres).dbname("weir");
            config.user(name).password(PASSWORD);
            match config.connect(tokio_postgres::NoTls).await {
                Ok(_) => return Some(format!("{name:?} logs in")),
                Err(error) => Outcome::of_postgres(&error),
            }
        }
        Door::Flight => {
            let address = format!("http://127.0.0.1:{}", shop.weir.flight);
            let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
            let mut client = FlightSqlServiceClient::new(channel);
            match client.handshake(name, PASSWORD).await {
                Ok(_) => return Some(format!("{name:?} logs in")),
                // This call tells no more of a failure than its text.
                Err(_) => return None,
            }
        }
    };
    ask.fault(&outcome).map(|fault| format!("{name:?} {fault}"))
}

/// Tries every case at every door, until it `is_enough`; what is wrong, and what leaks.
async fn attack_all(shop: &Shop, is_enough: impl Fn(&Report) -> bool) -> Report {
    let mut all = Report::default();
    let mut clients = Clients::new();
    for case in cases() {
        if is_enough(&all) {
            break;
        }
        let is_here = case.places.is_empty() || case.places.iter().any(|p| p == shop.place.name());
        let is_missing = case.needs.as_ref().is_some_and(|word| MISSING.contains(&word.as_str()));
        let mut is_tried = false;
        let mut faults = Vec::new();
        for door in [Door::Simple, Door::Extended, Door::Flight] {
            let is_asked =
                case.doors.is_empty() || case.doors.iter().any(|name| name == door.name());
            if is_here && is_asked {
                is_tried |= case.ask.iter().any(|ask| ask.policy.is_empty());
                let report = attack(shop, &mut clients, &case, door).await;
                faults.extend(report.faults);
                all.leaks.extend(report.leaks);
            }
        }
        match is_missing {
            false => all.faults.extend(faults),
            true if is_tried && faults.is_empty() => all.faults.push(format!(
                "{}: {:?} is there now, delete it from MISSING",
                case.id, case.needs
            )),
            true => {}
        }
    }
    all.leaks.extend(shop.left_behind());
    all
}

async fn no_attack_succeeds(place: Place) {
    let shop = Shop::open(place, |builder| builder).await;
    let Report { faults, leaks } = attack_all(&shop, |_| false).await;
    assert!(leaks.is_empty() && faults.is_empty(), "{}\n{}", leaks.join("\n"), faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attack_on_tables_of_postgresql_succeeds() {
    no_attack_succeeds(Place::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attack_on_files_succeeds() {
    no_attack_succeeds(Place::Files).await;
}

/// The holes that `src/policy/fault.rs` can open: the attacks find each.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_find_deliberate_holes() {
    for (place, fault) in [(Place::Postgres, "OpenBarrier"), (Place::Files, "LostMask")] {
        let change = |builder: WeirBuilder| builder.variable("WEIR_TEST_FAULT", fault).leaky();
        let shop = Shop::open(place, change).await;
        let is_found = |report: &Report| !report.leaks.is_empty() && !report.faults.is_empty();
        let Report { faults, leaks } = attack_all(&shop, is_found).await;
        assert!(!leaks.is_empty(), "{fault} shows no canary");
        assert!(!faults.is_empty(), "{fault} changes no answer");
        eprintln!("{fault}: {}\n{}", leaks[0], faults[0]);
    }
}

/// A case that names a test of the suite must name one; one that tries nothing must say why.
#[test]
fn every_attack_is_tried_or_says_why_not() {
    let mut code = String::new();
    for folder in ["src", "catalogs", "udfs", "tests"] {
        for path in files(&repository().join(folder)) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut met = BTreeSet::new();
    for case in cases() {
        for name in &case.tests {
            assert!(code.contains(&format!("fn {name}(")), "{}: no test {name}", case.id);
        }
        let is_tried = !case.ask.is_empty() || !case.tests.is_empty();
        let is_open = case.needs.as_ref().is_some_and(|word| MISSING.contains(&word.as_str()));
        assert!(is_tried || is_open, "{}, {}: nobody tries it", case.id, case.about);
        let has_user = !case.user.is_empty() || case.ask.iter().all(|ask| ask.sql.is_empty());
        assert!(has_user, "{}: as whom?", case.id);
        assert!(met.insert(case.id.clone()), "{} is there twice", case.id);
    }
    for word in MISSING {
        let is_used = cases().iter().any(|case| case.needs.as_deref() == Some(*word));
        assert!(is_used, "no attack waits for {word:?}");
    }
}

/// Lines of a policy that are refused, and words that no policy knows yet.
#[test]
fn a_policy_that_is_not_understood_is_refused() {
    let is_refused = |rules: &str| {
        let builder = WeirBuilder::new().policy(rules);
        builder.write();
        let mut command = weir(&["check", "--config"]);
        let (status, output) = feed(command.arg(builder.config_path()), "");
        assert!(!output.contains("panicked"), "{rules}: {output}");
        !status.success()
    };
    assert!(!is_refused("p, role:analyst, *, shop.public, select, , allow\n"));
    for case in cases() {
        let is_missing = case.needs.as_ref().is_some_and(|word| MISSING.contains(&word.as_str()));
        let lines: Vec<&String> = case.ask.iter().flat_map(|ask| &ask.policy).collect();
        for line in &lines {
            let is_right = is_refused(&format!("{line}\n"));
            assert!(is_right || is_missing, "{}: {line} is taken", case.id);
        }
        let are_refused = !lines.is_empty() && lines.iter().all(|line| is_refused(line));
        assert!(
            !(are_refused && is_missing),
            "{}: {:?} is there now, delete it from MISSING",
            case.id,
            case.needs
        );
    }
    let text = fs::read_to_string(tests_folder("policy/attacks.csv")).unwrap();
    for (mark, word, rule) in text.lines().filter_map(marked) {
        if mark == "needs" && MISSING.contains(&word) {
            assert!(is_refused(rule), "{word:?} is there now, delete it from MISSING: {rule}");
        }
    }
}

/// Adds rules, and waits until they are in force.
async fn narrow(shop: &Shop, rules: &str, is_in_force: impl AsyncFn() -> bool) {
    let path = shop.weir.folder().join("policy/policy.csv");
    fs::write(&path, policy() + rules).unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_in_force().await {
        assert!(Instant::now() < deadline, "the old policy is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_prepared_statement_keeps_its_columns_or_fails() {
    let shop = Shop::open(Place::Postgres, |builder| builder).await;
    let alice = shop.weir.connect("alice").await;
    let statement = alice.client.prepare("SELECT * FROM shop.public.customers").await.unwrap();
    let named = alice.client.prepare("SELECT email FROM shop.public.customers").await.unwrap();
    assert_eq!(alice.client.query(&statement, &[]).await.unwrap().len(), 4);
    let other = shop.weir.connect("alice").await;
    let hide = "p, role:analyst, *, shop.public.customers.email, select, , deny\n";
    narrow(&shop, hide, async || {
        other.rows("SELECT email FROM shop.public.customers").await.is_err()
    })
    .await;
    for (statement, expected) in [(&statement, "0A000"), (&named, "42703")] {
        let error = alice.client.query(statement, &[]).await.unwrap_err();
        assert_eq!(code(&error), expected, "{}", told(&error));
    }
}

#[tokio::test]
async fn a_ticket_is_judged_when_it_is_redeemed() {
    let shop = Shop::open(Place::Files, |builder| builder).await;
    let Way::Flight(mut alice) = Client::open(&shop, Door::Flight, "alice").await.way else {
        panic!()
    };
    let sql = "SELECT note FROM shop.public.orders";
    let info = alice.execute(sql.to_owned(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let read = async |client: &mut FlightSqlServiceClient<Channel>| {
        let rows = client.do_get(ticket.clone()).await?;
        rows.try_collect::<Vec<RecordBatch>>().await
    };
    let count =
        |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    assert_eq!(count(read(&mut alice).await.unwrap()), 3);
    let other = shop.weir.connect("alice").await;
    let fewer = "p, role:analyst, *, shop.public.orders, restrict, amount < 15, allow\n";
    narrow(&shop, fewer, async || {
        other.value("SELECT count(*) FROM shop.public.orders").await == "1"
    })
    .await;
    assert_eq!(count(read(&mut alice).await.unwrap()), 1);
    let none = "p, role:analyst, *, shop.public.orders, select, , deny\n";
    narrow(&shop, none, async || other.rows(sql).await.is_err()).await;
    let Outcome::Refusal { code, .. } = Outcome::of_flight(read(&mut alice).await.unwrap_err())
    else {
        panic!()
    };
    assert_eq!(code, "42P01");
}
