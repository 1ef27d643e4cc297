//! Where the root key comes from: a file, a systemd credential or a command, as the key itself or
//! as a passphrase it is made of.
//!
//! To rotate, a new root key has to be somewhere while the old one still is: beside it, under the
//! same name with `.new` added (a command gets `new` as its last argument). For a key in a file the
//! daemon does it all: [`RootSource::make_new`] writes `root.key.new`, the keys are wrapped anew in a
//! transaction, [`RootSource::finish`] renames it. For every other source the operator puts the new
//! one in place first and moves it after. A start after a crash in between finds the right one of
//! the two in [`RootSource::unlock`].

mod input;

use std::fmt;
use std::path::PathBuf;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::{Passphrase, Vault, VaultError, VaultState, random};

pub use input::{Input, InputError};

/// Argon2id: the low-memory choice of RFC 9106. Unit tests, unoptimised, take less.
const MEMORY_KIB: u32 = if cfg!(test) { 256 } else { 64 * 1024 };
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// More than this is not asked of a machine, whatever the database says.
const MEMORY_KIB_MAX: u32 = 4 * 1024 * 1024;
/// The shortest passphrase, in bytes.
const PASSPHRASE_BYTES_MIN: usize = 12;

/// The key everything else is under.
pub struct RootKey(Box<Zeroizing<[u8; 32]>>);

/// Where to get the root key.
#[derive(Clone, Debug)]
pub enum RootSource {
    /// The key: 32 bytes as one line of hexadecimal or base64.
    Key(Input),
    /// A passphrase the key is made of.
    Passphrase(Input),
}

