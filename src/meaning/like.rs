//! `LIKE … ESCAPE` with a pattern that is computed.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, AsArray, StringArray},
        compute::cast,
        datatypes::DataType,
    },
    common::{DataFusionError, Result, ScalarValue},
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
    sql::sqlparser::ast::{
        Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
        Ident, ObjectName, Value,
    },
};

use super::syntax::with_backslash;

const NAME: &str = "weir_like_pattern";

/// Writes a pattern with a backslash as its escape character, which is the engine's.
pub fn like_pattern() -> Arc<ScalarUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::from(LikePattern { signature }))
}

/// The call of [`like_pattern`] in a statement.
pub fn escaped(pattern: Expr, escape: String) -> Expr {
    let escape = Expr::Value(Value::SingleQuotedString(escape).into());
    let arguments = [pattern, escape].map(FunctionArgExpr::Expr).map(FunctionArg::Unnamed);
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(NAME)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LikePattern {
    signature: Signature,
}

impl ScalarUDFImpl for LikePattern {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let is_constant =
            arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let text = |index: usize| cast(&arrays[index], &DataType::Utf8);
        let (patterns, escapes) = (text(0)?, text(1)?);
        let (patterns, escapes) = (patterns.as_string::<i32>(), escapes.as_string::<i32>());
        let written = patterns
            .iter()
            .zip(escapes)
            .map(|(pattern, escape)| match (pattern, escape) {
                (Some(pattern), Some(escape)) => with_backslash(pattern, escape).map(Some),
                _ => Ok(None),
            })
            .collect::<crate::error::Result<StringArray>>()
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        if is_constant && written.len() == 1 {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&written, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(written)))
    }
}
