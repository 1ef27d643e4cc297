//! Messages on their way: that each arrives, once, in order and in its time, whatever the channels
//! do meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;
use vouchsafe_proto::v1::{
    Channel, Delivery, DeliveryStatus, ListChannelsRequest, ListDeliveriesRequest,
    RetryDeliveryRequest, ShowStatusRequest, TestChannelRequest, retry_delivery_request,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::hook::{Received, Receiver, Reply};
use vouchsafed::clock::Clock as _;

use crate::{check_code, minutes};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwZ2V0LWEta2V5";

/// A daemon with these webhooks, by name, and something more for its configuration.
async fn daemon(hooks: &[(&str, &Receiver)], more: &str) -> TestDaemon {
    let hooks = hooks.iter().map(|(name, hook)| {
        let url = hook.url("/hook");
        format!(
            "[notify.webhook.{name}]\nurl = \"{url}\"\nsecrets_file = \"hook.secrets\"\n\
             at_once = 4\n\n"
        )
    });
    let hooks: String = hooks.collect();
    let settings = format!("[notify]\nprivate_hosts = [\"127.0.0.1\"]\n{more}\n{hooks}");
    TestDaemon::builder()
        .settings(&settings)
        .file("hook.secrets", SECRET)
        .block_for(Duration::ZERO)
        .start()
        .await
}

/// The messages about an approval, as its page shows them.
async fn messages(daemon: &TestDaemon, approval: &str) -> Vec<Delivery> {
    daemon.admin().show(approval).await.unwrap().deliveries
}

/// What the operator is warned of.
async fn warnings(daemon: &TestDaemon) -> String {
    let status = daemon.admin().status().show_status(ShowStatusRequest {}).await.unwrap();
    status.into_inner().warnings.join("\n")
}

/// The channel of this name.
async fn channel(daemon: &TestDaemon, name: &str) -> Channel {
    let listed = daemon.admin().notify().list_channels(ListChannelsRequest {}).await.unwrap();
    let listed = listed.into_inner().channels;
    listed.into_iter().find(|channel| channel.name == name).unwrap()
}

/// Lets the time pass that a channel waits until it tries again, and no more. What was under way
/// may make it wait once more: to be called until what should happen has happened.
async fn let_wait_pass(daemon: &TestDaemon, name: &str) {
    let status = DeliveryStatus::Queued.into();
    let request = ListDeliveriesRequest { channel: name.to_owned(), status, ..Default::default() };
    let listed = daemon.admin().notify().list_deliveries(request).await.unwrap().into_inner();
    let due = listed.deliveries.iter().filter_map(|one| one.due_at).map(ms).min();
    let until = channel(daemon, name).await.paused_until.map(ms).max(due).unwrap_or_default();
    let wait = until - daemon.clock.now().wall.ms();
    if let Ok(wait @ 1..) = u64::try_from(wait) {
        daemon.advance(Duration::from_millis(wait)).await;
    }
}

fn ms(at: prost_types::Timestamp) -> i64 {
    at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000
}

/// Those of a channel, once they are all in this state.
async fn once(
    daemon: &TestDaemon,
    channel: &str,
    count: usize,
    status: DeliveryStatus,
) -> Vec<Delivery> {
    eventually(&format!("{count} messages of {channel} {status:?}"), || async {
        let request = ListDeliveriesRequest { channel: channel.to_owned(), ..Default::default() };
        let listed = daemon.admin().notify().list_deliveries(request).await.unwrap();
        let found = listed.into_inner().deliveries;
        let fits = found.iter().filter(|delivery| delivery.status() == status).count();
        (found.len() == count && fits == count).then_some(found)
    })
    .await
}

/// What was told of approvals, in the order it came: each approval's events.
fn by_approval(seen: &[Received]) -> BTreeMap<String, Vec<String>> {
    let mut told = BTreeMap::<String, Vec<String>>::new();
    for received in seen {
        let approval = received.json()["data"]["approval_id"].as_str().unwrap_or("").to_owned();
        told.entry(approval).or_default().push(received.kind());
    }
    told
}

fn approvals_alone(mut told: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    for events in told.values_mut() {
        events.retain(|event| event.starts_with("approval."));
    }
    told.retain(|approval, _| !approval.is_empty());
    told
}

#[tokio::test]
async fn what_happens_to_an_ask_is_told_in_order_and_shown_with_it() {
    let hook = Receiver::start().await;
    let daemon = daemon(&[("siem", &hook)], "").await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    let request = hook.first("the ask", |seen| seen.kind() == "approval.requested").await;
    let approval = daemon.grpc("bob").show(&asked).await.unwrap();
    let data = &request.json()["data"];
    assert_eq!(data["approval_id"], json!(asked));
    assert!(request.body.contains(&approval.digest), "{}", request.body);
    assert!(request.body.contains(&approval.short_digest), "{}", request.body);
    daemon.grpc("bob").approve(&approval).await.unwrap();
    hook.first("the decision", |seen| seen.kind() == "approval.decided").await;
    hook.first("the lease", |seen| seen.kind() == "lease.issued").await;
    once(&daemon, "webhook:siem", 3, DeliveryStatus::Sent).await;
    let shown = messages(&daemon, &asked).await;
    let events: Vec<_> = shown.iter().map(|message| message.event.as_str()).collect();
    assert_eq!(events, ["approval.requested", "approval.decided", "lease.issued"]);
    assert!(shown.iter().all(|message| message.attempts == 1 && message.problem.is_empty()));
    let ids: Vec<_> = hook.seen().iter().map(|seen| seen.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.first(), shown.first().map(|message| &message.id));
}

#[tokio::test]
async fn a_dead_channel_delays_no_other_and_loses_nothing() {
    let (alive, dead) = (Receiver::start().await, Receiver::start().await);
    dead.always(Reply::Die);
    let daemon = daemon(&[("alive", &alive), ("dead", &dead)], "").await;
    let claude = daemon.agent("claude");
    let mut asks = Vec::new();
    for path in ["production/DB", "production/API", "vault/CODE"] {
        asks.push(claude.read(path).await.approval());
    }
    let bob = daemon.grpc("bob");
    for asked in asks.iter().take(2) {
        let approval = bob.show(asked).await.unwrap();
        bob.deny(&approval, "not today").await.unwrap();
    }
    once(&daemon, "webhook:alive", 5, DeliveryStatus::Sent).await;
    eventually("the dead channel to pause", || async {
        let channel = channel(&daemon, "webhook:dead").await;
        (!channel.problem.is_empty() && channel.queued == 5).then_some(())
    })
    .await;
    let warned = warnings(&daemon).await;
    assert!(warned.contains("webhook:dead"), "{warned}");

    dead.always(Reply::Taken);
    let tried = dead.seen().len();
    eventually("the dead channel to deliver all", || async {
        let_wait_pass(&daemon, "webhook:dead").await;
        let waiting = channel(&daemon, "webhook:dead").await.queued;
        (waiting == 0).then_some(())
    })
    .await;
    once(&daemon, "webhook:dead", 5, DeliveryStatus::Sent).await;
    let arrived = dead.seen().split_off(tried);
    let told = approvals_alone(by_approval(&arrived));
    let whole = vec!["approval.requested".to_owned(), "approval.decided".to_owned()];
    let ids: Vec<_> = told.keys().cloned().collect();
    assert_eq!(ids.len(), 3, "{told:?}");
    for asked in asks.iter().take(2) {
        assert_eq!(told.get(asked), Some(&whole), "once, and in order");
    }
    assert_eq!(told.get(&asks[2]), Some(&vec!["approval.requested".to_owned()]));
}

#[tokio::test]
async fn a_channel_that_has_had_too_much_is_left_alone_for_as_long_as_it_says() {
    let hook = Receiver::start().await;
    hook.next([Reply::RetryAfter(429, "600".to_owned())]);
    let daemon = daemon(&[("siem", &hook)], "").await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    hook.received(1).await;
    eventually("the pause", || async {
        let shown = messages(&daemon, &asked).await;
        shown.first().filter(|message| message.attempts == 1).map(drop)
    })
    .await;
    daemon.advance(minutes(9)).await;
    daemon.sweep().await;
    assert_eq!(hook.seen().len(), 1, "nothing before its time");
    daemon.advance(minutes(2)).await;
    let seen = hook.received(2).await;
    let ids: Vec<_> = seen.iter().map(|seen| seen.header("webhook-id")).collect();
    assert_eq!(ids[0], ids[1], "another try has the same id");
}

#[tokio::test]
async fn what_cannot_be_delivered_in_time_is_given_up_and_can_be_tried_again() {
    let (hook, other) = (Receiver::start().await, Receiver::start().await);
    hook.always(Reply::Status(500));
    let daemon = daemon(&[("siem", &hook), ("other", &other)], "give_up_after = \"10m\"").await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    eventually("a first try to be noted", || async {
        let shown = messages(&daemon, &asked).await;
        let tried = |one: &Delivery| one.channel == "webhook:siem" && one.attempts >= 1;
        shown.iter().any(tried).then_some(())
    })
    .await;
    for _ in 0..6 {
        daemon.advance(minutes(2)).await;
    }
    let given_up = eventually("the message to be given up", || async {
        let shown = messages(&daemon, &asked).await;
        shown.into_iter().find(|message| {
            message.channel == "webhook:siem" && message.status() == DeliveryStatus::Failed
        })
    })
    .await;
    assert!(given_up.problem.contains("500"), "{}", given_up.problem);
    let log = daemon.admin().log_of("message.failed").await;
    let failed: Vec<_> = log
        .iter()
        .filter(|entry| entry["details"]["message"] == json!(given_up.id))
        .map(|entry| (entry["approval"].clone(), entry["details"]["channel"].clone()))
        .collect();
    assert_eq!(failed, [(json!(asked), json!("webhook:siem"))]);
    other.first("the alarm", |seen| seen.kind() == "alert").await;

    hook.always(Reply::Taken);
    let tried = hook.seen().len();
    let which = Some(retry_delivery_request::Which::Id(given_up.id.clone()));
    let notify = || daemon.admin().notify();
    let again = notify().retry_delivery(RetryDeliveryRequest { which }).await.unwrap();
    assert_eq!(again.into_inner().queued, 1);
    let arrived = eventually("the message", || async {
        let_wait_pass(&daemon, "webhook:siem").await;
        let seen = hook.seen().split_off(tried);
        seen.into_iter().find(|seen| seen.header("webhook-id") == given_up.id)
    })
    .await;
    assert_eq!(arrived.kind(), "approval.requested");
    let which = Some(retry_delivery_request::Which::Id(given_up.id.clone()));
    eventually("that it was sent", || async {
        let shown = messages(&daemon, &asked).await;
        shown
            .into_iter()
            .find(|message| message.id == given_up.id)
            .filter(|message| message.status() == DeliveryStatus::Sent)
    })
    .await;
    let told = notify().retry_delivery(RetryDeliveryRequest { which }).await;
    check_code(told, Code::FailedPrecondition, "NOTHING_TO_RETRY");
}

#[tokio::test]
async fn an_ask_that_nobody_heard_of_is_not_denied_and_alarms_the_operator() {
    let (dead, other) = (Receiver::start().await, Receiver::start().await);
    dead.always(Reply::Die);
    let settings = format!(
        "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n\
         [notify.webhook.chat]\nurl = \"{}\"\ntemplate = \"discord\"\n\
         [notify.webhook.alarms]\nurl = \"{}\"\nsecrets_file = \"hook.secrets\"\n\
         events = [\"alert\", \"approval.*\"]\n",
        dead.url("/chat"),
        other.url("/alarms"),
    );
    let daemon = TestDaemon::builder()
        .settings(&settings)
        .file("hook.secrets", SECRET)
        .block_for(Duration::ZERO)
        .start()
        .await;
    let claude = daemon.agent("claude");
    let asked = claude.read("production/DB").await.approval();
    eventually("a try", || async { (!dead.seen().is_empty()).then_some(()) }).await;
    // A program has it, but nobody who could answer.
    once(&daemon, "webhook:alarms", 1, DeliveryStatus::Sent).await;
    daemon.advance(minutes(61)).await;
    let told = claude.read("production/DB").await;
    assert_eq!(told.status(), "expired");
    assert!(
        told.message().contains("no message about it had reached anybody"),
        "{}",
        told.message()
    );
    let shown = daemon.admin().show(&asked).await.unwrap();
    assert!(shown.nobody_reached);
    let log = daemon.admin().log_of("approval.unreached").await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0]["approval"], json!(asked));
    let alarm = other.first("the alarm", |seen| seen.body.contains("Nobody was reached")).await;
    assert_eq!(alarm.kind(), "alert");
    let warned = warnings(&daemon).await;
    assert!(warned.contains("1 of the asks of the last 24 hours"), "{warned}");
}

