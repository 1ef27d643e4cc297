//! `secrets import`: many secrets from a file, all of them or none.

mod dotenv;
mod file;
mod item;
mod json;
mod plan;
mod yaml;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vouchsafe_proto::v1::{ImportItem, ImportSecretsRequest};

use self::file::Source;
use self::item::Item;
use self::plan::Plan;
use crate::connect::Daemon;
use crate::context::Context;
use crate::error::CliError;
use crate::{output, prompt};

/// Put the secrets of a dotenv, JSON or YAML file, all of them or none
///
/// It shows what it would do, asks, and does it: every secret of the file is put, or, if one of
/// them has changed in the meantime, none is. Whatever is wrong in the file is named with its line,
/// and then nothing is sent. Values are never shown.
///
/// dotenv: NAME=VALUE lines, with or without `export`; comments; values in single quotes, in
/// backticks, or in double quotes with their escapes, over several lines too. `$NAME` is kept as it
/// is: nothing is put in for it.
///
/// JSON and YAML: names and values, nested to make paths. Strings are kept as they are, numbers and
/// booleans as they are written; null and lists are refused.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// File with the secrets; - is standard input
    file: PathBuf,
    /// What it is written in: dotenv, json or yaml [default: by the name of the file]
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<Format>,
    /// Path to put them below, like `production`
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Leave out those that exist already
    #[arg(long)]
    skip_existing: bool,
    /// Show what it would do, and do nothing
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// What a file is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// Lines of NAME=VALUE
    Dotenv,
    /// An object
    Json,
    /// A mapping
    Yaml,
}

pub(super) async fn run(import: Import, context: &Context) -> Result<(), CliError> {
    let source = Source::new(import.file, import.format)?;
    let asked = import.plan || import.yes;
    if !asked && (source.is_standard_input() || !prompt::can_ask() || context.out.is_json()) {
        return Err(CliError::usage("nobody can be asked whether to go ahead")
            .with_next("see what it would do with --plan, then do it with --yes"));
    }
    let mut items = source.items(import.prefix.as_deref())?;
    let daemon = context.daemon().await?;
    let mut plan = Plan::new(&items, send(&items, None, &daemon, context).await?)?;
    if import.skip_existing {
        let skipped = plan.skip_existing(&mut items);
        output::note(&format!("left out, because they exist already: {skipped}"));
    }
    let is_json = context.out.is_json();
    // JSON is one value: the plan, or what was done.
    let nothing_more = import.plan || items.is_empty();
    if nothing_more || !is_json {
        plan.show(context)?;
    }
    items.iter().flat_map(Item::notes).for_each(|note| output::note(&note));
    plan.check()?;
    if nothing_more {
        return Ok(());
    }
    prompt::confirm_unless(import.yes, &plan.question(&context.project)).await?;
    let done = Plan::new(&items, send(&items, Some(&plan), &daemon, context).await?)?;
    done.check()?;
    if is_json {
        return done.show(context);
    }
    context.out.say(&format!("imported {}", done.told()))
}

/// Asks what would be done, or does what the plan says.
async fn send(
    items: &[Item],
    plan: Option<&Plan>,
    daemon: &Daemon,
    context: &Context,
) -> Result<Vec<vouchsafe_proto::v1::ImportedSecret>, CliError> {
    let request = ImportSecretsRequest {
        project: context.project.clone(),
        items: items
            .iter()
            .map(|item| ImportItem {
                path: item.path.clone(),
                value: item.value.as_bytes().to_vec(),
                expected_version: plan.map(|plan| plan.version_before(&item.path)),
            })
            .collect(),
        dry_run: plan.is_none(),
    };
    Ok(daemon.secrets().import_secrets(request).await?.into_inner().secrets)
}

#[cfg(test)]
mod tests;
