//! The queries that are written by hand: `corpus/*.sql`.
//!
//! A query ends with a semicolon at the end of a line. One that begins with WHERE asks for the ids of
//! `m_edge`. A comment before it may say what is known of it, and is wrong once that is mended:
//!
//!     -- refused 0A000: reason      weir gives this error, where PostgreSQL answers
//!     -- differs: reason            weir answers otherwise, or where PostgreSQL fails

use std::fs;

use crate::harness::{files, tests_folder};

#[derive(Debug, Clone)]
pub struct Written {
    /// `joins.sql:7`
    pub name: String,
    pub sql: String,
    pub known: Known,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Same,
    Refused(String),
    Different,
}

/// Of every file below a folder of the corpus.
pub fn read(folder: &str) -> Vec<Written> {
    let paths = files(&tests_folder("differential").join(folder));
    paths
        .iter()
        .flat_map(|path| {
            let text =
                fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            parse(&path.file_name().unwrap().to_string_lossy(), &text)
        })
        .collect()
}

fn parse(file: &str, text: &str) -> Vec<Written> {
    let mut found = Vec::new();
    let (mut known, mut sql) = (Known::Same, String::new());
    for (number, line) in text.lines().enumerate() {
        if let Some(comment) = line.strip_prefix("--") {
            known = mark(comment.trim()).unwrap_or(known);
            continue;
        }
        sql.push_str(line);
        sql.push(' ');
        let Some(whole) = sql.trim().strip_suffix(';') else { continue };
        let whole = match whole.starts_with("WHERE ") {
            true => format!("SELECT id FROM m_edge {whole}"),
            false => whole.to_owned(),
        };
        let name = format!("{file}:{}", number + 1);
        found.push(Written { name, sql: whole, known: std::mem::replace(&mut known, Known::Same) });
        sql.clear();
    }
    assert!(sql.trim().is_empty(), "{file} ends inside a query: {sql}");
    found
}

fn mark(comment: &str) -> Option<Known> {
    if comment.starts_with("differs: ") {
        return Some(Known::Different);
    }
    let (code, _reason) = comment.strip_prefix("refused ")?.split_once(": ")?;
    Some(Known::Refused(code.to_owned()))
}

#[test]
fn marks_belong_to_the_next_query() {
    let text = "-- topic\nWHERE a;\n\n-- differs: why\nSELECT 1,\n  2;\n-- refused 0A000: why\nSELECT 3;\nSELECT 4;\n";
    let found: Vec<_> = parse("f", text).into_iter().map(|w| (w.name, w.sql, w.known)).collect();
    let expected = [
        ("f:2", "SELECT id FROM m_edge WHERE a", Known::Same),
        ("f:6", "SELECT 1,   2", Known::Different),
        ("f:8", "SELECT 3", Known::Refused("0A000".to_owned())),
        ("f:9", "SELECT 4", Known::Same),
    ];
    assert_eq!(found, expected.map(|(n, s, k)| (n.to_owned(), s.to_owned(), k)));
}
