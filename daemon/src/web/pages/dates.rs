//! Dates and durations as lists write them: short, in UTC, and the same everywhere.

use std::time::Duration;

use vouchsafe_core::time::UnixTime;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, for programs and for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct When {
    /// RFC 3339.
    pub(super) rfc3339: String,
    /// `21 Nov 2026, 10:44`.
    pub(super) text: String,
}

impl From<UnixTime> for When {
    fn from(time: UnixTime) -> Self {
        let rfc3339 = time.rfc3339();
        let year = rfc3339.get(..4).unwrap_or_default();
        let text = format!("{} {year}, {}", day(time), clock(time));
        Self { rfc3339, text }
    }
}

impl When {
    /// With its second: `21 Nov 2026, 10:44:07`.
    pub(super) fn of_second(time: UnixTime) -> Self {
        let Self { rfc3339, text } = time.into();
        let second = rfc3339.get(16..19).unwrap_or_default();
        Self { text: format!("{text}{second}"), rfc3339 }
    }
}

/// `21 Nov`.
pub(super) fn day(time: UnixTime) -> String {
    let text = time.rfc3339();
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.checked_sub(1)?)).copied();
    let day = text.get(8..10).unwrap_or_default().trim_start_matches('0');
    format!("{day} {}", month.unwrap_or_default())
}

/// `10:44`.
pub(super) fn clock(time: UnixTime) -> String {
    time.rfc3339().get(11..16).unwrap_or_default().to_owned()
}

/// The two largest units of a duration: `3 h 5 min`, `2 days`, `40 s`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |first: String, rest: u64, unit: &str| match rest {
        0 => first,
        rest => format!("{first} {rest} {unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => two(format!("{hours} h"), minutes % 60, "min"),
        (days, hours, _) => two(counted(days, "day", "days"), hours % 24, "h"),
    }
}

/// `1 use`, `2 uses`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_short() {
        let time = UnixTime::parse_rfc3339("2026-11-02T09:05:40Z").unwrap();
        assert_eq!(When::from(time).text, "2 Nov 2026, 09:05");
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (11_100, "3 h 5 min"),
            (86_400, "1 day"),
            (180_000, "2 days 2 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
