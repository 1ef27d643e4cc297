//! What a call came to, in the shapes that models and programs read.

use data_encoding::BASE64;
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use vouchsafe_core::approval::{Applied, Approval, ITEMS_MAX, Pending, Status};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::key::Scope;
use vouchsafe_core::lease::Lease;
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::secret::{REDACTED, SecretBytes};
use vouchsafe_core::text::{self, REASON_CHARS_MAX};
use vouchsafe_core::time::UnixTime;

use super::tools::Tool;
use crate::broker::{
    Access, AuditRelease, AwaitOutcome, ChangeMade, Changed, Code, KeyUsage, Needs, Paged, Refused,
    Release, SecretListing,
};

/// After how long it makes sense to ask again, in milliseconds.
pub(super) const RETRY_MS: u64 = 2_000;

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    /// One word for it, from a fixed set.
    pub(super) status: &'static str,
    /// It, as structured content.
    pub(super) content: Value,
    failed: bool,
}

/// What a call came to, unless people have to answer first.
#[derive(Debug)]
pub(super) enum Step {
    Done(Reply),
    Pending(Box<Pending>),
}

impl Reply {
    fn done(status: &'static str, content: Value) -> Self {
        Self { status, content, failed: false }
    }

    fn failed(status: &'static str, content: Value) -> Self {
        Self { status, content, failed: true }
    }

    /// The result as MCP has it: the text is the same JSON.
    pub(super) fn into_result(self) -> CallToolResult {
        if self.failed {
            CallToolResult::structured_error(self.content)
        } else {
            CallToolResult::structured(self.content)
        }
    }
}

/// People have been asked: the handle, and what to do with it.
pub(super) fn pending(pending: &Pending) -> Reply {
    Reply::done("pending", handle(pending))
}

/// The members of a pending result, in errors too.
pub(super) fn handle(pending: &Pending) -> Value {
    let ask = &pending.ask;
    let id = ask.id.to_string();
    let deadline = pending.deadline().wall;
    let until = clock(deadline);
    json!({
        "status": "pending",
        "approval_id": id,
        "digest": ask.digest().short(),
        "expires_at": deadline.rfc3339(),
        "retry_after_ms": RETRY_MS,
        "next": call(Tool::AwaitApproval, json!({ "approval_id": id })),
        "message": format!(
            "People have been asked and have not answered yet. Tell the person you work for that \
             approval {id} is waiting until {until}. Then call await_approval with this \
             approval_id, or the same tool again with the same arguments; neither asks anybody \
             twice."
        ),
    })
}

/// It was asked for, and not granted.
pub(super) fn settled(approval: &Approval) -> Reply {
    let status = approval.status();
    let reason = spoken(&approval.outcome_reason());
    let message = match status {
        Status::Denied => format!(
            "An approver denied this: {reason}. Do not ask for the same again; tell the person \
             you work for."
        ),
        Status::Expired if approval.is_unreached() => {
            "This expired unseen: no message about it had reached anybody, so nobody has denied it. \
             Tell the person you work for that nobody could be reached; then ask again if it is \
             still needed."
                .to_owned()
        }
        Status::Expired => {
            format!("This was not approved: {reason}. Ask again only if it is still needed.")
        }
        Status::Withdrawn => format!("This was {reason}. Ask again only if it is still needed."),
        Status::Pending | Status::Approved => {
            "Call await_approval to see where it stands.".to_owned()
        }
    };
    let content = json!({
        "status": status.as_str(),
        "approval_id": approval.ask().id.to_string(),
        "reason": reason,
        "message": message,
    });
    Reply::failed(status.as_str(), content)
}

/// It was refused before anybody was asked.
pub(super) fn refused(refused: &Refused) -> Reply {
    let mut content = json!({
        "status": "refused",
        "code": refused.code.as_str(),
        "message": refused.message,
        "next": refused.next,
    });
    if let (Some(members), Some(wait)) = (content.as_object_mut(), refused.retry_after) {
        members.insert("retry_after_seconds".to_owned(), wait.as_secs().into());
    }
    Reply::failed("refused", content)
}

