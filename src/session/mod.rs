//! One client's connection: who it is, what it has set, what its names mean.
//!
//! Invariants: a session belongs to one connection and shares no setting with another. What a
//! statement may see is asked anew at every execute. Nothing that a client can SET changes who it
//! is.

pub mod pg_catalog;

mod registry;
mod setting_functions;
mod settings;
mod visible;

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, AtomicU64, Ordering},
    },
    time::Duration,
};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, RecordBatch, StringArray},
        datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
    },
    execution::{
        SessionState,
        memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation},
    },
    scalar::ScalarValue,
    sql::sqlparser::ast,
};
use tokio_util::sync::CancellationToken;
use weir_catalogs::QueryLabel;

pub use registry::{CancelKey, Registered, Sessions};
pub use settings::{Changes, Reported, Settings};
pub use visible::{Database, Visible};

use crate::{
    admission::QueryMemory,
    audit::QueryRecord,
    auth::Principal,
    engine::{
        CopyOptions, Engine, ExplainOptions, Names, Planned, QueryContext, RowStream, Setting,
        Statement, text_schema,
    },
    error::{Error, ErrorKind, Result},
    policy::{AuthorizedPlan, ObjectPath, Policy, authorize, authorize_copy, authorize_explain},
    telemetry::{Door, Metrics},
};

/// One client's connection to the engine.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    principal: Arc<Principal>,
    door: Door,
    metrics: Metrics,
    names: Arc<Visible>,
    settings: Arc<Mutex<Settings>>,
    /// What the client cancels it by; 0 where it has no such number.
    process: Arc<AtomicI32>,
    /// Of the statement that runs now.
    cancel: Mutex<CancellationToken>,
    max_statement_timeout: Duration,
}

/// What a session is opened with.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    pub principal: Principal,
    pub door: Door,
    /// `weir` for every catalog at once, or one catalog's name.
    pub database: String,
    /// From the startup packet.
    pub settings: Vec<(String, String)>,
    pub max_statement_timeout: Duration,
}

/// A statement that is ready to be executed any number of times.
#[derive(Debug, Clone)]
pub struct Prepared {
    statement: Statement,
    planned: Option<Planned>,
    declared: Vec<Option<DataType>>,
    /// Of the catalogs and of the policy; a newer one plans again.
    version: u64,
    schema: SchemaRef,
}

