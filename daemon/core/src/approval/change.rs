//! What an approved ask does to a secret, and the proof that it may.
//!
//! A value that an agent proposes is sealed as it comes and is never shown. What people approve
//! holds its length and a keyed digest of it; an [`Order`] carries that digest to whoever opens the
//! sealed value, so that what is written is what was shown.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Approved, Ask};
use crate::id::{ApprovalId, ProjectId, SecretId};
use crate::resource::Resource;
use crate::resource::SecretPath;
use crate::secret::Generator;

/// What becomes of a secret when the ask is approved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// What is done.
    pub effect: Effect,
    /// What there was when it was asked; none: there was no such secret.
    pub before: Option<Before>,
    /// The secret's description from then on; none: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What is done to a secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It gets this value: its first, or another version.
    Write(Proposed),
    /// It is deleted.
    Delete,
}

/// A value that was proposed, as far as people may know it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proposed {
    /// How long it is and how it was made.
    pub facts: Facts,
    /// A keyed digest of it, another one in each approval.
    pub digest: ValueDigest,
    /// A keyed digest by which equal asks find each other, shown to nobody; none where the value
    /// was made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<ValueDigest>,
    /// The public part of a key pair, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// What may be known of a value without knowing it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Facts {
    /// How many bytes it has.
    pub bytes: u64,
    /// How it was made; none: somebody gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
}

/// What a secret was when an ask about it was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Before {
    /// Of its current value.
    pub facts: Facts,
    /// Its description.
    pub description: String,
    /// The schedule it is rotated by, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<String>,
}

/// HMAC-SHA256 of a value, with a key that only the vault has.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ValueDigest([u8; 32]);

/// What came of a change once it was approved.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Applied {
    /// The secret has this version now.
    Written {
        /// The secret.
        secret: SecretId,
        /// Its version.
        version: u64,
    },
    /// The secret is deleted.
    Deleted {
        /// The secret.
        secret: SecretId,
        /// Its last version.
        version: u64,
    },
    /// The secret had moved on since it was shown: nothing was changed.
    Conflict {
        /// The version that was there; none: there was no such secret.
        found: Option<u64>,
    },
}

/// Proof that one change may be made to one secret, now.
///
/// Its fields are private and [`Approved::order`] alone makes one: nothing is written that was not
/// approved, and not over something else than was shown.
#[derive(Debug)]
pub struct Order {
    approval: ApprovalId,
    project: ProjectId,
    path: SecretPath,
    secret: Option<SecretId>,
    version: u64,
    digest: Option<ValueDigest>,
}

/// The secret is not any more what it was when the change was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the secret has changed since")]
pub struct Conflict {
    /// The version that is there; none: there is no such secret.
    pub found: Option<u64>,
}

impl Change {
    /// The value it proposes, where it does.
    pub const fn proposed(&self) -> Option<&Proposed> {
        match &self.effect {
            Effect::Write(proposed) => Some(proposed),
            Effect::Delete => None,
        }
    }

    /// What people see change besides the value: what it is called, what it was, what it becomes.
    pub fn differences(&self) -> Vec<(&'static str, String, String)> {
        let mut differences = Vec::new();
        let Effect::Write(proposed) = &self.effect else { return differences };
        let was = self.before.as_ref();
        let mut differs = |what, before: String, after: String| {
            if before != after {
                differences.push((what, before, after));
            }
        };
        if let Some(description) = &self.description {
            let before = was.map(|was| was.description.clone()).unwrap_or_default();
            differs("description", before, description.clone());
        }
        let made = |facts: &Facts| match &facts.generator {
            Some(generator) => generator.to_string(),
            None => "given".to_owned(),
        };
        let before = was.map_or_else(String::new, |was| was.facts.bytes.to_string());
        differs("bytes", before, proposed.facts.bytes.to_string());
        differs("made", was.map(|was| made(&was.facts)).unwrap_or_default(), made(&proposed.facts));
        if proposed.facts.generator.is_none()
            && let Some(schedule) = was.and_then(|was| was.rotate_every.clone())
        {
            differs("rotated", schedule, String::new());
        }
        differences
    }
}

impl Approved {
    /// The secret that it changes; none where it is about leases.
    pub fn changes(&self) -> Option<&SecretPath> {
        let (Some(_), [item]) = (&self.ask.change, self.ask.items.as_slice()) else { return None };
        match &item.resource {
            Resource::Secret(path) => Some(path),
            Resource::Tool { .. } | Resource::Audit | Resource::Policy => None,
        }
    }

    /// What is to be done, with `found` there now: the secret of that path and its version. Nothing
    /// where no secret is to be changed.
    pub fn order(&self, found: Option<(SecretId, u64)>) -> Option<Result<Order, Conflict>> {
        let Ask { id, project, items, change, .. } = &self.ask;
        let (path, change, item) = (self.changes()?, change.as_ref()?, items.first()?);
        let shown = item.secret.map(|secret| (secret, item.version));
        if shown != found {
            return Some(Err(Conflict { found: found.map(|(_, version)| version) }));
        }
        let proposed = change.proposed();
        Some(Ok(Order {
            approval: *id,
            project: *project,
            path: path.clone(),
            secret: item.secret,
            version: item.version.saturating_add(u64::from(proposed.is_some())),
            digest: proposed.map(|proposed| proposed.digest),
        }))
    }
}

impl Order {
    /// The approval it is from.
    pub const fn approval(&self) -> ApprovalId {
        self.approval
    }

    /// The project of the secret.
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// The path of the secret.
    pub const fn path(&self) -> &SecretPath {
        &self.path
    }

    /// The secret, where there is one already.
    pub const fn secret(&self) -> Option<SecretId> {
        self.secret
    }

    /// The version to be written, or the last one of what is to be deleted.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The digest of the value to be written; none where the secret is to be deleted.
    pub const fn digest(&self) -> Option<&ValueDigest> {
        self.digest.as_ref()
    }
}

impl ValueDigest {
    /// A digest that the vault has made.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ValueDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ValueDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ValueDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ValueDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| de::Error::custom("a digest is 64 hexadecimal digits"))
    }
}
