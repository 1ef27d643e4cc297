//! Whoever is at the door, and how they proved it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::audit::{Proof, Via};
use crate::id::{KeyId, ProjectId, SignInId, UserId, WebSessionId};
use crate::key::{KeyName, KeySettings, Scopes};
use crate::route::{EmailAddress, Person, Preferences, SlackId};
use crate::time::UnixTime;

/// Somebody who has been let in: an agent with its key, or a person with their token.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one a request, and it is passed by reference"
)]
pub enum Caller {
    /// An agent.
    Agent(Agent),
    /// A person.
    User(User),
}

/// An agent installation that has shown its key.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The key it showed.
    pub key: KeyId,
    /// Which making of the key's value it showed.
    pub generation: u32,
    /// Which state of the key's settings this is.
    pub revision: u32,
    /// The key's name.
    pub name: KeyName,
    /// The key's project.
    pub project: ProjectId,
    /// The project's name.
    pub project_name: String,
    /// The user who answers for the key.
    pub owner: UserId,
    /// That user's name.
    pub owner_name: String,
    /// What the key may do.
    pub scopes: Scopes,
    /// How far it goes.
    pub settings: KeySettings,
    /// What the client says of itself, which nobody has checked.
    pub claims: Claims,
}

/// How a client presents itself. Nothing here is proof of anything.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// Name and version of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `http` or `stdio`.
    pub transport: Transport,
    /// The machine a stdio client runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The operating system's user a stdio client runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_user: Option<String>,
    /// The address an HTTP client comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Which way an agent came in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Streamable HTTP.
    #[default]
    Http,
    /// The stdio bridge.
    Stdio,
}

/// A person who has shown their token.
#[derive(Clone, Debug)]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// What they may do in every project.
    pub roles: Roles,
    /// Where they may do what they have just asked for.
    pub reach: Reach,
    /// How they proved it, for as long as that holds.
    pub identity: Identity,
}

/// How a person proved who they are, and which way they came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Identity {
    /// By their token, of this public id: one that was replaced proves no more.
    Token {
        /// The public id.
        id: String,
        /// Which way: gRPC, or the HTTP call that answers an approval.
        via: Via,
    },
    /// By a session of the web pages, which ends when they are shut out or get a new token.
    Session {
        /// Which.
        id: WebSessionId,
        /// How it began.
        proof: Proof,
    },
    /// By a link that was sent to them, good for one answer.
    Link(SignInId),
    /// By Slack, as the member that they are there.
    Slack(SlackId),
}

impl Identity {
    /// How they proved it, as entries say it.
    pub const fn proof(&self) -> Proof {
        match self {
            Self::Token { .. } => Proof::UserToken,
            Self::Session { proof, .. } => *proof,
            Self::Link(_) => Proof::OneTimeLink,
            Self::Slack(_) => Proof::Slack,
        }
    }

    /// Which way they came.
    pub const fn via(&self) -> Via {
        match self {
            Self::Token { via, .. } => *via,
            Self::Session { .. } | Self::Link(_) => Via::Web,
            Self::Slack(_) => Via::Slack,
        }
    }
}

/// The projects in which a person may do one thing. The door that knows what the thing is works it
/// out; whatever looks at a project asks it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reach {
    /// In every one, and in what belongs to none.
    Everywhere,
    /// In these.
    Projects(BTreeSet<ProjectId>),
}

/// A person as they are stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserRecord {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: UserName,
    /// What they may do in every project.
    pub roles: Roles,
    /// What they may do besides in some projects, each once, by the project's name.
    pub project_roles: Vec<ProjectRoles>,
    /// The groups they are in, sorted.
    pub groups: Vec<String>,
    /// A disabled user is let in nowhere and counts for nothing.
    pub enabled: bool,
    /// Where messages reach them, and which they want.
    pub contact: Contact,
    /// When they were made.
    pub created_at: UnixTime,
    /// When they were last let in.
    pub last_used_at: Option<UnixTime>,
}

