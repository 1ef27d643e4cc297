//! The calls of one project's keys in one calendar month.
//!
//! What is stored runs ahead of what was made: calls are made out of a block that was stored as
//! made before. So a crash loses the rest of a block, and never gives a call twice.

use std::collections::HashMap;
use std::time::Duration;

use vouchsafe_core::id::KeyId;
use vouchsafe_core::time::{Now, UnixTime};

/// The most calls that are stored as made before they are.
const BLOCK_MAX: u64 = 100;
/// A block is no more than this part of what is left: a crash is to cost little.
const BLOCK_OF_LEFT: u64 = 10;
/// After how long without a call the rest of a block is given back.
const IDLE: Duration = Duration::from_mins(1);
/// After how long without a call a project is forgotten, which is then stored to the call.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// One project's calls in one month.
#[derive(Clone, Debug)]
pub(super) struct Month {
    name: String,
    /// The project's limit.
    pub(super) limit: Option<u64>,
    used: u64,
    keys: HashMap<KeyId, Tally>,
    /// When the last call was, in milliseconds since boot.
    last_ms: u64,
}

/// One key's calls.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    used: u64,
    /// What is stored: never less than `used`.
    stored: u64,
    /// How many more there may be, as of the last call; none: not limited.
    left: Option<u64>,
    /// When the last call was, in milliseconds since boot; none: not since it was read.
    last_ms: Option<u64>,
}

/// What became of a call that is to be counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Counted {
    /// It counts.
    Yes,
    /// So many calls have to be stored as made first.
    Store(u64),
    /// The key has no calls left.
    KeyOver(u64),
    /// Its project has none.
    ProjectOver(u64),
}

impl Month {
    /// A month as it is stored.
    pub(super) fn new(
        name: &str,
        limit: Option<u64>,
        stored: impl IntoIterator<Item = (KeyId, u64)>,
        now: &Now,
    ) -> Self {
        let tally = |calls| Tally { used: calls, stored: calls, ..Tally::default() };
        let keys: HashMap<_, _> =
            stored.into_iter().map(|(key, calls)| (key, tally(calls))).collect();
        let used = keys.values().fold(0_u64, |sum, tally| sum.saturating_add(tally.used));
        Self { name: name.to_owned(), limit, used, keys, last_ms: now.since_boot_ms }
    }

    /// Whether this is the month of that name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Calls by all keys.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Calls by one key, and how many more it may make; none: not limited.
    pub(super) fn usage(&self, key: KeyId, cap: Option<u64>) -> (u64, Option<u64>) {
        let used = self.keys.get(&key).map_or(0, |tally| tally.used);
        (used, self.left(used, cap))
    }

    /// Counts one call of a key, where the limits of the key and of its project leave one.
    pub(super) fn count(&mut self, key: KeyId, cap: Option<u64>, now: &Now) -> Counted {
        let used = self.keys.get(&key).map_or(0, |tally| tally.used);
        if let Some(cap) = cap.filter(|cap| used >= *cap) {
            return Counted::KeyOver(cap);
        }
        if let Some(limit) = self.limit.filter(|limit| self.used >= *limit) {
            return Counted::ProjectOver(limit);
        }
        let left = self.left(used, cap);
        let tally = self.keys.entry(key).or_default();
        tally.left = left;
        tally.last_ms = Some(now.since_boot_ms);
        self.last_ms = now.since_boot_ms;
        if tally.used >= tally.stored {
            return Counted::Store(tally.used.saturating_add(block(left)));
        }
        tally.used = tally.used.saturating_add(1);
        self.used = self.used.saturating_add(1);
        Counted::Yes
    }

    /// Takes one call of a key back.
    pub(super) fn give_back(&mut self, key: KeyId) {
        if let Some(tally) = self.keys.get_mut(&key)
            && tally.used > 0
        {
            tally.used = tally.used.saturating_sub(1);
            self.used = self.used.saturating_sub(1);
        }
    }

    /// So many calls of a key are stored as made.
    pub(super) fn stored(&mut self, key: KeyId, calls: u64) {
        let tally = self.keys.entry(key).or_default();
        tally.stored = calls.max(tally.used);
    }

    /// What is to be stored: the next block of whoever calls, the exact count of whoever does not,
    /// and of everybody where the daemon `stops`. What is given back counts as given back from here
    /// on, whether or not it comes to be stored.
    pub(super) fn take_unsaved(&mut self, stops: bool, now: &Now) -> Vec<(KeyId, u64)> {
        let mut unsaved = Vec::new();
        for (key, tally) in &mut self.keys {
            let ahead = tally.stored.saturating_sub(tally.used);
            let Some(last_ms) = tally.last_ms else { continue };
            let idle = now.since_boot_ms.saturating_sub(last_ms) >= ms(IDLE);
            if stops || idle {
                if ahead > 0 {
                    tally.stored = tally.used;
                    unsaved.push((*key, tally.used));
                }
            } else if ahead < block(tally.left) / 2 {
                unsaved.push((*key, tally.used.saturating_add(block(tally.left))));
            }
        }
        unsaved
    }

    /// Whether nothing is lost when it is forgotten.
    pub(super) fn is_idle(&self, now: &Now) -> bool {
        now.since_boot_ms.saturating_sub(self.last_ms) >= ms(FORGET_AFTER)
            && self.keys.values().all(|tally| tally.stored == tally.used)
    }

    fn left(&self, used: u64, cap: Option<u64>) -> Option<u64> {
        let own = cap.map(|cap| cap.saturating_sub(used));
        let shared = self.limit.map(|limit| limit.saturating_sub(self.used));
        own.into_iter().chain(shared).min()
    }
}

/// The month of a time, as it is named: `2026-11`.
pub(super) fn month_of(time: UnixTime) -> String {
    time.rfc3339().chars().take(7).collect()
}

/// When the month after that of a time begins.
pub(super) fn next_month(time: UnixTime) -> UnixTime {
    let month = month_of(time);
    let next = month.split_once('-').and_then(|(year, month)| {
        let (year, month) = (year.parse::<u32>().ok()?, month.parse::<u32>().ok()?);
        let (year, month) = if month >= 12 { (year + 1, 1) } else { (year, month + 1) };
        UnixTime::parse_rfc3339(&format!("{year:04}-{month:02}-01T00:00:00Z"))
    });
    next.unwrap_or(time)
}

/// How many calls are stored ahead where so many are left: one at least.
fn block(left: Option<u64>) -> u64 {
    left.map_or(BLOCK_MAX, |left| (left / BLOCK_OF_LEFT).clamp(1, BLOCK_MAX))
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
