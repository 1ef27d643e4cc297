//! One rule.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::conditions::Conditions;
use super::directory::ApproverRef;
use super::quorum::Quorum;
use super::regexp::Regexp;
use crate::resource::{Operations, Pattern};
use crate::route::ChannelName;
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
    /// Whether it is in force, or only watched.
    #[serde(default)]
    pub mode: Mode,
    /// When an ask is approved without a person.
    #[serde(default)]
    pub auto_approve: Option<Conditions>,
    /// Whether an ask must give a reason.
    pub require_reason: bool,
    /// How many visible characters the reason must have; 0 where none is required.
    pub min_reason_length: u32,
    /// What the reason must look like.
    #[serde(default)]
    pub reason_pattern: Option<ReasonPattern>,
    /// The kinds of reason the agent must choose from; empty: it need not choose.
    #[serde(default)]
    pub reason_kinds: Vec<String>,
    /// What leases under it are good for.
    pub lease: LeaseTerms,
    /// How long an ask waits for an answer.
    #[serde(with = "ms", rename = "pending_for_ms")]
    pub pending_for: Duration,
    /// Who may answer as well where nobody has for a while.
    #[serde(default)]
    pub escalation: Option<Escalation>,
    /// How often people are reminded while an ask waits.
    #[serde(default, with = "ms_opt", rename = "remind_every_ms")]
    pub remind_every: Option<Duration>,
    /// Whether an approver may have the same approved for the key's session time.
    #[serde(default)]
    pub remember: bool,
    /// What an approved call is bound to; it matters for what has arguments.
    #[serde(default)]
    pub bind: Bind,
    /// Whether a lease goes on with the next version of a secret after a rotation.
    pub follow_rotation: bool,
    /// Who may have a lease at once in an emergency, to be reviewed afterwards; sorted.
    #[serde(default)]
    pub break_glass: Vec<ApproverRef>,
    /// The channels that carry what people are told of asks under it, sorted; empty: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<ChannelName>,
}

/// Whether a rule asks people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asks {
    /// `approval = "none"`.
    Nobody,
    /// `approval = "required"`.
    People(Quorum),
    /// `approval = "level"`: these people, where the key's level asks.
    Level(Quorum),
}

/// Whether a rule is in force.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It is judged, what it would have asked is logged, and nobody is asked.
    Observe,
}

/// What an approved call is bound to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bind {
    /// The hash of its canonical arguments, and one call.
    #[default]
    Arguments,
    /// The tool alone: any arguments, as long as the lease lasts.
    Tool,
}

/// What a reason must look like.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReasonPattern {
    /// A regular expression that must match somewhere in the reason.
    pub regex: Regexp,
    /// What to write instead, for whoever has not.
    pub hint: String,
}

/// Who may answer as well, after a while.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Escalation {
    /// After the ask has waited so long; shorter than the ask's whole time.
    #[serde(with = "ms", rename = "after_ms")]
    pub after: Duration,
    /// These; sorted, each once.
    pub to: Vec<ApproverRef>,
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
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReasonNeeded {
    /// There is none, or too little of it.
    #[error(
        "the rule asks for a reason of at least {min} visible characters, and this one has {has}"
    )]
    Short {
        /// How many visible characters there must be.
        min: u32,
        /// How many there are.
        has: usize,
    },
    /// It is not of the form that the rule asks for.
    #[error("the rule asks for a reason of another form: {hint}")]
    Form {
        /// What to write, in the rule's words.
        hint: String,
    },
    /// It is of none of the rule's kinds.
    #[error("the rule asks for `reason_kind`, one of: {}", .kinds.join(", "))]
    Kind {
        /// The kinds.
        kinds: Vec<String>,
    },
}

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 80;

impl Rule {
    /// Whether this reason, or none, does for an ask under the rule.
    pub fn check_reason(
        &self,
        reason: Option<&Reason>,
        kind: Option<&str>,
    ) -> Result<(), ReasonNeeded> {
        if !self.reason_kinds.is_empty()
            && !kind.is_some_and(|kind| self.reason_kinds.iter().any(|known| known == kind))
        {
            return Err(ReasonNeeded::Kind { kinds: self.reason_kinds.clone() });
        }
        if !self.require_reason {
            return Ok(());
        }
        let min = self.min_reason_length.max(1);
        let has = reason.map_or(0, Reason::length);
        if has < usize::try_from(min).unwrap_or(usize::MAX) {
            return Err(ReasonNeeded::Short { min, has });
        }
        match &self.reason_pattern {
            Some(pattern)
                if !reason.is_some_and(|reason| pattern.regex.matches(reason.original())) =>
            {
                Err(ReasonNeeded::Form { hint: pattern.hint.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whom it asks; nothing where it asks nobody, whatever the circumstances.
    pub const fn quorum(&self) -> Option<&Quorum> {
        match &self.asks {
            Asks::Nobody => None,
            Asks::People(quorum) | Asks::Level(quorum) => Some(quorum),
        }
    }

    /// Who may answer as well once an ask has waited so long.
    pub fn also_asked(&self, waited: Duration) -> &[ApproverRef] {
        match &self.escalation {
            Some(escalation) if waited >= escalation.after => &escalation.to,
            Some(_) | None => &[],
        }
    }

    /// Whether it is judged without being in force.
    pub fn is_observed(&self) -> bool {
        self.mode == Mode::Observe
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
    /// What the rule for changes of the rules is called.
    pub(super) fn policy_changes() -> Self {
        Self("Policy changes".to_owned())
    }

    /// What a suggested rule is called where nothing better can be said.
    pub(super) fn suggested() -> Self {
        Self("Suggested".to_owned())
    }

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

/// Durations that may be missing, as whole milliseconds.
mod ms_opt {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|value| u64::try_from(value.as_millis()).unwrap_or(u64::MAX)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
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
