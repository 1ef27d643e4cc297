//! One person's word on an approval, and what comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::{ApprovalDigest, Ask};
use super::{Approval, Approved, Denied, Granted, How, Limits, Pending};
use crate::id::UserId;
use crate::policy::{Directory, Rule, eligible};
use crate::resource::Resource;
use crate::time::{Now, UnixTime, format_duration};

/// One person's word, as it is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Vote {
    /// Who gave it.
    pub voter: UserId,
    /// Their name.
    pub voter_name: String,
    /// What they said.
    pub ballot: Ballot,
    /// Why, in their words.
    pub reason: String,
    /// The digest of what they saw.
    pub digest: ApprovalDigest,
    /// SHA-256, hex, of the rendering they answered on, where the channel told.
    pub rendering: Option<String>,
    /// The door it came through.
    pub via: String,
    /// When.
    pub at: UnixTime,
}

/// What a person says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ballot {
    /// Yes, within these limits.
    Approve(Narrowing),
    /// No.
    Deny,
}

/// How an approver makes less of what was asked.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Narrowing {
    /// A lease of this length at most.
    pub duration: Option<Duration>,
    /// This many uses at most.
    pub uses: Option<u32>,
    /// Good for one use, for a lease, or for a session.
    pub kind: GrantKind,
    /// Only these resources; empty: all of them.
    pub only: BTreeSet<Resource>,
}

/// What an approval is good for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantKind {
    /// One use.
    Once,
    /// Until the lease ends.
    #[default]
    Lease,
    /// Until the lease ends, and again without asking for the key's session time: the same rule and
    /// operation. Only where the rule allows it, and where everybody who approved says so.
    Session,
}

/// How far one rule's quorum has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The rule.
    pub rule: String,
    /// Each kind of people it asks, in the rule's order; all of them are needed.
    pub factors: Vec<FactorProgress>,
    /// Whether the key's owner may be one of them.
    pub self_approval: bool,
    /// Who may answer as well, since nobody did in time; as the rule names them.
    pub also: Vec<String>,
}

/// How far one factor of a quorum has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FactorProgress {
    /// Who may answer, as the rule names them.
    pub from: Vec<String>,
    /// How many different people it needs.
    pub count: u32,
    /// How many have approved, each of them counted once over all factors.
    pub met: u32,
}

/// Whether a person's answer would count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It would.
    MayVote,
    /// It would not, for this reason.
    MayNot(Bar),
}

/// Why a person's answer would not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Bar {
    /// They own the key that asks.
    #[error("the key that asks is their own, and the rule does not allow self-approval")]
    OwnRequest,
    /// No rule of the ask names them.
    #[error("no rule of this ask names them as an approver")]
    NotAnApprover,
    /// They have answered.
    #[error("they have answered already, and a vote is final")]
    AlreadyVoted,
}

/// Why a vote was not taken. It changed nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VoteError {
    /// The time to answer is over.
    #[error("the approval has expired")]
    Expired,
    /// Everything is stopped, and with it the clock of this approval. A denial is taken.
    #[error("it is stopped, and nothing is approved until somebody resumes")]
    Stopped,
    /// Somebody would have it remembered, and a rule does not allow that.
    #[error("the rule `{0}` does not let an approval be remembered for a session")]
    NotRemembered(String),
    /// The voter saw something else.
    #[error("the answer was given on something other than what is asked")]
    Stale,
    /// The voter has no say.
    #[error("the vote does not count")]
    Barred(#[source] Bar),
    /// A duration longer than what was asked and the rule allows.
    #[error("a lease may be made shorter, not longer: {max} at most", max = format_duration(*.0))]
    TooLong(Duration),
    /// No time at all.
    #[error("a lease lasts at least a second")]
    TooShort,
    /// A change gives no lease that could be made less.
    #[error("a change is made once, when it is approved: it has no duration and no uses")]
    NoLease,
    /// More uses than the rule allows.
    #[error("uses may be made fewer, not more: {0} at most")]
    TooManyUses(u32),
    /// A resource that was not asked for.
    #[error("`{0}` is not part of this ask")]
    NotAsked(Resource),
    /// A resource that the voter has no say in.
    #[error("`{0}` is governed by a rule that does not name you as an approver")]
    NotYours(Resource),
    /// Nothing that all approvers agree on.
    #[error("the approvers' choices have no resource in common")]
    NothingInCommon,
}

pub(super) fn cast(
    pending: Pending,
    vote: Vote,
    people: &Directory,
    now: &Now,
) -> Result<Approval, VoteError> {
    if pending.is_over(now) {
        return Err(VoteError::Expired);
    }
    if vote.digest != pending.ask.digest() {
        return Err(VoteError::Stale);
    }
    let waited = pending.waited(now);
    match &vote.ballot {
        Ballot::Deny => {
            check_denier(&pending, &vote, people, waited)?;
            Ok(deny(pending, vote))
        }
        Ballot::Approve(narrowing) => {
            if let Standing::MayNot(bar) = standing(&pending, &vote.voter_name, people, waited) {
                return Err(VoteError::Barred(bar));
            }
            if pending.is_stopped() {
                return Err(VoteError::Stopped);
            }
            let electorate = Electorate { ask: &pending.ask, people, waited };
            check_narrowing(&electorate, &vote.voter_name, narrowing)?;
            approve(pending, vote, people, now)
        }
    }
}

