//! The text of a policy: strict, because Casbin itself ignores what it does not understand.
//!
//! Casbin drops unknown rule types and misspelt effects in silence, its CSV reader knows no `""`,
//! and a failed reload leaves no rules at all. So the file is read here first; one bad line refuses
//! the whole file, and the old policy stays.

use datafusion::sql::sqlparser::{ast::Expr, dialect::PostgreSqlDialect, parser::Parser};

use super::mask::Mask;

/// One `p` line.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub subject: String,
    pub domain: String,
    pub object: String,
    pub action: Action,
    pub argument: String,
    pub allows: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    Select,
    Filter,
    Restrict,
    Mask,
    Unmask,
    ExplainRemote,
    Monitor,
    Cancel,
    Admin,
}

impl Action {
    const ALL: &[(Action, &str)] = &[
        (Action::Select, "select"),
        (Action::Filter, "filter"),
        (Action::Restrict, "restrict"),
        (Action::Mask, "mask"),
        (Action::Unmask, "unmask"),
        (Action::ExplainRemote, "explain_remote"),
        (Action::Monitor, "monitor"),
        (Action::Cancel, "cancel"),
        (Action::Admin, "admin"),
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == word).map(|(action, _)| *action)
    }

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, name)| name)
    }
}

/// A whole policy file, understood.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub rules: Vec<Rule>,
    /// `g`: member, role, domain.
    pub memberships: Vec<[String; 3]>,
    /// `g2`: object, tag.
    pub tags: Vec<[String; 2]>,
}

impl Rules {
    /// Reads a whole file; every line that is not understood is in the error, with its number.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut rules = Self::default();
        let mut mistakes = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let outcome = split(line).and_then(|fields| rules.add(&fields));
            if let Err(mistake) = outcome {
                mistakes.push(format!("line {}: {mistake}", index + 1));
            }
        }
        if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
    }

    fn add(&mut self, fields: &[String]) -> Result<(), String> {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        match fields.as_slice() {
            ["p", subject, domain, object, action, argument, effect] => {
                self.rules.push(rule([subject, domain, object, action, argument, effect])?);
            }
            ["g", member, role, domain] => {
                check_prefix(member, &["user:", "svc:", "role:"])?;
                check_prefix(role, &["role:"])?;
                check_domain(domain)?;
                self.memberships.push([member, role, domain].map(|s| (*s).to_owned()));
            }
            ["g2", object, tag] => {
                check_object(object)?;
                check_prefix(tag, &["tag:"])?;
                self.tags.push([object, tag].map(|s| (*s).to_owned()));
            }
            [kind @ ("p" | "g" | "g2"), ..] => {
                let expected = match *kind {
                    "p" => "p, subject, domain, object, action, argument, effect",
                    "g" => "g, member, role, domain",
                    _ => "g2, object, tag",
                };
                return Err(format!("expected `{expected}`, found {} fields", fields.len()));
            }
            _ => return Err(format!("unknown rule type {:?}, expected p, g or g2", fields[0])),
        }
        Ok(())
    }
}

fn rule(fields: [&str; 6]) -> Result<Rule, String> {
    let [subject, domain, object, action, argument, effect] = fields;
    check_prefix(subject, &["user:", "svc:", "role:"])?;
    check_domain(domain)?;
    let Some(action) = Action::parse(action) else {
        let known: Vec<&str> = Action::ALL.iter().map(|(_, name)| *name).collect();
        return Err(format!("unknown action {action:?}, expected one of {}", known.join(", ")));
    };
    let is_server = object == "server" || object.starts_with("server.");
    match action {
        Action::Monitor | Action::Cancel | Action::Admin if is_server => {}
        Action::Monitor | Action::Cancel | Action::Admin => {
            return Err(format!("action {} applies to the object server", action.as_str()));
        }
        _ if object.starts_with("tag:") => {}
        _ => check_object(object)?,
    }
    let allows = match effect {
        "allow" => true,
        "deny" => false,
        _ => return Err(format!("unknown effect {effect:?}, expected allow or deny")),
    };
    match action {
        Action::Filter | Action::Restrict => {
            parse_predicate(argument)?;
        }
        Action::Mask => {
            Mask::parse(argument)?;
        }
        _ if !argument.is_empty() => {
            return Err(format!("action {} takes no argument", action.as_str()));
        }
        _ => {}
    }
    if !allows && matches!(action, Action::Filter | Action::Restrict | Action::Mask) {
        return Err(format!("action {} can't be denied", action.as_str()));
    }
    Ok(Rule {
        subject: subject.to_owned(),
        domain: domain.to_owned(),
        object: object.to_owned(),
        action,
        argument: argument.to_owned(),
        allows,
    })
}

