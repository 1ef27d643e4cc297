//! Approvals and votes.

use vouchsafe_core::approval::{
    Applied, Approval, ApprovalDigest, Ask, Asker, Ballot, Change, GrantKind, How, ITEMS_MAX, Item,
    Narrowing, Progress, Status, Vote,
};
use vouchsafe_core::caller::Transport;
use vouchsafe_core::policy::Outcome;
use vouchsafe_core::text::{self, Reason};
use vouchsafe_proto::v1;

use super::evidence::evidence;
use super::notify::delivery;
use super::secrets::generator_out;
use super::time::{duration, duration_out, time, time_out};
use super::{
    RESOURCE_BYTES_MAX, Taken, at_most, few, id, missing, operation_out, optional, parse, pattern,
    reason, shown, unknown,
};
use crate::broker::{ApprovalFilter, ApprovalView, Refused, VoteCommand, WatchEvent};

/// Which approvals are wanted; the page is taken out before.
pub(in crate::grpc) fn approval_filter(request: v1::ListApprovalsRequest) -> Taken<ApprovalFilter> {
    few("statuses", request.statuses.len(), Status::ALL.len())?;
    let resource = at_most("resource", request.resource, RESOURCE_BYTES_MAX)?;
    Ok(ApprovalFilter {
        project: optional("project", request.project)?,
        statuses: request.statuses.into_iter().map(status).collect::<Result<_, _>>()?,
        resource: pattern("resource", &resource)?,
        key: optional("key", request.key)?,
        since: time("since", request.since)?,
    })
}

/// One person's answer.
pub(in crate::grpc) fn vote_command(request: v1::VoteRequest) -> Taken<VoteCommand> {
    let narrowing = Narrowing {
        duration: duration("duration", request.duration)?,
        uses: (request.uses > 0).then_some(request.uses),
        kind: grant_kind(request.kind)?,
        only: only(&request.only)?,
    };
    let narrows = narrowing != Narrowing::default();
    let ballot = match v1::Ballot::try_from(request.ballot) {
        Ok(v1::Ballot::Approve) => Ballot::Approve(narrowing),
        Ok(v1::Ballot::Deny) if narrows => {
            let next = "Deny it without a duration, uses, a kind or resources, or approve it.";
            return Err(Refused::invalid("a denial has no limits", next));
        }
        Ok(v1::Ballot::Deny) => Ballot::Deny,
        Ok(v1::Ballot::Unspecified) => return Err(missing("ballot")),
        Err(_) => return Err(unknown("ballot", request.ballot)),
    };
    if request.digest.is_empty() {
        return Err(Refused::invalid(
            "digest is missing: an answer carries the digest of what its giver saw",
            "Show the approval, and answer with its digest.",
        ));
    }
    parse::<ApprovalDigest>("digest", &request.digest)?;
    let rendering = optional("rendering_digest", request.rendering_digest)?;
    if let Some(rendering) = &rendering {
        // The same 64 digits.
        parse::<ApprovalDigest>("rendering_digest", rendering)?;
    }
    Ok(VoteCommand {
        id: id("id", request.id)?,
        ballot,
        reason: reason(request.reason)?,
        digest: request.digest,
        rendering,
    })
}

/// An approval as people see it.
pub(in crate::grpc) fn approval(view: &ApprovalView) -> v1::Approval {
    let ApprovalView { approval, leases, progress, may_vote, .. } = view;
    let ask = approval.ask();
    let reason = ask.reason.as_ref().map(Reason::shown);
    let digest = ask.digest();
    let (expires_at, stopped, reminders) = match approval {
        Approval::Pending(pending) => {
            (pending.deadline().wall, pending.is_stopped(), pending.told.reminders)
        }
        Approval::Approved(_)
        | Approval::Denied(_)
        | Approval::Expired(_)
        | Approval::Withdrawn(_) => (ask.deadline.wall, false, 0),
    };
    v1::Approval {
        id: ask.id.to_string(),
        project: ask.project_name.clone(),
        status: status_out(approval.status()).into(),
        asker: Some(asker(&ask.asker)),
        operation: operation_out(ask.operation).into(),
        items: ask.items.iter().map(item).collect(),
        arguments: text::escape_json(&ask.arguments),
        reason_suspicious: reason.as_ref().is_some_and(|reason| reason.suspicious),
        reason: reason.map(|reason| reason.text).unwrap_or_default(),
        requested_duration: ask.requested.map(duration_out),
        created_at: Some(time_out(ask.asked_at)),
        expires_at: Some(time_out(expires_at)),
        settled_at: approval.settled_at().map(time_out),
        digest: digest.to_string(),
        short_digest: digest.short(),
        requirements: progress.iter().map(|progress| requirement(progress, approval)).collect(),
        votes: approval.votes().iter().map(vote).collect(),
        outcome_reason: shown(&approval.outcome_reason()),
        lease_ids: leases.iter().map(ToString::to_string).collect(),
        rule_set: ask.rule_set.clone(),
        history: Some(history(ask)),
        may_vote: may_vote.is_ok() && matches!(approval, Approval::Pending(_)),
        may_not_vote_because: may_vote.as_ref().err().cloned().unwrap_or_default(),
        reason_kind: ask.reason_kind.clone().unwrap_or_default(),
        stopped,
        reminders,
        may_remember: ask.items.iter().all(|item| item.rule.remember),
        session: view.session.map(duration_out),
        session_until: view.session_until.map(time_out),
        change: ask.change.as_ref().map(|change| change_out(ask, change)),
        evidence: view.evidence.as_ref().map(evidence),
        deliveries: view.deliveries.iter().map(delivery).collect(),
        nobody_reached: approval.is_unreached(),
        ..how(approval)
    }
}

