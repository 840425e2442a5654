use std::{
    borrow::Cow,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{Spanned, de::DeValue};

use super::{mistakes::Place, secrets::may_hold_password};

/// A file of the configuration, kept so that every value can name its line.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Nobody but the owner can read it, so that it may hold a secret.
    pub(super) is_private: bool,
    /// Off for values that no file holds, such as the defaults of a demonstration.
    pub(super) targets_must_exist: bool,
}

impl File {
    /// Relative paths in this file start here.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Place::File { path: self.path.clone(), line: Some(line) }
    }

    pub(super) fn whole(&self) -> Place {
        Place::File { path: self.path.clone(), line: None }
    }
}

/// A value as somebody wrote it, not yet understood.
pub(super) struct Found<'a> {
    written: Written<'a>,
    pub(super) place: Place,
    pub(super) file: &'a File,
}

enum Written<'a> {
    Toml(&'a DeValue<'a>),
    /// From the environment or the command line, where all is text: `200`, `true`, `a, b`.
    Bare(&'a str),
}

impl<'a> Found<'a> {
    pub(super) fn in_file(file: &'a File, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { written: Written::Toml(value.get_ref()), place: file.place(value.span()), file }
    }

    pub(super) fn bare(file: &'a File, text: &'a str, place: Place) -> Self {
        Self { written: Written::Bare(text), place, file }
    }

    pub(super) fn at(file: &'a File, value: &'a DeValue<'a>, place: Place) -> Self {
        Self { written: Written::Toml(value), place, file }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.written {
            Written::Toml(DeValue::String(text)) => Some(text),
            Written::Bare(text) => Some(text),
            Written::Toml(_) => None,
        }
    }

    pub(super) fn integer(&self) -> Option<u64> {
        match &self.written {
            Written::Toml(DeValue::Integer(number)) => {
                u64::from_str_radix(number.as_str(), number.radix()).ok()
            }
            Written::Bare(text) => text.parse().ok(),
            Written::Toml(_) => None,
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match &self.written {
            Written::Toml(DeValue::Boolean(flag)) => Some(*flag),
            Written::Bare(text) => text.parse().ok(),
            Written::Toml(_) => None,
        }
    }

    pub(super) fn list(&self) -> Option<Vec<&str>> {
        match &self.written {
            Written::Toml(DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.as_ref()),
                    _ => None,
                })
                .collect(),
            Written::Bare(text) => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
            }
            Written::Toml(_) => None,
        }
    }

    /// The value as a mistake shows it: one short line, unless a password may be in it.
    pub(super) fn shown(&self) -> String {
        const MOST_CHARACTERS: usize = 60;
        let texts = self.list().unwrap_or_default().into_iter().chain(self.text());
        if texts.into_iter().any(may_hold_password) {
            return "a text that may hold a password".to_owned();
        }
        let text: Cow<'_, str> = match &self.written {
            Written::Toml(DeValue::String(text)) => format!("{text:?}").into(),
            Written::Toml(DeValue::Integer(number)) => number.to_string().into(),
            Written::Toml(DeValue::Float(number)) => number.to_string().into(),
            Written::Toml(DeValue::Boolean(flag)) => flag.to_string().into(),
            Written::Toml(DeValue::Datetime(_)) => "a date or time".into(),
            Written::Toml(DeValue::Array(_)) => match self.list() {
                Some(items) => format!("{items:?}").into(),
                None => "a list with something else than text".into(),
            },
            Written::Toml(DeValue::Table(_)) => "a table".into(),
            Written::Bare(text) => format!("{text:?}").into(),
        };
        match text.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.into_owned(),
        }
    }
}
