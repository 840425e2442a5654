//! Walks a statement and turns PostgreSQL's own forms into ones that DataFusion plans.
//!
//! Invariant: the meaning stays. What is touched in any statement has one meaning in PostgreSQL
//! (`pg_catalog.lower(…)`, `OPERATOR(pg_catalog.~)`, `::regclass`); what depends on knowing a table
//! is done for system tables only, and everything else is left to be planned or refused as it is.

use std::{collections::HashMap, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart,
    OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement,
    Subscript, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value, Values,
    VisitMut, VisitorMut,
};

pub use super::output::output_name;
use super::{
    PgCatalog, casts, information_schema, lateral, output,
    relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation},
    scope::{OutputColumn, Scope, ScopeRelation, names, normalize, quoted},
    subqueries, tables,
};
use crate::error::{Error, ErrorKind, Result};

/// Parameters (`$1`) that are cast to a type which only PostgreSQL has, and the type's name.
pub type ParameterTypes = HashMap<String, &'static str>;

pub fn rewrite(catalog: &PgCatalog, statement: &mut Statement) -> Result<ParameterTypes> {
    let mut rewriter = Rewriter {
        database: &catalog.shown().database,
        tables: Vec::new(),
        references: Vec::new(),
        parameters: HashMap::new(),
    };
    match statement {
        Statement::Query(query) => rewriter.outermost(query)?,
        Statement::Explain { statement, .. } => return rewrite(catalog, statement),
        _ => {}
    }
    Ok(rewriter.parameters)
}

pub struct Rewriter<'a> {
    database: &'a str,
    /// Common table expressions in reach.
    tables: Vec<CommonTable>,
    /// Every use of a relation by a SELECT inside the one that has it: its level and position.
    pub references: Vec<(usize, usize)>,
    parameters: ParameterTypes,
}

struct CommonTable {
    name: String,
    columns: Option<Vec<OutputColumn>>,
    touches_system: bool,
}

/// What is known of a query once it has been walked.
pub struct Shape {
    pub columns: Option<Vec<OutputColumn>>,
    pub is_empty: bool,
    /// It reads system tables, functions and values, and no user's table.
    pub is_system: bool,
    pub touches_system: bool,
}

/// How a query's SELECTs are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its columns go to the client.
    Outermost,
    Inside,
}

impl Shape {
    /// Its columns, unless they are a user's.
    fn known_columns(self) -> Option<Vec<OutputColumn>> {
        self.columns.filter(|_| self.is_system)
    }
}

