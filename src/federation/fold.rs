//! Folds the nodes above scans of one catalog into one remote statement.
//!
//! Bottom-up: each node takes what its inputs have become. A [`Fragment`] is a statement that still
//! grows; a shape that does not fit into its level (a filter over a LIMIT, any join) starts a new
//! level around it. A node that the rules do not know, or that would cost more at the source, ends
//! the growth: the fragment becomes a scan, the node stays here, and the scan notes why.
//!
//! Invariants: a node is folded only whole and only where the source gives the very rows that it
//! would give. A part of a node may be sent besides (rows that a filter or a LIMIT would drop), and
//! then the node stays.
//!
//! A policy's filter is the innermost part of its table's statement, and only where the source
//! evaluates it exactly. Whatever joins it there can't fail for any row (`weir_catalogs::sql`), so that
//! it does not matter what the source evaluates first; and what stays here sees only the rows that the
//! policy shows. Masked values are no part of any statement.

use std::{collections::HashSet, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema},
    catalog::TableProvider,
    common::{
        Column, DFSchemaRef, JoinType, NullEquality, Result, ScalarValue, Statistics,
        TableReference,
        tree_node::{Transformed, TreeNode},
    },
    datasource::{provider_as_source, source_as_provider},
    logical_expr::{
        Aggregate, BinaryExpr, Distinct, Expr, FetchType, Filter, Join, Limit, LogicalPlan,
        Operator, Projection, SkipType, Sort, SubqueryAlias, TableScan, TableScanBuilder, Union,
        expr::{AggregateFunction, AggregateFunctionParams},
        utils::{conjunction, split_conjunction},
    },
};
use weir_catalogs::{
    Capabilities, TableDefinition,
    sql::{
        self, Collation, Compare, Comparison, FragmentTable, From, Inputs, JoinKind, OrderBy,
        Output, Precision, PushdownMode, Pushed, Query, Refusal, RemoteSql, RemoteTable,
        RemoteValue, Scalar, push, push_value,
    },
};

use super::estimate;

/// A join is pushed when its rows are fewer than this part of the rows of both sides.
const LARGEST_JOIN: f64 = 1.25;

/// Groups are built at the source when there are fewer of them than this part of the rows.
const LARGEST_GROUPING: f64 = 0.7;

/// Moves as much of an optimized plan to the sources as is right and, under
/// [`PushdownMode::Auto`], as pays off.
///
/// `behind` gives the source's own table, and the policy over it.
pub fn fold(plan: LogicalPlan, mode: PushdownMode, behind: BehindPolicy) -> Result<LogicalPlan> {
    if mode == PushdownMode::Off {
        return Ok(plan);
    }
    Folding { mode, behind, names: 0, scans: 0 }.plan(plan)
}

/// See [`fold`]. `None`: nothing is known of what is behind.
pub type BehindPolicy = fn(&dyn TableProvider) -> Result<Option<Behind<'_>>>;

/// A source's table behind the one that somebody sees of it, whose columns have the same names.
#[derive(Debug)]
pub struct Behind<'a> {
    pub table: &'a Arc<dyn TableProvider>,
    /// Every row and every value of the columns that are seen is visible.
    pub is_whole: bool,
    /// Rows for which this is not true do not exist.
    pub row_filter: Option<Expr>,
    /// Visible columns that show something else than their values.
    pub masked: Vec<&'a str>,
}

struct Folding {
    mode: PushdownMode,
    behind: BehindPolicy,
    /// Column names given away: unique in the whole plan.
    names: usize,
    scans: usize,
}

/// What has become of a node.
enum Folded {
    Fragment(Box<Fragment>),
    Local(LogicalPlan),
}

/// A statement under construction. Its columns are chosen at the end.
#[derive(Clone)]
struct Fragment {
    remote: Arc<dyn RemoteSql>,
    relations: Vec<Arc<str>>,
    query: Query,
    /// One for each field of `schema`, in terms of the query's FROM.
    values: Vec<RemoteValue>,
    schema: DFSchemaRef,
    /// The table, while the query's FROM is one.
    table: Option<Arc<TableDefinition>>,
    /// Columns of a single table that are unique together, by their names there; none above a join.
    keys: Vec<Vec<String>>,
    /// Room for constants that is left, so that no statement grows beyond what its source reads.
    room: usize,
}

impl Inputs for Fragment {
    fn value(&self, column: &Column) -> Result<RemoteValue, Refusal> {
        let index = self.schema.maybe_index_of_column(column);
        let value = index.and_then(|index| self.values.get(index));
        value.cloned().ok_or_else(|| Refusal::new("a column comes from elsewhere"))
    }
}

impl Fragment {
    fn capabilities(&self) -> Capabilities {
        self.remote.capabilities()
    }

    fn is_limited(&self) -> bool {
        let Query { order_by, limit, offset, .. } = &self.query;
        !order_by.is_empty() || limit.is_some() || offset.is_some()
    }

