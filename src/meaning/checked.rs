//! Values that the engine computes otherwise than PostgreSQL, once every type is known.

use std::sync::Arc;

use datafusion::{
    common::{
        DFSchema, Result,
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, expr_rewriter::NamePreserver,
        utils::merge_schema,
    },
    optimizer::{Analyzer, AnalyzerRule},
};
use weir_udfs::{Arithmetic, arithmetic, is_checked_type};

/// The engine's own rules (they settle the types), and ours after them.
pub fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.push(Arc::new(CheckValues));
    rules
}

#[derive(Debug)]
struct CheckValues;

impl AnalyzerRule for CheckValues {
    fn name(&self) -> &str {
        "weir_check_values"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(check_node)?.data)
    }
}

fn check_node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&node.inputs());
    if let LogicalPlan::TableScan(scan) = &node {
        schema = DFSchema::clone(&scan.projected_schema);
    }
    let names = NamePreserver::new(&node);
    node.map_expressions(|expression| {
        let name = names.save(&expression);
        let checked = expression.transform_up(|expression| check(expression, &schema))?;
        Ok(checked.update_data(|expression| name.restore(expression)))
    })
}

fn check(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (operator, operands) = match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match checked_operator(op) {
            Some(operator) if is_checked(&left, schema) && is_checked(&right, schema) => {
                (operator, vec![*left, *right])
            }
            _ => {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            }
        },
        // A literal's sign was read with it, so that the smallest integer is one.
        Expr::Negative(operand) if is_checked(&operand, schema) => {
            (Arithmetic::Negate, vec![*operand])
        }
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(arithmetic(operator).call(operands)))
}

const fn checked_operator(operator: Operator) -> Option<Arithmetic> {
    match operator {
        Operator::Plus => Some(Arithmetic::Add),
        Operator::Minus => Some(Arithmetic::Subtract),
        Operator::Multiply => Some(Arithmetic::Multiply),
        Operator::Divide => Some(Arithmetic::Divide),
        Operator::Modulo => Some(Arithmetic::Remainder),
        _ => None,
    }
}

fn is_checked(expression: &Expr, schema: &DFSchema) -> bool {
    expression.get_type(schema).is_ok_and(|data_type| is_checked_type(&data_type))
}
