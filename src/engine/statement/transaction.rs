//! BEGIN to ROLLBACK, and the properties of transactions.
//!
//! Transactions only group: every statement reads, and reads what its sources hold then. So every
//! isolation is accepted and remembered, and READ WRITE too: a statement that writes is refused.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Words;
use crate::error::{Error, ErrorKind, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    /// With its isolation, if the client says one; START TRANSACTION has a tag of its own.
    Begin {
        isolation: Option<&'static str>,
        is_start: bool,
    },
    Commit {
        chains: bool,
    },
    Rollback {
        chains: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// `SET TRANSACTION`.
    Set {
        isolation: Option<&'static str>,
    },
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION`.
    SetDefault {
        isolation: Option<&'static str>,
    },
}

/// `None` when the statement is something else.
pub(super) fn transaction(tokens: &[TokenWithSpan]) -> Result<Option<Transaction>> {
    let mut words = Words::new(tokens);
    let block = |words: &mut Words<'_>| {
        words.take_any(&["WORK", "TRANSACTION"]);
    };
    let found = match words.keyword().as_str() {
        "BEGIN" => {
            words.next();
            block(&mut words);
            Transaction::Begin { isolation: modes(&mut words)?, is_start: false }
        }
        "START" => {
            words.expect("START TRANSACTION")?;
            Transaction::Begin { isolation: modes(&mut words)?, is_start: true }
        }
        "COMMIT" | "END" => {
            words.next();
            if words.take("PREPARED") {
                return Err(no_two_phases());
            }
            block(&mut words);
            Transaction::Commit { chains: chains(&mut words)? }
        }
        "ROLLBACK" | "ABORT" => {
            words.next();
            if words.take("PREPARED") {
                return Err(no_two_phases());
            }
            block(&mut words);
            if words.take("TO") {
                words.take("SAVEPOINT");
                Transaction::RollbackTo(words.name()?)
            } else {
                Transaction::Rollback { chains: chains(&mut words)? }
            }
        }
        "SAVEPOINT" => {
            words.next();
            Transaction::Savepoint(words.name()?)
        }
        "RELEASE" => {
            words.next();
            words.take("SAVEPOINT");
            Transaction::Release(words.name()?)
        }
        "PREPARE" if words.take("PREPARE TRANSACTION") => return Err(no_two_phases()),
        "SET" if words.take("SET SESSION CHARACTERISTICS AS TRANSACTION") => {
            Transaction::SetDefault { isolation: required_modes(&mut words)? }
        }
        "SET" if words.take("SET TRANSACTION SNAPSHOT") => {
            return Err(Error::new(ErrorKind::NotSupported, "snapshots are not supported"));
        }
        "SET" if words.take_any(&["SET TRANSACTION", "SET LOCAL TRANSACTION"]).is_some() => {
            Transaction::Set { isolation: required_modes(&mut words)? }
        }
        _ => return Ok(None),
    };
    words.end()?;
    Ok(Some(found))
}

fn no_two_phases() -> Error {
    Error::new(ErrorKind::NotSupported, "two-phase commit is not supported")
}

fn chains(words: &mut Words<'_>) -> Result<bool> {
    if !words.take("AND") {
        return Ok(false);
    }
    let chains = !words.take("NO");
    words.expect("CHAIN")?;
    Ok(chains)
}

fn required_modes(words: &mut Words<'_>) -> Result<Option<&'static str>> {
    if words.is_at_end() { Err(words.unexpected()) } else { modes(words) }
}

/// Modes with or without commas between them; the isolation among them.
fn modes(words: &mut Words<'_>) -> Result<Option<&'static str>> {
    const OTHERS: &[&str] = &["READ ONLY", "READ WRITE", "NOT DEFERRABLE", "DEFERRABLE"];
    let mut isolation = None;
    let mut is_required = false;
    while is_required || !words.is_at_end() {
        if words.take("ISOLATION LEVEL") {
            isolation = Some(level(words)?);
        } else if words.take_any(OTHERS).is_none() {
            return Err(words.unexpected());
        }
        is_required = words.take_token(&Token::Comma);
    }
    Ok(isolation)
}

fn level(words: &mut Words<'_>) -> Result<&'static str> {
    match words.take_any(&["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
    {
        Some("READ UNCOMMITTED") => Ok("read uncommitted"),
        Some("READ COMMITTED") => Ok("read committed"),
        Some("REPEATABLE READ") => Ok("repeatable read"),
        Some("SERIALIZABLE") => Ok("serializable"),
        _ => Err(words.unexpected()),
    }
}
