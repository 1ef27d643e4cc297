//! `exec`: runs a command with secrets in its environment, once people have vouched for it.
//!
//! It is an agent with an MCP key, at the door that agents have. The values are in the environment of
//! the command and nowhere else: in no argument, no file, no log, and not in our own environment.

mod ask;
mod binding;
mod child;
mod held;
mod progress;
mod session;
mod signals;
mod value;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use self::ask::{Leases, SecretValue, Wish};
use self::binding::Binding;
use self::held::Held;
use self::progress::Progress;
use self::session::Session;
use self::signals::Signals;
use crate::bridge::{KeyArgs, KeySource};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::{output, time};

const AFTER_HELP: &str = "\
Exit codes:
  The command's own; 128 and the number of the signal where one ended it. Beside that:
  124  a lease ended, and --on-lease-end terminate ended the command
  126  the command is there and cannot be run
  127  there is no such command
  130  interrupted while people were asked; the ask stays (128 and the number of other signals)
Where the command did not run:
  1  failed
  2  the arguments are wrong, or the rule wants another reason
  3  denied, expired or refused
  4  there is no such secret, or no such key file
  6  the daemon cannot be reached, or is too busy";

/// Run a command with secrets in its environment.
///
/// Asks once for all of them with an MCP key that has secrets:reveal, waits for the answer, reads the
/// values, and runs the command with them in its environment and nowhere else. While the command
/// runs its leases are renewed as far as they go; when it ends they are given back, and its exit
/// code is handed on. It does not get the variables that are for vouchsafe itself, as `VOUCHSAFE_TOKEN`
/// is.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Command {
    /// Variable to set, and its secret by URI or path, like `DB=production/DATABASE_URL`
    #[arg(long, value_name = "NAME=URI", required = true, num_args = 1..)]
    env: Vec<String>,
    /// What it is for; the person who decides reads it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Which kind of reason that is, where the rule asks for one
    #[arg(long, value_name = "KIND")]
    reason_kind: Option<String>,
    /// How long it is needed, like 15m; the rule decides where nothing is said
    #[arg(long, value_name = "DURATION", value_parser = time::duration_arg)]
    duration: Option<Duration>,
    #[command(flatten)]
    key: KeyArgs,
    /// What to do when a lease ends while the command runs
    #[arg(long, value_enum, value_name = "ACTION", default_value = "warn")]
    on_lease_end: OnLeaseEnd,
    /// Command to run, and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
    program: Vec<OsString>,
}

/// What to do when a lease ends while the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnLeaseEnd {
    /// Say so, and let the command go on
    Warn,
    /// Say so, and end the command: SIGTERM, and SIGKILL 10 seconds later
    Terminate,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    context.local_only("exec")?;
    let bindings = binding::parse(&command.env)?;
    if command.reason.trim().is_empty() {
        return Err(CliError::usage("--reason says nothing")
            .with_next("say what it is for: the person who decides reads it"));
    }
    let source = find_key(&command.key, context)?;
    if let Some(program) = command.program.first() {
        child::find(program)?;
    }
    let mut signals = Signals::catch()?;
    let began = time::now();
    let progress = Progress::new(&command.reason);
    let wish = Wish {
        uris: binding::uris(&bindings),
        reason: command.reason,
        reason_kind: command.reason_kind,
        duration: command.duration,
    };
    let mut session = Session::new(context.home.clone(), source);
    let mut leases = Leases::new();
    let obtained = tokio::select! {
        biased;
        obtained = progress.during(obtain(&mut session, &wish, &progress, &mut leases)) => {
            Ok(obtained)
        }
        signal = signals.next_end() => Err(signal),
    };
    let mut held = Held::new(session, leases, began);
    let ran = match obtained {
        Ok(Ok(values)) => match child::start(&command.program, variables(bindings, values)) {
            Ok(mut child) => {
                child::attend(&mut child, &mut held, &mut signals, command.on_lease_end).await
            }
            Err(error) => Err(error),
        },
        Ok(Err(error)) => Err(error),
        Err(signal) => {
            progress.clear();
            interrupted(progress.approval());
            Ok(child::signal_code(signal.as_raw()))
        }
    };
    held.release().await;
    ran.map(Exit::Command)
}

/// The file of a key that is there.
fn find_key(args: &KeyArgs, context: &Context) -> Result<KeySource, CliError> {
    let make = "`vouchsafe keys create NAME --scopes secrets:read,secrets:reveal --save` makes one";
    if args.is_empty() {
        return Err(CliError::usage("no MCP key is named")
            .with_next(format!("say --key NAME; {make} that may read values")));
    }
    let source = KeySource::find(args, &context.home)?;
    match source.read() {
        Ok(_) => Ok(source),
        Err(error) if error.exit == Exit::NotFound => Err(error.with_next(make)),
        Err(error) => Err(error),
    }
}

/// The value of each secret, in their order, once there is a lease on all.
async fn obtain(
    session: &mut Session,
    wish: &Wish,
    progress: &Progress,
    leases: &mut Leases,
) -> Result<Vec<(String, SecretValue)>, CliError> {
    // A daemon that goes away is waited for; one that was never there is told of.
    session.join().await?;
    ask::ask(session, wish, progress, leases).await?;
    progress.approved();
    let mut values = Vec::with_capacity(wish.uris.len());
    for uri in &wish.uris {
        values.push((uri.clone(), ask::read(session, wish, uri, leases).await?));
    }
    Ok(values)
}

/// The variables with their values; two may have one secret.
fn variables(
    bindings: Vec<Binding>,
    values: Vec<(String, SecretValue)>,
) -> impl Iterator<Item = (String, SecretValue)> {
    bindings.into_iter().filter_map(move |Binding { name, uri }| {
        let (_, value) = values.iter().find(|(of, _)| *of == uri)?;
        Some((name, Zeroizing::new(value.to_vec())))
    })
}

/// The ask stays: it may be answered, and the same command goes on with it.
fn interrupted(approval: Option<String>) {
    match approval {
        Some(id) => note(&format!(
            "interrupted, nothing was run; approval {id} goes on waiting: the same command again \
             goes on with it, `vouchsafe deny {id} --reason ..` takes it back"
        )),
        None => note("interrupted, nothing was run"),
    }
}

/// A remark of ours beside what the command says.
fn note(text: &str) {
    output::note(&format!("vouchsafe exec: {text}"));
}
