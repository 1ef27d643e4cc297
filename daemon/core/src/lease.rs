//! A grant in use: what it releases, to whom, how often and until when.
//!
//! A lease is `active` until it has ended, once, in one of four ways. [`Active::take`] is the only
//! maker of a [`Grant`], and a grant is the only thing that the vault opens a value for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::approval::{Allowance, ArgumentsHash};
use crate::id::{ApprovalId, KeyId, LeaseId, ProjectId, SecretId};
use crate::policy::{RuleSet, Verdict};
use crate::resource::{Operation, Resource};
use crate::time::{Deadline, Now, UnixTime};

/// A lease in either of its states.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lease {
    /// It may still release something.
    Active(Active),
    /// It releases nothing any more.
    Ended(Ended),
}

/// What holds for a lease from its first moment to its last.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Terms {
    /// Its id.
    pub id: LeaseId,
    /// The project of the resource and of the holder.
    pub project: ProjectId,
    /// That project's name when the lease was issued.
    pub project_name: String,
    /// The approval it came from; none where the rule asks nobody.
    pub approval: Option<ApprovalId>,
    /// The only key it serves.
    pub holder: KeyId,
    /// That key's name when the lease was issued.
    pub holder_name: String,
    /// What it is for.
    pub resource: Resource,
    /// The secret, where the resource is one.
    pub secret: Option<SecretId>,
    /// The version that was approved.
    pub version: u64,
    /// Whether it goes on with later versions.
    pub follow_rotation: bool,
    /// The one operation it is good for.
    pub operation: Operation,
    /// The only arguments it is good for; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<ArgumentsHash>,
    /// It was given by a rule that is only observed, and ends in effect when the rule is enforced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observed: bool,
    /// The rule it was issued under.
    pub rule: String,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// How far renewals reach.
    pub limit: Deadline,
    /// How long a renewal lasts where none is asked for, in milliseconds.
    pub renewal_ms: u64,
    /// Whether it may be renewed at all: one for a single use may not.
    pub renewable: bool,
}

/// A lease that may still release something.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Active {
    /// What holds for it throughout.
    pub terms: Terms,
    /// When it ends by itself.
    pub deadline: Deadline,
    /// Uses left; none means that they are not counted down.
    pub uses_left: Option<u32>,
    /// Uses so far.
    pub used: u32,
    /// Renewals so far.
    pub renewals: u32,
}

/// A lease that has ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ended {
    /// The lease as it was in its last moment.
    pub last: Active,
    /// How it ended.
    pub how: Ending,
    /// When.
    pub at: UnixTime,
    /// Who ended it, where somebody did.
    pub by: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// The ways in which a lease ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Its time was up.
    Expired,
    /// Somebody took it back.
    Revoked,
    /// Its holder gave it back.
    Released,
    /// Its last use was made.
    Exhausted,
}

/// Who wants to use a lease, and for what; and what stands at that moment.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The key that asks.
    pub holder: KeyId,
    /// What it wants.
    pub resource: &'a Resource,
    /// What it wants to do with it.
    pub operation: Operation,
    /// The secret that has this name now, where it is one.
    pub secret: Option<SecretId>,
    /// Its version now; 0 where there are none.
    pub version: u64,
    /// The arguments of the call, where it has some.
    pub arguments: Option<ArgumentsHash>,
    /// The rules that hold now.
    pub rules: &'a RuleSet,
}

/// Proof that one value may be released once, to one key, now.
///
/// Its fields are private and this module alone makes one: a check that was skipped does not
/// compile.
#[derive(Debug)]
pub struct Grant {
    project: ProjectId,
    secret: Option<SecretId>,
    version: u64,
    holder: KeyId,
    lease: LeaseId,
}

/// Why a lease releases nothing to this claim.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TakeError {
    /// It is another key's, or for something else.
    #[error("the lease is not for this")]
    NotForThis,
    /// Its time is up.
    #[error("the lease has expired")]
    Expired,
    /// The secret has a newer version than the one approved.
    #[error("the secret was rotated after the lease was approved")]
    Rotated,
    /// The rules have changed and refuse it now.
    #[error("the rules refuse it now")]
    Refused,
}

/// Why a lease is not renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RenewError {
    /// It is another key's.
    #[error("the lease is another key's")]
    NotHolder,
    /// Its time is up.
    #[error("the lease has expired")]
    Expired,
    /// It reaches as far as it may already.
    #[error("the lease cannot be renewed further")]
    AtLimit,
    /// It is good for one use.
    #[error("a lease for one use cannot be renewed")]
    SingleUse,
}

impl Lease {
    /// What holds for it throughout.
    pub fn terms(&self) -> &Terms {
        match self {
            Self::Active(active) => &active.terms,
            Self::Ended(ended) => &ended.last.terms,
        }
    }

    /// The lease as it is or as it was in its last moment.
    pub fn last(&self) -> &Active {
        match self {
            Self::Active(active) => active,
            Self::Ended(ended) => &ended.last,
        }
    }
}

