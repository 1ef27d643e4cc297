//! What an answer says, and what is said to it.

use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::{Value, json};
use vouchsafe_core::approval::{ApprovalDigest, Ballot, GrantKind, ITEMS_MAX, Narrowing, Progress};
use vouchsafe_core::lease::Lease;
use vouchsafe_core::resource::Resource;
use vouchsafe_core::route::telling;
use vouchsafe_core::text::echo;
use vouchsafe_core::time::parse_duration;

use crate::broker::{ApprovalView, Refused, VoteCommand};

/// How much of what makes no sense is repeated, in characters.
const ECHO_CHARS_MAX: usize = 200;
/// Where a digest is to be found.
const WHERE: &str = "It is in the message as `data.answer.digest`, and in `vouchsafe approvals \
                     show ID -o json`.";

/// The body of a call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// What they say.
    decision: Decision,
    /// The digest of what they were shown, 64 hexadecimal digits.
    #[serde(default)]
    digest: Option<String>,
    /// Why; a denial needs it.
    #[serde(default)]
    reason: String,
    /// No longer than this: `30m`.
    #[serde(default)]
    duration: Option<String>,
    /// No more often than this.
    #[serde(default)]
    uses: Option<NonZeroU32>,
    /// What it is good for.
    #[serde(default, rename = "for")]
    kind: Option<GrantKind>,
    /// These resources alone.
    #[serde(default)]
    only: Vec<String>,
    /// SHA-256 of what they were shown, 64 hexadecimal digits.
    #[serde(default)]
    rendering: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Approve,
    Deny,
}

/// Reads the body of a call about this approval.
pub(super) fn read(id: String, body: &[u8]) -> Result<VoteCommand, Refused> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        let message =
            format!("the body makes no sense: {}", echo(&error.to_string(), ECHO_CHARS_MAX));
        let next = "Send an object with decision (approve or deny) and digest; reason, duration, \
                    uses, for, only and rendering may be left out.";
        Refused::invalid(message, next)
    })?;
    let digest = answer.digest.as_deref().ok_or_else(|| {
        Refused::invalid(
            "digest is missing: an answer carries the digest of what its giver saw",
            WHERE,
        )
    })?;
    if digest.parse::<ApprovalDigest>().is_err() {
        return Err(Refused::invalid("digest is not 64 hexadecimal digits", WHERE));
    }
    let digest = digest.to_owned();
    let narrowing = narrowing(&answer)?;
    let ballot = match answer.decision {
        Decision::Approve => Ballot::Approve(narrowing),
        Decision::Deny if narrowing == Narrowing::default() && answer.kind.is_none() => {
            Ballot::Deny
        }
        Decision::Deny => {
            let next = "Deny it without duration, uses, for and only, or approve it.";
            return Err(Refused::invalid("a denial has no limits", next));
        }
    };
    let Answer { reason, rendering, .. } = answer;
    Ok(VoteCommand { id, ballot, reason, digest, rendering })
}

fn narrowing(answer: &Answer) -> Result<Narrowing, Refused> {
    let duration = answer.duration.as_deref().map(parse_duration).transpose();
    let duration = duration.map_err(|error| {
        Refused::invalid(format!("duration: {error}"), "Write a time such as \"30m\".")
    })?;
    if answer.only.len() > ITEMS_MAX {
        let message =
            format!("only has {} resources, and an ask has {ITEMS_MAX} at most", answer.only.len());
        return Err(Refused::invalid(message, "Name those that you approve."));
    }
    let only = answer.only.iter().map(|text| text.parse::<Resource>()).collect::<Result<_, _>>();
    let only = only.map_err(|error| {
        let next = "Name resources of the ask, such as vouchsafe://secrets/production/DB.";
        Refused::invalid(format!("only: {error}"), next)
    })?;
    let uses = answer.uses.map(NonZeroU32::get);
    Ok(Narrowing { duration, uses, kind: answer.kind.unwrap_or_default(), only })
}

