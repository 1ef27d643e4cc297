//! Rules, as people try them, explain them and put them in force.

use vouchsafe_proto::v1::{
    CheckPolicyRequest, ExplainPolicyRequest, Operation, PolicyFile, PolicyProblem,
    ShowPolicyRequest, ShowStatusRequest, TestPolicyRequest,
};
use vouchsafe_tests::daemon::{RULES, TestDaemon, value_of};

use crate::prompt_daemon;

const BROKEN: &str = r#"[[rule]]
name = "Broken"
resource = "vouchsafe://secrets/broken/*"
aprovers = ["group:oncall"]

[[rule]]
name = "Nobody"
resource = "vouchsafe://secrets/nobody/*"
approvers = ["group:nobody"]

[[rule]]
name = "Too many"
resource = "vouchsafe://secrets/many/*"
approvers = ["ann", "bob"]
quorum = 3
"#;

fn problems(found: &[PolicyProblem]) -> Vec<String> {
    let line = |p: &PolicyProblem| format!("{}:{}: {}; {}", p.file, p.line, p.message, p.mend);
    found.iter().map(line).collect()
}

const FOUND: [&str; 4] = [
    "test.toml:1: this rule asks for approval and names nobody to give it; write approvers = \
     [\"group:oncall\", \"jane@example.com\"]",
    "test.toml:4: `aprovers` is not a key of a rule; a rule has name, resource, operations, \
     effect, approval, mode, approvers, quorum, factor, self_approval, auto_approve, \
     require_reason, min_reason_length, reason_pattern, reason_hint, reason_kinds, lease, \
     pending_for, escalate_after, escalate_to, remind_every, remember, bind, follow_rotation, \
     break_glass",
    "test.toml:9: the group `nobody` has no members; put an enabled user with the role approver \
     into it, or name another",
    "test.toml:15: `quorum` is 3 and only 2 of the users can approve; lower it to 2, or name more \
     approvers",
];

#[tokio::test]
async fn a_folder_with_a_mistake_is_refused_whole_and_the_rules_before_stay() {
    let daemon = prompt_daemon().await;
    let admin = daemon.admin();
    let mut policy = admin.policy();
    let before = policy.show_policy(ShowPolicyRequest::default()).await.unwrap().into_inner();
    let refused = daemon.load_rules(&format!("{BROKEN}\n{RULES}")).await;
    assert_eq!(problems(&refused.problems), FOUND);
    assert_eq!((refused.digest.as_str(), refused.changed), (before.digest.as_str(), false));

    let after = policy.show_policy(ShowPolicyRequest::default()).await.unwrap().into_inner();
    assert_eq!(after.rules, before.rules);
    assert_eq!(problems(&after.problems), FOUND);
    let status = admin.status().show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    assert!(status.policy_stale);
    assert!(!status.warnings.is_empty());
    assert_eq!(daemon.agent("claude").read("staging/DB").await.value(), value_of("staging/DB"));
    let entry = admin.log_of("policy.refused").await.pop().unwrap();
    assert_eq!((&entry["outcome"], &entry["details"]["count"]), (&"failed".into(), &4.into()));

    let mended = daemon.load_rules(RULES).await;
    assert_eq!((mended.problems.len(), mended.digest, mended.changed), (0, before.digest, false));
    let status = admin.status().show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    assert!(!status.policy_stale);
}

#[tokio::test]
async fn checking_files_changes_nothing() {
    let daemon = prompt_daemon().await;
    let mut policy = daemon.grpc("bob").policy();
    let file = |text: &str| PolicyFile { name: "test.toml".to_owned(), text: text.to_owned() };
    let check = |text: &str| CheckPolicyRequest { files: vec![file(text)] };
    let found = policy.check_policy(check(BROKEN)).await.unwrap().into_inner();
    assert_eq!(problems(&found.problems), FOUND);
    assert_eq!((found.digest.as_str(), found.rules), ("", 0));
    let sound = policy.check_policy(check(RULES)).await.unwrap().into_inner();
    let own = policy.check_policy(CheckPolicyRequest { files: vec![] }).await.unwrap().into_inner();
    assert_eq!((sound.problems.len(), sound.rules), (0, 6));
    assert_eq!(sound.digest, own.digest);
    let one = RULES.split("[[rule]]").take(2).collect::<Vec<_>>().join("[[rule]]");
    let other = policy.check_policy(check(&one)).await.unwrap().into_inner();
    assert_eq!(other.rules, 1);
    assert_ne!(other.digest, own.digest);
    let shown = policy.show_policy(ShowPolicyRequest::default()).await.unwrap().into_inner();
    assert_eq!(shown.digest, own.digest);
}

