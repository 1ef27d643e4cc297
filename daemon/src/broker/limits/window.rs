//! The requests of one key in its last minute.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vouchsafe_core::time::{BootId, Now, UnixTime};

/// How finely a minute is counted, in milliseconds.
const STEP_MS: i64 = 100;
/// Steps in a second.
const STEPS_A_SECOND: i64 = 10;
/// Steps in a minute.
const STEPS: i64 = 600;

/// How many requests were admitted in each step of the last minute, by the clock that nobody sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Window {
    /// When it was last looked at.
    seen: Now,
    /// Steps since boot, oldest first, each with its requests.
    steps: VecDeque<(i64, u32)>,
    total: u32,
    noted: bool,
}

/// A window as it is kept.
#[derive(Deserialize, Serialize)]
struct Recent {
    boot: BootId,
    wall: UnixTime,
    since_boot_ms: u64,
    steps: Vec<(i64, u32)>,
}

impl Window {
    pub(super) fn new(now: &Now) -> Self {
        Self { seen: now.clone(), steps: VecDeque::new(), total: 0, noted: true }
    }

    /// Reads a window back. What cannot be read counts for nothing.
    pub(super) fn read(text: &str, now: &Now) -> Self {
        if text.is_empty() {
            return Self::new(now);
        }
        let Ok(recent) = serde_json::from_str::<Recent>(text) else {
            tracing::warn!("the last minute of a key cannot be read and counts for nothing");
            return Self::new(now);
        };
        let Recent { boot, wall, since_boot_ms, steps } = recent;
        let total = steps.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        let seen = Now { wall, since_boot_ms, boot };
        let mut window = Self { seen, steps: steps.into(), total, noted: true };
        window.move_to(now);
        window
    }

    /// Counts one more request, or says how long until there is room for one.
    pub(super) fn admit(&mut self, rate: u32, now: &Now) -> Result<(), Duration> {
        self.move_to(now);
        if self.total >= rate {
            return Err(self.room_after(rate, now));
        }
        let step = step(now);
        match self.steps.back_mut() {
            Some((last, count)) if *last >= step => *count = count.saturating_add(1),
            _ => self.steps.push_back((step, 1)),
        }
        self.total = self.total.saturating_add(1);
        self.noted = false;
        Ok(())
    }

    /// How many more requests there is room for.
    pub(super) fn left(&mut self, rate: u32, now: &Now) -> u32 {
        self.move_to(now);
        rate.saturating_sub(self.total)
    }

    /// The window as text, where it has changed since it was taken last: by whole seconds, each
    /// request at the end of its own, so that it is written in little and read back as no less.
    pub(super) fn take_note(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.noted, true) {
            return None;
        }
        let recent = Recent {
            boot: self.seen.boot.clone(),
            wall: self.seen.wall,
            since_boot_ms: self.seen.since_boot_ms,
            steps: self.by_seconds(),
        };
        // Numbers and one string: there is no other way to write them.
        serde_json::to_string(&recent).ok()
    }

    /// The requests of each second, at its last step that has any.
    fn by_seconds(&self) -> Vec<(i64, u32)> {
        let mut seconds: Vec<(i64, u32)> = Vec::new();
        for (step, count) in &self.steps {
            match seconds.last_mut() {
                Some((last, sum)) if *last / STEPS_A_SECOND == *step / STEPS_A_SECOND => {
                    *last = *step;
                    *sum = sum.saturating_add(*count);
                }
                _ => seconds.push((*step, *count)),
            }
        }
        seconds
    }

    /// What was taken could not be written.
    pub(super) fn note_again(&mut self) {
        self.noted = false;
    }

    /// Whether nothing is lost when it is forgotten.
    pub(super) fn is_idle(&mut self, now: &Now) -> bool {
        self.move_to(now);
        self.noted && self.steps.is_empty()
    }

    /// Forgets what is older than a minute.
    fn move_to(&mut self, now: &Now) {
        if self.seen.boot != now.boot {
            // After a restart of the machine the wall clock alone can tell how long ago it was.
            let passed = now.wall.since(self.seen.wall).as_millis();
            let passed = i64::try_from(passed).unwrap_or(i64::MAX) / STEP_MS;
            let (before, after) = (step(&self.seen), step(now));
            for (step, _) in &mut self.steps {
                *step = after.saturating_sub(before.saturating_sub(*step).saturating_add(passed));
            }
        }
        self.seen = now.clone();
        let oldest = step(now).saturating_sub(STEPS);
        while let Some((step, count)) = self.steps.front().copied() {
            if step > oldest {
                break;
            }
            self.steps.pop_front();
            self.total = self.total.saturating_sub(count);
        }
    }

    /// How long until enough of what fills it is a minute old.
    fn room_after(&self, rate: u32, now: &Now) -> Duration {
        let mut to_go = self.total.saturating_sub(rate).saturating_add(1);
        let mut leaves = step(now).saturating_add(STEPS);
        for (step, count) in &self.steps {
            to_go = to_go.saturating_sub(*count);
            if to_go == 0 {
                leaves = step.saturating_add(STEPS);
                break;
            }
        }
        let at = u64::try_from(leaves.saturating_mul(STEP_MS)).unwrap_or(0);
        Duration::from_millis(at.saturating_sub(now.since_boot_ms).max(1))
    }
}

fn step(now: &Now) -> i64 {
    i64::try_from(now.since_boot_ms).unwrap_or(i64::MAX) / STEP_MS
}
