//! What rules say beyond yes and ask: levels, conditions, sessions, rules that are only observed,
//! reasons of a form, several kinds of people.

use serde_json::{Value, json};
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{
    ApprovalStatus, ApprovedBy, CreateKeyRequest, GrantKind, Level, UpdateKeyRequest, VoteRequest,
};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::events::within;
use vouchsafe_tests::grpc::yes;
use vouchsafe_tests::mcp::{Agent, uri};

use crate::{check_code, check_refused, minutes, prompt_daemon};

/// The clock of a test stands at Saturday, 2026-11-21T10:00:00Z, at first.
const RULES: &str = r#"
[[rule]]
name = "By level"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "use", "read"]
approval = "level"
approvers = ["group:oncall"]

[[rule]]
name = "Office hours"
resource = "vouchsafe://secrets/staging/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
lease = { default = "15m", max = "1h", uses = 2 }

[rule.auto_approve]
time_window = "09:00-11:00 UTC"
when = 'ask.reason.startsWith("INC-")'

[[rule]]
name = "Remembered"
resource = "vouchsafe://secrets/vault/*"
operations = ["list", "use", "read"]
approvers = ["group:oncall"]
remember = true
lease = { default = "10m", max = "20m", uses = 1 }

[[rule]]
name = "Only watched"
resource = "vouchsafe://secrets/own/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
mode = "observe"
require_reason = true
min_reason_length = 100

[[rule]]
name = "Explained"
resource = "vouchsafe://secrets/explained/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
require_reason = true
reason_pattern = "^INC-[0-9]+: "
reason_hint = "Begin with the incident's number, such as INC-1234: the disk is full"
reason_kinds = ["incident", "deploy"]

[[rule]]
name = "Two kinds"
resource = "vouchsafe://secrets/follow/*"
operations = ["list", "read"]

[[rule.factor]]
from = ["group:oncall"]
count = 1

[[rule.factor]]
from = ["dan", "cat"]
count = 1
"#;

async fn judged_daemon() -> TestDaemon {
    let daemon = prompt_daemon().await;
    let loaded = daemon.load_rules(RULES).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    daemon
}

async fn key_at(daemon: &mut TestDaemon, level: Level) -> Agent {
    let name = format!("key-{}", level.as_str_name().to_lowercase().replace("level_", ""));
    daemon
        .add_key_as(CreateKeyRequest {
            name: name.clone(),
            scopes: vec!["secrets:read".to_owned(), "secrets:reveal".to_owned()],
            owner: "ann".to_owned(),
            level: level.into(),
            rate: RATE_MAX,
            ..CreateKeyRequest::default()
        })
        .await;
    daemon.agent(&name)
}

fn reading(path: &str, reason: &str) -> Value {
    json!({ "uri": uri(path), "reason": reason })
}

#[tokio::test]
async fn where_a_rule_says_level_the_keys_level_decides_and_not_the_client() {
    let mut daemon = judged_daemon().await;
    for (level, read, used) in [
        (Level::Strict, "pending", "pending"),
        (Level::Balanced, "pending", "approved"),
        (Level::Permissive, "pending", "approved"),
        (Level::Auto, "ok", "approved"),
    ] {
        let agent = key_at(&mut daemon, level).await;
        assert_eq!(agent.read("production/DB").await.status(), read, "{level:?}");
        let wanted = json!({ "resources": [uri("production/DB")], "operation": "use" });
        let access = agent.call("request_access", wanted).await;
        assert_eq!(access.status(), used, "{level:?}");
    }
    let given = daemon.admin().log_of("lease.issued").await;
    let auto = given.iter().rfind(|entry| entry["details"]["operation"] == "read").unwrap();
    assert_eq!(auto["details"]["level"], "auto");
    assert_eq!(auto["approval"], Value::Null);
}

