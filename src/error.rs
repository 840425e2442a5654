//! The one error that clients see, and the one table that gives it a SQLSTATE, a gRPC status, an
//! HTTP status and a log level.
//!
//! Invariant: `source` goes to the log and never to a client.

use std::error::Error as StdError;

use datafusion::{
    arrow::error::ArrowError, common::SchemaError, error::DataFusionError,
    sql::sqlparser::parser::ParserError,
};
use parquet::errors::ParquetError;
use weir_catalogs::{SourceError, SourceErrorKind};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error as a client may see it: messages follow PostgreSQL (lower case, no full stop, the
/// object named and quoted), detail and hint are sentences.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What went wrong, in the terms of SQLSTATE (PostgreSQL manual, appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    Syntax,
    UndefinedTable,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedObject,
    AmbiguousColumn,
    DuplicateObject,
    DatatypeMismatch,
    GroupingError,
    PermissionDenied,
    ReadOnly,
    InvalidPassword,
    InvalidAuthorization,
    NotSupported,
    TooManyConnections,
    RateLimited,
    OutOfMemory,
    ProgramLimitExceeded,
    Cancelled,
    ShuttingDown,
    ProtocolViolation,
    InvalidCatalog,
    InvalidSchema,
    InvalidStatementName,
    InvalidCursorName,
    InvalidSavepoint,
    DuplicateStatement,
    DuplicateCursor,
    InvalidCursorDefinition,
    InvalidColumnReference,
    UndefinedParameter,
    NotReady,
    ActiveTransaction,
    NoActiveTransaction,
    FailedTransaction,
    InvalidParameter,
    DataException,
    DivisionByZero,
    NumericOutOfRange,
    InvalidText,
    InvalidDatetime,
    InvalidEncoding,
    InvalidEscape,
    InvalidLogarithm,
    InvalidPower,
    InvalidPattern,
    CardinalityViolation,
    SourceUnavailable,
    SourceRejected,
    SourceValue,
    Config,
    Internal,
}

/// How loudly the log reports an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A client's own doing.
    Client,
    /// Explains the morning after.
    Warning,
    /// Wakes somebody.
    Fault,
}

