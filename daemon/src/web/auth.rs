//! Lets agents in by their bearer key.

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use vouchsafe_core::caller::{Agent, Claims, Transport};
use vouchsafe_core::text;

use super::Web;
use super::refusal;
use super::whence::Whence;
use crate::broker::{Broker, Code, Refused};

/// How much of what a client says of itself is kept, in characters.
const CLAIM_CHARS_MAX: usize = 100;
/// Query parameters that some clients put a credential in.
const TOKEN_PARAMETERS: [&str; 6] =
    ["access_token", "token", "key", "api_key", "apikey", "authorization"];
/// What our credentials begin with, wherever they turn up.
const TOKEN_MARKS: [&str; 2] = ["vs_mcp_", "vs_user_"];

/// Says who an agent is. The broker; in tests of the routes, something smaller.
pub trait Gatekeeper: Send + Sync {
    /// Lets an agent in by what it showed, and counts its request; or says why not. Notes refusals
    /// in the log itself.
    fn let_in<'a>(
        &'a self,
        credential: Option<&'a str>,
        claims: Claims,
        project: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Agent, Refused>>;

    /// Notes a refusal of the door's own.
    fn turned_away(&self, refused: &Refused);
}

impl Gatekeeper for Broker {
    fn let_in<'a>(
        &'a self,
        credential: Option<&'a str>,
        claims: Claims,
        project: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Agent, Refused>> {
        async move {
            let agent = self.authenticate_key(credential, claims, project).await?;
            self.admit_request(&agent).await?;
            Ok(agent)
        }
        .boxed()
    }

    fn turned_away(&self, refused: &Refused) {
        self.refuse_door("http", refused);
    }
}

impl Web {
    /// Notes and counts a refusal of the door's own, and makes the answer.
    pub(super) fn turn_away(&self, refused: &Refused) -> Response {
        self.gatekeeper.turned_away(refused);
        self.metrics.refused("http", refused.code.as_str());
        refusal::answer(refused)
    }
}

/// Middleware of `/mcp`: puts the [`Agent`] among the request's extensions, or answers.
pub(super) async fn let_in(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    if request.uri().query().is_some_and(carries_token) {
        return web.turn_away(&Refused::new(
            Code::InvalidArgument,
            "the address holds a credential, which ends up in logs and histories",
            "Send it as `Authorization: Bearer`, and regenerate the key: this one is no secret now.",
        ));
    }
    let credential = match bearer(request.headers()) {
        Ok(credential) => credential.map(str::to_owned),
        Err(refused) => {
            web.gatekeeper.turned_away(&refused);
            web.metrics.refused("http", refused.code.as_str());
            return refusal::unauthenticated(&refused, true);
        }
    };
    let project = project(request.uri().path()).map(str::to_owned);
    let claims = claims(&request);
    let found = web.gatekeeper.let_in(credential.as_deref(), claims, project.as_deref()).await;
    match found {
        Ok(agent) => {
            // The credential has done its work; nothing behind this has a use for it.
            request.headers_mut().remove(AUTHORIZATION);
            request.extensions_mut().insert(agent);
            next.run(accept_both(request)).await
        }
        Err(refused) => {
            web.metrics.refused("http", refused.code.as_str());
            refusal::unauthenticated(&refused, credential.is_some())
        }
    }
}

/// The project named in a path, if one is.
pub(super) fn project(path: &str) -> Option<&str> {
    path.strip_prefix("/mcp/").filter(|name| !name.is_empty() && !name.contains('/'))
}

/// What was sent as a bearer credential; none where nothing was sent.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let only = values.next().is_none();
    let parts = value.to_str().ok().and_then(|text| text.trim().split_once(' '));
    match parts {
        Some((scheme, credential)) if only && scheme.eq_ignore_ascii_case("bearer") => {
            Ok(Some(credential.trim()))
        }
        _ => Err(Refused::new(
            Code::Unauthenticated,
            "the Authorization header is not one bearer credential",
            "Send `Authorization: Bearer` and the MCP key, once.",
        )),
    }
}

/// What the client says of itself.
fn claims(request: &Request) -> Claims {
    let client = request
        .headers()
        .get(USER_AGENT)
        .map(|agent| text::echo(&String::from_utf8_lossy(agent.as_bytes()), CLAIM_CHARS_MAX));
    Claims {
        client,
        transport: Transport::Http,
        host: None,
        os_user: None,
        address: request.extensions().get::<Whence>().map(|whence| whence.address()),
    }
}

/// Whether a query has a credential in it.
pub(super) fn carries_token(query: &str) -> bool {
    let lower = query.to_ascii_lowercase();
    TOKEN_MARKS.iter().any(|mark| lower.contains(mark))
        || lower.split('&').any(|pair| {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            TOKEN_PARAMETERS.contains(&name)
        })
}

/// A client that takes anything takes both kinds of answer; the service behind asks for them by
/// name.
fn accept_both(mut request: Request) -> Request {
    let takes_anything = request.headers().get(ACCEPT).is_none_or(|accept| accept == "*/*");
    if request.method() == Method::POST && takes_anything {
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_in_the_address_is_seen() {
        for (query, seen) in [
            ("access_token=x", true),
            ("a=1&Token=x", true),
            ("q=vs_mcp_abc", true),
            ("q=VS_USER_abc", true),
            ("q=1", false),
            ("", false),
        ] {
            assert_eq!(carries_token(query), seen, "{query}");
        }
    }

    #[test]
    fn a_bearer_credential_is_sent_once() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers).unwrap(), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bearer  abc "));
        assert_eq!(bearer(&headers).unwrap(), Some("abc"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer def"));
        assert!(bearer(&headers).is_err());
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic abc"));
        assert!(bearer(&headers).is_err());
    }

    #[test]
    fn a_project_is_one_segment() {
        assert_eq!(project("/mcp/blue"), Some("blue"));
        for path in ["/mcp", "/mcp/", "/mcp/a/b", "/mcps/a"] {
            assert_eq!(project(path), None, "{path}");
        }
    }
}
