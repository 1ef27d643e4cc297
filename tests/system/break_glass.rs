//! Breaking the glass: who gets what at once, who is told, and who looks at it afterwards.

use prost_types::Duration as Span;
use serde_json::json;
use tonic::{Code, Status};
use vouchsafe_proto::v1::{
    ApprovalStatus, ApprovedBy, BreakGlassRequest, BreakGlassResponse, CreateProjectRequest,
    CreateUserRequest, DeleteKeyRequest, DisableKeyRequest, LeaseStatus, ListReviewsRequest,
    Operation, Review, ReviewBreakGlassRequest, Role, RunChecksRequest, ShowLeaseRequest,
    ShowStatusRequest, StopLeasesRequest, WatchApprovalsRequest,
};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::events::within;
use vouchsafe_tests::grpc::{Person, said};
use vouchsafe_tests::mcp::uri;

use crate::{check_code, check_refused_as, check_said, main_path, minutes};

/// The group `sre` is eve, who has no role, and fay, who is an operator.
const RULES: &str = r#"
[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "use", "read"]
approvers = ["group:oncall"]
lease = { default = "30m", max = "1h", uses = 5 }
escalate_after = "30m"
escalate_to = ["dan"]
break_glass = ["group:sre", "bob"]

[[rule]]
name = "Short"
resource = "vouchsafe://secrets/vault/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
lease = { default = "2m", max = "5m" }
break_glass = ["group:sre"]

[[rule]]
name = "Own"
resource = "vouchsafe://secrets/own/*"
operations = ["list", "read"]
approvers = ["group:oncall"]

[[rule]]
name = "Never"
effect = "deny"
resource = "vouchsafe://secrets/staging/*"
"#;

const WHY: &str = "the shop is down, INC-42";

async fn daemon() -> TestDaemon {
    let builder = TestDaemon::builder().block_for(std::time::Duration::ZERO);
    // Its people come before its rules.
    let mut daemon = builder.start().await;
    daemon.add_user("eve", &[], &["sre"]).await;
    daemon.add_user("fay", &[Role::Operator], &["sre"]).await;
    daemon.add_user("gus", &[Role::Auditor], &[]).await;
    daemon.add_user("out", &[], &[]).await;
    let loaded = daemon.load_rules(RULES).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    daemon
}

fn wanted(path: &str) -> BreakGlassRequest {
    BreakGlassRequest {
        resource: uri(path),
        key: "claude".to_owned(),
        reason: WHY.to_owned(),
        ..BreakGlassRequest::default()
    }
}

async fn ask(by: &Person, request: BreakGlassRequest) -> Result<BreakGlassResponse, Status> {
    by.emergency().break_glass(request).await.map(tonic::Response::into_inner)
}

async fn broken(by: &Person, path: &str) -> BreakGlassResponse {
    ask(by, wanted(path)).await.unwrap()
}

async fn review(by: &Person, id: &str, justified: bool, note: &str) -> Result<Review, Status> {
    let request = ReviewBreakGlassRequest { id: id.to_owned(), justified, note: note.to_owned() };
    by.emergency().review_break_glass(request).await.map(tonic::Response::into_inner)
}

async fn reviews(by: &Person, open: bool) -> Vec<Review> {
    let request = ListReviewsRequest { project: String::new(), open };
    by.emergency().list_reviews(request).await.unwrap().into_inner().reviews
}

