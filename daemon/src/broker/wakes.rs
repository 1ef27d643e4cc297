//! Who waits for which approval. A wake says "look again" and nothing else: truth is in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use vouchsafe_core::id::ApprovalId;

use super::Broker;

/// Changes that a slow watcher may fall behind before it has to start over.
const BACKLOG: usize = 1_024;

type Waiters = Arc<Mutex<HashMap<ApprovalId, watch::Sender<()>>>>;

/// Everybody who waits.
#[derive(Debug)]
pub(super) struct Wakes {
    waiters: Waiters,
    changes: broadcast::Sender<ApprovalId>,
    permits: Arc<Semaphore>,
    permits_all: usize,
}

/// The right to hold one call open.
#[derive(Debug)]
pub struct WaitPermit {
    _permit: OwnedSemaphorePermit,
}

/// One wait for one approval.
#[derive(Debug)]
pub struct Wake {
    id: ApprovalId,
    seen: watch::Receiver<()>,
    waiters: Waiters,
}

impl Wakes {
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            waiters: Waiters::default(),
            changes: broadcast::channel(BACKLOG).0,
            permits: Arc::new(Semaphore::new(waiting_max)),
            permits_all: waiting_max,
        }
    }

    pub(super) fn wake(&self, id: ApprovalId) {
        self.nudge(id);
        // An error means that nobody watches.
        drop(self.changes.send(id));
    }

    /// Has the calls that wait for an approval look whether they still may. Nothing has changed
    /// for anybody else.
    pub(super) fn nudge(&self, id: ApprovalId) {
        let waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = waiters.get(&id) {
            waiter.send_replace(());
        }
    }

    pub(super) fn watch(&self) -> broadcast::Receiver<ApprovalId> {
        self.changes.subscribe()
    }

    pub(super) fn waiting(&self) -> usize {
        self.permits_all.saturating_sub(self.permits.available_permits())
    }
}

impl Broker {
    /// The right to hold a call open; none where as many as may wait already do.
    pub fn may_wait(&self) -> Option<WaitPermit> {
        let permits = Arc::clone(&self.inner.wakes.permits);
        permits.try_acquire_owned().ok().map(|permit| WaitPermit { _permit: permit })
    }

    /// How many calls are held open.
    pub fn calls_waiting(&self) -> usize {
        self.inner.wakes.waiting()
    }

    /// Begins to wait for changes of an approval. Look at it once more after this, then wait.
    pub fn subscribe(&self, id: ApprovalId) -> Wake {
        let waiters = Arc::clone(&self.inner.wakes.waiters);
        let seen = waiters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe();
        Wake { id, seen, waiters }
    }
}

impl Wake {
    /// Waits until the approval has changed since the last look.
    pub async fn changed(&mut self) {
        // The sender stays for as long as anybody waits.
        drop(self.seen.changed().await);
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if waiters.get(&self.id).is_some_and(|waiter| waiter.receiver_count() <= 1) {
            waiters.remove(&self.id);
        }
    }
}
