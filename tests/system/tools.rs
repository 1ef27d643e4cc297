//! What a key may use: every tool there is, and the resources, by a key of every kind there is,
//! against a table that is kept in `tools.matrix`. `UPDATE=1` writes it anew; the change is for a person to judge.
//!
//! A cell is what a call comes to: the status of its answer, or the code it is refused with. It
//! stands in brackets where the tool is not listed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vouchsafe_core::key::{RATE_MAX, Scope};
use vouchsafe_proto::v1::CreateKeyRequest;
use vouchsafe_tests::daemon::{RULES, TestDaemon};
use vouchsafe_tests::mcp::{Agent, uri};

use crate::prompt_daemon;

const LOG: &str = r#"
[[rule]]
name = "The log"
resource = "vouchsafe://audit"
approval = "none"

[[rule]]
name = "Scratch"
resource = "vouchsafe://secrets/scratch/*"
operations = ["write", "delete"]
approval = "none"
"#;

/// A kind of key: what the table calls it, its scopes, and the tools it is held to.
struct Kind {
    title: String,
    scopes: Vec<&'static str>,
    tools: Vec<&'static str>,
}

/// Every tool, with a call of it that is well formed. A tool that is listed and not among these
/// fails the test: nobody has said what is to come of it.
fn calls() -> Vec<(&'static str, Value)> {
    let nobodys = "ls_0000000000000000";
    let no_approval = json!({ "approval_id": "ap_0000000000000000" });
    vec![
        ("list_secrets", json!({})),
        ("read_secret", json!({ "uri": uri("staging/DB"), "reason": "to run the migration" })),
        (
            "request_access",
            json!({ "resources": [uri("production/DB")], "reason": "to run the migration" }),
        ),
        ("await_approval", no_approval.clone()),
        ("withdraw_approval", no_approval),
        ("list_leases", json!({})),
        ("renew_lease", json!({ "lease_id": nobodys })),
        ("release_lease", json!({ "lease_id": nobodys })),
        (
            "write_secret",
            json!({ "uri": uri("scratch/X"), "generate": { "kind": "uuid" }, "reason": "a new one" }),
        ),
        ("rotate_secret", json!({ "uri": uri("scratch/X"), "reason": "it leaked" })),
        ("delete_secret", json!({ "uri": uri("scratch/X"), "reason": "not used any more" })),
        ("query_audit", json!({ "limit": 1 })),
        ("whoami", json!({})),
        ("no_such_tool", json!({})),
    ]
}

/// The ways to secrets that are no tools.
fn beside_tools() -> Vec<(&'static str, Value)> {
    vec![("resources/list", json!({})), ("resources/read", json!({ "uri": uri("staging/DB") }))]
}

fn kinds() -> Vec<Kind> {
    let all: Vec<_> = Scope::ALL.into_iter().map(Scope::as_str).collect();
    let scopes = |title: &str, scopes: &[&'static str]| Kind {
        title: title.to_owned(),
        scopes: scopes.to_vec(),
        tools: Vec::new(),
    };
    let held = |title: &str, scopes: &[&'static str], tools: &[&'static str]| Kind {
        title: title.to_owned(),
        scopes: scopes.to_vec(),
        tools: tools.to_vec(),
    };
    let mut kinds: Vec<_> = all.iter().map(|scope| scopes(scope, &[*scope])).collect();
    kinds.extend([
        scopes("none given", &[]),
        scopes("mcp:read", &["mcp:read"]),
        scopes("mcp:full", &["mcp:full"]),
        scopes("everything", &all),
        held("one tool", &all, &["read_secret"]),
        held("list_* whoami", &all, &["list_*", "whoami"]),
        // A list gives nothing that the scopes do not.
        held("beyond scopes", &["audit:read"], &["read_secret", "query_audit"]),
        held("nothing there", &all, &["linear__*"]),
    ]);
    kinds
}

#[tokio::test]
async fn what_a_key_may_use_is_as_the_table_says() {
    let mut daemon = prompt_daemon().await;
    let loaded = daemon.load_rules(&format!("{RULES}{LOG}")).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let (kinds, calls) = (kinds(), calls());
    let known: BTreeSet<_> = calls.iter().map(|(tool, _)| (*tool).to_owned()).collect();
    let mut columns = Vec::new();
    for (number, kind) in kinds.iter().enumerate() {
        let agent = agent(&mut daemon, number, kind).await;
        let listed = listed(&agent).await;
        let strange: Vec<_> = listed.difference(&known).collect();
        assert!(strange.is_empty(), "say in `calls` how to call {strange:?}");
        let mut column = Vec::new();
        for (tool, arguments) in &calls {
            let params = json!({ "name": tool, "arguments": arguments });
            let outcome = asked(&agent, "tools/call", params).await;
            column.push(if listed.contains(*tool) { outcome } else { format!("[{outcome}]") });
        }
        for (method, params) in beside_tools() {
            column.push(asked(&agent, method, params).await);
        }
        if kind.title == "everything" {
            let missing: Vec<_> = known.difference(&listed).collect();
            assert_eq!(missing, ["no_such_tool"], "`calls` has tools that are not there");
        }
        columns.push(column);
    }
    let titles: Vec<_> = kinds.into_iter().map(|kind| kind.title).collect();
    let mut table = row("", &titles);
    for (line, (title, _)) in calls.into_iter().chain(beside_tools()).enumerate() {
        let cells: Vec<_> = columns.iter().map(|column| column[line].clone()).collect();
        table += &row(title, &cells);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/tools.matrix");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == table, "UPDATE=1 writes tools.matrix anew; it would be\n{table}");
}

fn row(first: &str, cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:<20}")).collect();
    format!("{first:<20}{}", cells.concat()).trim_end().to_owned() + "\n"
}

async fn agent(daemon: &mut TestDaemon, number: usize, kind: &Kind) -> Agent {
    let name = format!("kind-{number}");
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    daemon
        .add_key_as(CreateKeyRequest {
            name: name.clone(),
            scopes: words(&kind.scopes),
            tools: words(&kind.tools),
            owner: "ann".to_owned(),
            rate: RATE_MAX,
            ..CreateKeyRequest::default()
        })
        .await;
    daemon.agent(&name)
}

/// The tools that a key is shown, page by page.
async fn listed(agent: &Agent) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut params = json!({});
    loop {
        let reply = agent.request("tools/list", params).await;
        let result = &reply["result"];
        for tool in result["tools"].as_array().unwrap() {
            assert!(names.insert(tool["name"].as_str().unwrap().to_owned()), "listed twice");
        }
        match result["nextCursor"].as_str() {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => return names,
        }
    }
}

/// What a request comes to, in a word.
async fn asked(agent: &Agent, method: &str, params: Value) -> String {
    let exchange = agent.exchange(method, params).await;
    if exchange.status != 200 {
        return format!("HTTP {}", exchange.status.as_u16());
    }
    let reply = exchange.messages().pop().unwrap();
    let (result, error) = (&reply["result"], &reply["error"]);
    let content = &result["structuredContent"];
    let codes = [&content["code"], &error["data"]["code"], &content["status"]];
    if let Some(word) = codes.into_iter().find_map(Value::as_str) {
        return word.to_owned();
    }
    if let Some(code) = error["code"].as_i64() {
        return format!("error {code}");
    }
    match result["resources"].as_array() {
        Some(shown) => format!("{} shown", shown.len()),
        None if result["contents"][0]["text"] == "***REDACTED" => "redacted".to_owned(),
        None => "ok".to_owned(),
    }
}
