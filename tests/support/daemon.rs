//! A daemon in the test's own process: the real one, on real sockets and a real database, but for
//! its clock.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a daemon that does not start is a failed test"
)]
#![expect(clippy::indexing_slicing, reason = "somebody nobody has made is a mistake of the test")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tonic::transport::Channel;
use vouchsafe_core::key::RATE_MAX;
use vouchsafe_core::route::LOCAL_NAME;
use vouchsafe_core::time::UnixTime;
use vouchsafe_proto::v1::{
    CreateKeyRequest, CreateUserRequest, ReloadPolicyRequest, ReloadPolicyResponse, Role,
};
use vouchsafed::app::{self, App, Running, StartError};
use vouchsafed::clock::Clock;
use vouchsafed::config::{self, Config, Environment};
use vouchsafed::home::Home;

use crate::broker::{ADMIN, temp_home};
use crate::clock::TestClock;
use crate::events::within;
use crate::grpc::{Person, connect};
use crate::mcp::Agent;

/// Rules that most tests do with. The group `oncall` is ann, bob and cat.
pub const RULES: &str = r#"
[[rule]]
name = "Production"
resource = "vouchsafe://secrets/production/*"
operations = ["list", "use", "read"]
approvers = ["group:oncall"]
lease = { default = "15m", max = "1h", uses = 5 }
pending_for = "1h"

[[rule]]
name = "Two people"
resource = "vouchsafe://secrets/vault/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
quorum = 2
lease = { default = "15m", max = "30m" }

[[rule]]
name = "Own"
resource = "vouchsafe://secrets/own/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
self_approval = true

[[rule]]
name = "Staging"
resource = "vouchsafe://secrets/staging/*"
operations = ["list", "read"]
approval = "none"
lease = { default = "10m", max = "20m", uses = 3 }

[[rule]]
name = "Following"
resource = "vouchsafe://secrets/follow/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
follow_rotation = true

[[rule]]
name = "Explained"
resource = "vouchsafe://secrets/explained/*"
operations = ["list", "read"]
approvers = ["group:oncall"]
require_reason = true
min_reason_length = 20
"#;

/// A daemon to be.
#[derive(Debug)]
pub struct Builder {
    rules: String,
    filled: bool,
    block_for: Duration,
    waiting_max: usize,
    settings: String,
    files: Vec<(String, String)>,
    clock: Arc<TestClock>,
}

/// A daemon that runs, with its people, its agents and its secrets.
#[derive(Debug)]
pub struct TestDaemon {
    home: TempDir,
    config: Config,
    /// Its clock.
    pub clock: Arc<TestClock>,
    running: Option<Running>,
    channel: Channel,
    tokens: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
}

impl TestDaemon {
    /// A daemon with the usual rules, whose calls wait as long as they may.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A daemon that is to be a little different.
    pub fn builder() -> Builder {
        Builder {
            rules: RULES.to_owned(),
            filled: true,
            block_for: Duration::from_secs(45),
            waiting_max: 1_000,
            settings: String::new(),
            files: Vec::new(),
            clock: TestClock::new(),
        }
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.home().join("vouchsafe.db")
    }

    /// How it is set; changes hold from the next start on.
    pub fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The daemon itself.
    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Where agents reach it.
    pub fn mcp_url(&self) -> String {
        format!("http://{}/mcp", self.running().http_addr)
    }

    /// Another address of the same listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running().http_addr)
    }

    /// Where a page is.
    pub fn page(&self, path: &str) -> String {
        format!("http://{LOCAL_NAME}:{}{path}", self.running().http_addr.port())
    }

    /// Somebody by name, with their token.
    pub fn grpc(&self, name: &str) -> Person {
        Person::new(self.channel.clone(), Some(&self.tokens[name]))
    }

    /// Somebody with this token, or with none.
    pub fn grpc_with(&self, token: Option<&str>) -> Person {
        Person::new(self.channel.clone(), token)
    }

    /// The admin.
    pub fn admin(&self) -> Person {
        self.grpc(ADMIN)
    }

    /// A person's token.
    pub fn token(&self, name: &str) -> &str {
        &self.tokens[name]
    }

    /// An agent by its key's name.
    pub fn agent(&self, key: &str) -> Agent {
        self.agent_with(&self.keys[key])
    }

    /// An agent with this key's value, whatever it is.
    pub fn agent_with(&self, value: &str) -> Agent {
        Agent::new(&self.mcp_url(), value)
    }

    /// Makes a person.
    pub async fn add_user(&mut self, name: &str, roles: &[Role], groups: &[&str]) {
        let request = CreateUserRequest {
            name: name.to_owned(),
            roles: roles.iter().map(|role| i32::from(*role)).collect(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            project: String::new(),
        };
        let made = self.admin().users().create_user(request).await.unwrap().into_inner();
        self.tokens.insert(name.to_owned(), made.token);
    }

    /// Keeps a person's new token.
    pub fn set_token(&mut self, name: &str, token: String) {
        self.tokens.insert(name.to_owned(), token);
    }

    /// Makes a key that may make as many requests as a test can.
    pub async fn add_key(&mut self, name: &str, owner: &str, scopes: &[&str]) {
        self.add_key_as(CreateKeyRequest {
            name: name.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            owner: owner.to_owned(),
            rate: RATE_MAX,
            ..CreateKeyRequest::default()
        })
        .await;
    }

    /// Makes this key.
    pub async fn add_key_as(&mut self, request: CreateKeyRequest) {
        let name = request.name.clone();
        let made = self.admin().keys().create_key(request).await.unwrap().into_inner();
        self.keys.insert(name, made.value);
    }

    /// Keeps a key's new value.
    pub fn set_key(&mut self, name: &str, value: String) {
        self.keys.insert(name.to_owned(), value);
    }

    /// Writes the rules and has them read.
    pub async fn load_rules(&self, rules: &str) -> ReloadPolicyResponse {
        self.write_rules("test.toml", rules);
        self.reload().await
    }

    /// Writes a file into the policy folder, or into a project's folder there.
    pub fn write_rules(&self, name: &str, text: &str) {
        let path = self.home().join("policies").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The admin has the rules read.
    pub async fn reload(&self) -> ReloadPolicyResponse {
        let admin = self.admin();
        admin.policy().reload_policy(ReloadPolicyRequest {}).await.unwrap().into_inner()
    }

    /// Time passes, and what is due by then happens.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.sweep().await;
    }

    /// What is due happens now.
    pub async fn sweep(&self) {
        while self.running().broker().sweep().await.unwrap() {}
    }

    /// Waits until this many calls are held open.
    pub async fn waiting(&self, count: usize) {
        crate::events::eventually("calls to wait", || async {
            (self.running().broker().calls_waiting() == count).then_some(())
        })
        .await;
    }

    /// Stops in order.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.drain();
            within("the daemon to stop", running.wait()).await.unwrap();
        }
    }

    /// Starts on the same home.
    pub async fn try_start(&mut self) -> Result<(), StartError> {
        let home = Home::open(self.home.path())?;
        let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(&self.clock);
        let built = App::build(&self.config, home, clock).await;
        let running = built?.spawn().await?;
        self.running = Some(running);
        self.channel = connect(&self.home().join("grpc.sock"));
        Ok(())
    }

    /// Stops in order and starts again on the same home.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.try_start().await.unwrap_or_else(|error| panic!("{error:?}"));
    }
}

