use std::{collections::HashMap, sync::Arc, time::Duration};

use datafusion::scalar::ScalarValue;
use pgwire::messages::response::TransactionStatus;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio_util::sync::CancellationToken;

use super::{
    Bind, Encoder, Format, FrameReader, Frontend, Login, Parameter, PgColumn, PostgresDoor, Target,
    Zone, arrow_type, decode_parameter,
    reply::{Done, Replies},
    rows::{CHUNK_BYTES, RowSender},
    startup::encode_fatal,
};
use crate::{
    engine::{RowStream, Statement, Transaction},
    error::{Error, ErrorKind, Result},
    protocol::{standing::Standing, tls::Transport},
    session::{Answer, Prepared, Registered, Rows, Session, SessionOptions},
    telemetry::Door,
};

/// Prepared statements and portals that one connection may hold.
const MAX_STATEMENTS: usize = 1000;
const MAX_PORTALS: usize = 100;
const MAX_SAVEPOINTS: usize = 1000;

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
    status: TransactionStatus,
    savepoints: Vec<String>,
    /// After an error in the extended protocol, everything up to Sync is skipped.
    skips_to_sync: bool,
}

#[derive(Debug)]
struct PreparedStatement {
    prepared: Prepared,
    /// As ParameterDescription says them.
    parameter_oids: Vec<u32>,
}

#[derive(Debug)]
struct Portal {
    statement: Arc<PreparedStatement>,
    values: Vec<ScalarValue>,
    formats: Vec<Format>,
    state: PortalState,
}

