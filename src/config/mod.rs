//! What the operator wrote, as types: `weir.toml`, the files of its catalogs, the environment and
//! the secrets behind them. Read once, at the start; each module then receives its own part.
//!
//! Invariant: every mistake is reported, all of them together, each with its file and line; and no
//! report, log or `Debug` output holds a secret.

mod catalogs;
mod doors;
mod environment;
mod found;
mod kinds;
mod machine;
mod mistakes;
mod reader;
mod secrets;
mod sections;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::de::DeTable;
use weir_catalogs::SourceKind;

pub use catalogs::CatalogConfig;
pub use doors::{FlightListener, HttpListener, PostgresListener, TlsConfig};
pub use kinds::{AllowList, Share};
pub use mistakes::{ConfigErrors, Mistake, Place};
pub use sections::{LimitsConfig, LogConfig, LogFormat, LogLevel, PolicyConfig, StateConfig};

use doors::Doors;
use environment::Environment;
use found::File;
use mistakes::{nearest, suggest};
use reader::{Reader, Table, variable};
use sections::{CatalogsSection, SECTIONS, Section};

#[derive(Debug, Clone)]
pub struct Config {
    pub postgres: Vec<PostgresListener>,
    pub flight: Vec<FlightListener>,
    pub http: Vec<HttpListener>,
    /// In the order of their names.
    pub catalogs: Vec<CatalogConfig>,
    /// How often a catalog's tables are listed anew; `None`: only at the start.
    pub catalog_refresh: Option<Duration>,
    pub policy: PolicyConfig,
    pub state: StateConfig,
    pub limits: LimitsConfig,
    pub log: LogConfig,
    /// What works, and should be looked at: for the log, once there is one.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads `weir.toml`, the catalogs that it leads to, and the variables that override it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &Environment::of_process(), weir_catalogs::SOURCES)
    }

    /// Every key at its default, no catalogs, and all paths below `folder`; reads no file and no
    /// variable. The demonstration starts from here.
    pub fn defaults_in(folder: &Path) -> Result<Self, ConfigErrors> {
        let environment = Environment::default();
        let mut reader = Reader::new(&environment);
        let file = File {
            path: folder.join("weir.toml"),
            text: String::new(),
            is_private: true,
            targets_must_exist: false,
        };
        let (config, _) = read_sections(&mut reader, &file, &DeTable::new());
        finish(reader, config)
    }

    fn load_with(
        path: &Path,
        environment: &Environment,
        sources: &'static [SourceKind],
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let text = secrets::read_short(path).map_err(|error| {
            let whole = Place::File { path: path.to_owned(), line: None };
            let mistake = Mistake::new(whole, format!("can't read this file: {error}"));
            ConfigErrors::new(vec![mistake.with_hint("--config names another")])
        })?;
        let file =
            File { path: path.to_owned(), text, is_private: false, targets_must_exist: true };
        let (mut config, mut folder) = (None, None);
        reader.document(&file, |reader, document| {
            (config, folder) = read_sections(reader, &file, document.get_ref());
            refuse_unknown_sections(reader, &file, document.get_ref());
        });
        let catalogs = folder
            .map(|(dir, place)| catalogs::read_folder(&mut reader, sources, &dir, place))
            .unwrap_or_default();
        refuse_unknown_variables(&mut reader);
        finish(reader, config.map(|config| Self { catalogs, ..config }))
    }
}

