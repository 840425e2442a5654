//! The objects that a session sees, each with its oid, and the rules by which PostgreSQL finds and
//! prints their names.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use weir_catalogs::{ForeignKey, Key, TableKind};

use super::{
    Shown, ShownTable,
    relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation},
    types,
};
use crate::error::{Error, ErrorKind, Result};

pub const PG_CATALOG_OID: i64 = 11;
pub const PUBLIC_OID: i64 = 2200;
pub const INFORMATION_SCHEMA_OID: i64 = 13207;
/// Owns everything that a session sees. No principal has it.
pub const OWNER_OID: i64 = 10;
pub const OWNER: &str = "weir";
/// What PostgreSQL keeps for itself; ours begin above.
const FIRST_NORMAL_OID: i64 = 16384;

#[derive(Debug)]
pub struct Objects {
    pub schemas: Vec<Named>,
    pub databases: Vec<Named>,
    pub roles: Vec<Named>,
    pub tables: Vec<Table>,
    pub keys: Vec<TableKey>,
    pub references: Vec<Reference>,
    /// Schemas of the search path that exist, in order, without `pg_catalog`.
    pub path: Vec<String>,
    relation_by_name: HashMap<(usize, String), i64>,
    table_by_oid: HashMap<i64, usize>,
    key_by_index: HashMap<i64, usize>,
    key_by_constraint: HashMap<i64, usize>,
}

#[derive(Debug)]
pub struct Named {
    pub oid: i64,
    pub name: String,
}

#[derive(Debug)]
pub struct Table {
    pub oid: i64,
    /// Positions in [`Objects::schemas`], and in [`Shown`].
    pub schema: usize,
    shown: (usize, usize),
}

/// A key is an index and a constraint, as in PostgreSQL.
#[derive(Debug)]
pub struct TableKey {
    pub index_oid: i64,
    pub constraint_oid: i64,
    pub table: usize,
    key: usize,
}

/// A foreign key of which both sides are visible.
#[derive(Debug)]
pub struct Reference {
    pub constraint_oid: i64,
    pub table: usize,
    pub referenced_table: usize,
    pub referenced_columns: Vec<usize>,
    /// Of [`Objects::keys`]: the key that the referenced columns are.
    pub referenced_key: Option<usize>,
    key: usize,
}

impl Reference {
    pub fn shown<'a>(&self, objects: &Objects, shown: &'a Shown) -> &'a ForeignKey {
        &objects.tables[self.table].shown(shown).foreign_keys[self.key].key
    }
}

impl Table {
    pub fn shown<'a>(&self, shown: &'a Shown) -> &'a ShownTable {
        &shown.schemas[self.shown.0].tables[self.shown.1]
    }

    /// `relkind`. Files and foreign tables are tables to a client: nothing behind them is shown.
    pub fn kind(&self, shown: &Shown) -> &'static str {
        match self.shown(shown).kind {
            TableKind::Table | TableKind::ForeignTable | TableKind::Files => "r",
            TableKind::PartitionedTable => "p",
            TableKind::View => "v",
            TableKind::MaterializedView => "m",
        }
    }
}

impl TableKey {
    pub fn shown<'a>(&self, objects: &Objects, shown: &'a Shown) -> &'a Key {
        &objects.tables[self.table].shown(shown).keys[self.key]
    }
}

impl Objects {
    pub fn new(shown: &Shown) -> Self {
        let mut schemas = vec![
            Named { oid: PG_CATALOG_OID, name: PG_CATALOG.to_owned() },
            Named { oid: INFORMATION_SCHEMA_OID, name: INFORMATION_SCHEMA.to_owned() },
        ];
        let mut oids = Oids::default();
        for schema in &shown.schemas {
            let oid = match schema.name.as_str() {
                "public" => PUBLIC_OID,
                name => oids.take("schema", &[&shown.database, name]),
            };
            schemas.push(Named { oid, name: schema.name.clone() });
        }
        let mut objects = Self {
            databases: named("database", shown.databases.iter()),
            roles: roles(shown),
            path: existing(&shown.search_path, shown),
            schemas,
            tables: Vec::new(),
            keys: Vec::new(),
            references: Vec::new(),
            relation_by_name: HashMap::new(),
            table_by_oid: HashMap::new(),
            key_by_index: HashMap::new(),
            key_by_constraint: HashMap::new(),
        };
        objects.add_tables(shown);
        objects
    }

