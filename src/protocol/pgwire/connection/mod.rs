//! One client's messages, answered in their order.

mod portal;
mod prepared;
mod transaction;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arrow::datatypes::SchemaRef;
use pgwire::messages::response::TransactionStatus;
use tokio::{
    io::{AsyncWriteExt, WriteHalf},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Encoder, Format, FrameReader, Frontend, Login, PostgresDoor, Target, Zone,
    reply::{Done, Replies},
    rows::{CHUNK_BYTES, RowSender},
    startup::encode_fatal,
    travel::Step,
};
use crate::{
    engine::Statement,
    error::{Error, ErrorKind, Result},
    protocol::{standing::Standing, tls::Transport},
    session::{Answer, Prepared, Registered, Session, SessionOptions},
    telemetry::Door,
};

use portal::{Portal, PortalState};
use prepared::PreparedStatement;
use transaction::{Block, Savepoint};

/// How long a client may take to read why its session ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// One client's session on the Postgres door.
pub(super) struct Connection<'a> {
    door: &'a PostgresDoor,
    standing: Standing,
    session: Arc<Session>,
    registered: Registered,
    reader: FrameReader<tokio::io::ReadHalf<Transport>>,
    writer: WriteHalf<Transport>,
    replies: Replies,
    /// What the client was last told of the settings.
    reported: Vec<(&'static str, String)>,
    statements: HashMap<String, Arc<PreparedStatement>>,
    portals: HashMap<String, Portal>,
    block: Block,
    savepoints: Vec<Savepoint>,
    /// Between the first message and ReadyForQuery.
    is_in_command: bool,
    /// After an error in the extended protocol, everything up to Sync is skipped.
    skips_to_sync: bool,
}

/// Why a connection ends.
enum End {
    /// The client closed it, or it broke.
    Left,
    /// The client is told first.
    Fatal(Error),
}

type Flow<T = ()> = std::result::Result<T, Stop>;

/// Why work on a message stops.
enum Stop {
    Statement(Error),
    Connection(End),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Statement(error)
    }
}

impl<'a> Connection<'a> {
    /// Serves one client from AuthenticationOk to its end.
    pub async fn run(door: &'a PostgresDoor, login: Login, shutdown: CancellationToken) {
        let Login { principal, parameters, reader, mut writer, peer, slot, .. } = login;
        let _slot = slot;
        let standing = Standing {
            authenticator: Arc::clone(&door.startup.authenticator),
            engine: Arc::clone(&door.engine),
            principal: Arc::new(principal.clone()),
            door: Door::Postgres,
            peer: peer.ip(),
        };
        if let Err(error) = standing.check() {
            error.log();
            return say_goodbye(&mut writer, &error).await;
        }
        let secret_bytes = parameters.secret_bytes();
        let options = SessionOptions {
            principal,
            door: Door::Postgres,
            database: parameters.database.unwrap_or_default(),
            settings: parameters.settings.into_iter().collect(),
            max_statement_timeout: door.max_statement_timeout,
        };
        let opened = Session::open(Arc::clone(&door.engine), door.metrics.clone(), options)
            .map(Arc::new)
            .and_then(|session| {
                let registered = door.sessions.register(&session, secret_bytes)?;
                Ok((registered, session))
            });
        let (registered, session) = match opened {
            Ok(opened) => opened,
            Err(error) => return say_goodbye(&mut writer, &error).await,
        };
        tracing::info!(%peer, principal = %session.principal().name, "session begins");
        let mut connection = Self {
            door,
            standing,
            session,
            registered,
            reader,
            writer,
            replies: Replies::default(),
            reported: Vec::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            block: Block::Single,
            savepoints: Vec::new(),
            is_in_command: false,
            skips_to_sync: false,
        };
        let end = match connection.greet().await {
            Ok(()) => connection.serve(&shutdown).await,
            Err(Stop::Connection(end)) => end,
            Err(Stop::Statement(error)) => End::Fatal(error),
        };
        if let End::Fatal(error) = end {
            error.log();
            say_goodbye(&mut connection.writer, &error).await;
        }
        tracing::info!(%peer, principal = %connection.session.principal().name, "session ends");
    }

