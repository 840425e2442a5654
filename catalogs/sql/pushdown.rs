//! Decides which expressions a source may evaluate, and writes them in the terms of [`Scalar`].
//!
//! Invariant: the rows that pass a predicate at the source are exactly those that pass it here, or
//! more of them when it is [`Precision::Inexact`]; a value computed there is the value computed
//! here. Nothing that is pushed can fail for any row, so that it never tells of rows that somebody
//! may not see: comparisons, null tests, simple LIKE patterns, AND, OR, NOT, CASE, casts that lose
//! nothing, and sums and products whose range is proven.

use std::{borrow::Cow, fmt, sync::Arc};

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::{
    common::{Column, ScalarValue},
    logical_expr::{
        Between, BinaryExpr, Case, Cast, Expr, Like, Operator,
        expr::{InList, ScalarFunction},
    },
};

use super::{
    fault::{Fault, is_on},
    ir::{Arithmetic, CastType, Comparison, Literal, Pattern, Scalar},
};

/// Deeper expressions stay local: the source has a stack too.
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
    /// The column as a value of this Arrow type.
    pub fn value(&self, data_type: &DataType) -> RemoteValue {
        RemoteValue {
            bare: Scalar::Column(self.name.clone()),
            form: self.form.clone(),
            compare: self.compare,
            has_null_test: self.has_null_test,
            data_type: data_type.clone(),
            magnitude: None,
        }
    }
}

/// A value at the source: a column there, or something computed of columns.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteValue {
    pub bare: Scalar,
    /// The form to read it in, when it is not read as it is.
    pub form: Option<Arc<str>>,
    pub compare: Compare,
    /// Whether `IS NULL` means the same there as here.
    pub has_null_test: bool,
    /// What it is here.
    pub data_type: DataType,
    /// The decimal logarithm of a bound of its absolute value, where that is less than its type's.
    pub magnitude: Option<f64>,
}

impl RemoteValue {
    /// A value that compares as its Arrow type does.
    pub fn native(bare: Scalar, data_type: DataType) -> Self {
        Self {
            bare,
            form: None,
            compare: Compare::Native,
            has_null_test: true,
            data_type,
            magnitude: None,
        }
    }

    /// The same value, as a level above names it.
    pub fn named(&self, name: &str) -> Self {
        Self { bare: Scalar::Column(name.to_owned()), ..self.clone() }
    }

    /// What to select, to read the value.
    pub fn read(&self) -> Scalar {
        let operand = Box::new(self.bare.clone());
        match &self.form {
            Some(form) => Scalar::ReadAs { operand, form: form.clone() },
            None => *operand,
        }
    }

    /// What is equal there exactly when the values are equal here: for GROUP BY, DISTINCT, joins.
    pub fn equatable(&self) -> Result<Scalar, Refusal> {
        match self.compare {
            Compare::Native if self.data_type.is_floating() => Err(Refusal::FLOAT),
            Compare::Native | Compare::Uuid | Compare::Label => Ok(self.bare.clone()),
            Compare::Text(collation) | Compare::PaddedText(collation) => {
                if collation.is_deterministic {
                    Ok(self.bare.clone())
                } else {
                    Ok(Scalar::Bytewise(Box::new(self.bare.clone())))
                }
            }
            Compare::Never => Err(Refusal::NEVER),
        }
    }

    /// What is ordered there as the values are ordered here: for ORDER BY, min, max, `<`.
    pub fn orderable(&self) -> Result<Scalar, Refusal> {
        match self.compare {
            Compare::Native if self.data_type.is_floating() => Err(Refusal::FLOAT),
            Compare::Native | Compare::Uuid => Ok(self.bare.clone()),
            Compare::Text(collation) | Compare::PaddedText(collation) => {
                if collation.is_bytewise || is_on(Fault::Collation) {
                    Ok(self.bare.clone())
                } else {
                    Ok(Scalar::Bytewise(Box::new(self.bare.clone())))
                }
            }
            Compare::Label => Err(Refusal::LABEL),
            Compare::Never => Err(Refusal::NEVER),
        }
    }

