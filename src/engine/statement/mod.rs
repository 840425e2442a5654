//! What a statement is, known before any name in it is resolved.
//!
//! Invariant: a statement that writes is refused here (25006), alone or inside a query, whatever
//! else is wrong with it.

mod copy;
mod ctid;
mod cursor;
mod prepare;
mod transaction;
mod words;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{self, Expr, Query, SetExpr, Visit, Visitor},
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

use super::{ComplexityLimits, ExplainOptions};
use crate::error::{Error, ErrorKind, Result};

pub use copy::{CopyFormat, CopyOptions, ForceQuote};
pub use cursor::{Cursor, Fetch, Motion};
pub use prepare::{Execute, Prepare};
pub use transaction::Transaction;

use words::Words;

/// One statement, classified.
#[derive(Debug, Clone)]
pub enum Statement {
    /// Nothing but white space and comments.
    Empty,
    /// SELECT, VALUES, WITH, TABLE.
    Query(Box<ast::Statement>),
    Explain(ExplainOptions, Box<ast::Statement>),
    /// `COPY (query) TO STDOUT`.
    Copy(CopyOptions, Box<ast::Statement>),
    Set(Setting),
    /// `SET ROLE NONE`, `RESET ROLE`: everyone stays who they are.
    KeepRole(&'static str),
    Show(String),
    ShowAll,
    Reset(String),
    ResetAll,
    Discard(Discard),
    Transaction(Transaction),
    Declare(Cursor),
    Fetch(Fetch),
    /// `CLOSE name`, or all without a name.
    Close(Option<String>),
    Prepare(Prepare),
    Execute(Execute),
    /// `DEALLOCATE name`, or all without a name.
    Deallocate(Option<String>),
    /// `LISTEN`: nobody notifies.
    Listen,
    Unlisten,
    /// `REFRESH CATALOG name`.
    RefreshCatalog(String),
}

/// `SET [LOCAL] name = value`; a value of `None` is DEFAULT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    pub value: Option<String>,
    pub is_local: bool,
}

/// What DISCARD forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// As if the session were new.
    All,
    Plans,
    Sequences,
    Temp,
}

/// Statements begin with one of these, or they write, or they are no SQL that we know.
const WRITES: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "CALL",
    "CHECKPOINT",
    "CLUSTER",
    "COMMENT",
    "CREATE",
    "DELETE",
    "DETACH",
    "DO",
    "DROP",
    "GRANT",
    "IMPORT",
    "INSERT",
    "INSTALL",
    "LOAD",
    "LOCK",
    "MERGE",
    "MSCK",
    "NOTIFY",
    "REASSIGN",
    "REINDEX",
    "REPLACE",
    "REVOKE",
    "SECURITY",
    "TRUNCATE",
    "UNLOAD",
    "UPDATE",
    "UPSERT",
    "VACUUM",
];

/// Splits and classifies what is between semicolons, unless it is nothing. One statement that writes
/// refuses all of them, before any runs.
pub fn parse(sql: &str, limits: &ComplexityLimits) -> Result<Vec<Statement>> {
    limits.check_text(sql)?;
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(syntax)?;
    limits.check_tokens(&tokens)?;
    let statements: Vec<&[TokenWithSpan]> =
        tokens.split(|token| token.token == Token::SemiColon).collect();
    for statement in &statements {
        refuse_writes(statement)?;
    }
    let mut classified = Vec::with_capacity(statements.len());
    for tokens in statements {
        let words = words(tokens);
        if !words.is_empty() {
            classified.push(classify(tokens, &words, limits)?);
        }
    }
    Ok(classified)
}

fn words(tokens: &[TokenWithSpan]) -> Vec<&Token> {
    tokens
        .iter()
        .map(|token| &token.token)
        .filter(|token| !matches!(token, Token::Whitespace(_) | Token::EOF))
        .collect()
}

fn keyword(token: Option<&&Token>) -> String {
    match token {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_uppercase(),
        _ => String::new(),
    }
}

