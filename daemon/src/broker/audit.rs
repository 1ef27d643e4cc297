//! The log, for those who may read it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;
use vouchsafe_core::audit::{Action, Checkpoint, Entry, HeadSigner as _, Outcome};
use vouchsafe_core::caller::{Reach, User};
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::resource::{Pattern, Resource};
use vouchsafe_core::text::echo;

use super::doors::live_user;
use super::setup::project_named;
use super::{
    AuditQuery, Broker, ExportPart, Page, Paged, Refused, Stop, StoredEntry, approvals, entries,
};
use crate::store::{ActionFilter, Filter, GroupBy, Reader, ResourceFilter};

/// Entries of the past that a tail shows first, at most.
const TAIL_LAST_MAX: u32 = 100;
/// Entries that are shown beside an approval.
const ENTRIES_ABOUT_MAX: u32 = 100;
/// Lines that an export reads at a time.
const EXPORT_LINES: u32 = 500;

/// The log's entries as they come.
#[derive(Debug)]
pub struct AuditTail {
    broker: Broker,
    user: User,
    filter: Filter,
    seen: u64,
    ready: VecDeque<StoredEntry>,
    size: watch::Receiver<u64>,
}

/// The log, from its first entry to its signed head.
#[derive(Debug)]
pub struct AuditExport {
    broker: Broker,
    user: User,
    next: u64,
    size: u64,
    note: Option<String>,
}

impl Broker {
    /// Entries, newest first.
    pub async fn query_audit(
        &self,
        user: &User,
        query: AuditQuery,
        page: Page,
    ) -> Result<Paged<StoredEntry>, Refused> {
        let before = page_start(&page)?;
        let filter = self.filter(user, &query).await?;
        self.note_query(user, &query, None).await?;
        self.look("query_audit", move |reader| {
            let found = reader.audit_entries(&filter, before, page.wanted())?;
            let next = found.next.map(|seq| seq.to_string()).unwrap_or_default();
            Ok(Paged { items: found.entries, next })
        })
        .await
    }

    /// The newest entries about one approval, 100 at most, the newest first. Whoever may see the
    /// approval sees most of it there: that they look is no query of the log, and no entry.
    pub async fn entries_about(
        &self,
        user: &User,
        approval: ApprovalId,
    ) -> Result<Vec<StoredEntry>, Refused> {
        let query = AuditQuery { approval: Some(approval.to_string()), ..AuditQuery::default() };
        let filter = self.filter(user, &query).await?;
        self.look("entries_about", move |reader| {
            Ok(reader.audit_entries(&filter, None, ENTRIES_ABOUT_MAX)?.entries)
        })
        .await
    }

    /// Counts of entries by one field, most frequent first.
    pub async fn group_audit(
        &self,
        user: &User,
        query: AuditQuery,
        by: &str,
    ) -> Result<Vec<(String, u64)>, Refused> {
        let group = group_by(by)?;
        let filter = self.filter(user, &query).await?;
        self.note_query(user, &query, Some(by)).await?;
        self.look("group_audit", move |reader| Ok(reader.audit_groups(&filter, group)?)).await
    }

    /// Each entry as it is committed, after the `last` ones of the past.
    pub async fn tail_audit(
        &self,
        user: &User,
        query: AuditQuery,
        last: u32,
    ) -> Result<AuditTail, Refused> {
        let filter = self.filter(user, &query).await?;
        self.note_query(user, &query, Some("tail")).await?;
        let size = self.inner.store.audit_size();
        let (wanted, shown) = (last.min(TAIL_LAST_MAX), filter.clone());
        let (seen, past) = self
            .look("tail_audit", move |reader| {
                let size = reader.audit_head()?.size;
                if wanted == 0 {
                    return Ok((size, Vec::new()));
                }
                Ok((size, reader.audit_entries(&shown, Some(size), wanted)?.entries))
            })
            .await?;
        let ready = past.into_iter().rev().collect();
        Ok(AuditTail { broker: self.clone(), user: user.clone(), filter, seen, ready, size })
    }

    /// The exact lines that were hashed, and what proves them.
    pub async fn export_audit(&self, user: &User) -> Result<AuditExport, Refused> {
        let subject = entries::by_user(Action::AUDIT_EXPORTED, user);
        let (caller, entry) = (user.clone(), subject.clone());
        self.run("export_audit", subject, move |tx| {
            live_user(tx, &caller)?;
            tx.append(&entry)?;
            Ok(())
        })
        .await?;
        let head = self.look("audit_head", |reader| Ok(reader.audit_head()?)).await?;
        Ok(AuditExport {
            broker: self.clone(),
            user: user.clone(),
            next: 0,
            size: head.size,
            note: Some(head.note),
        })
    }