    /// Both sides of a comparison of two values, such as an equi-join's.
    pub fn comparable(
        &self,
        other: &Self,
        comparison: Comparison,
    ) -> Result<(Scalar, Scalar), Refusal> {
        if self.data_type != other.data_type {
            return Err(Refusal::TYPES);
        }
        let is_equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        // Two collations can't meet without a word about which one counts.
        let bytewise = |value: &Self| Scalar::Bytewise(Box::new(value.bare.clone()));
        match (self.compare, other.compare) {
            (Compare::Text(_), Compare::Text(_))
            | (Compare::PaddedText(_), Compare::PaddedText(_)) => {
                Ok((bytewise(self), bytewise(other)))
            }
            // Two enumerations have no operator in common, their words do.
            (Compare::Label, Compare::Label) if is_equality => Ok((self.read(), other.read())),
            (Compare::Native, Compare::Native) | (Compare::Uuid, Compare::Uuid) => {
                Ok((self.orderable()?, other.orderable()?))
            }
            (Compare::Never, _) | (_, Compare::Never) => Err(Refusal::NEVER),
            (Compare::Label, Compare::Label) => Err(Refusal::LABEL),
            _ => Err(Refusal::TYPES),
        }
    }

    fn bound(&self) -> Option<f64> {
        self.magnitude.or_else(|| capacity(&self.data_type))
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
    /// CHAR(n): read here without its trailing blanks, which do not count there.
    PaddedText(Collation),
    /// Held as text here and as 16 bytes there; both orders agree for canonical text.
    Uuid,
    /// A word of an enumeration: equal as text, ordered by its declaration.
    Label,
}

impl Compare {
    /// The same, under another collation if it is of text.
    pub fn collated(self, collation: Collation) -> Self {
        match self {
            Self::Text(_) => Self::Text(collation),
            Self::PaddedText(_) => Self::PaddedText(collation),
            other => other,
        }
    }
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

    pub fn is_exact(&self) -> bool {
        self.precision == Precision::Exact
    }
}

/// Why something is not asked of a source, in words for EXPLAIN. It names functions and types, and
/// never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Cow<'static, str>);

impl Refusal {
    /// Rows that come are to be looked at again.
    pub const SUPERSET: Self =
        Self(Cow::Borrowed("the source may answer with more rows than asked for"));
    const FLOAT: Self = Self(Cow::Borrowed(
        "floats have two zeros and many NaNs, which sources tell apart otherwise",
    ));
    const NEVER: Self = Self(Cow::Borrowed("values of this type compare otherwise at the source"));
    const LABEL: Self =
        Self(Cow::Borrowed("an enumeration is ordered by its declaration, not as text"));
    const TYPES: Self = Self(Cow::Borrowed("the operands have different types at the source"));
    const DEPTH: Self = Self(Cow::Borrowed("the expression is nested too deeply"));
    const RANGE: Self = Self(Cow::Borrowed("the arithmetic could overflow"));

    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the columns of an expression are at the source.
pub trait Inputs {
    fn value(&self, column: &Column) -> Result<RemoteValue, Refusal>;
}

/// The columns of one table.
pub struct TableInputs<'a> {
    pub schema: &'a Schema,
    pub columns: &'a RemoteColumns,
}

impl Inputs for TableInputs<'_> {
    fn value(&self, column: &Column) -> Result<RemoteValue, Refusal> {
        let unknown = || Refusal::new("the column is not the table's own");
        let (index, field) = self.schema.column_with_name(&column.name).ok_or_else(unknown)?;
        if crate::field::unreadable(field).is_some() {
            return Err(Refusal::new(format!("column \"{}\" can't be read", column.name)));
        }
        let remote = self.columns.columns.get(index).ok_or_else(unknown)?;
        Ok(remote.value(field.data_type()))
    }
}

/// What of a predicate may be sent.
pub fn push(expr: &Expr, inputs: &dyn Inputs) -> Result<Pushed, Refusal> {
    Rules { inputs }.predicate(expr, MAX_DEPTH)
}

/// A value that may be computed at the source, exactly as here.
pub fn push_value(expr: &Expr, inputs: &dyn Inputs) -> Result<RemoteValue, Refusal> {
    Rules { inputs }.value(expr, MAX_DEPTH)
}

