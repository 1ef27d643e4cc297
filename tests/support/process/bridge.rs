//! `vouchsafe mcp`, as an agent's program starts it.
#![expect(clippy::unwrap_used, reason = "a test whose bridge cannot be spoken to ends")]

use std::process::{ExitStatus, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::command::command;
use super::{Answer, Home, LONG};

/// A bridge that runs, and both ends of its pipes.
#[derive(Debug)]
pub struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
    next_id: u64,
    /// Messages that came while another one was waited for.
    other: Vec<Value>,
}

impl Bridge {
    /// With the key of that name.
    pub fn start(home: &Home, key: &str) -> Self {
        let mut child = command("vouchsafe", &home.path())
            .args(["mcp", "--key", key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            stderr: child.stderr.take().unwrap(),
            child,
            next_id: 1,
            other: Vec::new(),
        }
    }

    /// The handshake of a 2025-11-25 client; the server's answer.
    pub async fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let id = self.send("initialize", params).await;
        let answer = self.answer(id).await;
        self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        answer
    }

    /// Sends a request; its id.
    pub async fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id = id.saturating_add(1);
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await;
        id
    }

    /// Sends a call of a tool; its id.
    pub async fn send_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.send("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        let id = self.send_call(tool, arguments).await;
        self.tool_answer(id).await
    }

    /// The answer to a tool call that was sent.
    pub async fn tool_answer(&mut self, id: u64) -> Answer {
        let message = self.answer(id).await;
        let content = message.pointer("/result/structuredContent").cloned();
        let is_error = message.pointer("/result/isError").and_then(Value::as_bool);
        Answer {
            content: content.unwrap_or_else(|| message.clone()),
            is_error: is_error.unwrap_or(false),
        }
    }

    /// The whole answer to a request that was sent.
    pub async fn answer(&mut self, id: u64) -> Value {
        let is_it = |message: &Value| message.get("id") == Some(&json!(id));
        if let Some(at) = self.other.iter().position(is_it) {
            return self.other.remove(at);
        }
        loop {
            let message = self.read().await;
            if is_it(&message) {
                return message;
            }
            self.other.push(message);
        }
    }

    /// Messages that came while another one was waited for.
    pub fn take_other(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.other)
    }

    /// Sends any message.
    pub async fn write(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    /// The next message, whatever it is. All of standard output is JSON-RPC.
    pub async fn read(&mut self) -> Value {
        let line = timeout(LONG, self.stdout.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Closes its standard input and waits for its end; standard error comes back.
    pub async fn close(mut self) -> (ExitStatus, String) {
        self.stdin = None;
        self.end().await
    }

    /// Waits for its end; standard error comes back.
    pub async fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        let end = async {
            self.stderr.read_to_string(&mut said).await.unwrap();
            self.child.wait().await.unwrap()
        };
        (timeout(LONG, end).await.unwrap(), said)
    }
}
