//! A lease as its pages show it.

use vouchsafe_core::lease::{Ending, Lease};
use vouchsafe_core::text::escape_untrusted;
use vouchsafe_core::time::Now;

use super::super::dates::{When, counted, span};
use crate::broker::SessionView;

/// One lease.
#[derive(Debug)]
pub(super) struct LeaseRow {
    pub(super) id: String,
    pub(super) resource: String,
    pub(super) operation: &'static str,
    pub(super) key: String,
    pub(super) project: String,
    pub(super) rule: String,
    pub(super) approval: Option<String>,
    /// `active`, or how it ended.
    pub(super) status: &'static str,
    /// `12 min left`, where it is active.
    pub(super) left: Option<String>,
    /// `3 of 20 uses`, `3 uses`.
    pub(super) uses: String,
    pub(super) issued: When,
    /// When it ends, or ended.
    pub(super) until: When,
    /// How far renewals reach.
    pub(super) limit: When,
    pub(super) renewals: String,
    pub(super) version: u64,
    pub(super) follows: bool,
    /// It was let through by a rule that is only observed.
    pub(super) observed: bool,
    /// It is good for the very arguments that were approved.
    pub(super) bound: bool,
    pub(super) ended_by: Option<String>,
    /// In the words of whoever ended it, safe to show.
    pub(super) reason: Option<String>,
}

/// What was approved for a session.
#[derive(Debug)]
pub(super) struct SessionRow {
    pub(super) key: String,
    pub(super) project: String,
    pub(super) rule: String,
    pub(super) operation: &'static str,
    pub(super) approval: String,
    pub(super) left: String,
    pub(super) until: When,
}

impl LeaseRow {
    pub(super) fn of(lease: &Lease, now: &Now) -> Self {
        let (terms, last) = (lease.terms(), lease.last());
        let ended = match lease {
            Lease::Active(_) => None,
            Lease::Ended(ended) => Some(ended),
        };
        let left = last.deadline.left(now);
        // One whose time is up has ended, though nobody may have written that down yet.
        let status = match ended {
            Some(ended) => ended.how.as_str(),
            None if left.is_zero() => Ending::Expired.as_str(),
            None => "active",
        };
        let uses = match last.uses_left {
            Some(more) => {
                let all = last.used.saturating_add(more);
                format!("{} of {}", last.used, counted(u64::from(all), "use", "uses"))
            }
            None => counted(u64::from(last.used), "use", "uses"),
        };
        Self {
            id: terms.id.to_string(),
            resource: terms.resource.to_string(),
            operation: terms.operation.as_str(),
            key: terms.holder_name.clone(),
            project: terms.project_name.clone(),
            rule: terms.rule.clone(),
            approval: terms.approval.map(|approval| approval.to_string()),
            left: (status == "active").then(|| format!("{} left", span(left))),
            status,
            uses,
            issued: terms.issued_at.into(),
            until: ended.map_or(last.deadline.wall, |ended| ended.at).into(),
            limit: terms.limit.wall.into(),
            renewals: match last.renewals {
                0 => "never renewed".to_owned(),
                renewals => format!("renewed {}", counted(u64::from(renewals), "time", "times")),
            },
            version: terms.version,
            follows: terms.follow_rotation,
            observed: terms.observed,
            bound: terms.arguments.is_some(),
            ended_by: ended.and_then(|ended| ended.by.clone()),
            reason: ended
                .and_then(|ended| ended.reason.as_deref())
                .map(|reason| escape_untrusted(reason).text),
        }
    }

    /// Whether it may still release something.
    pub(super) fn is_active(&self) -> bool {
        self.status == "active"
    }
}

impl SessionRow {
    pub(super) fn of(view: &SessionView, now: &Now) -> Self {
        let SessionView { session, project } = view;
        Self {
            key: session.holder_name.clone(),
            project: project.clone(),
            rule: session.rule.clone(),
            operation: session.operation.as_str(),
            approval: session.approval.to_string(),
            left: format!("{} left", span(session.until.left(now))),
            until: session.until.wall.into(),
        }
    }
}
