use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use vouchsafe_core::id::ID_BYTES;
use vouchsafe_core::time::BootId;

use super::*;

/// 2026-11-21T10:00:00Z.
const START_MS: i64 = 1_795_255_200_000;

fn at(ms: u64) -> Now {
    Now {
        wall: UnixTime::from_ms(START_MS + i64::try_from(ms).unwrap()),
        since_boot_ms: 3_600_000 + ms,
        boot: BootId::new("boot-1"),
    }
}

fn key(number: u8) -> KeyId {
    KeyId::from_random([number; ID_BYTES])
}

#[test]
fn a_minute_has_as_many_requests_as_the_rate_says() {
    let mut window = Window::new(&at(0));
    for _ in 0..60 {
        assert_eq!(window.admit(60, &at(0)), Ok(()));
    }
    assert_eq!(window.left(60, &at(0)), 0);
    assert_eq!(window.admit(60, &at(0)), Err(Duration::from_mins(1)));
    assert_eq!(window.admit(60, &at(59_999)), Err(Duration::from_millis(1)));
    assert_eq!(window.admit(60, &at(60_000)), Ok(()));
    assert_eq!(window.left(60, &at(60_000)), 59);
}

#[test]
fn what_is_refused_does_not_count() {
    let mut window = Window::new(&at(0));
    assert_eq!(window.admit(1, &at(0)), Ok(()));
    for ms in (1_000..60_000).step_by(1_000) {
        assert!(window.admit(1, &at(ms)).is_err());
    }
    assert_eq!(window.admit(1, &at(60_000)), Ok(()));
}

#[test]
fn a_rate_that_is_lowered_holds_for_what_was_made_before() {
    let mut window = Window::new(&at(0));
    for second in 0..10 {
        assert_eq!(window.admit(10, &at(second * 1_000)), Ok(()));
    }
    // Eight of the ten have to be a minute old before there is room for one of three.
    assert_eq!(window.admit(3, &at(10_000)), Err(Duration::from_secs(57)));
}

#[test]
fn a_window_is_read_back_as_it_was_left() {
    let mut window = Window::new(&at(0));
    assert_eq!(window.take_note(), None);
    for ms in [0, 20_000, 40_000] {
        assert_eq!(window.admit(3, &at(ms)), Ok(()));
    }
    let note = window.take_note().unwrap();
    assert_eq!(window.take_note(), None);
    window.note_again();
    assert_eq!(window.take_note(), Some(note.clone()));
    let mut again = Window::read(&note, &at(50_000));
    assert_eq!(again.admit(3, &at(50_000)), Err(Duration::from_secs(10)));
    assert_eq!(again.admit(3, &at(60_000)), Ok(()));
}

#[test]
fn after_a_restart_of_the_machine_the_wall_clock_tells() {
    let mut window = Window::new(&at(0));
    for ms in [0, 20_000, 40_000] {
        assert_eq!(window.admit(3, &at(ms)), Ok(()));
    }
    let note = window.take_note().unwrap();
    let booted =
        |ms: u64| Now { since_boot_ms: ms - 45_000, boot: BootId::new("boot-2"), ..at(ms) };
    let mut again = Window::read(&note, &booted(50_000));
    assert_eq!(again.admit(3, &booted(50_000)), Err(Duration::from_secs(10)));
    assert_eq!(again.admit(3, &booted(60_000)), Ok(()));
    // A wall clock that was set back makes nothing older than it is.
    let back = Now { wall: UnixTime::from_ms(0), since_boot_ms: 0, boot: BootId::new("boot-3") };
    assert_eq!(Window::read(&note, &back).left(3, &back), 0);
}

#[test]
fn a_note_that_cannot_be_read_counts_for_nothing() {
    for note in ["", "nonsense", "{}", "[1]"] {
        assert_eq!(Window::read(note, &at(0)), Window::new(&at(0)));
    }
}

#[test]
fn a_window_is_forgotten_once_it_says_nothing() {
    let limits = Limits::default();
    limits.windows().insert(key(1), Window::new(&at(0)));
    limits.with_window(key(1), |window| window.admit(60, &at(0)).unwrap()).unwrap();
    assert_eq!(limits.take(false, &at(0)).windows.len(), 1);
    assert!(limits.take(false, &at(59_999)).is_empty());
    assert_eq!(limits.windows().len(), 1);
    drop(limits.take(false, &at(60_000)));
    assert_eq!(limits.windows().len(), 0);
}

#[test]
fn a_months_calls_are_the_keys_and_the_projects() {
    let mut month = Month::new("2026-11", Some(5), [(key(1), 2), (key(9), 1)], &at(0));
    let call = |month: &mut Month, key, cap| match month.count(key, cap, &at(0)) {
        Counted::Store(calls) => {
            month.stored(key, calls);
            month.count(key, cap, &at(0))
        }
        counted => counted,
    };
    assert_eq!(call(&mut month, key(1), Some(3)), Counted::Yes);
    assert_eq!(call(&mut month, key(1), Some(3)), Counted::KeyOver(3));
    assert_eq!(month.usage(key(2), None), (0, Some(1)));
    assert_eq!(call(&mut month, key(2), None), Counted::Yes);
    assert_eq!(call(&mut month, key(2), None), Counted::ProjectOver(5));
    month.give_back(key(1));
    assert_eq!(month.usage(key(1), Some(3)), (2, Some(1)));
    assert_eq!(call(&mut month, key(2), None), Counted::Yes);
    month.limit = None;
    assert_eq!(month.usage(key(2), None), (2, None));
}

