//! MCP keys.

use rusqlite::{Row, params};
use vouchsafe_core::id::{KeyId, ProjectId};
use vouchsafe_core::key::{Key, KeySettings, Rate, Scopes, SessionTime, ToolList};
use vouchsafe_core::time::UnixTime;

use super::StoreError;
use super::columns::{time_opt, words};
use super::sql::{Reader, Tx, integer, parsed, time, unreadable};
use super::users::TokenHash;

/// A key with the names of what it belongs to.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// The key.
    pub key: Key,
    /// Its project's name.
    pub project_name: String,
    /// Its owner's name.
    pub owner_name: String,
    /// Whether its project is archived.
    pub archived: bool,
}

/// What decides whether a live key still opens anything.
#[derive(Clone, Copy, Debug)]
pub struct KeyStanding {
    /// Which making of its value it is at.
    pub generation: u32,
    /// Which state of its settings it is at.
    pub revision: u32,
    /// Whether it is enabled.
    pub enabled: bool,
    /// When its time is up.
    pub expires_at: Option<UnixTime>,
    /// Whether its project is archived.
    pub archived: bool,
}

impl Reader<'_> {
    /// The live key of that name.
    pub fn key_named(
        &self,
        project: ProjectId,
        name: &str,
    ) -> Result<Option<KeyRecord>, StoreError> {
        self.query_opt(
            "-- key_named
             SELECT k.id, k.project_id, k.name, k.owner_id, k.scopes, k.enabled, k.generation,
                    k.created_at, k.last_used_at, p.name, u.name, k.level, k.session_minutes,
                    k.tools, k.rate, k.monthly, k.expires_at, k.revision, p.archived_at
             FROM mcp_keys k JOIN projects p ON p.id = k.project_id JOIN users u ON u.id = k.owner_id
             WHERE k.project_id = $1 AND k.name = $2 AND k.deleted_at IS NULL",
            params![project.to_string(), name],
            key_record,
        )
    }

    /// How far a key goes; deleted ones, too.
    pub fn key_settings(&self, id: KeyId) -> Result<Option<KeySettings>, StoreError> {
        self.query_opt(
            "-- key_settings
             SELECT id, project_id, name, owner_id, scopes, enabled, generation, created_at,
                    last_used_at, '', '', level, session_minutes, tools, rate, monthly, expires_at
             FROM mcp_keys WHERE id = $1",
            params![id.to_string()],
            settings,
        )
    }

    /// How a live key stands.
    pub fn key_standing(&self, id: KeyId) -> Result<Option<KeyStanding>, StoreError> {
        self.query_opt(
            "-- key_standing
             SELECT k.generation, k.revision, k.enabled, k.expires_at, p.archived_at
             FROM mcp_keys k JOIN projects p ON p.id = k.project_id
             WHERE k.id = $1 AND k.deleted_at IS NULL",
            params![id.to_string()],
            |row| {
                Ok(KeyStanding {
                    generation: row.get(0)?,
                    revision: row.get(1)?,
                    enabled: row.get(2)?,
                    expires_at: time_opt(row, 3)?,
                    archived: time_opt(row, 4)?.is_some(),
                })
            },
        )
    }

    /// The live key of that id.
    pub fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.query_opt(
            "-- key
             SELECT k.id, k.project_id, k.name, k.owner_id, k.scopes, k.enabled, k.generation,
                    k.created_at, k.last_used_at, p.name, u.name, k.level, k.session_minutes,
                    k.tools, k.rate, k.monthly, k.expires_at, k.revision, p.archived_at
             FROM mcp_keys k JOIN projects p ON p.id = k.project_id JOIN users u ON u.id = k.owner_id
             WHERE k.id = $1 AND k.deleted_at IS NULL",
            params![id.to_string()],
            key_record,
        )
    }

    /// The live key whose value has that public id, and the value's hash.
    pub fn key_by_token(
        &self,
        token_id: &str,
    ) -> Result<Option<(KeyRecord, TokenHash)>, StoreError> {
        self.query_opt(
            "-- key_by_token
             SELECT k.id, k.project_id, k.name, k.owner_id, k.scopes, k.enabled, k.generation,
                    k.created_at, k.last_used_at, p.name, u.name, k.level, k.session_minutes,
                    k.tools, k.rate, k.monthly, k.expires_at, k.revision, p.archived_at,
                    k.token_id, k.token_mac
             FROM mcp_keys k JOIN projects p ON p.id = k.project_id JOIN users u ON u.id = k.owner_id
             WHERE k.token_id = $1 AND k.deleted_at IS NULL",
            params![token_id],
            |row| Ok((key_record(row)?, TokenHash { id: row.get(19)?, mac: row.get(20)? })),
        )
    }

    /// Live keys of a project by name, from after `after`.
    pub fn keys_after(
        &self,
        project: ProjectId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        self.query(
            "-- keys_after
             SELECT k.id, k.project_id, k.name, k.owner_id, k.scopes, k.enabled, k.generation,
                    k.created_at, k.last_used_at, p.name, u.name, k.level, k.session_minutes,
                    k.tools, k.rate, k.monthly, k.expires_at, k.revision, p.archived_at
             FROM mcp_keys k JOIN projects p ON p.id = k.project_id JOIN users u ON u.id = k.owner_id
             WHERE k.project_id = $1 AND k.name > $2 AND k.deleted_at IS NULL
             ORDER BY k.name LIMIT $3",
            params![project.to_string(), after, limit],
            key_record,
        )
    }
}