    fn is_plain(&self) -> bool {
        self.query.group_by.is_none() && !self.is_limited()
    }

    /// Adds a predicate; `None`: the dialect can't write it, or it is too long, and nothing is changed.
    fn filter(&mut self, predicate: Scalar) -> Option<()> {
        let bytes = sql::rendered_bytes(self.remote.dialect(), &predicate)?;
        self.room = self.room.checked_sub(bytes)?;
        self.query.and(predicate);
        Some(())
    }
}

impl Folding {
    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let folded = self.node(&plan)?;
        self.ended(folded, &plan, Vec::new())
    }

    fn node(&mut self, plan: &LogicalPlan) -> Result<Folded> {
        match plan {
            LogicalPlan::TableScan(scan) => self.table_scan(scan, plan),
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, schema, .. }) => {
                match self.node(input)? {
                    Folded::Fragment(mut fragment) => {
                        fragment.schema = Arc::clone(schema);
                        Ok(Folded::Fragment(fragment))
                    }
                    Folded::Local(input) => self.with_inputs(plan, vec![input]),
                }
            }
            LogicalPlan::Projection(projection) => {
                self.unary(plan, &projection.input, |_, fragment| {
                    project(fragment, projection).map(Grown::Whole)
                })
            }
            LogicalPlan::Filter(filter) => self
                .unary(plan, &filter.input, |folding, fragment| folding.filter(fragment, filter)),
            LogicalPlan::Aggregate(aggregate) => {
                self.unary(plan, &aggregate.input, |folding, fragment| {
                    folding.aggregate(fragment, aggregate, plan).map(Grown::Whole)
                })
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                self.unary(plan, input, |folding, fragment| {
                    folding.distinct(fragment, plan).map(Grown::Whole)
                })
            }
            LogicalPlan::Sort(sort) => {
                self.unary(plan, &sort.input, |folding, fragment| folding.top(fragment, sort))
            }
            LogicalPlan::Limit(limit) => self.unary(plan, &limit.input, |folding, fragment| {
                folding.limit(fragment, limit).map(Grown::Whole)
            }),
            LogicalPlan::Join(join) => self.join_node(join, plan),
            LogicalPlan::Union(union) => self.union_node(union, plan),
            other => self.local(other),
        }
    }

    /// A node of one input: folded whole, in part, or left here with the reason.
    fn unary(
        &mut self,
        plan: &LogicalPlan,
        input: &LogicalPlan,
        grow: impl FnOnce(&mut Self, Fragment) -> Result<Grown, Refusal>,
    ) -> Result<Folded> {
        let fragment = match self.node(input)? {
            Folded::Fragment(fragment) => *fragment,
            Folded::Local(input) => return self.with_inputs(plan, vec![input]),
        };
        let refusal = match grow(self, fragment.clone()) {
            Ok(Grown::Whole(mut fragment)) => {
                fragment.schema = Arc::clone(plan.schema());
                return Ok(Folded::Fragment(Box::new(fragment)));
            }
            Ok(Grown::Part { fragment, over, notes }) => {
                let estimates = estimate::statistics(plan);
                match self.scan(fragment, estimates, notes)? {
                    Some(input) => return over(input).map(Folded::Local),
                    None => Refusal::new("the statement would be too long"),
                }
            }
            Err(refusal) => refusal,
        };
        let note = format!("{}: {refusal}", name(plan));
        let input = self.scan_of(fragment, input, vec![note])?;
        self.with_inputs(plan, vec![input])
    }

    /// A node that runs here, over inputs that are folded each by itself.
    fn local(&mut self, plan: &LogicalPlan) -> Result<Folded> {
        let reason = format!("{} runs here", name(plan));
        let mut inputs = Vec::new();
        for input in plan.inputs() {
            let folded = self.node(input)?;
            inputs.push(self.ended(folded, input, vec![reason.clone()])?);
        }
        self.with_inputs(plan, inputs)
    }

    fn with_inputs(&mut self, plan: &LogicalPlan, inputs: Vec<LogicalPlan>) -> Result<Folded> {
        let mut inputs = inputs.into_iter();
        let plan = plan
            .clone()
            .map_children(|old| Ok(Transformed::yes(inputs.next().unwrap_or(old))))?
            .data
            .map_subqueries(|subquery| self.plan(subquery).map(Transformed::yes))?
            .data;
        Ok(Folded::Local(plan))
    }

    /// What a node has become, as a plan: a fragment does not grow beyond it.
    fn ended(
        &mut self,
        folded: Folded,
        plan: &LogicalPlan,
        notes: Vec<String>,
    ) -> Result<LogicalPlan> {
        match folded {
            Folded::Fragment(fragment) => self.scan_of(*fragment, plan, notes),
            Folded::Local(plan) => Ok(plan),
        }
    }

    /// Ends a fragment: the source's answer in the place of the node that it stands for. Where no
    /// statement can be written, the node itself stays.
    fn scan_of(
        &mut self,
        fragment: Fragment,
        plan: &LogicalPlan,
        notes: Vec<String>,
    ) -> Result<LogicalPlan> {
        let scan = self.scan(fragment, estimate::statistics(plan), notes)?;
        Ok(scan.unwrap_or_else(|| plan.clone()))
    }

    /// The source's answer, under the names of the fragment's schema.
    fn scan(
        &mut self,
        mut fragment: Fragment,
        mut estimates: Statistics,
        notes: Vec<String>,
    ) -> Result<Option<LogicalPlan>> {
        let fields = fragment.schema.fields();
        let mut seen = HashSet::new();
        let mut columns = Vec::with_capacity(fields.len());
        for (index, (field, value)) in fields.iter().zip(&fragment.values).enumerate() {
            let mut unique = field.name().clone();
            if !seen.insert(unique.clone()) {
                unique = format!("{unique}:{index}");
                seen.insert(unique.clone());
            }
            columns.push(Field::clone(field).with_name(unique));
            let value = value.read();
            let name = match &value {
                Scalar::Column(name) => name.clone(),
                _ => self.unused_name(&fragment.query),
            };
            fragment.query.columns.push(Output { value, name });
        }
        fragment.relations.dedup();
        estimates.column_statistics.resize_with(columns.len(), Default::default);
        let schema = Arc::new(Schema::new(columns));
        let table = FragmentTable::new(
            fragment.remote,
            fragment.relations.join(", ").into(),
            fragment.query,
            Arc::clone(&schema),
            estimates,
            notes,
        );
        let Some(table) = table else { return Ok(None) };
        let table = table.with_values(fragment.values).with_table(fragment.table);
        self.scans += 1;
        let name = TableReference::bare(format!("fragment {}", self.scans));
        let scan =
            TableScanBuilder::new(name.clone(), provider_as_source(Arc::new(table))).build()?;
        let named = schema.fields().iter().zip(fragment.schema.iter());
        let named = named.map(|(column, (qualifier, field))| {
            let column = Expr::Column(Column::new(Some(name.clone()), column.name()));
            column.alias_qualified(qualifier.cloned(), field.name())
        });
        let projection = Projection::try_new_with_schema(
            named.collect(),
            Arc::new(LogicalPlan::TableScan(scan)),
            Arc::clone(&fragment.schema),
        )?;
        Ok(Some(LogicalPlan::Projection(projection)))
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    /// A name for a column of the answer. ORDER BY takes such names before those of FROM.
    fn unused_name(&mut self, query: &Query) -> String {
        loop {
            let name = self.new_name();
            let is_key = |key: &OrderBy| matches!(&key.value, Scalar::Column(key) if *key == name);
            if !query.order_by.iter().any(is_key) {
                return name;
            }
        }
    }

    fn table_scan(&mut self, scan: &TableScan, plan: &LogicalPlan) -> Result<Folded> {
        match scan_fragment(scan, self.behind)? {
            Some(fragment) => Ok(Folded::Fragment(Box::new(fragment))),
            None => Ok(Folded::Local(plan.clone())),
        }
    }

    /// Encloses what there is in a level of its own, whose columns have unique names.
    fn enclose(&mut self, mut fragment: Fragment) -> Fragment {
        for value in &mut fragment.values {
            let name = self.new_name();
            let named = value.named(&name);
            let bare = std::mem::replace(value, named).bare;
            fragment.query.columns.push(Output { value: bare, name });
        }
        fragment.query = Query::all_of(From::Level(Box::new(fragment.query)));
        fragment.table = None;
        fragment.keys.clear();
        fragment
    }

    /// One side of a join. A join without conditions of its own is taken as it is; else a level
    /// encloses it. So it does where a computed value must be NULL for rows without a partner.
    fn side(&mut self, fragment: &Fragment, join: &Join, is_left: bool) -> Fragment {
        let fragment = fragment.clone();
        let is_filled = match join.join_type {
            JoinType::Left => !is_left,
            JoinType::Right => is_left,
            JoinType::LeftSemi | JoinType::LeftAnti => !is_left,
            JoinType::RightSemi | JoinType::RightAnti => is_left,
            _ => false,
        };
        let is_join = matches!(fragment.query.from, From::Join { .. });
        let is_bare = fragment.is_plain() && fragment.query.filter.is_none();
        if is_join && is_bare && !is_filled { fragment } else { self.enclose(fragment) }
    }

    fn filter(&mut self, mut fragment: Fragment, filter: &Filter) -> Result<Grown, Refusal> {
        if !fragment.capabilities().filter {
            return Err(Refusal::new("the source takes no filters"));
        }
        if !fragment.is_plain() {
            fragment = self.enclose(fragment);
        }
        let (mut residue, mut notes, mut is_changed) = (Vec::new(), Vec::new(), false);
        for part in split_conjunction(&filter.predicate) {
            let refusal = match push(part, &fragment) {
                Ok(pushed) => match fragment.filter(pushed.predicate) {
                    Some(()) => {
                        is_changed = true;
                        match pushed.precision {
                            Precision::Exact => continue,
                            Precision::Inexact => Refusal::SUPERSET,
                        }
                    }
                    None => Refusal::new("the statement would be too long"),
                },
                Err(refusal) => refusal,
            };
            notes.push(format!("Filter: {refusal}"));
            residue.push(part.clone());
        }
        let Some(predicate) = conjunction(residue) else { return Ok(Grown::Whole(fragment)) };
        if !is_changed {
            return Err(Refusal::new(notes.join("; ").replacen("Filter: ", "", 1)));
        }
        let over = Box::new(move |input: LogicalPlan| {
            Filter::try_new(predicate, Arc::new(input)).map(LogicalPlan::Filter)
        });
        Ok(Grown::Part { fragment, over, notes })
    }

    /// The rows that come first are sorted out at the source; their order is restored here.
    fn top(&mut self, mut fragment: Fragment, sort: &Sort) -> Result<Grown, Refusal> {
        let Some(fetch) = sort.fetch else {
            return Err(Refusal::new("all rows are needed, and sorting them is quicker here"));
        };
        if !(fragment.capabilities().sort && fragment.capabilities().limit) {
            return Err(Refusal::new("the source does not sort"));
        }
        if fragment.is_limited() {
            fragment = self.enclose(fragment);
        }
        let keys = sort.expr.iter().map(|key| {
            Ok(OrderBy {
                value: push_value(&key.expr, &fragment)?.orderable()?,
                is_descending: !key.asc,
                nulls_first: key.nulls_first,
            })
        });
        fragment.query.order_by = keys.collect::<Result<_, Refusal>>()?;
        fragment.query.limit = Some(fetch as u64);
        let sort = sort.clone();
        let over = Box::new(move |input: LogicalPlan| {
            Ok(LogicalPlan::Sort(Sort { input: Arc::new(input), ..sort }))
        });
        Ok(Grown::Part { fragment, over, notes: Vec::new() })
    }

    fn limit(&mut self, mut fragment: Fragment, limit: &Limit) -> Result<Fragment, Refusal> {
        if !fragment.capabilities().limit {
            return Err(Refusal::new("the source takes no limit"));
        }
        let unknown = || Refusal::new("the number of rows is no constant");
        let skip = match limit.get_skip_type() {
            Ok(SkipType::Literal(skip)) => skip as u64,
            _ => return Err(unknown()),
        };
        let fetch = match limit.get_fetch_type() {
            Ok(FetchType::Literal(Some(fetch))) => fetch as u64,
            _ => return Err(unknown()),
        };
        let is_narrower = fragment.query.offset.is_none() && skip == 0;
        if fragment.is_limited() && !is_narrower {
            fragment = self.enclose(fragment);
        }
        let own = fragment.query.limit.map_or(fetch, |own| own.min(fetch));
        fragment.query.limit = Some(own);
        fragment.query.offset = (skip > 0).then_some(skip);
        Ok(fragment)
    }

    fn distinct(
        &mut self,
        mut fragment: Fragment,
        plan: &LogicalPlan,
    ) -> Result<Fragment, Refusal> {
        self.check_grouping(&fragment, plan)?;
        if !fragment.is_plain() {
            fragment = self.enclose(fragment);
        }
        let keys = fragment.values.iter().map(grouped).collect::<Result<Vec<_>, _>>()?;
        fragment.query.group_by = Some(keys.iter().map(|key| key.bare.clone()).collect());
        fragment.values = keys;
        fragment.keys.clear();
        Ok(fragment)
    }

    fn aggregate(
        &mut self,
        mut fragment: Fragment,
        aggregate: &Aggregate,
        plan: &LogicalPlan,
    ) -> Result<Fragment, Refusal> {
        self.check_grouping(&fragment, plan)?;
        if !fragment.is_plain() {
            fragment = self.enclose(fragment);
        }
        let mut values = Vec::with_capacity(plan.schema().fields().len());
        for key in &aggregate.group_expr {
            values.push(grouped(&push_value(key, &fragment)?)?);
        }
        let keys = values.iter().map(|key| key.bare.clone()).collect();
        for expr in &aggregate.aggr_expr {
            values.push(aggregate_of(aggregate_function(expr)?, &fragment)?);
        }
        fragment.query.group_by = Some(keys);
        fragment.values = values;
        fragment.keys.clear();
        Ok(fragment)
    }

    fn check_grouping(&self, fragment: &Fragment, plan: &LogicalPlan) -> Result<(), Refusal> {
        if !fragment.capabilities().aggregate {
            return Err(Refusal::new("the source does not group"));
        }
        if self.mode == PushdownMode::Always {
            return Ok(());
        }
        let [input] = plan.inputs()[..] else { return Ok(()) };
        match (estimate::rows(plan), estimate::rows(input)) {
            (Some(groups), Some(rows)) if groups > 100.0 && groups > rows * LARGEST_GROUPING => {
                Err(Refusal::new("there are nearly as many groups as rows"))
            }
            _ => Ok(()),
        }
    }

    fn join_node(&mut self, join: &Join, plan: &LogicalPlan) -> Result<Folded> {
        let (left, right) = (self.node(&join.left)?, self.node(&join.right)?);
        let refusal = match (&left, &right) {
            (Folded::Fragment(left), Folded::Fragment(right)) => {
                match self.join(left, right, join, plan) {
                    Ok(fragment) => return Ok(Folded::Fragment(Box::new(fragment))),
                    Err(refusal) => refusal,
                }
            }
            _ => Refusal::new("its other side is elsewhere"),
        };
        let note = format!("{} Join: {refusal}", join.join_type);
        let left = self.ended(left, &join.left, vec![note.clone()])?;
        let inputs = vec![left, self.ended(right, &join.right, vec![note])?];
        self.with_inputs(plan, inputs)
    }

    fn join(
        &mut self,
        left: &Fragment,
        right: &Fragment,
        join: &Join,
        plan: &LogicalPlan,
    ) -> Result<Fragment, Refusal> {
        if left.remote.catalog() != right.remote.catalog() {
            return Err(Refusal::new("its other side is elsewhere"));
        }
        if !left.capabilities().join {
            return Err(Refusal::new("the source does not join"));
        }
        if join.null_aware || join.null_equality != NullEquality::NullEqualsNothing {
            return Err(Refusal::new("NULLs meet otherwise than in a plain join"));
        }
        if join.on.is_empty() {
            return Err(Refusal::new("no equality ties its sides"));
        }
        self.check_join(left, right, join, plan)?;
        let (left, right) = (self.side(left, join, true), self.side(right, join, false));
        let mut conditions = Vec::with_capacity(join.on.len() + 1);
        for (on_left, on_right) in &join.on {
            let (a, b) = (push_value(on_left, &left)?, push_value(on_right, &right)?);
            let (a, b) = a.comparable(&b, Comparison::Equal)?;
            let (left, right) = (Box::new(a), Box::new(b));
            conditions.push(Scalar::Compare { comparison: Comparison::Equal, left, right });
        }
        if let Some(filter) = &join.filter {
            let pushed = push(filter, &Both(&left, &right))?;
            if pushed.precision != Precision::Exact {
                return Err(Refusal::SUPERSET);
            }
            conditions.push(pushed.predicate);
        }
        let on = match conditions.len() {
            1 => conditions.remove(0),
            _ => Scalar::And(conditions),
        };
        let schema = Arc::clone(plan.schema());
        Ok(match join.join_type {
            JoinType::Inner => joined(JoinKind::Inner, left, right, on, schema, false),
            JoinType::Left => joined(JoinKind::Left, left, right, on, schema, false),
            JoinType::Right => joined(JoinKind::Left, right, left, on, schema, true),
            JoinType::LeftSemi => matched(left, right, on, schema, true),
            JoinType::LeftAnti => matched(left, right, on, schema, false),
            JoinType::RightSemi => matched(right, left, on, schema, true),
            JoinType::RightAnti => matched(right, left, on, schema, false),
            JoinType::Full | JoinType::LeftMark | JoinType::RightMark => {
                return Err(Refusal::new("joins of this kind run here"));
            }
        })
    }

    fn check_join(
        &self,
        left: &Fragment,
        right: &Fragment,
        join: &Join,
        plan: &LogicalPlan,
    ) -> Result<(), Refusal> {
        if self.mode == PushdownMode::Always {
            return Ok(());
        }
        let (inputs, output) =
            (estimate::rows(&join.left).zip(estimate::rows(&join.right)), estimate::rows(plan));
        match (inputs, output) {
            (Some((left, right)), Some(output)) => {
                if output < LARGEST_JOIN * (left + right) {
                    Ok(())
                } else {
                    Err(Refusal::new("it gives more rows than its sides together"))
                }
            }
            _ => {
                let (on_left, on_right): (Vec<_>, Vec<_>) =
                    join.on.iter().map(|(left, right)| (left, right)).unzip();
                if has_key(left, &on_left) || has_key(right, &on_right) {
                    Ok(())
                } else {
                    Err(Refusal::new("nothing is known of its size: no statistics and no key"))
                }
            }
        }
    }

    fn union_node(&mut self, union: &Union, plan: &LogicalPlan) -> Result<Folded> {
        let parts =
            union.inputs.iter().map(|input| self.node(input)).collect::<Result<Vec<_>>>()?;
        let fragments: Option<Vec<&Fragment>> = parts
            .iter()
            .map(|part| match part {
                Folded::Fragment(fragment) => Some(fragment.as_ref()),
                Folded::Local(_) => None,
            })
            .collect();
        let refusal = match fragments {
            Some(fragments) => match self.union(&fragments, union) {
                Ok(fragment) => return Ok(Folded::Fragment(Box::new(fragment))),
                Err(refusal) => refusal,
            },
            None => Refusal::new("a part is elsewhere"),
        };
        let note = format!("Union: {refusal}");
        let inputs = parts.into_iter().zip(&union.inputs);
        let inputs = inputs.map(|(part, input)| self.ended(part, input, vec![note.clone()]));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        self.with_inputs(plan, inputs)
    }

    fn union(&mut self, parts: &[&Fragment], union: &Union) -> Result<Fragment, Refusal> {
        let Some((first, others)) = parts.split_first() else {
            return Err(Refusal::new("it has no parts"));
        };
        for other in others {
            if other.remote.catalog() != first.remote.catalog() {
                return Err(Refusal::new("a part is elsewhere"));
            }
            // The source gives a column of several types a common one, not always as here.
            let is_alike = |(a, b): (&RemoteValue, &RemoteValue)| {
                let same_kind = match (a.compare, b.compare) {
                    (Compare::Text(_), Compare::Text(_)) => true,
                    (Compare::PaddedText(_), Compare::PaddedText(_)) => true,
                    (a, b) => a == b && a != Compare::Never && a != Compare::Label,
                };
                same_kind && a.data_type == b.data_type && a.form.is_none() && b.form.is_none()
            };
            if !first.values.iter().zip(&other.values).all(is_alike) {
                return Err(Refusal::new(
                    "its parts have columns of different types at the source",
                ));
            }
        }
        if !first.capabilities().join {
            return Err(Refusal::new("the source joins no answers"));
        }
        let is_typed =
            |(value, field): (&RemoteValue, &Arc<Field>)| value.data_type == *field.data_type();
        if !first.values.iter().zip(union.schema.fields()).all(is_typed) {
            return Err(Refusal::new("its parts have columns of different types here"));
        }
        let mut room = first.room;
        let mut relations = Vec::new();
        let mut queries = Vec::with_capacity(parts.len());
        let names: Vec<String> = first.values.iter().map(|_| self.new_name()).collect();
        for part in parts {
            let mut query = part.query.clone();
            let outputs = part.values.iter().zip(&names);
            let outputs = outputs
                .map(|(value, name)| Output { value: value.bare.clone(), name: name.clone() });
            query.columns = outputs.collect();
            queries.push(query);
            relations.extend(part.relations.iter().cloned());
            room = room.min(part.room);
        }
        // Collations of several parts have no order in common.
        let none = Collation { is_deterministic: false, is_bytewise: false };
        let values = first.values.iter().zip(&names).map(|(value, name)| RemoteValue {
            compare: value.compare.collated(none),
            magnitude: None,
            ..value.named(name)
        });
        Ok(Fragment {
            remote: Arc::clone(&first.remote),
            relations,
            values: values.collect(),
            query: Query::all_of(From::UnionAll(queries)),
            schema: Arc::clone(&union.schema),
            table: None,
            keys: Vec::new(),
            room: room / parts.len().max(1),
        })
    }
}