#[tokio::test]
async fn a_level_that_asks_more_holds_at_once_for_what_was_given_without_asking() {
    let mut daemon = judged_daemon().await;
    let agent = key_at(&mut daemon, Level::Auto).await;
    assert_eq!(agent.read("production/DB").await.value(), value_of("production/DB"));
    let request = UpdateKeyRequest {
        name: "key-auto".to_owned(),
        level: Level::Strict.into(),
        ..UpdateKeyRequest::default()
    };
    daemon.admin().keys().update_key(request).await.unwrap();
    let lease = agent.call("list_leases", json!({})).await.content["leases"][0]["id"].clone();
    assert_eq!(agent.read("production/DB").await.status(), "pending");
    let renewed = agent.call("renew_lease", json!({ "lease_id": lease })).await;
    check_refused(
        &renewed,
        "POLICY_REFUSED",
        "the rules no longer give what this lease is for without a new ask",
        "It cannot be renewed; ask anew with `read_secret` or `request_access`.",
    );
}

#[tokio::test]
async fn what_the_conditions_approve_is_an_approval_like_any_other() {
    let daemon = judged_daemon().await;
    let claude = daemon.agent("claude");
    let answer = claude.call("read_secret", reading("staging/DB", "INC-7: slow")).await;
    assert_eq!(answer.value(), value_of("staging/DB"));
    assert_eq!(answer.content["lease"]["uses_left"], 1);
    let bob = daemon.grpc("bob");
    let all = bob.list(&[ApprovalStatus::Approved]).await;
    let approval = all.first().unwrap();
    assert_eq!(approval.approved_by(), ApprovedBy::Rule);
    assert_eq!(approval.lease_ids, [answer.lease()]);
    assert_eq!(approval.reason, "INC-7: slow");
    let told: Vec<_> =
        approval.conditions.iter().map(|one| (one.condition.as_str(), one.holds)).collect();
    assert_eq!(told, [("time_window", true), ("when", true)]);

    let entries = daemon.admin().log_of("approval.automatic").await;
    let entry = entries.last().unwrap();
    assert_eq!(entry["approval"], approval.id.as_str());
    assert_eq!(entry["details"]["approved_by"], "rule");
    let conditions = entry["details"]["conditions"].as_array().unwrap();
    assert_eq!(conditions[0]["wanted"], "09:00-11:00 UTC");
    assert!(conditions.iter().all(|condition| condition["holds"] == true));
    let lease = daemon.admin().log_of("lease.issued").await;
    assert_eq!(lease.last().unwrap()["approval"], approval.id.as_str());
}

#[tokio::test]
async fn one_condition_that_does_not_hold_asks_people_and_the_log_says_which() {
    let daemon = judged_daemon().await;
    let claude = daemon.agent("claude");
    let asked = claude.call("read_secret", reading("staging/DB", "just so")).await;
    assert_eq!(asked.status(), "pending");
    let entries = daemon.admin().log_of("approval.requested").await;
    let conditions = entries.last().unwrap()["details"]["conditions"].clone();
    let stood: Vec<_> = conditions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["condition"].as_str().unwrap().to_owned(), one["holds"] == true))
        .collect();
    assert_eq!(stood, [("time_window".to_owned(), true), ("when".to_owned(), false)]);
    daemon.advance(minutes(60)).await;
    let late = claude.call("read_secret", reading("staging/DB", "INC-7: slow")).await;
    assert_ne!(late.status(), "ok", "the window is over: {late:?}");
}

#[tokio::test]
async fn an_ask_that_waited_for_people_ends_when_its_conditions_come_to_hold() {
    let daemon = judged_daemon().await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    let asked = claude.call("read_secret", reading("staging/DB", "just so")).await;
    let again = claude.call("read_secret", reading("staging/DB", "INC-7: it is slow")).await;
    assert_eq!(again.value(), value_of("staging/DB"));
    let settled = bob.show(&asked.approval()).await.unwrap();
    assert_eq!(settled.status(), ApprovalStatus::Approved);
    assert_eq!(settled.approved_by(), ApprovedBy::Rule);
    check_code(bob.approve(&settled).await, tonic::Code::FailedPrecondition, "APPROVAL_SETTLED");
}

