//! Approvals and the votes on them.

use rusqlite::params;
use vouchsafe_core::approval::{Approval, Ballot, JoinKey, Pending, Vote};
use vouchsafe_core::id::{ApprovalId, KeyId, ProjectId};
use vouchsafe_core::time::{Now, UnixTime};

use super::StoreError;
use super::columns::{json, to_json};
use super::sql::{Reader, Tx, integer, parsed};

/// Where a page of a list that is newest first begins: after this one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Before {
    /// Its time.
    pub at: UnixTime,
    /// Its id.
    pub id: String,
}

impl Before {
    /// The start of the list.
    pub fn start() -> Self {
        Self { at: UnixTime::from_ms(i64::MAX), id: String::new() }
    }
}

/// What rows of approvals or leases are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct RowFilter {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Of the keys of this name, deleted ones too.
    pub key_name: Option<String>,
    /// Of this time or later.
    pub since: Option<UnixTime>,
}

impl Reader<'_> {
    /// The approval of that id.
    pub fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        self.query_opt(
            "-- approval
             SELECT body FROM approvals WHERE id = $1",
            params![id.to_string()],
            |row| json(row, 0),
        )
    }

    /// Two ids at most that begin so.
    pub fn approval_ids(&self, prefix: &str) -> Result<Vec<ApprovalId>, StoreError> {
        self.query(
            "-- approval_ids
             SELECT id FROM approvals WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2",
            params![prefix, format!("{prefix}~")],
            |row| parsed(row, 0),
        )
    }

    /// The pending approval that an equal ask joins.
    pub fn pending_approval(&self, join_key: &JoinKey) -> Result<Option<Pending>, StoreError> {
        let approval = self.query_opt(
            "-- pending_approval
             SELECT body FROM approvals WHERE join_key = $1 AND status = 'pending'",
            params![join_key.as_bytes()],
            |row| json(row, 0),
        )?;
        Ok(approval.and_then(pending))
    }

    /// The newest equal ask that was settled since, not granted, and not told to its agent.
    pub fn untold_approval(
        &self,
        join_key: &JoinKey,
        since: UnixTime,
    ) -> Result<Option<Approval>, StoreError> {
        self.query_opt(
            "-- untold_approval
             SELECT body FROM approvals
             WHERE join_key = $1 AND settled_at >= $2 AND told_at IS NULL
               AND status IN ('denied', 'expired', 'withdrawn')
             ORDER BY settled_at DESC LIMIT 1",
            params![join_key.as_bytes(), since.ms()],
            |row| json(row, 0),
        )
    }

    /// Pending approvals that somebody has to look at by now, by either clock: for a reminder, for
    /// an escalation, or because their time is up.
    pub fn due_approvals(&self, now: &Now, limit: u32) -> Result<Vec<Pending>, StoreError> {
        let (wall, boot, since_boot_ms) =
            (now.wall.ms(), to_json(&now.boot), integer(now.since_boot_ms));
        let due = self.query(
            "-- due_approvals
             SELECT body FROM approvals
             WHERE status = 'pending'
               AND (due_at <= $1 OR (due_boot = $2 AND due_mono <= $3))
             LIMIT $4",
            params![wall, boot, since_boot_ms, limit],
            |row| json(row, 0),
        )?;
        Ok(due.into_iter().filter_map(pending).collect())
    }

    /// All pending approvals, oldest first.
    pub fn pending_approvals(&self) -> Result<Vec<Pending>, StoreError> {
        let all = self.query(
            "-- pending_approvals
             SELECT body FROM approvals WHERE status = 'pending' ORDER BY asked_at, id",
            [],
            |row| json(row, 0),
        )?;
        Ok(all.into_iter().filter_map(pending).collect())
    }

    /// How many approvals are pending.
    pub fn count_pending(&self) -> Result<u32, StoreError> {
        let count = self.query_opt(
            "-- count_pending
             SELECT COUNT(*) FROM approvals WHERE status = 'pending'",
            [],
            |row| row.get(0),
        )?;
        Ok(count.unwrap_or(0))
    }

    /// A key's pending approvals.
    pub fn pending_approvals_of(&self, key: KeyId) -> Result<Vec<Pending>, StoreError> {
        let all = self.query(
            "-- pending_approvals_of
             SELECT body FROM approvals WHERE key_id = $1 AND status = 'pending'",
            params![key.to_string()],
            |row| json(row, 0),
        )?;
        Ok(all.into_iter().filter_map(pending).collect())
    }

    /// How many of a key's approvals are pending, and how often it has asked since.
    pub fn count_asks(&self, key: KeyId, since: UnixTime) -> Result<(u32, u32), StoreError> {
        let pending = self.query_opt(
            "-- count_asks
             SELECT COUNT(*) FROM approvals WHERE key_id = $1 AND status = 'pending'",
            params![key.to_string()],
            |row| row.get(0),
        )?;
        let asked = self.query_opt(
            "-- count_asks
             SELECT COUNT(*) FROM approvals WHERE key_id = $1 AND asked_at >= $2",
            params![key.to_string(), since.ms()],
            |row| row.get(0),
        )?;
        Ok((pending.unwrap_or(0), asked.unwrap_or(0)))
    }

    /// How many asks since a time a key has taken back.
    pub fn count_withdrawn(&self, key: KeyId, since: UnixTime) -> Result<u32, StoreError> {
        let withdrawn = self.query_opt(
            "-- count_withdrawn
             SELECT COUNT(*) FROM approvals
             WHERE key_id = $1 AND asked_at >= $2 AND status = 'withdrawn'",
            params![key.to_string(), since.ms()],
            |row| row.get(0),
        )?;
        Ok(withdrawn.unwrap_or(0))
    }

    /// Approvals newest first, from before `before`.
    pub fn approvals_before(
        &self,
        filter: &RowFilter,
        before: &Before,
        limit: u32,
    ) -> Result<Vec<Approval>, StoreError> {
        self.query(
            "-- approvals_before
             SELECT body FROM approvals
             WHERE (asked_at < $1 OR (asked_at = $1 AND id < $2))
               AND (CAST($3 AS TEXT) IS NULL OR project_id = $3)
               AND (CAST($4 AS TEXT) IS NULL
                    OR key_id IN (SELECT id FROM mcp_keys WHERE name = $4))
               AND asked_at >= $5
             ORDER BY asked_at DESC, id DESC LIMIT $6",
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
    /// A new approval. Returns whether it was stored: not where an equal one is pending.
    pub fn insert_approval(&mut self, pending: &Pending) -> Result<bool, StoreError> {
        let approval = Approval::Pending(pending.clone());
        let ask = &pending.ask;
        let due = pending.due();
        let changed = self.execute(
            "-- insert_approval
             INSERT INTO approvals (id, project_id, key_id, status, join_key, asked_at, due_at,
                                    due_mono, due_boot, body)
             VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9)
             ON CONFLICT (join_key) WHERE status = 'pending' DO NOTHING",
            params![
                ask.id.to_string(),
                ask.project.to_string(),
                ask.asker.key.map(|key| key.to_string()),
                ask.join_key().as_bytes(),
                ask.asked_at.ms(),
                due.as_ref().map(|due| due.wall.ms()),
                due.as_ref().map(|due| integer(due.since_boot_ms)),
                due.as_ref().map(|due| to_json(&due.boot)),
                to_json(&approval),
            ],
        )?;
        if changed == 1 {
            self.insert_approval_items(&approval)?;
        }
        Ok(changed == 1)
    }

    /// A new approval that was settled as it was asked: nobody was asked for it.
    pub fn insert_settled_approval(&mut self, approval: &Approval) -> Result<(), StoreError> {
        let ask = approval.ask();
        self.execute(
            "-- insert_settled_approval
             INSERT INTO approvals (id, project_id, key_id, status, join_key, asked_at, settled_at,
                                    body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                ask.id.to_string(),
                ask.project.to_string(),
                ask.asker.key.map(|key| key.to_string()),
                approval.status().as_str(),
                ask.join_key().as_bytes(),
                ask.asked_at.ms(),
                approval.settled_at().map(UnixTime::ms),
                to_json(approval),
            ],
        )?;
        self.insert_approval_items(approval)
    }

    /// Saves what became of a pending approval. Returns whether it was still pending.
    pub fn save_approval(&mut self, approval: &Approval) -> Result<bool, StoreError> {
        let due = match approval {
            Approval::Pending(pending) => pending.due(),
            Approval::Approved(_)
            | Approval::Denied(_)
            | Approval::Expired(_)
            | Approval::Withdrawn(_) => None,
        };
        let changed = self.execute(
            "-- save_approval
             UPDATE approvals SET status = $1, settled_at = $2, due_at = $3, due_mono = $4,
                                  due_boot = $5, body = $6
             WHERE id = $7 AND status = 'pending'",
            params![
                approval.status().as_str(),
                approval.settled_at().map(UnixTime::ms),
                due.as_ref().map(|due| due.wall.ms()),
                due.as_ref().map(|due| integer(due.since_boot_ms)),
                due.as_ref().map(|due| to_json(&due.boot)),
                to_json(approval),
                approval.ask().id.to_string(),
            ],
        )?;
        Ok(changed == 1)
    }

    /// Keeps a vote. Returns whether it is this person's first one on it.
    pub fn insert_vote(&mut self, approval: ApprovalId, vote: &Vote) -> Result<bool, StoreError> {
        let ballot = match vote.ballot {
            Ballot::Approve(_) => "approve",
            Ballot::Deny => "deny",
        };
        let changed = self.execute(
            "-- insert_vote
             INSERT INTO approval_votes (approval_id, user_id, ballot, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (approval_id, user_id) DO NOTHING",
            params![approval.to_string(), vote.voter.to_string(), ballot, vote.at.ms()],
        )?;
        Ok(changed == 1)
    }

    /// Notes that the agent knows that it did not get what it asked for. Returns whether that is
    /// news.
    pub fn mark_told(&mut self, approval: ApprovalId, at: UnixTime) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- mark_told
             UPDATE approvals SET told_at = $1 WHERE id = $2 AND told_at IS NULL",
            params![at.ms(), approval.to_string()],
        )?;
        Ok(changed == 1)
    }
}

fn pending(approval: Approval) -> Option<Pending> {
    match approval {
        Approval::Pending(pending) => Some(pending),
        Approval::Approved(_)
        | Approval::Denied(_)
        | Approval::Expired(_)
        | Approval::Withdrawn(_) => None,
    }
}