    fn add_tables(&mut self, shown: &Shown) {
        let (mut oids, mut constraint_oids) = (Oids::default(), Oids::default());
        for (position, schema) in shown.schemas.iter().enumerate() {
            for (table_position, table) in schema.tables.iter().enumerate() {
                let oid = oids.take("table", &[&table.key]);
                self.table_by_oid.insert(oid, self.tables.len());
                self.relation_by_name.insert((position + 2, table.name.clone()), oid);
                self.tables.push(Table {
                    oid,
                    schema: position + 2,
                    shown: (position, table_position),
                });
            }
        }
        // Keys come after all tables, so that a clash of oids never moves a table.
        for table in 0..self.tables.len() {
            let definition = self.tables[table].shown(shown);
            for (key, definition_key) in definition.keys.iter().enumerate() {
                let name = [definition.key.as_str(), definition_key.name.as_str()];
                let index_oid = oids.take("index", &name);
                let constraint_oid = constraint_oids.take("constraint", &name);
                self.key_by_index.insert(index_oid, self.keys.len());
                self.key_by_constraint.insert(constraint_oid, self.keys.len());
                self.relation_by_name
                    .entry((self.tables[table].schema, definition_key.name.clone()))
                    .or_insert(index_oid);
                self.keys.push(TableKey { index_oid, constraint_oid, table, key });
            }
        }
        self.add_references(shown, &mut constraint_oids);
    }

    fn add_references(&mut self, shown: &Shown, oids: &mut Oids) {
        let by_key: HashMap<&str, usize> = (0..self.tables.len())
            .map(|table| (self.tables[table].shown(shown).key.as_str(), table))
            .collect();
        for table in 0..self.tables.len() {
            let definition = self.tables[table].shown(shown);
            for (key, foreign) in definition.foreign_keys.iter().enumerate() {
                let Some(referenced_table) = by_key.get(foreign.referenced.as_str()) else {
                    continue;
                };
                let columns = &self.tables[*referenced_table].shown(shown).columns;
                let positions = foreign.key.referenced.iter().map(|name| columns.index_of(name));
                let Ok(referenced_columns) = positions.collect::<Result<Vec<_>, _>>() else {
                    continue;
                };
                let is_referenced = |candidate: &TableKey| {
                    let mut own = candidate.shown(self, shown).columns.clone();
                    let mut wanted = referenced_columns.clone();
                    own.sort_unstable();
                    wanted.sort_unstable();
                    candidate.table == *referenced_table && own == wanted
                };
                let referenced_key = self.keys.iter().position(is_referenced);
                self.references.push(Reference {
                    constraint_oid: oids.take("constraint", &[&definition.key, &foreign.key.name]),
                    table,
                    referenced_table: *referenced_table,
                    referenced_columns,
                    referenced_key,
                    key,
                });
            }
        }
    }

    pub fn table(&self, oid: i64) -> Option<&Table> {
        self.table_by_oid.get(&oid).map(|position| &self.tables[*position])
    }

    pub fn index(&self, oid: i64) -> Option<&TableKey> {
        self.key_by_index.get(&oid).map(|position| &self.keys[*position])
    }

    pub fn constraint(&self, oid: i64) -> Option<&TableKey> {
        self.key_by_constraint.get(&oid).map(|position| &self.keys[*position])
    }

    pub fn reference(&self, constraint_oid: i64) -> Option<&Reference> {
        self.references.iter().find(|reference| reference.constraint_oid == constraint_oid)
    }

    /// Finds a relation as PostgreSQL does: `pg_catalog`, then along the search path.
    pub fn find_relation(&self, schema: Option<&str>, name: &str) -> Option<i64> {
        let Some(schema) = schema else {
            let along = self.path.iter().map(String::as_str);
            return std::iter::once(PG_CATALOG)
                .chain(along)
                .find_map(|schema| self.find_relation(Some(schema), name));
        };
        if let Some(relation) = Relation::find(schema, name) {
            return Some(relation.oid);
        }
        let position = self.schemas.iter().position(|named| named.name == schema)?;
        self.relation_by_name.get(&(position, name.to_owned())).copied()
    }