impl Builder {
    /// With these rules.
    #[must_use]
    pub fn rules(mut self, rules: &str) -> Self {
        rules.clone_into(&mut self.rules);
        self
    }

    /// With nobody but the admin, no keys, no secrets and no rules.
    #[must_use]
    pub fn empty(mut self) -> Self {
        self.rules.clear();
        self.filled = false;
        self
    }

    /// Its clock stands at this time first.
    #[must_use]
    pub fn at(self, time: UnixTime) -> Self {
        let start = self.clock.now().wall;
        self.clock.set_back_wall(start.since(time));
        self.clock.advance_wall(time.since(start));
        self
    }

    /// Calls that need a person are held this long.
    #[must_use]
    pub fn block_for(mut self, block_for: Duration) -> Self {
        self.block_for = block_for;
        self
    }

    /// So many calls are held at most.
    #[must_use]
    pub fn waiting_max(mut self, waiting_max: usize) -> Self {
        self.waiting_max = waiting_max;
        self
    }

    /// With this in its `vouchsafe.toml`; [`Self::file`] makes files that it names.
    #[must_use]
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self
    }

    /// With this file in its home, readable by its owner alone.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Makes the home and starts.
    ///
    /// People: `admin`; `ann`, `bob` and `cat`, approvers on call; `dan`, an approver who is not.
    /// Keys: `claude` of ann's and `cursor` of bob's, which may see values; `blind` of ann's, which
    /// may not. Secrets: one a rule.
    pub async fn start(self) -> TestDaemon {
        // An error means that another test of this binary was first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let dir = temp_home();
        let home = Home::create(dir.path()).unwrap();
        fs::create_dir(dir.path().join("policies")).unwrap();
        fs::write(dir.path().join("policies/test.toml"), "").unwrap();
        for (name, text) in &self.files {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        let path = dir.path().join(config::FILE_NAME);
        fs::write(&path, &self.settings).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let read = Config::load(&path, &Environment::default());
        let mut config = read.unwrap_or_else(|error| panic!("{error}"));
        config.http.listen.set_port(0);
        config.mcp.block_for = self.block_for;
        config.mcp.max_waiting = self.waiting_max;
        // Tests say when the rules are read; those about the watch turn it on.
        config.policy.watch = false;
        let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(&self.clock);
        app::init(&config, home, ADMIN, clock).await.unwrap();
        let token = admin_token(dir.path());
        let mut daemon = TestDaemon {
            channel: connect(&dir.path().join("grpc.sock")),
            home: dir,
            config,
            clock: self.clock,
            running: None,
            tokens: BTreeMap::from([(ADMIN.to_owned(), token)]),
            keys: BTreeMap::new(),
        };
        daemon.try_start().await.unwrap_or_else(|error| panic!("{error:?}"));
        if self.filled {
            daemon.fill().await;
        }
        let loaded = daemon.load_rules(&self.rules).await;
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        daemon
    }
}

impl TestDaemon {
    async fn fill(&mut self) {
        for name in ["ann", "bob", "cat"] {
            self.add_user(name, &[Role::Approver], &["oncall"]).await;
        }
        self.add_user("dan", &[Role::Approver], &[]).await;
        self.add_key("claude", "ann", &["secrets:read", "secrets:reveal"]).await;
        self.add_key("cursor", "bob", &["secrets:read", "secrets:reveal"]).await;
        self.add_key("blind", "ann", &["secrets:read"]).await;
        for path in ["production/DB", "production/API", "vault/CODE", "own/NOTE", "staging/DB"] {
            self.admin().put(path, &value_of(path)).await;
        }
        for path in ["follow/TOKEN", "explained/KEY", "unruled/THING"] {
            self.admin().put(path, &value_of(path)).await;
        }
    }
}

/// What the secret at this path holds at first.
pub fn value_of(path: &str) -> String {
    format!("value-of-{path}")
}

fn admin_token(home: &Path) -> String {
    let text = fs::read_to_string(home.join("credentials.toml")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("token = \"")).unwrap();
    line.trim_end_matches('"').to_owned()
}
