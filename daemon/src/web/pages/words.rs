//! How pages say what people read: times, spans, text of others.

use std::time::Duration;

use vouchsafe_core::time::UnixTime;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment, as a page shows it: beside now, and exactly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Moment {
    /// `8 s ago`, `in 58 min`.
    pub(super) near: String,
    /// `2026-11-21T12:00:00Z`.
    pub(super) exact: String,
}

/// A moment beside another.
pub(super) fn moment(at: UnixTime, now: UnixTime) -> Moment {
    Moment { near: near(at, now), exact: at.rfc3339() }
}

fn near(at: UnixTime, now: UnixTime) -> String {
    let ms = at.ms().saturating_sub(now.ms());
    let seconds = ms.saturating_abs() / 1_000;
    let span = match seconds {
        0 => return "now".to_owned(),
        s if s < 2 * MINUTE => format!("{s} s"),
        s if s < 2 * HOUR => format!("{} min", s / MINUTE),
        s if s < 2 * DAY => format!("{} h", s / HOUR),
        s => format!("{} d", s / DAY),
    };
    if ms < 0 { format!("{span} ago") } else { format!("in {span}") }
}

/// A span, in its largest units: `15m`, `1h 30m`.
pub(super) fn span(duration: Duration) -> String {
    vouchsafe_core::time::format_duration(duration)
}

/// A word with how many there are of it.
pub(super) fn count(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_beside_now() {
        let now = UnixTime::from_ms(1_000_000_000);
        for (seconds, told) in [
            (0, "now"),
            (-8, "8 s ago"),
            (119, "in 119 s"),
            (120, "in 2 min"),
            (-7_199, "119 min ago"),
            (7_200, "in 2 h"),
            (-172_800, "2 d ago"),
        ] {
            assert_eq!(near(UnixTime::from_ms(now.ms() + seconds * 1_000), now), told);
        }
    }
}
