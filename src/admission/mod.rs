//! Decides whether there is room for a query and for its memory. (The doors count connections: one
//! semaphore for all of them.)
//!
//! Invariant: every count, queue and wait here has a bound from the configuration, and what was
//! taken is given back by dropping it.

mod memory;
mod slots;

pub use memory::{MemoryLimits, ProcessMemory, QueryMemory};
pub use slots::{ParkedQuery, QuerySlot, QuerySlots};
