//! What SQL means in PostgreSQL, where the engine means something else.
//!
//! A statement is corrected in three places: as a tree of syntax, where it was parsed wrongly; as a
//! plan, where its types change ([`correct`], before it is authorized); and once its types are settled,
//! where only values change ([`analyzer_rules`]).
//!
//! Invariant: what is right stays as it is, so that sources recognise it; what is replaced is a
//! function named `weir_…`.

mod checked;
mod types;

pub use checked::analyzer_rules;
pub use types::correct;
