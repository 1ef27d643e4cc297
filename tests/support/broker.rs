//! A broker without doors: the same store, vault and rules, called directly.
#![expect(clippy::unwrap_used, reason = "a home that cannot be made is a failed test")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::statvfs;
use tempfile::TempDir;
use vouchsafe_core::caller::{Agent, Claims, Role, User};
use vouchsafe_core::policy::Options;
use vouchsafed::broker::{Broker, Count, Parts, Settings, Setup};
use vouchsafed::clock::Clock;
use vouchsafed::notify::Channels;
use vouchsafed::policy_files::{Loaded, PolicyFiles};
use vouchsafed::store::{Database, Limits};
use vouchsafed::vault::source::Input;
use vouchsafed::vault::{RootSource, Vault};

use crate::clock::TestClock;

/// The first admin of every test home.
pub const ADMIN: &str = "admin";

/// So much is free where homes are made in memory: each sets 16 MiB aside, and many tests run at
/// once.
const MEMORY_FREE_MIN: u64 = 1 << 30;

/// A new folder for a home; in memory where the machine has such a place with room in it, for
/// `fsync` on a busy disk is most of what a test would wait for.
pub fn temp_home() -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut private = tempfile::Builder::new();
    private.permissions(Permissions::from_mode(0o700));
    let free = statvfs(memory).map_or(0, |about| about.f_bavail.saturating_mul(about.f_frsize));
    if free >= MEMORY_FREE_MIN { private.tempdir_in(memory) } else { private.tempdir() }.unwrap()
}

/// A broker on a home of its own.
#[derive(Debug)]
pub struct TestBroker {
    home: TempDir,
    /// Its clock.
    pub clock: Arc<TestClock>,
    /// The broker itself.
    pub broker: Broker,
    tokens: BTreeMap<String, String>,
}

impl TestBroker {
    /// A new home with an admin, these users (name, groups; all approvers) and these rules.
    pub async fn start(users: &[(&str, &[&str])], policies: &str) -> Self {
        let home = temp_home();
        fs::create_dir(home.path().join("policies")).unwrap();
        let clock = TestClock::new();
        let broker = open(home.path(), &clock);
        let setup = Setup { admin: ADMIN.to_owned(), groups: Vec::new(), secrets: Vec::new() };
        let token = broker.set_up(setup).await.unwrap();
        let tokens = BTreeMap::from([(ADMIN.to_owned(), token.expose().to_string())]);
        let mut this = Self { home, clock, broker, tokens };
        let admin = this.user(ADMIN).await;
        for (name, groups) in users {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            let roles = [Role::Approver].into_iter().collect();
            let (_, token) =
                this.broker.create_user(&admin, name, roles, groups, None).await.unwrap();
            this.tokens.insert((*name).to_owned(), token.expose().to_string());
        }
        this.write_policies(policies);
        let reloaded = this.broker.reload(None).await.unwrap();
        assert!(reloaded.problems.is_empty(), "{:?}", reloaded.problems);
        this
    }

    /// Puts this in the policy folder; nothing reads it yet.
    pub fn write_policies(&self, text: &str) {
        fs::write(self.home.path().join("policies/test.toml"), text).unwrap();
    }

    /// Stops in order and starts again on the same home.
    pub async fn restart(&mut self) {
        self.broker.close().await;
        self.broker = open(self.home.path(), &self.clock);
        let reloaded = self.broker.reload(None).await.unwrap();
        assert!(reloaded.problems.is_empty(), "{:?}", reloaded.problems);
    }

    /// This user, let in by their token.
    pub async fn user(&self, name: &str) -> User {
        self.try_user(name).await.unwrap()
    }

    /// This user, if their token still opens the door.
    pub async fn try_user(&self, name: &str) -> Option<User> {
        self.broker.authenticate_user(self.tokens.get(name).map(String::as_str)).await.ok()
    }

    /// Gives a user a new token, for the one before is dead.
    pub async fn issue_token(&mut self, name: &str) {
        let admin = self.user(ADMIN).await;
        let (_, token) = self.broker.issue_token(&admin, name).await.unwrap();
        self.tokens.insert(name.to_owned(), token.expose().to_string());
    }

    /// The agent with this key's value, if it is let in.
    pub async fn agent(&self, value: &str) -> Option<Agent> {
        self.broker.authenticate_key(Some(value), Claims::default(), None).await.ok()
    }
}

fn open(home: &Path, clock: &Arc<TestClock>) -> Broker {
    let root = RootSource::Key(Input::File(home.join("root.key")));
    let path = home.join("vouchsafe.db");
    let mut database =
        if path.exists() { Database::open(&path) } else { Database::create(&path) }.unwrap();
    let vault = if let Some(state) = database.load_vault().unwrap() {
        root.unlock(&state).unwrap().0
    } else {
        let (key, passphrase) = root.first().unwrap();
        let now = clock.now().wall;
        let vault = Vault::create(&key, passphrase, "vouchsafe/test", now).unwrap();
        assert!(database.store_vault(&vault.state()).unwrap());
        vault
    };
    let vault = Arc::new(vault);
    let dyn_clock: Arc<dyn Clock> = Arc::<TestClock>::clone(clock);
    let observe = Arc::new(());
    let store = database
        .start(Arc::clone(&dyn_clock), vault.signer(), observe, &Limits::default())
        .unwrap();
    let loaded = Loaded::nothing("", clock.now().wall);
    let settings = Settings {
        home: home.to_owned(),
        dev: false,
        policy_dir: home.join("policies"),
        policy_options: Options::default(),
        policy_approval: None,
        block_for: Duration::from_secs(25),
        waiting_max: 1_000,
        root,
        undelete_for: Duration::from_hours(30 * 24),
        keep_versions: 100,
        channels: Vec::new(),
        give_up_after: Duration::from_hours(24),
        public_url: None,
        one_time_links: false,
    };
    Broker::new(Parts {
        store,
        vault,
        policy: Arc::new(PolicyFiles::new(Arc::new(loaded))),
        clock: dyn_clock,
        count: Arc::new(Uncounted),
        post: Arc::new(Channels::default()),
        settings,
    })
}

/// Nobody counts.
#[derive(Debug)]
struct Uncounted;

impl Count for Uncounted {
    fn settled(&self, _status: &'static str) {}

    fn leased(&self, _leases: u64) {}

    fn refused(&self, _door: &'static str, _code: &'static str) {}

    fn delivered(&self, _channel: &str, _outcome: &'static str) {}

    fn queued(&self, _channel: &str, _messages: u64) {}

    fn unreached(&self) {}
}
