//! A mail server that keeps what it is given, and can be told to refuse, to stall, to break off,
//! and to be away.
#![expect(clippy::unwrap_used, reason = "a mail server that does not stand is a failed test")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::events::{beside, eventually};

/// The authority that its certificate is of, in PEM. The certificate is for `localhost` and
/// `127.0.0.1`.
pub const CA: &str = include_str!("smtp/ca.pem");
/// Who may log in.
pub const USER: &str = "vouchsafe";
/// With what.
pub const PASSWORD: &str = "correct horse battery";

/// How connections are kept private.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// Not at all.
    None,
    /// After `STARTTLS`.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// What the client has just said, or done.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// It connected.
    Connected,
    /// `EHLO`
    Ehlo,
    /// `STARTTLS`
    Starttls,
    /// `AUTH`
    Auth,
    /// `MAIL FROM`
    Mail,
    /// `RCPT TO`
    Rcpt,
    /// `DATA`
    Data,
    /// The mail and its last dot.
    Content,
}

/// What the server does about it.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Answers so; what begins with 2 or 3 goes on as usual.
    Say(String),
    /// Never answers.
    Stall,
    /// Breaks off without an answer.
    Die,
    /// Keeps the mail, and breaks off without an answer.
    TakeAndDie,
}

/// A mail that it was given.
#[derive(Clone, Debug)]
pub struct Taken {
    /// `MAIL FROM`
    pub from: String,
    /// `RCPT TO`
    pub to: String,
    /// The mail itself.
    pub raw: Vec<u8>,
    /// It came through TLS.
    pub tls: bool,
    /// Whoever sent it had logged in.
    pub login: bool,
    /// Which connection it came by, counted from 1.
    pub connection: usize,
}

/// Connections that wait to be taken at most.
const BACKLOG: u32 = 128;

/// The server. It ends with the value.
#[derive(Debug)]
pub struct SmtpServer {
    /// Where it listens, or did.
    pub addr: SocketAddr,
    /// Bound and never listening: the port is nobody else's while the server is down.
    _port: TcpSocket,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    tls: Tls,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<Taken>,
    moods: BTreeMap<Step, Mood>,
    refused: BTreeMap<String, String>,
    connections: usize,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl SmtpServer {
    /// One that is up.
    pub async fn start(tls: Tls) -> Self {
        let shared = Arc::new(Shared { tls, state: Mutex::default() });
        let port = bound("127.0.0.1:0".parse().unwrap());
        let addr = port.local_addr().unwrap();
        let server = Self { addr, _port: port, shared, listening: Mutex::new(None) };
        server.up().await;
        server
    }

    /// A `[notify.email]` that leads here; `more` stands in it too.
    pub fn settings(&self, more: &str) -> String {
        let tls = match self.shared.tls {
            Tls::None => "tls = \"none\"",
            Tls::Starttls => "tls = \"starttls\"\nca_file = \"ca.pem\"",
            Tls::Implicit => "tls = \"implicit\"\nca_file = \"ca.pem\"",
        };
        let port = self.addr.port();
        format!(
            "[notify.email]\nserver = \"localhost:{port}\"\n\
             from = \"Vouchsafe <vouchsafe@broker.example>\"\n{tls}\n{more}\n"
        )
    }

    /// From now on, at this step.
    pub fn set(&self, step: Step, mood: Mood) {
        self.shared.state().moods.insert(step, mood);
    }

    /// From now on, for mails to this address.
    pub fn refuse(&self, address: &str, answer: &str) {
        self.shared.state().refused.insert(address.to_owned(), answer.to_owned());
    }

    /// From now on all is well.
    pub fn mend(&self) {
        let mut state = self.shared.state();
        state.moods.clear();
        state.refused.clear();
    }

    /// Nobody listens any more, and every connection breaks off.
    pub async fn down(&self) {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            listening.abort();
            // It ends by being ended.
            drop(listening.await);
        }
    }

    /// It listens again, at the same port.
    #[expect(clippy::unused_async, reason = "it is waited for as `down` is")]
    pub async fn up(&self) {
        self.listen(bound(self.addr).listen(BACKLOG).unwrap());
    }

    /// Every mail that it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.state().taken.clone()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Waits until it has taken this many mails.
    pub async fn arrived(&self, count: usize) -> Vec<Taken> {
        eventually("mails to arrive", || async {
            let taken = self.taken();
            (taken.len() >= count).then_some(taken)
        })
        .await
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let listening = beside(async move {
            // Ends with this task, and ends all connections with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                connections.spawn(async move { drop(serve(stream, &shared).await) });
            }
        });
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(listening);
    }
}

