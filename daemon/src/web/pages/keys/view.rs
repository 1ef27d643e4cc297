//! A key as its page shows it: what it may do and has done, and nothing that opens a door.

use vouchsafe_core::key::Scope;

use super::super::dates::{When, counted};
use crate::broker::KeyView;

/// One key.
#[derive(Debug)]
pub(super) struct KeyRow {
    pub(super) name: String,
    pub(super) project: String,
    pub(super) owner: String,
    pub(super) scopes: Vec<&'static str>,
    pub(super) level: &'static str,
    /// `enabled`, `disabled` or `expired`.
    pub(super) status: &'static str,
    /// `every tool`, or their names.
    pub(super) tools: String,
    /// `30 min`.
    pub(super) session: String,
    /// `58 of 60 a minute left`.
    pub(super) rate: String,
    /// `12 calls this month`, `12 of 1000 calls this month`.
    pub(super) calls: String,
    /// Of the month's calls, in per cent; none where they are not limited.
    pub(super) share: Option<u64>,
    pub(super) created: When,
    pub(super) last_used: Option<When>,
    pub(super) expires: Option<When>,
}

impl From<&KeyView> for KeyRow {
    fn from(view: &KeyView) -> Self {
        let KeyView { key, project_name, owner_name, expired, usage } = view;
        let settings = &key.settings;
        let limit = usage.calls_left.map(|left| usage.calls.saturating_add(left));
        let calls = match limit {
            Some(limit) => {
                format!("{} of {} this month", usage.calls, counted(limit, "call", "calls"))
            }
            None => format!("{} this month", counted(usage.calls, "call", "calls")),
        };
        Self {
            name: key.name.to_string(),
            project: project_name.clone(),
            owner: owner_name.clone(),
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            level: settings.level.as_str(),
            status: match (key.enabled, expired) {
                (false, _) => "disabled",
                (true, true) => "expired",
                (true, false) => "enabled",
            },
            tools: settings.tools.to_string(),
            session: format!("{} min", settings.session.minutes()),
            rate: format!("{} of {} left this minute", usage.rate_left, settings.rate.per_minute()),
            calls,
            share: limit.map(|limit| usage.calls.saturating_mul(100) / limit.max(1)),
            created: key.created_at.into(),
            last_used: key.last_used_at.map(When::from),
            expires: settings.expires_at.map(When::from),
        }
    }
}
