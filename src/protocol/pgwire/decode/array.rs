//! Parameters that are arrays, in both formats.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::ListArray,
        datatypes::{DataType, Field},
    },
    common::ScalarValue,
};

use super::{Datum, Format, Numeric, Result, Zone, arrow_type, not_supported, text, utf8};
use crate::{
    error::{Error, ErrorKind},
    protocol::pgwire::types::array_of,
};

/// PostgreSQL's MAXDIM.
const MAX_DIMENSIONS: usize = 6;

/// A rectangular array: the length of each dimension, and the elements in row-major order.
struct Elements {
    dimensions: Vec<usize>,
    values: Vec<Option<Datum>>,
}

pub fn decode(
    oid: u32,
    element: u32,
    format: Format,
    bytes: &[u8],
    zone: &Zone,
) -> Result<ScalarValue> {
    let element_type = arrow_type(element).ok_or_else(|| not_supported(oid, format))?;
    let elements = match format {
        Format::Text => parse(utf8(bytes)?, |value| {
            Datum::decode(element, Format::Text, value.as_bytes(), zone)
        })?,
        Format::Binary => receive(bytes, element)?,
    };
    let (scalars, element_type) = unify(elements.values, element_type)?;
    nest(&elements.dimensions, scalars, &element_type)
}

/// Gives all elements one type. Decimals take the widest scale among them.
fn unify(
    values: Vec<Option<Datum>>,
    element_type: DataType,
) -> Result<(Vec<ScalarValue>, DataType)> {
    let numbers: Vec<&Numeric> = values
        .iter()
        .filter_map(|value| match value {
            Some(Datum::Numeric(number)) => Some(number),
            _ => None,
        })
        .collect();
    let scale = numbers.iter().map(|number| number.scale).max();
    let whole = numbers.iter().map(|number| number.whole_digits()).max();
    let element_type = match (scale, whole) {
        (Some(scale), Some(whole)) => {
            let precision = (whole + scale as u8).max(1);
            match precision {
                ..=38 => DataType::Decimal128(precision, scale),
                39..=76 => DataType::Decimal256(precision, scale),
                _ => {
                    return Err(Error::new(
                        ErrorKind::NumericOutOfRange,
                        "the numbers of an array need more than 76 digits together",
                    ));
                }
            }
        }
        _ => element_type,
    };
    let null = ScalarValue::try_new_null(&element_type).map_err(Error::internal)?;
    let scalars = values
        .into_iter()
        .map(|value| match (value, &element_type) {
            (None, _) => null.clone(),
            (
                Some(Datum::Numeric(number)),
                DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale),
            ) => number.to_scalar(*precision, *scale),
            (Some(datum), _) => datum.into_scalar(),
        })
        .collect();
    Ok((scalars, element_type))
}

/// Builds the list of lists; an array without elements is an empty list.
fn nest(
    dimensions: &[usize],
    mut values: Vec<ScalarValue>,
    element_type: &DataType,
) -> Result<ScalarValue> {
    let mut element_type = element_type.clone();
    for length in dimensions.iter().skip(1).rev() {
        let lists = values.chunks(*length).map(|chunk| list(chunk, &element_type));
        values = lists.collect::<Result<_>>()?;
        element_type = DataType::List(Field::new_list_field(element_type, true).into());
    }
    list(&values, &element_type)
}

fn list(values: &[ScalarValue], element_type: &DataType) -> Result<ScalarValue> {
    let items = match values {
        [] => datafusion::arrow::array::new_empty_array(element_type),
        values => ScalarValue::iter_to_array(values.iter().cloned()).map_err(Error::internal)?,
    };
    let field = Field::new_list_field(element_type.clone(), true);
    let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths([items.len()]);
    let list = ListArray::try_new(field.into(), offsets, items, None).map_err(Error::internal)?;
    Ok(ScalarValue::List(Arc::new(list)))
}

fn protocol_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::ProtocolViolation, message)
}

