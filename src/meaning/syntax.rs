//! Trees that sqlparser (0.62) builds otherwise than PostgreSQL's grammar, and forms that the engine
//! reads with another meaning.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, Function,
        FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, Interval,
        LimitClause, ObjectName, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier,
        TableFactor, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
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
        if let Err(error) = limit_by_fetch(query) {
            return ControlFlow::Break(error);
        }
        refuse_all(&query.body)
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Function(function))
            | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } = item
                && select.from.is_empty()
                && function.name.to_string().eq_ignore_ascii_case("generate_series")
            {
                // A row for each value, where the engine has an array of them.
                let series = Expr::Function(function.clone());
                let alias = match item {
                    SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
                    _ => Ident::new("generate_series"),
                };
                match call("unnest", vec![series]) {
                    Ok(expr) => *item = SelectItem::ExprWithAlias { expr, alias },
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            // `x ISNULL` is read as a name for `x`.
            if let SelectItem::ExprWithAlias { alias, .. } = item
                && alias.quote_style.is_none()
                && ["isnull", "notnull"].iter().any(|it| alias.value.eq_ignore_ascii_case(it))
            {
                return ControlFlow::Break(unsupported(&alias.value));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match factor {
            TableFactor::Table { sample: Some(_), .. }
            | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break(unsupported("TABLESAMPLE"))
            }
            _ => ControlFlow::Continue(()),
        }
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
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let escape = match escape_char.take() {
                Some(escape) => escape.value.into_string().unwrap_or_default().chars().next(),
                None => Some('\\'),
            };
            let regex =
                constant(pattern).and_then(|pattern| super::patterns::similar(pattern, escape));
            let Some(regex) = regex else { return Err(unsupported("this form of SIMILAR TO")) };
            let op = match negated {
                true => BinaryOperator::PGRegexNotMatch,
                false => BinaryOperator::PGRegexMatch,
            };
            let subject = std::mem::replace(expr.as_mut(), placeholder());
            *expression = binary(subject, op, text(regex));
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            let zone = std::mem::replace(time_zone.as_mut(), placeholder());
            let moment = std::mem::replace(timestamp.as_mut(), placeholder());
            *expression = call("timezone", vec![zone, moment])?;
        }
        Expr::Interval(interval) => *interval = normalized(interval)?,
        Expr::TypedString(typed) => {
            if let DataType::Timestamp(Some(precision), _) = &typed.data_type
                && *precision != 6
            {
                return Err(unsupported(&typed.data_type));
            }
        }
        Expr::UnaryOp { op, expr } => {
            let operand = std::mem::replace(expr.as_mut(), placeholder());
            *expression = match op {
                UnaryOperator::Minus if matches!(operand, Expr::Interval(_)) => negated(operand)?,
                UnaryOperator::PGSquareRoot => call("weir_sqrt", vec![operand])?,
                UnaryOperator::PGCubeRoot => call("weir_cbrt", vec![operand])?,
                // All bits turned over.
                UnaryOperator::BitwiseNot => {
                    let one = Expr::Value(Value::Number("1".to_owned(), false).into());
                    let minus_one = Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(one) };
                    binary(minus_one, BinaryOperator::Minus, Expr::Nested(Box::new(operand)))
                }
                op => Expr::UnaryOp { op: *op, expr: Box::new(operand) },
            };
        }
        Expr::IsNull(row) | Expr::IsNotNull(row) if matches!(row.as_ref(), Expr::Tuple(_)) => {
            return Err(unsupported("IS NULL of a row"));
        }
        Expr::Function(function) if !function.within_group.is_empty() => {
            if let Some(rewritten) = over_ordered_array(function)? {
                *expression = rewritten;
            }
        }
        Expr::Function(function) if is_named(function, "date") => {
            if let Some(moment) = only_argument(function) {
                *expression = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(moment),
                    data_type: DataType::Date,
                    array: false,
                    format: None,
                };
            }
        }
        Expr::Function(function) => name_parts_of_interval(function)?,
        Expr::Subquery(query) => {
            if let Some(found) = first_of_matches(query) {
                *expression = found;
            }
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
            if let Some(members) = constant(right).and_then(plain_members) {
                let left = std::mem::replace(left.as_mut(), placeholder());
                let list = members.into_iter().map(text).collect();
                *expression = Expr::InList { expr: Box::new(left), list, negated: false };
            }
        }
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
                    *other = super::like::escaped(computed, escape);
                }
            }
        }
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::UnicodeStringLiteral(_) => {
                let text = std::mem::replace(value, Value::Null).into_string().unwrap_or_default();
                *value = Value::SingleQuotedString(text);
            }
            Value::HexStringLiteral(_) | Value::SingleQuotedByteStringLiteral(_) => {
                return Err(unsupported("a bit string"));
            }
            Value::Number(digits, _)
                if digits.contains(['e', 'E']) && !is_beyond_decimals(digits) =>
            {
                if let Some(written) = without_exponent(digits) {
                    *expression = written;
                }
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
                // The engine's float is a real.
                DataType::Float(info) => {
                    *data_type = match info {
                        ExactNumberInfo::Precision(digits) if *digits <= 24 => DataType::Real,
                        _ => DataType::DoublePrecision,
                    };
                    return Ok(());
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
                *expression = match op {
                    BinaryOperator::Overlaps => overlaps(left, right)?,
                    op => compare_rows(left, op, right)?,
                };
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

fn first_cast(args: &mut FunctionArguments) -> Option<&mut Expr> {
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
    if left.len() != right.len() || left.is_empty() {
        return Err(Error::new(ErrorKind::Syntax, "unequal number of entries in row expressions"));
    }
    let joined_by = match op {
        BinaryOperator::Eq => BinaryOperator::And,
        BinaryOperator::NotEq => BinaryOperator::Or,
        BinaryOperator::Lt | BinaryOperator::LtEq => {
            return Ok(order_rows(left, &BinaryOperator::Lt, op, right));
        }
        BinaryOperator::Gt | BinaryOperator::GtEq => {
            return Ok(order_rows(left, &BinaryOperator::Gt, op, right));
        }
        _ => return Err(unsupported(format!("a comparison of rows by {op}"))),
    };
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

/// The first fields that differ decide, and the last ones by `last`.
fn order_rows(
    left: Vec<Expr>,
    op: &BinaryOperator,
    last: &BinaryOperator,
    right: Vec<Expr>,
) -> Expr {
    let mut whole: Option<Expr> = None;
    for (left, right) in left.into_iter().zip(right).rev() {
        whole = Some(match whole {
            None => binary(left, last.clone(), right),
            Some(rest) => {
                let equal = binary(left.clone(), BinaryOperator::Eq, right.clone());
                let rest = binary(equal, BinaryOperator::And, Expr::Nested(Box::new(rest)));
                let differ = binary(left, op.clone(), right);
                binary(differ, BinaryOperator::Or, Expr::Nested(Box::new(rest)))
            }
        });
    }
    Expr::Nested(Box::new(whole.unwrap_or_else(placeholder)))
}

/// Periods, of which the second half may be how long they last.
fn overlaps(left: Vec<Expr>, right: Vec<Expr>) -> Result<Expr> {
    let mut moments = Vec::with_capacity(4);
    for period in [left, right] {
        let Ok([start, end]) = <[Expr; 2]>::try_from(period) else {
            return Err(Error::new(ErrorKind::Syntax, "wrong number of parameters of OVERLAPS"));
        };
        let end = match end {
            Expr::Interval(_) => binary(start.clone(), BinaryOperator::Plus, end),
            end => end,
        };
        moments.extend([start, end]);
    }
    call("overlaps", moments)
}

fn is_named(function: &Function, name: &str) -> bool {
    function.name.to_string().eq_ignore_ascii_case(name)
}

fn only_argument(function: &mut Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &mut function.args else { return None };
    match list.args.as_mut_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => {
            Some(std::mem::replace(argument, placeholder()))
        }
        _ => None,
    }
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
fn limit_by_fetch(query: &mut Query) -> Result<()> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    if fetch.with_ties || fetch.percent {
        return Err(unsupported("FETCH … WITH TIES"));
    }
    let one = || Expr::Value(Value::Number("1".to_owned(), false).into());
    let quantity = Some(fetch.quantity.unwrap_or_else(one));
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: quantity,
                offset: None,
                limit_by: Vec::new(),
            });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = quantity,
        Some(_) => return Err(Error::new(ErrorKind::Syntax, "multiple LIMIT clauses not allowed")),
    }
    Ok(())
}

