//! What whoever decides is told of what was before, and how they take back what they gave.

use serde_json::json;
use tonic::Code;
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, ApprovedByUser, Evidence, GrantKind, Operation, RevokeLeasesRequest,
    RevokeLeasesResponse, VoteRequest, WatchApprovalsRequest,
};
use vouchsafe_tests::daemon::{RULES, TestDaemon};
use vouchsafe_tests::events::within;
use vouchsafe_tests::grpc::{Person, yes};
use vouchsafe_tests::mcp::{Agent, uri};

use crate::projects::daemon_with_shop;
use crate::{check_code, minutes, prompt_daemon};

/// What an agent asks for, as bob sees it.
async fn asked(daemon: &TestDaemon, key: &str, path: &str) -> Approval {
    let answer = daemon.agent(key).read(path).await;
    assert_eq!(answer.status(), "pending", "{answer:?}");
    daemon.grpc("bob").show(&answer.approval()).await.unwrap()
}

/// Approves, and lets the lease of it end.
async fn approved(daemon: &TestDaemon, key: &str, path: &str, by: &str) -> Approval {
    let approval = asked(daemon, key, path).await;
    let answer = daemon.grpc(by).approve(&approval).await.unwrap();
    daemon.advance(minutes(61)).await;
    answer.approval.unwrap()
}

fn counts(evidence: &Evidence) -> (u32, u32, u32) {
    (evidence.asked_before, evidence.approved_before, evidence.denied_before)
}

/// `approved read by bob for claude`.
fn told(evidence: &Evidence) -> Vec<String> {
    let decisions = evidence.decisions.iter();
    let tell = decisions.map(|past| {
        let status = past.status().as_str_name().trim_start_matches("APPROVAL_STATUS_");
        let operation = past.operation().as_str_name().trim_start_matches("OPERATION_");
        format!("{status} {operation} by {} for {}", past.by, past.key_name).to_lowercase()
    });
    tell.collect()
}

#[tokio::test]
async fn it_is_told_how_often_the_key_asked_before_and_how_that_went() {
    let daemon = prompt_daemon().await;
    let first = asked(&daemon, "claude", "production/DB").await;
    let evidence = first.evidence.clone().unwrap();
    assert_eq!(counts(&evidence), (0, 0, 0));
    assert_eq!((evidence.last_approved_at, evidence.counts_capped), (None, false));
    daemon.grpc("bob").deny(&first, "not on a Friday").await.unwrap();
    // It is told that, and asks once more.
    daemon.agent("claude").read("production/DB").await;
    daemon.advance(minutes(1)).await;
    approved(&daemon, "claude", "production/DB", "cat").await;
    let last = approved(&daemon, "claude", "production/DB", "bob").await;
    // Of another key, for something else, or to do something else.
    approved(&daemon, "cursor", "production/DB", "cat").await;
    approved(&daemon, "claude", "production/API", "bob").await;
    let using = json!({ "resources": [uri("production/DB")], "operation": "use" });
    daemon.agent("claude").call("request_access", using).await;
    daemon.advance(minutes(1)).await;
    let now = asked(&daemon, "claude", "production/DB").await.evidence.unwrap();
    assert_eq!(counts(&now), (3, 2, 1));
    assert_eq!(now.last_approved_at, last.settled_at);
    assert_eq!(now.may_answer, ["admin", "bob", "cat"], "ann owns the key");
    assert_eq!(
        told(&now),
        [
            "approved read by cat for cursor",
            "approved read by bob for claude",
            "approved read by cat for claude",
            "denied read by bob for claude",
        ]
    );
    assert_eq!(now.decisions[3].reason, "not on a Friday");
    assert_eq!(now.decisions[3].approval_id, first.id);
}

#[tokio::test]
async fn several_resources_count_where_all_of_them_were_asked_for() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let both = json!({ "resources": [uri("production/DB"), uri("production/API")] });
    approved(&daemon, "claude", "production/DB", "cat").await;
    let first = daemon.agent("claude").call("request_access", both.clone()).await.approval();
    let first = bob.show(&first).await.unwrap();
    assert_eq!(counts(first.evidence.as_ref().unwrap()), (0, 0, 0));
    assert_eq!(told(first.evidence.as_ref().unwrap()), ["approved read by cat for claude"]);
    bob.approve(&first).await.unwrap();
    daemon.advance(minutes(61)).await;
    let again = daemon.agent("claude").call("request_access", both).await.approval();
    let again = bob.show(&again).await.unwrap().evidence.unwrap();
    assert_eq!(counts(&again), (1, 1, 0));
    assert_eq!(told(&again).len(), 2, "each decision once");
}

