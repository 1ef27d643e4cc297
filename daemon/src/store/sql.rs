//! What a closure sees of a transaction: queries, and for writing, statements and the log.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Params, Row};
use vouchsafe_core::audit::Entry;
use vouchsafe_core::time::{Now, UnixTime};

use super::error::{Class, StoreError};
use super::log::Log;

/// One snapshot of the database. What can be read of each noun is in that noun's file.
pub struct Reader<'a> {
    connection: &'a Connection,
}

/// One write under way: all of a [`Reader`], and changes. Changes outlive the closure only where it
/// returns `Ok` and the commit succeeds.
pub struct Tx<'a> {
    reader: Reader<'a>,
    now: Now,
    log: &'a mut Log,
    /// The log as it was when this write began.
    before: Log,
    fault: Option<StoreError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// All rows of a query. It begins with a comment that names its function; its parameters are
    /// `$1`, `$2`.., first used in that order.
    pub(crate) fn query<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(params, map)?.collect::<Result<_, _>>()
        };
        run().map_err(|error| StoreError::from_sql(sql, error))
    }

    /// The first row of a query, if there is one.
    pub(crate) fn query_opt<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            rows.next()?.map(&mut map).transpose()
        };
        run().map_err(|error| StoreError::from_sql(sql, error))
    }

    /// Shows the rows of a query to `f` one by one, for as long as it answers `true`.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<(), StoreError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                if !f(row)? {
                    break;
                }
            }
            Ok(())
        };
        run().map_err(|error| StoreError::from_sql(sql, error))
    }

    /// A statement of the engine itself, on the writer's connection.
    pub(super) fn change(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute(params);
        run().map_err(|error| StoreError::from_sql(sql, error))
    }

    /// The value of the fact `name` about this database.
    pub fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "-- meta\nSELECT value FROM meta WHERE name = $1";
        self.query_opt(sql, [name], |row| row.get(0))
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a Connection, now: Now, log: &'a mut Log) -> Self {
        let before = log.clone();
        Self { reader: Reader::new(connection), now, log, before, fault: None }
    }

    /// When this write began; its wall clock is never before the last entry of the log.
    pub fn now(&self) -> &Now {
        &self.now
    }

    /// Adds an entry to the log, at [`Tx::now`], and answers with its place.
    pub fn append(&mut self, entry: &Entry) -> Result<u64, StoreError> {
        let result = self.log.append(&self.reader, entry, self.now.wall);
        // Half an entry must not stay, whatever the closure makes of the error.
        self.fault = result.as_ref().err().cloned().or(self.fault.take());
        result
    }

    /// Undoes all that this write has done so far; what it does from here on stays.
    pub fn start_over(&mut self) -> Result<(), StoreError> {
        *self.log = self.before.clone();
        self.execute("-- start_over\nROLLBACK TO op", []).map(drop)
    }

    /// Sets the fact `name` about this database.
    pub fn set_meta(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let sql = "-- set_meta\nINSERT INTO meta (name, value) VALUES ($1, $2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.execute(sql, [name, value]).map(drop)
    }

    /// Runs a statement and answers with the number of rows it changed. It begins with a comment
    /// that names its function; its parameters are `$1`, `$2`.., first used in that order.
    pub(crate) fn execute(&mut self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        let result = self.reader.change(sql, params);
        self.note(result)
    }

    /// Asks for a checkpoint to be kept with this write.
    pub(super) fn keep_checkpoint(&mut self) {
        self.log.keep_checkpoint();
    }

    /// What went wrong that the closure cannot answer for, and the log as it was before.
    pub(super) fn into_parts(self) -> (Option<StoreError>, Log) {
        (self.fault, self.before)
    }

    /// Remembers what fails the whole batch, whatever the closure makes of it.
    pub(super) fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result
            && error.class() != Class::Statement
        {
            self.fault = Some(error.clone());
        }
        result
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A text column that reads back as a `T`.
pub(crate) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| unreadable(column, Type::Text, error))
}

/// A text column that reads back as a `T`, or is null.
pub(crate) fn parsed_opt<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => parsed(row, column).map(Some),
    }
}

/// A column of milliseconds since 1970.
pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<UnixTime> {
    row.get(column).map(UnixTime::from_ms)
}

/// A column of a count.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let count: i64 = row.get(column)?;
    u64::try_from(count).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, count))
}

/// The error of a column that does not read back.
pub(crate) fn unreadable(
    column: usize,
    kind: Type,
    error: impl Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

/// A count as the database keeps it; beyond 2^63 it stays there.
pub(crate) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
