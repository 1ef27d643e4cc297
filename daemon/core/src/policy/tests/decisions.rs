use std::time::Duration;

use super::*;
use crate::resource::{Operation, Resource};
use crate::text::Reason;

const RULES: &str = r#"
[[rule]]
name = "Everything"
resource = "vouchsafe://secrets/**"
operations = ["list", "read", "write"]
approvers = ["group:oncall"]

[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["read"]
approvers = ["bob"]

[[rule]]
name = "Production, used"
resource = "vouchsafe://secrets/production/*"
operations = ["use"]
approval = "none"

[[rule]]
name = "The one"
resource = "vouchsafe://secrets/production/THE_ONE"
approval = "none"

[[rule]]
name = "No writing here"
resource = "vouchsafe://secrets/production/**"
effect = "deny"
operations = ["write", "delete"]

[[rule]]
name = "No root"
resource = "vouchsafe://secrets/**/ROOT"
effect = "deny"

[[rule]]
name = "Tools"
resource = "vouchsafe://tools/linear/*"
approval = "none"

[[rule]]
name = "Log"
resource = "vouchsafe://audit"
approval = "none"
"#;

fn check(set: &RuleSet, resource: &str, operation: Operation, expect: &str) {
    let resource: Resource = format!("vouchsafe://{resource}").parse().unwrap();
    let verdict = set.decide(&resource, operation);
    assert_eq!(verdict.to_string(), expect, "{operation} {resource}");
    let explained = set.explain(&resource, operation);
    assert_eq!(explained.verdict, verdict);
    let winners: Vec<_> = explained.matches.iter().filter(|found| found.wins).collect();
    assert_eq!(winners.len(), usize::from(verdict.decided_by().is_some()));
    assert!(winners.iter().all(|found| Some(found.placed.rule.name()) == verdict.decided_by()));
}

#[test]
fn a_denial_wins_then_the_most_specific_rule() {
    let set = read(RULES);
    for (resource, operation, expect) in [
        ("secrets/a/b/c", Operation::Read, "the rule `Everything` asks for approval"),
        ("secrets/a", Operation::Use, "the rule `Everything` covers only list, read, write"),
        ("secrets/production/A", Operation::Read, "the rule `Production` asks for approval"),
        ("secrets/production/A", Operation::Use, "the rule `Production, used` allows it"),
        // `Everything` would let it be listed, but a more specific rule is for it.
        ("secrets/production/A", Operation::List, "the rule `Production` covers only read"),
        ("secrets/production/A", Operation::Write, "the rule `No writing here` denies it"),
        ("secrets/production/eu/A", Operation::Read, "the rule `Everything` asks for approval"),
        ("secrets/production/eu/A", Operation::Write, "the rule `No writing here` denies it"),
        ("secrets/production/THE_ONE", Operation::Read, "the rule `The one` allows it"),
        ("secrets/production/ROOT", Operation::Read, "the rule `No root` denies it"),
        ("secrets/ROOT", Operation::List, "the rule `No root` denies it"),
        // Two deny it and are equally specific: the first by name is told.
        ("secrets/production/ROOT", Operation::Write, "the rule `No root` denies it"),
        ("tools/linear/create_issue", Operation::Call, "the rule `Tools` allows it"),
        ("tools/linear/create_issue", Operation::Read, "the rule `Tools` covers only list, call"),
        ("tools/github/create_issue", Operation::Call, "no rule is for this resource"),
        ("audit", Operation::Read, "the rule `Log` allows it"),
    ] {
        check(&set, resource, operation, expect);
    }
}

#[test]
fn a_rule_decides_however_many_there_are() {
    let rule = |n: u32| {
        let effect = if n.is_multiple_of(3) { "effect = \"deny\"" } else { "approval = \"none\"" };
        format!("[[rule]]\nname = \"R{n}\"\nresource = \"vouchsafe://secrets/*/s{n}\"\n{effect}\n")
    };
    let set = read(&(0..300).map(rule).collect::<String>());
    for n in 0..300_u32 {
        let verb = if n.is_multiple_of(3) { "denies" } else { "allows" };
        let expect = format!("the rule `R{n}` {verb} it");
        check(&set, &format!("secrets/x/s{n}"), Operation::Read, &expect);
    }
    check(&set, "secrets/x/s300", Operation::Read, "no rule is for this resource");
}

#[test]
fn without_rules_everything_is_refused() {
    for set in [RuleSet::empty(), RuleSet::default(), read("")] {
        check(&set, "secrets/a", Operation::List, "no rule is for this resource");
        assert_eq!(set.digest(), RuleSet::empty().digest());
    }
}

fn check_explained(resource: &str, operation: Operation, expect: &[&str]) {
    let set = read(RULES);
    let resource: Resource = format!("vouchsafe://{resource}").parse().unwrap();
    let explanation = set.explain(&resource, operation);
    let tell = |found: &Match<'_>| {
        let mark = if found.wins { "+" } else { "-" };
        format!("{mark} {} at {}: {}", found.placed.rule.name(), found.placed.line, found.why)
    };
    assert_eq!(explanation.matches.iter().map(tell).collect::<Vec<_>>(), expect);
}

