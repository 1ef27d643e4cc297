//! What a case can expect of the rules.

use std::fmt;

use super::super::consider::Considered;
use super::super::directory::ApproverRef;
use super::super::judge::Judgment;
use super::super::quorum::Quorum;
use super::super::rule::{ReasonNeeded, Rule};
use super::super::set::Verdict;
use crate::time::format_duration;

/// Something that a case can expect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fact {
    Decision,
    Rule,
    Approvers,
    Quorum,
    Factors,
    ConditionsFailed,
    ReasonLacks,
    Would,
    RequireReason,
    MinReasonLength,
    LeaseDefault,
    LeaseMax,
    Uses,
    PendingFor,
    EscalateAfter,
    Remember,
}

impl Fact {
    /// What the rules say about this.
    pub(super) fn of(self, verdict: &Verdict<'_>, considered: &Considered<'_>) -> String {
        let ruled = considered.rule();
        let quorum = ruled.and_then(Rule::quorum);
        match self {
            Self::Decision => decision_of(considered).to_owned(),
            Self::Rule => or_none(verdict.decided_by()),
            Self::Approvers => or_none(quorum.map(|quorum| joined(&quorum.approvers()))),
            Self::Quorum => or_none(quorum.map(Quorum::people)),
            Self::Factors => or_none(quorum.map(|quorum| quorum.factors.len())),
            Self::ConditionsFailed => {
                let failed = considered.outcomes().iter().filter(|outcome| !outcome.holds);
                listed(failed.map(|outcome| outcome.condition.as_str()).collect())
            }
            Self::ReasonLacks => or_none(lacking(considered)),
            Self::Would => or_none(would(considered)),
            Self::RequireReason => or_none(ruled.map(|rule| rule.require_reason)),
            Self::MinReasonLength => or_none(ruled.map(|rule| rule.min_reason_length)),
            Self::LeaseDefault => or_none(ruled.map(|rule| format_duration(rule.lease.default))),
            Self::LeaseMax => or_none(ruled.map(|rule| format_duration(rule.lease.max))),
            Self::Uses => or_none(ruled.and_then(|rule| rule.lease.uses)),
            Self::PendingFor => or_none(ruled.map(|rule| format_duration(rule.pending_for))),
            Self::EscalateAfter => {
                let escalation = ruled.and_then(|rule| rule.escalation.as_ref());
                or_none(escalation.map(|escalation| format_duration(escalation.after)))
            }
            Self::Remember => or_none(ruled.map(|rule| rule.remember)),
        }
    }

    /// Its key in the file.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Decision => "expect",
            Self::Rule => "rule",
            Self::Approvers => "approvers",
            Self::Quorum => "quorum",
            Self::Factors => "factors",
            Self::ConditionsFailed => "conditions_failed",
            Self::ReasonLacks => "reason_lacks",
            Self::Would => "would",
            Self::RequireReason => "require_reason",
            Self::MinReasonLength => "min_reason_length",
            Self::LeaseDefault => "lease_default",
            Self::LeaseMax => "lease_max",
            Self::Uses => "uses",
            Self::PendingFor => "pending_for",
            Self::EscalateAfter => "escalate_after",
            Self::Remember => "remember",
        }
    }
}

/// The word that a case expects for it.
const fn decision_of(considered: &Considered<'_>) -> &'static str {
    match considered {
        Considered::Refused(_) => "refuse",
        Considered::ReasonLacks { .. } => "reason",
        Considered::Observed { .. } => "observe",
        Considered::Allowed { .. } => "allow",
        Considered::Approved { .. } => "approve",
        Considered::Asks { .. } => "ask",
    }
}

/// What an observed rule would have done.
const fn would(considered: &Considered<'_>) -> Option<&'static str> {
    match considered {
        Considered::Observed { lacks: Some(_), .. } => Some("reason"),
        Considered::Observed { judgment, lacks: None, .. } => Some(match judgment {
            Judgment::Free(_) => "allow",
            Judgment::Automatic(_) => "approve",
            Judgment::Ask(_) => "ask",
        }),
        Considered::Refused(_)
        | Considered::ReasonLacks { .. }
        | Considered::Allowed { .. }
        | Considered::Approved { .. }
        | Considered::Asks { .. } => None,
    }
}

/// What the reason lacks: `length`, `form` or `kind`.
const fn lacking(considered: &Considered<'_>) -> Option<&'static str> {
    let (Considered::ReasonLacks { needed, .. } | Considered::Observed { lacks: Some(needed), .. }) =
        considered
    else {
        return None;
    };
    Some(match needed {
        ReasonNeeded::Short { .. } => "length",
        ReasonNeeded::Form { .. } => "form",
        ReasonNeeded::Kind { .. } => "kind",
    })
}

/// Approvers as one text.
pub(super) fn joined(approvers: &[&ApproverRef]) -> String {
    approvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Words as one text, whatever their order.
pub(super) fn listed(mut words: Vec<&str>) -> String {
    words.sort_unstable();
    words.join(" ")
}

fn or_none(fact: Option<impl fmt::Display>) -> String {
    fact.map_or_else(|| "none".to_owned(), |fact| fact.to_string())
}

/// What is expected, or came, as one line.
pub(super) fn told(facts: &[(Fact, String)]) -> String {
    let tell = |(fact, is): &(Fact, String)| match (fact, is.as_str()) {
        (Fact::Decision, is) => is.to_owned(),
        (fact, "") => format!("{} none", fact.key()),
        (fact, is) => format!("{} {is}", fact.key()),
    };
    facts.iter().map(tell).collect::<Vec<_>>().join(", ")
}
