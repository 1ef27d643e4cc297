//! `audit verify`: nobody needs to believe the log; it can be proved.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::export;
use crate::audit_verify::{Verified, verify_export};
use crate::connect::Daemon;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::home;
use crate::output;
use crate::record::Record;
use crate::text::safe_line;

/// The daemon writes far shorter ones.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;
const NOTE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Export to verify; the daemon's own log where not given
    file: Option<PathBuf>,
    /// Signed checkpoint of the export [default: FILE.checkpoint]
    #[arg(long, value_name = "FILE", requires = "file")]
    checkpoint: Option<PathBuf>,
    /// Public key of the daemon, or the file that holds it [default: audit.pub in the home folder]
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Option<String>,
}

pub(super) async fn run(verify: Verify, context: &Context) -> Result<(), CliError> {
    let pinned = pinned_key(verify.public_key.as_deref(), context)?;
    let verified = match &verify.file {
        Some(file) => {
            let key = pinned.ok_or_else(|| {
                CliError::usage("an export is proved against the daemon's public key")
                    .with_next("give it with --public-key; the daemon's home has it in audit.pub")
            })?;
            verify_file(file, verify.checkpoint.as_deref(), &key)?
        }
        None => prove_daemon(&context.daemon().await?, pinned).await?,
    };
    let proved = Record::new()
        .flag("ok", true)
        .number("size", verified.size)
        .text("root", verified.root.as_str());
    if context.out.is_json() {
        return context.out.record(&proved);
    }
    let (size, root) = (verified.size, safe_line(&verified.root));
    context.out.say(&format!("the log is whole: {size} entries, root {root}"))
}

/// Takes the daemon's whole log and verifies it here, with the key of the home folder.
pub(crate) async fn verify_daemon(
    daemon: &Daemon,
    context: &Context,
) -> Result<Verified, CliError> {
    prove_daemon(daemon, pinned_key(None, context)?).await
}

/// The checkpoint comes last and is needed first, so the lines wait in a file without a name.
async fn prove_daemon(daemon: &Daemon, pinned: Option<String>) -> Result<Verified, CliError> {
    let failed = |error: io::Error| CliError::io("keeping the export", &error);
    let mut spool = tempfile::tempfile().map_err(failed)?;
    let (_, checkpoint) = export::stream(daemon, &spool).await?;
    spool.rewind().map_err(failed)?;
    let key = pinned.unwrap_or_else(|| {
        output::note(
            "note: the daemon itself named its public key; --public-key proves more than that",
        );
        checkpoint.verifier_key.clone()
    });
    prove(BufReader::new(spool), &checkpoint.note, &key)
}

fn verify_file(file: &Path, checkpoint: Option<&Path>, key: &str) -> Result<Verified, CliError> {
    let note_path = checkpoint.map_or_else(|| export::checkpoint_path(file), Path::to_owned);
    let note = read_text(&note_path)?;
    let lines = File::open(file).map_err(|error| open_failed(file, &error))?;
    prove(BufReader::new(lines), &note, key)
}

fn prove(lines: impl BufRead, note: &str, key: &str) -> Result<Verified, CliError> {
    verify_export(Lines(lines), note, key.trim()).map_err(|fault| {
        let place = fault.seq.map_or_else(String::new, |seq| format!(" at entry {seq}"));
        CliError::fault(format!("the log is not whole{place}: {}", safe_line(&fault.kind)))
            .with_next(
                "keep this log and its copies as they are, and find out who could write to it",
            )
    })
}

/// The key given, or the one of the home folder; none where there is neither.
fn pinned_key(given: Option<&str>, context: &Context) -> Result<Option<String>, CliError> {
    match given {
        // A verifier key is name+hash+base64; no file is called like that.
        Some(key) if key.split('+').count() >= 3 && !Path::new(key).exists() => {
            Ok(Some(key.to_owned()))
        }
        Some(file) => read_text(Path::new(file)).map(Some),
        None if context.is_remote() => Ok(None),
        None => {
            let path = context.home.audit_key_file();
            if path.exists() { read_text(&path).map(Some) } else { Ok(None) }
        }
    }
}

fn read_text(path: &Path) -> Result<String, CliError> {
    let length = fs::metadata(path).map_err(|error| open_failed(path, &error))?.len();
    if length > NOTE_BYTES_MAX {
        return Err(CliError::usage(format!(
            "{} is too long for what it should be",
            home::display(path)
        )));
    }
    fs::read_to_string(path).map_err(|error| open_failed(path, &error))
}

fn open_failed(path: &Path, error: &io::Error) -> CliError {
    if error.kind() == io::ErrorKind::NotFound {
        return CliError::new(Exit::NotFound, format!("there is no file {}", home::display(path)));
    }
    CliError::io(&format!("reading {}", home::display(path)), error)
}

/// The lines of an export, each without its line feed, one at a time in memory.
///
/// A last line without a line feed is an error: something was cut off.
struct Lines<R>(R);

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match io::Read::take(&mut self.0, LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Err(error) => Some(Err(error)),
            Ok(0) => None,
            Ok(_) if line.pop() == Some(b'\n') => Some(Ok(line)),
            Ok(_) => Some(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a line is cut off or far too long",
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_at_a_time_and_a_cut_one_is_an_error() {
        let lines: Vec<_> = Lines(b"a\n\nb\n".as_slice()).map(Result::unwrap).collect();
        assert_eq!(lines, [b"a".to_vec(), b"".to_vec(), b"b".to_vec()]);
        let mut cut = Lines(b"a\nb".as_slice());
        assert_eq!(cut.next().unwrap().unwrap(), b"a");
        assert!(cut.next().unwrap().is_err());
    }

    #[test]
    fn the_checkpoint_stands_beside_the_export() {
        assert_eq!(
            export::checkpoint_path(Path::new("a/log.jsonl")),
            Path::new("a/log.jsonl.checkpoint")
        );
    }
}
