//! Functions that are told value by value: what they take, what they return, and one row's answer.

use std::{fmt::Write as _, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, Decimal128Array,
            Float64Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, StringArray,
            StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondArray,
        },
        datatypes::{
            DataType, Date32Type, Decimal128Type, Field, FieldRef, Float32Type, Float64Type,
            Int16Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
            IntervalUnit, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
            TimestampMicrosecondType,
        },
    },
    common::{exec_err, internal_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
    },
};

use crate::{calendar::Zone, interval::Interval, vector::result};

/// A type of PostgreSQL, as functions name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int4,
    Int8,
    Numeric,
    Float8,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    /// A timestamp with time zone.
    Instant,
    Interval,
    /// Any type, by its text.
    Any,
}

use Kind::{Any, Bool, Bytes, Date, Float8, Instant, Int4, Int8, Numeric, Text, Time, Timestamp};

/// A value of one row.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Null,
    Int(i64),
    Float(f64),
    /// The digits, and how many of them are behind the point.
    Decimal(i128, i8),
    Text(&'a str),
    Bytes(&'a [u8]),
    Date(i64),
    Time(i64),
    Timestamp(i64),
    Instant(i64),
    Interval(Interval),
}

/// An answer; that of a text or of bytes is what was written to the buffer.
#[derive(Debug, Clone)]
pub enum Answer {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(i128),
    /// Date, time, or timestamp: days, or microseconds.
    Moment(i64),
    Interval(Interval),
    Written,
}

/// What one call gets.
pub struct Row<'a> {
    pub values: &'a [Value<'a>],
    pub session: &'a Zone,
    /// Where a text is written.
    pub text: &'a mut String,
    /// Digits behind the point of a numeric answer.
    pub scale: i8,
}

pub type Body = fn(&mut Row<'_>) -> Result<Answer>;

/// One form of a function.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub takes: &'static [Kind],
    /// The last kind may come any number of times more.
    pub is_variadic: bool,
    pub returns: Returns,
    pub body: Body,
}

#[derive(Debug, Clone, Copy)]
pub enum Returns {
    Kind(Kind),
    /// Numeric with this precision and scale.
    Digits(u8, i8),
    /// Decided by the first argument, a constant text, and the type of the second.
    Field(fn(&str, &DataType) -> Result<DataType>),
}

/// A function of several forms.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub forms: &'static [Form],
    /// A NULL argument does not make the answer NULL.
    pub takes_null: bool,
    /// The answer depends on the session's time zone.
    pub is_stable: bool,
}

pub const fn form(takes: &'static [Kind], returns: Kind, body: Body) -> Form {
    Form { takes, is_variadic: false, returns: Returns::Kind(returns), body }
}

pub const fn variadic(takes: &'static [Kind], returns: Kind, body: Body) -> Form {
    Form { takes, is_variadic: true, returns: Returns::Kind(returns), body }
}

pub const fn digits(takes: &'static [Kind], precision: u8, scale: i8, body: Body) -> Form {
    Form { takes, is_variadic: false, returns: Returns::Digits(precision, scale), body }
}

pub const fn entry(name: &'static str, forms: &'static [Form]) -> Entry {
    Entry { name, forms, takes_null: false, is_stable: false }
}

pub const fn stable(name: &'static str, forms: &'static [Form]) -> Entry {
    Entry { name, forms, takes_null: false, is_stable: true }
}

pub const fn nullable(name: &'static str, forms: &'static [Form]) -> Entry {
    Entry { name, forms, takes_null: true, is_stable: false }
}

