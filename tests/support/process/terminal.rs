//! A terminal with a person at it: a program on a pseudo terminal, and the screen it draws.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test without its terminal ends")]

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::task::JoinSet;

use super::command::start;
use super::wait::until_or;
use super::{Home, program};

/// `vouchsafe` on a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    to: pty_process::OwnedWritePty,
    screen: Arc<Mutex<Screen>>,
    /// Ends with the terminal.
    _drawing: JoinSet<()>,
}

struct Screen(vt100::Parser);

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.screen().contents())
    }
}

impl Terminal {
    /// Starts `vouchsafe` with these arguments on a terminal of so many rows and columns.
    pub fn vouchsafe<const N: usize>(home: &Home, size: (u16, u16), args: [&str; N]) -> Self {
        let (rows, columns) = size;
        let (pty, pts) = pty_process::open().unwrap();
        pty.resize(pty_process::Size::new(rows, columns)).unwrap();
        let child = pty_process::Command::new("/bin/sh")
            .args(["-c", start()])
            .arg(program("vouchsafe"))
            .args(args)
            .env_clear()
            .env("VOUCHSAFE_HOME", home.path())
            .env("HOME", home.path().parent().unwrap())
            .env("TERM", "xterm-256color")
            .kill_on_drop(true)
            .spawn(pts)
            .unwrap();
        let screen =
            Arc::new(Mutex::new(Screen(vt100::Parser::new(sized(rows), sized(columns), 0))));
        let (mut from, to) = pty.into_split();
        let drawn = Arc::clone(&screen);
        let mut drawing = JoinSet::new();
        drawing.spawn(async move {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes).await {
                let bytes = bytes.get(..count).unwrap_or_default();
                lock(&drawn).0.process(bytes);
            }
        });
        Self { child, to, screen, _drawing: drawing }
    }

    /// What the screen shows.
    pub fn shown(&self) -> String {
        lock(&self.screen).0.screen().contents()
    }

    /// Waits until the screen shows this.
    pub async fn shows(&self, text: &str) -> String {
        self.waits(text, |shown| shown.contains(text)).await
    }

    /// Waits until the screen no longer shows this.
    pub async fn hides(&self, text: &str) -> String {
        self.waits(text, |shown| !shown.contains(text)).await
    }

    /// Types.
    pub async fn types(&mut self, keys: &str) {
        self.to.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Makes the window another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        lock(&self.screen).0.screen_mut().set_size(sized(rows), sized(columns));
        self.to.resize(pty_process::Size::new(rows, columns)).unwrap();
    }

    /// Waits for the program's end.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        tokio::time::timeout(super::LONG, self.child.wait()).await.unwrap().unwrap()
    }

    async fn waits(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let seen = until_or(async || {
            let shown = self.shown();
            holds(&shown).then_some(shown)
        });
        match seen.await {
            Some(shown) => shown,
            None => panic!("waited for {what:?} in vain:\n{}", self.shown()),
        }
    }
}

fn lock(screen: &Mutex<Screen>) -> std::sync::MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sized(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).unwrap()
}
