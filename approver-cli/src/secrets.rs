//! `secrets`: values go in, and never come out.

mod change;
mod generate;
mod import;
mod put;
mod settings;
mod shown;
mod value;

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{
    ListSecretVersionsRequest, ListSecretsRequest, Secret, ShowSecretRequest,
};

use self::change::{Delete, RollBack, Rotate, Undelete, Update};
use self::generate::Generate;
use self::import::Import;
use self::put::Put;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::pages;
use crate::record::Record;

const URI_PREFIX: &str = "vouchsafe://secrets/";

const COLUMNS: [Column; 10] = [
    ("PATH", "path"),
    ("VERSION", "version"),
    ("MADE", "made"),
    ("DESCRIPTION", "description"),
    ("LABELS", "labels"),
    ("OWNER", "owner"),
    ("EXPIRES", "expires_at"),
    ("ROTATES", "rotates_at"),
    ("UPDATED", "updated_at"),
    ("BY", "updated_by"),
];
const DELETED_COLUMNS: [Column; 7] = [
    ("PATH", "path"),
    ("ID", "id"),
    ("VERSION", "version"),
    ("DESCRIPTION", "description"),
    ("LABELS", "labels"),
    ("DELETED", "deleted_at"),
    ("PURGED", "purged_at"),
];
const VERSION_COLUMNS: [Column; 8] = [
    ("VERSION", "version"),
    ("CURRENT", "current"),
    ("MADE", "made"),
    ("BYTES", "bytes"),
    ("CREATED", "created_at"),
    ("BY", "created_by"),
    ("APPROVAL", "approval_id"),
    ("WIPED", "wiped"),
];

// Where a variant says nothing, its arguments describe the command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(List),
    /// Show what is known about a secret; never its value
    Show(Named),
    Put(Box<Put>),
    Generate(Box<Generate>),
    Rotate(Rotate),
    /// List the versions of a secret, newest first
    Versions(Named),
    #[command(name = "rollback")]
    RollBack(RollBack),
    Update(Box<Update>),
    Import(Import),
    Delete(Delete),
    Undelete(Undelete),
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Path, like `production/DATABASE_URL`
    path: String,
}

/// List secrets; never their values
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only paths of this pattern, like `production/**`
    pattern: Option<String>,
    /// Those that are deleted and not purged yet, instead of those that are there
    #[arg(long)]
    deleted: bool,
    /// Only those with this label, whatever its value or with this one; may be given several times
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = settings::label_filter_arg)]
    label: Vec<(String, String)>,
    /// At most this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = pages::LIMIT)]
    limit: u32,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::List(given) => list(given, context).await,
        Command::Show(Named { path }) => show(path, context).await,
        Command::Put(given) => put::run(*given, context).await,
        Command::Generate(given) => generate::run(*given, context).await,
        Command::Rotate(given) => change::rotate(given, context).await,
        Command::Versions(Named { path }) => versions(path, context).await,
        Command::RollBack(given) => change::roll_back(given, context).await,
        Command::Update(given) => change::update(*given, context).await,
        Command::Import(given) => import::run(given, context).await,
        Command::Delete(given) => change::delete(given, context).await,
        Command::Undelete(given) => change::undelete(given, context).await,
    }
}

async fn list(list: List, context: &Context) -> Result<(), CliError> {
    let labels = settings::labels(list.label)?;
    let daemon = context.daemon().await?;
    let request = ListSecretsRequest {
        project: context.project.clone(),
        pattern: list.pattern.map(path_of).unwrap_or_default(),
        page: None,
        deleted: list.deleted,
        labels,
    };
    let page = pages::gather(list.limit, async |page| {
        let request = ListSecretsRequest { page: Some(page), ..request.clone() };
        let answer = daemon.secrets().list_secrets(request).await?.into_inner();
        Ok((answer.secrets, answer.next_token))
    })
    .await?;
    let is_json = context.out.is_json();
    let page =
        page.map(|secret| if is_json { shown::record(&secret) } else { shown::row(&secret) });
    if list.deleted {
        return context.out.page(&DELETED_COLUMNS, &page, "no deleted secrets");
    }
    context.out.page(&COLUMNS, &page, "no secrets")
}

async fn show(path: String, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ShowSecretRequest { project: context.project.clone(), path: path_of(path) };
    tell(&daemon.secrets().show_secret(request).await?.into_inner(), context)
}

async fn versions(path: String, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request =
        ListSecretVersionsRequest { project: context.project.clone(), path: path_of(path) };
    let answer = daemon.secrets().list_secret_versions(request).await?.into_inner();
    let is_json = context.out.is_json();
    let told = if is_json { shown::version_record } else { shown::version_row };
    let versions: Vec<Record> = answer.versions.iter().map(told).collect();
    context.out.list(&VERSION_COLUMNS, &versions, "no versions")
}

/// All that is known of a secret. A public key stands by itself, so that it can be copied.
fn tell(secret: &Secret, context: &Context) -> Result<(), CliError> {
    if context.out.is_json() {
        return context.out.record(&shown::record(secret));
    }
    context.out.record(&shown::told(secret))?;
    match secret.public_key.trim_end() {
        "" => Ok(()),
        key => context.out.say(&format!("\n{key}")),
    }
}

/// The URI of a secret does as well as its path.
fn path_of(given: String) -> String {
    match given.strip_prefix(URI_PREFIX) {
        Some(path) => path.to_owned(),
        None => given,
    }
}

#[cfg(test)]
mod tests;
