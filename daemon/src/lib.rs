//! The Vouchsafe broker daemon.

pub mod broker;
pub mod clock;
pub mod grpc;
pub mod mcp;
pub mod policy_files;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod vault;
pub mod web;