impl Rewriter<'_> {
    fn outermost(&mut self, query: &mut Query) -> Result<()> {
        self.query_at(query, None, Place::Outermost).map(|_| ())
    }

    pub fn query(&mut self, query: &mut Query, parent: Option<&Scope<'_>>) -> Result<Shape> {
        self.query_at(query, parent, Place::Inside)
    }

    fn query_at(
        &mut self,
        query: &mut Query,
        parent: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<Shape> {
        let tables_in_reach = self.tables.len();
        if let Some(with) = &mut query.with {
            for table in &mut with.cte_tables {
                let name = normalize(&table.alias.name);
                if with.recursive {
                    let name = name.clone();
                    self.tables.push(CommonTable { name, columns: None, touches_system: false });
                }
                let shape = self.query(&mut table.query, parent)?;
                let touches_system = shape.touches_system;
                let columns = if with.recursive { None } else { shape.known_columns() };
                let columns = columns.and_then(|columns| renamed(Some(columns), &table.alias));
                self.tables.push(CommonTable { name, columns, touches_system });
            }
        }
        let shape = match query.body.as_mut() {
            // ORDER BY sees the columns of FROM, so it is walked with the SELECT.
            SetExpr::Select(select) => {
                self.select(select, query.order_by.as_mut(), parent, place)?
            }
            other => self.set_expression(other, parent, place)?,
        };
        self.tables.truncate(tables_in_reach);
        if shape.touches_system {
            subqueries::order_outside(query)?;
        }
        Ok(shape)
    }

    fn set_expression(
        &mut self,
        body: &mut SetExpr,
        parent: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<Shape> {
        match body {
            SetExpr::Select(select) => self.select(select, None, parent, place),
            SetExpr::Query(query) => self.query_at(query, parent, place),
            SetExpr::SetOperation { left, right, .. } => {
                let left = self.set_expression(left, parent, place)?;
                let right = self.set_expression(right, parent, place)?;
                Ok(Shape {
                    columns: left.columns,
                    is_empty: false,
                    is_system: left.is_system && right.is_system,
                    touches_system: left.touches_system || right.touches_system,
                })
            }
            SetExpr::Values(values) => {
                let scope = Scope {
                    relations: Vec::new(),
                    parent,
                    level: level_below(parent),
                    merges_columns: false,
                };
                for row in &mut values.rows {
                    for expr in &mut row.content {
                        self.expr(expr, &scope, false)?;
                    }
                }
                Ok(Shape { columns: None, is_empty: false, is_system: true, touches_system: false })
            }
            SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => Ok(Shape {
                columns: None,
                is_empty: false,
                is_system: false,
                touches_system: false,
            }),
        }
    }

    fn select(
        &mut self,
        select: &mut Select,
        mut order_by: Option<&mut datafusion::sql::sqlparser::ast::OrderBy>,
        parent: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<Shape> {
        let mut scope = Scope {
            relations: Vec::new(),
            parent,
            level: level_below(parent),
            merges_columns: false,
        };
        lateral::inline(select, order_by.as_deref_mut(), |name| self.system_table(name))?;
        for table in &mut select.from {
            self.add_relations(table, &mut scope)?;
        }
        for table in &mut select.from {
            self.rewrite_joins(table, &scope)?;
        }
        let is_empty =
            scope.relations.iter().any(|relation| relation.is_empty && !relation.is_nullable);

        if scope.is_about_system() {
            output::name_items(select, &scope, place == Place::Outermost);
        }
        let mut yields_nothing = false;
        let is_grouped = !matches!(&select.group_by,
            datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(expressions, _)
                if expressions.is_empty());
        let mut changed = Vec::new();
        for (position, item) in select.projection.iter_mut().enumerate() {
            let (SelectItem::UnnamedExpr(expr)
            | SelectItem::ExprWithAlias { expr, .. }
            | SelectItem::ExprWithAliases { expr, .. }) = item
            else {
                continue;
            };
            let before = (place == Place::Outermost).then(|| expr.clone());
            yields_nothing |= replace_empty_set(expr);
            self.output(expr, &scope, is_empty)?;
            if scope.is_about_system() {
                casts::keep_type(expr, &scope, is_grouped);
            }
            if let Some(before) = before {
                casts::show(expr, &scope);
                if matches!(item, SelectItem::UnnamedExpr(expr) if *expr != before) {
                    changed.push((position, output_name(&before)));
                }
            }
        }
        // What we changed keeps the name that it would have had.
        output::rename_items(select, changed);
        if yields_nothing {
            select.selection = Some(boolean(false));
        }
        for expr in select.selection.iter_mut().chain(&mut select.having).chain(&mut select.qualify)
        {
            self.expr(expr, &scope, is_empty)?;
        }
        self.group_by(&mut select.group_by, &scope)?;
        if let Some(order_by) = order_by
            && let OrderByKind::Expressions(expressions) = &mut order_by.kind
        {
            for order in expressions {
                // A bare name is first an output column: leave it to be found there.
                if !matches!(order.expr, Expr::Identifier(_)) {
                    self.output(&mut order.expr, &scope, is_empty)?;
                }
            }
        }
        Ok(Shape {
            columns: output::columns(select, &scope),
            is_empty: is_empty || yields_nothing,
            is_system: scope.is_system(),
            touches_system: scope.touches_system(),
        })
    }

    fn group_by(
        &mut self,
        group_by: &mut datafusion::sql::sqlparser::ast::GroupByExpr,
        scope: &Scope<'_>,
    ) -> Result<()> {
        use datafusion::sql::sqlparser::ast::GroupByExpr;
        if let GroupByExpr::Expressions(expressions, _) = group_by {
            for expr in expressions {
                if !matches!(expr, Expr::Identifier(_)) {
                    self.expr(expr, scope, false)?;
                }
            }
        }
        Ok(())
    }

    fn add_relations(&mut self, table: &mut TableWithJoins, scope: &mut Scope<'_>) -> Result<()> {
        let first = scope.relations.len();
        self.add_relation(&mut table.relation, scope)?;
        for join in &mut table.joins {
            let joined = scope.relations.len();
            self.add_relation(&mut join.relation, scope)?;
            let (left_can_miss, right_can_miss) = match &join.join_operator {
                JoinOperator::Join(_)
                | JoinOperator::Inner(_)
                | JoinOperator::CrossJoin(_)
                | JoinOperator::Semi(_)
                | JoinOperator::LeftSemi(_)
                | JoinOperator::StraightJoin(_) => (false, false),
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                _ => (true, true),
            };
            for relation in &mut scope.relations[first..joined] {
                relation.is_nullable |= left_can_miss;
            }
            for relation in &mut scope.relations[joined..] {
                relation.is_nullable |= right_can_miss;
            }
            scope.merges_columns |= matches!(
                constraint(&join.join_operator),
                Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
            );
        }
        Ok(())
    }

    fn add_relation(&mut self, factor: &mut TableFactor, scope: &mut Scope<'_>) -> Result<()> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let relation = self.named_table(name, alias.as_ref());
                scope.relations.push(relation);
            }
            TableFactor::Table { name, alias, args: Some(arguments), .. } => {
                strip_schema(name);
                for argument in &mut arguments.args {
                    if let Some(expr) = argument_expr(argument) {
                        self.expr(expr, scope, false)?;
                        widen(expr);
                    }
                }
                let function = names(name).pop().unwrap_or_default();
                if arguments.args.is_empty()
                    && let Some(relation) = Relation::of_function(&function)
                {
                    return self.function_table(factor, relation, scope);
                }
                if function == "unnest" {
                    return self.unnest(factor, scope);
                }
                if !is_table_function(&function) {
                    scalar_table(factor, &function)?;
                    return self.add_relation(factor, scope);
                }
                if function == "generate_series" {
                    name_column(alias.as_mut());
                }
                scope.relations.push(ScopeRelation {
                    alias: alias.as_ref().map_or(function.clone(), |alias| normalize(&alias.name)),
                    system: None,
                    columns: function_columns(&function, alias.as_ref()),
                    is_nullable: false,
                    is_empty: is_empty_set(&function),
                    touches_system: false,
                });
            }
            TableFactor::UNNEST { .. } => self.add_unnest(factor, scope)?,
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let around = if *lateral { Some(&*scope) } else { scope.parent };
                let shape = self.query(subquery, around)?;
                let (is_empty, is_system) = (shape.is_empty, shape.is_system);
                let touches_system = shape.touches_system;
                let columns = shape.known_columns();
                scope.relations.push(ScopeRelation {
                    alias: alias.as_ref().map(|alias| normalize(&alias.name)).unwrap_or_default(),
                    system: None,
                    columns: match alias {
                        Some(alias) if is_system => renamed(columns, alias),
                        Some(_) | None => columns,
                    },
                    is_nullable: false,
                    is_empty,
                    touches_system,
                });
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.add_relations(table_with_joins, scope)?;
            }
            _ => scope.relations.push(ScopeRelation {
                alias: String::new(),
                system: None,
                columns: None,
                is_nullable: false,
                is_empty: false,
                touches_system: false,
            }),
        }
        Ok(())
    }

    fn common_table(&self, name: &str) -> Option<&CommonTable> {
        self.tables.iter().rev().find(|known| known.name == *name)
    }

    fn system_table(&self, name: &[String]) -> Option<&'static Relation> {
        match name {
            [table] if self.common_table(table).is_some() => None,
            [table] => Relation::find(PG_CATALOG, table),
            [schema, table] => Relation::find(schema, table),
            [database, schema, table] if *database == self.database => {
                Relation::find(schema, table)
            }
            _ => None,
        }
    }

    /// PostgreSQL looks into `pg_catalog` before the search path, so a bare name of a system table
    /// means that table; its name is completed.
    fn named_table(&self, name: &mut ObjectName, alias: Option<&TableAlias>) -> ScopeRelation {
        let parts = names(name);
        let alias_name = match alias {
            Some(alias) => normalize(&alias.name),
            None => parts.last().cloned().unwrap_or_default(),
        };
        let mut relation = ScopeRelation {
            alias: alias_name,
            system: None,
            columns: None,
            is_nullable: false,
            is_empty: false,
            touches_system: false,
        };
        if let [table] = parts.as_slice()
            && let Some(common) = self.common_table(table)
        {
            relation.columns.clone_from(&common.columns);
            relation.touches_system = common.touches_system;
        }
        let system = self.system_table(&parts);
        if let Some(system) = system {
            *name = ObjectName::from(vec![quoted(system.schema), quoted(system.name)]);
            let columns = system.columns.iter().map(|column| OutputColumn {
                name: column.name.to_owned(),
                type_name: Some(column.type_name),
            });
            relation.columns = Some(columns.collect());
            relation.is_empty = is_always_empty(system);
            relation.system = Some(system);
            relation.touches_system = true;
            if alias.is_some_and(|alias| !alias.columns.is_empty()) {
                relation.columns = None;
                relation.system = None;
            }
        }
        relation
    }

    /// A function whose rows are those of a system table.
    fn function_table(
        &mut self,
        factor: &mut TableFactor,
        relation: &'static Relation,
        scope: &mut Scope<'_>,
    ) -> Result<()> {
        let TableFactor::Table { name, alias, args, .. } = factor else { return Ok(()) };
        *args = None;
        if alias.is_none() {
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::new(relation.name.trim_end_matches("()")),
                columns: Vec::new(),
                at: None,
            });
        }
        *name = ObjectName::from(vec![quoted(relation.schema), quoted(relation.name)]);
        self.add_relation(factor, scope)
    }

    /// `pg_catalog.unnest(x) AS t(c)` is parsed as any function; DataFusion has a form for it.
    fn unnest(&mut self, factor: &mut TableFactor, scope: &mut Scope<'_>) -> Result<()> {
        let TableFactor::Table { alias, args: Some(arguments), with_ordinality, .. } = factor
        else {
            return Ok(());
        };
        let array_exprs = arguments.args.iter_mut().filter_map(argument_expr);
        let array_exprs = array_exprs.map(take_expr).collect();
        *factor = TableFactor::UNNEST {
            alias: alias.take(),
            array_exprs,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: *with_ordinality,
        };
        self.add_unnest(factor, scope)
    }

    fn add_unnest(&mut self, factor: &mut TableFactor, scope: &mut Scope<'_>) -> Result<()> {
        let TableFactor::UNNEST { alias, array_exprs, .. } = factor else { return Ok(()) };
        name_column(alias.as_mut());
        let mut is_empty = !array_exprs.is_empty();
        for expr in array_exprs {
            self.expr(expr, scope, false)?;
            is_empty &= is_always_null(expr, scope);
        }
        scope.relations.push(ScopeRelation {
            alias: alias
                .as_ref()
                .map_or_else(|| "unnest".to_owned(), |alias| normalize(&alias.name)),
            system: None,
            columns: function_columns("unnest", alias.as_ref()),
            is_nullable: false,
            is_empty,
            touches_system: false,
        });
        Ok(())
    }

    fn rewrite_joins(&mut self, table: &mut TableWithJoins, scope: &Scope<'_>) -> Result<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = &mut table.relation {
            self.rewrite_joins(table_with_joins, scope)?;
        }
        for join in &mut table.joins {
            if let TableFactor::NestedJoin { table_with_joins, .. } = &mut join.relation {
                self.rewrite_joins(table_with_joins, scope)?;
            }
            if let Some(JoinConstraint::On(expr)) = constraint_mut(&mut join.join_operator) {
                self.expr(expr, scope, false)?;
            }
        }
        Ok(())
    }

    /// Rewrites an expression of a SELECT; `is_empty` when that SELECT has no rows to compute it
    /// for.
    pub fn expr(&mut self, expr: &mut Expr, scope: &Scope<'_>, is_empty: bool) -> Result<()> {
        self.visit(expr, scope, is_empty, false)
    }

    /// As [`Rewriter::expr`], for one that is computed for the answer: the engine joins what WHERE
    /// has IN a query, and has no place for it elsewhere.
    fn output(&mut self, expr: &mut Expr, scope: &Scope<'_>, is_empty: bool) -> Result<()> {
        self.visit(expr, scope, is_empty, true)
    }

    fn visit(
        &mut self,
        expr: &mut Expr,
        scope: &Scope<'_>,
        is_empty: bool,
        is_output: bool,
    ) -> Result<()> {
        let done = Vec::new();
        let mut visitor = Expressions { rewriter: self, scope, is_empty, is_output, done };
        match expr.visit(&mut visitor) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }
}

