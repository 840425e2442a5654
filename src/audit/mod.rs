//! One record for each query, of the stage that it reached, written when it is dropped: also for a
//! query that failed, was refused or was cut off.
//!
//! Invariant: no SQL text, no parameter and no value of a row is in a record.

use std::time::Instant;

use weir_catalogs::QueryLabel;

use crate::{
    error::ErrorKind,
    telemetry::{Door, Metrics, Outcome},
};

/// The query arrived.
#[derive(Debug)]
pub struct Received;
/// It was planned and authorized; its rows may flow.
#[derive(Debug)]
pub struct Running;

/// A query's story so far. `Stage` is what the code has proven by getting here.
#[derive(Debug)]
pub struct QueryRecord<Stage> {
    story: Option<Story>,
    _stage: std::marker::PhantomData<Stage>,
}

#[derive(Debug)]
struct Story {
    label: QueryLabel,
    door: Door,
    metrics: Metrics,
    started: Instant,
    stage: &'static str,
    end: End,
    rows: u64,
}

#[derive(Debug, Clone, Copy)]
enum End {
    CutOff,
    Finished,
    Failed(ErrorKind),
}

impl QueryRecord<Received> {
    pub fn new(label: QueryLabel, door: Door, metrics: Metrics) -> Self {
        let story = Story {
            label,
            door,
            metrics,
            started: Instant::now(),
            stage: "received",
            end: End::CutOff,
            rows: 0,
        };
        Self { story: Some(story), _stage: std::marker::PhantomData }
    }

    pub fn authorized(mut self) -> QueryRecord<Running> {
        let story = self.story.take().map(|story| Story { stage: "running", ..story });
        QueryRecord { story, _stage: std::marker::PhantomData }
    }
}

impl QueryRecord<Running> {
    pub fn add_rows(&mut self, rows: usize) {
        if let Some(story) = &mut self.story {
            story.rows += rows as u64;
        }
    }

    pub fn finish(&mut self) {
        self.end(End::Finished);
    }
}

impl<Stage> QueryRecord<Stage> {
    pub fn fail(&mut self, kind: ErrorKind) {
        self.end(End::Failed(kind));
    }

    fn end(&mut self, end: End) {
        if let Some(story) = &mut self.story {
            story.end = end;
        }
    }
}

impl<Stage> Drop for QueryRecord<Stage> {
    fn drop(&mut self) {
        let Some(story) = self.story.take() else { return };
        let (outcome, end) = match story.end {
            End::CutOff => (Outcome::Cancelled, "cut off"),
            End::Finished => (Outcome::Succeeded, "ok"),
            End::Failed(kind) => (Outcome::from(kind), kind.sqlstate()),
        };
        let elapsed = story.started.elapsed();
        story.metrics.query_finished(story.door, outcome, elapsed, story.rows);
        tracing::debug!(
            target: "weir::audit",
            query_id = %story.label.query_id,
            principal = %story.label.principal,
            door = ?story.door,
            stage = story.stage,
            outcome = end,
            rows = story.rows,
            elapsed_ms = elapsed.as_millis() as u64,
            "query ended"
        );
    }
}
