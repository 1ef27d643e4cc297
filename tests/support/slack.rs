//! Slack as the daemon sees it: its API, which can be told to fail, and its requests, signed.
#![expect(clippy::unwrap_used, reason = "a stub that cannot be is a failed test")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use data_encoding::HEXLOWER;
use futures_util::stream;
use reqwest::Client;
use ring::hmac::{self, HMAC_SHA256, Key};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::daemon::TestDaemon;
use crate::events::{beside, eventually};
use crate::mcp::{Exchange, send};

/// What the app's requests are signed with.
pub const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// The bot's token.
pub const TOKEN: &str = "xoxb-1-test-token";
/// The workspace.
pub const TEAM: &str = "T0TEAM";
/// The channel that the bot posts in.
pub const PLACE: &str = "C0OPS";

/// A part of Slack's API on loopback.
#[derive(Clone, Debug)]
pub struct SlackStub {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// One request that the stub was sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// `chat.postMessage`, or `respond/..` for what is said to who pressed something.
    pub path: String,
    /// The bearer token, where one was sent.
    pub token: Option<String>,
    /// The body.
    pub body: Value,
}

/// How the stub answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mood {
    /// As it should.
    Nothing,
    /// 429, and so many seconds to wait.
    Busy(u64),
    /// This status.
    Status(u16),
    /// `ok: false`, and this error.
    Error(&'static str),
    /// Never.
    Stall,
    /// Half an answer, and the connection is gone.
    Die,
    /// Something that is no JSON.
    Gibberish,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Vec<Call>,
    moods: Vec<(String, Mood, u32)>,
    posted: u32,
}

impl SlackStub {
    /// A stub that answers everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let router = Router::new().route("/{*path}", post(answer)).with_state(stub.clone());
        drop(beside(async move { axum::serve(listener, router).await }));
        stub
    }

    /// An address of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The settings of a daemon whose bot `slack:ops` speaks with it.
    pub fn settings(&self) -> String {
        format!(
            "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n\n[notify.slack.ops]\n\
             token_file = \"slack.token\"\nsigning_secret_file = \"slack.signing\"\n\
             channel = \"{PLACE}\"\nteam = \"{TEAM}\"\napi_base = \"{}\"\n",
            self.url("api")
        )
    }

    /// The next so many requests to this path are answered so.
    pub fn answers(&self, path: &str, mood: Mood, times: u32) {
        self.seen.lock().unwrap().moods.push((path.to_owned(), mood, times));
    }

    /// The requests to this path so far.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        let seen = self.seen.lock().unwrap();
        seen.calls.iter().filter(|call| call.path == path).cloned().collect()
    }

    /// Waits for so many requests to this path, and gives the last one's body.
    pub async fn call(&self, path: &str, count: usize) -> Value {
        let what = format!("{count} requests to {path}");
        eventually(&what, || async {
            let mut calls = self.calls(path);
            if calls.len() < count { None } else { calls.pop().map(|call| call.body) }
        })
        .await
    }

    fn mood(&self, path: &str) -> Option<Mood> {
        let mut seen = self.seen.lock().unwrap();
        let found =
            seen.moods.iter_mut().find(|(of, _, left)| *left > 0 && path.ends_with(of.as_str()))?;
        found.2 -= 1;
        Some(found.1)
    }

    fn took(&self, path: &str, body: &Value) -> Value {
        let mut seen = self.seen.lock().unwrap();
        let ts = body["ts"].as_str().map_or_else(
            || {
                seen.posted += 1;
                format!("1795255200.{:06}", seen.posted)
            },
            str::to_owned,
        );
        match path {
            "api/chat.postMessage" | "api/chat.update" => {
                // A message to a member goes to the channel that the two have.
                let channel = body["channel"].as_str().unwrap_or_default().replace('U', "D");
                json!({ "ok": true, "channel": channel, "ts": ts, "message": body })
            }
            _ => json!({ "ok": true }),
        }
    }
}

