//! Tells whoever runs weir why somebody sees what they see.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    Access, CasbinPolicy, ColumnAccess, Grant, Mask, ObjectPath, Policy, RowFilter,
    rules::{Action, Rule},
};
use crate::{auth::Principal, error::Result};

/// What `principal` sees of a table, with the rules that decided it.
pub fn tell(
    policy: &CasbinPolicy,
    principal: &Principal,
    table: &ObjectPath,
    columns: &[&str],
) -> Result<String> {
    let mut story = format!("table {table}\n");
    let Access::Granted(grant) = policy.access(principal, table, columns) else {
        story.push_str("  hidden\n");
        return Ok(story);
    };
    tell_rows(policy, principal, table, &grant, &mut story)?;
    for (verdict, named) in verdicts(policy, principal, table, columns, &grant)? {
        let noun = if named.len() == 1 { "column" } else { "columns" };
        story.push_str(&format!("  {noun} {}: {}\n", named.join(", "), verdict.shown));
        cite(policy, &verdict.lines, &mut story);
    }
    let may = |is_allowed: bool| if is_allowed { "yes" } else { "no" };
    let visible: Vec<&str> = columns
        .iter()
        .zip(&grant.columns)
        .filter(|(_, access)| **access != ColumnAccess::Hidden)
        .map(|(name, _)| *name)
        .collect();
    let _ =
        writeln!(story, "  COPY TO STDOUT: {}", may(policy.may_copy(principal, table, &visible)));
    let _ = writeln!(story, "  EXPLAIN: {}", may(policy.may_explain(principal, table)));
    Ok(story)
}

fn tell_rows(
    policy: &CasbinPolicy,
    principal: &Principal,
    table: &ObjectPath,
    grant: &Grant,
    story: &mut String,
) -> Result<()> {
    let mut lines = Vec::new();
    let mut others = Vec::new();
    for action in [Action::Filter, Action::Restrict] {
        let (mine, not_mine) = policy.cite(principal, &table.object(), action)?;
        lines.extend(mine.iter().map(|rule| rule.line));
        if action == Action::Filter {
            others.extend(not_mine.iter().map(|rule| rule.line));
        }
    }
    match &grant.row_filter {
        None => story.push_str("  rows: all\n"),
        Some(RowFilter::Sql(predicate)) => {
            let _ = writeln!(story, "  rows: {predicate}");
            cite(policy, &lines, story);
        }
        Some(RowFilter::Nothing) => {
            story.push_str("  rows: none, since the table has filters, and they are for others\n");
            cite(policy, &others, story);
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct ColumnVerdict {
    shown: String,
    lines: Vec<usize>,
}

/// Columns of one fate together, in the order of the first of each.
fn verdicts<'a>(
    policy: &CasbinPolicy,
    principal: &Principal,
    table: &ObjectPath,
    columns: &[&'a str],
    grant: &Grant,
) -> Result<Vec<(ColumnVerdict, Vec<&'a str>)>> {
    let mut verdicts: Vec<(ColumnVerdict, Vec<&str>)> = Vec::new();
    for (name, access) in columns.iter().zip(&grant.columns) {
        let verdict = verdict(policy, principal, table, name, access)?;
        match verdicts.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, names)) => names.push(name),
            None => verdicts.push((verdict, vec![name])),
        }
    }
    Ok(verdicts)
}

