//! The vault's state: wrapped keys, and what the root key is checked against.

use std::fmt;

use rusqlite::types::Type;
use rusqlite::{Row, params};

use crate::vault::{KekState, Passphrase, Purpose, VaultState, WrappedKek};

use super::error::StoreError;
use super::sql::{Reader, Tx, count, integer, parsed, time, unreadable};

/// A word the vault does not know.
#[derive(Debug)]
struct Unknown;

impl Reader<'_> {
    /// The stored vault, if there is one yet.
    pub fn vault(&self) -> Result<Option<VaultState>, StoreError> {
        let sql = "-- vault\nSELECT generation, commitment, origin, kdf_salt, kdf_memory_kib, \
                   kdf_passes, kdf_lanes FROM vault_root WHERE id = 1";
        let Some(mut state) = self.query_opt(sql, [], root)? else {
            return Ok(None);
        };
        let sql = "-- vault_keys\nSELECT purpose, wrapped FROM vault_keys ORDER BY purpose";
        state.keys = self.query(sql, [], |row| Ok((purpose(row, 0)?, row.get(1)?)))?;
        let sql = "-- vault_keks\nSELECT id, state, wrapped, created_at FROM vault_keks \
                   ORDER BY created_at, id";
        state.keks = self.query(sql, [], kek)?;
        Ok(Some(state))
    }

    /// Puts `state` in place of the one before it; whether that was the one stored.
    pub(super) fn save_vault(&self, state: &VaultState) -> Result<bool, StoreError> {
        let kdf = state.passphrase;
        let saved = self.change(
            "-- save_vault\nINSERT INTO vault_root (id, generation, commitment, origin, kdf_salt, \
             kdf_memory_kib, kdf_passes, kdf_lanes) VALUES (1, $1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, \
             commitment = excluded.commitment, kdf_salt = excluded.kdf_salt, \
             kdf_memory_kib = excluded.kdf_memory_kib, kdf_passes = excluded.kdf_passes, \
             kdf_lanes = excluded.kdf_lanes \
             WHERE vault_root.generation = excluded.generation - 1 \
             AND vault_root.origin = excluded.origin",
            params![
                integer(state.generation),
                state.commitment,
                state.origin,
                kdf.map(|kdf| kdf.salt),
                kdf.map(|kdf| kdf.memory_kib),
                kdf.map(|kdf| kdf.passes),
                kdf.map(|kdf| kdf.lanes),
            ],
        )?;
        if saved == 0 {
            return Ok(false);
        }
        for (purpose, wrapped) in &state.keys {
            self.change(
                "-- save_vault_key\nINSERT INTO vault_keys (purpose, wrapped) VALUES ($1, $2) \
                 ON CONFLICT (purpose) DO UPDATE SET wrapped = excluded.wrapped",
                params![purpose.as_str(), wrapped],
            )?;
        }
        // One is active at a time: the retired first.
        let retired = state.keks.iter().filter(|kek| kek.state == KekState::DecryptOnly);
        let active = state.keks.iter().filter(|kek| kek.state == KekState::Active);
        for kek in retired.chain(active) {
            self.change(
                "-- save_vault_kek\nINSERT INTO vault_keks (id, state, wrapped, created_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET state = excluded.state, \
                 wrapped = excluded.wrapped",
                params![kek.id.to_string(), kek.state.as_str(), kek.wrapped, kek.created_at.ms()],
            )?;
        }
        Ok(true)
    }
}

impl Tx<'_> {
    /// Puts `state` in place of the one before it. Where another came first, nothing changes and
    /// the answer is `false`.
    pub fn store_vault(&mut self, state: &VaultState) -> Result<bool, StoreError> {
        let saved = self.save_vault(state);
        self.note(saved)
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word this version does not know")
    }
}

impl std::error::Error for Unknown {}

fn root(row: &Row<'_>) -> rusqlite::Result<VaultState> {
    let passphrase = match row.get::<_, Option<[u8; 16]>>(3)? {
        None => None,
        Some(salt) => Some(Passphrase {
            salt,
            memory_kib: row.get(4)?,
            passes: row.get(5)?,
            lanes: row.get(6)?,
        }),
    };
    Ok(VaultState {
        generation: count(row, 0)?,
        commitment: row.get(1)?,
        origin: row.get(2)?,
        passphrase,
        keys: Vec::new(),
        keks: Vec::new(),
    })
}

fn kek(row: &Row<'_>) -> rusqlite::Result<WrappedKek> {
    let state: String = row.get(1)?;
    let state = [KekState::Active, KekState::DecryptOnly]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| unreadable(1, Type::Text, Unknown))?;
    Ok(WrappedKek { id: parsed(row, 0)?, state, wrapped: row.get(2)?, created_at: time(row, 3)? })
}

fn purpose(row: &Row<'_>, column: usize) -> rusqlite::Result<Purpose> {
    let text: String = row.get(column)?;
    Purpose::ALL
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| unreadable(column, Type::Text, Unknown))
}
