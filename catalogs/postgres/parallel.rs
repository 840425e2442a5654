//! Reads one large table by several connections, as of one moment.
//!
//! Invariants: all statements run under one snapshot, or the read fails; the runs of pages cover
//! every page that a table can have, once; connections beyond the first are only ever extra.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::StreamExt;
use tokio_postgres::types::Type;
use tracing::debug;

use super::{
    client::{Client, Lease},
    copy::copy_statement,
    decode::Decoder,
    dialect::Postgres,
};
use crate::{
    Result, SourceError, SourceErrorKind,
    sql::{Pages, RemoteSplit, SplitRows, SplitTasks, Sql},
};

/// Fewer pages are not worth another connection (16 MiB, as PostgreSQL is usually built).
const PAGES_PER_STREAM: u64 = 2000;
/// One statement reads at least so many, and more of a table so large that there would be more
/// than [`RUNS_PER_STREAM`].
const MIN_PAGES_PER_RUN: u64 = 1000;
/// Enough that the connections end at about the same time.
const RUNS_PER_STREAM: u64 = 32;

pub(super) fn streams(pages: u64, limit: usize) -> usize {
    usize::try_from(pages / PAGES_PER_STREAM).unwrap_or(limit).clamp(1, limit)
}

/// Hands over every row of the table once.
pub(super) async fn read(
    client: &Arc<Client>,
    split: Arc<RemoteSplit>,
    rows: SplitRows,
) -> Result<()> {
    let runs = Arc::new(Runs::new(split.pages, split.streams));
    let (leader, snapshot) = match Reader::lead(client, &split).await {
        // The server had closed a connection that was idle in the pool; nothing has run yet.
        Err(error) if error.kind == SourceErrorKind::Unavailable => {
            debug!(%error, "a read starts again");
            Reader::lead(client, &split).await?
        }
        leader => leader?,
    };
    let mut tasks = SplitTasks::new();
    for _ in 1..split.streams.min(runs.count()) {
        let (client, split, runs) = (client.clone(), split.clone(), runs.clone());
        let (rows, snapshot) = (rows.clone(), snapshot.clone());
        tasks.spawn(async move {
            match Reader::follow(&client, &split, &snapshot).await {
                Ok(Some(reader)) => {
                    rows.add_stream();
                    reader.run(&runs, &rows).await.map(Some)
                }
                Ok(None) => Ok(None),
                Err(error) => {
                    // It has read nothing yet, and the others read everything.
                    debug!(%error, "a read goes on by fewer connections");
                    Ok(None)
                }
            }
        });
    }
    rows.add_stream();
    tasks.spawn(async move { leader.run(&runs, &rows).await.map(Some) });
    // Nobody lets go before all have ended: the snapshot must live until then.
    let mut done = Vec::new();
    while let Some(reader) = tasks.next().await {
        done.extend(reader?);
    }
    for reader in done {
        reader.lease.release();
    }
    Ok(())
}

/// The runs of pages that nobody has begun yet.
struct Runs {
    count: u64,
    pages_per_run: u64,
    next: AtomicU64,
}

impl Runs {
    fn new(pages: u64, streams: usize) -> Self {
        let many = RUNS_PER_STREAM.saturating_mul(streams as u64).max(1);
        let pages_per_run = pages.div_ceil(many).max(MIN_PAGES_PER_RUN);
        Self { count: pages.div_ceil(pages_per_run).max(1), pages_per_run, next: AtomicU64::new(0) }
    }

    fn count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    fn take(&self) -> Option<Pages> {
        let run = self.next.fetch_add(1, Ordering::Relaxed);
        (run < self.count).then(|| self.pages(run))
    }

    /// Open at both ends: the table may have grown since its pages were counted.
    fn pages(&self, run: u64) -> Pages {
        let start = |run: u64| run.saturating_mul(self.pages_per_run);
        Pages {
            from: (run > 0).then(|| start(run)),
            to: (run + 1 < self.count).then(|| start(run + 1)),
        }
    }
}

/// One connection, inside of a transaction under the common snapshot.
struct Reader {
    client: Arc<Client>,
    split: Arc<RemoteSplit>,
    lease: Lease,
    decoder: Decoder,
}

