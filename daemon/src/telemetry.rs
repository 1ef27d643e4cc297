//! What the operator sees: log lines and numbers.
//!
//! No value, token or reason is ever in either. Libraries that print what passes through them are
//! held down below the level at which they do, whatever the operator asks for.

mod filter;
mod metrics;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

pub use self::metrics::{Metrics, Waiting};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// For people at a terminal.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives make no sense.
    #[error("the log filter is not understood")]
    Filter(#[source] ParseError),
    /// It was set up before.
    #[error("logging is set up already")]
    Twice(#[source] TryInitError),
}

/// Sets up logging, to standard error. `directives` are those of `RUST_LOG` (`info,vouchsafed=debug`);
/// they can silence more than we do, never less.
pub fn init(format: Format, directives: &str) -> Result<(), TelemetryError> {
    let wanted = EnvFilter::builder().parse(directives).map_err(TelemetryError::Filter)?;
    let lines = match format {
        Format::Pretty => {
            fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).boxed()
        }
        Format::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
    };
    registry()
        .with(filter::hard())
        .with(lines.with_filter(wanted))
        .try_init()
        .map_err(TelemetryError::Twice)
}