/// What executing a statement answers.
#[derive(Debug)]
pub enum Answer {
    Rows(Rows),
    Copy(CopyOptions, RowStream),
    /// The statement is for the door's own state: its transaction, its prepared statements.
    Door(Statement),
    /// Done; the command's tag.
    Done(&'static str),
    Empty,
}

/// What a query would read and how, for whoever runs weir.
#[derive(Debug)]
pub struct Review {
    /// With all columns that a table has at its source.
    pub tables: Vec<(ObjectPath, Vec<String>)>,
    /// As EXPLAIN shows it.
    pub plan: Vec<String>,
}

#[derive(Debug)]
pub enum Rows {
    Stream(RowStream),
    /// A few rows that are there already, with the command's tag.
    Batch(RecordBatch, &'static str),
}

impl Session {
    /// Refuses an unknown database (3D000), and a setting that is not one (42704, 22023).
    pub fn open(engine: Arc<Engine>, metrics: Metrics, options: SessionOptions) -> Result<Self> {
        let principal = Arc::new(options.principal);
        let database = Database::parse(&options.database, &engine, &principal)?;
        let mut settings = Settings::new(&principal, &database, &engine);
        for (name, value) in &options.settings {
            settings.set_at_startup(name, value)?;
        }
        let settings = Arc::new(Mutex::new(settings));
        let process = Arc::new(AtomicI32::new(0));
        let own = setting_functions::all(&settings, &process);
        let names = Visible::new(Arc::clone(&engine), Arc::clone(&principal), database, own);
        Ok(Self {
            engine,
            principal,
            door: options.door,
            metrics,
            names: Arc::new(names),
            settings,
            process,
            cancel: Mutex::new(CancellationToken::new()),
            max_statement_timeout: options.max_statement_timeout,
        })
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub fn names(&self) -> &Visible {
        &self.names
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels the statement that runs now, if one does.
    pub fn cancel(&self) {
        self.current_cancel().cancel();
    }

    fn current_cancel(&self) -> MutexGuard<'_, CancellationToken> {
        self.cancel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a cancel that came when nothing ran. Call it when a client's message arrives.
    pub fn begin_statement(&self) {
        let mut cancel = self.current_cancel();
        if cancel.is_cancelled() {
            *cancel = CancellationToken::new();
        }
    }

    /// Classifies the statements of a message; one that writes refuses all (25006).
    pub async fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        self.engine.parse(sql).await
    }

    /// Resolves names and types. `declared` are the parameter types that the client fixed.
    pub async fn prepare(
        &self,
        statement: Statement,
        declared: Vec<Option<DataType>>,
    ) -> Result<Prepared> {
        let version = self.names.version();
        let planned = match query_of(&statement) {
            Some(query) => Some(self.plan(query.clone(), declared.clone()).await?),
            None => None,
        };
        let schema = match (&statement, &planned) {
            (Statement::Explain(options, _), _) => options.schema(),
            (Statement::Show(name), _) => text_schema(self.settings().display_name(name)),
            (Statement::ShowAll, _) => show_all_schema(),
            (_, Some(planned)) => Arc::clone(&planned.schema),
            (_, None) => Arc::new(Schema::empty()),
        };
        Ok(Prepared { statement, planned, declared, version, schema })
    }

    async fn plan(
        &self,
        query: ast::Statement,
        declared: Vec<Option<DataType>>,
    ) -> Result<Planned> {
        let context = self.context(QueryLabel::default());
        let state = self.engine.query_state(&context)?;
        let names: Arc<dyn Names> = Arc::new(self.names.at(&self.settings()));
        self.engine.plan(names, &state, query, declared).await
    }

    /// Runs a prepared statement. Rows are authorized for what the principal may see now.
    pub async fn execute(&self, prepared: &Prepared, values: Vec<ScalarValue>) -> Result<Answer> {
        if query_of(&prepared.statement).is_none() {
            return self.command(&prepared.statement).await;
        }
        let label = QueryLabel {
            query_id: format!("{:016x}", rand::random::<u64>()),
            principal: self.principal.name.to_string(),
        };
        let context = self.context(label.clone());
        let mut record = QueryRecord::new(label, self.door, self.metrics.clone());
        // Before the policy is asked: a change from here on is seen while rows are read.
        let version = self.engine.policy.version();
        let authorized = self.authorize(prepared, values, &context).await;
        let (plan, state) = authorized.inspect_err(|error| record.fail(error.kind))?;
        let record = record.authorized();
        let watch = self.policy_watch(&plan, version);
        match &prepared.statement {
            Statement::Explain(options, _) => {
                let rows = self.engine.run_explain(*options, plan, state, &context, record).await?;
                Ok(Answer::Rows(Rows::Stream(rows)))
            }
            Statement::Copy(options, _) => {
                let rows = self.engine.run(plan, state, &context, record).await?;
                Ok(Answer::Copy(options.clone(), rows.watched(watch)))
            }
            _ => {
                let rows = self.engine.run(plan, state, &context, record).await?;
                Ok(Answer::Rows(Rows::Stream(rows.watched(watch))))
            }
        }
    }

    /// Plans a query for this session's principal as if it were to run, and runs nothing. What is
    /// sent to a source is shown without being asked whether the principal may see it.
    pub async fn review(&self, sql: &str) -> Result<Review> {
        let mut statements = self.parse(sql).await?;
        let (Some(statement @ Statement::Query(_)), true) =
            (statements.pop(), statements.is_empty())
        else {
            return Err(Error::new(ErrorKind::NotSupported, "only one query can be explained"));
        };
        let prepared = self.prepare(statement, Vec::new()).await?;
        let label = QueryLabel { query_id: String::new(), principal: String::new() };
        let context = self.context(label.clone());
        let record = QueryRecord::new(label, self.door, self.metrics.clone());
        let (plan, state) = self.authorize(&prepared, Vec::new(), &context).await?;
        let mut tables: Vec<(ObjectPath, Vec<String>)> = Vec::new();
        for (table, columns) in plan.granted().tables() {
            if !tables.iter().any(|(known, _)| known == table) {
                tables.push((table.clone(), columns.into_iter().map(str::to_owned).collect()));
            }
        }
        let options = ExplainOptions::default();
        let mut rows =
            self.engine.run_explain(options, plan, state, &context, record.authorized()).await?;
        let mut plan = Vec::new();
        while let Some(batch) = rows.next_batch().await? {
            let lines = batch.column(0).as_string::<i32>();
            plan.extend(lines.iter().flatten().map(str::to_owned));
        }
        Ok(Review { tables, plan })
    }

    /// Authorizes what [`Session::execute`] would run, and runs nothing.
    pub async fn check(&self, prepared: &Prepared, values: Vec<ScalarValue>) -> Result<()> {
        let label = QueryLabel { query_id: String::new(), principal: String::new() };
        self.authorize(prepared, values, &self.context(label)).await.map(|_| ())
    }

    /// Lets a stream that waited for its client go on, with a time of its own for what comes now.
    pub async fn resume(&self, rows: &mut RowStream) -> Result<()> {
        rows.resume(&self.context(QueryLabel::default())).await
    }

    /// For rows that a cursor keeps: as much as a query may use.
    pub fn cursor_memory(&self) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(Arc::clone(&self.engine.memory)));
        MemoryConsumer::new("cursor").register(&pool)
    }

