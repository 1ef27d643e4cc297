//! Rules written out again, and rules that are suggested.

use super::super::write;
use super::super::write::Anew;
use super::*;
use crate::id::KeyId;
use crate::resource::{Operation, Resource};
use crate::time::UnixTime;

/// Rules with everything that can be said.
const RULES: &str = r#"
[[rule]]
name = "Plain"
resource = "vouchsafe://secrets/plain/*"
approvers = ["bob"]

[[rule]]
name = "Nobody is asked"
resource = "vouchsafe://secrets/free/**"
operations = ["use"]
approval = "none"
require_reason = true
lease = { default = "1h30m", max = "2d", uses = 3 }
follow_rotation = true

[[rule]]
name = "By \"level\", with a \\"
resource = "vouchsafe://tools/linear/*"
approval = "level"
approvers = ["group:oncall"]
mode = "observe"
bind = "tool"
remember = true

[[rule]]
name = "All of it"
resource = "vouchsafe://secrets/all/*"
operations = ["list", "use", "read", "write", "delete"]
self_approval = true
require_reason = true
min_reason_length = 12
reason_pattern = '^INC-[0-9]+ "\S+"'
reason_hint = 'begin with the incident: INC-1 "what"'
reason_kinds = ["incident", "other"]
pending_for = "2h"
escalate_after = "30m"
escalate_to = ["group:security"]
remind_every = "10m"
remember = true
notify = ["email", "slack:security"]
break_glass = ["bob", "group:oncall"]
[[rule.factor]]
from = ["group:security"]
[[rule.factor]]
from = ["bob", "group:oncall"]
count = 1
[rule.auto_approve]
time_window = "09:00-17:00 Europe/Berlin"
days = ["Mon", "Wed-Fri"]
schedule = "* 9-17 * * Mon-Fri"
requester = ["claude-desktop", "ci-*"]
operations = ["list", "use"]
when = 'ask.reason.startsWith("INC-") && ask.reason.matches("\\d")'

[[rule]]
name = "Two of them"
resource = "vouchsafe://secrets/two/*"
approvers = ["group:oncall"]
quorum = 2
"#;

#[test]
fn what_is_written_reads_back_as_the_same_rule() {
    for placed in read(RULES).rules() {
        let AnyRule::Allow(given) = &placed.rule else { panic!("no rule denies") };
        let (name, resource) = (given.name.as_str(), given.resource.to_string());
        let anew = Anew { name, resource: &resource, approves: None };
        let written = write::rule(given, &anew, &Options::default());
        let again = read(&written);
        assert_eq!(again.rules().len(), 1, "{written}");
        assert_eq!(again.rules().first().unwrap().rule, placed.rule, "{written}");
    }
}

#[test]
fn what_a_home_says_of_every_rule_is_not_written_into_one() {
    let options = Options { self_approval_everywhere: true, channels: None };
    let text = "[[rule]]\nname = \"a\"\nresource = \"vouchsafe://secrets/a\"\n\
                approvers = [\"bob\"]\n";
    let set = parse(&[file(text)], &directory(), &options).unwrap();
    let AnyRule::Allow(given) = &set.rules().first().unwrap().rule else { panic!() };
    let anew = Anew { name: "a", resource: "vouchsafe://secrets/a", approves: None };
    assert!(!write::rule(given, &anew, &options).contains("self_approval"));
    assert!(write::rule(given, &anew, &Options::default()).contains("self_approval = true"));
}

#[test]
fn a_text_is_one_text_whatever_is_in_it() {
    let odd = "a \"b\" \\ \n[[rule]] \u{7f}\u{1}#";
    let table: toml::Table = toml::from_str(&format!("a = {}", write::text(odd))).unwrap();
    assert_eq!(table.get("a").and_then(toml::Value::as_str), Some(odd));
}

const GOVERNING: &str = r#"
[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "use", "read"]
approvers = ["group:oncall"]
require_reason = true
min_reason_length = 8
pending_for = "2h"

[[rule]]
name = "Changes"
resource = "vouchsafe://secrets/production/*"
operations = ["write", "delete"]
approvers = ["group:security"]

[[rule]]
name = "The one"
resource = "vouchsafe://secrets/production/THE_ONE"
approvers = ["bob"]

[[rule]]
name = "Two people"
resource = "vouchsafe://secrets/vault/*"
approvers = ["group:oncall"]
quorum = 2

[[rule]]
name = "By itself at times"
resource = "vouchsafe://secrets/deploy/*"
approvers = ["group:oncall"]
auto_approve = { requester = ["ci-*"] }

[[rule]]
name = "Free"
resource = "vouchsafe://secrets/free/*"
approval = "none"
"#;

fn habit(key: &str, path: &str, operation: Operation) -> Habit {
    Habit {
        key: KeyId::from_random([7; crate::id::ID_BYTES]),
        key_name: key.to_owned(),
        resource: format!("vouchsafe://secrets/{path}").parse().unwrap(),
        operation,
        asks: 12,
        first_at: UnixTime::parse_rfc3339("2026-10-24T10:00:00Z").unwrap(),
        last_at: UnixTime::parse_rfc3339("2026-11-21T10:00:00Z").unwrap(),
        approved_by: vec!["bob".to_owned(), "jane@example.com".to_owned()],
    }
}

