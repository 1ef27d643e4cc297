//! The one thread that writes: takes what waits, commits it together, answers.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use vouchsafe_core::audit::HeadSigner;
use vouchsafe_core::time::Now;

use crate::clock::Clock;

use super::ballast::Ballast;
use super::engine::CLOCK_BEHIND_MAX;
use super::error::{Class, StoreError, WriteError};
use super::log::Log;
use super::sql::{Reader, Tx};
use super::tidy::{Tidied, tidy};
use super::{Observe, WriteOutcome};

/// What the writer is sent.
pub(super) enum Message {
    /// To be written.
    Write(Box<dyn Op>),
    /// To give room back that is not used.
    Tidy(oneshot::Sender<Result<Tidied, StoreError>>),
    /// To end, after what came before.
    Close,
}

/// One write, whatever it answers with.
pub(super) trait Op: Send {
    fn name(&self) -> &'static str;
    fn is_essential(&self) -> bool;
    fn submitted(&self) -> Instant;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs the closure and keeps its answer; whether its changes are to stay.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Tells that the closure panicked.
    fn panicked(&mut self);
    /// Gives the kept answer, or the reason why there is none.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>) -> WriteOutcome;
}

/// A write that waits for its commit.
pub(super) struct Pending<T, E, F> {
    name: &'static str,
    essential: bool,
    submitted: Instant,
    f: F,
    held: Option<Result<T, WriteError<E>>>,
    answer: oneshot::Sender<Result<T, WriteError<E>>>,
}

/// Whom the writer tells what.
#[derive(Debug)]
pub(super) struct Signals {
    /// Committed entries of the log.
    pub(super) size: watch::Sender<u64>,
    /// Entries that have gone into the outbox since the start.
    pub(super) outbox: watch::Sender<u64>,
    /// Why the writer had to stop.
    pub(super) fatal: watch::Sender<Option<String>>,
}

/// The writer's thread and all it owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) log: Log,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signer: Arc<dyn HeadSigner>,
    pub(super) observe: Arc<dyn Observe>,
    pub(super) ballast: Ballast,
    pub(super) batch: usize,
    pub(super) signals: Signals,
    #[cfg(test)]
    pub(super) pages: Option<Arc<std::sync::atomic::AtomicU32>>,
}

/// Why a batch is not on disk.
enum Failure {
    /// Nothing of it is, and the next may work.
    Undone(StoreError),
    /// Nothing of it is: no space.
    Full,
    /// Nothing of it is, and the database cannot be trusted further.
    Fatal(StoreError),
    /// Nobody knows.
    Unknown(String),
}

type Batch = Vec<Box<dyn Op>>;

impl<T, E, F> Pending<T, E, F> {
    /// The write and where its answer will be.
    pub(super) fn new(
        name: &'static str,
        essential: bool,
        submitted: Instant,
        f: F,
    ) -> (Self, oneshot::Receiver<Result<T, WriteError<E>>>) {
        let (answer, answered) = oneshot::channel();
        (Self { name, essential, submitted, f, held: None, answer }, answered)
    }
}

impl<T, E, F> Op for Pending<T, E, F>
where
    T: Send,
    E: Send,
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_essential(&self) -> bool {
        self.essential
    }

    fn submitted(&self) -> Instant {
        self.submitted
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let result = (self.f)(tx).map_err(WriteError::Refused);
        let keep = result.is_ok();
        self.held = Some(result);
        keep
    }

    fn panicked(&mut self) {
        self.held = Some(Err(StoreError::Panicked.into()));
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) -> WriteOutcome {
        let this = *self;
        let result = match (committed, this.held) {
            (Ok(()), Some(held)) => held,
            (Ok(()), None) => Err(StoreError::Closed.into()),
            (Err(error), _) => Err(error.into()),
        };
        let outcome = match &result {
            Ok(_) => WriteOutcome::Committed,
            Err(WriteError::Refused(_)) => WriteOutcome::Refused,
            Err(WriteError::Store(_)) => WriteOutcome::Failed,
        };
        // Who asked may have gone.
        drop(this.answer.send(result));
        outcome
    }
}

