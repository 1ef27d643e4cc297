//! Values made here, which nobody sees: passwords, passphrases, UUIDs and key pairs.
//!
//! Whatever a value goes through on its way is wiped. Nothing here encrypts or signs: the crate
//! `rsa` only makes keys, so what is known of its timing does not matter.

mod keys;

use data_encoding::HEXLOWER;
use vouchsafe_core::secret::{Generator, SecretBytes};
use zeroize::Zeroizing;

use crate::vault::{VaultError, random};

/// Random bytes drawn at a time.
const DRAW_BYTES: usize = 64;

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
    match generator {
        Generator::Password { length, alphabet } => {
            let length = usize::try_from(*length).map_err(|_| MakeError)?;
            password(length, &alphabet.characters()).map(text)
        }
        Generator::Passphrase { words } => passphrase(*words).map(text),
        Generator::Uuid {} => uuid().map(text),
        Generator::Ed25519 {} => keys::ed25519(),
        Generator::Rsa { bits } => keys::rsa(usize::try_from(*bits).map_err(|_| MakeError)?),
    }
}

fn text(value: Zeroizing<Vec<u8>>) -> Made {
    let mut value = value;
    Made { value: SecretBytes::new(std::mem::take(&mut *value)), public_key: None }
}

/// Characters of an alphabet of 256 at most. A byte that would make some of them likelier than the
/// others is thrown away.
fn password(length: usize, alphabet: &[u8]) -> Result<Zeroizing<Vec<u8>>, MakeError> {
    let fair = 256_usize.checked_rem(alphabet.len()).and_then(|rest| 256_usize.checked_sub(rest));
    let fair = fair.filter(|fair| *fair > 0).ok_or(MakeError)?;
    let mut value = Zeroizing::new(Vec::with_capacity(length));
    while value.len() < length {
        let drawn = Zeroizing::new(random::bytes::<DRAW_BYTES>()?);
        let drawn = drawn.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let characters = drawn.filter_map(|byte| alphabet.get(byte % alphabet.len()));
        let missing = length.saturating_sub(value.len());
        value.extend(characters.take(missing));
    }
    Ok(value)
}

/// Words of the English list of BIP-39: 2048 of them, none the beginning of another by four
/// letters, so that eleven bits are one word.
fn passphrase(words: u32) -> Result<Zeroizing<Vec<u8>>, MakeError> {
    let list = bip39::Language::English.word_list();
    // The longest word has eight letters, and there is a hyphen after it.
    let room = usize::try_from(words).unwrap_or_default().saturating_mul(9);
    let mut value = Zeroizing::new(Vec::with_capacity(room));
    for _ in 0..words {
        let drawn = Zeroizing::new(random::bytes::<2>()?);
        let place = usize::from(u16::from_le_bytes(*drawn)) % list.len();
        let word = list.get(place).ok_or(MakeError)?;
        if !value.is_empty() {
            value.push(b'-');
        }
        value.extend_from_slice(word.as_bytes());
    }
    Ok(value)
}

/// Version 4 of RFC 9562: 122 random bits.
fn uuid() -> Result<Zeroizing<Vec<u8>>, MakeError> {
    let mut bytes = Zeroizing::new(random::bytes::<16>()?);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut *bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let digits = Zeroizing::new(HEXLOWER.encode(&*bytes));
    let mut value = Zeroizing::new(Vec::with_capacity(36));
    for (place, digit) in digits.bytes().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            value.push(b'-');
        }
        value.push(digit);
    }
    Ok(value)
}

impl From<VaultError> for MakeError {
    fn from(_: VaultError) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
