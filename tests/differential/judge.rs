//! Whether an answer is PostgreSQL's.

use std::collections::BTreeMap;

use super::{
    answer::{Answer, Rows, Value, class},
    known::{REFUSALS, TYPES},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// A known refusal, by its place in [`REFUSALS`].
    Refused(usize),
    /// Both are errors of the data.
    BothFail,
    /// PostgreSQL does not understand the query, or somebody took too long: it shows nothing.
    Void(String),
    Different(String),
}

impl Verdict {
    /// What stays the same while a query is made smaller.
    pub fn kind(&self) -> String {
        match self {
            Self::Different(story) => story.split(':').take(2).collect::<Vec<_>>().join(":"),
            other => format!("{other:?}"),
        }
    }
}

/// Ended by the time: that says nothing of the answer.
const CANCELED: &str = "57014";

pub fn judge(sql: &str, expected: &Answer, found: &Answer) -> Verdict {
    match (expected, found) {
        (Answer::Error(code, told), _) if !code.starts_with("22") => {
            Verdict::Void(told.replace('\n', " "))
        }
        (Answer::Error(..), Answer::Error(code, _)) if code.starts_with("22") => Verdict::BothFail,
        (_, Answer::Error(code, _)) if code == CANCELED => {
            Verdict::Void("weir took too long".to_owned())
        }
        (_, Answer::Error(code, told)) => {
            let is_known =
                |known: &super::known::Refusal| known.code == code && told.contains(known.told);
            match REFUSALS.iter().position(is_known) {
                Some(place) => Verdict::Refused(place),
                None => Verdict::Different(format!("{}: weir", told.replace('\n', " "))),
            }
        }
        (Answer::Error(_, told), Answer::Rows(_)) => {
            Verdict::Different(format!("PostgreSQL alone fails: {}", told.replace('\n', " ")))
        }
        (Answer::Rows(expected), Answer::Rows(found)) => {
            let keys = order_keys(sql);
            rows_differ(expected, found, keys.as_ref())
                .map_or(Verdict::Same, |story| Verdict::Different(format!("rows: {story}")))
        }
    }
}

/// How far the order of the rows counts.
#[derive(Debug, PartialEq, Eq)]
enum Keys {
    /// The ORDER BY is total.
    All,
    /// The columns named by number.
    Places(Vec<usize>),
}

/// Of the outermost ORDER BY, which stands at the end of the text. Keys that are not numbers are
/// taken to be total, which is for the author of the query to see to.
fn order_keys(sql: &str) -> Option<Keys> {
    let mut depth = 0_usize;
    let mut at = None;
    let mut is_quoted = false;
    for (index, byte) in sql.bytes().enumerate() {
        match byte {
            b'\'' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'O' if depth == 0 && sql[index..].starts_with("ORDER BY ") => at = Some(index + 9),
            _ => {}
        }
    }
    let keys = sql[at?..].split(" LIMIT ").next()?.split(" OFFSET ").next()?;
    let places: Option<Vec<usize>> =
        keys.split(',').map(|key| key.split_whitespace().next()?.parse().ok()).collect();
    Some(places.map_or(Keys::All, Keys::Places))
}

