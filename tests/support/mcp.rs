//! An agent that speaks MCP over plain HTTP, in either era, and sees every byte.
#![expect(clippy::unwrap_used, reason = "a test's client has nobody to report to")]
#![expect(clippy::indexing_slicing, reason = "a JSON value without the member is null")]

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::events::{beside, within};

/// The last version with a handshake.
pub const LEGACY: &str = "2025-11-25";
/// The first one without.
pub const MODERN: &str = "2026-07-28";

/// One agent with its key.
#[derive(Clone, Debug)]
pub struct Agent {
    http: Client,
    url: String,
    key: String,
    version: &'static str,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `isError`.
    pub is_error: bool,
    /// `structuredContent`.
    pub content: Value,
}

/// One exchange as it was on the wire.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: String,
}

impl Agent {
    /// An agent with this key at this address, in the era with a handshake.
    pub fn new(url: &str, key: &str) -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        Self { http, url: url.to_owned(), key: key.to_owned(), version: LEGACY }
    }

    /// The same agent, speaking this version.
    #[must_use]
    pub fn speaking(&self, version: &'static str) -> Self {
        Self { version, ..self.clone() }
    }

    /// The same agent at another address.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// The key's value.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        let params = json!({ "name": tool, "arguments": arguments });
        let reply = self.request("tools/call", params).await;
        let result = &reply["result"];
        assert!(result.is_object(), "{tool} came to no result: {reply}");
        let text = result["content"][0]["text"].as_str().unwrap();
        let content = result["structuredContent"].clone();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), content, "text is another JSON");
        Answer { is_error: result["isError"].as_bool().unwrap_or(false), content }
    }

    /// Calls a tool beside the test.
    pub fn start(&self, tool: &'static str, arguments: Value) -> JoinHandle<Answer> {
        let agent = self.clone();
        beside(async move { agent.call(tool, arguments).await })
    }

    /// Reads a secret.
    pub async fn read(&self, path: &str) -> Answer {
        self.call("read_secret", reading(path)).await
    }

    /// Reads a secret beside the test.
    pub fn start_read(&self, path: &str) -> JoinHandle<Answer> {
        self.start("read_secret", reading(path))
    }

    /// Sends one request and gives back the JSON-RPC message that answers it.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        self.messages(method, params).await.pop().unwrap()
    }

    /// Sends one request and gives back every message that comes, the answer last.
    pub async fn messages(&self, method: &str, params: Value) -> Vec<Value> {
        let exchange = self.exchange(method, params).await;
        assert_eq!(exchange.status, StatusCode::OK, "{}", exchange.body);
        exchange.messages()
    }

    /// Sends one request, whatever comes of it.
    pub async fn exchange(&self, method: &str, params: Value) -> Exchange {
        within(method, send(self.post(method, params))).await
    }

    /// One request, to be changed before it is sent.
    pub fn post(&self, method: &str, mut params: Value) -> RequestBuilder {
        let mut post = self
            .http
            .post(&self.url)
            .bearer_auth(&self.key)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", self.version);
        if self.version == MODERN {
            post = post.header("mcp-method", method);
            if let Some(name) = params.get("name").or_else(|| params.get("uri")) {
                post = post.header("mcp-name", name.as_str().unwrap());
            }
            let meta = params.as_object_mut().unwrap().entry("_meta").or_insert_with(|| json!({}));
            meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
            meta["io.modelcontextprotocol/clientInfo"] =
                json!({ "name": "test-agent", "version": "1.0" });
        }
        post.json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
    }
}

impl Answer {
    /// The answer's one word.
    pub fn status(&self) -> &str {
        self.content["status"].as_str().unwrap_or_default()
    }

    /// The refusal's code.
    pub fn code(&self) -> &str {
        self.content["code"].as_str().unwrap_or_default()
    }

    /// The sentence for the model.
    pub fn message(&self) -> &str {
        self.content["message"].as_str().unwrap_or_default()
    }

    /// The value that was released.
    pub fn value(&self) -> &str {
        assert_eq!(self.status(), "ok", "{}", self.content);
        self.content["value"].as_str().unwrap()
    }

    /// The approval it speaks of.
    pub fn approval(&self) -> String {
        self.content["approval_id"].as_str().unwrap().to_owned()
    }

    /// The lease under which the value was released.
    pub fn lease(&self) -> String {
        self.content["lease"]["id"].as_str().unwrap().to_owned()
    }
}

impl Exchange {
    /// The JSON-RPC messages of the body, be it one or a stream of events.
    pub fn messages(&self) -> Vec<Value> {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let events: Vec<_> = data.filter_map(|data| serde_json::from_str(data).ok()).collect();
        if events.is_empty() { vec![serde_json::from_str(&self.body).unwrap()] } else { events }
    }
}

/// Sends a request and reads all of the answer.
pub async fn send(request: RequestBuilder) -> Exchange {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Exchange { status, headers, body: response.text().await.unwrap() }
}

/// A secret as agents name it.
pub fn uri(path: &str) -> String {
    format!("vouchsafe://secrets/{path}")
}

fn reading(path: &str) -> Value {
    json!({ "uri": uri(path), "reason": "to run the nightly migration" })
}