/// How much of a node its fragment has taken in.
enum Grown {
    Whole(Fragment),
    /// Rows that the node would drop; the node, or what is left of it, goes over the scan.
    Part {
        fragment: Fragment,
        over: Box<dyn FnOnce(LogicalPlan) -> Result<LogicalPlan>>,
        notes: Vec<String>,
    },
}

/// The columns of both sides of a join.
struct Both<'a>(&'a Fragment, &'a Fragment);

impl Inputs for Both<'_> {
    fn value(&self, column: &Column) -> Result<RemoteValue, Refusal> {
        self.0.value(column).or_else(|_| self.1.value(column))
    }
}

/// The scan as a statement; `None`: not a table of an SQL source that may be asked for more.
fn scan_fragment(scan: &TableScan, behind: BehindPolicy) -> Result<Option<Fragment>> {
    let provider = source_as_provider(&scan.source)?;
    let Some(behind) = behind(provider.as_ref())? else { return Ok(None) };
    let Some(table) = behind.table.downcast_ref::<RemoteTable>() else { return Ok(None) };
    let inputs = table.inputs();
    let column = |name: &str| inputs.value(&Column::from_name(name)).ok();
    let fields = scan.projected_schema.fields();
    let is_masked = |name: &str| behind.masked.contains(&name);
    if fields.iter().any(|field| is_masked(field.name())) {
        return Ok(None);
    }
    let Some(values) = fields.iter().map(|field| column(field.name())).collect() else {
        return Ok(None);
    };
    let definition = table.definition();
    let keys = definition.keys.iter().map(|key| {
        let names = key.columns.iter().map(|index| {
            let name = definition.columns.field(*index).name();
            match column(name)?.bare {
                Scalar::Column(name) => Some(name),
                _ => None,
            }
        });
        names.collect::<Option<Vec<_>>>()
    });
    let mut fragment = Fragment {
        remote: Arc::clone(table.remote()),
        relations: vec![Arc::clone(table.relation())],
        query: Query::all_of(From::Table(table.name())),
        values,
        schema: Arc::clone(&scan.projected_schema),
        // How many pages there are tells of rows that are not shown.
        table: behind.is_whole.then(|| Arc::clone(definition)),
        keys: keys.flatten().collect(),
        // The other half is for names.
        room: table.remote().dialect().limits().statement_bytes / 2,
    };
    if !behind.is_whole && !scan.filters.is_empty() {
        return Ok(None);
    }
    let policy = match &behind.row_filter {
        None => Some(Vec::new()),
        Some(filter) => conditions(table, filter),
    };
    let asked = scan.filters.iter().map(|filter| exactly(filter, &inputs));
    let asked: Option<Vec<Scalar>> = asked.collect();
    // Where there are none, the table's own scan looks again at the rows that come.
    let (Some(policy), Some(asked)) = (policy, asked) else { return Ok(None) };
    for condition in policy.into_iter().chain(asked) {
        if fragment.filter(condition).is_none() {
            return Ok(None);
        }
    }
    if behind.is_whole && fragment.capabilities().limit {
        fragment.query.limit = scan.fetch.map(|fetch| fetch as u64);
    }
    Ok(Some(fragment))
}