/// A socket at this address, which it shares with our other ones there.
fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(addr).unwrap();
    socket
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let listening = self.listening.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(listening) = listening.take() {
            listening.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mood(&self, step: Step) -> Option<Mood> {
        self.state().moods.get(&step).cloned()
    }
}

/// One connection, and how far it has come.
struct Talk<'s> {
    stream: BufReader<Box<dyn Stream>>,
    shared: &'s Shared,
    connection: usize,
    tls: bool,
    login: bool,
    from: String,
    to: String,
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let connection = {
        let mut state = shared.state();
        state.connections += 1;
        state.connections
    };
    let tls = shared.tls == Tls::Implicit;
    let stream: Box<dyn Stream> = Box::new(stream);
    let stream = if tls { Box::new(acceptor().accept(stream).await?) } else { stream };
    let mut talk = Talk {
        stream: BufReader::new(stream),
        shared,
        connection,
        tls,
        login: false,
        from: String::new(),
        to: String::new(),
    };
    if !talk.answer(Step::Connected, "220 test ready").await? {
        return Ok(());
    }
    loop {
        let mut line = String::new();
        if talk.stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        if verb == "STARTTLS" {
            if talk.answer(Step::Starttls, "220 go ahead").await? {
                let (accepted, tls) = (acceptor().accept(talk.stream.into_inner()).await?, true);
                let stream: Box<dyn Stream> = Box::new(accepted);
                talk = Talk { stream: BufReader::new(stream), tls, ..talk };
            }
            continue;
        }
        if !talk.command(&verb, line).await? {
            return Ok(());
        }
    }
}

impl Talk<'_> {
    /// Whether the connection goes on.
    async fn command(&mut self, verb: &str, line: &str) -> io::Result<bool> {
        match verb {
            "EHLO" => {
                let mut said = "250-test".to_owned();
                if self.shared.tls == Tls::Starttls && !self.tls {
                    said.push_str("\r\n250-STARTTLS");
                }
                said.push_str("\r\n250-AUTH PLAIN\r\n250 SIZE 1000000");
                self.answer(Step::Ehlo, &said).await?;
            }
            "AUTH" => {
                let good = data_encoding::BASE64.encode(format!("\0{USER}\0{PASSWORD}").as_bytes());
                let fits = line.rsplit(' ').next() == Some(&good);
                let said = if fits { "235 welcome" } else { "535 5.7.8 not you" };
                self.login = self.answer(Step::Auth, said).await? && fits;
            }
            "MAIL" => {
                self.from = address(line);
                self.answer(Step::Mail, "250 sender ok").await?;
            }
            "RCPT" => {
                self.to = address(line);
                let refused = self.shared.state().refused.get(&self.to).cloned();
                let said = refused.unwrap_or_else(|| "250 recipient ok".to_owned());
                self.answer(Step::Rcpt, &said).await?;
            }
            "DATA" => {
                if self.answer(Step::Data, "354 go ahead").await? {
                    return self.content().await;
                }
            }
            "QUIT" => {
                self.write("221 bye").await?;
                return Ok(false);
            }
            _ => self.write("250 ok").await?,
        }
        Ok(true)
    }

    /// Takes a mail up to its last dot; whether the connection goes on.
    async fn content(&mut self) -> io::Result<bool> {
        let mood = self.shared.mood(Step::Content);
        let mut raw = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(false);
            }
            if line == b".\r\n" {
                break;
            }
            raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if matches!(mood, Some(Mood::Die)) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        let refuses = matches!(&mood, Some(Mood::Say(said)) if !said.starts_with('2'));
        let stalls = matches!(mood, Some(Mood::Stall));
        if !refuses && !stalls {
            let taken = Taken {
                from: self.from.clone(),
                to: self.to.clone(),
                raw,
                tls: self.tls,
                login: self.login,
                connection: self.connection,
            };
            self.shared.state().taken.push(taken);
        }
        self.answer(Step::Content, "250 2.0.0 taken as 42").await?;
        Ok(true)
    }

    /// Answers, as the mood at this step is; whether it was a yes.
    async fn answer(&mut self, step: Step, usual: &str) -> io::Result<bool> {
        let said = match self.shared.mood(step) {
            None => usual.to_owned(),
            Some(Mood::Say(said)) => said,
            Some(Mood::Stall) => std::future::pending().await,
            Some(Mood::Die | Mood::TakeAndDie) => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        };
        self.write(&said).await?;
        Ok(said.starts_with(['2', '3']))
    }

    async fn write(&mut self, said: &str) -> io::Result<()> {
        self.stream.write_all(format!("{said}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

/// What stands between angle brackets.
fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(address, _)| address.to_owned())
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::from_pem_slice(include_bytes!("smtp/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("smtp/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
