//! Every command, and the only way through.
//!
//! A door makes a caller and a command. The broker asks the core, which answers with the next
//! state; one write transaction saves state and log entry together; only then does anything leave.
//! A refusal is saved in the log by the same transaction that found it.

mod accesses;
mod agent_audit;
mod agents;
mod approvals;
mod asks;
mod audit;
mod changes;
mod doors;
mod emergency;
mod entries;
mod error;
mod evidence;
mod explain;
mod gives;
mod glass;
mod keys;
mod leases;
mod limits;
mod messages;
mod paging;
mod policy;
mod policy_change;
mod policy_diff;
mod policy_notes;
mod projects;
mod redaction;
mod replay;
mod reviews;
mod secrets;
mod sessions;
mod setup;
mod sign_in;
mod slack;
mod stats;
mod status;
mod sweep;
mod users;
mod views;
mod votes;
mod wakes;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vouchsafe_core::approval::Approval;
use vouchsafe_core::audit::{Entry, Outcome};
use vouchsafe_core::policy::{ApproverRef, Options};
use vouchsafe_core::route::Channel;
use vouchsafe_core::time::{Now, UnixTime};

pub use self::approvals::{ApprovalChanges, ApprovalWatch};
pub use self::asks::Plea;
pub use self::audit::{AuditExport, AuditTail};
pub use self::changes::{ChangeAsk, NewValue, Proposal};
use self::doors::Doors;
pub use self::emergency::{Resumed, StopOf, StoppedLeases};
pub use self::error::{Code, Kind, Refused, scope_needed, tool_not_allowed};
pub use self::glass::{BrokenGlass, GlassCommand};
pub use self::leases::Revoked;
pub use self::limits::Charge;
use self::limits::Limits;
use self::messages::Delivering;
pub use self::messages::{Attempt, Parcel, Post};
pub(crate) use self::policy::members;
pub use self::sessions::SessionView;
pub use self::setup::Setup;
use self::sign_in::Signing;
pub use self::sign_in::{LinkVisit, SignedIn};
pub use self::views::*;
use self::wakes::Wakes;
pub use self::wakes::{WaitPermit, Wake};
use crate::clock::Clock;
use crate::policy_files::PolicyFiles;
use crate::store::{Store, StoreError, Tx, WriteError};
use crate::vault::{RootSource, Vault};
pub use vouchsafe_core::project::DEFAULT_PROJECT;

/// Values that are made at once at most.
const MAKERS_MAX: usize = 2;

/// The broker. Clones share it.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

/// What a broker is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// What seals and opens values.
    pub vault: Arc<Vault>,
    /// The rules in force.
    pub policy: Arc<PolicyFiles>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who counts.
    pub count: Arc<dyn Count>,
    /// Who delivers what cannot wait.
    pub post: Arc<dyn Post>,
    /// How it is set.
    pub settings: Settings,
}

/// Who counts what the broker does.
pub trait Count: fmt::Debug + Send + Sync {
    /// An approval was settled, with this status.
    fn settled(&self, status: &'static str);
    /// So many leases were issued.
    fn leased(&self, leases: u64);
    /// A door turned somebody away, with this code.
    fn refused(&self, door: &'static str, code: &'static str);
    /// A message was tried over a channel: `sent`, `retried` or `failed`.
    fn delivered(&self, channel: &str, outcome: &'static str);
    /// So many messages wait in a channel.
    fn queued(&self, channel: &str, messages: u64);
    /// An approval expired that nobody was told of.
    fn unreached(&self);
}

/// How a broker is set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The home folder, for people.
    pub home: PathBuf,
    /// Whether it is a dev home.
    pub dev: bool,
    /// Where the rules are read from.
    pub policy_dir: PathBuf,
    /// How the rules are read.
    pub policy_options: Options,
    /// Whom a change of the rules asks; none: nobody.
    pub policy_approval: Option<PolicyApproval>,
    /// How long a call that needs a person is held open.
    pub block_for: Duration,
    /// How many calls are held open at once.
    pub waiting_max: usize,
    /// Where the root key comes from, for its rotation.
    pub root: RootSource,
    /// How long a deleted secret can be undeleted.
    pub undelete_for: Duration,
    /// How many versions of a secret are kept, the newest.
    pub keep_versions: u32,
    /// The channels that there are, by name.
    pub channels: Vec<Channel>,
    /// How long a message is tried for.
    pub give_up_after: Duration,
    /// How links to the web pages begin; none: with the address of the HTTP door.
    pub public_url: Option<String>,
    /// Messages by e-mail hold a link that answers without signing in.
    pub one_time_links: bool,
}

/// Who has to approve a change of the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyApproval {
    /// Any of these; empty: whoever has the role admin.
    pub approvers: Vec<ApproverRef>,
    /// How many of them, whoever reloads apart; where nobody knows whose the change is, one more.
    pub quorum: u32,
}

struct Inner {
    store: Store,
    vault: Arc<Vault>,
    policy: Arc<PolicyFiles>,
    clock: Arc<dyn Clock>,
    count: Arc<dyn Count>,
    post: Arc<dyn Post>,
    settings: Settings,
    started_at: UnixTime,
    wakes: Wakes,
    doors: Doors,
    delivering: Delivering,
    /// Held while the policy folder is read and what it holds is put in force.
    reloading: tokio::sync::Mutex<()>,
    limits: Limits,
    keeping: tokio::sync::Mutex<secrets::Keeping>,
    /// Places for values that are being made.
    makers: Arc<Semaphore>,
    draining: CancellationToken,
    clock_seen: Mutex<Option<Now>>,
    mcp_url: OnceLock<String>,
    signing: Signing,
}

