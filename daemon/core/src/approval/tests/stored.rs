//! What an earlier version stored still reads: the texts are that version's own.
//!
//! Before rules had factors, modes and conditions, and approvals anything but people to give them.

use super::*;
use crate::lease::{Active, Ending, Lease};

const RULE: &str = r#"{"name":"r","resource":"vouchsafe://secrets/production/*","operations":["read"],
    "asks":{"people":{"approvers":["group:oncall"],"count":2,"self_approval":false}},
    "require_reason":false,"min_reason_length":0,"lease":{"default_ms":900000,
    "max_ms":3600000,"uses":20},"pending_for_ms":3600000,"follow_rotation":false}"#;

const ASK: &str = r#"{"id":"ap_040g2081040g2081","project":"prj_081040g2081040g2",
    "project_name":"default","asker":{"key":"key_0c1g60r30c1g60r3",
    "key_name":"claude-desktop","owner":"usr_0g2081040g208104","owner_name":"owner",
    "claims":{"transport":"http"}},"operation":"read",
    "items":[{"resource":"vouchsafe://secrets/production/DB",
    "secret":"sec_0w3ge1r70w3ge1r7","version":3,"description":"","rule":<RULE>}],
    "arguments":"{}","reason":"INC-1042: replica lag","requested":null,
    "asked_at":1795257840000,"deadline":{"wall":1795261440000,"since_boot_ms":8600000,
    "boot":"a"},"rule_set":"","history":{"had_before":false,"asks_today":0}}"#;

const ANN: &str = r#"{"voter":"usr_144gj289144gj289","voter_name":"ann",
    "ballot":{"approve":{"duration":{"secs":300,"nanos":0},"uses":3,"kind":"lease",
    "only":[]}},"reason":"because",
    "digest":"36ee0539db1f719ba3a6148ef1237151082dd0941fcfd9ee45e14235c62b1ccc",
    "rendering":null,"via":"grpc","at":1795257840000}"#;

const LEASE: &str = r#"{"terms":{"id":"ls_0m2ga1850m2ga185","project":"prj_081040g2081040g2",
    "project_name":"default","approval":"ap_040g2081040g2081",
    "holder":"key_0c1g60r30c1g60r3","holder_name":"claude-desktop",
    "resource":"vouchsafe://secrets/production/DB","secret":"sec_0w3ge1r70w3ge1r7",
    "version":3,"follow_rotation":false,"operation":"read","rule":"r",
    "issued_at":1795257840000,"limit":{"wall":1795261440000,"since_boot_ms":8600000,
    "boot":"a"},"renewal_ms":900000,"renewable":true},"deadline":{"wall":1795258740000,
    "since_boot_ms":5900000,"boot":"a"},"uses_left":20,"used":0,"renewals":0}"#;

/// Puts the texts above where their names stand, and reads it.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let places = [("<ASK>", ASK), ("<ANN>", ANN), ("<LEASE>", LEASE), ("<RULE>", RULE)];
    let whole = places.iter().fold(text.to_owned(), |text, (name, put)| text.replace(name, put));
    serde_json::from_str(&whole).unwrap()
}

/// Whoever reads it and stores it again reads the same.
fn again<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(read: &T) {
    let stored = serde_json::to_string(read).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&stored).unwrap(), read);
}

#[test]
fn a_rule_is_enforced_and_has_one_factor() {
    assert_eq!(read::<Rule>("<RULE>"), rule("r", 2, false));
    let nobody: Rule = read(
        r#"{"name":"r","resource":"vouchsafe://secrets/production/*","operations":["read"],"asks":"nobody","require_reason":false,"min_reason_length":0,"lease":{"default_ms":900000,"max_ms":3600000,"uses":20},"pending_for_ms":3600000,"follow_rotation":false}"#,
    );
    assert_eq!(nobody, Rule { asks: Asks::Nobody, ..rule("r", 1, false) });
    again(&nobody);
}