#[derive(Debug)]
enum PortalState {
    Ready,
    Sending(Box<RowSender>),
    Done,
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
        let options = SessionOptions {
            principal,
            door: Door::Postgres,
            database: parameters.database.unwrap_or_default(),
            settings: parameters.settings.into_iter().collect(),
            max_statement_timeout: door.max_statement_timeout,
        };
        let opened = Session::open(Arc::clone(&door.engine), door.metrics.clone(), options)
            .map(Arc::new)
            .and_then(|session| Ok((door.sessions.register(&session)?, session)));
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
            status: TransactionStatus::Idle,
            savepoints: Vec::new(),
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
        self.replies.key(self.registered.key)?;
        self.replies.ready(self.status)?;
        self.flush().await
    }

    /// Answers messages until the client leaves, idles too long, or the server shuts down.
    async fn serve(&mut self, shutdown: &CancellationToken) -> End {
        loop {
            let idle = self.door.idle_timeout.unwrap_or(Duration::MAX);
            let message = tokio::select! {
                biased;
                () = shutdown.cancelled() => return End::Fatal(Error::new(
                    ErrorKind::ShuttingDown,
                    "terminating connection due to administrator command",
                )),
                message = self.reader.next() => message,
                () = tokio::time::sleep(idle) => return End::Fatal(Error::new(
                    ErrorKind::ShuttingDown,
                    "terminating connection due to idle-session timeout",
                )),
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

    async fn answer(&mut self, message: Frontend) -> Flow {
        if let Frontend::Terminate = message {
            return Err(Stop::Connection(End::Left));
        }
        if self.skips_to_sync && !matches!(message, Frontend::Sync) {
            return Ok(());
        }
        self.standing.check().map_err(|error| Stop::Connection(End::Fatal(error)))?;
        let is_extended = matches!(
            message,
            Frontend::Parse { .. }
                | Frontend::Bind(_)
                | Frontend::Describe { .. }
                | Frontend::Execute { .. }
                | Frontend::Close { .. }
        );
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
                self.replies.ready(self.status)?;
                return self.flush().await;
            }
            Frontend::Malformed { message, error } => {
                self.fail(&error)?;
                match message {
                    b'P' | b'B' | b'D' | b'E' | b'C' => self.skips_to_sync = true,
                    _ => self.replies.ready(self.status)?,
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

    /// Tells the client of a failed statement; an open transaction fails with it.
    fn fail(&mut self, error: &Error) -> Flow {
        error.log();
        if self.status == TransactionStatus::Transaction {
            self.status = TransactionStatus::Error;
        }
        Ok(self.replies.error(error)?)
    }

    async fn simple(&mut self, sql: &str) -> Flow {
        self.session.begin_statement();
        match self.simple_statements(sql).await {
            Ok(()) => {}
            Err(Stop::Statement(error)) => self.fail(&error)?,
            Err(stop) => return Err(stop),
        }
        self.end_of_command();
        self.replies.ready(self.status)?;
        self.flush().await
    }

    async fn simple_statements(&mut self, sql: &str) -> Flow {
        let statements = self.session.parse(sql).await?;
        if statements.is_empty() {
            self.replies.done(Done::EmptyQuery)?;
        }
        for statement in statements {
            self.refuse_in_failed_transaction(&statement)?;
            let prepared = self.session.prepare(statement, Vec::new()).await?;
            if !prepared.parameters().is_empty() {
                return Err(Error::new(ErrorKind::Syntax, "there is no parameter $1").into());
            }
            let answer = self.session.execute(&prepared, Vec::new()).await?;
            if let Some(mut sender) = self.begin_answer(answer, &prepared, &[], true)? {
                let rows = self.send(&mut sender, usize::MAX).await?;
                self.end_rows(&sender, rows)?;
            }
            self.report_settings()?;
        }
        Ok(())
    }

    /// Starts the answer to one execution; `None` when it is complete already.
    fn begin_answer(
        &mut self,
        answer: Answer,
        prepared: &Prepared,
        formats: &[Format],
        describes: bool,
    ) -> Flow<Option<RowSender>> {
        match answer {
            Answer::Rows(rows) => {
                let rows = match rows {
                    Rows::Stream(stream) => Rows::Stream(self.watched(stream)),
                    batch @ Rows::Batch(..) => batch,
                };
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
                self.own_statement(&statement)?;
                Ok(None)
            }
            Answer::Done(tag) => {
                self.replies.command_complete(tag)?;
                Ok(None)
            }
            Answer::Empty => {
                self.replies.done(Done::EmptyQuery)?;
                Ok(None)
            }
        }
    }

    /// Rows that end when the session must.
    fn watched(&self, rows: RowStream) -> RowStream {
        let standing = self.standing.clone();
        rows.watched(move || standing.check())
    }

    fn end_rows(&mut self, sender: &RowSender, rows: usize) -> Flow {
        if sender.copy_formats().is_some() {
            sender.trailer(&mut self.replies.buffer)?;
            self.replies.done(Done::Copy)?;
        }
        Ok(self.replies.command_complete(sender.tag(rows))?)
    }

    /// Sends at most `max_rows`; the number sent. Watches for the client's end, and lets neither a
    /// slow query nor a slow client outlive the statement's timeout.
    async fn send(&mut self, sender: &mut RowSender, max_rows: usize) -> Flow<usize> {
        let mut sent = 0;
        while sent < max_rows && !sender.is_finished() {
            tokio::select! {
                biased;
                filled = sender.fill() => filled?,
                () = self.reader.disconnected() => return Err(Stop::Connection(End::Left)),
            }
            sent += sender.encode(max_rows - sent, &mut self.replies.buffer)?;
            if self.replies.buffer.len() >= CHUNK_BYTES {
                let write = write_all(&mut self.writer, &self.replies.buffer);
                if let Err(error) = sender.hold(write).await {
                    // Part of a message may be written: nothing more can be said.
                    error.log();
                    return Err(Stop::Connection(End::Left));
                }
                self.replies.buffer.clear();
            }
        }
        Ok(sent)
    }

    async fn parse(&mut self, name: String, sql: &str, oids: &[u32]) -> Flow {
        self.session.begin_statement();
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(Error::new(
                ErrorKind::DuplicateStatement,
                format!("prepared statement \"{name}\" already exists"),
            )
            .into());
        }
        if self.statements.len() >= MAX_STATEMENTS {
            return Err(Error::new(
                ErrorKind::ProgramLimitExceeded,
                format!("at most {MAX_STATEMENTS} statements can be prepared at once"),
            )
            .into());
        }
        let mut statements = self.session.parse(sql).await?;
        let statement = statements.pop().unwrap_or(Statement::Empty);
        if !statements.is_empty() {
            return Err(Error::new(
                ErrorKind::Syntax,
                "cannot insert multiple commands into a prepared statement",
            )
            .into());
        }
        self.refuse_in_failed_transaction(&statement)?;
        let declared = oids.iter().map(|oid| arrow_type(*oid)).collect();
        let prepared = self.session.prepare(statement, declared).await?;
        let parameter_oids = parameter_oids(&prepared, oids);
        self.statements.insert(name, Arc::new(PreparedStatement { prepared, parameter_oids }));
        Ok(self.replies.done(Done::Parse)?)
    }

    fn bind(&mut self, bind: Bind) -> Flow {
        let statement = Arc::clone(self.statement(&bind.statement)?);
        self.refuse_in_failed_transaction(statement.prepared.statement())?;
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            return Err(Error::new(
                ErrorKind::InvalidCursorName,
                format!("portal \"{}\" already exists", bind.portal),
            )
            .into());
        }
        if self.portals.len() >= MAX_PORTALS {
            return Err(Error::new(
                ErrorKind::ProgramLimitExceeded,
                format!("at most {MAX_PORTALS} portals can be open at once"),
            )
            .into());
        }
        let values = self.values(&bind, &statement)?;
        let columns = statement.prepared.schema().fields().len();
        let formats = if statement.prepared.returns_rows() {
            Format::for_columns(&bind.result_formats, columns)?
        } else {
            Vec::new()
        };
        let portal = Portal { statement, values, formats, state: PortalState::Ready };
        self.portals.insert(bind.portal, portal);
        Ok(self.replies.done(Done::Bind)?)
    }

    fn values(&self, bind: &Bind, statement: &PreparedStatement) -> Flow<Vec<ScalarValue>> {
        let expected = statement.prepared.parameters();
        if bind.values.len() != expected.len() {
            return Err(Error::new(
                ErrorKind::ProtocolViolation,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                    bind.values.len(),
                    bind.statement,
                    expected.len()
                ),
            )
            .into());
        }
        let zone = self.zone()?;
        let mut values = Vec::with_capacity(expected.len());
        for (index, field) in expected.iter().enumerate() {
            let parameter = Parameter {
                oid: statement.parameter_oids[index],
                format: bind.formats.get(index).copied().unwrap_or(Format::Text),
                bytes: bind.values[index].as_deref(),
            };
            let value = decode_parameter(parameter, field.data_type(), &zone).map_err(|error| {
                let detail = format!("This is the value of parameter ${}.", index + 1);
                error.with_detail(detail)
            })?;
            values.push(value);
        }
        Ok(values)
    }

    fn describe(&mut self, target: Target, name: &str) -> Flow {
        let (statement, formats) = match target {
            Target::Statement => {
                let statement = Arc::clone(self.statement(name)?);
                self.replies.parameters(statement.parameter_oids.clone())?;
                (statement, Vec::new())
            }
            Target::Portal => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (Arc::clone(&portal.statement), portal.formats.clone())
            }
        };
        if !statement.prepared.returns_rows() {
            return Ok(self.replies.done(Done::NoData)?);
        }
        let encoder = Encoder::new(statement.prepared.schema(), &formats, self.zone()?)?;
        Ok(self.replies.rows(encoder.columns())?)
    }

    async fn execute(&mut self, name: &str, max_rows: u32) -> Flow {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let outcome = self.execute_portal(&mut portal, max_rows).await;
        self.portals.insert(name.to_owned(), portal);
        outcome?;
        Ok(self.report_settings()?)
    }

    async fn execute_portal(&mut self, portal: &mut Portal, max_rows: u32) -> Flow {
        let prepared = &portal.statement.prepared;
        self.refuse_in_failed_transaction(prepared.statement())?;
        let mut sender = match std::mem::replace(&mut portal.state, PortalState::Done) {
            PortalState::Ready => {
                let values = std::mem::take(&mut portal.values);
                let answer = self.session.execute(prepared, values).await?;
                match self.begin_answer(answer, prepared, &portal.formats, false)? {
                    Some(sender) => Box::new(sender),
                    None => return Ok(()),
                }
            }
            PortalState::Sending(mut sender) => {
                // Rows may wait here that came before the policy changed.
                sender.look()?;
                sender
            }
            PortalState::Done if prepared.returns_rows() => {
                return Ok(self.replies.command_complete("SELECT 0")?);
            }
            PortalState::Done => {
                return Err(Error::new(
                    ErrorKind::InvalidCursorName,
                    "portal has been executed already",
                )
                .into());
            }
        };
        let limit = if max_rows == 0 { usize::MAX } else { max_rows as usize };
        let rows = self.send(&mut sender, limit).await?;
        if rows == limit && !sender.is_finished() && sender.copy_formats().is_none() {
            portal.state = PortalState::Sending(sender);
            return Ok(self.replies.done(Done::PortalSuspended)?);
        }
        self.end_rows(&sender, rows)
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
        self.end_of_command();
        self.replies.ready(self.status)?;
        self.flush().await
    }

    /// Outside a transaction each command is one, and portals do not outlive it.
    fn end_of_command(&mut self) {
        if self.status == TransactionStatus::Idle {
            self.portals.clear();
        }
    }

    fn statement(&self, name: &str) -> Result<&Arc<PreparedStatement>> {
        self.statements.get(name).ok_or_else(|| {
            let shown = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            Error::new(ErrorKind::InvalidStatementName, shown)
        })
    }

    fn refuse_in_failed_transaction(&self, statement: &Statement) -> Result<()> {
        let ends_it = matches!(
            statement,
            Statement::Transaction(
                Transaction::Commit | Transaction::Rollback | Transaction::RollbackTo(_)
            )
        );
        if self.status == TransactionStatus::Error && !ends_it {
            return Err(Error::new(
                ErrorKind::FailedTransaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Statements about the connection itself.
    fn own_statement(&mut self, statement: &Statement) -> Flow {
        match statement {
            Statement::Transaction(transaction) => self.transaction(transaction),
            Statement::Deallocate(Some(name)) => {
                self.statement(name)?;
                self.statements.remove(name);
                Ok(self.replies.command_complete("DEALLOCATE")?)
            }
            Statement::Deallocate(None) => {
                self.statements.clear();
                Ok(self.replies.command_complete("DEALLOCATE ALL")?)
            }
            Statement::Discard if self.status == TransactionStatus::Idle => {
                self.statements.clear();
                self.portals.clear();
                Ok(self.replies.command_complete("DISCARD ALL")?)
            }
            Statement::Discard => Err(Error::new(
                ErrorKind::ActiveTransaction,
                "DISCARD ALL cannot run inside a transaction block",
            )
            .into()),
            _ => Err(Error::internal("a statement that is not the connection's own").into()),
        }
    }

    fn transaction(&mut self, transaction: &Transaction) -> Flow {
        let is_open = self.status != TransactionStatus::Idle;
        let tag = match transaction {
            Transaction::Begin if is_open => {
                self.warn(
                    ErrorKind::ActiveTransaction,
                    "there is already a transaction in progress",
                )?;
                "BEGIN"
            }
            Transaction::Begin => {
                self.session.settings().begin();
                self.status = TransactionStatus::Transaction;
                "BEGIN"
            }
            Transaction::Commit | Transaction::Rollback if !is_open => {
                self.warn(ErrorKind::NoActiveTransaction, "there is no transaction in progress")?;
                if *transaction == Transaction::Commit { "COMMIT" } else { "ROLLBACK" }
            }
            Transaction::Commit if self.status == TransactionStatus::Transaction => {
                self.session.settings().commit();
                self.end_transaction();
                "COMMIT"
            }
            Transaction::Commit | Transaction::Rollback => {
                self.session.settings().roll_back();
                self.end_transaction();
                "ROLLBACK"
            }
            Transaction::Savepoint(name) => {
                self.require_transaction("SAVEPOINT")?;
                if self.savepoints.len() >= MAX_SAVEPOINTS {
                    let message = format!("at most {MAX_SAVEPOINTS} savepoints can be open");
                    return Err(Error::new(ErrorKind::ProgramLimitExceeded, message).into());
                }
                self.savepoints.push(name.clone());
                "SAVEPOINT"
            }
            Transaction::Release(name) => {
                self.require_transaction("RELEASE SAVEPOINT")?;
                let index = self.savepoint(name)?;
                self.savepoints.truncate(index);
                "RELEASE"
            }
            Transaction::RollbackTo(name) => {
                self.require_transaction("ROLLBACK TO SAVEPOINT")?;
                let index = self.savepoint(name)?;
                self.savepoints.truncate(index + 1);
                self.status = TransactionStatus::Transaction;
                "ROLLBACK"
            }
            Transaction::Set => "SET",
        };
        Ok(self.replies.command_complete(tag)?)
    }

    fn end_transaction(&mut self) {
        self.status = TransactionStatus::Idle;
        self.savepoints.clear();
        self.portals.clear();
    }

    fn require_transaction(&self, command: &str) -> Result<()> {
        if self.status != TransactionStatus::Idle {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NoActiveTransaction,
            format!("{command} can only be used in transaction blocks"),
        ))
    }

    fn savepoint(&self, name: &str) -> Result<usize> {
        self.savepoints.iter().rposition(|known| known == name).ok_or_else(|| {
            Error::new(ErrorKind::InvalidSavepoint, format!("savepoint \"{name}\" does not exist"))
        })
    }

    fn warn(&mut self, kind: ErrorKind, message: &str) -> Result<()> {
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

/// What the client declared, or else what the statement's types are called.
fn parameter_oids(prepared: &Prepared, declared: &[u32]) -> Vec<u32> {
    prepared
        .parameters()
        .iter()
        .enumerate()
        .map(|(index, field)| match declared.get(index) {
            Some(oid) if arrow_type(*oid).is_some() => *oid,
            _ => PgColumn::of(field).oid,
        })
        .collect()
}

fn no_portal(name: &str) -> Error {
    Error::new(ErrorKind::InvalidCursorName, format!("portal \"{name}\" does not exist"))
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