fn verdict(
    policy: &CasbinPolicy,
    principal: &Principal,
    table: &ObjectPath,
    column: &str,
    access: &ColumnAccess,
) -> Result<ColumnVerdict> {
    let object = table.column(column);
    let mut shown = match access {
        ColumnAccess::Visible => "shown".to_owned(),
        ColumnAccess::Hidden => "hidden".to_owned(),
        ColumnAccess::Masked(mask) => format!("masked by {}", shown_mask(mask)),
    };
    let mut lines = Vec::new();
    let actions: &[Action] = match access {
        ColumnAccess::Hidden => &[Action::Select],
        ColumnAccess::Visible | ColumnAccess::Masked(_) => {
            &[Action::Select, Action::Mask, Action::Unmask]
        }
    };
    for action in actions {
        let (mine, _) = policy.cite(principal, &object, *action)?;
        // A mask that an unmask lifts is part of the story; one without it is the mask itself.
        lines.extend(mine.iter().map(|rule| rule.line));
    }
    if *access == ColumnAccess::Hidden && lines.is_empty() {
        shown.push_str(", since no rule shows it");
    }
    if *access != ColumnAccess::Hidden && policy.may_leave(principal, table, column) {
        shown.push_str("; may be sent to a model");
    }
    Ok(ColumnVerdict { shown, lines })
}

fn shown_mask(mask: &Mask) -> String {
    match mask {
        Mask::Null => "null".to_owned(),
        Mask::Constant(text) => format!("const({text})"),
        Mask::Hmac(_) => "hmac".to_owned(),
        Mask::Partial { first, last } => format!("partial({first}, {last})"),
        Mask::Sql(sql) => sql.to_string(),
    }
}

/// Why `principal` does not see a table or a column, given as policies write it.
pub fn why_denied(policy: &CasbinPolicy, principal: &Principal, object: &str) -> Result<String> {
    let (mine, others) = policy.cite(principal, object, Action::Select)?;
    let (allows, denies): (Vec<&Rule>, Vec<&Rule>) = mine.iter().partition(|rule| rule.allows);
    let numbers = |rules: &[&Rule]| rules.iter().map(|rule| rule.line).collect::<Vec<_>>();
    let mut story = format!("{object}, for {}\n", shown_subjects(policy, principal));
    if !denies.is_empty() {
        story.push_str("  denied, and a deny wins over every allow:\n");
        cite(policy, &numbers(&denies), &mut story);
        return Ok(story);
    }
    if !allows.is_empty() {
        story.push_str("  not hidden by the policy, but shown:\n");
        cite(policy, &numbers(&allows), &mut story);
        return Ok(story);
    }
    story.push_str("  hidden: no rule allows select on it or on what is above it\n");
    let elsewhere: Vec<&Rule> = others.into_iter().filter(|rule| rule.allows).collect();
    if !elsewhere.is_empty() {
        story.push_str("  these rules allow it to others:\n");
        cite(policy, &numbers(&elsewhere), &mut story);
    }
    let subject = match principal.roles.first() {
        Some(role) => format!("role:{role}"),
        None => format!("user:{}", principal.name),
    };
    let _ = writeln!(story, "  what is missing: p, {subject}, *, {object}, select, , allow");
    Ok(story)
}

/// `user:alice of tenant acme, with role:analyst, role:staff`.
fn shown_subjects(policy: &CasbinPolicy, principal: &Principal) -> String {
    let user = format!("user:{}", principal.name);
    let tenant = principal.tenant.as_str();
    // By their distance, so that the nearest come first.
    let mut roles: BTreeMap<String, usize> = BTreeMap::new();
    for role in &principal.roles {
        roles.insert(format!("role:{role}"), 0);
    }
    let own: Vec<String> = std::iter::once(user.clone()).chain(roles.keys().cloned()).collect();
    for subject in own {
        for (role, hops, _) in policy.rules().roles_of(&subject, tenant) {
            roles.entry(role.to_owned()).or_insert(hops);
        }
    }
    let mut roles: Vec<(usize, String)> =
        roles.into_iter().map(|(name, hops)| (hops, name)).collect();
    roles.sort();
    let roles: Vec<String> = roles.into_iter().map(|(_, name)| name).collect();
    match roles.is_empty() {
        true => format!("{user} of tenant {tenant}, without a role"),
        false => format!("{user} of tenant {tenant}, with {}", roles.join(", ")),
    }
}

fn cite(policy: &CasbinPolicy, lines: &[usize], story: &mut String) {
    for line in lines {
        let text = policy.rules().lines.get(line).map_or("", String::as_str);
        let _ = writeln!(story, "    line {line}: {text}");
    }
}
