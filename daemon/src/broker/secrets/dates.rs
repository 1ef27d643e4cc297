//! Secrets whose date has come, or comes soon, as whoever looks after them should know.

use std::time::Duration;

use vouchsafe_core::caller::User;
use vouchsafe_core::project::DEFAULT_PROJECT;
use vouchsafe_core::time::UnixTime;

use crate::broker::Stop;
use crate::store::Reader;

/// How long before its date a secret is warned of.
const SOON: Duration = Duration::from_hours(7 * 24);
/// Secrets that are looked at; a count that is as high says that there may be more.
const COUNT_MAX: u32 = 1_000;
/// Secrets that are named.
const NAMED_MAX: usize = 3;

/// A sentence about secrets that have passed their date or reach it within days; nothing where
/// there are none.
pub(in crate::broker) fn warning(
    reader: &Reader<'_>,
    user: &User,
    now: UnixTime,
) -> Result<Option<String>, Stop> {
    let dated = until(reader, user, now.plus(SOON))?;
    Ok(dated.map(|dated| {
        let Dated { count, named } = dated;
        let are = if count == 1 { "secret is past its" } else { "secrets are past their" };
        format!(
            "{count} {are} date, or will be within 7 days: {named}. \
             `vouchsafe secrets update PATH --expires` gives another date."
        )
    }))
}

/// The same of secrets that have passed their date, without its full stop.
pub(in crate::broker) fn past(
    reader: &Reader<'_>,
    user: &User,
    now: UnixTime,
) -> Result<Option<String>, Stop> {
    let dated = until(reader, user, now)?;
    Ok(dated.map(|Dated { count, named }| {
        let are = if count == 1 { "is past its" } else { "are past their" };
        format!("{count} {are} date: {named}")
    }))
}

struct Dated {
    count: usize,
    /// The first of them, with their dates.
    named: String,
}

fn until(reader: &Reader<'_>, user: &User, until: UnixTime) -> Result<Option<Dated>, Stop> {
    let mut dated = reader.secrets_dated(until, COUNT_MAX)?;
    dated.retain(|secret| user.reach.covers(secret.project));
    let mut named = Vec::new();
    for secret in dated.iter().take(NAMED_MAX) {
        let project = reader.project(secret.project)?;
        let place = match project.filter(|project| project.name.as_str() != DEFAULT_PROJECT) {
            Some(project) => format!(" of {}", project.name),
            None => String::new(),
        };
        let date = secret.upkeep.expires_at.map(|date| date.to_string()).unwrap_or_default();
        named.push(format!("{}{place} ({date})", secret.path));
    }
    match dated.len() {
        0 => Ok(None),
        count => {
            let more = if count > named.len() { ", .." } else { "" };
            Ok(Some(Dated { count, named: named.join(", ") + more }))
        }
    }
}