fn refuse_writes(tokens: &[TokenWithSpan]) -> Result<()> {
    let words = words(tokens);
    // EXPLAIN and its options may stand before the statement that would write.
    let first = words.iter().position(|token| {
        let word = keyword(Some(token));
        !matches!(word.as_str(), "EXPLAIN" | "VERBOSE") && !is_explain_option(&word, &words)
    });
    let word = keyword(first.and_then(|index| words.get(index)));
    let is_write = WRITES.contains(&word.as_str())
        || (word == "REFRESH" && keyword(words.get(1)) == "MATERIALIZED");
    if is_write {
        return Err(read_only(&word));
    }
    Ok(())
}

/// `ANALYZE` is an option after EXPLAIN and a statement of its own otherwise.
fn is_explain_option(word: &str, words: &[&Token]) -> bool {
    word == "ANALYZE" && keyword(words.first()) == "EXPLAIN"
}

fn read_only(word: &str) -> Error {
    Error::new(ErrorKind::ReadOnly, format!("cannot execute {word} in a read-only transaction"))
        .with_hint("weir only reads: write at the source itself.")
}

fn syntax(error: impl Into<datafusion::sql::sqlparser::parser::ParserError>) -> Error {
    datafusion::error::DataFusionError::SQL(Box::new(error.into()), None).into()
}

fn classify(
    tokens: &[TokenWithSpan],
    words: &[&Token],
    limits: &ComplexityLimits,
) -> Result<Statement> {
    if let Some(transaction) = transaction::transaction(tokens)? {
        return Ok(Statement::Transaction(transaction));
    }
    match keyword(words.first()).as_str() {
        "REFRESH" => refresh_catalog(words),
        "DISCARD" => discard(tokens).map(Statement::Discard),
        "RESET" => reset(words),
        "SHOW" => show(words),
        "DECLARE" => cursor::declare(tokens, limits).map(Statement::Declare),
        "FETCH" | "MOVE" => cursor::fetch(tokens).map(Statement::Fetch),
        "CLOSE" => cursor::close(tokens).map(Statement::Close),
        "PREPARE" => prepare::prepare(tokens, limits).map(Statement::Prepare),
        "EXECUTE" => prepare::execute(tokens, limits).map(Statement::Execute),
        "DEALLOCATE" => prepare::deallocate(tokens),
        "COPY" => copy::copy(tokens, limits),
        "LISTEN" => channel(tokens, "LISTEN").map(|()| Statement::Listen),
        "UNLISTEN" => channel(tokens, "UNLISTEN").map(|()| Statement::Unlisten),
        _ => from_tree(parse_tokens(tokens, limits)?),
    }
}

/// Marks the names that follow AS and that are operators elsewhere (`x NOTNULL`): the tree does not show
/// whether there was an AS.
fn quote_names(tokens: &mut [TokenWithSpan]) {
    let mut follows_as = false;
    for token in tokens {
        match &mut token.token {
            Token::Whitespace(_) => {}
            Token::Word(word) if word.quote_style.is_none() => {
                let name = word.value.to_lowercase();
                if follows_as && matches!(name.as_str(), "isnull" | "notnull") {
                    (word.value, word.quote_style) = (name, Some('"'));
                    follows_as = false;
                } else {
                    follows_as = name == "as";
                }
            }
            _ => follows_as = false,
        }
    }
}

/// The tree of one statement, within its bounds.
fn parse_tokens(tokens: &[TokenWithSpan], limits: &ComplexityLimits) -> Result<ast::Statement> {
    let dialect = PostgreSqlDialect {};
    let mut tokens = tokens.to_vec();
    quote_names(&mut tokens);
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(limits.operator_depth())
        .with_tokens_with_locations(tokens);
    let mut statement = parser.parse_statement().map_err(syntax)?;
    parser.expect_token(&Token::EOF).map_err(syntax)?;
    ctid::forget_ctid(&mut statement);
    crate::meaning::correct_syntax(&mut statement)?;
    limits.check_tree(&statement)?;
    Ok(statement)
}

