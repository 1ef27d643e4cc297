//! What the daemon is told from outside while it runs.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::interval;

use super::error::{StartError, StopError};
use super::{App, Running, notify};

/// Why [`run`] ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It stopped without having been asked to, or not cleanly.
    #[error(transparent)]
    Stop(#[from] StopError),
}

/// Serves until SIGTERM or SIGINT; SIGHUP reads the policy folder again. `started` is told once
/// everything is served.
pub async fn run(app: App, started: impl FnOnce(&Running)) -> Result<(), RunError> {
    let listen = |kind| {
        let failed =
            |source: io::Error| StartError::System { action: "listen for signals", source };
        signal(kind).map_err(failed)
    };
    let mut signals = Signals {
        terminate: listen(SignalKind::terminate())?,
        interrupt: listen(SignalKind::interrupt())?,
        hang_up: listen(SignalKind::hangup())?,
    };
    let running = app.spawn().await?;
    notify::ready();
    started(&running);
    signals.obey(&running).await;
    notify::stopping();
    running.drain();
    Ok(running.wait().await?)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Does as it is told until it is told to stop, or until the daemon stops by itself.
    async fn obey(&mut self, running: &Running) {
        let mut watchdog = notify::watchdog_every().map(interval);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return tracing::info!("SIGTERM: stopping"),
                _ = self.interrupt.recv() => return tracing::info!("SIGINT: stopping"),
                () = running.stopping() => return,
                _ = self.hang_up.recv() => {
                    notify::reloading();
                    reload(running).await;
                    notify::ready();
                }
                () = tick(&mut watchdog) => notify::alive(),
            }
        }
    }
}

async fn reload(running: &Running) {
    // The broker says in the log what came of it, file by file.
    if let Err(refused) = running.reload().await {
        tracing::error!(code = %refused.code, "SIGHUP: the policy folder could not be read again");
    }
}

async fn tick(watchdog: &mut Option<tokio::time::Interval>) {
    match watchdog {
        Some(watchdog) => drop(watchdog.tick().await),
        None => std::future::pending().await,
    }
}