#[test]
fn what_is_pending_goes_on_waiting_and_can_be_answered() {
    let approval: Approval = read(r#"{"pending":{"ask":<ASK>,"votes":[<ANN>]}}"#);
    again(&approval);
    let waiting = still_pending(approval);
    assert_eq!(waiting.ask, ask(vec![item("DB", rule("r", 2, false))]));
    assert_eq!(waiting.due(), Some(now().deadline(60 * MINUTE)));
    assert_eq!(waiting.waited(&later(MINUTE)), MINUTE);
    let team = people(&["ann", "ben"]);
    assert_eq!(met(&waiting, &team, &now()), [[1]]);
    let vote = yes(&waiting, "ben");
    let approved = approved(waiting.vote(vote, &team, &now()).unwrap());
    assert_eq!(approved.granted[0].limits.duration, 5 * MINUTE);
}

#[test]
fn what_was_approved_was_approved_by_people() {
    let approval: Approval = read(
        r#"{"approved":{"ask":<ASK>,"votes":[<ANN>,{"voter":"usr_144gj289144gj289",
    "voter_name":"ben","ballot":{"approve":{"duration":null,"uses":null,"kind":"lease",
    "only":[]}},"reason":"because",
    "digest":"36ee0539db1f719ba3a6148ef1237151082dd0941fcfd9ee45e14235c62b1ccc",
    "rendering":null,"via":"grpc","at":1795257840000}],"granted":[{"item":0,
    "limits":{"duration":{"secs":300,"nanos":0},"max":{"secs":300,"nanos":0},"uses":3,
    "once":false}}],"at":1795257840000}}"#,
    );
    again(&approval);
    let approved = approved(approval);
    assert_eq!((approved.how.clone(), approved.votes.len()), (How::People, 2));
    assert!(!approved.granted[0].limits.remember);
    assert_eq!(approved.allowances().count(), 1);
}

#[test]
fn what_ended_otherwise_is_as_it_was() {
    for (text, status, reason) in [
        (
            r#"{"denied":{"ask":<ASK>,"votes":[<ANN>,{"voter":"usr_144gj289144gj289","voter_name":"ben",
    "ballot":"deny","reason":"because",
    "digest":"36ee0539db1f719ba3a6148ef1237151082dd0941fcfd9ee45e14235c62b1ccc",
    "rendering":null,"via":"grpc","at":1795257840000}],"by":"ben","reason":"because",
    "at":1795257840000}}"#,
            Status::Denied,
            "because",
        ),
        (
            r#"{"expired":{"ask":<ASK>,"votes":[],"cause":"unanswered","at":1795261440000}}"#,
            Status::Expired,
            "nobody answered in time",
        ),
        (
            r#"{"withdrawn":{"ask":<ASK>,"votes":[],"by":"claude-desktop","at":1795257840000}}"#,
            Status::Withdrawn,
            "taken back by claude-desktop",
        ),
    ] {
        let approval: Approval = read(text);
        again(&approval);
        assert_eq!((approval.status(), approval.outcome_reason().as_str()), (status, reason));
    }
}

#[test]
fn a_lease_is_bound_to_no_arguments_and_was_not_observed() {
    let lease: Active = read("<LEASE>");
    again(&lease);
    assert_eq!((lease.terms.arguments, lease.terms.observed), (None, false));
    assert_eq!(lease.terms.secret, Some(SecretId::from_random([7; ID_BYTES])));
    assert_eq!(read::<Lease>(r#"{"active":<LEASE>}"#), Lease::Active(lease));
    let ended: Lease = read(
        r#"{"ended":{"last":<LEASE>,"how":"revoked","at":1795257840000,"by":"ann",
    "reason":"done"}}"#,
    );
    again(&ended);
    assert!(matches!(ended, Lease::Ended(ended) if ended.how == Ending::Revoked));
}
