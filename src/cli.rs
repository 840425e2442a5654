//! The command line: what can be asked of weir, as types.
//!
//! Invariant: a wrong command line ends with status 2 (clap's own), before anything is read.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use crate::auth::{RoleName, TenantName, UserName};

/// A SQL proxy that joins databases and files, and shows everyone only what they may see.
#[derive(Debug, Parser)]
#[command(name = "weir", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start with a sample catalog, sample users and a sample policy; nothing else is needed
    Demo(DemoArgs),
    /// Start with a configuration
    Serve(ConfigArgs),
    /// Check a configuration, connect to each of its catalogs, and say what was found
    Check(ConfigArgs),
    /// Add, list, change and remove users
    #[command(subcommand)]
    User(UserCommand),
    /// Ask the policy
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say what a user sees of the tables of a query, and which lines of the policy decide it
    Explain(PolicyExplainArgs),
}

#[derive(Debug, Args)]
pub struct PolicyExplainArgs {
    /// The user for whom it is asked
    #[arg(long = "as", value_name = "USER", value_parser = user_name)]
    pub user: UserName,
    /// As if the user belonged to this tenant
    #[arg(long, value_parser = tenant_name)]
    pub tenant: Option<TenantName>,
    /// Say why a table or a column is hidden: catalog.schema.table.column
    #[arg(long, value_name = "OBJECT")]
    pub why_denied: Option<String>,
    /// A query, which is planned and not run
    #[arg(required_unless_present = "why_denied")]
    pub sql: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder of the sample data; it is made where it is missing
    #[arg(long, value_name = "DIR", default_value = "weir-demo")]
    pub data: PathBuf,
    /// Address of the Postgres wire door; port 0 is any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5455")]
    pub postgres_listen: SocketAddr,
    /// Address of the Arrow Flight SQL door
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5456")]
    pub flight_listen: SocketAddr,
    /// Address of the HTTP door: /health, /ready, /metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5457")]
    pub http_listen: SocketAddr,
    /// A PostgreSQL database to add as a catalog; may be given many times
    // A secret: the address may hold a password.
    #[arg(long = "postgres-url", value_name = "URL")]
    pub postgres_urls: Vec<SecretString>,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file
    #[arg(long, value_name = "PATH", default_value = "config/weir.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, whose password is the first line of the standard input
    Add {
        #[arg(value_parser = user_name)]
        name: UserName,
        /// A role of the user; may be given many times
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role_name)]
        roles: Vec<RoleName>,
        /// The tenant to which the user belongs
        #[arg(long, value_parser = tenant_name)]
        tenant: TenantName,
        /// What row filters may ask for; may be given many times, also for one key
        #[arg(long = "attr", value_name = "KEY=VALUE", value_parser = attribute)]
        attributes: Vec<(String, String)>,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// List all users, with their roles and tenants
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Change a user's password to the first line of the standard input
    Passwd {
        #[arg(value_parser = user_name)]
        name: UserName,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Remove a user
    Remove {
        #[arg(value_parser = user_name)]
        name: UserName,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// There is no `--password`: a command line can be read by everybody on the machine.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// Read the password from the standard input
    #[arg(long, required = true)]
    pub password_stdin: bool,
}

fn user_name(raw: &str) -> Result<UserName, String> {
    UserName::parse(raw).map_err(explain)
}

fn role_name(raw: &str) -> Result<RoleName, String> {
    RoleName::parse(raw).map_err(explain)
}

fn tenant_name(raw: &str) -> Result<TenantName, String> {
    TenantName::parse(raw).map_err(explain)
}

fn explain(error: crate::error::Error) -> String {
    match error.hint {
        Some(hint) => format!("{}. {hint}", error.message),
        None => error.message,
    }
}

fn attribute(raw: &str) -> Result<(String, String), String> {
    match raw.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;
    use secrecy::ExposeSecret;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_have_their_defaults() {
        let Command::Demo(demo) = parse("weir demo").unwrap() else { panic!("demo") };
        assert_eq!(demo.data, PathBuf::from("weir-demo"));
        assert_eq!(demo.postgres_listen.to_string(), "127.0.0.1:5455");
        assert_eq!(demo.flight_listen.to_string(), "127.0.0.1:5456");
        assert_eq!(demo.http_listen.to_string(), "127.0.0.1:5457");
        assert!(demo.postgres_urls.is_empty());
        let Command::Serve(serve) = parse("weir serve").unwrap() else { panic!("serve") };
        assert_eq!(serve.config, PathBuf::from("config/weir.toml"));
        let Command::Check(check) = parse("weir check --config a.toml").unwrap() else {
            panic!("check")
        };
        assert_eq!(check.config, PathBuf::from("a.toml"));
    }

    #[test]
    fn a_demo_takes_many_databases_and_hides_their_passwords() {
        let line = "weir demo --data d --postgres-listen [::1]:0 --postgres-url postgres://a:hunter2@h/x \
                    --postgres-url postgres://b@h/y";
        let Command::Demo(demo) = parse(line).unwrap() else { panic!("demo") };
        assert_eq!(demo.postgres_listen.to_string(), "[::1]:0");
        let urls: Vec<_> = demo.postgres_urls.iter().map(|url| url.expose_secret()).collect();
        assert_eq!(urls, ["postgres://a:hunter2@h/x", "postgres://b@h/y"]);
        assert!(!format!("{demo:?}").contains("hunter2"));
    }

    #[test]
    fn a_user_has_roles_a_tenant_and_attributes() {
        let line = "weir user add alice --role analyst --role support --tenant acme --attr region=EU \
                    --attr region=US --attr note=a=b --password-stdin --config c.toml";
        let Command::User(UserCommand::Add { name, roles, tenant, attributes, config, .. }) =
            parse(line).unwrap()
        else {
            panic!("user add")
        };
        assert_eq!(name.as_str(), "alice");
        assert_eq!(roles.iter().map(RoleName::as_str).collect::<Vec<_>>(), ["analyst", "support"]);
        assert_eq!(tenant.as_str(), "acme");
        let pairs: Vec<_> = attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("region", "EU"), ("region", "US"), ("note", "a=b")]);
        assert_eq!(config.config, PathBuf::from("c.toml"));
        for line in
            ["weir user list", "weir user passwd alice --password-stdin", "weir user remove alice"]
        {
            assert!(matches!(parse(line), Ok(Command::User(_))), "{line}");
        }
    }

    #[test]
    fn a_wrong_command_line_ends_with_status_2() {
        for line in [
            "weir",
            "weir sevre",
            "weir serve config.toml",
            "weir demo --postgres-listen localhost:1",
            "weir user",
            "weir user add alice --role analyst --tenant acme",
            "weir user add alice --tenant acme --password-stdin",
            "weir user add alice --role analyst --password-stdin",
            "weir user add al;ce --role analyst --tenant acme --password-stdin",
            "weir user add alice --role role:x --tenant acme --password-stdin",
            "weir user add alice --role a --tenant acme --attr region --password-stdin",
            "weir user add alice --role a --tenant acme --attr =EU --password-stdin",
            "weir user passwd alice",
            "weir user remove",
            "weir policy",
            "weir policy explain",
            "weir policy explain --as alice",
            "weir policy explain --why-denied a.b.c",
            "weir policy explain --as al;ce --why-denied a.b.c",
        ] {
            assert_eq!(parse(line).map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
