//! `schedule`: the minutes that a cron expression names.

use std::str::FromStr as _;

use chrono::{DateTime, Timelike as _};

use super::super::source::{Wrong, echo, wrong};
use super::zone::Zone;
use super::{Meaning, Stands};
use crate::time::UnixTime;

const MEND: &str = "write schedule = \"* 9-17 * * Mon-Fri\": minute, hour, day of the month, month, \
                    day of the week";
/// The longest expression, in bytes.
const BYTES_MAX: usize = 200;
/// Minutes that are looked at for the next one: clocks that are set back repeat an hour or two, a
/// change of the date line a day.
const MINUTES_MAX: usize = 3_000;

/// Minutes, in the zone that is named, or else the window's.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Schedule {
    minutes: cron::Schedule,
    zone: Option<Zone>,
}

impl Schedule {
    /// Whether this minute is one of them.
    pub(super) fn judge(&self, now: UnixTime, zone: Zone) -> Stands {
        let zone = self.zone.unwrap_or(zone);
        let local = zone.local(now)?;
        let found = format!("{} in {zone}", local.format("%a %Y-%m-%d %H:%M"));
        let minute = local.with_second(0).unwrap_or(local).and_utc();
        Ok((self.minutes.includes(minute), found))
    }

    /// The first of its minutes after this moment, in its own zone, or without one in UTC. Where
    /// clocks are set back, a minute may come twice, and only its first time counts.
    pub(super) fn next(&self, now: UnixTime) -> Option<UnixTime> {
        let zone = self.zone.unwrap_or(Zone::Utc);
        let local = zone.local(now).ok()?;
        self.minutes
            .after(&local.and_utc())
            .take(MINUTES_MAX)
            .filter_map(|minute| zone.first(minute.naive_utc()))
            // In the second of two hours that show the same, all that is left of it is past.
            .find(|at| *at > now)
    }
}

impl Meaning for Schedule {
    fn read(text: &str) -> Result<Self, Wrong> {
        let parts: Vec<_> = text.split_whitespace().collect();
        let (fields, zone) = match parts.as_slice() {
            [fields @ .., zone] if fields.len() == 5 => (fields, Some(Zone::read(zone)?)),
            fields => (fields, None),
        };
        let (&[minute, hour, day, month, weekday], true) = (fields, text.len() <= BYTES_MAX) else {
            let count = fields.len();
            return Err(wrong(format!("a schedule has five fields, and this has {count}"), MEND));
        };
        check_weekdays(weekday, day)?;
        // The crate counts seconds first; what is judged is a minute.
        let expression = format!("0 {minute} {hour} {day} {month} {weekday}");
        let minutes =
            cron::Schedule::from_str(&expression).map_err(|error| not_cron(text, &error))?;
        if minutes.after(&DateTime::UNIX_EPOCH).next().is_none() {
            return Err(wrong(format!("`{}` never comes", echo(text)), MEND));
        }
        Ok(Self { minutes, zone })
    }
}

/// Refuses what different crons understand differently.
fn check_weekdays(weekday: &str, day: &str) -> Result<(), Wrong> {
    if weekday.bytes().any(|b| b.is_ascii_digit()) {
        let message = format!(
            "`{}` counts the days of the week, which begins with another day in each cron",
            echo(weekday)
        );
        return Err(wrong(message, "write their names: Mon-Fri"));
    }
    if weekday != "*" && day != "*" {
        let message = "the schedule names days of the month and days of the week, and crons \
                       disagree on whether both must match";
        return Err(wrong(message, "write * for one of them, and use `days` or `when` besides"));
    }
    Ok(())
}

/// What the `cron` crate says is wrong, without its drawing of the place.
fn not_cron(text: &str, error: &cron::error::Error) -> Wrong {
    let error = error.to_string();
    let last = error.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let why = if last.trim_start().starts_with(['^', '|']) { "" } else { last.trim() };
    let why = if why.is_empty() { String::new() } else { format!(": {}", echo(why)) };
    wrong(format!("`{}` is not a schedule{why}", echo(text)), MEND)
}