    /// The newest signed checkpoint, and the key it is signed with.
    pub async fn show_checkpoint(&self, user: &User) -> Result<(String, String), Refused> {
        let user = user.clone();
        let head = self
            .look("show_checkpoint", move |reader| {
                live_user(reader, &user)?;
                Ok(reader.audit_head()?)
            })
            .await?;
        Ok((head.note, self.verifier_key()))
    }

    fn verifier_key(&self) -> String {
        self.inner.vault.signer().verifier_key().to_string()
    }

    async fn note_query(
        &self,
        user: &User,
        query: &AuditQuery,
        by: Option<&str>,
    ) -> Result<(), Refused> {
        let subject = entries::by_user(Action::AUDIT_QUERIED, user);
        let entry = described(subject.clone(), query, by);
        self.run("note_query", subject, move |tx| {
            tx.append(&entry)?;
            Ok(())
        })
        .await
    }

    pub(super) async fn filter(&self, user: &User, query: &AuditQuery) -> Result<Filter, Refused> {
        let (user, query) = (user.clone(), query.clone());
        self.look("audit_filter", move |reader| {
            live_user(reader, &user)?;
            project_named(reader, &user, query.project.as_deref())?;
            filter(reader, &user.reach, query)
        })
        .await
    }
}

impl AuditTail {
    /// What comes next; nothing once the daemon stops.
    pub async fn next(&mut self) -> Option<Result<StoredEntry, Refused>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(Ok(entry));
            }
            if *self.size.borrow_and_update() > self.seen {
                if let Err(refused) = self.look().await {
                    return Some(Err(refused));
                }
                continue;
            }
            let draining = self.broker.draining();
            tokio::select! {
                changed = self.size.changed() => if changed.is_err() { return None },
                () = draining.cancelled() => return None,
            }
        }
    }

    /// Reads what was added since the last look, in whole, page by page.
    async fn look(&mut self) -> Result<(), Refused> {
        let (user, filter, from) = (self.user.clone(), self.filter.clone(), self.seen);
        let (size, entries) = self
            .broker
            .look("tail_audit", move |reader| {
                live_user(reader, &user)?;
                let size = reader.audit_head()?.size;
                let mut all = Vec::new();
                let mut before = Some(size);
                while before.is_some_and(|before| before > from) {
                    let page = reader.audit_entries(&filter, before, 500)?;
                    let reached = page.entries.last().is_some_and(|entry| entry.seq < from);
                    all.extend(page.entries.into_iter().filter(|entry| entry.seq >= from));
                    before = page.next.filter(|_| !reached);
                }
                all.reverse();
                Ok((size, all))
            })
            .await?;
        self.seen = size;
        self.ready.extend(entries);
        Ok(())
    }
}

impl AuditExport {
    /// The next piece: lines, at last the checkpoint, then nothing.
    pub async fn next(&mut self) -> Option<Result<ExportPart, Refused>> {
        if self.next >= self.size {
            let note = self.note.take()?;
            let verifier_key = self.broker.verifier_key();
            return Some(Ok(ExportPart::Checkpoint { note, verifier_key }));
        }
        let (user, from) = (self.user.clone(), self.next);
        let left = self.size.saturating_sub(from);
        let limit = u32::try_from(left).unwrap_or(u32::MAX).min(EXPORT_LINES);
        let lines = self.broker.look("export_audit", move |reader| {
            live_user(reader, &user)?;
            Ok(reader.audit_lines(from, limit)?)
        });
        let lines = match lines.await {
            Ok(lines) if !lines.is_empty() => lines,
            // Entries are never deleted: where the next one is not there, nothing is proved.
            Ok(_) => return Some(Err(Refused::internal())),
            Err(refused) => return Some(Err(refused)),
        };
        self.next = from.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        Some(Ok(ExportPart::Lines(bytes)))
    }
}

