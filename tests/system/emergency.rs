//! The emergency stop: what it holds, what goes on, and how it ends.

use serde_json::json;
use tonic::{Code, Status};
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{
    ApprovalStatus, CreateProjectRequest, CreateUserRequest, DeleteKeyRequest, LeaseStatus,
    ListStopsRequest, ResumeLeasesRequest, ResumeLeasesResponse, Role, ShowStatusRequest, Stop,
    StopLeasesRequest, StopLeasesResponse,
};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::events::within;
use vouchsafe_tests::grpc::Person;
use vouchsafe_tests::mcp::{Agent, uri};

use crate::{check_code, check_refused, check_refused_as, check_said, lease_on, main_path};
use crate::{minutes, prompt_daemon};

const WHY: &str = "a laptop was stolen";
const WAIT: &str = "Wait; nothing is released until a person resumes. What people have been asked \
                    stays, and its time stands still.";

async fn stop(by: &Person, project: &str, key: &str) -> Result<StopLeasesResponse, Status> {
    let request = StopLeasesRequest {
        project: project.to_owned(),
        key: key.to_owned(),
        reason: WHY.to_owned(),
    };
    by.emergency().stop_leases(request).await.map(tonic::Response::into_inner)
}

async fn resume(by: &Person, project: &str, key: &str) -> Result<ResumeLeasesResponse, Status> {
    let request = ResumeLeasesRequest {
        project: project.to_owned(),
        key: key.to_owned(),
        reason: "it was found".to_owned(),
    };
    by.emergency().resume_leases(request).await.map(tonic::Response::into_inner)
}

async fn stops(by: &Person) -> Vec<String> {
    let answer = by.emergency().list_stops(ListStopsRequest {}).await.unwrap().into_inner();
    answer.stops.into_iter().map(|stop| stop.what).collect()
}

fn what(stops: &[Stop]) -> Vec<&str> {
    stops.iter().map(|stop| stop.what.as_str()).collect()
}

#[tokio::test]
async fn while_everything_is_stopped_nothing_is_released_and_everybody_is_told_why() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let lease = lease_on(&daemon, &claude, "production/DB").await.lease();
    let pending = claude.read("production/API").await.approval();
    let stopped = stop(&cat, "", "").await.unwrap();
    assert_eq!((stopped.leases_held, stopped.approvals_held), (1, 1));
    let is = stopped.stop.unwrap();
    assert_eq!((is.what.as_str(), is.by.as_str(), is.reason.as_str()), ("all", "cat", WHY));

    let message = "everything is stopped since 2026-11-21T10:00:00.000Z: a laptop was stolen";
    let refused = |answer| check_refused(&answer, "STOPPED", message, WAIT);
    // A lease that it has, a rule that asks nobody, and something new.
    for path in ["production/DB", "staging/DB", "follow/TOKEN"] {
        refused(claude.read(path).await);
    }
    let using = json!({ "resources": [uri("production/DB")], "operation": "use" });
    refused(claude.call("request_access", using).await);
    refused(claude.call("renew_lease", json!({ "lease_id": lease })).await);
    assert!(!claude.call("list_secrets", json!({})).await.is_error);
    let told = claude.call("await_approval", json!({ "approval_id": pending })).await;
    assert_eq!(told.status(), "pending");

    let status = cat.status().show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    let sentence = "everything is stopped by cat since 2026-11-21T10:00:00.000Z: a laptop was \
                    stolen";
    assert_eq!(status.stops, [sentence]);
    check_said(
        stop(&daemon.grpc("bob"), "", "").await,
        Code::FailedPrecondition,
        "ALREADY_STOPPED",
        sentence,
        "Nothing more is needed; `vouchsafe resume` takes it back.",
    );

    let resumed = resume(&daemon.grpc("bob"), "", "").await.unwrap();
    assert_eq!((resumed.approvals_resumed, resumed.left.len()), (1, 0));
    assert_eq!(resumed.ended.unwrap().by, "cat");
    check_said(
        resume(&cat, "", "").await,
        Code::NotFound,
        "NOT_STOPPED",
        "there is no stop of everything",
        "`vouchsafe status` says what is.",
    );
    assert_eq!(claude.read("production/DB").await.value(), value_of("production/DB"));
    assert_eq!(claude.read("staging/DB").await.value(), value_of("staging/DB"));
    let log = &daemon.admin().log_of("leases.stopped").await[0];
    assert_eq!((&log["actor"]["name"], &log["details"]["what"]), (&json!("cat"), &json!("all")));
    let log = &daemon.admin().log_of("leases.resumed").await[0];
    assert_eq!(log["details"]["stopped_by"], "cat");
    assert_eq!(log["details"]["reason"], "it was found");
    main_path::check_whole(&daemon.admin().export().await);
}