#[tokio::test]
async fn whoever_the_rule_names_gives_a_short_lease_at_once_and_everybody_it_names_is_told() {
    let daemon = daemon().await;
    let (claude, bob, eve) = (daemon.agent("claude"), daemon.grpc("bob"), daemon.grpc("eve"));
    let request = WatchApprovalsRequest::default();
    let mut watch = bob.approvals().watch_approvals(request).await.unwrap().into_inner();
    let mut next = async || within("an event", watch.message()).await.unwrap().unwrap();
    assert!(next().await.caught_up);

    let broken = broken(&eve, "production/DB").await;
    assert_eq!(broken.told, ["admin", "ann", "bob", "cat", "dan", "fay"]);
    let (lease, open) = (broken.lease.unwrap(), broken.review.unwrap());
    let minutes_of = |from: &prost_types::Timestamp, to: &prost_types::Timestamp| {
        (to.seconds - from.seconds) / 60
    };
    let (issued, ends) = (lease.issued_at.unwrap(), lease.expires_at.unwrap());
    assert_eq!((minutes_of(&issued, &ends), lease.uses_left), (15, 5));
    assert_eq!(lease.max_expires_at.unwrap(), ends);
    assert_eq!((open.by.as_str(), open.key.as_str(), open.reason.as_str()), ("eve", "claude", WHY));
    assert_eq!((open.rule.as_str(), open.reviewer.as_str()), ("Production", ""));

    let seen = next().await.approval.unwrap();
    assert_eq!(
        (seen.status(), seen.approved_by()),
        (ApprovalStatus::Approved, ApprovedBy::BreakGlass)
    );
    assert_eq!(
        (seen.id.as_str(), seen.review_id.as_str()),
        (open.approval_id.as_str(), open.id.as_str())
    );
    assert_eq!((seen.break_glass_by.as_str(), seen.lease_ids), ("eve", vec![lease.id.clone()]));
    assert_eq!(seen.reason, "", "the agent has said nothing");

    let answer = claude.read("production/DB").await;
    assert_eq!(
        (answer.value(), answer.lease()),
        (value_of("production/DB").as_str(), lease.id.clone())
    );
    let renewed = claude.call("renew_lease", json!({ "lease_id": lease.id })).await;
    check_refused_as(&renewed, "LEASE_AT_LIMIT");
    daemon.advance(minutes(15)).await;
    assert_eq!(claude.read("production/DB").await.status(), "pending");

    let log = &daemon.admin().log_of("glass.broken").await[0];
    assert_eq!((&log["actor"]["name"], &log["lease"]), (&json!("eve"), &json!(lease.id)));
    let details = &log["details"];
    assert_eq!((&details["reason"], &details["rule"]), (&json!(WHY), &json!("Production")));
    assert_eq!(details["told"], json!(["admin", "ann", "bob", "cat", "dan", "fay"]));
    assert_eq!((&details["key"], &details["owner"]), (&json!("claude"), &json!("ann")));
    let log = &daemon.admin().log_of("lease.issued").await[0];
    assert_eq!(
        (&log["actor"]["name"], &log["approval"]),
        (&json!("eve"), &json!(open.approval_id))
    );
    main_path::check_whole(&daemon.admin().export().await);
}

#[tokio::test]
async fn it_lasts_as_long_as_was_asked_for_and_never_longer_than_the_rule_gives() {
    let daemon = daemon().await;
    let seconds = |lease: Option<vouchsafe_proto::v1::Lease>| {
        let lease = lease.unwrap();
        lease.expires_at.unwrap().seconds - lease.issued_at.unwrap().seconds
    };
    let (eve, fay) = (daemon.grpc("eve"), daemon.grpc("fay"));
    let shorter = BreakGlassRequest {
        duration: Some(Span { seconds: 90, nanos: 0 }),
        operation: Operation::Use.into(),
        ..wanted("production/DB")
    };
    let broken_one = ask(&eve, shorter).await.unwrap();
    assert_eq!(broken_one.lease.as_ref().unwrap().operation(), Operation::Use);
    assert_eq!(seconds(broken_one.lease), 90);
    assert_eq!(seconds(broken(&fay, "vault/CODE").await.lease), 300);
}

