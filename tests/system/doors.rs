//! Who and what is let in over HTTP, and how both eras of MCP are spoken.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use vouchsafe_proto::v1::AuditFilter;
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::events::{eventually, within};
use vouchsafe_tests::mcp::{Agent, Exchange, LEGACY, MODERN, send, uri};

use crate::{check_refused, check_refused_as, prompt_daemon};

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_name_or_a_page_that_is_not_ours_is_turned_away_at_every_address() {
    let daemon = prompt_daemon().await;
    let http = client();
    for path in ["/mcp", "/mcp/default", "/healthz", "/readyz", "/metrics", "/elsewhere"] {
        for (header, value, message) in [
            ("host", "evil.example", "this name is not one the daemon answers to"),
            ("host", "127.0.0.1", "this name is not one the daemon answers to"),
            ("origin", "https://evil.example", "requests from this web page are not let in"),
            ("origin", "null", "requests from this web page are not let in"),
        ] {
            let exchange = send(http.get(daemon.url(path)).header(header, value)).await;
            assert_eq!(exchange.status, StatusCode::FORBIDDEN, "{path} {header} {value}");
            let body: Value = serde_json::from_str(&exchange.body).unwrap();
            assert_eq!(body["error"]["message"], message);
        }
    }
}

#[tokio::test]
async fn what_is_no_request_is_answered_plainly() {
    let daemon = prompt_daemon().await;
    let (http, key) = (client(), daemon.agent("claude").key().to_owned());
    let post = || {
        http.post(daemon.mcp_url())
            .bearer_auth(&key)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
    };
    let without = http.post(daemon.mcp_url()).json(&json!({}));
    let exchange = send(without).await;
    assert_eq!(exchange.status, StatusCode::UNAUTHORIZED);
    assert_eq!(exchange.headers["www-authenticate"], "Bearer realm=\"vouchsafe\"");
    let body: Value = serde_json::from_str(&exchange.body).unwrap();
    assert_eq!(body["error"]["message"], "no credential was sent");
    for body in ["", "{", "[]", "null", "{\"jsonrpc\":\"2.0\"}", "\u{feff}{}"] {
        let exchange = send(post().body(body)).await;
        assert!(exchange.status.is_client_error(), "{body:?}: {}", exchange.status);
    }
    let large = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/list",
        "params": { "padding": "x".repeat(1024 * 1024) },
    });
    let exchange = send(post().body(large.to_string())).await;
    assert_eq!(exchange.status, StatusCode::PAYLOAD_TOO_LARGE);
    let get = http.get(daemon.mcp_url()).bearer_auth(&key).header("accept", "text/event-stream");
    assert_eq!(send(get).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let well_known = http.get(daemon.url("/.well-known/oauth-protected-resource"));
    assert_eq!(send(well_known).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_operators_addresses_tell_how_the_daemon_is_and_nothing_else() {
    let daemon = prompt_daemon().await;
    daemon.agent("claude").read("staging/DB").await;
    let http = client();
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let exchange = send(http.get(daemon.url(path))).await;
        assert_eq!((exchange.status, exchange.body.as_str()), (StatusCode::OK, body));
        assert_eq!(exchange.headers["cache-control"], "no-store");
        assert_eq!(exchange.headers["x-content-type-options"], "nosniff");
    }
    let metrics = send(http.get(daemon.url("/metrics"))).await;
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
    for private in ["claude", "staging", "value-of", "vs_", "ann"] {
        assert!(!metrics.body.contains(private), "{private}");
    }
}

#[tokio::test]
async fn a_wrong_call_is_refused_by_the_name_of_what_is_wrong() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let secret = uri("production/DB");
    let again = "Correct the argument and call again.";
    for (tool, arguments, message) in [
        ("read_secret", json!({}), "`uri` is missing"),
        ("read_secret", json!({ "uri": 1 }), "`uri` is a string, not a number"),
        (
            "read_secret",
            json!({ "uri": null }),
            "`uri` is a string, not null: leave it out instead",
        ),
        (
            "read_secret",
            json!({ "uri": secret, "path": "x" }),
            "read_secret has no argument `path`",
        ),
        (
            "read_secret",
            json!({ "uri": secret, "reason": ["x"] }),
            "`reason` is a string, not a list",
        ),
        (
            "request_access",
            json!({ "resources": secret }),
            "`resources` is a list of strings, not a string",
        ),
        (
            "request_access",
            json!({ "resources": [1] }),
            "`resources` is a list of strings, not a number",
        ),
        ("await_approval", json!({ "id": "ap_1" }), "`approval_id` is missing"),
        ("whoami", json!({ "verbose": true }), "whoami has no argument `verbose`"),
    ] {
        check_refused(&claude.call(tool, arguments).await, "INVALID_ARGUMENT", message, again);
    }
    let writing = json!({ "resources": [secret], "operation": "write" });
    check_refused(
        &claude.call("request_access", writing).await,
        "INVALID_ARGUMENT",
        "a lease is for `read` or `use`, not for `write`",
        "Call again with one of these; `write_secret`, `rotate_secret` and `delete_secret` propose a \
         change.",
    );
    check_refused_as(
        &claude.call("await_approval", json!({ "approval_id": "ap_zz" })).await,
        "APPROVAL_NOT_FOUND",
    );
    let unknown = json!({ "name": "steal_secret", "arguments": {} });
    let reply = claude.request("tools/call", unknown).await;
    assert_eq!(reply["error"]["code"], -32602);
    assert_eq!(reply["error"]["message"], "there is no such tool");
}

