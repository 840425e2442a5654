//! Functions about the session itself: `current_setting` and `set_config`, which are SHOW and SET inside
//! a query, and `pg_backend_pid`.

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray},
        compute::cast,
        datatypes::DataType,
    },
    error::{DataFusionError, Result as DataFusionResult},
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
        Volatility,
    },
    scalar::ScalarValue,
};

use super::Settings;
use crate::error::{Error, ErrorKind, Result};

/// The functions of one session; `process` is the number that its client knows it by.
pub fn all(settings: &Arc<Mutex<Settings>>, process: &Arc<AtomicI32>) -> Vec<Arc<ScalarUDF>> {
    let function = |is_set, arities: &[usize], volatility| {
        let arities = arities.iter().map(|count| TypeSignature::Any(*count)).collect();
        let settings = Arc::clone(settings);
        let signature = Signature::one_of(arities, volatility);
        Arc::new(ScalarUDF::new_from_impl(SettingFunction { is_set, settings, signature }))
    };
    let process = BackendPid {
        process: Arc::clone(process),
        signature: Signature::nullary(Volatility::Stable),
    };
    vec![
        function(false, &[1, 2], Volatility::Stable),
        function(true, &[3], Volatility::Volatile),
        Arc::new(ScalarUDF::new_from_impl(process)),
    ]
}

#[derive(Debug, Clone)]
struct BackendPid {
    process: Arc<AtomicI32>,
    signature: Signature,
}

impl PartialEq for BackendPid {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.process, &other.process)
    }
}

impl Eq for BackendPid {}

impl Hash for BackendPid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for BackendPid {
    fn name(&self) -> &str {
        "pg_backend_pid"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let process = self.process.load(Ordering::Relaxed);
        Ok(ColumnarValue::Scalar(ScalarValue::Int32(Some(process))))
    }
}

#[derive(Debug, Clone)]
struct SettingFunction {
    is_set: bool,
    settings: Arc<Mutex<Settings>>,
    signature: Signature,
}

impl PartialEq for SettingFunction {
    fn eq(&self, other: &Self) -> bool {
        self.is_set == other.is_set && Arc::ptr_eq(&self.settings, &other.settings)
    }
}

impl Eq for SettingFunction {}

impl Hash for SettingFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.is_set.hash(state);
    }
}

impl ScalarUDFImpl for SettingFunction {
    fn name(&self) -> &str {
        if self.is_set { "set_config" } else { "current_setting" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let is_constant =
            arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        // What sets must not be taken for a constant: once for each row, as it is called.
        let is_constant = is_constant && !self.is_set;
        let count = if is_constant { 1 } else { arguments.number_rows };
        let column = |index: usize, wanted: &DataType| -> DataFusionResult<Option<ArrayRef>> {
            let Some(argument) = arguments.args.get(index) else { return Ok(None) };
            Ok(Some(cast(&argument.to_array(count)?, wanted)?))
        };
        let names = column(0, &DataType::Utf8)?;
        let flags = column(if self.is_set { 2 } else { 1 }, &DataType::Boolean)?;
        let values = if self.is_set { column(1, &DataType::Utf8)? } else { None };
        let answers = (0..count)
            .map(|row| {
                let (name, value) = (text(names.as_ref(), row), text(values.as_ref(), row));
                let flag = flags.as_ref().map(|flags| flags.as_boolean());
                let flag = flag.is_some_and(|flags| flags.is_valid(row) && flags.value(row));
                if self.is_set { self.set(name, value, flag) } else { self.get(name, flag) }
            })
            .collect::<Result<StringArray>>()
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(answers))
        })
    }
}

impl SettingFunction {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: Option<&str>, may_be_missing: bool) -> Result<Option<String>> {
        let Some(name) = name else { return Ok(None) };
        match self.settings().get(name) {
            Err(error) if may_be_missing && error.kind == ErrorKind::UndefinedObject => Ok(None),
            value => value.map(Some),
        }
    }

    /// A NULL value goes back to the default.
    fn set(
        &self,
        name: Option<&str>,
        value: Option<&str>,
        is_local: bool,
    ) -> Result<Option<String>> {
        let Some(name) = name else {
            let message = "SET requires parameter name";
            return Err(Error::new(ErrorKind::InvalidParameter, message));
        };
        let mut settings = self.settings();
        match value {
            Some(value) => settings.set(name, value, is_local)?,
            None => settings.reset(name)?,
        }
        settings.get(name).map(Some)
    }
}

fn text(array: Option<&ArrayRef>, row: usize) -> Option<&str> {
    let array = array?.as_string::<i32>();
    array.is_valid(row).then(|| array.value(row))
}