/// `percentile_cont(f) WITHIN GROUP (ORDER BY x)` as a function of the array of a group's values: the
/// engine's own is not exact, and it has no other of its kind.
fn over_ordered_array(function: &mut Function) -> Result<Option<Expr>> {
    const KNOWN: [&str; 3] = ["percentile_cont", "percentile_disc", "mode"];
    let Some(name) = KNOWN.iter().find(|name| is_named(function, name)) else { return Ok(None) };
    if function.over.is_some() {
        return Err(unsupported(format!("OVER with {name}")));
    }
    let fraction = only_argument(function);
    let [order] = function.within_group.as_slice() else {
        return Err(unsupported(format!("{name} of several values")));
    };
    let mut aggregate = parse("array_agg(NULL ORDER BY NULL) FILTER (WHERE NULL IS NOT NULL)")?;
    if let Expr::Function(aggregate) = &mut aggregate {
        if let FunctionArguments::List(list) = &mut aggregate.args {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(order.expr.clone()))];
            list.clauses = vec![FunctionArgumentClause::OrderBy(vec![order.clone()])];
        }
        let is_there = Expr::IsNotNull(Box::new(order.expr.clone()));
        aggregate.filter = Some(Box::new(match function.filter.take() {
            Some(filter) => binary(Expr::Nested(filter), BinaryOperator::And, is_there),
            None => is_there,
        }));
    }
    let arguments = std::iter::once(aggregate).chain(fraction).collect();
    call(name, arguments).map(Some)
}