    /// The types that SQL names, as PREPARE does; `None` is `unknown`.
    pub async fn types(&self, names: &[ast::DataType]) -> Result<Vec<Option<DataType>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let casts = names.iter().map(|name| {
            let is_unknown = name.to_string().eq_ignore_ascii_case("unknown");
            let data_type = if is_unknown { ast::DataType::Text } else { name.clone() };
            ast::Expr::Cast {
                kind: ast::CastKind::Cast,
                expr: Box::new(ast::Expr::value(ast::Value::Null)),
                data_type,
                array: false,
                format: None,
            }
        });
        let planned = self.plan(row_of(casts.collect()), Vec::new()).await?;
        let types = planned.schema.fields().iter().zip(names).map(|(field, name)| {
            let is_unknown = name.to_string().eq_ignore_ascii_case("unknown");
            (!is_unknown).then(|| field.data_type().clone())
        });
        Ok(types.collect())
    }

    /// What expressions without columns and queries are worth.
    pub async fn constants(&self, expressions: Vec<ast::Expr>) -> Result<Vec<ScalarValue>> {
        let statement = Statement::Query(Box::new(row_of(expressions)));
        let prepared = self.prepare(statement, Vec::new()).await?;
        if !prepared.parameters().is_empty() {
            return Err(Error::new(ErrorKind::UndefinedParameter, "there is no parameter $1"));
        }
        let Answer::Rows(Rows::Stream(mut rows)) = self.execute(&prepared, Vec::new()).await?
        else {
            return Err(Error::internal("a query without rows"));
        };
        let Some(batch) = rows.next_batch().await? else {
            return Err(Error::internal("constants without a row"));
        };
        let values = batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
        Ok(values.collect::<std::result::Result<_, _>>()?)
    }