/// Rewrites expressions from the leaves up. Parts that have a scope of their own (subqueries) are
/// done on the way down and hidden from the walk behind a placeholder.
struct Expressions<'r, 's, 'a> {
    rewriter: &'r mut Rewriter<'a>,
    scope: &'s Scope<'s>,
    is_empty: bool,
    is_output: bool,
    done: Vec<Option<Expr>>,
}

impl VisitorMut for Expressions<'_, '_, '_> {
    type Break = Box<Error>;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match self.scoped(expr) {
            Ok(Some(finished)) => {
                *expr = Expr::Identifier(placeholder(self.done.len()));
                self.done.push(Some(finished));
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Identifier(name) = &*expr
            && let Some(position) = placeholder_position(name)
            && let Some(finished) = self.done.get_mut(position).and_then(Option::take)
        {
            *expr = finished;
            return ControlFlow::Continue(());
        }
        if let Some((parameter, type_name)) = casts::parameter_type(expr) {
            self.rewriter.parameters.entry(parameter).or_insert(type_name);
        }
        match casts::rewrite(expr, self.scope).and_then(|()| rewrite_leaf_up(expr)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl Expressions<'_, '_, '_> {
    /// Finishes an expression that must not be walked plainly; `None` for all others.
    fn scoped(&mut self, expr: &mut Expr) -> Result<Option<Expr>> {
        let (scope, is_empty) = (self.scope, self.is_empty);
        match expr {
            Expr::Identifier(name) if placeholder_position(name).is_none() => {
                if let Some(call) = session_word(name) {
                    return Ok(Some(call));
                }
                Ok(self.column(std::slice::from_ref(name)))
            }
            Expr::CompoundIdentifier(parts) => Ok(self.column(parts)),
            Expr::Subquery(query) => {
                self.rewriter.scalar_subquery(query, scope, is_empty).map(Some)
            }
            Expr::Function(function) if is_array_subquery(function) => {
                let FunctionArguments::Subquery(query) = &mut function.args else {
                    return Ok(None);
                };
                self.rewriter.array_subquery(query, scope, is_empty).map(Some)
            }
            Expr::Exists { subquery, .. } => {
                self.rewriter.query(subquery, Some(scope))?;
                Ok(Some(take_expr(expr)))
            }
            Expr::InSubquery { expr: left, subquery, negated } => {
                self.rewriter.expr(left, scope, is_empty)?;
                if self.is_output && scope.is_about_system() {
                    let rows = self.rewriter.array_subquery(subquery, scope, is_empty)?;
                    let equal = call("weir_equals_any", vec![take_expr(left), rows]);
                    return Ok(Some(if *negated { not(equal) } else { equal }));
                }
                self.rewriter.query(subquery, Some(scope))?;
                drop_empty_branch(subquery);
                Ok(Some(take_expr(expr)))
            }
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                self.in_subquery(left, right, false)
            }
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
                self.in_subquery(left, right, true)
            }
            Expr::CompoundFieldAccess { .. } => self.field_access(expr),
            Expr::Function(function) if is_call(function, "generate_series") => self.series(expr),
            _ => Ok(None),
        }
    }

    fn in_subquery(
        &mut self,
        left: &mut Expr,
        right: &mut Expr,
        negated: bool,
    ) -> Result<Option<Expr>> {
        let Some(subquery) = subquery_of(right) else { return Ok(None) };
        self.rewriter.expr(left, self.scope, self.is_empty)?;
        self.rewriter.query(subquery, Some(self.scope))?;
        Ok(Some(Expr::InSubquery {
            expr: Box::new(take_expr(left)),
            subquery: subquery.clone(),
            negated,
        }))
    }

    /// A column: remembers its use across SELECTs, completes a bare name inside a subquery, and
    /// answers system columns.
    fn column(&mut self, parts: &[Ident]) -> Option<Expr> {
        let found = self.scope.resolve(parts)?;
        if found.level < self.scope.level {
            self.rewriter.references.push((found.level, found.position));
        }
        let last = parts.last()?;
        let Some(column) = found.column else {
            let system = found.relation.system.filter(|_| !found.relation.is_nullable)?;
            return match normalize(last).as_str() {
                "tableoid" => Some(call("weir_oid", vec![number(system.oid)])),
                _ => None,
            };
        };
        let is_bare = parts.len() == 1;
        if is_bare
            && self.scope.level > 0
            && !self.scope.merges_columns
            && !found.relation.alias.is_empty()
        {
            let names = vec![quoted(&found.relation.alias), quoted(&column.name)];
            return Some(Expr::CompoundIdentifier(names));
        }
        None
    }

    /// A set-returning function in the select list; DataFusion has one that gives an array.
    fn series(&mut self, expr: &mut Expr) -> Result<Option<Expr>> {
        if !self.scope.is_about_system() {
            return Ok(None);
        }
        let Expr::Function(function) = expr else { return Ok(None) };
        function.name = ObjectName::from(Ident::new("generate_series"));
        if let FunctionArguments::List(list) = &mut function.args {
            for argument in list.args.iter_mut().filter_map(argument_expr) {
                self.rewriter.expr(argument, self.scope, self.is_empty)?;
                widen(argument);
            }
        }
        Ok(Some(call("unnest", vec![take_expr(expr)])))
    }

    /// `relation.column[n]`, `(row).field`, `(f(x))[n]` over system tables.
    fn field_access(&mut self, expr: &mut Expr) -> Result<Option<Expr>> {
        if !self.scope.is_system() {
            return Ok(None);
        }
        let Expr::CompoundFieldAccess { root, access_chain } = expr else { return Ok(None) };
        let mut chain = std::mem::take(access_chain);
        if let Expr::Identifier(relation) = root.as_ref()
            && let Some(AccessExpr::Dot(Expr::Identifier(column))) = chain.first()
        {
            let parts = vec![relation.clone(), column.clone()];
            **root = Expr::CompoundIdentifier(parts);
            chain.remove(0);
        }
        self.rewriter.expr(root, self.scope, self.is_empty)?;
        let mut value = take_expr(root);
        for access in &mut chain {
            value = self.access(value, access)?;
        }
        Ok(Some(value))
    }

    /// `array[n]`, `(row).field`.
    fn access(&mut self, value: Expr, access: &mut AccessExpr) -> Result<Expr> {
        let access = match access {
            AccessExpr::Dot(Expr::Identifier(field)) => {
                AccessExpr::Subscript(Subscript::Index { index: text(&normalize(field)) })
            }
            AccessExpr::Subscript(Subscript::Index { index }) => {
                self.rewriter.expr(index, self.scope, self.is_empty)?;
                let is_text = matches!(index, Expr::Value(value)
                    if matches!(value.value, Value::SingleQuotedString(_)));
                let index = take_expr(index);
                if !is_text {
                    return Ok(call("weir_element", vec![value, index]));
                }
                AccessExpr::Subscript(Subscript::Index { index })
            }
            other => other.clone(),
        };
        Ok(match value {
            Expr::CompoundFieldAccess { root, mut access_chain } => {
                access_chain.push(access);
                Expr::CompoundFieldAccess { root, access_chain }
            }
            Expr::Nested(inner) => {
                Expr::CompoundFieldAccess { root: inner, access_chain: vec![access] }
            }
            root => Expr::CompoundFieldAccess { root: Box::new(root), access_chain: vec![access] },
        })
    }
}

