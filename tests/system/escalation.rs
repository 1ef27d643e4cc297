//! What people are told of an ask that waits, and who may answer it after a while.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;
use vouchsafe_proto::v1::{
    ApprovalStatus, ResumeLeasesRequest, StopLeasesRequest, WatchApprovalsRequest,
};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::events::within;

use crate::{check_code, main_path, minutes};

const RULES: &str = r#"
[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "use", "read"]
approvers = ["group:oncall"]
pending_for = "1h"
escalate_after = "20m"
escalate_to = ["dan"]
remind_every = "15m"

[[rule]]
name = "Two people"
resource = "vouchsafe://secrets/vault/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
quorum = 2
pending_for = "1h"
escalate_after = "20m"
escalate_to = ["dan"]
"#;

async fn daemon() -> TestDaemon {
    TestDaemon::builder().rules(RULES).block_for(Duration::ZERO).start().await
}

/// The numbers of the reminders that the log has.
async fn reminders(daemon: &TestDaemon) -> Vec<Value> {
    let log = daemon.admin().log_of("approval.reminded").await;
    log.into_iter().map(|entry| entry["details"]["number"].clone()).collect()
}

#[tokio::test]
async fn whoever_a_rule_escalates_to_may_answer_after_that_time_and_not_before() {
    let daemon = daemon().await;
    let (claude, dan) = (daemon.agent("claude"), daemon.grpc("dan"));
    let asked = claude.read("production/DB").await.approval();
    let early = dan.show(&asked).await.unwrap();
    assert!(!early.may_vote);
    let requirement = &early.requirements[0];
    assert_eq!((&requirement.also, &requirement.escalates_to), (&vec![], &vec!["dan".to_owned()]));
    let at = requirement.escalates_at.unwrap().seconds;
    assert_eq!(at - early.created_at.unwrap().seconds, 20 * 60);
    check_code(dan.approve(&early).await, Code::PermissionDenied, "NOT_AN_APPROVER");
    daemon.advance(minutes(20).saturating_sub(Duration::from_millis(1))).await;
    check_code(dan.approve(&early).await, Code::PermissionDenied, "NOT_AN_APPROVER");
    assert_eq!(daemon.admin().log_of("approval.escalated").await.len(), 0);

    daemon.advance(Duration::from_millis(1)).await;
    let log = daemon.admin().log_of("approval.escalated").await;
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["approval"], &log[0]["actor"]["kind"]), (&json!(asked), &json!("system")));
    let details = &log[0]["details"];
    assert_eq!((&details["rule"], &details["to"]), (&json!("Production"), &json!(["dan"])));
    let late = dan.show(&asked).await.unwrap();
    assert!(late.may_vote);
    assert_eq!(late.requirements[0].also, ["dan"]);
    assert_eq!(late.digest, early.digest);
    dan.approve(&late).await.unwrap();
    assert_eq!(claude.read("production/DB").await.value(), value_of("production/DB"));
    main_path::check_whole(&daemon.admin().export().await);
}

#[tokio::test]
async fn whoever_is_asked_later_fills_one_place_of_several() {
    let daemon = daemon().await;
    let (claude, bob, dan) = (daemon.agent("claude"), daemon.grpc("bob"), daemon.grpc("dan"));
    let asked = claude.read("vault/CODE").await.approval();
    daemon.advance(minutes(20)).await;
    let half = dan.approve(&dan.show(&asked).await.unwrap()).await.unwrap().approval.unwrap();
    assert_eq!((half.status(), half.requirements[0].factors[0].met), (ApprovalStatus::Pending, 1));
    let whole = bob.approve(&bob.show(&asked).await.unwrap()).await.unwrap().approval.unwrap();
    assert_eq!(whole.status(), ApprovalStatus::Approved);
}

#[tokio::test]
async fn people_are_reminded_again_and_again_until_somebody_answers() {
    let daemon = daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let asked = claude.read("production/DB").await.approval();
    let request = WatchApprovalsRequest::default();
    let mut watch = cat.approvals().watch_approvals(request).await.unwrap().into_inner();
    let mut next = async || within("an event", watch.message()).await.unwrap().unwrap();
    assert_eq!(next().await.approval.unwrap().reminders, 0);
    assert!(next().await.caught_up);
    daemon.advance(minutes(14)).await;
    assert!(reminders(&daemon).await.is_empty());
    daemon.advance(minutes(1)).await;
    daemon.sweep().await;
    assert_eq!(next().await.approval.unwrap().reminders, 1);
    daemon.advance(minutes(5)).await;
    let escalated = next().await.approval.unwrap();
    assert_eq!((escalated.reminders, escalated.requirements[0].also.len()), (1, 1));
    daemon.advance(minutes(10)).await;
    assert_eq!(next().await.approval.unwrap().reminders, 2);
    assert_eq!(reminders(&daemon).await, [json!(1), json!(2)]);
    cat.deny(&cat.show(&asked).await.unwrap(), "not today").await.unwrap();
    daemon.advance(minutes(30)).await;
    assert_eq!(reminders(&daemon).await.len(), 2);
}

#[tokio::test]
async fn an_ask_that_nobody_answers_is_reminded_of_and_then_expires() {
    let daemon = daemon().await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    for _ in 0..60 {
        daemon.advance(minutes(1)).await;
    }
    let shown = daemon.admin().show(&asked).await.unwrap();
    assert_eq!(shown.status(), ApprovalStatus::Expired);
    assert_eq!(reminders(&daemon).await, [json!(1), json!(2), json!(3)]);
    assert_eq!(daemon.admin().log_of("approval.escalated").await.len(), 1);
}

#[tokio::test]
async fn what_was_missed_while_the_daemon_was_away_is_told_once() {
    let mut daemon = daemon().await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    daemon.advance(minutes(15)).await;
    daemon.stop().await;
    daemon.clock.advance(minutes(32));
    daemon.clock.reboot("boot-2");
    daemon.restart().await;
    daemon.sweep().await;
    assert_eq!(reminders(&daemon).await, [json!(1), json!(3)]);
    assert_eq!(daemon.admin().log_of("approval.escalated").await.len(), 1);
    daemon.restart().await;
    daemon.sweep().await;
    assert_eq!(reminders(&daemon).await.len(), 2, "and not again");
    let dan = daemon.grpc("dan");
    dan.approve(&dan.show(&asked).await.unwrap()).await.unwrap();
    let claude = daemon.agent("claude");
    assert_eq!(claude.read("production/DB").await.value(), value_of("production/DB"));
}

#[tokio::test]
async fn while_it_is_stopped_nobody_is_reminded_and_the_time_does_not_count() {
    let mut daemon = daemon().await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    daemon.advance(minutes(10)).await;
    let cat = daemon.grpc("cat");
    let stop = StopLeasesRequest { reason: "a thief".to_owned(), ..StopLeasesRequest::default() };
    cat.emergency().stop_leases(stop).await.unwrap();
    daemon.advance(minutes(300)).await;
    daemon.restart().await;
    daemon.sweep().await;
    assert!(reminders(&daemon).await.is_empty());
    let cat = daemon.grpc("cat");
    cat.emergency().resume_leases(ResumeLeasesRequest::default()).await.unwrap();
    daemon.advance(minutes(5)).await;
    assert_eq!(reminders(&daemon).await, [json!(1)]);
    let dan = daemon.grpc("dan");
    let shown = dan.show(&asked).await.unwrap();
    check_code(dan.approve(&shown).await, Code::PermissionDenied, "NOT_AN_APPROVER");
    daemon.advance(minutes(5)).await;
    dan.approve(&dan.show(&asked).await.unwrap()).await.unwrap();
}
