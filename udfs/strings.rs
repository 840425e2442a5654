//! Functions of text, and of numbers that the engine has not.

use datafusion::{
    common::{exec_err, internal_err},
    error::Result,
};

use crate::rows::{Answer, Entry, Kind, Row, Value, digits, entry, form, nullable, variadic};

use Kind::{Any, Bytes, Float8, Int4, Int8, Numeric, Text};

pub static ENTRIES: &[Entry] = &[
    entry("upper", &[form(&[Text], Text, |row| change_case(row, upper))]),
    entry("lower", &[form(&[Text], Text, |row| change_case(row, lower))]),
    entry("initcap", &[form(&[Text], Text, capitals)]),
    nullable("format", &[variadic(&[Text, Any], Text, format), form(&[Text], Text, format)]),
    entry("quote_literal", &[form(&[Any], Text, quote_literal)]),
    nullable("quote_nullable", &[form(&[Any], Text, quote_literal)]),
    entry(
        "quote_ident",
        &[form(&[Text], Text, |row| {
            let quoted = identifier(row.text(0)?);
            row.write(&quoted)
        })],
    ),
    entry(
        "get_byte",
        &[form(&[Bytes, Int4], Int4, |row| match row.values.first() {
            Some(Value::Bytes(bytes)) => {
                let index = usize::try_from(row.int(1)?).ok();
                match index.and_then(|index| bytes.get(index)) {
                    Some(byte) => Ok(Answer::Int((*byte).into())),
                    None => exec_err!("index {} out of range", row.int(1)?),
                }
            }
            other => internal_err!("get_byte of {other:?}"),
        })],
    ),
    entry(
        "mod",
        &[
            form(&[Int4, Int4], Int4, remainder),
            form(&[Int8, Int8], Int8, remainder),
            // Planned as the operator.
            form(&[Numeric, Numeric], Numeric, |_| internal_err!("mod of numerics is an operator")),
        ],
    ),
    entry(
        "weir_byte_length",
        &[form(&[Bytes], Int4, |row| match row.values.first() {
            Some(Value::Bytes(bytes)) => {
                Ok(Answer::Int(i64::try_from(bytes.len()).unwrap_or(i64::MAX)))
            }
            other => internal_err!("the length of {other:?}"),
        })],
    ),
    entry(
        "div",
        &[digits(&[Numeric, Numeric], 38, 0, |row| {
            let ((left, left_scale), (right, right_scale)) = (row.decimal(0)?, row.decimal(1)?);
            let scale = left_scale.max(right_scale);
            let widen = |value: i128, own: i8| {
                10i128
                    .checked_pow(u32::from((scale - own).unsigned_abs()))
                    .and_then(|factor| value.checked_mul(factor))
            };
            match (widen(left, left_scale), widen(right, right_scale)) {
                (_, Some(0)) => exec_err!("division by zero"),
                (Some(left), Some(right)) => Ok(Answer::Decimal(left / right)),
                _ => exec_err!("numeric field overflow"),
            }
        })],
    ),
    entry(
        "sign",
        &[
            form(&[Float8], Float8, |row| {
                let value = row.float(0)?;
                Ok(Answer::Float(if value > 0.0 {
                    1.0
                } else if value < 0.0 {
                    -1.0
                } else {
                    0.0
                }))
            }),
            digits(&[Numeric], 1, 0, |row| Ok(Answer::Decimal(row.decimal(0)?.0.signum()))),
        ],
    ),
    entry(
        "weir_ceil",
        &[digits(&[Numeric], 38, 0, |row| {
            let (value, unit) = parts(row)?;
            Ok(Answer::Decimal(-(-value).div_euclid(unit)))
        })],
    ),
    entry(
        "weir_floor",
        &[digits(&[Numeric], 38, 0, |row| {
            let (value, unit) = parts(row)?;
            Ok(Answer::Decimal(value.div_euclid(unit)))
        })],
    ),
    entry(
        "weir_trunc",
        &[digits(&[Numeric], 38, 0, |row| {
            let (value, unit) = parts(row)?;
            Ok(Answer::Decimal(value / unit))
        })],
    ),
    entry("weir_numeric_text", &[form(&[Float8, Int4], Text, numeric_text)]),
    entry("encode", &[form(&[Bytes, Text], Text, encode)]),
    entry(
        "gcd",
        &[
            form(&[Int4, Int4], Int4, |row| gcd(row.int(0)?, row.int(1)?).map(Answer::Int)),
            form(&[Int8, Int8], Int8, |row| gcd(row.int(0)?, row.int(1)?).map(Answer::Int)),
        ],
    ),
    entry("lcm", &[form(&[Int4, Int4], Int4, lcm), form(&[Int8, Int8], Int8, lcm)]),
    entry(
        "factorial",
        &[digits(&[Int8], 38, 0, |row| {
            let count = row.int(0)?;
            if count < 0 {
                return exec_err!("factorial of a negative number is undefined: out of range");
            }
            let mut product = 1i128;
            for factor in 2..=i128::from(count) {
                match product.checked_mul(factor) {
                    Some(next) => product = next,
                    None => return exec_err!("value overflows numeric format"),
                }
            }
            Ok(Answer::Decimal(product))
        })],
    ),
    entry("width_bucket", &[form(&[Float8, Float8, Float8, Int4], Int4, width_bucket)]),
    nullable(
        "num_nulls",
        &[variadic(&[Any], Int4, |row| {
            let nulls = row.values.iter().filter(|value| matches!(value, Value::Null)).count();
            Ok(Answer::Int(i64::try_from(nulls).unwrap_or(0)))
        })],
    ),
];

