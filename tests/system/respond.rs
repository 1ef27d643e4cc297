//! The HTTP call that answers an approval, and what each wrong answer gets.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, CreateProjectRequest, CreateUserRequest, DisableUserRequest,
    IssueTokenRequest, Role,
};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::mcp::{Exchange, send, uri};

use crate::{minutes, prompt_daemon};

/// Claude has asked for this, and has been given a handle.
async fn asked(daemon: &TestDaemon, path: &str) -> Approval {
    let answer = daemon.agent("claude").read(path).await;
    assert_eq!(answer.status(), "pending", "{answer:?}");
    daemon.grpc("bob").show(&answer.approval()).await.unwrap()
}

/// A yes to what is shown.
fn yes(approval: &Approval) -> Value {
    json!({ "decision": "approve", "digest": approval.digest })
}

/// With this member, or without it.
fn with(mut body: Value, member: &str, value: Value) -> Value {
    let members = body.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(member);
    } else {
        members.insert(member.to_owned(), value);
    }
    body
}

/// An answer to be sent, by this token.
fn call(daemon: &TestDaemon, token: &str, id: &str, body: &Value) -> RequestBuilder {
    let http = Client::builder().no_proxy().build().unwrap();
    let post = http.post(daemon.url(&format!("/v1/approvals/{id}/respond")));
    post.bearer_auth(token).header("content-type", "application/json").body(body.to_string())
}

async fn respond(daemon: &TestDaemon, who: &str, id: &str, body: &Value) -> (u16, Value) {
    answered(&send(call(daemon, daemon.token(who), id, body)).await)
}

fn answered(exchange: &Exchange) -> (u16, Value) {
    assert_eq!(exchange.headers["content-type"], "application/json", "{exchange:?}");
    (exchange.status.as_u16(), serde_json::from_str(&exchange.body).unwrap())
}

/// It is refused so, and says what happened and what to do.
#[track_caller]
fn check(what: &str, exchange: &Exchange, status: u16, code: &str, said: &str) {
    let (is, body) = answered(exchange);
    let error = &body["error"];
    assert_eq!((is, error["code"].as_str()), (status, Some(code)), "{what}: {body}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(said), "{what}: {message}");
    assert!(!error["next"].as_str().unwrap().is_empty(), "{what}: {body}");
    assert!(!exchange.body.contains("vs_user_1") && !exchange.body.contains("vs_mcp_1"), "{what}");
}

#[tokio::test]
async fn an_answer_over_http_counts_like_any_other() {
    let daemon = prompt_daemon().await;
    let approval = asked(&daemon, "production/DB").await;
    let body = json!({
        "decision": "approve", "digest": approval.digest, "reason": "on call", "duration": "10m",
        "uses": 2, "for": "lease", "only": [uri("production/DB")], "rendering": "cd".repeat(32),
    });
    let (status, told) = respond(&daemon, "bob", &approval.id, &body).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (&told["status"], &told["approval_id"]),
        (&"approved".into(), &approval.id.clone().into())
    );
    assert!(told["outcome"].as_str().unwrap().starts_with("Approved by bob at "), "{told}");
    let lease = &told["leases"][0];
    assert_eq!(lease["resource"], uri("production/DB"));
    let is = daemon.grpc("bob").lease(lease["id"].as_str().unwrap()).await;
    assert_eq!(is.uses_left, 2, "{is:?}");
    let read = daemon.agent("claude").read("production/DB").await;
    assert_eq!(read.value(), value_of("production/DB"));
    let entries = daemon.admin().log_of("approval.voted").await;
    let entry = entries.last().unwrap();
    let actor = &entry["actor"];
    assert_eq!(
        (&actor["name"], &actor["via"], &actor["proof"]),
        (&"bob".into(), &"api".into(), &"user-token".into()),
        "{entry}"
    );
    assert!(entry.to_string().contains(&"cd".repeat(32)), "{entry}");
    let shown = daemon.grpc("bob").show(&approval.id).await.unwrap();
    assert_eq!((shown.votes[0].via.as_str(), shown.votes[0].reason.as_str()), ("api", "on call"));
}

