//! Finds the members of JSON objects, one object on each line.
//!
//! Numbers keep their text, so that none is rounded before its column's type is known; arrays and
//! objects inside a record are text columns that hold their JSON.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use serde::de::IgnoredAny;

use super::value::Value;

#[derive(Debug, Clone, Default)]
pub(super) struct NdjsonScanner {
    columns: HashMap<String, usize>,
    names: Vec<String>,
    /// Where the value of each column lies in the record.
    members: Vec<Option<Range<usize>>>,
}

impl NdjsonScanner {
    pub(super) fn with_names(names: impl IntoIterator<Item = String>) -> Self {
        let mut scanner = Self::default();
        names.into_iter().for_each(|name| scanner.add(name));
        scanner
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn add(&mut self, name: String) {
        self.columns.insert(name.clone(), self.names.len());
        self.names.push(name);
        self.members.push(None);
    }

    /// The length of the line at the front of `bytes`, with its end.
    pub(super) fn line(bytes: &[u8], at_end: bool) -> Option<usize> {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => Some(end + 1),
            None if at_end => Some(bytes.len()),
            None => None,
        }
    }

    /// Finds the members of one record. Names not met before become columns.
    pub(super) fn take(&mut self, record: &str) -> Result<(), String> {
        self.members.iter_mut().for_each(|member| *member = None);
        let start = blanks(record, 0);
        if record[start..].starts_with('[') {
            return Err("it is a JSON array, not one JSON object on each line".to_owned());
        }
        let mut at = start + expect(record, start, '{')?;
        at = blanks(record, at);
        if record[at..].starts_with('}') {
            return end(record, at + 1);
        }
        loop {
            let name_at = blanks(record, at);
            let name_end = value_end(record, name_at)?;
            let name: String = serde_json::from_str(&record[name_at..name_end])
                .map_err(|_| "a member has no name".to_owned())?;
            at = blanks(record, name_end);
            at = blanks(record, at + expect(record, at, ':')?);
            let value_end = value_end(record, at)?;
            if !self.columns.contains_key(&name) {
                self.add(name.clone());
            }
            let member = self.columns.get(&name).and_then(|&index| self.members.get_mut(index));
            if member.is_some_and(|member| member.replace(at..value_end).is_some()) {
                return Err(format!("an object names \"{name}\" twice"));
            }
            at = blanks(record, value_end);
            if record[at..].starts_with(',') {
                at += 1;
            } else {
                at += expect(record, at, '}')?;
                return end(record, at);
            }
        }
    }

    pub(super) fn value<'a>(&self, record: &'a str, index: usize) -> Value<'a> {
        let Some(Some(range)) = self.members.get(index) else {
            return Value::Null;
        };
        let text = &record[range.clone()];
        match text.as_bytes().first() {
            Some(b'n') => Value::Null,
            // It has been read once already, so it is a string.
            Some(b'"') => match serde_json::from_str::<Cow<'a, str>>(text) {
                Ok(text) => Value::Text(text),
                Err(_) => Value::Text(Cow::Borrowed(text)),
            },
            Some(b'{' | b'[') => Value::Text(Cow::Borrowed(text)),
            _ => Value::Bare(Cow::Borrowed(text)),
        }
    }
}

fn value_end(record: &str, at: usize) -> Result<usize, String> {
    let mut values = serde_json::Deserializer::from_str(&record[at..]).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(at + values.byte_offset()),
        _ => Err("a line is not a JSON object".to_owned()),
    }
}

fn blanks(record: &str, at: usize) -> usize {
    let rest = &record[at..];
    at + rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len()
}

fn expect(record: &str, at: usize, character: char) -> Result<usize, String> {
    if record[at..].starts_with(character) {
        Ok(character.len_utf8())
    } else {
        Err("a line is not a JSON object".to_owned())
    }
}

fn end(record: &str, at: usize) -> Result<(), String> {
    if blanks(record, at) == record.len() {
        Ok(())
    } else {
        Err("a line holds more than one JSON object".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn members_keep_their_text() {
        let record = r#" {"a": 9007199254740993, "b\u00e9":"x\ny" ,"c":{"k":[1, 2]},"d":null,
            "e":true,"f":1.50} "#;
        let mut scanner = NdjsonScanner::with_names(["z".to_owned()]);
        scanner.take(record).unwrap();
        assert_eq!(scanner.names(), ["z", "a", "bé", "c", "d", "e", "f"]);
        let values: Vec<_> = (0..7).map(|index| scanner.value(record, index)).collect();
        let expected = [
            Value::Null,
            Value::Bare("9007199254740993".into()),
            Value::Text("x\ny".into()),
            Value::Text(r#"{"k":[1, 2]}"#.into()),
            Value::Null,
            Value::Bare("true".into()),
            Value::Bare("1.50".into()),
        ];
        assert_eq!(values, expected);
        scanner.take("{}").unwrap();
        assert_eq!(scanner.value("{}", 1), Value::Null);
    }

    #[test]
    fn lines_that_are_not_one_object_are_errors() {
        for line in [
            "[1]",
            "1",
            "{",
            "{\"a\"}",
            "{\"a\":1,}",
            "{\"a\":1}{}",
            "{\"a\":1,\"a\":2}",
            "x",
            "{\"a\":01}",
            "{1:2}",
            "{\"a\":nul}",
        ] {
            NdjsonScanner::default().take(line).unwrap_err();
        }
    }
}