    async fn greet(&mut self) -> Flow {
        self.report_settings()?;
        self.replies.key(&self.registered.key)?;
        self.replies.ready(self.status())?;
        self.flush().await
    }

    fn status(&self) -> TransactionStatus {
        match self.block {
            Block::Single | Block::Implicit => TransactionStatus::Idle,
            Block::Open => TransactionStatus::Transaction,
            Block::Failed => TransactionStatus::Error,
        }
    }

    /// Answers messages until the client leaves, idles too long, or the server shuts down.
    async fn serve(&mut self, shutdown: &CancellationToken) -> End {
        loop {
            let message = tokio::select! {
                biased;
                () = shutdown.cancelled() => return End::Fatal(Error::new(
                    ErrorKind::ShuttingDown,
                    "terminating connection due to administrator command",
                )),
                message = self.next_message() => message,
            };
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return End::Left,
                Err(error) => return End::Fatal(error),
            };
            match self.answer(message).await {
                Ok(()) => {}
                Err(Stop::Connection(end)) => return end,
                Err(Stop::Statement(error)) => return End::Fatal(error),
            }
        }
    }

    /// Meanwhile cursors may wait too long, and the client itself.
    async fn next_message(&mut self) -> Result<Option<Frontend>> {
        let began = Instant::now();
        loop {
            let idle = self.door.idle_timeout.unwrap_or(Duration::MAX);
            let expiry = self.next_expiry();
            let expired = async {
                match expiry {
                    Some(expiry) => tokio::time::sleep_until(expiry).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                message = self.reader.next() => return message,
                () = expired => {}
                () = tokio::time::sleep(idle.saturating_sub(began.elapsed())) => {
                    return Err(Error::new(
                        ErrorKind::ShuttingDown,
                        "terminating connection due to idle-session timeout",
                    ));
                }
            }
            self.expire_portals();
        }
    }

    async fn answer(&mut self, message: Frontend) -> Flow {
        if let Frontend::Terminate = message {
            return Err(Stop::Connection(End::Left));
        }
        if self.skips_to_sync && !matches!(message, Frontend::Sync) {
            return Ok(());
        }
        self.standing.check().map_err(|error| Stop::Connection(End::Fatal(error)))?;
        let is_simple = matches!(message, Frontend::Query(_));
        let is_extended = matches!(
            message,
            Frontend::Parse { .. }
                | Frontend::Bind(_)
                | Frontend::Describe { .. }
                | Frontend::Execute { .. }
                | Frontend::Close { .. }
        );
        if is_simple || is_extended {
            self.begin_command();
        }
        let outcome = match message {
            Frontend::Query(sql) => return self.simple(&sql).await,
            Frontend::Parse { name, sql, parameter_types } => {
                self.parse(name, &sql, &parameter_types).await
            }
            Frontend::Bind(bind) => self.bind(bind),
            Frontend::Describe { target, name } => self.describe(target, &name),
            Frontend::Execute { portal, max_rows } => self.execute(&portal, max_rows).await,
            Frontend::Close { target, name } => self.close(target, &name),
            Frontend::Flush => return self.flush().await,
            Frontend::Sync => return self.sync().await,
            // COPY FROM is refused, so this is what a client sent before it heard of that.
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) => return Ok(()),
            Frontend::FunctionCall => {
                let error = Error::new(ErrorKind::NotSupported, "function calls are not supported");
                self.fail(&error)?;
                return self.ready().await;
            }
            Frontend::Malformed { message, error } => {
                self.fail(&error)?;
                match message {
                    b'P' | b'B' | b'D' | b'E' | b'C' => self.skips_to_sync = true,
                    _ => return self.ready().await,
                }
                return self.flush().await;
            }
            Frontend::Terminate => return Err(Stop::Connection(End::Left)),
        };
        match outcome {
            Ok(()) if self.replies.buffer.len() < CHUNK_BYTES => Ok(()),
            Ok(()) => self.flush().await,
            Err(Stop::Statement(error)) => {
                self.fail(&error)?;
                self.skips_to_sync = is_extended;
                // At once: a client that sent Flush, and no Sync, waits for it.
                self.flush().await
            }
            Err(stop) => Err(stop),
        }
    }

    /// Tells the client of a failed statement; its transaction fails with it.
    fn fail(&mut self, error: &Error) -> Flow {
        error.log();
        match self.block {
            Block::Single | Block::Implicit => self.roll_back(),
            Block::Open | Block::Failed => self.block = Block::Failed,
        }
        Ok(self.replies.error(error)?)
    }

    async fn ready(&mut self) -> Flow {
        self.end_command();
        self.report_settings()?;
        self.replies.ready(self.status())?;
        self.flush().await
    }

    async fn simple(&mut self, sql: &str) -> Flow {
        // As in PostgreSQL, what has no name does not outlive another query.
        self.statements.remove("");
        self.portals.remove("");
        match self.simple_statements(sql).await {
            Ok(()) => {}
            Err(Stop::Statement(error)) => self.fail(&error)?,
            Err(stop) => return Err(stop),
        }
        self.ready().await
    }

    async fn simple_statements(&mut self, sql: &str) -> Flow {
        let statements = self.session.parse(sql).await?;
        if statements.is_empty() {
            self.replies.done(Done::EmptyQuery)?;
        }
        let is_one = statements.len() == 1;
        for statement in statements {
            if self.block == Block::Single && !is_one {
                self.block = Block::Implicit;
            }
            self.refuse_in_failed_transaction(&statement)?;
            let prepared = self.session.prepare(statement, Vec::new()).await?;
            if !prepared.parameters().is_empty() {
                return Err(no_parameter().into());
            }
            self.run_whole(PreparedStatement::new(prepared, &[])).await?;
            self.report_settings()?;
        }
        Ok(())
    }

    /// Runs one statement of the simple protocol, from its columns to its tag.
    async fn run_whole(&mut self, statement: PreparedStatement) -> Flow {
        let statement = Arc::new(statement);
        let (statement, values) = match statement.prepared.statement() {
            Statement::Declare(_) => return self.declare(&statement, Vec::new()).await,
            Statement::Fetch(fetch) => {
                return self.fetch(fetch, None, None, None).await.map(|_| ());
            }
            Statement::Execute(execute) => self.bound_by(execute).await?,
            _ => (statement, Vec::new()),
        };
        let prepared = &statement.prepared;
        let answer = self.session.execute(prepared, values).await?;
        if let Some(mut sender) = self.begin_answer(answer, prepared, &[], true).await? {
            let rows = self.forward(&mut sender, None, true).await?;
            self.end_rows(&sender, rows)?;
        }
        Ok(())
    }

    /// Starts the answer to one execution; `None` when it is complete already.
    async fn begin_answer(
        &mut self,
        answer: Answer,
        prepared: &Prepared,
        formats: &[Format],
        describes: bool,
    ) -> Flow<Option<RowSender>> {
        match answer {
            Answer::Rows(rows) => {
                let rows = self.guarded(rows);
                let zone = self.zone()?;
                if describes {
                    let encoder = Encoder::new(prepared.schema(), formats, zone.clone())?;
                    self.replies.rows(encoder.columns())?;
                }
                Ok(Some(RowSender::rows(rows, prepared.schema(), formats, zone)?))
            }
            Answer::Copy(options, stream) => {
                let sender = RowSender::copy(self.watched(stream), &options, self.zone()?)?;
                self.replies.copy_out(sender.copy_formats().unwrap_or_default())?;
                sender.header(&mut self.replies.buffer)?;
                Ok(Some(sender))
            }
            Answer::Door(statement) => {
                self.own_statement(&statement).await?;
                Ok(None)
            }
            Answer::Done(tag) => {
                if let Statement::Set(setting) = prepared.statement()
                    && setting.is_local
                    && self.block == Block::Single
                {
                    let message = "SET LOCAL can only be used in transaction blocks";
                    self.warn(ErrorKind::NoActiveTransaction, message)?;
                }
                self.replies.command_complete(tag)?;
                Ok(None)
            }
            Answer::Empty => {
                self.replies.done(Done::EmptyQuery)?;
                Ok(None)
            }
        }
    }

    fn end_rows(&mut self, sender: &RowSender, rows: u64) -> Flow {
        if sender.copy_formats().is_some() {
            sender.trailer(&mut self.replies.buffer)?;
            self.replies.done(Done::Copy)?;
        }
        Ok(self.replies.command_complete(sender.tag(rows))?)
    }

    fn describe(&mut self, target: Target, name: &str) -> Flow {
        let (schema, formats) = match target {
            Target::Statement => {
                let statement = Arc::clone(self.statement(name)?);
                self.replies.parameters(statement.parameter_oids.clone())?;
                (self.columns_of(&statement.prepared), Vec::new())
            }
            Target::Portal => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (self.columns_of_portal(portal), portal.formats.clone())
            }
        };
        let Some(schema) = schema else { return Ok(self.replies.done(Done::NoData)?) };
        let encoder = Encoder::new(&schema, &formats, self.zone()?)?;
        Ok(self.replies.rows(encoder.columns())?)
    }

    /// The columns of the rows that a statement answers with: FETCH has its cursor's, and EXECUTE
    /// its statement's.
    fn columns_of(&self, prepared: &Prepared) -> Option<SchemaRef> {
        match prepared.statement() {
            Statement::Fetch(fetch) if fetch.is_move => None,
            Statement::Fetch(fetch) => self.columns_of_portal(self.portals.get(&fetch.cursor)?),
            Statement::Execute(execute) => {
                let prepared = &self.statements.get(&execute.name)?.prepared;
                prepared.returns_rows().then(|| Arc::clone(prepared.schema()))
            }
            _ => prepared.returns_rows().then(|| Arc::clone(prepared.schema())),
        }
    }

    fn columns_of_portal(&self, portal: &Portal) -> Option<SchemaRef> {
        let prepared = &portal.statement.prepared;
        match portal.cursor() {
            Some(_) => Some(Arc::clone(prepared.schema())),
            None => self.columns_of(prepared),
        }
    }

    async fn execute(&mut self, name: &str, max_rows: u32) -> Flow {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let limit = (max_rows > 0).then(|| u64::from(max_rows));
        let outcome = self.execute_portal(name, &mut portal, limit).await;
        portal.rest();
        self.portals.insert(name.to_owned(), portal);
        outcome?;
        Ok(self.report_settings()?)
    }

    async fn execute_portal(
        &mut self,
        name: &str,
        portal: &mut Portal,
        limit: Option<u64>,
    ) -> Flow {
        let mut statement = Arc::clone(&portal.statement);
        self.refuse_in_failed_transaction(statement.prepared.statement())?;
        if portal.cursor().is_none() && matches!(portal.state, PortalState::Ready) {
            let mut values = std::mem::take(&mut portal.values);
            // Unless it is done, it has failed.
            portal.state = PortalState::Failed;
            match statement.prepared.statement() {
                Statement::Declare(_) => {
                    self.declare(&statement, values).await?;
                    portal.state = PortalState::Done;
                    return Ok(());
                }
                Statement::Fetch(_) => return self.execute_fetch(portal, limit, None).await,
                Statement::Execute(execute) => (statement, values) = self.bound_by(execute).await?,
                _ => {}
            }
            let prepared = &statement.prepared;
            let answer = self.session.execute(prepared, values).await?;
            match self.begin_answer(answer, prepared, &portal.formats, false).await? {
                Some(sender) => portal.state = PortalState::Sending(Box::new(sender)),
                None => {
                    portal.state = PortalState::Done;
                    return Ok(());
                }
            }
        } else if let PortalState::Fetching(step) = portal.state {
            return self.execute_fetch(portal, limit, Some(step)).await;
        }
        let mut sender = self.rows_of(portal, name).await?;
        // A FETCH by name may have asked for them otherwise.
        if sender.copy_formats().is_none() {
            let schema = statement.prepared.schema();
            sender.write_with(Encoder::new(schema, &portal.formats, self.zone()?)?);
        }
        let limit = limit.filter(|_| sender.copy_formats().is_none());
        let rows = self.forward(&mut sender, limit, true).await?;
        if Some(rows) == limit && !sender.position.at_end {
            portal.state = PortalState::Sending(sender);
            return Ok(self.replies.done(Done::PortalSuspended)?);
        }
        self.end_rows(&sender, rows)?;
        portal.state = match sender.copy_formats() {
            None => PortalState::Sending(sender),
            Some(_) => PortalState::Done,
        };
        Ok(())
    }

    /// Runs a FETCH as a portal of its own, which may be asked for in parts.
    async fn execute_fetch(
        &mut self,
        portal: &mut Portal,
        limit: Option<u64>,
        left: Option<Step>,
    ) -> Flow {
        portal.state = PortalState::Failed;
        let statement = Arc::clone(&portal.statement);
        let Statement::Fetch(fetch) = statement.prepared.statement() else {
            return Err(Error::internal("a portal that does not fetch").into());
        };
        let left = self.fetch(fetch, Some(&portal.formats), limit, left).await?;
        portal.state = match left {
            Some(step) => {
                self.replies.done(Done::PortalSuspended)?;
                PortalState::Fetching(step)
            }
            None => PortalState::Done,
        };
        Ok(())
    }

    fn close(&mut self, target: Target, name: &str) -> Flow {
        // Closing what does not exist is no error.
        match target {
            Target::Statement => {
                self.statements.remove(name);
            }
            Target::Portal => {
                self.portals.remove(name);
            }
        }
        Ok(self.replies.done(Done::Close)?)
    }

    async fn sync(&mut self) -> Flow {
        self.skips_to_sync = false;
        self.ready().await
    }

    /// Statements about the connection itself.
    async fn own_statement(&mut self, statement: &Statement) -> Flow {
        match statement {
            Statement::Transaction(transaction) => self.transaction(transaction),
            Statement::Discard(what) => self.discard(*what),
            Statement::Close(name) => self.close_cursor(name.as_ref()),
            Statement::Prepare(prepare) => self.prepare(prepare).await,
            Statement::Deallocate(name) => self.deallocate(name.as_ref()),
            Statement::Listen => {
                self.warn(ErrorKind::NotSupported, "weir sends no notifications")?;
                Ok(self.replies.command_complete("LISTEN")?)
            }
            Statement::Unlisten => Ok(self.replies.command_complete("UNLISTEN")?),
            _ => Err(Error::internal("a statement that is not the connection's own").into()),
        }
    }

    /// Tells the client, unless it wants to hear of errors only.
    fn warn(&mut self, kind: ErrorKind, message: &str) -> Result<()> {
        let least = self.session.settings().get("client_min_messages")?;
        if least.eq_ignore_ascii_case("error") {
            return Ok(());
        }
        self.replies.warning(&Error::new(kind, message))
    }

    fn zone(&self) -> Result<Zone> {
        Zone::parse(self.session.settings().time_zone())
    }

    /// Tells the client of settings that changed (ParameterStatus).
    fn report_settings(&mut self) -> Result<()> {
        let reported = self.session.settings().reported();
        for (name, value) in &reported {
            if !self.reported.contains(&(name, value.clone())) {
                self.replies.parameter_status(name, value)?;
            }
        }
        self.reported = reported;
        Ok(())
    }

    async fn flush(&mut self) -> Flow {
        let written = write_all(&mut self.writer, &self.replies.buffer).await;
        self.replies.buffer.clear();
        self.replies.buffer.shrink_to(2 * CHUNK_BYTES);
        written.map_err(|_| Stop::Connection(End::Left))?;
        self.writer.flush().await.map_err(|_| Stop::Connection(End::Left))
    }
}

fn no_portal(name: &str) -> Error {
    Error::new(ErrorKind::InvalidCursorName, format!("portal \"{name}\" does not exist"))
}

fn no_parameter() -> Error {
    Error::new(ErrorKind::UndefinedParameter, "there is no parameter $1")
}

async fn write_all(writer: &mut WriteHalf<Transport>, bytes: &[u8]) -> Result<()> {
    writer.write_all(bytes).await.map_err(|error| {
        Error::new(ErrorKind::ProtocolViolation, "the client does not read").with_source(error)
    })
}

async fn say_goodbye(writer: &mut WriteHalf<Transport>, error: &Error) {
    let farewell = async {
        writer.write_all(&encode_fatal(error)).await?;
        writer.shutdown().await
    };
    // The client is lost either way.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}
