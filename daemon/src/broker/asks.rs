//! What an ask goes through, inside one transaction: the rules, the lease that covers it, the
//! equal ask that it joins, or a new approval.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe_core::approval::{
    Allowance, Approval, Ask, Asker, History, ITEMS_MAX, Item, Limits, Pending,
};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::{ApprovalId, LeaseId};
use vouchsafe_core::key::Scope;
use vouchsafe_core::lease::{Active, Claim, Grant, Lease, TakeError};
use vouchsafe_core::policy::{Refusal, Rule, RuleSet, Verdict};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::text::Reason;

use super::{Code, Refused, Stop, entries};
use crate::policy_files::Loaded;
use crate::store::{SecretRecord, Tx};

/// Approvals of one key that may be pending at once.
const PENDING_MAX: u32 = 100;
/// How long an agent that was away is still told that it did not get what it asked for.
const TELL_FOR: Duration = Duration::from_hours(1);

/// What an agent wants, the same for all resources of one ask.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) agent: Agent,
    pub(super) operation: Operation,
    pub(super) reason: Option<Reason>,
    pub(super) requested: Option<Duration>,
    pub(super) loaded: Arc<Loaded>,
    /// The id of the approval, if this becomes one.
    pub(super) approval: ApprovalId,
    /// Ids for leases that nobody has to approve, as many as there are resources.
    pub(super) leases: Vec<LeaseId>,
}

/// A resource that exists and that the rules do not refuse.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) secret: SecretRecord,
    pub(super) rule: Rule,
}

/// What an ask came to.
#[derive(Debug)]
pub(super) enum Asked {
    Pending(Box<Pending>),
    Settled(Box<Approval>),
    /// It was found to have expired just now: whoever waits for it is to be told.
    Expired(Box<Approval>),
}

impl Wish {
    fn rules(&self) -> &RuleSet {
        &self.loaded.set
    }

    /// Asks the rules about one resource, and looks it up.
    pub(super) fn want(&self, tx: &Tx<'_>, resource: &Resource) -> Result<Wanted, Stop> {
        let rule = match self.rules().decide(resource, self.operation) {
            Verdict::Ruled(rule) => rule.clone(),
            Verdict::Refused(refusal) => {
                return Err(refused_by_rules(resource, self.operation, &refusal).into());
            }
        };
        let Resource::Secret(path) = resource else {
            return Err(Refused::invalid(
                format!("{resource} is not a secret"),
                "Ask for a secret: `list_secrets` shows which there are.",
            )
            .into());
        };
        match tx.secret_at(self.agent.project, path)? {
            Some(secret) => Ok(Wanted { secret, rule }),
            None => Err(Refused::new(
                Code::SecretNotFound,
                format!("there is no secret {resource}"),
                "`list_secrets` shows which there are.",
            )
            .into()),
        }
    }

    /// A lease that covers the resource now: one that the key holds, or a new one where the rule
    /// asks nobody.
    pub(super) fn cover(
        &self,
        tx: &mut Tx<'_>,
        index: usize,
        wanted: &Wanted,
    ) -> Result<Option<Active>, Stop> {
        let resource = wanted.secret.resource();
        let claim = self.claim(&resource, &wanted.secret);
        for lease in tx.usable_leases(self.agent.key, &resource, self.operation)? {
            match lease.check(&claim, tx.now()) {
                Ok(()) => return Ok(Some(lease)),
                Err(TakeError::Expired) => expire_lease(tx, lease)?,
                Err(TakeError::NotForThis | TakeError::Rotated | TakeError::Refused) => {}
            }
        }
        if wanted.rule.quorum().is_some() {
            return Ok(None);
        }
        check_reason(&wanted.rule, self.reason.as_ref())?;
        let id = self.leases.get(index).copied().ok_or_else(Refused::internal)?;
        let allowance = Allowance {
            project: self.agent.project,
            project_name: self.agent.project_name.clone(),
            approval: None,
            holder: self.agent.key,
            holder_name: self.agent.name.to_string(),
            item: item(wanted),
            operation: self.operation,
            arguments: None,
            observed: wanted.rule.is_observed(),
            limits: Limits::of(&wanted.rule, self.requested),
        };
        let lease = Active::issue(id, allowance, tx.now());
        tx.insert_lease(&lease)?;
        let entry = entries::by_agent(Action::LEASE_ISSUED, &self.agent);
        let entry = match &self.reason {
            Some(reason) => entry.detail("reason", reason.shown().text),
            None => entry,
        };
        tx.append(&entries::about_lease(entry, &lease))?;
        Ok(Some(lease))
    }

