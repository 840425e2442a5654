use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use toml::de::DeTable;
use weir_catalogs::{CatalogName, OptionKind, OptionSpec, OptionValue, Options, SourceKind};

use super::{
    ConfigErrors,
    environment::Environment,
    found::{File, Found},
    kinds::{Count, Flag, Folder, Kind, Period, Refusal, one_of},
    mistakes::{Mistake, Place, nearest},
    reader::{Reader, Table},
    secrets::{self, PlainText, Secret},
};

/// One catalog, checked against the options of its source.
#[derive(Clone)]
pub struct CatalogConfig {
    pub name: CatalogName,
    pub kind: &'static SourceKind,
    pub options: Options,
}

impl fmt::Debug for CatalogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogConfig")
            .field("name", &self.name)
            .field("source", &self.kind.name)
            .field("options", &self.options)
            .finish()
    }
}

impl CatalogConfig {
    /// A catalog without a file, for the demonstration: settings are bare text, such as
    /// `("pool_size", "4")`. Secrets may be written out; nobody else can read them here.
    pub fn new(name: &str, source: &str, settings: &[(&str, &str)]) -> Result<Self, ConfigErrors> {
        let environment = Environment::of_process();
        Self::from_settings(&environment, weir_catalogs::SOURCES, name, source, settings)
    }

    pub(super) fn from_settings(
        environment: &Environment,
        sources: &'static [SourceKind],
        name: &str,
        source: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, ConfigErrors> {
        let file = File {
            path: PathBuf::new(),
            text: String::new(),
            is_private: true,
            targets_must_exist: true,
        };
        let place = Place::Program("command line");
        let mut reader = Reader::new(environment);
        let name = catalog_name(&mut reader, name, place.clone());
        let kind = source_kind(&mut reader, sources, &Found::bare(&file, source, place.clone()));
        let options = kind.map(|kind| {
            let mut options = Options::default();
            for (key, text) in settings {
                let Some(spec) = kind.options.iter().find(|spec| spec.name == *key) else {
                    let message = format!("unknown key {key:?} of source \"{}\"", kind.name);
                    reader.mistakes.push(Mistake::new(place.clone(), message));
                    continue;
                };
                let found = Found::bare(&file, text, place.clone());
                if let Some(value) = reader.understand(spec.name, &spec.kind, &found) {
                    options.set(spec.name, value);
                }
            }
            let absent: Vec<_> = kind
                .options
                .iter()
                .filter(|spec| settings.iter().all(|(key, _)| *key != spec.name))
                .collect();
            let table =
                Table { section: None, file: &file, entries: None, place, is_overridable: false };
            for spec in absent {
                read_option(&mut reader, &table, spec, &mut options);
            }
            options
        });
        match (name, kind, options) {
            (Some(name), Some(kind), Some(options)) if reader.mistakes.is_empty() => {
                Ok(Self { name, kind, options })
            }
            _ => Err(ConfigErrors::new(reader.mistakes)),
        }
    }
}

/// Reads every `<name>.toml` of a folder. Other files, such as `sales.toml.example`, are left alone.
pub(super) fn read_folder(
    reader: &mut Reader<'_>,
    sources: &'static [SourceKind],
    folder: &Path,
    place: Place,
) -> Vec<CatalogConfig> {
    let paths = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    });
    let mut paths = match paths {
        Ok(paths) => paths,
        Err(error) => {
            let message = format!("can't read the folder \"{}\": {error}", folder.display());
            reader.mistakes.push(Mistake::new(place, format!("\"catalogs.dir\": {message}")));
            return Vec::new();
        }
    };
    let is_visible = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.ends_with(".toml") && !name.starts_with('.'))
    };
    paths.retain(is_visible);
    paths.sort();
    paths.into_iter().filter_map(|path| read_file(reader, sources, path)).collect()
}

