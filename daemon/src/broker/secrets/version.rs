//! What follows from a new version of a secret, and from its end, whoever it is made by.

use vouchsafe_core::approval::{Approval, ExpiryCause};
use vouchsafe_core::audit::{Action, Entry};
use vouchsafe_core::time::UnixTime;

use crate::broker::Stop;
use crate::broker::asks::save_settled;
use crate::broker::leases::revoke;
use crate::store::{SecretRecord, Tx, ValueRecord};

/// Makes `value` what is known of the secret's next version. A value that somebody gave cannot be
/// made anew by the daemon, so it ends the schedule; one that was made here goes on with it.
pub(in crate::broker) fn next_version(
    secret: &mut SecretRecord,
    value: ValueRecord,
    by: &str,
    now: UnixTime,
) {
    secret.version = secret.version.saturating_add(1);
    secret.updated_at = now;
    by.clone_into(&mut secret.updated_by);
    if value.generator.is_none() {
        secret.upkeep.rotate_every = None;
    }
    secret.upkeep.rotate_at =
        secret.upkeep.rotate_every.as_ref().and_then(|schedule| schedule.after(now));
    secret.value = value;
}

/// Deletes a secret: its leases end, each with `entry` in the log, and asks about it expire. Answers
/// with how many leases ended, and with those asks: whoever waits for one is to be told.
pub(in crate::broker) fn end_secret(
    tx: &mut Tx<'_>,
    secret: &mut SecretRecord,
    by: &str,
    entry: &Entry,
) -> Result<(u32, Vec<Approval>), Stop> {
    secret.deleted_at = Some(tx.now().wall);
    tx.save_secret(secret)?;
    let leases = tx.active_leases_on(secret.id)?;
    let revoked = revoke(tx, leases, by, Some("the secret was deleted"), entry)?;
    let mut ended = Vec::new();
    for pending in tx.pending_approvals()? {
        if pending.ask.items.iter().any(|item| item.secret == Some(secret.id)) {
            let approval = pending.cut_short(ExpiryCause::SecretDeleted, tx.now());
            save_settled(tx, &approval, Action::APPROVAL_EXPIRED)?;
            ended.push(approval);
        }
    }
    Ok((u32::try_from(revoked.len()).unwrap_or(u32::MAX), ended))
}
