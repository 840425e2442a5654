//! Dynamic filters: what a join, a sort or an aggregate learns while it runs about the rows that it
//! needs, told to the scans below.
//!
//! Invariants: a filter follows its columns by their positions. (The engine's own rule, which this one
//! stands in for, looks for them by name at each operator, and loses rows where two columns share one.)
//! It passes an operator only if the rows that it drops below are rows that it would drop above.

use std::{fmt::Debug, sync::Arc};

use datafusion::{
    arrow::datatypes::SchemaRef,
    common::{
        JoinType, Result,
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    physical_expr::{
        PhysicalExpr,
        expressions::{CastExpr, Column},
        projection::ProjectionExpr,
    },
    physical_expr_common::physical_expr::is_volatile,
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ExecutionPlan,
        aggregates::AggregateExec,
        coalesce_partitions::CoalescePartitionsExec,
        coop::CooperativeExec,
        filter::FilterExec,
        filter_pushdown::{
            ChildFilterPushdownResult, ChildPushdownResult, FilterPushdownPhase,
            PushedDownPredicate,
        },
        joins::HashJoinExec,
        projection::ProjectionExec,
        repartition::RepartitionExec,
        replace_children_if_necessary,
        sorts::sort::SortExec,
        union::{InterleaveExec, UnionExec},
    },
};
use weir_catalogs::sql::widens;

/// Takes every dynamic filter as far down as it may go.
#[derive(Debug)]
pub struct DynamicFilters;

impl PhysicalOptimizerRule for DynamicFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(push(&plan, &[], config)?.node)
    }

    fn name(&self) -> &'static str {
        "dynamic_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

type Filter = Arc<dyn PhysicalExpr>;

struct Pushed {
    node: Arc<dyn ExecutionPlan>,
    /// Whether a scan takes a filter into account, for each that came from above.
    is_used: Vec<bool>,
}

fn push(
    node: &Arc<dyn ExecutionPlan>,
    filters: &[Filter],
    config: &ConfigOptions,
) -> Result<Pushed> {
    let children = node.children();
    if children.is_empty() {
        return offer(node, filters, config);
    }
    let phase = FilterPushdownPhase::Post;
    let own = node.gather_filters_for_pushdown(phase, Vec::new(), config)?.self_filters();
    let mut is_used = vec![false; filters.len()];
    let (mut new_children, mut used_of_own) = (Vec::new(), Vec::new());
    for ((index, child), mut below) in children.iter().enumerate().zip(own) {
        below.retain(|filter| !is_volatile(filter));
        let own_count = below.len();
        let route = route(node.as_ref(), index);
        let mut from_above = Vec::new();
        for (number, filter) in filters.iter().enumerate() {
            if let Some(filter) = moved(filter, &route)? {
                from_above.push(number);
                below.push(filter);
            }
        }
        let pushed = push(child, &below, config)?;
        new_children.push(pushed.node);
        for (number, used) in from_above.into_iter().zip(&pushed.is_used[own_count..]) {
            is_used[number] |= used;
        }
        let of_own = below.into_iter().zip(pushed.is_used).take(own_count);
        let used = of_own.filter(|(_, is_used)| *is_used);
        used_of_own.push(used.map(|(own, _)| PushedDownPredicate::supported(own)).collect());
    }
    let node = replace_children_if_necessary(Arc::clone(node), new_children)?;
    let result = ChildPushdownResult { parent_filters: Vec::new(), self_filters: used_of_own };
    let changed = node.handle_child_pushdown_result(phase, result, config)?.updated_node;
    Ok(Pushed { node: changed.unwrap_or(node), is_used })
}

/// A scan may use a filter, which need not be exact.
fn offer(
    scan: &Arc<dyn ExecutionPlan>,
    filters: &[Filter],
    config: &ConfigOptions,
) -> Result<Pushed> {
    let nothing = Pushed { node: Arc::clone(scan), is_used: vec![false; filters.len()] };
    if filters.is_empty() {
        return Ok(nothing);
    }
    let offered = |filter: &Filter| ChildFilterPushdownResult {
        filter: Arc::clone(filter),
        child_results: Vec::new(),
    };
    let result = ChildPushdownResult {
        parent_filters: filters.iter().map(offered).collect(),
        self_filters: Vec::new(),
    };
    let answer = scan.handle_child_pushdown_result(FilterPushdownPhase::Post, result, config)?;
    Ok(match answer.updated_node {
        Some(node) => Pushed { node, is_used: vec![true; filters.len()] },
        None => nothing,
    })
}

/// The filter over the child's columns, if each of its columns has a place there.
fn moved(filter: &Filter, route: &[Option<Filter>]) -> Result<Option<Filter>> {
    let mut is_whole = true;
    let moved = Arc::clone(filter).transform_down(|expression| {
        let Some(column) = expression.downcast_ref::<Column>() else {
            return Ok(Transformed::no(expression));
        };
        Ok(match route.get(column.index()) {
            Some(Some(below)) => Transformed::new(Arc::clone(below), true, TreeNodeRecursion::Jump),
            Some(None) | None => {
                is_whole = false;
                Transformed::new(expression, false, TreeNodeRecursion::Stop)
            }
        })
    })?;
    Ok(is_whole.then_some(moved.data))
}

