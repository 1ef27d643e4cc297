//! Points in time and how long until then.
//!
//! A deadline is kept twice, by the wall clock and by the clock that counts since boot, and is past
//! as soon as either says so: a wall clock set back never lengthens anything.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// A point in time by the wall clock: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UnixTime(i64);

/// One start of the machine: monotonic readings compare only within it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct BootId(String);

/// What both clocks say at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Now {
    /// The wall clock.
    pub wall: UnixTime,
    /// Milliseconds since boot, time asleep included.
    pub since_boot_ms: u64,
    /// Which boot that is.
    pub boot: BootId,
}

/// A moment after which something is over, by whichever clock gets there first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deadline {
    /// By the wall clock.
    pub wall: UnixTime,
    /// By the clock of `boot`, in milliseconds since it.
    pub since_boot_ms: u64,
    /// The boot in which the deadline was set.
    pub boot: BootId,
}

/// A text that is no duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a duration: write a number and a unit, such as 90s, 15m, 1h or 7d")]
pub struct DurationError {
    text: String,
}

impl UnixTime {
    /// The time `ms` milliseconds after 1970.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This much later; stops at the end of what can be counted.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This much earlier; stops at the beginning of what can be counted.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` until this; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-21T10:44:00.123Z`.
    pub fn rfc3339(self) -> String {
        DateTime::from_timestamp_millis(self.0)
            .unwrap_or(DateTime::UNIX_EPOCH)
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Reads RFC 3339, with any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_millis()))
    }

    /// Midnight UTC of the day this is in.
    #[must_use]
    pub fn midnight(self) -> Self {
        Self(self.0 - self.0.rem_euclid(86_400_000))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl BootId {
    /// The boot of that name; the kernel's `boot_id` in the daemon.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl Now {
    /// The deadline `duration` from now.
    pub fn deadline(&self, duration: Duration) -> Deadline {
        Deadline {
            wall: self.wall.plus(duration),
            since_boot_ms: self
                .since_boot_ms
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            boot: self.boot.clone(),
        }
    }
}

impl Deadline {
    /// Whether it is over: at the deadline itself it is.
    pub fn passed(&self, now: &Now) -> bool {
        self.left(now).is_zero()
    }

    /// The moment this much before it, by both clocks.
    #[must_use]
    pub fn before(&self, duration: Duration) -> Self {
        Self {
            wall: self.wall.minus(duration),
            since_boot_ms: self
                .since_boot_ms
                .saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            boot: self.boot.clone(),
        }
    }

    /// How long is left; zero once it has passed. After a restart of the machine the wall clock
    /// alone can tell.
    pub fn left(&self, now: &Now) -> Duration {
        let by_wall = self.wall.since(now.wall);
        if self.boot != now.boot {
            return by_wall;
        }
        by_wall.min(Duration::from_millis(self.since_boot_ms.saturating_sub(now.since_boot_ms)))
    }
}

/// Reads `90s`, `15m`, `1h 30m`, `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    humantime::parse_duration(text.trim()).map_err(|_| DurationError { text: text.to_owned() })
}

/// Writes a duration as [`parse_duration`] reads it, without spaces: `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(wall: i64, since_boot_ms: u64, boot: &str) -> Now {
        Now { wall: UnixTime::from_ms(wall), since_boot_ms, boot: BootId::new(boot) }
    }

    #[test]
    fn a_deadline_is_past_when_either_clock_says_so() {
        let deadline = now(1_000, 500, "a").deadline(Duration::from_millis(100));
        for (at, past) in [
            (now(1_099, 599, "a"), false),
            (now(1_100, 599, "a"), true),
            (now(1_000, 600, "a"), true),
            (now(0, 599, "a"), false),
            (now(0, 600, "a"), true),
            // Another boot: only the wall clock can be compared.
            (now(1_099, 9_999, "b"), false),
            (now(1_100, 0, "b"), true),
        ] {
            assert_eq!(deadline.passed(&at), past, "{at:?}");
        }
    }

    #[test]
    fn a_wall_clock_set_back_gives_no_time_back() {
        let deadline = now(1_000, 500, "a").deadline(Duration::from_millis(100));
        assert_eq!(deadline.left(&now(0, 550, "a")), Duration::from_millis(50));
    }

    #[test]
    fn times_read_back_as_they_are_written() {
        let time = UnixTime::from_ms(1_795_257_840_123);
        assert_eq!(UnixTime::parse_rfc3339(&time.rfc3339()), Some(time));
        assert_eq!(format_duration(parse_duration("1h 30m").unwrap()), "1h30m");
        assert!(parse_duration("soon").is_err());
    }
}