#[tokio::test]
async fn one_person_has_one_broken_glass_that_nobody_has_looked_at() {
    let mut daemon = daemon().await;
    let (eve, fay) = (daemon.grpc("eve"), daemon.grpc("fay"));
    let first = broken(&eve, "production/DB").await.review.unwrap();
    let message = format!(
        "you broke the glass at 2026-11-21T10:00:00.000Z for {}, and nobody has reviewed that yet \
         ({})",
        uri("production/DB"),
        first.id
    );
    let next = "Ask another person to review it (`vouchsafe reviews`); then you can again.";
    let again = ask(&eve, wanted("production/API")).await;
    check_said(again, Code::FailedPrecondition, "REVIEW_OPEN", &message, next);
    daemon.advance(minutes(1)).await;
    let others = broken(&fay, "production/API").await.review.unwrap();

    daemon.restart().await;
    let (eve, bob) = (daemon.grpc("eve"), daemon.grpc("bob"));
    check_code(ask(&eve, wanted("vault/CODE")).await, Code::FailedPrecondition, "REVIEW_OPEN");
    assert_eq!(daemon.agent("claude").read("production/DB").await.status(), "ok");
    let status = bob.status().show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.reviews_open, 2);
    let warning = "eve broke the glass for vouchsafe://secrets/production/DB at \
                   2026-11-21T10:00:00.000Z, and nobody has reviewed that yet (1 more)";
    assert!(status.warnings.contains(&format!("{warning}: `vouchsafe reviews`.")), "{status:?}");
    let admin = daemon.admin();
    let checks = admin.status().run_checks(RunChecksRequest {}).await.unwrap().into_inner();
    let check = checks.results.iter().find(|check| check.name == "reviews").unwrap();
    assert_eq!((check.ok, check.detail.as_str()), (false, warning));

    daemon.advance(minutes(1)).await;
    let closed = review(&bob, &first.id, true, "").await.unwrap();
    assert_eq!((closed.reviewer.as_str(), closed.justified), ("bob", true));
    let listed: Vec<_> = reviews(&bob, false).await.into_iter().map(|review| review.id).collect();
    assert_eq!(listed, [others.id.as_str(), first.id.as_str()], "the open ones first");
    assert_eq!(reviews(&bob, true).await.len(), 1);
    let second = broken(&eve, "vault/CODE").await.review.unwrap();
    review(&daemon.grpc("gus"), &second.id[..12], true, "").await.unwrap();
    review(&bob, &others.id, true, "").await.unwrap();
    let status = bob.status().show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.reviews_open, status.warnings), (0, Vec::new()));
}

#[tokio::test]
async fn nobody_reviews_their_own_and_nobody_that_of_their_own_key() {
    let daemon = daemon().await;
    let bob = daemon.grpc("bob");
    let open = broken(&bob, "production/DB").await.review.unwrap();
    let next = "Ask another approver or an auditor (`vouchsafe reviews`).";
    check_said(
        review(&bob, &open.id, true, "").await,
        Code::PermissionDenied,
        "OWN_REVIEW",
        "you broke this glass yourself; another person has to review it",
        next,
    );
    check_said(
        review(&daemon.grpc("ann"), &open.id, true, "").await,
        Code::PermissionDenied,
        "OWN_REVIEW",
        "the key that got the lease is your own; another person has to review it",
        next,
    );
    check_code(
        review(&daemon.grpc("eve"), &open.id, true, "").await,
        Code::PermissionDenied,
        "ROLE_NEEDED",
    );
    check_code(review(&bob, "rv_000000000000", true, "").await, Code::NotFound, "REVIEW_NOT_FOUND");
    let cat = daemon.grpc("cat");
    review(&cat, &open.id, true, "they told me at once").await.unwrap();
    check_said(
        review(&daemon.grpc("dan"), &open.id, false, "I disagree").await,
        Code::FailedPrecondition,
        "REVIEW_CLOSED",
        &format!("{} was reviewed by cat at 2026-11-21T10:00:00.000Z", open.id),
        "That stands; `vouchsafe reviews` shows what is open.",
    );
    assert_eq!(daemon.agent("claude").read("production/DB").await.status(), "ok");
}