/// A statement that must be a query, as a part of another.
fn query(tokens: &[TokenWithSpan], limits: &ComplexityLimits) -> Result<ast::Statement> {
    refuse_writes(tokens)?;
    match parse_tokens(tokens, limits)? {
        ast::Statement::Query(query) => {
            refuse_writes_inside(&query)?;
            Ok(ast::Statement::Query(query))
        }
        _ => Err(Words::new(tokens).unexpected()),
    }
}

fn from_tree(statement: ast::Statement) -> Result<Statement> {
    use ast::Statement as Ast;
    match statement {
        Ast::Query(query) => {
            refuse_writes_inside(&query)?;
            Ok(Statement::Query(Box::new(Ast::Query(query))))
        }
        Ast::Explain { analyze, verbose, statement, options, .. } => {
            let Ast::Query(query) = *statement else { return Err(read_only("this statement")) };
            refuse_writes_inside(&query)?;
            let options = ExplainOptions::new(analyze, verbose, options.as_deref())?;
            Ok(Statement::Explain(options, Box::new(Ast::Query(query))))
        }
        Ast::Set(set) => self::set(set),
        other => Err(Error::new(
            ErrorKind::NotSupported,
            format!("statement is not supported: {}", first_words(&other)),
        )),
    }
}

fn first_words(statement: &ast::Statement) -> String {
    statement.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn discard(tokens: &[TokenWithSpan]) -> Result<Discard> {
    let mut words = Words::new(tokens);
    words.expect("DISCARD")?;
    let found = match words.take_any(&["ALL", "PLANS", "SEQUENCES", "TEMPORARY", "TEMP"]) {
        Some("ALL") => Discard::All,
        Some("PLANS") => Discard::Plans,
        Some("SEQUENCES") => Discard::Sequences,
        Some(_) => Discard::Temp,
        None => return Err(words.unexpected()),
    };
    words.end()?;
    Ok(found)
}

/// `LISTEN name`; `UNLISTEN *` too.
fn channel(tokens: &[TokenWithSpan], command: &str) -> Result<()> {
    let mut words = Words::new(tokens);
    words.expect(command)?;
    if command != "UNLISTEN" || !words.take_token(&Token::Mul) {
        words.name()?;
    }
    words.end()
}

fn refresh_catalog(words: &[&Token]) -> Result<Statement> {
    match words {
        [_, Token::Word(catalog), Token::Word(name)]
            if catalog.value.eq_ignore_ascii_case("catalog") =>
        {
            let name = match name.quote_style {
                Some(_) => name.value.clone(),
                None => name.value.to_lowercase(),
            };
            Ok(Statement::RefreshCatalog(name))
        }
        _ => Err(Error::new(ErrorKind::Syntax, "syntax error: expected REFRESH CATALOG name")),
    }
}

/// A setting's name, dotted or of several words (`TIME ZONE`, `TRANSACTION ISOLATION LEVEL`).
fn setting_name(words: &[&Token]) -> Result<String> {
    let name: String = words
        .iter()
        .map(|token| match token {
            Token::Word(word) => Ok(format!("{} ", word.value.to_lowercase())),
            Token::Period => Ok(".".to_owned()),
            other => Err(Error::new(ErrorKind::Syntax, format!("syntax error at \"{other}\""))),
        })
        .collect::<Result<String>>()?;
    Ok(match name.replace(" .", ".").trim() {
        "time zone" => "timezone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "session authorization" => "session_authorization".to_owned(),
        name => name.to_owned(),
    })
}

fn reset(words: &[&Token]) -> Result<Statement> {
    match setting_name(&words[1..])?.as_str() {
        "" => Err(Error::new(ErrorKind::Syntax, "syntax error: expected RESET name")),
        "all" => Ok(Statement::ResetAll),
        "role" | "session_authorization" => Ok(Statement::KeepRole("RESET")),
        name => Ok(Statement::Reset(name.to_owned())),
    }
}

fn show(words: &[&Token]) -> Result<Statement> {
    match setting_name(&words[1..])?.as_str() {
        "" => Err(Error::new(ErrorKind::Syntax, "syntax error: expected SHOW name")),
        "all" => Ok(Statement::ShowAll),
        name => Ok(Statement::Show(name.to_owned())),
    }
}

fn set(set: ast::Set) -> Result<Statement> {
    use ast::{ContextModifier, Set};
    match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            let words: Vec<String> = values.iter().map(setting_value).collect::<Result<_>>()?;
            let is_default =
                values.len() == 1 && values[0].to_string().eq_ignore_ascii_case("default");
            Ok(Statement::Set(Setting {
                name: variable.to_string().replace('"', "").to_lowercase(),
                value: (!is_default).then(|| words.join(", ")),
                is_local: scope == Some(ContextModifier::Local),
            }))
        }
        Set::SetTimeZone { local, value } => Ok(Statement::Set(Setting {
            name: "timezone".to_owned(),
            value: match setting_value(&value)? {
                word if word.eq_ignore_ascii_case("local") => None,
                word if word.eq_ignore_ascii_case("default") => None,
                word => Some(word),
            },
            is_local: local,
        })),
        Set::SetNames { charset_name, .. } => Ok(Statement::Set(Setting {
            name: "client_encoding".to_owned(),
            value: Some(charset_name.value),
            is_local: false,
        })),
        Set::SetNamesDefault {} => Ok(Statement::Set(Setting {
            name: "client_encoding".to_owned(),
            value: None,
            is_local: false,
        })),
        Set::SetRole { role_name: None, .. } => Ok(Statement::KeepRole("SET")),
        Set::SetRole { role_name: Some(role), .. } => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("permission denied to set role \"{}\"", role.value),
        )
        .with_hint("Roles are the policy's: everyone has all of theirs at once.")),
        Set::SetSessionAuthorization(ast::SetSessionAuthorizationParam {
            kind: ast::SetSessionAuthorizationParamKind::Default,
            ..
        }) => Ok(Statement::KeepRole("SET")),
        Set::SetSessionAuthorization(_) => Err(Error::new(
            ErrorKind::PermissionDenied,
            "permission denied to set session authorization",
        )),
        other => {
            Err(Error::new(ErrorKind::NotSupported, format!("statement is not supported: {other}")))
        }
    }
}

