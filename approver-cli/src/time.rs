//! Times and durations: the one clock, how they are read, and how they are shown.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// A moment, in UTC.
pub(crate) type Time = DateTime<Utc>;

/// `--expires`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    At(Time),
}

impl Expiry {
    pub(crate) fn time(self) -> Option<Time> {
        match self {
            Self::Never => None,
            Self::At(at) => Some(at),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where this program reads the clock")]
pub(crate) fn now() -> Time {
    Utc::now()
}

/// `30m` or `7d` before `now`, or an RFC 3339 time.
pub(crate) fn moment(text: &str, now: Time) -> Result<Time, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    let ago = humantime::parse_duration(text).map_err(|_| {
        format!(
            "`{text}` is neither a time span like 30m or 7d nor a time like 2026-11-21T10:00:00Z"
        )
    })?;
    TimeDelta::from_std(ago)
        .ok()
        .and_then(|ago| now.checked_sub_signed(ago))
        .ok_or_else(|| format!("`{text}` is too long ago"))
}

/// For clap: a moment relative to now.
pub(crate) fn moment_arg(text: &str) -> Result<Time, String> {
    moment(text, now())
}

/// `90d` from `now`, a date (its end, in UTC), or an RFC 3339 time; never in the past.
pub(crate) fn deadline(text: &str, now: Time) -> Result<Time, String> {
    let unknown = || {
        format!(
            "`{text}` is neither a time span like 90d, nor a date like 2027-01-31, nor a time like 2027-01-31T10:00:00Z"
        )
    };
    let at = if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        time.with_timezone(&Utc)
    } else if let Ok(date) = text.parse::<NaiveDate>() {
        let end = date.checked_add_days(Days::new(1)).ok_or_else(unknown)?;
        end.and_time(NaiveTime::MIN).and_utc()
    } else {
        let span = humantime::parse_duration(text).map_err(|_| unknown())?;
        TimeDelta::from_std(span)
            .ok()
            .and_then(|span| now.checked_add_signed(span))
            .ok_or_else(|| format!("`{text}` is too far away"))?
    };
    if at > now { Ok(at) } else { Err(format!("`{text}` is not in the future")) }
}

/// For clap: a deadline from now on.
pub(crate) fn deadline_arg(text: &str) -> Result<Time, String> {
    deadline(text, now())
}

/// For clap: a deadline from now on, or `never`.
pub(crate) fn expiry_arg(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    deadline_arg(text).map(Expiry::At)
}

/// For clap: an RFC 3339 time, past or future.
pub(crate) fn exact_arg(text: &str) -> Result<Time, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| format!("`{text}` is no time like 2026-11-21T10:00:00Z"))
}

/// For clap: a duration like `15m` or `1h 30m`.
pub(crate) fn duration_arg(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
        Ok(_) => Err("one second is the shortest".to_owned()),
        Err(_) => Err(format!("`{text}` is no duration; write 90s, 15m or 1h")),
    }
}

/// "in 14 min", "3 h ago", "now".
pub(crate) fn relative(at: Time, now: Time) -> String {
    let seconds = (at - now).num_seconds();
    let amount = amount(seconds.unsigned_abs());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {amount}"),
        ..=-1 => format!("{amount} ago"),
    }
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn exact(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// "15m", "1h 30m", whole seconds.
pub(crate) fn span(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// None for a time that no calendar has.
pub(crate) fn from_proto(at: prost_types::Timestamp) -> Option<Time> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

pub(crate) fn to_proto(at: Time) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0);
    prost_types::Timestamp { seconds: at.timestamp(), nanos }
}

/// None for a duration below zero.
pub(crate) fn span_from_proto(span: prost_types::Duration) -> Option<Duration> {
    Some(Duration::new(u64::try_from(span.seconds).ok()?, u32::try_from(span.nanos).ok()?))
}

pub(crate) fn span_to_proto(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

fn amount(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    if seconds < MINUTE {
        format!("{seconds} s")
    } else if seconds < HOUR {
        format!("{} min", seconds / MINUTE)
    } else if seconds < 2 * DAY {
        format!("{} h", seconds / HOUR)
    } else {
        format!("{} d", seconds / DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Time {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_moment_is_a_span_ago_or_a_time() {
        let at = |text| moment(text, noon()).map(exact);
        assert_eq!(at("30m").unwrap(), "2026-11-21T11:30:00.000Z");
        assert_eq!(at("7d").unwrap(), "2026-11-14T12:00:00.000Z");
        assert_eq!(at("2026-11-21T12:00:00+01:00").unwrap(), "2026-11-21T11:00:00.000Z");
        assert!(at("yesterday").unwrap_err().contains("30m or 7d"));
        assert!(at("9000000y").is_err());
    }

    #[test]
    fn a_deadline_is_a_span_ahead_the_end_of_a_date_or_a_time() {
        let at = |text| deadline(text, noon()).map(exact);
        assert_eq!(at("90d").unwrap(), "2027-02-19T12:00:00.000Z");
        assert_eq!(at("2027-01-31").unwrap(), "2027-02-01T00:00:00.000Z");
        assert_eq!(at("2026-11-21").unwrap(), "2026-11-22T00:00:00.000Z", "today lasts on");
        assert_eq!(at("2027-01-31T10:00:00+01:00").unwrap(), "2027-01-31T09:00:00.000Z");
        assert!(at("2026-11-20").unwrap_err().contains("not in the future"));
        assert!(at("2026-11-21T12:00:00Z").is_err(), "now is too late");
        assert!(at("soon").unwrap_err().contains("2027-01-31"));
        assert!(at("9000000y").is_err());
    }

    #[test]
    fn times_are_told_from_now() {
        for (seconds, told) in [
            (0, "now"),
            (59, "in 59 s"),
            (14 * 60 + 59, "in 14 min"),
            (-3 * 3600, "3 h ago"),
            (47 * 3600, "in 47 h"),
            (-72 * 3600, "3 d ago"),
        ] {
            assert_eq!(relative(noon() + TimeDelta::seconds(seconds), noon()), told);
        }
    }

    #[test]
    fn proto_times_survive_the_way_there_and_back() {
        let at = "2026-11-21T10:44:00.123Z".parse().unwrap();
        assert_eq!(from_proto(to_proto(at)), Some(at));
        assert_eq!(from_proto(prost_types::Timestamp { seconds: 0, nanos: -1 }), None);
    }

    #[test]
    fn a_duration_has_at_least_a_second() {
        assert_eq!(duration_arg("1h 30m").map(span), Ok("1h 30m".to_owned()));
        assert!(duration_arg("10ms").is_err());
        assert!(duration_arg("soon").is_err());
    }
}
