//! `+`, `-`, `*`, `/`, `%` and the sign as PostgreSQL computes them: what does not fit is an error.
//!
//! The engine's own operators wrap integers (`9223372036854775807 + 1` is negative) and follow IEEE
//! 754 on floats, where PostgreSQL has no infinity that its operands did not bring along.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
        buffer::{NullBuffer, ScalarBuffer},
        datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type},
    },
    common::{exec_err, internal_err},
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
    scalar::ScalarValue,
};

/// An operator whose result is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
    Absolute,
}

impl Arithmetic {
    const fn function_name(self) -> &'static str {
        match self {
            Self::Add => "weir_add",
            Self::Subtract => "weir_subtract",
            Self::Multiply => "weir_multiply",
            Self::Divide => "weir_divide",
            Self::Remainder => "weir_remainder",
            Self::Negate => "weir_negate",
            Self::Absolute => "weir_absolute",
        }
    }

    const fn is_unary(self) -> bool {
        matches!(self, Self::Negate | Self::Absolute)
    }
}

/// Whether [`arithmetic`] knows the type.
pub fn is_checked_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64
    )
}

/// Whether a function is one of [`arithmetic`]'s.
pub fn is_arithmetic(function: &str) -> bool {
    use Arithmetic::{Absolute, Add, Divide, Multiply, Negate, Remainder, Subtract};
    [Add, Subtract, Multiply, Divide, Remainder, Negate, Absolute]
        .iter()
        .any(|operator| operator.function_name() == function)
}

