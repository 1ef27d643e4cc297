//! `audit export`: the whole log and its checkpoint, as files that anyone can verify.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;
use vouchsafe_proto::v1::export_audit_response::Part;
use vouchsafe_proto::v1::{Checkpoint, ExportAuditRequest};

use crate::connect::Daemon;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::home;
use crate::record::Record;

#[derive(Args, Debug)]
pub(super) struct Export {
    /// File for the entries; the checkpoint goes to FILE.checkpoint
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Overwrite both files where they exist
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(export: &Export, context: &Context) -> Result<(), CliError> {
    let note_path = checkpoint_path(&export.out);
    if !export.force {
        for path in [&export.out, &note_path] {
            if path.exists() {
                let path = home::display(path);
                return Err(CliError::new(Exit::Conflict, format!("{path} exists already"))
                    .with_next("choose another file, or overwrite it with --force"));
            }
        }
    }
    let daemon = context.daemon().await?;
    let dir = export.out.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let failed =
        |error: io::Error| CliError::io(&format!("writing {}", home::display(dir)), &error);
    let lines = NamedTempFile::new_in(dir).map_err(failed)?;
    let (entries, checkpoint) = stream(&daemon, lines.as_file()).await?;
    lines.as_file().sync_all().map_err(failed)?;
    let mut note = NamedTempFile::new_in(dir).map_err(failed)?;
    note.write_all(checkpoint.note.as_bytes()).map_err(failed)?;
    note.as_file().sync_all().map_err(failed)?;
    keep(lines, &export.out, export.force)?;
    keep(note, &note_path, export.force)?;
    context.out.record(
        &Record::new()
            .text("file", export.out.to_string_lossy())
            .text("checkpoint", note_path.to_string_lossy())
            .number("entries", entries),
    )
}

/// Writes the lines of the daemon's log; returns their number and the checkpoint over them.
pub(super) async fn stream(
    daemon: &Daemon,
    into: impl Write,
) -> Result<(u64, Checkpoint), CliError> {
    let failed = |error: io::Error| CliError::io("writing the export", &error);
    let mut into = BufWriter::new(into);
    let mut parts = daemon.audit().export_audit(ExportAuditRequest {}).await?.into_inner();
    let mut entries: u64 = 0;
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Lines(lines)) => {
                let ends = lines.split(|byte| *byte == b'\n').count().saturating_sub(1);
                entries = entries.saturating_add(u64::try_from(ends).unwrap_or(u64::MAX));
                into.write_all(&lines).map_err(failed)?;
            }
            Some(Part::Checkpoint(checkpoint)) => {
                into.flush().map_err(failed)?;
                return Ok((entries, checkpoint));
            }
            None => {}
        }
    }
    Err(CliError::failed("the export ended without its checkpoint")
        .with_next("try again; the daemon's log has the cause"))
}

/// FILE.checkpoint.
pub(super) fn checkpoint_path(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".checkpoint");
    PathBuf::from(name)
}

fn keep(file: NamedTempFile, path: &Path, force: bool) -> Result<(), CliError> {
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop)
        .map_err(|error| CliError::io(&format!("writing {}", home::display(path)), &error.error))
}
