//! Reading the policy folder: the files in it, and one level of folders below.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use vouchsafe_core::policy::{FILE_BYTES_MAX, FILES_MAX, PolicyFile, Problem};

use super::sets::project_of;

/// The most folders of projects.
const FOLDERS_MAX: usize = 500;
/// How often a folder is read that changes while it is.
const READS_MAX: u32 = 5;
/// What the name of a file of cases ends with.
const CASES: &str = ".cases.toml";

/// What a policy folder holds: `*.toml`, sorted by name, in it and in the folders in it, which are
/// named for projects. Other files, and names that begin with a dot (where editors keep theirs, and
/// Kubernetes the files behind its links), are passed over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Folder {
    /// The rules. A file in the folder `shop` is called `shop/secrets.toml`.
    pub rules: Vec<PolicyFile>,
    /// The cases: `*.cases.toml`.
    pub cases: Vec<PolicyFile>,
    /// The folders in it, each by its name.
    pub folders: BTreeSet<String>,
}

/// What tells without reading them whether files may have changed: names, sizes, times, and which
/// files they are behind their links.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp(Vec<Mark>);

/// What is looked at of one file or folder; nothing where it cannot be looked at.
type Mark = (PathBuf, Option<(u64, u64, u64, SystemTime)>);

/// A policy folder that cannot be read whole.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder itself, or one in it.
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
    /// More folders than there may be.
    #[error("the policy folder {} holds more than 500 folders", .path.display())]
    TooManyFolders {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads every policy file of a folder and of the folders in it. What changes while it is read is
/// read again, a few times: half of a set and half of the next one is no set.
pub fn read_dir(path: &Path) -> Result<Folder, ReadError> {
    let mut before = Stamp::of(path);
    for _ in 1..READS_MAX {
        let folder = read_once(path);
        let after = Stamp::of(path);
        if after == before {
            return folder;
        }
        before = after;
    }
    read_once(path)
}

impl Folder {
    /// These files, as if they had been read from a folder. Their names are as in [`Folder`].
    pub fn of_files(files: Vec<PolicyFile>) -> Self {
        let (cases, rules): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.name.ends_with(CASES));
        let folder = |file: &PolicyFile| Some(file.name.split_once('/')?.0.to_owned());
        let folders = rules.iter().chain(&cases).filter_map(folder).collect();
        Self { rules, cases, folders }
    }

    /// The same without the folders of some projects.
    #[must_use]
    pub fn without(mut self, hidden: impl Fn(&str) -> bool) -> Self {
        let shown = |file: &PolicyFile| !hidden(project_of(&file.name));
        self.rules.retain(shown);
        self.cases.retain(shown);
        self.folders.retain(|folder| !hidden(folder));
        self
    }

    /// SHA-256, hex, over the names and texts of the rules: of the files as they are, to the byte.
    /// What rules mean has a digest of its own.
    pub fn digest(&self) -> String {
        let mut files: Vec<_> = self.rules.iter().collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hash = Context::new(&SHA256);
        for part in files.into_iter().flat_map(|file| [&file.name, &file.text]) {
            // The length first, so that no two lists of files are the same bytes.
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        HEXLOWER.encode(hash.finish().as_ref())
    }
}

impl Stamp {
    /// What a look at a folder shows now.
    pub fn of(path: &Path) -> Self {
        let mut marks = vec![mark(path)];
        for below in entries(path).unwrap_or_default() {
            marks.push(mark(&below));
            if below.is_dir() {
                marks.extend(entries(&below).unwrap_or_default().iter().map(|file| mark(file)));
            }
        }
        Self(marks)
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
            Self::TooManyFolders { path } => (path, "take away those without rules"),
        };
        let cause = std::error::Error::source(self).map(|source| format!(": {source}"));
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let message = format!("{self}{}", cause.unwrap_or_default());
        Problem { file, line: 0, message, mend: mend.to_owned() }
    }
}

fn read_once(path: &Path) -> Result<Folder, ReadError> {
    let mut folder = Folder::default();
    let below = read_files(path, "", &mut folder)?;
    if below.len() > FOLDERS_MAX {
        return Err(ReadError::TooManyFolders { path: path.to_owned() });
    }
    for path in below {
        let name = file_name(&path)?;
        // What lies deeper is nobody's: rules have one level of folders.
        read_files(&path, &format!("{name}/"), &mut folder)?;
        folder.folders.insert(name);
    }
    Ok(folder)
}

/// Reads the files of one folder; the answer is the folders in it.
fn read_files(path: &Path, prefix: &str, into: &mut Folder) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Folder { path: path.to_owned(), source };
    let mut folders = Vec::new();
    let (mut rules, mut cases) = (0, 0);
    for path in entries(path).map_err(failed)? {
        if path.is_dir() {
            folders.push(path);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = file_name(&path)?;
        let (files, count) = if name.ends_with(CASES) {
            (&mut into.cases, &mut cases)
        } else {
            (&mut into.rules, &mut rules)
        };
        *count += 1;
        files.push(PolicyFile { text: read_file(&path)?, name: format!("{prefix}{name}") });
    }
    if rules > FILES_MAX || cases > FILES_MAX {
        return Err(ReadError::TooMany { path: path.to_owned() });
    }
    Ok(folders)
}

/// What is in a folder, sorted, without names that begin with a dot.
fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
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

/// Follows links: what counts is what would be read.
fn mark(path: &Path) -> Mark {
    let seen =
        |found: Metadata| Some((found.dev(), found.ino(), found.len(), found.modified().ok()?));
    (path.to_owned(), fs::metadata(path).ok().and_then(seen))
}
