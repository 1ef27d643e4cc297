//! The pages, in a browser: what people do there, and how every page looks.
//!
//! `tests/run` installs what drives the browser and runs this; plain `cargo test` does not, for it
//! needs Rust alone. Pictures of every page are left in the target folder's `screenshots`.
#![cfg(test)]

mod gallery;

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;
use vouchsafe_tests::process::{Home, LONG, RealDaemon, program, setting};

use self::gallery::gallery;

/// Long enough not to be found by chance.
const VALUE: &str = "browser-value-5d20b7aa";

#[tokio::test]
async fn people_answer_on_the_pages() {
    let daemon = daemon().await;
    plays(&daemon, "answers").await;
}

#[tokio::test]
async fn a_page_that_stays_open_says_when_it_is_not_live() {
    let daemon = daemon().await;
    plays(&daemon, "live").await;
}

#[tokio::test]
async fn operators_work_on_the_pages() {
    let daemon = daemon().await;
    plays(&daemon, "operators").await;
}

/// Its clock is the test's, so that three days pass in a moment.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_fit_to_be_seen() {
    let gallery = gallery().await;
    let mut node = node("gallery");
    node.env("URL", gallery.daemon.page("")).envs(&gallery.places);
    succeeds(node, String::new).await;
}

/// With secrets and a key. A call that needs people does not wait for them.
async fn daemon() -> RealDaemon {
    let home = Home::init().await;
    home.configure("[http]\nlisten = \"127.0.0.1:0\"\n\n[mcp]\nblock_seconds = 1\n");
    let daemon = RealDaemon::serve(home).await;
    for name in ["ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN"] {
        daemon.put(&format!("asked/{name}"), VALUE).await;
    }
    daemon.put("free/PLAIN", VALUE).await;
    daemon.key("claude", "secrets:read,secrets:reveal").await;
    daemon
}

/// Plays `NAME.mjs` against a daemon.
async fn plays(daemon: &RealDaemon, name: &str) {
    let mut node = node(name);
    node.env("URL", daemon.page(""))
        .env("AGENTS", daemon.url("/mcp"))
        .env("VOUCHSAFE", program("vouchsafe"))
        .env("VOUCHSAFE_HOME", daemon.path())
        .env("TOKEN", daemon.admin_token())
        .env("KEY", daemon.read("keys/claude.key").trim());
    succeeds(node, || daemon.log()).await;
    assert!(!daemon.log().contains(VALUE), "the value is in the daemon's log");
}

fn node(name: &str) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("browser/{name}.mjs"));
    let chromium = setting("VOUCHSAFE_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".to_owned());
    let mut node = Command::new("node");
    node.arg(script)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .env("VALUE", VALUE)
        .env("CHROMIUM", chromium)
        .env("NODE_MODULES", installed())
        .env("SCREENSHOTS", screenshots());
    node
}

async fn succeeds(mut node: Command, log: impl FnOnce() -> String) {
    let output = tokio::time::timeout(LONG * 15, node.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{error}\n{}", log());
}

/// Where `tests/run` installs what drives the browser.
fn installed() -> PathBuf {
    let given = setting("VOUCHSAFE_INTEROP_DIR").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| target().join("interop"));
    assert!(dir.is_dir(), "nothing drives a browser in {}: run tests/run", dir.display());
    dir
}

/// Where the pictures go.
fn screenshots() -> PathBuf {
    let dir = target().join("screenshots");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// The target folder: this program is in `TARGET/PROFILE/deps`.
fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_owned()
}
