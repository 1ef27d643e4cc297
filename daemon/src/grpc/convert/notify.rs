//! Channels, and the messages over them.

use vouchsafe_core::route::{Audience, ChannelName, DeliveryStatus};
use vouchsafe_proto::v1;
use vouchsafe_proto::v1::retry_delivery_request::Which as WhichMessage;

use super::time::time_out;
use super::{Taken, id, name, optional, parse, shown, unknown};
use crate::broker::{ChannelTest, ChannelView, Delivery, DeliveryQuery, Held, Refused, Retry};

/// A channel that has to be named; whether it is there is the broker's to say.
pub(in crate::grpc) fn channel_name(value: String) -> Taken<ChannelName> {
    parse("channel", &name("channel", value)?)
}

/// Which messages are wanted; the page is taken out before.
pub(in crate::grpc) fn delivery_query(request: v1::ListDeliveriesRequest) -> Taken<DeliveryQuery> {
    let channel = optional("channel", request.channel)?;
    Ok(DeliveryQuery {
        approval: optional("approval_id", request.approval_id)?,
        channel: channel.map(|name| parse("channel", &name)).transpose()?,
        status: status(request.status)?,
    })
}

/// Which messages are to be tried again. Nothing said is not everything.
pub(in crate::grpc) fn which_deliveries(which: Option<WhichMessage>) -> Taken<Retry> {
    match which {
        Some(WhichMessage::Id(message)) => id("id", message).map(Retry::One),
        Some(WhichMessage::Channel(channel)) => channel_name(channel).map(Retry::Channel),
        None => Err(Refused::invalid(
            "it does not say which messages are to be tried again",
            "Give the id of one, or a channel.",
        )),
    }
}

/// A channel, with what waits in it.
pub(in crate::grpc) fn channel(view: &ChannelView) -> v1::Channel {
    let ChannelView { channel, queued, oldest, paused } = view;
    let personal = match channel.audience {
        Audience::Email | Audience::SlackUser => true,
        Audience::Place => false,
    };
    v1::Channel {
        name: channel.name.to_string(),
        personal,
        events: channel.events.names().into_iter().map(str::to_owned).collect(),
        queued: *queued,
        oldest_queued_at: oldest.map(time_out),
        problem: paused.as_ref().map(|(why, _)| shown(why)).unwrap_or_default(),
        paused_until: paused.as_ref().map(|(_, until)| time_out(*until)),
    }
}

/// What came of trying a channel.
pub(in crate::grpc) fn channel_test(test: ChannelTest) -> v1::TestChannelResponse {
    v1::TestChannelResponse {
        delivered: test.delivered,
        said: shown(&test.said),
        to: test.to.unwrap_or_default(),
    }
}

/// A message, without what it says.
pub(in crate::grpc) fn delivery(delivery: &Delivery) -> v1::Delivery {
    v1::Delivery {
        id: delivery.id.to_string(),
        event: delivery.event.as_str().to_owned(),
        channel: delivery.channel.to_string(),
        user: delivery.user_name.clone().unwrap_or_default(),
        project: delivery.project.clone().unwrap_or_default(),
        approval_id: delivery.approval.map(|id| id.to_string()).unwrap_or_default(),
        status: status_out(delivery.status).into(),
        hold: hold_out(delivery.held).into(),
        queued_at: Some(time_out(delivery.queued_at)),
        due_at: delivery.due_at.map(time_out),
        attempts: delivery.attempts,
        settled_at: delivery.settled_at.map(time_out),
        problem: delivery.problem.as_deref().map(shown).unwrap_or_default(),
        audit_seq: delivery.seq,
    }
}

/// Not given: any.
fn status(value: i32) -> Taken<Option<DeliveryStatus>> {
    match v1::DeliveryStatus::try_from(value) {
        Ok(v1::DeliveryStatus::Unspecified) => Ok(None),
        Ok(v1::DeliveryStatus::Queued) => Ok(Some(DeliveryStatus::Queued)),
        Ok(v1::DeliveryStatus::Sent) => Ok(Some(DeliveryStatus::Sent)),
        Ok(v1::DeliveryStatus::Failed) => Ok(Some(DeliveryStatus::Failed)),
        Ok(v1::DeliveryStatus::Answered) => Ok(Some(DeliveryStatus::Answered)),
        Err(_) => Err(unknown("status", value)),
    }
}

const fn status_out(status: DeliveryStatus) -> v1::DeliveryStatus {
    match status {
        DeliveryStatus::Queued => v1::DeliveryStatus::Queued,
        DeliveryStatus::Sent => v1::DeliveryStatus::Sent,
        DeliveryStatus::Failed => v1::DeliveryStatus::Failed,
        DeliveryStatus::Answered => v1::DeliveryStatus::Answered,
    }
}

