//! The command: found before anybody is asked, started with the values, and watched to its end.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::ask::SecretValue;
use super::held::{Ended, Held};
use super::signals::{Caught, Signals};
use super::{OnLeaseEnd, note};
use crate::environment;
use crate::error::{CliError, Exit};
use crate::text::safe_line;

/// As shells and `env` have them.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// As `timeout` has it.
const LEASE_ENDED: u8 = 124;
/// Added to the number of a signal.
const BY_SIGNAL: u8 = 128;
/// Between being asked to end and being made to.
const END_MAX: Duration = Duration::from_secs(10);
/// The one of ours that a command may need, and that is no secret.
const HOME_NAME: &str = "VOUCHSAFE_HOME";

/// Sees that there is such a command, so that nobody is asked in vain.
pub(super) fn find(program: &OsStr) -> Result<(), CliError> {
    if program.as_bytes().contains(&b'/') {
        return look(&[Path::new(program).to_owned()], program);
    }
    match environment::path() {
        Some(path) => {
            let paths: Vec<_> = std::env::split_paths(&path).map(|dir| dir.join(program)).collect();
            look(&paths, program)
        }
        // The system knows where to look then.
        None => Ok(()),
    }
}

/// Starts the command with these variables, and without those that are for us.
///
/// What the standard library makes of the values on their way is not wiped; it is freed before this
/// returns.
pub(super) fn start(
    command: &[OsString],
    variables: impl Iterator<Item = (String, SecretValue)>,
) -> Result<Child, CliError> {
    let (program, args) = command.split_first().ok_or_else(|| CliError::usage("no command"))?;
    let mut child = Command::new(program);
    child.args(args);
    for name in environment::own_names() {
        if name != HOME_NAME {
            child.env_remove(name);
        }
    }
    for (name, value) in variables {
        child.env(name, OsStr::from_bytes(&value));
    }
    child.spawn().map_err(|error| not_started(program, &error))
}

/// Hands signals on and keeps the leases until the command ends; the code to end with.
pub(super) async fn attend(
    child: &mut Child,
    held: &mut Held,
    signals: &mut Signals,
    on_lease_end: OnLeaseEnd,
) -> Result<u8, CliError> {
    let mut kill_at = None;
    let mut ended_by_us = false;
    loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                let status =
                    status.map_err(|error| CliError::io("waiting for the command", &error))?;
                return Ok(if ended_by_us { LEASE_ENDED } else { code_of(status) });
            }
            Caught { signal, from_terminal } = signals.next() => {
                if !from_terminal {
                    send(child, signal);
                }
            }
            () = at(kill_at) => {
                kill_at = None;
                send(child, Signal::KILL);
            }
            Ended { resource, how } = held.ended() => {
                let then = match on_lease_end {
                    OnLeaseEnd::Warn => "the command goes on",
                    OnLeaseEnd::Terminate => "the command is ended",
                };
                note(&format!("{resource}: {how}; {then}"));
                if on_lease_end == OnLeaseEnd::Terminate && !ended_by_us {
                    ended_by_us = true;
                    kill_at = Some(Instant::now() + END_MAX);
                    send(child, Signal::TERM);
                }
            }
        }
    }
}

/// The code for an end by a signal.
pub(super) fn signal_code(signal: i32) -> u8 {
    u8::try_from(signal).map_or(u8::MAX, |signal| BY_SIGNAL.saturating_add(signal))
}

fn code_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, signal) => signal_code(signal.unwrap_or(0)),
    }
}

fn send(child: &Child, signal: Signal) {
    // Nothing is there to be told any more: its end is about to be seen.
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
        kill_process(pid, signal).ok();
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn look(paths: &[std::path::PathBuf], program: &OsStr) -> Result<(), CliError> {
    let files = || paths.iter().filter(|path| path.is_file());
    if files().any(|path| access(path, Access::EXEC_OK).is_ok()) {
        return Ok(());
    }
    Err(if paths.iter().any(|path| path.exists()) {
        no_program(program)
    } else {
        no_command(program)
    })
}

fn not_started(program: &OsStr, error: &io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::NotFound => no_command(program),
        io::ErrorKind::PermissionDenied => no_program(program),
        _ => {
            let program = safe_line(&program.to_string_lossy());
            let message = format!("starting `{program}` failed: {error}");
            CliError::new(Exit::Command(NOT_EXECUTABLE), message)
        }
    }
}

fn no_command(program: &OsStr) -> CliError {
    let program = safe_line(&program.to_string_lossy());
    CliError::new(Exit::Command(NOT_FOUND), format!("there is no command `{program}`"))
        .with_next("write the command and its arguments behind --")
}

fn no_program(program: &OsStr) -> CliError {
    let program = safe_line(&program.to_string_lossy());
    CliError::new(Exit::Command(NOT_EXECUTABLE), format!("`{program}` cannot be run as a command"))
        .with_next("it is a folder, or a file that this user may not run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_before_it_is_run() {
        let code = |program: &str| find(OsStr::new(program)).err().map(|error| error.exit.code());
        assert_eq!(code("sh"), None);
        assert_eq!(code("/bin/sh"), None);
        assert_eq!(code("no-such-command-anywhere"), Some(127));
        assert_eq!(code("/nowhere/sh"), Some(127));
        assert_eq!(code("/"), Some(126));
        assert_eq!(code("/proc/self/status"), Some(126));
    }

    #[test]
    fn an_end_has_the_code_that_shells_give_it() {
        assert_eq!(code_of(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code_of(ExitStatus::from_raw(15)), 143);
    }
}
