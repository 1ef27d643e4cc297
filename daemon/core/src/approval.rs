//! The life of one approval, from the ask to its last state.
//!
//! `pending` → `approved`, `denied`, `expired` or `withdrawn`. A state is a struct of what is true
//! in it, and a transition consumes the state it leaves, so that an approval settles once.
//!
//! Each item of an ask is governed by one rule. An item is granted when the people who have
//! approved it fill that rule's quorum, each of them entitled to by that rule at the time of the
//! decision; it is dropped when one of them left it out. The approval is approved when each of its
//! items is granted or dropped. One denial denies all of it.
//!
//! An approval may also come about without votes: the rule's own conditions held, a session that
//! people approved still lasts, or somebody broke the glass. [`How`] says which.

mod ask;
mod change;
mod session;
mod vote;
mod wait;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::ask::{
    ARGUMENTS_BYTES_MAX, ApprovalDigest, ArgumentsHash, Ask, Asker, DigestError, History,
    ITEMS_MAX, Item, JoinKey,
};
pub use self::change::{
    Applied, Before, Change, Conflict, Effect, Facts, Order, Proposed, ValueDigest,
};
pub use self::session::Session;
pub use self::vote::{
    Ballot, Bar, FactorProgress, GrantKind, Narrowing, Progress, Standing, Vote, VoteError,
    progress,
};
pub use self::wait::{Notice, Told};
use crate::id::{ApprovalId, KeyId, ProjectId, ReviewId};
use crate::policy::{Bind, Directory, Outcome, Rule};
use crate::resource::Operation;
use crate::time::{Deadline, Now, UnixTime};

/// How long a lease lasts at most that somebody broke the glass for.
pub const BREAK_GLASS_MAX: Duration = Duration::from_mins(15);

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
    /// When it expires, where a stop has moved that; else the ask's own deadline holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Deadline>,
    /// How long it still had when it was stopped, in milliseconds: its clock stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_ms: Option<u64>,
    /// What people have been told of it since.
    #[serde(default)]
    pub told: Told,
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
    /// Who or what approved it.
    #[serde(default)]
    pub how: How,
    /// What came of the change that it was about; none where it was about a lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// When.
    pub at: UnixTime,
}

/// Who or what approved an approval.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The people whose votes it holds.
    #[default]
    People,
    /// The rule: all of these conditions held.
    Automatic {
        /// The conditions, of each item's rule in turn.
        conditions: Vec<Outcome>,
    },
    /// People, earlier: they approved the same for a session.
    Session {
        /// The approval in which they did.
        approval: ApprovalId,
    },
    /// Somebody broke the glass.
    BreakGlass {
        /// Who.
        by: String,
        /// The review that has to follow.
        review: ReviewId,
    },
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
    /// The same is approved for the key's session time.
    #[serde(default)]
    pub remember: bool,
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
    /// The arguments it is bound to, where it is.
    pub arguments: Option<ArgumentsHash>,
    /// It is given by a rule that is only observed.
    pub observed: bool,
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
    /// Its time was up, and no message about it had reached anybody: that is not a denial.
    NobodyReached,
    /// The rules it was asked under no longer hold.
    RulesChanged,
    /// A secret it was about was deleted.
    SecretDeleted,
    /// The secret it was to change had changed, and the agent asked anew.
    SecretChanged,
    /// The key that asked got another owner, and who may answer with it.
    OwnerChanged,
    /// It was about a change of the rules, and the policy files have changed again since.
    Superseded,
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
            Self::NobodyReached => {
                "nobody answered in time, and no message about it had reached anybody"
            }
            Self::RulesChanged => "the rules it was asked under have changed; ask again",
            Self::SecretDeleted => "a secret it was about was deleted",
            Self::SecretChanged => "the secret has changed since, and it was asked for anew",
            Self::OwnerChanged => "the key that asked has another owner now; ask again",
            Self::Superseded => "the policy files have changed again since",
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
            Self::Approved(Approved { applied: Some(Applied::Conflict { found }), .. }) => {
                match found {
                    Some(version) => format!(
                        "nothing was changed: the secret was at version {version} by then, which is not what was shown"
                    ),
                    None => "nothing was changed: the secret was not there any more".to_owned(),
                }
            }
            Self::Pending(_) | Self::Approved(_) => String::new(),
            Self::Denied(denied) => denied.reason.clone(),
            Self::Expired(expired) => expired.cause.explain().to_owned(),
            Self::Withdrawn(withdrawn) => format!("taken back by {}", withdrawn.by),
        }
    }
}

