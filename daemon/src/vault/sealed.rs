//! A value as it is stored: its data key, wrapped, and itself, each bound to its place.
//!
//! ```text
//! version(1) ‖ algorithm(1) ‖ kek id(10) ‖ data key: nonce(12) ‖ 32 ‖ tag(16)
//! ‖ commitment to the data key(32) ‖ value: nonce(12) ‖ .. ‖ tag(16)
//! ```

use std::fmt;

use vouchsafe_core::id::{ApprovalId, ID_BYTES, KekId, ProjectId, SecretId};
use vouchsafe_core::secret::SecretBytes;

use super::keys::{self, KEY_BYTES, Key, SEAL_BYTES, Use};
use super::{VaultError, random};

const VERSION: u8 = 1;
/// AES-256-GCM, for data key and value.
const ALGORITHM: u8 = 1;
const WRAPPED_BYTES: usize = KEY_BYTES + SEAL_BYTES;
const HEAD_BYTES: usize = 2 + ID_BYTES;

const DATA_KEY: &[u8] = b"vouchsafe/v1/data-key";
const VALUE: &[u8] = b"vouchsafe/v1/value";

/// Where a sealed value belongs: it opens nowhere else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// What it is for, one word a use.
    pub purpose: &'static str,
    /// In which project.
    pub project: ProjectId,
    /// In which table.
    pub table: &'static str,
    /// In which row, by its id.
    pub row: String,
    /// Which version of that row.
    pub version: u64,
}

/// An encrypted value with all that is needed to open it but the key and the place.
#[derive(Clone, Eq, PartialEq)]
pub struct Sealed(Vec<u8>);

struct Parts<'a> {
    kek: KekId,
    wrapped: &'a [u8; WRAPPED_BYTES],
    commitment: &'a [u8; KEY_BYTES],
    value: &'a [u8],
}

impl Place {
    /// The place of a version of a secret.
    pub fn secret(project: ProjectId, secret: SecretId, version: u64) -> Self {
        let row = secret.to_string();
        Self { purpose: "secret-value", project, table: "secret_versions", row, version }
    }

    /// The place of a value that was proposed in an approval.
    pub fn proposal(project: ProjectId, approval: ApprovalId) -> Self {
        let row = approval.to_string();
        Self { purpose: "proposed-value", project, table: "proposals", row, version: 0 }
    }

    fn aad(&self, layer: &[u8], kek: KekId) -> Vec<u8> {
        let mut aad = Vec::with_capacity(192);
        push_part(&mut aad, layer);
        push_part(&mut aad, self.purpose.as_bytes());
        push_part(&mut aad, self.project.to_string().as_bytes());
        push_part(&mut aad, self.table.as_bytes());
        push_part(&mut aad, self.row.as_bytes());
        push_part(&mut aad, &self.version.to_be_bytes());
        // The value is not encrypted anew when its data key is wrapped by another key.
        if layer == DATA_KEY {
            push_part(&mut aad, kek.to_string().as_bytes());
        }
        aad
    }
}

impl Sealed {
    /// As it was stored; whether it is whole, opening it tells.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As it is to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key-encryption key it is sealed with.
    pub fn kek(&self) -> Result<KekId, VaultError> {
        self.parts().map(|parts| parts.kek)
    }

    fn parts(&self) -> Result<Parts<'_>, VaultError> {
        let whole = || {
            let (head, rest) = self.0.split_first_chunk::<HEAD_BYTES>()?;
            let (wrapped, rest) = rest.split_first_chunk()?;
            let (commitment, value) = rest.split_first_chunk()?;
            let (format, kek) = head.split_first_chunk::<2>()?;
            Some((*format, KekId::from_random(kek.try_into().ok()?), wrapped, commitment, value))
        };
        let (format, kek, wrapped, commitment, value) =
            whole().ok_or(VaultError::Corrupt { what: "a sealed value" })?;
        if format != [VERSION, ALGORITHM] {
            return Err(VaultError::UnknownFormat);
        }
        Ok(Parts { kek, wrapped, commitment, value })
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// Seals under a data key of its own, wrapped by `kek`.
pub(super) fn seal(
    id: KekId,
    kek: &[u8; KEY_BYTES],
    place: &Place,
    value: &SecretBytes,
) -> Result<Sealed, VaultError> {
    let data_key = Key::new(random::bytes()?);
    // To encrypt it.
    let value = keys::encrypt(&data_key, Use::Value, &place.aad(VALUE, id), value.expose())?;
    put_together((id, kek), place, &data_key, &keys::commitment(&data_key), &value)
}

pub(super) fn open(
    kek: &[u8; KEY_BYTES],
    place: &Place,
    sealed: &Sealed,
) -> Result<SecretBytes, VaultError> {
    let parts = sealed.parts()?;
    let data_key = data_key(kek, place, &parts)?;
    let mut value = keys::decrypt(&data_key, Use::Value, &place.aad(VALUE, parts.kek), parts.value)
        .ok_or(VaultError::Corrupt { what: "a sealed value" })?;
    Ok(SecretBytes::new(std::mem::take(&mut *value)))
}

/// Wraps the data key by another key; the value stays as it is.
pub(super) fn reseal(
    old: &[u8; KEY_BYTES],
    new: (KekId, &[u8; KEY_BYTES]),
    place: &Place,
    sealed: &Sealed,
) -> Result<Sealed, VaultError> {
    let parts = sealed.parts()?;
    let data_key = data_key(old, place, &parts)?;
    put_together(new, place, &data_key, parts.commitment, parts.value)
}

/// Appends `part` with its length before it, so that no two lists of parts are the same bytes.
pub(super) fn push_part(to: &mut Vec<u8>, part: &[u8]) {
    to.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    to.extend_from_slice(part);
}

fn data_key(kek: &[u8; KEY_BYTES], place: &Place, parts: &Parts<'_>) -> Result<Key, VaultError> {
    keys::unwrap(kek, Use::DataKeyWrap, &place.aad(DATA_KEY, parts.kek), parts.wrapped)
        .filter(|key| keys::commits(key, parts.commitment))
        .ok_or(VaultError::Corrupt { what: "a sealed value" })
}

fn put_together(
    (id, kek): (KekId, &[u8; KEY_BYTES]),
    place: &Place,
    data_key: &Key,
    commitment: &[u8; KEY_BYTES],
    value: &[u8],
) -> Result<Sealed, VaultError> {
    let wrapped = keys::wrap(kek, Use::DataKeyWrap, &place.aad(DATA_KEY, id), data_key)?;
    let mut bytes = vec![VERSION, ALGORITHM];
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&wrapped);
    bytes.extend_from_slice(commitment);
    bytes.extend_from_slice(value);
    Ok(Sealed(bytes))
}
