//! Who fills what: factors, escalation, and who never counts.

use super::*;

/// What the votes of these people, one after the other, make of an ask under `rule`, when it has
/// waited so long. A vote that is not taken changes nothing.
fn after(rule: Rule, voters: &[&str], waited: Duration) -> Status {
    let mut pending = pending(rule);
    for voter in voters {
        let vote = yes(&pending, voter);
        match pending.clone().vote(vote, &teams(), &later(waited)) {
            Ok(Approval::Pending(next)) => pending = next,
            Ok(settled) => return settled.status(),
            Err(_) => {}
        }
    }
    Status::Pending
}

#[test]
fn every_factor_is_filled_and_nobody_fills_two_places() {
    let two_and_one = |self_approval| Rule {
        asks: Asks::People(Quorum {
            factors: vec![factor("group:oncall", 2), factor("group:security", 1)],
            self_approval,
        }),
        ..rule("r", 1, false)
    };
    for (rule, voters, expected) in [
        (both_teams(), &["ann"][..], Status::Pending),
        (both_teams(), &["ann", "ann"], Status::Pending),
        (both_teams(), &["ben", "cid"], Status::Approved),
        // Ann could be either of the two; the other one decides which.
        (both_teams(), &["ann", "ben"], Status::Approved),
        (both_teams(), &["ann", "cid"], Status::Approved),
        (both_teams(), &["ben", "ann"], Status::Approved),
        (both_teams(), &["cid", "ann"], Status::Approved),
        // Not named, no role, disabled, the owner.
        (both_teams(), &["ben", "dan"], Status::Pending),
        (both_teams(), &["ben", "eve"], Status::Pending),
        (both_teams(), &["ben", "fay"], Status::Pending),
        (both_teams(), &["ben", "owner"], Status::Pending),
        (two_and_one(false), &["ann", "ben"], Status::Pending),
        (two_and_one(false), &["ann", "ben", "cid"], Status::Approved),
        (two_and_one(true), &["ann", "ben", "owner"], Status::Approved),
        (two_and_one(true), &["cid", "owner"], Status::Pending),
    ] {
        assert_eq!(after(rule, voters, Duration::ZERO), expected, "{voters:?}");
    }
}

#[test]
fn progress_shows_the_best_that_the_votes_so_far_can_fill() {
    let mut waiting = pending(both_teams());
    assert_eq!(met(&waiting, &teams(), &now()), [[0, 0]]);
    let vote = yes(&waiting, "ann");
    waiting = still_pending(waiting.vote(vote, &teams(), &now()).unwrap());
    assert_eq!(met(&waiting, &teams(), &now()), [[1, 0]]);

    // Whoever leaves the team meanwhile fills a place no more, or another one.
    let mut changed = teams();
    changed.members[0].groups = vec!["security".to_owned()];
    assert_eq!(met(&waiting, &changed, &now()), [[0, 1]]);
    changed.members[0].enabled = false;
    assert_eq!(met(&waiting, &changed, &now()), [[0, 0]]);
}

#[test]
fn progress_names_each_factor_and_who_is_asked_as_well() {
    let waiting = pending(escalating());
    let told = |at: &Now| {
        let progress = waiting.progress(&teams(), at).remove(0);
        let factors = progress.factors.into_iter().map(|f| (f.from.join(" "), f.count, f.met));
        (factors.collect::<Vec<_>>(), progress.also)
    };
    let factors = vec![("group:oncall".to_owned(), 1, 0), ("group:security".to_owned(), 1, 0)];
    assert_eq!(told(&now()), (factors.clone(), vec![]));
    assert_eq!(told(&later(20 * MINUTE)), (factors, vec!["dan".to_owned()]));
}

/// One of each team, and dan in anybody's place after twenty minutes.
fn escalating() -> Rule {
    let escalation = Escalation { after: 20 * MINUTE, to: refs(&["dan"]) };
    Rule { escalation: Some(escalation), ..both_teams() }
}