impl Approval {
    /// Whether it expired and no message about it had reached anybody: that is not a denial.
    pub const fn is_unreached(&self) -> bool {
        matches!(self, Self::Expired(Expired { cause: ExpiryCause::NobodyReached, .. }))
    }
}

impl Pending {
    /// A new approval.
    pub fn new(ask: Ask) -> Self {
        Self { ask, votes: Vec::new(), moved: None, stopped_ms: None, told: Told::default() }
    }

    /// Takes one person's answer. `people` is the directory at this moment: an earlier vote whose
    /// giver has lost their standing since does not count.
    pub fn vote(self, vote: Vote, people: &Directory, now: &Now) -> Result<Approval, VoteError> {
        vote::cast(self, vote, people, now)
    }

    /// How far it has come, requirement by requirement.
    pub fn progress(&self, people: &Directory, now: &Now) -> Vec<Progress> {
        progress(&self.ask, &self.votes, people, self.waited(now))
    }

    /// Whether this person's answer would count now.
    pub fn standing(&self, name: &str, people: &Directory, now: &Now) -> Standing {
        vote::standing(self, name, people, self.waited(now))
    }

    /// Ends it if its time is up; otherwise it is as it was.
    pub fn expire(self, now: &Now) -> Approval {
        if self.is_over(now) {
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
    /// All of an ask, approved without a vote. Each item gets what its rule gives.
    pub fn without_votes(ask: Ask, how: How, now: &Now) -> Self {
        let limits =
            ask.items.iter().map(|item| Limits::approved(&item.rule, ask.operation, ask.requested));
        let granted = limits.enumerate().map(|(item, limits)| Granted { item, limits }).collect();
        Self { ask, votes: Vec::new(), granted, how, applied: None, at: now.wall }
    }

    /// The same, with what came of the change that it was about.
    #[must_use]
    pub fn applied(self, applied: Applied) -> Self {
        Self { applied: Some(applied), ..self }
    }

    /// The same, never for longer or more than this.
    #[must_use]
    pub fn within(mut self, most: &Limits) -> Self {
        for granted in &mut self.granted {
            granted.limits = granted.limits.within(most);
        }
        self
    }

    /// What leases are to be issued: none for a change, which is made at once.
    pub fn allowances(&self) -> impl Iterator<Item = Allowance> {
        let leased = self.granted.iter().filter(|_| self.ask.operation.is_leased());
        leased.filter_map(|granted| {
            Some(Allowance {
                project: self.ask.project,
                project_name: self.ask.project_name.clone(),
                approval: Some(self.ask.id),
                holder: self.ask.asker.key?,
                holder_name: self.ask.asker.key_name.clone(),
                arguments: self.ask.binding(granted.item),
                observed: false,
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
            remember: false,
        }
    }

    /// What an approved ask gets: a call that is bound to its arguments is good once.
    pub fn approved(rule: &Rule, operation: Operation, requested: Option<Duration>) -> Self {
        let limits = Self::of(rule, requested);
        if operation == Operation::Call && rule.bind == Bind::Arguments {
            Self { uses: Some(1), once: true, ..limits }
        } else {
            limits
        }
    }

    /// What somebody gets who breaks the glass.
    pub fn break_glass(rule: &Rule, requested: Option<Duration>) -> Self {
        let longest = BREAK_GLASS_MAX.min(rule.lease.max);
        let duration = requested.unwrap_or(longest).min(longest);
        Self { duration, max: duration, ..Self::of(rule, requested) }
    }

    /// Never longer and never more than `most`.
    #[must_use]
    pub fn within(self, most: &Self) -> Self {
        let once = self.once || most.once;
        let uses = [self.uses, most.uses, once.then_some(1)].into_iter().flatten().min();
        Self {
            duration: self.duration.min(most.duration),
            max: self.max.min(most.max),
            uses,
            once,
            remember: self.remember && most.remember,
        }
    }
}

#[cfg(test)]
mod tests;
