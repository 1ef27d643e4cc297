//! `[notify.email]`

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::{EmailAddress, Events};
use vouchsafe_core::text::echo;

use crate::config::file::Check;

/// How many connections are kept open where nothing is said.
const CONNECTIONS: usize = 4;
/// How long one message may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest name of a sender, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest user name at the server, in bytes.
const USERNAME_BYTES_MAX: usize = 256;
/// How much of a text that is wrong is repeated, in characters.
const ECHO_CHARS: usize = 100;

/// `[notify.email]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Email {
    /// `server`: the SMTP server's name and port, such as `smtp.example.com:587`.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `tls`: `starttls`, `implicit`, or `none`, which only loopback may have; `starttls`.
    pub tls: SmtpTls,
    /// `ca_file`: a PEM file with a certificate that is trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// `username` and `password_file`: both or none; never without TLS but to loopback.
    pub login: Option<(String, PathBuf)>,
    /// `from`: the sender, such as `Vouchsafe <vouchsafe@example.com>`.
    pub from: String,
    /// `reply_to`: where answers to a message go; none: nowhere.
    pub reply_to: Option<String>,
    /// `events`: what it carries.
    pub events: Events,
    /// `one_time_links`: messages hold a link that answers without signing in; `false`.
    pub one_time_links: bool,
    /// `connections`: kept open at once; 4, and 1 to 32.
    pub connections: usize,
    /// `timeout`: for one message; `30s`, and 1 second to 5 minutes.
    pub timeout: Duration,
}

/// How the connection to the server is kept private.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// RFC 3207, and refused where the server does not offer it.
    #[default]
    Starttls,
    /// From the first byte: RFC 8314.
    Implicit,
    /// Not at all.
    None,
}