/// What came of asking for a value.
pub(super) fn release(release: Release) -> Step {
    Step::Done(match release {
        Release::Pending(pending) => return Step::Pending(pending),
        Release::Settled(approval) => settled(&approval),
        Release::Redacted { resource, version } => redacted(&resource, version),
        Release::Value { resource, version, value: secret, lease: under } => {
            let (encoding, text) = encode(&secret);
            let content = json!({
                "status": "ok",
                "uri": resource.to_string(),
                "version": version,
                "value": text,
                "encoding": encoding,
                "lease": lease(&under),
            });
            Reply::done("ok", content)
        }
    })
}

/// What came of asking for the log.
pub(super) fn log(release: AuditRelease) -> Step {
    Step::Done(match release {
        AuditRelease::Pending(pending) => return Step::Pending(pending),
        AuditRelease::Settled(approval) => settled(&approval),
        AuditRelease::Groups { groups, lease: under } => {
            let counted =
                |(value, count): &(String, u64)| json!({ "value": value, "count": count });
            let groups: Vec<_> = groups.iter().map(counted).collect();
            let content = json!({ "status": "ok", "groups": groups, "lease": lease(&under) });
            Reply::done("ok", content)
        }
        AuditRelease::Entries { page, lease: under } => {
            // A line is JSON, and what others wrote in it was made safe to show when it was.
            let entries: Vec<Value> = page
                .items
                .iter()
                .map(|entry| serde_json::from_str(&entry.line).unwrap_or_default())
                .collect();
            let mut content = json!({ "status": "ok", "entries": entries, "lease": lease(&under) });
            if let Some(members) = content.as_object_mut().filter(|_| !page.next.is_empty()) {
                members.insert("next_token".to_owned(), page.next.into());
            }
            Reply::done("ok", content)
        }
    })
}

/// A value as text: as it is where it is text, else in base64.
pub(super) fn encode(secret: &SecretBytes) -> (&'static str, String) {
    // The agent that asked holds a lease on it, and the entry of this use is committed.
    match std::str::from_utf8(secret.expose()) {
        Ok(text) => ("utf-8", text.to_owned()),
        Err(_) => ("base64", BASE64.encode(secret.expose())),
    }
}

/// What came of asking for access.
pub(super) fn access(access: Access, operation: Operation) -> Step {
    Step::Done(match access {
        Access::Pending(pending) => return Step::Pending(pending),
        Access::Settled(approval) => settled(&approval),
        Access::Leased(given) => leased(&given, operation),
    })
}

/// What came of proposing a change.
pub(super) fn changed(changed: Changed) -> Step {
    Step::Done(match changed {
        Changed::Pending(pending) => return Step::Pending(pending),
        Changed::Settled(approval) => settled(&approval),
        Changed::Made(made) => change_made(&made),
    })
}

/// A change that was approved: made, or not.
pub(super) fn change_made(made: &ChangeMade) -> Reply {
    let uri = made.resource.to_string();
    let mut content = json!({ "uri": uri, "operation": made.operation.as_str() });
    let (status, version, message) = match made.applied {
        Applied::Written { version, .. } => {
            ("applied", Some(version), format!("{uri} has version {version} now."))
        }
        Applied::Deleted { version, .. } => {
            ("applied", Some(version), format!("{uri} is deleted."))
        }
        Applied::Conflict { found } => {
            let now = match found {
                Some(version) => format!("it is at version {version} now"),
                None => "it is not there any more".to_owned(),
            };
            let message = format!(
                "{uri} had changed since this was proposed, so that nothing was changed: {now}. \
                 Look at it with list_secrets; call again with the same arguments if it is still \
                 needed, and people are asked anew."
            );
            ("conflict", found, message)
        }
    };
    if let Some(members) = content.as_object_mut() {
        members.insert("status".to_owned(), status.into());
        members.insert("message".to_owned(), message.into());
        if let Some(version) = version {
            members.insert("version".to_owned(), version.into());
        }
        if let Some(approval) = made.approval {
            members.insert("approval_id".to_owned(), approval.to_string().into());
        }
        if let (Some(key), "applied") = (&made.public_key, status) {
            members.insert("public_key".to_owned(), key.as_str().into());
        }
    }
    if status == "applied" { Reply::done(status, content) } else { Reply::failed(status, content) }
}

