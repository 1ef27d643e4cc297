//! What commands about the rules take and give.

use std::sync::Arc;

use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::policy::{CaseResult, Outcome, Problem, Rule};
use vouchsafe_core::resource::Operation;
use vouchsafe_core::time::UnixTime;

use crate::policy_files::Loaded;

/// What reading policy files found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is wrong; empty: nothing.
    pub problems: Vec<Problem>,
    /// The digest of the set; empty where something is wrong.
    pub digest: String,
    /// How many rules there are.
    pub rules: u32,
}

/// What running policy cases found.
#[derive(Clone, Debug)]
pub struct Tested {
    /// What is wrong with the files; cases run only where nothing is.
    pub problems: Vec<Problem>,
    /// Each case.
    pub results: Vec<CaseResult>,
}

/// An ask that somebody wonders about.
#[derive(Clone, Debug, Default)]
pub struct ExplainAsk {
    /// In this project; none: the default one.
    pub project: Option<String>,
    /// For this resource.
    pub resource: String,
    /// By the key of this name; none: by one of the default level that nobody owns.
    pub key: Option<String>,
    /// For this reason.
    pub reason: Option<String>,
    /// Of this kind.
    pub reason_kind: Option<String>,
    /// With these arguments, a JSON object.
    pub arguments: Option<String>,
    /// At this time; none: now.
    pub at: Option<UnixTime>,
}

/// What the rules say of one ask, and why.
#[derive(Clone, Debug)]
pub struct Explained {
    /// `refused`, `reason`, `asks`, `approves`, `allowed` or `observed`.
    pub decision: &'static str,
    /// Why, a sentence.
    pub why: String,
    /// Each rule that matches, the deciding one among them.
    pub matches: Vec<ExplainedMatch>,
    /// The rule that governs it, unless it is refused.
    pub rule: Option<Rule>,
    /// How each of its conditions stands.
    pub conditions: Vec<Outcome>,
    /// What the reason lacks, where it does.
    pub reason_lacks: Option<String>,
    /// Who could answer now, by name, the key's owner apart unless the rule lets them.
    pub people: Vec<String>,
}

/// One rule that matches.
#[derive(Clone, Debug)]
pub struct ExplainedMatch {
    /// Its name.
    pub rule: String,
    /// The file it is in.
    pub file: String,
    /// The line it begins on.
    pub line: u32,
    /// Its pattern.
    pub pattern: String,
    /// Whether it decides.
    pub wins: bool,
    /// Why it does or does not.
    pub why: String,
}

/// The rules in force.
#[derive(Clone, Debug)]
pub struct ShownPolicy {
    /// The rules and where they came from.
    pub loaded: Arc<Loaded>,
    /// The project whose rules were asked for.
    pub project: String,
    /// What was wrong with the last set that was tried.
    pub problems: Vec<Problem>,
    /// The approval that changed files wait for, and their digest.
    pub held: Option<(ApprovalId, String)>,
}

/// What reading the policy folder again did.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What is wrong; empty: the new set is in force.
    pub problems: Vec<Problem>,
    /// The digest of the set in force.
    pub digest: String,
    /// Whether it is another one than before.
    pub changed: bool,
    /// How many rules it has.
    pub rules: u32,
    /// Pending approvals that ended because their rule changed.
    pub superseded: u32,
    /// The approval that the changed files wait for, where they do.
    pub held: Option<ApprovalId>,
}

/// What running rules against the asks in the log came to.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What is wrong with the rules; they run only where nothing is.
    pub problems: Vec<Problem>,
    /// How many asks were judged.
    pub asks: u32,
    /// For how many of them nothing would change.
    pub same: u32,
    /// What would change, the most frequent first.
    pub changes: Vec<ReplayChange>,
    /// There are more asks in that time, older ones.
    pub cut: bool,
}

/// Equal asks for which the rules decide otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplayChange {
    /// Whose asks they were.
    pub key: String,
    /// For what.
    pub resource: String,
    /// To do what.
    pub operation: Operation,
    /// What was decided, in a word.
    pub was: String,
    /// By which rule; empty where the log does not say.
    pub was_rule: String,
    /// What would be decided.
    pub now: String,
    /// By which rule; empty where there is none.
    pub now_rule: String,
    /// How many asks these are.
    pub asks: u32,
    /// When the last of them was made.
    pub last_at: UnixTime,
}
