//! What agents may do.

use std::time::Duration;

use vouchsafe_core::approval::{Approval, Pending, Status};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::{ApprovalId, LeaseId};
use vouchsafe_core::key::Scope;
use vouchsafe_core::lease::{Ending, Grant, Lease, RenewError};
use vouchsafe_core::policy::Verdict;
use vouchsafe_core::resource::{Operation, Pattern, Resource};

use super::asks::{
    Arguments, Asked, Plea, Wish, check_duration, check_reason_kind, check_reason_text,
    check_resources, expire_lease, need_scope, save_settled,
};
use super::doors::{live_agent, live_agent_at, unchanged_agent};
use super::emergency::check_not_stopped;
use super::gives::{Stand, given_freely, gives_freely};
use super::leases::find_lease;
use super::messages::expire;
use super::paging::by_name;
use super::{
    Access, AccessAsk, AwaitOutcome, Broker, Code, Needs, Page, Paged, Refused, Release,
    SecretListing, Stop, approvals, cause, entries, random, votes,
};
use crate::policy_files::Loaded;
use crate::store::{Reader, SecretRecord, Tx};
use crate::vault::Sealed;

/// What a transaction came to, and the approvals that were settled on the way: whoever waits for
/// one is to be told.
pub(super) struct Done<T> {
    pub(super) what: T,
    pub(super) settled: Vec<Approval>,
}

impl<T> Done<T> {
    pub(super) fn of(what: T) -> Self {
        Self { what, settled: Vec::new() }
    }
}

/// What a read came to inside the transaction; a value is opened after it.
enum Read {
    Granted { grant: Grant, sealed: Sealed, lease: Box<Lease> },
    Redacted { version: u64 },
    Asked(Asked),
}

/// What asking for access came to inside the transaction.
enum Reached {
    Leased(Vec<Lease>),
    Asked(Asked),
}

/// Where an approval stands inside the transaction.
enum Stands {
    Approved(Box<Approval>, Vec<Lease>),
    Asked(Asked),
}

impl Broker {
    /// The names of secrets that the rules do not keep from everybody, a page at a time.
    pub async fn list_secrets_for(
        &self,
        agent: &Agent,
        pattern: Option<Pattern>,
        page: Page,
    ) -> Result<Paged<SecretListing>, Refused> {
        let loaded = self.inner.policy.current();
        let subject = entries::by_agent(Action::SECRET_LISTED, agent);
        let (agent, entry) = (agent.clone(), subject.clone());
        self.run("list_secrets_for", subject, move |tx| {
            unchanged_agent(tx, &agent)?;
            need_scope(&agent, Scope::SecretsRead)?;
            let paged = by_name(
                &page,
                |after, limit| Ok(tx.secrets_after(agent.project, after, limit)?),
                |secret| secret.path.to_string(),
                |secret| Ok(listing(&agent, &loaded, pattern.as_ref(), &secret)),
            )?;
            tx.append(&entry.clone().detail("count", paged.items.len()))?;
            Ok(paged)
        })
        .await
    }

    /// Asks for a value: releases it under a lease, asks people, or tells what they said.
    pub async fn read_secret(
        &self,
        agent: &Agent,
        resource: &Resource,
        plea: Plea,
    ) -> Result<Release, Refused> {
        let subject = entries::by_agent(Action::SECRET_READ, agent).resource(resource);
        let subject = entries::worded(subject, agent, Operation::Read, &plea);
        let wish = self.wish(agent, Operation::Read, plea, 1, &subject).await?;
        let wanted = resource.clone();
        let done = self.run("read_secret", subject, move |tx| read(tx, &wish, &wanted)).await?;
        match self.told(done) {
            // The entry of this use is committed: only now is the value opened.
            Read::Granted { grant, sealed, lease } => {
                let value = self.inner.vault.open(&grant, &sealed).map_err(|error| {
                    tracing::error!(
                        error = cause(&error),
                        lease = %grant.lease(),
                        version = grant.version(),
                        "a sealed value does not open"
                    );
                    Refused::internal()
                })?;
                let (resource, version) = (resource.clone(), grant.version());
                Ok(Release::Value { resource, version, value, lease })
            }
            Read::Redacted { version } => {
                Ok(Release::Redacted { resource: resource.clone(), version })
            }
            Read::Asked(asked) => {
                Ok(self.tell(asked).map_or_else(Release::Settled, Release::Pending))
            }
        }
    }

