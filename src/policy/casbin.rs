//! A policy whose text and meaning are Casbin's.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{PoisonError, RwLock},
};

use casbin::{
    CoreApi, DefaultModel, Enforcer, MgmtApi, NullAdapter, function_map::OperatorFunction,
};

use super::{
    Access, ColumnAccess, Grant, Mask, ObjectPath, Policy, RowFilter,
    rules::{Action, Rule, Rules, parse_predicate},
};
use crate::{
    auth::Principal,
    error::{Error, ErrorKind, Result},
};

/// Answers remembered for each policy; when it is full, it starts anew.
const CACHED_DECISIONS: usize = 100_000;

/// Casbin with the model of `config/policy/model.conf`, and the answers it has given.
///
/// A principal asks as itself and as each role that the user store gives it; a deny of any of them
/// wins.
pub struct CasbinPolicy {
    enforcer: Enforcer,
    rules: Rules,
    /// Where no rule speaks of single columns, the table answers for them.
    column_rules: ColumnRules,
    decisions: RwLock<HashMap<Question, Access>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    principal: String,
    table: ObjectPath,
    columns: Vec<String>,
}

impl CasbinPolicy {
    /// Reads a model and a policy. The error lists every line that is not understood.
    pub async fn load(model: &str, policy: &str) -> Result<Self> {
        let rules = Rules::parse(policy).map_err(|mistakes| refused("policy", &mistakes))?;
        let enforcer = enforcer(model, &rules).await?;
        let column_rules = ColumnRules::of(&rules);
        Ok(Self { enforcer, rules, column_rules, decisions: RwLock::default() })
    }

    /// The rules that match, as themselves: an allow may stand beside a deny.
    fn matching(&self, principal: &Principal, object: &str, action: Action) -> Vec<Rule> {
        let mut matching = Vec::new();
        for subject in subjects(principal) {
            let request = (subject, principal.tenant.as_str(), object, action.as_str());
            match self.enforcer.enforce_ex(request) {
                Ok((_, rules)) => {
                    // A rule for everybody matches each subject.
                    for rule in rules.iter().filter_map(|fields| rule_of(fields)) {
                        if !matching.contains(&rule) {
                            matching.push(rule);
                        }
                    }
                }
                Err(error) => {
                    // Fails closed: a deny for everything.
                    tracing::error!(%error, object, "casbin could not decide");
                    return vec![Rule {
                        subject: String::new(),
                        domain: String::new(),
                        object: object.to_owned(),
                        action,
                        argument: String::new(),
                        allows: false,
                    }];
                }
            }
        }
        matching
    }

    fn is_allowed(&self, principal: &Principal, object: &str, action: Action) -> bool {
        let matching = self.matching(principal, object, action);
        !matching.is_empty() && matching.iter().all(|rule| rule.allows)
    }

