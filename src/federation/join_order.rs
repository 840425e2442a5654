//! The order in which tables are joined, chosen by what the tables hold: the engine keeps the order
//! in which they were written.
//!
//! Invariant: only inner joins, and semi and anti joins above them, change places, and the output
//! keeps its columns, their order and their names.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    common::{
        Column, DFSchema, NullEquality, Result, TableReference,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Expr, Filter, Join, JoinConstraint, JoinType, LogicalPlan, Operator, Projection,
        expr_fn::binary_expr,
        utils::{conjunction, split_conjunction_owned},
    },
    optimizer::{OptimizerConfig, OptimizerRule},
};

use super::estimate::{self, ColumnEstimate, Estimate};

/// Up to so many members, every order is looked at.
const MAX_EXHAUSTIVE: usize = 10;
/// Sets of members are bits of a word.
const MAX_MEMBERS: usize = 64;
/// What was written stays, unless another order costs less than this part of it.
const WORTHWHILE: f64 = 0.95;
/// Keeps products of estimates comparable.
const MOST_ROWS: f64 = 1e200;

/// Joins what stays small first.
#[derive(Debug, Default)]
pub struct JoinOrder;

impl OptimizerRule for JoinOrder {
    fn name(&self) -> &str {
        "join_order"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !is_inside(&plan) {
            let rewritten = plan
                .map_uncorrelated_subqueries(|input| self.rewrite(input, config))?
                .transform_sibling(|plan| plan.map_children(|input| self.rewrite(input, config)))?;
            return if rewritten.transformed {
                rewritten.map_data(LogicalPlan::recompute_schema)
            } else {
                Ok(rewritten)
            };
        }
        let plan = self.rewrite_leaves(plan, config)?;
        // What can't be rebuilt stays as it was written.
        match reorder(&plan.data).ok().flatten() {
            Some(reordered) => Ok(Transformed::yes(reordered)),
            None => Ok(plan),
        }
    }
}

impl JoinOrder {
    fn rewrite_leaves(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let is_kept = kept_sides(&plan);
        let mut side = 0;
        plan.map_children(|input| {
            side += 1;
            if is_kept.get(side - 1) == Some(&true) && is_inside(&input) {
                self.rewrite_leaves(input, config)
            } else {
                self.rewrite(input, config)
            }
        })
    }
}

/// Which inputs of a node belong to the same tree of joins as the node.
fn kept_sides(plan: &LogicalPlan) -> &'static [bool] {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => &[true, true],
        LogicalPlan::Join(_) | LogicalPlan::Projection(_) => &[true],
        _ => &[],
    }
}

/// A node of a tree of joins; all others are leaves.
fn is_inside(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => {
            matches!(join.join_type, JoinType::Inner | JoinType::LeftSemi | JoinType::LeftAnti)
                && join.null_equality == NullEquality::NullEqualsNothing
                && !join.null_aware
                && !join.on.iter().any(|(left, right)| left.is_volatile() || right.is_volatile())
                && !join.filter.as_ref().is_some_and(Expr::is_volatile)
        }
        // The optimizer cuts columns off between joins.
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expression| matches!(expression, Expr::Column(_)))
                && is_inside(&projection.input)
        }
        _ => false,
    }
}

/// A set of members.
type Members = u64;

fn one(member: usize) -> Members {
    1 << member
}

fn holds(all: Members, part: Members) -> bool {
    all & part == part
}

/// What takes part in a tree of joins.
#[derive(Debug)]
enum Member {
    Relation(LogicalPlan),
    /// Keeps or drops rows of the relations `needs`; has no columns of its own.
    Test {
        join: Join,
        needs: Members,
    },
}

/// `left = right`, each over its own members.
#[derive(Debug)]
struct Equality {
    left: (Expr, Members),
    right: (Expr, Members),
}

/// A predicate that is no equality of two sides.
#[derive(Debug)]
struct Condition {
    predicate: Expr,
    members: Members,
}