/// A name and an address, as `from` and `reply_to` have them; none where the text is neither
/// `address` nor `name <address>`. The name holds nothing that could end it or begin a header.
pub(crate) fn mailbox(text: &str) -> Option<(Option<&str>, EmailAddress)> {
    let Some(inner) = text.strip_suffix('>') else {
        return Some((None, text.parse().ok()?));
    };
    let (name, address) = inner.rsplit_once('<')?;
    let name = name.trim();
    let fits = name.chars().count() <= NAME_CHARS_MAX
        && !name.contains(['"', '\\', '<', '>', '(', ')', ',', ';', ':'])
        && !name.contains("=?")
        && echo(name, NAME_CHARS_MAX) == name;
    let address = address.parse().ok()?;
    fits.then_some((Some(name).filter(|name| !name.is_empty()), address))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {
    server: Option<Spanned<String>>,
    tls: Option<Spanned<SmtpTls>>,
    ca_file: Option<Spanned<PathBuf>>,
    username: Option<Spanned<String>>,
    password_file: Option<Spanned<PathBuf>>,
    from: Option<Spanned<String>>,
    reply_to: Option<Spanned<String>>,
    events: Option<Spanned<Vec<String>>>,
    one_time_links: Option<bool>,
    connections: Option<Spanned<i64>>,
    timeout: Option<Spanned<String>>,
}

pub(super) fn read(check: &mut Check<'_>, table: Spanned<Table>, home: &Path) -> Option<Email> {
    let at = table.span().start;
    let table = table.into_inner();
    let server = check.email_server(table.server, at);
    let tls_at = table.tls.as_ref().map_or(at, |tls| tls.span().start);
    let tls = table.tls.map(Spanned::into_inner).unwrap_or_default();
    let login = check.email_login(table.username, table.password_file, home);
    if let Some((host, _)) = &server
        && tls == SmtpTls::None
        && !is_loopback(host)
    {
        let carried = if login.is_some() { "the login and every message" } else { "every message" };
        let message = format!(
            "notify.email.tls is none, and whoever is between here and {} would read {carried}",
            echo(host, ECHO_CHARS)
        );
        let mend = "write \"starttls\" or \"implicit\": without TLS, only a server on this machine \
                    (127.0.0.1, ::1, localhost) can be used";
        check.problem(tls_at, message, mend);
    }
    if let Some(field) = table.ca_file.as_ref().filter(|_| tls == SmtpTls::None) {
        let message = "notify.email.ca_file means nothing where notify.email.tls is none";
        check.problem(field.span().start, message.to_owned(), "take it away, or change tls");
    }
    let from = check.email_from(table.from, at);
    let reply_to =
        table.reply_to.and_then(|field| check.email_mailbox(&field, "notify.email.reply_to"));
    let events = check.email_events(table.events);
    let connections =
        check.number(table.connections, "notify.email.connections", 1..=32, "1 to 32");
    let timeout = table.timeout.and_then(|field| {
        let range = Duration::from_secs(1)..=Duration::from_mins(5);
        check.time(&field, "notify.email.timeout", &range)
    });
    let (host, port) = server?;
    Some(Email {
        host,
        port,
        tls,
        ca_file: table.ca_file.map(|path| home.join(path.into_inner())),
        login,
        from: from?,
        reply_to,
        events,
        one_time_links: table.one_time_links.unwrap_or_default(),
        connections: connections.map_or(CONNECTIONS, |n| usize::try_from(n).unwrap_or(CONNECTIONS)),
        timeout: timeout.unwrap_or(TIMEOUT),
    })
}

impl Check<'_> {
    fn email_server(&mut self, field: Option<Spanned<String>>, at: usize) -> Option<(String, u16)> {
        let mend = "write the server's name and port, such as \"smtp.example.com:587\"";
        let field = self.needed(field, at, "notify.email.server", mend)?;
        let text = field.get_ref();
        let parsed = host_and_port(text);
        if parsed.is_none() {
            // It may hold a password.
            let said = if text.contains('@') {
                "an address with a login".to_owned()
            } else {
                format!("`{}`", echo(text, ECHO_CHARS))
            };
            let message = format!("notify.email.server is {said}, which is no name and port");
            self.problem(field.span().start, message, mend);
        }
        parsed
    }

    /// Both or none.
    fn email_login(
        &mut self,
        username: Option<Spanned<String>>,
        password_file: Option<Spanned<PathBuf>>,
        home: &Path,
    ) -> Option<(String, PathBuf)> {
        match (username, password_file) {
            (Some(username), Some(file)) => {
                let (at, name) = (username.span().start, username.into_inner());
                let fits = (1..=USERNAME_BYTES_MAX).contains(&name.len())
                    && !name.chars().any(char::is_control);
                if !fits {
                    let message = "notify.email.username is empty, too long, or has control \
                                   characters in it";
                    self.problem(at, message.to_owned(), "correct it");
                }
                Some((name, home.join(file.into_inner())))
            }
            (Some(username), None) => {
                let message = "notify.email.username is there without notify.email.password_file";
                let mend = "name the private file that holds the password, or take the name away";
                self.problem(username.span().start, message.to_owned(), mend);
                None
            }
            (None, Some(file)) => {
                let message = "notify.email.password_file is there without notify.email.username";
                let mend = "write the user name that goes with it, or take the file away";
                self.problem(file.span().start, message.to_owned(), mend);
                None
            }
            (None, None) => None,
        }
    }

    fn email_from(&mut self, field: Option<Spanned<String>>, at: usize) -> Option<String> {
        let mend = "write who the messages are from, such as \
                    \"Vouchsafe <vouchsafe@example.com>\"";
        let field = self.needed(field, at, "notify.email.from", mend)?;
        self.email_mailbox(&field, "notify.email.from")
    }

    fn email_mailbox(&mut self, field: &Spanned<String>, name: &str) -> Option<String> {
        let text = field.get_ref();
        if mailbox(text).is_some() {
            return Some(text.clone());
        }
        let message =
            format!("{name} is `{}`, which is no address of a sender", echo(text, ECHO_CHARS));
        let mend = "write an address, or a plain name and an address in angle brackets";
        self.problem(field.span().start, message, mend);
        None
    }

    fn email_events(&mut self, field: Option<Spanned<Vec<String>>>) -> Events {
        let Some(field) = field else { return Events::for_people() };
        match Events::read(field.get_ref()) {
            Ok(events) if !events.is_empty() => return events,
            Ok(_) => {
                let message = "notify.email.events is empty, so nothing would be sent";
                let mend = "name some, or take it away for what people need";
                self.problem(field.span().start, message.to_owned(), mend);
            }
            Err(error) => {
                let message = format!("notify.email.events: {error}");
                let mend = "write events such as \"approval.requested\", \"approval.*\" or \"*\"";
                self.problem(field.span().start, message, mend);
            }
        }
        Events::NONE
    }
}

/// Whether a server of this name is on this machine, whatever names are resolved to.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `smtp.example.com:587`, `[::1]:25`
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return Some((address.parse::<Ipv6Addr>().ok()?.to_string(), port));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
    let fits = (1..=253).contains(&host.len()) && host.bytes().all(plain);
    fits.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests;
