//! Subqueries that stand for a value: `(SELECT …)` and `ARRAY(SELECT …)`.
//!
//! DataFusion plans a correlated one only when it is an aggregate whose correlation is equality.
//! Each is made such an aggregate: its rows are gathered in an array, of which a second element is
//! the error that PostgreSQL raises. Where the correlation is more than equality, the outer
//! system table is joined inside once more and matched by its key, which is exact because the key
//! is unique and never NULL; that needs a system table on the outside that no outer join extends.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, Distinct, DuplicateTreatment, Expr, FunctionArgumentClause,
        FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName, OrderBy, OrderByExpr,
        OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableAlias, TableFactor,
        TableWithJoins, Value, Visit, Visitor,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::{
    rewrite::{Rewriter, call, null, number},
    scope::{Scope, ScopeRelation, names, normalize, quoted},
};
use crate::error::{Error, ErrorKind, Result};

const ROWS: &str = "weir_rows";
const VALUE: &str = "weir_value";

impl Rewriter<'_> {
    /// `(SELECT …)`; `outer_is_empty` when there is no row to compute it for.
    pub fn scalar_subquery(
        &mut self,
        query: &mut Box<Query>,
        scope: &Scope<'_>,
        outer_is_empty: bool,
    ) -> Result<Expr> {
        let before = self.references.len();
        let shape = self.query(query, Some(scope))?;
        let used = self.references[before..].to_vec();
        let is_correlated = used.iter().any(|(level, _)| *level <= scope.level);
        if (is_correlated && outer_is_empty) || (shape.is_empty && !is_aggregate(query)) {
            let columns = shape.columns.unwrap_or_default();
            return Ok(match columns.first().and_then(|column| column.type_name) {
                Some("oid") => call("weir_oid", vec![null()]),
                Some("name") => call("weir_name", vec![null()]),
                Some("char") => call("weir_char", vec![null()]),
                _ => cast_null("TEXT"),
            });
        }
        let whole = |query: &mut Box<Query>| Ok(Expr::Subquery(query.clone()));
        let is_ours = shape.is_system && (shape.touches_system || scope.is_about_system());
        if !is_correlated || !is_ours || is_aggregate(query) {
            return whole(query);
        }
        let first_only = has_limit_one(query);
        if !(first_only || query.limit_clause.is_none() && query.fetch.is_none()) {
            return whole(query);
        }
        let Some(rows) = gather(query, scope, &used)? else { return whole(query) };
        let rows = Expr::Subquery(Box::new(rows));
        let value = if first_only {
            call("weir_element", vec![rows, number(1)])
        } else {
            call("weir_only", vec![rows])
        };
        // An array's elements have no type that only PostgreSQL has.
        let columns = shape.columns.unwrap_or_default();
        Ok(match columns.first().and_then(|column| column.type_name) {
            Some("oid") => call("weir_oid", vec![value]),
            Some("name") => call("weir_name", vec![value]),
            Some("char") => call("weir_char", vec![value]),
            _ => value,
        })
    }

    /// `ARRAY(SELECT …)`.
    pub fn array_subquery(
        &mut self,
        query: &mut Box<Query>,
        scope: &Scope<'_>,
        outer_is_empty: bool,
    ) -> Result<Expr> {
        let before = self.references.len();
        let shape = self.query(query, Some(scope))?;
        let used = self.references[before..].to_vec();
        let is_correlated = used.iter().any(|(level, _)| *level <= scope.level);
        let is_empty = shape.is_empty && !is_aggregate(query);
        let first = shape.columns.as_ref().and_then(|columns| columns.first());
        let is_name = first.is_some_and(|column| column.type_name == Some("name"));
        let rows = if is_empty || (is_correlated && outer_is_empty) {
            cast_null("TEXT[]")
        } else if query.limit_clause.is_none() && query.fetch.is_none() && !is_aggregate(query) {
            match gather(query, scope, &used)? {
                Some(rows) => Expr::Subquery(Box::new(rows)),
                None => Expr::Subquery(Box::new(gather_derived(query)?)),
            }
        } else {
            Expr::Subquery(Box::new(gather_derived(query)?))
        };
        let gathered = call("weir_or_empty", vec![rows]);
        Ok(if is_name { call("weir_names", vec![gathered]) } else { gathered })
    }
}

