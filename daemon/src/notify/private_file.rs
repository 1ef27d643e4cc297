//! Files that secrets of a channel are in: a token, a password, an address that nobody else may
//! know.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use zeroize::Zeroizing;

/// The longest file, in bytes.
const FILE_BYTES_MAX: usize = 16 * 1024;

/// What a private file holds, without the white space around it: a plain file of the daemon's own
/// user, mode 0600 or stricter, under one name, 16 KiB of UTF-8 at most and not empty. Where it is
/// none, what is wrong and what to do; `what` says what it is, such as `token_file`.
pub(super) fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    let failed = |error: io::Error| {
        format!("{what} {shown} cannot be read ({error}): make it a file of the daemon's user")
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let finding = if !found.is_file() {
        "it is no plain file"
    } else if found.uid() != geteuid().as_raw() {
        "it belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "group or others may use it"
    } else if found.nlink() != 1 {
        "it has another name elsewhere"
    } else {
        return text(file, failed).and_then(|text| {
            text.ok_or_else(|| {
                format!("{what} {shown} is empty, no text, or over 16 KiB: correct it")
            })
        });
    };
    Err(format!(
        "{what} {shown} is not private ({finding}): make it a plain file of the daemon's user, \
         mode 0600"
    ))
}

/// Nothing where it is no text, or too much of it. The buffer never grows, so that no copy stays
/// behind.
fn text(
    file: impl io::Read,
    failed: impl Fn(io::Error) -> String,
) -> Result<Option<Zeroizing<String>>, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 64));
    let limit = u64::try_from(FILE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    let fits = |text: &&str| !text.is_empty() && bytes.len() <= FILE_BYTES_MAX;
    Ok(text.filter(fits).map(|text| Zeroizing::new(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_secret_is_read_from_a_file_that_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "  xoxb-1\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path, "token_file").unwrap().as_str(), "xoxb-1");
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(read(&link, "token_file").unwrap_err().contains("cannot be read"));
        assert!(read(dir.path(), "token_file").unwrap_err().contains("it is no plain file"));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let said = read(&path, "token_file").unwrap_err();
        assert!(said.contains("token_file") && said.contains("mode 0600"), "{said}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for text in ["", " \n", &"x".repeat(FILE_BYTES_MAX + 1)] {
            fs::write(&path, text).unwrap();
            assert!(read(&path, "token_file").unwrap_err().contains("correct it"));
        }
        fs::hard_link(&path, dir.path().join("other")).unwrap();
        assert!(read(&path, "token_file").unwrap_err().contains("another name"));
    }
}