    /// Uses a lease once.
    pub(super) fn take(
        &self,
        tx: &mut Tx<'_>,
        lease: Active,
        secret: &SecretRecord,
    ) -> Result<(Lease, Grant), Stop> {
        let resource = secret.resource();
        let claim = self.claim(&resource, secret);
        // `cover` has asked the lease in this same transaction.
        let (next, grant) = lease.take(&claim, tx.now()).map_err(|_| Refused::internal())?;
        let saved = match &next {
            Lease::Active(_) => tx.save_lease_use(&next)?,
            Lease::Ended(_) => tx.save_lease(&next)?,
        };
        if !saved {
            return Err(Refused::internal().into());
        }
        let entry = entries::by_agent(Action::SECRET_READ, &self.agent);
        tx.append(&entries::about_lease(entry, next.last()).detail("version", secret.version))?;
        if let Lease::Ended(_) = &next {
            let entry = entries::by_system(Action::LEASE_EXHAUSTED);
            tx.append(&entries::lease_ended(entry, &next))?;
        }
        Ok((next, grant))
    }

    /// Joins the equal ask that is pending, tells of the one that was not granted, or asks people.
    pub(super) fn ask(&self, tx: &mut Tx<'_>, wanted: &[Wanted]) -> Result<Asked, Stop> {
        let ask = self.draft(tx, wanted)?;
        let join_key = ask.join_key();
        if let Some(pending) = tx.pending_approval(&join_key)? {
            match pending.expire(tx.now()) {
                Approval::Pending(pending) => return self.join(tx, pending),
                expired => {
                    save_settled(tx, &expired, Action::APPROVAL_EXPIRED)?;
                    tx.mark_told(expired.ask().id, tx.now().wall)?;
                    return Ok(Asked::Expired(Box::new(expired)));
                }
            }
        }
        let since = tx.now().wall.minus(TELL_FOR);
        if let Some(settled) = tx.untold_approval(&join_key, since)? {
            tx.mark_told(settled.ask().id, tx.now().wall)?;
            return Ok(Asked::Settled(Box::new(settled)));
        }
        for wanted in wanted {
            check_reason(&wanted.rule, self.reason.as_ref())?;
        }
        let (pending, _) = tx.count_asks(self.agent.key, tx.now().wall)?;
        if pending >= PENDING_MAX {
            return Err(Refused::new(
                Code::TooManyPending,
                format!("{pending} asks of this key wait for people already"),
                "Wait for answers with `await_approval`, or take some back with `withdraw_approval`.",
            )
            .into());
        }
        let entry = entries::by_agent(Action::APPROVAL_REQUESTED, &self.agent);
        let entry = entries::asked(entry, &ask);
        let pending = Pending::new(ask);
        if !tx.insert_approval(&pending)? {
            return Err(Refused::internal().into());
        }
        tx.append(&entry)?;
        Ok(Asked::Pending(Box::new(pending)))
    }

    fn join(&self, tx: &mut Tx<'_>, pending: Pending) -> Result<Asked, Stop> {
        let entry = entries::by_agent(Action::APPROVAL_JOINED, &self.agent);
        let mut entry = entries::about_ask(entry, &pending.ask);
        if let Some(reason) =
            self.reason.as_ref().filter(|r| pending.ask.reason.as_ref() != Some(r))
        {
            entry = entry.detail("reason", reason.shown().text);
        }
        tx.append(&entry)?;
        Ok(Asked::Pending(Box::new(pending)))
    }

    fn draft(&self, tx: &Tx<'_>, wanted: &[Wanted]) -> Result<Ask, Stop> {
        let now = tx.now();
        let agent = &self.agent;
        let pending_for = wanted.iter().map(|w| w.rule.pending_for).min().unwrap_or_default();
        let (_, asks_today) = tx.count_asks(agent.key, now.wall.midnight())?;
        let mut had_before = true;
        for wanted in wanted {
            had_before = had_before && tx.had_lease(agent.key, &wanted.secret.resource())?;
        }
        Ok(Ask {
            id: self.approval,
            project: agent.project,
            project_name: agent.project_name.clone(),
            asker: Asker {
                key: Some(agent.key),
                key_name: agent.name.to_string(),
                owner: Some(agent.owner),
                owner_name: agent.owner_name.clone(),
                claims: agent.claims.clone(),
            },
            operation: self.operation,
            items: wanted.iter().map(item).collect(),
            arguments: "{}".to_owned(),
            reason: self.reason.clone(),
            reason_kind: None,
            requested: self.requested,
            asked_at: now.wall,
            deadline: now.deadline(pending_for),
            rule_set: self.rules().digest().to_string(),
            history: History { had_before, asks_today: asks_today.saturating_add(1) },
        })
    }

