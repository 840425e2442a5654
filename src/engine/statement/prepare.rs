//! PREPARE and EXECUTE.

use datafusion::sql::sqlparser::{
    ast::{self, Expr, SetExpr},
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Token, TokenWithSpan},
};

use super::{Statement, Words, parse_tokens, query, refuse_writes, syntax};
use crate::{engine::ComplexityLimits, error::Result};

/// `PREPARE name (types) AS query`.
#[derive(Debug, Clone)]
pub struct Prepare {
    pub name: String,
    /// `unknown` lets the query tell.
    pub types: Vec<ast::DataType>,
    pub query: Box<ast::Statement>,
}

/// `EXECUTE name (arguments)`.
#[derive(Debug, Clone)]
pub struct Execute {
    pub name: String,
    pub arguments: Vec<Expr>,
}

pub(super) fn prepare(tokens: &[TokenWithSpan], limits: &ComplexityLimits) -> Result<Prepare> {
    let mut words = Words::new(tokens);
    words.expect("PREPARE")?;
    let name = words.name()?;
    let mut types = Vec::new();
    if words.peek() == Some(&Token::LParen) {
        let (inside, behind) = parentheses(&words)?;
        let dialect = PostgreSqlDialect {};
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(inside.to_vec());
        types = parser.parse_comma_separated(Parser::parse_data_type).map_err(syntax)?;
        parser.expect_token(&Token::EOF).map_err(syntax)?;
        words = behind;
    }
    words.expect("AS")?;
    refuse_writes(words.rest())?;
    let query = Box::new(query(words.rest(), limits)?);
    Ok(Prepare { name, types, query })
}

pub(super) fn execute(tokens: &[TokenWithSpan], limits: &ComplexityLimits) -> Result<Execute> {
    let mut words = Words::new(tokens);
    words.expect("EXECUTE")?;
    let name = words.name()?;
    if words.is_at_end() {
        return Ok(Execute { name, arguments: Vec::new() });
    }
    if words.peek() != Some(&Token::LParen) {
        return Err(words.unexpected());
    }
    // `(a, b)` is read as the row of VALUES.
    let mut row = vec![TokenWithSpan::wrap(Token::make_keyword("VALUES"))];
    row.extend_from_slice(words.rest());
    let tree = parse_tokens(&row, limits)?;
    let arguments = match tree {
        ast::Statement::Query(query) => match *query.body {
            SetExpr::Values(mut values) if values.rows.len() == 1 => values.rows.remove(0).content,
            _ => return Err(words.unexpected()),
        },
        _ => return Err(words.unexpected()),
    };
    Ok(Execute { name, arguments })
}

/// `DEALLOCATE name`; all of them without a name.
pub(super) fn deallocate(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let mut words = Words::new(tokens);
    words.expect("DEALLOCATE")?;
    words.take("PREPARE");
    let name = if words.take("ALL") { None } else { Some(words.name()?) };
    words.end()?;
    Ok(Statement::Deallocate(name))
}

/// What is inside the parentheses that come next, and what is behind them.
fn parentheses<'a>(words: &Words<'a>) -> Result<(&'a [TokenWithSpan], Words<'a>)> {
    let mut ahead = words.clone();
    ahead.expect_token(&Token::LParen)?;
    let inside = ahead.rest();
    let mut depth = 1;
    while let Some(token) = ahead.next() {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let length = inside.len() - ahead.rest().len() - 1;
            return Ok((&inside[..length], ahead));
        }
    }
    Err(ahead.unexpected())
}
