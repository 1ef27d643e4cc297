//! The signals that are handed on to the command.

use std::io::IsTerminal as _;

use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::Cause;
use tokio::sync::mpsc;

use crate::error::CliError;

const CAUGHT: [i32; 7] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];

/// What comes in, from now on.
pub(super) struct Signals {
    handle: Handle,
    caught: mpsc::UnboundedReceiver<Caught>,
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caught {
    pub(super) signal: Signal,
    /// The terminal sent it to all of our process group: the command has it already.
    pub(super) from_terminal: bool,
}

impl Signals {
    /// Begins to catch. What was ignored when we were started (`nohup`) stays ignored, by us and by
    /// the command.
    pub(super) fn catch() -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::io("catching signals", &error);
        let ignored = ignored();
        let wanted = CAUGHT.into_iter().filter(|signal| !ignored.contains(signal));
        let mut signals = SignalsInfo::<WithOrigin>::new(wanted).map_err(failed)?;
        let handle = signals.handle();
        let (tell, caught) = mpsc::unbounded_channel();
        // Its iterator blocks. The thread ends with the handle.
        let listen = move || {
            for origin in &mut signals {
                let told = Caught::of(&origin).is_none_or(|caught| tell.send(caught).is_ok());
                if !told {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(listen);
        drop(thread.map_err(failed)?);
        Ok(Self { handle, caught })
    }

    /// The next one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Caught {
        match self.caught.recv().await {
            Some(caught) => caught,
            None => std::future::pending().await,
        }
    }

    /// The next one that asks us to end.
    pub(super) async fn next_end(&mut self) -> Signal {
        loop {
            let Caught { signal, .. } = self.next().await;
            if [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].contains(&signal) {
                return signal;
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

impl Caught {
    fn of(origin: &Origin) -> Option<Self> {
        let signal = Signal::from_named_raw(origin.signal)?;
        let from_terminal = match origin.cause {
            Cause::Kernel => true,
            // Where the system does not say who sent it, a terminal is the likely one.
            Cause::Unknown => {
                [Signal::INT, Signal::QUIT, Signal::WINCH].contains(&signal)
                    && std::io::stdin().is_terminal()
            }
            _ => false,
        };
        Some(Self { signal, from_terminal })
    }
}

/// The signals that this process was started to ignore, as far as the system tells.
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status)
}

fn ignored_in(status: &str) -> Vec<i32> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let is_set = |signal: &i32| {
        let bit = u32::try_from(signal.saturating_sub(1)).ok();
        bit.and_then(|bit| mask.checked_shr(bit)).is_some_and(|rest| rest & 1 == 1)
    };
    CAUGHT.into_iter().filter(is_set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        assert_eq!(ignored_in("Name:\tx\nSigIgn:\t0000000000001001\n"), [SIGHUP]);
        assert_eq!(ignored_in("SigIgn:\tffffffffffffffff\n").len(), CAUGHT.len());
        assert_eq!(ignored_in("SigIgn:\tnonsense\n"), [0; 0]);
    }
}
