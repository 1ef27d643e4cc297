//! `vouchsafe mcp` between an agent's program and a real daemon.

use serde_json::json;
use vouchsafe_tests::process::{Bridge, RealDaemon};

const ONE: &str = "vouchsafe://secrets/asked/ONE";

async fn daemon() -> RealDaemon {
    let daemon = RealDaemon::start().await;
    daemon.put("asked/ONE", "a value").await;
    daemon.key("agent", "secrets:read,secrets:reveal").await;
    daemon
}

#[tokio::test]
async fn an_agent_asks_and_has_the_value_once_a_person_approves() {
    let daemon = daemon().await;
    let mut agent = Bridge::start(&daemon, "agent");
    let hello = agent.initialize().await;
    assert_eq!(hello.pointer("/result/protocolVersion"), Some(&json!("2025-11-25")));
    let me = agent.call("whoami", json!({})).await;
    assert_eq!(me.text("/key"), "agent", "{me:?}");

    let call = agent.send_call("read_secret", json!({ "uri": ONE, "reason": "for it" })).await;
    let id = daemon.pending(ONE).await;
    let shown = daemon.vouchsafe(["approvals", "show", &id, "-o", "json"]).await.ok().json();
    assert_eq!(shown.pointer("/asker/transport"), Some(&json!("stdio")), "{shown}");
    assert_eq!(shown.pointer("/asker/os_user"), Some(&json!("tester")), "{shown}");
    assert_eq!(shown.pointer("/asker/claimed_client"), Some(&json!("test 1")), "{shown}");
    daemon.vouchsafe(["approve", &id, "--yes"]).await.ok();
    let answer = agent.tool_answer(call).await;
    assert_eq!(answer.text("/value"), "a value", "{answer:?}");

    let (status, said) = agent.close().await;
    assert!(status.success(), "{status}: {said}");
}

#[tokio::test]
async fn the_bridge_outlives_a_daemon_that_is_killed_while_a_call_waits() {
    let mut daemon = daemon().await;
    let mut agent = Bridge::start(&daemon, "agent");
    agent.initialize().await;
    let ask = json!({ "uri": ONE, "reason": "for it" });
    let call = agent.send_call("read_secret", ask.clone()).await;
    let id = daemon.pending(ONE).await;

    daemon.kill().await;
    let cut_off = agent.answer(call).await;
    assert!(cut_off.to_string().contains("call again"), "{cut_off}");

    // Asked while nobody is there; answered once somebody is, without a new handshake.
    let call = agent.send_call("whoami", json!({})).await;
    daemon.again().await;
    assert_eq!(agent.tool_answer(call).await.text("/key"), "agent");

    // The same ask is the same approval.
    let call = agent.send_call("read_secret", ask).await;
    daemon.vouchsafe(["approve", &id, "--yes"]).await.ok();
    let answer = agent.tool_answer(call).await;
    assert_eq!(answer.text("/value"), "a value", "{answer:?}");
    let asks = daemon.vouchsafe(["approvals", "-o", "json"]).await.ok().json();
    assert_eq!(asks.as_array().unwrap().len(), 1, "{asks}");
    agent.close().await;
}

#[tokio::test]
async fn a_key_that_is_not_good_is_said_once_and_ends_the_bridge() {
    let daemon = daemon().await;
    let old = daemon.read("keys/agent.key");
    daemon.vouchsafe(["keys", "regenerate", "agent", "--yes"]).await.ok();
    daemon.write("keys/agent.key", &old);
    let mut agent = Bridge::start(&daemon, "agent");
    let call = agent.send("initialize", json!({})).await;
    let answer = agent.answer(call).await;
    assert!(answer.get("error").is_some(), "{answer}");
    assert!(!answer.to_string().contains(old.trim()), "the key is shown");
    let (status, said) = agent.end().await;
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(!said.contains(old.trim()), "the key is shown");
}

#[tokio::test]
async fn a_key_is_dead_on_an_open_connection_once_it_is_disabled() {
    let daemon = daemon().await;
    let mut agent = Bridge::start(&daemon, "agent");
    agent.initialize().await;
    assert_eq!(agent.call("whoami", json!({})).await.text("/key"), "agent");
    daemon.vouchsafe(["keys", "disable", "agent"]).await.ok();
    let call = agent.send_call("read_secret", json!({ "uri": ONE, "reason": "for it" })).await;
    let answer = agent.answer(call).await;
    assert!(answer.to_string().contains("disabled"), "{answer}");
    daemon.vouchsafe(["keys", "enable", "agent"]).await.ok();
}

#[tokio::test]
async fn a_line_that_is_no_message_is_answered_and_nothing_else_happens() {
    let daemon = daemon().await;
    let mut agent = Bridge::start(&daemon, "agent");
    agent.initialize().await;
    agent.write(&json!([1, 2])).await;
    let answer = agent.read().await;
    assert!(answer.get("error").is_some(), "{answer}");
    let long = "x".repeat(1_100_000);
    let call = agent.send_call("read_secret", json!({ "uri": long })).await;
    assert!(agent.answer(call).await.get("error").is_some());
    assert_eq!(agent.call("whoami", json!({})).await.text("/key"), "agent");
}
