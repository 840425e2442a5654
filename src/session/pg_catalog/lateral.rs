//! `FROM t, unnest(t.c) AS u`: rows of a system table, each with the elements of one of its arrays.
//!
//! The engine has no such join, and an unnest among the columns of a SELECT: the table becomes a
//! query that has the elements as one more column.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        Expr, FunctionArg, FunctionArgExpr, Ident, JoinConstraint, JoinOperator, ObjectName,
        OrderBy, Query, Select, SelectItem, Statement, TableAlias, TableFactor, TableWithJoins,
        Value, VisitMut, VisitorMut,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::{
    relations::Relation,
    scope::{names, normalize, quoted},
};
use crate::error::{Error, Result};

/// One `unnest(owner.array) [WITH ORDINALITY] AS alias (element, position)`.
struct Unnested {
    alias: String,
    owner: Option<String>,
    array: String,
    element: String,
    position: Option<String>,
}

/// A system table in FROM.
struct Owner<'a> {
    alias: String,
    relation: &'static Relation,
    factor: &'a mut TableFactor,
}

/// Rewrites every such unnest of a SELECT. `find` says which system table a name means.
pub fn inline(
    select: &mut Select,
    mut order_by: Option<&mut OrderBy>,
    find: impl Fn(&[String]) -> Option<&'static Relation>,
) -> Result<()> {
    let shows_all = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    if shows_all {
        return Ok(());
    }
    while let Some((unnested, place)) = first(&select.from) {
        let Some(alias) = replace(&mut select.from, &unnested, &find)? else { return Ok(()) };
        match place {
            Place::Item(item) => drop(select.from.remove(item)),
            Place::Join(item, join) => drop(select.from[item].joins.remove(join)),
        }
        let mut rename = Rename { from: unnested.alias, to: quoted(&alias) };
        let _ = select.visit(&mut rename);
        if let Some(order_by) = order_by.as_deref_mut() {
            let _ = order_by.visit(&mut rename);
        }
    }
    Ok(())
}

enum Place {
    Item(usize),
    Join(usize, usize),
}

fn first(from: &[TableWithJoins]) -> Option<(Unnested, Place)> {
    for (item, table) in from.iter().enumerate() {
        if item > 0
            && table.joins.is_empty()
            && let Some(unnested) = unnested(&table.relation)
        {
            return Some((unnested, Place::Item(item)));
        }
        for (join, joined) in table.joins.iter().enumerate() {
            if is_unconditional(&joined.join_operator)
                && let Some(unnested) = unnested(&joined.relation)
            {
                return Some((unnested, Place::Join(item, join)));
            }
        }
    }
    None
}

fn is_unconditional(operator: &JoinOperator) -> bool {
    match operator {
        JoinOperator::CrossJoin(_) => true,
        JoinOperator::Join(JoinConstraint::On(condition))
        | JoinOperator::Inner(JoinConstraint::On(condition)) => {
            matches!(condition, Expr::Value(value) if value.value == Value::Boolean(true))
        }
        _ => false,
    }
}

fn unnested(factor: &TableFactor) -> Option<Unnested> {
    let (array, alias, has_position) = match factor {
        TableFactor::UNNEST { array_exprs, alias, with_offset: false, with_ordinality, .. } => {
            let [array] = array_exprs.as_slice() else { return None };
            (array, alias.as_ref(), *with_ordinality)
        }
        TableFactor::Table { name, alias, args: Some(arguments), with_ordinality, .. } => {
            (only_array(name, &arguments.args)?, alias.as_ref(), *with_ordinality)
        }
        TableFactor::Function { name, args, with_ordinality, alias, .. } => {
            (only_array(name, args)?, alias.as_ref(), *with_ordinality)
        }
        _ => return None,
    };
    let (owner, array) = match array {
        Expr::Identifier(column) => (None, normalize(column)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [owner, column] => (Some(normalize(owner)), normalize(column)),
            _ => return None,
        },
        _ => return None,
    };
    let named = |alias: Option<&TableAlias>, position: usize| {
        alias.and_then(|alias| alias.columns.get(position)).map(|column| normalize(&column.name))
    };
    let name = alias.map_or_else(|| "unnest".to_owned(), |alias| normalize(&alias.name));
    Some(Unnested {
        owner,
        array,
        element: named(alias, 0).unwrap_or_else(|| name.clone()),
        position: has_position.then(|| named(alias, 1).unwrap_or_else(|| "ordinality".to_owned())),
        alias: name,
    })
}

/// The argument of `unnest`, if this is a call of it.
fn only_array<'a>(name: &ObjectName, arguments: &'a [FunctionArg]) -> Option<&'a Expr> {
    let is_unnest = names(name).last().is_some_and(|name| name == "unnest");
    match arguments {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] if is_unnest => Some(array),
        _ => None,
    }
}

/// Makes the owner of the array a query; `None` where no system table owns it.
fn replace(
    from: &mut [TableWithJoins],
    unnested: &Unnested,
    find: &impl Fn(&[String]) -> Option<&'static Relation>,
) -> Result<Option<String>> {
    let factors = from.iter_mut().flat_map(|table| {
        std::iter::once(&mut table.relation)
            .chain(table.joins.iter_mut().map(|join| &mut join.relation))
    });
    let mut owners = factors.filter_map(|factor| {
        let TableFactor::Table { name, alias, args: None, .. } = &*factor else { return None };
        let parts = names(name);
        let relation = find(&parts)?;
        let alias = match alias {
            Some(alias) if alias.columns.is_empty() => normalize(&alias.name),
            Some(_) => return None,
            None => parts.last()?.clone(),
        };
        Some(Owner { alias, relation, factor })
    });
    let Some(owner) = owners.find(|owner| {
        unnested.owner.as_ref().is_none_or(|name| *name == owner.alias)
            && owner.relation.column(&unnested.array).is_some()
    }) else {
        return Ok(None);
    };
    let [alias, schema, table, array, element] = [
        &owner.alias,
        owner.relation.schema,
        owner.relation.name,
        &unnested.array,
        &unnested.element,
    ]
    .map(|name: &str| quoted(name).to_string());
    let sql = match &unnested.position {
        None => {
            format!(
                "SELECT *, unnest({alias}.{array}) AS {element} FROM {schema}.{table} AS {alias}"
            )
        }
        Some(position) => {
            let position = quoted(position);
            format!(
                "SELECT *, weir_entry['x'] AS {element}, \
                 CAST(weir_entry['n'] AS BIGINT) AS {position} \
                 FROM (SELECT *, unnest(weir_expandarray({alias}.{array})) AS weir_entry \
                 FROM {schema}.{table} AS {alias}) AS {alias}"
            )
        }
    };
    *owner.factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(parse(&sql)?),
        alias: Some(TableAlias {
            explicit: true,
            name: quoted(&owner.alias),
            columns: Vec::new(),
            at: None,
        }),
        sample: None,
    };
    Ok(Some(owner.alias))
}

fn parse(sql: &str) -> Result<Query> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(Error::internal)?;
    match statements.into_iter().next() {
        Some(Statement::Query(query)) => Ok(*query),
        _ => Err(Error::internal("a template of a query has lost its shape")),
    }
}

/// Columns of what was unnested are now columns of its owner.
struct Rename {
    from: String,
    to: Ident,
}

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && parts.len() == 2
            && normalize(&parts[0]) == self.from
        {
            parts[0] = self.to.clone();
        }
        ControlFlow::Continue(())
    }
}
