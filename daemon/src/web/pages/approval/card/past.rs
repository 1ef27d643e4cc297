//! What happened before: to this key and these resources, and what has happened to them since.

use vouchsafe_core::approval::{Approval, Status};
use vouchsafe_core::text::echo;
use vouchsafe_core::time::UnixTime;

use super::{Line, first, plain, shown, verb};
use crate::broker::{ApprovalView, Evidence, PastDecision};
use crate::web::pages::words::{count, moment};

/// People who are named before the others are only counted.
const NAMES_MAX: usize = 12;
/// Characters of the reason of an earlier denial.
const REASON_CHARS_MAX: usize = 200;

/// What should make somebody stop and think.
pub(super) fn cautions(view: &ApprovalView) -> Vec<String> {
    let mut cautions = Vec::new();
    if let Approval::Pending(pending) = &view.approval
        && pending.is_stopped()
    {
        cautions.push("Stopped: its clock stands still, and it can only be denied.".to_owned());
    }
    let moved = view.evidence.iter().flat_map(|evidence| &evidence.moved_on);
    let moved: Vec<_> = moved.map(|sentence| shown(sentence)).collect();
    if !moved.is_empty() {
        let what =
            if view.approval.ask().change.is_some() { "The change" } else { "A lease on it" };
        cautions.extend(moved.into_iter().map(|sentence| format!("Moved on: {sentence}.")));
        cautions.push(format!("{what} would come to nothing; the agent has to ask anew."));
    }
    cautions
}

/// How often the key asked before, and how often today.
pub(super) fn history(view: &ApprovalView, now: UnixTime) -> Vec<Line> {
    let ask = view.approval.ask();
    if ask.asker.key.is_none() {
        return Vec::new();
    }
    let today = match ask.history.asks_today {
        0 | 1 => "Its first ask today".to_owned(),
        asks => format!("Its {asks} asks today include this one"),
    };
    let Some(evidence) = &view.evidence else {
        let had = if ask.history.had_before { "had" } else { "never had" };
        return vec![plain(format!("This key {had} all of this before")), plain(today)];
    };
    let these = if ask.items.len() > 1 { "all of this" } else { "this" };
    let wanted = format!("{} {these}", verb(ask.operation));
    if evidence.asked == 0 {
        let text = if evidence.capped {
            format!("This key did not ask to {wanted} among the last 200 asks about it")
        } else {
            format!("First time: this key never asked to {wanted} before")
        };
        return vec![first(text), plain(today)];
    }
    vec![plain(asked(evidence, &wanted)), plain(last(evidence, now)), plain(today)]
        .into_iter()
        .filter(|line| !line.text.is_empty())
        .collect()
}

fn asked(evidence: &Evidence, wanted: &str) -> String {
    let least = if evidence.capped { "at least " } else { "" };
    let times = count(evidence.asked.into(), "time", "times");
    let (yes, no) = (evidence.approved, evidence.denied);
    format!("Asked to {wanted} {least}{times} before: {yes} approved, {no} denied")
}

fn last(evidence: &Evidence, now: UnixTime) -> String {
    let at = evidence.last_approved_at;
    at.map(|at| format!("Last approved {}", moment(at, now).near)).unwrap_or_default()
}

/// The last decisions on the same.
pub(super) fn decisions(view: &ApprovalView, now: UnixTime) -> Vec<Line> {
    let decisions = view.evidence.iter().flat_map(|evidence| &evidence.decisions);
    decisions.map(|past| plain(decision(past, now))).collect()
}

fn decision(past: &PastDecision, now: UnixTime) -> String {
    let key = match past.key_name.as_str() {
        "" => String::new(),
        key => format!(" for {}", shown(key)),
    };
    let why = match past.reason.as_str() {
        "" => String::new(),
        reason => format!(": “{}”", echo(reason, REASON_CHARS_MAX)),
    };
    let (when, by) = (moment(past.at, now).near, shown(&past.by));
    let (verb, status) = (verb(past.operation), past.status.as_str());
    format!("{when}: {verb}{key}, {status} by {by}{why}")
}

/// Whose answer would count, by name.
pub(super) fn may_answer(view: &ApprovalView) -> Vec<Line> {
    let Some(evidence) = &view.evidence else { return Vec::new() };
    if view.approval.status() != Status::Pending {
        return Vec::new();
    }
    let names: Vec<_> = evidence.may_answer.iter().take(NAMES_MAX).map(|n| shown(n)).collect();
    let more = evidence.may_answer.len().saturating_sub(names.len());
    vec![match (names.is_empty(), more) {
        (true, _) => first("Nobody: there is nobody whose answer would count".to_owned()),
        (false, 0) => plain(names.join(", ")),
        (false, more) => plain(format!("{} and {more} more", names.join(", "))),
    }]
}
