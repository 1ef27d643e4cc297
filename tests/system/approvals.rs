//! What becomes of an ask.

use std::time::Duration;

use prost_types::Duration as Span;
use serde_json::json;
use tonic::Code;
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, DeleteSecretRequest, DisableUserRequest, GrantKind, UpdateKeyRequest,
    UpdateUserRequest, VoteRequest,
};
use vouchsafe_tests::daemon::{RULES, TestDaemon, value_of};
use vouchsafe_tests::events::{beside, within};
use vouchsafe_tests::grpc::{Person, no, said, yes};
use vouchsafe_tests::mcp::uri;

use crate::{check_code, check_said, minutes, prompt_daemon};

const DECISION_STANDS: &str = "The decision stands; `vouchsafe leases revoke` takes a lease back.";
const TOO_LATE: &str = "The answer came too late and did not count; the agent can ask again.";

/// Claude has asked for this, and has been given a handle.
async fn asked(daemon: &TestDaemon, path: &str) -> Approval {
    let answer = daemon.agent("claude").read(path).await;
    assert_eq!(answer.status(), "pending", "{answer:?}");
    daemon.grpc("bob").show(&answer.approval()).await.unwrap()
}

const fn span(seconds: i64) -> Span {
    Span { seconds, nanos: 0 }
}

/// Changes a yes.
type Change = fn(&mut VoteRequest);

