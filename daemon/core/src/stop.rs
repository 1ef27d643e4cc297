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

    /// Whether what is asked by a key of a project is covered, or by no key at all: that is a change
    /// of the rules, which belongs to no project, so that only the stop of everything covers it.
    pub fn covers_asker(self, project: ProjectId, key: Option<KeyId>) -> bool {
        key.map_or(self == Self::All, |key| self.covers(project, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_covers_its_own_keys_and_only_the_stop_of_everything_what_no_key_asks() {
        let (here, there) = (ProjectId::from_random([1; 10]), ProjectId::from_random([2; 10]));
        let (mine, other) = (KeyId::from_random([3; 10]), KeyId::from_random([4; 10]));
        for (stop, project, key, covered) in [
            (Stopped::All, here, Some(mine), true),
            (Stopped::All, here, None, true),
            (Stopped::Project(here), here, Some(mine), true),
            (Stopped::Project(here), there, Some(mine), false),
            (Stopped::Project(here), here, None, false),
            (Stopped::Key(mine), here, Some(mine), true),
            (Stopped::Key(mine), here, Some(other), false),
            (Stopped::Key(mine), here, None, false),
        ] {
            assert_eq!(stop.covers_asker(project, key), covered, "{stop:?} {project} {key:?}");
        }
    }
}
