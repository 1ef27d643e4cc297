//! The files that pages load: part of the program, and never changing under their address.

use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

/// Hexadecimal digits of the hash in an address.
const VERSION_DIGITS: usize = 16;
const FOREVER: &str = "public, max-age=31536000, immutable";

/// Every file: its name, what it is, and what is in it.
const FILES: &[(&str, &str, &[u8])] = &[
    ("app.css", "text/css; charset=utf-8", include_bytes!("../../../assets/app.css")),
    ("lists.css", "text/css; charset=utf-8", include_bytes!("../../../assets/lists.css")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/app.js")),
    ("live.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/live.js")),
    (
        "htmx.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../assets/htmx.min.js"),
    ),
    (
        "htmx-sse.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../assets/htmx-sse.min.js"),
    ),
    ("inter.woff2", "font/woff2", include_bytes!("../../../assets/inter.woff2")),
    ("mark.svg", "image/svg+xml", include_bytes!("../../../assets/mark.svg")),
];

/// `/assets/` and a hash over all files: another program has another one. The style sheets name
/// the typeface beside them, so that one hash is for all.
pub(super) static BASE: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Context::new(&SHA256);
    for (name, _, bytes) in FILES {
        hash.update(name.as_bytes());
        hash.update(bytes);
    }
    let mut version = HEXLOWER.encode(hash.finish().as_ref());
    version.truncate(VERSION_DIGITS);
    format!("/assets/{version}")
});

/// One of the files.
pub(super) async fn asset(Path((version, file)): Path<(String, String)>) -> Response {
    let current = BASE.strip_prefix("/assets/") == Some(version.as_str());
    let found = FILES.iter().find(|(name, _, _)| current && *name == file);
    let Some((_, kind, bytes)) = found else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let mut response = Response::new(Body::from(Bytes::from_static(bytes)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOREVER));
    response
}