/// A narrower yes, and the lease that comes of it: its seconds, its uses, what it is on.
type Narrower = (&'static str, Change, i64, Option<u32>, &'static [&'static str]);

const ALL: [&str; 2] = ["production/API", "production/DB"];
const NARROWER: [Narrower; 5] = [
    ("as it is", |_| {}, 900, Some(5), &ALL),
    ("shorter", |vote| vote.duration = Some(span(60)), 60, Some(5), &ALL),
    ("fewer uses", |vote| vote.uses = 2, 900, Some(2), &ALL),
    ("once", |vote| vote.kind = GrantKind::Once.into(), 900, Some(1), &ALL),
    ("only one", |vote| vote.only = vec![uri("production/DB")], 900, Some(5), &["production/DB"]),
];

/// A wider yes, and what its giver is told; nothing: that it makes no sense.
const WIDER: [(Change, &str); 5] = [
    (
        |vote| vote.duration = Some(span(901)),
        "a lease may be made shorter, not longer: 15m at most",
    ),
    (|vote| vote.uses = 6, "uses may be made fewer, not more: 5 at most"),
    (
        |vote| vote.only = vec![uri("production/API")],
        "`vouchsafe://secrets/production/API` is not part of this ask",
    ),
    (|vote| vote.duration = Some(span(-5)), ""),
    (|vote| vote.kind = 99, ""),
];

#[tokio::test]
async fn equal_asks_of_a_key_join_and_one_answer_serves_all() {
    let daemon = TestDaemon::start().await;
    let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
    let calls = [claude.start_read("production/DB"), claude.start_read("production/DB")];
    daemon.waiting(2).await;
    let approval = bob.the_pending().await;
    bob.approve(&approval).await.unwrap();
    for call in calls {
        assert_eq!(within("a value", call).await.unwrap().value(), value_of("production/DB"));
    }
}

#[tokio::test]
async fn asks_of_other_keys_for_other_versions_or_operations_do_not_join() {
    let daemon = prompt_daemon().await;
    let (claude, cursor) = (daemon.agent("claude"), daemon.agent("cursor"));
    let first = claude.read("production/DB").await.approval();
    assert_eq!(claude.read("production/DB").await.approval(), first);
    let mut ids = vec![first, cursor.read("production/DB").await.approval()];
    let using = json!({ "resources": [uri("production/DB")], "operation": "use" });
    ids.push(claude.call("request_access", using).await.approval());
    daemon.admin().put("production/DB", "newer").await;
    ids.push(claude.read("production/DB").await.approval());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn a_quorum_takes_different_people_and_nobody_twice() {
    let daemon = prompt_daemon().await;
    let (bob, cat) = (daemon.grpc("bob"), daemon.grpc("cat"));
    let approval = asked(&daemon, "vault/CODE").await;
    let halfway = bob.approve(&approval).await.unwrap().approval.unwrap();
    assert_eq!(halfway.status(), ApprovalStatus::Pending);
    let factor = &halfway.requirements[0].factors[0];
    assert_eq!((factor.met, factor.count), (1, 2));
    assert_eq!(halfway.may_not_vote_because, "they have answered already, and a vote is final");
    check_said(
        bob.approve(&approval).await,
        Code::FailedPrecondition,
        "ALREADY_VOTED",
        "you have answered already, and a vote is final",
        "`vouchsafe approvals show` says what is still missing.",
    );
    check_code(bob.deny(&approval, "no").await, Code::FailedPrecondition, "ALREADY_VOTED");
    let done = cat.approve(&approval).await.unwrap();
    assert_eq!(done.approval.unwrap().status(), ApprovalStatus::Approved);
    assert_eq!(done.leases.len(), 1);
}

#[tokio::test]
async fn the_owner_of_a_key_answers_its_asks_only_where_the_rule_says_so() {
    let daemon = prompt_daemon().await;
    let ann = daemon.grpc("ann");
    let approval = asked(&daemon, "production/DB").await;
    check_said(
        ann.approve(&approval).await,
        Code::PermissionDenied,
        "OWN_REQUEST",
        "the key that asks is your own, and the rule does not allow self-approval",
        "Somebody else whom the rule names has to answer.",
    );
    let own = asked(&daemon, "own/NOTE").await;
    let done = ann.approve(&own).await.unwrap();
    assert_eq!(done.approval.unwrap().status(), ApprovalStatus::Approved);
}

#[tokio::test]
async fn who_is_named_by_no_rule_has_no_say() {
    let daemon = prompt_daemon().await;
    let dan = daemon.grpc("dan");
    let approval = asked(&daemon, "production/DB").await;
    let seen = dan.show(&approval.id).await.unwrap();
    assert!(!seen.may_vote);
    assert_eq!(seen.may_not_vote_because, "no rule of this ask names them as an approver");
    for request in [yes(&approval), no(&approval, "no")] {
        check_said(
            dan.vote(request).await,
            Code::PermissionDenied,
            "NOT_AN_APPROVER",
            "no rule of this ask names you as an approver",
            "`vouchsafe approvals show` says who may answer.",
        );
    }
}

#[tokio::test]
async fn the_first_denial_denies_and_its_reason_reaches_the_agent_once() {
    let daemon = prompt_daemon().await;
    let (claude, bob, cat) = (daemon.agent("claude"), daemon.grpc("bob"), daemon.grpc("cat"));
    let approval = asked(&daemon, "vault/CODE").await;
    bob.approve(&approval).await.unwrap();
    let denied = cat.deny(&approval, "use the staging one").await.unwrap().approval.unwrap();
    assert_eq!(denied.status(), ApprovalStatus::Denied);
    assert_eq!(denied.outcome_reason, "use the staging one");
    let told = claude.read("vault/CODE").await;
    assert!(told.is_error);
    assert_eq!(
        told.content,
        json!({
            "status": "denied",
            "approval_id": approval.id,
            "reason": "use the staging one",
            "message": "An approver denied this: use the staging one. Do not ask for the same \
                        again; tell the person you work for.",
        })
    );
    let again = claude.read("vault/CODE").await;
    assert_eq!(again.status(), "pending");
    assert_ne!(again.approval(), approval.id);
}

#[tokio::test]
async fn a_denial_needs_a_reason_and_a_reason_has_an_end() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let approval = asked(&daemon, "production/DB").await;
    for reason in ["", "  ", "\u{200b}\u{202e}"] {
        check_said(
            bob.deny(&approval, reason).await,
            Code::InvalidArgument,
            "REASON_NEEDED",
            "a denial needs a reason, and it reaches the agent",
            "Answer again with a reason, such as \"use the staging database\".",
        );
    }
    let long = bob.deny(&approval, &"x".repeat(2_001)).await;
    check_code(long, Code::InvalidArgument, "INVALID_ARGUMENT");
    assert_eq!(bob.show(&approval.id).await.unwrap().status(), ApprovalStatus::Pending);
}

#[tokio::test]
async fn an_ask_expires_by_whichever_clock_is_first() {
    for turn in ["wall", "boot", "both"] {
        let daemon = TestDaemon::start().await;
        let waiting = daemon.agent("claude").start_read("production/DB");
        let approval = daemon.grpc("bob").the_pending().await;
        daemon.waiting(1).await;
        match turn {
            "wall" => daemon.clock.advance_wall(minutes(60)),
            "boot" => daemon.clock.advance_since_boot(minutes(60)),
            _ => daemon.clock.advance(minutes(60)),
        }
        daemon.sweep().await;
        let told = within("the end", waiting).await.unwrap();
        assert!(told.is_error);
        assert_eq!((told.status(), told.approval()), ("expired", approval.id.clone()), "{turn}");
        assert_eq!(
            told.message(),
            "This expired unseen: no message about it had reached anybody, so nobody has denied it. \
             Tell the person you work for that nobody could be reached; then ask again if it is \
             still needed."
        );
    }
}

#[tokio::test]
async fn an_answer_at_the_deadline_is_too_late_and_settles_the_ask() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let approval = asked(&daemon, "production/DB").await;
    daemon.clock.advance(minutes(60));
    let late = said(&bob.approve(&approval).await.unwrap_err());
    assert_eq!((late.grpc, late.code.as_str()), (Code::FailedPrecondition, "APPROVAL_EXPIRED"));
    assert_eq!(
        late.message,
        format!(
            "the approval {} expired at 2026-11-21T11:00:00.000Z: nobody answered in time, and no \
             message about it had reached anybody",
            approval.id
        )
    );
    assert_eq!(late.next, TOO_LATE);
    let shown = bob.show(&approval.id).await.unwrap();
    assert_eq!(shown.status(), ApprovalStatus::Expired);
    assert!(shown.votes.is_empty());
}

#[tokio::test]
async fn a_wall_clock_set_back_gives_an_ask_no_time() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let approval = asked(&daemon, "production/DB").await;
    daemon.clock.advance(minutes(59));
    daemon.admin().log_of("secret.read").await;
    daemon.clock.set_back_wall(Duration::from_secs(50));
    daemon.clock.advance_since_boot(minutes(1));
    check_code(bob.approve(&approval).await, Code::FailedPrecondition, "APPROVAL_EXPIRED");
}

