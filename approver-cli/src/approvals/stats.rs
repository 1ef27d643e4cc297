//! `approvals stats`: how people answer.

use std::time::Duration;

use clap::Args;
use vouchsafe_proto::v1::{AnswerStats, ShowStatsRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Column};
use crate::record::Record;
use crate::time::{self, Time};

const COLUMNS: [Column; 6] = [
    ("APPROVER", "approver"),
    ("RULE", "rule"),
    ("ANSWERS", "answers"),
    ("APPROVED", "approved"),
    ("MEDIAN TIME", "median_time"),
    ("AT ONCE", "at_once"),
];

/// With fewer answers, hasty ones may be chance.
const ANSWERS_MIN: u32 = 5;

/// Tell how people answer: how many asks, how often yes, how fast.
///
/// An approver has a line for all of their answers, and one for each rule. An answer that comes
/// within two seconds of its ask was hardly given on it: MOST marks whoever gives at least half of
/// theirs so.
#[derive(Args, Debug)]
pub(super) struct Stats {
    /// Asks since then: 30m, 7d, or an RFC 3339 time [default: 30d]
    #[arg(long, value_name = "WHEN", value_parser = time::moment_arg)]
    since: Option<Time>,
    /// Only the answers of this approver
    #[arg(long, value_name = "NAME")]
    approver: Option<String>,
    /// Only the answers to asks under this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
}

pub(super) async fn run(stats: Stats, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ShowStatsRequest {
        project: context.project.clone(),
        since: stats.since.map(time::to_proto),
        approver: stats.approver.unwrap_or_default(),
        rule: stats.rule.unwrap_or_default(),
    };
    let answer = daemon.approvals().show_stats(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.record(
            &Record::new()
                .time("since", answer.since)
                .records("answers", answer.answers.iter().map(record))
                .flag("cut", answer.cut),
        );
    }
    let rows: Vec<Record> = answer.answers.iter().map(row).collect();
    context.out.list(&COLUMNS, &rows, "nobody has answered anything in that time")?;
    if answer.cut {
        output::note("these are the newest: there are more");
    }
    Ok(())
}

fn record(stats: &AnswerStats) -> Record {
    let millis = u64::try_from(median(stats).as_millis()).unwrap_or(u64::MAX);
    Record::new()
        .text("approver", &stats.approver)
        .text("rule", &stats.rule)
        .number("answers", stats.answers)
        .number("approved", stats.approved)
        .number("median_ms", millis)
        .number("under_two_seconds", stats.under_two_seconds)
}

/// What fits on a line.
fn row(stats: &AnswerStats) -> Record {
    let AnswerStats { answers, approved, .. } = *stats;
    let percent = u64::from(approved) * 100 / u64::from(answers.max(1));
    Record::new()
        .text("approver", &stats.approver)
        .text("rule", if stats.rule.is_empty() { "all" } else { &stats.rule })
        .number("answers", answers)
        .text("approved", format!("{approved} ({percent}%)"))
        .text("median_time", told(median(stats)))
        .text("at_once", at_once(stats))
}

fn at_once(stats: &AnswerStats) -> String {
    let (answers, at_once) = (stats.answers, stats.under_two_seconds);
    if at_once == 0 {
        return String::new();
    }
    let most = answers >= ANSWERS_MIN && at_once >= answers.div_ceil(2);
    let mark = if most { "MOST: " } else { "" };
    format!("{mark}{at_once} of {answers} under 2 s")
}

fn median(stats: &AnswerStats) -> Duration {
    stats.median_time.and_then(time::span_from_proto).unwrap_or_default()
}

/// Tenths of a second where they matter.
fn told(span: Duration) -> String {
    if span < Duration::from_mins(1) {
        return format!("{}.{} s", span.as_secs(), span.subsec_millis() / 100);
    }
    time::span(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(answers: u32, under_two_seconds: u32, median: Duration) -> AnswerStats {
        AnswerStats {
            approver: "bob".to_owned(),
            answers,
            approved: answers,
            median_time: Some(time::span_to_proto(median)),
            under_two_seconds,
            ..AnswerStats::default()
        }
    }

    #[test]
    fn who_answers_most_asks_at_once_is_marked() {
        let told = |answers, hasty| at_once(&stats(answers, hasty, Duration::ZERO));
        assert_eq!(told(20, 14), "MOST: 14 of 20 under 2 s");
        assert_eq!(told(20, 9), "9 of 20 under 2 s");
        assert_eq!(told(2, 2), "2 of 2 under 2 s", "two may be chance");
        assert_eq!(told(20, 0), "");
    }

    #[test]
    fn a_line_tells_the_share_and_the_time() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let line = row(&AnswerStats { approved: 2, ..stats(3, 0, Duration::from_millis(1_450)) });
        assert_eq!(line.cell("approved", now), "2 (66%)");
        assert_eq!(line.cell("median_time", now), "1.4 s");
        assert_eq!(line.cell("rule", now), "all");
        assert_eq!(line.cell("at_once", now), "-");
        assert_eq!(told(Duration::from_secs(150)), "2m 30s");
    }
}
