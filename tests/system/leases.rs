//! What a lease releases, how often, to whom, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tonic::Code;
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{
    DeleteKeyRequest, DisableKeyRequest, EnableKeyRequest, GrantKind, LeaseStatus,
    RegenerateKeyRequest,
};
use vouchsafe_tests::daemon::{RULES, TestDaemon, value_of};
use vouchsafe_tests::events::{beside, within};
use vouchsafe_tests::grpc::{said, yes};
use vouchsafe_tests::mcp::{Agent, Answer};

use crate::{check_code, check_refused, check_refused_as, lease_on, minutes, prompt_daemon};

/// Claude has asked for this and cat has approved it, shortened to so many seconds.
async fn approved(daemon: &TestDaemon, path: &str, seconds: i64) {
    let asked = daemon.agent("claude").read(path).await;
    let approval = daemon.grpc("cat").show(&asked.approval()).await.unwrap();
    let mut vote = yes(&approval);
    vote.duration = Some(prost_types::Duration { seconds, nanos: 0 });
    daemon.grpc("cat").vote(vote).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_values_leave_as_uses_were_approved_however_many_ask_at_once() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    lease_on(&daemon, &claude, "production/DB").await;
    let reads: Vec<_> = (0..32).map(|_| claude.start_read("production/DB")).collect();
    let (mut values, mut asks) = (0, Vec::new());
    for read in reads {
        let answer = within("an answer", read).await.unwrap();
        match answer.status() {
            "ok" => values += 1,
            "pending" => asks.push(answer.approval()),
            other => panic!("{other}"),
        }
    }
    // The first of the five went to `lease_on`.
    assert_eq!(values, 4);
    asks.dedup();
    assert_eq!(asks.len(), 1, "the rest ask once, together");
    let read = daemon.admin().log_of("secret.read").await;
    assert_eq!(read.len(), 5);
    assert_eq!(daemon.admin().log_of("lease.exhausted").await.len(), 1);
}

#[tokio::test]
async fn once_a_revocation_is_answered_nothing_is_released() {
    let which: [fn(&Answer) -> Which; 4] = [
        |answer| Which::Id(answer.lease()),
        |_| Which::Key("claude".to_owned()),
        |_| Which::Resource("vouchsafe://secrets/production/*".to_owned()),
        |_| Which::All(true),
    ];
    for which in which {
        let daemon = prompt_daemon().await;
        let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
        let answer = lease_on(&daemon, &claude, "production/DB").await;
        let which = which(&answer);
        let revoked = bob.revoke(which.clone()).await.unwrap();
        assert!(revoked.iter().any(|lease| lease.id == answer.lease()), "{which:?}");
        assert_eq!(claude.read("production/DB").await.status(), "pending", "{which:?}");
        let lease = bob.lease(&answer.lease()).await;
        assert_eq!(lease.status(), LeaseStatus::Revoked);
        assert_eq!(
            (lease.ended_by.as_str(), lease.ended_reason.as_str()),
            ("bob", "no longer needed")
        );
        if let Which::Id(_) = which {
            let late = said(&bob.revoke(which).await.unwrap_err());
            assert_eq!((late.grpc, late.code.as_str()), (Code::FailedPrecondition, "LEASE_ENDED"));
            assert_eq!(late.next, "There is nothing to take back.");
        } else {
            assert!(bob.revoke(which).await.unwrap().is_empty());
        }
    }
}

