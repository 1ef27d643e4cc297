//! A clock that only tests turn.
#![expect(clippy::unwrap_used, reason = "a poisoned lock is a failed test already")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use vouchsafe_core::time::{BootId, Now, UnixTime};
use vouchsafed::clock::Clock;

/// What the clock says at first: 2026-11-21T10:00:00Z, an hour after boot.
const START_MS: i64 = 1_795_255_200_000;

/// Wall time and time since boot, each moved by the test alone.
#[derive(Debug)]
pub struct TestClock {
    now: Mutex<Now>,
}

impl TestClock {
    /// A clock that stands at the start.
    pub fn new() -> Arc<Self> {
        let now = Now {
            wall: UnixTime::from_ms(START_MS),
            since_boot_ms: 3_600_000,
            boot: BootId::new("boot-1"),
        };
        Arc::new(Self { now: Mutex::new(now) })
    }

    /// Both clocks go on, as time does: nobody sees the one before the other.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        now.wall = now.wall.plus(by);
        now.since_boot_ms += u64::try_from(by.as_millis()).unwrap();
    }

    /// Only the wall clock goes forward: somebody set it.
    pub fn advance_wall(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        now.wall = now.wall.plus(by);
    }

    /// Somebody sets the wall clock back.
    pub fn set_back_wall(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        now.wall = now.wall.minus(by);
    }

    /// Only the clock since boot goes on: the wall clock stands still.
    pub fn advance_since_boot(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        now.since_boot_ms += u64::try_from(by.as_millis()).unwrap();
    }

    /// The machine was started again; the wall clock goes on as it was.
    pub fn reboot(&self, name: &str) {
        let mut now = self.now.lock().unwrap();
        now.boot = BootId::new(name);
        now.since_boot_ms = 0;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        self.now.lock().unwrap().clone()
    }
}
