use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;

/// One key that a catalog file may hold. The loader checks files against these, so that every
/// mistake is reported with its line, and no source parses text.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    pub name: &'static str,
    pub kind: OptionKind,
    pub required: bool,
    /// The default as it would be written in TOML; `None`: the option is off.
    pub default: Option<&'static str>,
    /// One line: what it means, with units.
    pub meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    Text,
    /// One of the words listed.
    Word(&'static [&'static str]),
    /// Text that is never printed; `env:NAME` and `file:PATH` are resolved before.
    Secret,
    /// A list of text.
    List,
    /// `"250ms"`, `"30s"`, `"5m"`, `"1h"`.
    Duration,
    Integer {
        min: u64,
        max: u64,
    },
    Flag,
    /// Relative to the folder of the configuration file.
    Path,
}

#[derive(Debug, Clone)]
pub enum OptionValue {
    Text(String),
    Secret(SecretString),
    List(Vec<String>),
    Duration(Duration),
    Integer(u64),
    Flag(bool),
    Path(PathBuf),
}

/// The options of one catalog: checked against the [`OptionSpec`]s of its source, defaults filled in.
#[derive(Debug, Clone, Default)]
pub struct Options(BTreeMap<&'static str, OptionValue>);

impl Options {
    pub fn set(&mut self, name: &'static str, value: OptionValue) {
        self.0.insert(name, value);
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(OptionValue::Text(value)) => Some(value),
            _ => None,
        }
    }

    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        match self.0.get(name) {
            Some(OptionValue::Secret(value)) => Some(value),
            _ => None,
        }
    }

    pub fn list(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name) {
            Some(OptionValue::List(value)) => Some(value),
            _ => None,
        }
    }

    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.0.get(name) {
            Some(OptionValue::Duration(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn integer(&self, name: &str) -> Option<u64> {
        match self.0.get(name) {
            Some(OptionValue::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(OptionValue::Flag(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn path(&self, name: &str) -> Option<&Path> {
        match self.0.get(name) {
            Some(OptionValue::Path(value)) => Some(value),
            _ => None,
        }
    }
}
