//! How many rows a plan gives, and how many different values a column has: estimates from the
//! statistics of tables, by the rules of thumb that PostgreSQL uses too.
//!
//! Invariant: an estimate chooses between plans that give the same answer, and never decides one.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{Column, DFSchema, Statistics, stats::Precision},
    datasource::source_as_provider,
    logical_expr::{
        Aggregate, BinaryExpr, Cast, Distinct, Expr, FetchType, Join, JoinType, LogicalPlan,
        Operator, SkipType, TableScan, TryCast,
        utils::{grouping_set_to_exprlist, iter_conjunction},
    },
    scalar::ScalarValue,
};

/// Different values of a column or expression of which nothing is known.
const DISTINCT: f64 = 200.0;
/// Rows that pass `<`, `>`, … against what is not known.
const INEQUALITY: f64 = 1.0 / 3.0;
/// Rows that pass a range with both ends, over what is not known.
const RANGE: f64 = 0.1;
/// Rows that pass LIKE or a regular expression.
const MATCH: f64 = 0.05;
/// Rows that are NULL where nothing is known.
const NULLS: f64 = 0.01;
/// Rows that pass a predicate of which nothing is known.
const ANYTHING: f64 = 0.5;
/// Of several columns that are grouped by, not all combinations occur: at most this part of the rows.
const GROUPS: f64 = 0.1;
/// An anti join keeps at least this part of its rows.
const UNMATCHED: f64 = 0.05;
/// No estimate exceeds this, so that products of estimates stay finite.
const MOST_ROWS: f64 = 1e60;

/// The rows that `plan` gives; `None` where the statistics of a table are missing.
pub fn rows(plan: &LogicalPlan) -> Option<f64> {
    Some(of(plan)?.rows)
}

/// The different values of an output column of `plan`; `None` where nothing tells.
pub fn distinct(plan: &LogicalPlan, column: &Column) -> Option<f64> {
    let index = plan.schema().maybe_index_of_column(column)?;
    of(plan)?.columns.get(index)?.distinct
}

/// The same as the statistics of a table that would give the plan's rows.
pub fn statistics(plan: &LogicalPlan) -> Statistics {
    fn inexact(count: f64) -> Precision<usize> {
        Precision::Inexact(count.ceil().min(1e15) as usize)
    }
    let mut statistics = Statistics::new_unknown(plan.schema().as_arrow());
    let Some(estimate) = of(plan) else { return statistics };
    statistics.num_rows = inexact(estimate.rows);
    for (column, estimate) in statistics.column_statistics.iter_mut().zip(&estimate.columns) {
        column.distinct_count = estimate.distinct.map_or(Precision::Absent, inexact);
    }
    statistics
}

/// What is expected of the output of a plan.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    pub(super) rows: f64,
    /// One for each field of the plan's schema.
    columns: Vec<ColumnEstimate>,
}

/// What is expected of one column or expression.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ColumnEstimate {
    /// Different values among the rows.
    distinct: Option<f64>,
    /// Different values that the column takes in its table, less those that filters on the column
    /// itself take away. Filters on other columns say nothing of which keys find a partner.
    domain: Option<f64>,
    /// The domain may hold fewer values than this: it is only known from its range.
    is_sparse: bool,
    range: Option<Range>,
    null_fraction: Option<f64>,
    table: Option<Table>,
}

/// The table that a column comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Table {
    id: usize,
    rows: f64,
}

/// The least and the greatest value, and the least distance of two values if the type has one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    low: f64,
    high: f64,
    step: Option<f64>,
}

