//! Policies as people write them: the examples of the guide, and lines that deserve a warning.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::auth::{RoleName, TenantName, UserName};

pub(super) fn principal(
    name: &str,
    roles: &[&str],
    tenant: &str,
    attributes: &[(&str, &str)],
) -> Principal {
    let mut grouped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in attributes {
        grouped.entry((*key).to_owned()).or_default().push((*value).to_owned());
    }
    Principal {
        name: UserName::parse(name).unwrap(),
        roles: roles.iter().map(|role| RoleName::parse(role).unwrap()).collect(),
        tenant: TenantName::parse(tenant).unwrap(),
        attributes: grouped,
    }
}

fn path(text: &str) -> ObjectPath {
    let parts: Vec<&str> = text.split('.').collect();
    let [catalog, schema, table] = parts[..] else { panic!("{text}") };
    ObjectPath { catalog: catalog.into(), schema: schema.into(), table: table.into() }
}

async fn loaded(text: &str) -> CasbinPolicy {
    match CasbinPolicy::load(MODEL, text, MaskKeys::passing()).await {
        Ok(policy) => policy,
        Err(error) => panic!("{error}: {:?}", error.detail),
    }
}

/// Columns as `+name`, `-name` (hidden), `*name` (masked), then the row filter.
pub(super) fn show(access: &Access, columns: &[&str]) -> String {
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

/// The policy below a heading of the guide.
fn example(heading: &str) -> &'static str {
    let guide = include_str!("../../docs/policy.md");
    let section = guide.split(&format!("### {heading}\n")).nth(1).unwrap();
    section.split("```csv\n").nth(1).unwrap().split("```").next().unwrap()
}

struct Case {
    user: (&'static str, &'static [&'static str], &'static str),
    attributes: &'static [(&'static str, &'static str)],
    table: &'static str,
    columns: &'static [&'static str],
    expected: &'static str,
}

const fn case(
    user: (&'static str, &'static [&'static str], &'static str),
    attributes: &'static [(&'static str, &'static str)],
    table: &'static str,
    columns: &'static [&'static str],
    expected: &'static str,
) -> Case {
    Case { user, attributes, table, columns, expected }
}

const EXAMPLES: &[(&str, &[Case])] = &[
    (
        "Tenant isolation",
        &[
            case(
                ("ann", &["member"], "acme"),
                &[],
                "shop.public.orders",
                &["id", "tenant_id"],
                "+id +tenant_id | ((tenant_id = 'acme') IS TRUE)",
            ),
            case(
                ("gil", &["member"], "globex"),
                &[],
                "shop.public.customers",
                &["id", "tenant_id"],
                "+id +tenant_id | ((tenant_id = 'globex') IS TRUE)",
            ),
            case(("eve", &[], "acme"), &[], "shop.public.orders", &["id"], "denied"),
            case(("ann", &["member"], "acme"), &[], "shop.audit.log", &["id"], "denied"),
        ],
    ),
    (
        "Regional managers",
        &[
            case(
                ("mia", &["manager"], "acme"),
                &[("regions", "EU"), ("regions", "US")],
                "shop.public.orders",
                &["id"],
                "+id | (region IN ('EU', 'US'))",
            ),
            case(
                ("moe", &["manager"], "acme"),
                &[],
                "shop.public.orders",
                &["id"],
                "+id | (region IN (NULL))",
            ),
            case(
                ("hal", &["head_of_sales"], "acme"),
                &[],
                "shop.public.orders",
                &["id"],
                "+id | (true)",
            ),
            case(("sam", &["sales"], "acme"), &[], "shop.public.orders", &["id"], "+id | nothing"),
        ],
    ),
    (
        "Personal data masked, and a role that sees it",
        &[
            case(
                ("ann", &["analyst"], "acme"),
                &[],
                "shop.public.customers",
                &["id", "email", "phone", "birthday"],
                "+id *email *phone *birthday",
            ),
            case(
                ("fay", &["fraud"], "acme"),
                &[],
                "shop.public.customers",
                &["id", "email", "phone", "birthday"],
                "+id +email +phone *birthday",
            ),
            case(
                ("fay", &["fraud"], "globex"),
                &[],
                "shop.public.customers",
                &["id", "email"],
                "denied",
            ),
        ],
    ),
    (
        "A chatbot with narrow rights",
        &[
            case(
                ("bot", &["chatbot"], "acme"),
                &[("customer", "7")],
                "shop.public.orders",
                &["id", "status", "amount"],
                "+id +status -amount | (customer = '7')",
            ),
            case(
                ("bot", &["chatbot"], "acme"),
                &[],
                "shop.public.products",
                &["id", "name"],
                "+id +name",
            ),
            case(("bot", &["chatbot"], "acme"), &[], "shop.public.customers", &["id"], "denied"),
            case(
                ("ann", &["staff"], "acme"),
                &[],
                "shop.public.orders",
                &["id", "amount"],
                "+id +amount | (true)",
            ),
        ],
    ),
    (
        "Finance columns hidden",
        &[
            case(
                ("ann", &["staff"], "acme"),
                &[],
                "hr.public.employees",
                &["id", "name", "salary", "bonus"],
                "+id +name -salary -bonus",
            ),
            case(("ann", &["staff"], "acme"), &[], "hr.public.payroll", &["id", "sum"], "denied"),
            case(
                ("cas", &["controller"], "acme"),
                &[],
                "hr.public.employees",
                &["id", "name", "salary", "bonus"],
                "+id +name +salary +bonus",
            ),
            case(
                ("both", &["controller", "staff"], "acme"),
                &[],
                "hr.public.employees",
                &["id", "salary"],
                "+id -salary",
            ),
        ],
    ),
];

