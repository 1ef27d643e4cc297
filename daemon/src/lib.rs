//! The Vouchsafe broker daemon.

pub mod clock;
pub mod store;
pub mod vault;