    /// Asks for leases on several resources with one approval.
    pub async fn request_access(&self, agent: &Agent, ask: AccessAsk) -> Result<Access, Refused> {
        let AccessAsk { resources, operation, plea } = ask;
        let subject =
            entries::by_agent(Action::APPROVAL_REQUESTED, agent).resources(resources.iter());
        let subject = entries::worded(subject, agent, operation, &plea);
        let checked = check_resources(&resources).and_then(|()| match operation {
            Operation::Read => need_scope(agent, Scope::SecretsReveal),
            Operation::Use => need_scope(agent, Scope::SecretsRead),
            Operation::List | Operation::Write | Operation::Delete | Operation::Call => {
                Err(Refused::invalid(
                    format!("a lease is for `read` or `use`, not for `{}`", operation.as_str()),
                    "Call again with one of these; `write_secret`, `rotate_secret` and \
                     `delete_secret` propose a change.",
                ))
            }
        });
        if let Err(refused) = checked {
            return Err(self.refuse(subject, refused).await);
        }
        let count = resources.len();
        let wish = self.wish(agent, operation, plea, count, &subject).await?;
        let done =
            self.run("request_access", subject, move |tx| access(tx, &wish, &resources)).await?;
        Ok(match self.told(done) {
            Reached::Leased(leases) => Access::Leased(leases),
            Reached::Asked(asked) => self.tell(asked).map_or_else(Access::Settled, Access::Pending),
        })
    }

    /// Tells whoever waits for an approval that was settled on the way.
    pub(super) fn told<T>(&self, done: Done<T>) -> T {
        for approval in &done.settled {
            self.settled(approval);
        }
        done.what
    }

    /// Tells whoever watches what came of asking: people are asked, or it was not granted.
    pub(super) fn tell(&self, asked: Asked) -> Result<Box<Pending>, Box<Approval>> {
        match asked {
            Asked::Pending(pending) => {
                self.inner.wakes.wake(pending.ask.id);
                Ok(pending)
            }
            Asked::Settled(approval) => Err(approval),
            Asked::Expired(approval) => {
                self.settled(&approval);
                Err(approval)
            }
        }
    }

    /// Where one of the agent's own approvals stands. One that was not granted counts as told.
    pub async fn await_approval(&self, agent: &Agent, id: &str) -> Result<AwaitOutcome, Refused> {
        let subject = entries::by_agent(Action::APPROVAL_JOINED, agent);
        let (agent, id) = (agent.clone(), id.to_owned());
        // It gives nothing, and a denial that nobody is told of is of little use on a full disk.
        let stands = self.run_essential("await_approval", subject, move |tx| {
            live_agent(tx, &agent)?;
            let approval = own_approval(tx, &agent, &id)?;
            match approval {
                Approval::Pending(pending) => match expire(tx, pending)? {
                    Approval::Pending(pending) => {
                        Ok(Stands::Asked(Asked::Pending(Box::new(pending))))
                    }
                    expired => {
                        save_settled(tx, &expired, Action::APPROVAL_EXPIRED)?;
                        tx.mark_told(expired.ask().id, tx.now().wall)?;
                        Ok(Stands::Asked(Asked::Expired(Box::new(expired))))
                    }
                },
                Approval::Approved(_) => {
                    // What came of a change is told once to whoever asks for it again.
                    if approval.ask().change.is_some() {
                        tx.mark_told(approval.ask().id, tx.now().wall)?;
                    }
                    let leases = tx.leases_of(approval.ask().id)?;
                    Ok(Stands::Approved(Box::new(approval), leases))
                }
                Approval::Denied(_) | Approval::Expired(_) | Approval::Withdrawn(_) => {
                    tx.mark_told(approval.ask().id, tx.now().wall)?;
                    Ok(Stands::Asked(Asked::Settled(Box::new(approval))))
                }
            }
        });
        Ok(match stands.await? {
            Stands::Approved(approval, leases) => AwaitOutcome::Approved { approval, leases },
            Stands::Asked(Asked::Pending(pending)) => AwaitOutcome::Pending(pending),
            Stands::Asked(asked) => {
                self.tell(asked).map_or_else(AwaitOutcome::Settled, AwaitOutcome::Pending)
            }
        })
    }

