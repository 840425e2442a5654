//! Functions that make much out of little, with a bound.
//!
//! What a function allocates is in no account of the query's memory, so that a call which asks for
//! gigabytes would take them. Such a call fails before it is made.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        compute::cast,
        datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, TimeUnit},
    },
    common::exec_err,
    error::Result,
    functions::{regex, string, unicode},
    functions_nested::{range, repeat, resize, string as list_text},
    logical_expr::{
        ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
        ScalarUDFImpl, Signature,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

/// What one call may make, in bytes: for a batch of rows where the size is known beforehand, for each
/// row where only its limit is.
const MOST: u128 = 1 << 28;

/// The engine's own functions whose answers can be far larger than their arguments.
pub fn bounded_functions() -> Vec<Arc<ScalarUDF>> {
    [
        (string::repeat(), Growth::Repeat),
        (unicode::lpad(), Growth::Pad),
        (unicode::rpad(), Growth::Pad),
        (string::concat(), Growth::Concat),
        (string::concat_ws(), Growth::Concat),
        (string::replace(), Growth::Replace),
        (regex::regexp_replace(), Growth::ReplacePattern),
        (repeat::array_repeat_udf(), Growth::RepeatElement),
        (resize::array_resize_udf(), Growth::Resize),
        (range::range_udf(), Growth::Series),
        (range::gen_series_udf(), Growth::Series),
        (list_text::array_to_string_udf(), Growth::Join),
    ]
    .map(|(inner, growth)| Arc::new(ScalarUDF::from(Bounded { inner, growth })))
    .into()
}

/// How the size of an answer follows from the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// `repeat(text, number)`
    Repeat,
    /// `lpad(text, length, …)`
    Pad,
    /// `concat(text, …)`
    Concat,
    /// `replace(text, from, to)`
    Replace,
    /// `regexp_replace(text, pattern, to, …)`
    ReplacePattern,
    /// `array_repeat(element, number)`
    RepeatElement,
    /// `array_resize(array, length, element)`
    Resize,
    /// `range(start, stop, step)`
    Series,
    /// `array_to_string(array, delimiter, …)`
    Join,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // It would put constants together, of any length.
        if self.growth == Growth::Concat {
            return Ok(ExprSimplifyResult::Original(args));
        }
        self.inner.simplify(args, context)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.growth == Growth::Resize && is_negative(&args)? {
            return exec_err!("length of an array must not be negative");
        }
        if is_too_much(self.growth, &args)? {
            return exec_err!("requested length too large for {}", self.name());
        }
        self.inner.invoke_with_args(args)
    }
}

/// Whether a second argument is below zero in any row.
fn is_negative(args: &ScalarFunctionArgs) -> Result<bool> {
    let Some(length) = args.args.get(1).map(Argument::new).transpose()? else { return Ok(false) };
    Ok((0..length.values.len()).any(|row| length.number(row).is_some_and(|number| number < 0)))
}

