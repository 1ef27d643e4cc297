//! What an ask goes through, inside one transaction: the rules, the lease that covers it, the
//! equal ask that it joins, or a new approval.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vouchsafe_core::approval::{
    ARGUMENTS_BYTES_MAX, Approval, ArgumentsHash, Ask, Asker, History, ITEMS_MAX, Item, Pending,
};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::{ApprovalId, LeaseId};
use vouchsafe_core::key::{CallTraits, Scope};
use vouchsafe_core::lease::{Active, Claim, Grant, Lease};
use vouchsafe_core::policy::{
    Circumstances, Outcome, ReasonNeeded, Refusal, Rule, RuleSet, Verdict,
};
use vouchsafe_core::resource::{Operation, Resource};
use vouchsafe_core::text::{Reason, echo};
use vouchsafe_core::time::UnixTime;

use super::messages::{alarm_unreached, expire};
use super::{Code, Refused, Stop, entries, scope_needed};
use crate::policy_files::Loaded;
use crate::store::{SecretRecord, Tx};

/// Approvals of one key that may be pending at once.
const PENDING_MAX: u32 = 100;
/// How long an agent that was away is still told that it did not get what it asked for.
const TELL_FOR: Duration = Duration::from_hours(1);

/// What an agent says with an ask.
#[derive(Clone, Debug, Default)]
pub struct Plea {
    /// Why, in its words.
    pub reason: Option<String>,
    /// Which of the rule's kinds of reason that is.
    pub reason_kind: Option<String>,
    /// How long it would like it for.
    pub duration: Option<Duration>,
}

/// The arguments of a call, in both of their forms.
#[derive(Clone, Debug)]
pub(super) struct Arguments {
    value: Value,
    canonical: String,
}

/// What an agent wants, the same for all resources of one ask.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) agent: Agent,
    pub(super) operation: Operation,
    pub(super) reason: Option<Reason>,
    pub(super) reason_kind: Option<String>,
    pub(super) requested: Option<Duration>,
    pub(super) arguments: Arguments,
    pub(super) loaded: Arc<Loaded>,
    /// An approval and a lease for each resource, should it become one. People are asked under the
    /// first.
    pub(super) ids: Vec<(ApprovalId, LeaseId)>,
}

/// A resource that exists and that the rules do not refuse.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'w> {
    pub(super) resource: Resource,
    /// The secret, where it is one.
    pub(super) secret: Option<SecretRecord>,
    pub(super) rule: &'w Rule,
}

/// What an ask came to.
#[derive(Debug)]
pub(super) enum Asked {
    Pending(Box<Pending>),
    Settled(Box<Approval>),
    /// It was found to have expired just now: whoever waits for it is to be told.
    Expired(Box<Approval>),
}

impl Default for Arguments {
    fn default() -> Self {
        Self { value: Value::Object(serde_json::Map::new()), canonical: "{}".to_owned() }
    }
}

impl Arguments {
    /// Reads them from JSON; refused where they are too long to be shown to anybody.
    pub(super) fn new(value: Value) -> Result<Self, Refused> {
        let canonical = serde_json_canonicalizer::to_string(&value)
            .ok()
            .filter(|text| text.len() <= ARGUMENTS_BYTES_MAX);
        let canonical = canonical.ok_or_else(|| {
            Refused::invalid("the arguments are too long", "Say less in them, and call again.")
        })?;
        Ok(Self { value, canonical })
    }

    /// What they are.
    pub(super) const fn value(&self) -> &Value {
        &self.value
    }

    /// Their canonical form (RFC 8785).
    pub(super) fn as_str(&self) -> &str {
        &self.canonical
    }
}

impl Wish {
    fn rules(&self) -> &RuleSet {
        self.loaded.of(&self.agent.project_name)
    }

