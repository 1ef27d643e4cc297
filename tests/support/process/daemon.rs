//! A daemon that runs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test without its daemon ends")]

use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::Child;
use vouchsafe_core::route::LOCAL_NAME;

use super::command::command;
use super::{Home, LONG, until};

/// `vouchsafed serve` on a home of its own; killed on drop. Its standard error goes to a file.
#[derive(Debug)]
pub struct RealDaemon {
    home: Home,
    child: Child,
    run: Run,
    args: Vec<String>,
    settings: Vec<(String, String)>,
}

/// `run.json`: where a daemon listens.
#[derive(Clone, Debug, Deserialize)]
struct Run {
    pid: u32,
    http: String,
}

impl RealDaemon {
    /// On a new home with `RULES`.
    pub async fn start() -> Self {
        Self::serve(Home::init().await).await
    }

    /// On this home.
    pub async fn serve(home: Home) -> Self {
        Self::start_with(home, &["serve"], &[]).await
    }

    /// With these arguments and this in the environment.
    pub async fn start_with(home: Home, args: &[&str], settings: &[(&str, &str)]) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let settings: Vec<(String, String)> =
            settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut child = spawn(&home, &args, &settings);
        let run = ready(&home, &mut child).await;
        Self { home, child, run, args, settings }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.run.pid
    }

    /// An URL of the HTTP door: `http://127.0.0.1:PORT` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.run.http)
    }

    /// Where a page is.
    pub fn page(&self, path: &str) -> String {
        let (_, port) = self.run.http.rsplit_once(':').unwrap();
        format!("http://{LOCAL_NAME}:{port}{path}")
    }

    /// All that it and its predecessors on this home wrote to standard error.
    pub fn log(&self) -> String {
        log_of(&self.home)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.run.pid.try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(LONG, self.child.wait()).await.unwrap().unwrap()
    }

    /// As a power cut for the process: no handler runs.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Starts it again on its home, once it has ended. The port may be another one.
    pub async fn again(&mut self) {
        self.child = spawn(&self.home, &self.args, &self.settings);
        self.run = ready(&self.home, &mut self.child).await;
    }

    /// Ends it as an operator does, and gives back the home.
    pub async fn stop(mut self) -> Home {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert!(status.success(), "{status}: {}", self.log());
        self.home
    }
}

/// What can be done with a home can be done with it while its daemon runs.
impl Deref for RealDaemon {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

fn spawn(home: &Home, args: &[String], settings: &[(String, String)]) -> Child {
    let log: File =
        OpenOptions::new().create(true).append(true).open(home.beside("daemon.log")).unwrap();
    command("vouchsafed", &home.path())
        .args(args)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

async fn ready(home: &Home, child: &mut Child) -> Run {
    let file: PathBuf = home.path().join("run.json");
    until("the daemon is ready", async || {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the daemon ended with {status}: {}", log_of(home));
        }
        let run: Run = serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()?;
        // A killed daemon leaves its file behind.
        (Some(run.pid) == child.id()).then_some(run)
    })
    .await
}

fn log_of(home: &Home) -> String {
    std::fs::read_to_string(home.beside("daemon.log")).unwrap()
}
