//! What time it is: the one place in the daemon that asks.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use vouchsafe_core::time::{BootId, Now, UnixTime};

/// A source of the time. The daemon has one; tests bring their own and turn it.
pub trait Clock: Debug + Send + Sync {
    /// What the clocks say now.
    fn now(&self) -> Now;
}

/// The machine's own clocks: wall time, and time since boot with sleep included.
#[derive(Debug)]
pub struct SystemClock {
    boot: BootId,
}

impl SystemClock {
    /// Reads which boot this is; where the kernel does not say, deadlines go by the wall clock
    /// after a restart of the daemon.
    pub fn new() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| format!("process-{}", std::process::id()), |id| id.trim().to_owned());
        Self { boot: BootId::new(boot) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        #[expect(clippy::disallowed_methods, reason = "the one read of the wall clock")]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(since_boot.tv_sec).unwrap_or(0);
        let millis = u64::try_from(since_boot.tv_nsec / 1_000_000).unwrap_or(0);
        Now {
            wall: UnixTime::from_ms(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
            since_boot_ms: seconds.saturating_mul(1_000).saturating_add(millis),
            boot: self.boot.clone(),
        }
    }
}
