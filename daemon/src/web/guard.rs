//! `Host` and `Origin`, on every request.
//!
//! A page that a browser was lured to can have its own name resolve to this machine (rebinding): it
//! gives itself away by the name it asks for. And a browser says which page sends a request: agents
//! are no browsers, so no origin is let in that the operator has not listed.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::Web;
use crate::broker::{Code, Refused};

/// The names that requests may be sent to, and the origins they may come from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    hosts: Vec<Host>,
    origins: Vec<Origin>,
}

/// A configured name that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Not a host.
    #[error(
        "`{0}` is not a host: write a name and, if it matters, a port, such as vault.example.com:8443"
    )]
    Host(String),
    /// Not an origin.
    #[error("`{0}` is not an origin: write a scheme and a host, such as https://app.example.com")]
    Origin(String),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Host {
    name: String,
    /// None in a rule: any port.
    port: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Origin {
    scheme: String,
    name: String,
    port: u16,
}

impl Names {
    /// What the operator listed, and the address that is listened on.
    pub fn new(
        hosts: &[String],
        origins: &[String],
        bound: Option<SocketAddr>,
    ) -> Result<Self, NameError> {
        let mut allowed = hosts
            .iter()
            .map(|text| Host::parse(text).ok_or_else(|| NameError::Host(text.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(bound) = bound {
            allowed.extend(Host::all_of(bound));
        }
        let origins = origins
            .iter()
            .map(|text| Origin::parse(text).ok_or_else(|| NameError::Origin(text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self { hosts: allowed, origins })
    }

    /// The hosts, as text.
    pub fn hosts(&self) -> Vec<String> {
        let text = |host: &Host| match host.port {
            Some(port) => format!("{}:{port}", host.name),
            None => host.name.clone(),
        };
        self.hosts.iter().map(text).collect()
    }

    /// The origins, as text, each with its port.
    pub fn origins(&self) -> Vec<String> {
        let text = |origin: &Origin| format!("{}://{}:{}", origin.scheme, origin.name, origin.port);
        self.origins.iter().map(text).collect()
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        if !self.host_allowed(uri, headers) {
            return Err(Refused::new(
                Code::InvalidArgument,
                "this name is not one the daemon answers to",
                "Use the address it listens on, or list the name under `http.allowed_hosts`.",
            ));
        }
        if !self.origin_allowed(headers) {
            return Err(Refused::new(
                Code::InvalidArgument,
                "requests from this web page are not let in",
                "Agents send no Origin; list one under `http.allowed_origins` if a page is meant to.",
            ));
        }
        Ok(())
    }

    /// Whatever names the request carries, each has to be allowed, and there has to be one.
    fn host_allowed(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let authority = uri.authority().map(Authority::as_str);
        let sent: Option<Vec<_>> =
            headers.get_all(HOST).iter().map(|value| value.to_str().ok()).collect();
        let Some(sent) = sent else { return false };
        let mut names = authority.into_iter().chain(sent).peekable();
        names.peek().is_some()
            && names.all(|text| {
                Host::parse(text).is_some_and(|host| {
                    self.hosts.iter().any(|allowed| {
                        allowed.name == host.name
                            && allowed.port.is_none_or(|port| host.port.unwrap_or(80) == port)
                    })
                })
            })
    }

    fn origin_allowed(&self, headers: &HeaderMap) -> bool {
        headers.get_all(ORIGIN).iter().all(|value| {
            let origin = value.to_str().ok().and_then(Origin::parse);
            origin.is_some_and(|origin| self.origins.contains(&origin))
        })
    }
}

/// Middleware of every route.
pub(super) async fn check_names(State(web): State<Web>, request: Request, next: Next) -> Response {
    match web.names.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let mut response = web.turn_away(&refused);
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
        // A port that is no number is no port, not any port.
        let port = match authority.port_u16() {
            Some(port) => Some(port),
            None if authority.as_str() == authority.host() => None,
            None => return None,
        };
        let plain = !text.contains('@') && !name.is_empty();
        plain.then_some(Self { name, port })
    }

    /// The names of an address that is listened on: itself, and `localhost` where that leads to it.
    fn all_of(bound: SocketAddr) -> Vec<Self> {
        let port = Some(bound.port());
        let ip = bound.ip();
        let own = match ip {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let local = ["localhost", "127.0.0.1", "[::1]"];
        let mut names = Vec::new();
        if !ip.is_unspecified() {
            names.push(own);
        }
        if ip.is_unspecified() || ip.is_loopback() {
            names.extend(local.map(str::to_owned));
        }
        names.dedup();
        names.into_iter().map(|name| Self { name, port }).collect()
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = Host::parse(rest)?;
        Some(Self { scheme, port: host.port.unwrap_or(default), name: host.name })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn names() -> Names {
        Names::new(
            &["vault.example.com".to_owned()],
            &["https://app.example.com".to_owned()],
            Some("127.0.0.1:7431".parse().unwrap()),
        )
        .unwrap()
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused() {
        for (host, allowed) in [
            ("127.0.0.1:7431", true),
            ("localhost:7431", true),
            ("LOCALHOST:7431", true),
            ("[::1]:7431", true),
            ("vault.example.com", true),
            ("vault.example.com:8443", true),
            ("127.0.0.1:7432", false),
            ("127.0.0.1", false),
            ("evil.example", false),
            ("127.0.0.1:7431@evil.example", false),
            ("vault.example.com.evil.example", false),
            ("vault.example.com:x", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
            assert_eq!(
                names().host_allowed(&Uri::from_static("/mcp"), &headers),
                allowed,
                "{host}"
            );
        }
    }

    #[test]
    fn two_names_both_have_to_be_ours() {
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("http://127.0.0.1:7431/mcp");
        assert!(names().host_allowed(&uri, &headers));
        headers.insert(HOST, HeaderValue::from_static("evil.example"));
        assert!(!names().host_allowed(&uri, &headers));
        assert!(!names().host_allowed(&Uri::from_static("/mcp"), &HeaderMap::new()));
    }

    #[test]
    fn an_origin_has_to_be_listed() {
        for (origin, allowed) in [
            (None, true),
            (Some("https://app.example.com"), true),
            (Some("https://app.example.com:443"), true),
            (Some("http://app.example.com"), false),
            (Some("https://app.example.com:444"), false),
            (Some("null"), false),
            (Some("http://127.0.0.1:7431"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            assert_eq!(names().origin_allowed(&headers), allowed, "{origin:?}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_told() {
        assert!(Names::new(&["http://x".to_owned()], &[], None).is_err());
        assert!(Names::new(&[], &["app.example.com".to_owned()], None).is_err());
    }
}
