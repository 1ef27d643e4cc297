//! Policy files that were accepted, and those that wait for an approval.

use rusqlite::{Row, params};
use vouchsafe_core::approval::Approval;
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::policy::PolicyFile;
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{json, to_json};
use super::sql::{Reader, Tx, parsed, time};

/// The policy files that run where a change of them needs an approval.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedPolicy {
    /// The digest of the files as they are, hex.
    pub digest: String,
    /// The files of rules.
    pub files: Vec<PolicyFile>,
    /// When they were accepted.
    pub at: UnixTime,
    /// By whom, by name.
    pub by: String,
}

/// Policy files that an approval is to put in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyChange {
    /// The approval.
    pub approval: ApprovalId,
    /// The digest of the files that they were compared with.
    pub base: String,
    /// The digest of these files, hex.
    pub digest: String,
    /// The files of rules.
    pub files: Vec<PolicyFile>,
}

impl Reader<'_> {
    /// The files accepted last, if any were.
    pub fn accepted_policy(&self) -> Result<Option<AcceptedPolicy>, StoreError> {
        self.query_opt(
            "-- accepted_policy
             SELECT digest, files, accepted_at, accepted_by FROM policy_accepted WHERE id = 1",
            [],
            |row| {
                Ok(AcceptedPolicy {
                    digest: row.get(0)?,
                    files: files(row, 1)?,
                    at: time(row, 2)?,
                    by: row.get(3)?,
                })
            },
        )
    }

    /// The change that this approval is about, if it is about one.
    pub fn policy_change(&self, approval: ApprovalId) -> Result<Option<PolicyChange>, StoreError> {
        self.query_opt(
            "-- policy_change
             SELECT approval_id, base, digest, files FROM policy_changes WHERE approval_id = $1",
            params![approval.to_string()],
            change,
        )
    }

    /// The change asked for last, and what became of it: its digest, what it was compared with, and
    /// its approval.
    pub fn last_policy_change(&self) -> Result<Option<(String, String, Approval)>, StoreError> {
        self.query_opt(
            "-- last_policy_change
             SELECT c.digest, c.base, a.body
             FROM policy_changes c JOIN approvals a ON a.id = c.approval_id
             ORDER BY a.asked_at DESC, a.status = 'pending' DESC, a.settled_at DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, json(row, 2)?)),
        )
    }
}

impl Tx<'_> {
    /// Accepts files, in place of those before.
    pub fn accept_policy(&mut self, accepted: &AcceptedPolicy) -> Result<(), StoreError> {
        self.execute(
            "-- accept_policy
             INSERT INTO policy_accepted (id, digest, files, accepted_at, accepted_by)
             VALUES (1, $1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, files = excluded.files,
                 accepted_at = excluded.accepted_at, accepted_by = excluded.accepted_by",
            params![accepted.digest, written(&accepted.files), accepted.at.ms(), accepted.by,],
        )?;
        Ok(())
    }

    /// Forgets what was accepted: changes need no approval any more. Returns whether there was
    /// something to forget.
    pub fn forget_accepted_policy(&mut self) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- forget_accepted_policy
             DELETE FROM policy_accepted WHERE id = 1",
            [],
        )?;
        Ok(changed == 1)
    }

    /// Keeps a change until its approval is settled, and afterwards as its proof.
    pub fn insert_policy_change(&mut self, change: &PolicyChange) -> Result<(), StoreError> {
        self.execute(
            "-- insert_policy_change
             INSERT INTO policy_changes (approval_id, base, digest, files)
             VALUES ($1, $2, $3, $4)",
            params![
                change.approval.to_string(),
                change.base,
                change.digest,
                written(&change.files),
            ],
        )?;
        Ok(())
    }
}

fn change(row: &Row<'_>) -> rusqlite::Result<PolicyChange> {
    Ok(PolicyChange {
        approval: parsed(row, 0)?,
        base: row.get(1)?,
        digest: row.get(2)?,
        files: files(row, 3)?,
    })
}

/// Files as a column has them: pairs of a name and a text.
fn written(files: &[PolicyFile]) -> String {
    let pairs: Vec<_> = files.iter().map(|file| (&file.name, &file.text)).collect();
    to_json(&pairs)
}

fn files(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<PolicyFile>> {
    let pairs: Vec<(String, String)> = json(row, column)?;
    Ok(pairs.into_iter().map(|(name, text)| PolicyFile { name, text }).collect())
}
