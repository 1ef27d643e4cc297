//! Channels and messages as their page shows them.

use vouchsafe_core::route::{Audience, DeliveryStatus};
use vouchsafe_core::text::escape_untrusted;

use super::super::dates::{When, counted};
use crate::broker::{ChannelView, Delivery, Held};

/// One message.
#[derive(Debug)]
pub(super) struct MessageRow {
    pub(super) id: String,
    pub(super) event: &'static str,
    pub(super) channel: String,
    /// To whom; none: to the channel's place.
    pub(super) to: Option<String>,
    pub(super) project: Option<String>,
    pub(super) approval: Option<String>,
    pub(super) status: &'static str,
    pub(super) queued: When,
    /// `1 try`; none before the first.
    pub(super) tries: Option<String>,
    /// What it waits for, where it waits for more than its turn.
    pub(super) held: Option<&'static str>,
    /// When it is tried next.
    pub(super) next: Option<When>,
    /// When it is given up.
    pub(super) give_up: Option<When>,
    /// When it was sent, or given up.
    pub(super) settled: Option<When>,
    /// Why the last try failed.
    pub(super) problem: Option<String>,
    pub(super) failed: bool,
}

/// One channel.
#[derive(Debug)]
pub(super) struct ChannelRow {
    pub(super) name: String,
    /// Whom it reaches.
    pub(super) audience: &'static str,
    pub(super) events: String,
    /// `3 messages wait`.
    pub(super) waiting: String,
    pub(super) oldest: Option<When>,
    /// Why it pauses.
    pub(super) problem: Option<String>,
    /// Until when it pauses.
    pub(super) until: Option<When>,
}

impl From<&Delivery> for MessageRow {
    fn from(delivery: &Delivery) -> Self {
        let queued = delivery.status == DeliveryStatus::Queued;
        let tried = delivery.attempts > 0;
        Self {
            id: delivery.id.to_string(),
            event: delivery.event.as_str(),
            channel: delivery.channel.to_string(),
            to: delivery.user_name.clone(),
            project: delivery.project.clone(),
            approval: delivery.approval.map(|approval| approval.to_string()),
            status: delivery.status.as_str(),
            queued: When::of_second(delivery.queued_at),
            tries: tried.then(|| counted(u64::from(delivery.attempts), "try", "tries")),
            held: match delivery.held {
                Held::Quiet if queued && !tried => Some("until quiet hours end"),
                Held::Digest if queued && !tried => Some("for the next digest"),
                Held::No | Held::Quiet | Held::Digest => None,
            },
            next: delivery.due_at.filter(|_| queued).map(When::of_second),
            give_up: (queued && tried).then(|| delivery.give_up_at.into()),
            settled: delivery.settled_at.map(When::of_second),
            problem: delivery.problem.as_deref().map(|problem| escape_untrusted(problem).text),
            failed: delivery.status == DeliveryStatus::Failed,
        }
    }
}

impl From<&ChannelView> for ChannelRow {
    fn from(view: &ChannelView) -> Self {
        Self {
            name: view.channel.name.to_string(),
            audience: match view.channel.audience {
                Audience::Email => "each person, by e-mail",
                Audience::SlackUser => "each person, in Slack",
                Audience::Place if view.channel.feed => "another program",
                Audience::Place => "one place",
            },
            events: match view.channel.events.names().as_slice() {
                ["*"] => "every event".to_owned(),
                names => names.join(", "),
            },
            waiting: match view.queued {
                0 => "nothing waits".to_owned(),
                1 => "1 message waits".to_owned(),
                many => format!("{many} messages wait"),
            },
            oldest: view.oldest.map(When::of_second),
            problem: view.paused.as_ref().map(|(why, _)| escape_untrusted(why).text),
            until: view.paused.as_ref().map(|(_, until)| When::of_second(*until)),
        }
    }
}
