//! Join keys that become known while a query runs: the engine reads the small side of a hash join
//! first, and what it finds there limits the statement for the other side.
//!
//! Invariant: the rows that such a predicate keeps are those that the join can use, or more of
//! them. What is not known here adds no predicate; the join itself still compares every row.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use arrow::{
    array::Array,
    datatypes::{DataType, Schema},
};
use datafusion::{
    common::{
        Result as DataFusionResult, ScalarValue, Statistics,
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, Operator, expr::InList, lit},
    physical_expr::{
        PhysicalExpr, ScalarFunctionExpr,
        expressions::{
            BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr,
            IsNullExpr, Literal,
        },
    },
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{ExecutionPlan, joins::HashJoinExec},
};
use tokio::time::{Instant, timeout_at};

use super::{
    exec::RemoteExec,
    ir::Scalar,
    pushdown::{Inputs, Refusal, RemoteValue, push},
    render::{Dialect, rendered_bytes},
};

/// How long a statement waits for keys. No connection is held meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Leaves those filters at remote statements that a hash join will complete, and allows to wait for
/// them. Others (of a sort with a limit, of an aggregate) are complete only when the query is.
#[derive(Debug)]
pub struct JoinKeys;

impl JoinKeys {
    /// How many values a join may list, and in how many bytes, before it tells only their range.
    const MAX_KEYS: usize = 20_000;
    const MAX_BYTES: usize = 2 << 20;

    /// Makes joins list their keys where the engine's defaults would not: a list of thousands costs
    /// a source little, compared with rows that nobody needs.
    pub fn configure(options: &mut ConfigOptions) {
        options.optimizer.hash_join_inlist_pushdown_max_distinct_values = Self::MAX_KEYS;
        options.optimizer.hash_join_inlist_pushdown_max_size = Self::MAX_BYTES;
    }
}

