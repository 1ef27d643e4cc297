//! A home folder of its own.
#![expect(clippy::unwrap_used, reason = "a test without a home ends")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use vouchsafe_core::key::RATE_MAX;

use super::{Said, run, until};

/// Rules for tests: `asked/*` and `often/*` ask the admin, `free/*` asks nobody.
pub const RULES: &str = r#"
[[rule]]
name        = "Asked"
resource    = "vouchsafe://secrets/asked/*"
operations  = ["list", "use", "read", "write", "delete"]
approvers   = ["admin"]
self_approval = true
lease       = { default = "10m", max = "1h", uses = 20 }
pending_for = "1h"

[[rule]]
name        = "Asked, and used as often as one likes"
resource    = "vouchsafe://secrets/often/*"
operations  = ["list", "use", "read"]
approvers   = ["admin"]
self_approval = true
lease       = { default = "10m", max = "1h" }
pending_for = "1h"

[[rule]]
name        = "Free"
resource    = "vouchsafe://secrets/free/*"
operations  = ["list", "use", "read"]
approval    = "none"
lease       = { default = "10m", max = "1h" }
"#;

/// A home in a temporary folder, gone at the end of its test.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// A path where a home may be made; nothing is there yet.
    pub fn nowhere() -> Self {
        // Short, because a socket's path may not be long.
        Self { dir: tempfile::Builder::new().prefix("vs").tempdir().unwrap() }
    }

    /// A home made by `vouchsafed init`, with the rules of `RULES` and an HTTP door on any port.
    pub async fn init() -> Self {
        let home = Self::nowhere();
        home.vouchsafed(["init"]).await.ok();
        // As long as a call may wait, so that a person on a busy machine is in time.
        home.configure("[http]\nlisten = \"127.0.0.1:0\"\n\n[mcp]\nblock_seconds = 45\n");
        home.rule("rules.toml", RULES);
        home
    }

    /// The home folder.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A path beside the home folder.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces the configuration.
    pub fn configure(&self, text: &str) {
        self.write("vouchsafe.toml", text);
    }

    /// Writes a file of rules and takes away the other ones. The folder stays: a daemon may be
    /// watching it, and sees a file that is whole, and at no time none.
    pub fn rule(&self, name: &str, text: &str) {
        let dir = self.path().join("policies");
        std::fs::create_dir_all(&dir).unwrap();
        let (beside, path) = (self.beside("rules-to-be"), dir.join(name));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, &path).unwrap();
        for other in std::fs::read_dir(&dir).unwrap() {
            let other = other.unwrap().path();
            if other != path {
                std::fs::remove_file(other).unwrap();
            }
        }
    }

    /// Writes a file below the home.
    pub fn write(&self, name: impl AsRef<Path>, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Reads a file below the home.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Runs `vouchsafed` on this home to its end.
    pub async fn vouchsafed<const N: usize>(&self, args: [&str; N]) -> Said {
        run("vouchsafed", &self.path(), args, b"").await
    }

    /// Runs `vouchsafe` on this home.
    pub async fn vouchsafe<const N: usize>(&self, args: [&str; N]) -> Said {
        run("vouchsafe", &self.path(), args, b"").await
    }

    /// Puts a secret, its value on standard input.
    pub async fn put(&self, path: &str, value: &str) -> Said {
        run("vouchsafe", &self.path(), ["secrets", "put", path], value.as_bytes()).await.ok()
    }

    /// Makes an MCP key that may make as many requests as a test can, kept in the home; returns its
    /// value.
    pub async fn key(&self, name: &str, scopes: &str) -> String {
        let rate = RATE_MAX.to_string();
        let args = ["keys", "create", name, "--scopes", scopes, "--rate", &rate, "--save"];
        self.vouchsafe(args).await.ok();
        self.read(format!("keys/{name}.key")).trim().to_owned()
    }

    /// The id of an ask for this resource that is pending, once there is one.
    pub async fn pending(&self, uri: &str) -> String {
        until("somebody asks", async || {
            let args = ["approvals", "--status", "pending", "--resource", uri, "-o", "json"];
            let listed = self.vouchsafe(args).await.ok().json();
            listed.pointer("/0/id").and_then(Value::as_str).map(str::to_owned)
        })
        .await
    }

    /// The admin's token.
    pub fn admin_token(&self) -> String {
        let credentials = self.read("credentials.toml");
        let token = credentials.lines().find_map(|line| line.strip_prefix("token"));
        token.unwrap().trim_matches(|c: char| " =\"".contains(c)).to_owned()
    }
}
