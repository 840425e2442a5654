//! The queries that are sent to sources: nested levels of `SELECT`, and closed expressions.
//!
//! Invariant: everything here means the same at every source that renders it. What does not
//! (functions, casts, arithmetic, integer division) has no node.

use std::sync::Arc;

/// One level of `SELECT columns FROM … WHERE … ORDER BY … LIMIT … OFFSET …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// May be empty: then only the number of rows counts.
    pub columns: Vec<Output>,
    pub from: From,
    pub filter: Option<Scalar>,
    pub order_by: Vec<OrderBy>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
}

impl Query {
    /// Whether it gives rows of one table, each on its own: a predicate over them may join the
    /// others, and the rows of two parts of the table are those of the whole.
    pub fn is_plain(&self) -> bool {
        let Self { columns: _, from, filter: _, order_by, limit, offset } = self;
        matches!(from, From::Table(_)) && order_by.is_empty() && limit.is_none() && offset.is_none()
    }

    /// The rows that also pass a predicate over the columns of the answer, which have the names that
    /// they have in the table.
    pub(super) fn filtered(self, predicate: Scalar) -> Self {
        if self.is_plain() {
            let filter = match self.filter {
                Some(own) => Scalar::And(vec![own, predicate]),
                None => predicate,
            };
            return Self { filter: Some(filter), ..self };
        }
        let columns = self.columns.iter().map(|column| Output {
            value: Scalar::Column(column.name.clone()),
            name: column.name.clone(),
        });
        Self {
            columns: columns.collect(),
            from: From::Level(Box::new(self)),
            filter: Some(predicate),
            order_by: Vec::new(),
            limit: None,
            offset: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum From {
    Table(TableName),
    Level(Box<Query>),
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

/// The text holds no wildcard and no escape of any dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    StartsWith(String),
    Contains(String),
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
