//! An agent at the HTTP door: plain requests, so that a test sees what any client would.
#![expect(clippy::unwrap_used, reason = "a test whose agent cannot be made ends")]

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::use_ring;

/// What clients of that generation send with each request.
const PROTOCOL: &str = "2025-11-25";

/// An MCP client over HTTP, without sessions.
#[derive(Debug)]
pub struct Agent {
    http: reqwest::Client,
    url: String,
    key: String,
    ids: AtomicU64,
}

/// The result of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `structuredContent`.
    pub content: Value,
    /// `isError`.
    pub is_error: bool,
}

impl Answer {
    /// A text of it, by JSON pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.content.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `status`.
    pub fn status(&self) -> &str {
        self.text("/status")
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// The connection broke, or could not be made: what was asked may have happened or not.
    Broken(String),
    /// An HTTP status other than 2xx, and the body.
    Refused(u16, String),
    /// A JSON-RPC error.
    Rpc(Value),
}

impl Agent {
    /// With this key, at this URL.
    pub fn new(url: impl Into<String>, key: impl Into<String>) -> Self {
        use_ring();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url: url.into(), key: key.into(), ids: AtomicU64::new(1) }
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Answer, Trouble> {
        let params = json!({ "name": tool, "arguments": arguments });
        let result = self.request("tools/call", params).await?;
        Ok(Answer {
            content: result.get("structuredContent").cloned().unwrap_or_default(),
            is_error: result.get("isError").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// One request; its result.
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let body = self.post(&body).await?;
        let message = body
            .lines()
            .map(|line| line.strip_prefix("data:").unwrap_or(line).trim())
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|message| message.get("id") == Some(&json!(id)))
            .ok_or_else(|| Trouble::Broken(format!("no answer in {body:?}")))?;
        match message.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(Trouble::Rpc(message.get("error").cloned().unwrap_or_default())),
        }
    }

    /// Posts a JSON-RPC message; the body of the answer.
    pub async fn post(&self, body: &Value) -> Result<String, Trouble> {
        let answer = self
            .http
            .post(&self.url)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", PROTOCOL)
            .bearer_auth(&self.key)
            .json(body)
            .send()
            .await
            .map_err(|error| Trouble::Broken(format!("{error:?}")))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| Trouble::Broken(format!("{error:?}")))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(Trouble::Refused(status.as_u16(), body))
    }
}
