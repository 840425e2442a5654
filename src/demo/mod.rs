//! What `weir demo` needs to show itself with nothing installed: data, users and a policy.
//!
//! Invariants: the data is the same, byte for byte, on every machine and every run. Passwords are
//! random, made at the first start, and stay the same after it.

pub mod data;
mod databases;
mod people;
pub mod progress;
#[cfg(test)]
mod tests;
mod welcome;

use std::{fs, path::Path};

use secrecy::SecretString;

use crate::{
    cli::DemoArgs,
    config::{CatalogConfig, Config, ConfigErrors, LogLevel},
    error::{Error, ErrorKind, Result},
    proxy::{AddressSource, Proxy, StateLock},
};
use data::Scale;
use people::{People, Person};
use progress::Progress;

/// The name of the catalog with the sample data.
const RETAIL: &str = "retail";
const MODEL: &str = include_str!("../../config/policy/model.conf");
const POLICY: &str = include_str!("../../config/demo/policy.csv");

/// All that the demonstration stands on, on disk; nobody is served yet.
#[derive(Debug)]
pub struct Demo {
    pub config: Config,
    people: People,
    lock: StateLock,
}

/// The demonstration, with its doors open.
#[derive(Debug)]
pub struct RunningDemo {
    pub proxy: Proxy,
    /// What to tell the newcomer; it holds the passwords of the sample users.
    pub welcome: String,
}

impl Demo {
    /// Makes what is missing in the folder: the data (that takes a moment), users, policy.
    pub fn prepare(args: &DemoArgs, scale: Scale) -> Result<Self> {
        let mut config = Config::defaults_in(&args.data).map_err(refused)?;
        let lock = StateLock::acquire(&config.state.dir)?;
        // Before the data: a slip in an address should not cost a wait.
        let databases = databases::catalogs(&args.postgres_urls)?;
        let progress = Progress::new();
        let written = data::write_scaled(&args.data.join(RETAIL), scale, |table, done, total| {
            progress.report(table, done, total);
        })?;
        drop(progress);
        let root = written.root.to_str().ok_or_else(|| {
            Error::new(ErrorKind::Config, "the path of --data is not valid Unicode")
        })?;
        let retail = CatalogConfig::new(RETAIL, "local", &[("root", root)]).map_err(refused)?;
        config.catalogs = vec![retail];
        config.catalogs.extend(databases);

        write_policy(&config)?;
        let people = People::settle(&config.state.dir)?;
        for (door, address) in config.postgres.iter_mut().zip([args.postgres_listen]) {
            door.address = address;
        }
        for (door, address) in config.flight.iter_mut().zip([args.flight_listen]) {
            door.address = address;
        }
        for (door, address) in config.http.iter_mut().zip([args.http_listen]) {
            door.address = address;
        }
        // What is printed shall be read, and not be lost among life events.
        config.log.level = LogLevel::Warn;
        Ok(Self { config, people, lock })
    }

    pub async fn start(self) -> Result<RunningDemo> {
        let Self { config, people, lock } = self;
        let policy = config.policy.policy.clone();
        let proxy = Proxy::start_locked(config, lock, AddressSource::CommandLine).await?;
        let welcome = welcome::text(&proxy, &people, &policy);
        Ok(RunningDemo { proxy, welcome })
    }
}

/// The first start writes the policy; later ones only let everybody read the databases that the
/// command line adds.
fn write_policy(config: &Config) -> Result<()> {
    let policy = &config.policy.policy;
    write_missing(&config.policy.model, MODEL)?;
    write_missing(policy, POLICY)?;
    let mut text = fs::read_to_string(policy).map_err(|error| failed(policy, error))?;
    let before = text.len();
    for catalog in config.catalogs.iter().filter(|catalog| catalog.name.as_str() != RETAIL) {
        let rule = format!("p, role:public, *, {}, select, , allow", catalog.name);
        if !text.lines().any(|line| line.trim() == rule) {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("\n# Added by --postgres-url.\n{rule}\n"));
        }
    }
    if text.len() > before {
        fs::write(policy, text).map_err(|error| failed(policy, error))?;
    }
    Ok(())
}

fn write_missing(path: &Path, text: &str) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    fs::write(path, text).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    crate::auth::private_file::io_error("could not write", path, error)
}

fn refused(errors: ConfigErrors) -> Error {
    let lines: Vec<_> = errors.mistakes().iter().map(ToString::to_string).collect();
    Error::new(ErrorKind::Config, lines.join("\n"))
}

/// A password that needs no quoting anywhere: 80 bits.
fn new_password() -> SecretString {
    // Without letters and digits that look alike.
    const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let signs = rand::random::<[u8; 16]>();
    let password: String =
        signs.iter().map(|byte| char::from(SIGNS[usize::from(byte % 32)])).collect();
    password.into()
}
