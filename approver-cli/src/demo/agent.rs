//! An agent as small as it can be: it runs the real bridge and speaks real MCP with it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time;

use super::KEY;
use crate::bridge::lines::{Line, LineReader};
use crate::context::Context;
use crate::error::CliError;
use crate::text::safe_line;

/// The daemon blocks for at most 25 s, if it is not told otherwise.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
const STOP_TIMEOUT: Duration = Duration::from_secs(6);

/// The bridge as a child, and what was asked of it.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    to: Option<ChildStdin>,
    from: LineReader<ChildStdout>,
    asked: u64,
    /// Answers that came while another one was waited for.
    early: BTreeMap<u64, Value>,
}

/// What a tool said.
#[derive(Debug)]
pub(super) struct Said {
    is_error: bool,
    content: Value,
}

impl Agent {
    /// Starts the bridge and shakes hands.
    pub(super) async fn start(context: &Context) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::io("starting `vouchsafe mcp`", &error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(["mcp", "--key", KEY, "--home"])
            .arg(context.home.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let from = from.ok_or_else(|| CliError::failed("the bridge has no output"))?;
        let from = LineReader::new(from);
        let mut agent = Self { child, to, from, asked: 0, early: BTreeMap::new() };
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "vouchsafe-demo", "version": env!("CARGO_PKG_VERSION") },
        });
        agent.request("initialize", &hello).await?;
        agent.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(agent)
    }

    /// The names of the tools.
    pub(super) async fn tools(&mut self) -> Result<Vec<String>, CliError> {
        let result = self.request("tools/list", &json!({})).await?;
        let tools = result.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
        let names = tools.iter().filter_map(|tool| tool.get("name").and_then(Value::as_str));
        Ok(names.map(safe_line).collect())
    }

    /// Calls a tool and waits for what it says.
    pub(super) async fn tool(&mut self, name: &str, args: &Value) -> Result<Said, CliError> {
        let call = self.call_tool(name, args).await?;
        self.said(call).await
    }

    /// Calls a tool; `said` waits for the answer.
    pub(super) async fn call_tool(&mut self, name: &str, args: &Value) -> Result<u64, CliError> {
        self.send("tools/call", &json!({ "name": name, "arguments": args })).await
    }

    /// Dropping the future loses nothing.
    pub(super) async fn said(&mut self, call: u64) -> Result<Said, CliError> {
        let result = self.answer(call).await?;
        let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
        let content = result.get("structuredContent").cloned().or_else(|| {
            let text = result.pointer("/content/0/text").and_then(Value::as_str)?;
            serde_json::from_str(text).ok()
        });
        Ok(Said { is_error, content: content.unwrap_or(Value::Null) })
    }

    /// Hangs up and sees the bridge off.
    pub(super) async fn stop(mut self) {
        drop(self.to.take());
        // What does not end by itself is killed when the child is dropped.
        drop(time::timeout(STOP_TIMEOUT, self.child.wait()).await);
    }

    async fn request(&mut self, method: &str, params: &Value) -> Result<Value, CliError> {
        let id = self.send(method, params).await?;
        self.answer(id).await
    }

    async fn send(&mut self, method: &str, params: &Value) -> Result<u64, CliError> {
        self.asked = self.asked.saturating_add(1);
        let id = self.asked;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(&request).await?;
        Ok(id)
    }

    async fn write(&mut self, message: &Value) -> Result<(), CliError> {
        let line = format!("{message}\n");
        let to = self.to.as_mut().ok_or_else(|| CliError::failed("the bridge has no input"))?;
        let written = async {
            to.write_all(line.as_bytes()).await?;
            to.flush().await
        };
        written.await.map_err(|_| CliError::failed("the bridge ended"))
    }

    async fn answer(&mut self, id: u64) -> Result<Value, CliError> {
        let waited = time::timeout(ANSWER_TIMEOUT, self.until_answered(id)).await;
        let message =
            waited.unwrap_or_else(|_| Err(CliError::failed("the agent waited too long")))?;
        if let Some(result) = message.get("result") {
            return Ok(result.clone());
        }
        let why = message.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason");
        let error = CliError::failed(format!("the agent was answered: {}", safe_line(why)));
        Err(match message.pointer("/error/data/next").and_then(Value::as_str) {
            Some(next) => error.with_next(safe_line(next)),
            None => error,
        })
    }

    async fn until_answered(&mut self, id: u64) -> Result<Value, CliError> {
        loop {
            if let Some(message) = self.early.remove(&id) {
                return Ok(message);
            }
            let line = match self.from.next().await {
                Ok(Line::Text(line)) => line,
                Ok(Line::Garbage) => continue,
                Ok(Line::End) | Err(_) => return Err(CliError::failed("the bridge ended")),
            };
            let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
            let answered = message.get("id").and_then(Value::as_u64);
            if message.get("method").is_none()
                && let Some(answered) = answered
            {
                self.early.insert(answered, message);
            }
        }
    }
}

impl Said {
    pub(super) fn status(&self) -> String {
        self.text("/status")
    }

    pub(super) fn text(&self, pointer: &str) -> String {
        super::text(&self.content, pointer)
    }

    /// The content of an answer that is no error and waits for nobody.
    pub(super) fn expect_ok(self, what: &str) -> Result<Value, CliError> {
        let status = self.status();
        if !self.is_error && matches!(status.as_str(), "" | "ok") {
            return Ok(self.content);
        }
        let message = self.text("/message");
        let error = super::broken(&format!("{what} said {status}: {message}"));
        Err(match self.text("/next") {
            next if next.is_empty() => error,
            next => error.with_next(next),
        })
    }
}
