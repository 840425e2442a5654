//! Subqueries in predicates that the engine decorrelates into something else.

use datafusion::{
    common::{
        Result, not_impl_err,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        BinaryExpr, Expr, Filter, LogicalPlan, Operator, Subquery,
        expr::{Exists, InSubquery, SetComparison, SetQuantifier},
        lit,
    },
};

/// Corrects the subqueries of one filter; others the engine refuses by itself.
///
/// DataFusion 55.2 turns `IN (SELECT …)` into a join whose mark is true or false, and loses NULL:
/// `x NOT IN (…) OR …` keeps rows where `x` or a member is NULL. Right are only a positive `IN` where
/// NULL counts as false, and `column NOT IN (…)` as a condition of its own. It also reads
/// `EXISTS (SELECT max(y) … WHERE y = outer.x)` as if the aggregate had no row over no rows.
pub fn correct_filter(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = node else { return Ok(Transformed::no(node)) };
    let has_subquery = filter
        .predicate
        .exists(|part| Ok(matches!(part, Expr::InSubquery(_) | Expr::Exists(_))))?;
    if !has_subquery {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let Filter { predicate, input, .. } = filter;
    let predicate = correct(predicate, Place::Condition)?;
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
}

/// What a result may be confused with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One of the conditions that must all be true: NULL is as good as false.
    Condition,
    /// Below OR: the same, but no longer a condition of its own.
    Alternative,
    /// NULL and false differ.
    Value,
}

fn correct(expression: Expr, place: Place) -> Result<Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let (left, right) = (correct(*left, place)?, correct(*right, place)?);
            Ok(left.and(right))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) if place != Place::Value => {
            let left = correct(*left, Place::Alternative)?;
            Ok(left.or(correct(*right, Place::Alternative)?))
        }
        Expr::Not(operand) => match *operand {
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                correct(Expr::InSubquery(InSubquery::new(expr, subquery, !negated)), place)
            }
            other => Ok(Expr::Not(Box::new(correct(other, Place::Value)?))),
        },
        other if matches!(other, Expr::InSubquery(_)) => correct_one(other, place),
        other => {
            Ok(other.transform_up(|part| Ok(Transformed::yes(correct_one(part, Place::Value)?)))?.data)
        }
    }
}

fn correct_one(expression: Expr, place: Place) -> Result<Expr> {
    match expression {
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            refuse_counting(&subquery)?;
            let is_correlated = !subquery.outer_ref_columns.is_empty();
            let is_right = match (negated, place) {
                (false, Place::Condition | Place::Alternative) => true,
                (true, Place::Condition) => matches!(*expr, Expr::Column(_)) && !is_correlated,
                (true, Place::Alternative) | (_, Place::Value) => false,
            };
            if is_right {
                return Ok(Expr::InSubquery(InSubquery::new(expr, subquery, negated)));
            }
            // The engine takes `= ANY` apart into what exists and what is NULL.
            let any = Expr::SetComparison(SetComparison::new(
                expr,
                subquery,
                Operator::Eq,
                SetQuantifier::Any,
            ));
            Ok(if negated { Expr::Not(Box::new(any)) } else { any })
        }
        Expr::Exists(Exists { subquery, negated }) => {
            if !subquery.outer_ref_columns.is_empty() {
                if always_has_a_row(&subquery.subquery) {
                    return Ok(lit(!negated));
                }
                refuse_counting(&subquery)?;
            }
            Ok(Expr::Exists(Exists { subquery, negated }))
        }
        other => Ok(other),
    }
}

/// An aggregate without GROUP BY has one row, whatever it reads.
fn always_has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => always_has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => always_has_a_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && always_has_a_row(&sort.input),
        _ => false,
    }
}

/// Refuses what decorrelation counts over all rows together in the place of each row's own: an
/// aggregate without GROUP BY, an OFFSET.
fn refuse_counting(subquery: &Subquery) -> Result<()> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(());
    }
    let mut is_counting = false;
    subquery.subquery.apply(|node| {
        let counts = match node {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
            LogicalPlan::Limit(limit) => limit.skip.is_some(),
            LogicalPlan::Window(_) => true,
            _ => false,
        };
        if counts && node.exists(|below| Ok(below.contains_outer_reference()))? {
            is_counting = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if is_counting {
        return not_impl_err!(
            "a correlated subquery of EXISTS or IN can't have an aggregate, a window function or OFFSET \
             above its correlation"
        );
    }
    Ok(())
}
