//! Points in time and durations, exact to the millisecond.

use std::time::Duration;

use prost_types::{Duration as DurationMessage, Timestamp};
use vouchsafe_core::time::UnixTime;

use super::Taken;
use crate::broker::Refused;

const NANOS_A_SECOND: i32 = 1_000_000_000;
const NANOS_A_MILLI: i32 = 1_000_000;
/// 0001-01-01 and 9999-12-31: what a `Timestamp` may hold.
const SECONDS_MIN: i64 = -62_135_596_800;
const SECONDS_MAX: i64 = 253_402_300_799;
/// About 10,000 years: what a `Duration` may hold.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;

pub(super) fn time_out(time: UnixTime) -> Timestamp {
    let millis = i32::try_from(time.ms().rem_euclid(1_000)).unwrap_or_default();
    Timestamp { seconds: time.ms().div_euclid(1_000), nanos: millis * NANOS_A_MILLI }
}

/// A point in time, rounded down to the millisecond.
pub(super) fn time(field: &str, time: Option<Timestamp>) -> Taken<Option<UnixTime>> {
    let Some(Timestamp { seconds, nanos }) = time else { return Ok(None) };
    let fits =
        (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) && (0..NANOS_A_SECOND).contains(&nanos);
    if !fits {
        return Err(Refused::invalid(format!("{field} is no point in time"), ""));
    }
    Ok(Some(UnixTime::from_ms(seconds * 1_000 + i64::from(nanos / NANOS_A_MILLI))))
}

pub(super) fn duration_out(duration: Duration) -> DurationMessage {
    DurationMessage {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(DURATION_SECONDS_MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// A duration, rounded down to the millisecond.
pub(super) fn duration(field: &str, duration: Option<DurationMessage>) -> Taken<Option<Duration>> {
    let Some(DurationMessage { seconds, nanos }) = duration else { return Ok(None) };
    let fits =
        (0..=DURATION_SECONDS_MAX).contains(&seconds) && (0..NANOS_A_SECOND).contains(&nanos);
    if !fits {
        return Err(Refused::invalid(format!("{field} is negative, or no duration"), ""));
    }
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let millis = u64::try_from(nanos / NANOS_A_MILLI).unwrap_or_default();
    Ok(Some(seconds + Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds_before_1970_too() {
        for ms in [0, 1, 999, 1_000, 1_795_257_840_123, -1, -999, -1_000, -1_001] {
            let at = UnixTime::from_ms(ms);
            let message = time_out(at);
            assert!((0..NANOS_A_SECOND).contains(&message.nanos), "{ms}");
            assert_eq!(time("since", Some(message)), Ok(Some(at)));
        }
    }

    #[test]
    fn a_time_that_is_none_is_refused_by_its_field() {
        for (seconds, nanos) in [(0, -1), (0, NANOS_A_SECOND), (i64::MAX, 0), (i64::MIN, 0)] {
            let refused = time("since", Some(Timestamp { seconds, nanos })).unwrap_err();
            assert_eq!(refused.message, "since is no point in time");
        }
    }

    #[test]
    fn durations_keep_their_milliseconds_and_are_never_negative() {
        for ms in [0, 1, 999, 1_000, 5_400_001] {
            let long = Duration::from_millis(ms);
            assert_eq!(duration("duration", Some(duration_out(long))), Ok(Some(long)));
        }
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, NANOS_A_SECOND), (i64::MAX, 0)] {
            assert!(duration("duration", Some(DurationMessage { seconds, nanos })).is_err());
        }
    }
}
