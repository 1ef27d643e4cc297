//! The log, as agents may search it.

use serde_json::{Value, json};
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_proto::v1::CreateKeyRequest;
use vouchsafe_tests::daemon::{RULES, TestDaemon};
use vouchsafe_tests::mcp::Agent;
use vouchsafe_tests::pages::Browser;

use crate::{check_refused, prompt_daemon};

const FREE: &str = r#"
[[rule]]
name = "The log"
resource = "vouchsafe://audit"
approval = "none"
"#;

const ASKED: &str = r#"
[[rule]]
name = "The log"
resource = "vouchsafe://audit"
approvers = ["group:oncall"]
lease = { default = "15m", max = "1h" }
"#;

async fn auditing(rules: &str) -> (TestDaemon, Agent) {
    let mut daemon = prompt_daemon().await;
    let loaded = daemon.load_rules(&format!("{RULES}{rules}")).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    daemon
        .add_key_as(CreateKeyRequest {
            name: "auditor".to_owned(),
            scopes: vec!["audit:read".to_owned()],
            owner: "ann".to_owned(),
            rate: RATE_MAX,
            ..CreateKeyRequest::default()
        })
        .await;
    let agent = daemon.agent("auditor");
    (daemon, agent)
}

fn actions(content: &Value) -> Vec<String> {
    let entries = content["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_key_with_the_scope_searches_the_log_of_its_project_and_sees_no_value() {
    let (daemon, auditor) = auditing(FREE).await;
    daemon.agent("claude").read("staging/DB").await;
    let found = auditor.call("query_audit", json!({ "action": "secret.*" })).await;
    assert_eq!(found.status(), "ok", "{found:?}");
    assert_eq!(actions(&found.content)[0], "secret.read");
    assert!(!found.content.to_string().contains("value-of-"), "{found:?}");
    let keys = auditor.call("query_audit", json!({ "action": "key.created" })).await;
    let newest = &keys.content["entries"][0]["details"];
    assert_eq!((&newest["key"], &newest["owner"]), (&json!("auditor"), &json!("ann")));
    let rules = auditor.call("query_audit", json!({ "action": "policy.loaded" })).await;
    let names = rules.content["entries"][0]["details"]["rules"].as_array().unwrap();
    assert!(names.contains(&json!("Production")) && names.contains(&json!("The log")), "{names:?}");
    let counted = auditor.call("query_audit", json!({ "group_by": "action" })).await;
    let groups = counted.content["groups"].as_array().unwrap();
    assert!(groups.iter().any(|group| group["value"] == "key.created"), "{counted:?}");
    // What belongs to no project is nobody's business here.
    let everything = auditor.call("query_audit", json!({ "limit": 100 })).await;
    let entries = everything.content["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["project"] == "default"), "{everything:?}");
    let noted = daemon.admin().log_of("audit.queried").await;
    let own = noted.iter().find(|entry| entry["actor"]["name"] == "auditor").unwrap();
    assert_eq!(own["resources"], json!(["vouchsafe://audit"]));
    assert_eq!(own["details"]["action"], "secret.*");
}

#[tokio::test]
async fn what_an_agent_searches_for_moves_no_text_in_the_log() {
    let (daemon, auditor) = auditing(FREE).await;
    let hidden = json!({ "actor": "nobody\u{202e}", "reason": "to\u{200b} look" });
    assert_eq!(auditor.call("query_audit", hidden).await.status(), "ok");
    let log = daemon.admin().export().await.lines;
    let log = String::from_utf8(log).unwrap();
    assert!(!log.contains(['\u{202e}', '\u{200b}']), "{log}");
    let given = daemon.admin().log_of("lease.issued").await.pop().unwrap();
    let arguments = given["details"]["arguments"].as_str().unwrap();
    let read: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(read["actor"], "nobody\u{202e}", "it still says what was asked");
}

#[tokio::test]
async fn pages_of_the_log_are_bounded_and_follow_on_each_other() {
    let (daemon, auditor) = auditing(FREE).await;
    for _ in 0..3 {
        daemon.agent("claude").read("staging/DB").await;
    }
    let filter = json!({ "action": "secret.read", "limit": 2 });
    let first = auditor.call("query_audit", filter.clone()).await;
    assert_eq!(actions(&first.content).len(), 2);
    let mut next = filter;
    next["page_token"] = first.content["next_token"].clone();
    let second = auditor.call("query_audit", next).await;
    assert_eq!(actions(&second.content).len(), 1);
    assert_eq!(second.content["next_token"], Value::Null);
    let refused = auditor.call("query_audit", json!({ "limit": 101 })).await;
    check_refused(
        &refused,
        "INVALID_ARGUMENT",
        "`limit` is a whole number from 1 to 100",
        "Correct the argument and call again.",
    );
}

#[tokio::test]
async fn without_a_rule_or_the_scope_the_log_is_refused() {
    let (daemon, auditor) = auditing("").await;
    check_refused(
        &auditor.call("query_audit", json!({})).await,
        "POLICY_REFUSED",
        "no rule is for vouchsafe://audit, and what no rule is for is refused",
        "Nobody can approve this; an operator would have to change the rules.",
    );
    let claude = daemon.agent("claude").call("query_audit", json!({})).await;
    assert_eq!(claude.code(), "SCOPE_NEEDED", "{claude:?}");
}

#[tokio::test]
async fn an_approved_search_is_bound_to_its_filters() {
    let (daemon, auditor) = auditing(ASKED).await;
    let filter = json!({ "action": "secret.read", "reason": "to see who reads" });
    let asked = auditor.call("query_audit", filter.clone()).await;
    assert_eq!(asked.status(), "pending");
    let bob = daemon.grpc("bob");
    let approval = bob.the_pending().await;
    assert_eq!(approval.items[0].resource, "vouchsafe://audit");
    assert_eq!(approval.arguments, r#"{"action":"secret.read"}"#);
    assert!(!approval.items[0].any_arguments);
    bob.approve(&approval).await.unwrap();
    let standing = auditor.call("await_approval", json!({ "approval_id": approval.id })).await;
    assert_eq!(standing.content["next"]["tool"], "query_audit");
    assert_eq!(standing.content["next"]["arguments"], json!({ "action": "secret.read" }));
    assert_eq!(auditor.call("query_audit", filter).await.status(), "ok");
    let paged = json!({ "action": "secret.read", "limit": 1 });
    assert_eq!(auditor.call("query_audit", paged).await.status(), "ok", "another page");
    let other = json!({ "action": "key.*", "reason": "to see more" });
    assert_eq!(auditor.call("query_audit", other).await.status(), "pending", "another search");
}

#[tokio::test]
async fn a_rule_that_binds_to_the_tool_approves_any_search() {
    let bound = ASKED.replace("lease =", "bind = \"tool\"\nlease =");
    let (daemon, auditor) = auditing(&bound).await;
    auditor.call("query_audit", json!({ "action": "secret.read" })).await;
    let bob = daemon.grpc("bob");
    let asked = bob.the_pending().await;
    assert!(asked.items[0].any_arguments);
    let page = Browser::signed_in(&daemon, "bob").await;
    let page = page.get(&format!("/approvals/{}", asked.id)).await;
    assert!(page.html.contains("Good for any arguments"), "{}", page.html);
    bob.approve(&asked).await.unwrap();
    let other = json!({ "action": "key.*" });
    assert_eq!(auditor.call("query_audit", other).await.status(), "ok");
}
