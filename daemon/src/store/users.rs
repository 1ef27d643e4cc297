//! Users, their groups, and the one valid token of each.

use rusqlite::{Row, params};
use vouchsafe_core::caller::{Contact, ProjectRoles, Role, Roles, UserRecord};
use vouchsafe_core::id::{ProjectId, UserId};
use vouchsafe_core::policy::{Directory, Member};
use vouchsafe_core::route::{EmailAddress, Person, SlackId};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{json, time_opt, to_json, words};
use super::sql::{Reader, Tx, parsed, parsed_opt, time};

/// A credential as it is kept: found by its id, compared by its keyed hash.
#[derive(Clone, Debug)]
pub struct TokenHash {
    /// The public id.
    pub id: String,
    /// HMAC-SHA256 of the secret part.
    pub mac: Vec<u8>,
}

impl Reader<'_> {
    /// The user of that name.
    pub fn user_named(&self, name: &str) -> Result<Option<UserRecord>, StoreError> {
        let user = self.query_opt(
            "-- user_named
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences FROM users WHERE name = $1",
            params![name],
            user,
        )?;
        user.map(|user| self.with_groups_and_roles(user)).transpose()
    }

    /// The one user who is let in and whose address that is, as [`UserRecord::email`] has it, in
    /// whatever case; none where it is several people's.
    pub fn user_at(&self, address: &EmailAddress) -> Result<Option<UserRecord>, StoreError> {
        let mut users = self.query(
            "-- user_at
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences FROM users
             WHERE enabled = 1 AND lower(coalesce(email, name)) = lower($1) LIMIT 2",
            params![address.as_str()],
            user,
        )?;
        let only = users.pop().filter(|_| users.is_empty());
        only.map(|user| self.with_groups_and_roles(user)).transpose()
    }

    /// The user of that id.
    pub fn user(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        let user = self.query_opt(
            "-- user
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences FROM users WHERE id = $1",
            params![id.to_string()],
            user,
        )?;
        user.map(|user| self.with_groups_and_roles(user)).transpose()
    }

    /// The user whose valid token has that public id, and the token's hash.
    pub fn user_by_token(
        &self,
        token_id: &str,
    ) -> Result<Option<(UserRecord, TokenHash)>, StoreError> {
        let found = self.query_opt(
            "-- user_by_token
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences, token_id, token_mac
             FROM users WHERE token_id = $1",
            params![token_id],
            |row| Ok((user(row)?, TokenHash { id: row.get(9)?, mac: row.get(10)? })),
        )?;
        found.map(|(user, hash)| Ok((self.with_groups_and_roles(user)?, hash))).transpose()
    }

    /// Whether this is still the user's one valid token, and they are enabled; if so, the user.
    pub fn user_if_current(
        &self,
        id: UserId,
        token_id: &str,
    ) -> Result<Option<UserRecord>, StoreError> {
        let user = self.query_opt(
            "-- user_if_current
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences FROM users
             WHERE id = $1 AND token_id = $2 AND enabled = 1",
            params![id.to_string(), token_id],
            user,
        )?;
        user.map(|user| self.with_groups_and_roles(user)).transpose()
    }

    /// Users by name, from after `after`.
    pub fn users_after(&self, after: &str, limit: u32) -> Result<Vec<UserRecord>, StoreError> {
        let users = self.query(
            "-- users_after
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences FROM users
             WHERE name > $1 ORDER BY name LIMIT $2",
            params![after, limit],
            user,
        )?;
        users.into_iter().map(|user| self.with_groups_and_roles(user)).collect()
    }

    /// Everybody who is let in and can be told something, with the roles that hold everywhere.
    pub fn contacts(&self) -> Result<Vec<(Person, Roles)>, StoreError> {
        let users = self.query(
            "-- contacts
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences
             FROM users WHERE enabled = 1 ORDER BY name",
            [],
            user,
        )?;
        Ok(users.into_iter().map(|user| (user.person(), user.roles)).collect())
    }

    /// Who has roles in a project of this name alone.
    pub fn project_contacts(&self, project: &str) -> Result<Vec<(UserId, Roles)>, StoreError> {
        self.query(
            "-- project_contacts
             SELECT r.user_id, r.roles
             FROM user_project_roles AS r JOIN projects AS p ON p.id = r.project_id
             WHERE p.name = $1",
            params![project],
            |row| Ok((parsed(row, 0)?, roles(&words(row, 1)?))),
        )
    }

    /// Everybody, as the rules of a project see them.
    pub fn directory(&self, project: ProjectId) -> Result<Directory, StoreError> {
        let here = self.query(
            "-- directory
             SELECT user_id, roles FROM user_project_roles WHERE project_id = $1",
            params![project.to_string()],
            |row| Ok((parsed::<UserId>(row, 0)?, roles(&words(row, 1)?))),
        )?;
        let groups = self.query(
            "-- directory
             SELECT user_id, name FROM user_groups ORDER BY user_id, name",
            [],
            |row| Ok((parsed::<UserId>(row, 0)?, row.get::<_, String>(1)?)),
        )?;
        let users = self.query(
            "-- directory
             SELECT id, name, roles, enabled, created_at, last_used_at, email, slack_id,
                    preferences FROM users ORDER BY name",
            [],
            user,
        )?;
        let members = users.into_iter().map(|user| Member {
            name: user.name.to_string(),
            enabled: user.enabled,
            approves: user.roles.allow_any(&[Role::Approver])
                || here
                    .iter()
                    .any(|(id, roles)| *id == user.id && roles.allow_any(&[Role::Approver])),
            groups: groups
                .iter()
                .filter(|(id, _)| *id == user.id)
                .map(|(_, group)| group.clone())
                .collect(),
        });
        Ok(Directory { members: members.collect() })
    }

    fn with_groups_and_roles(&self, mut user: UserRecord) -> Result<UserRecord, StoreError> {
        user.groups = self.query(
            "-- with_groups_and_roles
             SELECT name FROM user_groups WHERE user_id = $1 ORDER BY name",
            params![user.id.to_string()],
            |row| row.get(0),
        )?;
        user.project_roles = self.query(
            "-- with_groups_and_roles
             SELECT r.project_id, p.name, r.roles
             FROM user_project_roles r JOIN projects p ON p.id = r.project_id
             WHERE r.user_id = $1 ORDER BY p.name",
            params![user.id.to_string()],
            |row| {
                Ok(ProjectRoles {
                    project: parsed(row, 0)?,
                    project_name: row.get(1)?,
                    roles: roles(&words(row, 2)?),
                })
            },
        )?;
        Ok(user)
    }
}

