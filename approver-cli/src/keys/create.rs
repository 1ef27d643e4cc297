//! `keys create`: a new key, its value shown once, and its client told of it.

use std::io::{self, IsTerminal as _};

use clap::Args;
use vouchsafe_proto::v1::KeyWithValue;
use zeroize::Zeroizing;

use super::settings::NewSettings;
use super::{picker, record};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::install::{self, Client};
use crate::record::Record;
use crate::{home, output, prompt};

/// Make a key; its value is shown once.
///
/// In a terminal it asks what the key may do, unless --scopes or --read-only says so, and offers
/// to register the key with an agent's program. Without a terminal, or with --yes, it asks
/// nothing: the key may then only read, unless --scopes says otherwise.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Name: 3 to 20 letters, digits and hyphens
    name: String,
    #[command(flatten)]
    settings: NewSettings,
    /// Keep the value in the home folder for `vouchsafe mcp --key NAME` instead of showing it
    #[arg(long)]
    save: bool,
    /// Keep the value, and register it with this program: claude-desktop, claude-code, cursor or
    /// vscode
    #[arg(long, value_enum, value_name = "CLIENT", hide_possible_values = true)]
    install: Option<Client>,
    /// Ask nothing
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(mut create: Create, context: &Context) -> Result<(), CliError> {
    if create.install.is_some() {
        context.local_only("keys create --install")?;
    }
    let keep = create.save || create.install.is_some();
    if keep {
        nothing_kept(&create.name, context)?;
    }
    let asks = !create.yes && has_person();
    if asks && create.settings.scopes_open() {
        // A daemon that is not there is told of before anything is asked.
        drop(context.daemon().await?);
        create.settings.set_scopes(picker::pick(&create.name).await?);
    }
    let daemon = context.daemon().await?;
    let request = create.settings.request(context.project.clone(), create.name.clone());
    let made = daemon.keys().create_key(request).await?.into_inner();
    let value = hand_over(made, keep, context)?;
    let client = match create.install {
        None if asks && may_register(&create.name, keep, context) => ask_client().await?,
        named => named,
    };
    let Some(client) = client else {
        return Ok(());
    };
    if !keep {
        let path = context.home.save_key(&create.name, &value)?;
        context.out.say(&format!("kept the key in {}", home::display(&path)))?;
    }
    install::register(client, &create.name, context).await
}

/// Shows the value once, or keeps it in the home folder. Gives it back for whoever comes next.
pub(super) fn hand_over(
    made: KeyWithValue,
    keep: bool,
    context: &Context,
) -> Result<Zeroizing<String>, CliError> {
    let value = Zeroizing::new(made.value);
    let key = made.key.unwrap_or_default();
    let (name, told): (_, &str) = if keep { ("file", "") } else { ("value", &value) };
    let path = if keep { Some(context.home.save_key(&key.name, &value)?) } else { None };
    let told = path.as_ref().map_or(told.into(), |path| path.to_string_lossy());
    if context.out.is_json() {
        let shown = Record::new().with_record("key", Some(record(&key))).text(name, told);
        context.out.record(&shown)?;
        return Ok(value);
    }
    context.out.record(&record(&key).text(name, told))?;
    if !keep {
        output::note("this is the only time that the value is shown");
    }
    Ok(value)
}

/// The value of another key is never written over.
fn nothing_kept(name: &str, context: &Context) -> Result<(), CliError> {
    let path = context.home.key_file(name)?;
    if path.exists() {
        let path = home::display(&path);
        return Err(CliError::new(Exit::Conflict, format!("{path} holds a key already"))
            .with_next("move it away first, or choose another name"));
    }
    Ok(())
}

/// Whether a program of this machine can be told of the key: it takes the value from the home
/// folder, which has room for one key of a name.
fn may_register(name: &str, kept: bool, context: &Context) -> bool {
    !context.is_remote() && (kept || nothing_kept(name, context).is_ok())
}

/// Whether a person sees what is drawn, and can answer.
fn has_person() -> bool {
    prompt::can_ask() && output::is_terminal() && io::stderr().is_terminal()
}

/// The program to register the key with, if any. What is no program's name is asked once more.
async fn ask_client() -> Result<Option<Client>, CliError> {
    let question = format!("Register it with a client now? [{}/N] ", Client::names().join("/"));
    for _ in 0..2 {
        let answer = prompt::line(&question).await?.to_ascii_lowercase();
        if matches!(answer.as_str(), "" | "n" | "no") {
            return Ok(None);
        }
        if let Some(client) = Client::named(&answer) {
            return Ok(Some(client));
        }
        output::note("that is none of them");
    }
    output::note("registered with none; `vouchsafe install CLIENT --key NAME` does it later");
    Ok(None)
}