#[tokio::test]
async fn what_was_not_right_needs_a_note_and_ends_at_once() {
    let daemon = daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let broken = broken(&daemon.grpc("eve"), "production/DB").await;
    let (lease, open) = (broken.lease.unwrap(), broken.review.unwrap());
    check_said(
        review(&cat, &open.id, false, " ").await,
        Code::InvalidArgument,
        "REASON_NEEDED",
        "a review that finds it was not right needs a note",
        "Say what was wrong, in a sentence.",
    );
    assert_eq!(claude.read("production/DB").await.status(), "ok");
    let closed = review(&cat, &open.id, false, "nothing was\u{202e} down").await.unwrap();
    assert_eq!((closed.justified, closed.note.as_str()), (false, "nothing was\\u{202e} down"));
    let ended = cat.lease(&lease.id).await;
    assert_eq!((ended.status(), ended.ended_by.as_str()), (LeaseStatus::Revoked, "cat"));
    assert_eq!(ended.ended_reason, "the broken glass was not justified");
    assert_eq!(claude.read("production/DB").await.status(), "pending");
    let log = &daemon.admin().log_of("glass.reviewed").await[1];
    assert_eq!(
        (&log["details"]["justified"], &log["details"]["by"]),
        (&json!(false), &json!("eve"))
    );
}

#[tokio::test]
async fn the_rules_come_first_then_the_people_they_name() {
    let daemon = daemon().await;
    let (cat, eve, out) = (daemon.grpc("cat"), daemon.grpc("eve"), daemon.grpc("out"));
    check_said(
        ask(&cat, wanted("production/DB")).await,
        Code::PermissionDenied,
        "NOT_FOR_BREAK_GLASS",
        "the rule \"Production\" does not let you break the glass",
        "It names bob, group:sre; let one of them do it, or let the agent ask.",
    );
    check_said(
        ask(&cat, wanted("own/NOTE")).await,
        Code::PermissionDenied,
        "NOT_FOR_BREAK_GLASS",
        "the rule \"Own\" does not let you break the glass",
        "It lets nobody; let the agent ask, and the approvers answer.",
    );
    for (path, operation, message) in [
        ("staging/DB", Operation::Read, "the rule \"Never\" denies read on "),
        ("unruled/THING", Operation::Read, "no rule is for "),
        ("vault/CODE", Operation::Use, "the rule \"Short\" does not cover use on "),
    ] {
        let request = BreakGlassRequest { operation: operation.into(), ..wanted(path) };
        let fay = daemon.grpc("fay");
        let refused = said(&ask(&fay, request).await.unwrap_err());
        assert_eq!(refused.code, "POLICY_REFUSED");
        assert!(refused.message.starts_with(message), "{refused:?}");
    }
    // Whoever has nothing to do with a project learns nothing of it.
    check_code(ask(&out, wanted("production/DB")).await, Code::NotFound, "PROJECT_NOT_FOUND");
    check_code(ask(&out, wanted("unruled/THING")).await, Code::NotFound, "PROJECT_NOT_FOUND");
    let elsewhere = BreakGlassRequest { project: "shop".to_owned(), ..wanted("production/DB") };
    check_code(ask(&eve, elsewhere).await, Code::NotFound, "PROJECT_NOT_FOUND");
    assert_eq!(reviews(&cat, false).await, []);
    assert_eq!(daemon.admin().log_of("glass.broken").await.len(), 8, "refusals are logged, too");
}

#[tokio::test]
async fn the_key_must_be_able_to_use_what_it_is_given() {
    let daemon = daemon().await;
    let (eve, admin) = (daemon.grpc("eve"), daemon.admin());
    let of = |key: &str| BreakGlassRequest { key: key.to_owned(), ..wanted("production/DB") };
    check_code(ask(&eve, of("nobodys")).await, Code::NotFound, "KEY_NOT_FOUND");
    check_said(
        ask(&eve, of("blind")).await,
        Code::PermissionDenied,
        "SCOPE_NEEDED",
        "this needs the scope secrets:reveal; the key `blind` has secrets:read",
        "An operator can add it with `vouchsafe keys update blind --scopes ..`.",
    );
    let disable = DisableKeyRequest { name: "claude".to_owned(), ..DisableKeyRequest::default() };
    admin.keys().disable_key(disable).await.unwrap();
    check_code(ask(&eve, of("claude")).await, Code::Unauthenticated, "KEY_DISABLED");
    let delete = DeleteKeyRequest { name: "claude".to_owned(), ..DeleteKeyRequest::default() };
    admin.keys().delete_key(delete).await.unwrap();
    check_code(ask(&eve, of("claude")).await, Code::NotFound, "KEY_NOT_FOUND");
    let missing = BreakGlassRequest { resource: uri("production/NONE"), ..of("cursor") };
    check_code(ask(&eve, missing).await, Code::NotFound, "SECRET_NOT_FOUND");
    let using = BreakGlassRequest { operation: Operation::Use.into(), ..of("blind") };
    assert_eq!(ask(&eve, using).await.unwrap().lease.unwrap().key_name, "blind");
}

