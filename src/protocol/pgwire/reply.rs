//! Messages to the client, gathered in one buffer and written together.

use bytes::{Bytes, BytesMut};
use pgwire::messages::{
    Message,
    copy::{CopyDone, CopyOutResponse},
    data::{FieldDescription, NoData, ParameterDescription, RowDescription},
    extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended},
    response::{
        CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery,
        TransactionStatus,
    },
    startup::{BackendKeyData, ParameterStatus, SecretKey},
};

use super::{Format, PgColumn};
use crate::{
    error::{Error, Result},
    session::CancelKey,
};

/// What has been said to the client and not been written yet.
#[derive(Debug, Default)]
pub struct Replies {
    pub buffer: Vec<u8>,
}

/// What the client gets back without an argument.
#[derive(Debug, Clone, Copy)]
pub enum Done {
    Parse,
    Bind,
    Close,
    NoData,
    PortalSuspended,
    EmptyQuery,
    Copy,
}

impl Replies {
    fn push(&mut self, message: &impl Message) -> Result<()> {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).map_err(Error::internal)?;
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }

    pub fn done(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Parse => self.push(&ParseComplete::new()),
            Done::Bind => self.push(&BindComplete::new()),
            Done::Close => self.push(&CloseComplete::new()),
            Done::NoData => self.push(&NoData::new()),
            Done::PortalSuspended => self.push(&PortalSuspended::new()),
            Done::EmptyQuery => self.push(&EmptyQueryResponse::new()),
            Done::Copy => self.push(&CopyDone::new()),
        }
    }

    pub fn command_complete(&mut self, tag: impl Into<String>) -> Result<()> {
        self.push(&CommandComplete::new(tag.into()))
    }

    pub fn ready(&mut self, status: TransactionStatus) -> Result<()> {
        self.push(&ReadyForQuery::new(status))
    }

    pub fn parameter_status(&mut self, name: &str, value: &str) -> Result<()> {
        self.push(&ParameterStatus::new(name.to_owned(), value.to_owned()))
    }

    pub fn key(&mut self, key: &CancelKey) -> Result<()> {
        let secret = SecretKey::Bytes(Bytes::from(key.secret.clone()));
        self.push(&BackendKeyData::new(key.process, secret))
    }

    pub fn parameters(&mut self, types: Vec<u32>) -> Result<()> {
        self.push(&ParameterDescription::new(types))
    }

    pub fn rows<'a>(
        &mut self,
        columns: impl Iterator<Item = (&'a str, &'a PgColumn, Format)>,
    ) -> Result<()> {
        let fields = columns
            .map(|(name, column, format)| {
                FieldDescription::new(
                    crate::session::pg_catalog::shown_name(name).to_owned(),
                    0,
                    0,
                    column.oid,
                    column.size,
                    column.typmod,
                    format.code(),
                )
            })
            .collect();
        self.push(&RowDescription::new(fields))
    }

    pub fn copy_out(&mut self, formats: Vec<i16>) -> Result<()> {
        let is_binary = formats.first() == Some(&Format::Binary.code());
        let columns = i16::try_from(formats.len()).map_err(Error::internal)?;
        self.push(&CopyOutResponse::new(i8::from(is_binary), columns, formats))
    }

    pub fn error(&mut self, error: &Error) -> Result<()> {
        self.push(&ErrorResponse::new(fields("ERROR", error)))
    }

    pub fn warning(&mut self, warning: &Error) -> Result<()> {
        self.push(&NoticeResponse::new(fields("WARNING", warning)))
    }
}

/// ErrorResponse's fields (PostgreSQL manual, "Error and Notice Message Fields").
pub fn fields(severity: &str, error: &Error) -> Vec<(u8, String)> {
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.kind.sqlstate().to_owned()),
        (b'M', error.message.clone()),
    ];
    fields.extend(error.detail.clone().map(|detail| (b'D', detail)));
    fields.extend(error.hint.clone().map(|hint| (b'H', hint)));
    for (_, text) in &mut fields {
        text.retain(|character| character != '\0');
    }
    fields
}
