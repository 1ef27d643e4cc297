//! `approve` and `deny`: one look, one answer.

use std::time::Duration;

use clap::Args;
use vouchsafe_proto::v1::{
    Approval, ApprovalStatus, Ballot, Lease, ShowApprovalRequest, VoteRequest, VoteResponse,
};

use crate::connect::Daemon;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::record::Record;
use crate::text::safe_line;
use crate::words::{self, GrantKind};
use crate::{approvals, card, leases, output, prompt, time};

/// Approve what an agent asks for.
///
/// Shows the ask and asks you once. Without a terminal on standard input, or with --yes, it
/// approves what it showed. If the ask changed since it was shown, the answer is refused. Several
/// asks are shown and answered one by one, and one that cannot be approved does not stop the others;
/// the exit code is that of the first that failed.
#[derive(Args, Debug)]
pub(crate) struct Approve {
    /// Ids of the approvals, or their beginnings
    #[arg(value_name = "ID", required = true, num_args = 1..)]
    ids: Vec<String>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Shorten the lease to this, like 10m; never lengthens it
    #[arg(long, value_name = "DURATION", value_parser = time::duration_arg)]
    duration: Option<Duration>,
    /// Lower the number of uses to this; never raises it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// What the approval is good for
    #[arg(long = "for", value_enum, value_name = "KIND", default_value = "lease")]
    kind: GrantKind,
    /// Approve only these of the resources asked for
    #[arg(long, value_name = "URI", num_args = 1..)]
    only: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Deny what an agent asks for.
///
/// One denial settles the ask. The agent is told your reason. Several asks are shown and denied one
/// by one, and one that cannot be denied does not stop the others; the exit code is that of the
/// first that failed.
#[derive(Args, Debug)]
pub(crate) struct Deny {
    /// Ids of the approvals, or their beginnings
    #[arg(value_name = "ID", required = true, num_args = 1..)]
    ids: Vec<String>,
    /// Why; the agent reads it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn approve(command: Approve, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let one = async |id: String| {
        let seen = look(&daemon, id, context).await?;
        let question = approve_question(&seen.approval, command.kind, command.yes)?;
        decide(&seen.approval, command.yes, &question).await?;
        let request = VoteRequest {
            reason: command.reason.clone().unwrap_or_default(),
            duration: command.duration.map(time::span_to_proto),
            uses: command.uses.unwrap_or(0),
            kind: command.kind.to_proto(),
            only: command.only.clone(),
            ..seen.vote(Ballot::Approve)
        };
        send(&daemon, request).await
    };
    answer_each(&command.ids, "approved", one, context).await
}

pub(crate) async fn deny(command: Deny, context: &Context) -> Result<(), CliError> {
    if command.reason.trim().is_empty() {
        return Err(CliError::usage("a denial needs a reason")
            .with_next("say in --reason what the agent should know"));
    }
    let daemon = context.daemon().await?;
    let one = async |id: String| {
        let seen = look(&daemon, id, context).await?;
        decide(&seen.approval, command.yes, "Deny?").await?;
        let reason = command.reason.clone();
        send(&daemon, VoteRequest { reason, ..seen.vote(Ballot::Deny) }).await
    };
    answer_each(&command.ids, "denied", one, context).await
}

/// Answers each, one after the other, and says what came of each. Where there is only one, its
/// failure is the command's.
async fn answer_each(
    ids: &[String],
    done: &str,
    one: impl AsyncFn(String) -> Result<VoteResponse, CliError>,
    context: &Context,
) -> Result<(), CliError> {
    if let [id] = ids {
        let answer = one(id.clone()).await?;
        if context.out.is_json() {
            return context.out.record(&record(&answer));
        }
        return context.out.say(&outcome(&answer));
    }
    let mut records = Vec::with_capacity(ids.len());
    let (mut first, mut failed): (Option<CliError>, usize) = (None, 0);
    for (at, id) in each_once(ids).enumerate() {
        if at > 0 && !context.out.is_json() {
            context.out.say("")?;
        }
        match one(id.clone()).await {
            Ok(answer) => {
                if context.out.is_json() {
                    records.push(record(&answer));
                } else {
                    context.out.say(&outcome(&answer))?;
                }
            }
            Err(error) => {
                let told = CliError {
                    message: format!("{}: {}", safe_line(id), error.message),
                    ..error.clone()
                };
                output::error(&told);
                records.push(failure(id, &error));
                failed = failed.saturating_add(1);
                first.get_or_insert(error);
            }
        }
    }
    if context.out.is_json() {
        context.out.list(&[], &records, "")?;
    }
    match first {
        None => Ok(()),
        Some(error) => {
            let all = each_once(ids).count();
            Err(CliError::new(error.exit, format!("{failed} of {all} were not {done}")))
        }
    }
}

/// The ids in their order, without those that are there before.
fn each_once(ids: &[String]) -> impl Iterator<Item = &String> {
    let is_first = |(at, id): &(usize, &String)| !ids.iter().take(*at).any(|known| known == *id);
    ids.iter().enumerate().filter(is_first).map(|(_, id)| id)
}

/// An approval as it was shown to somebody.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) approval: Approval,
    card: String,
}

impl Seen {
    /// `card` is the text that stood before the voter's eyes.
    pub(crate) fn new(approval: Approval, card: String) -> Self {
        Self { approval, card }
    }

    /// A vote on exactly what was shown.
    pub(crate) fn vote(&self, ballot: Ballot) -> VoteRequest {
        VoteRequest {
            id: self.approval.id.clone(),
            ballot: ballot.into(),
            digest: self.approval.digest.clone(),
            rendering_digest: card::digest(&self.card),
            kind: match ballot {
                Ballot::Approve => GrantKind::Lease.to_proto(),
                Ballot::Deny | Ballot::Unspecified => 0,
            },
            ..VoteRequest::default()
        }
    }
}

