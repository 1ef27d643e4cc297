//! What the log says: entries with the actor and the project filled in.

use serde_json::json;
use vouchsafe_core::approval::{Approval, Ask, Ballot, Change, How, Session, Vote};
use vouchsafe_core::audit::{Action, Actor, ActorKind, Entry, Proof, Via};
use vouchsafe_core::caller::{Agent, Transport, User};
use vouchsafe_core::lease::{Active, Lease};
use vouchsafe_core::policy::{Judgment, Outcome, Rule};
use vouchsafe_core::resource::Operation;
use vouchsafe_core::text::{REASON_CHARS_MAX, echo, escape_json, escape_untrusted};
use vouchsafe_core::time::format_duration;

use super::Plea;

/// An entry about what an agent did.
pub(super) fn by_agent(action: Action, agent: &Agent) -> Entry {
    let via = match agent.claims.transport {
        Transport::Http => Via::Http,
        Transport::Stdio => Via::Stdio,
    };
    let (id, name) = (agent.key.to_string(), agent.name.as_str());
    let entry = Entry::new(action, Actor::new(ActorKind::Agent, &id, name, Proof::McpKey, via));
    entry.project(&agent.project_name)
}

/// An entry about what a person did.
pub(super) fn by_user(action: Action, user: &User) -> Entry {
    let id = user.id.to_string();
    let (proof, via) = (user.identity.proof(), user.identity.via());
    Entry::new(action, Actor::new(ActorKind::User, &id, &user.name, proof, via))
}

/// An entry about what the daemon did by itself.
pub(super) fn by_system(action: Action) -> Entry {
    Entry::new(action, Actor::system())
}

/// What an entry about an approval says of it.
pub(super) fn about_ask(entry: Entry, ask: &Ask) -> Entry {
    entry
        .project(&ask.project_name)
        .approval(ask.id)
        .resources(ask.items.iter().map(|item| &item.resource))
        .detail("key", ask.asker.key_name.as_str())
        .detail("operation", ask.operation.as_str())
        .detail("digest", ask.digest().to_string())
}

/// What an entry about a change of a secret says of it. Without an approval in the store it names
/// none.
pub(super) fn changed(entry: Entry, ask: &Ask, kept: bool) -> Entry {
    let entry = entry
        .project(&ask.project_name)
        .resources(ask.items.iter().map(|item| &item.resource))
        .detail("key", ask.asker.key_name.as_str())
        .detail("operation", ask.operation.as_str())
        .detail("rule", ask.items.first().map(|item| item.rule.name.as_str()));
    let entry = if kept {
        entry.approval(ask.id).detail("digest", ask.digest().to_string())
    } else {
        entry
    };
    match &ask.change {
        Some(change) => proposed(entry, change),
        None => entry,
    }
}

/// What people saw of a change: everything but the value.
fn proposed(entry: Entry, change: &Change) -> Entry {
    let Some(proposed) = change.proposed() else { return entry };
    let entry = entry
        .detail("bytes", proposed.facts.bytes)
        .detail("value_digest", proposed.digest.to_string());
    match &proposed.facts.generator {
        Some(generator) => entry.detail("made", generator.to_string()),
        None => entry,
    }
}

/// What an entry about a new ask says beyond that. The agent's words are kept as they are shown.
pub(super) fn asked(entry: Entry, ask: &Ask) -> Entry {
    let versions: Vec<u64> = ask.items.iter().map(|item| item.version).collect();
    let rules: Vec<&str> = ask.items.iter().map(|item| item.rule.name.as_str()).collect();
    let claims = serde_json::to_value(&ask.asker.claims).unwrap_or_default();
    let mut entry = about_ask(entry, ask)
        .detail("versions", versions)
        .detail("rules", rules)
        .detail("rule_set", ask.rule_set.as_str())
        .detail("owner", ask.asker.owner_name.as_str())
        .detail("arguments", escape_json(&ask.arguments))
        .detail("expires_at", ask.deadline.wall.rfc3339())
        .detail("claims", claims);
    if let Some(change) = &ask.change {
        entry = proposed(entry, change);
    }
    if let Some(reason) = &ask.reason {
        entry = entry.detail("reason", reason.shown().text);
    }
    if let Some(kind) = &ask.reason_kind {
        entry = entry.detail("reason_kind", kind.as_str());
    }
    if let Some(requested) = ask.requested {
        entry = entry.detail("requested", format_duration(requested));
    }
    entry
}

/// What an entry about an ask that is refused says of it.
pub(super) fn worded(entry: Entry, agent: &Agent, operation: Operation, plea: &Plea) -> Entry {
    let mut entry = entry
        .detail("operation", operation.as_str())
        .detail("level", agent.settings.level.as_str());
    for (name, words) in [("reason", &plea.reason), ("reason_kind", &plea.reason_kind)] {
        if let Some(words) = words.as_deref().filter(|words| !words.is_empty()) {
            entry = entry.detail(name, echo(words, REASON_CHARS_MAX));
        }
    }
    entry
}