#[tokio::test]
async fn a_stopped_key_is_stopped_alone_and_a_stopped_project_with_all_its_keys() {
    let daemon = prompt_daemon().await;
    let (claude, cursor, cat) =
        (daemon.agent("claude"), daemon.agent("cursor"), daemon.grpc("cat"));
    let is = stop(&cat, "", "claude").await.unwrap().stop.unwrap();
    assert_eq!((is.what.as_str(), is.project.as_str()), ("key claude", "default"));
    check_refused(
        &claude.read("staging/DB").await,
        "STOPPED",
        "this key is stopped since 2026-11-21T10:00:00.000Z: a laptop was stolen",
        WAIT,
    );
    assert_eq!(cursor.read("staging/DB").await.value(), value_of("staging/DB"));
    resume(&cat, "default", "claude").await.unwrap();
    assert_eq!(claude.read("staging/DB").await.value(), value_of("staging/DB"));

    let is = stop(&cat, "default", "").await.unwrap().stop.unwrap();
    assert_eq!((is.what.as_str(), is.key.as_str()), ("project default", ""));
    for agent in [&claude, &cursor] {
        check_refused(
            &agent.read("staging/DB").await,
            "STOPPED",
            "this project is stopped since 2026-11-21T10:00:00.000Z: a laptop was stolen",
            WAIT,
        );
    }
    check_said(
        stop(&cat, "default", "").await,
        Code::FailedPrecondition,
        "ALREADY_STOPPED",
        "the project `default` is stopped by cat since 2026-11-21T10:00:00.000Z: a laptop was \
         stolen",
        "Nothing more is needed; `vouchsafe resume` takes it back.",
    );
    resume(&cat, "default", "").await.unwrap();
    assert_eq!(cursor.read("staging/DB").await.value(), value_of("staging/DB"));
}

#[tokio::test]
async fn a_stop_needs_a_reason_and_something_to_stop() {
    let daemon = prompt_daemon().await;
    let cat = daemon.grpc("cat");
    for reason in ["", " \u{200b}\n"] {
        let request = StopLeasesRequest { reason: reason.to_owned(), ..Default::default() };
        check_said(
            cat.emergency().stop_leases(request).await,
            Code::InvalidArgument,
            "REASON_NEEDED",
            "a stop needs a reason: agents and people are told it while it stands",
            "Say it in a few words, such as \"a laptop was stolen\".",
        );
    }
    check_code(stop(&cat, "shop", "").await, Code::NotFound, "PROJECT_NOT_FOUND");
    check_code(stop(&cat, "", "nobodys").await, Code::NotFound, "KEY_NOT_FOUND");
    check_said(
        resume(&cat, "", "claude").await,
        Code::NotFound,
        "NOT_STOPPED",
        "there is no stop of the key `claude`",
        "`vouchsafe status` says what is.",
    );
    assert_eq!(stops(&cat).await, [""; 0]);
    assert_eq!(daemon.admin().log_of("leases.stopped").await.len(), 4, "refusals are logged, too");
}

