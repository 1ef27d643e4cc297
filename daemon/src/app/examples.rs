//! The rules that a new home begins with.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The files of `policies/`, as they were when this was built.
const FILES: [(&str, &str); 8] = [
    ("audit.cases.toml", include_str!("../../../policies/audit.cases.toml")),
    ("audit.toml", include_str!("../../../policies/audit.toml")),
    ("conditions.cases.toml", include_str!("../../../policies/conditions.cases.toml")),
    ("conditions.toml", include_str!("../../../policies/conditions.toml")),
    ("deny.cases.toml", include_str!("../../../policies/deny.cases.toml")),
    ("deny.toml", include_str!("../../../policies/deny.toml")),
    ("secrets.cases.toml", include_str!("../../../policies/secrets.cases.toml")),
    ("secrets.toml", include_str!("../../../policies/secrets.toml")),
];

/// Groups that the rules name: whoever is first is in all of them.
pub(super) const GROUPS: [&str; 3] = ["approvers", "oncall", "security"];

/// Writes the rules to a folder that is not there yet; answers `false` where it is.
pub(super) fn write(dir: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        made => made?,
    }
    for (name, text) in FILES {
        let path = dir.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
    }
    fs::File::open(dir)?.sync_all()?;
    Ok(true)
}
