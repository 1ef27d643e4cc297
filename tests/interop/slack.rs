//! Slack's own `slack_sdk` and `@slack/bolt`: what they sign, the daemon takes; what we sign and
//! send in Slack's name, they take; and what the daemon posts, their models know.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use vouchsafe_proto::v1::{ApprovalStatus, UpdateUserRequest};
use vouchsafe_tests::daemon::TestDaemon;
use vouchsafe_tests::events::within;
use vouchsafe_tests::process::LONG;
use vouchsafe_tests::slack::{
    Mood, SECRET, SlackStub, TOKEN, act, form, now, pressed, raw, sign, submitted,
};

use crate::{here, installed, told};

const BOB: &str = "U0BOB";

/// A daemon whose bob is linked, an approval, and what was posted of it.
async fn asked(stub: &SlackStub) -> (TestDaemon, String, Value) {
    let daemon = TestDaemon::builder()
        .block_for(Duration::ZERO)
        .settings(&stub.settings())
        .file("slack.token", TOKEN)
        .file("slack.signing", SECRET)
        .start()
        .await;
    let link = UpdateUserRequest {
        name: "bob".to_owned(),
        slack_id: BOB.to_owned(),
        set_slack_id: true,
        ..UpdateUserRequest::default()
    };
    daemon.admin().users().update_user(link).await.unwrap();
    let answer = daemon.agent("claude").read("production/DB").await;
    daemon.sweep().await;
    let posted = stub.call("api/chat.postMessage", 1).await;
    (daemon, answer.approval(), posted)
}

#[tokio::test]
async fn the_daemon_takes_what_slack_sdk_signs() {
    let stub = SlackStub::start().await;
    let (daemon, approval, posted) = asked(&stub).await;
    let body = form(&pressed(&stub, BOB, &posted, "vouchsafe_approve"));
    let at = now(&daemon).to_string();
    let signature = python(&["sign", SECRET, &at], &body).await;
    assert_eq!(signature.trim(), sign(SECRET, &at, &body));
    let headers =
        [("x-slack-request-timestamp", at.as_str()), ("x-slack-signature", signature.trim())];
    assert_eq!(raw(&daemon, &body, &headers).await.status.as_u16(), 200);
    stub.call("respond/U0BOB", 1).await;
    let shown = daemon.grpc("bob").show(&approval).await.unwrap();
    assert_eq!(shown.status(), ApprovalStatus::Approved);
    let other = python(&["sign", "another-secret", &at], &body).await;
    let headers = [("x-slack-request-timestamp", at.as_str()), ("x-slack-signature", other.trim())];
    assert_eq!(raw(&daemon, &body, &headers).await.status.as_u16(), 401);
}

#[tokio::test]
async fn slack_sdk_takes_what_we_sign_and_knows_what_the_daemon_posts() {
    let stub = SlackStub::start().await;
    let (daemon, _, posted) = asked(&stub).await;
    let payload = pressed(&stub, BOB, &posted, "vouchsafe_deny");
    let (body, at) = (form(&payload), now(&daemon).to_string());
    python(&["verify", SECRET, &at, &sign(SECRET, &at, &body)], &body).await;
    python(&["blocks"], &posted.to_string()).await;
    act(&daemon, &payload).await;
    let opened = stub.call("api/views.open", 1).await;
    python(&["blocks"], &opened.to_string()).await;
    act(&daemon, &submitted(&opened, BOB, "use the staging database")).await;
    daemon.sweep().await;
    let updated = stub.call("api/chat.update", 1).await;
    python(&["blocks"], &updated.to_string()).await;
}

#[tokio::test]
async fn slack_sdk_speaks_with_the_stub_as_with_slack() {
    let stub = SlackStub::start().await;
    let script = here().join("slack.py");
    let python = installed().join("venv/bin/python");
    let mut command = Command::new(python);
    command.arg(script).args(["calls", &stub.url("api"), TOKEN]);
    // The client sends forms; the second message is the one that is refused.
    stub.answers("chat.postMessage", Mood::Nothing, 1);
    stub.answers("chat.postMessage", Mood::Error("channel_not_found"), 1);
    let output = tokio::time::timeout(LONG, command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(stub.calls("api/chat.update")[0].token.as_deref(), Some(TOKEN));
}

#[tokio::test]
async fn bolt_hears_what_we_send_in_slacks_name() {
    let stub = SlackStub::start().await;
    let (daemon, _, posted) = asked(&stub).await;
    act(&daemon, &pressed(&stub, BOB, &posted, "vouchsafe_deny")).await;
    let opened = stub.call("api/views.open", 1).await;
    let (mut app, mut lines) = bolt();
    let port = line(&mut lines).await["port"].as_u64().unwrap();
    let url = format!("http://127.0.0.1:{port}/slack/actions");
    let value = &opened["view"]["private_metadata"];
    for (payload, heard) in [
        (pressed(&stub, BOB, &posted, "vouchsafe_approve"), "approve"),
        (pressed(&stub, BOB, &posted, "vouchsafe_deny"), "deny"),
        (submitted(&opened, BOB, "use the staging database"), "form"),
    ] {
        assert_eq!(post(&url, &payload, SECRET).await, 200, "{heard}");
        let told = line(&mut lines).await;
        assert_eq!((&told["heard"], &told["member"]), (&json!(heard), &json!(BOB)), "{told}");
        if heard == "form" {
            assert_eq!(
                (&told["value"], &told["reason"]),
                (value, &json!("use the staging database"))
            );
        } else {
            assert_eq!(told["value"], payload["actions"][0]["value"]);
        }
    }
    let payload = pressed(&stub, BOB, &posted, "vouchsafe_approve");
    assert_eq!(post(&url, &payload, "another-secret").await, 401);
    drop(app.stdin.take());
    within("the app to end", app.wait()).await.unwrap();
}

/// Sends a payload to an app, signed now.
async fn post(url: &str, payload: &Value, secret: &str) -> u16 {
    let body = form(payload);
    let at = wall_seconds().to_string();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-slack-request-timestamp", &at)
        .header("x-slack-signature", sign(secret, &at, &body))
        .body(body);
    within("an answer", request.send()).await.unwrap().status().as_u16()
}

/// The app's clock is the machine's.
fn wall_seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "other makers' programs have no test clock")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn bolt() -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new("node");
    command
        .arg(here().join("slack.mjs"))
        .env("NODE_MODULES", installed())
        .env("SIGNING_SECRET", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut app = command.spawn().unwrap();
    let out = app.stdout.take().unwrap();
    (app, BufReader::new(out).lines())
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let next = tokio::time::timeout(LONG, lines.next_line()).await.unwrap();
    serde_json::from_str(&next.unwrap().unwrap()).unwrap()
}

/// Runs Slack's library on this; what it says.
async fn python(args: &[&str], input: &str) -> String {
    let mut command = Command::new(installed().join("venv/bin/python"));
    command.arg(here().join("slack.py")).args(args).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(LONG, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}
