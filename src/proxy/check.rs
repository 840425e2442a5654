//! `weir check`: says what a start would find, without ports, locks or changes.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use futures::future::join_all;
use tokio::time::timeout;
use weir_catalogs::Catalog;

use super::{catalogs::KeptCatalog, doors::load_tls, known::known, state::mask_keys_if_made};
use crate::{
    auth::UserStore,
    config::{CatalogConfig, Config},
    error::{Error, ErrorKind, Result},
    policy::{CasbinPolicy, PolicyStore, Warning, lint},
};

/// One thing that was looked at.
struct Finding {
    what: String,
    place: String,
    outcome: Result<String>,
}

/// Looks at everything, reaches out to each catalog, and writes a line for each. True: all is well.
pub async fn check(config: &Config, out: &mut dyn Write) -> io::Result<bool> {
    let (about_policy, policy) = check_policy(config).await;
    let mut findings = vec![about_policy, check_users(&config.state.dir)];
    findings.extend(check_tls(config));
    let (about_catalogs, catalogs): (Vec<_>, Vec<_>) =
        join_all(config.catalogs.iter().map(check_catalog)).await.into_iter().unzip();
    findings.extend(about_catalogs);
    for warning in &config.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let width = |part: fn(&Finding) -> &str| {
        findings.iter().map(|finding| part(finding).chars().count()).max().unwrap_or_default()
    };
    let (what_width, place_width) = (width(|f| &f.what), width(|f| &f.place));
    for Finding { what, place, outcome } in &findings {
        write!(out, "{what:what_width$}  {place:place_width$}  ")?;
        match outcome {
            Ok(found) => writeln!(out, "{found}")?,
            Err(error) => write_error(error, out)?,
        }
    }
    if let Some(policy) = policy {
        let place = config.policy.policy.display();
        for warning in doubtful_lines(config, &policy, catalogs.iter().flatten()) {
            writeln!(out, "warning: {place}: {warning}")?;
        }
    }
    if config.catalogs.is_empty() {
        writeln!(out, "There are no catalogs yet: config/catalogs/README.md says how to add one.")?;
    }
    Ok(findings.iter().all(|finding| finding.outcome.is_ok()))
}

async fn check_policy(config: &Config) -> (Finding, Option<Arc<CasbinPolicy>>) {
    let files = &config.policy;
    let opened = async {
        let keys = mask_keys_if_made(config)?;
        Ok(PolicyStore::open(&files.model, &files.policy, keys).await?.current())
    };
    let (outcome, policy) = match opened.await {
        Ok(policy) => {
            let found = format!("ok: {}", counted(policy.rules().rules.len(), "rule"));
            (Ok(found), Some(policy))
        }
        Err(error) => (Err(error), None),
    };
    let finding =
        Finding { what: "policy".into(), place: files.policy.display().to_string(), outcome };
    (finding, policy)
}

/// Lines of the policy that can't be what was meant, as far as the catalogs can be read.
fn doubtful_lines<'a>(
    config: &Config,
    policy: &CasbinPolicy,
    catalogs: impl Iterator<Item = &'a Arc<Catalog>>,
) -> Vec<Warning> {
    let folder = &config.state.dir;
    let users = folder.join("users.json").exists().then(|| UserStore::open(folder));
    let users = users.and_then(Result::ok);
    let mut known = known(catalogs.map(Arc::as_ref), users.as_ref());
    let names = config.catalogs.iter().map(|catalog| catalog.name.to_string());
    known.catalogs.get_or_insert_default().extend(names);
    lint(policy, &known)
}

/// Only looks: the first start makes what is missing.
fn check_users(folder: &Path) -> Finding {
    let count = || {
        if !folder.join("users.json").exists() {
            return Ok(0);
        }
        Ok(UserStore::open(folder)?.list()?.len())
    };
    let outcome = count().map(|count| match count {
        0 => "ok: nobody can log in yet, see weir user add --help".into(),
        count => format!("ok: {}", counted(count, "user")),
    });
    Finding { what: "users".into(), place: folder.display().to_string(), outcome }
}

fn check_tls(config: &Config) -> Vec<Finding> {
    let postgres = config.postgres.iter().map(|door| ("postgres", door.address, door.tls.as_ref()));
    let flight = config.flight.iter().map(|door| ("flight", door.address, door.tls.as_ref()));
    let doors = postgres.chain(flight).filter(|(_, _, tls)| tls.is_some());
    doors
        .map(|(door, address, tls)| Finding {
            what: format!("tls of {door}"),
            place: address.to_string(),
            outcome: load_tls(tls, &[]).map(|_| "ok".into()),
        })
        .collect()
}

async fn check_catalog(config: &CatalogConfig) -> (Finding, Option<Arc<Catalog>>) {
    let outcome = async {
        let kept = KeptCatalog::open(config, None)?;
        let limit = kept.connect_timeout();
        let too_long = |_| {
            Error::new(
                ErrorKind::SourceUnavailable,
                format!("it does not answer within {} s", limit.as_secs_f64()),
            )
        };
        let about = timeout(limit, kept.catalog.source().check()).await.map_err(too_long)??;
        timeout(limit, kept.catalog.refresh()).await.map_err(too_long)??;
        let snapshot = kept.catalog.snapshot();
        let tables = counted(snapshot.tables().count(), "table");
        let schemas = counted(snapshot.schemas.len(), "schema");
        Ok((format!("ok: {tables} in {schemas} ({about})"), kept.catalog))
    };
    let (outcome, catalog) = match outcome.await {
        Ok((found, catalog)) => (Ok(found), Some(catalog)),
        Err(error) => (Err(error), None),
    };
    let finding =
        Finding { what: config.name.to_string(), place: config.kind.name.to_owned(), outcome };
    (finding, catalog)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn write_error(error: &Error, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "WRONG: {}", error.message)?;
    for line in error.detail.iter().flat_map(|detail| detail.lines()) {
        writeln!(out, "    {line}")?;
    }
    match &error.hint {
        Some(hint) => writeln!(out, "    {hint}"),
        None => Ok(()),
    }
}
