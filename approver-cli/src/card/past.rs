//! What happened before: to this key and these resources, and what has happened to them since.

use vouchsafe_proto::v1::{Approval, ApprovalStatus, Evidence, PastDecision};

use super::told;
use crate::text::{safe_line, shortened};
use crate::time::Time;
use crate::words;

/// People who are named before the others are only counted.
const NAMES_MAX: usize = 8;
/// Characters of the reason of an earlier denial.
const REASON_CHARS_MAX: usize = 120;

/// How often the key asked before, and how often today.
pub(super) fn history(approval: &Approval, now: Time) -> Vec<String> {
    let today = today(approval);
    let Some(evidence) = &approval.evidence else {
        return vec![format!("{}; {today}", had_before(approval))];
    };
    let wanted = wanted(approval);
    if evidence.asked_before == 0 {
        let first = if evidence.counts_capped {
            format!("this key did not ask to {wanted} among the last 200 asks about it")
        } else {
            format!("FIRST TIME: this key never asked to {wanted} before")
        };
        return vec![first, today];
    }
    let least = if evidence.counts_capped { "at least " } else { "" };
    let count = match evidence.asked_before {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let (yes, no) = (evidence.approved_before, evidence.denied_before);
    let asked = format!("asked to {wanted} {least}{count} before: {yes} approved, {no} denied");
    let last = told(evidence.last_approved_at, now)
        .map(|when| format!("last approved {when}; "))
        .unwrap_or_default();
    vec![asked, format!("{last}{today}")]
}

/// The last decisions on the same.
pub(super) fn decisions(evidence: &Evidence, now: Time) -> Vec<String> {
    evidence.decisions.iter().map(|past| decision(past, now)).collect()
}

/// Whose answer would count, by name.
pub(super) fn may_answer(approval: &Approval) -> Option<String> {
    let evidence = approval.evidence.as_ref()?;
    if approval.status() != ApprovalStatus::Pending {
        return None;
    }
    let names: Vec<String> =
        evidence.may_answer.iter().take(NAMES_MAX).map(|name| safe_line(name)).collect();
    let more = evidence.may_answer.len().saturating_sub(names.len());
    Some(match (names.is_empty(), more) {
        (true, _) => "NOBODY: there is nobody whose answer would count".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    })
}

/// Who of them is told over no channel: a line for each reason.
pub(super) fn not_told(approval: &Approval) -> Vec<String> {
    let Some(evidence) = &approval.evidence else { return Vec::new() };
    if approval.status() != ApprovalStatus::Pending {
        return Vec::new();
    }
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for one in &evidence.not_told {
        let (why, name) = (safe_line(&one.why), safe_line(&one.user));
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    let line = |(why, names): (String, Vec<String>)| {
        let shown = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        match names.len().saturating_sub(NAMES_MAX) {
            0 => format!("{shown}: {why}"),
            more => format!("{shown} and {more} more: {why}"),
        }
    };
    reasons.into_iter().map(line).collect()
}

/// What is not any more what was asked for.
pub(super) fn moved_on(approval: &Approval) -> Vec<String> {
    let sentences = approval.evidence.iter().flat_map(|evidence| &evidence.moved_on);
    let mut lines: Vec<String> = sentences.map(|sentence| safe_line(sentence)).collect();
    if !lines.is_empty() {
        let what = if approval.change.is_some() { "the change" } else { "a lease on it" };
        lines.push(format!("{what} would come to nothing; the agent has to ask anew"));
    }
    lines
}

fn decision(past: &PastDecision, now: Time) -> String {
    let when = told(past.at, now).unwrap_or_default();
    let status = words::approval_status(past.status);
    let (operation, by) = (words::operation(past.operation), safe_line(&past.by));
    let key = match past.key_name.as_str() {
        "" => String::new(),
        key => format!(" for {}", safe_line(key)),
    };
    let why = match past.reason.as_str() {
        "" => String::new(),
        reason => format!(": \"{}\"", shortened(&safe_line(reason), REASON_CHARS_MAX)),
    };
    format!("{when}: {operation}{key}, {status} by {by}{why}")
}

/// "read this", "write all of this".
fn wanted(approval: &Approval) -> String {
    let these = if approval.items.len() > 1 { "all of this" } else { "this" };
    format!("{} {these}", words::operation(approval.operation))
}

fn had_before(approval: &Approval) -> &'static str {
    match approval.history {
        Some(history) if history.had_before => "this key had all of this before",
        Some(_) => "this key never had all of this before",
        None => "unknown whether this key had this before",
    }
}

fn today(approval: &Approval) -> String {
    match approval.history.map_or(0, |history| history.asks_today) {
        0 | 1 => "its first ask today".to_owned(),
        asks => format!("its {asks} asks today include this one"),
    }
}

/// Whether an agent asks; a change of the rules is a person's, or nobody knows whose.
pub(super) fn by_agent(approval: &Approval) -> bool {
    approval.asker.as_ref().is_none_or(|asker| !asker.key_name.is_empty())
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::NotTold;

    use super::super::tests::{approval, noon, write};
    use super::*;

    #[test]
    fn a_first_time_is_said_loudly_and_only_where_it_is_sure() {
        let mut approval = approval();
        approval.evidence = Some(Evidence::default());
        let first = |approval: &Approval| history(approval, noon()).remove(0);
        assert_eq!(first(&approval), "FIRST TIME: this key never asked to read this before");
        approval.evidence = Some(Evidence { counts_capped: true, ..Evidence::default() });
        assert_eq!(
            first(&approval),
            "this key did not ask to read this among the last 200 asks about it"
        );
    }

    #[test]
    fn without_evidence_what_the_ask_itself_tells_is_told() {
        assert_eq!(
            history(&approval(), noon()),
            ["this key had all of this before; its 3 asks today include this one"]
        );
    }

    #[test]
    fn who_may_answer_is_named_and_the_rest_counted() {
        let mut approval = approval();
        assert_eq!(may_answer(&approval), None);
        approval.evidence = Some(Evidence::default());
        assert!(may_answer(&approval).unwrap().starts_with("NOBODY"));
        let names = (1..=10).map(|number| format!("p{number}")).collect();
        approval.evidence = Some(Evidence { may_answer: names, ..Evidence::default() });
        assert_eq!(may_answer(&approval).unwrap(), "p1, p2, p3, p4, p5, p6, p7, p8 and 2 more");
        approval.set_status(ApprovalStatus::Denied);
        assert_eq!(may_answer(&approval), None);
    }

    #[test]
    fn who_is_not_told_is_named_with_the_reason() {
        let mut approval = approval();
        let one = |user: &str, why: &str| NotTold { user: user.to_owned(), why: why.to_owned() };
        let not_told_of = vec![
            one("ann", "no address for email"),
            one("bob", "wants no messages"),
            one("cat\u{1b}", "no address for email"),
        ];
        approval.evidence = Some(Evidence { not_told: not_told_of, ..Evidence::default() });
        let lines = ["ann, cat\\u{1b}: no address for email", "bob: wants no messages"];
        assert_eq!(not_told(&approval), lines);
        let card = super::super::card(&approval, noon());
        assert!(card.contains("  not told    ann, cat"), "{card}");
        approval.set_status(ApprovalStatus::Denied);
        assert!(not_told(&approval).is_empty());
    }

    #[test]
    fn words_of_earlier_denials_steer_nothing() {
        let mut write = write();
        let evidence = write.evidence.as_mut().unwrap();
        evidence.decisions.truncate(1);
        evidence.decisions[0].reason = format!("\u{1b}[2J\n{}", "x".repeat(1_000));
        let line = decisions(evidence, noon()).remove(0);
        assert!(line.contains("\\u{1b}[2J\\u{a}xx") && line.chars().count() < 250, "{line}");
    }
}