/// See [`rows`].
pub(super) fn of(plan: &LogicalPlan) -> Option<Estimate> {
    let mut estimate = match plan {
        LogicalPlan::TableScan(scan) => of_scan(scan)?,
        LogicalPlan::Filter(filter) => {
            let input = of(&filter.input)?;
            // A source that takes a filter as a hint leaves it here as well.
            let applied: &[Expr] = match filter.input.as_ref() {
                LogicalPlan::TableScan(scan) => &scan.filters,
                _ => &[],
            };
            let open = iter_conjunction(&filter.predicate).filter(|part| !applied.contains(part));
            input.filtered(&open.collect::<Vec<_>>(), filter.input.schema())
        }
        LogicalPlan::Projection(projection) => {
            let input = of(&projection.input)?;
            let schema = projection.input.schema();
            let columns = projection.expr.iter().map(|e| input.of_expression(e, schema)).collect();
            Estimate { rows: input.rows, columns }
        }
        LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate)?,
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let estimate = of(input)?;
            let groups = estimate.groups(&estimate.columns);
            estimate.cut(groups)
        }
        LogicalPlan::Distinct(Distinct::On(on)) => {
            let input = of(&on.input)?;
            let schema = on.input.schema();
            let keys: Vec<_> = on.on_expr.iter().map(|e| input.of_expression(e, schema)).collect();
            let columns = on.select_expr.iter().map(|e| input.of_expression(e, schema)).collect();
            let groups = input.groups(&keys);
            Estimate { rows: input.rows, columns }.cut(groups)
        }
        LogicalPlan::Join(join) => of_join(join)?,
        LogicalPlan::Union(union) => {
            let inputs = union.inputs.iter().map(|input| of(input)).collect::<Option<Vec<_>>>()?;
            let rows = inputs.iter().map(|input| input.rows).sum();
            let columns = (0..plan.schema().fields().len())
                .map(|index| {
                    let parts = inputs.iter().map(|input| input.columns.get(index)?.distinct);
                    ColumnEstimate::known(parts.sum())
                })
                .collect();
            Estimate { rows, columns }
        }
        LogicalPlan::Limit(limit) => {
            let input = of(&limit.input)?;
            let skipped = match limit.get_skip_type() {
                Ok(SkipType::Literal(skip)) => skip as f64,
                _ => 0.0,
            };
            let left = (input.rows - skipped).max(0.0);
            match limit.get_fetch_type() {
                Ok(FetchType::Literal(Some(fetch))) => input.cut(left.min(fetch as f64)),
                _ => input.cut(left),
            }
        }
        LogicalPlan::Sort(sort) => {
            let input = of(&sort.input)?;
            let rows = sort.fetch.map_or(input.rows, |fetch| input.rows.min(fetch as f64));
            input.cut(rows)
        }
        LogicalPlan::Window(window) => of(&window.input)?,
        LogicalPlan::SubqueryAlias(alias) => of(&alias.input)?,
        LogicalPlan::Subquery(subquery) => of(&subquery.subquery)?,
        LogicalPlan::Repartition(repartition) => of(&repartition.input)?,
        LogicalPlan::Values(values) => Estimate::of_rows(values.values.len() as f64),
        LogicalPlan::EmptyRelation(empty) => {
            Estimate::of_rows(if empty.produce_one_row { 1.0 } else { 0.0 })
        }
        LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => return None,
    };
    estimate.rows = estimate.rows.min(MOST_ROWS);
    estimate.columns.resize(plan.schema().fields().len(), ColumnEstimate::default());
    Some(estimate)
}

fn of_scan(scan: &TableScan) -> Option<Estimate> {
    let provider = source_as_provider(&scan.source).ok()?;
    let statistics = provider.statistics()?;
    let rows = *statistics.num_rows.get_value()? as f64;
    let table = Table { id: Arc::as_ptr(&scan.source).cast::<()>() as usize, rows };
    let schema = scan.source.schema();
    let columns = (0..schema.fields().len())
        .map(|index| of_table_column(&statistics, index, schema.field(index).data_type(), table))
        .collect();
    let whole = Estimate { rows, columns };
    // Filters name columns that the scan need not give.
    let schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &schema).ok()?;
    let mut estimate = whole.filtered(&scan.filters.iter().collect::<Vec<_>>(), &schema);
    if let Some(projection) = &scan.projection {
        let column = |index: &usize| estimate.columns.get(*index).cloned().unwrap_or_default();
        estimate.columns = projection.iter().map(column).collect();
    }
    let rows = scan.fetch.map_or(estimate.rows, |fetch| estimate.rows.min(fetch as f64));
    Some(estimate.cut(rows))
}

fn of_table_column(
    statistics: &Statistics,
    index: usize,
    data_type: &DataType,
    table: Table,
) -> ColumnEstimate {
    let mut estimate = ColumnEstimate { table: Some(table), ..ColumnEstimate::default() };
    let Some(column) = statistics.column_statistics.get(index) else {
        return estimate;
    };
    let count = |precision: &Precision<usize>| precision.get_value().map(|count| *count as f64);
    let bound = |precision: &Precision<ScalarValue>| number(precision.get_value()?);
    if let (Some(low), Some(high)) = (bound(&column.min_value), bound(&column.max_value)) {
        estimate.range = Some(Range { low, high, step: step(data_type) });
    }
    let by_range = || estimate.range?.values();
    let distinct = count(&column.distinct_count).or_else(by_range);
    estimate.is_sparse = count(&column.distinct_count).is_none()
        && distinct.is_some_and(|distinct| distinct > table.rows);
    estimate.distinct = distinct.map(|distinct| distinct.clamp(1.0, table.rows.max(1.0)));
    estimate.domain = estimate.distinct;
    estimate.null_fraction = count(&column.null_count).map(|nulls| nulls / table.rows.max(1.0));
    estimate
}

