//! Decides which predicates a source may evaluate, and writes them in the terms of [`Scalar`].
//!
//! Invariant: the rows that pass a predicate at the source are exactly those that pass it here, or
//! more of them when it is [`Precision::Inexact`]. Only comparisons of a bare column with constants
//! of its own type, null tests, simple LIKE patterns, and AND, OR, NOT of those are known; they
//! cannot fail for any row, so that they never tell of rows that somebody may not see.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::{
    common::ScalarValue,
    logical_expr::{Between, BinaryExpr, Expr, Like, Operator, expr::InList},
};

use super::{
    fault::{Fault, is_on},
    ir::{Comparison, Literal, Pattern, Scalar},
};

/// Deeper predicates stay local: the source has a stack too.
const MAX_DEPTH: usize = 64;

/// What a source knows of a table's columns beyond their Arrow fields: the handle of its
/// [`TableDefinition`](crate::TableDefinition), in the order of its schema.
#[derive(Debug, Clone, Default)]
pub struct RemoteColumns {
    pub columns: Vec<RemoteColumn>,
}

#[derive(Debug, Clone)]
pub struct RemoteColumn {
    /// The name at the source.
    pub name: String,
    /// The form to read it in, when it is not read as it is.
    pub form: Option<Arc<str>>,
    pub compare: Compare,
    /// Whether `IS NULL` means the same there as here (for a row of NULLs it does not).
    pub has_null_test: bool,
}

impl RemoteColumn {
    /// What to select, to read the column.
    pub fn read(&self) -> Scalar {
        let column = self.bare();
        match &self.form {
            Some(form) => Scalar::ReadAs { operand: Box::new(column), form: form.clone() },
            None => column,
        }
    }

    fn bare(&self) -> Scalar {
        Scalar::Column(self.name.clone())
    }
}

/// How a column compares at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Differently, or nobody has checked.
    Never,
    /// As its Arrow type does: booleans, numbers, dates and times.
    Native,
    Text(Collation),
    /// CHAR(n): trailing blanks count here and do not count there.
    PaddedText,
    /// Held as text here and as 16 bytes there; both orders agree for canonical text.
    Uuid,
    /// A word of an enumeration: equal as text, ordered by its declaration.
    Label,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collation {
    /// Equal means the same bytes.
    pub is_deterministic: bool,
    /// Ordered by bytes.
    pub is_bytewise: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Exact,
    /// The source returns these rows and perhaps more: the predicate is checked again here.
    Inexact,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pushed {
    pub predicate: Scalar,
    pub precision: Precision,
}

impl Pushed {
    fn exact(predicate: Scalar) -> Self {
        Self { predicate, precision: Precision::Exact }
    }

    fn inexact(predicate: Scalar) -> Self {
        Self { predicate, precision: Precision::Inexact }
    }

    fn is_exact(&self) -> bool {
        self.precision == Precision::Exact
    }
}

/// What of `expr` may be sent; `None`: it stays local.
pub fn push(expr: &Expr, schema: &Schema, columns: &RemoteColumns) -> Option<Pushed> {
    Rules { schema, columns }.predicate(expr, MAX_DEPTH)
}

struct Rules<'a> {
    schema: &'a Schema,
    columns: &'a RemoteColumns,
}

#[derive(Clone, Copy)]
struct Known<'a> {
    remote: &'a RemoteColumn,
    data_type: &'a DataType,
}

