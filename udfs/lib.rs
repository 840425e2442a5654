//! The SQL functions that weir adds to the engine. `ai_analyze` will live here.

mod arithmetic;
mod rint;

pub use arithmetic::{Arithmetic, arithmetic, is_checked_type};
pub use rint::rint;
