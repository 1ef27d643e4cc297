//! What the programs say, word for word: help texts, errors, and a session at the command line.
//!
//! `TRYCMD=overwrite cargo test -p vouchsafe-tests --test cli` writes down what they say now.
#![cfg(test)]

mod import;
mod inbox;
mod picker;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use trycmd::TestCases;
use vouchsafe_tests::process::{Home, RealDaemon, program, run};

/// The programs, told about this home and nothing else.
fn cases(home: &Path) -> TestCases {
    let cases = TestCases::new();
    for name in ["vouchsafe", "vouchsafed"] {
        cases.register_bin(name, program(name));
    }
    let shown = home.to_str().unwrap().to_owned();
    cases
        .env("VOUCHSAFE_HOME", shown.clone())
        .env("HOME", "/nowhere")
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .insert_var("[HOME]", shown)
        .unwrap();
    cases
}

/// A rule whose glass can be broken.
const GLASS: &str = r#"
[[rule]]
name        = "Behind glass"
resource    = "vouchsafe://secrets/glass/*"
operations  = ["use", "read"]
approvers   = ["admin"]
self_approval = true
break_glass = ["admin"]
lease       = { default = "10m", max = "1h", uses = 20 }
pending_for = "1h"
"#;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cli")
}

#[test]
fn help() {
    let home = Home::nowhere();
    cases(&home.path()).case("cli/help/*.trycmd").run();
}

#[test]
fn errors_that_need_no_daemon() {
    let home = Home::nowhere();
    cases(&home.path()).case("cli/errors/*.trycmd").run();
}

#[tokio::test]
async fn errors_of_a_home_that_nobody_serves() {
    let home = Home::init().await;
    cases(&home.path()).case("cli/idle/*.trycmd").run();
}

#[tokio::test]
async fn a_session() {
    let daemon = RealDaemon::start().await;
    cases(&daemon.path()).case("cli/session/*.trycmd").run();
}

#[tokio::test]
async fn a_session_with_secrets() {
    let daemon = RealDaemon::start().await;
    cases(&daemon.path()).case("cli/secrets/*.trycmd").run();
}

#[tokio::test]
async fn a_session_of_an_administrator() {
    let daemon = RealDaemon::start().await;
    daemon.rule("rules.toml", GLASS);
    daemon.vouchsafe(["policy", "reload"]).await.ok();
    daemon.put("glass/ONE", "a value").await;
    cases(&daemon.path()).case("cli/admin/*.trycmd").run();
}

#[tokio::test]
async fn no_help_text_is_missing() {
    let mut all = String::new();
    for file in fs::read_dir(here().join("help")).unwrap() {
        all.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
    }
    let kept: BTreeSet<&str> = all.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let mut missing = Vec::new();
    let mut paths = vec![vec!["vouchsafe".to_owned()], vec!["vouchsafed".to_owned()]];
    while let Some(path) = paths.pop() {
        let line = format!("{} --help", path.join(" "));
        if !kept.contains(line.as_str()) {
            missing.push(line);
        }
        let (name, args) = path.split_first().unwrap();
        let args = args.iter().map(String::as_str).chain(["--help"]);
        let help = run(name, &Home::nowhere().path(), args, b"").await.ok().stdout;
        for below in commands(&help) {
            paths.push([path.clone(), vec![below]].concat());
        }
    }
    missing.sort();
    assert!(missing.is_empty(), "no snapshot of {missing:#?}");
}

/// The words in the first column of the list of commands.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    list.take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| *word != "help")
        .map(str::to_owned)
        .collect()
}
