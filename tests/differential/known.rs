//! What is known to differ, each with its reason. Whoever mends one deletes its line.

/// Features that the generator leaves out.
#[rustfmt::skip]
pub const EXCLUDED: &[(&str, &str)] = &[
    ("bare IS DISTINCT FROM", "the parser takes a following AND into the operand"),
    ("CASE of an integer and a decimal", "the value is not in the announced type: an internal error"),
    ("date - interval", "stays a date, where PostgreSQL makes a timestamp"),
    ("EXCEPT ALL", "planned as an anti join: the number of equal rows is lost"),
    ("INTERSECT ALL", "planned as a semi join: the number of equal rows is lost"),
    ("EXISTS over an aggregate", "an aggregate without GROUP BY has a row, but is taken for none"),
    ("NOT IN (SELECT)", "NULL NOT IN (SELECT …) is taken for true"),
    ("DISTINCT ON with a repeated column", "an internal error"),
    ("minus zero", "-0 is not 0 as a key of a group, a window or an order, and in the lists of a real column"),
    ("upper", "upper makes SS of ß"),
    ("numeric division", "a quotient has six digits after the point"),
    ("avg of numeric", "an average has four digits more than its operand"),
];

/// An error of weir where PostgreSQL answers.
pub struct Refusal {
    pub code: &'static str,
    /// A part of what is told.
    pub told: &'static str,
    pub reason: &'static str,
}

const fn refusal(code: &'static str, told: &'static str, reason: &'static str) -> Refusal {
    Refusal { code, told, reason }
}

#[rustfmt::skip]
pub const REFUSALS: &[Refusal] = &[
    refusal("22000", "to Timestamp(ns): converted value exceeds", "a constant or a date meets a timestamp in nanoseconds, until the year 2262"),
    refusal("22000", "invalid comparison operation: Decimal", "the engine's own types of decimals do not meet"),
    refusal("0A000", "Physical plan does not support logical expression", "a correlated subquery that the engine can't unfold"),
    refusal("42601", "null_aware anti join only supports single column", "a correlated NOT IN"),
    refusal("22000", "column types must match schema types", "the engine's own types of decimals do not meet"),
    refusal("0A000", "can't run its own plan", "the engine refuses its own plan of an ordered UNION ALL, or of an order by a constant"),
    refusal("XX000", "internal error", "branches of a UNION or of a CASE have several types, and other faults of the engine that end in no answer"),
    refusal("22P02", "invalid input syntax for type uuid", "a UUID and a text meet in the wrong type"),
    refusal("42601", "correlated scalar subquery in the GROUP BY", "the engine can't unfold it"),
    refusal("42601", "projections require unique expression names", "IN (SELECT) under OR, the same column twice"),
    refusal("42703", "does not exist", "a column of a UNION of which only some parts have a type loses its name"),
    refusal("0A000", "a correlated subquery of EXISTS or IN can't have", "the engine would unfold it wrongly"),
    refusal("0A000", "Conflicting ordering requirements", "two ordered aggregates over one constant input"),
];

/// Types that are not PostgreSQL's: theirs, ours, why. The values are equal all the same.
pub const TYPES: &[(&str, &str, &str)] = &[
    ("int4", "int8", "an integer constant is a bigint"),
    ("int8", "int4", "a set operation announces the type of its first part"),
    ("int2", "int8", "an integer constant is a bigint"),
    ("int8", "numeric", "row_number and its like are unsigned in the engine"),
    ("numeric", "int8", "a sum of bigint is a bigint, or an error"),
    ("numeric", "float8", "an average of integers is a double precision"),
    ("float8", "float4", "real and a constant meet in real"),
];
