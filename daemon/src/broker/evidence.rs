//! What happened before an ask, and what has happened to its resources since: what a person needs
//! to answer well.
//!
//! It is worked out when one approval is shown, not for lists, and reads so much at most for each
//! resource, however long the history is.

use std::collections::{BTreeMap, BTreeSet};

use vouchsafe_core::approval::{
    Approval, Approved, Ask, Ballot, How, Item, Pending, Standing, Status,
};
use vouchsafe_core::id::{ApprovalId, SecretId};
use vouchsafe_core::policy::{Directory, eligible};
use vouchsafe_core::resource::Resource;
use vouchsafe_core::route::Channel;
use vouchsafe_core::time::{Now, UnixTime};

use super::messages::not_told;
use super::{ApprovalView, Broker, Evidence, PastDecision, Refused, Stop};
use crate::store::{PastAsk, Reader};

/// Asks about a resource that are looked at, the newest.
const ASKS_MAX: u32 = 200;
/// Decisions that are told.
const DECISIONS_MAX: usize = 5;
/// People that are named.
const PEOPLE_MAX: usize = 50;

impl Broker {
    /// The same approval with what happened before it. Where that cannot be found out, the approval
    /// is shown without.
    pub(super) async fn with_evidence(&self, mut view: ApprovalView) -> ApprovalView {
        let (approval, now) = (view.approval.clone(), self.now());
        let channels = self.inner.settings.channels.clone();
        let found: Result<_, Refused> =
            self.look("evidence", move |reader| evidence(reader, &approval, &channels, &now)).await;
        view.evidence = found.ok();
        view
    }
}

/// What happened before an ask.
fn evidence(
    reader: &Reader<'_>,
    approval: &Approval,
    channels: &[Channel],
    now: &Now,
) -> Result<Evidence, Stop> {
    let ask = approval.ask();
    // What is settled is shown with what there was when it was asked.
    let until = match approval {
        Approval::Pending(_) => UnixTime::from_ms(i64::MAX),
        Approval::Approved(_)
        | Approval::Denied(_)
        | Approval::Expired(_)
        | Approval::Withdrawn(_) => ask.asked_at,
    };
    let mut about = Vec::new();
    for item in &ask.items {
        about.push(reader.asks_about(ask.project, &item.resource, until, ASKS_MAX)?);
    }
    let mut evidence = counts(reader, ask, &about)?;
    evidence.decisions = decisions(reader, ask, &about)?;
    if let Approval::Pending(pending) = approval {
        let people = reader.directory(ask.project)?;
        let names = who_may_answer(pending, &people, now);
        evidence.not_told = not_told(reader, pending, &names, channels)?;
        evidence.not_told.truncate(PEOPLE_MAX);
        evidence.may_answer = names.into_iter().take(PEOPLE_MAX).collect();
        evidence.moved_on = moved_on(reader, ask)?;
    }
    Ok(evidence)
}

/// How often the same key asked for all of it before.
fn counts(reader: &Reader<'_>, ask: &Ask, about: &[Vec<PastAsk>]) -> Result<Evidence, Stop> {
    let capped = about.iter().any(|asks| asks.len() >= usize::try_from(ASKS_MAX).unwrap_or(0));
    let mut evidence = Evidence { capped, ..Evidence::default() };
    let (Some(key), Some((first, others))) = (ask.asker.key, about.split_first()) else {
        return Ok(evidence);
    };
    let others: Vec<BTreeSet<ApprovalId>> =
        others.iter().map(|asks| asks.iter().map(|past| past.id).collect()).collect();
    let same = first.iter().filter(|past| {
        past.key == Some(key)
            && past.id != ask.id
            && past.asked_at < ask.asked_at
            && others.iter().all(|ids| ids.contains(&past.id))
    });
    for past in same {
        if reader.asked_to(past.id)? != Some(ask.operation) {
            continue;
        }
        evidence.asked = evidence.asked.saturating_add(1);
        match past.status {
            Status::Approved => {
                evidence.approved = evidence.approved.saturating_add(1);
                evidence.last_approved_at = evidence.last_approved_at.max(past.settled_at);
            }
            Status::Denied => evidence.denied = evidence.denied.saturating_add(1),
            Status::Pending | Status::Expired | Status::Withdrawn => {}
        }
    }
    Ok(evidence)
}

