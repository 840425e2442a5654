//! SET, SHOW and RESET (PostgreSQL manual, "Setting Parameters").

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use datafusion::arrow::array::timezone::Tz;
use weir_catalogs::sql::PushdownMode;

use super::{
    Database,
    pg_catalog::{SERVER_VERSION, fixed_setting},
};
use crate::{
    auth::Principal,
    engine::Engine,
    error::{Error, ErrorKind, Result},
};

/// A client may hold this many settings of its own (`myapp.user`), each of this many bytes.
const MAX_CUSTOM_SETTINGS: usize = 100;
const MAX_VALUE_BYTES: usize = 8192;

/// One setting that we know.
struct Definition {
    name: &'static str,
    default: &'static str,
    rule: Rule,
    /// The client is told of each change (ParameterStatus).
    is_reported: bool,
    description: &'static str,
}

enum Rule {
    /// Never changes.
    Fixed,
    /// Any text.
    Free,
    /// Only these values: what they ask for is what we do anyway.
    OneOf(&'static [&'static str]),
    Integer,
    /// Milliseconds, or with a unit.
    Duration,
    TimeZone,
    Boolean,
    Pushdown,
}

const fn known(
    name: &'static str,
    default: &'static str,
    rule: Rule,
    is_reported: bool,
    description: &'static str,
) -> Definition {
    Definition { name, default, rule, is_reported, description }
}

#[rustfmt::skip]
const DEFINITIONS: &[Definition] = &[
    known("application_name", "", Rule::Free, true, "Name of the application."),
    known("bytea_output", "hex", Rule::OneOf(&["hex"]), false, "Output format of bytea."),
    known("client_encoding", "UTF8", Rule::OneOf(&["utf8", "utf-8", "unicode", "'utf-8'", "sql_ascii"]), true, "Encoding of the client."),
    known("client_min_messages", "notice", Rule::Free, false, "Least level of messages that are sent."),
    known("DateStyle", "ISO, MDY", Rule::OneOf(&["iso", "iso, mdy", "iso,mdy", "iso, dmy", "iso, ymd"]), true, "Output format of dates and times."),
    known("default_transaction_isolation", "read committed", Rule::Free, false, "Isolation of new transactions."),
    known("default_transaction_read_only", "on", Rule::Boolean, true, "Transactions only read."),
    known("extra_float_digits", "1", Rule::Integer, false, "Floats are always written so that they read back the same."),
    known("idle_in_transaction_session_timeout", "0", Rule::Duration, false, "Accepted, without effect."),
    known("in_hot_standby", "off", Rule::Fixed, true, "Whether the server is a standby."),
    known("integer_datetimes", "on", Rule::Fixed, true, "Times are 64-bit integers."),
    known("IntervalStyle", "postgres", Rule::OneOf(&["postgres"]), true, "Output format of intervals."),
    known("is_superuser", "off", Rule::Fixed, true, "Nobody is one."),
    known("jit", "off", Rule::Boolean, false, "Accepted, without effect."),
    known("lc_collate", "C", Rule::Fixed, false, "Text is ordered by its bytes."),
    known("lc_ctype", "C", Rule::Fixed, false, "Character classification."),
    known("lc_messages", "C", Rule::Free, false, "Language of messages."),
    known("lc_monetary", "C", Rule::Free, false, "Format of money."),
    known("lc_numeric", "C", Rule::Free, false, "Format of numbers."),
    known("lc_time", "C", Rule::Free, false, "Format of dates."),
    known("lock_timeout", "0", Rule::Duration, false, "Accepted, without effect."),
    known("max_identifier_length", "63", Rule::Fixed, false, "Bytes of an identifier."),
    known("max_index_keys", "32", Rule::Fixed, false, "Columns of an index."),
    known("role", "none", Rule::OneOf(&["none"]), false, "Roles are the policy's."),
    known("row_security", "on", Rule::Boolean, false, "Accepted; policies always apply."),
    known("search_path", "", Rule::Free, false, "Schemas of names without one."),
    known("server_encoding", "UTF8", Rule::Fixed, true, "Encoding of the server."),
    known("server_version", SERVER_VERSION, Rule::Fixed, true, "The PostgreSQL whose protocol this is."),
    known("server_version_num", "150008", Rule::Fixed, false, "The same as a number."),
    known("session_authorization", "", Rule::Fixed, true, "The user of the session."),
    known("standard_conforming_strings", "on", Rule::OneOf(&["on", "true"]), true, "Backslashes in '…' are plain."),
    known("statement_timeout", "0", Rule::Duration, false, "Most time of a statement; 0 for the server's limit."),
    known("synchronize_seqscans", "on", Rule::Boolean, false, "Accepted, without effect."),
    known("TimeZone", "UTC", Rule::TimeZone, true, "Time zone of timestamps with time zone."),
    known("transaction_isolation", "read committed", Rule::Free, false, "Isolation of this transaction."),
    known("transaction_read_only", "on", Rule::Boolean, false, "This transaction only reads."),
    known("weir.pushdown", "auto", Rule::Pushdown, false, "What is sent to the sources: auto, off or always."),
    known("work_mem", "4MB", Rule::Free, false, "Accepted, without effect: limits.query_memory bounds a query."),
];

