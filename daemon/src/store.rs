//! The database: SQL and nothing else.
//!
//! All writes go through one thread, [`Store::write`]: closures over a [`Tx`] that wait together are
//! committed together, and each is answered once the commit is on disk. Audit entries appended in a
//! closure are in the same transaction, and so is the signed head of the log. Reads go to a pool of
//! read-only connections, [`Store::read`].

mod accesses;
mod approvals;
mod audit;
mod ballast;
mod calls;
mod columns;
mod engine;
mod error;
mod evidence;
mod keys;
mod leases;
mod log;
mod migrate;
mod outbox;
mod policy;
mod pool;
mod projects;
mod proposals;
mod replay;
mod reviews;
mod secrets;
mod sessions;
mod sign_ins;
mod sql;
mod stops;
mod tidy;
mod upkeep;
mod users;
mod values;
mod vault;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use vouchsafe_core::route::Events;

pub use accesses::{Accesses, Reads};
pub use approvals::{Before, RowFilter};
pub use audit::{ActionFilter, EntryPage, Filter, GroupBy, Head, ResourceFilter, StoredEntry};
pub use engine::Database;
pub use error::{OpenError, StartError, StoreError, WriteError};
pub use evidence::PastAsk;
pub use keys::{KeyRecord, KeyStanding};
pub use outbox::{Delivery, DeliveryFilter, Held, UnknownHeld, Unrouted, Waiting};
pub use policy::{AcceptedPolicy, PolicyChange};
pub use secrets::{Origin, SecretRecord, UnknownOrigin, Upkeep, ValueRecord, VersionRecord};
pub use sign_ins::{SignIn, SignInKind, UnknownSignIn, WebSession};
pub use sql::{Reader, Tx};
pub use stops::StopView;
pub use tidy::Tidied;
pub use upkeep::{OldProposal, OldValue};
pub use users::TokenHash;
pub use values::StoredValue;

use pool::Pool;
use writer::{Message, Pending};

/// A running database. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

/// How much of everything.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Writes that may wait for the writer.
    pub queue: NonZeroUsize,
    /// Writes that are committed together at most.
    pub batch: NonZeroUsize,
    /// How long a write waits for a place in the queue.
    pub queue_wait: Duration,
    /// Connections for reading.
    pub readers: NonZeroU32,
    /// The file given up when the disk is full; none, and there is no such reserve.
    pub ballast: Option<PathBuf>,
    /// Size of that file, in bytes.
    pub ballast_bytes: u64,
    /// The events that somebody is told of: their entries go into the outbox.
    pub told: Events,
    /// Pages the database may have while the ballast is there: a small disk for tests.
    #[cfg(test)]
    pub(crate) pages: Option<Arc<std::sync::atomic::AtomicU32>>,
}

/// How one write ended, for whoever counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteOutcome {
    /// On disk.
    Committed,
    /// Its closure said no.
    Refused,
    /// The store could not.
    Failed,
}

/// Who is told of every write.
pub trait Observe: Send + Sync {
    /// The write `name` took so long, waiting included, and ended so.
    fn transaction(&self, name: &'static str, took: Duration, outcome: WriteOutcome);
}

struct Shared {
    queue: mpsc::Sender<Message>,
    queue_wait: Duration,
    pool: Pool,
    size: watch::Receiver<u64>,
    outbox: watch::Receiver<u64>,
    fatal: watch::Receiver<Option<String>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Default for Limits {
    fn default() -> Self {
        const QUEUE: NonZeroUsize = NonZeroUsize::new(256).unwrap();
        const READERS: NonZeroU32 = NonZeroU32::new(4).unwrap();
        Self {
            queue: QUEUE,
            batch: QUEUE,
            queue_wait: Duration::from_secs(5),
            readers: READERS,
            ballast: None,
            ballast_bytes: 16 * 1024 * 1024,
            told: Events::NONE,
            #[cfg(test)]
            pages: None,
        }
    }
}

impl Observe for () {
    fn transaction(&self, _name: &'static str, _took: Duration, _outcome: WriteOutcome) {}
}

impl Store {
    /// Runs `f` in a transaction and answers once it is on disk. `f` has no effect but through the
    /// `Tx`, for it may be run again; where it refuses, nothing of it stays.
    ///
    /// Where the future is dropped, the write may or may not happen.
    pub async fn write<T, E, F>(&self, name: &'static str, f: F) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(name, false, f).await
    }

    /// [`Store::write`] for what has to go on while the disk is full: denials, revocations and what
    /// they say in the log.
    pub async fn write_essential<T, E, F>(
        &self,
        name: &'static str,
        f: F,
    ) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(name, true, f).await
    }

    /// Runs `f` on one snapshot of what is committed. Keep it short: a long read holds the
    /// write-ahead log.
    pub async fn read<T, E, F>(&self, name: &'static str, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        self.shared.pool.read(name, f).await
    }

    /// Keeps the head of the log as a checkpoint, and answers with it.
    pub async fn checkpoint(&self) -> Result<Head, StoreError> {
        self.write_essential("checkpoint", |tx| {
            tx.keep_checkpoint();
            Ok::<_, StoreError>(())
        })
        .await?;
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "a method of `Reader<'_>` is not general enough for the compiler"
        )]
        self.read("checkpoint", |reader| reader.audit_head()).await
    }

    /// One step towards files that hold nothing of what was wiped: gives pages back that are not
    /// used, as many as fit in a short time, and once there are none, empties the write-ahead log.
    /// Keeps no other write waiting for long.
    pub async fn tidy(&self) -> Result<Tidied, StoreError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.shared.queue.send(Message::Tidy(answer));
        match timeout(self.shared.queue_wait, sent).await {
            Ok(Ok(())) => answered.await.unwrap_or(Err(StoreError::Closed)),
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// How many entries are committed; changes whenever there are more. It says "look again", no
    /// more.
    pub fn audit_size(&self) -> watch::Receiver<u64> {
        self.shared.size.clone()
    }

    /// Changes whenever there is something new in the outbox. It says "look again", no more.
    pub fn outbox(&self) -> watch::Receiver<u64> {
        self.shared.outbox.clone()
    }

    /// Waits until the store fails for good, and says why. The daemon then has to stop: only its
    /// start can tell what is on disk.
    pub async fn failed(&self) -> String {
        let mut fatal = self.shared.fatal.clone();
        let reason = match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => String::new(),
        };
        if reason.is_empty() {
            // Closed in order: there is nothing to report, ever.
            std::future::pending::<()>().await;
        }
        reason
    }

    /// Commits what waits, keeps a last checkpoint and stops the writer; later writes are refused.
    pub async fn close(&self) {
        // An error means that the writer is gone already.
        drop(self.shared.queue.send(Message::Close).await);
        let writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // The writer's panic would have been reported as a failure.
            drop(tokio::task::spawn_blocking(move || writer.join()).await);
        }
    }

    async fn submit<T, E, F>(
        &self,
        name: &'static str,
        essential: bool,
        f: F,
    ) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (op, answer) = Pending::new(name, essential, Instant::now(), f);
        let sent = self.shared.queue.send(Message::Write(Box::new(op)));
        match timeout(self.shared.queue_wait, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(StoreError::Closed.into()),
            Err(_) => return Err(StoreError::Busy.into()),
        }
        // A writer that ends in order answers everything it has.
        answer.await.unwrap_or_else(|_| Err(StoreError::Unknown.into()))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
