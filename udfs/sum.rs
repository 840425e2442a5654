//! `sum` of decimals that have many digits already.

use std::sync::{Arc, LazyLock};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, NullBufferBuilder,
            PrimitiveArray,
        },
        datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef},
    },
    common::{exec_err, internal_err},
    error::Result,
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature,
        Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::format_state_name,
    },
    scalar::ScalarValue,
};

/// The sum of a Decimal128 of any precision, as one of 38 digits; one that does not fit is an error.
///
/// The engine's own sum wraps where 38 digits do not suffice.
pub fn wide_sum() -> Arc<AggregateUDF> {
    static SUM: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        Arc::new(AggregateUDF::from(Sum { signature: Signature::any(1, Volatility::Immutable) }))
    });
    Arc::clone(&SUM)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    signature: Signature,
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Decimal128(_, scale)] => {
                Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale))
            }
            _ => internal_err!("sum does not take {types:?}"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "sum");
        Ok(vec![Arc::new(Field::new(name, args.return_type().clone(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return internal_err!("sum(DISTINCT) is not computed by this function");
        }
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(OneSum { sum: 0, count: 0, data_type }))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        self.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(GroupSums { sums: Vec::new(), has_value: Vec::new(), data_type }))
    }
}

fn overflow<T>() -> Result<T> {
    exec_err!("numeric field overflow")
}

fn values(array: &ArrayRef) -> Result<&PrimitiveArray<Decimal128Type>> {
    match array.as_primitive_opt() {
        Some(values) => Ok(values),
        None => internal_err!("sum does not take {}", array.data_type()),
    }
}

/// A column of sums; none may have more digits than its type.
fn sums(values: Decimal128Array, data_type: &DataType) -> Result<ArrayRef> {
    const LARGEST: u128 = 10u128.pow(DECIMAL128_MAX_PRECISION as u32) - 1;
    if values.iter().flatten().any(|sum| sum.unsigned_abs() > LARGEST) {
        return overflow();
    }
    Ok(Arc::new(values.with_data_type(data_type.clone())))
}

/// The sum of all rows, or of those in a window.
#[derive(Debug)]
struct OneSum {
    sum: i128,
    /// Of the values, without NULLs.
    count: usize,
    data_type: DataType,
}

impl OneSum {
    fn change(
        &mut self,
        columns: &[ArrayRef],
        change: impl Fn(i128, i128) -> (i128, bool),
    ) -> Result<usize> {
        let values = values(&columns[0])?;
        let mut is_over = false;
        for value in values.iter().flatten() {
            let (sum, over) = change(self.sum, value);
            (self.sum, is_over) = (sum, is_over | over);
        }
        if is_over { overflow() } else { Ok(values.len() - values.null_count()) }
    }
}