#[tokio::test]
async fn both_eras_are_spoken_and_say_the_same() {
    let daemon = prompt_daemon().await;
    let agent = daemon.agent("claude");
    let hello = json!({
        "protocolVersion": LEGACY, "capabilities": {},
        "clientInfo": { "name": "test-agent", "version": "1.0" },
    });
    let greeted = agent.request("initialize", hello).await["result"].clone();
    assert_eq!(greeted["protocolVersion"], LEGACY);
    assert_eq!(greeted["serverInfo"]["name"], "vouchsafe");
    assert!(greeted["instructions"].as_str().unwrap().contains("await_approval"));
    let modern = agent.speaking(MODERN);
    let discovered = modern.request("server/discover", json!({})).await["result"].clone();
    assert!(discovered["capabilities"]["tools"].is_object(), "{discovered}");
    let names = async |agent: &Agent| {
        let listed = agent.request("tools/list", json!({})).await["result"]["tools"].clone();
        listed.as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect::<Vec<_>>()
    };
    let tools = names(&agent).await;
    assert_eq!(tools, names(&modern).await);
    assert_eq!(
        tools,
        [
            "list_secrets",
            "read_secret",
            "request_access",
            "await_approval",
            "withdraw_approval",
            "list_leases",
            "renew_lease",
            "release_lease",
            "whoami",
        ]
    );
    for agent in [&agent, &modern] {
        assert_eq!(agent.read("staging/DB").await.value(), value_of("staging/DB"));
    }
    let asked = modern.read("production/DB").await;
    assert_eq!(agent.read("production/DB").await.approval(), asked.approval());
    let shown = daemon.grpc("bob").show(&asked.approval()).await.unwrap().asker.unwrap();
    assert_eq!(
        (shown.claimed_client.as_str(), shown.transport.as_str()),
        ("test-agent 1.0", "http")
    );
}

