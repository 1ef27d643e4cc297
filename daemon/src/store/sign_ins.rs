//! Who has signed in to the web pages, and with what one can once.

use rusqlite::params;
use vouchsafe_core::caller::UserRecord;
use vouchsafe_core::id::{SignInId, UserId, WebSessionId};
use vouchsafe_core::route::SlackId;

use super::StoreError;
use super::sql::{Reader, parsed};

impl Reader<'_> {
    /// Whether a session is still its user's: they are enabled, and have the token that they had
    /// when it began.
    pub fn web_session_stands(&self, id: WebSessionId, user: UserId) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- web_session_stands
             SELECT 1 FROM web_sessions AS s JOIN users AS u ON u.id = s.user_id
             WHERE s.id = $1 AND s.user_id = $2 AND u.enabled = 1 AND u.token_id = s.token_id",
            params![id.to_string(), user.to_string()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Whether a link that signs somebody in once was not used yet, and they are enabled and have
    /// the token that they had when it was made.
    pub fn sign_in_stands(&self, id: SignInId, user: UserId) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- sign_in_stands
             SELECT 1 FROM sign_ins AS s JOIN users AS u ON u.id = s.user_id
             WHERE s.id = $1 AND s.user_id = $2 AND s.used_at IS NULL AND u.enabled = 1
               AND u.token_id = s.token_id",
            params![id.to_string(), user.to_string()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Who a member of the Slack workspace is.
    pub fn user_by_slack(&self, member: &SlackId) -> Result<Option<UserRecord>, StoreError> {
        let id = self.query_opt(
            "-- user_by_slack
             SELECT id FROM users WHERE slack_id = $1",
            params![member.as_str()],
            |row| parsed(row, 0),
        )?;
        id.map_or(Ok(None), |id| self.user(id))
    }
}
