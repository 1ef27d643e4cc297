//! `demo`: plays an agent through the real way in, so that a newcomer sees ask, approval, lease
//! and log. Every step checks what was promised; one that is not as promised ends it.

mod agent;

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use vouchsafe_proto::v1::{
    ApprovalStatus, Ballot, ListApprovalsRequest, PageRequest, QueryAuditRequest,
    RevokeLeasesRequest, ShowApprovalRequest, ShowLeaseRequest, UpdateKeyRequest, VoteRequest,
    revoke_leases_request::Which,
};

use self::agent::{Agent, expect_ok};
use crate::agent::Said;
use crate::connect::Daemon;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::record::Record;
use crate::text::{safe_line, shortened};
use crate::time::Time;
use crate::vote::Seen;
use crate::{audit, card, keys, output, prompt, time};

const KEY: &str = "demo";
const URI: &str = "vouchsafe://secrets/production/DATABASE_URL";
const REASON: &str = "INC-1042: checking the replica lag the pager reported";
const LEASE: &str = "8s";
const SCOPES: [&str; 2] = ["secrets:read", "secrets:reveal"];
/// How much of the secret is shown at the end.
const SHOWN_CHARS: usize = 8;
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A lease that outlives this is not the one that was asked for.
const LEASE_WAIT_MAX: Duration = Duration::from_mins(1);
/// For an ask to reach the daemon.
const ASK_WAIT_MAX: Duration = Duration::from_secs(20);

/// Play an agent: ask, approval, lease and log in half a minute.
///
/// Makes an MCP key called demo, starts `vouchsafe mcp` with it as an agent's program would, and
/// asks for the demo secret. You approve, here or in another terminal. Needs the home of
/// `vouchsafed --dev`. Ends with an error if any step is not as promised.
#[derive(Args, Debug)]
pub(crate) struct Command {
    /// Approve the ask without asking you
    #[arg(long)]
    approve: bool,
}

pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    context.local_only("demo")?;
    if context.home.exists() && !context.home.is_dev() {
        return Err(CliError::new(
            Exit::Refused,
            "the demo runs on a dev home only, and this is none",
        )
        .with_next("start `vouchsafed --dev` with a home of its own, and name it with --home"));
    }
    let demo = Demo { context, daemon: context.daemon().await?, approve: command.approve };
    demo.prepare().await?;
    let mut agent = Agent::start(context).await?;
    demo.introduce(&mut agent).await?;
    let lease = demo.ask(&mut agent).await?;
    demo.outlast(&lease).await?;
    demo.ask_again(&mut agent).await?;
    demo.show_log(&lease).await?;
    agent.stop().await;
    if context.out.is_json() {
        let done = Record::new()
            .flag("ok", true)
            .text("approval_id", lease.approval_id)
            .text("lease_id", lease.id);
        return context.out.record(&done);
    }
    context.out.say("\nThat is all: ask, approval, lease, log.")
}

struct Demo<'a> {
    context: &'a Context,
    daemon: Daemon,
    approve: bool,
}

/// What the agent got.
struct Lease {
    id: String,
    approval_id: String,
    expires_at: Time,
}

