//! A policy whose text and meaning are Casbin's.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use casbin::{
    CoreApi, DefaultModel, Enforcer, MgmtApi, NullAdapter, function_map::OperatorFunction,
};

use super::{
    Access, ColumnAccess, Grant, ObjectPath, Policy, RowFilter,
    index::{Coverage, Index, object_matches},
    mask::{MaskKeys, MaskRule},
    rules::{Action, Argument, Rule, Rules, door_object},
};
use crate::{
    auth::Principal,
    error::{Error, ErrorKind, Result},
    telemetry::Door,
};

/// Answers remembered for each policy; when it is full, it starts anew.
const CACHED_DECISIONS: usize = 100_000;

/// Of those, how many a reload decides again before they are asked.
const WARMED_DECISIONS: usize = 10_000;

/// Functions that send what they are given to a model begin so: nobody may call one without a rule.
const MODEL_FUNCTIONS: &str = "ai_";

/// Casbin with the model of `config/policy/model.conf`, and the table of what it has answered.
///
/// A principal asks as itself and as each role that the user store gives it; a deny of any of them
/// wins. Casbin takes microseconds for each of its rules, so it is asked once about each subject and
/// each set of rules that can matter, and never by a query whose table was looked at before.
pub struct CasbinPolicy {
    rules: Rules,
    index: Index,
    keys: MaskKeys,
    /// Who is named by a line. All others are alike, and so are all other tenants.
    subjects: HashSet<String>,
    tenants: HashSet<String>,
    casbin: Mutex<Enforcer>,
    matched: RwLock<HashMap<Question, Arc<[usize]>>>,
    decisions: RwLock<HashMap<Principal, HashMap<ObjectPath, Decision>>>,
}

/// Which of some rules are about a subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    subject: String,
    tenant: String,
    /// All of one action, and all about one object.
    rules: Vec<usize>,
}

#[derive(Debug)]
struct Decision {
    columns: Vec<String>,
    access: Access,
}

/// Casbin has failed: whoever asked is refused.
#[derive(Debug)]
struct Undecided;

type Decided<T> = std::result::Result<T, Undecided>;

/// Somebody whom no line names.
const NOBODY: &str = "user:";
/// A tenant that no line names.
const NOWHERE: &str = "*";

