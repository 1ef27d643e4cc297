//! Where a request comes from: whoever is at the other end of the connection, or whom a trusted
//! proxy says it speaks for.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

use super::Web;
use crate::tasks::Peer;

/// Whom a proxy speaks for: each proxy adds whoever it was asked by at the end.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word is taken for where a request comes from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies(Vec<IpNet>);

/// Where a request comes from; every request has one among its extensions that came over TCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Whence(IpAddr);

impl Proxies {
    /// These addresses and networks.
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who asks. What stands before the entry of somebody untrusted is theirs to make up, so that
    /// the list is read from its end; where that leads to nobody, it is the peer.
    fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return peer;
        }
        for line in headers.get_all(FORWARDED_FOR).iter().rev() {
            let Ok(line) = line.to_str() else { return peer };
            for entry in line.rsplit(',') {
                match address(entry) {
                    Some(address) if self.trust(address) => {}
                    Some(address) => return address,
                    None => return peer,
                }
            }
        }
        peer
    }
}

impl Whence {
    /// The address, as it is shown and counted.
    pub(super) fn address(self) -> String {
        self.0.to_string()
    }
}

/// Middleware of every route: notes where a request comes from.
pub(super) async fn note(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    if let Some(Peer::Tcp(peer)) = request.extensions().get::<Peer>() {
        let caller = web.proxies.caller(peer.ip(), request.headers());
        request.extensions_mut().insert(Whence(caller));
    }
    next.run(request).await
}

/// An entry, with or without a port.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bracketed = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let plain = bracketed.unwrap_or(entry).parse::<IpAddr>().ok();
    let found = plain.or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    found.map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_last_address_counts_that_no_trusted_proxy_has() {
        let trusted = ["127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"];
        let proxies = Proxies::new(trusted.iter().map(|text| text.parse().unwrap()).collect());
        for (peer, lines, caller) in [
            ("192.0.2.9", &["198.51.100.1"][..], "192.0.2.9"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["203.0.113.7, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["203.0.113.7,198.51.100.1 , 10.1.2.3"], "198.51.100.1"),
            ("10.0.0.9", &["203.0.113.7", "198.51.100.1", "2001:db8::1"], "198.51.100.1"),
            ("127.0.0.1", &["junk, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, junk"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1,"], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["10.9.9.9, 10.1.1.1"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db9::7]:4711"], "2001:db9::7"),
            ("127.0.0.1", &["[2001:db9::7]"], "2001:db9::7"),
            ("127.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
            }
            let found = proxies.caller(peer.parse().unwrap(), &headers);
            assert_eq!(found, caller.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(Proxies::default().caller(peer, &headers), peer, "nobody is trusted by default");
    }
}
