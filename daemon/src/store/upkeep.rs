//! What becomes due of secrets with time, and wiping what is not kept any longer.

use rusqlite::{Row, params};
use vouchsafe_core::id::{ApprovalId, ProjectId, SecretId};
use vouchsafe_core::resource::SecretPath;
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::secrets::{SecretRecord, secret};
use super::sql::{Reader, Tx, count, integer, parsed};

/// A proposed value that nobody needs any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OldProposal {
    /// The approval in which it was proposed.
    pub approval: ApprovalId,
    /// Its project.
    pub project: ProjectId,
    /// It was kept for people, and its time is up.
    pub was_kept: bool,
    bytes: usize,
}

/// A stored value that is to be wiped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OldValue {
    /// Its version.
    pub version: u64,
    bytes: usize,
}

impl Reader<'_> {
    /// The secret of that id, deleted or not.
    pub fn secret(&self, id: SecretId) -> Result<Option<SecretRecord>, StoreError> {
        self.query_opt(
            "-- secret
             SELECT * FROM secrets_now WHERE id = $1",
            params![id.to_string()],
            secret,
        )
    }

    /// The deleted secrets at that path, the last one first.
    pub fn secrets_deleted_at(
        &self,
        project: ProjectId,
        path: &SecretPath,
    ) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_deleted_at
             SELECT * FROM secrets_now
             WHERE project_id = $1 AND path = $2 AND deleted_at IS NOT NULL
             ORDER BY deleted_at DESC, id LIMIT 100",
            params![project.to_string(), path.to_string()],
            secret,
        )
    }

    /// Secrets of a project that are deleted and not purged, by path and id, from after `after`.
    pub fn secrets_deleted_after(
        &self,
        project: ProjectId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_deleted_after
             SELECT * FROM secrets_now
             WHERE project_id = $1 AND path || ' ' || id > $2
               AND deleted_at IS NOT NULL AND purged_at IS NULL
             ORDER BY path || ' ' || id LIMIT $3",
            params![project.to_string(), after, limit],
            secret,
        )
    }

    /// Secrets whose schedule says that they are rotated by now, in projects that are in use.
    pub fn secrets_to_rotate(
        &self,
        now: UnixTime,
        limit: u32,
    ) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_to_rotate
             SELECT s.* FROM secrets_now AS s JOIN projects AS p ON p.id = s.project_id
             WHERE s.rotate_at <= $1 AND s.deleted_at IS NULL AND p.archived_at IS NULL
             ORDER BY s.rotate_at, s.id LIMIT $2",
            params![now.ms(), limit],
            secret,
        )
    }

    /// Secrets of whose date people are to be reminded by now, in projects that are in use.
    pub fn secrets_to_remind(
        &self,
        now: UnixTime,
        limit: u32,
    ) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_to_remind
             SELECT s.* FROM secrets_now AS s JOIN projects AS p ON p.id = s.project_id
             WHERE s.remind_at <= $1 AND s.deleted_at IS NULL AND p.archived_at IS NULL
             ORDER BY s.remind_at, s.id LIMIT $2",
            params![now.ms(), limit],
            secret,
        )
    }

    /// Secrets whose date is before `until`, in projects that are in use, the first date first.
    pub fn secrets_dated(
        &self,
        until: UnixTime,
        limit: u32,
    ) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_dated
             SELECT s.* FROM secrets_now AS s JOIN projects AS p ON p.id = s.project_id
             WHERE s.expires_at <= $1 AND s.deleted_at IS NULL AND p.archived_at IS NULL
             ORDER BY s.expires_at, s.path, s.id LIMIT $2",
            params![until.ms(), limit],
            secret,
        )
    }

    /// Secrets that were deleted then or before, and whose values are not wiped yet.
    pub fn secrets_to_purge(
        &self,
        deleted: UnixTime,
        limit: u32,
    ) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_to_purge
             SELECT * FROM secrets_now
             WHERE deleted_at <= $1 AND purged_at IS NULL
             ORDER BY deleted_at, id LIMIT $2",
            params![deleted.ms(), limit],
            secret,
        )
    }

    /// Secrets with values beyond the newest `keep`.
    pub fn secrets_to_thin(&self, keep: u32, limit: u32) -> Result<Vec<SecretRecord>, StoreError> {
        self.query(
            "-- secrets_to_thin
             SELECT s.* FROM secrets_now AS s
             WHERE s.version > $1 AND EXISTS (
                 SELECT 1 FROM secret_versions AS v
                 WHERE v.secret_id = s.id AND v.version <= s.version - $1 AND LENGTH(v.sealed) > 0)
             ORDER BY s.id LIMIT $2",
            params![keep, limit],
            secret,
        )
    }

    /// Values of a secret that are not wiped, up to that version, the oldest first.
    pub fn values_up_to(
        &self,
        secret: SecretId,
        version: u64,
        limit: usize,
    ) -> Result<Vec<OldValue>, StoreError> {
        self.query(
            "-- values_up_to
             SELECT version, LENGTH(sealed) FROM secret_versions
             WHERE secret_id = $1 AND version <= $2 AND LENGTH(sealed) > 0
             ORDER BY version LIMIT $3",
            params![secret.to_string(), integer(version), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok(OldValue { version: count(row, 0)?, bytes: size(row, 1)? }),
        )
    }

    /// Proposed values that nobody needs any more: those that were kept for a while that is over,
    /// and those whose approval is settled without anything being kept of it.
    pub fn proposals_to_purge(
        &self,
        now: UnixTime,
        limit: u32,
    ) -> Result<Vec<OldProposal>, StoreError> {
        self.query(
            "-- proposals_to_purge
             SELECT p.approval_id, a.project_id, p.keep_until, LENGTH(p.sealed)
             FROM proposals AS p JOIN approvals AS a ON a.id = p.approval_id
             WHERE p.keep_until <= $1 OR (p.keep_until IS NULL AND a.status <> 'pending')
             ORDER BY p.approval_id LIMIT $2",
            params![now.ms(), limit],
            |row| {
                let kept: Option<i64> = row.get(2)?;
                Ok(OldProposal {
                    approval: parsed(row, 0)?,
                    project: parsed(row, 1)?,
                    was_kept: kept.is_some(),
                    bytes: size(row, 3)?,
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Wipes a value: it is written over, then emptied. That it was there stays.
    pub fn wipe_value(&mut self, secret: SecretId, value: &OldValue) -> Result<(), StoreError> {
        for over in [vec![0_u8; value.bytes], Vec::new()] {
            self.execute(
                "-- wipe_value
                 UPDATE secret_versions SET sealed = $1 WHERE secret_id = $2 AND version = $3",
                params![over, secret.to_string(), integer(value.version)],
            )?;
        }
        Ok(())
    }

    /// Wipes a proposed value: it is written over, then its row goes.
    pub fn wipe_proposal(&mut self, proposal: &OldProposal) -> Result<(), StoreError> {
        let approval = proposal.approval.to_string();
        self.execute(
            "-- wipe_proposal
             UPDATE proposals SET sealed = $1 WHERE approval_id = $2",
            params![vec![0_u8; proposal.bytes], approval],
        )?;
        self.drop_proposal(proposal.approval)
    }
}

/// How many bytes a sealed value has.
fn size(row: &Row<'_>, column: usize) -> rusqlite::Result<usize> {
    count(row, column).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}
