//! Opens the catalogs and reads their metadata, again and again.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use weir_catalogs::{Catalog, SourceError};

use crate::{
    config::CatalogConfig,
    error::{Error, ErrorKind, Result},
};

/// For a source that has no such option.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(300);
/// Between attempts to reach a source that is down: doubled from the first to the last.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
const AFTER_CHANGE: Duration = Duration::from_secs(1);

/// A catalog with its timetable.
#[derive(Debug)]
pub struct KeptCatalog {
    pub catalog: Arc<Catalog>,
    /// `None`: a snapshot that was taken stays.
    refresh_interval: Option<Duration>,
    connect_timeout: Duration,
    discovery_timeout: Duration,
    /// Of the last attempt; `None` before the first.
    is_up: Option<bool>,
}

/// Opens every catalog, without IO. A wrong option is a mistake that no retry mends, so all of them
/// are reported and stop the start.
pub fn open(
    configs: &[CatalogConfig],
    default_interval: Option<Duration>,
) -> Result<Vec<KeptCatalog>> {
    let mut opened = Vec::new();
    let mut mistakes = Vec::new();
    for config in configs {
        match KeptCatalog::open(config, default_interval) {
            Ok(kept) => opened.push(kept),
            Err(error) => mistakes.push(described(config, &error)),
        }
    }
    match mistakes.len() {
        0 => Ok(opened),
        1 => Err(Error::new(ErrorKind::Config, mistakes.remove(0))),
        count => Err(Error::new(ErrorKind::Config, format!("{count} catalogs can't be opened"))
            .with_detail(mistakes.join("\n"))),
    }
}

fn described(config: &CatalogConfig, error: &SourceError) -> String {
    let about = format!("catalog \"{}\"", config.name);
    let message = match error.message.contains(&about) {
        true => error.message.clone(),
        false => format!("{about}: {}", error.message),
    };
    match &error.hint {
        Some(hint) => format!("{message} ({hint})"),
        None => message,
    }
}

/// Reads all catalogs at once, none longer than its connect timeout.
pub async fn refresh_first(opened: Vec<KeptCatalog>) -> Vec<KeptCatalog> {
    let mut attempts: JoinSet<KeptCatalog> = opened
        .into_iter()
        .map(|mut kept| async move {
            kept.refresh(kept.connect_timeout).await;
            kept
        })
        .collect();
    let mut refreshed = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(kept) => refreshed.push(kept),
            Err(panic) => tracing::error!(%panic, "a source could not be read"),
        }
    }
    refreshed
}

impl KeptCatalog {
    pub fn open(
        config: &CatalogConfig,
        default_interval: Option<Duration>,
    ) -> Result<Self, SourceError> {
        let source = (config.kind.open)(&config.name, config.options.clone())?;
        let option = |name| config.options.duration(name);
        Ok(Self {
            catalog: Arc::new(Catalog::new(config.name.clone(), source)),
            refresh_interval: option("refresh_interval").or(default_interval),
            connect_timeout: option("connect_timeout").unwrap_or(CONNECT_TIMEOUT),
            discovery_timeout: option("query_timeout").unwrap_or(DISCOVERY_TIMEOUT),
            is_up: None,
        })
    }

    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Refreshes by the timetable, and when a query has met a change; a source that is down is tried
    /// sooner.
    pub async fn keep_fresh(&mut self) {
        let mut retry = FIRST_RETRY;
        loop {
            let delay = match (self.is_up, self.refresh_interval) {
                (Some(true), interval) => {
                    retry = FIRST_RETRY;
                    interval
                }
                (_, interval) => {
                    let delay = interval.map_or(retry, |interval| interval.min(retry));
                    retry = (retry * 2).min(LAST_RETRY);
                    Some(delay)
                }
            };
            let timetable = async {
                match delay {
                    Some(delay) => sleep(delay).await,
                    None => std::future::pending().await,
                }
            };
            let changed = async {
                self.catalog.source().changed().await;
                // Many queries may meet one change.
                sleep(AFTER_CHANGE).await;
            };
            tokio::select! {
                () = timetable => {}
                () = changed => {}
            }
            self.refresh(self.discovery_timeout).await;
        }
    }

    /// Reads the metadata, and logs when that changes whether the catalog is up.
    async fn refresh(&mut self, limit: Duration) {
        let catalog = self.catalog.name();
        let was_up = self.is_up;
        match timeout(limit, self.catalog.refresh()).await {
            Ok(Ok(())) => {
                self.is_up = Some(true);
                if was_up != Some(true) {
                    let tables = self.catalog.snapshot().tables().count();
                    tracing::info!(%catalog, tables, "catalog is up");
                }
            }
            Ok(Err(error)) => {
                self.is_up = Some(false);
                if was_up != Some(false) {
                    let cause = error.source.as_ref().map(ToString::to_string);
                    tracing::warn!(%catalog, %error, cause, "can't read a catalog, will retry");
                }
            }
            Err(_) => {
                self.is_up = Some(false);
                if was_up != Some(false) {
                    let seconds = limit.as_secs_f64();
                    tracing::warn!(%catalog, seconds, "a catalog takes too long, will retry");
                }
            }
        }
    }
}
