//! Stops, broken glasses and their reviews.

use vouchsafe_core::resource::Operation;
use vouchsafe_core::review::Review;
use vouchsafe_proto::v1;

use super::time::{duration, time_out};
use super::{Taken, lease, name, operation, operation_out, optional, parse, reason, shown, text};
use crate::broker::{BrokenGlass, GlassCommand, Resumed, StopOf, StopView, StoppedLeases};

/// What is to be stopped or resumed: a key, or else a project, or else everything.
pub(in crate::grpc) fn stop_of(project: String, key: String) -> Taken<StopOf> {
    let project = optional("project", project)?;
    Ok(match (project, optional("key", key)?) {
        (project, Some(name)) => StopOf::Key { project, name },
        (Some(project), None) => StopOf::Project(project),
        (None, None) => StopOf::All,
    })
}

/// A stop as people see it.
pub(in crate::grpc) fn stop(view: &StopView) -> v1::Stop {
    v1::Stop {
        what: view.what(),
        project: view.project.clone(),
        key: view.key.clone(),
        by: view.stop.by.clone(),
        reason: shown(&view.stop.reason),
        at: Some(time_out(view.stop.at)),
    }
}

/// What a stop holds.
pub(in crate::grpc) fn stopped(stopped: &StoppedLeases) -> v1::StopLeasesResponse {
    v1::StopLeasesResponse {
        stop: Some(stop(&stopped.stop)),
        leases_held: stopped.leases_held,
        approvals_held: stopped.approvals_held,
    }
}

/// What goes on, and what does not.
pub(in crate::grpc) fn resumed(resumed: &Resumed) -> v1::ResumeLeasesResponse {
    v1::ResumeLeasesResponse {
        ended: Some(stop(&resumed.ended)),
        approvals_resumed: resumed.approvals_resumed,
        left: resumed.left.iter().map(stop).collect(),
    }
}

/// What somebody wants who breaks the glass; to read it, where nothing is said.
pub(in crate::grpc) fn glass_command(request: v1::BreakGlassRequest) -> Taken<GlassCommand> {
    let unsaid = request.operation == i32::from(v1::Operation::Unspecified);
    Ok(GlassCommand {
        project: optional("project", request.project)?,
        resource: parse("resource", &text("resource", request.resource)?)?,
        key: name("key", request.key)?,
        operation: if unsaid {
            Operation::Read
        } else {
            operation("operation", request.operation)?
        },
        reason: reason(request.reason)?,
        duration: duration("duration", request.duration)?,
    })
}

/// What came of breaking the glass.
pub(in crate::grpc) fn broken_glass(broken: &BrokenGlass) -> v1::BreakGlassResponse {
    v1::BreakGlassResponse {
        lease: Some(lease(&broken.lease)),
        review: Some(review(&broken.review)),
        told: broken.told.clone(),
    }
}

/// A broken glass as people see it.
pub(in crate::grpc) fn review(review: &Review) -> v1::Review {
    let opened = review.opened();
    let closed = match review {
        Review::Open(_) => None,
        Review::Closed(closed) => Some(closed),
    };
    v1::Review {
        id: opened.id.to_string(),
        project: opened.project_name.clone(),
        by: opened.by_name.clone(),
        key: opened.key_name.clone(),
        resource: opened.resource.to_string(),
        operation: operation_out(opened.operation).into(),
        rule: opened.rule.clone(),
        reason: shown(&opened.reason),
        approval_id: opened.approval.to_string(),
        lease_id: opened.lease.to_string(),
        at: Some(time_out(opened.at)),
        reviewer: closed.map(|closed| closed.reviewer_name.clone()).unwrap_or_default(),
        justified: closed.is_some_and(|closed| closed.justified),
        note: closed.map(|closed| shown(&closed.note)).unwrap_or_default(),
        reviewed_at: closed.map(|closed| time_out(closed.reviewed_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_named_is_everything_and_a_key_is_one_key() {
        let of = |project: &str, key: &str| stop_of(project.to_owned(), key.to_owned());
        let key = |project: Option<&str>| StopOf::Key {
            project: project.map(str::to_owned),
            name: "ci-bot".to_owned(),
        };
        assert_eq!(of("", ""), Ok(StopOf::All));
        assert_eq!(of("shop", ""), Ok(StopOf::Project("shop".to_owned())));
        assert_eq!(of("", "ci-bot"), Ok(key(None)));
        assert_eq!(of("shop", "ci-bot"), Ok(key(Some("shop"))));
        assert!(of("", &"k".repeat(201)).is_err());
    }

    #[test]
    fn the_glass_is_broken_to_read_where_nothing_else_is_said() {
        let request = v1::BreakGlassRequest {
            resource: "vouchsafe://secrets/production/DB".to_owned(),
            key: "ci-bot".to_owned(),
            ..v1::BreakGlassRequest::default()
        };
        assert_eq!(glass_command(request.clone()).unwrap().operation, Operation::Read);
        let odd = v1::BreakGlassRequest { operation: 99, ..request.clone() };
        assert!(glass_command(odd).is_err());
        let nothing = v1::BreakGlassRequest { resource: String::new(), ..request };
        assert!(glass_command(nothing).is_err());
    }
}
