//! Casts to the types that only PostgreSQL has: `regclass` and its kin, `oid`, `name`, `"char"`,
//! and types named with their schema.
//!
//! A value of a `reg…` type is an oid with a way of printing it. It stays an oid (a call of
//! `weir_regclass` and so on) in comparisons and joins, and becomes a name when it is cast to text
//! or goes to the client.

use datafusion::sql::sqlparser::{
    ast::{
        Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg,
        FunctionArgExpr, FunctionArguments, Ident, ObjectName, Value, ValueWithSpan,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::{
    relations::{INFORMATION_SCHEMA, PG_CATALOG},
    rewrite::{boolean, call, take_expr, text},
    scope::{Scope, names},
};
use crate::error::{Error, ErrorKind, Result};

const REG_TYPES: &[(&str, &str)] = &[
    ("regclass", "weir_regclass"),
    ("regtype", "weir_regtype"),
    ("regproc", "weir_regproc"),
    ("regnamespace", "weir_regnamespace"),
    ("regrole", "weir_regrole"),
];

enum Target {
    /// One of [`REG_TYPES`].
    Reg(&'static str),
    Oid,
    Name,
    /// The one-byte type `"char"`.
    Char,
    Plain(DataType),
}

/// Rewrites one expression whose parts are done.
pub fn rewrite(expr: &mut Expr, scope: &Scope<'_>) -> Result<()> {
    match expr {
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr: inner,
            data_type,
            array: false,
            format: None,
        } => {
            if let Some(cast) = cast(inner, data_type, scope)? {
                *expr = cast;
            }
        }
        Expr::TypedString(typed) => {
            if let Some(Target::Reg(function)) = target(&typed.data_type)
                && let Value::SingleQuotedString(name) = &typed.value.value
            {
                *expr = call(function, vec![text(name)]);
            }
        }
        Expr::BinaryOp { left, op, right } if is_comparison(op) => {
            adapt_literal(left, right, scope);
            adapt_literal(right, left, scope);
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. }
            if scope.is_about_system() =>
        {
            if let Some(escaped) = backslash_pattern(pattern, escape_char.as_ref()) {
                **pattern = text(&escaped);
                *escape_char = None;
            }
        }
        Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
            let element = match type_of(left, scope) {
                Some("char" | "name" | "text") => DataType::Text,
                Some("int2" | "int4" | "int8" | "oid") => DataType::BigInt(None),
                _ => return Ok(()),
            };
            while let Expr::Nested(inner) = right.as_mut() {
                **right = take_expr(inner);
            }
            if let Some(array) = array_literal(right, Some(&element)) {
                **right = array;
            }
        }
        Expr::InList { expr: left, list, .. } => {
            for item in list {
                adapt_literal(left, item, scope);
            }
        }
        Expr::Function(function) if scope.is_about_system() => {
            match names(&function.name).last().map(String::as_str) {
                Some("coalesce") => adapt_arguments(function, scope),
                Some("json_build_object") => {
                    function.name = ObjectName::from(Ident::new("weir_json_object"));
                }
                _ => {}
            }
        }
        _ => {}
    }
    Ok(())
}

/// Gives a value that goes to the client the form that PostgreSQL prints.
pub fn show(expr: &mut Expr, scope: &Scope<'_>) {
    if let Some((kind, value)) = reg_value(expr, scope) {
        *expr = call("weir_reg_name", vec![text(kind), value]);
    }
}

fn cast(inner: &mut Expr, data_type: &DataType, scope: &Scope<'_>) -> Result<Option<Expr>> {
    let Some(target) = target(data_type) else {
        return unsupported(data_type).map_or(Ok(None), Err);
    };
    Ok(Some(match target {
        Target::Reg(function) => match reg_call(inner) {
            // An oid is an oid: only the way of printing changes.
            Some((_, value)) => call(function, vec![value]),
            None => call(function, vec![take_expr(inner)]),
        },
        Target::Oid => call("weir_oid", vec![take_expr(inner)]),
        Target::Name => match reg_value(inner, scope) {
            Some((kind, value)) => call("weir_name", vec![reg_name(kind, value)]),
            None => call("weir_name", vec![take_expr(inner)]),
        },
        Target::Char => call("weir_char", vec![take_expr(inner)]),
        Target::Plain(wanted) => {
            if is_text(&wanted)
                && let Some((kind, value)) = reg_value(inner, scope)
            {
                return Ok(Some(reg_name(kind, value)));
            }
            if let DataType::Array(element) = &wanted
                && let Some(element) = element_type(element)
                && let Some(array) = array_literal(inner, Some(element))
            {
                return Ok(Some(plain(array, wanted)));
            }
            if wanted == *data_type {
                return Ok(None);
            }
            plain(take_expr(inner), wanted)
        }
    }))
}

pub fn plain(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn reg_name(kind: &str, value: Expr) -> Expr {
    call("weir_reg_name", vec![text(kind), value])
}

/// What a cast is to, if it is one of ours or needs its schema taken off.
fn target(data_type: &DataType) -> Option<Target> {
    match data_type {
        DataType::Custom(name, modifiers) => custom(name, modifiers),
        DataType::Regclass => Some(Target::Reg("weir_regclass")),
        DataType::Array(element) => {
            let element = element_type(element)?;
            let element = match target(element) {
                Some(Target::Reg(_) | Target::Oid) => DataType::BigInt(None),
                Some(Target::Name | Target::Char) => DataType::Text,
                Some(Target::Plain(plain)) => plain,
                None => element.clone(),
            };
            let element = ArrayElemTypeDef::SquareBracket(Box::new(element), None);
            Some(Target::Plain(DataType::Array(element)))
        }
        other if is_text(other) => Some(Target::Plain(other.clone())),
        _ => None,
    }
}

fn custom(name: &ObjectName, modifiers: &[String]) -> Option<Target> {
    let parts = names(name);
    let (schema, name) = match parts.as_slice() {
        [schema, name] if schema == INFORMATION_SCHEMA => {
            return match name.as_str() {
                "cardinal_number" => Some(Target::Plain(DataType::Integer(None))),
                "character_data" | "yes_or_no" => Some(Target::Plain(DataType::Text)),
                "sql_identifier" => Some(Target::Name),
                _ => None,
            };
        }
        [name] => (None, name.as_str()),
        [schema, name] if schema == PG_CATALOG => (Some(schema), name.as_str()),
        _ => return None,
    };
    if let Some((_, function)) = REG_TYPES.iter().find(|(known, _)| *known == name) {
        return Some(Target::Reg(function));
    }
    match name {
        "oid" => return Some(Target::Oid),
        "name" => return Some(Target::Name),
        "char" => return Some(Target::Char),
        _ => {}
    }
    schema?;
    // Every plain word here is the name of a built-in type, so reading it again is safe.
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let are_numbers = modifiers.iter().all(|modifier| modifier.parse::<u32>().is_ok());
    if !is_word || !are_numbers {
        return None;
    }
    let text = match modifiers {
        [] => name.to_owned(),
        modifiers => format!("{name}({})", modifiers.join(",")),
    };
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&text).ok()?;
    match parser.parse_data_type().ok()? {
        DataType::Custom(_, _) => None,
        plain => Some(Target::Plain(plain)),
    }
}

/// Types of which casts would change their meaning if they were left alone.
fn unsupported(data_type: &DataType) -> Option<Error> {
    let DataType::Custom(name, _) = data_type else { return None };
    let name = names(name).pop().unwrap_or_default();
    let is_reg = matches!(
        name.as_str(),
        "regprocedure" | "regoper" | "regoperator" | "regconfig" | "regdictionary" | "regcollation"
    );
    is_reg.then(|| {
        Error::new(ErrorKind::NotSupported, format!("casts to type {name} are not supported"))
    })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Text
            | DataType::String(None)
            | DataType::Varchar(None)
            | DataType::CharacterVarying(None)
            | DataType::CharVarying(None)
    )
}

