//! Turns a [`Query`] into the text of one dialect.
//!
//! Invariant: names and literals are written by the dialect's two writers and by nothing else, and
//! [`Sql`] is made only here. `None` means "not known, so not pushed", never "left out".

use std::fmt;

use crate::QueryLabel;

use super::ir::{Comparison, From, Literal, OrderBy, Pattern, Query, Scalar, TableName};

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

    /// What follows ORDER BY, with the spaces around it.
    fn limit(&self, out: &mut String, limit: Option<u64>, offset: Option<u64>) -> Option<()>;
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
    Renderer { dialect, pages }.level(&mut out, query)?;
    (out.len() <= dialect.limits().statement_bytes).then_some(Sql(out))
}

/// How many bytes the dialect needs for this predicate, if it can say it.
pub(super) fn rendered_bytes(dialect: &dyn Dialect, scalar: &Scalar) -> Option<usize> {
    let mut out = String::new();
    Renderer { dialect, pages: None }.scalar(&mut out, scalar)?;
    Some(out.len())
}

struct Renderer<'a> {
    dialect: &'a dyn Dialect,
    /// Of the table of a plain query.
    pages: Option<Pages>,
}

impl Renderer<'_> {
    fn level(&self, out: &mut String, query: &Query) -> Option<()> {
        out.push_str("SELECT");
        for (index, column) in query.columns.iter().enumerate() {
            out.push_str(if index == 0 { " " } else { ", " });
            self.scalar(out, &column.value)?;
            if column.value != Scalar::Column(column.name.clone()) {
                out.push_str(" AS ");
                self.dialect.identifier(out, &column.name)?;
            }
        }
        out.push_str(" FROM ");
        match &query.from {
            From::Table(TableName { schema, name }) => {
                self.dialect.identifier(out, schema)?;
                out.push('.');
                self.dialect.identifier(out, name)?;
            }
            From::Level(level) => {
                out.push('(');
                self.level(out, level)?;
                out.push_str(") AS ");
                self.dialect.identifier(out, "level")?;
            }
        }
        match (&query.filter, self.pages) {
            (None, None) => {}
            (Some(filter), None) => {
                out.push_str(" WHERE ");
                self.scalar(out, filter)?;
            }
            (None, Some(pages)) => {
                out.push_str(" WHERE ");
                self.dialect.pages(out, pages)?;
            }
            (Some(filter), Some(pages)) => {
                out.push_str(" WHERE (");
                self.scalar(out, filter)?;
                out.push_str(") AND ");
                self.dialect.pages(out, pages)?;
            }
        }
        self.order_by(out, &query.order_by)?;
        self.dialect.limit(out, query.limit, query.offset)
    }

    fn order_by(&self, out: &mut String, order_by: &[OrderBy]) -> Option<()> {
        for (index, key) in order_by.iter().enumerate() {
            out.push_str(if index == 0 { " ORDER BY " } else { ", " });
            self.scalar(out, &key.value)?;
            out.push_str(if key.is_descending { " DESC" } else { " ASC" });
            out.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
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
            Scalar::Compare { comparison, left, right } => {
                self.scalar(out, left)?;
                out.push_str(match comparison {
                    Comparison::Equal => " = ",
                    Comparison::NotEqual => " <> ",
                    Comparison::Less => " < ",
                    Comparison::LessOrEqual => " <= ",
                    Comparison::Greater => " > ",
                    Comparison::GreaterOrEqual => " >= ",
                });
                self.scalar(out, right)
            }
            Scalar::In { operand, list } => {
                if list.is_empty() || list.len() > self.dialect.limits().in_list {
                    return None;
                }
                self.scalar(out, operand)?;
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
                self.scalar(out, operand)?;
                out.push_str(" IS NULL");
                Some(())
            }
            Scalar::And(parts) => self.connect(out, parts, " AND "),
            Scalar::Or(parts) => self.connect(out, parts, " OR "),
            Scalar::Not(operand) => {
                out.push_str("NOT (");
                self.scalar(out, operand)?;
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
            self.scalar(out, part)?;
            out.push(')');
        }
        Some(())
    }

    fn text(&self, scalar: &Scalar) -> Option<String> {
        let mut out = String::new();
        self.scalar(&mut out, scalar)?;
        Some(out)
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
