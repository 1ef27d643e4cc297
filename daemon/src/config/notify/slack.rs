//! `[notify.slack.NAME]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::{ChannelName, Events};
use vouchsafe_core::text::echo;

use crate::config::file::Check;

/// `[notify.slack.NAME]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slack {
    /// `slack:NAME`.
    pub name: ChannelName,
    /// How it is reached.
    pub way: SlackWay,
    /// `events`: what it carries.
    pub events: Events,
    /// `timeout`: for one call; `10s`, and 1 second to 2 minutes.
    pub timeout: Duration,
}

/// The two ways into Slack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SlackWay {
    /// `webhook_file`: a file with the address of an incoming webhook. Its messages have no buttons
    /// and stay as they are.
    Webhook(PathBuf),
    /// A bot of our own.
    Bot {
        /// `token_file`: a file with its token, `xoxb-...`.
        token_file: PathBuf,
        /// `signing_secret_file`: a file with what Slack signs its requests with.
        signing_secret_file: PathBuf,
        /// `channel`: the channel's id; none (`direct = true`): to each person, as the member that
        /// they are.
        channel: Option<String>,
        /// `team`: the workspace's id, `T...`; members of others are nobody. None: any that the
        /// signature covers.
        team: Option<String>,
        /// `api_base`: `https://slack.com/api`.
        api_base: String,
    },
}

/// How long one call may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest it can take.
const TIMEOUT_MAX: Duration = Duration::from_mins(2);
/// Where Slack's API is.
const API_BASE: &str = "https://slack.com/api";
/// The longest id of Slack's that is taken.
const ID_BYTES_MAX: usize = 30;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {
    webhook_file: Option<Spanned<PathBuf>>,
    token_file: Option<Spanned<PathBuf>>,
    signing_secret_file: Option<Spanned<PathBuf>>,
    channel: Option<Spanned<String>>,
    direct: Option<Spanned<bool>>,
    team: Option<Spanned<String>>,
    api_base: Option<Spanned<String>>,
    events: Option<Spanned<Vec<String>>>,
    timeout: Option<Spanned<String>>,
}

/// Where problems of one channel are said.
struct Slip<'c, 'f> {
    check: &'c mut Check<'f>,
    /// `notify.slack.NAME`.
    field: String,
    /// Where its name stands.
    at: usize,
}

/// Reads one channel. `private`: the hosts of `notify.private_hosts`.
pub(super) fn read(
    check: &mut Check<'_>,
    name: &Spanned<String>,
    table: &Table,
    home: &Path,
    private: &[String],
) -> Option<Slack> {
    let at = name.span().start;
    let Ok(channel) = ChannelName::of("slack", name.get_ref()) else {
        let message = format!("notify.slack has the name `{}`", echo(name.get_ref(), 40));
        check.problem(at, message, "give it 1 to 40 letters, digits, - and _");
        return None;
    };
    let field = format!("notify.slack.{}", name.get_ref());
    let mut slip = Slip { check, field, at };
    let events = slip.events(table.events.as_ref());
    let timeout = table.timeout.as_ref().map_or(Some(TIMEOUT), |field| {
        let range = Duration::from_secs(1)..=TIMEOUT_MAX;
        slip.check.time(field, &format!("{}.timeout", slip.field), &range)
    });
    let way = match &table.webhook_file {
        Some(file) => slip.webhook(file, table, home),
        None => slip.bot(table, home, private),
    };
    Some(Slack { name: channel, way: way?, events: events?, timeout: timeout? })
}

impl Slip<'_, '_> {
    fn events(&mut self, field: Option<&Spanned<Vec<String>>>) -> Option<Events> {
        let Some(field) = field else { return Some(Events::for_people()) };
        let message = match Events::read(field.get_ref()) {
            Ok(events) if !events.is_empty() => return Some(events),
            Ok(_) => format!("{}.events names none", self.field),
            Err(error) => format!("{}.events: {error}", self.field),
        };
        let mend = "name events such as \"approval.requested\", \"approval.*\" or \"*\"";
        self.check.problem(field.span().start, message, mend);
        None
    }

