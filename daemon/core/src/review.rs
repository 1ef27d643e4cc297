//! What follows a broken glass: a second person looks at it.

use serde::{Deserialize, Serialize};

use crate::id::{ApprovalId, KeyId, LeaseId, ProjectId, ReviewId, UserId};
use crate::resource::{Operation, Resource};
use crate::time::{Now, UnixTime};

/// A use of `break_glass`, from the moment it was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Review {
    /// Nobody has looked at it yet; whoever broke the glass may not do so again.
    Open(Open),
    /// Somebody has.
    Closed(Closed),
}

/// A broken glass that nobody has reviewed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Open {
    /// Its id.
    pub id: ReviewId,
    /// The project.
    pub project: ProjectId,
    /// That project's name.
    pub project_name: String,
    /// Who broke the glass.
    pub by: UserId,
    /// Their name.
    pub by_name: String,
    /// The key that got the lease.
    pub key: KeyId,
    /// That key's name.
    pub key_name: String,
    /// Who answers for the key, by name.
    pub owner_name: String,
    /// What for.
    pub resource: Resource,
    /// What could be done with it.
    pub operation: Operation,
    /// The rule that allowed it.
    pub rule: String,
    /// Why, in their words.
    pub reason: String,
    /// The approval that stands for it.
    pub approval: ApprovalId,
    /// The lease.
    pub lease: LeaseId,
    /// When.
    pub at: UnixTime,
}

/// A broken glass that somebody has reviewed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Closed {
    /// What it was.
    pub opened: Open,
    /// Who reviewed it.
    pub reviewer: UserId,
    /// Their name.
    pub reviewer_name: String,
    /// Whether they find that it was right.
    pub justified: bool,
    /// What they say of it.
    pub note: String,
    /// When.
    pub reviewed_at: UnixTime,
}

/// Somebody's word on a broken glass.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Who says it.
    pub reviewer: UserId,
    /// Their name.
    pub reviewer_name: String,
    /// Whether it was right.
    pub justified: bool,
    /// Why, in their words.
    pub note: String,
}

/// Why a review was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReviewError {
    /// It is their own.
    #[error("you broke this glass yourself; another person has to review it")]
    Own,
    /// The key is theirs.
    #[error("the key that got the lease is your own; another person has to review it")]
    OwnKey,
}

impl Review {
    /// What happened.
    pub const fn opened(&self) -> &Open {
        match self {
            Self::Open(open) => open,
            Self::Closed(closed) => &closed.opened,
        }
    }
}

impl Open {
    /// Takes another person's word on it.
    pub fn review(self, finding: Finding, now: &Now) -> Result<Closed, ReviewError> {
        if finding.reviewer == self.by {
            return Err(ReviewError::Own);
        }
        if finding.reviewer_name == self.owner_name {
            return Err(ReviewError::OwnKey);
        }
        Ok(Closed {
            opened: self,
            reviewer: finding.reviewer,
            reviewer_name: finding.reviewer_name,
            justified: finding.justified,
            note: finding.note,
            reviewed_at: now.wall,
        })
    }
}
