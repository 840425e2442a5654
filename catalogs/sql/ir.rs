//! The queries that are sent to sources: nested levels of `SELECT`, and closed expressions.
//!
//! Invariant: everything here means the same at every source that renders it. What does not
//! (functions, casts that round, arithmetic that may overflow, division) has no node.

use std::sync::Arc;

/// One level of `SELECT columns FROM … WHERE … GROUP BY … ORDER BY … LIMIT … OFFSET …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// May be empty: then only the number of rows counts.
    pub columns: Vec<Output>,
    pub from: From,
    pub filter: Option<Scalar>,
    /// `Some`: one row for each group; with no key, one row in all. What HAVING would say is the
    /// filter of a level above.
    pub group_by: Option<Vec<Scalar>>,
    pub order_by: Vec<OrderBy>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
}

impl Query {
    /// Whether it gives rows of one table, each on its own: the rows of two parts of the table are then
    /// those of the whole.
    pub fn is_plain(&self) -> bool {
        matches!(self.from, From::Table(_)) && self.order_by.is_empty() && self.is_open()
    }

    /// Whether one more condition on the rows of FROM is one on the rows of the answer.
    pub fn is_open(&self) -> bool {
        self.group_by.is_none() && self.limit.is_none() && self.offset.is_none()
    }

    /// Every row and no column of `from`.
    pub fn all_of(from: From) -> Self {
        Self {
            columns: Vec::new(),
            from,
            filter: None,
            group_by: None,
            order_by: Vec::new(),
            limit: None,
            offset: None,
        }
    }

    /// Adds a condition that rows must meet as well.
    pub fn and(&mut self, condition: Scalar) {
        self.filter = Some(match self.filter.take() {
            None => condition,
            Some(Scalar::And(mut parts)) => {
                parts.push(condition);
                Scalar::And(parts)
            }
            Some(filter) => Scalar::And(vec![filter, condition]),
        });
    }
}

/// Where rows come from. Column names are unique in all of a join, so that none needs a qualifier.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    Table(TableName),
    Level(Box<Query>),
    Join {
        kind: JoinKind,
        left: Box<From>,
        right: Box<From>,
        on: Scalar,
    },
    /// All rows of each, with the names of the first.
    UnionAll(Vec<Query>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub value: Scalar,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OrderBy {
    pub value: Scalar,
    pub is_descending: bool,
    pub nulls_first: bool,
}

/// A value or a truth, for one row of the level below.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A column of the level below, by its name there.
    Column(String),
    Literal(Literal),
    /// The value in a form that can be read; the form is a word of the dialect, such as `text`.
    ReadAs {
        operand: Box<Scalar>,
        form: Arc<str>,
    },
    /// Text compared and ordered by its bytes, whatever its collation.
    Bytewise(Box<Scalar>),
    Compare {
        comparison: Comparison,
        left: Box<Scalar>,
        right: Box<Scalar>,
    },
    In {
        operand: Box<Scalar>,
        list: Vec<Literal>,
    },
    IsNull(Box<Scalar>),
    Like {
        operand: Box<Scalar>,
        pattern: Pattern,
    },
    And(Vec<Scalar>),
    Or(Vec<Scalar>),
    Not(Box<Scalar>),
    /// Whether the query has a row; it may name the columns of the level that asks.
    Exists(Box<Query>),
    /// Exact, and never beyond the type: whoever builds it has proven that.
    Arithmetic {
        operator: Arithmetic,
        left: Box<Scalar>,
        right: Box<Scalar>,
    },
    /// To a type that holds every value of the operand, or else an error.
    Cast {
        operand: Box<Scalar>,
        to: CastType,
    },
    /// So many characters of a text, from the character `start`, which counts from 1.
    Substring {
        operand: Box<Scalar>,
        start: u32,
        length: u32,
    },
    /// `CASE WHEN … THEN … ELSE … END`; NULL where nothing holds and there is no ELSE.
    Case {
        branches: Vec<(Scalar, Scalar)>,
        otherwise: Option<Box<Scalar>>,
    },
    /// Of a group; only in the columns of a level that groups.
    Aggregate {
        function: Aggregate,
        /// `None`: counts rows.
        operand: Option<Box<Scalar>>,
        is_distinct: bool,
        filter: Option<Box<Scalar>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastType {
    /// A signed integer of so many bits.
    Integer(u8),
    /// A number of any digits.
    Decimal,
}

/// Functions over a group that answer alike everywhere. There is no average: it is a sum and a
/// count, divided by whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The comparison with its sides exchanged.
    pub fn flip(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::NotEqual => Self::NotEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// A pattern of LIKE in which `%` stands for any run of characters, and all else for itself in every
/// dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub(super) String);

impl Pattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A typed constant. There is no NULL: predicates over it are decided locally.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Boolean(bool),
    Integer {
        value: i128,
        bits: u8,
        is_signed: bool,
    },
    Float32(f32),
    Float64(f64),
    /// Digits with an optional sign and point: `-12.50`.
    Decimal(String),
    Text(String),
    /// Text of type CHAR(n), which ignores trailing blanks.
    PaddedText(String),
    /// Lower-case hexadecimal in the form 8-4-4-4-12.
    Uuid(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01, of a wall clock.
    Timestamp(i64),
    /// Microseconds since 1970-01-01, UTC.
    Instant(i64),
}
