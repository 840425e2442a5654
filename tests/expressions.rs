//! What SQL means: thousands of expressions and statements, each asked of weir and of the PostgreSQL
//! behind it in the same run. Values, types, names of columns and classes of errors must be the same.
//!
//! `tests/expressions/*.sql` holds one a line; `over v: x` asks for `x` over every row of a table with
//! values at the edges. `differences.txt` says where weir is not PostgreSQL, what it answers instead, and
//! why. Whoever mends one deletes its line.

use std::{collections::BTreeMap, fs, sync::Arc};

use tokio_postgres::SimpleQueryMessage;

use crate::harness::{ADMIN, Cluster, Weir, WeirBuilder, code, files, tests_folder};

/// What both are asked, and where it stands.
struct Question {
    topic: String,
    line: String,
}

impl Question {
    fn sql(&self) -> String {
        const STATEMENTS: &[&str] = &["SELECT", "WITH", "VALUES", "TABLE", "FROM"];
        if let Some(expression) = self.line.strip_prefix("over v: ") {
            return format!("SELECT {expression} FROM v ORDER BY id");
        }
        let first = self.line.split([' ', ';']).next().unwrap_or_default();
        match STATEMENTS.contains(&first) {
            true => self.line.clone(),
            false => format!("SELECT {}", self.line),
        }
    }
}

fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for path in files(&tests_folder("expressions")) {
        let topic = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|it| it != "sql") || topic == "setup" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("-- "));
        questions
            .extend(lines.map(|line| Question { topic: topic.clone(), line: line.to_owned() }));
    }
    questions
}

/// The line, and what weir answers; `~`: anything of the same types, `≈`: the same numbers but for their
/// last digits, in any type.
fn differences() -> BTreeMap<String, String> {
    let text = fs::read_to_string(tests_folder("expressions/differences.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines
        .map(|line| {
            let (question, answer) = line.rsplit_once('\t').unwrap_or_else(|| panic!("{line}"));
            (question.to_owned(), answer.to_owned())
        })
        .collect()
}

/// An answer as one line: `types | names | rows`, or `!` and a SQLSTATE.
async fn answer(client: &tokio_postgres::Client, sql: &str) -> String {
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => return format!("!{}", code(&error)),
    };
    let types = match client.prepare(sql).await {
        Ok(statement) => {
            statement.columns().iter().map(|it| it.type_().name().to_owned()).collect::<Vec<_>>()
        }
        Err(error) => return format!("!{} when prepared", code(&error)),
    };
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for message in &messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                names = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|index| row.get(index).unwrap_or("NULL").to_owned());
                rows.push(cells.collect::<Vec<_>>().join("|"));
            }
            _ => {}
        }
    }
    if !sql.to_uppercase().contains(" ORDER BY ") {
        rows.sort();
    }
    let rows = rows.join(";").replace('\n', "\\n").replace('\t', "\\t");
    format!("{} | {} | {rows}", types.join(","), names.join(","))
}

/// Errors are alike when their class is.
fn are_alike(found: &str, expected: &str) -> bool {
    match (found.strip_prefix('!'), expected.strip_prefix('!')) {
        (Some(found), Some(expected)) => found.get(..2) == expected.get(..2),
        _ => found == expected,
    }
}

/// Sums of floats are not made in one order.
fn are_close(found: &str, expected: &str) -> bool {
    let cells = |answer: &str| -> Vec<String> {
        let rows = answer.splitn(3, " | ").nth(2).unwrap_or_default();
        rows.split(['|', ';']).map(str::to_owned).collect()
    };
    let (found, expected) = (cells(found), cells(expected));
    let is_close = |(found, expected): (&String, &String)| {
        // Infinity and NaN have no distance.
        let is_same = found == expected;
        match (found.parse(), expected.parse()) {
            (Ok(found), Ok(expected)) => {
                let (found, expected): (f64, f64) = (found, expected);
                (found - expected).abs() <= 1e-9 * expected.abs().max(1.0) || is_same
            }
            _ => is_same,
        }
    };
    found.len() == expected.len() && found.iter().zip(&expected).all(is_close)
}

fn types(answer: &str) -> &str {
    answer.split(" | ").next().unwrap_or_default()
}

struct Asked {
    weir: Weir,
    cluster: Arc<Cluster>,
}

impl Asked {
    fn start() -> Self {
        let cluster = Arc::new(Cluster::start());
        cluster.load("postgres", &tests_folder("expressions/setup.sql"));
        let catalog = format!(
            "source = \"postgres\"\nurl = \"postgres://owner@127.0.0.1:{}/expressions\"\n",
            cluster.port
        );
        let policy = fs::read_to_string(tests_folder("fixtures/policy.csv")).unwrap();
        let weir =
            WeirBuilder::new().catalog("sales", &catalog).policy(&policy).user(ADMIN).start();
        Self { weir, cluster }
    }

    /// What is wrong with some questions.
    async fn ask(&self, questions: &[Question], known: &BTreeMap<String, String>) -> Vec<String> {
        let weir = self.weir.connect_to("admin", "sales").await;
        let direct = self.cluster.connect("expressions").await;
        let mut wrong = Vec::new();
        for question in questions {
            let sql = question.sql();
            let expected = answer(&direct, &sql).await;
            let found = answer(&weir, &sql).await;
            let is_right = are_alike(&found, &expected);
            let Question { topic, line } = question;
            match known.get(line).map(String::as_str) {
                None if is_right => {}
                None => wrong.push(format!("{topic}: {line}\n  weir: {found}\n  both: {expected}")),
                Some("~") if types(&found) == types(&expected) => {}
                Some("≈") if are_close(&found, &expected) => {}
                Some(_) if is_right => wrong.push(format!("{topic}: {line}\n  is right now")),
                Some(known) if known == found => {}
                Some(known) => {
                    wrong.push(format!("{topic}: {line}\n  weir: {found}\n  told: {known}"));
                }
            }
        }
        wrong
    }
}

#[tokio::test]
async fn sql_means_what_it_means_in_postgresql() {
    let (questions, known) = (questions(), differences());
    assert!(questions.len() >= 1500, "{} questions", questions.len());
    for line in known.keys() {
        assert!(questions.iter().any(|it| it.line == *line), "a difference of no question: {line}");
    }
    let asked = Asked::start();
    let half = questions.len() / 2;
    let (first, second) =
        tokio::join!(asked.ask(&questions[..half], &known), asked.ask(&questions[half..], &known));
    let wrong = [first, second].concat();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
