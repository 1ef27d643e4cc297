//! Everything that runs beside everything else: the one place that spawns.
//!
//! A task is short (a connection) or vital (a listener, a reconciler). A vital task that ends
//! before the daemon was told to stop takes the daemon down with it: a daemon without its
//! reconciler would go on looking well while nothing expires.

mod accept;

use std::convert::Infallible;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::accept::{Listen, Peer, each_connection};

/// The daemon's tasks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    lost: Arc<OnceLock<Lost>>,
}

/// A vital task that ended although nobody had asked it to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the task `{task}` {how}")]
pub struct Lost {
    /// The task's name.
    pub task: &'static str,
    /// How it ended, for the log: it holds the error's chain.
    pub how: String,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a short task. A panic in it is logged and ends nothing else.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.run(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                // What it panicked with may repeat what it was given, so it is not repeated here.
                tracing::error!(task = name, "a task panicked");
            }
        });
    }

    /// Runs a task that must not end before [`Tasks::stop`]: its end, its error and its panic all
    /// stop everything else, and are kept as the reason.
    pub fn spawn_vital<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + Send + 'static,
    {
        let tasks = self.clone();
        self.run(async move {
            let how = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => "ended by itself".to_owned(),
                Ok(Err(error)) => format!("failed: {}", chain(&error)),
                Err(_panic) => "panicked".to_owned(),
            };
            tasks.ended(name, how);
        });
    }

    /// Runs a vital task that has no way to fail but to end.
    pub fn spawn_vital_loop<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_vital(name, task.map(Ok::<(), Infallible>));
    }

    /// Cancelled when the daemon begins to stop: finish what was begun, begin nothing new.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Begins to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// The vital task that was lost first, if one was: why the process has to end.
    pub fn lost(&self) -> Option<&Lost> {
        self.lost.get()
    }

    /// Stops, and waits until all tasks have ended; false where some still run after `grace`.
    pub async fn join_within(&self, grace: Duration) -> bool {
        self.stop();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }

    fn ended(&self, task: &'static str, how: String) {
        if self.stop.is_cancelled() {
            tracing::debug!(task, how, "a task ended while the daemon stops");
            return;
        }
        tracing::error!(task, how, "a vital task was lost, so the daemon stops");
        // Only the first one is the reason; the others fall with it.
        drop(self.lost.set(Lost { task, how }));
        self.stop.cancel();
    }

    fn run<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        #[expect(clippy::disallowed_methods, reason = "the one place where tasks are spawned")]
        // Nobody joins it by its handle: its end is watched by the tracker.
        drop(tokio::spawn(self.tracker.track_future(task)));
    }
}

/// An error and what caused it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vital_task_that_ends_stops_the_rest() {
        let tasks = Tasks::new();
        tasks.spawn_vital("reconcile", async { Err(std::io::Error::other("disk")) });
        tasks.stopping().cancelled().await;
        let lost = tasks.lost().unwrap();
        assert_eq!((lost.task, lost.how.as_str()), ("reconcile", "failed: disk"));
        assert!(tasks.join_within(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_vital_task_that_panics_stops_the_rest() {
        let tasks = Tasks::new();
        tasks.spawn_vital_loop("listener", async { panic!("with something secret") });
        tasks.stopping().cancelled().await;
        assert_eq!(tasks.lost().unwrap().how, "panicked");
    }

    #[tokio::test]
    async fn what_ends_after_the_stop_is_no_loss() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.spawn_vital_loop("listener", async move { stopping.cancelled().await });
        assert!(tasks.join_within(Duration::from_secs(5)).await);
        assert_eq!(tasks.lost(), None);
    }

    #[tokio::test]
    async fn a_short_task_that_panics_stops_nothing() {
        let tasks = Tasks::new();
        tasks.spawn("connection", async { panic!("bad bytes") });
        tokio::task::yield_now().await;
        assert!(!tasks.stopping().is_cancelled());
        assert!(tasks.join_within(Duration::from_secs(5)).await);
    }
}