impl Writer {
    /// Works until the queue is closed, [`Message::Close`] comes, or the database fails.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut open = true;
        while open && let Some(first) = queue.blocking_recv() {
            let mut batch = Batch::new();
            let mut tidy = None;
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write(op) => batch.push(op),
                    Message::Tidy(answer) => {
                        tidy = Some(answer);
                        break;
                    }
                    Message::Close => {
                        open = false;
                        break;
                    }
                }
                next = if batch.len() < self.batch { queue.try_recv().ok() } else { None };
            }
            open &= self.work(batch);
            if let Some(answer) = tidy.filter(|_| open) {
                open = self.tidy(answer);
            }
        }
        queue.close();
        while let Some(message) = queue.blocking_recv() {
            if let Message::Write(op) = message {
                self.answer(vec![op], &Err(StoreError::Closed));
            }
        }
        if self.signals.fatal.borrow().is_none() {
            self.finish();
        }
    }

    /// Writes a batch and answers it; whether the writer can go on.
    fn work(&mut self, mut batch: Batch) -> bool {
        batch.retain(|op| !op.is_abandoned());
        let mut batch = self.admitted(batch);
        if batch.is_empty() {
            return true;
        }
        match self.commit(&mut batch) {
            Ok(()) => {
                self.answer(batch, &Ok(()));
                true
            }
            Err(Failure::Full) => self.work_when_full(batch),
            Err(failure) => self.fail(batch, failure),
        }
    }

    /// Between two batches, so that no transaction is open.
    fn tidy(&self, answer: oneshot::Sender<Result<Tidied, StoreError>>) -> bool {
        let tidied = tidy(&self.connection);
        let failed = match &tidied {
            Err(error) if error.class() == Class::Fatal => Some(described(error)),
            Ok(_) | Err(_) => None,
        };
        // Who asked may have gone; it asks again.
        drop(answer.send(tidied));
        let fatal = failed.is_some();
        if let Some(reason) = failed {
            self.stop(reason);
        }
        !fatal
    }

    /// In need of space, what is not essential is answered at once.
    fn admitted(&mut self, batch: Batch) -> Batch {
        let now_ms = self.clock.now().since_boot_ms;
        if self.ballast.is_given_up() && self.ballast.is_due(now_ms) && self.has_pages() {
            self.ballast.restore();
        }
        self.limit_pages();
        if !self.ballast.is_given_up() {
            return batch;
        }
        let (essential, rest) = batch.into_iter().partition(|op| op.is_essential());
        self.answer(rest, &Err(StoreError::Full));
        essential
    }

    fn work_when_full(&mut self, batch: Batch) -> bool {
        self.ballast.give_up(self.clock.now().since_boot_ms);
        self.limit_pages();
        let (mut essential, rest): (Batch, Batch) =
            batch.into_iter().partition(|op| op.is_essential());
        self.answer(rest, &Err(StoreError::Full));
        if essential.is_empty() {
            return true;
        }
        match self.commit(&mut essential) {
            Ok(()) => self.answer(essential, &Ok(())),
            Err(Failure::Full) => self.answer(essential, &Err(StoreError::Full)),
            Err(failure) => return self.fail(essential, failure),
        }
        true
    }

    fn fail(&mut self, batch: Batch, failure: Failure) -> bool {
        let (answer, reason) = match failure {
            Failure::Undone(error) => (error, None),
            Failure::Full => (StoreError::Full, None),
            Failure::Fatal(error) => {
                let reason = described(&error);
                (error, Some(reason))
            }
            Failure::Unknown(reason) => (StoreError::Unknown, Some(reason)),
        };
        let fatal = reason.is_some();
        if let Some(reason) = reason {
            self.stop(reason);
        }
        self.answer(batch, &Err(answer));
        !fatal
    }

    fn stop(&self, reason: String) {
        tracing::error!(%reason, "the database failed: no more writes until the daemon restarts");
        self.signals.fatal.send_replace(Some(reason));
    }

    /// Runs every operation in a savepoint of its own and commits them together.
    fn commit(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let before = self.log.clone();
        let done = self.apply(batch, before.size());
        if let Err(failure) = done {
            self.log = before;
            return Err(self.rolled_back(failure));
        }
        match self.connection.execute_batch("COMMIT") {
            Ok(()) => {
                if self.log.size() != before.size() {
                    self.signals.size.send_replace(self.log.size());
                }
                if self.log.outbox() != before.outbox() {
                    self.signals.outbox.send_replace(self.log.outbox());
                }
                Ok(())
            }
            Err(error) => {
                self.log = before;
                Err(match error.sqlite_error_code() {
                    Some(ErrorCode::DiskFull) => self.rolled_back(Failure::Full),
                    _ => Failure::Unknown(format!("committing failed: {error}")),
                })
            }
        }
    }

    fn apply(&mut self, batch: &mut Batch, size: u64) -> Result<(), Failure> {
        self.statement("BEGIN IMMEDIATE")?;
        for op in batch {
            self.apply_one(op.as_mut())?;
        }
        let now = self.now()?;
        let reader = Reader::new(&self.connection);
        self.log.save(&reader, size, now.wall, self.signer.as_ref()).map_err(Failure::from)
    }

    fn apply_one(&mut self, op: &mut dyn Op) -> Result<(), Failure> {
        let now = self.now()?;
        self.statement("SAVEPOINT op")?;
        let mut tx = Tx::new(&self.connection, now, &mut self.log);
        let ran = catch_unwind(AssertUnwindSafe(|| op.run(&mut tx)));
        let (fault, before) = tx.into_parts();
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        if matches!(ran, Ok(true)) {
            return self.statement("RELEASE op");
        }
        if ran.is_err() {
            tracing::error!(write = op.name(), "a write panicked and was undone");
            op.panicked();
        }
        self.log = before;
        self.statement("ROLLBACK TO op")?;
        self.statement("RELEASE op")
    }

    /// The time for the next operation: never before the last entry of the log.
    fn now(&self) -> Result<Now, Failure> {
        let mut now = self.clock.now();
        if let Some(last) = self.log.time()
            && last > now.wall
        {
            if last.since(now.wall) > CLOCK_BEHIND_MAX {
                return Err(Failure::Fatal(StoreError::Clock));
            }
            now.wall = last;
        }
        Ok(now)
    }

    fn statement(&self, sql: &'static str) -> Result<(), Failure> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        match run() {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::from_sqlite(sql, error).into()),
        }
    }

    fn rolled_back(&self, failure: Failure) -> Failure {
        if self.connection.is_autocommit() {
            return failure;
        }
        match self.connection.execute_batch("ROLLBACK") {
            Ok(()) => failure,
            Err(error) => Failure::Fatal(StoreError::from_sqlite("rolling back", error)),
        }
    }

    fn answer(&self, batch: Batch, committed: &Result<(), StoreError>) {
        for op in batch {
            let (name, submitted) = (op.name(), op.submitted());
            let outcome = op.answer(committed.clone());
            let took: Duration = submitted.elapsed();
            self.observe.transaction(name, took, outcome);
        }
    }

    /// The last checkpoint, and all of the write-ahead log in the database file.
    fn finish(&mut self) {
        let done = self.statement("BEGIN IMMEDIATE").and_then(|()| {
            let now = self.now()?;
            self.log.keep_checkpoint();
            let size = self.log.size();
            let reader = Reader::new(&self.connection);
            self.log.save(&reader, size, now.wall, self.signer.as_ref())?;
            self.statement("COMMIT")
        });
        if let Err(failure) = done {
            drop(self.rolled_back(failure));
            tracing::warn!("the last checkpoint was not kept; the signed head is");
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the write-ahead log stays for the next start");
        }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::missing_const_for_fn, reason = "the test's small disk")]
    fn limit_pages(&self) {}

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the test's small disk")]
    const fn has_pages(&self) -> bool {
        true
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error.class() {
            Class::Full => Self::Full,
            Class::Fatal => Self::Fatal(error),
            Class::Statement => Self::Undone(error),
        }
    }
}

impl fmt::Debug for dyn Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Op").field(&self.name()).finish()
    }
}

/// An error and what is behind it, in one line.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
impl Writer {
    /// While the ballast is there, the database may have so many pages; without it, 64 more.
    fn limit_pages(&self) {
        if let Some(pages) = &self.pages {
            let spare = if self.ballast.is_given_up() { 64 } else { 0 };
            let max = pages.load(std::sync::atomic::Ordering::SeqCst) + spare;
            self.connection.execute_batch(&format!("PRAGMA max_page_count = {max}")).unwrap();
        }
    }

    fn has_pages(&self) -> bool {
        let count = |name| {
            self.connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).unwrap()
        };
        self.pages.as_ref().is_none_or(|pages| {
            count("page_count") + 16 < pages.load(std::sync::atomic::Ordering::SeqCst)
        })
    }
}
