//! `status` and `whoami`.

use vouchsafe_proto::v1::{ShowStatusRequest, ShowStatusResponse, WhoAmIRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::record::Record;
use crate::text::safe_line;
use crate::users;

pub(crate) async fn status(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let status = daemon.status().show_status(ShowStatusRequest {}).await?.into_inner();
    if context.out.is_json() {
        return context.out.record(&record(&status));
    }
    let warnings = warnings(&status);
    for warning in &warnings {
        context.out.say(warning)?;
    }
    if !warnings.is_empty() {
        context.out.say("")?;
    }
    context.out.record(&told(&status))
}

pub(crate) async fn whoami(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let answer = daemon.status().who_am_i(WhoAmIRequest {}).await?.into_inner();
    let user = users::told(&answer.user.unwrap_or_default(), context);
    context.out.record(&user.text("proof", answer.proof))
}

/// What must not be overlooked, the worst first, a line each.
fn warnings(status: &ShowStatusResponse) -> Vec<String> {
    let stops = status.stops.iter().map(|stop| format!("STOP: {}", safe_line(stop)));
    let others = status.warnings.iter().map(|text| format!("warning: {}", safe_line(text)));
    stops.chain(others).collect()
}

/// For people, who have read the warnings already.
fn told(status: &ShowStatusResponse) -> Record {
    let without = ShowStatusResponse { warnings: Vec::new(), stops: Vec::new(), ..status.clone() };
    record(&without)
}

fn record(status: &ShowStatusResponse) -> Record {
    Record::new()
        .text("version", &status.version)
        .time("started_at", status.started_at)
        .flag("dev", status.dev)
        .text("home", &status.home)
        .text("mcp_url", &status.mcp_url)
        .number("approvals_pending", status.approvals_pending)
        .number("leases_active", status.leases_active)
        .number("calls_waiting", status.calls_waiting)
        .number("secrets", status.secrets)
        .number("audit_size", status.audit_size)
        .text("policy_digest", &status.policy_digest)
        .number("policy_rules", status.policy_rules)
        .flag("policy_stale", status.policy_stale)
        .texts("stops", &status.stops)
        .number("reviews_open", status.reviews_open)
        .texts("rules_observed", &status.rules_observed)
        .number("observed_asks", status.observed_asks)
        .texts("warnings", &status.warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_overlooked_comes_first_and_the_worst_before_the_rest() {
        let status = ShowStatusResponse {
            stops: vec!["everything is stopped by jane: leak\u{1b}".to_owned()],
            warnings: vec!["1 rule is only observed and asks nobody: \"New\".".to_owned()],
            ..ShowStatusResponse::default()
        };
        assert_eq!(
            warnings(&status),
            [
                "STOP: everything is stopped by jane: leak\\u{1b}",
                "warning: 1 rule is only observed and asks nobody: \"New\".",
            ]
        );
        assert!(warnings(&ShowStatusResponse::default()).is_empty());
    }
}