impl ErrorKind {
    /// SQLSTATE, gRPC status, HTTP status, severity.
    const fn table(self) -> (&'static str, tonic::Code, u16, Severity) {
        use Severity::{Client, Fault, Warning};
        use tonic::Code;
        match self {
            Self::Syntax => ("42601", Code::InvalidArgument, 400, Client),
            Self::UndefinedTable => ("42P01", Code::NotFound, 404, Client),
            Self::UndefinedColumn => ("42703", Code::InvalidArgument, 400, Client),
            Self::UndefinedFunction => ("42883", Code::InvalidArgument, 400, Client),
            Self::UndefinedObject => ("42704", Code::InvalidArgument, 400, Client),
            Self::AmbiguousColumn => ("42702", Code::InvalidArgument, 400, Client),
            Self::DuplicateObject => ("42710", Code::AlreadyExists, 409, Client),
            Self::DatatypeMismatch => ("42804", Code::InvalidArgument, 400, Client),
            Self::GroupingError => ("42803", Code::InvalidArgument, 400, Client),
            Self::PermissionDenied => ("42501", Code::PermissionDenied, 403, Warning),
            Self::ReadOnly => ("25006", Code::PermissionDenied, 403, Warning),
            Self::InvalidPassword => ("28P01", Code::Unauthenticated, 401, Warning),
            Self::InvalidAuthorization => ("28000", Code::Unauthenticated, 401, Warning),
            Self::NotSupported => ("0A000", Code::Unimplemented, 501, Client),
            Self::TooManyConnections => ("53300", Code::ResourceExhausted, 503, Warning),
            Self::RateLimited => ("53400", Code::ResourceExhausted, 429, Warning),
            Self::OutOfMemory => ("53200", Code::ResourceExhausted, 507, Warning),
            Self::ProgramLimitExceeded => ("54000", Code::ResourceExhausted, 413, Client),
            Self::Cancelled => ("57014", Code::Cancelled, 499, Client),
            Self::ShuttingDown => ("57P01", Code::Unavailable, 503, Client),
            Self::ProtocolViolation => ("08P01", Code::InvalidArgument, 400, Warning),
            Self::InvalidCatalog => ("3D000", Code::NotFound, 404, Client),
            Self::InvalidSchema => ("3F000", Code::NotFound, 404, Client),
            Self::InvalidStatementName => ("26000", Code::NotFound, 404, Client),
            Self::InvalidCursorName => ("34000", Code::NotFound, 404, Client),
            Self::InvalidSavepoint => ("3B001", Code::NotFound, 404, Client),
            Self::DuplicateStatement => ("42P05", Code::AlreadyExists, 409, Client),
            Self::DuplicateCursor => ("42P03", Code::AlreadyExists, 409, Client),
            Self::InvalidCursorDefinition => ("42P11", Code::InvalidArgument, 400, Client),
            Self::InvalidColumnReference => ("42P10", Code::InvalidArgument, 400, Client),
            Self::UndefinedParameter => ("42P02", Code::InvalidArgument, 400, Client),
            Self::NotReady => ("55000", Code::FailedPrecondition, 409, Client),
            Self::ActiveTransaction => ("25001", Code::FailedPrecondition, 409, Client),
            Self::NoActiveTransaction => ("25P01", Code::FailedPrecondition, 409, Client),
            Self::FailedTransaction => ("25P02", Code::FailedPrecondition, 409, Client),
            Self::InvalidParameter => ("22023", Code::InvalidArgument, 400, Client),
            Self::DataException => ("22000", Code::InvalidArgument, 400, Client),
            Self::DivisionByZero => ("22012", Code::InvalidArgument, 400, Client),
            Self::NumericOutOfRange => ("22003", Code::OutOfRange, 400, Client),
            Self::InvalidText => ("22P02", Code::InvalidArgument, 400, Client),
            Self::InvalidDatetime => ("22007", Code::InvalidArgument, 400, Client),
            Self::InvalidEncoding => ("22021", Code::InvalidArgument, 400, Client),
            Self::InvalidEscape => ("22025", Code::InvalidArgument, 400, Client),
            Self::InvalidLogarithm => ("2201E", Code::InvalidArgument, 400, Client),
            Self::InvalidPower => ("2201F", Code::InvalidArgument, 400, Client),
            Self::InvalidPattern => ("2201B", Code::InvalidArgument, 400, Client),
            Self::CardinalityViolation => ("21000", Code::InvalidArgument, 400, Client),
            Self::SourceUnavailable => ("HV00N", Code::Unavailable, 503, Warning),
            Self::SourceRejected => ("HV000", Code::FailedPrecondition, 502, Warning),
            Self::SourceValue => ("HV004", Code::DataLoss, 502, Warning),
            Self::Config => ("F0000", Code::FailedPrecondition, 500, Fault),
            Self::Internal => ("XX000", Code::Internal, 500, Fault),
        }
    }

    pub const fn sqlstate(self) -> &'static str {
        self.table().0
    }

    pub const fn grpc(self) -> tonic::Code {
        self.table().1
    }

    pub const fn http(self) -> u16 {
        self.table().2
    }

    pub const fn severity(self) -> Severity {
        self.table().3
    }
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, hint: None, source: None }
    }

    /// A bug of ours: the client learns only that there was one, the log gets the story.
    pub fn internal(story: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "internal error")
            .with_hint("The server's log has the details.")
            .with_source(story)
    }

    /// Writes the error to the log, as loudly as its kind deserves, with its causes.
    pub fn log(&self) {
        let causes = self.causes();
        let sqlstate = self.kind.sqlstate();
        match self.kind.severity() {
            Severity::Client => tracing::debug!(sqlstate, causes, "{self}"),
            Severity::Warning => tracing::warn!(sqlstate, causes, "{self}"),
            Severity::Fault => tracing::error!(sqlstate, causes, "{self}"),
        }
    }

    fn causes(&self) -> String {
        let mut causes = Vec::new();
        let mut next = StdError::source(self);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes.join(": ")
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Finds the error inside the engine's wrappers: our own comes back as it was thrown, a source's
/// and the engine's get their kind.
impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                Self::from(*inner)
            }
            DataFusionError::External(inner) => from_boxed(inner),
            DataFusionError::ArrowError(inner, _) => from_arrow(*inner),
            DataFusionError::Shared(inner) => from_shared(&inner),
            DataFusionError::Collection(errors) => {
                let first = errors.into_iter().next().map(Self::from);
                first.unwrap_or_else(|| Self::internal("an empty collection of errors"))
            }
            // A reader of files throws its own errors through Parquet's.
            DataFusionError::ParquetError(inner) => match *inner {
                ParquetError::External(inner) => from_boxed(inner),
                other => from_engine(&DataFusionError::ParquetError(Box::new(other))),
            },
            other => from_engine(&other).with_source(other),
        }
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        copy_of_source(&error).with_source(error)
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        from_arrow(error)
    }
}

