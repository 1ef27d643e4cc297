//! `vouchsafe`: the command line of the people who vouch, look, operate and administer,
//! and the bridge through which agents on this machine speak MCP.

mod agent;
mod approvals;
mod audit;
mod audit_verify;
mod break_glass;
mod bridge;
mod card;
mod cli;
mod connect;
mod context;
mod dashboard;
mod demo;
mod doctor;
mod environment;
mod error;
mod exec;
#[cfg(test)]
mod fake;
mod home;
mod install;
mod keys;
mod leases;
mod notify;
mod output;
mod pages;
mod policy;
mod projects;
mod prompt;
mod record;
mod reviews;
mod root_key;
mod secrets;
mod status;
mod stop;
mod text;
mod time;
mod users;
mod vote;
mod watch;
mod words;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    // An error means that one is installed already, which does as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let cli = cli::Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime failed")?;
    let result = runtime.block_on(cli::run(cli));
    // A read of standard input may still be under way; nobody waits for it.
    runtime.shutdown_background();
    Ok(match result {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.exit.code())
        }
    })
}
