use std::{error::Error, fmt, path::PathBuf};

use datafusion::common::utils::datafusion_strsim::levenshtein;

/// Everything that is wrong with a configuration, in the order of its files and lines.
///
/// Invariant: no line holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Mistake>);

/// One thing to correct.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub place: Place,
    /// What was found and what was expected.
    pub message: String,
    pub hint: Option<String>,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    File {
        path: PathBuf,
        /// From 1; `None`: the file as a whole.
        line: Option<usize>,
    },
    Environment(String),
    /// Not written by anybody: a default, or a catalog that the command line asked for.
    Program(&'static str),
}

impl ConfigErrors {
    pub(super) fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        Self(mistakes)
    }

    pub fn mistakes(&self) -> &[Mistake] {
        &self.0
    }
}

impl Mistake {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Error for ConfigErrors {}

/// One line for each mistake.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Program(what) => f.write_str(what),
        }
    }
}

/// Finds the known word that is fewest slips away, but at most `slips`.
pub(super) fn nearest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    slips: usize,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Says which known word was most likely meant, or else lists all of them.
pub(super) fn suggest(word: &str, known: &[&str]) -> String {
    let slips = (word.len() / 3).max(1);
    match nearest(&word.to_lowercase(), known.iter().copied(), slips) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        const KNOWN: &[&str] = &["listen", "tls_cert", "tls_key", "allowed_ips"];
        for (word, expected) in [
            ("listn", "did you mean \"listen\"?"),
            ("lisetn", "did you mean \"listen\"?"),
            ("tls-cert", "did you mean \"tls_cert\"?"),
            ("allowed_ip", "did you mean \"allowed_ips\"?"),
            ("TLS_KEY", "did you mean \"tls_key\"?"),
            ("password", "known are listen, tls_cert, tls_key, allowed_ips"),
            ("x", "known are listen, tls_cert, tls_key, allowed_ips"),
        ] {
            assert_eq!(suggest(word, KNOWN), expected, "{word}");
        }
    }
}
