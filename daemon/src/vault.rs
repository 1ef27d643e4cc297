//! Encryption: the only place in the daemon that holds keys.
//!
//! A root key, kept outside the database, wraps key-encryption keys and a few keys of one purpose
//! each. Every stored value has a data key of its own, used once and wrapped by the active
//! key-encryption key. What is wrapped or sealed is bound to its place: it does not open anywhere
//! else. Keys that others depend on (the token pepper, the log's signing key) are random and
//! wrapped, not derived from the root, so that they outlive it.
//!
//! Changes go in three steps, so that a crash at any moment leaves the old state or the new:
//! prepare ([`Vault::next_root`], [`Vault::next_kek`]), store the new state in a transaction, then
//! [`Vault::adopt`] it.

mod keys;
pub mod random;
mod sealed;
mod signer;
pub mod source;
mod state;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use vouchsafe_core::approval::{Order, ValueDigest};
use vouchsafe_core::id::{ApprovalId, KekId, ProjectId, SecretId};
use vouchsafe_core::lease::Grant;
use vouchsafe_core::redact;
use vouchsafe_core::resource::SecretPath;
use vouchsafe_core::secret::SecretBytes;
use vouchsafe_core::time::UnixTime;
use zeroize::Zeroizing;

pub use sealed::{Place, Sealed};
pub use signer::AuditSigner;
pub use source::{RootKey, RootSource};
pub use state::{KekState, Passphrase, Purpose, VaultState, WrappedKek};

use keys::{Arena, Slot, Use};

/// An unlocked vault. Nothing it decrypts is kept.
#[derive(Debug)]
pub struct Vault {
    ring: RwLock<Ring>,
    signer: Arc<AuditSigner>,
}

/// A prepared change: store its state, then adopt it.
#[derive(Debug)]
pub struct Next {
    ring: Ring,
}

/// What the vault could not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VaultError {
    /// The root key is another.
    #[error("the root key is not the one this database was sealed with: give the right one")]
    WrongRootKey,
    /// Sealed data does not open in its place.
    #[error("{what} is damaged or not in its place: run `vouchsafe doctor`")]
    Corrupt {
        /// What it is.
        what: &'static str,
    },
    /// Sealed with a key that is not there.
    #[error("a value is sealed with an unknown key: was the database restored in part?")]
    UnknownKey,
    /// Sealed by a later version.
    #[error("a value is sealed in an unknown format: run the version that wrote it")]
    UnknownFormat,
    /// Another change came first.
    #[error("the keys were changed meanwhile: try again")]
    Raced,
    /// No room for another key.
    #[error("there are too many key-encryption keys: seal values anew and drop old keys")]
    TooManyKeys,
    /// The log's name cannot be one.
    #[error("the log's name has white space or a `+`")]
    Origin,
    /// The machine has no randomness.
    #[error("the machine gives no random bytes")]
    Random,
}

/// The keys, in memory that is not swapped, and the state they are stored as.
struct Ring {
    arena: Arena,
    root: Slot,
    pepper: Slot,
    cursor: Slot,
    seed: Slot,
    keks: Vec<(KekId, Slot)>,
    state: VaultState,
}

impl Vault {
    /// Makes new keys under `root`, for the log named `origin` (`vouchsafe/<instance id>`).
    /// `passphrase` says how the root was made, where it was made from one.
    pub fn create(
        root: &RootKey,
        passphrase: Option<Passphrase>,
        origin: &str,
        now: UnixTime,
    ) -> Result<Self, VaultError> {
        let mut arena = Arena::new();
        let mut fresh = || -> Result<Slot, VaultError> {
            let key = Zeroizing::new(random::bytes()?);
            arena.push(&key)
        };
        let (pepper, cursor, seed, kek) = (fresh()?, fresh()?, fresh()?, fresh()?);
        let root = arena.push(root.expose())?;
        let id = KekId::from_random(random::bytes()?);
        let state = VaultState {
            generation: 0,
            commitment: [0; 32],
            origin: origin.to_owned(),
            passphrase,
            keys: Vec::new(),
            keks: vec![WrappedKek {
                id,
                state: KekState::Active,
                wrapped: Vec::new(),
                created_at: now,
            }],
        };
        let ring = Ring { arena, root, pepper, cursor, seed, keks: vec![(id, kek)], state };
        Self::of(ring.rewrapped()?)
    }