/// Parses the argument of a `filter` or `restrict` rule.
pub fn parse_predicate(text: &str) -> Result<Expr, String> {
    let mut parser = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(50)
        .try_with_sql(text)
        .map_err(|error| format!("bad predicate: {error}"))?;
    let mut expression = parser.parse_expr().map_err(|error| format!("bad predicate: {error}"))?;
    parser
        .expect_token(&datafusion::sql::sqlparser::tokenizer::Token::EOF)
        .map_err(|error| format!("bad predicate: {error}"))?;
    crate::meaning::correct_syntax(&mut expression)
        .map_err(|error| format!("bad predicate: {error}"))?;
    Ok(expression)
}

fn check_prefix(name: &str, prefixes: &[&str]) -> Result<(), String> {
    let rest = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    if rest.is_some_and(|rest| !rest.is_empty()) {
        return Ok(());
    }
    Err(format!("{name:?} must start with {}", prefixes.join(" or ")))
}

fn check_domain(domain: &str) -> Result<(), String> {
    if domain.is_empty() { Err("empty domain, expected a tenant or *".to_owned()) } else { Ok(()) }
}

/// `catalog[.schema[.table[.column]]]`; a segment may be `*`.
fn check_object(object: &str) -> Result<(), String> {
    let segments: Vec<&str> = object.split('.').collect();
    if segments.len() > 4 || segments.iter().any(|segment| segment.is_empty()) {
        return Err(format!("bad object {object:?}, expected catalog.schema.table.column"));
    }
    Ok(())
}

/// Splits a line at its commas; a field in double quotes may hold commas, and `""` for a quote.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let field;
        (field, rest) = match rest.strip_prefix('"') {
            Some(quoted) => split_quoted(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end().to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(fields),
            None => return Err(format!("expected a comma before {rest:?}")),
        }
    }
}

fn split_quoted(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some(end) = rest.find('"') else { return Err("a quoted field has no end".to_owned()) };
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_is_not_understood_is_reported() {
        for (line, expected) in [
            ("q, a, b", "unknown rule type"),
            ("p, user:a, *, shop, select, allow", "found 6 fields"),
            ("p, alice, *, shop, select, , allow", "must start with"),
            ("p, user:a, *, shop, Select, , allow", "unknown action"),
            ("p, user:a, *, shop, select, , Deny", "unknown effect"),
            ("p, user:a, *, shop..t, select, , allow", "bad object"),
            ("p, user:a, *, a.b.c.d.e, select, , allow", "bad object"),
            ("p, user:a, *, shop, select, x, allow", "takes no argument"),
            ("p, user:a, *, shop.p.t, filter, \"region = \", allow", "bad predicate"),
            ("p, user:a, *, shop.p.t, filter, \"a = 1; b\", allow", "bad predicate"),
            ("p, user:a, *, shop.p.t, filter, a = 1, deny", "can't be denied"),
            ("p, user:a, *, shop.p.t.c, mask, blur, allow", "unknown mask"),
            ("p, user:a, *, shop, monitor, , allow", "applies to the object server"),
            ("p, user:a, *, \"shop, select, , allow", "has no end"),
            ("g, user:a, analyst, acme", "must start with"),
            ("g2, shop.public.t.c, pii", "must start with"),
        ] {
            let mistakes = Rules::parse(&format!("# comment\n{line}\n")).expect_err(line);
            assert!(mistakes[0].starts_with("line 2: "), "{mistakes:?}");
            assert!(mistakes[0].contains(expected), "{line}: {mistakes:?}");
        }
    }

    #[test]
    fn quoted_fields_hold_commas_and_quotes() {
        let rules =
            Rules::parse("p, user:a, *, s.p.t, filter, \"r IN ('a,b', '\"\"')\", allow").unwrap();
        assert_eq!(rules.rules[0].argument, "r IN ('a,b', '\"')");
    }
}
