//! Functions over arrays that PostgreSQL's catalog queries need and DataFusion lacks. They belong
//! to no session.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanBuilder, Int32Array, ListArray, StructArray, UInt32Array,
        new_empty_array, new_null_array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::{cast, kernels::cmp, take},
    datatypes::{DataType, Field, FieldRef, Fields},
};
use datafusion::{
    error::{DataFusionError, Result},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility, binary::comparison_coercion,
    },
};
use weir_catalogs::field;

use super::functions::external;
use crate::error::{Error, ErrorKind};

pub fn all() -> Vec<Arc<ScalarUDF>> {
    use Kind::{Bound, Element, EqualsAny, ExpandArray, Names, Only, OrEmpty, Subscripts};
    [
        ("weir_only", 1, Only),
        ("weir_or_empty", 1, OrEmpty),
        ("weir_names", 1, Names),
        ("weir_equals_any", 2, EqualsAny),
        ("weir_element", 2, Element),
        ("weir_expandarray", 1, ExpandArray),
        ("weir_subscripts", 2, Subscripts),
        ("array_lower", 2, Bound { is_upper: false }),
        ("array_upper", 2, Bound { is_upper: true }),
    ]
    .into_iter()
    .map(|(name, arguments, kind)| {
        let signature = Signature::any(arguments, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(ArrayFunction { name, kind, signature }))
    })
    .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// The one element of an array: what a scalar subquery makes of its rows.
    Only,
    /// An empty array for NULL: what `ARRAY(SELECT …)` makes of no rows.
    OrEmpty,
    /// The array as it is, of type `name[]`.
    Names,
    /// `x = ANY (array)`, with SQL's three values.
    EqualsAny,
    /// `array[n]`, NULL outside.
    Element,
    /// `information_schema._pg_expandarray`: an array of (x, n).
    ExpandArray,
    /// `generate_subscripts`, as an array.
    Subscripts,
    /// `array_lower`, `array_upper`.
    Bound { is_upper: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ArrayFunction {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for ArrayFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let fields = arguments.iter().map(|kind| Arc::new(Field::new("", kind.clone(), true)));
        let fields = fields.collect::<Vec<FieldRef>>();
        Ok(self.field(&fields)?.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.field(arguments.arg_fields)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let is_constant =
            arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let position = self.list_position();
        let list = as_list(&arrays[position])?;
        let first = first_subscript(&arguments.arg_fields[position]);
        let array = match self.kind {
            Kind::Only => only(&list)?,
            Kind::OrEmpty => or_empty(&list),
            Kind::Names => Arc::new(list),
            Kind::EqualsAny => equals_any(&arrays[0], &list)?,
            Kind::Element => element(&list, &arrays[1], first)?,
            Kind::ExpandArray => expand_array(&list, arguments.return_type())?,
            Kind::Subscripts => subscripts(&list, &arrays[1], first, arguments.return_type())?,
            Kind::Bound { is_upper } => bound(&list, &arrays[1], first, is_upper)?,
        };
        Ok(if is_constant && array.len() == 1 {
            ColumnarValue::Scalar(datafusion::scalar::ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }
}

impl ArrayFunction {
    fn list_position(&self) -> usize {
        usize::from(self.kind == Kind::EqualsAny)
    }

    fn field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let list = &arguments[self.list_position()];
        let item = match list.data_type() {
            DataType::List(item) | DataType::LargeList(item) => item.clone(),
            DataType::FixedSizeList(item, _) => item.clone(),
            DataType::Null => Arc::new(Field::new_list_field(DataType::Null, true)),
            other => {
                let message = format!("function {}({other}) does not exist", self.name);
                return Err(external(Error::new(ErrorKind::UndefinedFunction, message)));
            }
        };
        let field = match self.kind {
            Kind::Only | Kind::Element => {
                item.as_ref().clone().with_name(self.name).with_nullable(true)
            }
            Kind::OrEmpty => {
                let item = Field::new_list_field(item.data_type().clone(), true);
                Field::new(self.name, DataType::List(Arc::new(item)), true)
                    .with_metadata(list.metadata().clone())
            }
            Kind::Names => {
                let item = Field::new_list_field(item.data_type().clone(), true);
                let metadata = [(field::PG_TYPE.to_owned(), "name[]".to_owned())];
                Field::new(self.name, DataType::List(Arc::new(item)), true)
                    .with_metadata(metadata.into())
            }
            Kind::EqualsAny => Field::new(self.name, DataType::Boolean, true),
            Kind::ExpandArray => {
                let entry = DataType::Struct(Fields::from(vec![
                    Field::new("x", item.data_type().clone(), true),
                    Field::new("n", DataType::Int32, true),
                ]));
                Field::new(self.name, DataType::new_list(entry, true), true)
            }
            Kind::Subscripts => {
                Field::new(self.name, DataType::new_list(DataType::Int32, true), true)
            }
            Kind::Bound { .. } => Field::new(self.name, DataType::Int32, true),
        };
        Ok(Arc::new(field))
    }
}

/// `int2vector` and `oidvector` count from 0, arrays from 1.
fn first_subscript(field: &Field) -> i32 {
    i32::from(!matches!(field::pg_type(field), Some("int2vector" | "oidvector")))
}

fn as_list(array: &ArrayRef) -> Result<ListArray> {
    let item = match array.data_type() {
        DataType::List(_) => return Ok(array.as_list::<i32>().clone()),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => item.data_type().clone(),
        _ => DataType::Null,
    };
    let wanted = DataType::new_list(item, true);
    if array.data_type() == &DataType::Null {
        return Ok(new_null_array(&wanted, array.len()).as_list::<i32>().clone());
    }
    Ok(cast(array, &wanted)?.as_list::<i32>().clone())
}

fn only(list: &ListArray) -> Result<ArrayRef> {
    let mut picked = Vec::with_capacity(list.len());
    for row in 0..list.len() {
        let (start, length) = extent(list, row);
        if length > 1 {
            return Err(external(Error::new(
                ErrorKind::CardinalityViolation,
                "more than one row returned by a subquery used as an expression",
            )));
        }
        picked.push((length == 1).then_some(start));
    }
    Ok(take(list.values(), &UInt32Array::from(picked), None)?)
}

fn or_empty(list: &ListArray) -> ArrayRef {
    let item = Arc::new(Field::new_list_field(list.value_type(), true));
    if list.null_count() == 0 {
        let (offsets, values) = (list.offsets().clone(), list.values().clone());
        return Arc::new(ListArray::new(item, offsets, values, None));
    }
    // A NULL entry may still span values, which must not come back to life.
    let rows = (0..list.len()).map(|row| extent(list, row)).collect::<Vec<_>>();
    let picked = rows.iter().flat_map(|(start, length)| *start..*start + *length);
    let picked = UInt32Array::from_iter_values(picked);
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|(_, length)| *length as usize));
    let values =
        take(list.values(), &picked, None).unwrap_or_else(|_| new_empty_array(&list.value_type()));
    Arc::new(ListArray::new(item, offsets, values, None))
}

fn equals_any(needles: &ArrayRef, list: &ListArray) -> Result<ArrayRef> {
    let wanted = comparison_coercion(needles.data_type(), &list.value_type()).ok_or_else(|| {
        let message =
            format!("operator does not exist: {} = {}", needles.data_type(), list.value_type());
        external(Error::new(ErrorKind::UndefinedFunction, message))
    })?;
    let needles = cast(needles, &wanted)?;
    let mut rows = Vec::new();
    let mut elements = Vec::new();
    for row in 0..list.len() {
        let (start, length) = extent(list, row);
        for element in start..start + length {
            rows.push(index(row)?);
            elements.push(element);
        }
    }
    let left = take(&needles, &UInt32Array::from(rows), None)?;
    let right = take(&cast(list.values(), &wanted)?, &UInt32Array::from(elements), None)?;
    let equal = cmp::eq(&left, &right)?;
    let mut answers = BooleanBuilder::with_capacity(list.len());
    let mut next = 0;
    for row in 0..list.len() {
        let (_, length) = extent(list, row);
        let (mut is_found, mut is_unknown) = (false, list.is_null(row));
        for position in next..next + length as usize {
            is_found |= equal.is_valid(position) && equal.value(position);
            is_unknown |= equal.is_null(position);
        }
        next += length as usize;
        answers.append_option((is_found || !is_unknown).then_some(is_found));
    }
    Ok(Arc::new(answers.finish()))
}

fn element(list: &ListArray, subscripts: &ArrayRef, first: i32) -> Result<ArrayRef> {
    let subscripts = cast(subscripts, &DataType::Int64)?;
    let subscripts = subscripts.as_primitive::<arrow::datatypes::Int64Type>();
    let picked = (0..list.len()).map(|row| {
        let (start, length) = extent(list, row);
        let position = subscripts.is_valid(row).then(|| subscripts.value(row))?;
        let position = u32::try_from(position.checked_sub(i64::from(first))?).ok()?;
        (position < length).then(|| start + position)
    });
    Ok(take(list.values(), &picked.collect::<UInt32Array>(), None)?)
}

fn expand_array(list: &ListArray, wanted: &DataType) -> Result<ArrayRef> {
    let (DataType::List(item), rows) = (wanted, extents(list)) else { return Err(surprise()) };
    let DataType::Struct(fields) = item.data_type() else { return Err(surprise()) };
    let picked = rows.iter().flat_map(|(start, length)| *start..*start + *length);
    let x = take(list.values(), &UInt32Array::from_iter_values(picked), None)?;
    let n = rows.iter().flat_map(|(_, length)| 1..=length.cast_signed());
    let n: ArrayRef = Arc::new(Int32Array::from_iter_values(n));
    let entries = StructArray::try_new(fields.clone(), vec![x, n], None)?;
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|(_, length)| *length as usize));
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, Arc::new(entries), nulls(list))?))
}

