//! The ten calls of Arrow Flight, as Flight SQL uses them.

use std::{any::Any, pin::Pin, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{Field, FieldRef, Schema, SchemaRef},
    ipc::writer::IpcWriteOptions,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult, SchemaAsIpc,
    SchemaResult, Ticket,
    error::FlightError,
    flight_service_server::FlightService,
    sql::{
        ActionCreatePreparedStatementResult, DoPutPreparedStatementResult, DoPutUpdateResult,
        ProstMessageExt, TicketStatementQuery,
    },
};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

use super::{
    FlightDoor,
    caller::{Caller, Claim, refused},
    command::{CLOSE_PREPARED_STATEMENT, CREATE_PREPARED_STATEMENT, Command, Do},
    parameters::Parameters,
    rows::{encode, encode_batch, guarded, sent_schema},
    ticket::{Carried, Tickets, schema_hash},
};
use crate::{
    engine::Statement,
    error::{Error, ErrorKind, Result},
    session::{Answer, Prepared, Rows, Session, SessionOptions},
    telemetry::Door,
};

pub(super) type Reply<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers calls. It remembers nothing of them: what a later call needs, the client carries.
pub(super) struct Service {
    door: Arc<FlightDoor>,
    tickets: Tickets,
    /// Cancelled when what still runs must end.
    stop: CancellationToken,
}

/// A statement that is ready to be described or executed.
struct Ready {
    session: Session,
    prepared: Prepared,
    parameters: Parameters,
}

impl Service {
    pub(super) fn new(door: Arc<FlightDoor>, stop: CancellationToken) -> Self {
        Self { door, tickets: Tickets::default(), stop }
    }

    async fn caller(&self, claim: Result<Claim>) -> Result<Caller> {
        claim?.verify(&self.door).await
    }

