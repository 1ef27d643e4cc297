//! Changes of secrets that agents propose: approved by people, made by us.

use serde_json::{Value, json};
use tonic::Code;
use vouchsafe_proto::v1::applied::Outcome;
use vouchsafe_proto::v1::{
    ApprovalStatus, ListSecretVersionsRequest, SecretVersion, ShowSecretRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::grpc::{Person, yes};
use vouchsafe_tests::mcp::{Agent, Answer, uri};

use crate::{check_code, check_refused, check_refused_as, check_said, minutes};

const RULES: &str = r#"
[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "read", "write", "delete"]
approvers = ["group:oncall"]
lease = { default = "15m", max = "1h" }

[[rule]]
name = "Scratch"
resource = "vouchsafe://secrets/scratch/*"
operations = ["list", "read", "write", "delete"]
approval = "none"

[[rule]]
name = "By level"
resource = "vouchsafe://secrets/level/*"
operations = ["list", "read", "write", "delete"]
approval = "level"
approvers = ["group:oncall"]

[[rule]]
name = "Reasoned"
resource = "vouchsafe://secrets/reasoned/*"
operations = ["write"]
approvers = ["group:oncall"]
[rule.auto_approve]
when = 'ask.reason.startsWith("INC-")'

[[rule]]
name = "Remembered"
resource = "vouchsafe://secrets/remembered/*"
operations = ["write"]
approvers = ["group:oncall"]
remember = true

[[rule]]
name = "Observed"
resource = "vouchsafe://secrets/observed/*"
operations = ["write"]
approvers = ["group:oncall"]
mode = "observe"

[[rule]]
name = "Only read"
resource = "vouchsafe://secrets/fixed/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
"#;

/// A daemon whose calls are answered at once, with an agent `writer` that may propose anything and
/// read what it proposed, and `reader` that may read.
async fn daemon() -> TestDaemon {
    let mut daemon = TestDaemon::builder().rules(RULES).block_for(minutes(0)).start().await;
    let scopes = ["secrets:read", "secrets:reveal", "secrets:write", "secrets:delete"];
    daemon.add_key("writer", "ann", &scopes).await;
    daemon
}

fn value(path: &str, value: &str) -> Value {
    json!({ "uri": uri(path), "value": value, "reason": "the old one leaked" })
}

/// An agent that proposes, and a person who answers.
struct Desk<'d> {
    agent: Agent,
    person: Person,
    daemon: &'d TestDaemon,
}

impl<'d> Desk<'d> {
    fn of(daemon: &'d TestDaemon) -> Self {
        Self { agent: daemon.agent("writer"), person: daemon.grpc("cat"), daemon }
    }

    async fn propose(&self, tool: &str, arguments: &Value) -> String {
        let asked = self.agent.call(tool, arguments.clone()).await;
        assert_eq!(asked.status(), "pending", "{asked:?}");
        asked.approval()
    }

    /// Approves, and says what came of it.
    async fn approve(&self, id: &str) -> (Outcome, u64) {
        let approval = self.person.show(id).await.unwrap();
        let voted = self.person.approve(&approval).await.unwrap();
        assert!(voted.leases.is_empty(), "a change gives no lease");
        let applied = voted.approval.unwrap().applied.unwrap();
        (applied.outcome(), applied.version)
    }

    /// What the agent reads now, under a lease of its own.
    async fn reads(&self, path: &str) -> Answer {
        let asked = self.agent.read(path).await;
        if asked.status() == "pending" {
            let approval = self.person.show(&asked.approval()).await.unwrap();
            self.person.approve(&approval).await.unwrap();
            return self.agent.read(path).await;
        }
        asked
    }

    async fn versions(&self, path: &str) -> Vec<SecretVersion> {
        let request = ListSecretVersionsRequest { path: path.to_owned(), ..Default::default() };
        let answer = self.daemon.admin().secrets().list_secret_versions(request).await;
        answer.unwrap().into_inner().versions
    }
}

