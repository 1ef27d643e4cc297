//! Leases.

use rusqlite::params;
use vouchsafe_core::id::{ApprovalId, KeyId, LeaseId, ProjectId, SecretId, UserId};
use vouchsafe_core::lease::{Active, Lease};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::time::{Now, UnixTime};

use super::StoreError;
use super::approvals::{Before, RowFilter};
use super::columns::{json, to_json};
use super::sql::{Reader, Tx, integer, parsed};

/// Looks up a vote for each active lease.
pub(super) const LEASES_APPROVED_BY: &str = "-- active_leases_approved_by
     SELECT l.body FROM leases l JOIN approval_votes v ON v.approval_id = l.approval_id
     WHERE l.status = 'active' AND l.project_id = $1
       AND v.user_id = $2 AND v.ballot = 'approve' AND v.at >= $3";
/// Looks for votes for each active lease. That it names a time, as each lease has, is what makes the
/// engine go by the index of those that are active.
pub(super) const LEASES_WITHOUT_VOTES: &str = "-- active_leases_without_votes
     SELECT l.body FROM leases l
     WHERE l.status = 'active' AND l.expires_at > 0 AND l.project_id = $1
       AND NOT EXISTS (SELECT 1 FROM approval_votes v WHERE v.approval_id = l.approval_id)";

