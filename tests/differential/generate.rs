//! Random queries. Each is made from a seed and a number, and is the same wherever it is made.
//!
//! Invariants: the answer is determined by the query (LIMIT stands above a total order only, windows
//! are ordered by a key); what could fail for a value stands only where every server has to compute
//! it, in the outermost list.

use std::fmt::Write as _;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::known::EXCLUDED;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Num,
    Float,
    Text,
    Date,
    Stamp,
    Instant,
}

const KINDS: &[Kind] = &[
    Kind::Bool,
    Kind::Int,
    Kind::Int,
    Kind::Num,
    Kind::Float,
    Kind::Text,
    Kind::Text,
    Kind::Date,
    Kind::Stamp,
    Kind::Instant,
];

/// A table: its name, whether it is big, its key, and its columns with a letter for the kind of
/// each; those with an exclamation mark are tame.
struct Table {
    name: &'static str,
    is_big: bool,
    key: Option<&'static str>,
    columns: &'static [(&'static str, Kind, bool)],
}

const TAME: bool = true;
const WILD: bool = false;

#[rustfmt::skip]
const TABLES: &[Table] = &[
    Table { name: "m_edge", is_big: false, key: Some("id"), columns: &[
        ("id", Kind::Int, TAME), ("k", Kind::Int, TAME), ("i2", Kind::Int, WILD), ("i4", Kind::Int, WILD),
        ("i8", Kind::Int, WILD), ("n", Kind::Num, WILD), ("nt", Kind::Num, TAME), ("x", Kind::Num, WILD),
        ("f", Kind::Float, WILD), ("g", Kind::Float, TAME), ("r", Kind::Float, WILD), ("t", Kind::Text, WILD),
        ("ti", Kind::Text, WILD), ("tc", Kind::Text, WILD), ("ch", Kind::Text, WILD), ("v", Kind::Text, WILD),
        ("e", Kind::Text, WILD), ("u", Kind::Text, WILD), ("b", Kind::Bool, WILD), ("d", Kind::Date, WILD),
        ("dd", Kind::Date, TAME), ("ts", Kind::Stamp, WILD), ("tm", Kind::Stamp, TAME), ("tz", Kind::Instant, WILD),
    ] },
    Table { name: "m_twin", is_big: false, key: None, columns: &[
        ("k", Kind::Int, TAME), ("i4", Kind::Int, WILD), ("n", Kind::Num, WILD), ("w", Kind::Num, WILD),
        ("f", Kind::Float, WILD), ("g", Kind::Float, TAME), ("ti", Kind::Text, WILD), ("tc", Kind::Text, WILD),
        ("d", Kind::Date, WILD), ("dd", Kind::Date, TAME), ("b", Kind::Bool, WILD),
    ] },
    Table { name: "m_dim", is_big: false, key: Some("id"), columns: &[
        ("id", Kind::Int, TAME), ("tc", Kind::Text, WILD), ("ti", Kind::Text, WILD), ("ch", Kind::Text, WILD),
        ("e", Kind::Text, WILD), ("u", Kind::Text, WILD), ("k", Kind::Int, TAME),
    ] },
    Table { name: "m_big", is_big: true, key: Some("id"), columns: &[
        ("id", Kind::Int, TAME), ("k", Kind::Int, TAME), ("n", Kind::Num, TAME), ("g", Kind::Float, TAME),
        ("ti", Kind::Text, WILD), ("dd", Kind::Date, TAME), ("b", Kind::Bool, WILD),
    ] },
    Table { name: "m_none", is_big: false, key: Some("id"), columns: &[
        ("id", Kind::Int, TAME), ("k", Kind::Int, TAME), ("n", Kind::Num, TAME), ("g", Kind::Float, TAME),
        ("ti", Kind::Text, WILD), ("dd", Kind::Date, TAME), ("b", Kind::Bool, WILD),
    ] },
    Table { name: "m_one", is_big: false, key: Some("id"), columns: &[
        ("id", Kind::Int, TAME), ("k", Kind::Int, TAME), ("n", Kind::Num, TAME), ("g", Kind::Float, TAME),
        ("ti", Kind::Text, WILD), ("dd", Kind::Date, TAME), ("b", Kind::Bool, WILD),
    ] },
];

/// How often each table is chosen, in the order of [`TABLES`].
const TABLE_WEIGHTS: &[u32] = &[9, 6, 4, 3, 1, 1];

const INTS: &[&str] =
    &["0", "1", "-1", "2", "3", "5", "7", "8", "10", "2147483647", "-2147483648", "4294967296"];
