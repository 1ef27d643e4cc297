//! MCP keys: their names and what they may do.

mod level;
mod limits;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::level::{CallTraits, Level, LevelError};
pub use self::limits::{
    RATE_DEFAULT, RATE_MAX, Rate, RateError, SessionTime, SessionTimeError, ToolList, ToolListError,
};
use crate::id::{KeyId, ProjectId, UserId};
use crate::time::UnixTime;

/// The credential of one agent installation, as it is stored; its value is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The project it belongs to, and the only one it reaches.
    pub project: ProjectId,
    /// Its name, unique in the project.
    pub name: KeyName,
    /// The user who answers for it, and whose vote never counts on its asks.
    pub owner: UserId,
    /// What it may do.
    pub scopes: Scopes,
    /// How far it goes, and how often people are asked.
    pub settings: KeySettings,
    /// A disabled key opens nothing.
    pub enabled: bool,
    /// How often its value was made anew: what was proved with an older value is proved no more.
    pub generation: u32,
    /// Counts the changes of everything else about it: what was read of an earlier one is stale.
    pub revision: u32,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last let in.
    pub last_used_at: Option<UnixTime>,
}

/// What a key's owner or an operator sets, and the daemon enforces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeySettings {
    /// What a person is asked for where a rule says `approval = "level"`.
    pub level: Level,
    /// How long a `session` approval is remembered.
    pub session: SessionTime,
    /// The tools it may use; [`ToolList::All`] leaves it to the scopes.
    pub tools: ToolList,
    /// Requests in any minute.
    pub rate: Rate,
    /// Calls of tools in a calendar month (UTC); none: as many as the project allows.
    pub monthly: Option<u64>,
    /// When it stops opening anything; none: never by itself.
    pub expires_at: Option<UnixTime>,
}

/// 3 to 20 letters, digits and hyphens.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// One thing that a key may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Scope {
    /// See names, use values without seeing them.
    #[serde(rename = "secrets:read")]
    SecretsRead,
    /// Read raw values.
    #[serde(rename = "secrets:reveal")]
    SecretsReveal,
    /// Propose new values.
    #[serde(rename = "secrets:write")]
    SecretsWrite,
    /// Propose deletions.
    #[serde(rename = "secrets:delete")]
    SecretsDelete,
    /// Call tools that only read.
    #[serde(rename = "tools:read")]
    ToolsRead,
    /// Call tools that change things.
    #[serde(rename = "tools:write")]
    ToolsWrite,
    /// Call tools that destroy things.
    #[serde(rename = "tools:destructive")]
    ToolsDestructive,
    /// Query the log.
    #[serde(rename = "audit:read")]
    AuditRead,
}

/// What a key may do, all in all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

/// A name that no key may have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key's name has 3 to 20 letters, digits and hyphens")]
pub struct KeyNameError;

/// A word that names no scope.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no scope `{0}`")]
pub struct ScopeError(String);

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (3..=20).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits { Ok(Self(text.to_owned())) } else { Err(KeyNameError) }
    }
}

impl TryFrom<String> for KeyName {
    type Error = KeyNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 8] = [
        Self::SecretsRead,
        Self::SecretsReveal,
        Self::SecretsWrite,
        Self::SecretsDelete,
        Self::ToolsRead,
        Self::ToolsWrite,
        Self::ToolsDestructive,
        Self::AuditRead,
    ];

    /// The scope as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretsRead => "secrets:read",
            Self::SecretsReveal => "secrets:reveal",
            Self::SecretsWrite => "secrets:write",
            Self::SecretsDelete => "secrets:delete",
            Self::ToolsRead => "tools:read",
            Self::ToolsWrite => "tools:write",
            Self::ToolsDestructive => "tools:destructive",
            Self::AuditRead => "audit:read",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Key {
    /// Whether its time is up.
    pub fn expired(&self, now: UnixTime) -> bool {
        self.settings.expires_at.is_some_and(|at| at <= now)
    }
}

impl Scopes {
    /// `mcp:read`: every scope that only reads. What a key has that was given none.
    pub fn read_only() -> Self {
        Self(BTreeSet::from([Scope::SecretsRead, Scope::ToolsRead, Scope::AuditRead]))
    }

    /// `mcp:full`: everything but raw values.
    pub fn full() -> Self {
        Self(Scope::ALL.into_iter().filter(|scope| *scope != Scope::SecretsReveal).collect())
    }

    /// Reads scopes and the bundles `mcp:read` and `mcp:full`; none at all means `mcp:read`.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut scopes = BTreeSet::new();
        for word in words {
            match word {
                "mcp:read" => scopes.extend(Self::read_only().0),
                "mcp:full" => scopes.extend(Self::full().0),
                _ => {
                    let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
                    scopes.insert(scope.ok_or_else(|| ScopeError(word.to_owned()))?);
                }
            }
        }
        if scopes.is_empty() { Ok(Self::read_only()) } else { Ok(Self(scopes)) }
    }

    /// Whether this scope is among them.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Their words with commas between, for messages.
    pub fn words(&self) -> String {
        self.0.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The scopes, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_given_no_scope_only_reads_and_reveals_nothing() {
        let scopes = Scopes::parse([]).unwrap();
        assert_eq!(scopes, Scopes::read_only());
        assert!(!scopes.allow(Scope::SecretsReveal));
    }

    #[test]
    fn full_is_everything_but_raw_values() {
        let scopes = Scopes::parse(["mcp:full"]).unwrap();
        assert!(
            Scope::ALL
                .into_iter()
                .all(|scope| scopes.allow(scope) != (scope == Scope::SecretsReveal))
        );
    }

    #[test]
    fn an_unknown_scope_is_refused() {
        assert_eq!(Scopes::parse(["secrets:*"]), Err(ScopeError("secrets:*".to_owned())));
    }

    #[test]
    fn names_have_3_to_20_letters_digits_and_hyphens() {
        for (name, good) in [
            ("ci", false),
            ("abc", true),
            ("claude-desktop", true),
            ("a_b", false),
            ("é-é", false),
            (&"a".repeat(20), true),
            (&"a".repeat(21), false),
        ] {
            assert_eq!(name.parse::<KeyName>().is_ok(), good, "{name}");
        }
    }
}