/// How members are joined.
#[derive(Debug, Clone)]
enum Tree {
    Member(usize),
    Join(Arc<Tree>, Arc<Tree>),
}

/// A tree with what it costs. Less is better: pairs of tables without a common key count first.
#[derive(Debug, Clone)]
struct Choice {
    tree: Arc<Tree>,
    members: Members,
    rows: f64,
    crosses: usize,
    cost: f64,
}

/// Looks up which member a column is of.
type Owners = HashMap<(Option<TableReference>, String), usize>;

/// All joins of one tree, apart from their order.
#[derive(Debug, Default)]
struct Graph {
    members: Vec<Member>,
    equalities: Vec<Equality>,
    conditions: Vec<Condition>,
    owners: Owners,
    /// Rows of a relation; for a test, the part of the rows that pass it.
    sizes: Vec<f64>,
    /// Rows that are read to find out; of a test alone.
    read: Vec<f64>,
    /// The part of all pairs of rows that match, for each set of relations that a predicate spans.
    matches: Vec<(Members, f64)>,
}

fn reorder(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let mut graph = Graph::default();
    let Some(written) = graph.collect(plan) else { return Ok(None) };
    if graph.members.len() < 3 || graph.has_double_names() || !graph.estimate() {
        return Ok(None);
    }
    let Some(written) = graph.choice(&written) else { return Ok(None) };
    let best =
        if graph.members.len() <= MAX_EXHAUSTIVE { graph.exhaustive() } else { graph.greedy() };
    let Some(best) = best else { return Ok(None) };
    let is_worthwhile = best.crosses < written.crosses
        || best.crosses == written.crosses && best.cost < written.cost * WORTHWHILE;
    if !is_worthwhile {
        return Ok(None);
    }
    let (tree, _) = graph.build(&best.tree)?;
    let everywhere = graph.conditions.iter().filter(|condition| condition.members == 0);
    let tree = filtered(tree, everywhere.map(|condition| condition.predicate.clone()))?;
    Ok(Some(LogicalPlan::Projection(Projection::new_from_schema(
        Arc::new(tree),
        Arc::clone(plan.schema()),
    ))))
}

fn filtered(plan: LogicalPlan, predicates: impl Iterator<Item = Expr>) -> Result<LogicalPlan> {
    match conjunction(predicates) {
        Some(predicate) => Ok(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?)),
        None => Ok(plan),
    }
}

impl Graph {
    /// Takes the tree apart; `None` if it is too large, or a name could be read in two ways.
    fn collect(&mut self, plan: &LogicalPlan) -> Option<Tree> {
        if self.members.len() >= MAX_MEMBERS - 1 {
            return None;
        }
        match plan {
            LogicalPlan::Projection(projection) if is_inside(plan) => {
                self.collect(&projection.input)
            }
            LogicalPlan::Join(join) if is_inside(plan) && join.join_type == JoinType::Inner => {
                let left = self.collect(&join.left)?;
                let right = self.collect(&join.right)?;
                for (left, right) in &join.on {
                    self.add_equality(left.clone(), right.clone())?;
                }
                for predicate in join.filter.iter().cloned().flat_map(split_conjunction_owned) {
                    let members = self.members_of(&predicate)?;
                    self.conditions.push(Condition { predicate, members });
                }
                Some(Tree::Join(Arc::new(left), Arc::new(right)))
            }
            LogicalPlan::Join(join) if is_inside(plan) => {
                let left = self.collect(&join.left)?;
                let needs = self.needs(join)?;
                self.members.push(Member::Test { join: join.clone(), needs });
                let test = Tree::Member(self.members.len() - 1);
                Some(Tree::Join(Arc::new(left), Arc::new(test)))
            }
            relation => {
                let member = self.members.len();
                for (qualifier, field) in relation.schema().iter() {
                    let name = (qualifier.cloned(), field.name().clone());
                    if self.owners.insert(name, member).is_some() {
                        return None;
                    }
                }
                self.members.push(Member::Relation(relation.clone()));
                Some(Tree::Member(member))
            }
        }
    }

