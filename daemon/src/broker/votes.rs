//! People's answers to approvals, and what follows from them.

use std::sync::Arc;

use vouchsafe_core::approval::{
    Approval, Approved, Ask, Ballot, Bar, Effect, ExpiryCause, How, Vote, VoteError,
};
use vouchsafe_core::audit::{Action, Via};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::{LeaseId, SecretId};
use vouchsafe_core::key::Scope;
use vouchsafe_core::lease::{Active, Lease};
use vouchsafe_core::text::visible_chars;

use super::approvals::{People, find_covered, view};
use super::asks::save_settled;
use super::changes::{Making, apply_voted};
use super::doors::live_user;
use super::messages::expire;
use super::policy::still_governed;
use super::sign_in::use_link;
use super::{
    ApprovalView, Broker, Code, Refused, Stop, VoteCommand, entries, policy_change, random,
};
use crate::policy_files::Loaded;
use crate::store::Tx;

/// The longest reason of a vote, in characters.
const VOTE_REASON_CHARS_MAX: usize = 2_000;

/// What a vote came to.
enum Voted {
    Counted {
        view: Box<ApprovalView>,
        leases: Vec<Lease>,
        /// Other asks that ended with the secret that the change deleted.
        ended: Vec<Approval>,
    },
    TooLate(Box<Approval>),
}

impl Broker {
    /// Takes one person's answer. What follows from it is saved with it: the leases exist, and a
    /// change is made, in the same transaction.
    pub async fn vote(
        &self,
        user: &User,
        command: VoteCommand,
    ) -> Result<(ApprovalView, Vec<Lease>), Refused> {
        let subject = entries::by_user(Action::APPROVAL_VOTED, user);
        if let Err(refused) = check_vote(&command) {
            return Err(self.refuse(subject, refused).await);
        }
        let mut leases = Vec::new();
        for _ in 0..vouchsafe_core::approval::ITEMS_MAX {
            leases.push(LeaseId::from_random(random()?));
        }
        let ids = Ids { leases, secret: SecretId::from_random(random()?) };
        let denies = matches!(command.ballot, Ballot::Deny);
        let (user, policy) = (user.clone(), Arc::clone(&self.inner.policy));
        let (reading, making) = (self.reading(), self.making());
        let work = move |tx: &mut Tx<'_>| {
            let voted = cast(tx, &user, &command, &ids, &policy.current(), &making)?;
            let applied = match &voted {
                Voted::Counted { view, .. } => {
                    policy_change::apply(tx, &user, &view.approval, &reading)?
                }
                Voted::TooLate(_) => None,
            };
            Ok((voted, applied))
        };
        let (voted, applied) = if denies {
            self.run_essential("vote", subject, work).await?
        } else {
            self.run("vote", subject, work).await?
        };
        if let Some(applied) = applied {
            self.applied(applied).await?;
        }
        match voted {
            Voted::Counted { view, leases, ended } => {
                for approval in &ended {
                    self.settled(approval);
                }
                match &view.approval {
                    // One vote more, and more are needed.
                    Approval::Pending(pending) => self.inner.wakes.wake(pending.ask.id),
                    settled => self.settled(settled),
                }
                self.inner.count.leased(u64::try_from(leases.len()).unwrap_or(u64::MAX));
                Ok((*view, leases))
            }
            Voted::TooLate(approval) => {
                self.settled(&approval);
                Err(too_late(&approval))
            }
        }
    }
}

/// The ids of what may come of an answer.
struct Ids {
    leases: Vec<LeaseId>,
    secret: SecretId,
}

/// What somebody is told whose answer comes after the decision.
pub(super) fn settled_already(approval: &Approval) -> Refused {
    let how = match approval {
        Approval::Pending(_) => "is pending".to_owned(),
        Approval::Approved(approved) => {
            let names: Vec<_> = approved.votes.iter().map(|v| v.voter_name.as_str()).collect();
            let by = match &approved.how {
                How::People => names.join(", "),
                How::Automatic { .. } => "its rule, whose conditions came to hold,".to_owned(),
                How::Session { .. } => "a session that people gave its key".to_owned(),
                How::BreakGlass { by, .. } => format!("{by}, who broke the glass,"),
            };
            format!("was approved by {by} at {}", approved.at)
        }
        Approval::Denied(denied) => format!("was denied by {} at {}", denied.by, denied.at),
        Approval::Expired(expired) => {
            format!("expired at {}: {}", expired.at, expired.cause.explain())
        }
        Approval::Withdrawn(gone) => format!("was taken back by {} at {}", gone.by, gone.at),
    };
    let code = match approval {
        Approval::Expired(_) => Code::ApprovalExpired,
        Approval::Pending(_)
        | Approval::Approved(_)
        | Approval::Denied(_)
        | Approval::Withdrawn(_) => Code::ApprovalSettled,
    };
    let next = match &approval.ask().change {
        None => "The decision stands; `vouchsafe leases revoke` takes a lease back.",
        Some(_) => {
            "The decision stands; `vouchsafe secrets rollback` and `undelete` take a change back."
        }
    };
    Refused::new(code, format!("the approval {} {how}", approval.ask().id), next)
}

