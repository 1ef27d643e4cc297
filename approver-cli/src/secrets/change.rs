//! What changes a secret without anybody giving a value: new values of the same kind, earlier ones
//! again, settings, and its end.

use clap::Args;
use vouchsafe_proto::v1::{
    DeleteSecretRequest, RollBackSecretRequest, RotateSecretRequest, SecretSettings,
    UndeleteSecretRequest, UpdateSecretRequest,
};

use super::settings::{Schedule, Settings};
use super::{path_of, tell};
use crate::context::Context;
use crate::error::CliError;
use crate::prompt;
use crate::record::Record;

/// Make a new value for a generated secret, of the same kind
///
/// The value is made by the daemon and never shown. Leases on the value before it release nothing
/// any more, unless their rule follows rotations.
#[derive(Args, Debug)]
pub(crate) struct Rotate {
    /// Path, like `production/DATABASE_URL`
    path: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Make the value of an earlier version the newest version
///
/// The versions between stay, and so does the one that is rolled back to: its value becomes a new
/// version. A version whose value is wiped cannot be rolled back to.
#[derive(Args, Debug)]
pub(crate) struct RollBack {
    /// Path, like `production/DATABASE_URL`
    path: String,
    /// Version whose value becomes the newest one
    #[arg(long, value_name = "VERSION")]
    to: u64,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Change what is said of a secret, not its value
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Path, like `production/DATABASE_URL`
    path: String,
    #[command(flatten)]
    schedule: Schedule,
    #[command(flatten)]
    settings: Settings,
}

/// Delete a secret and end the leases on it
///
/// Its values stay, sealed, until they are purged: 30 days, unless the daemon is configured
/// otherwise. Until then `vouchsafe secrets undelete` takes it back.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Path, like `production/DATABASE_URL`
    path: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Take a deleted secret back, with all its versions, until it is purged
///
/// Leases that ended with it stay ended.
#[derive(Args, Debug)]
pub(crate) struct Undelete {
    /// Path that it had, like `production/DATABASE_URL`
    path: String,
    /// Which one, where several were deleted at that path; see `secrets list --deleted`
    /// [default: the last one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

pub(super) async fn rotate(rotate: Rotate, context: &Context) -> Result<(), CliError> {
    let path = path_of(rotate.path);
    let question = format!(
        "Make a new value for the secret {path} of project {}? Whoever has the old one has to get the new one.",
        context.project
    );
    prompt::confirm_unless(rotate.yes, &question).await?;
    let daemon = context.daemon().await?;
    let request = RotateSecretRequest { project: context.project.clone(), path };
    tell(&daemon.secrets().rotate_secret(request).await?.into_inner(), context)
}

pub(super) async fn roll_back(back: RollBack, context: &Context) -> Result<(), CliError> {
    let path = path_of(back.path);
    let question = format!(
        "Make the value of version {} the newest of the secret {path} of project {}?",
        back.to, context.project
    );
    prompt::confirm_unless(back.yes, &question).await?;
    let daemon = context.daemon().await?;
    let request =
        RollBackSecretRequest { project: context.project.clone(), path, to_version: back.to };
    tell(&daemon.secrets().roll_back_secret(request).await?.into_inner(), context)
}

pub(super) async fn update(update: Update, context: &Context) -> Result<(), CliError> {
    let settings = update.schedule.with(update.settings.request()?);
    if settings == SecretSettings::default() {
        return Err(CliError::usage("nothing is named that is to change").with_next(
            "give --description, --label, --unlabel, --owner, --expires or --rotate-every",
        ));
    }
    let daemon = context.daemon().await?;
    let request = UpdateSecretRequest {
        project: context.project.clone(),
        path: path_of(update.path),
        settings: Some(settings),
    };
    tell(&daemon.secrets().update_secret(request).await?.into_inner(), context)
}

pub(super) async fn delete(delete: Delete, context: &Context) -> Result<(), CliError> {
    let path = path_of(delete.path);
    prompt::confirm_unless(
        delete.yes,
        &format!("Delete the secret {path} of project {}?", context.project),
    )
    .await?;
    let daemon = context.daemon().await?;
    let request = DeleteSecretRequest {
        project: context.project.clone(),
        path: path.clone(),
        reason: delete.reason.unwrap_or_default(),
    };
    let answer = daemon.secrets().delete_secret(request).await?.into_inner();
    context.out.record(
        &Record::new()
            .text("deleted", &path)
            .number("leases_revoked", answer.leases_revoked)
            .time("purged_at", answer.purged_at),
    )?;
    if answer.purged_at.is_some() && !context.out.is_json() {
        let project = match &context.named_project {
            Some(project) => format!(" --project {project}"),
            None => String::new(),
        };
        context.out.say(&format!(
            "until then `vouchsafe secrets undelete {path}{project}` takes it back"
        ))?;
    }
    Ok(())
}

pub(super) async fn undelete(undelete: Undelete, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = UndeleteSecretRequest {
        project: context.project.clone(),
        path: path_of(undelete.path),
        id: undelete.id.unwrap_or_default(),
    };
    tell(&daemon.secrets().undelete_secret(request).await?.into_inner(), context)
}
