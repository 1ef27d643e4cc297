//! The home folder: where everything is, and that nobody else gets at it.

mod lock;
mod write;

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

pub use self::lock::Lock;
use crate::config::{self, Environment};

/// What a dev home has in it that no other has.
const DEV_TEXT: &[u8] =
    b"Made by `vouchsafed --dev`: keys, people and secrets here are for trying out.\n";

/// A home folder, ours and closed to others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Home {
    dir: PathBuf,
}

/// A home that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Nobody said where it is.
    #[error("this user has no home directory: name the folder with --home or VOUCHSAFE_HOME")]
    Nowhere,
    /// There is none.
    #[error("there is no home at {dir}: make one with `vouchsafed init --home {dir}`", dir = .dir.display())]
    Missing {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// It could be made to lead elsewhere.
    #[error("{} is a symbolic link: give the folder itself", .dir.display())]
    Symlink {
        /// The link.
        dir: PathBuf,
    },
    /// It is a file, or the like.
    #[error("{} is not a folder: give another one", .dir.display())]
    NotAFolder {
        /// What it is.
        dir: PathBuf,
    },
    /// It is somebody else's.
    #[error("{dir} belongs to user {owner}, not to this one: run `chown -R {us} {dir}`, or give another one", dir = .dir.display())]
    NotOurs {
        /// The folder.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// Others can get at it.
    #[error("other users can reach into {dir} (mode {mode:04o}): run `chmod 700 {dir}`", dir = .dir.display())]
    Open {
        /// The folder.
        dir: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// `--dev` does not touch what it has not made.
    #[error("{dir} is not a dev home, and --dev uses no other: give a new folder with --home, or start it with `vouchsafed serve`", dir = .dir.display())]
    NotDev {
        /// The folder.
        dir: PathBuf,
    },
    /// Another daemon has it.
    #[error("a daemon{} serves {} already: stop it first", pid_text(*.pid), .dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The other daemon.
        pid: Option<u32>,
    },
    /// A file in it.
    #[error("{action} {} failed", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Home {
    /// Where the home is: `--home`, `VOUCHSAFE_HOME`, or `~/.vouchsafe`.
    pub fn find(given: Option<&Path>, environment: &Environment) -> Result<PathBuf, HomeError> {
        let named = given.map(Path::to_owned).or_else(|| environment.vouchsafe_home.clone());
        let usual = || environment.user_home.as_ref().map(|home| home.join(".vouchsafe"));
        let dir = named.or_else(usual).ok_or(HomeError::Nowhere)?;
        let absolute = std::path::absolute(&dir);
        absolute.map_err(|source| HomeError::File { action: "finding", path: dir, source })
    }

    /// A home that is there.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        check(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// A home that is there, or a new one.
    pub fn create(dir: &Path) -> Result<Self, HomeError> {
        match fs::symlink_metadata(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
                made.map_err(|source| failed("making", dir, source))?;
            }
            Ok(_) | Err(_) => {}
        }
        Self::open(dir)
    }

    /// A dev home that is there, or a new one: a folder that is new, empty, or marked.
    pub fn create_dev(dir: &Path) -> Result<Self, HomeError> {
        let home = Self::create(dir)?;
        if home.is_dev() {
            return Ok(home);
        }
        let mut entries = fs::read_dir(dir).map_err(|source| failed("reading", dir, source))?;
        if entries.next().is_some() {
            return Err(HomeError::NotDev { dir: dir.to_owned() });
        }
        home.write("marking", &home.dir.join("dev"), DEV_TEXT)?;
        Ok(home)
    }

    /// Takes the home for this process, until the lock is dropped, and clears away what a daemon
    /// that was killed has left.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        let lock = Lock::take(&self.dir)?;
        for path in [self.grpc_socket(), self.mcp_socket(), self.run_file()] {
            remove(&path)?;
        }
        Ok(lock)
    }

    /// Writes `credentials.toml`: what the command line signs in with.
    pub fn write_credentials(&self, user: &str, token: &str) -> Result<(), HomeError> {
        // Neither has a character that TOML would need escaped.
        let text = zeroize::Zeroizing::new(format!("user = \"{user}\"\ntoken = \"{token}\"\n"));
        self.write("writing", &self.credentials_file(), text.as_bytes())
    }

    /// Writes `audit.pub`: what anybody can check the log with.
    pub fn write_audit_key(&self, verifier_key: &str) -> Result<(), HomeError> {
        self.write("writing", &self.dir.join("audit.pub"), format!("{verifier_key}\n").as_bytes())
    }

    /// Writes `run.json`: where the daemon listens. Only once everything does.
    pub fn write_run(&self, http: SocketAddr, grpc: Option<SocketAddr>) -> Result<(), HomeError> {
        let run = serde_json::json!({
            "pid": std::process::id(),
            "http": http.to_string(),
            "grpc": grpc.map(|addr| addr.to_string()),
        });
        self.write("writing", &self.run_file(), format!("{run}\n").as_bytes())
    }

    /// Takes `run.json` and the sockets away again.
    pub fn clear_run(&self) -> Result<(), HomeError> {
        [self.run_file(), self.grpc_socket(), self.mcp_socket()].iter().try_for_each(|p| remove(p))
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether `--dev` made it.
    pub fn is_dev(&self) -> bool {
        self.dir.join("dev").is_file()
    }

    /// The configuration, which may be missing.
    pub fn config_file(&self) -> PathBuf {
        self.dir.join(config::FILE_NAME)
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.dir.join("vouchsafe.db")
    }

    /// The file that is given up when the disk is full.
    pub fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }

    /// What the command line signs in with.
    pub fn credentials_file(&self) -> PathBuf {
        self.dir.join("credentials.toml")
    }

    /// The users' door.
    pub fn grpc_socket(&self) -> PathBuf {
        self.dir.join("grpc.sock")
    }

    /// The agents' door for stdio.
    pub fn mcp_socket(&self) -> PathBuf {
        self.dir.join("mcp.sock")
    }

    fn run_file(&self) -> PathBuf {
        self.dir.join("run.json")
    }

    fn write(&self, action: &'static str, path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
        write::private(&self.dir, path, bytes).map_err(|source| failed(action, path, source))
    }
}

/// Whether a folder can be a home: itself, ours, and closed.
fn check(dir: &Path) -> Result<(), HomeError> {
    let dir_owned = || dir.to_owned();
    let found = match fs::symlink_metadata(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HomeError::Missing { dir: dir_owned() });
        }
        Err(source) => return Err(failed("finding", dir, source)),
    };
    let us = geteuid().as_raw();
    let mode = found.permissions().mode() & 0o7777;
    if found.is_symlink() {
        Err(HomeError::Symlink { dir: dir_owned() })
    } else if !found.is_dir() {
        Err(HomeError::NotAFolder { dir: dir_owned() })
    } else if found.uid() != us {
        Err(HomeError::NotOurs { dir: dir_owned(), owner: found.uid(), us })
    } else if mode & 0o077 != 0 {
        Err(HomeError::Open { dir: dir_owned(), mode })
    } else {
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), HomeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| failed("removing", path, source)),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> HomeError {
    HomeError::File { action, path: path.to_owned(), source }
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
