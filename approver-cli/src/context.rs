//! The options that every command has, and what comes of them.

use std::path::PathBuf;

use clap::Args;

use crate::connect::{Daemon, Remote};
use crate::error::CliError;
use crate::home::Home;
use crate::output::{Format, Output};

/// Options of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Home folder of the daemon [default: ~/.vouchsafe]
    #[arg(long, global = true, value_name = "DIR", env = "VOUCHSAFE_HOME", hide_env_values = true)]
    home: Option<PathBuf>,
    /// Project that the command is about [default: default; for audit, stop, reviews and users, all of
    /// them]
    #[arg(long, global = true, value_name = "NAME")]
    project: Option<String>,
    /// How to print answers
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true,
        help = "How to print answers: table or json"
    )]
    output: Format,
    /// Daemon elsewhere, https://HOST:PORT, instead of the one of the home folder
    #[arg(long, global = true, value_name = "URL", requires = "ca")]
    server: Option<String>,
    /// PEM file with the certificate that signed that daemon's
    #[arg(long, global = true, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
}

/// What every command needs.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) project: String,
    /// The project, where one was named.
    pub(crate) named_project: Option<String>,
    pub(crate) out: Output,
    remote: Option<Remote>,
}

impl Context {
    pub(crate) fn new(global: Global) -> Result<Self, CliError> {
        let remote = global.server.zip(global.ca).map(|(url, ca)| Remote { url, ca });
        Ok(Self {
            home: Home::find(global.home)?,
            project: global.project.clone().unwrap_or_else(|| "default".to_owned()),
            named_project: global.project,
            out: Output::new(global.output),
            remote,
        })
    }

    /// The project that was named; empty where none was.
    pub(crate) fn project_named(&self) -> String {
        self.named_project.clone().unwrap_or_default()
    }

    /// Signs in.
    pub(crate) async fn daemon(&self) -> Result<Daemon, CliError> {
        match &self.remote {
            Some(remote) => Daemon::remote(remote).await,
            None => Daemon::local(&self.home).await,
        }
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// For commands that are about this machine.
    pub(crate) fn local_only(&self, command: &str) -> Result<(), CliError> {
        if self.is_remote() {
            return Err(CliError::usage(format!("`vouchsafe {command}` is about this machine"))
                .with_next("leave --server out"));
        }
        Ok(())
    }
}
