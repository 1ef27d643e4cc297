//! What a rule says to one ask: let it be, approve it, or ask people.

use serde::{Deserialize, Serialize};

use super::rule::{Asks, Rule};
use crate::key::{CallTraits, Level};
use crate::resource::{Operation, Resource};
use crate::text::Reason;
use crate::time::UnixTime;

/// All that a rule may look at. Nothing of it is the client's to choose but the arguments, the
/// reason and its kind.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The asking key's name.
    pub key: &'a str,
    /// The name of the user who answers for it.
    pub owner: &'a str,
    /// The key's level.
    pub level: Level,
    /// What is asked for.
    pub resource: &'a Resource,
    /// What is to be done with it.
    pub operation: Operation,
    /// What the tool says of its calls, where the operation is one.
    pub call: CallTraits,
    /// Why, in the agent's words.
    pub reason: Option<&'a Reason>,
    /// Which of the rule's kinds of reason the agent chose.
    pub reason_kind: Option<&'a str>,
    /// The arguments of a call; an empty object where there are none.
    pub arguments: &'a serde_json::Value,
    /// When.
    pub now: UnixTime,
}

/// What a rule says to an ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Judgment {
    /// Nobody is asked.
    Free(Free),
    /// It is approved without a person: each of these conditions holds.
    Automatic(Vec<Outcome>),
    /// People are asked, by the rule's quorum. Where the rule could have approved it, this is how
    /// its conditions stand, the ones that do not hold among them.
    Ask(Vec<Outcome>),
}

/// Why nobody is asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Free {
    /// `approval = "none"`.
    Rule,
    /// The rule leaves it to the key's level, and this one does not ask.
    Level(Level),
}

/// How one condition of `auto_approve` stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// Its key in the file: `time_window`, `days`, `schedule`, `requester`, `operations`, `when`.
    pub condition: String,
    /// What the file asks for: `09:00-17:00 America/Los_Angeles`.
    pub wanted: String,
    /// Whether it holds. What cannot be judged does not hold.
    pub holds: bool,
    /// What was found, for people: `Sat 18:20 in America/Los_Angeles`.
    pub found: String,
    /// Why it could not be judged, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Rule {
    /// What the rule says to an ask that it governs. What it says of reasons is
    /// [`Rule::check_reason`]'s to say, and comes first; its mode is for whoever acts on this.
    pub fn judge(&self, ask: &Circumstances<'_>) -> Judgment {
        match &self.asks {
            Asks::Nobody => return Judgment::Free(Free::Rule),
            Asks::Level(_) if !ask.level.asks(ask.operation, ask.call) => {
                return Judgment::Free(Free::Level(ask.level));
            }
            Asks::People(_) | Asks::Level(_) => {}
        }
        let Some(conditions) = &self.auto_approve else { return Judgment::Ask(Vec::new()) };
        let outcomes = conditions.judge(ask);
        // A list of conditions is never empty; if it were, nothing would be shown to hold.
        if !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.holds) {
            Judgment::Automatic(outcomes)
        } else {
            Judgment::Ask(outcomes)
        }
    }
}
