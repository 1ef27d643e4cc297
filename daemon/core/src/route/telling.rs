//! What a message says of an approval, a lease, or an entry of the log.

use serde_json::Value;

use super::{Event, Fact};
use crate::approval::{Applied, Approval, Approved, Ask, Ballot, Change, How};
use crate::audit::Action;
use crate::caller::{Claims, Transport};
use crate::lease::Lease;
use crate::resource::{Kind, Operation};
use crate::text::{
    REASON_CHARS_MAX, echo, escape_json, escape_untrusted, limit_chars, visible_chars,
};
use crate::time::format_duration;

/// The longest headline, in characters.
const HEADLINE_CHARS_MAX: usize = 200;
/// How much is said of arguments, in characters.
const ARGUMENTS_CHARS_MAX: usize = 1_500;
/// How many resources are named.
const RESOURCES_MAX: usize = 20;
/// How much is said of one detail of an entry, in characters.
const DETAIL_CHARS_MAX: usize = 300;
/// How much is repeated of what a client claims, in characters.
const CLAIM_CHARS_MAX: usize = 120;

/// One line about an approval: who asks for what, and how that ended where it has.
pub fn headline(event: Event, approval: &Approval) -> String {
    let asked = wish(approval.ask());
    let line = match (event, approval) {
        (
            Event::BreakGlass,
            Approval::Approved(Approved { how: How::BreakGlass { by, .. }, .. }),
        ) => {
            format!("{} broke the glass: {}", echo(by, 64), object(approval.ask()))
        }
        (Event::ApprovalReminder, Approval::Pending(_)) => format!("Still waiting: {asked}"),
        (Event::ApprovalEscalated, Approval::Pending(_)) => format!("Escalated to you: {asked}"),
        (_, Approval::Pending(_)) => asked,
        (_, Approval::Approved(_)) => format!("Approved: {asked}"),
        (_, Approval::Denied(_)) => format!("Denied: {asked}"),
        (_, Approval::Expired(_)) => format!("Expired: {asked}"),
        (_, Approval::Withdrawn(_)) => format!("Taken back: {asked}"),
    };
    limit_chars(&line, HEADLINE_CHARS_MAX)
}

/// What somebody has to know to answer, the most important first; and whether that is all of what
/// is approved.
pub fn facts(approval: &Approval) -> (Vec<Fact>, bool) {
    let ask = approval.ask();
    let mut facts = Vec::new();
    facts.push(Fact::new("Who", who(ask)));
    if ask.asker.key.is_some() {
        facts.push(Fact::untrusted("Client", client(&ask.asker.claims)));
    }
    facts.push(Fact::new("Wants", wants(ask)));
    resources(ask, &mut facts);
    change(ask, &mut facts);
    if !matches!(ask.arguments.as_str(), "" | "{}" | "null") {
        let arguments = escape_json(&ask.arguments);
        let cut = arguments.chars().count() > ARGUMENTS_CHARS_MAX;
        let text = limit_chars(&arguments, ARGUMENTS_CHARS_MAX);
        facts.push(Fact { cut, ..Fact::untrusted("Arguments", text) });
    }
    reason(ask, &mut facts);
    let history = history(ask);
    if !history.is_empty() {
        facts.push(Fact::new("Before", history));
    }
    for vote in approval.votes() {
        facts.push(Fact::new("Vote", vote_line(vote)));
    }
    let whole = !facts.iter().any(|fact| fact.cut);
    (facts, whole)
}