#[tokio::test]
async fn a_call_that_waits_says_so_to_a_client_that_asked() {
    for version in [LEGACY, MODERN] {
        let daemon = TestDaemon::start().await;
        let agent = daemon.agent("claude").speaking(version);
        let params = json!({
            "name": "read_secret",
            "arguments": { "uri": uri("production/DB"), "reason": "to see" },
            "_meta": { "progressToken": "t1" },
        });
        let call = agent.post("tools/call", params).send();
        let mut response = within("the first of the answer", call).await.unwrap();
        let mut body = Vec::new();
        // Nobody answers before it is said.
        within("the progress", async {
            while !String::from_utf8_lossy(&body).contains("notifications/progress") {
                body.extend(response.chunk().await.unwrap().unwrap());
            }
        })
        .await;
        let bob = daemon.grpc("bob");
        let approval = bob.the_pending().await;
        bob.approve(&approval).await.unwrap();
        within("the value", async {
            while let Some(more) = response.chunk().await.unwrap() {
                body.extend(more);
            }
        })
        .await;
        let (status, headers) = (response.status(), response.headers().clone());
        let exchange = Exchange { status, headers, body: String::from_utf8(body).unwrap() };
        let messages = exchange.messages();
        let told: Vec<_> =
            messages.iter().filter(|m| m["method"] == "notifications/progress").collect();
        let [first, ..] = told.as_slice() else { panic!("{version}: {messages:?}") };
        assert_eq!(first["params"]["progressToken"], "t1");
        assert_eq!(first["params"]["progress"], json!(1.0));
        assert_eq!(
            first["params"]["message"],
            format!("waiting for approval {} (expires 11:00Z)", approval.id)
        );
        let last = messages.last().unwrap();
        assert_eq!(last["result"]["structuredContent"]["value"], value_of("production/DB"));
    }
}

#[tokio::test]
async fn a_call_that_may_not_wait_gets_a_handle_that_says_what_to_do() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let answer = claude.read("production/DB").await;
    let approval = daemon.grpc("bob").show(&answer.approval()).await.unwrap();
    assert!(!answer.is_error);
    assert_eq!(
        answer.content,
        json!({
            "status": "pending",
            "approval_id": approval.id,
            "digest": approval.short_digest,
            "expires_at": "2026-11-21T11:00:00.000Z",
            "retry_after_ms": 2_000,
            "next": { "tool": "await_approval", "arguments": { "approval_id": approval.id } },
            "message": format!(
                "People have been asked and have not answered yet. Tell the person you work for \
                 that approval {} is waiting until 11:00Z. Then call await_approval with this \
                 approval_id, or the same tool again with the same arguments; neither asks \
                 anybody twice.",
                approval.id
            ),
        })
    );
    let awaited = claude.call("await_approval", json!({ "approval_id": approval.id })).await;
    assert_eq!(awaited.content, answer.content);
    daemon.grpc("bob").approve(&approval).await.unwrap();
    let awaited = claude.call("await_approval", json!({ "approval_id": approval.id })).await;
    assert_eq!(awaited.status(), "approved");
    assert_eq!(
        awaited.content["next"],
        json!({ "tool": "read_secret", "arguments": { "uri": uri("production/DB") } })
    );
}

