//! `COPY … TO STDOUT`, with the options of today's syntax and of the older ones.

use datafusion::sql::sqlparser::{
    ast::{self, Expr, Query, SetExpr},
    dialect::PostgreSqlDialect,
    parser::{IsOptional, Parser},
    tokenizer::{Token, TokenWithSpan},
};

use super::{Statement, Words, query, read_only, refuse_writes, syntax};
use crate::{
    engine::ComplexityLimits,
    error::{Error, ErrorKind, Result},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    pub format: CopyFormat,
    pub delimiter: Option<String>,
    pub null: Option<String>,
    pub has_header: bool,
    pub quote: Option<String>,
    pub escape: Option<String>,
    pub force_quote: ForceQuote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
}

/// Columns whose values are always in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForceQuote {
    All,
    Columns(Vec<String>),
}

pub(super) fn copy(tokens: &[TokenWithSpan], limits: &ComplexityLimits) -> Result<Statement> {
    let mut words = Words::new(tokens);
    words.expect("COPY")?;
    let is_binary = words.take("BINARY");
    let is_query = words.peek() == Some(&Token::LParen);
    let (source, mut words) = up_to_direction(&words)?;
    if words.take("FROM") {
        return Err(read_only("COPY FROM"));
    }
    words.expect("TO")?;
    if words.is_at_end() {
        return Err(words.unexpected());
    }
    if !words.take("STDOUT") {
        return Err(read_only("COPY TO a file or program")
            .with_hint("Only COPY … TO STDOUT is possible; in psql use \\copy."));
    }
    let mut options = options(&mut words)?;
    if is_binary {
        options.format = CopyFormat::Binary;
    }
    check(&options)?;
    let tree = if is_query {
        let inside = source.split_first().and_then(|(_, rest)| rest.split_last());
        let (_, inside) = inside.ok_or_else(|| words.unexpected())?;
        refuse_writes(inside)?;
        query(inside, limits)?
    } else {
        let dialect = PostgreSqlDialect {};
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(source.to_vec());
        let table = parser.parse_object_name(false).map_err(syntax)?;
        let columns =
            parser.parse_parenthesized_column_list(IsOptional::Optional, false).map_err(syntax)?;
        parser.expect_token(&Token::EOF).map_err(syntax)?;
        ast::Statement::Query(select_from(table, columns))
    };
    Ok(Statement::Copy(options, Box::new(tree)))
}

/// What stands before TO or FROM, outside of all parentheses; without white space at its ends.
fn up_to_direction<'a>(words: &Words<'a>) -> Result<(&'a [TokenWithSpan], Words<'a>)> {
    let mut ahead = words.clone();
    let all = words.rest();
    let mut depth = 0_usize;
    loop {
        let keyword = ahead.keyword();
        if depth == 0 && (keyword == "TO" || keyword == "FROM") {
            let source = &all[..all.len() - ahead.rest().len()];
            return Ok((trimmed(source), ahead));
        }
        match ahead.next() {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            Some(_) => {}
            None => return Err(ahead.unexpected()),
        }
    }
}

fn trimmed(mut tokens: &[TokenWithSpan]) -> &[TokenWithSpan] {
    let is_space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    while let Some((first, rest)) = tokens.split_first()
        && is_space(first)
    {
        tokens = rest;
    }
    while let Some((last, rest)) = tokens.split_last()
        && is_space(last)
    {
        tokens = rest;
    }
    tokens
}

/// `COPY t (a, b)` is `SELECT a, b FROM t`, built as a tree so that no name is printed and parsed.
fn select_from(table: ast::ObjectName, columns: Vec<ast::Ident>) -> Box<Query> {
    let parser = Parser::new(&PostgreSqlDialect {});
    let template =
        parser.try_with_sql("SELECT * FROM t").and_then(|mut parser| parser.parse_query());
    let Ok(mut query) = template else { unreachable!("a constant text parses") };
    if let SetExpr::Select(select) = query.body.as_mut() {
        if !columns.is_empty() {
            select.projection = columns
                .into_iter()
                .map(|column| ast::SelectItem::UnnamedExpr(Expr::Identifier(column)))
                .collect();
        }
        if let Some(ast::TableFactor::Table { name, .. }) =
            select.from.first_mut().map(|from| &mut from.relation)
        {
            *name = table;
        }
    }
    query
}