/// `(SELECT (regexp_matches(x, 'y'))[n])`, as Tableau writes it: no match is no row, and so NULL.
fn first_of_matches(query: &mut Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let is_plain = query.with.is_none()
        && query.limit_clause.is_none()
        && select.from.is_empty()
        && select.selection.is_none();
    let [SelectItem::UnnamedExpr(item)] = select.projection.as_mut_slice() else { return None };
    let Expr::CompoundFieldAccess { root, .. } = item else { return None };
    let mut inner = root.as_mut();
    while let Expr::Nested(nested) = inner {
        inner = nested.as_mut();
    }
    let Expr::Function(function) = inner else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    if !is_plain || !is_named(function, "regexp_matches") || list.args.len() != 2 {
        return None;
    }
    function.name = ObjectName::from(vec![Ident::new("regexp_match")]);
    Some(std::mem::replace(item, placeholder()))
}

/// The members of an array's text, if none needs a closer look.
fn plain_members(array: &str) -> Option<Vec<String>> {
    let members = array.trim().strip_prefix('{')?.strip_suffix('}')?;
    let members: Vec<String> = members.split(',').map(|member| member.trim().to_owned()).collect();
    let is_plain = |member: &String| {
        !member.is_empty()
            && !member.contains(['"', '\\', '{', '}'])
            && !member.eq_ignore_ascii_case("null")
    };
    if members.iter().all(is_plain) { Some(members) } else { None }
}

fn text(text: String) -> Expr {
    Expr::Value(Value::SingleQuotedString(text).into())
}

fn constant(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        Expr::Nested(inner) => constant(inner),
        _ => None,
    }
}

/// A call of a function of any number of arguments.
fn call(function: &str, arguments: Vec<Expr>) -> Result<Expr> {
    let nulls = vec!["NULL"; arguments.len()].join(", ");
    let mut call = parse(&format!("{function}({nulls})"))?;
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut call {
        for (place, argument) in list.args.iter_mut().zip(arguments) {
            *place = FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
        }
    }
    Ok(call)
}

/// `make_interval(days => 1)`: the parts that are not named are zero.
fn name_parts_of_interval(function: &mut Function) -> Result<()> {
    const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
    let is_it = function.name.to_string().eq_ignore_ascii_case("make_interval");
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    if !is_it || list.args.len() > PARTS.len() {
        return Ok(());
    }
    let zero = || Expr::Value(Value::Number("0".to_owned(), false).into());
    let mut parts: Vec<Expr> = PARTS.iter().map(|_| zero()).collect();
    for (index, argument) in std::mem::take(&mut list.args).into_iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (Some(index), value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
            | FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg: FunctionArgExpr::Expr(value),
                ..
            } => (PARTS.iter().position(|part| name.value.eq_ignore_ascii_case(part)), value),
            _ => return Err(unsupported("this argument of make_interval")),
        };
        match place.and_then(|place| parts.get_mut(place)) {
            Some(part) => *part = value,
            None => return Err(unsupported("this argument of make_interval")),
        }
    }
    let arguments = parts.into_iter().map(|it| FunctionArg::Unnamed(FunctionArgExpr::Expr(it)));
    list.args = arguments.collect();
    Ok(())
}