    /// The schema and the name of a table, an index or a system relation.
    pub fn relation_name<'a>(&'a self, shown: &'a Shown, oid: i64) -> Option<(&'a str, &'a str)> {
        if let Some(table) = self.table(oid) {
            return Some((&self.schemas[table.schema].name, &table.shown(shown).name));
        }
        if let Some(key) = self.index(oid) {
            let schema = self.tables[key.table].schema;
            return Some((&self.schemas[schema].name, &key.shown(self, shown).name));
        }
        Relation::find_oid(oid).map(|relation| (relation.schema, relation.name))
    }

    /// Whether the bare name finds this relation; `None` when there is none.
    pub fn is_relation_visible(&self, shown: &Shown, oid: i64) -> Option<bool> {
        let (_, name) = self.relation_name(shown, oid)?;
        Some(self.find_relation(None, name) == Some(oid))
    }

    /// As `regclass` prints it: qualified unless the bare name finds it.
    pub fn regclass_name(&self, shown: &Shown, oid: i64) -> Option<String> {
        let (schema, name) = self.relation_name(shown, oid)?;
        Some(match self.is_relation_visible(shown, oid) {
            Some(true) => quote_identifier(name).into_owned(),
            Some(false) | None => {
                format!("{}.{}", quote_identifier(schema), quote_identifier(name))
            }
        })
    }

    /// Reads a name as `regclass` does.
    pub fn parse_regclass(&self, shown: &Shown, text: &str) -> Result<i64> {
        let missing = || {
            let message = format!("relation \"{text}\" does not exist");
            Error::new(ErrorKind::UndefinedTable, message)
        };
        let parts = parse_identifiers(text)?;
        let names = parts.iter().map(String::as_str).collect::<Vec<_>>();
        let found = match names.as_slice() {
            [name] => self.find_relation(None, name),
            [schema, name] => self.find_relation(Some(schema), name),
            [database, schema, name] if *database == shown.database => {
                self.find_relation(Some(schema), name)
            }
            [_, _, _] => {
                let key = names.join(".");
                self.tables
                    .iter()
                    .find(|table| table.shown(shown).key == key)
                    .map(|table| table.oid)
            }
            _ => None,
        };
        found.ok_or_else(missing)
    }

    pub fn schema_oid(&self, name: &str) -> Option<i64> {
        self.schemas.iter().find(|named| named.name == name).map(|named| named.oid)
    }

    pub fn schema_name(&self, oid: i64) -> Option<&str> {
        self.schemas.iter().find(|named| named.oid == oid).map(|named| named.name.as_str())
    }

    pub fn role_name(&self, oid: i64) -> Option<&str> {
        self.roles.iter().find(|named| named.oid == oid).map(|named| named.name.as_str())
    }

    pub fn role_oid(&self, name: &str) -> Option<i64> {
        self.roles.iter().find(|named| named.name == name).map(|named| named.oid)
    }
}

/// Gives an oid to each name of one system table: a hash of the name, so that it is the same in
/// every session and after a restart. Names that clash take the next free oid.
#[derive(Default)]
struct Oids {
    taken: HashSet<i64>,
}

impl Oids {
    fn take(&mut self, kind: &str, name: &[&str]) -> i64 {
        let mut oid = oid_of(kind, name);
        while !self.taken.insert(oid) {
            oid = if oid == i64::from(i32::MAX) { FIRST_NORMAL_OID } else { oid + 1 };
        }
        oid
    }
}

/// FNV-1a, folded into the oids that every client's signed 32-bit integer holds.
fn oid_of(kind: &str, name: &[&str]) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in std::iter::once(kind).chain(name.iter().copied()) {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let range = u64::from(i32::MAX.unsigned_abs()) - FIRST_NORMAL_OID.unsigned_abs();
    FIRST_NORMAL_OID + i64::try_from((hash ^ (hash >> 32)) % range).unwrap_or_default()
}