    fn add_equality(&mut self, left: Expr, right: Expr) -> Option<()> {
        let (on_left, on_right) = (self.members_of(&left)?, self.members_of(&right)?);
        if on_left != 0 && on_right != 0 && on_left & on_right == 0 {
            self.equalities.push(Equality { left: (left, on_left), right: (right, on_right) });
        } else {
            let predicate = binary_expr(left, Operator::Eq, right);
            self.conditions.push(Condition { predicate, members: on_left | on_right });
        }
        Some(())
    }

    fn members_of(&self, expression: &Expr) -> Option<Members> {
        if expression.exists(|part| Ok(looks_outside(part))).ok()? {
            return None;
        }
        let mut members = 0;
        for column in expression.column_refs() {
            members |= one(self.owner(column)?);
        }
        Some(members)
    }

    fn owner(&self, column: &Column) -> Option<usize> {
        self.owners.get(&(column.relation.clone(), column.name.clone())).copied()
    }

    /// The relations whose rows a semi or anti join looks at. One that looks at none stays above all.
    fn needs(&self, join: &Join) -> Option<Members> {
        let filter = join.filter.iter();
        if filter
            .clone()
            .any(|filter| filter.exists(|part| Ok(looks_outside(part))).unwrap_or(true))
        {
            return None;
        }
        let mut needs = 0;
        for (left, _) in &join.on {
            needs |= self.members_of(left)?;
        }
        for column in filter.flat_map(Expr::column_refs) {
            match (self.owner(column), join.right.schema().has_column(column)) {
                (Some(member), false) => needs |= one(member),
                (None, true) => {}
                _ => return None,
            }
        }
        let above_all = one(self.members.len()) - 1;
        Some(if needs == 0 { above_all } else { needs })
    }

    /// Whether a test knows a column by the name of a relation's: it may come to stand above any.
    fn has_double_names(&self) -> bool {
        self.members.iter().any(|member| match member {
            Member::Relation(_) => false,
            Member::Test { join, .. } => join.right.schema().iter().any(|(qualifier, field)| {
                self.owners.contains_key(&(qualifier.cloned(), field.name().clone()))
            }),
        })
    }

    fn is_test(&self, members: Members) -> bool {
        members.is_power_of_two()
            && matches!(self.members[members.trailing_zeros() as usize], Member::Test { .. })
    }

    /// Fills in sizes; false where nothing is known of any table.
    fn estimate(&mut self) -> bool {
        let known: Vec<Option<Estimate>> = self
            .members
            .iter()
            .map(|member| match member {
                Member::Relation(plan) => estimate::of(plan),
                Member::Test { .. } => None,
            })
            .collect();
        let Some(largest) = known.iter().flatten().map(|known| known.rows).reduce(f64::max) else {
            return false;
        };
        // A table of which nothing is known may be large: it is not joined early for its size.
        let estimates: Vec<Estimate> = self
            .members
            .iter()
            .zip(known)
            .map(|(member, known)| match member {
                Member::Relation(plan) => known.unwrap_or_else(|| Estimate::unknown(largest, plan)),
                Member::Test { .. } => Estimate::all_pairs(std::iter::empty()),
            })
            .collect();
        let relations = || {
            self.members.iter().filter_map(|member| match member {
                Member::Relation(plan) => Some(plan.schema().as_ref()),
                Member::Test { .. } => None,
            })
        };
        let Some(schema) = joined(relations()) else { return false };
        let all = Estimate::all_pairs(estimates.iter());
        self.sizes = self
            .members
            .iter()
            .zip(&estimates)
            .map(|(member, estimate)| match member {
                Member::Relation(_) => estimate.rows.max(1.0),
                Member::Test { join, .. } => passing(join, &all, &schema),
            })
            .collect();
        self.read = self
            .members
            .iter()
            .map(|member| match member {
                Member::Relation(_) => 0.0,
                Member::Test { join, .. } => estimate::rows(&join.right).unwrap_or(largest),
            })
            .collect();
        let rows = |members: Members| {
            (0..self.members.len())
                .filter(|member| members & one(*member) != 0)
                .map(|member| self.sizes[member])
                .product::<f64>()
        };
        let mut keys: HashMap<(Members, Members), Vec<(ColumnEstimate, ColumnEstimate)>> =
            HashMap::new();
        for Equality { left, right } in &self.equalities {
            let (first, second) = if left.1 < right.1 { (left, right) } else { (right, left) };
            let pair =
                (all.of_expression(&first.0, &schema), all.of_expression(&second.0, &schema));
            keys.entry((first.1, second.1)).or_default().push(pair);
        }
        let mut matches: Vec<_> = keys
            .iter()
            .map(|((left, right), keys)| {
                (left | right, estimate::matching_pairs(keys, rows(*left), rows(*right)))
            })
            .collect();
        for condition in &self.conditions {
            matches.push((condition.members, all.selectivity(&[&condition.predicate], &schema)));
        }
        // In one order, so that the same query always gets the same plan.
        matches.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        self.matches = matches;
        true
    }