const NUMS: &[&str] = &["0.0", "0.0001", "-0.0001", "1.5", "-1.5", "10.00", "12.50", "7.0"];
const FLOATS: &[&str] = &[
    "0::float8",
    "'-0'::float8",
    "'NaN'::float8",
    "'Infinity'::float8",
    "'-Infinity'::float8",
    "0.1::float8",
    "1.5::float8",
    "7::float8",
    "0.5::float8",
];
const TEXTS: &[&str] = &[
    "''",
    "'a'",
    "'A'",
    "'b'",
    "' '",
    "'a '",
    "' a'",
    "'é'",
    "'É'",
    "'ab'",
    "'_'",
    "'%'",
    "'it''s'",
    "'😀'",
    "'zoe'",
    "'ß'",
    "'ok'",
    "'10'",
    "'a\\b'",
    "'80000000-0000-0000-0000-000000000000'",
];
const PATTERNS: &[&str] = &[
    "'a%'", "'%a'", "'%a%'", "'_'", "'__'", "'%'", "''", "'a'", "'A%'", "'é%'", "'a_'", "'%b%'",
    "'_%b'", "'[a]%'", "'%''%'", "'a\\%b'", "'\\\\'", "'%😀%'", "'%%'", "'a%b%'", "'Z%'", "' %'",
];
const DATES: &[&str] = &[
    "DATE '1970-01-01'",
    "DATE '1969-12-31'",
    "DATE '2024-02-29'",
    "DATE '0001-01-01'",
    "DATE '9999-12-31'",
    "DATE '2262-04-12'",
    "DATE '2020-06-15'",
];
const STAMPS: &[&str] = &[
    "TIMESTAMP '1970-01-01 00:00:00'",
    "TIMESTAMP '1969-12-31 23:59:59.999999'",
    "TIMESTAMP '2024-02-29 12:00:00'",
    "TIMESTAMP '2000-01-01 00:00:00.000001'",
    "TIMESTAMP '2024-01-31 00:00:00'",
];
const INSTANTS: &[&str] = &[
    "TIMESTAMPTZ '1970-01-01 00:00:00+00'",
    "TIMESTAMPTZ '1969-12-31 23:59:59.999999+00'",
    "TIMESTAMPTZ '2024-02-29 12:00:00+05:30'",
    "TIMESTAMPTZ '2000-01-01 01:00:00+01'",
];

/// A value that an expression may use.
#[derive(Debug, Clone)]
struct Value {
    sql: String,
    kind: Kind,
    is_tame: bool,
}

/// What is in FROM.
#[derive(Debug, Clone, Default)]
struct Scope {
    values: Vec<Value>,
    /// Together they name a row, where that is known.
    key: Option<Vec<String>>,
}

/// A finished SELECT, as a subquery or the whole.
struct Made {
    sql: String,
    columns: Vec<(String, Kind, bool)>,
}

/// What queries may speak of, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Columns that are not there, each with its table.
    pub hidden: &'static [(&'static str, &'static str)],
    /// Predicates may fail for a value, wherever they stand.
    pub is_daring: bool,
}

/// The query of a seed with a number.
pub fn query(seed: u64, number: u64) -> String {
    query_in(Manner::default(), seed, number)
}

pub fn query_in(manner: Manner, seed: u64, number: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    let mut generator = Generator { manner, rng, aliases: 0, has_big: false };
    generator.top()
}

struct Generator {
    manner: Manner,
    rng: ChaCha8Rng,
    aliases: usize,
    /// One big table is enough for a query.
    has_big: bool,
}

impl Generator {
    fn one_in(&mut self, count: u32) -> bool {
        self.rng.random_range(0..count) == 0
    }

