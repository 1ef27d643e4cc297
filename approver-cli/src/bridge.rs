//! `mcp`: the bridge between an agent's program, which speaks MCP on our standard input and
//! output, and the daemon's socket. All decisions are in `state`; this file moves the lines.

pub(crate) mod lines;
mod link;
mod message;
mod state;

pub(crate) use self::link::{JoinFault, Link, join};

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use clap::Args;
use tokio::io::{self, AsyncWriteExt as _, Stdin, Stdout};
use tokio::time::{self, Instant};
use zeroize::Zeroizing;

use self::lines::{Line, LineReader};
use self::message::Trouble;
use self::state::{Action, Bridge, Ending, LINE_BYTES_MAX};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::home::{self, Home};
use crate::output;
use crate::text::safe_line;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// No more is read from the client while this much waits for the daemon.
const OUTBOX_BYTES_MAX: usize = 4 * LINE_BYTES_MAX;
/// For the last lines to the daemon before we go.
const FAREWELL_MAX: Duration = Duration::from_millis(500);

/// Speak MCP on standard input and output, for an agent's program.
///
/// Joins the daemon of the home folder with the given MCP key, and outlives it: when the daemon
/// restarts, the bridge joins again, and calls that were under way are answered with an error that
/// says to call again. Ends with standard input. Agents' programs start this themselves; see
/// `vouchsafe install`.
#[derive(Args, Debug)]
pub(crate) struct Command {
    #[command(flatten)]
    key: KeyArgs,
}

/// Which MCP key to speak with.
#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    /// MCP key by name, kept in the home folder as keys/NAME.key
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// File that holds the MCP key; --key goes before it
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Whether none is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none() && self.key_file.is_none()
    }
}

/// Where the key is read from.
#[derive(Clone, Debug)]
pub(crate) struct KeySource(PathBuf);

impl KeySource {
    /// The file of the key that was named.
    pub(crate) fn find(args: &KeyArgs, home: &Home) -> Result<Self, CliError> {
        match (&args.key, &args.key_file) {
            (Some(name), _) => Ok(Self(home.key_file(name)?)),
            (None, Some(file)) => Ok(Self(file.clone())),
            (None, None) => Err(CliError::usage("no MCP key is named")
                .with_next("say --key NAME; `vouchsafe keys create NAME --save` makes one")),
        }
    }

    /// Reads the key.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, CliError> {
        home::read_private(&self.0)
    }
}

pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, CliError> {
    context.local_only("mcp")?;
    let source = KeySource::find(&command.key, &context.home)?;
    let mut driver = Driver::new(context.home.clone(), source);
    match driver.run().await {
        Ok(Ending::KeyRefused) => Ok(Exit::Refused),
        // On an error the client has gone: nobody is left to serve.
        Ok(Ending::Done) | Err(_) => Ok(Exit::Done),
    }
}

type Joining = Pin<Box<dyn Future<Output = Result<Link, JoinFault>>>>;

struct Driver {
    home: Home,
    source: KeySource,
    bridge: Bridge,
    started: Instant,
    stdin: Option<LineReader<Stdin>>,
    stdout: Stdout,
    link: Option<Link>,
    /// Bytes for the daemon.
    outbox: Vec<u8>,
    half_close: bool,
    joining: Option<Joining>,
    backoff: Duration,
    /// The last trouble was told on standard error.
    told: bool,
}

/// What happened while we waited.
enum Wake {
    Client(io::Result<Line>),
    Daemon(io::Result<Line>),
    Sent(io::Result<usize>),
    Joined(Result<Link, JoinFault>),
    Due,
}

impl Driver {
    fn new(home: Home, source: KeySource) -> Self {
        let joining: Joining = Box::pin(join(home.clone(), source.clone()));
        Self {
            home,
            source,
            bridge: Bridge::default(),
            started: Instant::now(),
            stdin: Some(LineReader::new(io::stdin())),
            stdout: io::stdout(),
            link: None,
            outbox: Vec::new(),
            half_close: false,
            joining: Some(joining),
            backoff: BACKOFF_MIN,
            told: false,
        }
    }

    async fn run(&mut self) -> io::Result<Ending> {
        loop {
            if let Some(ending) = self.act().await? {
                self.farewell().await;
                return Ok(ending);
            }
            match self.wait().await {
                Wake::Client(line) => self.on_client(line),
                Wake::Daemon(line) => self.on_daemon(line),
                Wake::Sent(sent) => self.on_sent(&sent),
                Wake::Joined(joined) => self.on_joined(joined),
                Wake::Due => self.bridge.tick(self.started.elapsed()),
            }
        }
    }

