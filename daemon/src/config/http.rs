//! `[http]`: the address, the names it may be called by, and where people's browsers reach it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::LOCAL_NAME;
use vouchsafe_core::text::echo;

use super::Http;
use super::file::{Check, NAME_ECHO_CHARS};

/// Where browsers reach the daemon: a scheme, a host, and perhaps a port; nothing after it. Without
/// TLS the host is this very machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl(String);

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpTable {
    listen: Option<Spanned<String>>,
    allowed_hosts: Option<Spanned<Vec<String>>>,
    allowed_origins: Option<Spanned<Vec<String>>>,
    trusted_proxies: Option<Spanned<Vec<String>>>,
    max_connections: Option<Spanned<i64>>,
    public_url: Option<Spanned<String>>,
}

impl PublicUrl {
    /// As links begin: without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its host, with the port where one is given: what requests carry in `Host`.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Check<'_> {
    pub(super) fn http(&mut self, table: HttpTable, http: &mut Http) {
        let at = table.listen.as_ref().map_or(0, |listen| listen.span().start);
        if let Some(listen) = self.address(table.listen, "http.listen") {
            http.listen = listen;
        }
        http.public_url = self.public_url(table.public_url);
        http.allowed_hosts = self.names(table.allowed_hosts, "http.allowed_hosts");
        http.allowed_origins = self.names(table.allowed_origins, "http.allowed_origins");
        http.trusted_proxies = self.networks(table.trusted_proxies);
        if !http.listen.ip().is_loopback() && http.allowed_hosts.is_empty() {
            let message = format!("http.listen is {}, which other machines reach", http.listen);
            let mend = "list in http.allowed_hosts what clients call it, or listen on 127.0.0.1";
            self.problem(at, message, mend);
        }
        let connections = table.max_connections;
        if let Some(most) =
            self.number(connections, "http.max_connections", 1..=65_536, "1 to 65536")
        {
            http.max_connections = usize::try_from(most).unwrap_or(usize::MAX);
        }
    }

    fn public_url(&mut self, field: Option<Spanned<String>>) -> Option<PublicUrl> {
        let field = field?;
        let at = field.span().start;
        let text = field.get_ref().trim_end_matches('/');
        let plain = text.strip_prefix("http://");
        let authority = text.strip_prefix("https://").or(plain);
        let fits = authority.is_some_and(|authority| {
            (1..=255).contains(&authority.len())
                && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
        });
        if !fits {
            let shown = echo(text, NAME_ECHO_CHARS);
            let message = format!("http.public_url is `{shown}`, which is no address");
            let mend =
                "write a scheme and a host and no more, such as https://vouchsafe.example.com";
            self.problem(at, message, mend);
            return None;
        }
        if authority.is_some_and(is_shared) {
            let message = format!(
                "http.public_url is `{}`, a name that every program on this machine has: each would \
                 be shown the cookies of the pages",
                echo(text, NAME_ECHO_CHARS)
            );
            let mend =
                format!("take it away: the pages are at http://{LOCAL_NAME} and the port then");
            self.problem(at, message, &mend);
            return None;
        }
        if plain.is_some_and(|authority| !is_local(authority)) {
            let message = format!(
                "http.public_url is `{}`, and without TLS browsers keep nobody signed in: their \
                 cookie is for https:// alone, and for this very machine",
                echo(text, NAME_ECHO_CHARS)
            );
            self.problem(at, message, "put a proxy with TLS before it, and write https://");
            return None;
        }
        Some(PublicUrl(text.to_owned()))
    }

    fn networks(&mut self, field: Option<Spanned<Vec<String>>>) -> Vec<IpNet> {
        let at = field.as_ref().map_or(0, |field| field.span().start);
        let names = self.names(field, "http.trusted_proxies");
        let mut networks = Vec::new();
        for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            let network = name.parse().or_else(|_| name.parse::<IpAddr>().map(IpNet::from));
            match network {
                Ok(network) => networks.push(network),
                Err(_neither) => {
                    let message = format!(
                        "http.trusted_proxies has `{}`, which is no address and no network",
                        echo(name, NAME_ECHO_CHARS)
                    );
                    self.problem(at, message, "write addresses such as 127.0.0.1 or 10.0.0.0/8");
                }
            }
        }
        networks
    }
}

/// Whether a host, with or without a port, is this very machine by a name that every program on it
/// has.
fn is_shared(authority: &str) -> bool {
    let host = host(authority);
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Whether it is this very machine by a name of its own: RFC 6761, section 6.3.
fn is_local(authority: &str) -> bool {
    host(authority).to_ascii_lowercase().ends_with(".localhost")
}

fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_machine_has_shared_names_and_others() {
        for (authority, shared, local) in [
            ("localhost", true, false),
            ("LOCALHOST:7431", true, false),
            ("127.0.0.1:7431", true, false),
            ("127.8.8.8", true, false),
            ("[::1]:7431", true, false),
            ("[::1]", true, false),
            ("vouchsafe.LOCALHOST:7431", false, true),
            ("localhost.example.com", false, false),
            ("10.0.0.1", false, false),
            ("[2001:db8::1]:80", false, false),
            ("vault.example.com:7431", false, false),
            ("127.0.0.1.example.com", false, false),
        ] {
            assert_eq!((is_shared(authority), is_local(authority)), (shared, local), "{authority}");
        }
    }
}