#[tokio::test]
async fn it_needs_a_reason_and_stays_short_and_small() {
    let daemon = daemon().await;
    let eve = daemon.grpc("eve");
    let because =
        |reason: &str| BreakGlassRequest { reason: reason.to_owned(), ..wanted("production/DB") };
    check_said(
        ask(&eve, because("fire  \u{200b}!")).await,
        Code::InvalidArgument,
        "REASON_TOO_SHORT",
        "breaking the glass needs a reason of at least 10 visible characters, and this one has 5",
        "Say what is on fire; whoever reviews it reads that.",
    );
    check_code(ask(&eve, because("")).await, Code::InvalidArgument, "REASON_NEEDED");
    let lasting = |seconds| BreakGlassRequest {
        duration: Some(Span { seconds, nanos: 0 }),
        ..wanted("production/DB")
    };
    check_said(
        ask(&eve, lasting(901)).await,
        Code::InvalidArgument,
        "NOT_NARROWER",
        "a broken glass lasts 15m at most",
        "Give a shorter duration, or leave it out; for more, let the agent ask.",
    );
    check_code(ask(&eve, lasting(0)).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    let request = BreakGlassRequest { operation: Operation::Delete.into(), ..wanted("own/NOTE") };
    check_code(ask(&eve, request).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    let request =
        BreakGlassRequest { resource: "vouchsafe://audit".to_owned(), ..wanted("own/NOTE") };
    check_code(ask(&eve, request).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    let stop = StopLeasesRequest { reason: "all of it".to_owned(), ..StopLeasesRequest::default() };
    daemon.grpc("cat").emergency().stop_leases(stop).await.unwrap();
    check_code(ask(&eve, wanted("production/DB")).await, Code::Unavailable, "STOPPED");
}

#[tokio::test]
async fn a_review_is_for_those_who_reach_its_project() {
    let mut daemon = daemon().await;
    let admin = daemon.admin();
    let request = CreateProjectRequest { name: "shop".to_owned(), monthly: 0 };
    admin.projects().create_project(request).await.unwrap();
    let request = CreateUserRequest {
        name: "pat".to_owned(),
        roles: vec![Role::Approver.into()],
        project: "shop".to_owned(),
        ..CreateUserRequest::default()
    };
    let made = admin.users().create_user(request).await.unwrap().into_inner();
    daemon.set_token("pat", made.token);
    let pat = daemon.grpc("pat");
    let broken = broken(&daemon.grpc("eve"), "production/DB").await;
    let open = broken.review.unwrap();
    assert_eq!(reviews(&pat, false).await, []);
    check_code(review(&pat, &open.id, true, "").await, Code::NotFound, "REVIEW_NOT_FOUND");
    let lease = ShowLeaseRequest { id: broken.lease.unwrap().id };
    check_code(pat.leases().show_lease(lease).await, Code::NotFound, "LEASE_NOT_FOUND");
    let status = pat.status().show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.reviews_open, status.warnings), (0, Vec::new()));
    check_code(ask(&pat, wanted("production/DB")).await, Code::NotFound, "PROJECT_NOT_FOUND");
}

#[tokio::test]
async fn of_two_at_once_by_one_person_one_gets_it() {
    let daemon = daemon().await;
    let eve = daemon.grpc("eve");
    let (one, other) =
        tokio::join!(ask(&eve, wanted("production/DB")), ask(&eve, wanted("production/API")));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    check_code(one.and(other), Code::FailedPrecondition, "REVIEW_OPEN");
    assert_eq!(reviews(&daemon.grpc("cat"), true).await.len(), 1);
    assert_eq!(daemon.admin().log_of("lease.issued").await.len(), 1);
}
