//! HTTP to addresses that operators give.
//!
//! An address that leads into a private network would let whoever may set one, or whoever runs the
//! name it has, have the daemon talk to what only the daemon reaches. So a name is looked up here,
//! and what was looked at is what is connected to: a name that has a private address in its answer
//! is refused as a whole, an IP address is looked at as it is, and no redirect is followed. Hosts
//! that the operator lists under `notify.private_hosts`, by exactly this name, are let through.

mod public;
mod retry_after;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url, retry};
use tokio::time::{Instant, timeout_at};
use vouchsafe_core::route::Undelivered;
use vouchsafe_core::text::echo;

use self::public::is_public;
use crate::clock::Clock;

/// How much of an answer's body is read, in bytes; the rest is left.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 2048;
/// How long a connection is kept that nobody uses.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How much of a cause is told, in characters.
const CAUSE_CHARS_MAX: usize = 200;
/// What we call ourselves.
const AGENT: &str = concat!("vouchsafe/", env!("CARGO_PKG_VERSION"));

/// A client that connects to public addresses, and to the private hosts that are listed. Clones
/// share its connections.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    client: Client,
    private: Arc<PrivateHosts>,
    clock: Arc<dyn Clock>,
}

/// An address that was looked at: `https`, or `http` to a private host that is listed; no user, no
/// password; no IP address that is private. Its path may be a secret: it is never shown.
#[derive(Clone)]
pub(super) struct Address(Url);

/// An address that nothing is sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum AddressError {
    #[error(
        "it is no address of HTTP, or over 2048 bytes: write one such as https://example.com/x"
    )]
    NotHttp,
    #[error("it has a user or a password in it: take them away")]
    Login,
    #[error("it is not https: write https, or list its host in notify.private_hosts")]
    Plain,
    #[error("it is in a private range: list its host in notify.private_hosts if it is meant")]
    Private,
}

/// What somebody answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status; a redirect is one like any other.
    pub(super) status: StatusCode,
    /// The body, as far as it came: [`ANSWER_BYTES_MAX`], and less where it broke off.
    pub(super) body: Vec<u8>,
    /// `Retry-After`, an hour at most.
    pub(super) retry_after: Option<Duration>,
}

/// Why there is no answer. No address is in it but the host's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error(
        "{0} leads to a private address: list it in notify.private_hosts if it is meant, and restart"
    )]
    Private(String),
    #[error("{host} did not answer within {} s", .within.as_secs())]
    TimeUp { host: String, within: Duration },
    #[error("{host} cannot be reached, or broke off: {cause}")]
    Broken { host: String, cause: String },
}

/// The hosts that may be private, by name and by address.
#[derive(Debug)]
struct PrivateHosts {
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

/// Looks names up, and gives none of a name's addresses where one of them is private.
struct Lookup(Arc<PrivateHosts>);

/// What [`Lookup`] fails with where it is not the name server's fault.
#[derive(Debug, thiserror::Error)]
#[error("it leads to a private address")]
struct LeadsInside;

impl Outlet {
    /// A client. Nothing is connected to yet; the roots are those of the system, and the error says
    /// what is the matter with them.
    pub(super) fn build(private_hosts: &[String], clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let private = Arc::new(PrivateHosts::read(private_hosts));
        let client = Client::builder()
            .dns_resolver(Lookup(Arc::clone(&private)))
            .no_proxy()
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only()
            .pool_idle_timeout(IDLE_MAX)
            .build();
        match client {
            Ok(client) => Ok(Self { client, private, clock: Arc::clone(clock) }),
            Err(error) => {
                let cause = cause(&error);
                Err(format!("TLS cannot be set up ({cause}): are the system's certificates there?"))
            }
        }
    }

    /// Looks at an address as far as that goes without looking its name up.
    pub(super) fn address(&self, text: &str) -> Result<Address, AddressError> {
        let url = Some(text).filter(|text| text.len() <= ADDRESS_BYTES_MAX);
        let url = url.and_then(|text| Url::parse(text).ok()).ok_or(AddressError::NotHttp)?;
        let host = url.host_str().ok_or(AddressError::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") || url.port() == Some(0) {
            return Err(AddressError::NotHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Login);
        }
        let listed = self.private.lists(host);
        if ip_of(host).is_some_and(|ip| !listed && !is_public(ip)) {
            return Err(AddressError::Private);
        }
        if url.scheme() == "http" && !listed {
            return Err(AddressError::Plain);
        }
        Ok(Address(url))
    }

