//! `[notify.webhook.NAME]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::{ChannelName, Events};
use vouchsafe_core::text::echo;

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

/// How long one message may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest it can take.
const TIMEOUT_MAX: Duration = Duration::from_mins(2);
/// How many messages at once where nothing is said.
const AT_ONCE: usize = 4;
/// The longest address, in bytes.
const URL_BYTES_MAX: usize = 2048;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {
    url: Option<Spanned<String>>,
    url_file: Option<Spanned<PathBuf>>,
    secrets_file: Option<Spanned<PathBuf>>,
    template: Option<WebhookTemplate>,
    events: Option<Spanned<Vec<String>>>,
    timeout: Option<Spanned<String>>,
    at_once: Option<Spanned<i64>>,
}

/// Where problems of one channel are said.
struct Slip<'c, 'f> {
    check: &'c mut Check<'f>,
    /// `notify.webhook.NAME`.
    field: String,
    /// Where its name stands.
    at: usize,
}

/// What is wrong was said.
struct Said;

impl WebhookTemplate {
    /// What it carries where nothing is said: a program hears everything, people what concerns them.
    fn events(self) -> Events {
        match self {
            Self::Standard => Events::ALL,
            Self::Ntfy | Self::Teams | Self::Discord => Events::for_people(),
        }
    }

    /// The template as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Ntfy => "ntfy",
            Self::Teams => "teams",
            Self::Discord => "discord",
        }
    }
}

pub(super) fn read(
    check: &mut Check<'_>,
    name: &Spanned<String>,
    table: Table,
    home: &Path,
) -> Option<Webhook> {
    let at = name.span().start;
    let Ok(channel) = ChannelName::of("webhook", name.get_ref()) else {
        let message = format!("notify.webhook has the name `{}`", echo(name.get_ref(), 40));
        check.problem(at, message, "give it 1 to 40 letters, digits, - and _");
        return None;
    };
    let field = format!("notify.webhook.{}", name.get_ref());
    let mut slip = Slip { check, field, at };
    let template = table.template.unwrap_or_default();
    let url = slip.url(table.url, table.url_file, home);
    let secrets_file = slip.secrets(table.secrets_file, template, home);
    let events = slip.events(table.events.as_ref(), template);
    let timeout = table.timeout.as_ref().map_or(Some(TIMEOUT), |field| {
        let range = Duration::from_secs(1)..=TIMEOUT_MAX;
        slip.check.time(field, &format!("{}.timeout", slip.field), &range)
    });
    let at_once = table.at_once.map_or(Some(AT_ONCE), |field| {
        let name = format!("{}.at_once", slip.field);
        let most = slip.check.number(Some(field), &name, 1..=32, "1 to 32")?;
        usize::try_from(most).ok()
    });
    Some(Webhook {
        name: channel,
        url: url?,
        secrets_file: secrets_file.ok()?,
        template,
        events: events?,
        timeout: timeout?,
        at_once: at_once?,
    })
}

impl Slip<'_, '_> {
    /// One of the two. What else there is to say of an address is said where it is looked at.
    fn url(
        &mut self,
        url: Option<Spanned<String>>,
        file: Option<Spanned<PathBuf>>,
        home: &Path,
    ) -> Option<WebhookUrl> {
        let url = match (url, file) {
            (Some(url), None) => url,
            (None, Some(file)) => return Some(WebhookUrl::File(home.join(file.into_inner()))),
            (Some(_), Some(file)) => {
                let message = format!("{} has url and url_file", self.field);
                self.check.problem(file.span().start, message, "take one of them away");
                return None;
            }
            (None, None) => {
                let message = format!("{}.url is missing", self.field);
                let mend = "write where messages go, or name a private file with it in url_file";
                self.check.problem(self.at, message, mend);
                return None;
            }
        };
        let text = url.get_ref();
        let http = text.starts_with("https://") || text.starts_with("http://");
        if http && text.len() <= URL_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Some(WebhookUrl::Given(text.clone()));
        }
        // It is not repeated: a part of it may be a secret.
        let message = format!("{}.url is no address, or over 2048 bytes", self.field);
        let mend = "write one such as https://example.com/hooks/vouchsafe";
        self.check.problem(url.span().start, message, mend);
        None
    }

    fn secrets(
        &mut self,
        file: Option<Spanned<PathBuf>>,
        template: WebhookTemplate,
        home: &Path,
    ) -> Result<Option<PathBuf>, Said> {
        match (file, template) {
            (Some(file), WebhookTemplate::Standard) => Ok(Some(home.join(file.into_inner()))),
            (None, WebhookTemplate::Standard) => {
                let message = format!("{}.secrets_file is missing", self.field);
                let mend = "name a private file with a secret, whsec_ and the base64 of 24 to 64 \
                            random bytes: what is sent is signed with it";
                self.check.problem(self.at, message, mend);
                Err(Said)
            }
            (Some(file), _) => {
                let template = template.as_str();
                let message = format!(
                    "{}.secrets_file means nothing where the template is {template}",
                    self.field
                );
                self.check.problem(file.span().start, message, "take it away");
                Err(Said)
            }
            (None, _) => Ok(None),
        }
    }

    fn events(
        &mut self,
        field: Option<&Spanned<Vec<String>>>,
        template: WebhookTemplate,
    ) -> Option<Events> {
        let Some(field) = field else { return Some(template.events()) };
        let message = match Events::read(field.get_ref()) {
            Ok(events) if !events.is_empty() => return Some(events),
            Ok(_) => format!("{}.events names none", self.field),
            Err(error) => format!("{}.events: {error}", self.field),
        };
        let mend = "name events such as \"approval.requested\", \"approval.*\" or \"*\"";
        self.check.problem(field.span().start, message, mend);
        None
    }
}

#[cfg(test)]
mod tests;
