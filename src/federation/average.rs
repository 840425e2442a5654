//! Averages whose sums and counts come from a source.
//!
//! Invariant: the quotient is the engine's own, digit by digit: its accumulator finishes what it is
//! told to have gathered.

use std::sync::Arc;

use datafusion::{
    arrow::{
        compute::cast as cast_array,
        datatypes::{DataType, Field, FieldRef, Schema},
    },
    common::{Result, exec_err},
    logical_expr::{
        AggregateUDF, ColumnarValue, EmitTo, Expr, GroupsAccumulator, ScalarFunctionArgs,
        ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
    physical_expr::{PhysicalExpr, expressions},
};

/// `weir_finish_average(sum, count)` for one function and one type of operand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finish {
    function: Arc<AggregateUDF>,
    operand: DataType,
    result: DataType,
    /// The types of the accumulator's state: the count, the sum.
    state: [DataType; 2],
    signature: Signature,
}

impl Finish {
    pub fn new(function: &Arc<AggregateUDF>, operand: DataType) -> Result<Self> {
        let input: FieldRef = Arc::new(Field::new("operand", operand.clone(), true));
        let result = function.return_field(&[Arc::clone(&input)])?;
        let state = function.state_fields(StateFieldsArgs {
            name: "average",
            input_fields: &[input],
            return_field: Arc::clone(&result),
            ordering_fields: &[],
            is_distinct: false,
        })?;
        let state: Vec<DataType> = state.iter().map(|field| field.data_type().clone()).collect();
        let [count, sum] = &state[..] else {
            return exec_err!("the state of an average is not a count and a sum");
        };
        if !count.is_integer() || sum.is_integer() {
            return exec_err!("the state of an average is not a count and a sum");
        }
        Ok(Self {
            function: Arc::clone(function),
            operand,
            result: result.data_type().clone(),
            state: [count.clone(), sum.clone()],
            signature: Signature::any(2, Volatility::Immutable),
        })
    }

    pub fn call(self, sum: Expr, count: Expr) -> Expr {
        ScalarUDF::from(self).call(vec![sum, count])
    }

    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        let schema = Schema::new(vec![Field::new("operand", self.operand.clone(), true)]);
        let operand: Arc<dyn PhysicalExpr> = Arc::new(expressions::Column::new("operand", 0));
        self.function.create_groups_accumulator(AccumulatorArgs {
            return_field: Arc::new(Field::new("average", self.result.clone(), true)),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "average",
            is_distinct: false,
            exprs: &[operand],
            expr_fields: &[Arc::new(schema.field(0).clone())],
        })
    }
}

impl ScalarUDFImpl for Finish {
    fn name(&self) -> &str {
        "weir_finish_average"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [sum, count] = &arrays[..] else {
            return exec_err!("an average is made of a sum and a count");
        };
        let [count_type, sum_type] = &self.state;
        let state = [cast_array(count, count_type)?, cast_array(sum, sum_type)?];
        let groups: Vec<usize> = (0..rows).collect();
        let mut accumulator = self.accumulator()?;
        accumulator.merge_batch(&state, &groups, rows)?;
        Ok(ColumnarValue::Array(accumulator.evaluate(EmitTo::All)?))
    }
}
