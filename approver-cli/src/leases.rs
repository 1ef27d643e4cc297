//! `leases`: grants in use, and their end.

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::revoke_leases_request::Which;
use vouchsafe_proto::v1::{
    ApprovedByUser, Lease, ListLeasesRequest, ListSessionsRequest, RevokeLeasesRequest,
    RevokeLeasesResponse, Session, ShowLeaseRequest,
};

use crate::approvals::misplaced;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Column};
use crate::pages;
use crate::prompt;
use crate::record::Record;
use crate::text::safe_line;
use crate::time::{self, Time};
use crate::words::{self, LeaseStatus};

const COLUMNS: [Column; 8] = [
    ("ID", "id"),
    ("STATUS", "status"),
    ("KEY", "key_name"),
    ("OPERATION", "operation"),
    ("RESOURCE", "resource"),
    ("USED", "used"),
    ("ISSUED", "issued_at"),
    ("EXPIRES", "expires_at"),
];

const SESSION_COLUMNS: [Column; 7] = [
    ("APPROVAL", "approval_id"),
    ("KEY", "key_name"),
    ("RULE", "rule"),
    ("OPERATION", "operation"),
    ("GIVEN BY", "given_by"),
    ("GIVEN", "given_at"),
    ("UNTIL", "until"),
];

/// List leases and sessions, show a lease, or end them.
#[derive(Args, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List leases, newest first
    List(List),
    /// Show one lease
    Show {
        /// Id of the lease, or its beginning
        id: String,
    },
    /// List sessions: what keys may have again without asking people, and until when
    Sessions {
        /// Only those of this MCP key
        #[arg(long, value_name = "NAME")]
        key: Option<String>,
    },
    /// End leases at once, and the sessions behind them
    ///
    /// It never asks, for it never harms; with --approved-by it asks once.
    Revoke(Revoke),
}

#[derive(Args, Debug, Default, PartialEq)]
struct List {
    /// Only those of this status; may be given several times
    #[arg(long, value_enum, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<LeaseStatus>,
    /// Only those on resources of this pattern, like `vouchsafe://secrets/production/**`
    #[arg(long, value_name = "PATTERN")]
    resource: Option<String>,
    /// Only those of this MCP key
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Only those issued since then: 30m, 7d, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg)]
    since: Option<Time>,
    /// At most this many; 0 for all [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

#[derive(Args, Debug)]
#[group(skip)]
struct Revoke {
    #[command(flatten)]
    which: WhichLeases,
    /// With --approved-by: by answers since then: 30m, 1d, or an RFC 3339 time [default: all]
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg, requires = "approved_by")]
    since: Option<Time>,
    /// With --approved-by: do not ask
    #[arg(short, long, requires = "approved_by")]
    yes: bool,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct WhichLeases {
    /// Id of the lease, or its beginning
    id: Option<String>,
    /// All leases of this MCP key
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// All leases on resources of this pattern
    #[arg(long, value_name = "PATTERN")]
    resource: Option<String>,
    /// All leases that this approver's answers gave; asks once, and shows how many
    #[arg(long, value_name = "USER")]
    approved_by: Option<String>,
    /// All leases of the project
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let outer = command.list;
    match command.verb {
        None => list(outer, context).await,
        Some(_) if outer != List::default() => Err(misplaced("leases")),
        Some(Verb::List(given)) => list(given, context).await,
        Some(Verb::Show { id }) => {
            let daemon = context.daemon().await?;
            let lease = daemon.leases().show_lease(ShowLeaseRequest { id }).await?.into_inner();
            context.out.record(&record(&lease))
        }
        Some(Verb::Sessions { key }) => sessions(key, context).await,
        Some(Verb::Revoke(given)) => revoke(given, context).await,
    }
}

async fn list(list: List, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ListLeasesRequest {
        project: context.project.clone(),
        statuses: list.status.iter().map(|status| status.to_proto()).collect(),
        key: list.key.unwrap_or_default(),
        resource: list.resource.unwrap_or_default(),
        since: list.since.map(time::to_proto),
        page: None,
    };
    let page = pages::gather(list.limit.unwrap_or(pages::LIMIT), async |page| {
        let request = ListLeasesRequest { page: Some(page), ..request.clone() };
        let answer = daemon.leases().list_leases(request).await?.into_inner();
        Ok((answer.leases, answer.next_token))
    })
    .await?;
    let is_json = context.out.is_json();
    let page = page.map(|lease| if is_json { record(&lease) } else { row(&lease) });
    context.out.page(&COLUMNS, &page, "no leases")
}

