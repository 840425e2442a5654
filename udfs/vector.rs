//! What the functions of this crate share.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
        error::ArrowError,
    },
    common::internal_err,
    error::{DataFusionError, Result},
    logical_expr::{ColumnarValue, ScalarFunctionArgs},
    scalar::ScalarValue,
};

/// The arguments as arrays of one length, and whether all were constants.
pub fn arrays(args: &ScalarFunctionArgs) -> Result<(Vec<ArrayRef>, bool)> {
    let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
    Ok((ColumnarValue::values_to_arrays(&args.args)?, is_constant))
}

/// The result, as a constant if its arguments were.
pub fn result(array: ArrayRef, is_constant: bool) -> Result<ColumnarValue> {
    if is_constant && array.len() == 1 {
        return ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar);
    }
    Ok(ColumnarValue::Array(array))
}

pub fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    match array.as_primitive_opt::<T>() {
        Some(array) => Ok(array),
        None => internal_err!("expected {}, got {}", T::DATA_TYPE, array.data_type()),
    }
}

/// One function over one column; NULLs stay.
pub fn try_unary<I: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    args: &ScalarFunctionArgs,
    function: impl Fn(I::Native) -> Result<O::Native>,
) -> Result<ColumnarValue> {
    let (arrays, is_constant) = arrays(args)?;
    let [array] = arrays.as_slice() else { return internal_err!("expected one argument") };
    let array: PrimitiveArray<O> =
        primitive::<I>(array)?.try_unary(|value| function(value).map_err(into_arrow))?;
    result(Arc::new(array), is_constant)
}

fn into_arrow(error: DataFusionError) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// One function over two columns.
pub fn try_binary<I: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    args: &ScalarFunctionArgs,
    function: impl Fn(I::Native, I::Native) -> Result<O::Native>,
) -> Result<ColumnarValue> {
    let (arrays, is_constant) = arrays(args)?;
    let [left, right] = arrays.as_slice() else { return internal_err!("expected two arguments") };
    let array: PrimitiveArray<O> = datafusion::arrow::compute::kernels::arity::try_binary(
        primitive::<I>(left)?,
        primitive::<I>(right)?,
        |left, right| function(left, right).map_err(into_arrow),
    )?;
    result(Arc::new(array), is_constant)
}