impl Reader {
    /// The first connection, which waits for its place in the pool; and the name of its snapshot.
    async fn lead(client: &Arc<Client>, split: &Arc<RemoteSplit>) -> Result<(Self, String)> {
        let mut lease = client.lease().await?;
        let session = lease.client()?;
        let first = whole(split)?;
        let started = async {
            futures::try_join!(
                session
                    .batch_execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"),
                session.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]),
                session.prepare(first.as_str()),
            )
        };
        let (snapshot, select) = match client.answer(started).await? {
            Ok(((), row, select)) => (row.try_get::<_, String>(0), select),
            Err(error) => {
                lease.set_idle();
                return Err(client.statement_error(error));
            }
        };
        let snapshot = snapshot.map_err(|error| client.statement_error(error))?;
        if !snapshot.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            let message = format!("\"{}\" can't be read by several connections", split.relation);
            return Err(SourceError::new(SourceErrorKind::Internal, message).with_source(snapshot));
        }
        Ok((Self::new(client, split, lease, &select)?, snapshot))
    }

    /// One more connection, if there is one to spare.
    async fn follow(
        client: &Arc<Client>,
        split: &Arc<RemoteSplit>,
        snapshot: &str,
    ) -> Result<Option<Self>> {
        let Some(mut lease) = client.lease_spare().await else { return Ok(None) };
        let session = lease.client()?;
        let first = whole(split)?;
        let begin = format!(
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             SET TRANSACTION SNAPSHOT '{snapshot}'"
        );
        let started = async {
            futures::try_join!(session.batch_execute(&begin), session.prepare(first.as_str()))
        };
        match client.answer(started).await? {
            Ok(((), select)) => Self::new(client, split, lease, &select).map(Some),
            Err(error) => {
                lease.set_idle();
                Err(client.statement_error(error))
            }
        }
    }

    /// The locks that the statement has taken keep the columns as they are from here on.
    fn new(
        client: &Arc<Client>,
        split: &Arc<RemoteSplit>,
        lease: Lease,
        select: &tokio_postgres::Statement,
    ) -> Result<Self> {
        let types: Vec<&Type> = select.columns().iter().map(|column| column.type_()).collect();
        let decoder = Decoder::new(split.relation.clone(), split.schema.clone(), &types)?;
        Ok(Self { client: client.clone(), split: split.clone(), lease, decoder })
    }

    /// Reads runs of pages until none is left, or nobody wants more rows.
    async fn run(mut self, runs: &Runs, rows: &SplitRows) -> Result<Self> {
        while let Some(pages) = runs.take() {
            self.copy(pages, rows).await?;
        }
        if let Some(batch) = self.decoder.take_batch()? {
            rows.send(batch).await;
        }
        Ok(self)
    }

    async fn copy(&mut self, pages: Pages, rows: &SplitRows) -> Result<()> {
        let sql = part(&self.split, Some(pages))?;
        let copy = copy_statement(&sql);
        let copied = self.client.answer(self.lease.client()?.copy_out(&copy)).await?;
        let mut copy = match copied {
            Ok(copy) => pin!(copy),
            Err(error) => {
                self.lease.set_idle();
                return Err(self.client.statement_error(error));
            }
        };
        while let Some(piece) = self.client.answer(copy.next()).await? {
            match piece {
                Ok(piece) => self.decoder.feed(&piece)?,
                Err(error) => {
                    self.lease.set_idle();
                    return Err(self.client.statement_error(error));
                }
            }
            if self.decoder.is_full()
                && let Some(batch) = self.decoder.take_batch()?
            {
                rows.send(batch).await;
            }
        }
        self.decoder.start_next_stream()
    }
}

fn whole(split: &RemoteSplit) -> Result<Sql> {
    part(split, None)
}

fn part(split: &RemoteSplit, pages: Option<Pages>) -> Result<Sql> {
    split.statement(&Postgres, pages).ok_or_else(|| {
        let message = format!("no statement for a part of \"{}\" can be written", split.relation);
        SourceError::new(SourceErrorKind::Internal, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_in_one_run() {
        for (pages, streams) in [(0, 1), (1, 2), (4000, 2), (4001, 2), (112_500, 4), (1 << 32, 4)] {
            let runs = Runs::new(pages, streams);
            let all: Vec<Pages> = std::iter::from_fn(|| runs.take()).collect();
            assert_eq!(all.len(), runs.count());
            assert!(all.len() <= 128, "{pages}: {}", all.len());
            assert_eq!(all.first().map(|run| run.from), Some(None), "{pages}");
            assert_eq!(all.last().map(|run| run.to), Some(None), "{pages}");
            for pair in all.windows(2) {
                assert!(pair[0].to.is_some() && pair[0].to == pair[1].from, "{pages}: {pair:?}");
                assert!(pair[0].from < pair[0].to, "{pages}: {pair:?}");
            }
        }
    }

    #[test]
    fn small_tables_are_read_by_one_connection() {
        for (pages, limit, expected) in
            [(0, 4, 1), (3999, 4, 1), (4000, 4, 2), (8000, 4, 4), (1 << 40, 4, 4), (8000, 1, 1)]
        {
            assert_eq!(streams(pages, limit), expected, "{pages} {limit}");
        }
    }
}