impl Rules<'_> {
    fn predicate(&self, expr: &Expr, depth: usize) -> Option<Pushed> {
        let depth = depth.checked_sub(1)?;
        match expr {
            Expr::Column(_) => self.boolean(expr),
            Expr::Not(operand) => {
                let operand = self.predicate(operand, depth)?;
                operand.is_exact().then(|| Pushed::exact(not(operand.predicate)))
            }
            Expr::IsNull(operand) => self.is_null(operand),
            Expr::IsNotNull(operand) => {
                self.is_null(operand).map(|test| Pushed::exact(not(test.predicate)))
            }
            Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => {
                let parts = flatten(expr, *op).into_iter().map(|e| self.predicate(e, depth));
                match op {
                    Operator::And => all(parts.collect()),
                    _ => any(parts.collect()),
                }
            }
            Expr::BinaryExpr(binary) => self.comparison(binary),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) => self.like(like),
            _ => None,
        }
    }

    fn column(&self, expr: &Expr) -> Option<Known<'_>> {
        let Expr::Column(column) = expr else { return None };
        let (index, field) = self.schema.column_with_name(&column.name)?;
        if crate::field::unreadable(field).is_some() {
            return None;
        }
        Some(Known { remote: self.columns.columns.get(index)?, data_type: field.data_type() })
    }

    fn boolean(&self, expr: &Expr) -> Option<Pushed> {
        let column = self.column(expr)?;
        (column.remote.compare == Compare::Native && *column.data_type == DataType::Boolean)
            .then(|| Pushed::exact(column.remote.bare()))
    }

    fn is_null(&self, operand: &Expr) -> Option<Pushed> {
        let column = self.column(operand)?;
        column
            .remote
            .has_null_test
            .then(|| Pushed::exact(Scalar::IsNull(Box::new(column.remote.bare()))))
    }

    fn comparison(&self, BinaryExpr { left, op, right }: &BinaryExpr) -> Option<Pushed> {
        let comparison = match op {
            Operator::Eq => Comparison::Equal,
            Operator::NotEq => Comparison::NotEqual,
            Operator::Lt => Comparison::Less,
            Operator::LtEq => Comparison::LessOrEqual,
            Operator::Gt => Comparison::Greater,
            Operator::GtEq => Comparison::GreaterOrEqual,
            _ => return None,
        };
        match (left.as_ref(), right.as_ref()) {
            (column, Expr::Literal(value, _)) => compare(self.column(column)?, comparison, value),
            (Expr::Literal(value, _), column) => {
                compare(self.column(column)?, comparison.flip(), value)
            }
            _ => None,
        }
    }

    fn between(&self, Between { expr, negated, low, high }: &Between) -> Option<Pushed> {
        let (Expr::Literal(low, _), Expr::Literal(high, _)) = (low.as_ref(), high.as_ref()) else {
            return None;
        };
        let column = self.column(expr)?;
        if *negated {
            any(vec![
                compare(column, Comparison::Less, low),
                compare(column, Comparison::Greater, high),
            ])
        } else {
            all(vec![
                compare(column, Comparison::GreaterOrEqual, low),
                compare(column, Comparison::LessOrEqual, high),
            ])
        }
    }

    fn in_list(&self, InList { expr, list, negated }: &InList) -> Option<Pushed> {
        let column = self.column(expr)?;
        let mut literals = Vec::with_capacity(list.len());
        let mut precision = Precision::Exact;
        for item in list {
            let Expr::Literal(value, _) = item else { return None };
            let (literal, item_precision) = equality(column, value)?;
            literals.push(literal);
            if item_precision == Precision::Inexact {
                precision = Precision::Inexact;
            }
        }
        let operand = Box::new(equality_operand(column.remote));
        let predicate = Scalar::In { operand, list: literals };
        match (negated, precision) {
            (false, precision) => Some(Pushed { predicate, precision }),
            (true, Precision::Exact) => Some(Pushed::exact(not(predicate))),
            (true, Precision::Inexact) => None,
        }
    }

    fn like(&self, like: &Like) -> Option<Pushed> {
        let Like { negated, expr, pattern, escape_char, case_insensitive } = like;
        if *case_insensitive || escape_char.is_some() {
            return None;
        }
        let column = self.column(expr)?;
        // Non-deterministic collations know no LIKE.
        let Compare::Text(Collation { is_deterministic: true, .. }) = column.remote.compare else {
            return None;
        };
        let Expr::Literal(value, _) = pattern.as_ref() else { return None };
        let pattern = simple_pattern(text(value)?)?;
        let predicate = Scalar::Like { operand: Box::new(column.remote.bare()), pattern };
        Some(Pushed::exact(if *negated { not(predicate) } else { predicate }))
    }
}

