//! Words that are not what they seem, and more of everything than anybody needs.

use serde_json::{Value, json};
use tonic::Code;
use vouchsafe_proto::v1::{CheckPolicyRequest, ListApprovalsRequest, PageRequest, PolicyFile};
use vouchsafe_tests::mcp::uri;

use crate::{check_code, check_refused, check_refused_as, prompt_daemon};

/// What is written, and what a person is shown.
const HOSTILE: [(&str, &str, bool); 9] = [
    ("plain words", "plain words", false),
    ("right\u{202e}to left", "right\\u{202e}to left", true),
    ("isolates \u{2066}here\u{2069}", "isolates \\u{2066}here\\u{2069}", true),
    ("zero\u{200b}width", "zero\\u{200b}width", true),
    ("tag\u{e0061}ged", "tag\\u{e0061}ged", true),
    ("escape\u{1b}[31mred", "escape\\u{1b}[31mred", true),
    ("bell\u{7}", "bell\\u{7}", true),
    ("two\nlines\tand a tab", "two⏎lines\\tand a tab", false),
    ("p\u{430}ypal", "p\\u{430}ypal", true),
];

#[tokio::test]
async fn a_reason_is_shown_with_nothing_hidden_in_it() {
    let daemon = prompt_daemon().await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    for (reason, shown, suspicious) in HOSTILE {
        let arguments = json!({ "uri": uri("production/DB"), "reason": reason });
        let asked = claude.call("read_secret", arguments).await;
        let approval = bob.show(&asked.approval()).await.unwrap();
        assert_eq!((approval.reason.as_str(), approval.reason_suspicious), (shown, suspicious));
        claude.call("withdraw_approval", json!({ "approval_id": approval.id })).await;
        // Withdrawn asks are told to nobody, so that the next one is new.
    }
    for entry in daemon.admin().log_of("approval.requested").await {
        let reason = entry["details"]["reason"].as_str().unwrap();
        assert!(HOSTILE.iter().any(|(_, shown, _)| *shown == reason), "{reason:?}");
    }
}

#[tokio::test]
async fn an_approvers_words_are_shown_the_same_way_to_the_agent() {
    let daemon = prompt_daemon().await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    let asked = claude.read("production/DB").await;
    let approval = bob.show(&asked.approval()).await.unwrap();
    bob.deny(&approval, "no\u{202e}w\u{200d}").await.unwrap();
    let told = claude.read("production/DB").await;
    assert_eq!(told.content["reason"], "no\\u{202e}w\\u{200d}");
    let denied = bob.show(&approval.id).await.unwrap();
    assert_eq!(denied.votes[0].reason, "no\\u{202e}w\\u{200d}");
}

#[tokio::test]
async fn more_than_there_may_be_of_anything_is_refused_by_name() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let resource = uri("production/DB");
    let many: Vec<_> = (0..21).map(|n| uri(&format!("production/S{n}"))).collect();
    let deep = uri(&["a"; 9].join("/"));
    let long = uri(&"a".repeat(65));
    let cases: [(&str, Value, &str); 12] = [
        (
            "read_secret",
            json!({ "uri": resource, "reason": "x".repeat(2_001) }),
            "`reason` has 2001 characters and may have 2000",
        ),
        (
            "read_secret",
            json!({ "uri": resource, "duration": "9".repeat(41) }),
            "`duration` has 41 characters and may have 40",
        ),
        (
            "read_secret",
            json!({ "uri": resource, "duration": "0s" }),
            "`duration` is `0s`: write a number and a unit, such as 90s, 15m or 1h",
        ),
        (
            "request_access",
            json!({ "resources": many }),
            "`resources` has 21 URIs and may have 1 to 20",
        ),
        (
            "request_access",
            json!({ "resources": [] }),
            "`resources` has 0 URIs and may have 1 to 20",
        ),
        (
            "request_access",
            json!({ "resources": [resource, resource] }),
            "`resources` names vouchsafe://secrets/production/DB twice",
        ),
        ("read_secret", json!({ "uri": deep }), ""),
        ("read_secret", json!({ "uri": long }), ""),
        ("read_secret", json!({ "uri": uri("production/../DB") }), ""),
        ("read_secret", json!({ "uri": uri("production/D\u{202e}B") }), ""),
        (
            "read_secret",
            json!({ "uri": "vouchsafe://audit" }),
            "`uri` is no secret: a secret's URI begins with vouchsafe://secrets/",
        ),
        (
            "read_secret",
            json!({ "uri": "x".repeat(601) }),
            "`uri` has 601 characters and may have 600",
        ),
    ];
    for (tool, arguments, message) in cases {
        let answer = claude.call(tool, arguments).await;
        if message.is_empty() {
            check_refused_as(&answer, "INVALID_ARGUMENT");
            assert!(!answer.message().contains('\u{202e}'));
        } else {
            let next = "Correct the argument and call again.";
            check_refused(&answer, "INVALID_ARGUMENT", message, next);
        }
    }
    assert!(daemon.admin().list(&[]).await.is_empty());
}

#[tokio::test]
async fn a_longer_lease_than_the_rule_allows_is_cut_to_what_it_allows() {
    let daemon = prompt_daemon().await;
    let arguments = json!({ "uri": uri("staging/DB"), "duration": "500000y" });
    let answer = daemon.agent("claude").call("read_secret", arguments).await;
    assert_eq!(answer.content["lease"]["expires_at"], "2026-11-21T10:20:00.000Z");
    assert_eq!(answer.content["lease"]["max_expires_at"], "2026-11-21T10:20:00.000Z");
}

#[tokio::test]
async fn a_key_has_a_hundred_asks_open_at_most() {
    let daemon = prompt_daemon().await;
    let (claude, admin) = (daemon.agent("claude"), daemon.admin());
    for n in 0..101 {
        let path = format!("production/S{n}");
        admin.put(&path, "x").await;
        let answer = claude.read(&path).await;
        if n < 100 {
            assert_eq!(answer.status(), "pending", "{n}");
        } else {
            check_refused(
                &answer,
                "TOO_MANY_PENDING",
                "100 asks of this key wait for people already",
                "Wait for answers with `await_approval`, or ask for several at once.",
            );
        }
    }
    assert_eq!(daemon.agent("cursor").read("production/S0").await.status(), "pending");
}

#[tokio::test]
async fn people_have_limits_too() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let page = Some(PageRequest { size: 501, token: String::new() });
    let request = ListApprovalsRequest { page, ..ListApprovalsRequest::default() };
    check_code(
        bob.approvals().list_approvals(request).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    for token in ["'; DROP TABLE approvals", "1.2.3", "-", "9999999999999999999999.x"] {
        let page = Some(PageRequest { size: 1, token: token.to_owned() });
        let request = ListApprovalsRequest { page, ..ListApprovalsRequest::default() };
        let answer = bob.approvals().list_approvals(request).await;
        if let Err(status) = answer {
            check_code::<()>(Err(status), Code::InvalidArgument, "INVALID_ARGUMENT");
        }
    }
    let file = |n: usize| PolicyFile { name: format!("{n}.toml"), text: String::new() };
    let request = CheckPolicyRequest { files: (0..1_000).map(file).collect() };
    let answer = bob.policy().check_policy(request).await;
    assert!(answer.is_err() || !answer.unwrap().into_inner().problems.is_empty());
    assert!(bob.show(&"a".repeat(100_000)).await.is_err());
}
