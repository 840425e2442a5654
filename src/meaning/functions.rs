//! Functions that have a name in common with PostgreSQL's, and another meaning.

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, Result, ScalarValue, not_impl_err, tree_node::Transformed},
    functions::datetime::date_part,
    logical_expr::{
        Expr, ExprSchemable, Operator, binary_expr, cast, expr::ScalarFunction, lit, when,
    },
};

pub fn correct(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(mut function) = expression else {
        return Ok(Transformed::no(expression));
    };
    let name = function.func.name().to_owned();
    match (name.as_str(), function.args.as_mut_slice()) {
        ("date_part", [field, _]) => {
            let scale = match literal(field).map(str::to_lowercase).as_deref() {
                Some("second" | "seconds") => 6,
                Some("millisecond" | "milliseconds" | "msecs") => 3,
                _ => return Ok(Transformed::no(Expr::ScalarFunction(function))),
            };
            // The engine's seconds have no fraction; its microseconds hold both.
            function.args[0] = lit("microsecond");
            let microseconds = date_part().call(function.args);
            let unit = Expr::Literal(ScalarValue::Decimal128(Some(1), 7, scale), None);
            let exact = cast(microseconds, DataType::Decimal128(10, 0));
            Ok(Transformed::yes(binary_expr(exact, Operator::Multiply, unit)))
        }
        // `x = ANY (array)`: a member that is NULL may be the one, and the engine says false.
        ("array_has", [array, member]) => {
            let (array, member) = (std::mem::take(array), std::mem::take(member));
            if let Expr::ScalarFunction(made) = &array
                && made.func.name() == "make_array"
                && !made.args.is_empty()
            {
                return Ok(Transformed::yes(member.in_list(made.args.clone(), false)));
            }
            let null = Expr::Literal(ScalarValue::Boolean(None), None);
            let is_unsure = array_position(array.clone(), null_like(&member, schema)?);
            let has = function.func.call(vec![array, member]);
            let answer =
                when(has.clone(), lit(true)).when(is_unsure.is_not_null(), null).otherwise(has)?;
            Ok(Transformed::yes(answer))
        }
        ("to_char", [_, pattern]) => {
            *pattern = translated(pattern)?;
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        ("to_date" | "to_timestamp", [_, patterns @ ..]) if !patterns.is_empty() => {
            for pattern in patterns {
                *pattern = translated(pattern)?;
            }
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        // A negative integer has eight digits, the bigint that the engine makes of it sixteen.
        ("to_hex", [number]) if !matches!(number.get_type(schema), Ok(DataType::Int64)) => {
            let wide = cast(std::mem::take(number), DataType::Int64);
            *number = binary_expr(wide, Operator::BitwiseAnd, lit(0xffff_ffffi64));
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        ("regexp_replace", [_, _, replacement, ..]) => match literal(replacement) {
            Some(text) if text.contains(['$', '&']) => {
                // `$` begins a group in the engine; `\&` is the whole match in PostgreSQL.
                let text = text.replace('$', "$$").replace("\\&", "${0}");
                *replacement = lit(text);
                Ok(Transformed::yes(Expr::ScalarFunction(function)))
            }
            Some(_) => Ok(Transformed::no(Expr::ScalarFunction(function))),
            None => not_impl_err!("regexp_replace needs a constant replacement"),
        },
        _ => signed(function, schema),
    }
}

/// PostgreSQL has no unsigned integers: the lengths and positions of arrays are integers.
fn signed(function: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    const COUNTS: &[&str] = &["array_length", "array_ndims", "array_position", "cardinality"];
    let name = function.func.name().to_owned();
    let expression = Expr::ScalarFunction(function);
    if !COUNTS.contains(&name.as_str())
        || !matches!(expression.get_type(schema), Ok(DataType::UInt64))
    {
        return Ok(Transformed::no(expression));
    }
    let count = cast(expression, DataType::Int32);
    // An empty array has no dimensions, and so no length.
    let count = match name.as_str() {
        "array_length" => {
            let zero = Expr::Literal(ScalarValue::Int32(Some(0)), None);
            datafusion::functions::core::nullif().call(vec![count, zero])
        }
        _ => count,
    };
    Ok(Transformed::yes(count))
}

fn null_like(expression: &Expr, schema: &DFSchema) -> Result<Expr> {
    let null = ScalarValue::try_from(&expression.get_type(schema)?)?;
    Ok(Expr::Literal(null, None))
}

fn array_position(array: Expr, member: Expr) -> Expr {
    datafusion::functions_nested::position::array_position_udf().call(vec![array, member])
}

fn literal(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text),
        Expr::Literal(ScalarValue::Utf8View(Some(text)), _) => Some(text),
        _ => None,
    }
}

fn translated(pattern: &Expr) -> Result<Expr> {
    match literal(pattern) {
        Some(text) => strftime(text).map(lit),
        None => not_impl_err!("a date pattern must be a constant"),
    }
}

/// Turns a pattern of to_char into one of strftime, which is what the engine has.
fn strftime(pattern: &str) -> Result<String> {
    const WORDS: &[(&str, &str)] = &[
        ("YYYY", "%Y"),
        ("MM", "%m"),
        ("DDD", "%j"),
        ("DD", "%d"),
        ("HH24", "%H"),
        ("HH12", "%I"),
        ("HH", "%I"),
        ("MI", "%M"),
        ("SS", "%S"),
        ("MS", "%3f"),
        ("US", "%6f"),
        ("IYYY", "%G"),
        ("IW", "%V"),
        ("AM", "%p"),
        ("PM", "%p"),
        ("Mon", "%b"),
        ("Dy", "%a"),
    ];
    let mut written = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let known = WORDS
            .iter()
            .filter(|(word, _)| rest.starts_with(word))
            .max_by_key(|(word, _)| word.len());
        if let Some((word, directive)) = known {
            written.push_str(directive);
            rest = rest.strip_prefix(word).unwrap_or_default();
            // `th` and `TH` would be ordinals.
            if !rest.starts_with(['t', 'T']) || rest.starts_with("T\"") {
                continue;
            }
            return not_impl_err!("pattern \"{pattern}\" is not supported");
        }
        if first == '"' {
            let quoted = rest.get(1..).and_then(|rest| rest.split_once('"'));
            let Some((text, after)) = quoted.filter(|(text, _)| !text.contains('\\')) else {
                return not_impl_err!("pattern \"{pattern}\" is not supported");
            };
            written.push_str(&text.replace('%', "%%"));
            rest = after;
            continue;
        }
        if first.is_alphanumeric() || first == '\\' {
            return not_impl_err!("pattern \"{pattern}\" is not supported");
        }
        match first {
            '%' => written.push_str("%%"),
            other => written.push(other),
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::strftime;

    #[test]
    fn patterns_are_translated_or_refused() {
        let cases = [
            ("YYYY-MM-DD HH24:MI:SS", Some("%Y-%m-%d %H:%M:%S")),
            ("YYYY\"T\"HH24", Some("%YT%H")),
            ("DD.MM.YYYY", Some("%d.%m.%Y")),
            ("100%", None),
            ("%", Some("%%")),
            ("FMMonth", None),
            ("DDth", None),
            ("Q", None),
        ];
        for (pattern, expected) in cases {
            assert_eq!(strftime(pattern).ok().as_deref(), expected, "{pattern}");
        }
    }
}