/// array_recv: dimensions, flags, element type, length and first index of each dimension, then
/// the elements.
fn receive(bytes: &[u8], element: u32) -> Result<Elements> {
    let mut reader = Reader(bytes);
    let count = reader.number()?;
    let flags = reader.number()?;
    let actual = reader.number()?.cast_unsigned();
    if !(0..=MAX_DIMENSIONS as i32).contains(&count) {
        return Err(protocol_error(format!("invalid number of dimensions: {count}")));
    }
    if flags != 0 && flags != 1 {
        return Err(protocol_error("invalid array flags"));
    }
    if actual != element {
        return Err(Error::new(
            ErrorKind::DatatypeMismatch,
            format!(
                "binary data has array element type {actual} (array {}) instead of expected {element}",
                array_of(actual).unwrap_or(0)
            ),
        ));
    }
    let mut dimensions = Vec::new();
    for _ in 0..count {
        let length = reader.number()?;
        let length = usize::try_from(length)
            .map_err(|_| protocol_error(format!("invalid array length: {length}")))?;
        check_first_index(reader.number()?)?;
        dimensions.push(length);
    }
    // Every element takes four bytes at least: a forged length allocates nothing.
    let total = match dimensions.as_slice() {
        [] => 0,
        lengths => lengths
            .iter()
            .try_fold(1_usize, |total, length| total.checked_mul(*length))
            .filter(|total| *total <= reader.0.len() / 4)
            .ok_or_else(|| protocol_error("insufficient data left in message"))?,
    };
    let mut values = Vec::with_capacity(total);
    for _ in 0..total {
        let length = reader.number()?;
        values.push(match usize::try_from(length) {
            Ok(length) => Some(super::binary::decode(element, reader.take(length)?)?),
            Err(_) if length == -1 => None,
            Err(_) => return Err(protocol_error("insufficient data left in message")),
        });
    }
    if !reader.0.is_empty() {
        return Err(protocol_error("incorrect binary data format in bind parameter"));
    }
    if total == 0 {
        dimensions.clear();
    }
    Ok(Elements { dimensions, values })
}

fn check_first_index(index: i32) -> Result<()> {
    if index == 1 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::NotSupported,
        format!("arrays that start at index {index} are not supported"),
    ))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return Err(protocol_error("insufficient data left in message"));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<i32> {
        let mut number = [0; 4];
        number.copy_from_slice(self.take(4)?);
        Ok(i32::from_be_bytes(number))
    }
}

