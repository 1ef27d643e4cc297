//! The audit log: adding to it, searching it, exporting it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};
use vouchsafe_core::audit::{
    Action, Checkpoint, Entry, Fault, LeafHash, NoteError, Outcome, Verified, Verifier,
    VerifierKey, VerifyError,
};
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::time::UnixTime;

use super::error::StoreError;
use super::sql::{Reader, count, integer};

/// The most entries a page has.
pub(crate) const PAGE_ENTRIES_MAX: u32 = 1_000;
/// How many entries one page looks through for a resource pattern.
const SCAN_ENTRIES_MAX: u64 = 20_000;
/// How many entries, the newest, a grouping counts.
const GROUP_ENTRIES_MAX: u64 = 1_000_000;
/// The most groups there are.
const GROUPS_MAX: usize = 1_000;
const DAY_MS: i64 = 86_400_000;

/// Which entries are meant; of all that is given, all must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before this.
    pub since: Option<UnixTime>,
    /// Before this.
    pub until: Option<UnixTime>,
    /// The name of a key or user.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<ActionFilter>,
    /// What it was about.
    pub resource: Option<ResourceFilter>,
    /// For which approval.
    pub approval: Option<ApprovalId>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// In which project, by name.
    pub project: Option<String>,
    /// In one of these projects, by name; none: in any, or in none.
    pub within: Option<Vec<String>>,
}

/// One action, or all of a kind.
#[derive(Clone, Debug)]
pub enum ActionFilter {
    /// `secret.read`.
    Exact(String),
    /// All that begin with `secret.`: the kind without its dot.
    Kind(String),
}

/// One resource, or those of a pattern.
#[derive(Clone)]
pub enum ResourceFilter {
    /// This URI.
    Exact(String),
    /// Whatever matches.
    Pattern {
        /// What every match begins with; the database goes by it.
        prefix: String,
        /// Whether a URI matches.
        matches: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    },
}

/// What entries are counted by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GroupBy {
    /// The name of who did it.
    Actor,
    /// What was done.
    Action,
    /// What it was about; an entry about three counts for each.
    Resource,
    /// How it ended.
    Outcome,
    /// The day, in UTC: `2026-11-21`.
    Day,
}

/// An entry as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredEntry {
    /// Its place in the log.
    pub seq: u64,
    /// What was hashed, without a line feed.
    pub line: String,
    /// The hash.
    pub leaf: LeafHash,
}

/// Some entries, newest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryPage {
    /// The entries; there can be fewer than asked for before the end.
    pub entries: Vec<StoredEntry>,
    /// Where the next page begins: pass it as `before`. None, and this was the last.
    pub next: Option<u64>,
}

/// The signed head of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// Entries in the log.
    pub size: u64,
    /// The C2SP checkpoint note.
    pub note: String,
}

impl fmt::Debug for ResourceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(uri) => f.debug_tuple("Exact").field(uri).finish(),
            Self::Pattern { prefix, matches: _ } => {
                f.debug_struct("Pattern").field("prefix", prefix).finish_non_exhaustive()
            }
        }
    }
}