    /// Opens the keys in `state` with `root`.
    pub fn unlock(root: &RootKey, state: &VaultState) -> Result<Self, VaultError> {
        let mut arena = Arena::new();
        let root = arena.push(root.expose())?;
        if !keys::commits(arena.key(root), &state.commitment) {
            return Err(VaultError::WrongRootKey);
        }
        let mut purpose = |purpose: Purpose| {
            let wrapped = state.keys.iter().find(|(of, _)| *of == purpose);
            let (_, wrapped) = wrapped.ok_or(VaultError::Corrupt { what: purpose.as_str() })?;
            let key =
                keys::unwrap(arena.key(root), Use::KeyWrap, &purpose.place(&state.origin), wrapped)
                    .ok_or(VaultError::Corrupt { what: purpose.as_str() })?;
            arena.push(&key)
        };
        let pepper = purpose(Purpose::TokenPepper)?;
        let cursor = purpose(Purpose::CursorMac)?;
        let seed = purpose(Purpose::AuditSign)?;
        let mut keks = Vec::new();
        for kek in &state.keks {
            let key = keys::unwrap(arena.key(root), Use::KekWrap, &kek.place(), &kek.wrapped)
                .ok_or(VaultError::Corrupt { what: "a key-encryption key" })?;
            keks.push((kek.id, arena.push(&key)?));
        }
        Self::of(Ring { arena, root, pepper, cursor, seed, keks, state: state.clone() })
    }

    /// The state to store.
    pub fn state(&self) -> VaultState {
        self.ring().state.clone()
    }

    /// Who signs the log.
    pub fn signer(&self) -> Arc<AuditSigner> {
        Arc::clone(&self.signer)
    }

    /// Encrypts `value` so that it opens in `place` only.
    pub fn seal(&self, place: &Place, value: &SecretBytes) -> Result<Sealed, VaultError> {
        let ring = self.ring();
        let (id, kek) = ring.active()?;
        sealed::seal(id, ring.arena.key(kek), place, value)
    }

    /// Decrypts the value that a grant is for, and no other: its place is the grant's.
    pub fn open(&self, grant: &Grant, sealed: &Sealed) -> Result<SecretBytes, VaultError> {
        let secret = grant.secret().ok_or(VaultError::Corrupt { what: "the grant" })?;
        let place = Place::secret(grant.project(), secret, grant.version());
        self.open_at(&place, sealed)
    }

    /// Moves a proposed value to where its order says, as a version of `secret`. What was sealed in
    /// the order's approval must be what the order is for, or nothing is moved.
    pub fn fulfil(
        &self,
        order: &Order,
        secret: SecretId,
        sealed: &Sealed,
    ) -> Result<Sealed, VaultError> {
        let damaged = VaultError::Corrupt { what: "a proposed value" };
        let approved = order.digest().ok_or(damaged)?;
        let value = self.open_at(&Place::proposal(order.project(), order.approval()), sealed)?;
        if self.value_digest(order.approval(), order.path(), &value) != *approved {
            return Err(damaged);
        }
        self.seal(&Place::secret(order.project(), secret, order.version()), &value)
    }

    /// Moves a value from one place to another, unseen.
    pub fn moved(&self, from: &Place, to: &Place, sealed: &Sealed) -> Result<Sealed, VaultError> {
        self.seal(to, &self.open_at(from, sealed)?)
    }

