//! Brings a database to the schema this version knows. Forward only.

use rusqlite::{Connection, TransactionBehavior};

use super::error::OpenError;

/// What marks a `SQLite` file as ours: `VCHS`.
pub(super) const APPLICATION_ID: i64 = 0x5643_4853;

/// Each brings the schema from its index to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/sqlite/0002_rules.sql"),
];

/// Applies what is missing, all of it or nothing.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found = version(connection)?;
    if found > known || found < 0 {
        return Err(OpenError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    let failed = |source| OpenError::Sqlite { action: "bringing the schema up to date", source };
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(failed)?;
    for (migration, _) in MIGRATIONS.iter().zip(0..).filter(|(_, n)| *n >= found) {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn version(connection: &Connection) -> Result<i64, OpenError> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| OpenError::Sqlite { action: "reading the schema's version", source })
}