/// Where messages reach a person, and which they want.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contact {
    /// Their e-mail address, where their name is none.
    pub email: Option<EmailAddress>,
    /// Who they are in Slack; nobody else is.
    pub slack: Option<SlackId>,
    /// What they want to be told.
    pub preferences: Preferences,
}

/// What a person may do in one project.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProjectRoles {
    /// The project.
    pub project: ProjectId,
    /// Its name.
    pub project_name: String,
    /// What they may do there.
    pub roles: Roles,
}

/// One thing that a person may do.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Answers approvals, sees leases and revokes them.
    Approver,
    /// Reads the log.
    Auditor,
    /// Runs the daemon: secrets, keys, policies.
    Operator,
    /// All of that, and users and the root key.
    Admin,
}

/// All that a person may do, as a set of [`Role`]s.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Roles(u8);

/// 1 to 64 characters of a short name or an e-mail address.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UserName(String);

/// A name that no user may have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a user's name has 1 to 64 letters, digits and the characters @ . _ + -")]
pub struct UserNameError;

/// A name that no group may have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a group's name has 1 to 40 letters, digits and the characters . _ -")]
pub struct GroupNameError;

impl Caller {
    /// The name by which others know them.
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => agent.name.as_str(),
            Self::User(user) => &user.name,
        }
    }
}

impl Reach {
    /// Whether this project is among them.
    pub fn covers(&self, project: ProjectId) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Projects(projects) => projects.contains(&project),
        }
    }
}

impl UserRecord {
    /// Where e-mail reaches them: the address that was set, or their name where it is one.
    pub fn email(&self) -> Option<EmailAddress> {
        self.contact.email.clone().or_else(|| self.name.as_str().parse().ok())
    }

    /// Who they are to whoever tells them something.
    pub fn person(&self) -> Person {
        Person {
            id: self.id,
            name: self.name.to_string(),
            email: self.email(),
            slack: self.contact.slack.clone(),
            preferences: self.contact.preferences.clone(),
        }
    }

    /// What they may do in a project, all in all.
    pub fn roles_in(&self, project: ProjectId) -> Roles {
        let here = self.project_roles.iter().filter(|roles| roles.project == project);
        here.flat_map(|roles| roles.roles.iter()).chain(self.roles.iter()).collect()
    }

    /// Where they may do what takes one of these roles.
    pub fn reach(&self, needed: &[Role]) -> Reach {
        if self.roles.allow_any(needed) {
            return Reach::Everywhere;
        }
        let there = self.project_roles.iter().filter(|roles| roles.roles.allow_any(needed));
        Reach::Projects(there.map(|roles| roles.project).collect())
    }
}

impl Role {
    /// Every role there is.
    pub const ALL: [Self; 4] = [Self::Approver, Self::Auditor, Self::Operator, Self::Admin];

    /// The role as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Approver => 1,
            Self::Auditor => 2,
            Self::Operator => 4,
            Self::Admin => 8,
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Roles {
    /// No role: may sign in and see who they are.
    pub const NONE: Self = Self(0);

    /// Whether this very role is among them.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether they may do what any of `needed` may; an admin may do everything.
    pub fn allow_any(self, needed: &[Role]) -> bool {
        self.contains(Role::Admin) || needed.iter().any(|role| self.contains(*role))
    }

    /// The roles, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = UserNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._+-".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(UserNameError) }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a group's name.
pub fn check_group_name(text: &str) -> Result<(), GroupNameError> {
    let fits = (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits { Ok(()) } else { Err(GroupNameError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_may_do_what_any_role_may() {
        let admin = Roles::from_iter([Role::Admin]);
        assert!(Role::ALL.into_iter().all(|role| admin.allow_any(&[role])));
        assert!(!Roles::from_iter([Role::Auditor]).allow_any(&[Role::Approver, Role::Operator]));
        assert!(!Roles::NONE.allow_any(&Role::ALL));
    }

    #[test]
    fn roles_keep_what_they_were_made_of() {
        let roles = Roles::from_iter([Role::Operator, Role::Approver]);
        assert_eq!(roles.iter().collect::<Vec<_>>(), [Role::Approver, Role::Operator]);
    }
}