#[test]
fn an_explanation_says_why_each_rule_won_or_lost() {
    check_explained(
        "secrets/production/A",
        Operation::Read,
        &[
            "- No writing here at 25: it denies only write, delete",
            "+ Production at 8: no pattern that matches is more specific",
            "- Production, used at 14: no pattern that matches is more specific, but it covers only \
             use",
            "- Everything at 2: the rule `Production` is more specific",
        ],
    );
    check_explained(
        "secrets/production/ROOT",
        Operation::Write,
        &[
            "+ No root at 31: it denies this, and a denial wins over everything else that matches",
            "- No writing here at 25: it denies this too",
            "- Production at 8: the rule `No root` denies this",
            "- Production, used at 14: the rule `No root` denies this",
            "- Everything at 2: the rule `No root` denies this",
        ],
    );
    check_explained(
        "secrets/a",
        Operation::Use,
        &["+ Everything at 2: no pattern that matches is more specific, but it covers only list, \
           read, write"],
    );
    check_explained("tools/x/y", Operation::Call, &[]);
}

fn allowing<'s>(set: &'s RuleSet, name: &str) -> &'s Rule {
    match &set.rule(name).unwrap().rule {
        AnyRule::Allow(rule) => rule,
        AnyRule::Deny(_) => panic!("`{name}` denies"),
    }
}

#[test]
fn what_a_rule_leaves_out_has_its_default() {
    let set = read(
        "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a\"\napprovers = [\"bob\"]\n",
    );
    let rule = allowing(&set, "A");
    assert_eq!(rule.operations.to_string(), "list, use, read");
    let quorum = rule.quorum().unwrap();
    assert_eq!((quorum.people(), quorum.self_approval), (1, false));
    assert_eq!((rule.require_reason, rule.min_reason_length), (false, 0));
    let lease =
        LeaseTerms { default: Duration::from_mins(15), max: Duration::from_hours(1), uses: None };
    assert_eq!(rule.lease, lease);
    assert_eq!(rule.pending_for, Duration::from_hours(1));
    assert!(!rule.follow_rotation);
}

#[test]
fn a_dev_home_lets_everybody_approve_their_own() {
    let files = [file(RULES)];
    let options = Options { self_approval_everywhere: true, channels: None };
    let dev = parse(&files, &directory(), &options).unwrap();
    assert!(allowing(&dev, "Everything").quorum().unwrap().self_approval);
    assert!(allowing(&dev, "The one").quorum().is_none());
    assert_ne!(dev.digest(), read(RULES).digest());
}

#[test]
fn a_rule_reads_back_from_what_an_approval_keeps() {
    for placed in read(RULES).rules() {
        if let AnyRule::Allow(rule) = &placed.rule {
            let kept = serde_json::to_string(rule).unwrap();
            let read: Rule = serde_json::from_str(&kept).unwrap();
            assert_eq!((&read, read.digest()), (rule, rule.digest()));
        }
    }
    assert_eq!(
        serde_json::to_string(allowing(&read(RULES), "Production")).unwrap(),
        r#"{"name":"Production","resource":"vouchsafe://secrets/production/*","operations":["read"],"asks":{"people":{"factors":[{"from":["bob"],"count":1}],"self_approval":false}},"mode":"enforce","auto_approve":null,"require_reason":false,"min_reason_length":0,"reason_pattern":null,"reason_kinds":[],"lease":{"default_ms":900000,"max_ms":3600000,"uses":null},"pending_for_ms":3600000,"escalation":null,"remind_every_ms":null,"remember":false,"bind":"arguments","follow_rotation":false,"break_glass":[]}"#
    );
}