    /// Takes one of the agent's own asks back.
    pub async fn withdraw_approval(&self, agent: &Agent, id: &str) -> Result<Approval, Refused> {
        let subject = entries::by_agent(Action::APPROVAL_WITHDRAWN, agent);
        let (agent, id, entry) = (agent.clone(), id.to_owned(), subject.clone());
        let approval = self
            .run_essential("withdraw_approval", subject, move |tx| {
                live_agent(tx, &agent)?;
                let approval = own_approval(tx, &agent, &id)?;
                let Approval::Pending(pending) = approval else {
                    return Err(votes::settled_already(&approval).into());
                };
                let approval = pending.withdraw(agent.name.as_str(), tx.now());
                if !tx.save_approval(&approval)? {
                    return Err(Refused::internal().into());
                }
                tx.mark_told(approval.ask().id, tx.now().wall)?;
                tx.append(&entries::settled(entry.clone(), &approval))?;
                Ok(approval)
            })
            .await?;
        self.settled(&approval);
        Ok(approval)
    }

    /// The agent's own active leases.
    pub async fn list_leases_for(&self, agent: &Agent) -> Result<Vec<Lease>, Refused> {
        let agent = agent.clone();
        let now = self.now();
        self.look("list_leases_for", move |reader| {
            live_agent_at(reader, &agent, now.wall)?;
            let leases = reader.active_leases_of(agent.key)?;
            Ok(leases.into_iter().filter(|l| !l.deadline.passed(&now)).map(Lease::Active).collect())
        })
        .await
    }

    /// Makes one of the agent's own leases last longer, as far as its limit reaches.
    pub async fn renew_lease(
        &self,
        agent: &Agent,
        id: &str,
        duration: Option<Duration>,
    ) -> Result<Lease, Refused> {
        let subject = entries::by_agent(Action::LEASE_RENEWED, agent);
        if let Err(refused) = check_duration(duration) {
            return Err(self.refuse(subject, refused).await);
        }
        let loaded = self.inner.policy.current();
        let (agent, id, entry) = (agent.clone(), id.to_owned(), subject.clone());
        self.run("renew_lease", subject, move |tx| {
            unchanged_agent(tx, &agent)?;
            check_not_stopped(tx, agent.project, agent.key)?;
            let lease = match own_lease(tx, &agent, &id)? {
                Lease::Active(active) => active,
                ended @ Lease::Ended(_) => return Err(ended_already(&ended).into()),
            };
            let terms = &lease.terms;
            let rules = loaded.of(&agent.project_name);
            let goes_on = match rules.decide(&terms.resource, terms.operation) {
                Verdict::Refused(_) => false,
                Verdict::Ruled(rule) if terms.observed => rule.is_observed(),
                Verdict::Ruled(rule) => {
                    !given_freely(&lease) || gives_freely(rule, &agent, terms.operation)
                }
            };
            if !goes_on {
                return Err(Refused::new(
                    Code::PolicyRefused,
                    "the rules no longer give what this lease is for without a new ask",
                    "It cannot be renewed; ask anew with `read_secret` or `request_access`.",
                )
                .into());
            }
            let lease = lease.renew(agent.key, duration, tx.now()).map_err(renew_refused)?;
            let next = Lease::Active(lease);
            if !tx.save_lease(&next)? {
                return Err(Refused::internal().into());
            }
            tx.append(&entries::about_lease(entry.clone(), next.last()))?;
            Ok(next)
        })
        .await
    }