fn offers(habits: Vec<Habit>) -> Vec<Offer> {
    let offers = suggest(&read(GOVERNING), habits, &Options::default());
    offers.into_iter().map(|(_, offer)| offer).collect()
}

/// The rules in force with all that is offered.
fn together(offers: &[Offer]) -> RuleSet {
    let offered: String = offers.iter().flat_map(|offer| ["\n", offer.toml.as_str()]).collect();
    read(&format!("{GOVERNING}{offered}"))
}

fn decision(set: &RuleSet, key: &str, path: &str, operation: Operation) -> &'static str {
    let resource: Resource = format!("vouchsafe://secrets/{path}").parse().unwrap();
    let reason = crate::text::Reason::parse("because it is needed").unwrap();
    let ask = Circumstances {
        key,
        owner: "ann",
        level: crate::key::Level::Balanced,
        resource: &resource,
        operation,
        call: crate::key::CallTraits::default(),
        reason: Some(&reason),
        reason_kind: None,
        arguments: &serde_json::Value::Null,
        now: UnixTime::from_ms(0),
    };
    set.consider(&ask).decision()
}

#[test]
fn a_suggestion_is_a_whole_rule_that_says_what_it_stands_on() {
    let offers = offers(vec![habit("claude", "production/DB", Operation::Read)]);
    let expected = r#"# claude asked 12 times to read vouchsafe://secrets/production/DB (2026-10-24 to
# 2026-11-21), and it was approved each time, by bob, jane@example.com.
# The rule "Production" asks people for it. This one says the same for this alone, and
# does not ask where claude wants to read it.
[[rule]]
name = "claude may read production/DB"
resource = "vouchsafe://secrets/production/DB"
operations = ["list", "use", "read"]
approvers = ["group:oncall"]
pending_for = "2h"
require_reason = true
min_reason_length = 8
lease = { default = "15m", max = "1h" }

[rule.auto_approve]
requester = ["claude"]
operations = ["read"]

# What "Changes" says, for this too: beside the rule above it would not count any more.
[[rule]]
name = "Changes (production/DB)"
resource = "vouchsafe://secrets/production/DB"
operations = ["write", "delete"]
approvers = ["group:security"]
pending_for = "1h"
lease = { default = "15m", max = "1h" }
"#;
    assert_eq!(offers[0].toml, expected);
}

#[test]
fn a_suggestion_spares_one_key_one_question_and_changes_nothing_else() {
    let before = read(GOVERNING);
    let with = together(&offers(vec![habit("claude", "production/DB", Operation::Read)]));
    for key in ["claude", "cursor"] {
        for path in ["production/DB", "production/API", "production/THE_ONE", "vault/A"] {
            for operation in Operation::ALL {
                let spared = (key, path, operation) == ("claude", "production/DB", Operation::Read);
                let was = decision(&before, key, path, operation);
                let is = decision(&with, key, path, operation);
                assert_eq!(is, if spared { "approves" } else { was }, "{key} {operation} {path}");
            }
        }
    }
}

#[test]
fn nothing_is_suggested_where_asking_was_thought_about() {
    for (path, operation) in [
        ("production/DB", Operation::Delete),
        ("vault/CODE", Operation::Read),
        ("deploy/KEY", Operation::Read),
        ("free/THING", Operation::Read),
        ("unruled/THING", Operation::Read),
    ] {
        assert_eq!(offers(vec![habit("claude", path, operation)]), [], "{operation} {path}");
    }
}

#[test]
fn a_rule_for_the_resource_alone_is_told_what_to_add_to_it() {
    let offers = offers(vec![habit("claude", "production/THE_ONE", Operation::Use)]);
    let [Offer { name, toml, adds: false }] = offers.as_slice() else { panic!("{offers:?}") };
    assert_eq!(name, "The one");
    assert!(toml.lines().all(|line| line.starts_with('#')), "{toml}");
    assert!(toml.contains("#   [rule.auto_approve]\n#   requester = [\"claude\"]\n"), "{toml}");
    together(&offers);
}

#[test]
fn several_suggestions_can_be_put_in_force_together() {
    let offers = offers(vec![
        habit("claude", "production/DB", Operation::Read),
        habit("claude", "production/DB", Operation::Use),
        habit("cursor", "production/DB", Operation::Read),
        habit("cursor", "production/API", Operation::Read),
    ]);
    assert_eq!(offers.iter().map(|it| it.adds).collect::<Vec<_>>(), [true, false, false, true]);
    let with = together(&offers);
    assert_eq!(decision(&with, "cursor", "production/API", Operation::Read), "approves");
    let widened = &offers[1].toml;
    assert!(
        widened.ends_with("#   requester = [\"claude\"]\n#   operations = [\"use\", \"read\"]\n")
    );
    // With both operations, a rule for both keys would let cursor use what it never asked for.
    assert!(offers[2].toml.contains("cannot say both"), "{offers:?}");
}

#[test]
fn names_are_short_enough_and_given_once() {
    let long = |end: &str| format!("production/{}{end}", "x".repeat(60));
    let paths = [long("a"), long("b")];
    let habits = paths.iter().map(|path| habit("claude-of-the-lab", path, Operation::Read));
    let offers = offers(habits.collect());
    together(&offers);
    assert!(offers[1].name.ends_with(" (2)"), "{offers:?}");
}
