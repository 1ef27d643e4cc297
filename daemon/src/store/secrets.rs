//! Secrets and their sealed versions.

use rusqlite::{Row, params};
use vouchsafe_core::id::{ProjectId, SecretId};
use vouchsafe_core::resource::{Resource, SecretPath};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::time_opt;
use super::sql::{Reader, Tx, count, integer, parsed, time};

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
}

impl SecretRecord {
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
             SELECT id, project_id, path, description, version, created_at, updated_at, updated_by,
                    deleted_at
             FROM secrets WHERE project_id = $1 AND path = $2 AND deleted_at IS NULL",
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
             SELECT id, project_id, path, description, version, created_at, updated_at, updated_by,
                    deleted_at
             FROM secrets WHERE project_id = $1 AND path > $2 AND deleted_at IS NULL
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
             SELECT version, created_at, created_by FROM secret_versions
             WHERE secret_id = $1 ORDER BY version DESC LIMIT 1000",
            params![secret.id.to_string()],
            |row| {
                let version = count(row, 0)?;
                Ok(VersionRecord {
                    version,
                    created_at: time(row, 1)?,
                    created_by: row.get(2)?,
                    current: version == secret.version,
                })
            },
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
                                  updated_at, updated_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                secret.id.to_string(),
                secret.project.to_string(),
                secret.path.to_string(),
                secret.description,
                integer(secret.version),
                secret.created_at.ms(),
                secret.updated_at.ms(),
                secret.updated_by,
            ],
        )?;
        Ok(())
    }

    /// Saves a secret's description and which version is current.
    pub fn save_secret(&mut self, secret: &SecretRecord) -> Result<(), StoreError> {
        self.execute(
            "-- save_secret
             UPDATE secrets SET description = $1, version = $2, updated_at = $3, updated_by = $4,
                                deleted_at = $5
             WHERE id = $6",
            params![
                secret.description,
                integer(secret.version),
                secret.updated_at.ms(),
                secret.updated_by,
                secret.deleted_at.map(UnixTime::ms),
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
        self.execute(
            "-- insert_secret_version
             INSERT INTO secret_versions (secret_id, version, sealed, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5)",
            params![
                secret.id.to_string(),
                integer(secret.version),
                sealed,
                secret.updated_at.ms(),
                secret.updated_by,
            ],
        )?;
        Ok(())
    }
}

fn secret(row: &Row<'_>) -> rusqlite::Result<SecretRecord> {
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
    })
}
