//! A home that is not as it should be is not served from.

use std::fs;

use rusqlite::Connection;
use vouchsafe_proto::v1::ShowStatusRequest;
use vouchsafe_tests::daemon::{RULES, TestDaemon, value_of};

use crate::audit::whole;
use crate::prompt_daemon;

/// Does this to a stopped daemon's home, and gives what its start then says.
async fn refused(harm: impl FnOnce(&TestDaemon)) -> String {
    let mut daemon = prompt_daemon().await;
    daemon.stop().await;
    harm(&daemon);
    let error = daemon.try_start().await.expect_err("this home is not to be served from");
    whole(&error)
}

#[tokio::test]
async fn two_daemons_do_not_serve_one_home() {
    let mut daemon = prompt_daemon().await;
    let error = daemon.try_start().await.expect_err("a second one");
    let pid = std::process::id();
    assert_eq!(
        whole(&error),
        format!("a daemon (pid {pid}) serves {} already: stop it first", daemon.home().display())
    );
    assert_eq!(daemon.agent("claude").read("staging/DB").await.value(), value_of("staging/DB"));
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let told = refused(|daemon| {
        let connection = Connection::open(daemon.database()).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
    })
    .await;
    assert!(told.contains("the database has schema 99 and this version knows 4 at most"), "{told}");
}

#[tokio::test]
async fn another_root_key_opens_nothing() {
    let told = refused(|daemon| {
        fs::write(daemon.home().join("root.key"), "0".repeat(64)).unwrap();
    })
    .await;
    assert!(told.contains("the root key is not the one this database was sealed with"), "{told}");
}

#[tokio::test]
async fn a_root_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let told = refused(|daemon| {
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(daemon.home().join("root.key"), mode).unwrap();
    })
    .await;
    assert!(told.contains("is not private"), "{told}");
}

#[tokio::test]
async fn a_home_that_others_reach_into_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let told = refused(|daemon| {
        fs::set_permissions(daemon.home(), fs::Permissions::from_mode(0o755)).unwrap();
    })
    .await;
    assert!(told.starts_with("other users can reach into"), "{told}");
}

#[tokio::test]
async fn a_damaged_database_is_not_served_from() {
    let told = refused(|daemon| {
        let mut bytes = fs::read(daemon.database()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xa5);
        fs::write(daemon.database(), bytes).unwrap();
    })
    .await;
    assert!(told.contains("damaged") || told.contains("audit log"), "{told}");
    let told =
        refused(|daemon| fs::write(daemon.database(), "not a database at all").unwrap()).await;
    assert!(told.contains("damaged") || told.contains("not a Vouchsafe database"), "{told}");
    let told = refused(|daemon| fs::remove_file(daemon.database()).unwrap()).await;
    assert!(told.contains("there is no database at"), "{told}");
}

#[tokio::test]
async fn with_rules_that_have_a_mistake_a_daemon_starts_and_refuses_everything() {
    let mut daemon = prompt_daemon().await;
    daemon.stop().await;
    fs::write(daemon.home().join("policies/test.toml"), "[[rule]]\nname = \"x\"\n").unwrap();
    daemon.restart().await;
    let answer = daemon.agent("claude").read("staging/DB").await;
    crate::check_refused_as(&answer, "POLICY_REFUSED");
    let mut status = daemon.admin().status();
    assert!(status.show_status(ShowStatusRequest {}).await.unwrap().into_inner().policy_stale);
    assert!(daemon.load_rules(RULES).await.changed);
    assert_eq!(daemon.agent("claude").read("staging/DB").await.value(), value_of("staging/DB"));
    assert!(!status.show_status(ShowStatusRequest {}).await.unwrap().into_inner().policy_stale);
}

#[tokio::test]
async fn sealed_values_do_not_open_in_each_others_place() {
    let mut daemon = prompt_daemon().await;
    daemon.stop().await;
    let connection = Connection::open(daemon.database()).unwrap();
    connection
        .execute_batch(
            "UPDATE secret_versions SET sealed = (SELECT sealed FROM secret_versions v \
             JOIN secrets s ON s.id = v.secret_id WHERE s.path = 'production/DB') \
             WHERE secret_id = (SELECT id FROM secrets WHERE path = 'staging/DB')",
        )
        .unwrap();
    connection.close().unwrap();
    daemon.restart().await;
    let answer = daemon.agent("claude").read("staging/DB").await;
    crate::check_refused(
        &answer,
        "INTERNAL",
        "internal error",
        "The daemon's log has the cause; nothing was released.",
    );
}

#[tokio::test]
async fn what_is_in_a_home_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let daemon = prompt_daemon().await;
    for entry in fs::read_dir(daemon.home()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o777;
        if !["policies", "audit.pub", "lock"].contains(&name.as_str()) {
            assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
        }
    }
}

#[tokio::test]
async fn run_json_says_where_the_daemon_is_while_it_is() {
    let mut daemon = prompt_daemon().await;
    let path = daemon.home().join("run.json");
    let run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(run["http"], daemon.running().http_addr.to_string());
    assert_eq!(run["pid"], std::process::id());
    daemon.stop().await;
    assert!(!path.exists());
    assert!(!daemon.home().join("grpc.sock").exists());
}