impl PhysicalOptimizerRule for JoinKeys {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut joins = HashSet::new();
        plan.apply(|node| {
            if node.is::<HashJoinExec>() {
                let produced = node.dynamic_expressions_produced();
                joins.extend(produced.iter().filter_map(|filter| filter.expression_id()));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        plan.transform_up(|node| match node.downcast_ref::<RemoteExec>() {
            Some(exec) if exec.has_filters() => {
                Ok(Transformed::yes(Arc::new(exec.with_filters_of(&joins)) as _))
            }
            Some(_) | None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "join_keys"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What is added to a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Keys {
    /// No row can be of use.
    Nothing,
    /// So many values, or a range, and the part of the rows that is in the range.
    Some { predicate: Scalar, count: usize, part: f64 },
    /// Every row may be of use.
    Everything,
}

/// Waits for the filters, and says what they mean for the columns of a statement.
pub(super) async fn wait(
    filters: &[Arc<DynamicFilterPhysicalExpr>],
    schema: &Schema,
    values: &[RemoteValue],
    estimates: &Statistics,
    dialect: &dyn Dialect,
) -> DataFusionResult<Keys> {
    let deadline = Instant::now() + PATIENCE;
    let mut domain = Domain::everything();
    for filter in filters {
        if timeout_at(deadline, filter.wait_complete()).await.is_ok() {
            domain = domain.and(Domain::of(&filter.current()?, schema));
        }
    }
    Ok(domain.keys(&Answer { values, estimates }, dialect))
}

/// The columns of a statement. A predicate calls them by their positions, which no two share.
struct Answer<'a> {
    values: &'a [RemoteValue],
    estimates: &'a Statistics,
}

impl Answer<'_> {
    /// The part of the rows that may have these values in a column; half, where nothing is known.
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn part(&self, index: usize, values: &Values) -> f64 {
        let column = self.estimates.column_statistics.get(index);
        let part = match values {
            Values { list: Some(list), .. } => {
                let distinct = column.and_then(|column| column.distinct_count.get_value());
                let distinct = distinct.or(self.estimates.num_rows.get_value());
                distinct.map(|distinct| list.len() as f64 / (*distinct).max(1) as f64)
            }
            Values { low: Some(low), high: Some(high), .. } => column.and_then(|column| {
                let (min, max) = (column.min_value.get_value()?, column.max_value.get_value()?);
                let from = if low > min { low } else { min };
                let to = if high < max { high } else { max };
                let inner = if from > to { 0 } else { from.distance(to)? };
                Some(inner as f64 / min.distance(max)?.max(1) as f64)
            }),
            Values { .. } => None,
        };
        part.map_or(0.5, |part| part.min(1.0))
    }
}

impl Inputs for Answer<'_> {
    fn value(&self, column: &datafusion::common::Column) -> Result<RemoteValue, Refusal> {
        let index = column.name.parse::<usize>().ok();
        let value = index.and_then(|index| self.values.get(index));
        value.cloned().ok_or_else(|| Refusal::new("the column is not of the statement"))
    }
}

/// Rows that may pass: by column (its position), and in all of them.
#[derive(Debug, Clone, PartialEq)]
enum Domain {
    Nothing,
    Columns(BTreeMap<usize, Values>),
}

/// What one column may be. Without list and bounds, only NULL or anything but NULL is left out.
#[derive(Debug, Clone, Default, PartialEq)]
struct Values {
    list: Option<Vec<ScalarValue>>,
    low: Option<ScalarValue>,
    high: Option<ScalarValue>,
    /// NULL passes as well.
    has_null: bool,
}

impl Domain {
    fn everything() -> Self {
        Self::Columns(BTreeMap::new())
    }

    fn column(index: usize, values: Values) -> Self {
        Self::Columns(BTreeMap::from([(index, values)]))
    }

    /// A superset of what passes the expression.
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Self {
        if let Some(literal) = expr.downcast_ref::<Literal>() {
            return match literal.value() {
                ScalarValue::Boolean(Some(true)) => Self::everything(),
                ScalarValue::Boolean(_) => Self::Nothing,
                _ => Self::everything(),
            };
        }
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            return Self::of_binary(binary, schema);
        }
        if let Some(list) = expr.downcast_ref::<InListExpr>() {
            return Self::of_list(list, schema);
        }
        if let Some(test) = expr.downcast_ref::<IsNullExpr>() {
            let null = Values { list: Some(Vec::new()), has_null: true, ..Values::default() };
            return match position(test.arg(), schema) {
                Some(index) => Self::column(index, null),
                None => Self::everything(),
            };
        }
        // One branch for each partition of the small side; which one a row takes does not matter.
        if let Some(case) = expr.downcast_ref::<CaseExpr>() {
            let branches = case.when_then_expr().iter().map(|(_, then)| then);
            return branches
                .chain(case.else_expr())
                .map(|branch| Self::of(branch, schema))
                .fold(Self::Nothing, Self::or);
        }
        Self::everything()
    }

    fn of_binary(binary: &BinaryExpr, schema: &Schema) -> Self {
        let (left, right) = (binary.left(), binary.right());
        match binary.op() {
            Operator::And => Self::of(left, schema).and(Self::of(right, schema)),
            Operator::Or => Self::of(left, schema).or(Self::of(right, schema)),
            Operator::Eq | Operator::GtEq | Operator::LtEq => {
                let literal = right.downcast_ref::<Literal>().map(Literal::value);
                let (Some(index), Some(value)) = (position(left, schema), literal) else {
                    return Self::everything();
                };
                if value.is_null() {
                    return Self::everything();
                }
                let value = Some(value.clone());
                let values = match binary.op() {
                    Operator::GtEq => Values { low: value, ..Values::default() },
                    Operator::LtEq => Values { high: value, ..Values::default() },
                    _ => Values { list: value.map(|value| vec![value]), ..Values::default() },
                };
                Self::column(index, values.of(schema.field(index).data_type()))
            }
            _ => Self::everything(),
        }
    }

    /// `column IN (…)`, or `struct(column, …) IN (…)` for keys of several columns.
    fn of_list(list: &InListExpr, schema: &Schema) -> Self {
        if list.negated() {
            return Self::everything();
        }
        let values = list.list().iter().map(|item| item.downcast_ref::<Literal>());
        let Some(values) = values.map(|item| item.map(Literal::value)).collect::<Option<Vec<_>>>()
        else {
            return Self::everything();
        };
        let among = |list, index: usize| {
            let values = Values { list: Some(list), ..Values::default() };
            values.of(schema.field(index).data_type())
        };
        if let Some(index) = position(list.expr(), schema) {
            // Nothing equals NULL.
            let values = values.into_iter().filter(|value| !value.is_null()).cloned();
            return Self::column(index, among(values.collect(), index));
        }
        let Some(tuple) = list.expr().downcast_ref::<ScalarFunctionExpr>() else {
            return Self::everything();
        };
        if tuple.name() != "struct" {
            return Self::everything();
        }
        let mut domain = Self::everything();
        for (place, part) in tuple.args().iter().enumerate() {
            let Some(index) = position(part, schema) else { continue };
            let parts = values.iter().map(|value| field(value, place));
            let Some(mut parts) = parts.collect::<Option<Vec<_>>>() else { continue };
            // A join that takes NULL for equal says so beside the list, not in it.
            let has_null = parts.iter().any(ScalarValue::is_null);
            parts.retain(|part| !part.is_null());
            domain = domain.and(Self::column(index, Values { has_null, ..among(parts, index) }));
        }
        domain
    }

    fn and(self, other: Self) -> Self {
        let (Self::Columns(mut left), Self::Columns(right)) = (self, other) else {
            return Self::Nothing;
        };
        for (index, values) in right {
            let both = match left.remove(&index) {
                Some(own) => own.and(values),
                None => values,
            };
            left.insert(index, both);
        }
        Self::Columns(left)
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Columns(left), Self::Columns(mut right)) => {
                let both = left
                    .into_iter()
                    .filter_map(|(index, values)| Some((index, values.or(right.remove(&index)?))));
                Self::Columns(both.collect())
            }
        }
    }

