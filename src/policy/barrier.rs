//! The plan node below which only policy runs.

use std::{collections::BTreeSet, fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::SchemaRef,
    common::{
        Statistics, internal_err,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{
        PhysicalExpr,
        expressions::Column,
        utils::{collect_columns, reassign_expr_columns},
    },
    physical_plan::{
        DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, PlanProperties,
        filter::FilterExecBuilder, projection::ProjectionExec,
    },
};

use super::{Grant, ObjectPath};

/// What a barrier does with the rows of one table, and for which grant.
#[derive(Debug)]
pub struct Guard {
    pub path: ObjectPath,
    pub grant: Grant,
    /// Over the columns that are read; so are the outputs.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// What is shown, under the names that it has.
    pub outputs: Vec<(Arc<dyn PhysicalExpr>, String)>,
}

/// Filters, masks and cuts the columns of one table, passes the rest through, and nothing down: no
/// filter, no limit, no sort of a user gets below it, and no statistics of hidden rows above it.
///
/// DataFusion merges and reorders the predicates of adjacent filters, so a plain filter does not
/// keep a user's expression from being computed on rows that policy hides (and from telling their
/// values by an error). Nor can its rules take apart what is one node. Every default of
/// [`ExecutionPlan`] that this node leaves alone refuses.
#[derive(Debug)]
pub struct PolicyBarrierExec {
    input: Arc<dyn ExecutionPlan>,
    guard: Arc<Guard>,
    /// What was computed below when the barrier was built.
    below: Arc<BTreeSet<String>>,
    /// The filter and the outputs, over the input.
    shown: Arc<dyn ExecutionPlan>,
}

impl PolicyBarrierExec {
    pub fn try_new(input: Arc<dyn ExecutionPlan>, guard: Guard) -> Result<Self> {
        let below = Arc::new(computed(&input)?);
        let shown = shown(Arc::clone(&input), &guard)?;
        Ok(Self { input, guard: Arc::new(guard), below, shown })
    }

    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Whether no more is computed below than when the barrier was built.
    pub fn is_tight(&self) -> Result<bool> {
        Ok(computed(&self.input)?.is_subset(&self.below))
    }
}

fn shown(input: Arc<dyn ExecutionPlan>, guard: &Guard) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(filter) = &guard.filter else {
        return Ok(Arc::new(ProjectionExec::try_new(guard.outputs.clone(), input)?));
    };
    // Columns that only the filter needs are not copied with the rows.
    let needed = guard.outputs.iter().flat_map(|(output, _)| collect_columns(output));
    let needed: BTreeSet<usize> = needed.map(|column| column.index()).collect();
    let filtered = FilterExecBuilder::new(Arc::clone(filter), input)
        .apply_projection(Some(needed.into_iter().collect()))?
        .build()?;
    let schema = filtered.schema();
    let outputs = guard.outputs.iter().map(|(output, name)| {
        Ok((reassign_expr_columns(Arc::clone(output), &schema)?, name.clone()))
    });
    let outputs = outputs.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(outputs, Arc::new(filtered))?))
}

/// Every expression of a plan that is more than a column, without the columns' positions, which rules
/// change.
fn computed(plan: &Arc<dyn ExecutionPlan>) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    plan.apply(|node| {
        node.apply_expressions(&mut |expression| {
            if !expression.is::<Column>() {
                found.insert(without_positions(&expression.to_string()));
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn without_positions(expression: &str) -> String {
    let mut parts = expression.split('@');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('@');
        text.push_str(part.trim_start_matches(|character: char| character.is_ascii_digit()));
    }
    text
}

impl DisplayAs for PolicyBarrierExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PolicyBarrierExec: ")?;
        if let Some(filter) = &self.guard.filter {
            write!(f, "filter={filter}, ")?;
        }
        let outputs = self.guard.outputs.iter().map(|(output, name)| match output.is::<Column>() {
            true => name.clone(),
            false => format!("{output} as {name}"),
        });
        write!(f, "columns=[{}]", outputs.collect::<Vec<_>>().join(", "))
    }
}

impl ExecutionPlan for PolicyBarrierExec {
    fn name(&self) -> &str {
        "PolicyBarrierExec"
    }

    fn schema(&self) -> SchemaRef {
        self.shown.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.shown.properties()
    }

    /// Whatever must be sorted above is sorted above, and not the hidden rows with the others.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![true]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::UnspecifiedDistribution]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return internal_err!("a policy barrier has one input");
        };
        if input.schema() != self.input.schema() {
            return internal_err!("a policy barrier's columns were changed");
        }
        let (guard, below) = (Arc::clone(&self.guard), Arc::clone(&self.below));
        let shown = shown(Arc::clone(&input), &guard)?;
        Ok(Arc::new(Self { input, guard, below, shown }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.shown.execute(partition, context)
    }

    fn partition_statistics(&self, _: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.schema())))
    }
}