fn subscripts(
    list: &ListArray,
    dimensions: &ArrayRef,
    first: i32,
    wanted: &DataType,
) -> Result<ArrayRef> {
    let DataType::List(item) = wanted else { return Err(surprise()) };
    let is_first = first_dimension(dimensions)?;
    let lengths = extents(list).into_iter().enumerate();
    let lengths = lengths.map(|(row, (_, length))| if is_first(row) { length } else { 0 });
    let lengths = lengths.collect::<Vec<_>>();
    let values = lengths.iter().flat_map(|length| first..first + length.cast_signed());
    let values = Arc::new(Int32Array::from_iter_values(values));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| *length as usize));
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls(list))?))
}

fn bound(list: &ListArray, dimensions: &ArrayRef, first: i32, is_upper: bool) -> Result<ArrayRef> {
    let is_first = first_dimension(dimensions)?;
    let bounds = extents(list).into_iter().enumerate().map(|(row, (_, length))| {
        (length > 0 && is_first(row))
            .then(|| if is_upper { first + length.cast_signed() - 1 } else { first })
    });
    Ok(Arc::new(bounds.collect::<Int32Array>()))
}

/// Our system columns have one dimension.
fn first_dimension(dimensions: &ArrayRef) -> Result<impl Fn(usize) -> bool + use<>> {
    let dimensions = cast(dimensions, &DataType::Int32)?;
    Ok(move |row| {
        let dimensions = dimensions.as_primitive::<arrow::datatypes::Int32Type>();
        dimensions.is_valid(row) && dimensions.value(row) == 1
    })
}

