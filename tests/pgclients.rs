//! What real clients send, replayed frame by frame against weir and against the PostgreSQL behind it.
//!
//! `tests/pgclients/<client>.jsonl` holds a client's statements in their order; `${sales.orders}` in
//! one is the oid of that object on the server that is asked. `differences.tsv` says what may
//! differ and why, `passes.tsv` how many statements must pass at least, and docs/clients.md repeats
//! that table. `WEIR_UPDATE_EXPECTED=1` writes both anew; the difference is then for a human to judge.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Deserialize;

use crate::harness::{
    OWNER,
    frontend::{Answer, Column, Frontend, Message, ResultSet},
    repository, shop, tests_folder,
};

const AT_ONCE: usize = 4;
/// An oid that nothing has.
const NOTHING: u32 = 999_999_999;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    sql: String,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default)]
    types: Vec<u32>,
    /// Without them the statement is described and not executed. `hex:` precedes bytes.
    values: Option<Vec<Option<String>>>,
    #[serde(default)]
    value_formats: Vec<i16>,
    #[serde(default)]
    result_formats: Vec<i16>,
    #[serde(default)]
    rows: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    #[default]
    Simple,
    Extended,
}

/// One of the two servers, and what its oids mean.
struct Server {
    frontend: Frontend,
    /// `schema.name` of relations and types, names of schemas and databases.
    oids: HashMap<String, u32>,
    names: HashMap<u32, String>,
    types: HashMap<u32, String>,
}

impl Server {
    fn connect(port: u16, password: &str) -> Self {
        let mut frontend = Frontend::connect(port, OWNER.name, password, "shop");
        let (mut oids, mut names, mut types) = (HashMap::new(), HashMap::new(), HashMap::new());
        let objects = [
            "SELECT n.nspname || '.' || t.typname, t.oid FROM pg_catalog.pg_type t \
             JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace",
            "SELECT n.nspname || '.' || c.relname, c.oid FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
            "SELECT nspname, oid FROM pg_catalog.pg_namespace",
            "SELECT datname, oid FROM pg_catalog.pg_database",
            "SELECT conname, oid FROM pg_catalog.pg_constraint",
            "SELECT rolname, oid FROM pg_catalog.pg_roles",
        ];
        for (position, sql) in objects.iter().enumerate() {
            for row in frontend.rows(sql) {
                let oid = row[1].parse().unwrap();
                if position == 0 {
                    types.insert(oid, row[0].trim_start_matches("pg_catalog.").to_owned());
                }
                oids.insert(row[0].clone(), oid);
                names.insert(oid, row[0].clone());
            }
        }
        Self { frontend, oids, names, types }
    }

    fn ask(&mut self, statement: &Statement) -> Answer {
        let sql = self.expand(&statement.sql, |oid| oid.to_string());
        let types = statement.types.clone();
        let message = match (statement.protocol, &statement.values) {
            (Protocol::Simple, _) => Message::Simple(sql),
            (Protocol::Extended, None) => Message::Described { sql, types },
            (Protocol::Extended, Some(values)) => Message::Executed {
                sql,
                types,
                values: values.iter().map(|value| value.as_ref().map(|v| self.value(v))).collect(),
                value_formats: statement.value_formats.clone(),
                result_formats: statement.result_formats.clone(),
                rows: statement.rows,
            },
        };
        let answer = self.frontend.ask(&message);
        if self.frontend.state == b'E' {
            self.frontend.ask(&Message::Simple("ROLLBACK".to_owned()));
        }
        answer
    }

    fn value(&self, value: &str) -> Vec<u8> {
        let Some(hex) = value.strip_prefix("hex:") else {
            return self.expand(value, |oid| oid.to_string()).into_bytes();
        };
        let hex = self.expand(hex, |oid| format!("{oid:08x}"));
        let bytes = (0..hex.len()).step_by(2);
        bytes.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn expand(&self, text: &str, write: impl Fn(u32) -> String) -> String {
        let mut parts = text.split("${");
        let mut expanded = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            expanded += &write(self.oids.get(name).copied().unwrap_or(NOTHING));
            expanded += rest;
        }
        expanded
    }

    fn type_name(&self, column: &Column) -> String {
        let name = self.types.get(&column.type_oid).cloned();
        name.unwrap_or_else(|| format!("type {}", column.type_oid))
    }