#[tokio::test]
async fn an_agent_takes_back_its_own_ask_and_no_other() {
    let daemon = TestDaemon::start().await;
    let (claude, cursor, bob) =
        (daemon.agent("claude"), daemon.agent("cursor"), daemon.grpc("bob"));
    let waiting = claude.start_read("production/DB");
    let approval = bob.the_pending().await;
    let arguments = json!({ "approval_id": approval.id });
    let foreign = cursor.call("withdraw_approval", arguments.clone()).await;
    crate::check_refused(
        &foreign,
        "APPROVAL_NOT_FOUND",
        &format!("there is no approval `{}`", approval.id),
        "`vouchsafe approvals list` shows which there are.",
    );
    let done = claude.call("withdraw_approval", arguments.clone()).await;
    assert_eq!(done.content, json!({ "status": "withdrawn", "approval_id": approval.id }));
    assert_eq!(within("the end", waiting).await.unwrap().status(), "withdrawn");
    let late = said(&bob.approve(&approval).await.unwrap_err());
    assert_eq!((late.code.as_str(), late.next.as_str()), ("APPROVAL_SETTLED", DECISION_STANDS));
    crate::check_refused_as(&claude.call("withdraw_approval", arguments).await, "APPROVAL_SETTLED");
}

#[tokio::test]
async fn an_approver_gives_less_than_was_asked() {
    for (case, narrow, seconds, uses, granted) in NARROWER {
        let daemon = prompt_daemon().await;
        let (claude, bob) = (daemon.agent("claude"), daemon.grpc("bob"));
        let resources = ALL.map(uri);
        let answer = claude.call("request_access", json!({ "resources": resources })).await;
        let approval = bob.show(&answer.approval()).await.unwrap();
        let mut vote = yes(&approval);
        narrow(&mut vote);
        let leases = bob.vote(vote).await.unwrap().leases;
        let on: Vec<_> = leases.iter().map(|lease| lease.resource.clone()).collect();
        assert_eq!(on, granted.iter().map(|path| uri(path)).collect::<Vec<_>>(), "{case}");
        for lease in leases {
            let end = lease.expires_at.unwrap().seconds - lease.issued_at.unwrap().seconds;
            let left = lease.uses_limited.then_some(lease.uses_left);
            assert_eq!((end, left), (seconds, uses), "{case}");
        }
    }
}

