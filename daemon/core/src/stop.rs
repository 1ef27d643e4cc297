//! The emergency stop: while one stands, no lease it covers releases anything.

use serde::{Deserialize, Serialize};

use crate::id::{KeyId, ProjectId};
use crate::time::UnixTime;

/// A stop, until somebody resumes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stop {
    /// What it covers.
    pub what: Stopped,
    /// Who stopped it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    pub at: UnixTime,
}

/// What a stop covers. At most one stop stands for each.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stopped {
    /// Every key of every project.
    All,
    /// Every key of this project.
    Project(ProjectId),
    /// This key.
    Key(KeyId),
}

impl Stopped {
    /// Whether a key of a project is covered.
    pub fn covers(self, project: ProjectId, key: KeyId) -> bool {
        match self {
            Self::All => true,
            Self::Project(stopped) => stopped == project,
            Self::Key(stopped) => stopped == key,
        }
    }
}