fn too_late(approval: &Approval) -> Refused {
    let mut refused = settled_already(approval);
    "The answer came too late and did not count; the agent can ask again."
        .clone_into(&mut refused.next);
    refused
}

fn check_vote(command: &VoteCommand) -> Result<(), Refused> {
    let length = command.reason.chars().count();
    if length > VOTE_REASON_CHARS_MAX {
        return Err(Refused::invalid(
            format!("the reason has {length} characters, and {VOTE_REASON_CHARS_MAX} is the most"),
            "Say it more briefly.",
        ));
    }
    let denies = matches!(command.ballot, Ballot::Deny);
    if denies && visible_chars(&command.reason) == 0 {
        return Err(Refused::new(
            Code::ReasonNeeded,
            "a denial needs a reason, and it reaches the agent",
            "Answer again with a reason, such as \"use the staging database\".",
        ));
    }
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if command.rendering.as_deref().is_some_and(|text| !hex(text)) {
        return Err(Refused::invalid(
            "the rendering's digest is not 64 hexadecimal digits",
            "Leave it out, or send SHA-256 of what was shown.",
        ));
    }
    Ok(())
}

fn cast(
    tx: &mut Tx<'_>,
    user: &User,
    command: &VoteCommand,
    ids: &Ids,
    loaded: &Loaded,
    making: &Making,
) -> Result<Voted, Stop> {
    live_user(tx, user)?;
    let pending = match find_covered(tx, &user.reach, &command.id)? {
        Approval::Pending(pending) => pending,
        settled => return Err(settled_already(&settled).into()),
    };
    use_link(tx, user, &pending.ask)?;
    let pending = match expire(tx, pending)? {
        Approval::Pending(pending) => pending,
        expired => return too_late_to_count(tx, user, expired),
    };
    // A no is never too late for the rules; a yes is to what they ask for now.
    if matches!(command.ballot, Ballot::Approve(_)) && !still_governed(&pending, loaded) {
        let ended = pending.cut_short(ExpiryCause::RulesChanged, tx.now());
        return too_late_to_count(tx, user, ended);
    }
    if matches!(command.ballot, Ballot::Approve(_)) {
        check_proposer(tx, &pending.ask)?;
    }
    let vote = Vote {
        voter: user.id,
        voter_name: user.name.clone(),
        ballot: command.ballot.clone(),
        reason: command.reason.clone(),
        digest: command.digest.parse().map_err(|_| stale())?,
        rendering: command.rendering.clone(),
        via: user.identity.via().as_str().to_owned(),
        at: tx.now().wall,
    };
    let people = tx.directory(pending.ask.project)?;
    let of_rules = pending.ask.asker.key.is_none();
    let next = pending.vote(vote.clone(), &people, tx.now()).map_err(|error| match error {
        VoteError::Barred(Bar::OwnRequest) if of_rules => policy_change::own_change(),
        error => vote_refused(&error),
    })?;
    let id = next.ask().id;
    if !tx.save_approval(&next)? || !tx.insert_vote(id, &vote)? {
        return Err(Refused::internal().into());
    }
    tx.answered_deliveries(id, user.id, user.identity.via() == Via::Slack)?;
    let entry = entries::by_user(Action::APPROVAL_VOTED, user);
    tx.append(&entries::voted(entry, next.ask(), &vote))?;
    let leases = follow_up(tx, user, &next, &ids.leases)?;
    let (next, ended) = apply_voted(tx, making, user, next, ids.secret)?;
    let view = Box::new(view(tx, next, user, &People::at(tx.now().clone()))?);
    Ok(Voted::Counted { view, leases, ended })
}

/// Refuses to approve a change whose key may not make it now. A lease asks that with each use; a
/// change is made once, here.
fn check_proposer(tx: &Tx<'_>, ask: &Ask) -> Result<(), Stop> {
    let (Some(key), Some(change)) = (ask.asker.key, &ask.change) else { return Ok(()) };
    let scope = match change.effect {
        Effect::Write(_) => Scope::SecretsWrite,
        Effect::Delete => Scope::SecretsDelete,
    };
    let why = match tx.key(key)? {
        None => "is deleted".to_owned(),
        Some(record) if !record.key.enabled => "is disabled".to_owned(),
        Some(record) if record.key.settings.expires_at.is_some_and(|at| at <= tx.now().wall) => {
            "has expired".to_owned()
        }
        Some(record) if !record.key.scopes.allow(scope) => {
            format!("has lost the scope {}", scope.as_str())
        }
        Some(_) => return Ok(()),
    };
    Err(Refused::new(
        Code::AskerBarred,
        format!("the key `{}`, which proposes this, {why}", ask.asker.key_name),
        "Deny it; or give the key back what it lacks (`vouchsafe keys`) and answer again.",
    )
    .into())
}

