//! Columns that hold more than one plain value.

use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vouchsafe_core::time::UnixTime;

use super::sql::unreadable;

/// A column of JSON that reads back as a `T`.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unreadable(column, Type::Text, error))
}

/// A column of JSON that may be null.
pub(super) fn json_opt<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => json(row, column).map(Some),
    }
}

/// What such a column is given.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    // The core's own types: strings as keys, no floats, nothing that JSON does not have. Should
    // one ever fail all the same, the empty text reads back as damaged, which refuses.
    serde_json::to_string(value).unwrap_or_default()
}

/// A column of milliseconds since 1970 that may be null.
pub(super) fn time_opt(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<UnixTime>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(UnixTime::from_ms))
}

/// A column of words with blanks between them.
pub(super) fn words(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    Ok(row.get_ref(column)?.as_str()?.split_whitespace().map(str::to_owned).collect())
}
