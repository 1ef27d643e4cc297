//! What commands take and give: the words that the doors speak with the broker.

mod evidence;
mod messages;
mod policy;
mod secrets;
mod users;

use std::time::Duration;

use vouchsafe_core::approval::{Applied, Approval, Ballot, Pending, Progress, Status};
use vouchsafe_core::id::{ApprovalId, LeaseId};
use vouchsafe_core::key::{Key, KeySettings, Level, Rate, SessionTime, ToolList};
use vouchsafe_core::lease::Lease;
use vouchsafe_core::project::Project;
use vouchsafe_core::resource::{Operation, Pattern, Resource};
use vouchsafe_core::secret::SecretBytes;
use vouchsafe_core::time::UnixTime;

pub use self::evidence::{Evidence, PastDecision, Stats, Suggestion, Suggestions};
pub use self::messages::{ChannelTest, ChannelView, DeliveryQuery, Retry};
pub use self::policy::{
    Checked, ExplainAsk, Explained, ExplainedMatch, Reloaded, ReplayChange, Replayed, ShownPolicy,
    Tested,
};
pub use self::secrets::{
    DeletedSecret, GenerateSecret, ImportItem, ImportedSecret, PutSecret, PutValue, SecretFilter,
    SecretSettings, SecretView,
};
pub use self::users::{PreferencesChange, UserChange};
pub use crate::store::{
    Accesses, Delivery, Held, Origin, Reads, SecretRecord, StopView, StoredEntry, Upkeep,
    ValueRecord, VersionRecord,
};
pub use vouchsafe_core::policy::{CaseResult, PolicyFile, Problem};

/// Asks for one page of a long list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// How many; 0 means 50, and 500 is the most.
    pub size: u32,
    /// `next` of the page before; empty for the first one.
    pub token: String,
}

/// One page of a long list.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; empty after the last one.
    pub next: String,
}

/// A secret as an agent may know of it.
#[derive(Clone, Debug)]
pub struct SecretListing {
    /// What it is asked for as.
    pub uri: String,
    /// What it is, in its operator's words.
    pub description: String,
    /// Its current version.
    pub version: u64,
    /// What reading it needs.
    pub needs: Needs,
    /// What the rules allow to be asked for.
    pub operations: Vec<Operation>,
}

/// What the rules want before a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Nothing: no person is asked.
    Nothing,
    /// A person's approval.
    Approval,
    /// It is refused.
    Refused,
}

/// What an agent asks for with `request_access`.
#[derive(Clone, Debug)]
pub struct AccessAsk {
    /// The resources, each once.
    pub resources: Vec<Resource>,
    /// What it wants to do with them.
    pub operation: Operation,
    /// What it says with it.
    pub plea: super::Plea,
}

/// What comes of asking for a value.
#[derive(Debug)]
pub enum Release {
    /// The value, under a lease.
    Value {
        /// What it is the value of.
        resource: Resource,
        /// Which version of it.
        version: u64,
        /// The value.
        value: SecretBytes,
        /// The lease after this use.
        lease: Box<Lease>,
    },
    /// The key may not see values, so nobody was asked.
    Redacted {
        /// What it would be the value of.
        resource: Resource,
        /// Which version of it.
        version: u64,
    },
    /// People have been asked.
    Pending(Box<Pending>),
    /// People were asked, and it was not granted.
    Settled(Box<Approval>),
}

/// What comes of proposing a change of a secret.
#[derive(Debug)]
pub enum Changed {
    /// It was made, or could not be: its outcome says which.
    Made(Box<ChangeMade>),
    /// People have been asked.
    Pending(Box<Pending>),
    /// People were asked, and it was not granted.
    Settled(Box<Approval>),
}

/// A change of a secret that was approved, and what came of it.
#[derive(Clone, Debug)]
pub struct ChangeMade {
    /// The secret.
    pub resource: Resource,
    /// `write` or `delete`.
    pub operation: Operation,
    /// What came of it.
    pub applied: Applied,
    /// The approval; none where nobody was asked.
    pub approval: Option<ApprovalId>,
    /// The public part of a key pair that was made, as PEM.
    pub public_key: Option<String>,
}