fn element_type(element: &ArrayElemTypeDef) -> Option<&DataType> {
    match element {
        ArrayElemTypeDef::SquareBracket(element, _)
        | ArrayElemTypeDef::AngleBracket(element)
        | ArrayElemTypeDef::Parenthesis(element) => Some(element),
        ArrayElemTypeDef::None => None,
    }
}

/// A pattern with another escape character, written with a backslash: all that DataFusion has.
fn backslash_pattern(pattern: &Expr, escape: Option<&ValueWithSpan>) -> Option<String> {
    let Value::SingleQuotedString(escape) = &escape?.value else { return None };
    let pattern = literal_text(pattern)?;
    let mut escapes = escape.chars();
    let (escape, None) = (escapes.next()?, escapes.next()) else { return None };
    let mut plain = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let (character, is_escaped) = match character == escape {
            true => (characters.next()?, true),
            false => (character, false),
        };
        if character == '\\' || (is_escaped && matches!(character, '%' | '_')) {
            plain.push('\\');
        }
        plain.push(character);
    }
    Some(plain)
}

/// A literal, or several joined by `||`.
fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => literal_text(inner),
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            Some(format!("{}{}", literal_text(left)?, literal_text(right)?))
        }
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// A bare literal takes the type of what it is compared with: a `reg…` type's name, an array.
fn adapt_literal(typed: &Expr, literal: &mut Expr, scope: &Scope<'_>) {
    while let Expr::Nested(inner) = literal {
        if !matches!(inner.as_ref(), Expr::Nested(_) | Expr::Value(_)) {
            return;
        }
        *literal = take_expr(inner);
    }
    let is_literal = matches!(literal, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    let Some(type_name) = is_literal.then(|| type_of(typed, scope)).flatten() else { return };
    if let Some((_, function)) = REG_TYPES.iter().find(|(known, _)| *known == type_name) {
        *literal = call(function, vec![take_expr(literal)]);
        return;
    }
    if type_name == "bool"
        && let Some(value) = bool_literal(literal)
    {
        *literal = boolean(value);
        return;
    }
    let element = match type_name {
        "int2vector" | "_int2" => DataType::SmallInt(None),
        "oidvector" | "_oid" => DataType::BigInt(None),
        "_text" | "_name" | "_char" | "_aclitem" => DataType::Text,
        _ => return,
    };
    if let Some(array) = array_literal(literal, Some(&element)) {
        // One without elements has no type of its own.
        let element = ArrayElemTypeDef::SquareBracket(Box::new(element), None);
        *literal = plain(array, DataType::Array(element));
    }
}

/// The arguments of a function that take one type.
fn adapt_arguments(function: &mut Function, scope: &Scope<'_>) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    let mut expressions = list.args.iter_mut().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    if let Some(first) = expressions.next() {
        expressions.for_each(|literal| adapt_literal(first, literal, scope));
    }
}

