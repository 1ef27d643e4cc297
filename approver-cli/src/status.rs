//! `status` and `whoami`.

use vouchsafe_proto::v1::{ShowStatusRequest, ShowStatusResponse, WhoAmIRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::output;
use crate::record::Record;
use crate::users;

pub(crate) async fn status(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let status = daemon.status().show_status(ShowStatusRequest {}).await?.into_inner();
    context.out.record(&record(&status))?;
    if !context.out.is_json() {
        for warning in &status.warnings {
            output::note(&format!("warning: {warning}"));
        }
    }
    Ok(())
}

pub(crate) async fn whoami(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let answer = daemon.status().who_am_i(WhoAmIRequest {}).await?.into_inner();
    let user = users::record(&answer.user.unwrap_or_default());
    context.out.record(&user.text("proof", answer.proof))
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
        .texts("warnings", &status.warnings)
}
