//! The configuration: one file and the environment, read once.
//!
//! `HOME/vouchsafe.toml` may say what follows here, and nothing else; without it the defaults hold.
//! No secret is ever in it, only where one is. The environment has `VOUCHSAFE_HOME`, `RUST_LOG` and
//! systemd's `CREDENTIALS_DIRECTORY`.

mod environment;
mod file;
mod http;
mod notify;

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use vouchsafe_core::policy::ApproverRef;

pub use self::environment::Environment;
pub use self::http::PublicUrl;
pub(crate) use self::notify::mailbox;
pub use self::notify::{
    Email, Notify, Slack, SlackWay, SmtpTls, Webhook, WebhookTemplate, WebhookUrl,
};

/// The name of the file in a home.
pub const FILE_NAME: &str = "vouchsafe.toml";
/// The largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// How the daemon is set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// `[http]`: the agents' door.
    pub http: Http,
    /// `[grpc]`: the users' door.
    pub grpc: Grpc,
    /// `[mcp]`: calls that wait for people.
    pub mcp: Mcp,
    /// `[policy]`: where the rules are.
    pub policy: Policy,
    /// `[root_key]`: where the root key comes from.
    pub root_key: RootKey,
    /// `[log]`: what the daemon says.
    pub log: Log,
    /// `[store]`: the database.
    pub store: Store,
    /// `[secrets]`: how long values are kept that are not in use.
    pub secrets: Secrets,
    /// `[notify]`: how people are reached.
    pub notify: Notify,
}

/// `[secrets]`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Secrets {
    /// `undelete_for`: how long a deleted secret can be undeleted, and then its values are wiped;
    /// `30d`, and 0 to 3650 days.
    pub undelete_for: Duration,
    /// `keep_versions`: of each secret, the newest; the values of older ones are wiped. 100, and 2
    /// to 1000.
    pub keep_versions: u32,
}

/// `[http]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Http {
    /// `listen`: the address; `127.0.0.1:7431`. There is no TLS here: for other machines put a
    /// proxy before it, and list in `allowed_hosts` what clients call it.
    pub listen: SocketAddr,
    /// `allowed_hosts`: names a request may be sent to besides the address itself; none, 50 at most.
    pub allowed_hosts: Vec<String>,
    /// `allowed_origins`: pages that may send requests; none, 50 at most.
    pub allowed_origins: Vec<String>,
    /// `trusted_proxies`: addresses and networks, such as `10.0.0.0/8`, whose `X-Forwarded-For` is
    /// believed; none, 50 at most.
    pub trusted_proxies: Vec<IpNet>,
    /// `max_connections`: at once; 1024, and 1 to 65536.
    pub max_connections: usize,
    /// `public_url`: where people's browsers reach the daemon, such as
    /// `https://vouchsafe.example.com`; the links in messages begin so. None: the address itself.
    /// Without TLS it is this very machine. Its name need not be in `allowed_hosts` too.
    pub public_url: Option<PublicUrl>,
}

/// `[grpc]`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Grpc {
    /// `listen`, `tls_cert`, `tls_key`: all three or none. Without them the door is the home's
    /// Unix socket alone.
    pub tcp: Option<GrpcTcp>,
}

/// A TCP address of the users' door, always with TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrpcTcp {
    /// `listen`: the address.
    pub listen: SocketAddr,
    /// `tls_cert`: a PEM file with the certificate and those that lead to it.
    pub tls_cert: PathBuf,
    /// `tls_key`: a PEM file with its private key.
    pub tls_key: PathBuf,
}

/// `[mcp]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mcp {
    /// `block_seconds`: how long a call that needs a person is held open; 25, and 0 to 45.
    pub block_for: Duration,
    /// `max_waiting`: calls held open at once, the rest are told to come back; 1000, and 1 to
    /// 10000.
    pub max_waiting: usize,
}

