//! `weir policy explain`: what somebody sees, and which lines of the policy say so. It runs nothing.

use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{catalogs, engine_limits, state};
use crate::{
    auth::{Principal, UserStore},
    cli::PolicyExplainArgs,
    config::Config,
    engine::Engine,
    error::{Error, ErrorKind, Result},
    policy::{PolicyStore, tell, why_denied},
    session::{Session, SessionOptions},
    telemetry::{Door, Metrics},
};

/// Writes the story; false when the statement is refused to the user.
pub async fn explain(
    config: &Config,
    args: &PolicyExplainArgs,
    out: &mut dyn Write,
) -> Result<bool> {
    let principal = principal(config, args)?;
    let files = &config.policy;
    let keys = state::mask_keys_if_made(config)?;
    let store = Arc::new(PolicyStore::open(&files.model, &files.policy, keys).await?);
    let mut is_visible = true;
    if let Some(object) = &args.why_denied {
        write(out, &why_denied(&store.current(), &principal, object)?)?;
    }
    if let Some(sql) = &args.sql {
        let session = open_session(config, store.clone(), principal.clone(), out).await?;
        is_visible = explain_statement(&session, &store, &principal, sql, out).await?;
    }
    Ok(is_visible)
}

/// As at login.
fn principal(config: &Config, args: &PolicyExplainArgs) -> Result<Principal> {
    let missing = || {
        Error::new(ErrorKind::UndefinedObject, format!("user \"{}\" does not exist", args.user))
            .with_hint("weir user list shows all of them.")
    };
    // Opening would make the store.
    if !config.state.dir.join("users.json").exists() {
        return Err(missing());
    }
    let user = UserStore::open(&config.state.dir)?.find(args.user.as_str())?.ok_or_else(missing)?;
    let mut principal = user.principal();
    if let Some(tenant) = &args.tenant {
        principal.tenant = tenant.clone();
    }
    Ok(principal)
}

/// Reads the metadata of every catalog that answers.
async fn open_session(
    config: &Config,
    store: Arc<PolicyStore>,
    principal: Principal,
    out: &mut dyn Write,
) -> Result<Session> {
    let mut named = BTreeMap::new();
    for kept in catalogs::open(&config.catalogs, None)? {
        let limit = kept.connect_timeout();
        let catalog = kept.catalog;
        let failure = match timeout(limit, catalog.refresh()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("it does not answer within {} s", limit.as_secs_f64())),
        };
        if let Some(failure) = failure {
            write(out, &format!("warning: catalog \"{}\": {failure}\n", catalog.name()))?;
        }
        named.insert(catalog.name().clone(), catalog);
    }
    let engine = Arc::new(Engine::new(named, store, engine_limits(&config.limits))?);
    let options = SessionOptions {
        principal,
        door: Door::Postgres,
        database: String::new(),
        settings: Vec::new(),
        max_statement_timeout: config.limits.query_timeout.min(Duration::from_secs(60)),
    };
    Session::open(engine, Metrics::new(), options)
}

async fn explain_statement(
    session: &Session,
    store: &PolicyStore,
    principal: &Principal,
    sql: &str,
    out: &mut dyn Write,
) -> Result<bool> {
    let review = match session.review(sql).await {
        Ok(review) => review,
        Err(error) => {
            let code = error.kind.sqlstate();
            write(out, &format!("refused ({code}): {}\n", error.message))?;
            if matches!(error.kind, ErrorKind::UndefinedTable | ErrorKind::UndefinedColumn) {
                write(out, "  --why-denied catalog.schema.table.column says what hides a name\n")?;
            }
            return Ok(false);
        }
    };
    let policy = store.current();
    for (table, columns) in &review.tables {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        write(out, &tell(&policy, principal, table, &columns)?)?;
    }
    write(out, "plan, with what each source would be sent:\n")?;
    for line in &review.plan {
        write(out, &format!("  {line}\n"))?;
    }
    Ok(true)
}

fn write(out: &mut dyn Write, text: &str) -> Result<()> {
    out.write_all(text.as_bytes()).map_err(Error::internal)
}
