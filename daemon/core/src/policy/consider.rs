//! What the rules make of one ask, all in all.

use super::judge::{Circumstances, Free, Judgment, Outcome};
use super::rule::{ReasonNeeded, Rule};
use super::set::{Refusal, RuleSet, Verdict};

/// What becomes of an ask: the first of these that is so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Considered<'s> {
    /// The rules refuse it.
    Refused(Refusal<'s>),
    /// Its reason does not do for the rule. That is so for what is approved without a person, too.
    ReasonLacks {
        /// The rule that governs it.
        rule: &'s Rule,
        /// What it lacks.
        needed: ReasonNeeded,
    },
    /// The rule is only observed: nobody is asked, whatever it says.
    Observed {
        /// The rule that governs it.
        rule: &'s Rule,
        /// What it would have said.
        judgment: Judgment,
        /// What the reason lacks, for which it would have refused.
        lacks: Option<ReasonNeeded>,
    },
    /// Nobody is asked.
    Allowed {
        /// The rule that governs it.
        rule: &'s Rule,
        /// Why not.
        free: Free,
    },
    /// It is approved without a person.
    Approved {
        /// The rule that governs it.
        rule: &'s Rule,
        /// Its conditions, all of which hold.
        outcomes: Vec<Outcome>,
    },
    /// People are asked.
    Asks {
        /// The rule that governs it.
        rule: &'s Rule,
        /// Its conditions, if it has any; one of them at least does not hold.
        outcomes: Vec<Outcome>,
    },
}

impl RuleSet {
    /// What becomes of an ask under these rules: whether they refuse it, whether its reason does,
    /// and what the rule that governs it says.
    pub fn consider(&self, ask: &Circumstances<'_>) -> Considered<'_> {
        let rule = match self.decide(ask.resource, ask.operation) {
            Verdict::Refused(refusal) => return Considered::Refused(refusal),
            Verdict::Ruled(rule) => rule,
        };
        let lacks = rule.check_reason(ask.reason, ask.reason_kind).err();
        if rule.is_observed() {
            return Considered::Observed { rule, judgment: rule.judge(ask), lacks };
        }
        if let Some(needed) = lacks {
            return Considered::ReasonLacks { rule, needed };
        }
        Considered::judged(rule, ask)
    }
}

impl<'s> Considered<'s> {
    /// What the rule that governs an ask says, where its reason does.
    pub(super) fn judged(rule: &'s Rule, ask: &Circumstances<'_>) -> Self {
        match rule.judge(ask) {
            Judgment::Free(free) => Self::Allowed { rule, free },
            Judgment::Automatic(outcomes) => Self::Approved { rule, outcomes },
            Judgment::Ask(outcomes) => Self::Asks { rule, outcomes },
        }
    }

    /// The word for it: `refused`, `reason`, `observed`, `allowed`, `approves` or `asks`.
    pub const fn decision(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::ReasonLacks { .. } => "reason",
            Self::Observed { .. } => "observed",
            Self::Allowed { .. } => "allowed",
            Self::Approved { .. } => "approves",
            Self::Asks { .. } => "asks",
        }
    }

    /// The rule that governs it; none where it is refused.
    pub const fn rule(&self) -> Option<&'s Rule> {
        match self {
            Self::Refused(_) => None,
            Self::ReasonLacks { rule, .. }
            | Self::Observed { rule, .. }
            | Self::Allowed { rule, .. }
            | Self::Approved { rule, .. }
            | Self::Asks { rule, .. } => Some(rule),
        }
    }

    /// How the conditions of the rule stand, where they were looked at.
    pub fn outcomes(&self) -> &[Outcome] {
        match self {
            Self::Approved { outcomes, .. }
            | Self::Asks { outcomes, .. }
            | Self::Observed {
                judgment: Judgment::Automatic(outcomes) | Judgment::Ask(outcomes),
                ..
            } => outcomes,
            Self::Refused(_)
            | Self::ReasonLacks { .. }
            | Self::Observed { judgment: Judgment::Free(_), .. }
            | Self::Allowed { .. } => &[],
        }
    }
}
