//! Bounds what a statement may cost before anybody plans it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{Expr, Query, SetExpr, Statement, TableFactor, Visit, Visitor},
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

use crate::error::{Error, ErrorKind, Result};

/// How large a statement may be, in each direction in which one can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComplexityLimits {
    /// Bytes of one message's text.
    pub text: usize,
    /// Tokens without white space and comments.
    pub tokens: usize,
    /// Parentheses, brackets and CASE inside each other. Operators may be chained ten times as
    /// long: `a OR b OR …` is flat to its writer.
    pub depth: usize,
    /// Expressions, queries and relations.
    pub nodes: usize,
    /// Tables scanned, each use of a common table expression counted anew.
    pub relations: usize,
}

impl ComplexityLimits {
    pub fn check_text(&self, sql: &str) -> Result<()> {
        within(sql.len(), self.text, "statement is too long", "bytes", "max_query_text")
    }

    pub fn check_tokens(&self, tokens: &[TokenWithSpan]) -> Result<()> {
        let meaningful =
            tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count();
        within(meaningful, self.tokens, "statement has too many words", "tokens", "max_tokens")?;
        let mut depth = 0_usize;
        for token in tokens {
            match &token.token {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::Word(word) if word.keyword == Keyword::CASE => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
                Token::Word(word) if word.keyword == Keyword::END => {
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            within(depth, self.depth, "statement is nested too deeply", "levels", "max_depth")?;
        }
        Ok(())
    }

    /// How deep operators may be chained.
    pub fn operator_depth(&self) -> usize {
        self.depth.saturating_mul(10)
    }

    pub fn check_tree(&self, statement: &Statement) -> Result<()> {
        let mut count = Count { limits: self, nodes: 0, depth: 0 };
        match statement.visit(&mut count) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }

    pub fn check_relations(&self, relations: usize) -> Result<()> {
        let message = "statement reads too many tables";
        within(relations, self.relations, message, "relations", "max_relations")
    }
}

fn within(found: usize, limit: usize, message: &str, unit: &str, key: &str) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::ProgramLimitExceeded, message)
        .with_hint(format!("At most {limit} {unit} are allowed (limits.{key}).")))
}

struct Count<'a> {
    limits: &'a ComplexityLimits,
    nodes: usize,
    depth: usize,
}

impl Count<'_> {
    fn enter(&mut self) -> ControlFlow<Box<Error>> {
        self.nodes += 1;
        self.depth += 1;
        let limits = self.limits;
        let checked =
            within(self.nodes, limits.nodes, "statement has too many parts", "nodes", "max_nodes")
                .and_then(|()| {
                    let limit = limits.operator_depth();
                    let message = "statement is nested too deeply";
                    within(self.depth, limit, message, "chained operators", "max_depth")
                });
        match checked {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn leave(&mut self) -> ControlFlow<Box<Error>> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// UNION, INTERSECT and EXCEPT nest like operators, and the visitor does not see them. Counted
/// without recursion.
fn set_operations(body: &SetExpr) -> usize {
    let mut count = 0;
    let mut rest = vec![body];
    while let Some(next) = rest.pop() {
        if let SetExpr::SetOperation { left, right, .. } = next {
            count += 1;
            rest.push(left);
            rest.push(right);
        }
    }
    count
}

impl Visitor for Count<'_> {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let branches = set_operations(&query.body);
        self.nodes += branches;
        let message = "statement has too many set operations";
        let limit = self.limits.relations;
        if let Err(error) = within(branches, limit, message, "branches", "max_relations") {
            return ControlFlow::Break(Box::new(error));
        }
        self.enter()
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.leave()
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<Self::Break> {
        self.enter()
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Self::Break> {
        self.leave()
    }

    fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<Self::Break> {
        self.enter()
    }

    fn post_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<Self::Break> {
        self.leave()
    }
}