fn named<'a>(kind: &str, names: impl Iterator<Item = &'a String>) -> Vec<Named> {
    let mut oids = Oids::default();
    names.map(|name| Named { oid: oids.take(kind, &[name]), name: name.clone() }).collect()
}

fn roles(shown: &Shown) -> Vec<Named> {
    let mut names: Vec<&String> = Vec::new();
    for name in std::iter::once(&shown.user).chain(&shown.roles) {
        if name != OWNER && !names.contains(&name) {
            names.push(name);
        }
    }
    let mut roles = vec![Named { oid: OWNER_OID, name: OWNER.to_owned() }];
    roles.extend(named("role", names.into_iter()));
    roles
}

fn existing(path: &[String], shown: &Shown) -> Vec<String> {
    path.iter()
        .map(|name| if name == "$user" { &shown.user } else { name })
        .filter(|name| shown.schemas.iter().any(|schema| schema.name == **name))
        .cloned()
        .collect()
}

/// `quote_ident`: double quotes where the bare word would mean something else.
pub fn quote_identifier(name: &str) -> Cow<'_, str> {
    // Those that are not unreserved.
    static KEYWORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        let rows = include_str!("static/keywords.tsv").lines().map(|line| line.split('\t'));
        let words = rows.filter_map(|mut row| Some((row.next()?, row.next()?)));
        words.filter(|(_, category)| *category != "U").map(|(word, _)| word).collect()
    });
    let mut characters = name.chars();
    let starts_well = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let goes_on_well = characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts_well && goes_on_well && !KEYWORDS.contains(name) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// Splits `a."B.c"` into its names; bare ones are folded to lower case.
pub fn parse_identifiers(text: &str) -> Result<Vec<String>> {
    let invalid = || Error::new(ErrorKind::InvalidText, "invalid name syntax");
    let mut names = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        let mut name = String::new();
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if characters.next_if_eq(&'"').is_some() {
            loop {
                match characters.next() {
                    Some('"') if characters.next_if_eq(&'"').is_some() => name.push('"'),
                    Some('"') => break,
                    Some(other) => name.push(other),
                    None => return Err(invalid()),
                }
            }
        } else {
            let ends = |c: &char| matches!(c, '.' | '"') || c.is_whitespace();
            while let Some(c) = characters.next_if(|c| !ends(c)) {
                name.push(c.to_ascii_lowercase());
            }
        }
        if name.is_empty() {
            return Err(invalid());
        }
        names.push(name);
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        match characters.next() {
            None => return Ok(names),
            Some('.') => {}
            Some(_) => return Err(invalid()),
        }
    }
}

/// Built-in functions by name, for `regproc`.
pub struct Functions {
    pub by_oid: HashMap<i64, Function>,
    by_name: HashMap<&'static str, Vec<i64>>,
}

pub struct Function {
    pub name: &'static str,
    pub returns_set: bool,
    pub result: i64,
    pub arguments: Vec<i64>,
    pub variadic: i64,
}

/// The columns of `static/pg_proc.tsv`.
pub const FUNCTION_COLUMNS: &[&str] = &[
    "oid",
    "proname",
    "prolang",
    "provariadic",
    "prokind",
    "proleakproof",
    "proisstrict",
    "proretset",
    "provolatile",
    "proparallel",
    "prorettype",
    "proargtypes",
];

pub static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    let mut functions = Functions { by_oid: HashMap::new(), by_name: HashMap::new() };
    for line in include_str!("static/pg_proc.tsv").lines() {
        let cells = line.split('\t').collect::<Vec<_>>();
        let [oid, name, _, variadic, _, _, _, returns_set, _, _, result, arguments] =
            cells.as_slice()
        else {
            continue;
        };
        let oid = oid.parse().unwrap_or_default();
        let function = Function {
            name,
            returns_set: *returns_set == "t",
            result: result.parse().unwrap_or_default(),
            arguments: arguments.split(' ').filter_map(|item| item.parse().ok()).collect(),
            variadic: variadic.parse().unwrap_or_default(),
        };
        functions.by_name.entry(name).or_default().push(oid);
        functions.by_oid.insert(oid, function);
    }
    functions
});