    fn decide(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> Access {
        let path = table.object();
        let table_is_visible = self.is_allowed(principal, &path, Action::Select);
        let columns: Vec<ColumnAccess> = columns
            .iter()
            .map(|column| self.column_access(principal, &table.column(column), table_is_visible))
            .collect();
        let shows_something = if columns.is_empty() {
            table_is_visible
        } else {
            columns.iter().any(|column| *column != ColumnAccess::Hidden)
        };
        if !shows_something {
            return Access::Denied;
        }
        Access::Granted(Grant { row_filter: self.row_filter(principal, &path), columns })
    }

    fn column_access(
        &self,
        principal: &Principal,
        object: &str,
        table_is_visible: bool,
    ) -> ColumnAccess {
        let is_visible = if self.column_rules.may_speak_of(object) {
            self.is_allowed(principal, object, Action::Select)
        } else {
            table_is_visible
        };
        if !is_visible {
            return ColumnAccess::Hidden;
        }
        if !self.column_rules.has_masks || self.is_allowed(principal, object, Action::Unmask) {
            return ColumnAccess::Visible;
        }
        self.matching(principal, object, Action::Mask)
            .iter()
            .map(|rule| Mask::parse(&rule.argument).unwrap_or(Mask::Null))
            .reduce(Mask::stronger)
            .map_or(ColumnAccess::Visible, ColumnAccess::Masked)
    }

    /// (OR of the matching `filter` rules) AND every matching `restrict` rule.
    fn row_filter(&self, principal: &Principal, table: &str) -> Option<RowFilter> {
        let filters = self.matching(principal, table, Action::Filter);
        let restricts = self.matching(principal, table, Action::Restrict);
        let is_protected = self
            .rules
            .rules
            .iter()
            .any(|rule| rule.action == Action::Filter && self.covers(&rule.object, table));
        if is_protected && filters.is_empty() {
            return Some(RowFilter::Nothing);
        }
        let mut predicate = None;
        for rule in &filters {
            let Ok(next) = parse_predicate(&rule.argument) else { return Some(RowFilter::Nothing) };
            predicate = Some(super::expression::or(predicate, next));
        }
        for rule in &restricts {
            let Ok(next) = parse_predicate(&rule.argument) else { return Some(RowFilter::Nothing) };
            predicate = Some(super::expression::and_is_true(predicate, next));
        }
        predicate.map(|predicate| {
            RowFilter::Sql(Box::new(super::expression::bind_attributes(predicate, principal)))
        })
    }

    /// Does a rule on `object` speak of `table` for anybody?
    fn covers(&self, object: &str, table: &str) -> bool {
        object_matches(table, object)
            || self.rules.tags.iter().any(|[tagged, tag]| tag == object && tagged == table)
    }
}

impl Policy for CasbinPolicy {
    fn access(&self, principal: &Principal, table: &ObjectPath, columns: &[&str]) -> Access {
        let question = Question {
            principal: identity(principal),
            table: table.clone(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        };
        let known = self.decisions.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(access) = known.get(&question) {
            return access.clone();
        }
        drop(known);
        let access = self.decide(principal, table, columns);
        let mut known = self.decisions.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHED_DECISIONS {
            known.clear();
        }
        known.insert(question, access.clone());
        access
    }

    fn may_explain(&self, principal: &Principal, table: &ObjectPath) -> bool {
        self.is_allowed(principal, &table.object(), Action::ExplainRemote)
    }

    fn may_administer(&self, principal: &Principal, action: &str) -> bool {
        [Action::parse(action), Some(Action::Admin)]
            .into_iter()
            .flatten()
            .any(|action| self.is_allowed(principal, "server", action))
    }
}

impl fmt::Debug for CasbinPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CasbinPolicy").field("rules", &self.rules.rules.len()).finish()
    }
}

/// Where a column's answer can differ from its table's.
#[derive(Debug)]
struct ColumnRules {
    has_masks: bool,
    has_tag_rules: bool,
    /// Objects of `select` rules that reach a single column, with their tables.
    objects: BTreeSet<String>,
    tagged: Vec<String>,
}

impl ColumnRules {
    fn of(rules: &Rules) -> Self {
        let is_deep = |rule: &&Rule| rule.object.split('.').count() == 4;
        let selects = || rules.rules.iter().filter(|rule| rule.action == Action::Select);
        Self {
            has_masks: rules.rules.iter().any(|rule| rule.action == Action::Mask),
            has_tag_rules: selects().any(|rule| rule.object.starts_with("tag:")),
            objects: selects().filter(is_deep).map(|rule| rule.object.clone()).collect(),
            tagged: rules.tags.iter().map(|[object, _]| object.clone()).collect(),
        }
    }

    fn may_speak_of(&self, column: &str) -> bool {
        self.objects.iter().any(|object| object_matches(column, object))
            || (self.has_tag_rules && self.tagged.iter().any(|object| object == column))
    }
}

