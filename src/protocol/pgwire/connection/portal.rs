//! Portals and cursors, which are the same thing by two doors: Bind and Execute, DECLARE and FETCH.
//!
//! Invariants: nothing is read before it is asked for, and little ahead of that. Between two fetches
//! a cursor holds its place at its sources and what its operators remember, and none among the
//! queries that run; after `limits.cursor_idle_timeout` it holds nothing.

use std::{sync::Arc, time::Duration};

use datafusion::scalar::ScalarValue;
use tokio::time::Instant;

use super::{Connection, End, Flow, PreparedStatement, Stop, write_all};
use crate::{
    engine::{Cursor, Fetch, RowStream, Statement},
    error::{Error, ErrorKind, Result},
    protocol::pgwire::{
        Encoder, Format,
        rows::{CHUNK_BYTES, RowSender},
        travel::Step,
    },
    session::{Answer, Rows},
};

pub(super) const MAX_PORTALS: usize = 100;

#[derive(Debug)]
pub(super) struct Portal {
    pub statement: Arc<PreparedStatement>,
    pub values: Vec<ScalarValue>,
    pub formats: Vec<Format>,
    pub state: PortalState,
    is_cursor: bool,
    /// How many savepoints there were when the transaction that still runs made it; `None`: it is
    /// older than that transaction.
    made_after: Option<usize>,
    /// When it was last used.
    since: Instant,
}

#[derive(Debug)]
pub(super) enum PortalState {
    Ready,
    Sending(Box<RowSender>),
    /// A FETCH of which the client has asked for a part only (Execute with a row limit).
    Fetching(Step),
    Done,
    Failed,
    /// Nobody has fetched from it for too long.
    Expired,
}

impl Portal {
    /// What Bind makes.
    pub fn bound(
        statement: Arc<PreparedStatement>,
        values: Vec<ScalarValue>,
        formats: Vec<Format>,
        savepoints: usize,
    ) -> Self {
        let (state, made_after) = (PortalState::Ready, Some(savepoints));
        let since = Instant::now();
        Self { statement, values, formats, state, is_cursor: false, made_after, since }
    }

    /// What DECLARE makes.
    fn declared(
        statement: Arc<PreparedStatement>,
        values: Vec<ScalarValue>,
        savepoints: usize,
    ) -> Self {
        Self { is_cursor: true, ..Self::bound(statement, values, Vec::new(), savepoints) }
    }

    pub fn cursor(&self) -> Option<&Cursor> {
        match self.statement.prepared.statement() {
            Statement::Declare(cursor) if self.is_cursor => Some(cursor),
            _ => None,
        }
    }

    /// Only a cursor WITH HOLD outlives its transaction, and then no other can roll it back.
    pub fn survives_commit(&mut self) -> bool {
        let is_held = self.cursor().is_some_and(|cursor| cursor.is_held);
        if is_held {
            self.made_after = None;
        }
        is_held
    }

    pub fn is_older_than(&self, savepoints: usize) -> bool {
        self.made_after.is_none_or(|made_after| made_after < savepoints)
    }

    pub fn outlive_savepoint(&mut self, index: usize) {
        self.made_after = self.made_after.map(|made_after| made_after.min(index));
    }

    /// Waits for its client.
    pub fn rest(&mut self) {
        self.since = Instant::now();
        if let PortalState::Sending(sender) = &mut self.state {
            sender.park();
        }
    }

    /// Takes its rows out; unless they are put back, it has failed.
    fn take(&mut self, name: &str) -> Result<Option<Box<RowSender>>> {
        match std::mem::replace(&mut self.state, PortalState::Failed) {
            PortalState::Ready => Ok(None),
            PortalState::Sending(sender) => Ok(Some(sender)),
            PortalState::Expired => {
                self.state = PortalState::Expired;
                Err(Error::new(
                    ErrorKind::NotReady,
                    format!("cursor \"{name}\" was closed: nobody fetched from it for too long"),
                )
                .with_hint("limits.cursor_idle_timeout says for how long a cursor may wait."))
            }
            PortalState::Fetching(_) | PortalState::Done | PortalState::Failed => {
                Err(Error::new(ErrorKind::NotReady, format!("portal \"{name}\" cannot be run")))
            }
        }
    }
}

