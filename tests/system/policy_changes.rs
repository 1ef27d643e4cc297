//! Changes of the rules that need an approval.

use tonic::Code;
use vouchsafe_core::policy::ApproverRef;
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, DisableUserRequest, ReloadPolicyRequest, ResumeLeasesRequest, Role,
    ShowPolicyRequest, ShowPolicyResponse, ShowStatusRequest, StopLeasesRequest,
};
use vouchsafe_tests::daemon::{RULES, TestDaemon};
use vouchsafe_tests::grpc::yes;
use vouchsafe_tests::mcp::Answer;
use vouchsafed::config::PolicyApproval;

use crate::{check_code, minutes, prompt_daemon};

/// The rules with fewer uses of what needs no person.
fn changed(uses: u32) -> String {
    RULES.replace("uses = 3", &format!("uses = {uses}"))
}

/// A daemon whose rules change by the word of one on call, or of the admin.
async fn careful_daemon() -> TestDaemon {
    let mut daemon = prompt_daemon().await;
    let approvers = ["group:oncall", "admin"].map(|name| name.parse::<ApproverRef>().unwrap());
    daemon.config().policy.approval =
        Some(PolicyApproval { approvers: approvers.into(), quorum: 1 });
    daemon.restart().await;
    daemon
}

async fn show(daemon: &TestDaemon) -> ShowPolicyResponse {
    let admin = daemon.admin();
    admin.policy().show_policy(ShowPolicyRequest::default()).await.unwrap().into_inner()
}

/// How often what needs no person may be used under the rules in force.
async fn uses(daemon: &TestDaemon) -> u32 {
    let shown = show(daemon).await;
    shown.rules.iter().find(|rule| rule.name == "Staging").unwrap().uses
}

/// What `status` says of the folder, if anything.
async fn warning(daemon: &TestDaemon) -> Option<String> {
    let status = daemon.admin().status().show_status(ShowStatusRequest {}).await.unwrap();
    let warnings = status.into_inner().warnings;
    warnings.into_iter().find(|warning| warning.contains("differs from the rules in force"))
}

/// The change that waits.
async fn held(daemon: &TestDaemon) -> Approval {
    let approval = daemon.admin().the_pending().await;
    assert_eq!(approval.items[0].resource, "vouchsafe://policy");
    assert_eq!(approval.id, show(daemon).await.held_approval_id);
    approval
}

#[tokio::test]
async fn a_change_is_held_shown_and_put_in_force_when_it_is_approved() {
    let daemon = careful_daemon().await;
    let before = show(&daemon).await;
    let reloaded = daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    assert_eq!((reloaded.held_approval_id.as_str(), reloaded.changed), (&*approval.id, false));
    assert_eq!((reloaded.digest, uses(&daemon).await), (before.digest, 3));
    let arguments: serde_json::Value = serde_json::from_str(&approval.arguments).unwrap();
    let diff = arguments["diff"].as_str().unwrap();
    assert!(diff.starts_with("--- a/test.toml\n+++ b/test.toml\n@@ "), "{diff}");
    assert!(diff.contains("uses = 3 }\n+") && diff.contains("uses = 2 }\n"), "{diff}");
    assert_eq!(arguments["files"], serde_json::json!(["test.toml"]));
    let said = format!(
        "The policy folder differs from the rules in force: the change is held as {}.",
        approval.id
    );
    assert_eq!(warning(&daemon).await, Some(said));

    daemon.grpc("bob").approve(&approval).await.unwrap();
    let after = show(&daemon).await;
    assert_eq!((uses(&daemon).await, after.held_approval_id.as_str()), (2, ""));
    assert_eq!(warning(&daemon).await, None);
    let entry = daemon.admin().log_of("policy.loaded").await.pop().unwrap();
    assert_eq!(
        (&entry["approval"], &entry["actor"]["name"]),
        (&approval.id.as_str().into(), &"bob".into())
    );
    let held = daemon.admin().log_of("policy.held").await.pop().unwrap();
    assert_eq!(held["details"]["to"], entry["details"]["accepted"]);
}

