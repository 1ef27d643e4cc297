//! Nothing of a daemon is for anybody else: files, memory, arguments.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use vouchsafe_tests::process::{Bridge, RealDaemon};

/// Written by the test itself.
const OURS: [&str; 2] = ["vouchsafe.toml", "policies"];

#[tokio::test]
async fn all_in_a_home_is_for_its_owner_alone_whatever_the_umask() {
    // Every program here runs under umask 000.
    let daemon = RealDaemon::start().await;
    daemon.put("asked/ONE", "a value").await;
    daemon.key("agent", "mcp:read").await;
    daemon.vouchsafe(["users", "token", "admin", "--save", "--yes"]).await.ok();
    let mut open = Vec::new();
    look(&daemon.path(), &mut open);
    assert!(open.is_empty(), "others can get at {open:?}");
    for name in ["root.key", "vouchsafe.db", "grpc.sock", "mcp.sock", "run.json", "lock"] {
        assert!(daemon.path().join(name).exists(), "there is no {name}");
    }
}

fn look(path: &Path, open: &mut Vec<(PathBuf, u32)>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let mode = metadata.permissions().mode() & 0o7777;
    let allowed = if metadata.is_dir() { 0o700 } else { 0o600 };
    if mode & !allowed != 0 {
        open.push((path.to_owned(), mode));
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if !OURS.contains(&entry.file_name().to_str().unwrap()) {
                look(&entry.path(), open);
            }
        }
    }
}

#[tokio::test]
async fn a_crash_leaves_no_memory_behind() {
    let daemon = RealDaemon::start().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let values: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(values, ["0", "0"], "{core}");
    // The kernel gives the files of a process that may not be dumped to root.
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    if let Some(dumped) = status.lines().find(|line| line.starts_with("CoreDumping")) {
        assert!(dumped.ends_with('0'), "{dumped}");
    }
}

#[tokio::test]
async fn no_argument_and_no_variable_holds_a_secret() {
    let daemon = RealDaemon::start().await;
    let key = daemon.key("agent", "mcp:read").await;
    let mut bridge = Bridge::start(&daemon, "agent");
    bridge.initialize().await;
    let secrets = [key, daemon.admin_token(), daemon.read("root.key").trim().to_owned()];
    let mut looked_at = 0;
    for process in fs::read_dir("/proc").unwrap() {
        let process = process.unwrap().path();
        for file in ["cmdline", "environ"] {
            // Most of what is in /proc is no process, and processes end.
            let Ok(bytes) = fs::read(process.join(file)) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let ours = text.contains(daemon.path().to_str().unwrap());
            looked_at += usize::from(ours);
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "{file} of {process:?}");
            }
        }
    }
    assert!(looked_at >= 2, "the daemon and the bridge were not among the processes");
}

#[tokio::test]
async fn values_come_from_standard_input_and_never_from_an_argument() {
    let daemon = RealDaemon::start().await;
    daemon.vouchsafe(["secrets", "put", "asked/ONE", "a value"]).await.failed(2);
    daemon.vouchsafe(["secrets", "put", "asked/ONE", "--value", "a value"]).await.failed(2);
    daemon.vouchsafe(["--token", "vs_user_x", "status"]).await.failed(2);
    daemon.vouchsafe(["mcp", "--key", "vs_mcp_x"]).await.failed(2);
}
