//! How much a key may do.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tonic::Code;
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_core::time::UnixTime;
use vouchsafe_proto::v1::{
    ApprovalStatus, CreateKeyRequest, CreateProjectRequest, DeleteKeyRequest, DisableKeyRequest,
    Key, Level, RegenerateKeyRequest, ShowKeyRequest, UpdateKeyRequest, UpdateProjectRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::mcp::{Answer, uri};

use crate::keys::{check_turned_away, knock};
use crate::{check_refused, check_refused_as, check_said, minutes, prompt_daemon};

/// A key that is given nothing but what a test is about.
fn key(name: &str) -> CreateKeyRequest {
    CreateKeyRequest {
        name: name.to_owned(),
        scopes: vec!["secrets:read".to_owned(), "secrets:reveal".to_owned()],
        owner: "ann".to_owned(),
        rate: RATE_MAX,
        ..CreateKeyRequest::default()
    }
}

fn change(name: &str) -> UpdateKeyRequest {
    UpdateKeyRequest { name: name.to_owned(), ..UpdateKeyRequest::default() }
}

async fn show(daemon: &TestDaemon, name: &str) -> Key {
    let request = ShowKeyRequest { project: String::new(), name: name.to_owned() };
    daemon.admin().keys().show_key(request).await.unwrap().into_inner()
}

/// What a test's clock says, a while from now.
fn later(daemon: &TestDaemon, seconds: i64) -> prost_types::Timestamp {
    use vouchsafed::clock::Clock as _;
    let now = daemon.clock.now().wall.ms().div_euclid(1_000);
    prost_types::Timestamp { seconds: now + seconds, nanos: 0 }
}

#[tokio::test]
async fn a_key_makes_so_many_requests_in_a_minute_and_is_told_when_it_may_go_on() {
    let mut daemon = prompt_daemon().await;
    daemon.add_key_as(CreateKeyRequest { rate: 3, ..key("slow") }).await;
    for second in 0..3 {
        assert_eq!(knock(&daemon.agent("slow")).await.status, StatusCode::OK, "{second}");
        daemon.advance(Duration::from_secs(10)).await;
    }
    let check = async |daemon: &TestDaemon, wait: u64| {
        let exchange = knock(&daemon.agent("slow")).await;
        assert_eq!(exchange.headers["retry-after"], wait.to_string());
        check_turned_away(
            &exchange,
            429,
            "RATE_LIMITED",
            "the key `slow` has made the 3 requests that it may make in a minute",
            &format!(
                "Wait {wait} seconds, then go on; `vouchsafe keys update slow --rate ..` gives it \
                 more."
            ),
        );
    };
    check(&daemon, 30).await;
    // A start of the daemon gives nothing back, and what was refused has not been counted.
    daemon.restart().await;
    check(&daemon, 30).await;
    assert_eq!(show(&daemon, "slow").await.rate_left, 0);
    daemon.advance(Duration::from_secs(30)).await;
    assert_eq!(show(&daemon, "slow").await.rate_left, 1);
    assert_eq!(knock(&daemon.agent("slow")).await.status, StatusCode::OK);
    check(&daemon, 10).await;
    daemon.sweep().await;
    let refused = daemon.admin().log_of("door.refused").await;
    let noted = refused.iter().filter(|entry| entry["details"]["code"] == "RATE_LIMITED");
    assert_eq!(noted.count(), 3, "{refused:?}");
    let faster = UpdateKeyRequest { rate: Some(100), ..change("slow") };
    daemon.admin().keys().update_key(faster).await.unwrap();
    assert_eq!(knock(&daemon.agent("slow")).await.status, StatusCode::OK);
}

fn no_calls_left(answer: &Answer, message: &str, next: &str) {
    assert!(answer.is_error, "{answer:?}");
    assert_eq!((answer.code(), answer.message()), ("QUOTA_EXCEEDED", message), "{answer:?}");
    assert_eq!(answer.content["next"], next);
    assert!(answer.content["retry_after_seconds"].as_u64().unwrap() > 86_400, "{answer:?}");
}

#[tokio::test]
async fn a_key_makes_so_many_calls_in_a_month_and_refused_ones_cost_nothing() {
    let mut daemon = prompt_daemon().await;
    daemon.add_key_as(CreateKeyRequest { monthly: 2, ..key("scarce") }).await;
    let scarce = daemon.agent("scarce");
    assert!(!scarce.call("whoami", json!({})).await.is_error);
    for _ in 0..3 {
        check_refused_as(&scarce.read("no/SUCH").await, "POLICY_REFUSED");
        check_refused_as(&scarce.call("read_secret", json!({})).await, "INVALID_ARGUMENT");
    }
    assert_eq!(scarce.read("staging/DB").await.status(), "ok");
    let shown = show(&daemon, "scarce").await;
    assert_eq!((shown.calls_this_month, shown.calls_left), (2, Some(0)));
    let message = "the key `scarce` has made its 2 calls of 2026-11";
    let next = "There are new ones from 2026-12-01, 00:00 UTC on; `vouchsafe keys update scarce \
                --monthly ..` gives more.";
    no_calls_left(&scarce.call("whoami", json!({})).await, message, next);
    daemon.restart().await;
    let scarce = daemon.agent("scarce");
    no_calls_left(&scarce.call("whoami", json!({})).await, message, next);
    // Nothing but calls of tools counts.
    assert_eq!(knock(&scarce).await.status, StatusCode::OK);
    let read = scarce.request("resources/read", json!({ "uri": uri("staging/DB") })).await;
    assert!(read["result"]["contents"].is_array(), "{read}");
    daemon.advance(minutes(10 * 24 * 60)).await;
    assert!(!scarce.call("whoami", json!({})).await.is_error);
    assert_eq!(show(&daemon, "scarce").await.calls_left, Some(1));
}

#[tokio::test]
async fn calls_at_once_are_no_more_than_the_month_has() {
    let mut daemon = prompt_daemon().await;
    daemon.add_key_as(CreateKeyRequest { monthly: 7, ..key("scarce") }).await;
    let scarce = daemon.agent("scarce");
    let calls: Vec<_> = (0..30).map(|_| scarce.start("whoami", json!({}))).collect();
    let mut made = 0;
    for call in calls {
        made += u32::from(!call.await.unwrap().is_error);
    }
    assert_eq!(made, 7);
}

#[tokio::test]
async fn the_keys_of_a_project_share_what_it_has() {
    let mut daemon = prompt_daemon().await;
    let mut projects = daemon.admin().projects();
    let request = CreateProjectRequest { name: "shop".to_owned(), monthly: 3 };
    projects.create_project(request).await.unwrap();
    let of_shop = |name: &str| CreateKeyRequest { project: "shop".to_owned(), ..key(name) };
    let more = CreateKeyRequest { monthly: 4, ..of_shop("greedy") };
    check_said(
        daemon.admin().keys().create_key(more).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        "4 calls a month are more than the project `shop` has, which is 3",
        "Give 3 or less, or raise the project's limit first.",
    );
    daemon.add_key_as(CreateKeyRequest { monthly: 2, ..of_shop("one") }).await;
    daemon.add_key_as(of_shop("two")).await;
    for (name, calls) in [("one", 2), ("two", 1)] {
        for _ in 0..calls {
            assert!(!daemon.agent(name).call("whoami", json!({})).await.is_error);
        }
    }
    let message = "the keys of the project `shop` have made their 3 calls of 2026-11";
    let next = "There are new ones from 2026-12-01, 00:00 UTC on; `vouchsafe projects update shop \
                --monthly ..` gives more.";
    no_calls_left(&daemon.agent("two").call("whoami", json!({})).await, message, next);
    let request = UpdateProjectRequest { name: "shop".to_owned(), monthly: Some(4) };
    let shop = projects.update_project(request).await.unwrap().into_inner();
    assert_eq!((shop.monthly, shop.calls_this_month, shop.keys), (4, 3, 2));
    assert!(!daemon.agent("two").call("whoami", json!({})).await.is_error);
}

#[tokio::test]
async fn a_key_uses_the_tools_on_its_list_and_sees_no_other() {
    let mut daemon = prompt_daemon().await;
    let tools = vec!["list_*".to_owned(), "whoami".to_owned()];
    daemon.add_key_as(CreateKeyRequest { tools, ..key("narrow") }).await;
    let narrow = daemon.agent("narrow");
    let listed = narrow.request("tools/list", json!({})).await["result"]["tools"].clone();
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["list_secrets", "list_leases", "whoami"]);
    let message = "the key `narrow` may not use the tool read_secret; it may use list_*, whoami";
    let next = "An operator can change that with `vouchsafe keys update narrow --allow-tools ..`.";
    check_refused(&narrow.read("staging/DB").await, "TOOL_NOT_ALLOWED", message, next);
    let read = narrow.request("resources/read", json!({ "uri": uri("staging/DB") })).await;
    assert_eq!(read["error"]["message"], message);
    assert_eq!(read["error"]["data"], json!({ "code": "TOOL_NOT_ALLOWED", "next": next }));
    let refused = daemon.admin().log_of("door.refused").await;
    let calls: Vec<_> = refused.iter().map(|entry| &entry["details"]["call"]).collect();
    assert!(calls.contains(&&json!("read_secret")), "{refused:?}");
    let all = UpdateKeyRequest { set_tools: true, ..change("narrow") };
    daemon.admin().keys().update_key(all).await.unwrap();
    assert_eq!(narrow.read("staging/DB").await.status(), "ok");
}

