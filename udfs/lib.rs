//! The SQL functions that weir adds to the engine. `ai_analyze` will live here.

mod rint;

pub use rint::rint;