/// Where a row's elements start, and how many there are; a NULL has none.
fn extent(list: &ListArray, row: usize) -> (u32, u32) {
    let offsets = list.value_offsets();
    let start = offsets[row].cast_unsigned();
    if list.is_null(row) { (start, 0) } else { (start, offsets[row + 1].cast_unsigned() - start) }
}

fn extents(list: &ListArray) -> Vec<(u32, u32)> {
    (0..list.len()).map(|row| extent(list, row)).collect()
}

fn nulls(list: &ListArray) -> Option<NullBuffer> {
    list.nulls().cloned()
}

fn index(row: usize) -> Result<u32> {
    u32::try_from(row).map_err(|_| surprise())
}

fn surprise() -> DataFusionError {
    external(Error::internal("an array function got a type that it never plans"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::datatypes::Int32Type;

    fn lists() -> ListArray {
        ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(7)]),
            Some(vec![]),
            None,
            Some(vec![Some(1), None, Some(3)]),
        ])
    }

    #[test]
    fn any_has_three_values() {
        let needles: ArrayRef =
            Arc::new(Int32Array::from(vec![Some(7), Some(1), Some(1), Some(2)]));
        let answers = equals_any(&needles, &lists()).unwrap();
        let answers = answers.as_boolean().iter().collect::<Vec<_>>();
        assert_eq!(answers, [Some(true), Some(false), None, None]);
        let nulls = new_null_array(&DataType::Int32, 4);
        let answers = equals_any(&nulls, &lists()).unwrap();
        assert_eq!(
            answers.as_boolean().iter().collect::<Vec<_>>(),
            [None, Some(false), None, None]
        );
    }

    #[test]
    fn a_second_row_is_an_error() {
        assert!(only(&lists()).is_err());
        let picked = only(&lists().slice(0, 3)).unwrap();
        let picked = picked.as_primitive::<Int32Type>().iter().collect::<Vec<_>>();
        assert_eq!(picked, [Some(7), None, None]);
    }

    #[test]
    fn null_becomes_an_empty_array() {
        let lists = or_empty(&lists().slice(1, 3));
        let lengths = lists.as_list::<i32>().iter().map(|list| list.unwrap().len());
        assert_eq!(lengths.collect::<Vec<_>>(), [0, 0, 3]);
    }

    #[test]
    fn subscripts_outside_are_null() {
        let at = |subscript, first| {
            let subscripts: ArrayRef = Arc::new(Int32Array::from(vec![subscript; 4]));
            let array = element(&lists(), &subscripts, first).unwrap();
            array.as_primitive::<Int32Type>().iter().collect::<Vec<_>>()
        };
        assert_eq!(at(1, 1), [Some(7), None, None, Some(1)]);
        assert_eq!(at(0, 0), [Some(7), None, None, Some(1)]);
        assert_eq!(at(0, 1), [None; 4]);
        assert_eq!(at(-1, 1), [None; 4]);
        assert_eq!(at(3, 1), [None, None, None, Some(3)]);
    }
}