fn rows_differ(expected: &Rows, found: &Rows, keys: Option<&Keys>) -> Option<String> {
    if expected.rows.len() != found.rows.len() {
        return Some(format!(
            "count: {} expected, {} found",
            expected.rows.len(),
            found.rows.len()
        ));
    }
    let mut as_floats = Vec::new();
    for (index, (theirs, ours)) in expected.types.iter().zip(&found.types).enumerate() {
        let (theirs, ours) = (class(theirs), class(ours));
        let is_known = theirs == ours
            || TYPES.iter().any(|(known, other, _)| (*known, *other) == (theirs, ours));
        if !is_known {
            return Some(format!("type of column {}, {theirs} expected, {ours} found", index + 1));
        }
        if theirs != ours && (theirs.starts_with("float") || ours.starts_with("float")) {
            as_floats.push(index);
        }
    }
    let shown = |rows: &Rows| -> Vec<Vec<String>> {
        let value = |(index, value): (usize, &Value)| match as_floats.contains(&index) {
            true => value.as_float().key(),
            false => value.key(),
        };
        rows.rows.iter().map(|row| row.iter().enumerate().map(value).collect()).collect()
    };
    let (expected, found) = (shown(expected), shown(found));
    let ordered = |rows: &[Vec<String>]| -> Vec<Vec<String>> {
        match keys {
            None => Vec::new(),
            Some(Keys::All) => rows.to_vec(),
            Some(Keys::Places(places)) => rows
                .iter()
                .map(|row| places.iter().filter_map(|place| row.get(place - 1).cloned()).collect())
                .collect(),
        }
    };
    let mut counts: BTreeMap<&Vec<String>, i64> = BTreeMap::new();
    for row in &expected {
        *counts.entry(row).or_default() += 1;
    }
    for row in &found {
        *counts.entry(row).or_default() -= 1;
    }
    let missing: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).take(3).collect();
    let surplus: Vec<_> = counts.iter().filter(|(_, count)| **count < 0).take(3).collect();
    if !missing.is_empty() {
        return Some(format!("values: expected {missing:?}, found {surplus:?}"));
    }
    let (expected, found) = (ordered(&expected), ordered(&found));
    let place = expected.iter().zip(&found).position(|(expected, found)| expected != found)?;
    Some(format!(
        "order: row {} has {:?} and should have {:?}",
        place + 1,
        found[place],
        expected[place]
    ))
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::Type;

    use super::*;

    fn rows(values: &[&[&str]]) -> Answer {
        let value = |text: &&str| match *text {
            "NULL" => Value::Null,
            text => Value::Text(text.to_owned()),
        };
        let rows: Vec<Vec<Value>> =
            values.iter().map(|row| row.iter().map(value).collect()).collect();
        let types = vec![Type::TEXT; rows.first().map_or(0, Vec::len)];
        Answer::Rows(Rows { types, rows })
    }

    #[test]
    fn bags_and_orders_are_told_apart() {
        let two = rows(&[&["1", "a"], &["1", "b"]]);
        let turned = rows(&[&["1", "b"], &["1", "a"]]);
        let other = rows(&[&["1", "a"], &["2", "b"]]);
        let doubled = rows(&[&["1", "a"], &["1", "a"]]);
        for (sql, expected, found, is_same) in [
            ("SELECT a, b FROM t", &two, &turned, true),
            ("SELECT a, b FROM t ORDER BY 1", &two, &turned, true),
            ("SELECT a, b FROM t ORDER BY 2 DESC, 1", &two, &turned, false),
            ("SELECT a, b FROM t ORDER BY b", &two, &turned, false),
            ("SELECT a FROM (SELECT a FROM t ORDER BY b) s", &two, &turned, true),
            ("SELECT a, b FROM t", &two, &other, false),
            ("SELECT a, b FROM t", &two, &doubled, false),
            ("SELECT a, b FROM t", &doubled, &two, false),
            ("SELECT a, b FROM t", &two, &rows(&[&["1", "a"]]), false),
            ("SELECT a, b FROM t", &rows(&[&["1", "NULL"]]), &rows(&[&["1", ""]]), false),
        ] {
            let is_found = judge(sql, expected, found) == Verdict::Same;
            assert_eq!(is_found, is_same, "{sql}: {expected:?} {found:?}");
        }
    }

    #[test]
    fn an_error_is_no_answer() {
        let (good, empty) = (rows(&[&["1"]]), rows(&[]));
        let error = |code: &str| Answer::Error(code.to_owned(), format!("{code}: story"));
        assert_eq!(judge("", &error("22012"), &error("22003")), Verdict::BothFail);
        assert!(matches!(judge("", &error("42601"), &good), Verdict::Void(_)));
        for (expected, found) in [
            (&good, &error("XX000")),
            (&empty, &error("22012")),
            (&error("22012"), &good),
            (&error("22012"), &error("XX000")),
        ] {
            assert!(matches!(judge("", expected, found), Verdict::Different(_)), "{found:?}");
        }
    }
}