/// Who counts for what: the people there are, and how long the ask has waited.
#[derive(Clone, Copy)]
struct Electorate<'a> {
    ask: &'a Ask,
    people: &'a Directory,
    waited: Duration,
}

impl<'a> Electorate<'a> {
    /// Whether this person's yes counts by this rule: named by it, in good standing, and not the
    /// owner of the key that asks unless the rule allows it.
    fn counts(&self, rule: &Rule, name: &str) -> bool {
        let owner = self.ask.asker.owner_name == name;
        rule.quorum().is_some_and(|quorum| !owner || quorum.self_approval)
            && self.is_named(rule, name)
    }

    fn is_named(&self, rule: &Rule, name: &str) -> bool {
        rule.quorum().is_some_and(|quorum| quorum.names(name, self.people))
            || rule.quorum().is_some()
                && eligible(rule.also_asked(self.waited), self.people).contains(name)
    }

    /// The approving votes that count for an item, with the limits each set.
    fn approvers_of(&self, index: usize, votes: &'a [Vote]) -> Vec<(&'a str, &'a Narrowing)> {
        let Some(item) = self.ask.items.get(index) else { return Vec::new() };
        let approving = votes.iter().filter_map(|vote| match &vote.ballot {
            Ballot::Approve(narrowing) => Some((vote.voter_name.as_str(), narrowing)),
            Ballot::Deny => None,
        });
        approving
            .filter(|(name, narrowing)| {
                let chosen = narrowing.only.is_empty() || narrowing.only.contains(&item.resource);
                chosen && self.counts(&item.rule, name)
            })
            .collect()
    }

    /// Whether somebody who has a say in an item left it out.
    fn is_dropped(&self, index: usize, votes: &[Vote]) -> bool {
        let Some(item) = self.ask.items.get(index) else { return true };
        votes.iter().any(|vote| match &vote.ballot {
            Ballot::Approve(narrowing) => {
                !narrowing.only.is_empty()
                    && !narrowing.only.contains(&item.resource)
                    && self.counts(&item.rule, &vote.voter_name)
            }
            Ballot::Deny => false,
        })
    }
}

pub(super) fn standing(
    pending: &Pending,
    name: &str,
    people: &Directory,
    waited: Duration,
) -> Standing {
    if pending.votes.iter().any(|vote| vote.voter_name == name) {
        return Standing::MayNot(Bar::AlreadyVoted);
    }
    let ask = &pending.ask;
    let electorate = Electorate { ask, people, waited };
    if ask.items.iter().any(|item| electorate.counts(&item.rule, name)) {
        return Standing::MayVote;
    }
    let named = ask.items.iter().any(|item| electorate.is_named(&item.rule, name));
    if named || ask.asker.owner_name == name {
        Standing::MayNot(Bar::OwnRequest)
    } else {
        Standing::MayNot(Bar::NotAnApprover)
    }
}

