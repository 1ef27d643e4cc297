//! People who are asked, and answer, in Slack.

use std::time::Duration;

use serde_json::{Value, json};
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, DeliveryStatus, DisableUserRequest, ListDeliveriesRequest,
    UpdateUserRequest,
};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::eventually;
use vouchsafe_tests::mcp::uri;
use vouchsafe_tests::slack::{
    Mood, PLACE, SECRET, SlackStub, TEAM, TOKEN, act, act_at, form, now, pressed, raw, sign,
    submitted,
};

use crate::minutes;

const POST: &str = "api/chat.postMessage";
const UPDATE: &str = "api/chat.update";
const OPEN: &str = "api/views.open";
const APPROVE: &str = "vouchsafe_approve";
const DENY: &str = "vouchsafe_deny";
const BOB: &str = "U0BOB";
const CAT: &str = "U0CAT";

/// A daemon with a bot, whose bob, cat and dan are linked to Slack.
async fn daemon_with(stub: &SlackStub, more: &str) -> TestDaemon {
    let daemon = TestDaemon::builder()
        .block_for(Duration::ZERO)
        .settings(&(stub.settings() + more))
        .file("slack.token", TOKEN)
        .file("slack.signing", SECRET)
        .start()
        .await;
    for (name, member) in [("bob", BOB), ("cat", CAT), ("dan", "U0DAN")] {
        link(&daemon, name, member).await;
    }
    daemon
}

async fn link(daemon: &TestDaemon, name: &str, member: &str) {
    let request = UpdateUserRequest {
        name: name.to_owned(),
        slack_id: member.to_owned(),
        set_slack_id: true,
        ..UpdateUserRequest::default()
    };
    daemon.admin().users().update_user(request).await.unwrap();
}

async fn world() -> (SlackStub, TestDaemon) {
    let stub = SlackStub::start().await;
    let daemon = daemon_with(&stub, "").await;
    (stub, daemon)
}

/// Claude asks for this; the approval, and what the bot posted of it.
async fn asked(stub: &SlackStub, daemon: &TestDaemon, path: &str) -> (Approval, Value) {
    let answer = daemon.agent("claude").read(path).await;
    assert_eq!(answer.status(), "pending", "{answer:?}");
    daemon.sweep().await;
    let posted = stub.call(POST, 1).await;
    (daemon.grpc("bob").show(&answer.approval()).await.unwrap(), posted)
}

/// What a member was told last, of so many times.
async fn told(stub: &SlackStub, member: &str, times: usize) -> String {
    let said = stub.call(&format!("respond/{member}"), times).await;
    said["text"].as_str().unwrap().to_owned()
}

/// What is said beside the field of a form that is refused. What takes the daemon more than two
/// seconds it says elsewhere, so that the form is sent once more.
async fn refused(daemon: &TestDaemon, form: &Value) -> Value {
    eventually("the refusal", || async { serde_json::from_str(&act(daemon, form).await.body).ok() })
        .await
}

async fn status(daemon: &TestDaemon, approval: &Approval) -> ApprovalStatus {
    daemon.grpc("bob").show(&approval.id).await.unwrap().status()
}

