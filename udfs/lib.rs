//! The SQL functions that weir adds to the engine. `ai_analyze` will live here.

mod arithmetic;
mod bounded;
mod calendar;
mod dates;
mod float;
mod interval;
mod number_patterns;
mod ordered;
mod patterns;
mod quotient;
mod rint;
mod round;
mod rows;
mod strings;
mod sum;
mod text;
mod vector;

use std::sync::{Arc, LazyLock};

use datafusion::{common::internal_err, error::Result, logical_expr::ScalarUDF};

pub use arithmetic::{Arithmetic, arithmetic, is_arithmetic, is_checked_type};
pub use bounded::bounded_functions;
pub use float::{float_functions, float_key, narrow};
pub use interval::{Interval, read as read_interval, read_with_unit as read_interval_of};
pub use ordered::ordered_sets;
pub use quotient::quotient;
pub use rint::rint;
pub use round::round_to;
pub use sum::wide_sum;
pub use text::{bytes_from_text, float_from_text, has_own_text, shorteners, text};

static ROW_FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> =
    LazyLock::new(|| dates::ENTRIES.iter().chain(strings::ENTRIES).map(rows::function).collect());

/// The functions that are told value by value, under PostgreSQL's names; those of operators are named
/// `weir_…`.
pub fn row_functions() -> Vec<Arc<ScalarUDF>> {
    ROW_FUNCTIONS.clone()
}

/// One of [`row_functions`].
pub fn row_function(name: &str) -> Result<Arc<ScalarUDF>> {
    match ROW_FUNCTIONS.iter().find(|function| function.name() == name) {
        Some(function) => Ok(Arc::clone(function)),
        None => internal_err!("there is no function {name}"),
    }
}
