use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, ErrorKind, Result};

/// Lets a number of queries run at once, and a number wait for a time.
#[derive(Debug, Clone)]
pub struct QuerySlots {
    free: Arc<Semaphore>,
    parking: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    max_running: usize,
    max_waiting: usize,
    queue_timeout: Duration,
}

#[derive(Debug)]
pub struct QuerySlot(#[allow(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// A query that has begun and waits for its client, beside those that run.
#[derive(Debug)]
pub struct ParkedQuery(#[allow(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

impl QuerySlots {
    pub fn new(
        max_running: usize,
        max_waiting: usize,
        max_parked: usize,
        queue_timeout: Duration,
    ) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max_running)),
            parking: Arc::new(Semaphore::new(max_parked)),
            waiting: Arc::default(),
            max_running,
            max_waiting,
            queue_timeout,
        }
    }

    /// Waits for a place, first come first served; 53400 when the queue is full or the wait too
    /// long. Dropping the future leaves the queue.
    pub async fn admit(&self) -> Result<QuerySlot> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(QuerySlot(permit));
        }
        let _place = self.queue()?;
        match tokio::time::timeout(self.queue_timeout, Arc::clone(&self.free).acquire_owned()).await
        {
            Ok(Ok(permit)) => Ok(QuerySlot(permit)),
            Ok(Err(closed)) => Err(Error::internal(closed)),
            Err(_) => Err(self.busy("waited too long for a place among the running queries")),
        }
    }

    /// A place for a query that waits for its client; `None`: it keeps the one that it has.
    pub fn park(&self) -> Option<ParkedQuery> {
        Arc::clone(&self.parking).try_acquire_owned().ok().map(ParkedQuery)
    }

    fn queue(&self) -> Result<Place> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.max_waiting {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(self.busy("too many queries are waiting already"));
        }
        Ok(Place(Arc::clone(&self.waiting)))
    }

    fn busy(&self, message: &str) -> Error {
        Error::new(ErrorKind::RateLimited, message).with_hint(format!(
            "{} queries run at once and {} may wait for {} s (limits.max_concurrent_queries, \
             max_queued_queries, queue_timeout). Try again later.",
            self.max_running,
            self.max_waiting,
            self.queue_timeout.as_secs()
        ))
    }
}

/// A place in the queue.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn queries_run_wait_and_are_refused_at_their_bounds() {
        let slots = QuerySlots::new(1, 1, 1, Duration::from_secs(5));
        let running = slots.admit().await.unwrap();
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.admit().await.map(drop) }
        });
        tokio::task::yield_now().await;
        let refused = slots.admit().await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::RateLimited);
        assert!(refused.message.contains("too many"));
        drop(running);
        waiting.await.unwrap().unwrap();

        let _running = slots.admit().await.unwrap();
        let late = slots.admit().await.unwrap_err();
        assert!(late.message.contains("waited too long"), "{late}");
        let parked = slots.park();
        assert!(parked.is_some() && slots.park().is_none());
        // The place in the queue is free again.
        assert!(slots.admit().await.unwrap_err().message.contains("waited too long"));
    }
}
