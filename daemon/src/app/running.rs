//! The daemon while it runs, and how it stops.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::error::StopError;
use super::{first_run, watch};
use crate::broker::{Broker, Refused, Reloaded};
use crate::home::{Home, Lock};
use crate::notify::Channels;
use crate::reconcile;
use crate::tasks::Tasks;

/// How long calls under way may take when the daemon stops.
const GRACE: Duration = Duration::from_secs(5);

/// A daemon that serves. Dropping it stops nothing: [`Running::drain`], then [`Running::wait`].
#[derive(Debug)]
pub struct Running {
    /// Where HTTP is served.
    pub http_addr: SocketAddr,
    /// Where gRPC is served over TCP, if it is.
    pub grpc_addr: Option<SocketAddr>,
    pub(super) broker: Broker,
    pub(super) home: Home,
    pub(super) tasks: Tasks,
    /// Held until all is over.
    pub(super) _lock: Lock,
}

/// The store is gone for good, and with it everything.
#[derive(Debug, thiserror::Error)]
#[error("the database has failed: {0}")]
struct StoreFailed(String);

/// Starts what runs beside the doors: the sweep, whoever looks whether the policy folder has
/// changed, and whoever looks whether the store still is.
pub(super) fn watch(broker: &Broker, tasks: &Tasks, policies: Option<PathBuf>) {
    if let Some(dir) = policies {
        tasks.spawn_vital_loop("policy", watch::policies(broker.clone(), dir));
    }
    tasks.spawn_vital_loop("sweep", reconcile::sweep(broker.clone()));
    let (broker, stop) = (broker.clone(), tasks.stopping());
    tasks.spawn_vital("store", async move {
        tokio::select! {
            why = broker.failed() => Err(StoreFailed(why)),
            () = stop.cancelled() => Ok(()),
        }
    });
}

/// Starts what tells people: whoever works out the messages, and a task a channel, so that none
/// waits for another.
pub(super) fn deliver(broker: &Broker, tasks: &Tasks, channels: &Channels) {
    tasks.spawn_vital_loop("route", reconcile::route(broker.clone()));
    for channel in channels.channels() {
        let carried = reconcile::carry(broker.clone(), channels.clone(), channel);
        tasks.spawn_vital_loop("deliver", carried);
    }
}

impl Running {
    /// Begins to stop: no new connections, and calls that wait answer with what they have.
    pub fn drain(&self) {
        // In this order: what ends because the broker drains is not lost.
        self.tasks.stop();
        self.broker.drain();
    }

    /// Reads the policy folder again.
    pub async fn reload(&self) -> Result<Reloaded, Refused> {
        self.broker.reload(None).await
    }

    /// What to paste where, for somebody new. `named`: the home is not where programs look by
    /// themselves.
    pub fn next_steps(&self, named: bool) -> String {
        let url = format!("http://{}/mcp", self.http_addr);
        first_run::next_steps(&self.home, &url, named)
    }

    /// The broker, for whoever runs the daemon in the same process.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Waits until somebody drains the daemon or it loses a vital task.
    pub async fn stopping(&self) {
        self.tasks.stopping().cancelled().await;
    }

    /// Waits for the stop, gives the calls under way their time, and closes the store.
    pub async fn wait(self) -> Result<(), StopError> {
        self.stopping().await;
        self.drain();
        let ended = self.tasks.join_within(GRACE).await;
        self.broker.close().await;
        if let Err(error) = self.home.clear_run() {
            tracing::warn!(%error, "run.json is left behind");
        }
        match self.tasks.lost() {
            Some(lost) => Err(lost.clone().into()),
            None if ended => Ok(()),
            None => Err(StopError::CutOff { seconds: GRACE.as_secs() }),
        }
    }
}