struct Rules<'a> {
    inputs: &'a dyn Inputs,
}

impl Rules<'_> {
    fn predicate(&self, expr: &Expr, depth: usize) -> Result<Pushed, Refusal> {
        let depth = depth.checked_sub(1).ok_or(Refusal::DEPTH)?;
        match expr {
            Expr::Column(_) => self.boolean(expr, depth),
            Expr::Not(operand) => {
                let operand = self.predicate(operand, depth)?;
                if operand.is_exact() {
                    Ok(Pushed::exact(not(operand.predicate)))
                } else {
                    Err(Refusal::SUPERSET)
                }
            }
            Expr::IsNull(operand) => self.is_null(operand, depth),
            Expr::IsNotNull(operand) => {
                self.is_null(operand, depth).map(|test| Pushed::exact(not(test.predicate)))
            }
            Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => {
                let parts = flatten(expr, *op).into_iter().map(|e| self.predicate(e, depth));
                match op {
                    Operator::And => all(parts.collect()),
                    _ => any(parts.collect()),
                }
            }
            Expr::BinaryExpr(binary) => self.comparison(binary, depth),
            Expr::Between(between) => self.between(between, depth),
            Expr::InList(list) => self.in_list(list, depth),
            Expr::Like(like) => self.like(like, depth),
            other => Err(unknown(other)),
        }
    }

    fn value(&self, expr: &Expr, depth: usize) -> Result<RemoteValue, Refusal> {
        let depth = depth.checked_sub(1).ok_or(Refusal::DEPTH)?;
        match expr {
            Expr::Column(column) => self.inputs.value(column),
            Expr::Alias(alias) => self.value(&alias.expr, depth),
            Expr::Literal(value, _) => constant(value),
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply),
                right,
            }) => {
                let operator = match op {
                    Operator::Plus => Arithmetic::Add,
                    Operator::Minus => Arithmetic::Subtract,
                    _ => Arithmetic::Multiply,
                };
                arithmetic(operator, self.value(left, depth)?, self.value(right, depth)?)
            }
            Expr::Cast(Cast { expr, field }) => {
                lossless_cast(self.value(expr, depth)?, field.data_type())
            }
            Expr::Case(case) => self.case(case, depth),
            Expr::ScalarFunction(function) if is_substring(function) => {
                self.substring(function, depth)
            }
            Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::BinaryExpr(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::Like(_) => {
                let pushed = self.predicate(expr, depth)?;
                if !pushed.is_exact() {
                    return Err(Refusal::SUPERSET);
                }
                Ok(RemoteValue::native(pushed.predicate, DataType::Boolean))
            }
            other => Err(unknown(other)),
        }
    }

    /// Conditions are exact, and all values have one type that is no text: collations that meet in
    /// one CASE have no order in common.
    fn case(
        &self,
        Case { expr, when_then_expr, else_expr }: &Case,
        depth: usize,
    ) -> Result<RemoteValue, Refusal> {
        let mut values: Vec<RemoteValue> = Vec::new();
        let mut branches = Vec::with_capacity(when_then_expr.len());
        for (when, then) in when_then_expr {
            let condition = match expr {
                None => self.predicate(when, depth)?,
                Some(operand) => {
                    let comparison = BinaryExpr::new(operand.clone(), Operator::Eq, when.clone());
                    self.comparison(&comparison, depth)?
                }
            };
            if !condition.is_exact() {
                return Err(Refusal::SUPERSET);
            }
            let value = self.value(then, depth)?;
            branches.push((condition.predicate, value.bare.clone()));
            values.push(value);
        }
        let otherwise = match else_expr.as_deref() {
            None => None,
            Some(Expr::Literal(value, _)) if value.is_null() => None,
            Some(value) => {
                let value = self.value(value, depth)?;
                let bare = value.bare.clone();
                values.push(value);
                Some(Box::new(bare))
            }
        };
        let Some(first) = values.first() else { return Err(Refusal::TYPES) };
        let is_alike = |value: &RemoteValue| {
            value.compare == Compare::Native && value.data_type == first.data_type
        };
        if !values.iter().all(is_alike) || first.data_type.is_floating() {
            return Err(Refusal::new("CASE with values of this type may differ at the source"));
        }
        let magnitude = values
            .iter()
            .map(RemoteValue::bound)
            .try_fold(f64::NEG_INFINITY, |largest, magnitude| {
                magnitude.map(|magnitude| largest.max(magnitude))
            });
        let bare = Scalar::Case { branches, otherwise };
        Ok(RemoteValue { magnitude, ..RemoteValue::native(bare, first.data_type.clone()) })
    }

    /// From a character that exists by its number: zero and less mean something else elsewhere.
    fn substring(&self, function: &ScalarFunction, depth: usize) -> Result<RemoteValue, Refusal> {
        let [operand, Expr::Literal(start, _), Expr::Literal(length, _)] = &function.args[..]
        else {
            return Err(Refusal::new(
                "only a part of fixed place and length is the same everywhere",
            ));
        };
        let count = |value: &ScalarValue| match value {
            ScalarValue::Int64(Some(count)) => u32::try_from(*count).ok().filter(|n| *n > 0),
            ScalarValue::Int32(Some(count)) => u32::try_from(*count).ok().filter(|n| *n > 0),
            _ => None,
        };
        let (Some(start), Some(length)) = (count(start), count(length)) else {
            return Err(Refusal::new(
                "only a part of fixed place and length is the same everywhere",
            ));
        };
        let value = self.value(operand, depth)?;
        let (Compare::Text(collation) | Compare::PaddedText(collation)) = value.compare else {
            return Err(Refusal::TYPES);
        };
        let operand = Box::new(value.bare.clone());
        let bare = Scalar::Substring { operand, start, length };
        // Of CHAR(n) the part is a text: its blanks count.
        Ok(RemoteValue { bare, compare: Compare::Text(collation), ..value })
    }

    fn boolean(&self, expr: &Expr, depth: usize) -> Result<Pushed, Refusal> {
        let value = self.value(expr, depth)?;
        if value.compare == Compare::Native && value.data_type == DataType::Boolean {
            Ok(Pushed::exact(value.bare))
        } else {
            Err(Refusal::TYPES)
        }
    }

    fn is_null(&self, operand: &Expr, depth: usize) -> Result<Pushed, Refusal> {
        let value = self.value(operand, depth)?;
        if value.has_null_test {
            Ok(Pushed::exact(Scalar::IsNull(Box::new(value.bare))))
        } else {
            Err(Refusal::new("IS NULL means something else for values of this type at the source"))
        }
    }

    fn comparison(
        &self,
        BinaryExpr { left, op, right }: &BinaryExpr,
        depth: usize,
    ) -> Result<Pushed, Refusal> {
        let comparison = match op {
            Operator::Eq => Comparison::Equal,
            Operator::NotEq => Comparison::NotEqual,
            Operator::Lt => Comparison::Less,
            Operator::LtEq => Comparison::LessOrEqual,
            Operator::Gt => Comparison::Greater,
            Operator::GtEq => Comparison::GreaterOrEqual,
            other => {
                return Err(Refusal::new(format!("operator {other} may differ at the source")));
            }
        };
        match (left.as_ref(), right.as_ref()) {
            (value, Expr::Literal(literal, _)) => {
                compare(&self.value(value, depth)?, comparison, literal)
            }
            (Expr::Literal(literal, _), value) => {
                compare(&self.value(value, depth)?, comparison.flip(), literal)
            }
            (left, right) => {
                let (left, right) = (self.value(left, depth)?, self.value(right, depth)?);
                let (left, right) = left.comparable(&right, comparison)?;
                let (left, right) = (Box::new(left), Box::new(right));
                Ok(Pushed::exact(Scalar::Compare { comparison, left, right }))
            }
        }
    }

    fn between(
        &self,
        Between { expr, negated, low, high }: &Between,
        depth: usize,
    ) -> Result<Pushed, Refusal> {
        let (Expr::Literal(low, _), Expr::Literal(high, _)) = (low.as_ref(), high.as_ref()) else {
            return Err(Refusal::new("the bounds of BETWEEN are no constants"));
        };
        let value = self.value(expr, depth)?;
        if *negated {
            any(vec![
                compare(&value, Comparison::Less, low),
                compare(&value, Comparison::Greater, high),
            ])
        } else {
            all(vec![
                compare(&value, Comparison::GreaterOrEqual, low),
                compare(&value, Comparison::LessOrEqual, high),
            ])
        }
    }

    fn in_list(
        &self,
        InList { expr, list, negated }: &InList,
        depth: usize,
    ) -> Result<Pushed, Refusal> {
        let value = self.value(expr, depth)?;
        let mut literals = Vec::with_capacity(list.len());
        let mut precision = Precision::Exact;
        for item in list {
            let Expr::Literal(item, _) = item else {
                return Err(Refusal::new("IN holds more than constants"));
            };
            let (literal, item_precision) = equality(&value, item)?;
            literals.push(literal);
            if item_precision == Precision::Inexact {
                precision = Precision::Inexact;
            }
        }
        let operand = Box::new(equality_operand(&value));
        let predicate = Scalar::In { operand, list: literals };
        match (negated, precision) {
            (false, precision) => Ok(Pushed { predicate, precision }),
            (true, Precision::Exact) => Ok(Pushed::exact(not(predicate))),
            (true, Precision::Inexact) => Err(Refusal::SUPERSET),
        }
    }

    fn like(&self, like: &Like, depth: usize) -> Result<Pushed, Refusal> {
        let Like { negated, expr, pattern, escape_char, case_insensitive } = like;
        let other_pattern =
            || Refusal::new("only patterns whose one wildcard is % mean the same at every source");
        if *case_insensitive || escape_char.is_some() {
            return Err(other_pattern());
        }
        let value = self.value(expr, depth)?;
        // Non-deterministic collations know no LIKE.
        let Compare::Text(Collation { is_deterministic: true, .. }) = value.compare else {
            return Err(Refusal::new("LIKE may differ for text of this type or collation"));
        };
        let Expr::Literal(constant, _) = pattern.as_ref() else { return Err(other_pattern()) };
        let pattern = text(constant).and_then(simple_pattern).ok_or_else(other_pattern)?;
        let predicate = Scalar::Like { operand: Box::new(value.bare), pattern };
        Ok(Pushed::exact(if *negated { not(predicate) } else { predicate }))
    }
}

