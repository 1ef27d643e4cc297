//! The rules: who may have what, and whom to ask.
//!
//! Rules are read from files ([`parse`]) into a [`RuleSet`], which answers one question:
//! [`RuleSet::decide`]. Nothing matches: refused. A rule with `effect = "deny"`: refused, whatever
//! else matches. Otherwise the most specific pattern wins, and what it does not cover is refused.

mod cases;
mod changes;
mod clash;
mod conditions;
mod consider;
pub mod defaults;
mod directory;
mod judge;
mod parse;
mod quorum;
mod read;
mod regexp;
mod rule;
mod set;
mod source;
mod suggest;
mod write;

pub use self::cases::{CASES_MAX, Case, CaseResult, parse_cases, run_cases};
pub use self::conditions::{Conditions, DigestTimes, QuietHours, WhenError};
pub use self::consider::Considered;
pub use self::directory::{ApproverRef, ApproverRefError, Directory, Member, eligible, named};
pub use self::judge::{Circumstances, Free, Judgment, Outcome};
pub use self::parse::{FILE_BYTES_MAX, FILES_MAX, Options, PROBLEMS_MAX, RULES_MAX, parse};
pub use self::quorum::{Factor, Quorum};
pub use self::regexp::{Regexp, RegexpError};
pub use self::rule::{
    Asks, Bind, Denial, Escalation, LeaseTerms, Mode, ReasonNeeded, ReasonPattern, Rule,
    RuleDigest, RuleName, RuleNameError,
};
pub use self::set::{
    AnyRule, Explanation, Match, Placed, Refusal, RuleSet, RuleSetDigest, Verdict,
};
pub use self::source::{PolicyFile, Problem};
pub use self::suggest::{Habit, Habits, Offer, suggest};

#[cfg(test)]
mod tests;
