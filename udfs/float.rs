//! Functions of double precision, with the errors of PostgreSQL where IEEE 754 has NaN and infinity.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Float32Type, Float64Type},
    common::exec_err,
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
        Volatility,
    },
};

use crate::vector::{try_binary, try_unary};

type Unary = fn(f64) -> Result<f64>;
type Binary = fn(f64, f64) -> Result<f64>;

#[rustfmt::skip]
const UNARY: &[(&str, &[&str], Unary)] = &[
    ("sqrt", &["weir_sqrt"], |x| if x < 0.0 { exec_err!("cannot take square root of a negative number") } else { Ok(x.sqrt()) }),
    ("cbrt", &["weir_cbrt"], |x| Ok(x.cbrt())),
    ("exp", &[], |x| in_range(x.exp(), x.is_infinite())),
    ("ln", &[], |x| logarithm(x, f64::ln)),
    ("log10", &[], |x| logarithm(x, f64::log10)),
    ("sin", &[], |x| finite(x, f64::sin)),
    ("cos", &[], |x| finite(x, f64::cos)),
    ("tan", &[], |x| finite(x, f64::tan)),
    ("cot", &[], |x| finite(x, |x| 1.0 / x.tan())),
    ("asin", &[], |x| between(x, -1.0, 1.0, f64::asin)),
    ("acos", &[], |x| between(x, -1.0, 1.0, f64::acos)),
    ("acosh", &[], |x| between(x, 1.0, f64::INFINITY, f64::acosh)),
    ("atanh", &[], |x| between(x, -1.0, 1.0, f64::atanh)),
    ("degrees", &[], |x| in_range(x / (std::f64::consts::PI / 180.0), x.is_infinite() || x == 0.0)),
    ("radians", &[], |x| in_range(x * (std::f64::consts::PI / 180.0), x.is_infinite() || x == 0.0)),
];

/// The functions that take the place of the engine's own, under the same names.
pub fn float_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions: Vec<Arc<ScalarUDF>> = UNARY
        .iter()
        .map(|(name, aliases, function)| float_function(name, aliases, Body::Unary(*function)))
        .collect();
    functions.push(float_function(
        "log",
        &[],
        Body::Either(
            |x| logarithm(x, f64::log10),
            |base, x| {
                let (base, x) = (logarithm(base, f64::ln)?, logarithm(x, f64::ln)?);
                if base == 0.0 { exec_err!("division by zero") } else { Ok(x / base) }
            },
        ),
    ));
    functions.push(float_function("power", &["pow"], Body::Binary(power)));
    functions
}

/// `real` from double precision, checked.
pub fn narrow() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Narrow {
        signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
    }))
}

/// A float as it sorts in PostgreSQL: both zeros are one, and so is every NaN.
pub fn float_key() -> Arc<ScalarUDF> {
    let types = vec![DataType::Float32, DataType::Float64];
    Arc::new(ScalarUDF::from(Key {
        signature: Signature::uniform(1, types, Volatility::Immutable),
    }))
}

fn finite(x: f64, function: fn(f64) -> f64) -> Result<f64> {
    if x.is_infinite() {
        return exec_err!("input is out of range");
    }
    Ok(function(x))
}

fn between(x: f64, low: f64, high: f64, function: fn(f64) -> f64) -> Result<f64> {
    if x < low || x > high {
        return exec_err!("input is out of range");
    }
    Ok(function(x))
}

fn logarithm(x: f64, function: fn(f64) -> f64) -> Result<f64> {
    if x == 0.0 {
        return exec_err!("cannot take logarithm of zero");
    }
    if x < 0.0 {
        return exec_err!("cannot take logarithm of a negative number");
    }
    Ok(function(x))
}

/// Fails where a finite argument gave infinity or zero.
fn in_range(value: f64, is_special: bool) -> Result<f64> {
    if value.is_infinite() && !is_special {
        return exec_err!("value out of range: overflow");
    }
    if value == 0.0 && !is_special {
        return exec_err!("value out of range: underflow");
    }
    Ok(value)
}

/// As `dpow` of PostgreSQL.
fn power(base: f64, exponent: f64) -> Result<f64> {
    if base.is_nan() || exponent.is_nan() {
        return Ok(if exponent == 0.0 || base == 1.0 { 1.0 } else { f64::NAN });
    }
    if base == 0.0 && exponent < 0.0 {
        return exec_err!("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return exec_err!(
            "a negative number raised to a non-integer power yields a complex result"
        );
    }
    let is_special = base.is_infinite() || exponent.is_infinite() || base == 0.0;
    in_range(base.powf(exponent), is_special)
}

fn float_function(name: &'static str, aliases: &[&str], body: Body) -> Arc<ScalarUDF> {
    let unary = TypeSignature::Uniform(1, vec![DataType::Float64]);
    let binary = TypeSignature::Uniform(2, vec![DataType::Float64]);
    let signature = match body {
        Body::Unary(_) => unary,
        Body::Binary(_) => binary,
        Body::Either(..) => TypeSignature::OneOf(vec![unary, binary]),
    };
    Arc::new(ScalarUDF::from(FloatFunction {
        name,
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        body,
        signature: Signature::new(signature, Volatility::Immutable),
    }))
}

#[derive(Debug, Clone, Copy)]
enum Body {
    Unary(Unary),
    Binary(Binary),
    Either(Unary, Binary),
}

#[derive(Debug)]
struct FloatFunction {
    name: &'static str,
    aliases: Vec<String>,
    body: Body,
    signature: Signature,
}

// A name has one body.
impl PartialEq for FloatFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FloatFunction {}

impl std::hash::Hash for FloatFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for FloatFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.body {
            Body::Unary(function) | Body::Either(function, _) if args.args.len() == 1 => {
                try_unary::<Float64Type, Float64Type>(&args, function)
            }
            Body::Binary(function) | Body::Either(_, function) => {
                try_binary::<Float64Type, Float64Type>(&args, function)
            }
            Body::Unary(_) => datafusion::common::internal_err!("{} takes one number", self.name),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Narrow {
    signature: Signature,
}

impl ScalarUDFImpl for Narrow {
    fn name(&self) -> &str {
        "weir_real"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float32)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        try_unary::<Float64Type, Float32Type>(&args, |value| {
            let narrow = value as f32;
            if narrow.is_infinite() && !value.is_infinite() {
                return exec_err!("value out of range: overflow");
            }
            if narrow == 0.0 && value != 0.0 {
                return exec_err!("value out of range: underflow");
            }
            Ok(narrow)
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    signature: Signature,
}

impl ScalarUDFImpl for Key {
    fn name(&self) -> &str {
        "weir_float_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Float64))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Adding zero turns the negative one into the other.
        match args.return_field.data_type() {
            DataType::Float32 => try_unary::<Float32Type, Float32Type>(&args, |value| {
                Ok(if value.is_nan() { f32::NAN } else { value + 0.0 })
            }),
            _ => try_unary::<Float64Type, Float64Type>(&args, |value| {
                Ok(if value.is_nan() { f64::NAN } else { value + 0.0 })
            }),
        }
    }
}
