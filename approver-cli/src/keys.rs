//! `keys`: the credentials of agents.

mod create;
mod picker;
mod settings;

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use vouchsafe_core::key::{Scope, Scopes};
use vouchsafe_proto::v1::{
    CreateKeyRequest, DeleteKeyRequest, DisableKeyRequest, EnableKeyRequest, Key, KeyWithValue,
    ListKeysRequest, RegenerateKeyRequest, ShowKeyRequest,
};
use zeroize::Zeroizing;

use self::create::{Create, hand_over};
use self::settings::Changes;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::record::Record;
use crate::{pages, prompt, words};

const COLUMNS: [Column; 10] = [
    ("NAME", "name"),
    ("OWNER", "owner"),
    ("SCOPES", "scopes"),
    ("LEVEL", "level"),
    ("LAST USED", "last_used_at"),
    ("CALLS", "calls_this_month"),
    ("LEFT", "calls_left"),
    ("RATE LEFT", "rate"),
    ("EXPIRES", "expires_at"),
    ("ENABLED", "enabled"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(Box<Create>),
    /// List keys, with what they used this month and what they have left
    List {
        /// At most this many; 0 for all
        #[arg(long, value_name = "N", default_value_t = pages::LIMIT)]
        limit: u32,
    },
    /// Show one key; never its value
    Show(Named),
    /// Change what a key may do and how far it goes
    Update(Box<Update>),
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
pub(crate) struct Update {
    /// Name of the key
    name: String,
    #[command(flatten)]
    changes: Changes,
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
        Command::Create(create) => create::run(*create, context).await,
        Command::List { limit } => list(limit, context).await,
        Command::Show(Named { name }) => {
            let request = ShowKeyRequest { project: context.project.clone(), name };
            let key = context.daemon().await?.keys().show_key(request).await?.into_inner();
            context.out.record(&record(&key))
        }
        Command::Update(update) => {
            let Update { name, changes } = *update;
            let request = changes.request(context.project.clone(), name);
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
        ..CreateKeyRequest::default()
    };
    let made = daemon.keys().create_key(request).await?.into_inner();
    save(made, context)
}

/// A new value for a key, kept in the home folder.
pub(crate) async fn regenerate_saved(name: &str, context: &Context) -> Result<Key, CliError> {
    let daemon = context.daemon().await?;
    let request = RegenerateKeyRequest { project: context.project.clone(), name: name.to_owned() };
    let made = daemon.keys().regenerate_key(request).await?.into_inner();
    save(made, context)
}

async fn list(limit: u32, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let page = pages::gather(limit, async |page| {
        let request = ListKeysRequest { project: context.project.clone(), page: Some(page) };
        let answer = daemon.keys().list_keys(request).await?.into_inner();
        Ok((answer.keys, answer.next_token))
    })
    .await?;
    let is_json = context.out.is_json();
    let page = page.map(|key| if is_json { record(&key) } else { row(&key) });
    context.out.page(&COLUMNS, &page, "no keys")
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
    hand_over(made, regenerate.save, context).map(drop)
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

fn save(made: KeyWithValue, context: &Context) -> Result<Key, CliError> {
    let value = Zeroizing::new(made.value);
    let key = made.key.unwrap_or_default();
    context.home.save_key(&key.name, &value)?;
    Ok(key)
}

/// What fits on a line.
fn row(key: &Key) -> Record {
    let enabled = match (key.enabled, key.expired) {
        (false, _) => "no",
        (true, true) => "expired",
        (true, false) => "yes",
    };
    Record::new()
        .text("name", &key.name)
        .text("owner", &key.owner)
        .text("scopes", bundled(&key.scopes))
        .text("level", words::level(key.level))
        .time("last_used_at", key.last_used_at)
        .number("calls_this_month", key.calls_this_month)
        .number_if("calls_left", key.calls_left)
        .text("rate", format!("{} of {}", key.rate_left, key.rate))
        .time("expires_at", key.expires_at)
        .text("enabled", enabled)
}

fn record(key: &Key) -> Record {
    Record::new()
        .text("id", &key.id)
        .text("name", &key.name)
        .text("project", &key.project)
        .text("owner", &key.owner)
        .texts("scopes", &key.scopes)
        .text("level", words::level(key.level))
        .span("session", key.session)
        .texts("tools", &key.tools)
        .number("rate", key.rate)
        .number("rate_left", key.rate_left)
        .number_if("monthly", Some(key.monthly).filter(|calls| *calls != 0))
        .number("calls_this_month", key.calls_this_month)
        .number_if("calls_left", key.calls_left)
        .flag("enabled", key.enabled)
        .time("created_at", key.created_at)
        .time("last_used_at", key.last_used_at)
        .time("expires_at", key.expires_at)
        .flag("expired", key.expired)
}

/// The scopes in few words: a bundle that is among them whole, then the others.
fn bundled(scopes: &[String]) -> String {
    let given: BTreeSet<&str> = scopes.iter().map(String::as_str).collect();
    let bundles = [("mcp:full", Scopes::full()), ("mcp:read", Scopes::read_only())];
    for (name, bundle) in bundles {
        let bundle: BTreeSet<&str> = bundle.iter().map(Scope::as_str).collect();
        if bundle.is_subset(&given) {
            let others = given.difference(&bundle).copied();
            return std::iter::once(name).chain(others).collect::<Vec<_>>().join(", ");
        }
    }
    scopes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_told_by_their_bundle() {
        let told = |words: &[&str]| {
            let words: Vec<String> = words.iter().copied().map(str::to_owned).collect();
            bundled(&words)
        };
        assert_eq!(told(&["secrets:read", "tools:read", "audit:read"]), "mcp:read");
        assert_eq!(
            told(&["secrets:read", "secrets:reveal", "tools:read", "audit:read"]),
            "mcp:read, secrets:reveal"
        );
        assert_eq!(told(&["secrets:read", "secrets:reveal"]), "secrets:read, secrets:reveal");
        let all: Vec<&str> = Scope::ALL.into_iter().map(Scope::as_str).collect();
        assert_eq!(told(&all), "mcp:full, secrets:reveal");
    }

    #[test]
    fn what_is_left_of_a_key_is_in_its_row() {
        let key = Key { rate: 60, rate_left: 57, enabled: true, ..Key::default() };
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let cell = |key: &Key, name| row(key).cell(name, now);
        assert_eq!(cell(&key, "rate"), "57 of 60");
        assert_eq!(cell(&key, "calls_left"), "-", "not limited");
        assert_eq!(cell(&key, "enabled"), "yes");
        let key = Key { calls_left: Some(0), expired: true, ..key };
        assert_eq!(
            (cell(&key, "calls_left"), cell(&key, "enabled")),
            ("0".into(), "expired".into())
        );
    }
}