#[tokio::test]
async fn a_proposed_value_is_written_when_it_is_approved() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let id = desk.propose("write_secret", &value("production/DB", "n3w-value")).await;
    let shown = desk.person.show(&id).await.unwrap();
    let change = shown.change.clone().unwrap();
    assert!(change.writes && change.from_version == 1 && change.bytes == 9, "{change:?}");
    assert_eq!(change.value_digest.len(), 64);
    assert_eq!(shown.arguments, "{}");
    assert!(!format!("{shown:?}").contains("n3w-value"));
    assert_eq!(desk.reads("production/DB").await.value(), "value-of-production/DB");
    assert_eq!(desk.approve(&id).await, (Outcome::Written, 2));
    let told = desk.agent.call("write_secret", value("production/DB", "n3w-value")).await;
    assert_eq!(
        told.content,
        json!({
            "status": "applied", "operation": "write", "uri": uri("production/DB"), "version": 2,
            "approval_id": id,
            "message": format!("{} has version 2 now.", uri("production/DB")),
        })
    );
    assert_eq!(desk.reads("production/DB").await.value(), "n3w-value");
    let newest = desk.versions("production/DB").await.swap_remove(0);
    assert_eq!((newest.version, newest.bytes, newest.approval_id), (2, 9, id.clone()));
    assert_eq!(newest.created_by, "writer");
    let log = daemon.admin().log_of("secret.written").await.pop().unwrap();
    assert_eq!((&log["actor"]["name"], &log["approval"]), (&json!("cat"), &json!(id)));
    assert_eq!(log["details"]["value_digest"], change.value_digest);
    assert_eq!(log["details"]["version"], 2);
}

#[tokio::test]
async fn a_write_is_made_after_the_agent_has_gone_and_told_once_when_it_comes_back() {
    let mut daemon = daemon().await;
    let arguments = value("production/DB", "after-it-left");
    let id = Desk::of(&daemon).propose("write_secret", &arguments).await;
    daemon.restart().await;
    let desk = Desk::of(&daemon);
    assert_eq!(desk.approve(&id).await, (Outcome::Written, 2));
    daemon.advance(minutes(60 * 24 * 3)).await;
    daemon.restart().await;
    let desk = Desk::of(&daemon);
    let told = desk.agent.call("write_secret", arguments.clone()).await;
    assert_eq!((told.status(), &told.content["version"]), ("applied", &json!(2)));
    assert_eq!(desk.reads("production/DB").await.value(), "after-it-left");
    // It has been told: now it would be another change.
    let again = desk.propose("write_secret", &arguments).await;
    assert_ne!(again, id);
}

#[tokio::test]
async fn a_call_that_waits_is_answered_with_what_came_of_it_and_so_is_each_that_joined() {
    let mut daemon = TestDaemon::builder().rules(RULES).block_for(minutes(10)).start().await;
    daemon.add_key("writer", "ann", &["secrets:write", "secrets:read"]).await;
    let agent = daemon.agent("writer");
    let first = agent.start("write_secret", value("production/DB", "waited-for"));
    let second = agent.start("write_secret", value("production/DB", "waited-for"));
    daemon.waiting(2).await;
    let cat = daemon.grpc("cat");
    cat.approve(&cat.the_pending().await).await.unwrap();
    for call in [first, second] {
        let answer = call.await.unwrap();
        assert_eq!((answer.status(), &answer.content["version"]), ("applied", &json!(2)));
    }
    assert_eq!(cat.list(&[]).await.len(), 1, "nobody was asked twice");
}

