//! The text of a policy: strict, because Casbin itself ignores what it does not understand.
//!
//! Casbin drops unknown rule types and misspelt effects in silence, its CSV reader knows no `""`,
//! roles deeper than nine hops vanish, and a failed reload leaves no rules at all. So the file is read
//! here first; one bad line refuses the whole file, and the old policy stays.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use datafusion::sql::sqlparser::ast::Expr;

use super::{expression, mask::MaskRule};
use crate::{config::AllowList, telemetry::Door};

/// Casbin follows a chain of roles so far, and forgets what is behind.
const MOST_HOPS: usize = 9;

/// One `p` line.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub line: usize,
    pub subject: String,
    pub domain: String,
    pub object: String,
    pub action: Action,
    /// As written; [`Rule::meaning`] is what it says.
    pub argument: String,
    pub meaning: Argument,
    pub allows: bool,
}

/// What the argument of a rule says, by its action.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    None,
    Predicate(Box<Expr>),
    Mask(MaskRule),
    /// From where; an empty list is everywhere.
    Networks(AllowList),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    Connect,
    Select,
    Filter,
    Restrict,
    Mask,
    Unmask,
    Execute,
    Egress,
    ExplainRemote,
    Copy,
    Cancel,
    Monitor,
    Admin,
    Insert,
    Update,
    Delete,
}

impl Action {
    pub const ALL: &[(Action, &str)] = &[
        (Action::Connect, "connect"),
        (Action::Select, "select"),
        (Action::Filter, "filter"),
        (Action::Restrict, "restrict"),
        (Action::Mask, "mask"),
        (Action::Unmask, "unmask"),
        (Action::Execute, "execute"),
        (Action::Egress, "egress"),
        (Action::ExplainRemote, "explain_remote"),
        (Action::Copy, "copy"),
        (Action::Cancel, "cancel"),
        (Action::Monitor, "monitor"),
        (Action::Admin, "admin"),
        (Action::Insert, "insert"),
        (Action::Update, "update"),
        (Action::Delete, "delete"),
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == word).map(|(action, _)| *action)
    }

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, name)| name)
    }

    /// Understood, and without effect: weir only reads.
    pub fn is_reserved(self) -> bool {
        matches!(self, Self::Insert | Self::Update | Self::Delete)
    }

    /// Does it speak of tables and columns?
    pub fn is_about_data(self) -> bool {
        match self {
            Self::Select
            | Self::Filter
            | Self::Restrict
            | Self::Mask
            | Self::Unmask
            | Self::Egress
            | Self::ExplainRemote
            | Self::Copy
            | Self::Insert
            | Self::Update
            | Self::Delete => true,
            Self::Connect | Self::Execute | Self::Cancel | Self::Monitor | Self::Admin => false,
        }
    }

    fn is_about_rows(self) -> bool {
        matches!(self, Self::Filter | Self::Restrict)
    }
}

/// `g`: a role for a member, in one tenant or (`*`) in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub line: usize,
    pub member: String,
    pub role: String,
    pub domain: String,
}

/// `g2`: a name for an object and all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub line: usize,
    pub object: String,
    pub tag: String,
}

/// A whole policy file, understood.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub rules: Vec<Rule>,
    pub memberships: Vec<Membership>,
    /// Positions in the list of memberships, by member.
    by_member: HashMap<String, Vec<usize>>,
    pub tags: Vec<Tag>,
    /// Every line that says something, by its number.
    pub lines: BTreeMap<usize, String>,
}

