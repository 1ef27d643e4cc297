//! Regular expressions as rules hold them: text, compiled when first used.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest compiled form, in bytes.
const COMPILED_BYTES_MAX: usize = 256 * 1024;
/// The longest text, in bytes.
const TEXT_BYTES_MAX: usize = 1_000;

/// A regular expression in the syntax of the `regex` crate: matching takes time in proportion to
/// the text, whatever the expression. Copies that are only kept, in approvals, cost nothing.
#[derive(Clone)]
pub struct Regexp {
    text: String,
    compiled: Arc<OnceLock<Option<Regex>>>,
}

/// A text that is no regular expression, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RegexpError(String);

impl Regexp {
    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches somewhere in the text.
    pub fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| compile(&self.text).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

fn compile(text: &str) -> Result<Regex, RegexpError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(RegexpError(format!("it has over {TEXT_BYTES_MAX} bytes")));
    }
    RegexBuilder::new(text)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| RegexpError(last_line(&error.to_string())))
}

/// What the `regex` crate says last is what is wrong; the lines before draw the place.
fn last_line(message: &str) -> String {
    let last = message.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl FromStr for Regexp {
    type Err = RegexpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let compiled = Arc::new(OnceLock::from(Some(compile(text)?)));
        Ok(Self { text: text.to_owned(), compiled })
    }
}

impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Regexp {}

impl fmt::Debug for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for Regexp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Regexp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // It was compiled when its rule was read from a file; a copy compiles if it is ever asked.
        let text = String::deserialize(deserializer)?;
        Ok(Self { text, compiled: Arc::new(OnceLock::new()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_matches_somewhere_unless_it_is_anchored() {
        let ticket: Regexp = "INC-[0-9]+".parse().unwrap();
        assert!(ticket.matches("see INC-42") && !ticket.matches("INC-"));
        let copy: Regexp = serde_json::from_value(serde_json::json!("^INC")).unwrap();
        assert!(copy.matches("INC-1") && !copy.matches("see INC-1"));
    }

    #[test]
    fn what_is_wrong_or_too_large_is_refused_with_why() {
        let error = "INC-(".parse::<Regexp>().unwrap_err().to_string();
        assert_eq!(error, "unclosed group");
        assert!("(a{1000}){1000}".parse::<Regexp>().is_err());
        assert!("a".repeat(1_001).parse::<Regexp>().is_err());
    }
}
