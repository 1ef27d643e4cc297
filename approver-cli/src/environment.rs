//! All that this program takes from its environment, beside what clap reads (`VOUCHSAFE_HOME`,
//! `VOUCHSAFE_KEY_FILE`) and the home directory.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// A user's token, for a daemon elsewhere or to act as somebody else here.
///
/// It is no flag, because arguments can be seen by every process of the machine.
pub(crate) fn token() -> Option<Zeroizing<String>> {
    text("VOUCHSAFE_TOKEN").map(Zeroizing::new)
}

/// The login name of whoever started us; a claim, good for display only.
pub(crate) fn login() -> Option<String> {
    text("USER").or_else(|| text("LOGNAME"))
}

/// Where desktop programs keep their settings on Linux, if not in `~/.config`.
pub(crate) fn config_dir() -> Option<PathBuf> {
    text("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Whether a browser that is started here would show anything.
pub(crate) fn has_display() -> bool {
    let named = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"];
    cfg!(target_os = "macos") || named.iter().any(|name| text(name).is_some())
}

/// Where commands are looked for.
pub(crate) fn path() -> Option<OsString> {
    env::var_os("PATH")
}

/// The names of all variables that are for Vouchsafe.
pub(crate) fn own_names() -> Vec<OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(b"VOUCHSAFE_")).collect()
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
