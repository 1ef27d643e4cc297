//! Making a change that was approved, in the transaction that approves it.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe_core::approval::{Applied, Approval, Approved, Change, Effect, Order, Proposed};
use vouchsafe_core::audit::{Action, Entry, Outcome};
use vouchsafe_core::caller::User;
use vouchsafe_core::id::SecretId;

use crate::broker::secrets::{end_secret, next_version};
use crate::broker::{Refused, Stop, cause, entries};
use crate::store::{Origin, SecretRecord, Tx, ValueRecord};
use crate::vault::{Sealed, Vault};

/// What making a change takes besides the change.
#[derive(Clone, Debug)]
pub(in crate::broker) struct Making {
    pub(in crate::broker) vault: Arc<Vault>,
    /// How long a value is kept that could not be put in place.
    pub(in crate::broker) keep_for: Duration,
}

/// An approved change on its way into the store.
pub(in crate::broker) struct Made {
    pub(in crate::broker) approved: Approved,
    /// The proposed value, where there is one.
    pub(in crate::broker) sealed: Option<Sealed>,
    /// The id of the secret, should it be a new one.
    pub(in crate::broker) new_secret: SecretId,
    /// Whether the approval is in the store.
    pub(in crate::broker) kept: bool,
}

/// Makes the change of an approval that a vote has just completed, where it is about one. Answers
/// with the approval as it is then, and with the asks that ended with a deleted secret.
pub(in crate::broker) fn apply_voted(
    tx: &mut Tx<'_>,
    making: &Making,
    user: &User,
    approval: Approval,
    new_secret: SecretId,
) -> Result<(Approval, Vec<Approval>), Stop> {
    match approval {
        Approval::Approved(approved) if approved.ask.change.is_some() => {
            let sealed = tx.proposal(approved.ask.id)?.map(Sealed::from_bytes);
            let made = Made { approved, sealed, new_secret, kept: true };
            let entry = |action| entries::by_user(action, user);
            let (approved, ended) = apply(tx, making, made, &entry)?;
            Ok((Approval::Approved(approved), ended))
        }
        other => Ok((other, Vec::new())),
    }
}

/// Makes a change, or finds that the secret has moved on: then everything stays as it is, the value
/// is kept for a while, and the log says so.
pub(in crate::broker) fn apply(
    tx: &mut Tx<'_>,
    making: &Making,
    made: Made,
    entry: &dyn Fn(Action) -> Entry,
) -> Result<(Approved, Vec<Approval>), Stop> {
    let Made { approved, sealed, new_secret, kept } = made;
    let (project, change) = (approved.ask.project, approved.ask.change.clone());
    let (Some(change), Some(path)) = (change, approved.changes()) else {
        return Err(Refused::internal().into());
    };
    let found = tx.secret_at(project, path)?;
    let order = approved.order(found.as_ref().map(|secret| (secret.id, secret.version)));
    let (applied, ended) = match order.ok_or_else(Refused::internal)? {
        Err(conflict) => {
            if kept {
                tx.keep_proposal(approved.ask.id, tx.now().wall.plus(making.keep_for))?;
            }
            let entry = entries::changed(entry(Action::SECRET_CONFLICTED), &approved.ask, kept);
            let entry = entry.outcome(Outcome::Failed).detail("found", conflict.found);
            tx.append(&entry)?;
            (Applied::Conflict { found: conflict.found }, Vec::new())
        }
        Ok(order) => match &change.effect {
            Effect::Write(proposed) => {
                let new = New { id: new_secret, found, kept };
                let applied = write(tx, making, &approved, &change, proposed, &order, sealed, new)?;
                let entry = entries::changed(entry(Action::SECRET_WRITTEN), &approved.ask, kept);
                tx.append(&entry.detail("version", order.version()))?;
                (applied, Vec::new())
            }
            Effect::Delete => {
                let mut secret = found.ok_or_else(Refused::internal)?;
                let entry_deleted =
                    entries::changed(entry(Action::SECRET_DELETED), &approved.ask, kept);
                tx.append(&entry_deleted.detail("version", order.version()))?;
                let by = approved.ask.asker.key_name.clone();
                let (_leases, ended) =
                    end_secret(tx, &mut secret, &by, &entry(Action::LEASE_REVOKED))?;
                let applied = Applied::Deleted { secret: secret.id, version: order.version() };
                (applied, ended)
            }
        },
    };
    let approved = approved.applied(applied);
    if kept {
        tx.save_applied(&Approval::Approved(approved.clone()))?;
    }
    Ok((approved, ended))
}

/// The secret that is written.
struct New {
    /// The id it gets where there is none.
    id: SecretId,
    found: Option<SecretRecord>,
    kept: bool,
}

#[expect(clippy::too_many_arguments, reason = "a write takes all of what was approved")]
fn write(
    tx: &mut Tx<'_>,
    making: &Making,
    approved: &Approved,
    change: &Change,
    proposed: &Proposed,
    order: &Order,
    sealed: Option<Sealed>,
    new: New,
) -> Result<Applied, Stop> {
    let sealed = sealed.ok_or_else(Refused::internal)?;
    let (ask, now) = (&approved.ask, tx.now().wall);
    let is_new = new.found.is_none();
    let mut secret = new
        .found
        .unwrap_or_else(|| SecretRecord::new(new.id, order.project(), order.path().clone(), now));
    let value = ValueRecord {
        bytes: proposed.facts.bytes,
        origin: Origin::Proposed,
        generator: proposed.facts.generator.clone(),
        public_key: proposed.public_key.clone(),
        approval: new.kept.then_some(ask.id),
    };
    next_version(&mut secret, value, &ask.asker.key_name, now);
    if let Some(description) = &change.description {
        secret.description.clone_from(description);
    }
    let sealed = making.vault.fulfil(order, secret.id, &sealed).map_err(|error| {
        tracing::error!(
            error = cause(&error),
            approval = %ask.id,
            "a proposed value is not what was approved, or does not open"
        );
        Refused::internal()
    })?;
    if is_new {
        tx.insert_secret(&secret)?;
    } else {
        tx.save_secret(&secret)?;
    }
    tx.insert_secret_version(&secret, sealed.as_bytes())?;
    tx.drop_proposal(ask.id)?;
    Ok(Applied::Written { secret: secret.id, version: secret.version })
}
