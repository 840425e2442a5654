use std::{fmt, sync::Arc};

use datafusion::{
    error::Result,
    execution::memory_pool::{
        FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
    },
};

/// Bytes that queries may reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// All queries together.
    pub process: usize,
    /// One query.
    pub query: usize,
}

/// What all queries share.
#[derive(Debug)]
pub struct ProcessMemory {
    pool: GreedyMemoryPool,
    limits: MemoryLimits,
}

impl ProcessMemory {
    pub fn new(limits: MemoryLimits) -> Self {
        Self { pool: GreedyMemoryPool::new(limits.process), limits }
    }

    pub fn reserved(&self) -> usize {
        self.pool.reserved()
    }
}

/// One query's share: its operators split it fairly and spill beyond it; what they hold also counts
/// for the process.
#[derive(Debug)]
pub struct QueryMemory {
    own: FairSpillPool,
    process: Arc<ProcessMemory>,
}

impl QueryMemory {
    pub fn new(process: Arc<ProcessMemory>) -> Self {
        let limit = process.limits.query.min(process.limits.process);
        Self { own: FairSpillPool::new(limit), process }
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryMemory({} bytes)", self.own.reserved())
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "QueryMemory"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.process.pool.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.process.pool.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        self.process.pool.try_grow(reservation, additional).inspect_err(|_| {
            self.own.shrink(reservation, additional);
        })
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_bounded_by_itself_and_by_the_process() {
        let process = Arc::new(ProcessMemory::new(MemoryLimits { process: 1000, query: 700 }));
        let reserve = |pool: &Arc<dyn MemoryPool>, bytes| {
            let reservation = MemoryConsumer::new("test").register(pool);
            reservation.try_grow(bytes).map(|()| reservation)
        };
        let one: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(Arc::clone(&process)));
        let two: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(Arc::clone(&process)));
        assert!(reserve(&one, 701).is_err());
        let held = reserve(&one, 700).unwrap();
        assert!(reserve(&two, 301).is_err());
        assert_eq!(process.reserved(), 700);
        let neighbour = reserve(&two, 300).unwrap();
        drop(held);
        assert_eq!(process.reserved(), 300);
        drop(neighbour);
        assert_eq!(process.reserved(), 0);
    }
}
