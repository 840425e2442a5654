//! Which column a name in a statement means: just enough of name resolution to know the columns of
//! the system's own tables.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::relations::Relation;

/// The relations of one SELECT's FROM, and those of the SELECTs around it.
pub struct Scope<'p> {
    pub relations: Vec<ScopeRelation>,
    pub parent: Option<&'p Scope<'p>>,
    /// 0 for the outermost SELECT.
    pub level: usize,
    /// `USING` and `NATURAL` merge columns, which then have no one table.
    pub merges_columns: bool,
}

pub struct ScopeRelation {
    pub alias: String,
    /// The system relation that this is, unchanged.
    pub system: Option<&'static Relation>,
    /// `None`: a user's table, whose columns are not known here.
    pub columns: Option<Vec<OutputColumn>>,
    /// On the side of an outer join that can be missing.
    pub is_nullable: bool,
    /// Known to have no rows, for anybody.
    pub is_empty: bool,
    /// A system table, or made of one.
    pub touches_system: bool,
}

#[derive(Debug, Clone)]
pub struct OutputColumn {
    pub name: String,
    /// As in `pg_type.typname`, when known.
    pub type_name: Option<&'static str>,
}

/// What a name refers to.
pub struct Found<'s> {
    pub level: usize,
    pub relation: &'s ScopeRelation,
    pub position: usize,
    pub column: Option<&'s OutputColumn>,
}

impl ScopeRelation {
    pub fn column(&self, name: &str) -> Option<&OutputColumn> {
        self.columns.as_ref()?.iter().find(|column| column.name == name)
    }
}

impl Scope<'_> {
    /// Whether FROM has no table of a user.
    pub fn is_system(&self) -> bool {
        self.relations.iter().all(|relation| relation.columns.is_some())
    }

    /// Whether FROM reads system tables, and no table of a user.
    pub fn is_about_system(&self) -> bool {
        self.is_system() && self.touches_system()
    }

    pub fn touches_system(&self) -> bool {
        self.relations.iter().any(|relation| relation.touches_system)
    }

    /// Resolves `column` or `relation.column`.
    pub fn resolve(&self, names: &[Ident]) -> Option<Found<'_>> {
        let names = names.iter().map(normalize).collect::<Vec<_>>();
        match names.as_slice() {
            [column] => self.resolve_column(column),
            [relation, column] => self.resolve_qualified(relation, column),
            [schema, relation, column] => {
                let found = self.resolve_qualified(relation, column)?;
                found.relation.system.is_some_and(|system| system.schema == schema).then_some(found)
            }
            _ => None,
        }
    }

    fn resolve_qualified(&self, relation: &str, column: &str) -> Option<Found<'_>> {
        let position = self.relations.iter().position(|known| known.alias == relation);
        let Some(position) = position else {
            return self.parent?.resolve_qualified(relation, column);
        };
        let relation = &self.relations[position];
        let column = relation.column(column);
        Some(Found { level: self.level, relation, position, column })
    }

    fn resolve_column(&self, column: &str) -> Option<Found<'_>> {
        for (position, relation) in self.relations.iter().enumerate() {
            if let Some(column) = relation.column(column) {
                return Some(Found { level: self.level, relation, position, column: Some(column) });
            }
        }
        if self.relations.iter().any(|relation| relation.columns.is_none()) {
            return None;
        }
        self.parent?.resolve_column(column)
    }
}

/// A name as PostgreSQL reads it: folded to lower case unless quoted.
pub fn normalize(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_ascii_lowercase(),
    }
}

pub fn names(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(normalize).collect()
}

pub fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}