async fn revoke(revoke: Revoke, context: &Context) -> Result<(), CliError> {
    let which = match revoke.which {
        WhichLeases { id: Some(id), .. } => Which::Id(id),
        WhichLeases { key: Some(key), .. } => Which::Key(key),
        WhichLeases { resource: Some(resource), .. } => Which::Resource(resource),
        WhichLeases { approved_by: Some(user), .. } => {
            let since = revoke.since.map(time::to_proto);
            Which::ApprovedBy(ApprovedByUser { user, since })
        }
        WhichLeases { all, .. } => Which::All(all),
    };
    let daemon = context.daemon().await?;
    let request = RevokeLeasesRequest {
        project: context.project.clone(),
        reason: revoke.reason.unwrap_or_default(),
        which: Some(which),
        dry_run: false,
    };
    if let Some(Which::ApprovedBy(by)) = &request.which {
        let dry = RevokeLeasesRequest { dry_run: true, ..request.clone() };
        let found = daemon.leases().revoke_leases(dry).await?.into_inner();
        if found.revoked.is_empty() && found.sessions_ended == 0 {
            return context.out.list(&COLUMNS, &[], "none were active");
        }
        prompt::confirm_unless(revoke.yes, &question(&by.user, &found)).await?;
    }
    let answer = daemon.leases().revoke_leases(request).await?.into_inner();
    let revoked: Vec<Record> = answer.revoked.iter().map(record).collect();
    context.out.list(&COLUMNS, &revoked, "none were active")?;
    match answer.sessions_ended {
        0 => {}
        1 => output::note("1 session ended with them"),
        count => output::note(&format!("{count} sessions ended with them")),
    }
    Ok(())
}

/// What is asked before all that somebody's answers gave is taken back.
fn question(user: &str, found: &RevokeLeasesResponse) -> String {
    let leases = match found.revoked.len() {
        1 => "1 lease".to_owned(),
        count => format!("{count} leases"),
    };
    let sessions = match found.sessions_ended {
        0 => String::new(),
        1 => " and 1 session".to_owned(),
        count => format!(" and {count} sessions"),
    };
    format!("End {leases}{sessions} that {}'s answers gave?", safe_line(user))
}

async fn sessions(key: Option<String>, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let (project, key) = (context.project.clone(), key.unwrap_or_default());
    let request = ListSessionsRequest { project, key };
    let answer = daemon.leases().list_sessions(request).await?.into_inner();
    let sessions: Vec<Record> = answer.sessions.iter().map(session).collect();
    context.out.list(&SESSION_COLUMNS, &sessions, "no sessions")
}

/// What fits on a line. That a rule was only observed is not overlooked.
fn row(lease: &Lease) -> Record {
    let status = words::lease_status(lease.status);
    let status = if lease.observed { format!("{status}, OBSERVED") } else { status };
    Record::new()
        .text("id", &lease.id)
        .text("status", status)
        .text("key_name", &lease.key_name)
        .text("operation", words::operation(lease.operation))
        .text("resource", &lease.resource)
        .number("used", lease.used)
        .time("issued_at", lease.issued_at)
        .time("expires_at", lease.expires_at)
}

pub(crate) fn record(lease: &Lease) -> Record {
    Record::new()
        .text("id", &lease.id)
        .text("project", &lease.project)
        .text("status", words::lease_status(lease.status))
        .text("approval_id", &lease.approval_id)
        .text("key_name", &lease.key_name)
        .text("resource", &lease.resource)
        .text("operation", words::operation(lease.operation))
        .number("version", lease.version)
        .flag("follow_rotation", lease.follow_rotation)
        .text("rule", &lease.rule)
        .time("issued_at", lease.issued_at)
        .time("expires_at", lease.expires_at)
        .time("max_expires_at", lease.max_expires_at)
        .flag("uses_limited", lease.uses_limited)
        .number("uses_left", lease.uses_left)
        .number("used", lease.used)
        .number("renewals", lease.renewals)
        .time("ended_at", lease.ended_at)
        .text("ended_by", &lease.ended_by)
        .text("ended_reason", &lease.ended_reason)
        .flag("observed", lease.observed)
        .text("arguments", &lease.arguments)
}

fn session(session: &Session) -> Record {
    Record::new()
        .text("approval_id", &session.approval_id)
        .text("project", &session.project)
        .text("key_name", &session.key_name)
        .text("rule", &session.rule)
        .text("operation", words::operation(session.operation))
        .texts("given_by", &session.given_by)
        .time("given_at", session.given_at)
        .time("until", session.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_of_an_observed_rule_says_so_in_its_row() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let lease = Lease { status: 1, ..Lease::default() };
        assert_eq!(row(&lease).cell("status", now), "active");
        let lease = Lease { observed: true, ..lease };
        assert_eq!(row(&lease).cell("status", now), "active, OBSERVED");
    }

    #[test]
    fn taking_back_what_somebody_gave_asks_with_how_much_that_is() {
        let found = |leases, sessions_ended| RevokeLeasesResponse {
            revoked: vec![Lease::default(); leases],
            sessions_ended,
        };
        assert_eq!(question("bob", &found(1, 0)), "End 1 lease that bob's answers gave?");
        assert_eq!(
            question("bob", &found(3, 2)),
            "End 3 leases and 2 sessions that bob's answers gave?"
        );
    }

    #[test]
    fn a_session_tells_who_gave_it_and_until_when() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let until = "2026-11-21T12:30:00Z".parse().ok().map(time::to_proto);
        let given = Session {
            given_by: vec!["jane".to_owned(), "joe".to_owned()],
            until,
            ..Session::default()
        };
        assert_eq!(session(&given).cell("given_by", now), "jane, joe");
        assert_eq!(session(&given).cell("until", now), "in 30 min");
    }
}