#[tokio::test]
async fn of_many_calls_that_wait_the_last_get_their_handle_at_once() {
    let daemon = TestDaemon::builder().waiting_max(2).start().await;
    let claude = daemon.agent("claude");
    let held = [claude.start_read("production/DB"), claude.start_read("production/DB")];
    daemon.waiting(2).await;
    let third = claude.read("production/DB").await;
    assert_eq!(third.status(), "pending");
    let bob = daemon.grpc("bob");
    bob.approve(&bob.the_pending().await).await.unwrap();
    for call in held {
        assert_eq!(within("a value", call).await.unwrap().status(), "ok");
    }
    daemon.waiting(0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_its_ask_and_the_log_says_so() {
    let daemon = TestDaemon::start().await;
    let (claude, bob) = (daemon.agent("claude").speaking(MODERN), daemon.grpc("bob"));
    let waiting = claude.start_read("production/DB");
    let approval = bob.the_pending().await;
    daemon.waiting(1).await;
    waiting.abort();
    daemon.waiting(0).await;
    let gone = eventually("the entry", || async {
        daemon.sweep().await;
        daemon.admin().log_of("call.disconnected").await.pop()
    })
    .await;
    assert_eq!(gone["approval"], approval.id.as_str());
    assert_eq!(gone["actor"]["name"], "claude");
    bob.approve(&bob.the_pending().await).await.unwrap();
    assert_eq!(daemon.agent("claude").read("production/DB").await.status(), "ok");
}

#[tokio::test]
async fn secrets_are_resources_that_are_asked_for_like_secrets() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let listed = claude.request("resources/list", json!({})).await["result"].clone();
    let uris: Vec<_> =
        listed["resources"].as_array().unwrap().iter().map(|one| one["uri"].clone()).collect();
    assert!(uris.contains(&json!(uri("staging/DB"))), "{uris:?}");
    assert!(!uris.contains(&json!(uri("unruled/THING"))), "{uris:?}");
    let read = claude.request("resources/read", json!({ "uri": uri("staging/DB") })).await;
    assert_eq!(read["result"]["contents"][0]["text"], value_of("staging/DB"));
    let asked = claude.request("resources/read", json!({ "uri": uri("production/DB") })).await;
    assert_eq!(asked["error"]["code"], 1001, "{asked}");
    let id = asked["error"]["data"]["approval_id"].as_str().unwrap();
    let approval = daemon.grpc("bob").show(id).await.unwrap();
    daemon.grpc("bob").deny(&approval, "not like this").await.unwrap();
    let denied = claude.request("resources/read", json!({ "uri": uri("production/DB") })).await;
    assert_eq!(denied["error"]["code"], 1002, "{denied}");
    assert_eq!(denied["error"]["data"]["reason"], "not like this");
}

#[tokio::test]
async fn a_value_that_is_not_text_comes_as_base64() {
    let daemon = prompt_daemon().await;
    let request = vouchsafe_proto::v1::PutSecretRequest {
        path: "staging/KEY".to_owned(),
        value: vec![0, 159, 146, 150],
        ..vouchsafe_proto::v1::PutSecretRequest::default()
    };
    daemon.admin().secrets().put_secret(request).await.unwrap();
    let answer = daemon.agent("claude").read("staging/KEY").await;
    assert_eq!((answer.value(), &answer.content["encoding"]), ("AJ+Slg==", &json!("base64")));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let daemon = TestDaemon::builder().block_for(Duration::ZERO).start().await;
    let mut stream = tokio::net::TcpStream::connect(daemon.running().http_addr).await.unwrap();
    stream.write_all(b"POST /mcp HTTP/1.1\r\nhost: ").await.unwrap();
    let mut rest = Vec::new();
    // Closed within seconds, whatever it says as a farewell.
    drop(within("the end", stream.read_to_end(&mut rest)).await);
}

#[tokio::test]
async fn nobody_outside_hides_what_an_agent_is_refused_or_fills_the_log() {
    let daemon = prompt_daemon().await;
    let refused = async || {
        daemon.sweep().await;
        let filter = AuditFilter { action: "door.refused".to_owned(), ..AuditFilter::default() };
        daemon.admin().log(filter).await
    };
    let http = client();
    for _ in 0..50 {
        let turned_away = send(http.post(daemon.mcp_url()).bearer_auth("vs_mcp_nonsense")).await;
        assert_eq!(turned_away.status, StatusCode::UNAUTHORIZED);
    }
    // Twenty by themselves, and the others counted in one.
    assert_eq!(refused().await.len(), 21);
    let blind = daemon.agent("blind");
    for _ in 0..3 {
        blind.call("query_audit", json!({})).await;
    }
    let log = refused().await;
    let by_name = log.iter().filter(|entry| entry["actor"]["name"] == "blind");
    assert_eq!((log.len(), by_name.count()), (24, 3));
    daemon.advance(Duration::from_secs(5)).await;
    for _ in 0..3 {
        send(http.post(daemon.mcp_url()).bearer_auth("vs_mcp_nonsense")).await;
    }
    assert_eq!(refused().await.len(), 26, "one by itself, and two counted");
}
