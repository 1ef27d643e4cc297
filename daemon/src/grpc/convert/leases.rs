//! Leases.

use vouchsafe_core::lease::{Ending, Lease};
use vouchsafe_proto::v1;
use vouchsafe_proto::v1::revoke_leases_request::Which as WhichMessage;

use super::time::{time, time_out};
use super::{RESOURCE_BYTES_MAX, Taken, at_most, few, id, name, operation_out, optional, parse};
use super::{pattern, shown, text, unknown};
use crate::broker::{LeaseFilter, LeaseStatus, Refused, SessionView, Which};

/// The states there are.
const STATUSES_MAX: usize = 5;

/// Which leases are wanted; the page is taken out before.
pub(in crate::grpc) fn lease_filter(request: v1::ListLeasesRequest) -> Taken<LeaseFilter> {
    few("statuses", request.statuses.len(), STATUSES_MAX)?;
    let resource = at_most("resource", request.resource, RESOURCE_BYTES_MAX)?;
    Ok(LeaseFilter {
        project: optional("project", request.project)?,
        statuses: request.statuses.into_iter().map(status).collect::<Result<_, _>>()?,
        resource: pattern("resource", &resource)?,
        key: optional("key", request.key)?,
        since: time("since", request.since)?,
    })
}

/// Which leases are to end. Nothing said is not everything.
pub(in crate::grpc) fn which(which: Option<WhichMessage>) -> Taken<Which> {
    match which {
        Some(WhichMessage::Id(lease)) => id("id", lease).map(Which::Id),
        Some(WhichMessage::Key(key)) => name("key", key).map(Which::Key),
        Some(WhichMessage::Resource(resource)) => {
            parse("resource", &text("resource", resource)?).map(Which::Resource)
        }
        Some(WhichMessage::ApprovedBy(v1::ApprovedByUser { user, since })) => {
            Ok(Which::ApprovedBy { user: name("user", user)?, since: time("since", since)? })
        }
        Some(WhichMessage::All(true)) => Ok(Which::All),
        Some(WhichMessage::All(false)) | None => Err(Refused::invalid(
            "it does not say which leases are to end",
            "Give an id, a key, a resource, or all.",
        )),
    }
}

/// A lease as people see it.
pub(in crate::grpc) fn lease(lease: &Lease) -> v1::Lease {
    let terms = lease.terms();
    let last = lease.last();
    let ended = match lease {
        Lease::Active(_) => None,
        Lease::Ended(ended) => Some(ended),
    };
    let words = |words: Option<&String>| words.map(|words| shown(words)).unwrap_or_default();
    v1::Lease {
        id: terms.id.to_string(),
        project: terms.project_name.clone(),
        status: status_out(ended.map(|ended| ended.how)).into(),
        approval_id: terms.approval.map(|id| id.to_string()).unwrap_or_default(),
        key_name: terms.holder_name.clone(),
        resource: terms.resource.to_string(),
        operation: operation_out(terms.operation).into(),
        version: terms.version,
        follow_rotation: terms.follow_rotation,
        rule: terms.rule.clone(),
        issued_at: Some(time_out(terms.issued_at)),
        expires_at: Some(time_out(last.deadline.wall)),
        max_expires_at: Some(time_out(terms.limit.wall)),
        uses_limited: last.uses_left.is_some(),
        uses_left: last.uses_left.unwrap_or_default(),
        used: last.used,
        renewals: last.renewals,
        ended_at: ended.map(|ended| time_out(ended.at)),
        ended_by: words(ended.and_then(|ended| ended.by.as_ref())),
        ended_reason: words(ended.and_then(|ended| ended.reason.as_ref())),
        observed: terms.observed,
        arguments: terms.arguments.map(|hash| hash.to_string()).unwrap_or_default(),
    }
}

/// A session as people see it.
pub(in crate::grpc) fn session(view: &SessionView) -> v1::Session {
    let session = &view.session;
    v1::Session {
        approval_id: session.approval.to_string(),
        project: view.project.clone(),
        key_name: session.holder_name.clone(),
        rule: session.rule.clone(),
        operation: operation_out(session.operation).into(),
        given_by: session.given_by.clone(),
        given_at: Some(time_out(session.given_at)),
        until: Some(time_out(session.until.wall)),
    }
}

fn status(value: i32) -> Taken<LeaseStatus> {
    match v1::LeaseStatus::try_from(value) {
        Ok(v1::LeaseStatus::Active) => Ok(LeaseStatus::Active),
        Ok(v1::LeaseStatus::Expired) => Ok(LeaseStatus::Ended(Ending::Expired)),
        Ok(v1::LeaseStatus::Revoked) => Ok(LeaseStatus::Ended(Ending::Revoked)),
        Ok(v1::LeaseStatus::Released) => Ok(LeaseStatus::Ended(Ending::Released)),
        Ok(v1::LeaseStatus::Exhausted) => Ok(LeaseStatus::Ended(Ending::Exhausted)),
        Ok(v1::LeaseStatus::Unspecified) | Err(_) => Err(unknown("statuses", value)),
    }
}

const fn status_out(how: Option<Ending>) -> v1::LeaseStatus {
    match how {
        None => v1::LeaseStatus::Active,
        Some(Ending::Expired) => v1::LeaseStatus::Expired,
        Some(Ending::Revoked) => v1::LeaseStatus::Revoked,
        Some(Ending::Released) => v1::LeaseStatus::Released,
        Some(Ending::Exhausted) => v1::LeaseStatus::Exhausted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_not_everything() {
        for which_message in [None, Some(WhichMessage::All(false))] {
            assert!(which(which_message).is_err());
        }
        assert!(which(Some(WhichMessage::Id(String::new()))).is_err());
        assert!(which(Some(WhichMessage::Resource("*".to_owned()))).is_err());
        assert!(matches!(which(Some(WhichMessage::All(true))), Ok(Which::All)));
    }

    #[test]
    fn each_status_reads_back_as_it_is_written() {
        for value in 1..=5 {
            let read = status(value).unwrap();
            let how = match read {
                LeaseStatus::Active => None,
                LeaseStatus::Ended(how) => Some(how),
            };
            assert_eq!(i32::from(status_out(how)), value);
        }
        for value in [0, 6, -1] {
            let message =
                format!("statuses has the value {value}, which this daemon does not know");
            assert_eq!(status(value).unwrap_err().message, message);
        }
    }
}
