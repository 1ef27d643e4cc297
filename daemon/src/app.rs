//! The daemon put together: built, spawned, drained.

pub mod assemble;
mod check;
mod doors;
mod error;
mod examples;
mod first_run;
mod notify;
mod running;
mod signals;
mod slack;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use self::assemble::AssembleError;
pub use self::check::{Checked, VerifyError, check_config, verify};
use self::doors::Doors;
pub use self::error::{StartError, StopError};
pub use self::first_run::{Made, init, prepare_dev};
pub use self::running::Running;
pub use self::signals::{RunError, run};
use crate::broker::Broker;
use crate::clock::Clock;
use crate::config::Config;
use crate::home::{Home, Lock};
use crate::notify::Channels;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// What `--dev` and its flags change about a configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--policies`
    pub policies: Option<PathBuf>,
}

/// Everything bound and opened, nothing served yet.
#[derive(Debug)]
pub struct App {
    broker: Broker,
    home: Home,
    lock: Lock,
    metrics: Metrics,
    channels: Channels,
    doors: Doors,
    /// The policy folder, where it is to be watched.
    watched: Option<PathBuf>,
}

impl Overrides {
    /// The configuration with the changes.
    pub fn apply(self, config: Config) -> Config {
        let mut config = config;
        config.http.listen = self.listen.unwrap_or(config.http.listen);
        config.policy.dir = self.policies.unwrap_or(config.policy.dir);
        config
    }
}

impl App {
    /// Takes the home, opens what is in it, and binds every listener. A fault in any of them is
    /// found here, before anybody is served.
    pub async fn build(
        config: &Config,
        home: Home,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let lock = home.lock()?;
        let metrics = Metrics::new();
        let channels = Channels::build(&config.notify, &clock).map_err(AssembleError::Channel)?;
        let broker = assemble::broker(config, &home, clock, &metrics, &channels)?;
        let doors = Doors::bind(config, &home).await?;
        let watched = config.policy.watch.then(|| config.policy.dir.clone());
        Ok(Self { broker, home, lock, metrics, channels, doors, watched })
    }

    /// Serves, and says so in the log and in `run.json`.
    pub async fn spawn(self) -> Result<Running, StartError> {
        let Self { broker, home, lock, metrics, channels, doors, watched } = self;
        let tasks = Tasks::new();
        let (http_addr, grpc_addr) = (doors.http_addr(), doors.grpc_addr());
        broker.serves_mcp_at(format!("http://{http_addr}/mcp"));
        broker.note_start().await.map_err(StartError::Broker)?;
        broker.begin_policy().await.map_err(StartError::Broker)?;
        doors.open(&broker, &metrics, &channels, &tasks);
        running::watch(&broker, &tasks, watched);
        running::deliver(&broker, &tasks, &channels);
        home.write_run(http_addr, grpc_addr)?;
        Ok(Running { http_addr, grpc_addr, broker, home, tasks, _lock: lock })
    }
}

#[cfg(test)]
mod tests;
