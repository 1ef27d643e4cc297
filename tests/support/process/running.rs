//! `vouchsafe` while it runs: what it says as it says it, and signals to it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose program cannot be run ends")]

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinSet;

use super::command::command;
use super::wait::until_or;
use super::{Home, LONG, Said};

/// `vouchsafe` with pipes for its three streams; killed on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Text,
    stderr: Text,
    reading: JoinSet<()>,
}

/// What came until now.
type Text = Arc<Mutex<Vec<u8>>>;

impl Running {
    /// Starts `vouchsafe` with these arguments, and this in its environment.
    pub fn vouchsafe(home: &Home, args: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut child = command("vouchsafe", &home.path())
            .args(args)
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (Text::default(), Text::default());
        let mut reading = JoinSet::new();
        reading.spawn(collect(child.stdout.take().unwrap(), Arc::clone(&stdout)));
        reading.spawn(collect(child.stderr.take().unwrap(), Arc::clone(&stderr)));
        Self { stdin: child.stdin.take(), child, stdout, stderr, reading }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Writes to its standard input.
    pub async fn types(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits until standard output has this; all of it until then.
    pub async fn prints(&self, text: &str) -> String {
        self.waits(&self.stdout, text).await
    }

    /// Waits until standard error has this; all of it until then.
    pub async fn notes(&self, text: &str) -> String {
        self.waits(&self.stderr, text).await
    }

    /// Closes its standard input and waits for its end, and for the end of what it wrote.
    pub async fn ended(mut self) -> (ExitStatus, Said) {
        drop(self.stdin.take());
        let end = async {
            let status = self.child.wait().await.unwrap();
            while self.reading.join_next().await.is_some() {}
            status
        };
        let Ok(status) = tokio::time::timeout(LONG, end).await else {
            panic!("it does not end: {}\n{}", text_of(&self.stdout), text_of(&self.stderr));
        };
        let code = status.code().unwrap_or(-1);
        (status, Said { code, stdout: text_of(&self.stdout), stderr: text_of(&self.stderr) })
    }

    async fn waits(&self, from: &Text, text: &str) -> String {
        let seen = until_or(async || {
            let seen = text_of(from);
            seen.contains(text).then_some(seen)
        });
        match seen.await {
            Some(seen) => seen,
            None => panic!(
                "waited for {text:?} in vain:\n--- out\n{}\n--- err\n{}",
                text_of(&self.stdout),
                text_of(&self.stderr)
            ),
        }
    }
}

async fn collect(mut from: impl AsyncRead + Unpin, into: Text) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let read = bytes.get(..count).unwrap_or_default();
        into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(read);
    }
}

fn text_of(text: &Text) -> String {
    let bytes = text.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}