/// The last decisions on any of it.
fn decisions(
    reader: &Reader<'_>,
    ask: &Ask,
    about: &[Vec<PastAsk>],
) -> Result<Vec<PastDecision>, Stop> {
    let mut decided = BTreeMap::new();
    for past in about.iter().flatten().filter(|past| past.id != ask.id) {
        if let (Status::Approved | Status::Denied, Some(at)) = (past.status, past.settled_at) {
            decided.insert((at, past.asked_at, past.id), past.id);
        }
    }
    let mut told = Vec::new();
    for id in decided.into_values().rev().take(DECISIONS_MAX) {
        told.extend(reader.approval(id)?.and_then(|approval| decision(&approval)));
    }
    Ok(told)
}

fn decision(approval: &Approval) -> Option<PastDecision> {
    let (by, at, reason) = match approval {
        Approval::Approved(approved) => (approved_by(approved), approved.at, String::new()),
        Approval::Denied(denied) => (denied.by.clone(), denied.at, denied.reason.clone()),
        Approval::Pending(_) | Approval::Expired(_) | Approval::Withdrawn(_) => return None,
    };
    let ask = approval.ask();
    Some(PastDecision {
        approval: ask.id,
        key_name: ask.asker.key_name.clone(),
        operation: ask.operation,
        status: approval.status(),
        by,
        at,
        reason,
    })
}

fn approved_by(approved: &Approved) -> String {
    match &approved.how {
        How::People => {
            let yes =
                approved.votes.iter().filter(|vote| matches!(vote.ballot, Ballot::Approve(_)));
            yes.map(|vote| vote.voter_name.as_str()).collect::<Vec<_>>().join(", ")
        }
        How::Automatic { .. } => "its rule".to_owned(),
        How::Session { .. } => "a session".to_owned(),
        How::BreakGlass { by, .. } => format!("{by}, who broke the glass"),
    }
}

/// The names of all whose answer would count now. Those whom no rule names are not even looked at.
pub(super) fn who_may_answer(pending: &Pending, people: &Directory, now: &Now) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for item in &pending.ask.items {
        let quorum = item.rule.quorum().map(vouchsafe_core::policy::Quorum::approvers);
        let also = item.rule.also_asked(pending.waited(now));
        let asked: Vec<_> = quorum.into_iter().flatten().chain(also).cloned().collect();
        named.extend(eligible(&asked, people));
    }
    let counts = |name: &String| pending.standing(name, people, now) == Standing::MayVote;
    named.into_iter().filter(counts).collect()
}

/// What is not any more what was asked for.
fn moved_on(reader: &Reader<'_>, ask: &Ask) -> Result<Vec<String>, Stop> {
    let mut told = Vec::new();
    for item in &ask.items {
        let Resource::Secret(path) = &item.resource else { continue };
        let found = reader.secret_at(ask.project, path)?.map(|secret| (secret.id, secret.version));
        // A lease that follows a rotation is good for the next version, too.
        let follows = item.rule.follow_rotation && ask.change.is_none();
        if let Some(how) = moved(item, found, follows) {
            told.push(format!("{path} {how}"));
        }
    }
    Ok(told)
}

/// What has become of a secret; nothing where it is as it was.
fn moved(item: &Item, found: Option<(SecretId, u64)>, follows: bool) -> Option<String> {
    match (item.secret, found) {
        (None, Some((_, version))) => {
            Some(format!("is there now, at version {version}, and was not when it was asked for"))
        }
        (Some(_), None) => Some("is gone: it was deleted since".to_owned()),
        (Some(asked), Some((found, _))) if asked != found => {
            Some("was deleted and made anew since".to_owned())
        }
        (Some(_), Some((_, version))) if version != item.version && !follows => {
            Some(format!("is at version {version} now, and {} was asked for", item.version))
        }
        (None, None) | (Some(_), Some(_)) => None,
    }
}
