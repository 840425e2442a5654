//! What a statement reads, found in the statement itself.
//!
//! Invariant: every table of a query is found, or the query is said to be unknown.

use std::collections::BTreeSet;

use super::ir::{From, Query, Scalar, TableName};

/// A level of a query that reads a table, and nothing besides.
#[derive(Debug)]
pub struct TableRead<'a> {
    pub table: &'a TableName,
    level: &'a Query,
}

/// Every table that a query reads, each occurrence by itself. `None`: a table has no level of its own,
/// so that nothing can be said of its columns.
pub fn tables_read(query: &Query) -> Option<Vec<TableRead<'_>>> {
    let mut found = Vec::new();
    of_query(query, &mut found).then_some(found)
}

impl<'a> TableRead<'a> {
    /// The names in the level once `conditions` are set aside, which its rows must meet; `None`: they
    /// need not.
    pub fn names_besides(&self, conditions: &[Scalar]) -> Option<BTreeSet<&'a str>> {
        let mut rest = Vec::new();
        self.level.filter.iter().for_each(|filter| conjuncts(filter, &mut rest));
        let mut demanded = Vec::new();
        conditions.iter().for_each(|condition| conjuncts(condition, &mut demanded));
        for condition in demanded {
            let place = rest.iter().position(|known| *known == condition)?;
            rest.swap_remove(place);
        }
        let mut names = BTreeSet::new();
        let mut name = |scalar: &'a Scalar| {
            if let Scalar::Column(column) = scalar {
                names.insert(column.as_str());
            }
        };
        rest.into_iter().for_each(|condition| each(condition, &mut name));
        besides_filter(self.level).for_each(|scalar| each(scalar, &mut name));
        Some(names)
    }
}

fn conjuncts<'a>(condition: &'a Scalar, found: &mut Vec<&'a Scalar>) {
    match condition {
        Scalar::And(parts) => parts.iter().for_each(|part| conjuncts(part, found)),
        other => found.push(other),
    }
}

fn of_query<'a>(query: &'a Query, found: &mut Vec<TableRead<'a>>) -> bool {
    if let From::Table(table) = &query.from {
        found.push(TableRead { table, level: query });
    } else if !of_from(&query.from, found) {
        return false;
    }
    query.filter.iter().chain(besides_filter(query)).all(|scalar| of_scalar(scalar, found))
}

fn of_from<'a>(from: &'a From, found: &mut Vec<TableRead<'a>>) -> bool {
    match from {
        From::Table(_) => false,
        From::Level(query) => of_query(query, found),
        From::Join { kind: _, left, right, on } => {
            of_from(left, found) && of_from(right, found) && of_scalar(on, found)
        }
        From::UnionAll(queries) => queries.iter().all(|query| of_query(query, found)),
    }
}

/// Queries inside an expression.
fn of_scalar<'a>(scalar: &'a Scalar, found: &mut Vec<TableRead<'a>>) -> bool {
    let mut is_known = true;
    each(scalar, &mut |scalar| {
        if let Scalar::Exists(query) = scalar {
            is_known &= of_query(query, found);
        }
    });
    is_known
}

fn besides_filter(query: &Query) -> impl Iterator<Item = &Scalar> {
    let Query { columns, from: _, filter: _, group_by, order_by, limit: _, offset: _ } = query;
    let columns = columns.iter().map(|column| &column.value);
    let keys = order_by.iter().map(|key| &key.value);
    columns.chain(group_by.iter().flatten()).chain(keys)
}

/// An expression and its parts. All that a query inside it names belongs to it as well: it may name the
/// columns of the level that asks.
fn each<'a>(scalar: &'a Scalar, visit: &mut impl FnMut(&'a Scalar)) {
    visit(scalar);
    parts(scalar).into_iter().for_each(|part| each(part, visit));
}

fn parts(scalar: &Scalar) -> Vec<&Scalar> {
    match scalar {
        Scalar::Column(_) | Scalar::Literal(_) => Vec::new(),
        Scalar::ReadAs { operand, form: _ }
        | Scalar::Bytewise(operand)
        | Scalar::In { operand, list: _ }
        | Scalar::IsNull(operand)
        | Scalar::Like { operand, pattern: _ }
        | Scalar::Not(operand)
        | Scalar::Cast { operand, to: _ }
        | Scalar::Substring { operand, start: _, length: _ } => vec![operand],
        Scalar::Compare { comparison: _, left, right }
        | Scalar::Arithmetic { operator: _, left, right } => vec![left, right],
        Scalar::And(parts) | Scalar::Or(parts) => parts.iter().collect(),
        Scalar::Exists(query) => of_levels(query),
        Scalar::Case { branches, otherwise } => {
            let branches = branches.iter().flat_map(|(when, then)| [when, then]);
            branches.chain(otherwise.iter().map(AsRef::as_ref)).collect()
        }
        Scalar::Aggregate { function: _, operand, is_distinct: _, filter } => {
            operand.iter().chain(filter).map(AsRef::as_ref).collect()
        }
    }
}

