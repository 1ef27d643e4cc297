//! What commands about secrets take and give.

use std::collections::BTreeMap;

use vouchsafe_core::resource::Pattern;
use vouchsafe_core::secret::{Generator, RotationSchedule, SecretBytes, ValueError};
use vouchsafe_core::time::UnixTime;

use crate::store::SecretRecord;

/// A secret with the names of what it belongs to, and never its value.
#[derive(Clone, Debug)]
pub struct SecretView {
    /// The secret.
    pub secret: SecretRecord,
    /// Its project's name.
    pub project: String,
    /// The name of the user who answers for it.
    pub owner: Option<String>,
    /// Of a deleted one: until when it can be undeleted.
    pub purge_at: Option<UnixTime>,
}

/// Which secrets are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct SecretFilter {
    /// In this project; none: the default one.
    pub project: Option<String>,
    /// Those that this matches.
    pub pattern: Option<Pattern>,
    /// Those that are deleted and not purged, instead of those that are there.
    pub deleted: bool,
    /// With all of these labels; an empty value: whatever it is.
    pub labels: BTreeMap<String, String>,
}

/// What is said of a secret besides its value; what is not given stays as it is.
#[derive(Clone, Debug, Default)]
pub struct SecretSettings {
    /// What it is.
    pub description: Option<String>,
    /// Labels to set.
    pub labels: BTreeMap<String, String>,
    /// Labels to take away.
    pub remove_labels: Vec<String>,
    /// The user who answers for it, by name; `Some(None)`: nobody.
    pub owner: Option<Option<String>>,
    /// Its date; `Some(None)`: none.
    pub expires_at: Option<Option<UnixTime>>,
    /// When it is rotated by itself; `Some(None)`: not any more.
    pub rotate_every: Option<Option<RotationSchedule>>,
}

/// A new secret, or a new version of one.
#[derive(Debug)]
pub struct PutSecret {
    /// In this project; none: the default one.
    pub project: Option<String>,
    /// At this path.
    pub path: String,
    /// With this value.
    pub value: PutValue,
    /// What is said of it.
    pub settings: SecretSettings,
    /// Only if it is at this version; 0: only if there is none.
    pub expected_version: Option<u64>,
}

/// Where the value of a put comes from.
#[derive(Debug)]
pub enum PutValue {
    /// It is given.
    Given(SecretBytes),
    /// An agent proposed it in this approval, and the secret had moved on when it was approved.
    Proposed {
        /// The approval's id, whole or shortened while unique.
        approval: String,
    },
}

/// A value that is made here.
#[derive(Clone, Debug)]
pub struct GenerateSecret {
    /// In this project; none: the default one.
    pub project: Option<String>,
    /// At this path.
    pub path: String,
    /// How it is made.
    pub generator: Generator,
    /// What is said of it.
    pub settings: SecretSettings,
    /// Only if it is at this version; 0: only if there is none.
    pub expected_version: Option<u64>,
}

/// One secret of many that are put at once.
#[derive(Debug)]
pub struct ImportItem {
    /// At this path.
    pub path: String,
    /// With this value, if it is one.
    pub value: Result<SecretBytes, ValueError>,
    /// The version that the plan showed; 0: there was none.
    pub expected_version: Option<u64>,
}

/// What putting one secret of many does, or would do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImportedSecret {
    /// Its path, as it was given.
    pub path: String,
    /// The version before; 0: it is new.
    pub before: u64,
    /// The version after.
    pub after: u64,
    /// Why it cannot be put.
    pub problem: Option<String>,
}

/// What deleting a secret came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeletedSecret {
    /// Leases that ended with it.
    pub leases_revoked: u32,
    /// Until then it can be undeleted.
    pub purge_at: UnixTime,
}