/// For each column that a node puts out, what it is below, in one of the node's children, if rows may be
/// dropped there by their value in it. Shorter, or empty, where nothing passes.
fn route(node: &dyn ExecutionPlan, child: usize) -> Vec<Option<Filter>> {
    // Which rows come is a matter of all that were there.
    if node.fetch().is_some() {
        return Vec::new();
    }
    let schema = node.children()[child].schema();
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let below =
            |item: &ProjectionExpr| is_key(&item.expr, &schema).then(|| Arc::clone(&item.expr));
        return projection.expr().iter().map(below).collect();
    }
    let at = |index: usize| Arc::new(Column::new(schema.field(index).name(), index)) as Filter;
    positions(node, child).into_iter().map(|index| index.map(at)).collect()
}

/// A column, or it as a wider integer: nothing that could fail on a row that is filtered out above.
fn is_key(expression: &Filter, schema: &SchemaRef) -> bool {
    let Some(cast) = expression.downcast_ref::<CastExpr>() else {
        return expression.is::<Column>();
    };
    let column = cast.expr().downcast_ref::<Column>();
    column.is_some_and(|column| widens(schema.field(column.index()).data_type(), cast.cast_type()))
}

fn positions(node: &dyn ExecutionPlan, child: usize) -> Vec<Option<usize>> {
    let all = |count| (0..count).map(Some).collect::<Vec<_>>();
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let columns = all(filter.input().schema().fields().len());
        return projected(columns, filter.projection().as_deref());
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        return group_keys(aggregate);
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return projected(side(join, child), join.projection.as_deref());
    }
    let is_passed = node.is::<RepartitionExec>()
        || node.is::<CoalescePartitionsExec>()
        || node.is::<CooperativeExec>()
        || node.is::<SortExec>()
        || node.is::<UnionExec>()
        || node.is::<InterleaveExec>();
    if is_passed { all(node.schema().fields().len()) } else { Vec::new() }
}

fn projected(columns: Vec<Option<usize>>, projection: Option<&[usize]>) -> Vec<Option<usize>> {
    match projection {
        Some(projection) => {
            projection.iter().map(|index| columns.get(*index).copied().flatten()).collect()
        }
        None => columns,
    }
}

/// What decides on a group, and not on what is in it. A grouping set without keys has a row even if no
/// row comes in.
fn group_keys(aggregate: &AggregateExec) -> Vec<Option<usize>> {
    let keys = aggregate.group_expr();
    let is_grouped = |is_left_out: &Vec<bool>| is_left_out.iter().any(|is_left_out| !is_left_out);
    if keys.is_true_no_grouping() || !keys.groups().iter().all(is_grouped) {
        return Vec::new();
    }
    let column = |(index, (key, _)): (usize, &(Filter, String))| {
        let is_in_all = keys.groups().iter().all(|is_left_out| !is_left_out[index]);
        key.downcast_ref().map(Column::index).filter(|_| is_in_all)
    };
    keys.expr().iter().enumerate().map(column).collect()
}

/// The columns of one side of a join, before its projection, if the other side can't bring rows of this
/// side back filled up with NULL, or miss them.
fn side(join: &HashJoinExec, child: usize) -> Vec<Option<usize>> {
    let [left, right] = [join.left(), join.right()].map(|side| side.schema().fields().len());
    let is_left = child == 0;
    let own = if is_left { 0..left } else { 0..right };
    let own = own.map(Some);
    match (join.join_type(), is_left) {
        (JoinType::Inner | JoinType::Left, true)
        | (JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark, true)
        | (JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark, false) => own.collect(),
        (JoinType::Inner | JoinType::Right, false) => {
            std::iter::repeat_n(None, left).chain(own).collect()
        }
        // Every row that comes out has an equal key on the other side.
        (JoinType::LeftSemi, false) => {
            twins(left, join.on().iter().map(|(own, other)| (own, other)))
        }
        (JoinType::RightSemi, true) => {
            twins(right, join.on().iter().map(|(other, own)| (own, other)))
        }
        (JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark, false)
        | (JoinType::Right | JoinType::RightAnti | JoinType::RightMark, true)
        | (JoinType::Full, _) => Vec::new(),
    }
}

/// For each of `count` columns the key of the other side that equals it, if it is a key.
fn twins<'a>(
    count: usize,
    keys: impl Iterator<Item = (&'a Filter, &'a Filter)>,
) -> Vec<Option<usize>> {
    let mut twins = vec![None; count];
    for (own, other) in keys {
        if let (Some(own), Some(other)) =
            (own.downcast_ref::<Column>(), other.downcast_ref::<Column>())
        {
            twins[own.index()] = Some(other.index());
        }
    }
    twins
}
