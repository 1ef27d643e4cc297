//! The socket that the stdio bridge joins, spoken to byte by byte.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use vouchsafe_proto::v1::{DisableKeyRequest, UpdateKeyRequest};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::events::within;
use vouchsafe_tests::mcp::uri;

use crate::{minutes, prompt_daemon};

/// One connection.
pub(crate) struct Line(BufReader<UnixStream>);

impl Line {
    pub(crate) async fn open(daemon: &TestDaemon) -> Self {
        let stream = UnixStream::connect(daemon.home().join("mcp.sock")).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// Says this, and gives the next line that comes; an empty one where the daemon hangs up.
    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).await.unwrap();
        self.hear().await
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        // A connection that is reset has been hung up, too.
        drop(within("a line", self.0.read_line(&mut line)).await);
        line
    }

    pub(crate) async fn request(&mut self, id: u64, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answer: Value = serde_json::from_str(&self.say(&request.to_string()).await).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Shakes hands as a bridge does, then as an MCP client does.
    async fn greet(&mut self, key: &str) {
        self.greet_as(key, json!({})).await;
    }

    /// The same, for a client that can do this.
    pub(crate) async fn greet_as(&mut self, key: &str, capabilities: Value) {
        let preamble = json!({ "key": key, "host": "laptop", "os_user": "ann" });
        let answer = self.say(&format!("VOUCHSAFE/1 {preamble}")).await;
        assert_eq!(answer, "VOUCHSAFE/1 {\"ok\":true}\n");
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": capabilities,
            "clientInfo": { "name": "desktop", "version": "2" },
        });
        let answer = self.request(0, "initialize", hello).await;
        assert_eq!(answer["result"]["serverInfo"]["name"], "vouchsafe");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.0.get_mut().write_all(format!("{ready}\n").as_bytes()).await.unwrap();
    }
}

fn reading(path: &str) -> Value {
    json!({ "name": "read_secret", "arguments": { "uri": uri(path), "reason": "to see" } })
}

#[tokio::test]
async fn an_agent_behind_the_bridge_asks_as_any_other_and_says_where_it_is() {
    let daemon = prompt_daemon().await;
    let mut line = Line::open(&daemon).await;
    line.greet(daemon.agent("claude").key()).await;
    let asked = line.request(1, "tools/call", reading("production/DB")).await;
    let id = asked["result"]["structuredContent"]["approval_id"].as_str().unwrap().to_owned();
    let bob = daemon.grpc("bob");
    let approval = bob.show(&id).await.unwrap();
    let asker = approval.asker.clone().unwrap();
    assert_eq!(
        [asker.transport, asker.host, asker.os_user, asker.claimed_client],
        ["stdio", "laptop", "ann", "desktop 2"]
    );
    bob.approve(&approval).await.unwrap();
    let answer = line.request(2, "tools/call", reading("production/DB")).await;
    assert_eq!(answer["result"]["structuredContent"]["value"], value_of("production/DB"));
    assert_eq!(daemon.agent("claude").read("production/DB").await.status(), "ok");
}

#[tokio::test]
async fn who_does_not_begin_as_the_bridge_does_is_told_so_and_left() {
    let daemon = prompt_daemon().await;
    let key = daemon.agent("claude").key().to_owned();
    let user = daemon.token("ann").to_owned();
    for (first, error) in [
        ("{}".to_owned(), "the first line does not begin with VOUCHSAFE/1"),
        (
            format!("VOUCHSAFE/2 {{\"key\":\"{key}\"}}"),
            "the first line does not begin with VOUCHSAFE/1",
        ),
        ("VOUCHSAFE/1 {}".to_owned(), "the first line is not the JSON that the bridge sends"),
        (
            format!("VOUCHSAFE/1 {{\"key\":\"{key}\",\"as\":\"admin\"}}"),
            "the first line is not the JSON that the bridge sends",
        ),
        ("VOUCHSAFE/1 {\"key\":\"x\"}".to_owned(), "this is not a Vouchsafe credential"),
        (
            format!("VOUCHSAFE/1 {{\"key\":\"{user}\"}}"),
            "this door takes an MCP key (vs_mcp_..), and a user token (vs_user_..) was sent",
        ),
        ("x".repeat(5_000), "the first line does not end within 4 KiB"),
    ] {
        let mut line = Line::open(&daemon).await;
        let answer = line.say(&first).await;
        let answer: Value = serde_json::from_str(&answer["VOUCHSAFE/1 ".len()..]).unwrap();
        assert_eq!((&answer["ok"], &answer["error"]), (&json!(false), &json!(error)));
        assert!(!answer["next"].as_str().unwrap().is_empty());
        assert_eq!(line.hear().await, "");
    }
}