#[tokio::test]
async fn a_denial_over_http_reaches_the_agent() {
    let daemon = prompt_daemon().await;
    let approval = asked(&daemon, "production/DB").await;
    let deny = json!({ "decision": "deny", "digest": approval.digest });
    let exchange = send(call(&daemon, daemon.token("bob"), &approval.id, &deny)).await;
    check("no reason", &exchange, 400, "REASON_NEEDED", "a denial needs a reason");
    let deny = with(deny, "reason", "use the staging one".into());
    let (status, told) = respond(&daemon, "bob", &approval.id, &deny).await;
    assert_eq!((status, &told["status"]), (200, &"denied".into()), "{told}");
    let read = daemon.agent("claude").read("production/DB").await;
    assert!(read.content.to_string().contains("use the staging one"), "{read:?}");
}

#[tokio::test]
async fn several_answers_over_http_fill_a_quorum() {
    let daemon = prompt_daemon().await;
    let approval = asked(&daemon, "vault/CODE").await;
    let (status, told) = respond(&daemon, "bob", &approval.id, &yes(&approval)).await;
    assert_eq!((status, &told["status"], &told["outcome"]), (200, &"pending".into(), &Value::Null));
    let factor = &told["progress"][0]["factors"][0];
    assert_eq!((&factor["count"], &factor["met"]), (&2.into(), &1.into()), "{told}");
    let again = send(call(&daemon, daemon.token("bob"), &approval.id, &yes(&approval))).await;
    check("twice", &again, 409, "ALREADY_VOTED", "you have answered already");
    let (status, told) = respond(&daemon, "cat", &approval.id, &yes(&approval)).await;
    assert_eq!((status, &told["status"]), (200, &"approved".into()), "{told}");
}

#[tokio::test]
async fn whoever_answers_after_the_decision_is_told_who_decided() {
    let daemon = prompt_daemon().await;
    let approval = asked(&daemon, "production/DB").await;
    let (bob, cat) = (
        yes(&approval),
        json!({
            "decision": "deny", "digest": approval.digest, "reason": "not today",
        }),
    );
    let both = tokio::join!(
        send(call(&daemon, daemon.token("bob"), &approval.id, &bob)),
        send(call(&daemon, daemon.token("cat"), &approval.id, &cat)),
    );
    let (first, second) = if both.0.status == StatusCode::OK { both } else { (both.1, both.0) };
    let winner = &answered(&first).1["status"];
    let said = if winner == "approved" { "was approved by bob at" } else { "was denied by cat at" };
    check("too late", &second, 409, "APPROVAL_SETTLED", said);
    let gone = asked(&daemon, "production/API").await;
    daemon.advance(minutes(61)).await;
    let late = send(call(&daemon, daemon.token("bob"), &gone.id, &yes(&gone))).await;
    check("expired", &late, 409, "APPROVAL_EXPIRED", "expired at");
}

/// Everybody who is not to be let in, or not to answer this.
async fn people(daemon: &mut TestDaemon) {
    daemon.add_user("eve", &[Role::Auditor, Role::Operator], &["oncall"]).await;
    daemon.add_user("gone", &[Role::Approver], &["oncall"]).await;
    let disable = DisableUserRequest { name: "gone".to_owned(), reason: String::new() };
    daemon.admin().users().disable_user(disable).await.unwrap();
    let project = CreateProjectRequest { name: "shop".to_owned(), monthly: 0 };
    daemon.admin().projects().create_project(project).await.unwrap();
    let request = CreateUserRequest {
        name: "sam".to_owned(),
        roles: vec![Role::Approver.into()],
        groups: vec!["oncall".to_owned()],
        project: "shop".to_owned(),
    };
    let made = daemon.admin().users().create_user(request).await.unwrap().into_inner();
    daemon.set_token("sam", made.token);
    // Two words for one person: the first is worth nothing any more.
    let old = daemon.token("cat").to_owned();
    let issue = IssueTokenRequest { name: "cat".to_owned() };
    let issued = daemon.admin().users().issue_token(issue).await.unwrap().into_inner();
    daemon.set_token("cat", issued.token);
    daemon.set_token("cat before", old);
}

