//! The one place where the core's verifier is called.

use std::error::Error as _;
use std::io;

use vouchsafe_core::audit::{self, VerifierKey, VerifyError};

/// A log that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Number of entries.
    pub(crate) size: u64,
    /// Root hash of the tree, hex.
    pub(crate) root: String,
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The first bad entry, where one entry is to blame.
    pub(crate) seq: Option<u64>,
    /// What is wrong with it, a sentence without full stop.
    pub(crate) kind: String,
}

/// Verifies an export line by line against its checkpoint.
pub(crate) fn verify_export(
    lines: impl Iterator<Item = io::Result<Vec<u8>>>,
    note: &str,
    verifier_key: &str,
) -> Result<Verified, Fault> {
    let key: VerifierKey = verifier_key
        .trim()
        .parse()
        .map_err(|error: audit::KeyError| Fault { seq: None, kind: error.to_string() })?;
    match audit::verify_export(lines, note.as_bytes(), &key) {
        Ok(verified) => Ok(Verified { size: verified.size, root: verified.root.to_string() }),
        Err(VerifyError::Entry { seq, fault }) => {
            Err(Fault { seq: Some(seq), kind: fault.to_string() })
        }
        Err(error @ (VerifyError::Checkpoint(_) | VerifyError::Read(_))) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Err(Fault { seq: None, kind: format!("{error}{cause}") })
        }
    }
}
