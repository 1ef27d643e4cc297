//! What leaves for a key that may not see values: none of them, in any form, by any way.
//!
//! Values of every kind stand in every encoding wherever text that is not the daemon's own can
//! stand. A key without `secrets:reveal` finds none of it in any answer; one with it finds the text
//! as it was written.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::{Value, json};
use vouchsafe_core::secret::{DESCRIPTION_CHARS_MAX, REDACTED};
use vouchsafe_core::text::escape_untrusted;
use vouchsafe_proto::v1::{PutSecretRequest, SecretSettings};
use vouchsafe_tests::daemon::{RULES, TestDaemon};
use vouchsafe_tests::mcp::{Agent, uri};

use crate::stdio::Line;
use crate::{minutes, prompt_daemon};

const MORE_RULES: &str = r#"
[[rule]]
name = "The log"
resource = "vouchsafe://audit"
approval = "none"

[[rule]]
name = "Notes"
resource = "vouchsafe://secrets/notes/*"
operations = ["list", "use", "read"]
approval = "none"
lease = { default = "10m", max = "20m" }
"#;

const SEEING: [&str; 3] = ["secrets:read", "secrets:reveal", "audit:read"];
const BLIND: [&str; 2] = ["secrets:read", "audit:read"];

/// The answers that repeat what was planted.
const TELLING: [&str; 7] = [
    "list_secrets",
    "resources/list",
    "resources/read",
    "query_audit",
    "tasks/get",
    "await_approval, denied",
    "whoami, refused",
];

/// How much of an argument comes back in a refusal of it, in characters.
const ECHO_CHARS_MAX: usize = 40;

