//! The names of a query's columns.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, Function, FunctionArguments, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TrimWhereField, WildcardAdditionalOptions,
};

use super::{
    casts,
    scope::{OutputColumn, Scope, names, normalize, quoted},
};

/// The name that PostgreSQL gives to a column without an alias (FigureColname in parse_target.c).
pub fn output_name(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is better than the name of a type or of CASE.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: String| Some((name, true));
    match expr {
        Expr::Identifier(name) => strong(normalize(name)),
        Expr::CompoundIdentifier(parts) => strong(parts.last().map(normalize)?),
        Expr::CompoundFieldAccess { root, access_chain } => {
            use datafusion::sql::sqlparser::ast::AccessExpr;
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(field)) => Some(normalize(field)),
                _ => None,
            });
            field.map_or_else(|| figure(root), strong)
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(Function { name, args: FunctionArguments::Subquery(_), .. })
            if names(name).as_slice() == ["array"] =>
        {
            strong("array".to_owned())
        }
        // What stands for an operator has no name.
        Expr::Function(function) => match names(&function.name).pop()? {
            name if name.starts_with("weir_") => None,
            name => strong(name),
        },
        Expr::Cast { expr: inner, data_type, .. } => match figure(inner) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(data_type), false)),
        },
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".to_owned(), false)),
        Expr::Case { else_result, .. } => {
            match else_result.as_ref().and_then(|otherwise| figure(otherwise)) {
                Some((name, true)) => Some((name, true)),
                _ => Some(("case".to_owned(), false)),
            }
        }
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::ExprWithAlias { alias, .. } => strong(normalize(alias)),
                SelectItem::UnnamedExpr(expr) => strong(output_name(expr)),
                _ => None,
            },
            _ => None,
        },
        Expr::Exists { .. } => strong("exists".to_owned()),
        Expr::Array(_) => strong("array".to_owned()),
        Expr::Extract { .. } => strong("extract".to_owned()),
        Expr::Substring { shorthand, .. } => {
            strong(if *shorthand { "substr" } else { "substring" }.to_owned())
        }
        Expr::Position { .. } => strong("position".to_owned()),
        Expr::Overlay { .. } => strong("overlay".to_owned()),
        Expr::Ceil { .. } => strong("ceil".to_owned()),
        Expr::Floor { .. } => strong("floor".to_owned()),
        Expr::AtTimeZone { .. } => strong("timezone".to_owned()),
        Expr::Trim { trim_where, .. } => strong(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                Some(TrimWhereField::Both) | None => "btrim",
            }
            .to_owned(),
        ),
        _ => None,
    }
}

/// A type's `typname`, for the types that have another name in SQL.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Custom(name, _) => names(name).pop().unwrap_or_default(),
        DataType::Regclass => "regclass".to_owned(),
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(member, _)
            | ArrayElemTypeDef::AngleBracket(member)
            | ArrayElemTypeDef::Parenthesis(member),
        ) => type_name(member),
        DataType::Array(ArrayElemTypeDef::None) => "array".to_owned(),
        other => {
            let shown = other.to_string().to_ascii_lowercase();
            let base = shown.split('(').next().unwrap_or_default().trim();
            match base {
                "int" | "integer" => "int4",
                "smallint" => "int2",
                "bigint" => "int8",
                "boolean" => "bool",
                "real" => "float4",
                "double precision" | "float" => "float8",
                "decimal" => "numeric",
                "character varying" => "varchar",
                "char" | "character" => "bpchar",
                "timestamp with time zone" => "timestamptz",
                "timestamp without time zone" => "timestamp",
                other => other,
            }
            .to_owned()
        }
    }
}

/// Names the columns of a SELECT over system tables as PostgreSQL does, and tells repeated names
/// apart, which DataFusion demands. What goes to the client keeps its order: wildcards are spelled
/// out where they repeat a name.
pub fn name_items(select: &mut Select, scope: &Scope<'_>, is_outermost: bool) {
    if is_outermost {
        spell_out_wildcards(select, scope);
    }
    let mut taken = HashSet::new();
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = output_name(expr);
                let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let is_new = taken.insert(name.clone());
                // A column keeps its qualifier, by which ORDER BY may name it.
                if is_column && (is_new || !is_outermost) {
                    continue;
                }
                let alias = if is_new { name } else { numbered(&name, &mut taken) };
                let expr = super::rewrite::take_expr(expr);
                *item = SelectItem::ExprWithAlias { expr, alias: quoted(&alias) };
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                let name = normalize(alias);
                if !taken.insert(name.clone()) {
                    *alias = quoted(&numbered(&name, &mut taken));
                }
            }
            SelectItem::ExprWithAliases { .. }
            | SelectItem::QualifiedWildcard(_, _)
            | SelectItem::Wildcard(_) => {}
        }
    }
}

