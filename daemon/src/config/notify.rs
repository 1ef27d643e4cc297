//! `[notify]`: the channels, and what holds for all of them.

mod email;
mod slack;
mod webhook;

use std::collections::BTreeMap;
use std::net::IpAddr;
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

/// Whether a text is the name of one host, or its address.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

impl Check<'_> {
    pub(super) fn notify(&mut self, table: NotifyTable, home: &Path) -> Notify {
        let mut notify = Notify::default();
        if let Some(field) = table.give_up_after {
            let range = Duration::from_mins(1)..=GIVE_UP_AFTER_MAX;
            let given = self.time(&field, "notify.give_up_after", &range);
            notify.give_up_after = given.unwrap_or(GIVE_UP_AFTER);
        }
        let private = table.private_hosts.as_ref().map_or(0, |field| field.span().start);
        notify.private_hosts = self.names(table.private_hosts, "notify.private_hosts");
        if let Some(odd) = notify.private_hosts.iter().find(|name| !is_host(name)) {
            let message =
                format!("notify.private_hosts has `{}`, which is no host", echo(odd, 100));
            let mend = "write names and addresses, such as \"chat.internal\" or \"10.0.0.7\": each \
                        on its own, without a scheme or a port";
            self.problem(private, message, mend);
        }
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
