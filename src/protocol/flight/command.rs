//! What a descriptor, a ticket or an action asks for.

use arrow_flight::{
    Action,
    sql::{self, Any, ProstMessageExt},
};
use bytes::Bytes;
use prost::Message;

use super::metadata::Metadata;
use crate::error::{Error, ErrorKind, Result};

/// Every command that is answered. What is not listed is refused where it is read.
#[derive(Debug)]
pub(super) enum Command {
    /// SQL text, for its rows.
    Query(String),
    /// The handle of a prepared statement.
    Prepared(Bytes),
    /// What GetFlightInfo signed.
    Ticket(Bytes),
    /// SQL text, for its effect alone.
    Update(String),
    PreparedUpdate(Bytes),
    Metadata(Metadata),
}

impl Command {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let any = Any::decode(bytes).map_err(malformed)?;
        let command = sql::Command::try_from(any).map_err(malformed)?;
        let refused = not_supported(command.type_url());
        match command {
            sql::Command::CommandStatementQuery(command) => {
                refuse_transaction(command.transaction_id)?;
                Ok(Self::Query(command.query))
            }
            sql::Command::CommandPreparedStatementQuery(command) => {
                Ok(Self::Prepared(command.prepared_statement_handle))
            }
            sql::Command::TicketStatementQuery(ticket) => Ok(Self::Ticket(ticket.statement_handle)),
            sql::Command::CommandStatementUpdate(command) => {
                refuse_transaction(command.transaction_id)?;
                Ok(Self::Update(command.query))
            }
            sql::Command::CommandPreparedStatementUpdate(command) => {
                Ok(Self::PreparedUpdate(command.prepared_statement_handle))
            }
            sql::Command::CommandStatementIngest(_) => {
                Err(Error::new(ErrorKind::ReadOnly, "cannot ingest in a read-only transaction"))
            }
            sql::Command::CommandGetCatalogs(_) => Ok(Self::Metadata(Metadata::Catalogs)),
            sql::Command::CommandGetDbSchemas(filter) => {
                Ok(Self::Metadata(Metadata::Schemas(filter)))
            }
            sql::Command::CommandGetTables(filter) => Ok(Self::Metadata(Metadata::Tables(filter))),
            sql::Command::CommandGetTableTypes(_) => Ok(Self::Metadata(Metadata::TableTypes)),
            sql::Command::CommandGetSqlInfo(filter) => {
                Ok(Self::Metadata(Metadata::SqlInfo(filter)))
            }
            sql::Command::CommandGetXdbcTypeInfo(filter) => {
                Ok(Self::Metadata(Metadata::TypeInfo(filter)))
            }
            sql::Command::CommandGetPrimaryKeys(table) => {
                Ok(Self::Metadata(Metadata::PrimaryKeys(table)))
            }
            // Sources tell no foreign keys.
            sql::Command::CommandGetImportedKeys(_)
            | sql::Command::CommandGetExportedKeys(_)
            | sql::Command::CommandGetCrossReference(_) => {
                Ok(Self::Metadata(Metadata::ForeignKeys))
            }
            sql::Command::CommandStatementSubstraitPlan(_)
            | sql::Command::ActionBeginSavepointRequest(_)
            | sql::Command::ActionBeginSavepointResult(_)
            | sql::Command::ActionBeginTransactionRequest(_)
            | sql::Command::ActionBeginTransactionResult(_)
            | sql::Command::ActionCancelQueryRequest(_)
            | sql::Command::ActionCancelQueryResult(_)
            | sql::Command::ActionClosePreparedStatementRequest(_)
            | sql::Command::ActionCreatePreparedStatementRequest(_)
            | sql::Command::ActionCreatePreparedStatementResult(_)
            | sql::Command::ActionCreatePreparedSubstraitPlanRequest(_)
            | sql::Command::ActionEndSavepointRequest(_)
            | sql::Command::ActionEndTransactionRequest(_)
            | sql::Command::DoPutPreparedStatementResult(_)
            | sql::Command::DoPutUpdateResult(_)
            | sql::Command::Unknown(_) => Err(refused),
        }
    }

    /// For a call that does not take this command.
    pub(super) fn misplaced(&self, call: &str) -> Error {
        let name = match self {
            Self::Query(_) => "CommandStatementQuery",
            Self::Prepared(_) => "CommandPreparedStatementQuery",
            Self::Ticket(_) => "TicketStatementQuery",
            Self::Update(_) => "CommandStatementUpdate",
            Self::PreparedUpdate(_) => "CommandPreparedStatementUpdate",
            Self::Metadata(_) => "a command for metadata",
        };
        Error::new(ErrorKind::ProtocolViolation, format!("{call} does not take {name}"))
    }
}

/// The actions that are answered.
#[derive(Debug)]
pub(super) enum Do {
    Prepare(String),
    Close(Bytes),
}

pub(super) const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
pub(super) const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";

impl Do {
    pub(super) fn decode(action: &Action) -> Result<Self> {
        match action.r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                let request: sql::ActionCreatePreparedStatementRequest = unpack(&action.body)?;
                refuse_transaction(request.transaction_id)?;
                Ok(Self::Prepare(request.query))
            }
            CLOSE_PREPARED_STATEMENT => {
                let request: sql::ActionClosePreparedStatementRequest = unpack(&action.body)?;
                Ok(Self::Close(request.prepared_statement_handle))
            }
            other => Err(not_supported(other)),
        }
    }
}

fn unpack<M: ProstMessageExt>(body: &Bytes) -> Result<M> {
    let any = Any::decode(body.as_ref()).map_err(malformed)?;
    let message = any.unpack().map_err(malformed)?;
    message.ok_or_else(|| malformed(format!("not a {}", M::type_url())))
}

fn refuse_transaction(id: Option<Bytes>) -> Result<()> {
    if id.is_none_or(|id| id.is_empty()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotSupported, "transactions are not supported here")
        .with_hint("Every statement reads, and stands alone."))
}

fn malformed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::ProtocolViolation, "malformed Flight SQL command").with_source(cause)
}

/// The name is the client's own text: cut, and quoted.
fn not_supported(what: &str) -> Error {
    let name = what.rsplit(['/', '.']).next().unwrap_or_default();
    let name: String = name.chars().take(60).collect();
    Error::new(ErrorKind::NotSupported, format!("{name:?} is not supported"))
}
