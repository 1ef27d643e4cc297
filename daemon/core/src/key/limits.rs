//! What a key's settings may be.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::text;

/// Requests a minute where nothing is said.
pub const RATE_DEFAULT: u32 = 60;
/// The most requests a minute that a key can be given.
pub const RATE_MAX: u32 = 1_000_000;
/// The most names in a list of tools.
const TOOLS_MAX: usize = 200;
/// The longest name of a tool, in characters.
const TOOL_CHARS_MAX: usize = 128;

/// Requests in any minute: 1 to [`RATE_MAX`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rate(u32);

/// How long a `session` approval is remembered: 5 to 1440 minutes, 30 by default.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SessionTime(u16);

/// The tools a key may use, within what its scopes allow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ToolList {
    /// All that its scopes allow.
    #[default]
    All,
    /// Those of these names; one that ends in `*` stands for all that begin so. Never empty.
    Only(BTreeSet<String>),
}

/// A number of requests that no key can be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key may make 1 to {RATE_MAX} requests a minute")]
pub struct RateError;

/// A time for which no session is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("session time is whole minutes from 5m to 24h")]
pub struct SessionTimeError;

/// A list of tools that no key can be given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ToolListError {
    /// Something that no tool is called.
    #[error("`{}` is no tool's name: write letters, digits, _ and -, with * at the end for all that begin so", text::echo(.0, 40))]
    Name(String),
    /// Too many of them.
    #[error("a list names {TOOLS_MAX} tools at most")]
    Many,
}

impl Rate {
    /// The rate of that many requests a minute.
    pub const fn new(requests: u32) -> Result<Self, RateError> {
        if requests == 0 || requests > RATE_MAX { Err(RateError) } else { Ok(Self(requests)) }
    }

    /// Requests a minute.
    pub const fn per_minute(self) -> u32 {
        self.0
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self(RATE_DEFAULT)
    }
}

impl SessionTime {
    /// The session time of that many minutes.
    pub fn from_minutes(minutes: u32) -> Result<Self, SessionTimeError> {
        let fits = u16::try_from(minutes).ok().filter(|minutes| (5..=1_440).contains(minutes));
        fits.map(Self).ok_or(SessionTimeError)
    }

    /// In minutes.
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 60)
    }
}

impl TryFrom<Duration> for SessionTime {
    type Error = SessionTimeError;

    fn try_from(time: Duration) -> Result<Self, Self::Error> {
        if time.subsec_nanos() != 0 || !time.as_secs().is_multiple_of(60) {
            return Err(SessionTimeError);
        }
        u32::try_from(time.as_secs() / 60)
            .map_err(|_| SessionTimeError)
            .and_then(Self::from_minutes)
    }
}

impl Default for SessionTime {
    fn default() -> Self {
        Self(30)
    }
}

impl ToolList {
    /// The tools of these names; none at all means all tools.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ToolListError> {
        let names: BTreeSet<_> = names.into_iter().map(str::to_owned).collect();
        if names.len() > TOOLS_MAX {
            return Err(ToolListError::Many);
        }
        for name in &names {
            let stem = name.strip_suffix('*').unwrap_or(name);
            let fits = name.len() <= TOOL_CHARS_MAX
                && !name.is_empty()
                && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
            if !fits {
                return Err(ToolListError::Name(name.clone()));
            }
        }
        Ok(if names.is_empty() || names.contains("*") { Self::All } else { Self::Only(names) })
    }

    /// Whether a tool of this name may be used.
    pub fn allows(&self, tool: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| match name.strip_suffix('*') {
                Some(stem) => tool.starts_with(stem),
                None => name == tool,
            }),
        }
    }

    /// The names; none where all tools may be used.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::All => None,
            Self::Only(names) => Some(names),
        };
        names.into_iter().flatten().map(String::as_str)
    }
}

impl fmt::Display for ToolList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(_) => f.write_str(&self.names().collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_at_least_one_and_at_most_a_million() {
        assert_eq!(Rate::default().per_minute(), 60);
        assert!(Rate::new(0).is_err() && Rate::new(RATE_MAX + 1).is_err());
        assert_eq!(Rate::new(RATE_MAX).unwrap().per_minute(), RATE_MAX);
    }

    #[test]
    fn session_time_is_whole_minutes_from_5_to_1440() {
        for (seconds, good) in
            [(299, false), (300, true), (301, false), (86_400, true), (86_460, false)]
        {
            let made = SessionTime::try_from(Duration::from_secs(seconds));
            assert_eq!(made.is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn a_list_of_tools_takes_names_and_beginnings() {
        let list = ToolList::parse(["read_secret", "linear__*"]).unwrap();
        for (tool, allowed) in [
            ("read_secret", true),
            ("read_secrets", false),
            ("linear__create_issue", true),
            ("linear_", false),
            ("whoami", false),
        ] {
            assert_eq!(list.allows(tool), allowed, "{tool}");
        }
        assert_eq!(ToolList::parse([]).unwrap(), ToolList::All);
        assert_eq!(ToolList::parse(["*"]).unwrap(), ToolList::All);
        for wrong in ["", "a b", "a*b", "**"] {
            assert!(ToolList::parse([wrong]).is_err(), "{wrong}");
        }
    }
}