/// One value of each kind.
fn values() -> Vec<(&'static str, Vec<u8>)> {
    let pem = "-----BEGIN K-----\nMC4CAQ\nBBQn0=\n-----END K-----\n";
    vec![
        ("plain", b"hunter2-hunter2".to_vec()),
        ("blanks, quotes", br#"a "b" 'c' \d+e&f%20"#.to_vec()),
        ("many lines", pem.into()),
        ("unicode", "пароль-😀é\u{202e}".into()),
        ("bytes", vec![0, 159, 146, 150, 255, 13, 10, 254, 7]),
        ("JSON", br#"{"user":"svc","key":"9f8e7d"}"#.to_vec()),
    ]
}

/// The value in every encoding that text can hold.
fn encodings(value: &[u8]) -> Vec<(&'static str, String)> {
    let percent = |bytes: &[u8]| -> String {
        let one = |b: &u8| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(*b).to_string(),
            _ => format!("%{b:02X}"),
        };
        bytes.iter().map(one).collect::<Vec<_>>().concat()
    };
    let mut forms = vec![
        ("base64", BASE64.encode(value)),
        ("base64url", BASE64URL_NOPAD.encode(value)),
        ("a Basic header", format!("Basic {}", BASE64.encode(&[b"me:", value].concat()))),
        ("hex", HEXLOWER.encode(value)),
        ("HEX", HEXUPPER.encode(value)),
        ("percent", percent(value)),
        ("a form", percent(value).replace("%20", "+")),
    ];
    if let Ok(text) = std::str::from_utf8(value) {
        let quoted = serde_json::to_string(text).unwrap();
        forms.push(("JSON in JSON", serde_json::to_string(&quoted).unwrap()));
        forms.push(("JSON", quoted));
        let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        forms.push(("all \\u", units.concat()));
        forms.push(("as it is", text.to_owned()));
    }
    forms
}

/// An agent, by either way in.
enum Client {
    Http(Agent),
    Socket(Box<Line>),
}

impl Client {
    async fn request(&mut self, method: &str, params: Value) -> Value {
        match self {
            Self::Http(agent) => {
                let exchange = agent.exchange(method, params).await;
                exchange.messages().pop().unwrap()
            }
            Self::Socket(line) => line.request(7, method, params).await,
        }
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }
}

/// Every string in it, what is JSON in a string included.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                strings(&inner, found);
            }
            found.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.push(name.clone());
                strings(value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether the answer holds what was planted, as it is or as people are shown it.
fn holds(answer: &Value, planted: &str) -> bool {
    let mut found = Vec::new();
    strings(answer, &mut found);
    let shown = escape_untrusted(planted.trim()).text;
    found.iter().any(|text| text.contains(planted) || text.contains(&shown))
}

fn says_redacted(answer: &Value) -> bool {
    answer.to_string().contains(REDACTED)
}

/// A daemon with two keys, one of which sees values.
async fn filled() -> TestDaemon {
    let mut daemon = prompt_daemon().await;
    let loaded = daemon.load_rules(&format!("{RULES}{MORE_RULES}")).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    daemon.add_key("seeing", "bob", &SEEING).await;
    daemon.add_key("masked", "bob", &BLIND).await;
    daemon
}

async fn put(daemon: &TestDaemon, path: &str, value: &[u8], description: Option<&str>) {
    let settings = description.map(|description| SecretSettings {
        description: Some(description.to_owned()),
        ..SecretSettings::default()
    });
    let request = PutSecretRequest {
        path: path.to_owned(),
        value: value.to_vec(),
        settings,
        ..PutSecretRequest::default()
    };
    daemon.admin().secrets().put_secret(request).await.unwrap();
}

/// A client of each way in, with this key.
async fn clients(daemon: &TestDaemon, key: &str) -> Vec<(&'static str, Client)> {
    let agent = daemon.agent(key);
    let mut line = Line::open(daemon).await;
    let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    line.greet_as(agent.key(), tasks).await;
    vec![("http", Client::Http(agent)), ("socket", Client::Socket(Box::new(line)))]
}

/// Has the text come back by every way there is; the answers, each with a name.
async fn echoes(
    daemon: &TestDaemon,
    client: &mut Client,
    planted: &str,
    thorough: bool,
) -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    let notes = uri("notes/NOTE");
    put(daemon, "notes/NOTE", b"note", Some(planted)).await;
    let pattern = json!({ "pattern": notes });
    answers.push(("list_secrets".to_owned(), client.call("list_secrets", pattern).await));
    answers.push(("resources/list".to_owned(), client.request("resources/list", json!({})).await));
    let missing = client.request("resources/read", json!({ "uri": planted })).await;
    answers.push(("resources/read".to_owned(), missing));
    // Its own reason, found again in the log.
    let search = json!({ "action": "lease.issued", "limit": 2 });
    let reading = json!({ "resources": [notes], "operation": "use", "reason": planted });
    client.call("request_access", reading).await;
    answers.push(("query_audit".to_owned(), client.call("query_audit", search).await));
    answers.extend(denied(daemon, client, planted).await);
    if planted.chars().count() <= ECHO_CHARS_MAX {
        let tools = client.request("tools/list", json!({})).await;
        assert!(!says_redacted(&tools), "{tools}");
        let tools = tools["result"]["tools"].as_array().unwrap();
        for tool in tools.iter().map(|tool| tool["name"].as_str().unwrap()) {
            // All of them for the text itself; one is enough to see that an encoding is masked.
            if tool != "whoami" && !thorough {
                continue;
            }
            answers
                .push((format!("{tool}, refused"), client.call(tool, json!({ planted: 1 })).await));
        }
        let waiting = client.call("await_approval", json!({ "approval_id": planted })).await;
        answers.push(("await_approval".to_owned(), waiting));
    }
    answers
}

