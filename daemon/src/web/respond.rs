//! The HTTP call that answers an approval: `POST /v1/approvals/{id}/respond`.
//!
//! For programs that people answer through: each call carries the person's own user token, and the
//! digest of what they were shown. A browser cannot be made to send either.

mod answer;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use vouchsafe_core::audit::Via;
use vouchsafe_core::caller::{Reach, Role, User, UserRecord};

use super::auth::carries_token;
use super::refusal;
use crate::broker::{Broker, Code, Refused};

/// The route, as it is counted.
pub(super) const ROUTE: &str = "/v1/approvals/{id}/respond";
/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The call, as entries name it.
const CALL: &str = "respond";

/// Why there is no answer to give: what is said, and the status, where the code's own is not it.
#[derive(Debug)]
struct Declined {
    refused: Refused,
    status: Option<StatusCode>,
    /// A credential was sent.
    sent: bool,
}

/// The one route.
pub(super) fn router(broker: &Broker) -> Router {
    Router::new().route(ROUTE, any(respond)).with_state(broker.clone())
}

/// Whether a path is the route's.
pub(super) fn is_route(path: &str) -> bool {
    let id = path.strip_prefix("/v1/approvals/").and_then(|rest| rest.strip_suffix("/respond"));
    id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
}

async fn respond(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    if request.method() != Method::POST {
        let refused = Refused::invalid("an approval is answered by a POST", "Send a POST.");
        let mut response = Declined::at(StatusCode::METHOD_NOT_ALLOWED, refused).answer();
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    vote(&broker, id, request).await.unwrap_or_else(|declined| declined.answer())
}

async fn vote(broker: &Broker, id: String, mut request: Request) -> Result<Response, Declined> {
    if request.uri().query().is_some_and(carries_token) {
        let refused = Refused::invalid(
            "the address holds a credential, which ends up in logs and histories",
            "Send it as `Authorization: Bearer`, and have a new token made: this one is no secret \
             now.",
        );
        broker.refuse_door(Via::Api.as_str(), &refused);
        return Err(refused.into());
    }
    let user = let_in(broker, request.headers()).await?;
    // The credential has done its work; nothing behind this has a use for it.
    request.headers_mut().remove(AUTHORIZATION);
    if !is_json(request.headers()) {
        let refused = Refused::invalid(
            "the body is not said to be JSON",
            "Send `Content-Type: application/json`.",
        );
        return Err(Declined::at(StatusCode::UNSUPPORTED_MEDIA_TYPE, refused));
    }
    let body = read(request).await?;
    let command = answer::read(id, &body)?;
    let (view, leases) = broker.vote(&user, command).await?;
    let mut response = Response::new(Body::from(answer::told(&view, &leases).to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Whoever answers, where they may.
async fn let_in(broker: &Broker, headers: &HeaderMap) -> Result<User, Declined> {
    let credential = bearer(headers);
    let found = broker.sign_in_via(credential, Via::Api).await;
    let sent = headers.contains_key(AUTHORIZATION);
    let (user, record) = found.map_err(|refused| Declined { refused, status: None, sent })?;
    let reach = record.reach(&[Role::Approver]);
    match &reach {
        Reach::Projects(projects) if projects.is_empty() => {
            Err(broker.refuse_user(&user, CALL, role_needed(&record)).await.into())
        }
        Reach::Everywhere | Reach::Projects(_) => Ok(User { reach, ..user }),
    }
}

fn role_needed(record: &UserRecord) -> Refused {
    let message =
        format!("answering needs the role approver, and {} does not have it", record.name);
    let next = "Ask an admin for the role approver, or sign in as somebody who has it.";
    Refused::new(Code::RoleNeeded, message, next)
}

/// The credential of a request that has exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, credential) = only.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

/// `application/json`, with or without parameters. A form of another site's cannot say so.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (values.next(), values.next()) else { return false };
    let kind = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

async fn read(request: Request) -> Result<Vec<u8>, Declined> {
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    match to_bytes(request.into_body(), BODY_BYTES_MAX).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => {
            let source = std::error::Error::source(&error);
            let full = source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            Err(if full {
                too_large()
            } else {
                Refused::invalid("the body broke off, or took too long", "Send it again.").into()
            })
        }
    }
}

fn too_large() -> Declined {
    let refused = Refused::invalid("an answer has 64 KiB at most", "Say it more briefly.");
    Declined::at(StatusCode::PAYLOAD_TOO_LARGE, refused)
}

impl Declined {
    const fn at(status: StatusCode, refused: Refused) -> Self {
        Self { refused, status: Some(status), sent: true }
    }

    fn answer(self) -> Response {
        let mut response = refusal::unauthenticated(&self.refused, self.sent);
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        response
    }
}

impl From<Refused> for Declined {
    fn from(refused: Refused) -> Self {
        Self { refused, status: None, sent: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_what_says_that_it_is() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data", false),
            ("text/plain; application/json", false),
            ("application/json-seq", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            assert_eq!(is_json(&headers), json, "{kind}");
            headers.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            assert!(!is_json(&headers), "{kind}, twice");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn the_route_is_one_approvals() {
        assert!(is_route("/v1/approvals/ap_1/respond"));
        for path in ["/v1/approvals//respond", "/v1/approvals/a/b/respond", "/v1/approvals/a"] {
            assert!(!is_route(path), "{path}");
        }
    }
}