    fn claim<'a>(&'a self, resource: &'a Resource, secret: &SecretRecord) -> Claim<'a> {
        Claim {
            holder: self.agent.key,
            resource,
            operation: self.operation,
            secret: Some(secret.id),
            version: secret.version,
            arguments: None,
            rules: self.rules(),
        }
    }
}

/// Checks what an agent wrote and asks for before a transaction is spent on it.
pub(super) fn check_reason_text(reason: Option<&str>) -> Result<Option<Reason>, Refused> {
    let Some(text) = reason.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let reason = Reason::parse(text).map_err(|error| {
        Refused::invalid(error.to_string(), "Give the reason in one or two plain sentences.")
    })?;
    Ok(Some(reason))
}

/// Checks a duration that an agent asks for.
pub(super) fn check_duration(duration: Option<Duration>) -> Result<(), Refused> {
    match duration {
        Some(duration) if duration < Duration::from_secs(1) => Err(Refused::invalid(
            "a lease lasts at least a second",
            "Ask for a longer duration, such as 15m, or leave it out.",
        )),
        _ => Ok(()),
    }
}

/// Checks that a list of resources is one ask.
pub(super) fn check_resources(resources: &[Resource]) -> Result<(), Refused> {
    if resources.is_empty() || resources.len() > ITEMS_MAX {
        return Err(Refused::invalid(
            format!(
                "an ask is about 1 to {ITEMS_MAX} resources, and this one has {}",
                resources.len()
            ),
            "Split the ask.",
        ));
    }
    for (index, resource) in resources.iter().enumerate() {
        if resources.iter().take(index).any(|earlier| earlier == resource) {
            return Err(Refused::invalid(
                format!("{resource} is in the list twice"),
                "Name each resource once.",
            ));
        }
    }
    Ok(())
}

/// Refuses an agent whose key lacks a scope.
pub(super) fn need_scope(agent: &Agent, scope: Scope) -> Result<(), Refused> {
    if agent.scopes.allow(scope) {
        return Ok(());
    }
    let own: Vec<_> = agent.scopes.iter().map(Scope::as_str).collect();
    Err(Refused::new(
        Code::ScopeNeeded,
        format!("this needs the scope {scope}; the key `{}` has {}", agent.name, own.join(", ")),
        format!("An operator can add it with `vouchsafe keys update {} --scopes ..`.", agent.name),
    ))
}

/// Ends a lease whose time is up.
pub(super) fn expire_lease(tx: &mut Tx<'_>, lease: Active) -> Result<(), Stop> {
    let lease = lease.expire(tx.now());
    if let ended @ Lease::Ended(_) = lease
        && tx.save_lease(&ended)?
    {
        let entry = entries::by_system(Action::LEASE_EXPIRED);
        tx.append(&entries::lease_ended(entry, &ended))?;
    }
    Ok(())
}

/// Saves an approval that ended by itself.
pub(super) fn save_settled(
    tx: &mut Tx<'_>,
    approval: &Approval,
    action: Action,
) -> Result<(), Stop> {
    if tx.save_approval(approval)? {
        tx.append(&entries::settled(entries::by_system(action), approval))?;
    }
    Ok(())
}

fn item(wanted: &Wanted) -> Item {
    Item {
        resource: wanted.secret.resource(),
        secret: Some(wanted.secret.id),
        version: wanted.secret.version,
        description: wanted.secret.description.clone(),
        rule: wanted.rule.clone(),
    }
}

fn check_reason(rule: &Rule, reason: Option<&Reason>) -> Result<(), Refused> {
    rule.check_reason(reason, None).map_err(|needed| {
        let code = if reason.is_none() { Code::ReasonNeeded } else { Code::ReasonTooShort };
        Refused::new(
            code,
            format!("{needed} (rule \"{}\")", rule.name),
            "Call again with a `reason` that tells a person what this is for.",
        )
    })
}

fn refused_by_rules(resource: &Resource, operation: Operation, refusal: &Refusal<'_>) -> Refused {
    let operation = operation.as_str();
    let message = match refusal {
        Refusal::NoRule => format!("no rule is for {resource}, and what no rule is for is refused"),
        Refusal::Denied { rule } => {
            format!("the rule \"{}\" denies {operation} on {resource}", rule.name)
        }
        Refusal::OperationNotCovered { rule } => {
            format!("the rule \"{}\" does not cover {operation} on {resource}", rule.name)
        }
    };
    Refused::new(
        Code::PolicyRefused,
        message,
        "Nobody can approve this; an operator would have to change the rules.",
    )
}