/// What whoever answered is told.
pub(super) fn told(view: &ApprovalView, leases: &[Lease]) -> Value {
    let approval = &view.approval;
    json!({
        "approval_id": approval.ask().id.to_string(),
        "status": approval.status().as_str(),
        "outcome": telling::outcome(approval),
        "progress": view.progress.iter().map(progress).collect::<Vec<_>>(),
        "leases": leases.iter().map(lease).collect::<Vec<_>>(),
    })
}

/// How far a rule's requirement has come.
fn progress(progress: &Progress) -> Value {
    let factors = progress
        .factors
        .iter()
        .map(|factor| json!({ "from": factor.from, "count": factor.count, "met": factor.met }));
    json!({ "rule": progress.rule, "factors": factors.collect::<Vec<_>>() })
}

fn lease(lease: &Lease) -> Value {
    json!({
        "id": lease.terms().id.to_string(),
        "resource": lease.terms().resource.to_string(),
        "expires_at": lease.last().deadline.wall.rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(members: &str) -> Result<VoteCommand, Refused> {
        let digest = "ab".repeat(32);
        let text = format!("{{\"decision\":\"approve\",\"digest\":\"{digest}\"{members}}}");
        read("ap_1".to_owned(), text.as_bytes())
    }

    #[test]
    fn an_answer_narrows_as_far_as_it_says() {
        let plain = body("").unwrap();
        assert!(matches!(plain.ballot, Ballot::Approve(all) if all == Narrowing::default()));
        let command = body(
            ",\"reason\":\"ok\",\"duration\":\"30m\",\"uses\":2,\"for\":\"once\",\
             \"only\":[\"vouchsafe://secrets/production/DB\"]",
        )
        .unwrap();
        assert_eq!(command.reason, "ok");
        let Ballot::Approve(narrowing) = command.ballot else { panic!("{command:?}") };
        assert_eq!(narrowing.duration, Some(std::time::Duration::from_mins(30)));
        assert_eq!((narrowing.uses, narrowing.kind), (Some(2), GrantKind::Once));
        assert_eq!(narrowing.only.len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        let digest = "ab".repeat(32);
        for (text, said) in [
            (String::new(), "the body makes no sense"),
            ("[]".to_owned(), "the body makes no sense"),
            ("{\"decision\":\"approve\"}".to_owned(), "digest is missing"),
            ("{\"decision\":\"approve\",\"digest\":null}".to_owned(), "digest is missing"),
            ("{\"decision\":\"approve\",\"digest\":\"abc\"}".to_owned(), "digest is not 64"),
            (format!("{{\"digest\":\"{digest}\"}}"), "the body makes no sense"),
            (format!("{{\"decision\":\"maybe\",\"digest\":\"{digest}\"}}"), "unknown variant"),
            (
                format!(
                    "{{\"decision\":\"deny\",\"decision\":\"approve\",\"digest\":\"{digest}\"}}"
                ),
                "duplicate field",
            ),
            (format!("{{\"decision\":\"deny\",\"digest\":\"{digest}\",\"uses\":1}}"), "no limits"),
            (
                format!("{{\"decision\":\"deny\",\"digest\":\"{digest}\",\"for\":\"lease\"}}"),
                "limits",
            ),
        ] {
            let refused = read("ap_1".to_owned(), text.as_bytes()).unwrap_err();
            assert!(refused.message.contains(said), "{text}: {refused}");
            assert!(!refused.next.is_empty());
        }
        for members in [
            ",\"uses\":0",
            ",\"uses\":-1",
            ",\"uses\":\"2\"",
            ",\"for\":\"ever\"",
            ",\"duration\":\"long\"",
            ",\"duration\":30",
            ",\"only\":[\"x\"]",
            ",\"only\":\"x\"",
            ",\"sudo\":true",
            ",\"a\\u202e\":1",
        ] {
            let refused = body(members).unwrap_err();
            assert!(!refused.message.contains('\u{202e}'), "{refused}");
        }
        let many = vec!["\"vouchsafe://secrets/a\""; ITEMS_MAX + 1].join(",");
        assert!(body(&format!(",\"only\":[{many}]")).unwrap_err().message.contains("at most"));
    }
}