fn of_aggregate(aggregate: &Aggregate) -> Option<Estimate> {
    let input = of(&aggregate.input)?;
    let schema = aggregate.input.schema();
    if aggregate.group_expr.is_empty() {
        let columns = vec![ColumnEstimate::known(Some(1.0)); aggregate.aggr_expr.len()];
        return Some(Estimate { rows: 1.0, columns });
    }
    let sets = match aggregate.group_expr.first() {
        Some(Expr::GroupingSet(set)) => set.distinct_expr().len().max(1) as f64,
        _ => 1.0,
    };
    let keys = grouping_set_to_exprlist(&aggregate.group_expr).ok()?;
    let columns: Vec<_> = keys.iter().map(|key| input.of_expression(key, schema)).collect();
    let rows = (input.groups(&columns) * sets).min(input.rows.max(1.0));
    // Whatever is aggregated may be different in each group; columns beyond are filled up.
    let mut estimate = Estimate { rows: input.rows, columns }.cut(rows);
    for column in &mut estimate.columns {
        column.domain = column.distinct;
        column.table = None;
    }
    if sets == 1.0 {
        let of_aggregates = ColumnEstimate::known(Some(rows));
        estimate.columns.resize(aggregate.schema.fields().len(), of_aggregates);
    }
    Some(estimate)
}

fn of_join(join: &Join) -> Option<Estimate> {
    let (left, right) = (of(&join.left)?, of(&join.right)?);
    let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
    let keys = |swap: bool| {
        let pairs = join.on.iter().map(|(l, r)| {
            (left.of_expression(l, left_schema), right.of_expression(r, right_schema))
        });
        pairs.map(|(l, r)| if swap { (r, l) } else { (l, r) }).collect::<Vec<_>>()
    };
    let both = |left: &Estimate, right: &Estimate| {
        left.columns.iter().chain(&right.columns).cloned().collect::<Vec<_>>()
    };
    let pairs = left.rows * right.rows;
    let residual = |columns: Vec<ColumnEstimate>| match &join.filter {
        None => 1.0,
        Some(filter) => {
            DFSchema::clone(left_schema).join(right_schema).map_or(ANYTHING, |schema| {
                let joined = Estimate { rows: pairs, columns };
                joined.selectivity(&iter_conjunction(filter).collect::<Vec<_>>(), &schema)
            })
        }
    };
    let inner = || {
        let matching = matching_pairs(&keys(false), left.rows, right.rows);
        pairs * matching * residual(both(&left, &right))
    };
    let kept = |side: &Estimate, swap: bool| side.rows * semi(&keys(swap));
    let estimate = |rows: f64, columns: Vec<ColumnEstimate>| {
        Estimate { rows: pairs.max(rows), columns }.cut(rows)
    };
    Some(match join.join_type {
        JoinType::Inner => estimate(inner().max(pairs.min(1.0)), both(&left, &right)),
        JoinType::Left => estimate(inner().max(left.rows), both(&left, &right)),
        JoinType::Right => estimate(inner().max(right.rows), both(&left, &right)),
        JoinType::Full => estimate(inner().max(left.rows).max(right.rows), both(&left, &right)),
        JoinType::LeftSemi => {
            let rows = kept(&left, false);
            left.clone().cut(rows)
        }
        JoinType::RightSemi => {
            let rows = kept(&right, true);
            right.clone().cut(rows)
        }
        JoinType::LeftAnti => {
            let rows = left.rows * anti(&keys(false));
            left.clone().cut(rows)
        }
        JoinType::RightAnti => {
            let rows = right.rows * anti(&keys(true));
            right.clone().cut(rows)
        }
        JoinType::LeftMark => left,
        JoinType::RightMark => right,
    })
}

/// The part of all pairs of rows whose keys are equal.
pub(super) fn matching_pairs(
    keys: &[(ColumnEstimate, ColumnEstimate)],
    left: f64,
    right: f64,
) -> f64 {
    let key_values: f64 = keys
        .iter()
        .map(|(l, r)| match (l.domain, r.domain) {
            // The values of a foreign key are those of the key.
            (Some(one), Some(other)) if l.is_sparse || r.is_sparse => one.min(other),
            (Some(l), Some(r)) => l.max(r),
            (Some(one), None) | (None, Some(one)) => one,
            // Most joins are over a key of one side.
            (None, None) => table_rows(l, left).min(table_rows(r, right)),
        })
        .product();
    let most = if keys.len() > 1 {
        let sides =
            (combinations(keys.iter().map(|(l, _)| l)), combinations(keys.iter().map(|(_, r)| r)));
        sides.0.min(sides.1)
    } else {
        MOST_ROWS
    };
    1.0 / key_values.min(most).max(1.0)
}

fn table_rows(column: &ColumnEstimate, rows: f64) -> f64 {
    column.table.map_or(rows, |table| table.rows)
}

/// Columns of one table have at most as many combinations as it has rows.
fn combinations<'a>(columns: impl Iterator<Item = &'a ColumnEstimate>) -> f64 {
    let mut tables = columns.map(|column| column.table);
    match tables.next() {
        Some(Some(first)) if tables.all(|table| table.is_some_and(|t| t.id == first.id)) => {
            first.rows
        }
        _ => MOST_ROWS,
    }
}

/// The part of the rows of the first side that find a partner.
pub(super) fn semi(keys: &[(ColumnEstimate, ColumnEstimate)]) -> f64 {
    let parts = keys.iter().map(|(kept, other)| match (kept.domain, other.distinct) {
        (Some(domain), Some(distinct)) => (distinct / domain.max(1.0)).min(1.0),
        _ => ANYTHING,
    });
    parts.product()
}