fn is_substring(function: &ScalarFunction) -> bool {
    matches!(function.name(), "substr" | "substring")
}

/// By what it is, not by what it says: a constant in it is nobody's business.
fn unknown(expr: &Expr) -> Refusal {
    Refusal::new(match expr {
        Expr::ScalarFunction(function) => {
            format!("function {} may differ at the source", function.name())
        }
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            format!("operator {op} may differ at the source")
        }
        Expr::Cast(cast) => {
            format!("a cast to {} may differ at the source", cast.field.data_type())
        }
        other => format!("{} is not known to mean the same at the source", other.variant_name()),
    })
}

/// A constant of a type that compares as here.
fn constant(value: &ScalarValue) -> Result<RemoteValue, Refusal> {
    let data_type = value.data_type();
    let literal = native(&data_type, value).ok_or_else(|| {
        Refusal::new(format!("a constant of type {data_type} can't be written for the source"))
    })?;
    let magnitude = match &literal {
        Literal::Integer { value, .. } => Some((value.unsigned_abs() as f64).log10()),
        Literal::Decimal(digits) => digits.parse::<f64>().ok().map(|value| value.abs().log10()),
        _ => None,
    };
    // A margin for the rounding of logarithms.
    let magnitude = magnitude.map(|magnitude| magnitude + 1e-9);
    Ok(RemoteValue { magnitude, ..RemoteValue::native(Scalar::Literal(literal), data_type) })
}