/// Makes a query of one value the array of its values. `None`: the query has a shape for which
/// that is not known to be right.
fn gather(query: &Query, scope: &Scope<'_>, used: &[(usize, usize)]) -> Result<Option<Query>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(None) };
    if query.with.is_some() || select.projection.len() != 1 {
        return Ok(None);
    }
    let (value, alias) = match &select.projection[0] {
        SelectItem::UnnamedExpr(value) => (value.clone(), None),
        SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), Some(normalize(alias))),
        _ => return Ok(None),
    };
    let is_distinct = match &select.distinct {
        None | Some(Distinct::All) => false,
        Some(Distinct::Distinct) => true,
        Some(Distinct::On(_)) => return Ok(None),
    };
    let Some(order) = order(query.order_by.as_ref(), &value, alias.as_deref()) else {
        return Ok(None);
    };
    let outer = used.iter().filter(|(level, _)| *level <= scope.level).collect::<Vec<_>>();
    if outer.iter().any(|(level, _)| *level < scope.level) {
        return Ok(None);
    }
    if outer.is_empty() || outer.len() == plain_equalities(select, scope) {
        let mut select = select.clone();
        select.distinct = None;
        select.projection = vec![SelectItem::UnnamedExpr(array_agg(value, order, is_distinct))];
        return Ok(Some(with_body(query, select)));
    }
    let positions = outer.iter().map(|(_, position)| *position).collect::<BTreeSet<_>>();
    let relations = positions.into_iter().map(|position| &scope.relations[position]);
    gather_by_key(query, select, (value, order, is_distinct), relations)
}

/// Joins the outer relations inside, and matches them by key.
fn gather_by_key<'s>(
    query: &Query,
    select: &Select,
    (value, order, is_distinct): (Expr, Vec<OrderByExpr>, bool),
    relations: impl Iterator<Item = &'s ScopeRelation>,
) -> Result<Option<Query>> {
    let mut inner = select.clone();
    inner.distinct = None;
    inner.projection = vec![aliased(value, VALUE)];
    let mut matches = Vec::new();
    for relation in relations {
        let (Some(system), false) = (relation.system, relation.is_nullable) else {
            return Ok(None);
        };
        let Some(key) = system.key() else { return Ok(None) };
        inner.from.insert(0, table(system.schema, system.name, &relation.alias));
        for column in key {
            let name = format!("weir_key_{}", matches.len());
            let outer = Expr::CompoundIdentifier(vec![quoted(&relation.alias), quoted(column)]);
            inner.projection.push(aliased(outer.clone(), &name));
            matches.push(equal(row_column(&name), outer));
        }
    }
    let mut outer_order = Vec::new();
    for mut item in order {
        let name = format!("weir_order_{}", outer_order.len());
        inner.projection.push(aliased(item.expr, &name));
        item.expr = row_column(&name);
        outer_order.push(item);
    }
    let mut gathered = derived(with_body(query, Box::new(inner)))?;
    let SetExpr::Select(outer) = gathered.body.as_mut() else { return Err(template()) };
    let aggregate = array_agg(row_column(VALUE), outer_order, is_distinct);
    outer.projection = vec![SelectItem::UnnamedExpr(aggregate)];
    outer.selection = matches.into_iter().reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    });
    Ok(Some(gathered))
}

/// The array of any query's values. The order of its rows is lost on the way, so that it must be one
/// that the values themselves have.
fn gather_derived(query: &Query) -> Result<Query> {
    let value = row_column(VALUE);
    let order = order(query.order_by.as_ref(), &value, output_name(&query.body).as_deref());
    let order =
        order.filter(|order| order.iter().all(|item| item.expr == value)).ok_or_else(|| {
            Error::new(
                ErrorKind::NotSupported,
                "this ORDER BY inside ARRAY(SELECT …) is not supported",
            )
            .with_hint("array_agg(… ORDER BY …) keeps an order.")
        })?;
    let mut gathered = select_value(query)?;
    let SetExpr::Select(outer) = gathered.body.as_mut() else { return Err(template()) };
    let aggregate = array_agg(value, order, false);
    outer.projection = vec![SelectItem::UnnamedExpr(aggregate)];
    Ok(gathered)
}

/// `SELECT weir_value FROM (query) AS weir_rows (weir_value)`.
pub fn select_value(query: &Query) -> Result<Query> {
    let mut outer_query = derived(query.clone())?;
    let SetExpr::Select(outer) = outer_query.body.as_mut() else { return Err(template()) };
    if let Some(TableFactor::Derived { alias: Some(alias), .. }) =
        outer.from.first_mut().map(|table| &mut table.relation)
    {
        alias.columns = vec![datafusion::sql::sqlparser::ast::TableAliasColumnDef {
            name: quoted(VALUE),
            data_type: None,
        }];
    }
    outer.projection = vec![SelectItem::UnnamedExpr(row_column(VALUE))];
    Ok(outer_query)
}