fn is_too_much(growth: Growth, args: &ScalarFunctionArgs) -> Result<bool> {
    let arguments = args.args.iter().map(Argument::new).collect::<Result<Vec<_>>>()?;
    let is_constant = arguments.iter().all(|argument| argument.is_constant);
    let rows = if is_constant { 1 } else { args.number_rows };
    // Where one argument is a column, the others may be made columns.
    let spread = arguments.iter().filter(|argument| argument.is_constant && rows > 1);
    if spread.map(|argument| argument.bytes(0)).sum::<u128>() * rows as u128 > MOST {
        return Ok(true);
    }
    let is_exact = match growth {
        Growth::Repeat
        | Growth::Pad
        | Growth::Concat
        | Growth::RepeatElement
        | Growth::Resize
        | Growth::Series => true,
        Growth::Replace | Growth::ReplacePattern | Growth::Join => false,
    };
    let mut total = 0;
    for row in 0..rows {
        let bytes = growth.bytes(&arguments, row);
        total = if is_exact { bytes.saturating_add(total) } else { bytes };
        if total > MOST {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Growth {
    /// What the answer for one row takes, about. 0 where the function itself has to say what is wrong.
    fn bytes(self, arguments: &[Argument], row: usize) -> u128 {
        let bytes = |index: usize| arguments.get(index).map_or(0, |value| value.bytes(row));
        let number = |index: usize| {
            let number = arguments.get(index).and_then(|value| value.number(row));
            number.and_then(|number| u128::try_from(number).ok()).unwrap_or(0)
        };
        match self {
            Self::Repeat | Self::RepeatElement => number(1).saturating_mul(bytes(0).max(1)),
            Self::Pad => number(1),
            Self::Concat => (0..arguments.len()).map(bytes).sum(),
            Self::Replace => (bytes(0) / bytes(1).max(1)).saturating_mul(bytes(2)),
            Self::ReplacePattern => {
                let refers = arguments.get(2).is_some_and(|to| to.refers(row));
                let is_one = arguments.len() < 4 && !refers;
                if is_one { 0 } else { bytes(0).saturating_mul(bytes(2)) }
            }
            Self::Resize => number(1).saturating_mul(bytes(2).max(8)),
            Self::Series => elements(arguments, row).unwrap_or(0).saturating_mul(8),
            Self::Join => {
                let elements = arguments.first().map_or(0, |list| list.elements(row));
                elements.saturating_mul(bytes(1))
            }
        }
    }
}

/// How many elements a series has.
fn elements(arguments: &[Argument], row: usize) -> Option<u128> {
    let (start, stop, step) = match arguments {
        [stop] => (0, stop.number(row)?, 1),
        [start, stop] => (start.number(row)?, stop.number(row)?, 1),
        [start, stop, step] => (start.number(row)?, stop.number(row)?, step.number(row)?),
        _ => return None,
    };
    Some((stop - start).unsigned_abs().checked_div(step.unsigned_abs())?.saturating_add(1))
}

/// One argument, whose constant is not repeated for each row.
struct Argument {
    values: ArrayRef,
    is_constant: bool,
}

impl Argument {
    fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(values) => Self { values: Arc::clone(values), is_constant: false },
            ColumnarValue::Scalar(value) => Self { values: value.to_array()?, is_constant: true },
        })
    }

    fn place(&self, row: usize) -> Option<usize> {
        let place = if self.is_constant { 0 } else { row };
        (place < self.values.len() && !self.values.is_null(place)).then_some(place)
    }

    fn bytes(&self, row: usize) -> u128 {
        let Some(place) = self.place(row) else { return 0 };
        let values = &self.values;
        let bytes = match values.data_type() {
            DataType::Utf8 => values.as_string::<i32>().value(place).len(),
            DataType::LargeUtf8 => values.as_string::<i64>().value(place).len(),
            DataType::Utf8View => values.as_string_view().value(place).len(),
            _ => values.slice(place, 1).to_data().get_slice_memory_size().unwrap_or(usize::MAX),
        };
        bytes as u128
    }

    /// An integer as it is; days, and time in nanoseconds.
    fn number(&self, row: usize) -> Option<i128> {
        /// Of a month, the fewest.
        const DAYS: i128 = 28;
        const DAY: i128 = 86_400_000_000_000;
        let place = self.place(row)?;
        if let Some(interval) = self.values.as_primitive_opt::<IntervalMonthDayNanoType>() {
            let interval = interval.value(place);
            let days = i128::from(interval.months) * DAYS + i128::from(interval.days);
            return Some(days * DAY + i128::from(interval.nanoseconds));
        }
        let unit = match self.values.data_type() {
            DataType::Date32 => DAY,
            DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
            integer if integer.is_integer() => 1,
            _ => return None,
        };
        let number = self.values.slice(place, 1);
        let number = match number.data_type() {
            DataType::Date32 => cast(&cast(&number, &DataType::Int32).ok()?, &DataType::Int64),
            _ => cast(&number, &DataType::Int64),
        };
        let number = number.ok()?;
        let number = number.as_primitive_opt::<Int64Type>()?;
        // What fits into no such integer is more than anything.
        let number = if number.is_null(0) { i64::MAX } else { number.value(0) };
        Some(i128::from(number) * unit)
    }

    fn elements(&self, row: usize) -> u128 {
        let Some(place) = self.place(row) else { return 0 };
        let list = self.values.slice(place, 1);
        let elements = match list.data_type() {
            DataType::List(_) => list.as_list::<i32>().value(0).len(),
            DataType::LargeList(_) => list.as_list::<i64>().value(0).len(),
            DataType::FixedSizeList(_, size) => usize::try_from(*size).unwrap_or(0),
            _ => 0,
        };
        elements as u128
    }

    /// Whether a replacement may repeat what was matched.
    fn refers(&self, row: usize) -> bool {
        let Some(place) = self.place(row) else { return false };
        match self.values.data_type() {
            DataType::Utf8 => self.values.as_string::<i32>().value(place).contains(['\\', '$']),
            DataType::LargeUtf8 => {
                self.values.as_string::<i64>().value(place).contains(['\\', '$'])
            }
            DataType::Utf8View => self.values.as_string_view().value(place).contains(['\\', '$']),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::array::StringArray, common::config::ConfigOptions, scalar::ScalarValue,
    };

    use super::*;

    fn text(bytes: usize) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from("x".repeat(bytes)))
    }

    fn number(number: i64) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(number))
    }

    fn column(rows: usize) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(StringArray::from(vec!["x"; rows])))
    }

    fn days(days: i32) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Date32(Some(days)))
    }

    fn micros(micros: i64) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::new_interval_mdn(0, 0, micros * 1000))
    }

    fn list(elements: usize) -> ColumnarValue {
        let elements = vec![ScalarValue::from(1_i64); elements];
        ColumnarValue::Scalar(ScalarValue::List(ScalarValue::new_list_nullable(
            &elements,
            &DataType::Int64,
        )))
    }

    #[test]
    fn a_call_that_makes_too_much_is_refused() {
        use Growth::*;
        let big = 1 << 20;
        for (growth, args, is_refused) in [
            (Repeat, vec![text(1), number(1000)], false),
            (Repeat, vec![text(0), number(i64::MAX)], true),
            (Repeat, vec![text(3), number(i64::MAX)], true),
            (Repeat, vec![text(3), number(-1)], false),
            (Repeat, vec![column(100), number(1 << 20)], false),
            (Repeat, vec![column(1000), number(1 << 20)], true),
            (Repeat, vec![text(big), column(8192)], true),
            (Pad, vec![text(1), number(1 << 29)], true),
            (Pad, vec![text(1), number(i64::MIN)], false),
            (Concat, vec![text(1 << 28), text(1)], true),
            (Concat, vec![text(1 << 20), text(1)], false),
            (Replace, vec![text(big), text(1), text(big)], true),
            (Replace, vec![text(big), text(big), text(big)], false),
            (ReplacePattern, vec![text(big), text(1), text(big)], false),
            (ReplacePattern, vec![text(big), text(1), text(big), text(1)], true),
            (RepeatElement, vec![number(1), number(1_000_000_000)], true),
            (RepeatElement, vec![list(1000), number(1_000_000)], true),
            (RepeatElement, vec![list(1000), number(1000)], false),
            (Resize, vec![list(1), number(1_000_000_000), number(0)], true),
            (Resize, vec![list(1), number(10)], false),
            (Series, vec![number(i64::MIN), number(i64::MAX)], true),
            (Series, vec![number(1), number(i64::MAX), number(i64::MAX)], false),
            (Series, vec![number(1), number(10), number(0)], false),
            (Series, vec![days(0), days(20_000), micros(1)], true),
            (Series, vec![days(0), days(20_000), micros(86_400_000_000)], false),
            (Join, vec![list(1000), text(big)], true),
            (Join, vec![list(1000), text(2)], false),
        ] {
            let told = format!("{growth:?} {:?}", args.iter().map(ColumnarValue::data_type));
            let columns = args.iter().find_map(|arg| match arg {
                ColumnarValue::Array(values) => Some(values.len()),
                ColumnarValue::Scalar(_) => None,
            });
            let args = ScalarFunctionArgs {
                args,
                arg_fields: Vec::new(),
                number_rows: columns.unwrap_or(1),
                return_field: Arc::new(datafusion::arrow::datatypes::Field::new(
                    "x",
                    DataType::Utf8,
                    true,
                )),
                config_options: Arc::new(ConfigOptions::default()),
            };
            assert_eq!(is_too_much(growth, &args).unwrap(), is_refused, "{told}");
        }
    }
}
