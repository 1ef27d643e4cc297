//! How much a key asks people, where a rule leaves it to the key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::resource::Operation;
use crate::text;

/// What a person is asked for where a rule says `approval = "level"`; what a level does not ask
/// for is given without a person. The client has no say in it.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything but `list`.
    Strict,
    /// `read`, `write`, `delete`, and calls that are not read-only.
    #[default]
    Balanced,
    /// `read` and `delete`, and calls marked destructive.
    Permissive,
    /// `delete`, and calls marked destructive.
    Auto,
}

/// What a tool says of its calls. What it does not say is taken for the worse.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CallTraits {
    /// A call changes nothing.
    pub read_only: bool,
    /// A call may destroy something.
    pub destructive: bool,
}

/// A text that is no level.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not a level: write strict, balanced, permissive or auto", text::echo(.text, 40))]
pub struct LevelError {
    text: String,
}

impl Level {
    /// Every level, from the one that asks most.
    pub const ALL: [Self; 4] = [Self::Strict, Self::Balanced, Self::Permissive, Self::Auto];

    /// The level as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Balanced => "balanced",
            Self::Permissive => "permissive",
            Self::Auto => "auto",
        }
    }

    /// Whether a person is asked. `call` matters for [`Operation::Call`] alone.
    pub const fn asks(self, operation: Operation, call: CallTraits) -> bool {
        match (self, operation) {
            (_, Operation::List) => false,
            (Self::Strict, _)
            | (_, Operation::Delete)
            | (Self::Balanced | Self::Permissive, Operation::Read)
            | (Self::Balanced, Operation::Write) => true,
            (Self::Balanced, Operation::Call) => !call.read_only || call.destructive,
            (Self::Permissive | Self::Auto, Operation::Call) => call.destructive,
            (_, Operation::Use)
            | (Self::Permissive, Operation::Write)
            | (Self::Auto, Operation::Read | Operation::Write) => false,
        }
    }
}

impl CallTraits {
    /// What is taken for granted of a tool that says nothing of itself.
    pub const UNKNOWN: Self = Self { read_only: false, destructive: true };
    /// A call that only reads.
    pub const READ_ONLY: Self = Self { read_only: true, destructive: false };
}

impl Default for CallTraits {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| LevelError { text: text.to_owned() })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGES: CallTraits = CallTraits { read_only: false, destructive: false };

    #[test]
    fn each_level_asks_for_what_the_table_says() {
        // list, use, read, write, delete, then calls: read-only, changing, destructive.
        for (level, asked) in [
            (Level::Strict, "-uRWDrcd"),
            (Level::Balanced, "--RWD-cd"),
            (Level::Permissive, "--R-D--d"),
            (Level::Auto, "----D--d"),
        ] {
            let cases = [
                (Operation::List, CallTraits::UNKNOWN),
                (Operation::Use, CallTraits::UNKNOWN),
                (Operation::Read, CallTraits::READ_ONLY),
                (Operation::Write, CallTraits::READ_ONLY),
                (Operation::Delete, CallTraits::READ_ONLY),
                (Operation::Call, CallTraits::READ_ONLY),
                (Operation::Call, CHANGES),
                (Operation::Call, CallTraits::UNKNOWN),
            ];
            for ((operation, call), expected) in cases.into_iter().zip(asked.chars()) {
                assert_eq!(level.asks(operation, call), expected != '-', "{level} {operation}");
            }
        }
    }

    #[test]
    fn a_level_that_asks_less_never_asks_for_more() {
        for pair in Level::ALL.windows(2) {
            for operation in Operation::ALL {
                for call in [CallTraits::READ_ONLY, CHANGES, CallTraits::UNKNOWN] {
                    let [more, less] = pair else { panic!("windows of two") };
                    assert!(more.asks(operation, call) || !less.asks(operation, call));
                }
            }
        }
    }
}