    /// Waits for whatever comes first. Each of the futures may be dropped at any time.
    async fn wait(&mut self) -> Wake {
        let due = self.bridge.deadline().map(|deadline| self.started + deadline);
        let reads = self.outbox.len() < OUTBOX_BYTES_MAX;
        let (from, to) = match &mut self.link {
            Some(link) => (Some(&mut link.from), link.to.as_mut()),
            None => (None, None),
        };
        tokio::select! {
            biased;
            line = read(from) => Wake::Daemon(line),
            sent = async {
                match to {
                    Some(to) if !self.outbox.is_empty() => to.write(&self.outbox).await,
                    Some(_) | None => std::future::pending().await,
                }
            } => Wake::Sent(sent),
            joined = async {
                match &mut self.joining {
                    Some(joining) => joining.await,
                    None => std::future::pending().await,
                }
            } => Wake::Joined(joined),
            () = async {
                match due {
                    Some(due) => time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            } => Wake::Due,
            line = read(self.stdin.as_mut()), if reads => Wake::Client(line),
        }
    }

    /// Does what the bridge decided.
    async fn act(&mut self) -> io::Result<Option<Ending>> {
        let mut written = false;
        let mut ending = None;
        for action in self.bridge.actions() {
            match action {
                Action::ToClient(line) => {
                    self.stdout.write_all(line.as_bytes()).await?;
                    self.stdout.write_all(b"\n").await?;
                    written = true;
                }
                Action::ToDaemon(line) => {
                    self.outbox.extend_from_slice(line.as_bytes());
                    self.outbox.push(b'\n');
                }
                Action::HalfClose => self.half_close = true,
                Action::Leave => self.rejoin(),
                Action::Exit(with) => ending = Some(with),
            }
        }
        if written {
            self.stdout.flush().await?;
        }
        self.close_if_sent();
        Ok(ending)
    }

    fn on_client(&mut self, line: io::Result<Line>) {
        let now = self.started.elapsed();
        match line {
            Ok(Line::Text(line)) => self.bridge.client_line(&line, now),
            Ok(Line::Garbage) => self.bridge.client_garbage(),
            Ok(Line::End) | Err(_) => {
                self.stdin = None;
                self.bridge.client_end(now);
            }
        }
    }

    fn on_daemon(&mut self, line: io::Result<Line>) {
        match line {
            Ok(Line::Text(line)) => {
                self.backoff = BACKOFF_MIN;
                self.bridge.daemon_line(&line, self.started.elapsed());
            }
            Ok(Line::Garbage) => self.lost("the daemon sent what is no line of MCP"),
            Ok(Line::End) => self.lost("the daemon closed the connection"),
            Err(_) => self.lost("the connection to the daemon broke"),
        }
    }

    fn on_sent(&mut self, sent: &io::Result<usize>) {
        match sent {
            Ok(count) if *count > 0 => {
                self.outbox.drain(..(*count).min(self.outbox.len()));
            }
            Ok(_) | Err(_) => self.lost("the connection to the daemon broke"),
        }
    }

    fn on_joined(&mut self, joined: Result<Link, JoinFault>) {
        self.joining = None;
        match joined {
            Ok(link) => {
                self.link = Some(link);
                if self.told {
                    output::note("vouchsafe mcp: the daemon is back");
                }
                self.told = false;
                self.bridge.joined();
            }
            Err(JoinFault::Unreachable(why)) => {
                self.tell(&why);
                self.rejoin();
                self.bridge.lost(why, self.started.elapsed());
            }
            Err(JoinFault::Refused(why)) => {
                self.tell(&why);
                self.bridge.refused(why);
            }
        }
    }

    fn lost(&mut self, why: &str) {
        let why = Trouble {
            message: why.to_owned(),
            next: "see that the daemon runs with `vouchsafe status`".to_owned(),
        };
        self.tell(&why);
        self.rejoin();
        self.bridge.lost(why, self.started.elapsed());
    }

    /// Gives the connection up and makes another one after a while.
    fn rejoin(&mut self) {
        self.link = None;
        self.outbox.clear();
        self.half_close = false;
        if !self.bridge.wants_link() {
            return;
        }
        let delay = self.backoff;
        self.backoff = delay.saturating_mul(2).min(BACKOFF_MAX);
        let (home, source) = (self.home.clone(), self.source.clone());
        self.joining = Some(Box::pin(async move {
            time::sleep(delay).await;
            join(home, source).await
        }));
    }

    /// Once for each time that the daemon goes away.
    fn tell(&mut self, why: &Trouble) {
        if !self.told {
            let (message, next) = (safe_line(&why.message), safe_line(&why.next));
            output::note(&format!("vouchsafe mcp: {message}; next: {next}"));
        }
        self.told = true;
    }

    /// Dropping our half tells the daemon that nothing more will come.
    fn close_if_sent(&mut self) {
        if self.half_close
            && self.outbox.is_empty()
            && let Some(link) = &mut self.link
        {
            link.to = None;
        }
    }

    async fn farewell(&mut self) {
        if let Some(to) = self.link.as_mut().and_then(|link| link.to.as_mut()) {
            let sent = time::timeout(FAREWELL_MAX, to.write_all(&self.outbox)).await;
            // We go either way.
            drop(sent);
        }
    }
}

async fn read<R: io::AsyncRead + Unpin>(lines: Option<&mut LineReader<R>>) -> io::Result<Line> {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}