    /// A token for whoever shows a name and a password.
    async fn log_in(&self, claim: Result<Claim>) -> Result<Response<Reply<HandshakeResponse>>> {
        let claim = claim?;
        if !claim.shows_password() {
            return Err(refused("a handshake without basic authentication"));
        }
        let caller = claim.verify(&self.door).await?;
        let token = self.door.authenticator.issue_token(&caller.principal).map_err(refused)?;
        let payload = Bytes::copy_from_slice(token.expose_secret().as_bytes());
        let mut header = MetadataValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(Error::internal)?;
        header.set_sensitive(true);
        let mut response = Response::new(one(HandshakeResponse { protocol_version: 0, payload }));
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    fn session(&self, caller: &Caller, carried: &Carried) -> Result<Session> {
        let scope = carried.scope();
        let options = SessionOptions {
            principal: caller.principal.clone(),
            door: Door::Flight,
            database: scope.database,
            settings: scope.settings,
            max_statement_timeout: self.door.max_statement_timeout,
        };
        Session::open(Arc::clone(&self.door.engine), self.door.metrics.clone(), options)
    }

    async fn prepare(&self, caller: &Caller, carried: &Carried) -> Result<Ready> {
        let session = self.session(caller, carried)?;
        let statement = single(session.parse(&carried.sql).await?)?;
        let parameters = Parameters::from_bytes(&carried.parameters)?;
        let prepared = session.prepare(statement, parameters.declared()).await?;
        Ok(Ready { session, prepared, parameters })
    }

    async fn describe(&self, caller: &Caller, descriptor: &FlightDescriptor) -> Result<FlightInfo> {
        let (schema, ticket) = match Command::decode(&descriptor.cmd)? {
            Command::Query(sql) => self.promise(caller, Carried::new(sql, &caller.scope)).await?,
            Command::Prepared(handle) => {
                self.promise(caller, self.tickets.redeem_handle(&handle, caller)?).await?
            }
            // What names there are is asked when they are fetched: nothing needs to be signed.
            Command::Metadata(metadata) => (metadata.schema()?, descriptor.cmd.clone()),
            other @ (Command::Ticket(_) | Command::Update(_) | Command::PreparedUpdate(_)) => {
                return Err(other.misplaced("GetFlightInfo"));
            }
        };
        let endpoint = FlightEndpoint::new().with_ticket(Ticket { ticket });
        let info = FlightInfo::new()
            .try_with_schema(&schema)?
            .with_endpoint(endpoint)
            .with_descriptor(descriptor.clone())
            .with_ordered(true);
        Ok(info)
    }

    /// The schema of a statement's result and a ticket for it.
    async fn promise(&self, caller: &Caller, carried: Carried) -> Result<(SchemaRef, Bytes)> {
        let ready = self.prepare(caller, &carried).await?;
        ready.check_parameters()?;
        let schema = sent_schema(ready.prepared.schema());
        let carried = Carried { schema_hash: schema_hash(ready.prepared.schema()), ..carried };
        let statement_handle = self.tickets.ticket(&carried, caller);
        let ticket = TicketStatementQuery { statement_handle }.as_any().encode_to_vec();
        Ok((schema, ticket.into()))
    }

    async fn fetch(&self, caller: &Caller, ticket: &Ticket) -> Result<Reply<FlightData>> {
        match Command::decode(&ticket.ticket)? {
            Command::Ticket(ticket) => {
                self.execute(caller, self.tickets.redeem_ticket(&ticket, caller)?).await
            }
            Command::Metadata(metadata) => {
                let session = self.session(caller, &Carried::new(String::new(), &caller.scope))?;
                Ok(encode_batch(metadata.answer(session.names())?))
            }
            other @ (Command::Query(_)
            | Command::Prepared(_)
            | Command::Update(_)
            | Command::PreparedUpdate(_)) => Err(other.misplaced("DoGet")),
        }
    }

    async fn execute(&self, caller: &Caller, carried: Carried) -> Result<Reply<FlightData>> {
        let ready = self.prepare(caller, &carried).await?;
        let schema = Arc::clone(ready.prepared.schema());
        if schema_hash(&schema) != carried.schema_hash {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "the result has other columns than when the ticket was issued",
            )
            .with_hint("A table or the policy changed. Ask for the flight info again."));
        }
        match ready.execute().await? {
            Answer::Rows(rows) => {
                let standing = caller.standing(&self.door);
                let rows = match rows {
                    Rows::Stream(rows) => Rows::Stream(rows.watched(move || standing.check())),
                    batch @ Rows::Batch(..) => batch,
                };
                Ok(encode(rows, schema, self.stop.clone()))
            }
            Answer::Done(_) => Ok(encode_batch(RecordBatch::new_empty(schema))),
            other @ (Answer::Copy(..) | Answer::Door(_) | Answer::Empty) => {
                Err(Error::internal(format!("a statement that was not refused: {other:?}")))
            }
        }
    }

    /// Takes what a client puts: the values of a prepared statement, or a statement for its effect.
    async fn put(&self, caller: &Caller, mut messages: Streaming<FlightData>) -> Result<PutResult> {
        let protocol = |message: &str| Error::new(ErrorKind::ProtocolViolation, message);
        let first = messages.message().await.map_err(|status| {
            protocol("the data that was put can't be read").with_source(status)
        })?;
        let first = first.ok_or_else(|| protocol("nothing was put"))?;
        let Some(descriptor) = &first.flight_descriptor else {
            return Err(protocol("what is put begins with a descriptor"));
        };
        let app_metadata = match Command::decode(&descriptor.cmd)? {
            Command::Prepared(handle) => {
                let carried = self.tickets.redeem_handle(&handle, caller)?;
                let rest = messages.map_err(FlightError::from);
                let messages = stream::iter([Ok(first)]).chain(rest);
                let handle = self.bind(caller, carried, Parameters::receive(messages).await?);
                DoPutPreparedStatementResult { prepared_statement_handle: Some(handle.await?) }
                    .encode_to_vec()
            }
            Command::Update(sql) => {
                self.update(caller, Carried::new(sql, &caller.scope)).await?.encode_to_vec()
            }
            Command::PreparedUpdate(handle) => {
                let carried = self.tickets.redeem_handle(&handle, caller)?;
                self.update(caller, carried).await?.encode_to_vec()
            }
            other @ (Command::Query(_) | Command::Ticket(_) | Command::Metadata(_)) => {
                return Err(other.misplaced("DoPut"));
            }
        };
        Ok(PutResult { app_metadata: app_metadata.into() })
    }

    /// A new handle, with values. The old one keeps what it had, so that two clients of one
    /// statement can't mix theirs.
    async fn bind(
        &self,
        caller: &Caller,
        carried: Carried,
        parameters: Parameters,
    ) -> Result<Bytes> {
        let unbound = Carried { parameters: Bytes::new(), ..carried };
        let ready = self.prepare(caller, &unbound).await?;
        check_count(ready.prepared.parameters().len(), parameters.count())?;
        let bound = Carried { parameters: parameters.to_bytes()?, ..unbound };
        Ok(self.tickets.handle(&bound, caller))
    }

    async fn update(&self, caller: &Caller, carried: Carried) -> Result<DoPutUpdateResult> {
        let ready = self.prepare(caller, &carried).await?;
        if ready.prepared.returns_rows() {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "the statement returns rows, and an update has no place for them",
            )
            .with_hint("Execute it as a query."));
        }
        ready.execute().await?;
        Ok(DoPutUpdateResult { record_count: 0 })
    }

    async fn act(&self, caller: &Caller, action: &Action) -> Result<Reply<arrow_flight::Result>> {
        match Do::decode(action)? {
            Do::Prepare(sql) => {
                let carried = Carried::new(sql, &caller.scope);
                let ready = self.prepare(caller, &carried).await?;
                let result = ActionCreatePreparedStatementResult {
                    prepared_statement_handle: self.tickets.handle(&carried, caller),
                    dataset_schema: schema_bytes(&sent_schema(ready.prepared.schema()))?,
                    parameter_schema: schema_bytes(&parameter_schema(&ready.prepared))?,
                };
                let body = result.as_any().encode_to_vec().into();
                Ok(one(arrow_flight::Result { body }))
            }
            Do::Close(handle) => {
                // Nothing was kept, so nothing is to be freed; a stranger's handle is still refused.
                self.tickets.redeem_handle(&handle, caller)?;
                Ok(stream::empty().boxed())
            }
        }
    }
}