fn not(operand: Scalar) -> Scalar {
    Scalar::Not(Box::new(operand))
}

/// The operands of a chain of one operator: `a OR b OR c` nests to the left, thousands deep.
fn flatten(expr: &Expr, operator: Operator) -> Vec<&Expr> {
    let (mut open, mut parts) = (vec![expr], Vec::new());
    while let Some(next) = open.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == operator => {
                open.push(right);
                open.push(left);
            }
            part => parts.push(part),
        }
    }
    parts
}

/// A conjunct that stays local only makes the rest inexact.
fn all(parts: Vec<Option<Pushed>>) -> Option<Pushed> {
    let is_whole = parts.iter().all(|part| part.as_ref().is_some_and(Pushed::is_exact));
    let predicates: Vec<_> = parts.into_iter().flatten().map(|part| part.predicate).collect();
    if predicates.is_empty() {
        return None;
    }
    let predicate = Scalar::And(predicates);
    Some(if is_whole { Pushed::exact(predicate) } else { Pushed::inexact(predicate) })
}

/// A branch that stays local keeps the whole local.
fn any(parts: Vec<Option<Pushed>>) -> Option<Pushed> {
    let parts = match is_on(Fault::LostBranch) && parts.iter().any(Option::is_some) {
        false => parts.into_iter().collect::<Option<Vec<_>>>()?,
        true => parts.into_iter().flatten().collect(),
    };
    let is_exact = parts.iter().all(Pushed::is_exact);
    let predicate = Scalar::Or(parts.into_iter().map(|part| part.predicate).collect());
    Some(if is_exact { Pushed::exact(predicate) } else { Pushed::inexact(predicate) })
}

fn compare(column: Known<'_>, comparison: Comparison, value: &ScalarValue) -> Option<Pushed> {
    match comparison {
        Comparison::Equal => {
            let (literal, precision) = equality(column, value)?;
            let predicate = compared(equality_operand(column.remote), comparison, literal);
            Some(Pushed { predicate, precision })
        }
        Comparison::NotEqual => {
            let (literal, precision) = equality(column, value)?;
            let predicate = compared(equality_operand(column.remote), comparison, literal);
            // What differs here may be equal there: no superset of it can be asked for.
            (precision == Precision::Exact).then(|| Pushed::exact(predicate))
        }
        Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => order(column, comparison, value),
    }
}

fn compared(left: Scalar, comparison: Comparison, literal: Literal) -> Scalar {
    let right = Box::new(Scalar::Literal(literal));
    Scalar::Compare { comparison, left: Box::new(left), right }
}

fn equality_operand(column: &RemoteColumn) -> Scalar {
    match column.compare {
        // As text: a word that the enumeration does not know is then no error.
        Compare::Label => column.read(),
        Compare::Never
        | Compare::Native
        | Compare::Text(_)
        | Compare::PaddedText
        | Compare::Uuid => column.bare(),
    }
}

/// The constant to compare with, and whether equal there means equal here.
fn equality(column: Known<'_>, value: &ScalarValue) -> Option<(Literal, Precision)> {
    match column.remote.compare {
        Compare::Never => None,
        Compare::Native => {
            let literal = native(column.data_type, value)?;
            // Arrow tells -0.0 from 0.0, SQL does not.
            let precision =
                if is_float_zero(&literal) { Precision::Inexact } else { Precision::Exact };
            Some((literal, precision))
        }
        Compare::Text(Collation { is_deterministic, .. }) => {
            let is_exact = is_deterministic || is_on(Fault::CaseInsensitive);
            let precision = if is_exact { Precision::Exact } else { Precision::Inexact };
            Some((Literal::Text(text(value)?.to_owned()), precision))
        }
        Compare::PaddedText => {
            Some((Literal::PaddedText(text(value)?.to_owned()), Precision::Inexact))
        }
        Compare::Uuid => Some((canonical_uuid(text(value)?)?, Precision::Exact)),
        Compare::Label => Some((Literal::Text(text(value)?.to_owned()), Precision::Exact)),
    }
}