#[test]
fn whoever_it_escalates_to_may_answer_from_then_on() {
    let waiting = pending(escalating());
    let before = just_before(20 * MINUTE);
    let bar = Standing::MayNot(Bar::NotAnApprover);
    assert_eq!(waiting.standing("dan", &teams(), &before), bar);
    assert_eq!(waiting.standing("dan", &teams(), &later(20 * MINUTE)), Standing::MayVote);
    for (ballot_of, at, taken) in [
        (Ballot::Deny, &before, false),
        (Ballot::Deny, &later(20 * MINUTE), true),
        (Ballot::Approve(Narrowing::default()), &before, false),
        (Ballot::Approve(Narrowing::default()), &later(20 * MINUTE), true),
    ] {
        let vote = ballot(&waiting, "dan", ballot_of);
        assert_eq!(waiting.clone().vote(vote, &teams(), at).is_ok(), taken);
    }
    for (voters, waited, expected) in [
        (&["ben", "dan"][..], 20, Status::Approved),
        (&["cid", "dan"], 20, Status::Approved),
        (&["dan", "ann"], 20, Status::Approved),
        (&["dan"], 20, Status::Pending),
        (&["ben", "dan"], 19, Status::Pending),
        (&["ben", "owner"], 20, Status::Pending),
    ] {
        assert_eq!(after(escalating(), voters, waited * MINUTE), expected, "{voters:?} {waited}");
    }
}

#[test]
fn a_vote_given_before_the_escalation_counts_after_it() {
    let waiting = pending(escalating());
    let vote = yes(&waiting, "ben");
    let waiting = still_pending(waiting.vote(vote, &teams(), &now()).unwrap());
    let vote = yes(&waiting, "dan");
    let settled = waiting.vote(vote, &teams(), &later(30 * MINUTE)).unwrap();
    assert_eq!(settled.status(), Status::Approved);
}

#[test]
fn the_owner_is_not_asked_by_an_escalation_either() {
    let to = refs(&["owner", "dan"]);
    let escalation = Some(Escalation { after: 20 * MINUTE, to });
    let waiting = pending(Rule { escalation, ..both_teams() });
    let standing = waiting.standing("owner", &teams(), &later(20 * MINUTE));
    assert_eq!(standing, Standing::MayNot(Bar::OwnRequest));
}

const NAMES: [&str; 7] = ["ann", "ben", "cid", "dan", "eve", "fay", "owner"];
const ASKED: [&str; 6] = ["group:oncall", "group:security", "ann", "dan", "owner", "eve"];

fn any_refs() -> impl Strategy<Value = Vec<ApproverRef>> {
    prop::sample::subsequence(ASKED.to_vec(), 1..=4).prop_map(|names| refs(&names))
}

fn any_quorum() -> impl Strategy<Value = Quorum> {
    let factor = (any_refs(), 1_u32..=3).prop_map(|(from, count)| Factor { from, count });
    prop::collection::vec(factor, 1..=3)
        .prop_map(|factors| Quorum { factors, self_approval: false })
}

fn any_directory() -> impl Strategy<Value = Directory> {
    let groups = prop::sample::subsequence(vec!["oncall", "security"], 0..=2);
    prop::collection::vec((prop::bool::weighted(0.8), prop::bool::weighted(0.8), groups), 7)
        .prop_map(|members| {
            let made =
                NAMES.iter().zip(members).map(|(name, (enabled, approves, groups))| Member {
                    name: (*name).to_owned(),
                    enabled,
                    approves,
                    groups: groups.into_iter().map(str::to_owned).collect(),
                });
            Directory { members: made.collect() }
        })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let escalation = prop::option::of(any_refs().prop_map(|to| Escalation { after: MINUTE, to }));
    (any_quorum(), escalation).prop_map(|(quorum, escalation)| Rule {
        asks: Asks::People(quorum),
        escalation,
        ..rule("r", 1, false)
    })
}

fn any_voters() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(NAMES.to_vec()), 0..10)
}