impl Ready {
    fn check_parameters(&self) -> Result<()> {
        check_count(self.prepared.parameters().len(), self.parameters.count())
    }

    async fn execute(&self) -> Result<Answer> {
        self.check_parameters()?;
        let values = self.parameters.values(self.prepared.parameters())?;
        self.session.execute(&self.prepared, values).await
    }
}

fn check_count(parameters: usize, values: usize) -> Result<()> {
    if parameters == values {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ProtocolViolation,
        format!("the statement has {parameters} parameters, but {values} values were bound"),
    )
    .with_hint("Prepare the statement, and bind one value for each parameter."))
}

/// The one statement of a text, if calls without a session in common can answer it.
fn single(mut statements: Vec<Statement>) -> Result<Statement> {
    let statement = match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => statement,
        (Some(_), false) => {
            return Err(Error::new(
                ErrorKind::Syntax,
                "cannot insert multiple commands into a prepared statement",
            )
            .with_hint("Send one statement with each call."));
        }
        (None, _) => Statement::Empty,
    };
    let refused = |message: &str, hint: &str| {
        Err(Error::new(ErrorKind::NotSupported, message).with_hint(hint))
    };
    match statement {
        Statement::Query(_)
        | Statement::Explain(..)
        | Statement::Show(_)
        | Statement::ShowAll
        | Statement::RefreshCatalog(_) => Ok(statement),
        Statement::Empty => Err(Error::new(ErrorKind::Syntax, "the statement is empty")),
        Statement::Copy(..) => {
            refused("COPY is not supported over Flight SQL", "Execute the query itself.")
        }
        Statement::Set(_)
        | Statement::KeepRole(_)
        | Statement::Reset(_)
        | Statement::ResetAll
        | Statement::Discard(_) => refused(
            "SET and RESET are not supported over Flight SQL, whose calls share no session",
            "Send the setting as a header with each call, such as statement_timeout.",
        ),
        Statement::Declare(_) | Statement::Fetch(_) | Statement::Close(_) => refused(
            "cursors are not supported over Flight SQL, whose calls share no session",
            "Execute the query itself: its rows are streamed.",
        ),
        Statement::Prepare(_) | Statement::Execute(_) => refused(
            "PREPARE and EXECUTE are not supported over Flight SQL",
            "Prepare the statement by the protocol.",
        ),
        Statement::Listen | Statement::Unlisten => {
            refused("LISTEN is not supported over Flight SQL", "weir sends no notifications.")
        }
        Statement::Transaction(_) => refused(
            "transactions are not supported over Flight SQL",
            "Every statement reads, and stands alone.",
        ),
        Statement::Deallocate(_) => refused(
            "DEALLOCATE is not supported over Flight SQL",
            "Close the prepared statement by its handle.",
        ),
    }
}

