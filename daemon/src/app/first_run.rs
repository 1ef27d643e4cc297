//! Making a home, and telling its owner what to do with it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use vouchsafe_core::secret::SecretBytes;

use super::error::StartError;
use super::{assemble, examples};
use crate::broker::Setup;
use crate::clock::Clock;
use crate::config::{Config, RootKey};
use crate::home::Home;

/// Secrets to try things out on; none is one.
const DEMO_SECRETS: [(&str, &str, &str); 2] = [
    (
        "production/DATABASE_URL",
        "A made-up database, to try an approval on",
        "postgres://demo:not-a-real-password@db.internal/app",
    ),
    ("staging/API_TOKEN", "A made-up token, to try a lease on", "demo-not-a-real-token"),
];
/// The first admin of a dev home.
const DEV_ADMIN: &str = "admin";

/// What was made, for people: its `Display` says what to do next and holds no secret.
#[derive(Clone, Debug)]
pub struct Made {
    home: Home,
    admin: String,
    root_key: Option<PathBuf>,
    /// The folder of rules, where it was written just now.
    policies: Option<PathBuf>,
    dev: bool,
}

/// Sets a new home up for work.
pub async fn init(
    config: &Config,
    home: Home,
    admin: &str,
    clock: Arc<dyn Clock>,
) -> Result<Made, StartError> {
    set_up(config, home, admin, Vec::new(), clock).await
}

/// Sets a dev home up where it is new; answers with nothing where it was set up before.
pub async fn prepare_dev(
    config: &Config,
    home: Home,
    clock: Arc<dyn Clock>,
) -> Result<Option<Made>, StartError> {
    if !config.http.listen.ip().is_loopback() {
        return Err(StartError::Usage(
            "a dev home listens on this machine only: give --listen 127.0.0.1:PORT",
        ));
    }
    if home.database().exists() {
        return Ok(None);
    }
    let secret = |(path, description, value): (&str, &str, &str)| {
        let value = SecretBytes::new(value.as_bytes().to_vec());
        (path.to_owned(), description.to_owned(), value)
    };
    let secrets = DEMO_SECRETS.map(secret).into();
    set_up(config, home, DEV_ADMIN, secrets, clock).await.map(Some)
}

async fn set_up(
    config: &Config,
    home: Home,
    admin: &str,
    secrets: Vec<(String, String, SecretBytes)>,
    clock: Arc<dyn Clock>,
) -> Result<Made, StartError> {
    let _lock = home.lock()?;
    if home.database().exists() {
        return Err(StartError::SetUp);
    }
    let dir = &config.policy.dir;
    let action = "write the first rules to the policy folder";
    let wrote = examples::write(dir).map_err(|source| StartError::System { action, source })?;
    let groups = examples::GROUPS.map(str::to_owned).into();
    let setup = Setup { admin: admin.to_owned(), groups, secrets };
    assemble::init(config, &home, clock, setup).await?;
    let root_key = match &config.root_key {
        RootKey::File(path) => Some(path.clone()),
        RootKey::Passphrase(_) | RootKey::Command(_) | RootKey::Credential { .. } => None,
    };
    Ok(Made {
        admin: admin.to_owned(),
        root_key,
        policies: wrote.then(|| dir.clone()),
        dev: home.is_dev(),
        home,
    })
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let home = self.home.dir().display();
        writeln!(f, "Made {home}:")?;
        if let Some(root_key) = &self.root_key {
            writeln!(
                f,
                "  root key      {} (keep a copy elsewhere: without it nothing opens)",
                root_key.display()
            )?;
        }
        writeln!(
            f,
            "  admin         {}, in the groups {}",
            self.admin,
            examples::GROUPS.join(", ")
        )?;
        writeln!(f, "  admin's token {} (not shown)", self.home.credentials_file().display())?;
        if let Some(policies) = &self.policies {
            writeln!(f, "  rules         {}", policies.display())?;
        }
        if self.dev {
            for (path, description, _) in DEMO_SECRETS {
                writeln!(f, "  secret        {path}: {description}")?;
            }
        }
        Ok(())
    }
}

/// What to paste where, once the daemon serves. The command line finds it by its home.
pub(super) fn next_steps(home: &Home, mcp_url: &str, named: bool) -> String {
    let dir = home.dir().display();
    let flag = if named { format!(" --home {dir}") } else { String::new() };
    let server = serde_json::json!({
        "mcpServers": {
            "vouchsafe": {
                "command": "vouchsafe",
                "args": args(home, named),
            }
        }
    });
    let pasted = serde_json::to_string_pretty(&server).unwrap_or_default();
    format!(
        "\
Connect Claude Desktop: this makes a key and writes the configuration,
  vouchsafe{flag} install claude-desktop
or make the key with `vouchsafe{flag} keys create claude-desktop` and paste
{pasted}
Agents that speak HTTP: {mcp_url}, with the key as bearer token.

In a second terminal:
  vouchsafe{flag} watch      answer what agents ask for
  vouchsafe{flag} dashboard  the same in a browser
  vouchsafe{flag} demo       see an ask, an approval, a lease and the log in half a minute
"
    )
}

fn args(home: &Home, named: bool) -> Vec<String> {
    let words = ["mcp", "--key", "claude-desktop"].map(str::to_owned);
    let dir = home.dir().display().to_string();
    let flag = named.then(|| ["--home".to_owned(), dir]).into_iter().flatten();
    flag.chain(words).collect()
}

impl Made {
    /// What to do next with a home that nothing serves yet.
    pub fn then_serve(&self, named: bool) -> String {
        let dir = self.home.dir().display();
        let flag = if named { format!(" --home {dir}") } else { String::new() };
        format!(
            "Start it with\n  vouchsafed serve{flag}\nand see how it is with\n  vouchsafe{flag} status\n"
        )
    }
}