/// A parameter that is cast, and the name of the type.
pub fn parameter_type(expr: &Expr) -> Option<(String, &'static str)> {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return None };
    let Expr::Value(ValueWithSpan { value: Value::Placeholder(parameter), .. }) = inner.as_ref()
    else {
        return None;
    };
    let type_name = match (target(data_type)?, data_type) {
        (Target::Oid, _) => "oid",
        (Target::Name, _) => "name",
        (_, DataType::Array(element)) => match target(element_type(element)?)? {
            Target::Oid => "oid[]",
            Target::Name => "name[]",
            _ => return None,
        },
        _ => return None,
    };
    Some((parameter.clone(), type_name))
}

/// Reads text as PostgreSQL reads a boolean: any unique prefix will do.
fn bool_literal(expr: &Expr) -> Option<bool> {
    let Expr::Value(value) = expr else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads `{a,"b c"}`; `None` when the expression is no such literal.
pub fn array_literal(expr: &Expr, element: Option<&DataType>) -> Option<Expr> {
    let Expr::Value(value) = expr else { return None };
    let Value::SingleQuotedString(text_value) = &value.value else { return None };
    let body = text_value.trim().strip_prefix('{')?.strip_suffix('}')?;
    let elements = array_elements(body)?;
    let elem = elements.into_iter().map(|item| {
        let literal = item.map_or_else(super::rewrite::null, |item| text(&item));
        match element {
            Some(element) => plain(literal, element.clone()),
            None => literal,
        }
    });
    Some(Expr::Array(Array { elem: elem.collect(), named: true }))
}

/// The elements of a one-dimensional array in PostgreSQL's text form; a bare NULL is one.
fn array_elements(body: &str) -> Option<Vec<Option<String>>> {
    let mut elements = Vec::new();
    if body.trim().is_empty() {
        return Some(elements);
    }
    let mut characters = body.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut item = String::new();
        if characters.next_if_eq(&'"').is_some() {
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => item.push(characters.next()?),
                    other => item.push(other),
                }
            }
            while characters.next_if(|c| c.is_whitespace()).is_some() {}
            elements.push(Some(item));
        } else {
            while let Some(c) = characters.next_if(|c| *c != ',') {
                if matches!(c, '{' | '}' | '"' | '\\') {
                    return None;
                }
                item.push(c);
            }
            let item = item.trim_end();
            if item.is_empty() {
                return None;
            }
            elements.push((!item.eq_ignore_ascii_case("null")).then(|| item.to_owned()));
        }
        match characters.next() {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

/// A `reg…` value as its type's name and an expression for the oid; the expression is moved out.
fn reg_value(expr: &mut Expr, scope: &Scope<'_>) -> Option<(&'static str, Expr)> {
    if let Some(found) = reg_call(expr) {
        return Some(found);
    }
    let name = type_of(expr, scope)?;
    let (kind, _) = REG_TYPES.iter().find(|(known, _)| *known == name)?;
    Some((kind, take_expr(expr)))
}

fn reg_call(expr: &mut Expr) -> Option<(&'static str, Expr)> {
    while let Expr::Nested(inner) = expr {
        *expr = take_expr(inner);
    }
    let Expr::Function(function) = &*expr else { return None };
    let name = names(&function.name).pop()?;
    let (kind, _) = REG_TYPES.iter().find(|(_, function)| *function == name)?;
    Some((kind, take_expr(expr)))
}

/// The `typname` of an expression, where it is plain to see.
fn type_of(expr: &Expr, scope: &Scope<'_>) -> Option<&'static str> {
    match expr {
        Expr::Nested(inner) => type_of(inner, scope),
        Expr::Identifier(name) => {
            scope.resolve(std::slice::from_ref(name))?.column.and_then(|column| column.type_name)
        }
        Expr::CompoundIdentifier(parts) => scope.resolve(parts)?.column?.type_name,
        Expr::Function(function) => {
            let name = names(&function.name).pop()?;
            match name.as_str() {
                "array_agg" => return array_type(type_of(only_argument(function)?, scope)?),
                "coalesce" => return common_type(arguments(function), scope),
                "nullif" | "max" | "min" => return type_of(arguments(function).next()?, scope),
                "weir_char" => return Some("char"),
                "weir_name" => return Some("name"),
                "weir_names" => return Some("_name"),
                "weir_oid" => return Some("oid"),
                "to_regclass" => return Some("regclass"),
                "to_regnamespace" => return Some("regnamespace"),
                "to_regproc" => return Some("regproc"),
                "to_regrole" => return Some("regrole"),
                "to_regtype" => return Some("regtype"),
                _ => {}
            }
            REG_TYPES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
        }
        Expr::Case { conditions, else_result, .. } => {
            let results = conditions.iter().map(|when| &when.result);
            common_type(results.chain(else_result.as_deref()), scope)
        }
        _ => None,
    }
}

fn only_argument(function: &Function) -> Option<&Expr> {
    let mut arguments = arguments(function);
    let first = arguments.next()?;
    arguments.next().is_none().then_some(first)
}

fn arguments(function: &Function) -> impl Iterator<Item = &Expr> {
    let arguments = match &function.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    };
    arguments.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

/// The type that all have, where literals take that of the others.
fn common_type<'a>(
    expressions: impl Iterator<Item = &'a Expr>,
    scope: &Scope<'_>,
) -> Option<&'static str> {
    let mut common = None;
    for expr in expressions {
        let is_literal = matches!(expr, Expr::Value(value) if matches!(value.value,
            Value::Null | Value::Number(..) | Value::SingleQuotedString(_)));
        if is_literal {
            continue;
        }
        let found = type_of(expr, scope)?;
        if common.is_some_and(|common| common != found) {
            return None;
        }
        common = Some(found);
    }
    common
}

