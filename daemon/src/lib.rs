//! The Vouchsafe broker daemon.

pub mod clock;
pub mod policy_files;
pub mod store;
pub mod vault;