/// How an approval ended, in a sentence; nothing where it has not.
pub fn outcome(approval: &Approval) -> Option<String> {
    let told = |reason: &str| {
        if visible_chars(reason) == 0 {
            String::new()
        } else {
            format!(": {}", echo(reason, DETAIL_CHARS_MAX))
        }
    };
    Some(match approval {
        Approval::Pending(_) => return None,
        Approval::Approved(approved) => {
            let by = match &approved.how {
                How::People => {
                    let yes = approved
                        .votes
                        .iter()
                        .filter(|vote| matches!(vote.ballot, Ballot::Approve(_)))
                        .map(|vote| vote.voter_name.as_str());
                    yes.collect::<Vec<_>>().join(", ")
                }
                How::Automatic { .. } => "its rule, whose conditions hold".to_owned(),
                How::Session { .. } => "a session that people gave".to_owned(),
                How::BreakGlass { by, .. } => format!("{by}, who broke the glass"),
            };
            let came = match &approved.applied {
                None => "",
                Some(Applied::Written { .. }) => "; the value was written",
                Some(Applied::Deleted { .. }) => "; the secret was deleted",
                Some(Applied::Conflict { .. }) => {
                    "; nothing was changed, for the secret had moved on"
                }
            };
            format!("Approved by {by} at {}{came}", approved.at)
        }
        Approval::Denied(denied) => {
            format!("Denied by {} at {}{}", denied.by, denied.at, told(&denied.reason))
        }
        Approval::Expired(expired) => {
            format!("Expired at {}: {}", expired.at, expired.cause.explain())
        }
        Approval::Withdrawn(gone) => {
            format!("Taken back by {} at {}", echo(&gone.by, 64), gone.at)
        }
    })
}

/// One line about a lease, and what there is to know of it.
pub fn lease(event: Event, lease: &Lease) -> (String, Vec<Fact>) {
    let terms = lease.terms();
    let last = lease.last();
    let (holder, resource) = (echo(&terms.holder_name, 64), terms.resource.to_string());
    let line = match event {
        Event::LeaseRevoked => format!("Lease revoked: {holder} on {resource}"),
        Event::LeaseExpired => format!("Lease expired: {holder} on {resource}"),
        _ => format!("Lease issued: {holder} may {} {resource}", verb(terms.operation)),
    };
    let mut facts = vec![
        Fact::new("Lease", terms.id.to_string()),
        Fact::new("Key", holder),
        Fact::new("Resource", resource),
        Fact::new("Operation", terms.operation.as_str()),
        Fact::new("Rule", echo(terms.rule.as_str(), 80)),
        Fact::new("Until", last.deadline.wall.rfc3339()),
        Fact::new("Used", last.used.to_string()),
    ];
    if let Lease::Ended(ended) = lease
        && let Some(reason) = &ended.reason
    {
        facts.push(Fact::new("Reason", echo(reason, DETAIL_CHARS_MAX)));
    }
    (limit_chars(&line, HEADLINE_CHARS_MAX), facts)
}

