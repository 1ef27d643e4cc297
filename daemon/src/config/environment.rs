//! The environment, which nothing else reads.

use std::env;
use std::path::PathBuf;

/// What the environment says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Environment {
    /// `VOUCHSAFE_HOME`: the home, where no `--home` is given.
    pub vouchsafe_home: Option<PathBuf>,
    /// The user's own home directory.
    pub user_home: Option<PathBuf>,
    /// `RUST_LOG`: goes before `log.filter`.
    pub rust_log: Option<String>,
    /// `CREDENTIALS_DIRECTORY`: where systemd puts credentials.
    pub credentials_directory: Option<PathBuf>,
}

impl Environment {
    /// Reads it. An empty variable is none.
    pub fn read() -> Self {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            vouchsafe_home: path("VOUCHSAFE_HOME"),
            user_home: env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            rust_log: env::var_os("RUST_LOG")
                .and_then(|value| value.into_string().ok())
                .filter(|value| !value.is_empty()),
            credentials_directory: path("CREDENTIALS_DIRECTORY"),
        }
    }
}