/// What needs no names: functions, operators, collations.
fn rewrite_leaf_up(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Function(function) => {
            if names(&function.name).as_slice() == [INFORMATION_SCHEMA, "_pg_expandarray"] {
                function.name = ObjectName::from(Ident::new("weir_expandarray"));
                *expr = call("unnest", vec![take_expr(expr)]);
                return Ok(());
            }
            if let Some(column) = true_type(function) {
                *expr = column;
                return Ok(());
            }
            strip_schema(&mut function.name);
            let name = names(&function.name).pop().unwrap_or_default();
            if matches!(function.args, FunctionArguments::None) && session_function(&name) {
                *expr = call(&name, Vec::new());
            } else if name == "generate_subscripts" && function.over.is_none() {
                function.name = ObjectName::from(Ident::new("weir_subscripts"));
                *expr = call("unnest", vec![take_expr(expr)]);
            }
        }
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(parts) = op {
                *op = operator(parts)?;
            }
        }
        Expr::Collate { expr: inner, collation } => {
            let parts = names(collation);
            let name = parts.last().map(String::as_str).unwrap_or_default();
            let is_ours = parts.len() == 1 || parts[0] == PG_CATALOG;
            // Text is compared byte by byte here, which is what these say.
            if !is_ours || !matches!(name, "default" | "C" | "POSIX" | "ucs_basic") {
                let message = format!("collation \"{name}\" is not supported");
                return Err(Error::new(ErrorKind::NotSupported, message));
            }
            *expr = take_expr(inner);
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
            if let Some(equal) = equals_any(left, right, false) {
                *expr = equal;
            }
        }
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
            if let Some(differ) = equals_any(left, right, true) {
                *expr = differ;
            }
        }
        _ => {}
    }
    Ok(())
}