#[tokio::test]
async fn a_session_covers_the_same_rule_and_operation_until_its_time_is_up() {
    let daemon = judged_daemon().await;
    daemon.admin().put("vault/OTHER", "other").await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    claude.read("vault/CODE").await;
    let approval = bob.the_pending().await;
    assert!(approval.may_remember);
    assert_eq!(approval.session.unwrap().seconds, 1_800);
    let session = VoteRequest { kind: GrantKind::Session.into(), ..yes(&approval) };
    bob.vote(session).await.unwrap();
    assert_eq!(claude.read("vault/CODE").await.value(), value_of("vault/CODE"));
    // The lease is good once; the session goes on, for other resources of the rule, too.
    for path in ["vault/CODE", "vault/OTHER"] {
        assert_eq!(claude.read(path).await.status(), "ok", "{path}");
    }
    let approved = bob.list(&[ApprovalStatus::Approved]).await;
    let by_session: Vec<_> = approved
        .iter()
        .filter(|one| one.approved_by() == ApprovedBy::Session)
        .map(|one| one.session_approval_id.as_str())
        .collect();
    assert_eq!(by_session, [approval.id.as_str(); 2]);
    let wanted = json!({ "resources": [uri("vault/CODE")], "operation": "use" });
    assert_eq!(claude.call("request_access", wanted).await.status(), "pending");
    assert_eq!(daemon.agent("cursor").read("vault/CODE").await.status(), "pending");

    daemon.advance(minutes(25)).await;
    let near = claude.read("vault/CODE").await;
    let ends = near.content["lease"]["expires_at"].as_str().unwrap();
    assert_eq!(ends, "2026-11-21T10:30:00.000Z", "a lease ends with its session");
    daemon.advance(minutes(5)).await;
    assert_eq!(claude.read("vault/CODE").await.status(), "pending");
}

#[tokio::test]
async fn a_session_is_given_only_where_every_rule_remembers() {
    let daemon = judged_daemon().await;
    let bob = daemon.grpc("bob");
    daemon.agent("cursor").call("read_secret", reading("staging/DB", "just so")).await;
    let approval = daemon.grpc("ann").the_pending().await;
    assert!(!approval.may_remember);
    let session = VoteRequest { kind: GrantKind::Session.into(), ..yes(&approval) };
    check_code(
        daemon.grpc("ann").vote(session).await,
        tonic::Code::InvalidArgument,
        "NOT_NARROWER",
    );
    assert_eq!(bob.pending(1).await[0].id, approval.id);
}

#[tokio::test]
async fn a_session_ends_with_the_leases_of_its_key_and_survives_a_restart_until_then() {
    let mut daemon = judged_daemon().await;
    let claude = daemon.agent("claude");
    claude.read("vault/CODE").await;
    let approval = daemon.grpc("bob").the_pending().await;
    let session = VoteRequest { kind: GrantKind::Session.into(), ..yes(&approval) };
    daemon.grpc("bob").vote(session).await.unwrap();
    daemon.restart().await;
    let claude = daemon.agent("claude");
    for _ in 0..2 {
        assert_eq!(claude.read("vault/CODE").await.status(), "ok");
    }
    daemon.grpc("bob").revoke(Which::Key("claude".to_owned())).await.unwrap();
    assert_eq!(claude.read("vault/CODE").await.status(), "pending");
    let ended = daemon.admin().log_of("session.ended").await;
    assert_eq!(ended.last().unwrap()["approval"], approval.id.as_str());
}