/// How the conditions of a rule stood; nothing where it has none.
pub(super) fn conditions<'a>(entry: Entry, outcomes: impl Iterator<Item = &'a Outcome>) -> Entry {
    let outcomes: Vec<_> = outcomes.map(condition).collect();
    if outcomes.is_empty() { entry } else { entry.detail("conditions", outcomes) }
}

fn condition(outcome: &Outcome) -> serde_json::Value {
    let mut condition = json!({
        "condition": outcome.condition,
        "found": escape_untrusted(&outcome.found).text,
        "holds": outcome.holds,
        "wanted": outcome.wanted,
    });
    if let (Some(error), Some(members)) = (&outcome.error, condition.as_object_mut()) {
        members.insert("error".to_owned(), escape_untrusted(error).text.into());
    }
    condition
}

/// Who or what approved it, where no vote says so.
pub(super) fn approved_by(entry: Entry, how: &How) -> Entry {
    match how {
        How::People => entry.detail("approved_by", "people"),
        How::Automatic { conditions: outcomes } => {
            conditions(entry.detail("approved_by", "rule"), outcomes.iter())
        }
        How::Session { approval } => {
            entry.detail("approved_by", "session").detail("session", approval.to_string())
        }
        How::BreakGlass { by, review } => entry
            .detail("approved_by", "break_glass")
            .detail("by", by.as_str())
            .detail("review", review.to_string()),
    }
}

/// What a rule would have done that is only observed.
pub(super) fn observed(entry: Entry, rule: &Rule, judgment: &Judgment) -> Entry {
    let entry = entry.detail("observed", true);
    match judgment {
        Judgment::Free(_) => entry.detail("would", "allow"),
        Judgment::Automatic(outcomes) => {
            conditions(entry.detail("would", "approve"), outcomes.iter())
        }
        Judgment::Ask(outcomes) => {
            let factors: Vec<_> = rule
                .quorum()
                .into_iter()
                .flat_map(|quorum| &quorum.factors)
                .map(|factor| json!({ "count": factor.count, "from": factor.from }))
                .collect();
            let entry = entry.detail("would", "ask").detail("factors", factors);
            conditions(entry, outcomes.iter())
        }
    }
}

/// What an entry about a vote says.
pub(super) fn voted(entry: Entry, ask: &Ask, vote: &Vote) -> Entry {
    let mut entry = about_ask(entry, ask).detail("reason", escape_untrusted(&vote.reason).text);
    if let Some(rendering) = &vote.rendering {
        entry = entry.detail("rendering", rendering.as_str());
    }
    match &vote.ballot {
        Ballot::Deny => entry.detail("ballot", "deny"),
        Ballot::Approve(narrowing) => entry
            .detail("ballot", "approve")
            .detail("narrowing", serde_json::to_value(narrowing).unwrap_or_default()),
    }
}

/// How an approval ended.
pub(super) fn settled(entry: Entry, approval: &Approval) -> Entry {
    let entry = about_ask(entry, approval.ask());
    let reason = approval.outcome_reason();
    if reason.is_empty() { entry } else { entry.detail("reason", escape_untrusted(&reason).text) }
}

/// What an entry about a lease says of it.
pub(super) fn about_lease(entry: Entry, lease: &Active) -> Entry {
    let terms = &lease.terms;
    let entry = entry
        .project(&terms.project_name)
        .lease(terms.id)
        .resource(&terms.resource)
        .detail("key", terms.holder_name.as_str())
        .detail("operation", terms.operation.as_str())
        .detail("version", terms.version)
        .detail("rule", terms.rule.as_str())
        .detail("expires_at", lease.deadline.wall.rfc3339())
        .detail("uses_left", lease.uses_left);
    let entry = if terms.observed { entry.detail("observed", true) } else { entry };
    match terms.approval {
        Some(id) => entry.approval(id),
        None => entry,
    }
}

/// What an entry about a session says of it.
pub(super) fn about_session(entry: Entry, session: &Session) -> Entry {
    entry
        .approval(session.approval)
        .detail("key", session.holder_name.as_str())
        .detail("rule", session.rule.as_str())
        .detail("operation", session.operation.as_str())
        .detail("given_by", session.given_by.clone())
        .detail("until", session.until.wall.rfc3339())
}

/// How a lease ended.
pub(super) fn lease_ended(entry: Entry, lease: &Lease) -> Entry {
    let entry = about_lease(entry, lease.last()).detail("used", lease.last().used);
    match lease {
        Lease::Ended(ended) => match &ended.reason {
            Some(reason) => entry.detail("reason", escape_untrusted(reason).text),
            None => entry,
        },
        Lease::Active(_) => entry,
    }
}