/// A rule covers its subtree; `*` is one segment, a lone `*` everything.
fn object_matches(asked: &str, ruled: &str) -> bool {
    if ruled == "*" {
        return true;
    }
    let mut asked = asked.split('.');
    ruled.split('.').all(|rule| asked.next().is_some_and(|name| rule == "*" || rule == name))
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
    let lines = rules.rules.iter().map(|rule| {
        let effect = if rule.allows { "allow" } else { "deny" };
        [&rule.subject, &rule.domain, &rule.object, rule.action.as_str(), &rule.argument, effect]
            .map(str::to_owned)
            .to_vec()
    });
    let mut seen = BTreeSet::new();
    let lines: Vec<Vec<String>> = lines.filter(|line| seen.insert(line.clone())).collect();
    let memberships = rules.memberships.iter().map(|line| line.to_vec()).collect::<BTreeSet<_>>();
    let tags = rules.tags.iter().map(|line| line.to_vec()).collect::<BTreeSet<_>>();
    if !lines.is_empty() {
        enforcer.add_policies(lines).await.map_err(casbin_refused)?;
    }
    for (kind, lines) in [("g", memberships), ("g2", tags)] {
        if !lines.is_empty() {
            let lines = lines.into_iter().collect();
            enforcer.add_named_grouping_policies(kind, lines).await.map_err(casbin_refused)?;
        }
    }
    Ok(enforcer)
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

/// Everything about a principal that a decision may depend on.
fn identity(principal: &Principal) -> String {
    format!("{:?}", (&principal.name, &principal.tenant, &principal.roles, &principal.attributes))
}

fn rule_of(fields: &[String]) -> Option<Rule> {
    let [subject, domain, object, action, argument, effect] = fields else { return None };
    Some(Rule {
        subject: subject.clone(),
        domain: domain.clone(),
        object: object.clone(),
        action: Action::parse(action)?,
        argument: argument.clone(),
        allows: effect == "allow",
    })
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::auth::{RoleName, TenantName, UserName};

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
        Principal {
            name: UserName::parse(name).unwrap(),
            roles: roles.iter().map(|role| RoleName::parse(role).unwrap()).collect(),
            tenant: TenantName::parse(tenant).unwrap(),
            attributes: BTreeMap::from([("regions".into(), vec!["EU".into(), "O'X".into()])]),
        }
    }

    fn shop(table: &str) -> ObjectPath {
        ObjectPath { catalog: "shop".into(), schema: "public".into(), table: table.into() }
    }

    /// Columns as `+name`, `-name` (hidden), `*name` (masked), then the row filter.
    fn show(access: &Access, columns: &[&str]) -> String {
        let Access::Granted(grant) = access else { return "denied".into() };
        let mut shown: Vec<String> = columns
            .iter()
            .zip(&grant.columns)
            .map(|(name, access)| match access {
                ColumnAccess::Visible => format!("+{name}"),
                ColumnAccess::Hidden => format!("-{name}"),
                ColumnAccess::Masked(_) => format!("*{name}"),
            })
            .collect();
        match &grant.row_filter {
            None => {}
            Some(RowFilter::Nothing) => shown.push("| nothing".into()),
            Some(RowFilter::Sql(predicate)) => shown.push(format!("| {predicate}")),
        }
        shown.join(" ")
    }

    #[tokio::test]
    async fn decisions_follow_the_rules() {
        let policy = CasbinPolicy::load(MODEL, POLICY).await.unwrap();
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

    #[tokio::test]
    async fn another_model_is_refused() {
        let model = MODEL.replace("!some(where (p.eft == deny))", "true");
        assert!(CasbinPolicy::load(&model, "").await.is_err());
        assert!(CasbinPolicy::load(&format!("# a comment\n{MODEL}"), "").await.is_ok());
    }

    #[test]
    fn objects_match_by_segment() {
        for (asked, ruled, expected) in [
            ("a.b.c", "*", true),
            ("a.b.c", "a", true),
            ("a.b.c", "a.b", true),
            ("a.b.c", "a.*.c", true),
            ("a.b.c", "a.b.c.d", false),
            ("ab.b.c", "a", false),
            ("a.b.c", "a.x", false),
            ("é.b.c", "é.b", true),
        ] {
            assert_eq!(object_matches(asked, ruled), expected, "{asked} {ruled}");
        }
    }
}
