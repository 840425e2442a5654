//! What a statement is, known before any name in it is resolved.
//!
//! Invariant: a statement that writes is refused here (25006), alone or inside a query, whatever
//! else is wrong with it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        self, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Expr, Query, SetExpr, Visit,
        Visitor,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

use super::{ComplexityLimits, ExplainOptions};
use crate::error::{Error, ErrorKind, Result};

/// One statement, classified.
#[derive(Debug, Clone)]
pub enum Statement {
    /// Nothing between two semicolons.
    Empty,
    /// SELECT, VALUES, WITH, TABLE.
    Query(Box<ast::Statement>),
    Explain(ExplainOptions, Box<ast::Statement>),
    /// `COPY (query) TO STDOUT`.
    Copy(CopyOptions, Box<ast::Statement>),
    Set(Setting),
    Show(String),
    ShowAll,
    Reset(String),
    ResetAll,
    /// `DISCARD ALL`: as if the session were new.
    Discard,
    Transaction(Transaction),
    /// `DEALLOCATE name`, or all without a name.
    Deallocate(Option<String>),
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

/// Transactions only group: every statement reads, and reads what its sources hold then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// `SET TRANSACTION …`: accepted, changes nothing.
    Set,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    pub format: CopyFormat,
    pub delimiter: Option<char>,
    pub null: Option<String>,
    pub has_header: bool,
    pub quote: Option<char>,
    pub escape: Option<char>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
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

/// Splits and classifies. One statement that writes refuses all of them, before any runs.
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
    let count = statements.len();
    let mut classified = Vec::with_capacity(count);
    for (index, tokens) in statements.into_iter().enumerate() {
        let words = words(tokens);
        // A trailing semicolon starts no further statement.
        if words.is_empty() && (index + 1 == count && count > 1) {
            continue;
        }
        classified.push(classify(tokens, &words, limits)?);
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
    let Some(first) = words.first() else { return Ok(Statement::Empty) };
    match keyword(Some(first)).as_str() {
        "REFRESH" => return refresh_catalog(words),
        "DISCARD" => return Ok(Statement::Discard),
        "RESET" => return reset(words),
        "SHOW" => return show(words),
        "END" => return Ok(Statement::Transaction(Transaction::Commit)),
        "ABORT" => return Ok(Statement::Transaction(Transaction::Rollback)),
        _ => {}
    }
    let statement = parse_one(tokens, limits)?;
    limits.check_tree(&statement)?;
    from_tree(statement)
}

fn parse_one(tokens: &[TokenWithSpan], limits: &ComplexityLimits) -> Result<ast::Statement> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(limits.operator_depth())
        .with_tokens_with_locations(tokens.to_vec());
    let mut statement = parser.parse_statement().map_err(syntax)?;
    parser.expect_token(&Token::EOF).map_err(syntax)?;
    crate::meaning::correct_syntax(&mut statement)?;
    Ok(statement)
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
        Ast::Copy { source, to, target, options, legacy_options, .. } => {
            copy(source, to, &target, &options, &legacy_options)
        }
        Ast::Set(set) => self::set(set),
        Ast::StartTransaction { .. } => Ok(Statement::Transaction(Transaction::Begin)),
        Ast::Commit { .. } => Ok(Statement::Transaction(Transaction::Commit)),
        Ast::Rollback { savepoint: None, .. } => Ok(Statement::Transaction(Transaction::Rollback)),
        Ast::Rollback { savepoint: Some(name), .. } => {
            Ok(Statement::Transaction(Transaction::RollbackTo(identifier(&name))))
        }
        Ast::Savepoint { name } => {
            Ok(Statement::Transaction(Transaction::Savepoint(identifier(&name))))
        }
        Ast::ReleaseSavepoint { name } => {
            Ok(Statement::Transaction(Transaction::Release(identifier(&name))))
        }
        Ast::Deallocate { name, .. } => {
            let is_all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Ok(Statement::Deallocate((!is_all).then(|| identifier(&name))))
        }
        other => Err(Error::new(
            ErrorKind::NotSupported,
            format!("statement is not supported: {}", first_words(&other)),
        )),
    }
}

fn first_words(statement: &ast::Statement) -> String {
    statement.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// As PostgreSQL folds it.
fn identifier(ident: &ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
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
        Set::SetTransaction { .. } => Ok(Statement::Transaction(Transaction::Set)),
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

fn copy(
    source: CopySource,
    to: bool,
    target: &CopyTarget,
    options: &[CopyOption],
    legacy_options: &[CopyLegacyOption],
) -> Result<Statement> {
    if !to {
        return Err(read_only("COPY FROM"));
    }
    if *target != CopyTarget::Stdout {
        return Err(read_only("COPY TO a file or program")
            .with_hint("Only COPY … TO STDOUT is possible; in psql use \\copy."));
    }
    let query = match source {
        CopySource::Query(query) => query,
        CopySource::Table { table_name, columns } => select_from(table_name, columns),
    };
    refuse_writes_inside(&query)?;
    let options = copy_options(options, legacy_options)?;
    Ok(Statement::Copy(options, Box::new(ast::Statement::Query(query))))
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

fn copy_options(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> Result<CopyOptions> {
    let mut copy = CopyOptions {
        format: CopyFormat::Text,
        delimiter: None,
        null: None,
        has_header: false,
        quote: None,
        escape: None,
    };
    let unknown = |option: &dyn std::fmt::Display| {
        Error::new(ErrorKind::NotSupported, format!("COPY option is not supported: {option}"))
    };
    for option in options {
        match option {
            CopyOption::Format(name) => {
                copy.format = match name.value.to_lowercase().as_str() {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    _ => return Err(unknown(option)),
                };
            }
            CopyOption::Delimiter(delimiter) => copy.delimiter = Some(*delimiter),
            CopyOption::Null(text) => copy.null = Some(text.clone()),
            CopyOption::Header(has_header) => copy.has_header = *has_header,
            CopyOption::Quote(quote) => copy.quote = Some(*quote),
            CopyOption::Escape(escape) => copy.escape = Some(*escape),
            CopyOption::Encoding(name) if is_utf8(name) => {}
            _ => return Err(unknown(option)),
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Binary => copy.format = CopyFormat::Binary,
            CopyLegacyOption::Delimiter(delimiter) => copy.delimiter = Some(*delimiter),
            CopyLegacyOption::Null(text) => copy.null = Some(text.clone()),
            CopyLegacyOption::Csv(options) => {
                copy.format = CopyFormat::Csv;
                for option in options {
                    match option {
                        ast::CopyLegacyCsvOption::Header => copy.has_header = true,
                        ast::CopyLegacyCsvOption::Quote(quote) => copy.quote = Some(*quote),
                        ast::CopyLegacyCsvOption::Escape(escape) => copy.escape = Some(*escape),
                        _ => return Err(unknown(option)),
                    }
                }
            }
            _ => return Err(unknown(option)),
        }
    }
    Ok(copy)
}

fn is_utf8(name: &str) -> bool {
    ["utf8", "utf-8", "unicode"].contains(&name.to_lowercase().as_str())
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