/// Leases on what was asked for.
pub(super) fn leased(given: &[Lease], operation: Operation) -> Reply {
    let content = json!({
        "status": "approved",
        "leases": leases(given),
        "next": next_call(given, operation),
        "message": "You have a lease on each of these; read each with read_secret.",
    });
    Reply::done("approved", content)
}

/// Where an approval of the agent's own stands.
pub(super) fn standing(outcome: AwaitOutcome) -> Step {
    Step::Done(match outcome {
        AwaitOutcome::Pending(pending) => return Step::Pending(pending),
        AwaitOutcome::Settled(approval) => settled(&approval),
        AwaitOutcome::Approved { approval, leases: given } => {
            if let Some(made) = ChangeMade::of(&approval, true) {
                return Step::Done(change_made(&made));
            }
            let ask = approval.ask();
            let mut reply = leased(&given, ask.operation);
            if let Some(content) = reply.content.as_object_mut() {
                content.insert("approval_id".to_owned(), ask.id.to_string().into());
                if ask.items.iter().any(|item| item.resource == Resource::Audit) {
                    // The lease is good for the same filters: they are said again.
                    let filters = serde_json::from_str(&ask.arguments).unwrap_or_default();
                    content.insert("next".to_owned(), call(Tool::QueryAudit, filters));
                    content.insert("message".to_owned(), "You may search the log now.".into());
                }
            }
            reply
        }
    })
}

/// The agent has taken its own ask back.
pub(super) fn withdrawn(approval: &Approval) -> Reply {
    match approval.status() {
        Status::Withdrawn => Reply::done(
            "withdrawn",
            json!({ "status": "withdrawn", "approval_id": approval.ask().id.to_string() }),
        ),
        Status::Pending | Status::Approved | Status::Denied | Status::Expired => settled(approval),
    }
}

/// What secrets there are.
pub(super) fn secrets(page: &Paged<SecretListing>) -> Reply {
    let listed: Vec<_> = page.items.iter().map(secret).collect();
    let mut content = json!({ "secrets": listed });
    if let Some(members) = content.as_object_mut().filter(|_| !page.next.is_empty()) {
        members.insert("next_token".to_owned(), page.next.clone().into());
    }
    Reply::done("ok", content)
}

/// What leases the agent has.
pub(super) fn lease_list(given: &[Lease]) -> Reply {
    Reply::done("ok", json!({ "leases": leases(given) }))
}

/// A lease that lasts longer now.
pub(super) fn renewed(renewed: &Lease) -> Reply {
    Reply::done("renewed", json!({ "status": "renewed", "lease": lease(renewed) }))
}

/// A lease that was given back.
pub(super) fn released(released: &Lease) -> Reply {
    let id = released.terms().id.to_string();
    Reply::done("released", json!({ "status": "released", "lease_id": id }))
}

