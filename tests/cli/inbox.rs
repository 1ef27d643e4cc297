//! What a person does and sees in the inbox, beside approving and denying: an approval for a
//! session, and a glass that somebody broke.

use serde_json::json;
use vouchsafe_tests::process::{Agent, RealDaemon, Terminal};

const URI: &str = "vouchsafe://secrets/remembered/ONE";

/// One use a lease, so that the second read needs a lease of its own.
const RULE: &str = r#"
[[rule]]
name        = "Remembered"
resource    = "vouchsafe://secrets/remembered/*"
operations  = ["use", "read"]
approvers   = ["admin"]
self_approval = true
remember    = true
lease       = { default = "10m", max = "1h", uses = 1 }
pending_for = "1h"
"#;

#[tokio::test]
async fn an_approval_for_a_session_is_given_in_the_inbox_and_shown_until_it_ends() {
    let daemon = RealDaemon::start().await;
    daemon.rule("rules.toml", RULE);
    daemon.vouchsafe(["policy", "reload"]).await.ok();
    daemon.put("remembered/ONE", "a value").await;
    let key = daemon.key("agent", "secrets:read,secrets:reveal").await;
    let agent = Agent::new(daemon.url("/mcp"), key);
    let ask = || json!({ "uri": URI, "reason": "more than once" });

    let mut watch = Terminal::vouchsafe(&daemon, (40, 120), ["watch"]);
    watch.shows("Nobody asks for anything").await;
    let (answer, ()) = tokio::join!(agent.call("read_secret", ask()), async {
        watch.shows("1 pending").await;
        watch.shows("may be remembered; for session: the same for 30m").await;
        watch.types("s").await;
        watch.shows("Approve, and remember it for 30m? y approves").await;
        watch.types("y").await;
        watch.shows("0 pending").await;
    });
    assert_eq!(answer.unwrap().text("/value"), "a value");
    let again = agent.call("read_secret", ask()).await.unwrap();
    assert_eq!(again.text("/value"), "a value");
    watch.types("q").await;
    assert!(watch.ended().await.success());

    let list = daemon.vouchsafe(["approvals"]).await.ok().stdout;
    assert!(list.contains("approved by session"), "{list}");
    let sessions = daemon.vouchsafe(["leases", "sessions", "-o", "json"]).await.ok().json();
    assert_eq!(sessions[0]["key_name"], "agent");
    assert_eq!(sessions[0]["given_by"], json!(["admin"]));
    let ended = daemon.vouchsafe(["leases", "revoke", "--key", "agent"]).await.ok();
    assert!(ended.stderr.contains("1 session ended with them"), "{ended}");
}

/// A rule whose glass can be broken.
const GLASS: &str = r#"
[[rule]]
name        = "Behind glass"
resource    = "vouchsafe://secrets/glass/*"
operations  = ["use", "read"]
approvers   = ["admin"]
break_glass = ["admin"]
lease       = { default = "10m", max = "1h", uses = 20 }
pending_for = "1h"
"#;

#[tokio::test]
async fn a_broken_glass_is_seen_by_whoever_watches() {
    let daemon = RealDaemon::start().await;
    daemon.rule("rules.toml", GLASS);
    daemon.vouchsafe(["policy", "reload"]).await.ok();
    daemon.put("glass/ONE", "a value").await;
    daemon.key("agent", "secrets:read,secrets:reveal").await;
    let mut watch = Terminal::vouchsafe(&daemon, (40, 120), ["watch"]);
    watch.shows("Nobody asks for anything").await;
    let uri = "vouchsafe://secrets/glass/ONE";
    let reason = "the pager rings and nobody answers";
    let args = ["break-glass", uri, "--key", "agent", "--reason", reason, "--yes"];
    daemon.vouchsafe(args).await.ok();
    watch.shows("admin BROKE THE GLASS").await;
    watch.shows("GLASS BROKEN").await;
    watch.types("q").await;
    assert!(watch.ended().await.success());
}