#[tokio::test]
async fn nobody_answers_who_may_not() {
    let mut daemon = prompt_daemon().await;
    people(&mut daemon).await;
    let approval = asked(&daemon, "production/DB").await;
    let key = daemon.agent("claude").key().to_owned();
    let mut forged = daemon.token("bob").to_owned();
    forged.replace_range(20..21, if forged.get(20..21) == Some("a") { "b" } else { "a" });
    let token = |name: &str| daemon.token(name).to_owned();
    for (what, token, status, code, said) in [
        ("nothing", String::new(), 401, "UNAUTHENTICATED", ""),
        ("a forged token", forged, 401, "UNAUTHENTICATED", ""),
        ("a replaced token", token("cat before"), 401, "UNAUTHENTICATED", "was replaced"),
        ("an agent's key", key, 401, "WRONG_CREDENTIAL", "an MCP key (vs_mcp_..) was sent"),
        ("a disabled user", token("gone"), 401, "UNAUTHENTICATED", "the token is unknown"),
        ("no approver", token("eve"), 403, "ROLE_NEEDED", "needs the role approver, and eve"),
        ("the owner", token("ann"), 403, "OWN_REQUEST", "your own"),
        ("nobody of the rule's", token("dan"), 403, "NOT_AN_APPROVER", "names you"),
        ("another project's", token("sam"), 404, "APPROVAL_NOT_FOUND", ""),
    ] {
        let exchange = send(call(&daemon, &token, &approval.id, &yes(&approval))).await;
        check(what, &exchange, status, code, said);
        assert!(token.is_empty() || !exchange.body.contains(&token), "{what}: {}", exchange.body);
        let challenge = exchange.headers.contains_key("www-authenticate");
        assert_eq!(challenge, status == 401, "{what}");
    }
    let after = daemon.grpc("bob").show(&approval.id).await.unwrap();
    assert_eq!((after.status(), after.votes.len()), (ApprovalStatus::Pending, 0));
    let refused = daemon.admin().log_of("door.refused").await;
    let at_this = refused.iter().filter(|entry| entry["actor"]["via"] == "api");
    assert_eq!(at_this.count(), 6, "those who were not let in, in the log: {refused:?}");
    let eve = refused.iter().find(|entry| entry["actor"]["name"] == "eve").unwrap();
    assert!(eve.to_string().contains("\"respond\""), "{eve}");
    for entry in &refused {
        assert!(
            !entry.to_string().contains("vs_user_") || entry.to_string().contains("(vs_user_..)")
        );
    }
}

#[tokio::test]
async fn no_answer_counts_that_is_stale_or_about_something_else() {
    let daemon = prompt_daemon().await;
    let (approval, other) =
        (asked(&daemon, "production/DB").await, asked(&daemon, "production/API").await);
    let id = approval.id.as_str();
    for (what, id, body, status, code, said) in [
        (
            "no digest",
            id,
            with(yes(&approval), "digest", Value::Null),
            400,
            "INVALID_ARGUMENT",
            "digest is missing",
        ),
        (
            "a short digest",
            id,
            with(yes(&approval), "digest", approval.short_digest.clone().into()),
            400,
            "INVALID_ARGUMENT",
            "64 hexadecimal",
        ),
        ("another's digest", id, yes(&other), 409, "STALE_DIGEST", "something other"),
        ("another's id", other.id.as_str(), yes(&approval), 409, "STALE_DIGEST", "something other"),
        (
            "a digest of nothing",
            id,
            with(yes(&approval), "digest", "0".repeat(64).into()),
            409,
            "STALE_DIGEST",
            "",
        ),
        ("no approval", "ap_0000000000000000", yes(&approval), 404, "APPROVAL_NOT_FOUND", ""),
    ] {
        let exchange = send(call(&daemon, daemon.token("bob"), id, &body)).await;
        check(what, &exchange, status, code, said);
    }
    for approval in [&approval, &other] {
        let after = daemon.grpc("bob").show(&approval.id).await.unwrap();
        assert_eq!((after.status(), after.votes.len()), (ApprovalStatus::Pending, 0));
    }
}

