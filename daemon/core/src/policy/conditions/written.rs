//! A condition as rules hold it: text, read when first used.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::source::Wrong;

/// What a text of a rule means.
pub(in crate::policy) trait Meaning: Sized {
    /// Reads it, or says what is wrong with it.
    fn read(text: &str) -> Result<Self, Wrong>;
}

/// A text and, once it was needed, what it means. Copies that are only kept, in approvals, cost
/// nothing.
pub(in crate::policy) struct Written<T> {
    text: String,
    meaning: Arc<OnceLock<Option<T>>>,
}

impl<T: Meaning> Written<T> {
    /// Reads a text that a file holds.
    pub(in crate::policy) fn read(text: &str) -> Result<Self, Wrong> {
        let meaning = Arc::new(OnceLock::from(Some(T::read(text)?)));
        Ok(Self { text: text.to_owned(), meaning })
    }

    /// What it means; nothing where this version cannot read it.
    pub(in crate::policy) fn meaning(&self) -> Option<&T> {
        self.meaning.get_or_init(|| T::read(&self.text).ok()).as_ref()
    }
}

impl<T> Written<T> {
    /// The text as it is written.
    pub(in crate::policy) fn text(&self) -> &str {
        &self.text
    }
}

impl<T> Clone for Written<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), meaning: Arc::clone(&self.meaning) }
    }
}

impl<T> PartialEq for Written<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<T> Eq for Written<T> {}

impl<T> fmt::Debug for Written<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<T> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self { text, meaning: Arc::new(OnceLock::new()) })
    }
}
