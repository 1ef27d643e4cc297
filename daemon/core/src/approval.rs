//! The life of one approval, from the ask to its last state.
//!
//! `pending` → `approved`, `denied`, `expired` or `withdrawn`. A state is a struct of what is true
//! in it, and a transition consumes the state it leaves, so that an approval settles once.
//!
//! Each item of an ask is governed by one rule. An item is granted when as many different people
//! as that rule's quorum asks for have approved it, each of them entitled to by that rule at the
//! time of the decision; it is dropped when one of them left it out. The approval is approved when
//! each of its items is granted or dropped. One denial denies all of it.

mod ask;
mod vote;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::ask::{
    ARGUMENTS_BYTES_MAX, ApprovalDigest, Ask, Asker, DigestError, History, ITEMS_MAX, Item, JoinKey,
};
pub use self::vote::{
    Ballot, Bar, GrantKind, Narrowing, Progress, Standing, Vote, VoteError, progress,
};
use crate::id::{ApprovalId, KeyId, ProjectId};
use crate::policy::{Directory, Rule};
use crate::resource::Operation;
use crate::time::{Now, UnixTime};

/// An approval in any of its states.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Waiting for people.
    Pending(Pending),
    /// Enough people said yes.
    Approved(Approved),
    /// Somebody said no.
    Denied(Denied),
    /// Nobody said enough in time.
    Expired(Expired),
    /// The asker took it back.
    Withdrawn(Withdrawn),
}

/// An approval that people may still answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pending {
    /// What is asked.
    pub ask: Ask,
    /// The answers so far; all of them approve, or it would not be pending.
    pub votes: Vec<Vote>,
}

/// An approval that was given.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Approved {
    /// What was asked.
    pub ask: Ask,
    /// The answers that gave it.
    pub votes: Vec<Vote>,
    /// The items granted, by their place in the ask, and within which limits.
    pub granted: Vec<Granted>,
    /// When.
    pub at: UnixTime,
}

/// One item of an ask, granted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Granted {
    /// Its place in the ask's items.
    pub item: usize,
    /// The limits of its lease.
    pub limits: Limits,
}

/// How far a lease goes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Limits {
    /// How long it lasts from its issue.
    pub duration: Duration,
    /// How far renewals may take it from its issue.
    pub max: Duration,
    /// How often it may be used; none: not limited.
    pub uses: Option<u32>,
    /// Good for one use, not renewable.
    pub once: bool,
}

/// All that a lease is issued from.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// The project.
    pub project: ProjectId,
    /// That project's name.
    pub project_name: String,
    /// The approval; none where the rule asks nobody.
    pub approval: Option<ApprovalId>,
    /// The key it is for.
    pub holder: KeyId,
    /// That key's name.
    pub holder_name: String,
    /// What it is for.
    pub item: Item,
    /// What may be done with it.
    pub operation: Operation,
    /// How far it goes.
    pub limits: Limits,
}

/// An approval that was refused by a person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Denied {
    /// What was asked.
    pub ask: Ask,
    /// All answers, the denial last.
    pub votes: Vec<Vote>,
    /// Who denied it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    pub at: UnixTime,
}

/// An approval that ended without a decision.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Expired {
    /// What was asked.
    pub ask: Ask,
    /// The answers that were not enough.
    pub votes: Vec<Vote>,
    /// What ended it.
    pub cause: ExpiryCause,
    /// When.
    pub at: UnixTime,
}

/// What ended an approval that nobody decided.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryCause {
    /// Its time was up.
    Unanswered,
    /// The rules it was asked under no longer hold.
    RulesChanged,
    /// A secret it was about was deleted.
    SecretDeleted,
    /// The key that asked got another owner, and who may answer with it.
    OwnerChanged,
}

/// An approval that its asker took back, or that lost its asker.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Withdrawn {
    /// What was asked.
    pub ask: Ask,
    /// The answers so far.
    pub votes: Vec<Vote>,
    /// Who took it back.
    pub by: String,
    /// When.
    pub at: UnixTime,
}

/// Where an approval stands, in one word.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Status {
    /// Waiting for people.
    Pending,
    /// Enough people said yes.
    Approved,
    /// Somebody said no.
    Denied,
    /// Nobody said enough in time.
    Expired,
    /// The asker took it back.
    Withdrawn,
}

impl Status {
    /// Every status there is.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Withdrawn];

    /// The status as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl ExpiryCause {
    /// The cause, for people.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Unanswered => "nobody answered in time",
            Self::RulesChanged => "the rules it was asked under have changed; ask again",
            Self::SecretDeleted => "a secret it was about was deleted",
            Self::OwnerChanged => "the key that asked has another owner now; ask again",
        }
    }
}

