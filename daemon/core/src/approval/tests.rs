//! Approvals, sessions and the leases that come of them, through what the broker calls.

mod changes;
mod factors;
mod leases;
mod sessions;
mod stored;
mod waiting;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::caller::Claims;
use crate::id::{ID_BYTES, SecretId, UserId};
use crate::policy::{ApproverRef, Asks, Escalation, Factor, LeaseTerms, Member, Mode, Quorum};
use crate::resource::{Operations, Resource};
use crate::text::Reason;
use crate::time::{BootId, Deadline, Now};

const MINUTE: Duration = Duration::from_mins(1);

fn now() -> Now {
    Now {
        wall: UnixTime::from_ms(1_795_257_840_000),
        since_boot_ms: 5_000_000,
        boot: BootId::new("a"),
    }
}

fn later(by: Duration) -> Now {
    let Deadline { wall, since_boot_ms, boot } = now().deadline(by);
    Now { wall, since_boot_ms, boot }
}

fn just_before(time: Duration) -> Now {
    later(time.saturating_sub(Duration::from_millis(1)))
}

fn people(names: &[&str]) -> Directory {
    let member = |name: &&str| Member {
        name: (*name).to_owned(),
        enabled: true,
        approves: true,
        groups: vec!["oncall".to_owned()],
    };
    Directory { members: names.iter().map(member).collect() }
}