/// A setting that the client is told of.
pub type Reported = (&'static str, String);

/// One session's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    defaults: BTreeMap<String, String>,
    current: Changes,
    /// What was current when the transaction began.
    saved: Option<Changes>,
}

/// What a session has set, to go back to. Copies share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    values: Arc<BTreeMap<String, String>>,
    /// What SET LOCAL has covered, to come back at the transaction's end.
    covered: Arc<BTreeMap<String, Option<String>>>,
}

impl Changes {
    /// Is this the same copy as the other?
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.values, &other.values) && Arc::ptr_eq(&self.covered, &other.covered)
    }
}

impl Settings {
    pub fn new(principal: &Principal, database: &Database, engine: &Engine) -> Self {
        let mut defaults: BTreeMap<String, String> = DEFINITIONS
            .iter()
            .map(|known| (known.name.to_lowercase(), known.default.to_owned()))
            .collect();
        defaults.insert("session_authorization".into(), principal.name.to_string());
        defaults.insert("search_path".into(), database.default_search_path(engine));
        Self { defaults, current: Changes::default(), saved: None }
    }

    /// What a startup packet asks for also becomes what RESET goes back to.
    pub fn set_at_startup(&mut self, name: &str, value: &str) -> Result<()> {
        self.set(name, value, false)?;
        if let Some(value) = self.values_mut().remove(&name.to_lowercase()) {
            self.defaults.insert(name.to_lowercase(), value);
        }
        Ok(())
    }

    pub fn set(&mut self, name: &str, value: &str, is_local: bool) -> Result<()> {
        let key = name.to_lowercase();
        let value = self.checked(&key, value)?;
        if is_local {
            if self.saved.is_none() {
                // Outside a transaction SET LOCAL has no effect, as in PostgreSQL.
                return Ok(());
            }
            let covered = self.current.values.get(&key).cloned();
            Arc::make_mut(&mut self.current.covered).entry(key.clone()).or_insert(covered);
        } else {
            Arc::make_mut(&mut self.current.covered).remove(&key);
        }
        self.values_mut().insert(key, value);
        Ok(())
    }

    fn values_mut(&mut self) -> &mut BTreeMap<String, String> {
        Arc::make_mut(&mut self.current.values)
    }

    pub fn reset(&mut self, name: &str) -> Result<()> {
        self.get(name)?;
        self.values_mut().remove(&name.to_lowercase());
        Ok(())
    }

    pub fn reset_all(&mut self) {
        self.values_mut().clear();
    }

    /// The value that SHOW prints; 42704 for a name that is none.
    pub fn get(&self, name: &str) -> Result<String> {
        let key = name.to_lowercase();
        let own = self.value(&key).map(str::to_owned);
        own.or_else(|| fixed_setting(&key)).ok_or_else(|| unknown(name))
    }

    fn value(&self, key: &str) -> Option<&str> {
        match self.current.values.get(key) {
            Some(value) => Some(value),
            None if key == "transaction_isolation" => self.value("default_transaction_isolation"),
            None => self.defaults.get(key).map(String::as_str),
        }
    }