/// What it does to a secret.
fn change_out(ask: &Ask, change: &Change) -> v1::Change {
    let proposed = change.proposed();
    let differences = change.differences().into_iter().map(|(what, before, after)| {
        v1::Difference { what: what.to_owned(), before: shown(&before), after: shown(&after) }
    });
    v1::Change {
        writes: proposed.is_some(),
        from_version: ask.items.first().map_or(0, |item| item.version),
        bytes: proposed.map_or(0, |proposed| proposed.facts.bytes),
        value_digest: proposed.map(|proposed| proposed.digest.to_string()).unwrap_or_default(),
        generator: proposed
            .and_then(|proposed| proposed.facts.generator.as_ref())
            .map(generator_out),
        public_key: proposed.and_then(|proposed| proposed.public_key.clone()).unwrap_or_default(),
        differences: differences.collect(),
    }
}

fn applied_out(applied: &Applied) -> v1::Applied {
    use v1::applied::Outcome;
    let (outcome, version) = match applied {
        Applied::Written { version, .. } => (Outcome::Written, *version),
        Applied::Deleted { version, .. } => (Outcome::Deleted, *version),
        Applied::Conflict { found } => (Outcome::Conflict, found.unwrap_or(0)),
    };
    v1::Applied { outcome: outcome.into(), version }
}

/// Who or what approved it, and what came of it.
fn how(approval: &Approval) -> v1::Approval {
    let Approval::Approved(approved) = approval else { return v1::Approval::default() };
    let by = |by: v1::ApprovedBy| v1::Approval {
        approved_by: by.into(),
        applied: approved.applied.as_ref().map(applied_out),
        ..Default::default()
    };
    match &approved.how {
        How::People => by(v1::ApprovedBy::People),
        How::Automatic { conditions } => v1::Approval {
            conditions: conditions.iter().map(condition).collect(),
            ..by(v1::ApprovedBy::Rule)
        },
        How::Session { approval } => v1::Approval {
            session_approval_id: approval.to_string(),
            ..by(v1::ApprovedBy::Session)
        },
        How::BreakGlass { by: who, review } => v1::Approval {
            break_glass_by: who.clone(),
            review_id: review.to_string(),
            ..by(v1::ApprovedBy::BreakGlass)
        },
    }
}

/// How a condition of a rule stood.
pub(in crate::grpc) fn condition(outcome: &Outcome) -> v1::ConditionOutcome {
    v1::ConditionOutcome {
        condition: outcome.condition.clone(),
        wanted: shown(&outcome.wanted),
        holds: outcome.holds,
        found: shown(&outcome.found),
        error: outcome.error.as_deref().map(shown).unwrap_or_default(),
    }
}

/// What a watch tells.
pub(in crate::grpc) fn approval_event(event: WatchEvent) -> v1::ApprovalEvent {
    match event {
        WatchEvent::Approval(view) => {
            v1::ApprovalEvent { approval: Some(approval(&view)), caught_up: false }
        }
        WatchEvent::CaughtUp => v1::ApprovalEvent { approval: None, caught_up: true },
    }
}

fn status(value: i32) -> Taken<Status> {
    match v1::ApprovalStatus::try_from(value) {
        Ok(v1::ApprovalStatus::Pending) => Ok(Status::Pending),
        Ok(v1::ApprovalStatus::Approved) => Ok(Status::Approved),
        Ok(v1::ApprovalStatus::Denied) => Ok(Status::Denied),
        Ok(v1::ApprovalStatus::Expired) => Ok(Status::Expired),
        Ok(v1::ApprovalStatus::Withdrawn) => Ok(Status::Withdrawn),
        Ok(v1::ApprovalStatus::Unspecified) | Err(_) => Err(unknown("statuses", value)),
    }
}

