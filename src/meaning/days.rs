//! Days compared with moments.

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{
        DFSchema, Result, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, expr_rewriter::NamePreserver, lit,
    },
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};

/// Compares a date with a day where it was compared, as a timestamp, with that day's midnight:
/// `d < DATE '1995-01-01' + INTERVAL '1 month'`. No row is cast then, and sources and statistics of
/// files know what is asked. A date beyond all timestamps is compared too, as PostgreSQL does.
#[derive(Debug)]
pub(super) struct CompareDays;

const MICROSECONDS_OF_DAY: i64 = 86_400_000_000;

impl OptimizerRule for CompareDays {
    fn name(&self) -> &str {
        "weir_compare_days"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let schema = super::input_schema(&plan);
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expression| {
            let name = names.save(&expression);
            let compared =
                expression.transform_up(|expression| Ok(compare(expression, &schema)))?;
            Ok(compared.update_data(|expression| name.restore(expression)))
        })
    }
}

fn compare(expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expression else {
        return Transformed::no(expression);
    };
    let found = match op.swap() {
        Some(swapped) => day_of(&left, schema)
            .zip(midnight(&right))
            .map(|(day, moment)| (day, op, moment))
            .or_else(|| Some((day_of(&right, schema)?, swapped, midnight(&left)?))),
        None => None,
    };
    match found {
        Some((day, op, midnight)) => Transformed::yes(Expr::BinaryExpr(BinaryExpr {
            left: Box::new(day.clone()),
            op,
            right: Box::new(lit(ScalarValue::Date32(Some(midnight)))),
        })),
        None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
    }
}

/// The date of which an expression is the midnight.
fn day_of<'a>(expression: &'a Expr, schema: &DFSchema) -> Option<&'a Expr> {
    match expression {
        Expr::Cast(Cast { expr, field })
            if *field.data_type() == DataType::Timestamp(TimeUnit::Microsecond, None) =>
        {
            let data_type = expr.get_type(schema).ok()?;
            (data_type == DataType::Date32).then_some(expr)
        }
        _ => None,
    }
}

/// The day at whose beginning a moment is.
fn midnight(expression: &Expr) -> Option<i32> {
    match expression {
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(moment), None), _)
            if moment % MICROSECONDS_OF_DAY == 0 =>
        {
            i32::try_from(moment / MICROSECONDS_OF_DAY).ok()
        }
        _ => None,
    }
}
