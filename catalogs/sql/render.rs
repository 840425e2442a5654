//! Turns a [`Query`] into the text of one dialect.
//!
//! Invariant: names and literals are written by the dialect's two writers and by nothing else, and
//! [`Sql`] is made only here. `None` means "not known, so not pushed", never "left out".

use std::{
    cell::Cell,
    fmt::{self, Write as _},
};

use crate::QueryLabel;

use super::ir::{
    Aggregate, Arithmetic, CastType, Comparison, From, JoinKind, Literal, OrderBy, Output, Pattern,
    Query, Scalar, TableName,
};

/// One statement that reads. Only [`render`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql(String);

impl Sql {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says at the source who asks, in a comment that no name can close.
    pub fn labelled(&self, label: &QueryLabel) -> Self {
        Self(format!(
            "/* weir query={} principal={} */ {}",
            comment_word(&label.query_id),
            comment_word(&label.principal),
            self.0
        ))
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keeps letters, digits and `_ - . : @`; all else, and whatever is beyond 128 characters, is not
/// worth a way out of the comment.
fn comment_word(text: &str) -> String {
    text.chars()
        .take(128)
        .map(|c| if c.is_ascii_alphanumeric() || "_-.:@".contains(c) { c } else { '?' })
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialectLimits {
    /// The longest `IN` list.
    pub in_list: usize,
    /// The longest statement.
    pub statement_bytes: usize,
}

/// A run of a table's pages. Without a bound it also holds what was added since they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// The first one.
    pub from: Option<u64>,
    /// The one after the last.
    pub to: Option<u64>,
}

/// How one kind of source writes SQL. Every method appends to `out`, or answers `None` when it
/// cannot write the thing; what is in `out` is then thrown away.
pub trait Dialect: fmt::Debug + Send + Sync {
    fn limits(&self) -> DialectLimits;

    /// The one writer of names.
    fn identifier(&self, out: &mut String, name: &str) -> Option<()>;

    /// The one writer of constants.
    fn literal(&self, out: &mut String, literal: &Literal) -> Option<()>;

    /// The operand in one of the forms that the source's discovery chose for its columns.
    fn read_as(&self, out: &mut String, operand: &str, form: &str) -> Option<()>;

    fn bytewise(&self, out: &mut String, operand: &str) -> Option<()>;

    fn like(&self, out: &mut String, operand: &str, pattern: &Pattern) -> Option<()>;

    /// The condition that a row is stored in these pages; `None` where rows have no such address.
    fn pages(&self, _out: &mut String, _pages: Pages) -> Option<()> {
        None
    }

    fn cast(&self, out: &mut String, operand: &str, to: CastType) -> Option<()>;

    /// A truth where a value stands: in the columns, in a key, beside an operator.
    fn truth_as_value(&self, out: &mut String, truth: &str) -> Option<()>;

    /// A value of type boolean where a truth stands: in WHERE, ON, WHEN, AND, OR and NOT.
    fn value_as_truth(&self, out: &mut String, value: &str) -> Option<()>;

    /// Sums, differences and products of integers and decimals, with parentheses around them; every
    /// digit of them counts.
    fn arithmetic(
        &self,
        out: &mut String,
        operator: Arithmetic,
        left: &str,
        right: &str,
    ) -> Option<()>;

    /// A function over a group; `operand` is `*` or a value, and may begin with DISTINCT.
    fn aggregate(&self, out: &mut String, function: Aggregate, operand: &str) -> Option<()>;

    /// Whether a part of UNION ALL may have an order, a limit or an offset.
    fn limits_parts_of_unions(&self) -> bool;

    /// Characters of a text without its padding, counted as characters.
    fn substring(&self, out: &mut String, operand: &str, start: u32, length: u32) -> Option<()>;

    /// What stands between SELECT and FROM when only the number of rows counts.
    fn no_columns(&self, out: &mut String);

    /// One key of ORDER BY: NULLs stand where `nulls_first` says, whatever the source's habit. As
    /// SQL:2003 writes it, unless a source knows no NULLS FIRST.
    fn order_key(
        &self,
        out: &mut String,
        operand: &str,
        is_descending: bool,
        nulls_first: bool,
    ) -> Option<()> {
        let direction = if is_descending { "DESC" } else { "ASC" };
        let nulls = if nulls_first { "FIRST" } else { "LAST" };
        write!(out, "{operand} {direction} NULLS {nulls}").ok()
    }

    /// What follows ORDER BY (or its place, when `is_ordered` is false), with the space before it.
    fn limit(
        &self,
        out: &mut String,
        limit: Option<u64>,
        offset: Option<u64>,
        is_ordered: bool,
    ) -> Option<()>;
}

/// The statement, if the dialect knows how to say all of it.
pub fn render(dialect: &dyn Dialect, query: &Query) -> Option<Sql> {
    render_part(dialect, query, None)
}

/// As [`render`], of the rows in some pages of the one table that the query reads.
pub(super) fn render_part(
    dialect: &dyn Dialect,
    query: &Query,
    pages: Option<Pages>,
) -> Option<Sql> {
    if pages.is_some() && !query.is_plain() {
        return None;
    }
    let mut out = String::new();
    Renderer { dialect, pages, levels: Cell::new(0) }.level(&mut out, query)?;
    (out.len() <= dialect.limits().statement_bytes).then_some(Sql(out))
}

/// How many bytes the dialect needs for this predicate, if it can say it.
pub fn rendered_bytes(dialect: &dyn Dialect, scalar: &Scalar) -> Option<usize> {
    let mut out = String::new();
    Renderer { dialect, pages: None, levels: Cell::new(0) }.truth(&mut out, scalar)?;
    Some(out.len())
}

/// Whether the value is one of a group; an aggregate below, in a level of its own, does not count.
fn has_aggregate(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Aggregate { .. } => true,
        Scalar::Column(_) | Scalar::Literal(_) | Scalar::Exists(_) => false,
        Scalar::ReadAs { operand, .. }
        | Scalar::Bytewise(operand)
        | Scalar::In { operand, .. }
        | Scalar::IsNull(operand)
        | Scalar::Like { operand, .. }
        | Scalar::Not(operand)
        | Scalar::Cast { operand, .. }
        | Scalar::Substring { operand, .. } => has_aggregate(operand),
        Scalar::Compare { left, right, .. } | Scalar::Arithmetic { left, right, .. } => {
            has_aggregate(left) || has_aggregate(right)
        }
        Scalar::And(parts) | Scalar::Or(parts) => parts.iter().any(has_aggregate),
        Scalar::Case { branches, otherwise } => {
            let is_one =
                |(when, then): &(Scalar, Scalar)| has_aggregate(when) || has_aggregate(then);
            branches.iter().any(is_one) || otherwise.as_deref().is_some_and(has_aggregate)
        }
    }
}

struct Renderer<'a> {
    dialect: &'a dyn Dialect,
    /// Of the table of a plain query.
    pages: Option<Pages>,
    /// Levels that have a name so far: each gets its own.
    levels: Cell<usize>,
}