pub fn function(entry: &'static Entry) -> Arc<ScalarUDF> {
    let volatility = if entry.is_stable { Volatility::Stable } else { Volatility::Immutable };
    Arc::new(ScalarUDF::from(RowFunction { entry, signature: Signature::user_defined(volatility) }))
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Bool => DataType::Boolean,
            Int4 => DataType::Int32,
            Int8 => DataType::Int64,
            Numeric => DataType::Decimal128(38, 10),
            Float8 => DataType::Float64,
            Text | Any => DataType::Utf8,
            Bytes => DataType::Binary,
            Date => DataType::Date32,
            Time => DataType::Time64(TimeUnit::Microsecond),
            Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        }
    }

    /// How far a type is from this one, if PostgreSQL goes the way by itself.
    fn distance(self, data_type: &DataType) -> Option<u32> {
        let is_text = data_type.is_string();
        Some(match (self, data_type) {
            (_, DataType::Null) => 0,
            (Bool, DataType::Boolean)
            | (Bytes, DataType::Binary)
            | (Date, DataType::Date32)
            | (Time, DataType::Time64(_))
            | (Timestamp, DataType::Timestamp(_, None))
            | (Instant, DataType::Timestamp(_, Some(_)))
            | (Self::Interval, DataType::Interval(_))
            | (Int8, DataType::Int64)
            | (Int4, DataType::Int32)
            | (Float8, DataType::Float64)
            | (Numeric, DataType::Decimal128(..)) => 0,
            (Text, _) if is_text => 0,
            (Any, _) => 1,
            (Int4, DataType::Int16 | DataType::Int8) | (Float8, DataType::Float32) => 1,
            (Int8, other) if other.is_integer() && *other != DataType::UInt64 => 1,
            // A constant may be too wide by what the engine made of it.
            (Numeric, other) if other.is_integer() => 3,
            (Float8, other) if other.is_integer() => 2,
            (Float8, other) if other.is_numeric() => 3,
            (Instant, DataType::Date32) => 1,
            (Timestamp, DataType::Date32) => 2,
            (Instant, DataType::Timestamp(..)) => 2,
            (Self::Interval, DataType::Time64(_)) => 2,
            // A constant text may mean anything; that it is one is checked elsewhere.
            (Text, _) => return None,
            (_, _) if is_text => 9,
            _ => return None,
        })
    }

    /// The type in which an argument of a type arrives.
    fn arrival(self, data_type: &DataType) -> DataType {
        match (self, data_type) {
            (Any, DataType::Null) => DataType::Utf8,
            (Any | Text, _) => DataType::Utf8,
            (Numeric, DataType::Decimal128(..)) => data_type.clone(),
            (Numeric, other) if other.is_integer() => DataType::Decimal128(20, 0),
            (Float8, DataType::Decimal128(..) | DataType::Decimal256(..)) => DataType::Float64,
            (Timestamp | Instant, DataType::Date32) => DataType::Date32,
            (Instant, DataType::Timestamp(TimeUnit::Microsecond, _)) => data_type.clone(),
            (Instant, DataType::Timestamp(_, zone)) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            (kind, _) => kind.data_type(),
        }
    }
}

impl Form {
    fn kind(&self, index: usize) -> Option<Kind> {
        let last = if self.is_variadic { self.takes.last() } else { None };
        self.takes.get(index).or(last).copied()
    }

    fn distance(&self, types: &[DataType]) -> Option<u32> {
        let enough = match self.is_variadic {
            true => types.len() + 1 >= self.takes.len(),
            false => types.len() == self.takes.len(),
        };
        if !enough {
            return None;
        }
        let mut sum = 0;
        for (index, data_type) in types.iter().enumerate() {
            sum += self.kind(index)?.distance(data_type)?;
        }
        Some(sum)
    }
}

#[derive(Debug)]
struct RowFunction {
    entry: &'static Entry,
    signature: Signature,
}

// A name has one entry.
impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name
    }
}

impl Eq for RowFunction {}

impl std::hash::Hash for RowFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.entry.name.hash(state);
    }
}

