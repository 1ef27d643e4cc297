//! Time zones as rules name them.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use super::super::source::{Wrong, echo, wrong};
use super::Unjudged;
use crate::time::UnixTime;

/// What to write instead of what is no zone.
const MEND: &str = "write a name such as America/Los_Angeles, UTC, or an offset such as +02:00";
/// The widest offset there is on land, in hours.
const OFFSET_HOURS_MAX: i32 = 14;

/// Abbreviations that mean more than one zone, and two that they may mean.
const AMBIGUOUS: [(&str, &str, &str); 19] = [
    ("ACT", "Australia/Darwin", "America/Rio_Branco"),
    ("ADT", "America/Halifax", "Asia/Baghdad"),
    ("AMT", "America/Manaus", "Asia/Yerevan"),
    ("AST", "America/Halifax", "Asia/Riyadh"),
    ("BST", "Europe/London", "Asia/Dhaka"),
    ("CDT", "America/Chicago", "America/Havana"),
    ("CST", "America/Chicago", "Asia/Shanghai"),
    ("ECT", "America/Guayaquil", "America/Barbados"),
    ("EDT", "America/New_York", "Australia/Sydney"),
    ("EST", "America/New_York", "Australia/Brisbane"),
    ("GST", "Asia/Dubai", "Atlantic/South_Georgia"),
    ("IST", "Asia/Kolkata", "Asia/Jerusalem"),
    ("MDT", "America/Denver", "America/Edmonton"),
    ("MST", "America/Denver", "America/Phoenix"),
    ("PDT", "America/Los_Angeles", "Asia/Manila"),
    ("PST", "America/Los_Angeles", "Asia/Manila"),
    ("PYT", "America/Asuncion", "Asia/Pyongyang"),
    ("SST", "Pacific/Pago_Pago", "Asia/Singapore"),
    ("WST", "Australia/Perth", "Pacific/Apia"),
];

/// A zone that says what time of which day it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Zone {
    /// UTC, which is also written `GMT` and `Z`.
    Utc,
    /// One of the IANA database, with all its changes of the clock.
    Named(Tz),
    /// So far from UTC, all year.
    Fixed(FixedOffset),
}

impl Zone {
    /// Reads a zone: `America/Los_Angeles`, `UTC`, `GMT`, `Z`, `+02:00`.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        if matches!(text, "UTC" | "GMT" | "Z") {
            return Ok(Self::Utc);
        }
        if let Some((name, one, other)) =
            AMBIGUOUS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text))
        {
            let message = format!("`{name}` may be {one} or {other}");
            return Err(wrong(message, "write one of them"));
        }
        let named = text.contains('/').then(|| text.parse().ok()).flatten().map(Self::Named);
        named
            .or_else(|| offset(text).map(Self::Fixed))
            .ok_or_else(|| wrong(format!("`{}` is not a time zone", echo(text)), MEND))
    }

    /// What the clocks of the zone show at a moment.
    pub(super) fn local(self, at: UnixTime) -> Result<NaiveDateTime, Unjudged> {
        let at = DateTime::from_timestamp_millis(at.ms())
            .ok_or_else(|| Unjudged::because("there is no such date"))?;
        Ok(match self {
            Self::Utc => at.naive_utc(),
            Self::Named(zone) => at.with_timezone(&zone).naive_local(),
            Self::Fixed(offset) => at.with_timezone(&offset).naive_local(),
        })
    }

    /// When the clocks of the zone showed this, the first time they did; where they were set
    /// forward over it, an hour later.
    pub(super) fn first(self, local: NaiveDateTime) -> Option<UnixTime> {
        let hour = TimeDelta::hours(1);
        let at = match self {
            Self::Utc => Some(local.and_utc()),
            Self::Fixed(offset) => {
                offset.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc))
            }
            Self::Named(zone) => zone
                .from_local_datetime(&local)
                .earliest()
                .or_else(|| zone.from_local_datetime(&local.checked_add_signed(hour)?).earliest())
                .map(|at| at.with_timezone(&Utc)),
        };
        at.map(|at| UnixTime::from_ms(at.timestamp_millis()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utc => f.write_str("UTC"),
            Self::Named(zone) => f.write_str(zone.name()),
            Self::Fixed(offset) => fmt::Display::fmt(&offset.fix(), f),
        }
    }
}

/// Reads `+02:00` or `-05:30`.
fn offset(text: &str) -> Option<FixedOffset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = super::window::digits(rest)?;
    let fits = hours < OFFSET_HOURS_MAX || (hours == OFFSET_HOURS_MAX && minutes == 0);
    if fits { FixedOffset::east_opt(sign * (hours * 3_600 + minutes * 60)) } else { None }
}
