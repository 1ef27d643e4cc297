//! `Host` and `Origin`, on every request.
//!
//! A page that a browser was lured to can have its own name resolve to this machine (rebinding): it
//! gives itself away by the name it asks for. And a browser says which page sends a request: agents
//! are no browsers, so no origin is let in that the operator has not listed. Our own pages may send
//! to our own pages, and to nothing else.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use vouchsafe_core::route::LOCAL_NAME;

use super::Web;
use crate::broker::{Code, Refused};

/// What browsers say of where a request comes from; no page can set it.
pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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

    fn check(&self, uri: &Uri, headers: &HeaderMap, own: bool) -> Result<(), Refused> {
        if !self.host_allowed(uri, headers) {
            return Err(Refused::new(
                Code::InvalidArgument,
                "this name is not one the daemon answers to",
                "Use the address it listens on, or list the name under `http.allowed_hosts`.",
            ));
        }
        let from_us = own && comes_from_us(uri, headers);
        if own && !from_us && hides_its_page(headers) {
            return Err(Refused::new(
                Code::InvalidArgument,
                "the browser does not say which page sends this; it does over TLS, and to the very \
                 machine it runs on",
                "Open the page at an https:// address, or on the machine that runs the daemon.",
            ));
        }
        if !from_us && !self.origin_allowed(headers) {
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

/// Middleware of every route that programs use.
pub(super) async fn check_names(State(web): State<Web>, request: Request, next: Next) -> Response {
    checked(&web, request, next, false).await
}

/// Middleware of the pages, and of whatever else people reach.
pub(super) async fn check_names_of_pages(
    State(web): State<Web>,
    request: Request,
    next: Next,
) -> Response {
    checked(&web, request, next, true).await
}

async fn checked(web: &Web, request: Request, next: Next, own: bool) -> Response {
    match web.names.check(request.uri(), request.headers(), own) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let mut response = web.turn_away(&refused);
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
    }
}

/// Whether a browser says that one of our own pages sends this: the origin is the name that is
/// asked for, which is allowed. Where the page is told to send no referrer, the origin is `null`
/// and the other header counts, which no page can set.
pub(super) fn comes_from_us(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(host) = asked_for(uri, headers) else { return false };
    let from_here = headers.get(FETCH_SITE).map(|site| site == "same-origin");
    if from_here == Some(false) {
        return false;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if origin == "null" => from_here == Some(true),
        (Some(origin), None) => {
            let origin = origin.to_str().ok().and_then(Origin::parse);
            origin.is_some_and(|origin| {
                origin.name == host.name
                    && origin.port == host.port.unwrap_or(origin.default_port())
            })
        }
        (None, _) => from_here == Some(true),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a request asks for this machine by a name that whatever else is on it has, too.
pub(super) fn asks_for_shared_name(uri: &Uri, headers: &HeaderMap) -> bool {
    asked_for(uri, headers).is_none_or(|host| {
        let bare = host.name.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

/// Whether a browser may have sent this from one of our own pages and not have said so: they send
/// no referrer, and what says it instead is sent over TLS and to this very machine alone.
fn hides_its_page(headers: &HeaderMap) -> bool {
    !headers.contains_key(FETCH_SITE) && headers.get(ORIGIN).is_some_and(|origin| origin == "null")
}

/// The one name that a request asks for; none where it names several.
fn asked_for(uri: &Uri, headers: &HeaderMap) -> Option<Host> {
    let authority = uri.authority().map(Authority::as_str);
    let sent = headers.get_all(HOST).iter().map(|value| value.to_str().ok());
    let mut names = authority.into_iter().map(Some).chain(sent);
    let first = Host::parse(names.next()??)?;
    names.all(|name| name.and_then(Host::parse).as_ref() == Some(&first)).then_some(first)
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

    /// The names of an address that is listened on: itself, and where they lead to it, `localhost`
    /// and [`LOCAL_NAME`].
    fn all_of(bound: SocketAddr) -> Vec<Self> {
        let port = Some(bound.port());
        let ip = bound.ip();
        let own = match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let local = ["localhost", "127.0.0.1", "[::1]", LOCAL_NAME];
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
        if !matches!(scheme.as_str(), "http" | "https") {
            return None;
        }
        let host = Host::parse(rest)?;
        let mut origin = Self { scheme, port: 0, name: host.name };
        origin.port = host.port.unwrap_or_else(|| origin.default_port());
        Some(origin)
    }

    fn default_port(&self) -> u16 {
        if self.scheme == "https" { 443 } else { 80 }
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
            ("vouchsafe.localhost:7431", true),
            ("vouchsafe.localhost:7432", false),
            ("other.localhost:7431", false),
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
    fn a_page_of_ours_is_told_from_all_others() {
        let ours = "127.0.0.1:7431";
        for (host, origin, site, own) in [
            (ours, Some("http://127.0.0.1:7431"), None, true),
            (ours, Some("http://127.0.0.1:7431"), Some("same-origin"), true),
            (ours, Some("null"), Some("same-origin"), true),
            (ours, None, Some("same-origin"), true),
            ("vault.example.com", Some("https://vault.example.com"), None, true),
            ("vault.example.com:8443", Some("https://vault.example.com:8443"), None, true),
            (ours, None, None, false),
            (ours, Some("null"), None, false),
            (ours, Some("null"), Some("cross-site"), false),
            (ours, None, Some("none"), false),
            (ours, None, Some("same-site"), false),
            (ours, Some("http://127.0.0.1:7431"), Some("cross-site"), false),
            (ours, Some("http://127.0.0.1:7432"), None, false),
            (ours, Some("http://localhost:7431"), None, false),
            (ours, Some("https://evil.example"), None, false),
            (ours, Some("https://evil.example"), Some("same-origin"), false),
            ("vault.example.com:8443", Some("https://vault.example.com"), None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            for (name, value) in [(ORIGIN, origin), (FETCH_SITE, site)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            let uri = Uri::from_static("/signin");
            assert_eq!(comes_from_us(&uri, &headers), own, "{host} {origin:?} {site:?}");
            headers.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
            headers.append(ORIGIN, HeaderValue::from_static("http://127.0.0.1:7431"));
            assert!(!comes_from_us(&uri, &headers));
        }
    }

    #[test]
    fn a_name_that_is_none_is_told() {
        assert!(Names::new(&["http://x".to_owned()], &[], None).is_err());
        assert!(Names::new(&[], &["app.example.com".to_owned()], None).is_err());
    }
}
