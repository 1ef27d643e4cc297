//! Rules, as people try them, explain them and put them in force.

use vouchsafe_proto::v1::{
    CheckPolicyRequest, CreateKeyRequest, CreateProjectRequest, ExplainPolicyRequest, Operation,
    PolicyFile, PolicyProblem, PutSecretRequest, RunChecksRequest, ShowPolicyRequest,
    ShowStatusRequest, TestPolicyRequest,
};
use vouchsafe_tests::daemon::{RULES, TestDaemon, value_of};
use vouchsafe_tests::events::eventually;

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
     break_glass, notify",
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

const SHOP: &str = r#"
[[rule]]
name = "Shop"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "read"]
approval = "none"
"#;

#[tokio::test]
async fn each_project_is_under_the_rules_in_the_folder_of_its_name() {
    let mut daemon = prompt_daemon().await;
    daemon.write_rules("shop/rules.toml", SHOP);
    let refused = daemon.reload().await;
    assert_eq!(
        problems(&refused.problems),
        [
            "shop:0: there is no project `shop`; make it with `vouchsafe projects create`, or take its \
          folder away"
        ]
    );

    let admin = daemon.admin();
    let made = CreateProjectRequest { name: "shop".to_owned(), ..CreateProjectRequest::default() };
    admin.projects().create_project(made).await.unwrap();
    let loaded = daemon.reload().await;
    assert_eq!((loaded.problems.len(), loaded.rules, loaded.changed), (0, 7, true));
    let show = |project: &str| ShowPolicyRequest { project: project.to_owned() };
    let shop = admin.policy().show_policy(show("shop")).await.unwrap().into_inner();
    let default = admin.policy().show_policy(show("")).await.unwrap().into_inner();
    let names: Vec<_> = shop.rules.iter().map(|rule| (&*rule.name, &*rule.file)).collect();
    assert_eq!(names, [("Shop", "shop/rules.toml")]);
    assert_eq!((shop.project.as_str(), default.project.as_str()), ("shop", "default"));
    assert_ne!(shop.digest, default.digest);
    assert_eq!(default.rules.len(), 6);

    let put = PutSecretRequest {
        project: "shop".to_owned(),
        path: "production/DB".to_owned(),
        value: b"of the shop".to_vec(),
        ..PutSecretRequest::default()
    };
    admin.secrets().put_secret(put).await.unwrap();
    daemon
        .add_key_as(CreateKeyRequest {
            project: "shop".to_owned(),
            name: "seller".to_owned(),
            owner: "ann".to_owned(),
            scopes: vec!["secrets:read".to_owned(), "secrets:reveal".to_owned()],
            ..CreateKeyRequest::default()
        })
        .await;
    assert_eq!(daemon.agent("seller").read("production/DB").await.value(), "of the shop");
    let asked = daemon.agent("claude").read("production/DB").await;
    assert_eq!(asked.status(), "pending", "the rules of `default` ask");
    let approval = daemon.grpc("bob").show(&asked.approval()).await.unwrap();
    assert_eq!(approval.rule_set, default.digest);
    // The other project's rules are none of its own, and a project without rules is refused all.
    assert_eq!(daemon.agent("seller").read("staging/DB").await.code(), "POLICY_REFUSED");
}

#[tokio::test]
async fn a_changed_folder_is_read_by_itself_and_a_mistake_in_it_is_said() {
    let mut daemon = prompt_daemon().await;
    daemon.config().policy.watch = true;
    daemon.restart().await;
    let admin = daemon.admin();
    let refused = admin.log_of("policy.refused").await.len();
    daemon.write_rules("test.toml", &RULES.replace("uses = 3", "uses = 2"));
    let show = || async {
        admin.policy().show_policy(ShowPolicyRequest::default()).await.unwrap().into_inner()
    };
    let uses = |rules: &[vouchsafe_proto::v1::RuleSummary]| {
        rules.iter().find(|rule| rule.name == "Staging").map(|rule| rule.uses)
    };
    eventually("the rules to be read", || async {
        (uses(&show().await.rules) == Some(2)).then_some(())
    })
    .await;
    let entry = admin.log_of("policy.loaded").await.pop().unwrap();
    assert_eq!(entry["actor"]["kind"], "system", "{entry}");

    daemon.write_rules("test.toml", BROKEN);
    eventually("the mistake to be said", || async {
        (admin.log_of("policy.refused").await.len() > refused).then_some(())
    })
    .await;
    assert_eq!(problems(&show().await.problems).len(), FOUND.len());
    assert_eq!(uses(&show().await.rules), Some(2), "the rules before run on");
    daemon.write_rules("test.toml", RULES);
    eventually("the mended rules to be read", || async {
        let shown = show().await;
        (shown.problems.is_empty() && uses(&shown.rules) == Some(3)).then_some(())
    })
    .await;
}

const JUDGED: &str = r#"
[[rule]]
name = "Judged"
resource = "vouchsafe://secrets/judged/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
require_reason = true
min_reason_length = 10
reason_kinds = ["incident", "release"]
escalate_after = "10m"
escalate_to = ["dan"]
remind_every = "5m"
remember = true
pending_for = "1h"
[rule.auto_approve]
requester = ["cursor"]

