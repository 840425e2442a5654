//! The SQL functions that weir adds to the engine. `ai_analyze` will live here.

mod arithmetic;
mod bounded;
mod float;
mod quotient;
mod rint;
mod sum;
mod text;
mod vector;

pub use arithmetic::{Arithmetic, arithmetic, is_arithmetic, is_checked_type};
pub use bounded::bounded_functions;
pub use float::{float_functions, float_key, narrow};
pub use quotient::quotient;
pub use rint::rint;
pub use sum::wide_sum;
pub use text::{bytes_from_text, float_from_text, has_own_text, shorteners, text};
