//! Space set aside, given up when the disk is full so that denials can still be written.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// How often a full disk is tried again, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// The file that holds the space, and whether it had to be given up.
#[derive(Debug)]
pub(super) struct Ballast {
    path: Option<PathBuf>,
    bytes: u64,
    given_up: bool,
    tried_at_ms: u64,
}

impl Ballast {
    /// Sets the space aside, or starts as given up where there is none.
    pub(super) fn new(path: Option<PathBuf>, bytes: u64) -> Self {
        let mut this = Self { path, bytes, given_up: false, tried_at_ms: 0 };
        if let Err(error) = this.take() {
            tracing::error!(%error, "no space for the ballast file: only denials are written");
            this.given_up = true;
        }
        this
    }

    /// Whether only essential writes may go on.
    pub(super) const fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Frees the space.
    pub(super) fn give_up(&mut self, now_ms: u64) {
        if !self.given_up {
            tracing::error!("the disk is full: only denials, revocations and the log go on");
        }
        self.given_up = true;
        self.tried_at_ms = now_ms;
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "the ballast file cannot be removed");
        }
    }

    /// Whether it is time to look for space again; then not for another second.
    pub(super) const fn is_due(&mut self, now_ms: u64) -> bool {
        let due = now_ms.saturating_sub(self.tried_at_ms) >= RETRY_MS;
        if due {
            self.tried_at_ms = now_ms;
        }
        due
    }

    /// Sets the space aside again; back to normal where that works.
    pub(super) fn restore(&mut self) {
        if self.take().is_ok() {
            tracing::info!("there is space again: all writes go on");
            self.given_up = false;
        }
    }

    fn take(&self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let taken = match fallocate(&file, FallocateFlags::empty(), 0, self.bytes) {
            Err(Errno::OPNOTSUPP) => {
                io::copy(&mut io::repeat(0).take(self.bytes), &mut &file).map(drop)
            }
            taken => taken.map_err(io::Error::from),
        };
        if taken.is_err() {
            // Half a ballast would stand in its own way.
            drop(fs::remove_file(path));
        }
        taken
    }
}