impl Renderer<'_> {
    fn level(&self, out: &mut String, query: &Query) -> Option<()> {
        out.push_str("SELECT");
        for (index, column) in query.columns.iter().enumerate() {
            out.push_str(if index == 0 { " " } else { ", " });
            self.value(out, &column.value)?;
            if !matches!(&column.value, Scalar::Column(name) if *name == column.name) {
                out.push_str(" AS ");
                self.dialect.identifier(out, &column.name)?;
            }
        }
        if query.columns.is_empty() {
            self.dialect.no_columns(out);
        }
        out.push_str(" FROM ");
        self.from(out, &query.from)?;
        match (&query.filter, self.pages) {
            (None, None) => {}
            (Some(filter), None) => {
                out.push_str(" WHERE ");
                self.truth(out, filter)?;
            }
            (None, Some(pages)) => {
                out.push_str(" WHERE ");
                self.dialect.pages(out, pages)?;
            }
            (Some(filter), Some(pages)) => {
                out.push_str(" WHERE (");
                self.truth(out, filter)?;
                out.push_str(") AND ");
                self.dialect.pages(out, pages)?;
            }
        }
        // One group of all rows, of which nothing is asked: it is one row all the same.
        let is_aggregated = |column: &Output| has_aggregate(&column.value);
        if query.group_by.as_ref().is_some_and(Vec::is_empty)
            && !query.columns.iter().any(is_aggregated)
        {
            out.push_str(" GROUP BY ()");
        }
        for (index, key) in query.group_by.iter().flatten().enumerate() {
            out.push_str(if index == 0 { " GROUP BY " } else { ", " });
            self.value(out, key)?;
        }
        for (index, OrderBy { value, is_descending, nulls_first }) in
            query.order_by.iter().enumerate()
        {
            out.push_str(if index == 0 { " ORDER BY " } else { ", " });
            self.dialect.order_key(out, &self.text(value)?, *is_descending, *nulls_first)?;
        }
        self.dialect.limit(out, query.limit, query.offset, !query.order_by.is_empty())
    }

    /// A name after a table needs no AS anywhere, and may have none in some dialects.
    fn from(&self, out: &mut String, from: &From) -> Option<()> {
        match from {
            From::Table(TableName { schema, name }) => {
                self.dialect.identifier(out, schema)?;
                out.push('.');
                self.dialect.identifier(out, name)
            }
            From::Level(level) => {
                out.push('(');
                self.level(out, level)?;
                self.end_level(out)
            }
            From::Join { kind, left, right, on } => {
                self.from(out, left)?;
                out.push_str(match kind {
                    JoinKind::Inner => " INNER JOIN ",
                    JoinKind::Left => " LEFT JOIN ",
                });
                match right.as_ref() {
                    From::Join { .. } => {
                        out.push('(');
                        self.from(out, right)?;
                        out.push(')');
                    }
                    From::Table(_) | From::Level(_) | From::UnionAll(_) => self.from(out, right)?,
                }
                out.push_str(" ON ");
                self.truth(out, on)
            }
            From::UnionAll(queries) => {
                for (index, query) in queries.iter().enumerate() {
                    let is_limited = !query.order_by.is_empty()
                        || query.limit.is_some()
                        || query.offset.is_some();
                    if is_limited && !self.dialect.limits_parts_of_unions() {
                        return None;
                    }
                    out.push_str(if index == 0 { "((" } else { " UNION ALL (" });
                    self.level(out, query)?;
                    out.push(')');
                }
                self.end_level(out)
            }
        }
    }

    fn end_level(&self, out: &mut String) -> Option<()> {
        let number = self.levels.get() + 1;
        self.levels.set(number);
        out.push_str(") ");
        self.dialect.identifier(out, &format!("l{number}"))
    }

    /// Where a truth stands.
    fn truth(&self, out: &mut String, scalar: &Scalar) -> Option<()> {
        if is_truth(scalar) {
            return self.scalar(out, scalar);
        }
        let mut value = String::new();
        self.scalar(&mut value, scalar)?;
        self.dialect.value_as_truth(out, &value)
    }

    /// Where a value stands with nothing beside it.
    fn value(&self, out: &mut String, scalar: &Scalar) -> Option<()> {
        if !is_truth(scalar) {
            return self.scalar(out, scalar);
        }
        let mut truth = String::new();
        self.scalar(&mut truth, scalar)?;
        // A dialect may say it twice, and truths nest.
        if truth.len() > self.dialect.limits().statement_bytes {
            return None;
        }
        self.dialect.truth_as_value(out, &truth)
    }

    /// A value beside an operator, which could otherwise bind tighter than the one in a truth:
    /// `a AND b IS NULL` is not `(a AND b) IS NULL`.
    fn operand(&self, out: &mut String, scalar: &Scalar) -> Option<()> {
        if !is_truth(scalar) {
            return self.scalar(out, scalar);
        }
        out.push('(');
        self.value(out, scalar)?;
        out.push(')');
        Some(())
    }

    fn scalar(&self, out: &mut String, scalar: &Scalar) -> Option<()> {
        match scalar {
            Scalar::Column(name) => self.dialect.identifier(out, name),
            Scalar::Literal(literal) => self.dialect.literal(out, literal),
            Scalar::ReadAs { operand, form } => {
                self.dialect.read_as(out, &self.text(operand)?, form)
            }
            Scalar::Bytewise(operand) => self.dialect.bytewise(out, &self.text(operand)?),
            Scalar::Like { operand, pattern } => {
                self.dialect.like(out, &self.text(operand)?, pattern)
            }
            Scalar::Cast { operand, to } => self.dialect.cast(out, &self.text(operand)?, *to),
            Scalar::Substring { operand, start, length } => {
                self.dialect.substring(out, &self.text(operand)?, *start, *length)
            }
            Scalar::Exists(query) => {
                out.push_str("EXISTS (");
                self.level(out, query)?;
                out.push(')');
                Some(())
            }
            Scalar::Arithmetic { operator, left, right } => {
                self.dialect.arithmetic(out, *operator, &self.text(left)?, &self.text(right)?)
            }
            Scalar::Case { branches, otherwise } => {
                out.push_str("CASE");
                for (condition, value) in branches {
                    out.push_str(" WHEN ");
                    self.truth(out, condition)?;
                    out.push_str(" THEN ");
                    self.value(out, value)?;
                }
                if let Some(value) = otherwise {
                    out.push_str(" ELSE ");
                    self.value(out, value)?;
                }
                out.push_str(" END");
                Some(())
            }
            Scalar::Aggregate { function, operand, is_distinct, filter } => {
                let mut counted = String::new();
                if *is_distinct {
                    counted.push_str("DISTINCT ");
                }
                match (operand, filter) {
                    (None, None) => counted.push('*'),
                    (Some(operand), None) => self.value(&mut counted, operand)?,
                    // FILTER is not known everywhere; a NULL is left out by every function.
                    (operand, Some(filter)) => {
                        counted.push_str("CASE WHEN ");
                        self.truth(&mut counted, filter)?;
                        counted.push_str(" THEN ");
                        match operand {
                            Some(operand) => self.value(&mut counted, operand)?,
                            None => counted.push('1'),
                        }
                        counted.push_str(" END");
                    }
                }
                self.dialect.aggregate(out, *function, &counted)
            }
            Scalar::Compare { comparison, left, right } => {
                self.operand(out, left)?;
                out.push_str(match comparison {
                    Comparison::Equal => " = ",
                    Comparison::NotEqual => " <> ",
                    Comparison::Less => " < ",
                    Comparison::LessOrEqual => " <= ",
                    Comparison::Greater => " > ",
                    Comparison::GreaterOrEqual => " >= ",
                });
                self.operand(out, right)
            }
            Scalar::In { operand, list } => {
                if list.is_empty() || list.len() > self.dialect.limits().in_list {
                    return None;
                }
                self.operand(out, operand)?;
                out.push_str(" IN (");
                for (index, literal) in list.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    self.dialect.literal(out, literal)?;
                }
                out.push(')');
                Some(())
            }
            Scalar::IsNull(operand) => {
                self.operand(out, operand)?;
                out.push_str(" IS NULL");
                Some(())
            }
            Scalar::And(parts) => self.connect(out, parts, " AND "),
            Scalar::Or(parts) => self.connect(out, parts, " OR "),
            Scalar::Not(operand) => {
                out.push_str("NOT (");
                self.truth(out, operand)?;
                out.push(')');
                Some(())
            }
        }
    }

    /// Every part gets its own parentheses: no reader has to know which operator binds tighter.
    fn connect(&self, out: &mut String, parts: &[Scalar], operator: &str) -> Option<()> {
        if parts.is_empty() {
            return None;
        }
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                out.push_str(operator);
            }
            out.push('(');
            self.truth(out, part)?;
            out.push(')');
        }
        Some(())
    }

    fn text(&self, scalar: &Scalar) -> Option<String> {
        let mut out = String::new();
        self.value(&mut out, scalar)?;
        Some(out)
    }
}