    fn rows(&self, members: Members) -> f64 {
        let mut rows = 1.0;
        for (member, size) in self.sizes.iter().enumerate() {
            if members & one(member) != 0 {
                rows *= size;
            }
        }
        for (spanned, part) in &self.matches {
            if holds(members, *spanned) {
                rows *= part;
            }
        }
        rows.clamp(1.0, MOST_ROWS)
    }

    fn leaf(&self, member: usize) -> Choice {
        let rows = if self.is_test(one(member)) { 0.0 } else { self.rows(one(member)) };
        let (tree, members) = (Arc::new(Tree::Member(member)), one(member));
        Choice { tree, members, rows, crosses: 0, cost: 0.0 }
    }

    fn has_key(&self, left: Members, right: Members) -> bool {
        self.equalities.iter().any(|equality| {
            holds(left, equality.left.1) && holds(right, equality.right.1)
                || holds(right, equality.left.1) && holds(left, equality.right.1)
        })
    }

    /// What it costs to join two trees, the left of which is read into memory first; `None` if they
    /// can't be joined so. `rows` are those of the result.
    fn price(&self, left: &Choice, right: &Choice, rows: f64) -> Option<(usize, f64)> {
        if self.is_test(left.members) {
            return None;
        }
        let mut crosses = left.crosses + right.crosses;
        let in_memory = match *right.tree {
            Tree::Member(member) => match &self.members[member] {
                Member::Test { needs, .. } if !holds(left.members, *needs) => return None,
                // The engine reads the smaller side first.
                Member::Test { .. } => left.rows.min(self.read[member]),
                Member::Relation(_) => left.rows,
            },
            Tree::Join(..) => left.rows,
        };
        if !self.is_test(right.members) && !self.has_key(left.members, right.members) {
            crosses += 1;
        }
        Some((crosses, left.cost + right.cost + rows + in_memory))
    }

    fn join(left: &Choice, right: &Choice, rows: f64, (crosses, cost): (usize, f64)) -> Choice {
        let tree = Arc::new(Tree::Join(Arc::clone(&left.tree), Arc::clone(&right.tree)));
        Choice { tree, members: left.members | right.members, rows, crosses, cost }
    }

    /// The better of both ways to join two trees, if it is better than `before`.
    fn better(
        &self,
        one: &Choice,
        other: &Choice,
        rows: f64,
        before: Option<&Choice>,
    ) -> Option<Choice> {
        let mut bound = before.map_or((usize::MAX, f64::INFINITY), Choice::price);
        if (one.crosses + other.crosses, one.cost + other.cost + rows) >= bound {
            return None;
        }
        let mut found = None;
        for (left, right) in [(one, other), (other, one)] {
            if let Some(price) = self.price(left, right, rows).filter(|price| *price < bound) {
                bound = price;
                found = Some((left, right));
            }
        }
        found.map(|(left, right)| Self::join(left, right, rows, bound))
    }