/// Whether the voters can be put into all places, found by trying every way.
fn can_be_met(
    quorum: &Quorum,
    voters: &BTreeSet<&str>,
    also: &[ApproverRef],
    people: &Directory,
) -> bool {
    fn seat(open: &mut [(BTreeSet<String>, u32)], voters: &[&str]) -> bool {
        if open.iter().all(|(_, count)| *count == 0) {
            return true;
        }
        let Some((voter, rest)) = voters.split_first() else { return false };
        for factor in 0..open.len() {
            if open[factor].1 > 0 && open[factor].0.contains(*voter) {
                open[factor].1 -= 1;
                if seat(open, rest) {
                    return true;
                }
                open[factor].1 += 1;
            }
        }
        seat(open, rest)
    }
    let also = crate::policy::eligible(also, people);
    let mut open: Vec<_> = quorum
        .factors
        .iter()
        .map(|factor| {
            let from = crate::policy::eligible(&factor.from, people);
            (from.union(&also).cloned().collect(), factor.count)
        })
        .collect();
    seat(&mut open, &voters.iter().copied().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn a_quorum_is_met_exactly_where_some_seating_fills_it(
        quorum in any_quorum(), voters in any_voters(), also in any_refs(), escalated: bool,
        people in any_directory(),
    ) {
        let also = if escalated { &also[..] } else { &[] };
        let different: BTreeSet<_> = voters.iter().copied().collect();
        let expected = can_be_met(&quorum, &different, also, &people);
        prop_assert_eq!(quorum.is_met(&voters, also, &people), expected);
        let filled = quorum.filled(&voters, also, &people);
        prop_assert!(filled.iter().zip(&quorum.factors).all(|(met, factor)| *met <= factor.count));
        let places = usize::try_from(filled.iter().sum::<u32>()).unwrap();
        prop_assert!(places <= different.len());
    }

    #[test]
    fn a_quorum_of_several_is_never_met_by_one_person(
        rule in any_rule(), voter in prop::sample::select(NAMES.to_vec()), times in 1_usize..6,
        waited in 0_u64..120, people in any_directory(),
    ) {
        let quorum = rule.quorum().unwrap();
        prop_assume!(quorum.people() > 1);
        let also = rule.also_asked(Duration::from_secs(waited));
        prop_assert!(!quorum.is_met(&vec![voter; times], also, &people));

        let mut waiting = pending(rule);
        for _ in 0..times {
            let vote = yes(&waiting, voter);
            match waiting.clone().vote(vote, &people, &later(Duration::from_secs(waited))) {
                Ok(Approval::Pending(next)) => waiting = next,
                Ok(settled) => prop_assert!(false, "settled: {:?}", settled.status()),
                Err(_) => {}
            }
        }
    }

    #[test]
    fn the_owner_never_counts(
        rule in any_rule(), voters in any_voters(), waited in 0_u64..120, people in any_directory(),
    ) {
        // Whatever comes of some votes comes of the same without the owner's.
        let cast = |voters: &[&str]| {
            let mut waiting = pending(rule.clone());
            for voter in voters {
                let vote = yes(&waiting, voter);
                match waiting.clone().vote(vote, &people, &later(Duration::from_secs(waited))) {
                    Ok(Approval::Pending(next)) => waiting = next,
                    Ok(settled) => return settled,
                    Err(_) => {}
                }
            }
            Approval::Pending(waiting)
        };
        let without: Vec<_> = voters.iter().copied().filter(|name| *name != "owner").collect();
        let settled = cast(&voters);
        prop_assert_eq!(&settled, &cast(&without));
        prop_assert!(settled.votes().iter().all(|vote| vote.voter_name != "owner"));
    }

    #[test]
    fn what_is_approved_was_approved_by_enough_people(
        rule in any_rule(), voters in any_voters(), waited in 0_u64..120, people in any_directory(),
    ) {
        let needed = usize::try_from(rule.quorum().unwrap().people()).unwrap();
        let mut waiting = pending(rule);
        for voter in voters {
            let vote = yes(&waiting, voter);
            match waiting.clone().vote(vote, &people, &later(Duration::from_secs(waited))) {
                Ok(Approval::Pending(next)) => waiting = next,
                Ok(settled) => {
                    let names: BTreeSet<_> =
                        settled.votes().iter().map(|vote| vote.voter_name.as_str()).collect();
                    prop_assert!(names.len() >= needed);
                    let counts = |name: &&str| people.member(name).is_some_and(Member::counts);
                    prop_assert!(names.iter().all(counts));
                    break;
                }
                Err(_) => {}
            }
        }
    }
}
