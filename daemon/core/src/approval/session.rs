//! What people approved for a session: the same rule and operation, for the key's session time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Approved, Limits};
use crate::id::{ApprovalId, KeyId, ProjectId};
use crate::key::SessionTime;
use crate::policy::Rule;
use crate::resource::Operation;
use crate::time::{Deadline, Now, UnixTime};

/// A session: while it lasts, what its key asks for under its rule needs no new answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Session {
    /// The approval in which people gave it.
    pub approval: ApprovalId,
    /// The project.
    pub project: ProjectId,
    /// The only key it serves.
    pub holder: KeyId,
    /// That key's name when it was given.
    pub holder_name: String,
    /// Which making of the key's value it was given to.
    pub generation: u32,
    /// The rule, by name.
    pub rule: String,
    /// The digest of the rule as it stood, hex: a rule that has changed remembers nothing.
    pub rule_digest: String,
    /// The operation.
    pub operation: Operation,
    /// Who gave it.
    pub given_by: Vec<String>,
    /// How far its leases go.
    pub limits: Limits,
    /// When it was given.
    pub given_at: UnixTime,
    /// When it ends.
    pub until: Deadline,
}

impl Session {
    /// Whether what this key asks for, under this rule as it stands now, is covered.
    pub fn covers(
        &self,
        holder: KeyId,
        generation: u32,
        rule: &Rule,
        operation: Operation,
        now: &Now,
    ) -> bool {
        self.holder == holder
            && self.generation == generation
            && self.operation == operation
            && rule.remember
            && self.rule == rule.name.as_str()
            && self.rule_digest == rule.digest().to_string()
            && !self.until.passed(now)
    }

    /// How far a lease goes that is given under it: never past its end.
    pub fn limits(&self, now: &Now) -> Limits {
        let left = self.until.left(now).max(Duration::from_millis(1));
        Limits {
            duration: self.limits.duration.min(left),
            max: self.limits.max.min(left),
            ..self.limits
        }
    }
}

impl Approved {
    /// The sessions that people gave with it: one a rule.
    pub fn sessions(&self, generation: u32, time: SessionTime, now: &Now) -> Vec<Session> {
        let mut sessions: Vec<Session> = Vec::new();
        for granted in self.granted.iter().filter(|granted| granted.limits.remember) {
            let (Some(item), Some(holder)) = (self.ask.items.get(granted.item), self.ask.asker.key)
            else {
                continue;
            };
            if sessions.iter().any(|session| session.rule == item.rule.name.as_str()) {
                continue;
            }
            sessions.push(Session {
                approval: self.ask.id,
                project: self.ask.project,
                holder,
                holder_name: self.ask.asker.key_name.clone(),
                generation,
                rule: item.rule.name.to_string(),
                rule_digest: item.rule.digest().to_string(),
                operation: self.ask.operation,
                given_by: self.votes.iter().map(|vote| vote.voter_name.clone()).collect(),
                limits: granted.limits,
                given_at: now.wall,
                until: now.deadline(time.duration()),
            });
        }
        sessions
    }
}