#[tokio::test]
async fn only_so_much_of_a_long_history_is_looked_at() {
    let rules = format!(
        "{RULES}\n[[rule]]\nname = \"By itself\"\nresource = \"vouchsafe://secrets/unruled/*\"\n\
         approvers = [\"group:oncall\"]\nlease = {{ default = \"1m\", max = \"1m\", uses = 1 }}\n\
         auto_approve = {{ requester = [\"claude\"] }}\n"
    );
    let daemon = TestDaemon::builder().rules(&rules).block_for(minutes(0)).start().await;
    let claude = daemon.agent("claude");
    for _ in 0..201 {
        daemon.clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(claude.read("unruled/THING").await.status(), "ok");
    }
    daemon.clock.advance(std::time::Duration::from_secs(1));
    let evidence = asked(&daemon, "cursor", "unruled/THING").await.evidence.unwrap();
    assert_eq!((counts(&evidence), evidence.counts_capped), ((0, 0, 0), true));
    assert_eq!(told(&evidence), ["approved read by its rule for claude"; 5]);
    let last = daemon.grpc("bob").list(&[ApprovalStatus::Approved]).await.remove(0);
    let evidence = daemon.grpc("bob").show(&last.id).await.unwrap().evidence.unwrap();
    assert_eq!((counts(&evidence), evidence.counts_capped), ((199, 199, 0), true));
}

#[tokio::test]
async fn it_is_told_where_one_approval_is_shown_and_not_in_lists() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let vault = asked(&daemon, "claude", "vault/CODE").await;
    assert!(bob.list(&[]).await.iter().all(|approval| approval.evidence.is_none()));
    let mut watch = bob
        .approvals()
        .watch_approvals(WatchApprovalsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let event = within("an event", watch.message()).await.unwrap().unwrap();
    assert_eq!(event.approval.unwrap().evidence.unwrap().may_answer, ["admin", "bob", "cat"]);
    assert!(within("an event", watch.message()).await.unwrap().unwrap().caught_up);
    let voted = bob.approve(&vault).await.unwrap().approval.unwrap();
    assert!(voted.evidence.is_none(), "whoever answered had it before them");
    let event = within("an event", watch.message()).await.unwrap().unwrap();
    assert_eq!(event.approval.unwrap().evidence.unwrap().may_answer, ["admin", "cat"]);
    let cat = daemon.grpc("cat");
    cat.approve(&vault).await.unwrap();
    let done = cat.show(&vault.id).await.unwrap();
    assert_eq!(done.evidence.unwrap().may_answer, [""; 0], "it is settled");
}

#[tokio::test]
async fn a_secret_that_has_moved_on_is_named_while_somebody_can_answer() {
    let daemon = prompt_daemon().await;
    let (bob, admin) = (daemon.grpc("bob"), daemon.admin());
    let fixed = asked(&daemon, "claude", "production/DB").await;
    let following = asked(&daemon, "claude", "follow/TOKEN").await;
    assert_eq!(fixed.evidence.unwrap().moved_on, [""; 0]);
    admin.put("production/DB", "newer").await;
    admin.put("follow/TOKEN", "newer").await;
    let moved = async |id: &str| bob.show(id).await.unwrap().evidence.unwrap().moved_on;
    assert_eq!(moved(&fixed.id).await, ["production/DB is at version 2 now, and 1 was asked for"]);
    assert_eq!(moved(&following.id).await, [""; 0], "its lease follows a rotation");
}

