//! What happens at the same moment happens in some order, and only once.

use std::collections::BTreeSet;

use serde_json::json;
use vouchsafe_proto::v1::{ApprovalStatus, PutSecretRequest};
use vouchsafe_tests::daemon::RULES;
use vouchsafe_tests::events::{beside, within};
use vouchsafe_tests::mcp::uri;

use crate::{lease_on, main_path, minutes, prompt_daemon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yes_no_withdrawal_expiry_and_other_rules_at_once_come_to_one_end() {
    let daemon = std::sync::Arc::new(prompt_daemon().await);
    let mut ends = BTreeSet::new();
    for round in 0..12 {
        let claude = daemon.agent("claude");
        let asked = claude.read("production/DB").await.approval();
        let (bob, cat) = (daemon.grpc("bob"), daemon.grpc("cat"));
        let approval = bob.show(&asked).await.unwrap();
        daemon.clock.advance(minutes(if round % 3 == 0 { 60 } else { 1 }));
        let (yes, no) = (approval.clone(), approval.clone());
        let for_rules = std::sync::Arc::clone(&daemon);
        let withdrawal = json!({ "approval_id": asked });
        let all = [
            beside(async move { bob.approve(&yes).await.is_ok() }),
            beside(async move { cat.deny(&no, "no").await.is_ok() }),
            beside(async move {
                claude.call("withdraw_approval", withdrawal).await.status() == "withdrawn"
            }),
            beside(async move {
                let rules = RULES.replace("uses = 5", &format!("uses = {}", 6 + round));
                for_rules.load_rules(&rules).await.approvals_superseded == 1
            }),
        ];
        daemon.sweep().await;
        let mut won = 0;
        for one in all {
            won += usize::from(within("an end", one).await.unwrap());
        }
        assert!(won <= 1, "{won} of them decided {asked}");
        let end = daemon.admin().show(&asked).await.unwrap();
        assert_ne!(end.status(), ApprovalStatus::Pending);
        ends.insert(end.status);
        let filter = vouchsafe_proto::v1::AuditFilter {
            approval: asked.clone(),
            outcome: "ok".to_owned(),
            ..vouchsafe_proto::v1::AuditFilter::default()
        };
        let settled =
            ["approved", "denied", "expired", "withdrawn"].map(|s| format!("approval.{s}"));
        let told = daemon.admin().log(filter).await;
        let told = told.iter().filter(|e| settled.iter().any(|s| e["action"] == s.as_str()));
        assert_eq!(told.count(), 1, "{asked}");
        // Whatever came of it is told, so that the next round asks anew.
        daemon.agent("claude").call("await_approval", json!({ "approval_id": asked })).await;
        daemon.advance(minutes(61)).await;
    }
    assert!(ends.len() > 1, "{ends:?}");
    main_path::check_whole(&daemon.admin().export().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_versions_made_at_once_each_is_made_once() {
    let daemon = prompt_daemon().await;
    let puts: Vec<_> = (0..16)
        .map(|n| {
            let admin = daemon.admin();
            beside(async move { admin.put("production/DB", &format!("v{n}")).await.version })
        })
        .collect();
    let mut versions = BTreeSet::new();
    for put in puts {
        assert!(versions.insert(within("a version", put).await.unwrap()));
    }
    assert_eq!(versions, (2..=17).collect());
    let expecting: Vec<_> = (0..8)
        .map(|_| {
            let request = PutSecretRequest {
                path: "production/DB".to_owned(),
                value: b"x".to_vec(),
                expected_version: Some(17),
                ..PutSecretRequest::default()
            };
            let admin = daemon.admin();
            beside(async move { admin.secrets().put_secret(request).await })
        })
        .collect();
    let mut done = 0;
    for put in expecting {
        match within("an answer", put).await.unwrap() {
            Ok(_) => done += 1,
            Err(status) => {
                let said = vouchsafe_tests::grpc::said(&status);
                assert_eq!(said.code, "VERSION_CONFLICT");
                assert_eq!(said.message, "production/DB is at version 18, not at 17");
            }
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_asks_at_once_make_one_approval() {
    let daemon = prompt_daemon().await;
    let asks: Vec<_> =
        (0..32).map(|_| daemon.agent("claude").start_read("production/DB")).collect();
    let mut ids = BTreeSet::new();
    for ask in asks {
        ids.insert(within("a handle", ask).await.unwrap().approval());
    }
    assert_eq!(ids.len(), 1);
    let log = |action: &'static str| {
        let admin = daemon.admin();
        async move { admin.log_of(action).await.len() }
    };
    assert_eq!((log("approval.requested").await, log("approval.joined").await), (1, 31));
}

#[tokio::test]
async fn what_was_asked_shown_answered_and_released_is_one_thing() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let handle = claude.read("production/DB").await;
    let shown = daemon.grpc("cat").show(&handle.approval()).await.unwrap();
    assert_eq!(handle.content["digest"], shown.short_digest.as_str());
    let value = lease_on(&daemon, &claude, "production/DB").await;
    assert_eq!(value.content["lease"]["approval_id"], shown.id.as_str());
    let filter = vouchsafe_proto::v1::AuditFilter {
        approval: shown.id.clone(),
        ..vouchsafe_proto::v1::AuditFilter::default()
    };
    let entries = daemon.admin().log(filter).await;
    for action in ["requested", "voted", "approved"] {
        let action = format!("approval.{action}");
        let entry = entries.iter().find(|entry| entry["action"] == action.as_str()).unwrap();
        assert_eq!(entry["details"]["digest"], shown.digest.as_str(), "{action}");
        assert_eq!(entry["resources"], json!([uri("production/DB")]));
    }
    let read = entries.iter().find(|entry| entry["action"] == "secret.read").unwrap();
    assert_eq!((&read["lease"], &read["details"]["version"]), (&json!(value.lease()), &json!(1)));
    // Another ask for the same is another thing: its digest is its own.
    daemon.advance(minutes(16)).await;
    let again = claude.read("production/DB").await;
    assert_ne!(again.content["digest"], handle.content["digest"]);
}
