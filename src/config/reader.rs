use std::collections::BTreeSet;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    environment::{Environment, NoValue},
    found::{File, Found},
    kinds::{Kind, Refusal},
    mistakes::{Mistake, Place, suggest},
    sections::Section,
};

/// Reads values and remembers what is wrong with them, so that all mistakes are reported together.
pub(super) struct Reader<'e> {
    pub(super) environment: &'e Environment,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
    /// Variables that secrets refer to: their names are the operator's choice.
    pub(super) secret_variables: BTreeSet<String>,
}

/// One table of a file: a section of `weir.toml`, or a catalog's whole file.
#[derive(Clone)]
pub(super) struct Table<'a> {
    /// The section's name; `None` for a catalog's file.
    pub(super) section: Option<&'static str>,
    pub(super) file: &'a File,
    /// `None`: the file leaves this section out.
    pub(super) entries: Option<&'a DeTable<'a>>,
    pub(super) place: Place,
    /// Off where a section is repeated, since a variable can't say which one it means.
    pub(super) is_overridable: bool,
}

impl<'e> Reader<'e> {
    pub(super) fn new(environment: &'e Environment) -> Self {
        Self {
            environment,
            mistakes: Vec::new(),
            warnings: Vec::new(),
            secret_variables: BTreeSet::new(),
        }
    }

    /// Reads one key: from the environment, else from the file, else its default, which is written
    /// as TOML. `None`: a mistake was noted, or there is neither value nor default.
    pub(super) fn key<K: Kind>(
        &mut self,
        table: &Table<'_>,
        name: &'static str,
        kind: &K,
        default: Option<&'static str>,
    ) -> Option<K::Value> {
        let shown = table.full_name(name);
        if let Some(variable) = self.override_of(table, name) {
            let environment = self.environment;
            let place = Place::Environment(variable.clone());
            return match environment.get(&variable) {
                Ok(text) => self.understand(&shown, kind, &Found::bare(table.file, text, place)),
                Err(_) => {
                    self.mistakes.push(Mistake::new(place, "its value is not valid Unicode"));
                    None
                }
            };
        }
        if let Some(value) = table.entries.and_then(|entries| entries.get(name)) {
            return self.understand(&shown, kind, &Found::in_file(table.file, value));
        }
        let document = format!("default = {}", default?);
        let parsed = DeTable::parse(&document).ok();
        let value = parsed.as_ref().and_then(|parsed| parsed.get_ref().get("default"));
        let place = Place::Program("built-in default");
        let Some(value) = value else {
            self.mistakes.push(Mistake::new(place, format!("\"{shown}\" is not TOML")));
            return None;
        };
        self.understand(&shown, kind, &Found::at(table.file, value.get_ref(), place))
    }

    /// Gives a value its type, or notes why it has none.
    pub(super) fn understand<K: Kind>(
        &mut self,
        name: &str,
        kind: &K,
        found: &Found<'_>,
    ) -> Option<K::Value> {
        let (message, hint) = match kind.read(found, self) {
            Ok(value) => return Some(value),
            Err(Refusal::Unexpected) => {
                (format!("found {}, expected {}", found.shown(), kind.expected()), None)
            }
            Err(Refusal::Because { message, hint }) => (message, hint),
        };
        let message = format!("\"{name}\": {message}");
        self.mistakes.push(Mistake { place: found.place.clone(), message, hint });
        None
    }

