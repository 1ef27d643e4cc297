//! Asks as the log has them.

use rusqlite::params;
use vouchsafe_core::audit::Action;
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::sql::{Reader, count, time};

impl Reader<'_> {
    /// Shows the entries of a project about asks that the rules have decided, not before `since`,
    /// the newest first, for as long as `f` answers `true`: when, and the line.
    pub fn each_ask(
        &self,
        project: &str,
        since: UnixTime,
        mut f: impl FnMut(UnixTime, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.each(
            "-- each_ask
             SELECT e.time, e.line FROM audit_entries e
             WHERE e.project = $1 AND e.time >= $2
               AND (e.action IN ('approval.automatic', 'lease.observed')
                    OR (e.action = 'approval.requested' AND e.outcome = 'ok')
                    OR (e.action IN ('lease.issued', 'secret.written', 'secret.deleted')
                        AND e.approval IS NULL)
                    OR (e.action IN ('secret.read', 'approval.requested', 'audit.queried')
                        AND e.outcome = 'refused'))
             ORDER BY e.seq DESC",
            params![project, since.ms()],
            |row| Ok(f(time(row, 0)?, row.get_ref(1)?.as_bytes()?)),
        )
    }

    /// How many entries of an action there are.
    pub fn count_entries(&self, action: Action) -> Result<u64, StoreError> {
        let found = self.query_opt(
            "-- count_entries
             SELECT COUNT(*) FROM audit_entries WHERE action = $1",
            params![action.as_str()],
            |row| count(row, 0),
        )?;
        Ok(found.unwrap_or(0))
    }
}
