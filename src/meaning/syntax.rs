//! Trees that sqlparser (0.62) builds otherwise than PostgreSQL's grammar, and forms that the engine
//! reads with another meaning.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, CastKind, CharacterLength, DataType, Expr, Function, Query, SetExpr,
        SetOperator, SetQuantifier, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use crate::error::{Error, ErrorKind, Result};

/// Corrects a statement, or one expression; refuses what would be answered wrongly.
pub fn correct_syntax(tree: &mut impl VisitMut) -> Result<()> {
    let _: ControlFlow<()> = tree.visit(&mut Regroup);
    match tree.visit(&mut Reword) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Writes a form in the words of another that the engine reads rightly.
struct Reword;

impl VisitorMut for Reword {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        refuse_all(&query.body)
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Error> {
        match reword(expression) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The engine forgets how often a row occurs.
fn refuse_all(body: &SetExpr) -> ControlFlow<Error> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else {
        return ControlFlow::Continue(());
    };
    let is_counted = matches!(op, SetOperator::Except | SetOperator::Intersect);
    if is_counted && matches!(set_quantifier, SetQuantifier::All) {
        return ControlFlow::Break(unsupported(format!("{op} ALL")));
    }
    refuse_all(left)?;
    refuse_all(right)
}

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotSupported, format!("{what} is not supported"))
}

fn reword(expression: &mut Expr) -> Result<()> {
    match expression {
        Expr::SimilarTo { .. } => return Err(unsupported("SIMILAR TO")),
        Expr::AtTimeZone { .. } => return Err(unsupported("AT TIME ZONE")),
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            let Some(escape) = escape_char.take() else { return Ok(()) };
            let escape = escape.value.into_string().unwrap_or_default();
            match pattern.as_mut() {
                Expr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(pattern), ..
                }) => {
                    *pattern = with_backslash(pattern, &escape)?;
                }
                other => {
                    let computed = std::mem::replace(other, placeholder());
                    *other = super::pattern::escaped(computed, escape);
                }
            }
        }
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::HexStringLiteral(_) | Value::SingleQuotedByteStringLiteral(_) => {
                return Err(unsupported("a bit string"));
            }
            Value::Number(digits, _) if is_beyond_decimals(digits) => {
                let text = Value::SingleQuotedString(std::mem::take(digits));
                *expression = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(Expr::Value(text.into())),
                    data_type: DataType::DoublePrecision,
                    array: false,
                    format: None,
                };
            }
            _ => {}
        },
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
            let (function, length) = match &*data_type {
                DataType::Varchar(Some(length))
                | DataType::CharacterVarying(Some(length))
                | DataType::CharVarying(Some(length)) => ("varchar", length_of(length)),
                DataType::Char(length) | DataType::Character(length) => {
                    ("bpchar", length.as_ref().map_or(Some(1), length_of))
                }
                DataType::Timestamp(Some(precision), _) if *precision != 6 => {
                    return Err(unsupported(data_type));
                }
                _ => return Ok(()),
            };
            let Some(length) = length else { return Err(unsupported(data_type)) };
            let inner = std::mem::replace(expr.as_mut(), placeholder());
            *expression = shortened(function, inner, length)?;
        }
        Expr::BinaryOp { left, op, right } => {
            if let (Expr::Tuple(left), Expr::Tuple(right)) = (left.as_mut(), right.as_mut()) {
                let (left, right) = (std::mem::take(left), std::mem::take(right));
                *expression = compare_rows(left, op, right)?;
            }
        }
        Expr::InList { expr, list, negated } => {
            let Expr::Tuple(fields) = expr.as_ref() else { return Ok(()) };
            let mut any: Option<Expr> = None;
            for item in std::mem::take(list) {
                let Expr::Tuple(item) = item else { return Err(unsupported("this row")) };
                let equal = compare_rows(fields.clone(), &BinaryOperator::Eq, item)?;
                any = Some(match any {
                    None => equal,
                    Some(any) => binary(any, BinaryOperator::Or, equal),
                });
            }
            let Some(any) = any else { return Err(unsupported("an empty list of rows")) };
            *expression = match negated {
                true => Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(Expr::Nested(Box::new(any))),
                },
                false => Expr::Nested(Box::new(any)),
            };
        }
        _ => {}
    }
    Ok(())
}

/// The same pattern, escaped by the backslash that the engine knows.
pub(super) fn with_backslash(pattern: &str, escape: &str) -> Result<String> {
    let mut characters = escape.chars();
    let escape = characters.next();
    if characters.next().is_some() {
        let error = Error::new(ErrorKind::InvalidEscape, "invalid escape string");
        return Err(error.with_hint("Escape string must be empty or one character."));
    }
    let mut written = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            let Some(escaped) = characters.next() else {
                return Err(Error::new(
                    ErrorKind::InvalidEscape,
                    "LIKE pattern must not end with escape character",
                ));
            };
            written.push('\\');
            written.push(escaped);
        } else if character == '\\' {
            written.push_str("\\\\");
        } else {
            written.push(character);
        }
    }
    Ok(written)
}

