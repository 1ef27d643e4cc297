//! What a running daemon is told from outside.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;
use vouchsafe_tests::process::{Agent, RealDaemon, until};

const ONE: &str = "vouchsafe://secrets/asked/ONE";
/// What a daemon may take to stop, on a busy machine.
const STOP_MAX: Duration = Duration::from_secs(10);

#[tokio::test]
async fn sigterm_answers_calls_that_wait_and_keeps_their_asks() {
    let mut daemon = RealDaemon::start().await;
    daemon.put("asked/ONE", "a value").await;
    let key = daemon.key("agent", "secrets:read,secrets:reveal").await;
    let agent = Agent::new(daemon.url("/mcp"), key);
    let stop = async {
        let id = daemon.pending(ONE).await;
        let asked = Instant::now();
        daemon.signal(Signal::TERM);
        (id, asked)
    };
    let ask = json!({ "uri": ONE, "reason": "for the test" });
    let (answer, (id, asked)) = tokio::join!(agent.call("read_secret", ask), stop);
    let answer = answer.unwrap();
    assert_eq!(answer.status(), "pending", "{answer:?}");
    assert_eq!(answer.text("/approval_id"), id);
    let status = daemon.ended().await;
    assert!(status.success(), "{status}: {}", daemon.log());
    assert!(asked.elapsed() < STOP_MAX, "{:?}", asked.elapsed());
    assert!(!daemon.path().join("run.json").exists());

    daemon.again().await;
    assert_eq!(daemon.pending(ONE).await, id);
    daemon.vouchsafe(["audit", "verify"]).await.ok();
}

#[tokio::test]
async fn sighup_takes_the_rules_in_anew_and_keeps_the_last_good_ones() {
    let daemon = RealDaemon::start().await;
    daemon.put("other/ONE", "a value").await;
    let key = daemon.key("agent", "secrets:read,secrets:reveal").await;
    let agent = Agent::new(daemon.url("/mcp"), key);
    let read = async || {
        let ask = json!({ "uri": "vouchsafe://secrets/other/ONE" });
        agent.call("read_secret", ask).await.unwrap().status().to_owned()
    };
    assert_eq!(read().await, "refused");

    let free = "[[rule]]\nname = \"Other\"\nresource = \"vouchsafe://secrets/other/*\"\n\
                approval = \"none\"\n";
    daemon.rule("rules.toml", free);
    daemon.signal(Signal::HUP);
    until("the new rules are in force", async || (read().await == "ok").then_some(())).await;

    daemon.rule("rules.toml", "[[rule]]\nnonsense = true\n");
    daemon.signal(Signal::HUP);
    until("the mistake is in the log", async || {
        daemon.log().contains("rules.toml:2").then_some(())
    })
    .await;
    assert_eq!(read().await, "ok");
}

#[tokio::test]
async fn what_was_true_before_a_kill_is_true_after_it() {
    let mut daemon = RealDaemon::start().await;
    daemon.put("free/ONE", "a value").await;
    let key = daemon.key("agent", "secrets:read,secrets:reveal").await;
    daemon.kill().await;
    daemon.vouchsafe(["status"]).await.failed(6);
    daemon.again().await;
    let agent = Agent::new(daemon.url("/mcp"), key);
    let ask = json!({ "uri": "vouchsafe://secrets/free/ONE" });
    let answer = agent.call("read_secret", ask).await.unwrap();
    assert_eq!(answer.text("/value"), "a value", "{answer:?}");
    daemon.vouchsafe(["audit", "verify"]).await.ok();
}