[[rule]]
name = "By level"
resource = "vouchsafe://secrets/level/*"
operations = ["list", "use", "read"]
approval = "level"
approvers = ["group:oncall"]

[[rule]]
name = "Watched"
resource = "vouchsafe://secrets/watched/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
mode = "observe"
"#;

#[tokio::test]
async fn an_ask_is_explained_with_its_key_its_reason_and_its_people() {
    let daemon = prompt_daemon().await;
    daemon.load_rules(JUDGED).await;
    let explain = async |path: &str, operation: Operation, key: &str, reason: &str, kind: &str| {
        let request = ExplainPolicyRequest {
            resource: format!("vouchsafe://secrets/{path}"),
            operation: operation.into(),
            key: key.to_owned(),
            reason: reason.to_owned(),
            reason_kind: kind.to_owned(),
            ..ExplainPolicyRequest::default()
        };
        daemon.grpc("dan").policy().explain_policy(request).await.unwrap().into_inner()
    };
    let why = "the disk is full";
    let asks = explain("judged/X", Operation::Read, "claude", why, "incident").await;
    assert_eq!(asks.decision, "asks");
    assert_eq!(asks.why, "the rule \"Judged\" asks people, for its conditions do not all hold");
    // Claude is ann's, and the rule does not let its owner answer.
    assert_eq!(asks.people, ["admin", "bob", "cat"]);
    assert_eq!(asks.escalates_to, ["dan"]);
    assert_eq!(asks.escalates_after.unwrap().seconds, 600);
    assert_eq!(asks.pending_for.unwrap().seconds, 3_600);
    let conditions: Vec<_> =
        asks.conditions.iter().map(|one| (one.condition.as_str(), one.holds)).collect();
    assert_eq!(conditions, [("requester", false)]);

    let approves = explain("judged/X", Operation::Read, "cursor", why, "release").await;
    assert_eq!((approves.decision.as_str(), approves.conditions[0].holds), ("approves", true));
    let lacks = explain("judged/X", Operation::Read, "claude", "short", "incident").await;
    assert_eq!(lacks.decision, "reason");
    assert_eq!(
        lacks.reason_lacks,
        "the rule asks for a reason of at least 10 visible characters, and this one has 5"
    );
    assert_eq!(lacks.factors.len(), 1, "whom it would ask is said all the same");
    let kind = explain("judged/X", Operation::Read, "claude", why, "fun").await;
    assert_eq!(kind.decision, "reason");

    let asks = explain("level/X", Operation::Read, "claude", "", "").await;
    assert_eq!(asks.decision, "asks");
    let allowed = explain("level/X", Operation::Use, "claude", "", "").await;
    assert_eq!(allowed.decision, "allowed");
    assert_eq!(
        allowed.why,
        "the rule \"By level\" leaves it to the key's level, and balanced does not ask for use"
    );
    let observed = explain("watched/X", Operation::Read, "claude", "", "").await;
    assert_eq!(observed.decision, "observed");
    assert_eq!(
        observed.why,
        "the rule \"Watched\" is only observed and asks nobody; it would ask people"
    );
    let unknown = ExplainPolicyRequest {
        resource: "vouchsafe://secrets/level/X".to_owned(),
        operation: Operation::Read.into(),
        key: "nobody".to_owned(),
        ..ExplainPolicyRequest::default()
    };
    let answer = daemon.grpc("dan").policy().explain_policy(unknown).await;
    crate::check_code(answer, tonic::Code::NotFound, "KEY_NOT_FOUND");
}

#[tokio::test]
async fn what_rules_say_is_shown_and_observing_is_loud() {
    let daemon = prompt_daemon().await;
    daemon.load_rules(JUDGED).await;
    let admin = daemon.admin();
    let shown =
        admin.policy().show_policy(ShowPolicyRequest::default()).await.unwrap().into_inner();
    let rule = |name: &str| shown.rules.iter().find(|rule| rule.name == name).unwrap();
    assert_eq!(
        rule("Judged").terms,
        [
            "min_reason_length 10",
            "reason_kinds incident, release",
            "auto_approve.requester cursor",
            "pending_for 1h",
            "escalate_after 10m",
            "escalate_to dan",
            "remind_every 5m",
            "remember",
        ]
    );
    assert_eq!(rule("By level").approval, "level");
    assert!(rule("Watched").observed && !rule("Judged").observed);

    admin.put("watched/X", "seen").await;
    assert_eq!(daemon.agent("claude").read("watched/X").await.value(), "seen");
    let status = admin.status().show_status(ShowStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.rules_observed, status.observed_asks), (vec!["Watched".to_owned()], 1));
    let said = "1 rule is only observed and asks nobody: \"Watched\"; 1 lease was given so.";
    assert!(status.warnings.iter().any(|warning| warning == said), "{:?}", status.warnings);
    let checks = admin.status().run_checks(RunChecksRequest {}).await.unwrap().into_inner();
    let check = checks.results.iter().find(|check| check.name == "observed rules").unwrap();
    assert!(!check.ok && check.mend.contains("mode"), "{check:?}");
}