fn buttons(posted: &Value) -> Vec<&str> {
    let blocks = posted["blocks"].as_array().unwrap();
    let elements = blocks.iter().filter(|block| block["type"] == "actions");
    let elements = elements.flat_map(|block| block["elements"].as_array().unwrap());
    elements.map(|button| button["action_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_ask_is_posted_and_approved_by_a_button() {
    let (stub, daemon) = world().await;
    let (approval, posted) = asked(&stub, &daemon, "production/DB").await;
    assert_eq!(stub.calls(POST)[0].token.as_deref(), Some(TOKEN));
    assert_eq!(posted["channel"], PLACE);
    assert_eq!(buttons(&posted), [APPROVE, DENY, "vouchsafe_details"]);
    assert!(posted.to_string().contains(&approval.short_digest), "{posted}");
    assert!(posted["metadata"]["event_payload"]["id"].as_str().unwrap().starts_with("msg_"));
    let answer = act(&daemon, &pressed(&stub, BOB, &posted, APPROVE)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    let said = told(&stub, BOB, 1).await;
    assert!(said.starts_with("Your answer counts, and settles it. Approved by bob"), "{said}");
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Approved);
    assert_eq!(daemon.agent("claude").read("production/DB").await.status(), "ok");
    let vote = daemon.admin().log_of("approval.voted").await.pop().unwrap();
    let (actor, detail) = (&vote["actor"], &vote["details"]);
    assert_eq!(
        (&actor["name"], &actor["proof"], &actor["via"]),
        (&json!("bob"), &json!("slack"), &json!("slack"))
    );
    let ticket =
        posted["blocks"].as_array().unwrap().last().unwrap()["elements"][0]["value"].clone();
    let ticket: Value = serde_json::from_str(ticket.as_str().unwrap()).unwrap();
    assert_eq!(
        (&detail["rendering"], ticket["digest"].as_str()),
        (&ticket["rendering"], Some(approval.digest.as_str()))
    );
    daemon.sweep().await;
    let updated = stub.call(UPDATE, 1).await;
    assert_eq!((&updated["channel"], &updated["ts"]), (&json!(PLACE), &json!("1795255200.000001")));
    assert_eq!(buttons(&updated), ["vouchsafe_details"]);
    assert!(updated["text"].as_str().unwrap().contains("Approved by bob"), "{updated}");
}

#[tokio::test]
async fn a_denial_has_a_reason_that_a_form_asks_for() {
    let (stub, daemon) = world().await;
    let (approval, posted) = asked(&stub, &daemon, "production/DB").await;
    act(&daemon, &pressed(&stub, BOB, &posted, DENY)).await;
    let opened = stub.call(OPEN, 1).await;
    assert_eq!(opened["trigger_id"], "trigger.U0BOB");
    let shown = opened["view"].to_string();
    assert!(shown.contains(&approval.short_digest) && shown.contains("production/DB"), "{shown}");
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Pending);
    let empty = refused(&daemon, &submitted(&opened, BOB, " ")).await;
    assert_eq!(empty["response_action"], "errors");
    assert!(empty["errors"]["reason"].as_str().unwrap().starts_with("A denial needs a reason"));
    let sent = act(&daemon, &submitted(&opened, BOB, "use the staging database")).await;
    assert_eq!((sent.status.as_u16(), sent.body.as_str()), (200, ""));
    eventually("bob to be told", || async {
        let said = stub.calls(&format!("respond/{BOB}"));
        said.iter().any(|call| call.body.to_string().contains("Denied by bob")).then_some(())
    })
    .await;
    let denied = daemon.grpc("bob").show(&approval.id).await.unwrap();
    assert_eq!(denied.status(), ApprovalStatus::Denied);
    assert!(denied.outcome_reason.contains("use the staging database"), "{denied:?}");
    daemon.sweep().await;
    let updated = stub.call(UPDATE, 1).await;
    assert!(updated.to_string().contains("use the staging database"), "{updated}");
    // The form is still open somewhere.
    let late = refused(&daemon, &submitted(&opened, CAT, "no")).await;
    assert!(late.to_string().contains("was denied by bob"), "{late}");
}

#[tokio::test]
async fn who_is_not_linked_or_may_not_answer_is_told_so_alone() {
    let (stub, mut daemon) = world().await;
    daemon.add_user("eve", &[], &["oncall"]).await;
    link(&daemon, "eve", "U0EVE").await;
    let (approval, posted) = asked(&stub, &daemon, "production/DB").await;
    let cat = DisableUserRequest { name: "cat".to_owned(), ..DisableUserRequest::default() };
    daemon.admin().users().disable_user(cat).await.unwrap();
    for (member, said) in [
        ("U0NOBODY", "An admin links you with `vouchsafe users update NAME --slack-id U0NOBODY`."),
        (CAT, "The user `cat` is disabled."),
        ("U0EVE", "Answers need the role approver, and eve does not have it."),
        ("U0DAN", "No rule of this ask names you as an approver."),
    ] {
        for action in [APPROVE, DENY] {
            let payload = pressed(&stub, member, &posted, action);
            assert_eq!(act(&daemon, &payload).await.status.as_u16(), 200);
        }
        let answers = format!("respond/{member}");
        let last = stub.call(&answers, 2).await;
        assert_eq!(last["response_type"], "ephemeral");
        let all: Vec<_> =
            stub.calls(&answers).iter().map(|call| call.body["text"].to_string()).collect();
        assert!(all.iter().any(|text| text.contains(said)), "{all:?}");
    }
    for (name, value) in
        [("team", json!({ "id": "T0OTHER" })), ("user", json!({ "id": BOB, "team_id": "T0OTHER" }))]
    {
        let mut payload = pressed(&stub, BOB, &posted, APPROVE);
        payload[name] = value;
        assert_eq!(act(&daemon, &payload).await.status.as_u16(), 200);
    }
    assert!(told(&stub, BOB, 2).await.starts_with("This is not the Slack workspace"));
    assert!(stub.calls(OPEN).is_empty());
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Pending);
    daemon.sweep().await;
    let refused = daemon.admin().log_of("door.refused").await;
    let members = refused.iter().filter(|entry| entry["details"]["member"] == "U0NOBODY");
    assert_eq!(members.count(), 2, "{refused:?}");
    assert!(refused.iter().all(|entry| entry["actor"]["via"] == "slack"), "{refused:?}");
}