fn from_boxed(error: Box<dyn StdError + Send + Sync>) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    let error = match error.downcast::<DataFusionError>() {
        Ok(error) => return Error::from(*error),
        Err(error) => error,
    };
    let error = match error.downcast::<ArrowError>() {
        Ok(error) => return from_arrow(*error),
        Err(error) => error,
    };
    match error.downcast::<SourceError>() {
        Ok(error) => Error::from(*error),
        Err(error) => match regular_expression(&error.to_string()) {
            Some(refusal) => refusal.with_source(error),
            None => Error::internal(error),
        },
    }
}

/// What is said of a regular expression, by the engine or by the library below it: text, whose
/// patterns may be values of a column.
fn regular_expression(message: &str) -> Option<Error> {
    const PHRASES: &[&str] = &[
        "Regular expression did not compile",
        "regex parse error",
        "regex_match_dyn_scalar",
        "Compiled regex exceeds size limit",
    ];
    const TOO_LARGE: &[&str] = &["CompiledTooBig", "exceeds size limit"];
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    has(PHRASES).then(|| {
        let said = match has(TOO_LARGE) {
            true => "invalid regular expression: it is too large",
            false => "invalid regular expression",
        };
        Error::new(ErrorKind::InvalidPattern, said)
    })
}

fn from_arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => from_boxed(inner),
        other => from_arrow_kind(&other).with_source(other),
    }
}

/// An error that several partitions share can't be taken apart, only described.
fn from_shared(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(inner) => {
            if let Some(error) = inner.downcast_ref::<Error>() {
                Error {
                    kind: error.kind,
                    message: error.message.clone(),
                    detail: error.detail.clone(),
                    hint: error.hint.clone(),
                    source: None,
                }
            } else if let Some(error) = inner.downcast_ref::<SourceError>() {
                copy_of_source(error)
            } else {
                Error::internal(inner.to_string())
            }
        }
        DataFusionError::ArrowError(inner, _) => from_arrow_kind(inner),
        other => from_engine(other),
    }
}

fn copy_of_source(error: &SourceError) -> Error {
    let kind = match error.kind {
        SourceErrorKind::InvalidOption => ErrorKind::Config,
        SourceErrorKind::Unavailable => ErrorKind::SourceUnavailable,
        SourceErrorKind::AuthenticationFailed
        | SourceErrorKind::PermissionDenied
        | SourceErrorKind::Rejected
        | SourceErrorKind::Stale => ErrorKind::SourceRejected,
        SourceErrorKind::UnsupportedType => ErrorKind::NotSupported,
        SourceErrorKind::InvalidValue => ErrorKind::SourceValue,
        SourceErrorKind::Timeout => ErrorKind::Cancelled,
        SourceErrorKind::Internal => return Error::internal(error.message.clone()),
    };
    Error { hint: error.hint.clone(), ..Error::new(kind, error.message.clone()) }
}