/// The value as text: a word, a literal, a number with its sign.
fn setting_value(value: &Expr) -> Result<String> {
    match value {
        Expr::Value(value) => match value.value.clone().into_string() {
            Some(text) => Ok(text),
            None => Ok(value.value.to_string()),
        },
        Expr::Identifier(word) => Ok(word.value.clone()),
        Expr::CompoundIdentifier(words) => {
            Ok(words.iter().map(|word| word.value.as_str()).collect::<Vec<_>>().join("."))
        }
        Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => {
            Ok(format!("-{}", setting_value(expr)?))
        }
        other => Err(Error::new(
            ErrorKind::Syntax,
            format!("syntax error: a setting's value can't be \"{other}\""),
        )),
    }
}

/// A query can hold INSERT, UPDATE and DELETE as common table expressions, and SELECT can write by
/// INTO.
fn refuse_writes_inside(query: &Query) -> Result<()> {
    match query.visit(&mut FindWrites) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(what) => Err(read_only(what)),
    }
}

struct FindWrites;

impl Visitor for FindWrites {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("SELECT FOR UPDATE");
        }
        find_in_body(&query.body)
    }

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<Self::Break> {
        match statement {
            ast::Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break("a statement that writes"),
        }
    }
}

fn find_in_body(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => ControlFlow::Break("SELECT INTO"),
        SetExpr::SetOperation { left, right, .. } => {
            find_in_body(left)?;
            find_in_body(right)
        }
        SetExpr::Insert(_) => ControlFlow::Break("INSERT"),
        SetExpr::Update(_) => ControlFlow::Break("UPDATE"),
        SetExpr::Delete(_) => ControlFlow::Break("DELETE"),
        SetExpr::Merge(_) => ControlFlow::Break("MERGE"),
        // Queries inside are visited on their own.
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => {
            ControlFlow::Continue(())
        }
    }
}
