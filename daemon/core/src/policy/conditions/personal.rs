//! The same times, as people set them for themselves: when to leave them alone, and when to tell
//! them all at once.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use super::window::Window;
use super::written::Written;
use crate::time::UnixTime;

/// Between two times of the day, in a time zone: `22:00-07:00 Europe/Berlin`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct QuietHours(Written<Window>);

/// The minutes that a cron expression of five fields names, in the time zone after it or in UTC:
/// `0 9 * * Mon-Fri Europe/Berlin`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct DigestTimes(Written<Schedule>);

/// A text that names no such time, with what to write instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct WhenError(String);

impl QuietHours {
    /// When they end, where this moment is within them.
    pub fn end(&self, now: UnixTime) -> Option<UnixTime> {
        self.0.meaning()?.end_after(now)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.text()
    }
}

impl DigestTimes {
    /// The first of them after this moment; a year ahead where there is none, so that nothing is
    /// lost.
    pub fn next(&self, now: UnixTime) -> UnixTime {
        let never = now.plus(Duration::from_hours(366 * 24));
        self.0.meaning().and_then(|times| times.next(now)).unwrap_or(never)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.text()
    }
}

impl FromStr for QuietHours {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let written = Written::read(text).map_err(|wrong| WhenError(wrong.message))?;
        Ok(Self(written))
    }
}

impl FromStr for DigestTimes {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let written = Written::read(text).map_err(|wrong| WhenError(wrong.message))?;
        Ok(Self(written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixTime {
        UnixTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn quiet_hours_end_where_their_clocks_say_so() {
        let quiet: QuietHours = "22:00-07:00 Europe/Berlin".parse().unwrap();
        assert_eq!(quiet.end(at("2026-11-21T20:59:59Z")), None);
        assert_eq!(quiet.end(at("2026-11-21T21:00:00Z")), Some(at("2026-11-22T06:00:00Z")));
        assert_eq!(quiet.end(at("2026-11-22T05:59:00Z")), Some(at("2026-11-22T06:00:00Z")));
        assert_eq!(quiet.end(at("2026-11-22T06:00:00Z")), None);
        let noon: QuietHours = "12:00-13:00 UTC".parse().unwrap();
        assert_eq!(noon.end(at("2026-11-22T12:30:00Z")), Some(at("2026-11-22T13:00:00Z")));
        let day: QuietHours = "00:00-24:00 UTC".parse().unwrap();
        assert_eq!(day.end(at("2026-11-22T12:30:00Z")), Some(at("2026-11-23T00:00:00Z")));
        assert!("22:00-07:00".parse::<QuietHours>().is_err());
    }

    #[test]
    fn a_digest_comes_at_the_next_of_its_minutes() {
        let times: DigestTimes = "0 9 * * Mon-Fri Europe/Berlin".parse().unwrap();
        // A Saturday.
        assert_eq!(times.next(at("2026-11-21T10:00:00Z")), at("2026-11-23T08:00:00Z"));
        assert_eq!(times.next(at("2026-11-23T08:00:00Z")), at("2026-11-24T08:00:00Z"));
        let utc: DigestTimes = "*/10 * * * *".parse().unwrap();
        assert_eq!(utc.next(at("2026-11-21T10:00:01Z")), at("2026-11-21T10:10:00Z"));
        assert!("0 9 * *".parse::<DigestTimes>().is_err());
    }
}