/// A policy's row filter as conditions on the innermost level of a statement; `None`: the source would
/// not evaluate it exactly.
pub fn conditions(table: &RemoteTable, row_filter: &Expr) -> Option<Vec<Scalar>> {
    required(row_filter).into_iter().map(|filter| exactly(filter, &table.inputs())).collect()
}

fn exactly(filter: &Expr, inputs: &impl Inputs) -> Option<Scalar> {
    push(filter, inputs).ok().filter(Pushed::is_exact).map(|pushed| pushed.predicate)
}

/// The conditions that hold where a row filter is true.
fn required(filter: &Expr) -> Vec<&Expr> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            [required(left), required(right)].concat()
        }
        Expr::IsTrue(inner) => required(inner),
        Expr::Literal(ScalarValue::Boolean(Some(true)), _) => Vec::new(),
        condition => vec![condition],
    }
}

fn project(mut fragment: Fragment, projection: &Projection) -> Result<Fragment, Refusal> {
    let values = projection.expr.iter().map(|expr| push_value(expr, &fragment));
    fragment.values = values.collect::<Result<_, _>>()?;
    Ok(fragment)
}

/// A value as a key of GROUP BY, and as what is selected of it.
fn grouped(value: &RemoteValue) -> Result<RemoteValue, Refusal> {
    let bare = value.equatable()?;
    // A constant in GROUP BY would be taken for the number of a column.
    if matches!(bare, Scalar::Literal(_)) {
        return Err(Refusal::new("it groups by a constant"));
    }
    let compare = match &bare {
        Scalar::Bytewise(_) => value.compare.collated(BYTEWISE),
        _ => value.compare,
    };
    Ok(RemoteValue { bare, compare, ..value.clone() })
}