impl Functions {
    /// Reads a name as `regproc` does: one function must have it.
    pub fn parse_regproc(&self, text: &str) -> Result<i64> {
        let parts = parse_identifiers(text)?;
        let name = match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [name] | [PG_CATALOG, name] => self.by_name.get(name),
            _ => None,
        };
        match name.map(Vec::as_slice) {
            Some([oid]) => Ok(*oid),
            Some(_) => Err(Error::new(
                ErrorKind::UndefinedFunction,
                format!("more than one function named \"{text}\""),
            )),
            None => Err(Error::new(
                ErrorKind::UndefinedFunction,
                format!("function \"{text}\" does not exist"),
            )),
        }
    }

    /// As `regproc` prints it: qualified where several have the name.
    pub fn regproc_name(&self, oid: i64) -> Option<String> {
        let name = self.by_oid.get(&oid)?.name;
        let is_alone = self.by_name.get(name).is_some_and(|oids| oids.len() == 1);
        let quoted = quote_identifier(name);
        Some(if is_alone { quoted.into_owned() } else { format!("pg_catalog.{quoted}") })
    }
}

/// Reads a name as `regtype` does.
pub fn parse_regtype(text: &str) -> Result<i64> {
    let name = text.trim();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let unquoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    // `"char"` is a type of its own; other quoted names are what they quote.
    let found = types::by_any_name(name).or_else(|| types::by_any_name(unquoted?));
    let found = found.or_else(|| types::by_any_name(&name.to_ascii_lowercase()));
    found.map(|row| row.oid).ok_or_else(|| {
        Error::new(ErrorKind::UndefinedObject, format!("type \"{text}\" does not exist"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_quoted_as_postgresql_quotes_them() {
        for (name, quoted) in [
            ("orders", "orders"),
            ("Orders", "\"Orders\""),
            ("odd\"one", "\"odd\"\"one\""),
            ("sales.other", "\"sales.other\""),
            ("select", "\"select\""),
            ("name", "name"),
            ("1st", "\"1st\""),
            ("", "\"\""),
        ] {
            assert_eq!(quote_identifier(name), quoted);
        }
    }

    #[test]
    fn dotted_names_are_split_outside_quotes() {
        let split = |text: &str| parse_identifiers(text).map_err(|error| error.kind);
        assert_eq!(split(" a . \"b c\" ").unwrap(), ["a", "b c"]);
        assert_eq!(split("Sales.\"Odd \"\".x\"").unwrap(), ["sales", "Odd \".x"]);
        for wrong in ["", "a.", ".a", "\"a", "a\"b\"", "a..b", "a b"] {
            assert_eq!(split(wrong), Err(ErrorKind::InvalidText), "{wrong}");
        }
    }

    #[test]
    fn functions_and_types_are_found_by_name() {
        assert_eq!(FUNCTIONS.parse_regproc("pg_catalog.array_in").unwrap(), 750);
        assert_eq!(FUNCTIONS.regproc_name(750).unwrap(), "array_in");
        assert_eq!(FUNCTIONS.parse_regproc("abs").unwrap_err().kind, ErrorKind::UndefinedFunction);
        assert_eq!(parse_regtype("INTEGER").unwrap(), 23);
        assert_eq!(parse_regtype("pg_catalog.int4[]").unwrap(), 1007);
        assert_eq!(parse_regtype("\"char\"").unwrap(), 18);
        assert_eq!(parse_regtype("nope").unwrap_err().kind, ErrorKind::UndefinedObject);
    }

    #[test]
    fn oids_are_stable() {
        assert_eq!(
            oid_of("table", &["sales.public.orders"]),
            oid_of("table", &["sales.public.orders"])
        );
        assert_ne!(oid_of("table", &["ab", "c"]), oid_of("table", &["a", "bc"]));
        let mut oids = Oids::default();
        assert_eq!(oids.take("t", &["a"]) + 1, oids.take("t", &["a"]));
    }
}
