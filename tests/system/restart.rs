//! What stands is what was acknowledged, whichever way the daemon stops.

use std::fs;

use serde_json::json;
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{ApprovalStatus, LeaseStatus, RotateRootKeyRequest};
use vouchsafe_tests::daemon::{RULES, value_of};
use vouchsafe_tests::events::{beside, within};
use vouchsafe_tests::grpc::said;

use crate::{lease_on, main_path, minutes, prompt_daemon};

#[tokio::test]
async fn every_state_survives_a_restart() {
    let mut daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let pending = claude.read("production/DB").await.approval();
    let halfway = claude.read("vault/CODE").await.approval();
    let shown = daemon.grpc("bob").show(&halfway).await.unwrap();
    daemon.grpc("bob").approve(&shown).await.unwrap();
    let unused = claude.read("follow/TOKEN").await.approval();
    let shown = daemon.grpc("bob").show(&unused).await.unwrap();
    daemon.grpc("bob").approve(&shown).await.unwrap();
    let active = lease_on(&daemon, &claude, "production/API").await.lease();
    let ended = lease_on(&daemon, &claude, "own/NOTE").await.lease();
    daemon.grpc("bob").revoke(Which::Id(ended.clone())).await.unwrap();

    daemon.restart().await;
    let (claude, bob, cat) = (daemon.agent("claude"), daemon.grpc("bob"), daemon.grpc("cat"));
    assert_eq!(claude.read("production/DB").await.approval(), pending);
    let shown = bob.show(&pending).await.unwrap();
    bob.approve(&shown).await.unwrap();
    assert_eq!(claude.read("production/DB").await.value(), value_of("production/DB"));
    let shown = cat.show(&halfway).await.unwrap();
    assert_eq!(shown.requirements[0].factors[0].met, 1);
    let done = cat.approve(&shown).await.unwrap().approval.unwrap();
    assert_eq!(done.status(), ApprovalStatus::Approved);
    assert_eq!(claude.read("vault/CODE").await.value(), value_of("vault/CODE"));
    assert_eq!(claude.read("follow/TOKEN").await.value(), value_of("follow/TOKEN"));
    let again = claude.read("production/API").await;
    assert_eq!((again.lease(), &again.content["lease"]["uses_left"]), (active, &json!(3)));
    assert_eq!(bob.lease(&ended).await.status(), LeaseStatus::Revoked);
    assert_eq!(claude.read("own/NOTE").await.status(), "pending");
    main_path::check_whole(&daemon.admin().export().await);
}

#[tokio::test]
async fn what_ran_out_while_the_daemon_was_away_has_run_out() {
    let mut daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let lease = lease_on(&daemon, &claude, "production/DB").await.lease();
    let asked = claude.read("production/API").await.approval();
    daemon.stop().await;
    daemon.clock.reboot("boot-2");
    daemon.clock.advance(minutes(61));
    daemon.restart().await;
    let claude = daemon.agent("claude");
    assert_eq!(claude.read("production/DB").await.status(), "pending");
    assert_eq!(daemon.admin().lease(&lease).await.status(), LeaseStatus::Expired);
    let told = claude.call("await_approval", json!({ "approval_id": asked })).await;
    assert_eq!(told.status(), "expired");
}

#[tokio::test]
async fn rules_that_changed_while_the_daemon_was_away_end_what_was_asked_under_the_old_ones() {
    let mut daemon = prompt_daemon().await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    let kept = daemon.agent("claude").read("vault/CODE").await.approval();
    let approval = daemon.grpc("bob").show(&asked).await.unwrap();
    daemon.stop().await;
    let changed = RULES.replace("uses = 5 }", "uses = 5 }\nquorum = 2");
    fs::write(daemon.home().join("policies/test.toml"), changed).unwrap();
    daemon.restart().await;
    let bob = daemon.grpc("bob");
    let late = said(&bob.approve(&approval).await.unwrap_err());
    assert_eq!(late.code, "APPROVAL_EXPIRED");
    assert!(late.message.ends_with("the rules it was asked under have changed; ask again"));
    assert_eq!(bob.the_pending().await.id, kept);
    let told = daemon.agent("claude").call("await_approval", json!({ "approval_id": asked })).await;
    assert_eq!(told.status(), "expired");
}

#[tokio::test]
async fn a_call_that_waits_when_the_daemon_stops_gets_its_handle_and_goes_on_after() {
    let mut daemon = vouchsafe_tests::daemon::TestDaemon::start().await;
    let waiting = daemon.agent("claude").start_read("production/DB");
    let approval = daemon.grpc("bob").the_pending().await;
    daemon.waiting(1).await;
    daemon.restart().await;
    let handle = within("the handle", waiting).await.unwrap();
    assert_eq!((handle.status(), handle.approval()), ("pending", approval.id.clone()));
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    let waiting = claude.start_read("production/DB");
    daemon.waiting(1).await;
    bob.approve(&bob.the_pending().await).await.unwrap();
    assert_eq!(within("the value", waiting).await.unwrap().value(), value_of("production/DB"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_key_is_rotated_while_values_are_read() {
    let mut daemon = prompt_daemon().await;
    let agent = daemon.agent("claude");
    let reads = beside(async move {
        for _ in 0..60 {
            assert_eq!(agent.read("staging/DB").await.value(), value_of("staging/DB"));
        }
    });
    let mut generations = Vec::new();
    for _ in 0..3 {
        let mut status = daemon.admin().status();
        let rotated = status.rotate_root_key(RotateRootKeyRequest {}).await.unwrap().into_inner();
        generations.extend([rotated.old_key_id, rotated.new_key_id]);
    }
    within("the reads", reads).await.unwrap();
    assert_eq!(generations[1], generations[2]);
    assert_ne!(generations[0], generations[1]);
    daemon.restart().await;
    assert_eq!(daemon.agent("claude").read("staging/DB").await.value(), value_of("staging/DB"));
}
