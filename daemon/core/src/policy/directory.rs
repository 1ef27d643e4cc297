//! The people that rules can name.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Everybody there is, as far as rules are concerned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Directory {
    /// Each user once.
    pub members: Vec<Member>,
}

/// One user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The user's name.
    pub name: String,
    /// Whether the user may sign in; the others count for nothing.
    pub enabled: bool,
    /// Whether the user has a role that answers approvals: `approver` or `admin`.
    pub approves: bool,
    /// The groups the user is in.
    pub groups: Vec<String>,
}

/// Whom a rule asks: a user by name, or a group, written `group:NAME`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ApproverRef {
    /// One user.
    User(String),
    /// Anybody in the group.
    Group(String),
}

/// A text that names no approver.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an approver is a user's name or group:NAME")]
pub struct ApproverRefError;

/// The names of all who may answer where these are asked: enabled, and with a role for it.
pub fn eligible(asked: &[ApproverRef], directory: &Directory) -> BTreeSet<String> {
    directory.eligible(asked).map(|member| member.name.clone()).collect()
}

/// The names of all who are meant and may sign in, whatever their roles.
pub fn named(meant: &[ApproverRef], directory: &Directory) -> BTreeSet<String> {
    let members = directory.members.iter().filter(|member| member.enabled);
    let members = members.filter(|member| meant.iter().any(|who| who.is(member)));
    members.map(|member| member.name.clone()).collect()
}

impl Directory {
    /// The user of that name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Everybody in a group, whether they count or not.
    pub fn group<'d>(&'d self, group: &'d str) -> impl Iterator<Item = &'d Member> {
        self.members.iter().filter(move |member| member.is_in(group))
    }

    fn eligible<'d>(&'d self, asked: &'d [ApproverRef]) -> impl Iterator<Item = &'d Member> {
        self.members
            .iter()
            .filter(|member| member.counts() && asked.iter().any(|who| who.is(member)))
    }
}

impl Member {
    /// Whether this user's answer counts at all.
    pub const fn counts(&self) -> bool {
        self.enabled && self.approves
    }

    fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

impl ApproverRef {
    /// Whether this user is meant.
    pub fn is(&self, member: &Member) -> bool {
        match self {
            Self::User(name) => member.name == *name,
            Self::Group(group) => member.is_in(group),
        }
    }
}

impl FromStr for ApproverRef {
    type Err = ApproverRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, make): (_, fn(String) -> Self) = match text.split_once(':') {
            Some(("group", name)) => (name, Self::Group),
            Some(_) => return Err(ApproverRefError),
            None => (text, Self::User),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "@._+-".contains(c);
        if !(1..=100).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(ApproverRefError);
        }
        Ok(make(name.to_owned()))
    }
}

impl fmt::Display for ApproverRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

impl Serialize for ApproverRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApproverRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
