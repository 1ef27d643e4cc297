//! `approvals`: what agents asked for.

mod record;
mod stats;
mod suggest;

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::applied::Outcome;
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus as ProtoStatus, ApprovedBy, ListApprovalsRequest, ShowApprovalRequest,
};

pub(crate) use self::record::{condition, factor, factor_words, record};

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
    // Their arguments describe these two.
    Stats(stats::Stats),
    Suggest(suggest::Suggest),
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
        Some(Verb::Stats(given)) => stats::run(given, context).await,
        Some(Verb::Suggest(given)) => suggest::run(given, context).await,
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
        .text("operation", operation(approval))
        .texts("resources", resources)
        .text("reason", crate::text::shortened(&approval.reason, 60))
        .time("created_at", approval.created_at)
        .time("expires_at", approval.expires_at.filter(|_| pending))
}

/// What it wants to do, in a word or two: for a write the version that would come of it.
pub(crate) fn operation(approval: &Approval) -> String {
    match &approval.change {
        Some(change) if change.writes && change.from_version == 0 => "create".to_owned(),
        Some(change) if change.writes => {
            format!("write v{}", change.from_version.saturating_add(1))
        }
        Some(_) | None => words::operation(approval.operation),
    }
}

/// Its status, and what else must not be overlooked.
pub(crate) fn standing(approval: &Approval) -> String {
    let status = words::approval_status(approval.status);
    let escalated = approval.requirements.iter().any(|needed| !needed.also.is_empty());
    match approval.status() {
        ProtoStatus::Pending if approval.stopped => format!("{status}, stopped"),
        ProtoStatus::Pending if escalated => format!("{status}, escalated"),
        ProtoStatus::Pending if approval.reminders > 0 => format!("{status}, reminded"),
        ProtoStatus::Approved if is_conflict(approval) => "CONFLICT".to_owned(),
        ProtoStatus::Approved if approval.approved_by() == ApprovedBy::BreakGlass => {
            "GLASS BROKEN".to_owned()
        }
        ProtoStatus::Approved if approval.approved_by() == ApprovedBy::Rule => {
            format!("{status} by rule")
        }
        ProtoStatus::Approved if approval.approved_by() == ApprovedBy::Session => {
            format!("{status} by session")
        }
        ProtoStatus::Expired if approval.nobody_reached => format!("{status}, NOBODY REACHED"),
        _ => status,
    }
}

/// Whether it was approved and nothing came of it, for the secret had moved on.
fn is_conflict(approval: &Approval) -> bool {
    approval.applied.is_some_and(|applied| applied.outcome() == Outcome::Conflict)
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::{Applied, Change};

    use super::*;
    use crate::card::tests::{approval, noon};

    #[test]
    fn a_row_tells_what_a_change_would_make_and_that_it_came_to_nothing() {
        let mut write = approval();
        write.operation = 4;
        let change = Change { writes: true, from_version: 3, ..Change::default() };
        write.change = Some(change.clone());
        assert_eq!(row(&write).cell("operation", noon()), "write v4");
        write.change = Some(Change { from_version: 0, ..change });
        assert_eq!(row(&write).cell("operation", noon()), "create");
        write.set_status(ProtoStatus::Approved);
        write.applied = Some(Applied { outcome: Outcome::Conflict.into(), version: 5 });
        assert_eq!(row(&write).cell("status", noon()), "CONFLICT");
    }

    #[test]
    fn a_row_tells_that_nobody_had_heard_of_what_expired() {
        let mut expired = approval();
        expired.set_status(ProtoStatus::Expired);
        assert_eq!(row(&expired).cell("status", noon()), "expired");
        expired.nobody_reached = true;
        assert_eq!(row(&expired).cell("status", noon()), "expired, NOBODY REACHED");
    }

    #[test]
    fn programs_read_all_that_people_see() {
        let json = serde_json::to_value(record(&card::tests::write())).unwrap();
        assert_eq!(json["change"]["made"], "password of 32 characters (alphanumeric)");
        assert_eq!(json["change"]["differences"][0]["what"], "bytes");
        assert_eq!(json["evidence"]["decisions"][0]["by"], "max");
        assert_eq!(json["evidence"]["asked_before"], 7);
        assert!(json["applied"].is_null());
        assert_eq!(json["nobody_reached"], false);
    }
}
