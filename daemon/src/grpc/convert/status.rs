//! The daemon itself.

use vouchsafe_core::caller::UserRecord;
use vouchsafe_core::time::UnixTime;
use vouchsafe_proto::v1;

use super::time::time_out;
use super::user;
use crate::broker::{CheckView, StatusView};

/// How the users' door knows who somebody is: there is one way.
const PROOF: &str = "user-token";

/// How the daemon is.
pub(in crate::grpc) fn status(status: StatusView) -> v1::ShowStatusResponse {
    v1::ShowStatusResponse {
        version: status.version,
        started_at: Some(time_out(status.started_at)),
        dev: status.dev,
        home: status.home,
        mcp_url: status.mcp_url,
        approvals_pending: status.approvals_pending,
        leases_active: status.leases_active,
        audit_size: status.audit_size,
        policy_digest: status.policy_digest,
        policy_rules: status.policy_rules,
        policy_stale: status.policy_stale,
        calls_waiting: status.calls_waiting,
        warnings: status.warnings,
        secrets: status.secrets,
        rules_observed: status.rules_observed,
        observed_asks: status.observed_asks,
        stops: status.stops,
        reviews_open: status.reviews_open,
    }
}

/// Who somebody is.
pub(in crate::grpc) fn who_am_i(record: &UserRecord) -> v1::WhoAmIResponse {
    v1::WhoAmIResponse { user: Some(user(record)), proof: PROOF.to_owned() }
}

/// One thing that was checked.
pub(in crate::grpc) fn check_result(check: CheckView) -> v1::CheckResult {
    let CheckView { name, ok, detail, mend, warning } = check;
    v1::CheckResult { name, ok, detail, mend, warning }
}

/// An address that signs somebody in to the web pages, until then.
pub(in crate::grpc) fn sign_in_code(url: String, until: UnixTime) -> v1::CreateSignInCodeResponse {
    v1::CreateSignInCodeResponse { url, expires_at: Some(time_out(until)) }
}
