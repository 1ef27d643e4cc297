//! The connection to the daemon's socket: made anew when it is lost, as the bridge does for others.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time;

use crate::agent::{Client, Fault, Said};
use crate::bridge::{self, JoinFault, KeySource};
use crate::error::{CliError, Exit};
use crate::home::Home;
use crate::text::safe_line;

const NAME: &str = "vouchsafe-exec";
/// How often a call is made again that the daemon has no time for.
const TRIES_MAX: u32 = 20;
/// Where the daemon does not say when to try again.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that is waited out.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// One agent's way to the daemon.
pub(super) struct Session {
    home: Home,
    source: KeySource,
    client: Option<Client<OwnedReadHalf, OwnedWriteHalf>>,
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The daemon is away; it may come back.
    Away(CliError),
    /// The daemon does not let this key in, or not any more.
    KeyRefused(CliError),
    /// Trying again does not help.
    Failed(CliError),
}

/// What an answer may have, whatever was called.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) status: String,
    pub(super) code: String,
    message: String,
    next: Value,
    pub(super) reason: String,
    pub(super) approval_id: String,
    pub(super) expires_at: String,
    pub(super) retry_after_ms: u64,
    retry_after_seconds: Option<u64>,
    pub(super) leases: Vec<LeaseSeen>,
    pub(super) lease: Option<LeaseSeen>,
}

/// A lease as the daemon tells of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LeaseSeen {
    pub(super) id: String,
    pub(super) resource: String,
    pub(super) status: String,
    pub(super) issued_at: String,
    pub(super) expires_at: String,
    pub(super) max_expires_at: String,
    pub(super) renewable: bool,
}

impl Session {
    pub(super) fn new(home: Home, source: KeySource) -> Self {
        Self { home, source, client: None }
    }

    /// Sees that there is a connection.
    pub(super) async fn join(&mut self) -> Result<(), Trouble> {
        if self.client.is_some() {
            return Ok(());
        }
        let link = bridge::join(self.home.clone(), self.source.clone()).await;
        let link = link.map_err(|fault| match fault {
            JoinFault::Unreachable(why) => {
                Trouble::Away(CliError::new(Exit::Unreachable, why.message).with_next(why.next))
            }
            JoinFault::Refused(why) => {
                Trouble::KeyRefused(CliError::new(Exit::Refused, why.message).with_next(why.next))
            }
        })?;
        let mut client = Client::new(link.from, link.to);
        client.initialize(NAME).await.map_err(trouble)?;
        self.client = Some(client);
        Ok(())
    }

    /// Calls a tool, again where the daemon asks for a pause; `heard` is told of its progress.
    /// Dropping the future leaves a connection that can be used.
    pub(super) async fn call(
        &mut self,
        tool: &str,
        args: &Value,
        heard: &dyn Fn(&str),
    ) -> Result<Said, Trouble> {
        let mut tries = TRIES_MAX;
        loop {
            let said = self.call_once(tool, args, heard).await?;
            let Some(pause) = pause_of(&said).filter(|_| tries > 0) else {
                return match trouble_of(&said) {
                    Some(trouble) => Err(trouble),
                    None => Ok(said),
                };
            };
            tries = tries.saturating_sub(1);
            time::sleep(pause).await;
        }
    }

    async fn call_once(
        &mut self,
        tool: &str,
        args: &Value,
        heard: &dyn Fn(&str),
    ) -> Result<Said, Trouble> {
        self.join().await?;
        let Some(client) = &mut self.client else {
            return Err(Trouble::Failed(CliError::failed("there is no connection")));
        };
        let said = async {
            let call = client.call(tool, args).await?;
            client.said(call, heard).await
        };
        said.await.map_err(|fault| {
            if matches!(fault, Fault::Lost(_)) {
                self.client = None;
            }
            trouble(fault)
        })
    }
}

impl Answer {
    pub(super) fn of(said: &Said) -> Self {
        said.read().unwrap_or_default()
    }

    /// A refusal as an error of ours.
    pub(super) fn into_error(self) -> CliError {
        let exit = match self.code.as_str() {
            "SECRET_NOT_FOUND" => Exit::NotFound,
            "INVALID_ARGUMENT" | "REASON_NEEDED" | "REASON_TOO_SHORT" | "REASON_FORM"
            | "REASON_KIND_NEEDED" => Exit::Usage,
            "RATE_LIMITED" | "QUOTA_EXCEEDED" | "TOO_MANY_PENDING" | "STORE_BUSY"
            | "STORE_FULL" | "SHUTTING_DOWN" | "OUTCOME_UNKNOWN" => Exit::Unreachable,
            "INTERNAL" => Exit::Failed,
            _ => Exit::Refused,
        };
        let error = CliError::new(exit, safe_line(self.message.trim_end_matches('.')));
        match self.next.as_str().filter(|next| !next.is_empty()) {
            Some(next) => error.with_next(safe_line(next)),
            None => error,
        }
    }
}

impl From<Trouble> for CliError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(error) | Trouble::KeyRefused(error) | Trouble::Failed(error) => error,
        }
    }
}

fn trouble(fault: Fault) -> Trouble {
    match fault {
        Fault::Lost(why) => Trouble::Away(
            CliError::new(Exit::Unreachable, format!("the connection to the daemon broke: {why}"))
                .with_next("see whether the daemon runs with `vouchsafe status`, then try again"),
        ),
        Fault::Answered(error) => Trouble::Failed(error),
    }
}

/// How long to wait before the same call once more; nothing where that does not help.
fn pause_of(said: &Said) -> Option<Duration> {
    let answer = said.is_error.then(|| Answer::of(said))?;
    let told = answer.retry_after_seconds.map(Duration::from_secs);
    match answer.code.as_str() {
        "RATE_LIMITED" => Some(told.unwrap_or(PAUSE)).filter(|pause| *pause <= PAUSE_MAX),
        "STORE_BUSY" | "KEY_CHANGED" => Some(PAUSE),
        _ => None,
    }
}

/// What is said in an answer, and true of every call.
fn trouble_of(said: &Said) -> Option<Trouble> {
    let answer = said.is_error.then(|| Answer::of(said))?;
    match answer.code.as_str() {
        // A daemon that stops is as good as away.
        "SHUTTING_DOWN" => Some(Trouble::Away(answer.into_error())),
        "UNAUTHENTICATED" | "WRONG_CREDENTIAL" | "KEY_DISABLED" | "KEY_EXPIRED"
        | "USER_DISABLED" | "PROJECT_ARCHIVED" => Some(Trouble::KeyRefused(answer.into_error())),
        _ => None,
    }
}
