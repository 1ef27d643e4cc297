//! Who has to answer, who may besides, and who or what did.

use vouchsafe_proto::v1::{Approval, ApprovalStatus, ApprovedBy, ConditionOutcome, Requirement};

use super::told;
use crate::text::safe_line;
use crate::time::{self, Time};

/// A line for each factor, and one for whoever may answer as well.
pub(super) fn needs(requirement: &Requirement, now: Time) -> Vec<String> {
    let several = requirement.factors.len() > 1;
    let mut lines: Vec<String> = Vec::new();
    for factor in &requirement.factors {
        let and = if lines.is_empty() { "" } else { "and " };
        let (people, met) = (names(&factor.from), factor.met);
        lines.push(format!("{and}{} of {people}; {met} so far", factor.count));
    }
    if let Some(last) = lines.last_mut() {
        if several {
            last.push_str("; a person counts once");
        }
        if requirement.self_approval {
            last.push_str("; the key's owner may answer");
        }
    }
    if !requirement.also.is_empty() {
        let also = names(&requirement.also);
        lines.push(format!("ESCALATED: {also} may answer as well, since nobody did in time"));
    }
    if !requirement.escalates_to.is_empty() {
        let people = names(&requirement.escalates_to);
        let when = told(requirement.escalates_at, now).unwrap_or_else(|| "later".to_owned());
        lines.push(format!("{people} may answer as well {when}, if nobody has"));
    }
    lines
}

/// How often people were reminded.
pub(super) fn reminded(approval: &Approval) -> Option<String> {
    match approval.reminders {
        0 => None,
        1 => Some("once".to_owned()),
        count => Some(format!("{count} times")),
    }
}

/// That, and for how long, an approval can be remembered; or that it is.
pub(super) fn session(approval: &Approval, now: Time) -> Option<String> {
    if let Some(until) = told(approval.session_until, now) {
        return Some(format!("the same without asking; that ends {until}"));
    }
    if approval.status() != ApprovalStatus::Pending || !approval.may_remember {
        return None;
    }
    let session = approval.session.and_then(time::span_from_proto).map(time::span);
    let session = session.unwrap_or_else(|| "the key's session time".to_owned());
    Some(format!("may be remembered; for session: the same for {session}"))
}

/// What approved it, where it was not the votes, a line each.
pub(super) fn approved_by(approval: &Approval) -> Vec<String> {
    match approval.approved_by() {
        ApprovedBy::Unspecified | ApprovedBy::People => Vec::new(),
        ApprovedBy::Rule => std::iter::once("the rule itself: its conditions held".to_owned())
            .chain(approval.conditions.iter().map(condition))
            .collect(),
        ApprovedBy::Session => {
            vec![format!("the session given in {}", safe_line(&approval.session_approval_id))]
        }
        ApprovedBy::BreakGlass => {
            let (by, review) =
                (safe_line(&approval.break_glass_by), safe_line(&approval.review_id));
            vec![format!("{by}, who BROKE THE GLASS; see review {review}")]
        }
    }
}

fn condition(outcome: &ConditionOutcome) -> String {
    let [name, wanted, found, error] =
        [&outcome.condition, &outcome.wanted, &outcome.found, &outcome.error]
            .map(|text| safe_line(text));
    let holds = if outcome.holds { "holds" } else { "does not hold" };
    let why = if error.is_empty() { found } else { format!("not judged, {error}") };
    let why = if why.is_empty() { why } else { format!(": {why}") };
    format!("  {name} {wanted} {holds}{why}")
}

fn names(who: &[String]) -> String {
    who.iter().map(|who| safe_line(who)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::Factor;

    use super::super::tests::{approval, noon};
    use super::*;

    fn factor(from: &str, met: u32) -> Factor {
        Factor { from: vec![from.to_owned()], count: 1, met }
    }

    #[test]
    fn every_factor_has_its_line() {
        let requirement = Requirement {
            factors: vec![factor("group:security", 1), factor("group:oncall", 0)],
            ..Requirement::default()
        };
        assert_eq!(
            needs(&requirement, noon()),
            [
                "1 of group:security; 1 so far",
                "and 1 of group:oncall; 0 so far; a person counts once",
            ]
        );
    }

    #[test]
    fn escalation_is_told_before_and_after() {
        let mut requirement = Requirement {
            factors: vec![factor("jane", 0)],
            escalates_to: vec!["group:leads".to_owned()],
            escalates_at: Some(time::to_proto(noon() + chrono::TimeDelta::minutes(20))),
            ..Requirement::default()
        };
        let last = |requirement: &Requirement| needs(requirement, noon()).pop().unwrap();
        assert_eq!(last(&requirement), "group:leads may answer as well in 20 min, if nobody has");
        requirement.also = std::mem::take(&mut requirement.escalates_to);
        assert!(last(&requirement).starts_with("ESCALATED: group:leads may answer as well"));
    }

    #[test]
    fn what_approved_is_told_with_its_grounds() {
        let mut approval = approval();
        assert!(approved_by(&approval).is_empty());
        approval.set_approved_by(ApprovedBy::Rule);
        approval.conditions = vec![ConditionOutcome {
            condition: "days".to_owned(),
            wanted: "Mon-Fri".to_owned(),
            holds: true,
            found: "Tue\u{1b}".to_owned(),
            error: String::new(),
        }];
        assert_eq!(
            approved_by(&approval),
            ["the rule itself: its conditions held", "  days Mon-Fri holds: Tue\\u{1b}"]
        );
        approval.set_approved_by(ApprovedBy::Session);
        approval.session_approval_id = "ap_1".to_owned();
        assert_eq!(approved_by(&approval), ["the session given in ap_1"]);
        approval.set_approved_by(ApprovedBy::BreakGlass);
        (approval.break_glass_by, approval.review_id) = ("jane".to_owned(), "rv_1".to_owned());
        assert_eq!(approved_by(&approval), ["jane, who BROKE THE GLASS; see review rv_1"]);
    }

    #[test]
    fn a_session_is_offered_only_where_it_can_be_given() {
        let mut approval = approval();
        assert_eq!(session(&approval, noon()), None);
        approval.may_remember = true;
        approval.session = Some(time::span_to_proto(std::time::Duration::from_mins(30)));
        assert_eq!(
            session(&approval, noon()).unwrap(),
            "may be remembered; for session: the same for 30m"
        );
        approval.set_status(ApprovalStatus::Denied);
        assert_eq!(session(&approval, noon()), None);
    }
}
