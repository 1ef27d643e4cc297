//! The clients that agents' programs are built on, against a real daemon: Python and TypeScript,
//! by HTTP and by `vouchsafe mcp`, and the Inspector.
//!
//! `tests/run` installs them and runs this; plain `cargo test` does not, for it needs Rust alone.
#![cfg(test)]

mod slack;
mod smtp;
mod webhook;

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::process::Command;
use vouchsafe_tests::process::{Home, LONG, RealDaemon, program, setting};

/// Long enough not to be found by chance.
const VALUE: &str = "interop-value-7f3a9c1e";

#[tokio::test]
async fn python_over_http_as_of_2026() {
    python("http", "auto").await;
}

#[tokio::test]
async fn python_over_http_as_of_2025() {
    python("http", "legacy").await;
}

#[tokio::test]
async fn python_over_the_bridge_as_of_2026() {
    python("stdio", "auto").await;
}

#[tokio::test]
async fn python_over_the_bridge_as_of_2025() {
    python("stdio", "legacy").await;
}

#[tokio::test]
async fn typescript_sdk_over_http() {
    typescript("http", "sdk").await;
}

#[tokio::test]
async fn typescript_sdk_over_the_bridge() {
    typescript("stdio", "sdk").await;
}

#[tokio::test]
async fn typescript_client_over_http_as_of_2026() {
    typescript("http", "auto").await;
}

#[tokio::test]
async fn typescript_client_over_http_as_of_2025() {
    typescript("http", "legacy").await;
}

#[tokio::test]
async fn typescript_client_over_the_bridge_as_of_2026() {
    typescript("stdio", "auto").await;
}

#[tokio::test]
async fn typescript_client_over_the_bridge_as_of_2025() {
    typescript("stdio", "legacy").await;
}

#[tokio::test]
async fn the_inspector_lists_and_calls() {
    let daemon = daemon().await;
    let tools = inspect(&daemon, "revealing", &["tools/list"]).await;
    assert!(told(&tools).contains("\"read_secret\""), "{tools:?}");
    let called = ["tools/call", "--tool-name", "read_secret", "--tool-arg"];
    let free = "uri=vouchsafe://secrets/free/PLAIN";
    let read = inspect(&daemon, "revealing", &[&called[..], &[free]].concat()).await;
    assert!(told(&read).contains(VALUE), "{read:?}");
    let resources = inspect(&daemon, "revealing", &["resources/list"]).await;
    assert!(told(&resources).contains("vouchsafe://secrets/free/PLAIN"), "{resources:?}");
    let refused = inspect(&daemon, "bad", &["tools/list"]).await;
    assert!(!refused.status.success(), "{refused:?}");
}

/// With the secrets and keys of the scenario. A call waits fifteen seconds for people: in
/// less, a busy machine may not start the command line twice.
async fn daemon() -> RealDaemon {
    let home = Home::init().await;
    home.configure("[http]\nlisten = \"127.0.0.1:0\"\n\n[mcp]\nblock_seconds = 15\n");
    let daemon = RealDaemon::serve(home).await;
    for path in ["asked/ONE", "asked/TWO", "asked/THREE", "asked/FOUR", "free/PLAIN"] {
        daemon.put(path, VALUE).await;
    }
    daemon.key("revealing", "secrets:read,secrets:reveal").await;
    daemon.key("masked", "secrets:read").await;
    // Well formed, and of nobody.
    let key = daemon.key("bad", "secrets:read").await;
    daemon.vouchsafe(["keys", "regenerate", "bad", "--yes"]).await.ok();
    daemon.write("keys/bad.key", &format!("{key}\n"));
    daemon
}

async fn python(kind: &str, mode: &str) {
    let daemon = daemon().await;
    let scenario = here().join("scenario.py");
    let mut python = Command::new(installed().join("venv/bin/python"));
    succeeds(&daemon, python.arg(scenario).args([kind, mode])).await;
}

async fn typescript(kind: &str, client: &str) {
    let daemon = daemon().await;
    let scenario = here().join("scenario.mjs");
    succeeds(&daemon, Command::new("node").arg(scenario).args([kind, client])).await;
}

async fn succeeds(daemon: &RealDaemon, command: &mut Command) {
    let output = output(daemon, command).await;
    assert!(output.status.success(), "{}\n{}", told(&output), daemon.log());
    assert!(!daemon.log().contains(VALUE), "the value is in the daemon's log");
}

async fn inspect(daemon: &RealDaemon, key: &str, args: &[&str]) -> Output {
    let key = daemon.read(format!("keys/{key}.key"));
    let mut command = Command::new(installed().join("node_modules/.bin/mcp-inspector"));
    command.args(["--cli", &daemon.url("/mcp"), "--transport", "http", "--header"]);
    command.arg(format!("Authorization: Bearer {}", key.trim())).arg("--method").args(args);
    output(daemon, &mut command).await
}

async fn output(daemon: &RealDaemon, command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .env("VOUCHSAFE", program("vouchsafe"))
        .env("VOUCHSAFE_HOME", daemon.path())
        .env("MCP_URL", daemon.url("/mcp"))
        .env("NODE_MODULES", installed())
        .env("EXPECTED", VALUE);
    tokio::time::timeout(LONG * 3, command.output()).await.unwrap().unwrap()
}

fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// Where `tests/run` installs the clients.
fn installed() -> PathBuf {
    let dir = setting("VOUCHSAFE_INTEROP_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/interop"),
        PathBuf::from,
    );
    assert!(dir.is_dir(), "no clients in {}: run tests/run", dir.display());
    dir
}