impl CasbinPolicy {
    /// Reads a model and a policy. The error lists every line that is not understood.
    pub async fn load(model: &str, policy: &str, keys: MaskKeys) -> Result<Self> {
        let rules = Rules::parse(policy).map_err(|mistakes| refused("policy", &mistakes))?;
        let casbin = enforcer(model, &rules).await?;
        let index = Index::of(&rules);
        let ruled = rules.rules.iter().map(|rule| &rule.subject);
        let joined = rules.memberships.iter().flat_map(|m| [&m.member, &m.role]);
        let subjects = ruled.chain(joined).cloned().collect();
        let tenants = rules.tenants().into_iter().map(str::to_owned).collect();
        Ok(Self {
            rules,
            index,
            keys,
            subjects,
            tenants,
            casbin: Mutex::new(casbin),
            matched: RwLock::default(),
            decisions: RwLock::default(),
        })
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The rules of an action about an object: those for `principal`, and those for others.
    pub fn cite(
        &self,
        principal: &Principal,
        object: &str,
        action: Action,
    ) -> Result<(Vec<&Rule>, Vec<&Rule>)> {
        let coverage = self.index.covering(&self.rules, action, object);
        let applying = self
            .matching_of(principal, action, &coverage)
            .map_err(|Undecided| Error::internal("casbin could not decide"))?;
        let (mine, others): (Vec<_>, Vec<_>) =
            coverage.rules.iter().partition(|position| applying.contains(position));
        let rules = |positions: Vec<&usize>| -> Vec<&Rule> {
            positions.into_iter().map(|position| &self.rules.rules[*position]).collect()
        };
        Ok((rules(mine), rules(others)))
    }

    /// Decides again what `before` was asked, for as long as this may take: the first query after a
    /// reload should be as quick as the others.
    pub fn warm_up(&self, before: &Self, limit: Duration) {
        let end = Instant::now() + limit;
        let known = before.decisions.read().unwrap_or_else(PoisonError::into_inner);
        let asked = known.iter().flat_map(|(principal, tables)| {
            tables.iter().map(move |(table, decision)| (principal, table, &decision.columns))
        });
        let asked: Vec<(Principal, ObjectPath, Vec<String>)> = asked
            .take(WARMED_DECISIONS)
            .map(|(principal, table, columns)| (principal.clone(), table.clone(), columns.clone()))
            .collect();
        // Queries go on asking it.
        drop(known);
        for (principal, table, columns) in asked {
            if Instant::now() >= end {
                return;
            }
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            self.access(&principal, &table, &columns);
        }
    }

    fn matching(&self, principal: &Principal, object: &str, action: Action) -> Decided<Vec<&Rule>> {
        let coverage = self.index.covering(&self.rules, action, object);
        let positions = self.matching_of(principal, action, &coverage)?;
        Ok(positions.into_iter().map(|position| &self.rules.rules[position]).collect())
    }

    fn matching_of(
        &self,
        principal: &Principal,
        action: Action,
        coverage: &Coverage,
    ) -> Decided<BTreeSet<usize>> {
        let mut matching = BTreeSet::new();
        if coverage.rules.is_empty() {
            return Ok(matching);
        }
        let tenant = match principal.tenant.as_str() {
            known if self.tenants.contains(known) => known,
            _ => NOWHERE,
        };
        for subject in subjects(principal) {
            let subject =
                if self.subjects.contains(&subject) { subject } else { NOBODY.to_owned() };
            let question =
                Question { subject, tenant: tenant.to_owned(), rules: coverage.rules.clone() };
            matching.extend(self.answer(question, action, coverage)?.iter());
        }
        Ok(matching)
    }

    fn answer(
        &self,
        question: Question,
        action: Action,
        coverage: &Coverage,
    ) -> Decided<Arc<[usize]>> {
        let known = self.matched.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(&question) {
            return Ok(Arc::clone(answer));
        }
        drop(known);
        let answer = self.ask(&question, action, coverage).map_err(|error| {
            tracing::error!(%error, ?question, "casbin could not decide");
            Undecided
        })?;
        let answer: Arc<[usize]> = answer.into_iter().collect();
        let mut known = self.matched.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHED_DECISIONS {
            known.clear();
        }
        known.insert(question, Arc::clone(&answer));
        Ok(answer)
    }

    /// Puts the rules of the question, and no others, before Casbin. All of them as allows: it stops at
    /// the first deny, and the others are wanted too.
    fn ask(
        &self,
        question: &Question,
        action: Action,
        coverage: &Coverage,
    ) -> std::result::Result<BTreeSet<usize>, casbin::Error> {
        let mut by_line: HashMap<Vec<String>, Vec<usize>> = HashMap::new();
        for position in &question.rules {
            let line = line_of(&self.rules.rules[*position], true);
            by_line.entry(line).or_default().push(*position);
        }
        let mut casbin = self.casbin.lock().unwrap_or_else(PoisonError::into_inner);
        let assertions = casbin.get_mut_model().get_mut_model();
        let before = assertions.get_mut("p").and_then(|kind| kind.get_mut("p"));
        let lines = before.map(casbin::Assertion::get_mut_policy);
        let Some(lines) = lines else {
            return Err(casbin::error::ModelError::P(String::new()).into());
        };
        lines.clear();
        for line in by_line.keys() {
            lines.insert(line.clone());
        }
        let mut matched = BTreeSet::new();
        for object in &coverage.objects {
            let request = (
                question.subject.as_str(),
                question.tenant.as_str(),
                object.as_str(),
                action.as_str(),
            );
            let (_, lines) = casbin.enforce_ex(request)?;
            for line in lines {
                matched.extend(by_line.get(&line).into_iter().flatten());
            }
        }
        Ok(matched)
    }

    fn is_allowed(&self, principal: &Principal, object: &str, action: Action) -> Decided<bool> {
        Ok(allows(self.matching(principal, object, action)?.into_iter()))
    }

    /// Does any rule of the action speak of the object, for anybody?
    fn is_ruled(&self, object: &str, action: Action) -> bool {
        !self.index.covering(&self.rules, action, object).rules.is_empty()
    }

    /// What nobody speaks of is free; else it is by rule.
    fn is_free_or_allowed(
        &self,
        principal: &Principal,
        object: &str,
        action: Action,
    ) -> Decided<bool> {
        Ok(!self.is_ruled(object, action) || self.is_allowed(principal, object, action)?)
    }

    fn decide(
        &self,
        principal: &Principal,
        table: &ObjectPath,
        columns: &[&str],
    ) -> Decided<Access> {
        let columns = columns
            .iter()
            .map(|column| self.column_access(principal, &table.column(column)))
            .collect::<Decided<Vec<ColumnAccess>>>()?;
        let path = table.object();
        let shows_something = if columns.is_empty() {
            self.is_allowed(principal, &path, Action::Select)?
        } else {
            columns.iter().any(|column| *column != ColumnAccess::Hidden)
        };
        if !shows_something {
            return Ok(Access::Denied);
        }
        Ok(Access::Granted(Grant { row_filter: self.row_filter(principal, &path)?, columns }))
    }

    fn column_access(&self, principal: &Principal, object: &str) -> Decided<ColumnAccess> {
        if !self.is_allowed(principal, object, Action::Select)? {
            return Ok(ColumnAccess::Hidden);
        }
        if self.is_allowed(principal, object, Action::Unmask)? {
            return Ok(ColumnAccess::Visible);
        }
        let masks = self.matching(principal, object, Action::Mask)?;
        let masks = masks.into_iter().map(|rule| match &rule.meaning {
            Argument::Mask(mask) => mask.clone(),
            Argument::None | Argument::Predicate(_) | Argument::Networks(_) => MaskRule::Null,
        });
        Ok(match masks.reduce(MaskRule::stronger) {
            Some(mask) => ColumnAccess::Masked(mask.bind(principal, &self.keys)),
            None => ColumnAccess::Visible,
        })
    }

    /// (OR of the matching `filter` rules) AND every matching `restrict` rule.
    fn row_filter(&self, principal: &Principal, table: &str) -> Decided<Option<RowFilter>> {
        let filters = self.matching(principal, table, Action::Filter)?;
        let restricts = self.matching(principal, table, Action::Restrict)?;
        if filters.is_empty() && self.is_ruled(table, Action::Filter) {
            return Ok(Some(RowFilter::Nothing));
        }
        let mut predicate = None;
        for rule in &filters {
            let Argument::Predicate(next) = &rule.meaning else { return Err(Undecided) };
            predicate = Some(super::expression::or(predicate, next.as_ref().clone()));
        }
        for rule in &restricts {
            let Argument::Predicate(next) = &rule.meaning else { return Err(Undecided) };
            predicate = Some(super::expression::and_is_true(predicate, next.as_ref().clone()));
        }
        Ok(predicate.map(|predicate| {
            RowFilter::Sql(Box::new(super::expression::bind_attributes(predicate, principal)))
        }))
    }

    fn known(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> Option<Access> {
        let known = self.decisions.read().unwrap_or_else(PoisonError::into_inner);
        let decision = known.get(principal)?.get(table)?;
        let is_same = decision.columns.iter().map(String::as_str).eq(columns.iter().copied());
        is_same.then(|| decision.access.clone())
    }

    fn remember(&self, principal: &Principal, table: &ObjectPath, decision: Decision) {
        let mut known = self.decisions.write().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(HashMap::len).sum::<usize>() >= CACHED_DECISIONS {
            known.clear();
        }
        known.entry(principal.clone()).or_default().insert(table.clone(), decision);
    }
}

/// Casbin's effect: some allow, and no deny.
fn allows<'a>(mut rules: impl Iterator<Item = &'a Rule>) -> bool {
    let mut is_allowed = false;
    let is_denied = rules.any(|rule| {
        is_allowed |= rule.allows;
        !rule.allows
    });
    is_allowed && !is_denied
}

impl Policy for CasbinPolicy {
    fn access(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> Access {
        if let Some(access) = self.known(principal, table, columns) {
            return access;
        }
        let Ok(access) = self.decide(principal, table, columns) else { return Access::Denied };
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        self.remember(principal, table, Decision { columns, access: access.clone() });
        access
    }

    fn may_explain(&self, principal: &Principal, table: &ObjectPath) -> bool {
        self.is_allowed(principal, &table.object(), Action::ExplainRemote).unwrap_or(false)
    }

    fn may_copy(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> bool {
        let objects = columns.iter().map(|column| table.column(column));
        std::iter::once(table.object()).chain(objects).all(|object| {
            self.is_free_or_allowed(principal, &object, Action::Copy).unwrap_or(false)
        })
    }

    fn may_leave(&self, principal: &Principal, table: &ObjectPath, column: &str) -> bool {
        self.is_allowed(principal, &table.column(column), Action::Egress).unwrap_or(false)
    }

    fn may_execute(&self, principal: &Principal, function: &str) -> bool {
        let object = format!("fn.{function}");
        let coverage = self.index.covering(&self.rules, Action::Execute, &object);
        let is_named = coverage.rules.iter().any(|rule| self.rules.rules[*rule].object == object);
        let Ok(matching) = self.matching(principal, &object, Action::Execute) else { return false };
        // A rule for all functions takes none of them from anybody else.
        match is_named || function.starts_with(MODEL_FUNCTIONS) {
            true => allows(matching.into_iter()),
            false => matching.iter().all(|rule| rule.allows),
        }
    }

    fn may_connect(&self, principal: &Principal, door: Door, peer: IpAddr) -> bool {
        let object = door_object(door);
        if !self.is_ruled(&object, Action::Connect) {
            return true;
        }
        let Ok(matching) = self.matching(principal, &object, Action::Connect) else { return false };
        allows(matching.into_iter().filter(|rule| match &rule.meaning {
            Argument::Networks(networks) => networks.allows(peer),
            Argument::None | Argument::Predicate(_) | Argument::Mask(_) => true,
        }))
    }

    fn may_refresh(&self, principal: &Principal, catalog: &str) -> bool {
        let object = super::plain(catalog);
        if !self.is_ruled(&object, Action::Admin) {
            return true;
        }
        let Ok(matching) = self.matching(principal, &object, Action::Admin) else { return false };
        let is_denied = matching.iter().any(|rule| !rule.allows);
        !is_denied && (!matching.is_empty() || self.may_administer(principal, "admin"))
    }

    fn may_administer(&self, principal: &Principal, action: &str) -> bool {
        [Action::parse(action), Some(Action::Admin)]
            .into_iter()
            .flatten()
            .any(|action| self.is_allowed(principal, "server", action).unwrap_or(false))
    }
}

impl fmt::Debug for CasbinPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CasbinPolicy").field("rules", &self.rules.rules.len()).finish()
    }
}

async fn enforcer(model: &str, rules: &Rules) -> Result<Enforcer> {
    let model = check_model(model)?;
    let model = DefaultModel::from_str(&model).await.map_err(casbin_refused)?;
    let mut enforcer = Enforcer::new(model, NullAdapter).await.map_err(casbin_refused)?;
    enforcer.add_function(
        "objMatch",
        OperatorFunction::Arg2(|asked, ruled| {
            let text = |value: casbin::rhai::Dynamic| value.into_string().unwrap_or_default();
            object_matches(&text(asked), &text(ruled)).into()
        }),
    );
    let mut memberships = BTreeSet::new();
    for membership in &rules.memberships {
        let line = |tenant: &str| [&membership.member, &membership.role, tenant].map(str::to_owned);
        memberships.insert(line(&membership.domain));
        // To Casbin `*` would be one more tenant.
        if membership.domain == "*" {
            memberships.extend(rules.tenants().into_iter().map(line));
        }
    }
    let memberships = memberships.into_iter().map(Vec::from).collect::<Vec<_>>();
    let tags: BTreeSet<Vec<String>> =
        rules.tags.iter().map(|tag| vec![tag.object.clone(), tag.tag.clone()]).collect();
    for (kind, lines) in [("g", memberships), ("g2", tags.into_iter().collect())] {
        if !lines.is_empty() {
            enforcer.add_named_grouping_policies(kind, lines).await.map_err(casbin_refused)?;
        }
    }
    Ok(enforcer)
}

/// A rule as Casbin takes it.
fn line_of(rule: &Rule, allows: bool) -> Vec<String> {
    let effect = if allows { "allow" } else { "deny" };
    [&rule.subject, &rule.domain, &rule.object, rule.action.as_str(), &rule.argument, effect]
        .map(str::to_owned)
        .to_vec()
}

/// Casbin panics on an effect that it does not know and reads a model with a missing section as
/// something else, so only the model that this code was written for is accepted.
fn check_model(text: &str) -> Result<String> {
    let normal = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split_whitespace().collect::<String>())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect()
    };
    if normal(text) == normal(MODEL) {
        return Ok(MODEL.to_owned());
    }
    Err(Error::new(ErrorKind::Config, "the policy model is not the one this version understands")
        .with_hint("Restore policy/model.conf; rules belong in policy.csv."))
}

