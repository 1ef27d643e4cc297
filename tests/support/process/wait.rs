//! Waiting for another process: look, and look again a little later, but not for ever.
#![expect(clippy::panic, reason = "a test that waits in vain ends")]

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// More than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    match until_or(look).await {
        Some(seen) => seen,
        None => panic!("waited in vain: {what}"),
    }
}

/// The same; none where there is nothing to see for too long.
pub(super) async fn until_or<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(seen) = look().await {
            return Some(seen);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(LOOK_EVERY).await;
    }
}
