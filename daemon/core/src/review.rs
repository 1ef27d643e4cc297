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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ID_BYTES;
    use crate::time::BootId;

    fn now() -> Now {
        Now { wall: UnixTime::from_ms(1_000), since_boot_ms: 0, boot: BootId::new("a") }
    }

    fn user(n: u8) -> UserId {
        UserId::from_random([n; ID_BYTES])
    }

    /// Broken by bob, for ann's key.
    fn open() -> Open {
        Open {
            id: ReviewId::from_random([1; ID_BYTES]),
            project: ProjectId::from_random([1; ID_BYTES]),
            project_name: "default".to_owned(),
            by: user(2),
            by_name: "bob".to_owned(),
            key: KeyId::from_random([1; ID_BYTES]),
            key_name: "claude-desktop".to_owned(),
            owner_name: "ann".to_owned(),
            resource: "vouchsafe://secrets/production/DB".parse().unwrap(),
            operation: Operation::Read,
            rule: "Production".to_owned(),
            reason: "INC-1042: nobody else is awake".to_owned(),
            approval: ApprovalId::from_random([1; ID_BYTES]),
            lease: LeaseId::from_random([1; ID_BYTES]),
            at: UnixTime::from_ms(0),
        }
    }

    fn finding(n: u8, name: &str) -> Finding {
        Finding {
            reviewer: user(n),
            reviewer_name: name.to_owned(),
            justified: false,
            note: "it could have waited".to_owned(),
        }
    }

    #[test]
    fn whoever_broke_the_glass_or_owns_the_key_does_not_review_it() {
        for (n, name, refused) in [
            (2, "bob", Some(ReviewError::Own)),
            (1, "ann", Some(ReviewError::OwnKey)),
            (3, "cid", None),
        ] {
            assert_eq!(open().review(finding(n, name), &now()).err(), refused, "{name}");
        }
    }

    #[test]
    fn a_review_keeps_what_happened_and_what_was_found_and_reads_back() {
        let closed = open().review(finding(3, "cid"), &now()).unwrap();
        assert_eq!((&closed.opened, closed.reviewed_at), (&open(), UnixTime::from_ms(1_000)));
        assert!(!closed.justified && closed.note == "it could have waited");
        // It is closed for good: a closed review has nothing that takes another finding.
        for review in [Review::Open(open()), Review::Closed(closed)] {
            let stored = serde_json::to_string(&review).unwrap();
            assert_eq!(serde_json::from_str::<Review>(&stored).unwrap(), review);
            assert_eq!(review.opened(), &open());
        }
    }
}
