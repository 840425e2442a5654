use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, Float64Array},
        datatypes::{DataType, Float64Type},
    },
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

/// The nearest integer, ties to the even one: what PostgreSQL does when it casts double precision
/// to an integer. The engine's own `round` takes ties away from zero, and its cast cuts.
pub fn rint() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Rint {
        signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rint {
    signature: Signature,
}

impl ScalarUDFImpl for Rint {
    fn name(&self) -> &str {
        "weir_rint"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(values) = arrays.first().and_then(|array| array.as_primitive_opt::<Float64Type>())
        else {
            return datafusion::common::internal_err!("weir_rint takes one double precision");
        };
        let rounded: Float64Array = values.unary(f64::round_ties_even);
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        if is_scalar && rounded.len() == 1 {
            let value = datafusion::scalar::ScalarValue::try_from_array(&rounded, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(Arc::new(rounded) as ArrayRef))
    }
}