/// The part of the rows of the first side that find none.
pub(super) fn anti(keys: &[(ColumnEstimate, ColumnEstimate)]) -> f64 {
    (1.0 - semi(keys)).max(UNMATCHED)
}

impl ColumnEstimate {
    fn known(distinct: Option<f64>) -> Self {
        Self { distinct, domain: distinct, ..Self::default() }
    }

    fn values(&self) -> f64 {
        self.domain.unwrap_or(DISTINCT)
    }
}

impl Range {
    fn values(&self) -> Option<f64> {
        Some(((self.high - self.low) / self.step?).floor().max(0.0) + 1.0)
    }

    /// The part of the values that lie between `low` and `high`.
    fn part(&self, low: f64, high: f64) -> f64 {
        let (from, to) = (self.low.max(low), self.high.min(high));
        if from > to {
            return 0.0;
        }
        let step = self.step.unwrap_or(0.0);
        let width = self.high - self.low + step;
        if width <= 0.0 { 1.0 } else { ((to - from + step) / width).clamp(0.0, 1.0) }
    }
}

/// What the conjuncts of a filter ask of one column.
#[derive(Default)]
struct Asked {
    /// Ends of a range. Infinite: not this side; `None` when an end is no known number.
    low: Option<f64>,
    high: Option<f64>,
    inequalities: usize,
    /// How many values equalities leave.
    values: Option<f64>,
}

impl Estimate {
    fn of_rows(rows: f64) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// For a plan of which nothing but its columns is known.
    pub(super) fn unknown(rows: f64, plan: &LogicalPlan) -> Self {
        Self { rows, columns: vec![ColumnEstimate::default(); plan.schema().fields().len()] }
    }