/// What happened, in a sentence or two.
pub(crate) fn outcome(answer: &VoteResponse) -> String {
    let approval = answer.approval.clone().unwrap_or_default();
    let id = safe_line(&approval.id);
    if approval.status() == ApprovalStatus::Pending {
        let factors = approval.requirements.iter().flat_map(|needed| &needed.factors);
        let missing: u32 = factors.map(|factor| factor.count.saturating_sub(factor.met)).sum();
        return format!("your vote on {id} counts; {missing} more needed");
    }
    let mut lines = vec![format!("{} {id}", words::approval_status(approval.status))];
    lines.extend(answer.leases.iter().map(lease_line));
    if let Some((label, told)) = card::applied(&approval) {
        let what =
            approval.items.first().map_or_else(String::new, |item| safe_line(&item.resource));
        lines.push(format!("{label}: {what}"));
        lines.extend(told);
    }
    if let Some(until) = approval.session_until.and_then(time::from_proto) {
        let until = time::relative(until, time::now());
        lines.push(format!("the key may have the same again without asking; that ends {until}"));
    }
    lines.join("\n")
}

async fn look(daemon: &Daemon, id: String, context: &Context) -> Result<Seen, CliError> {
    let approval = daemon.approvals().show_approval(ShowApprovalRequest { id }).await?.into_inner();
    let card = card::card(&approval, time::now());
    // The text of the card ends its own last line.
    context.out.say(card.trim_end())?;
    Ok(Seen::new(approval, card))
}

/// What is asked before an approval of this kind. An error where a person is told so sooner than
/// the daemon would.
fn approve_question(approval: &Approval, kind: GrantKind, yes: bool) -> Result<String, CliError> {
    if kind != GrantKind::Session {
        return Ok("Approve?".to_owned());
    }
    let pending = approval.status() == ApprovalStatus::Pending;
    if !yes && prompt::can_ask() && pending && !approval.may_remember {
        return Err(CliError::new(Exit::Refused, "its rule lets no approval be remembered")
            .with_next("approve it with `--for lease` or `--for once`"));
    }
    Ok(match approval.session.and_then(time::span_from_proto) {
        Some(session) => format!("Approve, and remember it for {}?", time::span(session)),
        None => "Approve, and remember it for a session?".to_owned(),
    })
}

async fn decide(approval: &Approval, yes: bool, question: &str) -> Result<(), CliError> {
    let asks = !yes && prompt::can_ask();
    if asks && approval.status() != ApprovalStatus::Pending {
        let status = words::approval_status(approval.status);
        return Err(CliError::new(Exit::Conflict, format!("it is {status} already"))
            .with_next("the agent can ask again"));
    }
    if asks && !approval.may_vote {
        let why = safe_line(&approval.may_not_vote_because);
        return Err(CliError::new(Exit::Refused, format!("you may not vote on it: {why}")));
    }
    prompt::confirm_unless(yes, question).await
}

async fn send(daemon: &Daemon, request: VoteRequest) -> Result<VoteResponse, CliError> {
    Ok(daemon.approvals().vote(request).await?.into_inner())
}

fn record(answer: &VoteResponse) -> Record {
    let approval = answer.approval.as_ref().map(approvals::record);
    let leases = answer.leases.iter().map(leases::record);
    Record::new().with_record("approval", approval).records("leases", leases)
}

/// An answer that was not taken, among others.
fn failure(id: &str, error: &CliError) -> Record {
    Record::new()
        .text("id", id)
        .text("error", error.message.as_str())
        .text("next", error.next.clone().unwrap_or_default())
        .number("exit_code", error.exit.code())
}

fn lease_line(lease: &Lease) -> String {
    let (id, resource) = (safe_line(&lease.id), safe_line(&lease.resource));
    let ends = lease
        .expires_at
        .and_then(time::from_proto)
        .map(|at| format!(", ends {}", time::relative(at, time::now())))
        .unwrap_or_default();
    let uses = match (lease.uses_limited, lease.uses_left) {
        (false, _) => String::new(),
        (true, 1) => ", 1 use".to_owned(),
        (true, uses) => format!(", {uses} uses"),
    };
    format!("lease {id} on {resource}{ends}{uses}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::tests::{approval, noon};

    #[test]
    fn a_vote_is_on_exactly_what_was_shown() {
        let approval = approval();
        let text = card::card(&approval, noon());
        let vote = Seen::new(approval.clone(), text.clone()).vote(Ballot::Approve);
        assert_eq!(vote.digest, approval.digest);
        assert_eq!(vote.rendering_digest, card::digest(&text));
        assert_eq!(vote.kind, 2);
    }

    #[test]
    fn a_vote_that_does_not_settle_says_what_is_missing() {
        let mut approval = approval();
        let factor = approval.requirements.first_mut().unwrap().factors.first_mut().unwrap();
        (factor.count, factor.met) = (2, 1);
        let answer = VoteResponse { approval: Some(approval), leases: Vec::new() };
        assert_eq!(outcome(&answer), "your vote on ap_7k3m0000deadbeef counts; 1 more needed");
    }

    #[test]
    fn an_approval_for_a_session_asks_about_its_time() {
        let mut approval = approval();
        approval.may_remember = true;
        approval.session = Some(time::span_to_proto(Duration::from_mins(30)));
        let question = |kind| approve_question(&approval, kind, true).unwrap();
        assert_eq!(question(GrantKind::Session), "Approve, and remember it for 30m?");
        assert_eq!(question(GrantKind::Lease), "Approve?");
    }
}
