//! Changes of secrets that agents propose: asked for, approved, and made by us.
//!
//! A proposed value is sealed before anything else happens to it and is never shown. The
//! transaction that approves a change makes it too, whether or not the agent is still there, and
//! against the version that was shown; a secret that has moved on is left as it is.

mod apply;
mod unasked;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use vouchsafe_core::approval::{
    Approval, Approved, Ask, Before, Change, Effect, ExpiryCause, Facts, JoinKey, Pending, Proposed,
};
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::{ApprovalId, SecretId};
use vouchsafe_core::key::Scope;
use vouchsafe_core::resource::{Operation, Resource, SecretPath};
use vouchsafe_core::secret::{DESCRIPTION_CHARS_MAX, Generator, RotationSchedule, SecretBytes};
use vouchsafe_core::text::{escape_json, escape_untrusted};

pub(super) use self::apply::{Making, apply_voted};
use self::unasked::{Unasked, make_unasked};
use super::agents::Done;
use super::asks::{Arguments, Asked, Plea, Wanted, Wish, need_scope, no_secret, save_settled};
use super::doors::unchanged_agent;
use super::emergency::check_not_stopped;
use super::gives::Stand;
use super::messages::expire;
use super::{Broker, ChangeMade, Changed, Code, Refused, Stop, cause, entries, random};
use crate::store::{SecretRecord, Tx};
use crate::vault::{Place, Sealed, Vault};

/// How long an agent that was away is still told what came of a change it asked for.
const TELL_FOR: Duration = Duration::from_hours(7 * 24);
/// How often a value is made for one call: the secret may be changed to another kind meanwhile.
const TRIES: u32 = 3;

/// What an agent would have done to a secret.
#[derive(Clone, Debug)]
pub struct ChangeAsk {
    /// The secret.
    pub resource: Resource,
    /// What is to be done.
    pub proposal: Proposal,
    /// What it says with it.
    pub plea: Plea,
}

/// What is to be done to a secret.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// It gets this value; it need not exist yet.
    Write {
        /// The value.
        value: NewValue,
        /// What it is from then on; none: as it is.
        description: Option<String>,
    },
    /// It gets another value, made here: by this generator, or by the one it was made by.
    Rotate {
        /// Another generator.
        generator: Option<Generator>,
    },
    /// It is deleted.
    Delete,
}

/// A value for a secret.
#[derive(Clone, Debug)]
pub enum NewValue {
    /// The agent gives it.
    Given(SecretBytes),
    /// It is made here.
    Generated(Generator),
}

/// A proposal on its way: what is fixed before the transaction.
#[derive(Clone, Debug)]
struct Draft {
    id: ApprovalId,
    /// The id of the secret, should it be a new one.
    new_secret: SecretId,
    resource: Resource,
    path: SecretPath,
    proposal: Proposal,
    description: Option<String>,
    /// The value, sealed, once there is one.
    value: Option<Ready>,
}

/// A value, sealed where it was proposed, and what may be known of it.
#[derive(Clone, Debug)]
struct Ready {
    sealed: Sealed,
    proposed: Proposed,
}

/// What proposing came to inside the transaction.
enum Came {
    Asked(Asked),
    Made(Box<ChangeMade>),
    /// There has to be a value first.
    Needs(Generator),
}