#[tokio::test]
async fn exactly_what_was_held_takes_effect_whatever_the_folder_holds_by_then() {
    let daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    daemon.write_rules("test.toml", &changed(1));
    daemon.grpc("bob").approve(&approval).await.unwrap();
    assert_eq!(uses(&daemon).await, 2);
}

#[tokio::test]
async fn who_asks_for_a_change_does_not_approve_it() {
    let daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    assert_eq!(approval.asker.as_ref().unwrap().owner, "admin");
    let answer = daemon.admin().approve(&approval).await;
    crate::check_said(
        answer,
        Code::PermissionDenied,
        "OWN_REQUEST",
        "you have asked for this change of the rules yourself",
        "Somebody else whom policy.approvers names has to approve it.",
    );
    let answer = daemon.grpc("dan").approve(&approval).await;
    check_code(answer, Code::PermissionDenied, "NOT_AN_APPROVER");
    assert_eq!(uses(&daemon).await, 3);
}

#[tokio::test]
async fn a_denied_change_is_not_asked_for_again_by_itself() {
    let daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    daemon.grpc("bob").deny(&approval, "too few").await.unwrap();
    let said = format!(
        "The policy folder differs from the rules in force: the change was denied by bob ({}).",
        approval.id
    );
    assert_eq!((uses(&daemon).await, warning(&daemon).await), (3, Some(said)));
    // As SIGHUP does, or the watch.
    let again = daemon.running().reload().await.unwrap();
    assert_eq!((again.held, again.changed), (None, false));
    assert_eq!(daemon.admin().list(&[ApprovalStatus::Pending]).await.len(), 0);
    // A person may ask again.
    assert_ne!(daemon.reload().await.held_approval_id, approval.id);
    held(&daemon).await;
}

#[tokio::test]
async fn an_equal_change_joins_and_a_newer_one_takes_its_place() {
    let daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let first = held(&daemon).await;
    assert_eq!(daemon.reload().await.held_approval_id, first.id);
    daemon.load_rules(&changed(1)).await;
    let second = held(&daemon).await;
    assert_ne!(first.id, second.id);
    let ended = daemon.admin().show(&first.id).await.unwrap();
    assert_eq!(
        (ended.status(), ended.outcome_reason.as_str()),
        (ApprovalStatus::Expired, "the policy files have changed again since")
    );
    check_code(
        daemon.grpc("bob").approve(&first).await,
        Code::FailedPrecondition,
        "APPROVAL_EXPIRED",
    );
    // The folder is again what runs: there is nothing to approve any more.
    daemon.load_rules(RULES).await;
    assert_eq!(daemon.admin().list(&[ApprovalStatus::Pending]).await.len(), 0);
    assert_eq!((warning(&daemon).await, uses(&daemon).await), (None, 3));
}

#[tokio::test]
async fn an_unanswered_change_expires_after_a_day() {
    let daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    daemon.advance(minutes(24 * 60 + 1)).await;
    let said = format!(
        "The policy folder differs from the rules in force: the change was not approved: nobody \
         answered in time, and no message about it had reached anybody ({}).",
        approval.id
    );
    assert_eq!((uses(&daemon).await, warning(&daemon).await), (3, Some(said)));
}

#[tokio::test]
async fn a_change_outlives_a_restart() {
    let mut daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    daemon.restart().await;
    assert_eq!((held(&daemon).await.id.as_str(), uses(&daemon).await), (&*approval.id, 3));
    daemon.grpc("bob").approve(&approval).await.unwrap();
    assert_eq!(uses(&daemon).await, 2);
    daemon.restart().await;
    assert_eq!((uses(&daemon).await, warning(&daemon).await), (2, None));
}

