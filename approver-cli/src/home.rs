//! The home folder: where things are in it, and the files in it that only their owner may read.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::error::{CliError, Exit};
use crate::text::safe_line;

/// No credential file is anywhere near this long.
const PRIVATE_FILE_BYTES_MAX: u64 = 16 * 1024;
/// As the daemon has it: 3 to 20 letters, digits and hyphens.
const KEY_NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=20;

/// A Vouchsafe home folder.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    is_default: bool,
}

/// How this user signs in: `credentials.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[expect(dead_code, reason = "for whoever reads the file: the token alone signs in")]
    user: String,
    #[serde(deserialize_with = "wiped")]
    pub(crate) token: Zeroizing<String>,
}

impl Home {
    /// The folder given, or `~/.vouchsafe`.
    pub(crate) fn find(given: Option<PathBuf>) -> Result<Self, CliError> {
        if let Some(dir) = given {
            let dir = std::path::absolute(&dir)
                .map_err(|error| CliError::io("finding the home folder", &error))?;
            let is_default = Some(&dir) == default_dir().as_ref();
            return Ok(Self { dir, is_default });
        }
        let dir = default_dir().ok_or_else(|| {
            CliError::usage("this user has no home directory")
                .with_next("name the folder with --home or VOUCHSAFE_HOME")
        })?;
        Ok(Self { dir, is_default: true })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether other programs find this home without being told.
    pub(crate) fn is_default(&self) -> bool {
        self.is_default
    }

    pub(crate) fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    /// Whether `vouchsafed --dev` made it.
    pub(crate) fn is_dev(&self) -> bool {
        self.dir.join("dev").exists()
    }

    pub(crate) fn grpc_socket(&self) -> PathBuf {
        self.dir.join("grpc.sock")
    }

    pub(crate) fn mcp_socket(&self) -> PathBuf {
        self.dir.join("mcp.sock")
    }

    pub(crate) fn credentials_file(&self) -> PathBuf {
        self.dir.join("credentials.toml")
    }

    pub(crate) fn audit_key_file(&self) -> PathBuf {
        self.dir.join("audit.pub")
    }

    pub(crate) fn keys_dir(&self) -> PathBuf {
        self.dir.join("keys")
    }

    /// Where the value of an MCP key lies for the bridge. Refuses what is no key name,
    /// so that a name can never lead out of the folder.
    pub(crate) fn key_file(&self, name: &str) -> Result<PathBuf, CliError> {
        let is_name = KEY_NAME_LENGTH.contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name {
            let name = safe_line(name);
            return Err(CliError::usage(format!("`{name}` is no key name"))
                .with_next("a key name is 3 to 20 letters, digits and hyphens"));
        }
        Ok(self.keys_dir().join(format!("{name}.key")))
    }

    pub(crate) fn credentials(&self) -> Result<Credentials, CliError> {
        let path = self.credentials_file();
        let text = read_private(&path).map_err(|error| {
            if error.exit != Exit::NotFound {
                return error;
            }
            CliError::new(Exit::Refused, format!("there are no credentials at {}", display(&path)))
                .with_next(
                    "`vouchsafed init` writes them for the first user; others set VOUCHSAFE_TOKEN",
                )
        })?;
        // toml's own message quotes the line, and the line may be the token.
        toml::from_str(&text).map_err(|_| {
            CliError::new(Exit::Refused, format!("{} is not as it should be", display(&path)))
                .with_next("it holds two lines: user = \"NAME\" and token = \"vs_user_...\"")
        })
    }

    /// Keeps the value of an MCP key where `vouchsafe mcp --key NAME` finds it.
    pub(crate) fn save_key(&self, name: &str, value: &str) -> Result<PathBuf, CliError> {
        let path = self.key_file(name)?;
        make_private_dir(&self.keys_dir())?;
        write_private(&path, format!("{value}\n").as_bytes())?;
        Ok(path)
    }
}

/// A file that only its owner may read, as text without its last line feed.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let action = format!("reading {}", display(path));
    let file = File::open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return CliError::new(Exit::NotFound, format!("there is no file {}", display(path)));
        }
        CliError::io(&action, &error)
    })?;
    let metadata = file.metadata().map_err(|error| CliError::io(&action, &error))?;
    if let Some(fault) = private_fault(metadata.permissions().mode()) {
        return Err(CliError::new(Exit::Refused, format!("{} {fault}", display(path))).with_next(
            format!("chmod 600 {}, and replace what others may have read", display(path)),
        ));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(PRIVATE_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| CliError::io(&action, &error))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// What is wrong with the mode of a file that holds a secret.
pub(crate) fn private_fault(mode: u32) -> Option<String> {
    (mode & 0o077 != 0)
        .then(|| format!("can be read or changed by others (mode {:03o})", mode & 0o777))
}

/// Writes the whole file or leaves the old one; mode 0600.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let write = || -> io::Result<()> {
        let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| CliError::io(&format!("writing {}", display(path)), &error))
}

/// A path for people: `~` for the home directory, nothing that steers a terminal.
pub(crate) fn display(path: &Path) -> String {
    let shown = match std::env::home_dir().as_deref().map(|home| path.strip_prefix(home)) {
        Some(Ok(below)) if !below.as_os_str().is_empty() => Path::new("~").join(below),
        _ => path.to_owned(),
    };
    safe_line(&shown.to_string_lossy())
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn default_dir() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".vouchsafe"))
}

fn make_private_dir(dir: &Path) -> Result<(), CliError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(CliError::io(&format!("making {}", display(dir)), &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().to_owned())).unwrap();
        (dir, home)
    }

    #[test]
    fn a_key_name_never_leads_out_of_the_folder() {
        let (_dir, home) = home();
        for name in ["../x", "a/b", "ab", "", "waytoolongforanykeyname", "dot.dot"] {
            assert_eq!(home.key_file(name).unwrap_err().exit, Exit::Usage, "{name}");
        }
        assert!(home.key_file("claude-desktop").is_ok());
    }

    #[test]
    fn a_saved_key_is_for_its_owner_alone() {
        let (_dir, home) = home();
        let path = home.save_key("demo", "vs_mcp_x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let keys = fs::metadata(home.keys_dir()).unwrap();
        assert_eq!(keys.permissions().mode() & 0o777, 0o700);
        assert_eq!(*read_private(&path).unwrap(), "vs_mcp_x");
    }

    #[test]
    fn credentials_that_others_can_read_are_refused() {
        let (_dir, home) = home();
        assert_eq!(home.credentials().err().unwrap().exit, Exit::Refused);
        let path = home.credentials_file();
        write_private(&path, b"user = \"admin\"\ntoken = \"vs_user_x\"\n").unwrap();
        assert_eq!(*home.credentials().ok().unwrap().token, "vs_user_x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = home.credentials().err().unwrap();
        assert_eq!(error.exit, Exit::Refused);
        assert!(error.message.contains("mode 640"), "{}", error.message);
    }

    #[test]
    fn a_broken_credentials_file_is_never_quoted() {
        let (_dir, home) = home();
        write_private(&home.credentials_file(), b"token = vs_user_secret\n").unwrap();
        let error = home.credentials().err().unwrap();
        assert!(!format!("{error:?}").contains("secret"));
    }
}
