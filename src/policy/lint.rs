//! Finds lines of a policy that are understood and yet can't be what was meant: those that do nothing,
//! and those that do more than they seem to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use datafusion::{arrow::datatypes::SchemaRef, common::DFSchema};

use super::{
    CasbinPolicy, ObjectPath, expression,
    index::object_matches,
    mask::MaskRule,
    planner,
    rules::{Action, Argument, Rule, Rules, door_object},
};
use crate::{
    auth::{Principal, RoleName, TenantName, UserName},
    telemetry::Door,
};

/// What a line is held against. What is not known is `None` or absent, and nothing is said of it.
#[derive(Debug, Default)]
pub struct Known {
    pub users: Option<Vec<Principal>>,
    /// Every configured catalog by its name.
    pub catalogs: Option<BTreeSet<String>>,
    /// Of the catalogs that could be read.
    pub tables: Vec<KnownTable>,
}

#[derive(Debug, Clone)]
pub struct KnownTable {
    pub path: ObjectPath,
    pub columns: SchemaRef,
}

/// One line, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    pub line: usize,
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Looks at every line; the warnings are in the order of the lines.
pub fn lint(policy: &CasbinPolicy, known: &Known) -> Vec<Warning> {
    let mut lint = Lint { rules: policy.rules(), known, found: BTreeSet::new() };
    lint.repeats();
    lint.roles();
    lint.subjects();
    lint.tags();
    lint.places();
    lint.effects();
    lint.doors();
    lint.predicates();
    lint.masks();
    lint.found.into_iter().collect()
}

struct Lint<'a> {
    rules: &'a Rules,
    known: &'a Known,
    found: BTreeSet<Warning>,
}

impl<'a> Lint<'a> {
    fn warn(&mut self, line: usize, text: impl Into<String>) {
        self.found.insert(Warning { line, text: text.into() });
    }

    fn repeats(&mut self) {
        let rules = self.rules.rules.iter().map(|rule| {
            let effect = if rule.allows { "allow" } else { "deny" };
            let fields = [&rule.subject, &rule.domain, &rule.object, rule.action.as_str()];
            (rule.line, [&fields[..], &[&rule.argument, effect]].concat().join("\u{1}"))
        });
        let memberships = self.rules.memberships.iter();
        let memberships =
            memberships.map(|m| (m.line, format!("{}\u{1}{}\u{1}{}", m.member, m.role, m.domain)));
        let tags = self.rules.tags.iter().map(|t| (t.line, format!("{}\u{1}{}", t.object, t.tag)));
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        for (line, text) in rules.chain(memberships).chain(tags).collect::<Vec<_>>() {
            match first.get(&text) {
                Some(first) => self.warn(line, format!("repeats line {first}")),
                None => {
                    first.insert(text, line);
                }
            }
        }
    }

    fn roles(&mut self) {
        for membership in &self.rules.memberships {
            let role = &membership.role;
            let is_ruled = self.rules.rules.iter().any(|rule| rule.subject == *role);
            let leads_on = self.rules.memberships.iter().any(|other| other.member == *role);
            if role == "role:public" {
                self.warn(membership.line, "everybody has role:public already");
            } else if !is_ruled && !leads_on {
                self.warn(membership.line, format!("no rule speaks of {role}"));
            }
        }
    }

