//! One type for a column of a UNION.
//!
//! The engine brings the branches together when it runs; a client hears the types before.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::{DFSchema, DataFusionError, Result, tree_node::Transformed},
    logical_expr::{LogicalPlan, Union, expr_rewriter::coerce_plan_expr_for_schema},
    optimizer::analyzer::type_coercion::coerce_union_schema,
};

use weir_catalogs::field::PG_TYPE;

use crate::error::{Error, ErrorKind};

/// Casts the branches to the types that PostgreSQL finds for them ("UNION, CASE, and Related
/// Constructs"); text meets nothing but text.
pub fn agree(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Union(union) = &node else { return Ok(Transformed::no(node)) };
    let types = |input: &LogicalPlan| {
        let fields = input.schema().fields().iter();
        fields.map(|field| field.data_type().clone()).collect::<Vec<_>>()
    };
    let branches: Vec<Vec<DataType>> = union.inputs.iter().map(|input| types(input)).collect();
    let is_alike = branches.windows(2).all(|pair| pair[0] == pair[1]);
    let has_names = (0..union.schema.fields().len()).all(|index| has_one_name(union, index));
    if is_alike && has_names && branches.first().is_some_and(|first| *first == types(&node)) {
        return Ok(Transformed::no(node));
    }
    let schema = coerce_union_schema(&union.inputs)?;
    let fields = schema.iter().enumerate().map(|(index, (qualifier, field))| {
        let met = branches.iter().filter_map(|branch| branch.get(index)).collect::<Vec<_>>();
        let data_type = meet(&met, field.data_type())?;
        let mut metadata = field.metadata().clone();
        if !has_one_name(union, index) {
            metadata.remove(PG_TYPE);
        }
        let field = Field::new(field.name(), data_type, field.is_nullable());
        Ok((qualifier.cloned(), Arc::new(field.with_metadata(metadata))))
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    let schema = Arc::new(DFSchema::new_with_metadata(fields, schema.metadata().clone())?);
    let inputs = union
        .inputs
        .iter()
        .map(|input| {
            let input = LogicalPlan::clone(input);
            Ok(Arc::new(coerce_plan_expr_for_schema(input, &schema)?))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union { inputs, schema })))
}

/// Whether PostgreSQL has the same name for a column's type in every branch that has a type: a `name`
/// and a `text` are text.
fn has_one_name(union: &Union, index: usize) -> bool {
    let fields = union.inputs.iter().map(|input| input.schema().field(index));
    let typed = fields.filter(|field| *field.data_type() != DataType::Null);
    let mut names = typed.map(|field| field.metadata().get(PG_TYPE));
    let first = names.next();
    names.all(|name| Some(name) == first)
}

/// The type of a column, where `found` is the engine's.
fn meet(types: &[&DataType], found: &DataType) -> Result<DataType> {
    let has = |kind: fn(&DataType) -> bool| types.iter().any(|data_type| kind(data_type));
    if has(is_text) && has(|data_type| !is_text(data_type) && *data_type != DataType::Null) {
        let message = "UNION types text and another cannot be matched";
        let error = Error::new(ErrorKind::DatatypeMismatch, message)
            .with_hint("Cast the columns of one side.");
        return Err(DataFusionError::External(Box::new(error)));
    }
    // The engine makes decimals of floats, and double precision of an integer and a real.
    let are_numbers = types.iter().all(|data_type| data_type.is_numeric() || data_type.is_null());
    if has(DataType::is_floating) && are_numbers {
        let is_double = has(|data_type| *data_type == DataType::Float64);
        return Ok(if is_double { DataType::Float64 } else { DataType::Float32 });
    }
    Ok(found.clone())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