    /// The rows in an order that does not depend on the server, with names for oids.
    fn comparable(&self, result: &ResultSet) -> Vec<Vec<Option<Vec<u8>>>> {
        let columns = result.columns.as_deref().unwrap_or_default();
        let mut rows = result.rows.clone();
        for row in &mut rows {
            for (cell, column) in row.iter_mut().zip(columns) {
                let Some(value) = cell else { continue };
                if self.type_name(column) != "oid" {
                    continue;
                }
                let oid = match column.format {
                    0 => std::str::from_utf8(value).unwrap().parse().unwrap(),
                    _ => u32::from_be_bytes(value.as_slice().try_into().unwrap()),
                };
                if let Some(name) = self.names.get(&oid) {
                    *value = name.clone().into_bytes();
                }
            }
        }
        rows.sort();
        rows
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aspect {
    Error,
    Names,
    Types,
    Modifiers,
    Data,
    Catalog,
}

impl Aspect {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Error, "error"),
        (Self::Names, "names"),
        (Self::Types, "types"),
        (Self::Modifiers, "modifiers"),
        (Self::Data, "data"),
        (Self::Catalog, "catalog"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(aspect, _)| *aspect == self).unwrap().1
    }
}

/// A line of `differences.tsv`: what may differ where a text occurs in the statement, and why.
struct Allowed {
    aspect: String,
    /// In the difference, as the report words it.
    found: String,
    /// In the statement.
    sql: String,
    used: AtomicUsize,
}

/// What a statement is worth, and how it differs.
struct Verdict {
    differences: Vec<(Aspect, String)>,
    /// The rows are users' data, or the catalog's.
    rows: Option<Aspect>,
}

fn judge(
    statement: &Statement,
    (postgres, theirs): (&Server, &Answer),
    (weir, ours): (&Server, &Answer),
) -> Verdict {
    let mut differences = Vec::new();
    let code = |answer: &Answer| answer.error.as_ref().map(|error| error.code.clone());
    if code(theirs) != code(ours) {
        let told = |answer: &Answer| {
            let error = answer.error.as_ref();
            error.map_or_else(
                || "no error".to_owned(),
                |error| format!("{} {}", error.code, error.message),
            )
        };
        differences.push((Aspect::Error, format!("{} instead of {}", told(ours), told(theirs))));
    }
    if theirs.error.is_some() || ours.error.is_some() {
        return Verdict { differences, rows: None };
    }
    if theirs.results.len() != ours.results.len() {
        let (found, wanted) = (ours.results.len(), theirs.results.len());
        differences.push((Aspect::Error, format!("{found} results instead of {wanted}")));
        return Verdict { differences, rows: None };
    }
    let kind = if is_about_data(&statement.sql) { Aspect::Data } else { Aspect::Catalog };
    let mut rows = None;
    for (theirs, ours) in theirs.results.iter().zip(&ours.results) {
        if let Some((aspect, found)) = describe((postgres, theirs), (weir, ours)) {
            let is_comparable = aspect != Aspect::Names;
            differences.push((aspect, found));
            if !is_comparable {
                continue;
            }
        }
        if theirs.columns.is_none() && theirs.copied.is_empty() {
            continue;
        }
        rows = Some(kind);
        let is_same = if picks_any_rows(statement) {
            theirs.rows.len() == ours.rows.len()
        } else {
            postgres.comparable(theirs) == weir.comparable(ours)
                && lines(&theirs.copied) == lines(&ours.copied)
        };
        if !is_same {
            let (wanted, found) = (postgres.comparable(theirs), weir.comparable(ours));
            let missing = wanted.iter().find(|row| !found.contains(row));
            let extra = found.iter().find(|row| !wanted.contains(row));
            let story = format!(
                "{} rows instead of {}; lacks {} has {}",
                found.len(),
                wanted.len(),
                shown(missing),
                shown(extra)
            );
            differences.push((kind, story));
        }
    }
    Verdict { differences, rows }
}

/// The first difference in what the columns are.
fn describe(
    (postgres, theirs): (&Server, &ResultSet),
    (weir, ours): (&Server, &ResultSet),
) -> Option<(Aspect, String)> {
    let (wanted, found) = match (&theirs.columns, &ours.columns) {
        (Some(wanted), Some(found)) => (wanted, found),
        (None, None) => return None,
        _ => return Some((Aspect::Names, "columns on one side only".to_owned())),
    };
    let names =
        |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    if names(wanted) != names(found) {
        let story = format!("{:?} instead of {:?}", names(found), names(wanted));
        return Some((Aspect::Names, story));
    }
    for (wanted, found) in wanted.iter().zip(found) {
        let (theirs, ours) = (postgres.type_name(wanted), weir.type_name(found));
        if theirs != ours {
            return Some((Aspect::Types, format!("{}: {ours} instead of {theirs}", wanted.name)));
        }
    }
    for (wanted, found) in wanted.iter().zip(found) {
        let (theirs, ours) = (wanted.modifier, found.modifier);
        if theirs != ours {
            let story = format!("{}: {ours} instead of {theirs}", wanted.name);
            return Some((Aspect::Modifiers, story));
        }
    }
    None
}