/// `[policy]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// `dir`: the folder of the rules, relative to the home; `policies`.
    pub dir: PathBuf,
    /// `watch`: whether a changed folder is read by itself; `true`. Without, `vouchsafe policy
    /// reload` or SIGHUP has it read.
    pub watch: bool,
    /// `approval = "required"`: a changed folder is held until people approve the change; it is
    /// `none` where nothing is said.
    pub approval: Option<PolicyApproval>,
}

/// Who has to approve a change of the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyApproval {
    /// `approvers`: users, and groups as `group:NAME`; empty: whoever has the role admin. 50 at
    /// most.
    pub approvers: Vec<ApproverRef>,
    /// `quorum`: how many of them; 1, and 1 to 20. Whoever asks for the change never counts; where
    /// it was found in the folder and nobody knows whose it is, it takes one more.
    pub quorum: u32,
}

/// `[root_key]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RootKey {
    /// `source = "file"`: the key is in the file `path`, relative to the home; `root.key`. It is
    /// made by `vouchsafed init`.
    File(PathBuf),
    /// `source = "passphrase"`: it is made from the words in the file `path`.
    Passphrase(PathBuf),
    /// `source = "command"`: `command` writes it to standard output; its program first.
    Command(Vec<String>),
    /// `source = "credential"`: systemd gives it, under the name `credential`;
    /// `vouchsafe-root-key`.
    Credential {
        /// `$CREDENTIALS_DIRECTORY`.
        directory: PathBuf,
        /// Its name.
        name: String,
    },
}

/// `[log]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// `filter`: which lines, as `RUST_LOG` has it, which goes before it; `info`.
    pub filter: String,
    /// `format`: `pretty` or `json`; `pretty`.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people at a terminal.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// `[store]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Store {
    /// `readers`: connections to read from; 4, and 1 to 32.
    pub readers: u32,
}

/// A configuration that cannot be used: everything that is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ConfigError {
    /// Each thing that is wrong, by its place; at least one.
    pub problems: Vec<ConfigProblem>,
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigProblem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where no one line is to blame.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, or to do.
    pub mend: String,
}

impl Config {
    /// Reads the file, or takes the defaults where there is none. Paths in it begin at its folder.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let failed = |message: String, mend: &str| ConfigError {
            problems: vec![ConfigProblem {
                file: path.to_owned(),
                line: 0,
                message,
                mend: mend.to_owned(),
            }],
        };
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                let message = format!("cannot be read: {error}");
                return Err(failed(message, "let the daemon read it, or take it away"));
            }
        };
        file::parse(path, &text, environment)
    }

    /// What is allowed and yet hardly meant, each as a sentence: it keeps no daemon from starting.
    pub fn warnings(&self) -> Vec<String> {
        let channels: Vec<_> = self.notify.channels().map(|name| name.to_string()).collect();
        if channels.is_empty() || self.http.public_url.is_some() {
            return Vec::new();
        }
        vec![format!(
            "the links in messages ({}) lead to what http.listen has, {}, which other machines may \
             not reach; set http.public_url to where people's browsers reach the daemon",
            channels.join(", "),
            self.http.listen
        )]
    }

    /// What holds where nothing is said, in this home.
    pub fn defaults(home: &Path) -> Self {
        Self {
            http: Http {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7431)),
                allowed_hosts: Vec::new(),
                allowed_origins: Vec::new(),
                trusted_proxies: Vec::new(),
                max_connections: 1024,
                public_url: None,
            },
            grpc: Grpc::default(),
            mcp: Mcp { block_for: Duration::from_secs(25), max_waiting: 1000 },
            policy: Policy { dir: home.join("policies"), watch: true, approval: None },
            root_key: RootKey::File(home.join("root.key")),
            log: Log { filter: "info".to_owned(), format: LogFormat::default() },
            store: Store { readers: 4 },
            secrets: Secrets { undelete_for: Duration::from_hours(30 * 24), keep_versions: 100 },
            notify: Notify::default(),
        }
    }
}

impl fmt::Display for ConfigError {
    /// A line a problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigProblem {
    /// `vouchsafe.toml:7: what is wrong; what to do`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, "; {}", self.mend) }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("it is over 64 KiB"));
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests;
