//! A mail server of another maker, and the mail parser of Python, with what goes over `email`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use vouchsafe_core::route::{Again, ChannelName};
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
    let mut server = Aiosmtpd::start("starttls", "").await;
    server.takes_every_mail().await;
}

#[tokio::test]
async fn aiosmtpd_takes_every_mail_over_tls_and_python_reads_it() {
    let mut server = Aiosmtpd::start("implicit", "").await;
    server.takes_every_mail().await;
}

#[tokio::test]
async fn aiosmtpd_that_fails_stalls_and_breaks_off_is_tried_again_as_it_says() {
    let mut server = Aiosmtpd::start("starttls", "fail,later,stall,die,die-taken").await;
    let message = all_kinds().remove(0);
    let email = ChannelName::email();
    for (timeout, again, why) in [
        (PATIENT, Again::Never, "550 5.7.1 not of this kind"),
        (PATIENT, Again::Message(None), "451 4.3.0 come again"),
        (HASTY, Again::Message(None), "did not say in time whether it took the message"),
        (PATIENT, Again::Message(None), "broke off before it said whether it took the message"),
        (PATIENT, Again::Message(None), "broke off before it said whether it took the message"),
    ] {
        let failed = server.channels(timeout).deliver(&email, &message).await.unwrap_err();
        assert!(failed.why.contains(why), "{why}: {failed:?}");
        assert_eq!(failed.again, again, "{why}");
    }
    server.takes_every_mail().await;
}

/// How long the server has for one mail: where it answers, and where it does not.
const PATIENT: &str = "60s";
const HASTY: &str = "10s";

/// The server reads each mail as Python does by default, and ends with an error at the first thing
/// that is not as it should be.
struct Aiosmtpd {
    python: Child,
    out: BufReader<ChildStdout>,
    home: TempDir,
    tls: &'static str,
    port: String,
}

impl Aiosmtpd {
    /// `moods`: what becomes of the first mails, as the server's own page says.
    async fn start(tls: &'static str, moods: &str) -> Self {
        use_ring();
        let fixtures = here().join("../support/smtp");
        let mut python = Command::new(installed().join("venv/bin/python"))
            .arg(here().join("smtp_server.py"))
            .args([tls, USER, PASSWORD, &all_kinds().len().to_string()])
            .args([fixtures.join("server.pem"), fixtures.join("server.key")])
            .arg(moods)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(python.stdout.take().unwrap());
        let mut port = String::new();
        tokio::time::timeout(LONG, out.read_line(&mut port)).await.unwrap().unwrap();
        let port = port.trim().to_owned();
        Self { python, out, home: tempfile::tempdir().unwrap(), tls, port }
    }

    fn channels(&self, timeout: &str) -> Channels {
        let (tls, port) = (self.tls, &self.port);
        let settings = format!(
            "[notify.email]\nserver = \"localhost:{port}\"\ntls = \"{tls}\"\n\
             ca_file = \"ca.pem\"\nusername = \"{USER}\"\npassword_file = \"password\"\n\
             from = \"Vouchsafe <vouchsafe@broker.example>\"\nconnections = 1\n\
             timeout = \"{timeout}\"\n"
        );
        for (name, text) in [("ca.pem", CA), ("password", PASSWORD), ("vouchsafe.toml", &settings)]
        {
            let path = self.home.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        let clock: Arc<dyn Clock> = TestClock::new();
        let config =
            Config::load(&self.home.path().join("vouchsafe.toml"), &Environment::default());
        Channels::build(&config.unwrap().notify, &clock).unwrap()
    }

    /// One mail of each kind; then the server ends, and all was as it should be.
    async fn takes_every_mail(&mut self) {
        let channels = self.channels(PATIENT);
        for message in all_kinds() {
            let receipt = channels.deliver(&ChannelName::email(), &message).await.unwrap();
            assert!(receipt.said.starts_with("250 "), "{receipt:?}");
        }
        let ended = tokio::time::timeout(LONG, self.python.wait()).await.unwrap().unwrap();
        let (mut said, mut wrong) = (String::new(), String::new());
        self.out.read_to_string(&mut said).await.unwrap();
        self.python.stderr.take().unwrap().read_to_string(&mut wrong).await.unwrap();
        assert!(ended.success(), "{said}\n{wrong}");
    }
}
