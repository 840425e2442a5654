//! Ordered-set aggregates, over the array of a group's values in order.

use std::sync::{Arc, LazyLock};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Float64Array, UInt32Array},
        compute,
        datatypes::{DataType, Float64Type},
    },
    common::{exec_err, internal_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use crate::vector::{arrays, result};

/// `percentile_cont(values, fraction)`, `percentile_disc(values, fraction)` and `mode(values)`; the
/// values are in order, and none of them is NULL.
pub fn ordered_sets() -> Vec<Arc<ScalarUDF>> {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        [Kind::Continuous, Kind::Discrete, Kind::Mode]
            .map(|kind| {
                let signature = Signature::user_defined(Volatility::Immutable);
                Arc::new(ScalarUDF::from(OrderedSet { kind, signature }))
            })
            .into()
    });
    ALL.clone()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Continuous,
    Discrete,
    Mode,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderedSet {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for OrderedSet {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Continuous => "percentile_cont",
            Kind::Discrete => "percentile_disc",
            Kind::Mode => "mode",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let of_numbers = |member: &DataType| self.kind != Kind::Continuous || member.is_numeric();
        match (self.kind, types) {
            (Kind::Mode, [list @ DataType::List(_)]) => Ok(vec![list.clone()]),
            (Kind::Continuous | Kind::Discrete, [list @ DataType::List(member), fraction])
                if of_numbers(member.data_type()) && fraction.is_numeric() =>
            {
                Ok(vec![list.clone(), DataType::Float64])
            }
            _ => plan_err!("No function matches {} of these types", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.kind, types.first()) {
            (Kind::Continuous, _) => Ok(DataType::Float64),
            (_, Some(DataType::List(member))) => Ok(member.data_type().clone()),
            _ => internal_err!("{} takes an array", self.name()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (arrays, is_constant) = arrays(&args)?;
        let Some(lists) = arrays.first().and_then(|array| array.as_list_opt::<i32>()) else {
            return internal_err!("{} takes an array", self.name());
        };
        let fractions = arrays.get(1).and_then(|array| array.as_primitive_opt::<Float64Type>());
        let mut indices = Vec::with_capacity(lists.len());
        let mut numbers = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            let fraction = fractions.and_then(|it| it.is_valid(row).then(|| it.value(row)));
            let missing = lists.is_null(row) || (self.kind != Kind::Mode && fraction.is_none());
            let values = if missing { None } else { Some(lists.value(row)) };
            let Some(values) = values.filter(|values| !values.is_empty()) else {
                numbers.push(None);
                indices.push(None);
                continue;
            };
            let fraction = fraction.unwrap_or_default();
            if !(0.0..=1.0).contains(&fraction) {
                return exec_err!("percentile value {fraction} is not between 0 and 1");
            }
            let offset = lists.value_offsets()[row];
            match self.kind {
                Kind::Continuous => numbers.push(Some(between(&values, fraction)?)),
                Kind::Discrete => {
                    let last = values.len() - 1;
                    let place = (fraction * values.len() as f64).ceil() as usize;
                    indices.push(Some(position(offset, place.saturating_sub(1).min(last))?));
                }
                Kind::Mode => indices.push(Some(position(offset, most_frequent(&values)?)?)),
            }
        }
        let answer: ArrayRef = match self.kind {
            Kind::Continuous => Arc::new(Float64Array::from(numbers)),
            _ => compute::take(lists.values(), &UInt32Array::from(indices), None)?,
        };
        result(answer, is_constant)
    }
}

fn position(offset: i32, place: usize) -> Result<u32> {
    match u32::try_from(offset).ok().zip(u32::try_from(place).ok()) {
        Some((offset, place)) => Ok(offset + place),
        None => internal_err!("an array has too many members"),
    }
}

/// `percentile_cont_final_common`.
fn between(values: &ArrayRef, fraction: f64) -> Result<f64> {
    let values = compute::cast(values, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>().values();
    let place = fraction * (values.len() - 1) as f64;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    Ok(low + (place - place.floor()) * (high - low))
}

/// Where the longest run of equal values begins, and the first of several.
fn most_frequent(values: &ArrayRef) -> Result<usize> {
    let runs = compute::partition(std::slice::from_ref(values))?.ranges();
    let mut best = 0..0;
    for run in runs {
        if run.len() > best.len() {
            best = run;
        }
    }
    Ok(best.start)
}
