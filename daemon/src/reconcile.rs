//! Background steps: on a timer, with no input, safe to run twice. Each reads what is due and does
//! one step of it; nothing depends on a step having run at its time, because deadlines are asked
//! again wherever they matter.

mod deliver;

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

pub use self::deliver::{carry, route};
use crate::broker::Broker;

/// How often the sweep looks.
const EVERY: Duration = Duration::from_millis(500);
/// Errors in a row that are said in the log of the daemon; then every hundredth is.
const LOUD: u32 = 3;

/// Sweeps until the broker drains. What has failed is tried again at the next step; a store that
/// fails for good ends the process elsewhere.
pub async fn sweep(broker: Broker) {
    let draining = broker.draining();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = 0_u32;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = draining.cancelled() => return,
        }
        loop {
            match broker.sweep().await {
                Ok(true) => {}
                Ok(false) => {
                    failed = 0;
                    break;
                }
                Err(refused) => {
                    failed = failed.saturating_add(1);
                    if failed <= LOUD || failed.is_multiple_of(100) {
                        tracing::warn!(code = %refused.code, failed, "the sweep did not get through");
                    }
                    break;
                }
            }
        }
    }
}