fn change_case(row: &mut Row<'_>, change: fn(char) -> char) -> Result<Answer> {
    let Some(Value::Text(text)) = row.values.first().copied() else { return Ok(Answer::Null) };
    row.text.extend(text.chars().map(change));
    Ok(Answer::Written)
}

/// One character stays one, as in the C library: `ß` has no capital.
fn upper(character: char) -> char {
    let mut mapped = character.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => character,
    }
}

fn lower(character: char) -> char {
    match character {
        // The dot is not kept.
        'İ' => 'i',
        _ => {
            let mut mapped = character.to_lowercase();
            match (mapped.next(), mapped.next()) {
                (Some(lower), None) => lower,
                _ => character,
            }
        }
    }
}

fn capitals(row: &mut Row<'_>) -> Result<Answer> {
    let Some(Value::Text(text)) = row.values.first().copied() else { return Ok(Answer::Null) };
    let mut is_inside = false;
    for character in text.chars() {
        row.text.push(if is_inside { lower(character) } else { upper(character) });
        is_inside = character.is_alphanumeric();
    }
    Ok(Answer::Written)
}

fn quote_literal(row: &mut Row<'_>) -> Result<Answer> {
    match row.values.first().copied() {
        Some(Value::Text(text)) => {
            let quoted = literal(text);
            row.write(&quoted)
        }
        _ => row.write("NULL"),
    }
}

