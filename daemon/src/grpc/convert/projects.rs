//! Projects.

use vouchsafe_proto::v1;

use super::time::time_out;
use crate::broker::{DeletedKey, ProjectView};

/// A project.
pub(in crate::grpc) fn project(view: &ProjectView) -> v1::Project {
    let project = &view.project;
    v1::Project {
        id: project.id.to_string(),
        name: project.name.to_string(),
        monthly: project.monthly.unwrap_or_default(),
        calls_this_month: view.calls,
        created_at: Some(time_out(project.created_at)),
        archived_at: project.archived_at.map(time_out),
        keys: view.keys,
        secrets: view.secrets,
    }
}

/// What went with a project.
pub(in crate::grpc) const fn archived(gone: DeletedKey) -> v1::ArchiveProjectResponse {
    v1::ArchiveProjectResponse {
        leases_revoked: gone.leases_revoked,
        approvals_withdrawn: gone.approvals_withdrawn,
    }
}

/// A limit of calls a month; 0 is none.
pub(in crate::grpc) fn monthly(calls: u64) -> Option<u64> {
    (calls > 0).then_some(calls)
}