#[tokio::test]
async fn a_request_that_slack_did_not_sign_now_is_nobodys() {
    let (stub, daemon) = world().await;
    let (approval, posted) = asked(&stub, &daemon, "production/DB").await;
    let body = form(&pressed(&stub, BOB, &posted, APPROVE));
    let changed = body.replace(BOB, CAT);
    let at = now(&daemon);
    let signed = |secret: &str, at: i64| (at.to_string(), sign(secret, &at.to_string(), &body));
    let cases = [
        ("no signature of ours", signed("another-secret", at), &body),
        ("a changed body", signed(SECRET, at), &changed),
        ("6 minutes old", signed(SECRET, at - 360), &body),
        ("6 minutes ahead", signed(SECRET, at + 360), &body),
        ("another time", ((at + 1).to_string(), signed(SECRET, at).1), &body),
        ("no version", (at.to_string(), signed(SECRET, at).1[3..].to_owned()), &body),
        ("nothing", (at.to_string(), String::new()), &body),
        (
            "a signed time that is none",
            (format!("+{at}"), sign(SECRET, &format!("+{at}"), &body)),
            &body,
        ),
    ];
    let mut answers = Vec::new();
    for (what, (at, signature), body) in &cases {
        let headers =
            [("x-slack-request-timestamp", at.as_str()), ("x-slack-signature", signature)];
        let answer = raw(&daemon, body, &headers).await;
        assert_eq!(answer.status.as_u16(), 401, "{what}");
        answers.push(answer.body);
    }
    answers.push(raw(&daemon, &body, &[]).await.body);
    let (at, signature) = signed(SECRET, at);
    let twice = [
        ("x-slack-request-timestamp", at.as_str()),
        ("x-slack-signature", &signature),
        ("x-slack-signature", "v0=00"),
    ];
    answers.push(raw(&daemon, &body, &twice).await.body);
    answers.dedup();
    assert_eq!(answers.len(), 1, "an answer says which part is wrong: {answers:?}");
    let long = "x".repeat(70_000);
    let headers = [
        ("x-slack-request-timestamp", at.as_str()),
        ("x-slack-signature", &sign(SECRET, &at, &long)),
    ];
    assert_eq!(raw(&daemon, &long, &headers).await.status.as_u16(), 400);
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Pending);
    daemon.sweep().await;
    assert_eq!(daemon.admin().log_of("door.refused").await.len(), cases.len() + 3);
    // Within the window both ways, it is of now.
    let nearly = pressed(&stub, BOB, &posted, APPROVE);
    assert_eq!(act_at(&daemon, &nearly, now(&daemon) - 299).await.status.as_u16(), 200);
    told(&stub, BOB, 1).await;
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Approved);
}

