//! Who has signed in to the web pages, and with what one can once.

use rusqlite::{Row, params};
use vouchsafe_core::approval::ApprovalDigest;
use vouchsafe_core::audit::Proof;
use vouchsafe_core::caller::UserRecord;
use vouchsafe_core::id::{ApprovalId, SignInId, UserId, WebSessionId};
use vouchsafe_core::route::SlackId;
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::sql::{Reader, Tx, count, parsed, parsed_opt, time};

/// A session of the web pages, as it is kept.
#[derive(Clone, Debug)]
pub struct WebSession {
    /// Its id.
    pub id: WebSessionId,
    /// HMAC-SHA256 of the cookie's secret.
    pub mac: Vec<u8>,
    /// Whose it is.
    pub user: UserId,
    /// Their token's public id when it began.
    pub token_id: String,
    /// How they proved who they are.
    pub proof: Proof,
    /// When it began.
    pub began_at: UnixTime,
    /// When it was last used, as far as that was noted.
    pub seen_at: UnixTime,
    /// When it is over, used or not.
    pub expires_at: UnixTime,
}

/// A code or a link that is good once, as it is kept.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Its id.
    pub id: SignInId,
    /// What it is.
    pub kind: SignInKind,
    /// HMAC-SHA256 of its secret.
    pub mac: Vec<u8>,
    /// Whom it is for.
    pub user: UserId,
    /// Their token's public id when it was made.
    pub token_id: String,
    /// Of a link: the approval that it answers.
    pub approval: Option<ApprovalId>,
    /// Of a link: what was shown.
    pub digest: Option<ApprovalDigest>,
    /// How often a wrong code was tried.
    pub tries: u64,
    /// When it was made.
    pub made_at: UnixTime,
    /// Until when it is good.
    pub expires_at: UnixTime,
    /// Whether it was used.
    pub used: bool,
}

/// What is good once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignInKind {
    /// A short code that was sent to the user.
    Code,
    /// A long one that their command line got.
    Dashboard,
    /// A link that answers one approval.
    Link,
}

/// A text that is no [`SignInKind`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a kind of code or link")]
pub struct UnknownSignIn;

impl SignInKind {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Dashboard => "dashboard",
            Self::Link => "link",
        }
    }
}

