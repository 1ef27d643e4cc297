//! The sealed values that answers are searched for.

use rusqlite::params;
use vouchsafe_core::id::{ProjectId, SecretId};

use super::StoreError;
use super::sql::{Reader, count, parsed};

/// A sealed value and whose it is.
#[derive(Debug)]
pub struct StoredValue {
    /// The secret.
    pub secret: SecretId,
    /// Which version of it.
    pub version: u64,
    /// The vault's record.
    pub sealed: Vec<u8>,
}

impl Reader<'_> {
    /// Shows `f` the values of a project's live secrets, of each the current version and the one
    /// before it where it is still there, for as long as it answers `true`.
    pub fn each_value_in_use(
        &self,
        project: ProjectId,
        mut f: impl FnMut(StoredValue) -> bool,
    ) -> Result<(), StoreError> {
        self.each(
            "-- each_value_in_use
             SELECT v.secret_id, v.version, v.sealed
             FROM secrets AS s
             JOIN secret_versions AS v
               ON v.secret_id = s.id AND (v.version = s.version OR v.version = s.version - 1)
             WHERE s.project_id = $1 AND s.deleted_at IS NULL AND LENGTH(v.sealed) > 0",
            params![project.to_string()],
            |row| {
                let (secret, version) = (parsed(row, 0)?, count(row, 1)?);
                Ok(f(StoredValue { secret, version, sealed: row.get(2)? }))
            },
        )
    }
}
