//! Writes arrays, records, maps and unions.

use std::ops::Range;

use arrow::array::UnionArray;

use super::{
    binary,
    column::{Column, Values},
};
use crate::{
    error::{Error, ErrorKind, Result},
    protocol::pgwire::calendar::Zone,
};

/// PostgreSQL's MAXDIM.
const MAX_DIMENSIONS: usize = 6;

/// Writes what `write` writes, preceded by its length.
pub fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = binary::length(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&length);
    Ok(())
}

/// Which items belong to a row.
pub enum Ranges {
    Offsets(Vec<usize>),
    Views(Vec<(usize, usize)>),
    Fixed(usize),
}

impl Ranges {
    fn of(&self, row: usize) -> Range<usize> {
        match self {
            Self::Offsets(offsets) => offsets[row]..offsets[row + 1],
            Self::Views(views) => views[row].0..views[row].0 + views[row].1,
            Self::Fixed(size) => row * size..(row + 1) * size,
        }
    }
}

pub struct List {
    pub ranges: Ranges,
    pub items: Box<Column>,
    /// The OID of the innermost element.
    pub element: u32,
    /// `int2vector` and `oidvector`: blanks between the elements, counted from 0.
    pub is_vector: bool,
}

impl List {
    pub fn text(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        if self.is_vector {
            return self.vector_text(row, zone, out);
        }
        if self.dimensions(row)?.is_empty() {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        self.array_text(row, zone, out)
    }

    fn array_text(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        for (index, item) in self.ranges.of(row).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match &self.items.values {
                Values::List(inner) => inner.array_text(item, zone, out)?,
                _ if self.items.is_null(item) => out.extend_from_slice(b"NULL"),
                _ => {
                    let start = out.len();
                    self.items.text(item, zone, out)?;
                    quote_element(out, start);
                }
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn vector_text(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        for (index, item) in self.ranges.of(row).enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            if self.items.is_null(item) {
                return Err(not_an_array("a vector can't hold NULL"));
            }
            self.items.text(item, zone, out)?;
        }
        Ok(())
    }

    /// array_send: dimensions, whether an element is NULL, the element's type, for each dimension
    /// its length and first index, the elements.
    pub fn binary(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        let dimensions = match self.is_vector {
            true => vec![self.ranges.of(row).len()],
            false => self.dimensions(row)?,
        };
        let first_index = i32::from(!self.is_vector);
        out.extend_from_slice(&(dimensions.len() as i32).to_be_bytes());
        let has_null = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.element.to_be_bytes());
        for dimension in &dimensions {
            out.extend_from_slice(&binary::length(*dimension)?);
            out.extend_from_slice(&first_index.to_be_bytes());
        }
        if !dimensions.is_empty() {
            let mut nulls = false;
            self.elements_binary(row, zone, out, &mut nulls)?;
            out[has_null + 3] = u8::from(nulls);
        }
        Ok(())
    }

    fn elements_binary(
        &self,
        row: usize,
        zone: &Zone,
        out: &mut Vec<u8>,
        nulls: &mut bool,
    ) -> Result<()> {
        for item in self.ranges.of(row) {
            match &self.items.values {
                Values::List(inner) => inner.elements_binary(item, zone, out, nulls)?,
                _ => {
                    *nulls |= self.items.is_null(item);
                    self.items.binary(item, zone, out)?;
                }
            }
        }
        Ok(())
    }

    /// The lengths of a rectangular array; none when it is empty.
    fn dimensions(&self, row: usize) -> Result<Vec<usize>> {
        let mut dimensions = Vec::new();
        self.measure(row, 0, &mut dimensions)?;
        if dimensions.contains(&0) {
            dimensions.clear();
        }
        Ok(dimensions)
    }

    fn measure(&self, row: usize, level: usize, dimensions: &mut Vec<usize>) -> Result<()> {
        let range = self.ranges.of(row);
        match dimensions.get(level) {
            Some(length) if *length != range.len() => {
                return Err(not_an_array(
                    "multidimensional arrays must have sub-arrays with matching dimensions",
                ));
            }
            Some(_) => {}
            None if level == MAX_DIMENSIONS => {
                return Err(Error::new(
                    ErrorKind::ProgramLimitExceeded,
                    format!(
                        "number of array dimensions exceeds the maximum allowed ({MAX_DIMENSIONS})"
                    ),
                ));
            }
            None => dimensions.push(range.len()),
        }
        let Values::List(inner) = &self.items.values else { return Ok(()) };
        for item in range {
            if self.items.is_null(item) {
                return Err(not_an_array("a multidimensional array can't hold a NULL sub-array"));
            }
            inner.measure(item, level + 1, dimensions)?;
        }
        Ok(())
    }
}

fn not_an_array(message: &str) -> Error {
    Error::new(ErrorKind::NotSupported, message)
        .with_detail("A nested list that is not rectangular has no PostgreSQL type.")
}

pub struct Record {
    /// The OID of each field, and its values.
    pub fields: Vec<(u32, Column)>,
}

impl Record {
    pub fn text(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'(');
        for (index, (_, field)) in self.fields.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if !field.is_null(row) {
                let start = out.len();
                field.text(row, zone, out)?;
                quote_field(out, start);
            }
        }
        out.push(b')');
        Ok(())
    }

    pub fn binary(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&binary::length(self.fields.len())?);
        for (oid, field) in &self.fields {
            out.extend_from_slice(&oid.to_be_bytes());
            field.binary(row, zone, out)?;
        }
        Ok(())
    }
}

