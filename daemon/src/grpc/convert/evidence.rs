//! What happened before, how people answer, and the rules that this suggests.

use vouchsafe_core::route::Untold;
use vouchsafe_core::stats::{AnswerStats, Wanted};
use vouchsafe_core::time::UnixTime;
use vouchsafe_proto::v1;

use super::approvals::status_out;
use super::time::{duration_out, time, time_out};
use super::{Taken, operation_out, optional, replayed, shown};
use crate::broker::{Evidence, PastDecision, Stats, Suggestion, Suggestions};

/// What happened before an ask.
pub(super) fn evidence(evidence: &Evidence) -> v1::Evidence {
    v1::Evidence {
        asked_before: evidence.asked,
        approved_before: evidence.approved,
        denied_before: evidence.denied,
        last_approved_at: evidence.last_approved_at.map(time_out),
        counts_capped: evidence.capped,
        decisions: evidence.decisions.iter().map(decision).collect(),
        may_answer: evidence.may_answer.clone(),
        moved_on: evidence.moved_on.clone(),
        not_told: evidence.not_told.iter().map(not_told).collect(),
    }
}

fn not_told(untold: &Untold) -> v1::NotTold {
    v1::NotTold { user: untold.name.clone(), why: untold.why.to_string() }
}

fn decision(decision: &PastDecision) -> v1::PastDecision {
    v1::PastDecision {
        approval_id: decision.approval.to_string(),
        key_name: decision.key_name.clone(),
        operation: operation_out(decision.operation).into(),
        status: status_out(decision.status).into(),
        by: shown(&decision.by),
        at: Some(time_out(decision.at)),
        reason: shown(&decision.reason),
    }
}

/// Of which project, since when, and which answers are to be counted.
pub(in crate::grpc) fn stats_wanted(
    request: v1::ShowStatsRequest,
) -> Taken<(Option<String>, Option<UnixTime>, Wanted)> {
    let wanted = Wanted {
        approver: optional("approver", request.approver)?,
        rule: optional("rule", request.rule)?,
    };
    Ok((optional("project", request.project)?, time("since", request.since)?, wanted))
}

/// How people have answered.
pub(in crate::grpc) fn stats(stats: &Stats) -> v1::ShowStatsResponse {
    v1::ShowStatsResponse {
        answers: stats.answers.iter().map(answers).collect(),
        cut: stats.cut,
        since: Some(time_out(stats.since)),
    }
}

fn answers(stats: &AnswerStats) -> v1::AnswerStats {
    v1::AnswerStats {
        approver: stats.approver.clone(),
        rule: stats.rule.clone().unwrap_or_default(),
        answers: stats.answers,
        approved: stats.approved,
        median_time: Some(duration_out(stats.median)),
        under_two_seconds: stats.at_once,
    }
}

/// Of which project, since when, and how often something was asked for at least.
pub(in crate::grpc) fn suggestions_wanted(
    request: v1::SuggestRulesRequest,
) -> Taken<(Option<String>, Option<UnixTime>, Option<u32>)> {
    let min = (request.min_asks > 0).then_some(request.min_asks);
    Ok((optional("project", request.project)?, time("since", request.since)?, min))
}

/// Rules that are suggested.
pub(in crate::grpc) fn suggestions(found: Suggestions) -> v1::SuggestRulesResponse {
    v1::SuggestRulesResponse {
        rules: found.rules.into_iter().map(suggestion).collect(),
        cut: found.cut,
    }
}

fn suggestion(suggestion: Suggestion) -> v1::SuggestedRule {
    let Suggestion { habit, offer, replay } = suggestion;
    v1::SuggestedRule {
        name: offer.name,
        toml: offer.toml,
        key: habit.key_name,
        resource: habit.resource.to_string(),
        operation: operation_out(habit.operation).into(),
        asks: habit.asks,
        first_at: Some(time_out(habit.first_at)),
        last_at: Some(time_out(habit.last_at)),
        approved_by: habit.approved_by,
        replay: replay.map(replayed),
    }
}
