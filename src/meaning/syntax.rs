//! Trees that sqlparser (0.62) builds otherwise than PostgreSQL's grammar.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, VisitMut, VisitorMut};

/// Corrects the operators of a statement, or of one expression.
pub fn correct_syntax(tree: &mut impl VisitMut) {
    let _: ControlFlow<()> = tree.visit(&mut Regroup);
}

/// `x IS DISTINCT FROM y AND z` is read as `x IS DISTINCT FROM (y AND z)`, and `-2 ^ 2` as `-(2 ^ 2)`.
/// Parentheses that were written are nodes of their own, so that these shapes have one origin.
struct Regroup;

impl VisitorMut for Regroup {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let taken = std::mem::replace(expression, placeholder());
        *expression = match taken {
            Expr::IsDistinctFrom(left, right) if is_logical(&right) => {
                under_leftmost(*right, |right| Expr::IsDistinctFrom(left, Box::new(right)))
            }
            Expr::IsNotDistinctFrom(left, right) if is_logical(&right) => {
                under_leftmost(*right, |right| Expr::IsNotDistinctFrom(left, Box::new(right)))
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } if is_logical(&expr) => {
                under_leftmost(*expr, |expr| Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(expr),
                })
            }
            Expr::BinaryOp { left, op: BinaryOperator::And, right } if is_or(&right) => {
                and_under_or(left, *right)
            }
            Expr::UnaryOp { op, expr }
                if matches!(op, UnaryOperator::Minus | UnaryOperator::Plus) && is_power(&expr) =>
            {
                sign_under_power(op, *expr)
            }
            other => other,
        };
        ControlFlow::Continue(())
    }
}

fn placeholder() -> Expr {
    Expr::Value(datafusion::sql::sqlparser::ast::Value::Null.into())
}

fn is_logical(expression: &Expr) -> bool {
    use BinaryOperator::{And, Or};
    matches!(expression, Expr::BinaryOp { op: And | Or, .. })
}

fn is_or(expression: &Expr) -> bool {
    matches!(expression, Expr::BinaryOp { op: BinaryOperator::Or, .. })
}

fn is_power(expression: &Expr) -> bool {
    use BinaryOperator::{BitwiseXor, PGExp};
    matches!(expression, Expr::BinaryOp { op: PGExp | BitwiseXor, .. })
}

/// Wraps the first operand of a chain of AND and OR.
fn under_leftmost(chain: Expr, wrap: impl FnOnce(Expr) -> Expr) -> Expr {
    match chain {
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            Expr::BinaryOp { left: Box::new(under_leftmost(*left, wrap)), op, right }
        }
        other => wrap(other),
    }
}

/// `a AND (b OR c)` without written parentheses is `(a AND b) OR c`.
fn and_under_or(first: Box<Expr>, chain: Expr) -> Expr {
    match chain {
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => Expr::BinaryOp {
            left: Box::new(and_under_or(first, *left)),
            op: BinaryOperator::Or,
            right,
        },
        other => Expr::BinaryOp { left: first, op: BinaryOperator::And, right: Box::new(other) },
    }
}

fn sign_under_power(sign: UnaryOperator, chain: Expr) -> Expr {
    match chain {
        Expr::BinaryOp {
            left,
            op: op @ (BinaryOperator::PGExp | BinaryOperator::BitwiseXor),
            right,
        } => Expr::BinaryOp { left: Box::new(sign_under_power(sign, *left)), op, right },
        other => Expr::UnaryOp { op: sign, expr: Box::new(other) },
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    use super::correct_syntax;

    fn parse(sql: &str) -> datafusion::sql::sqlparser::ast::Expr {
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
        parser.parse_expr().unwrap()
    }

    #[test]
    fn operators_bind_as_in_postgresql() {
        let cases = [
            ("x IS DISTINCT FROM 1 AND y", "(x IS DISTINCT FROM 1) AND y"),
            ("x IS NOT DISTINCT FROM 1 AND y OR z", "((x IS NOT DISTINCT FROM 1) AND y) OR z"),
            ("x IS NOT DISTINCT FROM 1 OR y AND z", "(x IS NOT DISTINCT FROM 1) OR (y AND z)"),
            ("a AND x IS DISTINCT FROM 1 OR b", "(a AND (x IS DISTINCT FROM 1)) OR b"),
            ("a AND x IS DISTINCT FROM 1 AND b OR c", "(a AND (x IS DISTINCT FROM 1) AND b) OR c"),
            ("NOT x IS DISTINCT FROM 1 AND y", "(NOT (x IS DISTINCT FROM 1)) AND y"),
            ("a OR NOT x IS DISTINCT FROM 1 AND y", "a OR ((NOT (x IS DISTINCT FROM 1)) AND y)"),
            (
                "a IS DISTINCT FROM 1 AND b IS DISTINCT FROM 2 OR c",
                "((a IS DISTINCT FROM 1) AND (b IS DISTINCT FROM 2)) OR c",
            ),
            ("x IS DISTINCT FROM (1 AND y)", "x IS DISTINCT FROM (1 AND y)"),
            ("x IS DISTINCT FROM y = z", "x IS DISTINCT FROM (y = z)"),
            ("NOT (a AND b)", "NOT (a AND b)"),
            ("a AND (b OR c)", "a AND (b OR c)"),
            ("-2 ^ 2", "(-2) ^ 2"),
            ("-a ^ 2 * 3", "((-a) ^ 2) * 3"),
        ];
        for (sql, expected) in cases {
            let mut found = parse(sql);
            correct_syntax(&mut found);
            let mut expected = parse(expected);
            correct_syntax(&mut expected);
            assert_eq!(grouped(found), grouped(expected), "{sql}");
        }
    }

    /// Every operator in parentheses, and no others.
    fn grouped(expression: datafusion::sql::sqlparser::ast::Expr) -> String {
        use datafusion::sql::sqlparser::ast::Expr;
        match expression {
            Expr::Nested(inner) => grouped(*inner),
            Expr::BinaryOp { left, op, right } => {
                format!("({} {op} {})", grouped(*left), grouped(*right))
            }
            Expr::UnaryOp { op, expr } => format!("({op} {})", grouped(*expr)),
            Expr::IsDistinctFrom(left, right) => {
                format!("({} IS DISTINCT FROM {})", grouped(*left), grouped(*right))
            }
            Expr::IsNotDistinctFrom(left, right) => {
                format!("({} IS NOT DISTINCT FROM {})", grouped(*left), grouped(*right))
            }
            other => other.to_string(),
        }
    }
}
