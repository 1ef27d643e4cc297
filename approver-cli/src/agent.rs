//! A small MCP client, for the commands that are agents themselves: `demo`, which speaks through
//! the bridge, and `exec`, which speaks on the daemon's socket.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time;
use zeroize::Zeroizing;

use crate::bridge::lines::{Line, LineReader};
use crate::error::CliError;
use crate::text::safe_line;

/// The daemon holds a call for 45 s at the most.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// What clients of this generation speak.
const PROTOCOL: &str = "2025-11-25";

/// One connection that speaks MCP, and what was asked on it.
#[derive(Debug)]
pub(crate) struct Client<R, W> {
    from: LineReader<R>,
    /// None once nothing more is to be said.
    to: Option<W>,
    /// What is not written yet: a call whose future was dropped may have left the rest of its line.
    outbox: Vec<u8>,
    asked: u64,
    /// Answers that came while another one was waited for.
    early: BTreeMap<u64, Zeroizing<String>>,
}

/// What a tool said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) is_error: bool,
    /// `structuredContent` as it came; it may hold a value.
    content: Zeroizing<String>,
}

/// Why nothing was said.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection is gone: what was asked may have happened or not.
    Lost(String),
    /// The other end answered with an error.
    Answered(CliError),
}

/// One message from the other end.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    params: Option<Progress>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Value>,
}

/// `notifications/progress`, as far as it is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Progress {
    #[serde(rename = "progressToken")]
    token: Option<u64>,
    message: Option<String>,
}

/// The result of a call. The text beside the content is the same once more, and is not read.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(rename = "isError", default)]
    is_error: bool,
    #[serde(rename = "structuredContent", borrow)]
    content: Option<&'a RawValue>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Client<R, W> {
    pub(crate) fn new(from: LineReader<R>, to: Option<W>) -> Self {
        Self { from, to, outbox: Vec::new(), asked: 0, early: BTreeMap::new() }
    }

    /// Shakes hands under this name.
    pub(crate) async fn initialize(&mut self, name: &str) -> Result<(), Fault> {
        let hello = json!({
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": { "name": name, "version": env!("CARGO_PKG_VERSION") },
        });
        self.request("initialize", &hello).await?;
        self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await
    }

    /// A request that is no call of a tool; its result.
    pub(crate) async fn request(&mut self, method: &str, params: &Value) -> Result<Value, Fault> {
        let id = self.next_id();
        self.send(id, method, params).await?;
        let line = self.answer(id, &|_| ()).await?;
        let result = result_of(&line)?;
        Ok(serde_json::from_str(result.get()).unwrap_or_default())
    }

    /// Sends a call of a tool; `said` waits for the answer.
    pub(crate) async fn call(&mut self, tool: &str, args: &Value) -> Result<u64, Fault> {
        let id = self.next_id();
        let meta = json!({ "progressToken": id });
        let params = json!({ "name": tool, "arguments": args, "_meta": meta });
        self.send(id, "tools/call", &params).await?;
        Ok(id)
    }

    /// What came of a call. `heard` is told of its progress meanwhile. Dropping the future loses
    /// nothing.
    pub(crate) async fn said(&mut self, call: u64, heard: &dyn Fn(&str)) -> Result<Said, Fault> {
        let line = self.answer(call, heard).await?;
        let result = result_of(&line)?;
        let outcome: Outcome<'_> = serde_json::from_str(result.get()).map_err(|_| no_result())?;
        let content = outcome.content.map_or("null", RawValue::get).to_owned();
        Ok(Said { is_error: outcome.is_error, content: Zeroizing::new(content) })
    }

    /// Says that nothing more will come.
    pub(crate) fn hang_up(&mut self) {
        self.to = None;
    }

    fn next_id(&mut self) -> u64 {
        self.asked = self.asked.saturating_add(1);
        self.asked
    }

    async fn send(&mut self, id: u64, method: &str, params: &Value) -> Result<(), Fault> {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(&request).await
    }

    async fn write(&mut self, message: &Value) -> Result<(), Fault> {
        let ended = || Fault::Lost("the connection has ended".to_owned());
        let to = self.to.as_mut().ok_or_else(ended)?;
        self.outbox.extend_from_slice(message.to_string().as_bytes());
        self.outbox.push(b'\n');
        while !self.outbox.is_empty() {
            match to.write(&self.outbox).await {
                Ok(count @ 1..) => drop(self.outbox.drain(..count.min(self.outbox.len()))),
                Ok(_) | Err(_) => return Err(ended()),
            }
        }
        to.flush().await.map_err(|_| ended())
    }

    async fn answer(&mut self, id: u64, heard: &dyn Fn(&str)) -> Result<Zeroizing<String>, Fault> {
        match time::timeout(ANSWER_TIMEOUT, self.until_answered(id, heard)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Lost("no answer came in time".to_owned())),
        }
    }

    async fn until_answered(
        &mut self,
        id: u64,
        heard: &dyn Fn(&str),
    ) -> Result<Zeroizing<String>, Fault> {
        loop {
            if let Some(line) = self.early.remove(&id) {
                return Ok(line);
            }
            let line = match self.from.next().await {
                Ok(Line::Text(line)) => line,
                Ok(Line::Garbage) => continue,
                Ok(Line::End) | Err(_) => {
                    return Err(Fault::Lost("the connection has ended".to_owned()));
                }
            };
            let Ok(message) = serde_json::from_str::<Envelope<'_>>(&line) else { continue };
            if message.method.is_some() {
                let progress = message.params.unwrap_or_default();
                if let Some(words) = progress.message.filter(|_| progress.token == Some(id)) {
                    heard(&words);
                }
            } else if let Some(answered) = message.id {
                self.early.insert(answered, line);
            }
        }
    }
}