    fn keys(self, answer: &Answer<'_>, dialect: &dyn Dialect) -> Keys {
        let Self::Columns(by_column) = self else { return Keys::Nothing };
        let (mut predicates, mut count, mut part) = (Vec::new(), 0, 1f64);
        for (index, values) in by_column {
            if values.list.as_ref().is_some_and(Vec::is_empty) && !values.has_null {
                return Keys::Nothing;
            }
            let values_part = answer.part(index, &values);
            if let Some((predicate, keys)) = values.predicate(index, answer, dialect) {
                predicates.push(predicate);
                count += keys;
                part = part.min(values_part);
            }
        }
        match predicates.len() {
            0 => Keys::Everything,
            1 => Keys::Some { predicate: predicates.swap_remove(0), count, part },
            _ => Keys::Some { predicate: Scalar::And(predicates), count, part },
        }
    }
}

impl Values {
    /// Of a column of this type, whose values were compared as wider integers.
    fn of(self, data_type: &DataType) -> Self {
        let own = |value: ScalarValue| {
            let is_wider = data_type.is_integer() && value.data_type() != *data_type;
            // No value of the column is one that does not fit.
            if is_wider { value.cast_to(data_type).ok() } else { Some(value) }
        };
        Self {
            list: self.list.map(|list| list.into_iter().filter_map(own).collect()),
            low: self.low.and_then(own),
            high: self.high.and_then(own),
            has_null: self.has_null,
        }
    }

    fn and(self, other: Self) -> Self {
        let list = match (self.list, other.list) {
            (Some(left), Some(right)) if right.len() < left.len() => Some(right),
            (Some(left), _) => Some(left),
            (None, right) => right,
        };
        Self {
            list,
            low: self.low.or(other.low),
            high: self.high.or(other.high),
            has_null: self.has_null && other.has_null,
        }
    }

    fn or(self, other: Self) -> Self {
        let has_null = self.has_null || other.has_null;
        match (self.list, other.list) {
            (Some(mut left), Some(right)) => {
                left.extend(right);
                // The bounds of lists are those of their values.
                Self { list: Some(left), low: None, high: None, has_null }
            }
            (Some(list), None) if list.is_empty() => {
                Self { list: None, low: other.low, high: other.high, has_null }
            }
            (None, Some(list)) if list.is_empty() => {
                Self { list: None, low: self.low, high: self.high, has_null }
            }
            (left, right) => {
                let low = |list: &Option<Vec<_>>, own| list.as_deref().map_or(own, least);
                let high = |list: &Option<Vec<_>>, own| list.as_deref().map_or(own, greatest);
                let lows = low(&left, self.low).zip(low(&right, other.low));
                let highs = high(&left, self.high).zip(high(&right, other.high));
                Self {
                    list: None,
                    low: lows.and_then(|(left, right)| least(&[left, right])),
                    high: highs.and_then(|(left, right)| greatest(&[left, right])),
                    has_null,
                }
            }
        }
    }

