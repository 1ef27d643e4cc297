//! The Vouchsafe broker daemon.

pub mod clock;
pub mod vault;