const BYTEWISE: Collation = Collation { is_deterministic: true, is_bytewise: true };

fn aggregate_function(expr: &Expr) -> Result<&AggregateFunction, Refusal> {
    match expr {
        Expr::Alias(alias) => aggregate_function(&alias.expr),
        Expr::AggregateFunction(function) => Ok(function),
        _ => Err(Refusal::new("an aggregate is not a plain one")),
    }
}

/// The operand and the condition of an aggregate, if it has nothing else.
fn operands<'a>(
    function: &'a AggregateFunction,
    fragment: &Fragment,
) -> Result<(&'a [Expr], Option<Box<Scalar>>), Refusal> {
    let AggregateFunctionParams { args, filter, order_by, null_treatment, .. } = &function.params;
    if !order_by.is_empty() || null_treatment.is_some() {
        return Err(Refusal::new("an aggregate has an order"));
    }
    let Some(filter) = filter else { return Ok((args, None)) };
    let pushed = push(filter, fragment)?;
    if pushed.precision != Precision::Exact {
        return Err(Refusal::new("the source may count more rows than asked for"));
    }
    Ok((args, Some(Box::new(pushed.predicate))))
}

fn aggregate_of(function: &AggregateFunction, fragment: &Fragment) -> Result<RemoteValue, Refusal> {
    let (args, filter) = operands(function, fragment)?;
    let is_distinct = function.params.distinct;
    let name = function.func.name();
    let aggregate = |function, operand: Option<Scalar>| Scalar::Aggregate {
        function,
        operand: operand.map(Box::new),
        is_distinct,
        filter: filter.clone(),
    };
    let [arg] = args else {
        return Err(Refusal::new(format!("aggregate {name} may differ at the source")));
    };
    match name {
        "count" => {
            // count(*) counts a constant.
            let operand = match arg {
                Expr::Literal(value, _) if !value.is_null() && !is_distinct => None,
                arg => {
                    let value = push_value(arg, fragment)?;
                    if !value.has_null_test {
                        return Err(Refusal::new("NULL means something else for this type"));
                    }
                    Some(if is_distinct { value.equatable()? } else { value.bare })
                }
            };
            let count = aggregate(sql::Aggregate::Count, operand);
            Ok(RemoteValue::native(count, DataType::Int64))
        }
        "sum" => {
            let value = push_value(arg, fragment)?;
            sum_of(&value, |operand| aggregate(sql::Aggregate::Sum, Some(operand)))
        }
        "min" | "max" => {
            let value = push_value(arg, fragment)?;
            if value.data_type == DataType::Boolean || value.compare == Compare::Uuid {
                return Err(Refusal::new(format!("{name} of this type is not known everywhere")));
            }
            let operand = value.orderable()?;
            let compare = value.compare.collated(BYTEWISE);
            let function = if name == "min" { sql::Aggregate::Min } else { sql::Aggregate::Max };
            let bare = aggregate(function, Some(operand));
            Ok(RemoteValue { bare, compare, ..value })
        }
        other => Err(Refusal::new(format!("aggregate {other} may differ at the source"))),
    }
}