impl RowFunction {
    fn form(&self, types: &[DataType]) -> Result<&'static Form> {
        let mut best: Option<(u32, &'static Form)> = None;
        for form in self.entry.forms {
            if let Some(distance) = form.distance(types)
                && best.is_none_or(|(known, _)| distance < known)
            {
                best = Some((distance, form));
            }
        }
        match best {
            Some((_, form)) => Ok(form),
            None => {
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                plan_err!(
                    "function '{}({})' does not exist. No function matches",
                    self.entry.name,
                    types.join(", ")
                )
            }
        }
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.entry.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match self.form(types)?.returns {
            Returns::Kind(kind) => Ok(kind.data_type()),
            Returns::Digits(precision, scale) => Ok(DataType::Decimal128(precision, scale)),
            Returns::Field(_) => internal_err!("{} needs its arguments", self.entry.name),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let data_type = match self.form(&types)?.returns {
            Returns::Field(decide) => {
                let word = args.scalar_arguments.first().copied().flatten();
                let word = word.and_then(|word| word.try_as_str().flatten());
                let Some(word) = word else {
                    return plan_err!("{} needs a constant field", self.entry.name);
                };
                decide(word, types.get(1).unwrap_or(&DataType::Null))?
            }
            _ => self.return_type(&types)?,
        };
        Ok(Arc::new(Field::new(self.entry.name, data_type, true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let form = self.form(types)?;
        let mut coerced = Vec::with_capacity(types.len());
        for (index, data_type) in types.iter().enumerate() {
            match form.kind(index) {
                Some(kind) => coerced.push(kind.arrival(data_type)),
                None => return internal_err!("{} has too many arguments", self.entry.name),
            }
        }
        Ok(coerced)
    }

    fn is_strict(&self) -> bool {
        !self.entry.takes_null
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let form = self.form(&types)?;
        let session = Zone::of_session(args.config_options.execution.time_zone.as_deref())?;
        let is_constant = args.args.iter().all(|it| matches!(it, ColumnarValue::Scalar(_)));
        let count = if is_constant { 1 } else { args.number_rows };
        let arrays =
            args.args.iter().map(|it| it.to_array(count)).collect::<Result<Vec<ArrayRef>>>()?;
        let columns = arrays
            .iter()
            .enumerate()
            .map(|(index, array)| Column::new(array, form.kind(index).unwrap_or(Any)))
            .collect::<Result<Vec<_>>>()?;
        let returned = args.return_field.data_type();
        let scale = match returned {
            DataType::Decimal128(_, scale) => *scale,
            _ => 0,
        };
        let mut output = Output::new(returned, count)?;
        let mut text = String::new();
        let mut values = Vec::with_capacity(columns.len());
        for row in 0..count {
            values.clear();
            for column in &columns {
                values.push(column.value(row, &session)?);
            }
            let is_null = values.iter().any(|value| matches!(value, Value::Null));
            if is_null && !self.entry.takes_null {
                output.push(Answer::Null, "")?;
                continue;
            }
            text.clear();
            let answer = (form.body)(&mut Row {
                values: &values,
                session: &session,
                text: &mut text,
                scale,
            })?;
            output.push(answer, &text)?;
        }
        result(output.finish(returned)?, is_constant)
    }
}

/// One argument.
struct Column<'a> {
    array: &'a ArrayRef,
    kind: Kind,
    texts: Option<&'a StringArray>,
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef, kind: Kind) -> Result<Self> {
        Ok(Self { array, kind, texts: array.as_string_opt::<i32>() })
    }

    fn value(&self, row: usize, session: &Zone) -> Result<Value<'a>> {
        if self.array.is_null(row) {
            return Ok(Value::Null);
        }
        if let Some(texts) = self.texts {
            return Ok(Value::Text(texts.value(row)));
        }
        let array = self.array;
        Ok(match array.data_type() {
            DataType::Null => Value::Null,
            DataType::Int16 => self.number(array.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => self.number(array.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => self.number(array.as_primitive::<Int64Type>().value(row)),
            DataType::Float32 => {
                Value::Float(array.as_primitive::<Float32Type>().value(row).into())
            }
            DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal128(_, scale) => {
                Value::Decimal(array.as_primitive::<Decimal128Type>().value(row), *scale)
            }
            DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row)),
            DataType::Date32 => {
                let date = i64::from(array.as_primitive::<Date32Type>().value(row));
                match self.kind {
                    Timestamp => Value::Timestamp(midnight(date)?),
                    Instant => Value::Instant(session.instant(midnight(date)?)?),
                    _ => Value::Date(date),
                }
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                Value::Time(array.as_primitive::<Time64MicrosecondType>().value(row))
            }
            DataType::Time64(TimeUnit::Nanosecond) => {
                Value::Time(array.as_primitive::<Time64NanosecondType>().value(row) / 1000)
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
                match (zone, self.kind) {
                    (None, Instant) => Value::Instant(session.instant(value)?),
                    (None, _) => Value::Timestamp(value),
                    (Some(_), _) => Value::Instant(value),
                }
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                Value::Interval(Interval {
                    months: value.months,
                    days: value.days,
                    micros: value.nanoseconds / 1000,
                })
            }
            other => return internal_err!("a value of type {other} is not read"),
        })
    }

    fn number(&self, value: i64) -> Value<'a> {
        match self.kind {
            Float8 => Value::Float(value as f64),
            Numeric => Value::Decimal(value.into(), 0),
            _ => Value::Int(value),
        }
    }
}

