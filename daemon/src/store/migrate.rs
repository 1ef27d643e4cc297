//! Brings a database to the schema this version knows. Forward only.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::error::OpenError;
use super::tidy::{prepare, rebuild};

/// What marks a `SQLite` file as ours: `VCHS`.
pub(super) const APPLICATION_ID: i64 = 0x5643_4853;

/// Each brings the schema from its index to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/sqlite/0002_rules.sql"),
    include_str!("../../migrations/sqlite/0003_secrets.sql"),
    include_str!("../../migrations/sqlite/0004_notify.sql"),
];

/// Applies what is missing, all of it or nothing.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let (found, known) = versions(connection)?;
    if found == known {
        return rebuild(connection);
    }
    if found == 0 {
        prepare(connection)?;
    }
    let failed = |source| OpenError::Sqlite { action: "bringing the schema up to date", source };
    // To change a table is to make it anew, and dropping the old one deletes its rows as far as
    // references to it are concerned. So they are not watched meanwhile, but all checked before
    // the commit. Inside a transaction this setting would change nothing.
    connection.execute_batch("PRAGMA foreign_keys = OFF").map_err(failed)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(failed)?;
    for (migration, _) in MIGRATIONS.iter().zip(0..).filter(|(_, n)| *n >= found) {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    check_references(&transaction)?;
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    connection.execute_batch("PRAGMA foreign_keys = ON").map_err(failed)?;
    rebuild(connection)
}

/// Refuses a database whose schema is not the one this version works with, and changes nothing.
pub(super) fn refuse_other(connection: &Connection) -> Result<(), OpenError> {
    let (found, known) = versions(connection)?;
    if found == known { Ok(()) } else { Err(OpenError::Older { found, known }) }
}

/// The schema found, which is none from a later version, and the one this version works with.
fn versions(connection: &Connection) -> Result<(i64, i64), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| OpenError::Sqlite { action: "reading the schema's version", source })?;
    if found > known || found < 0 {
        return Err(OpenError::Newer { found, known });
    }
    Ok((found, known))
}

fn check_references(connection: &Connection) -> Result<(), OpenError> {
    let broken: Option<String> = connection
        .query_row("PRAGMA foreign_key_check", [], |row| row.get(0))
        .optional()
        .map_err(|source| OpenError::Sqlite { action: "checking the references", source })?;
    match broken {
        Some(table) => {
            let finding = format!("a row of `{table}` belongs to one that is missing");
            Err(OpenError::Corrupt { finding })
        }
        None => Ok(()),
    }
}