#[tokio::test]
async fn a_change_made_while_the_daemon_was_down_takes_one_person_more() {
    let mut daemon = careful_daemon().await;
    daemon.stop().await;
    daemon.write_rules("test.toml", &changed(2));
    daemon.try_start().await.unwrap();
    let approval = held(&daemon).await;
    let asked = &approval.requirements[0].factors[0];
    assert_eq!(
        (asked.count, asked.from.as_slice()),
        (2, ["admin", "group:oncall"].map(str::to_owned).as_slice())
    );
    assert_eq!(approval.asker.as_ref().unwrap().owner, "");
    daemon.admin().approve(&approval).await.unwrap();
    assert_eq!(uses(&daemon).await, 3, "one is not enough");
    daemon.grpc("ann").approve(&approval).await.unwrap();
    assert_eq!(uses(&daemon).await, 2);
}

#[tokio::test]
async fn a_change_that_can_no_longer_be_read_is_refused_loudly() {
    let mut daemon = careful_daemon().await;
    daemon.add_user("eve", &[Role::Approver], &[]).await;
    let rules = RULES.replace("\"group:oncall\"", "\"eve\"").replace("quorum = 2", "quorum = 1");
    assert_eq!(daemon.load_rules(&rules).await.problems.len(), 0);
    let approval = held(&daemon).await;
    let gone = DisableUserRequest { name: "eve".to_owned(), ..DisableUserRequest::default() };
    daemon.admin().users().disable_user(gone).await.unwrap();
    let answer = daemon.grpc("bob").vote(yes(&approval)).await.unwrap();
    assert_eq!(answer.approval.unwrap().status(), ApprovalStatus::Approved);
    assert_eq!(uses(&daemon).await, 3);
    let entry = daemon.admin().log_of("policy.refused").await.pop().unwrap();
    assert_eq!(
        (&entry["approval"], &entry["outcome"]),
        (&approval.id.as_str().into(), &"failed".into())
    );
    assert!(!show(&daemon).await.problems.is_empty());
}

#[tokio::test]
async fn without_the_setting_a_change_runs_at_once_and_what_was_held_is_void() {
    let mut daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    daemon.config().policy.approval = None;
    daemon.restart().await;
    assert_eq!(uses(&daemon).await, 2);
    assert_eq!(daemon.admin().list(&[ApprovalStatus::Pending]).await.len(), 0);
    check_code(
        daemon.grpc("bob").approve(&approval).await,
        Code::FailedPrecondition,
        "APPROVAL_EXPIRED",
    );
    assert_eq!(daemon.load_rules(RULES).await.held_approval_id, "");
    assert_eq!(uses(&daemon).await, 3);
}

#[tokio::test]
async fn no_agent_changes_the_rules() {
    let daemon = careful_daemon().await;
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    let claude = daemon.agent("claude");
    let ask = serde_json::json!({ "resources": ["vouchsafe://policy"], "operation": "write" });
    let refused: Answer = claude.call("request_access", ask).await;
    assert!(refused.is_error, "{refused:?}");
    for tool in ["await_approval", "withdraw_approval"] {
        let answer = claude.call(tool, serde_json::json!({ "approval_id": approval.id })).await;
        crate::check_refused_as(&answer, "APPROVAL_NOT_FOUND");
    }
    let reload = daemon.grpc("bob").policy().reload_policy(ReloadPolicyRequest {}).await;
    check_code(reload, Code::PermissionDenied, "ROLE_NEEDED");
    assert_eq!(uses(&daemon).await, 3);
}

#[tokio::test]
async fn a_change_that_is_held_during_a_stop_waits_for_its_end() {
    let daemon = careful_daemon().await;
    let admin = daemon.admin();
    let stop = StopLeasesRequest { reason: "looking".to_owned(), ..StopLeasesRequest::default() };
    admin.emergency().stop_leases(stop).await.unwrap();
    daemon.load_rules(&changed(2)).await;
    let approval = held(&daemon).await;
    check_code(daemon.grpc("bob").approve(&approval).await, Code::Unavailable, "STOPPED");
    let resume =
        ResumeLeasesRequest { reason: "seen".to_owned(), ..ResumeLeasesRequest::default() };
    admin.emergency().resume_leases(resume).await.unwrap();
    daemon.grpc("bob").approve(&approval).await.unwrap();
    assert_eq!(uses(&daemon).await, 2);
}