fn from_engine(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::Execution(message)
        | DataFusionError::Configuration(message)
            if tells_a_plan(message) =>
        {
            Error::new(ErrorKind::NotSupported, "the engine can't run its own plan of this query")
                .with_hint("The server's log has the details.")
        }
        DataFusionError::SQL(cause, _) => syntax(cause),
        DataFusionError::SchemaError(cause, _) => schema(cause),
        DataFusionError::NotImplemented(message) => {
            Error::new(ErrorKind::NotSupported, first_line(message))
        }
        DataFusionError::Plan(message) => plan(message),
        DataFusionError::Internal(message) => {
            regular_expression(message).unwrap_or_else(|| Error::internal(message.clone()))
        }
        DataFusionError::Execution(message) => execution(message),
        DataFusionError::ResourcesExhausted(_) => {
            Error::new(ErrorKind::OutOfMemory, "the query needs more memory than it may use")
                .with_hint("Ask for fewer rows or columns, or raise limits.query_memory.")
        }
        DataFusionError::ObjectStore(cause) => Error::new(
            ErrorKind::SourceUnavailable,
            match cause.as_ref() {
                datafusion::object_store::Error::NotFound { .. } => {
                    "a file of this table is no longer there"
                }
                _ => "a file of this table can't be read",
            },
        )
        .with_hint("Try again; REFRESH CATALOG reads the list of files anew."),
        DataFusionError::ParquetError(_) => {
            Error::new(ErrorKind::SourceValue, "a Parquet file of this table is damaged")
                .with_hint("The server's log names the fault.")
        }
        DataFusionError::Configuration(message) => {
            Error::new(ErrorKind::InvalidParameter, first_line(message))
        }
        DataFusionError::IoError(cause) if cause.kind() == std::io::ErrorKind::StorageFull => {
            Error::new(ErrorKind::OutOfMemory, "no space left for spilling to disk")
        }
        other => Error::internal(other.to_string()),
    }
}

fn syntax(error: &ParserError) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => {
            Error::new(ErrorKind::ProgramLimitExceeded, "statement is nested too deeply")
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
            Error::new(ErrorKind::Syntax, format!("syntax error: {}", lower_first(message)))
        }
    }
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let error = Error::new(
                ErrorKind::UndefinedColumn,
                format!("column \"{}\" does not exist", field.flat_name()),
            );
            match nearest(&field.name, valid_fields.iter().map(|field| field.name.as_str())) {
                Some(name) => error.with_hint(format!("Perhaps you meant \"{name}\".")),
                None => error,
            }
        }
        SchemaError::AmbiguousReference { field } => Error::new(
            ErrorKind::AmbiguousColumn,
            format!("column reference \"{}\" is ambiguous", field.name),
        ),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(ErrorKind::AmbiguousColumn, format!("column \"{name}\" occurs twice"))
        }
    }
}

/// The planner's messages are text; these phrases have been stable and tell kinds apart.
fn plan(message: &str) -> Error {
    const PHRASES: &[(&str, ErrorKind)] = &[
        ("Invalid function", ErrorKind::UndefinedFunction),
        ("No function matches", ErrorKind::UndefinedFunction),
        ("Failed to coerce arguments", ErrorKind::UndefinedFunction),
        ("function '", ErrorKind::UndefinedFunction),
        ("must appear in the GROUP BY", ErrorKind::GroupingError),
        ("must be in GROUP BY", ErrorKind::GroupingError),
        ("Cannot infer common", ErrorKind::DatatypeMismatch),
        ("Cannot coerce", ErrorKind::DatatypeMismatch),
        ("can't be evaluated because there isn't a common type", ErrorKind::DatatypeMismatch),
        ("Placeholder", ErrorKind::InvalidParameter),
    ];
    let kind = PHRASES
        .iter()
        .find(|(phrase, _)| message.contains(phrase))
        .map_or(ErrorKind::Syntax, |(_, kind)| *kind);
    Error::new(kind, lower_first(first_line(message)))
}

fn execution(message: &str) -> Error {
    const PHRASES: &[(&str, ErrorKind)] = &[
        ("Divide by zero", ErrorKind::DivisionByZero),
        ("division by zero", ErrorKind::DivisionByZero),
        ("requested length too large", ErrorKind::ProgramLimitExceeded),
        ("overflow", ErrorKind::NumericOutOfRange),
        ("out of range", ErrorKind::NumericOutOfRange),
        ("cannot take logarithm", ErrorKind::InvalidLogarithm),
        ("cannot take square root", ErrorKind::InvalidPower),
        ("zero raised to a negative power", ErrorKind::InvalidPower),
        ("a negative number raised to", ErrorKind::InvalidPower),
        ("invalid regular expression", ErrorKind::InvalidPattern),
        ("invalid input syntax", ErrorKind::InvalidText),
        ("more than one row", ErrorKind::CardinalityViolation),
        ("returned more than one", ErrorKind::CardinalityViolation),
        ("parsing timestamp", ErrorKind::InvalidDatetime),
    ];
    if let Some(refusal) = regular_expression(message) {
        return refusal;
    }
    let kind = PHRASES
        .iter()
        .find(|(phrase, _)| message.contains(phrase))
        .map_or(ErrorKind::DataException, |(_, kind)| *kind);
    Error::new(kind, lower_first(first_line(message)))
}

