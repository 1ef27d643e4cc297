//! The log.

use vouchsafe_proto::v1;
use vouchsafe_proto::v1::export_audit_response::Part;
use vouchsafe_proto::v1::group_audit_response::Group;

use super::time::time;
use super::{RESOURCE_BYTES_MAX, Taken, at_most, optional};
use crate::broker::{AuditQuery, ExportPart, Refused, StoredEntry};

/// The most entries of the past that a tail begins with.
const TAIL_LAST_MAX: u32 = 100;
const OUTCOMES: [&str; 3] = ["ok", "refused", "failed"];
const GROUPS: [&str; 5] = ["actor", "action", "resource", "outcome", "day"];

/// Which entries are wanted.
pub(in crate::grpc) fn audit_query(filter: Option<v1::AuditFilter>) -> Taken<AuditQuery> {
    let filter = filter.unwrap_or_default();
    let resource = at_most("filter.resource", filter.resource, RESOURCE_BYTES_MAX)?;
    let outcome = optional("filter.outcome", filter.outcome)?;
    if let Some(outcome) = &outcome {
        one_of("filter.outcome", outcome, &OUTCOMES)?;
    }
    Ok(AuditQuery {
        since: time("filter.since", filter.since)?,
        until: time("filter.until", filter.until)?,
        actor: optional("filter.actor", filter.actor)?,
        action: optional("filter.action", filter.action)?,
        resource: (!resource.is_empty()).then_some(resource),
        approval: optional("filter.approval", filter.approval)?,
        outcome,
        project: optional("filter.project", filter.project)?,
    })
}

/// What entries are counted by.
pub(in crate::grpc) fn group_by(by: &str) -> Taken<&'static str> {
    one_of("by", by, &GROUPS)
}

/// How many entries of the past come first.
pub(in crate::grpc) fn tail_last(last: u32) -> Taken<u32> {
    if last > TAIL_LAST_MAX {
        let message = format!("last is {last}, and may be {TAIL_LAST_MAX} at most");
        return Err(Refused::invalid(message, "Query the log for what is further back."));
    }
    Ok(last)
}

/// One entry: its hashed line, as it is.
pub(in crate::grpc) fn audit_entry(entry: StoredEntry) -> v1::AuditEntry {
    v1::AuditEntry { seq: entry.seq, line: entry.line, leaf_hash: entry.leaf.to_string() }
}

/// How many entries there are of each.
pub(in crate::grpc) fn audit_groups(groups: Vec<(String, u64)>) -> v1::GroupAuditResponse {
    let groups = groups.into_iter().map(|(value, count)| Group { value, count }).collect();
    v1::GroupAuditResponse { groups }
}

/// One piece of an export.
pub(in crate::grpc) fn export_part(part: ExportPart) -> v1::ExportAuditResponse {
    let part = match part {
        ExportPart::Lines(lines) => Part::Lines(lines),
        ExportPart::Checkpoint { note, verifier_key } => {
            Part::Checkpoint(v1::Checkpoint { note, verifier_key })
        }
    };
    v1::ExportAuditResponse { part: Some(part) }
}

fn one_of(field: &str, value: &str, known: &[&'static str]) -> Taken<&'static str> {
    known.iter().find(|known| **known == value).copied().ok_or_else(|| {
        let message = format!("{field} is none of {}", known.join(", "));
        Refused::invalid(message, format!("Give one of them as {field}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_does_not_matter_and_what_is_unknown_is_refused() {
        let query = audit_query(None).unwrap();
        assert!(query.actor.is_none() && query.resource.is_none() && query.outcome.is_none());

        let filter = v1::AuditFilter { outcome: "fine".to_owned(), ..v1::AuditFilter::default() };
        assert_eq!(
            audit_query(Some(filter)).unwrap_err().message,
            "filter.outcome is none of ok, refused, failed"
        );
        assert_eq!(group_by("day"), Ok("day"));
        assert_eq!(
            group_by("").unwrap_err().message,
            "by is none of actor, action, resource, outcome, day"
        );
        assert_eq!(tail_last(101).unwrap_err().message, "last is 101, and may be 100 at most");
    }
}
