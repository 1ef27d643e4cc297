//! `install`: tells an agent's program where Vouchsafe is. Its file never holds a token.

mod client;
mod settings;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tempfile::NamedTempFile;

pub(crate) use self::client::Client;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::home;
use crate::{keys, output};

/// No program's settings are anywhere near this long.
const SETTINGS_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What our entry is called in the settings of the program.
const SERVER_NAME: &str = "vouchsafe";

/// Connect an agent's program to Vouchsafe.
///
/// Makes an MCP key, keeps it in the home folder, and adds `vouchsafe mcp` to the program's
/// settings; all else in them stays, and the file as it was is kept beside it as .bak. The
/// settings never hold the key itself.
#[derive(Args, Debug)]
pub(crate) struct Command {
    /// Program to connect
    #[arg(value_enum)]
    client: Client,
    /// Only print what belongs into the settings
    #[arg(long)]
    print: bool,
    /// MCP key to use, made where the home folder does not hold it [default: the program's name]
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// What a key that is made may do, like mcp:read,secrets:reveal [default: mcp:read]
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
}

pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    context.local_only("install")?;
    let client = command.client;
    let key = command.key.as_deref().unwrap_or(client.name());
    let key_file = context.home.key_file(key)?;
    let entry = entry(client, key, context)?;
    if command.print {
        return output::raw(snippet(client, &entry)?.as_bytes());
    }
    if !key_file.exists() {
        keys::create_saved(key, command.scopes.clone(), context)
            .await
            .map_err(|error| explain_key(error, key))?;
        context.out.say(&format!("made the key {key}, kept in {}", home::display(&key_file)))?;
    }
    add(client, &entry, context).await
}

/// Tells a program of this key, which the home folder holds.
pub(crate) async fn register(client: Client, key: &str, context: &Context) -> Result<(), CliError> {
    add(client, &entry(client, key, context)?, context).await
}

async fn add(client: Client, entry: &Entry, context: &Context) -> Result<(), CliError> {
    match client.settings_file()? {
        Some(path) => write_settings(client, &path, entry, context),
        None => claude_code(entry, context).await,
    }
}

/// How a program starts us, as its settings say it.
#[derive(Serialize)]
struct Entry {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    command: String,
    args: Vec<String>,
}

fn entry(client: Client, key: &str, context: &Context) -> Result<Entry, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::io("finding this program's own file", &error))?;
    let mut args = vec!["mcp".to_owned(), "--key".to_owned(), key.to_owned()];
    if !context.home.is_default() {
        let dir = context.home.dir().to_string_lossy().into_owned();
        args.extend(["--home".to_owned(), dir]);
    }
    let program = program.to_string_lossy().into_owned();
    let transport = match client {
        Client::Vscode | Client::ClaudeCode => Some("stdio"),
        Client::ClaudeDesktop | Client::Cursor => None,
    };
    Ok(Entry { transport, command: program, args })
}

/// As a file that holds nothing else.
fn snippet(client: Client, entry: &Entry) -> Result<String, CliError> {
    settings::merged(None, client.section(), SERVER_NAME, entry)
        .map_err(|fault| CliError::failed(fault.to_string()))
}

fn explain_key(error: CliError, key: &str) -> CliError {
    if error.exit == Exit::Conflict {
        return error.with_next(format!(
            "this home does not hold its value: make a new one with \
             `vouchsafe keys regenerate {key} --save`, or name another key with --key"
        ));
    }
    error
}

fn write_settings(
    client: Client,
    path: &Path,
    entry: &Entry,
    context: &Context,
) -> Result<(), CliError> {
    // A link stays a link; what it points to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let shown = home::display(&path);
    let old = read_settings(&path)?;
    let new = settings::merged(old.as_deref(), client.section(), SERVER_NAME, entry).map_err(
        |fault| {
            CliError::new(Exit::Conflict, format!("{shown} was left alone: {fault}")).with_next(
                format!("add it by hand: `vouchsafe install {} --print` shows what", client.name()),
            )
        },
    )?;
    if old.as_deref() == Some(new.as_str()) {
        return context.out.say(&format!("{shown} names Vouchsafe already"));
    }
    if old.is_some() {
        back_up(&path)?;
    }
    replace(&path, &new).map_err(|error| CliError::io(&format!("writing {shown}"), &error))?;
    context.out.say(&format!("added Vouchsafe to {shown}; restart {}", client.title()))
}

fn read_settings(path: &Path) -> Result<Option<String>, CliError> {
    let action = format!("reading {}", home::display(path));
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::io(&action, &error)),
        Ok(metadata) if metadata.len() > SETTINGS_BYTES_MAX => {
            Err(CliError::failed(format!("{action} failed: it is far too long")))
        }
        Ok(_) => fs::read_to_string(path).map(Some).map_err(|error| CliError::io(&action, &error)),
    }
}

fn back_up(path: &Path) -> Result<(), CliError> {
    let mut backup = path.as_os_str().to_owned();
    backup.push(".bak");
    let backup = PathBuf::from(backup);
    fs::copy(path, &backup)
        .map(drop)
        .map_err(|error| CliError::io(&format!("writing {}", home::display(&backup)), &error))
}

/// All or nothing, with the mode of the file before.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut file = NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(path) {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Claude Code has a command of its own for this.
async fn claude_code(entry: &Entry, context: &Context) -> Result<(), CliError> {
    let args = ["mcp", "add-json", "--scope", "user", SERVER_NAME];
    let entry = serde_json::to_string(entry)
        .map_err(|error| CliError::failed(format!("writing JSON failed: {error}")))?;
    let run = tokio::process::Command::new("claude").args(args).arg(&entry).output().await;
    match run {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let command = format!("claude {} '{}'", args.join(" "), entry.replace('\'', r"'\''"));
            context.out.say("there is no `claude` on the PATH; run this where there is:")?;
            context.out.say(&command)
        }
        Err(error) => Err(CliError::io("running claude", &error)),
        Ok(done) if done.status.success() => context.out.say("added Vouchsafe to Claude Code"),
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stderr);
            let said = crate::text::safe_line(said.trim());
            Err(CliError::failed(format!("`claude mcp add-json` failed: {said}")).with_next(
                format!(
                    "if it is there already, remove it with `claude mcp remove {SERVER_NAME}` first"
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stays_beside_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.json");
        fs::write(&path, "{}").unwrap();
        back_up(&path).unwrap();
        replace(&path, "{\"a\":1}").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}");
        assert_eq!(fs::read_to_string(dir.path().join("mcp.json.bak")).unwrap(), "{}");
    }

    #[test]
    fn folders_that_are_missing_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Code/User/mcp.json");
        replace(&path, "{}").unwrap();
        assert!(path.exists());
    }
}