fn order(column: Known<'_>, comparison: Comparison, value: &ScalarValue) -> Option<Pushed> {
    let bare = column.remote.bare();
    match column.remote.compare {
        Compare::Native => {
            let literal = native(column.data_type, value)?;
            let is_zero = is_float_zero(&literal);
            let predicate = compared(bare, comparison, literal);
            if !is_zero {
                return Some(Pushed::exact(predicate));
            }
            // `< 0.0` holds for -0.0 in Arrow and not in SQL: no superset. `<=` holds for both.
            matches!(comparison, Comparison::LessOrEqual | Comparison::GreaterOrEqual)
                .then(|| Pushed::inexact(predicate))
        }
        Compare::Text(collation) => {
            let is_plain = collation.is_bytewise || is_on(Fault::Collation);
            let operand = if is_plain { bare } else { Scalar::Bytewise(Box::new(bare)) };
            let literal = Literal::Text(text(value)?.to_owned());
            Some(Pushed::exact(compared(operand, comparison, literal)))
        }
        Compare::Uuid => {
            let literal = canonical_uuid(text(value)?)?;
            Some(Pushed::exact(compared(bare, comparison, literal)))
        }
        Compare::Never | Compare::PaddedText | Compare::Label => None,
    }
}

/// A constant of exactly the column's type: what DataFusion had to cast is not compared there.
fn native(data_type: &DataType, value: &ScalarValue) -> Option<Literal> {
    fn integer(value: i128, bits: u8) -> Option<Literal> {
        Some(Literal::Integer { value, bits, is_signed: true })
    }
    match (data_type, value) {
        (DataType::Boolean, ScalarValue::Boolean(Some(value))) => Some(Literal::Boolean(*value)),
        (DataType::Int8, ScalarValue::Int8(Some(value))) => integer((*value).into(), 8),
        (DataType::Int16, ScalarValue::Int16(Some(value))) => integer((*value).into(), 16),
        (DataType::Int32, ScalarValue::Int32(Some(value))) => integer((*value).into(), 32),
        (DataType::Int64, ScalarValue::Int64(Some(value))) => integer((*value).into(), 64),
        // One NaN is known on both sides; another payload would differ from it here.
        (DataType::Float32, ScalarValue::Float32(Some(value))) => {
            let is_known = !value.is_nan() || value.to_bits() == f32::NAN.to_bits();
            is_known.then_some(Literal::Float32(*value))
        }
        (DataType::Float64, ScalarValue::Float64(Some(value))) => {
            let is_known = !value.is_nan() || value.to_bits() == f64::NAN.to_bits();
            is_known.then_some(Literal::Float64(*value))
        }
        (DataType::Decimal128(_, scale), ScalarValue::Decimal128(Some(value), _, own_scale)) => {
            decimal(*scale, *own_scale, value.to_string())
        }
        (DataType::Decimal256(_, scale), ScalarValue::Decimal256(Some(value), _, own_scale)) => {
            decimal(*scale, *own_scale, value.to_string())
        }
        (DataType::Date32, ScalarValue::Date32(Some(days))) => Some(Literal::Date(*days)),
        (DataType::Time64(TimeUnit::Nanosecond), ScalarValue::Time64Nanosecond(Some(nanos))) => {
            (nanos % 1000 == 0).then_some(Literal::Time(nanos / 1000))
        }
        (
            DataType::Timestamp(TimeUnit::Microsecond, zone),
            ScalarValue::TimestampMicrosecond(Some(micros), own_zone),
        ) => match (zone.as_deref(), own_zone.as_deref()) {
            (None, None) => Some(Literal::Timestamp(*micros)),
            // The zone only names the clock on which the same instant is shown.
            (Some(_), Some(_)) => Some(Literal::Instant(*micros)),
            _ => None,
        },
        _ => None,
    }
}