#[tokio::test]
async fn no_answer_counts_that_is_wider_or_makes_no_sense() {
    let daemon = prompt_daemon().await;
    let approval = asked(&daemon, "production/DB").await;
    let id = approval.id.as_str();
    let long = with(yes(&approval), "reason", "x".repeat(2_001).into());
    for (what, id, body, status, code, said) in [
        (
            "longer",
            id,
            with(yes(&approval), "duration", "16m".into()),
            400,
            "NOT_NARROWER",
            "15m at most",
        ),
        ("more uses", id, with(yes(&approval), "uses", 6.into()), 400, "NOT_NARROWER", "5 at most"),
        ("a session", id, with(yes(&approval), "for", "session".into()), 400, "NOT_NARROWER", ""),
        (
            "other things",
            id,
            with(yes(&approval), "only", json!([uri("production/API")])),
            400,
            "NOT_NARROWER",
            "",
        ),
        ("a long reason", id, long, 400, "INVALID_ARGUMENT", "2000 is the most"),
        (
            "an unknown member",
            id,
            with(yes(&approval), "force", true.into()),
            400,
            "INVALID_ARGUMENT",
            "unknown field `force`",
        ),
        (
            "no decision",
            id,
            with(yes(&approval), "decision", Value::Null),
            400,
            "INVALID_ARGUMENT",
            "missing field",
        ),
        ("a list", id, json!([yes(&approval)]), 400, "INVALID_ARGUMENT", "makes no sense"),
        (
            "a bad rendering",
            id,
            with(yes(&approval), "rendering", "x".into()),
            400,
            "INVALID_ARGUMENT",
            "rendering",
        ),
    ] {
        let exchange = send(call(&daemon, daemon.token("bob"), id, &body)).await;
        check(what, &exchange, status, code, said);
    }
    let after = daemon.grpc("bob").show(&approval.id).await.unwrap();
    assert_eq!((after.status(), after.votes.len()), (ApprovalStatus::Pending, 0));
}

#[tokio::test]
async fn no_page_can_have_a_browser_answer() {
    let daemon = prompt_daemon().await;
    let approval = asked(&daemon, "production/DB").await;
    let http = Client::builder().no_proxy().build().unwrap();
    let url = daemon.url(&format!("/v1/approvals/{}/respond", approval.id));
    let bob = daemon.token("bob");
    let body = yes(&approval).to_string();
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let exchange = send(http.request(method.clone(), &url).bearer_auth(bob)).await;
        assert_eq!(exchange.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(exchange.headers["allow"], "POST", "{method}");
    }
    let post = || http.post(&url).bearer_auth(bob).body(body.clone());
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let exchange = send(post().header("content-type", kind)).await;
        check(kind, &exchange, 415, "INVALID_ARGUMENT", "not said to be JSON");
    }
    check("no type", &send(post()).await, 415, "INVALID_ARGUMENT", "not said to be JSON");
    let json = || post().header("content-type", "application/json");
    for (header, value) in
        [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")]
    {
        let exchange = send(json().header(header, value)).await;
        assert_eq!(exchange.status, StatusCode::FORBIDDEN, "{header}: {value}");
    }
    let query = http.post(format!("{url}?access_token={bob}")).body(body.clone());
    let exchange = send(query.header("content-type", "application/json")).await;
    check("in the address", &exchange, 400, "INVALID_ARGUMENT", "the address holds a credential");
    let cookie =
        http.post(&url).header("cookie", format!("__Host-vouchsafe={bob}")).body(body.clone());
    let exchange = send(cookie.header("content-type", "application/json")).await;
    check("a cookie", &exchange, 401, "UNAUTHENTICATED", "no credential was sent");
    let large = with(yes(&approval), "reason", "x".repeat(64 * 1024).into()).to_string();
    let exchange = send(json().body(large)).await;
    check("a large one", &exchange, 413, "INVALID_ARGUMENT", "64 KiB at most");
    let after = daemon.grpc("bob").show(&approval.id).await.unwrap();
    assert_eq!((after.status(), after.votes.len()), (ApprovalStatus::Pending, 0));
    let exchange = send(json()).await;
    assert_eq!(exchange.status, StatusCode::OK, "{}", exchange.body);
}
