//! What operators say of a secret besides its value, and what becomes due with time.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::text::{echo, escape_untrusted};
use crate::time::UnixTime;

/// Labels that one secret may have.
pub const LABELS_MAX: usize = 32;
/// The longest name of a label, in characters.
pub const LABEL_NAME_CHARS_MAX: usize = 40;
/// The longest value of a label, in characters.
pub const LABEL_VALUE_CHARS_MAX: usize = 100;
/// How long before a secret's date people are reminded of it, and at last when it has come.
pub const REMINDERS: [Duration; 4] = [
    Duration::from_hours(30 * 24),
    Duration::from_hours(7 * 24),
    Duration::from_hours(24),
    Duration::ZERO,
];
/// The shortest time between two rotations by schedule.
pub const ROTATION_MIN: Duration = Duration::from_hours(1);
/// The longest schedule as it is written, in bytes.
const SCHEDULE_BYTES_MAX: usize = 200;

/// What people sort secrets by: `team=payments`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// When a generated value is made anew: five fields of cron, in UTC.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RotationSchedule(String);

/// What cannot be a label or a schedule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UpkeepError {
    /// Too many labels.
    #[error("a secret has {LABELS_MAX} labels at most")]
    TooManyLabels,
    /// No name of a label.
    #[error(
        "`{0}` is no label's name: 1 to {LABEL_NAME_CHARS_MAX} letters, digits, `-`, `_`, `.` and `/`"
    )]
    LabelName(String),
    /// No value of a label.
    #[error(
        "the label `{0}` has a value over {LABEL_VALUE_CHARS_MAX} characters, or invisible ones"
    )]
    LabelValue(String),
    /// No schedule.
    #[error("`{0}` is no schedule: five fields of cron in UTC, such as `0 3 1 * *`")]
    Schedule(String),
    /// A schedule whose minutes come too often.
    #[error("`{0}` comes more often than once an hour")]
    TooOften(String),
}

impl Labels {
    /// Adds a label, or gives one another value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), UpkeepError> {
        let is_name = (1..=LABEL_NAME_CHARS_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
        if !is_name {
            return Err(UpkeepError::LabelName(echo(name, LABEL_NAME_CHARS_MAX)));
        }
        if value.chars().count() > LABEL_VALUE_CHARS_MAX || escape_untrusted(value).text != value {
            return Err(UpkeepError::LabelValue(name.to_owned()));
        }
        if self.0.len() >= LABELS_MAX && !self.0.contains_key(name) {
            return Err(UpkeepError::TooManyLabels);
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Takes a label away; returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// The labels by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl RotationSchedule {
    /// One that was checked before it was stored: reading a secret is no time to do it again.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The first of its minutes after `time`; nothing where none is left.
    pub fn after(&self, time: UnixTime) -> Option<UnixTime> {
        let time = DateTime::from_timestamp_millis(time.ms())?;
        let minutes = cron::Schedule::from_str(&format!("0 {}", self.0)).ok()?;
        let next = minutes.after(&time).next()?;
        Some(UnixTime::from_ms(next.timestamp_millis()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RotationSchedule {
    type Err = UpkeepError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || UpkeepError::Schedule(echo(text, SCHEDULE_BYTES_MAX));
        let fields: Vec<_> = text.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else { return Err(wrong()) };
        // Crons disagree on the number of Sunday, and on what two kinds of days mean together.
        let ambiguous =
            weekday.bytes().any(|b| b.is_ascii_digit()) || (weekday != "*" && day != "*");
        if text.len() > SCHEDULE_BYTES_MAX || ambiguous {
            return Err(wrong());
        }
        let minutes = format!("0 {minute} {hour} {day} {month} {weekday}");
        let minutes = cron::Schedule::from_str(&minutes).map_err(|_| wrong())?;
        let mut coming = minutes.after(&DateTime::UNIX_EPOCH).take(50);
        let mut last = coming.next().ok_or_else(wrong)?;
        for next in coming {
            let apart = next.signed_duration_since(last).to_std().unwrap_or_default();
            if apart < ROTATION_MIN {
                return Err(UpkeepError::TooOften(echo(text, SCHEDULE_BYTES_MAX)));
            }
            last = next;
        }
        Ok(Self(fields.join(" ")))
    }
}

impl TryFrom<String> for RotationSchedule {
    type Error = UpkeepError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RotationSchedule> for String {
    fn from(schedule: RotationSchedule) -> Self {
        schedule.0
    }
}

impl fmt::Display for RotationSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When people are to be reminded next of a secret's date; nothing after the last time. `told` is
/// when they were last.
pub fn next_reminder(expires_at: UnixTime, told: Option<UnixTime>) -> Option<UnixTime> {
    REMINDERS
        .iter()
        .map(|before| expires_at.minus(*before))
        .find(|at| told.is_none_or(|told| told < *at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixTime {
        UnixTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_schedule_names_its_next_minute() {
        let schedule: RotationSchedule = " 0 3  1 * * ".parse().unwrap();
        assert_eq!(schedule.as_str(), "0 3 1 * *");
        assert_eq!(schedule.after(at("2026-11-21T17:00:00Z")), Some(at("2026-12-01T03:00:00Z")));
        assert_eq!(schedule.after(at("2026-12-01T03:00:00Z")), Some(at("2027-01-01T03:00:00Z")));
        let hourly: RotationSchedule = "0 * * * *".parse().unwrap();
        assert_eq!(hourly.after(at("2026-11-21T17:00:00Z")), Some(at("2026-11-21T18:00:00Z")));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in
            ["", "0 3 1 *", "0 3 1 * * *", "0 25 * * *", "0 3 31 2 *", "0 3 1 * 1", "0 3 1 * Mon"]
        {
            assert!(
                matches!(text.parse::<RotationSchedule>(), Err(UpkeepError::Schedule(_))),
                "{text}"
            );
        }
        for text in ["* * * * *", "*/30 * * * *", "0,59 3 * * *"] {
            assert!(
                matches!(text.parse::<RotationSchedule>(), Err(UpkeepError::TooOften(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn labels_have_limits() {
        let mut labels = Labels::default();
        labels.set("team", "payments").unwrap();
        labels.set("team", "risk").unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("team", "risk")]);
        assert!(labels.set("", "x").is_err() && labels.set("a b", "x").is_err());
        assert!(
            labels.set("a", "x\u{202e}").is_err() && labels.set("a", &"x".repeat(101)).is_err()
        );
        for n in 0..LABELS_MAX - 1 {
            labels.set(&format!("l{n}"), "x").unwrap();
        }
        assert_eq!(labels.set("one-more", "x"), Err(UpkeepError::TooManyLabels));
        assert!(labels.remove("team") && !labels.remove("team"));
    }

    #[test]
    fn reminders_come_closer_and_end() {
        let date = at("2026-12-31T00:00:00Z");
        let mut told = None;
        let mut times = Vec::new();
        while let Some(next) = next_reminder(date, told) {
            times.push(next);
            told = Some(next);
        }
        let days: Vec<_> = times.iter().map(|t| date.since(*t).as_secs() / 86_400).collect();
        assert_eq!(days, [30, 7, 1, 0]);
        // Whoever was told late is not told of what has gone by.
        assert_eq!(
            next_reminder(date, Some(at("2026-12-29T00:00:00Z"))),
            Some(at("2026-12-30T00:00:00Z"))
        );
    }
}
