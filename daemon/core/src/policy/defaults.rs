//! What holds where a rule says nothing.

use std::time::Duration;

use crate::resource::{Kind, Operation, Operations};

/// How many must say yes.
pub const QUORUM: u32 = 1;
/// How long a lease is good for where the ask names no time.
pub const LEASE: Duration = Duration::from_mins(15);
/// How long a lease may be good for from its issue, renewals included.
pub const LEASE_MAX: Duration = Duration::from_hours(1);
/// How long an ask waits for an answer.
pub const PENDING_FOR: Duration = Duration::from_hours(1);

/// What a rule covers where it does not list its operations: what changes nothing for secrets, all
/// there is for tools and the log.
pub const fn operations(kind: Kind) -> Operations {
    match kind {
        Kind::Secrets => Operations::of(&[Operation::List, Operation::Use, Operation::Read]),
        Kind::Tools | Kind::Audit | Kind::Policy => kind.operations(),
    }
}