#[test]
fn an_idle_key_has_the_rest_of_its_block_given_back() {
    let mut month = Month::new("2026-11", None, [], &at(0));
    let Counted::Store(block) = month.count(key(1), None, &at(0)) else { panic!("a block") };
    assert_eq!(block, 100);
    month.stored(key(1), block);
    for _ in 0..51 {
        assert_eq!(month.count(key(1), None, &at(0)), Counted::Yes);
    }
    // Whoever calls on has the next block before this one is used up.
    assert_eq!(month.take_unsaved(false, &at(1)), [(key(1), 151)]);
    month.stored(key(1), 151);
    assert_eq!(month.take_unsaved(false, &at(59_999)), []);
    assert_eq!(month.take_unsaved(false, &at(60_000)), [(key(1), 51)]);
    assert_eq!(month.take_unsaved(true, &at(60_000)), []);
    assert!(!month.is_idle(&at(60_000)) && month.is_idle(&at(3_600_000)));
}

#[test]
fn a_month_ends_with_the_calendars_in_utc() {
    for (time, month, next) in [
        ("2026-11-30T23:59:59.999Z", "2026-11", "2026-12-01T00:00:00.000Z"),
        ("2026-12-31T23:30:00-01:00", "2027-01", "2027-02-01T00:00:00.000Z"),
        ("2026-12-01T00:00:00Z", "2026-12", "2027-01-01T00:00:00.000Z"),
    ] {
        let time = UnixTime::parse_rfc3339(time).unwrap();
        assert_eq!(month_of(time), month);
        assert_eq!(next_month(time).rfc3339(), next);
    }
}

/// What happens to the calls of a project's two keys.
#[derive(Clone, Copy, Debug)]
enum Step {
    Call(u8),
    GiveBack(u8),
    Sweep(u16),
    Crash,
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..=2_u8).prop_map(Step::Call),
        3 => (1..=2_u8).prop_map(Step::GiveBack),
        3 => any::<u16>().prop_map(Step::Sweep),
        1 => Just(Step::Crash),
        1 => Just(Step::Stop),
    ]
}

proptest! {
    #[test]
    fn no_minute_has_more_requests_than_the_rate(
        rate in 1..20_u32,
        gaps in vec(0..9_000_u64, 1..300),
        restarts in vec(any::<bool>(), 300),
    ) {
        let mut now = 0;
        let mut window = Window::new(&at(0));
        let mut admitted: Vec<u64> = Vec::new();
        for (gap, restart) in gaps.into_iter().zip(restarts) {
            now += gap;
            if restart && let Some(note) = window.take_note() {
                window = Window::read(&note, &at(now));
            }
            match window.admit(rate, &at(now)) {
                Ok(()) => admitted.push(now),
                // Room is where it was said to be, and not before.
                Err(wait) => {
                    let wait = u64::try_from(wait.as_millis()).unwrap();
                    prop_assert!(window.clone().admit(rate, &at(now + wait - 1)).is_err());
                    prop_assert!(window.clone().admit(rate, &at(now + wait)).is_ok());
                }
            }
        }
        for (index, first) in admitted.iter().enumerate() {
            // A minute, less the one step in which it begins.
            let within = admitted.iter().skip(index).filter(|at| **at - first < 59_900).count();
            prop_assert!(within <= usize::try_from(rate).unwrap());
        }
    }

    #[test]
    fn no_month_has_more_calls_than_its_limits_and_a_crash_gives_none_back(
        cap in proptest::option::of(1..150_u64),
        limit in proptest::option::of(1..200_u64),
        steps in vec(step(), 1..600),
    ) {
        let mut clock = 0;
        let mut stored: BTreeMap<KeyId, u64> = BTreeMap::new();
        let mut made: BTreeMap<KeyId, u64> = BTreeMap::new();
        let load = |stored: &BTreeMap<KeyId, u64>, clock| {
            Month::new("2026-11", limit, stored.iter().map(|(k, n)| (*k, *n)), &at(clock))
        };
        let mut month = load(&stored, clock);
        let mut under_way: BTreeMap<KeyId, u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Call(number) => {
                    let key = key(number);
                    let mut counted = month.count(key, cap, &at(clock));
                    if let Counted::Store(calls) = counted {
                        stored.insert(key, calls);
                        month.stored(key, calls);
                        counted = month.count(key, cap, &at(clock));
                    }
                    if counted == Counted::Yes {
                        *made.entry(key).or_default() += 1;
                        *under_way.entry(key).or_default() += 1;
                    }
                }
                Step::GiveBack(number) => {
                    if let Some(calls) = under_way.get_mut(&key(number)).filter(|n| **n > 0) {
                        *calls -= 1;
                        month.give_back(key(number));
                        *made.entry(key(number)).or_default() -= 1;
                    }
                }
                Step::Sweep(ms) => {
                    clock += u64::from(ms);
                    for (key, calls) in month.take_unsaved(false, &at(clock)) {
                        stored.insert(key, calls);
                        month.stored(key, calls);
                    }
                }
                Step::Crash => {
                    under_way.clear();
                    month = load(&stored, clock);
                }
                Step::Stop => {
                    under_way.clear();
                    stored.extend(month.take_unsaved(true, &at(clock)));
                    month = load(&stored, clock);
                }
            }
            let all: u64 = made.values().sum();
            prop_assert!(limit.is_none_or(|limit| all <= limit));
            for (key, calls) in &made {
                prop_assert!(cap.is_none_or(|cap| *calls <= cap));
                prop_assert!(*calls <= stored.get(key).copied().unwrap_or_default());
            }
        }
    }
}
