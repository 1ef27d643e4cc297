//! `secrets`: values go in, and never come out.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{
    DeleteSecretRequest, ListSecretVersionsRequest, ListSecretsRequest, PutSecretRequest, Secret,
    SecretSettings, SecretVersion, ShowSecretRequest,
};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Column};
use crate::record::Record;
use crate::{home, pages, prompt};

/// 64 KiB, as the daemon has it.
const VALUE_BYTES_MAX: usize = 64 * 1024;
const URI_PREFIX: &str = "vouchsafe://secrets/";

const COLUMNS: [Column; 5] = [
    ("PATH", "path"),
    ("VERSION", "version"),
    ("DESCRIPTION", "description"),
    ("UPDATED", "updated_at"),
    ("BY", "updated_by"),
];
const VERSION_COLUMNS: [Column; 4] = [
    ("VERSION", "version"),
    ("CURRENT", "current"),
    ("CREATED", "created_at"),
    ("BY", "created_by"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List secrets; never their values
    List {
        /// Only paths of this pattern, like `production/**`
        pattern: Option<String>,
        /// At most this many; 0 for all
        #[arg(long, value_name = "N", default_value_t = pages::LIMIT)]
        limit: u32,
    },
    /// Show what is known about a secret; never its value
    Show {
        /// Path, like `production/DATABASE_URL`
        path: String,
    },
    /// Make a secret, or a new version of it
    ///
    /// The value comes from standard input, from --file, or, on a terminal, from a prompt that
    /// does not echo; never from an argument. Bytes from standard input and files are kept exactly
    /// as they are: a line feed at the end is part of the value unless --trim is given.
    Put(Put),
    /// List the versions of a secret, newest first
    Versions {
        /// Path, like `production/DATABASE_URL`
        path: String,
    },
    /// Delete a secret and end the leases on it
    Delete {
        /// Path, like `production/DATABASE_URL`
        path: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Put {
    /// Path, like `production/DATABASE_URL`
    path: String,
    /// File that holds the value; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What it is for, in a line; left as it is where not given
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Refuse unless the secret is at this version; 0: unless it does not exist yet
    #[arg(long, value_name = "N")]
    expected_version: Option<u64>,
    /// Strip one line feed from the end of the value
    #[arg(long)]
    trim: bool,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::List { pattern, limit } => list(pattern, limit, context).await,
        Command::Show { path } => show(path, context).await,
        Command::Put(put) => put_value(put, context).await,
        Command::Versions { path } => versions(path, context).await,
        Command::Delete { path, reason, yes } => delete(path, reason, yes, context).await,
    }
}

async fn list(pattern: Option<String>, limit: u32, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ListSecretsRequest {
        project: context.project.clone(),
        pattern: pattern.map(path_of).unwrap_or_default(),
        page: None,
        ..Default::default()
    };
    let page = pages::gather(limit, async |page| {
        let request = ListSecretsRequest { page: Some(page), ..request.clone() };
        let answer = daemon.secrets().list_secrets(request).await?.into_inner();
        Ok((answer.secrets, answer.next_token))
    })
    .await?;
    context.out.page(&COLUMNS, &page.map(|secret| record(&secret)), "no secrets")
}

async fn show(path: String, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ShowSecretRequest { project: context.project.clone(), path: path_of(path) };
    let secret = daemon.secrets().show_secret(request).await?.into_inner();
    context.out.record(&record(&secret))
}

async fn put_value(put: Put, context: &Context) -> Result<(), CliError> {
    let mut value = value(&put)?;
    check_value(&value)?;
    let daemon = context.daemon().await?;
    let request = PutSecretRequest {
        project: context.project.clone(),
        path: path_of(put.path),
        value: std::mem::take(&mut *value),
        settings: Some(SecretSettings { description: put.description, ..Default::default() }),
        expected_version: put.expected_version,
        ..Default::default()
    };
    let secret = daemon.secrets().put_secret(request).await?.into_inner();
    context.out.record(&record(&secret))
}

async fn versions(path: String, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request =
        ListSecretVersionsRequest { project: context.project.clone(), path: path_of(path) };
    let answer = daemon.secrets().list_secret_versions(request).await?.into_inner();
    let versions: Vec<Record> = answer.versions.iter().map(version_record).collect();
    context.out.list(&VERSION_COLUMNS, &versions, "no versions")
}

async fn delete(
    path: String,
    reason: Option<String>,
    yes: bool,
    context: &Context,
) -> Result<(), CliError> {
    let path = path_of(path);
    prompt::confirm_unless(
        yes,
        &format!("Delete the secret {path} of project {}?", context.project),
    )
    .await?;
    let daemon = context.daemon().await?;
    let request = DeleteSecretRequest {
        project: context.project.clone(),
        path: path.clone(),
        reason: reason.unwrap_or_default(),
    };
    let answer = daemon.secrets().delete_secret(request).await?.into_inner();
    context.out.record(
        &Record::new().text("deleted", path).number("leases_revoked", answer.leases_revoked),
    )
}

/// From the file, a prompt, or standard input.
fn value(put: &Put) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let file = put.file.as_ref().filter(|file| file.as_os_str() != "-");
    let mut value = match file {
        Some(path) => {
            let action = format!("reading {}", home::display(path));
            let file = File::open(path).map_err(|error| CliError::io(&action, &error))?;
            read_value(file).map_err(|error| CliError::io(&action, &error))?
        }
        None if prompt::can_ask() && put.file.is_none() => {
            let typed = prompt::hidden("Value (not shown): ")?;
            return Ok(Zeroizing::new(typed.as_bytes().to_vec()));
        }
        None => read_value(io::stdin().lock())
            .map_err(|error| CliError::io("reading standard input", &error))?,
    };
    if put.trim {
        trim(&mut value);
    } else if value.ends_with(b"\n") {
        output::note("warning: the value ends with a line feed, which is kept; --trim strips it");
    }
    Ok(value)
}

/// One byte more than is allowed, so that too long shows.
fn read_value(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let max = VALUE_BYTES_MAX.saturating_add(1);
    // Room from the start: growing would leave copies behind.
    let mut value = Zeroizing::new(Vec::with_capacity(max.saturating_add(1)));
    source.take(u64::try_from(max).unwrap_or(u64::MAX)).read_to_end(&mut value)?;
    Ok(value)
}

fn trim(value: &mut Vec<u8>) {
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
}

fn check_value(value: &[u8]) -> Result<(), CliError> {
    if value.is_empty() {
        return Err(CliError::usage("the value is empty")
            .with_next("give it on standard input, with --file, or at the prompt"));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(CliError::usage("the value is longer than 64 KiB"));
    }
    Ok(())
}

/// The URI of a secret does as well as its path.
fn path_of(given: String) -> String {
    match given.strip_prefix(URI_PREFIX) {
        Some(path) => path.to_owned(),
        None => given,
    }
}

fn record(secret: &Secret) -> Record {
    Record::new()
        .text("path", &secret.path)
        .text("uri", &secret.uri)
        .text("description", &secret.description)
        .number("version", secret.version)
        .time("created_at", secret.created_at)
        .time("updated_at", secret.updated_at)
        .text("updated_by", &secret.updated_by)
        .text("project", &secret.project)
        .flag("deleted", secret.deleted)
}

fn version_record(version: &SecretVersion) -> Record {
    Record::new()
        .number("version", version.version)
        .time("created_at", version.created_at)
        .text("created_by", &version.created_by)
        .flag("current", version.current)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(file: &std::path::Path, trim: bool) -> Put {
        Put {
            path: "a/B".to_owned(),
            file: Some(file.to_owned()),
            description: None,
            expected_version: None,
            trim,
        }
    }

    #[test]
    fn bytes_of_a_file_are_kept_exactly_unless_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("value");
        std::fs::write(&file, b"\xffs3cret\r\n\n").unwrap();
        assert_eq!(**value(&put(&file, false)).unwrap(), *b"\xffs3cret\r\n\n");
        assert_eq!(**value(&put(&file, true)).unwrap(), *b"\xffs3cret\r\n");
    }

    #[test]
    fn empty_and_huge_values_are_refused_here() {
        assert!(check_value(b"").is_err());
        assert!(check_value(&vec![0; VALUE_BYTES_MAX]).is_ok());
        let huge = vec![0; VALUE_BYTES_MAX * 2];
        let read = read_value(huge.as_slice()).unwrap();
        assert_eq!(read.len(), VALUE_BYTES_MAX + 1);
        assert!(check_value(&read).is_err());
    }

    #[test]
    fn a_uri_does_as_well_as_a_path() {
        assert_eq!(path_of("vouchsafe://secrets/a/B".to_owned()), "a/B");
        assert_eq!(path_of("a/B".to_owned()), "a/B");
    }
}
