//! What a lease is good for: its holder, its resource, its arguments, its time.

use super::*;
use crate::id::LeaseId;
use crate::lease::{Active, Claim, Lease, RenewError, TakeError};
use crate::policy::{AnyRule, Placed, RuleSet};

fn set(rule: Rule) -> RuleSet {
    let placed = Placed { file: "r.toml".to_owned(), line: 1, rule: AnyRule::Allow(rule) };
    RuleSet::new(vec![placed]).unwrap()
}

fn rules() -> RuleSet {
    set(rule("r", 1, false))
}

fn lease(narrowing: Narrowing) -> Active {
    let pending = one(1);
    let vote = narrowed(&pending, "ann", narrowing);
    let approved = approved(pending.vote(vote, &people(&["ann"]), &now()).unwrap());
    let allowance = approved.allowances().next().unwrap();
    Active::issue(LeaseId::from_random([5; ID_BYTES]), allowance, &now())
}

fn claim<'a>(resource: &'a Resource, rules: &'a RuleSet) -> Claim<'a> {
    Claim {
        holder: KeyId::from_random([3; ID_BYTES]),
        resource,
        operation: Operation::Read,
        secret: Some(SecretId::from_random([7; ID_BYTES])),
        version: 3,
        arguments: None,
        rules,
    }
}

#[test]
fn a_lease_serves_its_holder_for_what_was_approved_and_nothing_else() {
    let (rules, nothing, this, other) = (rules(), RuleSet::empty(), resource("DB"), resource("X"));
    let fits = claim(&this, &rules);
    for (claim, at, expected) in [
        (fits, now(), Ok(())),
        (
            Claim { holder: KeyId::from_random([6; ID_BYTES]), ..fits },
            now(),
            Err(TakeError::NotForThis),
        ),
        (Claim { resource: &other, ..fits }, now(), Err(TakeError::NotForThis)),
        (Claim { operation: Operation::Use, ..fits }, now(), Err(TakeError::NotForThis)),
        (
            Claim { secret: Some(SecretId::from_random([8; ID_BYTES])), ..fits },
            now(),
            Err(TakeError::NotForThis),
        ),
        (Claim { version: 4, ..fits }, now(), Err(TakeError::Rotated)),
        (Claim { rules: &nothing, ..fits }, now(), Err(TakeError::Refused)),
        (fits, later(15 * MINUTE), Err(TakeError::Expired)),
    ] {
        let taken = lease(Narrowing::default()).take(&claim, &at).map(|_| ());
        assert_eq!(taken, expected, "{claim:?}");
    }
}

#[test]
fn once_is_one_use_and_no_renewal() {
    let (rules, this) = (rules(), resource("DB"));
    let once = lease(Narrowing { kind: GrantKind::Once, ..Narrowing::default() });
    let renewed = once.clone().renew(KeyId::from_random([3; ID_BYTES]), None, &later(MINUTE));
    assert_eq!(renewed, Err(RenewError::SingleUse));
    let (after, grant) = once.take(&claim(&this, &rules), &now()).unwrap();
    assert_eq!(grant.version(), 3);
    assert!(matches!(after, Lease::Ended(_)));
}

/// An approved call of a tool under this rule, with these arguments.
fn called(rule: Rule, arguments: &str) -> Active {
    let mut call = ask(vec![Item {
        resource: tool(),
        secret: None,
        version: 0,
        description: String::new(),
        rule: Rule { resource: "vouchsafe://tools/linear/*".parse().unwrap(), ..rule },
    }]);
    call.operation = Operation::Call;
    call.arguments = arguments.to_owned();
    let waiting = Pending::new(call);
    let vote = yes(&waiting, "ann");
    let approved = approved(waiting.vote(vote, &people(&["ann"]), &now()).unwrap());
    let allowance = approved.allowances().next().unwrap();
    Active::issue(LeaseId::from_random([5; ID_BYTES]), allowance, &now())
}

fn tool() -> Resource {
    "vouchsafe://tools/linear/create_issue".parse().unwrap()
}

fn calling(bind: Bind) -> Rule {
    Rule {
        resource: "vouchsafe://tools/linear/*".parse().unwrap(),
        operations: Operations::of(&[Operation::Call]),
        bind,
        ..rule("r", 1, false)
    }
}

fn call_of<'a>(resource: &'a Resource, arguments: &str, rules: &'a RuleSet) -> Claim<'a> {
    Claim {
        operation: Operation::Call,
        secret: None,
        version: 0,
        arguments: Some(ArgumentsHash::of(arguments)),
        ..claim(resource, rules)
    }
}

#[test]
fn an_approved_call_is_good_once_and_for_its_arguments() {
    let (this, rules) = (tool(), set(calling(Bind::Arguments)));
    let own = r#"{"title":"a"}"#;
    let lease = called(calling(Bind::Arguments), own);
    assert_eq!((lease.uses_left, lease.terms.renewable), (Some(1), false));
    assert_eq!(lease.terms.arguments, Some(ArgumentsHash::of(own)));
    for other in [r#"{"title":"b"}"#, "{}", r#"{"title": "a"}"#] {
        let refused = lease.check(&call_of(&this, other, &rules), &now());
        assert_eq!(refused, Err(TakeError::NotForThis), "{other}");
    }
    let without = Claim { arguments: None, ..call_of(&this, own, &rules) };
    assert_eq!(lease.check(&without, &now()), Err(TakeError::NotForThis));
    let (after, _) = lease.take(&call_of(&this, own, &rules), &now()).unwrap();
    assert!(matches!(after, Lease::Ended(_)));
}

