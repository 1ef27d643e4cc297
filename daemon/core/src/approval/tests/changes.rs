//! Changes of secrets: what is approved, what may be made of it, and what it is bound to.

use super::*;
use crate::secret::{Alphabet, Generator};

fn digest_of(byte: u8) -> ValueDigest {
    ValueDigest::from_bytes([byte; 32])
}

fn proposed() -> Proposed {
    Proposed {
        facts: Facts { bytes: 32, generator: None },
        digest: digest_of(1),
        fingerprint: Some(digest_of(2)),
        public_key: None,
    }
}

fn before() -> Before {
    Before {
        facts: Facts { bytes: 24, generator: Some(Generator::Uuid {}) },
        description: "The main database".to_owned(),
        rotate_every: Some("0 3 1 * *".to_owned()),
    }
}

fn change(effect: Effect) -> Change {
    Change { effect, before: Some(before()), description: None }
}

fn proposal(effect: Effect) -> Pending {
    let operation = match effect {
        Effect::Write(_) => Operation::Write,
        Effect::Delete => Operation::Delete,
    };
    let asked = ask(vec![item("DB", rule("r", 1, false))]);
    Pending::new(Ask { operation, change: Some(change(effect)), ..asked })
}

fn write() -> Pending {
    proposal(Effect::Write(proposed()))
}

fn agreed(pending: Pending) -> Approved {
    let vote = yes(&pending, "ann");
    approved(pending.vote(vote, &people(&["ann"]), &now()).unwrap())
}

fn shown() -> (SecretId, u64) {
    (SecretId::from_random([7; ID_BYTES]), 3)
}

#[test]
fn an_approved_change_gives_an_order_and_no_lease() {
    let approved = agreed(write());
    assert_eq!(approved.allowances().count(), 0);
    let order = approved.order(Some(shown())).unwrap().unwrap();
    assert_eq!(order.path().to_string(), "production/DB");
    assert_eq!((order.secret(), order.version()), (Some(shown().0), 4));
    assert_eq!(order.digest(), Some(&digest_of(1)));
    assert_eq!((order.approval(), order.project()), (approved.ask.id, approved.ask.project));
    let deletion = agreed(proposal(Effect::Delete)).order(Some(shown())).unwrap().unwrap();
    assert_eq!((deletion.version(), deletion.digest()), (3, None));
}

#[test]
fn what_asks_for_a_lease_orders_nothing() {
    assert!(agreed(one(1)).order(Some(shown())).is_none());
}

#[test]
fn a_secret_that_has_moved_on_is_a_conflict() {
    let other = SecretId::from_random([8; ID_BYTES]);
    let (secret, version) = shown();
    for found in [None, Some((secret, version + 1)), Some((other, version)), Some((other, 1))] {
        let conflict = agreed(write()).order(found).unwrap().unwrap_err();
        assert_eq!(conflict.found, found.map(|(_, version)| version));
    }
}

#[test]
fn a_new_secret_is_made_where_there_is_none_and_only_there() {
    let new = || {
        let pending = write();
        let mut item = pending.ask.items[0].clone();
        (item.secret, item.version) = (None, 0);
        let change = Change { before: None, ..pending.ask.change.clone().unwrap() };
        Pending::new(Ask { items: vec![item], change: Some(change), ..pending.ask })
    };
    let order = agreed(new()).order(None).unwrap().unwrap();
    assert_eq!((order.secret(), order.version()), (None, 1));
    let conflict = agreed(new()).order(Some((shown().0, 1))).unwrap().unwrap_err();
    assert_eq!(conflict.found, Some(1));
}

#[test]
fn a_change_has_no_duration_and_no_uses() {
    for narrowing in [
        Narrowing { duration: Some(MINUTE), ..Narrowing::default() },
        Narrowing { uses: Some(1), ..Narrowing::default() },
    ] {
        let pending = write();
        let vote = narrowed(&pending, "ann", narrowing);
        let refused = pending.vote(vote, &people(&["ann"]), &now());
        assert_eq!(refused.unwrap_err(), VoteError::NoLease);
    }
    // `once` is what it is anyway.
    let pending = write();
    let once = Narrowing { kind: GrantKind::Once, ..Narrowing::default() };
    let vote = narrowed(&pending, "ann", once);
    approved(pending.vote(vote, &people(&["ann"]), &now()).unwrap());
}

