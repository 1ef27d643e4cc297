//! One run of a program that ends by itself.
#![expect(clippy::unwrap_used, reason = "a test whose program cannot be run ends")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{LONG, program};

/// What a program said, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Fails the test unless the program ended well.
    #[expect(clippy::return_self_not_must_use, reason = "the check is what it is called for")]
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// Fails the test unless it ended with this code.
    #[expect(clippy::return_self_not_must_use, reason = "the check is what it is called for")]
    #[track_caller]
    pub fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "exit {code}\n--- out\n{stdout}\n--- err\n{stderr}")
    }
}

/// A script that becomes the program it is given, as a person's shell would start it. What begins a
/// test may ignore the keys that interrupt, as a job in the background does, and whoever it starts
/// inherits that: where `env` can undo it, it does.
pub(super) fn start() -> &'static str {
    static START: OnceLock<&str> = OnceLock::new();
    START.get_or_init(|| {
        let args = ["--default-signal=INT,QUIT", "true"];
        let tried = std::process::Command::new("env").args(args).stderr(Stdio::null()).status();
        if tried.is_ok_and(|status| status.success()) {
            r#"umask 000; exec env --default-signal=INT,QUIT "$0" "$@""#
        } else {
            r#"umask 000; exec "$0" "$@""#
        }
    })
}

/// Runs a program on a home to its end, with this on standard input.
pub async fn run<I, A>(name: &str, home: &Path, args: I, input: &[u8]) -> Said
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let mut child = command(name, home)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that does not read its input closes it.
    drop(stdin.write_all(input).await);
    drop(stdin);
    let output = tokio::time::timeout(LONG, child.wait_with_output()).await.unwrap().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A program on this home, with nothing of our environment that could steer it, and with the most
/// careless umask there is.
pub(super) fn command(name: &str, home: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", start()]).arg(program(name));
    command.env_clear().kill_on_drop(true);
    for kept in ["PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    let above = home.parent().unwrap_or(home);
    command.env("VOUCHSAFE_HOME", home).env("HOME", above).env("USER", "tester").env("LANG", "C");
    command
}