/// The decimal logarithm of the largest number of a type.
fn capacity(data_type: &DataType) -> Option<f64> {
    match data_type {
        DataType::Int8 => Some(7.0 * 2_f64.log10()),
        DataType::Int16 => Some(15.0 * 2_f64.log10()),
        DataType::Int32 => Some(31.0 * 2_f64.log10()),
        DataType::Int64 => Some(63.0 * 2_f64.log10()),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Some(f64::from(*precision) - f64::from(*scale))
        }
        _ => None,
    }
}

/// The type that the engine gives the result, and whether all its digits are there.
fn arithmetic_type(operator: Arithmetic, left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        (DataType::Int32, DataType::Int32) | (DataType::Int64, DataType::Int64) => {
            Some(left.clone())
        }
        (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) => {
            let (p1, p2) = (i32::from(*p1), i32::from(*p2));
            let (s1, s2) = (i32::from(*s1), i32::from(*s2));
            let (precision, scale) = match operator {
                Arithmetic::Multiply => (p1 + p2 + 1, s1 + s2),
                Arithmetic::Add | Arithmetic::Subtract => {
                    ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2))
                }
            };
            // Beyond this the engine cuts digits after the point.
            (s1 >= 0 && s2 >= 0 && scale <= 38)
                .then(|| DataType::Decimal128(precision.min(38) as u8, scale as i8))
        }
        _ => None,
    }
}

