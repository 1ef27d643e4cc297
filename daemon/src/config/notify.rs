//! `[notify]`: the channels, and what holds for all of them.

mod email;
mod slack;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::ChannelName;
use vouchsafe_core::text::echo;
use vouchsafe_core::time::{format_duration, parse_duration};

pub(crate) use self::email::mailbox;
pub use self::email::{Email, SmtpTls};
pub use self::slack::{Slack, SlackWay};
pub use self::webhook::{Webhook, WebhookTemplate, WebhookUrl};
use super::file::Check;

/// How long a message is tried for where nothing is said.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);
/// The longest a message can be tried for.
const GIVE_UP_AFTER_MAX: Duration = Duration::from_hours(30 * 24);

/// `[notify]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notify {
    /// `give_up_after`: how long a message is tried for; `24h`, and 1 minute to 30 days.
    pub give_up_after: Duration,
    /// `private_hosts`: names and addresses that webhooks and Slack may be reached at although they
    /// are in a private range, loopback included; none, 50 at most.
    pub private_hosts: Vec<String>,
    /// `[notify.email]`: e-mail, as the channel `email`.
    pub email: Option<Email>,
    /// `[notify.slack.NAME]`: each a channel `slack:NAME`.
    pub slack: Vec<Slack>,
    /// `[notify.webhook.NAME]`: each a channel `webhook:NAME`.
    pub webhooks: Vec<Webhook>,
}

/// Where browsers reach the daemon: a scheme, a host, and perhaps a port; nothing after it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl(String);

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

impl Notify {
    /// The names of all channels.
    pub fn channels(&self) -> impl Iterator<Item = ChannelName> {
        let email = self.email.iter().map(|_| ChannelName::email());
        let slack = self.slack.iter().map(|slack| slack.name.clone());
        email.chain(slack).chain(self.webhooks.iter().map(|webhook| webhook.name.clone()))
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            give_up_after: GIVE_UP_AFTER,
            private_hosts: Vec::new(),
            email: None,
            slack: Vec::new(),
            webhooks: Vec::new(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NotifyTable {
    give_up_after: Option<Spanned<String>>,
    private_hosts: Option<Spanned<Vec<String>>>,
    email: Option<Spanned<email::Table>>,
    slack: BTreeMap<Spanned<String>, slack::Table>,
    webhook: BTreeMap<Spanned<String>, webhook::Table>,
}

impl Check<'_> {
    pub(super) fn notify(&mut self, table: NotifyTable, home: &Path) -> Notify {
        let mut notify = Notify::default();
        if let Some(field) = table.give_up_after {
            let range = Duration::from_mins(1)..=GIVE_UP_AFTER_MAX;
            let given = self.time(&field, "notify.give_up_after", &range);
            notify.give_up_after = given.unwrap_or(GIVE_UP_AFTER);
        }
        notify.private_hosts = self.names(table.private_hosts, "notify.private_hosts");
        notify.email = table.email.and_then(|table| email::read(self, table, home));
        for (name, table) in table.slack {
            let private = &notify.private_hosts;
            notify.slack.extend(slack::read(self, &name, &table, home, private));
        }
        for (name, table) in table.webhook {
            notify.webhooks.extend(webhook::read(self, &name, table, home));
        }
        notify
    }

    pub(super) fn public_url(&mut self, field: Option<Spanned<String>>) -> Option<PublicUrl> {
        let field = field?;
        let text = field.get_ref().trim_end_matches('/');
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let fits = authority.is_some_and(|authority| {
            (1..=255).contains(&authority.len())
                && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
        });
        if fits {
            return Some(PublicUrl(text.to_owned()));
        }
        let message = format!("http.public_url is `{}`, which is no address", echo(text, 100));
        let mend = "write a scheme and a host and no more, such as https://vouchsafe.example.com";
        self.problem(field.span().start, message, mend);
        None
    }

    /// Reads a time within limits.
    pub(super) fn time(
        &mut self,
        field: &Spanned<String>,
        name: &str,
        range: &std::ops::RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let at = field.span().start;
        match parse_duration(field.get_ref()) {
            Ok(time) if range.contains(&time) => return Some(time),
            Ok(_) => {
                let (least, most) =
                    (format_duration(*range.start()), format_duration(*range.end()));
                self.problem(at, format!("{name} is not between {least} and {most}"), "correct it");
            }
            Err(error) => {
                self.problem(at, format!("{name}: {error}"), "write a time such as \"30s\"");
            }
        }
        None
    }
}