/// Says the type of what was computed from values of a type that only PostgreSQL has: the engine
/// keeps it for columns alone. What GROUP BY may repeat stays as it is, to be found there.
pub fn keep_type(expr: &mut Expr, scope: &Scope<'_>, may_be_grouped: bool) {
    let is_computed = match &*expr {
        Expr::Case { .. } => !may_be_grouped,
        Expr::Function(function) => {
            match names(&function.name).pop().unwrap_or_default().as_str() {
                "array_agg" | "max" | "min" => true,
                "coalesce" | "nullif" => !may_be_grouped,
                _ => false,
            }
        }
        _ => false,
    };
    let function = match type_of(expr, scope) {
        Some("oid") => "weir_oid",
        Some("name") => "weir_name",
        Some("char") => "weir_char",
        Some("_name") => "weir_names",
        _ => return,
    };
    if is_computed {
        *expr = call(function, vec![take_expr(expr)]);
    }
}

fn array_type(element: &str) -> Option<&'static str> {
    Some(match element {
        "char" => "_char",
        "int2" => "_int2",
        "name" => "_name",
        "oid" => "_oid",
        "text" => "_text",
        _ => return None,
    })
}

/// As [`type_of`], for the columns of a derived table.
pub fn output_type(expr: &Expr, scope: &Scope<'_>) -> Option<&'static str> {
    type_of(expr, scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_backslashes() {
        use crate::session::pg_catalog::rewrite::text;
        for (pattern, escape, plain) in [
            ("pg/_%", "/", Some("pg\\_%")),
            ("a//b", "/", Some("a/b")),
            ("a\\b", "!", Some("a\\\\b")),
            ("a!\\", "!", Some("a\\\\")),
            ("a/", "/", None),
            ("a", "ab", None),
            ("a", "", None),
        ] {
            let escape = Value::SingleQuotedString(escape.to_owned()).with_empty_span();
            let answer = backslash_pattern(&text(pattern), Some(&escape));
            assert_eq!(answer.as_deref(), plain, "{pattern}");
        }
    }

    #[test]
    fn array_literals_are_read_as_postgresql_reads_them() {
        let read = |text: &str| array_elements(text);
        let some = |items: &[&str]| {
            Some(items.iter().map(|item| Some((*item).to_owned())).collect::<Vec<_>>())
        };
        assert_eq!(read(""), Some(Vec::new()));
        assert_eq!(read("0"), some(&["0"]));
        assert_eq!(read(" a , b c "), some(&["a", "b c"]));
        assert_eq!(read(r#""a,b","c\"d","NULL""#), some(&["a,b", "c\"d", "NULL"]));
        assert_eq!(read("a,NULL"), Some(vec![Some("a".to_owned()), None]));
        for wrong in [",", "a,", "{a},{b}", "\"a", "a\"b\""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
