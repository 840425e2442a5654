use std::{collections::BTreeMap, ffi::OsString};

/// The environment of the process, read once: here and nowhere else.
#[derive(Clone, Default)]
pub(super) struct Environment(BTreeMap<String, OsString>);

/// Why a variable gives no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoValue {
    Unset,
    NotUnicode,
}

impl Environment {
    /// A name that is not Unicode can't be one of ours.
    #[allow(clippy::disallowed_methods)]
    pub(super) fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(std::env::vars_os().filter_map(named).collect())
    }

    pub(super) fn get(&self, name: &str) -> Result<&str, NoValue> {
        self.0.get(name).ok_or(NoValue::Unset)?.to_str().ok_or(NoValue::NotUnicode)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<K: Into<String>, V: Into<OsString>, const N: usize> From<[(K, V); N]> for Environment {
    fn from(variables: [(K, V); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