const fn hold_out(held: Held) -> v1::DeliveryHold {
    match held {
        Held::No => v1::DeliveryHold::Unspecified,
        Held::Quiet => v1::DeliveryHold::Quiet,
        Held::Digest => v1::DeliveryHold::Digest,
    }
}

#[cfg(test)]
mod tests {
    use vouchsafe_core::id::{ApprovalId, MessageId, UserId};
    use vouchsafe_core::route::{Channel, Event, Events};
    use vouchsafe_core::time::UnixTime;

    use super::*;

    #[test]
    fn each_status_reads_back_as_it_is_written_and_none_is_any() {
        for one in DeliveryStatus::ALL {
            assert_eq!(status(status_out(one).into()), Ok(Some(one)));
        }
        assert_eq!(status(0), Ok(None));
        for value in [5, -1] {
            let message = format!("status has the value {value}, which this daemon does not know");
            assert_eq!(status(value).unwrap_err().message, message);
        }
    }

    #[test]
    fn nothing_said_is_not_everything() {
        assert!(which_deliveries(None).is_err());
        for which in [WhichMessage::Id(String::new()), WhichMessage::Channel(String::new())] {
            assert!(which_deliveries(Some(which)).is_err());
        }
        let pager = WhichMessage::Channel("pager".to_owned());
        assert_eq!(
            which_deliveries(Some(pager)).unwrap_err().message,
            "channel: a channel is email, slack:NAME or webhook:NAME"
        );
        let one = which_deliveries(Some(WhichMessage::Id("msg_3f".to_owned())));
        assert!(matches!(one, Ok(Retry::One(id)) if id == "msg_3f"));
    }

    #[test]
    fn what_is_not_given_does_not_matter() {
        let query = delivery_query(v1::ListDeliveriesRequest::default()).unwrap();
        assert!(query.approval.is_none() && query.channel.is_none() && query.status.is_none());
        let query = delivery_query(v1::ListDeliveriesRequest {
            approval_id: "ap_3f".to_owned(),
            channel: "slack:ops".to_owned(),
            status: 3,
            ..v1::ListDeliveriesRequest::default()
        });
        let query = query.unwrap();
        assert_eq!(query.approval.as_deref(), Some("ap_3f"));
        assert_eq!(query.channel.unwrap().as_str(), "slack:ops");
        assert_eq!(query.status, Some(DeliveryStatus::Failed));
    }

    #[test]
    fn a_channel_tells_what_waits_in_it_and_why() {
        let at = UnixTime::from_ms(1_000);
        let view = ChannelView {
            channel: Channel {
                name: ChannelName::email(),
                audience: Audience::Email,
                events: Events::ALL,
                feed: false,
                updates: false,
                at_once: 4,
            },
            queued: 2,
            oldest: Some(at),
            paused: Some(("it does not answer\u{202e}".to_owned(), at)),
        };
        let told = channel(&view);
        assert_eq!((told.name.as_str(), told.personal, told.queued), ("email", true, 2));
        assert_eq!(told.events, ["*"]);
        assert_eq!(told.problem, "it does not answer\\u{202e}");
        assert!(told.oldest_queued_at.is_some() && told.paused_until.is_some());
        let place = Channel { audience: Audience::Place, ..view.channel.clone() };
        let told = channel(&ChannelView { channel: place, paused: None, oldest: None, ..view });
        assert!(!told.personal && told.problem.is_empty() && told.paused_until.is_none());
    }

    #[test]
    fn a_message_tells_whom_it_reached_and_how() {
        let (user, approval) = (UserId::from_random([1; 10]), ApprovalId::from_random([2; 10]));
        let message = Delivery {
            id: MessageId::from_random([3; 10]),
            seq: 7,
            event: Event::ApprovalRequested,
            channel: ChannelName::email(),
            user: Some(user),
            user_name: Some("jane".to_owned()),
            project: Some("default".to_owned()),
            approval: Some(approval),
            status: DeliveryStatus::Queued,
            held: Held::Quiet,
            due_at: Some(UnixTime::from_ms(2_000)),
            give_up_at: UnixTime::from_ms(9_000),
            queued_at: UnixTime::from_ms(1_000),
            attempts: 1,
            settled_at: None,
            problem: Some("550 no such\nmailbox".to_owned()),
            receipt: Some("kept here".to_owned()),
        };
        let told = delivery(&message);
        assert_eq!(told.id, message.id.to_string());
        assert_eq!((told.event.as_str(), told.channel.as_str()), ("approval.requested", "email"));
        assert_eq!((told.user.as_str(), told.project.as_str()), ("jane", "default"));
        assert_eq!(told.approval_id, approval.to_string());
        assert_eq!((told.status(), told.hold()), (1.try_into().unwrap(), v1::DeliveryHold::Quiet));
        assert_eq!((told.attempts, told.audit_seq), (1, 7));
        assert_eq!(told.problem, "550 no such⏎mailbox");
        assert!(told.due_at.is_some() && told.settled_at.is_none());
    }
}
