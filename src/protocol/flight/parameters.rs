//! Values for `$1`, `$2`, …: one row of Arrow columns.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    compute::cast,
    datatypes::{DataType, Field, FieldRef, Schema},
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use arrow_flight::{FlightData, decode::FlightRecordBatchStream, error::FlightError};
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use futures::{Stream, TryStreamExt};

use super::status::from_decoder;
use crate::error::{Error, ErrorKind, Result};

/// The values travel inside the statement's handle and ticket.
const MAX_BYTES: usize = 1 << 20;

/// One row; each column is the value of one parameter.
#[derive(Debug)]
pub(super) struct Parameters(Option<RecordBatch>);

impl Parameters {
    /// Reads what a client binds by DoPut.
    pub(super) async fn receive<S>(messages: S) -> Result<Self>
    where
        S: Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    {
        let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
        let mut row: Option<RecordBatch> = None;
        while let Some(batch) = batches.try_next().await.map_err(from_decoder)? {
            if batch.get_array_memory_size() > 2 * super::MAX_MESSAGE_BYTES {
                return Err(too_large());
            }
            match batch.num_rows() {
                0 => {}
                1 if row.is_none() => row = Some(plain(&batch)?),
                _ => {
                    return Err(Error::new(
                        ErrorKind::NotSupported,
                        "only one row of parameters can be bound",
                    )
                    .with_hint("Execute the statement once for each row."));
                }
            }
        }
        match row {
            Some(row) => Ok(Self(Some(row))),
            None => Err(Error::new(ErrorKind::ProtocolViolation, "no row of parameters was sent")),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.as_ref().map_or(0, RecordBatch::num_columns)
    }

    /// Reads what [`Parameters::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &Bytes) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        let mut reader = StreamReader::try_new(bytes.as_ref(), None).map_err(Error::internal)?;
        reader.next().transpose().map(Self).map_err(Error::internal)
    }

    pub(super) fn to_bytes(&self) -> Result<Bytes> {
        let Some(row) = &self.0 else { return Ok(Bytes::new()) };
        let mut bytes = Vec::new();
        let mut writer =
            StreamWriter::try_new(&mut bytes, &row.schema()).map_err(Error::internal)?;
        writer.write(row).and_then(|()| writer.finish()).map_err(Error::internal)?;
        drop(writer);
        if bytes.len() > MAX_BYTES {
            return Err(too_large());
        }
        Ok(bytes.into())
    }

    /// The types as the client sent them: a statement is planned for these, so that no value
    /// needs to be bent into another type. The type of a bare NULL is left to the statement.
    pub(super) fn declared(&self) -> Vec<Option<DataType>> {
        let Some(row) = &self.0 else { return Vec::new() };
        let fields = row.schema();
        let types = fields.fields().iter().map(|field| field.data_type());
        types.map(|kind| (*kind != DataType::Null).then(|| kind.clone())).collect()
    }

    /// The values, for a statement that was planned for the declared types.
    pub(super) fn values(&self, planned: &[FieldRef]) -> Result<Vec<ScalarValue>> {
        let Some(row) = &self.0 else { return Ok(Vec::new()) };
        row.columns()
            .iter()
            .enumerate()
            .map(|(index, column)| match planned.get(index) {
                Some(planned) if *column.data_type() == DataType::Null => {
                    Ok(ScalarValue::try_new_null(planned.data_type())?)
                }
                _ => Ok(ScalarValue::try_from_array(column, 0)?),
            })
            .collect()
    }
}

/// The row by itself, in the encodings that the engine's literals have.
fn plain(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (index, column) in batch.columns().iter().enumerate() {
        let target = match column.data_type() {
            DataType::Dictionary(_, values) => values.as_ref().clone(),
            DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
            DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
            DataType::Union(..) | DataType::RunEndEncoded(..) | DataType::Map(..) => {
                return Err(Error::new(
                    ErrorKind::NotSupported,
                    format!("parameter ${} has the type {}", index + 1, column.data_type()),
                ));
            }
            other => other.clone(),
        };
        columns.push(cast(column, &target)?);
        fields.push(Field::new(format!("${}", index + 1), target, true));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::ProgramLimitExceeded,
        format!("the parameters have more than {MAX_BYTES} bytes"),
    )
}