fn midnight(date: i64) -> Result<i64> {
    match date.checked_mul(crate::calendar::DAY) {
        Some(midnight) => Ok(midnight),
        None => exec_err!("date out of range for timestamp"),
    }
}

/// The answers of a batch.
enum Output {
    Bool(BooleanBuilder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float(Float64Builder),
    Decimal(Vec<Option<i128>>),
    Text(StringBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Moment(Vec<Option<i64>>),
    Interval(IntervalMonthDayNanoBuilder),
}

impl Output {
    fn new(data_type: &DataType, count: usize) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(count)),
            DataType::Int32 => Self::Int4(Int32Builder::with_capacity(count)),
            DataType::Int64 => Self::Int8(Int64Builder::with_capacity(count)),
            DataType::Float64 => Self::Float(Float64Builder::with_capacity(count)),
            DataType::Decimal128(..) => Self::Decimal(Vec::with_capacity(count)),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(count)),
            DataType::Time64(_) => Self::Time(Time64MicrosecondBuilder::with_capacity(count)),
            DataType::Timestamp(..) => Self::Moment(Vec::with_capacity(count)),
            DataType::Interval(_) => {
                Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(count))
            }
            other => return internal_err!("a function does not return {other}"),
        })
    }

    fn push(&mut self, answer: Answer, text: &str) -> Result<()> {
        match (self, answer) {
            (Self::Bool(builder), Answer::Null) => builder.append_null(),
            (Self::Int4(builder), Answer::Null) => builder.append_null(),
            (Self::Int8(builder), Answer::Null) => builder.append_null(),
            (Self::Float(builder), Answer::Null) => builder.append_null(),
            (Self::Decimal(values), Answer::Null) => values.push(None),
            (Self::Text(builder), Answer::Null) => builder.append_null(),
            (Self::Date(builder), Answer::Null) => builder.append_null(),
            (Self::Time(builder), Answer::Null) => builder.append_null(),
            (Self::Moment(values), Answer::Null) => values.push(None),
            (Self::Interval(builder), Answer::Null) => builder.append_null(),
            (Self::Bool(builder), Answer::Bool(value)) => builder.append_value(value),
            (Self::Int4(builder), Answer::Int(value)) => match i32::try_from(value) {
                Ok(value) => builder.append_value(value),
                Err(_) => return exec_err!("integer out of range"),
            },
            (Self::Int8(builder), Answer::Int(value)) => builder.append_value(value),
            (Self::Float(builder), Answer::Float(value)) => builder.append_value(value),
            (Self::Decimal(values), Answer::Decimal(value)) => values.push(Some(value)),
            (Self::Text(builder), Answer::Written) => builder.append_value(text),
            (Self::Date(builder), Answer::Moment(value)) => match i32::try_from(value) {
                Ok(value) => builder.append_value(value),
                Err(_) => return exec_err!("date out of range"),
            },
            (Self::Time(builder), Answer::Moment(value)) => builder.append_value(value),
            (Self::Moment(values), Answer::Moment(value)) => values.push(Some(value)),
            (Self::Interval(builder), Answer::Interval(value)) => {
                builder.append_value(native(value)?);
            }
            (_, answer) => return internal_err!("an answer {answer:?} has the wrong type"),
        }
        Ok(())
    }

    fn finish(self, data_type: &DataType) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Int4(mut builder) => Arc::new(builder.finish()),
            Self::Int8(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Decimal(values) => {
                let DataType::Decimal128(precision, scale) = data_type else {
                    return internal_err!("a decimal is returned as {data_type}");
                };
                let bound = 10i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
                if values.iter().flatten().any(|value| value.unsigned_abs() >= bound.unsigned_abs())
                {
                    return exec_err!("numeric field overflow");
                }
                Arc::new(
                    Decimal128Array::from(values).with_precision_and_scale(*precision, *scale)?,
                )
            }
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Time(mut builder) => Arc::new(builder.finish()),
            Self::Moment(values) => {
                Arc::new(TimestampMicrosecondArray::from(values).with_data_type(data_type.clone()))
            }
            Self::Interval(mut builder) => Arc::new(builder.finish()),
        })
    }
}