impl Broker {
    /// Proposes a change of a secret: asks people, tells what they said, or makes it where nobody
    /// is to be asked.
    pub async fn change_secret(&self, agent: &Agent, ask: ChangeAsk) -> Result<Changed, Refused> {
        let ChangeAsk { resource, proposal, plea } = ask;
        let operation = proposal.operation();
        let arguments = Arguments::new(proposal.arguments())?;
        let subject = entries::by_agent(Action::APPROVAL_REQUESTED, agent).resource(&resource);
        let subject = entries::worded(subject, agent, operation, &plea)
            .detail("arguments", escape_json(arguments.as_str()));
        let checked = proposal.check().and_then(|()| need_scope(agent, proposal.scope()));
        let path = checked.and_then(|()| secret_path(&resource));
        let path = match path {
            Ok(path) => path,
            Err(refused) => return Err(self.refuse(subject, refused).await),
        };
        let wish = self.wish(agent, operation, plea, 1, &subject).await?;
        let wish = Wish { arguments, ..wish };
        let id = wish.ids.first().ok_or_else(Refused::internal)?.0;
        let mut draft = Draft {
            id,
            new_secret: SecretId::from_random(random()?),
            resource,
            path,
            description: proposal.description(),
            proposal,
            value: None,
        };
        // First of all it is sealed, and wiped.
        if let Proposal::Write { value: NewValue::Given(value), .. } = &draft.proposal {
            draft.value = Some(self.ready(agent, &draft, value, None, None)?);
        }
        if let Proposal::Write { value: value @ NewValue::Given(_), .. } = &mut draft.proposal {
            *value = NewValue::Given(SecretBytes::new(Vec::new()));
        }
        for _ in 0..TRIES {
            let making = self.making();
            let (wish, now) = (wish.clone(), draft.clone());
            let work = move |tx: &mut Tx<'_>| propose(tx, &wish, &now, &making);
            match self.told(self.run("change_secret", subject.clone(), work).await?) {
                Came::Asked(asked) => {
                    return Ok(self.tell(asked).map_or_else(Changed::Settled, Changed::Pending));
                }
                Came::Made(made) => return Ok(Changed::Made(made)),
                Came::Needs(generator) => {
                    draft.value = Some(self.make(agent, &draft, generator).await?);
                }
            }
        }
        let conflict = Refused::new(
            Code::VersionConflict,
            "the secret is being changed to other kinds of values all the time",
            "Call again.",
        );
        Err(self.refuse(subject, conflict).await)
    }

    /// What making a change takes.
    pub(super) fn making(&self) -> Making {
        Making { vault: Arc::clone(&self.inner.vault), keep_for: self.inner.settings.undelete_for }
    }

    /// Makes the value that a proposal lacks.
    async fn make(
        &self,
        agent: &Agent,
        draft: &Draft,
        generator: Generator,
    ) -> Result<Ready, Refused> {
        let made = self.make_value(&generator).await?;
        self.ready(agent, draft, &made.value, Some(generator), made.public_key)
    }

    fn ready(
        &self,
        agent: &Agent,
        draft: &Draft,
        value: &SecretBytes,
        generator: Option<Generator>,
        public_key: Option<String>,
    ) -> Result<Ready, Refused> {
        let vault: &Vault = &self.inner.vault;
        let sealed = vault.seal(&Place::proposal(agent.project, draft.id), value);
        let sealed = sealed.map_err(|error| {
            tracing::error!(error = cause(&error), "a proposed value was not sealed");
            Refused::internal()
        })?;
        // What is made here is like nothing else: there is nothing for an equal ask to find.
        let fingerprint = match &generator {
            Some(_) => None,
            None => Some(vault.value_fingerprint(agent.project, &draft.path, value)),
        };
        let bytes = u64::try_from(value.len()).unwrap_or(u64::MAX);
        let digest = vault.value_digest(draft.id, &draft.path, value);
        let facts = Facts { bytes, generator };
        Ok(Ready { sealed, proposed: Proposed { facts, digest, fingerprint, public_key } })
    }
}