    /// Gives one of the agent's own leases back.
    pub async fn release_lease(&self, agent: &Agent, id: &str) -> Result<Lease, Refused> {
        let subject = entries::by_agent(Action::LEASE_RELEASED, agent);
        let (agent, id, entry) = (agent.clone(), id.to_owned(), subject.clone());
        self.run_essential("release_lease", subject, move |tx| {
            live_agent(tx, &agent)?;
            let active = match own_lease(tx, &agent, &id)? {
                Lease::Active(active) => active,
                ended @ Lease::Ended(_) => return Err(ended_already(&ended).into()),
            };
            if active.deadline.passed(tx.now()) {
                let id = active.terms.id;
                expire_lease(tx, active)?;
                return tx.lease(id)?.ok_or_else(|| Refused::internal().into());
            }
            let ended = active.end(Ending::Released, tx.now(), Some(agent.name.to_string()), None);
            if !tx.save_lease(&ended)? {
                return Err(Refused::internal().into());
            }
            tx.append(&entries::lease_ended(entry.clone(), &ended))?;
            Ok(ended)
        })
        .await
    }

    /// Where an approval stands now, its time being up included; nothing where there is none.
    pub async fn status_of(&self, id: ApprovalId) -> Result<Option<Status>, Refused> {
        let now = self.now();
        self.look("status_of", move |reader| {
            Ok(reader.approval(id)?.map(|approval| match approval {
                Approval::Pending(pending) => pending.expire(&now).status(),
                settled => settled.status(),
            }))
        })
        .await
    }

    pub(super) async fn wish(
        &self,
        agent: &Agent,
        operation: Operation,
        plea: Plea,
        resources: usize,
        subject: &Entry,
    ) -> Result<Wish, Refused> {
        let Plea { reason, reason_kind, duration } = plea;
        let checked = check_reason_text(reason.as_deref()).and_then(|reason| {
            let reason_kind = check_reason_kind(reason_kind)?;
            check_duration(duration).map(|()| (reason, reason_kind))
        });
        let (reason, reason_kind) = match checked {
            Ok(checked) => checked,
            Err(refused) => return Err(self.refuse(subject.clone(), refused).await),
        };
        let mut ids = Vec::with_capacity(resources);
        for _ in 0..resources {
            ids.push((ApprovalId::from_random(random()?), LeaseId::from_random(random()?)));
        }
        Ok(Wish {
            agent: agent.clone(),
            operation,
            reason,
            reason_kind,
            requested: duration,
            arguments: Arguments::default(),
            loaded: self.inner.policy.current(),
            ids,
        })
    }

    /// Says in the log that this was refused, and hands the refusal back.
    pub(super) async fn refuse(&self, subject: Entry, refused: Refused) -> Refused {
        let answer = refused.clone();
        let logged = self.run::<(), _>("refuse", subject, move |_| Err(answer.clone().into()));
        // A refusal stands whether or not the log can take it.
        drop(logged.await);
        refused
    }
}

fn read(tx: &mut Tx<'_>, wish: &Wish, resource: &Resource) -> Result<Done<Read>, Stop> {
    unchanged_agent(tx, &wish.agent)?;
    check_not_stopped(tx, wish.agent.project, wish.agent.key)?;
    need_scope(&wish.agent, Scope::SecretsRead)?;
    let wanted = wish.want(tx, resource)?;
    let Some(secret) = wanted.secret.clone() else { return Err(Refused::internal().into()) };
    if !wish.agent.scopes.allow(Scope::SecretsReveal) {
        let entry = entries::by_agent(Action::SECRET_REDACTED, &wish.agent).resource(resource);
        tx.append(&entry.detail("version", secret.version))?;
        return Ok(Done::of(Read::Redacted { version: secret.version }));
    }
    let mut settled = Vec::new();
    let lease = match wish.stand(tx, &wanted)? {
        Stand::Leased(lease) => *lease,
        Stand::Given(given) => wish.give(tx, 0, &wanted, given, &mut settled)?,
        Stand::Asks(outcomes) => {
            return Ok(Done::of(Read::Asked(wish.ask(tx, &[(wanted, outcomes)])?)));
        }
    };
    let entry = entries::by_agent(Action::SECRET_READ, &wish.agent);
    let (lease, grant) = wish.take(tx, lease, &wanted, entry)?;
    let sealed = tx.sealed_value(secret.id, grant.version())?.ok_or_else(Refused::internal)?;
    let (sealed, lease) = (Sealed::from_bytes(sealed), Box::new(lease));
    Ok(Done { what: Read::Granted { grant, sealed, lease }, settled })
}

