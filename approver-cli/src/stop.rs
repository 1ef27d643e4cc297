//! `stop`, `resume` and `stops`: nothing is released any more, until it is again.

use clap::Args;
use vouchsafe_proto::v1::{
    ListStopsRequest, ResumeLeasesRequest, ResumeLeasesResponse, Stop, StopLeasesRequest,
};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Column};
use crate::prompt;
use crate::record::Record;
use crate::text::safe_line;

const COLUMNS: [Column; 4] =
    [("STOPPED", "what"), ("BY", "by"), ("REASON", "reason"), ("AT", "at")];

/// Stop everything, a project or a key, at once.
///
/// With --key that key of the project, with --project that project, with neither everything. From
/// that moment no lease of it releases anything and nothing new can be asked for; what is pending
/// stays, can only be denied, and its clock stands still. Leases run out as before. `vouchsafe
/// resume` with the same options takes it back.
#[derive(Args, Debug)]
pub(crate) struct StopLeases {
    /// Only this MCP key
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Why; those who are stopped read it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Take a stop back.
///
/// Names what was stopped as `vouchsafe stop` did: --key, --project, or neither for the stop of
/// everything. Other stops stand until they are taken back themselves.
#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// The stop of this MCP key
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn stop(command: StopLeases, context: &Context) -> Result<(), CliError> {
    if command.reason.trim().is_empty() {
        return Err(CliError::usage("a stop needs a reason")
            .with_next("say in --reason what those who are stopped should know"));
    }
    if command.key.is_none() && context.named_project.is_none() {
        let question = "Stop everything, in all projects?";
        prompt::confirm_unless(command.yes, question).await?;
    }
    let daemon = context.daemon().await?;
    let request = StopLeasesRequest {
        project: context.project_named(),
        key: command.key.unwrap_or_default(),
        reason: command.reason,
    };
    let answer = daemon.emergency().stop_leases(request).await?.into_inner();
    let stop = answer.stop.unwrap_or_default();
    let (leases, approvals) = (answer.leases_held, answer.approvals_held);
    if context.out.is_json() {
        return context.out.record(
            &Record::new()
                .with_record("stop", Some(record(&stop)))
                .number("leases_held", leases)
                .number("approvals_held", approvals),
        );
    }
    context
        .out
        .record(&record(&stop).number("leases_held", leases).number("approvals_held", approvals))?;
    output::note(&format!("take it back with `{}`", resume_line(&stop)));
    Ok(())
}

pub(crate) async fn resume(command: Resume, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ResumeLeasesRequest {
        project: context.project_named(),
        key: command.key.unwrap_or_default(),
        reason: command.reason.unwrap_or_default(),
    };
    let answer = daemon.emergency().resume_leases(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.record(
            &Record::new()
                .with_record("ended", answer.ended.as_ref().map(record))
                .number("approvals_resumed", answer.approvals_resumed)
                .records("left", answer.left.iter().map(record)),
        );
    }
    context.out.say(&resumed(&answer))
}

pub(crate) async fn list(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let answer = daemon.emergency().list_stops(ListStopsRequest {}).await?.into_inner();
    let stops: Vec<Record> = answer.stops.iter().map(record).collect();
    context.out.list(&COLUMNS, &stops, "nothing is stopped")
}

/// What goes on, and what does not yet.
fn resumed(answer: &ResumeLeasesResponse) -> String {
    let what = answer.ended.as_ref().map_or_else(|| "it".to_owned(), |stop| safe_line(&stop.what));
    let mut lines = vec![match answer.approvals_resumed {
        1 => format!("resumed: {what}; 1 pending approval goes on"),
        count => format!("resumed: {what}; {count} pending approvals go on"),
    }];
    lines.extend(answer.left.iter().map(|stop| {
        let (what, by, reason) = (&stop.what, &stop.by, &stop.reason);
        format!("STILL STOPPED: {}", safe_line(&format!("{what}, by {by}: {reason}")))
    }));
    lines.join("\n")
}

/// The command that takes this stop back.
fn resume_line(stop: &Stop) -> String {
    let mut line = "vouchsafe resume".to_owned();
    for (option, name) in [("--project", &stop.project), ("--key", &stop.key)] {
        if !name.is_empty() {
            line.extend([" ", option, " ", &safe_line(name)]);
        }
    }
    line
}

fn record(stop: &Stop) -> Record {
    Record::new()
        .text("what", &stop.what)
        .text("project", &stop.project)
        .text("key", &stop.key)
        .text("by", &stop.by)
        .text("reason", &stop.reason)
        .time("at", stop.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(what: &str, project: &str, key: &str) -> Stop {
        Stop {
            what: what.to_owned(),
            project: project.to_owned(),
            key: key.to_owned(),
            by: "jane".to_owned(),
            reason: "leak".to_owned(),
            at: None,
        }
    }

    #[test]
    fn every_stop_says_how_it_is_taken_back() {
        assert_eq!(resume_line(&stop("all", "", "")), "vouchsafe resume");
        assert_eq!(
            resume_line(&stop("project shop", "shop", "")),
            "vouchsafe resume --project shop"
        );
        assert_eq!(
            resume_line(&stop("key ci", "default", "ci")),
            "vouchsafe resume --project default --key ci"
        );
    }

    #[test]
    fn what_is_still_stopped_is_told() {
        let answer = ResumeLeasesResponse {
            ended: Some(stop("key ci", "default", "ci")),
            approvals_resumed: 1,
            left: vec![stop("all", "", "")],
        };
        assert_eq!(
            resumed(&answer),
            "resumed: key ci; 1 pending approval goes on\nSTILL STOPPED: all, by jane: leak"
        );
    }
}