impl Rules {
    /// Reads a whole file; every line that is not understood is in the error, with its number.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut rules = Self::default();
        let mut mistakes = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            rules.lines.insert(number, line.to_owned());
            let outcome = split(line).and_then(|fields| rules.add(number, &fields));
            if let Err(mistake) = outcome {
                mistakes.push(format!("line {number}: {mistake}"));
            }
        }
        mistakes.extend(rules.circles());
        mistakes.extend(rules.chains_too_long());
        if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
    }

    fn add(&mut self, line: usize, fields: &[String]) -> Result<(), String> {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        match fields.as_slice() {
            ["p", subject, domain, object, action, argument, effect] => {
                let fields = [subject, domain, object, action, argument, effect];
                self.rules.push(rule(line, fields.map(|field| *field))?);
            }
            ["g", member, role, domain] => {
                check_prefix(member, &["user:", "svc:", "role:"])?;
                check_prefix(role, &["role:"])?;
                check_domain(domain)?;
                if *member == "role:public" {
                    return Err(
                        "role:public can't be a member: it is everybody, and a rule for it \
                                needs no role"
                            .to_owned(),
                    );
                }
                let [member, role, domain] = [member, role, domain].map(|s| (*s).to_owned());
                let position = self.memberships.len();
                self.by_member.entry(member.clone()).or_default().push(position);
                self.memberships.push(Membership { line, member, role, domain });
            }
            ["g2", object, tag] => {
                check_object(object)?;
                check_prefix(tag, &["tag:"])?;
                let [object, tag] = [object, tag].map(|s| (*s).to_owned());
                self.tags.push(Tag { line, object, tag });
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

    /// Every tenant that a line names.
    pub fn tenants(&self) -> BTreeSet<&str> {
        let ruled = self.rules.iter().map(|rule| rule.domain.as_str());
        let joined = self.memberships.iter().map(|membership| membership.domain.as_str());
        ruled.chain(joined).filter(|tenant| *tenant != "*").collect()
    }

    /// The roles of a member within a tenant (`*`: in every tenant alike), nearest first, each with
    /// its distance and the line that led to it.
    pub fn roles_of(&self, member: &str, tenant: &str) -> Vec<(&str, usize, usize)> {
        let mut found: Vec<(&str, usize, usize)> = Vec::new();
        let mut queue = VecDeque::from([(member, 0)]);
        while let Some((name, hops)) = queue.pop_front() {
            for position in self.by_member.get(name).into_iter().flatten() {
                let edge = &self.memberships[*position];
                let is_new = edge.role != member && !found.iter().any(|f| f.0 == edge.role);
                let is_here = edge.domain == "*" || edge.domain == tenant;
                if is_here && is_new {
                    found.push((&edge.role, hops + 1, edge.line));
                    queue.push_back((&edge.role, hops + 1));
                }
            }
        }
        found
    }

    fn circles(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for Membership { line, member, role, domain } in &self.memberships {
            let above = self.roles_of(role, domain);
            if member == role || above.iter().any(|(name, ..)| name == member) {
                mistakes.push(format!("line {line}: {member} and {role} are roles in a circle"));
            }
        }
        mistakes
    }

    fn chains_too_long(&self) -> Vec<String> {
        let all = self.tenants();
        let mut asked = BTreeSet::new();
        for Membership { member, domain, .. } in &self.memberships {
            asked.insert((member.as_str(), domain.as_str()));
            if domain == "*" {
                asked.extend(all.iter().map(|tenant| (member.as_str(), *tenant)));
            }
        }
        let mut mistakes = BTreeSet::new();
        for (member, tenant) in asked {
            for (role, hops, line) in self.roles_of(member, tenant) {
                if hops == MOST_HOPS + 1 {
                    mistakes.insert(format!(
                        "line {line}: {role} is more than {MOST_HOPS} roles away from {member}"
                    ));
                }
            }
        }
        mistakes.into_iter().collect()
    }
}

fn rule(line: usize, fields: [&str; 6]) -> Result<Rule, String> {
    let [subject, domain, object, action, argument, effect] = fields;
    check_prefix(subject, &["user:", "svc:", "role:"])?;
    check_domain(domain)?;
    let Some(action) = Action::parse(action) else {
        let known: Vec<&str> = Action::ALL.iter().map(|(_, name)| *name).collect();
        return Err(format!("unknown action {action:?}, expected one of {}", known.join(", ")));
    };
    check_place(action, object)?;
    let allows = match effect {
        "allow" => true,
        "deny" => false,
        _ => return Err(format!("unknown effect {effect:?}, expected allow or deny")),
    };
    let meaning = match action {
        Action::Filter | Action::Restrict => {
            Argument::Predicate(Box::new(expression::parse_predicate(argument)?))
        }
        // Nothing can be masked by a deny, and its argument could only mislead.
        Action::Mask => Argument::Mask(MaskRule::parse(argument)?),
        Action::Connect => Argument::Networks(networks(argument)?),
        _ if !argument.is_empty() => {
            return Err(format!("action {} takes no argument", action.as_str()));
        }
        _ => Argument::None,
    };
    if !allows && matches!(action, Action::Filter | Action::Restrict | Action::Mask) {
        return Err(format!("action {} can't be denied", action.as_str()));
    }
    Ok(Rule {
        line,
        subject: subject.to_owned(),
        domain: domain.to_owned(),
        object: object.to_owned(),
        action,
        argument: argument.to_owned(),
        meaning,
        allows,
    })
}

/// Each action has its own kind of object.
fn check_place(action: Action, object: &str) -> Result<(), String> {
    let expects = |what: &str| {
        Err(format!("action {} applies to {what}, not to {object:?}", action.as_str()))
    };
    match action {
        Action::Connect => {
            let is_door = object == "server" || Door::ALL.iter().any(|d| door_object(*d) == object);
            if is_door {
                Ok(())
            } else {
                expects("the object server, server.postgres or server.flight")
            }
        }
        Action::Execute => match object.strip_prefix("fn.") {
            Some(name) if !name.is_empty() && !name.contains('.') => Ok(()),
            _ => expects("a function: fn.NAME, or fn.* for all"),
        },
        Action::Monitor | Action::Cancel if object == "server" => Ok(()),
        Action::Monitor | Action::Cancel => expects("the object server"),
        Action::Admin if object == "server" || object == "server.users" => Ok(()),
        Action::Admin if object.starts_with("server.") => {
            expects("the object server, server.users or a catalog")
        }
        Action::Admin => check_object(object),
        _ if object.starts_with("tag:") => check_prefix(object, &["tag:"]),
        _ if action.is_about_rows() && object.split('.').count() > 3 => expects("whole tables"),
        _ => check_object(object),
    }
}

/// What rules on `connect` call a door.
pub fn door_object(door: Door) -> String {
    format!("server.{}", door.as_str())
}

fn networks(argument: &str) -> Result<AllowList, String> {
    let items = argument.split([',', ' ']).filter(|item| !item.is_empty());
    AllowList::parse(items).ok_or_else(|| {
        format!("bad addresses {argument:?}, expected some such as \"10.0.0.0/8, ::1\"")
    })
}

fn check_prefix(name: &str, prefixes: &[&str]) -> Result<(), String> {
    let rest = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    if rest.is_some_and(|rest| !rest.is_empty()) {
        return Ok(());
    }
    Err(format!("{name:?} must start with {}", prefixes.join(" or ")))
}

fn check_domain(domain: &str) -> Result<(), String> {
    match domain {
        "" => Err("empty domain, expected a tenant or *".to_owned()),
        // Casbin keeps tags, which have no tenant, under this name, in one graph with the roles.
        "DEFAULT" => Err("a tenant can't have the name DEFAULT".to_owned()),
        _ => Ok(()),
    }
}

/// `catalog[.schema[.table[.column]]]`; a segment may be `*`.
fn check_object(object: &str) -> Result<(), String> {
    let segments: Vec<&str> = object.split('.').collect();
    // A colon begins no catalog's name, but that of a role: roles and tags share one graph in Casbin.
    let is_catalog = segments.first().is_some_and(|first| !first.contains(':'));
    if !is_catalog || segments.len() > 4 || segments.iter().any(|segment| segment.is_empty()) {
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
            ("g, user:a, role:b, DEFAULT", "can't have the name DEFAULT"),
            ("g, role:a, role:a, acme", "role:a and role:a are roles in a circle"),
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
