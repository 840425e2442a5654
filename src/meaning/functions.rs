//! Functions that have a name in common with PostgreSQL's, and another meaning.

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{DFSchema, Result, ScalarValue, not_impl_err, tree_node::Transformed},
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
        ("ceil" | "floor" | "trunc", [number])
            if matches!(number.get_type(schema), Ok(DataType::Decimal128(..))) =>
        {
            let whole = weir_udfs::row_function(match name.as_str() {
                "ceil" => "weir_ceil",
                "floor" => "weir_floor",
                _ => "weir_trunc",
            })?;
            Ok(Transformed::yes(whole.call(function.args)))
        }
        ("mod", [left, right])
            if left.get_type(schema)?.is_decimal() || right.get_type(schema)?.is_decimal() =>
        {
            let (left, right) = (std::mem::take(left), std::mem::take(right));
            Ok(Transformed::yes(binary_expr(left, Operator::Modulo, right)))
        }
        ("character_length" | "length", [value])
            if matches!(value.get_type(schema), Ok(DataType::Binary)) =>
        {
            Ok(Transformed::yes(weir_udfs::row_function("weir_byte_length")?.call(function.args)))
        }
        // No member is NULL's equal.
        ("array_has_all", [array, members]) => {
            let (array, members) = (std::mem::take(array), std::mem::take(members));
            let Ok(DataType::List(member)) = members.get_type(schema) else {
                let has = function.func.call(vec![array, members]);
                return Ok(Transformed::no(has));
            };
            let null = Expr::Literal(ScalarValue::try_from(member.data_type())?, None);
            let is_sound = array_position(members.clone(), null).is_null();
            Ok(Transformed::yes(function.func.call(vec![array, members]).and(is_sound)))
        }
        ("age", [_]) => {
            let today = datafusion::functions::datetime::current_date().call(Vec::new());
            function.args.insert(0, cast(today, DataType::Timestamp(TimeUnit::Microsecond, None)));
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        ("concat" | "concat_ws" | "format", arguments) => {
            let mut is_changed = false;
            for argument in arguments {
                if matches!(argument.get_type(schema), Ok(DataType::Boolean)) {
                    *argument = letter(std::mem::take(argument))?;
                    is_changed = true;
                }
            }
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), is_changed))
        }
        ("coalesce" | "greatest" | "least" | "nullif", _) => {
            let parts = std::mem::take(&mut function.args);
            let parts = super::types::meet_all(parts, schema);
            let is_changed = parts.iter().any(|part| part.transformed);
            function.args = parts.into_iter().map(|part| part.data).collect();
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), is_changed))
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

/// A boolean as PostgreSQL prints it.
fn letter(value: Expr) -> Result<Expr> {
    when(value.clone(), lit("t")).when(Expr::Not(Box::new(value)), lit("f")).end()
}