/// Whether a statement reads users' tables only, and gives the same rows whenever it is asked.
fn is_about_data(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    let others = [
        "pg_",
        "information_schema",
        "version(",
        "current_",
        "show ",
        "session_user",
        "set_config",
        "explain",
        "now(",
        "random(",
    ];
    !others.iter().any(|word| sql.contains(word))
}

/// Which rows come is the server's choice.
fn picks_any_rows(statement: &Statement) -> bool {
    let sql = statement.sql.to_ascii_lowercase();
    let is_cut = ["limit", "fetch", "random("].iter().any(|word| sql.contains(word));
    (is_cut || statement.rows > 0) && !sql.contains("order by")
}

fn lines(copied: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = copied.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

fn shown(row: Option<&Vec<Option<Vec<u8>>>>) -> String {
    let cell = |cell: &Option<Vec<u8>>| {
        cell.as_ref().map_or("∅".to_owned(), |cell| cell.escape_ascii().to_string())
    };
    row.map_or("none".to_owned(), |row| row.iter().map(cell).collect::<Vec<_>>().join("|"))
}

/// What passes, of one client: the columns of `passes.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Passes {
    statements: usize,
    /// No error, or PostgreSQL's.
    answered: usize,
    /// Names, types and modifiers of the columns too.
    described: usize,
    data: usize,
    data_same: usize,
    catalog: usize,
    catalog_same: usize,
}

impl Passes {
    fn count(&mut self, verdict: &Verdict) {
        let has = |aspects: &[Aspect]| {
            verdict.differences.iter().any(|(aspect, _)| aspects.contains(aspect))
        };
        let is_answered = !has(&[Aspect::Error]);
        let is_described = !has(&[Aspect::Names, Aspect::Types, Aspect::Modifiers]);
        let is_same = !has(&[Aspect::Data, Aspect::Catalog]);
        self.statements += 1;
        self.answered += usize::from(is_answered);
        self.described += usize::from(is_answered && is_described);
        match verdict.rows {
            Some(Aspect::Data) => {
                self.data += 1;
                self.data_same += usize::from(is_same && is_described);
            }
            Some(_) => {
                self.catalog += 1;
                self.catalog_same += usize::from(is_same && is_described);
            }
            None => {}
        }
    }

    fn cells(self) -> [usize; 7] {
        let Self { statements, answered, described, data, data_same, catalog, catalog_same } = self;
        [statements, answered, described, data, data_same, catalog, catalog_same]
    }
}

const HEADINGS: [&str; 8] =
    ["client", "statements", "answered", "described", "data", "same", "catalog", "same"];

fn tabbed(cells: [usize; 7]) -> String {
    cells.map(|cell| cell.to_string()).join("\t")
}

fn document_path() -> PathBuf {
    repository().join("docs/clients.md")
}

/// docs/clients.md: what precedes the table, the table, and what follows it.
fn document() -> (String, String, String) {
    const START: &str = "<!-- tests/pgclients.rs writes this table -->\n";
    const END: &str = "<!-- the end of the table -->\n";
    let text = fs::read_to_string(document_path()).unwrap();
    let (before, rest) = text.split_once(START).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    (before.to_owned() + START, table.to_owned(), END.to_owned() + after)
}

/// `passes.tsv` as a table, with the sum.
fn markdown() -> String {
    let rows = table("passes.tsv");
    let mut total = vec!["all".to_owned()];
    for column in 1..HEADINGS.len() {
        let cells = rows.iter().skip(1).map(|row| row[column].parse::<usize>().unwrap());
        total.push(cells.sum::<usize>().to_string());
    }
    let mut text = String::new();
    for (position, row) in rows.iter().chain([&total]).enumerate() {
        writeln!(text, "| {} |", row.join(" | ")).unwrap();
        if position == 0 {
            writeln!(text, "|---|{}", "---:|".repeat(HEADINGS.len() - 1)).unwrap();
        }
    }
    text
}

fn folder() -> PathBuf {
    tests_folder("pgclients")
}