#[test]
fn people_see_what_changes_and_never_a_value() {
    let written =
        Change { description: Some("The replica".to_owned()), ..change(Effect::Write(proposed())) };
    let differences: Vec<_> = written
        .differences()
        .into_iter()
        .map(|(what, before, after)| format!("{what}: {before} -> {after}"))
        .collect();
    assert_eq!(
        differences,
        [
            "description: The main database -> The replica",
            "bytes: 24 -> 32",
            "made: UUID -> given",
            "rotated: 0 3 1 * * -> ",
        ]
    );
    assert_eq!(change(Effect::Delete).differences(), []);
    let same = Facts { bytes: 24, generator: Some(Generator::Uuid {}) };
    let again = Proposed { facts: same, ..proposed() };
    assert_eq!(change(Effect::Write(again)).differences(), []);
    let first = Change { before: None, ..written };
    let (what, before, after) = first.differences().swap_remove(1);
    assert_eq!((what, before.as_str(), after.as_str()), ("bytes", "", "32"));
}

#[test]
fn equal_proposals_join_whatever_the_secret_has_become() {
    let key = write().ask.join_key();
    let mut moved = write();
    moved.ask.items[0].version = 4;
    moved.ask.change = Some(Change { before: None, ..moved.ask.change.unwrap() });
    assert_eq!(moved.ask.join_key(), key);
    // The shown digest differs from ask to ask; the fingerprint does not.
    let again = Proposed { digest: digest_of(9), ..proposed() };
    assert_eq!(proposal(Effect::Write(again)).ask.join_key(), key);
    let other = Proposed { fingerprint: Some(digest_of(3)), ..proposed() };
    assert_ne!(proposal(Effect::Write(other)).ask.join_key(), key);
    assert_ne!(proposal(Effect::Delete).ask.join_key(), key);
}

#[test]
fn a_conflict_says_what_was_there() {
    for (found, said) in [
        (
            Some(5),
            "nothing was changed: the secret was at version 5 by then, which is not what was shown",
        ),
        (None, "nothing was changed: the secret was not there any more"),
    ] {
        let approval = Approval::Approved(agreed(write()).applied(Applied::Conflict { found }));
        assert_eq!(approval.outcome_reason(), said);
    }
}

#[test]
fn a_change_reads_back_as_it_was_stored() {
    let approval = Approval::Approved(
        agreed(write()).applied(Applied::Written { secret: shown().0, version: 4 }),
    );
    let stored = serde_json::to_string(&approval).unwrap();
    assert_eq!(serde_json::from_str::<Approval>(&stored).unwrap(), approval);
}

fn arb_generator() -> impl Strategy<Value = Option<Generator>> {
    proptest::option::of(prop_oneof![
        (8_u32..64).prop_map(|length| Generator::Password { length, alphabet: Alphabet::Hex }),
        (4_u32..9).prop_map(|words| Generator::Passphrase { words }),
        Just(Generator::Uuid {}),
    ])
}

fn arb_proposed() -> impl Strategy<Value = Proposed> {
    (any::<u64>(), arb_generator(), any::<[u8; 32]>(), proptest::option::of("[a-z]{1,8}")).prop_map(
        |(bytes, generator, digest, public_key)| Proposed {
            facts: Facts { bytes, generator },
            digest: ValueDigest::from_bytes(digest),
            fingerprint: None,
            public_key,
        },
    )
}

fn arb_change() -> impl Strategy<Value = Change> {
    let effect = prop_oneof![
        4 => arb_proposed().prop_map(Effect::Write),
        1 => Just(Effect::Delete),
    ];
    (effect, proptest::option::of("[a-z ]{0,12}"), any::<bool>()).prop_map(
        |(effect, description, is_new)| Change {
            effect,
            before: (!is_new).then(before),
            description,
        },
    )
}

proptest! {
    /// An answer given on one change is never one to another: whatever differs in what would be
    /// made, differs in the digest.
    #[test]
    fn the_digest_covers_all_that_is_made(
        first in arb_change(),
        second in arb_change(),
        versions in (0_u64..4, 0_u64..4),
    ) {
        let asked = |change: &Change, version: u64| {
            let mut asked = ask(vec![item("DB", rule("r", 1, false))]);
            asked.items[0].version = version;
            asked.operation = Operation::Write;
            Ask { change: Some(change.clone()), ..asked }
        };
        let (a, b) = (asked(&first, versions.0), asked(&second, versions.1));
        prop_assert_eq!(a == b, a.digest() == b.digest());
        let vote = yes(&Pending::new(a), "ann");
        let answered = Pending::new(b).vote(vote, &people(&["ann"]), &now());
        if first == second && versions.0 == versions.1 {
            let approved = approved(answered.unwrap());
            let order = approved.order(Some((shown().0, versions.1))).unwrap().unwrap();
            let digest = second.proposed().map(|proposed| proposed.digest);
            prop_assert_eq!(order.digest().copied(), digest);
        } else {
            prop_assert_eq!(answered.unwrap_err(), VoteError::Stale);
        }
    }
}