impl Accumulator for OneSum {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.count += self.change(columns, i128::overflowing_add)?;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.count -= self.change(columns, i128::overflowing_sub)?;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = Decimal128Array::from(vec![(self.count > 0).then_some(self.sum)]);
        ScalarValue::try_from_array(&sums(sum, &self.data_type)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// One sum for each group.
#[derive(Debug)]
struct GroupSums {
    sums: Vec<i128>,
    has_value: Vec<bool>,
    data_type: DataType,
}

impl GroupsAccumulator for GroupSums {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.sums.resize(count, 0);
        self.has_value.resize(count, false);
        let values = values(&columns[0])?;
        let mut is_over = false;
        let mut add = |group: usize, value: i128| {
            let (sum, over) = self.sums[group].overflowing_add(value);
            self.sums[group] = sum;
            self.has_value[group] = true;
            is_over |= over;
        };
        if values.null_count() == 0 && filter.is_none() {
            for (group, value) in groups.iter().zip(values.values()) {
                add(*group, *value);
            }
        } else {
            for (row, group) in groups.iter().enumerate() {
                let is_in = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
                if is_in && values.is_valid(row) {
                    add(*group, values.value(row));
                }
            }
        }
        if is_over { overflow() } else { Ok(()) }
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.update_batch(states, groups, None, count)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let values = emit_to.take_needed(&mut self.sums);
        let mut nulls = NullBufferBuilder::new(values.len());
        emit_to.take_needed(&mut self.has_value).into_iter().for_each(|has| nulls.append(has));
        sums(Decimal128Array::new(values.into(), nulls.finish()), &self.data_type)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn convert_to_state(
        &self,
        columns: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = values(&columns[0])?;
        let values = match filter {
            None => values.clone(),
            Some(filter) => values
                .iter()
                .zip(filter)
                .map(|(value, is_in)| value.filter(|_| is_in == Some(true)))
                .collect(),
        };
        Ok(vec![sums(values, &self.data_type)?])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.has_value.capacity()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LARGEST: i128 = 10i128.pow(38) - 1;

    /// The values, and their sum or none; `None` in the place of that is an error.
    type Case = (&'static [Option<i128>], Option<Option<i128>>);

    /// Every way to a sum ends alike.
    #[test]
    fn what_does_not_fit_is_an_error() {
        let data_type = DataType::Decimal128(38, 2);
        let cases: &[Case] = &[
            (&[], Some(None)),
            (&[None, None], Some(None)),
            (&[Some(1), None, Some(-3)], Some(Some(-2))),
            (&[Some(LARGEST)], Some(Some(LARGEST))),
            (&[Some(-LARGEST), Some(LARGEST), Some(5)], Some(Some(5))),
            (&[Some(LARGEST), Some(1)], None),
            (&[Some(-LARGEST), Some(-1)], None),
            (&[Some(LARGEST), Some(LARGEST)], None),
        ];
        for (values, expected) in cases {
            let array = Decimal128Array::from(values.to_vec());
            let column: ArrayRef = Arc::new(array.with_data_type(data_type.clone()));
            let mut one = OneSum { sum: 0, count: 0, data_type: data_type.clone() };
            let found =
                one.update_batch(std::slice::from_ref(&column)).and_then(|()| one.evaluate());
            let expected_value = expected.map(|sum| ScalarValue::Decimal128(sum, 38, 2));
            assert_eq!(found.ok(), expected_value, "{values:?}");

            let mut groups =
                GroupSums { sums: vec![], has_value: vec![], data_type: data_type.clone() };
            // Group 1 gets all of it, group 0 nothing.
            let found = groups
                .update_batch(std::slice::from_ref(&column), &vec![1; values.len()], None, 2)
                .and_then(|()| groups.evaluate(EmitTo::All));
            let found = found.ok().map(|sums| ScalarValue::try_from_array(&sums, 1).unwrap());
            assert_eq!(found, expected_value, "{values:?}");
        }
    }

    #[test]
    fn rows_leave_a_window_and_filters_leave_rows_out() {
        let data_type = DataType::Decimal128(38, 0);
        let values = Decimal128Array::from(vec![Some(7), None, Some(9)]);
        let column: ArrayRef = Arc::new(values.with_data_type(data_type.clone()));
        let mut one = OneSum { sum: 0, count: 0, data_type: data_type.clone() };
        one.update_batch(std::slice::from_ref(&column)).unwrap();
        one.retract_batch(&[column.slice(0, 2)]).unwrap();
        assert_eq!(one.evaluate().unwrap().to_string(), "9");
        one.retract_batch(&[column.slice(2, 1)]).unwrap();
        assert!(one.evaluate().unwrap().is_null());

        let filter = BooleanArray::from(vec![Some(true), Some(true), None]);
        let mut groups = GroupSums { sums: vec![], has_value: vec![], data_type };
        groups.update_batch(std::slice::from_ref(&column), &[0, 0, 1], Some(&filter), 2).unwrap();
        let sums = groups.evaluate(EmitTo::First(1)).unwrap();
        assert_eq!(ScalarValue::try_from_array(&sums, 0).unwrap().to_string(), "7");
        let rest = groups.evaluate(EmitTo::All).unwrap();
        assert!(rest.is_null(0));
        let state = groups.convert_to_state(&[column], Some(&filter)).unwrap();
        assert_eq!(state[0].null_count(), 2);
    }
}
