//! `vouchsafe keys create` on a terminal, with a person at the keys.

use serde_json::Value;
use vouchsafe_tests::process::{RealDaemon, Terminal};

/// Narrower than most.
const SIZE: (u16, u16) = (24, 40);

async fn scopes(daemon: &RealDaemon, key: &str) -> Vec<String> {
    let keys = daemon.vouchsafe(["keys", "list", "-o", "json"]).await.ok().json();
    let key = keys.as_array().unwrap().iter().find(|known| known["name"] == key);
    let scopes = key.and_then(|key| key["scopes"].as_array()).cloned().unwrap_or_default();
    scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_person_picks_scopes_sees_the_value_once_and_registers_the_key() {
    let daemon = RealDaemon::start().await;
    let mut terminal = Terminal::vouchsafe(&daemon, SIZE, ["keys", "create", "picked"]);
    terminal.shows("What may picked do?").await;
    terminal.shows("> [x] mcp:read").await;
    // Down to the raw values, with keys of both kinds.
    terminal.types("jj\u{1b}[B ").await;
    terminal.shows("> [x] secrets:reveal").await;
    terminal.shows("WARNING: raw values reach the agent").await;
    terminal.types("\r").await;
    terminal.shows("vs_mcp_").await;
    terminal.shows("Register it with a client now?").await;
    terminal.types("cursor\r").await;
    assert!(terminal.ended().await.success());
    assert_eq!(
        scopes(&daemon, "picked").await,
        ["secrets:read", "secrets:reveal", "tools:read", "audit:read"]
    );
    // The program's settings name the key, and the home alone holds it.
    let settings = std::fs::read_to_string(daemon.beside(".cursor/mcp.json")).unwrap();
    assert!(settings.contains("picked") && !settings.contains("vs_mcp_"), "{settings}");
    assert!(daemon.read("keys/picked.key").starts_with("vs_mcp_"));
}

#[tokio::test]
async fn escape_makes_no_key() {
    let daemon = RealDaemon::start().await;
    let mut terminal = Terminal::vouchsafe(&daemon, SIZE, ["keys", "create", "never"]);
    terminal.shows("What may never do?").await;
    terminal.types("\u{1b}").await;
    assert_eq!(terminal.ended().await.code(), Some(1));
    terminal.shows("no key was made").await;
    assert!(scopes(&daemon, "never").await.is_empty());
}

#[tokio::test]
async fn what_is_said_in_the_arguments_is_not_asked() {
    let daemon = RealDaemon::start().await;
    let args = ["keys", "create", "scripted", "--yes", "--rate", "7"];
    let mut terminal = Terminal::vouchsafe(&daemon, SIZE, args);
    assert!(terminal.ended().await.success());
    assert_eq!(scopes(&daemon, "scripted").await, ["secrets:read", "tools:read", "audit:read"]);

    let args = ["keys", "create", "reader", "--read-only"];
    let mut terminal = Terminal::vouchsafe(&daemon, SIZE, args);
    // Only the client is still to be named; no word at all is none.
    terminal.shows("Register it with a client now?").await;
    terminal.types("\r").await;
    assert!(terminal.ended().await.success());
    assert_eq!(scopes(&daemon, "reader").await, ["secrets:read", "tools:read", "audit:read"]);
    assert!(!daemon.path().join("keys/reader.key").exists());
}