    /// Fails once the policy grants something else than when the plan was authorized.
    fn policy_watch(
        &self,
        plan: &AuthorizedPlan,
        version: u64,
    ) -> impl Fn() -> Result<()> + Send + Sync + 'static {
        let granted = Arc::clone(plan.granted());
        let (engine, principal) = (Arc::clone(&self.engine), Arc::clone(&self.principal));
        let seen = AtomicU64::new(version);
        move || {
            let version = engine.policy.version();
            if seen.load(Ordering::Acquire) == version {
                return Ok(());
            }
            if granted.still_holds(engine.policy.as_ref(), &principal) {
                seen.store(version, Ordering::Release);
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::PermissionDenied,
                "the policy changed while rows were being read",
            )
            .with_hint("Run the statement again."))
        }
    }

    async fn authorize(
        &self,
        prepared: &Prepared,
        values: Vec<ScalarValue>,
        context: &QueryContext,
    ) -> Result<(AuthorizedPlan, SessionState)> {
        let planned = self.current_plan(prepared).await?;
        let state = self.engine.query_state(context)?;
        let plan = self.engine.bind(&planned, values)?;
        let policy: &dyn Policy = self.engine.policy.as_ref();
        let plan = authorize(policy, &self.principal, plan)?;
        if matches!(prepared.statement, Statement::Explain(..)) {
            authorize_explain(policy, &self.principal, &plan)?;
        }
        if matches!(prepared.statement, Statement::Copy(..)) {
            authorize_copy(policy, &self.principal, &state.optimize(plan.plan())?)?;
        }
        Ok((plan, state))
    }

    /// Plans again when a catalog or the policy changed since: the answer must have the columns that
    /// the client was told of.
    async fn current_plan(&self, prepared: &Prepared) -> Result<Planned> {
        let (Some(planned), Some(query)) = (&prepared.planned, query_of(&prepared.statement))
        else {
            return Err(Error::internal("a query without a plan"));
        };
        if prepared.version == self.names.version() {
            return Ok(planned.clone());
        }
        let again = self.plan(query.clone(), prepared.declared.clone()).await?;
        if again.schema.fields() != planned.schema.fields()
            || again.parameters != planned.parameters
        {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "cached plan must not change result type",
            )
            .with_hint("A table changed since the statement was prepared. Prepare it again."));
        }
        Ok(again)
    }

    fn context(&self, label: QueryLabel) -> QueryContext {
        let settings = self.settings();
        let timeout = match settings.statement_timeout() {
            Some(timeout) => timeout.min(self.max_statement_timeout),
            None => self.max_statement_timeout,
        };
        QueryContext {
            label,
            cancel: self.current_cancel().clone(),
            timeout: Some(timeout),
            pushdown: settings.pushdown(),
            time_zone: settings.time_zone().to_owned(),
        }
    }

    async fn command(&self, statement: &Statement) -> Result<Answer> {
        match statement {
            Statement::Empty => Ok(Answer::Empty),
            Statement::Set(setting) => {
                self.set(setting)?;
                Ok(Answer::Done("SET"))
            }
            Statement::Reset(name) => {
                self.settings().reset(name)?;
                Ok(Answer::Done("RESET"))
            }
            Statement::ResetAll => {
                self.settings().reset_all();
                Ok(Answer::Done("RESET"))
            }
            Statement::KeepRole(tag) => Ok(Answer::Done(tag)),
            Statement::Show(name) => {
                let settings = self.settings();
                let value = settings.get(name)?;
                let schema = text_schema(settings.display_name(name));
                let batch = text_batch(schema, vec![vec![value]])?;
                Ok(Answer::Rows(Rows::Batch(batch, "SHOW")))
            }
            Statement::ShowAll => {
                let rows = self.settings().all();
                let (names, rest): (Vec<_>, Vec<_>) =
                    rows.into_iter().map(|(name, value, text)| (name, (value, text))).unzip();
                let (values, texts) = rest.into_iter().unzip();
                let batch = text_batch(show_all_schema(), vec![names, values, texts])?;
                Ok(Answer::Rows(Rows::Batch(batch, "SHOW")))
            }
            Statement::RefreshCatalog(name) => {
                self.refresh(name).await?;
                Ok(Answer::Done("REFRESH CATALOG"))
            }
            Statement::Transaction(_)
            | Statement::Fetch(_)
            | Statement::Close(_)
            | Statement::Prepare(_)
            | Statement::Execute(_)
            | Statement::Deallocate(_)
            | Statement::Discard(_)
            | Statement::Listen
            | Statement::Unlisten => Ok(Answer::Door(statement.clone())),
            Statement::Query(_)
            | Statement::Explain(..)
            | Statement::Copy(..)
            | Statement::Declare(_) => Err(Error::internal("a query without a plan")),
        }
    }

    fn set(&self, setting: &Setting) -> Result<()> {
        match &setting.value {
            Some(value) => self.settings().set(&setting.name, value, setting.is_local),
            None => self.settings().reset(&setting.name),
        }
    }

    /// Reads a catalog's metadata again, for whoever sees anything of it and may do so.
    async fn refresh(&self, name: &str) -> Result<()> {
        let Some(catalog) = self.names.catalog(name) else {
            return Err(Error::new(
                ErrorKind::InvalidCatalog,
                format!("catalog \"{name}\" does not exist"),
            ));
        };
        if !self.engine.policy.may_refresh(&self.principal, name) {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                format!("permission denied to refresh catalog \"{name}\""),
            )
            .with_hint("Ask for the action admin on this catalog."));
        }
        let cancel = self.current_cancel().clone();
        tokio::select! {
            refreshed = catalog.refresh() => Ok(refreshed?),
            () = cancel.cancelled() => Err(Error::new(
                ErrorKind::Cancelled,
                "canceling statement due to user request",
            )),
        }
    }
}