#[tokio::test]
async fn the_second_of_two_proposals_is_a_conflict_that_loses_nothing() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let first = desk.propose("write_secret", &value("production/DB", "the-first-one")).await;
    let second = desk.propose("write_secret", &value("production/DB", "the-second-one")).await;
    assert_ne!(first, second);
    assert_eq!(desk.approve(&first).await, (Outcome::Written, 2));
    assert_eq!(desk.approve(&second).await, (Outcome::Conflict, 2));
    let shown = desk.person.show(&second).await.unwrap();
    assert_eq!(shown.status(), ApprovalStatus::Approved);
    assert_eq!(
        shown.outcome_reason,
        "nothing was changed: the secret was at version 2 by then, which is not what was shown"
    );
    let told = desk.agent.call("write_secret", value("production/DB", "the-second-one")).await;
    assert!(told.is_error && told.status() == "conflict", "{told:?}");
    assert_eq!(told.content["version"], 2);
    check_said(
        desk.person.approve(&shown).await,
        Code::FailedPrecondition,
        "APPROVAL_SETTLED",
        &format!("the approval {second} was approved by cat at 2026-11-21T10:00:00.000Z"),
        "The decision stands; `vouchsafe secrets rollback` and `undelete` take a change back.",
    );
    assert_eq!(desk.reads("production/DB").await.value(), "the-first-one");
    let log = daemon.admin().log_of("secret.conflicted").await.pop().unwrap();
    assert_eq!((&log["outcome"], &log["details"]["found"]), (&json!("failed"), &json!(2)));
    // The agent asks again, people see what is there now, and it is written.
    let third = desk.propose("write_secret", &value("production/DB", "the-second-one")).await;
    let change = desk.person.show(&third).await.unwrap().change.unwrap();
    assert_eq!(change.from_version, 2);
    assert_eq!(desk.approve(&third).await, (Outcome::Written, 3));
    assert_eq!(desk.reads("production/DB").await.value(), "the-second-one");
    let kept: Vec<_> = desk.versions("production/DB").await.iter().map(|v| v.version).collect();
    assert_eq!(kept, [3, 2, 1]);
}

#[tokio::test]
async fn an_agent_that_asks_again_after_the_secret_has_moved_on_asks_anew() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let arguments = value("production/DB", "the-proposed-one");
    let stale = desk.propose("write_secret", &arguments).await;
    daemon.admin().put("production/DB", "from-an-operator").await;
    let fresh = desk.propose("write_secret", &arguments).await;
    assert_ne!(fresh, stale);
    let ended = desk.person.show(&stale).await.unwrap();
    assert_eq!(ended.status(), ApprovalStatus::Expired);
    assert_eq!(ended.outcome_reason, "the secret has changed since, and it was asked for anew");
    assert_eq!(desk.approve(&fresh).await, (Outcome::Written, 3));
}

#[tokio::test]
async fn a_new_secret_is_written_where_there_is_none_and_conflicts_where_there_is_one_by_then() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let arguments = json!({
        "uri": uri("production/NEW"), "value": "first-of-all", "description": "Made\u{202e} by an agent",
    });
    let id = desk.propose("write_secret", &arguments).await;
    let change = desk.person.show(&id).await.unwrap().change.unwrap();
    assert_eq!(change.from_version, 0);
    let differences: Vec<_> =
        change.differences.iter().map(|d| (d.what.as_str(), d.after.as_str())).collect();
    assert!(differences.contains(&("bytes", "12")), "{differences:?}");
    assert_eq!(desk.approve(&id).await, (Outcome::Written, 1));
    let request = ShowSecretRequest { path: "production/NEW".to_owned(), ..Default::default() };
    let secret = daemon.admin().secrets().show_secret(request).await.unwrap().into_inner();
    assert_eq!(secret.description, "Made\\u{202e} by an agent");
    assert_eq!(desk.reads("production/NEW").await.value(), "first-of-all");
    let late = desk.propose("write_secret", &value("production/LATE", "proposed-value")).await;
    daemon.admin().put("production/LATE", "an-operators").await;
    assert_eq!(desk.approve(&late).await, (Outcome::Conflict, 1));
    assert_eq!(desk.reads("production/LATE").await.value(), "an-operators");
}

#[tokio::test]
async fn a_deletion_ends_leases_and_asks_about_the_secret() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    assert_eq!(desk.reads("production/DB").await.status(), "ok");
    let other = daemon.agent("claude").read("production/DB").await.approval();
    let arguments = json!({ "uri": uri("production/DB"), "reason": "not used any more" });
    let id = desk.propose("delete_secret", &arguments).await;
    let shown = desk.person.show(&id).await.unwrap();
    assert!(!shown.change.unwrap().writes);
    assert_eq!(desk.approve(&id).await, (Outcome::Deleted, 1));
    check_refused_as(&desk.agent.read("production/DB").await, "SECRET_NOT_FOUND");
    let ended = desk.person.show(&other).await.unwrap();
    assert_eq!(ended.outcome_reason, "a secret it was about was deleted");
    let told = desk.agent.call("delete_secret", arguments.clone()).await;
    assert_eq!((told.status(), &told.content["operation"]), ("applied", &json!("delete")));
    check_refused(
        &desk.agent.call("delete_secret", arguments).await,
        "SECRET_NOT_FOUND",
        "there is no secret vouchsafe://secrets/production/DB",
        "`list_secrets` shows which there are.",
    );
}

