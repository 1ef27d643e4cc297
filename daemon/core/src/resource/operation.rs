//! What can be done to a resource.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text;

/// One thing that can be done to a resource.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// See that it is there.
    List,
    /// Have a value put to use without seeing it.
    Use,
    /// See a value, or the log.
    Read,
    /// Change a value.
    Write,
    /// Delete a secret.
    Delete,
    /// Call a tool.
    Call,
}

/// Some of the [`Operation`]s; written as a list in the order of the enum.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(from = "Vec<Operation>", into = "Vec<Operation>")]
pub struct Operations(u8);

/// A text that is no operation.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not an operation: write list, use, read, write, delete or call", text::echo(.text, 40))]
pub struct OperationError {
    text: String,
}

impl Operation {
    /// Every operation there is.
    pub const ALL: [Self; 6] =
        [Self::List, Self::Use, Self::Read, Self::Write, Self::Delete, Self::Call];

    /// The word for it, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Use => "use",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Call => "call",
        }
    }

    /// Whether what is approved is a lease; a write or a delete is made at once.
    pub const fn is_leased(self) -> bool {
        !matches!(self, Self::Write | Self::Delete)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::List => 1,
            Self::Use => 2,
            Self::Read => 4,
            Self::Write => 8,
            Self::Delete => 16,
            Self::Call => 32,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = OperationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.as_str() == text)
            .ok_or_else(|| OperationError { text: text.to_owned() })
    }
}

impl Operations {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// Just these.
    pub const fn of(operations: &[Operation]) -> Self {
        let mut bits = 0;
        let mut rest = operations;
        while let [first, after @ ..] = rest {
            bits |= first.bit();
            rest = after;
        }
        Self(bits)
    }

    /// Whether it is one of them.
    pub const fn contains(self, operation: Operation) -> bool {
        self.0 & operation.bit() != 0
    }

    /// Whether all of them are among `others`.
    pub const fn is_subset(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and the others.
    #[must_use]
    pub const fn union(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn intersection(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// These without the others.
    #[must_use]
    pub const fn minus(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Each of them, in the order of the enum.
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL.into_iter().filter(move |operation| self.contains(*operation))
    }
}

impl fmt::Display for Operations {
    /// `list, use, read`; `nothing` where there are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Operation::as_str).collect();
        f.write_str(if names.is_empty() { "nothing" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

impl FromIterator<Operation> for Operations {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        operations.into_iter().fold(Self::NONE, |all, one| all.union(Self(one.bit())))
    }
}

impl From<Vec<Operation>> for Operations {
    fn from(operations: Vec<Operation>) -> Self {
        operations.into_iter().collect()
    }
}

impl From<Operations> for Vec<Operation> {
    fn from(operations: Operations) -> Self {
        operations.iter().collect()
    }
}
