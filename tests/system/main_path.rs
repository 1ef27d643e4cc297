//! From an ask to the end of its lease.

use serde_json::Value;
use vouchsafe_core::audit::verify_export;
use vouchsafe_proto::v1::{ApprovalStatus, LeaseStatus};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::events::within;
use vouchsafe_tests::grpc::Export;

use crate::minutes;

#[tokio::test]
async fn an_ask_is_approved_and_used_until_its_lease_runs_out_and_the_log_says_exactly_that() {
    let daemon = TestDaemon::start().await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    let before = entries(&daemon.admin().export().await).len();

    let waiting = claude.start_read("production/DB");
    let approval = bob.the_pending().await;
    assert_eq!(approval.items[0].resource, "vouchsafe://secrets/production/DB");
    assert_eq!(approval.items[0].rule, "Production");
    assert_eq!(approval.reason, "to run the nightly migration");
    assert_eq!(approval.asker.as_ref().unwrap().key_name, "claude");
    assert_eq!(approval.asker.as_ref().unwrap().owner, "ann");
    assert!(approval.may_vote, "{}", approval.may_not_vote_because);
    let voted = bob.approve(&approval).await.unwrap();
    assert_eq!(voted.approval.unwrap().status(), ApprovalStatus::Approved);

    let answer = within("the value", waiting).await.unwrap();
    assert_eq!(answer.value(), value_of("production/DB"));
    assert_eq!(answer.content["lease"]["uses_left"], 4);
    let again = claude.read("production/DB").await;
    assert_eq!((again.value(), again.lease()), (answer.value(), answer.lease()));

    daemon.advance(minutes(15)).await;
    assert_eq!(bob.lease(&answer.lease()).await.status(), LeaseStatus::Expired);
    let waiting = claude.start_read("production/DB");
    let second = bob.the_pending().await;
    assert_ne!(second.id, approval.id);
    bob.deny(&second, "once is enough").await.unwrap();
    let denied = within("the denial", waiting).await.unwrap();
    assert_eq!((denied.is_error, denied.status()), (true, "denied"));

    let export = daemon.admin().export().await;
    check_whole(&export);
    check_log(
        &entries(&export)[before..],
        &[
            "agent claude approval.requested ok",
            "user bob approval.voted ok",
            "user bob approval.approved ok",
            "user bob lease.issued ok",
            "agent claude secret.read ok",
            "agent claude secret.read ok",
            "system vouchsafed lease.expired ok",
            "agent claude approval.requested ok",
            "user bob approval.voted ok",
            "user bob approval.denied ok",
            "user admin audit.exported ok",
        ],
    );
}

#[tokio::test]
async fn one_approval_gives_leases_on_all_that_was_asked_for() {
    let daemon = TestDaemon::start().await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    let resources = ["vouchsafe://secrets/production/DB", "vouchsafe://secrets/production/API"];
    let arguments = serde_json::json!({ "resources": resources, "duration": "5m" });
    let waiting = claude.start("request_access", arguments);
    let approval = bob.the_pending().await;
    assert_eq!(approval.requested_duration.unwrap().seconds, 300);
    bob.approve(&approval).await.unwrap();
    let answer = within("the leases", waiting).await.unwrap();
    assert_eq!(answer.status(), "approved");
    let leases = answer.content["leases"].as_array().unwrap();
    let on: Vec<_> = leases.iter().map(|lease| lease["resource"].as_str().unwrap()).collect();
    assert_eq!(on, resources);
    for path in ["production/DB", "production/API"] {
        assert_eq!(claude.read(path).await.value(), value_of(path));
    }
    assert_eq!(awaited(&daemon, &approval.id).await, "approved");
}

#[tokio::test]
async fn what_a_rule_gives_without_people_is_given_at_once_under_a_lease() {
    let daemon = TestDaemon::start().await;
    let claude = daemon.agent("claude");
    let first = claude.read("staging/DB").await;
    assert_eq!(first.value(), value_of("staging/DB"));
    assert_eq!(first.content["lease"]["uses_left"], 2);
    let ids = [claude.read("staging/DB").await, claude.read("staging/DB").await];
    assert!(ids.iter().all(|answer| answer.lease() == first.lease()));
    assert_ne!(claude.read("staging/DB").await.lease(), first.lease());
    assert!(daemon.admin().list(&[]).await.is_empty());
}

#[tokio::test]
async fn a_list_tells_what_each_secret_needs_and_no_value() {
    let daemon = TestDaemon::start().await;
    let listed = daemon.agent("claude").call("list_secrets", serde_json::json!({})).await;
    let needs: Vec<_> = listed.content["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| format!("{} {}", text(&secret["uri"]), text(&secret["needs"])))
        .collect();
    assert_eq!(
        needs,
        [
            "vouchsafe://secrets/explained/KEY approval",
            "vouchsafe://secrets/follow/TOKEN approval",
            "vouchsafe://secrets/own/NOTE approval",
            "vouchsafe://secrets/production/API approval",
            "vouchsafe://secrets/production/DB approval",
            "vouchsafe://secrets/staging/DB nothing",
            "vouchsafe://secrets/vault/CODE approval",
        ]
    );
    assert!(!listed.content.to_string().contains("value-of"));
}

/// Where an approval of claude's stands, in its own words.
async fn awaited(daemon: &TestDaemon, id: &str) -> String {
    let arguments = serde_json::json!({ "approval_id": id });
    let answer = daemon.agent("claude").call("await_approval", arguments).await;
    answer.status().to_owned()
}

/// The entries of an export.
pub(crate) fn entries(export: &Export) -> Vec<Value> {
    let lines = export.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The export is what its checkpoint says, by the published key.
pub(crate) fn check_whole(export: &Export) {
    let lines = export.lines.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| Ok(line[..line.len() - 1].to_vec()));
    let key = export.verifier_key.parse().unwrap();
    verify_export(lines, export.note.as_bytes(), &key).unwrap();
}

/// The log says this and nothing else: who, what, how it ended.
#[track_caller]
pub(crate) fn check_log(entries: &[Value], should: &[&str]) {
    let is: Vec<_> = entries
        .iter()
        .map(|entry| {
            let actor = &entry["actor"];
            let words = [&actor["kind"], &actor["name"], &entry["action"], &entry["outcome"]];
            words.map(text).join(" ")
        })
        .collect();
    assert_eq!(is, should);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
