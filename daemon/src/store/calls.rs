//! What keys have used of their limits: calls by month, and their last minute of requests.

use rusqlite::params;
use vouchsafe_core::id::{ApprovalId, KeyId, ProjectId};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::sql::{Reader, Tx, integer, parsed, unreadable};

impl Reader<'_> {
    /// Calls of tools in a month (`2026-11`) by each key of a project, deleted ones too. After a
    /// crash it may be more than were made, never less.
    pub fn calls_in(
        &self,
        project: ProjectId,
        month: &str,
    ) -> Result<Vec<(KeyId, u64)>, StoreError> {
        self.query(
            "-- calls_in
             SELECT c.key_id, c.calls FROM key_calls c JOIN mcp_keys k ON k.id = c.key_id
             WHERE k.project_id = $1 AND c.month = $2",
            params![project.to_string(), month],
            |row| {
                let calls: i64 = row.get(1)?;
                let calls = u64::try_from(calls)
                    .map_err(|e| unreadable(1, rusqlite::types::Type::Integer, e))?;
                Ok((parsed(row, 0)?, calls))
            },
        )
    }

    /// A key's last minute of requests as it was noted last; empty where it never was.
    pub fn key_recent(&self, id: KeyId) -> Result<String, StoreError> {
        let found = self.query_opt(
            "-- key_recent
             SELECT recent FROM mcp_keys WHERE id = $1",
            params![id.to_string()],
            |row| row.get(0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Pending approvals of live keys whose time is up.
    pub fn pending_of_expired_keys(&self, now: UnixTime) -> Result<Vec<ApprovalId>, StoreError> {
        self.query(
            "-- pending_of_expired_keys
             SELECT a.id FROM mcp_keys k JOIN approvals a ON a.key_id = k.id
             WHERE k.expires_at <= $1 AND k.deleted_at IS NULL AND a.status = 'pending'",
            params![now.ms()],
            |row| parsed(row, 0),
        )
    }
}

impl Tx<'_> {
    /// Sets how many calls count as made by a key in a month.
    pub fn save_calls(&mut self, key: KeyId, month: &str, calls: u64) -> Result<(), StoreError> {
        self.execute(
            "-- save_calls
             INSERT INTO key_calls (key_id, month, calls) VALUES ($1, $2, $3)
             ON CONFLICT (key_id, month) DO UPDATE SET calls = excluded.calls",
            params![key.to_string(), month, integer(calls)],
        )?;
        Ok(())
    }

    /// Notes a key's last minute of requests.
    pub fn save_recent(&mut self, id: KeyId, recent: &str) -> Result<(), StoreError> {
        self.execute(
            "-- save_recent
             UPDATE mcp_keys SET recent = $1 WHERE id = $2",
            params![recent, id.to_string()],
        )?;
        Ok(())
    }
}
