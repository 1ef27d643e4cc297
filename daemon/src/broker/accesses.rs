//! How often secrets were read, for those who may read the log.

use vouchsafe_core::caller::User;
use vouchsafe_core::time::UnixTime;

use super::{Accesses, AuditQuery, Broker, Page, Paged, Refused, StoredEntry};

/// Hours that are counted at most: a week.
const HOURS_MAX: u32 = 7 * 24;
/// One hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;

impl Broker {
    /// [`Broker::query_audit`], and beside the entries how often values were read, by hour and by
    /// resource: of what the query means, whatever action and outcome it names, in the last week
    /// before its end.
    pub async fn survey_audit(
        &self,
        user: &User,
        query: AuditQuery,
        page: Page,
    ) -> Result<(Accesses, Paged<StoredEntry>), Refused> {
        let (from, hours) = span(query.since, query.until, self.now().wall);
        let about = AuditQuery { action: None, outcome: None, ..query.clone() };
        let entries = self.query_audit(user, query, page).await?;
        let filter = self.filter(user, &about).await?;
        let accesses = self
            .look("count_accesses", move |reader| Ok(reader.accesses(&filter, from, hours)?))
            .await?;
        Ok((accesses, entries))
    }
}

/// The whole hours that a query is about, as far as they are counted: where the first begins, and
/// how many they are.
fn span(since: Option<UnixTime>, until: Option<UnixTime>, now: UnixTime) -> (UnixTime, u32) {
    // What happens at this very moment has happened.
    let now = now.ms().saturating_add(1);
    let until = until.map_or(now, |until| until.ms().min(now));
    // The hour that has begun counts.
    let end = until.saturating_sub(1).div_euclid(HOUR_MS).saturating_add(1);
    let first = end.saturating_sub(i64::from(HOURS_MAX));
    let start = since.map_or(first, |since| since.ms().div_euclid(HOUR_MS)).clamp(first, end);
    let hours = u32::try_from(end.saturating_sub(start)).unwrap_or(0).max(1);
    (UnixTime::from_ms(start.saturating_mul(HOUR_MS)), hours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_of_whole_hours_is_counted_at_most() {
        let at = |text: &str| UnixTime::parse_rfc3339(text).unwrap();
        let now = at("2026-11-21T10:44:00Z");
        for (since, until, from, hours) in [
            (None, None, "2026-11-14T11:00:00Z", HOURS_MAX),
            (Some("2026-11-21T10:44:00Z"), None, "2026-11-21T10:00:00Z", 1),
            (Some("2026-11-21T08:10:00Z"), None, "2026-11-21T08:00:00Z", 3),
            (Some("2026-11-21T08:10:00Z"), Some("2026-11-21T09:00:00Z"), "2026-11-21T08:00:00Z", 1),
            (Some("2020-01-01T00:00:00Z"), None, "2026-11-14T11:00:00Z", HOURS_MAX),
            (None, Some("2030-01-01T00:00:00Z"), "2026-11-14T11:00:00Z", HOURS_MAX),
            (Some("2030-01-01T00:00:00Z"), None, "2026-11-21T11:00:00Z", 1),
        ] {
            let found = span(since.map(at), until.map(at), now);
            assert_eq!(found, (at(from), hours), "{since:?} {until:?}");
        }
    }
}