#[tokio::test]
async fn what_is_denied_or_withdrawn_changes_nothing_and_says_why() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let arguments = value("production/DB", "not-wanted-at-all");
    let id = desk.propose("write_secret", &arguments).await;
    let approval = desk.person.show(&id).await.unwrap();
    desk.person.deny(&approval, "use the staging database").await.unwrap();
    let told = desk.agent.call("write_secret", arguments.clone()).await;
    assert_eq!(
        (told.status(), told.content["reason"].as_str()),
        ("denied", Some("use the staging database"))
    );
    let id = desk.propose("write_secret", &arguments).await;
    let taken = desk.agent.call("withdraw_approval", json!({ "approval_id": id })).await;
    assert_eq!(taken.status(), "withdrawn");
    let approval = desk.person.show(&id).await.unwrap();
    check_code(
        desk.person.vote(yes(&approval)).await,
        Code::FailedPrecondition,
        "APPROVAL_SETTLED",
    );
    assert_eq!(desk.versions("production/DB").await.len(), 1);
}

#[tokio::test]
async fn a_vote_on_another_proposal_than_the_one_shown_is_stale() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let first = desk.propose("write_secret", &value("production/DB", "the-first-one")).await;
    let second = desk.propose("write_secret", &value("production/DB", "the-other-one")).await;
    let shown = desk.person.show(&first).await.unwrap();
    let mut vote = yes(&desk.person.show(&second).await.unwrap());
    vote.digest = shown.digest;
    check_code(desk.person.vote(vote).await, Code::FailedPrecondition, "STALE_DIGEST");
    assert_eq!(desk.versions("production/DB").await.len(), 1);
}

#[tokio::test]
async fn equal_values_look_different_in_each_approval_and_still_join() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let arguments = value("production/DB", "guess-1234");
    let id = desk.propose("write_secret", &arguments).await;
    assert_eq!(desk.propose("write_secret", &arguments).await, id, "an equal ask joins");
    let digest = desk.person.show(&id).await.unwrap().change.unwrap().value_digest;
    desk.agent.call("withdraw_approval", json!({ "approval_id": id })).await;
    let again = desk.propose("write_secret", &arguments).await;
    assert_ne!(desk.person.show(&again).await.unwrap().change.unwrap().value_digest, digest);
}

#[tokio::test]
async fn what_nobody_has_to_be_asked_for_is_made_at_once_and_logged() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let made = desk.agent.call("write_secret", value("scratch/X", "free-value")).await;
    assert_eq!((made.status(), &made.content["version"]), ("applied", &json!(1)), "{made:?}");
    assert!(made.content.get("approval_id").is_none());
    assert_eq!(desk.agent.read("scratch/X").await.value(), "free-value");
    let log = daemon.admin().log_of("secret.written").await.pop().unwrap();
    assert_eq!((&log["actor"]["name"], &log["approval"]), (&json!("writer"), &Value::Null));
    assert_eq!(log["details"]["reason"], "the old one leaked");
    let gone = desk.agent.call("delete_secret", json!({ "uri": uri("scratch/X") })).await;
    assert_eq!(gone.status(), "applied", "{gone:?}");
    // The conditions of its rule approve it: that is an approval.
    let mut incident = value("reasoned/X", "by-its-rule");
    incident["reason"] = json!("INC-7: rotated");
    let made = desk.agent.call("write_secret", incident).await;
    let approval = desk.person.show(made.content["approval_id"].as_str().unwrap()).await.unwrap();
    assert_eq!(approval.applied.unwrap().outcome(), Outcome::Written);
    let observed = desk.agent.call("write_secret", value("observed/X", "let-through")).await;
    assert_eq!(observed.status(), "applied", "{observed:?}");
    let log = daemon.admin().log_of("secret.written").await.pop().unwrap();
    assert_eq!(
        (&log["details"]["observed"], &log["details"]["would"]),
        (&json!(true), &json!("ask"))
    );
    assert_eq!(desk.person.pending(0).await.len(), 0);
}

