//! Key material in memory, and the few things that are done with one key.

use std::fmt;
use std::sync::Once;

use region::LockGuard;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce};
use ring::{hkdf, hmac};
use zeroize::{Zeroize as _, Zeroizing};

use super::{VaultError, random};

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes that encryption adds: nonce and tag.
pub(super) const SEAL_BYTES: usize = NONCE_LEN + 16;

const PAGE_BYTES: usize = 4096;

/// What commits to a key is made of another, with this label.
const COMMIT: &[u8] = b"vouchsafe/v1/commit";
/// What is signed to commit to a key.
const COMMITTED: &[u8] = b"vouchsafe/v1/committed";

/// Raw key bytes, wiped when dropped.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Keys in a page of memory that is not swapped out where the system allows it, wiped when dropped.
pub(super) struct Arena {
    // Before the page, so that it is unlocked before it is freed.
    _lock: Option<LockGuard>,
    page: Box<Page>,
    used: usize,
}

/// What a key encrypts. Each use has a key of its own, made of the key given by HKDF-SHA256.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// The root key: key-encryption keys.
    KekWrap,
    /// The root key: keys of one purpose.
    KeyWrap,
    /// A key-encryption key: data keys.
    DataKeyWrap,
    /// A data key: its one value.
    Value,
}

/// Where in the arena a key is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(usize);

#[repr(align(4096))]
struct Page([[u8; KEY_BYTES]; PAGE_BYTES / KEY_BYTES]);

static WARN_UNLOCKED: Once = Once::new();

impl Use {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::KekWrap => b"vouchsafe/v1/kek-wrap",
            Self::KeyWrap => b"vouchsafe/v1/key-wrap",
            Self::DataKeyWrap => b"vouchsafe/v1/data-key-wrap",
            Self::Value => b"vouchsafe/v1/value",
        }
    }
}

impl Arena {
    pub(super) fn new() -> Self {
        let page = Box::new(Page([[0; KEY_BYTES]; PAGE_BYTES / KEY_BYTES]));
        let lock = region::lock(page.0.as_ptr(), PAGE_BYTES);
        if let Err(error) = &lock {
            WARN_UNLOCKED.call_once(|| {
                tracing::warn!(%error, "keys may be swapped to disk: raise the memlock limit");
            });
        }
        Self { _lock: lock.ok(), page, used: 0 }
    }

    pub(super) fn push(&mut self, key: &[u8; KEY_BYTES]) -> Result<Slot, VaultError> {
        let slot = self.page.0.get_mut(self.used).ok_or(VaultError::TooManyKeys)?;
        slot.copy_from_slice(key);
        self.used += 1;
        Ok(Slot(self.used - 1))
    }

    pub(super) fn replace(&mut self, Slot(at): Slot, key: &[u8; KEY_BYTES]) -> Slot {
        if let Some(slot) = self.page.0.get_mut(at) {
            slot.copy_from_slice(key);
        }
        Slot(at)
    }

    pub(super) fn key(&self, Slot(at): Slot) -> &[u8; KEY_BYTES] {
        #[expect(clippy::indexing_slicing, reason = "a slot is made by `push`, within the page")]
        &self.page.0[at]
    }

    pub(super) fn copied(&self) -> Self {
        let mut copy = Self::new();
        copy.page.0.copy_from_slice(&self.page.0);
        copy.used = self.used;
        copy
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.page.0.zeroize();
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arena(..)")
    }
}

/// Encrypts under `key`, for whoever knows `aad`: `nonce ‖ ciphertext ‖ tag`.
pub(super) fn encrypt(
    key: &[u8; KEY_BYTES],
    to: Use,
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let nonce = random::bytes::<NONCE_LEN>()?;
    let mut out = Vec::with_capacity(plain.len() + SEAL_BYTES);
    out.extend_from_slice(&nonce);
    let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + 16));
    text.extend_from_slice(plain);
    aead(key, to)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut *text)
        .map_err(|_| VaultError::Corrupt { what: "a value too long to encrypt" })?;
    out.extend_from_slice(&text);
    Ok(out)
}

/// Decrypts what [`encrypt`] made, in place of a copy; nothing where anything differs.
pub(super) fn decrypt(
    key: &[u8; KEY_BYTES],
    to: Use,
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = Zeroizing::new(text.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let len = aead(key, to).open_in_place(nonce, Aad::from(aad), &mut text).ok()?.len();
    text.truncate(len);
    Some(text)
}

/// [`encrypt`] for a key.
pub(super) fn wrap(
    by: &[u8; KEY_BYTES],
    to: Use,
    aad: &[u8],
    key: &[u8; KEY_BYTES],
) -> Result<Vec<u8>, VaultError> {
    encrypt(by, to, aad, key)
}

/// [`decrypt`] for a key.
pub(super) fn unwrap(by: &[u8; KEY_BYTES], to: Use, aad: &[u8], wrapped: &[u8]) -> Option<Key> {
    let key = decrypt(by, to, aad, wrapped)?;
    let mut out = Key::default();
    if key.len() != KEY_BYTES {
        return None;
    }
    out.copy_from_slice(&key);
    Some(out)
}

/// What only this key commits to. AES-GCM alone does not say which key something was sealed with.
pub(super) fn commitment(key: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    tag_bytes(&hmac::sign(&commit_key(key), COMMITTED))
}

/// Whether `commitment` is that of `key`, in constant time.
pub(super) fn commits(key: &[u8; KEY_BYTES], commitment: &[u8]) -> bool {
    hmac::verify(&commit_key(key), COMMITTED, commitment).is_ok()
}

/// HMAC-SHA256.
pub(super) fn mac(key: &[u8; KEY_BYTES], text: &[u8]) -> [u8; KEY_BYTES] {
    tag_bytes(&hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text))
}

/// Whether `mac` is [`mac`] of `text`, in constant time.
pub(super) fn mac_verify(key: &[u8; KEY_BYTES], text: &[u8], mac: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), text, mac).is_ok()
}

fn aead(key: &[u8; KEY_BYTES], to: Use) -> LessSafeKey {
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key);
    #[expect(clippy::expect_used, reason = "HKDF refuses over 8,160 bytes only")]
    let key = prk.expand(&[to.label()], &AES_256_GCM).expect("32 bytes can be expanded").into();
    LessSafeKey::new(key)
}

fn commit_key(key: &[u8; KEY_BYTES]) -> hmac::Key {
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key);
    #[expect(clippy::expect_used, reason = "HKDF refuses over 8,160 bytes only")]
    let key = prk.expand(&[COMMIT], hmac::HMAC_SHA256).expect("32 bytes can be expanded").into();
    key
}

fn tag_bytes(tag: &hmac::Tag) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    bytes
}