/// The configuration but for its catalogs, whose folder comes beside it: catalogs are read even
/// where something else is wrong.
fn read_sections(
    reader: &mut Reader<'_>,
    file: &File,
    root: &DeTable<'_>,
) -> (Option<Config>, Option<(PathBuf, Place)>) {
    let doors = Doors::read(reader, file, root);
    let catalogs = one(reader, file, root, &CatalogsSection::SECTION, |reader, table| {
        Some((CatalogsSection::read(reader, table)?, reader.place_of(table, "dir")))
    });
    let policy = one(reader, file, root, &PolicyConfig::SECTION, PolicyConfig::read);
    let state = one(reader, file, root, &StateConfig::SECTION, StateConfig::read);
    let limits = one(reader, file, root, &LimitsConfig::SECTION, |reader, table| {
        let limits = LimitsConfig::read(reader, table)?;
        if limits.query_memory_bytes() > limits.memory {
            let message = "\"limits.query_memory\": one statement may have more than all together";
            let mistake = Mistake::new(reader.place_of(table, "query_memory"), message);
            let hint = format!("\"limits.memory\" is {} bytes", limits.memory);
            reader.mistakes.push(mistake.with_hint(hint));
        }
        Some(limits)
    });
    let log = one(reader, file, root, &LogConfig::SECTION, LogConfig::read);

    let folder = catalogs.as_ref().map(|(section, place)| (section.dir.clone(), place.clone()));
    let config = (|| {
        let Doors { postgres, flight, http } = doors;
        Some(Config {
            postgres,
            flight,
            http,
            catalogs: Vec::new(),
            catalog_refresh: catalogs?.0.refresh,
            policy: policy?,
            state: state?,
            limits: limits?,
            log: log?,
            warnings: Vec::new(),
        })
    })();
    (config, folder)
}

/// Reads a section that stands once.
fn one<T>(
    reader: &mut Reader<'_>,
    file: &File,
    root: &DeTable<'_>,
    section: &Section,
    read: impl FnOnce(&mut Reader<'_>, &Table<'_>) -> Option<T>,
) -> Option<T> {
    let tables = reader.sections(file, root, section);
    read(reader, tables.first()?)
}

fn finish(mut reader: Reader<'_>, config: Option<Config>) -> Result<Config, ConfigErrors> {
    match config {
        Some(config) if reader.mistakes.is_empty() => {
            Ok(Config { warnings: reader.warnings, ..config })
        }
        _ => Err(ConfigErrors::new(std::mem::take(&mut reader.mistakes))),
    }
}

fn refuse_unknown_sections(reader: &mut Reader<'_>, file: &File, root: &DeTable<'_>) {
    let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
    for key in root.keys() {
        let name = key.get_ref().as_ref();
        if names.contains(&name) {
            continue;
        }
        let home = SECTIONS.iter().find(|section| section.keys.iter().any(|key| key.name == name));
        let hint = match home {
            Some(section) => format!("it is a key of [{}]", section.name),
            None => suggest(name, &names),
        };
        let message = format!("unknown section or key {name:?}");
        reader.mistakes.push(Mistake::new(file.place(key.span()), message).with_hint(hint));
    }
}

/// Refuses a variable that was meant for a key, and is for none. Others are none of our business:
/// secrets have names of the operator's choice, and Kubernetes has its own.
fn refuse_unknown_variables(reader: &mut Reader<'_>) {
    let of_section = |section: &&'static Section| {
        section.keys.iter().map(|key| variable(section.name, key.name))
    };
    let known: Vec<_> = SECTIONS.iter().flat_map(of_section).collect();
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    for name in reader.environment.names() {
        if !name.starts_with("WEIR_")
            || known.contains(&name)
            || reader.secret_variables.contains(name)
        {
            continue;
        }
        let key =
            SECTIONS.iter().find_map(|section| name.strip_prefix(&variable(section.name, "")));
        let is_near = nearest(name, known.iter().copied(), 2).is_some();
        if is_near || key.is_some_and(|key| !is_set_by_kubernetes(key)) {
            let place = Place::Environment(name.to_owned());
            let mistake = Mistake::new(place, "there is no key for this variable");
            reader.mistakes.push(match nearest(name, known.iter().copied(), name.len() / 3) {
                Some(near) => mistake.with_hint(format!("did you mean \"{near}\"?")),
                None => mistake,
            });
        }
    }
}

/// Services named `weir` or `weir-postgres` make Kubernetes set `WEIR_POSTGRES_SERVICE_HOST`,
/// `WEIR_POSTGRES_PORT`, `WEIR_POSTGRES_PORT_5455_TCP` and so on.
fn is_set_by_kubernetes(key: &str) -> bool {
    key.starts_with("SERVICE_") || key == "PORT" || key.starts_with("PORT_")
}
