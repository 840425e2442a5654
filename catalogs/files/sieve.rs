//! Drops rows of a scan that the operators above it have told to be of no use.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::{BatchCoalescer, and_kleene, prep_null_mask_filter},
};
use datafusion::{
    error::Result as EngineResult,
    physical_expr::PhysicalExpr,
    physical_plan::{
        SendableRecordBatchStream, filter::batch_filter, stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt, stream};

/// A filter that keeps more than this part of the rows costs more than it saves...
const LARGEST_PART: f64 = 0.7;
/// ...and is tried again only after so many batches, because joins and TopN learn as they go.
const FIRST_REST: usize = 8;
const LONGEST_REST: usize = 128;

/// The rows for which all `filters` hold, or more of them; in batches of about `batch_rows`. They cost
/// more than `first`, which somebody above checks in any case.
pub(super) fn sieve(
    rows: SendableRecordBatchStream,
    first: Option<Arc<dyn PhysicalExpr>>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    batch_rows: usize,
) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let kept = BatchCoalescer::new(Arc::clone(&schema), batch_rows)
        .with_biggest_coalesce_batch_size(Some(batch_rows / 2));
    let sieve = Sieve { first, filters, kept, rest: 0, next_rest: FIRST_REST };
    let batches = stream::try_unfold((Some(rows), sieve), |(mut rows, mut sieve)| async move {
        loop {
            if let Some(batch) = sieve.kept.next_completed_batch() {
                return Ok(Some((batch, (rows, sieve))));
            }
            let Some(input) = rows.as_mut() else { return Ok(None) };
            match input.next().await.transpose()? {
                Some(batch) => sieve.take(batch)?,
                None => {
                    rows = None;
                    sieve.kept.finish_buffered_batch()?;
                }
            }
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

struct Sieve {
    first: Option<Arc<dyn PhysicalExpr>>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    kept: BatchCoalescer,
    /// Batches to let pass.
    rest: usize,
    next_rest: usize,
}

impl Sieve {
    fn take(&mut self, batch: RecordBatch) -> EngineResult<()> {
        if self.rest > 0 {
            self.rest -= 1;
            return self.pass(batch);
        }
        let batch = match &self.first {
            Some(first) => batch_filter(&batch, first)?,
            None => batch,
        };
        let mut wanted: Option<BooleanArray> = None;
        for filter in &self.filters {
            let holds = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            let Some(holds) = holds.as_boolean_opt() else { continue };
            wanted = Some(match &wanted {
                None => holds.clone(),
                Some(wanted) => and_kleene(wanted, holds)?,
            });
        }
        let Some(wanted) = wanted else { return self.pass(batch) };
        // What is not known to hold does not hold.
        let wanted = match wanted.null_count() {
            0 => wanted,
            _ => prep_null_mask_filter(&wanted),
        };
        #[allow(clippy::cast_precision_loss, reason = "a share of some thousand rows")]
        let part = wanted.true_count() as f64 / batch.num_rows().max(1) as f64;
        if part <= LARGEST_PART {
            self.next_rest = FIRST_REST;
            return Ok(self.kept.push_batch_with_filter(batch, &wanted)?);
        }
        self.rest = self.next_rest;
        self.next_rest = (2 * self.next_rest).min(LONGEST_REST);
        self.pass(batch)
    }

    fn pass(&mut self, batch: RecordBatch) -> EngineResult<()> {
        Ok(self.kept.push_batch(batch)?)
    }
}
