//! How people answer, and the rules that their answers suggest.

use std::time::Duration;

use serde_json::json;
use vouchsafe_proto::v1::{
    AnswerStats, Approval, DeleteKeyRequest, Operation, ShowStatsRequest, SuggestRulesRequest,
    SuggestRulesResponse, SuggestedRule,
};
use vouchsafe_tests::daemon::{RULES, TestDaemon};
use vouchsafe_tests::mcp::uri;

use crate::projects::daemon_with_shop;
use crate::{minutes, prompt_daemon};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What an agent asks for, after so long.
async fn asked(daemon: &TestDaemon, key: &str, path: &str, thought: Duration) -> Approval {
    let answer = daemon.agent(key).read(path).await;
    assert_eq!(answer.status(), "pending", "{answer:?}");
    daemon.clock.advance(thought);
    daemon.grpc("bob").show(&answer.approval()).await.unwrap()
}

/// Approved by somebody after so long; its lease ends.
async fn approved(daemon: &TestDaemon, key: &str, path: &str, by: &str, thought: Duration) {
    let approval = asked(daemon, key, path, thought).await;
    daemon.grpc(by).approve(&approval).await.unwrap();
    daemon.advance(minutes(61)).await;
}

async fn stats(daemon: &TestDaemon, request: ShowStatsRequest) -> Vec<String> {
    let answer = daemon.grpc("bob").approvals().show_stats(request).await.unwrap().into_inner();
    assert!(!answer.cut);
    let tell = |stats: &AnswerStats| {
        let median = stats.median_time.unwrap();
        let rule = if stats.rule.is_empty() { "all" } else { &stats.rule };
        let seconds = f64::from(i32::try_from(median.seconds).unwrap())
            + f64::from(median.nanos) / 1_000_000_000.0;
        let (answers, approved) = (stats.answers, stats.approved);
        let hasty = stats.under_two_seconds;
        format!("{} {rule}: {approved}/{answers}, {seconds} s, {hasty} at once", stats.approver)
    };
    answer.answers.iter().map(tell).collect()
}

#[tokio::test]
async fn answers_are_counted_by_approver_and_rule() {
    let daemon = prompt_daemon().await;
    assert_eq!(stats(&daemon, ShowStatsRequest::default()).await, [""; 0]);
    for thought in [0, 1, 90] {
        approved(&daemon, "claude", "production/DB", "bob", seconds(thought)).await;
    }
    let vault = asked(&daemon, "claude", "vault/CODE", seconds(10)).await;
    daemon.grpc("bob").approve(&vault).await.unwrap();
    daemon.clock.advance(seconds(20));
    daemon.grpc("cat").deny(&vault, "not now").await.unwrap();
    let since = daemon.grpc("bob").show(&vault.id).await.unwrap().created_at;
    let all = ShowStatsRequest::default();
    assert_eq!(
        stats(&daemon, all.clone()).await,
        [
            "bob all: 4/4, 5.5 s, 2 at once",
            "bob Production: 3/3, 1 s, 2 at once",
            "bob Two people: 1/1, 10 s, 0 at once",
            "cat all: 0/1, 30 s, 0 at once",
            "cat Two people: 0/1, 30 s, 0 at once",
        ]
    );
    let of_cat = ShowStatsRequest { approver: "cat".to_owned(), ..all.clone() };
    assert_eq!(stats(&daemon, of_cat).await.len(), 2);
    let of_rule = ShowStatsRequest { rule: "Production".to_owned(), ..all.clone() };
    assert_eq!(
        stats(&daemon, of_rule).await,
        ["bob all: 3/3, 1 s, 2 at once", "bob Production: 3/3, 1 s, 2 at once"]
    );
    let late = ShowStatsRequest { since, ..all };
    assert_eq!(stats(&daemon, late).await.len(), 4);
}

#[tokio::test]
async fn answers_in_another_project_are_not_told() {
    let daemon = daemon_with_shop().await;
    approved(&daemon, "claude", "production/DB", "bob", seconds(3)).await;
    let shop = ShowStatsRequest { project: "shop".to_owned(), ..ShowStatsRequest::default() };
    assert_eq!(stats(&daemon, shop).await, [""; 0]);
    assert_eq!(stats(&daemon, ShowStatsRequest::default()).await.len(), 2);
}

async fn suggested(daemon: &TestDaemon, min_asks: u32) -> Vec<SuggestedRule> {
    let request = SuggestRulesRequest { min_asks, ..SuggestRulesRequest::default() };
    let answer = daemon.grpc("bob").approvals().suggest_rules(request).await.unwrap();
    let SuggestRulesResponse { rules, cut } = answer.into_inner();
    assert!(!cut);
    rules
}

