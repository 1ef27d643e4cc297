//! A refusal as an HTTP answer.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::broker::{Code, Kind, Refused};

/// Seconds after which it may be tried again where there was too much at once and nobody knows better.
const RETRY_SECONDS: u64 = 2;

/// The answer to a request that is refused before it reaches the protocol behind it.
pub(super) fn answer(refused: &Refused) -> Response {
    let body = json!({
        "error": {
            "code": refused.code.as_str(),
            "message": refused.message,
            "next": refused.next,
        }
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status(refused.code.kind());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if refused.code.kind() == Kind::Busy {
        let seconds = refused.retry_after.map_or(RETRY_SECONDS, |wait| wait.as_secs());
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refused.code == Code::ScopeNeeded {
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"vouchsafe\", error=\"insufficient_scope\""),
        );
    }
    response
}

/// The same, where a credential was looked for: RFC 6750 names the error only where one was sent.
pub(super) fn unauthenticated(refused: &Refused, sent: bool) -> Response {
    let mut response = answer(refused);
    if refused.code.kind() == Kind::Unauthenticated {
        let challenge = if sent {
            "Bearer realm=\"vouchsafe\", error=\"invalid_token\""
        } else {
            "Bearer realm=\"vouchsafe\""
        };
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Conflict | Kind::Exists => StatusCode::CONFLICT,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable | Kind::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