#[tokio::test]
async fn a_level_decides_where_the_rule_leaves_it_to_it() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let asked = desk.agent.call("write_secret", value("level/X", "at-balanced")).await;
    assert_eq!(asked.status(), "pending", "balanced asks for a write: {asked:?}");
    let request = vouchsafe_proto::v1::UpdateKeyRequest {
        name: "writer".to_owned(),
        level: vouchsafe_proto::v1::Level::Auto.into(),
        ..Default::default()
    };
    daemon.admin().keys().update_key(request).await.unwrap();
    let made = desk.agent.call("write_secret", value("level/X", "at-balanced")).await;
    assert_eq!(made.status(), "applied", "{made:?}");
    assert_eq!(
        desk.person.list(&[ApprovalStatus::Pending]).await.len(),
        0,
        "nobody is asked in vain"
    );
    let asked = desk.agent.call("delete_secret", json!({ "uri": uri("level/X") })).await;
    assert_eq!(asked.status(), "pending", "every level asks for a deletion: {asked:?}");
}

#[tokio::test]
async fn a_session_covers_further_writes_under_its_rule() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let id = desk.propose("write_secret", &value("remembered/X", "the-first")).await;
    let approval = desk.person.show(&id).await.unwrap();
    let mut vote = yes(&approval);
    vote.kind = vouchsafe_proto::v1::GrantKind::Session.into();
    desk.person.vote(vote).await.unwrap();
    desk.agent.call("write_secret", value("remembered/X", "the-first")).await;
    let next = desk.agent.call("write_secret", value("remembered/Y", "the-second")).await;
    assert_eq!(next.status(), "applied", "{next:?}");
    daemon.advance(minutes(31)).await;
    let later = desk.agent.call("write_secret", value("remembered/Z", "the-third")).await;
    assert_eq!(later.status(), "pending", "{later:?}");
}

/// Proposals that make no sense: what they are refused with.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn senseless() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let target = uri("production/DB");
    vec![
        (
            "write_secret",
            json!({ "uri": target }),
            "INVALID_ARGUMENT",
            "there is no value: give `value`, `value_base64` or `generate`",
        ),
        (
            "write_secret",
            json!({ "uri": target, "value": "" }),
            "INVALID_ARGUMENT",
            "the value is empty",
        ),
        (
            "write_secret",
            json!({ "uri": target, "value": "hunter2-x", "generate": { "kind": "uuid" } }),
            "INVALID_ARGUMENT",
            "give one of `value`, `value_base64` and `generate`, not several",
        ),
        (
            "write_secret",
            json!({ "uri": target, "value_base64": "hunter2-x!" }),
            "INVALID_ARGUMENT",
            "`value_base64` is not base64 with its padding (RFC 4648)",
        ),
        (
            "write_secret",
            json!({ "uri": target, "value": ["hunter2-x"] }),
            "INVALID_ARGUMENT",
            "`value` is a string, not a list",
        ),
        (
            "write_secret",
            json!({ "uri": target, "generate": { "kind": "password", "length": 4 } }),
            "INVALID_ARGUMENT",
            "`generate`: a password has 8 to 4096 characters, not 4",
        ),
        (
            "write_secret",
            json!({ "uri": target, "value": "hunter2-x", "duration": "1h" }),
            "INVALID_ARGUMENT",
            "write_secret has no argument `duration`",
        ),
        (
            "write_secret",
            json!({ "uri": target, "value": "hunter2-x", "description": "x".repeat(301) }),
            "INVALID_ARGUMENT",
            "`description` has 301 characters and may have 300",
        ),
        (
            "write_secret",
            json!({ "uri": uri("fixed/X"), "value": "hunter2-x" }),
            "POLICY_REFUSED",
            "the rule \"Only read\" does not cover write on vouchsafe://secrets/fixed/X",
        ),
        (
            "write_secret",
            json!({ "uri": uri("nowhere/X"), "value": "hunter2-x" }),
            "POLICY_REFUSED",
            "no rule is for vouchsafe://secrets/nowhere/X, and what no rule is for is refused",
        ),
        (
            "rotate_secret",
            json!({ "uri": target }),
            "NOT_GENERATED",
            "the value of vouchsafe://secrets/production/DB was given by somebody, so that nothing says how to make another",
        ),
        (
            "rotate_secret",
            json!({ "uri": uri("production/NONE") }),
            "SECRET_NOT_FOUND",
            "there is no secret vouchsafe://secrets/production/NONE",
        ),
        (
            "request_access",
            json!({ "resources": [target], "operation": "write" }),
            "INVALID_ARGUMENT",
            "a lease is for `read` or `use`, not for `write`",
        ),
    ]
}

