//! What can be asked for, by URI, and what can be done to it.
//!
//! A resource is `vouchsafe://secrets/...`, `vouchsafe://tools/UPSTREAM/TOOL` or
//! `vouchsafe://audit`. The project is the key's and never part of the URI.

mod operation;
mod pattern;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::operation::{Operation, OperationError, Operations};
pub use self::pattern::{Pattern, PatternError, Specificity};
use crate::text;

/// What every resource begins with.
pub const SCHEME: &str = "vouchsafe://";
/// The most segments a secret's path has.
pub const SEGMENTS_MAX: usize = 8;
/// The most characters a segment has.
pub const SEGMENT_CHARS_MAX: usize = 64;

/// How much of a text that is wrong is repeated in the message about it, in characters.
const ECHO_CHARS_MAX: usize = 120;

/// Something that can be asked for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Resource {
    /// A secret of the project.
    Secret(SecretPath),
    /// A tool of an upstream.
    Tool {
        /// The upstream's name.
        upstream: Segment,
        /// The tool's name at the upstream.
        tool: Segment,
    },
    /// The audit log.
    Audit,
    /// The rules themselves. No rule is for them: who may change them is the configuration's to say.
    Policy,
}

/// The kinds of resource.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Secrets.
    Secrets,
    /// Tools of upstreams.
    Tools,
    /// The audit log.
    Audit,
    /// The rules.
    Policy,
}

/// Where a secret is: 1 to 8 segments, `production/DATABASE_URL`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SecretPath(String);

/// One part of a path: 1 to 64 of `A-Z a-z 0-9 _ . -`, neither `.` nor `..`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Segment(String);

/// A text that is no resource, or no path of a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not {what}: {fault}", text::echo(.text, ECHO_CHARS_MAX))]
pub struct ResourceError {
    text: String,
    what: &'static str,
    fault: Fault,
}

/// What is wrong with a text that should be a resource, a path or a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
enum Fault {
    #[error("it begins with vouchsafe://, such as vouchsafe://secrets/production/DATABASE_URL")]
    Scheme,
    #[error("after vouchsafe:// comes secrets/, tools/ or audit")]
    Kind,
    #[error("the log is vouchsafe://audit, with nothing after it")]
    Audit,
    #[error(
        "the rules are vouchsafe://policy, and no rule is for them: `policy.approvers` in the configuration says who may change them"
    )]
    Policy,
    #[error("a tool is vouchsafe://tools/UPSTREAM/TOOL")]
    Tool,
    #[error("a secret's path has 1 to 8 parts, such as production/DATABASE_URL")]
    Segments,
    #[error("the part `{}` {fault}", text::echo(.segment, ECHO_CHARS_MAX))]
    Segment { segment: String, fault: SegmentFault },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum SegmentFault {
    #[error("is empty: write one / between two parts and none at the ends")]
    Empty,
    #[error("is over 64 characters")]
    Long,
    #[error("is not allowed: there are no folders to go up or stay in")]
    Dots,
    #[error("may hold letters A-Z and a-z, digits and _ . - only")]
    Characters,
}

impl Resource {
    /// Which kind it is of.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Secret(_) => Kind::Secrets,
            Self::Tool { .. } => Kind::Tools,
            Self::Audit => Kind::Audit,
            Self::Policy => Kind::Policy,
        }
    }

    /// The URI without its scheme, which is what patterns are matched against.
    pub(crate) fn glob_path(&self) -> String {
        match self {
            Self::Secret(path) => format!("secrets/{path}"),
            Self::Tool { upstream, tool } => format!("tools/{upstream}/{tool}"),
            Self::Audit => "audit".to_owned(),
            Self::Policy => "policy".to_owned(),
        }
    }
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_resource(text).map_err(|fault| ResourceError {
            text: text.to_owned(),
            what: "a resource",
            fault,
        })
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.glob_path())
    }
}

impl From<SecretPath> for Resource {
    fn from(path: SecretPath) -> Self {
        Self::Secret(path)
    }
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 4] = [Self::Secrets, Self::Tools, Self::Audit, Self::Policy];

    /// What can be done to a resource of this kind.
    pub const fn operations(self) -> Operations {
        match self {
            Self::Secrets => Operations::of(&[
                Operation::List,
                Operation::Use,
                Operation::Read,
                Operation::Write,
                Operation::Delete,
            ]),
            Self::Tools => Operations::of(&[Operation::List, Operation::Call]),
            Self::Audit => Operations::of(&[Operation::Read]),
            Self::Policy => Operations::of(&[Operation::Write]),
        }
    }

    /// The word in the URI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Tools => "tools",
            Self::Audit => "audit",
            Self::Policy => "policy",
        }
    }

    /// How many segments a resource of this kind has after the kind, at least and at most.
    const fn lengths(self) -> (usize, usize) {
        match self {
            Self::Secrets => (1, SEGMENTS_MAX),
            Self::Tools => (2, 2),
            Self::Audit | Self::Policy => (0, 0),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SecretPath {
    /// The path as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretPath {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_path(text).map_err(|fault| ResourceError {
            text: text.to_owned(),
            what: "a secret's path",
            fault,
        })
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Segment {
    /// The segment as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! serde_as_text {
    ($name:ty) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

serde_as_text!(Resource);
serde_as_text!(SecretPath);

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    /// As in a file, and what no file can say: a stored rule may be for the rules themselves.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == Self::policy().to_string() {
            return Ok(Self::policy());
        }
        text.parse().map_err(de::Error::custom)
    }
}

fn parse_resource(text: &str) -> Result<Resource, Fault> {
    let (kind, rest) = split_kind(text)?;
    match kind {
        Kind::Secrets => parse_path(rest.ok_or(Fault::Segments)?).map(Resource::Secret),
        Kind::Tools => {
            let (upstream, tool) = rest.and_then(|rest| rest.split_once('/')).ok_or(Fault::Tool)?;
            if tool.contains('/') {
                return Err(Fault::Tool);
            }
            Ok(Resource::Tool { upstream: segment(upstream)?, tool: segment(tool)? })
        }
        Kind::Audit if rest.is_some() => Err(Fault::Audit),
        Kind::Audit => Ok(Resource::Audit),
        Kind::Policy if rest.is_some() => Err(Fault::Policy),
        Kind::Policy => Ok(Resource::Policy),
    }
}

/// Takes the scheme and the kind off; what follows the kind, where there is a slash.
fn split_kind(text: &str) -> Result<(Kind, Option<&str>), Fault> {
    let path = text.strip_prefix(SCHEME).ok_or(Fault::Scheme)?;
    let (kind, rest) = match path.split_once('/') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (path, None),
    };
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(Fault::Kind)?;
    Ok((kind, rest))
}

fn parse_path(text: &str) -> Result<SecretPath, Fault> {
    if text.is_empty() || text.split('/').count() > SEGMENTS_MAX {
        return Err(Fault::Segments);
    }
    for part in text.split('/') {
        segment(part)?;
    }
    Ok(SecretPath(text.to_owned()))
}

fn segment(text: &str) -> Result<Segment, Fault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let fault = if text.is_empty() {
        SegmentFault::Empty
    } else if text == "." || text == ".." {
        SegmentFault::Dots
    } else if !text.bytes().all(allowed) {
        SegmentFault::Characters
    } else if text.len() > SEGMENT_CHARS_MAX {
        SegmentFault::Long
    } else {
        return Ok(Segment(text.to_owned()));
    };
    Err(Fault::Segment { segment: text.to_owned(), fault })
}

#[cfg(test)]
mod tests;
