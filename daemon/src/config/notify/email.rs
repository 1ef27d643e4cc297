//! `[notify.email]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::Events;

use crate::config::file::Check;

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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {}

pub(super) fn read(_check: &mut Check<'_>, _table: Spanned<Table>, _home: &Path) -> Option<Email> {
    None
}
