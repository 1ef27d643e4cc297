//! What is stored of a vault: nothing that opens anything without the root key.

use vouchsafe_core::id::KekId;
use vouchsafe_core::time::UnixTime;

use super::sealed::push_part;

/// The stored side of a vault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultState {
    /// Counts changes; each state follows the one before.
    pub generation: u64,
    /// What the root key is checked against.
    pub commitment: [u8; 32],
    /// The name of the log, `vouchsafe/<instance id>`.
    pub origin: String,
    /// How the root key is made of a passphrase, where it is.
    pub passphrase: Option<Passphrase>,
    /// Keys of one purpose each, wrapped by the root key.
    pub keys: Vec<(Purpose, Vec<u8>)>,
    /// Key-encryption keys, wrapped by the root key.
    pub keks: Vec<WrappedKek>,
}

/// Parameters of Argon2id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Passphrase {
    /// Random, never used again.
    pub salt: [u8; 16],
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// What a key under the root key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Tokens are stored as codes under it.
    TokenPepper,
    /// Page tokens are marked with it.
    CursorMac,
    /// The log is signed with it.
    AuditSign,
}

/// A key-encryption key, wrapped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrappedKek {
    /// Which.
    pub id: KekId,
    /// What it is used for.
    pub state: KekState,
    /// The key under the root key.
    pub wrapped: Vec<u8>,
    /// Since when it is there.
    pub created_at: UnixTime,
}

/// What a key-encryption key is used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KekState {
    /// To seal and to open; one is.
    Active,
    /// To open only.
    DecryptOnly,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::TokenPepper, Self::CursorMac, Self::AuditSign];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenPepper => "token-pepper",
            Self::CursorMac => "cursor-mac",
            Self::AuditSign => "audit-sign",
        }
    }

    pub(super) fn place(self, origin: &str) -> Vec<u8> {
        place(b"vouchsafe/v1/key", &[self.as_str(), origin])
    }
}

impl KekState {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::DecryptOnly => "decrypt_only",
        }
    }
}

impl WrappedKek {
    pub(super) fn place(&self) -> Vec<u8> {
        place(b"vouchsafe/v1/kek", &[&self.id.to_string()])
    }
}

fn place(label: &[u8], parts: &[&str]) -> Vec<u8> {
    let mut place = Vec::new();
    push_part(&mut place, label);
    for part in parts {
        push_part(&mut place, part.as_bytes());
    }
    place
}
