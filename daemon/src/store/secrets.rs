//! Secrets and their sealed versions.

use std::str::FromStr;

use rusqlite::{Row, params};
use vouchsafe_core::id::{ApprovalId, ProjectId, SecretId, UserId};
use vouchsafe_core::resource::{Resource, SecretPath};
use vouchsafe_core::secret::{Generator, Labels, RotationSchedule};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{json, json_opt, time_opt, to_json};
use super::sql::{Reader, Tx, count, integer, parsed, parsed_opt, time};

/// A secret, without its value.
#[derive(Clone, Debug)]
pub struct SecretRecord {
    /// Its id.
    pub id: SecretId,
    /// Its project.
    pub project: ProjectId,
    /// Its path.
    pub path: SecretPath,
    /// What it is, in its operator's words.
    pub description: String,
    /// Its current version, from 1.
    pub version: u64,
    /// When it was first put.
    pub created_at: UnixTime,
    /// When its current version was put.
    pub updated_at: UnixTime,
    /// By whom.
    pub updated_by: String,
    /// When it was deleted, if it was.
    pub deleted_at: Option<UnixTime>,
    /// When its values were wiped, if they were.
    pub purged_at: Option<UnixTime>,
    /// What else is said of it.
    pub upkeep: Upkeep,
    /// Of its current value.
    pub value: ValueRecord,
}

/// What is said of a secret besides its description, and what becomes due.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Upkeep {
    /// What people sort it by.
    pub labels: Labels,
    /// The user who answers for it.
    pub owner: Option<UserId>,
    /// A date for people: it is released all the same.
    pub expires_at: Option<UnixTime>,
    /// When people are reminded of that date next.
    pub remind_at: Option<UnixTime>,
    /// When it is to be rotated by itself.
    pub rotate_every: Option<RotationSchedule>,
    /// When it is rotated next.
    pub rotate_at: Option<UnixTime>,
}

/// What is known of a value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ValueRecord {
    /// How many bytes it has.
    pub bytes: u64,
    /// How it came about.
    pub origin: Origin,
    /// How it was made; none: it was given.
    pub generator: Option<Generator>,
    /// The public part of a key pair, as PEM.
    pub public_key: Option<String>,
    /// The approval in which it was proposed.
    pub approval: Option<ApprovalId>,
}

/// How a version came about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Origin {
    /// A person gave the value.
    #[default]
    Put,
    /// A person gave it with others.
    Imported,
    /// It was made here for a person.
    Generated,
    /// It was made here as the one before it, for a person or by the schedule.
    Rotated,
    /// An agent proposed it.
    Proposed,
    /// It is an earlier version again.
    RolledBack,
}

/// One version of a secret, without its value.
#[derive(Clone, Debug)]
pub struct VersionRecord {
    /// Its number.
    pub version: u64,
    /// When it was put.
    pub created_at: UnixTime,
    /// By whom.
    pub created_by: String,
    /// Whether it is the one that is released.
    pub current: bool,
    /// What is known of its value.
    pub value: ValueRecord,
    /// Its value is wiped.
    pub wiped: bool,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 6] = [
        Self::Put,
        Self::Imported,
        Self::Generated,
        Self::Rotated,
        Self::Proposed,
        Self::RolledBack,
    ];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Imported => "imported",
            Self::Generated => "generated",
            Self::Rotated => "rotated",
            Self::Proposed => "proposed",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl FromStr for Origin {
    type Err = UnknownOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|origin| origin.as_str() == text).ok_or(UnknownOrigin)
    }
}

/// A word that is no origin.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an unknown origin of a version")]
pub struct UnknownOrigin;

impl SecretRecord {
    /// A secret before its first version.
    pub fn new(id: SecretId, project: ProjectId, path: SecretPath, now: UnixTime) -> Self {
        Self {
            id,
            project,
            path,
            description: String::new(),
            version: 0,
            created_at: now,
            updated_at: now,
            updated_by: String::new(),
            deleted_at: None,
            purged_at: None,
            upkeep: Upkeep::default(),
            value: ValueRecord::default(),
        }
    }

    /// The resource it is asked for as.
    pub fn resource(&self) -> Resource {
        Resource::Secret(self.path.clone())
    }
}

impl Reader<'_> {
    /// The live secret at that path.
    pub fn secret_at(
        &self,
        project: ProjectId,
        path: &SecretPath,
    ) -> Result<Option<SecretRecord>, StoreError> {
        self.query_opt(
            "-- secret_at
             SELECT * FROM secrets_now
             WHERE project_id = $1 AND path = $2 AND deleted_at IS NULL",
            params![project.to_string(), path.to_string()],
            secret,
        )
    }

    /// Live secrets of a project by path, from after `after`.
    pub fn secrets_after(
        &self,
        project: ProjectId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_after
             SELECT * FROM secrets_now
             WHERE project_id = $1 AND path > $2 AND deleted_at IS NULL
             ORDER BY path LIMIT $3",
            params![project.to_string(), after, limit],
            secret,
        )
    }

    /// How many live secrets there are.
    pub fn count_secrets(&self) -> Result<u64, StoreError> {
        let all = self.query_opt(
            "-- count_secrets
             SELECT COUNT(*) FROM secrets WHERE deleted_at IS NULL",
            [],
            |row| count(row, 0),
        )?;
        Ok(all.unwrap_or(0))
    }

    /// The versions of a secret, newest first.
    pub fn secret_versions(&self, secret: &SecretRecord) -> Result<Vec<VersionRecord>, StoreError> {
        self.query(
            "-- secret_versions
             SELECT version, created_at, created_by, bytes, origin, generator, public_key,
                    approval_id, LENGTH(sealed)
             FROM secret_versions
             WHERE secret_id = $1 ORDER BY version DESC LIMIT 1000",
            params![secret.id.to_string()],
            |row| version(row, secret.version),
        )
    }

    /// One version of a secret.
    pub fn secret_version(
        &self,
        secret: &SecretRecord,
        wanted: u64,
    ) -> Result<Option<VersionRecord>, StoreError> {
        self.query_opt(
            "-- secret_version
             SELECT version, created_at, created_by, bytes, origin, generator, public_key,
                    approval_id, LENGTH(sealed)
             FROM secret_versions
             WHERE secret_id = $1 AND version = $2",
            params![secret.id.to_string(), integer(wanted)],
            |row| version(row, secret.version),
        )
    }

    /// The sealed value of one version.
    pub fn sealed_value(
        &self,
        secret: SecretId,
        version: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.query_opt(
            "-- sealed_value
             SELECT sealed FROM secret_versions WHERE secret_id = $1 AND version = $2",
            params![secret.to_string(), integer(version)],
            |row| row.get(0),
        )
    }
}