/// Which of the two roots there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The one in use.
    Current,
    /// The one that is to follow.
    New,
}

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It could not be read.
    #[error("the root key cannot be read")]
    Input(#[from] InputError),
    /// It is not 32 bytes.
    #[error("the root key is not one line of 64 hexadecimal or 44 base64 characters")]
    NotAKey,
    /// It is too easily guessed.
    #[error("the passphrase is shorter than 12 bytes")]
    ShortPassphrase,
    /// The database does not say how to make the key.
    #[error("the database was not sealed with a passphrase: use the source it was sealed with")]
    NoPassphrase,
    /// The database says how, in a way that is not possible.
    #[error("the stored parameters of the passphrase are damaged: run `vouchsafe doctor`")]
    Parameters,
    /// The vault refuses it.
    #[error("the vault stays locked")]
    Vault(#[from] VaultError),
}

impl RootKey {
    /// A new one.
    pub fn generate() -> Result<Self, VaultError> {
        Ok(Self(Box::new(Zeroizing::new(random::bytes()?))))
    }

    /// Reads one line of 64 hexadecimal or 44 base64 characters.
    pub fn parse(text: &[u8]) -> Result<Self, SourceError> {
        let text = text.trim_ascii_end();
        let bytes = match text.len() {
            64 => HEXLOWER_PERMISSIVE.decode(text),
            _ => BASE64.decode(text),
        };
        let bytes = Zeroizing::new(bytes.map_err(|_| SourceError::NotAKey)?);
        let mut key = Box::new(Zeroizing::new([0; 32]));
        if bytes.len() != key.len() {
            return Err(SourceError::NotAKey);
        }
        key.as_mut_slice().copy_from_slice(&bytes);
        Ok(Self(key))
    }

    fn line(&self) -> Zeroizing<Vec<u8>> {
        let mut line = Zeroizing::new(BASE64.encode(self.expose()).into_bytes());
        line.push(b'\n');
        line
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

impl Passphrase {
    /// Parameters for a new passphrase, with a salt of its own.
    pub fn new() -> Result<Self, VaultError> {
        let salt = random::bytes()?;
        Ok(Self { salt, memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES })
    }

    /// The root key that `words` make. Takes a tenth of a second and 64 MiB: not on an async thread.
    pub fn root(&self, words: &[u8]) -> Result<RootKey, SourceError> {
        if words.len() < PASSPHRASE_BYTES_MIN {
            return Err(SourceError::ShortPassphrase);
        }
        if self.memory_kib > MEMORY_KIB_MAX {
            return Err(SourceError::Parameters);
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        let params = params.map_err(|_| SourceError::Parameters)?;
        let mut key = Box::new(Zeroizing::new([0; 32]));
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(words, &self.salt, key.as_mut_slice())
            .map_err(|_| SourceError::Parameters)?;
        Ok(RootKey(key))
    }
}

impl RootSource {
    /// The root key for a new vault, and how it was made. A key in a file is made where there is
    /// none.
    pub fn first(&self) -> Result<(RootKey, Option<Passphrase>), SourceError> {
        if let Self::Key(Input::File(path)) = self
            && !path.exists()
        {
            let key = RootKey::generate()?;
            input::write_private(path, &key.line())?;
        }
        self.fresh(Which::Current)
    }

    /// Unlocks with the current root key, or with the new one where a rotation had come so far.
    /// Answers with which it was; after [`Which::New`] the source wants [`RootSource::finish`], after
    /// [`Which::Current`] [`RootSource::abandon`].
    pub fn unlock(&self, state: &VaultState) -> Result<(Vault, Which), SourceError> {
        let open = |which| -> Result<Vault, SourceError> {
            Ok(Vault::unlock(&self.read(which, state)?, state)?)
        };
        let refused = match open(Which::Current) {
            Ok(vault) => return Ok((vault, Which::Current)),
            Err(error @ SourceError::Vault(VaultError::Corrupt { .. })) => return Err(error),
            Err(error) => error,
        };
        // What is wrong with the current one is what the operator wants to know.
        open(Which::New).map(|vault| (vault, Which::New)).map_err(|_| refused)
    }

    /// The root key to rotate to, and how it was made. For a key in a file, makes it.
    pub fn make_new(&self) -> Result<(RootKey, Option<Passphrase>), SourceError> {
        if let Self::Key(Input::File(path)) = self {
            let key = RootKey::generate()?;
            let new = input::beside(path);
            input::remove_stale(&new)?;
            input::write_private(&new, &key.line())?;
        }
        // Read back, even where it was written just now.
        self.fresh(Which::New)
    }

    /// Puts the new root key in the place of the current one, where that is for the daemon to do;
    /// answers `false` where it is for the operator.
    pub fn finish(&self) -> Result<bool, SourceError> {
        let Self::Key(Input::File(path)) = self else {
            return Ok(false);
        };
        input::rename_durably(&input::beside(path), path)?;
        Ok(true)
    }

    /// Removes a new root key that was never put in use.
    pub fn abandon(&self) -> Result<(), SourceError> {
        if let Some(new) = self.made_file() {
            input::remove_stale(&new)?;
        }
        Ok(())
    }

    fn made_file(&self) -> Option<PathBuf> {
        match self {
            Self::Key(Input::File(path)) => Some(input::beside(path)),
            Self::Key(_) | Self::Passphrase(_) => None,
        }
    }

    fn read(&self, which: Which, state: &VaultState) -> Result<RootKey, SourceError> {
        match self {
            Self::Key(input) => RootKey::parse(&input.read(which)?),
            Self::Passphrase(input) => {
                let passphrase = state.passphrase.ok_or(SourceError::NoPassphrase)?;
                passphrase.root(words(&input.read(which)?))
            }
        }
    }

    fn fresh(&self, which: Which) -> Result<(RootKey, Option<Passphrase>), SourceError> {
        match self {
            Self::Key(input) => Ok((RootKey::parse(&input.read(which)?)?, None)),
            Self::Passphrase(input) => {
                let passphrase = Passphrase::new()?;
                Ok((passphrase.root(words(&input.read(which)?))?, Some(passphrase)))
            }
        }
    }
}

/// A passphrase without the line feed an editor puts after it.
fn words(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}