fn options(words: &mut Words<'_>) -> Result<CopyOptions> {
    let mut copy = CopyOptions {
        format: CopyFormat::Text,
        delimiter: None,
        null: None,
        has_header: false,
        quote: None,
        escape: None,
        force_quote: ForceQuote::Columns(Vec::new()),
    };
    if words.take_any(&["USING DELIMITERS", "DELIMITERS"]).is_some() {
        copy.delimiter = Some(text(words)?);
    }
    words.take("WITH");
    if words.take_token(&Token::LParen) {
        loop {
            option(words, &mut copy)?;
            if !words.take_token(&Token::Comma) {
                break;
            }
        }
        words.expect_token(&Token::RParen)?;
    } else {
        while !words.is_at_end() {
            older_option(words, &mut copy)?;
        }
    }
    words.end()?;
    Ok(copy)
}

/// One of `(FORMAT csv, HEADER true, …)`.
fn option(words: &mut Words<'_>, copy: &mut CopyOptions) -> Result<()> {
    let name = words.name()?;
    match name.as_str() {
        "format" => {
            let format = word(words)?;
            copy.format = match format.as_str() {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                _ => {
                    return Err(Error::new(
                        ErrorKind::InvalidParameter,
                        format!("COPY format \"{format}\" not recognized"),
                    ));
                }
            };
        }
        "delimiter" => copy.delimiter = Some(text(words)?),
        "null" => copy.null = Some(text(words)?),
        "header" => copy.has_header = boolean(words)?,
        "quote" => copy.quote = Some(text(words)?),
        "escape" => copy.escape = Some(text(words)?),
        "force_quote" => copy.force_quote = columns(words)?,
        "encoding" => encoding(&word(words)?)?,
        _ => {
            return Err(Error::new(ErrorKind::Syntax, format!("option \"{name}\" not recognized")));
        }
    }
    Ok(())
}

/// One of `BINARY`, `DELIMITER AS 'x'`, `CSV`, `HEADER`, …, as they were written before 9.0.
fn older_option(words: &mut Words<'_>, copy: &mut CopyOptions) -> Result<()> {
    let value = |words: &mut Words<'_>| {
        words.take("AS");
        text(words).map(Some)
    };
    if words.take("BINARY") {
        copy.format = CopyFormat::Binary;
    } else if words.take("CSV") {
        copy.format = CopyFormat::Csv;
    } else if words.take("HEADER") {
        copy.has_header = true;
    } else if words.take("DELIMITER") {
        copy.delimiter = value(words)?;
    } else if words.take("NULL") {
        copy.null = value(words)?;
    } else if words.take("QUOTE") {
        copy.quote = value(words)?;
    } else if words.take("ESCAPE") {
        copy.escape = value(words)?;
    } else if words.take("FORCE QUOTE") {
        copy.force_quote = older_columns(words)?;
    } else if words.take("ENCODING") {
        encoding(&text(words)?)?;
    } else {
        return Err(words.unexpected());
    }
    Ok(())
}

fn text(words: &mut Words<'_>) -> Result<String> {
    words.text().map(str::to_owned).ok_or_else(|| words.unexpected())
}

/// `csv`, `"csv"` or `'csv'`.
fn word(words: &mut Words<'_>) -> Result<String> {
    match words.text() {
        Some(text) => Ok(text.to_lowercase()),
        None => words.name(),
    }
}

/// True when nothing is said.
fn boolean(words: &mut Words<'_>) -> Result<bool> {
    if matches!(words.peek(), Some(Token::Comma | Token::RParen)) {
        return Ok(true);
    }
    if let Some(number) = words.integer()? {
        return match number {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(no_boolean()),
        };
    }
    match word(words)?.as_str() {
        "true" | "on" => Ok(true),
        "false" | "off" => Ok(false),
        _ => Err(no_boolean()),
    }
}

fn no_boolean() -> Error {
    Error::new(ErrorKind::Syntax, "header requires a Boolean value")
}