/// An interval in the one style that the engine reads as it is meant.
fn normalized(interval: &Interval) -> Result<Interval> {
    let Some(written) = constant(&interval.value) else {
        return Err(unsupported("an interval that is no constant"));
    };
    if interval.leading_precision.is_some() || interval.fractional_seconds_precision.is_some() {
        return Err(unsupported("the precision of an interval"));
    }
    let unit = match (&interval.leading_field, &interval.last_field) {
        (None, None) => None,
        (Some(unit), None) => Some(unit.to_string().to_lowercase()),
        (Some(_), Some(_)) | (None, Some(_)) => {
            return Err(unsupported("an interval of several fields"));
        }
    };
    let read = match &unit {
        Some(unit) if written.trim().parse::<i32>().is_ok() => {
            weir_udfs::read_interval_of(written, unit)
        }
        Some(_) => return Err(unsupported("an interval of one field that is no integer")),
        None => weir_udfs::read_interval(written),
    };
    let read = read.map_err(Error::from)?;
    interval_of(read.months, read.days, read.micros)
}

/// The interval of the other sign.
fn negated(interval: Expr) -> Result<Expr> {
    let Expr::Interval(interval) = interval else {
        return Err(Error::internal("not an interval"));
    };
    let Some(text) = constant(&interval.value) else {
        return Err(unsupported("an interval that is no constant"));
    };
    let read = weir_udfs::read_interval(text).map_err(Error::from)?;
    let parts = (read.months.checked_neg(), read.days.checked_neg(), read.micros.checked_neg());
    let (Some(months), Some(days), Some(micros)) = parts else {
        return Err(Error::new(ErrorKind::NumericOutOfRange, "interval out of range"));
    };
    // An operator's column has no name, and two signs are none.
    let minus = interval_of(months, days, micros)?;
    Ok(Expr::UnaryOp { op: UnaryOperator::Plus, expr: Box::new(Expr::Interval(minus)) })
}

fn interval_of(months: i32, days: i32, micros: i64) -> Result<Interval> {
    if micros.checked_mul(1000).is_none() {
        return Err(Error::new(ErrorKind::NumericOutOfRange, "interval out of range"));
    }
    Ok(Interval {
        value: Box::new(text(format!("{months} months {days} days {micros} microseconds"))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

/// A numeric without an exponent, which the engine loses when it casts.
fn without_exponent(digits: &str) -> Option<Expr> {
    let (mantissa, exponent) = digits.split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut written = format!("{whole}{fraction}");
    let mut scale = i32::try_from(fraction.len()).ok()? - exponent;
    while scale < 0 {
        written.push('0');
        scale += 1;
    }
    let scale = usize::try_from(scale).ok()?;
    while written.len() <= scale {
        written.insert(0, '0');
    }
    let precision = written.trim_start_matches('0').len().max(scale).max(1);
    written.insert(written.len() - scale, '.');
    let data_type = DataType::Numeric(ExactNumberInfo::PrecisionAndScale(
        u64::try_from(precision).ok()?,
        i64::try_from(scale).ok()?,
    ));
    let cast = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(text(written.trim_end_matches('.').to_owned())),
        data_type,
        array: false,
        format: None,
    };
    // A sign keeps the column from the type's name.
    Some(Expr::UnaryOp { op: UnaryOperator::Plus, expr: Box::new(cast) })
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
            ("x SIMILAR TO 'a%'", Some("x ~ '(?s)^(?:a.*)$'")),
            ("x SIMILAR TO y", None),
            ("x AT TIME ZONE 'UTC'", Some("timezone('UTC', x)")),
            ("INTERVAL '1 day 02:00'", Some("INTERVAL '0 months 1 days 7200000000 microseconds'")),
            ("INTERVAL '2' DAY", Some("INTERVAL '0 months 2 days 0 microseconds'")),
            ("X'1F'", None),
            ("1e300", Some("CAST('1e300' AS DOUBLE PRECISION)")),
            ("1.5e3", Some("+CAST('1500' AS NUMERIC(4,0))")),
            ("1.5e-3", Some("+CAST('0.0015' AS NUMERIC(4,4))")),
            ("x::varchar(2)", Some("varchar(CAST(x AS text), 2)")),
            ("CAST(x AS char)", Some("bpchar(CAST(x AS text), 1)")),
            ("(a, b) = (c, d)", Some("(a = c AND b = d)")),
            ("(a, b) IN ((1, 2), (3, 4))", Some("((a = 1 AND b = 2) OR (a = 3 AND b = 4))")),
            ("(a, b) < (c, d)", Some("(a < c OR (a = c AND (b < d)))")),
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
