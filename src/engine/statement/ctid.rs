//! DuckDB reads a table in parts by where its rows lie (`ctid`), and a table of one part so:
//! `ctid BETWEEN '(0,0)'::tid AND '(4294967295,0)'::tid`. That is true of every row of every table,
//! and the only thing that is said of `ctid` here; any other use meets a column that is not there.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Query, Select, SetExpr, TableFactor, Value, VisitMut,
    VisitorMut,
};

const FIRST: &str = "(0,0)";
const LAST: &str = "(4294967295,0)";

/// Takes the condition out of every query of one table that asks it of all rows.
pub fn forget_ctid(tree: &mut impl VisitMut) {
    let _: ControlFlow<()> = tree.visit(&mut Forget);
}

struct Forget;

impl VisitorMut for Forget {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            in_select(select);
        }
        ControlFlow::Continue(())
    }
}

/// An outer join makes rows that lie nowhere, and a subquery has no places: one plain table only.
fn in_select(select: &mut Select) {
    let [from] = select.from.as_slice() else { return };
    let TableFactor::Table { args: None, .. } = from.relation else { return };
    if !from.joins.is_empty() {
        return;
    }
    if let Some(condition) = select.selection.take() {
        select.selection = without(condition);
    }
}

/// A chain of AND without those that are true of every row.
fn without(condition: Expr) -> Option<Expr> {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            match (without(*left), without(*right)) {
                (Some(left), Some(right)) => Some(Expr::BinaryOp {
                    left: Box::new(left),
                    op: BinaryOperator::And,
                    right: Box::new(right),
                }),
                (left, right) => left.or(right),
            }
        }
        condition if is_of_all_rows(&condition) => None,
        condition => Some(condition),
    }
}

fn is_of_all_rows(condition: &Expr) -> bool {
    let Expr::Between { expr, negated: false, low, high } = condition else { return false };
    let Expr::Identifier(column) = expr.as_ref() else { return false };
    column.value == "ctid" && is_place(low, FIRST) && is_place(high, LAST)
}

fn is_place(expression: &Expr, place: &str) -> bool {
    let Expr::Cast { expr, data_type: DataType::Custom(name, arguments), .. } = expression else {
        return false;
    };
    let Expr::Value(value) = expr.as_ref() else { return false };
    matches!(&value.value, Value::SingleQuotedString(text) if text == place)
        && arguments.is_empty()
        && name.to_string().eq_ignore_ascii_case("tid")
}
