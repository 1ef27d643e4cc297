//! Broken glasses and their reviews.

use rusqlite::params;
use vouchsafe_core::id::{ProjectId, ReviewId, UserId};
use vouchsafe_core::review::{Open, Review};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{json, to_json};
use super::sql::{Reader, Tx};

impl Reader<'_> {
    /// The review of that id.
    pub fn review(&self, id: ReviewId) -> Result<Option<Review>, StoreError> {
        self.query_opt(
            "-- review
             SELECT body FROM reviews WHERE id = $1",
            params![id.to_string()],
            |row| json(row, 0),
        )
    }

    /// Two ids at most that begin so.
    pub fn review_ids(&self, prefix: &str) -> Result<Vec<ReviewId>, StoreError> {
        self.query(
            "-- review_ids
             SELECT id FROM reviews WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2",
            params![prefix, format!("{prefix}~")],
            |row| super::sql::parsed(row, 0),
        )
    }

    /// The review that a person waits for after breaking the glass.
    pub fn open_review_of(&self, user: UserId) -> Result<Option<Review>, StoreError> {
        self.query_opt(
            "-- open_review_of
             SELECT body FROM reviews WHERE user_id = $1 AND reviewed_at IS NULL",
            params![user.to_string()],
            |row| json(row, 0),
        )
    }

    /// Of a project, where one is given, and only the open ones, where those are wanted: the open
    /// ones first, then the newest.
    pub fn reviews(
        &self,
        project: Option<ProjectId>,
        open: bool,
        limit: u32,
    ) -> Result<Vec<Review>, StoreError> {
        self.query(
            "-- reviews
             SELECT body FROM reviews
             WHERE (CAST($1 AS TEXT) IS NULL OR project_id = $1)
               AND ($2 = 0 OR reviewed_at IS NULL)
             ORDER BY reviewed_at IS NOT NULL, opened_at DESC, id DESC LIMIT $3",
            params![project.map(|id| id.to_string()), i64::from(open), limit],
            |row| json(row, 0),
        )
    }
}

impl Tx<'_> {
    /// A broken glass. Returns whether it was stored: not while an earlier one of the same person
    /// is open.
    pub fn insert_review(&mut self, open: &Open) -> Result<bool, StoreError> {
        let changed = self.execute(
            "-- insert_review
             INSERT INTO reviews (id, project_id, approval_id, user_id, opened_at, body)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (user_id) WHERE reviewed_at IS NULL DO NOTHING",
            params![
                open.id.to_string(),
                open.project.to_string(),
                open.approval.to_string(),
                open.by.to_string(),
                open.at.ms(),
                to_json(&Review::Open(open.clone())),
            ],
        )?;
        Ok(changed == 1)
    }

    /// Saves what somebody found. Returns whether it was still open.
    pub fn close_review(&mut self, review: &Review) -> Result<bool, StoreError> {
        let reviewed_at = match review {
            Review::Open(_) => None,
            Review::Closed(closed) => Some(closed.reviewed_at),
        };
        let changed =
            self.execute(
                "-- close_review
             UPDATE reviews SET reviewed_at = $1, body = $2 WHERE id = $3 AND reviewed_at IS NULL",
                params![
                    reviewed_at.map(UnixTime::ms),
                    to_json(review),
                    review.opened().id.to_string(),
                ],
            )?;
        Ok(changed == 1)
    }
}
