//! `secrets put`: a value that somebody gives.

use std::path::PathBuf;

use clap::Args;
use vouchsafe_proto::v1::PutSecretRequest;

use super::settings::Settings;
use super::{path_of, tell, value};
use crate::context::Context;
use crate::error::CliError;

/// Make a secret, or a new version of it
///
/// The value comes from standard input, from --file, or, on a terminal, from a prompt that
/// does not echo; never from an argument. Bytes from standard input and files are kept exactly
/// as they are: a line feed at the end is part of the value unless --trim is given.
///
/// A value that is given ends the schedule of one that was generated: it is not rotated any more.
/// --from-approval stores what an agent proposed in an approval that could not be applied, because
/// the secret had moved on in the meantime.
#[derive(Args, Debug)]
pub(crate) struct Put {
    /// Path, like `production/DATABASE_URL`
    path: String,
    /// File that holds the value; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Strip one line feed from the end of the value
    #[arg(long)]
    trim: bool,
    /// The value that an agent proposed in this approval, and that met a conflict
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "trim"])]
    from_approval: Option<String>,
    /// Refuse unless the secret is at this version; 0: unless it does not exist yet
    #[arg(long, value_name = "N")]
    expected_version: Option<u64>,
    // Here only to say why it is refused.
    /// For values that are generated
    #[arg(long, value_name = "CRON", hide = true)]
    rotate_every: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn run(put: Put, context: &Context) -> Result<(), CliError> {
    if put.rotate_every.is_some() {
        return Err(CliError::usage("a value that is given cannot be made anew by itself")
            .with_next("leave --rotate-every out, or use `vouchsafe secrets generate`"));
    }
    let settings = put.settings.request()?;
    let mut value = match put.from_approval {
        Some(_) => Vec::new().into(),
        None => value::given(put.file.as_deref(), put.trim)?,
    };
    let daemon = context.daemon().await?;
    let request = PutSecretRequest {
        project: context.project.clone(),
        path: path_of(put.path),
        value: std::mem::take(&mut *value),
        settings: Some(settings),
        expected_version: put.expected_version,
        from_approval: put.from_approval.unwrap_or_default(),
    };
    tell(&daemon.secrets().put_secret(request).await?.into_inner(), context)
}
