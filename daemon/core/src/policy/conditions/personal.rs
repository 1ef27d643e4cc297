//! The same times, as people set them for themselves: when to leave them alone, and when to tell
//! them all at once.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use super::window::Window;
use super::written::Written;
use crate::time::UnixTime;

/// How many times of a digest are looked at for one outside quiet hours. Both come round with the
/// days, so that where none of a day's is outside, none is on the next.
const DIGESTS_MAX: usize = 8;

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
    /// When they end, where this moment is within them. What ended before clocks were set back has
    /// ended.
    pub fn end(&self, now: UnixTime) -> Option<UnixTime> {
        self.0.meaning()?.end_after(now).filter(|end| *end > now)
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

    /// The first of them after this moment that is outside the quiet hours; where none of them is,
    /// the end of the quiet hours after the first.
    pub fn next_outside(&self, quiet: &QuietHours, now: UnixTime) -> UnixTime {
        let first = self.next(now);
        let mut at = first;
        for _ in 0..DIGESTS_MAX {
            let Some(end) = quiet.end(at) else { return at };
            // The end itself is outside, and may be one of the times.
            at = self.next(end.minus(Duration::from_millis(1)));
        }
        quiet.end(first).unwrap_or(first)
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
    use chrono::TimeZone as _;
    use proptest::prelude::*;

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
    fn quiet_hours_that_have_ended_do_not_begin_again_where_clocks_are_set_back() {
        let quiet: QuietHours = "22:00-02:30 Europe/Berlin".parse().unwrap();
        assert_eq!(quiet.end(at("2026-10-25T00:10:00Z")), Some(at("2026-10-25T00:30:00Z")));
        // Clocks show 02:10 again.
        assert_eq!(quiet.end(at("2026-10-25T01:10:00Z")), None);
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

    #[test]
    fn a_digest_comes_outside_the_quiet_hours() {
        let quiet: QuietHours = "22:00-07:00 UTC".parse().unwrap();
        for (times, now, next) in [
            ("0 * * * *", "2026-11-21T12:10:00Z", "2026-11-21T13:00:00Z"),
            // Their end is outside, their beginning is not.
            ("0 * * * *", "2026-11-21T21:30:00Z", "2026-11-22T07:00:00Z"),
            ("0 * * * *", "2026-11-22T02:10:00Z", "2026-11-22T07:00:00Z"),
            ("30 */4 * * *", "2026-11-21T23:00:00Z", "2026-11-22T08:30:00Z"),
            ("0 3,9 * * Mon", "2026-11-21T23:00:00Z", "2026-11-23T09:00:00Z"),
            ("0 9 * * *", "2026-11-21T23:00:00Z", "2026-11-22T09:00:00Z"),
            // None of them is outside.
            ("0 3 * * *", "2026-11-21T12:00:00Z", "2026-11-22T07:00:00Z"),
            ("0 23,3 1 * *", "2026-11-21T12:00:00Z", "2026-12-01T07:00:00Z"),
        ] {
            let digest: DigestTimes = times.parse().unwrap();
            assert_eq!(digest.next_outside(&quiet, at(now)), at(next), "{times} from {now}");
        }
        let always: QuietHours = "00:00-24:00 UTC".parse().unwrap();
        let hourly: DigestTimes = "0 * * * *".parse().unwrap();
        let next = hourly.next_outside(&always, at("2026-11-21T12:10:00Z"));
        assert_eq!(next, at("2026-11-22T00:00:00Z"));
    }

    #[test]
    fn the_second_of_two_hours_that_show_the_same_puts_no_digest_off() {
        let times: DigestTimes = "*/10 * * * * Europe/Berlin".parse().unwrap();
        // Clocks show 02:05 for the second time: 02:10 to 02:50 have been.
        assert_eq!(times.next(at("2026-10-25T01:05:00Z")), at("2026-10-25T02:00:00Z"));
        let each: DigestTimes = "* * * * * Europe/Berlin".parse().unwrap();
        assert_eq!(each.next(at("2026-10-25T01:00:00Z")), at("2026-10-25T02:00:00Z"));
        // All of a day was left out.
        let apia: DigestTimes = "* * * * * Pacific/Apia".parse().unwrap();
        let before = at("2011-12-30T09:59:30Z");
        assert_eq!(apia.next(before), at("2011-12-30T10:00:00Z"));
    }

    /// The days on which clocks were set forward and back in 2026.
    const CHANGES: [(&str, [&str; 2]); 5] = [
        ("Europe/Berlin", ["2026-03-29", "2026-10-25"]),
        ("America/New_York", ["2026-03-08", "2026-11-01"]),
        ("America/St_Johns", ["2026-03-08", "2026-11-01"]),
        ("Australia/Lord_Howe", ["2026-10-04", "2026-04-05"]),
        ("America/Santiago", ["2026-09-06", "2026-04-05"]),
    ];
    const TIMES: [&str; 6] =
        ["* * * * *", "*/10 * * * *", "0 * * * *", "30 1-3 * * *", "15 2 * * *", "0 0 * * *"];

    /// What clocks of a zone show, as if it were UTC.
    fn shown(zone: chrono_tz::Tz, at: UnixTime) -> UnixTime {
        let local = zone.timestamp_millis_opt(at.ms()).unwrap().naive_local();
        UnixTime::from_ms(local.and_utc().timestamp_millis())
    }

    proptest! {
        #[test]
        fn the_next_digest_is_later_and_soon_where_clocks_change(
            zone in 0..CHANGES.len(), day in 0..2_usize, minute in 0..3 * 24 * 60_u64,
            second in 0..60_u64, times in 0..TIMES.len(),
        ) {
            let ((name, days), times) = (CHANGES[zone], TIMES[times]);
            let digest: DigestTimes = format!("{times} {name}").parse().unwrap();
            let naive: DigestTimes = times.parse().unwrap();
            let zone: chrono_tz::Tz = name.parse().unwrap();
            let minutes = |count: u64| Duration::from_mins(count);
            let begin = at(&format!("{}T00:00:00Z", days[day])).minus(minutes(24 * 60));
            let begun = begin.plus(minutes(minute));
            let now = begun.plus(Duration::from_secs(second));
            let next = digest.next(now);
            prop_assert!(next > now, "{next} from {now}");
            // The next that clocks show, unless they have shown it before they were set back.
            let been = |wanted| (0..180).any(|ago| shown(zone, begun.minus(minutes(ago))) == wanted);
            let mut following = naive.next(shown(zone, now));
            while been(following) {
                following = naive.next(following);
            }
            let wait = following.since(shown(zone, now)) + minutes(120);
            prop_assert!(next <= now.plus(wait), "{next} from {now}");
        }
    }
}