impl Tx<'_> {
    /// A new secret, before its first version.
    pub fn insert_secret(&mut self, secret: &SecretRecord) -> Result<(), StoreError> {
        self.execute(
            "-- insert_secret
             INSERT INTO secrets (id, project_id, path, description, version, created_at,
                                  updated_at, updated_by, labels, owner_id, expires_at, remind_at,
                                  rotate_every, rotate_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            params![
                secret.id.to_string(),
                secret.project.to_string(),
                secret.path.to_string(),
                secret.description,
                integer(secret.version),
                secret.created_at.ms(),
                secret.updated_at.ms(),
                secret.updated_by,
                to_json(&secret.upkeep.labels),
                secret.upkeep.owner.map(|owner| owner.to_string()),
                secret.upkeep.expires_at.map(UnixTime::ms),
                secret.upkeep.remind_at.map(UnixTime::ms),
                secret.upkeep.rotate_every.as_ref().map(RotationSchedule::as_str),
                secret.upkeep.rotate_at.map(UnixTime::ms),
            ],
        )?;
        Ok(())
    }

    /// Saves what may change of a secret, but for its versions.
    pub fn save_secret(&mut self, secret: &SecretRecord) -> Result<(), StoreError> {
        self.execute(
            "-- save_secret
             UPDATE secrets SET description = $1, version = $2, updated_at = $3, updated_by = $4,
                                deleted_at = $5, purged_at = $6, labels = $7, owner_id = $8,
                                expires_at = $9, remind_at = $10, rotate_every = $11,
                                rotate_at = $12
             WHERE id = $13",
            params![
                secret.description,
                integer(secret.version),
                secret.updated_at.ms(),
                secret.updated_by,
                secret.deleted_at.map(UnixTime::ms),
                secret.purged_at.map(UnixTime::ms),
                to_json(&secret.upkeep.labels),
                secret.upkeep.owner.map(|owner| owner.to_string()),
                secret.upkeep.expires_at.map(UnixTime::ms),
                secret.upkeep.remind_at.map(UnixTime::ms),
                secret.upkeep.rotate_every.as_ref().map(RotationSchedule::as_str),
                secret.upkeep.rotate_at.map(UnixTime::ms),
                secret.id.to_string(),
            ],
        )?;
        Ok(())
    }

    /// A new version of a secret: its current one, sealed.
    pub fn insert_secret_version(
        &mut self,
        secret: &SecretRecord,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let value = &secret.value;
        self.execute(
            "-- insert_secret_version
             INSERT INTO secret_versions (secret_id, version, sealed, created_at, created_by,
                                          bytes, origin, generator, public_key, approval_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                secret.id.to_string(),
                integer(secret.version),
                sealed,
                secret.updated_at.ms(),
                secret.updated_by,
                integer(value.bytes),
                value.origin.as_str(),
                value.generator.as_ref().map(to_json),
                value.public_key,
                value.approval.map(|approval| approval.to_string()),
            ],
        )?;
        Ok(())
    }
}

/// A row of the view `secrets_now`, whose columns are in this order.
pub(super) fn secret(row: &Row<'_>) -> rusqlite::Result<SecretRecord> {
    Ok(SecretRecord {
        id: parsed(row, 0)?,
        project: parsed(row, 1)?,
        path: parsed(row, 2)?,
        description: row.get(3)?,
        version: count(row, 4)?,
        created_at: time(row, 5)?,
        updated_at: time(row, 6)?,
        updated_by: row.get(7)?,
        deleted_at: time_opt(row, 8)?,
        purged_at: time_opt(row, 9)?,
        upkeep: Upkeep {
            labels: json(row, 10)?,
            owner: parsed_opt(row, 11)?,
            expires_at: time_opt(row, 12)?,
            remind_at: time_opt(row, 13)?,
            rotate_every: row.get::<_, Option<String>>(14)?.map(RotationSchedule::stored),
            rotate_at: time_opt(row, 15)?,
        },
        value: value(row, 16)?,
    })
}

/// A version of a secret whose current one is `current`.
fn version(row: &Row<'_>, current: u64) -> rusqlite::Result<VersionRecord> {
    let version = count(row, 0)?;
    Ok(VersionRecord {
        version,
        created_at: time(row, 1)?,
        created_by: row.get(2)?,
        current: version == current,
        value: value(row, 3)?,
        wiped: count(row, 8)? == 0,
    })
}

/// What is known of a value, from its five columns on.
fn value(row: &Row<'_>, first: usize) -> rusqlite::Result<ValueRecord> {
    Ok(ValueRecord {
        bytes: count(row, first)?,
        origin: parsed(row, first + 1)?,
        generator: json_opt(row, first + 2)?,
        public_key: row.get(first + 3)?,
        approval: parsed_opt(row, first + 4)?,
    })
}