fn native(value: Interval) -> Result<IntervalMonthDayNano> {
    match value.micros.checked_mul(1000) {
        Some(nanos) => Ok(IntervalMonthDayNano::new(value.months, value.days, nanos)),
        None => exec_err!("interval out of range"),
    }
}

impl<'a> Row<'a> {
    pub fn text(&self, index: usize) -> Result<&'a str> {
        match self.values.get(index) {
            Some(Value::Text(text)) => Ok(text),
            other => internal_err!("argument {index} is {other:?}, not text"),
        }
    }

    pub fn int(&self, index: usize) -> Result<i64> {
        match self.values.get(index) {
            Some(Value::Int(value)) => Ok(*value),
            other => internal_err!("argument {index} is {other:?}, not an integer"),
        }
    }

    pub fn float(&self, index: usize) -> Result<f64> {
        match self.values.get(index) {
            Some(Value::Float(value)) => Ok(*value),
            other => internal_err!("argument {index} is {other:?}, not double precision"),
        }
    }

    pub fn decimal(&self, index: usize) -> Result<(i128, i8)> {
        match self.values.get(index) {
            Some(Value::Decimal(value, scale)) => Ok((*value, *scale)),
            other => internal_err!("argument {index} is {other:?}, not numeric"),
        }
    }

    pub fn interval(&self, index: usize) -> Result<Interval> {
        match self.values.get(index) {
            Some(Value::Interval(value)) => Ok(*value),
            other => internal_err!("argument {index} is {other:?}, not an interval"),
        }
    }

    /// Days of a date, microseconds of a time, timestamp or instant.
    pub fn moment(&self, index: usize) -> Result<i64> {
        match self.values.get(index) {
            Some(
                Value::Date(value)
                | Value::Time(value)
                | Value::Timestamp(value)
                | Value::Instant(value),
            ) => Ok(*value),
            other => internal_err!("argument {index} is {other:?}, not a moment"),
        }
    }

    /// A clock's time: of an instant, that in the session's zone.
    pub fn local(&self, index: usize) -> Result<i64> {
        match self.values.get(index) {
            Some(Value::Instant(value)) => self.session.local(*value),
            _ => self.moment(index),
        }
    }

    pub fn write(&mut self, text: &str) -> Result<Answer> {
        self.text.push_str(text);
        Ok(Answer::Written)
    }

    pub fn write_with(&mut self, text: std::fmt::Arguments<'_>) -> Result<Answer> {
        match self.text.write_fmt(text) {
            Ok(()) => Ok(Answer::Written),
            Err(error) => internal_err!("{error}"),
        }
    }
}
