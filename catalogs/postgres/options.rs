//! The keys of a PostgreSQL catalog file, as types.

use std::{path::PathBuf, str::FromStr, time::Duration};

use secrecy::ExposeSecret;
use tokio_postgres::config::{Config, Host};
use url::Url;

use crate::{CatalogName, OptionKind, OptionSpec, Options, Result, SourceError, SourceErrorKind};

pub(super) const SPECS: &[OptionSpec] = &[
    OptionSpec {
        name: "url",
        kind: OptionKind::Text,
        required: true,
        default: None,
        meaning: "where the database is: postgres://user@host:port/database",
    },
    OptionSpec {
        name: "password",
        kind: OptionKind::Secret,
        required: false,
        default: None,
        meaning: "the user's password; better here than in the url",
    },
    OptionSpec {
        name: "schemas",
        kind: OptionKind::List,
        required: false,
        default: None,
        meaning: "the only schemas to show; all, when absent",
    },
    OptionSpec {
        name: "exclude",
        kind: OptionKind::List,
        required: false,
        default: None,
        meaning: "schemas, or tables as schema.table, not to show",
    },
    OptionSpec {
        name: "pool_size",
        kind: OptionKind::Integer { min: 1, max: 1000 },
        required: false,
        default: Some("20"),
        meaning: "the most connections to this database at any time",
    },
    OptionSpec {
        name: "max_parallel_reads",
        kind: OptionKind::Integer { min: 1, max: 4 },
        required: false,
        default: Some("4"),
        meaning: "the most connections that read one large table at once, if others are free",
    },
    OptionSpec {
        name: "connect_timeout",
        kind: OptionKind::Duration,
        required: false,
        default: Some("\"30s\""),
        meaning: "the longest wait for a connection, a free one or a new one",
    },
    OptionSpec {
        name: "query_timeout",
        kind: OptionKind::Duration,
        required: false,
        default: Some("\"300s\""),
        meaning: "the longest run of one statement at the source",
    },
    OptionSpec {
        name: "refresh_interval",
        kind: OptionKind::Duration,
        required: false,
        default: Some("\"60s\""),
        meaning: "how often tables and columns are read again",
    },
    OptionSpec {
        name: "statistics",
        kind: OptionKind::Flag,
        required: false,
        default: Some("true"),
        meaning: "read pg_stats, so that joins are planned by size",
    },
    OptionSpec {
        name: "numeric",
        kind: OptionKind::Word(&["decimal", "text"]),
        required: false,
        default: Some("\"decimal\""),
        meaning: "numeric columns without precision: decimal (20 digits after the point) or text",
    },
    OptionSpec {
        name: "tls",
        kind: OptionKind::Word(&["disable", "prefer", "require", "verify-full"]),
        required: false,
        default: None,
        meaning: "TLS; when absent: verify-full, or prefer on this machine",
    },
    OptionSpec {
        name: "tls_ca",
        kind: OptionKind::Path,
        required: false,
        default: None,
        meaning: "PEM file of the authorities to trust instead of the system's",
    },
];

/// How `numeric` columns that declare no precision are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumericAs {
    Decimal,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    /// TLS when the server has it. A handshake that fails is an error.
    Prefer,
    /// TLS, to whoever answers.
    Require,
    /// TLS, to the host that the url names.
    VerifyFull,
}

pub(super) struct PostgresOptions {
    /// Whom to connect to; without the settings of our sessions.
    pub config: Config,
    pub schemas: Option<Vec<String>>,
    pub exclude: Vec<String>,
    pub pool_size: usize,
    pub max_parallel_reads: usize,
    pub connect_timeout: Duration,
    pub query_timeout: Duration,
    pub statistics: bool,
    pub numeric: NumericAs,
    pub tls: TlsMode,
    pub tls_ca: Option<PathBuf>,
}

