//! Giving room back: what was wiped is to be nowhere in the files.
//!
//! Freed pages are written over as they are freed (`secure_delete`), but pages of earlier commits
//! stay in the write-ahead log until it is written over or emptied. So it is emptied here. Pages
//! that are not used are given back to the file system a few at a time.

use std::time::Duration;

use rusqlite::{Connection, Row};

use super::engine::WRITER_PATIENCE;
use super::error::{OpenError, StoreError};

/// Pages given back in one step: a megabyte, which takes milliseconds.
const PAGES_A_STEP: u32 = 256;
/// How long readers may keep the log from being emptied: all writes wait so long.
const READERS_MAX: Duration = Duration::from_millis(250);
/// What `PRAGMA auto_vacuum` says of a file whose pages can be given back in steps.
const INCREMENTAL: u32 = 2;

/// How far a step came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tidied {
    /// There are more pages to give back.
    More,
    /// A reader kept the log from being emptied.
    Held,
    /// Nothing is left to do.
    Done,
}

/// One step.
pub(super) fn tidy(connection: &Connection) -> Result<Tidied, StoreError> {
    let failed = |error| StoreError::from_sqlite("giving room back", error);
    let before = number(connection, "freelist_count").map_err(failed)?;
    if before > 0 && number(connection, "auto_vacuum").map_err(failed)? == INCREMENTAL {
        // Each row is a page; the answer is not done before all of them are read.
        let sql = format!("PRAGMA incremental_vacuum({PAGES_A_STEP})");
        let given = connection.prepare(&sql).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        });
        given.map_err(failed)?;
        let left = number(connection, "freelist_count").map_err(failed)?;
        if left > 0 && left < before {
            return Ok(Tidied::More);
        }
    }
    connection.busy_timeout(READERS_MAX).map_err(failed)?;
    let held = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], is_held);
    connection.busy_timeout(WRITER_PATIENCE).map_err(failed)?;
    Ok(if held.map_err(failed)? { Tidied::Held } else { Tidied::Done })
}

/// Lets a new file's pages be given back in steps; before anything is in it.
pub(super) fn prepare(connection: &Connection) -> Result<(), OpenError> {
    connection.pragma_update(None, "auto_vacuum", INCREMENTAL).map_err(failed)
}

/// Brings a file of an earlier version to where its pages can be given back in steps, which takes
/// all of it to be written anew, once. Where that fails, it is tried at the next start: what is
/// wiped is gone all the same.
pub(super) fn rebuild(connection: &Connection) -> Result<(), OpenError> {
    if number(connection, "auto_vacuum").map_err(failed)? == INCREMENTAL {
        return Ok(());
    }
    prepare(connection)?;
    if let Err(error) = connection.execute_batch("VACUUM") {
        tracing::warn!(%error, "the database was not written anew: is there room on the disk?");
    }
    Ok(())
}

fn failed(source: rusqlite::Error) -> OpenError {
    OpenError::Sqlite { action: "preparing the file for giving room back", source }
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Whether a reader kept the log from being emptied.
fn is_held(row: &Row<'_>) -> rusqlite::Result<bool> {
    row.get::<_, i64>(0).map(|busy| busy != 0)
}
