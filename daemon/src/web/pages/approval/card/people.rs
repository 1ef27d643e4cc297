//! Who has to answer, who may besides, and who or what did.

use vouchsafe_core::approval::{Approval, Ballot, GrantKind, How, Progress, Vote};
use vouchsafe_core::policy::Outcome;
use vouchsafe_core::time::UnixTime;

use super::{Line, first, plain, shown, soft};
use crate::broker::ApprovalView;
use crate::web::pages::words::{count, moment, span};

/// A line for each factor, and one for whoever may answer as well.
pub(super) fn needs(view: &ApprovalView, now: UnixTime) -> Vec<Line> {
    view.progress.iter().flat_map(|progress| need(view, progress, now)).collect()
}

fn need(view: &ApprovalView, progress: &Progress, now: UnixTime) -> Vec<Line> {
    let mut lines: Vec<String> = Vec::new();
    for factor in &progress.factors {
        let and = if lines.is_empty() { "" } else { "and " };
        let (people, met) = (names(&factor.from), factor.met);
        lines.push(format!("{and}{} of {people}; {met} so far", factor.count));
    }
    if let Some(last) = lines.last_mut() {
        if progress.factors.len() > 1 {
            last.push_str("; a person counts once");
        }
        if progress.self_approval {
            last.push_str("; the key’s owner may answer");
        }
    }
    let mut lines: Vec<_> = lines.into_iter().map(plain).collect();
    if progress.also.is_empty() {
        lines.extend(escalates(view, progress, now).map(soft));
    } else {
        let also = names(&progress.also);
        lines
            .push(first(format!("Escalated: {also} may answer as well, since nobody did in time")));
    }
    lines
}

/// Who may answer as well if nobody does for a while.
fn escalates(view: &ApprovalView, progress: &Progress, now: UnixTime) -> Option<String> {
    let Approval::Pending(pending) = &view.approval else { return None };
    let mut items = pending.ask.items.iter();
    let rule = &items.find(|item| item.rule.name.as_str() == progress.rule)?.rule;
    let escalation = rule.escalation.as_ref()?;
    let whole = pending.ask.deadline.wall.since(pending.ask.asked_at);
    let left = whole.saturating_sub(escalation.after);
    let when = moment(pending.deadline().wall.minus(left), now).near;
    let people: Vec<_> = escalation.to.iter().map(|who| shown(&who.to_string())).collect();
    Some(format!("{} may answer as well {when}, if nobody has", people.join(", ")))
}

/// Who may answer and is told over no channel: a line for each reason.
pub(super) fn not_told(view: &ApprovalView) -> Vec<Line> {
    let (Some(evidence), Approval::Pending(_)) = (&view.evidence, &view.approval) else {
        return Vec::new();
    };
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for untold in &evidence.not_told {
        let why = untold.why.to_string();
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(untold.name.clone()),
            None => reasons.push((why, vec![untold.name.clone()])),
        }
    }
    let line = |(why, people): (String, Vec<String>)| plain(format!("{}: {why}", names(&people)));
    reasons.into_iter().map(line).collect()
}

/// How often people were reminded.
pub(super) fn reminded(approval: &Approval) -> Vec<Line> {
    match approval {
        Approval::Pending(pending) if pending.told.reminders > 0 => {
            vec![plain(count(pending.told.reminders.into(), "time", "times"))]
        }
        Approval::Pending(_)
        | Approval::Approved(_)
        | Approval::Denied(_)
        | Approval::Expired(_)
        | Approval::Withdrawn(_) => Vec::new(),
    }
}

/// That, and for how long, an approval can be remembered; or that it is.
pub(super) fn session(view: &ApprovalView, now: UnixTime) -> Vec<Line> {
    if let Some(until) = view.session_until {
        let ends = moment(until, now).near;
        return vec![plain(format!("The same without asking; that ends {ends}"))];
    }
    if !may_remember(view) {
        return Vec::new();
    }
    let session = view.session.map_or_else(|| "the key’s session time".to_owned(), span);
    vec![plain(format!("May be remembered: the same for {session}"))]
}

/// Whether an answer can have it remembered.
pub(in crate::web::pages) fn may_remember(view: &ApprovalView) -> bool {
    let ask = view.approval.ask();
    matches!(view.approval, Approval::Pending(_))
        && ask.operation.is_leased()
        && !ask.items.is_empty()
        && ask.items.iter().all(|item| item.rule.remember)
}

/// Each answer so far.
pub(super) fn votes(approval: &Approval, now: UnixTime) -> Vec<Line> {
    approval.votes().iter().map(|vote| plain(voted(vote, now))).collect()
}

fn voted(vote: &Vote, now: UnixTime) -> String {
    let (user, when) = (shown(&vote.voter_name), moment(vote.at, now).near);
    let mut text = match &vote.ballot {
        Ballot::Deny => format!("{user} denied {when}"),
        Ballot::Approve(narrowing) => {
            let mut text = format!("{user} approved {when}");
            if let Some(duration) = narrowing.duration {
                text.extend([", for ", &span(duration)]);
            }
            if let Some(uses) = narrowing.uses {
                text.extend([", ", &count(uses.into(), "use", "uses")]);
            }
            text.push_str(match narrowing.kind {
                GrantKind::Once => ", once",
                GrantKind::Lease => "",
                GrantKind::Session => ", for a session",
            });
            text
        }
    };
    text.extend([" (over ", &shown(&vote.via), ")"]);
    if !vote.reason.is_empty() {
        text.extend([": “", &shown(&vote.reason), "”"]);
    }
    text
}

/// What approved it, where it was not the votes.
pub(super) fn approved_by(approval: &Approval) -> Vec<Line> {
    let Approval::Approved(approved) = approval else { return Vec::new() };
    match &approved.how {
        How::People => Vec::new(),
        How::Automatic { conditions } => {
            let mut lines = vec![plain("The rule itself: its conditions held".to_owned())];
            lines.extend(conditions.iter().map(|outcome| soft(condition(outcome))));
            lines
        }
        How::Session { approval } => vec![plain(format!("The session given in {approval}"))],
        How::BreakGlass { by, review } => {
            vec![first(format!("{}, who broke the glass; see review {review}", shown(by)))]
        }
    }
}

fn condition(outcome: &Outcome) -> String {
    let holds = if outcome.holds { "holds" } else { "does not hold" };
    let why = match &outcome.error {
        Some(error) => format!("not judged, {}", shown(error)),
        None => shown(&outcome.found),
    };
    let why = if why.is_empty() { why } else { format!(": {why}") };
    format!("{} {} {holds}{why}", shown(&outcome.condition), shown(&outcome.wanted))
}

fn names(who: &[String]) -> String {
    who.iter().map(|who| shown(who)).collect::<Vec<_>>().join(", ")
}
