//! Sessions: which there are, and what ends them before their time.

use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{
    GrantKind, ListSessionsRequest, Operation, RevokeLeasesRequest, Session, VoteRequest,
};
use vouchsafe_tests::daemon::{TestDaemon, value_of};
use vouchsafe_tests::grpc::{Person, yes};
use vouchsafe_tests::mcp::{Agent, Answer};

use crate::minutes;

const RULES: &str = r#"
[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
remember = true
lease = { default = "5m", max = "10m", uses = 1 }

[[rule]]
name = "Vault"
resource = "vouchsafe://secrets/vault/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
remember = true
lease = { default = "5m", max = "10m", uses = 1 }
"#;

async fn daemon() -> TestDaemon {
    let builder = TestDaemon::builder().rules(RULES).block_for(std::time::Duration::ZERO);
    builder.start().await
}

/// The agent has this for its session, by cat's word; the first answer under it.
async fn session_on(daemon: &TestDaemon, agent: &Agent, path: &str) -> Answer {
    let (asked, cat) = (agent.read(path).await.approval(), daemon.grpc("cat"));
    let vote = yes(&cat.show(&asked).await.unwrap());
    cat.vote(VoteRequest { kind: GrantKind::Session.into(), ..vote }).await.unwrap();
    let answer = agent.read(path).await;
    assert_eq!(answer.value(), value_of(path));
    answer
}

async fn sessions(by: &Person, key: &str) -> Vec<Session> {
    let request = ListSessionsRequest { project: String::new(), key: key.to_owned() };
    by.leases().list_sessions(request).await.unwrap().into_inner().sessions
}

/// How many leases and how many sessions ended.
async fn revoke(by: &Person, which: Which) -> (usize, u32) {
    let request = RevokeLeasesRequest { which: Some(which), ..RevokeLeasesRequest::default() };
    let answer = by.leases().revoke_leases(request).await.unwrap().into_inner();
    (answer.revoked.len(), answer.sessions_ended)
}

#[tokio::test]
async fn the_sessions_that_last_are_listed_with_who_gave_them() {
    let daemon = daemon().await;
    let (claude, cursor, cat) =
        (daemon.agent("claude"), daemon.agent("cursor"), daemon.grpc("cat"));
    session_on(&daemon, &claude, "production/DB").await;
    daemon.advance(minutes(1)).await;
    session_on(&daemon, &cursor, "vault/CODE").await;
    let all = sessions(&cat, "").await;
    let keys: Vec<_> = all.iter().map(|session| session.key_name.as_str()).collect();
    assert_eq!(keys, ["cursor", "claude"], "the one that lasts longest first");
    let one = sessions(&cat, "claude").await.remove(0);
    assert_eq!((one.rule.as_str(), one.operation()), ("Production", Operation::Read));
    assert_eq!((one.project.as_str(), one.given_by), ("default", vec!["cat".to_owned()]));
    assert_eq!(one.until.unwrap().seconds - one.given_at.unwrap().seconds, 30 * 60);
    daemon.advance(minutes(29)).await;
    assert_eq!(sessions(&cat, "claude").await, []);
    // A rule that has changed remembers nothing.
    assert_eq!(sessions(&cat, "").await.len(), 1);
    daemon.load_rules(&RULES.replace("uses = 1", "uses = 2")).await;
    assert_eq!(sessions(&cat, "").await, []);
    assert_eq!(cursor.read("vault/CODE").await.status(), "pending");
}

#[tokio::test]
async fn a_lease_that_is_taken_back_takes_its_session_with_it() {
    let daemon = daemon().await;
    let (claude, cat) = (daemon.agent("claude"), daemon.grpc("cat"));
    session_on(&daemon, &claude, "production/DB").await;
    session_on(&daemon, &claude, "vault/CODE").await;
    daemon.load_rules(RULES).await;
    // Its own lease is used up; this one was given under the session.
    let given = claude.call("request_access", request("production/API")).await;
    let lease = given.content["leases"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(revoke(&cat, Which::Id(lease)).await, (1, 1));
    assert_eq!(claude.read("production/DB").await.status(), "pending");
    assert_eq!(claude.read("vault/CODE").await.value(), value_of("vault/CODE"));
    let log = &daemon.admin().log_of("session.ended").await[0];
    assert_eq!(
        (&log["actor"]["name"], &log["details"]["rule"]),
        (&"cat".into(), &"Production".into())
    );
}

#[tokio::test]
async fn sessions_end_with_the_leases_on_what_their_rule_is_for_and_with_all_leases() {
    let daemon = daemon().await;
    let (claude, cursor, cat) =
        (daemon.agent("claude"), daemon.agent("cursor"), daemon.grpc("cat"));
    for agent in [&claude, &cursor] {
        session_on(&daemon, agent, "production/DB").await;
        session_on(&daemon, agent, "vault/CODE").await;
    }
    let api = "vouchsafe://secrets/production/API".to_owned();
    assert_eq!(revoke(&cat, Which::Resource(api)).await, (0, 2));
    assert_eq!(claude.read("production/DB").await.status(), "pending");
    assert_eq!(claude.read("vault/CODE").await.status(), "ok");
    assert_eq!(revoke(&cat, Which::Key("claude".to_owned())).await, (0, 1));
    assert_eq!(claude.read("vault/CODE").await.status(), "pending");
    assert_eq!(cursor.read("vault/CODE").await.status(), "ok");
    assert_eq!(revoke(&cat, Which::All(true)).await, (0, 1));
    assert_eq!(cursor.read("vault/CODE").await.status(), "pending");
    assert_eq!(revoke(&cat, Which::All(true)).await, (0, 0));
    assert_eq!(daemon.admin().log_of("session.ended").await.len(), 4);
}

fn request(path: &str) -> serde_json::Value {
    serde_json::json!({ "resources": [vouchsafe_tests::mcp::uri(path)], "operation": "read" })
}