pub(super) const fn status_out(status: Status) -> v1::ApprovalStatus {
    match status {
        Status::Pending => v1::ApprovalStatus::Pending,
        Status::Approved => v1::ApprovalStatus::Approved,
        Status::Denied => v1::ApprovalStatus::Denied,
        Status::Expired => v1::ApprovalStatus::Expired,
        Status::Withdrawn => v1::ApprovalStatus::Withdrawn,
    }
}

fn grant_kind(value: i32) -> Taken<GrantKind> {
    match v1::GrantKind::try_from(value) {
        Ok(v1::GrantKind::Once) => Ok(GrantKind::Once),
        Ok(v1::GrantKind::Lease | v1::GrantKind::Unspecified) => Ok(GrantKind::Lease),
        Ok(v1::GrantKind::Session) => Ok(GrantKind::Session),
        Err(_) => Err(unknown("kind", value)),
    }
}

const fn grant_kind_out(kind: GrantKind) -> v1::GrantKind {
    match kind {
        GrantKind::Once => v1::GrantKind::Once,
        GrantKind::Lease => v1::GrantKind::Lease,
        GrantKind::Session => v1::GrantKind::Session,
    }
}

fn only<C: FromIterator<vouchsafe_core::resource::Resource>>(values: &[String]) -> Taken<C> {
    few("only", values.len(), ITEMS_MAX)?;
    values.iter().map(|value| parse("only", value)).collect()
}

fn asker(asker: &Asker) -> v1::Asker {
    let claimed = |words: &Option<String>| words.as_deref().map(shown).unwrap_or_default();
    let claims = &asker.claims;
    let transport = match claims.transport {
        Transport::Http => "http",
        Transport::Stdio => "stdio",
    };
    v1::Asker {
        key_id: asker.key.map(|key| key.to_string()).unwrap_or_default(),
        key_name: asker.key_name.clone(),
        owner: asker.owner_name.clone(),
        claimed_client: claimed(&claims.client),
        transport: transport.to_owned(),
        host: claimed(&claims.host),
        os_user: claimed(&claims.os_user),
        address: claimed(&claims.address),
    }
}

fn item(item: &Item) -> v1::ApprovalItem {
    let lease = item.rule.lease;
    v1::ApprovalItem {
        resource: item.resource.to_string(),
        version: item.version,
        rule: item.rule.name.to_string(),
        lease_default: Some(duration_out(lease.default)),
        lease_max: Some(duration_out(lease.max)),
        uses: lease.uses.unwrap_or_default(),
        description: shown(&item.description),
        follow_rotation: item.rule.follow_rotation,
        remember: item.rule.remember,
        any_arguments: item.takes_any_arguments(),
    }
}

fn requirement(progress: &Progress, approval: &Approval) -> v1::Requirement {
    let factors = progress.factors.iter().map(|factor| v1::Factor {
        from: factor.from.clone(),
        count: factor.count,
        met: factor.met,
    });
    let base = v1::Requirement {
        rule: progress.rule.clone(),
        factors: factors.collect(),
        self_approval: progress.self_approval,
        also: progress.also.clone(),
        ..v1::Requirement::default()
    };
    let Approval::Pending(pending) = approval else { return base };
    let ruled = |item: &&Item| item.rule.name.as_str() == progress.rule;
    let rule = pending.ask.items.iter().find(ruled).map(|item| &item.rule);
    let coming = rule.and_then(|rule| rule.escalation.as_ref()).filter(|_| base.also.is_empty());
    let Some(escalation) = coming else { return base };
    let whole = pending.ask.deadline.wall.since(pending.ask.asked_at);
    let left = whole.saturating_sub(escalation.after);
    v1::Requirement {
        escalates_to: escalation.to.iter().map(ToString::to_string).collect(),
        escalates_at: Some(time_out(pending.deadline().wall.minus(left))),
        ..base
    }
}

fn vote(vote: &Vote) -> v1::Vote {
    let base = v1::Vote {
        user: vote.voter_name.clone(),
        reason: shown(&vote.reason),
        at: Some(time_out(vote.at)),
        via: vote.via.clone(),
        ..v1::Vote::default()
    };
    match &vote.ballot {
        Ballot::Deny => v1::Vote { ballot: v1::Ballot::Deny.into(), ..base },
        Ballot::Approve(narrowing) => v1::Vote {
            ballot: v1::Ballot::Approve.into(),
            duration: narrowing.duration.map(duration_out),
            uses: narrowing.uses.unwrap_or_default(),
            kind: grant_kind_out(narrowing.kind).into(),
            only: narrowing.only.iter().map(ToString::to_string).collect(),
            ..base
        },
    }
}

fn history(ask: &Ask) -> v1::History {
    v1::History { had_before: ask.history.had_before, asks_today: ask.history.asks_today }
}

#[cfg(test)]
mod tests;