fn clients() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let mut clients: Vec<_> =
        names.filter_map(|name| Some(name.strip_suffix(".jsonl")?.to_owned())).collect();
    clients.sort();
    clients
}

fn statements(client: &str) -> Vec<Statement> {
    let text = fs::read_to_string(folder().join(format!("{client}.jsonl"))).unwrap();
    let read = |(number, line)| {
        let statement: Result<Statement, _> = serde_json::from_str(line);
        statement.unwrap_or_else(|error| panic!("{client}.jsonl:{}: {error}", number + 1))
    };
    text.lines().enumerate().map(read).collect()
}

fn table(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn allowed() -> Vec<Allowed> {
    let read = |cells: Vec<String>| {
        let [aspect, found, sql, reason] = cells.try_into().unwrap();
        assert!(!reason.is_empty() && Aspect::ALL.iter().any(|(_, name)| *name == aspect));
        Allowed { aspect, found, sql, used: AtomicUsize::new(0) }
    };
    table("differences.tsv").into_iter().map(read).collect()
}

/// Replays one client; what differs goes to the report.
fn replay(client: &str, ports: [(u16, &str); 2], allowed: &[Allowed]) -> (Passes, String) {
    let [mut postgres, mut weir] = ports.map(|(port, password)| Server::connect(port, password));
    let (mut passes, mut report) = (Passes::default(), String::new());
    for (number, statement) in statements(client).iter().enumerate() {
        let (theirs, ours) = (postgres.ask(statement), weir.ask(statement));
        let mut verdict = judge(statement, (&postgres, &theirs), (&weir, &ours));
        verdict.differences.retain(|(aspect, found)| {
            let rule = allowed.iter().find(|rule| {
                rule.aspect == aspect.name()
                    && found.contains(&rule.found)
                    && statement.sql.contains(&rule.sql)
            });
            rule.inspect(|rule| {
                rule.used.fetch_add(1, Ordering::Relaxed);
            })
            .is_none()
        });
        passes.count(&verdict);
        for (aspect, found) in &verdict.differences {
            let found = found.chars().take(600).collect::<String>();
            let number = number + 1;
            writeln!(report, "{client}:{number} {}: {found}", aspect.name()).unwrap();
            writeln!(report, "    {}", statement.sql.replace('\n', " ")).unwrap();
        }
    }
    (passes, report)
}

/// Fails where less passes than `passes.tsv` says, which is then a step back; where more does, the
/// table that is printed is to be written there.
#[test]
fn what_clients_send_is_answered_as_postgresql_answers() {
    let shop = shop();
    let (clients, allowed) = (clients(), allowed());
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    let ports = [(shop.cluster.port, ""), (shop.weir.postgres, OWNER.password)];
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(client) = clients.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let passes = replay(client, ports, &allowed);
                    found.lock().unwrap().insert(client.clone(), passes);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let report: String = found.values().map(|(_, report)| report.as_str()).collect();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pgclients.txt");
    fs::write(&path, report).unwrap();

    let mut written = HEADINGS.join("\t") + "\n";
    let mut total = [0; 7];
    for (client, (passes, _)) in &found {
        let cells = passes.cells();
        total.iter_mut().zip(cells).for_each(|(total, cell)| *total += cell);
        writeln!(written, "{client}\t{}", tabbed(cells)).unwrap();
    }
    eprintln!("{written}# all\t{}\nwhat differs: {}", tabbed(total), path.display());
    if std::env::var_os("WEIR_UPDATE_EXPECTED").is_some() {
        fs::write(folder().join("passes.tsv"), &written).unwrap();
        let (before, _, after) = document();
        fs::write(document_path(), before + &markdown() + &after).unwrap();
    }

    let passes = table("passes.tsv");
    for cells in passes.iter().skip(1) {
        let (client, wanted) = cells.split_first().unwrap();
        let (passes, report) = &found[client];
        for (passed, wanted) in passes.cells().iter().zip(wanted) {
            let wanted: usize = wanted.parse().unwrap();
            assert!(*passed >= wanted, "{client}: {passes:?} is less than {cells:?}:\n{report}");
        }
    }
    assert_eq!(passes.len(), clients.len() + 1, "a client without a line in passes.tsv");
    assert_eq!(document().1, markdown(), "docs/clients.md is not what passes.tsv says");
    for rule in &allowed {
        let is_used = rule.used.load(Ordering::Relaxed) > 0;
        assert!(is_used, "no longer differs: {} {} {}", rule.aspect, rule.found, rule.sql);
    }
}
