//! Looking without serving: `check-config` and `verify`.

use vouchsafe_core::audit::Verified;

use super::assemble;
use super::error::StartError;
use crate::config::Config;
use crate::home::{Home, HomeError};

/// What a look at a home has found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Checked {
    /// A start would succeed, with so many rules.
    Good(u32),
    /// A daemon serves the home, so nothing in it was opened: the configuration is good.
    Serving,
}

/// Why the log is not proved.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be looked at.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It is not what was signed.
    #[error("the log is not what was signed: keep the database for study and restore a backup")]
    Log(#[from] vouchsafe_core::audit::VerifyError),
}

/// Does what a start does with the root key, the database and the rules, and serves nothing. The
/// configuration itself has been read.
pub fn check_config(config: &Config, home: &Home) -> Result<Checked, StartError> {
    match home.lock() {
        Err(HomeError::Locked { .. }) => Ok(Checked::Serving),
        Err(error) => Err(error.into()),
        Ok(_lock) => Ok(Checked::Good(assemble::check(config, home)?)),
    }
}

/// Checks the whole log of a home that nobody serves: each entry, its place, and the signed head.
pub fn verify(config: &Config, home: &Home) -> Result<Verified, VerifyError> {
    let _lock = home.lock().map_err(StartError::from)?;
    Ok(assemble::verify(config, home).map_err(StartError::from)??)
}
