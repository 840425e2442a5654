//! DECLARE, FETCH, MOVE and CLOSE (PostgreSQL manual, "DECLARE", "FETCH").

use datafusion::sql::sqlparser::{ast, tokenizer::TokenWithSpan};

use super::{Words, query};
use crate::{
    engine::ComplexityLimits,
    error::{Error, ErrorKind, Result},
};

/// `DECLARE name CURSOR FOR query`.
#[derive(Debug, Clone)]
pub struct Cursor {
    pub name: String,
    pub query: Box<ast::Statement>,
    pub is_binary: bool,
    /// Rows that have been fetched can be fetched again.
    pub can_scroll: bool,
    /// It stays when its transaction is committed.
    pub is_held: bool,
}

/// `FETCH`, or `MOVE`, which shows no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    pub cursor: String,
    pub motion: Motion,
    pub is_move: bool,
}

/// Where a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// So many rows on, or back when it is negative; `None`: all.
    Forward(Option<i64>),
    Backward(Option<i64>),
    /// To the row of that number; from the end when it is negative.
    Absolute(i64),
    /// To the row so many after (before) this one.
    Relative(i64),
}

pub(super) fn declare(tokens: &[TokenWithSpan], limits: &ComplexityLimits) -> Result<Cursor> {
    let mut words = Words::new(tokens);
    words.expect("DECLARE")?;
    let name = words.name()?;
    if name.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidCursorName,
            "invalid cursor name: must not be empty",
        ));
    }
    let (mut is_binary, mut scroll, mut sensitivity) = (false, None, None);
    let twice = |first: &str, second: &str| {
        let message = format!("cannot specify both {first} and {second}");
        Err(Error::new(ErrorKind::InvalidCursorDefinition, message))
    };
    loop {
        if words.take("BINARY") {
            is_binary = true;
        } else if let Some(word) = words.take_any(&["NO SCROLL", "SCROLL"]) {
            if scroll.is_some_and(|other| other != word) {
                return twice("SCROLL", "NO SCROLL");
            }
            scroll = Some(word);
        } else if let Some(word) = words.take_any(&["INSENSITIVE", "ASENSITIVE"]) {
            if sensitivity.is_some_and(|other| other != word) {
                return twice("INSENSITIVE", "ASENSITIVE");
            }
            sensitivity = Some(word);
        } else {
            break;
        }
    }
    words.expect("CURSOR")?;
    let is_held = words.take("WITH HOLD");
    if !is_held {
        words.take("WITHOUT HOLD");
    }
    words.expect("FOR")?;
    let query = Box::new(query(words.rest(), limits)?);
    Ok(Cursor { name, query, is_binary, can_scroll: scroll == Some("SCROLL"), is_held })
}

/// FETCH or MOVE.
pub(super) fn fetch(tokens: &[TokenWithSpan]) -> Result<Fetch> {
    let mut words = Words::new(tokens);
    let is_move = words.take("MOVE");
    if !is_move {
        words.expect("FETCH")?;
    }
    let motion = motion(&mut words)?;
    if words.take_any(&["FROM", "IN"]).is_none() && words.is_at_end() {
        return Err(words.unexpected());
    }
    let cursor = words.name()?;
    words.end()?;
    Ok(Fetch { cursor, motion, is_move })
}

fn motion(words: &mut Words<'_>) -> Result<Motion> {
    let count = |words: &mut Words<'_>| -> Result<Option<i64>> {
        if words.take("ALL") {
            return Ok(None);
        }
        Ok(Some(words.integer()?.unwrap_or(1)))
    };
    let number = |words: &mut Words<'_>| match words.integer()? {
        Some(number) => Ok(number),
        None => Err(words.unexpected()),
    };
    // A cursor can be called next; then nothing follows.
    let keyword = {
        let mut ahead = words.clone();
        ahead.next();
        if ahead.is_at_end() { String::new() } else { words.keyword() }
    };
    if !matches!(keyword.as_str(), "" | "ALL" | "FROM" | "IN") {
        words.next();
    }
    match keyword.as_str() {
        "NEXT" => Ok(Motion::Forward(Some(1))),
        "PRIOR" => Ok(Motion::Backward(Some(1))),
        "FIRST" => Ok(Motion::Absolute(1)),
        "LAST" => Ok(Motion::Absolute(-1)),
        "ABSOLUTE" => number(words).map(Motion::Absolute),
        "RELATIVE" => number(words).map(Motion::Relative),
        "FORWARD" => count(words).map(Motion::Forward),
        "BACKWARD" => count(words).map(Motion::Backward),
        "" | "ALL" | "FROM" | "IN" => count(words).map(Motion::Forward),
        _ => Err(words.unexpected()),
    }
}

/// `CLOSE name`; all of them without a name.
pub(super) fn close(tokens: &[TokenWithSpan]) -> Result<Option<String>> {
    let mut words = Words::new(tokens);
    words.expect("CLOSE")?;
    let name = if words.take("ALL") { None } else { Some(words.name()?) };
    words.end()?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, tokenizer::Tokenizer};

    use super::*;

    #[test]
    fn every_way_to_fetch_is_read() {
        use Motion::{Absolute, Backward, Forward, Relative};
        for (sql, expected) in [
            ("FETCH c", Some(Forward(Some(1)))),
            ("FETCH FROM c", Some(Forward(Some(1)))),
            ("FETCH next", Some(Forward(Some(1)))),
            ("fetch next in c", Some(Forward(Some(1)))),
            ("FETCH 100 IN \"SQL_CUR0x1\"", Some(Forward(Some(100)))),
            ("FETCH -3 FROM c", Some(Forward(Some(-3)))),
            ("FETCH ALL c", Some(Forward(None))),
            ("FETCH FORWARD c", Some(Forward(Some(1)))),
            ("FETCH FORWARD 5 c", Some(Forward(Some(5)))),
            ("FETCH FORWARD ALL FROM c", Some(Forward(None))),
            ("FETCH PRIOR FROM c", Some(Backward(Some(1)))),
            ("FETCH BACKWARD 2 FROM c", Some(Backward(Some(2)))),
            ("FETCH BACKWARD ALL IN c", Some(Backward(None))),
            ("FETCH FIRST FROM c", Some(Absolute(1))),
            ("FETCH LAST c", Some(Absolute(-1))),
            ("FETCH ABSOLUTE -2 FROM c", Some(Absolute(-2))),
            ("FETCH RELATIVE 0 FROM c", Some(Relative(0))),
            ("MOVE 5 c", Some(Forward(Some(5)))),
            ("FETCH", None),
            ("FETCH FROM", None),
            ("FETCH ABSOLUTE c", None),
            ("FETCH 1", None),
            ("FETCH 1.5 FROM c", None),
            ("FETCH 99999999999 FROM c", None),
            ("FETCH SIDEWAYS FROM c", None),
            ("FETCH 1 FROM c d", None),
            ("FETCH 1 FROM 'c'", None),
        ] {
            let tokens =
                Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().unwrap();
            let found = fetch(&tokens).ok().map(|fetch| fetch.motion);
            assert_eq!(found, expected, "{sql}");
        }
    }
}