    /// All pairs of rows of several plans.
    pub(super) fn all_pairs<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let columns = parts.flat_map(|part| part.columns.iter().cloned()).collect();
        Self { rows: MOST_ROWS, columns }
    }

    /// The same columns in fewer rows.
    pub(super) fn cut(mut self, rows: f64) -> Self {
        let rows = rows.clamp(0.0, MOST_ROWS);
        for column in &mut self.columns {
            column.distinct = column.distinct.map(|distinct| drawn(distinct, self.rows, rows));
        }
        self.rows = rows;
        self
    }

    /// The rows that pass all of `parts`.
    fn filtered(mut self, parts: &[&Expr], schema: &DFSchema) -> Self {
        if parts.is_empty() {
            return self;
        }
        let rows = self.rows * self.selectivity(parts, schema);
        for (index, asked) in self.asked(parts, schema) {
            let column = &mut self.columns[index];
            let before = column.domain;
            if let Some(range) = column.range {
                let (low, high) =
                    (asked.low.unwrap_or(range.low), asked.high.unwrap_or(range.high));
                let part = range.part(low, high);
                column.domain = column.domain.map(|domain| (domain * part).max(1.0));
                let (low, high) = (range.low.max(low), range.high.min(high));
                column.range = (low <= high).then_some(Range { low, high, ..range });
            }
            if let Some(values) = asked.values {
                column.domain = Some(column.domain.map_or(values, |domain| domain.min(values)));
            }
            if column.domain != before {
                column.distinct = match (column.distinct, column.domain) {
                    (Some(distinct), Some(domain)) => Some(distinct.min(domain)),
                    (distinct, domain) => distinct.or(domain),
                };
            }
        }
        let least = self.rows.min(1.0);
        self.cut(rows.max(least))
    }

    /// The part of the rows that passes all of `parts`. Ranges of one column are taken together.
    pub(super) fn selectivity(&self, parts: &[&Expr], schema: &DFSchema) -> f64 {
        let ranges = self.asked(parts, schema);
        let of_ranges: f64 = ranges
            .iter()
            .filter(|(_, asked)| asked.inequalities > 0)
            .map(|(index, asked)| self.range_part(*index, asked))
            .product();
        let of_others: f64 = parts
            .iter()
            .filter(|part| self.inequality(part, schema).is_none())
            .map(|part| self.part(part, schema))
            .product();
        (of_ranges * of_others).clamp(0.0, 1.0)
    }

    fn range_part(&self, index: usize, asked: &Asked) -> f64 {
        let column = &self.columns[index];
        let known = column.range.filter(|_| asked.low.is_some() || asked.high.is_some());
        match known {
            Some(range) => {
                let low = asked.low.unwrap_or(f64::NEG_INFINITY);
                let part = range.part(low, asked.high.unwrap_or(f64::INFINITY));
                part.max(1.0 / column.values())
            }
            None if asked.inequalities > 1 => RANGE,
            None => INEQUALITY,
        }
    }

    fn asked(&self, parts: &[&Expr], schema: &DFSchema) -> HashMap<usize, Asked> {
        let mut columns: HashMap<usize, Asked> = HashMap::new();
        for part in parts {
            if let Some(ends) = self.inequality(part, schema) {
                for (index, operator, end) in ends {
                    let asked = columns.entry(index).or_default();
                    asked.inequalities += 1;
                    let Some(end) = end else { continue };
                    if matches!(operator, Operator::Gt | Operator::GtEq) {
                        asked.low = Some(asked.low.map_or(end, |low| low.max(end)));
                    } else {
                        asked.high = Some(asked.high.map_or(end, |high| high.min(end)));
                    }
                }
            } else if let Some((index, values)) = self.equality(part, schema) {
                let asked = columns.entry(index).or_default();
                asked.values = Some(asked.values.map_or(values, |before| before.min(values)));
            }
        }
        columns
    }

    /// `column < literal` and its like; both ends of BETWEEN.
    fn inequality(
        &self,
        part: &Expr,
        schema: &DFSchema,
    ) -> Option<Vec<(usize, Operator, Option<f64>)>> {
        match part {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let is_inequality =
                    matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
                let (index, op, end) = match (self.index(left, schema), self.index(right, schema)) {
                    (Some(index), None) => (index, *op, literal(right)?),
                    (None, Some(index)) => (index, op.swap()?, literal(left)?),
                    _ => return None,
                };
                is_inequality.then(|| vec![(index, op, number(end))])
            }
            Expr::Between(between) if !between.negated => {
                let index = self.index(&between.expr, schema)?;
                let (low, high) = (literal(&between.low)?, literal(&between.high)?);
                let (low, high) = (number(low), number(high));
                Some(vec![(index, Operator::GtEq, low), (index, Operator::LtEq, high)])
            }
            _ => None,
        }
    }

    /// `column = literal` and `column IN (…)`: the column, and how many values are left.
    fn equality(&self, part: &Expr, schema: &DFSchema) -> Option<(usize, f64)> {
        match part {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                let (column, value) =
                    if literal(right).is_some() { (left, right) } else { (right, left) };
                literal(value)?;
                Some((self.index(column, schema)?, 1.0))
            }
            Expr::InList(list) if !list.negated => {
                Some((self.index(&list.expr, schema)?, list.list.len() as f64))
            }
            _ => None,
        }
    }

    fn part(&self, part: &Expr, schema: &DFSchema) -> f64 {
        let of = |part: &Expr| self.selectivity(&[part], schema);
        let fraction = match part {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
                Operator::And => {
                    self.selectivity(&iter_conjunction(part).collect::<Vec<_>>(), schema)
                }
                Operator::Or => 1.0 - (1.0 - of(left)) * (1.0 - of(right)),
                Operator::Eq | Operator::IsNotDistinctFrom => self.equal(left, right, schema),
                Operator::NotEq | Operator::IsDistinctFrom => 1.0 - self.equal(left, right, schema),
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => INEQUALITY,
                Operator::LikeMatch
                | Operator::ILikeMatch
                | Operator::RegexMatch
                | Operator::RegexIMatch => MATCH,
                Operator::NotLikeMatch
                | Operator::NotILikeMatch
                | Operator::RegexNotMatch
                | Operator::RegexNotIMatch => 1.0 - MATCH,
                _ => ANYTHING,
            },
            Expr::InList(list) => {
                let values = self.of_expression(&list.expr, schema).values();
                negated(list.negated, (list.list.len() as f64 / values).min(1.0))
            }
            Expr::Between(between) => negated(between.negated, RANGE),
            Expr::Like(like) => negated(like.negated, MATCH),
            Expr::SimilarTo(like) => negated(like.negated, MATCH),
            Expr::IsNull(operand) => self.nulls(operand, schema),
            Expr::IsNotNull(operand) => 1.0 - self.nulls(operand, schema),
            Expr::Not(operand) => 1.0 - of(operand),
            Expr::IsTrue(operand) => of(operand),
            Expr::IsNotFalse(operand) => of(operand),
            Expr::IsFalse(operand) | Expr::IsNotTrue(operand) => 1.0 - of(operand),
            Expr::Alias(alias) => of(&alias.expr),
            Expr::Literal(ScalarValue::Boolean(value), _) => {
                f64::from(u8::from(*value == Some(true)))
            }
            _ => ANYTHING,
        };
        fraction.clamp(0.0, 1.0)
    }

    fn equal(&self, left: &Expr, right: &Expr, schema: &DFSchema) -> f64 {
        let (l, r) = (self.of_expression(left, schema), self.of_expression(right, schema));
        let is_outside = |column: &ColumnEstimate, value: &Expr| {
            let (Some(range), Some(value)) = (column.range, literal(value).and_then(number)) else {
                return false;
            };
            value < range.low || value > range.high
        };
        if is_outside(&l, right) || is_outside(&r, left) {
            return 0.0;
        }
        match (l.domain, r.domain) {
            (Some(l), Some(r)) => 1.0 / l.max(r).max(1.0),
            (Some(one), None) | (None, Some(one)) => 1.0 / one.max(DISTINCT),
            (None, None) => 1.0 / DISTINCT,
        }
    }

    fn nulls(&self, operand: &Expr, schema: &DFSchema) -> f64 {
        self.of_expression(operand, schema).null_fraction.unwrap_or(NULLS)
    }

    pub(super) fn of_expression(&self, expression: &Expr, schema: &DFSchema) -> ColumnEstimate {
        if let Some(index) = self.index(expression, schema) {
            return self.columns.get(index).cloned().unwrap_or_default();
        }
        match expression {
            Expr::Literal(..) => ColumnEstimate::known(Some(1.0)),
            Expr::Alias(alias) => self.of_expression(&alias.expr, schema),
            _ => {
                // A function has at most as many values as its arguments have combinations.
                let of_columns = expression.column_refs().into_iter().map(|column| {
                    self.columns.get(schema.maybe_index_of_column(column)?)?.distinct
                });
                let combinations: Option<f64> = of_columns.product();
                ColumnEstimate::known(combinations.map(|count| count.min(self.rows.max(1.0))))
            }
        }
    }

    /// The column that `expression` is, whatever the type it is read as.
    fn index(&self, expression: &Expr, schema: &DFSchema) -> Option<usize> {
        match expression {
            Expr::Column(column) => {
                schema.maybe_index_of_column(column).filter(|index| *index < self.columns.len())
            }
            Expr::Alias(alias) => self.index(&alias.expr, schema),
            Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })
                if keeps_values(field.data_type()) =>
            {
                self.index(expr, schema)
            }
            _ => None,
        }
    }

    /// How many groups `keys` make of these rows.
    fn groups(&self, keys: &[ColumnEstimate]) -> f64 {
        let counts = || keys.iter().map(|key| key.distinct.unwrap_or(DISTINCT));
        let most = counts().fold(1.0, f64::max);
        let combinations: f64 = counts().product();
        let limit = if keys.len() > 1 { (self.rows * GROUPS).max(most) } else { self.rows };
        combinations.min(limit).min(self.rows)
    }
}