#[tokio::test]
async fn an_approver_cannot_give_more_than_was_asked() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let approval = asked(&daemon, "production/DB").await;
    for (widen, message) in WIDER {
        let mut vote = yes(&approval);
        widen(&mut vote);
        let is = said(&bob.vote(vote).await.unwrap_err());
        assert_eq!(is.grpc, Code::InvalidArgument, "{is:?}");
        if message.is_empty() {
            assert_eq!(is.code, "INVALID_ARGUMENT");
        } else {
            assert_eq!((is.code.as_str(), is.message.as_str()), ("NOT_NARROWER", message));
        }
    }
    assert_eq!(bob.show(&approval.id).await.unwrap().status(), ApprovalStatus::Pending);
}

#[tokio::test]
async fn an_answer_on_something_else_than_what_is_asked_is_stale() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let approval = asked(&daemon, "production/DB").await;
    let other = asked(&daemon, "production/API").await;
    for digest in [other.digest.clone(), "0".repeat(64)] {
        let vote = VoteRequest { digest, ..yes(&approval) };
        check_said(
            bob.vote(vote).await,
            Code::FailedPrecondition,
            "STALE_DIGEST",
            "the answer was given on something other than what is asked now",
            "Look at the approval again (`vouchsafe approvals show`) and answer that.",
        );
    }
    for digest in [String::new(), approval.short_digest.clone(), approval.digest.to_uppercase()] {
        let vote = VoteRequest { digest, ..yes(&approval) };
        check_code(bob.vote(vote).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
    assert!(bob.show(&approval.id).await.unwrap().votes.is_empty());
}

#[tokio::test]
async fn a_decision_stands() {
    let daemon = prompt_daemon().await;
    let (bob, cat) = (daemon.grpc("bob"), daemon.grpc("cat"));
    let approval = asked(&daemon, "production/DB").await;
    bob.approve(&approval).await.unwrap();
    check_said(
        cat.deny(&approval, "no").await,
        Code::FailedPrecondition,
        "APPROVAL_SETTLED",
        &format!("the approval {} was approved by bob at 2026-11-21T10:00:00.000Z", approval.id),
        DECISION_STANDS,
    );
    let approval = asked(&daemon, "production/API").await;
    bob.deny(&approval, "no").await.unwrap();
    check_said(
        cat.approve(&approval).await,
        Code::FailedPrecondition,
        "APPROVAL_SETTLED",
        &format!("the approval {} was denied by bob at 2026-11-21T10:00:00.000Z", approval.id),
        DECISION_STANDS,
    );
}

#[tokio::test]
async fn an_id_may_be_shortened_while_it_is_unique() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    let mut all: Vec<Approval> = Vec::new();
    let (first, second) = loop {
        let path = format!("production/S{}", all.len());
        daemon.admin().put(&path, "x").await;
        let next = asked(&daemon, &path).await;
        if let Some(earlier) = all.iter().find(|earlier| earlier.id[..4] == next.id[..4]) {
            break (earlier.clone(), next);
        }
        all.push(next);
    };
    let digits = first.id.strip_prefix("ap_").unwrap();
    let common = first.id.bytes().zip(second.id.bytes()).take_while(|(a, b)| a == b).count();
    for id in [first.id.as_str(), digits, &first.id[..=common], &digits.to_uppercase()] {
        assert_eq!(bob.show(id).await.unwrap().id, first.id, "{id}");
    }
    check_said(
        bob.show(&first.id[..common]).await,
        Code::InvalidArgument,
        "AMBIGUOUS_ID",
        &format!("more than one approval's id begins with {}", &first.id[..common]),
        "Write more of its characters.",
    );
    for unknown in ["ap_", "ap_zzzzzzzzzzzzzzzz", "ls_0", "' OR 1=1", "%"] {
        check_code(bob.show(unknown).await, Code::NotFound, "APPROVAL_NOT_FOUND");
    }
    check_code(bob.show("").await, Code::InvalidArgument, "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_answers_at_once_exactly_one_decides() {
    let mut daemon = prompt_daemon().await;
    let mut people = Vec::new();
    for n in 0..32 {
        let name = format!("voter{n}");
        daemon.add_user(&name, &[vouchsafe_proto::v1::Role::Approver], &["oncall"]).await;
        people.push(daemon.grpc(&name));
    }
    for path in ["production/DB", "production/API", "own/NOTE", "follow/TOKEN"] {
        let approval = asked(&daemon, path).await;
        let answers: Vec<_> = people
            .iter()
            .enumerate()
            .map(|(n, person)| beside(answer(person.clone(), approval.clone(), n % 2 == 0)))
            .collect();
        let mut decided = Vec::new();
        for answer in answers {
            match within("an answer", answer).await.unwrap() {
                Ok(approval) => decided.push(approval),
                Err(status) => assert_eq!(said(&status).code, "APPROVAL_SETTLED"),
            }
        }
        assert_eq!(decided.len(), 1, "{path}");
        let now = people[0].show(&approval.id).await.unwrap();
        assert_eq!((now.status, now.votes.len()), (decided[0].status, 1));
    }
}

async fn answer(person: Person, approval: Approval, yes: bool) -> Result<Approval, tonic::Status> {
    let answer =
        if yes { person.approve(&approval).await } else { person.deny(&approval, "no").await };
    answer.map(|done| done.approval.unwrap())
}

#[tokio::test]
async fn a_vote_counts_only_while_its_giver_may_give_one() {
    for lost in ["disabled", "out of the group"] {
        let mut daemon = prompt_daemon().await;
        daemon.add_user("eve", &[vouchsafe_proto::v1::Role::Approver], &["oncall"]).await;
        let (admin, bob, cat) = (daemon.admin(), daemon.grpc("bob"), daemon.grpc("cat"));
        let approval = asked(&daemon, "vault/CODE").await;
        bob.approve(&approval).await.unwrap();
        if lost == "disabled" {
            let request = DisableUserRequest { name: "bob".to_owned(), reason: String::new() };
            admin.users().disable_user(request).await.unwrap();
        } else {
            let request = UpdateUserRequest {
                name: "bob".to_owned(),
                set_groups: true,
                ..UpdateUserRequest::default()
            };
            admin.users().update_user(request).await.unwrap();
        }
        let still = cat.approve(&approval).await.unwrap().approval.unwrap();
        assert_eq!(still.status(), ApprovalStatus::Pending, "{lost}");
        assert_eq!(still.requirements[0].factors[0].met, 1, "{lost}");
        let done = daemon.grpc("eve").approve(&approval).await.unwrap().approval.unwrap();
        assert_eq!(done.status(), ApprovalStatus::Approved, "{lost}");
    }
}

#[tokio::test]
async fn an_ask_whose_rule_changes_ends_and_says_so() {
    let daemon = TestDaemon::start().await;
    let bob = daemon.grpc("bob");
    let calls = ["production/DB", "vault/CODE"].map(|path| daemon.agent("claude").start_read(path));
    let pending = bob.pending(2).await;
    daemon.waiting(2).await;
    let changed = RULES.replace("uses = 5", "uses = 4");
    let loaded = daemon.load_rules(&changed).await;
    assert_eq!((loaded.changed, loaded.approvals_superseded), (true, 1));
    let [production, vault] = calls;
    let told = within("the end", production).await.unwrap();
    assert_eq!(told.status(), "expired");
    assert_eq!(told.content["reason"], "the rules it was asked under have changed; ask again");
    let left = bob.the_pending().await;
    assert_eq!(left.items[0].rule, "Two people");
    let gone = pending.iter().find(|approval| approval.id != left.id).unwrap();
    let late = said(&bob.approve(gone).await.unwrap_err());
    assert_eq!(late.code, "APPROVAL_EXPIRED");
    assert!(late.message.ends_with("the rules it was asked under have changed; ask again"));
    vault.abort();
}

#[tokio::test]
async fn an_ask_for_a_secret_that_is_deleted_ends_and_says_so() {
    let daemon = TestDaemon::start().await;
    let waiting = daemon.agent("claude").start_read("production/DB");
    daemon.grpc("bob").the_pending().await;
    daemon.waiting(1).await;
    let request =
        DeleteSecretRequest { path: "production/DB".to_owned(), ..DeleteSecretRequest::default() };
    daemon.admin().secrets().delete_secret(request).await.unwrap();
    let told = within("the end", waiting).await.unwrap();
    assert_eq!(told.content["reason"], "a secret it was about was deleted");
    let again = daemon.agent("claude").read("production/DB").await;
    crate::check_refused(
        &again,
        "SECRET_NOT_FOUND",
        "there is no secret vouchsafe://secrets/production/DB",
        "`list_secrets` shows which there are.",
    );
}

#[tokio::test]
async fn an_ask_ends_with_the_ownership_of_its_key_so_that_nobody_answers_their_own() {
    let daemon = TestDaemon::start().await;
    let waiting = daemon.agent("claude").start_read("production/DB");
    let pending = daemon.grpc("bob").the_pending().await;
    daemon.waiting(1).await;
    let request = UpdateKeyRequest {
        name: "claude".to_owned(),
        owner: "bob".to_owned(),
        ..UpdateKeyRequest::default()
    };
    daemon.admin().keys().update_key(request).await.unwrap();
    let told = within("the end", waiting).await.unwrap();
    assert_eq!(told.content["reason"], "the key that asked has another owner now; ask again");
    let late = daemon.grpc("bob").approve(&pending).await;
    check_code(late, Code::FailedPrecondition, "APPROVAL_EXPIRED");
}

#[tokio::test]
async fn a_reason_is_asked_for_where_the_rule_wants_one() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let next = "Call again with a `reason` that tells a person what this is for.";
    for (reason, code, has) in [(None, "REASON_NEEDED", 0), (Some("short"), "REASON_TOO_SHORT", 5)]
    {
        let mut arguments = json!({ "uri": uri("explained/KEY") });
        if let Some(reason) = reason {
            arguments["reason"] = json!(reason);
        }
        let message = format!(
            "the rule asks for a reason of at least 20 visible characters, and this one has {has} \
             (rule \"Explained\")"
        );
        crate::check_refused(&claude.call("read_secret", arguments).await, code, &message, next);
    }
    assert_eq!(claude.read("explained/KEY").await.status(), "pending");
}