    fn subjects(&mut self) {
        let Some(users) = self.known.users.as_ref().filter(|users| !users.is_empty()) else {
            return;
        };
        let mut subjects: BTreeSet<String> = BTreeSet::from(["role:public".to_owned()]);
        let mut tenants = BTreeSet::from(["*".to_owned()]);
        for user in users {
            subjects.insert(format!("user:{}", user.name));
            subjects.extend(user.roles.iter().map(|role| format!("role:{role}")));
            tenants.insert(user.tenant.to_string());
        }
        let users = subjects.clone();
        subjects.extend(self.rules.memberships.iter().map(|m| m.role.clone()));
        for rule in &self.rules.rules {
            if !subjects.contains(&rule.subject) {
                self.warn(rule.line, format!("nobody is {}", rule.subject));
            }
            if !tenants.contains(&rule.domain) {
                self.warn(rule.line, format!("nobody belongs to tenant {:?}", rule.domain));
            }
        }
        for membership in &self.rules.memberships {
            let member = &membership.member;
            let is_somebody = match member.starts_with("role:") {
                true => subjects.contains(member),
                false => users.contains(member),
            };
            if !is_somebody {
                self.warn(membership.line, format!("nobody is {member}"));
            }
            if !tenants.contains(&membership.domain) {
                let tenant = &membership.domain;
                self.warn(membership.line, format!("nobody belongs to tenant {tenant:?}"));
            }
        }
    }

    fn tags(&mut self) {
        for rule in self.rules.rules.iter().filter(|rule| rule.object.starts_with("tag:")) {
            let mut objects = self.objects_of(rule).peekable();
            if objects.peek().is_none() {
                self.warn(rule.line, format!("nothing has {}", rule.object));
            } else if matches!(rule.action, Action::Filter | Action::Restrict)
                && objects.all(|object| object.split('.').count() == 4)
            {
                let text = format!("{} is on columns, and rows are those of tables", rule.object);
                self.warn(rule.line, text);
            }
        }
        for tag in &self.rules.tags {
            if !self.rules.rules.iter().any(|rule| rule.object == tag.tag) {
                self.warn(tag.line, format!("no rule speaks of {}", tag.tag));
            }
        }
    }

    /// Objects that nothing has as its name.
    fn places(&mut self) {
        let about_data = self.rules.rules.iter().filter(|rule| {
            let is_place = !rule.object.starts_with("tag:") && !rule.object.starts_with("server");
            is_place && (rule.action.is_about_data() || rule.action == Action::Admin)
        });
        let ruled = about_data.map(|rule| (rule.line, rule.object.as_str()));
        let tagged = self.rules.tags.iter().map(|tag| (tag.line, tag.object.as_str()));
        for (line, object) in ruled.chain(tagged).collect::<Vec<_>>() {
            if let Some(what) = self.missing(object) {
                self.warn(line, what);
            }
        }
    }

    fn missing(&self, object: &str) -> Option<String> {
        let catalogs = self.known.catalogs.as_ref()?;
        let (catalog, rest) = match object.split_once('.') {
            Some((catalog, rest)) => (catalog, Some(rest)),
            None => (object, None),
        };
        if catalog != "*" && !catalogs.contains(catalog) {
            return Some(format!("there is no catalog {catalog:?}"));
        }
        let readable: BTreeSet<&str> =
            self.known.tables.iter().map(|table| table.path.catalog.as_ref()).collect();
        // Of a catalog that can't be read, or holds nothing yet, nothing is known.
        let is_known = match catalog {
            "*" => catalogs.iter().all(|name| readable.contains(name.as_str())),
            name => readable.contains(name),
        };
        if rest.is_none() || !is_known || !self.columns_of(object).is_empty() {
            return None;
        }
        Some(format!("nothing is named {object}"))
    }

