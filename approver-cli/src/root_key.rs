//! `root-key`: the key that opens all others.

use clap::Subcommand;
use vouchsafe_proto::v1::RotateRootKeyRequest;

use crate::context::Context;
use crate::error::CliError;
use crate::record::Record;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Wrap the key ring under a new root key, while the daemon runs
    ///
    /// Secrets stay as they are: only the ring that opens them is wrapped again. Back up the new
    /// root key afterwards; the old one opens older backups only.
    Rotate,
}

pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    let Command::Rotate = command;
    let daemon = context.daemon().await?;
    let rotated = daemon.status().rotate_root_key(RotateRootKeyRequest {}).await?.into_inner();
    context.out.record(
        &Record::new()
            .text("old_key_id", rotated.old_key_id)
            .text("new_key_id", rotated.new_key_id),
    )
}