fn literal(text: &str) -> String {
    let prefix = if text.contains('\\') { "E" } else { "" };
    format!("{prefix}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Words that are quoted as names: those that PostgreSQL 15 does not call unreserved.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between",
    "bigint", "binary", "bit", "boolean", "both", "case", "cast", "char", "character", "check", "coalesce",
    "collate", "collation", "column", "concurrently", "constraint", "create", "cross", "current_catalog",
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "dec",
    "decimal", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "extract",
    "false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant", "greatest", "group",
    "grouping", "having", "ilike", "in", "initially", "inner", "inout", "int", "integer", "intersect", "interval",
    "into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", "localtime",
    "localtimestamp", "national", "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif",
    "numeric", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay", "placing",
    "position", "precision", "primary", "real", "references", "returning", "right", "row", "select",
    "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "table", "tablesample",
    "then", "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using",
    "values", "varchar", "variadic", "verbose", "when", "where", "window", "with", "xmlattributes", "xmlconcat",
    "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize",
    "xmltable",
];

fn identifier(name: &str) -> String {
    let is_plain = name.starts_with(|it: char| it.is_ascii_lowercase() || it == '_')
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
        && !RESERVED.contains(&name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `%[position$][-][width]type`.
fn format(row: &mut Row<'_>) -> Result<Answer> {
    let Some(Value::Text(pattern)) = row.values.first().copied() else { return Ok(Answer::Null) };
    let mut rest = pattern.chars().peekable();
    let mut next = 1usize;
    while let Some(character) = rest.next() {
        if character != '%' {
            row.text.push(character);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            row.text.push('%');
            continue;
        }
        let mut number = digits_of(&mut rest);
        if let Some(position) = number
            && rest.next_if_eq(&'$').is_some()
        {
            if position == 0 {
                return exec_err!("format specifies argument 0, but arguments are numbered from 1");
            }
            next = position;
            number = None;
        }
        let mut is_left = false;
        while number.is_none() && rest.next_if_eq(&'-').is_some() {
            is_left = true;
        }
        if rest.next_if_eq(&'*').is_some() {
            return datafusion::common::not_impl_err!(
                "format() with a width of * is not supported"
            );
        }
        let width = number.or_else(|| digits_of(&mut rest)).unwrap_or(0);
        let Some(kind) = rest.next() else {
            return exec_err!("unterminated format() type specifier");
        };
        if !matches!(kind, 's' | 'I' | 'L') {
            return exec_err!("unrecognized format() type specifier \"{kind}\"");
        }
        let Some(argument) = row.values.get(next) else {
            return exec_err!("too few arguments for format()");
        };
        next += 1;
        let shown = match (kind, argument) {
            ('s', Value::Text(text)) => (*text).to_owned(),
            ('I', Value::Text(text)) => identifier(text),
            ('L', Value::Text(text)) => literal(text),
            ('s', Value::Null) => String::new(),
            ('L', Value::Null) => "NULL".to_owned(),
            ('I', Value::Null) => {
                return exec_err!("null values cannot be formatted as an SQL identifier");
            }
            (_, other) => return internal_err!("format() of {other:?}"),
        };
        let padding = " ".repeat(width.saturating_sub(shown.chars().count()));
        match is_left {
            true => row.text.extend([shown, padding]),
            false => row.text.extend([padding, shown]),
        }
    }
    Ok(Answer::Written)
}

fn digits_of(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    // A width that no text has; more would be a way to fill the memory.
    digits.parse().ok().map(|width: usize| width.min(1_000_000))
}

fn remainder(row: &mut Row<'_>) -> Result<Answer> {
    match row.int(0)?.checked_rem(row.int(1)?) {
        Some(rest) => Ok(Answer::Int(rest)),
        None if row.int(1)? == 0 => exec_err!("division by zero"),
        None => Ok(Answer::Int(0)),
    }
}

fn gcd(left: i64, right: i64) -> Result<i64> {
    let (mut a, mut b) = (left.unsigned_abs(), right.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    match i64::try_from(a) {
        Ok(gcd) => Ok(gcd),
        Err(_) => exec_err!("bigint out of range"),
    }
}

fn lcm(row: &mut Row<'_>) -> Result<Answer> {
    let (left, right) = (row.int(0)?, row.int(1)?);
    if left == 0 || right == 0 {
        return Ok(Answer::Int(0));
    }
    match (left / gcd(left, right)?).checked_mul(right).and_then(i64::checked_abs) {
        Some(lcm) => Ok(Answer::Int(lcm)),
        None => exec_err!("bigint out of range"),
    }
}

fn width_bucket(row: &mut Row<'_>) -> Result<Answer> {
    let (operand, low, high) = (row.float(0)?, row.float(1)?, row.float(2)?);
    let count = row.int(3)?;
    if count <= 0 {
        return exec_err!("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return exec_err!("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return exec_err!("lower and upper bounds must be finite");
    }
    if low == high {
        return exec_err!("lower bound cannot equal upper bound");
    }
    let (is_before, is_after) = match low < high {
        true => (operand < low, operand >= high),
        false => (operand > low, operand <= high),
    };
    Ok(Answer::Int(match (is_before, is_after) {
        (true, _) => 0,
        (_, true) => count + 1,
        _ => ((operand - low) / (high - low) * count as f64) as i64 + 1,
    }))
}

/// The digits of a numeric, and how many of them make one.
fn parts(row: &Row<'_>) -> Result<(i128, i128)> {
    let (value, scale) = row.decimal(0)?;
    match 10i128.checked_pow(u32::from(scale.unsigned_abs())) {
        Some(unit) if scale >= 0 => Ok((value, unit)),
        _ => exec_err!("numeric field overflow"),
    }
}

fn encode(row: &mut Row<'_>) -> Result<Answer> {
    let (Some(Value::Bytes(bytes)), format) = (row.values.first().copied(), row.text(1)?) else {
        return internal_err!("encode takes bytes");
    };
    match format.to_ascii_lowercase().as_str() {
        "hex" => {
            for byte in bytes {
                row.write_with(format_args!("{byte:02x}"))?;
            }
        }
        "base64" => base64(bytes, row.text),
        "escape" => {
            for byte in bytes {
                match byte {
                    b'\\' => row.text.push_str("\\\\"),
                    0 | 0x80.. => {
                        row.write_with(format_args!("\\{byte:03o}"))?;
                    }
                    other => row.text.push(char::from(*other)),
                }
            }
        }
        _ => return exec_err!("unrecognized encoding: \"{format}\""),
    }
    Ok(Answer::Written)
}

/// In lines of 76 characters, as in MIME.
fn base64(bytes: &[u8], text: &mut String) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            text.push('\n');
        }
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = (bits >> (18 - 6 * place)) & 63;
            let is_padding = place > chunk.len();
            let letter = LETTERS[usize::try_from(letter).unwrap_or(0)];
            text.push(if is_padding { '=' } else { char::from(letter) });
        }
    }
}

/// The digits that a numeric keeps of a float: 15 of a double precision, 6 of a real.
fn numeric_text(row: &mut Row<'_>) -> Result<Answer> {
    let (value, digits) = (row.float(0)?, row.int(1)?);
    if value.is_nan() || value.is_infinite() {
        return exec_err!("{value} does not fit numeric: out of range");
    }
    let places = usize::try_from(digits - 1).unwrap_or(0);
    let written = format!("{value:.places$e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    if exponent < 0 {
        return row.write_with(format_args!("{sign}0.{}{digits}", zeros(-exponent - 1)));
    }
    match digits.split_at_checked(whole) {
        Some((whole, "")) => row.write_with(format_args!("{sign}{whole}")),
        Some((whole, fraction)) => row.write_with(format_args!("{sign}{whole}.{fraction}")),
        None => {
            let missing = exponent + 1 - i32::try_from(digits.len()).unwrap_or(0);
            row.write_with(format_args!("{sign}{digits}{}", zeros(missing)))
        }
    }
}
