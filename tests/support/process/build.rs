//! Where the programs are: built by cargo once a test process, or given.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its program ends")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of `vouchsafed` or `vouchsafe`.
///
/// `VOUCHSAFE_BIN_DIR` says where they are; without it they are built as this test was: same
/// profile, same target folder.
pub fn program(name: &str) -> PathBuf {
    static BIN_DIR: OnceLock<PathBuf> = OnceLock::new();
    let path = BIN_DIR.get_or_init(bin_dir).join(name);
    assert!(path.is_file(), "there is no program {}", path.display());
    path
}

/// A setting of the test run, from the environment.
pub fn setting(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty())
}

/// Installs the one crypto provider; to be called first in whatever speaks TLS or might.
pub fn use_ring() {
    // An error means that it is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn bin_dir() -> PathBuf {
    if let Some(dir) = setting("VOUCHSAFE_BIN_DIR") {
        return std::path::absolute(dir).unwrap();
    }
    let own = std::env::current_exe().unwrap();
    // TARGET/PROFILE/deps/test-hash, or TARGET/PROFILE/bench.
    let dir = own.parent().unwrap();
    let dir = if dir.ends_with("deps") { dir.parent().unwrap() } else { dir };
    let profile = match dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("no profile in {}", own.display()),
    };
    let status = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .args(["build", "--quiet", "--locked", "--bins", "-p", "vouchsafed", "-p", "vouchsafe"])
        .args(["--profile", profile, "--target-dir"])
        .arg(dir.parent().unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "building the programs failed");
    dir.to_owned()
}