#[tokio::test]
async fn the_words_of_whoever_stopped_it_are_made_safe_to_show() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let request = StopLeasesRequest {
        reason: "stolen\u{202e}\nby a thief".to_owned(),
        ..StopLeasesRequest::default()
    };
    let shown = "stolen\\u{202e}⏎by a thief";
    let stop = cat.emergency().stop_leases(request).await.unwrap().into_inner().stop.unwrap();
    assert_eq!(stop.reason, shown);
    assert!(claude.read("staging/DB").await.message().ends_with(shown));
    assert_eq!(daemon.admin().log_of("leases.stopped").await[0]["details"]["reason"], shown);
}

#[tokio::test]
async fn while_it_is_stopped_a_no_is_taken_a_yes_is_not_and_leases_can_be_taken_back() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let lease = lease_on(&daemon, &claude, "production/DB").await.lease();
    let other = lease_on(&daemon, &claude, "own/NOTE").await.lease();
    let wanted = claude.read("production/API").await.approval();
    let unwanted = claude.read("follow/TOKEN").await.approval();
    let back = claude.read("vault/CODE").await.approval();
    stop(&cat, "", "").await.unwrap();

    let shown = cat.show(&wanted).await.unwrap();
    assert!(shown.stopped);
    check_said(
        cat.approve(&shown).await,
        Code::Unavailable,
        "STOPPED",
        "it is stopped, and nothing is approved until somebody resumes",
        "Deny it, or answer once somebody has resumed (`vouchsafe status` says who stopped it).",
    );
    let shown = cat.show(&unwanted).await.unwrap();
    let denied = cat.deny(&shown, "not now").await.unwrap().approval.unwrap();
    assert_eq!(denied.status(), ApprovalStatus::Denied);
    let withdrawn = claude.call("withdraw_approval", json!({ "approval_id": back })).await;
    assert!(!withdrawn.is_error, "{withdrawn:?}");
    assert_eq!(cat.revoke(Which::Id(lease.clone())).await.unwrap().len(), 1);
    let released = claude.call("release_lease", json!({ "lease_id": other })).await;
    assert!(!released.is_error, "{released:?}");

    assert_eq!(resume(&cat, "", "").await.unwrap().approvals_resumed, 1);
    assert_eq!(cat.lease(&lease).await.status(), LeaseStatus::Revoked);
    let shown = cat.show(&wanted).await.unwrap();
    assert!(!shown.stopped);
    cat.approve(&shown).await.unwrap();
    assert_eq!(claude.read("production/API").await.value(), value_of("production/API"));
}

#[tokio::test]
async fn the_clock_of_what_is_pending_stands_still_and_runs_on_with_what_it_had_left() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let asked = claude.read("production/DB").await.approval();
    daemon.advance(minutes(50)).await;
    stop(&cat, "default", "").await.unwrap();
    daemon.advance(minutes(600)).await;
    let held = cat.show(&asked).await.unwrap();
    assert_eq!((held.status(), held.stopped), (ApprovalStatus::Pending, true));
    resume(&cat, "default", "").await.unwrap();
    let goes_on = cat.show(&asked).await.unwrap();
    let asked_at = goes_on.created_at.unwrap().seconds;
    assert_eq!(goes_on.expires_at.unwrap().seconds - asked_at, (650 + 10) * 60);
    assert_eq!(
        goes_on.digest, held.digest,
        "an answer given on what was shown before still counts"
    );
    daemon.advance(minutes(9)).await;
    assert_eq!(cat.show(&asked).await.unwrap().status(), ApprovalStatus::Pending);
    daemon.advance(minutes(1)).await;
    assert_eq!(cat.show(&asked).await.unwrap().status(), ApprovalStatus::Expired);
}