impl Tx<'_> {
    /// A new user, with their token.
    pub fn insert_user(&mut self, user: &UserRecord, token: &TokenHash) -> Result<(), StoreError> {
        self.execute(
            "-- insert_user
             INSERT INTO users (id, name, roles, enabled, token_id, token_mac, created_at, email,
                                slack_id, preferences)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                user.id.to_string(),
                user.name.as_str(),
                role_words(user.roles),
                user.enabled,
                token.id,
                token.mac,
                user.created_at.ms(),
                user.contact.email.as_ref().map(EmailAddress::as_str),
                user.contact.slack.as_ref().map(SlackId::as_str),
                to_json(&user.contact.preferences),
            ],
        )?;
        self.insert_groups_and_roles(user)
    }

    /// Saves roles (those in projects, too), groups, where messages reach the user, and whether the
    /// user is enabled.
    pub fn save_user(&mut self, user: &UserRecord) -> Result<(), StoreError> {
        self.execute(
            "-- save_user
             UPDATE users SET roles = $1, enabled = $2, email = $3, slack_id = $4, preferences = $5
             WHERE id = $6",
            params![
                role_words(user.roles),
                user.enabled,
                user.contact.email.as_ref().map(EmailAddress::as_str),
                user.contact.slack.as_ref().map(SlackId::as_str),
                to_json(&user.contact.preferences),
                user.id.to_string(),
            ],
        )?;
        self.execute(
            "-- save_user
             DELETE FROM user_groups WHERE user_id = $1",
            params![user.id.to_string()],
        )?;
        self.execute(
            "-- save_user
             DELETE FROM user_project_roles WHERE user_id = $1",
            params![user.id.to_string()],
        )?;
        self.insert_groups_and_roles(user)
    }

    /// Makes this the user's one valid token; none: they have none.
    pub fn save_user_token(
        &mut self,
        id: UserId,
        token: Option<&TokenHash>,
    ) -> Result<(), StoreError> {
        self.execute(
            "-- save_user_token
             UPDATE users SET token_id = $1, token_mac = $2 WHERE id = $3",
            params![token.map(|t| &t.id), token.map(|t| &t.mac), id.to_string()],
        )?;
        Ok(())
    }

    /// Notes when a user was last let in.
    pub fn touch_user(&mut self, id: UserId, at: UnixTime) -> Result<(), StoreError> {
        self.execute(
            "-- touch_user
             UPDATE users SET last_used_at = $1 WHERE id = $2",
            params![at.ms(), id.to_string()],
        )?;
        Ok(())
    }

    fn insert_groups_and_roles(&mut self, user: &UserRecord) -> Result<(), StoreError> {
        for group in &user.groups {
            self.execute(
                "-- insert_groups_and_roles
                 INSERT INTO user_groups (user_id, name) VALUES ($1, $2)",
                params![user.id.to_string(), group],
            )?;
        }
        for there in user.project_roles.iter().filter(|there| there.roles != Roles::NONE) {
            self.execute(
                "-- insert_groups_and_roles
                 INSERT INTO user_project_roles (user_id, project_id, roles) VALUES ($1, $2, $3)",
                params![user.id.to_string(), there.project.to_string(), role_words(there.roles)],
            )?;
        }
        Ok(())
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    Ok(UserRecord {
        id: parsed(row, 0)?,
        name: parsed(row, 1)?,
        roles: roles(&words(row, 2)?),
        project_roles: Vec::new(),
        groups: Vec::new(),
        enabled: row.get(3)?,
        created_at: time(row, 4)?,
        last_used_at: time_opt(row, 5)?,
        contact: Contact {
            email: parsed_opt(row, 6)?,
            slack: parsed_opt(row, 7)?,
            preferences: json(row, 8)?,
        },
    })
}

/// A word that is no role gives none.
fn roles(words: &[String]) -> Roles {
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

fn role_words(roles: Roles) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}
