//! The users' door: gRPC over the home's Unix socket, and over TCP with TLS where it is asked for.
//!
//! Each method finds its caller, makes one call of the broker and converts the answer. Who may
//! call what is decided in [`gate`], before a method is reached.

mod approvals;
mod audit;
mod convert;
mod emergency;
mod error;
mod gate;
mod io;
mod keys;
mod leases;
mod listen;
mod notify;
mod policy;
mod projects;
mod secrets;
mod serve;
mod status;
mod streams;
mod users;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Request, Status};
use vouchsafe_core::caller::User;

pub use self::listen::{ListenError, Listener, Tls};
pub use self::serve::{ServeError, serve};
use crate::broker::{Broker, Refused};

/// The largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// The largest request about secrets, in bytes: an import has up to 8 MiB of values, and paths.
const IMPORT_BYTES_MAX: usize = 9 * 1024 * 1024;
/// Streams that may be open at once, all callers together.
const STREAMS_MAX: usize = 256;

/// What implements every service.
#[derive(Clone, Debug)]
struct Door {
    broker: Broker,
    /// A permit for each open stream.
    streams: Arc<Semaphore>,
}

impl Door {
    fn new(broker: Broker) -> Self {
        Self { broker, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }
}

/// Takes a request apart: who sent it, as [`gate`] found them, and what it says.
fn caller<T>(request: Request<T>) -> Result<(User, T), Status> {
    let (_, mut extensions, message) = request.into_parts();
    // Without the gate before it a method knows nobody and does nothing.
    let user = extensions.remove::<User>().ok_or_else(Refused::internal)?;
    Ok((user, message))
}