impl Reader<'_> {
    /// A page of the entries that `filter` means, newest first: `limit` of them at most (1,000 in
    /// any case), all before entry `before`.
    pub fn audit_entries(
        &self,
        filter: &Filter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<EntryPage, StoreError> {
        let limit = limit.clamp(1, PAGE_ENTRIES_MAX);
        let (low, high) = self.bounds(filter, before)?;
        let (low, matches) = match &filter.resource {
            Some(ResourceFilter::Pattern { prefix: _, matches }) => {
                (low.max(high.saturating_sub(SCAN_ENTRIES_MAX)), Some(matches))
            }
            Some(ResourceFilter::Exact(_)) | None => (low, None),
        };
        let mut query =
            Query::new("-- audit_entries\nSELECT e.seq, e.line, e.leaf", filter, low, high);
        query.sql.push_str(" ORDER BY e.seq DESC");
        if matches.is_none() {
            query.push(" LIMIT ", Value::Integer(i64::from(limit) + 1));
        }
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut more = false;
        self.each(&query.sql, params_from_iter(query.values), |row| {
            let entry = stored_entry(row)?;
            if matches.is_some_and(|matches| !is_about(&entry.line, matches.as_ref())) {
                return Ok(true);
            }
            more = entries.len() == wanted;
            if !more {
                entries.push(entry);
            }
            Ok(!more)
        })?;
        let next = if more {
            entries.last().map(|entry| entry.seq)
        } else {
            (matches.is_some() && low > self.bounds(filter, before)?.0).then_some(low)
        };
        Ok(EntryPage { entries, next })
    }

    /// How many entries there are of an action since a time.
    pub fn count_entries_since(&self, action: Action, since: UnixTime) -> Result<u64, StoreError> {
        let entries = self.query_opt(
            "-- count_entries_since
             SELECT COUNT(*) FROM audit_entries WHERE action = $1 AND time >= $2",
            params![action.as_str(), since.ms()],
            |row| count(row, 0),
        )?;
        Ok(entries.unwrap_or(0))
    }

    /// How many of the newest million entries that `filter` means there are of each value, most
    /// frequent first, 1,000 at most.
    pub fn audit_groups(
        &self,
        filter: &Filter,
        by: GroupBy,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let (low, high) = self.bounds(filter, None)?;
        let low = low.max(high.saturating_sub(GROUP_ENTRIES_MAX));
        let select = match by {
            GroupBy::Actor => "-- audit_groups\nSELECT e.seq, e.actor_name",
            GroupBy::Action => "-- audit_groups\nSELECT e.seq, e.action",
            GroupBy::Outcome => "-- audit_groups\nSELECT e.seq, e.outcome",
            GroupBy::Day => "-- audit_groups\nSELECT e.seq, e.time",
            GroupBy::Resource => "-- audit_groups\nSELECT e.seq, NULL",
        };
        let mut query = Query::new(&format!("{select}, e.line"), filter, low, high);
        query.sql.push_str(" ORDER BY e.seq DESC");
        let matches = match &filter.resource {
            Some(ResourceFilter::Pattern { prefix: _, matches }) => Some(matches),
            Some(ResourceFilter::Exact(_)) | None => None,
        };
        let mut counts = HashMap::<String, u64>::new();
        self.each(&query.sql, params_from_iter(query.values), |row| {
            let line = row.get_ref(2)?.as_bytes()?;
            let resources = if matches.is_some() || by == GroupBy::Resource {
                resources(line)
            } else {
                BTreeSet::new()
            };
            let meant = |uri: &String| match &filter.resource {
                None => true,
                Some(ResourceFilter::Exact(exact)) => uri == exact,
                Some(ResourceFilter::Pattern { prefix: _, matches }) => matches(uri),
            };
            if matches.is_some() && !resources.iter().any(meant) {
                return Ok(true);
            }
            match by {
                GroupBy::Resource => {
                    for uri in resources.into_iter().filter(meant) {
                        *counts.entry(uri).or_default() += 1;
                    }
                }
                GroupBy::Day => {
                    let day = UnixTime::from_ms(row.get::<_, i64>(1)?.div_euclid(DAY_MS) * DAY_MS);
                    let day = day.rfc3339().chars().take(10).collect();
                    *counts.entry(day).or_default() += 1;
                }
                GroupBy::Actor | GroupBy::Action | GroupBy::Outcome => {
                    *counts.entry(row.get(1)?).or_default() += 1;
                }
            }
            Ok(true)
        })?;
        let mut groups: Vec<_> = counts.into_iter().collect();
        groups.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        groups.truncate(GROUPS_MAX);
        Ok(groups)
    }

    /// The lines from entry `from` on, `limit` at most, in order: what an export is made of.
    pub fn audit_lines(&self, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "-- audit_lines\nSELECT line FROM audit_entries WHERE seq >= $1 \
                   ORDER BY seq LIMIT $2";
        self.query(sql, params![integer(from), limit], |row| row.get(0))
    }

    /// The signed head of the log.
    pub fn audit_head(&self) -> Result<Head, StoreError> {
        let sql = "-- audit_head\nSELECT size, note FROM audit_head WHERE id = 1";
        let head =
            self.query(sql, [], |row| Ok(Head { size: count(row, 0)?, note: row.get(1)? }))?;
        let missing = || StoreError::from_sql(sql, rusqlite::Error::QueryReturnedNoRows);
        head.into_iter().next().ok_or_else(missing)
    }

    /// Reads the whole log and holds it against its head, signed by `key`, and each entry against
    /// its stored hash. Takes about a second for a million entries.
    pub fn audit_verify(
        &self,
        key: &VerifierKey,
    ) -> Result<Result<Verified, VerifyError>, StoreError> {
        let mut verifier = Verifier::new();
        let mut fault = None;
        let sql = "-- audit_verify\nSELECT line, leaf FROM audit_entries ORDER BY seq";
        self.each(sql, [], |row| {
            let at = verifier.tree().size();
            let pushed = verifier.push(row.get_ref(0)?.as_bytes()?);
            fault = match pushed {
                Ok(()) if row.get_ref(1)?.as_bytes()? == verifier.last().as_bytes() => None,
                Ok(()) => Some(VerifyError::Entry { seq: at, fault: Fault::Edited }),
                Err(error) => Some(error),
            };
            Ok(fault.is_none())
        })?;
        if let Some(fault) = fault {
            return Ok(Err(fault));
        }
        let head = self.audit_head()?;
        Ok(verifier.finish(head.note.as_bytes(), key))
    }

    /// Checks every kept checkpoint's signature and answers with how many there are.
    pub fn audit_checkpoints_verify(
        &self,
        key: &VerifierKey,
    ) -> Result<Result<u64, NoteError>, StoreError> {
        let mut count = 0;
        let mut fault = None;
        let sql = "-- audit_checkpoints_verify\nSELECT note FROM audit_checkpoints ORDER BY size";
        self.each(sql, [], |row| {
            fault = Checkpoint::open(row.get_ref(0)?.as_bytes()?, key).err();
            count += 1;
            Ok(fault.is_none())
        })?;
        Ok(fault.map_or(Ok(count), Err))
    }

    /// How many entries are stored, by their last place.
    pub(super) fn audit_entries_stored(&self) -> Result<u64, StoreError> {
        let sql =
            "-- audit_entries_stored\nSELECT seq FROM audit_entries ORDER BY seq DESC LIMIT 1";
        Ok(self.query_opt(sql, [], |row| count(row, 0))?.map_or(0, |last| last.saturating_add(1)))
    }

    /// Note and tree of the head.
    pub(super) fn stored_head(&self) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let sql = "-- stored_head\nSELECT note, tree FROM audit_head WHERE id = 1";
        self.query_opt(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Note and tree of the last checkpoint of `size` entries or fewer.
    pub(super) fn checkpoint_before(
        &self,
        size: u64,
    ) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let sql = "-- checkpoint_before\nSELECT note, tree FROM audit_checkpoints \
                   WHERE size <= $1 ORDER BY size DESC LIMIT 1";
        self.query_opt(sql, [integer(size)], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Lines and their stored hashes from entry `from` on.
    pub(super) fn audit_leaves(
        &self,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(Vec<u8>, LeafHash)>, StoreError> {
        let sql = "-- audit_leaves\nSELECT line, leaf FROM audit_entries WHERE seq >= $1 \
                   ORDER BY seq LIMIT $2";
        self.query(sql, params![integer(from), limit], |row| Ok((row.get(0)?, leaf(row, 1)?)))
    }

    pub(super) fn insert_entry(
        &self,
        seq: u64,
        time: UnixTime,
        line: &[u8],
        leaf: LeafHash,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        self.change(
            "-- insert_entry\nINSERT INTO audit_entries \
             (seq, line, leaf, time, actor_name, action, outcome, project, approval, lease) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                integer(seq),
                line,
                leaf.as_bytes(),
                time.ms(),
                entry.who().name(),
                entry.what().as_str(),
                entry.ended().as_str(),
                entry.in_project(),
                entry.for_approval().map(|id| id.to_string()),
                entry.under_lease().map(|id| id.to_string()),
            ],
        )?;
        for resource in entry.about() {
            self.change(
                "-- insert_entry_resource\nINSERT INTO audit_resources (resource, seq) \
                 VALUES ($1, $2) ON CONFLICT (resource, seq) DO NOTHING",
                params![resource, integer(seq)],
            )?;
        }
        Ok(())
    }

    /// The first entry that can be meant, and the one after the last.
    pub(super) fn bounds(
        &self,
        filter: &Filter,
        before: Option<u64>,
    ) -> Result<(u64, u64), StoreError> {
        let end = self.audit_entries_stored()?;
        let sql = "-- bounds\nSELECT seq FROM audit_entries WHERE time >= $1 \
                   ORDER BY time, seq LIMIT 1";
        let first_at = |time: Option<UnixTime>, otherwise| match time {
            None => Ok(otherwise),
            Some(time) => {
                self.query_opt(sql, [time.ms()], |row| count(row, 0)).map(|seq| seq.unwrap_or(end))
            }
        };
        let low = first_at(filter.since, 0)?;
        let high = first_at(filter.until, end)?.min(before.unwrap_or(end));
        Ok((low, high))
    }
}

/// A query put together from what a filter has.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Query {
    pub(super) fn new(select: &str, filter: &Filter, low: u64, high: u64) -> Self {
        let exact = match &filter.resource {
            Some(ResourceFilter::Exact(uri)) => Some(uri),
            Some(ResourceFilter::Pattern { .. }) | None => None,
        };
        let mut this = Self { sql: select.to_owned(), values: Vec::new() };
        if let Some(uri) = exact {
            this.sql
                .push_str(" FROM audit_resources r JOIN audit_entries e ON e.seq = r.seq WHERE");
            this.push(" r.resource = ", Value::Text(uri.clone()));
            this.push(" AND r.seq >= ", Value::Integer(integer(low)));
            this.push(" AND r.seq < ", Value::Integer(integer(high)));
        } else {
            this.sql.push_str(" FROM audit_entries e WHERE");
            this.push(" e.seq >= ", Value::Integer(integer(low)));
            this.push(" AND e.seq < ", Value::Integer(integer(high)));
        }
        this.conditions(filter);
        this
    }

    fn conditions(&mut self, filter: &Filter) {
        if let Some(actor) = &filter.actor {
            self.push(" AND e.actor_name = ", Value::Text(actor.clone()));
        }
        match &filter.action {
            Some(ActionFilter::Exact(action)) => {
                self.push(" AND e.action = ", Value::Text(action.clone()));
            }
            Some(ActionFilter::Kind(kind)) => {
                self.push(" AND e.action >= ", Value::Text(format!("{kind}.")));
                // The character after the dot.
                self.push(" AND e.action < ", Value::Text(format!("{kind}/")));
            }
            None => {}
        }
        if let Some(approval) = filter.approval {
            self.push(" AND e.approval = ", Value::Text(approval.to_string()));
        }
        if let Some(outcome) = filter.outcome {
            self.push(" AND e.outcome = ", Value::Text(outcome.as_str().to_owned()));
        }
        if let Some(project) = &filter.project {
            self.push(" AND e.project = ", Value::Text(project.clone()));
        }
        if let Some(within) = &filter.within {
            // Of no project: none.
            self.sql.push_str(" AND (1 = 0");
            for project in within {
                self.push(" OR e.project = ", Value::Text(project.clone()));
            }
            self.sql.push(')');
        }
        if let Some(ResourceFilter::Pattern { prefix, matches: _ }) = &filter.resource {
            self.sql.push_str(" AND EXISTS (SELECT 1 FROM audit_resources r WHERE r.seq = e.seq");
            self.push(" AND r.resource >= ", Value::Text(prefix.clone()));
            self.push(" AND r.resource < ", Value::Text(format!("{prefix}{}", char::MAX)));
            self.sql.push(')');
        }
    }

    pub(super) fn push(&mut self, sql: &str, value: Value) {
        self.values.push(value);
        self.sql.push_str(sql);
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
    }
}

fn stored_entry(row: &Row<'_>) -> rusqlite::Result<StoredEntry> {
    let line = String::from_utf8_lossy(row.get_ref(1)?.as_bytes()?).into_owned();
    Ok(StoredEntry { seq: count(row, 0)?, line, leaf: leaf(row, 2)? })
}

fn leaf(row: &Row<'_>, column: usize) -> rusqlite::Result<LeafHash> {
    row.get(column).map(LeafHash::from_bytes)
}

fn is_about(line: &str, matches: &dyn Fn(&str) -> bool) -> bool {
    resources(line.as_bytes()).iter().any(|uri| matches(uri))
}

pub(super) fn resources(line: &[u8]) -> BTreeSet<String> {
    #[derive(Default, serde::Deserialize)]
    struct Resources {
        #[serde(default)]
        resources: BTreeSet<String>,
    }
    serde_json::from_slice::<Resources>(line).unwrap_or_default().resources
}