    /// What the tree costs as it was written.
    fn choice(&self, tree: &Tree) -> Option<Choice> {
        match tree {
            Tree::Member(member) => Some(self.leaf(*member)),
            Tree::Join(left, right) => {
                let (left, right) = (self.choice(left)?, self.choice(right)?);
                let rows = self.rows(left.members | right.members);
                Some(Self::join(&left, &right, rows, self.price(&left, &right, rows)?))
            }
        }
    }

    /// The best of all trees, built up from the best trees of all smaller sets.
    fn exhaustive(&self) -> Option<Choice> {
        let count = self.members.len();
        let mut best: Vec<Option<Choice>> = vec![None; 1 << count];
        for member in 0..count {
            best[1 << member] = Some(self.leaf(member));
        }
        for members in 1..1_usize << count {
            if members.is_power_of_two() {
                continue;
            }
            let rows = self.rows(members as Members);
            let mut found: Option<Choice> = None;
            // Each pair of parts once: the part with the lowest member is the first.
            let lowest = members & members.wrapping_neg();
            let others = members & !lowest;
            let mut rest = others;
            while rest != 0 {
                let first = members & !rest;
                if let (Some(one), Some(other)) = (&best[first], &best[rest]) {
                    found = self.better(one, other, rows, found.as_ref()).or(found);
                }
                rest = (rest - 1) & others;
            }
            best[members] = found;
        }
        best.pop().flatten()
    }

    /// Joins the pair with the smallest result, until one tree is left.
    fn greedy(&self) -> Option<Choice> {
        let mut trees: Vec<Choice> =
            (0..self.members.len()).map(|member| self.leaf(member)).collect();
        while trees.len() > 1 {
            let mut found: Option<(usize, usize, Choice)> = None;
            for (index, one) in trees.iter().enumerate() {
                for (other_index, other) in trees.iter().enumerate().skip(index + 1) {
                    let rows = self.rows(one.members | other.members);
                    let Some(choice) = self.better(one, other, rows, None) else { continue };
                    let crosses = choice.crosses - one.crosses - other.crosses;
                    let is_better = found.as_ref().is_none_or(|(first, second, best)| {
                        let before = best.crosses - trees[*first].crosses - trees[*second].crosses;
                        (crosses, rows) < (before, best.rows)
                    });
                    if is_better {
                        found = Some((index, other_index, choice));
                    }
                }
            }
            let (first, second, choice) = found?;
            trees.swap_remove(second);
            trees[first] = choice;
        }
        trees.pop()
    }

    fn build(&self, tree: &Tree) -> Result<(LogicalPlan, Members)> {
        let (left, right) = match tree {
            Tree::Member(member) => return Ok((self.build_member(*member)?, one(*member))),
            Tree::Join(left, right) => (left, right),
        };
        let (left, on_left) = self.build(left)?;
        if let Tree::Member(member) = **right
            && let Member::Test { join, .. } = &self.members[member]
        {
            let test = Join::try_new(
                Arc::new(left),
                Arc::clone(&join.right),
                join.on.clone(),
                join.filter.clone(),
                join.join_type,
                join.join_constraint,
                join.null_equality,
                join.null_aware,
            )?;
            return Ok((LogicalPlan::Join(test), on_left | one(member)));
        }
        let (right, on_right) = self.build(right)?;
        let both = on_left | on_right;
        let is_due = |members: Members| {
            holds(both, members) && !holds(on_left, members) && !holds(on_right, members)
        };
        let (mut keys, mut residue) = (Vec::new(), Vec::new());
        for Equality { left, right } in &self.equalities {
            if holds(on_left, left.1) && holds(on_right, right.1) {
                keys.push((left.0.clone(), right.0.clone()));
            } else if holds(on_left, right.1) && holds(on_right, left.1) {
                keys.push((right.0.clone(), left.0.clone()));
            } else if is_due(left.1 | right.1) {
                residue.push(binary_expr(left.0.clone(), Operator::Eq, right.0.clone()));
            }
        }
        let due = self.conditions.iter().filter(|condition| is_due(condition.members));
        residue.extend(due.map(|condition| condition.predicate.clone()));
        let join = Join::try_new(
            Arc::new(left),
            Arc::new(right),
            keys,
            conjunction(residue),
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        Ok((LogicalPlan::Join(join), both))
    }

    fn build_member(&self, member: usize) -> Result<LogicalPlan> {
        match &self.members[member] {
            Member::Relation(plan) => {
                let own = self.conditions.iter().filter(|c| c.members == one(member));
                filtered(plan.clone(), own.map(|condition| condition.predicate.clone()))
            }
            Member::Test { join, .. } => Ok(join.right.as_ref().clone()),
        }
    }
}

impl Choice {
    fn price(&self) -> (usize, f64) {
        (self.crosses, self.cost)
    }
}

/// A subquery may name columns of these tables where nobody sees them.
fn looks_outside(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..)
    )
}

