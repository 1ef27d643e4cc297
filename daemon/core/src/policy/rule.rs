//! One rule.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::directory::ApproverRef;
use crate::resource::{Operations, Pattern};
use crate::text::{self, Reason};

/// A rule that lets something happen: after people were asked, or at once.
///
/// Made by [`super::parse`], where everything about it has been checked; an approval keeps a copy
/// of the rule it was asked under, as JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rule {
    /// What people call it.
    pub name: RuleName,
    /// Which resources it is for.
    pub resource: Pattern,
    /// What it covers; anything else on these resources is refused.
    pub operations: Operations,
    /// Whether people are asked, and whom.
    pub asks: Asks,
    /// Whether an ask must give a reason.
    pub require_reason: bool,
    /// How many visible characters the reason must have; 0 where none is required.
    pub min_reason_length: u32,
    /// What leases under it are good for.
    pub lease: LeaseTerms,
    /// How long an ask waits for an answer.
    #[serde(with = "ms", rename = "pending_for_ms")]
    pub pending_for: Duration,
    /// Whether a lease goes on with the next version of a secret after a rotation.
    pub follow_rotation: bool,
}

/// Whether a rule asks people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asks {
    /// `approval = "none"`.
    Nobody,
    /// `approval = "required"`.
    People(Quorum),
}

/// Whom a rule asks, and how many of them must say yes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Quorum {
    /// Any of these may answer; sorted, each once.
    pub approvers: Vec<ApproverRef>,
    /// How many different people must say yes.
    pub count: u32,
    /// Whether the owner of the asking key counts as well.
    pub self_approval: bool,
}

/// What a lease is good for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeaseTerms {
    /// How long, where the ask names no time.
    #[serde(with = "ms", rename = "default_ms")]
    pub default: Duration,
    /// How long at most from its issue, renewals included.
    #[serde(with = "ms", rename = "max_ms")]
    pub max: Duration,
    /// How many uses; `None`: as many as fit in the time.
    pub uses: Option<u32>,
}

/// A rule that refuses: `effect = "deny"`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Denial {
    /// What people call it.
    pub name: RuleName,
    /// Which resources it is for.
    pub resource: Pattern,
    /// What it refuses: everything, unless the file lists operations.
    pub operations: Operations,
}

/// What a rule is called: 1 to 80 visible characters, and spaces between them.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleName(String);

/// A text that no rule can be called.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a rule's name has 1 to 80 visible characters")]
pub struct RuleNameError;

/// SHA-256 over what a rule means: not its name, not where it is written.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleDigest([u8; 32]);

/// An ask whose reason does not do for the rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the rule asks for a reason of at least {min} visible characters, and this one has {has}")]
pub struct ReasonNeeded {
    /// How many visible characters there must be.
    pub min: u32,
    /// How many there are.
    pub has: usize,
}

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 80;

impl Rule {
    /// Whether this reason, or none, does for an ask under the rule.
    pub fn check_reason(&self, reason: Option<&Reason>) -> Result<(), ReasonNeeded> {
        if !self.require_reason {
            return Ok(());
        }
        let min = self.min_reason_length.max(1);
        let has = reason.map_or(0, Reason::length);
        if has < usize::try_from(min).unwrap_or(usize::MAX) {
            return Err(ReasonNeeded { min, has });
        }
        Ok(())
    }

    /// Whom it asks; nothing where it asks nobody.
    pub const fn quorum(&self) -> Option<&Quorum> {
        match &self.asks {
            Asks::Nobody => None,
            Asks::People(quorum) => Some(quorum),
        }
    }

    /// The digest of what it means.
    pub fn digest(&self) -> RuleDigest {
        RuleDigest::of("allow", self)
    }
}

impl Denial {
    /// The digest of what it means.
    pub fn digest(&self) -> RuleDigest {
        RuleDigest::of("deny", self)
    }
}

impl RuleName {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RuleName {
    type Err = RuleNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
            && name.trim() == name
            && text::escape_untrusted(name).text == name;
        if fits { Ok(Self(name.to_owned())) } else { Err(RuleNameError) }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RuleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RuleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl RuleDigest {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(effect: &str, rule: &impl Serialize) -> Self {
        #[expect(clippy::expect_used, reason = "a rule is text, numbers and lists of them")]
        let mut meaning = serde_json::to_value(rule).expect("a rule has a JSON form");
        if let Some(members) = meaning.as_object_mut() {
            members.remove("name");
            members.insert("effect".to_owned(), effect.into());
        }
        Self(sha256_of_canonical(&meaning))
    }
}

impl fmt::Display for RuleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for RuleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SHA-256 over the RFC 8785 form of a value.
pub(super) fn sha256_of_canonical(value: &serde_json::Value) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "only a NaN has no canonical form, and JSON has none")]
    let bytes = serde_json_canonicalizer::to_vec(value).expect("JSON has a canonical form");
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    hash
}

/// Durations as whole milliseconds.
mod ms {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
