//! `days`: days of the week.

use chrono::{Datelike as _, Weekday};

use super::super::source::{Wrong, echo, wrong};
use super::window::Window;
use super::zone::Zone;
use super::{Meaning, Stands};
use crate::time::UnixTime;

const MEND: &str = "write days = \"Mon-Fri\", or \"Sat,Sun\"; a time zone may follow";
const NAMES: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Mon),
    ("Tue", Weekday::Tue),
    ("Wed", Weekday::Wed),
    ("Thu", Weekday::Thu),
    ("Fri", Weekday::Fri),
    ("Sat", Weekday::Sat),
    ("Sun", Weekday::Sun),
];

/// Some days of the week, in the zone that is named, or else the window's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) struct Days {
    days: Vec<Weekday>,
    zone: Option<Zone>,
}

impl Days {
    /// Whether today is one of them. In a window that goes past midnight, today is the day on
    /// which it began.
    pub(super) fn judge(&self, now: UnixTime, zone: Zone, window: Option<&Window>) -> Stands {
        let zone = self.zone.unwrap_or(zone);
        let began = window.and_then(|window| window.began_yesterday(now));
        let local = zone.local(began.unwrap_or(now))?;
        let today = local.format("%a");
        let found = match began {
            Some(_) => format!("the window that began on {today} in {zone}"),
            None => format!("{today} in {zone}"),
        };
        Ok((self.days.contains(&local.weekday()), found))
    }
}

impl Meaning for Days {
    fn read(text: &str) -> Result<Self, Wrong> {
        let joined = text.trim().replace(", ", ",");
        let (days, zone) = match joined.split_once(char::is_whitespace) {
            Some((days, zone)) => (days, Some(Zone::read(zone.trim())?)),
            None => (joined.as_str(), None),
        };
        let mut all = Vec::new();
        for part in days.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (weekday(first)?, weekday(last)?);
            all.push(day);
            while day != last {
                day = day.succ();
                all.push(day);
            }
        }
        Ok(Self { days: all, zone })
    }
}

fn weekday(name: &str) -> Result<Weekday, Wrong> {
    let day = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    day.map(|(_, day)| *day)
        .ok_or_else(|| wrong(format!("`{}` is not a day of the week", echo(name)), MEND))
}
