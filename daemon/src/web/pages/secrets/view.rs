//! A secret as its pages show it: what is said of it, and never what it is.

use vouchsafe_core::text::escape_untrusted;
use vouchsafe_core::time::UnixTime;

use super::super::dates::{When, counted};
use crate::broker::{Origin, SecretRecord, SecretView, ValueRecord, VersionRecord};

/// One secret.
#[derive(Debug)]
pub(super) struct SecretRow {
    pub(super) path: String,
    pub(super) project: String,
    pub(super) uri: String,
    pub(super) description: String,
    pub(super) version: u64,
    /// `name` and `value`, or an empty value.
    pub(super) labels: Vec<(String, String)>,
    pub(super) owner: Option<String>,
    pub(super) created: When,
    pub(super) updated: When,
    pub(super) updated_by: String,
    /// A date for people.
    pub(super) expires: Option<When>,
    /// That date is past.
    pub(super) overdue: bool,
    /// The schedule by which it is rotated.
    pub(super) rotation: Option<String>,
    pub(super) rotates: Option<When>,
    /// Of its current value: how it came about.
    pub(super) origin: String,
    /// Of its current value: `24 bytes`.
    pub(super) size: String,
    /// The public part of a key pair.
    pub(super) public_key: Option<String>,
    pub(super) deleted: Option<When>,
    /// Of a deleted one: until when it can be undeleted.
    pub(super) purged: Option<When>,
}

/// One version of a secret.
#[derive(Debug)]
pub(super) struct VersionRow {
    pub(super) version: u64,
    pub(super) created: When,
    pub(super) by: String,
    pub(super) current: bool,
    pub(super) origin: String,
    pub(super) size: String,
    /// The approval in which an agent proposed it.
    pub(super) approval: Option<String>,
    pub(super) wiped: bool,
}

impl SecretRow {
    pub(super) fn of(view: &SecretView, now: UnixTime) -> Self {
        let SecretView { secret, project, owner, purge_at } = view;
        let SecretRecord { upkeep, value, .. } = secret;
        let label = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            path: secret.path.to_string(),
            project: project.clone(),
            uri: secret.resource().to_string(),
            description: escape_untrusted(&secret.description).text,
            version: secret.version,
            labels: upkeep.labels.iter().map(label).collect(),
            owner: owner.clone(),
            created: secret.created_at.into(),
            updated: secret.updated_at.into(),
            updated_by: secret.updated_by.clone(),
            expires: upkeep.expires_at.map(When::from),
            overdue: upkeep.expires_at.is_some_and(|at| at <= now),
            rotation: upkeep.rotate_every.as_ref().map(|every| every.as_str().to_owned()),
            rotates: upkeep.rotate_at.map(When::from),
            origin: origin(value),
            size: counted(value.bytes, "byte", "bytes"),
            public_key: value.public_key.clone(),
            deleted: secret.deleted_at.map(When::from),
            purged: purge_at.map(When::from),
        }
    }
}

impl From<&VersionRecord> for VersionRow {
    fn from(record: &VersionRecord) -> Self {
        Self {
            version: record.version,
            created: record.created_at.into(),
            by: record.created_by.clone(),
            current: record.current,
            origin: origin(&record.value),
            size: counted(record.value.bytes, "byte", "bytes"),
            approval: record.value.approval.map(|approval| approval.to_string()),
            wiped: record.wiped,
        }
    }
}

/// How a value came about, in words.
fn origin(value: &ValueRecord) -> String {
    let how = match value.origin {
        Origin::Put => "put",
        Origin::Imported => "imported",
        Origin::Generated => "generated",
        Origin::Rotated => "rotated",
        Origin::Proposed => "proposed by an agent",
        Origin::RolledBack => "rolled back",
    };
    match &value.generator {
        Some(generator) => format!("{how}: {generator}"),
        None => how.to_owned(),
    }
}
