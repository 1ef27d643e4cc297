//! Values that agents propose, sealed as they came.

use rusqlite::params;
use vouchsafe_core::approval::{Approval, JoinKey};
use vouchsafe_core::id::{ApprovalId, SecretId};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{json, to_json};
use super::sql::{Reader, Tx, count};

impl Reader<'_> {
    /// The sealed value that was proposed in an approval, while it is kept.
    pub fn proposal(&self, approval: ApprovalId) -> Result<Option<Vec<u8>>, StoreError> {
        self.query_opt(
            "-- proposal
             SELECT sealed FROM proposals WHERE approval_id = $1",
            params![approval.to_string()],
            |row| row.get(0),
        )
    }

    /// The version of a secret that a value proposed in this approval was stored as, if it was.
    pub fn version_proposed_in(
        &self,
        secret: SecretId,
        approval: ApprovalId,
    ) -> Result<Option<u64>, StoreError> {
        self.query_opt(
            "-- version_proposed_in
             SELECT version FROM secret_versions WHERE secret_id = $1 AND approval_id = $2",
            params![secret.to_string(), approval.to_string()],
            |row| count(row, 0),
        )
    }

    /// The newest equal ask for a change that was settled since, made or not, and not told to its
    /// agent.
    pub fn untold_change(
        &self,
        join_key: &JoinKey,
        since: UnixTime,
    ) -> Result<Option<Approval>, StoreError> {
        self.query_opt(
            "-- untold_change
             SELECT body FROM approvals
             WHERE join_key = $1 AND settled_at >= $2 AND told_at IS NULL AND status <> 'pending'
             ORDER BY settled_at DESC LIMIT 1",
            params![join_key.as_bytes(), since.ms()],
            |row| json(row, 0),
        )
    }
}

impl Tx<'_> {
    /// Keeps a proposed value for as long as its approval is pending.
    pub fn insert_proposal(
        &mut self,
        approval: ApprovalId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        self.execute(
            "-- insert_proposal
             INSERT INTO proposals (approval_id, sealed) VALUES ($1, $2)",
            params![approval.to_string(), sealed],
        )?;
        Ok(())
    }

    /// Keeps a proposed value that could not be put in place until then.
    pub fn keep_proposal(
        &mut self,
        approval: ApprovalId,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        self.execute(
            "-- keep_proposal
             UPDATE proposals SET keep_until = $1 WHERE approval_id = $2",
            params![until.ms(), approval.to_string()],
        )?;
        Ok(())
    }

    /// Forgets a proposed value: it is in its place.
    pub fn drop_proposal(&mut self, approval: ApprovalId) -> Result<(), StoreError> {
        self.execute(
            "-- drop_proposal
             DELETE FROM proposals WHERE approval_id = $1",
            params![approval.to_string()],
        )?;
        Ok(())
    }

    /// Saves what came of a change that was approved just now.
    pub fn save_applied(&mut self, approval: &Approval) -> Result<(), StoreError> {
        self.execute(
            "-- save_applied
             UPDATE approvals SET body = $1 WHERE id = $2 AND status = 'approved'",
            params![to_json(approval), approval.ask().id.to_string()],
        )?;
        Ok(())
    }

    /// Notes which resources an approval is about.
    pub(super) fn insert_approval_items(&mut self, approval: &Approval) -> Result<(), StoreError> {
        let ask = approval.ask();
        for item in &ask.items {
            self.execute(
                "-- insert_approval_items
                 INSERT INTO approval_items (project_id, resource, asked_at, approval_id)
                 VALUES ($1, $2, $3, $4)",
                params![
                    ask.project.to_string(),
                    item.resource.to_string(),
                    ask.asked_at.ms(),
                    ask.id.to_string(),
                ],
            )?;
        }
        Ok(())
    }
}