#[tokio::test]
async fn an_ask_that_somebody_heard_of_expires_as_before() {
    let hook = Receiver::start().await;
    let daemon = daemon(&[("siem", &hook)], "").await;
    let claude = daemon.agent("claude");
    let asked = claude.read("production/DB").await.approval();
    once(&daemon, "webhook:siem", 1, DeliveryStatus::Sent).await;
    daemon.advance(minutes(61)).await;
    let told = claude.read("production/DB").await;
    assert_eq!(told.status(), "expired");
    assert!(told.message().contains("nobody answered in time."), "{}", told.message());
    assert!(!daemon.admin().show(&asked).await.unwrap().nobody_reached);
    assert_eq!(daemon.admin().log_of("approval.unreached").await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_waits_survives_a_restart_and_what_was_sent_is_not_sent_again() {
    let hook = Receiver::start().await;
    let mut daemon = daemon(&[("siem", &hook)], "").await;
    let first = daemon.agent("claude").read("production/DB").await.approval();
    once(&daemon, "webhook:siem", 1, DeliveryStatus::Sent).await;
    hook.always(Reply::Die);
    let second = daemon.agent("claude").read("production/API").await.approval();
    eventually("a try", || async { (hook.seen().len() >= 2).then_some(()) }).await;
    daemon.stop().await;
    hook.always(Reply::Taken);
    let tried = hook.seen().len();
    daemon.restart().await;
    daemon.advance(minutes(5)).await;
    once(&daemon, "webhook:siem", 2, DeliveryStatus::Sent).await;
    let told = by_approval(&hook.seen().split_off(tried));
    assert_eq!(told.get(&second), Some(&vec!["approval.requested".to_owned()]));
    assert_eq!(told.get(&first), None);
}

#[tokio::test]
async fn a_channel_that_stalls_holds_up_no_stop_and_its_message_comes_again() {
    let hook = Receiver::start().await;
    hook.always(Reply::Stall);
    let mut daemon = daemon(&[("siem", &hook)], "").await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    let first = hook.received(1).await.remove(0);
    // Stopping in order is what fails where a task is cut off.
    daemon.stop().await;
    hook.always(Reply::Taken);
    daemon.restart().await;
    let again = eventually("the message", || async { hook.seen().get(1).cloned() }).await;
    assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
    assert!(again.body.contains(&asked), "{}", again.body);
}

#[tokio::test]
async fn a_channel_that_is_gone_gives_its_messages_up() {
    let hook = Receiver::start().await;
    hook.always(Reply::Die);
    let mut daemon = daemon(&[("siem", &hook)], "").await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    eventually("a try", || async { (!hook.seen().is_empty()).then_some(()) }).await;
    daemon.stop().await;
    daemon.config().notify.webhooks.clear();
    daemon.restart().await;
    daemon.sweep().await;
    let shown = messages(&daemon, &asked).await;
    let message = &shown[0];
    assert_eq!(message.status(), DeliveryStatus::Failed);
    assert!(message.problem.contains("no channel webhook:siem any more"), "{}", message.problem);
}

#[tokio::test]
async fn trying_a_channel_tells_what_happened() {
    let hook = Receiver::start().await;
    let daemon = daemon(&[("siem", &hook)], "").await;
    let test = |channel: &str| {
        let request = TestChannelRequest { channel: channel.to_owned() };
        let person = daemon.admin();
        async move { person.notify().test_channel(request).await }
    };
    let taken = test("webhook:siem").await.unwrap().into_inner();
    assert!(taken.delivered, "{taken:?}");
    assert_eq!(hook.received(1).await.len(), 1);
    hook.always(Reply::Status(500));
    let refused = test("webhook:siem").await.unwrap().into_inner();
    assert!(!refused.delivered && refused.said.contains("500"), "{refused:?}");
    check_code(test("webhook:none").await, Code::NotFound, "CHANNEL_NOT_FOUND");
    let log = daemon.admin().log_of("channel.tested").await;
    let outcomes: Vec<_> = log.iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("ok"), json!("failed"), json!("refused")]);
    assert_eq!(hook.seen().len(), 2, "each was tried once");
}
