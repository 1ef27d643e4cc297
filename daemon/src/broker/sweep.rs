//! What happens by itself: things whose time is up end, and what the doors noted is written.

use std::sync::PoisonError;
use std::time::Duration;

use vouchsafe_core::approval::{Approval, Notice, Pending};
use vouchsafe_core::audit::Action;
use vouchsafe_core::id::ApprovalId;

use super::asks::{expire_lease, save_settled};
use super::messages::expire;
use super::policy::supersede;
use super::{Broker, Refused, Stop, entries};
use crate::store::Tx;

/// How far the wall clock may drift from the other one between two sweeps, in milliseconds.
const CLOCK_JUMP_MS_MAX: i64 = 2_000;
/// Things that end in one transaction at most.
const BATCH: u32 = 200;

/// What one step did.
#[derive(Debug, Default)]
struct Swept {
    /// Approvals that ended.
    ended: Vec<Approval>,
    /// Approvals of which there is something to tell.
    told: Vec<ApprovalId>,
    /// Whether there may be more to do.
    full: bool,
}

impl Broker {
    /// One step of the sweep: ends what is due, reminds people of what waits, keeps secrets up, and
    /// writes what the doors noted. May be run at any time and any number of times. Answers whether
    /// there is more to do at once.
    pub async fn sweep(&self) -> Result<bool, Refused> {
        self.write_notes(false).await?;
        self.wake_expired().await?;
        self.watch_clock().await?;
        let now = self.now();
        let due = self
            .look("due", move |reader| {
                let approvals = reader.due_approvals(&now, 1)?;
                let leases = reader.due_leases(&now, 1)?;
                Ok(!approvals.is_empty() || !leases.is_empty())
            })
            .await?;
        let ended = if due { self.sweep_due().await? } else { false };
        let given_up = self.keep_messages().await?;
        self.tidy_sign_ins().await?;
        // Last, for making a value may take its time.
        Ok(self.keep_secrets().await? || ended || given_up)
    }

    /// Ends and tells what is due; whether there may be more of it.
    async fn sweep_due(&self) -> Result<bool, Refused> {
        let subject = entries::by_system(Action::APPROVAL_EXPIRED);
        let swept = self.run_essential("sweep", subject, sweep).await?;
        for approval in &swept.ended {
            self.settled(approval);
        }
        for id in &swept.told {
            self.inner.wakes.wake(*id);
        }
        Ok(swept.full)
    }

    /// Says in the log that the daemon serves. What was asked under rules that changed while it
    /// did not ends here; with rules that have mistakes, nothing is said of that yet.
    pub async fn note_start(&self) -> Result<(), Refused> {
        let loaded = self.inner.policy.current();
        let sound = self.inner.policy.problems().is_empty();
        let digest = loaded.digest().to_owned();
        let entry = entries::by_system(Action::DAEMON_STARTED)
            .detail("version", env!("CARGO_PKG_VERSION"))
            .detail("rule_set", digest);
        let ended = self
            .run("note_start", entry.clone(), move |tx| {
                tx.append(&entry)?;
                if sound { supersede(tx, &loaded) } else { Ok(Vec::new()) }
            })
            .await?;
        for approval in &ended {
            self.settled(approval);
        }
        Ok(())
    }

    /// Begins to stop: calls that wait are answered with what they have.
    pub fn drain(&self) {
        self.inner.draining.cancel();
    }

    /// Writes what is left to write, says in the log that the daemon stops, and closes the store.
    pub async fn close(&self) {
        self.drain();
        let entry = entries::by_system(Action::DAEMON_STOPPED);
        let notes = self.write_notes(true).await;
        let stopped = self.run("note_stop", entry.clone(), move |tx| {
            tx.append(&entry)?;
            Ok(())
        });
        if let Err(refused) = notes.and(stopped.await) {
            tracing::warn!(code = %refused.code, "the log does not say that the daemon stopped");
        }
        self.inner.store.close().await;
    }

    /// Waits until the store fails for good, and says why.
    pub async fn failed(&self) -> String {
        self.inner.store.failed().await
    }

    /// Says in the log that the wall clock moved by itself: it is what people read times by, and
    /// what deadlines go by after a restart of the machine.
    async fn watch_clock(&self) -> Result<(), Refused> {
        let now = self.now();
        let before = {
            let mut seen = self.inner.clock_seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.replace(now.clone())
        };
        let Some(before) = before.filter(|before| before.boot == now.boot) else { return Ok(()) };
        let passed = now.since_boot_ms.saturating_sub(before.since_boot_ms);
        let expected = before.wall.plus(Duration::from_millis(passed));
        let jump_ms = now.wall.ms().saturating_sub(expected.ms());
        if jump_ms.abs() <= CLOCK_JUMP_MS_MAX {
            return Ok(());
        }
        tracing::warn!(jump_ms, "the wall clock moved by itself");
        let entry = entries::by_system(Action::CLOCK_JUMPED).detail("jump_ms", jump_ms);
        self.run("clock_jumped", entry.clone(), move |tx| {
            tx.append(&entry)?;
            Ok(())
        })
        .await
    }
}

/// Ends and tells what is due, as much as fits in one transaction.
fn sweep(tx: &mut Tx<'_>) -> Result<Swept, Stop> {
    let now = tx.now().clone();
    let approvals = tx.due_approvals(&now, BATCH)?;
    let leases = tx.due_leases(&now, BATCH)?;
    let most = usize::try_from(BATCH).unwrap_or(usize::MAX);
    let full = approvals.len() == most || leases.len() == most;
    let mut swept = Swept { full, ..Swept::default() };
    for pending in approvals {
        match expire(tx, pending)? {
            Approval::Pending(pending) => {
                swept.told.push(pending.ask.id);
                tell(tx, pending)?;
            }
            ended => {
                save_settled(tx, &ended, Action::APPROVAL_EXPIRED)?;
                swept.ended.push(ended);
            }
        }
    }
    for lease in leases {
        expire_lease(tx, lease)?;
    }
    Ok(swept)
}

/// Notes what people are to be told of an approval that waits. It is saved in any case: it is due
/// again when there is more to tell.
fn tell(tx: &mut Tx<'_>, pending: Pending) -> Result<(), Stop> {
    let (pending, notices) = pending.notices(tx.now());
    for notice in notices {
        let entry = match notice {
            Notice::Reminder { number } => {
                entries::by_system(Action::APPROVAL_REMINDED).detail("number", number)
            }
            Notice::Escalated { rule, to } => {
                entries::by_system(Action::APPROVAL_ESCALATED).detail("rule", rule).detail("to", to)
            }
        };
        tx.append(&entries::about_ask(entry, &pending.ask))?;
    }
    if !tx.save_approval(&Approval::Pending(pending))? {
        return Err(Refused::internal().into());
    }
    Ok(())
}