pub struct Map {
    pub ranges: Ranges,
    pub keys: Box<Column>,
    pub values: Box<Column>,
}

impl Map {
    /// A JSON object in the order of the map.
    pub fn text(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        for (index, item) in self.ranges.of(row).enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            let start = out.len();
            self.keys.text(item, zone, out)?;
            quote_json(out, start);
            out.extend_from_slice(b": ");
            json(&self.values, item, zone, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// A value inside a JSON object. Records have no field names here and stay text.
fn json(column: &Column, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let start = out.len();
    match &column.values {
        Values::Bool(values) => {
            out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
        }
        Values::Int2(_)
        | Values::Int4(_)
        | Values::Int8(_)
        | Values::Oid(_)
        | Values::Decimal128 { .. }
        | Values::Decimal256 { .. }
        | Values::Map(_) => column.text(row, zone, out)?,
        Values::Float4(values) if values[row].is_finite() => column.text(row, zone, out)?,
        Values::Float8(values) if values[row].is_finite() => column.text(row, zone, out)?,
        Values::List(list) => {
            out.push(b'[');
            for (index, item) in list.ranges.of(row).enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                json(&list.items, item, zone, out)?;
            }
            out.push(b']');
        }
        _ => {
            column.text(row, zone, out)?;
            quote_json(out, start);
        }
    }
    Ok(())
}

pub struct Union {
    pub array: UnionArray,
    pub members: Vec<(i8, Column)>,
}

impl Union {
    pub fn text(&self, row: usize, zone: &Zone, out: &mut Vec<u8>) -> Result<()> {
        let id = self.array.type_id(row);
        let Some((_, member)) = self.members.iter().find(|(member, _)| *member == id) else {
            return Err(Error::internal(format!("a union without a member {id}")));
        };
        member.text(self.array.value_offset(row), zone, out)
    }
}

/// isspace in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// array_out's rule: `"` around what would not read back as it is, and `\` before `"` and `\`.
fn quote_element(out: &mut Vec<u8>, start: usize) {
    let element = &out[start..];
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(*byte);
    if !element.is_empty() && !element.iter().any(special) && !element.eq_ignore_ascii_case(b"NULL")
    {
        return;
    }
    wrap(out, start, |byte| matches!(byte, b'"' | b'\\').then_some(b'\\'));
}

/// record_out's rule: the same, with `"` and `\` doubled.
fn quote_field(out: &mut Vec<u8>, start: usize) {
    let field = &out[start..];
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',') || is_space(*byte);
    if !field.is_empty() && !field.iter().any(special) {
        return;
    }
    wrap(out, start, |byte| matches!(byte, b'"' | b'\\').then_some(byte));
}

/// Puts `"` around the end of the output, and before a byte what `escape` says.
fn wrap(out: &mut Vec<u8>, start: usize, escape: impl Fn(u8) -> Option<u8>) {
    let plain = out.split_off(start);
    out.reserve(plain.len() + 2);
    out.push(b'"');
    for byte in plain {
        out.extend(escape(byte));
        out.push(byte);
    }
    out.push(b'"');
}

/// escape_json: the end of the output as a JSON string.
fn quote_json(out: &mut Vec<u8>, start: usize) {
    let plain = out.split_off(start);
    out.push(b'"');
    for byte in plain {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
