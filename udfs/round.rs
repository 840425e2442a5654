use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field},
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

/// The engine's `round(decimal, integer)`, whose answer has this type whatever it comes to know of the
/// second argument.
pub fn round_to(data_type: DataType) -> Arc<ScalarUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    let inner = datafusion::functions::math::round();
    Arc::new(ScalarUDF::from(RoundTo { signature, inner, data_type }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RoundTo {
    signature: Signature,
    inner: Arc<ScalarUDF>,
    data_type: DataType,
}

impl ScalarUDFImpl for RoundTo {
    fn name(&self) -> &str {
        "weir_round"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let return_field = Arc::new(Field::new(self.name(), self.data_type.clone(), true));
        self.inner.invoke_with_args(ScalarFunctionArgs { return_field, ..args })
    }
}
