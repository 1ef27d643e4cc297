//! What is approved for a session: by whom, for what, and how long.

use super::*;
use crate::id::LeaseId;
use crate::key::SessionTime;
use crate::lease::Active;

fn remembering(name: &str) -> Rule {
    Rule { remember: true, ..rule(name, 1, false) }
}

fn as_session() -> Narrowing {
    Narrowing { kind: GrantKind::Session, ..Narrowing::default() }
}

fn holder() -> KeyId {
    KeyId::from_random([3; ID_BYTES])
}

fn half_an_hour() -> SessionTime {
    SessionTime::from_minutes(30).unwrap()
}

/// The session that ann gives under this rule.
fn session(rule: Rule, narrowing: Narrowing) -> Session {
    let waiting = pending(rule);
    let vote = narrowed(&waiting, "ann", narrowing);
    let approved = approved(waiting.vote(vote, &people(&["ann"]), &now()).unwrap());
    let mut sessions = approved.sessions(1, half_an_hour(), &now());
    assert_eq!(sessions.len(), 1);
    sessions.remove(0)
}

#[test]
fn a_rule_that_does_not_remember_refuses_a_vote_for_a_session() {
    let team = people(&["ann"]);
    let refused = |waiting: &Pending, narrowing: Narrowing| {
        let vote = narrowed(waiting, "ann", narrowing);
        waiting.clone().vote(vote, &team, &now()).err()
    };
    assert_eq!(refused(&one(1), as_session()), Some(VoteError::NotRemembered("r".to_owned())));

    let mixed = Pending::new(ask(vec![
        item("A", remembering("remembers")),
        item("B", rule("forgets", 1, false)),
    ]));
    let no = Some(VoteError::NotRemembered("forgets".to_owned()));
    assert_eq!(refused(&mixed, as_session()), no);
    let only = |name| Narrowing { only: BTreeSet::from([resource(name)]), ..as_session() };
    assert_eq!(refused(&mixed, only("B")), no);
    assert_eq!(refused(&mixed, only("A")), None);
}

#[test]
fn a_session_is_given_only_where_everybody_says_so() {
    let team = people(&["ann", "ben"]);
    for (first, second, remembered) in [
        (GrantKind::Session, GrantKind::Session, 1),
        (GrantKind::Session, GrantKind::Lease, 0),
        (GrantKind::Lease, GrantKind::Session, 0),
        (GrantKind::Session, GrantKind::Once, 0),
        (GrantKind::Lease, GrantKind::Lease, 0),
    ] {
        let waiting = pending(Rule { remember: true, ..rule("r", 2, false) });
        let vote = |waiting: &Pending, name, kind| {
            narrowed(waiting, name, Narrowing { kind, ..Narrowing::default() })
        };
        let ann = vote(&waiting, "ann", first);
        let waiting = still_pending(waiting.vote(ann, &team, &now()).unwrap());
        let ben = vote(&waiting, "ben", second);
        let approved = approved(waiting.vote(ben, &team, &now()).unwrap());
        let sessions = approved.sessions(1, half_an_hour(), &now());
        assert_eq!(sessions.len(), remembered, "{first:?} {second:?}");
        for session in sessions {
            assert_eq!(session.given_by, ["ann", "ben"]);
        }
    }
}

#[test]
fn one_session_is_given_a_rule() {
    let waiting = Pending::new(ask(vec![
        item("A", remembering("one")),
        item("B", remembering("one")),
        item("C", remembering("other")),
    ]));
    let vote = narrowed(&waiting, "ann", as_session());
    let approved = approved(waiting.vote(vote, &people(&["ann"]), &now()).unwrap());
    let sessions = approved.sessions(1, half_an_hour(), &now());
    let rules: Vec<_> = sessions.iter().map(|session| session.rule.as_str()).collect();
    assert_eq!(rules, ["one", "other"]);
}

#[test]
fn what_nobody_voted_for_is_never_remembered() {
    let ask = ask(vec![item("A", remembering("one"))]);
    let how = How::Automatic { conditions: vec![] };
    let approved = Approved::without_votes(ask, how, &now());
    assert_eq!(approved.sessions(1, half_an_hour(), &now()), []);
}