/// One line about an entry that the operator has to look at, and its details.
pub fn alert(line: &str) -> (String, Vec<Fact>) {
    let entry: Value = serde_json::from_str(line).unwrap_or_default();
    let action = entry.get("action").and_then(Value::as_str).unwrap_or_default();
    let details = entry.get("details");
    let detail = |name: &str| {
        let value = details.and_then(|details| details.get(name))?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let said = |name: &str| detail(name).map(|text| echo(&text, DETAIL_CHARS_MAX));
    let resource = entry
        .get("resources")
        .and_then(|resources| resources.get(0))
        .and_then(Value::as_str)
        .map(|uri| echo(uri, DETAIL_CHARS_MAX))
        .unwrap_or_default();
    let is = |wanted: Action| wanted.as_str() == action;
    let headline = if is(Action::APPROVAL_UNREACHED) {
        format!("Nobody was reached: an ask for {resource} expired unseen")
    } else if is(Action::CHANNEL_FAILING) {
        format!("The channel {} does not take messages", said("channel").unwrap_or_default())
    } else if is(Action::SECRET_EXPIRING) {
        format!("The date of {resource} comes, or has come")
    } else if is(Action::CLOCK_JUMPED) {
        "The clock of the daemon's machine has jumped".to_owned()
    } else if is(Action::LEASES_STOPPED) {
        "Leases were stopped".to_owned()
    } else if is(Action::LEASES_RESUMED) {
        "Leases go on: a stop was taken back".to_owned()
    } else if is(Action::POLICY_REFUSED) {
        "Changed rules were refused: those before stay in force".to_owned()
    } else {
        echo(action, 80)
    };
    let mut facts = vec![Fact::new("Event", echo(action, 80))];
    let actor = entry.get("actor").and_then(|actor| actor.get("name")).and_then(Value::as_str);
    facts.extend(actor.map(|name| Fact::new("By", echo(name, 64))));
    if !resource.is_empty() {
        facts.push(Fact::new("Resource", resource));
    }
    let names = details.and_then(Value::as_object).into_iter().flat_map(|details| details.keys());
    for name in names.take(12) {
        let text = format!("{}: {}", echo(name, 40), said(name).unwrap_or_default());
        facts.push(Fact::new("Detail", text));
    }
    (limit_chars(&headline, HEADLINE_CHARS_MAX), facts)
}

/// `claude-desktop asks to read vouchsafe://secrets/production/DATABASE_URL`
fn wish(ask: &Ask) -> String {
    match &ask.asker.key {
        Some(_) => format!("{} asks to {}", echo(&ask.asker.key_name, 64), object(ask)),
        None if ask.asker.owner_name.is_empty() => "Changed rules wait for approval".to_owned(),
        None => format!("{} asks to change the rules", echo(&ask.asker.owner_name, 64)),
    }
}

/// `read vouchsafe://secrets/a`, `read 3 resources`
fn object(ask: &Ask) -> String {
    let verb = verb(ask.operation);
    match ask.items.as_slice() {
        [item] => format!("{verb} {}", item.resource),
        items => format!("{verb} {} resources", items.len()),
    }
}

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "change",
        other => other.as_str(),
    }
}

fn who(ask: &Ask) -> String {
    let owner = echo(&ask.asker.owner_name, 64);
    match (&ask.asker.key, owner.as_str()) {
        (Some(_), _) => {
            let key = echo(&ask.asker.key_name, 64);
            format!("the agent with key {key}, owned by {owner}, in project {}", ask.project_name)
        }
        (None, "") => "nobody known: it was found in the policy folder".to_owned(),
        (None, _) => format!("{owner}, a person"),
    }
}

fn client(claims: &Claims) -> String {
    let said = |text: &Option<String>| match text.as_deref() {
        None | Some("") => "unknown".to_owned(),
        Some(text) => echo(text, CLAIM_CHARS_MAX),
    };
    let client = match claims.client.as_deref() {
        None | Some("") => "does not say what it is".to_owned(),
        Some(client) => format!("claims to be {}", echo(client, CLAIM_CHARS_MAX)),
    };
    match claims.transport {
        Transport::Http => format!("{client}; over http from {}", said(&claims.address)),
        Transport::Stdio => {
            let (host, user) = (said(&claims.host), said(&claims.os_user));
            format!("{client}; over stdio, claims to run on {host} as {user}")
        }
    }
}

fn wants(ask: &Ask) -> String {
    let operation = ask.operation.as_str();
    let what = match ask.items.len() {
        1 => operation.to_owned(),
        count => format!("{operation}, {count} resources"),
    };
    match ask.requested {
        Some(duration) => format!("{what}, for {}", format_duration(duration)),
        None => what,
    }
}