    fn webhook(&mut self, file: &Spanned<PathBuf>, table: &Table, home: &Path) -> Option<SlackWay> {
        let bots = [
            ("token_file", table.token_file.as_ref().map(Spanned::span)),
            ("signing_secret_file", table.signing_secret_file.as_ref().map(Spanned::span)),
            ("channel", table.channel.as_ref().map(Spanned::span)),
            ("direct", table.direct.as_ref().map(Spanned::span)),
            ("team", table.team.as_ref().map(Spanned::span)),
            ("api_base", table.api_base.as_ref().map(Spanned::span)),
        ];
        let given = bots.into_iter().find_map(|(name, span)| span.map(|span| (name, span.start)));
        if let Some((name, at)) = given {
            let message = format!("{}.{name} means nothing beside webhook_file", self.field);
            self.check.problem(at, message, "take one of them away");
            return None;
        }
        Some(SlackWay::Webhook(home.join(file.get_ref())))
    }

    fn bot(&mut self, table: &Table, home: &Path, private: &[String]) -> Option<SlackWay> {
        let files = (table.token_file.as_ref(), table.signing_secret_file.as_ref());
        let (Some(token), Some(signing)) = files else {
            let missing = if files.0.is_none() { "token_file" } else { "signing_secret_file" };
            let message = format!("{}.{missing} is missing", self.field);
            let mend = "give token_file and signing_secret_file, or webhook_file alone";
            self.check.problem(self.at, message, mend);
            return None;
        };
        let channel = self.place(table);
        let team = match &table.team {
            Some(team) => self.id(team, "team", &['T', 'E'], "T024BE7LD").map(Some),
            None => Some(None),
        };
        let api_base = match &table.api_base {
            Some(base) => self.api_base(base, private),
            None => Some(API_BASE.to_owned()),
        };
        Some(SlackWay::Bot {
            token_file: home.join(token.get_ref()),
            signing_secret_file: home.join(signing.get_ref()),
            channel: channel?,
            team: team?,
            api_base: api_base?,
        })
    }

    /// The place, or each person by themselves: one of the two has to be said.
    #[expect(clippy::option_option, reason = "nothing, where what is said makes no sense")]
    fn place(&mut self, table: &Table) -> Option<Option<String>> {
        let direct = table.direct.as_ref().is_some_and(|direct| *direct.get_ref());
        match (&table.channel, direct) {
            (Some(channel), false) => {
                self.id(channel, "channel", &['C', 'G', 'D'], "C024BE91L").map(Some)
            }
            (None, true) => Some(None),
            (given, _) => {
                let what = if given.is_some() { "has channel and direct" } else { "goes nowhere" };
                let mend = "give channel, or direct = true for a message to each person";
                self.check.problem(self.at, format!("{} {what}", self.field), mend);
                None
            }
        }
    }

    fn id(
        &mut self,
        field: &Spanned<String>,
        name: &str,
        begins: &[char],
        such_as: &str,
    ) -> Option<String> {
        let id = field.get_ref();
        let fits = (2..=ID_BYTES_MAX).contains(&id.len())
            && id.starts_with(begins)
            && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if fits {
            return Some(id.clone());
        }
        let message = format!("{}.{name} is `{}`, which is no id", self.field, echo(id, 40));
        let mend = format!("write the id that Slack shows, such as \"{such_as}\"");
        self.check.problem(field.span().start, message, &mend);
        None
    }

    /// With TLS, but to hosts that the operator named as their own.
    fn api_base(&mut self, field: &Spanned<String>, private: &[String]) -> Option<String> {
        let text = field.get_ref().trim_end_matches('/');
        let own = |host: &str| private.iter().any(|name| name == host.trim_matches(['[', ']']));
        let uri = text.parse::<Uri>().ok().filter(|uri| {
            let plain = uri.authority().is_some_and(|a| !a.as_str().contains('@'));
            plain && uri.query().is_none()
        });
        let fits = uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(host)) => own(host),
            _ => false,
        });
        if fits {
            return Some(text.to_owned());
        }
        // It may hold a password.
        let said = if text.contains('@') {
            "an address with a login".to_owned()
        } else {
            format!("`{}`", echo(text, 100))
        };
        let message = format!("{}.api_base is {said}", self.field);
        let mend = "write an https address, or take it away; http is for hosts that \
                    notify.private_hosts names";
        self.check.problem(field.span().start, message, mend);
        None
    }
}

#[cfg(test)]
mod tests;
