//! `audit`: the log of all that happened, and its proof.

mod entry;
mod export;
mod query;
mod tail;
mod verify;

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::AuditFilter;

pub(crate) use self::entry::{COLUMNS, record};
pub(crate) use self::verify::verify_daemon;
use crate::approvals::misplaced;
use crate::context::Context;
use crate::error::CliError;
use crate::time::{self, Time};

/// Ask the audit log, follow it, export it, prove it.
#[derive(Args, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    query: query::Query,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List entries, newest first, or count them
    Query(query::Query),
    /// Show the newest entries, then each new one as it is written
    Tail(tail::Tail),
    /// Write the whole log and its signed checkpoint to files
    ///
    /// FILE holds the exact lines that were hashed, FILE.checkpoint the signed statement of their
    /// number and root hash. Anyone can verify both with the daemon's public key.
    Export(export::Export),
    /// Prove that the log is whole: every entry, the chain, the tree and the signature
    ///
    /// Without FILE it takes the daemon's own export. With FILE it needs no daemon. Ends with exit
    /// code 7 and the first bad entry if something is wrong.
    Verify(verify::Verify),
}

/// Which entries.
#[derive(Args, Clone, Debug, Default, PartialEq)]
struct Filter {
    /// Only entries since then: 30m, 7d, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg)]
    since: Option<Time>,
    /// Only entries before then: 30m, 7d, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg)]
    until: Option<Time>,
    /// Only entries of this key or user
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only entries of this action, like `secret.read` or `secret.*`
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only entries about this resource, or resources of this pattern
    #[arg(long, value_name = "PATTERN")]
    resource: Option<String>,
    /// Only entries about this approval
    #[arg(long, value_name = "ID")]
    approval: Option<String>,
    /// Only entries with this outcome: ok, refused or failed
    #[arg(long, value_name = "OUTCOME", value_parser = ["ok", "refused", "failed"], hide_possible_values = true)]
    outcome: Option<String>,
}

impl Filter {
    fn to_proto(&self, context: &Context) -> AuditFilter {
        AuditFilter {
            since: self.since.map(time::to_proto),
            until: self.until.map(time::to_proto),
            actor: self.actor.clone().unwrap_or_default(),
            action: self.action.clone().unwrap_or_default(),
            resource: self.resource.clone().unwrap_or_default(),
            approval: self.approval.clone().unwrap_or_default(),
            outcome: self.outcome.clone().unwrap_or_default(),
            project: context.project_named(),
        }
    }
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let outer = command.query;
    match command.verb {
        None => query::run(outer, context).await,
        Some(_) if outer != query::Query::default() => Err(misplaced("audit")),
        Some(Verb::Query(query)) => query::run(query, context).await,
        Some(Verb::Tail(tail)) => tail::run(&tail, context).await,
        Some(Verb::Export(export)) => export::run(&export, context).await,
        Some(Verb::Verify(verify)) => verify::run(verify, context).await,
    }
}
