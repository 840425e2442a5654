//! What SQL means in PostgreSQL, where the engine means something else.
//!
//! A statement is corrected at four places: as a tree of syntax, where it was parsed wrongly
//! ([`correct_syntax`]); as a plan, where its types change ([`correct`], before it is authorized); once
//! its types are settled, where only values change ([`analyzer_rules`]); and where the optimizer would
//! change an answer ([`optimizer_rules`]).
//!
//! Invariant: what is right stays as it is, so that sources recognise it; what is replaced is a
//! function named `weir_…`.

use std::sync::Arc;

use datafusion::{
    common::DFSchema,
    logical_expr::{LogicalPlan, ScalarUDF, utils::merge_schema},
    optimizer::{Optimizer, OptimizerRule},
};

mod aggregates;
mod agreement;
mod checked;
mod constants;
mod days;
mod functions;
mod integers;
mod like;
mod membership;
mod moment;
mod operators;
mod outer_join;
mod patterns;
mod rounding;
mod subqueries;
mod syntax;
mod types;
mod unions;
mod zones;

pub use agreement::Agreement;
pub use checked::analyzer_rules;
pub use integers::type_integers;
pub use operators::expression_planners;
pub use syntax::correct_syntax;
pub use types::correct;

/// The columns that the expressions of a node read.
fn input_schema(node: &LogicalPlan) -> DFSchema {
    match node {
        LogicalPlan::TableScan(scan) => DFSchema::clone(&scan.projected_schema),
        node => merge_schema(&node.inputs()),
    }
}

/// Functions under PostgreSQL's names, in the place of the engine's own.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = weir_udfs::float_functions();
    functions.extend(weir_udfs::shorteners());
    functions.extend(weir_udfs::bounded_functions());
    functions.extend(weir_udfs::row_functions());
    functions.extend(weir_udfs::ordered_sets());
    functions.push(like::like_pattern());
    functions
}

/// The engine's name of a function that PostgreSQL calls otherwise; `None`: its own means something
/// else there, and is not to be had.
pub fn engine_name(name: &str) -> Option<&str> {
    match name {
        "ceiling" => Some("ceil"),
        "variance" => Some("var_samp"),
        "every" => Some("bool_and"),
        "transaction_timestamp" | "statement_timestamp" => Some("now"),
        "array_dims" | "array_positions" | "array_sort" | "isnan" | "nanvl" | "signum"
        | "levenshtein" | "ends_with" | "any_value" | "to_unixtime" | "from_unixtime" => None,
        name => Some(name),
    }
}

/// The engine's optimizer rules, those that change answers replaced.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        match rule.name() {
            "common_sub_expression_eliminate" => {
                rules.push(Arc::new(zones::ShareExpressions(rule)));
            }
            "eliminate_outer_join" => rules.push(Arc::new(outer_join::NarrowOuterJoin)),
            "push_down_filter" => rules.push(Arc::new(constants::PushDownFilter(rule))),
            "simplify_expressions" => {
                rules.push(Arc::new(membership::SimplifyApart::new(rule)));
                rules.push(Arc::new(days::CompareDays));
            }
            _ => rules.push(rule),
        }
    }
    rules
}
