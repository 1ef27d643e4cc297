//! `reviews`: broken glasses, and whether they were right.

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{ListReviewsRequest, Review, ReviewBreakGlassRequest};

use crate::approvals::misplaced;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::record::Record;
use crate::text::shortened;
use crate::words;

const COLUMNS: [Column; 10] = [
    ("ID", "id"),
    ("STATE", "state"),
    ("PROJECT", "project"),
    ("BY", "by"),
    ("KEY", "key"),
    ("OPERATION", "operation"),
    ("RESOURCE", "resource"),
    ("REASON", "reason"),
    ("BROKEN", "at"),
    ("REVIEWER", "reviewer"),
];

/// List broken glasses, and say whether they were right.
///
/// Those of all projects, unless --project names one. Whoever broke a glass, and the owner of the key, cannot answer it. Until somebody else has, its
/// breaker gets no second one.
#[derive(Args, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List broken glasses, those that nobody has reviewed first
    List(List),
    /// Say that it was right
    Justify {
        /// Id of the review, or its beginning
        id: String,
        /// What there is to say about it
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Say that it was not right, and why
    Object {
        /// Id of the review, or its beginning
        id: String,
        /// Why not
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
}

#[derive(Args, Debug, Default, PartialEq)]
struct List {
    /// Only those that nobody has reviewed
    #[arg(long)]
    open: bool,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let outer = command.list;
    match command.verb {
        None => list(&outer, context).await,
        Some(_) if outer != List::default() => Err(misplaced("reviews")),
        Some(Verb::List(given)) => list(&given, context).await,
        Some(Verb::Justify { id, note }) => {
            answer(id, true, note.unwrap_or_default(), context).await
        }
        Some(Verb::Object { note, .. }) if note.trim().is_empty() => {
            Err(CliError::usage("an objection needs a note").with_next("say in --note why"))
        }
        Some(Verb::Object { id, note }) => answer(id, false, note, context).await,
    }
}

async fn list(list: &List, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ListReviewsRequest { project: context.project_named(), open: list.open };
    let answer = daemon.emergency().list_reviews(request).await?.into_inner();
    let is_json = context.out.is_json();
    let told = |review: &Review| if is_json { record(review) } else { row(review) };
    let reviews: Vec<Record> = answer.reviews.iter().map(told).collect();
    let empty = if list.open { "no open reviews" } else { "no reviews" };
    context.out.list(&COLUMNS, &reviews, empty)
}

async fn answer(
    id: String,
    justified: bool,
    note: String,
    context: &Context,
) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ReviewBreakGlassRequest { id, justified, note };
    let review = daemon.emergency().review_break_glass(request).await?.into_inner();
    context.out.record(&record(&review))
}

fn state(review: &Review) -> &'static str {
    match (review.reviewer.is_empty(), review.justified) {
        (true, _) => "OPEN",
        (false, true) => "justified",
        (false, false) => "objected to",
    }
}

/// What fits on a line.
fn row(review: &Review) -> Record {
    Record::new()
        .text("id", &review.id)
        .text("state", state(review))
        .text("project", &review.project)
        .text("by", &review.by)
        .text("key", &review.key)
        .text("operation", words::operation(review.operation))
        .text("resource", &review.resource)
        .text("reason", shortened(&review.reason, 60))
        .time("at", review.at)
        .text("reviewer", &review.reviewer)
}

pub(crate) fn record(review: &Review) -> Record {
    Record::new()
        .text("id", &review.id)
        .text("project", &review.project)
        .text("state", state(review).to_lowercase())
        .text("by", &review.by)
        .text("key", &review.key)
        .text("resource", &review.resource)
        .text("operation", words::operation(review.operation))
        .text("rule", &review.rule)
        .text("reason", &review.reason)
        .text("approval_id", &review.approval_id)
        .text("lease_id", &review.lease_id)
        .time("at", review.at)
        .text("reviewer", &review.reviewer)
        .flag("justified", review.justified)
        .text("note", &review.note)
        .time("reviewed_at", review.reviewed_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_open_until_somebody_answers_it() {
        let mut review = Review::default();
        assert_eq!(state(&review), "OPEN");
        review.reviewer = "joe".to_owned();
        assert_eq!(state(&review), "objected to");
        review.justified = true;
        assert_eq!(state(&review), "justified");
    }
}