    /// Asks the rules about one resource, and looks it up.
    pub(super) fn want(&self, tx: &Tx<'_>, resource: &Resource) -> Result<Wanted<'_>, Stop> {
        let rule = self.rule(resource)?;
        let secret = match resource {
            Resource::Secret(path) => {
                let secret = tx.secret_at(self.agent.project, path)?;
                Some(secret.ok_or_else(|| no_secret(resource))?)
            }
            Resource::Audit => None,
            Resource::Tool { .. } | Resource::Policy => {
                return Err(Refused::invalid(
                    format!("{resource} is not a secret"),
                    "Ask for a secret: `list_secrets` shows which there are.",
                )
                .into());
            }
        };
        Ok(Wanted { resource: resource.clone(), secret, rule })
    }

    /// [`Self::want`] for a secret that need not exist yet.
    pub(super) fn want_if_any(&self, tx: &Tx<'_>, resource: &Resource) -> Result<Wanted<'_>, Stop> {
        let rule = self.rule(resource)?;
        let secret = match resource {
            Resource::Secret(path) => tx.secret_at(self.agent.project, path)?,
            Resource::Tool { .. } | Resource::Audit | Resource::Policy => None,
        };
        Ok(Wanted { resource: resource.clone(), secret, rule })
    }

    fn rule(&self, resource: &Resource) -> Result<&Rule, Refused> {
        match self.rules().decide(resource, self.operation) {
            Verdict::Ruled(rule) => Ok(rule),
            Verdict::Refused(refusal) => Err(refused_by_rules(resource, self.operation, &refusal)),
        }
    }

    /// Uses a lease once, and says so in the log as `action`.
    pub(super) fn take(
        &self,
        tx: &mut Tx<'_>,
        lease: Active,
        wanted: &Wanted<'_>,
        entry: Entry,
    ) -> Result<(Lease, Grant), Stop> {
        let claim = self.claim(wanted);
        // `stand` has asked the lease in this same transaction.
        let (next, grant) = lease.take(&claim, tx.now()).map_err(|_| Refused::internal())?;
        let saved = match &next {
            Lease::Active(_) => tx.save_lease_use(&next)?,
            Lease::Ended(_) => tx.save_lease(&next)?,
        };
        if !saved {
            return Err(Refused::internal().into());
        }
        tx.append(&entries::about_lease(entry, next.last()))?;
        if let Lease::Ended(_) = &next {
            let entry = entries::by_system(Action::LEASE_EXHAUSTED);
            tx.append(&entries::lease_ended(entry, &next))?;
        }
        Ok((next, grant))
    }

    /// Joins the equal ask that is pending, tells of the one that was not granted, or asks people.
    /// Each resource comes with how its rule's conditions stand.
    pub(super) fn ask(
        &self,
        tx: &mut Tx<'_>,
        wanted: &[(Wanted<'_>, Vec<Outcome>)],
    ) -> Result<Asked, Stop> {
        let id = self.ids.first().ok_or_else(Refused::internal)?.0;
        let ask = self.draft(tx, id, wanted.iter().map(|(wanted, _)| wanted))?;
        let join_key = ask.join_key();
        if let Some(pending) = tx.pending_approval(&join_key)? {
            match expire(tx, pending)? {
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
        Ok(Asked::Pending(Box::new(self.ask_people(tx, ask, wanted)?)))
    }

    /// A new approval that waits for people.
    pub(super) fn ask_people(
        &self,
        tx: &mut Tx<'_>,
        ask: Ask,
        wanted: &[(Wanted<'_>, Vec<Outcome>)],
    ) -> Result<Pending, Stop> {
        self.check_may_ask(tx, wanted.iter().map(|(wanted, _)| wanted.rule))?;
        let entry = entries::by_agent(Action::APPROVAL_REQUESTED, &self.agent);
        let entry = entries::asked(entry, &ask).detail("level", self.agent.settings.level.as_str());
        let conditions = wanted.iter().flat_map(|(_, outcomes)| outcomes);
        let entry = entries::conditions(entry, conditions);
        let pending = Pending::new(ask);
        if !tx.insert_approval(&pending)? {
            return Err(Refused::internal().into());
        }
        tx.append(&entry)?;
        Ok(pending)
    }

    /// Refuses a new ask that lacks its reason, or that comes beside too many others.
    pub(super) fn check_may_ask<'r>(
        &self,
        tx: &Tx<'_>,
        rules: impl Iterator<Item = &'r Rule>,
    ) -> Result<(), Stop> {
        for rule in rules {
            self.check_reason(rule)?;
        }
        let (pending, _) = tx.count_asks(self.agent.key, tx.now().wall)?;
        // People were told of what was taken back, too: it makes no room to tell them of more.
        let hour = tx.now().wall.minus(Duration::from_hours(1));
        let withdrawn = tx.count_withdrawn(self.agent.key, hour)?;
        if pending.saturating_add(withdrawn) < PENDING_MAX {
            return Ok(());
        }
        let (message, next) = if withdrawn == 0 {
            let message = format!("{pending} asks of this key wait for people already");
            (message, "Wait for answers with `await_approval`, or ask for several at once.")
        } else {
            let message = format!(
                "{pending} asks of this key wait for people, and {withdrawn} were taken back \
                 within the hour"
            );
            (message, "Wait for answers with `await_approval`, and ask for less.")
        };
        Err(Refused::new(Code::TooManyPending, message, next).into())
    }

    /// Checks the reason by a rule.
    pub(super) fn check_reason(&self, rule: &Rule) -> Result<(), Refused> {
        let needed = rule.check_reason(self.reason.as_ref(), self.reason_kind.as_deref());
        needed.map_err(|needed| reason_needed(rule, &needed, self.reason.is_none()))
    }

    /// What the rules may look at.
    pub(super) fn circumstances<'a>(
        &'a self,
        wanted: &'a Wanted<'_>,
        now: UnixTime,
    ) -> Circumstances<'a> {
        Circumstances {
            key: self.agent.name.as_str(),
            owner: &self.agent.owner_name,
            level: self.agent.settings.level,
            resource: &wanted.resource,
            operation: self.operation,
            call: CallTraits::default(),
            reason: self.reason.as_ref(),
            reason_kind: self.reason_kind.as_deref(),
            arguments: &self.arguments.value,
            now,
        }
    }

    pub(super) fn draft<'a, 'w: 'a>(
        &self,
        tx: &Tx<'_>,
        id: ApprovalId,
        wanted: impl Iterator<Item = &'a Wanted<'w>>,
    ) -> Result<Ask, Stop> {
        let now = tx.now();
        let agent = &self.agent;
        let (_, asks_today) = tx.count_asks(agent.key, now.wall.midnight())?;
        let (mut had_before, mut pending_for, mut items) = (true, Duration::MAX, Vec::new());
        for wanted in wanted {
            had_before = had_before && tx.had_lease(agent.key, &wanted.resource)?;
            pending_for = pending_for.min(wanted.rule.pending_for);
            items.push(wanted.item());
        }
        Ok(Ask {
            id,
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
            items,
            arguments: self.arguments.canonical.clone(),
            change: None,
            reason: self.reason.clone(),
            reason_kind: self.reason_kind.clone(),
            requested: self.requested,
            asked_at: now.wall,
            deadline: now.deadline(pending_for),
            rule_set: self.rules().digest().to_string(),
            history: History { had_before, asks_today: asks_today.saturating_add(1) },
        })
    }

    pub(super) fn claim<'a>(&'a self, wanted: &'a Wanted<'_>) -> Claim<'a> {
        Claim {
            holder: self.agent.key,
            resource: &wanted.resource,
            operation: self.operation,
            secret: wanted.secret.as_ref().map(|secret| secret.id),
            version: wanted.version(),
            arguments: wanted.secret.is_none().then(|| ArgumentsHash::of(self.arguments.as_str())),
            rules: self.rules(),
        }
    }

    /// Another call waits for the answer to an equal ask.
    pub(super) fn join(&self, tx: &mut Tx<'_>, pending: Pending) -> Result<Asked, Stop> {
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
}

impl Wanted<'_> {
    /// The secret's version now; 0 where it is none.
    pub(super) fn version(&self) -> u64 {
        self.secret.as_ref().map_or(0, |secret| secret.version)
    }

    /// Whether the secret is still what an ask about it has shown.
    pub(super) fn is_as_shown(&self, ask: &Ask) -> bool {
        let now = self.secret.as_ref().map(|secret| (secret.id, secret.version));
        ask.items
            .iter()
            .filter(|item| item.resource == self.resource)
            .all(|item| item.secret.map(|secret| (secret, item.version)) == now)
    }

    pub(super) fn item(&self) -> Item {
        let description = match (&self.secret, &self.resource) {
            (Some(secret), _) => secret.description.clone(),
            (None, Resource::Audit) => "the log of this project".to_owned(),
            (None, _) => String::new(),
        };
        Item {
            resource: self.resource.clone(),
            secret: self.secret.as_ref().map(|secret| secret.id),
            version: self.version(),
            description,
            rule: self.rule.clone(),
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

/// Checks the kind of reason that an agent chose: whether it is one of the rule's, the rule says.
pub(super) fn check_reason_kind(kind: Option<String>) -> Result<Option<String>, Refused> {
    let Some(kind) = kind.filter(|kind| !kind.is_empty()) else { return Ok(None) };
    let fits = kind.len() <= 40
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits {
        return Ok(Some(kind));
    }
    Err(Refused::invalid(
        format!("`{}` is no kind of reason", echo(&kind, 40)),
        "The rule's kinds are words; leave it out to be told which there are.",
    ))
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
    if agent.scopes.allow(scope) { Ok(()) } else { Err(scope_needed(agent, scope)) }
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
        alarm_unreached(tx, approval)?;
    }
    Ok(())
}

fn reason_needed(rule: &Rule, needed: &ReasonNeeded, none_given: bool) -> Refused {
    let (code, next) = match needed {
        ReasonNeeded::Short { .. } => {
            let code = if none_given { Code::ReasonNeeded } else { Code::ReasonTooShort };
            (code, "Call again with a `reason` that tells a person what this is for.")
        }
        ReasonNeeded::Form { .. } => {
            (Code::ReasonForm, "Call again with a `reason` of the form that the rule asks for.")
        }
        ReasonNeeded::Kind { .. } => {
            (Code::ReasonKindNeeded, "Call again with the `reason_kind` that is true of this.")
        }
    };
    Refused::new(code, format!("{needed} (rule \"{}\")", rule.name), next)
}

pub(super) fn no_secret(resource: &Resource) -> Refused {
    Refused::new(
        Code::SecretNotFound,
        format!("there is no secret {resource}"),
        "`list_secrets` shows which there are.",
    )
}

pub(super) fn refused_by_rules(
    resource: &Resource,
    operation: Operation,
    refusal: &Refusal<'_>,
) -> Refused {
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