/// Different values among `after` rows that are drawn from `before` rows with `distinct` values.
fn drawn(distinct: f64, before: f64, after: f64) -> f64 {
    if distinct <= 1.0 || before <= 0.0 || after >= before {
        return distinct.min(after.max(1.0));
    }
    let for_each = before / distinct;
    let missed = (1.0 - after / before).powf(for_each);
    (distinct * (1.0 - missed)).clamp(1.0, after.max(1.0))
}

fn negated(is_negated: bool, fraction: f64) -> f64 {
    if is_negated { 1.0 - fraction } else { fraction }
}

fn literal(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Some(value),
        Expr::Cast(Cast { expr, field }) if keeps_values(field.data_type()) => literal(expr),
        _ => None,
    }
}

/// Casts to these types keep what is compared.
fn keeps_values(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || matches!(
            data_type,
            DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
        )
}

/// A value on a line of numbers, the same for all types that compare with each other: numbers as
/// they are, dates and times in seconds.
fn number(value: &ScalarValue) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    let scaled = |value: f64, scale: i8| value / 10_f64.powi(i32::from(scale));
    let number = match value {
        ScalarValue::Int8(Some(value)) => f64::from(*value),
        ScalarValue::Int16(Some(value)) => f64::from(*value),
        ScalarValue::Int32(Some(value)) => f64::from(*value),
        ScalarValue::Int64(Some(value)) => *value as f64,
        ScalarValue::UInt8(Some(value)) => f64::from(*value),
        ScalarValue::UInt16(Some(value)) => f64::from(*value),
        ScalarValue::UInt32(Some(value)) => f64::from(*value),
        ScalarValue::UInt64(Some(value)) => *value as f64,
        ScalarValue::Float32(Some(value)) => f64::from(*value),
        ScalarValue::Float64(Some(value)) => *value,
        ScalarValue::Decimal32(Some(value), _, scale) => scaled(f64::from(*value), *scale),
        ScalarValue::Decimal64(Some(value), _, scale) => scaled(*value as f64, *scale),
        ScalarValue::Decimal128(Some(value), _, scale) => scaled(*value as f64, *scale),
        ScalarValue::Date32(Some(days)) => f64::from(*days) * DAY,
        ScalarValue::Date64(Some(milliseconds)) => *milliseconds as f64 / 1e3,
        ScalarValue::TimestampSecond(Some(value), _) => *value as f64,
        ScalarValue::TimestampMillisecond(Some(value), _) => *value as f64 / 1e3,
        ScalarValue::TimestampMicrosecond(Some(value), _) => *value as f64 / 1e6,
        ScalarValue::TimestampNanosecond(Some(value), _) => *value as f64 / 1e9,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// The distance between neighbours on the line of [`number`].
fn step(data_type: &DataType) -> Option<f64> {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => Some(10_f64.powi(-i32::from(*scale))),
        DataType::Date32 | DataType::Date64 => Some(86_400.0),
        DataType::Timestamp(TimeUnit::Second, _) => Some(1.0),
        data_type if data_type.is_integer() => Some(1.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::datatypes::DataType,
        logical_expr::{Expr, LogicalPlanBuilder, col, lit},
    };

    use super::*;
    use crate::federation::testing::table;

    fn integers(low: i64, high: i64) -> Option<(ScalarValue, ScalarValue)> {
        Some((ScalarValue::from(low), ScalarValue::from(high)))
    }

    fn days(low: i32, high: i32) -> Option<(ScalarValue, ScalarValue)> {
        Some((ScalarValue::Date32(Some(low)), ScalarValue::Date32(Some(high))))
    }

    /// A million orders of 100,000 customers over 1,000 days.
    fn orders() -> LogicalPlanBuilder {
        table(
            "orders",
            Some(1_000_000),
            vec![
                ("id", DataType::Int64, None, integers(1, 4_000_000)),
                ("customer", DataType::Int64, Some(100_000), None),
                ("day", DataType::Date32, None, days(0, 999)),
                ("state", DataType::Utf8, Some(4), None),
                ("note", DataType::Utf8, None, None),
            ],
        )
    }

    /// 150,000 customers of 25 nations.
    fn customers() -> LogicalPlanBuilder {
        table(
            "customers",
            Some(150_000),
            vec![
                ("key", DataType::Int64, Some(150_000), integers(1, 150_000)),
                ("nation", DataType::Int32, Some(25), None),
            ],
        )
    }

    fn day(day: i32) -> Expr {
        lit(ScalarValue::Date32(Some(day)))
    }

    #[track_caller]
    fn assert_rows(plan: LogicalPlanBuilder, expected: f64) {
        let plan = plan.build().unwrap();
        let found = rows(&plan).unwrap();
        let is_near = (found - expected).abs() <= expected * 0.01 + 1e-9;
        assert!(is_near, "{found} rows, not {expected}:\n{}", plan.display_indent());
    }

    #[test]
    fn filters_pass_a_part_of_the_rows() {
        let cases: Vec<(Expr, f64)> = vec![
            (col("customer").eq(lit(7_i64)), 10.0),
            (lit(7_i64).eq(col("customer")), 10.0),
            (col("customer").not_eq(lit(7_i64)), 999_990.0),
            (col("state").in_list(vec![lit("a"), lit("b")], false), 500_000.0),
            (col("state").in_list(vec![lit("a")], true), 750_000.0),
            (col("note").eq(lit("x")), 5_000.0),
            (col("day").lt(day(250)), 251_000.0),
            (day(750).lt_eq(col("day")), 250_000.0),
            (col("day").gt_eq(day(100)).and(col("day").lt(day(199))), 100_000.0),
            (col("day").between(day(100), day(199)), 100_000.0),
            (col("day").gt(day(5_000)), 1_000.0),
            (col("id").eq(lit(-5_i64)), 1.0),
            (col("customer").lt(lit(5_i64)), 333_333.0),
            (col("customer").between(lit(5_i64), lit(6_i64)), 100_000.0),
            (col("note").like(lit("%x%")), 50_000.0),
            (col("note").is_null(), 10_000.0),
            (col("note").is_not_null(), 990_000.0),
            (col("state").eq(lit("a")).or(col("state").eq(lit("b"))), 437_500.0),
            (Expr::Not(Box::new(col("state").eq(lit("a")))), 750_000.0),
            (lit(true), 1_000_000.0),
            (col("state").eq(lit("a")).and(col("day").lt(day(499))), 125_000.0),
        ];
        for (filter, expected) in cases {
            assert_rows(orders().filter(filter).unwrap(), expected);
        }
    }

    #[test]
    fn a_hint_that_the_scan_also_has_counts_once() {
        let filter = col("orders.state").eq(lit("a"));
        let LogicalPlan::TableScan(mut scan) = orders().build().unwrap() else { panic!() };
        scan.filters.push(filter.clone());
        let scan = LogicalPlan::TableScan(scan);
        assert_eq!(rows(&scan), Some(250_000.0));
        assert_rows(LogicalPlanBuilder::from(scan).filter(filter).unwrap(), 250_000.0);
    }

    #[test]
    fn a_join_over_a_key_keeps_the_rows_of_the_other_side() {
        let join = |kind| {
            let keys = (vec!["customer"], vec!["key"]);
            orders().join(customers().build().unwrap(), kind, keys, None).unwrap()
        };
        assert_rows(join(JoinType::Inner), 1_000_000.0);
        assert_rows(join(JoinType::Left), 1_000_000.0);
        assert_rows(join(JoinType::LeftSemi), 1_000_000.0);
        assert_rows(join(JoinType::LeftAnti), 50_000.0);
        // 100,000 of 150,000 customers have orders.
        assert_rows(join(JoinType::RightSemi), 100_000.0);
        assert_rows(join(JoinType::RightAnti), 50_000.0);
    }

    #[test]
    fn a_filter_on_one_side_of_a_join_thins_out_the_other() {
        let some = customers().filter(col("nation").eq(lit(3_i32))).unwrap();
        let keys = (vec!["customer"], vec!["key"]);
        let some = some.build().unwrap();
        assert_rows(orders().join(some, JoinType::Inner, keys, None).unwrap(), 40_000.0);
        // Filters on the key itself do not count twice.
        let few = customers().filter(col("key").lt_eq(lit(1_500_i64))).unwrap().build().unwrap();
        let keys = (vec!["customer"], vec!["key"]);
        assert_rows(orders().join(few, JoinType::Inner, keys, None).unwrap(), 15_000.0);
    }

    #[test]
    fn a_sparse_key_has_no_more_values_than_the_key_that_it_is_of() {
        // Numbers from 1 to 24 million, of which a million are in use; four lines for each.
        let sparse = || vec![("number", DataType::Int64, None, integers(1, 24_000_000))];
        let orders = table("a", Some(1_000_000), sparse()).build().unwrap();
        let lines = table("lines", Some(4_000_000), sparse());
        let keys = (vec!["number"], vec!["number"]);
        assert_rows(lines.join(orders, JoinType::Inner, keys, None).unwrap(), 4_000_000.0);
    }

    #[test]
    fn several_keys_of_one_table_have_no_more_combinations_than_rows() {
        let parts = |name| {
            table(
                name,
                Some(800_000),
                vec![
                    ("part", DataType::Int64, Some(200_000), None),
                    ("supplier", DataType::Int64, Some(10_000), None),
                ],
            )
        };
        let keys = (vec!["part", "supplier"], vec!["part", "supplier"]);
        let other = parts("b").build().unwrap();
        assert_rows(parts("a").join(other, JoinType::Inner, keys, None).unwrap(), 800_000.0);
    }

    #[test]
    fn groups_are_as_many_as_their_keys() {
        let count = vec![datafusion::functions_aggregate::expr_fn::count(lit(1))];
        let by = |keys: Vec<Expr>| orders().aggregate(keys, count.clone()).unwrap();
        assert_rows(by(vec![col("state")]), 4.0);
        assert_rows(by(vec![col("state"), col("day")]), 4_000.0);
        assert_rows(by(vec![col("id")]), 1_000_000.0);
        assert_rows(by(vec![col("customer"), col("day")]), 100_000.0);
        assert_rows(by(vec![]), 1.0);
        assert_rows(orders().project(vec![col("day")]).unwrap().distinct().unwrap(), 1_000.0);
    }

    #[test]
    fn limits_and_unions_count() {
        assert_rows(orders().limit(0, Some(10)).unwrap(), 10.0);
        assert_rows(orders().limit(999_995, Some(10)).unwrap(), 5.0);
        assert_rows(orders().union(orders().build().unwrap()).unwrap(), 2_000_000.0);
        assert_rows(
            orders().sort_with_limit(vec![col("id").sort(true, true)], Some(3)).unwrap(),
            3.0,
        );
    }

    #[test]
    fn distinct_values_follow_the_rows() {
        let of = |plan: LogicalPlanBuilder, name: &str| {
            distinct(&plan.build().unwrap(), &Column::from_name(name))
        };
        assert_eq!(of(orders(), "customer"), Some(100_000.0));
        // Never more than rows.
        assert_eq!(of(orders(), "id"), Some(1_000_000.0));
        assert_eq!(of(orders(), "note"), None);
        let seven = of(orders().limit(0, Some(7)).unwrap(), "customer").unwrap();
        assert!((6.9..=7.0).contains(&seven), "{seven}");
        let one = orders().filter(col("customer").eq(lit(1_i64))).unwrap();
        assert_eq!(of(one, "customer"), Some(1.0));
        // A tenth of the orders are of about two thirds of the customers: ten orders each.
        let tenth = orders().filter(col("day").lt(day(99))).unwrap();
        let seen = of(tenth, "customer").unwrap();
        assert!((60_000.0..70_000.0).contains(&seen), "{seen}");
    }

    #[test]
    fn a_table_without_statistics_is_not_guessed() {
        let unknown = || table("unknown", None, vec![("key", DataType::Int64, None, None)]);
        assert_eq!(rows(&unknown().build().unwrap()), None);
        let keys = (vec!["customer"], vec!["key"]);
        let join = orders().join(unknown().build().unwrap(), JoinType::Inner, keys, None).unwrap();
        assert_eq!(rows(&join.build().unwrap()), None);
    }

    #[test]
    fn estimates_stay_finite() {
        let mut plan = orders();
        for index in 0..60 {
            let other = orders().alias(format!("o{index}")).unwrap().build().unwrap();
            plan = plan.cross_join(other).unwrap();
        }
        let found = rows(&plan.build().unwrap()).unwrap();
        assert!(found.is_finite() && found > 1e50, "{found}");
    }
}