#[tokio::test]
async fn a_change_that_was_overtaken_is_named() {
    let rules = RULES.replace(r#"["list", "use", "read"]"#, r#"["list", "use", "read", "write"]"#);
    let mut daemon = TestDaemon::builder().rules(&rules).block_for(minutes(0)).start().await;
    daemon.add_key("writer", "ann", &["secrets:read", "secrets:write"]).await;
    let (bob, writer) = (daemon.grpc("bob"), daemon.agent("writer"));
    let write = async |path: &str| {
        let arguments = json!({ "uri": uri(path), "value": "a-new-value", "reason": "rotation" });
        let answer = writer.call("write_secret", arguments).await;
        assert_eq!(answer.status(), "pending", "{answer:?}");
        bob.show(&answer.approval()).await.unwrap()
    };
    let (new, old) = (write("production/NEW").await, write("production/DB").await);
    let evidence = new.evidence.unwrap();
    assert_eq!((evidence.moved_on, evidence.asked_before), (Vec::<String>::new(), 0));
    for path in ["production/NEW", "production/DB"] {
        daemon.admin().put(path, "by the operator").await;
    }
    let moved = async |id: &str| bob.show(id).await.unwrap().evidence.unwrap().moved_on;
    assert_eq!(
        moved(&new.id).await,
        ["production/NEW is there now, at version 1, and was not when it was asked for"]
    );
    assert_eq!(moved(&old.id).await, ["production/DB is at version 2 now, and 1 was asked for"]);
}

/// A lease by this person's word.
async fn lease_by(daemon: &TestDaemon, agent: &Agent, path: &str, by: &str, kind: GrantKind) {
    let by = daemon.grpc(by);
    let asked = by.show(&agent.read(path).await.approval()).await.unwrap();
    by.vote(VoteRequest { kind: kind.into(), ..yes(&asked) }).await.unwrap();
}

async fn revoke(by: &Person, request: RevokeLeasesRequest) -> RevokeLeasesResponse {
    by.leases().revoke_leases(request).await.unwrap().into_inner()
}

fn approved_by(user: &str) -> RevokeLeasesRequest {
    let which = Which::ApprovedBy(ApprovedByUser { user: user.to_owned(), since: None });
    RevokeLeasesRequest { which: Some(which), ..RevokeLeasesRequest::default() }
}

fn paths(answer: &RevokeLeasesResponse) -> Vec<&str> {
    let paths = answer.revoked.iter().map(|lease| lease.resource.as_str());
    let mut paths: Vec<_> =
        paths.map(|uri| uri.trim_start_matches("vouchsafe://secrets/")).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn what_somebody_approved_is_taken_back_and_nothing_else() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    lease_by(&daemon, &claude, "production/DB", "bob", GrantKind::Lease).await;
    lease_by(&daemon, &claude, "production/API", "cat", GrantKind::Lease).await;
    // Both of them, and nobody.
    let both = asked(&daemon, "claude", "vault/CODE").await;
    daemon.grpc("bob").approve(&both).await.unwrap();
    cat.approve(&both).await.unwrap();
    assert_eq!(claude.read("staging/DB").await.status(), "ok");
    let dry = RevokeLeasesRequest { dry_run: true, ..approved_by("bob") };
    let found = revoke(&cat, dry).await;
    assert_eq!(paths(&found), ["production/DB", "vault/CODE"]);
    assert_eq!(claude.read("production/DB").await.status(), "ok", "nothing has ended");
    let ended = revoke(&cat, approved_by("bob")).await;
    assert_eq!(paths(&ended), ["production/DB", "vault/CODE"]);
    assert_eq!(claude.read("production/DB").await.status(), "pending");
    for path in ["production/API", "staging/DB"] {
        assert_eq!(claude.read(path).await.status(), "ok", "{path}");
    }
    assert!(revoke(&cat, approved_by("bob")).await.revoked.is_empty(), "all has ended");
    let nobody = cat.leases().revoke_leases(approved_by("nobody")).await;
    check_code(nobody, Code::NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn only_answers_since_then_are_taken_back() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    lease_by(&daemon, &claude, "production/DB", "bob", GrantKind::Lease).await;
    daemon.advance(minutes(5)).await;
    lease_by(&daemon, &claude, "production/API", "bob", GrantKind::Lease).await;
    let since = cat.list(&[ApprovalStatus::Approved]).await.remove(0).settled_at;
    let which = Which::ApprovedBy(ApprovedByUser { user: "bob".to_owned(), since });
    let ended =
        revoke(&cat, RevokeLeasesRequest { which: Some(which), ..approved_by("bob") }).await;
    assert_eq!(paths(&ended), ["production/API"]);
    assert_eq!(claude.read("production/DB").await.status(), "ok");
}

#[tokio::test]
async fn a_session_that_somebody_gave_ends_with_all_that_came_of_it() {
    let rules = RULES
        .replace("quorum = 2", "remember = true")
        .replace("max = \"30m\"", "uses = 1, max = \"30m\"");
    let daemon = TestDaemon::builder().rules(&rules).block_for(minutes(0)).start().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    lease_by(&daemon, &claude, "vault/CODE", "bob", GrantKind::Session).await;
    assert_eq!(claude.read("vault/CODE").await.status(), "ok");
    // The next lease is the session's; nobody votes on it.
    let using = json!({ "resources": [uri("vault/CODE")], "operation": "read" });
    assert_eq!(claude.call("request_access", using).await.status(), "approved");
    let dry = RevokeLeasesRequest { dry_run: true, ..approved_by("bob") };
    assert_eq!(revoke(&cat, dry).await.sessions_ended, 1);
    assert!(revoke(&cat, approved_by("cat")).await.revoked.is_empty());
    let ended = revoke(&cat, approved_by("bob")).await;
    assert_eq!((paths(&ended), ended.sessions_ended), (vec!["vault/CODE"], 1));
    assert_eq!(claude.read("vault/CODE").await.status(), "pending");
}

#[tokio::test]
async fn only_leases_of_the_project_are_taken_back() {
    let daemon = daemon_with_shop().await;
    daemon.write_rules("shop/rules.toml", &RULES.replace("secrets/production", "secrets/till"));
    assert!(daemon.reload().await.problems.is_empty());
    let (claude, till, cat) = (daemon.agent("claude"), daemon.agent("till"), daemon.grpc("cat"));
    lease_by(&daemon, &claude, "production/DB", "bob", GrantKind::Lease).await;
    let use_it = json!({ "resources": [uri("till/PIN")], "operation": "use" });
    let asked = cat.show(&till.call("request_access", use_it).await.approval()).await.unwrap();
    assert_eq!(asked.operation(), Operation::Use);
    daemon.grpc("bob").approve(&asked).await.unwrap();
    let shop = RevokeLeasesRequest { project: "shop".to_owned(), ..approved_by("bob") };
    assert_eq!(paths(&revoke(&cat, shop).await), ["till/PIN"]);
    assert_eq!(paths(&revoke(&cat, approved_by("bob")).await), ["production/DB"]);
}