#[test]
fn a_session_covers_its_key_rule_and_operation_and_nothing_else() {
    let own = remembering("r");
    let session = session(own.clone(), as_session());
    let covers = |holder, generation, rule: &Rule, operation, at: &Now| {
        session.covers(holder, generation, rule, operation, at)
    };
    let end = later(30 * MINUTE);
    let almost = just_before(30 * MINUTE);
    assert!(covers(holder(), 1, &own, Operation::Read, &now()));
    assert!(covers(holder(), 1, &own, Operation::Read, &almost));
    assert!(!covers(holder(), 1, &own, Operation::Read, &end), "its time is up");
    let other = KeyId::from_random([8; ID_BYTES]);
    assert!(!covers(other, 1, &own, Operation::Read, &now()), "another key");
    assert!(!covers(holder(), 2, &own, Operation::Read, &now()), "a value made anew");
    assert!(!covers(holder(), 1, &own, Operation::Use, &now()), "another operation");
    for changed in [
        Rule { name: "other".parse().unwrap(), ..own.clone() },
        Rule { remember: false, ..own.clone() },
        Rule { pending_for: MINUTE, ..own.clone() },
        Rule { mode: Mode::Observe, ..own.clone() },
        Rule { asks: Asks::People(Quorum::of(refs(&["group:oncall"]), 2)), ..own },
    ] {
        assert!(!covers(holder(), 1, &changed, Operation::Read, &now()), "{changed:?}");
    }
}

#[test]
fn a_session_ends_by_either_clock_and_over_a_restart() {
    let own = remembering("r");
    let session = session(own.clone(), as_session());
    let covers = |at: &Now| session.covers(holder(), 1, &own, Operation::Read, at);
    let set_back = Now { wall: now().wall, ..later(30 * MINUTE) };
    assert!(!covers(&set_back), "a wall clock set back gives no time");
    let boot =
        |minutes| Now { since_boot_ms: 0, boot: BootId::new("b"), ..later(minutes * MINUTE) };
    assert!(covers(&boot(29)) && !covers(&boot(30)));
}

#[test]
fn a_session_keeps_how_far_its_approvers_went() {
    let narrowing = Narrowing { duration: Some(5 * MINUTE), uses: Some(2), ..as_session() };
    let limits = session(remembering("r"), narrowing).limits(&now());
    assert_eq!((limits.duration, limits.max), (5 * MINUTE, 5 * MINUTE));
    assert_eq!(limits.uses, Some(2));
}

#[test]
fn what_is_given_under_a_session_gives_no_other() {
    let session = session(remembering("r"), as_session());
    let how = How::Session { approval: session.approval };
    let again = ask(vec![item("DB", remembering("r"))]);
    let given = Approved::without_votes(again, how, &now()).within(&session.limits(&now()));
    assert!(given.granted.iter().all(|granted| !granted.limits.remember));
    assert_eq!(given.sessions(1, half_an_hour(), &now()), []);
}

proptest! {
    #[test]
    fn no_lease_outlives_the_session_it_is_given_under(
        minutes in 5_u32..=1_440, share in 0_u64..1_000, requested in prop::option::of(1_u64..7_200),
        passes in prop::collection::vec(1_u64..1_800, 0..12),
    ) {
        let time = SessionTime::from_minutes(minutes).unwrap();
        let waiting = pending(Rule {
            lease: LeaseTerms { default: 15 * MINUTE, max: 24 * 60 * MINUTE, uses: None },
            ..remembering("r")
        });
        let vote = narrowed(&waiting, "ann", as_session());
        let approved = approved(waiting.vote(vote, &people(&["ann"]), &now()).unwrap());
        let session = approved.sessions(1, time, &now()).remove(0);
        prop_assert_eq!(session.until.left(&now()), time.duration());

        // Somewhere in the session a lease is given under it, and renewed as often as may be.
        let into = time.duration().mul_f64(f64::from(u32::try_from(share).unwrap()) / 1_000.0);
        let mut at = later(Duration::from_millis(u64::try_from(into.as_millis()).unwrap()));
        let mut again = ask(waiting_items());
        again.requested = requested.map(Duration::from_secs);
        let how = How::Session { approval: session.approval };
        let given = Approved::without_votes(again, how, &at).within(&session.limits(&at));
        let allowance = given.allowances().next().unwrap();
        let mut lease = Active::issue(LeaseId::from_random([5; ID_BYTES]), allowance, &at);
        prop_assert!(lease.deadline.wall <= session.until.wall);
        prop_assert!(lease.terms.limit.wall <= session.until.wall);
        for pass in passes {
            let Deadline { wall, since_boot_ms, boot } = at.deadline(Duration::from_secs(pass));
            at = Now { wall, since_boot_ms, boot };
            if let Ok(longer) = lease.clone().renew(holder(), None, &at) {
                lease = longer;
            }
            prop_assert!(lease.deadline.wall <= session.until.wall);
            prop_assert!(lease.deadline.passed(&at) || !session.until.passed(&at));
        }
    }
}

fn waiting_items() -> Vec<Item> {
    let lease = LeaseTerms { default: 15 * MINUTE, max: 24 * 60 * MINUTE, uses: None };
    vec![item("DB", Rule { lease, ..remembering("r") })]
}