fn resources(ask: &Ask, facts: &mut Vec<Fact>) {
    for item in ask.items.iter().take(RESOURCES_MAX) {
        let mut text = item.resource.to_string();
        let cut = is_cut(&item.description, CLAIM_CHARS_MAX);
        if item.version != 0 {
            text.extend([", version ", &item.version.to_string()]);
        }
        if item.rule.follow_rotation && ask.change.is_none() {
            text.push_str(" and later ones");
        }
        if !item.description.is_empty() {
            text.extend([" (", &echo(&item.description, CLAIM_CHARS_MAX), ")"]);
        }
        facts.push(Fact { cut, ..Fact::new("Resource", text) });
        if item.resource.kind() != Kind::Policy {
            let lease = &item.rule.lease;
            let uses = match lease.uses {
                None => "any number of uses".to_owned(),
                Some(1) => "1 use".to_owned(),
                Some(uses) => format!("{uses} uses"),
            };
            let rule = echo(item.rule.name.as_str(), 80);
            let text = if ask.change.is_some() {
                rule
            } else {
                let (default, max) = (format_duration(lease.default), format_duration(lease.max));
                format!("{rule}: a lease of {default}, {max} at most, {uses}")
            };
            facts.push(Fact::new("Rule", text));
        }
        if item.takes_any_arguments() {
            facts.push(Fact::new("Good for", "any arguments, not only these"));
        }
    }
    let more = ask.items.len().saturating_sub(RESOURCES_MAX);
    if more > 0 {
        let text = format!("and {more} more; the page has all of them");
        facts.push(Fact { cut: true, ..Fact::new("Resource", text) });
    }
}

fn change(ask: &Ask, facts: &mut Vec<Fact>) {
    let Some(change) = &ask.change else { return };
    facts.push(Fact::new("Change", proposed(change)));
    if let Some(proposed) = change.proposed() {
        // Keyed, and another one in each approval.
        let digest: String = proposed.digest.to_string().chars().take(16).collect();
        facts.push(Fact::new("Value digest", digest));
    }
    for (what, before, after) in change.differences() {
        let cut = [&before, &after].iter().any(|text| is_cut(text, DETAIL_CHARS_MAX));
        let (before, after) = (echo(&before, DETAIL_CHARS_MAX), echo(&after, DETAIL_CHARS_MAX));
        let text = format!("{what}: {before} → {after}");
        facts.push(Fact { cut, ..Fact::untrusted("Change", text) });
    }
}

/// Whether [`echo`] would leave something out.
fn is_cut(text: &str, max: usize) -> bool {
    escape_untrusted(text).text.chars().count() > max
}

fn proposed(change: &Change) -> String {
    match change.proposed() {
        None => "the secret is deleted".to_owned(),
        Some(proposed) => match &proposed.facts.generator {
            Some(generator) => format!("a value is made here: {generator}"),
            None => format!("a value of {} bytes, given by the agent", proposed.facts.bytes),
        },
    }
}

fn reason(ask: &Ask, facts: &mut Vec<Fact>) {
    match &ask.reason {
        Some(reason) => {
            let shown = reason.shown();
            let cut = shown.text.chars().count() > REASON_CHARS_MAX;
            let text = limit_chars(&shown.text, REASON_CHARS_MAX);
            facts.push(Fact { cut, ..Fact::untrusted("Reason", text) });
            if shown.suspicious {
                let text = "the reason held characters that hide, steer or imitate others, written \
                            out as \\u{...}";
                facts.push(Fact::new("Caution", text));
            }
        }
        None if ask.asker.key.is_some() => facts.push(Fact::new("Reason", "the agent gave none")),
        None => {}
    }
    if let Some(kind) = &ask.reason_kind {
        facts.push(Fact::untrusted("Kind", echo(kind, 80)));
    }
}

fn history(ask: &Ask) -> String {
    if ask.asker.key.is_none() {
        return String::new();
    }
    let before = if ask.history.had_before {
        "this key has been given this before"
    } else {
        "this key was never given this"
    };
    let asks = match ask.history.asks_today {
        0 | 1 => "its first ask today".to_owned(),
        asks => format!("{asks} asks today"),
    };
    format!("{before}; {asks}")
}

fn vote_line(vote: &crate::approval::Vote) -> String {
    let ballot = match vote.ballot {
        Ballot::Approve(_) => "approved",
        Ballot::Deny => "denied",
    };
    let mut line = format!("{} {ballot} at {}", vote.voter_name, vote.at);
    if visible_chars(&vote.reason) > 0 {
        line.extend([": ", &echo(&vote.reason, DETAIL_CHARS_MAX)]);
    }
    line
}
