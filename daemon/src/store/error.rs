//! What can go wrong with the database.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use vouchsafe_core::audit::VerifyError;

/// Why a database cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no database at {path}: make one with `vouchsafed init`")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is one already.
    #[error("{path} exists already: `vouchsafed init` never replaces a database")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A database of something else.
    #[error("{path} is not a Vouchsafe database: check the path")]
    NotVouchsafe {
        /// Where.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error(
        "the database has schema {found} and this version knows {known} at most: run the newer \
         version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The schema in the file.
        found: i64,
        /// The last schema this version knows.
        known: i64,
    },
    /// Written by an earlier version, and only looked at.
    #[error(
        "the database has schema {found} and this version works with {known}: run `vouchsafed \
         serve` once to bring it up to date"
    )]
    Older {
        /// The schema in the file.
        found: i64,
        /// The schema this version works with.
        known: i64,
    },
    /// Damaged.
    #[error("the database is damaged ({finding}): restore a backup and keep this file for study")]
    Corrupt {
        /// What `SQLite` says.
        finding: String,
    },
    /// The `SQLite` in use has a known fault.
    #[error("SQLite {found} may lose data: build with 3.51.3 or later")]
    OldEngine {
        /// Its version.
        found: &'static str,
    },
    /// A file could not be handled.
    #[error("{action} failed")]
    File {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A statement failed.
    #[error("{action} failed")]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: rusqlite::Error,
    },
}

/// Why an opened database cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log is not what was signed.
    #[error(
        "the audit log does not match its signed head ({finding}): somebody changed the database, \
         or it is damaged; keep it for study and restore a backup"
    )]
    Log {
        /// In what way.
        finding: &'static str,
    },
    /// An entry or the head is not what was signed.
    #[error("the audit log is broken: keep the database for study and restore a backup")]
    Verify(#[from] VerifyError),
    /// The clock is wrong.
    #[error(
        "the clock is over a minute behind the last entry of the audit log ({last}): set the clock"
    )]
    Clock {
        /// When that was written.
        last: String,
    },
    /// The database could not be read.
    #[error("reading the database failed")]
    Store(#[from] StoreError),
    /// A connection or the writer could not be made.
    #[error("opening the database failed")]
    Open(#[from] OpenError),
    /// The writer's thread could not be made.
    #[error("starting the writer failed")]
    Thread(#[source] io::Error),
}

/// Why a read or a write was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No space; nothing was written.
    #[error("the disk is full and nothing was written: free space, then try again")]
    Full,
    /// Nobody knows until the next start.
    #[error("the write may or may not have happened: look again once the daemon has restarted")]
    Unknown,
    /// The daemon is stopping; nothing was written.
    #[error("the database is closed and nothing was written: try again after the restart")]
    Closed,
    /// Too many writes wait; nothing was written.
    #[error("too many writes wait and nothing was written: try again later")]
    Busy,
    /// The clock went back over a minute; nothing was written.
    #[error(
        "the clock is over a minute behind the audit log and nothing was written: set the clock"
    )]
    Clock,
    /// The closure panicked; nothing was written.
    #[error("a write broke off by a fault in the program and nothing was written: report it")]
    Panicked,
    /// Stored data does not read back.
    #[error("{action} found damaged data: run `vouchsafe doctor`")]
    Corrupt {
        /// The query.
        action: String,
        /// What `SQLite` says.
        source: Arc<rusqlite::Error>,
    },
    /// A statement failed; nothing was written.
    #[error("{action} failed")]
    Sqlite {
        /// The query.
        action: String,
        /// Why.
        source: Arc<rusqlite::Error>,
    },
}

/// How a write can end other than well.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The closure refused, and nothing of it stays.
    #[error("refused")]
    Refused(#[source] E),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an error means for the whole batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    /// This statement alone failed.
    Statement,
    /// No space.
    Full,
    /// The disk or the file fails.
    Fatal,
}

impl From<WriteError<Self>> for StoreError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Refused(error) | WriteError::Store(error) => error,
        }
    }
}

impl StoreError {
    /// The error of the query that begins with the comment `-- action`.
    pub(super) fn from_sql(sql: &str, source: rusqlite::Error) -> Self {
        let first = sql.trim_start().lines().next().unwrap_or_default();
        Self::from_sqlite(first.trim_start_matches("--").trim(), source)
    }

    pub(super) fn from_sqlite(action: &str, source: rusqlite::Error) -> Self {
        let action = action.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { action, source: Arc::new(source) }
            }
            None if is_conversion(&source) => Self::Corrupt { action, source: Arc::new(source) },
            _ => Self::Sqlite { action, source: Arc::new(source) },
        }
    }

    pub(super) fn class(&self) -> Class {
        match self {
            Self::Full => Class::Full,
            Self::Clock => Class::Fatal,
            Self::Corrupt { source, .. } | Self::Sqlite { source, .. } => {
                match source.sqlite_error_code() {
                    Some(
                        ErrorCode::SystemIoFailure
                        | ErrorCode::DatabaseCorrupt
                        | ErrorCode::NotADatabase
                        | ErrorCode::ReadOnly
                        | ErrorCode::CannotOpen,
                    ) => Class::Fatal,
                    _ => Class::Statement,
                }
            }
            Self::Unknown | Self::Closed | Self::Busy | Self::Panicked => Class::Statement,
        }
    }
}

fn is_conversion(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}