#[tokio::test]
async fn cases_are_run_against_the_rules_beside_them() {
    let daemon = prompt_daemon().await;
    let cases = r#"
[[case]]
name = "Production is asked for"
resource = "vouchsafe://secrets/production/DB"
operation = "read"
expect = "ask"

[[case]]
name = "Staging is refused"
resource = "vouchsafe://secrets/staging/DB"
operation = "read"
expect = "refuse"
"#;
    let files = [("test.toml", RULES), ("test.cases.toml", cases)]
        .map(|(name, text)| PolicyFile { name: name.to_owned(), text: text.to_owned() });
    let request = TestPolicyRequest { files: files.into() };
    let tested = daemon.grpc("bob").policy().test_policy(request).await.unwrap().into_inner();
    assert_eq!(problems(&tested.problems), Vec::<String>::new());
    let results: Vec<_> =
        tested.results.iter().map(|case| (case.name.as_str(), case.passed)).collect();
    assert_eq!(results, [("Production is asked for", true), ("Staging is refused", false)]);
}

#[tokio::test]
async fn what_the_rules_would_say_is_explained() {
    let daemon = TestDaemon::start().await;
    let denial = "[[rule]]\nname = \"Never\"\nresource = \"vouchsafe://secrets/*/API\"\n\
                  effect = \"deny\"\n";
    daemon.load_rules(&format!("{RULES}\n{denial}")).await;
    for (path, operation, decision, why) in [
        ("production/DB", Operation::Read, "asks", "the rule \"Production\" asks people"),
        ("staging/DB", Operation::Read, "allowed", "the rule \"Staging\" asks nobody"),
        ("production/API", Operation::Read, "refused", "the rule \"Never\" denies it"),
        ("unruled/THING", Operation::Read, "refused", "no rule is for it"),
        (
            "production/DB",
            Operation::Delete,
            "refused",
            "the rule \"Production\" does not cover delete",
        ),
    ] {
        let request = ExplainPolicyRequest {
            resource: format!("vouchsafe://secrets/{path}"),
            operation: operation.into(),
            ..ExplainPolicyRequest::default()
        };
        let explained =
            daemon.grpc("bob").policy().explain_policy(request).await.unwrap().into_inner();
        assert_eq!((explained.decision.as_str(), explained.why.as_str()), (decision, why));
        let winners = explained.matches.iter().filter(|found| found.wins).count();
        assert_eq!(winners, usize::from(path != "unruled/THING"), "{path}");
    }
}

#[tokio::test]
async fn what_the_rules_refuse_is_told_to_the_agent_as_it_is() {
    let daemon = prompt_daemon().await;
    let claude = daemon.agent("claude");
    let next = "Nobody can approve this; an operator would have to change the rules.";
    let answer = claude.read("unruled/THING").await;
    let message = "no rule is for vouchsafe://secrets/unruled/THING, and what no rule is for is \
                   refused";
    crate::check_refused(&answer, "POLICY_REFUSED", message, next);
    let using = serde_json::json!({
        "resources": ["vouchsafe://secrets/vault/CODE"], "operation": "use",
    });
    let answer = claude.call("request_access", using).await;
    let message = "the rule \"Two people\" does not cover use on vouchsafe://secrets/vault/CODE";
    crate::check_refused(&answer, "POLICY_REFUSED", message, next);
    // The same answer whether or not there is such a secret: the rules are asked first.
    let answer = claude.read("unruled/NOTHING").await;
    assert_eq!(answer.code(), "POLICY_REFUSED");
}