/// What one reader saw: when it began and ended, by a common counter, and whether it got a value.
#[derive(Debug)]
struct Seen {
    began: u64,
    value: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_begun_after_a_revocation_was_answered_gets_a_value() {
    let rules = RULES.replace(", uses = 5", "");
    let daemon = TestDaemon::builder().rules(&rules).block_for(Duration::ZERO).start().await;
    let claude = daemon.agent("claude");
    for _ in 0..4 {
        lease_on(&daemon, &claude, "production/DB").await;
        let order = Arc::new(AtomicU64::new(0));
        let (tell, mut told) = mpsc::unbounded_channel();
        let readers: Vec<_> = (0..8)
            .map(|_| beside(read_until_refused(claude.clone(), Arc::clone(&order), tell.clone())))
            .collect();
        drop(tell);
        // Each reader has had a value before it is taken away.
        let mut seen = Vec::new();
        while seen.len() < 16 {
            seen.push(within("values", told.recv()).await.unwrap());
        }
        daemon.grpc("bob").revoke(Which::All(true)).await.unwrap();
        let revoked = order.fetch_add(1, Ordering::SeqCst);
        while let Some(one) = told.recv().await {
            seen.push(one);
        }
        for reader in readers {
            within("readers to end", reader).await.unwrap();
        }
        let late: Vec<_> = seen.iter().filter(|s| s.value && s.began > revoked).collect();
        assert!(late.is_empty(), "revoked at {revoked}: {late:?}");
        assert!(seen.iter().any(|s| s.value));
        let asked = claude.read("production/DB").await.approval();
        claude.call("withdraw_approval", json!({ "approval_id": asked })).await;
    }
}

async fn read_until_refused(
    agent: Agent,
    order: Arc<AtomicU64>,
    tell: mpsc::UnboundedSender<Seen>,
) {
    loop {
        let began = order.fetch_add(1, Ordering::SeqCst);
        let value = agent.read("production/DB").await.status() == "ok";
        if tell.send(Seen { began, value }).is_err() || !value {
            return;
        }
    }
}

#[tokio::test]
async fn a_lease_is_renewed_up_to_its_limit_and_no_further() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let lease = lease_on(&daemon, &claude, "production/DB").await.lease();
    let arguments = json!({ "lease_id": lease });
    // Issued at 10:00 for 15 minutes, an hour at most.
    for (after, until) in [(10, "10:25"), (10, "10:35"), (14, "10:49"), (14, "11:00")] {
        daemon.advance(minutes(after)).await;
        let renewed = claude.call("renew_lease", arguments.clone()).await;
        assert_eq!(renewed.status(), "renewed", "{renewed:?}");
        let ends = renewed.content["lease"]["expires_at"].as_str().unwrap();
        assert_eq!(ends, format!("2026-11-21T{until}:00.000Z"));
    }
    check_refused(
        &claude.call("renew_lease", arguments.clone()).await,
        "LEASE_AT_LIMIT",
        "the lease cannot be renewed further",
        "Use it while it lasts, then ask anew.",
    );
    daemon.advance(minutes(12)).await;
    check_refused_as(&claude.call("renew_lease", arguments).await, "LEASE_ENDED");
    assert_eq!(claude.read("production/DB").await.status(), "pending");
}

#[tokio::test]
async fn a_lease_that_an_approver_shortened_is_not_renewed_past_that() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    approved(&daemon, "production/DB", 120).await;
    let lease = claude.read("production/DB").await.lease();
    daemon.advance(minutes(1)).await;
    for duration in [None, Some("30m")] {
        let mut arguments = json!({ "lease_id": lease });
        if let Some(duration) = duration {
            arguments["duration"] = json!(duration);
        }
        check_refused_as(&claude.call("renew_lease", arguments).await, "LEASE_AT_LIMIT");
    }
    daemon.advance(minutes(1)).await;
    assert_eq!(claude.read("production/DB").await.status(), "pending");
}

#[tokio::test]
async fn what_was_approved_once_is_released_once_and_not_renewed() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let asked = claude.read("production/DB").await;
    let approval = daemon.grpc("cat").show(&asked.approval()).await.unwrap();
    let vote = vouchsafe_proto::v1::VoteRequest { kind: GrantKind::Once.into(), ..yes(&approval) };
    let lease = daemon.grpc("cat").vote(vote).await.unwrap().leases.remove(0);
    check_refused(
        &claude.call("renew_lease", json!({ "lease_id": lease.id })).await,
        "LEASE_AT_LIMIT",
        "a lease for one use cannot be renewed",
        "Use it while it lasts, then ask anew.",
    );
    let first = claude.read("production/DB").await;
    assert_eq!(first.content["lease"]["status"], "exhausted");
    assert_eq!(claude.read("production/DB").await.status(), "pending");
}

#[tokio::test]
async fn a_lease_given_back_releases_nothing_and_is_its_holders_alone() {
    let daemon = prompt_daemon().await;
    let (claude, cursor) = (daemon.agent("claude"), daemon.agent("cursor"));
    let lease = lease_on(&daemon, &claude, "production/DB").await.lease();
    let arguments = json!({ "lease_id": lease });
    assert_eq!(cursor.read("production/DB").await.status(), "pending");
    for tool in ["release_lease", "renew_lease"] {
        check_refused(
            &cursor.call(tool, arguments.clone()).await,
            "LEASE_NOT_FOUND",
            &format!("there is no lease `{lease}`"),
            "`vouchsafe leases list` and the tool `list_leases` show which there are.",
        );
    }
    let listed = cursor.call("list_leases", json!({})).await;
    assert_eq!(listed.content, json!({ "leases": [] }));
    let own = claude.call("list_leases", json!({})).await;
    assert_eq!(own.content["leases"][0]["id"], lease);
    let released = claude.call("release_lease", arguments.clone()).await;
    assert_eq!(released.content, json!({ "status": "released", "lease_id": lease }));
    check_refused(
        &claude.call("release_lease", arguments).await,
        "LEASE_ENDED",
        &format!("the lease {lease} has ended (released)"),
        "Ask anew: call `read_secret` or `request_access`.",
    );
    assert_eq!(claude.read("production/DB").await.status(), "pending");
}

