//! The rules of Vouchsafe, pure.
//!
//! This crate decides; it does nothing. No tokio, no SQL, no files, no network, and it never asks
//! what time it is: every question about time carries a [`time::Now`]. Its `Cargo.toml` and its
//! `clippy.toml` hold it to that.

pub mod approval;
pub mod audit;
pub mod caller;
pub mod id;
pub mod key;
pub mod lease;
pub mod policy;
pub mod project;
pub mod redact;
pub mod resource;
pub mod review;
pub mod route;
pub mod secret;
pub mod stats;
pub mod stop;
pub mod text;
pub mod time;
pub mod token;