/// What the log says of a query.
pub(super) fn described(mut entry: Entry, query: &AuditQuery, by: Option<&str>) -> Entry {
    let text = |value: Option<&str>| value.map(|text| echo(text, 200));
    for (name, value) in [
        ("actor", text(query.actor.as_deref())),
        ("action", text(query.action.as_deref())),
        ("resource", text(query.resource.as_deref())),
        ("approval", text(query.approval.as_deref())),
        ("outcome", text(query.outcome.as_deref())),
        ("since", query.since.map(|time| time.rfc3339())),
        ("until", query.until.map(|time| time.rfc3339())),
        ("by", text(by)),
    ] {
        if let Some(value) = value {
            entry = entry.detail(name, value);
        }
    }
    entry
}

/// What entries can be counted by.
pub(super) fn group_by(word: &str) -> Result<GroupBy, Refused> {
    Ok(match word {
        "actor" => GroupBy::Actor,
        "action" => GroupBy::Action,
        "resource" => GroupBy::Resource,
        "outcome" => GroupBy::Outcome,
        "day" => GroupBy::Day,
        _ => {
            return Err(Refused::invalid(
                format!("entries are not counted by `{}`", echo(word, 40)),
                "Count by actor, action, resource, outcome or day.",
            ));
        }
    })
}

pub(super) fn page_start(page: &Page) -> Result<Option<u64>, Refused> {
    if page.token.is_empty() {
        return Ok(None);
    }
    page.token.parse().map(Some).map_err(|_| {
        Refused::invalid("the page token is not one of ours", "Begin again without a page token.")
    })
}

/// What a query means for somebody who may look into these projects.
pub(super) fn filter(
    reader: &Reader<'_>,
    reach: &Reach,
    query: AuditQuery,
) -> Result<Filter, Stop> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let approval = match given(query.approval) {
        Some(id) => Some(approvals::find_covered(reader, reach, &id)?.ask().id),
        None => None,
    };
    Ok(Filter {
        since: query.since,
        until: query.until,
        actor: given(query.actor),
        action: given(query.action).map(|text| action(&text)).transpose()?,
        resource: given(query.resource).map(|text| resource(&text)).transpose()?,
        approval,
        outcome: given(query.outcome).map(|text| outcome(&text)).transpose()?,
        project: given(query.project),
        within: within(reader, reach)?,
    })
}

/// The projects of a reach, by name; none where it is everywhere.
fn within(reader: &Reader<'_>, reach: &Reach) -> Result<Option<Vec<String>>, Stop> {
    let Reach::Projects(projects) = reach else { return Ok(None) };
    let all = reader.projects()?.into_iter();
    let covered = all.filter(|project| projects.contains(&project.id));
    Ok(Some(covered.map(|project| project.name.to_string()).collect()))
}

fn action(text: &str) -> Result<ActionFilter, Refused> {
    if let Some(kind) = text.strip_suffix(".*") {
        let known =
            Action::ALL.iter().any(|action| action.as_str().split('.').next() == Some(kind));
        if known {
            return Ok(ActionFilter::Kind(kind.to_owned()));
        }
    }
    if Action::parse(text).is_some() {
        return Ok(ActionFilter::Exact(text.to_owned()));
    }
    Err(Refused::invalid(
        format!("the log knows no action `{}`", echo(text, 60)),
        "Actions are such as secret.read or approval.voted; secret.* takes all of a kind.",
    ))
}

fn outcome(text: &str) -> Result<Outcome, Refused> {
    [Outcome::Ok, Outcome::Refused, Outcome::Failed]
        .into_iter()
        .find(|outcome| outcome.as_str() == text)
        .ok_or_else(|| {
            Refused::invalid(
                format!("`{}` is no outcome", echo(text, 40)),
                "Outcomes are ok, refused and failed.",
            )
        })
}

fn resource(text: &str) -> Result<ResourceFilter, Refused> {
    if text.parse::<Resource>().is_ok() {
        return Ok(ResourceFilter::Exact(text.to_owned()));
    }
    let pattern: Pattern =
        text.parse().map_err(|error: vouchsafe_core::resource::PatternError| {
            Refused::invalid(error.to_string(), "Write it as vouchsafe://secrets/production/**.")
        })?;
    let prefix = text.split('*').next().unwrap_or_default().to_owned();
    let matches =
        move |uri: &str| uri.parse::<Resource>().is_ok_and(|resource| pattern.matches(&resource));
    Ok(ResourceFilter::Pattern { prefix, matches: Arc::new(matches) })
}

/// The size that a signed note speaks of.
pub(super) fn size_of(note: &str, broker: &Broker) -> Option<u64> {
    let signer = broker.inner.vault.signer();
    Checkpoint::open(note.as_bytes(), signer.verifier_key()).ok().map(|checkpoint| checkpoint.size)
}
