//! `[notify.slack.NAME]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use vouchsafe_core::route::{ChannelName, Events};

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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {}

pub(super) fn read(
    _check: &mut Check<'_>,
    _name: &Spanned<String>,
    _table: Table,
    _home: &Path,
) -> Option<Slack> {
    None
}
