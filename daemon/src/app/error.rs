//! Why the daemon does not start, and why it does not go on.

use std::io;

use super::assemble::AssembleError;
use crate::broker::{Problem, Refused};
use crate::config::ConfigError;
use crate::grpc::ListenError;
use crate::hardening::HardeningError;
use crate::home::HomeError;
use crate::tasks::Lost;
use crate::telemetry::TelemetryError;
use crate::web::NameError;

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it was called with makes no sense.
    #[error("{0}")]
    Usage(&'static str),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A protection that the system did not give.
    #[error("the process cannot be protected")]
    Hardening(#[from] HardeningError),
    /// Logging.
    #[error("cannot set up logging (log.filter or RUST_LOG)")]
    Telemetry(#[from] TelemetryError),
    /// What the home holds.
    #[error(transparent)]
    Assemble(AssembleError),
    /// The rules have mistakes: each, by its file and line.
    #[error("the rules have mistakes:\n{}", lines(.0))]
    Rules(Vec<Problem>),
    /// A home that has been set up before.
    #[error("the home has been set up before: start it with `vouchsafed serve`")]
    SetUp,
    /// The first entry.
    #[error("the log cannot be written to: {0}")]
    Broker(Refused),
    /// `http.allowed_hosts` or `http.allowed_origins`.
    #[error("http.allowed_hosts or http.allowed_origins cannot be used")]
    Names(#[from] NameError),
    /// A listener.
    #[error("cannot listen on {what}: is another program there?")]
    Listen {
        /// Where.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A listener of the users' door.
    #[error(transparent)]
    Grpc(#[from] ListenError),
    /// The runtime, or a signal.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Why the daemon stopped without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// A vital task ended.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// Calls were cut off.
    #[error("some calls did not end within {seconds} s and were cut off")]
    CutOff {
        /// How long they had.
        seconds: u64,
    },
}

impl StartError {
    /// Whether the operator has to change what was written or typed, and nothing else helps.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Usage(_) | Self::Config(_) | Self::Rules(_) | Self::Telemetry(_) | Self::Names(_)
        )
    }
}

impl From<AssembleError> for StartError {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::Rules(problems) => Self::Rules(problems),
            error => Self::Assemble(error),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}