/// How far each rule's quorum has come with these votes, when the ask has waited so long.
pub fn progress(ask: &Ask, votes: &[Vote], people: &Directory, waited: Duration) -> Vec<Progress> {
    let electorate = Electorate { ask, people, waited };
    let named = |who: &[crate::policy::ApproverRef]| {
        who.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut all: Vec<Progress> = Vec::new();
    for (index, item) in ask.items.iter().enumerate() {
        let rule = &item.rule;
        let Some(quorum) = rule.quorum() else { continue };
        if all.iter().any(|progress| progress.rule == rule.name.as_str()) {
            continue;
        }
        let voters: Vec<_> =
            electorate.approvers_of(index, votes).into_iter().map(|(name, _)| name).collect();
        let also = rule.also_asked(waited);
        let filled = quorum.filled(&voters, also, people);
        let factors = quorum.factors.iter().zip(filled).map(|(factor, met)| FactorProgress {
            from: named(&factor.from),
            count: factor.count,
            met,
        });
        all.push(Progress {
            rule: rule.name.to_string(),
            factors: factors.collect(),
            self_approval: quorum.self_approval,
            also: named(also),
        });
    }
    all
}

/// A denial is safe: the key's owner may give one too, if a rule names them.
fn check_denier(
    pending: &Pending,
    vote: &Vote,
    people: &Directory,
    waited: Duration,
) -> Result<(), VoteError> {
    let electorate = Electorate { ask: &pending.ask, people, waited };
    match standing(pending, &vote.voter_name, people, waited) {
        Standing::MayVote => Ok(()),
        Standing::MayNot(Bar::OwnRequest)
            if pending
                .ask
                .items
                .iter()
                .any(|item| electorate.is_named(&item.rule, &vote.voter_name)) =>
        {
            Ok(())
        }
        Standing::MayNot(bar) => Err(VoteError::Barred(bar)),
    }
}

fn deny(pending: Pending, vote: Vote) -> Approval {
    let Pending { ask, mut votes, .. } = pending;
    let denied = Denied {
        by: vote.voter_name.clone(),
        reason: vote.reason.clone(),
        at: vote.at,
        ask,
        votes: {
            votes.push(vote);
            votes
        },
    };
    Approval::Denied(denied)
}

fn check_narrowing(
    electorate: &Electorate<'_>,
    voter: &str,
    narrowing: &Narrowing,
) -> Result<(), VoteError> {
    let ask = electorate.ask;
    for resource in &narrowing.only {
        let item = ask.position(resource).and_then(|index| ask.items.get(index));
        let item = item.ok_or_else(|| VoteError::NotAsked(resource.clone()))?;
        if !electorate.counts(&item.rule, voter) {
            return Err(VoteError::NotYours(resource.clone()));
        }
    }
    if narrowing.kind == GrantKind::Session {
        let chosen = ask
            .items
            .iter()
            .filter(|item| narrowing.only.is_empty() || narrowing.only.contains(&item.resource));
        let mut chosen = chosen.filter(|item| electorate.counts(&item.rule, voter));
        if let Some(item) = chosen.find(|item| !item.rule.remember) {
            return Err(VoteError::NotRemembered(item.rule.name.to_string()));
        }
    }
    let narrows_lease = narrowing.duration.is_some() || narrowing.uses.is_some();
    if narrows_lease && !ask.operation.is_leased() {
        return Err(VoteError::NoLease);
    }
    let limits =
        ask.items.iter().map(|item| Limits::approved(&item.rule, ask.operation, ask.requested));
    if let Some(duration) = narrowing.duration {
        let longest = limits.clone().map(|limits| limits.duration).max().unwrap_or_default();
        if duration > longest {
            return Err(VoteError::TooLong(longest));
        }
        if duration < Duration::from_secs(1) {
            return Err(VoteError::TooShort);
        }
    }
    // Where one item's uses are not limited, any number is fewer.
    let most = limits.map(|limits| limits.uses).reduce(|a, b| Some(a?.max(b?))).flatten();
    match (narrowing.uses, most) {
        (Some(0), _) => Err(VoteError::TooManyUses(0)),
        (Some(uses), Some(most)) if uses > most => Err(VoteError::TooManyUses(most)),
        _ => Ok(()),
    }
}

fn approve(
    pending: Pending,
    vote: Vote,
    people: &Directory,
    now: &Now,
) -> Result<Approval, VoteError> {
    let waited = pending.waited(now);
    let mut pending = pending;
    pending.votes.push(vote);
    let mut granted = Vec::new();
    let mut open = 0_usize;
    let Pending { ask, votes, .. } = &pending;
    let electorate = Electorate { ask, people, waited };
    for (index, item) in ask.items.iter().enumerate() {
        if electorate.is_dropped(index, votes) {
            continue;
        }
        let approvers = electorate.approvers_of(index, votes);
        let names: Vec<_> = approvers.iter().map(|(name, _)| *name).collect();
        let also = item.rule.also_asked(waited);
        // A rule that asks nobody has no part in an ask; if it had, nobody could answer it.
        let enough = item.rule.quorum().is_some_and(|quorum| quorum.is_met(&names, also, people));
        if !enough {
            open += 1;
            continue;
        }
        let limits = Limits::approved(&item.rule, ask.operation, ask.requested);
        let limits = Limits { remember: item.rule.remember, ..limits };
        let narrowings = approvers.into_iter().map(|(_, narrowing)| narrowing);
        let limits = narrowings.fold(limits, Limits::narrowed);
        granted.push(Granted { item: index, limits });
    }
    if open > 0 {
        return Ok(Approval::Pending(pending));
    }
    if granted.is_empty() {
        return Err(VoteError::NothingInCommon);
    }
    let Pending { ask, votes, .. } = pending;
    Ok(Approval::Approved(Approved {
        ask,
        votes,
        granted,
        how: How::People,
        applied: None,
        at: now.wall,
    }))
}

impl Limits {
    /// Never longer, never more.
    fn narrowed(self, by: &Narrowing) -> Self {
        let duration = by.duration.map_or(self.duration, |d| d.min(self.duration));
        self.within(&Self {
            duration,
            // A length that an approver chose is what renewals may reach, too.
            max: by.duration.map_or(self.max, |_| duration),
            uses: by.uses,
            once: by.kind == GrantKind::Once,
            remember: by.kind == GrantKind::Session,
        })
    }
}