/// Moves what ORDER BY computes with a subquery among the columns, where the engine can plan it, and
/// the order around them. Other queries stay as they are.
pub fn order_outside(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
    let Some(order_by) = &mut query.order_by else { return Ok(()) };
    let OrderByKind::Expressions(order) = &mut order_by.kind else { return Ok(()) };
    let names = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some(super::output_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(normalize(alias)),
        _ => None,
    });
    let Some(names) = names.collect::<Option<Vec<_>>>() else { return Ok(()) };
    let mut finder = Subqueries { found: false };
    for item in order.iter() {
        let _ = item.expr.visit(&mut finder);
    }
    if !finder.found || select.distinct.is_some() {
        return Ok(());
    }
    for (position, item) in order.iter_mut().enumerate() {
        let is_output = match &item.expr {
            Expr::Value(_) => true,
            Expr::Identifier(name) => names.contains(&normalize(name)),
            _ => false,
        };
        if !is_output {
            let name = format!("weir_order_{position}");
            let expr = std::mem::replace(&mut item.expr, row_column(&name));
            select.projection.push(aliased(expr, &name));
        }
    }
    let inner = with_body(query, select_of(query)?);
    let mut outer = derived(Query { with: None, ..inner })?;
    let SetExpr::Select(around) = outer.body.as_mut() else { return Err(template()) };
    let column = |name: &String| {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![Ident::new(ROWS), quoted(name)]))
    };
    around.projection = names.iter().map(column).collect();
    query.body = outer.body;
    Ok(())
}

fn select_of(query: &Query) -> Result<Box<Select>> {
    match query.body.as_ref() {
        SetExpr::Select(select) => Ok(select.clone()),
        _ => Err(template()),
    }
}

/// Looks for a subquery.
struct Subqueries {
    found: bool,
}

impl Visitor for Subqueries {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> std::ops::ControlFlow<()> {
        self.found = true;
        std::ops::ControlFlow::Break(())
    }
}

/// `SELECT item`.
pub fn select_only(item: SelectItem) -> Result<Query> {
    let mut query = parse("SELECT 1")?;
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(template()) };
    select.projection = vec![item];
    Ok(query)
}

/// `SELECT … FROM (query) AS weir_rows`.
fn derived(query: Query) -> Result<Query> {
    let mut outer = parse("SELECT 1 FROM (SELECT 1) AS weir_rows")?;
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(TableFactor::Derived { subquery, .. }) =
            select.from.first_mut().map(|table| &mut table.relation)
    {
        **subquery = query;
        return Ok(outer);
    }
    Err(template())
}

fn table(schema: &str, name: &str, alias: &str) -> TableWithJoins {
    TableWithJoins {
        relation: TableFactor::Table {
            name: ObjectName::from(vec![quoted(schema), quoted(name)]),
            alias: Some(TableAlias {
                explicit: true,
                name: quoted(alias),
                columns: Vec::new(),
                at: None,
            }),
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        },
        joins: Vec::new(),
    }
}

fn parse(sql: &'static str) -> Result<Query> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(Error::internal)?;
    match statements.into_iter().next() {
        Some(Statement::Query(query)) => Ok(*query),
        _ => Err(template()),
    }
}

fn template() -> Error {
    Error::internal("a template of a query has lost its shape")
}

fn with_body(query: &Query, select: Box<Select>) -> Query {
    let mut query = query.clone();
    query.body = Box::new(SetExpr::Select(select));
    query.order_by = None;
    query.limit_clause = None;
    query.fetch = None;
    query
}

fn array_agg(value: Expr, order: Vec<OrderByExpr>, is_distinct: bool) -> Expr {
    let mut aggregate = call("array_agg", vec![value]);
    if let Expr::Function(function) = &mut aggregate
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.duplicate_treatment = is_distinct.then_some(DuplicateTreatment::Distinct);
        if !order.is_empty() {
            list.clauses.push(FunctionArgumentClause::OrderBy(order));
        }
    }
    aggregate
}

/// ORDER BY of the gathered value, with `1` and the alias spelled out.
fn order(
    order_by: Option<&OrderBy>,
    value: &Expr,
    alias: Option<&str>,
) -> Option<Vec<OrderByExpr>> {
    let Some(order_by) = order_by else { return Some(Vec::new()) };
    let OrderByKind::Expressions(expressions) = &order_by.kind else { return None };
    let mut order = expressions.clone();
    for item in &mut order {
        let is_value = match &item.expr {
            Expr::Value(number) => matches!(&number.value, Value::Number(text, _) if text == "1"),
            Expr::Identifier(name) => alias.is_some_and(|alias| normalize(name) == alias),
            _ => false,
        };
        if is_value {
            item.expr = value.clone();
        }
    }
    Some(order)
}