/// What a decision brings with it: its own entry, and the leases.
fn follow_up(
    tx: &mut Tx<'_>,
    user: &User,
    next: &Approval,
    lease_ids: &[LeaseId],
) -> Result<Vec<Lease>, Stop> {
    let mut leases = Vec::new();
    match next {
        Approval::Denied(_) => {
            let entry = entries::by_user(Action::APPROVAL_DENIED, user);
            tx.append(&entries::settled(entry, next))?;
        }
        Approval::Approved(approved) => {
            let entry = entries::by_user(Action::APPROVAL_APPROVED, user);
            tx.append(&entries::settled(entry, next))?;
            for (allowance, id) in approved.allowances().zip(lease_ids) {
                let lease = Active::issue(*id, allowance, tx.now());
                tx.insert_lease(&lease)?;
                let entry = entries::by_user(Action::LEASE_ISSUED, user);
                tx.append(&entries::about_lease(entry, &lease))?;
                leases.push(Lease::Active(lease));
            }
            remember(tx, user, approved)?;
        }
        Approval::Pending(_) | Approval::Expired(_) | Approval::Withdrawn(_) => {}
    }
    Ok(leases)
}

/// Begins the sessions that people gave with an approval.
fn remember(tx: &mut Tx<'_>, user: &User, approved: &Approved) -> Result<(), Stop> {
    let Some(key) = approved.ask.asker.key else { return Ok(()) };
    let (Some(standing), Some(settings)) = (tx.key_standing(key)?, tx.key_settings(key)?) else {
        return Ok(());
    };
    for session in approved.sessions(standing.generation, settings.session, tx.now()) {
        tx.insert_session(&session)?;
        let entry = entries::by_user(Action::SESSION_STARTED, user);
        tx.append(&entries::about_session(entry, &session))?;
    }
    Ok(())
}

fn too_late_to_count(tx: &mut Tx<'_>, user: &User, expired: Approval) -> Result<Voted, Stop> {
    save_settled(tx, &expired, Action::APPROVAL_EXPIRED)?;
    let entry = entries::by_user(Action::APPROVAL_VOTED, user);
    tx.append(&super::refusal(entries::about_ask(entry, expired.ask()), &too_late(&expired)))?;
    Ok(Voted::TooLate(Box::new(expired)))
}

fn vote_refused(error: &VoteError) -> Refused {
    let message = error.to_string();
    match error {
        VoteError::Expired => {
            Refused::new(Code::ApprovalExpired, message, "The agent can ask again.")
        }
        VoteError::Stale => stale(),
        VoteError::Stopped => Refused::new(
            Code::Stopped,
            message,
            "Deny it, or answer once somebody has resumed (`vouchsafe status` says who stopped it).",
        ),
        VoteError::NotRemembered(_) => Refused::new(
            Code::NotNarrower,
            message,
            "Approve it for a lease, or once; `remember = true` in the rule would allow a session.",
        ),
        VoteError::Barred(bar) => match bar {
            Bar::OwnRequest => Refused::new(
                Code::OwnRequest,
                "the key that asks is your own, and the rule does not allow self-approval",
                "Somebody else whom the rule names has to answer.",
            ),
            Bar::NotAnApprover => Refused::new(
                Code::NotAnApprover,
                "no rule of this ask names you as an approver",
                "`vouchsafe approvals show` says who may answer.",
            ),
            Bar::AlreadyVoted => Refused::new(
                Code::AlreadyVoted,
                "you have answered already, and a vote is final",
                "`vouchsafe approvals show` says what is still missing.",
            ),
        },
        VoteError::NoLease => Refused::new(
            Code::NotNarrower,
            message,
            "Answer again without --duration and --uses, or deny it.",
        ),
        VoteError::TooLong(_) | VoteError::TooShort | VoteError::TooManyUses(_) => {
            Refused::new(Code::NotNarrower, message, "Answer again within these limits.")
        }
        VoteError::NotAsked(_) | VoteError::NotYours(_) => Refused::new(
            Code::NotNarrower,
            message,
            "`--only` takes resources of this ask that you may answer for.",
        ),
        VoteError::NothingInCommon => {
            Refused::new(Code::NotNarrower, message, "Choose what the others chose, or deny.")
        }
    }
}

pub(super) fn stale() -> Refused {
    Refused::new(
        Code::StaleDigest,
        "the answer was given on something other than what is asked now",
        "Look at the approval again (`vouchsafe approvals show`) and answer that.",
    )
}
