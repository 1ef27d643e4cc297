//! What people can be told of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::audit::{Action, Entry, Outcome};

/// Something that people want to hear of.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Event {
    /// An agent asks, and people have to answer.
    ApprovalRequested,
    /// It still waits.
    ApprovalReminder,
    /// More people may answer from now on.
    ApprovalEscalated,
    /// It was approved, denied, or taken back.
    ApprovalDecided,
    /// Nobody answered in time, or there is nothing to answer any more.
    ApprovalExpired,
    /// A lease began.
    LeaseIssued,
    /// Somebody ended a lease.
    LeaseRevoked,
    /// A lease's time is up.
    LeaseExpired,
    /// Somebody took a lease without asking, in an emergency.
    BreakGlass,
    /// Something that the operator has to look at.
    Alert,
}

/// A set of [`Event`]s.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Events(u16);

/// A text that names no event.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no event")]
pub struct EventError(pub String);

impl Event {
    /// Every event there is.
    pub const ALL: [Self; 10] = [
        Self::ApprovalRequested,
        Self::ApprovalReminder,
        Self::ApprovalEscalated,
        Self::ApprovalDecided,
        Self::ApprovalExpired,
        Self::LeaseIssued,
        Self::LeaseRevoked,
        Self::LeaseExpired,
        Self::BreakGlass,
        Self::Alert,
    ];

    /// The event as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalReminder => "approval.reminder",
            Self::ApprovalEscalated => "approval.escalated",
            Self::ApprovalDecided => "approval.decided",
            Self::ApprovalExpired => "approval.expired",
            Self::LeaseIssued => "lease.issued",
            Self::LeaseRevoked => "lease.revoked",
            Self::LeaseExpired => "lease.expired",
            Self::BreakGlass => "break_glass",
            Self::Alert => "alert",
        }
    }

    /// What an entry of the log is to people; nothing for most of them, and for what was refused.
    pub fn of(entry: &Entry) -> Option<Self> {
        let event = match entry.what() {
            Action::APPROVAL_REQUESTED => Self::ApprovalRequested,
            Action::APPROVAL_REMINDED => Self::ApprovalReminder,
            Action::APPROVAL_ESCALATED => Self::ApprovalEscalated,
            Action::APPROVAL_APPROVED
            | Action::APPROVAL_DENIED
            | Action::APPROVAL_AUTOMATIC
            | Action::APPROVAL_WITHDRAWN => Self::ApprovalDecided,
            Action::APPROVAL_EXPIRED => Self::ApprovalExpired,
            Action::LEASE_ISSUED | Action::LEASE_OBSERVED => Self::LeaseIssued,
            Action::LEASE_REVOKED => Self::LeaseRevoked,
            Action::LEASE_EXPIRED => Self::LeaseExpired,
            Action::GLASS_BROKEN => Self::BreakGlass,
            Action::APPROVAL_UNREACHED
            | Action::CHANNEL_FAILING
            | Action::SECRET_EXPIRING
            | Action::CLOCK_JUMPED
            | Action::LEASES_STOPPED
            | Action::LEASES_RESUMED => Self::Alert,
            // That it was refused is the news.
            Action::POLICY_REFUSED => return Some(Self::Alert),
            _ => return None,
        };
        (entry.ended() == Outcome::Ok).then_some(event)
    }

    /// Whether it is about an approval that people answer.
    pub const fn is_of_approval(self) -> bool {
        matches!(
            self,
            Self::ApprovalRequested
                | Self::ApprovalReminder
                | Self::ApprovalEscalated
                | Self::ApprovalDecided
                | Self::ApprovalExpired
        )
    }

    /// Whether it asks people for an answer.
    pub const fn asks(self) -> bool {
        matches!(self, Self::ApprovalRequested | Self::ApprovalReminder | Self::ApprovalEscalated)
    }

    /// Whether it says how an approval ended.
    pub const fn ends(self) -> bool {
        matches!(self, Self::ApprovalDecided | Self::ApprovalExpired)
    }

    /// Whether it wakes people: quiet hours and digests do not hold it.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::ApprovalEscalated | Self::BreakGlass | Self::Alert)
    }

    const fn bit(self) -> u16 {
        let at = match self {
            Self::ApprovalRequested => 0,
            Self::ApprovalReminder => 1,
            Self::ApprovalEscalated => 2,
            Self::ApprovalDecided => 3,
            Self::ApprovalExpired => 4,
            Self::LeaseIssued => 5,
            Self::LeaseRevoked => 6,
            Self::LeaseExpired => 7,
            Self::BreakGlass => 8,
            Self::Alert => 9,
        };
        1 << at
    }
}

impl FromStr for Event {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|event| event.as_str() == text);
        found.ok_or_else(|| EventError(crate::text::echo(text, 40)))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Events {
    /// No event.
    pub const NONE: Self = Self(0);
    /// Every event.
    pub const ALL: Self = Self((1 << Event::ALL.len()) - 1);

    /// What people who answer hear of where nothing is said: approvals, broken glasses, alerts.
    pub fn for_people() -> Self {
        let told = |event: &Event| {
            event.is_of_approval() || matches!(event, Event::BreakGlass | Event::Alert)
        };
        Event::ALL.into_iter().filter(told).collect()
    }

    /// Whether this event is among them.
    pub const fn contains(self, event: Event) -> bool {
        self.0 & event.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The events, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        Event::ALL.into_iter().filter(move |event| self.contains(*event))
    }

    /// Reads names: each an event, `approval.*`, `lease.*`, or `*` for all.
    pub fn read<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, EventError> {
        let mut events = Self::NONE;
        for name in names {
            let name = name.as_ref();
            let kind = name.strip_suffix(".*").filter(|kind| matches!(*kind, "approval" | "lease"));
            let more = match kind {
                _ if name == "*" => Self::ALL,
                Some(kind) => Event::ALL
                    .into_iter()
                    .filter(|event| event.as_str().split('.').next() == Some(kind))
                    .collect(),
                None => Self::from_iter([name.parse::<Event>()?]),
            };
            events.0 |= more.0;
        }
        Ok(events)
    }

    /// The names that read back as these.
    pub fn names(self) -> Vec<&'static str> {
        if self == Self::ALL { vec!["*"] } else { self.iter().map(Event::as_str).collect() }
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        Self(events.into_iter().fold(0, |bits, event| bits | event.bit()))
    }
}

impl Serialize for Events {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back_as_they_are_written() {
        for event in Event::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
            assert!(Events::ALL.contains(event) && !Events::NONE.contains(event));
        }
        let some = Events::read(["approval.*", "alert"]).unwrap();
        assert_eq!(Events::read(some.names()).unwrap(), some);
        assert!(some.contains(Event::ApprovalExpired) && !some.contains(Event::LeaseIssued));
        assert_eq!(Events::read(["*"]).unwrap(), Events::ALL);
        assert_eq!(
            Events::read(["approval.stolen"]),
            Err(EventError("approval.stolen".to_owned()))
        );
        assert!(Events::read(["alert.*"]).is_err());
    }
}
