//! The ways out, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Events;

/// The most channels one daemon has.
pub const CHANNELS_MAX: usize = 50;

/// What rules and people call a channel: `email`, `slack:security`, `webhook:siem`.
///
/// A kind, and where there can be several of it a colon and 1 to 40 letters, digits, `-` and `_`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelName(String);

/// A text that names no channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a channel is email, slack:NAME or webhook:NAME")]
pub struct ChannelNameError;

/// What routing has to know of a channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// Whom it reaches.
    pub audience: Audience,
    /// What it carries.
    pub events: Events,
    /// It carries everything that it subscribes to, whoever was told what before, and whatever a
    /// rule says of channels: another program reads it, not people.
    pub feed: bool,
    /// What it has sent can be changed: what ends an approval changes the message about it.
    pub updates: bool,
    /// How many messages it takes at once, 1 or more.
    pub at_once: usize,
}

/// Whom a channel reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Each person at their address of this kind.
    Email,
    /// Each person as the Slack user they are.
    SlackUser,
    /// One place, for whoever looks there.
    Place,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// It waits for its time, or for another try.
    Queued,
    /// The channel took it.
    Sent,
    /// It was given up.
    Failed,
    /// The channel took it, and it was answered.
    Answered,
}

impl ChannelName {
    /// The one for e-mail.
    pub fn email() -> Self {
        Self("email".to_owned())
    }

    /// One of several of a kind.
    pub fn of(kind: &str, name: &str) -> Result<Self, ChannelNameError> {
        format!("{kind}:{name}").parse()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `email`, `slack` or `webhook`.
    pub fn kind(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl FromStr for ChannelName {
    type Err = ChannelNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            (1..=40).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let fits = match text.split_once(':') {
            None => text == "email",
            Some((kind, name)) => matches!(kind, "slack" | "webhook") && is_name(name),
        };
        if fits { Ok(Self(text.to_owned())) } else { Err(ChannelNameError) }
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ChannelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ChannelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl DeliveryStatus {
    /// Every status there is.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Sent, Self::Failed, Self::Answered];

    /// The status as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Answered => "answered",
        }
    }
}

impl FromStr for DeliveryStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

/// A text that is no status of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a message is queued, sent, failed or answered")]
pub struct UnknownStatus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_a_kind_and_where_there_are_several_a_name() {
        for name in ["email", "slack:security", "webhook:siem_2"] {
            assert_eq!(
                name.parse::<ChannelName>().map(|name| name.to_string()),
                Ok(name.to_owned())
            );
        }
        for name in ["", "slack", "slack:", "email:x", "pager:x", "slack:a b", "webhook:é"] {
            assert!(name.parse::<ChannelName>().is_err(), "{name}");
        }
    }
}
