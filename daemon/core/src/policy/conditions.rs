//! `auto_approve`: what must hold for an ask to be approved without a person.

mod days;
mod personal;
mod requester;
mod schedule;
mod when;
mod window;
mod written;
mod zone;

use serde::{Deserialize, Serialize};

use self::days::Days;
pub use self::personal::{DigestTimes, QuietHours, WhenError};
use self::requester::Requester;
use self::schedule::Schedule;
use self::when::When;
use self::window::Window;
pub(super) use self::written::{Meaning, Written};
use self::zone::Zone;
use super::judge::{Circumstances, Outcome};
use crate::resource::Operations;

/// All conditions of a rule; all that are given must hold, and at least one is given.
///
/// A copy that an approval keeps is text: it is read again only if it is judged again.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Conditions {
    /// Between two times of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time_window: Option<Written<Window>>,
    /// On these days of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) days: Option<Written<Days>>,
    /// In the minutes that a cron expression names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) schedule: Option<Written<Schedule>>,
    /// From these keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) requester: Option<Written<Requester>>,
    /// To do one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operations: Option<Operations>,
    /// Where this CEL expression is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<Written<When>>,
}

/// How a condition stands, or why it cannot be judged.
type Stands = Result<(bool, String), Unjudged>;

/// Why a condition cannot be judged, and what was found so far.
struct Unjudged {
    found: String,
    error: String,
}

impl Conditions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each condition that is given, by its key in the file, as it is written there.
    pub fn written(&self) -> Vec<(&'static str, String)> {
        fn text<T: Meaning>(written: Option<&Written<T>>) -> Option<String> {
            written.map(|written| written.text().to_owned())
        }
        let all = [
            ("time_window", text(self.time_window.as_ref())),
            ("days", text(self.days.as_ref())),
            ("schedule", text(self.schedule.as_ref())),
            ("requester", text(self.requester.as_ref())),
            ("operations", self.operations.map(|operations| operations.to_string())),
            ("when", text(self.when.as_ref())),
        ];
        all.into_iter().filter_map(|(key, text)| text.map(|text| (key, text))).collect()
    }

    /// How each condition that is given stands, in the order of the documentation.
    pub fn judge(&self, ask: &Circumstances<'_>) -> Vec<Outcome> {
        let window = self.time_window.as_ref().and_then(Written::meaning);
        // Where a condition names no zone, it is the window's.
        let zone = window.map_or(Zone::Utc, Window::zone);
        let by_time = [
            outcome("time_window", self.time_window.as_ref(), |it| it.judge(ask.now)),
            outcome("days", self.days.as_ref(), |it| it.judge(ask.now, zone, window)),
            outcome("schedule", self.schedule.as_ref(), |it| it.judge(ask.now, zone)),
            outcome("requester", self.requester.as_ref(), |it| Ok(it.judge(ask.key))),
        ];
        let operations = self.operations.map(|wanted| Outcome {
            condition: "operations".to_owned(),
            wanted: wanted.to_string(),
            holds: wanted.contains(ask.operation),
            found: ask.operation.to_string(),
            error: None,
        });
        let when = outcome("when", self.when.as_ref(), |it| it.judge(ask));
        by_time.into_iter().chain([operations, when]).flatten().collect()
    }
}

/// The outcome of one condition, where it is given.
fn outcome<T: Meaning>(
    condition: &str,
    written: Option<&Written<T>>,
    judge: impl FnOnce(&T) -> Stands,
) -> Option<Outcome> {
    let written = written?;
    let stands = match written.meaning() {
        Some(meaning) => judge(meaning),
        // It was read when its rule was; another version may have stored it.
        None => Err(Unjudged::because("this version cannot read it")),
    };
    let (holds, found, error) = match stands {
        Ok((holds, found)) => (holds, found, None),
        Err(Unjudged { found, error }) => (false, found, Some(error)),
    };
    let wanted = written.text().to_owned();
    Some(Outcome { condition: condition.to_owned(), wanted, holds, found, error })
}

impl Unjudged {
    fn because(error: impl Into<String>) -> Self {
        Self { found: "nothing".to_owned(), error: error.into() }
    }
}