#[tokio::test]
async fn the_examples_of_the_guide_do_what_it_says() {
    for (heading, cases) in EXAMPLES {
        let policy = loaded(example(heading)).await;
        for Case { user: (name, roles, tenant), attributes, table, columns, expected } in *cases {
            let principal = principal(name, roles, tenant, attributes);
            let access = policy.access(&principal, &path(table), columns);
            assert_eq!(show(&access, columns), *expected, "{heading}: {name} {tenant} {table}");
        }
    }
    let guide = include_str!("../../docs/policy.md");
    assert_eq!(guide.matches("```csv").count(), EXAMPLES.len());
}

#[tokio::test]
async fn the_chatbot_of_the_guide_has_one_way_in_and_none_out() {
    let policy = loaded(example("A chatbot with narrow rights")).await;
    let bot = principal("bot", &["chatbot"], "acme", &[]);
    let staff = principal("ann", &["staff"], "acme", &[]);
    let orders = path("shop.public.orders");
    let inside: IpAddr = [10, 1, 1, 1].into();
    let outside: IpAddr = [192, 0, 2, 1].into();
    for (found, expected) in [
        (policy.may_connect(&bot, Door::Flight, inside), true),
        (policy.may_connect(&bot, Door::Flight, outside), false),
        (policy.may_connect(&bot, Door::Postgres, inside), false),
        (policy.may_connect(&staff, Door::Postgres, outside), true),
        (policy.may_copy(&bot, &orders, &["id"]), false),
        (policy.may_copy(&staff, &orders, &["id"]), true),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn the_guide_lists_every_action_and_function() {
    let guide = include_str!("../../docs/policy.md");
    for (_, action) in rules::Action::ALL {
        assert!(guide.contains(&format!("`{action}`")), "{action}");
    }
    for function in planner::FUNCTIONS {
        assert!(guide.contains(&format!("`{function}`")), "{function}");
    }
}

fn shop() -> Known {
    let table = |name: &str, columns: &[(&str, DataType)]| KnownTable {
        path: path(name),
        columns: Arc::new(Schema::new(
            columns
                .iter()
                .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
                .collect::<Vec<_>>(),
        )),
    };
    let text = DataType::Utf8;
    Known {
        users: Some(vec![
            principal("alice", &["analyst"], "acme", &[]),
            principal("root", &["admin"], "globex", &[]),
        ]),
        catalogs: Some(["shop".to_owned(), "down".to_owned()].into()),
        tables: vec![
            table("shop.public.orders", &[("id", DataType::Int32), ("region", text.clone())]),
            table("shop.public.customers", &[("id", DataType::Int32), ("email", text)]),
        ],
    }
}

/// Each policy with the warnings that it gives, as `line: part of the text`.
const WARNINGS: &[(&str, &[&str])] = &[
    ("p, role:analyst, *, shop.public, select, , allow", &[]),
    (
        "p, role:analyst, *, shop, select, , allow\np, role:analyst, *, shop, select, , allow",
        &["2: repeats line 1"],
    ),
    (
        "p, role:analyst, *, shop.public.orders, select, , allow\np, role:public, *, shop, select, , deny",
        &["1: does nothing: line 2 denies it"],
    ),
    (
        "p, role:analyst, *, shop.public.orders, select, , allow\np, role:analyst, acme, shop.public.orders.id, select, , deny",
        &[],
    ),
    (
        "g2, shop.public.orders.id, tag:x\np, role:analyst, *, tag:x, select, , allow\np, role:analyst, *, shop.public.orders, select, , deny",
        &["2: does nothing: line 3 denies it"],
    ),
    (
        "p, role:analyst, *, shop.public.ordres, select, , allow",
        &["1: nothing is named shop.public.ordres"],
    ),
    (
        "p, role:analyst, *, shop.public.orders.idd, select, , allow",
        &["1: nothing is named shop.public.orders.idd"],
    ),
    ("p, role:analyst, *, shopp.public, select, , allow", &["1: there is no catalog \"shopp\""]),
    ("p, role:analyst, *, down.public.t, select, , allow", &[]),
    ("p, role:analyst, *, *.public.orders, select, , allow", &[]),
    ("p, role:analist, *, shop, select, , allow", &["1: nobody is role:analist"]),
    ("p, user:bob, *, shop, select, , allow", &["1: nobody is user:bob"]),
    ("p, role:analyst, acne, shop, select, , allow", &["1: nobody belongs to tenant \"acne\""]),
    (
        "g, user:alice, role:staff, acme\np, role:analyst, *, shop, select, , allow",
        &["1: no rule speaks of role:staff"],
    ),
    (
        "g2, shop.public.orders.id, tag:x\np, role:analyst, *, tag:y, select, , allow",
        &["1: no rule speaks of tag:x", "2: nothing has tag:y"],
    ),
    (
        "g2, shop.public.orders.id, tag:x\np, role:public, *, tag:x, filter, true, allow",
        &["2: tag:x is on columns"],
    ),
    (
        "p, role:analyst, *, shop.public.orders, filter, reigon = 'EU', allow",
        &["1: can't be applied to shop.public.orders"],
    ),
    (
        "p, role:analyst, *, shop.public.orders, filter, id, allow",
        &["1: can't be applied to shop.public.orders: "],
    ),
    (
        "p, role:analyst, *, shop.public.orders, restrict, id + 1 = 2, allow",
        &["1: can't be applied to shop.public.orders: "],
    ),
    (
        "p, role:analyst, *, shop, select, , allow\np, role:public, *, shop.public.orders.id, mask, \"left(region, 1)\", allow",
        &["2: can't be applied to shop.public.orders: "],
    ),
    ("p, role:public, *, shop.public.orders.id, mask, null, allow", &["1: nobody may see"]),
    (
        "p, role:analyst, *, shop, select, , allow\np, role:public, *, shop.public.orders.id, select, , deny\np, role:analyst, *, shop.public.orders.id, mask, null, allow",
        &["3: masks what line 2 hides"],
    ),
    (
        "p, role:analyst, *, shop, select, , allow\np, role:analyst, *, shop.public.customers.email, mask, const(x), allow\np, role:public, *, shop.public.customers.email, mask, const(y), allow",
        &["3: contradicts line 2: where both hold, null is shown"],
    ),
    (
        "p, role:analyst, *, shop, select, , allow\np, role:analyst, *, shop.public.customers.email, mask, \"left(email, 1)\", allow\np, role:public, *, shop.public.customers.email, mask, \"left(email, 2)\", allow",
        &["3: contradicts line 2: where both hold, null is shown"],
    ),
    (
        "p, role:analyst, *, shop, select, , allow\np, role:analyst, *, shop.public.customers.email, mask, hmac, allow\np, role:public, *, shop.public.customers.email, mask, null, allow",
        &[],
    ),
    (
        "p, role:analyst, *, shop.public.customers.email, unmask, , allow",
        &["1: nothing is masked there"],
    ),
    (
        "p, role:analyst, *, shop.public.orders, insert, , allow",
        &["1: insert does nothing: weir only reads"],
    ),
    ("p, role:admin, *, server.users, admin, , allow", &["1: admin does nothing yet"]),
    ("p, role:public, *, *, select, , allow", &["1: everybody who logs in may read everything"]),
    (
        "p, role:analyst, *, server.flight, connect, , deny",
        &["1: nobody can connect to server.flight"],
    ),
    (
        "p, role:analyst, *, server.flight, connect, , allow\np, role:analyst, *, server.flight, connect, 10.0.0.0/8, deny",
        &[],
    ),
];

#[tokio::test]
async fn doubtful_lines_are_named() {
    let known = shop();
    for (text, expected) in WARNINGS {
        let policy = loaded(text).await;
        let found: Vec<String> =
            lint(&policy, &known).iter().map(|w| format!("{}: {}", w.line, w.text)).collect();
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for (found, expected) in found.iter().zip(*expected) {
            assert!(found.starts_with(expected), "{text}\n{found}");
        }
        // Where nothing is known, nothing is said of names.
        for warning in lint(&policy, &Known::default()) {
            for word in ["is named", "no catalog", "nobody is", "belongs", "applied"] {
                assert!(!warning.text.contains(word), "{text}\n{warning}");
            }
        }
    }
    for (heading, _) in EXAMPLES {
        let found = lint(&loaded(example(heading)).await, &Known::default());
        assert!(found.is_empty(), "{heading}: {found:?}");
    }
}

#[tokio::test]
async fn a_story_cites_the_lines_that_decide() {
    let policy = loaded(
        "# line 1
g, user:alice, role:analyst, acme
g2, shop.public.customers.email, tag:pii
p, role:analyst, *, shop.public, select, , allow
p, role:analyst, *, shop.public.customers.ssn, select, , deny
p, role:public, *, tag:pii, mask, \"partial(1, 4)\", allow
p, role:analyst, *, shop.public.customers, filter, region = current_attr('region'), allow
p, role:hr, *, hr.public, select, , allow
",
    )
    .await;
    let alice = principal("alice", &["staff"], "acme", &[("region", "EU")]);
    let columns = ["id", "name", "email", "ssn"];
    let story = tell(&policy, &alice, &path("shop.public.customers"), &columns).unwrap();
    assert_eq!(
        story,
        "table shop.public.customers
  rows: (region = 'EU')
    line 7: p, role:analyst, *, shop.public.customers, filter, region = current_attr('region'), allow
  columns id, name: shown
    line 4: p, role:analyst, *, shop.public, select, , allow
  column email: masked by partial(1, 4)
    line 4: p, role:analyst, *, shop.public, select, , allow
    line 6: p, role:public, *, tag:pii, mask, \"partial(1, 4)\", allow
  column ssn: hidden
    line 4: p, role:analyst, *, shop.public, select, , allow
    line 5: p, role:analyst, *, shop.public.customers.ssn, select, , deny
  COPY TO STDOUT: yes
  EXPLAIN: no
"
    );
    for (object, expected) in [
        ("shop.public.customers.ssn", "denied, and a deny wins over every allow:\n    line 5: "),
        ("shop.public.customers.id", "not hidden by the policy, but shown:\n    line 4: "),
        ("hr.public.staff", "these rules allow it to others:\n    line 8: "),
        ("hr.public.staff", "what is missing: p, role:staff, *, hr.public.staff, select, , allow"),
        ("hr.public.staff", "for user:alice of tenant acme, with role:staff, role:analyst\n"),
    ] {
        let story = why_denied(&policy, &alice, object).unwrap();
        assert!(story.contains(expected), "{object}\n{story}");
    }
}