/// Asks for something and is denied it in these words.
async fn denied(daemon: &TestDaemon, client: &mut Client, planted: &str) -> Vec<(String, Value)> {
    let asking =
        json!({ "resources": [uri("production/DB")], "operation": "use", "reason": planted });
    let asked = client.call("request_access", asking).await["result"].clone();
    let cat = daemon.grpc("cat");
    let approval = cat.the_pending().await;
    cat.deny(&approval, planted).await.unwrap();
    let id = &approval.id;
    let mut answers = Vec::new();
    if let Some(task) = asked["taskId"].as_str() {
        let task = client.request("tasks/get", json!({ "taskId": task })).await;
        assert_eq!(task["result"]["status"], "completed", "{task}");
        answers.push(("tasks/get".to_owned(), task));
    }
    let awaited = client.call("await_approval", json!({ "approval_id": id })).await;
    assert_eq!(awaited["result"]["structuredContent"]["status"], "denied", "{awaited}");
    answers.push(("await_approval, denied".to_owned(), awaited));
    let withdrawn = client.call("withdraw_approval", json!({ "approval_id": id })).await;
    assert_eq!(withdrawn["result"]["isError"], true, "{withdrawn}");
    answers
}

#[tokio::test]
async fn no_answer_holds_a_value_in_any_encoding_for_a_key_that_may_not_see_it() {
    let daemon = filled().await;
    for (number, (_, value)) in values().into_iter().enumerate() {
        put(&daemon, &format!("unruled/V{number}"), &value, None).await;
    }
    for (way, mut client) in clients(&daemon, "masked").await {
        for (kind, value) in values() {
            for (encoding, planted) in encodings(&value) {
                assert!(planted.chars().count() < DESCRIPTION_CHARS_MAX, "{kind}, {encoding}");
                let thorough = encoding == "as it is" || encoding == "base64";
                let answers = echoes(&daemon, &mut client, &planted, thorough).await;
                for (what, answer) in answers {
                    let case = format!("{way}, {kind}, {encoding}, {what}: {answer}");
                    assert!(!holds(&answer, &planted), "{case}");
                    // The others may say nothing of it.
                    let tells = TELLING.contains(&what.as_str());
                    assert!(!tells || says_redacted(&answer), "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_sees_values_sees_text_as_it_was_written() {
    let daemon = filled().await;
    for (number, (_, value)) in values().into_iter().enumerate() {
        put(&daemon, &format!("unruled/V{number}"), &value, None).await;
    }
    for (way, mut client) in clients(&daemon, "seeing").await {
        for (kind, value) in values() {
            // Every third, other ones for each kind.
            for (encoding, planted) in encodings(&value).into_iter().skip(kind.len() % 3).step_by(3)
            {
                let answers = echoes(&daemon, &mut client, &planted, false).await;
                let told = answers.iter().filter(|(_, answer)| holds(answer, &planted)).count();
                // The names in a list and the words of a refusal are told; some say nothing of it.
                assert!(told >= 4, "{way}, {kind}, {encoding}: {answers:#?}");
                let masked = answers.iter().filter(|(_, answer)| says_redacted(answer)).count();
                assert_eq!(masked, 0, "{way}, {kind}, {encoding}: {answers:#?}");
            }
        }
    }
}

#[tokio::test]
async fn names_that_people_chose_are_searched_too() {
    let mut daemon = filled().await;
    put(&daemon, "unruled/VALUE", b"hunter2-hunter2", None).await;
    put(&daemon, "notes/hunter2-hunter2", b"note", None).await;
    daemon.add_key("hunter2-hunter2", "bob", &BLIND).await;
    let named = uri("notes/hunter2-hunter2");
    for (_, mut client) in clients(&daemon, "hunter2-hunter2").await {
        let asking = json!({ "resources": [named], "operation": "use", "reason": "to use it" });
        let mut answers = vec![
            client.call("whoami", json!({})).await,
            client.call("list_secrets", json!({})).await,
            client.request("resources/list", json!({})).await,
            client.request("resources/read", json!({ "uri": named })).await,
            client.call("read_secret", json!({ "uri": named })).await,
            client.call("request_access", asking).await,
            client.call("query_audit", json!({ "group_by": "actor" })).await,
        ];
        let leases = client.call("list_leases", json!({})).await;
        let given = leases["result"]["structuredContent"]["leases"].as_array().unwrap();
        let lease = given.iter().find(|lease| lease["operation"] == "use").unwrap()["id"].clone();
        daemon.advance(minutes(2)).await;
        answers.push(client.call("renew_lease", json!({ "lease_id": lease })).await);
        answers.push(leases);
        for answer in answers {
            assert!(!holds(&answer, "hunter2-hunter2"), "{answer}");
            assert!(says_redacted(&answer), "{answer}");
        }
        let released = client.call("release_lease", json!({ "lease_id": lease })).await;
        assert_eq!(released["result"]["structuredContent"]["status"], "released", "{released}");
    }
}

#[tokio::test]
async fn an_unknown_method_is_not_repeated_with_a_value_in_it() {
    let daemon = filled().await;
    put(&daemon, "unruled/VALUE", b"hunter2-hunter2", None).await;
    for (key, told) in [("masked", false), ("seeing", true)] {
        for (way, mut client) in clients(&daemon, key).await {
            let answer = client.request("hunter2-hunter2/list", json!({})).await;
            assert_eq!(answer["error"]["code"], -32601, "{way}: {answer}");
            assert_eq!(holds(&answer, "hunter2-hunter2"), told, "{way}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_is_masked_is_what_is_a_secret_now_or_was_before() {
    let mut daemon = filled().await;
    daemon.add_key("auditor", "bob", &["audit:read"]).await;
    let masked = daemon.agent("masked");
    let note = async |words: &str| {
        put(&daemon, "notes/NOTE", b"note", Some(words)).await;
        let listed = masked.call("list_secrets", json!({ "pattern": uri("notes/*") })).await;
        listed.content["secrets"][0]["description"].as_str().unwrap().to_owned()
    };
    assert_eq!(note("first-value").await, "first-value");
    for value in ["first-value", "other-value"] {
        put(&daemon, "unruled/VALUE", value.as_bytes(), None).await;
        assert_eq!(note("(first-value)").await, "(***REDACTED)");
    }
    assert_eq!(note("other-value").await, REDACTED);
    put(&daemon, "unruled/VALUE", b"third-value", None).await;
    assert_eq!(note("first-value, other-value").await, "first-value, ***REDACTED");
    // Short ones mask what is no secret.
    put(&daemon, "unruled/SHORT", b"a1b2c", None).await;
    assert_eq!(note("a1b2c").await, "a1b2c");
    let request = vouchsafe_proto::v1::DeleteSecretRequest {
        path: "unruled/VALUE".to_owned(),
        ..vouchsafe_proto::v1::DeleteSecretRequest::default()
    };
    daemon.admin().secrets().delete_secret(request).await.unwrap();
    assert_eq!(note("third-value").await, "third-value");
}

#[tokio::test]
async fn an_answer_that_cannot_be_searched_is_withheld() {
    let mut daemon = filled().await;
    put(&daemon, "notes/NOTE", b"note", Some("words")).await;
    daemon.stop().await;
    let database = rusqlite::Connection::open(daemon.database()).unwrap();
    let spoilt = "UPDATE secret_versions SET sealed = zeroblob(LENGTH(sealed))
                  WHERE secret_id = (SELECT id FROM secrets WHERE path = 'unruled/THING')";
    assert_eq!(database.execute(spoilt, []).unwrap(), 1);
    drop(database);
    daemon.restart().await;
    let (masked, seeing) = (daemon.agent("masked"), daemon.agent("seeing"));
    let listed = masked.call("list_secrets", json!({})).await;
    assert!(listed.is_error, "{listed:?}");
    assert_eq!((listed.status(), listed.code()), ("refused", "INTERNAL"));
    let resources = masked.request("resources/list", json!({})).await;
    assert_eq!(resources["error"]["data"]["code"], "INTERNAL", "{resources}");
    assert!(masked.request("tools/list", json!({})).await["result"]["tools"].is_array());
    assert!(seeing.call("list_secrets", json!({})).await.content["secrets"].is_array());
}
