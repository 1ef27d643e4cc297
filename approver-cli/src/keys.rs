//! `keys`: the credentials of agents.

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::{
    CreateKeyRequest, DeleteKeyRequest, DisableKeyRequest, EnableKeyRequest, Key, KeyWithValue,
    ListKeysRequest, RegenerateKeyRequest, ShowKeyRequest, UpdateKeyRequest,
};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{self, Column};
use crate::record::Record;
use crate::{home, pages, prompt};

const COLUMNS: [Column; 6] = [
    ("NAME", "name"),
    ("OWNER", "owner"),
    ("SCOPES", "scopes"),
    ("ENABLED", "enabled"),
    ("CREATED", "created_at"),
    ("LAST USED", "last_used_at"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key; its value is shown once
    Create(Create),
    /// List keys
    List {
        /// At most this many; 0 for all
        #[arg(long, value_name = "N", default_value_t = pages::LIMIT)]
        limit: u32,
    },
    /// Show one key; never its value
    Show(Named),
    /// Change scopes or owner of a key
    Update(Update),
    /// Let a disabled key in again
    Enable(Named),
    /// Keep a key out until it is enabled again
    Disable(NamedWithReason),
    /// Give a key a new value; the old one is dead at once
    Regenerate(Regenerate),
    /// Delete a key, end its leases and withdraw its asks
    Delete(Delete),
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Name of the key
    name: String,
}

#[derive(Args, Debug)]
pub(crate) struct NamedWithReason {
    /// Name of the key
    name: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Name: 3 to 20 letters, digits and hyphens
    name: String,
    /// What it may do, like mcp:read,secrets:reveal [default: mcp:read]
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// User who owns it and never counts as approver of its asks [default: you]
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Keep the value in the home folder for `vouchsafe mcp --key NAME` instead of showing it
    #[arg(long)]
    save: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Name of the key
    name: String,
    /// What it may do from now on; replaces all its scopes
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', required_unless_present = "owner")]
    scopes: Vec<String>,
    /// User who owns it from now on
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Regenerate {
    /// Name of the key
    name: String,
    /// Keep the value in the home folder for `vouchsafe mcp --key NAME` instead of showing it
    #[arg(long)]
    save: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Name of the key
    name: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Create(create) => create_key(create, context).await,
        Command::List { limit } => list(limit, context).await,
        Command::Show(Named { name }) => {
            let request = ShowKeyRequest { project: context.project.clone(), name };
            let key = context.daemon().await?.keys().show_key(request).await?.into_inner();
            context.out.record(&record(&key))
        }
        Command::Update(Update { name, scopes, owner }) => {
            let owner = owner.unwrap_or_default();
            let request =
                UpdateKeyRequest { project: context.project.clone(), name, scopes, owner };
            let key = context.daemon().await?.keys().update_key(request).await?.into_inner();
            context.out.record(&record(&key))
        }
        Command::Enable(Named { name }) => {
            let request = EnableKeyRequest { project: context.project.clone(), name };
            let key = context.daemon().await?.keys().enable_key(request).await?.into_inner();
            context.out.record(&record(&key))
        }
        Command::Disable(NamedWithReason { name, reason }) => {
            let reason = reason.unwrap_or_default();
            let request = DisableKeyRequest { project: context.project.clone(), name, reason };
            let key = context.daemon().await?.keys().disable_key(request).await?.into_inner();
            context.out.record(&record(&key))
        }
        Command::Regenerate(regenerate) => regenerate_key(regenerate, context).await,
        Command::Delete(delete) => delete_key(delete, context).await,
    }
}

/// Makes a key and keeps its value in the home folder.
pub(crate) async fn create_saved(
    name: &str,
    scopes: Vec<String>,
    context: &Context,
) -> Result<Key, CliError> {
    let daemon = context.daemon().await?;
    let request = CreateKeyRequest {
        project: context.project.clone(),
        name: name.to_owned(),
        scopes,
        owner: String::new(),
    };
    let made = daemon.keys().create_key(request).await?.into_inner();
    save(made, context).map(|(key, _)| key)
}

/// A new value for a key, kept in the home folder.
pub(crate) async fn regenerate_saved(name: &str, context: &Context) -> Result<Key, CliError> {
    let daemon = context.daemon().await?;
    let request = RegenerateKeyRequest { project: context.project.clone(), name: name.to_owned() };
    let made = daemon.keys().regenerate_key(request).await?.into_inner();
    save(made, context).map(|(key, _)| key)
}

async fn create_key(create: Create, context: &Context) -> Result<(), CliError> {
    if create.save {
        let path = context.home.key_file(&create.name)?;
        if path.exists() {
            let path = home::display(&path);
            return Err(CliError::new(Exit::Conflict, format!("{path} holds a key already"))
                .with_next("move it away first, or choose another name"));
        }
    }
    let daemon = context.daemon().await?;
    let request = CreateKeyRequest {
        project: context.project.clone(),
        name: create.name,
        scopes: create.scopes,
        owner: create.owner.unwrap_or_default(),
    };
    let made = daemon.keys().create_key(request).await?.into_inner();
    hand_over(made, create.save, context)
}

async fn list(limit: u32, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let page = pages::gather(limit, async |page| {
        let request = ListKeysRequest { project: context.project.clone(), page: Some(page) };
        let answer = daemon.keys().list_keys(request).await?.into_inner();
        Ok((answer.keys, answer.next_token))
    })
    .await?;
    context.out.page(&COLUMNS, &page.map(|key| record(&key)), "no keys")
}

async fn regenerate_key(regenerate: Regenerate, context: &Context) -> Result<(), CliError> {
    let name = regenerate.name;
    if regenerate.save {
        context.home.key_file(&name)?;
    }
    let question = format!("Regenerate the key {name}? Its old value is dead at once.");
    prompt::confirm_unless(regenerate.yes, &question).await?;
    let daemon = context.daemon().await?;
    let request = RegenerateKeyRequest { project: context.project.clone(), name };
    let made = daemon.keys().regenerate_key(request).await?.into_inner();
    hand_over(made, regenerate.save, context)
}

async fn delete_key(delete: Delete, context: &Context) -> Result<(), CliError> {
    let name = delete.name;
    prompt::confirm_unless(delete.yes, &format!("Delete the key {name} and end its leases?"))
        .await?;
    let daemon = context.daemon().await?;
    let request = DeleteKeyRequest {
        project: context.project.clone(),
        name: name.clone(),
        reason: delete.reason.unwrap_or_default(),
    };
    let answer = daemon.keys().delete_key(request).await?.into_inner();
    context.out.record(
        &Record::new()
            .text("deleted", name)
            .number("leases_revoked", answer.leases_revoked)
            .number("approvals_withdrawn", answer.approvals_withdrawn),
    )
}

/// Shows the value once, or keeps it in the home folder.
fn hand_over(made: KeyWithValue, keep: bool, context: &Context) -> Result<(), CliError> {
    if keep {
        let (key, path) = save(made, context)?;
        return context
            .out
            .record(&Record::new().with_record("key", Some(record(&key))).text("file", path));
    }
    let value = Zeroizing::new(made.value);
    let key = made.key.unwrap_or_default();
    if context.out.is_json() {
        let shown =
            Record::new().with_record("key", Some(record(&key))).text("value", value.as_str());
        return context.out.record(&shown);
    }
    context.out.record(&record(&key).text("value", value.as_str()))?;
    output::note("this is the only time that the value is shown");
    Ok(())
}

fn save(made: KeyWithValue, context: &Context) -> Result<(Key, String), CliError> {
    let value = Zeroizing::new(made.value);
    let key = made.key.unwrap_or_default();
    let path = context.home.save_key(&key.name, &value)?;
    Ok((key, path.to_string_lossy().into_owned()))
}

fn record(key: &Key) -> Record {
    Record::new()
        .text("id", &key.id)
        .text("name", &key.name)
        .text("project", &key.project)
        .text("owner", &key.owner)
        .texts("scopes", &key.scopes)
        .flag("enabled", key.enabled)
        .time("created_at", key.created_at)
        .time("last_used_at", key.last_used_at)
}
