//! Waiting for something to happen, and never for time to pass.
#![expect(clippy::panic, reason = "what does not happen in time is a failed test")]

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// How long anything may take that should happen at once, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often is looked for what nobody announces.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What this comes to; fails where it takes too long.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = timeout(PATIENCE, work).await;
    done.unwrap_or_else(|elapsed| panic!("{what} did not happen in time: {elapsed}"))
}

/// Looks until there is something to see.
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let looking = async {
        let mut again = interval(LOOK_EVERY);
        loop {
            again.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    within(what, looking).await
}

/// Runs beside the test.
pub fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "the test waits for the handle")]
    tokio::spawn(work)
}