#[tokio::test]
async fn a_proposal_that_makes_no_sense_is_refused_and_repeats_no_value() {
    let mut daemon = daemon().await;
    daemon.add_key("plain", "ann", &["mcp:read"]).await;
    let desk = Desk::of(&daemon);
    for (tool, arguments, code, message) in senseless() {
        let answer = desk.agent.call(tool, arguments.clone()).await;
        check_refused_as(&answer, code);
        assert_eq!(answer.message(), message, "{arguments}");
        assert!(!answer.content.to_string().contains("hunter2"), "{answer:?}");
    }
    let plain = daemon.agent("plain");
    for (tool, scope) in [
        ("write_secret", "secrets:write"),
        ("rotate_secret", "secrets:write"),
        ("delete_secret", "secrets:delete"),
    ] {
        let answer = plain.call(tool, value("production/DB", "hunter2-x")).await;
        check_refused_as(&answer, "SCOPE_NEEDED");
        assert!(
            answer.message().starts_with(&format!("this needs the scope {scope};")),
            "{answer:?}"
        );
    }
    let log = String::from_utf8(daemon.admin().export().await.lines).unwrap();
    assert!(!log.contains("hunter2"));
}

#[tokio::test]
async fn what_is_stopped_proposes_nothing_and_approves_nothing() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let id = desk.propose("write_secret", &value("production/DB", "before-the-stop")).await;
    let all = vouchsafe_proto::v1::StopLeasesRequest {
        reason: "incident".to_owned(),
        ..Default::default()
    };
    daemon.admin().emergency().stop_leases(all).await.unwrap();
    let refused = desk.agent.call("write_secret", value("scratch/X", "while-stopped")).await;
    check_refused_as(&refused, "STOPPED");
    let approval = desk.person.show(&id).await.unwrap();
    check_code(desk.person.approve(&approval).await, Code::Unavailable, "STOPPED");
    assert_eq!(desk.versions("production/DB").await.len(), 1);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_written_as_they_are() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let arguments = json!({ "uri": uri("scratch/KEY"), "value_base64": "/wD+AQ==" });
    assert_eq!(desk.agent.call("write_secret", arguments).await.status(), "applied");
    let read = desk.agent.read("scratch/KEY").await;
    assert_eq!((read.value(), read.content["encoding"].as_str()), ("/wD+AQ==", Some("base64")));
}

#[tokio::test]
async fn a_generated_value_is_shown_by_no_door_until_it_is_read_under_a_lease() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let kinds = [
        json!({ "kind": "password", "length": 40, "alphabet": "base64url" }),
        json!({ "kind": "passphrase", "words": 6 }),
        json!({ "kind": "uuid" }),
        json!({ "kind": "ed25519" }),
        json!({ "kind": "rsa", "bits": 2048 }),
    ];
    let (mut answers, mut values) = (Vec::new(), Vec::new());
    for (index, kind) in kinds.iter().enumerate() {
        let path = format!("production/GENERATED_{index}");
        let arguments = json!({ "uri": uri(&path), "generate": kind, "reason": "a new service" });
        let asked = desk.agent.call("write_secret", arguments.clone()).await;
        let shown = desk.person.show(&asked.approval()).await.unwrap();
        let change = shown.change.clone().unwrap();
        assert!(change.generator.is_some() && change.bytes > 20, "{change:?}");
        let approval = desk.person.show(&asked.approval()).await.unwrap();
        let voted = desk.person.approve(&approval).await.unwrap();
        let told = desk.agent.call("write_secret", arguments).await;
        assert_eq!(told.status(), "applied", "{told:?}");
        let is_pair = index > 2;
        assert_eq!(told.content.get("public_key").is_some(), is_pair, "{told:?}");
        assert_eq!(told.content["public_key"].as_str().unwrap_or_default(), change.public_key);
        let versions = desk.versions(&path).await;
        let listed = desk.agent.call("list_secrets", json!({})).await;
        answers.push(format!("{asked:?}{shown:?}{voted:?}{told:?}{versions:?}{listed:?}"));
        values.push(desk.reads(&path).await.value().to_owned());
    }
    answers.push(String::from_utf8(daemon.admin().export().await.lines).unwrap());
    for value in &values {
        // Of a key, what is between its first and last line.
        let secret = value.lines().find(|line| !line.starts_with("-----")).unwrap();
        assert!(secret.len() > 19, "{secret}");
        assert!(answers.iter().all(|answer| !answer.contains(secret)), "{secret} was shown");
    }
}