fn arithmetic(
    operator: Arithmetic,
    left: RemoteValue,
    right: RemoteValue,
) -> Result<RemoteValue, Refusal> {
    if left.compare != Compare::Native || right.compare != Compare::Native {
        return Err(Refusal::TYPES);
    }
    let data_type = arithmetic_type(operator, &left.data_type, &right.data_type)
        .ok_or_else(|| Refusal::new("arithmetic on these types may differ at the source"))?;
    let (a, b) = left.bound().zip(right.bound()).ok_or(Refusal::RANGE)?;
    let magnitude = 1e-9
        + match operator {
            Arithmetic::Multiply => a + b,
            Arithmetic::Add | Arithmetic::Subtract => a.max(b) + 2_f64.log10(),
        };
    let is_proven = capacity(&data_type).is_some_and(|capacity| magnitude < capacity);
    // Where a decimal has too many digits, the engine fails and the source does not; what comes back
    // is checked again. Integers wrap in some places and fail in others.
    if !is_proven && !data_type.is_decimal() {
        return Err(Refusal::RANGE);
    }
    let magnitude = is_proven.then_some(magnitude);
    let bare =
        Scalar::Arithmetic { operator, left: Box::new(left.bare), right: Box::new(right.bare) };
    Ok(RemoteValue { magnitude, ..RemoteValue::native(bare, data_type) })
}

fn lossless_cast(operand: RemoteValue, to: &DataType) -> Result<RemoteValue, Refusal> {
    let refused = || Refusal::new(format!("a cast to {to} may differ at the source"));
    if operand.compare != Compare::Native {
        return Err(refused());
    }
    let fits = |operand: &RemoteValue| {
        operand.bound().zip(capacity(to)).is_some_and(|(value, room)| value <= room)
    };
    let cast = match (&operand.data_type, to) {
        (from, to) if from == to => return Ok(operand),
        (DataType::Int8 | DataType::Int16 | DataType::Int32, DataType::Int32 | DataType::Int64)
            if fits(&operand) =>
        {
            CastType::Integer(if *to == DataType::Int64 { 64 } else { 32 })
        }
        (
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64,
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale),
        ) if *scale >= 0 && fits(&operand) => CastType::Decimal,
        (
            DataType::Decimal128(_, from) | DataType::Decimal256(_, from),
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale),
        ) if scale >= from && *from >= 0 && fits(&operand) => {
            // The same number, in a wider type.
            return Ok(RemoteValue {
                magnitude: operand.bound(),
                data_type: to.clone(),
                ..operand
            });
        }
        _ => return Err(refused()),
    };
    let magnitude = operand.bound();
    let bare = Scalar::Cast { operand: Box::new(operand.bare), to: cast };
    Ok(RemoteValue { magnitude, ..RemoteValue::native(bare, to.clone()) })
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
fn all(parts: Vec<Result<Pushed, Refusal>>) -> Result<Pushed, Refusal> {
    let mut is_whole = true;
    let (mut predicates, mut refusal) = (Vec::new(), None);
    for part in parts {
        match part {
            Ok(part) => {
                is_whole &= part.is_exact();
                predicates.push(part.predicate);
            }
            Err(reason) => {
                is_whole = false;
                refusal.get_or_insert(reason);
            }
        }
    }
    if let (true, Some(refusal)) = (predicates.is_empty(), refusal) {
        return Err(refusal);
    }
    let predicate = Scalar::And(predicates);
    Ok(if is_whole { Pushed::exact(predicate) } else { Pushed::inexact(predicate) })
}

