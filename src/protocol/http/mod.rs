//! The operator's door: `/health`, `/ready` and `/metrics`, over HTTP/1.1 and without a login.
//!
//! Invariant: it shows names and numbers of catalogs, never their addresses, rows or secrets; and a
//! client holds one of a few places, for one request and a short time.

mod listener;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{config::AllowList, policy::PolicyState, telemetry::Metrics};
use listener::{BoundedListener, Bounds};

/// What the door shows.
#[derive(Clone)]
pub struct HttpState {
    pub metrics: Metrics,
    pub vitals: Arc<dyn Vitals>,
    pub allowed_ips: AllowList,
}

/// Answers how the proxy is, at once and without IO.
pub trait Vitals: Send + Sync {
    fn catalogs(&self) -> Vec<CatalogState>;

    /// New work is no longer taken: a load balancer should look elsewhere.
    fn is_draining(&self) -> bool;

    fn memory_reserved_bytes(&self) -> u64;

    fn policy(&self) -> PolicyState;
}

#[derive(Debug, Clone, Serialize)]
pub struct CatalogState {
    pub name: String,
    #[serde(rename = "up")]
    pub is_up: bool,
    pub tables: usize,
    /// Why it is not up; what looks like an address or a setting is left out of the answer.
    pub failure: Option<String>,
}

/// Serves until `shutdown`, and then until the last open request has its answer.
pub async fn serve(listener: TcpListener, state: HttpState, shutdown: CancellationToken) {
    serve_within(Bounds::default(), listener, state, shutdown).await;
}

async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    state: HttpState,
    shutdown: CancellationToken,
) {
    let listener = BoundedListener::new(listener, bounds, state.allowed_ips.clone());
    let router = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .layer(middleware::map_response(end_connection))
        .with_state(state);
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
    if let Err(error) = served.await {
        error!(%error, "HTTP door closed");
    }
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    draining: bool,
    catalogs: Vec<CatalogState>,
}

/// Ready is who can answer something: one source that is down must not take the others with it.
async fn ready(State(state): State<HttpState>) -> Response {
    let mut catalogs = state.vitals.catalogs();
    for catalog in &mut catalogs {
        catalog.failure = catalog.failure.as_deref().map(harmless);
    }
    let draining = state.vitals.is_draining();
    let ready = !draining && (catalogs.is_empty() || catalogs.iter().any(|catalog| catalog.is_up));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&Ready { ready, draining, catalogs }) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => broken(&error),
    }
}

async fn metrics(State(state): State<HttpState>) -> Response {
    for catalog in state.vitals.catalogs() {
        state.metrics.set_catalog_up(&catalog.name, catalog.is_up);
    }
    state.metrics.set_memory_reserved(state.vitals.memory_reserved_bytes());
    let PolicyState { version, is_broken } = state.vitals.policy();
    state.metrics.set_policy(version, is_broken);
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match state.metrics.encode() {
        Ok(body) => ([(header::CONTENT_TYPE, OPEN_METRICS)], body).into_response(),
        Err(error) => broken(&error),
    }
}

fn broken(error: &dyn std::error::Error) -> Response {
    error!(%error, "can't answer on the HTTP door");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// One request for each connection: an idle one would hold a place.
async fn end_connection(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A source's message for eyes that have not logged in: words that may be an address, a host or a
/// setting become `…`.
fn harmless(message: &str) -> String {
    const MOST_CHARACTERS: usize = 200;
    let is_telling =
        |word: &str| word.contains(['@', '=', '/', '\\']) || has_inner_dot_or_colon(word);
    let words = message.split_whitespace().map(|word| if is_telling(word) { "…" } else { word });
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect()
}

/// `db.internal`, `10.0.0.1:5432`, `::1`; not `failed:` or `refused.`.
fn has_inner_dot_or_colon(word: &str) -> bool {
    word.trim_matches(|c: char| c.is_ascii_punctuation()).contains(['.', ':'])
        || word.contains("::")
}

#[cfg(test)]
mod tests;
