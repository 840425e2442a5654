//! EXPLAIN as PostgreSQL shapes it: one column, a line of text a row, or one row with a document.

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::Duration};

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    logical_expr::LogicalPlan,
    physical_plan::{ExecutionPlan, display::DisplayableExecutionPlan},
    sql::sqlparser::ast::UtilityOption,
};

use weir_catalogs::field::PG_TYPE;

use crate::error::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Runs the query and shows rows and times.
    pub analyze: bool,
    /// Shows the logical plan too.
    pub verbose: bool,
    pub format: ExplainFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExplainFormat {
    #[default]
    Text,
    Json,
    Xml,
}

impl ExplainOptions {
    /// Understands `EXPLAIN ANALYZE VERBOSE` and `EXPLAIN (ANALYZE, VERBOSE)`; what only costs or
    /// dresses the output is accepted, another format is not.
    pub fn new(analyze: bool, verbose: bool, options: Option<&[UtilityOption]>) -> Result<Self> {
        let mut parsed = Self { analyze, verbose, format: ExplainFormat::Text };
        for option in options.unwrap_or_default() {
            let value = option.arg.as_ref().map(|value| value.to_string().to_lowercase());
            let is_on = !matches!(value.as_deref(), Some("false" | "off" | "0"));
            match option.name.value.to_lowercase().as_str() {
                "analyze" | "analyse" => parsed.analyze = is_on,
                "verbose" => parsed.verbose = is_on,
                "costs" | "timing" | "buffers" | "summary" | "settings" | "wal" => {}
                "format" => parsed.format = ExplainFormat::parse(value.as_deref())?,
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

    /// Of the answer.
    pub fn schema(self) -> SchemaRef {
        let kind = match self.format {
            ExplainFormat::Text => return super::execute::text_schema("QUERY PLAN"),
            ExplainFormat::Json => "json",
            ExplainFormat::Xml => "xml",
        };
        let field = Field::new("QUERY PLAN", DataType::Utf8, true);
        let metadata = HashMap::from([(PG_TYPE.to_owned(), kind.to_owned())]);
        Arc::new(Schema::new(vec![field.with_metadata(metadata)]))
    }
}

impl ExplainFormat {
    fn parse(name: Option<&str>) -> Result<Self> {
        match name {
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            Some("xml") => Ok(Self::Xml),
            name => Err(Error::new(
                ErrorKind::NotSupported,
                format!("EXPLAIN format \"{}\" is not supported", name.unwrap_or_default()),
            )),
        }
    }
}

pub(super) fn lines(
    options: &ExplainOptions,
    logical: &LogicalPlan,
    plan: &dyn ExecutionPlan,
    elapsed: Duration,
) -> Result<RecordBatch> {
    let shown = if options.analyze {
        DisplayableExecutionPlan::with_metrics(plan)
    } else {
        DisplayableExecutionPlan::new(plan)
    };
    let plan = without_hidden_counts(&shown.indent(options.verbose).to_string());
    let elapsed = options.analyze.then_some(elapsed.as_secs_f64() * 1000.0);
    let lines = match options.format {
        ExplainFormat::Text => {
            let mut text = String::new();
            if options.verbose {
                text.push_str(&format!("{}\n\n", logical.display_indent()));
            }
            text.push_str(&plan);
            if let Some(elapsed) = elapsed {
                text.push_str(&format!("Execution Time: {elapsed:.3} ms\n"));
            }
            text.lines().map(str::to_owned).collect()
        }
        ExplainFormat::Json => vec![json(&Node::read(&plan), elapsed)?],
        ExplainFormat::Xml => vec![xml(&Node::read(&plan), elapsed)],
    };
    let lines: ArrayRef = Arc::new(StringArray::from(lines));
    Ok(RecordBatch::try_new(options.schema(), vec![lines])?)
}

/// An operator of a plan that was written as indented lines.
struct Node<'a> {
    kind: &'a str,
    detail: &'a str,
    children: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    fn read(plan: &'a str) -> Vec<Self> {
        let lines = plan.lines().filter(|line| !line.trim().is_empty());
        let lines = lines.map(|line| (line.len() - line.trim_start().len(), line.trim()));
        Self::siblings(&lines.collect::<Vec<_>>())
    }

    fn siblings(mut lines: &[(usize, &'a str)]) -> Vec<Self> {
        let mut nodes = Vec::new();
        while let Some(((indent, line), rest)) = lines.split_first() {
            let below = rest.iter().take_while(|(other, _)| other > indent).count();
            let (kind, detail) = line.split_once(':').unwrap_or((line, ""));
            let children = Self::siblings(&rest[..below]);
            nodes.push(Self { kind, detail: detail.trim(), children });
            lines = &rest[below..];
        }
        nodes
    }

    fn json(&self) -> serde_json::Value {
        let mut node = serde_json::json!({ "Node Type": self.kind });
        if !self.detail.is_empty() {
            node["Detail"] = self.detail.into();
        }
        if !self.children.is_empty() {
            node["Plans"] = self.children.iter().map(Self::json).collect();
        }
        node
    }

    fn xml(&self, depth: usize, text: &mut String) {
        let indent = "  ".repeat(depth);
        let _ = writeln!(text, "{indent}<Plan>");
        let _ = writeln!(text, "{indent}  <Node-Type>{}</Node-Type>", escaped(self.kind));
        if !self.detail.is_empty() {
            let _ = writeln!(text, "{indent}  <Detail>{}</Detail>", escaped(self.detail));
        }
        if !self.children.is_empty() {
            let _ = writeln!(text, "{indent}  <Plans>");
            self.children.iter().for_each(|child| child.xml(depth + 2, text));
            let _ = writeln!(text, "{indent}  </Plans>");
        }
        let _ = writeln!(text, "{indent}</Plan>");
    }
}

fn json(roots: &[Node<'_>], elapsed: Option<f64>) -> Result<String> {
    let mut query = serde_json::json!({});
    if let Some(root) = roots.first() {
        query["Plan"] = root.json();
    }
    if let Some(elapsed) = elapsed {
        query["Execution Time"] = elapsed.into();
    }
    serde_json::to_string_pretty(&[query]).map_err(Error::internal)
}

fn xml(roots: &[Node<'_>], elapsed: Option<f64>) -> String {
    let mut text =
        "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n".to_owned();
    roots.iter().for_each(|root| root.xml(2, &mut text));
    if let Some(elapsed) = elapsed {
        let _ = writeln!(text, "    <Execution-Time>{elapsed:.3}</Execution-Time>");
    }
    text.push_str("  </Query>\n</explain>");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
    fn documents_nest_as_the_lines_do() {
        let nodes = Node::read("JoinExec: a < b\n  ScanExec: t\n    LeafExec\n  ScanExec: u\n");
        let expected = serde_json::json!({
            "Node Type": "JoinExec",
            "Detail": "a < b",
            "Plans": [
                { "Node Type": "ScanExec", "Detail": "t", "Plans": [{ "Node Type": "LeafExec" }] },
                { "Node Type": "ScanExec", "Detail": "u" },
            ],
        });
        assert_eq!(nodes.iter().map(Node::json).collect::<Vec<_>>(), [expected]);
        let document = xml(&nodes, Some(1.5));
        assert!(document.contains("<Detail>a &lt; b</Detail>"), "{document}");
        assert_eq!(document.matches("<Plan>").count(), 4);
    }

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