/// Whether it is written as a condition, and not as a value.
fn is_truth(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Compare { .. }
        | Scalar::In { .. }
        | Scalar::IsNull(_)
        | Scalar::Like { .. }
        | Scalar::And(_)
        | Scalar::Or(_)
        | Scalar::Not(_)
        | Scalar::Exists(_) => true,
        Scalar::Column(_)
        | Scalar::Literal(_)
        | Scalar::ReadAs { .. }
        | Scalar::Bytewise(_)
        | Scalar::Arithmetic { .. }
        | Scalar::Cast { .. }
        | Scalar::Substring { .. }
        | Scalar::Case { .. }
        | Scalar::Aggregate { .. } => false,
    }
}

/// The sign of an operator.
pub fn sign(operator: Arithmetic) -> &'static str {
    match operator {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_name_closes_the_comment() {
        let sql = Sql("SELECT 1".to_owned());
        for principal in ["a*/ DROP TABLE t; /*", "é\n\0", "*/", "/*", "user:alice@acme"] {
            let label = QueryLabel { query_id: "q-1".to_owned(), principal: principal.to_owned() };
            let text = sql.labelled(&label);
            let inner = text.as_str().strip_prefix("/* weir query=q-1 principal=").unwrap();
            let word = inner.strip_suffix(" */ SELECT 1").unwrap();
            assert!(word.is_ascii() && !word.contains(['*', '/', ' ']), "{word:?}");
        }
        let label = QueryLabel { query_id: "1".into(), principal: "user:alice@acme".into() };
        assert_eq!(
            sql.labelled(&label).as_str(),
            "/* weir query=1 principal=user:alice@acme */ SELECT 1"
        );
    }
}
