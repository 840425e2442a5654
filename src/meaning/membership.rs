//! `IN` and `NOT IN` over NULL, around a simplifier that forgets it.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    error::DataFusionError,
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs,
        ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, expr::InList,
        expr::ScalarFunction, expr_rewriter::NamePreserver, lit,
    },
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};

/// Runs the engine's `simplify_expressions` (DataFusion 55.2) with lists kept apart.
///
/// By itself it makes `x IN (1, 2) AND x IN (3, 4)` false and `x NOT IN (1) OR x NOT IN (2)` true,
/// where both are NULL for a NULL; below NOT, or among the columns of an answer, that is wrong. Lists
/// meet only if they are about equal expressions, so where one expression has two lists, each gets a
/// mark that makes it different, for as long as the simplifier runs.
#[derive(Debug)]
pub struct SimplifyApart {
    simplify: Arc<dyn OptimizerRule + Send + Sync>,
}

impl SimplifyApart {
    pub fn new(simplify: Arc<dyn OptimizerRule + Send + Sync>) -> Self {
        Self { simplify }
    }
}

impl OptimizerRule for SimplifyApart {
    fn name(&self) -> &str {
        self.simplify.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.simplify.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let marked = map_roots(plan, mark)?;
        if !marked.transformed {
            return self.simplify.rewrite(marked.data, config);
        }
        let simplified = self.simplify.rewrite(marked.data, config)?;
        let is_changed = simplified.transformed;
        let plain = map_roots(simplified.data, unmark)?;
        Ok(Transformed::new_transformed(plain.data, is_changed))
    }
}

fn map_roots(
    plan: LogicalPlan,
    change: impl Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expression| {
        let name = names.save(&expression);
        Ok(change(expression)?.update_data(|expression| name.restore(expression)))
    })
}

/// What a list or an equation is about, if it is one that the simplifier merges with others.
fn subject(expression: &Expr) -> Option<&Expr> {
    match expression {
        Expr::InList(InList { expr, .. }) => Some(expr),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq | Operator::NotEq, right }) => {
            match (left.as_ref(), right.as_ref()) {
                (column @ Expr::Column(_), Expr::Literal(..))
                | (Expr::Literal(..), column @ Expr::Column(_)) => Some(column),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Puts a mark around the subject of each list whose subject has several.
fn mark(expression: Expr) -> Result<Transformed<Expr>> {
    let mut subjects: Vec<&Expr> = Vec::new();
    let mut has_list = false;
    expression.apply(|part| {
        has_list |= matches!(part, Expr::InList(_));
        subjects.extend(subject(part));
        Ok(TreeNodeRecursion::Continue)
    })?;
    // Two equations under OR become a list as well.
    let is_quiet = subjects.len() < 2 || !(has_list || subjects.len() >= 4);
    let repeated: Vec<Expr> = match is_quiet {
        true => Vec::new(),
        false => subjects
            .iter()
            .enumerate()
            .filter(|(index, subject)| subjects[..*index].contains(subject))
            .map(|(_, subject)| Expr::clone(subject))
            .collect(),
    };
    if repeated.is_empty() {
        return Ok(Transformed::no(expression));
    }
    let mut marks = 0;
    expression.transform_up(|part| {
        if !subject(&part).is_some_and(|subject| repeated.contains(subject)) {
            return Ok(Transformed::no(part));
        }
        marks += 1;
        Ok(Transformed::yes(match part {
            Expr::InList(InList { expr, list, negated }) => {
                Expr::InList(InList::new(Box::new(marked(*expr, marks)), list, negated))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let [left, right] = [*left, *right].map(|side| match side {
                    Expr::Column(_) => marked(side, marks),
                    other => other,
                });
                Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
            }
            other => other,
        }))
    })
}

fn unmark(expression: Expr) -> Result<Transformed<Expr>> {
    expression.transform_up(|part| match part {
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if func.name() == MARK && !args.is_empty() =>
        {
            Ok(Transformed::yes(args.swap_remove(0)))
        }
        other => Ok(Transformed::no(other)),
    })
}

const MARK: &str = "weir_apart";

fn marked(expression: Expr, number: i64) -> Expr {
    let function = Apart { signature: Signature::any(2, Volatility::Immutable) };
    ScalarUDF::from(function).call(vec![expression, lit(number)])
}

/// Its first argument. The second tells it from others; it never runs.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Apart {
    signature: Signature,
}

impl ScalarUDFImpl for Apart {
    fn name(&self) -> &str {
        MARK
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [first, ..] => Ok(first.clone()),
            [] => Err(DataFusionError::Internal(format!("{MARK} has no argument"))),
        }
    }

    fn return_field_from_args(
        &self,
        args: ReturnFieldArgs<'_>,
    ) -> Result<datafusion::arrow::datatypes::FieldRef> {
        match args.arg_fields {
            [first, ..] => Ok(Arc::clone(first)),
            [] => Err(DataFusionError::Internal(format!("{MARK} has no argument"))),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
