//! Transactions: which statements stand and fall together.
//!
//! Every statement reads, so only the session's own state follows them: settings, portals, cursors.

use super::{Connection, Flow};
use crate::{
    engine::{Discard, Statement, Transaction},
    error::{Error, ErrorKind, Result},
    session::Changes,
};

pub(super) const MAX_SAVEPOINTS: usize = 1000;
/// Savepoints between which settings changed, each of which keeps a copy of them.
const MAX_CHANGED_SAVEPOINTS: usize = 50;

/// What a statement is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Of nothing larger: a message is a transaction, or all up to Sync is.
    Single,
    /// Of a message with several statements.
    Implicit,
    /// Of a transaction that BEGIN has opened.
    Open,
    /// Of one that has failed, and waits for ROLLBACK.
    Failed,
}

#[derive(Debug)]
pub(super) struct Savepoint {
    name: String,
    settings: Changes,
}

impl Connection<'_> {
    /// A client's message arrives, or the first one since Sync.
    pub(super) fn begin_command(&mut self) {
        if self.is_in_command {
            return;
        }
        self.is_in_command = true;
        self.session.begin_statement();
        if self.block == Block::Single {
            self.session.settings().begin();
        }
    }

    /// Sync, or the end of a simple query: what no BEGIN has opened is over.
    pub(super) fn end_command(&mut self) {
        self.is_in_command = false;
        if matches!(self.block, Block::Single | Block::Implicit) {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.session.settings().commit();
        self.portals.retain(|_, portal| portal.survives_commit());
        self.savepoints.clear();
        self.block = Block::Single;
    }

    pub(super) fn roll_back(&mut self) {
        self.session.settings().roll_back();
        self.portals.retain(|_, portal| portal.is_older_than(0));
        self.savepoints.clear();
        self.block = Block::Single;
    }

    /// After one transaction another may begin within the same message.
    fn next_transaction(&mut self, chains: bool) {
        self.session.settings().begin();
        if chains {
            self.block = Block::Open;
        }
    }

    pub(super) fn refuse_in_failed_transaction(&self, statement: &Statement) -> Result<()> {
        let ends_it = matches!(
            statement,
            Statement::Transaction(
                Transaction::Commit { .. }
                    | Transaction::Rollback { .. }
                    | Transaction::RollbackTo(_)
            ) | Statement::Empty
        );
        if self.block == Block::Failed && !ends_it {
            return Err(Error::new(
                ErrorKind::FailedTransaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    pub(super) fn transaction(&mut self, transaction: &Transaction) -> Flow {
        let tag = match transaction {
            Transaction::Begin { isolation, is_start } => {
                if self.is_open() {
                    let message = "there is already a transaction in progress";
                    self.warn(ErrorKind::ActiveTransaction, message)?;
                }
                self.block = Block::Open;
                self.set_isolation("transaction_isolation", *isolation, true)?;
                if *is_start { "START TRANSACTION" } else { "BEGIN" }
            }
            Transaction::Commit { chains } | Transaction::Rollback { chains } => {
                let commits = matches!(transaction, Transaction::Commit { .. });
                let command = if commits { "COMMIT" } else { "ROLLBACK" };
                if !self.is_open() {
                    if *chains {
                        self.require_open(&format!("{command} AND CHAIN"))?;
                    }
                    let message = "there is no transaction in progress";
                    self.warn(ErrorKind::NoActiveTransaction, message)?;
                }
                let isolation = self.session.settings().get("transaction_isolation")?;
                let tag = if commits && self.block != Block::Failed {
                    self.commit();
                    command
                } else {
                    self.roll_back();
                    "ROLLBACK"
                };
                self.next_transaction(*chains);
                if *chains {
                    self.set_isolation("transaction_isolation", Some(&isolation), true)?;
                }
                tag
            }
            Transaction::Savepoint(name) => {
                self.require_open("SAVEPOINT")?;
                self.save(name)?;
                "SAVEPOINT"
            }
            Transaction::Release(name) => {
                self.require_open("RELEASE SAVEPOINT")?;
                let index = self.savepoint(name)?;
                self.savepoints.truncate(index);
                for portal in self.portals.values_mut() {
                    portal.outlive_savepoint(index);
                }
                "RELEASE"
            }
            Transaction::RollbackTo(name) => {
                self.require_open("ROLLBACK TO SAVEPOINT")?;
                let index = self.savepoint(name)?;
                self.savepoints.truncate(index + 1);
                self.session.settings().go_back(self.savepoints[index].settings.clone());
                self.portals.retain(|_, portal| portal.is_older_than(index + 1));
                self.block = Block::Open;
                "ROLLBACK"
            }
            Transaction::Set { isolation } => {
                if !self.is_open() && self.block == Block::Single {
                    let message = "SET TRANSACTION can only be used in transaction blocks";
                    self.warn(ErrorKind::NoActiveTransaction, message)?;
                }
                self.set_isolation("transaction_isolation", *isolation, true)?;
                "SET"
            }
            Transaction::SetDefault { isolation } => {
                self.set_isolation("default_transaction_isolation", *isolation, false)?;
                "SET"
            }
        };
        Ok(self.replies.command_complete(tag)?)
    }

    /// Has BEGIN opened a transaction, whether it failed since or not?
    fn is_open(&self) -> bool {
        matches!(self.block, Block::Open | Block::Failed)
    }

    fn set_isolation(&self, name: &str, isolation: Option<&str>, is_local: bool) -> Result<()> {
        match isolation {
            Some(isolation) => self.session.settings().set(name, isolation, is_local),
            None => Ok(()),
        }
    }

    fn require_open(&self, command: &str) -> Result<()> {
        if self.is_open() { Ok(()) } else { Err(outside_transaction(command)) }
    }

    /// For what may also stand among several statements of one message.
    pub(super) fn require_block(&self, command: &str) -> Result<()> {
        if self.block == Block::Single { Err(outside_transaction(command)) } else { Ok(()) }
    }

    fn save(&mut self, name: &str) -> Result<()> {
        let settings = self.session.settings().changes();
        let pairs = self.savepoints.windows(2);
        let changed = pairs.filter(|pair| !pair[0].settings.is_same(&pair[1].settings)).count();
        if self.savepoints.len() >= MAX_SAVEPOINTS || changed >= MAX_CHANGED_SAVEPOINTS {
            let message = format!(
                "at most {MAX_SAVEPOINTS} savepoints can be open, and {MAX_CHANGED_SAVEPOINTS} \
                 with settings of their own"
            );
            return Err(Error::new(ErrorKind::ProgramLimitExceeded, message));
        }
        self.savepoints.push(Savepoint { name: name.to_owned(), settings });
        Ok(())
    }

    fn savepoint(&self, name: &str) -> Result<usize> {
        self.savepoints.iter().rposition(|known| known.name == name).ok_or_else(|| {
            Error::new(ErrorKind::InvalidSavepoint, format!("savepoint \"{name}\" does not exist"))
        })
    }

    pub(super) fn discard(&mut self, what: Discard) -> Flow {
        let tag = match what {
            Discard::All if self.block != Block::Single => {
                return Err(Error::new(
                    ErrorKind::ActiveTransaction,
                    "DISCARD ALL cannot run inside a transaction block",
                )
                .into());
            }
            Discard::All => {
                self.portals.clear();
                self.statements.clear();
                self.session.settings().reset_all();
                "DISCARD ALL"
            }
            // Plans are made anew when what they rest on changes, and there are no sequences.
            Discard::Plans => "DISCARD PLANS",
            Discard::Sequences => "DISCARD SEQUENCES",
            Discard::Temp => "DISCARD TEMP",
        };
        Ok(self.replies.command_complete(tag)?)
    }
}

fn outside_transaction(command: &str) -> Error {
    Error::new(
        ErrorKind::NoActiveTransaction,
        format!("{command} can only be used in transaction blocks"),
    )
}
