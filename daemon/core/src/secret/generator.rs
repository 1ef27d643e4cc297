//! How a value is made that nobody ever sees: what is asked for, not the making.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The fewest characters of a password.
pub const PASSWORD_LENGTH_MIN: u32 = 8;
/// The most characters of a password.
pub const PASSWORD_LENGTH_MAX: u32 = 4096;
/// The fewest words of a passphrase.
pub const PASSPHRASE_WORDS_MIN: u32 = 4;
/// The most words of a passphrase.
pub const PASSPHRASE_WORDS_MAX: u32 = 64;
/// The fewest bits of chance in a password or a passphrase.
pub const BITS_MIN: u32 = 40;
/// The sizes of RSA keys that are made, in bits.
pub const RSA_BITS: [u32; 3] = [2048, 3072, 4096];
/// Words in the list that passphrases are made of.
pub const WORDS_IN_LIST: u32 = 2048;

/// How a value is made. Written as JSON: `{"kind":"password","length":32,"alphabet":"hex"}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Generator {
    /// Characters of an alphabet, each as likely as the next.
    Password {
        /// How many.
        #[serde(default = "default_length")]
        length: u32,
        /// Of which.
        #[serde(default)]
        alphabet: Alphabet,
    },
    /// English words with hyphens between.
    Passphrase {
        /// How many.
        #[serde(default = "default_words")]
        words: u32,
    },
    /// A random UUID (version 4, RFC 9562).
    Uuid {},
    /// An Ed25519 key pair (RFC 8032); the value is the private key as PKCS#8 PEM (RFC 8410).
    Ed25519 {},
    /// An RSA key pair; the value is the private key as PKCS#8 PEM.
    Rsa {
        /// The size of its modulus, one of [`RSA_BITS`].
        #[serde(default = "default_rsa_bits")]
        bits: u32,
    },
}

/// What a password is made of.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// Letters and digits.
    #[default]
    Alphanumeric,
    /// Printable ASCII without the blank.
    Ascii,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Decimal digits.
    Digits,
    /// Letters, digits, `-` and `_`.
    Base64url,
    /// These, which are printable ASCII, each once.
    Characters(String),
}

/// What no value can be made by.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GeneratorError {
    /// Too short or too long.
    #[error("a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters, not {0}")]
    Length(u32),
    /// Too few or too many words.
    #[error("a passphrase has {PASSPHRASE_WORDS_MIN} to {PASSPHRASE_WORDS_MAX} words, not {0}")]
    Words(u32),
    /// Another size.
    #[error("an RSA key has 2048, 3072 or 4096 bits, not {0}")]
    RsaBits(u32),
    /// An alphabet of one's own that is none.
    #[error("an alphabet has 2 to 94 printable ASCII characters, each once and no blank")]
    Characters,
    /// Too easy to guess.
    #[error("this makes one of 2^{0} values, and 2^{BITS_MIN} is the least: make it longer")]
    Guessable(u32),
}

impl Generator {
    /// The generator, if its limits hold.
    pub fn check(self) -> Result<Self, GeneratorError> {
        match &self {
            Self::Password { length, alphabet } => {
                if !(PASSWORD_LENGTH_MIN..=PASSWORD_LENGTH_MAX).contains(length) {
                    return Err(GeneratorError::Length(*length));
                }
                alphabet.check()?;
            }
            Self::Passphrase { words } => {
                if !(PASSPHRASE_WORDS_MIN..=PASSPHRASE_WORDS_MAX).contains(words) {
                    return Err(GeneratorError::Words(*words));
                }
            }
            Self::Rsa { bits } if !RSA_BITS.contains(bits) => {
                return Err(GeneratorError::RsaBits(*bits));
            }
            Self::Rsa { .. } | Self::Uuid {} | Self::Ed25519 {} => {}
        }
        match self.bits() {
            bits if bits < BITS_MIN => Err(GeneratorError::Guessable(bits)),
            _ => Ok(self),
        }
    }

    /// The bits of chance in what it makes, rounded down. For key pairs: of the private key's
    /// strength as usually given, not of its length.
    pub fn bits(&self) -> u32 {
        match self {
            Self::Password { length, alphabet } => {
                let characters = alphabet.characters().len();
                // Whole thousandths of a bit for each character, so that no float is needed.
                length.saturating_mul(millibits(characters)) / 1000
            }
            Self::Passphrase { words } => words.saturating_mul(WORDS_IN_LIST.ilog2()),
            Self::Uuid {} => 122,
            Self::Ed25519 {} => 128,
            Self::Rsa { bits } => match bits {
                ..=2048 => 112,
                2049..=3072 => 128,
                _ => 152,
            },
        }
    }

    /// Whether what it makes has a public part.
    pub const fn makes_key_pair(&self) -> bool {
        matches!(self, Self::Ed25519 {} | Self::Rsa { .. })
    }
}