/// What comes of asking for the log.
#[derive(Debug)]
pub enum AuditRelease {
    /// Entries, newest first.
    Entries {
        /// One page of them.
        page: Paged<StoredEntry>,
        /// The lease after this use.
        lease: Box<Lease>,
    },
    /// Counts of entries, most frequent first.
    Groups {
        /// What is counted, and how often it is there.
        groups: Vec<(String, u64)>,
        /// The lease after this use.
        lease: Box<Lease>,
    },
    /// People have been asked.
    Pending(Box<Pending>),
    /// People were asked, and it was not granted.
    Settled(Box<Approval>),
}

/// What comes of asking for access.
#[derive(Debug)]
pub enum Access {
    /// Leases on all of it.
    Leased(Vec<Lease>),
    /// People have been asked.
    Pending(Box<Pending>),
    /// People were asked, and it was not granted.
    Settled(Box<Approval>),
}

/// Where an agent's own approval stands.
#[derive(Debug)]
pub enum AwaitOutcome {
    /// People are still asked.
    Pending(Box<Pending>),
    /// It was granted.
    Approved {
        /// The approval.
        approval: Box<Approval>,
        /// The leases that came of it.
        leases: Vec<Lease>,
    },
    /// It was denied, or it expired, or it was withdrawn.
    Settled(Box<Approval>),
}

/// An approval as the people who answer see it.
#[derive(Clone, Debug)]
pub struct ApprovalView {
    /// The approval.
    pub approval: Approval,
    /// The leases that came of it.
    pub leases: Vec<LeaseId>,
    /// How far each requirement has come.
    pub progress: Vec<Progress>,
    /// Whether the caller's answer would count; if not, why not.
    pub may_vote: Result<(), String>,
    /// The session time of the key that asks, where one does.
    pub session: Option<Duration>,
    /// Where it was approved for a session that nobody has ended: until when.
    pub session_until: Option<UnixTime>,
    /// What happened before; only where it is shown by itself.
    pub evidence: Option<Evidence>,
    /// The messages about it, oldest first, 200 at most; only where it is shown by itself.
    pub deliveries: Vec<Delivery>,
}

/// Which approvals are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// Of this project.
    pub project: Option<String>,
    /// In one of these states; empty: in any.
    pub statuses: Vec<Status>,
    /// With an item that this matches.
    pub resource: Option<Pattern>,
    /// Of the key of this name.
    pub key: Option<String>,
    /// Asked at this time or later.
    pub since: Option<UnixTime>,
}

/// One person's answer.
#[derive(Clone, Debug)]
pub struct VoteCommand {
    /// The approval's id, whole or shortened while unique.
    pub id: String,
    /// What they say.
    pub ballot: Ballot,
    /// Why; a denial needs it.
    pub reason: String,
    /// The digest of what they saw, hex.
    pub digest: String,
    /// SHA-256, hex, of the rendering they answered on.
    pub rendering: Option<String>,
}

/// What a watch of approvals tells.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// An approval that is pending, or that has just changed.
    Approval(Box<ApprovalView>),
    /// All that was pending at the start has been told.
    CaughtUp,
}

/// The states of a lease, as they are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeaseStatus {
    /// It may still release something.
    Active,
    /// It ended, in this way.
    Ended(vouchsafe_core::lease::Ending),
}

/// Which leases are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct LeaseFilter {
    /// Of this project.
    pub project: Option<String>,
    /// In one of these states; empty: in any.
    pub statuses: Vec<LeaseStatus>,
    /// Of the key of this name.
    pub key: Option<String>,
    /// On a resource that this matches.
    pub resource: Option<Pattern>,
    /// Issued at this time or later.
    pub since: Option<UnixTime>,
}

/// Which leases are to end.
#[derive(Clone, Debug)]
pub enum Which {
    /// This one, by its id, whole or shortened while unique.
    Id(String),
    /// All of the key of this name.
    Key(String),
    /// All on resources that this matches.
    Resource(Pattern),
    /// All that this user's answers gave.
    ApprovedBy {
        /// The user, by name.
        user: String,
        /// By answers of this time or later; none: by any.
        since: Option<UnixTime>,
    },
    /// All.
    All,
}

/// A key, what it belongs to, and what it has used.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// The key.
    pub key: Key,
    /// Its project's name.
    pub project_name: String,
    /// Its owner's name.
    pub owner_name: String,
    /// Whether its time is up.
    pub expired: bool,
    /// What it has used of its limits.
    pub usage: KeyUsage,
}