fn joined<'a>(mut schemas: impl Iterator<Item = &'a DFSchema>) -> Option<DFSchema> {
    let first = schemas.next()?.clone();
    schemas.try_fold(first, |joined, schema| joined.join(schema).ok())
}

/// The part of the rows that pass a semi or anti join.
fn passing(join: &Join, all: &Estimate, schema: &DFSchema) -> f64 {
    let right =
        estimate::of(&join.right).unwrap_or_else(|| Estimate::unknown(f64::INFINITY, &join.right));
    let keys: Vec<_> = join
        .on
        .iter()
        .map(|(left, key)| {
            (all.of_expression(left, schema), right.of_expression(key, join.right.schema()))
        })
        .collect();
    match join.join_type {
        JoinType::LeftAnti => estimate::anti(&keys),
        _ => estimate::semi(&keys),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "plans are tried without the proxy around them")]

    use datafusion::{
        arrow::{
            array::{ArrayRef, Int64Array, RecordBatch},
            datatypes::{DataType, Field, Schema},
            util::pretty::pretty_format_batches,
        },
        catalog::MemTable,
        common::{ColumnStatistics, Statistics, stats::Precision, tree_node::TreeNodeRecursion},
        execution::SessionStateBuilder,
        prelude::{SessionConfig, SessionContext},
    };

    use super::*;
    use crate::federation::{optimizer_rules, testing::Known};

    /// Tables by name, rows that they say they have, and columns with their distinct values.
    #[allow(clippy::type_complexity, reason = "a table of cases")]
    const TABLES: &[(&str, Option<usize>, &[(&str, usize)])] = &[
        ("big", Some(6_000_000), &[("b_order", 1_500_000), ("b_part", 200_000), ("b_n", 50)]),
        ("orders", Some(1_500_000), &[("o_key", 1_500_000), ("o_customer", 100_000), ("o_n", 5)]),
        ("customer", Some(150_000), &[("c_key", 150_000), ("c_nation", 25)]),
        ("part", Some(200_000), &[("p_key", 200_000), ("p_n", 100)]),
        ("nation", Some(25), &[("n_key", 25), ("n_region", 5)]),
        ("region", Some(5), &[("r_key", 5)]),
        ("unknown", None, &[("u_key", 0), ("u_n", 0)]),
    ];

    /// Every table holds twenty rows of small numbers and NULLs, whatever it says.
    fn session(with_order: bool) -> SessionContext {
        let rules = if with_order { optimizer_rules() } else { without_order() };
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_default_features()
            .with_optimizer_rules(rules)
            .build();
        let context = SessionContext::new_with_state(state);
        for (number, (name, rows, columns)) in TABLES.iter().enumerate() {
            let fields = columns.iter().map(|(name, _)| Field::new(*name, DataType::Int64, true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let arrays = (0..columns.len()).map(|column| {
                let value = |row: usize| (row % 10 != 9).then(|| cell(number, column, row));
                Arc::new((0..20).map(value).collect::<Int64Array>()) as ArrayRef
            });
            let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect()).unwrap();
            let inner = MemTable::try_new(schema, vec![vec![batch]]).unwrap();
            let statistics = rows.map(|rows| Statistics {
                num_rows: Precision::Inexact(rows),
                total_byte_size: Precision::Absent,
                column_statistics: columns
                    .iter()
                    .map(|(_, distinct)| ColumnStatistics {
                        distinct_count: Precision::Inexact(*distinct),
                        ..ColumnStatistics::new_unknown()
                    })
                    .collect(),
            });
            context.register_table(*name, Arc::new(Known { inner, statistics })).unwrap();
        }
        context
    }

    fn without_order() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
        let rules = optimizer_rules().into_iter();
        rules.filter(|rule| rule.name() != "join_order").collect()
    }

    fn cell(table: usize, column: usize, row: usize) -> i64 {
        let mixed = (row * 31 + column * 7 + table + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed >> 32) % 7) as i64
    }

    async fn answer(context: &SessionContext, sql: &str) -> Vec<String> {
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let (head, mut rows) = (text.lines().nth(1), text.lines().skip(2).collect::<Vec<_>>());
        rows.sort_unstable();
        head.into_iter().chain(rows).map(str::to_owned).collect()
    }

    /// The tables in the order in which they are read, outermost join first, left before right.
    async fn order(sql: &str) -> String {
        let plan = session(true).sql(sql).await.unwrap().into_optimized_plan().unwrap();
        shape(&plan)
    }

    fn shape(plan: &LogicalPlan) -> String {
        match plan {
            LogicalPlan::TableScan(scan) => scan.table_name.table().to_owned(),
            LogicalPlan::Join(join) => {
                let sign = match (join.join_type, join.on.is_empty()) {
                    (JoinType::Inner, false) => "*",
                    (JoinType::Inner, true) => "x",
                    (JoinType::LeftSemi, _) => "semi",
                    (JoinType::LeftAnti, _) => "anti",
                    _ => "outer",
                };
                format!("({} {sign} {})", shape(&join.left), shape(&join.right))
            }
            other => other.inputs().into_iter().map(shape).collect::<Vec<_>>().join(", "),
        }
    }

    #[tokio::test]
    async fn what_stays_small_is_joined_first() {
        let cases = [
            (
                "SELECT count(*) FROM big, orders, customer, nation, region
                 WHERE b_order = o_key AND o_customer = c_key AND c_nation = n_key
                   AND n_region = r_key AND r_key = 3",
                "((((region * nation) * customer) * orders) * big)",
            ),
            (
                "SELECT count(*) FROM big, orders, part
                 WHERE b_order = o_key AND b_part = p_key AND p_n = 7",
                "((part * big) * orders)",
            ),
            // Nothing joins nation to another table: one cross join, and no more.
            (
                "SELECT count(*) FROM nation, part, big WHERE b_part = p_key",
                "((nation x part) * big)",
            ),
            // A table of which nothing is known is not put first for its size.
            (
                "SELECT count(*) FROM unknown, big, part
                 WHERE u_key = b_order AND b_part = p_key AND p_n = 7",
                "((part * big) * unknown)",
            ),
            // What tests the rows of one table does so before the table is joined.
            (
                "SELECT count(*) FROM big, orders, customer
                 WHERE b_order = o_key AND o_customer = c_key
                   AND o_key IN (SELECT p_key FROM part WHERE p_n = 7)",
                "(((orders semi part) * customer) * big)",
            ),
        ];
        for (sql, expected) in cases {
            assert_eq!(order(sql).await, expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn nothing_moves_across_outer_joins_and_volatile_predicates() {
        let outer = "SELECT count(*) FROM big LEFT JOIN orders ON b_order = o_key
                     LEFT JOIN customer ON o_customer = c_key";
        assert_eq!(order(outer).await, "((big outer orders) outer customer)");
        let volatile = "SELECT count(*) FROM big JOIN orders ON b_order = o_key
                        JOIN customer ON o_customer = c_key AND random() * c_key < o_n";
        let found = order(volatile).await;
        assert!(found.contains("(big * orders)"), "{found}");
    }

    #[tokio::test]
    async fn the_order_in_which_tables_are_written_never_changes_an_answer() {
        let (with, without) = (session(true), session(false));
        let tables = ["big", "orders", "customer", "nation", "region", "part"];
        let predicates = [
            "b_order = o_key AND o_customer = c_key AND c_nation = n_key AND n_region = r_key
             AND b_part = p_key",
            "b_order = o_key AND o_customer = c_key AND c_nation = n_key AND n_region = r_key
             AND b_part = p_key AND p_n < o_n AND (n_key = 3 OR p_n = 4)",
            "b_order = o_key AND o_customer = c_key AND c_nation = n_key AND r_key = 3
             AND b_part = p_key AND n_region + b_n = p_n",
            "b_order = o_key AND o_customer = c_key AND c_nation = n_key AND n_region = r_key
             AND b_part = p_key AND b_n IN (SELECT u_n FROM unknown WHERE u_key > 3)
             AND NOT EXISTS (SELECT 1 FROM unknown WHERE u_key = c_key AND u_n <> p_n)",
            "b_order = o_key AND o_customer = c_key AND c_nation = n_key AND n_region = r_key
             AND b_part = p_key AND b_n NOT IN (SELECT u_n FROM unknown WHERE u_n > 7)",
        ];
        let mut moved = 0;
        for predicate in predicates {
            for turn in 0..tables.len() {
                let mut from = tables;
                from.rotate_left(turn);
                from.swap(1, 4);
                let sql = format!(
                    "SELECT n_key, o_key AS \"key\", p_n, c_nation, b_n, r_key FROM {} WHERE {predicate}",
                    from.join(", ")
                );
                let expected = answer(&without, &sql).await;
                assert!(expected.len() > 3, "{sql} gives no rows");
                assert_eq!(answer(&with, &sql).await, expected, "{sql}");
                let plain = without.sql(&sql).await.unwrap().into_optimized_plan().unwrap();
                moved += usize::from(order(&sql).await != shape(&plain));
            }
        }
        assert!(moved > 20, "only {moved} plans changed");
    }

    /// More tables than every order can be looked at of.
    #[tokio::test]
    async fn many_tables_are_joined_too() {
        let (with, without) = (session(true), session(false));
        let from: Vec<String> = (0..12).map(|index| format!("region r{index}")).collect();
        let keys: Vec<String> =
            (1..12).map(|index| format!("r{index}.r_key = r{}.r_key", index - 1)).collect();
        let sql = format!(
            "SELECT r3.r_key FROM {}, nation WHERE {} AND n_key = r7.r_key AND n_region = 2
             AND r0.r_key < 4 LIMIT 1",
            from.join(", "),
            keys.join(" AND ")
        );
        let found = order(&sql).await;
        assert!(!found.contains(" x "), "{found}");
        assert_eq!(answer(&with, &sql).await.len(), answer(&without, &sql).await.len());
    }

    #[tokio::test]
    async fn the_engine_still_has_its_rules() {
        let names: Vec<_> = optimizer_rules().iter().map(|rule| rule.name().to_owned()).collect();
        let place = |name: &str| names.iter().position(|found| found == name);
        assert!(place("push_down_filter").unwrap() < place("join_order").unwrap());
        assert!(place("join_order").unwrap() < place("optimize_projections").unwrap());
    }

    #[tokio::test]
    async fn a_plan_is_settled_after_one_turn() {
        let sql = "SELECT count(*) FROM big, orders, customer, nation
                   WHERE b_order = o_key AND o_customer = c_key AND c_nation = n_key AND n_region = 3";
        let context = session(true);
        let plan = context.sql(sql).await.unwrap().into_optimized_plan().unwrap();
        let config = context.state();
        let mut joins = 0;
        plan.apply(|node| {
            joins += usize::from(matches!(node, LogicalPlan::Join(_)));
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        assert_eq!(joins, 3);
        let again = JoinOrder.rewrite(plan, &config).unwrap();
        assert!(!again.transformed, "{}", again.data.display_indent());
    }
}