    /// Shows a value to a redactor that is being made, so that it is masked. It goes nowhere else.
    pub fn teach(
        &self,
        redactor: &mut redact::Builder,
        place: &Place,
        sealed: &Sealed,
    ) -> Result<(), VaultError> {
        redactor.add(&self.open_at(place, sealed)?);
        Ok(())
    }

    /// What people see of a proposed value: the same value has another one in each approval, so
    /// that nobody finds a value by proposing guesses and comparing.
    pub fn value_digest(
        &self,
        approval: ApprovalId,
        path: &SecretPath,
        value: &SecretBytes,
    ) -> ValueDigest {
        self.value_mac(b"vouchsafe/v1/value-shown", approval.as_bytes(), path, value)
    }

    /// What equal asks have in common that propose this value. Shown to nobody.
    pub fn value_fingerprint(
        &self,
        project: ProjectId,
        path: &SecretPath,
        value: &SecretBytes,
    ) -> ValueDigest {
        self.value_mac(b"vouchsafe/v1/value-joins", project.as_bytes(), path, value)
    }

    fn value_mac(
        &self,
        purpose: &[u8],
        id: &[u8],
        path: &SecretPath,
        value: &SecretBytes,
    ) -> ValueDigest {
        let mut text = Zeroizing::new(Vec::with_capacity(256 + value.len()));
        sealed::push_part(&mut text, id);
        sealed::push_part(&mut text, path.to_string().as_bytes());
        sealed::push_part(&mut text, value.expose());
        let ring = self.ring();
        // A key of its own for each purpose, so that no token's MAC is ever a value's.
        let key = Zeroizing::new(keys::mac(ring.arena.key(ring.pepper), purpose));
        ValueDigest::from_bytes(keys::mac(&key, &text))
    }

    /// Decrypts what was sealed in `place`.
    fn open_at(&self, place: &Place, sealed: &Sealed) -> Result<SecretBytes, VaultError> {
        let ring = self.ring();
        sealed::open(ring.arena.key(ring.kek(sealed.kek()?)?), place, sealed)
    }

    /// `sealed` under the active key-encryption key, or nothing where it is already.
    pub fn resealed(&self, place: &Place, sealed: &Sealed) -> Result<Option<Sealed>, VaultError> {
        let ring = self.ring();
        let (id, active) = ring.active()?;
        let old = sealed.kek()?;
        if old == id {
            return Ok(None);
        }
        let keys = (ring.arena.key(ring.kek(old)?), ring.arena.key(active));
        sealed::reseal(keys.0, (id, keys.1), place, sealed).map(Some)
    }

    /// What is stored of a token's secret, for looking it up is not enough to use it.
    pub fn token_mac(&self, token_id: &str, secret: &[u8]) -> [u8; 32] {
        let ring = self.ring();
        keys::mac(ring.arena.key(ring.pepper), &token_text(token_id, secret))
    }

    /// Whether `mac` is [`Vault::token_mac`] of this secret, in constant time.
    pub fn token_verify(&self, token_id: &str, secret: &[u8], mac: &[u8]) -> bool {
        let ring = self.ring();
        keys::mac_verify(ring.arena.key(ring.pepper), &token_text(token_id, secret), mac)
    }

    /// Marks a page token as ours.
    pub fn cursor_mac(&self, cursor: &[u8]) -> [u8; 32] {
        let ring = self.ring();
        keys::mac(ring.arena.key(ring.cursor), cursor)
    }

    /// Whether `mac` is [`Vault::cursor_mac`] of this page token, in constant time.
    pub fn cursor_verify(&self, cursor: &[u8], mac: &[u8]) -> bool {
        let ring = self.ring();
        keys::mac_verify(ring.arena.key(ring.cursor), cursor, mac)
    }