fn propose(
    tx: &mut Tx<'_>,
    wish: &Wish,
    draft: &Draft,
    making: &Making,
) -> Result<Done<Came>, Stop> {
    unchanged_agent(tx, &wish.agent)?;
    check_not_stopped(tx, wish.agent.project, wish.agent.key)?;
    let wanted = wish.want_if_any(tx, &draft.resource)?;
    let join_key = draft.join_key(wish, &wanted);
    let mut settled = Vec::new();
    // An agent that calls again, with or without having seen the answer, is told of it once.
    let since = tx.now().wall.minus(TELL_FOR);
    if let Some(told) = tx.untold_change(&join_key, since)? {
        tx.mark_told(told.ask().id, tx.now().wall)?;
        return Ok(Done::of(match ChangeMade::of(&told, true) {
            Some(made) => Came::Made(Box::new(made)),
            None => Came::Asked(Asked::Settled(Box::new(told))),
        }));
    }
    let waiting = match still_waiting(tx, &wanted, &join_key, &mut settled)? {
        Ok(waiting) => waiting,
        Err(expired) => return Ok(Done::of(Came::Asked(Asked::Expired(expired)))),
    };
    let generator = draft.generator(&wanted)?;
    let what = match (wish.judge(tx, &wanted)?, waiting) {
        (Stand::Asks(_), Some(waiting)) => Came::Asked(wish.join(tx, waiting)?),
        (Stand::Asks(outcomes), None) => match draft.change(&wanted, generator) {
            Err(generator) => {
                // No value is made for an ask that is refused.
                wish.check_may_ask(tx, std::iter::once(wanted.rule))?;
                Came::Needs(generator)
            }
            Ok(change) => {
                let ask = wish.draft(tx, draft.id, std::iter::once(&wanted))?;
                let ask = Ask { change: Some(change), ..ask };
                let pending = wish.ask_people(tx, ask, &[(wanted, outcomes)])?;
                if let Some(ready) = &draft.value {
                    tx.insert_proposal(pending.ask.id, ready.sealed.as_bytes())?;
                }
                Came::Asked(Asked::Pending(Box::new(pending)))
            }
        },
        (Stand::Given(given), Some(waiting)) => {
            let sealed = tx.proposal(waiting.ask.id)?.map(Sealed::from_bytes);
            let what = Unasked { ask: waiting.ask, votes: waiting.votes, sealed, waited: true };
            let (made, mut ended) = make_unasked(tx, wish, draft, making, given, what)?;
            settled.append(&mut ended);
            made
        }
        (Stand::Given(given), None) => match draft.change(&wanted, generator) {
            Err(generator) => Came::Needs(generator),
            Ok(change) => {
                let ask = wish.draft(tx, draft.id, std::iter::once(&wanted))?;
                let ask = Ask { change: Some(change), ..ask };
                let sealed = draft.value.as_ref().map(|ready| ready.sealed.clone());
                let what = Unasked { ask, votes: Vec::new(), sealed, waited: false };
                let (made, mut ended) = make_unasked(tx, wish, draft, making, given, what)?;
                settled.append(&mut ended);
                made
            }
        },
        (Stand::Leased(_), _) => return Err(Refused::internal().into()),
    };
    Ok(Done { what, settled })
}

/// The equal ask that waits for people, if there is one and its time is not up. One that was made
/// before the secret moved on would come to nothing, and the agent still wants it: it ends here.
fn still_waiting(
    tx: &mut Tx<'_>,
    wanted: &Wanted<'_>,
    join_key: &JoinKey,
    settled: &mut Vec<Approval>,
) -> Result<Result<Option<Pending>, Box<Approval>>, Stop> {
    let Some(pending) = tx.pending_approval(join_key)? else { return Ok(Ok(None)) };
    let ended = match expire(tx, pending)? {
        Approval::Pending(pending) if wanted.is_as_shown(&pending.ask) => {
            return Ok(Ok(Some(pending)));
        }
        Approval::Pending(pending) => pending.cut_short(ExpiryCause::SecretChanged, tx.now()),
        expired => {
            save_settled(tx, &expired, Action::APPROVAL_EXPIRED)?;
            tx.mark_told(expired.ask().id, tx.now().wall)?;
            return Ok(Err(Box::new(expired)));
        }
    };
    save_settled(tx, &ended, Action::APPROVAL_EXPIRED)?;
    tx.mark_told(ended.ask().id, tx.now().wall)?;
    settled.push(ended);
    Ok(Ok(None))
}

impl Draft {
    fn join_key(&self, wish: &Wish, wanted: &Wanted<'_>) -> JoinKey {
        let proposed = self.value.as_ref().map(|ready| &ready.proposed);
        JoinKey::of_change(
            wish.agent.key,
            wish.operation,
            &self.resource,
            wanted.rule,
            wish.arguments.as_str(),
            proposed.and_then(|proposed| proposed.fingerprint.as_ref()),
        )
    }

    /// How the value is made, where it is made here. Refused where there is nothing to be rotated
    /// or deleted.
    fn generator(&self, wanted: &Wanted<'_>) -> Result<Option<Generator>, Refused> {
        let there = || wanted.secret.as_ref().ok_or_else(|| no_secret(&self.resource));
        match &self.proposal {
            Proposal::Write { value: NewValue::Given(_), .. } => Ok(None),
            Proposal::Write { value: NewValue::Generated(generator), .. } => {
                Ok(Some(generator.clone()))
            }
            Proposal::Delete => there().map(|_| None),
            Proposal::Rotate { generator } => {
                let generator = generator.as_ref().or(there()?.value.generator.as_ref());
                generator.cloned().map(Some).ok_or_else(|| not_generated(&self.resource))
            }
        }
    }

