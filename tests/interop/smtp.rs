//! A mail server of another maker, and the mail parser of Python, with what goes over `email`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use vouchsafe_core::route::ChannelName;
use vouchsafe_tests::clock::TestClock;
use vouchsafe_tests::messages::all_kinds;
use vouchsafe_tests::process::{LONG, use_ring};
use vouchsafe_tests::smtp::{CA, PASSWORD, USER};
use vouchsafed::clock::Clock;
use vouchsafed::config::{Config, Environment};
use vouchsafed::notify::Channels;

use crate::{here, installed};

#[tokio::test]
async fn aiosmtpd_takes_every_mail_after_starttls_and_python_reads_it() {
    check("starttls").await;
}

#[tokio::test]
async fn aiosmtpd_takes_every_mail_over_tls_and_python_reads_it() {
    check("implicit").await;
}

/// The server reads each mail as Python does by default, and ends with an error at the first thing
/// that is not as it should be.
async fn check(tls: &str) {
    use_ring();
    let fixtures = here().join("../support/smtp");
    let mut python = Command::new(installed().join("venv/bin/python"))
        .arg(here().join("smtp_server.py"))
        .args([tls, USER, PASSWORD, &all_kinds().len().to_string()])
        .args([fixtures.join("server.pem"), fixtures.join("server.key")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out = BufReader::new(python.stdout.take().unwrap());
    let mut port = String::new();
    tokio::time::timeout(LONG, out.read_line(&mut port)).await.unwrap().unwrap();

    let home = tempfile::tempdir().unwrap();
    let settings = format!(
        "[notify.email]\nserver = \"localhost:{}\"\ntls = \"{tls}\"\nca_file = \"ca.pem\"\n\
         username = \"{USER}\"\npassword_file = \"password\"\n\
         from = \"Vouchsafe <vouchsafe@broker.example>\"\nconnections = 1\n",
        port.trim()
    );
    for (name, text) in [("ca.pem", CA), ("password", PASSWORD), ("vouchsafe.toml", &settings)] {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let clock: Arc<dyn Clock> = TestClock::new();
    let config = Config::load(&home.path().join("vouchsafe.toml"), &Environment::default());
    let channels = Channels::build(&config.unwrap().notify, &clock).unwrap();
    for message in all_kinds() {
        let receipt = channels.deliver(&ChannelName::email(), &message).await.unwrap();
        assert!(receipt.said.starts_with("250 "), "{receipt:?}");
    }
    let ended = tokio::time::timeout(LONG, python.wait()).await.unwrap().unwrap();
    let (mut said, mut wrong) = (String::new(), String::new());
    out.read_to_string(&mut said).await.unwrap();
    python.stderr.take().unwrap().read_to_string(&mut wrong).await.unwrap();
    assert!(ended.success(), "{said}\n{wrong}");
}