    /// Prepares the change to another root key. Everything sealed stays as it is: only the keys
    /// under the root are wrapped anew.
    pub fn next_root(
        &self,
        root: &RootKey,
        passphrase: Option<Passphrase>,
    ) -> Result<Next, VaultError> {
        let mut ring = self.ring().copied();
        ring.root = ring.arena.replace(ring.root, root.expose());
        ring.state.passphrase = passphrase;
        Ok(Next { ring: ring.rewrapped()? })
    }

    /// Prepares a new key-encryption key for what is sealed from then on; the old ones still open.
    pub fn next_kek(&self, now: UnixTime) -> Result<Next, VaultError> {
        let mut ring = self.ring().copied();
        let key = Zeroizing::new(random::bytes()?);
        let slot = ring.arena.push(&key)?;
        let id = KekId::from_random(random::bytes()?);
        for kek in &mut ring.state.keks {
            kek.state = KekState::DecryptOnly;
        }
        let (state, wrapped) = (KekState::Active, Vec::new());
        ring.state.keks.push(WrappedKek { id, state, wrapped, created_at: now });
        ring.keks.push((id, slot));
        Ok(Next { ring: ring.rewrapped()? })
    }

    /// Goes on with `next`, whose state is stored by now.
    pub fn adopt(&self, next: Next) -> Result<(), VaultError> {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if ring.state.generation.checked_add(1) != Some(next.ring.state.generation) {
            return Err(VaultError::Raced);
        }
        *ring = next.ring;
        Ok(())
    }

    fn of(ring: Ring) -> Result<Self, VaultError> {
        let signer = AuditSigner::new(&ring.state.origin, ring.arena.key(ring.seed))?;
        Ok(Self { ring: RwLock::new(ring), signer: Arc::new(signer) })
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Next {
    /// The state to store before adopting.
    pub fn state(&self) -> &VaultState {
        &self.ring.state
    }
}

impl Ring {
    fn active(&self) -> Result<(KekId, Slot), VaultError> {
        let active = self.state.keks.iter().find(|kek| kek.state == KekState::Active);
        let id = active.ok_or(VaultError::UnknownKey)?.id;
        Ok((id, self.kek(id)?))
    }

    fn kek(&self, id: KekId) -> Result<Slot, VaultError> {
        let found = self.keks.iter().find(|(of, _)| *of == id);
        found.map(|(_, slot)| *slot).ok_or(VaultError::UnknownKey)
    }

    /// The same keys in memory of their own.
    fn copied(&self) -> Self {
        Self {
            arena: self.arena.copied(),
            root: self.root,
            pepper: self.pepper,
            cursor: self.cursor,
            seed: self.seed,
            keks: self.keks.clone(),
            state: self.state.clone(),
        }
    }

    /// With the state of the next generation: everything wrapped by the root as it is now.
    fn rewrapped(mut self) -> Result<Self, VaultError> {
        let root = self.arena.key(self.root);
        let mut keys = Vec::new();
        for (purpose, slot) in [
            (Purpose::AuditSign, self.seed),
            (Purpose::CursorMac, self.cursor),
            (Purpose::TokenPepper, self.pepper),
        ] {
            let place = purpose.place(&self.state.origin);
            keys.push((purpose, keys::wrap(root, Use::KeyWrap, &place, self.arena.key(slot))?));
        }
        for kek in &mut self.state.keks {
            let slot = self.keks.iter().find(|(id, _)| *id == kek.id);
            let (_, slot) = slot.ok_or(VaultError::UnknownKey)?;
            kek.wrapped = keys::wrap(root, Use::KekWrap, &kek.place(), self.arena.key(*slot))?;
        }
        self.state.keys = keys;
        self.state.commitment = keys::commitment(root);
        self.state.generation = self.state.generation.saturating_add(1);
        Ok(self)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("generation", &self.state.generation).finish_non_exhaustive()
    }
}

fn token_text(token_id: &str, secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(8 + token_id.len() + secret.len()));
    sealed::push_part(&mut text, token_id.as_bytes());
    text.extend_from_slice(secret);
    text
}
