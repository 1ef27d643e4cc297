//! Secret values and the names they go by.

mod generator;
mod upkeep;

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

pub use self::generator::{
    Alphabet, BITS_MIN, Generator, GeneratorError, PASSPHRASE_WORDS_MAX, PASSPHRASE_WORDS_MIN,
    PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, RSA_BITS, WORDS_IN_LIST,
};
pub use self::upkeep::{
    LABEL_NAME_CHARS_MAX, LABEL_VALUE_CHARS_MAX, LABELS_MAX, Labels, REMINDERS, ROTATION_MIN,
    RotationSchedule, UpkeepError, next_reminder,
};

/// The largest value a secret may have, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 300;
/// What stands in for a value that may not be shown.
pub const REDACTED: &str = "***REDACTED";

/// Bytes that nobody may print: no `Display`, no `Serialize`, a `Debug` that says nothing, wiped
/// when dropped.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

/// A value that cannot be a secret's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// No bytes at all.
    #[error("the value is empty")]
    Empty,
    /// More than [`VALUE_BYTES_MAX`].
    #[error("the value is over 64 KiB")]
    TooLong,
}

impl SecretBytes {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Takes over bytes that are to become a secret's value.
    pub fn value(bytes: Vec<u8>) -> Result<Self, ValueError> {
        let this = Self::new(bytes);
        match this.0.len() {
            0 => Err(ValueError::Empty),
            1..=VALUE_BYTES_MAX => Ok(this),
            _ => Err(ValueError::TooLong),
        }
    }

    /// The bytes themselves. Every caller says why it may.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

impl Zeroize for SecretBytes {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", SecretBytes::new(b"hunter2".to_vec())), "SecretBytes(..)");
    }

    #[test]
    fn a_value_has_one_byte_to_64_kib() {
        assert!(matches!(SecretBytes::value(Vec::new()), Err(ValueError::Empty)));
        assert!(SecretBytes::value(vec![0; VALUE_BYTES_MAX]).is_ok());
        assert!(matches!(
            SecretBytes::value(vec![0; VALUE_BYTES_MAX + 1]),
            Err(ValueError::TooLong)
        ));
    }
}