/// A sum that fails where it is too large for the type that the engine gives it.
fn sum_of(
    value: &RemoteValue,
    aggregate: impl Fn(Scalar) -> Scalar,
) -> Result<RemoteValue, Refusal> {
    if value.compare != Compare::Native {
        return Err(Refusal::new("a sum of this type may differ at the source"));
    }
    let sum = aggregate(value.bare.clone());
    match &value.data_type {
        DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let sum = Scalar::Cast { operand: Box::new(sum), to: sql::CastType::Integer(64) };
            Ok(RemoteValue::native(sum, DataType::Int64))
        }
        DataType::Decimal128(precision, scale) => {
            let data_type = DataType::Decimal128((precision + 10).min(38), *scale);
            Ok(RemoteValue::native(sum, data_type))
        }
        DataType::Decimal256(precision, scale) => {
            let data_type = DataType::Decimal256((precision + 10).min(76), *scale);
            Ok(RemoteValue::native(sum, data_type))
        }
        other => Err(Refusal::new(format!("a sum of {other} may differ at the source"))),
    }
}

fn joined(
    kind: JoinKind,
    left: Fragment,
    right: Fragment,
    on: Scalar,
    schema: DFSchemaRef,
    is_swapped: bool,
) -> Fragment {
    let room = left.room.min(right.room) / 2;
    let (mut relations, mut values) = (left.relations, left.values);
    relations.extend(right.relations);
    if is_swapped {
        values.splice(0..0, right.values);
    } else {
        values.extend(right.values);
    }
    let from =
        From::Join { kind, left: Box::new(left.query.from), right: Box::new(right.query.from), on };
    let query = Query::all_of(from);
    let (table, keys) = (None, Vec::new());
    Fragment { remote: left.remote, relations, query, values, schema, table, keys, room }
}

