//! As much of JSON-RPC and MCP as the bridge must understand, and what it says itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// JSON-RPC: the line is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// JSON-RPC: the line is JSON, but no request.
const INVALID_REQUEST: i32 = -32_600;
/// Ours, outside the ranges that JSON-RPC and MCP keep: the call was cut off or could not be sent.
const INTERRUPTED: i32 = 1_000;
/// Ours: the daemon does not let this key in.
const KEY_REFUSED: i32 = 1_010;

const CALL_AGAIN: &str = "call again with the same arguments";
/// With this in `_meta` a request is of the era that has no `initialize`.
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// One line, as far as the bridge cares.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    Request(Call),
    Notification {
        method: String,
        /// For `notifications/cancelled`: which request.
        cancels: Option<String>,
    },
    Response {
        id: String,
        is_error: bool,
    },
    /// JSON, but no single JSON-RPC message.
    Foreign,
    /// No JSON.
    Broken,
}

/// A request that wants an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) id: Value,
    pub(super) method: String,
    /// Of the era in which every result says its type.
    modern: bool,
}

/// Why there is no answer, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    pub(crate) next: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<Value>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "_meta", default)]
    meta: BTreeMap<String, Value>,
    #[serde(rename = "requestId")]
    request_id: Option<Value>,
}

impl Message {
    pub(super) fn parse(line: &str) -> Self {
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(line) else {
            let is_json = serde_json::from_str::<&RawValue>(line.trim()).is_ok();
            return if is_json { Self::Foreign } else { Self::Broken };
        };
        let params: Option<Params> =
            envelope.params.and_then(|params| serde_json::from_str(params.get()).ok());
        match (envelope.id, envelope.method) {
            (Some(id), Some(method)) => {
                let modern =
                    params.is_some_and(|params| params.meta.contains_key(PROTOCOL_VERSION));
                Self::Request(Call { id, method, modern })
            }
            (None, Some(method)) => {
                let cancels = params.and_then(|params| params.request_id);
                Self::Notification { method, cancels: cancels.map(|id| id.to_string()) }
            }
            (Some(id), None) => {
                Self::Response { id: id.to_string(), is_error: envelope.error.is_some() }
            }
            (None, None) => Self::Foreign,
        }
    }
}

impl Call {
    /// The id as text, the same for the request and its answer.
    pub(super) fn key(&self) -> String {
        self.id.to_string()
    }

    /// The answer where there is none: for a tool a result that a model reads, else an error.
    pub(super) fn interrupted(&self, trouble: &Trouble) -> String {
        if self.method != "tools/call" {
            let data = json!({ "status": "interrupted", "next": trouble.next });
            return error(&self.id, INTERRUPTED, &trouble.message, &data);
        }
        let said = json!({
            "status": "interrupted",
            "message": trouble.message,
            "next": trouble.next,
        });
        let mut result = json!({
            "content": [{ "type": "text", "text": said.to_string() }],
            "structuredContent": said,
            "isError": true,
        });
        if let Some(result) = result.as_object_mut().filter(|_| self.modern) {
            result.insert("resultType".to_owned(), json!("complete"));
        }
        json!({ "jsonrpc": "2.0", "id": self.id, "result": result }).to_string()
    }

    /// The answer where the daemon does not let this key in.
    pub(super) fn refused(&self, trouble: &Trouble) -> String {
        let data = json!({ "status": "refused", "next": trouble.next });
        error(&self.id, KEY_REFUSED, &trouble.message, &data)
    }

    /// The answer to a request that is too long to be sent on.
    pub(super) fn too_long(&self) -> String {
        error(&self.id, INVALID_REQUEST, "the request is longer than 1 MiB", &Value::Null)
    }
}

impl Trouble {
    /// The connection broke while a call was under way.
    pub(super) fn broke_off() -> Self {
        Self {
            message: "the broker restarted while this call was running; what it did until then \
                      stands, and an ask that waits for approval goes on waiting"
                .to_owned(),
            next: CALL_AGAIN.to_owned(),
        }
    }

    /// More calls at once than anyone means to make.
    pub(super) fn too_many() -> Self {
        Self {
            message: "too many calls are waiting for the broker".to_owned(),
            next: "wait for some of the answers, then ".to_owned() + CALL_AGAIN,
        }
    }

    /// `why`: the last thing that went wrong with the connection.
    pub(super) fn unreachable(why: Option<&Self>) -> Self {
        match why {
            Some(why) => Self {
                message: format!("the broker cannot be reached: {}", why.message),
                next: format!("{}; then {CALL_AGAIN}", why.next),
            },
            None => Self {
                message: "the broker cannot be reached".to_owned(),
                next: CALL_AGAIN.to_owned(),
            },
        }
    }
}

/// The answer to a line that is no message; nobody knows its id.
pub(super) fn unreadable(is_json: bool) -> String {
    if is_json {
        error(&Value::Null, INVALID_REQUEST, "this is no JSON-RPC message", &Value::Null)
    } else {
        error(&Value::Null, PARSE_ERROR, "this is no JSON, or far too long", &Value::Null)
    }
}

/// Tells the client that nobody waits for its answer any more.
pub(super) fn cancelled(id: &Value) -> String {
    let params = json!({ "requestId": id, "reason": "the broker restarted" });
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string()
}

/// The same request under another id; `None` where it is no object.
pub(super) fn with_id(line: &str, id: &str) -> Option<String> {
    let mut request: Value = serde_json::from_str(line).ok()?;
    request.as_object_mut()?.insert("id".to_owned(), json!(id));
    Some(request.to_string())
}

fn error(id: &Value, code: i32, message: &str, data: &Value) -> String {
    let mut error = json!({ "code": code, "message": message });
    if let Some(error) = error.as_object_mut().filter(|_| !data.is_null()) {
        error.insert("data".to_owned(), data.clone());
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let call = |id, method: &str, modern| {
            Message::Request(Call { id, method: method.to_owned(), modern })
        };
        for (line, message) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, call(json!(1), "ping", false)),
            (
                r#"{"id":"a","method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                call(json!("a"), "tools/call", true),
            ),
            (
                r#"{"method":"notifications/cancelled","params":{"requestId":7}}"#,
                Message::Notification {
                    method: "notifications/cancelled".to_owned(),
                    cancels: Some("7".to_owned()),
                },
            ),
            (
                r#"{"id":"1","result":{}}"#,
                Message::Response { id: "\"1\"".to_owned(), is_error: false },
            ),
            (r#"{"id":1,"error":{}}"#, Message::Response { id: "1".to_owned(), is_error: true }),
            (r"[]", Message::Foreign),
            (r#"{"jsonrpc":"2.0"}"#, Message::Foreign),
            (r"{", Message::Broken),
        ] {
            assert_eq!(Message::parse(line), message, "{line}");
        }
    }

    #[test]
    fn strange_params_do_not_hide_a_request() {
        let line = r#"{"id":1,"method":"x","params":[1,2]}"#;
        assert!(matches!(Message::parse(line), Message::Request(_)));
    }

    #[test]
    fn a_modern_result_says_its_type() {
        let call = Call { id: json!(1), method: "tools/call".to_owned(), modern: true };
        let answer: Value = serde_json::from_str(&call.interrupted(&Trouble::broke_off())).unwrap();
        assert_eq!(answer.pointer("/result/resultType").unwrap(), "complete");
        assert_eq!(answer.pointer("/result/isError").unwrap(), true);
    }
}