#[tokio::test]
async fn after_a_rotation_a_lease_releases_nothing_unless_its_rule_follows() {
    let daemon = prompt_daemon().await;
    let (claude, admin) = (daemon.agent("claude"), daemon.admin());
    lease_on(&daemon, &claude, "production/DB").await;
    lease_on(&daemon, &claude, "follow/TOKEN").await;
    for path in ["production/DB", "follow/TOKEN"] {
        admin.put(path, "rotated").await;
    }
    assert_eq!(claude.read("production/DB").await.status(), "pending");
    let followed = claude.read("follow/TOKEN").await;
    assert_eq!((followed.value(), &followed.content["version"]), ("rotated", &json!(2)));
}

#[tokio::test]
async fn what_the_rules_refuse_now_is_refused_whatever_was_approved() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let lease = lease_on(&daemon, &claude, "production/DB").await.lease();
    let denial = "[[rule]]\nname = \"No more\"\nresource = \"vouchsafe://secrets/production/DB\"\n\
                  effect = \"deny\"\n";
    let loaded = daemon.load_rules(&format!("{RULES}\n{denial}")).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    check_refused(
        &claude.read("production/DB").await,
        "POLICY_REFUSED",
        "the rule \"No more\" denies read on vouchsafe://secrets/production/DB",
        "Nobody can approve this; an operator would have to change the rules.",
    );
    check_refused_as(
        &claude.call("renew_lease", json!({ "lease_id": lease })).await,
        "POLICY_REFUSED",
    );
    daemon.load_rules(RULES).await;
    assert_eq!(claude.read("production/DB").await.value(), value_of("production/DB"));
}

#[tokio::test]
async fn a_key_that_is_shut_out_while_its_call_waits_gets_nothing() {
    for done in ["disabled", "regenerated", "deleted"] {
        let daemon = TestDaemon::start().await;
        let (admin, bob) = (daemon.admin(), daemon.grpc("bob"));
        let waiting = daemon.agent("claude").start_read("production/DB");
        let approval = bob.the_pending().await;
        daemon.waiting(1).await;
        let (project, name) = (String::new(), "claude".to_owned());
        match done {
            "disabled" => {
                let request = DisableKeyRequest { project, name, reason: String::new() };
                admin.keys().disable_key(request).await.unwrap();
            }
            "regenerated" => {
                let request = RegenerateKeyRequest { project, name };
                admin.keys().regenerate_key(request).await.unwrap();
            }
            _ => {
                let request = DeleteKeyRequest { project, name, reason: String::new() };
                let gone = admin.keys().delete_key(request).await.unwrap().into_inner();
                assert_eq!((gone.leases_revoked, gone.approvals_withdrawn), (0, 1));
            }
        }
        if done == "deleted" {
            check_code(bob.approve(&approval).await, Code::FailedPrecondition, "APPROVAL_SETTLED");
        } else {
            bob.approve(&approval).await.unwrap();
        }
        let answer = within("the end", waiting).await.unwrap();
        assert!(answer.is_error, "{done}: {answer:?}");
        let code = if done == "disabled" { "KEY_DISABLED" } else { "UNAUTHENTICATED" };
        check_refused_as(&answer, code);
        assert!(admin.log_of("secret.read").await.iter().all(|e| e["outcome"] != "ok"), "{done}");
    }
}

#[tokio::test]
async fn the_leases_of_a_key_wait_while_it_is_disabled_and_end_with_it() {
    let daemon = prompt_daemon().await;
    let (claude, admin) = (daemon.agent("claude"), daemon.admin());
    let lease = lease_on(&daemon, &claude, "production/DB").await.lease();
    let (project, name) = (String::new(), "claude".to_owned());
    let request =
        DisableKeyRequest { project: project.clone(), name: name.clone(), reason: String::new() };
    admin.keys().disable_key(request).await.unwrap();
    admin
        .keys()
        .enable_key(EnableKeyRequest { project: project.clone(), name: name.clone() })
        .await
        .unwrap();
    assert_eq!(claude.read("production/DB").await.lease(), lease);
    let request = DeleteKeyRequest { project, name, reason: "left".to_owned() };
    let gone = admin.keys().delete_key(request).await.unwrap().into_inner();
    assert_eq!(gone.leases_revoked, 1);
    assert_eq!(admin.lease(&lease).await.status(), LeaseStatus::Revoked);
}

#[tokio::test]
async fn no_turn_of_a_clock_lengthens_a_lease() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    lease_on(&daemon, &claude, "production/DB").await;
    daemon.advance(minutes(14)).await;
    assert_eq!(claude.read("production/DB").await.status(), "ok");
    daemon.clock.set_back_wall(Duration::from_secs(50));
    daemon.clock.advance_since_boot(minutes(1));
    assert_eq!(claude.read("production/DB").await.status(), "pending");
}
