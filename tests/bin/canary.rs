//! Where secrets must not be: anywhere but with their holders.
//!
//! A canary for each kind of secret goes the main way and into refusals, at the most talkative log
//! level there is. Then everything that a daemon leaves behind or says is searched for each of
//! them, in every form that programs give to bytes.

mod forms;

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use serde_json::{Value, json};
use vouchsafe_tests::process::{Agent, Bridge, Home, RealDaemon, Said, Trouble};

use self::forms::Scanner;

/// Has what JSON, URLs and shells escape.
const VALUE: &str = "cnry \"v4lue\" 8d1f\\06/7+c2é&3b9a41e07d55";
const URI: &str = "vouchsafe://secrets/asked/CANARY";
/// What an agent proposes, and somebody approves.
const PROPOSED: &str = "cnry2 'pr0p0sed' 51e8\\9f+/%d0à&77c2ab640e19f3";
const PROPOSED_URI: &str = "vouchsafe://secrets/asked/PROPOSED";
/// Where each is meant to be, below the home.
const HOLDERS: [&str; 3] = ["root.key", "credentials.toml", "keys"];

#[tokio::test]
async fn no_secret_is_anywhere_but_with_its_holder() {
    let noisy = [("RUST_LOG", "trace,rmcp=trace,h2=trace,hyper=trace,tower=trace")];
    let daemon = RealDaemon::start_with(Home::init().await, &["serve"], &noisy).await;
    let mut said = Vec::new();
    let canaries = play(&daemon, &mut said).await;
    let scanner = Scanner::new(&canaries);
    let mut found = Vec::new();
    for (what, text) in &said {
        found.extend(scanner.find(what, text.as_bytes()));
    }
    for file in ["environ", "cmdline"] {
        let bytes = fs::read(format!("/proc/{}/{file}", daemon.pid())).unwrap();
        found.extend(scanner.find(file, &bytes));
    }
    found.extend(scanner.find("daemon.log", daemon.log().as_bytes()));
    assert!(daemon.log().contains("TRACE") || daemon.log().contains("DEBUG"), "a quiet log");
    let mut files = Vec::new();
    search(&daemon.path(), &scanner, &mut files, &mut found);
    assert!(files.iter().any(|file| file == "vouchsafe.db-wal"), "{files:?}");
    let home = daemon.stop().await;
    // Once more, now that all is in the database file itself.
    search(&home.path(), &scanner, &mut files, &mut found);
    assert!(found.is_empty(), "{found:#?}");

    // The search finds what is there.
    home.write("planted", &format!("x{}", BASE64.encode(format!("1{VALUE}").as_bytes())));
    search(&home.path(), &scanner, &mut files, &mut found);
    assert_eq!(found.len(), 1, "{found:?}");
}

/// The main way and some refusals; what was said to people on it goes to `said`.
async fn play(daemon: &RealDaemon, said: &mut Vec<(String, String)>) -> Vec<(String, Vec<u8>)> {
    say(said, "put", &daemon.put("asked/CANARY", VALUE).await);
    let key = daemon.key("agent", "secrets:read,secrets:reveal,secrets:write").await;
    let masked = daemon.key("masked", "secrets:read").await;
    let agent = Agent::new(daemon.url("/mcp"), key.clone());
    let ask = json!({ "uri": URI, "reason": "for the canary" });
    let (answer, ()) = tokio::join!(agent.call("read_secret", ask.clone()), async {
        let id = daemon.pending(URI).await;
        say(said, "show", &daemon.vouchsafe(["approvals", "show", &id]).await.ok());
        say(said, "approve", &daemon.vouchsafe(["approve", &id, "--yes"]).await.ok());
    });
    assert_eq!(answer.unwrap().text("/value"), VALUE, "its holder has it");
    for method in ["resources/list", "tools/list"] {
        let listed = agent.request(method, json!({})).await.unwrap();
        said.push((method.to_owned(), listed.to_string()));
    }
    let read = agent.request("resources/read", json!({ "uri": URI })).await.unwrap();
    assert_eq!(read.pointer("/contents/0/text"), Some(&Value::from(VALUE)));
    let other = Agent::new(daemon.url("/mcp"), masked);
    let redacted = other.call("read_secret", ask.clone()).await.unwrap();
    assert_eq!(redacted.status(), "redacted");
    said.push(("redacted".to_owned(), redacted.content.to_string()));

    let mut bridge = Bridge::start(daemon, "agent");
    bridge.initialize().await;
    assert_eq!(bridge.call("read_secret", ask).await.text("/value"), VALUE);
    said.push(("bridge".to_owned(), bridge.close().await.1));
    proposals(daemon, &agent, said).await;
    refusals(daemon, &agent, &key, said).await;
    look_around(daemon, said).await;
    let root = daemon.read("root.key");
    vec![
        ("the value".to_owned(), VALUE.as_bytes().to_vec()),
        ("the proposed value".to_owned(), PROPOSED.as_bytes().to_vec()),
        ("the MCP key".to_owned(), secret_part(&key)),
        ("the user's token".to_owned(), secret_part(&daemon.admin_token())),
        ("the root key".to_owned(), BASE64.decode(root.trim().as_bytes()).unwrap()),
        ("the root key, as it is written".to_owned(), root.trim().as_bytes().to_vec()),
    ]
}

