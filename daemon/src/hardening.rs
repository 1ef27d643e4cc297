//! What the process gives up before it touches a secret.

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask,
};

/// A protection that the system did not give.
#[derive(Debug, thiserror::Error)]
pub enum HardeningError {
    /// A crash would write memory to disk.
    #[error("cannot switch core dumps off")]
    CoreDumps(#[source] rustix::io::Errno),
    /// Another process of the same user could read memory.
    #[error("cannot make the process unreadable to others")]
    Dumpable(#[source] rustix::io::Errno),
}

/// Makes every file private from here on, writes no memory to disk in a crash, and keeps debuggers
/// of the same user out. Called first, while there is one thread.
pub fn harden() -> Result<(), HardeningError> {
    let _before = umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(HardeningError::CoreDumps)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(HardeningError::Dumpable)
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn a_hardened_process_leaves_no_core_and_is_not_read() {
        harden().unwrap();
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