/// The expressions of a query and of all levels below it.
fn of_levels(query: &Query) -> Vec<&Scalar> {
    fn below<'a>(from: &'a From, found: &mut Vec<&'a Scalar>) {
        match from {
            From::Table(_) => {}
            From::Level(query) => found.extend(of_levels(query)),
            From::Join { kind: _, left, right, on } => {
                below(left, found);
                below(right, found);
                found.push(on);
            }
            From::UnionAll(queries) => {
                queries.iter().for_each(|part| found.extend(of_levels(part)))
            }
        }
    }
    let mut found: Vec<&Scalar> = query.filter.iter().chain(besides_filter(query)).collect();
    below(&query.from, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ir::{Comparison, JoinKind, Literal, Output};

    fn column(name: &str) -> Scalar {
        Scalar::Column(name.to_owned())
    }

    fn is_seven(name: &str) -> Scalar {
        let seven = Scalar::Literal(Literal::Integer { value: 7, bits: 32, is_signed: true });
        let (left, right) = (Box::new(column(name)), Box::new(seven));
        Scalar::Compare { comparison: Comparison::Equal, left, right }
    }

    fn table(name: &str, columns: &[&str], conditions: &[&str]) -> Query {
        let name = TableName { schema: "s".to_owned(), name: name.to_owned() };
        let output = |name: &&str| Output { value: column(name), name: format!("{name}_out") };
        let mut query = Query::all_of(From::Table(name));
        query.columns = columns.iter().map(output).collect();
        conditions.iter().for_each(|name| query.and(is_seven(name)));
        query
    }

    fn level(query: Query) -> From {
        From::Level(Box::new(query))
    }

    /// `table: names`, or `?` where the conditions are not met, once `tenant = 7` is set aside.
    fn shown(query: &Query) -> Option<Vec<String>> {
        let condition = [Scalar::And(vec![is_seven("tenant")])];
        let reads = tables_read(query)?.into_iter().map(|read| {
            let names = read.names_besides(&condition);
            let names = names.map(|names| names.into_iter().collect::<Vec<_>>().join(" "));
            format!("{}: {}", read.table.name, names.unwrap_or("?".to_owned()))
        });
        Some(reads.collect())
    }

    #[test]
    fn every_table_is_found_with_the_names_of_its_level() {
        let orders = || table("orders", &["id"], &["tenant", "region"]);
        assert_eq!(shown(&orders()).unwrap(), ["orders: id region"]);
        // The condition counts once.
        let twice = table("orders", &["id"], &["tenant", "tenant"]);
        assert_eq!(shown(&twice).unwrap(), ["orders: id tenant"]);
        assert_eq!(shown(&table("orders", &["id"], &["region"])).unwrap(), ["orders: ?"]);

        // On a level above it is another condition.
        let mut above = Query::all_of(level(table("orders", &["id"], &[])));
        above.and(is_seven("tenant"));
        assert_eq!(shown(&above).unwrap(), ["orders: ?"]);

        let (left, right) = (Box::new(level(orders())), Box::new(level(orders())));
        let mut partners = Query::all_of(level(table("staff", &["name"], &[])));
        partners.and(is_seven("salary"));
        let on = Scalar::Not(Box::new(Scalar::Exists(Box::new(partners))));
        let joined = Query::all_of(From::Join { kind: JoinKind::Left, left, right, on });
        let all = Query::all_of(From::UnionAll(vec![joined, orders()]));
        let met: BTreeSet<String> = shown(&all).unwrap().into_iter().collect();
        assert_eq!(Vec::from_iter(met), ["orders: id region", "staff: ?"]);

        let mut asks = orders();
        let mut partners = Query::all_of(level(table("staff", &["name"], &["tenant"])));
        partners.and(is_seven("secret"));
        asks.and(Scalar::Exists(Box::new(partners)));
        let met = shown(&asks).unwrap();
        assert_eq!(met[0], "orders: id name region secret tenant");
        assert_eq!(met[1], "staff: name");
    }

    #[test]
    fn a_table_without_a_level_of_its_own_is_unknown() {
        let name = TableName { schema: "s".to_owned(), name: "orders".to_owned() };
        let left = Box::new(From::Table(name));
        let right = Box::new(level(table("staff", &[], &[])));
        let on = is_seven("id");
        let joined = Query::all_of(From::Join { kind: JoinKind::Inner, left, right, on });
        assert!(shown(&joined).is_none());
    }
}
