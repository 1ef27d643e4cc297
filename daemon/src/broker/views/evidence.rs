//! What is told of the past: of one approval, and of how people answer.

use vouchsafe_core::approval::Status;
use vouchsafe_core::id::ApprovalId;
use vouchsafe_core::policy::{Habit, Offer};
use vouchsafe_core::resource::Operation;
use vouchsafe_core::route::Untold;
use vouchsafe_core::stats::AnswerStats;
use vouchsafe_core::time::UnixTime;

use super::Replayed;

/// What happened before, for whoever decides on an approval.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// How often its key asked for all of its resources with its operation before, of the last 200
    /// asks about each.
    pub asked: u32,
    /// How many of these were approved, by people or without.
    pub approved: u32,
    /// How many of these were denied.
    pub denied: u32,
    /// When one of these was last approved.
    pub last_approved_at: Option<UnixTime>,
    /// There may be more than these counts say.
    pub capped: bool,
    /// The last decisions on any of its resources, by any key, the newest first; 5 at most.
    pub decisions: Vec<PastDecision>,
    /// Whose answer would count now, by name; 50 at most.
    pub may_answer: Vec<String>,
    /// Resources that are not any more what was asked for, a sentence each.
    pub moved_on: Vec<String>,
    /// Who of those whose answer would count is told over no channel, and why; 50 at most.
    pub not_told: Vec<Untold>,
}

/// A decision on another ask for the same.
#[derive(Clone, Debug)]
pub struct PastDecision {
    /// The approval.
    pub approval: ApprovalId,
    /// The key that asked; empty where none did.
    pub key_name: String,
    /// What it wanted to do.
    pub operation: Operation,
    /// Approved or denied.
    pub status: Status,
    /// Who decided, or what.
    pub by: String,
    /// When.
    pub at: UnixTime,
    /// Why, where it was denied, in the denier's words.
    pub reason: String,
}

/// How people have answered.
#[derive(Clone, Debug)]
pub struct Stats {
    /// By approver, and by approver and rule.
    pub answers: Vec<AnswerStats>,
    /// There were more approvals than were looked at: the oldest are missing.
    pub cut: bool,
    /// Asks of this time or later.
    pub since: UnixTime,
}

/// Rules that are suggested.
#[derive(Clone, Debug)]
pub struct Suggestions {
    /// Each with what it stands on, for the most frequent asks first.
    pub rules: Vec<Suggestion>,
    /// There were more approvals than were looked at: the oldest are missing.
    pub cut: bool,
}

/// One rule that is suggested.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// What it stands on.
    pub habit: Habit,
    /// What is suggested.
    pub offer: Offer,
    /// What it would have changed; none where it cannot be put beside the rules in force.
    pub replay: Option<Replayed>,
}
