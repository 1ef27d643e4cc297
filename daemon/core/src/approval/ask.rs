//! What an agent asks for, and the digest that binds an answer to it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::change::{Change, ValueDigest};
use crate::caller::Claims;
use crate::id::{ApprovalId, KeyId, ProjectId, SecretId, UserId};
use crate::policy::{Bind, Rule};
use crate::resource::{Kind, Operation, Resource};
use crate::text::Reason;
use crate::time::{Deadline, UnixTime};

/// Resources that one ask may be about.
pub const ITEMS_MAX: usize = 20;
/// The longest canonical arguments, in bytes.
pub const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;

/// An ask as it was stored, before anybody was told: it never changes afterwards.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ask {
    /// The approval's id.
    pub id: ApprovalId,
    /// The project, which is the key's.
    pub project: ProjectId,
    /// That project's name.
    pub project_name: String,
    /// Who asks.
    pub asker: Asker,
    /// What they want to do.
    pub operation: Operation,
    /// What they want to do it with, each once.
    pub items: Vec<Item>,
    /// The arguments as canonical JSON (RFC 8785), without a proposed value.
    pub arguments: String,
    /// What it does to the secret it is about; none where it is about a lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Why, in the agent's words.
    pub reason: Option<Reason>,
    /// Which of the rule's kinds of reason the agent chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_kind: Option<String>,
    /// How long they would like it for.
    pub requested: Option<Duration>,
    /// When they asked.
    pub asked_at: UnixTime,
    /// When it expires unanswered.
    pub deadline: Deadline,
    /// The digest of the rules it was asked under, hex.
    pub rule_set: String,
    /// What this key has asked for before.
    pub history: History,
}

/// Who is behind an ask.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Asker {
    /// The key; none where no agent asks, but a person or the daemon itself: for a change of the
    /// rules.
    pub key: Option<KeyId>,
    /// Its name; empty where there is none.
    pub key_name: String,
    /// The user who answers for it; none where nobody knows whose doing it is.
    pub owner: Option<UserId>,
    /// That user's name; empty where there is none.
    pub owner_name: String,
    /// How the client presents itself.
    pub claims: Claims,
}

/// One resource of an ask, and the rule that governs it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Item {
    /// The resource.
    pub resource: Resource,
    /// The secret, where it is one.
    pub secret: Option<SecretId>,
    /// The version this is about; 0 where there are none.
    pub version: u64,
    /// What the resource is, in its operator's words.
    pub description: String,
    /// The rule as it stood.
    pub rule: Rule,
}

/// What a key has asked for before.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct History {
    /// It has been given all of these resources before.
    pub had_before: bool,
    /// Its asks since midnight UTC, this one included.
    pub asks_today: u32,
}

/// SHA-256 over all that is approved. An answer carries the one that its giver saw.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ApprovalDigest([u8; 32]);

/// What makes two asks the same while the first is pending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JoinKey([u8; 32]);

/// SHA-256 over canonical arguments: what an approved call is bound to.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ArgumentsHash([u8; 32]);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct DigestError;

impl Ask {
    /// The digest over all that is approved: who asks for what, with which arguments and reason,
    /// within which limits and under which rules.
    pub fn digest(&self) -> ApprovalDigest {
        let mut approved = json!({
            "approval": self.id,
            "arguments": self.arguments,
            "expires_at": self.deadline.wall,
            "items": self.items.iter().map(Item::identity).collect::<Vec<_>>(),
            "key": self.asker.key,
            "operation": self.operation,
            "owner": self.asker.owner,
            "project": self.project,
            "purpose": "vouchsafe/v1/approval",
            "reason": self.reason,
            "reason_kind": self.reason_kind,
            "requested_ms": self.requested.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            "rule_set": self.rule_set,
        });
        if let (Some(change), Some(members)) = (&self.change, approved.as_object_mut()) {
            members.insert("change".to_owned(), json!(change));
        }
        ApprovalDigest(hash(&approved))
    }

