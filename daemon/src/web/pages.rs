//! The pages: signing in, the inbox, approvals and their answers, and what operators look at.
//!
//! Written on the server, with a little htmx on top: everything works without a script. A GET
//! changes nothing, ever; a POST comes from our own pages, by its origin and by a mark in its form.

mod approval;
mod assets;
mod audit;
mod dates;
mod deliveries;
mod events;
mod filters;
mod form;
mod gate;
mod inbox;
mod keys;
mod layout;
mod leases;
mod link;
mod projects;
mod secrets;
mod session;
mod sign_in;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_FRAME_OPTIONS,
};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

use self::events::Streams;
use self::layout::{Shell, refused_page};
use super::guard;
use crate::broker::{Broker, Refused};

/// What every page may load and be: our own files, and nothing written into it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
                      img-src 'self'; connect-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";
/// What no page of ours has a use for.
const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), \
                           payment=(), usb=()";

/// What all pages share.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    broker: Broker,
    streams: Arc<Streams>,
}

/// Everything that a browser asks for.
pub(super) fn router(broker: &Broker) -> Router {
    let pages = Pages { broker: broker.clone(), streams: Arc::default() };
    Router::new()
        .route("/", get(|| async { Redirect::to("/inbox") }))
        .merge(sign_in::routes())
        .merge(inbox::routes())
        .merge(leases::routes())
        .merge(secrets::routes())
        .merge(keys::routes())
        .merge(audit::routes())
        .merge(deliveries::routes())
        .merge(approval::routes())
        .merge(link::routes())
        .merge(events::routes())
        .route("/assets/{version}/{file}", get(assets::asset))
        .layer(from_fn_with_state(pages.clone(), at_our_name))
        .layer(from_fn_with_state(pages.clone(), dress))
        .with_state(pages)
}

/// Leads whoever asks for the pages by a name that other programs on this machine have, too, to a
/// name that is ours: a cookie knows no ports, and would be shown to all of them.
async fn at_our_name(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    if !guard::asks_for_shared_name(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    let base = pages.broker.base_url();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let next = format!("Go to {base} and do it there.");
        let refused = Refused::invalid("this is not the address of the pages", next);
        return refused_page(Shell::outside("Refused"), &refused);
    }
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    Redirect::to(&format!("{base}{path}")).into_response()
}

/// The headers that every page has.
async fn dress(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if pages.broker.base_url().starts_with("https://") {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
    response
}