#[tokio::test]
async fn a_rotation_makes_another_value_of_the_same_kind() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let made = json!({ "uri": uri("scratch/K"), "generate": { "kind": "password", "length": 24, "alphabet": "hex" } });
    desk.agent.call("write_secret", made).await;
    let first = desk.agent.read("scratch/K").await.value().to_owned();
    let rotated = desk.agent.call("rotate_secret", json!({ "uri": uri("scratch/K") })).await;
    assert_eq!(
        (rotated.status(), &rotated.content["version"]),
        ("applied", &json!(2)),
        "{rotated:?}"
    );
    let second = desk.agent.read("scratch/K").await.value().to_owned();
    assert!(first != second && second.len() == 24 && second.bytes().all(|b| b.is_ascii_hexdigit()));
    let other = json!({ "uri": uri("scratch/K"), "generate": { "kind": "uuid" } });
    assert_eq!(desk.agent.call("rotate_secret", other).await.content["version"], 3);
    assert_eq!(desk.agent.read("scratch/K").await.value().len(), 36);
    // A value that somebody gives says nothing of how another is made.
    desk.agent.call("write_secret", value("scratch/K", "given-by-hand")).await;
    let refused = desk.agent.call("rotate_secret", json!({ "uri": uri("scratch/K") })).await;
    check_refused_as(&refused, "NOT_GENERATED");
    // Of the one that people are asked for, one value is made for one approval.
    let asked = json!({ "uri": uri("production/DB"), "generate": { "kind": "uuid" } });
    let id = desk.propose("rotate_secret", &asked).await;
    let before = desk.person.show(&id).await.unwrap().change.unwrap().value_digest;
    assert_eq!(desk.propose("rotate_secret", &asked).await, id);
    assert_eq!(desk.person.show(&id).await.unwrap().change.unwrap().value_digest, before);
    assert_eq!(desk.approve(&id).await, (Outcome::Written, 2));
}

#[tokio::test]
async fn a_key_that_may_not_write_any_more_has_nothing_of_its_own_approved() {
    let daemon = daemon().await;
    let desk = Desk::of(&daemon);
    let id = desk.propose("write_secret", &value("production/DB", "from-a-stolen-key")).await;
    let admin = daemon.admin();
    let named = |name: &str| vouchsafe_proto::v1::DisableKeyRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    admin.keys().disable_key(named("writer")).await.unwrap();
    let approval = desk.person.show(&id).await.unwrap();
    check_said(
        desk.person.approve(&approval).await,
        Code::FailedPrecondition,
        "ASKER_BARRED",
        "the key `writer`, which proposes this, is disabled",
        "Deny it; or give the key back what it lacks (`vouchsafe keys`) and answer again.",
    );
    let enable =
        vouchsafe_proto::v1::EnableKeyRequest { name: "writer".to_owned(), ..Default::default() };
    admin.keys().enable_key(enable).await.unwrap();
    let request = vouchsafe_proto::v1::UpdateKeyRequest {
        name: "writer".to_owned(),
        scopes: vec!["secrets:read".to_owned()],
        ..Default::default()
    };
    admin.keys().update_key(request).await.unwrap();
    check_code(desk.person.approve(&approval).await, Code::FailedPrecondition, "ASKER_BARRED");
    assert_eq!(desk.versions("production/DB").await.len(), 1);
    desk.person.deny(&approval, "the key was stolen").await.unwrap();
}