impl Approval {
    /// Where it stands.
    pub fn status(&self) -> Status {
        match self {
            Self::Pending(_) => Status::Pending,
            Self::Approved(_) => Status::Approved,
            Self::Denied(_) => Status::Denied,
            Self::Expired(_) => Status::Expired,
            Self::Withdrawn(_) => Status::Withdrawn,
        }
    }

    /// What is or was asked.
    pub fn ask(&self) -> &Ask {
        match self {
            Self::Pending(Pending { ask, .. })
            | Self::Approved(Approved { ask, .. })
            | Self::Denied(Denied { ask, .. })
            | Self::Expired(Expired { ask, .. })
            | Self::Withdrawn(Withdrawn { ask, .. }) => ask,
        }
    }

    /// The answers so far.
    pub fn votes(&self) -> &[Vote] {
        match self {
            Self::Pending(Pending { votes, .. })
            | Self::Approved(Approved { votes, .. })
            | Self::Denied(Denied { votes, .. })
            | Self::Expired(Expired { votes, .. })
            | Self::Withdrawn(Withdrawn { votes, .. }) => votes,
        }
    }

    /// When it was settled, if it is.
    pub fn settled_at(&self) -> Option<UnixTime> {
        match self {
            Self::Pending(_) => None,
            Self::Approved(Approved { at, .. })
            | Self::Denied(Denied { at, .. })
            | Self::Expired(Expired { at, .. })
            | Self::Withdrawn(Withdrawn { at, .. }) => Some(*at),
        }
    }

    /// Why it is as it is, for people, where the status alone does not say it.
    pub fn outcome_reason(&self) -> String {
        match self {
            Self::Pending(_) | Self::Approved(_) => String::new(),
            Self::Denied(denied) => denied.reason.clone(),
            Self::Expired(expired) => expired.cause.explain().to_owned(),
            Self::Withdrawn(withdrawn) => format!("taken back by {}", withdrawn.by),
        }
    }
}

impl Pending {
    /// A new approval.
    pub fn new(ask: Ask) -> Self {
        Self { ask, votes: Vec::new() }
    }

    /// Takes one person's answer. `people` is the directory at this moment: an earlier vote whose
    /// giver has lost their standing since does not count.
    pub fn vote(self, vote: Vote, people: &Directory, now: &Now) -> Result<Approval, VoteError> {
        vote::cast(self, vote, people, now)
    }

    /// How far it has come, requirement by requirement.
    pub fn progress(&self, people: &Directory) -> Vec<Progress> {
        progress(&self.ask, &self.votes, people)
    }

    /// Whether this person's answer would count now.
    pub fn standing(&self, name: &str, people: &Directory) -> Standing {
        vote::standing(self, name, people)
    }

    /// Ends it if its time is up; otherwise it is as it was.
    pub fn expire(self, now: &Now) -> Approval {
        if self.ask.deadline.passed(now) {
            self.cut_short(ExpiryCause::Unanswered, now)
        } else {
            Approval::Pending(self)
        }
    }

    /// Ends it without a decision.
    pub fn cut_short(self, cause: ExpiryCause, now: &Now) -> Approval {
        Approval::Expired(Expired { ask: self.ask, votes: self.votes, cause, at: now.wall })
    }

    /// Takes it back.
    pub fn withdraw(self, by: impl Into<String>, now: &Now) -> Approval {
        Approval::Withdrawn(Withdrawn {
            ask: self.ask,
            votes: self.votes,
            by: by.into(),
            at: now.wall,
        })
    }
}

impl Approved {
    /// What leases are to be issued.
    pub fn allowances(&self) -> impl Iterator<Item = Allowance> {
        self.granted.iter().filter_map(|granted| {
            Some(Allowance {
                project: self.ask.project,
                project_name: self.ask.project_name.clone(),
                approval: Some(self.ask.id),
                holder: self.ask.asker.key,
                holder_name: self.ask.asker.key_name.clone(),
                item: self.ask.items.get(granted.item)?.clone(),
                operation: self.ask.operation,
                limits: granted.limits,
            })
        })
    }
}

impl Limits {
    /// What a rule gives to an ask before anybody narrows it.
    pub fn of(rule: &Rule, requested: Option<Duration>) -> Self {
        Self {
            duration: requested.unwrap_or(rule.lease.default).min(rule.lease.max),
            max: rule.lease.max,
            uses: rule.lease.uses,
            once: false,
        }
    }
}

#[cfg(test)]
mod tests;