    pub(super) fn refuse_unknown_keys(&mut self, table: &Table<'_>, known: &[&str]) {
        for key in table.entries.into_iter().flat_map(DeTable::keys) {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let whereabouts =
                    table.section.map(|section| format!(" in [{section}]")).unwrap_or_default();
                self.mistakes.push(
                    Mistake::new(
                        table.file.place(key.span()),
                        format!("unknown key {name:?}{whereabouts}"),
                    )
                    .with_hint(suggest(name, known)),
                );
            }
        }
    }

    /// Where the value of a key stands, for a mistake that only several keys together make.
    pub(super) fn place_of(&self, table: &Table<'_>, name: &str) -> Place {
        if let Some(variable) = self.override_of(table, name) {
            return Place::Environment(variable);
        }
        match table.entries.and_then(|entries| entries.get(name)) {
            Some(value) => table.file.place(value.span()),
            None => table.place.clone(),
        }
    }

    fn override_of(&self, table: &Table<'_>, name: &str) -> Option<String> {
        let variable = variable(table.section.filter(|_| table.is_overridable)?, name);
        (self.environment.get(&variable) != Err(NoValue::Unset)).then_some(variable)
    }

    /// Reads a file with `interpret`, and adds the mistakes of its syntax. What the parser could
    /// save is interpreted too; mistakes that may only be echoes of a broken line are dropped.
    pub(super) fn document(
        &mut self,
        file: &File,
        interpret: impl FnOnce(&mut Self, &Spanned<DeTable<'_>>),
    ) {
        let (document, errors) = DeTable::parse_recoverable(&file.text);
        // Only the message: the parser's own display quotes the line, which may hold a secret.
        let broken: Vec<_> = errors
            .iter()
            .map(|error| {
                let place = error.span().map_or_else(|| file.whole(), |span| file.place(span));
                Mistake::new(place, error.message().replace('\n', ", "))
            })
            .collect();
        let earlier = self.mistakes.len();
        interpret(self, &document);
        if !broken.is_empty() {
            let mut later = self.mistakes.split_off(earlier);
            later.retain(|mistake| {
                let is_echo = broken.iter().any(|broken| broken.place == mistake.place);
                !is_echo && mistake.place != file.whole()
            });
            self.mistakes.append(&mut later);
            self.mistakes.extend(broken);
        }
    }

    /// Finds the tables of a section, which may be left out, written once as `[name]`, or, where it
    /// repeats, many times as `[[name]]`.
    pub(super) fn sections<'a>(
        &mut self,
        file: &'a File,
        root: &'a DeTable<'a>,
        section: &Section,
    ) -> Vec<Table<'a>> {
        let Section { name, repeats, .. } = *section;
        let table = |entries, place, is_overridable| Table {
            section: Some(name),
            file,
            entries,
            place,
            is_overridable,
        };
        let Some(value) = root.get(name) else {
            return vec![table(None, file.whole(), true)];
        };
        let place = file.place(value.span());
        match value.get_ref() {
            DeValue::Table(entries) => return vec![table(Some(entries), place, true)],
            DeValue::Array(items) if repeats => {
                let found: Option<Vec<_>> = items
                    .iter()
                    .map(|item| match item.get_ref() {
                        DeValue::Table(entries) => {
                            Some(table(Some(entries), file.place(item.span()), items.len() == 1))
                        }
                        _ => None,
                    })
                    .collect();
                if let Some(found) = found {
                    if found.len() > 1 {
                        self.refuse_overrides(section);
                    }
                    return found;
                }
            }
            _ => {}
        }
        let found = Found::in_file(file, value).shown();
        let again = if repeats { format!(" or [[{name}]]") } else { String::new() };
        self.mistakes.push(Mistake::new(
            place,
            format!("\"{name}\": found {found}, expected a section [{name}]{again}"),
        ));
        Vec::new()
    }

    /// A variable can't say which one of several sections it means.
    fn refuse_overrides(&mut self, section: &Section) {
        for key in section.keys {
            let variable = variable(section.name, key.name);
            if self.environment.get(&variable) != Err(NoValue::Unset) {
                let message = format!("there are several [[{}]] that it could mean", section.name);
                self.mistakes.push(Mistake::new(Place::Environment(variable), message));
            }
        }
    }
}

impl Table<'_> {
    pub(super) fn full_name(&self, key: &str) -> String {
        match self.section {
            Some(section) => format!("{section}.{key}"),
            None => key.to_owned(),
        }
    }
}

/// The environment variable that overrides a key: `WEIR_LIMITS_QUERY_TIMEOUT`.
pub(super) fn variable(section: &str, key: &str) -> String {
    format!("WEIR_{section}_{key}").to_uppercase()
}