impl Alphabet {
    /// Its characters, each once.
    pub fn characters(&self) -> Vec<u8> {
        const UPPER: std::ops::RangeInclusive<u8> = b'A'..=b'Z';
        const LOWER: std::ops::RangeInclusive<u8> = b'a'..=b'z';
        const DIGITS: std::ops::RangeInclusive<u8> = b'0'..=b'9';
        match self {
            Self::Alphanumeric => UPPER.chain(LOWER).chain(DIGITS).collect(),
            Self::Ascii => (b'!'..=b'~').collect(),
            Self::Hex => DIGITS.chain(b'a'..=b'f').collect(),
            Self::Digits => DIGITS.collect(),
            Self::Base64url => UPPER.chain(LOWER).chain(DIGITS).chain(*b"-_").collect(),
            Self::Characters(characters) => characters.bytes().collect(),
        }
    }

    fn check(&self) -> Result<(), GeneratorError> {
        let characters = self.characters();
        let distinct: BTreeSet<u8> = characters.iter().copied().collect();
        let fits = (2..=94).contains(&characters.len())
            && distinct.len() == characters.len()
            && characters.iter().all(u8::is_ascii_graphic);
        if fits { Ok(()) } else { Err(GeneratorError::Characters) }
    }
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { length, alphabet } => {
                write!(f, "password of {length} characters ({alphabet})")
            }
            Self::Passphrase { words } => write!(f, "passphrase of {words} words"),
            Self::Uuid {} => f.write_str("UUID"),
            Self::Ed25519 {} => f.write_str("Ed25519 key pair"),
            Self::Rsa { bits } => write!(f, "RSA key pair of {bits} bits"),
        }
    }
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alphanumeric => "alphanumeric",
            Self::Ascii => "ascii",
            Self::Hex => "hex",
            Self::Digits => "digits",
            Self::Base64url => "base64url",
            Self::Characters(characters) => return write!(f, "of `{characters}`"),
        })
    }
}

/// Thousandths of the bits of chance in one of so many characters, rounded down.
fn millibits(characters: usize) -> u32 {
    // log2(n) = (bits of n^1000 - 1) / 1000, in steps: square and halve, keeping 10 binary digits.
    let characters = u64::try_from(characters).unwrap_or(u64::MAX).max(1);
    let whole = characters.ilog2();
    let (mut rest, mut fraction) = (u128::from(characters) << 32 >> whole, 0_u32);
    for _ in 0..10 {
        rest = (rest * rest) >> 32;
        fraction <<= 1;
        if rest >= 1 << 33 {
            rest >>= 1;
            fraction |= 1;
        }
    }
    whole.saturating_mul(1000).saturating_add(fraction.saturating_mul(1000) >> 10)
}

const fn default_length() -> u32 {
    32
}

const fn default_words() -> u32 {
    8
}

const fn default_rsa_bits() -> u32 {
    3072
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Generator, String> {
        let generator: Generator = serde_json::from_str(json).map_err(|error| error.to_string())?;
        generator.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_generator_is_read_with_its_defaults() {
        for (json, said, bits) in [
            (r#"{"kind":"password"}"#, "password of 32 characters (alphanumeric)", 190),
            (
                r#"{"kind":"password","length":64,"alphabet":"hex"}"#,
                "password of 64 characters (hex)",
                256,
            ),
            (
                r#"{"kind":"password","length":12,"alphabet":{"characters":"abcdefgh23456789"}}"#,
                "password of 12 characters (of `abcdefgh23456789`)",
                48,
            ),
            (
                r#"{"kind":"password","length":20,"alphabet":"ascii"}"#,
                "password of 20 characters (ascii)",
                131,
            ),
            (r#"{"kind":"passphrase"}"#, "passphrase of 8 words", 88),
            (r#"{"kind":"uuid"}"#, "UUID", 122),
            (r#"{"kind":"ed25519"}"#, "Ed25519 key pair", 128),
            (r#"{"kind":"rsa"}"#, "RSA key pair of 3072 bits", 128),
        ] {
            let generator = read(json).unwrap();
            assert_eq!((generator.to_string().as_str(), generator.bits()), (said, bits), "{json}");
            let written = serde_json::to_string(&generator).unwrap();
            assert_eq!(read(&written).as_ref(), Ok(&generator), "{written}");
        }
    }

    #[test]
    fn what_is_no_generator_is_refused() {
        for json in [
            r#"{"kind":"password","length":7}"#,
            r#"{"kind":"password","length":4097}"#,
            r#"{"kind":"password","length":8,"alphabet":"digits"}"#,
            r#"{"kind":"password","length":40,"alphabet":{"characters":"aa"}}"#,
            r#"{"kind":"password","length":40,"alphabet":{"characters":"a"}}"#,
            r#"{"kind":"password","length":40,"alphabet":{"characters":"a b"}}"#,
            r#"{"kind":"password","length":40,"alphabet":"letters"}"#,
            r#"{"kind":"password","size":40}"#,
            r#"{"kind":"passphrase","words":3}"#,
            r#"{"kind":"rsa","bits":1024}"#,
            r#"{"kind":"uuid","length":3}"#,
            r#"{"kind":"dsa"}"#,
            r#"{"length":32}"#,
            r#""password""#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
