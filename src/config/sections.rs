//! Every key of `weir.toml`: its default, its kind and its meaning, and nothing else. Parsing,
//! defaults, environment overrides and the reference file `config/weir.toml` follow from here.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    kinds::{
        Address, AllowList, Bytes, Count, ExistingFile, Flag, Folder, MachineMemory, Networks,
        Optional, PartOf, Period, Share, Threads, Word,
    },
    reader::{Reader, Table},
    secrets::GeneratedKey,
};

/// A section of `weir.toml`, as its reference shows it.
pub(super) struct Section {
    pub(super) name: &'static str,
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
    /// May be written many times: `[[name]]`.
    pub(super) repeats: bool,
}

pub(super) struct Key {
    pub(super) name: &'static str,
    /// As it would be written in TOML.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) default: &'static str,
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) meaning: &'static str,
}

/// Every section, in the order of the reference.
pub(super) const SECTIONS: &[&Section] = &[
    &PostgresSection::SECTION,
    &FlightSection::SECTION,
    &HttpSection::SECTION,
    &CatalogsSection::SECTION,
    &PolicyConfig::SECTION,
    &StateConfig::SECTION,
    &LimitsConfig::SECTION,
    &LogConfig::SECTION,
];

/// Makes a section's struct, its table of keys and its reader out of one list:
/// `/// meaning` `key: Type = default, kind;`.
macro_rules! section {
    (
        #[doc = $about:literal]
        $visibility:vis struct $name:ident in $section:literal, repeats: $repeats:literal {
            $( #[doc = $meaning:literal] $key:ident: $type:ty = $default:tt, $kind:expr; )+
        }
    ) => {
        #[doc = $about]
        #[derive(Debug, Clone)]
        $visibility struct $name {
            $( #[doc = $meaning] pub $key: $type, )+
        }

        impl $name {
            pub(super) const SECTION: Section = Section {
                name: $section,
                about: $about,
                repeats: $repeats,
                keys: &[$( Key {
                    name: stringify!($key),
                    default: stringify!($default),
                    meaning: $meaning,
                }, )+],
            };

            /// Reads every key before it gives up on any, so that each mistake is noted.
            pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Self> {
                $( let $key = reader.key(table, stringify!($key), &$kind, Some(stringify!($default))); )+
                reader.refuse_unknown_keys(table, &[$( stringify!($key), )+]);
                Some(Self { $( $key: $key?, )+ })
            }
        }
    };
}

section! {
    /// The Postgres wire door. Repeat the section as [[postgres]] to listen on more addresses.
    pub(super) struct PostgresSection in "postgres", repeats: true {
        /// Address and port; "off" closes this door.
        listen: Option<SocketAddr> = "127.0.0.1:5455", Optional(Address);
        /// Certificate chain (PEM) for TLS; clients may then use TLS.
        tls_cert: Option<PathBuf> = "off", Optional(ExistingFile);
        /// Private key (PEM) of the certificate.
        tls_key: Option<PathBuf> = "off", Optional(ExistingFile);
        /// Authorities (PEM) that must have signed the certificate of each client.
        tls_client_ca: Option<PathBuf> = "off", Optional(ExistingFile);
        /// Refuse clients that do not use TLS.
        require_tls: bool = false, Flag;
        /// Addresses and networks that may connect; an empty list is everybody.
        allowed_ips: AllowList = [], Networks;
    }
}

section! {
    /// The Arrow Flight SQL door. Repeat the section as [[flight]] to listen on more addresses.
    pub(super) struct FlightSection in "flight", repeats: true {
        /// Address and port; "off" closes this door.
        listen: Option<SocketAddr> = "127.0.0.1:5456", Optional(Address);
        /// Certificate chain (PEM) for TLS; clients must then use TLS.
        tls_cert: Option<PathBuf> = "off", Optional(ExistingFile);
        /// Private key (PEM) of the certificate.
        tls_key: Option<PathBuf> = "off", Optional(ExistingFile);
        /// Authorities (PEM) that must have signed the certificate of each client.
        tls_client_ca: Option<PathBuf> = "off", Optional(ExistingFile);
        /// Addresses and networks that may connect; an empty list is everybody.
        allowed_ips: AllowList = [], Networks;
    }
}

section! {
    /// The operator's HTTP door: /health, /ready and /metrics, without a login. Repeat it as [[http]].
    pub(super) struct HttpSection in "http", repeats: true {
        /// Address and port; "off" closes this door.
        listen: Option<SocketAddr> = "127.0.0.1:5457", Optional(Address);
        /// Addresses and networks that may connect; an empty list is everybody.
        allowed_ips: AllowList = [], Networks;
    }
}

section! {
    /// What can be queried: one file for each catalog, whose name is the name of the file.
    pub(super) struct CatalogsSection in "catalogs", repeats: false {
        /// Folder of the catalog files, <name>.toml.
        dir: PathBuf = "catalogs", Folder;
        /// How often tables and columns are listed anew; "off" lists them only at the start.
        refresh: Option<Duration> = "5m", Optional(Period);
    }
}

section! {
    /// Who may see which rows and columns.
    pub struct PolicyConfig in "policy", repeats: false {
        /// The model (Casbin): what rules look like and how they combine.
        model: PathBuf = "policy/model.conf", ExistingFile;
        /// The rules (CSV).
        policy: PathBuf = "policy/policy.csv", ExistingFile;
        /// Secret behind the masks "hmac": "env:NAME" or "file:PATH"; "auto" makes one in state.dir.
        mask_key: Option<SecretString> = "auto", GeneratedKey;
    }
}

section! {
    /// What weir itself writes down.
    pub struct StateConfig in "state", repeats: false {
        /// Folder of users and the audit log; only the owner can read its files.
        dir: PathBuf = "state", Folder;
    }
}

section! {
    /// Bounds. Whatever can grow has one.
    pub struct LimitsConfig in "limits", repeats: false {
        /// The longest that a statement may run; a session can ask for less.
        query_timeout: Duration = "300s", Period;
        /// The longest that a connection may stay without a statement; "off" for ever.
        idle_timeout: Option<Duration> = "off", Optional(Period);
        /// The longest that a client may take to log in.
        startup_timeout: Duration = "60s", Period;
        /// The longest that a statement may wait for its turn.
        queue_timeout: Duration = "30s", Period;
        /// The longest that planning a statement may take.
        planning_timeout: Duration = "5s", Period;
        /// The longest that running statements may take to end when weir shuts down.
        drain_timeout: Duration = "10s", Period;
        /// Connections at one time, over all listeners of the Postgres and Flight doors.
        max_connections: usize = 200, Count(1..=100_000);
        /// Statements that run at one time.
        max_concurrent_queries: usize = 16, Count(1..=10_000);
        /// Statements that wait for their turn; one more is refused at once.
        max_queued_queries: usize = 64, Count(0..=100_000);
        /// Cursors and portals that wait for their client without a place among the statements that run.
        max_open_cursors: usize = 200, Count(0..=100_000);
        /// The longest that a cursor may wait for its client; then it is closed. "off" for ever.
        cursor_idle_timeout: Option<Duration> = "15m", Optional(Period);
        /// Memory of all statements together: a part of this machine's (or container's), or a size.
        memory: usize = "60%", MachineMemory;
        /// Memory of one statement: a part of the memory above, or a size.
        query_memory: Share = "25%", PartOf("limits.memory");
        /// Folder for what does not fit into memory; "off" makes such statements fail.
        spill_dir: Option<PathBuf> = "state/spill", Optional(Folder);
        /// The most that all statements together may have in that folder.
        spill_size: usize = "20GiB", Bytes;
        /// The longest text of a statement.
        max_query_text: usize = "16MiB", Bytes;
        /// The most words and signs in a statement.
        max_tokens: usize = 50000, Count(100..=10_000_000);
        /// The deepest nesting of a statement.
        max_depth: usize = 200, Count(10..=1_000);
        /// The most expressions and clauses in a statement.
        max_nodes: usize = 20000, Count(100..=10_000_000);
        /// The most tables and subqueries in a statement.
        max_relations: usize = 500, Count(1..=10_000);
        /// Threads that compute; "auto" is one for each core.
        worker_threads: usize = "auto", Threads;
    }
}

section! {
    /// The log, which goes to the standard error output.
    pub struct LogConfig in "log", repeats: false {
        /// How much to say: "error", "warn", "info", "debug" or "trace".
        level: LogLevel = "info", Word(LEVELS);
        /// "text" for people, "json" for machines.
        format: LogFormat = "text", Word(FORMATS);
    }
}

impl LimitsConfig {
    /// In bytes.
    pub fn query_memory_bytes(&self) -> usize {
        self.query_memory.of(self.memory)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

#[cfg(test)]
mod tests {
    use super::*;

    /// `config/weir.toml`, as it must be after its opening comment.
    fn reference() -> String {
        let mut text = String::new();
        for section in SECTIONS {
            text += &format!("\n#{}\n[{}]\n", section.about, section.name);
            for key in section.keys {
                text += &format!("#{}\n{} = {}\n", key.meaning, key.name, key.default);
            }
        }
        text
    }

    #[test]
    fn the_shipped_file_holds_every_key_with_its_default_and_meaning() {
        let shipped = include_str!("../../config/weir.toml");
        let opening: String = shipped
            .lines()
            .take_while(|line| line.starts_with('#'))
            .fold(String::new(), |all, line| all + line + "\n");
        assert!(!opening.is_empty());
        let expected = reference();
        assert_eq!(&shipped[opening.len()..], expected, "expected after the opening:\n{expected}");
    }

    #[test]
    fn no_key_looks_like_a_variable_that_kubernetes_sets() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            assert!(!super::super::is_set_by_kubernetes(&key.name.to_uppercase()), "{}", key.name);
        }
    }
}
