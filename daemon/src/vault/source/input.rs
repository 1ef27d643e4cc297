//! Reads a short secret from a private file, a file descriptor, a systemd credential or a command.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use zeroize::Zeroizing;

use super::Which;

/// The longest secret, in bytes.
const INPUT_BYTES_MAX: usize = 4096;
/// How long a command may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
/// Where a command's programs are looked for: it gets no other environment.
const COMMAND_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// A regular file of ours, mode 0600 or stricter, under one name.
    File(PathBuf),
    /// A file descriptor this process was started with.
    Descriptor(u32),
    /// A systemd credential.
    Credential {
        /// `$CREDENTIALS_DIRECTORY`.
        directory: PathBuf,
        /// Its name.
        name: String,
    },
    /// What a command writes; its program first. It gets no environment but `PATH`, and 10 seconds.
    Command(Vec<String>),
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file cannot be opened or read.
    #[error("{action} {path} failed")]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others could have read or changed the file.
    #[error(
        "{path} is not private ({finding}): make it a plain file of the daemon's user, mode 0600"
    )]
    NotPrivate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        finding: &'static str,
    },
    /// Too long for a key.
    #[error("the input is longer than 4 KiB")]
    TooLong,
    /// The credential's name leads elsewhere.
    #[error("`{name}` is not the name of a credential")]
    CredentialName {
        /// The name.
        name: String,
    },
    /// The command cannot be run.
    #[error("the key command cannot be run: check its program")]
    Command(#[source] io::Error),
    /// The command took too long.
    #[error("the key command took over 10 seconds and was ended")]
    CommandTime,
    /// The command failed.
    #[error("the key command failed ({status})")]
    CommandStatus {
        /// How.
        status: ExitStatus,
    },
    /// A file descriptor is read once.
    #[error("a file descriptor has no second secret to rotate to: restart with another source")]
    NoNew,
}

impl Input {
    /// Reads all of it, 4 KiB at most.
    pub fn read(&self, which: Which) -> Result<Zeroizing<Vec<u8>>, InputError> {
        match self {
            Self::File(path) => match which {
                Which::Current => read_private(path),
                Which::New => read_private(&beside(path)),
            },
            Self::Descriptor(number) => match which {
                Which::Current => read_file(Path::new(&format!("/dev/fd/{number}"))),
                Which::New => Err(InputError::NoNew),
            },
            Self::Credential { directory, name } => {
                if name.is_empty() || name.starts_with('.') || name.contains('/') {
                    return Err(InputError::CredentialName { name: name.clone() });
                }
                let path = directory.join(name);
                match which {
                    Which::Current => read_file(&path),
                    Which::New => read_file(&beside(&path)),
                }
            }
            Self::Command(words) => run(words, which),
        }
    }
}

/// The path with `.new` after it.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    PathBuf::from(name)
}

/// Makes a file that its owner alone can read, durably, unless it is there.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), InputError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        sync_folder(path)
    };
    write().map_err(|source| failed("writing", path, source))
}

/// Removes a file, if it is there.
pub(super) fn remove_stale(path: &Path) -> Result<(), InputError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed("removing", path, source))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Renames a file so that a crash leaves one or the other.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<(), InputError> {
    fs::rename(from, to)
        .and_then(|()| sync_folder(to))
        .map_err(|source| failed("renaming", from, source))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .map_err(|source| failed("opening", path, source))?;
    let found = file.metadata().map_err(|source| failed("checking", path, source))?;
    let finding = if !found.is_file() {
        "it is no plain file"
    } else if found.uid() != geteuid().as_raw() {
        "it belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "group or others may use it"
    } else if found.nlink() != 1 {
        "it has another name elsewhere"
    } else {
        return read_all(file).map_err(|error| within(path, error));
    };
    Err(InputError::NotPrivate { path: path.to_owned(), finding })
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let file = File::open(path).map_err(|source| failed("opening", path, source))?;
    read_all(file).map_err(|error| within(path, error))
}

/// `None` where there is too much. The buffer never grows, so that no copy stays behind.
fn read_all(from: impl io::Read) -> Result<Zeroizing<Vec<u8>>, Option<io::Error>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(INPUT_BYTES_MAX + 64));
    let limit = u64::try_from(INPUT_BYTES_MAX + 1).unwrap_or(u64::MAX);
    from.take(limit).read_to_end(&mut bytes).map_err(Some)?;
    if bytes.len() > INPUT_BYTES_MAX { Err(None) } else { Ok(bytes) }
}

fn run(words: &[String], which: Which) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| InputError::Command(io::ErrorKind::InvalidInput.into()))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", COMMAND_PATH).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if which == Which::New {
        command.arg("new");
    }
    let child = command.spawn().map_err(InputError::Command)?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (send, receive) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("key-command".to_owned())
        // Nobody listens any more once it took too long.
        .spawn(move || drop(send.send(outcome(child))))
        .map_err(InputError::Command)?;
    if let Ok(outcome) = receive.recv_timeout(COMMAND_TIME_MAX) {
        return outcome;
    }
    if let Some(group) = group
        && let Err(error) = kill_process_group(group, Signal::KILL)
    {
        tracing::warn!(%error, "the key command may still be running");
    }
    Err(InputError::CommandTime)
}

fn outcome(mut child: Child) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let output = child.stdout.take().map_or_else(|| Ok(Zeroizing::default()), read_all);
    let status = child.wait().map_err(InputError::Command)?;
    if !status.success() {
        return Err(InputError::CommandStatus { status });
    }
    output.map_err(|error| error.map_or(InputError::TooLong, InputError::Command))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> InputError {
    InputError::File { action, path: path.to_owned(), source }
}

fn within(path: &Path, error: Option<io::Error>) -> InputError {
    error.map_or(InputError::TooLong, |source| failed("reading", path, source))
}
