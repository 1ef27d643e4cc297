//! `break-glass`: a lease at once, and somebody else to look at it afterwards.

use std::time::Duration;

use clap::Args;
use vouchsafe_proto::v1::{BreakGlassRequest, BreakGlassResponse};

use crate::context::Context;
use crate::error::CliError;
use crate::record::Record;
use crate::text::safe_line;
use crate::words::GlassOperation;
use crate::{leases, output, prompt, reviews, time};

/// Break the glass: give a key a short lease at once.
///
/// Only where the rule lets you. Everybody the rule names is told, and it stands open until
/// somebody else says with `vouchsafe reviews` whether it was right; until then you get no second
/// one.
#[derive(Args, Debug)]
pub(crate) struct Command {
    /// Resource, like `vouchsafe://secrets/production/DATABASE_URL`
    uri: String,
    /// MCP key that gets the lease
    #[arg(long, value_name = "NAME")]
    key: String,
    /// Why; whoever reviews it reads this
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// What the key may do with it: read or use
    #[arg(
        long,
        value_enum,
        value_name = "OPERATION",
        default_value = "read",
        hide_possible_values = true
    )]
    operation: GlassOperation,
    /// How long, 15m at most [default: as long as the rule allows]
    #[arg(long, value_name = "DURATION", value_parser = time::duration_arg)]
    duration: Option<Duration>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    if command.reason.trim().is_empty() {
        return Err(CliError::usage("a broken glass needs a reason")
            .with_next("say in --reason what somebody else should know who reviews it"));
    }
    let question = format!(
        "Break the glass for {} on {}? Everybody the rule names is told, and somebody else \
         reviews it.",
        command.key, command.uri
    );
    prompt::confirm_unless(command.yes, &question).await?;
    let daemon = context.daemon().await?;
    let request = BreakGlassRequest {
        project: context.project.clone(),
        resource: command.uri,
        key: command.key,
        operation: command.operation.to_proto(),
        reason: command.reason,
        duration: command.duration.map(time::span_to_proto),
    };
    let answer = daemon.emergency().break_glass(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.record(
            &Record::new()
                .with_record("lease", answer.lease.as_ref().map(leases::record))
                .with_record("review", answer.review.as_ref().map(reviews::record))
                .texts("told", &answer.told),
        );
    }
    context.out.record(&told(&answer))?;
    output::note(&format!("the review stands open: {}", next(&answer)));
    Ok(())
}

/// For people.
fn told(answer: &BreakGlassResponse) -> Record {
    let lease = answer.lease.clone().unwrap_or_default();
    let review = answer.review.clone().unwrap_or_default();
    Record::new()
        .text("lease", lease.id)
        .text("key", lease.key_name)
        .text("resource", lease.resource)
        .time("expires_at", lease.expires_at)
        .text("approval_id", lease.approval_id)
        .text("review", review.id)
        .texts("told", &answer.told)
}

/// Who does what now.
fn next(answer: &BreakGlassResponse) -> String {
    let id = answer.review.as_ref().map(|review| safe_line(&review.id)).unwrap_or_default();
    format!("somebody else answers it with `vouchsafe reviews justify {id}`, or `object`")
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::{Lease, Review};

    use super::*;

    #[test]
    fn a_broken_glass_names_its_lease_and_its_review() {
        let answer = BreakGlassResponse {
            lease: Some(Lease { id: "ls_1".to_owned(), ..Lease::default() }),
            review: Some(Review { id: "rv_1".to_owned(), ..Review::default() }),
            told: vec!["jane".to_owned(), "joe".to_owned()],
        };
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(told(&answer).lines(now), ["lease   ls_1", "review  rv_1", "told    jane, joe"]);
        assert!(next(&answer).contains("vouchsafe reviews justify rv_1"));
    }
}
