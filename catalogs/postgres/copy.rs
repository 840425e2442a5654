//! Runs one statement as COPY in binary form, and hands its rows over as batches.

use std::{pin::Pin, sync::Arc};

use arrow::array::RecordBatch;
use datafusion::{
    error::DataFusionError, execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{StreamExt, TryStreamExt};
use tokio_postgres::{CopyOutStream, types::Type};

use super::{
    client::{Client, Lease},
    decode::Decoder,
};
use crate::{
    Result, SourceError, SourceErrorKind,
    sql::{RemoteQuery, Sql},
};

/// Starts the statement, after its columns were checked against what the plan expects.
pub(super) async fn read(
    client: &Arc<Client>,
    query: RemoteQuery,
) -> Result<SendableRecordBatchStream> {
    let schema = query.schema.clone();
    let reader = match Reader::start(client, &query).await {
        // The server had closed a connection that was idle in the pool; nothing has run yet.
        Err(Failed::ClosedEarly(_)) => Reader::start(client, &query).await,
        other => other,
    };
    let reader = reader.map_err(Failed::into_inner)?;
    let batches = futures::stream::try_unfold(Some(reader), |reader| async move {
        let Some(reader) = reader else { return Ok(None) };
        reader.next_batch().await
    });
    let client = client.clone();
    let batches = batches.inspect_err(move |error| client.note(error));
    let batches = batches.map_err(DataFusionError::from);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

pub(super) fn copy_statement(select: &Sql) -> String {
    format!("COPY ({select}) TO STDOUT (FORMAT BINARY)")
}

enum Failed {
    ClosedEarly(SourceError),
    Finally(SourceError),
}

impl Failed {
    fn into_inner(self) -> SourceError {
        match self {
            Self::ClosedEarly(error) | Self::Finally(error) => error,
        }
    }
}

impl From<SourceError> for Failed {
    fn from(error: SourceError) -> Self {
        Self::Finally(error)
    }
}

struct Reader {
    client: Arc<Client>,
    lease: Lease,
    copy: Pin<Box<CopyOutStream>>,
    decoder: Decoder,
}

impl Reader {
    /// Two round trips: both statements are prepared at once, inside of a transaction, whose locks
    /// keep the columns as they are until COPY has begun.
    async fn start(client: &Arc<Client>, query: &RemoteQuery) -> Result<Self, Failed> {
        let mut lease = client.lease().await?;
        let select = query.sql.as_str();
        let copy = copy_statement(&query.sql);
        let session = lease.client()?;
        let prepared = async {
            futures::try_join!(
                session.batch_execute("BEGIN TRANSACTION READ ONLY"),
                session.prepare(select),
                session.prepare(&copy),
            )
        };
        let (_, select, copy) = match client.answer(prepared).await? {
            Ok(prepared) => prepared,
            Err(error) => {
                lease.set_idle();
                let error = client.statement_error(error);
                return Err(match error.kind {
                    SourceErrorKind::Unavailable => Failed::ClosedEarly(error),
                    _ => Failed::Finally(error),
                });
            }
        };
        let types: Vec<&Type> = select.columns().iter().map(|column| column.type_()).collect();
        let decoder = Decoder::new(query.relation.clone(), query.schema.clone(), &types)?;
        let copy = match client.answer(session.copy_out(&copy)).await? {
            Ok(copy) => Box::pin(copy),
            Err(error) => {
                lease.set_idle();
                return Err(client.statement_error(error).into());
            }
        };
        Ok(Self { client: client.clone(), lease, copy, decoder })
    }

    /// The next batch, and the reader unless that was the last.
    async fn next_batch(mut self) -> Result<Option<(RecordBatch, Option<Self>)>> {
        loop {
            match self.client.answer(self.copy.next()).await? {
                Some(Ok(piece)) => self.decoder.feed(&piece)?,
                Some(Err(error)) => {
                    self.lease.set_idle();
                    return Err(self.client.statement_error(error));
                }
                None => {
                    self.decoder.check_complete()?;
                    self.lease.release();
                    return Ok(self.decoder.take_batch()?.map(|batch| (batch, None)));
                }
            }
            if self.decoder.is_full()
                && let Some(batch) = self.decoder.take_batch()?
            {
                return Ok(Some((batch, Some(self))));
            }
        }
    }
}