#[tokio::test]
async fn a_rule_is_suggested_for_what_is_always_approved_and_holds_as_it_is() {
    let daemon = prompt_daemon().await;
    for by in ["bob", "cat", "bob"] {
        approved(&daemon, "claude", "production/DB", by, seconds(5)).await;
    }
    approved(&daemon, "cursor", "production/DB", "cat", seconds(5)).await;
    assert_eq!(suggested(&daemon, 0).await, [], "ten times at least where nobody says");
    assert_eq!(suggested(&daemon, 4).await, []);
    let rule = suggested(&daemon, 3).await.remove(0);
    assert_eq!((rule.name.as_str(), rule.asks), ("claude may read production/DB", 3));
    assert_eq!((rule.key.as_str(), rule.operation()), ("claude", Operation::Read));
    assert_eq!((rule.resource, rule.approved_by), (uri("production/DB"), names(&["bob", "cat"])));
    let replay = rule.replay.unwrap();
    assert!(replay.problems.is_empty());
    assert_eq!((replay.asks, replay.same), (4, 0));
    let told = |now: &str| -> Vec<_> {
        let changes = replay.changes.iter().filter(|change| change.now == now);
        changes.map(|change| (change.key.as_str(), change.was.as_str(), change.asks)).collect()
    };
    assert_eq!(told("approves"), [("claude", "asks", 3)]);
    assert_eq!(told("asks"), [("cursor", "asks", 1)]);

    daemon.write_rules("suggested.toml", &rule.toml);
    assert_eq!(daemon.reload().await.problems, []);
    assert_eq!(daemon.agent("claude").read("production/DB").await.status(), "ok");
    assert_eq!(daemon.agent("cursor").read("production/DB").await.status(), "pending");
    assert_eq!(daemon.agent("claude").read("production/API").await.status(), "pending");
    let using = json!({ "resources": [uri("production/DB")], "operation": "use" });
    assert_eq!(daemon.agent("claude").call("request_access", using).await.status(), "pending");
    assert_eq!(suggested(&daemon, 3).await, [], "it is in force");
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn nothing_is_suggested_that_was_ever_denied_or_left_out() {
    let daemon = prompt_daemon().await;
    let bob = daemon.grpc("bob");
    for path in ["production/DB", "production/API"] {
        approved(&daemon, "claude", path, "bob", seconds(5)).await;
    }
    assert_eq!(suggested(&daemon, 1).await.len(), 2);
    let denied = asked(&daemon, "claude", "production/DB", seconds(5)).await;
    bob.deny(&denied, "not this time").await.unwrap();
    let left: Vec<_> = suggested(&daemon, 1).await.into_iter().map(|it| it.resource).collect();
    assert_eq!(left, [uri("production/API")]);
    daemon.agent("claude").read("production/DB").await;
    let both = json!({ "resources": [uri("production/DB"), uri("production/API")] });
    let both = daemon.agent("claude").call("request_access", both).await.approval();
    let both = bob.show(&both).await.unwrap();
    let mut vote = vouchsafe_tests::grpc::yes(&both);
    vote.only = vec![uri("production/DB")];
    bob.vote(vote).await.unwrap();
    assert_eq!(suggested(&daemon, 1).await, []);
}

#[tokio::test]
async fn nothing_is_suggested_for_two_people_or_for_a_key_that_is_gone() {
    let daemon = prompt_daemon().await;
    let vault = asked(&daemon, "claude", "vault/CODE", seconds(5)).await;
    daemon.grpc("bob").approve(&vault).await.unwrap();
    daemon.grpc("cat").approve(&vault).await.unwrap();
    assert_eq!(suggested(&daemon, 1).await, []);
    approved(&daemon, "claude", "production/DB", "bob", seconds(5)).await;
    assert_eq!(suggested(&daemon, 1).await.len(), 1);
    let gone = DeleteKeyRequest { name: "claude".to_owned(), ..DeleteKeyRequest::default() };
    daemon.admin().keys().delete_key(gone).await.unwrap();
    assert_eq!(suggested(&daemon, 1).await, []);
}

#[tokio::test]
async fn a_rule_for_one_resource_alone_is_told_what_to_add() {
    let rules = format!(
        "{RULES}\n[[rule]]\nname = \"The database\"\n\
         resource = \"vouchsafe://secrets/production/DB\"\napprovers = [\"group:oncall\"]\n"
    );
    let daemon = TestDaemon::builder().rules(&rules).block_for(minutes(0)).start().await;
    approved(&daemon, "claude", "production/DB", "bob", seconds(5)).await;
    let rule = suggested(&daemon, 1).await.remove(0);
    assert_eq!((rule.name.as_str(), &rule.replay), ("The database", &None));
    assert!(rule.toml.contains("#   requester = [\"claude\"]"), "{}", rule.toml);
}
