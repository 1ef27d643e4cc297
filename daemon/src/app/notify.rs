//! What systemd is told, where it wants to know.

use std::io;
use std::time::Duration;

use sd_notify::{NotifyState, notify, watchdog_enabled};

/// How often to say that all is well: twice as often as we have to.
pub(super) fn watchdog_every() -> Option<Duration> {
    watchdog_enabled().map(|most| most / 2).filter(|every| !every.is_zero())
}

pub(super) fn ready() {
    tell(Ok(()), &[NotifyState::Ready]);
}

pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(Ok(()), &[NotifyState::Reloading, now]),
        Err(error) => tell(Err(error), &[]),
    }
}

pub(super) fn stopping() {
    tell(Ok(()), &[NotifyState::Stopping]);
}

pub(super) fn alive() {
    tell(Ok(()), &[NotifyState::Watchdog]);
}

/// Nobody who wants to know is no error; somebody who cannot be told is worth a line.
fn tell(before: io::Result<()>, states: &[NotifyState<'_>]) {
    if let Err(error) = before.and_then(|()| notify(states)) {
        tracing::warn!(%error, "systemd cannot be told how the daemon is");
    }
}