/// Who the agent is, how far its key goes, and what is left of that.
pub(super) fn whoami(agent: &Agent, usage: KeyUsage, wait_seconds: u64) -> Reply {
    let settings = &agent.settings;
    let scopes: Vec<_> = agent.scopes.iter().map(Scope::as_str).collect();
    let tools: Vec<_> = Tool::ALL.into_iter().filter(|tool| tool.check(agent).is_ok()).collect();
    let tools: Vec<_> = tools.into_iter().map(Tool::as_str).collect();
    let mut limits = json!({
        "wait_seconds": wait_seconds,
        "reason_characters": REASON_CHARS_MAX,
        "resources_per_request": ITEMS_MAX,
        "requests_per_minute": settings.rate.per_minute(),
        "requests_left": usage.rate_left,
        "calls_this_month": usage.calls,
    });
    let mut content = json!({
        "key": agent.name.as_str(),
        "project": agent.project_name,
        "owner": agent.owner_name,
        "scopes": scopes,
        "level": settings.level.as_str(),
        "session_minutes": settings.session.minutes(),
        "tools": tools,
    });
    if let (Some(members), Some(left)) = (limits.as_object_mut(), usage.calls_left) {
        members.insert("calls_left".to_owned(), left.into());
        members.insert("calls_reset_at".to_owned(), usage.resets_at.rfc3339().into());
    }
    if let Some(members) = content.as_object_mut() {
        members.insert("limits".to_owned(), limits);
        if let Some(at) = settings.expires_at {
            members.insert("expires_at".to_owned(), at.rfc3339().into());
        }
    }
    Reply::done("ok", content)
}

/// A value that was released once and whose lease has ended since.
pub(super) fn lease_ended() -> Reply {
    refused(&Refused::new(
        Code::LeaseEnded,
        "the lease that this approval gave has ended",
        "Call read_secret again if you still need the value.",
    ))
}

/// The time of day that people are told: `14:05Z`.
pub(super) fn clock(time: UnixTime) -> String {
    let text = time.rfc3339();
    format!("{}Z", text.get(11..16).unwrap_or_default())
}

fn redacted(resource: &Resource, version: u64) -> Reply {
    let content = json!({
        "status": "redacted",
        "uri": resource.to_string(),
        "version": version,
        "value": REDACTED,
        "message": "This key may not see values, so nobody was asked. Its owner can give it the \
                    scope secrets:reveal.",
    });
    Reply::done("redacted", content)
}

fn secret(listing: &SecretListing) -> Value {
    let needs = match listing.needs {
        Needs::Nothing => "nothing",
        Needs::Approval => "approval",
        Needs::Refused => "refused",
    };
    let operations: Vec<_> = listing.operations.iter().map(|one| one.as_str()).collect();
    json!({
        "uri": listing.uri,
        "description": spoken(&listing.description),
        "version": listing.version,
        "needs": needs,
        "operations": operations,
    })
}

fn leases(given: &[Lease]) -> Vec<Value> {
    given.iter().map(lease).collect()
}

fn lease(one: &Lease) -> Value {
    let (terms, last) = (one.terms(), one.last());
    let status = match one {
        Lease::Active(_) => "active",
        Lease::Ended(ended) => ended.how.as_str(),
    };
    let mut content = json!({
        "id": terms.id.to_string(),
        "resource": terms.resource.to_string(),
        "operation": terms.operation.as_str(),
        "version": terms.version,
        "status": status,
        "issued_at": terms.issued_at.rfc3339(),
        "expires_at": last.deadline.wall.rfc3339(),
        "max_expires_at": terms.limit.wall.rfc3339(),
        "uses_left": last.uses_left,
        "renewable": terms.renewable,
    });
    if let (Some(members), Some(approval)) = (content.as_object_mut(), terms.approval) {
        members.insert("approval_id".to_owned(), approval.to_string().into());
    }
    content
}

/// The call to make once there are leases: the value where it is one, else which there are.
fn next_call(given: &[Lease], operation: Operation) -> Value {
    match given {
        [only] if operation == Operation::Read => {
            call(Tool::ReadSecret, json!({ "uri": only.terms().resource.to_string() }))
        }
        _ => call(Tool::ListLeases, json!({})),
    }
}

fn call(tool: Tool, arguments: Value) -> Value {
    let mut call = json!({ "tool": tool.as_str() });
    if let Some(members) = call.as_object_mut() {
        members.insert("arguments".to_owned(), arguments);
    }
    call
}

/// A person's words, safe to show.
fn spoken(words: &str) -> String {
    text::echo(words, REASON_CHARS_MAX)
}

#[cfg(test)]
mod tests;