/// The name of a query's only column, where it is plain.
fn output_name(body: &SetExpr) -> Option<String> {
    match body {
        SetExpr::Select(select) => match &select.projection[..] {
            [SelectItem::ExprWithAlias { alias, .. }] => Some(normalize(alias)),
            [SelectItem::UnnamedExpr(Expr::Identifier(name))] => Some(normalize(name)),
            _ => None,
        },
        SetExpr::SetOperation { left, .. } => output_name(left),
        _ => None,
    }
}

/// How many conjuncts say `inner column = outer column`, or the other way round.
fn plain_equalities(select: &Select, scope: &Scope<'_>) -> usize {
    let mut inner = BTreeSet::new();
    for table in &select.from {
        add_aliases(&table.relation, &mut inner);
        for join in &table.joins {
            add_aliases(&join.relation, &mut inner);
        }
    }
    // The relation is what precedes the column, with or without its schema.
    let relation_of = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) => parts.iter().rev().nth(1).map(normalize),
        _ => None,
    };
    let is_inner = |expr: &Expr| relation_of(expr).is_some_and(|name| inner.contains(&name));
    let is_outer = |expr: &Expr| {
        relation_of(expr).is_some_and(|name| {
            !inner.contains(&name) && scope.relations.iter().any(|known| known.alias == name)
        })
    };
    let mut conjuncts = select.selection.iter().collect::<Vec<_>>();
    let mut count = 0;
    while let Some(conjunct) = conjuncts.pop() {
        match conjunct {
            Expr::Nested(inner) => conjuncts.push(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                conjuncts.extend([left.as_ref(), right.as_ref()]);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let is_plain =
                    (is_inner(left) && is_outer(right)) || (is_outer(left) && is_inner(right));
                count += usize::from(is_plain);
            }
            _ => {}
        }
    }
    count
}

fn add_aliases(factor: &TableFactor, aliases: &mut BTreeSet<String>) {
    match factor {
        TableFactor::Table { name, alias, .. } => {
            let own = names(name).pop();
            aliases.extend(alias.as_ref().map(|alias| normalize(&alias.name)).or(own));
        }
        TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => {
            aliases.extend(alias.as_ref().map(|alias| normalize(&alias.name)));
        }
        _ => {}
    }
}

/// Whether a query gives one row whatever its input, or one for each group.
fn is_aggregate(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let has_groups = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
    };
    let mut finder = Aggregates { found: false };
    for item in &select.projection {
        let _ = item.visit(&mut finder);
    }
    has_groups || select.having.is_some() || finder.found
}

/// Looks for a call of an aggregate. One in a subquery counts too, which only means that less is
/// rewritten.
struct Aggregates {
    found: bool,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> std::ops::ControlFlow<()> {
        if let Expr::Function(function) = expr
            && function.over.is_none()
        {
            let name = names(&function.name).pop().unwrap_or_default();
            self.found |= matches!(
                name.as_str(),
                "array_agg"
                    | "avg"
                    | "bool_and"
                    | "bool_or"
                    | "count"
                    | "every"
                    | "json_agg"
                    | "json_object_agg"
                    | "jsonb_agg"
                    | "jsonb_object_agg"
                    | "max"
                    | "min"
                    | "string_agg"
                    | "sum"
            );
        }
        std::ops::ControlFlow::Continue(())
    }
}

fn has_limit_one(query: &Query) -> bool {
    matches!(
        &query.limit_clause,
        Some(LimitClause::LimitOffset { limit: Some(Expr::Value(limit)), offset: None, limit_by })
            if limit_by.is_empty()
                && matches!(&limit.value, Value::Number(number, _) if number == "1")
    )
}

fn aliased(expr: Expr, alias: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::new(alias) }
}

fn row_column(name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::new(ROWS), Ident::new(name)])
}

fn equal(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Eq, right: Box::new(right) }
}

/// NULL of a type: what a value is that no row gives.
fn cast_null(data_type: &str) -> Expr {
    use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, CastKind, DataType};
    let text = DataType::Text;
    let data_type = match data_type {
        "TEXT[]" => DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(text), None)),
        _ => text,
    };
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(null()),
        data_type,
        array: false,
        format: None,
    }
}
