//! `time_window`: between two times of the day.

use chrono::{Days, NaiveDateTime, Timelike as _};

use super::super::source::{Wrong, echo, wrong};
use super::zone::Zone;
use super::{Meaning, Stands};
use crate::time::UnixTime;

const MEND: &str = "write time_window = \"09:00-17:00 America/Los_Angeles\"";
/// The end of a day, in minutes.
const MIDNIGHT: u32 = 24 * 60;

/// A stretch of every day, its start included and its end not; past midnight where the end is
/// earlier than the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) struct Window {
    /// Minutes since midnight.
    start: u32,
    /// Minutes since midnight, up to 24 hours.
    end: u32,
    zone: Zone,
}

impl Window {
    /// The zone that it is in.
    pub(super) const fn zone(&self) -> Zone {
        self.zone
    }

    /// Whether the clocks are between its start and its end.
    pub(super) fn judge(&self, now: UnixTime) -> Stands {
        let local = self.zone.local(now)?;
        let minute = minute(local);
        let holds = if self.crosses_midnight() {
            minute >= self.start || minute < self.end
        } else {
            (self.start..self.end).contains(&minute)
        };
        Ok((holds, format!("{} in {}", local.format("%a %H:%M"), self.zone)))
    }

    /// The start of the window that began yesterday and is not over; nothing where none is.
    pub(super) fn began_yesterday(&self, now: UnixTime) -> Option<UnixTime> {
        let local = self.zone.local(now).ok()?;
        if !self.crosses_midnight() || minute(local) >= self.end {
            return None;
        }
        let start = local.date().pred_opt()?.and_hms_opt(self.start / 60, self.start % 60, 0)?;
        self.zone.first(start)
    }

    /// When the window ends that this moment is in; nothing where it is in none.
    pub(super) fn end_after(&self, now: UnixTime) -> Option<UnixTime> {
        let local = self.zone.local(now).ok()?;
        if !self.judge(now).is_ok_and(|(holds, _)| holds) {
            return None;
        }
        let tomorrow = self.crosses_midnight() && minute(local) >= self.start;
        let days = u64::from(tomorrow) + u64::from(self.end / MIDNIGHT);
        let date = local.date().checked_add_days(Days::new(days))?;
        let end = self.end % MIDNIGHT;
        self.zone.first(date.and_hms_opt(end / 60, end % 60, 0)?)
    }

    const fn crosses_midnight(&self) -> bool {
        self.end < self.start
    }
}

impl Meaning for Window {
    fn read(text: &str) -> Result<Self, Wrong> {
        let mut parts = text.split_whitespace();
        let (Some(span), zone, None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong(format!("`{}` is not a window", echo(text)), MEND));
        };
        let not_times = || wrong(format!("`{}` are not two times of the day", echo(span)), MEND);
        let (start, end) = span.split_once('-').ok_or_else(not_times)?;
        let start = time(start).filter(|start| *start < MIDNIGHT).ok_or_else(not_times)?;
        let end = time(end).ok_or_else(not_times)?;
        if start == end {
            let message = format!("`{}` ends when it begins", echo(span));
            return Err(wrong(message, "write a later end, or 00:00-24:00 for the whole day"));
        }
        let zone = zone.ok_or_else(|| {
            let message = format!("`{}` does not say in which time zone", echo(text));
            wrong(message, MEND)
        })?;
        Ok(Self { start, end, zone: Zone::read(zone)? })
    }
}

fn minute(local: NaiveDateTime) -> u32 {
    local.hour() * 60 + local.minute()
}

/// Reads `09:00` as minutes since midnight; `24:00` is the end of the day.
fn time(text: &str) -> Option<u32> {
    let (hours, minutes) = digits(text)?;
    let minutes = u32::try_from(hours * 60 + minutes).ok()?;
    (minutes <= MIDNIGHT).then_some(minutes)
}

/// Reads `09:30`: two digits, a colon, two digits below 60.
pub(super) fn digits(text: &str) -> Option<(i32, i32)> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60).then_some((hours, minutes))
}