    /// The list if the dialect can say it, else the range that holds it; and how many values were
    /// listed.
    fn predicate(
        self,
        index: usize,
        answer: &Answer<'_>,
        dialect: &dyn Dialect,
    ) -> Option<(Scalar, usize)> {
        let limits = dialect.limits();
        let column =
            || Expr::Column(datafusion::common::Column::new_unqualified(index.to_string()));
        let pushed = |expr: &Expr| push(expr, answer).ok().map(|pushed| pushed.predicate);
        let null = match self.has_null {
            // A source that can't find NULL must be asked for all rows.
            true => Some(pushed(&column().is_null())?),
            false => None,
        };
        let with_null = |predicate| match null.clone() {
            Some(null) => Scalar::Or(vec![null, predicate]),
            None => predicate,
        };
        if let Some(list) = &self.list {
            let mut seen = HashSet::with_capacity(list.len());
            let distinct = list.iter().filter(|value| seen.insert(*value)).cloned();
            let literals: Vec<_> = distinct.map(lit).collect();
            let count = literals.len();
            if count == 0 {
                return null.map(|null| (null, 0));
            }
            let among = Expr::InList(InList::new(Box::new(column()), literals, false));
            let listed = (count <= limits.in_list).then(|| pushed(&among)).flatten();
            // The other half is for the rest of the statement.
            let fits = |predicate: &Scalar| {
                rendered_bytes(dialect, predicate)
                    .is_some_and(|bytes| bytes <= limits.statement_bytes / 2)
            };
            if let Some(predicate) = listed.filter(fits) {
                return Some((with_null(predicate), count));
            }
        }
        let list = self.list.as_deref();
        let low = self.low.or_else(|| least(list?));
        let high = self.high.or_else(|| greatest(list?));
        // The least and the greatest are not sure to count NaN.
        let bounds = [
            low.filter(|value| !is_float(value)).map(|low| column().gt_eq(lit(low))),
            high.filter(|value| !is_float(value)).map(|high| column().lt_eq(lit(high))),
        ];
        let range = bounds.into_iter().flatten().reduce(Expr::and)?;
        Some((with_null(pushed(&range)?), 0))
    }
}

/// The column that an expression is, if need be as a wider integer.
fn position(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<usize> {
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let index = position(cast.expr(), schema)?;
        return widens(schema.field(index).data_type(), cast.cast_type()).then_some(index);
    }
    let column = expr.downcast_ref::<Column>()?;
    let field = schema.fields().get(column.index())?;
    (field.name() == column.name()).then(|| column.index())
}

/// Whether every integer of one type is one of the other, which has more.
pub fn widens(from: &DataType, to: &DataType) -> bool {
    let bits = |data_type: &DataType| match data_type {
        DataType::Int8 => Some(8),
        DataType::Int16 => Some(16),
        DataType::Int32 => Some(32),
        DataType::Int64 => Some(64),
        _ => None,
    };
    bits(from).zip(bits(to)).is_some_and(|(from, to)| from < to)
}

fn field(value: &ScalarValue, place: usize) -> Option<ScalarValue> {
    let ScalarValue::Struct(row) = value else { return None };
    if row.is_null(0) {
        return None;
    }
    ScalarValue::try_from_array(row.columns().get(place)?, 0).ok()
}

fn is_float(value: &ScalarValue) -> bool {
    matches!(value, ScalarValue::Float16(_) | ScalarValue::Float32(_) | ScalarValue::Float64(_))
}

fn least(values: &[ScalarValue]) -> Option<ScalarValue> {
    extreme(values, std::cmp::Ordering::Less)
}

fn greatest(values: &[ScalarValue]) -> Option<ScalarValue> {
    extreme(values, std::cmp::Ordering::Greater)
}