    /// What this ask has in common with another that asks for the same. The reason and the
    /// duration asked for are not part of it: a model words them anew each time.
    pub fn join_key(&self) -> JoinKey {
        if let (Some(change), Some(key), [item]) =
            (&self.change, self.asker.key, self.items.as_slice())
        {
            let proposed = change.proposed();
            let value = proposed.and_then(|proposed| proposed.fingerprint.as_ref());
            let (resource, rule) = (&item.resource, &item.rule);
            return JoinKey::of_change(key, self.operation, resource, rule, &self.arguments, value);
        }
        JoinKey(hash(&json!({
            "arguments": self.arguments,
            "items": self.items.iter().map(Item::identity).collect::<Vec<_>>(),
            "key": self.asker.key,
            "operation": self.operation,
            "purpose": "vouchsafe/v1/join",
        })))
    }

    /// The arguments that the approval of an item is bound to; none where any will do.
    pub fn binding(&self, item: usize) -> Option<ArgumentsHash> {
        let item = self.items.get(item)?;
        let bound = item.resource.kind() != Kind::Secrets && item.rule.bind == Bind::Arguments;
        bound.then(|| ArgumentsHash::of(&self.arguments))
    }

    /// The place of this resource among the items.
    pub fn position(&self, resource: &Resource) -> Option<usize> {
        self.items.iter().position(|item| item.resource == *resource)
    }
}

impl Item {
    /// Whether what is approved is good for other arguments than those that are shown.
    pub fn takes_any_arguments(&self) -> bool {
        match self.resource {
            Resource::Secret(_) | Resource::Policy => false,
            Resource::Tool { .. } | Resource::Audit => self.rule.bind == Bind::Tool,
        }
    }

    fn identity(&self) -> serde_json::Value {
        json!({
            "resource": self.resource,
            "rule": self.rule.digest().to_string(),
            "rule_name": self.rule.name.as_str(),
            "secret": self.secret,
            "version": self.version,
        })
    }
}

impl ApprovalDigest {
    /// The ten characters that people compare: 50 bits, the same in every channel.
    pub fn short(&self) -> String {
        let mut short = BASE32_NOPAD.encode(&self.0).to_ascii_lowercase();
        short.truncate(10);
        short
    }
}

impl ArgumentsHash {
    /// The hash of arguments in their canonical form (RFC 8785).
    pub fn of(canonical: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, canonical.as_bytes()).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for ArgumentsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ArgumentsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ArgumentsHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ArgumentsHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digest: ApprovalDigest = Deserialize::deserialize(deserializer)?;
        Ok(Self(digest.0))
    }
}

impl fmt::Display for ApprovalDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ApprovalDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ApprovalDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| DigestError)?;
        bytes.try_into().map(Self).map_err(|_| DigestError)
    }
}

impl Serialize for ApprovalDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApprovalDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JoinKey {
    /// Of asks for one change of one secret. What there was before is not part of it: whoever asks
    /// again once the change was made is told of that.
    pub fn of_change(
        key: KeyId,
        operation: Operation,
        resource: &Resource,
        rule: &Rule,
        arguments: &str,
        value: Option<&ValueDigest>,
    ) -> Self {
        Self(hash(&json!({
            "arguments": arguments,
            "key": key,
            "operation": operation,
            "purpose": "vouchsafe/v1/join-change",
            "resource": resource,
            "rule": rule.digest().to_string(),
            "rule_name": rule.name.as_str(),
            "value": value,
        })))
    }

    /// The bytes, to be looked up.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// SHA-256 of the canonical form (RFC 8785) of a value built from strings, integers and lists.
fn hash(value: &serde_json::Value) -> [u8; 32] {
    // Without floats and with keys that are strings there is nothing that has no canonical form.
    let line = serde_json_canonicalizer::to_vec(value).unwrap_or_default();
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, &line).as_ref());
    bytes
}