impl Ending {
    /// The ending as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Released => "released",
            Self::Exhausted => "exhausted",
        }
    }
}

impl Active {
    /// Issues a lease: what was allowed, from now.
    pub fn issue(id: LeaseId, allowance: Allowance, now: &Now) -> Self {
        let Allowance {
            project,
            project_name,
            approval,
            holder,
            holder_name,
            item,
            operation,
            arguments,
            observed,
            limits,
        } = allowance;
        Self {
            deadline: now.deadline(limits.duration),
            uses_left: limits.uses,
            used: 0,
            renewals: 0,
            terms: Terms {
                id,
                project,
                project_name,
                approval,
                holder,
                holder_name,
                resource: item.resource,
                secret: item.secret,
                version: item.version,
                follow_rotation: item.rule.follow_rotation,
                operation,
                arguments,
                observed,
                rule: item.rule.name.to_string(),
                issued_at: now.wall,
                limit: now.deadline(limits.max),
                renewal_ms: u64::try_from(limits.duration.as_millis()).unwrap_or(u64::MAX),
                renewable: !limits.once,
            },
        }
    }

    /// Uses the lease once. The deadline, the holder, the version and the rules that hold now are
    /// all asked here, in the transaction that records the use.
    pub fn take(mut self, claim: &Claim<'_>, now: &Now) -> Result<(Lease, Grant), TakeError> {
        self.check(claim, now)?;
        let grant = Grant {
            project: self.terms.project,
            secret: claim.secret,
            version: claim.version,
            holder: self.terms.holder,
            lease: self.terms.id,
        };
        self.used = self.used.saturating_add(1);
        self.uses_left = self.uses_left.map(|left| left.saturating_sub(1));
        let next = if self.uses_left == Some(0) {
            self.end(Ending::Exhausted, now, None, None)
        } else {
            Lease::Active(self)
        };
        Ok((next, grant))
    }

    /// Whether [`Self::take`] would give something, without taking it.
    pub fn check(&self, claim: &Claim<'_>, now: &Now) -> Result<(), TakeError> {
        let terms = &self.terms;
        let for_this = terms.holder == claim.holder
            && terms.resource == *claim.resource
            && terms.operation == claim.operation
            && terms.secret == claim.secret
            && (terms.arguments.is_none() || terms.arguments == claim.arguments);
        if !for_this || self.uses_left == Some(0) {
            return Err(TakeError::NotForThis);
        }
        if self.deadline.passed(now) {
            return Err(TakeError::Expired);
        }
        if terms.version != claim.version && !terms.follow_rotation {
            return Err(TakeError::Rotated);
        }
        match claim.rules.decide(claim.resource, claim.operation) {
            // What people were not asked for, only the rule that did not ask them can go on giving.
            Verdict::Ruled(rule) if terms.observed && !rule.is_observed() => {
                Err(TakeError::Refused)
            }
            Verdict::Ruled(_) => Ok(()),
            Verdict::Refused(_) => Err(TakeError::Refused),
        }
    }

    /// Makes the lease last `duration` from now (its own length where none is given), as far as
    /// its limit reaches.
    pub fn renew(
        mut self,
        holder: KeyId,
        duration: Option<Duration>,
        now: &Now,
    ) -> Result<Self, RenewError> {
        if self.terms.holder != holder {
            return Err(RenewError::NotHolder);
        }
        if self.deadline.passed(now) {
            return Err(RenewError::Expired);
        }
        if !self.terms.renewable {
            return Err(RenewError::SingleUse);
        }
        let wanted = duration.unwrap_or(Duration::from_millis(self.terms.renewal_ms));
        let reach = self.terms.limit.left(now).min(wanted);
        if reach <= self.deadline.left(now) {
            return Err(RenewError::AtLimit);
        }
        self.deadline = now.deadline(reach);
        self.renewals = self.renewals.saturating_add(1);
        Ok(self)
    }

    /// Ends the lease, whoever wants it and why.
    pub fn end(self, how: Ending, now: &Now, by: Option<String>, reason: Option<String>) -> Lease {
        Lease::Ended(Ended { last: self, how, at: now.wall, by, reason })
    }

    /// Ends the lease if its time is up; otherwise it is as it was.
    pub fn expire(self, now: &Now) -> Lease {
        if self.deadline.passed(now) {
            self.end(Ending::Expired, now, None, None)
        } else {
            Lease::Active(self)
        }
    }
}

impl Grant {
    /// The project of the value.
    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// The secret of the value; none where it is not one that is released.
    pub fn secret(&self) -> Option<SecretId> {
        self.secret
    }

    /// The version of the value.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The key it may be given to.
    pub fn holder(&self) -> KeyId {
        self.holder
    }

    /// The lease it was taken from.
    pub fn lease(&self) -> LeaseId {
        self.lease
    }
}
