//! Our signatures, held against the packages that receivers verify them with: those of Python and of
//! JavaScript, both called `standardwebhooks`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use vouchsafe_tests::hook::Receiver;
use vouchsafe_tests::process::{Home, LONG, RealDaemon};

use super::{here, installed, told};

/// Two secrets: the one that leaves, and the one that comes.
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
/// One that we were never given.
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[tokio::test]
async fn python_verifies_our_webhooks() {
    let mut python = Command::new(installed().join("venv/bin/python"));
    verifies(python.arg(here().join("webhook.py"))).await;
}

#[tokio::test]
async fn javascript_verifies_our_webhooks() {
    verifies(Command::new("node").arg(here().join("webhook.mjs"))).await;
}

/// What we send with one secret and with two, and what is not as we sent it.
async fn verifies(command: &mut Command) {
    let one = sent(&format!("{OLD}\n")).await;
    let both = sent(&format!("{OLD}\n{NEW}\n")).await;
    let mut cases = Vec::new();
    for (what, sent, secret, holds) in [
        ("one secret", &one, OLD, true),
        ("the other of one", &one, NEW, false),
        ("the old of two", &both, OLD, true),
        ("the new of two", &both, NEW, true),
        ("neither of two", &both, OTHER, false),
    ] {
        let (body, headers) = sent;
        let case = |what: &str, body: &str, headers: &Value, holds: bool| {
            json!({
                "what": what, "body": body, "headers": headers, "secret": secret, "holds": holds,
            })
        };
        cases.push(case(what, body, headers, holds));
        cases.push(case("another body", &body.replace("headline", "Headline"), headers, false));
        for (name, value) in [("webhook-id", "msg_0000000000000000"), ("webhook-timestamp", "1")] {
            let mut headers = headers.clone();
            headers[name] = value.into();
            cases.push(case(name, body, &headers, false));
        }
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .env("NODE_MODULES", installed())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(json!(cases).to_string().as_bytes()).await.unwrap();
    drop(input);
    let output = tokio::time::timeout(LONG, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

/// What a real daemon with these secrets sends: the body and the headers.
async fn sent(secrets: &str) -> (String, Value) {
    let receiver = Receiver::start().await;
    let home = Home::init().await;
    home.write("secrets", secrets);
    fs::set_permissions(home.path().join("secrets"), Permissions::from_mode(0o600)).unwrap();
    home.configure(&format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n\n[notify]\nprivate_hosts = [\"127.0.0.1\"]\n\n\
         [notify.webhook.siem]\nurl = \"{}\"\nsecrets_file = \"secrets\"\n",
        receiver.url("/hook")
    ));
    let daemon = RealDaemon::serve(home).await;
    daemon.vouchsafe(["notify", "test", "webhook:siem"]).await.ok();
    let received = receiver.first("the test", |received| received.kind() == "test").await;
    assert!(!daemon.log().contains("whsec_"), "a secret is in the daemon's log");
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers = headers.map(|name| (name.to_owned(), received.header(name).into()));
    (received.body, Value::Object(headers.into_iter().collect()))
}