/// A branch that stays local keeps the whole local.
fn any(parts: Vec<Result<Pushed, Refusal>>) -> Result<Pushed, Refusal> {
    let parts = match is_on(Fault::LostBranch) && parts.iter().any(Result::is_ok) {
        false => parts.into_iter().collect::<Result<Vec<_>, _>>()?,
        true => parts.into_iter().flatten().collect(),
    };
    let is_exact = parts.iter().all(Pushed::is_exact);
    let predicate = Scalar::Or(parts.into_iter().map(|part| part.predicate).collect());
    Ok(if is_exact { Pushed::exact(predicate) } else { Pushed::inexact(predicate) })
}

fn compare(
    value: &RemoteValue,
    comparison: Comparison,
    constant: &ScalarValue,
) -> Result<Pushed, Refusal> {
    match comparison {
        Comparison::Equal => {
            let (literal, precision) = equality(value, constant)?;
            let predicate = compared(equality_operand(value), comparison, literal);
            Ok(Pushed { predicate, precision })
        }
        Comparison::NotEqual => {
            let (literal, precision) = equality(value, constant)?;
            let predicate = compared(equality_operand(value), comparison, literal);
            // What differs here may be equal there: no superset of it can be asked for.
            match precision {
                Precision::Exact => Ok(Pushed::exact(predicate)),
                Precision::Inexact => Err(Refusal::SUPERSET),
            }
        }
        Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => order(value, comparison, constant),
    }
}

fn compared(left: Scalar, comparison: Comparison, literal: Literal) -> Scalar {
    let right = Box::new(Scalar::Literal(literal));
    Scalar::Compare { comparison, left: Box::new(left), right }
}

fn equality_operand(value: &RemoteValue) -> Scalar {
    match value.compare {
        // As text: a word that the enumeration does not know is then no error.
        Compare::Label => value.read(),
        Compare::Never
        | Compare::Native
        | Compare::Text(_)
        | Compare::PaddedText(_)
        | Compare::Uuid => value.bare.clone(),
    }
}

fn other_constant() -> Refusal {
    Refusal::new("the constant is NULL, or has another type than the column")
}

/// The constant to compare with, and whether equal there means equal here.
fn equality(value: &RemoteValue, constant: &ScalarValue) -> Result<(Literal, Precision), Refusal> {
    let by_collation = |is_exact| if is_exact { Precision::Exact } else { Precision::Inexact };
    match value.compare {
        Compare::Never => Err(Refusal::NEVER),
        Compare::Native => {
            let literal = native(&value.data_type, constant).ok_or_else(other_constant)?;
            // Arrow tells -0.0 from 0.0, SQL does not.
            let precision = by_collation(!is_float_zero(&literal));
            Ok((literal, precision))
        }
        Compare::Text(collation) => {
            let is_exact = collation.is_deterministic || is_on(Fault::CaseInsensitive);
            let text = text(constant).ok_or_else(other_constant)?;
            Ok((Literal::Text(text.to_owned()), by_collation(is_exact)))
        }
        Compare::PaddedText(collation) => {
            let text = text(constant).ok_or_else(other_constant)?;
            // A blank at the end counts here and does not count there.
            let is_exact = collation.is_deterministic && !text.ends_with(' ');
            Ok((Literal::PaddedText(text.to_owned()), by_collation(is_exact)))
        }
        Compare::Uuid => {
            let literal = text(constant).and_then(canonical_uuid).ok_or_else(other_constant)?;
            Ok((literal, Precision::Exact))
        }
        Compare::Label => {
            let text = text(constant).ok_or_else(other_constant)?;
            Ok((Literal::Text(text.to_owned()), Precision::Exact))
        }
    }
}