#[tokio::test]
async fn an_observed_rule_asks_nobody_and_says_so_until_it_is_enforced() {
    let daemon = judged_daemon().await;
    let claude = daemon.agent("claude");
    let answer = claude.call("read_secret", reading("own/NOTE", "short")).await;
    assert_eq!(answer.value(), value_of("own/NOTE"));
    assert!(daemon.grpc("bob").list(&[ApprovalStatus::Pending]).await.is_empty());
    let admin = daemon.admin();
    let let_through = admin.log_of("lease.observed").await.pop().unwrap();
    let details = &let_through["details"];
    assert_eq!((&details["observed"], &details["would"]), (&json!(true), &json!("ask")));
    assert_eq!(details["rule"], "Only watched");
    assert_eq!(details["factors"], json!([{ "count": 1, "from": ["group:oncall"] }]));
    let lacks = details["reason_lacks"].as_str().unwrap();
    assert!(lacks.contains("at least 100 visible characters"), "{lacks}");
    let read = admin.log_of("secret.read").await.pop().unwrap();
    assert_eq!(read["details"]["observed"], true);

    let enforced = RULES.replace("mode = \"observe\"", "mode = \"enforce\"");
    assert!(daemon.load_rules(&enforced).await.problems.is_empty());
    let long = "to look at what the note says about the database, as the runbook for incidents \
                of this kind asks for in step four, before anybody restarts anything";
    assert_eq!(claude.call("read_secret", reading("own/NOTE", long)).await.status(), "pending");
}

#[tokio::test]
async fn a_reason_has_the_form_and_the_kind_that_the_rule_asks_for() {
    let daemon = judged_daemon().await;
    let claude = daemon.agent("claude");
    let ask = |reason: &str, kind: Option<&str>| {
        let mut arguments = reading("explained/KEY", reason);
        if let Some(kind) = kind {
            arguments["reason_kind"] = kind.into();
        }
        let claude = claude.clone();
        async move { claude.call("read_secret", arguments).await }
    };
    let kinds = "the rule asks for `reason_kind`, one of: incident, deploy (rule \"Explained\")";
    let next = "Call again with the `reason_kind` that is true of this.";
    for kind in [None, Some("holiday")] {
        check_refused(&ask("INC-1: full", kind).await, "REASON_KIND_NEEDED", kinds, next);
    }
    check_refused(
        &ask("the disk is full", Some("incident")).await,
        "REASON_FORM",
        "the rule asks for a reason of another form: Begin with the incident's number, such as \
         INC-1234: the disk is full (rule \"Explained\")",
        "Call again with a `reason` of the form that the rule asks for.",
    );
    let asked = ask("INC-1: the disk is full", Some("incident")).await;
    assert_eq!(asked.status(), "pending");
    let approval = daemon.grpc("bob").the_pending().await;
    assert_eq!(approval.reason_kind, "incident");
}

#[tokio::test]
async fn each_kind_of_people_is_needed_and_nobody_counts_twice() {
    let daemon = judged_daemon().await;
    let cursor = daemon.agent("cursor");
    let waiting = cursor.read("follow/TOKEN").await;
    assert_eq!(waiting.status(), "pending");
    let (cat, ann, dan) = (daemon.grpc("cat"), daemon.grpc("ann"), daemon.grpc("dan"));
    let approval = cat.the_pending().await;
    let met = |approval: &vouchsafe_proto::v1::Approval| -> Vec<u32> {
        approval.requirements[0].factors.iter().map(|factor| factor.met).collect()
    };
    // Cat is on call and among the others as well: she fills one place, whichever helps.
    let one = cat.approve(&approval).await.unwrap().approval.unwrap();
    assert_eq!(met(&one).iter().sum::<u32>(), 1);
    assert_eq!(one.status(), ApprovalStatus::Pending);
    let two = ann.approve(&one).await.unwrap().approval.unwrap();
    assert_eq!(two.status(), ApprovalStatus::Approved, "ann on call, cat as the other");
    check_code(dan.approve(&two).await, tonic::Code::FailedPrecondition, "APPROVAL_SETTLED");
    assert_eq!(cursor.read("follow/TOKEN").await.status(), "ok");
}

#[tokio::test]
async fn a_call_that_waits_gets_its_value_when_a_second_kind_of_person_answers() {
    let daemon = TestDaemon::builder().rules(RULES).start().await;
    let waiting = daemon.agent("cursor").start_read("follow/TOKEN");
    let approval = daemon.grpc("dan").the_pending().await;
    daemon.grpc("dan").approve(&approval).await.unwrap();
    daemon.grpc("ann").approve(&approval).await.unwrap();
    assert_eq!(within("the value", waiting).await.unwrap().value(), value_of("follow/TOKEN"));
}
