//! What tests of Vouchsafe stand on: a clock that is turned by hand, homes of their own, and
//! clients that speak through the public doors.

pub mod broker;
pub mod clock;
pub mod daemon;
pub mod events;
pub mod grpc;
pub mod hook;
pub mod mcp;
pub mod messages;
pub mod pages;
pub mod process;
pub mod slack;
pub mod smtp;