/// Sets the point into the digits of an unscaled integer.
fn decimal(scale: i8, own_scale: i8, unscaled: String) -> Option<Literal> {
    let scale = usize::try_from(scale).ok().filter(|_| scale == own_scale)?;
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled.as_str()),
    };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    Some(Literal::Decimal(format!("{sign}{whole}{point}{fraction}")))
}

fn is_float_zero(literal: &Literal) -> bool {
    match literal {
        Literal::Float32(value) => *value == 0.0,
        Literal::Float64(value) => *value == 0.0,
        _ => false,
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(text),
        _ => None,
    }
}

/// Other spellings of a UUID equal nothing here, although the source would accept them.
fn canonical_uuid(text: &str) -> Option<Literal> {
    let is_canonical = text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    is_canonical.then(|| Literal::Uuid(text.to_owned()))
}

/// `word%` or `%word%`, where the word means only itself in every dialect.
fn simple_pattern(pattern: &str) -> Option<Pattern> {
    let body = pattern.strip_suffix('%')?;
    let (word, contains) = match body.strip_prefix('%') {
        Some(word) => (word, true),
        None => (body, false),
    };
    if word.is_empty() || word.contains(['%', '_', '\\', '[', ']']) {
        return None;
    }
    let word = word.to_owned();
    Some(if contains { Pattern::Contains(word) } else { Pattern::StartsWith(word) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use arrow::datatypes::Field;
    use datafusion::{
        logical_expr::{col, in_list, lit, not as negate},
        scalar::ScalarValue,
    };

    use super::*;

    /// One column of each kind; `hidden` can't be read.
    fn table() -> (Schema, RemoteColumns) {
        let deterministic = Collation { is_deterministic: true, is_bytewise: false };
        let no_case = Collation { is_deterministic: false, is_bytewise: false };
        let columns = [
            ("i", DataType::Int32, Compare::Native),
            ("f", DataType::Float64, Compare::Native),
            ("n", DataType::Decimal128(12, 2), Compare::Native),
            ("t", DataType::Utf8, Compare::Text(deterministic)),
            ("nc", DataType::Utf8, Compare::Text(no_case)),
            ("ch", DataType::Utf8, Compare::PaddedText),
            ("u", DataType::Utf8, Compare::Uuid),
            ("m", DataType::Utf8, Compare::Label),
            ("x", DataType::Utf8, Compare::Never),
            ("b", DataType::Boolean, Compare::Native),
            ("hidden", DataType::Int32, Compare::Native),
        ];
        let field = |(name, data_type, _): &(&str, DataType, Compare)| {
            let field = Field::new(*name, data_type.clone(), true);
            match *name {
                "hidden" => field.with_metadata(HashMap::from([(
                    crate::field::UNREADABLE.to_owned(),
                    "secret".to_owned(),
                )])),
                _ => field,
            }
        };
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        let remote = |(name, _, compare): &(&str, DataType, Compare)| RemoteColumn {
            name: (*name).to_owned(),
            form: None,
            compare: *compare,
            has_null_test: *name != "x",
        };
        (schema, RemoteColumns { columns: columns.iter().map(remote).collect() })
    }

    #[test]
    fn only_what_is_known_is_pushed() {
        const EXACT: Option<Precision> = Some(Precision::Exact);
        const INEXACT: Option<Precision> = Some(Precision::Inexact);
        let (schema, columns) = table();
        let is_a = |name: &str| col(name).eq(lit("a"));
        let null = || Expr::Literal(ScalarValue::Int32(None), None);
        let negative_nan = f64::from_bits(0xfff8_0000_0000_0000);
        let cases: Vec<(Expr, Option<Precision>)> = vec![
            (col("i").eq(lit(1)), EXACT),
            (lit(1).lt(col("i")), EXACT),
            (col("i").eq(lit(1_i64)), None),
            (col("i").eq(null()), None),
            (col("i").eq(col("i")), None),
            (in_list(col("i"), vec![lit(1), null()], true), None),
            (in_list(col("i"), vec![lit(1), col("i")], false), None),
            (col("i").between(lit(1), lit(2)), EXACT),
            (col("i").between(lit(1), null()), INEXACT),
            (col("i").not_between(lit(1), null()), None),
            (negate(col("i").between(lit(1), null())), None),
            (col("f").eq(lit(f64::NAN)), EXACT),
            (col("f").eq(lit(negative_nan)), None),
            (col("f").eq(lit(-0.0)), INEXACT),
            (negate(col("f").eq(lit(-0.0))), None),
            (col("n").eq(Expr::Literal(ScalarValue::Decimal128(Some(1), 12, 2), None)), EXACT),
            (col("n").eq(Expr::Literal(ScalarValue::Decimal128(Some(1), 12, 3), None)), None),
            (is_a("t"), EXACT),
            (is_a("nc"), INEXACT),
            (negate(is_a("nc")), None),
            (is_a("nc").and(is_a("t")), INEXACT),
            (is_a("nc").or(is_a("t")), INEXACT),
            (negate(is_a("nc").or(is_a("t"))), None),
            (is_a("x").and(is_a("t")), INEXACT),
            (negate(is_a("x").and(is_a("t"))), None),
            (is_a("x").or(is_a("t")), None),
            (is_a("ch"), INEXACT),
            (col("ch").not_eq(lit("a")), None),
            (is_a("u"), None),
            (col("m").lt(lit("a")), None),
            (is_a("x"), None),
            (col("x").is_null(), None),
            (col("t").is_null(), EXACT),
            (col("t").like(lit("a%")), EXACT),
            (col("t").like(lit("%")), None),
            (col("t").like(lit("a_%")), None),
            (col("t").like(lit(r"a\%")), None),
            (col("t").like(lit("[a%")), None),
            (col("t").ilike(lit("a%")), None),
            (col("nc").like(lit("a%")), None),
            (col("m").like(lit("a%")), None),
            (col("b"), EXACT),
            (negate(col("b")), EXACT),
            (col("hidden").is_null(), None),
            (col("hidden").eq(lit(1)), None),
            (col("absent").is_null(), None),
        ];
        for (expr, expected) in cases {
            let found = push(&expr, &schema, &columns).map(|pushed| pushed.precision);
            assert_eq!(found, expected, "{expr}");
        }
    }

    #[test]
    fn long_chains_are_flat_and_deep_nests_stay_here() {
        let (schema, columns) = table();
        let chain = (1..5000).fold(col("i").eq(lit(0)), |chain, i| chain.or(col("i").eq(lit(i))));
        let pushed = push(&chain, &schema, &columns).unwrap();
        assert!(matches!(pushed.predicate, Scalar::Or(parts) if parts.len() == 5000));
        let nest = (0..200).fold(col("b"), |nest, _| negate(nest));
        assert_eq!(push(&nest, &schema, &columns), None);
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (unscaled, scale, expected) in [
            ("0", 0, "0"),
            ("-5", 2, "-0.05"),
            ("750", 2, "7.50"),
            ("-12345", 2, "-123.45"),
            ("1", 20, "0.00000000000000000001"),
        ] {
            let literal = decimal(scale, scale, unscaled.to_owned());
            assert_eq!(literal, Some(Literal::Decimal(expected.to_owned())));
        }
        assert_eq!(decimal(-2, -2, "1".to_owned()), None);
    }
}