#[tokio::test]
async fn a_key_opens_nothing_once_its_time_is_up() {
    let mut daemon = prompt_daemon().await;
    let past = CreateKeyRequest { expires_at: Some(later(&daemon, 0)), ..key("late") };
    let now = UnixTime::parse_rfc3339("2026-11-21T10:00:00Z").unwrap();
    check_said(
        daemon.admin().keys().create_key(past).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        &format!("the key would have expired at {now} already"),
        "Give a time to come, such as 30d; `vouchsafe keys disable` shuts a key out at once.",
    );
    daemon
        .add_key_as(CreateKeyRequest { expires_at: Some(later(&daemon, 60)), ..key("brief") })
        .await;
    assert_eq!(knock(&daemon.agent("brief")).await.status, StatusCode::OK);
    daemon.advance(minutes(1)).await;
    check_turned_away(
        &knock(&daemon.agent("brief")).await,
        401,
        "KEY_EXPIRED",
        "the key `brief` expired at 2026-11-21T10:01:00.000Z",
        "An operator gives it more time with `vouchsafe keys update brief --expires ..`.",
    );
    assert!(show(&daemon, "brief").await.expired);
    let more = UpdateKeyRequest { clear_expires_at: true, ..change("brief") };
    daemon.admin().keys().update_key(more).await.unwrap();
    assert_eq!(knock(&daemon.agent("brief")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_waits_is_turned_away_in_the_instant_its_key_is() {
    for how in ["regenerated", "disabled", "deleted", "expired"] {
        let mut daemon = TestDaemon::start().await;
        daemon
            .add_key_as(CreateKeyRequest { expires_at: Some(later(&daemon, 600)), ..key("waiter") })
            .await;
        let call = daemon.agent("waiter").start_read("production/DB");
        let asked = daemon.grpc("bob").the_pending().await;
        daemon.waiting(1).await;
        let (project, name) = (String::new(), "waiter".to_owned());
        let mut keys = daemon.admin().keys();
        let code = match how {
            "regenerated" => {
                let request = RegenerateKeyRequest { project, name };
                keys.regenerate_key(request).await.unwrap();
                "UNAUTHENTICATED"
            }
            "disabled" => {
                let request = DisableKeyRequest { project, name, reason: String::new() };
                keys.disable_key(request).await.unwrap();
                "KEY_DISABLED"
            }
            "deleted" => {
                let request = DeleteKeyRequest { project, name, reason: String::new() };
                keys.delete_key(request).await.unwrap();
                "UNAUTHENTICATED"
            }
            _ => {
                daemon.advance(minutes(10)).await;
                "KEY_EXPIRED"
            }
        };
        let answer = call.await.unwrap();
        check_refused_as(&answer, code);
        let stands = daemon.grpc("bob").show(&asked.id).await.unwrap();
        assert_ne!(stands.status(), ApprovalStatus::Approved, "{how}");
    }
}

#[tokio::test]
async fn a_key_is_shown_and_logged_with_all_that_is_set() {
    let mut daemon = prompt_daemon().await;
    let session = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let request = CreateKeyRequest {
        level: Level::Strict.into(),
        session,
        tools: vec!["whoami".to_owned()],
        rate: 10,
        monthly: 100,
        expires_at: Some(later(&daemon, 3_600)),
        ..key("set")
    };
    daemon.add_key_as(request.clone()).await;
    let told = daemon.agent("set").call("whoami", json!({})).await.content;
    assert_eq!(told["level"], "strict");
    assert_eq!((&told["session_minutes"], &told["tools"]), (&json!(60), &json!(["whoami"])));
    assert_eq!(told["expires_at"], "2026-11-21T11:00:00.000Z");
    let limits = &told["limits"];
    assert_eq!((&limits["requests_per_minute"], &limits["requests_left"]), (&json!(10), &json!(9)));
    assert_eq!((&limits["calls_this_month"], &limits["calls_left"]), (&json!(1), &json!(99)));
    let shown = show(&daemon, "set").await;
    assert_eq!((shown.level(), shown.session, shown.rate), (Level::Strict, session, 10));
    assert_eq!((shown.monthly, shown.calls_this_month, shown.calls_left), (100, 1, Some(99)));
    assert_eq!((shown.expires_at, shown.expired), (request.expires_at, false));
    let project = String::new();
    let request = DeleteKeyRequest { project, name: "set".to_owned(), reason: String::new() };
    daemon.admin().keys().delete_key(request).await.unwrap();
    for action in ["key.created", "key.deleted"] {
        let log = daemon.admin().log_of(action).await;
        let entry = log.iter().find(|entry| entry["details"]["key"] == "set").unwrap();
        let details = &entry["details"];
        assert_eq!(
            (&details["level"], &details["session_minutes"]),
            (&json!("strict"), &json!(60))
        );
        assert_eq!((&details["tools"], &details["rate"]), (&json!("whoami"), &json!(10)));
        assert_eq!(details["monthly"], 100);
        assert_eq!(details["expires_at"], "2026-11-21T11:00:00.000Z");
    }
}

#[tokio::test]
async fn what_is_asked_and_taken_back_makes_no_room_to_ask_for_more() {
    let daemon = TestDaemon::builder().block_for(Duration::ZERO).start().await;
    let claude = daemon.agent("claude");
    for _ in 0..100 {
        let approval = claude.read("production/DB").await.approval();
        let arguments = json!({ "approval_id": approval });
        assert_eq!(claude.call("withdraw_approval", arguments).await.status(), "withdrawn");
    }
    let refused = claude.read("production/DB").await;
    check_refused_as(&refused, "TOO_MANY_PENDING");
    assert!(refused.message().contains("100 were taken back within the hour"), "{refused:?}");
    assert_eq!(daemon.agent("cursor").read("production/DB").await.status(), "pending");
    daemon.advance(minutes(61)).await;
    assert_eq!(claude.read("production/DB").await.status(), "pending");
}