/// `x = ANY (array)`: a list where the array is written out. A parameter keeps its form, because its
/// type is not known here.
fn equals_any(left: &mut Expr, right: &mut Expr, negated: bool) -> Option<Expr> {
    while let Expr::Nested(inner) = right {
        *right = take_expr(inner);
    }
    if matches!(right, Expr::Value(value) if matches!(value.value, Value::Placeholder(_))) {
        return None;
    }
    // Its elements take the type of what they are compared with, as in a list.
    if let Some(array) = casts::array_literal(right, None) {
        *right = array;
        if matches!(right, Expr::Array(array) if array.elem.is_empty()) {
            return Some(boolean(negated));
        }
    }
    if let Expr::Array(array) = right
        && !array.elem.is_empty()
    {
        return Some(Expr::InList {
            expr: Box::new(take_expr(left)),
            list: std::mem::take(&mut array.elem),
            negated,
        });
    }
    let equal = call("weir_equals_any", vec![take_expr(left), take_expr(right)]);
    Some(if negated { not(equal) } else { equal })
}

fn not(expr: Expr) -> Expr {
    let op = datafusion::sql::sqlparser::ast::UnaryOperator::Not;
    Expr::UnaryOp { op, expr: Box::new(expr) }
}

/// `OPERATOR(pg_catalog.~)`.
fn operator(parts: &[String]) -> Result<BinaryOperator> {
    let name = match parts {
        [schema, name] if schema.eq_ignore_ascii_case(PG_CATALOG) => name.as_str(),
        [name] => name.as_str(),
        _ => "",
    };
    Ok(match name {
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        "&" => BinaryOperator::BitwiseAnd,
        "|" => BinaryOperator::BitwiseOr,
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        _ => {
            let message = format!("operator {} is not supported", parts.join("."));
            return Err(Error::new(ErrorKind::NotSupported, message));
        }
    })
}

