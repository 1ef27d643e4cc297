//! How an approval waits: its clock, which a stop holds, and what people are told meanwhile.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Pending;
use crate::time::{Deadline, Now};

/// What people have been told of a pending approval since it was asked.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Told {
    /// How many of its reminders are due or past; each is told once.
    #[serde(default)]
    pub reminders: u32,
    /// The rules whose escalation has been told, by name.
    #[serde(default)]
    pub escalated: Vec<String>,
}

/// Something that people are to be told of a pending approval.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// It is still waiting.
    Reminder {
        /// Which reminder this is, from 1. After a time without the daemon, some are left out.
        number: u32,
    },
    /// More people may answer from now on.
    Escalated {
        /// The rule that says so.
        rule: String,
        /// Those people, as the rule names them.
        to: Vec<String>,
    },
}

impl Pending {
    /// When it expires unanswered, unless it is stopped.
    pub fn deadline(&self) -> &Deadline {
        self.moved.as_ref().unwrap_or(&self.ask.deadline)
    }

    /// Whether its clock stands still.
    pub const fn is_stopped(&self) -> bool {
        self.stopped_ms.is_some()
    }

    /// Whether its time is up.
    pub fn is_over(&self, now: &Now) -> bool {
        !self.is_stopped() && self.deadline().passed(now)
    }

    /// How long it still has.
    pub fn left(&self, now: &Now) -> Duration {
        match self.stopped_ms {
            Some(ms) => Duration::from_millis(ms),
            None => self.deadline().left(now),
        }
    }

    /// How long it has waited, time stopped apart.
    pub fn waited(&self, now: &Now) -> Duration {
        self.whole().saturating_sub(self.left(now))
    }

    /// Holds its clock; where it stands still already, nothing changes.
    #[must_use]
    pub fn stop(mut self, now: &Now) -> Self {
        if !self.is_stopped() {
            let left = self.deadline().left(now).as_millis();
            self.stopped_ms = Some(u64::try_from(left).unwrap_or(u64::MAX));
        }
        self
    }

    /// Lets its clock run on with the time it had left; where it runs, nothing changes.
    #[must_use]
    pub fn resume(mut self, now: &Now) -> Self {
        if let Some(left) = self.stopped_ms.take() {
            self.moved = Some(now.deadline(Duration::from_millis(left)));
        }
        self
    }

    /// When somebody has to look at it next: to tell people something, or to end it. Never, while
    /// it is stopped.
    pub fn due(&self) -> Option<Deadline> {
        if self.is_stopped() {
            return None;
        }
        let whole = self.whole();
        let escalations = self.ask.items.iter().filter_map(|item| {
            let told = self.told.escalated.iter().any(|rule| rule == item.rule.name.as_str());
            let escalation = item.rule.escalation.as_ref()?;
            (!told).then_some(escalation.after)
        });
        let reminder = self
            .remind_every()
            .map(|every| every.saturating_mul(self.told.reminders.saturating_add(1)));
        let next = escalations.chain(reminder).min().unwrap_or(whole).min(whole);
        Some(self.deadline().before(whole.saturating_sub(next)))
    }

    /// Takes note of what people are to be told now: nothing, where they could not answer.
    #[must_use]
    pub fn notices(mut self, now: &Now) -> (Self, Vec<Notice>) {
        if self.is_stopped() || self.is_over(now) {
            return (self, Vec::new());
        }
        let waited = self.waited(now);
        let mut notices = Vec::new();
        for item in &self.ask.items {
            let Some(escalation) = &item.rule.escalation else { continue };
            let rule = item.rule.name.as_str();
            if waited >= escalation.after && !self.told.escalated.iter().any(|told| told == rule) {
                self.told.escalated.push(rule.to_owned());
                let to = escalation.to.iter().map(ToString::to_string).collect();
                notices.push(Notice::Escalated { rule: rule.to_owned(), to });
            }
        }
        if let Some(every) = self.remind_every() {
            let due = waited.as_millis() / every.as_millis().max(1);
            let due = u32::try_from(due).unwrap_or(u32::MAX);
            if due > self.told.reminders {
                self.told.reminders = due;
                notices.push(Notice::Reminder { number: due });
            }
        }
        (self, notices)
    }

    /// The shortest interval that one of its rules reminds in.
    fn remind_every(&self) -> Option<Duration> {
        self.ask.items.iter().filter_map(|item| item.rule.remind_every).min()
    }

    /// How long it waits in all, time stopped apart.
    fn whole(&self) -> Duration {
        self.ask.deadline.wall.since(self.ask.asked_at)
    }
}