#[test]
fn a_rule_that_binds_to_the_tool_lets_any_arguments_through_for_as_long_as_the_lease() {
    let (this, rules) = (tool(), set(calling(Bind::Tool)));
    let lease = called(calling(Bind::Tool), r#"{"title":"a"}"#);
    assert_eq!((lease.uses_left, lease.terms.renewable), (Some(20), true));
    assert_eq!(lease.terms.arguments, None);
    for arguments in [r#"{"title":"b"}"#, "{}"] {
        lease.check(&call_of(&this, arguments, &rules), &now()).unwrap();
    }
}

#[test]
fn a_secret_has_no_arguments_to_be_bound_to() {
    let reading = ask(vec![item("DB", rule("r", 1, false))]);
    assert_eq!(reading.binding(0), None);
    assert_eq!(reading.binding(1), None, "there is no such item");
}

#[test]
fn the_log_is_read_with_the_arguments_that_were_approved() {
    let log: Resource = "vouchsafe://audit".parse().unwrap();
    let of = |bind| {
        let rule = Rule { bind, ..rule("r", 1, false) };
        let mut query =
            ask(vec![Item { resource: log.clone(), secret: None, version: 0, ..item("DB", rule) }]);
        query.arguments = r#"{"actor":"ann"}"#.to_owned();
        query.binding(0)
    };
    assert_eq!(of(Bind::Arguments), Some(ArgumentsHash::of(r#"{"actor":"ann"}"#)));
    assert_eq!(of(Bind::Tool), None);
}

#[test]
fn what_a_rule_gave_while_it_was_observed_ends_when_it_is_enforced() {
    let this = resource("DB");
    let observed = Rule { mode: Mode::Observe, ..rule("r", 1, false) };
    let enforced = rule("r", 1, false);
    let nobody = Rule { asks: Asks::Nobody, ..rule("r", 1, false) };
    let allowance = |observed| Allowance {
        project: ProjectId::from_random([2; ID_BYTES]),
        project_name: "default".to_owned(),
        approval: None,
        holder: KeyId::from_random([3; ID_BYTES]),
        holder_name: "claude-desktop".to_owned(),
        item: item("DB", enforced.clone()),
        operation: Operation::Read,
        arguments: None,
        observed,
        limits: Limits::of(&enforced, None),
    };
    let lease = |seen| Active::issue(LeaseId::from_random([5; ID_BYTES]), allowance(seen), &now());
    for (given_observed, rule_now, expected) in [
        (true, &observed, Ok(())),
        (true, &enforced, Err(TakeError::Refused)),
        (true, &nobody, Err(TakeError::Refused)),
        // What people or the rule gave goes on, however the rule stands now.
        (false, &observed, Ok(())),
        (false, &enforced, Ok(())),
    ] {
        let rules = set(rule_now.clone());
        let found = lease(given_observed).check(&claim(&this, &rules), &now());
        assert_eq!(found, expected, "{given_observed} {rule_now:?}");
    }
}

#[test]
fn a_lease_goes_on_after_a_rotation_only_where_the_rule_follows_it() {
    let (rules, this) = (rules(), resource("DB"));
    let mut waiting = one(1);
    waiting.ask.items[0].rule.follow_rotation = true;
    let vote = yes(&waiting, "ann");
    let approved = approved(waiting.vote(vote, &people(&["ann"]), &now()).unwrap());
    let allowance = approved.allowances().next().unwrap();
    let follows = Active::issue(LeaseId::from_random([5; ID_BYTES]), allowance, &now());
    let rotated = Claim { version: 4, ..claim(&this, &rules) };
    let (_, grant) = follows.take(&rotated, &now()).unwrap();
    assert_eq!(grant.version(), 4, "the value of now, not the one that is gone");
    let stays = lease(Narrowing::default()).check(&rotated, &now());
    assert_eq!(stays, Err(TakeError::Rotated));
}

#[test]
fn an_ask_without_a_key_gives_no_lease() {
    let mut ask = ask(vec![item("DB", rule("r", 1, false))]);
    ask.asker.key = None;
    let approved = Approved::without_votes(ask, How::People, &now());
    assert_eq!(approved.allowances().count(), 0);
}

proptest! {
    #[test]
    fn uses_are_exact(uses in 1_u32..20) {
        let (rules, this) = (rules(), resource("DB"));
        let mut lease = Lease::Active(lease(Narrowing { uses: Some(uses), ..Narrowing::default() }));
        let mut given = 0;
        while let Lease::Active(active) = lease {
            lease = active.take(&claim(&this, &rules), &now()).unwrap().0;
            given += 1;
        }
        prop_assert_eq!(given, uses);
    }

    #[test]
    fn no_renewal_and_no_clock_takes_a_lease_past_its_limit(
        narrow in proptest::option::of(1_u64..900),
        steps in proptest::collection::vec((0_u64..1_200, -1_000_i64..1_000, proptest::option::of(1_u64..7_200)), 1..20),
    ) {
        let holder = KeyId::from_random([3; ID_BYTES]);
        let mut lease = lease(Narrowing { duration: narrow.map(Duration::from_secs), ..Narrowing::default() });
        let limit = narrow.map_or(60 * MINUTE, Duration::from_secs);
        let mut elapsed = Duration::ZERO;
        for (pass, jump, wanted) in steps {
            elapsed += Duration::from_secs(pass);
            let mut at = later(elapsed);
            at.wall = UnixTime::from_ms(at.wall.ms() + jump * 1_000);
            if let Ok(longer) = lease.clone().renew(holder, wanted.map(Duration::from_secs), &at) {
                lease = longer;
            }
            prop_assert!(lease.deadline.left(&at) <= limit.saturating_sub(elapsed));
        }
    }
}