fn order(
    value: &RemoteValue,
    comparison: Comparison,
    constant: &ScalarValue,
) -> Result<Pushed, Refusal> {
    match value.compare {
        Compare::Native => {
            let literal = native(&value.data_type, constant).ok_or_else(other_constant)?;
            let is_zero = is_float_zero(&literal);
            let predicate = compared(value.bare.clone(), comparison, literal);
            if !is_zero {
                return Ok(Pushed::exact(predicate));
            }
            // `< 0.0` holds for -0.0 in Arrow and not in SQL: no superset. `<=` holds for both.
            if matches!(comparison, Comparison::LessOrEqual | Comparison::GreaterOrEqual) {
                Ok(Pushed::inexact(predicate))
            } else {
                Err(Refusal::FLOAT)
            }
        }
        Compare::Text(_) => {
            let text = text(constant).ok_or_else(other_constant)?;
            let literal = Literal::Text(text.to_owned());
            Ok(Pushed::exact(compared(value.orderable()?, comparison, literal)))
        }
        Compare::PaddedText(_) => {
            let text = text(constant).ok_or_else(other_constant)?;
            if text.ends_with(' ') {
                return Err(Refusal::new("blanks at the end do not count for CHAR(n)"));
            }
            let literal = Literal::PaddedText(text.to_owned());
            Ok(Pushed::exact(compared(value.orderable()?, comparison, literal)))
        }
        Compare::Uuid => {
            let literal = text(constant).and_then(canonical_uuid).ok_or_else(other_constant)?;
            Ok(Pushed::exact(compared(value.bare.clone(), comparison, literal)))
        }
        Compare::Never => Err(Refusal::NEVER),
        Compare::Label => Err(Refusal::LABEL),
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

/// A pattern with no wildcard but `%`, and nothing that is an escape or a class in any dialect.
fn simple_pattern(pattern: &str) -> Option<Pattern> {
    let has_words = pattern.contains('%') && pattern.chars().any(|c| c != '%');
    let is_simple = has_words && !pattern.contains(['_', '\\', '[', ']']);
    is_simple.then(|| Pattern(pattern.to_owned()))
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
            ("ch", DataType::Utf8, Compare::PaddedText(deterministic)),
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
            (col("i").eq(col("i")), EXACT),
            (col("t").lt(col("nc")), EXACT),
            (col("f").lt(col("f")), None),
            (col("m").eq(col("m")), EXACT),
            (col("m").lt(col("m")), None),
            (col("i").eq(col("n")), None),
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
            (col("i").is_not_null().or(col("i").is_null().and(null())), INEXACT),
            (negate(is_a("nc").or(is_a("t"))), None),
            (is_a("x").and(is_a("t")), INEXACT),
            (negate(is_a("x").and(is_a("t"))), None),
            (is_a("x").or(is_a("t")), None),
            (is_a("ch"), EXACT),
            (col("ch").eq(lit("a ")), INEXACT),
            (col("ch").not_eq(lit("a")), EXACT),
            (col("ch").not_eq(lit("a ")), None),
            (col("ch").lt(lit("a")), EXACT),
            (col("ch").lt(lit("a ")), None),
            (is_a("u"), None),
            (col("m").lt(lit("a")), None),
            (is_a("x"), None),
            (col("x").is_null(), None),
            (col("t").is_null(), EXACT),
            (col("t").like(lit("a%")), EXACT),
            (col("t").like(lit("%a%b%")), EXACT),
            (col("t").like(lit("a")), None),
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
            let inputs = TableInputs { schema: &schema, columns: &columns };
            let found = push(&expr, &inputs).map(|pushed| pushed.precision).ok();
            assert_eq!(found, expected, "{expr}");
        }
    }

    #[test]
    fn long_chains_are_flat_and_deep_nests_stay_here() {
        let (schema, columns) = table();
        let chain = (1..5000).fold(col("i").eq(lit(0)), |chain, i| chain.or(col("i").eq(lit(i))));
        let inputs = TableInputs { schema: &schema, columns: &columns };
        let pushed = push(&chain, &inputs).unwrap();
        assert!(matches!(pushed.predicate, Scalar::Or(parts) if parts.len() == 5000));
        let nest = (0..200).fold(col("b"), |nest, _| negate(nest));
        assert_eq!(push(&nest, &inputs), Err(Refusal::DEPTH));
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