async fn answer(
    State(stub): State<SlackStub>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.map(|value| value.trim_start_matches("Bearer ").to_owned());
    let call = Call { path: path.clone(), token, body: body.clone() };
    stub.seen.lock().unwrap().calls.push(call);
    let json = [(CONTENT_TYPE, "application/json")];
    match stub.mood(&path) {
        None | Some(Mood::Nothing) => (json, stub.took(&path, &body).to_string()).into_response(),
        Some(Mood::Busy(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds.to_string())]).into_response()
        }
        Some(Mood::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Mood::Error(error)) => {
            (json, json!({ "ok": false, "error": error }).to_string()).into_response()
        }
        Some(Mood::Stall) => std::future::pending().await,
        Some(Mood::Die) => {
            let half = [Ok("{\"ok\":"), Err(io::Error::other("gone"))];
            Body::from_stream(stream::iter(half)).into_response()
        }
        Some(Mood::Gibberish) => "<html>".into_response(),
    }
}

/// `v0=` and what Slack signs a request with.
pub fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", HEXLOWER.encode(tag.as_ref()))
}

/// A request's body.
pub fn form(payload: &Value) -> String {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("payload", &payload.to_string()).finish()
}

/// What Slack sends when a member presses a button of a message that was posted.
pub fn pressed(stub: &SlackStub, member: &str, posted: &Value, action: &str) -> Value {
    let blocks = posted["blocks"].as_array().unwrap();
    let buttons = blocks.iter().filter_map(|block| block["elements"].as_array()).flatten();
    let mut buttons = buttons.filter(|button| button["action_id"] == action);
    let button = buttons.next().unwrap_or_else(|| panic_no_button(action, posted));
    json!({
        "type": "block_actions",
        "user": { "id": member, "username": "somebody", "team_id": TEAM },
        "team": { "id": TEAM, "domain": "acme" },
        "trigger_id": format!("trigger.{member}"),
        "response_url": stub.url(&format!("respond/{member}")),
        "container": { "type": "message", "channel_id": PLACE },
        "message": { "type": "message", "text": posted["text"], "blocks": posted["blocks"] },
        "actions": [{
            "type": "button",
            "action_id": action,
            "block_id": "b",
            "value": button["value"],
            "text": button["text"],
        }],
    })
}

#[expect(clippy::panic, reason = "a button that is missing is a failed test")]
fn panic_no_button(action: &str, posted: &Value) -> ! {
    panic!("no {action} in {posted}")
}

/// What Slack sends when a member submits the form that was opened for them.
pub fn submitted(opened: &Value, member: &str, reason: &str) -> Value {
    let view = &opened["view"];
    json!({
        "type": "view_submission",
        "user": { "id": member, "team_id": TEAM },
        "team": { "id": TEAM },
        "view": {
            "callback_id": view["callback_id"],
            "private_metadata": view["private_metadata"],
            "state": { "values": { "reason": { "reason": {
                "type": "plain_text_input", "value": reason,
            } } } },
        },
    })
}

/// Now, as the daemon's clock has it, in seconds.
pub fn now(daemon: &TestDaemon) -> i64 {
    use vouchsafed::clock::Clock as _;
    daemon.clock.now().wall.ms() / 1_000
}

/// Sends a payload as Slack does, signed now.
pub async fn act(daemon: &TestDaemon, payload: &Value) -> Exchange {
    act_at(daemon, payload, now(daemon)).await
}

/// Sends a payload as Slack does, signed at this time.
pub async fn act_at(daemon: &TestDaemon, payload: &Value, at: i64) -> Exchange {
    let (body, at) = (form(payload), at.to_string());
    let signature = sign(SECRET, &at, &body);
    raw(daemon, &body, &[("x-slack-request-timestamp", &at), ("x-slack-signature", &signature)])
        .await
}

/// Sends this to where Slack's requests go.
pub async fn raw(daemon: &TestDaemon, body: &str, headers: &[(&str, &str)]) -> Exchange {
    let client = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
    let mut request = client.post(daemon.url("/slack/actions")).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.header("content-type", "application/x-www-form-urlencoded")).await
}
