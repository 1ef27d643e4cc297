//! What a person wants to be told, where and when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{ChannelName, Events};
pub use crate::policy::{DigestTimes, QuietHours, WhenError};

/// The longest address, in bytes: RFC 5321, 4.5.3.1.3, less the angle brackets.
const ADDRESS_BYTES_MAX: usize = 254;

/// What a person wants; what is not said does not limit anything.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// Over these channels alone; empty: over none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<ChannelName>>,
    /// Of these events alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// Between these times nothing that can wait: it is told when they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
    /// What can wait is told at these times, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestTimes>,
}

/// Where e-mail reaches a person: printable ASCII around one `@`, without blanks, brackets and
/// quotes, 254 bytes at most. Narrower than RFC 5321, so that it can stand in a header as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EmailAddress(String);

/// A text that is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an e-mail address has a name, an @ and a domain, in plain characters without blanks")]
pub struct EmailAddressError;

/// A member of a Slack workspace: `U` or `W` and up to 20 capitals and digits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlackId(String);

/// A text that is no member's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a Slack member's id looks like U024BE7LH; their profile has it under \"Copy member ID\"")]
pub struct SlackIdError;

impl EmailAddress {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = EmailAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let (local, domain) = text.rsplit_once('@').ok_or(EmailAddressError)?;
        let is_local = (1..=64).contains(&local.len())
            && local.bytes().all(plain)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let fits = text.len() <= ADDRESS_BYTES_MAX && is_local && domain.split('.').all(is_label);
        if fits { Ok(Self(text.to_owned())) } else { Err(EmailAddressError) }
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SlackId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SlackId {
    type Err = SlackIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (2..=21).contains(&text.len())
            && text.starts_with(['U', 'W'])
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(SlackIdError) }
    }
}

impl fmt::Display for SlackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! text_in_json {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

text_in_json!(EmailAddress, SlackId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_stand_in_a_header_as_it_is() {
        for good in ["jane@example.com", "a.b+c@x-y.org", "root@localhost"] {
            assert!(good.parse::<EmailAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "jane",
            "@x",
            "a@",
            "a b@x",
            "a@x\r\nBcc: b@y",
            "\"a\"@x",
            "<a@x>",
            "a@-x",
            "a..b@x",
            "a@x..y",
            "a,b@x",
            "ä@x",
        ] {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slack_id_is_a_members() {
        assert!("U024BE7LH".parse::<SlackId>().is_ok());
        for bad in ["C024BE7LH", "U", "u024", "<@U02>", "U02 4"] {
            assert!(bad.parse::<SlackId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn preferences_read_back_as_they_are_stored() {
        let preferences = Preferences {
            channels: Some(vec![ChannelName::email()]),
            events: Some(Events::for_people()),
            quiet: Some("22:00-07:00 Europe/Berlin".parse().unwrap()),
            digest: Some("0 9 * * Mon-Fri UTC".parse().unwrap()),
        };
        let json = serde_json::to_string(&preferences).unwrap();
        assert_eq!(serde_json::from_str::<Preferences>(&json).unwrap(), preferences);
        assert_eq!(serde_json::from_str::<Preferences>("{}").unwrap(), Preferences::default());
    }
}
