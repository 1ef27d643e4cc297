//! Starting: what a daemon makes, and what it refuses to start with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use vouchsafe_tests::process::{Agent, Home, RULES, RealDaemon, run, until};

/// What was typed or configured makes no sense.
const USAGE: i32 = 64;

#[tokio::test]
async fn a_second_daemon_is_told_which_one_serves_the_home() {
    let daemon = RealDaemon::start().await;
    let second = daemon.vouchsafed(["serve"]).await.failed(1);
    let first = format!("(pid {}) serves", daemon.pid());
    assert!(second.stderr.contains(&first), "{second}");
    daemon.vouchsafe(["status"]).await.ok();
}

#[tokio::test]
async fn a_home_is_made_once() {
    let home = Home::nowhere();
    let made = home.vouchsafed(["init"]).await.ok();
    let token = home.admin_token();
    assert!(!made.to_string().contains(&token), "the token is shown");
    let again = home.vouchsafed(["init"]).await;
    assert_ne!(again.code, 0, "{again}");
    assert_eq!(home.admin_token(), token);
}

#[tokio::test]
async fn there_must_be_a_home_to_serve() {
    let said = Home::nowhere().vouchsafed(["serve"]).await;
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("vouchsafed init"), "{said}");
}

#[tokio::test]
async fn a_home_that_others_can_reach_into_is_refused() {
    let home = Home::init().await;
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let said = home.vouchsafed(["serve"]).await;
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("chmod 700"), "{said}");
}

#[tokio::test]
async fn a_root_key_that_a_group_can_read_is_refused() {
    let home = Home::init().await;
    let key = home.path().join("root.key");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let said = home.vouchsafed(["serve"]).await;
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("root.key") && said.stderr.contains("0600"), "{said}");
}

#[tokio::test]
async fn the_root_key_of_another_home_opens_nothing() {
    let (home, other) = (Home::init().await, Home::init().await);
    let key = other.read("root.key");
    home.write("root.key", &key);
    let said = home.vouchsafed(["serve"]).await;
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("root key"), "{said}");
    assert!(!said.stderr.contains(key.trim()), "the key is shown");
    let checked = home.vouchsafed(["check-config"]).await.failed(1);
    assert!(checked.to_string().contains("root key"), "{checked}");
}

#[tokio::test]
async fn an_unknown_setting_is_refused_with_its_line() {
    let home = Home::init().await;
    home.configure("[http]\nlisten = \"127.0.0.1:0\"\nlissten = \"127.0.0.1:1\"\n");
    let said = home.vouchsafed(["serve"]).await.failed(USAGE);
    assert!(said.stderr.contains("vouchsafe.toml:3"), "{said}");
    assert!(said.stderr.contains("lissten"), "{said}");
    let checked = home.vouchsafed(["check-config"]).await.failed(1);
    assert!(checked.to_string().contains("vouchsafe.toml:3"), "{checked}");
}

#[tokio::test]
async fn rules_with_a_mistake_refuse_everything_until_they_are_mended() {
    let home = Home::init().await;
    home.rule("mine.toml", "[[rule]]\nname = \"Mine\"\nresorce = \"vouchsafe://secrets/*\"\n");
    let checked = home.vouchsafed(["check-config"]).await.failed(1);
    assert!(checked.to_string().contains("mine.toml:3"), "{checked}");

    let daemon = RealDaemon::serve(home).await;
    assert!(daemon.log().contains("mine.toml:3"), "{}", daemon.log());
    daemon.put("free/ONE", "a value").await;
    let key = daemon.key("agent", "secrets:read,secrets:reveal").await;
    let agent = Agent::new(daemon.url("/mcp"), key);
    let ask = json!({ "uri": "vouchsafe://secrets/free/ONE" });
    let refused = agent.call("read_secret", ask.clone()).await.unwrap();
    assert_eq!(refused.status(), "refused", "{refused:?}");
    assert!(daemon.vouchsafe(["status"]).await.ok().to_string().contains("policy stale       yes"));

    daemon.rule("mine.toml", RULES);
    daemon.vouchsafe(["policy", "reload"]).await.ok();
    assert_eq!(agent.call("read_secret", ask).await.unwrap().status(), "ok");
}

#[tokio::test]
async fn check_config_says_when_all_is_well() {
    let home = Home::init().await;
    let said = home.vouchsafed(["check-config"]).await.ok();
    assert!(said.to_string().contains("all is well"), "{said}");
    let daemon = RealDaemon::serve(home).await;
    let said = daemon.vouchsafed(["check-config"]).await.ok();
    assert!(said.to_string().contains("a daemon serves the home"), "{said}");
}

#[tokio::test]
async fn dev_makes_a_home_serves_it_and_uses_no_other() {
    let args = ["--dev", "--listen", "127.0.0.1:0"];
    let daemon = RealDaemon::start_with(Home::nowhere(), &args, &[]).await;
    assert!(daemon.path().join("dev").exists());
    until("what to paste where", async || {
        daemon.log().contains("install claude-desktop").then_some(())
    })
    .await;
    assert!(!daemon.log().contains(&daemon.admin_token()), "the token is shown");
    daemon.vouchsafe(["whoami"]).await.ok();
    let home = daemon.stop().await;
    // A second time, on what is there.
    RealDaemon::start_with(home, &args, &[]).await.vouchsafe(["status"]).await.ok();

    let real = Home::init().await;
    let said = run("vouchsafed", &real.path(), args, b"").await;
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("not a dev home"), "{said}");
}

#[tokio::test]
async fn dev_listens_to_this_machine_alone() {
    let home = Home::nowhere();
    let said = run("vouchsafed", &home.path(), ["--dev", "--listen", "0.0.0.0:0"], b"").await;
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("this machine only"), "{said}");
}

#[tokio::test]
async fn what_makes_no_sense_says_so_by_its_code() {
    let home = Home::nowhere();
    home.vouchsafed([]).await.failed(USAGE);
    home.vouchsafed(["fly"]).await.failed(USAGE);
    home.vouchsafed(["--dev", "serve"]).await.failed(USAGE);
    home.vouchsafed(["--version"]).await.ok();
    home.vouchsafed(["--help"]).await.ok();
}
