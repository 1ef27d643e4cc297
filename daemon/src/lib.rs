//! The Vouchsafe broker daemon.

pub mod app;
pub mod broker;
pub mod clock;
pub mod config;
pub mod generate;
pub mod grpc;
pub mod hardening;
pub mod home;
pub mod mcp;
pub mod notify;
pub mod policy_files;
pub mod reconcile;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod vault;
pub mod web;