#[tokio::test]
async fn a_request_that_comes_again_counts_once() {
    let (stub, daemon) = world().await;
    let (approval, posted) = asked(&stub, &daemon, "vault/CODE").await;
    let payload = pressed(&stub, BOB, &posted, APPROVE);
    act(&daemon, &payload).await;
    let first = told(&stub, BOB, 1).await;
    assert_eq!(first, "Your answer counts. It needs one more person.");
    act(&daemon, &payload).await;
    assert!(told(&stub, BOB, 2).await.starts_with("You have answered already"));
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Pending);
    act(&daemon, &pressed(&stub, CAT, &posted, APPROVE)).await;
    assert!(told(&stub, CAT, 1).await.contains("Approved by bob, cat"));
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Approved);
}

#[tokio::test]
async fn an_answer_to_something_else_than_is_asked_is_stale() {
    let (stub, daemon) = world().await;
    let (approval, posted) = asked(&stub, &daemon, "production/DB").await;
    for (number, action) in [APPROVE, DENY].into_iter().enumerate() {
        let mut payload = pressed(&stub, BOB, &posted, action);
        let value = payload["actions"][0]["value"].as_str().unwrap();
        payload["actions"][0]["value"] = json!(value.replace(&approval.digest, &"0".repeat(64)));
        act(&daemon, &payload).await;
        let said = told(&stub, BOB, number + 1).await;
        assert!(said.starts_with("The answer was given on something other than"), "{said}");
    }
    let mut payload = pressed(&stub, BOB, &posted, APPROVE);
    payload["actions"][0]["value"] = json!("{}");
    act(&daemon, &payload).await;
    assert!(told(&stub, BOB, 3).await.starts_with("This button is of another version"));
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Pending);
}

#[tokio::test]
async fn a_message_is_changed_wherever_it_was_settled_and_a_late_press_is_told_by_whom() {
    let (stub, daemon) = world().await;
    let (approval, posted) = asked(&stub, &daemon, "production/DB").await;
    daemon.grpc("cat").deny(&approval, "not today").await.unwrap();
    daemon.sweep().await;
    let updated = stub.call(UPDATE, 1).await;
    assert_eq!(buttons(&updated), ["vouchsafe_details"]);
    assert!(updated["text"].as_str().unwrap().contains("Denied by cat"), "{updated}");
    for (number, action) in [APPROVE, DENY].into_iter().enumerate() {
        act(&daemon, &pressed(&stub, BOB, &posted, action)).await;
        let closed = stub.call("respond/U0BOB", 2 * (number + 1)).await;
        let calls = stub.calls("respond/U0BOB");
        let said = calls[2 * number].body["text"].as_str().unwrap();
        assert!(said.contains("was denied by cat"), "{said}");
        assert_eq!(closed["replace_original"], true);
        assert_eq!(buttons(&closed), ["vouchsafe_details"]);
    }
    assert!(stub.calls(OPEN).is_empty(), "there is nothing to give a reason for");
}

#[tokio::test]
async fn what_does_not_fit_can_only_be_looked_at() {
    let (stub, daemon) = world().await;
    let reason = "<&>".repeat(600);
    let asking = json!({ "uri": uri("production/DB"), "reason": reason });
    daemon.agent("claude").call("read_secret", asking).await;
    daemon.sweep().await;
    let posted = stub.call(POST, 1).await;
    assert_eq!(buttons(&posted), ["vouchsafe_details"]);
    assert!(posted.to_string().contains("There is more than fits here"), "{posted}");
}

