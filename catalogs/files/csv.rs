//! Finds records and fields in CSV (RFC 4180): quotes double inside quotes, a quoted field may hold
//! line ends, lines end in LF, CR LF or CR.

use std::{borrow::Cow, collections::HashSet};

use super::value::Value;

#[derive(Debug, Clone)]
pub(super) struct CsvScanner {
    delimiter: u8,
    fields: Vec<Field>,
}

/// Where a field lies in its record, without its quotes.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: usize,
    end: usize,
    quoted: bool,
    /// Holds doubled quotes.
    escaped: bool,
}

impl CsvScanner {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, fields: Vec::new() }
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub(super) fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// Takes the record at the front of `bytes` and returns its length with its line end; `None` if
    /// its end can't be seen yet.
    pub(super) fn take(&mut self, bytes: &[u8], at_end: bool) -> Result<Option<usize>, String> {
        self.fields.clear();
        let mut at = 0;
        loop {
            let next = match bytes.get(at) {
                Some(b'"') => self.take_quoted(bytes, at, at_end)?,
                _ => self.take_bare(bytes, at, at_end),
            };
            let Some(end) = next else {
                return Ok(None);
            };
            match (bytes.get(end), bytes.get(end + 1)) {
                (Some(&byte), _) if byte == self.delimiter => at = end + 1,
                (Some(b'\n'), _) => return Ok(Some(end + 1)),
                (Some(b'\r'), Some(b'\n')) => return Ok(Some(end + 2)),
                // The LF of this line end may still come.
                (Some(b'\r'), None) if !at_end => return Ok(None),
                (Some(b'\r'), _) => return Ok(Some(end + 1)),
                (None, _) => return Ok(Some(end)),
                (Some(_), _) => return Err("text follows a closing quote".to_owned()),
            }
        }
    }

    /// Where the field ends, its closing quote included.
    fn take_quoted(
        &mut self,
        bytes: &[u8],
        start: usize,
        at_end: bool,
    ) -> Result<Option<usize>, String> {
        let mut escaped = false;
        let mut at = start + 1;
        loop {
            let Some(quote) = bytes.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) else {
                return if at_end { Err("a quote is never closed".to_owned()) } else { Ok(None) };
            };
            let quote = at + quote;
            match bytes.get(quote + 1) {
                Some(b'"') => {
                    escaped = true;
                    at = quote + 2;
                }
                // The second half of a doubled quote may still come.
                None if !at_end => return Ok(None),
                _ => {
                    self.fields.push(Field { start: start + 1, end: quote, quoted: true, escaped });
                    return Ok(Some(quote + 1));
                }
            }
        }
    }

    fn take_bare(&mut self, bytes: &[u8], start: usize, at_end: bool) -> Option<usize> {
        let rest = &bytes[start..];
        let end = match memchr::memchr3(self.delimiter, b'\n', b'\r', rest) {
            Some(length) => start + length,
            None if at_end => bytes.len(),
            None => return None,
        };
        self.fields.push(Field { start, end, quoted: false, escaped: false });
        Some(end)
    }

    pub(super) fn value<'a>(&self, record: &'a str, index: usize) -> Value<'a> {
        let Some(field) = self.fields.get(index) else {
            return Value::Null;
        };
        let text = &record[field.start..field.end];
        match (text.is_empty(), field.quoted, field.escaped) {
            (true, false, _) => Value::Null,
            (true, true, _) => Value::Empty,
            (false, _, true) => Value::Bare(Cow::Owned(text.replace("\"\"", "\""))),
            (false, _, false) => Value::Bare(Cow::Borrowed(text)),
        }
    }

    /// The fields of a header as names: trimmed, `column_3` for an empty one, and the second `id`
    /// is `id_2`.
    pub(super) fn names(&self, record: &str) -> Vec<String> {
        let written: Vec<String> = (0..self.fields.len())
            .map(|index| match self.value(record, index) {
                Value::Bare(text) | Value::Text(text) if !text.trim().is_empty() => {
                    text.trim().to_owned()
                }
                _ => format!("column_{}", index + 1),
            })
            .collect();
        // A name that is written takes precedence over one that is made.
        let reserved: HashSet<&str> = written.iter().map(String::as_str).collect();
        let mut taken: HashSet<String> = HashSet::new();
        written
            .iter()
            .map(|name| {
                let mut candidate = name.clone();
                let mut number = 1;
                while taken.contains(&candidate) || (number > 1 && reserved.contains(&*candidate)) {
                    number += 1;
                    candidate = format!("{name}_{number}");
                }
                taken.insert(candidate.clone());
                candidate
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Every record of a text, each field as its debug form, fed byte by byte and at once.
    fn records(text: &str, delimiter: u8) -> Result<Vec<Vec<String>>, String> {
        let at_once = read(text, delimiter, text.len().max(1))?;
        let by_byte = read(text, delimiter, 1)?;
        assert_eq!(at_once, by_byte, "{text:?}");
        Ok(at_once)
    }

    fn read(text: &str, delimiter: u8, step: usize) -> Result<Vec<Vec<String>>, String> {
        let bytes = text.as_bytes();
        let mut scanner = CsvScanner::new(delimiter);
        let (mut start, mut seen) = (0, 0);
        let mut records = Vec::new();
        loop {
            let at_end = seen >= bytes.len();
            if start < seen
                && let Some(length) = scanner.take(&bytes[start..seen], at_end)?
            {
                let record = &text[start..start + length];
                let values = (0..scanner.field_count()).map(|i| match scanner.value(record, i) {
                    Value::Null => "NULL".to_owned(),
                    Value::Empty => "''".to_owned(),
                    Value::Bare(text) | Value::Text(text) => text.into_owned(),
                });
                records.push(values.collect());
                start += length;
            } else if at_end {
                return Ok(records);
            } else {
                seen = (seen + step).min(bytes.len());
            }
        }
    }

    #[test]
    fn records_are_found() {
        let cases: &[(&str, &[&[&str]])] = &[
            ("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]),
            ("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("a\rb\r", &[&["a"], &["b"]]),
            ("a,\n,b\n", &[&["a", "NULL"], &["NULL", "b"]]),
            ("\"x\ny\",\"\"\n", &[&["x\ny", "''"]]),
            ("\"say \"\"hi\"\"\",1\n", &[&["say \"hi\"", "1"]]),
            ("\"\"\"\"\n", &[&["\""]]),
            ("5\" pipe,x\n", &[&["5\" pipe", "x"]]),
            ("\n\na\n", &[&["NULL"], &["NULL"], &["a"]]),
            ("a,b,", &[&["a", "b", "NULL"]]),
            ("\"a\"\r\n\"b\"", &[&["a"], &["b"]]),
        ];
        for (text, expected) in cases {
            assert_eq!(records(text, b',').unwrap(), *expected, "{text:?}");
        }
        assert_eq!(records("a;b,c\n", b';').unwrap(), [["a", "b,c"]]);
    }

    #[test]
    fn broken_quotes_are_errors() {
        for text in ["\"a", "\"a\"b,c\n", "x,\"a\"\"", "\""] {
            records(text, b',').unwrap_err();
        }
    }

    #[test]
    fn headers_become_distinct_names() {
        let cases: &[(&str, &[&str])] = &[
            ("id,id,id\n", &["id", "id_2", "id_3"]),
            ("id,id_2,id\n", &["id", "id_2", "id_3"]),
            ("id,id,id_2\n", &["id", "id_3", "id_2"]),
            (" a ,, \n", &["a", "column_2", "column_3"]),
            ("column_2,\n", &["column_2", "column_2_2"]),
        ];
        for (header, expected) in cases {
            let mut scanner = CsvScanner::new(b',');
            scanner.take(header.as_bytes(), true).unwrap();
            assert_eq!(scanner.names(header), *expected, "{header:?}");
        }
    }
}
