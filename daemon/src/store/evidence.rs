//! What was asked and decided before, by resource.

use std::collections::HashMap;

use rusqlite::params;
use serde::Deserialize;
use vouchsafe_core::approval::{Approval, Status};
use vouchsafe_core::id::{ApprovalId, KeyId, ProjectId};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{json, time_opt};
use super::sql::{Reader, parsed, parsed_opt, time};

/// An ask about a resource, as far as its columns tell.
#[derive(Clone, Debug)]
pub struct PastAsk {
    /// Its approval.
    pub id: ApprovalId,
    /// The key that asked; none: a person or the daemon.
    pub key: Option<KeyId>,
    /// Where it stands.
    pub status: Status,
    /// When it was asked.
    pub asked_at: UnixTime,
    /// When it was settled, if it is.
    pub settled_at: Option<UnixTime>,
}

/// As much of a stored approval as tells what was to be done. Its state is the member's name.
type Brief = HashMap<String, BriefState>;

#[derive(Deserialize)]
struct BriefState {
    ask: BriefAsk,
}

#[derive(Deserialize)]
struct BriefAsk {
    operation: Operation,
}

/// Walks the primary key backwards from a time.
pub(super) const ASKS_ABOUT: &str = "-- asks_about
     SELECT a.id, a.key_id, a.status, a.asked_at, a.settled_at
     FROM approval_items i JOIN approvals a ON a.id = i.approval_id
     WHERE i.project_id = $1 AND i.resource = $2 AND i.asked_at <= $3
     ORDER BY i.asked_at DESC, i.approval_id DESC LIMIT $4";
/// Walks the index of times backwards.
pub(super) const EACH_ANSWERED: &str = "-- each_answered
     SELECT a.body FROM approvals a
     WHERE a.project_id = $1 AND a.asked_at >= $2
       AND EXISTS (SELECT 1 FROM approval_votes v WHERE v.approval_id = a.id)
     ORDER BY a.asked_at DESC, a.id DESC";

impl Reader<'_> {
    /// The newest asks about a resource, not after `until`, the newest first.
    pub fn asks_about(
        &self,
        project: ProjectId,
        resource: &Resource,
        until: UnixTime,
        limit: u32,
    ) -> Result<Vec<PastAsk>, StoreError> {
        self.query(
            ASKS_ABOUT,
            params![project.to_string(), resource.to_string(), until.ms(), limit],
            |row| {
                let word: String = row.get(2)?;
                let status = Status::ALL.into_iter().find(|status| status.as_str() == word);
                Ok(PastAsk {
                    id: parsed(row, 0)?,
                    key: parsed_opt(row, 1)?,
                    // An approval is stored with one of these words.
                    status: status.unwrap_or(Status::Pending),
                    asked_at: time(row, 3)?,
                    settled_at: time_opt(row, 4)?,
                })
            },
        )
    }

    /// What an approval was to do, without reading all of it.
    pub fn asked_to(&self, approval: ApprovalId) -> Result<Option<Operation>, StoreError> {
        let brief: Option<Brief> = self.query_opt(
            "-- asked_to
             SELECT body FROM approvals WHERE id = $1",
            params![approval.to_string()],
            |row| json(row, 0),
        )?;
        let state = brief.and_then(|brief| brief.into_values().next());
        Ok(state.map(|state| state.ask.operation))
    }

    /// Shows the approvals of a project that people have answered, asked not before `since`, the
    /// newest first, for as long as `f` answers `true`.
    pub fn each_answered(
        &self,
        project: ProjectId,
        since: UnixTime,
        mut f: impl FnMut(&Approval) -> bool,
    ) -> Result<(), StoreError> {
        self.each(EACH_ANSWERED, params![project.to_string(), since.ms()], |row| {
            Ok(f(&json(row, 0)?))
        })
    }
}
