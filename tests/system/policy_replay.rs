//! Rules tried on the asks in the log.

use vouchsafe_proto::v1::{PolicyFile, ReplayChange, ReplayPolicyRequest, ReplayPolicyResponse};
use vouchsafe_tests::daemon::{RULES, TestDaemon};

use crate::{minutes, prompt_daemon};

async fn replay(daemon: &TestDaemon, rules: &str) -> ReplayPolicyResponse {
    let file = PolicyFile { name: "test.toml".to_owned(), text: rules.to_owned() };
    let request = ReplayPolicyRequest { files: vec![file], ..ReplayPolicyRequest::default() };
    daemon.grpc("bob").policy().replay_policy(request).await.unwrap().into_inner()
}

fn told(changes: &[ReplayChange]) -> Vec<String> {
    let tell = |change: &ReplayChange| {
        let path = change.resource.trim_start_matches("vouchsafe://secrets/");
        let by = |decision: &str, rule: &str| format!("{decision} ({rule})");
        let (was, now) = (by(&change.was, &change.was_rule), by(&change.now, &change.now_rule));
        format!("{} {path}: {was} -> {now} x{}", change.key, change.asks)
    };
    changes.iter().map(tell).collect()
}

#[tokio::test]
async fn the_same_rules_change_nothing() {
    let daemon = prompt_daemon().await;
    daemon.agent("claude").read("production/DB").await;
    daemon.agent("claude").read("staging/DB").await;
    daemon.agent("claude").read("unruled/THING").await;
    let replayed = replay(&daemon, RULES).await;
    assert_eq!((replayed.asks, replayed.same, replayed.cut), (3, 3, false));
    assert_eq!(told(&replayed.changes), [""; 0]);
    // Without files: those in the daemon's own folder.
    let own = ReplayPolicyRequest::default();
    let own = daemon.grpc("bob").policy().replay_policy(own).await.unwrap().into_inner();
    assert_eq!((own.asks, own.same), (3, 3));
    let entry = daemon.admin().log_of("policy.replayed").await.pop().unwrap();
    assert_eq!((&entry["actor"]["name"], &entry["details"]["asks"]), (&"bob".into(), &3.into()));
}

#[tokio::test]
async fn what_would_change_is_grouped_and_the_most_frequent_first() {
    let daemon = prompt_daemon().await;
    let (claude, cursor) = (daemon.agent("claude"), daemon.agent("cursor"));
    for _ in 0..2 {
        let asked = claude.read("production/DB").await;
        let withdraw = serde_json::json!({ "approval_id": asked.approval() });
        claude.call("withdraw_approval", withdraw).await;
        daemon.advance(minutes(61)).await;
    }
    cursor.read("staging/DB").await;
    claude.read("unruled/THING").await;
    let bare = serde_json::json!({ "uri": "vouchsafe://secrets/explained/KEY" });
    assert_eq!(claude.call("read_secret", bare).await.code(), "REASON_NEEDED");
    let rules = RULES
        .replace(
            "name = \"Production\"",
            "name = \"Prod\"\nauto_approve = { requester = [\"claude\"] }",
        )
        .replace("approval = \"none\"", "approvers = [\"group:oncall\"]")
        .replace("secrets/explained/", "secrets/elsewhere/");
    let replayed = replay(&daemon, &rules).await;
    assert_eq!((replayed.problems.len(), replayed.asks, replayed.same), (0, 5, 1));
    let mut changes = told(&replayed.changes);
    assert_eq!(changes.remove(0), "claude production/DB: asks (Production) -> approves (Prod) x2");
    changes.sort();
    assert_eq!(
        changes,
        [
            "claude explained/KEY: reason () -> refused () x1",
            "cursor staging/DB: allowed (Staging) -> asks (Staging) x1",
        ]
    );
}

#[tokio::test]
async fn rules_with_mistakes_are_not_replayed() {
    let daemon = prompt_daemon().await;
    let replayed = replay(&daemon, "[[rule]]").await;
    assert!(!replayed.problems.is_empty());
    assert_eq!((replayed.asks, daemon.admin().log_of("policy.replayed").await.len()), (0, 0));
}