/// `None` where values can't be compared, or there are none.
fn extreme(values: &[ScalarValue], wanted: std::cmp::Ordering) -> Option<ScalarValue> {
    let (first, rest) = values.split_first()?;
    let found = rest.iter().try_fold(first, |best, value| {
        let order = value.partial_cmp(best)?;
        Some(if order == wanted { value } else { best })
    });
    found.cloned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::{
        array::{ArrayRef, Int32Array, Int64Array},
        datatypes::Field,
    };
    use datafusion::physical_expr::expressions::{self, col, is_null, lit};

    use super::*;

    fn schema() -> Schema {
        let field = |name| Field::new(name, DataType::Int32, true);
        Schema::new(vec![field("a"), field("b")])
    }

    fn among(name: &str, values: &[Option<i32>]) -> Arc<dyn PhysicalExpr> {
        let values: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
        let column = col(name, &schema()).unwrap();
        Arc::new(InListExpr::try_new_from_array(column, values, false, &schema()).unwrap())
    }

    fn binary(
        left: Arc<dyn PhysicalExpr>,
        operator: Operator,
        right: Arc<dyn PhysicalExpr>,
    ) -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(left, operator, right))
    }

    fn range(name: &str, low: i32, high: i32) -> Arc<dyn PhysicalExpr> {
        let column = || col(name, &schema()).unwrap();
        binary(
            binary(column(), Operator::GtEq, lit(low)),
            Operator::And,
            binary(column(), Operator::LtEq, lit(high)),
        )
    }

    fn wide(name: &str) -> Arc<dyn PhysicalExpr> {
        Arc::new(CastExpr::new(col(name, &schema()).unwrap(), DataType::Int64, None))
    }

    fn ints(values: impl IntoIterator<Item = i32>) -> Option<Vec<ScalarValue>> {
        Some(values.into_iter().map(|value| ScalarValue::Int32(Some(value))).collect())
    }

    #[test]
    fn a_filter_becomes_what_its_columns_may_be() {
        let everything = Domain::everything;
        let list = |index, list, has_null| {
            Domain::column(index, Values { list, has_null, ..Values::default() })
        };
        let between = |index, low: i32, high: i32| {
            let (low, high) = (Some(low.into()), Some(high.into()));
            Domain::column(index, Values { low, high, ..Values::default() })
        };
        let null = |name| is_null(col(name, &schema()).unwrap()).unwrap();
        let or = |left, right| binary(left, Operator::Or, right);
        let and = |left, right| binary(left, Operator::And, right);
        let case = |branches: Vec<Arc<dyn PhysicalExpr>>, otherwise| {
            let branches = branches.into_iter().enumerate().map(|(i, then)| (lit(i as u64), then));
            expressions::case(Some(lit(0_u64)), branches.collect(), otherwise).unwrap()
        };
        let cases: Vec<(Arc<dyn PhysicalExpr>, Domain)> = vec![
            (lit(true), everything()),
            (lit(false), Domain::Nothing),
            (among("a", &[Some(1), None, Some(2)]), list(0, ints([1, 2]), false)),
            (among("a", &[None]), list(0, ints([]), false)),
            (range("a", 1, 9), between(0, 1, 9)),
            (or(null("a"), among("a", &[Some(1)])), list(0, ints([1]), true)),
            // NULL in either column passes, so neither limits anything.
            (or(or(null("a"), null("b")), among("a", &[Some(1)])), everything()),
            (or(among("a", &[Some(1)]), among("b", &[Some(1)])), everything()),
            (or(among("a", &[Some(1)]), range("a", 5, 9)), between(0, 1, 9)),
            (or(null("a"), range("a", 5, 9)), {
                let (low, high) = (Some(5.into()), Some(9.into()));
                Domain::column(0, Values { low, high, has_null: true, list: None })
            }),
            (and(among("a", &[Some(1)]), lit(false)), Domain::Nothing),
            (
                case(vec![lit(false), among("a", &[Some(1)])], Some(lit(false))),
                list(0, ints([1]), false),
            ),
            (
                case(vec![among("a", &[Some(1)]), among("a", &[Some(2)])], Some(lit(false))),
                list(0, ints([1, 2]), false),
            ),
            // A partition that nobody knows may need any row.
            (case(vec![among("a", &[Some(1)])], Some(lit(true))), everything()),
            (case(vec![among("a", &[Some(1)])], None), list(0, ints([1]), false)),
            (binary(col("a", &schema()).unwrap(), Operator::NotEq, lit(1)), everything()),
            (
                binary(col("a", &schema()).unwrap(), Operator::GtEq, lit(ScalarValue::Int32(None))),
                everything(),
            ),
            // Compared as wider integers: what fits in neither is in no row.
            (
                Arc::new(
                    InListExpr::try_new_from_array(
                        wide("a"),
                        Arc::new(Int64Array::from(vec![1, i64::MAX, 2])),
                        false,
                        &schema(),
                    )
                    .unwrap(),
                ),
                list(0, ints([1, 2]), false),
            ),
            (binary(wide("a"), Operator::LtEq, lit(i64::MAX)), {
                Domain::column(0, Values::default())
            }),
            (
                binary(wide("a"), Operator::GtEq, lit(5_i64)),
                Domain::column(0, Values { low: Some(5.into()), ..Values::default() }),
            ),
            // A column of another plan.
            (binary(Arc::new(Column::new("b", 0)), Operator::Eq, lit(1)), everything()),
        ];
        for (expr, expected) in cases {
            assert_eq!(Domain::of(&expr, &schema()), expected, "{expr}");
        }
    }
}