#[test]
fn a_digest_is_of_what_a_rule_means() {
    let digest = |rest: &str| {
        let text =
            format!("[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a\"\n{rest}\n");
        let set = read(&text);
        (set.rules()[0].rule.digest(), set.digest())
    };
    let plain = digest("approvers = [\"bob\", \"group:oncall\"]");
    for same in [
        "approvers = [\"group:oncall\", \"bob\", \"bob\"]",
        "# a comment\napprovers = [\"bob\", \"group:oncall\"]\nquorum = 1\npending_for = \"60m\"",
        "approvers = [\"bob\", \"group:oncall\"]\noperations = [\"read\", \"use\", \"list\"]",
    ] {
        assert_eq!(digest(same), plain, "{same}");
    }
    for other in [
        "approvers = [\"bob\"]",
        "approvers = [\"bob\", \"group:oncall\"]\nquorum = 2",
        "approvers = [\"bob\", \"group:oncall\"]\nlease = { uses = 9 }",
        "approvers = [\"bob\", \"group:oncall\"]\nfollow_rotation = true",
        "approval = \"none\"",
        "effect = \"deny\"",
    ] {
        assert_ne!(digest(other), plain, "{other}");
    }
    // The name is the set's business alone.
    let renamed = read(
        "[[rule]]\nname = \"B\"\nresource = \"vouchsafe://secrets/a\"\napprovers = [\"bob\", \"group:oncall\"]\n",
    );
    assert_eq!(renamed.rules()[0].rule.digest(), plain.0);
    assert_ne!(renamed.digest(), plain.1);
}

#[test]
fn a_reason_is_asked_for_as_the_rule_says() {
    let check = |rest: &str, reason: Option<&str>, expect: Result<(), &str>| {
        let set = read(&format!(
            "[[rule]]\nname = \"A\"\nresource = \"vouchsafe://secrets/a\"\napproval = \"none\"\n{rest}\n"
        ));
        let reason = reason.map(|reason| Reason::parse(reason).unwrap());
        let got = allowing(&set, "A").check_reason(reason.as_ref(), None);
        assert_eq!(got.map_err(|error| error.to_string()), expect.map_err(str::to_owned), "{rest}");
    };
    check("", None, Ok(()));
    check("require_reason = true", Some("x"), Ok(()));
    check(
        "require_reason = true",
        None,
        Err("the rule asks for a reason of at least 1 visible characters, and this one has 0"),
    );
    let five = "require_reason = true\nmin_reason_length = 5";
    check(five, Some("fix it"), Ok(()));
    check(
        five,
        Some("f i x \u{200b}\u{200b}!"),
        Err("the rule asks for a reason of at least 5 visible characters, and this one has 4"),
    );
}

#[test]
fn those_who_count_are_enabled_and_have_the_role() {
    let asked = |names: &[&str]| -> Vec<_> {
        let refs: Vec<ApproverRef> = names.iter().map(|name| name.parse().unwrap()).collect();
        eligible(&refs, &directory()).into_iter().collect()
    };
    assert_eq!(asked(&["group:oncall"]), ["bob", "jane@example.com"]);
    assert_eq!(asked(&["group:oncall", "bob", "group:security"]), ["bob", "jane@example.com"]);
    assert!(asked(&["carl", "dora", "group:readers", "group:none", "nobody"]).is_empty());
    assert!(asked(&[]).is_empty());
}

#[test]
fn a_case_passes_or_says_what_came_instead() {
    let cases = parse_cases(&file(
        "[[case]]\nname = \"right\"\nresource = \"vouchsafe://secrets/a\"\noperation = \"read\"\n\
         expect = \"ask\"\nkey = \"claude-desktop\"\nlease_max = \"60m\"\napprovers = [\"group:oncall\"]\n\
         [[case]]\nname = \"wrong\"\nresource = \"vouchsafe://secrets/a\"\noperation = \"use\"\n\
         expect = \"allow\"\nrule = \"Production\"\nquorum = 2\n",
    ))
    .unwrap();
    assert_eq!(cases[0].key.as_deref(), Some("claude-desktop"));
    let results = run_cases(&read(RULES), &cases);
    assert!(results[0].passed && !results[1].passed);
    assert_eq!(results[0].expected, "ask, approvers group:oncall, lease_max 1h");
    assert_eq!(results[1].line, 9);
    assert_eq!(results[1].expected, "allow, rule Production, quorum 2");
    assert_eq!(results[1].got, "refuse, rule Everything, quorum none");
}
