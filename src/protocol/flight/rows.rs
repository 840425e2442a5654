//! Rows as Flight data, at the pace of whoever reads them.

use std::panic::AssertUnwindSafe;

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use arrow_flight::{FlightData, encode::FlightDataEncoderBuilder, error::FlightError};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    service::{Reply, caught},
    status::{from_encoder, status},
};
use crate::{
    engine::RowStream,
    error::{Error, ErrorKind, Result},
    session::Rows,
};

/// The schema as it is sent: an array of a dictionary goes out as an array of its values, which
/// every client reads.
pub(super) fn sent_schema(schema: &SchemaRef) -> SchemaRef {
    let encoder = FlightDataEncoderBuilder::new()
        .with_schema(SchemaRef::clone(schema))
        .build(stream::empty());
    encoder.known_schema().unwrap_or_else(|| SchemaRef::new(Schema::empty()))
}

/// Encodes a query's rows. Nothing is read ahead of the client but what its window holds; dropping
/// the stream cancels the query. `stop` ends it with an error (57P01).
pub(super) fn encode(rows: Rows, schema: SchemaRef, stop: CancellationToken) -> Reply<FlightData> {
    match rows {
        Rows::Stream(rows) => encode_batches(batches(rows, stop), schema),
        Rows::Batch(batch, _) => encode_batch(batch),
    }
}

pub(super) fn encode_batch(batch: RecordBatch) -> Reply<FlightData> {
    let schema = batch.schema();
    encode_batches(stream::iter([Ok(batch)]), schema)
}

fn batches(
    rows: RowStream,
    stop: CancellationToken,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    stream::unfold(Some((rows, stop)), |state| async move {
        let (mut rows, stop) = state?;
        let next = tokio::select! {
            // The end comes first: rows that are always ready would never let it through.
            biased;
            () = stop.cancelled() => Err(Error::new(
                ErrorKind::ShuttingDown,
                "terminating connection due to administrator command",
            )),
            next = rows.next_batch() => next,
        };
        match next {
            Ok(Some(batch)) => Some((Ok(batch), Some((rows, stop)))),
            Ok(None) => None,
            // After an error nothing follows; the query ends here.
            Err(error) => Some((Err(error), None)),
        }
    })
}

fn encode_batches(
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    schema: SchemaRef,
) -> Reply<FlightData> {
    let batches = batches.map_err(|error| FlightError::ExternalError(Box::new(error)));
    let encoder = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    let encoded = encoder.map_err(from_encoder);
    AssertUnwindSafe(encoded)
        .catch_unwind()
        .map(|item| item.unwrap_or_else(|panic| Err(caught(panic))).map_err(status))
        .boxed()
}

/// Waits for one answer without letting a panic through.
pub(super) async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T, Status> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Err(caught(panic))).map_err(status)
}