/// Names items by position, apart from the names that are there.
pub fn rename_items(select: &mut Select, renamed: Vec<(usize, String)>) {
    let mut taken = HashSet::new();
    for (position, item) in select.projection.iter().enumerate() {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => taken.insert(normalize(alias)),
            SelectItem::UnnamedExpr(expr)
                if renamed.iter().all(|(other, _)| *other != position) =>
            {
                taken.insert(output_name(expr))
            }
            _ => continue,
        };
    }
    for (position, name) in renamed {
        let name = if taken.insert(name.clone()) { name } else { numbered(&name, &mut taken) };
        if let SelectItem::UnnamedExpr(expr) = &mut select.projection[position] {
            let expr = super::rewrite::take_expr(expr);
            select.projection[position] = SelectItem::ExprWithAlias { expr, alias: quoted(&name) };
        }
    }
}

/// See [`super::shown_name`].
fn numbered(name: &str, taken: &mut HashSet<String>) -> String {
    let mut number = 1;
    loop {
        let candidate = format!("{name}\u{1}{number}");
        if taken.insert(candidate.clone()) {
            return candidate;
        }
        number += 1;
    }
}

fn spell_out_wildcards(select: &mut Select, scope: &Scope<'_>) {
    let has_wildcard = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::QualifiedWildcard(_, _) | SelectItem::Wildcard(_)));
    if !has_wildcard || select.projection.len() == 1 {
        return;
    }
    let items = std::mem::take(&mut select.projection);
    for item in items {
        let columns = match &item {
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) if *options == WildcardAdditionalOptions::default() => {
                columns_of(names(name).last(), scope)
            }
            SelectItem::Wildcard(options)
                if *options == WildcardAdditionalOptions::default() && !scope.merges_columns =>
            {
                columns_of(None, scope)
            }
            _ => None,
        };
        match columns {
            Some(columns) => select.projection.extend(columns),
            None => select.projection.push(item),
        }
    }
}

/// The columns of one relation, or of all.
fn columns_of(alias: Option<&String>, scope: &Scope<'_>) -> Option<Vec<SelectItem>> {
    let mut items = Vec::new();
    let wanted = |relation: &&super::scope::ScopeRelation| {
        alias.is_none_or(|alias| relation.alias == *alias)
    };
    for relation in scope.relations.iter().filter(wanted) {
        for column in relation.columns.as_ref()? {
            let parts = vec![quoted(&relation.alias), quoted(&column.name)];
            items.push(SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)));
        }
    }
    Some(items)
}

/// The columns that a finished SELECT offers to what is around it.
pub fn columns(select: &Select, scope: &Scope<'_>) -> Option<Vec<OutputColumn>> {
    let mut columns = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => columns.push(OutputColumn {
                name: output_name(expr),
                type_name: casts::output_type(expr, scope),
            }),
            SelectItem::ExprWithAlias { expr, alias } => columns.push(OutputColumn {
                name: normalize(alias),
                type_name: casts::output_type(expr, scope),
            }),
            SelectItem::ExprWithAliases { .. } => return None,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let alias = names(name).pop();
                let relation =
                    scope.relations.iter().find(|relation| Some(&relation.alias) == alias.as_ref());
                columns.extend(relation?.columns.clone()?);
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => {
                return None;
            }
            SelectItem::Wildcard(_) => {
                for relation in &scope.relations {
                    columns.extend(relation.columns.clone()?);
                }
            }
        }
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    #[test]
    fn names_are_those_of_postgresql() {
        for (sql, name) in [
            ("a.B", "b"),
            ("a.\"B\"", "B"),
            ("pg_catalog.Lower(x)", "lower"),
            ("1 + 1", "?column?"),
            ("NULL", "?column?"),
            ("'x'", "?column?"),
            ("'x'::text", "text"),
            ("1::int", "int4"),
            ("c.oid::regclass", "oid"),
            ("'x'::regclass", "regclass"),
            ("CASE WHEN a THEN 1 END", "case"),
            ("CASE WHEN a THEN 1 ELSE b END", "b"),
            ("(SELECT a.x FROM a)", "x"),
            ("ARRAY(SELECT 1)", "array"),
            ("ARRAY[1]", "array"),
            ("EXISTS(SELECT 1)", "exists"),
            ("(f(x)).n", "n"),
            ("(f(x))[1]", "f"),
            ("count(*)", "count"),
            ("true", "?column?"),
            ("substr(x, 1)", "substr"),
            (r"'{1}'::int[]", "int4"),
            ("trim(both '\"' from x)", "btrim"),
            ("current_user", "current_user"),
            ("NOT a", "?column?"),
        ] {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
            assert_eq!(output_name(&parser.parse_expr().unwrap()), name, "{sql}");
        }
    }
}
