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
    text.push_str(&shown.indent(options.verbose).to_string());
    if options.analyze {
        text.push_str(&format!("Execution Time: {:.3} ms\n", elapsed.as_secs_f64() * 1000.0));
    }
    let lines: ArrayRef = Arc::new(StringArray::from(text.lines().collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema(), vec![lines])?)
}