/// The model that this code implements; `config/policy/model.conf` is the same text.
pub const MODEL: &str = include_str!("../../config/policy/model.conf");

fn subjects(principal: &Principal) -> impl Iterator<Item = String> {
    std::iter::once(format!("user:{}", principal.name))
        .chain(principal.roles.iter().map(|role| format!("role:{role}")))
}

fn refused(what: &str, mistakes: &[String]) -> Error {
    Error::new(ErrorKind::Config, format!("the {what} has {} bad lines", mistakes.len()))
        .with_detail(mistakes.join("\n"))
}

fn casbin_refused(error: casbin::Error) -> Error {
    Error::new(ErrorKind::Config, format!("casbin refuses the policy: {error}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{self, show};

    const POLICY: &str = "
g, user:alice, role:analyst, acme
g2, shop.public.customers.email, tag:pii
g2, shop.public.customers.ssn, tag:secret
p, role:analyst, *, shop.public, select, , allow
p, role:support, acme, shop.public.customers.id, select, , allow
p, role:analyst, *, tag:secret, select, , deny
p, role:public, *, tag:pii, mask, \"partial(1, 4)\", allow
p, role:fraud, acme, tag:pii, unmask, , allow
p, role:analyst, *, shop.public.orders, filter, \"region IN (current_attr_list('regions'))\", allow
p, role:manager, *, shop.public.orders, filter, true, allow
p, role:public, *, shop.public.orders, restrict, tenant_id = current_tenant(), allow
p, role:admin, *, *, select, , allow
p, role:admin, *, server, admin, , allow
";

    fn principal(name: &str, roles: &[&str], tenant: &str) -> Principal {
        tests::principal(name, roles, tenant, &[("regions", "EU"), ("regions", "O'X")])
    }

    fn shop(table: &str) -> ObjectPath {
        ObjectPath { catalog: "shop".into(), schema: "public".into(), table: table.into() }
    }

    #[tokio::test]
    async fn decisions_follow_the_rules() {
        let policy = CasbinPolicy::load(MODEL, POLICY, MaskKeys::passing()).await.unwrap();
        let customers: &[&str] = &["id", "email", "ssn"];
        let orders: &[&str] = &["id"];
        let analyst_filter = "| (region IN ('EU', 'O''X')) AND ((tenant_id = 'acme') IS TRUE)";
        let manager_filter = "| (true) AND ((tenant_id = 'acme') IS TRUE)";
        for (name, roles, tenant, table, columns, expected) in [
            ("alice", &[][..], "acme", "customers", customers, "+id *email -ssn"),
            ("alice", &[], "globex", "customers", customers, "denied"),
            ("anna", &["analyst"], "globex", "customers", customers, "+id *email -ssn"),
            ("bob", &["support"], "acme", "customers", customers, "+id -email -ssn"),
            ("bob", &["support"], "globex", "customers", customers, "denied"),
            ("fred", &["analyst", "fraud"], "acme", "customers", customers, "+id +email -ssn"),
            ("root", &["admin"], "acme", "customers", customers, "+id *email +ssn"),
            ("both", &["admin", "analyst"], "acme", "customers", customers, "+id *email -ssn"),
            ("nobody", &[], "acme", "customers", customers, "denied"),
            ("alice", &[], "acme", "orders", orders, &format!("+id {analyst_filter}")),
            (
                "mia",
                &["admin", "manager"],
                "acme",
                "orders",
                orders,
                &format!("+id {manager_filter}"),
            ),
            ("root", &["admin"], "acme", "orders", orders, "+id | nothing"),
        ] {
            let principal = principal(name, roles, tenant);
            let access = policy.access(&principal, &shop(table), columns);
            assert_eq!(show(&access, columns), expected, "{name} {roles:?} {tenant} {table}");
        }
        assert!(policy.may_administer(&principal("root", &["admin"], "acme"), "monitor"));
        assert!(!policy.may_administer(&principal("alice", &[], "acme"), "monitor"));
    }

    async fn loaded(policy: &str) -> CasbinPolicy {
        CasbinPolicy::load(MODEL, policy, MaskKeys::passing()).await.unwrap()
    }

    /// What else than reading a table is asked of a policy.
    #[tokio::test]
    async fn every_action_is_decided() {
        let policy = loaded(
            "p, role:inside, *, server.postgres, connect, \"10.0.0.0/8, ::1\", allow
p, role:inside, *, server.postgres, connect, 10.6.6.0/24, deny
p, svc:bot, acme, server, connect, , allow
p, role:inside, *, shop.public.orders, copy, , allow
p, role:public, *, shop.public.orders.note, copy, , deny
p, role:inside, *, shop.public.orders, egress, , allow
p, role:public, *, tag:pii, egress, , deny
g2, shop.public.orders.mail, tag:pii
p, role:inside, *, fn.ai_analyze, execute, , allow
p, role:public, *, fn.pg_sleep, execute, , deny
p, role:inside, *, fn.*, execute, , allow
p, role:bare, *, fn.*, execute, , deny
p, role:inside, acme, shop.public.orders, explain_remote, , allow
p, role:inside, *, server, cancel, , allow
p, role:root, *, server, admin, , allow
p, role:inside, *, shop, admin, , allow
p, role:bare, *, shop, admin, , deny
p, role:root, *, shop.public.orders, delete, , allow
",
        )
        .await;
        let inside = principal("ann", &["inside"], "acme");
        let abroad = principal("ann", &["inside"], "globex");
        let root = principal("root", &["root"], "acme");
        let nobody = principal("eve", &[], "acme");
        let bare = principal("bo", &["bare"], "acme");
        let orders = shop("orders");
        let connects = |principal: &Principal, door, peer: &str| {
            policy.may_connect(principal, door, peer.parse().unwrap())
        };
        for (what, found, expected) in [
            ("inside", connects(&inside, Door::Postgres, "10.1.2.3"), true),
            ("inside, as IPv6", connects(&inside, Door::Postgres, "::ffff:10.1.2.3"), true),
            ("loopback", connects(&inside, Door::Postgres, "::1"), true),
            ("outside", connects(&inside, Door::Postgres, "192.0.2.1"), false),
            ("a part that is denied", connects(&inside, Door::Postgres, "10.6.6.7"), false),
            ("another door", connects(&inside, Door::Flight, "10.1.2.3"), false),
            ("nobody", connects(&nobody, Door::Postgres, "10.1.2.3"), false),
            ("copy", policy.may_copy(&inside, &orders, &["id"]), true),
            ("copy of a note", policy.may_copy(&inside, &orders, &["id", "note"]), false),
            ("copy by another", policy.may_copy(&nobody, &orders, &["id"]), false),
            ("copy of what no rule names", policy.may_copy(&nobody, &shop("items"), &["id"]), true),
            ("egress", policy.may_leave(&inside, &orders, "id"), true),
            ("egress of a tag", policy.may_leave(&inside, &orders, "mail"), false),
            ("egress by another", policy.may_leave(&nobody, &orders, "id"), false),
            ("egress without a rule", policy.may_leave(&inside, &shop("items"), "id"), false),
            ("a model", policy.may_execute(&inside, "ai_analyze"), true),
            ("a model, for nobody", policy.may_execute(&nobody, "ai_analyze"), false),
            ("a model by a rule for all", policy.may_execute(&inside, "ai_other"), true),
            ("a function by a deny for all", policy.may_execute(&bare, "lower"), false),
            ("a function", policy.may_execute(&nobody, "lower"), true),
            ("a function by rule", policy.may_execute(&inside, "pg_sleep"), false),
            ("explain", policy.may_explain(&inside, &orders), true),
            ("explain elsewhere", policy.may_explain(&abroad, &orders), false),
            ("cancel", policy.may_administer(&inside, "cancel"), true),
            ("monitor", policy.may_administer(&inside, "monitor"), false),
            ("all of the server", policy.may_administer(&root, "monitor"), true),
            ("refresh by an administrator", policy.may_refresh(&inside, "shop"), true),
            ("refresh by the server's", policy.may_refresh(&root, "shop"), true),
            ("refresh by another", policy.may_refresh(&nobody, "shop"), false),
            ("refresh of what has no administrator", policy.may_refresh(&nobody, "lake"), true),
            ("refresh where it is denied", policy.may_refresh(&bare, "shop"), false),
        ] {
            assert_eq!(found, expected, "{what}");
        }
        let open = loaded("").await;
        assert!(open.may_connect(&nobody, Door::Flight, [192, 0, 2, 1].into()));
    }

    /// A tag is for all below what it names; a role in `*` is one in every tenant.
    #[tokio::test]
    async fn tags_and_roles_reach_as_far_as_they_say() {
        let policy = loaded(
            "g, user:alice, role:staff, *
g, role:staff, role:reader, acme
g2, shop.public.customers, tag:closed
g2, shop.*.staff.salary, tag:pay
p, role:staff, *, shop.public, select, , allow
p, role:reader, *, shop.extra, select, , allow
p, role:public, *, tag:closed, select, , deny
p, role:staff, *, shop.public.customers.id, select, , allow
p, role:public, *, tag:pay, mask, null, allow
p, role:public, *, tag:pay, mask, \"left(salary, 1)\", allow
",
        )
        .await;
        for (tenant, schema, table, columns, expected) in [
            ("acme", "public", "customers", &["id", "name"][..], "denied"),
            ("acme", "public", "staff", &["id", "salary"], "+id *salary"),
            ("globex", "public", "staff", &["id", "salary"], "+id *salary"),
            ("acme", "extra", "staff", &["id", "salary"], "+id *salary"),
            ("globex", "extra", "staff", &["id", "salary"], "denied"),
            ("nowhere", "public", "staff", &["id"], "+id"),
        ] {
            let table = ObjectPath { schema: schema.into(), ..shop(table) };
            let access = policy.access(&principal("alice", &[], tenant), &table, columns);
            assert_eq!(show(&access, columns), expected, "{tenant} {table}");
        }
    }

    #[tokio::test]
    async fn roles_are_followed_to_the_ninth_and_no_further() {
        let chain = |length: usize| {
            let mut text = "p, role:r9, *, shop, select, , allow\n".to_owned();
            let names = std::iter::once("user:alice".to_owned())
                .chain((1..=length).map(|number| format!("role:r{number}")));
            let names: Vec<String> = names.collect();
            for pair in names.windows(2) {
                text.push_str(&format!("g, {}, {}, acme\n", pair[0], pair[1]));
            }
            text
        };
        let policy = loaded(&chain(9)).await;
        let access = policy.access(&principal("alice", &[], "acme"), &shop("t"), &["id"]);
        assert_eq!(show(&access, &["id"]), "+id");
        let error = CasbinPolicy::load(MODEL, &chain(10), MaskKeys::passing()).await.unwrap_err();
        let detail = error.detail.unwrap();
        assert!(detail.contains("role:r10 is more than 9 roles away from user:alice"), "{detail}");
    }

    /// Random policies: what the table says is what Casbin says that has every rule before it.
    /// `WEIR_TEST_REQUESTS` asks for more than the few that an ordinary run has time for.
    #[tokio::test]
    async fn the_table_is_casbin() {
        #[allow(clippy::disallowed_methods)] // Only tests read this variable.
        let wanted = std::env::var("WEIR_TEST_REQUESTS").ok().and_then(|n| n.parse().ok());
        let wanted: usize = wanted.unwrap_or(4_000);
        const EACH: usize = 500;
        for seed in 0..wanted.div_ceil(EACH) {
            let mut world = Random::new(seed as u64);
            let text = world.policy();
            let policy = loaded(&text).await;
            let reference = reference(&policy.rules).await;
            for _ in 0..EACH {
                world.compare(&policy, &reference, &text);
            }
        }
    }

    async fn reference(rules: &Rules) -> Enforcer {
        let mut casbin = enforcer(MODEL, rules).await.unwrap();
        let lines: BTreeSet<_> = rules.rules.iter().map(|r| line_of(r, r.allows)).collect();
        casbin.add_policies(lines.into_iter().collect()).await.unwrap();
        casbin
    }

    struct Random(rand_chacha::ChaCha8Rng);

    const SUBJECTS: &[&str] =
        &["user:ann", "user:bob", "role:a", "role:b", "role:c", "role:public", "svc:bot"];
    const TENANTS: &[&str] = &["acme", "globex", "*"];
    const ACTIONS: &[&str] = &["select", "unmask", "egress", "copy", "explain_remote"];

    impl Random {
        fn new(seed: u64) -> Self {
            Self(rand::SeedableRng::seed_from_u64(seed))
        }

        fn below(&mut self, bound: usize) -> usize {
            use rand::RngExt;
            self.0.random_range(0..bound)
        }

        fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
            of[self.below(of.len())]
        }

        fn object(&mut self, depth: usize, patterns: bool) -> String {
            let segments: Vec<&str> = (0..depth)
                .map(|_| match patterns && self.below(6) == 0 {
                    true => "*",
                    false => self.one(&["x", "y"]),
                })
                .collect();
            segments.join(".")
        }

        fn policy(&mut self) -> String {
            let mut text = String::new();
            for _ in 0..30 {
                let object = match self.below(4) {
                    0 => self.one(&["tag:p", "tag:q"]).to_owned(),
                    _ => {
                        let depth = 1 + self.below(4);
                        self.object(depth, true)
                    }
                };
                let (subject, tenant) = (self.one(SUBJECTS), self.one(TENANTS));
                let action = self.one(ACTIONS);
                let effect = if self.below(5) == 0 { "deny" } else { "allow" };
                text.push_str(&format!("p, {subject}, {tenant}, {object}, {action}, , {effect}\n"));
            }
            for _ in 0..6 {
                let (member, role) =
                    (self.one(SUBJECTS), self.one(&["role:a", "role:b", "role:c"]));
                // Roles in a circle are refused.
                let is_below = !member.starts_with("role:") || member < role;
                if member != "role:public" && is_below {
                    text.push_str(&format!("g, {member}, {role}, {}\n", self.one(TENANTS)));
                }
                let object = self.object(4, false);
                text.push_str(&format!("g2, {object}, {}\n", self.one(&["tag:p", "tag:q"])));
            }
            text
        }

        fn compare(&mut self, policy: &CasbinPolicy, reference: &Enforcer, text: &str) {
            let roles: Vec<&str> =
                ["a", "b", "c", "d", "public"].into_iter().filter(|_| self.below(4) == 0).collect();
            let name = self.one(&["ann", "bob", "eve"]);
            let tenant = self.one(&["acme", "globex", "nowhere"]);
            let principal = principal(name, &roles, tenant);
            let depth = 1 + self.below(4);
            let object = self.object(depth, false);
            let action = Action::parse(self.one(ACTIONS)).unwrap();

            let mut expected = BTreeSet::new();
            for subject in subjects(&principal) {
                // For a tenant that no line names, Casbin does not know the roles of all tenants.
                let tenant = if tenant == "nowhere" { "*" } else { tenant };
                let request = (subject, tenant, object.as_str(), action.as_str());
                expected.extend(reference.enforce_ex(request).unwrap().1);
            }
            let found: BTreeSet<Vec<String>> = policy
                .matching(&principal, &object, action)
                .unwrap()
                .into_iter()
                .map(|rule| line_of(rule, rule.allows))
                .collect();
            let is_deny = |line: &Vec<String>| line[5] == "deny";
            let about = format!("{principal:?} {object} {action:?}\n{text}");
            assert_eq!(found.iter().any(is_deny), expected.iter().any(is_deny), "{about}");
            if !expected.iter().any(is_deny) {
                assert_eq!(found, expected, "{about}");
            }
        }
    }

    /// Prints what a thousand rules cost; `cargo test … -- --ignored --nocapture` shows it.
    #[tokio::test]
    #[ignore = "a measurement"]
    async fn cost_of_a_thousand_rules() {
        let mut text = String::new();
        for number in 0..1_000 {
            let action = ["select", "filter, a = 1", "mask, null", "restrict, a = 1", "egress"];
            let action = action[number % 5];
            let action = if action.contains(',') { action.into() } else { format!("{action}, ") };
            text.push_str(&format!(
                "p, role:r{}, acme, shop.s{}.t{}, {action}, allow\n",
                number % 10,
                number % 7,
                number / 5
            ));
        }
        let begin = Instant::now();
        let policy = loaded(&text).await;
        println!("load: {:?}", begin.elapsed());
        let columns: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let ann = principal("ann", &["r0", "r5", "r7"], "acme");
        let tables: Vec<ObjectPath> = (0..1_000)
            .map(|number| ObjectPath {
                catalog: "shop".into(),
                schema: format!("s{}", number % 7).into(),
                table: format!("t{}", number / 5).into(),
            })
            .collect();
        for round in ["first", "second"] {
            let begin = Instant::now();
            let granted = tables
                .iter()
                .filter(|table| policy.access(&ann, table, &columns) != Access::Denied)
                .count();
            let each = begin.elapsed() / tables.len() as u32;
            println!("{round} look at a table of 20 columns: {each:?} ({granted} granted)");
        }
    }

    #[tokio::test]
    async fn another_model_is_refused() {
        let model = MODEL.replace("!some(where (p.eft == deny))", "true");
        assert!(CasbinPolicy::load(&model, "", MaskKeys::passing()).await.is_err());
        assert!(
            CasbinPolicy::load(&format!("# a comment\n{MODEL}"), "", MaskKeys::passing())
                .await
                .is_ok()
        );
    }
}