impl PostgresOptions {
    /// Fills in the defaults too, so that a catalog made without a file works.
    pub fn parse(catalog: &CatalogName, options: &Options) -> Result<Self> {
        let invalid = |problem: &str| {
            let message = format!("catalog \"{catalog}\": {problem}");
            SourceError::new(SourceErrorKind::InvalidOption, message)
        };
        let mut config = parse_url(options.text("url").unwrap_or_default()).map_err(invalid)?;
        if let Some(password) = options.secret("password") {
            config.password(password.expose_secret());
        }
        let tls = match options.text("tls") {
            None if is_local(&config) => TlsMode::Prefer,
            None | Some("verify-full") => TlsMode::VerifyFull,
            Some("disable") => TlsMode::Disable,
            Some("prefer") => TlsMode::Prefer,
            Some("require") => TlsMode::Require,
            Some(_) => return Err(invalid("tls is not one of its words")),
        };
        let numeric = match options.text("numeric") {
            None | Some("decimal") => NumericAs::Decimal,
            Some("text") => NumericAs::Text,
            Some(_) => return Err(invalid("numeric is not one of its words")),
        };
        let seconds =
            |name, default| options.duration(name).unwrap_or_else(|| Duration::from_secs(default));
        let count = |name, default: usize| {
            let count = options.integer(name).and_then(|count| usize::try_from(count).ok());
            count.unwrap_or(default).max(1)
        };
        Ok(Self {
            config,
            schemas: options.list("schemas").map(<[String]>::to_vec),
            exclude: options.list("exclude").unwrap_or_default().to_vec(),
            pool_size: count("pool_size", 20),
            max_parallel_reads: count("max_parallel_reads", 4),
            connect_timeout: seconds("connect_timeout", 30),
            query_timeout: seconds("query_timeout", 300),
            statistics: options.flag("statistics").unwrap_or(true),
            numeric,
            tls,
            tls_ca: options.path("tls_ca").map(ToOwned::to_owned),
        })
    }
}

/// The messages never quote the url: it may hold a password.
fn parse_url(text: &str) -> Result<Config, &'static str> {
    const UNREADABLE: &str =
        "the url can't be read, it should look like postgres://user@host:5432/database";
    let url = Url::parse(text).map_err(|_| UNREADABLE)?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(UNREADABLE);
    }
    for (key, _) in url.query_pairs() {
        match key.as_ref() {
            "host"
            | "port"
            | "user"
            | "dbname"
            | "password"
            | "channel_binding"
            | "target_session_attrs"
            | "load_balance_hosts"
            | "hostaddr" => {}
            key if key.starts_with("ssl") => {
                return Err("the url can't set TLS: use the keys tls and tls_ca");
            }
            _ => return Err("the url has a parameter that can't be set there"),
        }
    }
    let config = Config::from_str(text).map_err(|_| UNREADABLE)?;
    if config.get_hosts().is_empty() {
        return Err("the url names no host");
    }
    if config.get_user().is_none() {
        return Err("the url names no user");
    }
    Ok(config)
}

/// Whether no byte leaves this machine.
fn is_local(config: &Config) -> bool {
    let is_local_host = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_local_host)
        && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::OptionValue;

    fn parse(url: &str) -> Result<PostgresOptions> {
        let mut options = Options::default();
        options.set("url", OptionValue::Text(url.to_owned()));
        PostgresOptions::parse(&CatalogName::parse("sales").unwrap(), &options)
    }

    #[test]
    fn tls_is_verified_unless_the_host_is_here() {
        for (url, tls) in [
            ("postgres://reader@db:5432/sales", TlsMode::VerifyFull),
            ("postgresql://reader@10.0.0.7/sales", TlsMode::VerifyFull),
            ("postgres://reader@127.0.0.1/sales", TlsMode::Prefer),
            ("postgres://reader@[::1]/sales", TlsMode::Prefer),
            ("postgres://reader@localhost/sales", TlsMode::Prefer),
            ("postgres://reader@%2Frun%2Fpostgresql/sales", TlsMode::Prefer),
            ("postgres:///sales?user=reader&host=/run/postgresql", TlsMode::Prefer),
            ("postgres://reader@localhost,db/sales", TlsMode::VerifyFull),
            ("postgres://reader@localhost/sales?hostaddr=10.1.1.1", TlsMode::VerifyFull),
        ] {
            assert_eq!(parse(url).map(|options| options.tls).unwrap(), tls, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_quoting_it() {
        for url in [
            "",
            "mysql://reader:hunter2@db/sales",
            "postgres://reader:hunter2@db:port/sales",
            "postgres://reader:hunter2@db/sales?sslmode=disable",
            "postgres://reader:hunter2@db/sales?options=-c%20role=admin",
            "postgres:///sales?password=hunter2",
            "host=db user=reader password=hunter2",
            "postgres://db/sales?password=hunter2",
        ] {
            let error = parse(url).err().unwrap();
            assert_eq!(error.kind, SourceErrorKind::InvalidOption);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