fn from_arrow_kind(error: &ArrowError) -> Error {
    match error {
        ArrowError::DivideByZero => Error::new(ErrorKind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(message) => {
            Error::new(ErrorKind::NumericOutOfRange, lower_first(first_line(message)))
        }
        ArrowError::CastError(message) => {
            Error::new(ErrorKind::InvalidText, lower_first(first_line(message)))
        }
        ArrowError::ParseError(message) | ArrowError::CsvError(message) => {
            Error::new(ErrorKind::InvalidText, lower_first(first_line(message)))
        }
        ArrowError::ComputeError(message) | ArrowError::InvalidArgumentError(message) => {
            execution(message)
        }
        ArrowError::NotYetImplemented(message) => {
            Error::new(ErrorKind::NotSupported, lower_first(first_line(message)))
        }
        other => Error::internal(other.to_string()),
    }
}

/// Some checks of the engine print whole plans: the predicates of a policy, hidden columns, what is
/// sent to a source.
fn tells_a_plan(message: &str) -> bool {
    ["Exec:", "Exec\"", "Exec {"].iter().any(|operator| message.contains(operator))
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim_end_matches('.')
}

fn lower_first(message: &str) -> String {
    let mut characters = message.chars();
    match (characters.next(), characters.clone().next()) {
        // An abbreviation keeps its capitals.
        (Some(_), Some(second)) if second.is_uppercase() => message.to_owned(),
        (Some(first), _) => first.to_lowercase().chain(characters).collect(),
        (None, _) => String::new(),
    }
}

/// The candidate that a slip of the fingers would have turned into `name`.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| {
            (datafusion::common::utils::datafusion_strsim::levenshtein(name, candidate), candidate)
        })
        .filter(|(distance, _)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_pattern_is_told_apart_and_not_told() {
        for error in [
            DataFusionError::Execution("Regular expression did not compile: Syntax(x)".to_owned()),
            DataFusionError::Internal("failed to call 'regex_match_dyn_scalar' x".to_owned()),
            DataFusionError::External("regex parse error: x".into()),
            ArrowError::ComputeError("Regular expression did not compile: x".to_owned()).into(),
        ] {
            let error = Error::from(error);
            assert_eq!(error.kind, ErrorKind::InvalidPattern);
            assert_eq!(error.message, "invalid regular expression");
        }
        let large = "Regular expression did not compile: CompiledTooBig(10485760)".to_owned();
        let error = Error::from(DataFusionError::Execution(large));
        assert_eq!(error.message, "invalid regular expression: it is too large");
    }

    #[test]
    fn no_message_tells_a_plan() {
        let told = "Plan: [\"SortExec: expr=[a@0]\", \"  FilterExec: tenant = 'acme'\"] does not \
                    satisfy order requirements: [a@0 ASC]. Child-0 order: []";
        for error in [
            DataFusionError::Plan(told.to_owned()),
            DataFusionError::NotImplemented(told.to_owned()),
            DataFusionError::Plan(told.to_owned()).context("SanityCheckPlan"),
            DataFusionError::Shared(std::sync::Arc::new(DataFusionError::Plan(told.to_owned()))),
        ] {
            let error = Error::from(error);
            assert_eq!(error.kind, ErrorKind::NotSupported);
            let told = format!("{} {:?} {:?}", error.message, error.detail, error.hint);
            assert!(!told.contains("acme"), "{told}");
        }
        let error = Error::from(DataFusionError::Plan("Cannot coerce a to b".to_owned()));
        assert_eq!(error.message, "cannot coerce a to b");
    }
}