/// What a key has used of its limits, and what is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage {
    /// Calls of tools this month (UTC).
    pub calls: u64,
    /// How many more it may make this month, its project's limit included; none: not limited.
    pub calls_left: Option<u64>,
    /// When the month ends.
    pub resets_at: UnixTime,
    /// How many more requests it may make this minute.
    pub rate_left: u32,
}

/// A key to be made.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// In this project; none: the default one.
    pub project: Option<String>,
    /// Its name.
    pub name: String,
    /// Scopes and bundles; empty: `mcp:read`.
    pub scopes: Vec<String>,
    /// The user who answers for it; none: whoever makes it.
    pub owner: Option<String>,
    /// How far it goes.
    pub settings: KeySettings,
}

/// What is to be changed about a key; what is not given stays as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// Scopes and bundles; empty: as they are.
    pub scopes: Vec<String>,
    /// The user who answers for it.
    pub owner: Option<String>,
    /// What a person is asked for.
    pub level: Option<Level>,
    /// How long a `session` approval is remembered.
    pub session: Option<SessionTime>,
    /// The tools it may use.
    pub tools: Option<ToolList>,
    /// Requests in any minute.
    pub rate: Option<Rate>,
    /// Calls in a month; `Some(None)`: as many as the project allows.
    pub monthly: Option<Option<u64>>,
    /// When its time is up; `Some(None)`: never.
    pub expires_at: Option<Option<UnixTime>>,
}

/// A project and what it holds.
#[derive(Clone, Debug)]
pub struct ProjectView {
    /// The project.
    pub project: Project,
    /// Calls of tools by its keys this month (UTC).
    pub calls: u64,
    /// Its keys.
    pub keys: u32,
    /// Its secrets.
    pub secrets: u64,
}

/// What went with a key or a project that is out of use.
#[derive(Clone, Copy, Debug)]
pub struct DeletedKey {
    /// Its leases that ended.
    pub leases_revoked: u32,
    /// Its asks that were withdrawn.
    pub approvals_withdrawn: u32,
}

/// Which log entries are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Of this time or later.
    pub since: Option<UnixTime>,
    /// Before this time.
    pub until: Option<UnixTime>,
    /// By the key or user of this name.
    pub actor: Option<String>,
    /// Of this action; `secret.*` takes all of a kind.
    pub action: Option<String>,
    /// About a resource that this URI or pattern names.
    pub resource: Option<String>,
    /// About this approval, by its id, whole or shortened while unique.
    pub approval: Option<String>,
    /// `ok`, `refused` or `failed`.
    pub outcome: Option<String>,
    /// Of this project.
    pub project: Option<String>,
}

/// One piece of an export of the log.
#[derive(Clone, Debug)]
pub enum ExportPart {
    /// Whole lines, each ending with a line feed.
    Lines(Vec<u8>),
    /// The last piece: what the lines are proved with.
    Checkpoint {
        /// A C2SP tlog-checkpoint note.
        note: String,
        /// The key it is signed with.
        verifier_key: String,
    },
}

/// How the daemon is.
#[derive(Clone, Debug)]
pub struct StatusView {
    /// Its version.
    pub version: String,
    /// When it was started.
    pub started_at: UnixTime,
    /// Whether its home is a dev home.
    pub dev: bool,
    /// Its home.
    pub home: String,
    /// Where agents reach it over HTTP.
    pub mcp_url: String,
    /// Approvals pending.
    pub approvals_pending: u32,
    /// Leases active.
    pub leases_active: u32,
    /// Entries in the log.
    pub audit_size: u64,
    /// The digest of the rules in force, hex.
    pub policy_digest: String,
    /// How many rules there are.
    pub policy_rules: u32,
    /// The last reload was refused; the set before it is in force.
    pub policy_stale: bool,
    /// Calls that wait for people now.
    pub calls_waiting: u32,
    /// What an operator should know, a sentence each.
    pub warnings: Vec<String>,
    /// Secrets held.
    pub secrets: u64,
    /// Rules that are only observed, by name.
    pub rules_observed: Vec<String>,
    /// What such rules have let through since the log began.
    pub observed_asks: u64,
    /// What is stopped, a sentence each.
    pub stops: Vec<String>,
    /// Broken glasses that nobody has reviewed.
    pub reviews_open: u32,
}

/// One thing that was checked.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do; empty where it is as it should be.
    pub mend: String,
    /// It is no fault, but somebody should look at it.
    pub warning: bool,
}
