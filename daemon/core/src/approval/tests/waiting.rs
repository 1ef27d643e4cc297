//! The clock of what waits: stops, reminders, escalations, the end.

use super::*;

/// Reminds every ten minutes, escalates after 25, waits an hour.
fn reminding() -> Pending {
    let escalation = Escalation { after: 25 * MINUTE, to: refs(&["dan", "group:security"]) };
    pending(Rule {
        remind_every: Some(10 * MINUTE),
        escalation: Some(escalation),
        ..rule("r", 1, false)
    })
}

fn at_boot(by: Duration, boot: &str) -> Now {
    Now { since_boot_ms: 7, boot: BootId::new(boot), ..later(by) }
}

/// The moment at which it is due next, as the time since it was asked, by both clocks.
fn due(pending: &Pending) -> Option<Duration> {
    let due = pending.due()?;
    let by_wall = due.wall.since(now().wall);
    if due.boot == now().boot {
        let by_boot = Duration::from_millis(due.since_boot_ms - now().since_boot_ms);
        assert_eq!(by_wall, by_boot, "the clocks agree");
    }
    Some(by_wall)
}

#[test]
fn a_stop_moves_the_end_by_just_the_time_it_lasted() {
    let stopped = one(1).stop(&later(10 * MINUTE));
    assert!(stopped.is_stopped() && stopped.due().is_none());
    for minutes in [10, 60, 600] {
        let at = later(minutes * MINUTE);
        assert!(!stopped.is_over(&at), "{minutes}");
        assert_eq!((stopped.left(&at), stopped.waited(&at)), (50 * MINUTE, 10 * MINUTE));
        assert_eq!(stopped.clone().expire(&at).status(), Status::Pending);
    }
    let resumed = stopped.resume(&later(100 * MINUTE));
    assert_eq!(resumed.deadline(), &now().deadline(150 * MINUTE));
    assert_eq!(resumed.waited(&later(110 * MINUTE)), 20 * MINUTE);
    assert_eq!(due(&resumed), Some(150 * MINUTE));
    assert!(!resumed.is_over(&just_before(150 * MINUTE)));
    assert!(resumed.is_over(&later(150 * MINUTE)));
}

#[test]
fn a_stop_lasts_over_a_restart_of_the_machine() {
    let stopped = one(1).stop(&later(10 * MINUTE));
    let resumed = stopped.resume(&at_boot(100 * MINUTE, "b"));
    assert_eq!(resumed.deadline(), &at_boot(100 * MINUTE, "b").deadline(50 * MINUTE));
    assert_eq!(resumed.waited(&at_boot(100 * MINUTE, "b")), 10 * MINUTE);
    // Either clock of the new boot ends it, and in another one the wall clock does.
    let mut at = at_boot(100 * MINUTE, "b");
    at.since_boot_ms += 3_000_000;
    assert!(resumed.is_over(&at));
    assert!(!resumed.is_over(&at_boot(149 * MINUTE, "c")));
    assert!(resumed.is_over(&at_boot(150 * MINUTE, "c")));
}

#[test]
fn stopping_what_is_stopped_and_resuming_what_runs_changes_nothing() {
    let running = one(1);
    assert_eq!(running.clone().resume(&later(MINUTE)), running);
    let stopped = running.stop(&later(10 * MINUTE));
    assert_eq!(stopped.clone().stop(&later(20 * MINUTE)), stopped);
    let resumed = stopped.resume(&later(30 * MINUTE));
    assert_eq!(resumed.clone().resume(&later(40 * MINUTE)), resumed);
}

#[test]
fn what_was_over_before_the_stop_is_over_after_it() {
    let late = later(60 * MINUTE);
    let resumed = one(1).stop(&late).resume(&later(70 * MINUTE));
    assert!(resumed.is_over(&later(70 * MINUTE)));
}

#[test]
fn while_it_is_stopped_people_may_only_deny() {
    let team = people(&["ann", "owner"]);
    let stopped = one(1).stop(&later(10 * MINUTE));
    let at = later(500 * MINUTE);
    let vote = yes(&stopped, "ann");
    assert_eq!(stopped.clone().vote(vote.clone(), &team, &at), Err(VoteError::Stopped));
    // Who has no say is told so, stopped or not.
    let stranger = yes(&stopped, "dan");
    let barred = Err(VoteError::Barred(Bar::NotAnApprover));
    assert_eq!(stopped.clone().vote(stranger, &team, &at), barred);

    let denied = stopped.clone().vote(ballot(&stopped, "ann", Ballot::Deny), &team, &at);
    assert_eq!(denied.unwrap().status(), Status::Denied);
    let taken_back = stopped.clone().withdraw("claude-desktop", &at);
    assert_eq!(taken_back.status(), Status::Withdrawn);
    // Its digest is still the same: a vote given on what was seen before the stop counts after it.
    let resumed = stopped.resume(&at);
    assert_eq!(resumed.vote(vote, &team, &at).unwrap().status(), Status::Approved);
}

#[test]
fn nobody_is_told_anything_while_it_is_stopped() {
    let stopped = reminding().stop(&later(26 * MINUTE));
    let (stopped, notices) = stopped.notices(&later(500 * MINUTE));
    assert_eq!(notices, []);
    // What was due when it was stopped is told once it runs again.
    let (_, notices) = stopped.resume(&later(500 * MINUTE)).notices(&later(500 * MINUTE));
    assert_eq!(notices.len(), 2);
}