/// Why a command's transaction goes no further.
#[derive(Debug)]
enum Stop {
    /// The answer is no.
    Refused(Refused),
    /// The store could not.
    Store(StoreError),
}

impl Broker {
    /// A broker of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, vault, policy, clock, count, post, settings } = parts;
        let started_at = clock.now().wall;
        let wakes = Wakes::new(settings.waiting_max);
        let inner = Inner {
            store,
            vault,
            policy,
            clock,
            count,
            post,
            settings,
            started_at,
            wakes,
            doors: Doors::default(),
            delivering: Delivering::default(),
            reloading: tokio::sync::Mutex::new(()),
            limits: Limits::default(),
            makers: Arc::new(Semaphore::new(MAKERS_MAX)),
            keeping: tokio::sync::Mutex::default(),
            draining: CancellationToken::new(),
            clock_seen: Mutex::new(None),
            mcp_url: OnceLock::new(),
            signing: Signing::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// How long a call that needs a person is held open.
    pub fn block_for(&self) -> Duration {
        self.inner.settings.block_for
    }

    /// Cancelled when the daemon begins to stop: calls that wait then answer with what they have.
    pub fn draining(&self) -> CancellationToken {
        self.inner.draining.clone()
    }

    /// Where agents reach the daemon over HTTP, once that is known.
    pub fn serves_mcp_at(&self, url: String) {
        // Said once, by whoever binds the listener.
        drop(self.inner.mcp_url.set(url));
    }

    /// Wakes whoever waits for an approval that was settled, and counts it.
    fn settled(&self, approval: &Approval) {
        self.inner.count.settled(approval.status().as_str());
        if approval.is_unreached() {
            self.inner.count.unreached();
        }
        self.inner.wakes.wake(approval.ask().id);
    }

    /// What both clocks say now.
    pub fn now(&self) -> Now {
        self.inner.clock.now()
    }

    /// Runs a command in one transaction. `subject` is what the log says of it where it is
    /// refused; what it says otherwise, the command appends itself.
    async fn run<T, F>(&self, name: &'static str, subject: Entry, f: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, Stop> + Send + 'static,
    {
        settle(self.inner.store.write(name, judged(subject, f)).await)
    }

    /// [`Self::run`] for what has to go on while the disk is full.
    async fn run_essential<T, F>(
        &self,
        name: &'static str,
        subject: Entry,
        f: F,
    ) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, Stop> + Send + 'static,
    {
        settle(self.inner.store.write_essential(name, judged(subject, f)).await)
    }

    /// Reads, without a trace in the log.
    async fn look<T, F>(&self, name: &'static str, f: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnOnce(&crate::store::Reader<'_>) -> Result<T, Stop> + Send + 'static,
    {
        self.inner.store.read(name, f).await.map_err(Refused::from)
    }
}

/// Bytes that nobody can foresee.
fn random<const N: usize>() -> Result<[u8; N], Refused> {
    crate::vault::random::bytes().map_err(|_| Refused::internal())
}

fn judged<T, F>(
    subject: Entry,
    f: F,
) -> impl Fn(&mut Tx<'_>) -> Result<Result<T, Refused>, StoreError> + Send + 'static
where
    F: Fn(&mut Tx<'_>) -> Result<T, Stop> + Send + 'static,
{
    move |tx| match f(tx) {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Refused(refused)) => {
            // Nothing of what was refused stays but that it was.
            tx.start_over()?;
            tx.append(&refusal(subject.clone(), &refused))?;
            Ok(Err(refused))
        }
        Err(Stop::Store(error)) => Err(error),
    }
}

fn settle<T>(written: Result<Result<T, Refused>, WriteError<StoreError>>) -> Result<T, Refused> {
    match written {
        Ok(answer) => answer,
        Err(WriteError::Refused(error) | WriteError::Store(error)) => {
            Err(Refused::from(Stop::Store(error)))
        }
    }
}

/// An error as the daemon's log takes it, with all that caused it.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error
}

/// What the log says of a command that was refused.
fn refusal(subject: Entry, refused: &Refused) -> Entry {
    subject
        .outcome(Outcome::Refused)
        .detail("code", refused.code.as_str())
        .detail("message", refused.message.as_str())
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Stop> for Refused {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refused) => refused,
            Stop::Store(error) => Self::from_store(&error),
        }
    }
}

impl Refused {
    fn from_store(error: &StoreError) -> Self {
        match error {
            StoreError::Full => Self::new(
                Code::StoreFull,
                "the disk is full, so nothing new is granted; denials and revocations still work",
                "Make room on the disk of the home folder; the daemon goes on by itself.",
            ),
            StoreError::Busy => Self::new(
                Code::StoreBusy,
                "too many writes are waiting",
                "Try again in a few seconds.",
            ),
            StoreError::Closed => Self::new(
                Code::ShuttingDown,
                "the daemon is stopping",
                "Try again once it has started again.",
            ),
            StoreError::Unknown => Self::new(
                Code::OutcomeUnknown,
                "it is not known whether this was saved",
                "Look at what stands once the daemon has started again, before you repeat it.",
            ),
            StoreError::Clock => Self::new(
                Code::StoreFull,
                "the clock is over a minute behind the log, so nothing is granted",
                "Set the clock of the daemon's machine.",
            ),
            StoreError::Panicked | StoreError::Sqlite { .. } | StoreError::Corrupt { .. } => {
                tracing::error!(error = cause(error), "the store failed");
                Self::internal()
            }
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}
