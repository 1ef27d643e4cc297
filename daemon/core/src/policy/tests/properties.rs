use globset::GlobMatcher;
use proptest::prelude::*;

use super::super::clash::clashes;
use super::*;
use crate::key::{CallTraits, Level};
use crate::resource::{Operation, Operations, Pattern, Resource};
use crate::text::Reason;
use crate::time::UnixTime;

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let part = prop::sample::select(vec!["a", "b", "*", "**"]);
    prop::collection::vec(part, 1..=3).prop_filter_map("two ** side by side", |parts| {
        format!("vouchsafe://secrets/{}", parts.join("/")).parse().ok()
    })
}

fn any_operations() -> impl Strategy<Value = Operations> {
    let secrets = vec![Operation::List, Operation::Read, Operation::Write];
    prop::sample::subsequence(secrets, 1..=3).prop_map(Operations::from_iter)
}

fn any_denial() -> impl Strategy<Value = AnyRule> {
    (any_pattern(), any_operations()).prop_map(|(resource, operations)| {
        AnyRule::Deny(Denial { name: "x".parse().unwrap(), resource, operations })
    })
}

/// What only a key named `ci` meets.
fn conditions() -> Conditions {
    serde_json::from_str(r#"{"requester":"ci"}"#).unwrap()
}

fn any_rule() -> impl Strategy<Value = AnyRule> {
    let people = Quorum::of(vec![ApproverRef::User("bob".to_owned())], 1);
    let asks = vec![Asks::Nobody, Asks::People(people.clone()), Asks::Level(people)];
    let asks = (prop::sample::select(asks), any::<bool>(), any::<bool>(), any::<bool>());
    let conditions = conditions();
    let allowing = (any_pattern(), any_operations(), asks);
    let allowing = allowing.prop_map(move |(resource, operations, asks)| {
        let (asks, observed, conditional, reason) = asks;
        AnyRule::Allow(Rule {
            name: "x".parse().unwrap(),
            resource,
            operations,
            asks,
            mode: if observed { Mode::Observe } else { Mode::Enforce },
            auto_approve: conditional.then(|| conditions.clone()),
            require_reason: reason,
            min_reason_length: if reason { 5 } else { 0 },
            reason_pattern: None,
            reason_kinds: Vec::new(),
            lease: LeaseTerms { default: defaults::LEASE, max: defaults::LEASE_MAX, uses: None },
            pending_for: defaults::PENDING_FOR,
            escalation: None,
            remind_every: None,
            remember: false,
            bind: Bind::Arguments,
            follow_rotation: false,
            notify: Vec::new(),
            break_glass: Vec::new(),
        })
    });
    prop_oneof![4 => allowing, 1 => any_denial()]
}

/// Gives a rule a name and a place.
fn placed(line: u32, mut rule: AnyRule) -> Placed {
    let name: RuleName = format!("R{line}").parse().unwrap();
    match &mut rule {
        AnyRule::Allow(rule) => rule.name = name,
        AnyRule::Deny(denial) => denial.name = name,
    }
    Placed { file: "a.toml".to_owned(), line, rule }
}

/// Leaves out what would be refused beside the others.
fn consistent(rules: Vec<AnyRule>) -> Vec<Placed> {
    let mut all = Vec::new();
    for (line, rule) in (1..).zip(rules) {
        all.push(placed(line, rule));
        if !clashes(&all).is_empty() {
            all.pop();
        }
    }
    all
}

/// Every ask about paths of up to three parts over three names.
fn asks() -> Vec<(Resource, Operation)> {
    let names = ["a", "b", "c"];
    let mut paths: Vec<String> = names.map(str::to_owned).to_vec();
    for _ in 0..2 {
        let longer = paths.iter().flat_map(|path| names.map(|name| format!("{path}/{name}")));
        paths = longer.chain(names.map(str::to_owned)).collect();
    }
    let resources = paths.iter().map(|path| Resource::Secret(path.parse().unwrap()));
    let operations = [Operation::List, Operation::Read, Operation::Write];
    resources.flat_map(|path| operations.map(|operation| (path.clone(), operation))).collect()
}

/// What the rules say, by a plain reading of the design, one rule at a time.
fn by_the_book(
    rules: &[(GlobMatcher, Placed)],
    resource: &Resource,
    operation: Operation,
) -> String {
    let path = resource.glob_path();
    let matching = rules.iter().filter(|(glob, _)| glob.is_match(&path));
    let matching: Vec<_> = matching.map(|(_, placed)| placed).collect();
    let denies = |p: &&&Placed| {
        matches!(p.rule, AnyRule::Deny(_)) && p.rule.operations().contains(operation)
    };
    if matching.iter().any(|p| denies(&p)) {
        return "denied".to_owned();
    }
    let allowing = || matching.iter().filter(|p| matches!(p.rule, AnyRule::Allow(_)));
    let Some(best) = allowing().map(|p| p.rule.resource().specificity()).max() else {
        return "no rule".to_owned();
    };
    let mut first = allowing().filter(|p| p.rule.resource().specificity() == best);
    match first.find(|p| p.rule.operations().contains(operation)) {
        Some(placed) => placed.rule.name().to_string(),
        None => "not covered".to_owned(),
    }
}

fn in_short(verdict: &Verdict<'_>) -> String {
    match verdict {
        Verdict::Ruled(rule) => rule.name.to_string(),
        Verdict::Refused(Refusal::NoRule) => "no rule".to_owned(),
        Verdict::Refused(Refusal::Denied { .. }) => "denied".to_owned(),
        Verdict::Refused(Refusal::OperationNotCovered { .. }) => "not covered".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_set_decides_as_the_design_says(rules in prop::collection::vec(any_rule(), 0..12)) {
        let rules = consistent(rules);
        let set = RuleSet::new(rules.clone()).unwrap();
        let globs = rules.iter().map(|placed| placed.rule.resource().glob().compile_matcher());
        let rules: Vec<_> = globs.zip(rules.clone()).collect();
        for (resource, operation) in asks() {
            let verdict = set.decide(&resource, operation);
            prop_assert_eq!(in_short(&verdict), by_the_book(&rules, &resource, operation));
            prop_assert_eq!(set.explain(&resource, operation).verdict, verdict);
        }
    }

    #[test]
    fn a_denial_more_never_allows_more(
        rules in prop::collection::vec(any_rule(), 0..12),
        denial in any_denial(),
    ) {
        let before = consistent(rules);
        let mut after = before.clone();
        after.push(Placed { file: "z.toml".to_owned(), line: 1, rule: denial });
        let (before, after) = (RuleSet::new(before).unwrap(), RuleSet::new(after).unwrap());
        for (resource, operation) in asks() {
            let (was, is) = (before.decide(&resource, operation), after.decide(&resource, operation));
            let denied = matches!(is, Verdict::Refused(Refusal::Denied { .. }));
            prop_assert!(was == is || denied, "{was:?} became {is:?}");
        }
    }

    #[test]
    fn whoever_asks_and_why_a_denial_more_never_allows_more(
        rules in prop::collection::vec(any_rule(), 0..12),
        denial in any_denial(),
        key in prop::sample::select(vec!["ci", "agent"]),
        level in prop::sample::select(Level::ALL.to_vec()),
        reason in prop::sample::select(vec![None, Some("why"), Some("because of it")]),
    ) {
        let before = consistent(rules);
        let mut after = before.clone();
        after.push(Placed { file: "z.toml".to_owned(), line: 1, rule: denial });
        let (before, after) = (RuleSet::new(before).unwrap(), RuleSet::new(after).unwrap());
        let reason = reason.map(|reason| Reason::parse(reason).unwrap());
        for (resource, operation) in asks() {
            let ask = Circumstances {
                key,
                owner: "dev",
                level,
                resource: &resource,
                operation,
                call: CallTraits::UNKNOWN,
                reason: reason.as_ref(),
                reason_kind: None,
                arguments: &serde_json::Value::Null,
                now: UnixTime::from_ms(0),
            };
            let (was, is) = (before.consider(&ask), after.consider(&ask));
            prop_assert!(was == is || is.decision() == "refused", "{was:?} became {is:?}");
            // A lack of reasons and a condition that does not hold let nothing through in force.
            if let Considered::Approved { outcomes, .. } = &is {
                prop_assert!(key == "ci" && !outcomes.is_empty(), "{is:?}");
            }
            if let (Some(rule), false) = (is.rule(), is.decision() == "observed") {
                let short = reason.as_ref().is_none_or(|reason| reason.length() < 5);
                prop_assert_eq!(is.decision() == "reason", rule.require_reason && short);
            }
        }
    }

    #[test]
    fn the_order_of_rules_and_files_makes_no_difference(
        (rules, shuffled) in prop::collection::vec(any_rule(), 0..12)
            .prop_map(consistent)
            .prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
    ) {
        let moved = shuffled.into_iter().zip(1..).map(|(placed, line)| Placed {
            file: format!("{}.toml", line % 3),
            line,
            ..placed
        });
        let (one, other) = (RuleSet::new(rules).unwrap(), RuleSet::new(moved.collect()).unwrap());
        prop_assert_eq!(one.digest(), other.digest());
        for (resource, operation) in asks() {
            prop_assert_eq!(one.decide(&resource, operation), other.decide(&resource, operation));
        }
    }

    #[test]
    fn what_is_told_never_to_match_lets_nothing_happen(
        rules in prop::collection::vec(any_rule(), 1..12),
    ) {
        let rules: Vec<_> = (1..).zip(rules).map(|(line, rule)| placed(line, rule)).collect();
        let problems = clashes(&rules);
        let told = |line| {
            problems.iter().any(|p| p.line == line && p.message.contains("can never match"))
        };
        let set = RuleSet::new(rules).unwrap();
        for (resource, operation) in asks() {
            if let Verdict::Ruled(rule) = set.decide(&resource, operation) {
                let line = set.rule(rule.name.as_str()).unwrap().line;
                prop_assert!(!told(line), "{rule:?}");
            }
        }
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "((\\[\\[(rule|case)\\]\\]\n)?(name|resource|operations|lease|approvers|factor|auto_approve|reason_kinds|break_glass|escalate_to|arguments|at|expect|x) = [\\[\\]{}\"a=*/,0-9\\PC]{0,12}\n){0,6}") {
        let problems = parse(&[file(&text)], &directory(), &Options::default()).err();
        for problem in problems.into_iter().chain(parse_cases(&file(&text)).err()).flatten() {
            prop_assert!(!problem.message.is_empty() && !problem.mend.is_empty());
        }
    }
}

/// Four people in any of two groups, some of whom count.
fn any_people() -> impl Strategy<Value = Directory> {
    let one = (any::<bool>(), any::<bool>(), prop::sample::subsequence(vec!["g", "h"], 0..=2));
    prop::collection::vec(one, 4).prop_map(|all| Directory {
        members: all
            .iter()
            .zip(["p", "q", "r", "s"])
            .map(|((enabled, approves, groups), name)| {
                // Most people count.
                member(name, *enabled || name < "r", *approves || name != "s", groups)
            })
            .collect(),
    })
}

fn any_quorum() -> impl Strategy<Value = Quorum> {
    let refs = vec!["p", "q", "r", "s", "group:g", "group:h"];
    let from = prop::sample::subsequence(refs, 1..=3)
        .prop_map(|from| from.iter().map(|name| name.parse().unwrap()).collect());
    let factor = (from, 1..=2_u32).prop_map(|(from, count)| Factor { from, count });
    prop::collection::vec(factor, 1..=3)
        .prop_map(|factors| Quorum { factors, self_approval: false })
}

/// Whether these people can be given places so that every factor is filled, by trying it all.
fn can_fill(places: &[Vec<ApproverRef>], voters: &[&str], people: &Directory) -> bool {
    let Some((first, rest)) = places.split_first() else { return true };
    voters.iter().enumerate().any(|(at, voter)| {
        let others: Vec<_> = [&voters[..at], &voters[at + 1..]].concat();
        eligible(first, people).contains(*voter) && can_fill(rest, &others, people)
    })
}

proptest! {
    #[test]
    fn a_quorum_is_met_when_everybody_can_be_given_a_place(
        quorum in any_quorum(),
        people in any_people(),
        voters in prop::sample::subsequence(vec!["p", "q", "r", "s"], 0..=4).prop_shuffle(),
    ) {
        let places: Vec<_> = quorum
            .factors
            .iter()
            .flat_map(|factor| (0..factor.count).map(|_| factor.from.clone()))
            .collect();
        let met = quorum.is_met(&voters, &[], &people);
        prop_assert_eq!(met, can_fill(&places, &voters, &people));
        // Nobody is two people, and nobody who does not count is one.
        prop_assert!(!met || voters.len() >= places.len());
        let twice = [voters.as_slice(), voters.as_slice()].concat();
        prop_assert_eq!(quorum.is_met(&twice, &[], &people), met);
    }

    #[test]
    fn a_quorum_of_several_is_never_met_by_one(
        quorum in any_quorum(),
        people in any_people(),
        also in prop::bool::ANY,
    ) {
        let also: &[ApproverRef] = if also { &[ApproverRef::Group("g".to_owned())] } else { &[] };
        for name in ["p", "q", "r", "s"] {
            let alone = quorum.is_met(&[name, name, name], also, &people);
            prop_assert!(!alone || quorum.people() == 1, "{name} alone is {quorum:?}");
        }
    }
}