#[test]
fn each_reminder_and_escalation_is_told_once() {
    let mut waiting = reminding();
    let escalated = Notice::Escalated {
        rule: "r".to_owned(),
        to: vec!["dan".to_owned(), "group:security".to_owned()],
    };
    let reminder = |number| Notice::Reminder { number };
    for (next_due, expected) in [
        (10, vec![reminder(1)]),
        (20, vec![reminder(2)]),
        (25, vec![escalated]),
        (30, vec![reminder(3)]),
        (40, vec![reminder(4)]),
        (50, vec![reminder(5)]),
    ] {
        assert_eq!(due(&waiting), Some(next_due * MINUTE));
        let early = just_before(next_due * MINUTE);
        assert_eq!(waiting.clone().notices(&early), (waiting.clone(), vec![]), "{next_due}");
        let (told, notices) = waiting.notices(&later(next_due * MINUTE));
        assert_eq!(notices, expected, "{next_due}");
        assert_eq!(told.clone().notices(&later(next_due * MINUTE)), (told.clone(), vec![]));
        waiting = told;
    }
    // The last one would come at the very end, and then there is nothing left to answer.
    assert_eq!(due(&waiting), Some(60 * MINUTE));
    assert_eq!(waiting.notices(&later(60 * MINUTE)).1, []);
}

#[test]
fn what_was_missed_is_told_once_with_the_last_number() {
    let (told, notices) = reminding().notices(&later(47 * MINUTE));
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[1], Notice::Reminder { number: 4 });
    assert_eq!(due(&told), Some(50 * MINUTE));
}

#[test]
fn a_stop_moves_reminders_and_escalations_as_well() {
    let (waiting, _) = reminding().notices(&later(10 * MINUTE));
    let moved = waiting.stop(&later(15 * MINUTE)).resume(&later(115 * MINUTE));
    assert_eq!(due(&moved), Some(120 * MINUTE));
    let (moved, notices) = moved.notices(&later(120 * MINUTE));
    assert_eq!(notices, [Notice::Reminder { number: 2 }]);
    assert_eq!(due(&moved), Some(125 * MINUTE));
    assert_eq!(moved.standing("dan", &teams(), &later(124 * MINUTE)), barred());
    assert_eq!(moved.standing("dan", &teams(), &later(125 * MINUTE)), Standing::MayVote);
}

fn barred() -> Standing {
    Standing::MayNot(Bar::NotAnApprover)
}

#[test]
fn rules_that_share_an_ask_escalate_each_and_remind_at_the_shorter_interval() {
    let with = |name: &str, every, after| Rule {
        remind_every: Some(every * MINUTE),
        escalation: Some(Escalation { after: after * MINUTE, to: refs(&["dan"]) }),
        ..rule(name, 1, false)
    };
    let one = with("one", 30, 5);
    let waiting = Pending::new(ask(vec![
        item("A", one.clone()),
        item("B", one),
        item("C", with("other", 20, 15)),
    ]));
    assert_eq!(due(&waiting), Some(5 * MINUTE));
    let (waiting, notices) = waiting.notices(&later(5 * MINUTE));
    assert_eq!(notices.len(), 1, "once a rule, not once an item");
    let (waiting, notices) = waiting.notices(&later(20 * MINUTE));
    assert!(matches!(&notices[..],
        [Notice::Escalated { rule, .. }, Notice::Reminder { number: 1 }] if rule == "other"));
    assert_eq!(due(&waiting), Some(40 * MINUTE));
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Stop,
    Resume,
    Look,
    Reboot,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..900).prop_map(Step::Pass),
        1 => Just(Step::Stop),
        1 => Just(Step::Resume),
        2 => Just(Step::Look),
        1 => Just(Step::Reboot),
    ]
}

proptest! {
    #[test]
    fn its_clock_counts_the_time_it_ran_and_no_other(
        steps in prop::collection::vec(any_step(), 1..40),
        remind in prop::option::of(1_u64..60), escalate in prop::option::of(1_u64..60),
    ) {
        let mut waiting = pending(Rule {
            remind_every: remind.map(Duration::from_mins),
            escalation: escalate.map(|minutes| Escalation {
                after: Duration::from_mins(minutes),
                to: refs(&["dan"]),
            }),
            ..rule("r", 1, false)
        });
        let (mut at, mut ran, mut stopped) = (now(), Duration::ZERO, false);
        let mut told = 0;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Pass(seconds) => {
                    let passed = Duration::from_secs(seconds);
                    let Deadline { wall, since_boot_ms, boot } = at.deadline(passed);
                    at = Now { wall, since_boot_ms, boot };
                    if !stopped {
                        ran = (ran + passed).min(60 * MINUTE);
                    }
                }
                Step::Stop => (waiting, stopped) = (waiting.stop(&at), true),
                Step::Resume => (waiting, stopped) = (waiting.resume(&at), false),
                Step::Reboot => {
                    at = Now { since_boot_ms: 0, boot: BootId::new(format!("{n}")), ..at };
                }
                Step::Look => {
                    let notices;
                    (waiting, notices) = waiting.notices(&at);
                    let escalated =
                        |notice: &&Notice| matches!(notice, Notice::Escalated { .. });
                    told += notices.iter().filter(escalated).count();
                    prop_assert!(told <= 1, "escalated twice");
                    if let Some(due) = waiting.due() {
                        // Whoever looked has nothing to do until then, unless it is over.
                        prop_assert!(!due.passed(&at) || waiting.is_over(&at));
                    }
                }
            }
            prop_assert_eq!(waiting.waited(&at), ran);
            prop_assert_eq!(waiting.is_over(&at), !stopped && ran == 60 * MINUTE);
            match waiting.due() {
                Some(due) => prop_assert!(due.wall <= waiting.deadline().wall),
                None => prop_assert!(stopped),
            }
        }
    }
}
