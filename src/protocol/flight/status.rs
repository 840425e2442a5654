//! Our error as a gRPC status.

use arrow_flight::error::FlightError;
use tonic::{Status, metadata::MetadataValue};

use crate::error::{Error, ErrorKind};

/// Trailers have a bound at the client (8 KiB in C++); percent-encoding triples a byte.
const MAX_MESSAGE_BYTES: usize = 2000;

/// `relation "x" does not exist (SQLSTATE 42P01) HINT: …`; the SQLSTATE is also the trailer
/// `sqlstate`, for programs.
pub(super) fn status(error: Error) -> Status {
    error.log();
    let sqlstate = error.kind.sqlstate();
    let mut message = format!("{} (SQLSTATE {sqlstate})", shorten(&error.message));
    for (label, text) in [("DETAIL", &error.detail), ("HINT", &error.hint)] {
        if let Some(text) = text {
            message.push_str(&format!(" {label}: {}", shorten(text)));
        }
    }
    let mut status = Status::new(error.kind.grpc(), message);
    status.metadata_mut().insert("sqlstate", MetadataValue::from_static(sqlstate));
    status
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MESSAGE_BYTES / 3)]
}

/// What the encoder threw: our own error passes through it unchanged.
pub(super) fn from_encoder(error: FlightError) -> Error {
    match error {
        FlightError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(inner) => Error::internal(inner),
        },
        // A batch that is not of the schema that was announced.
        other => Error::internal(other),
    }
}

/// What the decoder says of data that a client sent.
pub(super) fn from_decoder(error: FlightError) -> Error {
    let kind = match &error {
        FlightError::Tonic(status) if status.code() == tonic::Code::Cancelled => {
            ErrorKind::Cancelled
        }
        _ => ErrorKind::ProtocolViolation,
    };
    Error::new(kind, "the record batches that were sent can't be read").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_postgresql_would() {
        let error = Error::new(ErrorKind::UndefinedTable, "relation \"x\" does not exist")
            .with_detail("It never did.")
            .with_hint("Perhaps you meant \"y\".")
            .with_source("only for the log");
        let status = status(error);
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert_eq!(
            status.message(),
            "relation \"x\" does not exist (SQLSTATE 42P01) DETAIL: It never did. \
             HINT: Perhaps you meant \"y\"."
        );
        assert_eq!(status.metadata().get("sqlstate").map(|s| s.as_bytes()), Some(&b"42P01"[..]));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let error = Error::new(ErrorKind::Syntax, "é".repeat(100_000)).with_hint("é".repeat(9999));
        assert!(status(error).message().len() < MAX_MESSAGE_BYTES);
    }
}
