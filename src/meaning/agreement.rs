//! A last look at the types of what is compared and put together.
//!
//! Where two sides meet, the engine has made their types equal; what changes one of them afterwards (a
//! function whose type hangs on a value that was not known yet) is not noticed, and decimals of
//! different scales are then compared by their digits.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        Result,
        config::ConfigOptions,
        internal_err,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    physical_expr::{PhysicalExpr, expressions::InListExpr},
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ExecutionPlan,
        joins::{HashJoinExec, SortMergeJoinExec, SymmetricHashJoinExec},
        union::{InterleaveExec, UnionExec},
    },
};

/// Refuses a plan whose parts do not fit.
#[derive(Debug)]
pub struct Agreement;

impl PhysicalOptimizerRule for Agreement {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.apply(|node| {
            look(node.as_ref())?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }

    fn name(&self) -> &'static str {
        "agreement"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn look(node: &dyn ExecutionPlan) -> Result<()> {
    if node.is::<UnionExec>() || node.is::<InterleaveExec>() {
        let schema = node.schema();
        for child in node.children() {
            for (own, other) in schema.fields().iter().zip(child.schema().fields()) {
                meet(own.data_type(), other.data_type())?;
            }
        }
    }
    if let (Some(keys), [left, right]) = (keys(node), node.children().as_slice()) {
        for (left_key, right_key) in keys {
            let left_type = left_key.data_type(&left.schema())?;
            meet(&left_type, &right_key.data_type(&right.schema())?)?;
        }
    }
    let [child] = node.children()[..] else { return Ok(()) };
    let schema = child.schema();
    node.apply_expressions(&mut |expression| {
        expression.apply(|part| {
            if let Some(list) = part.downcast_ref::<InListExpr>() {
                let data_type = list.expr().data_type(&schema)?;
                for item in list.list() {
                    meet(&data_type, &item.data_type(&schema)?)?;
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

type Keys<'a> = &'a [(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)];

fn keys(node: &dyn ExecutionPlan) -> Option<Keys<'_>> {
    let of_hash = node.downcast_ref::<HashJoinExec>().map(HashJoinExec::on);
    let of_merge = || node.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::on);
    let of_stream = || node.downcast_ref::<SymmetricHashJoinExec>().map(SymmetricHashJoinExec::on);
    of_hash.or_else(of_merge).or_else(of_stream)
}

fn meet(left: &DataType, right: &DataType) -> Result<()> {
    if left == right { Ok(()) } else { internal_err!("{left} meets {right}") }
}
