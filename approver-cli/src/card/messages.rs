//! Who was told of it, over what, and how that went.

use vouchsafe_proto::v1::{Approval, Delivery, DeliveryHold, DeliveryStatus};

use super::told;
use crate::text::{safe_line, shortened};
use crate::time::Time;

/// So many messages have a line each.
const LINES_MAX: usize = 12;
/// Why a message failed is cut after so much; `notify deliveries` has it whole.
const PROBLEM_CHARS_MAX: usize = 200;

/// What must not be taken for a denial.
pub(super) fn unreached(approval: &Approval) -> Option<String> {
    approval.nobody_reached.then(|| {
        "its time was up before any message about it had reached anybody; nobody denied it"
            .to_owned()
    })
}

/// A line for each message; where there are more than fit, the first of them and how many more.
pub(super) fn told_of(approval: &Approval, now: Time) -> Vec<String> {
    let messages = &approval.deliveries;
    let mut lines: Vec<_> =
        messages.iter().take(LINES_MAX).map(|message| line(message, now)).collect();
    let more = messages.len().saturating_sub(LINES_MAX);
    if more > 0 {
        let id = safe_line(&approval.id);
        lines.push(format!("and {more} more: vouchsafe notify deliveries --approval {id}"));
    }
    lines
}

/// "jane over email: sent 2 min ago", with what it was about where that is not the ask itself.
fn line(message: &Delivery, now: Time) -> String {
    let channel = safe_line(&message.channel);
    let whom = match message.user.as_str() {
        "" => channel,
        user => format!("{} over {channel}", safe_line(user)),
    };
    let about = match message.event.as_str() {
        "approval.requested" => String::new(),
        event => format!(" ({})", safe_line(event.strip_prefix("approval.").unwrap_or(event))),
    };
    format!("{whom}{about}: {}", how(message, now))
}

/// How it went, or what it waits for.
fn how(message: &Delivery, now: Time) -> String {
    let settled = told(message.settled_at, now).unwrap_or_default();
    let problem = shortened(&safe_line(&message.problem), PROBLEM_CHARS_MAX);
    let why = if problem.is_empty() { String::new() } else { format!(": {problem}") };
    match message.status() {
        DeliveryStatus::Sent => format!("sent {settled}"),
        DeliveryStatus::Answered => format!("sent {settled}, and answered"),
        DeliveryStatus::Failed => {
            format!("FAILED {settled} after {}{why}", tries(message.attempts))
        }
        DeliveryStatus::Queued => format!("{}{why}", waits(message, now)),
        DeliveryStatus::Unspecified => "unknown".to_owned(),
    }
}

fn waits(message: &Delivery, now: Time) -> String {
    let due = told(message.due_at, now).unwrap_or_else(|| "later".to_owned());
    match (message.attempts, message.hold()) {
        (0, DeliveryHold::Quiet) => format!("waits for quiet hours to end, {due}"),
        (0, DeliveryHold::Digest) => format!("waits for the next digest, {due}"),
        (0, DeliveryHold::Unspecified) => "waits to be sent".to_owned(),
        (attempts, _) => format!("waits after {}, tried again {due}", tries(attempts)),
    }
}

fn tries(attempts: u32) -> String {
    if attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::tests::{approval, noon};
    use super::*;
    use crate::time;

    fn message(status: DeliveryStatus) -> Delivery {
        let at = |minutes| Some(time::to_proto(noon() + TimeDelta::minutes(minutes)));
        Delivery {
            event: "approval.requested".to_owned(),
            channel: "email".to_owned(),
            user: "jane".to_owned(),
            status: status.into(),
            queued_at: at(-3),
            due_at: at(5),
            settled_at: at(-2),
            attempts: 1,
            ..Delivery::default()
        }
    }

    #[test]
    fn each_message_tells_whom_it_was_to_and_how_it_went() {
        let sent = message(DeliveryStatus::Sent);
        let place = Delivery {
            user: String::new(),
            channel: "slack:security".to_owned(),
            event: "approval.reminder".to_owned(),
            ..message(DeliveryStatus::Answered)
        };
        let failed = Delivery {
            attempts: 7,
            problem: "550 no such mailbox\u{1b}".to_owned(),
            ..message(DeliveryStatus::Failed)
        };
        let queued = message(DeliveryStatus::Queued);
        let held =
            |hold: DeliveryHold| Delivery { hold: hold.into(), attempts: 0, ..queued.clone() };
        for (message, text) in [
            (&sent, "jane over email: sent 2 min ago"),
            (&place, "slack:security (reminder): sent 2 min ago, and answered"),
            (
                &failed,
                "jane over email: FAILED 2 min ago after 7 tries: 550 no such mailbox\\u{1b}",
            ),
            (&queued, "jane over email: waits after 1 try, tried again in 5 min"),
            (&held(DeliveryHold::Quiet), "jane over email: waits for quiet hours to end, in 5 min"),
            (&held(DeliveryHold::Digest), "jane over email: waits for the next digest, in 5 min"),
            (&held(DeliveryHold::Unspecified), "jane over email: waits to be sent"),
        ] {
            assert_eq!(line(message, noon()), text);
        }
    }

    #[test]
    fn many_messages_are_cut_and_counted() {
        let mut approval = approval();
        assert!(told_of(&approval, noon()).is_empty() && unreached(&approval).is_none());
        approval.deliveries = vec![message(DeliveryStatus::Sent); 14];
        let lines = told_of(&approval, noon());
        assert_eq!(lines.len(), 13);
        assert_eq!(
            lines.last().unwrap(),
            "and 2 more: vouchsafe notify deliveries --approval ap_7k3m0000deadbeef"
        );
    }

    #[test]
    fn an_approval_that_nobody_heard_of_says_so_first() {
        let mut approval = approval();
        approval.set_status(vouchsafe_proto::v1::ApprovalStatus::Expired);
        approval.nobody_reached = true;
        approval.deliveries = vec![message(DeliveryStatus::Failed)];
        let card = super::super::card(&approval, noon());
        assert!(card.contains("  UNREACHED   its time was up before any message"), "{card}");
        assert!(card.contains("  messages    jane over email: FAILED 2 min ago"), "{card}");
        assert!(card.find("UNREACHED") < card.find("  wants"), "{card}");
    }
}
