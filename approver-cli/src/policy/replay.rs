//! `policy replay`: what other rules would have said to the asks in the log.

use std::path::PathBuf;

use clap::Args;
use vouchsafe_proto::v1::{ReplayChange, ReplayPolicyRequest, ReplayPolicyResponse};

use super::files::{Take, read_files};
use super::{fault_if, problem, say_problems};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::record::Record;
use crate::time::{self, Time};
use crate::words;

const COLUMNS: [Column; 7] = [
    ("ASKS", "asks"),
    ("KEY", "key"),
    ("OPERATION", "operation"),
    ("RESOURCE", "resource"),
    ("WAS", "was"),
    ("WOULD BE", "now"),
    ("LAST", "last_at"),
];

/// Run rules against the asks in the log, and show what they would change.
///
/// Nothing is changed, and nobody is asked. That a decision would be another one is no error: the
/// exit code is 0 wherever the rules can be read.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Folder with *.toml files; the daemon's own where not given
    dir: Option<PathBuf>,
    /// Asks since then: 30m, 7d, or an RFC 3339 time [default: 30d]
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg)]
    since: Option<Time>,
}

pub(super) async fn run(replay: Replay, context: &Context) -> Result<(), CliError> {
    let files = read_files(replay.dir.as_deref(), Take::Rules)?;
    let daemon = context.daemon().await?;
    let request = ReplayPolicyRequest {
        files,
        project: context.project.clone(),
        since: replay.since.map(time::to_proto),
    };
    let answer = daemon.policy().replay_policy(request).await?.into_inner();
    if context.out.is_json() {
        context.out.record(&record(&answer))?;
    } else if answer.problems.is_empty() {
        context.out.say(&summary(&answer))?;
        if !answer.changes.is_empty() {
            let rows: Vec<Record> = answer.changes.iter().map(row).collect();
            context.out.say("")?;
            context.out.list(&COLUMNS, &rows, "nothing would change")?;
        }
    } else {
        say_problems(&answer.problems, context)?;
    }
    fault_if(answer.problems.len(), "problem")
}

fn summary(answer: &ReplayPolicyResponse) -> String {
    let (asks, same) = (answer.asks, answer.same);
    if asks == 0 {
        return "nobody asked for anything in that time".to_owned();
    }
    let cut = if answer.cut { " (the newest; there are more)" } else { "" };
    match asks.saturating_sub(same) {
        0 => format!("{asks} asks{cut}: all would be decided as they are now"),
        changed => format!("{asks} asks{cut}: {same} decided as now, {changed} otherwise"),
    }
}

/// What rules would have changed, as programs read it.
pub(crate) fn record(answer: &ReplayPolicyResponse) -> Record {
    Record::new()
        .records("problems", answer.problems.iter().map(problem))
        .number("asks", answer.asks)
        .number("same", answer.same)
        .records("changes", answer.changes.iter().map(change))
        .flag("cut", answer.cut)
}

fn change(change: &ReplayChange) -> Record {
    Record::new()
        .text("key", &change.key)
        .text("resource", &change.resource)
        .text("operation", words::operation(change.operation))
        .text("was", &change.was)
        .text("was_rule", &change.was_rule)
        .text("now", &change.now)
        .text("now_rule", &change.now_rule)
        .number("asks", change.asks)
        .time("last_at", change.last_at)
}

/// What fits on a line.
fn row(change: &ReplayChange) -> Record {
    Record::new()
        .number("asks", change.asks)
        .text("key", &change.key)
        .text("operation", words::operation(change.operation))
        .text("resource", &change.resource)
        .text("was", decided(&change.was, &change.was_rule))
        .text("now", decided(&change.now, &change.now_rule))
        .time("last_at", change.last_at)
}

fn decided(decision: &str, rule: &str) -> String {
    if rule.is_empty() { decision.to_owned() } else { format!("{decision} by \"{rule}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_changes() {
        let summary = |asks, same, cut| {
            summary(&ReplayPolicyResponse { asks, same, cut, ..ReplayPolicyResponse::default() })
        };
        assert_eq!(summary(0, 0, false), "nobody asked for anything in that time");
        assert_eq!(summary(9, 9, false), "9 asks: all would be decided as they are now");
        assert_eq!(
            summary(100, 90, true),
            "100 asks (the newest; there are more): 90 decided as now, 10 otherwise"
        );
    }

    #[test]
    fn a_row_tells_what_was_and_what_would_be() {
        let change = ReplayChange {
            was: "asks".to_owned(),
            was_rule: "Production".to_owned(),
            now: "refused".to_owned(),
            ..ReplayChange::default()
        };
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(row(&change).cell("was", now), "asks by \"Production\"");
        assert_eq!(row(&change).cell("now", now), "refused");
    }
}
