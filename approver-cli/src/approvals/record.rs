//! An approval, whole, as programs read it.

use vouchsafe_proto::v1::applied::Outcome;
use vouchsafe_proto::v1::{
    Applied, Approval, ApprovalItem, Asker, Change, ConditionOutcome, Difference, Evidence, Factor,
    History, NotTold, PastDecision, Requirement, Vote,
};

use crate::card;
use crate::notify;
use crate::record::Record;
use crate::words;

pub(crate) fn record(approval: &Approval) -> Record {
    Record::new()
        .text("id", &approval.id)
        .text("project", &approval.project)
        .text("status", words::approval_status(approval.status))
        .with_record("asker", approval.asker.as_ref().map(asker))
        .text("operation", words::operation(approval.operation))
        .records("items", approval.items.iter().map(item))
        .text("arguments", &approval.arguments)
        .text("reason", &approval.reason)
        .flag("reason_suspicious", approval.reason_suspicious)
        .span("requested_duration", approval.requested_duration)
        .time("created_at", approval.created_at)
        .time("expires_at", approval.expires_at)
        .time("settled_at", approval.settled_at)
        .text("digest", &approval.digest)
        .text("short_digest", &approval.short_digest)
        .records("requirements", approval.requirements.iter().map(requirement))
        .records("votes", approval.votes.iter().map(vote))
        .text("outcome_reason", &approval.outcome_reason)
        .texts("lease_ids", &approval.lease_ids)
        .text("rule_set", &approval.rule_set)
        .with_record("history", approval.history.map(history))
        .flag("may_vote", approval.may_vote)
        .text("may_not_vote_because", &approval.may_not_vote_because)
        .text("reason_kind", &approval.reason_kind)
        .text("approved_by", words::approved_by(approval.approved_by))
        .records("conditions", approval.conditions.iter().map(condition))
        .text("session_approval_id", &approval.session_approval_id)
        .text("break_glass_by", &approval.break_glass_by)
        .text("review_id", &approval.review_id)
        .flag("stopped", approval.stopped)
        .number("reminders", approval.reminders)
        .flag("may_remember", approval.may_remember)
        .span("session", approval.session)
        .time("session_until", approval.session_until)
        .with_record("change", approval.change.as_ref().map(change))
        .with_record("applied", approval.applied.as_ref().map(applied))
        .with_record("evidence", approval.evidence.as_ref().map(evidence))
        .records("deliveries", approval.deliveries.iter().map(notify::delivery))
        .flag("nobody_reached", approval.nobody_reached)
}

fn asker(asker: &Asker) -> Record {
    Record::new()
        .text("key_id", &asker.key_id)
        .text("key_name", &asker.key_name)
        .text("owner", &asker.owner)
        .text("claimed_client", &asker.claimed_client)
        .text("transport", &asker.transport)
        .text("host", &asker.host)
        .text("os_user", &asker.os_user)
        .text("address", &asker.address)
}

fn item(item: &ApprovalItem) -> Record {
    Record::new()
        .text("resource", &item.resource)
        .number("version", item.version)
        .text("rule", &item.rule)
        .span("lease_default", item.lease_default)
        .span("lease_max", item.lease_max)
        .number("uses", item.uses)
        .text("description", &item.description)
        .flag("follow_rotation", item.follow_rotation)
        .flag("remember", item.remember)
}

fn requirement(requirement: &Requirement) -> Record {
    Record::new()
        .text("rule", &requirement.rule)
        .records("factors", requirement.factors.iter().map(factor))
        .flag("self_approval", requirement.self_approval)
        .texts("also", &requirement.also)
        .texts("escalates_to", &requirement.escalates_to)
        .time("escalates_at", requirement.escalates_at)
}

pub(crate) fn factor(factor: &Factor) -> Record {
    Record::new()
        .texts("from", &factor.from)
        .number("count", factor.count)
        .number("met", factor.met)
}

/// "1 of group:oncall, jane", not escaped.
pub(crate) fn factor_words(factor: &Factor) -> String {
    format!("{} of {}", factor.count, factor.from.join(", "))
}

pub(crate) fn condition(outcome: &ConditionOutcome) -> Record {
    Record::new()
        .text("condition", &outcome.condition)
        .text("wanted", &outcome.wanted)
        .flag("holds", outcome.holds)
        .text("found", &outcome.found)
        .text("error", &outcome.error)
}

fn vote(vote: &Vote) -> Record {
    Record::new()
        .text("user", &vote.user)
        .text("ballot", words::ballot(vote.ballot))
        .text("reason", &vote.reason)
        .time("at", vote.at)
        .text("via", &vote.via)
        .span("duration", vote.duration)
        .number("uses", vote.uses)
        .text("kind", words::grant_kind(vote.kind))
        .texts("only", &vote.only)
}

fn history(history: History) -> Record {
    Record::new().flag("had_before", history.had_before).number("asks_today", history.asks_today)
}

fn change(change: &Change) -> Record {
    Record::new()
        .flag("writes", change.writes)
        .number("from_version", change.from_version)
        .number("bytes", change.bytes)
        .text("value_digest", &change.value_digest)
        .text("made", card::made(change))
        .text("public_key", &change.public_key)
        .records("differences", change.differences.iter().map(difference))
}

fn difference(difference: &Difference) -> Record {
    Record::new()
        .text("what", &difference.what)
        .text("before", &difference.before)
        .text("after", &difference.after)
}

fn applied(applied: &Applied) -> Record {
    let outcome = match applied.outcome() {
        Outcome::Written => "written",
        Outcome::Deleted => "deleted",
        Outcome::Conflict => "conflict",
        Outcome::Unspecified => "unknown",
    };
    Record::new().text("outcome", outcome).number("version", applied.version)
}

fn evidence(evidence: &Evidence) -> Record {
    Record::new()
        .number("asked_before", evidence.asked_before)
        .number("approved_before", evidence.approved_before)
        .number("denied_before", evidence.denied_before)
        .time("last_approved_at", evidence.last_approved_at)
        .flag("counts_capped", evidence.counts_capped)
        .records("decisions", evidence.decisions.iter().map(decision))
        .texts("may_answer", &evidence.may_answer)
        .texts("moved_on", &evidence.moved_on)
        .records("not_told", evidence.not_told.iter().map(not_told))
}

fn not_told(one: &NotTold) -> Record {
    Record::new().text("user", &one.user).text("why", &one.why)
}

fn decision(decision: &PastDecision) -> Record {
    Record::new()
        .text("approval_id", &decision.approval_id)
        .text("key_name", &decision.key_name)
        .text("operation", words::operation(decision.operation))
        .text("status", words::approval_status(decision.status))
        .text("by", &decision.by)
        .time("at", decision.at)
        .text("reason", &decision.reason)
}
