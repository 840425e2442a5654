use std::error::Error;

use datafusion::error::DataFusionError;

pub type Result<T, E = SourceError> = std::result::Result<T, E>;

/// What went wrong at a source, in terms that every source shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// The configuration of the catalog is wrong; a restart does not help.
    InvalidOption,
    /// The source can't be reached, or the connection broke; trying again may help.
    Unavailable,
    /// The source does not accept our credentials.
    AuthenticationFailed,
    /// The source accepts us but denies this object.
    PermissionDenied,
    /// The source answered a statement with an error.
    Rejected,
    /// A column's type can't be read.
    UnsupportedType,
    /// A value does not fit the declared type of its column.
    InvalidValue,
    /// The table is no longer as the snapshot describes it.
    Stale,
    /// A deadline passed.
    Timeout,
    /// A bug of ours.
    Internal,
}

/// An error of a source. `message` may reach a client; `source` only the log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub kind: SourceErrorKind,
    pub message: String,
    pub hint: Option<String>,
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl SourceError {
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// The way a source's error travels through the engine; the proxy finds it again by downcast.
impl From<SourceError> for DataFusionError {
    fn from(error: SourceError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}