impl std::str::FromStr for SignInKind {
    type Err = UnknownSignIn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Code, Self::Dashboard, Self::Link]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownSignIn)
    }
}

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

    /// A session, over or not.
    pub fn web_session(&self, id: WebSessionId) -> Result<Option<WebSession>, StoreError> {
        self.query_opt(
            "-- web_session
             SELECT id, mac, user_id, token_id, proof, began_at, seen_at, expires_at
             FROM web_sessions WHERE id = $1",
            params![id.to_string()],
            web_session,
        )
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

    /// A code or a link, good or not.
    pub fn sign_in(&self, id: SignInId) -> Result<Option<SignIn>, StoreError> {
        self.query_opt(
            "-- sign_in
             SELECT id, kind, mac, user_id, token_id, approval_id, digest, tries, made_at,
                    expires_at, used_at IS NOT NULL
             FROM sign_ins WHERE id = $1",
            params![id.to_string()],
            sign_in,
        )
    }

    /// The code that was sent to a user last, where it was not used: there is one at most.
    pub fn newest_code(&self, user: UserId) -> Result<Option<SignIn>, StoreError> {
        self.query_opt(
            "-- newest_code
             SELECT id, kind, mac, user_id, token_id, approval_id, digest, tries, made_at,
                    expires_at, used_at IS NOT NULL
             FROM sign_ins WHERE user_id = $1 AND kind = 'code' AND used_at IS NULL
             ORDER BY made_at DESC LIMIT 1",
            params![user.to_string()],
            sign_in,
        )
    }

    /// How many codes or links of a kind were made since then: for a user, or for anybody. Those
    /// that are over for a day are not counted.
    pub fn sign_ins_since(
        &self,
        kind: SignInKind,
        user: Option<UserId>,
        since: UnixTime,
    ) -> Result<u64, StoreError> {
        let found = self.query_opt(
            "-- sign_ins_since
             SELECT COUNT(*) FROM sign_ins
             WHERE kind = $1 AND (CAST($2 AS TEXT) IS NULL OR user_id = $2) AND made_at >= $3",
            params![kind.as_str(), user.map(|id| id.to_string()), since.ms()],
            |row| count(row, 0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Whether there is anything that [`Tx::forget_sign_ins`] would take away by its time.
    pub fn sign_ins_to_forget(
        &self,
        now: UnixTime,
        idle: UnixTime,
        gone: UnixTime,
    ) -> Result<bool, StoreError> {
        let found = self.query_opt(
            "-- sign_ins_to_forget
             SELECT 1 WHERE EXISTS (SELECT 1 FROM web_sessions
                                    WHERE expires_at <= $1 OR seen_at <= $2)
                         OR EXISTS (SELECT 1 FROM sign_ins WHERE expires_at <= $3)",
            params![now.ms(), idle.ms(), gone.ms()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// The public id of the token of a user who is enabled; none: they have no token.
    pub fn current_token(&self, user: UserId) -> Result<Option<String>, StoreError> {
        self.query_opt(
            "-- current_token
             SELECT token_id FROM users
             WHERE id = $1 AND enabled = 1 AND token_id IS NOT NULL",
            params![user.to_string()],
            |row| row.get(0),
        )
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

impl Tx<'_> {
    /// A new session.
    pub fn insert_web_session(&mut self, session: &WebSession) -> Result<(), StoreError> {
        self.execute(
            "-- insert_web_session
             INSERT INTO web_sessions (id, mac, user_id, token_id, proof, began_at, seen_at,
                                       expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                session.id.to_string(),
                session.mac,
                session.user.to_string(),
                session.token_id,
                proof_text(session.proof),
                session.began_at.ms(),
                session.seen_at.ms(),
                session.expires_at.ms(),
            ],
        )?;
        Ok(())
    }

    /// Ends all sessions of a user but their newest ones.
    pub fn keep_web_sessions(&mut self, user: UserId, most: u32) -> Result<(), StoreError> {
        self.execute(
            "-- keep_web_sessions
             DELETE FROM web_sessions
             WHERE user_id = $1 AND id NOT IN
                   (SELECT id FROM web_sessions WHERE user_id = $1
                    ORDER BY began_at DESC, id LIMIT $2)",
            params![user.to_string(), most],
        )?;
        Ok(())
    }

    /// Notes when a session was last used.
    pub fn touch_web_session(&mut self, id: WebSessionId, at: UnixTime) -> Result<(), StoreError> {
        self.execute(
            "-- touch_web_session
             UPDATE web_sessions SET seen_at = $1 WHERE id = $2",
            params![at.ms(), id.to_string()],
        )?;
        Ok(())
    }

    /// Ends a session; whether there was one.
    pub fn end_web_session(&mut self, id: WebSessionId) -> Result<bool, StoreError> {
        let ended = self.execute(
            "-- end_web_session
             DELETE FROM web_sessions WHERE id = $1",
            params![id.to_string()],
        )?;
        Ok(ended == 1)
    }

    /// A new code or link.
    pub fn insert_sign_in(&mut self, sign_in: &SignIn) -> Result<(), StoreError> {
        self.execute(
            "-- insert_sign_in
             INSERT INTO sign_ins (id, kind, mac, user_id, token_id, approval_id, digest, made_at,
                                   expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                sign_in.id.to_string(),
                sign_in.kind.as_str(),
                sign_in.mac,
                sign_in.user.to_string(),
                sign_in.token_id,
                sign_in.approval.map(|id| id.to_string()),
                sign_in.digest.map(|digest| digest.to_string()),
                sign_in.made_at.ms(),
                sign_in.expires_at.ms(),
            ],
        )?;
        Ok(())
    }

    /// Counts a wrong try.
    pub fn count_try(&mut self, id: SignInId) -> Result<(), StoreError> {
        self.execute(
            "-- count_try
             UPDATE sign_ins SET tries = tries + 1 WHERE id = $1",
            params![id.to_string()],
        )?;
        Ok(())
    }

    /// Uses a code or a link up; whether it was not used before.
    pub fn use_sign_in(&mut self, id: SignInId, at: UnixTime) -> Result<bool, StoreError> {
        let used = self.execute(
            "-- use_sign_in
             UPDATE sign_ins SET used_at = $1 WHERE id = $2 AND used_at IS NULL",
            params![at.ms(), id.to_string()],
        )?;
        Ok(used == 1)
    }

    /// Ends the codes that were sent to a user so far: the next one is the only one that is good.
    pub fn end_codes(&mut self, user: UserId, at: UnixTime) -> Result<(), StoreError> {
        self.execute(
            "-- end_codes
             UPDATE sign_ins SET used_at = $1
             WHERE user_id = $2 AND kind = 'code' AND used_at IS NULL",
            params![at.ms(), user.to_string()],
        )?;
        Ok(())
    }

    /// Ends what was sent to a user's address: codes and links that were not used, and sessions that
    /// began with one.
    pub fn end_mailed(&mut self, user: UserId, at: UnixTime) -> Result<(), StoreError> {
        self.execute(
            "-- end_mailed
             UPDATE sign_ins SET used_at = $1 WHERE user_id = $2 AND used_at IS NULL",
            params![at.ms(), user.to_string()],
        )?;
        self.execute(
            "-- end_mailed
             DELETE FROM web_sessions WHERE user_id = $1 AND proof = $2",
            params![user.to_string(), proof_text(Proof::OneTimeCode)],
        )?;
        Ok(())
    }

    /// Takes away what is over: sessions whose time is up, that were last used before `idle`, or
    /// whose user is shut out or has another token; codes and links that were over before `gone`.
    pub fn forget_sign_ins(
        &mut self,
        now: UnixTime,
        idle: UnixTime,
        gone: UnixTime,
    ) -> Result<(), StoreError> {
        self.execute(
            "-- forget_sign_ins
             DELETE FROM web_sessions
             WHERE expires_at <= $1 OR seen_at <= $2 OR NOT EXISTS
                   (SELECT 1 FROM users AS u
                    WHERE u.id = web_sessions.user_id AND u.enabled = 1
                      AND u.token_id = web_sessions.token_id)",
            params![now.ms(), idle.ms()],
        )?;
        self.execute(
            "-- forget_sign_ins
             DELETE FROM sign_ins WHERE expires_at <= $1",
            params![gone.ms()],
        )?;
        Ok(())
    }
}

/// How a session began: by a token, or by a code.
const fn proof_text(proof: Proof) -> &'static str {
    match proof {
        Proof::OneTimeCode => "one-time-code",
        Proof::McpKey | Proof::UserToken | Proof::OneTimeLink | Proof::Slack | Proof::None => {
            "user-token"
        }
    }
}

fn web_session(row: &Row<'_>) -> rusqlite::Result<WebSession> {
    let proof: String = row.get(4)?;
    Ok(WebSession {
        id: parsed(row, 0)?,
        mac: row.get(1)?,
        user: parsed(row, 2)?,
        token_id: row.get(3)?,
        proof: match proof.as_str() {
            "one-time-code" => Proof::OneTimeCode,
            _ => Proof::UserToken,
        },
        began_at: time(row, 5)?,
        seen_at: time(row, 6)?,
        expires_at: time(row, 7)?,
    })
}

fn sign_in(row: &Row<'_>) -> rusqlite::Result<SignIn> {
    Ok(SignIn {
        id: parsed(row, 0)?,
        kind: parsed(row, 1)?,
        mac: row.get(2)?,
        user: parsed(row, 3)?,
        token_id: row.get(4)?,
        approval: parsed_opt(row, 5)?,
        digest: parsed_opt(row, 6)?,
        tries: count(row, 7)?,
        made_at: time(row, 8)?,
        expires_at: time(row, 9)?,
        used: row.get(10)?,
    })
}
