//! What is true of the real programs, `vouchsafed` and `vouchsafe`, run as people run them.
#![cfg(test)]

mod audit;
mod bridge;
mod canary;
mod commands;
mod demo;
mod exec;
mod hardening;
mod kill9;
mod links;
mod signals;
mod start;
mod watch;