impl Prepared {
    /// The columns of its rows, and of a cursor's; none for a command.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// `$1`, `$2`, … with their types.
    pub fn parameters(&self) -> &[FieldRef] {
        self.planned.as_ref().map_or(&[], |planned| &planned.parameters)
    }

    /// Does executing it answer with rows (and not with COPY data or a tag alone)?
    pub fn returns_rows(&self) -> bool {
        match &self.statement {
            Statement::Query(_)
            | Statement::Explain(..)
            | Statement::Show(_)
            | Statement::ShowAll => true,
            Statement::Empty
            | Statement::Copy(..)
            | Statement::Set(_)
            | Statement::KeepRole(_)
            | Statement::Reset(_)
            | Statement::ResetAll
            | Statement::Discard(_)
            | Statement::Transaction(_)
            | Statement::Declare(_)
            | Statement::Fetch(_)
            | Statement::Close(_)
            | Statement::Prepare(_)
            | Statement::Execute(_)
            | Statement::Deallocate(_)
            | Statement::Listen
            | Statement::Unlisten
            | Statement::RefreshCatalog(_) => false,
        }
    }

    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}

fn query_of(statement: &Statement) -> Option<&ast::Statement> {
    match statement {
        Statement::Query(query) | Statement::Explain(_, query) | Statement::Copy(_, query) => {
            Some(query)
        }
        Statement::Declare(cursor) => Some(&cursor.query),
        Statement::Empty
        | Statement::Set(_)
        | Statement::KeepRole(_)
        | Statement::Show(_)
        | Statement::ShowAll
        | Statement::Reset(_)
        | Statement::ResetAll
        | Statement::Discard(_)
        | Statement::Transaction(_)
        | Statement::Fetch(_)
        | Statement::Close(_)
        | Statement::Prepare(_)
        | Statement::Execute(_)
        | Statement::Deallocate(_)
        | Statement::Listen
        | Statement::Unlisten
        | Statement::RefreshCatalog(_) => None,
    }
}

/// `VALUES (a, b, …)`, built as a tree so that no expression is printed and parsed.
fn row_of(expressions: Vec<ast::Expr>) -> ast::Statement {
    let values = ast::Values {
        explicit_row: false,
        value_keyword: false,
        rows: vec![ast::Parens::with_empty_span(expressions)],
    };
    ast::Statement::Query(Box::new(ast::Query {
        with: None,
        body: Box::new(ast::SetExpr::Values(values)),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }))
}

fn show_all_schema() -> SchemaRef {
    let column = |name| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![column("name"), column("setting"), column("description")]))
}

fn text_batch(schema: SchemaRef, columns: Vec<Vec<String>>) -> Result<RecordBatch> {
    let columns = columns
        .into_iter()
        .map(|values| Arc::new(StringArray::from_iter_values(values)) as ArrayRef)
        .collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}
