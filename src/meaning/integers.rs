//! Integer constants: `1` is an integer in PostgreSQL, and a bigint to the engine.

use std::ops::ControlFlow;

use datafusion::{
    arrow::datatypes::DataType as ArrowType,
    common::ScalarValue,
    logical_expr::{Cast, Expr as Plan},
    sql::sqlparser::ast::{
        CastKind, DataType, Distinct, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, LimitClause,
        NamedWindowExpr, OrderByKind, Query, Select, Statement, TableFactor, UnaryOperator, Value,
        VisitMut, VisitorMut, WindowFrameBound, WindowSpec, WindowType,
    },
};

/// Casts every integer constant that fits to integer. Those that stand for a position or a number of
/// rows are left alone, and so are the arguments of table functions, which the engine reads itself.
pub fn type_integers(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut TypeIntegers);
}

/// The constant inside such a cast.
pub fn folded(cast: &Cast) -> Option<Plan> {
    match (cast.expr.as_ref(), cast.field.data_type()) {
        (Plan::Literal(ScalarValue::Int64(Some(value)), metadata), ArrowType::Int32) => {
            let value = i32::try_from(*value).ok()?;
            Some(Plan::Literal(ScalarValue::Int32(Some(value)), metadata.clone()))
        }
        _ => None,
    }
}

struct TypeIntegers;

impl VisitorMut for TypeIntegers {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Value(value) if fits(&value.value, false) => mark(expression),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                unmark(expr);
                if matches!(expr.as_ref(), Expr::Value(value) if fits(&value.value, true)) {
                    mark(expression);
                }
            }
            Expr::Function(function) => {
                if let Some(WindowType::WindowSpec(window)) = &mut function.over {
                    unmark_window(window);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for key in keys {
                match key {
                    Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                        sets.iter_mut().flatten().for_each(unmark);
                    }
                    key => unmark(key),
                }
            }
        }
        if let Some(Distinct::On(keys)) = &mut select.distinct {
            keys.iter_mut().for_each(unmark);
        }
        for window in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(window) = &mut window.1 {
                unmark_window(window);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            keys.iter_mut().for_each(|key| unmark(&mut key.expr));
        }
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter_mut().for_each(unmark_all);
                offset.iter_mut().for_each(|offset| unmark_all(&mut offset.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                unmark_all(offset);
                unmark_all(limit);
            }
            None => {}
        }
        if let Some(quantity) = query.fetch.as_mut().and_then(|fetch| fetch.quantity.as_mut()) {
            unmark_all(quantity);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let arguments = match factor {
            TableFactor::Table { args: Some(arguments), .. } => &mut arguments.args,
            TableFactor::Function { args, .. } => args,
            _ => return ControlFlow::Continue(()),
        };
        for argument in arguments {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) = argument {
                unmark_all(expression);
            }
        }
        ControlFlow::Continue(())
    }
}

/// A type that no statement names in this way tells our casts from a client's.
const MARK: DataType = DataType::Int4(Some(32));

fn fits(value: &Value, is_negative: bool) -> bool {
    let Value::Number(digits, _) = value else { return false };
    let bound = i64::from(i32::MAX) + i64::from(is_negative);
    digits.bytes().all(|it| it.is_ascii_digit())
        && digits.parse::<i64>().is_ok_and(|value| value <= bound)
}

fn mark(expression: &mut Expr) {
    let constant = std::mem::replace(expression, Expr::Value(Value::Null.into()));
    *expression = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(constant),
        data_type: MARK,
        array: false,
        format: None,
    };
}

fn unmark(expression: &mut Expr) {
    if let Expr::Cast { expr, data_type, .. } = expression
        && *data_type == MARK
    {
        *expression = std::mem::replace(expr.as_mut(), Expr::Value(Value::Null.into()));
    }
}

fn unmark_all(expression: &mut Expr) {
    struct Unmark;
    impl VisitorMut for Unmark {
        type Break = ();

        fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            unmark(expression);
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = expression.visit(&mut Unmark);
}

fn unmark_window(window: &mut WindowSpec) {
    let Some(frame) = &mut window.window_frame else { return };
    for bound in std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound) {
        if let WindowFrameBound::Preceding(Some(count)) | WindowFrameBound::Following(Some(count)) =
            bound
        {
            unmark_all(count);
        }
    }
}
