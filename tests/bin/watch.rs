//! `vouchsafe watch` on a terminal, with a person at the keys.

use serde_json::json;
use vouchsafe_tests::process::{Agent, RealDaemon, Terminal};

const SIZE: (u16, u16) = (40, 120);

fn uri(name: &str) -> String {
    format!("vouchsafe://secrets/asked/{name}")
}

async fn daemon() -> (RealDaemon, Agent) {
    let daemon = RealDaemon::start().await;
    for name in ["ONE", "TWO", "THREE"] {
        daemon.put(&format!("asked/{name}"), "a value").await;
    }
    let key = daemon.key("agent", "secrets:read,secrets:reveal").await;
    let agent = Agent::new(daemon.url("/mcp"), key);
    (daemon, agent)
}

#[tokio::test]
async fn asks_are_seen_as_they_come_and_answered_where_they_are_seen() {
    let (daemon, agent) = daemon().await;
    let mut watch = Terminal::vouchsafe(&daemon, SIZE, ["watch"]);
    watch.shows("Nobody asks for anything").await;

    let approved = agent.call("read_secret", json!({ "uri": uri("ONE"), "reason": "the first" }));
    let (answer, ()) = tokio::join!(approved, async {
        watch.shows("asked/ONE").await;
        watch.shows("1 pending").await;
        watch.types("\r").await;
        watch.shows("the agent's words: \"the first\"").await;
        watch.types("\u{1b}").await;
        watch.types("a").await;
        watch.shows("Approve this? y approves").await;
        // Anything but y does not.
        watch.types("n").await;
        watch.hides("Approve this?").await;
        watch.types("a").await;
        watch.shows("Approve this? y approves").await;
        watch.types("y").await;
        watch.shows("0 pending").await;
    });
    assert_eq!(answer.unwrap().text("/value"), "a value");

    let denied = agent.call("read_secret", json!({ "uri": uri("TWO"), "reason": "the second" }));
    let (answer, ()) = tokio::join!(denied, async {
        watch.shows("1 pending").await;
        watch.shows("asked/TWO").await;
        // The one before stays selected, below what is pending.
        watch.types("kd").await;
        watch.shows("Deny this?").await;
        watch.types("not on a Friday\r").await;
        watch.shows("0 pending").await;
    });
    let answer = answer.unwrap();
    assert!(answer.is_error && answer.text("/reason").contains("not on a Friday"), "{answer:?}");

    watch.types("q").await;
    assert!(watch.ended().await.success());
}

#[tokio::test]
async fn the_screen_follows_the_window_and_the_daemon() {
    let (mut daemon, agent) = daemon().await;
    let mut watch = Terminal::vouchsafe(&daemon, SIZE, ["watch"]);
    watch.shows("Nobody asks for anything").await;
    let ask = json!({ "resources": [uri("THREE")], "reason": "the third" });
    let (answer, ()) = tokio::join!(agent.call("request_access", ask), async {
        watch.shows("asked/THREE").await;
        // Too small for list and detail at once.
        watch.resize(10, 80);
        watch.hides("the agent's words").await;
        watch.shows("pending").await;
        watch.resize(50, 140);
        watch.shows("the agent's words: \"the third\"").await;

        daemon.kill().await;
        watch.shows("AWAY").await;
        daemon.again().await;
        watch.hides("AWAY").await;
        watch.shows("asked/THREE").await;
    });
    // Its connection was cut; its ask was not.
    answer.unwrap_err();
    watch.types("\u{3}").await;
    assert!(watch.ended().await.success());
}

/// An ask that waits until it is answered, or until the daemon has gone.
async fn asks(agent: &Agent, name: &str) {
    let ask = json!({ "resources": [uri(name)], "reason": format!("the ask for {name}") });
    drop(agent.call("request_access", ask).await);
}

#[tokio::test]
async fn nothing_is_lost_when_the_window_changes_in_the_middle_of_an_answer() {
    let (daemon, agent) = daemon().await;
    let mut watch = Terminal::vouchsafe(&daemon, SIZE, ["watch"]);
    watch.shows("Nobody asks for anything").await;
    let person = async {
        watch.shows("asked/ONE").await;
        watch.types("\r").await;
        watch.shows("j/k scroll  Enter back").await;
        watch.resize(12, 60);
        watch.shows("j/k scroll  Enter back").await;
        watch.shows("1 pending").await;
        watch.resize(30, 100);
        watch.shows("the agent's words: \"the ask for ONE\"").await;

        watch.types("dnot now, ").await;
        watch.shows("not now, _").await;
        for (rows, columns) in [(9, 40), (60, 200), (24, 80)] {
            watch.resize(rows, columns);
            watch.shows("Deny this?").await;
            watch.shows("not now, _").await;
        }
        watch.types("ask tomorrow\r").await;
        watch.shows("0 pending").await;
        watch.shows("denied").await;
    };
    tokio::join!(asks(&agent, "ONE"), person);
    let approvals = daemon.vouchsafe(["approvals", "-o", "json"]).await.ok().json();
    assert_eq!(approvals[0]["status"], "denied");
    assert!(approvals.to_string().contains("not now, ask tomorrow"), "{approvals}");
    watch.types("q").await;
    assert!(watch.ended().await.success());
}

#[tokio::test]
async fn a_lost_daemon_is_said_and_an_answer_waits_for_its_return() {
    let (mut daemon, agent) = daemon().await;
    let mut watch = Terminal::vouchsafe(&daemon, SIZE, ["watch"]);
    watch.shows("Nobody asks for anything").await;
    tokio::join!(asks(&agent, "ONE"), async {
        watch.shows("asked/ONE").await;
        daemon.kill().await;
    });
    watch.shows("AWAY").await;
    watch.shows("trying again").await;
    // What was pending stays in sight, and can be looked at.
    watch.shows("the agent's words: \"the ask for ONE\"").await;
    watch.types("dnot today\r").await;
    // The note of the vote, which says what to do; that of the look says that it tries again.
    watch.shows("start it with").await;
    watch.shows("not today_").await;

    daemon.again().await;
    watch.hides("AWAY").await;
    watch.shows("1 pending").await;
    watch.types("\r").await;
    watch.shows("0 pending").await;
    let agent = Agent::new(daemon.url("/mcp"), daemon.read("keys/agent.key").trim());
    let told = agent.call("request_access", json!({ "resources": [uri("ONE")] })).await.unwrap();
    assert!(told.text("/reason").contains("not today"), "{told:?}");

    // And goes on as before.
    tokio::join!(asks(&agent, "TWO"), async {
        watch.shows("asked/TWO").await;
        watch.types("ka").await;
        watch.shows("Approve this? y approves").await;
        watch.types("y").await;
        watch.shows("0 pending").await;
    });
    watch.types("q").await;
    assert!(watch.ended().await.success());
}