    /// As PostgreSQL writes it: `TimeZone`, `DateStyle`.
    pub fn display_name<'a>(&self, name: &'a str) -> &'a str {
        definition(&name.to_lowercase()).map_or(name, |known| known.name)
    }

    /// Name, value, meaning.
    pub fn all(&self) -> Vec<(String, String, String)> {
        DEFINITIONS
            .iter()
            .map(|known| {
                let value = self.value(&known.name.to_lowercase()).unwrap_or_default();
                (known.name.to_owned(), value.to_owned(), known.description.to_owned())
            })
            .collect()
    }

    pub fn reported(&self) -> Vec<Reported> {
        DEFINITIONS
            .iter()
            .filter(|known| known.is_reported)
            .map(|known| {
                let value = self.value(&known.name.to_lowercase()).unwrap_or_default();
                (known.name, value.to_owned())
            })
            .collect()
    }

    pub fn begin(&mut self) {
        self.saved = Some(self.current.clone());
        self.current.covered = Arc::default();
    }

    /// SET stays, SET LOCAL does not.
    pub fn commit(&mut self) {
        self.saved = None;
        for (key, value) in std::mem::take(&mut self.current.covered).iter() {
            match value {
                Some(value) => self.values_mut().insert(key.clone(), value.clone()),
                None => self.values_mut().remove(key),
            };
        }
    }

    pub fn roll_back(&mut self) {
        if let Some(saved) = self.saved.take() {
            self.current = saved;
        }
    }

    /// For a savepoint.
    pub fn changes(&self) -> Changes {
        self.current.clone()
    }

    /// Back to a savepoint.
    pub fn go_back(&mut self, changes: Changes) {
        self.current = changes;
    }

    pub fn statement_timeout(&self) -> Option<Duration> {
        let timeout = self.value("statement_timeout").and_then(duration)?;
        (!timeout.is_zero()).then_some(timeout)
    }

    pub fn time_zone(&self) -> &str {
        self.value("timezone").unwrap_or("UTC")
    }

    pub fn pushdown(&self) -> PushdownMode {
        match self.value("weir.pushdown") {
            Some("off") => PushdownMode::Off,
            Some("always") => PushdownMode::Always,
            _ => PushdownMode::Auto,
        }
    }

    /// Schemas in the order in which a name without one is looked up.
    pub fn search_path(&self) -> Vec<String> {
        split_path(self.value("search_path").unwrap_or_default())
    }

    fn checked(&self, key: &str, value: &str) -> Result<String> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::new(
                ErrorKind::ProgramLimitExceeded,
                format!("the value of \"{key}\" has more than {MAX_VALUE_BYTES} bytes"),
            ));
        }
        let Some(known) = definition(key) else { return self.checked_custom(key, value) };
        let refused = |expected: &str| {
            Error::new(
                ErrorKind::InvalidParameter,
                format!("invalid value for parameter \"{}\": \"{value}\"", known.name),
            )
            .with_hint(expected.to_owned())
        };
        let lower = value.to_lowercase();
        match known.rule {
            Rule::Free => Ok(value.to_owned()),
            Rule::Fixed if self.value(key) == Some(value) => Ok(value.to_owned()),
            Rule::Fixed => Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("parameter \"{}\" cannot be changed", known.name),
            )),
            Rule::OneOf(words) if words.contains(&lower.as_str()) => Ok(known.default.to_owned()),
            Rule::OneOf(words) => Err(refused(&format!("Supported: {}.", words.join("; ")))),
            Rule::Integer if value.parse::<i32>().is_ok() => Ok(value.to_owned()),
            Rule::Integer => Err(refused("An integer is expected.")),
            Rule::Duration if duration(value).is_some() => Ok(value.to_owned()),
            Rule::Duration => Err(refused("Milliseconds are expected, or 500ms, 30s, 5min.")),
            Rule::TimeZone if value.parse::<Tz>().is_ok() => Ok(value.to_owned()),
            Rule::TimeZone => {
                Err(refused("A name such as Europe/Berlin or an offset is expected."))
            }
            Rule::Boolean => match lower.as_str() {
                "on" | "true" | "yes" | "1" => Ok("on".to_owned()),
                // Writing is what a client would ask for by this; statements that write are refused.
                "off" | "false" | "no" | "0" => Ok("off".to_owned()),
                _ => Err(refused("on or off is expected.")),
            },
            Rule::Pushdown if ["auto", "off", "always"].contains(&lower.as_str()) => Ok(lower),
            Rule::Pushdown => Err(refused("auto, off or always is expected.")),
        }
    }

    /// PostgreSQL lets clients invent names with a dot.
    fn checked_custom(&self, key: &str, value: &str) -> Result<String> {
        let is_custom = key.contains('.') && !key.starts_with("weir.");
        if !is_custom {
            return Err(unknown(key));
        }
        let values = &self.current.values;
        let custom = values.keys().filter(|key| definition(key).is_none()).count();
        if custom >= MAX_CUSTOM_SETTINGS && !values.contains_key(key) {
            return Err(Error::new(
                ErrorKind::ProgramLimitExceeded,
                format!("at most {MAX_CUSTOM_SETTINGS} settings of a client's own are kept"),
            ));
        }
        Ok(value.to_owned())
    }
}

fn definition(key: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|known| known.name.eq_ignore_ascii_case(key))
}

fn unknown(name: &str) -> Error {
    Error::new(
        ErrorKind::UndefinedObject,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

/// Milliseconds, or a number with one of PostgreSQL's units.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let milliseconds = match text[end..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// `a, "B.c"` as names; a quote inside quotes is doubled.
fn split_path(path: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(name) = names.last_mut() else { break };
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                name.push('"');
                characters.next();
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => names.push(String::new()),
            c if c.is_whitespace() && !is_quoted => {}
            c if is_quoted => name.push(c),
            c => name.extend(c.to_lowercase()),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_paths_are_read_as_postgresql_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1500", Some(1500)),
            ("30s", Some(30_000)),
            ("5 min", Some(300_000)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(duration(text), expected.map(Duration::from_millis), "{text}");
        }
        for (path, expected) in [
            ("", &[][..]),
            ("a, B", &["a", "b"]),
            ("\"$user\", public", &["$user", "public"]),
            ("\"A.b\",\"c\"\"d\"", &["A.b", "c\"d"]),
        ] {
            assert_eq!(split_path(path), expected, "{path}");
        }
    }
}
