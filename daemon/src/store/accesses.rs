//! How often values were released, and to no avail asked for: by hour, and by resource.

use std::collections::HashMap;

use rusqlite::params_from_iter;
use rusqlite::types::Value;
use vouchsafe_core::audit::{Action, Outcome};
use vouchsafe_core::time::UnixTime;

use super::audit::{ActionFilter, Filter, Query, ResourceFilter, resources};
use super::error::StoreError;
use super::sql::Reader;

/// One hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// How many accesses, the newest, are counted.
const ACCESSES_MAX: u64 = 1_000_000;
/// The most resources there are.
const RESOURCES_MAX: usize = 20;
/// The most resources that are counted; agents choose what they ask for.
const COUNTED_MAX: usize = 10_000;

/// How often something was read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reads {
    /// The value was released.
    pub released: u64,
    /// It was not.
    pub refused: u64,
}

/// What was read, by hour and by resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accesses {
    /// When the first hour begins.
    pub from: UnixTime,
    /// Each hour, one after the other.
    pub hours: Vec<Reads>,
    /// Each resource, most frequent first, 20 at most.
    pub resources: Vec<(String, Reads)>,
    /// There were more than are counted, which are the newest million, and 10,000 resources.
    pub cut: bool,
}

impl Reads {
    /// All of them.
    pub const fn all(self) -> u64 {
        self.released.saturating_add(self.refused)
    }

    fn add(&mut self, released: bool) {
        let count = if released { &mut self.released } else { &mut self.refused };
        *count = count.saturating_add(1);
    }
}

impl Reader<'_> {
    /// Counts the reads of secrets that `filter` means in `hours` hours from `from` on, whatever it
    /// says of times, actions and outcomes.
    pub fn accesses(
        &self,
        filter: &Filter,
        from: UnixTime,
        hours: u32,
    ) -> Result<Accesses, StoreError> {
        let end = UnixTime::from_ms(from.ms().saturating_add(i64::from(hours) * HOUR_MS));
        let filter = Filter {
            since: Some(from),
            until: Some(end),
            action: Some(ActionFilter::Exact(Action::SECRET_READ.as_str().to_owned())),
            outcome: None,
            ..filter.clone()
        };
        let (low, high) = self.bounds(&filter, None)?;
        let mut query =
            Query::new("-- accesses\nSELECT e.time, e.outcome, e.line", &filter, low, high);
        query.sql.push_str(" ORDER BY e.seq DESC");
        let most = i64::try_from(ACCESSES_MAX).unwrap_or(i64::MAX);
        query.push(" LIMIT ", Value::Integer(most));
        let meant = |uri: &String| match &filter.resource {
            None => true,
            Some(ResourceFilter::Exact(exact)) => uri == exact,
            Some(ResourceFilter::Pattern { prefix: _, matches }) => matches(uri),
        };
        let mut seen = 0_u64;
        let mut by_hour = vec![Reads::default(); usize::try_from(hours).unwrap_or(0)];
        let mut by_resource = HashMap::<String, Reads>::new();
        let mut left_out = false;
        self.each(&query.sql, params_from_iter(query.values), |row| {
            seen += 1;
            let about = resources(row.get_ref(2)?.as_bytes()?);
            if filter.resource.is_some() && !about.iter().any(meant) {
                return Ok(true);
            }
            let released = row.get_ref(1)?.as_str()? == Outcome::Ok.as_str();
            let hour = (row.get::<_, i64>(0)? - from.ms()).div_euclid(HOUR_MS);
            if let Some(reads) = usize::try_from(hour).ok().and_then(|at| by_hour.get_mut(at)) {
                reads.add(released);
            }
            for uri in about.into_iter().filter(meant) {
                if by_resource.len() < COUNTED_MAX || by_resource.contains_key(&uri) {
                    by_resource.entry(uri).or_default().add(released);
                } else {
                    left_out = true;
                }
            }
            Ok(true)
        })?;
        let mut resources: Vec<_> = by_resource.into_iter().collect();
        resources.sort_unstable_by(|a, b| b.1.all().cmp(&a.1.all()).then_with(|| a.0.cmp(&b.0)));
        resources.truncate(RESOURCES_MAX);
        let cut = left_out || seen == ACCESSES_MAX;
        Ok(Accesses { from, hours: by_hour, resources, cut })
    }
}