    /// The known columns that an object covers, as whole paths.
    fn columns_of(&self, object: &str) -> Vec<String> {
        let mut found = Vec::new();
        for table in &self.known.tables {
            for field in table.columns.fields() {
                let path = table.path.column(field.name());
                if object_matches(&path, object) {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Rules that do nothing, or nearly everything.
    fn effects(&mut self) {
        for rule in &self.rules.rules {
            if rule.action.is_reserved() {
                let action = rule.action.as_str();
                self.warn(rule.line, format!("{action} does nothing: weir only reads"));
            }
            if rule.action == Action::Admin && rule.object.contains('.') {
                self.warn(rule.line, "admin does nothing yet but on the server and on catalogs");
            }
            let is_everybody = rule.subject == "role:public" && rule.allows;
            match rule.action {
                Action::Select if is_everybody && rule.object == "*" => {
                    self.warn(rule.line, "everybody who logs in may read everything");
                }
                Action::Admin | Action::Unmask if is_everybody => {
                    let action = rule.action.as_str();
                    self.warn(rule.line, format!("everybody who logs in has {action}"));
                }
                _ => {}
            }
            let denies = self.rules.rules.iter().filter(|other| !other.allows);
            let mut stronger = denies.filter(|deny| self.is_shadowed(rule, deny));
            if let Some(deny) = stronger.next() {
                let (line, why) = (deny.line, rule.line);
                self.warn(why, format!("does nothing: line {line} denies it"));
            }
        }
    }

    fn is_shadowed(&self, rule: &Rule, deny: &Rule) -> bool {
        let is_everywhere = match &deny.meaning {
            Argument::Networks(networks) => networks.is_empty(),
            Argument::None | Argument::Predicate(_) | Argument::Mask(_) => true,
        };
        rule.allows
            && rule.action == deny.action
            && is_everywhere
            && self.covers_all(deny, rule)
            && self.is_for(rule, deny)
    }

    /// Does `other` hold for everybody for whom `rule` does?
    fn is_for(&self, rule: &Rule, other: &Rule) -> bool {
        let has_role = || {
            let roles = self.rules.roles_of(&rule.subject, &rule.domain);
            roles.iter().any(|(role, ..)| *role == other.subject)
        };
        let is_tenant = other.domain == "*" || other.domain == rule.domain;
        let is_subject = other.subject == rule.subject || other.subject == "role:public";
        is_tenant && (is_subject || has_role())
    }

    /// Is every object of `rule` an object of `other`?
    fn covers_all(&self, other: &Rule, rule: &Rule) -> bool {
        if rule.object == other.object {
            return true;
        }
        let mut objects = self.objects_of(rule).peekable();
        objects.peek().is_some()
            && objects.all(|object| {
                self.objects_of(other).any(|covering| object_matches(object, covering))
            })
    }

    /// A rule's own object, or those of its tag.
    fn objects_of(&self, rule: &'a Rule) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        if !rule.object.starts_with("tag:") {
            return Box::new(std::iter::once(rule.object.as_str()));
        }
        let tags = self.rules.tags.iter().filter(|tag| tag.tag == rule.object);
        Box::new(tags.map(|tag| tag.object.as_str()))
    }

    fn doors(&mut self) {
        for door in Door::ALL {
            let object = door_object(door);
            let rules = self.rules.rules.iter().filter(|rule| rule.action == Action::Connect);
            let about: Vec<_> =
                rules.filter(|rule| object_matches(&object, &rule.object)).collect();
            if let Some(first) = about.first()
                && about.iter().all(|rule| !rule.allows)
            {
                let text = format!(
                    "nobody can connect to {object}: once a rule speaks of a door, \
                                    who may connect needs one that allows it"
                );
                self.warn(first.line, text);
            }
        }
    }

    /// Predicates and masks that do not fit a table that they are for.
    fn predicates(&mut self) {
        for rule in &self.rules.rules {
            for table in &self.known.tables {
                let Ok(schema) = DFSchema::try_from(table.columns.as_ref().clone()) else {
                    continue;
                };
                let path = table.path.object();
                let outcome = match &rule.meaning {
                    Argument::Predicate(predicate) if self.speaks_of(rule, &path) => {
                        planner::predicate_over(&sample(predicate), &schema).map(|_| ())
                    }
                    Argument::Mask(MaskRule::Sql(mask)) => {
                        let masked = table.columns.fields().iter();
                        let mut masked = masked
                            .filter(|field| self.speaks_of(rule, &table.path.column(field.name())));
                        masked.try_for_each(|field| {
                            planner::mask_over(&sample(mask), &schema, field).map(|_| ())
                        })
                    }
                    Argument::None
                    | Argument::Networks(_)
                    | Argument::Predicate(_)
                    | Argument::Mask(_) => continue,
                };
                if let Err(error) = outcome {
                    let why = error.strip_backtrace();
                    let text = format!("can't be applied to {}: {why}", table.path);
                    self.warn(rule.line, text.replace('\n', " "));
                }
            }
        }
    }

    fn speaks_of(&self, rule: &'a Rule, object: &str) -> bool {
        self.objects_of(rule).any(|ruled| object_matches(object, ruled))
    }

    fn masks(&mut self) {
        let with = |action| self.rules.rules.iter().filter(move |rule| rule.action == action);
        let mut found = Vec::new();
        for unmask in with(Action::Unmask).filter(|rule| rule.allows) {
            if !with(Action::Mask).any(|mask| self.meet(mask, unmask)) {
                found.push((unmask.line, "nothing is masked there".to_owned()));
            }
        }
        for (position, mask) in with(Action::Mask).enumerate() {
            if let Some(why) = self.hides_nothing(mask) {
                found.push((mask.line, why));
            }
            for other in with(Action::Mask).skip(position + 1) {
                let (Argument::Mask(one), Argument::Mask(two)) = (&mask.meaning, &other.meaning)
                else {
                    continue;
                };
                let together = one.clone().stronger(two.clone());
                if together != *one
                    && together != *two
                    && self.share_somebody(mask, other)
                    && self.meet(mask, other)
                {
                    let shown = match together {
                        MaskRule::Partial { first, last } => format!("partial({first}, {last})"),
                        _ => "null".to_owned(),
                    };
                    let line = mask.line;
                    let text =
                        format!("contradicts line {line}: where both hold, {shown} is shown");
                    found.push((other.line, text));
                }
            }
        }
        for (line, text) in found {
            self.warn(line, text);
        }
    }

    /// Why nobody meets a mask.
    fn hides_nothing(&self, mask: &Rule) -> Option<String> {
        let selects = || self.rules.rules.iter().filter(|rule| rule.action == Action::Select);
        if !selects().any(|select| select.allows && self.meet(mask, select)) {
            return Some("nobody may see what it masks".to_owned());
        }
        let mut denies = selects().filter(|select| !select.allows);
        denies
            .find(|deny| self.covers_all(deny, mask) && self.is_for(mask, deny))
            .map(|deny| format!("masks what line {} hides", deny.line))
    }

    /// May one principal be meant by both?
    fn share_somebody(&self, one: &Rule, other: &Rule) -> bool {
        let is_one_tenant = one.domain == other.domain || one.domain == "*" || other.domain == "*";
        // Anybody can be given two roles.
        let are_two_users = one.subject != other.subject
            && [one, other].iter().all(|rule| !rule.subject.starts_with("role:"));
        is_one_tenant && !are_two_users
    }

    /// Is there an object of both?
    fn meet(&self, one: &Rule, other: &Rule) -> bool {
        if one.object == other.object {
            return true;
        }
        self.objects_of(one).any(|a| self.objects_of(other).any(|b| overlap(a, b)))
    }
}

/// Can an object be below both?
fn overlap(one: &str, other: &str) -> bool {
    one.split('.').zip(other.split('.')).all(|(a, b)| a == b || a == "*" || b == "*")
}

/// An expression with the attributes of somebody who has none: types are checked, values are not.
fn sample(
    expression: &datafusion::sql::sqlparser::ast::Expr,
) -> datafusion::sql::sqlparser::ast::Expr {
    let (Ok(name), Ok(tenant)) = (UserName::parse("sample"), TenantName::parse("sample")) else {
        return expression.clone();
    };
    let roles: Vec<RoleName> = Vec::new();
    let principal = Principal { name, roles, tenant, attributes: BTreeMap::new() };
    expression::bind_attributes(expression.clone(), &principal)
}
