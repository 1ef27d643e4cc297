//! Pages of long lists: bounded, and found again by where the last one ended.

use vouchsafe_core::time::UnixTime;

use super::{Page, Paged, Refused, Stop};
use crate::store::Before;

/// Items on a page where nothing is said.
const SIZE_DEFAULT: u32 = 50;
/// Items on a page at most.
const SIZE_MAX: u32 = 500;
/// Rows that one page looks through at most, where most of them are not wanted.
const SCAN_MAX: u32 = 5_000;
/// Rows that are read at a time.
const BATCH: u32 = 200;

impl Page {
    /// How many items are wanted.
    pub(super) fn wanted(&self) -> u32 {
        match self.size {
            0 => SIZE_DEFAULT,
            size => size.min(SIZE_MAX),
        }
    }

    /// Where a list that is newest first goes on.
    pub(super) fn before(&self) -> Result<Before, Refused> {
        if self.token.is_empty() {
            return Ok(Before::start());
        }
        let parts = self.token.split_once('.').and_then(|(ms, id)| Some((ms.parse().ok()?, id)));
        let (ms, id) = parts.filter(|(_, id)| id.len() <= 32).ok_or_else(bad_token)?;
        Ok(Before { at: UnixTime::from_ms(ms), id: id.to_owned() })
    }
}

fn bad_token() -> Refused {
    Refused::invalid("the page token is not one of ours", "Begin again without a page token.")
}

/// A page of rows that are newest first, of those that are wanted.
pub(super) fn newest_first<R, T>(
    page: &Page,
    read: impl FnMut(&Before, u32) -> Result<Vec<R>, Stop>,
    place: impl Fn(&R) -> Before,
    keep: impl FnMut(R) -> Result<Option<T>, Stop>,
) -> Result<Paged<T>, Stop> {
    let token = |before: &Before| format!("{}.{}", before.at.ms(), before.id);
    fill(page, page.before()?, token, read, place, keep)
}

/// A page of rows by name, of those that are wanted.
pub(super) fn by_name<R, T>(
    page: &Page,
    mut read: impl FnMut(&str, u32) -> Result<Vec<R>, Stop>,
    name: impl Fn(&R) -> String,
    keep: impl FnMut(R) -> Result<Option<T>, Stop>,
) -> Result<Paged<T>, Stop> {
    let read = |after: &String, limit| read(after, limit);
    fill(page, page.token.clone(), String::clone, read, name, keep)
}

/// Reads rows from a place on until a page is full of those that are wanted, or enough were seen.
fn fill<P, R, T>(
    page: &Page,
    start: P,
    token: impl Fn(&P) -> String,
    mut read: impl FnMut(&P, u32) -> Result<Vec<R>, Stop>,
    place: impl Fn(&R) -> P,
    mut keep: impl FnMut(R) -> Result<Option<T>, Stop>,
) -> Result<Paged<T>, Stop> {
    let wanted = usize::try_from(page.wanted()).unwrap_or(usize::MAX);
    let mut at = start;
    let mut items = Vec::new();
    let mut seen = 0;
    while seen < SCAN_MAX {
        let rows = read(&at, BATCH)?;
        let last = rows.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
        let mut rows = rows.into_iter();
        while let Some(row) = rows.next() {
            at = place(&row);
            seen += 1;
            items.extend(keep(row)?);
            if items.len() >= wanted {
                let more = !last || rows.next().is_some();
                return Ok(Paged { items, next: if more { token(&at) } else { String::new() } });
            }
        }
        if last {
            return Ok(Paged { items, next: String::new() });
        }
    }
    Ok(Paged { items, next: token(&at) })
}