/// The function for an operator; its operands have one type, of those that [`is_checked_type`] names.
pub fn arithmetic(operator: Arithmetic) -> Arc<ScalarUDF> {
    let operands = if operator.is_unary() { 1 } else { 2 };
    Arc::new(ScalarUDF::from(Checked {
        operator,
        signature: Signature::any(operands, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operator: Arithmetic,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.operator.function_name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [first, rest @ ..] if is_checked_type(first) && rest.iter().all(|it| it == first) => {
                Ok(first.clone())
            }
            _ => internal_err!("{} does not take {types:?}", self.name()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.return_field.data_type() {
            DataType::Int16 => evaluate::<Int16Type>(self.operator, &args),
            DataType::Int32 => evaluate::<Int32Type>(self.operator, &args),
            DataType::Int64 => evaluate::<Int64Type>(self.operator, &args),
            DataType::Float32 => evaluate::<Float32Type>(self.operator, &args),
            DataType::Float64 => evaluate::<Float64Type>(self.operator, &args),
            other => internal_err!("{} does not take {other}", self.name()),
        }
    }
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    DivisionByZero,
    Overflow,
    Underflow,
}

/// One type's arithmetic. `quick` gives any value together with the suspicion of a fault, without a
/// branch, so that the loop over a batch stays vectorised; `checked` has the last word.
trait Number: Copy + Default {
    const OUT_OF_RANGE: &'static str;

    fn quick(operator: Arithmetic, left: Self, right: Self) -> (Self, bool);

    fn checked(operator: Arithmetic, left: Self, right: Self) -> Result<Self, Fault>;
}

macro_rules! integer {
    ($type:ty, $message:literal) => {
        impl Number for $type {
            const OUT_OF_RANGE: &'static str = $message;

            #[inline(always)]
            fn quick(operator: Arithmetic, left: Self, right: Self) -> (Self, bool) {
                match operator {
                    Arithmetic::Add => left.overflowing_add(right),
                    Arithmetic::Subtract => left.overflowing_sub(right),
                    Arithmetic::Multiply => left.overflowing_mul(right),
                    Arithmetic::Negate => left.overflowing_neg(),
                    Arithmetic::Absolute => left.overflowing_abs(),
                    Arithmetic::Divide | Arithmetic::Remainder if right == 0 => (0, true),
                    Arithmetic::Divide => left.overflowing_div(right),
                    Arithmetic::Remainder => (left.wrapping_rem(right), false),
                }
            }

            fn checked(operator: Arithmetic, left: Self, right: Self) -> Result<Self, Fault> {
                let is_division = matches!(operator, Arithmetic::Divide | Arithmetic::Remainder);
                if is_division && right == 0 {
                    return Err(Fault::DivisionByZero);
                }
                match Self::quick(operator, left, right) {
                    (_, true) => Err(Fault::Overflow),
                    (value, false) => Ok(value),
                }
            }
        }
    };
}

integer!(i16, "smallint out of range");
integer!(i32, "integer out of range");
integer!(i64, "bigint out of range");

macro_rules! float {
    ($type:ty) => {
        impl Number for $type {
            const OUT_OF_RANGE: &'static str = "value out of range: overflow";

            #[inline(always)]
            fn quick(operator: Arithmetic, left: Self, right: Self) -> (Self, bool) {
                let value = match operator {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                    Arithmetic::Remainder => left % right,
                    Arithmetic::Negate => -left,
                    Arithmetic::Absolute => left.abs(),
                };
                // A processor's own NaN is negative, and would be sorted before all numbers.
                let value = if value.is_nan() { <$type>::NAN } else { value };
                let is_division = matches!(operator, Arithmetic::Divide | Arithmetic::Remainder);
                let may_underflow = is_division || matches!(operator, Arithmetic::Multiply);
                let suspicious = value.is_infinite()
                    | (may_underflow & (value == 0.0))
                    | (is_division & (right == 0.0));
                (value, suspicious)
            }

            /// As `float8_mul` and its kin of PostgreSQL decide.
            fn checked(operator: Arithmetic, left: Self, right: Self) -> Result<Self, Fault> {
                let (value, _) = Self::quick(operator, left, right);
                let (has_infinity, underflows) = match operator {
                    Arithmetic::Add | Arithmetic::Subtract => {
                        (left.is_infinite() || right.is_infinite(), false)
                    }
                    Arithmetic::Multiply => {
                        (left.is_infinite() || right.is_infinite(), left != 0.0 && right != 0.0)
                    }
                    Arithmetic::Divide | Arithmetic::Remainder => {
                        if right == 0.0 && !left.is_nan() {
                            return Err(Fault::DivisionByZero);
                        }
                        let is_quotient = operator == Arithmetic::Divide;
                        (left.is_infinite(), is_quotient && left != 0.0 && !right.is_infinite())
                    }
                    Arithmetic::Negate | Arithmetic::Absolute => (true, false),
                };
                if value.is_infinite() && !has_infinity {
                    return Err(Fault::Overflow);
                }
                if value == 0.0 && underflows {
                    return Err(Fault::Underflow);
                }
                Ok(value)
            }
        }
    };
}

float!(f32);
float!(f64);

fn raise<N: Number, T>(fault: Fault) -> Result<T> {
    match fault {
        Fault::DivisionByZero => exec_err!("division by zero"),
        Fault::Overflow => exec_err!("{}", N::OUT_OF_RANGE),
        Fault::Underflow => exec_err!("value out of range: underflow"),
    }
}

/// An operand of one batch.
enum Operand<'a, T: ArrowPrimitiveType> {
    Column(&'a PrimitiveArray<T>),
    Constant(T::Native),
}

fn evaluate<T>(operator: Arithmetic, args: &ScalarFunctionArgs) -> Result<ColumnarValue>
where
    T: ArrowPrimitiveType,
    T::Native: Number + fmt::Debug,
{
    let null = || ScalarValue::try_new_null(&T::DATA_TYPE).map(ColumnarValue::Scalar);
    let scalars: Vec<Option<ArrayRef>> = args
        .args
        .iter()
        .map(|value| match value {
            ColumnarValue::Scalar(scalar) => scalar.to_array().map(Some),
            ColumnarValue::Array(_) => Ok(None),
        })
        .collect::<Result<_>>()?;
    let mut operands = Vec::with_capacity(2);
    for (value, scalar) in args.args.iter().zip(&scalars) {
        let (array, is_constant) = match (value, scalar) {
            (ColumnarValue::Array(array), _) => (array, false),
            (ColumnarValue::Scalar(_), Some(array)) => (array, true),
            (ColumnarValue::Scalar(_), None) => return internal_err!("a constant has no value"),
        };
        let Some(array) = array.as_primitive_opt::<T>() else {
            return internal_err!("{} got {}", operator.function_name(), array.data_type());
        };
        if is_constant && array.is_null(0) {
            return null();
        }
        operands.push(match is_constant {
            true => Operand::Constant(array.value(0)),
            false => Operand::Column(array),
        });
    }
    let (left, right) = match operands.as_slice() {
        [left] => (left, &Operand::Constant(T::Native::default())),
        [left, right] => (left, right),
        _ => return internal_err!("{} has too many operands", operator.function_name()),
    };
    let array = match (left, right) {
        (Operand::Constant(left), Operand::Constant(right)) => {
            return match T::Native::checked(operator, *left, *right) {
                Ok(value) => {
                    let value = PrimitiveArray::<T>::from_iter_values([value]);
                    ScalarValue::try_from_array(&value, 0).map(ColumnarValue::Scalar)
                }
                Err(fault) => raise::<T::Native, _>(fault),
            };
        }
        (Operand::Column(left), Operand::Constant(right)) => {
            let pairs = left.values().iter().map(|left| (*left, *right));
            compute(operator, pairs, left.nulls().cloned())?
        }
        (Operand::Constant(left), Operand::Column(right)) => {
            let pairs = right.values().iter().map(|right| (*left, *right));
            compute(operator, pairs, right.nulls().cloned())?
        }
        (Operand::Column(left), Operand::Column(right)) => {
            let pairs = left.values().iter().copied().zip(right.values().iter().copied());
            compute(operator, pairs, NullBuffer::union(left.nulls(), right.nulls()))?
        }
    };
    let (values, nulls) = array;
    Ok(ColumnarValue::Array(Arc::new(PrimitiveArray::<T>::new(values, nulls))))
}

fn compute<N: Number + datafusion::arrow::datatypes::ArrowNativeType>(
    operator: Arithmetic,
    pairs: impl Iterator<Item = (N, N)> + Clone,
    nulls: Option<NullBuffer>,
) -> Result<(ScalarBuffer<N>, Option<NullBuffer>)> {
    // One loop for each operator, so that the choice is made outside.
    macro_rules! quickly {
        ($operator:expr) => {{
            let mut is_suspicious = false;
            let values = pairs.clone().map(|(left, right)| {
                let (value, suspicion) = N::quick($operator, left, right);
                is_suspicious |= suspicion;
                value
            });
            let values: Vec<N> = values.collect();
            (values, is_suspicious)
        }};
    }
    let (values, is_suspicious) = match operator {
        Arithmetic::Add => quickly!(Arithmetic::Add),
        Arithmetic::Subtract => quickly!(Arithmetic::Subtract),
        Arithmetic::Multiply => quickly!(Arithmetic::Multiply),
        Arithmetic::Divide => quickly!(Arithmetic::Divide),
        Arithmetic::Remainder => quickly!(Arithmetic::Remainder),
        Arithmetic::Negate => quickly!(Arithmetic::Negate),
        Arithmetic::Absolute => quickly!(Arithmetic::Absolute),
    };
    if is_suspicious {
        for (row, (left, right)) in pairs.enumerate() {
            // What lies beneath a NULL is no value.
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            if !is_null && let Err(fault) = N::checked(operator, left, right) {
                return raise::<N, _>(fault);
            }
        }
    }
    Ok((values.into(), nulls))
}

#[cfg(test)]
mod tests {
    use super::{Arithmetic, Fault, Number};

    #[test]
    fn what_does_not_fit_is_an_error() {
        use Arithmetic::{Absolute, Add, Divide, Multiply, Negate, Remainder, Subtract};
        let cases: &[(Arithmetic, i64, i64, Result<i64, Fault>)] = &[
            (Add, i64::MAX, 1, Err(Fault::Overflow)),
            (Add, i64::MAX, -1, Ok(i64::MAX - 1)),
            (Subtract, i64::MIN, 1, Err(Fault::Overflow)),
            (Multiply, i64::MAX, 2, Err(Fault::Overflow)),
            (Divide, i64::MIN, -1, Err(Fault::Overflow)),
            (Divide, 1, 0, Err(Fault::DivisionByZero)),
            (Divide, -7, 2, Ok(-3)),
            (Remainder, -7, 3, Ok(-1)),
            (Remainder, i64::MIN, -1, Ok(0)),
            (Remainder, 1, 0, Err(Fault::DivisionByZero)),
            (Negate, i64::MIN, 0, Err(Fault::Overflow)),
            (Absolute, i64::MIN, 0, Err(Fault::Overflow)),
        ];
        for (operator, left, right, expected) in cases {
            assert_eq!(i64::checked(*operator, *left, *right), *expected, "{operator:?} {left}");
        }
        let cases: &[(Arithmetic, f64, f64, Result<f64, Fault>)] = &[
            (Add, f64::MAX, f64::MAX, Err(Fault::Overflow)),
            (Add, f64::INFINITY, 1.0, Ok(f64::INFINITY)),
            (Multiply, 1e-300, 1e-300, Err(Fault::Underflow)),
            (Multiply, 0.0, 1e-300, Ok(0.0)),
            (Divide, 1.0, 0.0, Err(Fault::DivisionByZero)),
            (Divide, 1.0, f64::INFINITY, Ok(0.0)),
            (Divide, 1e300, 1e-300, Err(Fault::Overflow)),
            (Divide, 1e-300, 1e300, Err(Fault::Underflow)),
        ];
        for (operator, left, right, expected) in cases {
            assert_eq!(f64::checked(*operator, *left, *right), *expected, "{operator:?} {left}");
        }
    }
}
