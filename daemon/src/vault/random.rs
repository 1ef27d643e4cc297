//! Random bytes: the one place in the daemon that asks for them. The crate that makes RSA keys asks
//! the system by itself.

use ring::rand::{SecureRandom as _, SystemRandom};

use super::VaultError;

/// `N` bytes nobody can foresee.
pub fn bytes<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    #[expect(clippy::disallowed_methods, reason = "the one source of randomness")]
    SystemRandom::new().fill(&mut bytes).map_err(|_| VaultError::Random)?;
    Ok(bytes)
}
