//! An agent as small as it can be: it runs the real bridge and speaks real MCP with it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time;

use super::KEY;
use crate::agent::{Client, Fault, Said};
use crate::bridge::lines::LineReader;
use crate::context::Context;
use crate::error::CliError;
use crate::text::safe_line;

const STOP_TIMEOUT: Duration = Duration::from_secs(6);

/// The bridge as a child, and the client that speaks with it.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    client: Client<ChildStdout, ChildStdin>,
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
        let mut client = Client::new(LineReader::new(from), to);
        client.initialize("vouchsafe-demo").await.map_err(told)?;
        Ok(Self { child, client })
    }

    /// The names of the tools.
    pub(super) async fn tools(&mut self) -> Result<Vec<String>, CliError> {
        let result = self.client.request("tools/list", &json!({})).await.map_err(told)?;
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
        self.client.call(name, args).await.map_err(told)
    }

    /// Dropping the future loses nothing.
    pub(super) async fn said(&mut self, call: u64) -> Result<Said, CliError> {
        self.client.said(call, &|_| ()).await.map_err(told)
    }

    /// Hangs up and sees the bridge off.
    pub(super) async fn stop(mut self) {
        self.client.hang_up();
        // What does not end by itself is killed when the child is dropped.
        drop(time::timeout(STOP_TIMEOUT, self.child.wait()).await);
    }
}

/// The content of an answer that is no error and waits for nobody.
pub(super) fn expect_ok(said: &Said, what: &str) -> Result<Value, CliError> {
    let status = said.status();
    if !said.is_error && matches!(status.as_str(), "" | "ok") {
        return Ok(said.value());
    }
    let message = said.text("/message");
    let error = super::broken(&format!("{what} said {status}: {message}"));
    Err(match said.text("/next") {
        next if next.is_empty() => error,
        next => error.with_next(next),
    })
}

fn told(fault: Fault) -> CliError {
    match fault {
        Fault::Lost(why) => CliError::failed(format!("the bridge is gone: {why}")),
        Fault::Answered(error) => error,
    }
}