/// Words that are functions without parentheses.
fn session_function(name: &str) -> bool {
    matches!(
        name,
        "current_catalog"
            | "current_role"
            | "current_schema"
            | "current_user"
            | "session_user"
            | "user"
    )
}

/// A reserved word of PostgreSQL that sqlparser reads as a column's name.
fn session_word(name: &Ident) -> Option<Expr> {
    let word = name.value.to_ascii_lowercase();
    (name.quote_style.is_none() && session_function(&word)).then(|| call(&word, Vec::new()))
}

/// `information_schema._pg_truetypid(a.*, t.*)`, and the modifier. It is a domain's base type for a
/// column of a domain; `pg_type` has no domains.
fn true_type(function: &Function) -> Option<Expr> {
    let column = match names(&function.name).last().map(String::as_str) {
        Some("_pg_truetypid") => "atttypid",
        Some("_pg_truetypmod") => "atttypmod",
        _ => return None,
    };
    let FunctionArguments::List(list) = &function.args else { return None };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(relation))) =
        list.args.first()
    else {
        return None;
    };
    let relation = names(relation).pop()?;
    Some(Expr::CompoundIdentifier(vec![quoted(&relation), quoted(column)]))
}

/// `pg_catalog.lower` is `lower`: DataFusion's functions have no schema.
fn strip_schema(name: &mut ObjectName) {
    if let [schema, function] = name.0.as_slice()
        && schema.as_ident().is_some_and(|schema| {
            [PG_CATALOG, INFORMATION_SCHEMA].contains(&normalize(schema).as_str())
        })
    {
        *name = ObjectName(vec![function.clone()]);
    }
}