/// A value that an agent proposes: written, denied, and in conflict.
async fn proposals(daemon: &RealDaemon, agent: &Agent, said: &mut Vec<(String, String)>) {
    let ask = json!({ "uri": PROPOSED_URI, "value": PROPOSED, "reason": "for the canary" });
    for answer in ["approve", "deny", "conflict"] {
        let call = agent.call("write_secret", ask.clone());
        let (written, ()) = tokio::join!(call, async {
            let id = daemon.pending(PROPOSED_URI).await;
            say(said, "show", &daemon.vouchsafe(["approvals", "show", &id]).await.ok());
            if answer == "conflict" {
                say(said, "put", &daemon.put("asked/PROPOSED", "not the canary").await);
            }
            let told = if answer == "deny" {
                daemon.vouchsafe(["deny", &id, "--reason", "not now", "--yes"]).await.ok()
            } else {
                daemon.vouchsafe(["approve", &id, "--yes"]).await.ok()
            };
            say(said, answer, &told);
        });
        let written = written.unwrap();
        let status = match answer {
            "approve" => "applied",
            "deny" => "denied",
            other => other,
        };
        assert_eq!(written.status(), status, "{written:?}");
        said.push((answer.to_owned(), written.content.to_string()));
    }
    for wrong in [
        json!({ "uri": PROPOSED_URI, "value": PROPOSED, "generate": { "kind": "uuid" } }),
        json!({ "uri": PROPOSED_URI, "value_base64": PROPOSED }),
        json!({ "uri": PROPOSED_URI, "value": [PROPOSED] }),
        json!({ "uri": "vouchsafe://secrets/nowhere/X", "value": PROPOSED }),
    ] {
        let refused = agent.call("write_secret", wrong).await.unwrap();
        assert_eq!(refused.status(), "refused");
        said.push(("write_secret".to_owned(), refused.content.to_string()));
    }
}

/// Secrets where they do not belong: what comes back must not repeat them.
async fn refusals(daemon: &RealDaemon, agent: &Agent, key: &str, said: &mut Vec<(String, String)>) {
    let mut tell = |what: &str, answer: String| said.push((what.to_owned(), answer));
    let user = daemon.admin_token();
    // Each credential at the other's door, changed in its last character, and cut short.
    let mut typo = key.to_owned();
    typo.pop();
    typo.push('_');
    let cut = key.get(..key.len() - 9).unwrap().to_owned();
    for key in [user.clone(), typo, cut] {
        let refused = Agent::new(daemon.url("/mcp"), key).request("tools/list", json!({})).await;
        let Err(Trouble::Refused(401, body)) = refused else { panic!("{refused:?}") };
        tell("401", body);
    }
    let credentials = daemon.read("credentials.toml");
    daemon.write("credentials.toml", &format!("user = \"admin\"\ntoken = \"{key}\"\n"));
    tell("an MCP key as token", daemon.vouchsafe(["whoami"]).await.failed(3).to_string());
    daemon.write("credentials.toml", &credentials);
    for (tool, arguments) in [
        ("read_secret", json!({ "uri": format!("vouchsafe://secrets/{VALUE}") })),
        ("read_secret", json!({ "uri": URI, VALUE: 1 })),
        ("read_secret", json!({ "uri": URI, "duration": user })),
        ("await_approval", json!({ "approval_id": key })),
        ("no_such_tool", json!({ "value": VALUE })),
    ] {
        // What an agent itself sends comes back to it at most; in no log.
        drop(agent.call(tool, arguments).await);
    }
    drop(agent.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": VALUE })).await);
}

/// Everything that people can look at.
async fn look_around(daemon: &RealDaemon, said: &mut Vec<(String, String)>) {
    for line in [
        "status",
        "whoami",
        "doctor",
        "approvals",
        "leases",
        "secrets list",
        "keys list",
        "users list",
        "audit",
        "policy show",
        "audit verify",
    ] {
        for format in ["table", "json"] {
            let args = line.split(' ').chain(["-o", format]);
            let told = vouchsafe_tests::process::run("vouchsafe", &daemon.path(), args, b"").await;
            say(said, line, &told);
        }
    }
    let out = daemon.beside("export");
    daemon.vouchsafe(["audit", "export", "--out", out.to_str().unwrap()]).await.ok();
    for path in ["/metrics", "/healthz", "/readyz", "/nowhere"] {
        let body = reqwest::get(daemon.url(path)).await.unwrap().text().await.unwrap();
        said.push((path.to_owned(), body));
    }
    said.push(("export".to_owned(), fs::read_to_string(out).unwrap()));
}

fn say(said: &mut Vec<(String, String)>, what: &str, told: &Said) {
    said.push((what.to_owned(), told.to_string()));
}

/// `vs_kind_` and twelve characters are public; what follows is not.
fn secret_part(token: &str) -> Vec<u8> {
    let (_, body) = token.rsplit_once('_').unwrap();
    body.get(12..12 + 43).unwrap().as_bytes().to_vec()
}

fn search(path: &Path, scanner: &Scanner, files: &mut Vec<String>, found: &mut Vec<String>) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        if HOLDERS.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            search(&path, scanner, files, found);
        } else if kind.is_file() {
            found.extend(scanner.find(&name, &fs::read(&path).unwrap()));
            files.push(name);
        }
    }
}
