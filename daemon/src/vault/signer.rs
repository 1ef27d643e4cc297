//! The key that signs the audit log.

use std::fmt;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use vouchsafe_core::audit::{HeadSigner, VerifierKey};

use super::VaultError;
use super::keys::KEY_BYTES;

/// Signs heads of the log. The same for the whole life of a database.
pub struct AuditSigner {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl AuditSigner {
    pub(super) fn new(origin: &str, seed: &[u8; KEY_BYTES]) -> Result<Self, VaultError> {
        let damaged = VaultError::Corrupt { what: "the log's signing key" };
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| damaged)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| damaged)?;
        let verifier = VerifierKey::new(origin, public).map_err(|_| VaultError::Origin)?;
        Ok(Self { pair, verifier })
    }
}

impl HeadSigner for AuditSigner {
    fn sign(&self, text: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(text);
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(signature.as_ref()) {
            *to = *from;
        }
        bytes
    }

    fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }
}

impl fmt::Debug for AuditSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditSigner").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}
