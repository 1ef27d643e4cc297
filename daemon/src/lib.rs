//! The Vouchsafe broker daemon.

pub mod broker;
pub mod clock;
pub mod policy_files;
pub mod store;
pub mod vault;
