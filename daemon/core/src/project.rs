//! Projects: the namespaces that own rules, secrets, keys and log entries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::ProjectId;
use crate::time::UnixTime;

/// The project that exists from the start.
pub const DEFAULT_PROJECT: &str = "default";

/// A namespace. Nothing of one shows in another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, which no other project ever has, archived or not.
    pub name: ProjectName,
    /// Calls of tools that its keys may make in a calendar month (UTC), all together; none: not
    /// limited.
    pub monthly: Option<u64>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was put away: it keeps everything and gives nothing.
    pub archived_at: Option<UnixTime>,
}

/// 1 to 40 lower-case letters, digits and hyphens, no hyphen at either end: it is part of an
/// address, and the name of a folder of rules.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectName(String);

/// A name that no project may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a project's name has 1 to 40 lower-case letters, digits and hyphens, and no hyphen at its ends"
)]
pub struct ProjectNameError;

impl ProjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectName {
    type Err = ProjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(ProjectNameError) }
    }
}

impl TryFrom<String> for ProjectName {
    type Error = ProjectNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ProjectName> for String {
    fn from(name: ProjectName) -> Self {
        name.0
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_a_folder_and_part_of_an_address() {
        for (name, good) in [
            ("default", true),
            ("a", true),
            ("shop-2", true),
            ("", false),
            ("-shop", false),
            ("shop-", false),
            ("Shop", false),
            ("a/b", false),
            ("..", false),
            (&"a".repeat(41), false),
        ] {
            assert_eq!(name.parse::<ProjectName>().is_ok(), good, "{name}");
        }
    }
}
