//! Expressions of a policy as syntax trees: read, combined, with the principal's attributes bound as
//! literals.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Value, Visit,
        VisitMut, Visitor, VisitorMut,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::Token,
};

use super::planner;
use crate::auth::Principal;

/// Deeper than anybody writes.
const MOST_DEPTH: usize = 50;

/// Reads the argument of a `filter` or `restrict` rule.
pub fn parse_predicate(text: &str) -> Result<Expr, String> {
    parse(text).map_err(|error| format!("bad predicate: {error}"))
}

/// Reads one expression, whose functions are all known. Names and types of columns are checked when
/// there is a table.
pub fn parse(text: &str) -> Result<Expr, String> {
    let mut parser = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(MOST_DEPTH)
        .try_with_sql(text)
        .map_err(|error| error.to_string())?;
    let mut expression = parser.parse_expr().map_err(|error| error.to_string())?;
    parser.expect_token(&Token::EOF).map_err(|error| error.to_string())?;
    crate::meaning::correct_syntax(&mut expression).map_err(|error| error.to_string())?;
    match Visit::visit(&expression, &mut KnownOnly) {
        ControlFlow::Continue(()) => Ok(expression),
        ControlFlow::Break(refusal) => Err(refusal),
    }
}

/// Refuses what no policy can plan, while there is a line to name.
struct KnownOnly;

impl Visitor for KnownOnly {
    type Break = String;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        ControlFlow::Break("a policy can't read another table: no subqueries".to_owned())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<String> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        let name = function.name.to_string().to_lowercase();
        let is_attribute = ATTRIBUTES.contains(&name.as_str());
        if is_attribute && call(expression).is_none() {
            return ControlFlow::Break(format!("{name} takes one text literal at most"));
        }
        if !is_attribute && !planner::is_known_function(&name) {
            let known = planner::FUNCTIONS.join(", ");
            return ControlFlow::Break(format!(
                "function {name} is not for policies, which know {}, {known}",
                ATTRIBUTES.join(", ")
            ));
        }
        ControlFlow::Continue(())
    }
}

/// What a principal brings along.
const ATTRIBUTES: &[&str] =
    &["current_user", "current_tenant", "current_attr", "current_attr_list"];

pub fn or(left: Option<Expr>, right: Expr) -> Expr {
    let right = nested(right);
    match left {
        None => right,
        Some(left) => binary(left, BinaryOperator::Or, right),
    }
}

/// A `restrict` must be true; NULL is not enough, also under an OR that somebody writes later.
pub fn and_is_true(left: Option<Expr>, right: Expr) -> Expr {
    let right = nested(Expr::IsTrue(Box::new(nested(right))));
    match left {
        None => right,
        Some(left @ Expr::Nested(_)) => binary(left, BinaryOperator::And, right),
        Some(left) => binary(nested(left), BinaryOperator::And, right),
    }
}

fn nested(expression: Expr) -> Expr {
    Expr::Nested(Box::new(expression))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// Replaces `current_user()`, `current_tenant()`, `current_attr('x')` by literals, and
/// `current_attr_list('x')` inside an IN list by its members. A missing attribute is NULL, which no
/// row equals.
pub fn bind_attributes(mut expression: Expr, principal: &Principal) -> Expr {
    let _: ControlFlow<()> = VisitMut::visit(&mut expression, &mut BindAttributes { principal });
    expression
}

struct BindAttributes<'a> {
    principal: &'a Principal,
}

impl VisitorMut for BindAttributes<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::InList { list, .. } = expression {
            *list = std::mem::take(list).into_iter().flat_map(|item| self.expand(item)).collect();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let value = match call(expression) {
            Some(("current_user", None)) => Some(self.principal.name.as_str()),
            Some(("current_tenant", None)) => Some(self.principal.tenant.as_str()),
            Some(("current_attr", Some(name))) => self.only(&name),
            _ => return ControlFlow::Continue(()),
        };
        *expression = literal(value);
        ControlFlow::Continue(())
    }
}

impl BindAttributes<'_> {
    fn expand(&self, item: Expr) -> Vec<Expr> {
        let Some(("current_attr_list", Some(name))) = call(&item) else { return vec![item] };
        match self.principal.attributes.get(&name) {
            Some(values) if !values.is_empty() => {
                values.iter().map(|value| literal(Some(value))).collect()
            }
            _ => vec![literal(None)],
        }
    }

    /// An attribute of several values has no single one: NULL, so that no row matches.
    fn only(&self, name: &str) -> Option<&str> {
        match self.principal.attributes.get(name)?.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

fn literal(text: Option<&str>) -> Expr {
    let value = match text {
        Some(text) => Value::SingleQuotedString(text.to_owned()),
        None => Value::Null,
    };
    Expr::Value(value.into())
}

/// The name of a call, and its argument if it is one text literal.
fn call(expression: &Expr) -> Option<(&'static str, Option<String>)> {
    let Expr::Function(function) = expression else { return None };
    let written = function.name.to_string().to_lowercase();
    let name = ATTRIBUTES.iter().find(|name| **name == written)?;
    match &function.args {
        FunctionArguments::None => Some((name, None)),
        FunctionArguments::List(list) => match list.args.as_slice() {
            [] => Some((name, None)),
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => {
                let text = value.value.clone().into_string()?;
                Some((name, Some(text)))
            }
            _ => None,
        },
        FunctionArguments::Subquery(_) => None,
    }
}