impl Connection<'_> {
    /// DECLARE. The query is authorized now, and begins with the first FETCH.
    pub(super) async fn declare(
        &mut self,
        statement: &Arc<PreparedStatement>,
        values: Vec<ScalarValue>,
    ) -> Flow {
        let Statement::Declare(cursor) = statement.prepared.statement() else {
            return Err(Error::internal("a cursor that was not declared").into());
        };
        if !cursor.is_held {
            self.require_block("DECLARE CURSOR")?;
        }
        self.room_for_portal(&cursor.name)?;
        self.session.check(&statement.prepared, values.clone()).await?;
        let portal = Portal::declared(Arc::clone(statement), values, self.savepoints.len());
        self.portals.insert(cursor.name.clone(), portal);
        Ok(self.replies.command_complete("DECLARE CURSOR")?)
    }

    pub(super) fn room_for_portal(&self, name: &str) -> Result<()> {
        if !name.is_empty() && self.portals.contains_key(name) {
            return Err(Error::new(
                ErrorKind::DuplicateCursor,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if self.portals.len() >= MAX_PORTALS {
            return Err(Error::new(
                ErrorKind::ProgramLimitExceeded,
                format!("at most {MAX_PORTALS} portals can be open at once"),
            ));
        }
        Ok(())
    }

    pub(super) fn close_cursor(&mut self, name: Option<&String>) -> Flow {
        let tag = match name {
            Some(name) => {
                self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
                "CLOSE CURSOR"
            }
            None => {
                self.portals.clear();
                "CLOSE CURSOR ALL"
            }
        };
        Ok(self.replies.command_complete(tag)?)
    }

    /// FETCH and MOVE, of which at most `limit` rows are sent; what is left of them.
    pub(super) async fn fetch(
        &mut self,
        fetch: &Fetch,
        formats: Option<&[Format]>,
        limit: Option<u64>,
        left: Option<Step>,
    ) -> Flow<Option<Step>> {
        let name = &fetch.cursor;
        let mut portal = self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
        let outcome = self.fetch_from(&mut portal, fetch, formats, limit, left).await;
        portal.rest();
        self.portals.insert(name.clone(), portal);
        outcome
    }

    async fn fetch_from(
        &mut self,
        portal: &mut Portal,
        fetch: &Fetch,
        formats: Option<&[Format]>,
        limit: Option<u64>,
        left: Option<Step>,
    ) -> Flow<Option<Step>> {
        let mut sender = self.rows_of(portal, &fetch.cursor).await?;
        let way = match left {
            Some(step) => vec![step],
            None => sender.position.way(fetch, sender.can_scroll())?,
        };
        if !fetch.is_move {
            let is_binary = portal.cursor().is_some_and(|cursor| cursor.is_binary);
            let own = if is_binary { &[Format::Binary][..] } else { &[] };
            let schema = portal.statement.prepared.schema();
            let encoder = Encoder::new(schema, formats.unwrap_or(own), self.zone()?)?;
            // A client of the simple protocol is told of the columns each time.
            if formats.is_none() {
                self.replies.rows(encoder.columns())?;
            }
            sender.write_with(encoder);
        }
        let (passed, left) = self.travel(&mut sender, &way, limit).await?;
        portal.state = PortalState::Sending(sender);
        if left.is_none() {
            let command = if fetch.is_move { "MOVE" } else { "FETCH" };
            self.replies.command_complete(format!("{command} {passed}"))?;
        }
        Ok(left)
    }

    /// A portal's rows, from where they were left; the first time they are asked for, its query
    /// begins.
    pub(super) async fn rows_of(
        &mut self,
        portal: &mut Portal,
        name: &str,
    ) -> Flow<Box<RowSender>> {
        if let Some(mut sender) = portal.take(name)? {
            sender.resume(&self.session).await?;
            return Ok(sender);
        }
        let prepared = &portal.statement.prepared;
        if portal.cursor().is_none() && !prepared.returns_rows() {
            return Err(Error::new(
                ErrorKind::NotReady,
                format!("portal \"{name}\" has no rows to fetch"),
            )
            .into());
        }
        let values = std::mem::take(&mut portal.values);
        let Answer::Rows(rows) = self.session.execute(prepared, values).await? else {
            return Err(Error::internal("a cursor without rows").into());
        };
        let mut sender =
            RowSender::rows(self.guarded(rows), prepared.schema(), &portal.formats, self.zone()?)?;
        if portal.cursor().is_some_and(|cursor| cursor.can_scroll) {
            sender = sender.scrolling(self.session.cursor_memory());
        }
        Ok(Box::new(sender))
    }

    /// Goes along; the rows that the last step has passed, and what is left of it by the limit.
    async fn travel(
        &mut self,
        sender: &mut RowSender,
        way: &[Step],
        limit: Option<u64>,
    ) -> Flow<(u64, Option<Step>)> {
        let mut passed = 0;
        for step in way {
            match *step {
                Step::ToStart => {
                    sender.position = Default::default();
                    sender.seek(0);
                }
                Step::Passed(rows) => passed = rows,
                Step::Forward { count, shows } => {
                    let most = least(count, limit.filter(|_| shows));
                    passed = self.forward(sender, most, shows).await?;
                    if most != count && Some(passed) == most {
                        let count = count.map(|count| count - passed);
                        return Ok((passed, Some(Step::Forward { count, shows })));
                    }
                }
                Step::Backward { count, shows } => {
                    let most = least(count, limit.filter(|_| shows));
                    passed = self.backward(sender, most, shows).await?;
                    if most != count && Some(passed) == most {
                        let count = count.map(|count| count - passed);
                        return Ok((passed, Some(Step::Backward { count, shows })));
                    }
                }
            }
        }
        Ok((passed, None))
    }

    /// Sends (or passes over) at most `count` rows. Watches for the client's end, and lets neither
    /// a slow query nor a slow client outlive the statement's timeout.
    pub(super) async fn forward(
        &mut self,
        sender: &mut RowSender,
        count: Option<u64>,
        shows: bool,
    ) -> Flow<u64> {
        if sender.position.at_end {
            return Ok(0);
        }
        let most = count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
        let mut passed = 0;
        while passed < most && !sender.is_finished() {
            tokio::select! {
                biased;
                filled = sender.fill() => filled?,
                () = self.reader.disconnected() => return Err(Stop::Connection(End::Left)),
            }
            passed += sender.encode(most - passed, shows, &mut self.replies.buffer)?;
            self.send_chunk(sender).await?;
        }
        let passed = passed as u64;
        sender.position.went_forward(count, passed);
        Ok(passed)
    }

    async fn backward(
        &mut self,
        sender: &mut RowSender,
        count: Option<u64>,
        shows: bool,
    ) -> Flow<u64> {
        if sender.position.at_start {
            return Ok(0);
        }
        let before = sender.position.rows_before();
        let passed = count.unwrap_or(u64::MAX).min(before);
        if shows {
            for row in (before - passed..before).rev() {
                sender.encode_kept(row as usize, &mut self.replies.buffer)?;
                self.send_chunk(sender).await?;
            }
        }
        sender.position.went_backward(count, passed);
        let position = sender.position;
        let next = if position.at_start { 0 } else { position.row };
        sender.seek(next as usize);
        Ok(passed)
    }

    /// Writes what there is, if it is much.
    async fn send_chunk(&mut self, sender: &mut RowSender) -> Flow {
        if self.replies.buffer.len() < CHUNK_BYTES {
            return Ok(());
        }
        let write = write_all(&mut self.writer, &self.replies.buffer);
        if let Err(error) = sender.hold(write).await {
            // Part of a message may be written: nothing more can be said.
            error.log();
            return Err(Stop::Connection(End::Left));
        }
        self.replies.buffer.clear();
        Ok(())
    }

    /// Rows that end when the session must.
    pub(super) fn guarded(&self, rows: Rows) -> Rows {
        match rows {
            Rows::Stream(stream) => Rows::Stream(self.watched(stream)),
            batch @ Rows::Batch(..) => batch,
        }
    }

    pub(super) fn watched(&self, rows: RowStream) -> RowStream {
        let standing = self.standing.clone();
        rows.watched(move || standing.check())
    }

    /// When the next portal has waited for too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let timeout = self.door.cursor_idle_timeout?;
        let waiting = self.portals.values().filter(|portal| portal.is_waiting());
        waiting.map(|portal| portal.since).min().map(|since| since + timeout)
    }

    /// Takes from portals what they hold, if their client does not come back to them.
    pub(super) fn expire_portals(&mut self) {
        let timeout = self.door.cursor_idle_timeout.unwrap_or(Duration::MAX);
        for portal in self.portals.values_mut() {
            if portal.is_waiting() && portal.since.elapsed() >= timeout {
                portal.state = PortalState::Expired;
            }
        }
    }
}

impl Portal {
    fn is_waiting(&self) -> bool {
        matches!(self.state, PortalState::Sending(_))
    }
}

fn least(count: Option<u64>, limit: Option<u64>) -> Option<u64> {
    match (count, limit) {
        (Some(count), Some(limit)) => Some(count.min(limit)),
        (count, limit) => count.or(limit),
    }
}

fn no_cursor(name: &str) -> Error {
    Error::new(ErrorKind::InvalidCursorName, format!("cursor \"{name}\" does not exist"))
}