impl Demo<'_> {
    /// A key of our own, with nothing left from the last time.
    async fn prepare(&self) -> Result<(), CliError> {
        self.step("An agent needs an MCP key. This one may see names and read values.")?;
        let scopes: Vec<String> = SCOPES.map(str::to_owned).to_vec();
        match keys::create_saved(KEY, scopes.clone(), self.context).await {
            Err(error) if error.exit == Exit::Conflict => self.renew(scopes).await?,
            other => drop(other?),
        }
        let file = self.context.home.key_file(KEY)?;
        self.tell(&format!("key {KEY}, kept in {}", crate::home::display(&file)))
    }

    async fn renew(&self, scopes: Vec<String>) -> Result<(), CliError> {
        let (project, name) = (self.context.project.clone(), KEY.to_owned());
        let update = UpdateKeyRequest { project, name, scopes, ..UpdateKeyRequest::default() };
        self.daemon.keys().update_key(update).await?;
        keys::regenerate_saved(KEY, self.context).await?;
        let revoke = RevokeLeasesRequest {
            project: self.context.project.clone(),
            reason: "the demo starts anew".to_owned(),
            which: Some(Which::Key(KEY.to_owned())),
            dry_run: false,
        };
        self.daemon.leases().revoke_leases(revoke).await?;
        Ok(())
    }

    async fn introduce(&self, agent: &mut Agent) -> Result<(), CliError> {
        self.step("The agent's program starts `vouchsafe mcp` and speaks MCP with it.")?;
        let tools = agent.tools().await?;
        self.tell(&format!("tools: {}", tools.join(", ")))?;
        let me = expect_ok(&agent.tool("whoami", &json!({})).await?, "whoami")?;
        let scopes = me.get("scopes").map(Value::to_string).unwrap_or_default();
        self.tell(&format!("whoami: key {}, scopes {scopes}", text(&me, "/key")))?;
        let list = expect_ok(&agent.tool("list_secrets", &json!({})).await?, "list_secrets")?;
        let secrets = list.get("secrets").and_then(Value::as_array).cloned().unwrap_or_default();
        for secret in secrets.iter().take(10) {
            self.tell(&format!("{}  needs {}", text(secret, "/uri"), text(secret, "/needs")))?;
        }
        if secrets.iter().any(|secret| text(secret, "/uri") == URI) {
            return Ok(());
        }
        Err(broken(&format!("{URI} is not listed"))
            .with_next("put it back: `vouchsafe secrets put production/DATABASE_URL`"))
    }

    /// The agent asks and waits; a person answers meanwhile.
    async fn ask(&self, agent: &mut Agent) -> Result<Lease, CliError> {
        self.step(&format!("The agent wants to read {URI}."))?;
        self.tell(&format!("its reason: \"{REASON}\", for {LEASE}"))?;
        let said = tokio::select! {
            said = converse(agent) => said?,
            fault = self.attend() => return Err(fault),
        };
        if matches!(said.status().as_str(), "denied" | "expired" | "withdrawn") {
            let why = said.text("/reason");
            return Err(CliError::new(
                Exit::Refused,
                format!("the ask was {}: {why}", said.status()),
            )
            .with_next("run the demo again, and approve"));
        }
        let answer = expect_ok(&said, "read_secret")?;
        self.step("Approved: the agent calls again with the same arguments and has the value.")?;
        self.tell(&format!("value: {}", masked(&text(&answer, "/value"))))?;
        let id = text(&answer, "/lease/id");
        let lease = self.daemon.leases().show_lease(ShowLeaseRequest { id }).await?.into_inner();
        let expires_at = lease
            .expires_at
            .and_then(time::from_proto)
            .ok_or_else(|| broken("the lease has no end"))?;
        let ends = time::relative(expires_at, time::now());
        self.tell(&format!("lease {} ends {ends}", safe_line(&lease.id)))?;
        if lease.approval_id.is_empty() {
            return Err(broken("nobody was asked")
                .with_next("the demo needs a rule that asks: see policies/ of the dev home"));
        }
        Ok(Lease { id: lease.id, approval_id: lease.approval_id, expires_at })
    }

    /// Sees to the answer as soon as there is a question. Returns only when that fails.
    async fn attend(&self) -> CliError {
        match self.answer().await {
            Ok(()) => std::future::pending().await,
            Err(fault) => fault,
        }
    }

    async fn answer(&self) -> Result<(), CliError> {
        let id = self.pending_ask().await?;
        let request = ShowApprovalRequest { id };
        let approval = self.daemon.approvals().show_approval(request).await?.into_inner();
        let card = card::card(&approval, time::now());
        self.step("A person is asked. This is what they see:\n")?;
        self.context.out.say(&card)?;
        let seen = Seen::new(approval, card);
        let id = safe_line(&seen.approval.id);
        let ballot = if self.approve {
            self.tell(&format!("vouchsafe approve {id} --yes"))?;
            Ballot::Approve
        } else {
            self.tell(&format!("approve it in another terminal: vouchsafe approve {id}"))?;
            if !prompt::can_ask() {
                return Ok(());
            }
            if prompt::confirm("or here: approve?").await? { Ballot::Approve } else { Ballot::Deny }
        };
        let reason = match ballot {
            Ballot::Deny => "not now, said the person at the demo".to_owned(),
            Ballot::Approve | Ballot::Unspecified => String::new(),
        };
        let vote = VoteRequest { reason, ..seen.vote(ballot) };
        match self.daemon.approvals().vote(vote).await.map_err(CliError::from) {
            // Somebody was faster, in another terminal.
            Err(error) if error.exit == Exit::Conflict => Ok(()),
            other => other.map(drop),
        }
    }

    /// The id of the demo key's pending ask, once there is one.
    async fn pending_ask(&self) -> Result<String, CliError> {
        let request = ListApprovalsRequest {
            project: self.context.project.clone(),
            statuses: vec![ApprovalStatus::Pending.into()],
            key: KEY.to_owned(),
            page: Some(PageRequest { size: 1, token: String::new() }),
            ..ListApprovalsRequest::default()
        };
        let look = async {
            loop {
                let list = self.daemon.approvals().list_approvals(request.clone()).await?;
                if let Some(approval) = list.into_inner().approvals.into_iter().next() {
                    return Ok(approval.id);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(ASK_WAIT_MAX, look).await {
            Ok(found) => found,
            Err(_) => Err(broken("no ask reached the daemon")),
        }
    }

    async fn outlast(&self, lease: &Lease) -> Result<(), CliError> {
        self.step("The lease serves until it ends. Waiting for that.")?;
        let left = (lease.expires_at - time::now()).to_std().unwrap_or_default();
        if left > LEASE_WAIT_MAX {
            return Err(broken(&format!("the lease lasts {}, not {LEASE}", time::span(left))));
        }
        // A little more, for clocks are not the same to the millisecond.
        tokio::time::sleep(left.saturating_add(Duration::from_millis(500))).await;
        self.tell("it has ended")
    }

    async fn ask_again(&self, agent: &mut Agent) -> Result<(), CliError> {
        self.step("The agent tries once more with the lease gone.")?;
        let call = agent.call_tool("read_secret", &ask()).await?;
        let early = tokio::select! {
            id = self.pending_ask() => Err(id?),
            said = agent.said(call) => Ok(said?),
        };
        let id = match &early {
            Err(id) => id.clone(),
            Ok(said) if said.status() == "pending" => said.text("/approval_id"),
            Ok(said) => {
                let status = said.status();
                return Err(broken(&format!(
                    "a person should be asked again, but it said {status}"
                )));
            }
        };
        self.tell(&format!("a person is asked again: {}", safe_line(&id)))?;
        let withdrawn = agent.tool("withdraw_approval", &json!({ "approval_id": id })).await?;
        if withdrawn.status() != "withdrawn" {
            return Err(broken("the agent could not take its ask back"));
        }
        if early.is_err() {
            let said = agent.said(call).await?;
            if said.status() == "ok" {
                return Err(broken("a withdrawn ask was served"));
            }
        }
        self.tell("the agent takes that ask back")
    }

    async fn show_log(&self, lease: &Lease) -> Result<(), CliError> {
        self.step("All of it is in the log:\n")?;
        let filter = vouchsafe_proto::v1::AuditFilter {
            approval: lease.approval_id.clone(),
            project: self.context.project.clone(),
            ..vouchsafe_proto::v1::AuditFilter::default()
        };
        let page = PageRequest { size: 50, token: String::new() };
        let request = QueryAuditRequest { filter: Some(filter), page: Some(page) };
        let answer = self.daemon.audit().query_audit(request).await?.into_inner();
        if answer.entries.is_empty() {
            return Err(broken("the log holds nothing about the approval"));
        }
        let entries: Vec<Record> =
            answer.entries.iter().rev().map(|entry| audit::record(entry, false)).collect();
        if !self.context.out.is_json() {
            self.context.out.list(&audit::COLUMNS, &entries, "nothing")?;
        }
        let proved = audit::verify_daemon(&self.daemon, self.context).await?;
        let (size, root) = (proved.size, shortened(&safe_line(&proved.root), 16));
        self.step(&format!("The log is whole: {size} entries under the signed root {root}"))
    }

    fn step(&self, text: &str) -> Result<(), CliError> {
        self.context.out.say(&format!("\n* {text}"))
    }

    fn tell(&self, text: &str) -> Result<(), CliError> {
        self.context.out.say(&format!("  {text}"))
    }
}

/// Calls, waits as long as it is told to, and calls again, as a model would.
async fn converse(agent: &mut Agent) -> Result<Said, CliError> {
    let mut said = agent.tool("read_secret", &ask()).await?;
    let mut waited = false;
    loop {
        match said.status().as_str() {
            "pending" => {
                let waiting = json!({ "approval_id": said.text("/approval_id") });
                said = agent.tool("await_approval", &waiting).await?;
                waited = true;
            }
            "approved" if waited => {
                said = agent.tool("read_secret", &ask()).await?;
                waited = false;
            }
            _ => return Ok(said),
        }
    }
}

fn ask() -> Value {
    json!({ "uri": URI, "reason": REASON, "duration": LEASE })
}

fn masked(value: &str) -> String {
    let hidden = value.chars().count().saturating_sub(SHOWN_CHARS);
    let shown: String = value.chars().take(SHOWN_CHARS).collect();
    format!("{}{}", safe_line(&shown), "*".repeat(hidden.min(24)))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).map(safe_line).unwrap_or_default()
}

/// A step was not as promised.
fn broken(what: &str) -> CliError {
    output::note("");
    CliError::failed(format!("not as promised: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_masked_but_for_its_beginning() {
        assert_eq!(masked("postgres://app:hunter2@db"), "postgres*****************");
        assert_eq!(masked("short"), "short");
    }
}