/// The rows of `kept` that have a partner, or those that have none.
fn matched(
    mut kept: Fragment,
    other: Fragment,
    on: Scalar,
    schema: DFSchemaRef,
    has_partner: bool,
) -> Fragment {
    let mut partners = other.query;
    partners.and(on);
    let exists = Scalar::Exists(Box::new(partners));
    kept.query.and(if has_partner { exists } else { Scalar::Not(Box::new(exists)) });
    kept.relations.extend(other.relations);
    let room = kept.room.min(other.room) / 2;
    Fragment { schema, room, ..kept }
}

/// Whether the columns of a join hold a key of the table.
fn has_key(fragment: &Fragment, on: &[&Expr]) -> bool {
    let names: HashSet<String> = on
        .iter()
        .filter_map(|expr| match push_value(expr, fragment).ok()?.bare {
            Scalar::Column(name) => Some(name),
            _ => None,
        })
        .collect();
    let is_whole = |key: &Vec<String>| key.iter().all(|column| names.contains(column));
    fragment.is_plain() && fragment.keys.iter().any(is_whole)
}

/// A node's name in EXPLAIN.
fn name(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Projection(_) => "Projection",
        LogicalPlan::Filter(_) => "Filter",
        LogicalPlan::Window(_) => "Window",
        LogicalPlan::Aggregate(_) => "Aggregate",
        LogicalPlan::Sort(_) => "Sort",
        LogicalPlan::Join(_) => "Join",
        LogicalPlan::Union(_) => "Union",
        LogicalPlan::Distinct(_) => "Distinct",
        LogicalPlan::Limit(_) => "Limit",
        LogicalPlan::Unnest(_) => "Unnest",
        LogicalPlan::RecursiveQuery(_) => "Recursive Query",
        _ => "this step",
    }
}
