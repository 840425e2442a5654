//! `numeric / numeric`, with the digits that PostgreSQL gives it.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Decimal128Builder, Decimal256Builder},
        datatypes::{
            DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type,
            Decimal256Type, DecimalType, Int64Type, i256,
        },
    },
    common::{exec_err, internal_err},
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
    scalar::ScalarValue,
};

/// The engine keeps four digits more than the dividend has, and cuts. PostgreSQL's
/// `select_div_scale` keeps at least sixteen significant ones, and rounds; so does this function. The
/// type has a fixed scale, so that zeros may follow.
pub fn quotient() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Quotient { signature: Signature::any(2, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
}

/// Digits after the point that most quotients need: those of a value below one.
const SCALE: u8 = 20;

/// PostgreSQL's NUMERIC_MIN_SIG_DIGITS.
const SIGNIFICANT_DIGITS: i32 = 16;

/// PostgreSQL stores four decimal digits as one.
const DIGITS_OF_ONE: i32 = 4;

/// Precision and scale of an exact type.
fn exact(data_type: &DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Some((*precision, u8::try_from(*scale).ok()?))
        }
        _ => None,
    }
}

fn quotient_type(dividend: &DataType, divisor: &DataType) -> Option<DataType> {
    let ((precision, scale), (_, divisor_scale)) = (exact(dividend)?, exact(divisor)?);
    let integer_digits = precision.saturating_sub(scale) + divisor_scale;
    let wanted = SCALE.max(scale).max(divisor_scale);
    let (digits, scale) = (integer_digits.saturating_add(wanted), i8::try_from(wanted).ok()?);
    Some(match digits {
        ..=DECIMAL128_MAX_PRECISION => DataType::Decimal128(digits, scale),
        // Where all digits were needed, a large quotient would be an overflow.
        _ => DataType::Decimal256(digits.min(DECIMAL256_MAX_PRECISION), scale),
    })
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &str {
        "weir_quotient"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [dividend, divisor] => match quotient_type(dividend, divisor) {
                Some(quotient) => Ok(quotient),
                None => datafusion::common::not_impl_err!("can't divide {dividend} by {divisor}"),
            },
            _ => internal_err!("weir_quotient takes two numbers"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [dividends, divisors] = arrays.as_slice() else {
            return internal_err!("weir_quotient takes two numbers");
        };
        let (dividends, divisors) = (Numbers::new(dividends)?, Numbers::new(divisors)?);
        let rows = dividends.len();
        let array: ArrayRef = match args.return_field.data_type() {
            DataType::Decimal128(precision, scale) => {
                let mut builder = Decimal128Builder::with_capacity(rows)
                    .with_precision_and_scale(*precision, *scale)?;
                for row in 0..rows {
                    let quotient = quotient_at(&dividends, &divisors, row, (*precision, *scale))?;
                    builder.append_option(quotient.and_then(i256::to_i128));
                }
                Arc::new(builder.finish())
            }
            DataType::Decimal256(precision, scale) => {
                let mut builder = Decimal256Builder::with_capacity(rows)
                    .with_precision_and_scale(*precision, *scale)?;
                for row in 0..rows {
                    let quotient = quotient_at(&dividends, &divisors, row, (*precision, *scale))?;
                    builder.append_option(quotient);
                }
                Arc::new(builder.finish())
            }
            other => return internal_err!("weir_quotient does not give {other}"),
        };
        if is_scalar && array.len() == 1 {
            return ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// A column of exact numbers.
struct Numbers {
    array: ArrayRef,
    scale: i32,
}

impl Numbers {
    fn new(array: &ArrayRef) -> Result<Self> {
        let Some((_, scale)) = exact(array.data_type()) else {
            return internal_err!("weir_quotient does not take {}", array.data_type());
        };
        // Integers come in one width.
        let array = match array.data_type() {
            DataType::Int16 | DataType::Int32 => {
                datafusion::arrow::compute::cast(array, &DataType::Int64)?
            }
            _ => Arc::clone(array),
        };
        Ok(Self { array, scale: i32::from(scale) })
    }

    fn len(&self) -> usize {
        self.array.len()
    }

    fn value(&self, row: usize) -> Option<i256> {
        if self.array.is_null(row) {
            return None;
        }
        if let Some(array) = self.array.as_primitive_opt::<Int64Type>() {
            return Some(i256::from_i128(i128::from(array.value(row))));
        }
        if let Some(array) = self.array.as_primitive_opt::<Decimal128Type>() {
            return Some(i256::from_i128(array.value(row)));
        }
        self.array.as_primitive_opt::<Decimal256Type>().map(|array| array.value(row))
    }
}

fn quotient_at(
    dividends: &Numbers,
    divisors: &Numbers,
    row: usize,
    (precision, scale): (u8, i8),
) -> Result<Option<i256>> {
    let (Some(dividend), Some(divisor)) = (dividends.value(row), divisors.value(row)) else {
        return Ok(None);
    };
    if divisor == i256::ZERO {
        return exec_err!("division by zero");
    }
    let value = divide((dividend, dividends.scale), (divisor, divisors.scale), i32::from(scale));
    match value {
        Some(value) if Decimal256Type::is_valid_decimal_precision(value, precision) => {
            Ok(Some(value))
        }
        _ => exec_err!("numeric field overflow"),
    }
}

/// The quotient at `scale`, rounded where PostgreSQL rounds it. A number is its digits and their scale.
fn divide(dividend: (i256, i32), divisor: (i256, i32), scale: i32) -> Option<i256> {
    let ((left, left_scale), (right, right_scale)) = (dividend, divisor);
    let (left_weight, left_first) = leading(left, left_scale);
    let (right_weight, right_first) = leading(right, right_scale);
    let mut weight = left_weight - right_weight;
    if left_first <= right_first {
        weight -= 1;
    }
    let wanted = (SIGNIFICANT_DIGITS - weight * DIGITS_OF_ONE).max(left_scale).max(right_scale);
    let kept = wanted.clamp(0, scale);
    let shift = kept + right_scale - left_scale;
    let narrow = || -> Option<i256> {
        let (left, right) = (left.to_i128()?, right.to_i128()?);
        let power = |exponent: i32| 10i128.checked_pow(u32::try_from(exponent).ok()?);
        let (left, right) = match shift >= 0 {
            true => (left.checked_mul(power(shift)?)?, right),
            false => (left, right.checked_mul(power(-shift)?)?),
        };
        let (whole, rest) = (left / right, left % right);
        let is_up = rest.unsigned_abs() >= right.unsigned_abs() - rest.unsigned_abs();
        let away = if (left < 0) == (right < 0) { 1 } else { -1 };
        let rounded = if is_up { whole + away } else { whole };
        Some(i256::from_i128(rounded.checked_mul(power(scale - kept)?)?))
    };
    if let Some(value) = narrow() {
        return Some(value);
    }
    let power = |exponent: i32| i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?);
    let (left, right) = match shift >= 0 {
        true => (left.checked_mul(power(shift)?)?, right),
        false => (left, right.checked_mul(power(-shift)?)?),
    };
    let (whole, rest) = (left.checked_div(right)?, left.checked_rem(right)?);
    let (rest, size) = (rest.checked_abs()?, right.checked_abs()?);
    let away = if left.is_negative() == right.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    let rounded = match rest >= size.checked_sub(rest)? {
        true => whole.checked_add(away)?,
        false => whole,
    };
    rounded.checked_mul(power(scale - kept)?)
}

/// The weight and the value of the first of PostgreSQL's digits, each of which holds four.
fn leading(digits: i256, scale: i32) -> (i32, i32) {
    if digits == i256::ZERO {
        return (0, 0);
    }
    if let Some(digits) = digits.to_i128() {
        let digits = digits.unsigned_abs();
        let last = digits.ilog10();
        let exponent = i32::try_from(last).unwrap_or(i32::MAX) - scale;
        let count = exponent.rem_euclid(DIGITS_OF_ONE).unsigned_abs() + 1;
        let first = match (last + 1).checked_sub(count) {
            Some(rest) => digits / 10u128.pow(rest),
            None => digits * 10u128.pow(count - last - 1),
        };
        let weight = exponent.div_euclid(DIGITS_OF_ONE);
        return (weight, i32::try_from(first).unwrap_or(i32::MAX));
    }
    let text = digits.to_string();
    let text = text.trim_start_matches('-').as_bytes();
    let exponent = i32::try_from(text.len()).unwrap_or(i32::MAX) - 1 - scale;
    let weight = exponent.div_euclid(DIGITS_OF_ONE);
    let count = exponent.rem_euclid(DIGITS_OF_ONE) + 1;
    let first = (0..count).fold(0, |value, index| {
        let digit = usize::try_from(index).ok().and_then(|index| text.get(index));
        value * 10 + i32::from(digit.map_or(0, |digit| digit - b'0'))
    });
    (weight, first)
}

#[cfg(test)]
mod tests {
    use super::{divide, i256};

    /// Each expectation is PostgreSQL's answer, with zeros up to the scale of 20.
    #[test]
    fn quotients_have_the_digits_of_postgresql() {
        #[allow(clippy::type_complexity, reason = "a table of cases")]
        let cases: &[((i128, i32), (i128, i32), &str)] = &[
            ((10, 1), (3, 0), "33333333333333333333"),
            ((1000, 1), (3, 0), "3333333333333333330000"),
            ((-25, 1), (7, 1), "-357142857142857140000"),
            ((2, 0), (30, 1), "66666666666666666667"),
            ((0, 0), (3, 0), "0"),
            ((9_999_999_999, 2), (7, 1), "14285714284285714000000000000"),
            ((1, 0), (99_999_999, 3), "1000000010000000"),
        ];
        for ((left, left_scale), (right, right_scale), expected) in cases {
            let left = (i256::from_i128(*left), *left_scale);
            let right = (i256::from_i128(*right), *right_scale);
            let found = divide(left, right, 20).unwrap();
            assert_eq!(found.to_string(), *expected, "{left:?} / {right:?}");
        }
    }
}