    fn below(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count)
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.rng.random_range(0..weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// Whether a feature may be used: those at which known faults stand may not.
    fn may(&self, feature: &str) -> bool {
        !EXCLUDED.iter().any(|(excluded, _)| *excluded == feature)
    }

    fn kind(&mut self) -> Kind {
        KINDS[self.below(KINDS.len())]
    }

    fn alias(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    fn top(&mut self) -> String {
        let mut with = String::new();
        let made = if self.one_in(12) {
            let inner = self.select(1, None, None);
            let name = self.alias("w");
            with = format!("WITH {name} AS ({}) ", inner.sql);
            self.select_from_named(&name, &inner)
        } else {
            self.select(2, None, None)
        };
        let mut sql = with + &made.sql;
        if made.is_ordered() || self.one_in(3) {
            return sql;
        }
        let mut keys: Vec<usize> = (1..=made.columns.len()).collect();
        for index in (1..keys.len()).rev() {
            let other = self.below(index + 1);
            keys.swap(index, other);
        }
        let is_total = self.one_in(2);
        if !is_total {
            keys.truncate(1 + self.below(2));
        }
        let keys: Vec<String> =
            keys.iter().map(|key| format!("{key}{}", self.direction())).collect();
        write!(sql, " ORDER BY {}", keys.join(", ")).unwrap();
        if is_total && self.one_in(2) {
            write!(sql, " LIMIT {}", self.pick(&["0", "1", "2", "3", "5", "10", "100"])).unwrap();
            if self.one_in(2) {
                write!(sql, " OFFSET {}", self.pick(&["0", "1", "2", "7"])).unwrap();
            }
        }
        sql
    }

    fn direction(&mut self) -> &'static str {
        self.pick(&["", "", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST"])
    }

    fn select_from_named(&mut self, name: &str, made: &Made) -> Made {
        let mut aliases = vec![self.alias("t")];
        if self.one_in(3) {
            aliases.push(self.alias("t"));
        }
        let mut scope = Scope::default();
        let mut from = String::new();
        for alias in &aliases {
            for (column, kind, is_tame) in &made.columns {
                let sql = format!("{alias}.{column}");
                scope.values.push(Value { sql, kind: *kind, is_tame: *is_tame });
            }
            if from.is_empty() {
                from = format!("{name} {alias}");
            } else {
                let column = &made.columns[0].0;
                write!(from, " JOIN {name} {alias} ON {}.{column} = {alias}.{column}", aliases[0])
                    .unwrap();
            }
        }
        self.finish(1, None, &from, &scope, None)
    }

    /// A SELECT whose columns have the kinds asked for, or any. `outer` may be spoken of inside.
    fn select(&mut self, depth: u32, kinds: Option<&[Kind]>, outer: Option<&Scope>) -> Made {
        if depth > 0 && outer.is_none() && self.one_in(10) {
            return self.set_operation(depth, kinds);
        }
        let (from, scope) = self.from(depth);
        self.finish(depth, kinds, &from, &scope, outer)
    }

    fn set_operation(&mut self, depth: u32, kinds: Option<&[Kind]>) -> Made {
        let kinds = match kinds {
            Some(kinds) => kinds.to_vec(),
            None => (0..=self.below(3)).map(|_| self.kind()).collect(),
        };
        let left = self.select(depth - 1, Some(&kinds), None);
        let right = self.select(depth - 1, Some(&kinds), None);
        let mut operations = vec!["UNION", "UNION ALL", "UNION ALL"];
        operations.extend(["INTERSECT", "EXCEPT"].iter().filter(|name| self.may(name)));
        operations.extend(["INTERSECT ALL", "EXCEPT ALL"].iter().filter(|name| self.may(name)));
        let operation = operations[self.below(operations.len())];
        let both = left.columns.iter().zip(&right.columns);
        let columns = both.map(|((name, kind, l), (.., r))| (name.clone(), *kind, *l && *r));
        let columns = columns.collect();
        Made { sql: format!("({}) {operation} ({})", left.sql, right.sql), columns }
    }

    /// One to four relations, joined.
    fn from(&mut self, depth: u32) -> (String, Scope) {
        let count = [1, 1, 1, 2, 2, 2, 3, 3, 4][self.below(9)];
        let count = if depth == 0 { count.min(2) } else { count };
        let (mut from, mut scope) = self.relation(depth);
        for _ in 1..count {
            let (relation, other) = self.relation(depth);
            let join =
                self.pick(&["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            let mut condition = self.equality(&scope, &other);
            let key = match (scope.key.take(), other.key) {
                (Some(left), Some(right)) => Some([left, right].concat()),
                _ => None,
            };
            let mut joined = scope.values.clone();
            joined.extend(other.values);
            scope = Scope { values: joined, key };
            if join != "FULL JOIN" && self.one_in(3) {
                let more = self.simple_predicate(&scope);
                write!(condition, " AND {more}").unwrap();
            }
            write!(from, " {join} {relation} ON {condition}").unwrap();
        }
        (from, scope)
    }

    /// Columns of both sides that are equal; mostly small integers, so that rows do meet.
    fn equality(&mut self, left: &Scope, right: &Scope) -> String {
        let kind = if self.one_in(2) { Kind::Int } else { self.kind() };
        let wants_tame = kind == Kind::Int;
        let choose = |generator: &mut Self, scope: &Scope| {
            let fitting: Vec<&Value> = scope
                .values
                .iter()
                .filter(|value| value.kind == kind && (value.is_tame || !wants_tame))
                .collect();
            (!fitting.is_empty()).then(|| fitting[generator.below(fitting.len())].sql.clone())
        };
        match (choose(self, left), choose(self, right)) {
            (Some(left), Some(right)) => format!("{left} = {right}"),
            // Without such columns on both sides: rows meet where both, or neither, are NULL.
            _ => {
                format!("({} IS NULL) = ({} IS NULL)", left.values[0].sql, right.values[0].sql)
            }
        }
    }

    fn relation(&mut self, depth: u32) -> (String, Scope) {
        if depth > 0 && self.one_in(6) {
            let made = self.select(depth - 1, None, None);
            let alias = self.alias("s");
            let values = made.columns.iter().map(|(column, kind, is_tame)| Value {
                sql: format!("{alias}.{column}"),
                kind: *kind,
                is_tame: *is_tame,
            });
            let scope = Scope { values: values.collect(), key: None };
            return (format!("({}) AS {alias}", made.sql), scope);
        }
        let mut table = &TABLES[self.weighted(TABLE_WEIGHTS)];
        if table.is_big && self.has_big {
            table = &TABLES[0];
        }
        self.has_big |= table.is_big;
        let alias = self.alias("t");
        let has_zeros = self.may("minus zero");
        let hidden = self.manner.hidden;
        let columns = table.columns.iter().filter(|(name, ..)| {
            (has_zeros || !["f", "r"].contains(name)) && !hidden.contains(&(table.name, name))
        });
        let values = columns.map(|(column, kind, is_tame)| Value {
            sql: format!("{alias}.{column}"),
            kind: *kind,
            is_tame: *is_tame,
        });
        let key = table.key.map(|key| vec![format!("{alias}.{key}")]);
        let scope = Scope { values: values.collect(), key };
        (format!("{} {alias}", table.name), scope)
    }

    /// The rest of a SELECT over its FROM.
    fn finish(
        &mut self,
        depth: u32,
        kinds: Option<&[Kind]>,
        from: &str,
        scope: &Scope,
        outer: Option<&Scope>,
    ) -> Made {
        let mut conditions = Vec::new();
        for _ in 0..[0, 1, 1, 1, 2][self.below(5)] {
            conditions.push(self.predicate(scope, depth));
        }
        if let Some(outer) = outer {
            conditions.push(self.equality(scope, outer));
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let kinds = match kinds {
            Some(kinds) => kinds.to_vec(),
            None => (0..[1, 2, 2, 3, 3, 4, 5][self.below(7)]).map(|_| self.kind()).collect(),
        };
        let is_outermost = depth == 2 && outer.is_none();
        match self.weighted(&[9, 5, 2, 2, if is_outermost { 1 } else { 0 }]) {
            0 => self.plain(&kinds, scope, from, &filter, ""),
            1 => self.aggregate(&kinds, scope, from, &filter),
            2 => self.plain(&kinds, scope, from, &filter, "DISTINCT "),
            3 if outer.is_none() => self.windowed(&kinds, scope, from, &filter),
            4 => self.distinct_on(&kinds, scope, from, &filter),
            _ => self.plain(&kinds, scope, from, &filter, ""),
        }
    }

    fn plain(
        &mut self,
        kinds: &[Kind],
        scope: &Scope,
        from: &str,
        filter: &str,
        word: &str,
    ) -> Made {
        let values: Vec<Value> = kinds.iter().map(|kind| self.value(*kind, scope, 2)).collect();
        self.made(values, |list| format!("SELECT {word}{list} FROM {from}{filter}"))
    }

    fn made(&mut self, values: Vec<Value>, write: impl Fn(&str) -> String) -> Made {
        let mut columns = Vec::new();
        let mut list = Vec::new();
        for value in values {
            let name = self.alias("c");
            list.push(format!("{} AS {name}", value.sql));
            columns.push((name, value.kind, value.is_tame));
        }
        Made { sql: write(&list.join(", ")), columns }
    }

    fn distinct_on(&mut self, kinds: &[Kind], scope: &Scope, from: &str, filter: &str) -> Made {
        let mut values: Vec<Value> = kinds.iter().map(|kind| self.column(*kind, scope)).collect();
        if !self.may("DISTINCT ON with a repeated column") {
            let mut met = std::collections::BTreeSet::new();
            values.retain(|value| met.insert(value.sql.clone()));
        }
        let names: Vec<String> = values.iter().map(|value| value.sql.clone()).collect();
        let first = names[0].clone();
        let order: Vec<String> =
            names.iter().map(|name| format!("{name}{}", self.direction())).collect();
        let mut made = self.made(values, |list| {
            format!("SELECT DISTINCT ON ({first}) {list} FROM {from}{filter}")
        });
        write!(made.sql, " ORDER BY {}", order.join(", ")).unwrap();
        made
    }

    fn aggregate(&mut self, kinds: &[Kind], scope: &Scope, from: &str, filter: &str) -> Made {
        let groups = [0, 1, 1, 2][self.below(4)].min(kinds.len());
        let mut values = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            values.push(if index < groups {
                let kind = *kind;
                if self.one_in(3) { self.value(kind, scope, 1) } else { self.column(kind, scope) }
            } else {
                self.aggregated(*kind, scope)
            });
        }
        let keys: Vec<String> = values.iter().take(groups).map(|value| value.sql.clone()).collect();
        let group_by = match keys.is_empty() {
            true => String::new(),
            false => format!(" GROUP BY {}", keys.join(", ")),
        };
        let having = if self.one_in(4) {
            let kind = self.kind();
            let kind = if kind == Kind::Bool { Kind::Int } else { kind };
            let value = self.aggregated(kind, scope);
            let literal = self.literal(kind);
            let test = match self.below(4) {
                0 => format!("{} IS NOT NULL", value.sql),
                1 => format!("NOT ({} IN ({}, {literal}, NULL))", value.sql, self.literal(kind)),
                _ => format!("{} {} {literal}", value.sql, self.comparison()),
            };
            format!(" HAVING {test}")
        } else {
            String::new()
        };
        self.made(values, |list| format!("SELECT {list} FROM {from}{filter}{group_by}{having}"))
    }

    fn aggregated(&mut self, kind: Kind, scope: &Scope) -> Value {
        let only = match self.one_in(5) {
            true => format!(" FILTER (WHERE {})", self.simple_predicate(scope)),
            false => String::new(),
        };
        let extreme = self.pick(&["min", "max"]);
        let (sql, is_tame) = match kind {
            Kind::Bool => {
                let operand = self.value(Kind::Bool, scope, 1).sql;
                (format!("{}({operand}){only}", self.pick(&["bool_and", "bool_or"])), false)
            }
            Kind::Int => match self.below(6) {
                0 => (format!("count(*){only}"), true),
                1 => {
                    let kind = self.kind();
                    (format!("count({}){only}", self.value(kind, scope, 1).sql), true)
                }
                2 => {
                    let kind = self.kind();
                    (format!("count(DISTINCT {}){only}", self.column(kind, scope).sql), true)
                }
                3 => (format!("sum({}){only}", self.tame(Kind::Int, scope)), true),
                _ => (format!("{extreme}({}){only}", self.column(kind, scope).sql), false),
            },
            Kind::Num => match self.below(4) {
                0 => (format!("sum({}){only}", self.tame(kind, scope)), true),
                1 if self.may("avg of numeric") => {
                    (format!("avg({}){only}", self.tame(kind, scope)), false)
                }
                _ => (format!("{extreme}({}){only}", self.column(kind, scope).sql), false),
            },
            Kind::Float => match self.below(4) {
                0 => (format!("sum({}){only}", self.tame(kind, scope)), true),
                1 => (format!("avg({}){only}", self.tame(kind, scope)), false),
                _ if self.may("max of float") => {
                    (format!("{extreme}({}){only}", self.column(kind, scope).sql), false)
                }
                _ => (format!("{extreme}({}){only}", self.tame(kind, scope)), true),
            },
            Kind::Text if self.one_in(6) && self.may("string_agg") => {
                let operand = self.column(kind, scope).sql;
                (format!("string_agg({operand}, ',' ORDER BY {operand}){only}"), false)
            }
            Kind::Text | Kind::Date | Kind::Stamp | Kind::Instant => {
                (format!("{extreme}({}){only}", self.column(kind, scope).sql), false)
            }
        };
        Value { sql, kind, is_tame }
    }

    fn windowed(&mut self, kinds: &[Kind], scope: &Scope, from: &str, filter: &str) -> Made {
        let mut values: Vec<Value> = Vec::new();
        for kind in kinds {
            let is_window = values.is_empty() || self.one_in(3);
            values.push(if is_window {
                self.window(*kind, scope)
            } else {
                self.column(*kind, scope)
            });
        }
        self.made(values, |list| format!("SELECT {list} FROM {from}{filter}"))
    }

    fn window(&mut self, kind: Kind, scope: &Scope) -> Value {
        let partition = match self.one_in(2) {
            true => {
                let kind = self.kind();
                format!("PARTITION BY {} ", self.column(kind, scope).sql)
            }
            false => String::new(),
        };
        let order_kind = self.kind();
        let order = self.column(order_kind, scope).sql;
        let order = format!("ORDER BY {order}{}", self.direction());
        let total = scope.key.as_ref().map(|key| format!("{order}, {}", key.join(", ")));
        let operand = self.column(kind, scope).sql;
        let call = match (kind, total, self.below(4)) {
            (Kind::Int, Some(total), 0) => format!("row_number() OVER ({partition}{total})"),
            (_, Some(total), 1) => {
                let function = self.pick(&["lag", "lead"]);
                format!("{function}({operand}) OVER ({partition}{total})")
            }
            (_, Some(total), 2) => {
                let function = self.pick(&["first_value", "last_value"]);
                let frame = self.pick(&[
                    "",
                    " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                ]);
                format!("{function}({operand}) OVER ({partition}{total}{frame})")
            }
            (Kind::Int, _, 3) => {
                let function = self.pick(&["rank()", "dense_rank()", "count(*)"]);
                format!("{function} OVER ({partition}{order})")
            }
            (Kind::Int | Kind::Num | Kind::Float, ..) => {
                let operand = self.tame(kind, scope);
                format!("sum({operand}) OVER ({partition}{order})")
            }
            (Kind::Bool, ..) => format!("bool_or({operand}) OVER ({partition}{order})"),
            (Kind::Text | Kind::Date | Kind::Stamp | Kind::Instant, ..) => {
                let function = self.pick(&["min", "max"]);
                format!("{function}({operand}) OVER ({partition}{order})")
            }
        };
        Value { sql: call, kind, is_tame: false }
    }

    fn literal(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Bool => self.pick(&["true", "false"]),
            Kind::Int => self.pick(INTS),
            Kind::Num => self.pick(NUMS),
            Kind::Float => self.pick(FLOATS),
            Kind::Text => self.pick(TEXTS),
            Kind::Date => self.pick(DATES),
            Kind::Stamp => self.pick(STAMPS),
            Kind::Instant => self.pick(INSTANTS),
        }
        .to_owned()
    }

    fn comparison(&mut self) -> &'static str {
        self.pick(&["=", "=", "<>", "<", "<=", ">", ">="])
    }

    fn column(&mut self, kind: Kind, scope: &Scope) -> Value {
        let fitting: Vec<&Value> = scope.values.iter().filter(|value| value.kind == kind).collect();
        if fitting.is_empty() {
            return self.converted(kind, scope);
        }
        fitting[self.below(fitting.len())].clone()
    }

    /// For a FROM without a column of the kind: made of another.
    fn converted(&mut self, kind: Kind, scope: &Scope) -> Value {
        let any = scope.values[self.below(scope.values.len())].sql.clone();
        let literal = self.literal(kind);
        let sql = match kind {
            Kind::Bool => format!("({any} IS NULL)"),
            _ => format!("CASE WHEN {any} IS NOT NULL THEN {literal} END"),
        };
        Value { sql, kind, is_tame: false }
    }

    /// Numbers that can be added and multiplied a few times.
    fn tame(&mut self, kind: Kind, scope: &Scope) -> String {
        let fitting: Vec<&Value> =
            scope.values.iter().filter(|value| value.kind == kind && value.is_tame).collect();
        let column = match fitting.is_empty() {
            false => fitting[self.below(fitting.len())].sql.clone(),
            true => {
                let any = &scope.values[self.below(scope.values.len())].sql;
                let number = match kind {
                    Kind::Num => "2.5",
                    Kind::Float => "0.25::float8",
                    _ => "3",
                };
                let least = match kind {
                    _ if self.may("CASE of an integer and a decimal") => "1",
                    Kind::Num => "1.0",
                    Kind::Float => "1::float8",
                    _ => "1",
                };
                format!("CASE WHEN {any} IS NULL THEN {least} ELSE {number} END")
            }
        };
        if self.one_in(3) {
            let number = match kind {
                Kind::Num => self.pick(&["2", "0.5", "1.25", "-3"]),
                Kind::Float => self.pick(&["2", "0.5::float8", "-3"]),
                _ => self.pick(&["2", "3", "-1"]),
            };
            return format!("({column} {} {number})", self.pick(&["+", "-", "*"]));
        }
        column
    }

    /// An expression of a kind.
    fn value(&mut self, kind: Kind, scope: &Scope, depth: u32) -> Value {
        if depth == 0 || self.one_in(2) {
            return self.column(kind, scope);
        }
        if self.one_in(5) {
            return Value { sql: self.compound(kind, scope, depth - 1), kind, is_tame: false };
        }
        match kind {
            Kind::Bool => {
                let sql = format!("({})", self.simple_predicate(scope));
                Value { sql, kind, is_tame: false }
            }
            Kind::Int => self.int(scope, depth - 1),
            Kind::Num => self.num(scope, depth - 1),
            Kind::Float => self.float(scope, depth - 1),
            Kind::Text => {
                let sql = self.text(scope, depth - 1);
                Value { sql, kind, is_tame: false }
            }
            Kind::Date => self.date(scope),
            Kind::Stamp => self.stamp(scope),
            Kind::Instant => self.column(kind, scope),
        }
    }

    /// CASE, COALESCE and their like, over values of one kind.
    fn compound(&mut self, kind: Kind, scope: &Scope, depth: u32) -> String {
        let first = self.value(kind, scope, depth).sql;
        let second =
            if self.one_in(2) { self.value(kind, scope, depth).sql } else { self.literal(kind) };
        match self.below(7) {
            0 | 1 => format!("COALESCE({first}, {second})"),
            2 => format!("NULLIF({first}, {second})"),
            3 => {
                let condition = self.simple_predicate(scope);
                format!("CASE WHEN {condition} THEN {first} ELSE {second} END")
            }
            4 => {
                let operand = self.column(Kind::Int, scope).sql;
                format!("CASE {operand} WHEN 1 THEN {first} WHEN 7 THEN {second} END")
            }
            5 if kind != Kind::Bool && self.may("greatest") => {
                format!("{}({first}, {second})", self.pick(&["GREATEST", "LEAST"]))
            }
            _ => self.scalar_subquery(kind, scope),
        }
    }

    /// The least or greatest of a table: one row, always.
    fn scalar_subquery(&mut self, kind: Kind, outer: &Scope) -> String {
        let kind = if kind == Kind::Bool { return self.literal(kind) } else { kind };
        let (from, scope) = self.relation(0);
        let value = self.aggregated(kind, &scope).sql;
        let mut conditions = Vec::new();
        if self.one_in(2) {
            conditions.push(self.simple_predicate(&scope));
        }
        if self.one_in(2) && self.may("correlated scalar subquery") {
            conditions.push(self.equality(&scope, outer));
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        format!("(SELECT {value} FROM {from}{filter})")
    }

    fn int(&mut self, scope: &Scope, depth: u32) -> Value {
        let sql = match self.below(8) {
            0 | 1 => self.tame(Kind::Int, scope),
            2 => format!(
                "({} / {})",
                self.column_tame(Kind::Int, scope),
                self.pick(&["2", "3", "-2"])
            ),
            3 => format!(
                "({} % {})",
                self.column_tame(Kind::Int, scope),
                self.pick(&["2", "3", "-7"])
            ),
            4 => format!("length({})", self.value(Kind::Text, scope, depth).sql),
            5 => format!("abs({})", self.column_tame(Kind::Int, scope)),
            6 => {
                let field = self.pick(&["year", "month", "day", "dow", "doy", "quarter"]);
                format!("extract({field} FROM {})::integer", self.column(Kind::Date, scope).sql)
            }
            _ => format!(
                "({} - {})",
                self.column_tame(Kind::Date, scope),
                self.pick(&["DATE '2000-01-01'", "DATE '2024-02-29'"])
            ),
        };
        Value { sql, kind: Kind::Int, is_tame: true }
    }

    /// A tame column, or a literal of ordinary size.
    fn column_tame(&mut self, kind: Kind, scope: &Scope) -> String {
        let fitting: Vec<&Value> =
            scope.values.iter().filter(|value| value.kind == kind && value.is_tame).collect();
        match fitting.is_empty() {
            false => fitting[self.below(fitting.len())].sql.clone(),
            true => match kind {
                Kind::Date => "DATE '2024-02-29'",
                Kind::Stamp => "TIMESTAMP '2024-02-29 12:00:00'",
                Kind::Num => "2.50",
                Kind::Float => "0.25::float8",
                _ => "7",
            }
            .to_owned(),
        }
    }

    fn num(&mut self, scope: &Scope, depth: u32) -> Value {
        let sql = match self.below(6) {
            0 | 1 => self.tame(Kind::Num, scope),
            2 => format!("abs({})", self.column(Kind::Num, scope).sql),
            3 => format!(
                "round({}, {})",
                self.column_tame(Kind::Num, scope),
                self.pick(&["0", "1", "2"])
            ),
            4 if self.may("numeric division") => {
                format!(
                    "({} / {})",
                    self.column_tame(Kind::Num, scope),
                    self.pick(&["2", "0.3", "-7"])
                )
            }
            5 => {
                format!("{}({})", self.pick(&["floor", "ceil"]), self.column_tame(Kind::Num, scope))
            }
            _ => format!("{}::numeric(22,2)", self.value(Kind::Int, scope, depth).sql),
        };
        Value { sql, kind: Kind::Num, is_tame: false }
    }

    fn float(&mut self, scope: &Scope, depth: u32) -> Value {
        let sql = match self.below(5) {
            0 | 1 => self.tame(Kind::Float, scope),
            2 => format!("abs({})", self.column(Kind::Float, scope).sql),
            3 => format!("({} / 2)", self.column_tame(Kind::Float, scope)),
            _ => format!("({})::float8", self.value(Kind::Int, scope, depth).sql),
        };
        Value { sql, kind: Kind::Float, is_tame: false }
    }

    fn text(&mut self, scope: &Scope, depth: u32) -> String {
        let operand = self.value(Kind::Text, scope, depth).sql;
        match self.below(10) {
            0 | 1 => format!("({operand} || {})", self.literal(Kind::Text)),
            2 if self.may("upper") => format!("upper({operand})"),
            3 => format!("lower({operand})"),
            4 => format!(
                "substr({operand}, {}, {})",
                self.pick(&["1", "2", "0", "-1"]),
                self.pick(&["1", "2", "5"])
            ),
            5 => format!("trim({operand})"),
            6 => format!("replace({operand}, 'a', {})", self.literal(Kind::Text)),
            7 => format!(
                "{}({operand}, {})",
                self.pick(&["left", "right"]),
                self.pick(&["1", "2", "0", "-1"])
            ),
            8 => format!("concat({operand}, {})", self.column(Kind::Text, scope).sql),
            _ => {
                let kind = [Kind::Int, Kind::Date, Kind::Bool][self.below(3)];
                format!("({})::text", self.column(kind, scope).sql)
            }
        }
    }

    fn date(&mut self, scope: &Scope) -> Value {
        let column = self.column_tame(Kind::Date, scope);
        let sql = match self.below(3) {
            0 => format!("({column} + {})", self.pick(&["1", "30", "-400"])),
            1 => format!("({}::date)", self.column_tame(Kind::Stamp, scope)),
            _ => format!("date_trunc('{}', {column})::date", self.pick(&["month", "year", "week"])),
        };
        Value { sql, kind: Kind::Date, is_tame: true }
    }

    fn stamp(&mut self, scope: &Scope) -> Value {
        let interval = self.pick(&[
            "INTERVAL '1 month'",
            "INTERVAL '1 day'",
            "INTERVAL '-1 year'",
            "INTERVAL '90 minutes'",
        ]);
        let sql = match self.below(4) {
            0 => format!("({} + {interval})", self.column_tame(Kind::Stamp, scope)),
            1 if self.may("date - interval") => {
                format!("({} - {interval})", self.column_tame(Kind::Date, scope))
            }
            2 => format!("({}::timestamp)", self.column_tame(Kind::Date, scope)),
            _ => format!(
                "date_trunc('{}', {})",
                self.pick(&["hour", "month", "year", "day"]),
                self.column_tame(Kind::Stamp, scope)
            ),
        };
        Value { sql, kind: Kind::Stamp, is_tame: true }
    }

    /// Fails for some values.
    fn daring_predicate(&mut self, scope: &Scope) -> String {
        let (left, comparison) = match self.below(6) {
            0 => {
                let (column, zero) =
                    (self.column(Kind::Int, scope).sql, self.pick(&["0", "3", "7"]));
                (format!("(10 / ({column} - {zero}))"), self.comparison())
            }
            1 => {
                let to = self.pick(&["integer", "date", "smallint"]);
                let column = self.column(Kind::Text, scope).sql;
                return format!("CAST({column} AS {to}) IS NOT NULL");
            }
            2 => (format!("({} * 2)", self.column(Kind::Int, scope).sql), self.comparison()),
            3 => {
                let column = self.column(Kind::Num, scope).sql;
                (format!("({column} * {column})"), self.comparison())
            }
            4 => (format!("sqrt({})", self.column(Kind::Float, scope).sql), self.comparison()),
            _ => {
                let column = self.column(Kind::Int, scope).sql;
                (format!("CAST({column} AS smallint)"), self.comparison())
            }
        };
        format!("{left} {comparison} {}", self.pick(&["0", "1", "7"]))
    }

    /// Of columns and literals: it holds no subquery, and can't fail unless it is to.
    fn simple_predicate(&mut self, scope: &Scope) -> String {
        if self.manner.is_daring && self.one_in(6) {
            return self.daring_predicate(scope);
        }
        let kind = self.kind();
        let column = self.column(kind, scope).sql;
        match self.below(14) {
            0..=3 => format!("{column} {} {}", self.comparison(), self.literal(kind)),
            4 => format!("{} {} {column}", self.literal(kind), self.comparison()),
            5 => {
                let other = self.column(kind, scope).sql;
                format!("{column} {} {other}", self.comparison())
            }
            6 => format!("{column} IS {}NULL", self.pick(&["", "NOT "])),
            7 => {
                let mut list: Vec<String> =
                    (0..=self.below(3)).map(|_| self.literal(kind)).collect();
                if self.one_in(3) {
                    list.push("NULL".to_owned());
                }
                format!("{column} {}IN ({})", self.pick(&["", "NOT "]), list.join(", "))
            }
            8 => {
                let (low, high) = (self.literal(kind), self.literal(kind));
                format!("{column} {}BETWEEN {low} AND {high}", self.pick(&["", "NOT "]))
            }
            9 => {
                let other =
                    if self.one_in(2) { self.column(kind, scope).sql } else { self.literal(kind) };
                let word = self.pick(&["", "NOT "]);
                let test = format!("{column} IS {word}DISTINCT FROM {other}");
                if self.may("bare IS DISTINCT FROM") && self.one_in(2) {
                    test
                } else {
                    format!("({test})")
                }
            }
            10 | 11 => {
                let column = self.column(Kind::Text, scope).sql;
                format!("{column} {}LIKE {}", self.pick(&["", "NOT "]), self.pick(PATTERNS))
            }
            12 => {
                let column = self.column(Kind::Bool, scope).sql;
                let test = self.pick(&[
                    "",
                    " IS TRUE",
                    " IS NOT TRUE",
                    " IS FALSE",
                    " IS NOT FALSE",
                    " IS UNKNOWN",
                ]);
                format!("({column}){test}")
            }
            _ => {
                // Numbers of different types meet.
                let numbers = [Kind::Int, Kind::Num, Kind::Float];
                let (left, right) = (numbers[self.below(3)], numbers[self.below(3)]);
                let left = self.column(left, scope).sql;
                let right = if self.one_in(2) {
                    self.column(right, scope).sql
                } else {
                    self.literal(right)
                };
                format!("{left} {} {right}", self.comparison())
            }
        }
    }

    fn predicate(&mut self, scope: &Scope, depth: u32) -> String {
        if depth == 0 {
            return self.simple_predicate(scope);
        }
        match self.below(13) {
            0..=4 => self.simple_predicate(scope),
            5 => {
                let (left, right) =
                    (self.predicate(scope, depth - 1), self.predicate(scope, depth - 1));
                format!("({left} {} {right})", self.pick(&["AND", "OR", "OR"]))
            }
            6 => format!("NOT ({})", self.predicate(scope, depth - 1)),
            7 | 8 => {
                let kind = self.kind();
                let (left, right) =
                    (self.value(kind, scope, depth).sql, self.value(kind, scope, depth - 1).sql);
                format!("{left} {} {right}", self.comparison())
            }
            9 => {
                let kind = self.kind();
                let column = self.value(kind, scope, 1).sql;
                let word = match self.may("NOT IN (SELECT)") {
                    true => self.pick(&["", "NOT "]),
                    false => "",
                };
                let outer = self.one_in(4).then_some(scope);
                let inner = self.select(depth - 1, Some(&[kind]), outer);
                format!("{column} {word}IN ({})", inner.sql)
            }
            10 | 11 => {
                let outer = (!self.one_in(5)).then_some(scope);
                let inner = match self.may("EXISTS over an aggregate") {
                    true => self.select(depth - 1, None, outer),
                    false => {
                        let (from, inner) = self.from(depth - 1);
                        let filter = outer.map(|outer| self.equality(&inner, outer));
                        let filter =
                            filter.map_or(String::new(), |filter| format!(" WHERE {filter}"));
                        self.plain(&[Kind::Int], &inner, &from, &filter, "")
                    }
                };
                format!("{}EXISTS ({})", self.pick(&["", "NOT "]), inner.sql)
            }
            _ => {
                let kind = self.kind();
                let kind = if kind == Kind::Bool { Kind::Int } else { kind };
                let subquery = self.scalar_subquery(kind, scope);
                format!("{} {} {subquery}", self.column(kind, scope).sql, self.comparison())
            }
        }
    }
}

impl Made {
    fn is_ordered(&self) -> bool {
        self.sql.starts_with("SELECT DISTINCT ON")
    }
}

#[test]
fn a_seed_makes_the_same_queries_each_time() {
    let queries = |seed| (0..50).map(|number| query(seed, number)).collect::<Vec<_>>();
    assert_eq!(queries(1), queries(1));
    assert_ne!(queries(1), queries(2));
}
