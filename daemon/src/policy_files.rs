//! Policy files on disk, and the set of rules that runs.
//!
//! Reading and swapping only: what the files mean is the core's. A set is swapped whole; one with a
//! mistake changes nothing but what [`PolicyFiles::problems`] says.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use vouchsafe_core::policy::{FILE_BYTES_MAX, FILES_MAX, PolicyFile, Problem, RuleSet};
use vouchsafe_core::time::UnixTime;

/// What a policy folder holds: `*.toml`, sorted by name. Other files, folders and names that begin
/// with a dot (where editors keep theirs) are passed over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Folder {
    /// The rules.
    pub rules: Vec<PolicyFile>,
    /// The cases: `*.cases.toml`.
    pub cases: Vec<PolicyFile>,
}

/// A policy folder that cannot be read whole.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder itself.
    #[error("cannot read the policy folder {}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that is missing behind its link, forbidden, or a link to itself.
    #[error("cannot read the policy file {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A pipe, a socket, a device: reading it might never end.
    #[error("the policy file {} is not a regular file", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Larger than a policy file may be.
    #[error("the policy file {} is over 256 KiB", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not text, or not named in text.
    #[error("the policy file {} is not UTF-8", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// More files than a set may have.
    #[error("the policy folder {} holds more than 100 files of rules, or of cases", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// A set of rules that runs, or has run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The rules.
    pub set: RuleSet,
    /// Where they came from, for people.
    pub source: String,
    /// When they were read.
    pub loaded_at: UnixTime,
}

/// The set that runs, and what was wrong with the last one tried. Shared by reference.
#[derive(Debug)]
pub struct PolicyFiles {
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    running: Arc<Loaded>,
    problems: Vec<Problem>,
}

/// Reads every policy file of a folder.
pub fn read_dir(path: &Path) -> Result<Folder, ReadError> {
    let folder_error = |source| ReadError::Folder { path: path.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(folder_error)? {
        let entry = entry.map_err(folder_error)?;
        if entry.path().extension().is_some_and(|extension| extension == "toml") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let mut folder = Folder::default();
    for path in paths {
        let name = file_name(&path)?;
        if name.starts_with('.') || path.is_dir() {
            continue;
        }
        let files =
            if name.ends_with(".cases.toml") { &mut folder.cases } else { &mut folder.rules };
        files.push(PolicyFile { text: read_file(&path)?, name });
    }
    if folder.rules.len() > FILES_MAX || folder.cases.len() > FILES_MAX {
        return Err(ReadError::TooMany { path: path.to_owned() });
    }
    Ok(folder)
}

impl Loaded {
    /// The rules of a project.
    pub const fn of(&self, _project: &str) -> &RuleSet {
        &self.set
    }
}

impl PolicyFiles {
    /// Starts with a set; [`RuleSet::empty`] refuses everything until a better one comes.
    pub const fn new(running: Arc<Loaded>) -> Self {
        Self { state: RwLock::new(State { running, problems: Vec::new() }) }
    }

    /// The set that runs. What is decided by it is decided by it whole: ask once, then decide.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.read().running)
    }

    /// Lets another set run, and returns the one before. There is nothing wrong any more.
    pub fn replace(&self, next: Arc<Loaded>) -> Arc<Loaded> {
        let mut state = self.write();
        state.problems.clear();
        std::mem::replace(&mut state.running, next)
    }

    /// Notes what is wrong with a set that was tried. The one that runs runs on.
    pub fn refuse(&self, problems: Vec<Problem>) {
        self.write().problems = problems;
    }

    /// What was wrong with the last set tried; empty where it runs.
    pub fn problems(&self) -> Vec<Problem> {
        self.read().problems.clone()
    }

    // A panic while the lock is held leaves the state whole: each change is one assignment.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadError {
    /// The same as a problem with a set, for where those are shown.
    pub fn problem(&self) -> Problem {
        let (path, mend) = match self {
            Self::Folder { path, .. } => (path, "make the folder, or let the daemon read it"),
            Self::File { path, .. } => (path, "let the daemon read it, or take it away"),
            Self::NotAFile { path } => (path, "take it away"),
            Self::TooLarge { path } => (path, "split it"),
            Self::NotUtf8 { path } => (path, "save it as UTF-8, or give it a plain name"),
            Self::TooMany { path } => (path, "join them"),
        };
        let cause = std::error::Error::source(self).map(|source| format!(": {source}"));
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let message = format!("{self}{}", cause.unwrap_or_default());
        Problem { file, line: 0, message, mend: mend.to_owned() }
    }
}

fn file_name(path: &Path) -> Result<String, ReadError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| ReadError::NotUtf8 { path: path.to_owned() })
}

/// Reads a regular file, or what a link to one leads to, up to the limit.
fn read_file(path: &Path) -> Result<String, ReadError> {
    let file_error = |source| ReadError::File { path: path.to_owned(), source };
    // Before it is opened: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(file_error)?.is_file() {
        return Err(ReadError::NotAFile { path: path.to_owned() });
    }
    let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(file_error)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(file_error)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| ReadError::NotUtf8 { path: path.to_owned() })
}

#[cfg(test)]
mod tests;
