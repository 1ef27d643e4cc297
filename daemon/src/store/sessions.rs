//! Sessions: what people approved for a key's session time.

use rusqlite::params;
use vouchsafe_core::approval::Session;
use vouchsafe_core::id::{ApprovalId, KeyId, ProjectId};
use vouchsafe_core::resource::Operation;
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{json, to_json};
use super::sql::{Reader, Tx};

impl Reader<'_> {
    /// A key's sessions under a rule for an operation that nobody has ended, newest first. Their
    /// time may be up.
    pub fn open_sessions(
        &self,
        key: KeyId,
        rule: &str,
        operation: Operation,
    ) -> Result<Vec<Session>, StoreError> {
        self.query(
            "-- open_sessions
             SELECT body FROM sessions
             WHERE key_id = $1 AND rule = $2 AND operation = $3 AND ended_at IS NULL
             ORDER BY until_at DESC LIMIT 10",
            params![key.to_string(), rule, operation.as_str()],
            |row| json(row, 0),
        )
    }

    /// The sessions that an approval gave.
    pub fn sessions_of(&self, approval: ApprovalId) -> Result<Vec<Session>, StoreError> {
        self.query(
            "-- sessions_of
             SELECT body FROM sessions WHERE approval_id = $1 AND ended_at IS NULL ORDER BY rule",
            params![approval.to_string()],
            |row| json(row, 0),
        )
    }

    /// Sessions that nobody has ended, each with its project's name, the ones that last longest
    /// first: of a project, of a key, given by an approval; what is not given does not matter. The
    /// time of some may be up.
    pub fn sessions_open(
        &self,
        project: Option<ProjectId>,
        key: Option<KeyId>,
        approval: Option<ApprovalId>,
    ) -> Result<Vec<(Session, String)>, StoreError> {
        self.query(
            "-- sessions_open
             SELECT s.body, p.name FROM sessions s JOIN projects p ON p.id = s.project_id
             WHERE s.ended_at IS NULL
               AND (CAST($1 AS TEXT) IS NULL OR s.project_id = $1)
               AND (CAST($2 AS TEXT) IS NULL OR s.key_id = $2)
               AND (CAST($3 AS TEXT) IS NULL OR s.approval_id = $3)
             ORDER BY s.until_at DESC, s.approval_id, s.rule",
            params![
                project.map(|id| id.to_string()),
                key.map(|id| id.to_string()),
                approval.map(|id| id.to_string()),
            ],
            |row| Ok((json(row, 0)?, row.get(1)?)),
        )
    }
}

impl Tx<'_> {
    /// A new session.
    pub fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        self.execute(
            "-- insert_session
             INSERT INTO sessions (approval_id, rule, project_id, key_id, operation, until_at, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                session.approval.to_string(),
                session.rule,
                session.project.to_string(),
                session.holder.to_string(),
                session.operation.as_str(),
                session.until.wall.ms(),
                to_json(session),
            ],
        )?;
        Ok(())
    }

    /// Ends a session before its time. Returns whether it had not been ended.
    pub fn end_session(&mut self, session: &Session, at: UnixTime) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- end_session
             UPDATE sessions SET ended_at = $1
             WHERE approval_id = $2 AND rule = $3 AND ended_at IS NULL",
            params![at.ms(), session.approval.to_string(), session.rule],
        )?;
        Ok(changed == 1)
    }
}