fn parameter_schema(prepared: &Prepared) -> Schema {
    let plain = |field: &FieldRef| Field::new(field.name(), field.data_type().clone(), true);
    Schema::new(prepared.parameters().iter().map(plain).collect::<Vec<_>>())
}

fn schema_bytes(schema: &Schema) -> Result<Bytes> {
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into()?;
    Ok(bytes)
}

fn one<T: Send + 'static>(item: T) -> Reply<T> {
    stream::iter([Ok(item)]).boxed()
}

/// The story of a panic, for the log.
pub(super) fn caught(panic: Box<dyn Any + Send>) -> Error {
    let story = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(story), _) => (*story).to_owned(),
        (_, Some(story)) => story.clone(),
        (None, None) => "a panic without words".to_owned(),
    };
    Error::internal(format!("a call panicked: {story}"))
}

fn not_supported<T>(call: &str) -> Result<T> {
    Err(Error::new(ErrorKind::NotSupported, format!("{call} is not supported")))
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = Reply<HandshakeResponse>;
    type ListFlightsStream = Reply<FlightInfo>;
    type DoGetStream = Reply<FlightData>;
    type DoPutStream = Reply<PutResult>;
    type DoActionStream = Reply<arrow_flight::Result>;
    type ListActionsStream = Reply<ActionType>;
    type DoExchangeStream = Reply<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        guarded(self.log_in(Claim::of(&request))).await
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            let caller = self.caller(claim).await?;
            self.describe(&caller, request.get_ref()).await.map(Response::new)
        })
        .await
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            let caller = self.caller(claim).await?;
            let info = self.describe(&caller, request.get_ref()).await?;
            Ok(Response::new(SchemaResult { schema: info.schema }))
        })
        .await
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            let caller = self.caller(claim).await?;
            self.fetch(&caller, request.get_ref()).await.map(Response::new)
        })
        .await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            let caller = self.caller(claim).await?;
            let result = self.put(&caller, request.into_inner()).await?;
            Ok(Response::new(one(result)))
        })
        .await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            let caller = self.caller(claim).await?;
            self.act(&caller, request.get_ref()).await.map(Response::new)
        })
        .await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            self.caller(claim).await?;
            let actions = [
                (CREATE_PREPARED_STATEMENT, "Prepares a statement."),
                (CLOSE_PREPARED_STATEMENT, "Ends a prepared statement."),
            ];
            let actions = actions.map(|(name, description)| {
                Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
            });
            Ok(Response::new(stream::iter(actions).boxed()))
        })
        .await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            self.caller(claim).await?;
            not_supported("ListFlights")
        })
        .await
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            self.caller(claim).await?;
            not_supported("PollFlightInfo")
        })
        .await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        let claim = Claim::of(&request);
        guarded(async {
            self.caller(claim).await?;
            not_supported("DoExchange")
        })
        .await
    }
}