fn access(tx: &mut Tx<'_>, wish: &Wish, resources: &[Resource]) -> Result<Done<Reached>, Stop> {
    unchanged_agent(tx, &wish.agent)?;
    check_not_stopped(tx, wish.agent.project, wish.agent.key)?;
    let (mut leases, mut given, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for (index, resource) in resources.iter().enumerate() {
        let wanted = wish.want(tx, resource)?;
        match wish.stand(tx, &wanted)? {
            Stand::Leased(lease) => leases.push((index, *lease)),
            Stand::Given(why) => given.push((index, wanted, why)),
            Stand::Asks(outcomes) => open.push((wanted, outcomes)),
        }
    }
    // What nobody is asked for is given once people have answered for the rest: its time runs.
    if !open.is_empty() {
        return Ok(Done::of(Reached::Asked(wish.ask(tx, &open)?)));
    }
    let mut settled = Vec::new();
    for (index, wanted, why) in given {
        leases.push((index, wish.give(tx, index, &wanted, why, &mut settled)?));
    }
    leases.sort_by_key(|(index, _)| *index);
    let leases = leases.into_iter().map(|(_, lease)| Lease::Active(lease)).collect();
    Ok(Done { what: Reached::Leased(leases), settled })
}

/// A secret as agents see it; nothing where the rules keep even its name.
fn listing(
    agent: &Agent,
    loaded: &Loaded,
    pattern: Option<&Pattern>,
    secret: &SecretRecord,
) -> Option<SecretListing> {
    let resource = secret.resource();
    if pattern.is_some_and(|pattern| !pattern.matches(&resource)) {
        return None;
    }
    let rules = loaded.of(&agent.project_name);
    if let Verdict::Refused(_) = rules.decide(&resource, Operation::List) {
        return None;
    }
    let ruled = |operation| match rules.decide(&resource, operation) {
        Verdict::Ruled(rule) => Some(rule),
        Verdict::Refused(_) => None,
    };
    let needs = match ruled(Operation::Read) {
        None => Needs::Refused,
        Some(rule) if rule.is_observed() => Needs::Nothing,
        Some(rule) if gives_freely(rule, agent, Operation::Read) => Needs::Nothing,
        Some(_) => Needs::Approval,
    };
    Some(SecretListing {
        uri: resource.to_string(),
        description: secret.description.clone(),
        version: secret.version,
        needs,
        operations: Operation::ALL.into_iter().filter(|o| ruled(*o).is_some()).collect(),
    })
}

fn own_approval(reader: &Reader<'_>, agent: &Agent, id: &str) -> Result<Approval, Stop> {
    let approval = approvals::find(reader, id)?;
    if approval.ask().asker.key == Some(agent.key) {
        Ok(approval)
    } else {
        // Whether another key has such an approval is none of this agent's business.
        Err(approvals::not_found(id).into())
    }
}

fn own_lease(reader: &Reader<'_>, agent: &Agent, id: &str) -> Result<Lease, Stop> {
    let lease = find_lease(reader, id)?;
    if lease.terms().holder == agent.key {
        Ok(lease)
    } else {
        Err(super::leases::not_found(id).into())
    }
}

fn ended_already(lease: &Lease) -> Refused {
    let how = match lease {
        Lease::Active(_) => "active",
        Lease::Ended(ended) => ended.how.as_str(),
    };
    Refused::new(
        Code::LeaseEnded,
        format!("the lease {} has ended ({how})", lease.terms().id),
        "Ask anew: call `read_secret` or `request_access`.",
    )
}

fn renew_refused(error: RenewError) -> Refused {
    let (code, next) = match error {
        RenewError::NotHolder => (Code::NotYours, ""),
        RenewError::Expired => {
            (Code::LeaseEnded, "Ask anew: call `read_secret` or `request_access`.")
        }
        RenewError::AtLimit | RenewError::SingleUse => {
            (Code::LeaseAtLimit, "Use it while it lasts, then ask anew.")
        }
    };
    Refused::new(code, error.to_string(), next)
}