impl Tx<'_> {
    /// A new key, with the hash of its value.
    pub fn insert_key(&mut self, key: &Key, token: &TokenHash) -> Result<(), StoreError> {
        self.execute(
            "-- insert_key
             INSERT INTO mcp_keys (id, project_id, name, owner_id, scopes, enabled, generation,
                                   token_id, token_mac, created_at, level, session_minutes, tools,
                                   rate, monthly, expires_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            params![
                key.id.to_string(),
                key.project.to_string(),
                key.name.as_str(),
                key.owner.to_string(),
                scope_words(&key.scopes),
                key.enabled,
                key.generation,
                token.id,
                token.mac,
                key.created_at.ms(),
                key.settings.level.as_str(),
                key.settings.session.minutes(),
                tool_words(&key.settings.tools),
                key.settings.rate.per_minute(),
                key.settings.monthly.map(integer),
                key.settings.expires_at.map(UnixTime::ms),
                key.revision,
            ],
        )?;
        Ok(())
    }

    /// Saves owner, scopes, settings and whether the key is enabled, and counts its revision on:
    /// whoever holds an older one reads it anew.
    pub fn save_key(&mut self, key: &Key) -> Result<(), StoreError> {
        self.execute(
            "-- save_key
             UPDATE mcp_keys SET owner_id = $1, scopes = $2, enabled = $3, level = $4,
                                 session_minutes = $5, tools = $6, rate = $7, monthly = $8,
                                 expires_at = $9, revision = revision + 1
             WHERE id = $10",
            params![
                key.owner.to_string(),
                scope_words(&key.scopes),
                key.enabled,
                key.settings.level.as_str(),
                key.settings.session.minutes(),
                tool_words(&key.settings.tools),
                key.settings.rate.per_minute(),
                key.settings.monthly.map(integer),
                key.settings.expires_at.map(UnixTime::ms),
                key.id.to_string(),
            ],
        )?;
        Ok(())
    }

    /// Replaces a key's value; what the old one proved is proved no more.
    pub fn save_key_token(&mut self, id: KeyId, token: &TokenHash) -> Result<(), StoreError> {
        self.execute(
            "-- save_key_token
             UPDATE mcp_keys SET token_id = $1, token_mac = $2, generation = generation + 1
             WHERE id = $3",
            params![token.id, token.mac, id.to_string()],
        )?;
        Ok(())
    }

    /// Takes a key out of use for good.
    pub fn delete_key(&mut self, id: KeyId, at: UnixTime) -> Result<(), StoreError> {
        self.execute(
            "-- delete_key
             UPDATE mcp_keys SET deleted_at = $1, enabled = 0 WHERE id = $2",
            params![at.ms(), id.to_string()],
        )?;
        Ok(())
    }

    /// Notes when a key was last let in.
    pub fn touch_key(&mut self, id: KeyId, at: UnixTime) -> Result<(), StoreError> {
        self.execute(
            "-- touch_key
             UPDATE mcp_keys SET last_used_at = $1 WHERE id = $2",
            params![at.ms(), id.to_string()],
        )?;
        Ok(())
    }
}

fn key_record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    let scopes = words(row, 4)?;
    // An unknown scope is none: it was refused when the key was made, and is refused here.
    let scopes = Scopes::parse(scopes.iter().map(String::as_str))
        .map_err(|e| unreadable(4, rusqlite::types::Type::Text, e))?;
    Ok(KeyRecord {
        key: Key {
            id: parsed(row, 0)?,
            project: parsed(row, 1)?,
            name: parsed(row, 2)?,
            owner: parsed(row, 3)?,
            scopes,
            settings: settings(row)?,
            enabled: row.get(5)?,
            generation: row.get(6)?,
            revision: row.get(17)?,
            created_at: time(row, 7)?,
            last_used_at: time_opt(row, 8)?,
        },
        project_name: row.get(9)?,
        owner_name: row.get(10)?,
        archived: time_opt(row, 18)?.is_some(),
    })
}

/// What is set for a key. A value that was never allowed is damage, and the key is not read.
fn settings(row: &Row<'_>) -> rusqlite::Result<KeySettings> {
    let (text, number) = (rusqlite::types::Type::Text, rusqlite::types::Type::Integer);
    let tools = words(row, 13)?;
    let monthly: Option<i64> = row.get(15)?;
    Ok(KeySettings {
        level: parsed(row, 11)?,
        session: SessionTime::from_minutes(row.get(12)?).map_err(|e| unreadable(12, number, e))?,
        tools: ToolList::parse(tools.iter().map(String::as_str))
            .map_err(|e| unreadable(13, text, e))?,
        rate: Rate::new(row.get(14)?).map_err(|e| unreadable(14, number, e))?,
        monthly: monthly
            .map(|n| u64::try_from(n).map_err(|e| unreadable(15, number, e)))
            .transpose()?,
        expires_at: time_opt(row, 16)?,
    })
}

fn tool_words(tools: &ToolList) -> String {
    tools.names().collect::<Vec<_>>().join(" ")
}

fn scope_words(scopes: &Scopes) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}
