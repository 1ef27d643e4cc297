//! Puts the broker together: opens the database, unlocks the vault, checks the log, reads the rules.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use vouchsafe_core::audit::{HeadSigner as _, Verified, VerifyError};
use vouchsafe_core::policy::{Options, Problem};
use vouchsafe_core::route::{ChannelName, Message, Receipt, Undelivered};
use vouchsafe_core::time::UnixTime;

use crate::broker::{
    Broker, Count, Parts, PolicyApproval, Post, Refused, Settings, Setup, members,
};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, RootKey};
use crate::home::{Home, HomeError};
use crate::notify::{ChannelError, Channels};
use crate::policy_files::{self, Folder, Loaded, PolicyFiles, ReadError, Seen, read_dir};
use crate::store::{
    Database, Limits, Observe, OpenError, StartError, Store, StoreError, WriteError, WriteOutcome,
};
use crate::telemetry::Metrics;
use crate::vault::source::{Input, SourceError, Which};
use crate::vault::{RootSource, Vault, VaultError, random};

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The database cannot be made or opened.
    #[error("the database does not open")]
    Open(#[from] OpenError),
    /// The database is there, the vault in it is not.
    #[error(
        "the database has no vault: `vouchsafed init` did not get through; remove the home's \
         vouchsafe.db and run it again"
    )]
    NoVault,
    /// The vault does not open.
    #[error("the vault does not open")]
    Root(#[from] SourceError),
    /// The vault cannot be made.
    #[error("the vault cannot be made")]
    Vault(#[from] VaultError),
    /// The log or the clock is not as it should be.
    #[error("the database cannot be put to work")]
    Start(#[from] StartError),
    /// The database failed at the start.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The policy folder cannot be read.
    #[error("the policy folder cannot be read")]
    Policies(#[from] ReadError),
    /// The rules have mistakes.
    #[error("the rules have mistakes")]
    Rules(Vec<Problem>),
    /// The home could not be filled.
    #[error("the home could not be filled: {0}")]
    SetUp(Refused),
    /// A channel cannot be set up.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A file of the home could not be written.
    #[error("the home could not be written")]
    Home(#[from] HomeError),
    /// A file could not be handled.
    #[error("{action} failed")]
    File {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// What a start runs with.
struct FirstRules {
    loaded: Loaded,
    problems: Vec<Problem>,
    seen: Option<Seen>,
}

/// Opens what a home holds. Every check that a start makes is made here.
pub fn broker(
    config: &Config,
    home: &Home,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
    channels: &Channels,
) -> Result<Broker, AssembleError> {
    let root = root_source(config);
    let database = Database::open(&home.database())?;
    let state = database.reader().vault()?.ok_or(AssembleError::NoVault)?;
    let vault = unlocked(&root, &state)?;
    // Rules with mistakes keep nobody from mending them: the daemon starts with none, and without
    // rules everything is refused.
    let found = first_rules(config, home, &database, &clock)?;
    for problem in &found.problems {
        tracing::error!(%problem, "the rules have mistakes: until they are mended, everything is refused");
    }
    let store = started(database, &vault, config, home, (&clock, metrics, channels))?;
    home.write_audit_key(&vault.signer().verifier_key().to_string())?;
    let policy = PolicyFiles::new(Arc::new(found.loaded));
    policy.saw(found.seen);
    policy.refuse(found.problems);
    Ok(of_parts(config, home, (clock, metrics, channels), (root, vault, store), policy))
}

/// Makes a new home's database and vault, and fills them. The database gets its name last of all:
/// a home that was left half made is made anew.
pub async fn init(
    config: &Config,
    home: &Home,
    clock: Arc<dyn Clock>,
    setup: Setup,
) -> Result<(), AssembleError> {
    let unfinished = beside(&home.database(), ".init");
    for suffix in ["", "-wal", "-shm"] {
        remove(&beside(&unfinished, suffix))?;
    }
    let admin = setup.admin.clone();
    let database = Database::create(&unfinished)?;
    let root = root_source(config);
    let (key, passphrase) = root.first()?;
    let instance: [u8; 10] = random::bytes()?;
    let origin = format!("vouchsafe/{}", HEXLOWER.encode(&instance));
    let vault = Arc::new(Vault::create(&key, passphrase, &origin, clock.now().wall)?);
    let metrics = Metrics::new();
    let channels = Channels::default();
    let store = started(database, &vault, config, home, (&clock, &metrics, &channels))?;
    let state = vault.state();
    let kept = store.write("store_vault", move |tx| tx.store_vault(&state)).await;
    kept.map_err(|error| match error {
        WriteError::Refused(error) | WriteError::Store(error) => error,
    })?;
    home.write_audit_key(&vault.signer().verifier_key().to_string())?;
    let nothing = Loaded::nothing(source(config), clock.now().wall);
    let policy = PolicyFiles::new(Arc::new(nothing));
    let broker = of_parts(config, home, (clock, &metrics, &channels), (root, vault, store), policy);
    let token = broker.set_up(setup).await.map_err(AssembleError::SetUp)?;
    // The credentials file is the one place where the token is kept; its owner alone reads it.
    home.write_credentials(&admin, &token.expose())?;
    broker.close().await;
    drop(broker);
    finish(&unfinished, home)
}

/// Gives a finished database its name. Whoever opens and closes it last, alone, leaves nothing
/// beside it.
fn finish(unfinished: &Path, home: &Home) -> Result<(), AssembleError> {
    drop(Database::open(unfinished)?);
    let failed = |source| AssembleError::File { action: "naming the new database", source };
    if beside(unfinished, "-wal").exists() {
        return Err(failed(io::Error::other("it is still in use")));
    }
    fs::rename(unfinished, home.database()).map_err(failed)?;
    fs::File::open(home.dir()).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), AssembleError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(AssembleError::File { action: "removing an unfinished database", source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Checks what a start would, without serving: the root key, the database and the rules.
pub fn check(config: &Config, home: &Home) -> Result<u32, AssembleError> {
    let database = Database::look(&home.database())?;
    let state = database.reader().vault()?.ok_or(AssembleError::NoVault)?;
    drop(unlocked(&root_source(config), &state)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    drop(Channels::build(&config.notify, &clock)?);
    let folder = read_dir(&config.policy.dir)?;
    let projects = members(&database.reader())?;
    let sets = policy_files::parse(&folder, &projects, &options(config, home));
    let sets = sets.map_err(AssembleError::Rules)?;
    Ok(Loaded::new(sets, folder.rules, source(config), UnixTime::from_ms(0)).count())
}

/// Reads the whole log of a stopped daemon and holds it against its signed head.
pub fn verify(
    config: &Config,
    home: &Home,
) -> Result<Result<Verified, VerifyError>, AssembleError> {
    let database = Database::look(&home.database())?;
    database.check()?;
    let state = database.reader().vault()?.ok_or(AssembleError::NoVault)?;
    let vault = unlocked(&root_source(config), &state)?;
    Ok(database.reader().audit_verify(vault.signer().verifier_key())?)
}

fn of_parts(
    config: &Config,
    home: &Home,
    (clock, metrics, channels): (Arc<dyn Clock>, &Metrics, &Channels),
    (root, vault, store): (RootSource, Arc<Vault>, Store),
    policy: PolicyFiles,
) -> Broker {
    let approval = |given: &config::PolicyApproval| PolicyApproval {
        approvers: given.approvers.clone(),
        quorum: given.quorum,
    };
    Broker::new(Parts {
        store,
        vault,
        policy: Arc::new(policy),
        clock,
        count: Arc::new(Counted(metrics.clone())),
        post: Arc::new(channels.clone()),
        settings: Settings {
            home: home.dir().to_owned(),
            dev: home.is_dev(),
            policy_dir: config.policy.dir.clone(),
            policy_options: options(config, home),
            policy_approval: config.policy.approval.as_ref().map(approval),
            block_for: config.mcp.block_for,
            waiting_max: config.mcp.max_waiting,
            root,
            undelete_for: config.secrets.undelete_for,
            keep_versions: config.secrets.keep_versions,
            channels: channels.channels(),
            give_up_after: config.notify.give_up_after,
            public_url: config.http.public_url.as_ref().map(ToString::to_string),
            one_time_links: config.notify.email.as_ref().is_some_and(|email| email.one_time_links),
        },
    })
}

fn started(
    database: Database,
    vault: &Vault,
    config: &Config,
    home: &Home,
    (clock, metrics, channels): (&Arc<dyn Clock>, &Metrics, &Channels),
) -> Result<Store, AssembleError> {
    let limits = Limits {
        readers: NonZeroU32::new(config.store.readers).unwrap_or(NonZeroU32::MIN),
        ballast: Some(home.ballast()),
        told: channels.channels().iter().flat_map(|channel| channel.events.iter()).collect(),
        ..Limits::default()
    };
    let observe = Arc::new(Counted(metrics.clone()));
    Ok(database.start(Arc::clone(clock), vault.signer(), observe, &limits)?)
}

fn unlocked(
    root: &RootSource,
    state: &crate::vault::VaultState,
) -> Result<Arc<Vault>, AssembleError> {
    let (vault, which) = root.unlock(state)?;
    match which {
        // A rotation had stored its keys and not yet moved the new root key.
        Which::New => {
            root.finish()?;
        }
        // One that had not come so far left a key that nothing is under.
        Which::Current => root.abandon()?,
    }
    Ok(Arc::new(vault))
}

/// What a start runs with: what was accepted last, where changes need an approval; else what the
/// policy folder holds.
fn first_rules(
    config: &Config,
    home: &Home,
    database: &Database,
    clock: &Arc<dyn Clock>,
) -> Result<FirstRules, AssembleError> {
    let reader = database.reader();
    let projects = members(&reader)?;
    let folder = read_dir(&config.policy.dir);
    let seen = folder.as_ref().ok().map(|folder| Seen::of(folder, &projects));
    let accepted = match config.policy.approval {
        Some(_) => reader.accepted_policy()?,
        None => None,
    };
    let folder = match accepted {
        Some(accepted) => Ok(Folder::of_files(accepted.files)),
        None => folder.map_err(|error| vec![error.problem()]),
    };
    let parsed = folder.and_then(|folder| {
        let sets = policy_files::parse(&folder, &projects, &options(config, home))?;
        Ok((sets, folder.rules))
    });
    let (loaded, problems) = match parsed {
        Ok((sets, files)) => {
            (Loaded::new(sets, files, source(config), clock.now().wall), Vec::new())
        }
        Err(problems) => (Loaded::nothing(source(config), clock.now().wall), problems),
    };
    Ok(FirstRules { loaded, problems, seen })
}

fn source(config: &Config) -> String {
    config.policy.dir.display().to_string()
}

fn options(config: &Config, home: &Home) -> Options {
    let mut channels: Vec<_> = config.notify.channels().collect();
    channels.sort();
    Options { self_approval_everywhere: home.is_dev(), channels: Some(channels) }
}

fn root_source(config: &Config) -> RootSource {
    match &config.root_key {
        RootKey::File(path) => RootSource::Key(Input::File(path.clone())),
        RootKey::Passphrase(path) => RootSource::Passphrase(Input::File(path.clone())),
        RootKey::Command(command) => RootSource::Key(Input::Command(command.clone())),
        RootKey::Credential { directory, name } => {
            RootSource::Key(Input::Credential { directory: directory.clone(), name: name.clone() })
        }
    }
}

/// Tells the metrics of every write, and of what the broker does.
#[derive(Debug)]
struct Counted(Metrics);

impl Count for Counted {
    fn settled(&self, status: &'static str) {
        self.0.settled(status);
    }

    fn leased(&self, leases: u64) {
        self.0.leased(leases);
    }

    fn refused(&self, door: &'static str, code: &'static str) {
        self.0.refused(door, code);
    }

    fn delivered(&self, channel: &str, outcome: &'static str) {
        self.0.delivered(channel, outcome);
    }

    fn queued(&self, channel: &str, messages: u64) {
        self.0.queued(channel, messages);
    }

    fn unreached(&self) {
        self.0.unreached();
    }
}

impl Post for Channels {
    fn deliver<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Self::deliver(self, channel, message).boxed()
    }
}

impl Observe for Counted {
    fn transaction(&self, name: &'static str, took: Duration, outcome: WriteOutcome) {
        let outcome = match outcome {
            WriteOutcome::Committed => "committed",
            WriteOutcome::Refused => "refused",
            WriteOutcome::Failed => "failed",
        };
        self.0.transaction(name, took, outcome);
    }
}