/// Reads `{1,NULL,"a b"}`, `{{1,2},{3,4}}` and `[1:2]={1,2}`.
fn parse(literal: &str, decode: impl Fn(&str) -> Result<Datum>) -> Result<Elements> {
    let malformed = |detail: &str| {
        Error::new(ErrorKind::InvalidText, format!("malformed array literal: \"{literal}\""))
            .with_detail(detail)
    };
    let mut rest = literal.trim_matches(text::is_space);
    let mut declared = None;
    if rest.starts_with('[') {
        let Some((bounds, array)) = rest.split_once('=') else {
            return Err(malformed("Missing \"=\" after array dimensions."));
        };
        let bounds = bounds_lengths(bounds);
        declared = Some(bounds.ok_or_else(|| malformed("Invalid array dimensions."))??);
        rest = array.trim_start_matches(text::is_space);
    }
    if !rest.starts_with('{') {
        return Err(malformed("Array value must start with \"{\" or dimension information."));
    }
    let ragged =
        || malformed("Multidimensional arrays must have sub-arrays with matching dimensions.");

    let mut letters = rest.chars().peekable();
    let mut values = Vec::new();
    // The length of each dimension, once its first array was closed; and the counts of the arrays
    // that are open.
    let mut dimensions: Vec<Option<usize>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    // How deep the elements are.
    let mut leaf = None;
    loop {
        while letters.next_if(|letter| text::is_space(*letter)).is_some() {}
        match letters.peek() {
            Some('{') => {
                letters.next();
                if let Some(count) = open.last_mut() {
                    *count += 1;
                }
                open.push(0);
                if open.len() > MAX_DIMENSIONS {
                    return Err(malformed("The array has more than 6 dimensions."));
                }
                if leaf.is_some_and(|depth| open.len() > depth) {
                    return Err(ragged());
                }
                if dimensions.len() < open.len() {
                    dimensions.push(None);
                }
                while letters.next_if(|letter| text::is_space(*letter)).is_some() {}
                if letters.peek() != Some(&'}') {
                    continue;
                }
            }
            Some('}' | ',') | None => return Err(malformed("Unexpected end or delimiter.")),
            Some(_) => {
                if *leaf.get_or_insert(open.len()) != open.len() {
                    return Err(ragged());
                }
                if let Some(count) = open.last_mut() {
                    *count += 1;
                }
                let element = element(&mut letters).ok_or_else(|| malformed("Bad element."))?;
                values.push(element.map(|element| decode(&element)).transpose()?);
            }
        }
        // What follows an element or an array: a comma, or the ends of arrays.
        loop {
            while letters.next_if(|letter| text::is_space(*letter)).is_some() {}
            match letters.next() {
                Some(',') => break,
                Some('}') => {}
                _ => return Err(malformed("Expected \",\" or \"}\".")),
            }
            let Some(count) = open.pop() else { return Err(malformed("Too many \"}\".")) };
            match &mut dimensions[open.len()] {
                Some(length) if *length != count => return Err(ragged()),
                length => *length = Some(count),
            }
            if open.is_empty() {
                while letters.next_if(|letter| text::is_space(*letter)).is_some() {}
                if letters.next().is_some() {
                    return Err(malformed("Junk after closing right brace."));
                }
                let mut dimensions: Vec<usize> = dimensions.into_iter().flatten().collect();
                if declared.is_some_and(|declared| declared != dimensions) {
                    return Err(malformed("The dimensions do not match the contents."));
                }
                if values.is_empty() {
                    dimensions.clear();
                } else if dimensions.iter().product::<usize>() != values.len() {
                    return Err(ragged());
                }
                return Ok(Elements { dimensions, values });
            }
        }
    }
}

/// One element: quoted, or up to the next delimiter; `None` inside is NULL.
fn element(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Option<String>> {
    let mut element = String::new();
    if letters.next_if_eq(&'"').is_some() {
        loop {
            match letters.next()? {
                '"' => return Some(Some(element)),
                '\\' => element.push(letters.next()?),
                letter => element.push(letter),
            }
        }
    }
    // Blanks before the delimiter don't count, unless they are escaped.
    let (mut kept, mut is_escaped) = (0, false);
    while let Some(letter) = letters.next_if(|letter| !matches!(letter, ',' | '}')) {
        match letter {
            '"' | '{' => return None,
            '\\' => {
                element.push(letters.next()?);
                (kept, is_escaped) = (element.len(), true);
            }
            letter => {
                element.push(letter);
                if !text::is_space(letter) {
                    kept = element.len();
                }
            }
        }
    }
    element.truncate(kept);
    let is_null = !is_escaped && element.eq_ignore_ascii_case("NULL");
    Some((!is_null).then_some(element))
}

/// The lengths that `[1:2][1:3]` declares.
fn bounds_lengths(bounds: &str) -> Option<Result<Vec<usize>>> {
    let bounds = bounds.trim_matches(text::is_space).strip_suffix(']')?;
    let mut lengths = Vec::new();
    for bound in bounds.split(']') {
        let bound = bound.trim_start_matches(text::is_space).strip_prefix('[')?;
        let (first, last) = bound.split_once(':').unwrap_or(("1", bound));
        let (first, last): (i32, i32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if let Err(error) = check_first_index(first) {
            return Some(Err(error));
        }
        lengths.push(usize::try_from(last).ok()?);
    }
    Some(Ok(lengths))
}