#[tokio::test]
async fn an_agents_words_are_shown_as_words() {
    let (stub, daemon) = world().await;
    let reason = "<!channel> <https://evil.example|ok> *bold* :tada: @here `x`\n> quoted \u{202e}";
    let asking = json!({ "uri": uri("production/DB"), "reason": reason });
    daemon.agent("claude").call("read_secret", asking).await;
    daemon.sweep().await;
    let posted = stub.call(POST, 1).await;
    let blocks = posted["blocks"].as_array().unwrap();
    let words: Vec<_> = blocks.iter().filter(|block| block.to_string().contains("evil")).collect();
    assert_eq!(words.len(), 1, "{posted}");
    let text = &words[0]["text"];
    assert_eq!((&text["type"], &text["emoji"]), (&json!("plain_text"), &json!(false)));
    let said = text["text"].as_str().unwrap();
    assert!(said.contains("&lt;!channel&gt;") && said.contains("\\u{202e}"), "{said}");
    assert!(!posted["text"].as_str().unwrap().contains("evil"), "{posted}");
}

#[tokio::test]
async fn an_answer_goes_to_slack_and_nowhere_else() {
    let (stub, daemon) = world().await;
    let elsewhere = SlackStub::start().await;
    let (approval, posted) = asked(&stub, &daemon, "production/DB").await;
    let mut payload = pressed(&stub, "U0NOBODY", &posted, APPROVE);
    for url in [
        elsewhere.url("respond/x"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://user@{}", stub.url("respond/x").trim_start_matches("http://")),
        "https://hooks.slack.com.evil.example/x".to_owned(),
    ] {
        payload["response_url"] = json!(url);
        assert_eq!(act(&daemon, &payload).await.status.as_u16(), 200);
    }
    // What is done last is done after what came before it.
    act(&daemon, &pressed(&stub, BOB, &posted, APPROVE)).await;
    told(&stub, BOB, 1).await;
    assert_eq!(status(&daemon, &approval).await, ApprovalStatus::Approved);
    assert!(elsewhere.calls("respond/x").is_empty() && stub.calls("respond/x").is_empty());
}

#[tokio::test]
async fn a_message_is_tried_again_where_that_may_help() {
    let (stub, daemon) = world().await;
    for (number, mood) in [
        Mood::Busy(30),
        Mood::Status(500),
        Mood::Die,
        Mood::Gibberish,
        Mood::Error("invalid_auth"),
        Mood::Error("something_new"),
    ]
    .into_iter()
    .enumerate()
    {
        stub.answers("chat.postMessage", mood, 1);
        let path = format!("production/T{number}");
        daemon.admin().put(&path, "value").await;
        let answer = daemon.agent("claude").read(&path).await;
        daemon.sweep().await;
        let tries = 2 * number + 1;
        stub.call(POST, tries).await;
        let problem = eventually("the try to be noted", || async {
            let all = deliveries(&daemon, &answer.approval()).await;
            all.first().filter(|one| one.attempts == 1).map(|one| one.problem.clone())
        })
        .await;
        assert!(!problem.is_empty() && !problem.contains(TOKEN), "{mood:?}: {problem}");
        daemon.advance(minutes(1)).await;
        stub.call(POST, tries + 1).await;
        eventually("the message to be sent", || async {
            let all = deliveries(&daemon, &answer.approval()).await;
            all.iter().any(|one| one.status() == DeliveryStatus::Sent).then_some(())
        })
        .await;
        let approval = daemon.grpc("bob").show(&answer.approval()).await.unwrap();
        daemon.grpc("bob").deny(&approval, "next").await.unwrap();
        daemon.sweep().await;
        stub.call(UPDATE, number + 1).await;
    }
}

#[tokio::test]
async fn a_message_that_nothing_helps_is_given_up() {
    let (stub, daemon) = world().await;
    stub.answers("chat.postMessage", Mood::Error("channel_not_found"), 1);
    let answer = daemon.agent("claude").read("production/DB").await;
    daemon.sweep().await;
    let problem = eventually("the message to be given up", || async {
        let all = deliveries(&daemon, &answer.approval()).await;
        let failed = all.into_iter().find(|one| one.status() == DeliveryStatus::Failed);
        failed.map(|one| one.problem)
    })
    .await;
    assert_eq!(problem, "chat.postMessage answered channel_not_found");
}

async fn deliveries(daemon: &TestDaemon, approval: &str) -> Vec<vouchsafe_proto::v1::Delivery> {
    let request = ListDeliveriesRequest {
        approval_id: approval.to_owned(),
        ..ListDeliveriesRequest::default()
    };
    let admin = daemon.admin();
    admin.notify().list_deliveries(request).await.unwrap().into_inner().deliveries
}

#[tokio::test]
async fn a_message_that_is_gone_is_followed_by_a_new_one() {
    let (stub, daemon) = world().await;
    let (approval, _) = asked(&stub, &daemon, "production/DB").await;
    stub.answers("chat.update", Mood::Error("message_not_found"), 1);
    daemon.grpc("bob").approve(&approval).await.unwrap();
    daemon.sweep().await;
    let posted = stub.call(POST, 2).await;
    assert!(posted["text"].as_str().unwrap().contains("Approved by bob"), "{posted}");
}

#[tokio::test]
async fn people_are_told_one_by_one_where_it_is_direct() {
    let stub = SlackStub::start().await;
    let own = stub.settings().replace(&format!("channel = \"{PLACE}\""), "direct = true");
    let daemon = TestDaemon::builder()
        .block_for(Duration::ZERO)
        .settings(&own)
        .file("slack.token", TOKEN)
        .file("slack.signing", SECRET)
        .start()
        .await;
    link(&daemon, "bob", BOB).await;
    link(&daemon, "cat", CAT).await;
    daemon.agent("claude").read("production/DB").await;
    daemon.sweep().await;
    stub.call(POST, 2).await;
    let posted = stub.calls(POST);
    let mut to: Vec<_> = posted.iter().map(|call| call.body["channel"].as_str().unwrap()).collect();
    to.sort_unstable();
    assert_eq!(to, [BOB, CAT]);
    let bobs = posted.iter().find(|call| call.body["channel"] == BOB).unwrap();
    act(&daemon, &pressed(&stub, BOB, &bobs.body, APPROVE)).await;
    told(&stub, BOB, 1).await;
    daemon.sweep().await;
    // In the channel that the bot has with them.
    eventually("cat's message to change", || async {
        let changed = stub.calls(UPDATE);
        changed.iter().any(|call| call.body["channel"] == "D0CAT").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_webhook_has_a_link_and_nothing_to_press() {
    let stub = SlackStub::start().await;
    let daemon = TestDaemon::builder()
        .block_for(Duration::ZERO)
        .settings(
            "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n[notify.slack.ops]\nwebhook_file = \"hook\"\n",
        )
        .file("hook", &format!("{}\n", stub.url("services/T/B/SECRET")))
        .start()
        .await;
    stub.answers("services/T/B/SECRET", Mood::Status(500), 1);
    let answer = daemon.agent("claude").read("production/DB").await;
    daemon.sweep().await;
    let posted = stub.call("services/T/B/SECRET", 1).await;
    assert!(buttons(&posted).is_empty(), "{posted}");
    assert!(posted.to_string().contains("|Details>"), "{posted}");
    let problem = eventually("the try to be noted", || async {
        let all = deliveries(&daemon, &answer.approval()).await;
        all.first().map(|one| one.problem.clone()).filter(|problem| !problem.is_empty())
    })
    .await;
    assert!(!problem.contains("SECRET"), "{problem}");
    // Nobody hears of presses: there is no such page.
    let none = json!({ "type": "block_actions", "user": { "id": BOB }, "team": { "id": TEAM } });
    assert_eq!(act(&daemon, &none).await.status.as_u16(), 404);
}