/// Ann is in both groups, ben and cid in one each; dan is in none, eve may not approve, fay is
/// disabled, and the owner is in both.
fn teams() -> Directory {
    let member = |name: &str, groups: &[&str]| Member {
        name: name.to_owned(),
        enabled: name != "fay",
        approves: name != "eve",
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    Directory {
        members: vec![
            member("ann", &["oncall", "security"]),
            member("ben", &["oncall"]),
            member("cid", &["security"]),
            member("dan", &[]),
            member("eve", &["oncall", "security"]),
            member("fay", &["oncall", "security"]),
            member("owner", &["oncall", "security"]),
        ],
    }
}

fn refs(names: &[&str]) -> Vec<ApproverRef> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn factor(name: &str, count: u32) -> Factor {
    Factor { from: refs(&[name]), count }
}

/// One of each team.
fn both_teams() -> Rule {
    let factors = vec![factor("group:oncall", 1), factor("group:security", 1)];
    let quorum = Quorum { factors, self_approval: false };
    Rule { asks: Asks::People(quorum), ..rule("r", 1, false) }
}

fn rule(name: &str, quorum: u32, self_approval: bool) -> Rule {
    Rule {
        name: name.parse().unwrap(),
        resource: "vouchsafe://secrets/production/*".parse().unwrap(),
        operations: Operations::of(&[Operation::Read]),
        asks: Asks::People(Quorum {
            self_approval,
            ..Quorum::of(vec!["group:oncall".parse().unwrap()], quorum)
        }),
        mode: Mode::Enforce,
        auto_approve: None,
        require_reason: false,
        min_reason_length: 0,
        reason_pattern: None,
        reason_kinds: Vec::new(),
        lease: LeaseTerms { default: 15 * MINUTE, max: 60 * MINUTE, uses: Some(20) },
        pending_for: 60 * MINUTE,
        escalation: None,
        remind_every: None,
        remember: false,
        bind: Bind::Arguments,
        follow_rotation: false,
        notify: Vec::new(),
        break_glass: Vec::new(),
    }
}

fn resource(name: &str) -> Resource {
    format!("vouchsafe://secrets/production/{name}").parse().unwrap()
}

fn item(name: &str, rule: Rule) -> Item {
    Item {
        resource: resource(name),
        secret: Some(SecretId::from_random([7; ID_BYTES])),
        version: 3,
        description: String::new(),
        rule,
    }
}

fn ask(items: Vec<Item>) -> Ask {
    Ask {
        id: ApprovalId::from_random([1; ID_BYTES]),
        project: ProjectId::from_random([2; ID_BYTES]),
        project_name: "default".to_owned(),
        asker: Asker {
            key: Some(KeyId::from_random([3; ID_BYTES])),
            key_name: "claude-desktop".to_owned(),
            owner: Some(UserId::from_random([4; ID_BYTES])),
            owner_name: "owner".to_owned(),
            claims: Claims::default(),
        },
        operation: Operation::Read,
        items,
        arguments: "{}".to_owned(),
        change: None,
        reason: Some(Reason::parse("INC-1042: replica lag").unwrap()),
        reason_kind: None,
        requested: None,
        asked_at: now().wall,
        deadline: now().deadline(60 * MINUTE),
        rule_set: String::new(),
        history: History::default(),
    }
}

fn pending(rule: Rule) -> Pending {
    Pending::new(ask(vec![item("DB", rule)]))
}

fn one(quorum: u32) -> Pending {
    pending(rule("r", quorum, false))
}

fn ballot(pending: &Pending, voter: &str, ballot: Ballot) -> Vote {
    Vote {
        voter: UserId::from_random([9; ID_BYTES]),
        voter_name: voter.to_owned(),
        ballot,
        reason: "because".to_owned(),
        digest: pending.ask.digest(),
        rendering: None,
        via: "grpc".to_owned(),
        at: now().wall,
    }
}

fn yes(pending: &Pending, voter: &str) -> Vote {
    ballot(pending, voter, Ballot::Approve(Narrowing::default()))
}

fn narrowed(pending: &Pending, voter: &str, narrowing: Narrowing) -> Vote {
    ballot(pending, voter, Ballot::Approve(narrowing))
}

fn still_pending(approval: Approval) -> Pending {
    match approval {
        Approval::Pending(pending) => pending,
        other => panic!("{:?}", other.status()),
    }
}

fn approved(approval: Approval) -> Approved {
    match approval {
        Approval::Approved(approved) => approved,
        other => panic!("{:?}", other.status()),
    }
}

/// How many places of each factor are filled, rule by rule.
fn met(pending: &Pending, people: &Directory, now: &Now) -> Vec<Vec<u32>> {
    let progress = pending.progress(people, now).into_iter();
    progress.map(|rule| rule.factors.iter().map(|factor| factor.met).collect()).collect()
}

/// Casts a yes of each voter in turn; tells how it ended, or what refused the last one.
fn outcome(mut pending: Pending, voters: &[&str], people: &Directory) -> Result<Status, VoteError> {
    for (index, voter) in voters.iter().enumerate() {
        let vote = yes(&pending, voter);
        match pending.vote(vote, people, &now())? {
            Approval::Pending(next) => pending = next,
            settled => {
                assert_eq!(index + 1, voters.len(), "settled before the last vote");
                return Ok(settled.status());
            }
        }
    }
    Ok(Status::Pending)
}

#[test]
fn a_quorum_is_filled_by_different_people() {
    let team = people(&["ann", "ben", "cid", "owner"]);
    let barred = |bar| Err(VoteError::Barred(bar));
    for (quorum, voters, expected) in [
        (1, &["ann"][..], Ok(Status::Approved)),
        (2, &["ann"], Ok(Status::Pending)),
        (2, &["ann", "ben"], Ok(Status::Approved)),
        (2, &["ann", "ann"], barred(Bar::AlreadyVoted)),
        (3, &["ann", "ben", "cid"], Ok(Status::Approved)),
        (1, &["owner"], barred(Bar::OwnRequest)),
        (2, &["ann", "owner"], barred(Bar::OwnRequest)),
        (1, &["stranger"], barred(Bar::NotAnApprover)),
    ] {
        assert_eq!(outcome(one(quorum), voters, &team), expected, "{quorum} {voters:?}");
    }
}

#[test]
fn the_owner_counts_where_the_rule_says_so() {
    let pending = Pending::new(ask(vec![item("DB", rule("r", 1, true))]));
    assert_eq!(outcome(pending, &["owner"], &people(&["owner"])), Ok(Status::Approved));
}

#[test]
fn the_owner_may_always_deny() {
    let pending = one(1);
    let vote = ballot(&pending, "owner", Ballot::Deny);
    let denied = pending.vote(vote, &people(&["owner", "ann"]), &now()).unwrap();
    assert_eq!(denied.status(), Status::Denied);
    assert_eq!(denied.outcome_reason(), "because");
}

#[test]
fn one_denial_denies_whatever_came_before() {
    let team = people(&["ann", "ben"]);
    let pending = one(2);
    let vote = yes(&pending, "ann");
    let pending = still_pending(pending.vote(vote, &team, &now()).unwrap());
    let vote = ballot(&pending, "ben", Ballot::Deny);
    assert_eq!(pending.vote(vote, &team, &now()).unwrap().status(), Status::Denied);
}

#[test]
fn a_vote_whose_giver_lost_their_standing_does_not_count() {
    let pending = one(2);
    let vote = yes(&pending, "ann");
    let pending =
        still_pending(pending.vote(vote, &people(&["ann", "ben", "cid"]), &now()).unwrap());
    let without_ann = people(&["ben", "cid"]);
    assert_eq!(met(&pending, &without_ann, &now()), [[0]]);
    let vote = yes(&pending, "ben");
    let pending = still_pending(pending.vote(vote, &without_ann, &now()).unwrap());
    let vote = yes(&pending, "cid");
    assert_eq!(pending.vote(vote, &without_ann, &now()).unwrap().status(), Status::Approved);
}

#[test]
fn a_vote_at_the_deadline_is_too_late() {
    let pending = one(1);
    let vote = yes(&pending, "ann");
    let late = later(60 * MINUTE);
    assert_eq!(pending.clone().vote(vote, &people(&["ann"]), &late), Err(VoteError::Expired));
    assert_eq!(pending.expire(&late).status(), Status::Expired);
}

#[test]
fn a_vote_on_anything_else_than_what_is_asked_is_stale() {
    let pending = one(1);
    let mut changes: Vec<Ask> = Vec::new();
    let mut change = |f: &dyn Fn(&mut Ask)| {
        let mut ask = pending.ask.clone();
        f(&mut ask);
        changes.push(ask);
    };
    change(&|ask| ask.id = ApprovalId::from_random([8; ID_BYTES]));
    change(&|ask| ask.project = ProjectId::from_random([8; ID_BYTES]));
    change(&|ask| ask.asker.key = Some(KeyId::from_random([8; ID_BYTES])));
    change(&|ask| ask.operation = Operation::Use);
    change(&|ask| ask.items.push(item("OTHER", rule("r", 1, false))));
    change(&|ask| ask.items[0].version = 4);
    change(&|ask| ask.items[0].secret = None);
    change(&|ask| ask.items[0].rule.lease.max = 61 * MINUTE);
    change(&|ask| ask.arguments = "{\"a\":1}".to_owned());
    change(&|ask| ask.reason = None);
    change(&|ask| ask.reason_kind = Some("incident".to_owned()));
    change(&|ask| ask.asker.owner = None);
    change(&|ask| ask.items[0].rule.remember = true);
    change(&|ask| ask.items[0].rule.mode = Mode::Observe);
    change(&|ask| ask.requested = Some(MINUTE));
    change(&|ask| ask.rule_set = "other".to_owned());
    for seen in changes {
        let mut vote = yes(&pending, "ann");
        vote.digest = seen.digest();
        let result = pending.clone().vote(vote, &people(&["ann"]), &now());
        assert_eq!(result, Err(VoteError::Stale), "{seen:?}");
    }
}

#[test]
fn an_approver_narrows_and_never_widens() {
    let team = people(&["ann"]);
    let cases = [
        (
            Narrowing { duration: Some(16 * MINUTE), ..Narrowing::default() },
            Some(VoteError::TooLong(15 * MINUTE)),
        ),
        (
            Narrowing { duration: Some(Duration::ZERO), ..Narrowing::default() },
            Some(VoteError::TooShort),
        ),
        (Narrowing { uses: Some(21), ..Narrowing::default() }, Some(VoteError::TooManyUses(20))),
        (Narrowing { uses: Some(0), ..Narrowing::default() }, Some(VoteError::TooManyUses(0))),
        (
            Narrowing { only: BTreeSet::from([resource("OTHER")]), ..Narrowing::default() },
            Some(VoteError::NotAsked(resource("OTHER"))),
        ),
        (Narrowing { duration: Some(5 * MINUTE), uses: Some(3), ..Narrowing::default() }, None),
    ];
    for (narrowing, refused) in cases {
        let pending = one(1);
        let vote = narrowed(&pending, "ann", narrowing.clone());
        match (pending.vote(vote, &team, &now()), refused) {
            (Err(error), Some(expected)) => assert_eq!(error, expected),
            (Ok(approval), None) => {
                let limits = approved(approval).granted[0].limits;
                assert_eq!((limits.duration, limits.max), (5 * MINUTE, 5 * MINUTE));
                assert_eq!((limits.uses, limits.once), (Some(3), false));
            }
            (result, expected) => panic!("{narrowing:?}: {result:?}, not {expected:?}"),
        }
    }
}

#[test]
fn an_item_left_out_by_one_approver_is_left_out() {
    let team = people(&["ann", "ben"]);
    let pending =
        Pending::new(ask(vec![item("A", rule("r", 2, false)), item("B", rule("r", 2, false))]));
    let only = |name| Narrowing { only: BTreeSet::from([resource(name)]), ..Narrowing::default() };
    let vote = narrowed(&pending, "ann", only("A"));
    let pending = still_pending(pending.vote(vote, &team, &now()).unwrap());

    let vote = narrowed(&pending, "ben", only("B"));
    let nothing = pending.clone().vote(vote, &team, &now());
    assert_eq!(nothing, Err(VoteError::NothingInCommon));

    let vote = yes(&pending, "ben");
    let approved = approved(pending.vote(vote, &team, &now()).unwrap());
    assert_eq!(approved.granted.iter().map(|g| g.item).collect::<Vec<_>>(), [0]);
}

#[test]
fn each_rule_of_an_ask_wants_its_own_approvers() {
    let mut other = rule("other", 1, false);
    other.asks = Asks::People(Quorum::of(vec!["ben".parse().unwrap()], 1));
    let mut mine = rule("mine", 1, false);
    mine.asks = Asks::People(Quorum::of(vec!["ann".parse().unwrap()], 1));
    let pending = Pending::new(ask(vec![item("A", mine), item("B", other)]));
    let team = people(&["ann", "ben"]);
    let vote = narrowed(
        &pending,
        "ann",
        Narrowing { only: BTreeSet::from([resource("B")]), ..Narrowing::default() },
    );
    let not_hers = pending.clone().vote(vote, &team, &now());
    assert_eq!(not_hers, Err(VoteError::NotYours(resource("B"))));
    assert_eq!(outcome(pending, &["ann", "ben"], &team), Ok(Status::Approved));
}

#[test]
fn an_approval_reads_back_as_it_is_stored() {
    let pending = one(1);
    let vote = yes(&pending, "ann");
    let approval = pending.vote(vote, &people(&["ann"]), &now()).unwrap();
    let stored = serde_json::to_string(&approval).unwrap();
    assert_eq!(serde_json::from_str::<Approval>(&stored).unwrap(), approval);
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let uses = proptest::option::of(0_u32..30);
    (1_u64..5_000, 0_u64..5_000, uses, any::<bool>(), any::<bool>()).prop_map(
        |(duration, more, uses, once, remember)| Limits {
            duration: Duration::from_secs(duration),
            max: Duration::from_secs(duration + more),
            uses,
            once,
            remember,
        },
    )
}

proptest! {
    #[test]
    fn within_is_never_more_than_either(one in any_limits(), other in any_limits()) {
        let both = one.within(&other);
        prop_assert_eq!(both, other.within(&one));
        prop_assert_eq!(both, both.within(&one));
        let most = |uses: Option<u32>| uses.unwrap_or(u32::MAX);
        for each in [one, other] {
            prop_assert!(both.duration <= each.duration && both.max <= each.max);
            prop_assert!(most(both.uses) <= most(each.uses));
            prop_assert!(both.once || !each.once);
            prop_assert!(each.remember || !both.remember);
        }
        prop_assert!(both.duration <= both.max);
        prop_assert!(!both.once || most(both.uses) <= 1);
    }

    #[test]
    fn a_broken_glass_is_short_whatever_is_asked_for(
        requested in proptest::option::of(1_u64..100_000), max in 1_u64..100_000,
    ) {
        let mut rule = rule("r", 1, false);
        rule.lease.max = Duration::from_secs(max);
        let limits = Limits::break_glass(&rule, requested.map(Duration::from_secs));
        prop_assert!(limits.max <= BREAK_GLASS_MAX && limits.max <= rule.lease.max);
        prop_assert!(limits.duration <= limits.max && !limits.remember);
    }

    #[test]
    fn narrowing_never_lengthens(duration in 1_u64..5_000, uses in 0_u32..50, once: bool) {
        let kind = if once { GrantKind::Once } else { GrantKind::Lease };
        let pending = one(1);
        let whole = Limits::of(&pending.ask.items[0].rule, None);
        let narrowing = Narrowing {
            duration: Some(Duration::from_secs(duration)),
            uses: Some(uses),
            kind,
            only: BTreeSet::new(),
        };
        let vote = narrowed(&pending, "ann", narrowing);
        if let Ok(approval) = pending.vote(vote, &people(&["ann"]), &now()) {
            let limits = approved(approval).granted[0].limits;
            prop_assert!(limits.duration <= whole.duration && limits.max <= whole.max);
            prop_assert!(limits.uses <= whole.uses);
        }
    }
}