    /// The change as people see it; or how the value is to be made that it lacks.
    fn change(
        &self,
        wanted: &Wanted<'_>,
        generator: Option<Generator>,
    ) -> Result<Change, Generator> {
        let before = wanted.secret.as_ref().map(before);
        let ready = self.value.as_ref().map(|ready| &ready.proposed);
        let effect = match (ready, generator) {
            (Some(proposed), generator) if proposed.facts.generator == generator => {
                Effect::Write(proposed.clone())
            }
            (_, Some(generator)) => return Err(generator),
            (_, None) => Effect::Delete,
        };
        Ok(Change { effect, before, description: self.description.clone() })
    }
}

impl Proposal {
    /// What it takes by the rules.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Write { .. } | Self::Rotate { .. } => Operation::Write,
            Self::Delete => Operation::Delete,
        }
    }

    const fn scope(&self) -> Scope {
        match self {
            Self::Write { .. } | Self::Rotate { .. } => Scope::SecretsWrite,
            Self::Delete => Scope::SecretsDelete,
        }
    }

    fn description(&self) -> Option<String> {
        match self {
            Self::Write { description: Some(text), .. } => Some(escape_untrusted(text).text),
            Self::Write { description: None, .. } | Self::Rotate { .. } | Self::Delete => None,
        }
    }

    /// What people see of it as arguments: everything but a value.
    fn arguments(&self) -> Value {
        let mut arguments = Map::new();
        let generator = match self {
            Self::Write { value: NewValue::Generated(generator), .. } => Some(generator),
            Self::Rotate { generator } => {
                arguments.insert("rotate".to_owned(), true.into());
                generator.as_ref()
            }
            Self::Write { value: NewValue::Given(_), .. } | Self::Delete => None,
        };
        if let Some(generator) = generator {
            let generator = serde_json::to_value(generator).unwrap_or_default();
            arguments.insert("generate".to_owned(), generator);
        }
        if let Some(description) = self.description() {
            arguments.insert("description".to_owned(), description.into());
        }
        Value::Object(arguments)
    }

    fn check(&self) -> Result<(), Refused> {
        let description = match self {
            Self::Write { description, .. } => description.as_deref().unwrap_or_default(),
            Self::Rotate { .. } | Self::Delete => "",
        };
        let length = description.chars().count();
        if length > DESCRIPTION_CHARS_MAX {
            return Err(Refused::invalid(
                format!(
                    "a description has {DESCRIPTION_CHARS_MAX} characters at most, and this has {length}"
                ),
                "Say it more briefly.",
            ));
        }
        Ok(())
    }
}

impl ChangeMade {
    /// What came of an approved change; nothing where it was no change, or is not approved.
    pub fn of(approval: &Approval, kept: bool) -> Option<Self> {
        let Approval::Approved(Approved { ask, applied: Some(applied), .. }) = approval else {
            return None;
        };
        let proposed = ask.change.as_ref().and_then(Change::proposed);
        Some(Self {
            resource: ask.items.first()?.resource.clone(),
            operation: ask.operation,
            applied: *applied,
            approval: kept.then_some(ask.id),
            public_key: proposed.and_then(|proposed| proposed.public_key.clone()),
        })
    }
}

/// What a secret is now.
fn before(secret: &SecretRecord) -> Before {
    let value = &secret.value;
    Before {
        facts: Facts { bytes: value.bytes, generator: value.generator.clone() },
        description: secret.description.clone(),
        rotate_every: secret.upkeep.rotate_every.as_ref().map(RotationSchedule::to_string),
    }
}

fn secret_path(resource: &Resource) -> Result<SecretPath, Refused> {
    match resource {
        Resource::Secret(path) => Ok(path.clone()),
        Resource::Tool { .. } | Resource::Audit | Resource::Policy => Err(Refused::invalid(
            format!("{resource} is not a secret"),
            "Name a secret, such as vouchsafe://secrets/production/DATABASE_URL.",
        )),
    }
}

fn not_generated(resource: &Resource) -> Refused {
    Refused::new(
        Code::NotGenerated,
        format!(
            "the value of {resource} was given by somebody, so that nothing says how to make another"
        ),
        "Call again with `generate`, or propose a value with `write_secret`.",
    )
}