/// `*` or `(a, b)`.
fn columns(words: &mut Words<'_>) -> Result<ForceQuote> {
    if words.take_token(&Token::Mul) {
        return Ok(ForceQuote::All);
    }
    words.expect_token(&Token::LParen)?;
    let columns = older_columns(words)?;
    words.expect_token(&Token::RParen)?;
    Ok(columns)
}

/// `*` or `a, b`.
fn older_columns(words: &mut Words<'_>) -> Result<ForceQuote> {
    if words.take_token(&Token::Mul) {
        return Ok(ForceQuote::All);
    }
    let mut names = vec![words.name()?];
    while words.take_token(&Token::Comma) {
        names.push(words.name()?);
    }
    Ok(ForceQuote::Columns(names))
}

fn encoding(name: &str) -> Result<()> {
    if ["utf8", "utf-8", "unicode"].contains(&name.to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotSupported, format!("encoding \"{name}\" is not supported")))
}

/// What PostgreSQL refuses of options that don't go together.
fn check(copy: &CopyOptions) -> Result<()> {
    let is_forced = copy.force_quote != ForceQuote::Columns(Vec::new());
    let refused = |kind, message: &str| Err(Error::new(kind, message));
    if copy.format == CopyFormat::Binary {
        let found = [
            (copy.delimiter.is_some(), "DELIMITER"),
            (copy.null.is_some(), "NULL"),
            (copy.has_header, "HEADER"),
        ];
        if let Some((_, name)) = found.iter().find(|(is_set, _)| *is_set) {
            let message = format!("cannot specify {name} in BINARY mode");
            return refused(ErrorKind::Syntax, &message);
        }
    }
    if copy.format != CopyFormat::Csv {
        let found = [
            (copy.quote.is_some(), "quote"),
            (copy.escape.is_some(), "escape"),
            (is_forced, "force quote"),
        ];
        if let Some((_, name)) = found.iter().find(|(is_set, _)| *is_set) {
            let message = format!("COPY {name} available only in CSV mode");
            return refused(ErrorKind::NotSupported, &message);
        }
    }
    for (name, value) in
        [("delimiter", &copy.delimiter), ("quote", &copy.quote), ("escape", &copy.escape)]
    {
        if let Some(text) = value
            && text.len() != 1
        {
            let message = format!("COPY {name} must be a single one-byte character");
            return refused(ErrorKind::NotSupported, &message);
        }
    }
    let has_line_end =
        |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(['\r', '\n']));
    if has_line_end(&copy.delimiter) {
        let message = "COPY delimiter cannot be newline or carriage return";
        return refused(ErrorKind::InvalidParameter, message);
    }
    if has_line_end(&copy.null) {
        let message = "COPY null representation cannot use newline or carriage return";
        return refused(ErrorKind::InvalidParameter, message);
    }
    if copy.format == CopyFormat::Text
        && let Some(delimiter) = &copy.delimiter
        && "\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(delimiter.as_str())
    {
        let message = format!("COPY delimiter cannot be \"{delimiter}\"");
        return refused(ErrorKind::InvalidParameter, &message);
    }
    if copy.format == CopyFormat::Csv {
        let delimiter = copy.delimiter.as_deref().unwrap_or(",");
        let quote = copy.quote.as_deref().unwrap_or("\"");
        if delimiter == quote {
            let message = "COPY delimiter and quote must be different";
            return refused(ErrorKind::InvalidParameter, message);
        }
        if copy.null.as_deref().unwrap_or("").contains(quote) {
            let message = "CSV quote character must not appear in the NULL specification";
            return refused(ErrorKind::InvalidParameter, message);
        }
    }
    if copy.format != CopyFormat::Binary {
        let default = if copy.format == CopyFormat::Csv { "," } else { "\t" };
        let delimiter = copy.delimiter.as_deref().unwrap_or(default);
        if copy.null.as_deref().is_some_and(|null| null.contains(delimiter)) {
            let message = "COPY delimiter must not appear in the NULL specification";
            return refused(ErrorKind::InvalidParameter, message);
        }
    }
    Ok(())
}
