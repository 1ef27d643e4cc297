//! What the log says: entries with the actor and the project filled in.

use vouchsafe_core::approval::{Approval, Ask, Ballot, Vote};
use vouchsafe_core::audit::{Action, Actor, ActorKind, Entry, Proof, Via};
use vouchsafe_core::caller::{Agent, Transport, User};
use vouchsafe_core::lease::{Active, Lease};
use vouchsafe_core::text::escape_untrusted;
use vouchsafe_core::time::format_duration;

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
    Entry::new(action, Actor::new(ActorKind::User, &id, &user.name, Proof::UserToken, Via::Grpc))
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
        .detail("arguments", ask.arguments.as_str())
        .detail("expires_at", ask.deadline.wall.rfc3339())
        .detail("claims", claims);
    if let Some(reason) = &ask.reason {
        entry = entry.detail("reason", reason.shown().text);
    }
    if let Some(requested) = ask.requested {
        entry = entry.detail("requested", format_duration(requested));
    }
    entry
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
    match terms.approval {
        Some(id) => entry.approval(id),
        None => entry,
    }
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
