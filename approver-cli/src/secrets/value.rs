//! Where a given value comes from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use vouchsafe_core::secret::VALUE_BYTES_MAX;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::{home, output, prompt};

/// From the file, a prompt, or standard input.
pub(super) fn given(file: Option<&Path>, trimmed: bool) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let named = file.filter(|file| file.as_os_str() != "-");
    let mut value = match named {
        Some(path) => {
            let action = format!("reading {}", home::display(path));
            let source = File::open(path).map_err(|error| CliError::io(&action, &error))?;
            read(source, VALUE_BYTES_MAX).map_err(|error| CliError::io(&action, &error))?
        }
        None if prompt::can_ask() && file.is_none() => {
            let typed = prompt::hidden("Value (not shown): ")?;
            return checked(Zeroizing::new(typed.as_bytes().to_vec()));
        }
        None => read(io::stdin().lock(), VALUE_BYTES_MAX)
            .map_err(|error| CliError::io("reading standard input", &error))?,
    };
    if trimmed {
        trim(&mut value);
    } else if value.ends_with(b"\n") {
        output::note("warning: the value ends with a line feed, which is kept; --trim strips it");
    }
    checked(value)
}

/// Up to one byte more than `max`, so that too long shows.
pub(super) fn read(source: impl Read, max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = max.saturating_add(1);
    // Room from the start: growing would leave copies behind.
    let mut value = Zeroizing::new(Vec::with_capacity(limit.saturating_add(1)));
    source.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut value)?;
    Ok(value)
}

fn trim(value: &mut Vec<u8>) {
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
}

fn checked(value: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, CliError> {
    if value.is_empty() {
        return Err(CliError::usage("the value is empty")
            .with_next("give it on standard input, with --file, or at the prompt"));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(CliError::usage("the value is longer than 64 KiB"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_file_are_kept_exactly_unless_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("value");
        std::fs::write(&file, b"\xffs3cret\r\n\n").unwrap();
        assert_eq!(**given(Some(&file), false).unwrap(), *b"\xffs3cret\r\n\n");
        assert_eq!(**given(Some(&file), true).unwrap(), *b"\xffs3cret\r\n");
    }

    #[test]
    fn empty_and_huge_values_are_refused_here() {
        let value = |bytes: &[u8]| checked(Zeroizing::new(bytes.to_vec()));
        assert!(value(b"").is_err());
        assert!(value(&vec![0; VALUE_BYTES_MAX]).is_ok());
        let huge = vec![0; VALUE_BYTES_MAX * 2];
        let read = read(huge.as_slice(), VALUE_BYTES_MAX).unwrap();
        assert_eq!(read.len(), VALUE_BYTES_MAX + 1);
        assert!(checked(read).is_err());
    }
}