fn is_table_function(function: &str) -> bool {
    matches!(function, "generate_series" | "range") || is_empty_set(function)
}

/// `FROM f(x) AS t (c)`, where f gives one value: a table of one row.
fn scalar_table(factor: &mut TableFactor, function: &str) -> Result<()> {
    let TableFactor::Table { name, alias, args: Some(arguments), .. } = factor else {
        return Ok(());
    };
    let mut alias = alias.take();
    let column = match alias.as_ref() {
        Some(alias) if !alias.columns.is_empty() => alias.columns[0].name.clone(),
        Some(alias) => alias.name.clone(),
        None => Ident::new(function),
    };
    if let Some(alias) = alias.as_mut().filter(|alias| alias.columns.len() == 1) {
        alias.columns.clear();
    }
    let arguments = arguments.args.iter_mut().filter_map(argument_expr).map(take_expr);
    let mut expr = call(function, arguments.collect());
    if let Expr::Function(function) = &mut expr {
        function.name.clone_from(name);
    }
    let item = SelectItem::ExprWithAlias { expr, alias: column };
    *factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subqueries::select_only(item)?),
        alias,
        sample: None,
    };
    Ok(())
}

/// Functions that return a set of rows about something that does not exist here.
fn is_empty_set(function: &str) -> bool {
    matches!(function, "pg_partition_ancestors" | "pg_partition_tree")
}

/// `SELECT pg_partition_ancestors(…)` has no rows.
fn replace_empty_set(expr: &mut Expr) -> bool {
    let Expr::Function(function) = &*expr else { return false };
    let is_empty = names(&function.name).pop().is_some_and(|name| is_empty_set(&name));
    if is_empty {
        *expr = call("weir_oid", vec![number(0)]);
    }
    is_empty
}

/// `generate_series` takes nothing narrower than 64 bits.
fn widen(expr: &mut Expr) {
    let is_bound = matches!(expr, Expr::Function(function)
        if is_call(function, "array_upper") || is_call(function, "array_lower"));
    if is_bound {
        *expr = casts::plain(take_expr(expr), DataType::BigInt(None));
    }
}

