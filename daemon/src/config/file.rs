//! The file as it is written, and what is checked before it is believed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use vouchsafe_core::policy::ApproverRef;
use vouchsafe_core::text::echo;
use vouchsafe_core::time::parse_duration;

use super::http::HttpTable;
use super::notify::NotifyTable;
use super::{
    Config, ConfigError, ConfigProblem, Environment, Grpc, GrpcTcp, LogFormat, Policy,
    PolicyApproval, RootKey, Secrets,
};

/// The most names in a list.
const NAMES_MAX: usize = 50;
/// How much of a name that is wrong is repeated, in characters.
pub(super) const NAME_ECHO_CHARS: usize = 100;
/// The most words of a command.
const COMMAND_WORDS_MAX: usize = 50;
/// The longest time a deleted secret can be kept for.
const UNDELETE_MAX: Duration = Duration::from_hours(3_650 * 24);
/// The credential's name where none is given.
const CREDENTIAL: &str = "vouchsafe-root-key";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    http: HttpTable,
    grpc: GrpcTable,
    mcp: McpTable,
    policy: PolicyTable,
    root_key: RootKeyTable,
    log: LogTable,
    store: StoreTable,
    secrets: SecretsTable,
    notify: NotifyTable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct SecretsTable {
    undelete_for: Option<Spanned<String>>,
    keep_versions: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct GrpcTable {
    listen: Option<Spanned<String>>,
    tls_cert: Option<Spanned<PathBuf>>,
    tls_key: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct McpTable {
    block_seconds: Option<Spanned<i64>>,
    max_waiting: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PolicyTable {
    dir: Option<PathBuf>,
    watch: Option<bool>,
    approval: Option<Spanned<Approval>>,
    approvers: Option<Spanned<Vec<String>>>,
    quorum: Option<Spanned<i64>>,
}

#[derive(Clone, Copy, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Approval {
    #[default]
    None,
    Required,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RootKeyTable {
    source: Option<Spanned<Source>>,
    path: Option<Spanned<PathBuf>>,
    command: Option<Spanned<Vec<String>>>,
    credential: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Source {
    #[default]
    File,
    Passphrase,
    Command,
    Credential,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LogTable {
    filter: Option<String>,
    format: Option<LogFormat>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct StoreTable {
    readers: Option<Spanned<i64>>,
}

/// Reads the text of a file.
pub(super) fn parse(
    path: &Path,
    text: &str,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let mut check = Check { path, text, problems: Vec::new() };
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let mend = if error.message().starts_with("unknown field") {
                "take it away, or correct its spelling"
            } else {
                "correct it"
            };
            let message = error.message().trim_end().replace('\n', " ");
            check.problem(at, message, mend);
            return Err(check.failed());
        }
    };
    let config = check.config(file, environment);
    if check.problems.is_empty() { Ok(config) } else { Err(check.failed()) }
}

/// A file on its way to a configuration.
pub(super) struct Check<'f> {
    path: &'f Path,
    text: &'f str,
    problems: Vec<ConfigProblem>,
}

impl Check<'_> {
    fn config(&mut self, file: File, environment: &Environment) -> Config {
        let home = self.path.parent().unwrap_or(Path::new("")).to_owned();
        let mut config = Config::defaults(&home);
        self.http(file.http, &mut config.http);
        config.grpc = Grpc { tcp: self.grpc(file.grpc, &home) };
        let clients = "45 at most, since clients give up at 60 s";
        let block = (file.mcp.block_seconds, "mcp.block_seconds", 0..=45, clients);
        if let Some(seconds) = self.number(block.0, block.1, block.2, block.3) {
            config.mcp.block_for = Duration::from_secs(seconds);
        }
        let waiting = file.mcp.max_waiting;
        if let Some(most) = self.number(waiting, "mcp.max_waiting", 1..=10_000, "1 to 10000") {
            config.mcp.max_waiting = usize::try_from(most).unwrap_or(usize::MAX);
        }
        self.policy(file.policy, &home, &mut config.policy);
        if let Some(root_key) = self.root_key(file.root_key, &home, environment) {
            config.root_key = root_key;
        }
        let filter = environment.rust_log.clone().or(file.log.filter);
        config.log.filter = filter.unwrap_or(config.log.filter);
        config.log.format = file.log.format.unwrap_or_default();
        if let Some(readers) = self.number(file.store.readers, "store.readers", 1..=32, "1 to 32") {
            config.store.readers = u32::try_from(readers).unwrap_or(u32::MAX);
        }
        self.secrets(file.secrets, &mut config.secrets);
        config.notify = self.notify(file.notify, &home);
        config
    }

    fn secrets(&mut self, table: SecretsTable, secrets: &mut Secrets) {
        if let Some(field) = table.undelete_for {
            match parse_duration(field.get_ref()) {
                Ok(time) if time <= UNDELETE_MAX => secrets.undelete_for = time,
                Ok(_) => {
                    let message = "secrets.undelete_for is over 3650 days".to_owned();
                    self.problem(field.span().start, message, "write a shorter time");
                }
                Err(error) => {
                    let message = format!("secrets.undelete_for: {error}");
                    self.problem(field.span().start, message, "write a time such as \"30d\"");
                }
            }
        }
        let kept = table.keep_versions;
        if let Some(most) = self.number(kept, "secrets.keep_versions", 2..=1000, "2 to 1000") {
            secrets.keep_versions = u32::try_from(most).unwrap_or(u32::MAX);
        }
    }

    /// All three or none: there is no TCP without TLS.
    fn grpc(&mut self, table: GrpcTable, home: &Path) -> Option<GrpcTcp> {
        let GrpcTable { listen, tls_cert, tls_key } = table;
        let given = [
            ("grpc.listen", listen.as_ref().map(|field| field.span().start)),
            ("grpc.tls_cert", tls_cert.as_ref().map(|field| field.span().start)),
            ("grpc.tls_key", tls_key.as_ref().map(|field| field.span().start)),
        ];
        let (_, at) = given.iter().find(|(_, at)| at.is_some())?;
        let missing = given.iter().filter(|(_, at)| at.is_none()).map(|(field, _)| *field);
        let missing: Vec<_> = missing.collect();
        let listen = self.address(listen, "grpc.listen");
        let (Some(cert), Some(key), []) = (tls_cert, tls_key, missing.as_slice()) else {
            let message = format!("{} missing: gRPC over TCP is always with TLS", are(&missing));
            self.problem(at.unwrap_or(0), message, "give all three, or none of them");
            return None;
        };
        Some(GrpcTcp {
            listen: listen?,
            tls_cert: home.join(cert.into_inner()),
            tls_key: home.join(key.into_inner()),
        })
    }

    fn policy(&mut self, table: PolicyTable, home: &Path, policy: &mut Policy) {
        let PolicyTable { dir, watch, approval, approvers, quorum } = table;
        if let Some(dir) = dir {
            policy.dir = home.join(dir);
        }
        policy.watch = watch.unwrap_or(policy.watch);
        let at = approvers.as_ref().map(|field| field.span().start);
        let given = at.or(quorum.as_ref().map(|field| field.span().start));
        let names = self.names(approvers, "policy.approvers");
        let mut asked = Vec::new();
        for name in names {
            match name.parse::<ApproverRef>() {
                Ok(approver) => asked.push(approver),
                Err(error) => {
                    let name = echo(&name, NAME_ECHO_CHARS);
                    let message = format!("policy.approvers names `{name}`: {error}");
                    self.problem(at.unwrap_or(0), message, "write a user's name, or group:NAME");
                }
            }
        }
        let quorum = self.number(quorum, "policy.quorum", 1..=20, "1 to 20").unwrap_or(1);
        match approval.map(Spanned::into_inner).unwrap_or_default() {
            Approval::Required => {
                let quorum = u32::try_from(quorum).unwrap_or(u32::MAX);
                policy.approval = Some(PolicyApproval { approvers: asked, quorum });
            }
            Approval::None => {
                if let Some(at) = given {
                    let message = "policy.approvers and policy.quorum say who approves a change \
                                   of the rules, and policy.approval asks nobody";
                    let mend = "write approval = \"required\", or take them away";
                    self.problem(at, message.to_owned(), mend);
                }
            }
        }
    }

    fn root_key(
        &mut self,
        table: RootKeyTable,
        home: &Path,
        environment: &Environment,
    ) -> Option<RootKey> {
        let at = table.source.as_ref().map_or(0, |source| source.span().start);
        let source = table.source.map(Spanned::into_inner).unwrap_or_default();
        let fields = [
            ("path", table.path.as_ref().map(|field| field.span().start)),
            ("command", table.command.as_ref().map(|field| field.span().start)),
            ("credential", table.credential.as_ref().map(|field| field.span().start)),
        ];
        for (field, place) in fields {
            if let Some(place) = place.filter(|_| field != source.field()) {
                let message =
                    format!("root_key.{field} means nothing where the source is {}", source.name());
                self.problem(place, message, "take it away, or change root_key.source");
            }
        }
        let path = table.path.map(|path| home.join(path.into_inner()));
        match source {
            Source::File => path.map(RootKey::File),
            Source::Passphrase => {
                let mend = "name the private file that holds the passphrase";
                self.needed(path, at, "root_key.path", mend).map(RootKey::Passphrase)
            }
            Source::Command => {
                let words = table.command.map(Spanned::into_inner).unwrap_or_default();
                let fits = (1..=COMMAND_WORDS_MAX).contains(&words.len());
                let words = fits.then_some(words);
                let mend = "write its program and up to 49 arguments, each in quotes";
                self.needed(words, at, "root_key.command", mend).map(RootKey::Command)
            }
            Source::Credential => {
                let directory = environment.credentials_directory.clone();
                if directory.is_none() {
                    let message = "root_key.source is credential, and systemd gives none";
                    let mend =
                        "start the daemon as a unit with LoadCredential=, or change the source";
                    self.problem(at, message.to_owned(), mend);
                }
                let name =
                    table.credential.map_or_else(|| CREDENTIAL.to_owned(), Spanned::into_inner);
                directory.map(|directory| RootKey::Credential { directory, name })
            }
        }
    }

    pub(super) fn needed<T>(
        &mut self,
        value: Option<T>,
        at: usize,
        field: &str,
        mend: &str,
    ) -> Option<T> {
        if value.is_none() {
            self.problem(at, format!("{field} is missing, or too long"), mend);
        }
        value
    }

    pub(super) fn address(
        &mut self,
        field: Option<Spanned<String>>,
        name: &str,
    ) -> Option<SocketAddr> {
        let field = field?;
        let parsed = field.get_ref().parse().ok();
        if parsed.is_none() {
            let message = format!("{name} is `{}`, which is no address", field.get_ref());
            let mend = "write an IP address and a port, such as 127.0.0.1:7431";
            self.problem(field.span().start, message, mend);
        }
        parsed
    }

    pub(super) fn number(
        &mut self,
        field: Option<Spanned<i64>>,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
        limits: &str,
    ) -> Option<u64> {
        let field = field?;
        let value = *field.get_ref();
        if !range.contains(&value) {
            let message = format!("{name} is {value}: {limits}");
            self.problem(field.span().start, message, "correct it");
            return None;
        }
        u64::try_from(value).ok()
    }

    pub(super) fn names(&mut self, field: Option<Spanned<Vec<String>>>, name: &str) -> Vec<String> {
        let Some(field) = field else { return Vec::new() };
        let at = field.span().start;
        let names = field.into_inner();
        if names.len() > NAMES_MAX {
            let message = format!("{name} has {} entries: {NAMES_MAX} at most", names.len());
            self.problem(at, message, "take some away");
        }
        if names.iter().any(|name| name.trim().is_empty()) {
            self.problem(at, format!("{name} has an empty entry"), "take it away");
        }
        names
    }

    pub(super) fn problem(&mut self, at: usize, message: String, mend: &str) {
        let before = self.text.get(..at).unwrap_or_default();
        self.problems.push(ConfigProblem {
            file: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            message,
            mend: mend.to_owned(),
        });
    }

    fn failed(mut self) -> ConfigError {
        self.problems.sort_by_key(|problem| problem.line);
        ConfigError { problems: self.problems }
    }
}

impl Source {
    /// The field that goes with it.
    const fn field(self) -> &'static str {
        match self {
            Self::File | Self::Passphrase => "path",
            Self::Command => "command",
            Self::Credential => "credential",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Passphrase => "passphrase",
            Self::Command => "command",
            Self::Credential => "credential",
        }
    }
}

/// `a is`, `a and b are`.
fn are(names: &[&str]) -> String {
    format!("{} {}", names.join(" and "), if names.len() == 1 { "is" } else { "are" })
}