impl Reader<'_> {
    /// The lease of that id.
    pub fn lease(&self, id: LeaseId) -> Result<Option<Lease>, StoreError> {
        self.query_opt(
            "-- lease
             SELECT body FROM leases WHERE id = $1",
            params![id.to_string()],
            |row| json(row, 0),
        )
    }

    /// Two ids at most that begin so.
    pub fn lease_ids(&self, prefix: &str) -> Result<Vec<LeaseId>, StoreError> {
        self.query(
            "-- lease_ids
             SELECT id FROM leases WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2",
            params![prefix, format!("{prefix}~")],
            |row| parsed(row, 0),
        )
    }

    /// A key's active leases on one resource for one operation, newest first: an older one may be
    /// on a version that is gone, and releases nothing for as long as it lasts.
    pub fn usable_leases(
        &self,
        key: KeyId,
        resource: &Resource,
        operation: Operation,
    ) -> Result<Vec<Active>, StoreError> {
        let leases = self.query(
            "-- usable_leases
             SELECT body FROM leases
             WHERE key_id = $1 AND resource = $2 AND operation = $3 AND status = 'active'
             ORDER BY issued_at DESC, expires_at DESC LIMIT 20",
            params![key.to_string(), resource.to_string(), operation.as_str()],
            |row| json(row, 0),
        )?;
        Ok(leases.into_iter().filter_map(active).collect())
    }

    /// Whether the key was ever given this by people.
    pub fn had_lease(&self, key: KeyId, resource: &Resource) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- had_lease
             SELECT 1 FROM leases
             WHERE key_id = $1 AND resource = $2 AND approval_id IS NOT NULL LIMIT 1",
            params![key.to_string(), resource.to_string()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// All active leases of a key.
    pub fn active_leases_of(&self, key: KeyId) -> Result<Vec<Active>, StoreError> {
        let leases = self.query(
            "-- active_leases_of
             SELECT body FROM leases WHERE key_id = $1 AND status = 'active'
             ORDER BY issued_at DESC, id DESC",
            params![key.to_string()],
            |row| json(row, 0),
        )?;
        Ok(leases.into_iter().filter_map(active).collect())
    }

    /// All active leases of a project that this user's answers gave, at this time or later.
    pub fn active_leases_approved_by(
        &self,
        project: ProjectId,
        user: UserId,
        since: UnixTime,
    ) -> Result<Vec<Active>, StoreError> {
        let leases = self.query(
            LEASES_APPROVED_BY,
            params![project.to_string(), user.to_string(), since.ms()],
            |row| json(row, 0),
        )?;
        Ok(leases.into_iter().filter_map(active).collect())
    }

    /// All active leases of a project that have no approval, or one that nobody voted on.
    pub fn active_leases_without_votes(
        &self,
        project: ProjectId,
    ) -> Result<Vec<Active>, StoreError> {
        let leases =
            self.query(LEASES_WITHOUT_VOTES, params![project.to_string()], |row| json(row, 0))?;
        Ok(leases.into_iter().filter_map(active).collect())
    }

    /// Whether this user approved it, at this time or later.
    pub fn has_approved(
        &self,
        user: UserId,
        approval: ApprovalId,
        since: UnixTime,
    ) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- has_approved
             SELECT 1 FROM approval_votes
             WHERE approval_id = $1 AND user_id = $2 AND ballot = 'approve' AND at >= $3",
            params![approval.to_string(), user.to_string(), since.ms()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// All active leases on a secret.
    pub fn active_leases_on(&self, secret: SecretId) -> Result<Vec<Active>, StoreError> {
        let leases = self.query(
            "-- active_leases_on
             SELECT body FROM leases WHERE secret_id = $1 AND status = 'active'",
            params![secret.to_string()],
            |row| json(row, 0),
        )?;
        Ok(leases.into_iter().filter_map(active).collect())
    }

    /// All active leases.
    pub fn active_leases(&self) -> Result<Vec<Active>, StoreError> {
        let leases = self.query(
            "-- active_leases
             SELECT body FROM leases WHERE status = 'active'",
            [],
            |row| json(row, 0),
        )?;
        Ok(leases.into_iter().filter_map(active).collect())
    }

    /// How many leases are active.
    pub fn count_active_leases(&self) -> Result<u32, StoreError> {
        let count = self.query_opt(
            "-- count_active_leases
             SELECT COUNT(*) FROM leases WHERE status = 'active'",
            [],
            |row| row.get(0),
        )?;
        Ok(count.unwrap_or(0))
    }

    /// The leases that came from an approval.
    pub fn leases_of(&self, approval: ApprovalId) -> Result<Vec<Lease>, StoreError> {
        self.query(
            "-- leases_of
             SELECT body FROM leases WHERE approval_id = $1 ORDER BY resource",
            params![approval.to_string()],
            |row| json(row, 0),
        )
    }

    /// Active leases whose time is up by either clock.
    pub fn due_leases(&self, now: &Now, limit: u32) -> Result<Vec<Active>, StoreError> {
        let due = self.query(
            "-- due_leases
             SELECT body FROM leases
             WHERE status = 'active'
               AND (expires_at <= $1 OR (expires_boot = $2 AND expires_mono <= $3))
             LIMIT $4",
            params![now.wall.ms(), to_json(&now.boot), integer(now.since_boot_ms), limit],
            |row| json(row, 0),
        )?;
        Ok(due.into_iter().filter_map(active).collect())
    }

    /// Leases newest first, from before `before`.
    pub fn leases_before(
        &self,
        filter: &RowFilter,
        before: &Before,
        limit: u32,
    ) -> Result<Vec<Lease>, StoreError> {
        self.query(
            "-- leases_before
             SELECT body FROM leases
             WHERE (issued_at < $1 OR (issued_at = $1 AND id < $2))
               AND (CAST($3 AS TEXT) IS NULL OR project_id = $3)
               AND (CAST($4 AS TEXT) IS NULL
                    OR key_id IN (SELECT id FROM mcp_keys WHERE name = $4))
               AND issued_at >= $5
             ORDER BY issued_at DESC, id DESC LIMIT $6",
            params![
                before.at.ms(),
                before.id,
                filter.project.map(|id| id.to_string()),
                filter.key_name,
                filter.since.map_or(0, UnixTime::ms),
                limit,
            ],
            |row| json(row, 0),
        )
    }
}

impl Tx<'_> {
    /// A new lease.
    pub fn insert_lease(&mut self, lease: &Active) -> Result<(), StoreError> {
        let terms = &lease.terms;
        self.execute(
            "-- insert_lease
             INSERT INTO leases (id, project_id, approval_id, key_id, resource, operation,
                                 secret_id, status, issued_at, expires_at, expires_mono,
                                 expires_boot, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $9, $10, $11, $12)",
            params![
                terms.id.to_string(),
                terms.project.to_string(),
                terms.approval.map(|id| id.to_string()),
                terms.holder.to_string(),
                terms.resource.to_string(),
                terms.operation.as_str(),
                terms.secret.map(|id| id.to_string()),
                terms.issued_at.ms(),
                lease.deadline.wall.ms(),
                integer(lease.deadline.since_boot_ms),
                to_json(&lease.deadline.boot),
                to_json(&Lease::Active(lease.clone())),
            ],
        )?;
        Ok(())
    }

    /// Saves a use that leaves a lease active: nothing that an index goes by has changed. Returns
    /// whether it was still active.
    pub fn save_lease_use(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- save_lease_use
             UPDATE leases SET body = $1 WHERE id = $2 AND status = 'active'",
            params![to_json(lease), lease.terms().id.to_string()],
        )?;
        Ok(changed == 1)
    }

    /// Saves what became of an active lease. Returns whether it was still active.
    pub fn save_lease(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        let (status, ended_at) = match lease {
            Lease::Active(_) => ("active", None),
            Lease::Ended(ended) => (ended.how.as_str(), Some(ended.at)),
        };
        let deadline = &lease.last().deadline;
        let changed = self.execute(
            "-- save_lease
             UPDATE leases SET status = $1, expires_at = $2, expires_mono = $3, expires_boot = $4,
                               ended_at = $5, body = $6
             WHERE id = $7 AND status = 'active'",
            params![
                status,
                deadline.wall.ms(),
                integer(deadline.since_boot_ms),
                to_json(&deadline.boot),
                ended_at.map(UnixTime::ms),
                to_json(lease),
                lease.terms().id.to_string(),
            ],
        )?;
        Ok(changed == 1)
    }
}

fn active(lease: Lease) -> Option<Active> {
    match lease {
        Lease::Active(active) => Some(active),
        Lease::Ended(_) => None,
    }
}