/// Columns of system tables that are NULL in every row.
fn is_always_null(expr: &Expr, scope: &Scope<'_>) -> bool {
    let Expr::CompoundIdentifier(parts) = expr else { return false };
    scope.resolve(parts).is_some_and(|found| {
        let table = found.relation.system.map(|system| system.name);
        let column = found.column.map(|column| column.name.as_str());
        matches!((table, column), (Some("pg_class"), Some("reloptions")))
    })
}

fn is_always_empty(relation: &Relation) -> bool {
    match relation.schema {
        INFORMATION_SCHEMA => !information_schema::has_rows(relation.name),
        _ => tables::is_always_empty(relation),
    }
}

fn is_array_subquery(function: &Function) -> bool {
    matches!(function.args, FunctionArguments::Subquery(_))
        && names(&function.name).as_slice() == ["array"]
}

/// The query of `ANY (SELECT …)` or `ANY (ARRAY(SELECT …))`.
fn subquery_of(expr: &mut Expr) -> Option<&mut Box<Query>> {
    match expr {
        Expr::Subquery(query) => Some(query),
        Expr::Nested(inner) => subquery_of(inner),
        Expr::Function(function) if is_array_subquery(function) => match &mut function.args {
            FunctionArguments::Subquery(query) => Some(query),
            FunctionArguments::None | FunctionArguments::List(_) => None,
        },
        _ => None,
    }
}

fn argument_expr(argument: &mut FunctionArg) -> Option<&mut Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

/// The one column of `unnest(…) AS a` is `a` too.
fn name_column(alias: Option<&mut TableAlias>) {
    if let Some(alias) = alias
        && alias.columns.is_empty()
    {
        let name = alias.name.clone();
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
}

/// The columns of a function in FROM: those of its alias, or one of its own name.
fn function_columns(function: &str, alias: Option<&TableAlias>) -> Option<Vec<OutputColumn>> {
    let unknown = |name| OutputColumn { name, type_name: None };
    Some(match alias {
        Some(alias) if !alias.columns.is_empty() => {
            alias.columns.iter().map(|column| unknown(normalize(&column.name))).collect()
        }
        Some(alias) => vec![unknown(normalize(&alias.name))],
        None => vec![unknown(function.to_owned())],
    })
}

fn renamed(columns: Option<Vec<OutputColumn>>, alias: &TableAlias) -> Option<Vec<OutputColumn>> {
    let mut columns = match (columns, alias.columns.is_empty()) {
        (None, true) => return None,
        (columns, _) => columns.unwrap_or_default(),
    };
    for (position, name) in alias.columns.iter().enumerate() {
        let name = normalize(&name.name);
        match columns.get_mut(position) {
            Some(column) => column.name = name,
            None => columns.push(OutputColumn { name, type_name: None }),
        }
    }
    Some(columns)
}

fn level_below(parent: Option<&Scope<'_>>) -> usize {
    parent.map_or(0, |parent| parent.level + 1)
}

fn placeholder(position: usize) -> Ident {
    Ident::new(format!("\u{1}{position}"))
}

fn placeholder_position(name: &Ident) -> Option<usize> {
    name.value.strip_prefix('\u{1}')?.parse().ok()
}

pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    use datafusion::sql::sqlparser::ast::FunctionArgumentList;
    let arguments = arguments.into_iter().map(FunctionArgExpr::Expr).map(FunctionArg::Unnamed);
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).with_empty_span())
}

pub fn number(number: i64) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).with_empty_span())
}

pub fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).with_empty_span())
}

pub fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

fn is_call(function: &Function, name: &str) -> bool {
    function.over.is_none() && names(&function.name).last().is_some_and(|last| last == name)
}

/// In `IN (SELECT … WHERE false UNION ALL …)` only the second part has rows. DataFusion 55 loses
/// track of the column's name when it finds that out itself.
fn drop_empty_branch(query: &mut Query) {
    let SetExpr::SetOperation { left, op, set_quantifier, right } = query.body.as_mut() else {
        return;
    };
    let is_union_all = *op == SetOperator::Union && *set_quantifier == SetQuantifier::All;
    let is_empty = matches!(left.as_ref(), SetExpr::Select(select)
        if select.selection == Some(boolean(false)));
    if is_union_all && is_empty && query.order_by.is_none() {
        let nothing = Values { explicit_row: false, value_keyword: false, rows: Vec::new() };
        let right = std::mem::replace(right.as_mut(), SetExpr::Values(nothing));
        let is_values = matches!(right, SetExpr::Values(_));
        *query.body = right;
        if is_values && let Ok(select) = subqueries::select_value(query) {
            *query = select;
        }
    }
}

/// Moves an expression out, leaving NULL.
pub fn take_expr(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, null())
}