fn read_file(
    reader: &mut Reader<'_>,
    sources: &'static [SourceKind],
    path: PathBuf,
) -> Option<CatalogConfig> {
    let whole = Place::File { path: path.clone(), line: None };
    let text = match secrets::read_short(&path) {
        Ok(text) => text,
        Err(error) => {
            reader.mistakes.push(Mistake::new(whole, format!("can't read this file: {error}")));
            return None;
        }
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = catalog_name(reader, &stem, whole);
    let is_private = secrets::is_private(&path);
    let file = File { path, text, is_private, targets_must_exist: true };
    let mut catalog = None;
    reader.document(&file, |reader, document| {
        let read = read_catalog(reader, sources, &file, document.get_ref());
        catalog =
            name.zip(read).map(|(name, (kind, options))| CatalogConfig { name, kind, options });
    });
    catalog
}

fn read_catalog(
    reader: &mut Reader<'_>,
    sources: &'static [SourceKind],
    file: &File,
    entries: &DeTable<'_>,
) -> Option<(&'static SourceKind, Options)> {
    let Some(source) = entries.get("source") else {
        let message = format!("there is no key \"source\", expected {}", known_sources(sources));
        reader.mistakes.push(Mistake::new(file.whole(), message));
        return None;
    };
    let kind = source_kind(reader, sources, &Found::in_file(file, source))?;
    let table = Table {
        section: None,
        file,
        entries: Some(entries),
        place: file.whole(),
        is_overridable: false,
    };
    let mut options = Options::default();
    for spec in kind.options {
        read_option(reader, &table, spec, &mut options);
    }
    let known: Vec<_> =
        ["source"].into_iter().chain(kind.options.iter().map(|spec| spec.name)).collect();
    reader.refuse_unknown_keys(&table, &known);
    Some((kind, options))
}

fn read_option(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    spec: &'static OptionSpec,
    options: &mut Options,
) {
    let is_given = table.entries.is_some_and(|entries| entries.contains_key(spec.name));
    if spec.required && !is_given {
        let message = format!("there is no key \"{}\", which this source needs", spec.name);
        reader.mistakes.push(Mistake::new(table.place.clone(), message).with_hint(spec.meaning));
        return;
    }
    if let Some(value) = reader.key(table, spec.name, &spec.kind, spec.default) {
        options.set(spec.name, value);
    }
}

fn catalog_name(reader: &mut Reader<'_>, name: &str, place: Place) -> Option<CatalogName> {
    match CatalogName::parse(name) {
        Ok(name) => Some(name),
        Err(message) => {
            reader
                .mistakes
                .push(Mistake::new(place, message).with_hint("a catalog has the name of its file"));
            None
        }
    }
}

fn source_kind(
    reader: &mut Reader<'_>,
    sources: &'static [SourceKind],
    found: &Found<'_>,
) -> Option<&'static SourceKind> {
    let kind = sources.iter().find(|kind| Some(kind.name) == found.text());
    if kind.is_none() {
        let (shown, expected) = (found.shown(), known_sources(sources));
        let message = format!("\"source\": found {shown}, expected {expected}");
        let mistake = Mistake::new(found.place.clone(), message);
        let names = sources.iter().map(|kind| kind.name);
        reader.mistakes.push(match nearest(found.text().unwrap_or_default(), names, 2) {
            Some(near) => mistake.with_hint(format!("did you mean \"{near}\"?")),
            None => mistake,
        });
    }
    kind
}

fn known_sources(sources: &[SourceKind]) -> String {
    one_of(&sources.iter().map(|kind| kind.name).collect::<Vec<_>>())
}

/// The kinds of a source's options.
impl Kind for OptionKind {
    type Value = OptionValue;

    fn expected(&self) -> String {
        match self {
            Self::Text => PlainText.expected(),
            Self::Word(words) => one_of(words),
            Self::Secret => Secret.expected(),
            Self::List => "a list of text such as [\"a\", \"b\"]".to_owned(),
            Self::Duration => Period.expected(),
            Self::Integer { min, max } => Count(*min..=*max).expected(),
            Self::Flag => Flag.expected(),
            Self::Path => Folder.expected(),
        }
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<OptionValue, Refusal> {
        match self {
            Self::Text => PlainText.read(found, reader).map(OptionValue::Text),
            Self::Word(words) => {
                let word = found.text().filter(|word| words.contains(word));
                word.map(|word| OptionValue::Text(word.to_owned())).ok_or(Refusal::Unexpected)
            }
            Self::Secret => Secret.read(found, reader).map(OptionValue::Secret),
            Self::List => {
                let items = found.list().ok_or(Refusal::Unexpected)?;
                if items.iter().any(|item| secrets::may_hold_password(item)) {
                    return Err(Refusal::because(
                        "this list is not kept secret, and holds a password",
                    ));
                }
                Ok(OptionValue::List(items.into_iter().map(str::to_owned).collect()))
            }
            Self::Duration => Period.read(found, reader).map(OptionValue::Duration),
            Self::Integer { min, max } => {
                let number = found.integer().filter(|number| (*min..=*max).contains(number));
                number.map(OptionValue::Integer).ok_or(Refusal::Unexpected)
            }
            Self::Flag => Flag.read(found, reader).map(OptionValue::Flag),
            Self::Path => Folder.read(found, reader).map(OptionValue::Path),
        }
    }
}
