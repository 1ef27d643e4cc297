//! The log, for agents: as far as the rule on `vouchsafe://audit` lets them, and never beyond
//! their project.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Agent, Reach};
use vouchsafe_core::key::Scope;
use vouchsafe_core::lease::Lease;
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::text::escape_json;
use vouchsafe_core::time::UnixTime;

use super::agents::Done;
use super::asks::{Arguments, Asked, Plea, Wish, need_scope};
use super::audit::{described, filter, group_by, page_start};
use super::doors::unchanged_agent;
use super::emergency::check_not_stopped;
use super::gives::Stand;
use super::{AuditQuery, AuditRelease, Broker, Page, Paged, Refused, Stop, StoredEntry, entries};
use crate::store::{Filter, Tx};

/// What the lines of one page have together at most, in bytes; one line is on it in any case.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// Entries on one page at most.
const PAGE_ENTRIES_MAX: u32 = 100;

/// What a query came to inside the transaction; entries are read after it.
enum Reached {
    Granted { filter: Box<Filter>, lease: Box<Lease> },
    Asked(Asked),
}

impl Broker {
    /// Asks for entries of the project's log, or with `by` for counts of them: answers under a
    /// lease, asks people, or tells what they said. An approval is bound to the filters, not to
    /// the page.
    pub async fn query_audit_for(
        &self,
        agent: &Agent,
        query: AuditQuery,
        by: Option<&str>,
        page: Page,
        plea: Plea,
    ) -> Result<AuditRelease, Refused> {
        // Whatever was asked for, this is how far a key reaches.
        let query = AuditQuery { project: Some(agent.project_name.clone()), ..query };
        let subject = entries::by_agent(Action::AUDIT_QUERIED, agent).resource(&Resource::Audit);
        let subject = entries::worded(subject, agent, Operation::Read, &plea);
        let subject = described(subject, &query, by);
        let checked = page_start(&page).and_then(|before| {
            let group = by.map(group_by).transpose()?;
            Ok((before, group, Arguments::new(arguments(&query, by))?))
        });
        let (before, group, arguments) = match checked {
            Ok(checked) => checked,
            Err(refused) => return Err(self.refuse(subject, refused).await),
        };
        let subject = subject.detail("arguments", escape_json(arguments.as_str()));
        let wish = self.wish(agent, Operation::Read, plea, 1, &subject).await?;
        let wish = Wish { arguments, ..wish };
        let described = described(entries::by_agent(Action::AUDIT_QUERIED, agent), &query, by);
        let done = self
            .run("query_audit_for", subject, move |tx| reach(tx, &wish, &query, described.clone()))
            .await?;
        let (filter, lease) = match self.told(done) {
            Reached::Granted { filter, lease } => (filter, lease),
            Reached::Asked(asked) => {
                return Ok(self
                    .tell(asked)
                    .map_or_else(AuditRelease::Settled, AuditRelease::Pending));
            }
        };
        if let Some(group) = group {
            let groups = self
                .look("query_audit_for", move |reader| Ok(reader.audit_groups(&filter, group)?))
                .await?;
            return Ok(AuditRelease::Groups { groups, lease });
        }
        let size = if page.size == 0 { 50 } else { page.size.min(PAGE_ENTRIES_MAX) };
        let page = self
            .look("query_audit_for", move |reader| {
                let found = reader.audit_entries(&filter, before, size)?;
                Ok(within_bytes(found.entries, found.next))
            })
            .await?;
        Ok(AuditRelease::Entries { page, lease })
    }
}

fn reach(
    tx: &mut Tx<'_>,
    wish: &Wish,
    query: &AuditQuery,
    entry: vouchsafe_core::audit::Entry,
) -> Result<Done<Reached>, Stop> {
    unchanged_agent(tx, &wish.agent)?;
    check_not_stopped(tx, wish.agent.project, wish.agent.key)?;
    need_scope(&wish.agent, Scope::AuditRead)?;
    // Nothing of another project, whatever is asked for.
    let reach = Reach::Projects(BTreeSet::from([wish.agent.project]));
    let filter = filter(tx, &reach, query.clone())?;
    let wanted = wish.want(tx, &Resource::Audit)?;
    let mut settled = Vec::new();
    let lease = match wish.stand(tx, &wanted)? {
        Stand::Leased(lease) => *lease,
        Stand::Given(given) => wish.give(tx, 0, &wanted, given, &mut settled)?,
        Stand::Asks(outcomes) => {
            let asked = wish.ask(tx, &[(wanted, outcomes)])?;
            return Ok(Done::of(Reached::Asked(asked)));
        }
    };
    let (lease, _grant) = wish.take(tx, lease, &wanted, entry)?;
    let what = Reached::Granted { filter: Box::new(filter), lease: Box::new(lease) };
    Ok(Done { what, settled })
}

/// The filters as arguments: what an approval is bound to.
fn arguments(query: &AuditQuery, by: Option<&str>) -> Value {
    let mut arguments = Map::new();
    for (name, value) in [
        ("action", query.action.clone()),
        ("actor", query.actor.clone()),
        ("approval", query.approval.clone()),
        ("group_by", by.map(str::to_owned)),
        ("outcome", query.outcome.clone()),
        ("resource", query.resource.clone()),
        ("since", query.since.map(UnixTime::rfc3339)),
        ("until", query.until.map(UnixTime::rfc3339)),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            arguments.insert(name.to_owned(), value.into());
        }
    }
    Value::Object(arguments)
}

/// As many entries as a client can be expected to take at once; the rest is on the next page.
fn within_bytes(entries: Vec<StoredEntry>, next: Option<u64>) -> Paged<StoredEntry> {
    let (mut bytes, mut kept, found) = (0_usize, Vec::new(), entries.len());
    for entry in entries {
        bytes = bytes.saturating_add(entry.line.len());
        if bytes > PAGE_BYTES_MAX && !kept.is_empty() {
            break;
        }
        kept.push(entry);
    }
    let cut = kept.len() < found;
    let next = if cut { kept.last().map(|entry| entry.seq) } else { next };
    Paged { items: kept, next: next.map(|seq| seq.to_string()).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use vouchsafe_core::audit::LeafHash;

    use super::*;

    fn entry(seq: u64, bytes: usize) -> StoredEntry {
        StoredEntry { seq, line: "x".repeat(bytes), leaf: LeafHash::NONE }
    }

    #[test]
    fn a_page_ends_before_it_is_too_large_and_says_where_the_next_begins() {
        let entries = (0..40).rev().map(|seq| entry(seq, 16 * 1024)).collect();
        let page = within_bytes(entries, None);
        assert_eq!((page.items.len(), page.next.as_str()), (16, "24"));
        let page = within_bytes(vec![entry(7, PAGE_BYTES_MAX + 1)], Some(3));
        assert_eq!((page.items.len(), page.next.as_str()), (1, "3"));
    }
}
