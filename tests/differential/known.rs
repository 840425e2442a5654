//! What is known to differ, each with its reason. Whoever mends one deletes its line.

/// Features that the generator leaves out.
pub const EXCLUDED: &[(&str, &str)] = &[];

/// An error of weir where PostgreSQL answers.
pub struct Refusal {
    pub code: &'static str,
    /// A part of what is told.
    pub told: &'static str,
    pub reason: &'static str,
}

pub const REFUSALS: &[Refusal] = &[];

/// Types that are not PostgreSQL's: theirs, ours, why. The values are equal all the same.
pub const TYPES: &[(&str, &str, &str)] = &[
    ("int4", "int8", "an integer constant is a bigint"),
    ("int2", "int8", "an integer constant is a bigint"),
    ("numeric", "int8", "a sum of bigint is a bigint, or an error"),
    ("numeric", "float8", "an average of integers is a double precision"),
    ("float8", "float4", "real and a constant meet in real"),
];

/// Queries of the corpora whose answers differ: a part of the query, and why.
pub const DIFFERENT: &[(&str, &str)] = &[];
