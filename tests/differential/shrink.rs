//! Makes a failing query smaller for as long as it fails: drops clauses, joins and items, and puts
//! parts of an expression in its place.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        Distinct, Expr, GroupByExpr, JoinConstraint, JoinOperator, LimitClause, Query, Select, SetExpr,
        Statement, Value, VisitMut, VisitorMut, visit_expressions,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

/// More attempts than this do not make a much smaller query.
const ATTEMPTS: usize = 400;

/// The smallest query found for which `fails` holds.
pub async fn shrink(sql: &str, mut fails: impl AsyncFnMut(&str) -> bool) -> String {
    let Some(mut best) = parse(sql) else { return sql.to_owned() };
    if !fails(&best.to_string()).await {
        return sql.to_owned();
    }
    let mut attempts = 0;
    let mut place = 0;
    // A pass that changes nothing ends it.
    let mut is_changed = false;
    while attempts < ATTEMPTS {
        let mut candidate = best.clone();
        let mut editor = Editor { place, met: 0, is_done: false, fixed_select: false, windows: 0 };
        let _ = candidate.visit(&mut editor);
        if !editor.is_done {
            if !is_changed {
                break;
            }
            (place, is_changed) = (0, false);
            continue;
        }
        let text = candidate.to_string();
        let is_smaller = text.len() < best.to_string().len();
        attempts += usize::from(is_smaller);
        if is_smaller && parse(&text).is_some() && fails(&text).await {
            (best, is_changed) = (candidate, true);
        } else {
            place += 1;
        }
    }
    best.to_string()
}

fn parse(sql: &str) -> Option<Statement> {
    Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.pop()
}

/// Counts the possible edits, and does the one at `place`.
struct Editor {
    place: usize,
    met: usize,
    is_done: bool,
    /// The next list of columns stays as it is.
    fixed_select: bool,
    /// Windows around the expression that is visited.
    windows: usize,
}

impl Editor {
    fn is_here(&mut self) -> bool {
        let is_here = !self.is_done && self.met == self.place;
        self.met += 1;
        self.is_done |= is_here;
        is_here
    }
}

impl VisitorMut for Editor {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if query.with.is_some() && self.is_here() {
            query.with = None;
        }
        if query.limit_clause.is_some() && self.is_here() {
            query.limit_clause = None;
        }
        let is_loose = query.limit_clause.is_none() && !is_distinct_on(&query.body);
        if query.order_by.is_some() && is_loose && self.is_here() {
            query.order_by = None;
        }
        if !is_loose {
            // Its order is total: with other columns it might not be.
            self.fixed_select = true;
        }
        if let Some(LimitClause::LimitOffset { offset: offset @ Some(_), .. }) =
            &mut query.limit_clause
            && self.is_here()
        {
            *offset = None;
        }
        if let SetExpr::SetOperation { left, right, .. } = query.body.as_ref() {
            let (left, right) = (left.clone(), right.clone());
            if self.is_here() {
                query.body = left;
            } else if self.is_here() {
                query.body = right;
            }
        }
        if let SetExpr::Query(inner) = query.body.as_ref()
            && query.order_by.is_none()
            && query.with.is_none()
        {
            let inner = inner.clone();
            if self.is_here() {
                *query = *inner;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let is_fixed = std::mem::take(&mut self.fixed_select);
        if select.distinct.is_some() && self.is_here() {
            select.distinct = None;
        }
        if select.selection.is_some() && self.is_here() {
            select.selection = None;
        }
        if select.having.is_some() && self.is_here() {
            select.having = None;
        }
        for index in 0..select.projection.len() {
            if !is_fixed && select.projection.len() > 1 && self.is_here() {
                let removed = select.projection.remove(index);
                // With the key of the group that it shows.
                if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
                    keys.retain(|key| !removed.to_string().starts_with(&format!("{key} AS")));
                }
                return ControlFlow::Continue(());
            }
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for index in 0..keys.len() {
                if self.is_here() {
                    keys.remove(index);
                    return ControlFlow::Continue(());
                }
            }
        }
        for from in &mut select.from {
            for index in 0..from.joins.len() {
                if self.is_here() {
                    from.joins.remove(index);
                    return ControlFlow::Continue(());
                }
                if self.is_here() {
                    let join = from.joins.remove(index);
                    from.relation = join.relation;
                    return ControlFlow::Continue(());
                }
                let operator = &mut from.joins[index].join_operator;
                if let Some(constraint) = outer(operator)
                    && self.is_here()
                {
                    *operator = JoinOperator::Join(constraint);
                    return ControlFlow::Continue(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.is_done {
            return ControlFlow::Break(());
        }
        // As before: the order of a window decides what it answers.
        if self.windows > 0 {
            self.windows += usize::from(is_window(expr));
            return ControlFlow::Continue(());
        }
        if matches!(expr, Expr::Value(_) | Expr::Identifier(_)) {
            return ControlFlow::Continue(());
        }
        let mut parts = Vec::new();
        let _ = visit_expressions(expr, |part| {
            if part != expr {
                parts.push(part.clone());
            }
            ControlFlow::<()>::Continue(())
        });
        let constants = [Value::Null, Value::Boolean(true), Value::Boolean(false)];
        parts.truncate(12);
        parts.extend(constants.into_iter().map(|value| Expr::Value(value.into())));
        for part in parts {
            if self.is_here() {
                *expr = part;
                return ControlFlow::Break(());
            }
        }
        if is_window(expr) {
            self.windows += 1;
            return ControlFlow::Continue(());
        }
        let list = match expr {
            Expr::InList { list, .. } => list,
            _ => return ControlFlow::Continue(()),
        };
        for index in 0..list.len() {
            if list.len() > 1 && self.is_here() {
                list.remove(index);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.windows -= usize::from(is_window(expr) && self.windows > 0);
        ControlFlow::Continue(())
    }
}

fn is_window(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if function.over.is_some())
}

fn is_distinct_on(body: &SetExpr) -> bool {
    matches!(body, SetExpr::Select(select) if matches!(select.distinct, Some(Distinct::On(_))))
}

fn outer(operator: &JoinOperator) -> Option<JoinConstraint> {
    match operator {
        JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn a_query_shrinks_to_what_fails() {
    let sql = "SELECT a.x + 1 AS c, max(b.y) AS d FROM a LEFT JOIN b ON a.k = b.k JOIN c ON c.k = a.k \
               WHERE a.x > 1 AND (b.y IN (1, 2, NULL) OR NOT a.z) GROUP BY a.x + 1 ORDER BY 1 LIMIT 3";
    let small = shrink(sql, async |sql: &str| sql.contains("IN (")).await;
    assert!(small.len() < 60 && small.contains("IN ("), "{small}");
}
