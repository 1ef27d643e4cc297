//! `[notify.webhook.NAME]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::{ChannelName, Events};

use crate::config::file::Check;

/// `[notify.webhook.NAME]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// `webhook:NAME`.
    pub name: ChannelName,
    /// `url`, or `url_file` with a file that holds it, where the address itself is a secret.
    pub url: WebhookUrl,
    /// `secrets_file`: a file with secrets as of Standard Webhooks, `whsec_...`, one a line; each
    /// signs, so that receivers can change over. The standard template needs one at least.
    pub secrets_file: Option<PathBuf>,
    /// `template`: what is sent; `standard`.
    pub template: WebhookTemplate,
    /// `events`: what it carries; `*` for the standard template.
    pub events: Events,
    /// `timeout`: for one message; `10s`, and 1 second to 2 minutes.
    pub timeout: Duration,
    /// `at_once`: how many messages; 4, and 1 to 32.
    pub at_once: usize,
}

/// Where a webhook's address is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WebhookUrl {
    /// Here.
    Given(String),
    /// In this file.
    File(PathBuf),
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum WebhookTemplate {
    /// Our own JSON, signed as Standard Webhooks has it.
    #[default]
    Standard,
    /// A notification of ntfy.
    Ntfy,
    /// An adaptive card of Microsoft Teams.
    Teams,
    /// An embed of Discord.
    Discord,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {}

pub(super) fn read(
    _check: &mut Check<'_>,
    _name: &Spanned<String>,
    _table: Table,
    _home: &Path,
) -> Option<Webhook> {
    None
}
