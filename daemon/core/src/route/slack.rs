//! What our messages in Slack carry, and bring back when somebody answers in them.

use serde::{Deserialize, Serialize};

use crate::approval::ApprovalDigest;
use crate::id::ApprovalId;

/// The longest value of a button, in characters: what Slack takes.
pub const SLACK_VALUE_CHARS_MAX: usize = 2_000;

/// What an answer given in Slack is about. Nothing in it is secret, and nothing in it is believed
/// but that the answer is about this: Slack signs what it sends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SlackTicket {
    /// The approval.
    pub approval: ApprovalId,
    /// What was shown of it.
    pub digest: ApprovalDigest,
    /// SHA-256, hex, of the blocks that were shown.
    pub rendering: String,
}

/// What somebody does with a button or a form of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlackAct {
    /// Says yes.
    Approve,
    /// Says no, and is asked why.
    Deny,
    /// Goes to the page; Slack tells of that, too.
    Details,
}

impl SlackAct {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Approve, Self::Deny, Self::Details];

    /// What Slack calls it: the button's `action_id`, the form's `callback_id`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "vouchsafe_approve",
            Self::Deny => "vouchsafe_deny",
            Self::Details => "vouchsafe_details",
        }
    }

    /// The one of this name.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == text)
    }
}

impl SlackTicket {
    /// What the form of a denial calls its one field, and the block that it is in.
    pub const REASON: &'static str = "reason";

    /// As a button or a form carries it; none where it would be too long for one.
    pub fn write(&self) -> Option<String> {
        let text = serde_json::to_string(self).ok()?;
        (text.len() <= SLACK_VALUE_CHARS_MAX).then_some(text)
    }

    /// Reads what a button or a form brought back.
    pub fn read(text: &str) -> Option<Self> {
        let ticket: Self = serde_json::from_str(text).ok()?;
        let is_hash =
            ticket.rendering.len() == 64 && ticket.rendering.bytes().all(|b| b.is_ascii_hexdigit());
        (text.len() <= SLACK_VALUE_CHARS_MAX && is_hash).then_some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_comes_back_as_it_went_and_no_other_does() {
        let ticket = SlackTicket {
            approval: ApprovalId::from_random([7; 10]),
            digest: "ab".repeat(32).parse().unwrap(),
            rendering: "cd".repeat(32),
        };
        let text = ticket.write().unwrap();
        assert_eq!(SlackTicket::read(&text), Some(ticket));
        for bad in [
            "",
            "{}",
            "null",
            &text.replace("\"rendering\"", "\"more\":1,\"rendering\""),
            &text.replace("cdcd", "zzzz"),
            &text.replace("cdcd", ""),
            &format!("{text}{}", " ".repeat(SLACK_VALUE_CHARS_MAX)),
        ] {
            assert_eq!(SlackTicket::read(bad), None, "{bad}");
        }
        for act in SlackAct::ALL {
            assert_eq!(SlackAct::named(act.as_str()), Some(act));
        }
        assert_eq!(SlackAct::named("approve"), None);
    }
}