    /// Sends a POST and reads the answer, all of it within a time. Nothing is tried twice.
    pub(super) async fn post(
        &self,
        to: &Address,
        headers: HeaderMap,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Answer, NoAnswer> {
        let request = self
            .client
            .post(to.0.clone())
            .headers(headers)
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .body(body);
        // What has an end in common has a deadline, not two times.
        let until = Instant::now() + within;
        let host = || to.host().to_owned();
        match timeout_at(until, request.send()).await {
            Ok(Ok(response)) => Ok(self.read(response, until).await),
            Ok(Err(error)) if leads_inside(&error) => Err(NoAnswer::Private(host())),
            Ok(Err(error)) => Err(NoAnswer::Broken { host: host(), cause: cause(&error) }),
            Err(_) => Err(NoAnswer::TimeUp { host: host(), within }),
        }
    }

    /// Whatever becomes of the body, the status was said.
    async fn read(&self, mut response: Response, until: Instant) -> Answer {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok());
        let retry_after =
            retry_after.and_then(|value| retry_after::parse(value, self.clock.now().wall));
        let mut body = Vec::new();
        while let Ok(Ok(Some(chunk))) = timeout_at(until, response.chunk()).await {
            let room = ANSWER_BYTES_MAX.saturating_sub(body.len());
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if body.len() >= ANSWER_BYTES_MAX {
                break;
            }
        }
        Answer { status, body, retry_after }
    }
}

impl Address {
    /// Its host, which is no secret.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The same host and query, without the path: what was looked at is in neither of it.
    pub(super) fn root(&self) -> Self {
        let mut url = self.0.clone();
        url.set_path("/");
        Self(url)
    }

    /// The whole of it.
    pub(super) const fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({}://{}/..)", self.0.scheme(), self.host())
    }
}

impl From<NoAnswer> for Undelivered {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Private(_) => Self::never(error.to_string()),
            NoAnswer::TimeUp { .. } | NoAnswer::Broken { .. } => {
                Self::channel(error.to_string(), None)
            }
        }
    }
}

impl PrivateHosts {
    fn read(listed: &[String]) -> Self {
        let addresses = listed.iter().filter_map(|host| ip_of(host)).collect();
        let names = listed.iter().filter(|host| ip_of(host).is_none());
        Self { names: names.map(|host| plain(host)).collect(), addresses }
    }

    fn lists(&self, host: &str) -> bool {
        match ip_of(host) {
            Some(ip) => self.addresses.contains(&ip),
            None => self.names.contains(&plain(host)),
        }
    }
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let private = Arc::clone(&self.0);
        async move {
            // Which port it is comes from the address.
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses = judge(private.lists(name.as_str()), found)?;
            Ok::<Addrs, Box<dyn Error + Send + Sync>>(Box::new(addresses.into_iter()))
        }
        .boxed()
    }
}

/// All of a name's addresses, or none of them.
fn judge(
    listed: bool,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
    }
    if listed || found.iter().all(|address| is_public(address.ip())) {
        Ok(found)
    } else {
        Err(LeadsInside.into())
    }
}

/// A name as names are compared.
fn plain(host: &str) -> String {
    host.trim().trim_end_matches('.').to_ascii_lowercase()
}

/// The IP address that a host is, if it is one.
fn ip_of(host: &str) -> Option<IpAddr> {
    let host = host.trim();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

fn leads_inside(error: &reqwest::Error) -> bool {
    causes(error).any(<dyn Error + 'static>::is::<LeadsInside>)
}

/// The innermost cause: the outer ones say that a request failed, and to which address.
fn cause(error: &reqwest::Error) -> String {
    let innermost = causes(error).last().map(ToString::to_string);
    echo(&innermost.unwrap_or_else(|| "the request failed".to_owned()), CAUSE_CHARS_MAX)
}

/// What is behind an error of reqwest's, without itself: it would tell the whole address.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

#[cfg(test)]
mod tests;
