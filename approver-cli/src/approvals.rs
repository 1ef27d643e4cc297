//! `approvals`: what agents asked for.

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{
    Approval, ApprovalItem, ApprovalStatus as ProtoStatus, ApprovedBy, Asker, ConditionOutcome,
    Factor, History, ListApprovalsRequest, Requirement, ShowApprovalRequest, Vote,
};

use crate::card;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::pages;
use crate::record::Record;
use crate::time::{self, Time};
use crate::words::{self, ApprovalStatus};

const COLUMNS: [Column; 8] = [
    ("ID", "id"),
    ("STATUS", "status"),
    ("KEY", "key"),
    ("OPERATION", "operation"),
    ("RESOURCES", "resources"),
    ("REASON", "reason"),
    ("ASKED", "created_at"),
    ("EXPIRES", "expires_at"),
];

/// List what agents asked for, or show one ask.
#[derive(Args, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List asks, newest first
    List(List),
    /// Show one ask as its approvers see it
    Show {
        /// Id of the approval, or its beginning
        id: String,
    },
}

#[derive(Args, Debug, Default, PartialEq)]
struct List {
    /// Only those of this status; may be given several times
    #[arg(long, value_enum, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<ApprovalStatus>,
    /// Only those for resources of this pattern, like `vouchsafe://secrets/production/**`
    #[arg(long, value_name = "PATTERN")]
    resource: Option<String>,
    /// Only those of this MCP key
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Only those asked since then: 30m, 7d, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg)]
    since: Option<Time>,
    /// At most this many; 0 for all [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let outer = command.list;
    match command.verb {
        None => list(outer, context).await,
        Some(_) if outer != List::default() => Err(misplaced("approvals")),
        Some(Verb::List(given)) => list(given, context).await,
        Some(Verb::Show { id }) => show(id, context).await,
    }
}

/// Options of the list stand before a verb that has its own.
pub(crate) fn misplaced(noun: &str) -> CliError {
    CliError::usage("options of the list stand before the verb")
        .with_next(format!("write them behind it; see `vouchsafe {noun} --help`"))
}

async fn list(list: List, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ListApprovalsRequest {
        project: context.project.clone(),
        statuses: list.status.iter().map(|status| status.to_proto()).collect(),
        resource: list.resource.unwrap_or_default(),
        key: list.key.unwrap_or_default(),
        since: list.since.map(time::to_proto),
        page: None,
    };
    let page = pages::gather(list.limit.unwrap_or(pages::LIMIT), async |page| {
        let request = ListApprovalsRequest { page: Some(page), ..request.clone() };
        let answer = daemon.approvals().list_approvals(request).await?.into_inner();
        Ok((answer.approvals, answer.next_token))
    })
    .await?;
    let is_json = context.out.is_json();
    let page = page.map(|approval| if is_json { record(&approval) } else { row(&approval) });
    context.out.page(&COLUMNS, &page, "no approvals")
}

async fn show(id: String, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let approval = daemon.approvals().show_approval(ShowApprovalRequest { id }).await?.into_inner();
    if context.out.is_json() {
        return context.out.record(&record(&approval));
    }
    context.out.say(card::card(&approval, time::now()).trim_end())
}

/// What fits on a line.
fn row(approval: &Approval) -> Record {
    let resources = approval.items.iter().map(|item| item.resource.as_str());
    let pending = approval.settled_at.is_none();
    Record::new()
        .text("id", &approval.id)
        .text("status", standing(approval))
        .text("key", approval.asker.as_ref().map_or("-", |asker| asker.key_name.as_str()))
        .text("operation", words::operation(approval.operation))
        .texts("resources", resources)
        .text("reason", crate::text::shortened(&approval.reason, 60))
        .time("created_at", approval.created_at)
        .time("expires_at", approval.expires_at.filter(|_| pending))
}

/// Its status, and what else must not be overlooked.
pub(crate) fn standing(approval: &Approval) -> String {
    let status = words::approval_status(approval.status);
    let escalated = approval.requirements.iter().any(|needed| !needed.also.is_empty());
    match approval.status() {
        ProtoStatus::Pending if approval.stopped => format!("{status}, stopped"),
        ProtoStatus::Pending if escalated => format!("{status}, escalated"),
        ProtoStatus::Pending if approval.reminders > 0 => format!("{status}, reminded"),
        ProtoStatus::Approved if approval.approved_by() == ApprovedBy::BreakGlass => {
            "GLASS BROKEN".to_owned()
        }
        ProtoStatus::Approved if approval.approved_by() == ApprovedBy::Rule => {
            format!("{status} by rule")
        }
        ProtoStatus::Approved if approval.approved_by() == ApprovedBy::Session => {
            format!("{status} by session")
        }
        _ => status,
    }
}

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