/// Decimals end at 76 digits; what is larger can only be meant as a double precision.
fn is_beyond_decimals(digits: &str) -> bool {
    let exponent = digits.split_once(['e', 'E']).map(|(_, exponent)| exponent);
    exponent.is_some_and(|exponent| {
        exponent.parse::<i32>().map_or(true, |exponent| !(-60..=60).contains(&exponent))
    })
}

fn length_of(length: &CharacterLength) -> Option<u64> {
    match length {
        CharacterLength::IntegerLength { length, .. } => Some(*length),
        CharacterLength::Max => None,
    }
}

/// `varchar(x::text, n)`: the name is that of the type, as PostgreSQL names the column of a cast.
fn shortened(function: &str, inner: Expr, length: u64) -> Result<Expr> {
    let mut call = parse(&format!("{function}(CAST(NULL AS text), {length})"))?;
    let argument = match &mut call {
        Expr::Function(Function { args, .. }) => first_cast(args),
        _ => None,
    };
    match argument {
        Some(argument) => *argument = inner,
        None => return Err(Error::internal("a template has no argument")),
    }
    Ok(call)
}

fn first_cast(args: &mut datafusion::sql::sqlparser::ast::FunctionArguments) -> Option<&mut Expr> {
    use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    let FunctionArguments::List(list) = args else { return None };
    match list.args.first_mut()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { expr, .. })) => Some(expr),
        _ => None,
    }
}

fn parse(sql: &str) -> Result<Expr> {
    Parser::new(&PostgreSqlDialect {})
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(Error::internal)
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// Field by field: a NULL in one makes the comparison NULL, unless another decides it.
fn compare_rows(left: Vec<Expr>, op: &BinaryOperator, right: Vec<Expr>) -> Result<Expr> {
    let joined_by = match op {
        BinaryOperator::Eq => BinaryOperator::And,
        BinaryOperator::NotEq => BinaryOperator::Or,
        _ => return Err(unsupported(format!("a comparison of rows by {op}"))),
    };
    if left.len() != right.len() || left.is_empty() {
        return Err(Error::new(ErrorKind::Syntax, "unequal number of entries in row expressions"));
    }
    let whole = left
        .into_iter()
        .zip(right)
        .map(|(left, right)| binary(left, op.clone(), right))
        .reduce(|whole, field| binary(whole, joined_by.clone(), field));
    match whole {
        Some(whole) => Ok(Expr::Nested(Box::new(whole))),
        None => Err(Error::internal("a row has no fields")),
    }
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
    Expr::Value(Value::Null.into())
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
            (
                "a AND x IS DISTINCT FROM 1 AND b OR c",
                "(a AND ((x IS DISTINCT FROM 1) AND b)) OR c",
            ),
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
            correct_syntax(&mut found).unwrap();
            let mut expected = parse(expected);
            correct_syntax(&mut expected).unwrap();
            assert_eq!(grouped(found), grouped(expected), "{sql}");
        }
    }

    #[test]
    fn forms_are_reworded_or_refused() {
        let cases = [
            ("x LIKE 'a!%b' ESCAPE '!'", Some("x LIKE 'a\\%b'")),
            ("x LIKE 'a\\b!!' ESCAPE '!'", Some("x LIKE 'a\\\\b\\!'")),
            ("x LIKE 'a\\%' ESCAPE ''", Some("x LIKE 'a\\\\%'")),
            ("x LIKE 'a!' ESCAPE '!'", None),
            ("x LIKE y ESCAPE '!'", Some("x LIKE weir_like_pattern(y, '!')")),
            ("x SIMILAR TO 'a'", None),
            ("x AT TIME ZONE 'UTC'", None),
            ("X'1F'", None),
            ("1e300", Some("CAST('1e300' AS DOUBLE PRECISION)")),
            ("1e30", Some("1e30")),
            ("x::varchar(2)", Some("varchar(CAST(x AS text), 2)")),
            ("CAST(x AS char)", Some("bpchar(CAST(x AS text), 1)")),
            ("(a, b) = (c, d)", Some("(a = c AND b = d)")),
            ("(a, b) IN ((1, 2), (3, 4))", Some("((a = 1 AND b = 2) OR (a = 3 AND b = 4))")),
            ("(a, b) < (c, d)", None),
        ];
        for (sql, expected) in cases {
            let mut found = parse(sql);
            let found = correct_syntax(&mut found).ok().map(|()| found.to_string().to_lowercase());
            assert_eq!(found, expected.map(str::to_lowercase), "{sql}");
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