impl Said {
    /// `status`; empty where there is none.
    pub(crate) fn status(&self) -> String {
        self.text("/status")
    }

    /// A text of it by JSON pointer, safe to show; empty where there is none.
    pub(crate) fn text(&self, pointer: &str) -> String {
        let content = self.value();
        content.pointer(pointer).and_then(Value::as_str).map(safe_line).unwrap_or_default()
    }

    /// All of it. Not for an answer that may hold a value.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.content).unwrap_or_default()
    }

    /// It in this shape, or nothing where it has another one.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(&self.content).ok()
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost(why) => Self::failed(why),
            Fault::Answered(error) => error,
        }
    }
}

/// The result in an answer, or the error that it is.
fn result_of(line: &str) -> Result<&RawValue, Fault> {
    let message: Envelope<'_> = serde_json::from_str(line).map_err(|_| no_result())?;
    if let Some(result) = message.result {
        return Ok(result);
    }
    let error = message.error.unwrap_or_default();
    let text = |pointer| error.pointer(pointer).and_then(Value::as_str).map(safe_line);
    let why = text("/message").unwrap_or_else(|| "no reason".to_owned());
    let answered = CliError::failed(format!("the agent was answered: {why}"));
    Err(Fault::Answered(match text("/data/next") {
        Some(next) => answered.with_next(next),
        None => answered,
    }))
}

fn no_result() -> Fault {
    Fault::Answered(CliError::failed("the answer is none that this client knows"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn client(answers: &str) -> Client<&[u8], Vec<u8>> {
        Client::new(LineReader::new(answers.as_bytes()), Some(Vec::new()))
    }

    #[tokio::test]
    async fn an_answer_is_found_among_other_messages() {
        let mut client = client(concat!(
            r#"{"method":"notifications/progress","params":{"progressToken":2,"message":"old"}}"#,
            "\n",
            r#"{"method":"notifications/progress","params":{"progressToken":1,"message":"on"}}"#,
            "\n",
            r#"{"id":2,"result":{"structuredContent":{"status":"second"}}}"#,
            "\n",
            r#"{"id":"x","method":"ping"}"#,
            "\nnonsense\n",
            r#"{"id":1,"result":{"isError":true,"structuredContent":{"status":"first"}}}"#,
            "\n",
        ));
        let heard = RefCell::new(Vec::new());
        for (id, status, is_error) in [(1, "first", true), (2, "second", false)] {
            assert_eq!(client.call("read_secret", &json!({})).await.ok(), Some(id));
            let listen = |words: &str| heard.borrow_mut().push(words.to_owned());
            let said = client.said(id, &listen).await.ok().unwrap();
            assert_eq!((said.status().as_str(), said.is_error), (status, is_error));
        }
        assert_eq!(*heard.borrow(), ["on"]);
        assert!(matches!(client.said(3, &|_| ()).await, Err(Fault::Lost(_))));
    }

    #[tokio::test]
    async fn an_error_tells_what_to_do_next() {
        let mut client = client(
            "{\"id\":1,\"error\":{\"code\":1,\"message\":\"no\\u001b\",\"data\":{\"next\":\"ask\"}}}\n",
        );
        let id = client.call("whoami", &json!({})).await.ok().unwrap();
        let error = CliError::from(client.said(id, &|_| ()).await.unwrap_err());
        assert_eq!(error.message, "the agent was answered: no\\u{1b}");
        assert_eq!(error.next.as_deref(), Some("ask"));
    }
}