#[tokio::test]
async fn a_connection_opens_nothing_once_its_key_is_shut_out() {
    let daemon = prompt_daemon().await;
    let mut line = Line::open(&daemon).await;
    line.greet(daemon.agent("claude").key()).await;
    let answer = line.request(1, "tools/call", reading("staging/DB")).await;
    assert_eq!(answer["result"]["structuredContent"]["status"], "ok");
    let request = DisableKeyRequest { name: "claude".to_owned(), ..DisableKeyRequest::default() };
    daemon.admin().keys().disable_key(request).await.unwrap();
    let answer = line.request(2, "tools/call", reading("staging/DB")).await;
    assert_eq!(answer["result"]["structuredContent"]["code"], "KEY_DISABLED");
    let answer = line.request(3, "tools/list", json!({})).await;
    assert_eq!(answer["error"]["data"]["code"], "KEY_DISABLED", "{answer}");
    let whoami = json!({ "name": "whoami", "arguments": {} });
    let answer = line.request(4, "tools/call", whoami).await;
    assert_eq!(answer["result"]["structuredContent"]["code"], "KEY_DISABLED");
}

#[tokio::test]
async fn a_change_of_its_key_holds_for_a_connection_at_once() {
    let daemon = prompt_daemon().await;
    let mut line = Line::open(&daemon).await;
    line.greet(daemon.agent("claude").key()).await;
    let request = UpdateKeyRequest {
        name: "claude".to_owned(),
        tools: vec!["whoami".to_owned()],
        set_tools: true,
        rate: Some(3),
        ..UpdateKeyRequest::default()
    };
    daemon.admin().keys().update_key(request).await.unwrap();
    let listed = line.request(1, "tools/list", json!({})).await["result"]["tools"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["name"], "whoami");
    let answer = line.request(2, "tools/call", reading("staging/DB")).await;
    assert_eq!(answer["result"]["structuredContent"]["code"], "TOOL_NOT_ALLOWED");
    line.request(3, "ping", json!({})).await;
    // Each of these was a request, and there are no more of them in this minute.
    let whoami = json!({ "name": "whoami", "arguments": {} });
    let answer = line.request(4, "tools/call", whoami.clone()).await["result"].clone();
    assert_eq!(answer["isError"], true);
    assert_eq!(answer["structuredContent"]["code"], "RATE_LIMITED", "{answer}");
    assert_eq!(answer["structuredContent"]["retry_after_seconds"], 60);
    let answer = line.request(5, "tools/list", json!({})).await["error"].clone();
    assert_eq!(answer["data"]["code"], "RATE_LIMITED", "{answer}");
    assert_eq!(answer["data"]["retry_after_seconds"], 60);
    daemon.advance(minutes(1)).await;
    let answer = line.request(6, "tools/call", whoami).await;
    assert_eq!(answer["result"]["structuredContent"]["key"], "claude", "{answer}");
}

#[tokio::test]
async fn a_connection_that_hangs_up_leaves_what_it_asked_for() {
    let daemon = TestDaemon::start().await;
    let mut line = Line::open(&daemon).await;
    line.greet(daemon.agent("claude").key()).await;
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": reading("production/DB"),
    });
    line.0.get_mut().write_all(format!("{request}\n").as_bytes()).await.unwrap();
    let approval = daemon.grpc("bob").the_pending().await;
    daemon.waiting(1).await;
    drop(line);
    daemon.waiting(0).await;
    assert_eq!(daemon.grpc("bob").the_pending().await.id, approval.id);
}
