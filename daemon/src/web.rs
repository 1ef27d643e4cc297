//! The HTTP door: who may come in, and which way.
//!
//! `/mcp` and `/mcp/{project}` are the agents', by bearer key; `/healthz`, `/readyz` and `/metrics`
//! the operator's; the pages, and what people answer by, are in [`people()`]. Everything else is a
//! plain 404, so that clients which look for OAuth metadata learn that there is none. `Host` and
//! `Origin` are checked on every one of them.

mod auth;
mod body;
mod connection;
mod guard;
mod pages;
mod people;
mod refusal;
mod respond;
mod slack;
mod whence;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any_service, get};
use futures_util::future::BoxFuture;
use tower::Service;

pub use self::auth::Gatekeeper;
pub use self::connection::{Limits, serve};
pub use self::guard::{NameError, Names};
pub use self::people::people;
pub use self::slack::{Slack, SlackApp, SlackApps, SlackForm};
pub use self::whence::Proxies;
use crate::telemetry::Metrics;

/// The largest request body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What never changes under its address, as it is counted.
const ASSETS: &str = "/assets/{file}";

/// Whether the daemon can serve: nothing, or what is wrong with it.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// All that the HTTP door needs.
#[derive(Clone)]
pub struct Web {
    /// Lets agents in.
    pub gatekeeper: Arc<dyn Gatekeeper>,
    /// Which names and origins requests may carry.
    pub names: Names,
    /// Whose word is taken for where requests come from.
    pub proxies: Proxies,
    /// Whether the daemon can serve.
    pub ready: Ready,
    /// Where requests are counted.
    pub metrics: Metrics,
}

impl Web {
    /// The routes, with this service behind `/mcp` (`mcp::http`), and those of [`people`].
    pub fn router<S>(self, mcp: S, people: Router) -> Router
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        let agents = Router::new()
            .route("/mcp", any_service(mcp.clone()))
            .route("/mcp/{project}", any_service(mcp))
            .layer(from_fn_with_state(self.clone(), auth::let_in));
        let operators = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self.clone());
        let programs = Router::new()
            .merge(agents)
            .merge(operators)
            .fallback(not_found)
            .layer(from_fn_with_state(self.clone(), guard::check_names));
        // Browsers send forms from our own pages.
        let people = people.layer(from_fn_with_state(self.clone(), guard::check_names_of_pages));
        programs
            .merge(people)
            .layer(from_fn(body::within_time))
            .layer(from_fn_with_state(self.clone(), whence::note))
            .layer(from_fn_with_state(self, finish))
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Outermost: headers that every answer has, and the count.
async fn finish(State(web): State<Web>, request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // An asset says itself how long it may be kept; nothing else may be.
    if route != ASSETS || !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let status = response.status().as_u16();
    web.metrics.requested(route, status);
    tracing::debug!(route, status, "a request was answered");
    response
}

/// The route as it is counted: one of a few words, whatever is asked for.
fn route(path: &str) -> &'static str {
    match path {
        "/mcp" => "/mcp",
        "/healthz" => "/healthz",
        "/readyz" => "/readyz",
        "/metrics" => "/metrics",
        "/slack/actions" => "/slack/actions",
        "/" | "/inbox" => "/inbox",
        "/signin" | "/signin/code" => "/signin",
        "/signout" => "/signout",
        "/events" => "/events",
        _ if auth::project(path).is_some() => "/mcp/{project}",
        "/leases" => "/leases",
        "/secrets" => "/secrets",
        "/keys" => "/keys",
        "/audit" => "/audit",
        "/deliveries" | "/deliveries/retry" => "/deliveries",
        _ if path.starts_with("/leases/") => "/leases/{id}",
        _ if path.starts_with("/secrets/") => "/secrets/{path}",
        _ if path.starts_with("/approvals/") => "/approvals/{id}",
        _ if path.starts_with("/link/") => "/link/{token}",
        _ if path.starts_with("/assets/") => ASSETS,
        _ if respond::is_route(path) => respond::ROUTE,
        _ => "other",
    }
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(web): State<Web>) -> Response {
    match (web.ready)().await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(web): State<Web>) -> Response {
    let mut response = Response::new(Body::from(web.metrics.render()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    response
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

#[cfg(test)]
mod tests;