#[tokio::test]
async fn what_had_run_out_before_the_stop_has_run_out_and_a_lease_runs_out_during_it() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let asked = claude.read("production/DB").await.approval();
    daemon.clock.advance(minutes(60));
    let lease = lease_on(&daemon, &claude, "production/API").await.lease();
    // Nothing has looked at what is due yet.
    let stopped = stop(&cat, "", "").await.unwrap();
    assert_eq!((stopped.leases_held, stopped.approvals_held), (1, 0));
    assert_eq!(cat.show(&asked).await.unwrap().status(), ApprovalStatus::Expired);
    daemon.advance(minutes(15)).await;
    assert_eq!(cat.lease(&lease).await.status(), LeaseStatus::Expired);
    resume(&cat, "", "").await.unwrap();
    assert_eq!(claude.read("production/API").await.status(), "pending");
}

#[tokio::test]
async fn where_stops_overlap_the_last_one_lets_go() {
    let daemon = prompt_daemon().await;
    let (claude, cursor, cat) =
        (daemon.agent("claude"), daemon.agent("cursor"), daemon.grpc("cat"));
    let (one, other) = (
        claude.read("production/DB").await.approval(),
        cursor.read("production/DB").await.approval(),
    );
    assert_eq!(stop(&cat, "", "claude").await.unwrap().approvals_held, 1);
    daemon.advance(minutes(30)).await;
    assert_eq!(stop(&cat, "default", "").await.unwrap().approvals_held, 1);
    assert_eq!(stop(&cat, "", "").await.unwrap().approvals_held, 0);
    assert_eq!(stops(&cat).await, ["all", "project default", "key claude"]);
    daemon.advance(minutes(600)).await;

    let resumed = resume(&cat, "", "").await.unwrap();
    assert_eq!(resumed.approvals_resumed, 0);
    assert_eq!(what(&resumed.left), ["project default", "key claude"]);
    check_refused_as(&cursor.read("staging/DB").await, "STOPPED");
    let resumed = resume(&cat, "default", "").await.unwrap();
    assert_eq!((resumed.approvals_resumed, what(&resumed.left)), (1, vec!["key claude"]));
    assert_eq!(cursor.read("staging/DB").await.status(), "ok");
    check_refused_as(&claude.read("staging/DB").await, "STOPPED");
    daemon.advance(minutes(30)).await;
    assert_eq!(cat.show(&other).await.unwrap().status(), ApprovalStatus::Expired);
    assert_eq!(resume(&cat, "", "claude").await.unwrap().approvals_resumed, 1);
    daemon.advance(minutes(59)).await;
    assert_eq!(cat.show(&one).await.unwrap().status(), ApprovalStatus::Pending);
    daemon.advance(minutes(1)).await;
    assert_eq!(cat.show(&one).await.unwrap().status(), ApprovalStatus::Expired);
}

#[tokio::test]
async fn a_stop_outlasts_the_daemon_and_the_machine() {
    let mut daemon = prompt_daemon().await;
    let asked = daemon.agent("claude").read("production/DB").await.approval();
    let lease = lease_on(&daemon, &daemon.agent("claude"), "production/API").await.lease();
    daemon.advance(minutes(10)).await;
    stop(&daemon.grpc("cat"), "", "").await.unwrap();
    daemon.stop().await;
    daemon.clock.advance(minutes(600));
    daemon.clock.reboot("boot-2");
    daemon.restart().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    check_refused_as(&claude.read("staging/DB").await, "STOPPED");
    assert_eq!(stops(&cat).await, ["all"]);
    let shown = cat.show(&asked).await.unwrap();
    assert_eq!((shown.status(), shown.stopped), (ApprovalStatus::Pending, true));
    check_code(cat.approve(&shown).await, Code::Unavailable, "STOPPED");
    resume(&cat, "", "").await.unwrap();
    daemon.restart().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    assert_eq!(cat.lease(&lease).await.status(), LeaseStatus::Expired);
    daemon.advance(minutes(49)).await;
    cat.approve(&cat.show(&asked).await.unwrap()).await.unwrap();
    assert_eq!(claude.read("production/DB").await.value(), value_of("production/DB"));
}

