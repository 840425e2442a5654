//! EXPLAIN as PostgreSQL shapes it: one column of text, one line a row.

use std::{sync::Arc, time::Duration};

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, StringArray},
        datatypes::SchemaRef,
    },
    logical_expr::LogicalPlan,
    physical_plan::{ExecutionPlan, display::DisplayableExecutionPlan},
    sql::sqlparser::ast::UtilityOption,
};

use crate::error::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Runs the query and shows rows and times.
    pub analyze: bool,
    /// Shows the logical plan too.
    pub verbose: bool,
}

impl ExplainOptions {
    /// Understands `EXPLAIN ANALYZE VERBOSE` and `EXPLAIN (ANALYZE, VERBOSE)`; what only costs or
    /// dresses the output is accepted, another format is not.
    pub fn new(analyze: bool, verbose: bool, options: Option<&[UtilityOption]>) -> Result<Self> {
        let mut parsed = Self { analyze, verbose };
        for option in options.unwrap_or_default() {
            let value = option.arg.as_ref().map(|value| value.to_string().to_lowercase());
            let is_on = !matches!(value.as_deref(), Some("false" | "off" | "0"));
            match option.name.value.to_lowercase().as_str() {
                "analyze" => parsed.analyze = is_on,
                "verbose" => parsed.verbose = is_on,
                "costs" | "timing" | "buffers" | "summary" | "settings" | "wal" => {}
                "format" if value.as_deref() == Some("text") => {}
                name => {
                    return Err(Error::new(
                        ErrorKind::NotSupported,
                        format!("EXPLAIN option \"{name}\" is not supported"),
                    ));
                }
            }
        }
        Ok(parsed)
    }
}

pub(super) fn schema() -> SchemaRef {
    super::execute::text_schema("QUERY PLAN")
}

pub(super) fn lines(
    options: &ExplainOptions,
    logical: &LogicalPlan,
    plan: &dyn ExecutionPlan,
    elapsed: Duration,
) -> Result<RecordBatch> {
    let mut text = String::new();
    if options.verbose {
        text.push_str(&format!("{}\n\n", logical.display_indent()));
    }
    let shown = if options.analyze {
        DisplayableExecutionPlan::with_metrics(plan)
    } else {
        DisplayableExecutionPlan::new(plan)
    };
    text.push_str(&without_hidden_counts(&shown.indent(options.verbose).to_string()));
    if options.analyze {
        text.push_str(&format!("Execution Time: {:.3} ms\n", elapsed.as_secs_f64() * 1000.0));
    }
    let lines: ArrayRef = Arc::new(StringArray::from(text.lines().collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema(), vec![lines])?)
}

/// How many rows there are below a policy barrier, and how many a filter of the policy drops, is not
/// for the one from whom it hides them: estimates and metrics stay out.
fn without_hidden_counts(plan: &str) -> String {
    const BARRIER: &str = "PolicyBarrierExec";
    let mut barrier: Option<usize> = None;
    let mut shown = String::with_capacity(plan.len());
    for line in plan.lines() {
        let operator = line.trim_start();
        let indent = line.len() - operator.len();
        let is_below = barrier.is_some_and(|barrier| indent > barrier);
        if !is_below {
            barrier = operator.starts_with(BARRIER).then_some(indent);
        }
        shown.push_str(&if is_below { without_counts(line) } else { line.to_owned() });
        shown.push('\n');
    }
    shown
}

fn without_counts(line: &str) -> String {
    const ESTIMATE: &str = "estimated_rows=";
    let line = line.rfind(", metrics=[").map_or(line, |end| &line[..end]);
    let Some((before, rest)) = line.split_once(ESTIMATE) else { return line.to_owned() };
    format!("{before}{}", rest.split_once(", ").map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_below_a_barrier_are_left_out() {
        let plan = "\
FilterExec: a@0 > 1, metrics=[output_rows=1]
  ProjectionExec: expr=[a@0 as a], metrics=[output_rows=2]
    PolicyBarrierExec
      FilterExec: b@1 = 2, metrics=[output_rows=2, selectivity=10% (2/20)]
        RemoteExec: catalog=c, estimated_rows=20, sql=SELECT 1, metrics=[output_rows=20]
  RemoteExec: catalog=d, estimated_rows=5, sql=SELECT 2, metrics=[output_rows=5]
";
        let expected = "\
FilterExec: a@0 > 1, metrics=[output_rows=1]
  ProjectionExec: expr=[a@0 as a], metrics=[output_rows=2]
    PolicyBarrierExec
      FilterExec: b@1 = 2
        RemoteExec: catalog=c, sql=SELECT 1
  RemoteExec: catalog=d, estimated_rows=5, sql=SELECT 2, metrics=[output_rows=5]
";
        assert_eq!(without_hidden_counts(plan), expected);
    }
}
