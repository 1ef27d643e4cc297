//! One person's word on an approval, and what comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::{ApprovalDigest, Ask};
use super::{Approval, Approved, Denied, Granted, Limits, Pending};
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
    /// Good for one use, or for a lease.
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
}

/// How far one rule's quorum has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The rule.
    pub rule: String,
    /// Who may answer by it, as the rule names them.
    pub approvers: Vec<String>,
    /// How many different people it needs.
    pub quorum: u32,
    /// Whether the key's owner may be one of them.
    pub self_approval: bool,
    /// How many have approved.
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
    if pending.ask.deadline.passed(now) {
        return Err(VoteError::Expired);
    }
    if vote.digest != pending.ask.digest() {
        return Err(VoteError::Stale);
    }
    match &vote.ballot {
        Ballot::Deny => {
            check_denier(&pending, &vote, people)?;
            Ok(deny(pending, vote))
        }
        Ballot::Approve(narrowing) => {
            if let Standing::MayNot(bar) = standing(&pending, &vote.voter_name, people) {
                return Err(VoteError::Barred(bar));
            }
            check_narrowing(&pending.ask, &vote.voter_name, narrowing, people)?;
            approve(pending, vote, people, now)
        }
    }
}

pub(super) fn standing(pending: &Pending, name: &str, people: &Directory) -> Standing {
    if pending.votes.iter().any(|vote| vote.voter_name == name) {
        return Standing::MayNot(Bar::AlreadyVoted);
    }
    let ask = &pending.ask;
    if ask.items.iter().any(|item| counts(ask, &item.rule, name, people)) {
        return Standing::MayVote;
    }
    let named = ask.items.iter().any(|item| is_named(&item.rule, name, people));
    if named || ask.asker.owner_name == name {
        Standing::MayNot(Bar::OwnRequest)
    } else {
        Standing::MayNot(Bar::NotAnApprover)
    }
}

/// How far each rule's quorum has come with these votes.
pub fn progress(ask: &Ask, votes: &[Vote], people: &Directory) -> Vec<Progress> {
    let mut all: Vec<Progress> = Vec::new();
    for (index, item) in ask.items.iter().enumerate() {
        let rule = &item.rule;
        let Some(quorum) = rule.quorum() else { continue };
        if all.iter().any(|progress| progress.rule == rule.name.as_str()) {
            continue;
        }
        let met = approvers_of(ask, index, votes, people).count();
        all.push(Progress {
            rule: rule.name.to_string(),
            approvers: quorum.approvers.iter().map(ToString::to_string).collect(),
            quorum: quorum.count,
            self_approval: quorum.self_approval,
            met: u32::try_from(met).unwrap_or(u32::MAX),
        });
    }
    all
}

/// A denial is safe: the key's owner may give one too, if a rule names them.
fn check_denier(pending: &Pending, vote: &Vote, people: &Directory) -> Result<(), VoteError> {
    match standing(pending, &vote.voter_name, people) {
        Standing::MayVote => Ok(()),
        Standing::MayNot(Bar::OwnRequest)
            if pending.ask.items.iter().any(|i| is_named(&i.rule, &vote.voter_name, people)) =>
        {
            Ok(())
        }
        Standing::MayNot(bar) => Err(VoteError::Barred(bar)),
    }
}

fn deny(pending: Pending, vote: Vote) -> Approval {
    let Pending { ask, mut votes } = pending;
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
    ask: &Ask,
    voter: &str,
    narrowing: &Narrowing,
    people: &Directory,
) -> Result<(), VoteError> {
    for resource in &narrowing.only {
        let item = ask.position(resource).and_then(|index| ask.items.get(index));
        let item = item.ok_or_else(|| VoteError::NotAsked(resource.clone()))?;
        if !counts(ask, &item.rule, voter, people) {
            return Err(VoteError::NotYours(resource.clone()));
        }
    }
    let limits = ask.items.iter().map(|item| Limits::of(&item.rule, ask.requested));
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
    let Pending { ask, mut votes } = pending;
    votes.push(vote);
    let mut granted = Vec::new();
    let mut open = 0_usize;
    for (index, item) in ask.items.iter().enumerate() {
        if is_dropped(&ask, index, &votes, people) {
            continue;
        }
        let narrowings: Vec<_> = approvers_of(&ask, index, &votes, people).collect();
        // A rule that asks nobody has no part in an ask; if it had, nobody could answer it.
        let needed = item.rule.quorum().map_or(usize::MAX, |quorum| {
            usize::try_from(quorum.count.max(1)).unwrap_or(usize::MAX)
        });
        if narrowings.len() < needed {
            open += 1;
            continue;
        }
        let limits = Limits::of(&item.rule, ask.requested);
        let limits = narrowings.into_iter().fold(limits, Limits::narrowed);
        granted.push(Granted { item: index, limits });
    }
    if open > 0 {
        return Ok(Approval::Pending(Pending { ask, votes }));
    }
    if granted.is_empty() {
        return Err(VoteError::NothingInCommon);
    }
    Ok(Approval::Approved(Approved { ask, votes, granted, at: now.wall }))
}

impl Limits {
    /// Never longer, never more.
    fn narrowed(self, by: &Narrowing) -> Self {
        let once = self.once || by.kind == GrantKind::Once;
        let uses = match (self.uses, by.uses) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let duration = by.duration.map_or(self.duration, |d| d.min(self.duration));
        Self {
            duration,
            // A length that an approver chose is what renewals may reach, too.
            max: by.duration.map_or(self.max, |_| self.max.min(duration)),
            uses: if once { Some(1) } else { uses },
            once,
        }
    }
}

/// The approving votes that count for an item, with the limits each set.
fn approvers_of<'a>(
    ask: &'a Ask,
    index: usize,
    votes: &'a [Vote],
    people: &'a Directory,
) -> impl Iterator<Item = &'a Narrowing> {
    let item = ask.items.get(index);
    votes.iter().filter_map(move |vote| match &vote.ballot {
        Ballot::Approve(narrowing) => {
            let item = item?;
            let chosen = narrowing.only.is_empty() || narrowing.only.contains(&item.resource);
            (chosen && counts(ask, &item.rule, &vote.voter_name, people)).then_some(narrowing)
        }
        Ballot::Deny => None,
    })
}

/// Whether somebody who has a say in an item left it out.
fn is_dropped(ask: &Ask, index: usize, votes: &[Vote], people: &Directory) -> bool {
    let Some(item) = ask.items.get(index) else { return true };
    votes.iter().any(|vote| match &vote.ballot {
        Ballot::Approve(narrowing) => {
            !narrowing.only.is_empty()
                && !narrowing.only.contains(&item.resource)
                && counts(ask, &item.rule, &vote.voter_name, people)
        }
        Ballot::Deny => false,
    })
}

/// Whether this person's yes counts by this rule: named by it, in good standing, and not the
/// owner of the key that asks unless the rule allows it.
fn counts(ask: &Ask, rule: &Rule, name: &str, people: &Directory) -> bool {
    let owner = ask.asker.owner_name == name;
    rule.quorum().is_some_and(|quorum| !owner || quorum.self_approval)
        && is_named(rule, name, people)
}

fn is_named(rule: &Rule, name: &str, people: &Directory) -> bool {
    rule.quorum().is_some_and(|quorum| eligible(&quorum.approvers, people).contains(name))
}