#[tokio::test]
async fn a_call_that_waits_goes_on_waiting_and_gets_nothing_until_somebody_resumes() {
    let daemon = TestDaemon::start().await;
    let cat = daemon.grpc("cat");
    let waiting = daemon.agent("claude").start_read("production/DB");
    let approval = cat.the_pending().await;
    daemon.waiting(1).await;
    stop(&cat, "", "claude").await.unwrap();
    check_code(cat.approve(&approval).await, Code::Unavailable, "STOPPED");
    daemon.waiting(1).await;
    resume(&cat, "", "claude").await.unwrap();
    cat.approve(&approval).await.unwrap();
    assert_eq!(within("the value", waiting).await.unwrap().value(), value_of("production/DB"));
}

#[tokio::test]
async fn a_call_that_waits_is_told_of_a_stop_that_comes_between_the_answer_and_the_value() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    let asked = claude.read("production/DB").await.approval();
    cat.approve(&cat.show(&asked).await.unwrap()).await.unwrap();
    stop(&cat, "", "claude").await.unwrap();
    check_refused_as(&claude.read("production/DB").await, "STOPPED");
    resume(&cat, "", "claude").await.unwrap();
    assert_eq!(claude.read("production/DB").await.value(), value_of("production/DB"));
}

#[tokio::test]
async fn nobody_stops_or_sees_stopped_what_is_out_of_their_reach() {
    let mut daemon = prompt_daemon().await;
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
    let (claude, pat, cat) = (daemon.agent("claude"), daemon.grpc("pat"), daemon.grpc("cat"));

    for refused in [stop(&pat, "", "").await.map(drop), resume(&pat, "", "").await.map(drop)] {
        check_said(
            refused,
            Code::PermissionDenied,
            "ROLE_NEEDED",
            "everything is every project's, and pat is approver or operator in some of them only",
            "Stop or resume a project of yours with `--project`, or ask somebody who has the role \
             in all of them.",
        );
    }
    check_code(stop(&pat, "default", "").await, Code::NotFound, "PROJECT_NOT_FOUND");
    check_code(stop(&pat, "default", "claude").await, Code::NotFound, "PROJECT_NOT_FOUND");
    stop(&pat, "shop", "").await.unwrap();
    assert_eq!(claude.read("staging/DB").await.status(), "ok");
    stop(&cat, "", "claude").await.unwrap();
    assert_eq!(stops(&pat).await, ["project shop"]);
    assert_eq!(stops(&cat).await, ["project shop", "key claude"]);
    check_code(resume(&pat, "default", "claude").await, Code::NotFound, "PROJECT_NOT_FOUND");
    let left = resume(&pat, "shop", "").await.unwrap().left;
    assert_eq!(what(&left), [""; 0], "the other stop is none of theirs");
    stop(&cat, "", "").await.unwrap();
    assert_eq!(stops(&pat).await, ["all"]);
}

#[tokio::test]
async fn the_stop_of_a_key_that_is_deleted_goes_with_it() {
    let daemon = prompt_daemon().await;
    let cat = daemon.grpc("cat");
    stop(&cat, "", "cursor").await.unwrap();
    let request = DeleteKeyRequest { name: "cursor".to_owned(), ..DeleteKeyRequest::default() };
    daemon.admin().keys().delete_key(request).await.unwrap();
    assert_eq!(stops(&cat).await, [""; 0]);
}

#[tokio::test]
async fn many_asks_at_once_are_stopped_whole() {
    let daemon = prompt_daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    for path in ["production/DB", "production/API", "own/NOTE", "follow/TOKEN"] {
        assert_eq!(ask(&claude, path).await, "pending");
    }
    assert_eq!(stop(&cat, "", "").await.unwrap().approvals_held, 4);
    let pending = cat.list(&[ApprovalStatus::Pending]).await;
    assert!(pending.iter().all(|approval| approval.stopped));
    daemon.advance(minutes(600)).await;
    assert_eq!(resume(&cat, "", "").await.unwrap().approvals_resumed, 4);
}

async fn ask(agent: &Agent, path: &str) -> String {
    agent.read(path).await.status().to_owned()
}
